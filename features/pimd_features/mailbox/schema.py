"""Tables of `mailbox.db`. Columns named `*_lived_ms` are moments of lived time."""

MIGRATIONS = (
    """
CREATE TABLE kept (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient BLOB NOT NULL,
    source BLOB NOT NULL,
    id BLOB NOT NULL,
    sort INTEGER NOT NULL,
    body BLOB NOT NULL,
    brought_by TEXT NOT NULL,
    kept_lived_ms INTEGER NOT NULL,
    UNIQUE (recipient, source, id)
);
CREATE INDEX kept_for ON kept (recipient, position);
CREATE INDEX kept_by_age ON kept (kept_lived_ms);
CREATE TABLE bundles (
    node BLOB PRIMARY KEY,
    raw BLOB NOT NULL,
    taken_lived_ms INTEGER NOT NULL
) WITHOUT ROWID;
""",
)
"""`brought_by` is empty for a contact; for others it is what their shares of the room are counted by."""
