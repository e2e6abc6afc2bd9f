"""Distinct destinations among the entries of all links, counted as entries come and go."""

from pimd.ids import NodeId


class Destinations:
    """How many entries hold each destination."""

    def __init__(self) -> None:
        self._holders: dict[NodeId, int] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def __contains__(self, destination: NodeId) -> bool:
        return destination in self._holders

    def hold(self, destination: NodeId) -> None:
        """Count one more entry."""
        self._holders[destination] = self._holders.get(destination, 0) + 1

    def release(self, destination: NodeId) -> None:
        """Count one less; KeyError when nothing held it."""
        left = self._holders[destination] - 1
        if left:
            self._holders[destination] = left
        else:
            del self._holders[destination]
