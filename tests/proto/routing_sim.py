"""A mesh of routing cores under virtual time: links with latency, one-sided notice of their end, crashes, restarts."""

import heapq
import itertools
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pimd.ids import NodeId
from pimd.proto.babel import Babel
from pimd.proto.control import SeqRequest
from pimd.proto.frames import Routes

EPOCH_MS = 1_780_000_000_000


def name(number: int) -> NodeId:
    return NodeId(number.to_bytes(16))


@dataclass(eq=False)
class Cable:
    """One direction of a link; what is sent arrives in order."""

    src: "SimNode"
    dst: "SimNode"
    latency: float
    back: "Cable | None" = None
    up: bool = True
    arrives_at: float = 0.0


@dataclass(eq=False)
class SimNode:
    """A routing core with its cards."""

    sim: "Sim"
    number: int
    relays: bool
    clock_error_ms: int
    links: "dict[Cable, SimNode]" = field(default_factory=dict)
    cards: dict[NodeId, int] = field(default_factory=dict)
    highest: int = 0
    issued_at: float = float("-inf")
    issue_due: bool = False
    tick_at: float = float("inf")

    def __post_init__(self) -> None:
        self.start()

    @property
    def id(self) -> NodeId:
        return name(self.number)

    def start(self) -> None:
        """Begin with nothing but the highest number ever issued."""
        self.cards = {}
        self.links = {}
        self.core: Babel[Cable] = Babel(
            self.id, lambda node: self.cards.get(node, -1), self.sim.random.random, self.sim.now, relays=self.relays
        )
        self.issue()

    def issue(self) -> None:
        self.issue_due = False
        self.issued_at = self.sim.now
        self.highest = max(self.highest + 1, EPOCH_MS + int(self.sim.now * 1000) + self.clock_error_ms)
        self.cards[self.id] = self.highest
        for cable in self.links:
            self.sim.send(cable, ("card", self.id, self.highest))
        self.core.own_card(self.highest, self.sim.now)

    def up(self, cable: Cable) -> None:
        self.links[cable] = cable.dst
        self.sim.send(cable, ("card", self.id, self.highest))
        self.core.link_up(cable, cable.dst.id, self.sim.now)
        self.step()

    def down(self, cable: Cable) -> None:
        if self.links.pop(cable, None) is not None:
            self.core.link_down(cable, self.sim.now)
            self.step()

    def receive(self, cable: Cable, message: Any) -> None:
        if cable not in self.links:
            return
        now = self.sim.now
        match message:
            case Routes():
                self.core.receive(cable, message, now)
            case SeqRequest():
                self.core.seq_request(cable, message, now)
            case ("ask", node):
                if node in self.cards:
                    self.sim.send(cable, ("card", node, self.cards[node]))
            case ("card", node, seq):
                self.take_card(cable, node, seq)
        self.step()

    def take_card(self, cable: Cable, node: NodeId, seq: int) -> None:
        held = self.cards.get(node, -1)
        if seq > held and node != self.id:
            self.cards[node] = seq
            for other in self.links:
                if other is not cable and self.relays:
                    self.sim.send(other, ("card", node, seq))
            self.core.card_learned(node, seq, self.sim.now)
        elif seq < held:
            self.sim.send(cable, ("card", node, held))

    def step(self) -> None:
        """Do what the core wants done, then set its alarm."""
        now = self.sim.now
        wanted = self.core.own_card_wanted()
        if wanted is not None and wanted >= self.highest and not self.issue_due:
            if now - self.issued_at >= 1.0:
                self.issue()
            else:
                self.issue_due = True
                self.sim.at(self.issued_at + 1.0, self.issue_later)
        while self.core.deadline() <= now:
            self.core.tick(now)
        for cable, node in self.core.cards_wanted():
            self.sim.send(cable, ("ask", node))
        for cable, frame in self.core.outgoing():
            self.sim.send(cable, frame)
        self.core.changes()
        self.sim.check(self)
        deadline = self.core.deadline()
        if deadline < self.tick_at or self.tick_at <= now:
            self.tick_at = deadline
            self.sim.at(deadline, self.alarm)

    def issue_later(self) -> None:
        if self.issue_due:
            self.issue()
            self.step()

    def alarm(self) -> None:
        if self.sim.now >= self.tick_at:
            self.tick_at = float("inf")
            self.step()


class Sim:
    """All nodes, and the time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.nodes: list[SimNode] = []
        self.cables: list[Cable] = []
        self.loops: list[str] = []
        self.messages = 0
        self.last_notice = 0.0
        self._events: list[tuple[float, int, Any]] = []
        self._order = itertools.count()

    def add(self, *, relays: bool = True, clock_error_ms: int = 0) -> SimNode:
        node = SimNode(self, len(self.nodes) + 1, relays, clock_error_ms)
        self.nodes.append(node)
        return node

    def at(self, when: float, action: Any) -> None:
        heapq.heappush(self._events, (max(when, self.now), next(self._order), action))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = until

    def send(self, cable: Cable, message: Any) -> None:
        self.messages += 1
        cable.arrives_at = max(cable.arrives_at, self.now + cable.latency)
        back = cable.back
        if back is not None:
            self.at(cable.arrives_at, lambda: self.deliver(back, message))

    def deliver(self, cable: Cable, message: Any) -> None:
        if cable.up:
            cable.src.receive(cable, message)

    def link(self, one: SimNode, other: SimNode, latency: float) -> None:
        there, back = Cable(one, other, latency), Cable(other, one, latency)
        there.back, back.back = back, there
        self.cables.append(there)
        one.up(there)
        other.up(back)

    def cut(self, cable: Cable, notice: tuple[float, float]) -> None:
        """Nothing passes any more; each end notices in its own time."""
        back = cable.back
        if not cable.up or back is None:
            return
        cable.up = back.up = False
        self.cables.remove(cable)
        for end, delay in ((cable, notice[0]), (back, notice[1])):
            self.last_notice = max(self.last_notice, self.now + delay)
            self.at(self.now + delay, lambda end=end: end.src.down(end))

    def restart(self, node: SimNode) -> None:
        """Lose everything but the highest number issued; its neighbours notice at once, and link again."""
        theirs = [cable for cable in self.cables if node in (cable.src, cable.dst)]
        for cable in theirs:
            self.cut(cable, (0.0, 0.0))
        self.run(self.now)
        node.start()
        for cable in theirs:
            self.link(cable.src, cable.dst, cable.latency)
        self.last_notice = self.now

    def check(self, changed: SimNode) -> None:
        """Follow the next hops from a node that changed, for all it knows: they never come back to where they were."""
        for destination in changed.core.table.selected:
            seen, node = {changed}, changed
            while node.id != destination:
                route = node.core.table.selected.get(destination)
                if route is None:
                    break
                node = route.link.dst
                if node in seen:
                    self.loops.append(f"t={self.now:.3f} from {changed.number} to {int.from_bytes(destination)}")
                    break
                seen.add(node)

    def distances(self, start: SimNode) -> dict[SimNode, int]:
        """Hops over links that are up, through nodes that relay."""
        around: dict[SimNode, list[SimNode]] = {node: [] for node in self.nodes}
        for cable in self.cables:
            around[cable.src].append(cable.dst)
            around[cable.dst].append(cable.src)
        found, queue = {start: 0}, deque([start])
        while queue:
            node = queue.popleft()
            if node is not start and not node.relays:
                continue
            for other in around[node]:
                if other not in found:
                    found[other] = found[node] + 1
                    queue.append(other)
        return found

    def unreached(self, *, shortest: bool) -> list[str]:
        """Pairs that are connected and whose next hops do not lead there (or not by a shortest way)."""
        wrong = []
        for start in self.nodes:
            for end, hops in self.distances(start).items():
                if end is start:
                    continue
                node, taken = start, 0
                while node is not end and taken <= len(self.nodes):
                    route = node.core.table.selected.get(end.id)
                    if route is None or not route.link.up:
                        break
                    node, taken = route.link.dst, taken + 1
                if node is not end or (shortest and taken != hops):
                    wrong.append(f"{start.number}->{end.number}: {taken} of {hops}")
        return wrong
