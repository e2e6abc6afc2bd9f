"""The lab: daemons, cables between them, and virtual time that passes only while it is awaited."""

import asyncio
import json
import logging
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import tomlkit

from pimd.app import feature_choice
from pimd.assembly.choice import Candidate, builtin_candidates, installed_at_first
from pimd.assembly.known import known_features
from pimd.assembly.plan import Plan
from pimd.contract import Feature, PeerEntry
from pimd.ids import NodeId
from pimd.lab.config import ConfigTextHolder
from pimd.lab.daemon import LabDaemon, Machine, seed_of
from pimd.lab.disk import Disk
from pimd.lab.graph import Convergence
from pimd.lab.liars import LyingNode
from pimd.lab.log import LabLog, LabRecord
from pimd.lab.network import Internet
from pimd.lab.node import CheckedCards, LabNode, Watcher
from pimd.lab.probe import FEATURE as PROBE
from pimd.lab.streams import Cable
from pimd.lab.topology import Position, Topology
from pimd.lab.virtual_loop import VirtualLoop
from pimd.mesh.peer_link import PeerLink
from pimd.proto.identity import Identity
from pimd.settings import Settings
from pimd.task_scope import task_scope

LATENCY_S = 0.01
STEP_S = 0.05
"""Virtual seconds between two checks of a condition."""
MEMORY_FILES = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
"""A file system in memory, on systems that have it."""
NEEDS_SOCKETS = {"discovery": "a lab has no local network to look around on"}

Dials = Literal["one", "other", "both", "nobody"]

TABLES: Mapping[str, Any] = {
    "transport": {"listen_port": 9100},
    "rpc": {"http_enabled": False, "unix_enabled": False},
}
"""Tables of each daemon's pim.toml, before those of its settings."""


class NotInTime(Exception):  # noqa: N818 - says what is the matter
    """A condition did not come true within its virtual time."""


class Lab:
    """Use as an async context manager inside `pimd.lab.run`; daemons that still run at its end are killed."""

    def __init__(
        self,
        seed: int,
        *,
        settings: Mapping[str, Any] | None = None,
        features: Sequence[Feature] = (),
        log_level: str = "info",
        keeps_events: bool = True,
    ) -> None:
        self.seed = seed
        self.random = random.Random(f"pimd.lab scenario {seed}")
        """For scenarios; the daemons draw from `os.urandom` and `random`."""
        self.daemons: dict[str, LabDaemon] = {}
        self.by_id: dict[NodeId, LabDaemon] = {}
        self.keeps_events = keeps_events
        self.crashes: list[str] = []
        """Daemons that ended by themselves, and why; each is a fault."""
        self.on_probe: Callable[[LabDaemon, NodeId, bytes], None] | None = None
        """Called for each probe that a plugin gets."""
        self.positions: dict[str, Position] = {}
        """Positions of daemons in pictures, by name; the others are drawn on a circle."""
        self.watcher: Watcher | None = None
        """Called for every change of links and routes."""
        self._settings = merged(TABLES, settings or {})
        self._features = (*features, PROBE)
        self._log_level = log_level.upper()
        self._checked_cards = CheckedCards()
        self._plans: dict[str, Plan] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            hint = "start it with pimd.lab.run, or write @virtual_time of pimd.testing above the test"
            raise RuntimeError(f"a lab needs a virtual loop: {hint}")  # noqa: TRY004 - of no argument
        self._loop = loop
        await self._stack.__aenter__()
        self.internet = Internet()
        self.log = LabLog()
        self._begin_logging()
        self._directory = Path(self._stack.enter_context(_temporary_directory()))
        self._stack.callback(self._close_disks)
        self.group = await self._stack.enter_async_context(task_scope())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for daemon in self.daemons.values():
            daemon.kill()
        await self._stack.__aexit__(kind, error, trace)

    # --- daemons

    def add_daemon(
        self,
        name: str | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
        clock_error_ms: int = 0,
        make_node: Callable[..., LabNode] | None = None,
    ) -> LabDaemon:
        """Set up a machine with a stopped daemon; names are n1, n2 and so on unless given.

        `settings` are tables as in pim.toml, merged into the lab's. `make_node` makes a node with other behaviour.
        """
        number = len(self.daemons) + 1
        name = name or f"n{number}"
        if name in self.daemons:
            raise ValueError(f"there is a daemon {name} already")
        tables = merged(merged(self._settings, {"node": {"name": name}}), settings or {})
        machine = Machine(
            host=self.internet.host(number),
            disk=Disk(),
            identity=Identity.from_seed(seed_of(self.seed, name)),
            config=ConfigTextHolder(tomlkit.dumps(tables)),
            data_dir=self._directory / name,
        )
        machine.data_dir.mkdir(mode=0o700)
        make = partial(make_node or LabNode, watcher=self, parse_card=self._checked_cards)
        daemon = self.daemons[name] = self.by_id[machine.identity.node_id] = LabDaemon(name, machine, self, make)
        daemon.clock_error_ms = clock_error_ms
        return daemon

    def add_liar(self, *lies: str, name: str | None = None, **more: Any) -> LabDaemon:
        """Set up a daemon that tells these lies, names of `LIES` or `LOSSES` in pimd.lab.lies."""
        name = name or f"n{len(self.daemons) + 1}"
        make = partial(LyingNode, lies=lies, seed=f"{self.seed} {name}")
        return self.add_daemon(name, make_node=make, **more)

    def add_daemons(self, count: int, **more: Any) -> list[LabDaemon]:
        """Set up several daemons with the same settings."""
        return [self.add_daemon(**more) for _ in range(count)]

    async def start(self, *daemons: LabDaemon) -> None:
        """Start these daemons, or all, at the same time, as after a power cut."""
        async with task_scope() as starting:
            for daemon in daemons or tuple(self.daemons.values()):
                starting.create_task(daemon.start(), name=f"start {daemon.name}")

    def build(
        self,
        topology: Topology,
        latency_s: float | Callable[[], float] = LATENCY_S,
        **more: Any,
    ) -> list[LabDaemon]:
        """Set up a daemon for each node and a cable for each edge; `more` is for `add_daemon`."""
        daemons = self.add_daemons(topology.count, **more)
        self.place(daemons, topology)
        for one, other in topology.edges:
            self.connect(daemons[one], daemons[other], latency_s() if callable(latency_s) else latency_s)
        return daemons

    def place(self, daemons: Sequence[LabDaemon], topology: Topology) -> None:
        """Draw daemons at the positions of the topology."""
        self.positions.update(zip((daemon.name for daemon in daemons), topology.positions, strict=True))

    # --- cables

    def connect(
        self,
        one: LabDaemon,
        other: LabDaemon,
        latency_s: float | tuple[float, float] = LATENCY_S,
        *,
        dials: Dials = "one",
        rate: float | None = None,
    ) -> Cable:
        """Lay a cable, and choose which ends dial as configured peers.

        `rate` is in bytes a second each way; None adds no time to the latency.
        """
        latencies = (latency_s, latency_s) if isinstance(latency_s, float | int) else latency_s
        cable = self.internet.connect(one.machine.host, other.machine.host, latencies, rate)
        if dials in ("one", "both"):
            self._dial(one, other)
        if dials in ("other", "both"):
            self._dial(other, one)
        return cable

    def cable(self, one: LabDaemon, other: LabDaemon) -> Cable:
        """The cable between two; KeyError when there is none."""
        return one.machine.host.cables[other.machine.host.address]

    def cut(
        self,
        one: LabDaemon,
        other: LabDaemon,
        notice_s: tuple[float | None, float | None] = (0.0, 0.0),
    ) -> None:
        """Block a cable; each end notices after its delay, or with None after the protocol's 15 s."""
        cable = self.cable(one, other)
        in_order = cable.ends[0] is one.machine.host
        cable.cut(notice_s if in_order else (notice_s[1], notice_s[0]))

    def restore(self, one: LabDaemon, other: LabDaemon) -> None:
        """Undo `cut`: held-up bytes arrive, and streams that were reset are dialled again by the daemons."""
        self.cable(one, other).restore()

    def partition(self, some: Sequence[LabDaemon], notice_s: tuple[float | None, float | None] = (0.0, 0.0)) -> None:
        """Cut every cable between `some` and the others; `notice_s` starts with the delay of `some`."""
        inside = {daemon.machine.host.address for daemon in some}
        for (near, far), cable in self.internet.cables.items():
            if (near in inside) != (far in inside):
                cable.cut(notice_s if near in inside else (notice_s[1], notice_s[0]))

    def heal(self) -> None:
        """Restore every cable that is cut; those that are up are left alone."""
        for cable in self.internet.cables.values():
            if not cable.up:
                cable.restore()

    # --- time

    @property
    def now(self) -> float:
        """Virtual seconds since the lab began."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    async def until(self, condition: Callable[[], bool], limit_s: float, what: str = "it") -> float:
        """Wait for a condition and return the virtual seconds; `NotInTime` after `limit_s`."""
        began = self.now
        while not condition():
            if self.now - began >= limit_s:
                raise NotInTime(f"{what} was not so within {limit_s:g} s of virtual time (t={self.now:.3f})")
            await asyncio.sleep(STEP_S)
        return self.now - began

    async def converged(self, limit_s: float) -> float:
        """Wait until all routes are complete and shortest; return the virtual seconds, or raise `NotInTime`."""
        return await self.until(Convergence(self), limit_s, "convergence")

    # --- for daemons

    def plan(self, settings: Settings) -> Plan:
        """Return the plan for a choice of features; cached, because it imports them."""
        choice = feature_choice(settings)
        own_names = {feature.name for feature in self._features}  # these replace others of the same name
        needs_sockets = {name: why for name, why in NEEDS_SOCKETS.items() if name not in own_names}
        choice = replace(choice, disabled={**needs_sockets, **choice.disabled})
        key = json.dumps(asdict(choice), sort_keys=True, default=str)
        if key not in self._plans:
            known = known_features()
            own = [Candidate(feature.name, "lab", "lab", _loader(feature)) for feature in self._features]
            others = [one for one in (*builtin_candidates(known), *installed_at_first()) if one.name not in own_names]
            self._plans[key] = Plan(choice, known, [*others, *own])
        return self._plans[key]

    def crashed(self, daemon: LabDaemon, error: BaseException) -> None:
        """Append the time and the error to `crashes`; scenarios count each as a fault."""
        self.crashes.append(f"t={self.now:.3f} {daemon.name}: {error!r}")

    def probed(self, daemon: LabDaemon, source: NodeId, body: bytes) -> None:
        """Call `on_probe`, when a scenario has set it."""
        if self.on_probe is not None:
            self.on_probe(daemon, source, body)

    def links_changed(self, node: LabNode, link: PeerLink, *, up: bool) -> None:
        """Call the watcher; nodes call this at each change of a link."""
        if self.watcher is not None:
            self.watcher.links_changed(node, link, up=up)

    def routes_changed(self, node: LabNode, destinations: Sequence[NodeId]) -> None:
        """Call the watcher; nodes call this at each change of next hops."""
        if self.watcher is not None:
            self.watcher.routes_changed(node, destinations)

    def overheard(self, liar: LabNode, sealed: bytes) -> None:
        """Call the watcher with the sealed payload of a frame that a liar relays."""
        if self.watcher is not None:
            self.watcher.overheard(liar, sealed)

    # --- inside

    def _dial(self, one: LabDaemon, other: LabDaemon) -> None:
        one.machine.config.add_peer(other.endpoint)
        if one.is_up:
            one.node.service.keep_dialling(PeerEntry(other.endpoint), configured=True)

    def _begin_logging(self) -> None:
        root = logging.getLogger()
        before = root.level
        root.handlers.insert(0, self.log)  # it makes lines that cannot be written harmless for the others
        root.setLevel(self._log_level)
        self._stack.callback(root.setLevel, before)
        self._stack.callback(root.removeHandler, self.log)

    def _close_disks(self) -> None:
        for daemon in self.daemons.values():
            daemon.machine.disk.close()

    def log_of(self, daemon: LabDaemon) -> list[LabRecord]:
        """The log records of one daemon."""
        return [record for record in self.log.records if record.daemon == daemon.name]


def _temporary_directory() -> tempfile.TemporaryDirectory[str]:
    where = MEMORY_FILES if MEMORY_FILES.is_dir() else None
    return tempfile.TemporaryDirectory(prefix="pimd-lab-", dir=where, ignore_cleanup_errors=True)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge tables key by key; the later ones win."""
    both = dict(below)
    for key, value in above.items():
        under = both.get(key)
        both[key] = merged(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return both


def _loader(feature: Feature) -> Callable[[], Feature]:
    return lambda: feature
