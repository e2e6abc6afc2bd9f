"""One time budget for what all links bring: nobody's bytes hold up the rest of the event loop (docs/protocol.md, "Limits")."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

BUDGET_S = 0.001
"""Time that taking apart what links brought may cost in one turn of the event loop, over all links."""
SLICE_S = 0.0005
"""Of that for one link, before the others that wait have their turn."""


class Worker(Protocol):
    """A link that has bytes to take apart."""

    def work(self) -> None:
        """Go on until nothing is left or `Turns.is_over`; then ask for another turn."""


class Turns:
    """Hands out slices of the budget, to those that wait longest first."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waiting: deque[Worker] = deque()
        self._turn_ends = float("-inf")
        self._slice_ends = float("-inf")
        self._scheduled = False

    def may_begin(self) -> bool:
        """Give a slice to a link that just read; False while the budget of this turn is spent, or others wait."""
        if not self._scheduled:
            self._start_turn()
        now = self._now()
        if self._waiting or now >= self._turn_ends:
            return False
        self._slice_ends = now + SLICE_S
        return True

    def wait(self, worker: Worker) -> None:
        """Queue a link for a later turn."""
        self._waiting.append(worker)
        if not self._scheduled:
            self._start_turn()

    @property
    def is_over(self) -> bool:
        """Whether the slice of the link that works now is spent."""
        return self._now() >= self._slice_ends

    def _start_turn(self) -> None:
        self._scheduled = True
        self._turn_ends = self._now() + BUDGET_S
        asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._scheduled = False
        if not self._waiting:
            return
        self._start_turn()
        while self._waiting and self._now() < self._turn_ends:
            self._slice_ends = self._now() + SLICE_S
            self._waiting.popleft().work()
