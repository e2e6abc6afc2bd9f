"""Fair queueing by bytes: who sends little waits little (start-time fair queueing, Goyal, Vin and Cheng, 1996)."""

import heapq
import itertools
from collections import deque
from collections.abc import Hashable

Encoded = bytes | bytearray
Queued = tuple[float, Encoded, bool]
"""When it was queued, the frame, and whether it is on its way for others."""

FRAME_COST = 160
"""Bytes that a waiting frame counts more than its length, for the memory that holds it."""
IDLE_FLOWS = 64
"""Empty flows whose start tags are kept; a forgotten flow starts at the present virtual time."""


class Flow:
    """The frames of one source, first in, first out."""

    __slots__ = ("frames", "size", "tag")

    def __init__(self) -> None:
        self.frames: deque[Queued] = deque()
        self.size = 0
        """Counted bytes of all waiting frames."""
        self.tag = 0.0
        """Virtual time at which the next frame starts."""

    def push(self, path: tuple[Hashable, ...], queued: Queued) -> None:
        """Append a frame; the path is empty here, since flows have no children."""
        del path
        self.frames.append(queued)
        self.size += len(queued[1]) + FRAME_COST

    def pop(self) -> Queued:
        """Take the oldest frame; IndexError when there is none."""
        queued = self.frames.popleft()
        self.size -= len(queued[1]) + FRAME_COST
        return queued

    def drop_from_biggest(self) -> Queued | None:
        """Remove the newest frame, so that earlier ones keep their place."""
        queued = self.frames.pop()
        self.size -= len(queued[1]) + FRAME_COST
        return queued

    def expire(self, before: float) -> list[Queued]:
        """Remove and return the frames that were queued before a moment."""
        old: list[Queued] = []
        while self.frames and self.frames[0][0] < before:
            old.append(self.pop())
        return old


class FairQueue:
    """Flows, or fair queues of flows, by key; those with frames share the bytes equally."""

    __slots__ = ("_children", "_depth", "_heap", "_numbers", "_virtual", "size", "tag")

    def __init__(self, depth: int) -> None:
        self.size = 0
        self.tag = 0.0
        self._depth = depth
        """Number of keys in a path; the last key names a flow."""
        self._children: dict[Hashable, Flow | FairQueue] = {}
        self._heap: list[tuple[float, int, Flow | FairQueue]] = []
        """Children with frames, by start tag, then by arrival."""
        self._numbers = itertools.count()
        self._virtual = 0.0

    def push(self, path: tuple[Hashable, ...], queued: Queued) -> None:
        """Queue a frame in the flow at `path`, which has as many keys as this queue has levels."""
        child = self._children.get(path[0])
        if child is None:
            child = self._add(path[0])
        if not child.size:
            child.tag = max(child.tag, self._virtual)
            heapq.heappush(self._heap, (child.tag, next(self._numbers), child))
        child.push(path[1:], queued)
        self.size += len(queued[1]) + FRAME_COST

    def pop(self) -> Queued:
        """Take the next frame; IndexError when there is none."""
        self._virtual, _, child = self._heap[0]
        queued = child.pop()
        size = len(queued[1]) + FRAME_COST
        self.size -= size
        child.tag += size
        if child.size:
            heapq.heapreplace(self._heap, (child.tag, next(self._numbers), child))
        else:
            heapq.heappop(self._heap)
        return queued

    def size_of(self, key: Hashable) -> int:
        """Counted bytes of the waiting frames below one key."""
        child = self._children.get(key)
        return child.size if child is not None else 0

    def drop_from_biggest(self, sparing: Hashable = None) -> Queued | None:
        """Remove the newest frame of the biggest flow of the biggest child, except `sparing`; None without one."""
        others = (child for key, child in self._children.items() if child.size and key != sparing)
        biggest = max(others, key=lambda child: child.size, default=None)
        if biggest is None:
            return None
        dropped = biggest.drop_from_biggest()
        if dropped is not None:
            self.size -= len(dropped[1]) + FRAME_COST
        if not biggest.size:
            self._tidy()
        return dropped

    def expire(self, before: float) -> list[Queued]:
        """Remove and return the frames that were queued before a moment."""
        old = [queued for child in self._children.values() for queued in child.expire(before)]
        self.size -= sum(len(frame) + FRAME_COST for _, frame, _ in old)
        self._tidy()
        return old

    def clear(self) -> list[Queued]:
        """Take all frames, in no order."""
        return self.expire(float("inf"))

    def _add(self, key: Hashable) -> "Flow | FairQueue":
        if len(self._children) >= 2 * len(self._heap) + IDLE_FLOWS:
            self._children = {key: child for key, child in self._children.items() if child.size}
        child = self._children[key] = Flow() if self._depth == 1 else FairQueue(self._depth - 1)
        return child

    def _tidy(self) -> None:
        """Remove children without frames from the heap."""
        self._heap = [entry for entry in self._heap if entry[2].size]
        heapq.heapify(self._heap)
