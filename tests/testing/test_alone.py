"""One feature alone: what comes to it, what it sends, publishes and logs, and the clock."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from pimd.contract import (
    PUBLISH,
    DaemonPlugin,
    EventStream,
    Feature,
    FeatureSettings,
    Forgotten,
    NoParams,
    PluginContext,
    PluginPayload,
    Result,
    Seen,
    Sent,
    rpc,
)
from pimd.ids import NodeId
from pimd.testing import STRANGER, Alone, NotRunning, SentDatagram, SentPayload, virtual_time
from pimd.testing.alone import settings_table
from pimd_features.status import FEATURE as STATUS

PEER = NodeId(b"\x09" * 16)


class Inner(FeatureSettings):
    words: list[str] = []  # noqa: RUF012 - a field


class Settings(FeatureSettings):
    period_s: int = 10
    secret: SecretStr = SecretStr("")
    inner: Inner = Inner()
    nothing: str | None = None


class Ticked(Result):
    kind: str = "ticked"
    count: int


class ClockPlugin(DaemonPlugin):
    """Ticks, echoes, and notes what it is told."""

    name: ClassVar[str] = "ticks"
    payload_kinds: ClassVar[tuple[str, ...]] = ("ticks.x",)

    async def start(self, ctx: PluginContext) -> None:
        self.ctx = ctx
        self.settings = Settings.model_validate(ctx.settings.model_dump())
        self.told: list[object] = []
        self.peers: list[object] = []
        ctx.datagrams.set_receiver(lambda src, packet: self.told.append((src, packet)))
        ctx.datagrams.set_writable(self.told.append)
        ctx.spawn("ticks", self.tick())
        ctx.spawn("peers", self.follow())

    async def tick(self) -> None:
        count = 0
        while True:
            await self.ctx.clock.sleep(self.settings.period_s)
            count += 1
            self.ctx.services[PUBLISH]("ticks.event", Ticked(count=count))

    async def follow(self) -> None:
        with self.ctx.peers.subscribe() as events:
            async for event in events:
                self.peers.append(event)

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        if body == b"raise":
            raise ValueError("as asked")
        if body == b"hang":
            await asyncio.sleep(3600)
        await self.ctx.control.send_routed(src, PluginPayload(kind, body))
        await self.ctx.control.send_direct(src, PluginPayload(kind, b"direct"))

    async def on_peer_forgotten(self, peer: NodeId) -> None:
        self.told.append(peer)

    @rpc("ticks.send")
    async def send(self, _: NoParams) -> str:
        """Send a datagram."""
        return self.ctx.datagrams.send(PEER, b"packet").value


FEATURE = Feature(
    "ticks",
    "Ticks.",
    ("ticks",),
    ClockPlugin,
    events=(EventStream("ticks.event", Ticked),),
    settings=Settings,
    uses=(PUBLISH,),
)
Make = Callable[..., Alone]


@virtual_time
async def test_what_it_sends_is_kept(pimd_plugin: Make) -> None:
    async with pimd_plugin(FEATURE) as alone:
        await alone.deliver("ticks.x", b"hello", PEER)
        assert alone.sent == [
            SentPayload(PEER, "ticks.x", b"hello"),
            SentPayload(PEER, "ticks.x", b"direct", direct=True),
        ]
        assert await alone.call("ticks.send") == "sent"
        assert alone.datagrams == [SentDatagram(PEER, b"packet")]
        alone.outbox.answer = Sent.CONGESTED
        assert await alone.call("ticks.send") == "congested"
        assert len(alone.datagrams) == 1
        await alone.tell_writable(PEER)
        await alone.tell_writable(PEER)
        assert isinstance(alone.plugin, ClockPlugin)
        assert alone.plugin.told == [PEER]


@virtual_time
async def test_it_gets_datagrams_events_and_time(pimd_plugin: Make) -> None:
    async with pimd_plugin(FEATURE, settings=Settings(period_s=3600)) as alone:
        plugin = alone.plugin
        assert isinstance(plugin, ClockPlugin)
        await alone.deliver_datagram(b"\x01", PEER)
        await alone.know(PEER, "peer")
        await alone.forget(PEER)
        await alone.sleep(3 * 3600 + 1)
        assert plugin.told == [(PEER, b"\x01"), PEER]
        assert [type(event) for event in plugin.peers] == [Seen, Forgotten]
        assert [event["count"] for event in alone.published("ticks.event")] == [1, 2, 3]


@virtual_time
async def test_settings_are_given_as_the_declared_model(pimd_plugin: Make) -> None:
    settings = Settings(secret=SecretStr("hush"), inner=Inner(words=["a", "b"]), nothing=None)
    async with pimd_plugin(FEATURE, settings=settings) as alone:
        assert isinstance(alone.plugin, ClockPlugin)
        assert alone.plugin.settings == settings
    with pytest.raises(NotRunning, match=r"features\.ticks\.sise: Extra inputs are not permitted"):
        async with pimd_plugin(FEATURE, settings={"sise": 1}):
            pass


def test_only_what_was_set_is_in_the_table() -> None:
    assert settings_table(Settings(period_s=1)) == {"period_s": 1}
    assert settings_table(Settings(secret=SecretStr("x"), inner=Inner(words=["a"]))) == {
        "secret": "x",
        "inner": {"words": ["a"]},
    }


@virtual_time
async def test_failures_are_logged_and_time_ends_what_hangs(pimd_plugin: Make) -> None:
    async with pimd_plugin(FEATURE, may_fail=True) as alone:
        await alone.deliver("ticks.x", b"raise")
        began = alone.lab.now
        await alone.deliver("ticks.x", b"hang")
        assert 30 <= alone.lab.now - began < 31
        failed, hung = (record.text for record in alone.logged if record.level == "ERROR")
        assert failed.startswith("feature ticks: handle_payload failed: ValueError: as asked (test_alone.py:")
        assert hung == "feature ticks: handle_payload did not return within 30 s and was cancelled"
        assert alone.row.failures == 2


@virtual_time
async def test_a_failure_that_nobody_asked_for_is_told_at_the_end(pimd_plugin: Make) -> None:
    reason = (
        r"says may_fail=True:\n  feature ticks: handle_payload failed: ValueError: as asked \(test_alone\.py:\d+\)$"
    )
    with pytest.raises(AssertionError, match=reason):
        async with pimd_plugin(FEATURE) as alone:
            await alone.deliver("ticks.x", b"raise")


@virtual_time
async def test_names_that_the_feature_does_not_have_are_refused(pimd_plugin: Make) -> None:
    async with pimd_plugin(FEATURE) as alone:
        with pytest.raises(ValueError, match=r"does not claim the payload kind 'ticks\.y'; it claims: ticks\.x"):
            await alone.deliver("ticks.y")
        with pytest.raises(ValueError, match=r"declares the stream 'ticks\.events'; there are: ticks\.event"):
            alone.published("ticks.events")


@virtual_time
async def test_its_table_is_read_anew_when_it_is_turned_on(pimd_plugin: Make) -> None:
    async with pimd_plugin(FEATURE) as alone:
        await alone.disable()
        alone.daemon.machine.config.text += "\n[features.ticks]\nperiod_s = 7\n"
        await alone.enable()
        assert isinstance(alone.plugin, ClockPlugin)
        assert alone.plugin.settings.period_s == 7


@virtual_time
async def test_it_is_turned_off_and_on(pimd_plugin: Make) -> None:
    async with pimd_plugin(FEATURE) as alone:
        first = alone.plugin
        await alone.disable()
        with pytest.raises(NotRunning, match="ticks is disabled: disabled while running"):
            _ = alone.plugin
        await alone.deliver("ticks.x", b"to nobody")
        with pytest.raises(LookupError):
            await alone.deliver_datagram(b"x")
        await alone.enable()
        assert alone.plugin is not first
        assert alone.sent == []


@virtual_time
async def test_features_that_it_requires_run_beside_it(pimd_plugin: Make) -> None:
    async with pimd_plugin(STATUS) as alone:
        neighbour = await alone.neighbour("bob")
        answer = await alone.call("status")
        assert [peer["node_id"] for peer in answer["peers"]] == [str(neighbour.id)]
        rows = {row["name"]: row["state"] for row in await alone.call("features.list")}
        assert (rows["peers"], rows["status"], rows["messaging"]) == ("running", "running", "disabled")


async def test_without_virtual_time_it_says_what_to_write(pimd_plugin: Make) -> None:
    with pytest.raises(RuntimeError, match=r"write @virtual_time of pimd\.testing above the test"):
        async with pimd_plugin(FEATURE):
            pass


def test_what_is_not_async_is_refused() -> None:
    def plain() -> None:
        """Forgot async."""

    wrong: Any = plain
    with pytest.raises(TypeError, match=r"write: async def plain\(\.\.\.\)"):
        virtual_time(wrong)


def test_strangers_are_nobody() -> None:
    assert STRANGER != PEER
