"""One job of `groups.db`: where it is, when, and what is to be told once it is committed."""

import os
from dataclasses import dataclass, field

from pydantic import BaseModel

from pimd.contract import Connection, Limit
from pimd.ids import MessageId, NodeId
from pimd_features.groups.wire import Said

DAY_MS = 24 * 3600 * 1000
KEPT_MS = 28 * DAY_MS
"""A parcel is tried so long; after that no record takes the place of another, and no key opens anything."""
SAID_AGAIN_MS = 60_000


@dataclass(frozen=True)
class Moment:
    """Now, by both clocks of the node."""

    lived_ms: int
    unix_ms: int


@dataclass
class Turn:
    """Made anew each time that the job runs; functions that take one are parts of that job."""

    connection: Connection
    own: NodeId
    moment: Moment
    events: list[BaseModel] = field(default_factory=list)
    reached: list[Limit] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    """Positions of parcels that strangers' invitations came in, which are not held any more."""

    def send(self, peer: NodeId, said: Said) -> MessageId:
        """Have a parcel sent after the commit; return its id."""
        id_ = MessageId(os.urandom(MessageId.SIZE))
        row = (peer, id_, said.encode())
        self.connection.execute("INSERT INTO leaving (node_id, parcel, body) VALUES (?, ?, ?)", row)
        return id_

    def may_say(self, group: bytes, peer: NodeId, what: str, pause_ms: int = SAID_AGAIN_MS) -> bool:
        """Whether something was not said to a peer lately; then it counts as said now."""
        said = self.connection.execute(
            "INSERT INTO said VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET lived_ms = ?4"
            " WHERE lived_ms > ?4 OR lived_ms + ?5 <= ?4",
            (group, peer, what, self.moment.lived_ms, pause_ms),
        )
        return said.rowcount > 0
