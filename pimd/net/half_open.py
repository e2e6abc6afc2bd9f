"""Connections that have not proven an identity yet, and their limits (docs/protocol.md)."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from pimd.limits import Bites, Limit, declare

HALF_OPEN = declare(
    "half-open connections", 128, "connections", "the oldest of the busiest source is closed for the new one"
)
HALF_OPEN_OF_SOURCE = declare(
    "half-open connections of one source",
    16,
    "connections",
    "the oldest of that IPv4 address, IPv6 /64, or user of a Unix socket is closed for the new one",
)

C = TypeVar("C")


class HalfOpen(Generic[C]):
    """Half-open connections by source, oldest first; over a limit the busiest source loses its oldest."""

    def __init__(self, evict: Callable[[C], None], bites: Bites) -> None:
        self._evict = evict
        self._bites = bites
        self._by_source: dict[str, OrderedDict[C, None]] = {}
        self._source: dict[C, str] = {}

    def __len__(self) -> int:
        return len(self._source)

    def add(self, connection: C, source: str) -> None:
        """Count a new connection; over a limit another one is evicted first."""
        own = self._by_source.get(source)
        if own is not None and len(own) >= HALF_OPEN_OF_SOURCE.value:
            self._evict_oldest(own, HALF_OPEN_OF_SOURCE)
        elif len(self._source) >= HALF_OPEN.value:
            self._evict_oldest(max(self._by_source.values(), key=len), HALF_OPEN)
        self._source[connection] = source
        self._by_source.setdefault(source, OrderedDict())[connection] = None

    def discard(self, connection: C) -> None:
        """Forget a connection that finished its handshake or ended; unknown ones are ignored."""
        source = self._source.pop(connection, None)
        if source is None:
            return
        own = self._by_source[source]
        del own[connection]
        if not own:
            del self._by_source[source]

    def _evict_oldest(self, connections: OrderedDict[C, None], limit: Limit) -> None:
        self._bites.count(limit)
        oldest = next(iter(connections))
        self.discard(oldest)
        self._evict(oldest)
