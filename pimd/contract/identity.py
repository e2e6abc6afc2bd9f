"""What a plugin may do with the node's keys, and with those of other nodes."""

import os
from typing import Protocol

from pimd.ids import NodeId
from pimd.proto import ecies
from pimd.proto.errors import LocalProtocolError
from pimd.proto.identity import KEY_SIZE, node_id_of, signed_for_feature, verify


class IdentitySecrets(Protocol):
    """Handles to the node's keys; the raw seed only for a feature that declared the need.

    Called by the plugin, in any of its tasks, calls and timers, from `start` until `shutdown` has returned; never in
    a thread.

    Errors: only those that a member names, and then nothing was sent or changed. What the plugin lets through is a
    failure of the task, call or payload in which it happened.
    """

    @property
    def node_id(self) -> NodeId:
        """The id that others send to; the same over restarts, since it is made from the seed."""

    @property
    def ed25519_pub(self) -> bytes:
        """32 bytes, public: the key that `signer_of` takes at other nodes; the id is the start of its SHA-256."""

    @property
    def x25519_pub(self) -> bytes:
        """32 bytes, public: the key that `seal_for` takes at other nodes, and that this node's card shows."""

    def signing_seed(self) -> bytes:
        """Return the 32-byte Ed25519 seed; PermissionError unless the feature declares `needs_signing_seed`."""

    def sign(self, domain: str, message: bytes) -> bytes:
        """Sign `pim-sign-v1 NUL feature NUL domain NUL message`, 64 bytes.

        The prefix keeps a plugin from signing a card, a link proof, or anything in another feature's name. Raises ValueError
        when `domain` holds a NUL.
        """

    def derive(self, purpose: str) -> bytes:
        """Return 32 secret bytes that are always the same for this node, this feature and this purpose.

        For keys of the feature's own, such as one that encrypts its files: nothing has to be stored. Other features, purposes and
        nodes get unrelated keys, and none of them leads back to the seed. Raises ValueError when `purpose` holds a NUL.
        """

    def open_sealed(self, ciphertext: bytes) -> bytes:
        """Open what `seal_for` made at another node for this one; `EciesError` when it was for another key, or was changed."""


def signer_of(feature: str, domain: str, ed25519_pub: bytes, message: bytes, signature: bytes) -> NodeId | None:
    """Return the node whose `IdentitySecrets.sign` made this for that feature and domain, and None when it does not hold."""
    if not verify(ed25519_pub, signed_for_feature(feature, domain, message), signature):
        return None
    return node_id_of(ed25519_pub)


def seal_for(x25519_pub: bytes, plaintext: bytes) -> bytes:
    """Encrypt to a node's key, so that only its `IdentitySecrets.open_sealed` opens it; two calls never return the same bytes.

    The sender is not proven by it. Raises ValueError when the key has not 32 bytes or is of low order; those of the keystore never are.
    """
    try:
        return ecies.seal(x25519_pub, plaintext, os.urandom(KEY_SIZE), os.urandom(ecies.NONCE_SIZE))
    except LocalProtocolError as error:
        raise ValueError(str(error)) from None
