"""What the keystore answers to a valid card."""

import enum


class Learned(enum.Enum):
    """The result for a valid card."""

    NEW = enum.auto()
    """It was not held: the identity is learned or refreshed, and `Seen` follows once that is on disk."""
    OLD = enum.auto()
    """Its seq is not higher than that of the card held."""
    OTHER_KEYS = enum.auto()
    """It carries other keys than the first valid card of that id: refused and counted."""
    FORGOTTEN = enum.auto()
    """The user forgot this very card, or a newer one, or it aged out."""
    FULL = enum.auto()
    """The keystore is full, and no identity may be evicted: refused and counted."""
