"""What the desktop client's screens stand on: names, states, who is listed, the wish for a gateway, who comes and goes."""

import itertools
import json
from typing import Any, ClassVar

import jsonschema
import pytest

from pimd.contract import DISCOVERY, DaemonPlugin, DiscoveredNode, Endpoint, Feature, PluginContext, Provided
from pimd.ids import NodeId
from pimd.lab import Lab, run
from pimd.lab.daemon import LabDaemon
from pimd.proto.cards import GATEWAY, RELAYS, issue
from pimd.rpc.connection import Connection
from pimd.rpc.feed import ConnectionFeed
from tests.system.daemon import PROJECT

CONTRACT = json.loads((PROJECT / "tests" / "vectors" / "rpc_contract.json").read_text())


ABSENT = NodeId(bytes.fromhex("ab" * 16))
STRANGER, STRANGER_AT = NodeId(bytes(16)), Endpoint.tcp("10.9.0.7", 9100)
ALWAYS = 1e9
"""A time at which who is heard at each look was heard last."""


def fits(schema: dict[str, Any], value: Any) -> None:
    jsonschema.Draft202012Validator({"$defs": CONTRACT["$defs"], **schema}).validate(value)


async def line(lab: Lab, count: int, **settings: Any) -> list[LabDaemon]:
    """n1, n2 and so on in a row, each with routes to all; n1 keeps one more address, where nobody answers."""
    absent = {"mechanism": "tcp", "address": "10.9.0.1:9100", "node_id": str(ABSENT), "label": "absent"}
    made = [lab.add_daemon(settings={"peers": [absent], **settings}), *lab.add_daemons(count - 1)]
    for one, other in itertools.pairwise(made):
        lab.connect(one, other)
    await lab.start()
    await lab.until(lambda: len(made[0].node.service.routes()) == count - 1, 30)
    return made


def shows_itself_as_gateway(gateway: LabDaemon, to: LabDaemon) -> None:
    keystore = to.running_daemon.core.keystore
    seq = keystore.learned_seq(gateway.id) + 1
    keystore.learn(issue(gateway.machine.identity, seq, GATEWAY | RELAYS, gateway.name), direct=False)


async def shown(daemon: LabDaemon, *keys: str) -> dict[str, list[Any]]:
    status = await daemon.call("status")
    fits(CONTRACT["$defs"]["Status"], status)
    return {row["node_id"]: [row[key] for key in keys] for row in status["peers"]}


async def switch_of(daemon: LabDaemon) -> tuple[bool, bool]:
    status = await daemon.call("status")
    return status["route_on"], status["route_effective"]


def lines_about(lab: Lab, daemon: LabDaemon, word: str) -> list[str]:
    return [record.level for record in lab.log_of(daemon) if word in record.text]


def test_names_places_in_the_list_and_the_wish_for_a_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Lab(1) as lab:
            one, two, three, four = await line(lab, 4)
            assert await shown(one, "label", "own_label", "state", "mesh_ip") == {
                str(two.id): ["n2", None, "active", ""],
                str(ABSENT): ["absent", "absent", "connecting", ""],
                str(three.id): ["n3", None, "relayed", ""],
                str(four.id): ["n4", None, "relayed", ""],
            }
            assert list(await shown(one)) == [str(two.id), str(ABSENT), str(three.id), str(four.id)]
            # A name that is somebody's label is told apart by the id.
            await one.call("peers.label", {"node_id": str(two.id), "label": "n3"})
            assert (await shown(one, "label"))[str(three.id)] == [f"n3 ({three.id.short})"]
            await _wish_is_granted_with_a_gateway_and_without(lab, one, three, four)
            assert list(await shown(one)) == [str(three.id), str(four.id), str(two.id), str(ABSENT)]
            monkeypatch.setattr("pimd_features.peers.rows.NEIGHBOUR_LIMIT", 3)
            assert list(await shown(one)) == [str(three.id), str(two.id), str(ABSENT)]
            await one.call("peers.forget", {"node_id": str(two.id)})
            assert (await shown(one, "label"))[str(two.id)] == [None]

    run(main, seed=1)


async def _wish_is_granted_with_a_gateway_and_without(
    lab: Lab, one: LabDaemon, near: LabDaemon, far: LabDaemon
) -> None:
    assert await switch_of(one) == (False, False)
    answer = await one.call("route.set_split_default", {"on": True})
    fits(CONTRACT["methods"]["route.set_split_default"]["result"], answer)
    assert answer == {"on": True, "via_gateway_id": None}
    assert await switch_of(one) == (True, False)
    shows_itself_as_gateway(far, to=one)
    shows_itself_as_gateway(near, to=one)
    answer = await one.call("route.set_split_default", {"on": True})
    assert answer == {"on": True, "via_gateway_id": str(near.id)}
    assert lines_about(lab, one, "wish") == ["INFO"]
    assert await one.call("route.set_split_default") == {"on": False, "via_gateway_id": None}
    told = [event for event in one.published("status.event") if event["kind"].startswith("route_")]
    assert [event["kind"] for event in told] == ["route_on", "route_on", "route_off"]
    for event in told:
        assert event["at"].endswith("Z")
        fits(CONTRACT["notifications"]["status.event"]["params"], event)


def test_who_is_off_is_connecting_who_is_refused_has_failed_and_conversations_and_the_log_tell() -> None:
    async def main() -> None:
        async with Lab(1) as lab:
            one, two = await line(lab, 2)
            pushed: list[dict[str, Any]] = []

            async def push(text: str) -> None:
                pushed.append(json.loads(text))

            feed = ConnectionFeed(one.running_daemon.rpc.streams, push)
            await one.call("rpc.hello", {"client": "pim-ui/0.1.3"}, Connection("unix", feed))
            writing = lab.group.create_task(feed.run())
            sent = await one.call("messages.send", {"peer_node_id": str(two.id), "body": "hello"})
            await lab.sleep(120)  # many attempts at the other address in vain
            two.kill()
            await lab.until(lambda: not one.node.service.has_route(two.id), 60)
            await lab.sleep(1)
            down = one.published("peers.event")[-1]
            assert (down["kind"], down["peer"]["state"]) == ("disconnected", "connecting")
            rows = await shown(one, "state", "reason")
            assert [row[0] for row in rows.values()] == ["connecting", "connecting"]
            assert "10.9.0.1:9100" in rows[str(ABSENT)][1]
            (row,) = [row for row in await one.call("peers.list", {"all": True}) if row["node_id"] == str(two.id)]
            assert row["state"] == "connecting"

            await two.start()
            await lab.until(lambda: one.node.service.has_route(two.id), 90)
            await lab.sleep(1)
            _tells_of_coming_and_going(one, two, sent, pushed)
            writing.cancel()
            feed.close()

            await _who_is_refused_has_failed(lab, one, two)
            _log_names_peers(one, two)

    run(main, seed=1)


async def _who_is_refused_has_failed(lab: Lab, one: LabDaemon, two: LabDaemon) -> None:
    await two.call("peers.block", {"node_id": str(one.id)})
    await lab.until(lambda: any(dial.refused for dial in one.node.service.dials()), 90)
    state, reason = (await shown(one, "state", "reason"))[str(two.id)]
    assert state == "failed"
    assert "not admitted" in reason
    (row,) = await two.call("peers.list", {"all": True})
    assert (row["state"], bool(row["reason"])) == ("failed", True)


def _tells_of_coming_and_going(
    one: LabDaemon, two: LabDaemon, sent: dict[str, Any], pushed: list[dict[str, Any]]
) -> None:
    changes = [event for event in one.published("messages.event") if event["kind"] == "connection_changed"]
    assert [(change["peer_node_id"], change["is_connected"]) for change in changes] == [
        (str(two.id), False),
        (str(two.id), True),
    ]
    # The client does not know that kind, and reads its list anew at the status of a message.
    told = [event["params"] for event in pushed if event["method"] == "messages.event"]
    for params in told:
        fits(CONTRACT["notifications"]["messages.event"]["params"], params)
    again = [params for params in told if "is_connected" in params]
    assert [params["kind"] for params in again] == ["message_status"] * 2
    assert {(params["message_id"], params["new_status"]) for params in again} == {(sent["id"], "delivered")}


def _log_names_peers(one: LabDaemon, two: LabDaemon) -> None:
    records = one.running_daemon.core.log_ring.records()
    about = {record.message: record.peer_id for record in records}
    for beginning in ("linked with", "link with"):
        assert {two.id} == {peer for text, peer in about.items() if text.startswith(beginning)}
    assert {ABSENT} == {peer for text, peer in about.items() if "10.9.0.1:9100" in text}
    for record in records:
        fits(CONTRACT["notifications"]["logs.event"]["params"], record.model_dump(mode="json"))


def test_the_wish_survives_blocks_nothing_and_a_gateway_that_nobody_can_be_is_shown() -> None:
    async def main() -> None:
        async with Lab(1) as lab:
            one, two = await line(lab, 2, gateway={"enabled": True})
            (warning,) = (await one.call("status"))["warnings"]
            assert warning["kind"] == "no_gateway_feature"
            assert "[gateway] enabled" in warning["text"]
            assert lines_about(lab, one, "[gateway]") == ["WARNING"]
            assert (await two.call("status"))["warnings"] == []

            await one.call("route.set_split_default", {"on": True})
            one.kill()
            await one.start()
            assert await switch_of(one) == (True, False)
            assert lines_about(lab, one, "wish") == ["INFO", "INFO"]
            await lab.until(lambda: one.node.service.has_route(two.id), 90)
            await one.call("messages.send", {"peer_node_id": str(two.id), "body": "nothing is blocked"})
            await lab.sleep(5)
            assert (await two.call("messages.history", {"peer_node_id": str(one.id)}))["messages"]

    run(main, seed=1)


class Finder(DaemonPlugin):
    """Sees whom the test says."""

    name: ClassVar[str] = "finder"
    seen: ClassVar[list[DiscoveredNode]] = []

    async def start(self, ctx: PluginContext) -> None:
        """Nothing to start."""

    def nodes(self) -> list[DiscoveredNode]:
        return self.seen


FINDER = Feature("finder", "x", plugin=Finder, provides=(Provided(DISCOVERY),))


def _discovered(daemon: LabDaemon) -> list[str]:
    return [event["peer"]["node_id"] for event in daemon.published("peers.event") if event["kind"] == "discovered"]


def test_who_is_down_is_dialled_at_once_when_seen_nearby_but_only_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        async with Lab(1, features=[FINDER]) as lab:
            one, two = await line(lab, 2)
            now = one.running_daemon.core.clock.now()
            newcomer = DiscoveredNode(STRANGER_AT, STRANGER, "carol", now, now)
            monkeypatch.setattr(Finder, "seen", [newcomer, DiscoveredNode(two.endpoint, two.id, None, now, now)])
            await lab.sleep(1.5)  # by then most are linked by themselves
            assert _discovered(one) == []
            await lab.sleep(2)
            assert _discovered(one) == [str(STRANGER)]
            rows = await one.call("peers.discovered")
            assert [row["label_announced"] for row in rows] == ["carol", "n2"]
            two.kill()
            await lab.until(lambda: not one.node.service.has_route(two.id), 60)
            await lab.sleep(400)  # the next attempt is a minute away
            monkeypatch.setattr(Finder, "seen", [DiscoveredNode(two.endpoint, two.id, None, 0.0, ALWAYS)])
            with monkeypatch.context() as patch:
                redialled: list[float] = []
                patch.setattr(one.node._dialler, "redial", lambda peer: redialled.append(lab.now))
                await lab.sleep(20)
            assert 3 <= len(redialled) <= 5
            assert all(later - earlier >= 5 for earlier, later in itertools.pairwise(redialled))
            await two.start()
            await lab.until(lambda: one.node.service.has_route(two.id), 7)
            assert _discovered(one) == [str(STRANGER)]

    run(main, seed=1)
