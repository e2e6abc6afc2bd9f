"""A key for one direction from one message: `Noise_Xpsk1_25519_ChaChaPoly_SHA256`, for a feature's own sessions.

The writer knows the reader's X25519 key and proves its own; both bring the same pre-shared secret. Nothing comes back, so
the message can be read much later.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from pimd.proto.errors import HandshakeError
from pimd.proto.noise import HandshakeState

NOISE = "Noise_Xpsk1_25519_ChaChaPoly_SHA256"


@dataclass(frozen=True)
class OneWayWritten:
    """What the writer sends, and what both ends have now."""

    message: bytes
    """80 bytes and the payload, with a tag of 16: an ephemeral key, the writer's key and the payload."""
    handshake_hash: bytes
    """32 bytes that name this exchange and bind all that went into it."""
    key: bytes = field(repr=False)
    """32 secret bytes: the first key of Split (Noise, section 5.2)."""


@dataclass(frozen=True)
class OneWayRead:
    """What the reader learns, and what both ends have now."""

    payload: bytes
    remote_static: bytes
    """The writer's X25519 key, which it proved to hold."""
    handshake_hash: bytes
    key: bytes = field(repr=False)


def write_one_way(
    payload: bytes, *, prologue: bytes, psk: bytes, static: bytes, remote_static: bytes, ephemeral: Callable[[], bytes]
) -> OneWayWritten:
    """Write to the owner of `remote_static`; `static` is the own secret, `ephemeral` returns 32 fresh secret bytes.

    Raises ValueError when `remote_static` is of low order.
    """
    state = HandshakeState(
        NOISE,
        initiator=True,
        prologue=prologue,
        ephemeral=ephemeral,
        static=static,
        remote_static=remote_static,
        psks=[psk],
    )
    try:
        message = state.write_message(payload)
    except HandshakeError as error:
        raise ValueError(str(error)) from None
    return OneWayWritten(message, state.handshake_hash, state.split_keys()[0])


def read_one_way(message: bytes, *, prologue: bytes, psk: bytes, static: bytes) -> OneWayRead:
    """Read what `write_one_way` made for the key of the secret `static`.

    Raises ValueError when prologue, secrets or message are not those of the writer.
    """
    state = HandshakeState(
        NOISE, initiator=False, prologue=prologue, ephemeral=_none_is_drawn, static=static, psks=[psk]
    )
    try:
        payload = state.read_message(message)
    except HandshakeError as error:
        raise ValueError(str(error)) from None
    remote = state.remote_static
    if remote is None:
        raise ValueError("the message names no key")
    return OneWayRead(payload, remote, state.handshake_hash, state.split_keys()[1])


def _none_is_drawn() -> bytes:
    raise AssertionError("a reader draws no key")
