"""Whom a node dials by itself, with real nodes on real sockets."""

from collections.abc import Callable, Sequence

import pytest

from pimd.addresses import Endpoint
from pimd.contract import DialInfo, PeerEntry
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto.cards import GATEWAY, issue
from pimd_features.discovery import dialling
from pimd_features.discovery.dialling import AutoDial
from pimd_features.discovery.networks import DialAddress
from pimd_features.discovery.settings import DiscoverySettings
from pimd_features.discovery.sightings import Sighting
from tests.mesh.conftest import Running, StartNode
from tests.mesh.test_node import eventually

ALL = DiscoverySettings(connect_relays=True, connect_gateways=True)
NOWHERE = Endpoint.tcp("127.0.0.1", 1)


class Clock:
    """Monotonic seconds to be set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def auto_dial(one: Running, config: DiscoverySettings = ALL, now: Callable[[], float] | None = None) -> AutoDial:
    return AutoDial(one.node.service, one.keystore, config, one.id, now or Clock(), Bites())


def sighting(peer: Running | NodeId, endpoint: Endpoint | None = None, *, nearby: bool = True) -> Sighting:
    node_id = peer if isinstance(peer, NodeId) else peer.id
    if endpoint is None:
        assert isinstance(peer, Running)
        endpoint = peer.entry().endpoint
    return Sighting(str(endpoint), node_id, DialAddress(endpoint, nearby=nearby), 0.0, 0.0)


def stranger(number: int) -> Sighting:
    return sighting(NodeId(number.to_bytes(16)), Endpoint.tcp(f"127.0.0.{2 + number // 250}", 1 + number % 250))


def dialled(one: Running) -> dict[Endpoint, DialInfo]:
    return {dial.entry.endpoint: dial for dial in one.node.service.dials()}


def review(auto: AutoDial, sightings: Sequence[Sighting], times: int) -> None:
    for _ in range(times):
        auto.review(sightings)


async def linked(one: Running, other: Running) -> None:
    await eventually(lambda: one.node.is_linked(other.id) and other.node.is_linked(one.id))


async def test_a_node_nearby_is_linked_and_expected_to_be_who_it_says(start_node: StartNode) -> None:
    alice, bob, carol = [await start_node(number) for number in (1, 2, 3)]
    auto = auto_dial(alice)
    review(auto, [sighting(bob), sighting(bob, carol.entry().endpoint)], 2)
    await linked(alice, bob)
    assert dialled(alice)[bob.entry().endpoint].entry.node_id == bob.id
    assert carol.entry().endpoint not in dialled(alice) or not alice.node.is_linked(carol.id)


async def test_one_more_at_a_time_is_dialled(start_node: StartNode) -> None:
    alice = await start_node(1)
    auto = auto_dial(alice)
    everybody = [stranger(number) for number in range(5)]
    for count in (1, 2, 3):
        auto.review(everybody)
        assert len(dialled(alice)) == count


async def test_not_all_nodes_dial_the_same_one_first(start_node: StartNode) -> None:
    everybody = [stranger(number) for number in range(20)]
    first = set()
    for who in range(1, 9):
        one = await start_node(who)
        auto_dial(one).review(everybody)
        first |= set(dialled(one))
    assert len(first) > 3


@pytest.mark.parametrize(
    ("config", "flags", "dials"),
    [
        (DiscoverySettings(connect_relays=False, connect_gateways=True), None, False),
        (DiscoverySettings(connect_relays=False, connect_gateways=True), 0, False),
        (DiscoverySettings(connect_relays=False, connect_gateways=True), GATEWAY, True),
        (DiscoverySettings(connect_relays=True, connect_gateways=False), None, True),
        (DiscoverySettings(connect_relays=True, connect_gateways=False), GATEWAY, False),
        (DiscoverySettings(connect_relays=False, connect_gateways=False), GATEWAY, False),
    ],
)
async def test_relays_and_gateways_are_dialled_as_configured(
    start_node: StartNode,
    config: DiscoverySettings,
    flags: int | None,
    dials: bool,  # noqa: FBT001
) -> None:
    alice, bob = await start_node(1), await start_node(2)
    if flags is not None:
        alice.keystore.learn(issue(bob.identity, 1, flags, "bob"), direct=False)
    auto_dial(alice, config).review([sighting(bob)])
    assert (bob.entry().endpoint in dialled(alice)) == dials


async def test_who_is_blocked_or_not_on_the_list_is_not_dialled_and_let_go(start_node: StartNode) -> None:
    bob = await start_node(2)
    alice, carol = await start_node(1), await start_node(3, policy="allow_list")
    auto = auto_dial(alice)
    auto.review([sighting(bob)])
    assert bob.entry().endpoint in dialled(alice)
    await alice.keystore.set_blocked(bob.id, blocked=True)
    auto.review([sighting(bob)])
    assert dialled(alice) == {}
    auto_dial(carol).review([sighting(bob)])
    assert dialled(carol) == {}


async def test_who_is_linked_already_is_not_dialled(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    await bob.node.service.dial(alice.entry())
    await linked(alice, bob)
    auto_dial(alice).review([sighting(bob)])
    assert dialled(alice) == {}


async def test_what_is_far_away_is_not_dialled(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    auto_dial(alice).review([sighting(bob, nearby=False)])
    assert dialled(alice) == {}


async def test_with_enough_links_only_nodes_without_a_route_are_dialled(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "AUTO_LINKS", 2)
    alice, bob, carol, dave, erin = [await start_node(number) for number in (1, 2, 3, 4, 5)]
    for other in (bob, carol):
        await alice.node.service.dial(other.entry())
    await dave.node.service.dial(bob.entry())
    await eventually(lambda: alice.node.service.has_route(dave.id))
    auto = auto_dial(alice)
    review(auto, [sighting(dave), sighting(erin)], 3)
    assert list(dialled(alice)) == [erin.entry().endpoint]


async def test_with_very_many_links_nobody_is_dialled_unasked(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "AUTO_LINKS", 1)
    monkeypatch.setattr(dialling, "LINK_LIMIT", 2)
    alice, bob, carol, dave = [await start_node(number) for number in (1, 2, 3, 4)]
    for other in (bob, carol):
        await alice.node.service.dial(other.entry())
    auto_dial(alice).review([sighting(dave)])
    assert dialled(alice) == {}


async def test_who_has_gone_is_let_go_and_what_is_configured_is_never_touched(start_node: StartNode) -> None:
    alice, bob, carol = [await start_node(number) for number in (1, 2, 3)]
    alice.node.service.keep_dialling(carol.entry(), configured=True)
    auto = auto_dial(alice)
    review(auto, [sighting(bob), sighting(carol)], 3)
    assert dialled(alice)[carol.entry().endpoint].configured
    auto.review([])
    assert list(dialled(alice)) == [carol.entry().endpoint]
    auto.review([sighting(bob)])
    alice.node.service.keep_dialling(bob.entry(), configured=True)  # the user wants to keep it
    auto.review([])
    auto.let_go_of_all()
    assert list(dialled(alice)) == [carol.entry().endpoint, bob.entry().endpoint]


async def test_nobody_is_dialled_any_longer_when_the_feature_stops(start_node: StartNode) -> None:
    alice = await start_node(1)
    auto = auto_dial(alice)
    review(auto, [stranger(1), stranger(2)], 2)
    alice.node.service.keep_dialling(PeerEntry(stranger(1).address.endpoint), configured=True)
    auto.let_go_of_all()
    assert list(dialled(alice)) == [stranger(1).address.endpoint]


async def test_an_address_under_another_id_is_dialled_anew_unless_a_newcomer_says_so(start_node: StartNode) -> None:
    alice, bob, carol = [await start_node(number) for number in (1, 2, 3)]
    where = bob.entry().endpoint
    auto = auto_dial(alice)
    review(auto, [sighting(bob), sighting(carol, where)], 2)
    assert dialled(alice)[where].entry.node_id == bob.id
    review(auto, [sighting(carol, where)], 2)
    assert dialled(alice)[where].entry.node_id == carol.id


async def test_who_hung_up_or_was_hung_up_on_is_left_alone(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    here, there = auto_dial(alice), auto_dial(bob)
    here.review([sighting(bob)])
    await linked(alice, bob)
    await alice.node.service.hang_up(bob.id)
    await eventually(lambda: not alice.node.service.links() and not bob.node.service.links())
    here.review([sighting(bob)])
    there.review([sighting(alice)])
    assert dialled(alice)[bob.entry().endpoint].state == "waiting"
    assert dialled(bob) == {}
    await alice.node.service.dial(bob.entry())
    await linked(alice, bob)
    assert not alice.node.service.left_alone(bob.id)
    assert not bob.node.service.left_alone(alice.id)


@pytest.mark.limit("addresses dialled unasked that do not answer")
async def test_so_many_that_do_not_answer_are_tried_at_a_time_and_give_way_to_the_next(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    now = Clock()
    auto = auto_dial(alice, now=now)
    liars = [stranger(number) for number in range(3 * dialling.TRIALS.value)]
    review(auto, liars, 2 * len(liars))
    assert len(dialled(alice)) == dialling.TRIALS.value
    everybody = [*liars, sighting(bob)]
    turns = 0
    while bob.entry().endpoint not in dialled(alice):
        now.seconds += dialling.TRIAL_S
        auto.review(everybody)
        turns += 1
        assert len(dialled(alice)) <= dialling.TRIALS.value
    assert turns <= len(everybody)  # nobody had a second turn before
    await linked(alice, bob)
