"""Who is there, and how much room they take."""

import pytest

from pimd.addresses import Endpoint
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd_features.discovery.networks import DialAddress
from pimd_features.discovery.sightings import INSTANCE, NODES, Sightings


class Now:
    """Monotonic seconds to be set."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def node(number: int) -> NodeId:
    return NodeId(number.to_bytes(16))


def at(number: int) -> DialAddress:
    return DialAddress(Endpoint.tcp(f"10.0.0.{number}", 9100), nearby=True)


def test_a_node_is_kept_with_its_times_until_it_goes() -> None:
    now = Now()
    seen = Sightings(now, Bites())
    seen.take("a", node(1), at(1))
    now.seconds += 5
    seen.heard("a")
    seen.heard("nobody")
    (one,) = seen.all()
    assert (one.node_id, one.first_seen, one.last_seen) == (node(1), 100.0, 105.0)
    seen.drop("a")
    seen.drop("a")
    assert seen.all() == []


def test_a_node_that_moves_keeps_its_place() -> None:
    seen = Sightings(Now(), Bites())
    seen.take("a", node(1), at(1))
    seen.take("b", node(2), at(2))
    seen.take("a", node(1), at(3))
    assert [(one.instance, one.address) for one in seen.all()] == [("a", at(3)), ("b", at(2))]


def test_a_node_under_a_new_name_keeps_its_place_and_time_and_its_old_name_is_nobodys() -> None:
    now = Now()
    seen = Sightings(now, Bites())
    seen.take("before", node(1), at(1))
    seen.take("other address", node(1), at(2))
    seen.take("other node", node(2), at(1))
    now.seconds += 3000
    seen.take("after", node(1), at(1))
    seen.drop("before")
    assert [one.instance for one in seen.all()] == ["after", "other address", "other node"]
    first = seen.all()[0]
    assert (first.first_seen, first.last_seen) == (100.0, 3100.0)


@pytest.mark.limit("nodes found on the local network")
def test_there_is_room_for_so_many_and_a_newcomer_pushes_nobody_out() -> None:
    seen = Sightings(Now(), Bites())
    for number in range(NODES.value + 100):
        seen.take(f"n{number}", node(number), at(number))
    assert [one.instance for one in seen.all()] == [f"n{number}" for number in range(NODES.value)]
    seen.drop("n0")
    seen.take("late", node(5000), at(1))
    assert seen.all()[-1].instance == "late"


@pytest.mark.limit("name of an instance on the local network")
def test_an_overlong_instance_name_is_turned_away() -> None:
    seen = Sightings(Now(), Bites())
    seen.take("x" * (INSTANCE.value + 1), node(1), at(1))
    assert seen.all() == []
    seen.take("x" * INSTANCE.value, node(1), at(1))
    assert len(seen.all()) == 1


def test_who_is_not_heard_again_after_a_new_beginning_goes() -> None:
    seen = Sightings(Now(), Bites())
    for name, number in (("heard", 1), ("taken", 2), ("silent", 3)):
        seen.take(name, node(number), at(number))
    seen.doubt_all()
    seen.heard("heard")
    seen.take("taken", node(2), at(2))
    seen.retain(lambda one: one.confirmed)
    assert [one.instance for one in seen.all()] == ["heard", "taken"]
