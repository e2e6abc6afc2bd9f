"""How much is kept, for whom, and of whom; a stranger is a sender that is no contact of the mailbox's owner."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pimd.contract import MIB, Limit, declare
from pimd.ids import NodeId

_REFUSED = "refused; the sender is told, and keeps its message"
SENDER_MESSAGES = declare("messages kept of one sender", 500, "messages", _REFUSED)
SENDER_BYTES = declare("bytes kept of one sender", 4 * MIB, "bytes", _REFUSED)
RECIPIENT_MESSAGES = declare("messages kept for one recipient", 4000, "messages", _REFUSED)
RECIPIENT_BYTES = declare("bytes kept for one recipient", 32 * MIB, "bytes", _REFUSED)
MESSAGES = declare("messages kept for all recipients", 40_000, "messages", _REFUSED)
BYTES = declare("bytes kept for all recipients", 256 * MIB, "bytes", _REFUSED)
STRANGERS_SHARE = 3 / 4
"""Of each room; the rest is for contacts of the owner."""
SOURCE_SHARE = 1 / 4
"""Of an empty room of strangers, for those whom one neighbour brought."""


@dataclass(frozen=True)
class Item:
    """What counts of a kept message."""

    recipient: NodeId
    source: NodeId
    brought_by: str
    """Empty for a contact; else what shares are counted by."""
    size: int


class Room:
    """Counts in memory what is on disk."""

    def __init__(self) -> None:
        self._messages: Counter[object] = Counter()
        self._bytes: Counter[object] = Counter()
        self._recipients: Counter[NodeId] = Counter()

    def add(self, item: Item, times: int = 1) -> None:
        """Count a message that is kept now; with `times` as many, `size` being the sum."""
        self._change(item, times, item.size)

    def remove(self, item: Item) -> None:
        """Count a message that is gone."""
        self._change(item, -1, -item.size)

    def recipients(self) -> Iterator[NodeId]:
        """Yield those for whom something is kept."""
        yield from tuple(self._recipients)

    def holds_for(self, recipient: NodeId) -> bool:
        """Whether something is kept for a node."""
        return recipient in self._recipients

    @property
    def messages(self) -> int:
        """All that is kept."""
        return self._messages[_ALL]

    @property
    def bytes(self) -> int:
        """Of all that is kept."""
        return self._bytes[_ALL]

    def refuses(self, item: Item, instead_of: Item | None = None) -> Limit | None:
        """Return the limit that a message would pass, if any; one that is kept already may go for it."""
        if instead_of is not None:
            self.remove(instead_of)
        try:
            return self._refuses(item)
        finally:
            if instead_of is not None:
                self.add(instead_of)

    def _refuses(self, item: Item) -> Limit | None:
        for counted, (messages, size) in (
            (("of", item.source), (SENDER_MESSAGES, SENDER_BYTES)),
            (("for", item.recipient), (RECIPIENT_MESSAGES, RECIPIENT_BYTES)),
            (_ALL, (MESSAGES, BYTES)),
        ):
            if self._messages[counted] + 1 > messages.value:
                return messages
            if self._bytes[counted] + item.size > size.value:
                return size
        return self._refuses_stranger(item) if item.brought_by else None

    def _refuses_stranger(self, item: Item) -> Limit | None:
        for where, messages, size in (
            (item.recipient, RECIPIENT_MESSAGES, RECIPIENT_BYTES),
            (None, MESSAGES, BYTES),
        ):
            for limit, held, more in ((messages, self._messages, 1), (size, self._bytes, item.size)):
                of_source = held["source", where, item.brought_by]
                left = limit.value * STRANGERS_SHARE - (held["strangers", where] - of_source)
                if not _fits(of_source, more, left, limit.value * STRANGERS_SHARE):
                    return limit
        return None

    def _change(self, item: Item, messages: int, size: int) -> None:
        counted: list[object] = [("of", item.source), ("for", item.recipient), _ALL]
        if item.brought_by:
            for where in (item.recipient, None):
                counted += [("source", where, item.brought_by), ("strangers", where)]
        for what in counted:
            _add(self._messages, what, messages)
            _add(self._bytes, what, size)
        _add(self._recipients, item.recipient, messages)


_ALL = "all"


def _add(counter: "Counter[object] | Counter[NodeId]", what: object, by: int) -> None:
    counter[what] += by  # type: ignore[index] # of either counter
    if counter[what] <= 0:  # type: ignore[index]
        del counter[what]


def _fits(of_source: int, more: int, left: float, room: float) -> bool:
    """Whether a source may hold more.

    Its share shrinks with the square of the room that others leave, so that a hundred sources leave some to the next one.
    Its first message needs no share.
    """
    if of_source + more > left:
        return False
    return not of_source or (of_source + more) * room**2 <= room * SOURCE_SHARE * left**2
