"""What is refused: everything that was changed, is for somebody else, comes again, or is malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.ids import MessageId, NodeId
from pimd_features.messaging.sessions import giving, sending, taking
from pimd_features.messaging.sessions.account import Certificate, issue
from pimd_features.messaging.sessions.bundle import Bundle, make, parse_answer
from pimd_features.messaging.sessions.message import MSG_KIND, Kind, Msg2, Plain, padded
from pimd_features.messaging.sessions.receiving import Arrived, What, receive
from pimd_features.messaging.sessions.sending import Draft
from tests.features.messaging.sessions.conftest import Net, bundle, count, first_session, flipped, is_message
from tests.features.messaging.sessions.endpoint import Endpoint


def first_message(net: Net, alice: Endpoint, bob: Endpoint) -> bytes:
    """A message with a header that bob has not got."""
    net.say(alice, bob, "hello")
    net.settle(lose=is_message)
    return net.bodies(MSG_KIND)[0]


def outcome(body: bytes, src: NodeId, at: Endpoint) -> What:
    return receive(at.connection, at.account, Arrived(src, is_contact=True, msg=Msg2.decode(body)), at.moment).what


def test_each_byte_of_a_message_with_a_header_is_authenticated(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    body = first_message(net, alice, bob)
    before = list(bob.connection.iterdump())
    for at in [*range(2, 60), *range(60, len(body), 7)]:
        assert outcome(flipped(body, at), alice.id, bob) in {What.DROPPED, What.LOST}, at
    assert list(bob.connection.iterdump()) == before
    assert outcome(body, alice.id, bob) is What.OPENED
    assert outcome(body, alice.id, bob) is What.KNOWN


def test_each_byte_of_a_message_without_a_header_is_authenticated(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    first_session(net, alice, bob)
    net.say(alice, bob, "second")
    body = net.bodies(MSG_KIND)[-1]
    before = list(bob.connection.iterdump())
    for at in range(2, len(body)):
        assert outcome(flipped(body, at), alice.id, bob) in {What.DROPPED, What.LOST}, at
    assert list(bob.connection.iterdump()) == before
    assert outcome(body, alice.id, bob) is What.OPENED


def test_a_message_is_for_one_recipient_and_from_one_sender(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    eve = net.add("eve")
    body = first_message(net, alice, bob)
    assert outcome(body, eve.id, bob) is What.DROPPED
    # Eve gives her own name to bob's secrets, as one who forwards would want them.
    for row in bob.connection.execute("SELECT * FROM own_bundles").fetchall():
        eve.connection.execute("INSERT INTO own_bundles VALUES (?, ?, ?, ?, ?, ?, ?, ?)", tuple(row))
    assert outcome(body, alice.id, eve) is What.DROPPED
    assert outcome(body, alice.id, bob) is What.OPENED


def test_who_signs_anothers_bundle_as_his_own_gets_no_session_to_her(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    """An unknown key share: mallory gives out bob's keys, and passes on what alice writes to mallory."""
    mallory = net.add("mallory")
    giving.store_bundle(bob.connection, made := bob.make_bundle(one_time=False), None, bob.moment)
    unsigned = made.bundle.raw[:1] + mallory.identity.ed25519_pub + made.bundle.raw[33:-64]
    stolen = Bundle.parse(unsigned + mallory.identity.sign("bundle", unsigned))
    taking.take_bundle(alice.connection, stolen, alice.moment, from_itself=True, is_contact=True)
    draft = Draft(MessageId(bytes(16)), Plain(0, Kind.TEXT, b"for mallory"))
    body = sending.leave(alice.connection, alice.account, mallory.id, [draft], alice.moment).payloads[draft.id]
    renamed = body[:38] + made.bundle.id + body[46:]
    assert outcome(body, alice.id, bob) is What.LOST
    assert outcome(renamed, alice.id, bob) is What.DROPPED


def test_a_certificate_of_another_node_or_account_is_refused(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    eve = net.add("eve")
    giving.store_bundle(bob.connection, made := bob.make_bundle(one_time=False), None, bob.moment)
    certificates = [
        eve.account.certificate,
        issue(alice.identity, 5).certificate,
        flipped(alice.account.certificate, 70),
    ]
    for certificate in certificates:
        forged = type(alice.account)(alice.id, alice.account.secret, certificate)
        begun = Draft(MessageId(bytes(16)), Plain(0, Kind.TEXT, b"x"))
        alice.connection.execute("DELETE FROM peer_bundles")
        alice.connection.execute("DELETE FROM sessions_out")
        alice.connection.execute("DELETE FROM outgoing")
        taking.take_bundle(alice.connection, made.bundle, alice.moment, from_itself=True, is_contact=True)
        body = sending.leave(alice.connection, forged, bob.id, [begun], alice.moment).payloads[begun.id]
        assert outcome(body, alice.id, bob) is What.DROPPED
    assert count(bob, "sessions_in") == count(bob, "correspondents") == 0


def test_each_byte_of_bundles_and_certificates_is_signed(alice: Endpoint) -> None:
    raw = bundle(alice, one_time=True).raw
    assert Bundle.parse(raw).node_id == alice.id
    for at in [*range(150), *range(150, len(raw), 11), len(raw) - 1]:
        with pytest.raises(ValueError, match="bundle"):
            Bundle.parse(flipped(raw, at))
    for at in range(len(alice.account.certificate)):
        with pytest.raises(ValueError, match="certificate"):
            Certificate.parse(flipped(alice.account.certificate, at))
    with pytest.raises(ValueError, match="certificate"):
        Certificate.parse(alice.account.certificate + b"\0")


def test_an_answer_holds_a_one_time_and_a_lasting_bundle_of_one_node(alice: Endpoint, bob: Endpoint) -> None:
    once, lasting, bobs = bundle(alice, one_time=True), bundle(alice, one_time=False), bundle(bob, one_time=False)
    assert parse_answer(once.raw + lasting.raw) == [once, lasting]
    assert parse_answer(lasting.raw) == [lasting]
    for body in (b"", once.raw + once.raw, once.raw + bobs.raw, once.raw + lasting.raw + b"\0", once.raw[:-1]):
        with pytest.raises(ValueError, match="bundle"):
            parse_answer(body)


def test_a_bundle_names_up_to_four_mailboxes(alice: Endpoint) -> None:
    mailboxes = tuple(NodeId(bytes([number]) * 16) for number in range(4))
    made = make(alice.identity, alice.account, one_time=False, created_ms=1, mailboxes=mailboxes).bundle
    assert (Bundle.parse(made.raw), Bundle.parse(made.raw).mailboxes) == (made, mailboxes)
    with pytest.raises(ValueError, match="at most 4"):
        make(alice.identity, alice.account, one_time=False, created_ms=1, mailboxes=(*mailboxes, mailboxes[0]))


def test_a_message_of_a_later_kind_stays_unopened(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    first_session(net, alice, bob)
    later = Draft(MessageId(bytes(16)), Plain(0, 200, b"?"))
    body = sending.leave(alice.connection, alice.account, bob.id, [later], alice.moment).payloads[later.id]
    assert [outcome(body, alice.id, bob) for _ in range(2)] == [What.DROPPED] * 2


@given(st.binary(max_size=8192), st.integers(0, 2**64 - 1), st.integers(0, 255))
def test_a_plaintext_comes_back_from_its_padding(body: bytes, timestamp_ms: int, kind: int) -> None:
    plain = Plain(timestamp_ms, kind, body)
    encoded = plain.encode()
    assert (Plain.decode(encoded), len(encoded)) == (plain, padded(len(body)))
    with pytest.raises(ValueError, match="padded"):
        Plain.decode(encoded + b"\0")
    for broken in (encoded[:-1] + b"\1", bytes(2) + encoded[2:]):
        if broken != encoded and len(encoded) > 11 + len(body):
            with pytest.raises(ValueError, match="padded"):
                Plain.decode(encoded[:-1] + b"\1")


def test_sizes_are_padded_to_six_steps() -> None:
    assert [padded(size) for size in (0, 53, 54, 245, 246, 1013, 1014, 2037, 2038, 4085, 4086, 8192)] == [
        64, 64, 256, 256, 1024, 1024, 2048, 2048, 4096, 4096, 8448, 8448,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="8192"):
        Plain(0, 0, bytes(8193)).encode()


@given(st.binary(max_size=2000))
def test_what_is_no_message_is_a_value_error(body: bytes) -> None:
    for raw in (body, b"\1\0" + body, b"\1\1" + body):
        try:
            assert Msg2.decode(raw).encode() == raw
        except ValueError:
            continue


def test_nothing_secret_is_in_a_repr(alice: Endpoint) -> None:
    made = make(alice.identity, alice.account, one_time=True, created_ms=1)
    shown = repr((alice.account, made))
    for secret in (alice.account.secret, made.prekey_secret, made.seed):
        assert repr(secret) not in shown
        assert secret.hex() not in shown
