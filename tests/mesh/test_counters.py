"""What a node counts."""

from pimd.mesh.counters import Counters
from pimd.proto.frames import GoodbyeReason
from tests.mesh.conftest import StartNode
from tests.mesh.test_node import eventually, linked


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
