"""The tables of `peers.db` and the meaning of their rows."""

import sqlite3
from dataclasses import dataclass
from sys import intern
from typing import Literal, get_args

from pimd.contract.services import KnownPeer
from pimd.database import Migration
from pimd.ids import NodeId
from pimd.proto.identity import KEY_SIZE, node_id_of
from pimd.store import lived_rows
from pimd.store.mirror import TableSql

Known = Literal["imported", "direct", "signed"]

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


@dataclass(frozen=True)
class Gone:
    """The mark of a removed identity, so that its old card does not bring it back."""

    seq: int
    at_lived_ms: int


def card_ed25519(card: bytes) -> bytes:
    """Return the Ed25519 key inside a card (docs/protocol.md)."""
    return card[1 : 1 + KEY_SIZE]


def _encode_identity(node_id: NodeId, peer: KnownPeer) -> tuple[object, ...]:
    return (
        node_id,
        peer.x25519_pub,
        peer.name,
        peer.known,
        peer.card,
        peer.seq,
        peer.flags,
        peer.first_seen_ms,
        peer.last_seen_ms,
    )


def _decode_identity(row: sqlite3.Row) -> tuple[NodeId, KnownPeer]:
    node_id, key, card, known = NodeId(row["node_id"]), bytes(row["x25519_pub"]), row["card"], row["known"]
    if known not in get_args(Known) or len(key) != KEY_SIZE:
        raise ValueError(f"{node_id} is neither imported nor seen, or its key has another size")
    # With a flipped bit in the stored key, the true key would be refused as forged from then on.
    if card is not None and (node_id_of(card_ed25519(card)) != node_id or card[33:65] != key):
        raise ValueError(f"the card of {node_id} is not its own")
    return node_id, KnownPeer(
        node_id=node_id,
        x25519_pub=key,
        name=str(row["name"]),
        known=known,
        card=card,
        seq=int(row["seq"]),
        flags=int(row["flags"]),
        label=None,
        contact=False,
        blocked=False,
        first_seen_ms=int(row["first_seen_ms"]),
        last_seen_ms=int(row["last_seen_ms"]),
    )


IDENTITIES: TableSql[NodeId, KnownPeer] = TableSql(
    name="identities",
    select="SELECT * FROM identities",
    upsert="INSERT OR REPLACE INTO identities VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    delete="DELETE FROM identities WHERE node_id = ?",
    encode=_encode_identity,
    decode=_decode_identity,
)
SEEN: TableSql[NodeId, int] = TableSql(
    name="seen",
    select="SELECT * FROM seen",
    upsert="INSERT OR REPLACE INTO seen VALUES (?, ?)",
    delete="DELETE FROM seen WHERE node_id = ?",
    encode=lambda node_id, lived_ms: (node_id, lived_ms),
    decode=lambda row: (NodeId(row["node_id"]), int(row["lived_ms"])),
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


def _gone_table(name: str) -> TableSql[NodeId, Gone]:
    return TableSql(
        name=name,
        select=f"SELECT * FROM {name} ORDER BY at_lived_ms",  # noqa: S608 - one of two constants
        upsert=f"INSERT OR REPLACE INTO {name} VALUES (?, ?, ?)",  # noqa: S608
        delete=f"DELETE FROM {name} WHERE node_id = ?",  # noqa: S608
        encode=lambda node_id, gone: (node_id, gone.seq, gone.at_lived_ms),
        decode=lambda row: (NodeId(row["node_id"]), Gone(int(row["seq"]), int(row["at_lived_ms"]))),
    )


FORGOTTEN = _gone_table("forgotten")
"""Marks of identities that the user forgot."""
AGED_OUT = _gone_table("aged_out")
BROUGHT_BY: TableSql[NodeId, str] = TableSql(
    name="brought_by",
    select="SELECT * FROM brought_by",
    upsert="INSERT OR REPLACE INTO brought_by VALUES (?, ?)",
    delete="DELETE FROM brought_by WHERE node_id = ?",
    encode=lambda node_id, source: (node_id, source),
    decode=lambda row: (NodeId(row["node_id"]), intern(str(row["source"]))),
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
