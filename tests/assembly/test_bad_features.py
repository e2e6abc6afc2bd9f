"""A bad feature costs its own row, and nothing else."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pimd.assembly import assembly, plan, plugin_host, provided
from pimd.assembly.log_rate_limit import LogRateLimit
from pimd.assembly.services import channel_of
from pimd.contract import DaemonPlugin, Feature, NoParams, PluginContext, rpc
from pimd.ids import NodeId
from pimd.rpc.connection import Connection
from pimd.rpc.feed import ConnectionFeed
from pimd.settings import Settings
from pimd.store.config_file import ConfigFile
from pimd_features.peers import FEATURE as PEERS
from pimd_features.status import FEATURE as STATUS
from tests.assembly.bad_at_work import BAD
from tests.assembly.bad_features import Bad
from tests.assembly.conftest import Assemble, Assembled, until
from tests.repeats import one_in

PEER = NodeId(b"\x09" * 16)
CALLS = 100


class Good(DaemonPlugin):
    """Notes what comes to it."""

    name: ClassVar[str] = "good"
    payload_kinds: ClassVar[tuple[str, ...]] = ("good.x",)

    async def start(self, ctx: PluginContext) -> None:
        self.got: list[bytes] = []
        self.forgot: list[NodeId] = []
        self.shut_down = 0

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        assert not self.shut_down
        self.got.append(body)

    async def on_peer_forgotten(self, peer: NodeId) -> None:
        self.forgot.append(peer)

    async def shutdown(self) -> None:
        self.shut_down += 1

    @rpc("good.count")
    async def count(self, _: NoParams) -> int:
        """Count."""
        return len(self.got)


GOOD = Feature("good", "Notes.", ("good",), Good)


async def payload(all_: Assembled) -> None:
    before = all_.row("bad").failures
    host = all_.host("bad")
    all_.deliver("bad.x")

    def is_over() -> bool:
        taken = not host._queue and "handle_payload" not in host.guard.calls.busy
        return bool(taken or all_.row("bad").failures != before or all_.row("bad").state != "running")

    await until(is_over)


async def do(all_: Assembled) -> None:
    await all_.call("bad.do")
    await asyncio.sleep(0)


async def forget(all_: Assembled) -> None:
    await all_.core.keystore.import_identity(PEER, b"\x42" * 32, "x")
    assert await all_.core.keystore.forget(PEER)


async def forget_and_erase(all_: Assembled) -> None:
    await all_.core.keystore.import_identity(PEER, b"\x42" * 32, "x")
    answer = await all_.call("peers.forget", {"node_id": str(PEER), "also_delete_messages": True})
    assert answer["result"]["forgot_identity"]


async def datagram(all_: Assembled) -> None:
    all_.core.node.datagrams._receivers[channel_of("bad")](PEER, b"x")


async def nearby(all_: Assembled) -> None:
    assert (await all_.call("peers.discovered"))["result"] == []


async def subscribe(all_: Assembled) -> None:
    async def send(_: str) -> None:
        """Nobody listens."""

    connection = Connection("unix", ConnectionFeed(all_.rpc.streams, send))
    message = all_.rpc.dispatch.parse(b'{"jsonrpc": "2.0", "id": 1, "method": "bad.subscribe"}')
    await all_.rpc.dispatch.answer(message, connection)


async def disable(all_: Assembled) -> None:
    assert (await all_.assembly.disable("bad")).state == "disabled"


async def enable(all_: Assembled) -> None:
    assert (await all_.assembly.enable("bad")).state == "running"


async def two_payloads(all_: Assembled) -> None:
    plugin: Any = all_.host("bad").plugin
    await until(lambda: bool(plugin.n == 2))


async def nothing(_: Assembled) -> None:
    """What is bad shows at the start."""


ACTS: dict[str, Callable[[Assembled], Awaitable[None]]] = {
    "payload": payload,
    "do": do,
    "forget": forget,
    "forget and erase": forget_and_erase,
    "datagram": datagram,
    "nearby": nearby,
    "subscribe": subscribe,
    "disable": disable,
    "enable": enable,
    "wait for 2": two_payloads,
    "short start": nothing,
}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that are reached within a test, and the filter that all handlers of a daemon have."""
    rate_limit = LogRateLimit(lambda: 0.0)
    for handler in logging.getLogger().handlers:
        monkeypatch.setattr(handler, "filters", [*handler.filters, rate_limit])
    monkeypatch.setattr(assembly, "DOORS_S", 0.05)
    monkeypatch.setattr(plan, "IMPORT_S", 0.05)
    monkeypatch.setattr(provided, "CALL_S", 0.05)
    for name in ("PAYLOAD_S", "FORGOTTEN_S", "DRAIN_S", "SHUTDOWN_S", "TASKS_S"):
        monkeypatch.setattr(plugin_host, name, 0.05)


async def beside(all_: Assembled) -> None:
    """Call what must be answered whatever the bad feature does."""
    for _ in range(CALLS):
        assert "result" in await all_.call("status")


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("bad", one_in(3, BAD, lambda bad: bad.what))
async def test_a_bad_feature_costs_its_own_row(
    bad: Bad, assemble: Assemble, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "short start" in bad.acts:
        monkeypatch.setattr(plugin_host, "START_S", 0.02)
    config = ConfigFile(None, tmp_path / "pim.toml", Settings(), "test")
    tables = {"bad": bad.table} if bad.table else {}
    all_ = await assemble(PEERS, STATUS, GOOD, candidates=[bad.candidate()], config=config, tables=tables)
    # The doors open early here, for those that never start.
    await until(lambda: {all_.row(name).state for name in ("peers", "status", "good")} == {"running"})
    good = all_.host("good").plugin
    assert isinstance(good, Good)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(beside(all_))
        for act in bad.acts:
            await ACTS[act](all_)
        await until(lambda: bool(all_.row("bad").state == bad.state))
        answer = await all_.call("bad.do")
    assert bad.reason in all_.row("bad").reason
    assert bad.line in caplog.text
    assert "Traceback" not in "".join(r.getMessage() for r in caplog.records if "reference" not in r.getMessage())
    assert answer.get("result", answer.get("error", {}).get("code")) == bad.answer, answer
    if bad.answer == -32601:
        assert (answer["error"]["data"]["feature"], answer["error"]["data"]["state"]) == ("bad", bad.state)
    await the_others_work(all_, good)
    await all_.assembly.stop()
    assert good.shut_down == 1
    assert not all_.assembly.running()
    assert not all_.assembly.who_is_left()


async def the_others_work(all_: Assembled, good: Good) -> None:
    all_.deliver("good.x", b"1")
    await until(lambda: good.got == [b"1"])
    assert (await all_.call("good.count"))["result"] == 1
    await forget(all_)
    assert good.forgot[-1] == PEER
    assert {name: all_.row(name).state for name in ("peers", "status", "good")} == {
        "peers": "running",
        "status": "running",
        "good": "running",
    }
    if all_.row("bad").state == "running":
        assert "bad.do" in str((await all_.call("rpc.discover"))["result"])


def test_there_are_enough_of_them() -> None:
    assert len(BAD) >= 45
    assert len({bad.what for bad in BAD}) == len(BAD)
