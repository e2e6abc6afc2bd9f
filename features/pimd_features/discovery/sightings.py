"""The nodes that announce themselves now."""

from collections.abc import Callable
from dataclasses import dataclass

from pimd.ids import NodeId
from pimd_features.discovery.announcement import Announced
from pimd_features.discovery.networks import DialAddress

NODE_LIMIT = 1024
"""Nodes kept; a further one is not taken in before another has gone."""
INSTANCE_LIMIT = 128
"""Characters of an instance name; this program's own have 32, and the service type behind them."""


@dataclass
class Sighting:
    """One node, as it is announced."""

    instance: str
    announced: Announced
    address: DialAddress
    first_seen: float
    last_seen: float
    confirmed: bool = True
    """False after the look-out began anew, until the node is heard again."""
    met: NodeId | None = None
    """Who was met at the address of an anonymous one."""

    @property
    def node_id(self) -> NodeId | None:
        """Announced, or proven by a link."""
        return self.announced.node_id or self.met


class Sightings:
    """By instance name, the longest known first."""

    def __init__(self, now: Callable[[], float], limit: int = NODE_LIMIT) -> None:
        self._now = now
        self._limit = limit
        self._known: dict[str, Sighting] = {}
        self.turned_away = 0
        """Announcements for which there was no room."""

    def all(self) -> list[Sighting]:
        """Every one, the longest known first."""
        return list(self._known.values())

    def take(self, instance: str, announced: Announced, address: DialAddress) -> None:
        """Enter or refresh a node; one that was started anew at the same address replaces itself."""
        known = self._known.get(instance)
        if known is not None:
            known.met = known.met if known.address == address else None
            known.announced, known.address = announced, address
            self.heard(instance)
            return
        for other in self.all():
            if (other.announced.node_id, other.address) == (announced.node_id, address):
                self.drop(other.instance)
        if len(self._known) >= self._limit or len(instance) > INSTANCE_LIMIT:
            self.turned_away += 1
            return
        now = self._now()
        self._known[instance] = Sighting(instance, announced, address, now, now)

    def heard(self, instance: str) -> None:
        """Note a sign of life of a node that is known."""
        known = self._known.get(instance)
        if known is not None:
            known.last_seen = self._now()
            known.confirmed = True

    def drop(self, instance: str) -> None:
        """Take a node out, if it is known."""
        self._known.pop(instance, None)

    def doubt_all(self) -> None:
        """Take every node as unconfirmed until it is heard again."""
        for sighting in self._known.values():
            sighting.confirmed = False

    def retain(self, keep: Callable[[Sighting], bool]) -> None:
        """Drop all but those that `keep` is true for."""
        self._known = {instance: sighting for instance, sighting in self._known.items() if keep(sighting)}
