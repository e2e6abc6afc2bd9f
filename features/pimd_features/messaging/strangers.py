"""How much of what strangers write is stored; a stranger is a peer that is no contact."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pimd.contract import KEYSTORE, KIB, MIB, Limit, PluginContext, RecentSet, declare
from pimd.ids import NodeId
from pimd_features.messaging.models import MessagingSettings
from pimd_features.messaging.store import Conversation

_REFUSED = "dropped, not acknowledged"
STRANGER_MESSAGES = declare("messages of one stranger", 50, "messages", _REFUSED)
STRANGER_BYTES = declare("bytes of messages of one stranger", 256 * KIB, "bytes", _REFUSED)
SOURCE_MESSAGES = declare("messages of strangers whom one neighbour brought", 250, "messages", _REFUSED)
SOURCE_BYTES = declare("bytes of messages of strangers whom one neighbour brought", 4 * MIB, "bytes", _REFUSED)
"""The share of one source (`Keystore.brought_by`); it shrinks with what others hold, so that a new source finds room."""
STRANGERS_MESSAGES = declare("messages of all strangers", 1000, "messages", _REFUSED)
STRANGERS_BYTES = declare("bytes of messages of all strangers", 16 * MIB, "bytes", _REFUSED)
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

    def is_contact(self, peer: NodeId) -> bool:
        """Tell whether the user imported, labelled or wrote to this id, or labelled a configured address of it."""
        known = self._keystore.get(peer)
        return (known is not None and known.contact) or self._keystore.index.label(peer) is not None

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

    def has_room(self, src: NodeId, size: int, held: Iterable[Conversation]) -> bool:
        """Tell whether strangers are welcome, and a message of `src` within all limits beside what they hold."""
        if self._settings.accept != "everyone":
            return False
        strangers, source = list(held), self._source(src)
        brought = [c for c in strangers if self._source(c.peer) == source]
        groups = [[c for c in brought if c.peer == src], brought, strangers]
        reached = (
            _reached([sum(c.received for c in group) + 1 for group in groups], _MESSAGES),
            _reached([sum(c.received_bytes for c in group) + size for group in groups], _BYTES),
        )
        for limit in reached:
            if limit is not None:
                self._ctx.bites.count(limit)
        return reached == (None, None)

    def _source(self, peer: NodeId) -> str:
        return self._keystore.brought_by(peer) or str(peer)


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
            of_src = self._held.get(src) or Conversation(src, 0, None, None, 0, 0, 0)
            self._held[src] = replace(of_src, received=of_src.received + 1, received_bytes=of_src.received_bytes + size)
        return welcome


_MESSAGES = (STRANGER_MESSAGES, SOURCE_MESSAGES, STRANGERS_MESSAGES)
_BYTES = (STRANGER_BYTES, SOURCE_BYTES, STRANGERS_BYTES)


def _reached(would_hold: Sequence[int], limits: tuple[Limit, Limit, Limit]) -> Limit | None:
    """Return the limit over which a stranger, all of its source, or all strangers would be."""
    for held, limit in zip(would_hold, limits, strict=True):
        if held > limit.value:
            return limit
    (_, of_source, of_all), (_, source, total) = would_hold, limits
    left_by_others = total.value - (of_all - of_source)
    return total if of_source * total.value > source.value * left_by_others and source.value < total.value else None
