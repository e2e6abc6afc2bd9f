"""Implements `contract.DefaultRoute` over `[route] split_default` and what the daemon decided about it."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from pimd.events import Subscription, Topic


class KeepWish(Protocol):
    """Puts a wish where decisions of the daemon lie."""

    def __call__(self, *, on: bool) -> Awaitable[None]:
        """Return once it is on disk; OSError with nothing changed."""


class DefaultRoute:
    """Reads and keeps the wish; it is never effective, since there is no data plane."""

    def __init__(self, wish: Callable[[], bool], keep: KeepWish) -> None:
        self._wish = wish
        self._keep = keep
        self._topic: Topic[bool] = Topic()

    @property
    def wanted(self) -> bool:
        """As configured, or said last."""
        return self._wish()

    @property
    def effective(self) -> bool:
        """No packet of the system is carried yet."""
        return False

    async def want(self, *, on: bool) -> None:
        """Keep it, then tell the subscribers."""
        await self._keep(on=on)
        self._topic.publish(on)

    def subscribe(self) -> Subscription[bool]:
        """Receive each wish once it is kept."""
        return self._topic.subscribe()
