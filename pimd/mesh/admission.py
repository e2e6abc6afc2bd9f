"""Whether a proven peer may link, by policy, known keys and free places; and which peers are preferred."""

import logging

from pimd.addresses import Endpoint
from pimd.contract import OtherKey, PeerEntry
from pimd.database import DatabaseError
from pimd.ids import NodeId
from pimd.mesh.dialler import Dialler
from pimd.mesh.links import LinkTable
from pimd.mesh.peer_link import PeerLink
from pimd.mesh.policy import Policy
from pimd.proto.frames import GoodbyeReason
from pimd.proto.handshake import LinkPeer
from pimd.store.keystore import Keystore

log = logging.getLogger("pimd.mesh")

Refusal = tuple[GoodbyeReason, str]
"""The reason sent in the Goodbye, and the text for the log."""


class Admission:
    """Decides only; `Handshakes` and the node act on the decision."""

    def __init__(self, policy: Policy, keystore: Keystore, links: LinkTable[PeerLink], dialler: Dialler) -> None:
        self._policy = policy
        self._keystore = keystore
        self._links = links
        self._dialler = dialler

    def decide(self, link: PeerLink, peer: LinkPeer) -> Refusal | None:
        """Return why a proven peer may not link; None admits it."""
        link.other_key = self.other_key(link.entry, peer.node_id) if link.entry is not None else None
        if link.other_key is not None:
            return GoodbyeReason.NOT_ADMITTED, str(link.other_key)
        refusal = self._policy.refusal(peer.node_id)
        if refusal is not None:
            return GoodbyeReason.NOT_ADMITTED, refusal
        if not self._keystore.accepts_keys(peer.node_id, peer.ed25519_pub, peer.x25519_pub):
            return GoodbyeReason.NOT_ADMITTED, f"{peer.node_id} proved other keys than the ones first seen of it"
        if link.dialled and self._links.dialled_already(peer.node_id):
            return GoodbyeReason.DUPLICATE, "a link opened by this side is up already"
        return self.no_place(link, peer.node_id)

    def no_place(self, link: PeerLink, peer: NodeId) -> Refusal | None:
        """Return a refusal when all places for links are taken.

        Asked twice: before the handshake is accepted, and when the link is up, since other links may have come up
        between.
        """
        preferred = self.is_preferred_peer(peer) or (
            link.entry is not None and self._dialler.is_configured_at(link.entry.endpoint)
        )
        if self._links.has_place_for(preferred_peer=preferred):
            return None
        return GoodbyeReason.LIMIT, f"all {len(self._links)} places for links are taken"

    def refusal(self, peer: NodeId) -> str | None:
        """Say why the policy would not admit a peer, wherever it is; None when it would."""
        return self._policy.refusal(peer)

    def known_at(self, endpoint: Endpoint) -> NodeId | None:
        """Return the node that an endpoint is bound to: the one that its entry names, else the first met there."""
        entry = self._dialler.configured_entry(endpoint)
        named = entry.node_id if entry is not None else None
        return named or self._keystore.pinned(endpoint)

    def other_key(self, dialled: PeerEntry, answers: NodeId) -> OtherKey | None:
        """Return what to tell a person when another node answers at an endpoint than the one known there."""
        known = self.known_at(dialled.endpoint)
        if known is None or known == answers:
            return None
        entry = self._dialler.configured_entry(dialled.endpoint)
        label = self._keystore.label(known) or (entry.label if entry is not None else "")
        return OtherKey(dialled.endpoint, label, known, answers)

    def is_preferred_peer(self, node_id: NodeId) -> bool:
        """Tell whether this node is configured or a contact; part of each limit is kept for such peers."""
        return node_id in self._dialler.configured or self._keystore.is_contact(node_id)

    async def remember(self, entry: PeerEntry, peer: NodeId) -> None:
        """Bind a configured endpoint to the node that answered there."""
        configured = self._dialler.configured_entry(entry.endpoint) is not None
        if not configured or self._keystore.pinned(entry.endpoint) == peer:
            return
        try:
            await self._keystore.pin(entry.endpoint, peer)
        except DatabaseError as error:
            log.error(
                "%s is not pinned to %s: %s; whoever answers there next may be pinned",
                entry.endpoint.text,
                peer,
                error,
            )
