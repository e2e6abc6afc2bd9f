"""What strangers and contacts can make a node hold for their sessions, and that it ends there."""

import pytest

from pimd.contract import Bites, TokenBucket
from pimd.ids import MessageId
from pimd_features.messaging.sessions import giving, sending, taking
from pimd_features.messaging.sessions.limits import (
    OF_CONTACT,
    OF_STRANGER,
    OF_STRANGERS,
    SKIPPED_KEYS,
    STRANGERS_BUNDLES,
    STRANGERS_HEADERS,
)
from pimd_features.messaging.sessions.message import MSG_KIND, Kind, Msg2, Plain
from pimd_features.messaging.sessions.receiving import Outcome, What
from pimd_features.messaging.sessions.sending import Draft
from tests.features.messaging.sessions.conftest import Net, count
from tests.features.messaging.sessions.endpoint import Endpoint
from tests.limits import Lower


def hand_over(net: Net, src: Endpoint, dst: Endpoint, kind: Kind = Kind.TEXT, body: bytes = b"x") -> Outcome:
    """Send one message in a session of its own."""
    net.written += 1
    src.connection.execute("DELETE FROM sessions_out")
    made = dst.make_bundle(one_time=True)
    giving.store_bundle(dst.connection, made, src.id, dst.moment)
    taking.take_bundle(src.connection, made.bundle, src.moment, from_itself=True, is_contact=True)
    draft = Draft(MessageId(net.written.to_bytes(16)), Plain(0, kind, body))
    body = sending.leave(src.connection, src.account, dst.id, [draft], src.moment).payloads[draft.id]
    return dst.take_messages(src.id, [Msg2.decode(body)])[0]


@pytest.mark.limit("skipped keys of one session")
def test_a_session_keeps_a_number_of_keys_of_messages_that_do_not_come(
    net: Net, alice: Endpoint, bob: Endpoint, lower: Lower
) -> None:
    lower(SKIPPED_KEYS, 3)
    net.say(alice, bob, "0")
    net.settle()
    for number in range(1, 6):
        alice.write(bob.id, MessageId(bytes([number]) * 16), str(number))
    alice.pump()
    msgs = [Msg2.decode(body) for body in net.bodies(MSG_KIND)[1:]]
    outcomes = bob.take_messages(alice.id, [msgs[4], msgs[3], *msgs])
    assert [outcome.what for outcome in outcomes] == [What.DROPPED] + [What.OPENED] * 4 + [What.KNOWN, What.OPENED]
    assert bob.bites[SKIPPED_KEYS] == 1


@pytest.mark.limit("sessions kept of a contact")
def test_of_a_contact_the_newest_sessions_are_kept(net: Net, alice: Endpoint, bob: Endpoint, lower: Lower) -> None:
    lower(OF_CONTACT, 3)
    for _ in range(5):
        assert hand_over(net, alice, bob).what is What.OPENED
        net.wait(10)
    assert (count(bob, "sessions_in"), bob.bites[OF_CONTACT]) == (3, 2)


@pytest.mark.limit("sessions kept of a stranger", "sessions kept of all strangers")
def test_of_strangers_few_sessions_are_kept(net: Net, bob: Endpoint, lower: Lower) -> None:
    lower(OF_STRANGERS, 10)
    bob.contacts = set()
    strangers = [net.add(f"stranger {number}") for number in range(3)]
    for stranger in strangers:
        for _ in range(6):
            assert hand_over(net, stranger, bob).what is What.OPENED
            net.wait(10)
    held = [
        bob.connection.execute("SELECT count(*) FROM sessions_in WHERE peer = ?", (one.id,)).fetchone()[0]
        for one in strangers
    ]
    assert held == [2, 4, 4]
    assert (bob.bites[OF_STRANGER], bob.bites[OF_STRANGERS]) == (6, 2)


@pytest.mark.limit("accounts of strangers remembered")
def test_the_accounts_of_some_strangers_are_remembered(net: Net, bob: Endpoint, lower: Lower) -> None:
    lower(taking.STRANGERS, 2)
    friend = net.add("friend")
    bob.contacts = {friend.id}
    hand_over(net, friend, bob)
    strangers = [net.add(f"stranger {number}") for number in range(4)]
    for stranger in strangers:
        hand_over(net, stranger, bob)
        net.wait(10)
    known = {row[0] for row in bob.connection.execute("SELECT peer FROM correspondents")}
    assert known == {friend.id, strangers[2].id, strangers[3].id}
    assert bob.bites[taking.STRANGERS] == 2


@pytest.mark.limit("bundles of strangers taken in a minute")
def test_strangers_bring_texts_parcels_and_few_bundles(net: Net, bob: Endpoint, lower: Lower) -> None:
    lower(STRANGERS_BUNDLES, 2)
    bob.contacts = set()
    eve = net.add("eve")
    kinds = [Kind.TEXT, Kind.BUNDLE, Kind.GROUP, Kind.DELIVERED, Kind.READ, Kind.BUNDLE, Kind.BUNDLE, Kind.TEXT]
    taken = [hand_over(net, eve, bob, kind).what is What.OPENED for kind in kinds]
    assert taken == [True, True, True, False, False, True, False, True]
    assert bob.bites[STRANGERS_BUNDLES] == 1
    net.wait(60_000)
    assert hand_over(net, eve, bob, Kind.BUNDLE).what is What.OPENED


@pytest.mark.limit("unused one-time bundles of a peer", "unused one-time bundles in all")
def test_unused_bundles_are_few_of_a_peer_and_in_all(net: Net, bob: Endpoint, lower: Lower) -> None:
    lower(giving.UNUSED_OF_PEER, 3)
    lower(giving.UNUSED, 7)
    given = {}
    for name in ("a", "b", "c"):
        peer = net.add(name)
        for _ in range(4):
            bob.take(peer.id, "messaging.bundle", bob.id)
        given[name] = [len(body) // 1354 for _, dst, _, body in net.recorded if dst == peer.id]
    assert given == {"a": [2, 2, 2, 1], "b": [2, 2, 2, 1], "c": [2, 1, 1, 1]}
    assert (bob.bites[giving.UNUSED_OF_PEER], bob.bites[giving.UNUSED]) == (2, 3)


@pytest.mark.limit("one-time bundles to a contact", "one-time bundles to all who are no contacts")
def test_one_time_bundles_are_given_at_a_rate() -> None:
    bites = Bites()
    contact, others = TokenBucket(giving.TO_CONTACT, 0.0, bites), TokenBucket(giving.TO_OTHERS, 0.0, bites)
    assert [sum(bucket.take(0.0) for _ in range(30)) for bucket in (contact, others)] == [20, 10]
    assert [sum(bucket.take(1.0) for _ in range(30)) for bucket in (contact, others)] == [20, 0]


@pytest.mark.limit("headers of strangers")
def test_headers_of_strangers_are_read_at_a_rate() -> None:
    bucket = TokenBucket(STRANGERS_HEADERS, 0.0, Bites())
    assert [sum(bucket.take(now) for _ in range(30)) for now in (0.0, 0.5)] == [20, 10]


def test_a_message_of_a_session_that_found_no_room_makes_its_sender_begin_anew(
    net: Net, alice: Endpoint, bob: Endpoint, lower: Lower
) -> None:
    lower(OF_CONTACT, 1)
    net.say(alice, bob, "0")
    net.settle()
    alice.write(bob.id, MessageId(bytes(16)), "1")
    alice.pump()
    late, net.on_way = net.on_way, []
    session = alice.connection.execute("SELECT * FROM sessions_out").fetchone()
    net.wait(10)
    hand_over(net, alice, bob)
    alice.connection.execute("INSERT OR REPLACE INTO sessions_out VALUES (?, ?, ?, ?, ?, ?, ?)", tuple(session))
    net.on_way = [*late]
    net.settle()
    assert [text for _, text in bob.shown()] == ["0", "x", "1"]
    assert alice.seen["reset taken"] == 1
