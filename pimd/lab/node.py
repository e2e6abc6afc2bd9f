"""The node of a lab's daemon: the real one, and a watcher that is told of every change."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pimd.ids import NodeId
from pimd.limits import Bites, Limit, RecentMap
from pimd.mesh.node import Node
from pimd.mesh.peer_link import PeerLink
from pimd.proto.babel import Change
from pimd.proto.cards import BadCard, Card, parse

CARDS_REMEMBERED = Limit("cards that a lab checked", 20_000, "cards", "the oldest is checked anew")
"""Not declared: it is none of the daemon's."""


class Watcher(Protocol):
    """Who looks on."""

    def links_changed(self, node: "LabNode", link: PeerLink, *, up: bool) -> None:
        """One end of a link noticed that it came up or ended."""

    def routes_changed(self, node: "LabNode", destinations: Sequence[NodeId]) -> None:
        """A node chose other next hops."""

    def overheard(self, liar: "LabNode", sealed: bytes) -> None:
        """A malicious relay got a frame."""


class CheckedCards:
    """Checks each card once for all daemons of a lab, and remembers the verdict."""

    def __init__(self) -> None:
        self._verdicts: RecentMap[bytes, Card | BadCard] = RecentMap(CARDS_REMEMBERED, Bites())

    def __call__(self, raw: bytes) -> Card:
        """Return the card or raise `BadCard`."""
        verdict = self._verdicts.get(raw)
        if verdict is None:
            verdict = _checked(raw)
            self._verdicts.put(raw, verdict)
        if isinstance(verdict, BadCard):
            raise BadCard(*verdict.args)
        return verdict


def _checked(raw: bytes) -> Card | BadCard:
    try:
        return parse(raw)
    except BadCard as error:
        return error


class LabNode(Node):
    """Behaves like any node."""

    def __init__(self, *parts: Any, watcher: Watcher, parse_card: Callable[[bytes], Card]) -> None:
        self.parse_card = parse_card
        self._watcher = watcher
        super().__init__(*parts)

    @property
    def id(self) -> NodeId:
        """Its own."""
        return self._identity.node_id

    def destinations(self) -> list[NodeId]:
        """Whom it has a route to."""
        return [route.destination for route in self.service.routes()]

    def link_towards(self, destination: NodeId) -> PeerLink | None:
        """Return the link that frames for `destination` take."""
        return self._next_hop(destination)

    def records_out(self) -> int:
        """All that were sent on the links there are."""
        return sum(link.driver.link.records_out for link in self._links.all())

    def link_up(self, link: PeerLink) -> None:
        """Tell the watcher, too."""
        super().link_up(link)
        self._watcher.links_changed(self, link, up=True)

    def link_closed(self, link: PeerLink, detail: str) -> None:
        """Tell the watcher, too."""
        super().link_closed(link, detail)
        self._watcher.links_changed(self, link, up=False)

    def _routes_changed(self, changes: Sequence[Change[PeerLink]]) -> None:
        super()._routes_changed(changes)
        if changes:
            self._watcher.routes_changed(self, [change.destination for change in changes])
