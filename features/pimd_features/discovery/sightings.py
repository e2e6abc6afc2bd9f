"""The nodes that announce themselves now."""

from collections.abc import Callable
from dataclasses import dataclass

from pimd.contract import Bites, declare
from pimd.ids import NodeId
from pimd_features.discovery.networks import DialAddress

NODES = declare("nodes found on the local network", 1024, "nodes", "ignored until another one is gone")
INSTANCE = declare("name of an instance on the local network", 128, "characters", "passed over")
"""This program's own have 32, and the service type behind them."""


@dataclass
class Sighting:
    """One node with the id that it announces and the address to dial."""

    instance: str
    node_id: NodeId
    address: DialAddress
    first_seen: float
    last_seen: float
    name: str | None = None
    """What it says it is called."""
    confirmed: bool = True
    """False on a new session of the service browser, until the node is heard again."""


class Sightings:
    """Sightings by instance name, in the order in which they were found."""

    def __init__(self, now: Callable[[], float], bites: Bites) -> None:
        self._now = now
        self._bites = bites
        self._known: dict[str, Sighting] = {}

    def all(self) -> list[Sighting]:
        """Every sighting, the one known for longest first."""
        return list(self._known.values())

    def take(self, instance: str, node_id: NodeId, address: DialAddress, name: str | None = None) -> None:
        """Enter or refresh a node; under a new instance name at the same address it keeps its place and its time."""
        if len(instance) > INSTANCE.value:
            self._bites.count(INSTANCE)
            return
        known = self._known.get(instance) or self._renamed(instance, node_id, address)
        if known is not None:
            known.node_id, known.address, known.name = node_id, address, name
            self.heard(instance)
            return
        if len(self._known) >= NODES.value:
            self._bites.count(NODES)
            return
        now = self._now()
        self._known[instance] = Sighting(instance, node_id, address, now, now, name)

    def _renamed(self, instance: str, node_id: NodeId, address: DialAddress) -> Sighting | None:
        """Find the node under another instance name, and enter it under this one."""
        same = (one for one in self._known.values() if (one.node_id, one.address) == (node_id, address))
        known = next(same, None)
        if known is not None:
            known.instance = instance
            self._known = {one.instance: one for one in self._known.values()}
        return known

    def heard(self, instance: str) -> None:
        """Confirm a known node; an unknown instance is ignored."""
        known = self._known.get(instance)
        if known is not None:
            known.last_seen = self._now()
            known.confirmed = True

    def drop(self, instance: str) -> None:
        """Remove a node; an unknown instance is ignored."""
        self._known.pop(instance, None)

    def doubt_all(self) -> None:
        """Mark every node as unconfirmed until it is heard again."""
        for sighting in self._known.values():
            sighting.confirmed = False

    def retain(self, keep: Callable[[Sighting], bool]) -> None:
        """Drop the sightings for which `keep` is false."""
        self._known = {instance: sighting for instance, sighting in self._known.items() if keep(sighting)}
