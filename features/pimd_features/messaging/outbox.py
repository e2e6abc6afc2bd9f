"""When to send which message: a window for each peer, retries with backoff, and expiry. No I/O."""

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from pimd.ids import MessageId, NodeId
from pimd_features.messaging.path import RoundTrip, Window
from pimd_features.messaging.store import Outgoing

LAST_RETRY_S = 600.0
JITTER = 0.25
REPETITIONS = 4
"""After so many without an acknowledgement the session is doubted."""

Key = tuple[NodeId, MessageId]


@dataclass(slots=True)
class _Entry:
    """One unacknowledged message."""

    message: Outgoing
    place: int
    """Grows in the order in which the messages were written."""
    attempts: int = 0
    copies: int = 0
    """How often it was sent; an acknowledgement of one that was sent once tells the round-trip time."""
    unheard: int = 0
    """How often it was sent since its session began to be doubted."""
    sent_at: float = 0.0
    in_flight: bool = False
    round: int = 0
    """Tells timers of an earlier attempt from the current one."""


@dataclass(slots=True)
class _Peer:
    """All unacknowledged messages to one peer."""

    entries: dict[MessageId, _Entry] = field(default_factory=dict)
    ready: set[MessageId] = field(default_factory=set)
    places: list[tuple[int, MessageId]] = field(default_factory=list)
    """A heap of those that are, or were, ready: whatever is repeated goes in the order in which it was written."""
    sent: dict[MessageId, _Entry] = field(default_factory=dict)
    """Those that wait for an acknowledgement or for their next attempt."""
    in_flight: int = 0
    window: Window = field(default_factory=Window)
    round_trip: RoundTrip = field(default_factory=RoundTrip)

    def make_ready(self, entry: _Entry) -> None:
        """May be ready already."""
        self.sent.pop(entry.message.id, None)
        if entry.message.id not in self.ready:
            self.ready.add(entry.message.id)
            heapq.heappush(self.places, (entry.place, entry.message.id))

    def first_ready(self) -> _Entry:
        """Take the oldest of those that are ready; one must be."""
        while True:
            place, id_ = heapq.heappop(self.places)
            entry = self.entries.get(id_)
            if entry is not None and entry.place == place and id_ in self.ready:
                self.ready.remove(id_)
                return entry

    def slow_down(self, now: float) -> None:
        """Congestion was met; once a round trip, since what was sent meanwhile could not know of it."""
        self.window.slow_down(now, self.round_trip.smoothed_s or self.round_trip.retry_s)

    def land(self, entry: _Entry) -> None:
        """Free its place in the window."""
        self.in_flight -= entry.in_flight
        entry.in_flight = False


class Outbox:
    """Messages that wait for their acknowledgement; times are monotonic seconds, expiry is in lived milliseconds."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._peers: dict[NodeId, _Peer] = {}
        self._timers: list[tuple[float, int, str, Key, int]] = []
        self._order = itertools.count()
        self.added: Callable[[], None] = lambda: None
        """Called for each message that begins to wait."""

    def __len__(self) -> int:
        return sum(len(peer.entries) for peer in self._peers.values())

    def add(self, message: Outgoing) -> None:
        """Queue a message behind those that wait for the same peer."""
        peer = self._peers.get(message.peer)
        if peer is None:
            peer = self._peers[message.peer] = _Peer()
        entry = peer.entries[message.id] = _Entry(message, next(self._order))
        peer.make_ready(entry)
        self.added()

    def acknowledged(self, peer_id: NodeId, id_: MessageId, now: float, *, congestion_met: bool) -> None:
        """Drop a message that arrived, and adapt window and retries to the path."""
        peer = self._peers.get(peer_id)
        if peer is not None and (entry := peer.entries.get(id_)) is not None:
            if entry.copies == 1:
                peer.round_trip.took(now - entry.sent_at)
            if congestion_met:
                peer.slow_down(now)
            else:
                peer.window.acknowledged()
        self.remove(peer_id, id_)

    def congested(self, peer_id: NodeId, now: float) -> None:
        """Send less at once to a peer: the queue towards it had no room."""
        peer = self._peers.get(peer_id)
        if peer is not None:
            peer.slow_down(now)

    def remove(self, peer_id: NodeId, id_: MessageId) -> None:
        """Drop a message that was acknowledged, failed or was deleted; unknown ones are ignored."""
        peer = self._peers.get(peer_id)
        entry = peer.entries.pop(id_, None) if peer is not None else None
        if peer is None or entry is None:
            return
        peer.ready.discard(id_)
        peer.sent.pop(id_, None)
        peer.land(entry)
        if not peer.entries:
            peer.places.clear()

    def holds(self, peer_id: NodeId, id_: MessageId) -> bool:
        """Whether a message waits here."""
        peer = self._peers.get(peer_id)
        return peer is not None and id_ in peer.entries

    def remove_all(self, peer_id: NodeId | None) -> None:
        """Forget one peer's messages, or with None all."""
        if peer_id is None:
            self._peers.clear()
        else:
            self._peers.pop(peer_id, None)

    def reassign(self, old: NodeId, new: NodeId) -> None:
        """Queue one peer's messages behind those of another, which got its place."""
        gone = self._peers.pop(old, _Peer())
        for entry in gone.entries.values():
            self.add(entry.message._replace(peer=new))

    def peers(self) -> list[NodeId]:
        """Peers with a message that is ready to be sent."""
        return [peer_id for peer_id, peer in self._peers.items() if peer.ready]

    def waits_for(self) -> list[NodeId]:
        """Peers with a message that is not acknowledged."""
        return [peer_id for peer_id, peer in self._peers.items() if peer.entries]

    def waits(self, peer_id: NodeId) -> bool:
        """Whether a message to a peer is not acknowledged."""
        peer = self._peers.get(peer_id)
        return peer is not None and bool(peer.entries)

    def appeared(self, peer_id: NodeId, *, anew: bool) -> bool:
        """Make waiting messages ready at once, because a route or card came up.

        With `anew` also those in flight, which may have been lost, and the path is another one. False when nothing is
        ready for that peer.
        """
        peer = self._peers.get(peer_id)
        if peer is None:
            return False
        if anew:
            peer.window, peer.round_trip = Window(), RoundTrip()
        for entry in tuple(peer.sent.values()):
            if entry.in_flight and not anew:
                continue
            peer.land(entry)
            entry.attempts = 0
            entry.round += 1
            peer.make_ready(entry)
        return bool(peer.ready)

    def take(self, peer_id: NodeId) -> list[Outgoing]:
        """Return the messages to send now, as many as the window has room for; each is `sent` or `put_back` next."""
        peer = self._peers.get(peer_id)
        if peer is None:
            return []
        return [peer.first_ready().message for _ in range(min(len(peer.ready), peer.window.size - peer.in_flight))]

    def unheard(self, messages: Iterable[Outgoing]) -> MessageId | None:
        """Return the first that was sent five times in a row without an acknowledgement, and count anew."""
        for message in messages:
            peer = self._peers.get(message.peer)
            entry = peer.entries.get(message.id) if peer is not None else None
            if entry is not None and entry.unheard > REPETITIONS:
                entry.unheard = 0
                return message.id
        return None

    def has_room(self, peer_id: NodeId) -> bool:
        """Whether a further message to a peer could leave at once, before none that is ready."""
        peer = self._peers.get(peer_id)
        return peer is None or (not peer.ready and peer.in_flight < peer.window.size)

    def put_back(self, message: Outgoing) -> None:
        """Keep a message that could not be sent, without route or card; `appeared` makes it ready again."""
        peer = self._peers.get(message.peer)
        if peer is not None and message.id in peer.entries:
            peer.make_ready(peer.entries[message.id])

    def sent(self, message: Outgoing, now: float) -> None:
        """Note that a next hop took the message; without an acknowledgement it is sent again after a delay."""
        peer = self._peers.get(message.peer)
        entry = peer.entries.get(message.id) if peer is not None else None
        if peer is None or entry is None:
            return
        lost_s = peer.round_trip.retry_s
        delay = min(LAST_RETRY_S, lost_s * 2 ** min(entry.attempts, 10))
        delay *= 1 - JITTER + 2 * JITTER * self._random()
        entry.attempts += 1
        entry.copies += 1
        entry.unheard += 1
        entry.round += 1
        entry.sent_at = now
        peer.sent[message.id] = entry
        if not entry.in_flight:
            entry.in_flight = True
            peer.in_flight += 1
        key = (message.peer, message.id)
        if delay > lost_s:
            self._set_timer(now + lost_s, "land", key, entry.round)
        self._set_timer(now + delay, "retry", key, entry.round)

    def deadline(self) -> float | None:
        """Time of the next call of `tick`; None when no timer runs."""
        return self._timers[0][0] if self._timers else None

    def tick(self, now: float) -> None:
        """Run the due timers: they free places in windows and make messages ready again."""
        while self._timers and self._timers[0][0] <= now:
            _, _, what, (peer_id, id_), round_ = heapq.heappop(self._timers)
            peer = self._peers.get(peer_id)
            entry = peer.entries.get(id_) if peer is not None else None
            if peer is None or entry is None or entry.round != round_:
                continue
            if entry.in_flight:
                peer.window.slow_down(now, peer.round_trip.retry_s)
            peer.land(entry)
            if what == "retry":
                peer.make_ready(entry)

    def expired(self, lived_ms: int) -> Iterator[Outgoing]:
        """All messages whose expiry is at or before this moment of lived time."""
        for peer in list(self._peers.values()):
            for entry in list(peer.entries.values()):
                if entry.message.expires_lived_ms <= lived_ms:
                    yield entry.message

    def _set_timer(self, when: float, what: str, key: Key, round_: int) -> None:
        heapq.heappush(self._timers, (when, next(self._order), what, key, round_))
