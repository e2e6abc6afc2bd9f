"""Tables of the sessions, in `messages.db`. Columns named `*_lived_ms` are moments of lived time."""

TABLES = """
CREATE TABLE account (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    secret BLOB NOT NULL,
    certificate BLOB NOT NULL,
    newest_bundle_ms INTEGER NOT NULL
);
CREATE TABLE own_bundles (
    id BLOB PRIMARY KEY,
    peer BLOB,
    digest BLOB NOT NULL,
    prekey BLOB NOT NULL,
    seed BLOB NOT NULL,
    raw BLOB,
    made_lived_ms INTEGER NOT NULL,
    overdue_ms INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX own_bundles_of_peer ON own_bundles (peer, made_lived_ms);
CREATE TABLE correspondents (
    peer BLOB PRIMARY KEY,
    ed25519_pub BLOB NOT NULL,
    account BLOB NOT NULL,
    is_contact INTEGER NOT NULL,
    used_lived_ms INTEGER NOT NULL,
    account_changes INTEGER NOT NULL DEFAULT 0,
    renewals INTEGER NOT NULL DEFAULT 0,
    renewed_lived_ms INTEGER,
    pause_ms INTEGER NOT NULL DEFAULT 0,
    given_bundle BLOB
) WITHOUT ROWID;
CREATE INDEX correspondents_strangers ON correspondents (used_lived_ms) WHERE is_contact = 0;
CREATE TABLE peer_bundles (
    peer BLOB NOT NULL,
    one_time INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    taken_lived_ms INTEGER NOT NULL,
    raw BLOB,
    PRIMARY KEY (peer, one_time)
) WITHOUT ROWID;
CREATE TABLE sessions_out (
    peer BLOB PRIMARY KEY,
    id BLOB NOT NULL,
    chain BLOB NOT NULL,
    next INTEGER NOT NULL,
    header BLOB,
    one_time INTEGER NOT NULL,
    begun_lived_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE outgoing (
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    session BLOB NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (peer, id)
) WITHOUT ROWID;
CREATE TABLE sessions_in (
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    chain BLOB NOT NULL,
    next INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    one_time INTEGER NOT NULL,
    is_contact INTEGER NOT NULL,
    begun_lived_ms INTEGER NOT NULL,
    used_lived_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, id)
) WITHOUT ROWID;
CREATE INDEX sessions_in_by_age ON sessions_in (begun_lived_ms);
CREATE INDEX sessions_in_of_strangers ON sessions_in (used_lived_ms) WHERE is_contact = 0;
CREATE TABLE skipped_keys (
    peer BLOB NOT NULL,
    session BLOB NOT NULL,
    number INTEGER NOT NULL,
    key BLOB NOT NULL,
    PRIMARY KEY (peer, session, number)
) WITHOUT ROWID;
CREATE TABLE received_ids (
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    received_lived_ms INTEGER NOT NULL,
    strangers_bundle INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (peer, id)
) WITHOUT ROWID;
CREATE INDEX received_ids_by_age ON received_ids (received_lived_ms);
CREATE INDEX received_bundles ON received_ids (received_lived_ms) WHERE strangers_bundle = 1;
"""
"""`own_bundles`: the secrets of what this node gave out, `peer` is null for a lasting one, and `raw` only kept for it.
`correspondents`: `given_bundle` is the id of this node's lasting bundle that the peer was sent last.
`peer_bundles`: what others gave, `raw` is null once it is used; the time of the newest stays.
`outgoing`: what every repetition of a message sends, until it is acknowledged."""

MAILBOX_COLUMNS = """
ALTER TABLE correspondents ADD COLUMN mailboxes BLOB NOT NULL DEFAULT x'';
ALTER TABLE correspondents ADD COLUMN mailboxes_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions_in ADD COLUMN overdue_ms INTEGER NOT NULL DEFAULT 0;
"""
"""`mailboxes`: ids of 16 bytes each, from the newest bundle of the peer, which was made at `mailboxes_ms`.
`overdue_ms`: how long this node ran since the session is too old."""

DAY_MS = 24 * 3600 * 1000
KEPT_MS = 28 * DAY_MS
"""So long a bundle is used, its secrets and the keys of sessions are kept."""
MAIL_FIRST_MS = DAY_MS
"""So long the node runs with secrets that are too old, because what mailboxes kept comes first."""
IDS_KEPT_MS = 30 * DAY_MS
"""So long at least the id of a received message is kept."""
