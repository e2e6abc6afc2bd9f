"""Which nodes nearby this one dials without being asked."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

from pimd.contract import Bites, DialInfo, Endpoint, Keystore, Mesh, PeerEntry, declare
from pimd.ids import NodeId
from pimd_features.discovery.settings import DiscoverySettings
from pimd_features.discovery.sightings import Sighting

AUTO_LINKS = 8
"""From so many links on only nodes without a route are dialled, so that a large network does not become a full mesh."""
LINK_LIMIT = 64
"""From so many links on nobody is dialled unasked: the other places are for incoming links and preferred peers."""
TRIALS = declare(
    "addresses dialled unasked that do not answer",
    32,
    "addresses",
    "the one dialled for longest is replaced by the next after 30 s",
)
TRIAL_S = 30.0
"""How long an address is dialled before another one may take its place."""


class AutoDial:
    """Keeps addresses of nearby nodes dialled while they are nearby; configured addresses are left alone."""

    def __init__(
        self,
        mesh: Mesh,
        keystore: Keystore,
        settings: DiscoverySettings,
        own_id: NodeId,
        now: Callable[[], float],
        bites: Bites,
    ) -> None:
        self._bites = bites
        self._mesh = mesh
        self._keystore = keystore
        self._settings = settings
        self._own_id = own_id
        self._now = now
        self._kept: dict[Endpoint, float] = {}
        """Address to the time of its first dial."""
        self._tried: dict[Endpoint, float] = {}
        """Address to the time when another one last took its place."""

    def review(self, sightings: Sequence[Sighting]) -> None:
        """Stop dialling nodes that left, and dial at most one more: its link may bring routes to the others."""
        dials = {dial.entry.endpoint: dial for dial in self._mesh.dials()}
        self._kept = {a: at for a, at in self._kept.items() if a in dials and not dials[a].configured}
        # Of two sightings of one address the older counts, or a new one could take its place.
        nearby = {s.address.endpoint: s for s in reversed(sightings) if s.address.nearby and self._may_dial(s)}
        self._tried = {address: at for address, at in self._tried.items() if address in nearby}
        for address in list(self._kept):
            if address not in nearby or nearby[address].node_id != dials[address].entry.node_id:
                self._let_go(address)
        wanted = [s for address, s in nearby.items() if address not in dials and self._wants(s.node_id)]
        if wanted and self._has_room(dials):
            self._dial(min(wanted, key=self._turn))

    def let_go_of_all(self) -> None:
        """Stop redialling every node; links that are up stay."""
        configured = {dial.entry.endpoint for dial in self._mesh.dials() if dial.configured}
        for address in list(self._kept):
            if address not in configured:
                self._let_go(address)

    def _may_dial(self, sighting: Sighting) -> bool:
        known = self._keystore.get(sighting.node_id)
        is_gateway = known is not None and known.is_gateway
        allowed = self._settings.connect_gateways if is_gateway else self._settings.connect_relays
        return allowed and self._mesh.refusal(sighting.node_id) is None

    def _wants(self, node_id: NodeId) -> bool:
        links = len(self._mesh.links())
        if links >= LINK_LIMIT:
            return False
        if self._mesh.link(node_id) is not None or self._mesh.left_alone(node_id):
            return False
        return links < AUTO_LINKS or self._mesh.route(node_id) is None

    def _has_room(self, dials: Mapping[Endpoint, DialInfo]) -> bool:
        """Tell whether one more may be dialled; at the limit the one dialled for longest may be dropped."""
        trials = [address for address in self._kept if dials[address].state != "up"]
        if len(trials) < TRIALS.value:
            return True
        self._bites.count(TRIALS)
        longest = min(trials, key=self._kept.__getitem__)
        if self._now() - self._kept[longest] < TRIAL_S:
            return False
        self._tried[longest] = self._now()
        self._let_go(longest)
        return True

    def _turn(self, sighting: Sighting) -> tuple[float, bytes]:
        """Sort key: the address not dialled for longest comes first."""
        return self._tried.get(sighting.address.endpoint, 0.0), self._lot(sighting)

    def _lot(self, sighting: Sighting) -> bytes:
        """Sort key that differs from node to node, so that not all dial the same node."""
        return hashlib.sha256(self._own_id + sighting.address.endpoint.text.encode()).digest()

    def _dial(self, sighting: Sighting) -> None:
        endpoint = sighting.address.endpoint
        self._kept[endpoint] = self._now()
        self._mesh.keep_dialling(PeerEntry(endpoint, sighting.node_id), configured=False)

    def _let_go(self, endpoint: Endpoint) -> None:
        self._kept.pop(endpoint, None)
        self._mesh.stop_dialling(endpoint)
