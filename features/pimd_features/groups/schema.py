"""Tables of `groups.db`. Columns named `*_lived_ms` are moments of lived time, the other `*_ms` are for people."""

from pimd.contract import Migration

_FIRST = """
CREATE TABLE groups (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    inviter BLOB
) WITHOUT ROWID;
CREATE TABLE invitations (
    group_id BLOB NOT NULL,
    inviter BLOB NOT NULL,
    record BLOB NOT NULL,
    parcel INTEGER NOT NULL,
    came_lived_ms INTEGER NOT NULL,
    PRIMARY KEY (group_id, inviter)
) WITHOUT ROWID;
CREATE TABLE invited (
    group_id BLOB NOT NULL,
    node_id BLOB NOT NULL,
    may_change INTEGER NOT NULL,
    until_lived_ms INTEGER NOT NULL,
    PRIMARY KEY (group_id, node_id)
) WITHOUT ROWID;
CREATE TABLE records (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id BLOB NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    raw BLOB NOT NULL,
    stands INTEGER NOT NULL,
    taken_lived_ms INTEGER NOT NULL,
    UNIQUE (group_id, hash)
);
CREATE UNIQUE INDEX standing_records ON records (group_id, number) WHERE stands = 1;
CREATE TABLE barred (
    group_id BLOB NOT NULL,
    node_id BLOB NOT NULL,
    PRIMARY KEY (group_id, node_id)
) WITHOUT ROWID;
CREATE TABLE wanted (
    group_id BLOB NOT NULL,
    node_id BLOB NOT NULL,
    yes BLOB,
    may_change INTEGER NOT NULL,
    PRIMARY KEY (group_id, node_id)
) WITHOUT ROWID;
CREATE TABLE held (
    group_id BLOB NOT NULL,
    node_id BLOB NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (group_id, node_id)
) WITHOUT ROWID;
CREATE TABLE said (
    group_id BLOB NOT NULL,
    node_id BLOB NOT NULL,
    what TEXT NOT NULL,
    lived_ms INTEGER NOT NULL,
    PRIMARY KEY (group_id, node_id, what)
) WITHOUT ROWID;
CREATE TABLE own_keys (
    group_id BLOB PRIMARY KEY,
    record BLOB NOT NULL,
    secret BLOB NOT NULL,
    first BLOB NOT NULL,
    chain BLOB NOT NULL,
    next INTEGER NOT NULL,
    made_lived_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE keys (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id BLOB NOT NULL,
    sender BLOB NOT NULL,
    key_id BLOB NOT NULL,
    record BLOB NOT NULL,
    public BLOB NOT NULL,
    chain BLOB NOT NULL,
    next INTEGER NOT NULL,
    taken_lived_ms INTEGER NOT NULL,
    UNIQUE (group_id, sender, key_id)
);
CREATE TABLE skipped (
    key INTEGER NOT NULL,
    number INTEGER NOT NULL,
    message_key BLOB NOT NULL,
    PRIMARY KEY (key, number)
) WITHOUT ROWID;
CREATE TABLE waiting (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id BLOB NOT NULL,
    sender BLOB NOT NULL,
    body BLOB NOT NULL,
    is_member INTEGER NOT NULL,
    came_lived_ms INTEGER NOT NULL
);
CREATE INDEX waiting_of_member ON waiting (group_id, sender);
CREATE TABLE messages (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id BLOB NOT NULL,
    id BLOB NOT NULL,
    sender BLOB NOT NULL,
    body TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    record_number INTEGER NOT NULL,
    record BLOB NOT NULL,
    disagrees INTEGER NOT NULL,
    is_late INTEGER NOT NULL,
    UNIQUE (group_id, id)
);
CREATE INDEX messages_of_member ON messages (group_id, sender, position);
CREATE INDEX messages_of_record ON messages (group_id, record, position);
CREATE INDEX messages_by_position ON messages (group_id, position);
CREATE TABLE parents (
    group_id BLOB NOT NULL,
    child BLOB NOT NULL,
    parent BLOB NOT NULL,
    PRIMARY KEY (group_id, child, parent)
) WITHOUT ROWID;
CREATE INDEX children ON parents (group_id, parent);
CREATE TABLE usage (
    group_id BLOB NOT NULL,
    sender BLOB NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (group_id, sender)
) WITHOUT ROWID;
CREATE TABLE deliveries (
    node_id BLOB NOT NULL,
    parcel BLOB NOT NULL,
    group_id BLOB NOT NULL,
    message BLOB,
    status TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (node_id, parcel)
) WITHOUT ROWID;
CREATE INDEX deliveries_of_message ON deliveries (group_id, message);
CREATE TABLE leaving (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    node_id BLOB NOT NULL,
    parcel BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE withdrawn (
    node_id BLOB NOT NULL,
    parcel BLOB NOT NULL,
    PRIMARY KEY (node_id, parcel)
) WITHOUT ROWID;
"""
"""`groups.state` is joining, joined, left or removed. `invitations` came here, `invited` left here.
`records` that do not stand lost to another one with their number. `barred`: to whom nothing is sent, since a record that lost
removed them. `wanted`: changes that this node is to make. `own_keys.first` is the chain key of number 0, for members who
lost theirs. `held`: the newest record that a member named.
`waiting`: keys and messages without the record or the key. `leaving`: parcels that messaging does not have yet,
`withdrawn`: those that it is not to have any more."""

# How old messages of before are is not known; they are kept from now on.
_RETENTION = """
CREATE TABLE retention (group_id BLOB PRIMARY KEY, days INTEGER NOT NULL) WITHOUT ROWID;
ALTER TABLE messages ADD COLUMN came_lived_ms INTEGER NOT NULL DEFAULT 0;
UPDATE messages SET came_lived_ms = <now>;
CREATE INDEX messages_by_age ON messages (group_id, came_lived_ms);
"""


def migrations(lived_ms: int) -> tuple[Migration, ...]:
    """Return the numbered migrations of `groups.db`; lived time is now `lived_ms`."""
    return _FIRST, _RETENTION.replace("<now>", str(lived_ms))
