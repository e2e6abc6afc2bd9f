"""Counts the distinct destinations among the entries of all links."""

from pimd.ids import NodeId


class Destinations:
    """The number of entries for each destination."""

    def __init__(self) -> None:
        self._holders: dict[NodeId, int] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def __contains__(self, destination: NodeId) -> bool:
        return destination in self._holders

    def hold(self, destination: NodeId) -> None:
        """Count one more entry of a destination."""
        self._holders[destination] = self._holders.get(destination, 0) + 1

    def release(self, destination: NodeId) -> None:
        """Count one entry less; KeyError when the destination has none."""
        left = self._holders[destination] - 1
        if left:
            self._holders[destination] = left
        else:
            del self._holders[destination]
