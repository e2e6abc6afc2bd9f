"""One call takes one record apart, so that a driver can look at the clock between any two."""

import pytest

from pimd.proto.control import GoodbyeReason, Ping, Pong
from pimd.proto.frames import Frame
from pimd.proto.link_events import FrameReceived, Leaving, RecordTaken
from tests.proto.test_link import HELLO, Pair, events


@pytest.mark.parametrize("frame", [Ping(7), Pong(7)], ids=lambda frame: type(frame).__name__)
def test_one_call_takes_one_record_even_of_frames_that_only_the_link_knows(frame: Frame) -> None:
    pair = Pair().run()
    for _ in range(5):
        pair.alice.answer(frame, 0.0)
    before = pair.bob.records_in
    pair.bob.receive(pair.alice.data_to_send(0.0), 0.0)
    for taken in range(1, 6):
        assert pair.bob.next_event() == RecordTaken()
        assert pair.bob.records_in == before + taken
    assert pair.bob.next_event() is None


def test_records_behind_the_goodbye_of_a_replaced_link_are_taken_one_by_one_too() -> None:
    pair = Pair().run()
    for _ in range(5):
        pair.alice.send(HELLO, 0.0)
    late = pair.alice.data_to_send(0.0)
    pair.bob.close(GoodbyeReason.DUPLICATE, 0.0)
    assert [type(event) for event in events(pair.bob)] == [Leaving]
    before = pair.bob.records_in
    pair.bob.receive(late, 0.0)
    assert pair.bob.records_in == before
    for taken in range(1, 6):
        assert pair.bob.next_event() == FrameReceived(HELLO)
        assert pair.bob.records_in == before + taken
