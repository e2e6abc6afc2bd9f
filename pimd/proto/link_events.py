"""Events of a link for its owner, in order."""

from dataclasses import dataclass

from pimd.proto.control import GoodbyeReason
from pimd.proto.frames import Frame
from pimd.proto.handshake import LinkPeer
from pimd.proto.link_states import CloseReason


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The proof holds; nothing goes on until the owner calls `accept` or `refuse`."""

    peer: LinkPeer


@dataclass(frozen=True, slots=True)
class Up:
    """Frames may be sent."""


@dataclass(slots=True)
class FrameReceived:
    """A frame for the owner; pings, rekeys and goodbyes are handled by the link."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class RecordTaken:
    """A record was opened that is of no interest to the owner; its time counts all the same."""


@dataclass(frozen=True, slots=True)
class PeerSaidGoodbye:
    """The peer leaves; `Closed` follows within a second."""

    reason: GoodbyeReason


@dataclass(frozen=True, slots=True)
class Leaving:
    """A link that was up carries no frames any more, whichever end said Goodbye; `Closed` follows within a second."""

    detail: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The last event of a link; `detail` says for people why it ended."""

    reason: CloseReason
    detail: str


LinkEvent = Authenticated | Up | FrameReceived | RecordTaken | PeerSaidGoodbye | Leaving | Closed
