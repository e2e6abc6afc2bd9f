"""Payloads and datagrams of strangers."""

import random
from collections.abc import Iterator

from pimd.contract import DATAGRAM_MTU
from pimd.ids import NodeId
from pimd.testing.alone import STRANGER
from pimd.testing.checks.check import NotMeant, check
from pimd.testing.checks.faults import Faults
from pimd.testing.checks.subject import Subject
from pimd.testing.checks.work import small_work

LARGEST = 60_000
"""Bytes of the largest body."""
RANDOM = 60
MUTANTS = 60
WAYS = 4
HEAD = 24


@check(
    "`handle_payload` takes whatever a stranger sends, of its kinds, up to 60 000 bytes; it raises nothing and returns "
    "within 30 s",
    "read the body as text of a stranger: decode it with errors='replace', validate it with a model, and return when it "
    "is wrong",
)
async def payloads(subject: Subject) -> None:
    """Send rubbish, the largest bodies, and changed copies of what the feature itself sends."""
    async with subject.alone() as alone:
        kinds = alone.feature.plugin.payload_kinds if alone.feature.plugin is not None else ()
        if not kinds:
            raise NotMeant("it claims no payload kinds")
        neighbour = await alone.neighbour()
        faults = Faults(alone)
        await small_work(alone)
        draw = random.Random(1)  # noqa: S311 - the same each time
        sources = [STRANGER, neighbour.id, alone.id, *(NodeId(bytes([n]) * 16) for n in range(1, 9))]
        own = {sent.body for sent in alone.sent}
        for kind in kinds:
            for body in (*rubbish(draw), *mutants(draw, sorted(own))):
                await alone.deliver(kind, body, draw.choice(sources))
                faults.refuse(f"a payload of kind {kind}, {len(body)} bytes, {_shown(body)}")
        await alone.sleep(60)
        faults.refuse("a minute after that")


@check(
    "the receiver of datagrams is a plain function that takes whatever a stranger sends, from 1 to 65 545 bytes, and "
    "raises nothing",
    "write `def`, not `async def`; check the length before the packet is read",
)
async def datagrams(subject: Subject) -> None:
    """Send packets of all sizes, and changed copies of its own."""
    async with subject.alone() as alone:
        if not alone.outbox.receivers:
            raise NotMeant("it sets no receiver of datagrams")
        faults = Faults(alone)
        await small_work(alone)
        draw = random.Random(2)  # noqa: S311 - the same each time
        packets = [body[:DATAGRAM_MTU] or b"\0" for body in (*rubbish(draw), draw.randbytes(DATAGRAM_MTU))]
        for packet in (*packets, *mutants(draw, [sent.packet for sent in alone.datagrams])):
            await alone.deliver_datagram(packet)
            faults.refuse(f"a datagram of {len(packet)} bytes, {_shown(packet)}")
        await alone.sleep(60)
        faults.refuse("a minute after that")


def rubbish(draw: random.Random) -> Iterator[bytes]:
    """Yield bodies that parsers stumble over."""
    yield from (b"", b"\0", b"\xff\xfe", b"{}", b"null", b'{"a": 1}', b"[1, 2]", b'"text"', b"\x80" * 100, b"1e999")
    yield from (b"[" * 30_000, b'{"a":' * 10_000, b"9" * LARGEST, b"a" * LARGEST, b"\0" * LARGEST)
    yield from (b"\xff" * size for size in (1, 2, 4, 8, 15, 16, 17, 31, 32, 33, 64, 255, 256, 257))
    yield draw.randbytes(LARGEST)
    for _ in range(RANDOM):
        yield draw.randbytes(draw.randint(1, 200))


def mutants(draw: random.Random, bodies: list[bytes]) -> Iterator[bytes]:
    """Yield copies with a byte changed, taken out or put in, or cut off."""
    for _ in range(MUTANTS if bodies else 0):
        body = bytearray(draw.choice(bodies))
        at = draw.randrange(len(body) + 1)
        match draw.randrange(WAYS):
            case 0:
                body[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                del body[at : at + 1]
            case 2:
                body[at:at] = draw.randbytes(draw.randint(1, 8))
            case _:
                del body[at:]
        yield bytes(body)[:LARGEST]


def _shown(body: bytes) -> str:
    return f"{body[:HEAD]!r}{'...' if len(body) > HEAD else ''}"
