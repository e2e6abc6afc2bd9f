"""A simulated mesh of any shape, and what happens to it."""

import random
from collections.abc import Callable

from pimd.proto import babel
from pimd.proto.frames import HOPS_MAX
from pimd.proto.route_table import HYSTERESIS, LINK_COST
from pimd.proto.updates import TOLD_AT_ONCE
from tests.proto.routing_liars import TRICKS, Liar, MadeUp
from tests.proto.routing_node import Cable, SimNode
from tests.proto.routing_shapes import SHAPES
from tests.proto.routing_sim import Sim

PATH_S = 1.0
"""What the slowest of all ways takes in most meshes, at the most."""
LIARS_SHARE = 0.35
CROWDED_SHARE = 0.1
"""Of the meshes with liars, those whose nodes have hardly more room than they need."""
SPARE_ROOM = 30
CLOCK_ERRORS_MS = (0, 0, 0, -(10**9), 10**9)
DEAREST_LINK = 1024
OLD_SHARE = 0.3
"""Of the nodes, those that do not announce hops, in meshes that have such."""
LONG_S = 250.0
"""Longer than anybody remembers."""


class Mesh:
    """Made from a seed; troubles are drawn from the same stream of random numbers."""

    def __init__(self, seed: int, *, uneven: bool = False) -> None:
        self.sim = Sim(seed)
        self.rng = self.sim.random
        self.uneven = uneven
        self.costs = random.Random(f"{seed} costs")
        """A stream of its own, so that a seed makes the same mesh whatever its links cost."""
        self.old_share = 0.0
        self.disturbances = 0
        self.gone: list[tuple[SimNode, SimNode]] = []
        """Pairs whose link was cut for good, so far."""
        self.build()

    # --- the mesh

    def build(self) -> None:
        rng, sim = self.rng, self.sim
        if self.uneven:
            self.draw_costs()
        count = self.draw_count()
        edges = rng.choice(SHAPES)(rng, count)
        liars = set(rng.sample(range(count), rng.choice([1, 1, 2]))) if rng.random() < LIARS_SHARE else set()
        self.crowded = bool(liars) and rng.random() < CROWDED_SHARE
        for number in range(count):
            if number in liars:
                self.add_liar()
            else:
                sim.add(
                    relays=rng.random() > 0.1,
                    clock_error_ms=rng.choice(CLOCK_ERRORS_MS),
                    announces_hops=self.costs.random() >= self.old_share,
                )
        self.honest = [node for node in sim.nodes if not node.lies]
        self.liars = [node for node in sim.nodes if node.lies]
        self.choose_latencies(count)
        for one, other in sorted(edges):
            sim.link(sim.nodes[one], sim.nodes[other], self.latency())

    def draw_count(self) -> int:
        rng = self.rng
        if rng.random() < 0.04:
            return rng.randint(20, 40)
        return rng.choice([rng.randint(4, 10), rng.randint(4, 10), rng.randint(4, 14), rng.randint(8, 20)])

    def draw_costs(self) -> None:
        """In steps that no hysteresis hides, or any; of some meshes some nodes know nothing of hops."""
        step = self.costs.choice([1, HYSTERESIS])
        self.sim.slack = 0 if step == HYSTERESIS else HYSTERESIS - 1
        self.sim.cost = lambda: step * self.costs.randint(LINK_COST // step, DEAREST_LINK // step)
        self.old_share = self.costs.choice([0.0, OLD_SHARE])

    @property
    def room(self) -> int:
        """How many destinations a node may keep."""
        return len(self.sim.nodes) + SPARE_ROOM if self.crowded else babel.DESTINATIONS.value

    @property
    def told_at_once(self) -> int:
        """How many entries a node may make in a turn: in two of three meshes so few that what it tells takes several."""
        return (1, 12, TOLD_AT_ONCE.value)[self.sim.seed % 3]

    def add_liar(self) -> None:
        rng, sim = self.rng, self.sim
        tricks = rng.sample(TRICKS, rng.choice([1, 1, 2, 3]))
        if self.crowded and MadeUp not in tricks:
            tricks.append(MadeUp)
        hops = (lambda: self.costs.randint(0, HOPS_MAX)) if self.uneven else None
        sim.nodes.append(Liar(sim, len(sim.nodes) + 1, tricks, hops))

    def choose_latencies(self, count: int) -> None:
        """Mostly so that no way at all takes longer than a second; sometimes a few hops do already."""
        rng = self.rng
        hops = count - 1 if rng.random() < 0.8 else max(2, count // 3)
        limit = PATH_S / hops - 0.002
        shares = rng.choice([(0.02, 0.1, 0.5, 1.0), (0.05,), (1.0,), (0.01, 1.0)])
        self.latency: Callable[[], float] = lambda: max(0.0005, limit * rng.choice(shares))

    # --- its troubles

    def disturb(self) -> None:
        troubles = (
            self.cut,
            self.cut,
            self.cut,
            self.restart,
            self.restart,
            self.add_link,
            self.heal,
            self.flap,
            self.split,
        )
        for _ in range(self.rng.randint(1, 4)):
            self.rng.choice(troubles)()
            self.disturbances += 1
            self.sim.run(self.sim.now + self.rng.choice([0.0, 0.01, 0.5, 3.0]))

    def notice(self) -> float:
        """At once, soon, or after the silence that ends a link."""
        rng = self.rng
        return rng.choice([0.0, rng.random(), rng.random(), rng.random() * 15])

    def cut(self) -> None:
        if self.sim.cables:
            self.cut_one(self.rng.choice(self.sim.cables), (self.notice(), self.notice()))

    def cut_one(self, cable: Cable, notice: tuple[float, float]) -> None:
        self.gone.append((cable.src, cable.dst))
        self.sim.cut(cable, notice)

    def restart(self) -> None:
        rng, sim = self.rng, self.sim
        node = rng.choice(self.honest)
        if not node.alive:
            return
        sim.crash(node, self.notice)
        forgets = rng.random()
        if forgets < 0.5:
            node.cards = {}
        if forgets < 0.1:
            node.highest, node.clock_error_ms = 0, rng.choice(CLOCK_ERRORS_MS)
        back = sim.now + rng.choice([0.0, 0.1, 2.0 * rng.random(), 10.0 * rng.random()])
        if rng.random() < 0.01:
            back += LONG_S
        sim.noticed_at(back)
        sim.at(back, sim.restart, node, lambda: rng.choice([0.0, rng.random()]))

    def add_link(self) -> None:
        one, other = self.rng.sample(self.honest, 2)
        self.sim.link(one, other, self.latency())

    def heal(self) -> None:
        """Some of the links that are gone come back."""
        self.rng.shuffle(self.gone)
        for _ in range(min(len(self.gone), 3)):
            self.sim.link(*self.gone.pop(), self.latency())

    def flap(self) -> None:
        """One link goes and comes, faster than its ends notice."""
        if not self.sim.cables:
            return
        rng, sim = self.rng, self.sim
        cable = rng.choice(sim.cables)
        one, other, latency = cable.src, cable.dst, cable.latency
        when = sim.now
        for _ in range(rng.randint(2, 5)):
            sim.at(when, self.cut_between, one, other)
            when += rng.choice([0.02, 0.3, 1.5]) * rng.random()
            sim.at(when, sim.link, one, other, latency)
            when += rng.choice([0.02, 0.3, 1.5]) * rng.random()
        sim.noticed_at(when)

    def cut_between(self, one: SimNode, other: SimNode) -> None:
        for cable in self.sim.cables:
            if cable.joins(one, other):
                self.sim.cut(cable, (self.rng.random() * 0.5, self.rng.random() * 0.5))

    def split(self) -> None:
        """Two parts without a link between them for a while, rarely for longer than anybody remembers."""
        rng, sim = self.rng, self.sim
        part = set(rng.sample(sim.nodes, rng.randint(1, len(sim.nodes) - 1)))
        if rng.random() < 0.7:  # near each other, for most shapes
            part = set(sim.nodes[: len(part)])
        between = [cable for cable in sim.cables if (cable.src in part) != (cable.dst in part)]
        back = sim.now + rng.choice([0.5, 3.0, 20.0]) + (LONG_S if rng.random() < 0.02 else 0.0)
        for cable in between:
            sim.cut(cable, (self.notice(), self.notice()))
            when = back + rng.choice([0.0, rng.random()])
            sim.noticed_at(when)
            sim.at(when, sim.link, cable.src, cable.dst, cable.latency)

    def cut_liars_off(self) -> None:
        self.gone = [pair for pair in self.gone if not any(node.lies for node in pair)]
        for cable in [cable for cable in self.sim.cables if cable.src.lies or cable.dst.lies]:
            self.sim.cut(cable, (self.notice(), self.notice()))
