"""Observes a running lab and reports faults: loops, forgeries, pairs that do not reach each other again."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pimd.ids import NodeId
from pimd.lab.daemon import LabDaemon
from pimd.lab.graph import by_links, is_changing, next_hop, wrong_ways
from pimd.lab.lab import Lab
from pimd.lab.node import LabNode
from pimd.mesh.peer_link import PeerLink
from pimd.proto.cards import BadCard, parse

AGAIN_S = 3.0
"""Within this after the last end's notice all connected pairs reach each other again (docs/protocol.md)."""
LOOK_S = 0.1
FAULTS_KEPT = 50


class Judge:
    """Judges one lab; `faults` are sentences, in order of discovery."""

    def __init__(self, lab: Lab, liars: Iterable[LabDaemon] = ()) -> None:
        self.faults: list[str] = []
        self.looked = Counter[str]()
        """Number of checks of each property: without checks, no faults mean nothing."""
        self.is_calm = False
        """Set while no event of the script ends a link between honest nodes."""
        self.again_s: list[float] = []
        """For each time that pairs were apart: seconds from the last notice until all reached each other."""
        self._lab = lab
        self._liars = {daemon.id for daemon in liars}
        self._sent: dict[bytes, tuple[NodeId, NodeId]] = {}
        self._arrived: Counter[tuple[NodeId, bytes]] = Counter()
        self._quiet_since = lab.now
        self._were_apart = False
        self._timer: asyncio.TimerHandle | None = None
        lab.watcher = self
        lab.on_probe = self.probed

    def fault(self, what: str) -> None:
        """Note a fault with its virtual time; faults after the first `FAULTS_KEPT` are dropped."""
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(f"t={self._lab.now:.4f} {what}")

    # --- at every moment

    def routes_changed(self, node: LabNode, destinations: Sequence[NodeId]) -> None:
        """Follow the new next hops; returning to a node is a loop."""
        daemon = self._lab.by_id[node.id]
        if daemon.running is not node or node.id in self._liars:
            return
        for destination in destinations:
            self.looked["next hops"] += 1
            loop = self.loop_from(daemon, destination)
            if loop is not None:
                self.fault(f"loop towards {self._name(destination)}: {' -> '.join(map(self._name, loop))}")

    def loop_from(self, daemon: LabDaemon, destination: NodeId) -> list[NodeId] | None:
        """Return the way of a frame that returns to a node; it ends at a liar, since liars promise nothing."""
        way = [daemon.id]
        while way[-1] != destination and way[-1] not in self._liars:
            onwards = next_hop(self._lab.by_id[way[-1]], destination)
            if onwards is None:
                return None
            if onwards in way:
                return [*way, onwards]
            way.append(onwards)
        return None

    def links_changed(self, node: LabNode, link: PeerLink, *, up: bool) -> None:
        """Start the 3 s in which all pairs must reach each other; with liars this is not promised."""
        lost = not up and not node.is_linked(link.peer_id)
        if self.is_calm and lost and not {node.id, link.peer_id} & self._liars:
            self.fault(f"the link of {self._name(node.id)} with {self._name(link.peer_id)} ended for no honest reason")
        self.routes_changed(node, node.destinations())  # frames may take another link now
        self._quiet_since = self._lab.now
        if not self._liars:
            self._look_later(0)

    def overheard(self, liar: LabNode, sealed: bytes) -> None:
        """Check that a relay cannot read what it carries."""
        self.looked["overheard"] += 1
        if any(body in sealed for body in self._sent):
            self.fault(f"{self._name(liar.id)} can read what it carries")

    def probed(self, daemon: LabDaemon, source: NodeId, body: bytes) -> None:
        """Check that this source sent the probe to this node, and that it arrives once."""
        if source in self._liars:
            return  # a liar may send anything under its own name
        self.looked["probes"] += 1
        self._arrived[daemon.id, body] += 1
        if self._sent.get(body) != (source, daemon.id):
            self.fault(f"{daemon.name} was handed a forged probe {body!r} as from {self._name(source)}")
        if self._arrived[daemon.id, body] > 1:
            self.fault(f"{daemon.name} was handed the probe {body!r} {self._arrived[daemon.id, body]} times")

    def probe_sent(self, source: LabDaemon, destination: LabDaemon, body: str) -> None:
        """Call before a probe is sent."""
        self._sent[body.encode()] = (source.id, destination.id)

    def arrived(self, destination: LabDaemon, body: str) -> bool:
        """Whether a probe was handed over."""
        return self._arrived[destination.id, body.encode()] > 0

    # --- when asked

    def forgeries(self) -> list[str]:
        """Compare all known identities with the true ones: keys, signatures and issued numbers."""
        highest = {daemon.id: highest_seq(daemon) for daemon in self._lab.daemons.values()}
        found = []
        for daemon in self._lab.daemons.values():
            if daemon.is_up and daemon.id not in self._liars:
                found += [f"{daemon.name} {wrong}" for wrong in self._believed(daemon, highest)]
        return found

    # --- inside

    def _believed(self, daemon: LabDaemon, highest: dict[NodeId, int]) -> Iterator[str]:
        for known in daemon.running_daemon.core.keystore.list():
            self.looked["identities"] += 1
            other = self._lab.by_id.get(known.node_id)
            if known.card is None:
                continue
            if other is None:
                if not self._liars:  # liars can create any number of identities
                    yield f"holds a card of {known.node_id.abbreviated}, which is no node of this lab"
            elif known.x25519_pub != other.machine.identity.x25519_pub:
                yield f"holds another key for {other.name} than its own"
            elif not _is_signed(known.card):
                yield f"holds a card of {other.name} that {other.name} did not sign"
            elif known.seq > highest[known.node_id]:
                yield f"holds number {known.seq} of {other.name}, which issued only {highest[known.node_id]}"

    def _look_later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if is_changing(self._lab):  # the 3 s start when no link changes any more
            self._quiet_since = self._lab.now
            self._look_later(LOOK_S)
            return
        self.looked["reconnections"] += 1
        wrong = list(wrong_ways(self._lab, by_links(self._lab), shortest=False))
        since = self._lab.now - self._quiet_since
        if not wrong:
            if self._were_apart:
                self.again_s.append(since)
            self._were_apart = False
        elif since < AGAIN_S:
            self._were_apart = True
            self._look_later(min(LOOK_S, AGAIN_S - since))
        else:
            self.fault(f"{since:g} s after the last notice {len(wrong)} pairs are apart: {', '.join(wrong[:5])}")

    def _name(self, node_id: NodeId) -> str:
        daemon = self._lab.by_id.get(node_id)
        return daemon.name if daemon is not None else node_id.abbreviated


def _is_signed(card: bytes) -> bool:
    try:
        parse(card)
    except BadCard:
        return False
    return True


def highest_seq(daemon: LabDaemon) -> int:
    """Return the highest number that a daemon used for a card, read from its disk."""
    rows = daemon.machine.disk.rows("peers.db", "SELECT value FROM own WHERE name = 'highest_seq'")
    return int(rows[0][0]) if rows else 0
