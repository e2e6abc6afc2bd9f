"""Tables of `messages.db`."""

MIGRATIONS = (
    """
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
""",
)
