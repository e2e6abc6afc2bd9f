"""What arrives while the last batch is dealt with is the next batch."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from pimd.contract import Bites, Limit

T = TypeVar("T")


class Batches(Generic[T]):
    """A bounded queue that one task empties whole, in the order of arrival; `deal` gets what is there."""

    def __init__(self, limit: Limit, bites: Bites, deal: Callable[[list[T]], Awaitable[None]]) -> None:
        self._limit = limit
        self._bites = bites
        self._deal = deal
        self._waiting: list[T] = []
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def put(self, item: T) -> None:
        """Queue one item; waits while the queue is full."""
        while len(self._waiting) >= self._limit.value:
            self._bites.count(self._limit)
            self._room.clear()
            await self._room.wait()
        self._waiting.append(item)
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Deal with the batches until cancelled; what is still queued then is dropped."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                batch, self._waiting = self._waiting, []
                self._room.set()
                await self._deal(batch)
                if not self._waiting:
                    self._idle.set()
        finally:
            self._waiting.clear()
            self._room.set()
            self._idle.set()

    async def drained(self) -> None:
        """Wait until all that was put has been dealt with."""
        await self._idle.wait()
