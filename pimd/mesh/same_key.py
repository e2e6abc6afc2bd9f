"""Two machines with one key: who is told, what waits for a person (docs/protocol.md)."""

import logging
from collections.abc import Callable, Sequence

from pimd.clock import Clock
from pimd.contract import Problem, SameKey
from pimd.ids import NodeId
from pimd.limits import Bites, RecentMap, declare

log = logging.getLogger("pimd.mesh")

TOLD = declare(
    "nodes remembered of which two machines have the key", 64, "nodes", "the one told of longest ago is forgotten"
)
LASTS_S = 900.0
"""How long it is a problem after it was last seen; a copy that is refused tries again every minute."""
FOREIGN_CARDS = 2
"""Cards above this node's newest that others brought, after it had answered one: lost state has no such cards."""

WAITS = (
    "this node does not announce itself: another machine uses its key already. Stop that one or this one; "
    "then `pim identity keep` goes on here, or `pim identity new` makes another key"
)


class SameKeys:
    """What is known of doubled keys, and whether this node waits because its own is in use."""

    def __init__(
        self,
        own_id: NodeId,
        clock: Clock,
        label_of: Callable[[NodeId], str | None],
        bites: Bites,
    ) -> None:
        self.waits = False
        """Whether this node found its key in use before it announced itself, and no person has decided yet."""
        self._own_id = own_id
        self._clock = clock
        self._label_of = label_of
        self.publish: Callable[[SameKey], None] = lambda _: None
        self._told: RecentMap[NodeId, tuple[SameKey, float]] = RecentMap(TOLD, bites)
        self._foreign_cards = 0

    def note(self, node_id: NodeId, addresses: Sequence[str], told_by: NodeId | None = None) -> bool:
        """Take evidence; log and publish it, and return True, unless the same is known already."""
        known = self._current(node_id)
        both = dict.fromkeys((*(known.addresses if known is not None else ()), *addresses))
        is_news = known is None or (len(known.addresses) < 2 and len(both) > len(known.addresses))  # noqa: PLR2004 - both
        found = known
        if found is None or is_news:
            found = SameKey(node_id, self._label_of(node_id) or "", tuple(both), node_id == self._own_id, told_by)
            log.warning("%s", found)
            self.publish(found)
        self._told.put(node_id, (found, self._clock.now()))
        return is_news

    def foreign_card(self, brought_by: NodeId, where: str) -> bool:
        """Count a card of this node above its newest; the first is answered, further ones show that another issues them."""
        self._foreign_cards += 1
        return self._foreign_cards > FOREIGN_CARDS and self.note(self._own_id, ["this machine", where], brought_by)

    def problems(self) -> list[Problem]:
        """Return the problems that were seen within a quarter of an hour, and the wait for a person."""
        found = [known for node_id in list(self._told) if (known := self._current(node_id)) is not None]
        told = [Problem("same_key", str(one)) for one in sorted(found, key=lambda one: not one.is_own)]
        return [Problem("waits_for_person", WAITS), *told] if self.waits else told

    def _current(self, node_id: NodeId) -> SameKey | None:
        found, seen = self._told.get(node_id, (None, 0.0))
        return found if self._clock.now() - seen < LASTS_S else None
