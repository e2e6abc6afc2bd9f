"""The methods about what is stored: search, how long it is kept, and files of it."""

from collections.abc import Iterable

from pimd.contract import (
    KEYSTORE,
    PUBLISH,
    Database,
    DatabaseError,
    InvalidParams,
    PluginContext,
    Row,
    StorageError,
    after_answer,
    rpc,
)
from pimd_features.messaging import archive_models as models
from pimd_features.messaging.errors import storage
from pimd_features.messaging.lines import LATEST
from pimd_features.messaging.models import STREAM, HistoryShortened, MessagingSettings, preview
from pimd_features.messaging.retaining import MARK_S, Retention, Shortened
from pimd_features.messaging.searching import EXCERPT_LIMIT, MOST_WORDS, Query, Search, words_of
from pimd_features.messaging.store import PAGE_BYTES, record_of

INDEX_S = 10.0


class Archive:
    """What is done with stored messages beside sending and receiving; deletes and indexes in the background."""

    def __init__(self, ctx: PluginContext[MessagingSettings], database: Database) -> None:
        self.clock = ctx.clock
        self.bites = ctx.bites
        self.names = ctx.services[KEYSTORE].index
        self.search = Search(database)
        self.retention = Retention(database)
        self._publish = ctx.services[PUBLISH]
        self._log = ctx.log
        ctx.every(INDEX_S, self._index, at_once=True)
        ctx.every(MARK_S, self._shorten, at_once=True)

    async def _index(self) -> None:
        try:
            await self.search.catch_up()
            await self.search.overwrite_deleted()
        except DatabaseError as error:
            self._log.error("messages were not indexed: %s", error)

    async def _shorten(self) -> None:
        lived_ms = self.clock.lived_ms()
        try:
            await self.retention.mark(lived_ms)
            self.tell(await self.retention.apply(lived_ms))
        except DatabaseError as error:
            self._log.error("old messages were not deleted: %s", error)

    def tell(self, shortened: Iterable[Shortened]) -> None:
        """Publish which conversations lost their oldest messages."""
        for one in shortened:
            event = HistoryShortened(peer_node_id=one.peer, deleted_messages=one.deleted, up_to_position=one.up_to)
            self._publish(STREAM, event)


class ArchiveMethods:
    """The part of the plugin that answers them."""

    _archive: Archive

    @rpc("messages.search", errors=(InvalidParams, StorageError))
    async def search(self, params: models.SearchParams) -> models.SearchResult:
        """Find messages that hold all words of a text, each as a word or the beginning of one.

        Case and diacritics do not matter, and nothing in the text is syntax. The message that arrived last is first; for the
        next page pass its last position.
        """
        words = words_of(params.text)
        if len(words) > MOST_WORDS:
            raise InvalidParams(f"parameter text: has {len(words)} words, {MOST_WORDS} at most are searched for")
        below = params.before_position if params.before_position is not None else LATEST
        with storage():
            rows = await self._archive.search.find(Query(words, params.peer_node_id, below, params.limit + 1))
        page = _fitting(rows[: params.limit])
        if len(page) < min(len(rows), params.limit):
            self._archive.bites.count(PAGE_BYTES)
        return models.SearchResult(found=[self._found(row) for row in page], has_more=len(rows) > len(page))

    def _found(self, row: Row) -> models.Found:
        message = record_of(row)
        excerpt = " ".join(row["excerpt"].split())[:EXCERPT_LIMIT]
        name = self._archive.names.shown(message.peer_node_id)
        return models.Found(message=message, name=name, excerpt=excerpt or preview(message.body))

    @rpc("messages.retention", errors=(InvalidParams, StorageError))
    async def retention(self, params: models.RetentionParams) -> models.RetentionResult:
        """Set or tell how many days a conversation keeps messages.

        Older ones are deleted, but those that wait to be sent. Days are lived time: while the machine is off they count only if its
        clock can be believed. Deleting the conversation leaves this as it is.
        """
        if params.forever and params.days is not None:
            raise InvalidParams("parameters days and forever: give one of them")
        kept, peer = self._archive.retention, params.peer_node_id
        deleted: list[Shortened] = []
        with storage():
            if params.forever or params.days is not None:
                await kept.keep(peer, params.days)
                deleted = await kept.apply(self._archive.clock.lived_ms())
                after_answer(lambda: self._archive.tell(deleted))
            days = await kept.days(peer)
        return models.RetentionResult(
            days=days,
            in_words="messages are kept for all time" if days is None else f"messages are deleted after {_days(days)}",
            deleted_messages=sum(one.deleted for one in deleted if one.peer == peer),
        )


def _fitting(rows: list[Row]) -> list[Row]:
    """Return the first rows that are within the bytes of a page, one at least."""
    size = 0
    for count, row in enumerate(rows):
        size += len(row["body"].encode())
        if size > PAGE_BYTES.value and count:
            return rows[:count]
    return rows


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"
