"""People who are never there at the same time, in whole daemons under virtual time."""

import pytest

from pimd.lab import Lab
from pimd.rpc.connection import Connection
from tests.features.mailbox.conftest import (
    days_pass,
    know,
    mailbox,
    meet,
    only,
    person,
    play,
    received,
    states,
    texts,
    write,
)


def test_two_who_are_never_there_together_meet_and_talk() -> None:
    """First contact in both directions: neither ever had a card of the other, nor a bundle."""

    async def main(lab: Lab) -> None:
        alice, bob = person(lab, "alice", "box"), person(lab, "bob", "box")
        box = mailbox(lab, "box", "alice", "bob", people=(alice, bob))
        await lab.start(box)
        await only(lab, bob, box)
        await lab.sleep(5)  # its bundle is at the mailbox
        await only(lab, alice, box, bob)
        await know(alice, bob)
        await write(alice, bob, "hello bob")
        await lab.sleep(60)
        assert await states(alice, bob) == ["kept"]
        await only(lab, bob, box, alice)
        await lab.sleep(60)
        assert received(bob) == ["hello bob"]
        await write(bob, alice, "hello alice")
        await lab.sleep(60)
        assert await states(bob, alice) == ["kept"]
        await only(lab, alice, box, bob)
        await lab.sleep(60)
        assert await states(alice, bob) == ["delivered"]
        assert received(alice) == ["hello alice"]
        assert (await box.call("mailbox.status"))["messages"] == 1  # the acknowledgement for bob
        await only(lab, bob, box, alice)
        await lab.sleep(60)
        assert await states(bob, alice) == ["delivered"]
        assert await texts(bob, alice) == ["hello bob", "hello alice"]

    play(main)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("is_on", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_one_who_is_away_for_27_days_gets_what_was_written_and_the_sender_learns_of_it(*, is_on: bool) -> None:
    """The mailbox is on for all of the time, or for its ends only."""

    async def main(lab: Lab) -> None:
        alice, bob = person(lab, "alice", "box"), person(lab, "bob", "box")
        box = mailbox(lab, "box", "alice", "bob", people=(alice, bob))
        await lab.start()
        await meet(lab, alice, box)
        await lab.until(lambda: alice.node.service.route(bob.id) is not None, 30)
        await write(alice, bob, "before")
        await lab.sleep(30)
        assert await states(alice, bob) == ["delivered"]
        await bob.stop()
        await lab.sleep(3600)
        for number in range(20):
            await write(alice, bob, f"{number}", expires_s=28 * 24 * 3600)
        await lab.sleep(120)
        assert await states(alice, bob) == ["delivered", *["kept"] * 20]
        await alice.stop()
        box_status = await box.call("mailbox.status")
        assert [one["messages"] for one in box_status["recipients"]] == [20]
        await days_pass(lab, 27 - 1 / 12, *([] if is_on else [box]))
        await only(lab, bob, box, alice)
        await lab.sleep(120)
        assert received(bob) == ["before", *(f"{number}" for number in range(20))]
        await only(lab, alice, box, bob)
        await lab.sleep(120)
        assert await states(alice, bob) == ["delivered"] * 21

    play(main)


def test_each_has_mailboxes_of_their_own_and_tells_them_in_the_first_message() -> None:
    """Alice asks the mailbox that she was told of; bob learns hers with her first message."""

    async def main(lab: Lab) -> None:
        alice, bob = person(lab, "alice", "south"), person(lab, "bob", "north", "east")
        north = mailbox(lab, "north", "bob", people=(alice, bob))
        east = mailbox(lab, "east", "bob", people=(alice, bob))
        south = mailbox(lab, "south", "alice", people=(alice, bob))
        await lab.start(north, east, south)
        await only(lab, bob, north)
        await lab.sleep(5)
        await only(lab, alice, north, bob)
        await know(alice, bob)
        await write(alice, bob, "hello bob")
        await lab.sleep(60)
        assert await states(alice, bob) == ["pending"]  # nobody here knows his bundle, and no others are asked
        await write(alice, bob, "and again", mailbox=str(north.id))
        await lab.sleep(60)
        assert await states(alice, bob) == ["kept", "kept"]
        kept = [(await box.call("mailbox.status"))["messages"] for box in (north, east, south)]
        assert kept == [3, 3, 0]  # each has both, and her bundle
        await only(lab, bob, north, alice)
        await lab.sleep(60)
        assert received(bob) == ["hello bob", "and again"]
        assert (await bob.call("messages.session", {"peer_node_id": str(alice.id)}))["mailboxes"] == [str(south.id)]
        kept = [(await box.call("mailbox.status"))["messages"] for box in (north, east, south)]
        assert kept == [0, 0, 2]  # the acknowledgement, and his bundle
        await only(lab, alice, south, bob)
        await lab.sleep(60)
        assert await states(alice, bob) == ["delivered", "delivered"]

    play(main)


def test_a_message_that_no_mailbox_may_keep_waits_for_a_route() -> None:
    async def main(lab: Lab) -> None:
        alice, bob = person(lab, "alice"), person(lab, "bob", "box")
        box = mailbox(lab, "box", "bob", people=(alice, bob))
        await lab.start()
        await lab.until(lambda: alice.node.service.route(bob.id) is not None, 90)
        await write(alice, bob, "before")
        await lab.sleep(20)
        await bob.stop()
        await write(alice, bob, "by hand only", mailbox=False)
        await write(alice, bob, "by any way")
        await lab.sleep(9)
        assert await states(alice, bob) == ["delivered", "pending", "pending"]
        await lab.sleep(60)
        assert await states(alice, bob) == ["delivered", "pending", "kept"]
        await bob.start()
        await lab.until(lambda: len(received(bob)) == 3, 90)
        await lab.sleep(20)
        assert await states(alice, bob) == ["delivered"] * 3
        assert sorted(received(bob)) == ["before", "by any way", "by hand only"]  # both ways deliver, and one shows it
        assert (await box.call("mailbox.status"))["messages"] == 0

    play(main)


def test_a_receipt_of_reading_goes_through_a_mailbox_too() -> None:
    async def main(lab: Lab) -> None:
        alice, bob = person(lab, "alice", "box"), person(lab, "bob", "box")
        box = mailbox(lab, "box", "alice", "bob", people=(alice, bob))
        await lab.start()
        await lab.until(lambda: alice.node.service.route(bob.id) is not None, 90)
        await write(alice, bob, "read me")
        await lab.sleep(20)
        await alice.stop()
        await bob.call("messages.mark_read", {"peer_node_id": str(alice.id), "up_to_ts_ms": 2**62})
        await lab.sleep(60)
        await only(lab, alice, box, bob)
        await lab.sleep(20)
        assert await states(alice, bob) == ["read"]

    play(main)


def test_a_client_in_push_mode_sees_kept_as_sent() -> None:
    async def main(lab: Lab) -> None:
        alice, bob = person(lab, "alice"), person(lab, "bob", "box")
        mailbox(lab, "box", "bob", people=(alice, bob))
        await lab.start()
        await lab.until(lambda: alice.node.service.route(bob.id) is not None, 90)
        await write(alice, bob, "before")
        await lab.sleep(20)
        await bob.stop()
        await write(alice, bob, "kept")
        await lab.sleep(60)
        seen = [
            event["params"]["new_status"] for event in alice.events if event["params"].get("kind") == "message_status"
        ]
        assert seen == ["sent", "delivered", "kept"]
        params = {"peer_node_id": str(bob.id)}
        for push, status in ((False, "kept"), (True, "sent")):
            page = await alice.call("messages.history", params, Connection("unix", push=push))
            assert page["messages"][0]["status"] == status

    play(main)
