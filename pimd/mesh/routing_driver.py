"""Connects the sans-IO routing core: sends its frames in order, and sets its timer."""

from collections.abc import Callable, Sequence

from pimd.clock import Clock, TimerHandle
from pimd.ids import NodeId
from pimd.mesh.counters import Counters
from pimd.mesh.peer_link import PeerLink
from pimd.proto.babel import Babel, Change
from pimd.proto.frames import SeqRequest


class RoutingDriver:
    """Call `pump` after every call of `core`."""

    def __init__(
        self,
        core: Babel[PeerLink],
        clock: Clock,
        counts: Counters,
        *,
        ask_for_cards: Callable[[PeerLink, list[NodeId]], None],
        before_routes: Callable[[], None],
        changed: Callable[[Sequence[Change[PeerLink]]], None],
        own_card_wanted: Callable[[int], None],
    ) -> None:
        self.core = core
        self._clock = clock
        self._counts = counts
        self._ask_for_cards = ask_for_cards
        self._before_routes = before_routes
        self._changed = changed
        self._own_card_wanted = own_card_wanted
        self._timer: TimerHandle | None = None
        self._timer_at = float("inf")
        self._pumping = self._again = False
        self._stopped = False

    def stop(self) -> None:
        """Set no more timers."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def pump(self) -> None:
        """Carry out what the core requests; requests made meanwhile are appended in order."""
        self._again = True
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._again:
                self._again = False
                self._pump_once(self._clock.now())
        finally:
            self._pumping = False
        self._set_timer()

    def _pump_once(self, now: float) -> None:
        wanted: dict[PeerLink, list[NodeId]] = {}
        for link, node_id in self.core.cards_wanted():
            wanted.setdefault(link, []).append(node_id)
        for link, node_ids in wanted.items():
            self._ask_for_cards(link, node_ids)
        self._send(now)
        self._changed(self.core.changes())
        above = self.core.own_card_wanted()
        if above is not None:
            self._own_card_wanted(above)

    def _send(self, now: float) -> None:
        outgoing = self.core.outgoing()
        if outgoing:
            self._before_routes()
        for link, frame in outgoing:
            if isinstance(frame, SeqRequest) and not link.cards.own_seq_requests.take(now):
                self._counts.count("seq_requests_not_sent")
            else:
                link.send(frame)

    def _due(self) -> None:
        """Run one step of the core; what it left runs in the next turn of the event loop."""
        self._timer_at = float("inf")
        now = self._clock.now()
        if self.core.deadline() <= now:
            self.core.tick(now)
        self.pump()

    def _set_timer(self) -> None:
        """Set a timer only for an earlier deadline; a timer that fires too early checks again."""
        deadline = self.core.deadline()
        if self._stopped or deadline >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._clock.call_at(deadline, self._due)
