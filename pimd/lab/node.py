"""The node of a lab's daemon: the real one, with a watcher that is called for every change."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pimd.ids import NodeId
from pimd.limits import Bites, Limit, RecentMap
from pimd.mesh.node import Node
from pimd.mesh.peer_link import PeerLink
from pimd.proto.babel import Change
from pimd.proto.cards import BadCard, Card, parse

CARDS_REMEMBERED = Limit("cards that a lab checked", 20_000, "cards", "the oldest is checked again")
"""Not declared, because it is no limit of the daemon."""


class Watcher(Protocol):
    """Is called for events of all nodes; `Judge` implements it, and `Lab` passes the calls on."""

    def links_changed(self, node: "LabNode", link: PeerLink, *, up: bool) -> None:
        """One end of a link noticed that it came up or ended."""

    def routes_changed(self, node: "LabNode", destinations: Sequence[NodeId]) -> None:
        """A node selected other next hops."""

    def overheard(self, liar: "LabNode", sealed: bytes) -> None:
        """A malicious relay got a sealed frame."""


class CheckedCards:
    """Verifies each card once for all daemons of a lab, and keeps the result."""

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
    """A node that reports changes to the watcher and otherwise behaves like any node."""

    def __init__(self, *parts: Any, watcher: Watcher, parse_card: Callable[[bytes], Card]) -> None:
        self.parse_card = parse_card
        self._watcher = watcher
        super().__init__(*parts)

    @property
    def id(self) -> NodeId:
        """The id that other nodes know it by, made from its key."""
        return self._identity.node_id

    def destinations(self) -> list[NodeId]:
        """Nodes to which it has a route."""
        return [route.destination for route in self.service.routes()]

    def link_towards(self, destination: NodeId) -> PeerLink | None:
        """Return the link that frames for `destination` take."""
        return self._next_hop(destination)

    def records_out(self) -> int:
        """Records sent on all links that exist."""
        return sum(link.driver.link.records_out for link in self._links.all())

    def link_up(self, link: PeerLink) -> None:
        """Enter the link, then call the watcher."""
        super().link_up(link)
        self._watcher.links_changed(self, link, up=True)

    def link_closed(self, link: PeerLink, detail: str) -> None:
        """Remove the link, then call the watcher."""
        super().link_closed(link, detail)
        self._watcher.links_changed(self, link, up=False)

    def _routes_changed(self, changes: Sequence[Change[PeerLink]]) -> None:
        super()._routes_changed(changes)
        if changes:
            self._watcher.routes_changed(self, [change.destination for change in changes])
