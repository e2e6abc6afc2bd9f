"""Receipts as files: what `pim receipt verify` takes, and that nothing that was changed is among it."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from pimd.assembly.services import PluginIdentity
from pimd.cli import receipt as standalone
from pimd.cli.program import main
from pimd.cli.receipt import ORDER, P, signature_holds, verify
from pimd.ids import MessageId, NodeId
from pimd.proto.identity import Identity
from pimd_features.messaging import FEATURE
from pimd_features.messaging.receipt import Receipt, Received, digest_of

BODY = 'höre, was ich sage: \U0001f600 "quoted" \\ and\n\0'
IDENTITY = PluginIdentity(FEATURE, Identity.from_seed(b"recipient".ljust(32, b"\0")))
MUTATIONS = int(os.environ.get("PIMD_MUTATED_RECEIPTS", "100000"))


def receipt(body: str = BODY, time_ms: int = 1_800_000_000_000) -> str:
    about = Received(MessageId(b"m" * 16), digest_of(body), NodeId(b"s" * 16), IDENTITY.node_id, time_ms)
    return Receipt.issue(IDENTITY, about).file(body)


GOOD = receipt().encode()


def libsodium(key: bytes, message: bytes, signature: bytes) -> bool:
    """The same check by other code, a hundred times as fast."""
    try:
        crypto_sign_open(signature + message, key)
    except BadSignatureError:
        return False
    return True


def holds(raw: bytes) -> bool:
    try:
        verify(raw)
    except ValueError:
        return False
    return True


# --- mutations: each gives other bytes than the receipt's


def flip(random: random.Random, raw: bytes) -> bytes:
    at = random.randrange(len(raw))
    return raw[:at] + bytes((raw[at] ^ (1 << random.randrange(8)),)) + raw[at + 1 :]


def put(random: random.Random, raw: bytes) -> bytes:
    at = random.randrange(len(raw))
    return raw[:at] + random.choice((b" ", b"\n", b"0", b"a", b'"', b"\xff", random.randbytes(3))) + raw[at:]


def cut(random: random.Random, raw: bytes) -> bytes:
    at = random.randrange(len(raw))
    return raw[:at] + raw[at + random.randrange(1, 40) :]


def double(random: random.Random, raw: bytes) -> bytes:
    at, size = random.randrange(len(raw)), random.randrange(1, 80)
    return raw[: at + size] + raw[at:]


def digit(random: random.Random, raw: bytes) -> bytes:
    """One hexadecimal digit or figure of a field is another."""
    fields = json.loads(raw)
    name = random.choice(("message_id", "sender", "recipient", "recipient_key", "signature", "time_ms"))
    text = str(fields[name])
    at = random.randrange(len(text))
    text = text[:at] + random.choice("0123456789" if name == "time_ms" else "0123456789abcdef") + text[at + 1 :]
    return written({**fields, name: int(text) if name == "time_ms" else text})


def word(random: random.Random, raw: bytes) -> bytes:
    fields = json.loads(raw)
    at = random.randrange(len(fields["body"]))
    return written(
        {**fields, "body": fields["body"][:at] + chr(random.randrange(1, 0xD800)) + fields["body"][at + 1 :]}
    )


def key(random: random.Random, raw: bytes) -> bytes:
    """Another key, with the id that fits it."""
    fields, other = json.loads(raw), random.randbytes(32)
    return written({**fields, "recipient_key": other.hex(), "recipient": hashlib.sha256(other).hexdigest()[:32]})


def shift(random: random.Random, raw: bytes) -> bytes:
    """S + L and R + P in the signature say the same in other bytes."""
    fields = json.loads(raw)
    signature = bytes.fromhex(fields["signature"])
    r, s = int.from_bytes(signature[:32], "little"), int.from_bytes(signature[32:], "little")
    r, s = random.choice(
        ((r, s + ORDER), (r, ORDER - s), (r ^ 1 << 255, s), ((r + P) % 2**256, s), (random.randrange(2**256), s))
    )
    return written({**fields, "signature": (r.to_bytes(32, "little") + s.to_bytes(32, "little")).hex()})


def swap(random: random.Random, raw: bytes) -> bytes:
    fields = json.loads(raw)
    one, other = random.sample(sorted(fields), 2)
    if random.randrange(2):
        return written({**fields, one: fields[other]})
    return written({name: fields[name] for name in random.sample(sorted(fields), len(fields))})


def written(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


WAYS: tuple[Callable[[random.Random, bytes], bytes], ...] = (flip, put, cut, double, digit, word, key, shift, swap)


def accepted(count: int, seed: int) -> tuple[int, list[bytes]]:
    """Mutate so often; return how many were other bytes than the receipt's, and those that were taken."""
    source, tried, taken = random.Random(seed), 0, list[bytes]()
    for number in range(count):
        mutated = WAYS[number % len(WAYS)](source, GOOD)
        if mutated != GOOD:
            tried += 1
            taken += [mutated] if holds(mutated) else []
    return tried, taken


def test_a_receipt_holds_and_says_what_was_received() -> None:
    assert verify(GOOD)["body"] == BODY
    assert verify(receipt("x" * 8192, 0).encode())["time_ms"] == 0
    assert verify(receipt("\1" * 8192).encode())["recipient"] == str(IDENTITY.node_id)


def test_mutated_receipts_are_refused() -> None:
    tried, taken = accepted(1_500, 1)
    assert taken == []
    assert tried > 1_350


def test_mutated_receipts_are_refused_with_libsodium_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone, "signature_holds", libsodium)
    assert accepted(9_000, 2)[1] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_very_many_mutated_receipts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone, "signature_holds", libsodium)
    tried, taken = 0, list[bytes]()
    seed = 100
    while tried < MUTATIONS:
        more, found = accepted(10_000, seed)
        tried, taken, seed = tried + more, taken + found, seed + 1
    assert taken == []


@settings(max_examples=60, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=200), at=st.integers(0, 1023))
def test_its_ed25519_is_that_of_libsodium(seed: bytes, message: bytes, at: int) -> None:
    identity = Identity.from_seed(seed)
    signature = identity.sign(message)
    assert signature_holds(identity.ed25519_pub, message, signature)
    together = bytearray(identity.ed25519_pub + signature)
    at %= 8 * len(together)
    together[at // 8] ^= 1 << at % 8
    changed_key, changed = bytes(together[:32]), bytes(together[32:])
    assert signature_holds(changed_key, message, changed) == libsodium(changed_key, message, changed) == False  # noqa: E712


@pytest.mark.parametrize(
    ("key_", "signature"),
    [
        (bytes((1,)) + bytes(31), bytes((1,)) + bytes(63)),  # the neutral point signs everything with S = 0
        (bytes(32), bytes((1,)) + bytes(63)),
        ((P - 1).to_bytes(32, "little"), bytes((1,)) + bytes(63)),
        ((P + 1).to_bytes(32, "little"), bytes((1,)) + bytes(63)),
        (b"\xff" * 32, bytes(64)),
    ],
)
def test_keys_that_sign_anything_are_refused(key_: bytes, signature: bytes) -> None:
    assert not signature_holds(key_, b"anything", signature)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b"[" * 60_000,
        b"\xff\xfe",
        b"9" * 60_000 + b"\n",
        GOOD * 300,
        GOOD.rstrip(),
        GOOD.replace(b'"pim_receipt":1', b'"pim_receipt":true'),
        GOOD.replace(b'"pim_receipt":1', b'"pim_receipt":1.0'),
        GOOD.replace(b'"pim_receipt":1', b'"pim_receipt":2'),
        GOOD.replace(b'"time_ms":1', b'"time_ms":-1'),
        GOOD.replace(b'"time_ms":1800000000000', b'"time_ms":1800000000000.0'),
        GOOD.replace(b'"time_ms":1800000000000', b'"time_ms":9223372036854775808'),
        GOOD.replace(b'"body":"', b'"body":"\\ud800'),
        GOOD.replace(b"}", b',"more":1}'),
        GOOD.upper(),
    ],
)
def test_what_is_no_receipt_is_refused_with_a_reason(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^it |^its |^the |time_ms"):
        verify(raw)


def test_pim_verifies_without_a_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "r.json"
    file.write_bytes(GOOD)
    assert main(["--data-dir", str(tmp_path / "nobody"), "receipt", "verify", str(file)]) == 0
    said = capsys.readouterr().out
    assert f"good: {IDENTITY.node_id} signed that it had message {b'm'.hex() * 16}" in said
    assert "\0" not in said
    assert main(["--json", "receipt", "verify", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["body"] == BODY
    file.write_bytes(GOOD.replace(b"was", b"wat"))
    assert main(["receipt", "verify", str(file)]) == 1
    assert "the signature does not hold" in capsys.readouterr().err
    assert main(["receipt", "verify", str(tmp_path / "none")]) == 2


def test_the_verifier_stands_alone(tmp_path: Path) -> None:
    alone = tmp_path / "receipt.py"
    shutil.copy(standalone.__file__, alone)
    (tmp_path / "r.json").write_bytes(GOOD)
    command = [sys.executable, "-I", "-S", str(alone), str(tmp_path / "r.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "recipient_key" in done.stdout
    (tmp_path / "r.json").write_bytes(GOOD.replace(b"was", b"wat"))
    assert subprocess.run(command, capture_output=True, check=False, cwd=tmp_path).returncode == 1
    assert len(alone.read_text().splitlines()) <= 120
