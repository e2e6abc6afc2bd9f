"""What a user may say of peers, on a whole daemon."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.daemon import Daemon

SOMEBODY = "ab" * 16
KEY = "09" + "00" * 31


@pytest.fixture
def alice(shared_daemon: Daemon) -> Iterator[Daemon]:
    yield shared_daemon
    shared_daemon.ask("peers.forget", {"node_id": SOMEBODY})
    for entry in shared_daemon.call("peers.configured"):
        shared_daemon.call("peers.remove", {"config_entry_id": entry["config_entry_id"]})


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        (
            "import_identity",
            {"node_id": SOMEBODY, "x25519_pubkey": "00" * 32},
            "x25519_pubkey: is no usable public key",
        ),
        ("import_identity", {"node_id": SOMEBODY, "x25519_pubkey": "xyz"}, "x25519_pubkey: must be 64 hexadecimal"),
        (
            "import_identity",
            {"node_id": SOMEBODY, "x25519_pubkey": KEY, "friendly_name": "a\nb"},
            "friendly_name: must hold no control",
        ),
        ("label", {"node_id": SOMEBODY, "label": "bob\u202e"}, "label: must hold no control"),
        ("label", {"node_id": SOMEBODY, "label": "x" * 129}, "label: must have at most 128 characters"),
    ],
)
def test_what_cannot_be_is_refused_in_words(alice: Daemon, method: str, params: dict[str, Any], words: str) -> None:
    error = alice.ask(f"peers.{method}", params)["error"]
    assert error["code"] == -32602
    assert f"parameter {words}" in error["message"]


@pytest.mark.parametrize("method", ["block", "pair", "import_identity", "forget"])
def test_the_node_itself_is_no_peer(alice: Daemon, method: str) -> None:
    params = {"node_id": alice.node_id, "trust": "once", "x25519_pubkey": KEY}
    error = alice.ask(f"peers.{method}", params)["error"]
    assert (error["code"], error["message"]) == (-32602, "parameter node_id: this is the node itself")


def test_a_key_is_taken_and_labelled(alice: Daemon) -> None:
    params = {"node_id": SOMEBODY, "x25519_pubkey": KEY.upper(), "friendly_name": "Björn"}
    assert alice.call("peers.import_identity", params)["imported"] is True
    row = alice.call("peers.label", {"node_id": SOMEBODY, "label": "B"})
    assert (row["label"], row["known"], row["x25519_pubkey"]) == ("B", "imported", KEY)


def test_whoever_is_forgotten_without_messages_is_told_of_so(alice: Daemon) -> None:
    alice.call("peers.import_identity", {"node_id": SOMEBODY, "x25519_pubkey": KEY})
    nothing_deleted = {"deleted_messages": 0, "deleted_conversation": False}
    assert alice.call("peers.forget", {"node_id": SOMEBODY}) == {"forgot_identity": True, **nothing_deleted}
    assert alice.call("peers.forget", {"node_id": SOMEBODY}) == {"forgot_identity": False, **nothing_deleted}


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_import_without_a_name_keeps_the_one_held(alice: Daemon, nothing: str | None) -> None:
    params = {"node_id": SOMEBODY, "x25519_pubkey": KEY, "friendly_name": "Carol"}
    alice.call("peers.import_identity", params)
    alice.call("peers.import_identity", params | {"friendly_name": nothing})
    assert alice.call("peers.export_identity", {"node_id": SOMEBODY})["name"] == "Carol"


def test_an_empty_label_of_an_address_is_none(alice: Daemon) -> None:
    alice.call("peers.add_static", {"address": "127.0.0.1:1", "label": ""})
    assert alice.call("peers.configured")[0]["label"] is None
    assert "label" not in alice.config.read_text()


def test_a_pairing_that_fails_at_an_address_is_told_when_it_is_known_whom_it_was_for(alice: Daemon) -> None:
    with alice.socket() as client:
        client.call("peers.subscribe")
        alice.ask("peers.pair", {"node_id": SOMEBODY, "address": "127.0.0.1:1", "trust": "once"})
        failed = client.wait_for("pair_failed")
    assert failed["peer"]["node_id"] == SOMEBODY
    assert "127.0.0.1:1" in failed["reason"]
