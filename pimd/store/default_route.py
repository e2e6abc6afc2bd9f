"""Implements `contract.DefaultRoute` over a row of the keystore's file."""

from collections.abc import Awaitable, Callable

from pimd.events import Subscription, Topic
from pimd.limits import Bites
from pimd.store.mirror import MirrorTable

_ROW = "route_on"


class DefaultRoute:
    """Keeps the wish; it is never effective, since there is no data plane."""

    def __init__(self, own: MirrorTable[str, int], durable: Callable[[], Awaitable[None]], bites: Bites) -> None:
        self._own = own
        self._durable = durable
        self._topic: Topic[bool] = Topic(bites)

    @property
    def wanted(self) -> bool:
        """False in a new data directory."""
        return bool(self._own.get(_ROW, 0))

    @property
    def effective(self) -> bool:
        """No packet of the system is carried yet."""
        return False

    async def want(self, *, on: bool) -> None:
        """Write the row, then tell the subscribers."""
        self._own.put(_ROW, int(on))
        await self._durable()
        self._topic.publish(on)

    def subscribe(self) -> Subscription[bool]:
        """Receive each wish behind its commit."""
        return self._topic.subscribe()
