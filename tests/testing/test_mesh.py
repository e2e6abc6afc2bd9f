"""Whole daemons in memory, as a test of a feature uses them."""

from collections.abc import Callable

import pytest

from pimd.lab.lab import NotInTime
from pimd.lab.topology import ring
from pimd.testing import DaemonMesh, virtual_time
from tests.testing.test_alone import FEATURE, Settings

Make = Callable[..., DaemonMesh]


@virtual_time
async def test_settle_waits_until_a_message_has_arrived(pimd_mesh: Make) -> None:
    async with pimd_mesh(nodes=3) as mesh:
        one, _, other = mesh
        await one.call("messages.send", {"peer_node_id": str(other.id), "body": "hello"})
        await mesh.settle()
        assert [event["params"]["message"]["body"] for event in other.events if "message" in event["params"]] == [
            "hello"
        ]
        assert "delivered" in str(list(one.events)[-1])


@virtual_time
async def test_links_are_cut_and_healed(pimd_mesh: Make) -> None:
    async with pimd_mesh(nodes=3, shape=ring) as mesh:
        one, other, third = mesh
        mesh.cut(one, other)
        await mesh.until(lambda: (way := one.node.service.route(other.id)) is not None and way.hops == 2, 60)
        mesh.partition([one])
        await mesh.until(lambda: one.node.service.route(third.id) is None, 60)
        mesh.heal()
        await mesh.converged(60)


@virtual_time
async def test_settings_and_tables_reach_every_daemon(pimd_mesh: Make) -> None:
    settings = {"ticks": Settings(period_s=60)}
    async with pimd_mesh([FEATURE], settings=settings, tables={"relay": {"enabled": False}}) as mesh:
        await mesh.sleep(121)
        for daemon in mesh:
            assert [event["params"]["count"] for event in daemon.events if event["method"] == "ticks.event"] == [1, 2]
            assert not daemon.node.service.relays


@virtual_time
async def test_what_never_settles_is_told(pimd_mesh: Make) -> None:
    async with pimd_mesh([FEATURE], settings={"ticks": {"period_s": 1}}) as mesh:
        with pytest.raises(NotInTime, match="quiet was not so within 20 s"):
            await mesh.settle(quiet_s=2, limit_s=20)


def test_a_daemon_that_ended_by_itself_fails_the_test(pimd_mesh: Make) -> None:
    @virtual_time
    async def crashes() -> None:
        async with pimd_mesh() as mesh:
            mesh.crashes.append("t=1 n1: made up")

    with pytest.raises(AssertionError, match="made up"):
        crashes()
