"""The methods about what is stored: search, how long it is kept, and files of it."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

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
from pimd.ids import NodeId
from pimd_features.messaging import archive_models as models
from pimd_features.messaging.errors import storage
from pimd_features.messaging.excerpts import excerpt_of
from pimd_features.messaging.exporting import Place, export
from pimd_features.messaging.importing import Mark, import_lines
from pimd_features.messaging.lines import LATEST
from pimd_features.messaging.models import STREAM, HistoryShortened, MessagingSettings
from pimd_features.messaging.owing import receipt_of
from pimd_features.messaging.retaining import EVERY_S, Retention, Shortened
from pimd_features.messaging.searching import MOST_WORDS, Query, Search, words_of
from pimd_features.messaging.store import PAGE_BYTES, record_of

INDEX_S = 10.0

T = TypeVar("T")


class Archive:
    """What is done with stored messages beside sending and receiving; deletes and indexes in the background."""

    def __init__(self, ctx: PluginContext[MessagingSettings], database: Database) -> None:
        self.clock = ctx.clock
        self.own_id = ctx.identity.node_id
        self.database = database
        self.bites = ctx.bites
        self.names = ctx.services[KEYSTORE].index
        self.search = Search(database)
        self.retention = Retention(database)
        self._publish = ctx.services[PUBLISH]
        self._log = ctx.log
        self._indexed_at = -1
        """Commits of the store when the index was brought up to date."""
        ctx.every(INDEX_S, self._index, at_once=True)
        ctx.every(EVERY_S, self._shorten, at_once=True)

    async def _index(self) -> None:
        transactions = self.database.transactions
        if transactions == self._indexed_at:
            return
        self._indexed_at = transactions
        try:
            await self.search.catch_up()
            await self.search.overwrite_deleted()
        except DatabaseError as error:
            self._indexed_at = -1  # try again
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
    _with_messages: set[NodeId]

    @rpc("messages.search", errors=(InvalidParams, StorageError), reads=True)
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
        return models.SearchResult(found=[self._found(row, words) for row in page], has_more=len(rows) > len(page))

    def _found(self, row: Row, words: Sequence[str]) -> models.Found:
        message = record_of(row)
        name = self._archive.names.shown(message.peer_node_id)
        return models.Found(message=message, name=name, excerpt=excerpt_of(message.body, words))

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

    @rpc("messages.export", errors=(InvalidParams, StorageError), reads=True)
    async def export(self, params: models.ExportParams) -> models.ExportResult:
        """Return stored messages as lines of JSON, a page at a time; `pim export` writes them into a file.

        Each line has the SHA-256 of the rest of it, and the last one that of all. What comes meanwhile is not among them.
        """
        archive, place = self._archive, _read_cursor(Place.parse, params.cursor)
        begin: dict[str, object] = {"node_id": str(archive.own_id), "exported_at_ms": archive.clock.unix_ms()}
        with storage():
            page = await export(archive.database, params.peer_node_id, place, begin)
        return models.ExportResult(lines=page.lines, cursor=str(page.next) if page.next is not None else None)

    @rpc("messages.import", errors=(InvalidParams, StorageError))
    async def import_(self, params: models.ImportParams) -> models.ImportResult:
        """Store messages of an export, each once; `pim import` reads a file.

        They get the next positions, in the order of the file. None of them is sent: what had not been delivered when it was
        exported is `failed` (`imported`). A line that was changed is not imported and named.
        """
        archive, mark = self._archive, _read_cursor(Mark.parse, params.cursor) or Mark()
        with storage():
            done = await import_lines(archive.database, archive.own_id, mark, params.lines, archive.clock.lived_ms())
        self._with_messages |= done.peers
        bad = [models.BadLine(line=number, reason=reason) for number, reason in done.bad]
        return models.ImportResult(
            added=done.added, known=done.known, bad=bad, cursor=str(done.mark), complete=done.mark.ended
        )

    @rpc("messages.proof", errors=(InvalidParams, StorageError), reads=True)
    async def proof(self, params: models.ProofParams) -> models.Proof:
        """Return the signed receipt of a message sent from here, as the file that `pim receipt verify` reads.

        It proves to everybody, without this node, that the recipient's key signed that it had this text.
        """
        with storage():
            found = await receipt_of(self._archive.database, params.message_id)
        if found is None:
            raise InvalidParams(
                f"parameter message_id: there is no receipt of {params.message_id}; it comes when the message was sent with "
                "`receipt`, has arrived, and the recipient's node gives receipts (`receipts` of [features.messaging])"
            )
        receipt, body = found
        return models.Proof(
            message_id=params.message_id,
            peer_node_id=receipt.received.recipient,
            time_ms=receipt.received.time_ms,
            file=receipt.file(body),
        )


def _read_cursor(parse: Callable[[str], T], cursor: str | None) -> T | None:
    try:
        return parse(cursor) if cursor is not None else None
    except ValueError:
        raise InvalidParams("parameter cursor: no page before had this one; begin again without it") from None


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
