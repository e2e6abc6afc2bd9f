"""Distance-vector routing like Babel, sans-IO (docs/protocol.md, "Routing"); sections are those of RFC 8966.

Input: links, frames, cards and time. Output: frames, requests for cards and changes of routes. `L` names a link.

Where it differs, and why:

* A destination is a NodeId, which is the router-id too. So there is one feasibility distance for a destination; 3.2.5
  has one for each prefix and router-id. No prefix covers another, so there is no hold time (3.5.4, 2.8).
* Links are reliable, ordered and report their end: no acknowledgements (3.3), no Hello and IHU (3.4). An entry lives as
  long as its link; one that a full table does not repeat is removed.
* A sequence number is that of the destination's signed card, 64 bits that never wrap (3.2.1). An entry with a higher
  one is deferred until the card is here. Otherwise a neighbour could raise it, and its route would always be selected.
* Entries below the cost of a link are refused for all but the neighbour itself: a liar cannot seem nearer than one hop
  from it.
"""

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from pimd.ids import NodeId
from pimd.limits import Bites, RecentMap, declare
from pimd.proto.better_ways import HOP_BUDGET, BetterWays
from pimd.proto.control import SeqRequest
from pimd.proto.deferred_routes import DeferredRoutes
from pimd.proto.destinations import Destinations
from pimd.proto.frames import ENTRIES_A_RECORD, HOPS_MAX, METRIC_RETRACTED, RouteEntry, Routes
from pimd.proto.neighbours import Neighbour
from pimd.proto.route_table import LINK_COST, Route, RouteTable, entry_of, told_alike
from pimd.proto.seq_requests import SeenRequests, StarvingDestinations
from pimd.proto.updates import FIRST_ROUTE_PAUSE_S, TOLD_AT_ONCE, UPDATE_PAUSE_S, FullTables, TriggeredUpdates

FULL_TABLE_S = 30.0
"""Periodic updates (3.7.1)."""
EXPIRY_S = 105.0
"""The expiry of an entry that is not refreshed (3.5.3), 3.5 periods as in appendix B."""
SWEEP_S = 5.0
DISTANCE_KEPT_S = 200.0
"""How long after a route died its feasibility distance is kept (3.2.5); appendix B has 180 s."""
ASKED_S = 5.0
"""A destination requested this recently is advertised at once, which forwards the answer (3.8.1.2)."""
DESTINATIONS = declare(
    "destinations with entries",
    20_000,
    "destinations",
    "deferred ones included; the neighbour with the most loses its deferred entries, then its newest",
)
ROOM_SHARE = 100
"""The search for the neighbour with the most frees a hundredth of its entries; of many neighbours up to a tenth."""
LOST = declare(
    "lost destinations whose feasibility distance is kept",
    40_000,
    "destinations",
    "new destinations other than neighbours are refused until some are older than 200 s",
)
"""A distance is never forgotten early, because that could make a loop."""
LOST_UNTOLD = declare("lost destinations nobody was told of", 40_000, "destinations", "the oldest is forgotten")
ASKED = declare(
    "destinations remembered as asked for",
    20_000,
    "destinations",
    "the oldest is forgotten: an update of it may take 200 ms",
)

L = TypeVar("L")
Frame = Routes | SeqRequest


class Change(NamedTuple, Generic[L]):
    """A destination's selected route moved to another link; None stands for no route."""

    destination: NodeId
    before: L | None
    after: L | None


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
        bites: Bites | None = None,
    ) -> None:
        self._bites = bites = bites or Bites()
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
        self._links: dict[L, Neighbour[L]] = {}
        self._making_room: tuple[L | None, int] = (None, 0)
        """The neighbour with the most entries, and how many it loses before the next search."""
        self._metrics: dict[int, int] = {}
        """One shared object for each metric, to save memory."""
        self._out: list[tuple[L, Frame]] = []
        self._changes: list[Change[L]] = []
        self._updates = TriggeredUpdates(bites)
        self._tables: FullTables[L] = FullTables(self._destinations_of_a_table)
        self._full_at = now + FULL_TABLE_S * random()
        self._sweep_at = now + SWEEP_S
        self._better: BetterWays[L] = BetterWays(self.table, random)
        self._starving = StarvingDestinations(bites)
        self._lost_at: dict[NodeId, float] = {}
        """Lost destinations with a feasibility distance, and when."""
        self._lost_untold: RecentMap[NodeId, float] = RecentMap(LOST_UNTOLD, bites)
        """Lost destinations without one."""
        self._asked_at: RecentMap[NodeId, float] = RecentMap(ASKED, bites)
        self._seen = SeenRequests(bites)

    # --- what happens

    def link_up(self, link: L, neighbour: NodeId, now: float, cost: int = LINK_COST, *, hops: bool = False) -> None:
        """Enter a link without entries and queue the full table for it; `hops` if the peer reads them.

        LocalProtocolError for a cost (3.4.3) below 256.
        """
        self._links[link] = Neighbour(neighbour, self.table.add_link(link, cost), cost, hops=hops)
        self._tables.add([link], now)
        for node_id in sorted(self.table.unselected()):
            self._starve(node_id, now, anew=False)

    def link_down(self, link: L, now: float) -> None:
        """Remove the entries of the link, and select other routes."""
        if self._links.pop(link, None) is not None:
            self._tables.discard(link)
            self.deferred.drop_link(link)
            self._reselect(self.table.drop_link(link), now)

    def own_card(self, seq: int, now: float) -> None:
        """This node issued a card: advertise its sequence number."""
        self._own_seq = seq
        self._schedule(self._own_id, now)

    def card_learned(self, node_id: NodeId, seq: int, now: float) -> None:
        """Apply the entries that were deferred until this card; its sender does not matter."""
        if node_id not in self.deferred:
            return
        for link, neighbour in self._links.items():
            waiting = self.deferred.get(link, node_id)
            if waiting is not None and waiting.seq <= seq:
                self.deferred.drop(link, node_id)
                self._apply(link, neighbour, waiting, now)

    def receive(self, link: L, routes: Routes, now: float) -> bool:
        """Take part of a neighbour's table (3.5.3); True at the end of a full one, ignored when the link is not up."""
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
        """Answer or forward a request (3.8.1.2); a destination issues a card, instead of adding one to its number."""
        neighbour = self._links.get(link)
        if neighbour is None:
            return
        if request.destination == self._own_id:
            if self._own_seq < request.seq:
                self._wanted_above = self._own_seq
                self._asked_at.put(self._own_id, now)
            return
        if not self._relays:
            return
        route = self.table.selected.get(request.destination)
        if route is not None and route.seq >= request.seq and route.next_hop != neighbour.node_id:
            self._send(link, neighbour, (entry_of(route),))
            self.table.advertised(route.destination, route.seq, route.metric)
        elif request.hop_budget > 1:
            self._pass_on(link, neighbour.node_id, request, now)

    # --- what is to be done

    def outgoing(self) -> list[tuple[L, Frame]]:
        """Return the frames to send now, in order; from here on they count as sent."""
        out, self._out = self._out, []
        return [(link, frame) for link, frame in out if link in self._links]

    def cards_wanted(self) -> list[tuple[L, NodeId]]:
        """Return which cards to request on which links."""
        return self.deferred.cards_wanted()

    def own_card_wanted(self) -> int | None:
        """Return the number above which this node needs a new card, once; None without a request."""
        wanted, self._wanted_above = self._wanted_above, None
        return wanted

    def changes(self) -> list[Change[L]]:
        """Return the selected routes that moved to another link, in order, once."""
        changes, self._changes = self._changes, []
        return changes

    def deadline(self) -> float:
        """Time of the next call of `tick`, which is `now` again while a step left something."""
        return min(
            self._full_at,
            self._sweep_at,
            self.deferred.wish_at,
            self._updates.deadline(),
            self._starving.deadline(),
            self._tables.deadline(),
        )

    def tick(self, now: float) -> None:
        """Run one step of what is due, as long as one turn may take; no destination is requested before its retraction."""
        at_once = max(1, TOLD_AT_ONCE.value // max(1, len(self._links)))
        if now >= self._updates.deadline():
            self._tell(self._updates.take(now, at_once))
        if now >= self._starving.deadline():
            self._ask_for_seqs(now, at_once)
        if now >= self.deferred.wish_at:
            self.deferred.wish_again(now)
        if now >= self._full_at:
            self._full_at = now + FULL_TABLE_S
            self._tables.add(self._links, now)
        if now >= self._tables.deadline():
            self._send_part_of_a_table()
        if now >= self._sweep_at:
            self._sweep(now)

    # --- entries

    def _take(self, link: L, neighbour: Neighbour[L], entry: RouteEntry, now: float) -> None:
        node_id, seq, received, hops = entry
        held = neighbour.entries.get(node_id)
        if held is not None and held.seq == seq and held.metric == received + neighbour.cost and held.hops == hops + 1:
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
        if received + neighbour.cost >= METRIC_RETRACTED:
            self._retracted(link, node_id, now)
            return
        if seq > self._card_seq(node_id):
            self.deferred.put(link, entry, now)
            self._make_room(now)
        else:
            self.deferred.drop(link, node_id)
            self._apply(link, neighbour, entry, now)
        if neighbour.unrepeated is not None:
            neighbour.unrepeated.pop(node_id, None)

    def _retracted(self, link: L, node_id: NodeId, now: float) -> None:
        self.deferred.drop(link, node_id)
        if self.table.drop(link, node_id):
            self._lost_entry(link, node_id, now)

    def _apply(self, link: L, neighbour: Neighbour[L], entry: RouteEntry, now: float) -> None:
        """Keep an entry and select (3.5.3, 3.6). An unfeasible one is kept, too: it may be the last one (3.8.2)."""
        node_id, seq, received, hops = entry
        if len(self._lost_at) >= LOST.value and self._is_news(neighbour, node_id):
            self.dropped += 1
            self._bites.count(LOST)
            return
        before = self.table.selected.get(node_id)
        if before is not None:  # thousands of entries share these objects, which saves most of the memory
            node_id = before.destination
            seq = before.seq if seq == before.seq else seq
        metric = self._metrics.setdefault(received + neighbour.cost, received + neighbour.cost)
        first = node_id not in neighbour.entries
        route = Route(node_id, neighbour.node_id, link, metric, seq, min(hops + 1, HOPS_MAX), now)
        self.table.put(route)
        if before is None or before.link != link:
            if self.table.prefer(route):
                self._chosen(node_id, before, route, now)
            elif before is None:
                self._starve(node_id, now, anew=first)
            else:
                self._out += self._better.ask(before, [route])
        else:
            self._chosen(node_id, before, self.table.reselect(node_id), now)
        self._make_room(now)

    def _is_news(self, neighbour: Neighbour[L], node_id: NodeId) -> bool:
        """Whether this destination, other than the neighbour itself, is new here."""
        known = node_id in self.table or self.table.feasibility_seq(node_id) is not None
        return not known and node_id != neighbour.node_id

    def _make_room(self, now: float) -> None:
        """Over the limit, drop deferred entries of the neighbour with the most entries in turn, then its newest.

        Dropping the oldest would let a flood that an honest neighbour passes on push out that neighbour.
        """
        while len(self._kept) > DESTINATIONS.value:
            self._drop_one(self._busiest(), now)

    def _busiest(self) -> L:
        busiest, turns = self._making_room
        if turns == 0 or busiest not in self._links or self._entries_of(busiest) == 0:
            busiest = max(self._links, key=self._entries_of)
            turns = 1 + self._entries_of(busiest) // min(ROOM_SHARE, max(10, ROOM_SHARE // len(self._links)))
        self._making_room = busiest, turns - 1
        return busiest

    def _entries_of(self, link: L) -> int:
        return len(self.table.of_link(link)) + len(self.deferred.of_link(link))

    def _drop_one(self, link: L, now: float) -> None:
        self.dropped += 1
        self._bites.count(DESTINATIONS)
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
        """Schedule triggered updates (3.7.2) after a change of the selected route."""
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
            self._starve(node_id, now, anew=True)
            return
        if before is None or not told_alike(before, after):
            self._schedule(node_id, now, self._pause_s(node_id, before))
        if before is None or after.metric > before.metric:
            self._out += self._better.ask(after, self.table.entries(node_id))
        if before is None:
            self._starving.discard(node_id)
            self._lost_at.pop(node_id, None)
            self._lost_untold.pop(node_id, None)

    def _note_lost(self, node_id: NodeId, now: float) -> None:
        if self.table.feasibility_seq(node_id) is not None:
            self._lost_at[node_id] = now
            self._updates.retract(node_id, now)
        else:
            self._lost_untold.put(node_id, now)
            self._updates.discard(node_id)

    def _sweep(self, now: float) -> None:
        self._sweep_at = now + SWEEP_S
        self._out += self._better.ask_again()
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
        for node_id in [node_id for node_id, at in self._lost_untold.items() if now - at > DISTANCE_KEPT_S]:
            del self._lost_untold[node_id]
        for node_id in [node_id for node_id, at in self._asked_at.items() if now - at >= ASKED_S]:
            del self._asked_at[node_id]

    # --- updates

    def _pause_s(self, node_id: NodeId, before: Route[L] | None) -> float:
        if before is not None:
            return UPDATE_PAUSE_S
        return 0.0 if node_id in self._lost_at or node_id in self._lost_untold else FIRST_ROUTE_PAUSE_S

    def _schedule(self, node_id: NodeId, now: float, pause_s: float = UPDATE_PAUSE_S) -> None:
        asked = now - self._asked_at.get(node_id, float("-inf")) < ASKED_S
        self._updates.add(node_id, now, pause_s=0.0 if asked else pause_s)

    def _tell(self, destinations: Iterable[NodeId]) -> None:
        news = self._news(destinations, self._links.values())
        for link, neighbour in self._links.items():
            self._send(link, neighbour, neighbour.told(news))

    def _news(
        self, destinations: Iterable[NodeId], to: Iterable[Neighbour[L]]
    ) -> list[tuple[NodeId | None, RouteEntry]]:
        """Return what these neighbours are told of destinations, each with the next hop that is not told.

        The feasibility distance is noted before the update is sent (3.7.3), for finite metrics only.
        """
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

    def _send(self, link: L, neighbour: Neighbour[L], entries: tuple[RouteEntry, ...]) -> None:
        for start in range(0, len(entries), ENTRIES_A_RECORD):
            part = entries[start : start + ENTRIES_A_RECORD]
            self._out.append((link, Routes(part, first=False, last=False, hops=neighbour.hops)))

    def _destinations_of_a_table(self) -> Iterable[NodeId]:
        """Return what is selected, and what is to be told anyway: the peer may hold it, and keeps what the table repeats."""
        return dict.fromkeys((self._own_id, *self.table.selected, *self._updates))

    def _send_part_of_a_table(self) -> None:
        link, destinations, first, last = self._tables.take(TOLD_AT_ONCE.value)
        neighbour = self._links[link]
        entries = neighbour.told(self._news(destinations, [neighbour]))
        for start in range(0, max(1, len(entries)), ENTRIES_A_RECORD):
            part = entries[start : start + ENTRIES_A_RECORD]
            ends = last and start + ENTRIES_A_RECORD >= len(entries)
            self._out.append((link, Routes(part, first=first and start == 0, last=ends, hops=neighbour.hops)))

    # --- requests

    def _starve(self, node_id: NodeId, now: float, *, anew: bool) -> None:
        """Start to request a destination that has entries but no route (3.8.2.1); at once when an entry just came."""
        if node_id not in self.table:
            return
        self._starving.add(node_id, now, anew=anew)

    def _ask_for_seqs(self, now: float, most: int) -> None:
        due = self._starving.take_due(now, most)
        self._tell([node_id for node_id in due if self._updates.discard(node_id)])
        for node_id in due:
            if node_id in self.table.selected or node_id not in self.table:
                self._starving.discard(node_id)
            else:
                self._ask_for_seq(node_id, now, flood=self._starving.ask(node_id, now))

    def _ask_for_seq(self, node_id: NodeId, now: float, *, flood: bool) -> None:
        request_id = int(self._random() * 2**53)
        if flood:
            self._seen.note_id(request_id)
        self._asked_at.put(node_id, now)
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
        self._asked_at.put(request.destination, now)
        lowered = SeqRequest(
            request.destination, request.seq, request.hop_budget - 1, request.flood, request.request_id
        )
        self._out += [(other, lowered) for other in onwards]
