"""Values in groups; of texts, numbers and ids only, so that the garbage collector has nothing to visit."""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

G = TypeVar("G", bound=Hashable)
M = TypeVar("M", bound=Hashable)


class Groups(Generic[G, M]):
    """Each member is in one group at most. A group keeps the order of entry, and ends with its last member.

    Linked lists in dicts, because a container for each group would be visited by every full collection. Every change
    takes the same time, whatever is held.
    """

    def __init__(self) -> None:
        self.group_of: dict[M, G] = {}
        """Read-only."""
        self._first: dict[G, M] = {}
        self._last: dict[G, M] = {}
        self._sizes: dict[G, int] = {}
        self._before: dict[M, M] = {}
        self._behind: dict[M, M] = {}

    def __contains__(self, group: object) -> bool:
        return group in self._sizes

    def size(self, group: G) -> int:
        """Return 0 for a group that is not there."""
        return self._sizes.get(group, 0)

    def first(self, group: G) -> M:
        """Return the member that entered longest ago; KeyError for a group that is not there."""
        return self._first[group]

    def put(self, group: G, member: M) -> None:
        """Enter as the last of a group, and leave any other place."""
        self.remove(member)
        if group in self._last:
            last = self._last[group]
            self._behind[last], self._before[member] = member, last
        else:
            self._first[group] = member
        self._last[group] = member
        self._sizes[group] = self.size(group) + 1
        self.group_of[member] = group

    def remove(self, member: M) -> None:
        """Leave the group; an absent member is ignored."""
        if member not in self.group_of:
            return
        group = self.group_of.pop(member)
        if self._sizes[group] == 1:
            del self._first[group], self._last[group], self._sizes[group]
            return
        self._sizes[group] -= 1
        before, behind = self._before.pop(member, None), self._behind.pop(member, None)
        if before is None and behind is not None:
            self._first[group] = behind
            del self._before[behind]
        elif behind is None and before is not None:
            self._last[group] = before
            del self._behind[before]
        elif before is not None and behind is not None:
            self._behind[before], self._before[behind] = behind, before

    def members(self, group: G) -> Iterator[M]:
        """Yield the members, the one that entered longest ago first."""
        left, member = self.size(group), self._first.get(group)
        while left and member is not None:
            yield member
            left, member = left - 1, self._behind.get(member)
