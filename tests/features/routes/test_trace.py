"""Tracing over hops that answer, are silent, or lie."""

import asyncio
from contextlib import ExitStack

import pytest

from pimd.contract import Overloaded, PeerNotFound
from pimd_features.routes.models import ANSWER_S, TraceParams
from pimd_features.routes.plugin import TRACE_S, TRACES
from pimd_features.routes.wire import ANSWER_KIND, Answer
from tests.features.routes.conftest import World, node

A, B, C, D = (node(number) for number in (1, 2, 3, 4))


async def test_each_hop_is_asked_in_turn_and_shown_with_name_next_hop_and_time(world: World) -> None:
    world.mesh.lead(C, A, 3)
    with world.tracing(C) as trace:
        for hop, next_hop, name, took in ((A, B, "ann", 0.0101), (B, C, "bob", 0.25), (C, C, "carol", 1.9)):
            id_ = await world.asked(hop, C)
            world.clock.advance(took)
            await world.answer(hop, id_, next_hop, name)
        found = await trace
    assert (found.reached, found.note) == (True, "")
    rows = [(hop.hop, hop.node_id, hop.next_hop, hop.name, hop.time_ms, hop.state) for hop in found.hops]
    assert rows == [
        (1, A, B, "ann", 10.1, "answered"),
        (2, B, C, "bob", 250.0, "answered"),
        (3, C, C, "carol", 1900.0, "answered"),
    ]


async def test_a_hop_is_silent_after_two_seconds_and_the_destination_is_asked_all_the_same(world: World) -> None:
    silent = world.learn(9, name="quiet")
    await world.keystore.set_label(silent, "the quiet one")
    world.mesh.lead(D, silent, 4)
    with world.tracing(D) as trace:
        await world.asked(silent, D)
        world.clock.advance(ANSWER_S - 0.001)
        await asyncio.sleep(0)
        assert world.sent.empty()
        world.clock.advance(0.001)
        await world.answer(D, await world.asked(D, D), D, "dave")
        found = await trace
    assert ANSWER_S == 2
    assert found.reached
    assert [(hop.hop, hop.node_id, hop.state) for hop in found.hops] == [(1, silent, "silent"), (4, D, "answered")]
    assert (found.hops[0].name, found.hops[0].label, found.hops[0].time_ms) == ("quiet", "the quiet one", None)
    assert f"{silent} is silent" in found.note
    assert "what lies behind it is not known" in found.note


async def test_a_silent_destination_is_not_reached(world: World) -> None:
    world.mesh.lead(B, A, 2)
    with world.tracing(B, timeout_s=0.5) as trace:
        await world.answer(A, await world.asked(A, B), B)
        await world.asked(B, B)
        world.clock.advance(0.5)
        found = await trace
    assert not found.reached
    assert found.note.startswith(f"{B} is silent: it runs without the feature routes")


async def test_a_hop_that_nothing_can_be_sent_to_is_silent_at_once(world: World) -> None:
    world.mesh.lead(B, A, 2)
    world.unreachable = {A, B}
    with world.tracing(B) as trace:
        found = await trace
    assert [(hop.node_id, hop.state) for hop in found.hops] == [(A, "silent"), (B, "silent")]
    assert not found.reached


async def test_a_hop_without_a_route_ends_the_trace(world: World) -> None:
    world.mesh.lead(B, A, 2)
    with world.tracing(B) as trace:
        await world.answer(A, await world.asked(A, B), None, "ann")
        found = await trace
    assert [(hop.state, hop.next_hop, hop.name) for hop in found.hops] == [("no_route", None, "ann")]
    assert (found.reached, found.note) == (False, f"{A} has no route to {B}")


async def test_only_who_was_asked_can_answer_and_only_once_and_in_time(world: World) -> None:
    world.mesh.lead(C, A, 3)
    with world.tracing(C) as trace:
        first = await world.asked(A, C)
        await world.answer(D, first, D, "somebody else")
        await world.answer(A, first + 1, D, "to another question")
        await world.plugin.handle_payload(A, ANSWER_KIND, b"rubbish")
        await world.answer(A, first, B, "ann")
        await world.answer(A, first, D, "ann once more")
        await world.asked(B, C)
        await world.answer(A, first, D, "ann once more")
        world.clock.advance(2)
        last = await world.asked(C, C)
        await world.answer(C, last, C, "carol")
        found = await trace
    await world.answer(C, last, D, "late")
    assert [(hop.node_id, hop.state, hop.name) for hop in found.hops] == [
        (A, "answered", "ann"),
        (B, "silent", ""),
        (C, "answered", "carol"),
    ]


async def test_questions_that_are_over_are_not_kept(world: World) -> None:
    world.mesh.lead(C, A, 3)
    with world.tracing(C) as trace:
        await world.answer(A, await world.asked(A, C), B)
        await world.asked(B, C)
        assert len(world.plugin._questions._waiting) == 1
        trace.cancel()
        await asyncio.wait([trace])
    assert not world.plugin._questions._waiting
    assert world.plugin._traces.held == 0


async def test_the_questions_of_a_new_start_have_numbers_of_their_own(world: World) -> None:
    world.mesh.lead(A, A, 1)
    with world.tracing(A):
        before = await world.asked(A, A)
    world.clock.advance(1)
    await world.start(world.plugin._ctx.data_dir)
    with world.tracing(A):
        assert await world.asked(A, A) > before


async def test_a_name_is_a_strangers_text_and_is_cleaned(world: World) -> None:
    world.mesh.lead(A, A, 1)
    with world.tracing(A) as trace:
        id_ = await world.asked(A, A)
        named = Answer(id_, A, "").encode() + b"\x1b[31m\xff" + "\u202eevil\n".encode() + "é".encode() * 60
        await world.plugin.handle_payload(A, ANSWER_KIND, named)
        found = await trace
    assert found.hops[0].name == "[31mevil" + "é" * 25
    assert len(found.hops[0].name.encode()) <= 64


async def test_a_node_that_tells_of_ever_more_hops_holds_a_trace_for_so_long_and_no_longer(world: World) -> None:
    world.mesh.lead(D, node(100), 3)
    began = world.clock.now()
    with world.tracing(D) as trace:
        for number in range(100, 1000):
            while world.sent.empty() and not trace.done():
                await asyncio.sleep(0)
            if trace.done():
                break
            id_ = await world.asked(node(number), D)
            world.clock.advance(1.9)
            await world.answer(node(number), id_, node(number + 1))
        found = await trace
    assert TRACE_S - ANSWER_S - 1.9 < world.clock.now() - began <= TRACE_S
    assert not found.reached
    assert "a trace ends after 25 s" in found.note


@pytest.mark.limit("traces at once")
async def test_so_many_traces_run_at_once_and_no_more(world: World) -> None:
    world.mesh.lead(B, A, 2)
    with ExitStack() as stack:
        for _ in range(TRACES.value):
            stack.enter_context(world.tracing(B))
            await world.asked(A, B)
        with pytest.raises(Overloaded, match="32 traces"):
            await world.plugin.trace(TraceParams(node_id=B))
    await asyncio.sleep(0)
    with world.tracing(B):
        await world.asked(A, B)


async def test_a_trace_to_oneself_needs_nobody(world: World) -> None:
    found = await world.plugin.trace(TraceParams(node_id=world.identity.node_id))
    assert (found.reached, found.hops, found.note) == (True, [], "this is the node itself")


async def test_an_unknown_node_is_an_error_and_a_known_one_without_a_route_is_not_reached(world: World) -> None:
    with pytest.raises(PeerNotFound, match=str(A)):
        await world.plugin.trace(TraceParams(node_id=A))
    known = world.learn(9)
    found = await world.plugin.trace(TraceParams(node_id=known))
    assert (found.reached, found.hops, found.note) == (False, [], f"there is no route to {known} now")
