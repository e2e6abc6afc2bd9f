"""The nodes that announce themselves now."""

from collections.abc import Callable
from dataclasses import dataclass

from pimd.contract import Bites, declare
from pimd.ids import NodeId
from pimd_features.discovery.announcement import Announced
from pimd_features.discovery.networks import DialAddress

NODES = declare("nodes found on the local network", 1024, "nodes", "passed over until another has gone")
INSTANCE = declare("name of an instance on the local network", 128, "characters", "passed over")
"""This program's own have 32, and the service type behind them."""


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

    def __init__(self, now: Callable[[], float], bites: Bites) -> None:
        self._now = now
        self._bites = bites
        self._known: dict[str, Sighting] = {}

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
        if len(instance) > INSTANCE.value:
            self._bites.count(INSTANCE)
            return
        if len(self._known) >= NODES.value:
            self._bites.count(NODES)
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
