"""Messaging plugins on real stores and real keys, joined by a network that the test rules."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pimd.assembly.guard import Guard, GuardedTask
from pimd.assembly.services import PluginIdentity
from pimd.assembly.timers import Timers
from pimd.clock import ManualClock
from pimd.contract import (
    CONFIG,
    KEYSTORE,
    MESH,
    PUBLISH,
    BroadcastConfig,
    CancellationToken,
    PluginContext,
    PluginPayload,
    RouteFound,
    RouteInfo,
    RouteLost,
    Sent,
    ServiceKey,
)
from pimd.events import Subscription, Topic
from pimd.ids import MessageId, NodeId
from pimd.proto.cards import issue, parse
from pimd.proto.identity import Identity
from pimd.store.keystore import Keystore
from pimd_features.messaging import FEATURE
from pimd_features.messaging.models import MessageRecord, MessagingSettings, SendParams
from pimd_features.messaging.plugin import MessagingPlugin
from pimd_features.messaging.sessions import account as accounts
from pimd_features.messaging.sessions import chain, header
from pimd_features.messaging.sessions.account import Account
from pimd_features.messaging.sessions.limits import SESSION_MESSAGES
from pimd_features.messaging.sessions.message import Kind, Plain, seal
from tests.features.no_datagrams import NoDatagrams


class Told:
    """Stands for the streams: keeps what is published."""

    def __init__(self, events: list[BaseModel]) -> None:
        self.events = events
        self.missing = 0

    def __call__(self, _: str, event: Any) -> None:
        self.events.append(event)

    def missed(self, _: str, count: int) -> None:
        self.missing += count


class Air:
    """Carries payloads between nodes; loses, doubles and disorders them as told."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.loss = 0.0
        self.double = 0.0
        self.waiting: list[tuple[NodeId, NodeId, PluginPayload]] = []
        self.nodes: dict[NodeId, Party] = {}

    def send(self, src: NodeId, dst: NodeId, payload: PluginPayload) -> None:
        copies = 1 + (self.random.random() < self.double)
        for _ in range(copies):
            if self.random.random() >= self.loss:
                self.waiting.append((src, dst, payload))

    async def deliver(self) -> int:
        """Hand over what is on its way, in any order."""
        now, self.waiting = self.waiting, []
        self.random.shuffle(now)
        for src, dst, payload in now:
            party = self.nodes.get(dst)
            if party is not None and party.plugin is not None:
                await party.plugin.handle_payload(src, payload.kind, payload.body)
        return len(now)


class AirMesh:
    """The part of `Mesh` that messaging uses."""

    def __init__(self) -> None:
        self.routed: set[NodeId] = set()
        self.topic: Topic[Any] = Topic()
        self.redials = 0

    def redial(self) -> None:
        self.redials += 1

    def routes(self) -> list[RouteInfo]:
        return [RouteInfo(peer, peer, 256, 1, 0.0, 1) for peer in sorted(self.routed)]

    def route(self, peer: NodeId) -> RouteInfo | None:
        return RouteInfo(peer, peer, 256, 1, 0.0, 1) if peer in self.routed else None

    def destinations(self) -> Collection[NodeId]:
        return self.routed

    def subscribe(self) -> Subscription[Any]:
        return self.topic.subscribe()

    async def fetch_card(self, peer: NodeId) -> bool:
        del peer
        return False

    def connect(self, peer: NodeId) -> None:
        self.routed.add(peer)
        self.topic.publish(RouteFound(peer))

    def disconnect(self, peer: NodeId) -> None:
        self.routed.discard(peer)
        self.topic.publish(RouteLost(peer))


@dataclass
class AirConfig:
    """The part of `Config` that messaging uses."""

    in_force: BroadcastConfig = field(default_factory=lambda: BroadcastConfig(None, True, 60))  # noqa: FBT003

    def broadcast(self) -> BroadcastConfig:
        return self.in_force


@dataclass
class Party:
    """One node: its key and keystore stay, its plugin can be killed and started again."""

    name: str
    identity: Identity
    keystore: Keystore
    air: Air
    clock: ManualClock
    directory: Path
    group: asyncio.TaskGroup
    mesh: AirMesh = field(default_factory=AirMesh)
    config: AirConfig = field(default_factory=AirConfig)
    plugin: MessagingPlugin | None = None
    events: list[BaseModel] = field(default_factory=list)
    told: Told = field(init=False)
    room: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether a frame finds room; set at first."""
    settings: MessagingSettings = field(default_factory=MessagingSettings)
    account: Account | None = None
    """What `sealed` begins sessions with."""
    begun: dict[NodeId, header.Begun] = field(default_factory=dict)
    written: dict[NodeId, list[MessageId]] = field(default_factory=dict)
    """By `sealed`."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.room.set()
        self.told = Told(self.events)

    @property
    def id(self) -> NodeId:
        return self.identity.node_id

    @property
    def running(self) -> MessagingPlugin:
        assert self.plugin is not None
        return self.plugin

    @property
    def is_busy(self) -> bool:
        """Whether its store has jobs."""
        if self.plugin is None or (database := self.plugin._database) is None:
            return False
        is_taking = not all(taker._arrived._idle.is_set() for taker in self.plugin._takers.values())
        return is_taking or bool(database._waiting) or database._thread.calls > 0

    def __getitem__(self, key: ServiceKey[Any]) -> Any:
        services: dict[ServiceKey[Any], Any] = {
            MESH: self.mesh,
            KEYSTORE: self.keystore,
            CONFIG: self.config,
            PUBLISH: self.told,
        }
        return services[key]

    async def send_direct(self, peer: NodeId, frame: PluginPayload) -> None:
        raise AssertionError("messages are always sealed")

    async def send_routed(self, dst: NodeId, frame: PluginPayload) -> Sent:
        known = self.keystore.get(dst)
        if dst not in self.mesh.routed:
            return Sent.NO_ROUTE
        if known is None or known.card is None:
            return Sent.NO_CARD
        if not self.room.is_set():
            return Sent.CONGESTED
        self.air.send(self.id, dst, frame)
        return Sent.SENT

    async def ready(self, dst: NodeId) -> bool:
        await self.room.wait()
        return dst in self.mesh.routed

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> GuardedTask:
        self._tasks.append(self.group.create_task(work, name=f"{self.name}: {name}"))
        return GuardedTask(name, self._tasks[-1])

    async def start(self) -> None:
        self.mesh.topic = Topic()
        self._timers = Timers(Guard("messaging", self.clock))
        context: Any = PluginContext(
            peers=self.keystore,
            control=self,
            datagrams=NoDatagrams(),
            identity=PluginIdentity(FEATURE, self.identity),
            data_dir=self.directory,
            cancel=CancellationToken(),
            clock=self.clock,
            settings=self.settings,
            log=logging.getLogger("test"),
            services=self,  # type: ignore[arg-type] # the two methods it needs
            spawn=self.spawn,
            call_later=self._timers.call_later,
            every=self._timers.every,
            run_blocking=None,  # type: ignore[arg-type] # nothing of it blocks
        )
        self.plugin = MessagingPlugin()
        await self.plugin.start(context)

    async def kill(self) -> None:
        """End it without a word; the store keeps what it had acknowledged."""
        if self.plugin is None:
            return
        plugin, self.plugin = self.plugin, None
        self._timers.close()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            if "database" not in task.get_name():
                task.cancel()
        await plugin.shutdown()
        await self._timers.guard.calls.close(1.0)
        await asyncio.wait(tasks)

    async def sealed(self, dst: "Party", id_: MessageId, timestamp_ms: int, text: bytes) -> bytes:
        """Return the body of a message to another, in a session that only this writes in."""
        if self.account is None:
            self.account = accounts.issue(PluginIdentity(FEATURE, self.identity), 1)
        number = len(self.written.get(dst.id, ())) % SESSION_MESSAGES.value
        if not number:
            bundle = await dst.running._keying.give_one_time(self.id)
            assert bundle is not None
            self.begun[dst.id] = header.begin(self.account, bundle)
        begun = self.begun[dst.id]
        link = begun.chain
        for _ in range(number):
            link = chain.next_chain(link)
        self.written.setdefault(dst.id, []).append(id_)
        plain, place = Plain(timestamp_ms, Kind.TEXT, text), (id_, begun.id, number)
        return seal(plain, place, begun.header, chain.message_key(link), bytes(12), (self.id, dst.id)).encode()

    async def take(self, src: NodeId, kind: str, body: bytes) -> None:
        """Hand over one payload, and wait until it is dealt with."""
        await self.running.handle_payload(src, kind, body)
        for taker in self.running._takers.values():
            await taker.drained()

    def learn(self, other: "Party", *, contact: bool = False, brought_by: str = "") -> None:
        card = parse(issue(other.identity, 1, 0, other.name).raw)
        self.keystore.learn(card, direct=True, brought_by=brought_by)

    async def say(self, other: "Party", body: str, **more: Any) -> Any:
        return await self.running.send(SendParams(peer_node_id=other.id, body=body, **more))

    async def messages(self, other: "Party") -> list[MessageRecord]:
        page, _ = await self.running._store.history(other.id, None, None, 10_000)
        return page

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]  # type: ignore[attr-defined]


async def settle(air: Air) -> None:
    """Run until nothing moves: no store is at work, no task has anything to do, nothing is on its way."""
    quiet = 0
    while quiet < 20:
        await asyncio.sleep(0.001)
        delivered = await air.deliver()
        quiet = 0 if delivered or any(party.is_busy for party in air.nodes.values()) else quiet + 1


MakeParty = Callable[..., Awaitable[Party]]


@pytest.fixture
def looks_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days of the clock pass in a moment when nobody looks all the time for mailboxes and for words to be indexed."""
    monkeypatch.setattr("pimd_features.messaging.posting.LOOK_S", 3600.0)
    monkeypatch.setattr("pimd_features.messaging.archive.INDEX_S", 3600.0)


@pytest.fixture
async def party(tmp_path: Path) -> AsyncIterator[MakeParty]:
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        air, clock = Air(), ManualClock()
        made: list[Party] = []

        async def make(name: str, clock: ManualClock = clock, **settings: Any) -> Party:
            directory = tmp_path / name
            directory.mkdir()
            keystore = await stack.enter_async_context(Keystore.open(directory / "peers.db", clock))
            identity = Identity.from_seed(name.encode().ljust(32, b"\0"))
            one = Party(name, identity, keystore, air, clock, directory, group, settings=MessagingSettings(**settings))
            air.nodes[one.id] = one
            for other in made:
                one.learn(other)
                other.learn(one)
            made.append(one)
            await one.start()
            return one

        yield make
        for one in made:
            await one.kill()
