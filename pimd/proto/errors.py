"""Errors by fault: our own bug raises, a fault of the peer ends its link."""


class ProtocolError(Exception):
    """Base of everything the protocol code raises."""


class LocalProtocolError(ProtocolError):
    """Our own code asked for something the protocol forbids; never swallowed."""


class PayloadTooLarge(LocalProtocolError, ValueError):  # noqa: N818 - the contract's name
    """A plugin payload is over 60 000 bytes; raised before anything is sent."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; its link is closed and nobody else is affected."""


class DecodeError(RemoteProtocolError):
    """Bytes of a known type in a wrong form, left-over bytes included."""


class HandshakeError(RemoteProtocolError):
    """The handshake failed: wrong keys, wrong secret, wrong order or a bad proof."""


class OtherMesh(HandshakeError):  # noqa: N818 - what it is about
    """Message 1 shows that the peer's mesh has another secret, or none where this one has one."""


class WrongPeer(HandshakeError):  # noqa: N818 - what it is about
    """The proof holds, but names another node than the expected one."""


class SameKey(HandshakeError):  # noqa: N818 - what it is about
    """The other end proved the key of this node, and is another process."""
