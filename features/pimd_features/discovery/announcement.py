"""The TXT record of this node in DNS-SD, and how those of others are read (docs/protocol.md)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pimd.contract import declare
from pimd.ids import NodeId

SERVICE_TYPE = "_pim._tcp.local."
VERSION = b"2"
TEXT = declare("text of an announcement on the local network", 255, "bytes", "passed over")
"""The record of this program has about 45 bytes."""
HOUR_MS = 3_600_000

Properties = Mapping[bytes, bytes | None]


@dataclass(frozen=True)
class Announced:
    """The content of one announcement: an id in an open mesh, a tag in a private one."""

    node_id: NodeId | None
    tag: bytes | None = None


class Announcements:
    """Writes this node's announcement, and recognises those of the same mesh."""

    def __init__(self, node_id: NodeId, tag_of: Callable[[int], bytes | None], unix_ms: Callable[[], int]) -> None:
        self._node_id = node_id
        self._tag_of = tag_of
        self._unix_ms = unix_ms

    def own(self) -> dict[bytes, bytes]:
        """Return the content of the TXT record for this hour; in a private mesh only the tag."""
        tag = self._tag_of(self._hour())
        if tag is not None:
            return {b"t": tag.hex().encode()}
        return {b"id": str(self._node_id).encode(), b"v": VERSION}

    def read(self, properties: Properties) -> Announced | None:
        """Return the announcement of a node of this mesh; None for another mesh or a malformed record."""
        if self._tag_of(self._hour()) is not None:
            tag = _tag(properties.get(b"t"))
            return Announced(None, tag) if tag is not None and self.is_current(tag) else None
        node_id = _node_id(properties.get(b"id"))
        if node_id is None or node_id == self._node_id or properties.get(b"v") != VERSION:
            return None
        return Announced(node_id)

    def is_current(self, tag: bytes) -> bool:
        """Tell whether a member could have made the tag; clocks may be an hour apart."""
        hour = self._hour()
        return tag in [self._tag_of(near) for near in (hour - 1, hour, hour + 1)]

    def _hour(self) -> int:
        # The tag is made of an unsigned number, and the clock of a machine without a battery may stand at 0.
        return max(1, self._unix_ms() // HOUR_MS)


def _tag(value: bytes | None) -> bytes | None:
    try:
        return bytes.fromhex((value or b"").decode("ascii"))
    except ValueError:
        return None


def _node_id(value: bytes | None) -> NodeId | None:
    try:
        return NodeId.parse((value or b"").decode("ascii"))
    except ValueError:
        return None
