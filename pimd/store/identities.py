"""The table of identities: each row one byte string in memory, which the garbage collector does not visit."""

import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Literal, get_args

from pimd.contract.services import KnownPeer
from pimd.ids import NodeId
from pimd.proto.identity import KEY_SIZE, node_id_of
from pimd.store.mirror import Mirror, TableSql

Known = Literal["imported", "direct", "signed"]

KEPT_UNPACKED = 1024
"""Rows of the whole process that are kept as objects, too: those that frames came from last."""
_KNOWN: tuple[Known, ...] = get_args(Known)
_HEAD = struct.Struct(f">{NodeId.SIZE}s{KEY_SIZE}sB?qqqqI")
"""Id, key, index in `_KNOWN`, whether there is a card, seq, flags, both times, bytes of the name; then name and card."""


def card_ed25519(card: bytes) -> bytes:
    """Return the Ed25519 key inside a card (docs/protocol.md)."""
    return card[1 : 1 + KEY_SIZE]


def pack(peer: KnownPeer) -> bytes:
    """Return the row of an identity, without the user's notes."""
    return _row(
        peer.node_id,
        peer.x25519_pub,
        peer.known,
        peer.card,
        (peer.seq, peer.flags, peer.first_seen_ms, peer.last_seen_ms),
        peer.name,
    )


def _row(node_id: bytes, key: bytes, known: Known, card: bytes | None, numbers: Iterable[int], name: str) -> bytes:
    encoded = name.encode()
    head = _HEAD.pack(node_id, key, _KNOWN.index(known), card is not None, *numbers, len(encoded))
    return head + encoded + (card or b"")


def unpack(row: bytes) -> KnownPeer:
    """Undo `pack`."""
    node_id, key, known, has_card, seq, flags, first_seen_ms, last_seen_ms, size = _HEAD.unpack_from(row)
    end = _HEAD.size + size
    return KnownPeer(
        node_id=NodeId(node_id),
        x25519_pub=key,
        name=row[_HEAD.size : end].decode(),
        known=_KNOWN[known],
        card=row[end:] if has_card else None,
        seq=seq,
        flags=flags,
        label=None,
        contact=False,
        blocked=False,
        first_seen_ms=first_seen_ms,
        last_seen_ms=last_seen_ms,
    )


_unpacked = lru_cache(maxsize=KEPT_UNPACKED)(unpack)


def _last_seen_ms(row: bytes) -> int:
    return int(_HEAD.unpack_from(row)[-2])


class Identities(Mapping[NodeId, KnownPeer]):
    """The identities without the user's notes: a mapping that is changed by `put` and `remove`."""

    def __init__(self, mirror: Mirror) -> None:
        self.table = mirror.table(IDENTITIES)
        self.table.changed = self._row_changed
        self.changed: Callable[[bytes], None] | None = None
        """Called behind each change of an identity in memory, with the key in the table."""

    def __getitem__(self, node_id: NodeId) -> KnownPeer:
        return _unpacked(self.table.rows[node_id])

    def __iter__(self) -> Iterator[NodeId]:
        return map(NodeId, self.table.rows)

    def __len__(self) -> int:
        return len(self.table.rows)

    def __contains__(self, node_id: object) -> bool:
        return node_id in self.table.rows

    def find(self, node_id: NodeId) -> KnownPeer | None:
        """Return an identity, or None; called for every frame, so a miss raises nothing inside."""
        row = self.table.rows.get(node_id)
        return _unpacked(row) if row is not None else None

    def put(self, peer: KnownPeer) -> None:
        """Set an identity, in memory at once and on disk soon; an equal one is not written again."""
        self.table.put(bytes(peer.node_id), pack(peer))

    def remove(self, node_id: NodeId) -> None:
        """Delete an identity, in memory at once and on disk soon; an absent one is ignored."""
        self.table.remove(node_id)

    def in_order_seen(self, seen: Mapping[bytes, int]) -> list[bytes]:
        """Return all keys, the one seen longest ago first, by lived time and then by the wall clock."""
        # Rows that a script wrote have no lived time of their own: those are told apart by the wall clock.
        rows = self.table.rows.items()
        return [one for _, _, one in sorted((seen.get(key, 0), _last_seen_ms(row), key) for key, row in rows)]

    def _row_changed(self, key: bytes, _old: bytes | None, _new: bytes | None) -> None:
        if self.changed is not None:
            self.changed(key)


def _encode(node_id: bytes, row: bytes) -> tuple[object, ...]:
    peer = unpack(row)
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


def _decode(row: sqlite3.Row) -> tuple[bytes, bytes]:
    node_id, key, card, known = NodeId(row["node_id"]), bytes(row["x25519_pub"]), row["card"], row["known"]
    if known not in _KNOWN or len(key) != KEY_SIZE:
        raise ValueError(f"{node_id} is neither imported nor seen, or its key has another size")
    # With a flipped bit in the stored key, the true key would be refused as forged from then on.
    if card is not None and (node_id_of(card_ed25519(card)) != node_id or card[33:65] != key):
        raise ValueError(f"the card of {node_id} is not its own")
    numbers = (int(row[column]) for column in ("seq", "flags", "first_seen_ms", "last_seen_ms"))
    return bytes(node_id), _row(node_id, key, known, card, numbers, str(row["name"]))


IDENTITIES: TableSql[bytes, bytes] = TableSql(
    name="identities",
    select="SELECT * FROM identities",
    upsert="INSERT OR REPLACE INTO identities VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    delete="DELETE FROM identities WHERE node_id = ?",
    encode=_encode,
    decode=_decode,
)
