"""Tables of `messages.db`. Columns named `*_lived_ms` are moments of lived time, the other `*_ms` are for people."""

from pimd.contract import Migration
from pimd_features.messaging import parcel_rows
from pimd_features.messaging.archive_schema import ARCHIVE, RECEIPTS_IN_LETTERS
from pimd_features.messaging.models import EXPIRES_LIMIT_S
from pimd_features.messaging.sessions.schema import MAILBOX_COLUMNS, TABLES

RECEIPTS_FOR_MS = 24 * 3600 * 1000
"""So long a read receipt is repeated."""

_FIRST = """
CREATE TABLE messages (
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    direction TEXT NOT NULL,
    body TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    failure_reason TEXT,
    delivered_at_ms INTEGER,
    read_at_ms INTEGER,
    expires_ms INTEGER,
    sealed_for BLOB,
    ciphertext BLOB,
    PRIMARY KEY (peer, direction, id)
) WITHOUT ROWID;
CREATE INDEX messages_by_time ON messages (peer, timestamp_ms, id);
CREATE INDEX messages_unread ON messages (peer, timestamp_ms) WHERE direction = 'received' AND status = 'delivered';
CREATE INDEX messages_waiting ON messages (timestamp_ms) WHERE direction = 'sent' AND status IN ('pending', 'sent');
CREATE TABLE conversations (
    peer BLOB PRIMARY KEY,
    unread INTEGER NOT NULL,
    last_preview TEXT,
    last_ts_ms INTEGER,
    received INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE deleted (
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    deleted_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, id)
) WITHOUT ROWID;
CREATE INDEX deleted_by_time ON deleted (deleted_ms);
CREATE TABLE read_receipts (
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, id)
) WITHOUT ROWID;
"""
# What waits, waits from now on for as long as it was to wait at first, because how much of that is over is not known. Old
# rows have no order of insertion, but the moment of it by this machine's clock.
_LIVED = """
CREATE TABLE messages_by_arrival (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    direction TEXT NOT NULL,
    body TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    failure_reason TEXT,
    delivered_at_ms INTEGER,
    read_at_ms INTEGER,
    expires_lived_ms INTEGER,
    sealed_for BLOB,
    ciphertext BLOB,
    UNIQUE (peer, id, direction)
);
INSERT INTO messages_by_arrival (peer, id, direction, body, timestamp_ms, status, failure_reason, delivered_at_ms,
    read_at_ms, expires_lived_ms, sealed_for, ciphertext)
    SELECT peer, id, direction, body, timestamp_ms, status, failure_reason, delivered_at_ms, read_at_ms,
        <now> + min(max(expires_ms - timestamp_ms, 0), <longest>), sealed_for, ciphertext
    FROM messages
    ORDER BY CASE direction WHEN 'received' THEN coalesce(delivered_at_ms, timestamp_ms) ELSE timestamp_ms END,
        timestamp_ms, id;
DROP TABLE messages;
ALTER TABLE messages_by_arrival RENAME TO messages;
CREATE INDEX messages_of_peer ON messages (peer, position);
CREATE INDEX messages_by_time ON messages (peer, timestamp_ms, position);
CREATE INDEX messages_unread ON messages (peer, position) WHERE direction = 'received' AND status = 'delivered';
CREATE INDEX messages_waiting ON messages (position) WHERE direction = 'sent' AND status IN ('pending', 'sent');
ALTER TABLE conversations ADD COLUMN last_position INTEGER NOT NULL DEFAULT 0;
UPDATE conversations SET (last_position, last_ts_ms, last_preview) = (
    SELECT position, timestamp_ms, substr(replace(replace(replace(body, char(13, 10), ' '), char(10), ' '), char(13), ' '), 1, 80)
    FROM messages WHERE messages.peer = conversations.peer ORDER BY position DESC LIMIT 1
) WHERE EXISTS (SELECT 1 FROM messages WHERE messages.peer = conversations.peer);
ALTER TABLE deleted RENAME COLUMN deleted_ms TO deleted_lived_ms;
UPDATE deleted SET deleted_lived_ms = <now>;
ALTER TABLE read_receipts RENAME COLUMN until_ms TO until_lived_ms;
UPDATE read_receipts SET until_lived_ms = <now> + <receipts>;
"""
# What waits is encrypted anew when it leaves; ids of what came are kept, since its sender may send it again in a session.
_SESSIONS = """
INSERT INTO received_ids (peer, id, received_lived_ms) SELECT peer, id, <now> FROM messages WHERE direction = 'received';
INSERT OR IGNORE INTO received_ids (peer, id, received_lived_ms) SELECT peer, id, deleted_lived_ms FROM deleted;
DROP TABLE deleted;
ALTER TABLE messages DROP COLUMN sealed_for;
ALTER TABLE messages DROP COLUMN ciphertext;
"""
_MAILBOXES = """
ALTER TABLE messages ADD COLUMN mailbox BLOB;
DROP INDEX messages_waiting;
CREATE INDEX messages_waiting ON messages (peer, position)
    WHERE direction = 'sent' AND status IN ('pending', 'sent', 'kept');
ALTER TABLE read_receipts ADD COLUMN kept_lived_ms INTEGER;
CREATE TABLE kept_at (
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    mailbox BLOB NOT NULL,
    kept_lived_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, id, mailbox)
) WITHOUT ROWID;
CREATE TRIGGER kept_no_more AFTER DELETE ON outgoing BEGIN
    DELETE FROM kept_at WHERE peer = OLD.peer AND id = OLD.id;
END;
CREATE TABLE owed_acks (
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    owed_lived_ms INTEGER NOT NULL,
    kept_lived_ms INTEGER,
    PRIMARY KEY (peer, id)
) WITHOUT ROWID;
CREATE INDEX owed_acks_by_age ON owed_acks (owed_lived_ms);
"""
"""`messages.mailbox`: null as a rule, empty when no mailbox is to keep it, else who is asked for the peer's bundle, too.
`kept_at`: which mailbox has the ciphertext in `outgoing`. `owed_acks`: of messages that a mailbox brought."""


def migrations(lived_ms: int) -> tuple[Migration, ...]:
    """Return the numbered migrations; moments of older tables are converted to lived time, which is now `lived_ms`."""
    times = {"<now>": lived_ms, "<longest>": 1000 * EXPIRES_LIMIT_S, "<receipts>": RECEIPTS_FOR_MS}
    scripts = [_FIRST, _LIVED, TABLES + _SESSIONS, ARCHIVE, MAILBOX_COLUMNS + _MAILBOXES]
    for name, value in times.items():
        scripts = [script.replace(name, str(value)) for script in scripts]
    return (*scripts, parcel_rows.TABLES, RECEIPTS_IN_LETTERS)
