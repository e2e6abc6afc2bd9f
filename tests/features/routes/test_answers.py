"""What a node tells others, and what it tells its user at once."""

import pytest

from pimd.contract import ConfigSaveRejected, Membership, NoParams
from pimd.proto.cards import GATEWAY, RELAYS
from pimd_features.routes.asking import ANSWERS, ANSWERS_OF_SOURCE
from pimd_features.routes.models import KnownGateway, MeshStatus, SplitParams
from pimd_features.routes.wire import ASK_KIND, Answer
from tests.features.routes.conftest import World, node

A, B, C = (node(number) for number in (1, 2, 3))


async def test_who_is_asked_tells_its_next_hop_and_its_name(world: World) -> None:
    world.mesh.lead(C, B, 2)
    own = world.identity.node_id
    assert await world.ask(A, C, 5) == Answer(5, B, "me")
    assert await world.ask(A, own, 6) == Answer(6, own, "me")
    assert await world.ask(A, node(99), 7) == Answer(7, None, "me")


@pytest.mark.parametrize("length", [0, 23, 25, 60_000])
async def test_a_malformed_question_gets_no_answer(world: World, length: int) -> None:
    await world.plugin.handle_payload(A, ASK_KIND, bytes(length))
    assert world.sent.empty()


@pytest.mark.limit("questions of a trace answered of one source")
async def test_one_source_gets_so_many_answers_a_second_and_costs_others_nothing(world: World) -> None:
    answers = [await world.ask(A, C) for _ in range(ANSWERS_OF_SOURCE.value + 3)]
    assert [answer is not None for answer in answers] == [True] * ANSWERS_OF_SOURCE.value + [False] * 3
    assert await world.ask(B, C) is not None
    world.clock.advance(1)
    assert await world.ask(A, C) is not None


@pytest.mark.limit("questions of a trace answered")
async def test_all_sources_together_get_so_many_answers_a_second_and_no_more_are_counted(world: World) -> None:
    answered = [await world.ask(node(number), C) is not None for number in range(ANSWERS.value + 50)]
    assert answered == [True] * ANSWERS.value + [False] * 50
    assert len(world.plugin._answers._of_source) == ANSWERS.value
    world.clock.advance(1)
    assert await world.ask(A, C) is not None
    assert len(world.plugin._answers._of_source) == 1


async def test_the_table_has_every_route_and_the_gateways_with_the_nearest_selected(world: World) -> None:
    far, near = world.learn(1, GATEWAY | RELAYS), world.learn(2, GATEWAY)
    as_near, plain, away = world.learn(3, GATEWAY), world.learn(4, RELAYS), world.learn(5, GATEWAY)
    for destination, hops in ((far, 4), (near, 2), (as_near, 2), (plain, 1), (A, 1)):
        world.mesh.lead(destination, B, hops, learned_at=world.clock.now() - 7.9)
    table = await world.plugin.table(NoParams())
    first, second = sorted((near, as_near))
    assert table.gateways == [
        KnownGateway(node_id=first, via=B, hops=2, score=0.5, selected=True),
        KnownGateway(node_id=second, via=B, hops=2, score=0.5, selected=False),
        KnownGateway(node_id=far, via=B, hops=4, score=0.25, selected=False),
    ]
    rows = {row.destination: row for row in table.routes}
    assert set(rows) == {far, near, as_near, plain, A}
    assert away not in rows
    assert {row.destination for row in table.routes if row.is_gateway} == {far, near, as_near}
    assert (rows[far].via, rows[far].learned_from, rows[far].hops, rows[far].age_s, rows[far].load) == (B, B, 4, 7, 0)


async def test_the_mesh_is_shown_as_the_node_is_in_it(world: World) -> None:
    assert await world.plugin.mesh_status(NoParams()) == MeshStatus(mode="open", mesh_id=None, fingerprint=None)
    world.mesh.membership = Membership("private", "home", "0123456789abcdef")
    expected = MeshStatus(mode="private", mesh_id="home", fingerprint="0123456789abcdef")
    assert await world.plugin.mesh_status(NoParams()) == expected


async def test_a_wish_that_cannot_be_kept_is_an_error_and_not_told(world: World) -> None:
    with world.default_route.subscribe() as told:
        with pytest.raises(ConfigSaveRejected, match="an administrator decides"):
            await world.plugin.set_split_default(SplitParams(on=True))
        assert told.next_waiting() is None
