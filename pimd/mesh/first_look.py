"""Before its first announcement a node asks its neighbours whether its key is in use elsewhere (docs/protocol.md)."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pimd.clock import Clock
from pimd.limits import Bites, declare
from pimd.mesh.peer_link import PeerLink
from pimd.proto.frames import Routes
from pimd.proto.handshake import ABILITY_ANNOUNCED

ANSWER_S = 2.0
"""Seconds in which a neighbour says that it knows of nobody, or brings the answer of another process."""
COMPARE_S = 3.0
"""Seconds in which a neighbour who compares this node with another process of its key says so; its Ping takes 2 s."""
AGAIN_S = 0.05
"""Seconds between two looks whether neighbours still compare."""
TABLES = declare("routes records kept of a link during the first look", 64, "records", "further ones are dropped")


Announce = Callable[[PeerLink, list[Routes]], None]
"""Sends this node's card and table on a link, and applies the routes that came on it before."""


@dataclass
class _Held:
    """A link on which this node is not announced yet."""

    routes: list[Routes] = field(default_factory=list)
    is_asked: bool = True


class FirstLook:
    """Holds back what announces this node on its first links until none of their neighbours is asked any more."""

    def __init__(self, clock: Clock, ask: Callable[[PeerLink], None], announce: Announce, bites: Bites) -> None:
        self.is_over = False
        self.compares: Callable[[], bool] = lambda: False
        """Whether a dialled neighbour knows who this node is, and has not admitted or refused it."""
        self._until = 0.0
        self._clock = clock
        self._ask = ask
        self._announce = announce
        self._bites = bites
        self._held: dict[PeerLink, _Held] = {}

    def holds(self, link: PeerLink) -> bool:
        """Take a link that came up; False when this node may announce itself on it."""
        established = bool(link.abilities & ABILITY_ANNOUNCED)
        if self.is_over or not (established or self._held or self.compares()):
            self.is_over = True
            return False
        if not self._held:
            self._until = self._clock.now() + COMPARE_S
        self._held[link] = _Held()
        self._ask(link)
        self._clock.call_at(self._clock.now() + (ANSWER_S if established else 0), lambda: self.nobody(link))
        return True

    def routes(self, link: PeerLink, routes: Routes) -> bool:
        """Keep routes of a link that is held; False when it is not."""
        held = self._held.get(link)
        if held is None:
            return False
        if len(held.routes) < TABLES.value:
            held.routes.append(routes)
        else:
            self._bites.count(TABLES)
        return True

    def nobody(self, link: PeerLink) -> None:
        """Look no longer at a neighbour that knows of nobody, or is silent."""
        held = self._held.get(link)
        if held is not None:
            held.is_asked = False
            self._settle()

    def link_ended(self, link: PeerLink) -> None:
        """Look no longer at a link that is gone."""
        if self._held.pop(link, None) is not None:
            self._settle()

    def give_up(self) -> None:
        """Announce this node nowhere: its key is in use."""
        self._held.clear()

    def end(self) -> None:
        """Announce this node on every link that was held."""
        self.is_over = True
        held, self._held = self._held, {}
        for link, seen in held.items():
            self._announce(link, seen.routes)

    def _settle(self) -> None:
        if self.is_over or not self._held or any(held.is_asked for held in self._held.values()):
            return
        if self.compares() and self._clock.now() < self._until:
            self._clock.call_at(self._clock.now() + AGAIN_S, self._settle)
        else:
            self.end()
