"""Which hop a trace asks next, decided from the answers; does no I/O."""

from dataclasses import dataclass
from typing import Literal

from pimd.contract import RouteInfo
from pimd.ids import NodeId
from pimd_features.routes.wire import Answer

HOP_LIMIT = 255
"""As many hops as a frame can pass."""


@dataclass(frozen=True)
class Step:
    """One hop that was asked, and its answer."""

    hop: int
    node_id: NodeId
    answer: Answer | None
    took_s: float

    @property
    def state(self) -> Literal["answered", "silent", "no_route"]:
        """What became of the question."""
        if self.answer is None:
            return "silent"
        return "answered" if self.answer.next_hop is not None else "no_route"


class Path:
    """The hops from this node's next hop to the destination; ends after a bounded number, whatever hops claim."""

    def __init__(self, own_id: NodeId, route: RouteInfo) -> None:
        self.steps: list[Step] = []
        self.reached = False
        self.next: NodeId | None = route.next_hop
        """The node to ask now; None when the trace is over."""
        self._route = route
        self._passed = {own_id, route.next_hop}
        self._notes: list[str] = []

    @property
    def note(self) -> str:
        """Why it ended where it did, or what is missing; empty when nothing is."""
        return "; ".join(self._notes)

    def take(self, answer: Answer | None, took_s: float) -> None:
        """Note what `next` answered, None for nothing, and choose whom to ask next."""
        asked, destination = self.next, self._route.destination
        if asked is None:
            raise ValueError("the trace is over")
        self.steps.append(Step(self._place_of(asked), asked, answer, took_s))
        if answer is None:
            self._pass_over(asked)
        elif asked == destination:
            self.reached, self.next = True, None
        elif answer.next_hop is None:
            self.end(f"{asked} has no route to {destination}")
        elif answer.next_hop in self._passed:
            self.end(
                f"{asked} passes on to {answer.next_hop}, which was passed already: routes are changing, or a node lies"
            )
        elif len(self.steps) == HOP_LIMIT:
            self.end(f"after {HOP_LIMIT} hops no frame goes on: routes are changing, or nodes lie")
        else:
            self._ask(answer.next_hop)

    def end(self, why: str) -> None:
        """Stop the trace: nobody else is asked, and the reason is added to `note`."""
        self.next = None
        self._notes.append(why)

    def _pass_over(self, silent: NodeId) -> None:
        """Skip a silent hop and ask the destination: what lies between them is unknown."""
        why = f"{silent} is silent: it runs without the feature routes, or cannot be reached"
        if silent == self._route.destination:
            self.end(why)
        else:
            self._notes.append(f"{why}; what lies behind it is not known")
            self._ask(self._route.destination)

    def _ask(self, hop: NodeId) -> None:
        self.next = hop
        self._passed.add(hop)

    def _place_of(self, asked: NodeId) -> int:
        """Count the position; behind a silent hop, take the distance that this node's route states."""
        place = len(self.steps) + 1
        return max(place, self._route.hops) if self._notes else place
