"""How fast the frames of one link are taken; a link over its rate is not read for a while, and TCP pushes back."""

from pimd.limits import Bites, TokenBucket, declare_rate
from pimd.proto.frames import Frame, MeshData, PeerInfoRequest, PluginPayload, Routes, SignedPeerInfo

_REST = "the link is not read until they are within the rate again"
CONTROL = declare_rate("frames of a link other than data", 500, "frames", _REST, burst=2000)
ENTRIES = declare_rate("route entries taken from a link", 1000, "entries", _REST, burst=20_000)
"""Above a full table of the most destinations every 30 s, which is 667 a second."""
CARDS_READ = declare_rate("cards taken from a link", 200, "cards", _REST, burst=2000)
IDS_ANSWERED = declare_rate("ids that a link asks for", 200, "ids", _REST, burst=2000)
"""Twice what an honest neighbour asks for."""
PAYLOADS_READ = declare_rate("direct payloads taken from a link", 1000, "payloads", _REST, burst=2000)


class LinkRates:
    """The rates of one link; data frames have none, since their queues are fair."""

    __slots__ = ("_cards", "_control", "_entries", "_ids", "_payloads")

    def __init__(self, now: float, bites: Bites) -> None:
        self._control = TokenBucket(CONTROL, now, bites)
        self._entries = TokenBucket(ENTRIES, now, bites)
        self._cards = TokenBucket(CARDS_READ, now, bites)
        self._ids = TokenBucket(IDS_ANSWERED, now, bites)
        self._payloads = TokenBucket(PAYLOADS_READ, now, bites)

    def rest(self, frame: Frame | None, now: float) -> float:
        """Count a frame, None for one that the link handled itself; return for how many seconds to read no other."""
        match frame:
            case MeshData():
                return 0.0
            case PluginPayload():
                return self._payloads.owe(1, now)
            case Routes(entries=entries):
                of_its_kind = self._entries.owe(len(entries), now)
            case SignedPeerInfo(cards=cards):
                of_its_kind = self._cards.owe(len(cards), now)
            case PeerInfoRequest(ids=ids):
                of_its_kind = self._ids.owe(len(ids), now)
            case _:
                of_its_kind = 0.0
        return max(of_its_kind, self._control.owe(1, now))
