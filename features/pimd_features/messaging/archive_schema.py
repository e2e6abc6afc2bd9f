"""Tables beside the messages: the index of their words, how long they are kept, receipts, and lines between them.

Triggers keep the index and the receipts right, whoever deletes or moves messages.
"""

ARCHIVE = """
ALTER TABLE messages ADD COLUMN receipt TEXT;
ALTER TABLE messages ADD COLUMN imported INTEGER NOT NULL DEFAULT 0;
CREATE VIEW searchable AS SELECT position, 'p' || hex(peer) AS peer, body FROM messages;
CREATE VIRTUAL TABLE search USING fts5(
    peer, body, content='searchable', content_rowid='position', tokenize='unicode61 remove_diacritics 2', prefix='1 2'
);
CREATE TABLE search_state (indexed INTEGER NOT NULL, deleted INTEGER NOT NULL);
INSERT INTO search_state VALUES (0, 0);
CREATE TABLE retention (peer BLOB PRIMARY KEY, days INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE moments (position INTEGER PRIMARY KEY, lived_ms INTEGER NOT NULL);
INSERT INTO moments SELECT coalesce(max(position), 0), <now> FROM messages;
CREATE TABLE lines (
    peer BLOB NOT NULL,
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (peer, position, reason)
) WITHOUT ROWID;
CREATE TABLE receipts (
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    sender BLOB NOT NULL,
    time_ms INTEGER NOT NULL,
    ed25519_pub BLOB NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (peer, id)
) WITHOUT ROWID;
CREATE TABLE receipts_owed (
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    digest BLOB NOT NULL,
    time_ms INTEGER NOT NULL,
    until_lived_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, id)
) WITHOUT ROWID;
CREATE TRIGGER message_is_deleted AFTER DELETE ON messages BEGIN
    INSERT INTO search (search, rowid, peer, body)
        SELECT 'delete', old.position, 'p' || hex(old.peer), old.body FROM search_state WHERE old.position <= indexed;
    UPDATE search_state SET deleted = deleted + 1 WHERE old.position <= indexed;
    DELETE FROM receipts WHERE peer = old.peer AND id = old.id AND old.direction = 'sent';
    DELETE FROM receipts_owed WHERE peer = old.peer AND id = old.id AND old.direction = 'received';
END;
CREATE TRIGGER message_is_moved AFTER UPDATE OF peer, body ON messages BEGIN
    INSERT INTO search (search, rowid, peer, body)
        SELECT 'delete', old.position, 'p' || hex(old.peer), old.body FROM search_state WHERE old.position <= indexed;
    INSERT INTO search (rowid, peer, body)
        SELECT new.position, 'p' || hex(new.peer), new.body FROM search_state WHERE old.position <= indexed;
    UPDATE search_state SET deleted = deleted + 1 WHERE old.position <= indexed;
END;
"""
"""`messages.receipt` is null, 'asked' or 'had'; `imported` is 1 for what came from a file.
`search_state`: positions up to `indexed` are in the index; so many were deleted from it since its words were overwritten last.
`moments`: what has a position up to this one was stored by then.
`lines`: stand after the message with that position; `at_ms` is the last of `times`.
`receipts`: of messages sent by `sender`, who is this node, or who it was when they were exported.
`receipts_owed`: what this node signs for messages that it received; `digest` is the SHA-256 of the body."""

RECEIPTS_IN_LETTERS = """
ALTER TABLE receipts_owed ADD COLUMN letter BLOB;
ALTER TABLE receipts_owed ADD COLUMN kept_lived_ms INTEGER;
CREATE INDEX receipts_in_letters ON receipts_owed (peer, letter) WHERE letter IS NOT NULL;
DROP TRIGGER message_is_deleted;
CREATE TRIGGER message_is_deleted AFTER DELETE ON messages BEGIN
    INSERT INTO search (search, rowid, peer, body)
        SELECT 'delete', old.position, 'p' || hex(old.peer), old.body FROM search_state WHERE old.position <= indexed;
    UPDATE search_state SET deleted = deleted + 1 WHERE old.position <= indexed;
    DELETE FROM receipts WHERE peer = old.peer AND id = old.id AND old.direction = 'sent';
END;
"""
"""`receipts_owed`: `letter` is the id of the message of a session that held the receipt when it was left at mailboxes, and
`kept_lived_ms` when they said that they keep it. What is owed outlives its message, unless the user deletes the conversation."""
