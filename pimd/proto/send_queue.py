"""Unencrypted frames that wait on one link: control frames first, then data by traffic class."""

from collections import OrderedDict, deque
from collections.abc import Hashable

from pimd.ids import NodeId
from pimd.limits import MIB, Bites, declare
from pimd.proto.class_queues import ClassQueues
from pimd.proto.control import (
    ControlFrame,
    PeerInfoRequest,
    PluginPayload,
    Pong,
    SeqRequest,
    SignedPeerInfo,
)
from pimd.proto.fair_queue import Encoded
from pimd.proto.frames import (
    ENTRIES_A_RECORD,
    ENTRY_SIZE,
    Frame,
    MeshData,
    RouteEntry,
    Routes,
    encode_data,
    encode_frame,
)
from pimd.proto.identity import node_id_of
from pimd.proto.traffic import CLASS_OF_FLAGS, TrafficClass

ANSWERS = declare(
    "unsent answers to what the peer asked for", 2 * MIB, "bytes", "the link is closed: its peer does not read"
)
CARDS = declare(
    "unsent cards of a link",
    4 * MIB,
    "bytes",
    "one of each origin waits; the oldest is dropped, and sent again on request",
)
ROUTING = declare(
    "unsent routes and requests of a link",
    1 * MIB,
    "bytes",
    "the link is closed; before that newer entries and full tables replace unsent older ones",
)
CARDS_A_RECORD = 60_000
"""Bytes; a card has at most 749."""


class SendQueueOverflow(Exception):  # noqa: N818 - what happened
    """The peer does not read its answers; the link is to be closed."""


class SendQueue:
    """Four queues, sent in this order: answers, cards, routing, data.

    `secret` spreads the sources of relayed frames over flows, so that nobody can choose whose flow to share.
    """

    def __init__(self, bites: Bites, secret: int = 0) -> None:
        self._bites = bites
        self.data = ClassQueues(bites, secret)
        self._answers: deque[bytes] = deque()
        self._cards: OrderedDict[bytes, bytes] = OrderedDict()
        self._requests: deque[bytes] = deque()
        self._routes: OrderedDict[bytes, RouteEntry] = OrderedDict()
        self._table: deque[bytes] = deque()
        """The unsent rest of the newest full table."""
        self._in_table = False
        self._hops = False
        """Whether entries carry hops; the same for all Routes of a link."""
        self._sizes = dict.fromkeys(("answers", "cards", "routing"), 0)
        self.dropped_cards = 0

    @property
    def unsent(self) -> int:
        """Bytes of plaintext waiting in all queues."""
        return self.unsent_control + self.data.size

    @property
    def unsent_control(self) -> int:
        """Bytes of these that are sent before any data."""
        return sum(self._sizes.values())

    def put(self, frame: Frame, now: float, source: Hashable = "") -> bool:
        """Queue a frame, or replace one of its kind; False when a data frame finds no room.

        `source` names the flow of a data frame of this node. SendQueueOverflow when the link is to be closed.
        """
        match frame:
            case MeshData():
                return self.data.put_own(CLASS_OF_FLAGS[frame.flags], source, encode_data(frame), now)
            case PluginPayload():
                return self.data.put_own(TrafficClass.MESSAGE, source, bytearray(encode_frame(frame)), now)
            case _:
                self._put_control(frame)
                return True

    def relay(self, frame: MeshData, neighbour: NodeId, now: float) -> None:
        """Queue a frame that `neighbour` sent; without room the biggest flow loses a frame, which is counted."""
        self.data.put_relayed(CLASS_OF_FLAGS[frame.flags], neighbour, frame.src, encode_data(frame), now)

    def _put_control(self, frame: Frame) -> None:
        match frame:
            case SignedPeerInfo():
                self._put_cards(frame)
            case Routes() if frame.first or self._in_table:
                self._put_table(frame)
            case Routes():
                self._put_entries(frame)
            case SeqRequest() | PeerInfoRequest():
                self._put_request(frame)
            case _:
                self.put_answer(frame)

    def put_answer(self, frame: ControlFrame | Frame) -> None:
        """Queue something the peer asked for: a Pong, or the cards of a PeerInfoRequest."""
        encoded = encode_frame(frame)
        if isinstance(frame, Pong | SignedPeerInfo) and self._sizes["answers"] + len(encoded) > ANSWERS.value:
            self._bites.count(ANSWERS)
            raise SendQueueOverflow
        self._answers.append(encoded)
        self._sizes["answers"] += len(encoded)

    def pop(self, now: float) -> Encoded | None:
        """Return the plaintext of the next record, or None."""
        if self._answers:
            return self._taken("answers", self._answers.popleft())
        if self._cards:
            return self._pop_cards()
        if self._table:
            return self._taken("routing", self._table.popleft())
        if self._routes:
            return self._pop_entries()
        if self._requests:
            return self._taken("routing", self._requests.popleft())
        return self.data.pop(now)

    def clear(self) -> None:
        """Drop all waiting frames; nothing is sent after a Goodbye."""
        for queue in (self._answers, self._cards, self._requests, self._routes, self._table):
            queue.clear()
        self.data.clear()
        self._sizes = dict.fromkeys(self._sizes, 0)

    def _taken(self, name: str, encoded: bytes) -> bytes:
        self._sizes[name] -= len(encoded)
        return encoded

    def _put_cards(self, frame: SignedPeerInfo) -> None:
        for card in frame.cards:
            origin = node_id_of(card[1:33])
            self._sizes["cards"] += len(card) - len(self._cards.pop(origin, b""))
            self._cards[origin] = card
        while self._sizes["cards"] > CARDS.value:
            self._bites.count(CARDS)
            _, card = self._cards.popitem(last=False)
            self._sizes["cards"] -= len(card)
            self.dropped_cards += 1

    def _pop_cards(self) -> bytes:
        """Return as many cards as fit a record, in order."""
        cards: list[bytes] = []
        size = 0
        while self._cards and size + len(next(iter(self._cards.values()))) <= CARDS_A_RECORD:
            _, card = self._cards.popitem(last=False)
            size += len(card)
            cards.append(card)
        self._sizes["cards"] -= size
        return encode_frame(SignedPeerInfo(tuple(cards)))

    def _put_request(self, frame: SeqRequest | PeerInfoRequest) -> None:
        encoded = encode_frame(frame)
        self._grow_routing(len(encoded))
        self._requests.append(encoded)

    def _put_table(self, frame: Routes) -> None:
        """Replace unsent entries and older tables, which a full table would contradict."""
        if frame.first:
            self._sizes["routing"] -= sum(map(len, self._table)) + len(self._routes) * ENTRY_SIZE
            self._table.clear()
            self._routes.clear()
        self._in_table = not frame.last
        encoded = encode_frame(frame)
        self._grow_routing(len(encoded))
        self._table.append(encoded)

    def _put_entries(self, frame: Routes) -> None:
        self._hops = frame.hops
        for entry in frame.entries:
            if self._routes.pop(entry.destination, None) is None:
                self._grow_routing(ENTRY_SIZE)
            self._routes[entry.destination] = entry

    def _pop_entries(self) -> bytes:
        count = min(len(self._routes), ENTRIES_A_RECORD)
        entries = tuple(self._routes.popitem(last=False)[1] for _ in range(count))
        self._sizes["routing"] -= count * ENTRY_SIZE
        return encode_frame(Routes(entries, first=False, last=False, hops=self._hops))

    def _grow_routing(self, size: int) -> None:
        if self._sizes["routing"] + size > ROUTING.value:
            self._bites.count(ROUTING)
            raise SendQueueOverflow
        self._sizes["routing"] += size
