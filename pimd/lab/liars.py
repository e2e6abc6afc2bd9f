"""Malicious relays: members of the mesh that break the protocol, each in ways that are chosen and seeded."""

import asyncio
import random
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from pimd.contract import PeerEntry
from pimd.ids import NodeId
from pimd.lab.lies import LIES, LOSSES, Lie
from pimd.lab.node import LabNode
from pimd.mesh.peer_link import PeerLink
from pimd.net.driver import LinkDriver
from pimd.proto.frames import Frame, MeshData
from pimd.proto.identity import Identity

PERIOD_S = 0.5
"""Virtual seconds between two unprompted actions of a liar."""


class LyingLink(PeerLink):
    """A link that sends what its liar makes of each frame."""

    def __init__(self, driver: LinkDriver, now: float, entry: PeerEntry | None, liar: "LyingNode") -> None:
        super().__init__(driver, now, entry)
        self._liar = liar

    def send(self, frame: Frame, source: Hashable = "") -> bool:
        """Send the frames that the lies make of this one."""
        for lie in self._liar.twisted(self, frame):
            super().send(lie, source)
        return True

    def relay(self, frame: MeshData, neighbour: NodeId) -> None:
        """Relay the frames that the lies make of this one."""
        for lie in self._liar.twisted(self, frame):
            if isinstance(lie, MeshData):
                super().relay(lie, neighbour)
            else:
                self.say(lie)

    def answer(self, frame: Frame) -> None:
        """Answer with the frames that the lies make of this one."""
        for lie in self._liar.twisted(self, frame):
            super().answer(lie)

    def say(self, frame: Frame) -> None:
        """Send a frame unchanged."""
        super().send(frame)


class LyingNode(LabNode):
    """A node that follows the protocol except for its lies."""

    def __init__(self, *parts: Any, lies: Sequence[str], seed: str, **more: Any) -> None:
        self.rng = random.Random(f"pimd.lab liar {seed}")
        self._lies: list[Lie] = []
        self.make_link = lambda driver, now, entry: LyingLink(driver, now, entry, self)
        super().__init__(*parts, **more)
        self._lies += [(LIES | LOSSES)[name](self) for name in lies]

    async def start(self, group: asyncio.TaskGroup) -> None:
        """Start the node, and the periodic actions of its lies."""
        await super().start(group)
        self.later(PERIOD_S, self._act)

    @property
    def identity(self) -> Identity:
        """The liar's own keys, which lies put into cards of others."""
        return self._identity

    def neighbours(self) -> list[LyingLink]:
        """Every link that is up, both links of a peer that has two included."""
        return [link for link in self._links.all() if isinstance(link, LyingLink)]

    def known_ids(self) -> list[NodeId]:
        """Ids in its keystore, and its own first."""
        return [self.id, *(known.node_id for known in self._keystore.list())]

    def key_of(self, node_id: NodeId) -> bytes | None:
        """The X25519 key of a node."""
        known = self._keystore.get(node_id)
        return known.x25519_pub if known is not None else None

    def number_of(self, node_id: NodeId) -> int:
        """The `seq` of the newest card it holds of a node; 0 without one."""
        return max(0, self._keystore.learned_seq(node_id))

    def receiver(self, link: PeerLink) -> Callable[[Frame], None]:
        """Show each frame to the lies, then handle it as an honest node."""
        go_on = super().receiver(link)

        def take(frame: Frame) -> None:
            if isinstance(frame, MeshData):
                self._watcher.overheard(self, frame.payload)
            for lie in self._lies:
                lie.hear(frame)
            go_on(frame)

        return take

    def twisted(self, link: LyingLink, frame: Frame) -> list[Frame]:
        """The frames that all lies together make of one."""
        frames = [frame]
        for lie in self._lies:
            frames = [twisted for one in frames for twisted in lie.twist(link, one)]
        return frames

    def tell_somebody(self, frame: Frame) -> None:
        """Send a frame to a random neighbour."""
        links = self.neighbours()
        if links:
            self.rng.choice(links).say(frame)

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Call back after virtual seconds, unless the daemon is dead by then."""
        self._clock.call_at(self._clock.now() + seconds, do)

    def _act(self) -> None:
        if self._stopping:
            return
        for lie in self._lies:
            lie.act()
        self.later(PERIOD_S, self._act)
