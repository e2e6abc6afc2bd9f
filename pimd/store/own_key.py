"""What is kept of this node's own key: the numbers of its cards, and whether a person must decide about it."""

from collections.abc import Awaitable

from pimd.proto.cards import SEQ_LIMIT
from pimd.store.mirror import MirrorTable

_HIGHEST_SEQ = "highest_seq"
_WAITS = "waits_for_person"


class OwnKey:
    """The part of the keystore that is about this node itself."""

    _own: MirrorTable[str, int]

    def durable(self) -> Awaitable[None]:
        """Wait until every change so far is on disk."""
        raise NotImplementedError

    @property
    def highest_own_seq(self) -> int:
        """The highest sequence number this node used for a card; 0 before the first."""
        return self._own.get(_HIGHEST_SEQ, 0)

    @property
    def waits_for_person(self) -> bool:
        """Whether a person must say first that this node's key may be used here: another machine has it."""
        return bool(self._own.get(_WAITS, 0))

    async def set_waits_for_person(self, *, waits: bool) -> None:
        """Note it over restarts."""
        self._own.put(_WAITS, int(waits))
        await self.durable()

    async def next_own_seq(self, now_ms: int) -> int:
        """Return a number for a new card, on disk before it is used: the time, or one more than ever before.

        At 2^44 - 1 the identity is used up and that number is returned again.
        """
        seq = min(max(now_ms, self.highest_own_seq + 1), SEQ_LIMIT - 1)
        self._own.put(_HIGHEST_SEQ, seq)
        await self.durable()
        return seq
