"""Better ways that only the feasibility condition forbids (RFC 8966, section 3.8.2.2).

A newer sequence number makes them usable. Where all links cost the same there is none.
"""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from pimd.ids import NodeId
from pimd.proto.control import SeqRequest
from pimd.proto.route_table import Route, RouteTable, is_improvement

HOP_BUDGET = 255
AGAIN_AT_ONCE = 200
"""Destinations requested again in one call; the others follow in the next."""

L = TypeVar("L")


class BetterWays(Generic[L]):
    """Asks the neighbour of each such way for a newer number, and repeats it, since a request can be lost."""

    def __init__(self, table: RouteTable[L], random: Callable[[], float]) -> None:
        self._table = table
        self._random = random
        self._asked: dict[NodeId, None] = {}

    def ask(self, current: Route[L], ways: Iterable[Route[L]]) -> list[tuple[L, SeqRequest]]:
        """Return the requests for ways of the same number that are better than the route in use."""
        better = [
            route
            for route in ways
            if route.seq == current.seq and is_improvement(route, current) and not self._table.is_feasible(route)
        ]
        if better:
            self._asked[current.destination] = None
        return [(route.link, self._request(route)) for route in better]

    def ask_again(self) -> list[tuple[L, SeqRequest]]:
        """Return the requests for ways that are still better and forbidden; called every few seconds."""
        out: list[tuple[L, SeqRequest]] = []
        for destination in list(self._asked)[:AGAIN_AT_ONCE]:
            del self._asked[destination]
            current = self._table.selected.get(destination)
            if current is not None:
                out += self.ask(current, self._table.entries(destination))
        return out

    def _request(self, route: Route[L]) -> SeqRequest:
        request_id = int(self._random() * 2**53)
        return SeqRequest(route.destination, route.seq + 1, HOP_BUDGET, flood=False, request_id=request_id)
