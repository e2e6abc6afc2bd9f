"""Data frames that wait on one link, by traffic class (docs/protocol.md, "Traffic classes")."""

from collections.abc import Callable, Hashable

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto.fair_queue import FRAME_COST, Encoded, FairQueue
from pimd.proto.frames import DATA, FLAG_CONGESTED, FLAGS_AT, PAYLOAD_AT
from pimd.proto.traffic import CLASS_LIMITS, TrafficClass

SOURCE_BUCKETS = 256
"""Flows that the sources behind one neighbour are spread over (stochastic fairness queueing, McKenney, 1990)."""
LOCAL_SHARE = 0.75
"""Share of a class that this node's own frames may use; the rest is kept for relayed frames."""
LOCAL_SURE = 0.5
"""Share of a class up to which this node's own frames displace relayed ones."""
EXPIRE_EVERY_S = 0.01
"""A full queue is searched for old frames at most this often: the search looks at every flow."""
ROOM = 2 * (65535 + FRAME_COST)
"""Where this many bytes fit, any frame does, and both halves of a datagram do."""

_LOCAL = None
"""The key of this node's own flows among those of its neighbours."""


OnDropped = Callable[[TrafficClass, Encoded], None]


def _ignore(traffic_class: TrafficClass, frame: Encoded) -> None:
    del traffic_class, frame


class ClassCounts:
    """Counts of the frames of one class on one link since it came up."""

    __slots__ = (
        "aged",
        "bytes_in",
        "bytes_out",
        "congested",
        "frames_in",
        "frames_out",
        "lost",
        "marked",
        "refused",
        "relayed",
        "relayed_bytes",
    )

    def __init__(self) -> None:
        self.frames_in = self.frames_out = 0
        self.bytes_in = self.bytes_out = 0
        self.relayed = self.relayed_bytes = 0
        """Of what was sent, that for others; bytes of payload."""
        self.refused = 0
        """Own frames that found no room; their sender was told."""
        self.congested = 0
        """Frames for others that were dropped because there was no room."""
        self.aged = 0
        """Dropped because they had waited too long."""
        self.lost = 0
        """Frames that waited when the link ended."""
        self.marked = 0
        """Frames that carry the mark of congestion because of this queue."""

    @property
    def dropped(self) -> int:
        """Frames that were queued, or arrived to be relayed, and were not sent."""
        return self.congested + self.aged + self.lost


class ClassQueue:
    """Waiting frames of one class: fair between neighbours, then between sources."""

    def __init__(self, traffic_class: TrafficClass, bites: Bites) -> None:
        self.on_dropped: OnDropped = _ignore
        """Told of each frame that was queued and will not be sent."""
        self._class = traffic_class
        self.limits = limits = CLASS_LIMITS[traffic_class]
        self.counts = ClassCounts()
        self.weight = limits.weight
        self.tag = 0.0
        """Virtual time at which the next frame of this class starts."""
        self._bites = bites
        self._limit = limits.limit.value
        self._local_limit = int(self._limit * LOCAL_SHARE)
        self._local_sure = int(self._limit * LOCAL_SURE)
        self._age_s = limits.age.value / 1000 if limits.age is not None else None
        self._expired_at = float("-inf")
        self.waiting = FairQueue(2)

    @property
    def has_room(self) -> bool:
        """Whether an own frame of any size would be queued."""
        return self._fits(ROOM)

    @property
    def has_drained(self) -> bool:
        """Whether enough has left to notify the senders that wait for room."""
        return self.waiting.size_of(_LOCAL) <= self._local_sure // 2 or self.waiting.size <= self._limit // 2

    def put_own(self, source: Hashable, frame: bytearray, now: float) -> bool:
        """Queue a frame that begins here; False when there is no room, and nothing was queued."""
        if not self._fits(len(frame) + FRAME_COST):
            self._expire(now)
            if not self._fits(len(frame) + FRAME_COST):
                self.counts.refused += 1
                return False
        self._push((_LOCAL, source), frame, now, relayed=False)
        self._trim()
        return True

    def put_relayed(self, neighbour: NodeId, bucket: int, frame: bytearray, now: float) -> None:
        """Queue a frame on its way; where there is no room the biggest flow of a neighbour loses its newest."""
        if self.waiting.size + len(frame) + FRAME_COST > self._limit:
            self._expire(now)
        self._push((neighbour, bucket), frame, now, relayed=True)
        self._trim()

    def pop(self, now: float) -> Encoded | None:
        """Take the next frame, dropping those that are too old."""
        while self.waiting.size:
            queued_at, frame, relayed = self.waiting.pop()
            if self._age_s is None or now - queued_at <= self._age_s:
                self.counts.frames_out += 1
                self.counts.bytes_out += len(frame)
                if relayed:
                    self.counts.relayed += 1
                    self.counts.relayed_bytes += len(frame) - PAYLOAD_AT
                return frame
            self._drop_aged(frame)
            self._drop_old(now - self._age_s)
        return None

    def clear(self) -> None:
        """Count what waits as lost with its link."""
        for _, frame, _ in self.waiting.clear():
            self.counts.lost += 1
            self.on_dropped(self._class, frame)

    def _fits(self, size: int) -> bool:
        own = self.waiting.size_of(_LOCAL) + size
        return own <= self._local_sure or (own <= self._local_limit and self.waiting.size + size <= self._limit)

    def _trim(self) -> None:
        while self.waiting.size > self._limit:
            dropped = self.waiting.drop_from_biggest(sparing=_LOCAL)
            if dropped is None:
                return
            self.counts.congested += 1
            self._bites.count(self.limits.limit)
            self.on_dropped(self._class, dropped[1])

    def _push(self, path: tuple[Hashable, ...], frame: bytearray, now: float, *, relayed: bool) -> None:
        if self.waiting.size > self._limit // 2 and frame[0] == DATA:
            frame[FLAGS_AT] |= FLAG_CONGESTED
            self.counts.marked += 1
        self.waiting.push(path, (now, frame, relayed))

    def _expire(self, now: float) -> None:
        if self._age_s is not None and now - self._expired_at > EXPIRE_EVERY_S:
            self._expired_at = now
            self._drop_old(now - self._age_s)

    def _drop_old(self, before: float) -> None:
        for _, frame, _ in self.waiting.expire(before):
            self._drop_aged(frame)

    def _drop_aged(self, frame: Encoded) -> None:
        self.counts.aged += 1
        if self.limits.age is not None:
            self._bites.count(self.limits.age)
        self.on_dropped(self._class, frame)


class ClassQueues:
    """The three classes of one link; classes that wait share the link by weight."""

    def __init__(self, bites: Bites, secret: int) -> None:
        self._bites = bites
        self.by_class = tuple(ClassQueue(traffic_class, bites) for traffic_class in TrafficClass)
        self.is_awaited = False
        """Classes in which a sender was refused and waits for room."""
        self._awaited: set[TrafficClass] = set()
        self._factor = secret | 1
        self._virtual = 0.0

    @property
    def size(self) -> int:
        """Unsent bytes of all three classes, encoded and not yet encrypted."""
        return sum(queue.waiting.size for queue in self.by_class)

    def put_own(self, traffic_class: TrafficClass, source: Hashable, frame: bytearray, now: float) -> bool:
        """Queue a frame of this node; False when its class has no room."""
        queued = self._begin(traffic_class).put_own(source, frame, now)
        if not queued:
            self._await(traffic_class)
        return queued

    def has_room(self, traffic_class: TrafficClass) -> bool:
        """Whether any frame of this node would be queued; after False, `room_made` reports the class."""
        has_room = self.by_class[traffic_class].has_room
        if not has_room:
            self._await(traffic_class)
        return has_room

    def room_made(self) -> list[TrafficClass]:
        """Return, once, the classes in which a sender was refused and that have drained since."""
        made = [traffic_class for traffic_class in self._awaited if self.by_class[traffic_class].has_drained]
        self._awaited.difference_update(made)
        self.is_awaited = bool(self._awaited)
        return made

    def put_relayed(
        self, traffic_class: TrafficClass, neighbour: NodeId, src: NodeId, frame: bytearray, now: float
    ) -> None:
        """Queue a frame that `neighbour` sent; no relay can prove that `src` sent it."""
        # Multiply-shift hashing with a secret factor: nobody can choose an id that shares the flow of a given node.
        bucket = (int.from_bytes(src) * self._factor >> 120) % SOURCE_BUCKETS
        self._begin(traffic_class).put_relayed(neighbour, bucket, frame, now)

    def pop(self, now: float) -> Encoded | None:
        """Take the next frame, None when nothing waits."""
        while (queue := self._next()) is not None:
            self._virtual = queue.tag
            frame = queue.pop(now)
            if frame is not None:
                queue.tag += len(frame) / queue.weight
                return frame
        return None

    def watch(self, on_dropped: OnDropped) -> None:
        """Tell of each frame that was queued and will not be sent."""
        for queue in self.by_class:
            queue.on_dropped = on_dropped

    def clear(self) -> None:
        """Count all waiting frames as lost with the link."""
        for queue in self.by_class:
            queue.clear()

    def _await(self, traffic_class: TrafficClass) -> None:
        """Note that a sender was refused and waits for room."""
        self._bites.count(CLASS_LIMITS[traffic_class].limit)
        self._awaited.add(traffic_class)
        self.is_awaited = True

    def _next(self) -> ClassQueue | None:
        found: ClassQueue | None = None
        for queue in self.by_class:
            if queue.waiting.size and (found is None or queue.tag < found.tag):
                found = queue
        return found

    def _begin(self, traffic_class: TrafficClass) -> ClassQueue:
        queue = self.by_class[traffic_class]
        if not queue.waiting.size:
            queue.tag = max(queue.tag, self._virtual)
        return queue
