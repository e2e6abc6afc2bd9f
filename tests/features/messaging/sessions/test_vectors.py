"""A session made by other code (kyber-py, noiseprotocol): the same bytes, keys and ids come out here."""

import json
from pathlib import Path
from typing import Any

import pytest

from pimd.assembly.services import PluginIdentity
from pimd.contract import Feature
from pimd.ids import MessageId, NodeId
from pimd.proto import mlkem as kem
from pimd.proto.identity import Identity
from pimd_features.messaging.sessions import chain, header
from pimd_features.messaging.sessions.account import Account, Certificate, public_of
from pimd_features.messaging.sessions.bundle import Bundle
from pimd_features.messaging.sessions.header import BundleSecrets
from pimd_features.messaging.sessions.message import Msg2, Plain, open_with, seal
from pimd_features.messaging.sessions.reset import Reset

VECTOR = json.loads((Path(__file__).parents[3] / "vectors" / "pim_sessions.json").read_text())


def of(name: str) -> bytes:
    return bytes.fromhex(VECTOR[name])


ALICE, BOB = NodeId(of("alice")), NodeId(of("bob"))


def identity(name: str) -> PluginIdentity:
    return PluginIdentity(Feature("messaging", "x"), Identity.from_seed(of(f"{name}_ed25519_seed")))


def test_the_certificate() -> None:
    certificate = Certificate.parse(of("certificate"))
    assert (certificate.node_id, certificate.account) == (ALICE, public_of(of("alice_account_secret")))
    head = of("certificate")[:-64]
    assert head + identity("alice").sign("account", head) == of("certificate")


def test_the_bundle() -> None:
    bundle = Bundle.parse(of("bundle"))
    assert (bundle.node_id, bundle.one_time, bundle.created_ms) == (BOB, False, 1_800_000_000_001)
    assert (bundle.prekey, bundle.kem_key) == (public_of(of("prekey_secret")), kem.public_of(of("kem_seed")))
    assert (bundle.mailboxes, bundle.id) == ((NodeId(of("mailbox")),), of("header")[:8])


def test_the_recipient_reads_the_header() -> None:
    secrets = BundleSecrets(Bundle.parse(of("bundle")).digest, of("prekey_secret"), of("kem_seed"))
    accepted = header.accept(secrets, ALICE, BOB, of("header"))
    assert (accepted.id, accepted.chain) == (of("session_id"), bytes.fromhex(VECTOR["chain_keys"][0]))
    assert accepted.certificate == Certificate.parse(of("certificate"))


def test_the_sender_writes_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    ciphertext = of("header")[8 : 8 + kem.CIPHERTEXT_SIZE]
    assert kem.decapsulate(of("kem_seed"), ciphertext) == of("kem_secret")
    monkeypatch.setattr(header, "encapsulate", lambda _: (of("kem_secret"), ciphertext))
    account = Account(ALICE, of("alice_account_secret"), of("certificate"))
    begun = header.begin(account, Bundle.parse(of("bundle")), lambda _: of("ephemeral_secret"))
    assert (begun.header, begun.id) == (of("header"), of("session_id"))
    assert begun.chain.hex() == VECTOR["chain_keys"][0]


def test_the_chain() -> None:
    link = bytes.fromhex(VECTOR["chain_keys"][0])
    for expected in VECTOR["chain_keys"][1:]:
        link = chain.next_chain(link)
        assert link.hex() == expected


@pytest.mark.parametrize("vector", VECTOR["messages"], ids=lambda vector: vector["number"])
def test_the_messages(vector: dict[str, Any]) -> None:
    key = chain.message_key(bytes.fromhex(VECTOR["chain_keys"][vector["number"]]))
    assert key.hex() == vector["message_key"]
    msg = Msg2.decode(bytes.fromhex(vector["payload"]))
    plain = Plain(vector["timestamp_ms"], vector["kind"], bytes.fromhex(vector["body"]))
    assert open_with(msg, key, ALICE, BOB) == plain
    place = (MessageId(bytes.fromhex(vector["message_id"])), of("session_id"), vector["number"])
    assert seal(plain, place, msg.header, key, msg.nonce, (ALICE, BOB)).encode().hex() == vector["payload"]


def test_the_reset() -> None:
    reset = Reset.decode(of("reset"))
    assert reset.is_of(BOB, identity("bob").ed25519_pub)
    assert not reset.is_of(ALICE, identity("bob").ed25519_pub)
    assert Reset.issue(identity("bob"), reset.session_id, reset.unix_ms) == reset
