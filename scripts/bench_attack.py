"""Links that flood a daemon with one kind of frame; run in a process of its own by `scripts/bench flood`."""

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.mesh.sealing import SealedFrames
from pimd.proto.cards import issue, parse
from pimd.proto.frames import (
    FLAG_SEALED,
    FLAG_STREAM,
    METRIC_PER_HOP,
    MeshData,
    PeerInfoRequest,
    Ping,
    PluginPayload,
    Pong,
    RouteEntry,
    Routes,
    SeqRequest,
    SignedPeerInfo,
    encode_frame,
)
from pimd.proto.frames import Heartbeat as Beat
from pimd.proto.handshake import LinkConfig
from pimd.proto.identity import Identity
from pimd.proto.link import Link, Role
from pimd.proto.link_events import Authenticated, FrameReceived

BATCH_BYTES = 60_000
DATAGRAM = FLAG_SEALED


class Attacker:
    """One identity with one link, which sends what it was told to for ever and reads what comes."""

    def __init__(self, victim_id: NodeId) -> None:
        self.identity = Identity.from_seed(os.urandom(32))
        self.victim_id = victim_id
        self.victim_key = b""
        self.victim_seq = 0
        self.others = [os.urandom(16) for _ in range(1000)]
        self._numbers = itertools.count()
        self._sealed = SealedFrames(self.identity, 1, os.urandom, lambda _: None, Bites())
        self._strangers = [Identity.from_seed(os.urandom(32)) for _ in range(20)]

    async def connect(self, port: int) -> None:
        """Link, send the card, and wait for the victim's."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.link = link = Link(Role.DIALLER, self.identity, LinkConfig(), os.urandom, 0.0)
        self.writer.write(link.data_to_send(0.0))
        while not isinstance(link.next_event(), Authenticated):
            link.receive(await self.reader.read(4096), 0.0)
        link.accept(0.0)
        self.writer.write(link.data_to_send(0.0))
        self.write(encode_frame(SignedPeerInfo((issue(self.identity, 1, 0, "x").raw,))))
        while not self.victim_key:
            link.receive(await self.reader.read(65536), 0.0)
            while (event := link.next_event()) is not None:
                if isinstance(event, FrameReceived) and isinstance(event.frame, SignedPeerInfo):
                    card = parse(event.frame.cards[0])
                    self.victim_key, self.victim_seq = card.x25519_pub, card.seq

    def write(self, *plaintexts: bytes) -> None:
        """Encrypt records."""
        writer = self.link._writer  # noqa: SLF001 - what a link would not send
        if writer is None:
            raise RuntimeError("not linked")
        self.writer.write(b"".join(map(writer.write, plaintexts)))

    async def flood(self, kind: str) -> None:
        """Send until the connection ends."""
        frames = KINDS[kind](self)
        with contextlib.suppress(ConnectionError):
            while True:
                batch, size = [], 0
                while size < BATCH_BYTES:
                    batch.append(next(frames))
                    size += len(batch[-1]) + 18
                self.write(*batch)
                await self.writer.drain()
                await asyncio.sleep(0)

    async def drain(self) -> None:
        """Read, and do not look."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass

    # --- what it sends

    def number(self) -> int:
        """Another one each time."""
        return next(self._numbers)

    def repeated(self, plaintext: bytes) -> Iterator[bytes]:
        """The same bytes for ever."""
        return itertools.repeat(plaintext)

    def routes(self) -> Iterator[bytes]:
        """Tables of destinations that nobody has heard of, and whose metric never stays."""
        while True:
            metric = METRIC_PER_HOP * (1 + self.number() % 50)
            entries = tuple(RouteEntry(NodeId(other), 1, metric, 1) for other in self.others)
            yield encode_frame(Routes(entries, first=True, last=True, hops=True))

    def known_routes(self) -> Iterator[bytes]:
        """Tables of destinations whose cards it sends before, so that routes are selected anew each time."""
        cards = [issue(one, 1, 0, "y").raw for one in self._strangers]
        yield encode_frame(SignedPeerInfo(tuple(cards)))
        while True:
            metric = METRIC_PER_HOP * (1 + self.number() % 50)
            entries = tuple(RouteEntry(one.node_id, 1, metric, 1) for one in self._strangers)
            yield encode_frame(Routes(entries, first=False, last=False, hops=True))

    def seq_requests(self) -> Iterator[bytes]:
        """Floods for destinations that nobody has heard of."""
        while True:
            yield encode_frame(SeqRequest(NodeId(os.urandom(16)), 1, 60, flood=True, request_id=self.number()))

    def false_cards(self) -> Iterator[bytes]:
        """Cards with a wrong signature."""
        good = issue(self.identity, 1, 0, "x" * 64).raw
        while True:
            cards = [b"\1" + os.urandom(32) + good[33:] for _ in range(200)]
            yield encode_frame(SignedPeerInfo(tuple(cards)))

    def own_cards(self) -> Iterator[bytes]:
        """Its own card, a newer one each time."""
        while True:
            yield encode_frame(SignedPeerInfo((issue(self.identity, 2 + self.number(), 0, "x").raw,)))

    def payloads(self, kind: str, size: int) -> Iterator[bytes]:
        """Sealed for the victim, as if it were a message."""
        while True:
            body = os.urandom(size)
            frame = self._sealed.seal(self.victim_id, self.victim_key, self.victim_seq, PluginPayload(kind, body))
            yield encode_frame(frame)


def _garbage(attacker: Attacker, flags: int, dst: NodeId | None = None) -> Iterator[bytes]:
    frame = MeshData(attacker.identity.node_id, dst or attacker.victim_id, flags, os.urandom(300))
    return attacker.repeated(encode_frame(frame))


KINDS: dict[str, Callable[[Attacker], Iterator[bytes]]] = {
    "pings": lambda one: one.repeated(encode_frame(Ping(1))),
    "pongs": lambda one: one.repeated(encode_frame(Pong(1))),
    "heartbeats": lambda one: one.repeated(encode_frame(Beat(1))),
    "unknown frames": lambda one: one.repeated(b"\x99"),
    "unknown control frames": lambda one: one.repeated(b"\x05\x99"),
    "unsigned cards": lambda one: one.repeated(b"\x05\x07" + bytes(33)),
    "routes": Attacker.routes,
    "routes that flap": Attacker.known_routes,
    "SeqRequests": Attacker.seq_requests,
    "false cards": Attacker.false_cards,
    "own cards": Attacker.own_cards,
    "requests for cards": lambda one: one.repeated(
        encode_frame(PeerInfoRequest((one.victim_id, *map(NodeId, one.others[:63]))))
    ),
    "direct payloads": lambda one: one.repeated(encode_frame(PluginPayload("messaging.msg2", bytes(100)))),
    "large direct payloads": lambda one: one.repeated(encode_frame(PluginPayload("messaging.msg2", bytes(60_000)))),
    "sealed payloads": lambda one: one.payloads("messaging.msg2", 200),
    "false sealed payloads": lambda one: _garbage(one, FLAG_SEALED | 0x40),
    "datagrams": lambda one: _garbage(one, DATAGRAM),
    "streams": lambda one: _garbage(one, FLAG_SEALED | FLAG_STREAM),
    "frames for others": lambda one: _garbage(one, FLAG_SEALED | 0x40, NodeId(bytes(16))),
}


async def main(port: int, victim: str, kind: str, links: int) -> None:
    """Link all, say so, and flood until killed."""
    attackers = [Attacker(NodeId.parse(victim)) for _ in range(links)]
    for attacker in attackers:
        await attacker.connect(port)
    print("linked", flush=True)
    async with asyncio.TaskGroup() as tasks:
        for attacker in attackers:
            tasks.create_task(attacker.drain())
            tasks.create_task(attacker.flood(kind))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
