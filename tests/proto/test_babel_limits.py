"""What a neighbour can make the routing core hold, and what a liar cannot do."""

import pytest

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto import babel, deferred_routes
from pimd.proto.babel import EXPIRY_S, SWEEP_S, Babel
from pimd.proto.control import SeqRequest
from pimd.proto.frames import METRIC_PER_HOP, METRIC_RETRACTED, RouteEntry, Routes
from pimd.proto.seq_requests import FORWARD_PAUSE_S, IDS, PASSED_ON, SeenRequests
from tests.limits import Lower
from tests.proto.routing_node import name, run_due

OWN, NEAR, OTHER, FAR = (name(n) for n in (1, 2, 3, 4))


def core(cards: dict[NodeId, int] | None = None, *, relays: bool = True) -> Babel[str]:
    known = cards if cards is not None else {}
    made: Babel[str] = Babel(OWN, lambda node: known.get(node, 100), lambda: 0.5, 0.0, relays=relays)
    made.own_card(100, 0.0)
    made.link_up("near", NEAR, 0.0)
    made.link_up("other", OTHER, 0.0)
    run_due(made, 1.0)
    made.outgoing()
    return made


def told(*entries: tuple[NodeId, int, int], first: bool = False, last: bool = False) -> Routes:
    with_hops = [RouteEntry(node, seq, metric, metric // METRIC_PER_HOP) for node, seq, metric in entries]
    return Routes(tuple(with_hops), first=first, last=last)


def ask(destination: NodeId, seq: int, budget: int, id_: int, *, flood: bool = False) -> SeqRequest:
    return SeqRequest(destination, seq, budget, flood, id_)


@pytest.mark.limit("destinations with entries")
def test_entries_that_wait_for_cards_are_limited_too(lower: Lower) -> None:
    lower(babel.DESTINATIONS, 50)
    made = core()
    made.receive("other", told((FAR, 1, 256)), 1.0)
    for number in range(1000, 2000):
        made.receive("near", told((name(number), 500, 256)), 1.0)
    assert len(made._kept) == 50
    assert FAR in made.table.selected
    assert made.dropped == 951
    made.link_down("near", 2.0)
    assert len(made.deferred) == 0
    assert len(made._kept) == 1


@pytest.mark.limit("destinations with entries")
def test_destinations_are_limited_and_the_neighbour_with_the_most_pays(lower: Lower) -> None:
    lower(babel.DESTINATIONS, 50)
    made = core()
    made.receive("other", told((FAR, 1, 256)), 1.0)
    for number in range(100, 200):
        made.receive("near", told((name(number), 1, 256)), 1.0)
    assert len(made._kept) == 50
    assert FAR in made.table.selected
    assert made.dropped == 51


def test_a_mesh_just_over_the_limit_loses_what_is_over_it_and_no_more(lower: Lower) -> None:
    lower(babel.DESTINATIONS, 1000)
    made = core()
    entries = [(name(number), 1, 256) for number in range(100, 1106)]
    for _ in range(2):
        made.receive("near", told(*entries), 1.0)
        assert len(made._kept) == 1000
    assert made.dropped == 12


def test_whoever_has_the_most_is_looked_for_again(lower: Lower) -> None:
    lower(babel.DESTINATIONS, 1000)
    made = core()
    made.receive("near", told(*((name(number), 1, 256) for number in range(1000, 1900))), 1.0)
    made.receive("other", told(*((name(number), 1, 256) for number in range(3000, 4900))), 1.0)
    # A hundredth at most goes before it is looked again.
    assert abs(len(made.table.of_link("near")) - 500) <= 10
    assert abs(len(made.table.of_link("other")) - 500) <= 10
    made.link_down("near", 2.0)
    made.receive("other", told(*((name(number), 1, 256) for number in range(5000, 6000))), 3.0)
    assert len(made._kept) == 1000


def test_a_flood_that_a_friend_passes_on_does_not_push_out_the_friend(lower: Lower) -> None:
    lower(babel.DESTINATIONS, 50)
    made = core()
    made.receive("near", told((NEAR, 1, 0), (FAR, 1, 256), first=True, last=True), 1.0)
    for number in range(100, 200):
        made.receive("near", told((name(number), 1, 512)), 1.0)
    assert len(made._kept) == 50
    assert {NEAR, FAR} <= made.table.selected.keys()


def test_an_entry_too_good_to_be_true_is_dropped_and_counted() -> None:
    made = core()
    made.receive("near", told((FAR, 1, 0), (OTHER, 1, 255), (NEAR, 1, 0), (OWN, 1, 256)), 1.0)
    assert list(made.table.selected) == [NEAR]
    assert made.dropped == 2


def test_a_number_that_only_the_destination_can_give_waits_for_its_card() -> None:
    cards = {FAR: 5}
    made = core(cards)
    made.receive("near", told((FAR, 5, 512)), 1.0)
    made.receive("near", told((FAR, 9, 256)), 1.0)
    assert made.table.selected[FAR].seq == 5  # what it would replace stays in use
    assert made.cards_wanted() == [("near", FAR)]
    made.tick(3.1)
    assert made.cards_wanted() == [("near", FAR)]
    cards[FAR] = 9
    made.card_learned(FAR, 9, 4.0)
    assert (made.table.selected[FAR].seq, made.table.selected[FAR].metric) == (9, 512)
    made.tick(9.0)
    assert made.cards_wanted() == []


def test_of_numbers_deferred_the_last_of_a_link_is_kept() -> None:
    made = core({FAR: 1})
    for seq in range(10, 1000):
        made.receive("near", told((FAR, seq, 256)), 1.0)
    assert len(made.deferred.of_link("near")) == 1


def test_a_full_table_drops_what_it_does_not_repeat_and_a_last_without_a_first_drops_nothing() -> None:
    made = core()
    made.receive("near", told((FAR, 1, 256), (NEAR, 1, 0)), 1.0)
    made.receive("near", told((NEAR, 1, 0), last=True), 1.0)
    assert FAR in made.table.selected
    made.receive("near", told((NEAR, 1, 0), first=True), 1.0)
    made.receive("near", told((FAR, 1, 512)), 1.0)  # in between: counts as repeated
    made.receive("near", told(last=True), 1.0)
    assert FAR in made.table.selected
    made.receive("near", told((NEAR, 1, 0), first=True, last=True), 1.0)
    assert FAR not in made.table.selected


def test_what_is_not_refreshed_expires() -> None:
    made = core()
    made.receive("near", told((FAR, 1, 256)), 1.0)
    made.tick(100.0)
    assert FAR in made.table.selected
    made.tick(112.0)
    assert FAR not in made.table.selected


def test_a_route_is_not_told_to_its_next_hop_and_a_loss_is_told_to_all() -> None:
    made = core()
    made.receive("near", told((FAR, 1, 256)), 1.0)
    made.tick(2.0)
    sent = [(link, frame.entries) for link, frame in made.outgoing() if isinstance(frame, Routes)]
    assert sent == [("other", (RouteEntry(FAR, 1, 512, 2),))]
    made.receive("near", told((FAR, 1, METRIC_RETRACTED)), 3.0)
    assert made.deadline() == 3.0  # at once
    made.tick(3.0)
    retracted = {link for link, frame in made.outgoing() if isinstance(frame, Routes)}
    assert retracted == {"near", "other"}


def test_requests_are_answered_passed_on_once_or_left() -> None:
    made = core()
    made.receive("near", told((FAR, 5, 256)), 1.0)
    made.tick(2.0)
    made.outgoing()
    made.seq_request("other", ask(FAR, 5, 255, 1), 2.0)
    assert made.outgoing() == [("other", told((FAR, 5, 512)))]
    made.seq_request("other", ask(FAR, 6, 255, 2), 2.0)
    assert made.outgoing() == [("near", ask(FAR, 6, 254, 2))]
    made.seq_request("other", ask(FAR, 6, 255, 3), 2.1)  # within 300 ms
    made.seq_request("near", ask(FAR, 6, 255, 4), 3.0)  # its next hop is the asker
    made.seq_request("other", ask(FAR, 6, 1, 5), 4.0)  # the budget is used up
    assert made.outgoing() == []
    made.seq_request("other", ask(FAR, 6, 9, 6, flood=True), 5.0)
    assert made.outgoing() == [("near", ask(FAR, 6, 8, 6, flood=True))]
    made.seq_request("near", ask(FAR, 6, 9, 6, flood=True), 6.0)  # the same flood from elsewhere
    assert made.outgoing() == []


def test_the_destination_issues_a_newer_card_and_never_the_number_asked_for() -> None:
    made = core()
    made.seq_request("near", ask(OWN, 100, 255, 1), 2.0)
    assert made.own_card_wanted() is None
    made.seq_request("near", ask(OWN, 2**44 - 1, 255, 2), 2.0)
    assert made.own_card_wanted() == 100
    assert made.own_card_wanted() is None  # told once


def test_a_node_that_does_not_relay_passes_nothing_on() -> None:
    made = core(relays=False)
    made.receive("near", told((FAR, 5, 256)), 1.0)
    made.tick(2.0)
    made.outgoing()
    made.seq_request("other", ask(FAR, 9, 255, 1, flood=True), 2.0)
    assert made.outgoing() == []


@pytest.mark.limit("SeqRequests remembered", "destinations remembered for which SeqRequests were passed on")
def test_remembered_requests_are_limited() -> None:
    seen = SeenRequests(Bites())
    for number in range(IDS.value + 100):
        assert seen.may_pass_on(name(number), number, 1.0, flood=True)
    assert (len(seen._ids), len(seen._passed_on)) == (IDS.value, PASSED_ON.value)
    assert not seen.may_pass_on(name(IDS.value), 10**9, 1.0 + FORWARD_PAUSE_S / 2, flood=True)
    assert seen.may_pass_on(name(IDS.value), 10**9, 1.0 + FORWARD_PAUSE_S, flood=True)


def full_table(count: int) -> list[Routes]:
    entries = [(name(number), 1, 256) for number in range(1000, 1000 + count)]
    return [told(*entries[at : at + 1000], first=at == 0, last=at + 1000 >= count) for at in range(0, count, 1000)]


def test_a_lost_link_retracts_all_its_destinations_in_one_frame_a_link() -> None:
    made = core()
    for part in full_table(500):
        made.receive("near", part, 1.0)
    made.tick(1.5)
    made.outgoing()
    made.link_down("near", 2.0)
    made.tick(2.0)
    [(link, frame)] = made.outgoing()
    assert link == "other"
    assert isinstance(frame, Routes)
    assert len(frame.entries) == 500
    assert {entry.metric for entry in frame.entries} == {METRIC_RETRACTED}


def test_of_a_full_table_under_way_only_what_is_kept_is_remembered(lower: Lower) -> None:
    lower(babel.DESTINATIONS, 50)
    made = core()
    made.receive("near", told(first=True), 1.0)
    for number in range(1000, 3000):
        made.receive("near", told((name(number), 1, METRIC_RETRACTED), (name(number), 1, 7), (OWN, 1, 256)), 1.0)
        made.receive("near", told((name(number), 1, 256), (name(number), 500, 256)), 1.0)
    assert made._links["near"].unrepeated == {}
    made.receive("near", told(first=True), 2.0)
    unrepeated = made._links["near"].unrepeated
    assert unrepeated is not None
    assert len(unrepeated) == 50


def test_a_destination_that_waits_on_many_links_counts_once(lower: Lower) -> None:
    lower(babel.DESTINATIONS, 50)
    made = core()
    for link in ("near", "other"):
        for number in range(1000, 1040):
            made.receive(link, told((name(number), 500, 256)), 1.0)
    assert made.dropped == 0
    assert len(made._kept) == 40


def test_the_limit_holds_although_all_neighbours_know_the_same_destinations(lower: Lower) -> None:
    lower(babel.DESTINATIONS, 50)
    made = core()
    for link in ("near", "other"):
        for number in range(1000, 1050):
            made.receive(link, told((name(number), 1, 256)), 1.0)
    made.receive("other", told(*((name(number), 1, 256) for number in range(2000, 2030))), 1.0)
    assert len(made._kept) == 50


def test_what_waits_for_a_card_goes_when_a_full_table_does_not_repeat_it_or_it_is_old() -> None:
    made = core({FAR: 1})
    made.receive("near", told((FAR, 9, 256)), 1.0)
    made.receive("near", told((NEAR, 1, 0), first=True, last=True), 2.0)
    assert len(made.deferred) == 0
    made.receive("near", told((FAR, 9, 256)), 3.0)
    made.tick(3.0 + EXPIRY_S)
    assert len(made.deferred) == 1
    made.tick(3.0 + EXPIRY_S + SWEEP_S)
    assert len(made.deferred) == 0


def test_a_card_is_wished_for_once_when_its_entry_comes_and_then_every_two_seconds() -> None:
    made = core({FAR: 1})
    for _ in range(10):
        made.receive("near", told((FAR, 9, 256)), 1.0)
    assert made.cards_wanted() == [("near", FAR)]
    made.receive("near", told((FAR, 10, 256)), 1.5)
    assert made.cards_wanted() == [("near", FAR)]
    made.tick(3.0)
    assert made.cards_wanted() == [("near", FAR)]


def test_cards_that_cannot_all_be_asked_for_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred_routes, "WISHES_AT_ONCE", 2)
    made = core({name(number): 1 for number in range(10, 14)})
    made.receive("near", told(*((name(number), 9, 256) for number in range(10, 14))), 1.0)
    assert len(made.cards_wanted()) == 4
    asked = []
    for now in (3.0, 5.0):
        made.tick(now)
        asked.append([node_id for _, node_id in made.cards_wanted()])
    assert asked == [[name(10), name(11)], [name(12), name(13)]]


def starving(made: Babel[str]) -> None:
    """FAR is known by an entry that may not be used, and was asked for in vain for a minute."""
    made.receive("near", told((FAR, 5, 256)), 1.0)
    made.tick(2.0)
    made.receive("near", told((FAR, 5, 1024)), 3.0)
    now = 3.0
    while now < 60.0:
        now = max(now, made.deadline())
        made.tick(now)
    made.outgoing()


def test_a_new_way_to_a_starving_destination_is_asked_for_a_number_at_once() -> None:
    made = core()
    starving(made)
    made.receive("other", told((FAR, 5, 1280)), 61.0)
    assert made.deadline() <= 61.0
    made.tick(61.0)
    assert [frame for link, frame in made.outgoing() if link == "other" and isinstance(frame, SeqRequest)]


def test_a_request_that_can_go_nowhere_does_not_stop_the_next_one() -> None:
    made = core()
    made.receive("near", told((FAR, 5, 256)), 1.0)
    made.tick(2.0)
    made.outgoing()
    made.seq_request("near", ask(FAR, 6, 255, 1), 2.0)  # its next hop is the asker
    made.seq_request("other", ask(FAR, 6, 255, 2), 2.001)
    assert made.outgoing() == [("near", ask(FAR, 6, 254, 2))]


def test_frames_of_a_link_that_is_not_up_change_nothing() -> None:
    made = core()
    assert not made.receive("gone", told((FAR, 1, 256), first=True, last=True), 1.0)
    made.seq_request("gone", ask(FAR, 6, 255, 1, flood=True), 1.0)
    assert FAR not in made.table.selected
    assert made.outgoing() == []


@pytest.mark.limit("SeqRequests remembered")
def test_own_requests_are_remembered_within_the_limit() -> None:
    seen = SeenRequests(Bites())
    for number in range(IDS.value + 100):
        seen.note_id(number)
    assert len(seen._ids) == IDS.value


def lose(made: Babel[str], numbers: range, now: float) -> float:
    """Let destinations get a route, tell of it, and lose it, one after the other; returns when that was over."""
    for number in numbers:
        made.receive("near", told((name(number), 1, 256)), now)
        made.tick(now + 0.2)
        made.receive("near", told((name(number), 1, METRIC_RETRACTED)), now + 0.2)
        made.tick(now + 0.2)
        now += 0.4
    made.outgoing()
    return now


@pytest.mark.limit("lost destinations whose feasibility distance is kept")
def test_while_too_much_was_lost_new_destinations_are_refused_and_no_distance_is_forgotten(
    lower: Lower,
) -> None:
    lower(babel.LOST, 50)
    made = core()
    made.receive("other", told((FAR, 1, 256)), 1.0)
    made.tick(1.3)
    now = lose(made, range(1000, 1200), 2.0)
    assert list(made._lost_at) == [name(number) for number in range(1000, 1050)]
    assert set(made.table._distances) == {FAR, *made._lost_at}
    assert made.dropped == 150
    made.receive("near", told((name(1000), 1, 1024)), now)  # worse than what was told
    assert name(1000) not in made.table.selected
    made.receive("near", told((name(1001), 1, 256)), now)
    assert name(1001) in made.table.selected
    made.tick(now + 250.0)
    made.receive("near", told((name(1100), 1, 256)), now + 250.0)
    assert name(1100) in made.table.selected


def test_while_too_much_was_lost_neighbours_and_what_is_known_still_get_routes(lower: Lower) -> None:
    lower(babel.LOST, 50)
    made = core()
    made.receive("other", told((FAR, 1, 256)), 1.0)
    made.tick(1.3)
    now = lose(made, range(1000, 1060), 2.0)
    assert len(made._lost_at) == 50
    friend = name(7)
    made.link_up("friend", friend, now)
    made.receive("friend", told((friend, 1, 0), (FAR, 2, 512)), now)
    assert made.table.selected[friend].link == "friend"
    assert FAR in made.table.of_link("friend")


@pytest.mark.limit("lost destinations nobody was told of")
def test_a_node_that_tells_nobody_loses_no_route_to_a_flood_of_lost_destinations(
    lower: Lower,
) -> None:
    lower(babel.LOST_UNTOLD, 50)
    made: Babel[str] = Babel(OWN, lambda _: 10, lambda: 0.5, 0.0, relays=False)
    made.link_up("near", NEAR, 0.0)
    now = lose(made, range(1000, 1200), 2.0)
    assert made._lost_at == {}
    assert list(made._lost_untold) == [name(number) for number in range(1150, 1200)]
    made.receive("near", told((FAR, 1, 256)), now)
    made.receive("near", told((FAR, 2, 1024)), now + 1.0)
    assert made.table.selected[FAR].seq == 2
    assert made.dropped == 0
    made.tick(now + 250.0)
    assert set(made._lost_untold) == {FAR}  # nobody repeated it, so it expired just now


@pytest.mark.limit("destinations remembered as asked for")
def test_destinations_remembered_as_asked_for_are_limited(lower: Lower) -> None:
    lower(babel.ASKED, 50)
    made = core()
    for number in range(1000, 1100):
        made.seq_request("near", ask(name(number), 6, 255, number, flood=True), 1.0)
    assert list(made._asked_at) == [name(number) for number in range(1050, 1100)]
    made.tick(12.0)
    assert made._asked_at == {}


def test_what_is_to_be_asked_for_and_told_is_limited_by_the_destinations(lower: Lower) -> None:
    lower(babel.DESTINATIONS, 50)
    made = core()
    numbers = range(1000, 1200)
    for number in numbers:
        made.receive("near", told((name(number), 1, 256)), 1.0)
        made.tick(1.5)
    for number in numbers:  # worse than what was told of them
        made.receive("near", told((name(number), 1, 1024)), 2.0)
    made.tick(2.0)
    assert len(made._starving) <= 50
    assert len(made._updates) <= 50
    assert len(made.table.selected) <= 50


def test_the_cost_of_a_link_counts_in_the_metric_and_not_in_what_is_feasible() -> None:
    made: Babel[str] = Babel(OWN, lambda _: 100, lambda: 0.5, 0.0, relays=True)
    made.own_card(100, 0.0)
    made.link_up("dear", NEAR, 0.0, cost=1000)
    made.link_up("cheap", OTHER, 0.0)
    made.receive("dear", told((FAR, 1, 700)), 0.0)
    made.receive("cheap", told((FAR, 1, 512)), 0.0)
    selected = made.table.selected[FAR]
    assert (selected.link, selected.metric) == ("cheap", 768)
    made.tick(1.0)
    made.outgoing()  # 768 is on the wire now, and nothing that is not better may be used
    made.link_down("cheap", 1.0)
    selected = made.table.selected[FAR]
    assert (selected.link, selected.metric) == ("dear", 1700)
