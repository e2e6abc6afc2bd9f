"""What another node can make this one hold for its sessions."""

from pimd.contract import declare, declare_rate

SESSION_MESSAGES = declare(
    "messages in one session", 256, "messages", "the sender begins the next session; a message beyond is dropped"
)
SKIPPED_KEYS = declare("skipped keys of one session", 255, "keys", "the message is dropped, not acknowledged")
OF_CONTACT = declare(
    "sessions kept of a contact",
    64,
    "sessions",
    "the one used longest ago goes; a message of it makes its sender begin anew",
)
OF_STRANGER = declare(
    "sessions kept of a stranger",
    4,
    "sessions",
    "the one used longest ago goes; a message of it makes its sender begin anew",
)
OF_STRANGERS = declare(
    "sessions kept of all strangers",
    4000,
    "sessions",
    "the one used longest ago goes; a message of it makes its sender begin anew",
)
STRANGERS_BUNDLES = declare(
    "bundles of strangers taken in a minute",
    10,
    "bundles",
    "the bundle is dropped; the peer is asked when it is needed",
)
STRANGERS_HEADERS = declare_rate(
    "headers of strangers", 20, "headers", "the message is dropped, not acknowledged", burst=20
)
PARCELS_HELD = declare(
    "parcels of one peer that wait to be taken", 4096, "parcels", "dropped, not acknowledged; sent again later"
)
