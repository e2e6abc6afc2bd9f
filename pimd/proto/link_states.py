"""The states of a link, the timeout of each, and the allowed transitions."""

import enum
from dataclasses import dataclass

from pimd.proto.errors import OtherMesh, RemoteProtocolError, SameKey, WrongPeer

PREAMBLE_S = 5.0
"""Seconds until the first 4 bytes must have arrived."""
HANDSHAKE_S = 10.0
HEARTBEAT_S = 5.0
SILENCE_S = 15.0
PING_S = 10.0
LINGER_S = 1.0
"""How long a link reads on after a Goodbye."""


class State(enum.Enum):
    """Where a link stands; messages are numbered as in XX."""

    AWAIT_PREAMBLE = "acceptor: the 4 bytes of the preamble"
    AWAIT_1 = "acceptor: handshake message 1"
    AWAIT_2 = "dialler: handshake message 2"
    DECIDE_2 = "dialler: its owner decides about the proven acceptor"
    AWAIT_3 = "acceptor: handshake message 3"
    DECIDE_3 = "acceptor: its owner decides about the proven dialler"
    AWAIT_RECORD = "dialler: the first record"
    UP = "frames flow"
    LEAVING = "a Goodbye was said or heard; reading on until the end"
    CLOSED = "over"


UNDECIDED = frozenset({State.DECIDE_2, State.DECIDE_3})
ENDS = frozenset({State.LEAVING, State.CLOSED})
TRANSITIONS: dict[State, frozenset[State]] = {
    State.AWAIT_PREAMBLE: frozenset({State.AWAIT_1, State.CLOSED}),
    State.AWAIT_1: frozenset({State.AWAIT_3, State.CLOSED}),
    State.AWAIT_2: frozenset({State.DECIDE_2, State.CLOSED}),
    State.DECIDE_2: frozenset({State.AWAIT_RECORD, State.CLOSED}),
    State.AWAIT_3: frozenset({State.DECIDE_3, State.CLOSED}),
    State.DECIDE_3: frozenset({State.UP}) | ENDS,
    State.AWAIT_RECORD: frozenset({State.UP}) | ENDS,
    State.UP: ENDS,
    State.LEAVING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}


class CloseReason(enum.Enum):
    """Why a link is over."""

    LOST = "connection lost"
    TIMED_OUT = "timed out"
    PROTOCOL = "protocol error"
    OTHER_MESH = "another mesh"
    WRONG_PEER = "another peer"
    SAME_KEY = "two machines use the same key"
    REFUSED = "refused"
    GOODBYE = "said goodbye"
    OVERFLOW = "the peer does not read"


@dataclass(frozen=True)
class RekeyLimits:
    """When a sending direction gets a new key, whichever comes first."""

    records: int = 1 << 20
    plaintext_bytes: int = 1 << 30
    seconds: float = 3600.0


def reason_of(error: RemoteProtocolError) -> CloseReason:
    """Return why a link ends whose peer broke the protocol."""
    match error:
        case OtherMesh():
            return CloseReason.OTHER_MESH
        case SameKey():
            return CloseReason.SAME_KEY
        case WrongPeer():
            return CloseReason.WRONG_PEER
        case _:
            return CloseReason.PROTOCOL
