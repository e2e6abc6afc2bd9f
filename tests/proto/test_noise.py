"""Known answers of the Noise framework, an independent implementation as oracle, and what must be refused."""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from noise.connection import Keypair, NoiseConnection

from pimd.proto.errors import HandshakeError, LocalProtocolError
from pimd.proto.noise import HandshakeState

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "noise_cacophony_25519.json").read_text())["vectors"]
LOW_ORDER = [
    bytes(32),
    bytes([1]) + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


def side(vector: dict[str, Any], role: str, name: str) -> HandshakeState:
    def key(field: str) -> bytes | None:
        value = vector.get(f"{role}_{field}")
        return bytes.fromhex(value) if value else None

    ephemeral = key("ephemeral")
    return HandshakeState(
        name,
        initiator=role == "init",
        prologue=key("prologue") or b"",
        ephemeral=lambda: ephemeral or os.urandom(32),
        static=key("static"),
        remote_static=key("remote_static"),
        psks=[bytes.fromhex(psk) for psk in vector.get(f"{role}_psks", ())],
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["protocol_name"])
def test_both_sides_reproduce_the_published_vector(vector: dict[str, Any]) -> None:
    name = vector["protocol_name"]
    initiator, responder = side(vector, "init", name), side(vector, "resp", name)
    one_way = len(name.split("_")[1].replace("psk0", "").replace("psk1", "")) == 1
    senders = itertools.cycle([(initiator, responder), (responder, initiator)])
    messages = iter(vector["messages"])
    while not initiator.finished:
        sender, receiver = next(senders)
        message = next(messages)
        written = sender.write_message(bytes.fromhex(message["payload"]))
        assert written.hex() == message["ciphertext"]
        assert receiver.read_message(written).hex() == message["payload"]
    assert responder.finished
    assert initiator.handshake_hash.hex() == responder.handshake_hash.hex() == vector["handshake_hash"]
    keys = {initiator: initiator.split(), responder: responder.split()}
    for message in messages:
        sender, receiver = (initiator, responder) if one_way else next(senders)
        written = keys[sender][0].encrypt(b"", bytes.fromhex(message["payload"]))
        assert written.hex() == message["ciphertext"]
        assert keys[receiver][1].decrypt(b"", written).hex() == message["payload"]


def oracle(name: str, *, initiator: bool, psk: bytes | None) -> NoiseConnection:
    noise = NoiseConnection.from_name(name.encode())
    noise.set_as_initiator() if initiator else noise.set_as_responder()
    noise.set_keypair_from_private_bytes(Keypair.STATIC, os.urandom(32))
    noise.set_prologue(b"PIM\x02")
    if psk is not None:
        noise.set_psks(psk)
    noise.start_handshake()
    return noise


@pytest.mark.parametrize("pattern", ["XX", "XXpsk0"])
@pytest.mark.parametrize("cipher", ["ChaChaPoly", "AESGCM"])
@pytest.mark.parametrize("we_initiate", [True, False])
def test_an_independent_implementation_agrees(pattern: str, cipher: str, *, we_initiate: bool) -> None:
    name = f"Noise_{pattern}_25519_{cipher}_SHA256"
    psk = os.urandom(32) if "psk" in pattern else None
    theirs = oracle(name, initiator=not we_initiate, psk=psk)
    ours = HandshakeState(
        name,
        initiator=we_initiate,
        prologue=b"PIM\x02",
        ephemeral=lambda: os.urandom(32),
        static=os.urandom(32),
        psks=[psk] if psk else [],
    )
    for number in range(3):
        payload = b"payload %d" % number
        if (number % 2 == 0) == we_initiate:
            assert theirs.read_message(ours.write_message(payload)) == payload
        else:
            assert ours.read_message(bytes(theirs.write_message(payload))) == payload
    send, receive = ours.split()
    assert theirs.decrypt(send.encrypt(b"", b"to them")) == b"to them"
    assert receive.decrypt(b"", theirs.encrypt(b"to us")) == b"to us"


def xx(*, initiator: bool) -> HandshakeState:
    return HandshakeState(
        "Noise_XX_25519_AESGCM_SHA256",
        initiator=initiator,
        prologue=b"",
        ephemeral=lambda: os.urandom(32),
        static=os.urandom(32),
    )


@pytest.mark.parametrize("point", LOW_ORDER, ids=bytes.hex)
def test_a_low_order_ephemeral_is_refused(point: bytes) -> None:
    acceptor = xx(initiator=False)
    acceptor.read_message(point)
    with pytest.raises(HandshakeError, match="low order"):
        acceptor.write_message(b"")


def test_every_truncation_of_every_message_is_refused() -> None:
    alice, bob = xx(initiator=True), xx(initiator=False)
    first = alice.write_message(b"")
    bob.read_message(first)
    second = bob.write_message(b"proof")
    for length in range(len(second)):
        fresh = xx(initiator=True)
        fresh.write_message(b"")
        with pytest.raises(HandshakeError):
            fresh.read_message(second[:length])


def test_rekey_changes_the_key_but_not_the_counter_on_both_sides() -> None:
    alice, bob = xx(initiator=True), xx(initiator=False)
    bob.read_message(alice.write_message(b""))
    alice.read_message(bob.write_message(b""))
    bob.read_message(alice.write_message(b""))
    send, receive = alice.split()[0], bob.split()[1]
    assert receive.decrypt(b"", send.encrypt(b"", b"before")) == b"before"
    send.rekey()
    with pytest.raises(HandshakeError):
        receive.decrypt(b"", send.encrypt(b"", b"after"))
    receive.rekey()
    assert receive.decrypt(b"", send.encrypt(b"", b"both rekeyed")) == b"both rekeyed"


def test_a_step_out_of_turn_is_our_own_error() -> None:
    with pytest.raises(LocalProtocolError):
        xx(initiator=False).write_message(b"")
    with pytest.raises(LocalProtocolError):
        xx(initiator=True).split()


def test_a_pattern_without_its_psk_is_refused() -> None:
    with pytest.raises(ValueError, match="pre-shared"):
        HandshakeState("Noise_XXpsk0_25519_AESGCM_SHA256", initiator=True, prologue=b"", ephemeral=lambda: bytes(32))
