"""Ways of breaking the protocol, for the malicious relays of `pimd.lab.liars`; each is seeded."""

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Protocol

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto.cards import CARD_DOMAIN, SEQ_LIMIT, BadCard, claims_of, issue
from pimd.proto.control import Goodbye
from pimd.proto.frames import (
    FLAG_CONTROL,
    FLAG_SEALED,
    METRIC_RETRACTED,
    Frame,
    GoodbyeReason,
    MeshData,
    PeerInfoRequest,
    PluginPayload,
    RouteEntry,
    Routes,
    SeqRequest,
    SignedPeerInfo,
    encode_frame,
)
from pimd.proto.identity import SIGNATURE_SIZE, Identity
from pimd.proto.sealed import NONCE_SIZE, Sealer

HEARD_KEPT = 200
"""Frames of each kind that a liar keeps."""
SMALLEST_METRIC = 256
"""The lowest metric that is accepted for a route to another node."""
KEY_AT, SEQ_AT = slice(33, 65), slice(65, 73)
"""Offsets of the X25519 key and the sequence number in a card."""


class Neighbour(Protocol):
    """A link of the liar; `LyingLink` implements it."""

    def say(self, frame: Frame) -> None:
        """Send a frame unchanged."""


class Liar(Protocol):
    """The part of a lying node that lies use; `LyingNode` implements it."""

    rng: random.Random

    @property
    def id(self) -> NodeId:
        """The id of the liar itself, which most lies leave out."""

    @property
    def identity(self) -> Identity:
        """The liar's own keys, which lies put into cards of others."""

    def neighbours(self) -> Sequence[Neighbour]:
        """Every link of the liar that is up."""

    def known_ids(self) -> Sequence[NodeId]:
        """Ids that the liar holds, its own included."""

    def key_of(self, node_id: NodeId) -> bytes | None:
        """The X25519 key of a node."""

    def number_of(self, node_id: NodeId) -> int:
        """The newest sequence number that the liar holds of a node."""

    def tell_somebody(self, frame: Frame) -> None:
        """Send a frame to a random neighbour."""

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Call `do` after virtual seconds; dropped when the daemon is dead by then."""


class Lie:
    """One way of breaking the protocol; each default does nothing."""

    def __init__(self, liar: "Liar") -> None:
        self.liar = liar
        self.rng = liar.rng

    def hear(self, frame: Frame) -> None:
        """Called for each frame of a neighbour, before the node handles it."""

    def twist(self, link: Neighbour, frame: Frame) -> Iterable[Frame]:
        """Return the frames to send to a neighbour instead of `frame`."""
        del link
        return (frame,)

    def act(self) -> None:
        """Called every half second of virtual time."""


class SubstituteKeys(Lie):
    """Relays cards with its own key instead of theirs, or with a number never issued."""

    def twist(self, link: Neighbour, frame: Frame) -> Iterable[Frame]:
        """Forge every card but its own; sometimes the true card follows."""
        del link
        if not isinstance(frame, SignedPeerInfo):
            return (frame,)
        forged = SignedPeerInfo(tuple(self._forged(raw) for raw in frame.cards))
        return (forged, frame) if self.rng.getrandbits(1) else (forged,)

    def _forged(self, raw: bytes) -> bytes:
        if claims_of(raw)[0] == self.liar.id:
            return raw
        card = bytearray(raw)
        match self.rng.randrange(4):
            case 0:
                card[KEY_AT] = self.liar.identity.x25519_pub
            case 1:
                card[SEQ_AT] = (int.from_bytes(card[SEQ_AT]) + self.rng.randrange(1, 10_000)).to_bytes(8)
            case 2:
                card[KEY_AT] = self.liar.identity.x25519_pub
                card[-SIGNATURE_SIZE:] = self.liar.identity.sign(CARD_DOMAIN + bytes(card[:-SIGNATURE_SIZE]))
            case _:
                card[self.rng.randrange(len(card) - SIGNATURE_SIZE, len(card))] ^= 1 << self.rng.randrange(8)
        return bytes(card)


class Replay(Lie):
    """Sends earlier frames, cards and routes again, to random neighbours."""

    def __init__(self, liar: "Liar") -> None:
        super().__init__(liar)
        self._heard: dict[type[Any], deque[Frame]] = {
            kind: deque(maxlen=HEARD_KEPT) for kind in (MeshData, SignedPeerInfo, Routes, SeqRequest)
        }

    def hear(self, frame: Frame) -> None:
        """Keep the frame, when it is of a kind that is replayed."""
        if type(frame) in self._heard:
            self._heard[type(frame)].append(frame)

    def act(self) -> None:
        """Send some of each kind again."""
        for frames in self._heard.values():
            for _ in range(min(5, len(frames))):
                self.liar.tell_somebody(self.rng.choice(frames))


class ForgeSource(Lie):
    """Sends frames with forged sources, reflects frames, and sends Goodbyes of others."""

    def __init__(self, liar: "Liar") -> None:
        super().__init__(liar)
        self._sealer = Sealer(liar.identity, Bites())
        self._heard: deque[MeshData] = deque(maxlen=HEARD_KEPT)

    def hear(self, frame: Frame) -> None:
        """Keep Data frames, which `act` sends on in forged forms."""
        if isinstance(frame, MeshData):
            self._heard.append(frame)

    def act(self) -> None:
        """Try each kind of forgery once."""
        ids = self.liar.known_ids()
        if self._heard:
            frame = self.rng.choice(self._heard)
            self.liar.tell_somebody(replace(frame, src=self.rng.choice(ids)))
            self.liar.tell_somebody(replace(frame, src=frame.dst, dst=frame.src))
            self.liar.tell_somebody(replace(frame, dst=frame.src))
            self.liar.tell_somebody(replace(frame, payload=frame.payload[:-1] + bytes([frame.payload[-1] ^ 1])))
        victim, target = self.rng.choice(ids), self.rng.choice(ids)
        self.liar.tell_somebody(Goodbye(victim, GoodbyeReason.REMOVED))
        payload = PluginPayload("lab.probe", b"forged by " + self.liar.id.short.encode())
        self.liar.tell_somebody(MeshData(victim, target, FLAG_CONTROL, encode_frame(payload)[1:]))
        key = self.liar.key_of(target)
        if key is not None:
            self.liar.tell_somebody(
                self._sealer.seal(
                    payload,
                    src=victim,
                    dst=target,
                    dst_x25519=key,
                    dst_seq=SEQ_LIMIT,
                    counter=self.rng.randrange(2**63),
                    nonce=self.rng.randbytes(NONCE_SIZE),
                )
            )


class LieInRoutes(Lie):
    """Claims to be next to every node, with sequence numbers that nobody issued."""

    def twist(self, link: Neighbour, frame: Frame) -> Iterable[Frame]:
        """Forge every route, so that it looks better than it is."""
        del link
        if not isinstance(frame, Routes):
            return (frame,)
        return (replace(frame, entries=tuple(self._better(entry) for entry in frame.entries)),)

    def act(self) -> None:
        """Advertise routes to every node, retract some."""
        entries = [RouteEntry(node_id, self._number(node_id), self._metric()) for node_id in self.liar.known_ids()]
        self.liar.tell_somebody(Routes(tuple(entries), first=False, last=False))

    def _better(self, entry: RouteEntry) -> RouteEntry:
        if entry.destination == self.liar.id:
            return entry
        return RouteEntry(entry.destination, entry.seq + self.rng.choice((0, 0, 1, 1_000_000)), self._metric())

    def _metric(self) -> int:
        return self.rng.choice((SMALLEST_METRIC, SMALLEST_METRIC, 0, 1, METRIC_RETRACTED))

    def _number(self, node_id: NodeId) -> int:
        return self.liar.number_of(node_id) + self.rng.choice((0, 0, 1, 1_000_000))


class Drop(Lie):
    """Forwards no frames, and sometimes leaves out a card or a route."""

    def twist(self, link: Neighbour, frame: Frame) -> Iterable[Frame]:
        """Drop relayed frames, and one in five messages with cards or routes unless its own card is inside."""
        del link
        if isinstance(frame, MeshData) and frame.src != self.liar.id:
            return ()
        own = isinstance(frame, SignedPeerInfo) and self.liar.id in map(_id_of, frame.cards)
        quiet = isinstance(frame, SignedPeerInfo | Routes) and not own and not self.rng.randrange(5)
        return () if quiet else (frame,)


class Lose(Lie):
    """Loses 30 % of the frames that it relays, and nothing else; no scenario draws it."""

    SHARE: ClassVar[float] = 0.3

    def twist(self, link: Neighbour, frame: Frame) -> Iterable[Frame]:
        """Drop a relayed frame, or not."""
        del link
        relayed = isinstance(frame, MeshData) and frame.src != self.liar.id
        return () if relayed and self.rng.random() < self.SHARE else (frame,)


class Delay(Lie):
    """Forwards frames late and in random order."""

    LONGEST_S: ClassVar[float] = 10.0

    def twist(self, link: Neighbour, frame: Frame) -> Iterable[Frame]:
        """Send the frame after a random delay."""
        if isinstance(frame, MeshData) and frame.src != self.liar.id:
            self.liar.later(self.LONGEST_S * self.rng.random() ** 2, lambda: link.say(frame))
            return ()
        return (frame,)


class Flood(Lie):
    """Sends more cards, requests, frames and payloads than its rates allow."""

    IDENTITIES: ClassVar[int] = 300
    FRAMES: ClassVar[int] = 60

    def __init__(self, liar: "Liar") -> None:
        super().__init__(liar)
        self._made_up = [Identity.from_seed(self.rng.randbytes(32)) for _ in range(self.IDENTITIES)]
        self._seq = 1

    def act(self) -> None:
        """Sometimes send cards of made-up nodes, requests, frames and payloads."""
        if self.rng.randrange(8):
            return
        self._seq += 1
        cards = tuple(issue(identity, self._seq, 2, "nobody").raw for identity in self._made_up)
        ids = self.liar.known_ids()
        for link in self.liar.neighbours():
            link.say(SignedPeerInfo(cards))
            for _ in range(self.FRAMES):
                link.say(PeerInfoRequest(tuple(NodeId(self.rng.randbytes(16)) for _ in range(64))))
                link.say(
                    SeqRequest(
                        destination=self.rng.choice(ids),
                        seq=self.rng.randrange(2**44),
                        hop_budget=255,
                        flood=True,
                        request_id=self.rng.getrandbits(53),
                    )
                )
                link.say(
                    MeshData(
                        self.rng.choice(ids), self.rng.choice(ids), FLAG_CONTROL | FLAG_SEALED, self.rng.randbytes(500)
                    )
                )
                link.say(PluginPayload("lab.probe", self.rng.randbytes(100)))


LIES: dict[str, type[Lie]] = {
    "substitute-keys": SubstituteKeys,
    "replay": Replay,
    "forge-source": ForgeSource,
    "lie-in-routes": LieInRoutes,
    "drop": Drop,
    "delay": Delay,
    "flood": Flood,
}
LOSSES: dict[str, type[Lie]] = {"lose": Lose}
"""What a relay is also made with, but is no lie that the protocol must resist."""


def _id_of(raw: bytes) -> NodeId | None:
    try:
        return claims_of(raw)[0]
    except BadCard:
        return None
