"""Faulty plugins harm nobody but themselves."""

import asyncio
import re
from typing import ClassVar

import pytest

from pimd.assembly import guard, plugin_host
from pimd.assembly.choice import AssemblyError
from pimd.contract import DaemonPlugin, Feature, NoParams, PluginContext, PluginPayload, rpc
from pimd.ids import NodeId
from tests.assembly.conftest import Assemble, until


class Good(DaemonPlugin):
    """Counts what it gets."""

    name: ClassVar[str] = "good"
    payload_kinds: ClassVar[tuple[str, ...]] = ("good.x",)

    async def start(self, ctx: PluginContext) -> None:
        self.ctx = ctx
        self.got: list[bytes] = []

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        self.got.append(body)

    @rpc("good.count")
    async def count(self, _: NoParams) -> int:
        """Count."""
        return len(self.got)


class Quiet(DaemonPlugin):
    """Does nothing."""

    async def start(self, ctx: PluginContext) -> None:
        self.ctx = ctx


class Bad(DaemonPlugin):
    """Does what the test tells it to."""

    name: ClassVar[str] = "bad"
    payload_kinds: ClassVar[tuple[str, ...]] = ("bad.x",)
    handling: ClassVar[BaseException | None] = None

    async def start(self, ctx: PluginContext) -> None:
        self.ctx = ctx

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        if body == b"hang":
            await asyncio.Event().wait()
        if body == b"flood":
            while True:
                await self.ctx.control.send_routed(src, PluginPayload("bad.x", b"x"))
        if self.handling is not None:
            raise self.handling

    @rpc("bad.ping")
    async def ping(self, _: NoParams) -> str:
        """Answer."""
        return "pong"

    @rpc("bad.crash")
    async def crash(self, _: NoParams) -> None:
        """Crash a task."""

        async def work() -> None:
            raise SystemExit(3)

        self.ctx.spawn("doomed", work())


GOOD = Feature("good", "Counts.", ("good",), Good)
BAD = Feature("bad", "Fails.", ("bad",), Bad)


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), asyncio.CancelledError(), KeyboardInterrupt()])
async def test_whatever_a_handler_raises_is_counted_and_five_times_quarantines(
    assemble: Assemble, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(Bad, "handling", error)
    all_ = await assemble(BAD, GOOD)
    for _ in range(4):
        all_.deliver("bad.x")
    all_.deliver("good.x", b"1")
    host = all_.host("bad")
    await until(lambda: host.failures == 4)
    assert all_.row("bad").state == "running"
    all_.deliver("bad.x")
    await until(lambda: all_.row("bad").state == "quarantined")
    answer = await all_.call("bad.ping")
    assert answer["error"]["code"] == -32601
    assert answer["error"]["data"]["state"] == "quarantined"
    all_.deliver("bad.x")
    await until(lambda: all_.core.node.service.counters().get("dropped_quarantined") == 1)
    assert (await all_.call("good.count"))["result"] == 1

    monkeypatch.setattr(Bad, "handling", None)
    assert (await all_.assembly.enable("bad")).state == "running"
    assert (await all_.call("bad.ping"))["result"] == "pong"


async def test_failures_far_apart_do_not_quarantine(assemble: Assemble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bad, "handling", ValueError("x"))
    monkeypatch.setattr(guard, "WINDOW_S", 0.0)
    all_ = await assemble(BAD)
    for _ in range(8):
        all_.deliver("bad.x")
    await until(lambda: all_.host("bad").failures == 8)
    assert all_.row("bad").state == "running"


async def test_a_handler_that_never_returns_is_cancelled_and_counted(
    assemble: Assemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_host, "PAYLOAD_S", 0.01)
    all_ = await assemble(BAD, GOOD)
    all_.deliver("bad.x", b"hang")
    all_.deliver("good.x", b"1")
    await until(lambda: all_.host("bad").failures == 1)
    assert (await all_.call("good.count"))["result"] == 1
    assert (await all_.call("bad.ping"))["result"] == "pong"


async def test_a_plugin_that_floods_leaves_the_loop_to_others(assemble: Assemble) -> None:
    all_ = await assemble(BAD, GOOD)
    all_.deliver("bad.x", b"flood")
    for n in range(20):
        all_.deliver("good.x", b"%d" % n)
    good = all_.host("good").plugin
    assert isinstance(good, Good)
    await until(lambda: len(good.got) == 20)
    assert (await all_.call("good.count"))["result"] == 20


async def test_a_crashed_task_ends_that_plugin_only(assemble: Assemble) -> None:
    all_ = await assemble(BAD, GOOD)
    await all_.call("bad.crash")
    await until(lambda: all_.row("bad").state == "failed")
    assert (await all_.call("bad.ping"))["error"]["data"]["state"] == "failed"
    assert (await all_.call("good.count"))["result"] == 0


async def test_a_shutdown_that_never_returns_holds_nobody_up(
    assemble: Assemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stuck(Quiet):
        """Ignores even its cancellation, once."""

        name: ClassVar[str] = "stuck"

        async def shutdown(self) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(0.05)

    monkeypatch.setattr(plugin_host, "SHUTDOWN_S", 0.01)
    monkeypatch.setattr(plugin_host, "TASKS_S", 0.01)
    all_ = await assemble(Feature("stuck", "Hangs.", (), Stuck), GOOD)
    await all_.assembly.stop()
    assert all_.assembly.running() == []


async def test_a_plugin_is_told_to_end_before_it_is_shut_down_and_then_gets_nothing_more(assemble: Assemble) -> None:
    told: list[bool] = []

    class Plugin(Good):
        """Looks whether it was told."""

        async def shutdown(self) -> None:
            told.append(self.ctx.cancel.is_cancelled)

    all_ = await assemble(Feature("good", "Looks.", plugin=Plugin, namespaces=("good",)))
    plugin = all_.host("good").plugin
    assert isinstance(plugin, Plugin)
    assert not plugin.ctx.cancel.is_cancelled
    await all_.assembly.disable("good")
    assert (told, all_.assembly.running()) == ([True], [])
    all_.deliver("good.x")
    assert all_.core.node.service.counters()["dropped_unclaimed_kind"] == 1
    assert (await all_.call("good.count"))["error"]["code"] == -32601
    await all_.assembly.enable("good")
    assert all_.assembly.running() == ["good"]


async def test_stopping_goes_in_reverse_order_and_includes_what_failed_half_way(assemble: Assemble) -> None:
    order: list[str] = []

    def feature(name_: str, *, fails: bool = False, requires: tuple[str, ...] = ()) -> Feature:
        class Plugin(DaemonPlugin):
            """Notes what happens to it."""

            name: ClassVar[str] = name_

            async def start(self, ctx: PluginContext) -> None:
                order.append(f"+{name_}")
                if fails:
                    raise RuntimeError("half-way")

            async def shutdown(self) -> None:
                order.append(f"-{name_}")

        return Feature(name_, "Notes.", (), Plugin, requires=requires, optional=fails)

    all_ = await assemble(feature("b", requires=("a",)), feature("a"), feature("c", fails=True))
    assert order == ["+a", "+c", "+b", "-c"]
    assert all_.row("c").state == "failed"
    await all_.assembly.stop()
    assert order == ["+a", "+c", "+b", "-c", "-b", "-a"]


class Broken(DaemonPlugin):
    """Cannot start."""

    name: ClassVar[str] = "broken"

    async def start(self, ctx: PluginContext) -> None:
        raise OSError("no such device")


BROKEN = Feature("broken", "Breaks.", (), Broken)


async def test_a_feature_that_does_not_start_is_failed_with_what_requires_it(assemble: Assemble) -> None:
    all_ = await assemble(BROKEN, Feature("on_top", "x", requires=("broken",)), GOOD)
    assert all_.row("broken").state == "failed"
    reason = r"its start failed: OSError: no such device \(test_containment\.py:\d+\)"
    assert re.fullmatch(reason, all_.row("broken").reason)
    assert all_.row("on_top").state == "failed"
    assert all_.row("on_top").reason.startswith("on_top -> broken: on_top cannot run without broken (failed: its start")
    assert (await all_.call("good.count"))["result"] == 0


async def test_a_required_feature_that_does_not_start_ends_the_start(assemble: Assemble) -> None:
    with pytest.raises(AssemblyError, match=r"feature broken, .*: its start failed: OSError: no such device"):
        await assemble(BROKEN, required=["broken"])


async def test_all_plugins_are_told_of_a_forgotten_peer_whatever_one_does(assemble: Assemble) -> None:
    told: list[NodeId] = []

    class Failing(Quiet):
        """Fails."""

        name: ClassVar[str] = "failing"

        async def on_peer_forgotten(self, peer: NodeId) -> None:
            raise SystemExit(1)

    class Listening(Quiet):
        """Listens."""

        name: ClassVar[str] = "listening"

        async def on_peer_forgotten(self, peer: NodeId) -> None:
            told.append(peer)

    all_ = await assemble(Feature("failing", "Fails.", (), Failing), Feature("listening", "Listens.", (), Listening))
    peer = NodeId(b"\x09" * 16)
    await all_.core.keystore.import_identity(peer, b"\x42" * 32, "x")
    assert await all_.core.keystore.forget(peer)
    assert told == [peer]
    assert all_.host("failing").failures == 1


class Greedy(Quiet):
    """Claims the other's kind."""

    name: ClassVar[str] = "greedy"
    payload_kinds: ClassVar[tuple[str, ...]] = ("good.x",)


async def test_a_kind_has_one_owner_by_rank_and_not_by_history(assemble: Assemble) -> None:
    all_ = await assemble(GOOD, Feature("greedy", "Takes.", (), Greedy))
    reason = "the payload kind good.x belongs to good, which comes first"
    assert all_.row("greedy").state == "failed"
    assert reason in all_.row("greedy").reason
    with pytest.raises(AssemblyError, match=reason):
        await all_.assembly.enable("greedy")
    await all_.assembly.disable("good")
    assert (await all_.assembly.enable("greedy")).state == "running"
    assert (await all_.assembly.enable("good")).state == "running"
    assert (all_.row("greedy").state, reason in all_.row("greedy").reason) == ("failed", True)
    all_.deliver("good.x", b"1")
    good = all_.host("good").plugin
    assert isinstance(good, Good)
    await until(lambda: good.got == [b"1"])
