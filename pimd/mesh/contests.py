"""Two processes that prove one key: the one that is linked stays while it answers, the other is refused (docs/protocol.md)."""

from collections.abc import Callable

from pimd.clock import Clock
from pimd.mesh.links import PROBE_S, LinkTable
from pimd.mesh.peer_link import PeerLink
from pimd.proto.handshake import LinkPeer

Decide = Callable[[bool], None]
"""Called with whether the linked process answered."""


class Contests:
    """Probes links whose peer proved its key once more from another process; a restarted peer answers on the new one only."""

    def __init__(self, links: LinkTable[PeerLink], clock: Clock) -> None:
        self._links = links
        self._clock = clock
        self._open: dict[PeerLink, Decide] = {}

    def rival(self, peer: LinkPeer) -> PeerLink | None:
        """Return the newest link with another process of this peer; peers that do not tell processes apart have none."""
        if peer.instance is None:
            return None
        others = (link for link in reversed(self._links.of(peer.node_id)) if link.instance is not None)
        return next((link for link in others if link.instance != peer.instance), None)

    def begin(self, rival: PeerLink, decide: Decide) -> bool:
        """Probe the linked process, and decide after 2 s, or once its link ends; False while another one is compared."""
        if rival in self._open:
            return False
        self._open[rival] = decide
        rival.probe()
        self._clock.call_at(self._clock.now() + PROBE_S, lambda: self._end(rival, decide))
        return True

    def link_ended(self, link: PeerLink) -> None:
        """Decide at once when the link that was probed is gone."""
        decide = self._open.pop(link, None)
        if decide is not None:
            decide(False)  # noqa: FBT003 - a callback

    def _end(self, rival: PeerLink, decide: Decide) -> None:
        if self._open.get(rival) is decide:
            del self._open[rival]
            decide(rival.answered_probe)
