"""Messages from the lines of a file: each once, none of them waiting to be sent."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from pimd.contract import Connection, Database
from pimd.ids import NodeId
from pimd_features.messaging.export_line import Begin, End, Line, Message, Sum, parse
from pimd_features.messaging.reassigning import show_newest
from pimd_features.messaging.receipt import Receipt, Received, digest_of

_MARK = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\.((?:[0-9a-f]{64})?)\.((?:end)?)")
BYTE_ORDER_MARK = "\ufeff"
"""Some editors begin a file with it."""
NOT_SENT = "imported"
"""Why an imported message failed that had not been delivered when it was exported: it is not sent again."""

_ADD = (
    "INSERT OR IGNORE INTO messages (peer, id, direction, body, timestamp_ms, status, failure_reason, delivered_at_ms,"
    " read_at_ms, receipt, imported) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)"
)
_SAME = "SELECT 1 FROM messages WHERE peer = ? AND id = ? AND direction = ? AND body = ?"


@dataclass(frozen=True)
class Mark:
    """How far an import has come: lines of the file, and what its last line is held against."""

    lines: int = 0
    messages: int = 0
    digest: str = ""
    ended: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError unless `str` made it."""
        if (found := _MARK.fullmatch(text)) is None:
            raise ValueError("no place in an import")
        return cls(int(found[1]), int(found[2]), found[3], found[4] == "end")

    def __str__(self) -> str:
        return f"{self.lines}.{self.messages}.{self.digest}.{'end' if self.ended else ''}"


class _WrongEnd(ValueError):  # noqa: N818 - what it is
    """The last line does not fit to those before it."""


@dataclass(frozen=True)
class _Found:
    """A message that is good to be stored."""

    number: int
    message: Message
    receipt: Receipt | None


@dataclass
class Imported:
    """What became of some lines."""

    mark: Mark
    added: int = 0
    known: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)
    """Number of the line in the file, from 1, and what is wrong with it."""
    peers: set[NodeId] = field(default_factory=set)
    """Whose conversations grew."""


async def import_lines(database: Database, own: NodeId, mark: Mark, lines: Sequence[str], lived_ms: int) -> Imported:
    """Store the messages of some lines in one transaction; those that are there already are left as they are.

    A line that is not what was exported changes nothing. `DatabaseError`.
    """
    done = Imported(mark)
    found = _read(done, own, lines)

    def work(connection: Connection) -> Imported:
        stored = Imported(done.mark, bad=list(done.bad))  # a job may run twice
        for one in found:
            _add(connection, stored, one, lived_ms)
        for peer in stored.peers:
            show_newest(connection, peer)
        stored.bad.sort()
        return stored

    return await database.write("import messages", work)


def _read(done: Imported, own: NodeId, lines: Sequence[str]) -> list[_Found]:
    """Check the lines one by one; what is wrong with some goes into `done.bad`, and its mark moves behind all."""
    found, mark = list[_Found](), done.mark
    for number, line_of_file in enumerate(lines, mark.lines + 1):
        mark = replace(mark, lines=number)
        text = line_of_file.removeprefix(BYTE_ORDER_MARK) if number == 1 else line_of_file
        if not text.strip():
            continue
        try:
            line = parse(text)
            mark = _behind(mark, line)
            if isinstance(line, Message):
                found.append(_found(number, line, own))
        except ValueError as error:
            done.bad.append((number, str(error)))
            if isinstance(error, _WrongEnd):
                mark = replace(mark, ended=True)
    done.mark = mark
    return found


def _behind(mark: Mark, line: Line) -> Mark:
    """Return the mark behind a line; ValueError where it cannot stand."""
    if mark.ended:
        raise ValueError("it stands behind the last line of the export")
    if isinstance(line, Begin) and mark.lines > 1:
        raise ValueError("an export begins in the middle of the file")
    if isinstance(line, Message):
        total = Sum(mark.messages, mark.digest)
        total.add(line.sha256)
        return replace(mark, messages=total.messages, digest=total.digest)
    if isinstance(line, End) and (line.messages, line.all_sha256) != (mark.messages, mark.digest):
        raise _WrongEnd(
            f"lines are missing, changed or out of order: {line.messages} messages were exported, {mark.messages} of them are "
            "good here"
        )
    return replace(mark, ended=isinstance(line, End))


def _found(number: int, message: Message, own: NodeId) -> _Found:
    """ValueError if it cannot be a message of this node, or its receipt does not hold."""
    if message.peer_node_id == own:
        raise ValueError("peer_node_id: this is the node itself")
    given = message.receipt
    if given is None:
        return _Found(number, message, None)
    received = Received(message.id, digest_of(message.body), given.sender, message.peer_node_id, given.time_ms)
    receipt = Receipt.checked(received, bytes.fromhex(given.recipient_key), bytes.fromhex(given.signature))
    return _Found(number, message, receipt)


def _add(connection: Connection, stored: Imported, one: _Found, lived_ms: int) -> None:
    message, receipt = one.message, one.receipt
    peer, key = message.peer_node_id, (message.peer_node_id, message.id, message.direction)
    status, reason = _status(message)
    added = connection.execute(
        _ADD,
        (
            *key,
            message.body,
            message.timestamp_ms,
            status,
            reason,
            message.delivered_at_ms,
            message.read_at_ms,
            "had" if receipt is not None else None,
        ),
    ).rowcount
    if not added:
        if connection.execute(_SAME, (*key, message.body)).fetchone() is None:
            stored.bad.append((one.number, "a message with this id and another body is stored already, and stays"))
        else:
            stored.known += 1
        return
    stored.added += 1
    stored.peers.add(peer)
    _count(connection, message, lived_ms)
    if receipt is not None:
        row = (peer, message.id, receipt.received.sender, receipt.received.time_ms)
        connection.execute(
            "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?)", (*row, receipt.ed25519_pub, receipt.signature)
        )


def _status(message: Message) -> tuple[str, str | None]:
    """What was on its way when it was exported may have arrived or not, and is not sent from here."""
    if message.status in ("pending", "sent", "kept"):
        return "failed", NOT_SENT
    return message.status, message.failure_reason


def _count(connection: Connection, message: Message, lived_ms: int) -> None:
    """Count it as unread if it was; it takes none of the room for strangers, because the user brought it."""
    is_unread = message.direction == "received" and message.status == "delivered"
    connection.execute(
        "INSERT INTO conversations (peer, unread, received, received_bytes) VALUES (?1, ?2, 0, 0)"
        " ON CONFLICT (peer) DO UPDATE SET unread = unread + ?2",
        (message.peer_node_id, int(is_unread)),
    )
    if message.direction == "received":  # its sender may send it again, and must not be shown twice
        connection.execute(
            "INSERT OR IGNORE INTO received_ids (peer, id, received_lived_ms) VALUES (?, ?, ?)",
            (message.peer_node_id, message.id, lived_ms),
        )
