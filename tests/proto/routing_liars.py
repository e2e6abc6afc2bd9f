"""Nodes that do not follow the protocol. They hold their own keys only: no card of another's can be made, see `Sim.signed`."""

from collections import deque
from collections.abc import Callable, Sequence

from pimd.ids import NodeId
from pimd.proto.control import SeqRequest
from pimd.proto.frames import METRIC_RETRACTED, RouteEntry, Routes
from tests.proto.routing_node import Cable, Message, SimCard, SimNode, name
from tests.proto.routing_sim import Sim

SEQ_TOP = 2**44 - 1
MADE_UP = 10**6
"""Numbers of made-up identities begin here."""
PERIODS_S = (0.3, 1.0, 1.0, 3.0)


class Liar(SimNode):
    """Runs the real core, and twists what it says."""

    lies = True

    def __init__(
        self, sim: Sim, number: int, tricks: "Sequence[type[Trick]]", hops: Callable[[], int] | None = None
    ) -> None:
        self.tricks: list[Trick] = []
        self.hops = hops
        """What it says of the length of a way; None tells nobody of hops."""
        super().__init__(sim, number, announces_hops=hops is not None)
        self.tricks = [trick(self) for trick in tricks]
        self.period = sim.random.choice(PERIODS_S)
        sim.at(sim.now + self.period, self.act)

    def send(self, cable: Cable, message: Message) -> None:
        if not all(trick.lets_pass(message) for trick in self.tricks):
            return
        if isinstance(message, Routes):
            entries = list(message.entries)
            for trick in self.tricks:
                entries = [trick.twist(entry) if entry.destination != self.id else entry for entry in entries]
            message = self.with_false_hops(Routes(tuple(entries), message.first, message.last))
        self.say(cable, message)

    def with_false_hops(self, routes: Routes) -> Routes:
        if self.hops is None:
            return routes
        entries = tuple(entry._replace(hops=self.hops()) for entry in routes.entries)
        return Routes(entries, routes.first, routes.last, hops=True)

    def say(self, cable: Cable, message: Message) -> None:
        """Without twisting it."""
        self.sim.send(cable, message)

    def receive(self, cable: Cable, message: Message) -> None:
        for trick in self.tricks:
            trick.hear(message)
        super().receive(cable, message)

    def act(self) -> None:
        for trick in self.tricks:
            if self.links:
                trick.act()
        self.sim.at(self.sim.now + self.period, self.act)

    def victims(self) -> list[NodeId]:
        return [node for node in self.cards if node != self.id]

    def announce(self, cable: Cable, entries: list[RouteEntry], *, whole: bool = False) -> None:
        self.say(cable, self.with_false_hops(Routes(tuple(entries), first=whole, last=whole)))


class Trick:
    """One way to lie."""

    def __init__(self, liar: Liar) -> None:
        self.liar = liar
        self.random = liar.sim.random

    def lets_pass(self, _: Message) -> bool:
        return True

    def twist(self, entry: RouteEntry) -> RouteEntry:
        return entry

    def hear(self, _: Message) -> None:
        """Something arrived."""

    def act(self) -> None:
        """Now and then."""


class SmallMetrics(Trick):
    """Seems to be a neighbour of everybody, with the newest number there is; some seem nearer than that is possible."""

    def __init__(self, liar: Liar) -> None:
        super().__init__(liar)
        self.metrics = self.random.choice([(0,), (0, 1, 255), (256,), (256,), (0, 256, 300)])

    def twist(self, entry: RouteEntry) -> RouteEntry:
        return RouteEntry(entry.destination, entry.seq, self._metric())

    def act(self) -> None:
        for cable in self.liar.links:
            claims = [RouteEntry(node, self.liar.cards[node], self._metric()) for node in self.liar.victims()]
            self.liar.announce(cable, claims)

    def _metric(self) -> int:
        return self.random.choice(self.metrics)


class RaisedSeqs(Trick):
    """Numbers that the destination never gave, and cards with a signature that does not hold."""

    def twist(self, entry: RouteEntry) -> RouteEntry:
        return RouteEntry(entry.destination, self._raised(entry.seq), entry.metric)

    def act(self) -> None:
        for cable in self.liar.links:
            node = self.random.choice(self.liar.victims() or [self.liar.id])
            forged = self._raised(self.liar.cards[node])
            self.liar.say(cable, SimCard(node, forged))
            self.liar.announce(cable, [RouteEntry(node, forged, 256)])

    def _raised(self, seq: int) -> int:
        return self.random.choice([seq, seq + 1, seq + 1000, SEQ_TOP])


class Replay(Trick):
    """Old cards, old routes and old requests, to whomever."""

    def __init__(self, liar: Liar) -> None:
        super().__init__(liar)
        self.heard: deque[Message] = deque(maxlen=200)

    def hear(self, message: Message) -> None:
        self.heard.append(message)

    def act(self) -> None:
        for cable in self.liar.links:
            for _ in range(min(5, len(self.heard))):
                self.liar.say(cable, self.random.choice(self.heard))


class Flapping(Trick):
    """Metrics that change all the time."""

    def act(self) -> None:
        metrics = [256, 257, 300, 1000, 60_000, METRIC_RETRACTED - 1, METRIC_RETRACTED]
        for cable in self.liar.links:
            claims = [
                RouteEntry(node, self.liar.cards[node], self.random.choice(metrics))
                for node in self.liar.victims()
                if self.random.random() < 0.5
            ]
            self.liar.announce(cable, claims)


class Retractions(Trick):
    """Declares others gone, or everything by an empty full table."""

    def act(self) -> None:
        for cable in self.liar.links:
            seq = self.random.choice([0, SEQ_TOP])
            gone = [RouteEntry(node, seq, METRIC_RETRACTED) for node in self.liar.victims()]
            self.liar.announce(cable, [] if self.random.random() < 0.2 else gone, whole=self.random.random() < 0.5)


class Withholding(Trick):
    """Passes on neither requests nor cards of others."""

    def lets_pass(self, message: Message) -> bool:
        return not isinstance(message, SeqRequest) and (
            not isinstance(message, SimCard) or message.node == self.liar.id
        )


class MadeUp(Trick):
    """Destinations that do not exist, some of them with valid cards, and requests for them and for others."""

    at_most = 60

    def __init__(self, liar: Liar) -> None:
        super().__init__(liar)
        self.made: list[NodeId] = []

    def act(self) -> None:
        begin = MADE_UP * self.liar.number + len(self.made)
        new = [name(begin + n) for n in range(min(10, self.at_most - len(self.made)))]
        self.made += new
        for n, node in enumerate(new):
            if n % 2:
                self.liar.sim.sign(node, 1000)
        for cable in self.liar.links:
            self._pester(cable, new)

    def _pester(self, cable: Cable, new: list[NodeId]) -> None:
        for node in new:
            self.liar.say(cable, SimCard(node, 1000))
        told = self.random.sample(self.made, min(20, len(self.made)))
        self.liar.announce(
            cable, [RouteEntry(node, 1000, self.random.choice([256, 1000])) for node in dict.fromkeys((*told, *new))]
        )
        for node in self.random.sample([*told, *self.liar.victims()], 1):
            seq = self.random.choice([1001, SEQ_TOP])
            self.liar.say(cable, SeqRequest(node, seq, 255, self.random.random() < 0.5, self.random.getrandbits(53)))


TRICKS: tuple[type[Trick], ...] = (SmallMetrics, RaisedSeqs, Replay, Flapping, Retractions, Withholding, MadeUp)
