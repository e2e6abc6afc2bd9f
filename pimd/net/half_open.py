"""Connections that have proven nothing yet, and how many of them we bear (docs/protocol.md)."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

HALF_OPEN_LIMIT = 128
"""All together."""
HALF_OPEN_SOURCE_LIMIT = 16
"""From one source: an IPv4 address, an IPv6 /64, on a Unix socket a user."""

C = TypeVar("C")


class HalfOpen(Generic[C]):
    """The half-open connections by source, oldest first; a new one over a limit costs the busiest source its oldest."""

    def __init__(
        self, evict: Callable[[C], None], limit: int = HALF_OPEN_LIMIT, source_limit: int = HALF_OPEN_SOURCE_LIMIT
    ) -> None:
        self._evict = evict
        self._limit = limit
        self._source_limit = source_limit
        self._by_source: dict[str, OrderedDict[C, None]] = {}
        self._source: dict[C, str] = {}

    def __len__(self) -> int:
        return len(self._source)

    def add(self, connection: C, source: str) -> None:
        """Count a new connection, evicting first when it is one too many."""
        own = self._by_source.get(source)
        if own is not None and len(own) >= self._source_limit:
            self._evict_oldest(own)
        elif len(self._source) >= self._limit:
            self._evict_oldest(max(self._by_source.values(), key=len))
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

    def _evict_oldest(self, connections: OrderedDict[C, None]) -> None:
        oldest = next(iter(connections))
        self.discard(oldest)
        self._evict(oldest)
