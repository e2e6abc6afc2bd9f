"""A node of a simulated mesh: the real routing core, a plain model of cards and of their flood, and its ends of links."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pimd.ids import NodeId
from pimd.limits import Bites, TokenBucket
from pimd.mesh.cards import OWN_SEQ_REQUESTS, SEQ_REQUESTS
from pimd.proto.babel import Babel
from pimd.proto.control import SeqRequest
from pimd.proto.frames import METRIC_PER_HOP, Routes
from pimd.proto.route_table import Route

if TYPE_CHECKING:
    from tests.proto.routing_sim import Sim

EPOCH_MS = 1_780_000_000_000
TURN_S = 0.001
"""From one step of the core to the next, so that frames come and go between them."""
ISSUE_PAUSE_S = 1.0
FLOOD_PAUSE_S = 1.0
REISSUE_S = 300.0


def name(number: int) -> NodeId:
    return NodeId(number.to_bytes(16))


def without_hops(routes: Routes) -> Routes:
    """As they are decoded whose entries tell of none."""
    entries = [entry._replace(hops=entry.metric // METRIC_PER_HOP) for entry in routes.entries]
    return replace(routes, entries=tuple(entries))


def run_due(core: Babel[Any], now: float) -> None:
    """Let a core take every step that is due."""
    while core.deadline() <= now:
        core.tick(now)


class SimCard(NamedTuple):
    node: NodeId
    seq: int


class Ask(NamedTuple):
    node: NodeId


Message = Routes | SeqRequest | SimCard | Ask


class Cable:
    """One direction of a link, as its sending end sees it; what is sent arrives in order."""

    __slots__ = (
        "arrives_at",
        "back",
        "cost",
        "dst",
        "given",
        "has",
        "latency",
        "life",
        "returned",
        "src",
        "taken",
        "up",
    )

    def __init__(self, src: "SimNode", dst: "SimNode", latency: float, cost: int) -> None:
        self.src = src
        self.dst = dst
        self.latency = latency
        self.cost = cost
        self.back = self
        self.up = True
        self.life = dst.lives
        """That of the far end which knows of this link."""
        self.arrives_at = 0.0
        self.has: dict[NodeId, int] = {}
        """The newest card of each origin that the far end is known to have."""
        self.returned: dict[NodeId, int] = {}
        self.taken = TokenBucket(SEQ_REQUESTS, src.sim.now, Bites())
        self.given = TokenBucket(OWN_SEQ_REQUESTS, src.sim.now, Bites())
        """How many SeqRequests are taken from the far end, and sent to it."""

    @property
    def remembered(self) -> bool:
        """Until the far end crashes, also when the link was cut before and this end has not noticed either."""
        return self.dst.alive and self.dst.lives == self.life

    @property
    def tells_hops(self) -> bool:
        """Whether Routes on it carry hops: only between two nodes that announce so."""
        return self.src.announces_hops and self.dst.announces_hops

    def joins(self, one: "SimNode", other: "SimNode") -> bool:
        return (self.src is one and self.dst is other) or (self.src is other and self.dst is one)


class SimNode:
    """A routing core with its cards."""

    lies = False
    core_type: type[Babel[Cable]] = Babel

    def __init__(
        self, sim: "Sim", number: int, *, relays: bool = True, clock_error_ms: int = 0, announces_hops: bool = True
    ) -> None:
        self.sim = sim
        self.number = number
        self.id = name(number)
        self.relays = relays
        self.clock_error_ms = clock_error_ms
        self.announces_hops = announces_hops
        self.alive = False
        self.lives = 0
        self.highest = 0
        self.lost_links: list[tuple[SimNode, float]] = []
        """Dialled again after a restart."""
        self.cards: dict[NodeId, int] = {}
        self.start()

    # --- life

    def start(self) -> None:
        """Begin with nothing but the cards and the highest number ever issued, if they are still there."""
        sim = self.sim
        self.alive = True
        self.lives += 1
        self.links: dict[Cable, None] = {}
        self.next_hops: dict[NodeId, Cable] = {}
        self.selected_before: dict[NodeId, Route[Cable]] = {}
        """Both as `Sim.watch` saw them last."""
        self.tick_at = float("inf")
        self.turn_ends = sim.now
        self.issue_due = False
        self.flooded_at: dict[NodeId, float] = {}
        self.to_flood: dict[NodeId, int] = {}
        self.core = self.core_type(self.id, self.card_seq, sim.random.random, sim.now, relays=self.relays)
        self.issue()
        self.reissue_later()

    def crash(self) -> None:
        """Stop without a word; its neighbours notice in their own time (`Sim.crash`)."""
        self.alive = False
        self.links = {}
        self.next_hops = {}

    def while_it_lives(self, action: Callable[[], None]) -> Callable[[], None]:
        """What a process planned dies with it."""
        life = self.lives
        return lambda: action() if self.alive and self.lives == life else None

    # --- links and frames

    def up(self, cable: Cable) -> None:
        self.links[cable] = None
        self.send(cable, SimCard(self.id, self.highest))
        self.core.link_up(cable, cable.dst.id, self.sim.now, cable.cost, hops=cable.tells_hops)
        self.step()

    def down(self, cable: Cable) -> None:
        if cable in self.links:
            del self.links[cable]
            self.core.link_down(cable, self.sim.now)
            self.step()

    def send(self, cable: Cable, message: Message) -> None:
        self.sim.send(cable, message)

    def receive(self, cable: Cable, message: Message) -> None:
        if cable not in self.links:
            return
        now = self.sim.now
        if isinstance(message, Routes):
            self.core.receive(cable, message if message.hops else without_hops(message), now)
        elif isinstance(message, SimCard):
            self.take_card(cable, message)
        elif isinstance(message, Ask):
            if message.node in self.cards:
                self.send(cable, SimCard(message.node, self.cards[message.node]))
        elif cable.taken.take(now):
            self.core.seq_request(cable, message, now)
        self.step()

    def step(self) -> None:
        """Do what the core wants done, then set its alarm."""
        now, core = self.sim.now, self.core
        wanted = core.own_card_wanted()
        if wanted is not None and wanted >= self.highest:
            self.want_issue()
        for cable, node in core.cards_wanted():
            self.send(cable, Ask(node))
        for cable, frame in core.outgoing():
            if isinstance(frame, Routes) or cable.given.take(now):
                self.send(cable, frame)
        core.changes()
        self.sim.watch(self)
        deadline = max(core.deadline(), self.turn_ends)
        if deadline < self.tick_at:
            self.tick_at = deadline
            self.sim.at(deadline, self.while_it_lives(self.alarm))

    def alarm(self) -> None:
        """Let the core take one step; what it leaves waits for the next turn."""
        now = self.sim.now
        if now >= self.tick_at:
            self.tick_at = float("inf")
            if self.core.deadline() <= now:
                self.core.tick(now)
                self.turn_ends = now + TURN_S
            self.step()

    # --- cards

    def card_seq(self, node: NodeId) -> int:
        return self.cards.get(node, -1)

    def issue(self) -> None:
        sim = self.sim
        self.issue_due = False
        self.issued_at = sim.now
        self.highest = max(self.highest + 1, EPOCH_MS + int(sim.now * 1000) + self.clock_error_ms)
        sim.sign(self.id, self.highest)
        self.cards[self.id] = self.highest
        for cable in self.links:
            self.send(cable, SimCard(self.id, self.highest))
        self.core.own_card(self.highest, sim.now)

    def want_issue(self) -> None:
        """Issue a card, at most one a second; a wish within the second waits."""
        if self.issue_due:
            return
        if self.sim.now - self.issued_at >= ISSUE_PAUSE_S:
            self.issue()
        else:
            self.issue_due = True
            self.sim.at(self.issued_at + ISSUE_PAUSE_S, self.while_it_lives(self.issue_now))

    def issue_now(self) -> None:
        self.issue()
        self.step()

    def reissue_later(self) -> None:
        delay = REISSUE_S * self.sim.random.uniform(0.9, 1.1)
        self.sim.at(self.sim.now + delay, self.while_it_lives(self.reissue))

    def reissue(self) -> None:
        self.issue_now()
        self.reissue_later()

    def take_card(self, cable: Cable, card: SimCard) -> None:
        node, seq = card
        if card not in self.sim.signed:
            self.sim.refused += 1
            return
        if node == self.id:
            if seq > self.highest:  # its state was lost
                self.highest = seq
                self.want_issue()
            return
        cable.has[node] = max(seq, cable.has.get(node, -1))
        held = self.cards.get(node, -1)
        if seq > held:
            self.cards[node] = seq
            if self.relays:
                self.flood(node, seq)
            self.core.card_learned(node, seq, self.sim.now)
        elif seq < held and cable.returned.get(node) != held:
            cable.returned[node] = held
            self.send(cable, SimCard(node, held))

    def flood(self, node: NodeId, seq: int) -> None:
        """Pass a card on, of one origin at most one a second; the newest wins."""
        due = self.flooded_at.get(node, float("-inf")) + FLOOD_PAUSE_S
        if self.sim.now >= due:
            self.flood_now(node, seq)
        else:
            if node not in self.to_flood:
                self.sim.at(due, self.while_it_lives(lambda: self.flood_now(node, self.to_flood.pop(node))))
            self.to_flood[node] = seq

    def flood_now(self, node: NodeId, seq: int) -> None:
        self.flooded_at[node] = self.sim.now
        for cable in self.links:
            if cable.has.get(node, -1) < seq:
                cable.has[node] = seq
                self.send(cable, SimCard(node, seq))
