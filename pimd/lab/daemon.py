"""A whole daemon on a machine of the lab: started, stopped, killed, and started again on the same disk and key."""

import asyncio
import contextvars
import hashlib
import json
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pimd.addresses import Endpoint
from pimd.app import Parts, RunningDaemon, listen_endpoints, mesh_passphrase, running_daemon
from pimd.assembly.log_ring import LogRing
from pimd.assembly.plan import Plan
from pimd.contract import RpcError
from pimd.database.file import opener
from pimd.ids import MessageId, NodeId
from pimd.lab.clock import LabClock
from pimd.lab.config import ConfigTextHolder, LabConfig
from pimd.lab.disk import Disk
from pimd.lab.log import speaker
from pimd.lab.network import Host, HostTransport
from pimd.lab.node import LabNode
from pimd.lab.probe import on_probe
from pimd.mesh.node import Node
from pimd.net.network import Network
from pimd.proto.identity import Identity
from pimd.proto.mesh_secret import MeshSecret, derive
from pimd.rpc.connection import Connection
from pimd.rpc.streams import Stream
from pimd.rpc.subscriber import Subscriber
from pimd.settings import Settings
from pimd.stop import Stop
from pimd.store.data_dir import DataDir

log = logging.getLogger("pimd.lab")

T = TypeVar("T")

PORT = 9100
LOG_STREAM = "logs.event"
EVENTS_KEPT = 10_000
"""Notifications kept for each daemon."""


class DaemonDied(Exception):  # noqa: N818 - says what is the matter
    """The daemon was stopped, killed, or crashed while it was to answer, or did not come up."""


class LabEnvironment(Protocol):
    """The part of a lab that its daemons use; `Lab` implements it."""

    group: asyncio.TaskGroup
    keeps_events: bool

    def plan(self, settings: Settings) -> Plan:
        """Return which features run; the lab caches it, since a plan imports them."""

    def crashed(self, daemon: "LabDaemon", error: BaseException) -> None:
        """Called when a daemon ended by itself."""

    def probed(self, daemon: "LabDaemon", source: NodeId, body: bytes) -> None:
        """Called when the plugin of `daemon` got a probe."""


class _Life:
    """The state of one start of a daemon."""

    def __init__(self, name: str, host: Host, clock_error_ms: int, boot: int) -> None:
        self.name = name
        self.alive = True
        self.transport = HostTransport(host)
        self.clock = LabClock(clock_error_ms, boot)
        self.ring = LogRing()
        self.context = contextvars.copy_context()
        self.stop = Stop()
        loop = asyncio.get_running_loop()
        self.up: asyncio.Future[RunningDaemon] = loop.create_future()
        self.over: asyncio.Future[None] = loop.create_future()
        self.task: asyncio.Task[None] | None = None

    def keep(self, record: logging.LogRecord) -> None:
        """Put a record into the ring."""
        self.ring.emit(record)


@dataclass(frozen=True)
class Machine:
    """The parts of a machine that outlive its daemon: disk, key, configuration."""

    host: Host
    disk: Disk
    identity: Identity
    config: ConfigTextHolder
    data_dir: Path
    """A real directory, for features that write files."""


class LabDaemon:
    """Composed by the same functions as `pimd.app.run`, but without RPC listeners: `call` uses their dispatch."""

    def __init__(self, name: str, machine: Machine, lab: LabEnvironment, make_node: Callable[..., LabNode]) -> None:
        self.name = name
        self.machine = machine
        self.clock_error_ms = 0
        """Milliseconds that the wall clock is ahead, from the next start on; `set_clock` sets it at once."""
        self.boots = 1
        """Raised before a start: the machine was off meanwhile. The starts of one boot share its BOOTTIME."""
        self.events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        """All notifications but those of the log, over all starts: `{"method": ..., "params": ...}`."""
        self._lab = lab
        self._make_node = make_node
        self._life: _Life | None = None
        self._running: RunningDaemon | None = None
        self._calls = 0

    def __repr__(self) -> str:
        return f"<daemon {self.name}, {'up' if self.is_up else 'down'}>"

    @property
    def id(self) -> NodeId:
        """The id made from its key, the same at every start."""
        return self.machine.identity.node_id

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint of its mesh port, which other daemons dial; the same at every start."""
        return self.machine.host.endpoint(PORT)

    @property
    def is_up(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return self._running is not None

    @property
    def running_daemon(self) -> RunningDaemon:
        """The parts of the running daemon; `DaemonDied` when there is none."""
        if self._running is None:
            raise DaemonDied(f"{self.name} is not running")
        return self._running

    @property
    def node(self) -> Node:
        """The mesh node of the running daemon; `DaemonDied` when there is none."""
        return self.running_daemon.core.node

    @property
    def running(self) -> Node | None:
        """The running daemon, or None."""
        return self._running.core.node if self._running is not None else None

    # --- life

    async def start(self) -> None:
        """Return when features and mesh are up; raises the error that prevented the start."""
        if self._life is not None:
            raise RuntimeError(f"{self.name} runs already")
        machine = self.machine
        life = self._life = _Life(self.name, machine.host, self.clock_error_ms, self.boots)
        machine.host.context = life.context
        life.context.run(speaker.set, life)
        life.context.run(opener.set, machine.disk.open)
        life.context.run(on_probe.set, lambda source, body: self._probed(life, source, body))
        life.task = self._lab.group.create_task(self._live(life), name=self.name, context=life.context.copy())
        await asyncio.wait({life.up})  # a start whose caller was cancelled continues
        self._keep_events(life, life.up.result())

    async def stop(self) -> None:
        """Stop as SIGTERM does; return when the daemon has ended."""
        life = self._life
        if life is not None:
            life.stop.set()
            await asyncio.wait({life.over})

    def kill(self) -> None:
        """Kill as SIGKILL does: neighbours see a reset, uncommitted data is lost, its code has no further effect."""
        life, self._life, self._running = self._life, None, None
        if life is None or life.task is None:
            return
        life.alive = False
        life.clock.stop()
        life.transport.unplug()
        self.machine.disk.power_off()
        self.machine.host.crash()
        life.over.set_result(None)
        life.task.cancel()  # what it does while it unwinds reaches nobody

    def set_clock(self, error_ms: int) -> None:
        """Step the wall clock of the machine, whether the daemon runs or not."""
        self.clock_error_ms = error_ms
        if self._life is not None:
            self._life.clock.error_ms = error_ms

    # --- what a program sees

    async def call(
        self, method: str, params: Mapping[str, Any] | None = None, connection: Connection | None = None
    ) -> Any:
        """Call a method as over an RPC listener and return its result; `RpcError` for an error answer. Params may hold ids.

        Subscriptions need a `connection` that has a feed.
        """
        running = self.running_daemon
        self._calls += 1
        request = {"jsonrpc": "2.0", "id": self._calls, "method": method, "params": dict(params or {})}

        async def answer() -> str:
            message = running.rpc.dispatch.parse(json.dumps(request, default=_id).encode())
            answer = await running.rpc.dispatch.answer(message, connection or Connection("unix"))
            answer.sent()
            return answer.text or "{}"

        return _result(await self.within(method, answer))

    def published(self, stream: str) -> list[dict[str, Any]]:
        """The params of all events on a stream so far; ValueError for one that no running feature declares."""
        found = [event["params"] for event in self.events if event["method"] == stream]
        rows = self.running_daemon.assembly.rows() if self.is_up and not found else []
        if rows and not any(stream in row.events for row in rows):
            there = ", ".join(name for row in rows for name in row.events) or "none"
            raise ValueError(f"{self.name}: no feature that runs declares the stream {stream!r}; there are: {there}")
        return found

    async def within(self, what: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work()` as code of this daemon, with its log and its disk; raises what it raises.

        `DaemonDied` when the daemon ends first.
        """
        life = self._life
        if life is None:
            raise DaemonDied(f"{self.name} is not running")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def settle() -> None:
            try:
                result = await work()
            # Its caller's to take: in the group it would end the lab.
            except Exception as error:  # noqa: BLE001
                if not done.done():
                    done.set_exception(error)
            else:
                if not done.done():
                    done.set_result(result)

        task = self._lab.group.create_task(settle(), name=f"{self.name}: {what}", context=life.context.copy())
        ends: set[asyncio.Future[Any]] = {done, task, life.over}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            task.cancel()
            raise DaemonDied(f"{self.name} died before it was done with {what}")
        return done.result()

    # --- inside

    async def _live(self, life: _Life) -> None:
        try:
            async with running_daemon(self._parts(life), life.stop) as running:
                if life is self._life:
                    self._running = running
                life.up.set_result(running)
                await life.stop.wait()
        # The lab's seam: an error that ends one daemon is reported, and ends no other.
        except BaseException as error:  # noqa: BLE001
            self._ended_by(life, error)
        if life is self._life:
            self._life = self._running = None
        if not life.over.done():
            life.over.set_result(None)

    def _ended_by(self, life: _Life, error: BaseException) -> None:
        if not life.up.done():
            life.up.set_exception(error if isinstance(error, Exception) else DaemonDied(f"{self.name}: {error!r}"))
        elif life.alive and not isinstance(error, asyncio.CancelledError):
            log.error("crashed", exc_info=error)
            self._lab.crashed(self, error)

    def _parts(self, life: _Life) -> Parts:
        machine = self.machine
        settings = machine.config.settings()
        return Parts(
            settings=settings,
            plan=self._lab.plan(settings),
            identity=machine.identity,
            data_dir=DataDir(machine.data_dir),
            config=LabConfig(machine.config, settings),
            log_ring=life.ring,
            clock=life.clock,
            network=Network((life.transport,)),
            listen=listen_endpoints(settings, {}),
            secret=_secret(settings),
            make_node=self._make_node,
            watched=False,
        )

    def _probed(self, life: _Life, source: NodeId, body: bytes) -> None:
        if life.alive:
            self._lab.probed(self, source, body)

    def _keep_events(self, life: _Life, running: RunningDaemon) -> None:
        if not self._lab.keeps_events:
            return

        def attach(stream: Stream) -> None:
            if stream.declared.name != LOG_STREAM:
                attached: list[Subscriber] = []
                attached.append(stream.attach(None, None, lambda: self._take_events(life, attached)))
                attached[0].begin_with(stream.history())

        running.rpc.streams.push_to(attach)

    def _take_events(self, life: _Life, attached: Sequence[Subscriber]) -> None:
        for subscriber in attached:
            while (text := subscriber.next_text()) is not None:
                if life.alive:
                    event = json.loads(text)
                    self.events.append({"method": event["method"], "params": event["params"]})


def _id(value: object) -> str:
    """Write an id in params as a program does; TypeError for all else that is no JSON."""
    if isinstance(value, NodeId | MessageId):
        return str(value)
    raise TypeError(f"{value!r} is no JSON")


def _result(text: str) -> Any:
    answer = json.loads(text)
    error = answer.get("error")
    if error is None:
        return answer.get("result")
    failure = RpcError(error["message"], error.get("data"))
    failure.code = error["code"]  # type: ignore[misc] # whatever class it was there
    raise failure


def _secret(settings: Settings) -> MeshSecret | None:
    mesh = settings.mesh
    if mesh.mode == "open":
        return None
    return _derived(mesh_passphrase(settings, {}), mesh.mesh_id, mesh.kdf.m_cost_kib, mesh.kdf.t_cost, mesh.kdf.p_cost)


@cache
def _derived(passphrase: str, mesh_id: str | None, m_cost_kib: int, t_cost: int, p_cost: int) -> MeshSecret:
    return derive(passphrase, mesh_id, m_cost_kib, t_cost, p_cost)


def seed_of(lab_seed: int, name: str) -> bytes:
    """Return the key seed of a daemon, the same in every run with the same lab seed."""
    return hashlib.sha256(f"pimd.lab {lab_seed} {name}".encode()).digest()
