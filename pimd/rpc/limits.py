"""Limits of the RPC listeners, so that no caller can make the daemon hold more."""

from typing import Protocol

from pimd.limits import KIB, MIB, Bites, Budget, Limit, declare, declare_rate

MESSAGE = declare("bytes of one RPC message", 4 * MIB, "bytes", "refused; a Unix or WebSocket connection is closed")
BIG_MESSAGES = declare(
    "RPC messages of more than 64 KiB that are read at once",
    4,
    "messages",
    "the others wait for their turn, and their sockets are not read; smaller messages do not wait",
)
FIRST_MESSAGE = declare(
    "bytes of the first message of a WebSocket without a token", 4 * KIB, "bytes", "the connection is closed"
)
MESSAGE_S = 10.0
"""Seconds from the first byte of a message to its last; also for `rpc.authenticate`, from the upgrade."""
_DISPLACED = "the oldest that proved nothing is closed for the new one; if all did, the new one is refused with -32005"
CONNECTIONS = declare("RPC connections over HTTP and WebSocket", 256, "connections", _DISPLACED)
UNIX_CONNECTIONS = declare("RPC connections over the Unix socket", 64, "connections", _DISPLACED)
CALLS_PER_CONNECTION = declare("calls in flight of one RPC connection", 32, "calls", "refused with -32005")
CALLS_IN_ALL = declare("calls in flight over all RPC connections", 1024, "calls", "refused with -32005")
ID = declare("characters of the id of an RPC request", 8192, "characters", "refused with -32600 and the id null")
VALUES = declare("values in one RPC message", 50_000, "values", "the message is not parsed, and refused with -32700")
PARSED = declare(
    "bytes of parsed RPC messages over all connections",
    24 * MIB,
    "bytes",
    "refused with -32005, and nothing was done; messages of 64 KiB are always accepted",
)
OUTPUT = declare(
    "bytes of answers that wait to be read over all RPC connections",
    40 * MIB,
    "bytes",
    "further calls are refused with -32005; 64 KiB of each connection are always accepted",
)
BATCH_ANSWER = declare(
    "bytes of answers of one batch", 4 * MIB, "bytes", "further members are not run, and answered with -32005"
)
UNREAD_S = 30.0
"""Seconds in which a client must read something of more than 64 KiB of answers; else its connection is closed."""
LINGERING = declare(
    "refused RPC connections whose clients still send", 64, "connections", "closed before the client has read why"
)
LINGERING_BYTES = declare(
    "bytes that are read and dropped after a refused RPC message", 64 * MIB, "bytes", "the connection is closed"
)
LINGERING_S = 5.0
"""Seconds in which a refused client must finish sending and close."""
BATCH = declare("members of one batch", 100, "members", "the batch is refused with -32600")
SUBSCRIPTIONS = declare("subscriptions of one RPC connection", 64, "subscriptions", "refused with -32005")
_LAGGED = "all waiting ones are dropped, and the subscriber gets their number"
WAITING_EVENTS = declare("notifications waiting for one subscription", 1024, "notifications", _LAGGED)
WAITING_BYTES = declare("bytes of notifications waiting for one subscription", 4 * MIB, "bytes", _LAGGED)
HELD = declare(
    "notifications held of one stream",
    4096,
    "notifications",
    "the oldest is dropped; a subscriber that asks for it is told how many are missing",
)
HELD_BYTES = declare(
    "bytes of notifications held of one stream", 4 * MIB, "bytes", "the oldest are dropped, and counted as missing"
)
PUSHED_PER_SECOND = 100
"""Notifications a second in push mode; elsewhere replayed records before a pause."""
WRONG_TOKENS = declare_rate(
    "wrong tokens over all callers",
    10,
    "tokens",
    "further wrong ones are told to wait; the right one is accepted",
    burst=10,
    period_s=60,
)
GRACE_S = 0.3
"""Seconds that calls in flight get when the daemon stops."""


OWN_BYTES = 64 * 2**10
"""Bytes that each connection may always hold, so that small calls pass while others hold a lot."""


class OverLimit(Exception):  # noqa: N818 - a refusal, not a fault
    """All connections together hold too many bytes."""


class Displaceable(Protocol):
    """A connection that may lose its place."""

    def displace(self) -> None:
        """Close at once; the place is gone already."""


class Places:
    """The connections of one kind; while all places are taken, those that proved nothing go first, oldest first."""

    def __init__(self, limit: Limit, bites: Bites) -> None:
        self._limit = limit
        self._bites = bites
        self._taken: set[Displaceable] = set()
        self._unproven: dict[Displaceable, None] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def enter(self, connection: Displaceable) -> bool:
        """Take a place; False when all are taken by connections that proved something."""
        if len(self._taken) >= self._limit.value:
            self._bites.count(self._limit)
            oldest = next(iter(self._unproven), None)
            if oldest is None:
                return False
            self.leave(oldest)
            oldest.displace()
        self._taken.add(connection)
        self._unproven[connection] = None
        return True

    def prove(self, connection: Displaceable) -> None:
        """Keep the place from now on: the connection has shown a token, or been greeted."""
        self._unproven.pop(connection, None)

    def leave(self, connection: Displaceable) -> None:
        """Release the place; doing so twice is no error."""
        self._taken.discard(connection)
        self._unproven.pop(connection, None)


class Budgets:
    """What all RPC connections of a daemon share."""

    def __init__(self, bites: Bites) -> None:
        self.bites = bites
        self.http = Places(CONNECTIONS, bites)
        self.unix = Places(UNIX_CONNECTIONS, bites)
        self.output = Budget(OUTPUT, bites)
        self.lingering = Budget(LINGERING, bites)


def reserved() -> int:
    """Bytes of a shared budget that are kept for what each connection may always hold."""
    return (CONNECTIONS.value + UNIX_CONNECTIONS.value) * OWN_BYTES


class ConnectionBytes:
    """The bytes of one connection; those beyond what it may always hold count in the shared budget."""

    def __init__(self, shared: Budget, *, alone: bool = False) -> None:
        self.held = 0
        self._shared = shared
        self._alone = alone
        self._closed = False

    @property
    def has_room(self) -> bool:
        """Whether a byte more would be taken."""
        return self.held < OWN_BYTES or self._shared.has_room(leaving=reserved())

    def take(self, size: int) -> None:
        """Count `size` more bytes; `OverLimit` over the limit, with nothing counted.

        With `alone` more than the limit is taken while nothing is held.
        """
        if self._closed:
            return
        more = self._beyond_own(self.held + size) - self._beyond_own(self.held)
        if more and not self._shared.take(more, leaving=reserved(), alone=self._alone):
            raise OverLimit
        self.held += size

    def give_back(self, size: int) -> None:
        """Release bytes that were used or dropped, at most all that are held."""
        left = max(0, self.held - size)
        self._shared.give_back(self._beyond_own(self.held) - self._beyond_own(left))
        self.held = left

    def close(self) -> None:
        """Release everything; from now on nothing is counted."""
        self.give_back(self.held)
        self._closed = True

    @staticmethod
    def _beyond_own(held: int) -> int:
        return max(0, held - OWN_BYTES)
