"""What a plugin may do with the node's keys."""

from typing import Protocol

from pimd.ids import NodeId


class IdentitySecrets(Protocol):
    """Handles to the node's keys; the raw seed only for a feature that declared the need."""

    @property
    def node_id(self) -> NodeId:
        """This node."""

    @property
    def x25519_pub(self) -> bytes:
        """32 bytes: what others seal to."""

    def signing_seed(self) -> bytes:
        """Return the 32-byte Ed25519 seed; PermissionError unless the feature declares `needs_signing_seed`."""

    def sign(self, domain: str, message: bytes) -> bytes:
        """Sign `pim-sign-v1 NUL feature NUL domain NUL message`, 64 bytes.

        The prefix keeps a plugin from signing a card, a link proof, or anything in another feature's name. Raises ValueError
        when `domain` holds a NUL.
        """

    def open_sealed(self, ciphertext: bytes) -> bytes:
        """Open an ECIES ciphertext made for this node; `EciesError` when it was not, or was changed."""
