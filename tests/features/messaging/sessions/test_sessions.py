"""Sessions between two ends: when they begin, how they are renewed, and how they heal."""

import pytest

from pimd.ids import MessageId, NodeId
from pimd_features.messaging.sessions import giving, kept, sending, taking
from pimd_features.messaging.sessions.bundle import BUNDLE_KIND, Bundle, make
from pimd_features.messaging.sessions.limits import SESSION_MESSAGES
from pimd_features.messaging.sessions.message import MSG_KIND, Kind, Msg2, Plain
from pimd_features.messaging.sessions.receiving import What
from pimd_features.messaging.sessions.reset import RESET_KIND, Reset
from pimd_features.messaging.sessions.schema import DAY_MS, KEPT_MS
from pimd_features.messaging.sessions.sending import Draft
from pimd_features.messaging.wire import ACKS_KIND
from tests.features.messaging.sessions.conftest import Net, bundle, count, first_session, flipped, is_message, sessions
from tests.features.messaging.sessions.endpoint import Endpoint


def texts(endpoint: Endpoint) -> list[str]:
    return [text for _, text in endpoint.shown()]


def test_the_first_message_asks_for_a_bundle_and_arrives_in_two_round_trips(
    net: Net, alice: Endpoint, bob: Endpoint
) -> None:
    net.say(alice, bob, "hello")
    assert net.turns_until(lambda: not alice.waiting()) == 4
    assert (texts(bob), bob.seen["OPENED"], count(alice, "outgoing")) == (["hello"], 1, 0)
    assert [len(body) for body in net.bodies(BUNDLE_KIND)[:2]] == [NodeId.SIZE, 2 * 1354]


def test_the_header_goes_with_messages_until_one_is_acknowledged(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    for text in ("one", "two"):
        net.say(alice, bob, text)
    net.settle()
    net.say(alice, bob, "three")
    net.settle()
    assert [bool(Msg2.decode(body).header) for body in net.bodies(MSG_KIND)][-1] is False
    assert all(Msg2.decode(body).header for body in net.bodies(MSG_KIND)[:2])
    assert texts(bob) == ["one", "two", "three"]


def test_repetitions_are_the_same_bytes(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    net.say(alice, bob, "hello")
    net.settle(lose=lambda payload: payload[2] == ACKS_KIND)
    for _ in range(3):
        alice.pump()
        net.settle(lose=lambda payload: payload[2] == ACKS_KIND)
    assert len(net.bodies(MSG_KIND)) > 3
    assert len(set(net.bodies(MSG_KIND))) == 1
    assert (texts(bob), bob.seen["OPENED"]) == (["hello"], 1)


def test_both_directions_are_sessions_of_their_own(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    net.say(alice, bob, "to bob")
    net.say(bob, alice, "to alice")
    net.settle()
    assert (texts(alice), texts(bob)) == (["to alice"], ["to bob"])
    assert len(sessions(net)) == 2


def test_a_session_is_renewed_after_a_minute_when_a_one_time_bundle_is_at_hand(
    net: Net, alice: Endpoint, bob: Endpoint
) -> None:
    for number in range(4):
        net.say(alice, bob, str(number))
        net.settle()
        net.wait(30_000)
    assert texts(bob) == ["0", "1", "2", "3"]
    assert len(sessions(net)) == 2


def test_without_a_one_time_bundle_an_old_session_goes_on(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    net.say(alice, bob, "0")
    net.deliver()
    net.deliver()
    net.settle(lose=lambda payload: payload[2] == BUNDLE_KIND)
    for number in range(1, 4):
        net.wait(100_000)
        net.say(alice, bob, str(number))
        net.settle()
    assert texts(bob) == ["0", "1", "2", "3"]
    assert len(sessions(net)) == 1


@pytest.mark.limit("messages in one session")
def test_a_full_session_is_followed_by_the_next(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    for number in range(SESSION_MESSAGES.value + 3):
        net.say(alice, bob, str(number))
        net.settle()
    assert texts(bob) == [str(number) for number in range(SESSION_MESSAGES.value + 3)]
    assert len(sessions(net)) == 2
    assert count(bob, "sessions_in") == 1  # of the full one nothing is left to open
    beyond = Msg2.decode(net.bodies(MSG_KIND)[-1])
    forged = Msg2(MessageId(bytes(16)), beyond.session_id, SESSION_MESSAGES.value, b"", beyond.nonce, beyond.ciphertext)
    assert bob.take_messages(alice.id, [forged])[0].what is What.DROPPED


def test_messages_may_overtake_each_other_and_each_opens_once(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    net.say(alice, bob, "0")
    net.settle()
    for number in range(1, 9):
        alice.write(bob.id, MessageId(bytes([number]) * 16), str(number))
    alice.pump()
    late = [payload for payload in net.on_way if is_message(payload)]
    net.on_way = late[::-1] + late
    net.settle()
    assert sorted(texts(bob)) == [str(number) for number in range(9)]
    assert (count(bob, "skipped_keys"), bob.seen["LOST"], bob.seen["OPENED"]) == (0, 0, 9)


def test_who_lost_everything_says_so_and_is_sent_all_again(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    net.say(alice, bob, "before")
    net.settle()
    for table in ("sessions_in", "received_ids", "account", "own_bundles", "shown"):
        bob.connection.execute(f"DELETE FROM {table}")  # noqa: S608
    bob.kill()
    net.say(alice, bob, "after")
    assert net.turns_until(lambda: not alice.waiting()) == 6  # two round trips after the message and its reset
    net.settle()
    assert (texts(bob), alice.seen["reset taken"]) == (["after"], 1)
    row = alice.connection.execute("SELECT account_changes, renewals FROM correspondents").fetchone()
    assert tuple(row) == (1, 1)


def test_a_sender_with_an_old_backup_uses_numbers_twice_and_heals(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    net.say(alice, bob, "0")
    net.settle()
    alice.backup(net.directory / "old")
    for number in range(1, 4):
        net.say(alice, bob, str(number))
        net.settle()
    alice.restore(net.directory / "old")
    net.say(alice, bob, "4")
    assert net.turns_until(lambda: not alice.waiting()) == 6
    assert texts(bob) == ["0", "1", "2", "3", "4"]
    assert (bob.seen["LOST"], alice.waiting()) == (1, 0)


def test_a_recipient_with_an_old_backup_goes_on(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    net.say(alice, bob, "0")
    net.settle()
    bob.backup(net.directory / "old")
    for number in range(1, 4):
        net.say(alice, bob, str(number))
        net.settle()
    bob.restore(net.directory / "old")
    net.say(alice, bob, "4")
    net.settle()
    assert texts(bob) == ["0", "4"]


def test_a_recipient_that_changed_its_account_is_noticed(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    net.say(bob, alice, "from the first account")
    net.settle()
    bob.connection.execute("DELETE FROM account")
    bob.connection.execute("DELETE FROM sessions_out")
    bob.kill()
    net.wait(61_000)
    net.say(bob, alice, "from the second")
    net.settle()
    assert texts(alice) == ["from the first account", "from the second"]
    assert alice.seen["account changed"] == 1


# --- resets


def test_a_reset_counts_once_a_minute_then_in_two(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    taken = []
    for wait in (0, 30_000, 30_000, 60_000, 60_000, 200_000, 40_000):
        net.wait(wait)
        session = alice.connection.execute("SELECT id FROM sessions_out").fetchone()
        if session is None:
            net.say(alice, bob, "again")
            net.settle(lose=lambda payload: payload[2] == ACKS_KIND)
            session = alice.connection.execute("SELECT id FROM sessions_out").fetchone()
        reset = Reset.issue(bob.identity, session[0], 0)
        taken.append(sending.take_reset(alice.connection, bob.id, reset, alice.moment))
    assert taken == [True, False, True, False, True, False, True]


def test_an_acknowledgement_ends_the_doubling(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    for _ in range(4):
        net.wait(60_000)
        net.say(alice, bob, "again")
        net.settle()
        session = alice.connection.execute("SELECT id FROM sessions_out").fetchone()[0]
        assert sending.take_reset(alice.connection, bob.id, Reset.issue(bob.identity, session, 0), alice.moment)


def test_a_reset_that_the_peer_did_not_sign_or_of_no_session_changes_nothing(
    net: Net, alice: Endpoint, bob: Endpoint
) -> None:
    session = first_session(net, alice, bob)
    by_bob = Reset.issue(bob.identity, session, 7)
    mutated = [Reset.decode(flipped(by_bob.raw, at)) for at in range(len(by_bob.raw))]
    others = [Reset.issue(alice.identity, session, 7), Reset.issue(bob.identity, bytes(16), 7)]
    for reset in mutated + others:
        assert not sending.take_reset(alice.connection, bob.id, reset, alice.moment)
    assert not sending.take_reset(alice.connection, NodeId(bytes(16)), by_bob, alice.moment)
    assert sending.take_reset(alice.connection, bob.id, by_bob, alice.moment)


def test_a_reset_of_an_earlier_session_changes_nothing(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    session = first_session(net, alice, bob)
    reset = Reset.issue(bob.identity, session, 7)
    assert sending.take_reset(alice.connection, bob.id, reset, alice.moment)
    net.wait(10 * DAY_MS)
    net.say(alice, bob, "again")
    net.settle()
    assert not sending.take_reset(alice.connection, bob.id, reset, alice.moment)


def test_after_four_repetitions_without_an_answer_a_new_session_begins(
    net: Net, alice: Endpoint, bob: Endpoint
) -> None:
    first_session(net, alice, bob)
    net.say(alice, bob, "unheard")
    for _ in range(7):
        net.settle(lose=lambda payload: payload[2] in {ACKS_KIND, RESET_KIND})
        alice.pump()
    assert (alice.seen["gave up"], len(sessions(net))) == (1, 2)
    net.settle()
    assert texts(bob) == ["hello", "unheard"]


# --- bundles


@pytest.mark.parametrize("sort", ["one-time", "lasting"])
def test_a_bundle_that_is_older_than_another_is_refused(sort: str, alice: Endpoint, bob: Endpoint) -> None:
    one_time = sort == "one-time"

    def take(created_ms: int) -> bool:
        made = bundle(bob, one_time=one_time, created_ms=created_ms)
        return taking.take_bundle(alice.connection, made, alice.moment, from_itself=True, is_contact=True) is not None

    assert [take(5), take(4), take(6), take(6), take(5)] == [True, False, True, not one_time, False]
    taking.forget_bundles(alice.connection, bob.id)
    assert not take(5)


def test_a_mailbox_brings_bundles_of_28_days_and_the_node_itself_any(alice: Endpoint, bob: Endpoint) -> None:
    now = alice.moment.unix_ms
    for created, fits in ((now - KEPT_MS - 1, False), (now - KEPT_MS, True), (now + KEPT_MS + 1, False)):
        made = bundle(bob, one_time=False, created_ms=created)
        taken = taking.take_bundle(alice.connection, made, alice.moment, from_itself=False, is_contact=True)
        assert (taken is not None) is fits
    late = bundle(bob, one_time=False, created_ms=now + 2 * KEPT_MS)
    assert taking.take_bundle(alice.connection, late, alice.moment, from_itself=True, is_contact=True)


def test_a_bundle_is_used_for_28_days(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    made = bundle(bob, one_time=False)
    taking.take_bundle(alice.connection, made, alice.moment, from_itself=True, is_contact=True)
    net.wait(KEPT_MS - 1)
    assert taking.bundle_at_hand(alice.connection, bob.id, alice.moment, one_time_only=False)
    net.wait(1)
    assert taking.bundle_at_hand(alice.connection, bob.id, alice.moment, one_time_only=False) is None


def test_bundles_are_newer_than_those_before_whatever_the_clock_does(alice: Endpoint) -> None:
    first = giving.next_created_ms(alice.connection, 1000)
    made = make(alice.identity, alice.account, one_time=True, created_ms=first)
    giving.store_bundle(alice.connection, made, alice.id, alice.moment)
    assert [giving.next_created_ms(alice.connection, now) for now in (500, 1000, 2000)] == [1001, 1001, 2000]


def test_a_lasting_bundle_is_given_for_seven_days(net: Net, alice: Endpoint) -> None:
    giving.store_bundle(alice.connection, alice.make_bundle(one_time=False), None, alice.moment)
    net.wait(7 * DAY_MS - 1)
    assert giving.lasting_bundle(alice.connection, alice.moment)
    net.wait(1)
    assert giving.lasting_bundle(alice.connection, alice.moment) is None


def test_secrets_go_after_28_days_and_a_day_of_running(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    for one_time in (True, False):
        giving.store_bundle(
            alice.connection, alice.make_bundle(one_time=one_time), bob.id if one_time else None, alice.moment
        )
    hour = DAY_MS // 24
    assert giving.age_bundles(alice.connection, alice.moment, 100 * DAY_MS) == 0
    net.wait(KEPT_MS)
    gone = [giving.age_bundles(alice.connection, alice.moment, hour) for _ in range(24)]
    assert gone == [0] * 23 + [2]


def test_ids_outlive_every_secret_that_could_open_their_message(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    id_ = net.say(alice, bob, "hello")
    net.settle()
    net.wait(40 * DAY_MS)
    kept.age_sessions(bob.connection, bob.moment, DAY_MS)
    assert count(bob, "sessions_in") == 0
    assert kept.is_known(bob.connection, alice.id, id_)  # the lasting bundle of that time is still there
    giving.age_bundles(bob.connection, bob.moment, DAY_MS)
    kept.age_sessions(bob.connection, bob.moment, 0)
    assert not kept.is_known(bob.connection, alice.id, id_)


def test_a_session_is_kept_for_28_days_and_a_day_of_running(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    first_session(net, alice, bob)
    net.wait(KEPT_MS - 1)
    assert kept.age_sessions(bob.connection, bob.moment, DAY_MS) == 0
    net.wait(1)
    hour = DAY_MS // 24
    assert [kept.age_sessions(bob.connection, bob.moment, hour) for _ in range(24)] == [0] * 23 + [1]


def test_ids_outlive_a_session_that_is_kept_for_longer(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    id_ = net.say(alice, bob, "hello")
    net.settle()
    net.wait(40 * DAY_MS)
    giving.age_bundles(bob.connection, bob.moment, DAY_MS)
    kept.age_sessions(bob.connection, bob.moment, 0)
    assert kept.is_known(bob.connection, alice.id, id_)


def test_a_session_that_its_recipient_may_have_dropped_is_replaced_with_any_bundle(
    net: Net, alice: Endpoint, bob: Endpoint
) -> None:
    session = first_session(net, alice, bob)
    alice.connection.execute("UPDATE peer_bundles SET raw = NULL WHERE one_time = 1")
    net.wait(KEPT_MS)
    alice.connection.execute("UPDATE peer_bundles SET taken_lived_ms = ?", (alice.moment.lived_ms,))
    net.say(alice, bob, "late")
    net.settle()
    row = alice.connection.execute("SELECT id, one_time FROM sessions_out").fetchone()
    assert row[0] != session


def test_the_secrets_of_a_one_time_bundle_go_with_the_first_message(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    def secrets() -> int:
        return int(bob.connection.execute("SELECT count(*) FROM own_bundles WHERE peer = ?", (alice.id,)).fetchone()[0])

    net.say(alice, bob, "hello")
    net.deliver()
    assert secrets() == 1
    net.settle(lose=lambda payload: payload[2] == BUNDLE_KIND and len(payload[3]) == NodeId.SIZE)
    assert (texts(bob), secrets()) == (["hello"], 0)


def test_keys_that_are_none_are_dropped_and_others_asked_for(alice: Endpoint, bob: Endpoint) -> None:
    good = make(bob.identity, bob.account, one_time=True, created_ms=1)
    low = bytes(32)
    unsigned = good.bundle.raw[:-64].replace(good.bundle.prekey, low)
    signed = Bundle.parse(unsigned + bob.identity.sign("bundle", unsigned))
    taking.take_bundle(alice.connection, signed, alice.moment, from_itself=True, is_contact=True)
    draft = Draft(MessageId(bytes(16)), Plain(0, Kind.TEXT, b"x"))
    leaving = sending.leave(alice.connection, alice.account, bob.id, [draft], alice.moment)
    assert (leaving.payloads, leaving.lacks_bundle) == ({}, True)
