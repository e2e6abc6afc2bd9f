"""What waits on a link when it ends: control that finds no room ends it, and data is counted as lost."""

import itertools

from pimd.ids import NodeId
from pimd.proto.control import SeqRequest
from pimd.proto.frames import MeshData
from pimd.proto.link_events import Closed
from pimd.proto.link_states import CloseReason, State
from pimd.proto.traffic import TrafficClass
from tests.proto.test_link import ALICE, BOB, Pair, events


def test_requests_beyond_the_limit_close_the_link_and_say_why() -> None:
    pair = Pair().run()
    for number in itertools.count():
        if not pair.alice.send(
            SeqRequest(NodeId(number.to_bytes(16)), 1, 255, flood=False, request_id=number % 256), 0.0
        ):
            break
    assert pair.alice.state is State.CLOSED
    (closed,) = events(pair.alice)
    assert isinstance(closed, Closed)
    assert closed.reason is CloseReason.OVERFLOW


def test_data_that_waits_when_the_stream_ends_is_counted_as_lost() -> None:
    pair = Pair().run()
    for _ in range(7):
        assert pair.alice.send(MeshData(ALICE.node_id, BOB.node_id, 0x20, b"packet"), 0.0)
    pair.alice.connection_lost(0.0)
    assert pair.alice.counts[TrafficClass.DATAGRAM].lost == 7
    assert not pair.alice.send(MeshData(ALICE.node_id, BOB.node_id, 0x20, b"packet"), 0.0)
