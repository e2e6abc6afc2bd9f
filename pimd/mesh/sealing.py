"""End-to-end sealing of routed control frames, with the marks that keep a frame from arriving twice (docs/protocol.md)."""

from collections.abc import Callable

from pimd.ids import NodeId
from pimd.limits import Bites, RecentMap, declare
from pimd.proto.frames import MeshData, PluginPayload
from pimd.proto.identity import Identity
from pimd.proto.sealed import NONCE_SIZE, NotAPayload, OpenedFrame, ReplayWindow, Sealer

COUNTER_SHIFT = 20
"""Counters start at (seq of a card of this start) << 20, so they never fall, also over restarts and lost state."""
COUNTERS = declare(
    "counters of destinations", 20_000, "destinations", "one is forgotten; a new one starts above the highest forgotten"
)
WINDOWS = declare(
    "replay windows of sources",
    200_000,
    "sources",
    "the one silent for longest is forgotten, and its old frames are refused from then on",
)


class ReplayedFrame(Exception):  # noqa: N818 - it is no error of ours
    """The frame was seen before, or is older than the window."""


class FrameBeforeStart(Exception):  # noqa: N818 - it is no error of ours
    """The frame was sealed for a card too old for replay marks, as a rule from before this start."""


class FrameForUnknownCard(Exception):  # noqa: N818 - it is no error of ours
    """The frame was sealed for a card of this node that it has not issued: its state was lost, or it has a double."""


class SealedFrames:
    """Seals frames for other nodes, and opens those sealed for this one."""

    def __init__(
        self,
        identity: Identity,
        start_seq: int,
        random: Callable[[int], bytes],
        want_card_above: Callable[[int], None],
        bites: Bites,
    ) -> None:
        self._node_id = identity.node_id
        self._sealer = Sealer(identity, bites)
        self._base_seq = self._oldest_seq = start_seq
        """Frames sealed for an older card of this node are dropped, since their replay marks are gone."""
        self._random = random
        self.own_seq = start_seq
        """`seq` of the newest card of this node."""
        self._want_card_above = want_card_above
        self._counters: RecentMap[NodeId, int] = RecentMap(COUNTERS, bites)
        self._unused = start_seq << COUNTER_SHIFT
        """A destination without a counter begins here."""
        self._windows: RecentMap[NodeId, tuple[ReplayWindow, int]] = RecentMap(WINDOWS, bites)
        """With the newest own card that a frame of that source was sealed for."""

    def card_issued(self, seq: int, base_seq: int) -> None:
        """Note the newest card; a higher base raises all counters, and refuses frames for the cards before it."""
        self.own_seq = seq
        if base_seq > self._base_seq:
            self._base_seq = base_seq
            self._oldest_seq = max(self._oldest_seq, base_seq)
            self._unused = max(base_seq << COUNTER_SHIFT, self._unused, *self._counters.values())
            self._counters.clear()

    def seal(self, dst: NodeId, dst_x25519: bytes, dst_seq: int, payload: PluginPayload) -> MeshData:
        """Seal with the next counter of `dst`; `PayloadTooLarge` before the counter moves."""
        counter = self._counters.get(dst, self._unused)
        sealed = self._sealer.seal(
            payload,
            src=self._node_id,
            dst=dst,
            dst_x25519=dst_x25519,
            dst_seq=dst_seq,
            counter=counter,
            nonce=self._random(NONCE_SIZE),
        )
        given_up = self._counters.put(dst, counter + 1)
        if given_up is not None:
            self._unused = max(self._unused, given_up[1])
        return sealed

    def open(self, frame: MeshData, src_x25519: bytes) -> PluginPayload:
        """Return the payload; `SealedFrameError`, `FrameBeforeStart`, `FrameForUnknownCard` or `ReplayedFrame` otherwise."""
        try:
            opened = self._sealer.open(frame, src_x25519)
        except NotAPayload as error:
            self._mark(frame.src, error.dst_seq, error.counter)
            raise
        self._mark_opened(frame.src, opened)
        return opened.frame

    def _mark_opened(self, src: NodeId, opened: OpenedFrame) -> None:
        self._mark(src, opened.dst_seq, opened.counter)

    def _mark(self, src: NodeId, dst_seq: int, counter: int) -> None:
        if dst_seq < self._oldest_seq:
            raise FrameBeforeStart
        if dst_seq > self.own_seq:
            raise FrameForUnknownCard
        window, newest = self._windows.get(src, (None, 0))
        if window is None:
            window = ReplayWindow()
        gone = self._windows.put(src, (window, max(newest, dst_seq)))
        if gone is not None:
            self._refuse_up_to(gone[1][1])
        if not window.accept(counter):
            raise ReplayedFrame

    def _refuse_up_to(self, newest: int) -> None:
        """Treat older frames as too old: without a replay window, a copy could be accepted again."""
        if newest >= self._oldest_seq:
            self._oldest_seq = newest + 1
            self._want_card_above(newest)
