"""Words in messages: an index that follows the messages a little later, and a search that first lets it catch up."""

import unicodedata
from dataclasses import dataclass

from pimd.contract import Connection, Database, DatabaseError, Row
from pimd.ids import NodeId

BATCH = 100
"""Messages that one job enters into the index."""
MERGED_PAGES = 200
"""Pages of the index that one job rewrites."""
MOST_WORDS = 32

_BEHIND = "SELECT 1 FROM messages WHERE position > (SELECT indexed FROM search_state) LIMIT 1"
_INDEX = (
    "INSERT INTO search (rowid, peer, body) SELECT position, peer, body FROM searchable"
    " WHERE position > ? AND position <= ?"
)
_FIND = """
SELECT messages.*
FROM search JOIN messages ON messages.position = search.rowid
WHERE search MATCH ?1 AND search.rowid < ?2 ORDER BY search.rowid DESC LIMIT ?3"""


@dataclass(frozen=True)
class Query:
    """What is searched for, and where."""

    words: tuple[str, ...]
    peer: NodeId | None
    below: int
    """Only messages with a lower position."""
    limit: int

    @property
    def expression(self) -> str:
        """All words, each as a text or the beginning of one; nothing in them is syntax."""
        simple = [_phrase(word) for word in self.words if len(_forms(word)) == 1]
        others = [f"({' OR '.join(map(_phrase, _forms(word)))})" for word in self.words if len(_forms(word)) > 1]
        # Between phrases alone, without AND, those that FTS5 finds no word in are left out.
        found = " AND ".join([" ".join(simple), *others] if simple else others)
        of_peer = f'peer : "p{self.peer.hex()}" AND ' if self.peer is not None else ""
        return f"{of_peer}body : ({found})"


def words_of(text: str) -> tuple[str, ...]:
    """Split at white space, and leave out what has neither letter nor number; NUL would end the expression."""
    words = dict.fromkeys(text.replace("\0", " ").split())
    return tuple(word for word in words if any(unicodedata.category(one)[0] in "LN" for one in word))


def _phrase(word: str) -> str:
    return '"{}" *'.format(word.replace('"', '""'))


def _forms(word: str) -> tuple[str, ...]:
    """Return a word composed and decomposed: FTS5 takes them for the same in Latin only."""
    return tuple(dict.fromkeys((unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word))))


class Search:
    """The index of all messages; every method raises `DatabaseError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, query: Query) -> list[Row]:
        """Return rows of `messages`, newest first, after the index has caught up."""
        await self.catch_up()
        if not query.words:
            return []
        parameters = (query.expression, query.below, query.limit)
        try:
            return await self._database.read(_FIND, parameters)
        except DatabaseError:
            await self._begin_anew()
            return await self._database.read(_FIND, parameters)

    async def _begin_anew(self) -> None:
        """Make the index again from the messages: it is damaged, and the check at the start does not look into it."""
        await self._database.write("empty the index", forget_all, forgets=True)
        await self.catch_up()

    async def catch_up(self) -> None:
        """Enter the messages that were stored since the last time."""
        while await self._database.read(_BEHIND):
            await self._database.write("index messages", _index)

    async def overwrite_deleted(self) -> None:
        """Rewrite the index if messages were deleted: until then it holds their words.

        FTS5 only marks a deletion (its option `secure-delete` needs SQLite 3.42); merging all of it drops what is marked.
        """
        deleted = await self._deleted()
        if not deleted:
            return
        try:
            more = await self._database.write("rewrite the index", _begin_merge, forgets=True)
            while more:
                more = await self._database.write("rewrite the index", _go_on_merging, forgets=True)
        except DatabaseError:
            await self._begin_anew()
        await self._database.write("note a rewritten index", lambda connection: _overwritten(connection, deleted))

    async def _deleted(self) -> int:
        rows = await self._database.read("SELECT deleted FROM search_state")
        return int(rows[0][0])


def _index(connection: Connection) -> None:
    indexed = connection.execute("SELECT indexed FROM search_state").fetchone()[0]
    last = connection.execute(
        "SELECT max(position) FROM (SELECT position FROM messages WHERE position > ? ORDER BY position LIMIT ?)",
        (indexed, BATCH),
    ).fetchone()[0]
    if last is None:
        return
    connection.execute(_INDEX, (indexed, last))
    connection.execute("UPDATE search_state SET indexed = ?", (last,))


def forget_all(connection: Connection) -> None:
    """Empty the index at once: all messages are deleted next, or entered again."""
    connection.execute("INSERT INTO search (search) VALUES ('delete-all')")
    connection.execute("UPDATE search_state SET indexed = 0, deleted = 0")


def _begin_merge(connection: Connection) -> bool:
    return _merge(connection, -MERGED_PAGES)  # negative: of everything (sqlite.org/fts5.html, "The 'merge' Command")


def _go_on_merging(connection: Connection) -> bool:
    return _merge(connection, MERGED_PAGES)


def _merge(connection: Connection, pages: int) -> bool:
    """Return whether more is to be done."""
    before = connection.total_changes
    connection.execute("INSERT INTO search (search, rank) VALUES ('merge', ?)", (pages,))
    return connection.total_changes - before > 1  # the statement itself counts as one


def _overwritten(connection: Connection, deleted: int) -> None:
    connection.execute("UPDATE search_state SET deleted = 0 WHERE deleted = ?", (deleted,))
