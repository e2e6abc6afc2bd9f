"""Which gateway is told of, on a clock moved by hand."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pimd.assembly.guard import Guard
from pimd.assembly.timers import Timers
from pimd.clock import ManualClock
from pimd.contract import KEYSTORE, MESH, Forgotten, RouteFound, RouteInfo, RouteLost, ServiceKey
from pimd.events import Topic
from pimd.ids import NodeId
from pimd.proto.cards import GATEWAY, RELAYS, issue
from pimd.proto.identity import Identity
from pimd.store.keystore import Keystore
from pimd_features.status.gateways import LOOK_S, PAUSE_S, GatewayWatch

Told = tuple[NodeId | None, NodeId | None]


@dataclass
class World:
    """A watch, the routes it sees, and what it told."""

    clock: ManualClock
    keystore: Keystore
    table: dict[NodeId, RouteInfo] = field(default_factory=dict)
    looked_up: int = 0
    told: list[Told] = field(default_factory=list)
    topic: "Topic[Any]" = field(default_factory=Topic)

    def __post_init__(self) -> None:
        self.call_later = Timers(Guard("status", self.clock)).call_later
        context: Any = self  # the three members it needs
        self.watch = GatewayWatch(context)

    @property
    def services(self) -> "World":
        return self

    def __getitem__(self, key: ServiceKey[Any]) -> Any:
        return {MESH: self, KEYSTORE: self.keystore}[key]

    def destinations(self) -> Collection[NodeId]:
        return self.table.keys()

    def route(self, destination: NodeId) -> RouteInfo | None:
        self.looked_up += 1
        return self.table.get(destination)

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        await self.keystore.durable()
        for _ in range(20):
            await asyncio.sleep(0)

    async def lead(self, destination: NodeId, hops: int) -> None:
        new = destination not in self.table
        self.table[destination] = RouteInfo(destination, destination, 256 * hops, 1, 0.0, hops)
        if new:
            self.topic.publish(RouteFound(destination))
        await self.settle()

    async def lose(self, destination: NodeId) -> None:
        del self.table[destination]
        self.topic.publish(RouteLost(destination))
        await self.settle()

    async def learn(self, seed: int, flags: int, seq: int = 1) -> NodeId:
        card = issue(Identity.from_seed(bytes([seed]) * 32), seq, flags, "somebody")
        self.keystore.learn(card, direct=False)
        await self.settle()
        return card.node_id

    async def pass_time(self, seconds: float) -> None:
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.clock.advance(min(0.25, end - self.clock.now()))
            await self.settle()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = ManualClock()
    async with Keystore.open(tmp_path / "peers.db", clock) as keystore, asyncio.TaskGroup() as group:
        world = World(clock, keystore)
        tasks = [
            group.create_task(world.watch.follow_routes(world.topic.subscribe())),
            group.create_task(world.watch.follow_cards(keystore.subscribe())),
            group.create_task(world.watch.watch(lambda before, now: world.told.append((before, now)))),
        ]
        await world.settle()
        await world.pass_time(PAUSE_S)
        yield world
        for task in tasks:
            task.cancel()


async def test_a_gateway_is_selected_when_it_has_a_card_and_a_route_in_either_order(world: World) -> None:
    first = await world.learn(1, GATEWAY)
    await world.pass_time(PAUSE_S)
    assert world.told == []
    await world.lead(first, 3)
    await world.pass_time(PAUSE_S)
    assert world.told == [(None, first)]
    second = Identity.from_seed(bytes([2]) * 32).node_id
    await world.lead(second, 1)
    await world.pass_time(PAUSE_S)
    assert world.told == [(None, first)]
    await world.learn(2, GATEWAY | RELAYS)
    await world.pass_time(PAUSE_S)
    assert world.told == [(None, first), (first, second)]
    assert world.watch.selected() == second


async def test_the_next_one_takes_over_and_the_last_one_is_lost(world: World) -> None:
    near, far = await world.learn(1, GATEWAY), await world.learn(2, GATEWAY)
    await world.lead(near, 1)
    await world.lead(far, 2)
    await world.pass_time(PAUSE_S)
    await world.lose(near)
    await world.pass_time(PAUSE_S)
    await world.learn(2, RELAYS, seq=2)
    await world.pass_time(PAUSE_S)
    assert world.told == [(None, near), (near, far), (far, None)]


async def test_a_forgotten_gateway_is_lost(world: World) -> None:
    gateway = await world.learn(1, GATEWAY)
    await world.lead(gateway, 1)
    await world.pass_time(PAUSE_S)
    await world.keystore.forget(gateway)
    await world.pass_time(PAUSE_S)
    assert world.told == [(None, gateway), (gateway, None)]


async def test_a_way_that_gets_longer_is_noticed_though_it_is_no_event(world: World) -> None:
    one, other = await world.learn(1, GATEWAY), await world.learn(2, GATEWAY)
    await world.lead(one, 1)
    await world.lead(other, 2)
    await world.pass_time(PAUSE_S)
    await world.lead(one, 3)
    await world.pass_time(PAUSE_S + LOOK_S)
    assert world.told == [(None, one), (one, other)]


async def test_a_gateway_that_comes_and_goes_is_told_of_at_most_once_a_second(world: World) -> None:
    gateway = await world.learn(1, GATEWAY)
    await world.pass_time(PAUSE_S)
    began = world.clock.now()
    for _ in range(20):
        await world.lead(gateway, 1)
        await world.pass_time(0.25)
        await world.lose(gateway)
        await world.pass_time(0.5)
    assert 10 <= len(world.told) <= (world.clock.now() - began) / PAUSE_S + 1


async def test_a_thousand_nodes_that_are_no_gateways_cost_no_look(world: World) -> None:
    await world.pass_time(PAUSE_S)
    before = world.looked_up
    for number in range(1000):
        world.topic.publish(RouteFound(NodeId(number.to_bytes(16))))
    for seed in range(1, 11):
        await world.learn(seed, RELAYS)
    await world.pass_time(PAUSE_S + 10 * LOOK_S)
    assert world.looked_up == before
    assert not world.watch._ids


async def test_after_a_lag_the_gateway_is_looked_for_anew(world: World) -> None:
    gateway = await world.learn(1, GATEWAY)
    await world.lead(gateway, 1)
    await world.pass_time(2 * PAUSE_S)
    del world.table[gateway]
    for _ in range(5000):
        world.topic.publish(RouteFound(NodeId(bytes(16))))
    assert world.topic._subscriptions[0]._missed
    await world.settle()
    await world.pass_time(PAUSE_S)
    assert world.told[-1] == (gateway, None)


async def test_after_a_lag_of_cards_all_are_read_anew(world: World) -> None:
    gateway = await world.learn(1, GATEWAY)
    world.watch._ids.clear()
    for _ in range(5000):
        world.keystore._topic.publish(Forgotten(NodeId(bytes(16))))
    await world.lead(gateway, 1)
    await world.pass_time(PAUSE_S)
    assert world.told == [(None, gateway)]
