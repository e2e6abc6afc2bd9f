"""One time budget for parsing the input of all links, so that the event loop stays free for other work."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from pimd.limits import Bites, TokenBucket, declare, declare_rate

BUDGET = declare(
    "time for what all links bring in one turn of the event loop",
    500,
    "microseconds",
    "the remaining links wait for a later turn, and their sockets are not read until then",
)
STRANGERS = declare_rate(
    "time for frames other than data on links of strangers",
    250_000,
    "microseconds",
    "the link whose frame took it is not read until the time is there again",
    burst=500_000,
)
SLICE = declare("time for what one link brings at once", 250, "microseconds", "other waiting links are served first")


class Worker(Protocol):
    """A link with unparsed bytes; `LinkDriver` implements it."""

    @property
    def is_preferred(self) -> Callable[[], bool]:
        """Tells whether its peer is configured or a contact now."""

    def work(self) -> None:
        """Parse until nothing is left or `Turns.is_over()`; then call `wait` again."""


class Turns:
    """Distributes slices of the budget; the link that waits longest is served first.

    Links of preferred peers and the others are served in turn, so a contact waits for one stranger at most.
    """

    def __init__(self, now: Callable[[], float], bites: Bites) -> None:
        self._now = now
        self._bites = bites
        self._budget_s = BUDGET.value / 1_000_000
        self._slice_s = SLICE.value / 1_000_000
        self._strangers = TokenBucket(STRANGERS, now(), bites)
        self._preferred: deque[Worker] = deque()
        self._others: deque[Worker] = deque()
        self._others_next = False
        self._turn_ends = float("-inf")
        self._slice_ends = float("-inf")
        self._scheduled = False

    def may_begin(self) -> bool:
        """Give a slice to a link that just read; False when the budget is spent or others wait."""
        if not self._scheduled:
            self._start_turn()
        now = self._now()
        if self._preferred or self._others or now >= self._turn_ends:
            self._bites.count(BUDGET)
            return False
        self._slice_ends = now + self._slice_s
        return True

    def wait(self, worker: Worker) -> None:
        """Queue a link for a later turn."""
        (self._preferred if worker.is_preferred() else self._others).append(worker)
        if not self._scheduled:
            self._start_turn()

    def is_over(self) -> bool:
        """Whether the current slice is spent, so that the link must wait for another."""
        if self._now() < self._slice_ends:
            return False
        self._bites.count(SLICE)
        return True

    def rest(self, worker: Worker, seconds: float) -> float:
        """Note how long a frame took that is no data; return for how many seconds its link is to rest."""
        return 0.0 if worker.is_preferred() else self._strangers.owe(round(seconds * 1_000_000), self._now())

    def _start_turn(self) -> None:
        self._scheduled = True
        self._turn_ends = self._now() + self._budget_s
        asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._scheduled = False
        if not self._preferred and not self._others:
            return
        self._start_turn()
        while (self._preferred or self._others) and self._now() < self._turn_ends:
            self._slice_ends = self._now() + self._slice_s
            self._next_worker().work()
        self._bites.count(BUDGET, len(self._preferred) + len(self._others))

    def _next_worker(self) -> Worker:
        from_others = bool(self._others) and (self._others_next or not self._preferred)
        self._others_next = not from_others
        return (self._others if from_others else self._preferred).popleft()
