"""A neighbour that proved who it is, sends whatever it likes, and never reads."""

import asyncio
import contextlib
import os
import socket

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.mesh.sealing import SealedFrames
from pimd.proto.cards import issue
from pimd.proto.frames import Frame, MeshData, PluginPayload, SignedPeerInfo, encode_frame
from pimd.proto.handshake import LinkConfig
from pimd.proto.identity import Identity
from pimd.proto.link import Link, Role
from pimd.proto.link_events import Authenticated


class Person:
    """A made-up identity: it can sign cards and seal payloads like any other."""

    def __init__(self, number: int) -> None:
        self.identity = Identity.from_seed(number.to_bytes(32, "little"))
        self.sealed = SealedFrames(self.identity, 1, os.urandom, lambda _: None, Bites())

    @property
    def id(self) -> NodeId:
        return self.identity.node_id

    def card(self, seq: int) -> bytes:
        return issue(self.identity, seq, 0, "x" * 64).raw

    def seal(self, dst: Identity, dst_seq: int, payload: PluginPayload) -> MeshData:
        return self.sealed.seal(dst.node_id, dst.x25519_pub, dst_seq, payload)


class Hostile:
    """Links anew when it was thrown out, which it only learns from a reset: it never reads."""

    def __init__(self, person: Person, port: int) -> None:
        self.person = person
        self.links = 0
        self._port = port
        self._link: Link | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, frame: Frame) -> None:
        """Send a frame, on a new link if the other side hung up."""
        if self._writer is None or self._writer.is_closing():
            await self._connect()
        assert self._writer is not None
        assert self._link is not None
        assert self._link._writer is not None
        self._writer.write(self._link._writer.write(encode_frame(frame)))
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()
        await asyncio.sleep(0)  # drain lets nobody else in as a rule

    def close(self) -> None:
        """The next frame goes over a new link."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._writer = None

    async def _connect(self) -> None:
        own = socket.socket()
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # what it does not read is soon felt
        own.setblocking(False)  # noqa: FBT003 - the standard library's signature
        await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", self._port))
        reader, self._writer = await asyncio.open_connection(sock=own, limit=4096)
        self._link = link = Link(Role.DIALLER, self.person.identity, LinkConfig(), os.urandom, 0.0)
        self._writer.write(link.data_to_send(0.0))
        while not isinstance(link.next_event(), Authenticated):
            link.receive(await reader.read(4096), 0.0)
        link.accept(0.0)
        self._writer.write(link.data_to_send(0.0))
        self.links += 1
        await self.send(SignedPeerInfo((self.person.card(self.links),)))
