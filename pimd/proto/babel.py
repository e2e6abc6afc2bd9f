"""Distance-vector routing in the manner of Babel (RFC 8966), sans-IO (docs/protocol.md, "Routing").

Feed it links, frames, cards and time; take frames, wishes for cards and changes of routes. `L` names a link.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from pimd.ids import NodeId
from pimd.proto.control import SeqRequest
from pimd.proto.deferred_routes import DeferredRoutes
from pimd.proto.destinations import Destinations
from pimd.proto.frames import ENTRIES_A_RECORD, METRIC_RETRACTED, RouteEntry, Routes
from pimd.proto.route_table import LINK_COST, Route, RouteTable, entry_of
from pimd.proto.seq_requests import SeenRequests, StarvingDestinations

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
WISHES_AT_ONCE = 200
"""Cards that one link is asked for in that time; the others wait their turn."""
HOP_BUDGET = 255
DESTINATION_LIMIT = 20_000
ROOM_SHARE = 100
"""Looking for the neighbour with the most entries is paid for by a hundredth of them."""
LOST_LIMIT = 40_000
"""Lost destinations whose distances are kept; while there are as many, destinations beyond the neighbours that are heard of for the
first time are refused: to forget a distance before its time could make a loop. Of those that nobody was told of as many are
remembered, the oldest goes."""
ASKED_LIMIT = 20_000
"""Destinations remembered as asked for; what is forgotten is told of a little later."""

L = TypeVar("L")
Frame = Routes | SeqRequest


class Change(NamedTuple, Generic[L]):
    """A destination's selected route goes over another link than before; None is no route."""

    destination: NodeId
    before: L | None
    after: L | None


class _Neighbour:
    """One link, and how far its peer's full table was read."""

    __slots__ = ("node_id", "unrepeated")

    def __init__(self, node_id: NodeId) -> None:
        self.node_id = node_id
        self.unrepeated: dict[NodeId, None] | None = None
        """Of what was kept when its full table began, what that did not say again so far; so it never grows."""


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
        self._kept = Destinations()
        self.table: RouteTable[L] = RouteTable(self._kept)
        self.deferred: DeferredRoutes[L] = DeferredRoutes(self._kept)
        self.dropped = 0
        """Entries that no honest neighbour sends, or beyond the limit."""
        self._own_id = own_id
        self._own_seq = 0
        self._wanted_above: int | None = None
        self._card_seq = card_seq
        self._random = random
        self._relays = relays
        self._links: dict[L, _Neighbour] = {}
        self._making_room: tuple[L | None, int] = (None, 0)
        """The neighbour that had the most entries, and how many of them go before others are looked at again."""
        self._metrics: dict[int, int] = {}
        """Every metric once."""
        self._out: list[tuple[L, Frame]] = []
        self._wishes: list[tuple[L, NodeId]] = []
        self._changes: list[Change[L]] = []
        self._pending: dict[NodeId, None] = {}
        self._flush_at = float("inf")
        self._flushed_at = float("-inf")
        self._full_at = now + FULL_TABLE_S * random()
        self._sweep_at = now + SWEEP_S
        self._wish_at = float("inf")
        self._starving = StarvingDestinations()
        self._lost_at: dict[NodeId, float] = {}
        """With a feasibility distance."""
        self._lost_untold: dict[NodeId, float] = {}
        """Without one."""
        self._asked_at: dict[NodeId, float] = {}
        self._seen = SeenRequests()

    # --- what happens

    def link_up(self, link: L, neighbour: NodeId, now: float) -> None:
        """Begin with no entry, and with this node's full table for the peer."""
        self._links[link] = _Neighbour(neighbour)
        self._send_full_tables([link])
        for node_id in sorted(self.table.unselected()):
            self._starve(node_id, now, anew=False)

    def link_down(self, link: L, now: float) -> None:
        """Withdraw what hung on the link."""
        if self._links.pop(link, None) is not None:
            self.deferred.drop_link(link)
            self._reselect(self.table.drop_link(link), now)

    def own_card(self, seq: int, now: float) -> None:
        """This node issued a card: advertise its number."""
        self._own_seq = seq
        self._schedule(self._own_id, now)

    def card_learned(self, node_id: NodeId, seq: int, now: float) -> None:
        """A card arrived, from anybody: entries that waited for it are applied."""
        if node_id not in self.deferred:
            return
        for link, neighbour in self._links.items():
            waiting = self.deferred.get(link, node_id)
            if waiting is not None and waiting.seq <= seq:
                self.deferred.drop(link, node_id)
                self._apply(link, neighbour, waiting, now)

    def receive(self, link: L, routes: Routes, now: float) -> bool:
        """Take part of a neighbour's table; True at the end of a full one. Of a link that is not up it is ignored.

        What a whole full table did not say again is gone (RFC 8966 has no such rule: our links lose nothing).
        """
        neighbour = self._links.get(link)
        if neighbour is None:
            return False
        if routes.first:
            neighbour.unrepeated = dict.fromkeys((*self.deferred.of_link(link), *self.table.of_link(link)))
        for entry in routes.entries:
            self._take(link, neighbour, entry, now)
        if not routes.last or neighbour.unrepeated is None:
            return False
        gone, neighbour.unrepeated = neighbour.unrepeated, None
        for node_id in gone:
            self._retracted(link, node_id, now)
        return True

    def seq_request(self, link: L, request: SeqRequest, now: float) -> None:
        """Answer it, or pass it on."""
        neighbour = self._links.get(link)
        if neighbour is None:
            return
        if request.destination == self._own_id:
            if self._own_seq < request.seq:
                self._wanted_above = self._own_seq
                self._note_asked(self._own_id, now)
            return
        if not self._relays:
            return
        route = self.table.selected.get(request.destination)
        if route is not None and route.seq >= request.seq and route.next_hop != neighbour.node_id:
            self._send(link, (entry_of(route),))
            self.table.advertised(route.destination, route.seq, route.metric)
        elif request.hop_budget > 1:
            self._pass_on(link, neighbour.node_id, request, now)

    # --- what is to be done

    def outgoing(self) -> list[tuple[L, Frame]]:
        """Frames to send now, in order; what is returned counts as put on the wire."""
        out, self._out = self._out, []
        return [(link, frame) for link, frame in out if link in self._links]

    def cards_wanted(self) -> list[tuple[L, NodeId]]:
        """Which link to ask for which card."""
        wishes, self._wishes = self._wishes, []
        return wishes

    def own_card_wanted(self) -> int | None:
        """Somebody needs a card of this node with a higher number than this one; told once."""
        wanted, self._wanted_above = self._wanted_above, None
        return wanted

    def changes(self) -> list[Change[L]]:
        """Selected routes that changed their link, in order."""
        changes, self._changes = self._changes, []
        return changes

    def deadline(self) -> float:
        """When `tick` has something to do."""
        return min(self._full_at, self._sweep_at, self._flush_at, self._wish_at, self._starving.deadline())

    def tick(self, now: float) -> None:
        """Do what is due; a retraction goes before any request on the same link."""
        if now >= self._flush_at:
            self._flush(now)
        if now >= self._starving.deadline():
            self._ask_for_seqs(now)
        if now >= self._wish_at:
            self._wish_again(now)
        if now >= self._full_at:
            self._full_at = now + FULL_TABLE_S
            self._send_full_tables(self._links)
        if now >= self._sweep_at:
            self._sweep(now)

    # --- entries

    def _take(self, link: L, neighbour: _Neighbour, entry: RouteEntry, now: float) -> None:
        node_id, seq, received = entry
        held = self.table.of_link(link).get(node_id)
        if held is not None and held.seq == seq and held.metric == received + LINK_COST:
            held.learned_at = now  # by far the most frequent: nothing new
            if neighbour.unrepeated is not None:
                neighbour.unrepeated.pop(node_id, None)
            if self.deferred:
                self.deferred.drop(link, node_id)
            return
        if node_id == self._own_id:
            return
        if received < LINK_COST and node_id != neighbour.node_id:
            self.dropped += 1
            return
        if received + LINK_COST >= METRIC_RETRACTED:
            self._retracted(link, node_id, now)
            return
        if seq > self._card_seq(node_id):
            self._defer(link, entry, now)
        else:
            self.deferred.drop(link, node_id)
            self._apply(link, neighbour, entry, now)
        if neighbour.unrepeated is not None:
            neighbour.unrepeated.pop(node_id, None)

    def _retracted(self, link: L, node_id: NodeId, now: float) -> None:
        self.deferred.drop(link, node_id)
        if self.table.drop(link, node_id):
            self._lost_entry(link, node_id, now)

    def _defer(self, link: L, entry: RouteEntry, now: float) -> None:
        before = self.deferred.get(link, entry.destination)
        self.deferred.put(link, entry, now)
        if before is None or entry.seq > before.seq:
            self._wishes.append((link, entry.destination))
            self._wish_at = min(self._wish_at, now + CARD_WISH_S)
        self._make_room(now)

    def _apply(self, link: L, neighbour: _Neighbour, entry: RouteEntry, now: float) -> None:
        node_id, seq, received = entry
        if len(self._lost_at) >= LOST_LIMIT and self._is_news(neighbour, node_id):
            self.dropped += 1
            return
        before = self.table.selected.get(node_id)
        if before is not None:  # thousands of entries share these, one object each would be most of their memory
            node_id = before.destination
            seq = before.seq if seq == before.seq else seq
        metric = self._metrics.setdefault(received + LINK_COST, received + LINK_COST)
        first = node_id not in self.table.of_link(link)
        route = Route(node_id, neighbour.node_id, link, metric, seq, now)
        self.table.put(route)
        if before is None or before.link != link:
            if self.table.prefer(route):
                self._chosen(node_id, before, route, now)
            elif before is None:
                self._starve(node_id, now, anew=first)
        else:
            self._chosen(node_id, before, self.table.reselect(node_id), now)
        self._make_room(now)

    def _is_news(self, neighbour: _Neighbour, node_id: NodeId) -> bool:
        """Whether this destination, other than the neighbour itself, was not heard of before."""
        known = node_id in self.table or self.table.feasibility_seq(node_id) is not None
        return not known and node_id != neighbour.node_id

    def _make_room(self, now: float) -> None:
        """Over the limit, the neighbour with the most entries loses those that wait for a card, in their turn, then its newest.

        Dropping the oldest would let a flood that an honest neighbour passes on push out that neighbour.
        """
        while len(self._kept) > DESTINATION_LIMIT:
            self._drop_one(self._busiest(), now)

    def _busiest(self) -> L:
        busiest, turns = self._making_room
        if turns == 0 or busiest not in self._links or self._entries_of(busiest) == 0:
            busiest = max(self._links, key=self._entries_of)
            turns = 1 + self._entries_of(busiest) // ROOM_SHARE
        self._making_room = busiest, turns - 1
        return busiest

    def _entries_of(self, link: L) -> int:
        return len(self.table.of_link(link)) + len(self.deferred.of_link(link))

    def _drop_one(self, link: L, now: float) -> None:
        self.dropped += 1
        waiting = next(iter(self.deferred.of_link(link)), None)
        if waiting is not None:
            self.deferred.drop(link, waiting)
            return
        victim = next(reversed(self.table.of_link(link)))
        self.table.drop(link, victim)
        self._lost_entry(link, victim, now)

    def _lost_entry(self, link: L, node_id: NodeId, now: float) -> None:
        route = self.table.selected.get(node_id)
        if route is not None and route.link == link:
            self._chosen(node_id, route, self.table.reselect(node_id), now)
        elif route is None and node_id not in self._kept:
            self._starving.look_again(node_id, now)

    def _reselect(self, destinations: Iterable[NodeId], now: float) -> None:
        for node_id in destinations:
            before = self.table.selected.get(node_id)
            self._chosen(node_id, before, self.table.reselect(node_id), now)

    def _chosen(self, node_id: NodeId, before: Route[L] | None, after: Route[L] | None, now: float) -> None:
        """Tell everybody who needs to know what became of a destination."""
        if before is after:
            if after is None:
                self._starve(node_id, now, anew=False)
            return
        link_before = None if before is None else before.link
        link_after = None if after is None else after.link
        if link_before != link_after:
            self._changes.append(Change(node_id, link_before, link_after))
        if after is None:
            self._note_lost(node_id, now)
            self._pending[node_id] = None
            self._flush_at = now  # retracted at once
            self._starve(node_id, now, anew=True)
            return
        if before is None or (before.next_hop, before.seq, before.metric) != (after.next_hop, after.seq, after.metric):
            lost = node_id in self._lost_at or node_id in self._lost_untold
            self._schedule(node_id, now, urgent=before is None and lost)
        if before is None:
            self._starving.discard(node_id)
            self._lost_at.pop(node_id, None)
            self._lost_untold.pop(node_id, None)

    def _note_lost(self, node_id: NodeId, now: float) -> None:
        if self.table.feasibility_seq(node_id) is not None:
            self._lost_at[node_id] = now
            return
        self._lost_untold[node_id] = now
        if len(self._lost_untold) > LOST_LIMIT:
            del self._lost_untold[next(iter(self._lost_untold))]

    def _sweep(self, now: float) -> None:
        self._sweep_at = now + SWEEP_S
        for link in self._links:
            self.deferred.expire(link, now - EXPIRY_S)
            old = [route for route in self.table.of_link(link).values() if now - route.learned_at > EXPIRY_S]
            for route in old:
                self.table.drop(link, route.destination)
                self._lost_entry(link, route.destination, now)
        for node_id in [node_id for node_id, lost_at in self._lost_at.items() if now - lost_at > DISTANCE_KEPT_S]:
            del self._lost_at[node_id]
            self.table.forget_distance(node_id)
            self._reselect([node_id], now)
        self._lost_untold = {node_id: at for node_id, at in self._lost_untold.items() if now - at <= DISTANCE_KEPT_S}
        self._asked_at = {node_id: at for node_id, at in self._asked_at.items() if now - at < ASKED_S}

    # --- updates

    def _schedule(self, node_id: NodeId, now: float, *, urgent: bool = False) -> None:
        self._pending[node_id] = None
        urgent = urgent or now - self._asked_at.get(node_id, float("-inf")) < ASKED_S
        due = now + GATHER_S if urgent else max(now + GATHER_S, self._flushed_at + UPDATE_PAUSE_S)
        self._flush_at = min(self._flush_at, due)

    def _flush(self, now: float) -> None:
        pending, self._pending, self._flush_at = self._pending, {}, float("inf")
        self._flushed_at = now
        news = self._news(pending, self._links.values())
        for link, neighbour in self._links.items():
            self._send(link, _for_peer(neighbour, news))

    def _news(self, destinations: Iterable[NodeId], to: Iterable[_Neighbour]) -> list[tuple[NodeId | None, RouteEntry]]:
        """What these neighbours are told of destinations, each with the next hop that is not told; noted as put on the wire."""
        peers = {neighbour.node_id for neighbour in to}
        news: list[tuple[NodeId | None, RouteEntry]] = []
        for node_id in destinations:
            if node_id == self._own_id:
                news.append((None, RouteEntry(node_id, self._own_seq, 0)))
            elif self._relays:
                route = self.table.selected.get(node_id)
                if route is None:
                    news.append((None, RouteEntry(node_id, self.table.feasibility_seq(node_id) or 0, METRIC_RETRACTED)))
                elif len(peers) > 1 or route.next_hop not in peers:
                    news.append((route.next_hop, entry_of(route)))
                    self.table.advertised(node_id, route.seq, route.metric)
        return news

    def _send(self, link: L, entries: tuple[RouteEntry, ...]) -> None:
        for start in range(0, len(entries), ENTRIES_A_RECORD):
            self._out.append((link, Routes(entries[start : start + ENTRIES_A_RECORD], first=False, last=False)))

    def _send_full_tables(self, links: Iterable[L]) -> None:
        chosen = {link: self._links[link] for link in links}
        news = self._news((self._own_id, *self.table.selected), chosen.values())
        for link, neighbour in chosen.items():
            entries = _for_peer(neighbour, news)
            for start in range(0, len(entries), ENTRIES_A_RECORD):
                part = entries[start : start + ENTRIES_A_RECORD]
                last = start + ENTRIES_A_RECORD >= len(entries)
                self._out.append((link, Routes(part, first=start == 0, last=last)))

    # --- requests

    def _note_asked(self, node_id: NodeId, now: float) -> None:
        self._asked_at.pop(node_id, None)
        self._asked_at[node_id] = now
        if len(self._asked_at) > ASKED_LIMIT:
            del self._asked_at[next(iter(self._asked_at))]

    def _starve(self, node_id: NodeId, now: float, *, anew: bool) -> None:
        """Begin to ask for a destination without a route of which entries are known; at once when one just came."""
        if node_id not in self.table:
            return
        self._starving.add(node_id, now, anew=anew)

    def _ask_for_seqs(self, now: float) -> None:
        for node_id in self._starving.take_due(now):
            if node_id in self.table.selected or node_id not in self.table:
                self._starving.discard(node_id)
            else:
                self._ask_for_seq(node_id, now, flood=self._starving.ask(node_id, now))

    def _ask_for_seq(self, node_id: NodeId, now: float, *, flood: bool) -> None:
        request_id = int(self._random() * 2**53)
        if flood:
            self._seen.note_id(request_id)
        self._note_asked(node_id, now)
        seq = (self.table.feasibility_seq(node_id) or 0) + 1
        request = SeqRequest(node_id, seq, HOP_BUDGET, flood, request_id)
        asked = list(self._links) if flood else [route.link for route in self.table.entries(node_id)]
        self._out += [(link, request) for link in asked]

    def _pass_on(self, link: L, asker: NodeId, request: SeqRequest, now: float) -> None:
        if request.flood:
            onwards = [other for other, one in self._links.items() if one.node_id != asker and other != link]
        else:
            route = self.table.selected.get(request.destination)
            onwards = [route.link] if route is not None and route.next_hop != asker else []
        if not onwards or not self._seen.may_pass_on(request.destination, request.request_id, now, flood=request.flood):
            return
        self._note_asked(request.destination, now)
        lowered = SeqRequest(
            request.destination, request.seq, request.hop_budget - 1, request.flood, request.request_id
        )
        self._out += [(other, lowered) for other in onwards]

    def _wish_again(self, now: float) -> None:
        """Ask again for cards that entries wait for, those first whose turn is longest ago."""
        for link in self._links:
            for node_id in list(itertools.islice(self.deferred.of_link(link), WISHES_AT_ONCE)):
                self.deferred.to_end(link, node_id)
                self._wishes.append((link, node_id))
        self._wish_at = now + CARD_WISH_S if self.deferred else float("inf")


def _for_peer(neighbour: _Neighbour, news: list[tuple[NodeId | None, RouteEntry]]) -> tuple[RouteEntry, ...]:
    """Split horizon: a route is not told to its own next hop."""
    peer = neighbour.node_id
    return tuple([entry for next_hop, entry in news if next_hop != peer])
