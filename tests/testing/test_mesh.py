"""Whole daemons in memory, as a test of a feature uses them."""

from collections.abc import Callable
from typing import ClassVar

import pytest

from pimd.contract import DaemonPlugin, Feature, PluginContext
from pimd.lab.lab import NotInTime
from pimd.lab.topology import ring
from pimd.testing import DaemonMesh, NotRunning, virtual_time
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


class Broken(DaemonPlugin):
    """Cannot start; or its task cannot go on."""

    name: ClassVar[str] = "ticks"

    async def start(self, ctx: PluginContext) -> None:
        raise OSError("no such device")


class Crashing(Broken):
    async def start(self, ctx: PluginContext) -> None:
        async def work() -> None:
            await ctx.clock.sleep(3600)
            raise OSError("no such device")

        ctx.spawn("work", work())


@pytest.mark.slow
@virtual_time
async def test_a_feature_that_fails_fails_the_test(pimd_mesh: Make) -> None:
    with pytest.raises(NotRunning, match=r"n1: feature ticks is failed: its start failed: OSError: no such device"):
        async with pimd_mesh([Feature("ticks", "Breaks.", (), Broken)]):
            pass
    crashing = Feature("ticks", "Crashes.", (), Crashing)
    with pytest.raises(AssertionError, match=r"feature ticks: its task 'work' crashed: OSError"):
        async with pimd_mesh([crashing]) as mesh:
            await mesh.sleep(3601)
    async with pimd_mesh([crashing], may_fail=True) as mesh:
        await mesh.sleep(3601)
        assert all(daemon.running_daemon.assembly.row("ticks").state == "failed" for daemon in mesh)


def test_settings_of_no_feature_are_refused(pimd_mesh: Make) -> None:
    with pytest.raises(TypeError, match=r'settings=\{"name": Settings'):
        pimd_mesh([FEATURE], settings=Settings())


@virtual_time
async def test_params_may_hold_ids(pimd_mesh: Make) -> None:
    async with pimd_mesh() as mesh:
        one, other = mesh
        assert await one.call("peers.resolve", {"name": other.id})
        with pytest.raises(TypeError, match="is no JSON"):
            await one.call("peers.resolve", {"name": object()})


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
