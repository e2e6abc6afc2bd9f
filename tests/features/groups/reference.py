"""The wire format of groups once more, written from docs/protocol.md with other libraries; makes tests/vectors/pim_groups.json."""

import hashlib
import hmac
import json
from pathlib import Path

from nacl.bindings import crypto_aead_chacha20poly1305_ietf_encrypt
from nacl.signing import SigningKey

TARGET = Path(__file__).parents[2] / "vectors" / "pim_groups.json"


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def public(seed: bytes) -> bytes:
    return bytes(SigningKey(seed).verify_key)


def node(seed: bytes) -> bytes:
    return sha(public(seed))[:16]


def signed_by_node(seed: bytes, domain: bytes, message: bytes) -> bytes:
    return SigningKey(seed).sign(b"pim-sign-v1\0groups\0" + domain + b"\0" + message).signature


def yes(seed: bytes, group: bytes, number: int) -> bytes:
    said = group + number.to_bytes(4, "big")
    return number.to_bytes(4, "big") + public(seed) + signed_by_node(seed, b"yes", said)


def record(
    seed: bytes,
    group: bytes,
    number: int,
    before: bytes,
    name: str,
    members: list[tuple[bytes, int]],
    yeses: list[bytes],
) -> bytes:
    text = name.encode()
    out = b"\x01" + group + number.to_bytes(4, "big") + before + bytes([len(text)]) + text + bytes([len(members)])
    for member, flags in members:
        out += member + bytes([flags])
    out += bytes([len(yeses)]) + b"".join(yeses) + public(seed)
    return out + signed_by_node(seed, b"record", out)


def chain_at(chain: bytes, number: int) -> bytes:
    for _ in range(number):
        chain = hmac.new(chain, b"\x02", "sha256").digest()
    return chain


def given_key(seed: bytes, group: bytes, sender: bytes, record_hash: bytes, number: int, chain: bytes) -> bytes:
    rest = number.to_bytes(4, "big") + chain_at(chain, number) + public(seed)
    signature = SigningKey(seed).sign(b"pim-group-key-v1" + group + sender + record_hash + rest).signature
    return group + record_hash + rest + signature


def message(
    seed: bytes, chain: bytes, ends: tuple[bytes, bytes, bytes, int], number: int, nonce: bytes, plain: bytes
) -> tuple[bytes, bytes]:
    """`ends` are group, sender, record hash and record number; return message and id."""
    group, sender, record_hash, record_number = ends
    key_id = sha(b"pim-group-key-v1" + group + sender + record_hash + public(seed))[:16]
    numbers = number.to_bytes(4, "big") + record_number.to_bytes(4, "big")
    head = b"\x01" + group + key_id + numbers + record_hash + nonce
    key = hmac.new(chain_at(chain, number), b"\x01", "sha256").digest()
    body = head + crypto_aead_chacha20poly1305_ietf_encrypt(plain, head + sender, nonce, key)
    signature = SigningKey(seed).sign(b"pim-group-message-v1" + body).signature
    return body + signature, sha(b"pim-group-message-v1" + body)[:16]


def made() -> dict[str, str]:
    alice, bob, key_seed, chain = b"a" * 32, b"b" * 32, b"k" * 32, b"c" * 32
    first = record(alice, bytes(16), 0, b"r" * 32, "friends ✓", [(node(alice), 1)], [])
    group = sha(first)[:16]
    bobs_yes = yes(bob, group, 0)
    second = record(alice, group, 1, sha(first), "friends ✓", [(node(alice), 1), (node(bob), 0)], [bobs_yes])
    third = record(bob, group, 2, sha(second), "friends ✓", [(node(alice), 1)], [])
    parents = [b"p" * 16, b"q" * 16]
    plain = (1_800_000_000_000).to_bytes(8, "big") + b"\x02" + b"".join(parents) + "good evening ✓".encode()
    sealed, id_ = message(key_seed, chain, (group, node(alice), sha(second), 1), 3, b"n" * 12, plain)
    values = {
        "alice_seed": alice,
        "bob_seed": bob,
        "key_seed": key_seed,
        "chain": chain,
        "record_0": first,
        "group": group,
        "yes": bobs_yes,
        "record_1": second,
        "record_2_bob_leaves": third,
        "given_key": given_key(key_seed, group, node(alice), sha(second), 2, chain),
        "message": sealed,
        "message_id": id_,
        "plain": plain,
    }
    return {name: value.hex() for name, value in values.items()}


if __name__ == "__main__":
    TARGET.write_text(json.dumps(made(), indent=2) + "\n")
