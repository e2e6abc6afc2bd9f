"""The chain of the records that stand, and which of two branches does. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from pimd.ids import NodeId
from pimd_features.groups.limits import RECORDS
from pimd_features.groups.records import Record, is_allowed, is_first

_NOBODY = (2**32, 0)
"""Behind all members."""


class Place(Enum):
    """What becomes of a record that came."""

    KNOWN = auto()
    TAKEN = auto()
    """It is the newest now."""
    WON = auto()
    """It, or the branch that it ends, took the place of another one."""
    LOST = auto()
    """It is in another branch than the one that stands."""
    MISSING = auto()
    """What it follows is not known: ask for earlier ones."""
    REFUSED = auto()
    """It is not valid."""
    FULL = auto()
    """The group has as many records as it may have."""


@dataclass(frozen=True)
class Placed:
    """A verdict, the records that stand now and did not before, and those that lost their place to them."""

    place: Place
    stood: tuple[Record, ...] = ()
    gone: tuple[Record, ...] = ()


@dataclass
class Chain:
    """The records that stand, by number; `lost` has those that do not, `final` is the first number that may change.

    Of two branches behind one record that one stands in which the one who has been a member for longest, by that record,
    takes from somebody the right to change the group. Among equals the smaller hash of their first records decides. So
    all who know the same records have the same chain, and nobody undoes his removal by somebody who was there before him.
    """

    records: list[Record] = field(default_factory=list)
    lost: dict[bytes, Record] = field(default_factory=dict)
    final: int = 1

    @property
    def head(self) -> Record:
        """The newest."""
        return self.records[-1]

    def take(self, record: Record) -> Placed:
        """Give a record its place."""
        number = record.number
        if number < len(self.records) and self.records[number].hash == record.hash:
            return Placed(Place.KNOWN)
        if record.hash in self.lost:
            return Placed(Place.LOST)
        if not number:
            return self._first(record)
        path = self._path_to(record)
        if not path:
            return Placed(Place.MISSING)
        if not _is_valid(record, path):
            return Placed(Place.REFUSED)
        if number >= RECORDS.value:
            return Placed(Place.FULL)
        if path[-1] is self.head:  # its own branch is the stronger for it, if anything
            self.records.append(record)
            return Placed(Place.TAKEN, (record,))
        return self._branch(record, path[-1])

    def _first(self, record: Record) -> Placed:
        if self.records or not is_first(record):
            return Placed(Place.REFUSED)
        self.records.append(record)
        return Placed(Place.TAKEN, (record,))

    def _path_to(self, record: Record) -> list[Record]:
        """Return the records from the first to the one before; empty when one of them is not known."""
        behind, first = list[Record](), record
        while (one := self.lost.get(first.draft.before)) is not None:
            behind.append(one)
            first = one
        if first.number > len(self.records) or self.records[first.number - 1].hash != first.draft.before:
            return []
        return [*self.records[: first.number], *reversed(behind)]

    def _branch(self, record: Record, before: Record) -> Placed:
        is_sibling = before.hash not in self.lost
        if is_sibling and record.number < self.final:
            return Placed(Place.REFUSED)
        self.lost[record.hash] = record
        if not is_sibling and not record.takes_right(before):
            return Placed(Place.LOST)  # nothing by which a branch is chosen has changed
        best = self._best()
        same = next((at for at, one in enumerate(best) if at >= len(self.records) or one is not self.records[at]), None)
        if same is None:
            return Placed(Place.LOST)
        stood, gone = tuple(best[same:]), tuple(self.records[same:])
        for one in stood:
            del self.lost[one.hash]
        self.lost.update((one.hash, one) for one in gone)
        self.records = best
        return Placed(Place.WON, stood, gone)

    def _best(self) -> list[Record]:
        children: dict[bytes, list[Record]] = {}
        for one in (*self.records[self.final :], *self.lost.values()):
            children.setdefault(one.draft.before, []).append(one)
        best = self.records[: self.final]
        while branches := children.get(best[-1].hash):
            places = _places(best) if len(branches) > 1 else {}
            ranked = [(_strength(one, best[-1], children, places), one.hash, one) for one in branches]
            best.append(min(ranked)[2])
        return best

    def root_of(self, record: Record) -> Record:
        """Return the record at which the branch of a lost one parts from those that stand."""
        while (before := self.lost.get(record.draft.before)) is not None:
            record = before
        return record


def _places(path: Sequence[Record]) -> dict[NodeId, tuple[int, int]]:
    """Return for each member of the last record when it came: number of the record, and place in its list."""
    places: dict[NodeId, tuple[int, int]] = {}
    before: Mapping[NodeId, object] = {}
    for record in path:
        added = record.members.keys() - before.keys()
        places.update((node, (record.number, at)) for at, node in enumerate(record.members) if node in added)
        before = record.members
    return {node: places[node] for node in before}


def _strength(
    first: Record,
    before: Record,
    children: Mapping[bytes, Sequence[Record]],
    places: Mapping[NodeId, tuple[int, int]],
) -> tuple[int, int]:
    """Return the place of the one who has been there for longest and takes a right from somebody; the least is strongest."""
    found, waiting = _NOBODY, [(first, before)]
    while waiting:
        record, earlier = waiting.pop()
        if record.takes_right(earlier):
            found = min(found, places.get(record.signer, _NOBODY))
        waiting += [(one, record) for one in children.get(record.hash, ())]
    return found


def _is_valid(record: Record, path: Sequence[Record]) -> bool:
    before = path[-1]
    return record.number == before.number + 1 and is_allowed(record, before) and _all_said_yes(record, path)


def _all_said_yes(record: Record, path: Sequence[Record]) -> bool:
    added = [node for node in record.members if node not in path[-1].members]
    return len(added) == len(record.draft.yeses) and all(
        yes.is_of(node, record.group) and yes.number >= _left_at(node, path)
        for node, yes in zip(added, record.draft.yeses, strict=True)
    )


def _left_at(node: NodeId, path: Sequence[Record]) -> int:
    """Return the number of the last record that took a node out: a yes from before that counts no more."""
    for at in range(len(path) - 1, 0, -1):
        if node in path[at - 1].members and node not in path[at].members:
            return at
    return 0
