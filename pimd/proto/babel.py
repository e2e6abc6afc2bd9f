"""Distance-vector routing in the manner of Babel (RFC 8966), sans-IO (docs/protocol.md, "Routing").

Feed it links, frames, cards and time; take frames, wishes for cards and changes of routes. `L` names a link.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pimd.ids import NodeId
from pimd.proto.control import SeqRequest
from pimd.proto.frames import METRIC_RETRACTED, RouteEntry, Routes
from pimd.proto.route_table import LINK_COST, Route, RouteTable, entry_of
from pimd.proto.seq_requests import SeenRequests, Starving

FULL_TABLE_S = 30.0
EXPIRY_S = 105.0
SWEEP_S = 5.0
DISTANCE_KEPT_S = 200.0
"""How long after a route died its feasibility distance is kept."""
GATHER_S = 0.002
UPDATE_PAUSE_S = 0.2
ASKED_S = 5.0
"""A destination that was asked for this recently is told of at once."""
CARD_WISH_S = 2.0
HOP_BUDGET = 255
ENTRIES_A_RECORD = 1000
DESTINATION_LIMIT = 20_000

L = TypeVar("L")
Frame = Routes | SeqRequest


@dataclass(slots=True)
class _Neighbour:
    """One link, and how far its peer's full table was read."""

    node_id: NodeId
    repeated: set[NodeId] | None = None
    aside: dict[NodeId, RouteEntry] = field(default_factory=dict)


class Babel(Generic[L]):
    """The routes of one node."""

    def __init__(
        self,
        own_id: NodeId,
        card_seq: Callable[[NodeId], int],
        random: Callable[[], float],
        now: float,
        *,
        relays: bool,
    ) -> None:
        self.table: RouteTable[L] = RouteTable()
        self.dropped = 0
        """Entries that no honest neighbour sends, or beyond the limit."""
        self.wants_card_above: int | None = None
        """Set when somebody needs a newer card of this node; `own_card` clears it."""
        self._own_id = own_id
        self._own_seq = 0
        self._card_seq = card_seq
        self._random = random
        self._relays = relays
        self._links: dict[L, _Neighbour] = {}
        self._waiting = 0
        """Entries set aside, of all links."""
        self._out: list[tuple[L, Frame]] = []
        self._wishes: list[tuple[L, NodeId]] = []
        self._changes: list[tuple[NodeId, bool]] = []
        self._pending: dict[NodeId, None] = {}
        self._flush_at: float | None = None
        self._flushed_at = float("-inf")
        self._full_at = now + FULL_TABLE_S * random()
        self._sweep_at = now + SWEEP_S
        self._wish_at: float | None = None
        self._starving: dict[NodeId, Starving] = {}
        self._lost_at: dict[NodeId, float] = {}
        self._asked_at: dict[NodeId, float] = {}
        self._seen = SeenRequests()

    # --- what happens

    def link_up(self, link: L, neighbour: NodeId, now: float) -> None:
        """Begin with no entry, and with this node's full table for the peer."""
        self._links[link] = _Neighbour(neighbour)
        self._send_full_table(link)
        self._arm_starving(self.table.destinations(), now)

    def link_down(self, link: L, now: float) -> None:
        """Withdraw what hung on the link."""
        neighbour = self._links.pop(link, None)
        if neighbour is not None:
            self._waiting -= len(neighbour.aside)
            self._reselect(self.table.drop_link(link), now)

    def own_card(self, seq: int, now: float) -> None:
        """This node issued a card: advertise its number."""
        self._own_seq = seq
        urgent = self.wants_card_above is not None
        if self.wants_card_above is not None and seq > self.wants_card_above:
            self.wants_card_above = None
        self._schedule(self._own_id, now, urgent=urgent)

    def card_learned(self, node_id: NodeId, seq: int, now: float) -> None:
        """A card arrived, from anybody: entries that waited for it are applied."""
        for link, neighbour in self._links.items():
            waiting = neighbour.aside.get(node_id)
            if waiting is not None and waiting.seq <= seq:
                self._unset(neighbour, node_id)
                self._apply(link, neighbour, waiting, now)

    def receive(self, link: L, routes: Routes, now: float) -> None:
        """Take part of a neighbour's table."""
        neighbour = self._links[link]
        if routes.first:
            neighbour.repeated = set()
        for entry in routes.entries:
            if neighbour.repeated is not None:
                neighbour.repeated.add(entry.destination)
            self._take(link, neighbour, entry, now)
        if routes.last and neighbour.repeated is not None:
            gone = [node_id for node_id in self.table.of_link(link) if node_id not in neighbour.repeated]
            neighbour.repeated = None
            for node_id in gone:
                self.table.drop(link, node_id)
            self._reselect(gone, now)

    def seq_request(self, link: L, request: SeqRequest, now: float) -> None:
        """Answer it, or pass it on."""
        if request.destination == self._own_id:
            if self._own_seq < request.seq:
                self.wants_card_above = max(self.wants_card_above or 0, self._own_seq)
            return
        if not self._relays:
            return
        asker = self._links[link].node_id
        route = self.table.selected.get(request.destination)
        if route is not None and route.seq >= request.seq and route.next_hop != asker:
            self._send(link, (entry_of(route),))
            self.table.advertised(route.destination, route.seq, route.metric)
        elif request.hop_budget > 1:
            self._pass_on(link, asker, request, now)

    # --- what is to be done

    def outgoing(self) -> list[tuple[L, Frame]]:
        """Frames to send now, in order; what is returned counts as put on the wire."""
        out, self._out = self._out, []
        return [(link, frame) for link, frame in out if link in self._links]

    def cards_wanted(self) -> list[tuple[L, NodeId]]:
        """Which link to ask for which card."""
        wishes, self._wishes = self._wishes, []
        return wishes

    def changes(self) -> list[tuple[NodeId, bool]]:
        """Destinations that got a route (True) or lost theirs, in order."""
        changes, self._changes = self._changes, []
        return changes

    def deadline(self) -> float:
        """When `tick` has something to do."""
        times = [self._full_at, self._sweep_at, *(one.next_at for one in self._starving.values())]
        times += [at for at in (self._flush_at, self._wish_at) if at is not None]
        return min(times)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._ask_for_seqs(now)
        if self._flush_at is not None and now >= self._flush_at:
            self._flush(now)
        if self._wish_at is not None and now >= self._wish_at:
            self._wish(now)
        if now >= self._full_at:
            self._full_at = now + FULL_TABLE_S
            for link in self._links:
                self._send_full_table(link)
        if now >= self._sweep_at:
            self._sweep(now)

    # --- entries

    def _take(self, link: L, neighbour: _Neighbour, entry: RouteEntry, now: float) -> None:
        node_id = entry.destination
        if node_id == self._own_id:
            return
        if entry.metric < LINK_COST and node_id != neighbour.node_id:
            self.dropped += 1
        elif entry.metric == METRIC_RETRACTED:
            self._unset(neighbour, node_id)
            if self.table.drop(link, node_id):
                self._reselect([node_id], now)
        elif entry.seq > self._card_seq(node_id):
            self._waiting += node_id not in neighbour.aside
            neighbour.aside[node_id] = entry
            self._make_room(now)
            self._wishes.append((link, node_id))
            if self._wish_at is None:
                self._wish_at = now + CARD_WISH_S
        else:
            self._unset(neighbour, node_id)
            self._apply(link, neighbour, entry, now)

    def _apply(self, link: L, neighbour: _Neighbour, entry: RouteEntry, now: float) -> None:
        node_id = entry.destination
        self.table.put(Route(node_id, neighbour.node_id, link, entry.metric, entry.seq, now))
        self._make_room(now)
        self._reselect([node_id], now)

    def _unset(self, neighbour: _Neighbour, node_id: NodeId) -> None:
        if neighbour.aside.pop(node_id, None) is not None:
            self._waiting -= 1

    def _make_room(self, now: float) -> None:
        """Over the limit, the neighbour with the most entries loses its oldest; those that wait for a card first."""
        if len(self.table) + self._waiting <= DESTINATION_LIMIT:
            return
        self.dropped += 1
        most = max(self._links, key=lambda link: self.table.count_of(link) + len(self._links[link].aside))
        neighbour, victim = self._links[most], self.table.first_of(most)
        if neighbour.aside:
            self._unset(neighbour, next(iter(neighbour.aside)))
        elif victim is not None:
            self.table.drop(most, victim)
            self._reselect([victim], now)

    def _reselect(self, destinations: Iterable[NodeId], now: float) -> None:
        for node_id in destinations:
            had = node_id in self.table.selected
            changed = self.table.reselect(node_id)
            has = node_id in self.table.selected
            if had != has:
                self._changes.append((node_id, has))
            if had and not has:
                self._lost_at[node_id] = now
                self._schedule(node_id, now, urgent=True)
                self._flush(now)  # retracted at once, before any request on the same link
            elif changed:
                self._schedule(node_id, now, urgent=not had and node_id in self._lost_at)
            if has:
                self._starving.pop(node_id, None)
                self._lost_at.pop(node_id, None)
        self._arm_starving(destinations, now)

    def _arm_starving(self, destinations: Iterable[NodeId], now: float) -> None:
        """Begin to ask for destinations without a route of which finite entries are known."""
        for node_id in destinations:
            if node_id in self.table.selected or node_id in self._starving:
                continue
            if any(route.metric < METRIC_RETRACTED for route in self.table.entries(node_id)):
                self._starving[node_id] = Starving(now, next_at=now)

    def _sweep(self, now: float) -> None:
        self._sweep_at = now + SWEEP_S
        for node_id in self.table.destinations():
            old = [route.link for route in self.table.entries(node_id) if now - route.learned_at > EXPIRY_S]
            for link in old:
                self.table.drop(link, node_id)
            if old:
                self._reselect([node_id], now)
        for node_id, lost_at in list(self._lost_at.items()):
            if now - lost_at > DISTANCE_KEPT_S:
                del self._lost_at[node_id]
                self.table.forget_distance(node_id)
                self._reselect([node_id], now)
        self._asked_at = {node_id: at for node_id, at in self._asked_at.items() if now - at < ASKED_S}

    # --- updates

    def _schedule(self, node_id: NodeId, now: float, *, urgent: bool) -> None:
        self._pending[node_id] = None
        urgent = urgent or now - self._asked_at.get(node_id, float("-inf")) < ASKED_S
        due = now + GATHER_S if urgent else max(now + GATHER_S, self._flushed_at + UPDATE_PAUSE_S)
        self._flush_at = due if self._flush_at is None else min(self._flush_at, due)

    def _flush(self, now: float) -> None:
        pending, self._pending, self._flush_at = self._pending, {}, None
        self._flushed_at = now
        for link in self._links:
            self._send(link, self._told(link, pending))

    def _told(self, link: L, destinations: Iterable[NodeId]) -> tuple[RouteEntry, ...]:
        """What this link's peer is told of destinations; noted as put on the wire."""
        entries = []
        for node_id in destinations:
            entry = self._entry_for(link, node_id)
            if entry is not None:
                entries.append(entry)
                if entry.metric != METRIC_RETRACTED and node_id != self._own_id:
                    self.table.advertised(node_id, entry.seq, entry.metric)
        return tuple(entries)

    def _entry_for(self, link: L, node_id: NodeId) -> RouteEntry | None:
        if node_id == self._own_id:
            return RouteEntry(node_id, self._own_seq, 0)
        if not self._relays:
            return None
        route = self.table.selected.get(node_id)
        if route is None:
            return RouteEntry(node_id, self.table.feasibility_seq(node_id) or 0, METRIC_RETRACTED)
        if route.next_hop == self._links[link].node_id or route.metric >= METRIC_RETRACTED:
            return None
        return entry_of(route)

    def _send(self, link: L, entries: tuple[RouteEntry, ...]) -> None:
        for start in range(0, len(entries), ENTRIES_A_RECORD):
            self._out.append((link, Routes(entries[start : start + ENTRIES_A_RECORD], first=False, last=False)))

    def _send_full_table(self, link: L) -> None:
        known = (self._own_id, *self.table.selected) if self._relays else (self._own_id,)
        entries = self._told(link, known)
        for start in range(0, len(entries), ENTRIES_A_RECORD):
            part = entries[start : start + ENTRIES_A_RECORD]
            last = start + ENTRIES_A_RECORD >= len(entries)
            self._out.append((link, Routes(part, first=start == 0, last=last)))

    # --- requests

    def _ask_for_seqs(self, now: float) -> None:
        for node_id, starving in list(self._starving.items()):
            finite = [route.link for route in self.table.entries(node_id) if route.metric < METRIC_RETRACTED]
            if node_id in self.table.selected or not finite:
                del self._starving[node_id]
            elif now >= starving.next_at:
                flood = starving.ask(now)
                request_id = int(self._random() * 2**53)
                self._seen.note_own(request_id)
                self._asked_at[node_id] = now
                seq = (self.table.feasibility_seq(node_id) or 0) + 1
                request = SeqRequest(node_id, seq, HOP_BUDGET, flood, request_id)
                for link in self._links if flood else finite:
                    self._out.append((link, request))

    def _pass_on(self, link: L, asker: NodeId, request: SeqRequest, now: float) -> None:
        if not self._seen.may_pass_on(request.destination, request.request_id, now, flood=request.flood):
            return
        lowered = SeqRequest(
            request.destination, request.seq, request.hop_budget - 1, request.flood, request.request_id
        )
        if request.flood:
            onwards = [other for other, one in self._links.items() if one.node_id != asker and other != link]
        else:
            route = self.table.selected.get(request.destination)
            onwards = [route.link] if route is not None and route.next_hop != asker else []
        if onwards:
            self._asked_at[request.destination] = now
        self._out += [(other, lowered) for other in onwards]

    def _wish(self, now: float) -> None:
        """Ask again for cards that entries wait for."""
        waiting = [(link, node_id) for link, one in self._links.items() for node_id in one.aside]
        self._wishes += waiting
        self._wish_at = now + CARD_WISH_S if waiting else None
