"""Limits of the RPC listeners, so that no caller can make the daemon hold more."""

from pimd.limits import KIB, MIB, Bites, Budget, declare, declare_rate

MESSAGE = declare("bytes of one RPC message", 4 * MIB, "bytes", "refused; a Unix or WebSocket connection is closed")
UNFINISHED = declare(
    "bytes of unfinished RPC messages over all connections",
    64 * MIB,
    "bytes",
    "the message is refused and its connection closed; 64 KiB of each connection are always accepted",
)
FIRST_MESSAGE = declare(
    "bytes of the first message of a WebSocket without a token", 4 * KIB, "bytes", "the connection is closed"
)
MESSAGE_S = 10.0
"""Seconds from the first byte of a message to its last; also for `rpc.authenticate`, from the upgrade."""
CONNECTIONS = declare("RPC connections over all listeners", 256, "connections", "refused with -32005")
CALLS_PER_CONNECTION = declare("calls in flight of one RPC connection", 32, "calls", "refused with -32005")
CALLS_IN_ALL = declare("calls in flight over all RPC connections", 1024, "calls", "refused with -32005")
BATCH = declare("members of one batch", 100, "members", "the batch is refused with -32600")
SUBSCRIPTIONS = declare("subscriptions of one RPC connection", 64, "subscriptions", "refused with -32005")
_LAGGED = "all waiting ones are dropped, and the subscriber gets their number"
WAITING_EVENTS = declare("notifications waiting for one subscription", 1024, "notifications", _LAGGED)
WAITING_BYTES = declare("bytes of notifications waiting for one subscription", 4 * MIB, "bytes", _LAGGED)
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
    """All connections together hold too many unfinished bytes."""


class ReadBudget:
    """Counts connections, and their unfinished bytes beyond what each may always hold."""

    def __init__(self, bites: Bites) -> None:
        self.bites = bites
        self.shared = Budget(UNFINISHED, bites)
        self.connections = Budget(CONNECTIONS, bites)

    def enter(self) -> bool:
        """Count one more connection; False over the limit."""
        return self.connections.take(1)

    def leave(self) -> None:
        """Release the place of a counted connection."""
        self.connections.give_back(1)


class ConnectionReadBudget:
    """The unfinished bytes of one connection."""

    def __init__(self, read_budget: ReadBudget) -> None:
        self.held = 0
        self._read_budget = read_budget

    def take(self, size: int) -> None:
        """Count `size` more bytes; `OverLimit` over the limit, with nothing counted."""
        more = self._beyond_own(self.held + size) - self._beyond_own(self.held)
        if more and not self._read_budget.shared.take(more, leaving=CONNECTIONS.value * OWN_BYTES):
            raise OverLimit
        self.held += size

    def give_back(self, size: int) -> None:
        """Release bytes that were used or dropped, at most all that are held."""
        left = max(0, self.held - size)
        self._read_budget.shared.give_back(self._beyond_own(self.held) - self._beyond_own(left))
        self.held = left

    @staticmethod
    def _beyond_own(held: int) -> int:
        return max(0, held - OWN_BYTES)
