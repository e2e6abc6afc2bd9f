"""Whom a trace asks next, whatever the hops claim."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.contract import RouteInfo
from pimd.ids import NodeId
from pimd_features.routes.path import HOP_LIMIT, Path
from pimd_features.routes.wire import Answer
from tests.features.routes.conftest import node

OWN, FIRST, SECOND, LAST = (node(number) for number in (1, 2, 3, 4))


def path(hops: int = 3) -> Path:
    return Path(OWN, RouteInfo(LAST, FIRST, 256 * hops, 1, 0.0, hops))


def named(next_hop: NodeId | None) -> Answer:
    return Answer(1, next_hop, "")


@pytest.mark.parametrize("back", [OWN, FIRST, SECOND])
def test_a_next_hop_that_was_passed_already_ends_the_trace_with_a_note(back: NodeId) -> None:
    trace = path()
    trace.take(named(SECOND), 0.1)
    trace.take(named(back), 0.1)
    assert (trace.next, trace.reached) == (None, False)
    assert trace.note == f"{SECOND} passes on to {back}, which was passed already: routes are changing, or a node lies"


def test_a_chain_of_ever_new_hops_ends_after_255() -> None:
    trace = path()
    asked = 0
    while trace.next is not None:
        asked += 1
        trace.take(named(node(1000 + asked)), 0.1)
    assert HOP_LIMIT == asked == 255
    assert "255 hops" in trace.note


@given(st.lists(st.none() | st.integers(0, 8), max_size=20))
def test_it_ends_and_says_why_and_asks_nobody_twice(claims: list[int | None]) -> None:
    trace = path()
    for claim in claims:
        if trace.next is None:
            break
        trace.take(None if claim is None else named(None if claim == 0 else node(claim)), 0.1)
    while trace.next is not None:
        trace.take(None, 2.0)
    asked = [step.node_id for step in trace.steps]
    assert len(set(asked)) == len(asked)
    assert OWN not in asked
    assert trace.reached == (asked[-1] == LAST and trace.steps[-1].answer is not None)
    assert trace.reached or trace.note


def test_a_trace_that_is_over_takes_nothing_more() -> None:
    trace = path()
    trace.end("enough")
    with pytest.raises(ValueError, match="over"):
        trace.take(named(LAST), 0.1)
