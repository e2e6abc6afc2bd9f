"""The TXT record of this node in DNS-SD, and how those of others are read (docs/protocol.md)."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pimd.contract import Mesh, declare, shown_name
from pimd.ids import NodeId
from pimd_features.discovery.networks import OwnAddress, packed

SERVICE_TYPE = "_pim._tcp.local."
VERSION = b"2"
TEXT = declare("text of an announcement on the local network", 255, "bytes", "passed over")
"""The record of this program has 40 to 107 bytes."""

Properties = Mapping[bytes, bytes | None]


@dataclass(frozen=True)
class Service:
    """Port, addresses and text of an instance, as it announced them."""

    port: int
    addresses: Sequence[str]
    """In IPv6 with the scope of the network that they came from, where there is one."""
    properties: Properties


class Announcements:
    """Writes this node's announcement, and recognises those of the same mesh."""

    def __init__(self, mesh: Mesh, node_id: NodeId, name: str = "") -> None:
        self._mesh = mesh
        self._node_id = node_id
        self._name = name.encode()
        self._is_private = mesh.membership.mode == "private"

    def own(self, port: int, addresses: Sequence[OwnAddress]) -> dict[bytes, bytes]:
        """Return the content of the TXT record beside this port and these addresses; sealed anew at each call."""
        if not self._is_private:
            named = {b"n": self._name} if self._name else {}
            return {b"id": str(self._node_id).encode(), b"v": VERSION, **named}
        sealed = self._mesh.seal_discovery(port, [one.ip.packed for one in addresses])
        return {b"p": base64.urlsafe_b64encode(sealed)}

    def read(self, service: Service) -> NodeId | None:
        """Return which node of this mesh announced it; None for this node, another mesh, or a malformed record.

        Of a private mesh it is None also when port or addresses are not those that the member announced.
        """
        properties = service.properties
        node_id = self._opened(service) if self._is_private else _node_id(properties)
        return None if node_id == self._node_id else node_id

    def name_in(self, service: Service) -> str | None:
        """Return what the node says it is called, a stranger's text; None in a private mesh, where nobody says it."""
        return None if self._is_private else shown_name(service.properties.get(b"n") or b"") or None

    def _opened(self, service: Service) -> NodeId | None:
        text = service.properties.get(b"p") or b""
        try:
            sealed = base64.b64decode(text, b"-_", validate=True)
        except binascii.Error:
            return None
        announcement = self._mesh.open_discovery(sealed)
        if announcement is None or not announcement.leads_to(service.port, packed(service.addresses)):
            return None
        return announcement.node_id


def _node_id(properties: Properties) -> NodeId | None:
    if properties.get(b"v") != VERSION:
        return None
    try:
        return NodeId.parse((properties.get(b"id") or b"").decode("ascii"))
    except ValueError:
        return None
