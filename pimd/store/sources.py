"""Which source each identity came from: kept on disk, and the order in which a full keystore evicts."""

from collections.abc import Callable, Mapping
from sys import intern

from pimd.contract.services import LOCAL_SOURCE
from pimd.ids import NodeId
from pimd.store.eviction import MET, Victims
from pimd.store.identities import Identities
from pimd.store.keystore_rows import BROUGHT_BY
from pimd.store.mirror import Mirror


class Sources:
    """The table `brought_by`, and the candidates for eviction by source; told of each change of an identity."""

    def __init__(
        self,
        mirror: Mirror,
        identities: Identities,
        has_route: Callable[[NodeId], bool],
        who_may_go: Callable[[], Callable[[NodeId], bool]],
    ) -> None:
        self.table = mirror.table(BROUGHT_BY)
        self.victims = Victims(has_route, who_may_go)
        self._identities = identities

    def begin(self, seen: Mapping[bytes, int]) -> None:
        """Enter all identities once the tables are loaded, the one seen longest ago first."""
        for node_id in self.table.rows.keys() - self._identities.table.rows.keys():
            self.table.remove(node_id)
        for node_id in self._identities.in_order_seen(seen):
            self.changed(node_id)

    def of(self, node_id: bytes) -> str:
        """Return the source of the link on which its card first came, or of its own last link; empty when unknown."""
        return self.table.rows.get(node_id, "")

    def note(self, node_id: NodeId, source: str, *, anew: bool) -> None:
        """Keep the first source, so that nobody moves identities of others to his own; a link of its own proves another."""
        if source and anew and self.of(node_id) != source:
            key = bytes(node_id)
            self.table.put(key, intern(source))
            self.changed(key)

    def changed(self, key: bytes) -> None:
        """Enter an identity that was learned, seen again or restored; remove one that is gone."""
        if key in self._identities:
            source = self.of(key)
            self.victims.put(key, MET if source.removeprefix(LOCAL_SOURCE) == key.hex() else source)
        else:
            self.victims.remove(key)
