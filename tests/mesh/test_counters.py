"""What a node counts."""

from pimd.contract import PluginPayload
from pimd.mesh.counters import Counters
from pimd.proto.frames import GoodbyeReason
from pimd.proto.rates import RateMeter
from tests.mesh.conftest import StartNode
from tests.mesh.test_node import eventually, linked
from tests.proto.test_link import Pair


def test_a_counter_appears_when_it_first_moves() -> None:
    counts = Counters()
    counts.count("dropped_ids_over_rate", 0)
    assert counts.snapshot() == {}
    counts.count("dropped_ids_over_rate", 2)
    assert counts.snapshot() == {"dropped_ids_over_rate": 2}


async def test_the_bytes_of_links_are_counted_and_stay_counted_when_the_links_are_gone(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    while_linked = alice.node.service.counters()
    assert while_linked["bytes_in"] > 0
    assert while_linked["bytes_out"] > 0
    alice.node._links.best(bob.id).close(GoodbyeReason.REMOVED)
    await eventually(lambda: not alice.node._handshakes._links and not bob.node._handshakes._links)
    at_alice, at_bob = alice.node.service.counters(), bob.node.service.counters()
    assert at_alice["bytes_out"] > while_linked["bytes_out"]
    assert (at_alice["bytes_in"], at_alice["bytes_out"]) == (at_bob["bytes_out"], at_bob["bytes_in"])


async def test_unknown_frames_of_all_links_are_counted(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    link = alice.node._links.best(bob.id)
    for _ in range(2):
        link.driver.link._write_record(link.driver.link._writer, b"\xff from the future", 0.0)
        link.driver._pump()
    await eventually(lambda: bob.node.service.counters().get("unknown_frames", 0) == 2)
    link.close(GoodbyeReason.REMOVED)
    await eventually(lambda: not bob.node._handshakes._links)
    assert bob.node.service.counters()["unknown_frames"] == 2


async def test_links_and_routes_tell_what_they_carry_by_class(start_node: StartNode) -> None:
    alice, bob, carol = [await start_node(number) for number in (1, 2, 3)]
    await alice.node.service.dial(bob.entry())
    await bob.node.service.dial(carol.entry())
    await eventually(lambda: alice.node.service.has_route(carol.id))
    got = carol.node.payloads.register("test", ["test.x"])
    for _ in range(5):
        assert alice.node.send_routed(carol.id, PluginPayload("test.x", bytes(1000)))
    await eventually(lambda: len(got) == 5)
    towards, back = alice.node.service.link(bob.id), bob.node.service.link(alice.id)
    assert towards is not None
    assert back is not None
    out, there = towards.traffic["messages"], back.traffic["messages"]
    assert (out.frames_out, there.frames_in) == (5, 5)
    assert out.bytes_out == there.bytes_in > 5000
    assert (out.dropped, out.refused, towards.traffic["streams"].frames_out) == (0, 0, 0)
    assert towards.bytes_out > out.bytes_out
    assert towards.cost == 256
    for node in (alice, bob):
        route = node.node.service.route(carol.id)
        assert route is not None
        assert route.frames_out == 5
        assert route.bytes_out > 5000
    carol_link = bob.node._links.best(carol.id)
    assert carol_link is not None
    carol_link.driver.abort()
    await eventually(lambda: not alice.node.service.has_route(carol.id))
    assert carol.id not in alice.node.counts.routes


def test_a_rate_is_that_of_the_last_ten_seconds_whoever_looks() -> None:
    meter = RateMeter(10.0)
    assert meter.rates(500, 100, 10.5) == (500.0, 100.0)
    meter.sample(3000, 1000, 20.0)
    assert meter.rates(90_000, 90_000, 25.0) == (300.0, 100.0)
    meter.sample(3000, 11_000, 30.0)
    assert meter.rates(3000, 11_000, 30.0) == meter.rates(3000, 11_000, 39.0) == (0.0, 1000.0)


async def test_a_link_samples_its_rates_with_each_ping() -> None:
    pair = Pair().run()
    for _ in range(50):
        pair.alice.send(PluginPayload("test.x", bytes(1000)), 0.0)
    pair.run()
    assert pair.alice.rates.rates(pair.alice.bytes_in, pair.alice.bytes_out, 5.0)[1] > 10_000
    for now in (5.0, 10.0):
        pair.alice.tick(now)
    assert 5_000 < pair.alice.rates.rates(0, 0, 10.0)[1] < 6_000
