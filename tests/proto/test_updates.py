"""How much the routing core tells in one step, and that telling in parts leaves out nothing."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto import updates
from pimd.proto.babel import FULL_TABLE_S, Babel, Frame
from pimd.proto.control import SeqRequest
from pimd.proto.frames import METRIC_RETRACTED, RouteEntry, Routes
from pimd.proto.updates import FIRST_ROUTE_PAUSE_S, TOLD_AT_ONCE, UPDATE_PAUSE_S, TriggeredUpdates
from tests.limits import Lower
from tests.proto.routing_node import name, run_due

OWN, FAR, NEW = name(1), name(3), name(4)
PEERS = [name(10 + number) for number in range(10)]
CROWD = [name(1000 + number) for number in range(60)]
LIMIT = 40
Step = list[tuple[int, Frame]]


def core(links: int = len(PEERS)) -> Babel[int]:
    """Linked with peers that are told everything so far."""
    made: Babel[int] = Babel(OWN, lambda _: 100, lambda: 0.5, 0.0, relays=True)
    made.own_card(100, 0.0)
    for number in range(links):
        made.link_up(number, PEERS[number], 0.0)
    run_due(made, 1.0)
    made.outgoing()
    return made


def tell(made: Babel[int], link: int, nodes: list[NodeId], seq: int, metric: int, now: float) -> None:
    entries = tuple(RouteEntry(node_id, seq, metric, 1) for node_id in nodes)
    made.receive(link, Routes(entries, first=False, last=False), now)


def steps(made: Babel[int], now: float) -> Iterator[Step]:
    """What each step that is due sends."""
    while made.deadline() <= now:
        made.tick(now)
        yield made.outgoing()


def work(step: Step) -> int:
    """Entries and requests in what a step sends."""
    return sum(len(frame.entries) if isinstance(frame, Routes) else 1 for _, frame in step)


def told(made_steps: list[Step], link: int) -> list[RouteEntry]:
    return [
        entry
        for step in made_steps
        for to, frame in step
        if to == link and isinstance(frame, Routes)
        for entry in frame.entries
    ]


@pytest.mark.limit("entries and SeqRequests made in one turn of the event loop")
def test_changes_are_told_in_as_many_steps_as_they_need_and_each_once(lower: Lower) -> None:
    lower(TOLD_AT_ONCE, LIMIT)
    made = core()
    tell(made, 0, CROWD, 1, 256, 2.0)
    found = list(steps(made, 3.0))
    assert max(map(work, found)) <= LIMIT
    assert [entry.destination for entry in told(found, 0)] == []
    for link in range(1, len(PEERS)):
        assert [entry.destination for entry in told(found, link)] == [*CROWD]


def test_losses_are_told_in_as_many_steps_as_they_need(lower: Lower) -> None:
    lower(TOLD_AT_ONCE, LIMIT)
    made = core()
    tell(made, 0, CROWD, 1, 256, 2.0)
    run_due(made, 3.0)
    made.outgoing()
    made.link_down(0, 4.0)
    found = list(steps(made, 4.0))
    assert max(map(work, found)) <= LIMIT
    assert [entry.destination for entry in told(found, 5)] == CROWD
    assert {entry.metric for entry in told(found, 5)} == {METRIC_RETRACTED}


@pytest.mark.parametrize("is_periodic", [True, False])
def test_a_full_table_takes_steps_of_its_own_on_each_link(lower: Lower, *, is_periodic: bool) -> None:
    made = core()
    tell(made, 0, CROWD, 1, 256, 2.0)
    run_due(made, 3.0)
    made.outgoing()
    lower(TOLD_AT_ONCE, LIMIT)
    now = 3.0 if not is_periodic else FULL_TABLE_S
    links = range(1, len(PEERS)) if is_periodic else range(20, 25)
    for link in () if is_periodic else links:
        made.link_up(link, name(50 + link), now)
    found = list(steps(made, now))
    assert max(map(work, found)) <= LIMIT
    for link in links:
        frames = [frame for step in found for to, frame in step if to == link and isinstance(frame, Routes)]
        assert [entry.destination for entry in told(found, link)] == [OWN, *CROWD]
        assert [frame.first for frame in frames] == [True, False]
        assert [frame.last for frame in frames] == [False, True]


def test_requests_are_made_in_as_many_steps_as_they_need(lower: Lower) -> None:
    made = core()
    tell(made, 0, CROWD, 1, 256, 2.0)
    run_due(made, 3.0)
    made.outgoing()
    tell(made, 0, CROWD, 1, 1024, 4.0)  # not feasible any more
    lower(TOLD_AT_ONCE, LIMIT)
    now, asked = 4.0, dict.fromkeys(CROWD, 0)
    while now < 10.0:
        for step in steps(made, now):
            assert work(step) <= 2 * LIMIT  # updates and requests
            for _, frame in step:
                if isinstance(frame, SeqRequest):
                    asked[frame.destination] += 1
        now = max(now + 0.001, made.deadline())
    assert min(asked.values()) > len(PEERS)  # flooded, too


def test_a_retraction_goes_before_the_request_that_follows_it_however_many_wait(lower: Lower) -> None:
    lower(TOLD_AT_ONCE, 1)
    made = core(links=3)
    tell(made, 0, [*CROWD, FAR], 1, 256, 2.0)
    run_due(made, 10.0)
    tell(made, 1, [FAR], 1, 2048, 10.0)  # never feasible: it has to be asked for
    made.outgoing()
    made.link_down(0, 11.0)
    first: dict[str, int] = {}
    for at, (link, frame) in enumerate(frame for step in steps(made, 11.0) for frame in step):
        if link == 1 and isinstance(frame, SeqRequest):
            first.setdefault("request", at)
        elif link == 1 and isinstance(frame, Routes) and frame.entries[0].destination == FAR:
            first.setdefault("retraction", at)
    assert first["retraction"] < first["request"]


def test_what_nobody_was_told_of_is_not_retracted() -> None:
    made = core()
    tell(made, 0, [FAR], 1, 256, 2.0)
    tell(made, 0, [FAR], 1, METRIC_RETRACTED, 2.0)
    assert told(list(steps(made, 3.0)), 1) == []


def test_changes_during_a_round_belong_to_the_next_one_after_the_pause() -> None:
    waiting = TriggeredUpdates(Bites())
    for node_id in CROWD:
        waiting.add(node_id, 1.0, pause_s=UPDATE_PAUSE_S)
    now, rounds = waiting.deadline(), 0
    taken = waiting.take(now, 10)
    while waiting.deadline() <= now:
        waiting.add(taken[0], now, pause_s=UPDATE_PAUSE_S)
        waiting.add(CROWD[-1], now, pause_s=UPDATE_PAUSE_S)  # not told yet in this round
        taken = waiting.take(now, 10)
        rounds += 1
    assert rounds == len(CROWD) // 10 - 1
    assert waiting.deadline() == now + UPDATE_PAUSE_S
    assert CROWD[-1] not in list(waiting)
    waiting.retract(FAR, now)
    assert waiting.deadline() == now


def test_a_destination_without_a_route_before_waits_for_a_shorter_pause_and_takes_the_others_along() -> None:
    waiting = TriggeredUpdates(Bites())
    waiting.add(CROWD[0], 1.0, pause_s=UPDATE_PAUSE_S)
    now = waiting.deadline()
    waiting.take(now, 10)
    waiting.add(CROWD[1], now, pause_s=UPDATE_PAUSE_S)
    waiting.add(CROWD[2], now, pause_s=FIRST_ROUTE_PAUSE_S)
    assert waiting.deadline() == now + FIRST_ROUTE_PAUSE_S
    assert waiting.take(waiting.deadline(), 10) == [CROWD[1], CROWD[2]]


class Peer:
    """What a neighbour holds of what it was told, and that it was told nothing that is not feasible later."""

    def __init__(self) -> None:
        self.entries: dict[NodeId, tuple[int, int]] = {}
        self.unrepeated: set[NodeId] | None = None

    def take(self, frame: Routes) -> None:
        if frame.first:
            self.unrepeated = set(self.entries)
        for node_id, seq, metric, _ in frame.entries:
            self.entries.pop(node_id, None)
            if metric != METRIC_RETRACTED:
                self.entries[node_id] = seq, metric
                if self.unrepeated is not None:
                    self.unrepeated.discard(node_id)
        if frame.last and self.unrepeated is not None:
            for node_id in self.unrepeated:
                self.entries.pop(node_id, None)
            self.unrepeated = None


def deliver(made: Babel[int], peers: dict[int, Peer]) -> None:
    """Hand out what was sent; nothing sent is better than the feasibility distance."""
    for link, frame in made.outgoing():
        if isinstance(frame, Routes):
            peers[link].take(frame)
            for node_id, seq, metric, _ in frame.entries:
                if node_id != OWN and metric != METRIC_RETRACTED:
                    best_seq, best_metric = made.table._distances[node_id]
                    assert (best_seq, -best_metric) >= (seq, -metric)


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["tell", "tell", "tell", "retract", "step", "step", "up", "down"]),
        st.integers(0, 3),
        st.integers(0, 5),
        st.integers(1, 4),
        st.sampled_from([0.0, 0.001, 0.2, 30.0]),
    ),
    max_size=80,
)


@settings(max_examples=300, deadline=None)
@given(ACTS)
def test_however_steps_and_changes_alternate_the_peers_hold_what_is_selected(
    acts: list[tuple[str, int, int, int, float]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(updates.TOLD_AT_ONCE, "value", 2)
        made: Babel[int] = Babel(OWN, lambda _: 100, lambda: 0.5, 0.0, relays=True)
        made.own_card(100, 0.0)
        now, peers = 0.0, {}
        for act, link, node, number, wait in acts:
            now += wait
            if act == "up" and link not in peers:
                peers[link] = Peer()
                made.link_up(link, PEERS[link], now)
            elif act == "down" and link in peers:
                del peers[link]
                made.link_down(link, now)
            elif act == "step" and made.deadline() <= now:
                made.tick(now)
            elif act in {"tell", "retract"}:
                metric = 256 * number if act == "tell" else METRIC_RETRACTED
                tell(made, link, [CROWD[node]], number, metric, now)
            deliver(made, peers)
        now += UPDATE_PAUSE_S + 1.0
        run_due(made, now)
        deliver(made, peers)
        for link, peer in peers.items():
            selected = made.table.selected.values()
            expected = {route.destination: (route.seq, route.metric) for route in selected if route.link != link}
            held = {
                node_id: entry for node_id, entry in peer.entries.items() if node_id not in {OWN, *stale(made, link)}
            }
            assert held == expected
            assert peer.entries[OWN] == (100, 0)


def stale(made: Babel[int], link: int) -> set[NodeId]:
    """What goes through the peer itself, which may still hold what it was told of an earlier route."""
    return {route.destination for route in made.table.selected.values() if route.link == link}
