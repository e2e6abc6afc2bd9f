"""A key for one direction from one message: for the reader that was meant, from the writer that is proven."""

import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pimd.contract import OneWayWritten, read_one_way, write_one_way

WRITER, READER = b"\1" * 32, b"\2" * 32


def public(secret: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def written(**changed: Any) -> OneWayWritten:
    given: dict[str, Any] = {
        "prologue": b"between",
        "psk": b"\3" * 32,
        "static": WRITER,
        "remote_static": public(READER),
        "ephemeral": lambda: os.urandom(32),
    }
    return write_one_way(b"payload", **(given | changed))


def test_both_ends_get_the_same_key_and_the_reader_knows_the_writer() -> None:
    one = written()
    read = read_one_way(one.message, prologue=b"between", psk=b"\3" * 32, static=READER)
    assert (read.payload, read.remote_static) == (b"payload", public(WRITER))
    assert (read.key, read.handshake_hash) == (one.key, one.handshake_hash)
    assert len(one.message) == 80 + len(b"payload") + 16
    assert written().key != one.key


@pytest.mark.parametrize(
    "wrong", [{"prologue": b"other"}, {"psk": bytes(32)}, {"static": WRITER}], ids=lambda wrong: next(iter(wrong))
)
def test_nothing_is_read_with_anything_else(wrong: dict[str, bytes]) -> None:
    right = {"prologue": b"between", "psk": b"\3" * 32, "static": READER}
    message = written().message
    with pytest.raises(ValueError, match="authenticate"):
        read_one_way(message, **(right | wrong))
    for at in range(len(message)):
        mutated = message[:at] + bytes((message[at] ^ 1,)) + message[at + 1 :]
        with pytest.raises(ValueError, match=r"authenticate|low order"):
            read_one_way(mutated, **right)
    with pytest.raises(ValueError, match="cut short"):
        read_one_way(message[:20], **right)


def test_a_key_of_low_order_is_refused() -> None:
    with pytest.raises(ValueError, match="low order"):
        written(remote_static=bytes(32))


def test_no_key_is_shown() -> None:
    one = written()
    assert repr(one.key) not in repr(one)
    read = read_one_way(one.message, prologue=b"between", psk=b"\3" * 32, static=READER)
    assert repr(one.key) not in repr(read)
