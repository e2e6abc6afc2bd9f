"""Rows of `status` and `peers.list`, of a daemon in a lab."""

from typing import Any

import pytest

from pimd.contract import RpcError
from pimd.ids import NodeId
from pimd.lab import Lab, run
from pimd.proto.cards import issue
from pimd.proto.identity import Identity
from pimd_features.peers.rows import NEIGHBOUR_LIMIT

KEY = b"\x09" + bytes(31)
CONFIGURED = [
    {"mechanism": "tcp", "address": f"10.9.{n // 250}.{n % 250}:9100", "node_id": f"{n:032x}"}
    for n in range(1, NEIGHBOUR_LIMIT + 3)
]


def test_status_shows_at_most_256_peers_and_a_list_of_them_all() -> None:
    async def main() -> tuple[Any, Any]:
        async with Lab(1) as lab:
            daemon = lab.add_daemon(settings={"peers": CONFIGURED})
            await lab.start()
            return await daemon.call("status"), await daemon.call("peers.list", {"all": True})

    status, everybody = run(main, seed=1)
    assert NEIGHBOUR_LIMIT == 256
    assert len(status["peers"]) == NEIGHBOUR_LIMIT
    assert len(everybody) == len(CONFIGURED)


def test_a_list_shows_who_can_be_reached_and_all_of_them_also_who_cannot() -> None:
    """n1 dials n2, behind which is n3; n1 is to keep linked with somebody who is not there, too."""
    absent = {"mechanism": "tcp", "address": "10.9.0.1:9100", "node_id": "ab" * 16, "label": "absent"}

    async def main() -> None:
        async with Lab(1) as lab:
            one = lab.add_daemon(settings={"peers": [absent]})
            two, three = lab.add_daemons(2)
            lab.connect(one, two)
            lab.connect(two, three)
            await lab.start()

            def is_measured() -> bool:
                link = one.node.service.link(two.id)
                return one.node.service.has_route(three.id) and link is not None and link.rtt_s is not None

            await lab.until(is_measured, 30)
            await one.call("peers.label", {"node_id": str(three.id), "label": "far"})
            rows = {row["node_id"]: row for row in await one.call("peers.list")}
            shown = ("state", "transport", "route_hops", "static", "label", "last_seen_s")
            assert {node_id: [row[key] for key in shown] for node_id, row in rows.items()} == {
                str(two.id): ["active", "tcp", 1, True, "n2", rows[str(two.id)]["last_seen_s"]],
                str(three.id): ["relayed", "relay", 2, False, "far", rows[str(three.id)]["last_seen_s"]],
                "ab" * 16: [rows["ab" * 16]["state"], "tcp", 0, True, "absent", 0],
            }
            assert rows["ab" * 16]["state"] == "connecting"
            assert rows[str(two.id)]["latency_ms"] >= 1
            assert rows[str(three.id)]["latency_ms"] is None
            assert await one.call("peers.list", {"all": True}) == list(rows.values())

            lab.cut(two, three)
            await lab.until(lambda: not one.node.service.has_route(three.id), 60)
            await lab.sleep(100)
            assert str(three.id) not in [row["node_id"] for row in await one.call("peers.list")]
            everybody = {row["node_id"]: row for row in await one.call("peers.list", {"all": True})}
            assert set(everybody) == set(rows)
            gone = everybody[str(three.id)]
            assert (gone["state"], gone["route_hops"], gone["transport"]) == ("connecting", 0, "tcp")
            assert 100 <= gone["last_seen_s"] < 200
            assert everybody[str(two.id)]["last_seen_s"] < 15

    run(main, seed=1)


def test_a_list_has_pages_that_begin_with_who_can_be_reached() -> None:
    async def main() -> None:
        async with Lab(1) as lab:
            one = lab.add_daemon(settings={"peers": CONFIGURED[:3]})
            two, three = lab.add_daemons(2)
            lab.connect(one, two)
            lab.connect(two, three)
            await lab.start()
            await lab.until(lambda: one.node.service.has_route(three.id), 30)
            strangers = [Identity.from_seed(bytes([number]) * 32) for number in range(1, 20)]
            for stranger in strangers:
                one.running_daemon.core.keystore.learn(issue(stranger, 1, 0, "stranger"), direct=False)
            whole = [row["node_id"] for row in await one.call("peers.list", {"all": True})]
            near = [str(two.id), *(peer["node_id"] for peer in CONFIGURED[:3]), str(three.id)]
            assert whole == near + sorted(str(stranger.node_id) for stranger in strangers)
            assert await one.call("peers.count") == {"identities": 2 + len(strangers)}
            for limit in (1, 2, 5, 7, 1000):
                paged: list[str] = []
                page = await one.call("peers.list", {"all": True, "limit": limit})
                while page:
                    assert len(page) <= limit
                    paged += [row["node_id"] for row in page]
                    page = await one.call("peers.list", {"all": True, "limit": limit, "after": paged[-1]})
                assert paged == whole
            assert [row["node_id"] for row in await one.call("peers.list")] == near
            assert await one.call("peers.list", {"after": near[-1]}) == []
            with pytest.raises(RpcError, match="limit"):
                await one.call("peers.list", {"limit": 1001})

    run(main, seed=1)


def test_a_list_of_very_many_has_a_thousand_rows() -> None:
    async def main() -> int:
        async with Lab(1) as lab:
            one = lab.add_daemon()
            await lab.start()
            keystore = one.running_daemon.core.keystore
            for number in range(1100):
                await keystore.import_identity(NodeId(number.to_bytes(16)), KEY, "x")
            return len(await one.call("peers.list", {"all": True}))

    assert run(main, seed=1) == 1000
