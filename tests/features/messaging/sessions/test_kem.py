"""Known answers of ML-KEM-768, and the probe at the start."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from pimd.contract import KemMissing, kem_probe
from pimd.proto import mlkem as kem

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "mlkem768.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["keygen"], ids=lambda vector: vector["tcId"])
def test_keys_of_seeds_are_those_of_nist(vector: dict[str, Any]) -> None:
    assert kem.public_of(bytes.fromhex(vector["d"] + vector["z"])).hex() == vector["ek"]


@pytest.mark.parametrize("vector", VECTORS["decapsulation"], ids=lambda vector: vector["count"])
def test_secrets_are_the_known_ones_of_right_and_of_wrong_ciphertexts(vector: dict[str, Any]) -> None:
    seed = bytes.fromhex(vector["d"] + vector["z"])
    assert kem.decapsulate(seed, bytes.fromhex(vector["ct"])).hex() == vector["ss"]
    assert kem.decapsulate(seed, bytes.fromhex(vector["ct_n"])).hex() == vector["ss_n"]


def test_a_secret_comes_through_to_the_owner_of_the_key_alone() -> None:
    seed, other = bytes(range(64)), bytes(64)
    secret, ciphertext = kem.encapsulate(kem.public_of(seed))
    assert (len(secret), len(ciphertext)) == (32, kem.CIPHERTEXT_SIZE)
    assert kem.decapsulate(seed, ciphertext) == secret
    assert kem.decapsulate(other, ciphertext) != secret
    with pytest.raises(ValueError, match="public key"):  # its coefficients are over the modulus
        kem.encapsulate(b"\xff" * kem.PUBLIC_SIZE)


def test_the_probe_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    kem_probe()

    def refuse(_: bytes) -> bytes:
        raise UnsupportedAlgorithm("not in this wheel")

    monkeypatch.setattr(kem, "public_of", refuse)
    with pytest.raises(KemMissing, match=r"cryptography.*48"):
        kem_probe()
