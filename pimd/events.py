"""The in-process bus: each subscriber gets every later event in order, or the number it missed."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from pimd.limits import Bites, declare

T = TypeVar("T")

SUBSCRIBER_QUEUE = declare(
    "events waiting for one part of the daemon", 4096, "events", "the oldest are dropped, and it gets their number"
)
EVENTS_IN_A_ROW = 32
"""Events after which a subscriber with a backlog yields to the event loop."""


@dataclass(frozen=True)
class Lagged:
    """Takes the place of events that were dropped because the subscriber was too slow."""

    missed: int
    """How many events were dropped since the last one delivered."""


class Subscription(Generic[T]):
    """An async iterator of events; ends after `close`.

    Called by the one task that iterates; a plugin closes it, or leaves that to `with`. `push` is the topic's.

    Errors: none; events that were missed are a `Lagged`.
    """

    def __init__(self, topic: "Topic[T]", bites: Bites) -> None:
        self._topic = topic
        self._bites = bites
        self._waiting: deque[T] = deque()
        self._missed = 0
        self._closed = False
        self._in_a_row = 0
        self._wake = asyncio.Event()

    def push(self, event: T) -> None:
        """Queue without ever waiting; over the limit the oldest waiting event is dropped and counted."""
        if len(self._waiting) >= SUBSCRIBER_QUEUE.value:
            self._bites.count(SUBSCRIBER_QUEUE)
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(event)
        self._wake.set()

    def close(self) -> None:
        """End the iteration; waiting events are discarded. Closing twice is no error."""
        self._closed = True
        self._waiting.clear()
        self._topic.discard(self)
        self._wake.set()

    def next_waiting(self) -> T | Lagged | None:
        """Return the next event without waiting, or None."""
        if self._missed:
            missed, self._missed = self._missed, 0
            return Lagged(missed)
        return self._waiting.popleft() if self._waiting else None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T | Lagged:
        if self._in_a_row == EVENTS_IN_A_ROW:
            self._in_a_row = 0
            await asyncio.sleep(0)
        while True:
            if self._closed:
                raise StopAsyncIteration
            event = self.next_waiting()
            if event is not None:
                self._in_a_row += 1
                return event
            self._in_a_row = 0
            self._wake.clear()
            await self._wake.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Topic(Generic[T]):
    """One stream of events with any number of subscribers, none of which can slow another.

    Called by who owns it, in the thread of the event loop: a plugin hands subscriptions to the features that it serves.

    Errors: none.
    """

    def __init__(self, bites: Bites | None = None) -> None:
        self._bites = bites or Bites()
        self._subscriptions: list[Subscription[T]] = []

    def subscribe(self) -> Subscription[T]:
        """Receive every event published from now on."""
        subscription = Subscription(self, self._bites)
        self._subscriptions.append(subscription)
        return subscription

    @property
    def is_heard(self) -> bool:
        """Whether anybody subscribes."""
        return bool(self._subscriptions)

    def discard(self, subscription: Subscription[T]) -> None:
        """Forget a subscription; unknown ones are ignored."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def publish(self, event: T) -> None:
        """Hand `event` to every subscriber in the order of subscription."""
        for subscription in tuple(self._subscriptions):
            subscription.push(event)
