"""What is kept of this node's own key: the numbers of its cards, and whether a person must decide about it."""

from collections.abc import Awaitable

from pimd.proto.cards import SEQ_LIMIT
from pimd.store.mirror import MirrorTable

_HIGHEST_SEQ = "highest_seq"
_WAITS = "waits_for_person"
_STARTS = "starts"
STARTS_KEPT = 64
"""Starts of which the random bytes are known, so that what this node said at one of them is not taken for another's."""


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

    def note_start(self, instance: bytes) -> frozenset[bytes]:
        """Keep the 8 random bytes of a start, on disk with the next number, and return those of the last 64 starts."""
        number = self._own.get(_STARTS, 0)
        self._own.put(_STARTS, number + 1)
        self._own.put(f"{_STARTS} {number % STARTS_KEPT}", int.from_bytes(instance, signed=True))
        kept = (self._own.get(f"{_STARTS} {at}") for at in range(STARTS_KEPT))
        return frozenset(value.to_bytes(len(instance), signed=True) for value in kept if value is not None)

    async def next_own_seq(self, now_ms: int) -> int:
        """Return a number for a new card, on disk before it is used: the time, or one more than ever before.

        At 2^44 - 1 the identity is used up and that number is returned again.
        """
        seq = min(max(now_ms, self.highest_own_seq + 1), SEQ_LIMIT - 1)
        self._own.put(_HIGHEST_SEQ, seq)
        await self.durable()
        return seq
