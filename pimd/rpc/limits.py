"""What the RPC listeners bear: nothing a caller can do makes the daemon hold more than this."""

MESSAGE_LIMIT = 4 * 2**20
"""Bytes of one line, body or frame."""
READING_LIMIT = 64 * 2**20
"""Bytes of unfinished messages over all connections."""
FIRST_MESSAGE_LIMIT = 4096
"""Bytes that an unproven WebSocket may send."""
MESSAGE_S = 10.0
"""Seconds from the first byte of a message to its last; also for `rpc.authenticate`, from the upgrade."""
CONNECTION_LIMIT = 256
"""Open connections, over all RPC listeners."""
CALLS_PER_CONNECTION = 32
CALLS_IN_ALL = 1024
BATCH_LIMIT = 100
"""Members of a batch; they run in order."""
SUBSCRIPTIONS_PER_CONNECTION = 64
WAITING_EVENTS = 1024
WAITING_BYTES = 4 * 2**20
"""Notifications that wait for one slow subscriber, in number and in bytes, before it has lagged."""
PUSHED_PER_SECOND = 100
"""Notifications a second in push mode, and replayed records in one go elsewhere."""
WRONG_TOKENS_PER_MINUTE = 10
GRACE_S = 0.3
"""What calls in flight get when the daemon stops."""


OWN_BYTES = 64 * 2**10
"""Of these, what each connection may always hold, so that small calls get through while others hold a lot."""


class OverLimit(Exception):  # noqa: N818 - a refusal, not a fault
    """All connections together hold too many unfinished bytes."""


class ReadBudget:
    """Counts the connections, and the unfinished bytes that they hold beyond their own."""

    def __init__(self) -> None:
        self.shared = 0
        self.connections = 0

    def enter(self) -> bool:
        """Count one more connection; False when there are too many."""
        if self.connections >= CONNECTION_LIMIT:
            return False
        self.connections += 1
        return True

    def leave(self) -> None:
        """A counted connection is gone."""
        self.connections -= 1


class ConnectionReadBudget:
    """The unfinished bytes of one connection."""

    def __init__(self, read_budget: ReadBudget) -> None:
        self.held = 0
        self._read_budget = read_budget

    def take(self, size: int) -> None:
        """Account for `size` more bytes; `OverLimit` when that is too many, with nothing taken."""
        more = self._beyond_own(self.held + size) - self._beyond_own(self.held)
        if more and self._read_budget.shared + more > READING_LIMIT - CONNECTION_LIMIT * OWN_BYTES:
            raise OverLimit
        self._read_budget.shared += more
        self.held += size

    def give_back(self, size: int) -> None:
        """That many bytes, at most all that are held, were used or dropped."""
        left = max(0, self.held - size)
        self._read_budget.shared -= self._beyond_own(self.held) - self._beyond_own(left)
        self.held = left

    @staticmethod
    def _beyond_own(held: int) -> int:
        return max(0, held - OWN_BYTES)
