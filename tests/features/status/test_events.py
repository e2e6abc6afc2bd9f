"""What a running daemon tells as `status.event`."""

import struct

from pimd.ids import NodeId
from pimd.proto.cards import GATEWAY, RELAYS, issue
from pimd.proto.identity import Identity
from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon
from tests.system.foreign_link import ForeignLink
from tests.system.test_rpc_contract import CONTRACT, fits

CARDS = b"\x05\x09"


class ForeignNode:
    """A neighbour whose cards and routes say what the test wants."""

    def __init__(self, daemon: Daemon, seed: int) -> None:
        self.identity = Identity.from_seed(bytes([seed]) * 32)
        self.link = ForeignLink(daemon.mesh_port, seed=seed, static=self.identity.x25519_secret())
        self.link.open()
        self.link.record()

    def show_card(self, seed: int, seq: int, flags: int) -> None:
        self.link.write(CARDS + issue(Identity.from_seed(bytes([seed]) * 32), seq, flags, f"node {seed}").raw)

    def advertise(self, *entries: tuple[NodeId, int, int]) -> None:
        body = b"".join(struct.pack(">16sQH", *entry) for entry in entries)
        self.link.write(struct.pack(">BBH", 7, 0, len(entries)) + body)


def test_gateways_are_selected_and_lost_as_cards_and_routes_say(daemon: MakeDaemon) -> None:
    alice = daemon().start()
    far = Identity.from_seed(bytes([2]) * 32).node_id
    assert alice.call("route.table") == {"routes": [], "gateways": []}
    assert alice.call("status")["routes"] == {"active": 0, "expired": 0, "selected_gateway": None}
    with alice.socket() as client:
        client.call("status.subscribe")
        assert client.wait_for("role_changed")["detail"] == {"role": ["client", "relay"]}
        node = ForeignNode(alice, 1)
        near = node.identity.node_id
        node.show_card(1, 5, RELAYS)
        node.show_card(2, 5, GATEWAY | RELAYS)
        node.advertise((near, 5, 0), (far, 5, 256))
        events = [client.wait_for("gateway_selected")]
        assert alice.call("status")["routes"]["selected_gateway"] == str(far)
        node.show_card(1, 6, GATEWAY | RELAYS)
        events.append(client.wait_for("gateway_selected"))
        table = alice.call("route.table")
        fits(CONTRACT["methods"]["route.table"]["result"], table)
        assert table["gateways"] == [
            {"node_id": str(near), "via": str(near), "hops": 1, "score": 1.0, "selected": True},
            {"node_id": str(far), "via": str(near), "hops": 2, "score": 0.5, "selected": False},
        ]
        assert alice.call("status")["routes"]["selected_gateway"] == str(near)
        assert {row["node_id"]: row["is_gateway"] for row in alice.call("peers.list")} == {
            str(near): True,
            str(far): True,
        }
        node.link.close()
        events.append(client.wait_for("gateway_lost"))
    assert alice.call("status")["routes"]["selected_gateway"] is None
    assert [event["detail"]["node_id"] for event in events] == [str(far), str(near), str(near)]
    for event in events:
        fits(CONTRACT["notifications"]["status.event"]["params"], event)


def test_features_that_come_and_go_are_told_of_and_roles_are_what_a_late_client_hears(daemon: MakeDaemon) -> None:
    alice = daemon().start()
    with alice.socket() as client:
        client.call("status.subscribe")
        client.call("features.disable", {"name": "logs"})
        stopping, off = (client.wait_for("feature_changed") for _ in range(2))
        client.call("features.enable", {"name": "logs"})
        starting, on = (client.wait_for("feature_changed") for _ in range(2))
    assert [one["detail"]["state"] for one in (stopping, starting)] == ["stopping", "starting"]
    assert off["detail"] == {"name": "logs", "state": "disabled", "reason": "disabled while running"}
    assert on["detail"] == {"name": "logs", "state": "running", "reason": "enabled while running"}
    # A kind of our own: the desktop client passes over kinds that it does not know.
    known = CONTRACT["notifications"]["status.event"]["params"]["oneOf"]
    assert "feature_changed" not in [kind["properties"]["kind"]["const"] for kind in known]
    with alice.socket() as late:
        late.call("status.subscribe")
        late.call("features.disable", {"name": "logs"})
        late.wait_for("feature_changed")
        late.wait_for("feature_changed")
        assert not late.notifications or late.notifications[0]["params"]["kind"] == "role_changed"
        late.wait_for("role_changed")
        assert not late.notifications
