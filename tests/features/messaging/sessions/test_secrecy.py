"""What a thief of all files does not read, and that each half of the hybrid is needed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pimd.ids import NodeId
from pimd.proto import mlkem as kem
from pimd_features.messaging.sessions import chain, giving, header, receiving, taking
from pimd_features.messaging.sessions.bundle import BUNDLE_KIND, make
from pimd_features.messaging.sessions.header import BundleSecrets
from pimd_features.messaging.sessions.message import MSG_KIND, Msg2
from pimd_features.messaging.sessions.schema import MAIL_FIRST_MS
from tests.features.messaging.sessions.attack import opened
from tests.features.messaging.sessions.conftest import Net
from tests.features.messaging.sessions.endpoint import Endpoint

TEXTS = {f"{name} {number}".encode() for name in ("alice", "bob") for number in range(4)}


def converse(net: Net, *ends: Endpoint) -> None:
    """Three sessions each way within three minutes, on one-time bundles alone; then the conversation is deleted."""
    one, other = ends
    for number in range(4):
        net.say(one, other, f"alice {number}")
        net.say(other, one, f"bob {number}")
        net.settle()
        net.wait(45_000)
    assert len({Msg2.decode(body).session_id for body in net.bodies(MSG_KIND)}) >= 4
    for end in ends:
        assert len(end.shown()) == 4
        for table in ("shown", "written"):
            end.connection.execute(f"DELETE FROM {table}")  # noqa: S608


def stolen(*ends: Endpoint) -> list[bytes]:
    return [content for end in ends for content in end.files()]


@pytest.mark.slow
def test_nothing_from_before_the_last_minute_opens(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    converse(net, alice, bob)
    for end in (alice, bob):
        end.truncate()
    assert opened(stolen(alice, bob), net.recorded) == set()


Break = Callable[[pytest.MonkeyPatch], None]


def _keep_bundles(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(receiving, "use_up", lambda *_: None)


def _leave_remains(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Endpoint, "secure_delete", "OFF")


def _leave_the_log(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Endpoint, "truncate", lambda _: None)


@pytest.mark.parametrize(
    "mutant", [_keep_bundles, _leave_the_log, _leave_remains], ids=["bundles stay", "the log stays", "remains stay"]
)
@pytest.mark.slow
def test_the_thief_reads_what_is_not_deleted(mutant: Break, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    net = Net(tmp_path)
    alice, bob = net.add("alice"), net.add("bob")
    converse(net, alice, bob)
    for end in (alice, bob):
        end.truncate()
    assert opened(stolen(alice, bob), net.recorded) == TEXTS
    for end in (alice, bob):
        end.stop()


@pytest.mark.slow
def test_sessions_on_a_lasting_bundle_open_while_its_secrets_are_kept(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    bob.connection.execute("BEGIN")
    lasting = bob.make_bundle(one_time=False)
    giving.store_bundle(bob.connection, lasting, None, bob.moment)
    bob.connection.execute("COMMIT")
    taking.take_bundle(alice.connection, lasting.bundle, alice.moment, from_itself=True, is_contact=True)
    net.recorded.append((bob.id, alice.id, BUNDLE_KIND, lasting.bundle.raw))
    net.say(alice, bob, "early")
    net.settle(lose=lambda payload: payload[2] == BUNDLE_KIND)
    bob.connection.execute("DELETE FROM shown")
    alice.connection.execute("DELETE FROM written")
    alice.truncate()
    bob.truncate()
    assert opened(stolen(alice, bob), net.recorded) == {b"early"}
    net.wait(28 * 24 * 3600 * 1000)
    giving.age_bundles(bob.connection, bob.moment, MAIL_FIRST_MS)
    bob.truncate()
    assert opened(stolen(alice, bob), net.recorded) == set()


@pytest.mark.slow
def test_a_passive_thief_reads_nothing_after_two_renewals(net: Net, alice: Endpoint, bob: Endpoint) -> None:
    net.say(alice, bob, "before")
    net.settle()
    files = stolen(alice, bob)
    for number in range(4):
        net.say(alice, bob, f"after {number}")
        net.settle()
        net.wait(61_000)
    later = {f"after {number}".encode() for number in range(4)}
    found = opened(files, net.recorded) & later
    assert found == {b"after 0", b"after 1"}  # the session of then, and the one with the bundle of then


def _session(alice: Endpoint, bob: Endpoint) -> tuple[BundleSecrets, header.Begun]:
    own = make(bob.identity, bob.account, one_time=True, created_ms=1)
    return BundleSecrets(own.bundle.digest, own.prekey_secret, own.seed), header.begin(alice.account, own.bundle)


def test_without_either_secret_of_a_bundle_nothing_opens(alice: Endpoint, bob: Endpoint) -> None:
    secrets, begun = _session(alice, bob)
    other, _ = _session(alice, bob)
    assert header.accept(secrets, alice.id, bob.id, begun.header).chain == begun.chain
    without_kem = BundleSecrets(secrets.digest, secrets.prekey, other.seed)
    without_x25519 = BundleSecrets(secrets.digest, other.prekey, secrets.seed)
    for half in (without_kem, without_x25519):
        with pytest.raises(ValueError, match="authenticate"):
            header.accept(half, alice.id, bob.id, begun.header)


def test_with_all_x25519_secrets_the_same_the_keys_differ_by_ml_kem(alice: Endpoint, bob: Endpoint) -> None:
    own = make(bob.identity, bob.account, one_time=True, created_ms=1)
    one, other = (header.begin(alice.account, own.bundle, bytes) for _ in range(2))
    assert one.header[1096:1128] == other.header[1096:1128]  # the ephemeral key
    assert one.header[1128:] != other.header[1128:]
    assert (one.id, one.chain) != (other.id, other.chain)
    assert one.chain != other.chain


def test_with_all_ml_kem_secrets_the_same_the_keys_differ_by_x25519(
    alice: Endpoint, bob: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make(bob.identity, bob.account, one_time=True, created_ms=1)
    known = kem.encapsulate(own.bundle.kem_key)
    monkeypatch.setattr(header, "encapsulate", lambda _: known)
    one, other = (header.begin(alice.account, own.bundle) for _ in range(2))
    assert one.header[:1096] == other.header[:1096]
    assert one.chain != other.chain


def test_no_key_of_a_chain_leads_back(alice: Endpoint, bob: Endpoint) -> None:
    _, begun = _session(alice, bob)
    links = [begun.chain]
    for _ in range(5):
        links.append(chain.next_chain(links[-1]))
    keys = [chain.message_key(link) for link in links]
    assert len({*links, *keys}) == 12
    assert chain.next_chain(keys[0]) not in links


def test_the_prologue_binds_both_ends(alice: Endpoint, bob: Endpoint) -> None:
    secrets, begun = _session(alice, bob)
    for ends in ((bob.id, alice.id), (alice.id, alice.id), (NodeId(bytes(16)), bob.id)):
        with pytest.raises(ValueError, match="authenticate"):
            header.accept(secrets, *ends, begun.header)
