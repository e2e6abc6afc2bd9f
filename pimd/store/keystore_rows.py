"""The tables of `peers.db` and the meaning of their rows."""

from dataclasses import dataclass
from sys import intern

from pimd.database import Migration
from pimd.ids import NodeId
from pimd.store import lived_rows
from pimd.store.mirror import TableSql

MIGRATIONS: tuple[Migration, ...] = (
    """
    CREATE TABLE identities (
        node_id BLOB PRIMARY KEY,
        x25519_pub BLOB NOT NULL,
        name TEXT NOT NULL,
        known TEXT NOT NULL,
        card BLOB,
        seq INTEGER NOT NULL,
        flags INTEGER NOT NULL,
        first_seen_ms INTEGER NOT NULL,
        last_seen_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE notes (
        node_id BLOB PRIMARY KEY, label TEXT, contact INTEGER NOT NULL, blocked INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE forgotten (node_id BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE pins (address TEXT PRIMARY KEY, node_id BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE own (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    """,
    """
    ALTER TABLE forgotten ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE aged_out (node_id BLOB PRIMARY KEY, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;
    """,
    lived_rows.MIGRATION,
    """
    CREATE TABLE brought_by (node_id BLOB PRIMARY KEY, source TEXT NOT NULL) WITHOUT ROWID;
    """,
)


@dataclass(frozen=True)
class Note:
    """The user's notes about an id, known or not."""

    label: str | None = None
    contact: bool = False
    blocked: bool = False


Gone = tuple[int, int]
"""Seq and lived time in ms of a removed identity, so that its old card does not bring it back.

A bare tuple of numbers, because the garbage collector does not visit it again."""


def stored_id(raw: bytes) -> bytes:
    """Return a checked id as plain bytes: a `NodeId` as key would make the garbage collector visit it, and its dict.

    The tables of what strangers bring have such keys; they are looked up by `NodeId`, which is equal. ValueError for
    another length.
    """
    return bytes(NodeId(raw))


SEEN: TableSql[bytes, int] = TableSql(
    name="seen",
    select="SELECT * FROM seen",
    upsert="INSERT OR REPLACE INTO seen VALUES (?, ?)",
    delete="DELETE FROM seen WHERE node_id = ?",
    encode=lambda node_id, lived_ms: (node_id, lived_ms),
    decode=lambda row: (stored_id(row["node_id"]), int(row["lived_ms"])),
)
"""When identities were seen last, in lived time; `last_seen_ms` beside them is for people."""
NOTES: TableSql[NodeId, Note] = TableSql(
    name="notes",
    select="SELECT * FROM notes",
    upsert="INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)",
    delete="DELETE FROM notes WHERE node_id = ?",
    encode=lambda node_id, note: (node_id, note.label, note.contact, note.blocked),
    decode=lambda row: (NodeId(row["node_id"]), Note(row["label"], bool(row["contact"]), bool(row["blocked"]))),
)


def _gone_table(name: str) -> TableSql[bytes, Gone]:
    return TableSql(
        name=name,
        select=f"SELECT * FROM {name} ORDER BY at_lived_ms",  # noqa: S608 - one of two constants
        upsert=f"INSERT OR REPLACE INTO {name} VALUES (?, ?, ?)",  # noqa: S608
        delete=f"DELETE FROM {name} WHERE node_id = ?",  # noqa: S608
        encode=lambda node_id, gone: (node_id, *gone),
        decode=lambda row: (stored_id(row["node_id"]), (int(row["seq"]), int(row["at_lived_ms"]))),
    )


FORGOTTEN = _gone_table("forgotten")
"""Marks of identities that the user forgot."""
AGED_OUT = _gone_table("aged_out")
BROUGHT_BY: TableSql[bytes, str] = TableSql(
    name="brought_by",
    select="SELECT * FROM brought_by",
    upsert="INSERT OR REPLACE INTO brought_by VALUES (?, ?)",
    delete="DELETE FROM brought_by WHERE node_id = ?",
    encode=lambda node_id, source: (node_id, source),
    decode=lambda row: (stored_id(row["node_id"]), intern(str(row["source"]))),
)
"""The source that each identity came from; a table of its own, because scripts fill `identities` by position."""
PINS: TableSql[str, NodeId] = TableSql(
    name="pins",
    select="SELECT * FROM pins",
    upsert="INSERT OR REPLACE INTO pins VALUES (?, ?)",
    delete="DELETE FROM pins WHERE address = ?",
    encode=lambda address, node_id: (address, node_id),
    decode=lambda row: (str(row["address"]), NodeId(row["node_id"])),
)
OWN: TableSql[str, int] = TableSql(
    name="own",
    select="SELECT * FROM own",
    upsert="INSERT OR REPLACE INTO own VALUES (?, ?)",
    delete="DELETE FROM own WHERE name = ?",
    encode=lambda name, value: (name, value),
    decode=lambda row: (str(row["name"]), int(row["value"])),
)
