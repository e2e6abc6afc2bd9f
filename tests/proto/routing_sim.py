"""A mesh of routing cores under virtual time: links with latency, one-sided notice of their end, crashes, restarts.

Only the cores are real. Cards are pairs of an identity and a number; `Sim.signed` stands for signatures: a card that its
owner never issued is refused. `Sim` watches what must hold at every instant (`loops`, `forgeries`, `overfull`).
"""

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any

from pimd.ids import NodeId
from pimd.proto import babel
from pimd.proto.babel import Babel
from pimd.proto.frames import Routes
from pimd.proto.route_table import LINK_COST
from tests.proto.routing_node import Cable, Message, SimCard, SimNode


class Sim:
    """All nodes, and the time."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        self.nodes: list[SimNode] = []
        self.cables: list[Cable] = []
        """Those that are up, one direction each."""
        self.signed: set[SimCard] = set()
        self.issued: dict[NodeId, int] = {}
        """The highest number that each identity ever gave itself."""
        self.loops: list[str] = []
        self.forgeries: list[str] = []
        self.overfull: list[str] = []
        self.refused = 0
        """Cards whose signature does not hold."""
        self.messages = 0
        self.last_notice = 0.0
        self.cost: Callable[[], int] = lambda: LINK_COST
        """What the next new link costs, both ways."""
        self.slack = 0
        """By how much at each hop a way may be worse than the best without being left for it."""
        self.changed = 0
        """Grows with every change of a next hop."""
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()

    # --- time

    def at(self, when: float, action: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self._events, (max(when, self.now), next(self._order), action, arguments))

    def run(self, until: float) -> None:
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, action, arguments = heapq.heappop(events)
            action(*arguments)
        self.now = until

    def noticed_at(self, when: float) -> None:
        """Somebody hears of a change then; convergence is measured from the last such moment."""
        self.last_notice = max(self.last_notice, when)

    # --- nodes and links

    def add(self, *, relays: bool = True, clock_error_ms: int = 0, announces_hops: bool = True) -> SimNode:
        node = SimNode(
            self, len(self.nodes) + 1, relays=relays, clock_error_ms=clock_error_ms, announces_hops=announces_hops
        )
        self.nodes.append(node)
        return node

    def sign(self, node: NodeId, seq: int) -> None:
        self.signed.add(SimCard(node, seq))
        self.issued[node] = max(seq, self.issued.get(node, -1))

    def send(self, cable: Cable, message: Message) -> None:
        self.messages += 1
        cable.arrives_at = max(cable.arrives_at, self.now + cable.latency)
        self.at(cable.arrives_at, self.deliver, cable.back, message)

    def deliver(self, cable: Cable, message: Message) -> None:
        """`cable` is the receiver's end."""
        if cable.up:
            cable.src.receive(cable, message)
            if cable.dst.lies and isinstance(message, Routes):
                self.watch_entries(cable.src, message)

    def linked(self, one: SimNode, other: SimNode) -> bool:
        return any(cable.joins(one, other) for cable in self.cables)

    def link(self, one: SimNode, other: SimNode, latency: float) -> None:
        """Both ends know at once; nothing happens when the link is there already or an end is down."""
        for end, far in ((one, other), (other, one)):
            if not end.alive:
                end.lost_links.append((far, latency))
        if not (one.alive and other.alive) or self.linked(one, other):
            return
        cost = self.cost()
        there, back = Cable(one, other, latency, cost), Cable(other, one, latency, cost)
        there.back, back.back = back, there
        self.cables.append(there)
        self.noticed_at(self.now)
        one.up(there)
        other.up(back)

    def cut(self, cable: Cable, notice: tuple[float, float]) -> None:
        """Nothing passes any more; each end notices in its own time."""
        if not cable.up:
            return
        cable.up = cable.back.up = False
        self.cables = [other for other in self.cables if other is not cable and other is not cable.back]
        for end, delay in ((cable, notice[0]), (cable.back, notice[1])):
            self.noticed_at(self.now + delay)
            self.at(self.now + delay, end.src.down, end)

    def crash(self, node: SimNode, notice: Callable[[], float]) -> None:
        """Its neighbours notice in their own time; what it was linked with it dials again when it is back."""
        for cable in [cable for cable in self.cables if node in (cable.src, cable.dst)]:
            theirs = cable if cable.dst is node else cable.back
            node.lost_links.append((theirs.src, theirs.latency))
            self.cut(theirs, (notice(), 0.0))
        node.crash()

    def restart(self, node: SimNode, dial_after: Callable[[], float]) -> None:
        node.start()
        lost, node.lost_links = node.lost_links, []
        for other, latency in lost:
            when = self.now + dial_after()
            self.noticed_at(when)
            self.at(when, self.link, node, other, latency)

    # --- what must hold at every instant

    def watch(self, node: SimNode) -> None:
        """After each step: the only next hops that can have changed are this node's, so a new loop goes through one of them."""
        if node.lies:
            return
        if kept(node.core) > babel.DESTINATIONS.value:
            self.overfull.append(f"t={self.now:.3f} {node.number} keeps {kept(node.core)} destinations")
        selected = node.core.table.selected
        if selected == node.selected_before:  # mostly the very same routes; one keeps its link as long as it lives
            return
        before, node.selected_before = node.next_hops, dict(selected)
        node.next_hops = {destination: route.link for destination, route in selected.items()}
        for destination, route in selected.items():
            if route.seq > self.issued.get(destination, -1):
                self.forgeries.append(f"t={self.now:.3f} {node.number} uses seq {route.seq} of {show(destination)}")
            if before.get(destination) is not route.link:
                self.follow(node, destination)
        self.changed += node.next_hops != before

    def follow(self, start: SimNode, destination: NodeId) -> None:
        """Next hops lead somewhere, for all their nodes know: to a node that lies, or never back to where they were."""
        seen, node = {start}, start
        while node.id != destination and not node.lies:
            cable = node.next_hops.get(destination)
            if cable is None or not cable.remembered:
                return
            node = cable.dst
            if node in seen:
                self.loops.append(f"t={self.now:.3f} from {start.number} to {show(destination)}")
                return
            seen.add(node)

    def watch_entries(self, node: SimNode, routes: Routes) -> None:
        """No number that its owner did not give is in use, selected or not."""
        for entry in routes.entries:
            issued = self.issued.get(entry.destination, -1)
            if entry.seq > issued:
                for route in node.core.table.entries(entry.destination):
                    if route.seq > issued:
                        self.forgeries.append(f"t={self.now:.3f} {node.number} took {show(entry.destination)} {entry}")


def show(node: NodeId) -> str:
    return str(int.from_bytes(node))


def kept(core: Babel[Cable]) -> int:
    """Destinations with entries, deferred ones included."""
    return len(core._kept)
