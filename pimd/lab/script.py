"""The events of a scenario, drawn from its seed: nodes, failures and their times."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pimd.lab.lab import Dials
from pimd.lab.lies import LIES
from pimd.lab.topology import KINDS, Topology

SIZES = (5, 40)
DAY_MS = 24 * 3600 * 1000
WAY_S = 0.9
"""Seconds of the longest way through all nodes; above one second nothing is promised."""
LONGEST_LATENCY_S = 0.08
STEPS = (3, 8)
PAUSE_S = (0.2, 9.0)
PRIVATE_MESH = {
    "mesh": {"mode": "private", "passphrase": "a passphrase of the lab", "kdf": {"m_cost_kib": 64, "t_cost": 1}}
}
TROUBLES = ("cut", "cut", "flap", "partition", "kill", "kill", "stop", "restore", "restore", "wrong clock")

DIALS: tuple[Dials, ...] = ("one", "other", "both")
Notice = tuple[float | None, float | None]


@dataclass(frozen=True)
class Step:
    """One event, `after_s` after the previous one."""

    after_s: float
    what: str
    nodes: tuple[int, ...]
    notice_s: Notice = (0.0, 0.0)
    number: int = 0
    """Repetitions of a flap, or the new clock error in milliseconds."""


@dataclass(frozen=True)
class Script:
    """All of a scenario."""

    seed: int
    options: str
    """Options of the command line that replaced values of the seed."""
    topology: Topology
    latencies_s: tuple[tuple[float, float], ...]
    """Latencies of each edge, both ways."""
    dials: tuple[Dials, ...]
    """Which end of each edge dials."""
    silent: frozenset[int]
    """Nodes that do not relay."""
    clock_errors_ms: Mapping[int, int]
    liars: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()

    def describe(self) -> list[str]:
        """Return lines about shape, size, mode, nodes that do not relay, wrong clocks and liars."""
        lines = [f"{self.topology.kind} of {self.topology.count} nodes, {len(self.topology.edges)} cables"]
        if self.settings:
            lines.append("a private mesh")
        if self.silent:
            lines.append(f"not relaying: {', '.join(f'n{n + 1}' for n in sorted(self.silent))}")
        lines += [f"the clock of n{n + 1} is wrong by {ms / DAY_MS:g} days" for n, ms in self.clock_errors_ms.items()]
        lines += [f"n{n + 1} lies: {', '.join(lies)}" for n, lies in self.liars.items()]
        return lines


def script_of(
    seed: int, *, kind: str | None = None, count: int | None = None, lies: tuple[str, ...] | None = None
) -> Script:
    """Make the scenario of a seed; given values replace drawn ones. An empty `lies` excludes liars."""
    rng = random.Random(f"pimd.lab script {seed}")
    chosen_kind, chosen_count = rng.choice(list(KINDS)), min(rng.randint(*SIZES), rng.randint(*SIZES))
    topology = KINDS[kind or chosen_kind](count or chosen_count, rng)
    liars = _liars(topology.count, rng) if lies is None else _liars_of(lies, topology.count, rng)
    longest = min(LONGEST_LATENCY_S, WAY_S / topology.count)
    return Script(
        seed=seed,
        options=_options(kind, count, lies),
        topology=topology,
        latencies_s=tuple((rng.uniform(0.0005, longest), rng.uniform(0.0005, longest)) for _ in topology.edges),
        dials=tuple(rng.choice(DIALS) for _ in topology.edges),
        silent=frozenset(n for n in range(topology.count) if rng.random() < 0.1 and n not in liars),  # noqa: PLR2004
        clock_errors_ms={n: _clock_error(rng) for n in range(topology.count) if rng.random() < 0.2},  # noqa: PLR2004
        liars=liars,
        settings=PRIVATE_MESH if rng.random() < 0.2 else {},  # noqa: PLR2004
        steps=tuple(_step(topology, rng) for _ in range(rng.randint(*STEPS))),
    )


def _options(kind: str | None, count: int | None, lies: tuple[str, ...] | None) -> str:
    options = {"kind": kind, "nodes": count, "lies": None if lies is None else ",".join(lies) or "none"}
    return "".join(f" --{name} {value}" for name, value in options.items() if value is not None)


def _liars(count: int, rng: random.Random) -> dict[int, tuple[str, ...]]:
    """Draw liars: in every third scenario, up to an eighth of the nodes."""
    if rng.randrange(3):
        return {}
    liars = rng.sample(range(count), rng.randint(1, max(1, count // 8)))
    return {n: tuple(sorted(rng.sample(list(LIES), rng.randint(1, 3)))) for n in sorted(liars)}


def _liars_of(lies: tuple[str, ...], count: int, rng: random.Random) -> dict[int, tuple[str, ...]]:
    return {rng.randrange(count): lies} if lies else {}


def _clock_error(rng: random.Random) -> int:
    return rng.choice((-30, -3, -1, 1, 2, 9)) * DAY_MS + rng.randrange(DAY_MS)


def _step(topology: Topology, rng: random.Random) -> Step:
    what = rng.choice(TROUBLES)
    after_s, notice_s = rng.uniform(*PAUSE_S), (_notice(rng), _notice(rng))
    if what in ("cut", "restore", "flap"):
        return Step(after_s, what, rng.choice(topology.edges), notice_s, rng.randint(2, 4))
    if what == "partition":
        inside = rng.sample(range(topology.count), topology.count // 2)
        return Step(after_s, what, tuple(sorted(inside)), notice_s)
    return Step(after_s, what, (rng.randrange(topology.count),), notice_s, _clock_error(rng))


def _notice(rng: random.Random) -> float | None:
    """Draw when an end notices: at once, after a while, or after the protocol's 15 s."""
    return rng.choice((0.0, 0.0, rng.uniform(0, 2), None))
