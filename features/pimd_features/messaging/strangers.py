"""How much of what strangers write is stored; a stranger is a peer that is no contact."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pimd.contract import KEYSTORE, KIB, LOCAL_SOURCE, MIB, Limit, PluginContext, RecentSet, declare
from pimd.ids import NodeId
from pimd_features.messaging.models import MessagingSettings
from pimd_features.messaging.store import Conversation

_UNSEEN = "unseen"
"""The source of all whose card never came: only mailboxes bring their messages, and ids cost nothing."""
_REFUSED = "dropped, not acknowledged"
STRANGER_MESSAGES = declare("messages of one stranger", 50, "messages", _REFUSED)
STRANGER_BYTES = declare("bytes of messages of one stranger", 256 * KIB, "bytes", _REFUSED)
SOURCE_MESSAGES = declare("messages of strangers whom one neighbour brought", 250, "messages", _REFUSED)
SOURCE_BYTES = declare("bytes of messages of strangers whom one neighbour brought", 4 * MIB, "bytes", _REFUSED)
"""The share of one source (`Keystore.brought_by`) of an empty room."""
STRANGERS_MESSAGES = declare("messages of all strangers", 1000, "messages", _REFUSED)
STRANGERS_BYTES = declare("bytes of messages of all strangers", 16 * MIB, "bytes", _REFUSED)
LOCAL_MESSAGES = declare("messages of strangers whom neighbours on this machine brought", 750, "messages", _REFUSED)
LOCAL_BYTES = declare(
    "bytes of messages of strangers whom neighbours on this machine brought", 12 * MIB, "bytes", _REFUSED
)
"""There each neighbour is a source, and ids cost nothing; so they leave room for those who come from elsewhere."""
REFUSED = declare(
    "refused strangers remembered", 1000, "strangers", "the oldest is not counted among those who wrote any more"
)


class Strangers:
    """Says whose messages are welcome, and who was refused."""

    def __init__(self, ctx: PluginContext[MessagingSettings]) -> None:
        self._ctx = ctx
        self._settings = ctx.settings
        self._keystore = ctx.services[KEYSTORE]
        self._refused: RecentSet[NodeId] = RecentSet(REFUSED, ctx.bites)
        self.fellows: frozenset[NodeId] = frozenset()
        """Those whose parcels are welcome (`Parcels.set_fellows`)."""

    def is_contact(self, peer: NodeId) -> bool:
        """Tell whether the user imported, labelled or wrote to this id, or labelled a configured address of it."""
        return self._keystore.is_contact(peer) or self._keystore.index.label(peer) is not None

    def is_expected(self, peer: NodeId) -> bool:
        """Tell whether it is a contact or a fellow: sessions and parcels are taken of both, texts only of contacts."""
        return peer in self.fellows or self.is_contact(peer)

    def refused(self) -> list[NodeId]:
        """Strangers whose newest message was refused since the start, the newest first; without contacts."""
        return [peer for peer in reversed(self._refused) if not self.is_contact(peer)]

    def room(self, conversations: Iterable[Conversation]) -> "Room":
        """Return what is left beside these conversations, for the messages of one batch."""
        return Room(self, {one.peer: one for one in conversations if not self.is_contact(one.peer)})

    def note(self, src: NodeId, *, welcome: bool) -> None:
        """Remember who was refused last, and say it once."""
        if welcome:
            self._refused.discard(src)
            return
        if src not in self._refused:
            self._ctx.log.info("a message of %s was refused, who is no contact; writing to it makes one", src)
        self._refused.add(src)

    def has_room(self, src: NodeId, size: int, held: Iterable[Conversation], *, counts: bool = True) -> bool:
        """Tell whether strangers are welcome, and a message of `src` within all limits beside what they hold."""
        if self._settings.accept != "everyone":
            return False
        held_by = [(self._source(one.peer), one) for one in held]
        source = self._source(src)
        groups = [
            [one for _, one in held_by if one.peer == src],
            [one for of, one in held_by if of == source],
            [one for _, one in held_by],
        ]
        if source.startswith(LOCAL_SOURCE):
            groups.append([one for of, one in held_by if of.startswith(LOCAL_SOURCE)])
        reached = (
            _reached(1, [sum(one.received for one in group) for group in groups], _MESSAGES),
            _reached(size, [sum(one.received_bytes for one in group) for group in groups], _BYTES),
        )
        for limit in reached:
            if limit is not None and counts:
                self._ctx.bites.count(limit)
        return reached == (None, None)

    def _source(self, peer: NodeId) -> str:
        brought_by = self._keystore.brought_by(peer)
        return brought_by or (str(peer) if self._keystore.get(peer) is not None else _UNSEEN)


class Room:
    """What strangers hold, the messages of the batch under way included."""

    def __init__(self, strangers: Strangers, held: dict[NodeId, Conversation]) -> None:
        self._strangers = strangers
        self._held = held

    def takes(self, src: NodeId, size: int) -> bool:
        """Tell whether a stranger's message with `size` bytes of text is to be stored; it takes its room then."""
        welcome = self._strangers.has_room(src, size, self._held.values())
        self._strangers.note(src, welcome=welcome)
        if welcome:
            self.add(src, 1, size)
        return welcome

    def would_take(self, src: NodeId, size: int) -> bool:
        """Tell the same of a message that may turn out to be no text; a refusal is neither counted nor noted yet."""
        welcome = self._strangers.has_room(src, size, self._held.values(), counts=False)
        if welcome:
            self.add(src, 1, size)
        return welcome

    def add(self, src: NodeId, messages: int, size: int) -> None:
        """Count what a stranger holds besides; nothing of one that is none."""
        if not self._strangers.is_contact(src):
            of_src = self._held.get(src) or Conversation(src, 0, None, None, 0, 0, 0)
            count, held = of_src.received + messages, of_src.received_bytes + size
            self._held[src] = replace(of_src, received=count, received_bytes=held)


_MESSAGES = (STRANGER_MESSAGES, SOURCE_MESSAGES, STRANGERS_MESSAGES, LOCAL_MESSAGES)
_BYTES = (STRANGER_BYTES, SOURCE_BYTES, STRANGERS_BYTES, LOCAL_BYTES)


def _reached(more: int, held: Sequence[int], limits: Sequence[Limit]) -> Limit | None:
    """Return the limit that `more` would pass: of the stranger, of its source, or of a room that sources share.

    A source's share shrinks with the square of the room that others leave, so that a hundred sources leave some to the
    next one. Its first message needs no share.
    """
    for of_it, limit in zip(held, limits, strict=False):
        if of_it + more > limit.value:
            return limit
    of_source, most = held[1], limits[1].value
    for of_all, room in zip(held[2:], limits[2:], strict=False):
        left = room.value - (of_all - of_source)
        if of_source and (of_source + more) * room.value**2 > most * left**2:
            return room
    return None
