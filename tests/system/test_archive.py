"""Search, files, retention and receipts, as a user types them."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.system.conftest import MakeDaemon, Pair
from tests.system.daemon import Daemon

GIVES = "[features.messaging]\nreceipts = true\n"


def until(daemon: Daemon, peer: str, field: str, value: object) -> None:
    """Wait until the newest message has it."""
    with daemon.socket() as client:
        while client.call("messages.history", {"peer_node_id": peer, "limit": 1})["messages"][0][field] != value:
            pass


def sent_id(said: str) -> str:
    return said.rstrip(")\n").rsplit(" ", 1)[1]


def test_messages_are_found_exported_and_kept_for_days(shared_pair: Pair, tmp_path: Path) -> None:
    alice, _ = shared_pair
    alice.pim("send", "bob", "a \x1b Zebra\u202e in Zürich")
    found = alice.pim("search", "zebra zurich", "--with", "bob")
    assert (found.returncode, "Zebra" in found.stdout, "\x1b" in found.stdout) == (0, True, False)
    assert alice.pim("search", 'zebra" OR "x').stdout == "no message has all these words\n"
    assert alice.pim("retention", "bob").stdout == "messages are kept for all time; 0 deleted now\n"
    assert alice.pim("retention", "bob", "30").stdout == "messages are deleted after 30 days; 0 deleted now\n"
    assert json.loads(alice.pim("--json", "retention", "bob", "--forever").stdout)["days"] is None
    file = tmp_path / "alice.jsonl"
    exported = alice.pim("export", str(file))
    assert (exported.returncode, "readable by you alone" in exported.stdout) == (0, True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [lines[0]["kind"], lines[-1]["kind"]] == ["begin", "end"]
    again = alice.pim("export", str(file))
    assert (again.returncode, "name a file that does not exist yet" in again.stderr) == (2, True)
    assert len(alice.pim("export", "-", "--with", "bob").stdout.splitlines()) == len(lines)
    assert alice.pim("import", str(file)).stdout == f"0 messages imported, {len(lines) - 2} were here already\n"
    assert alice.pim("import", str(tmp_path / "none")).returncode == 2


@pytest.mark.system
def test_a_file_goes_to_a_new_store_and_bad_lines_are_named(daemon: MakeDaemon, tmp_path: Path) -> None:
    alice, bob = daemon("alice").start(), daemon("bob").start()
    alice.call("peers.import_identity", {"node_id": bob.node_id, "x25519_pubkey": bob.call("status")["x25519_pubkey"]})
    for number in range(1200):
        alice.call("messages.send", {"peer_node_id": bob.node_id, "body": f"number {number}"})
    file = tmp_path / "alice.jsonl"
    alice.pim("export", str(file))
    carol = daemon("carol").start()
    lines = file.read_text().splitlines(keepends=True)
    harmed = tmp_path / "harmed.jsonl"
    harmed.write_bytes(
        "".join(lines[:700]).encode() + b"\xff\xfe\n" + b"x" * 3_000_000 + b"\n" + "".join(lines[700:-1]).encode()
    )
    done = carol.pim("import", str(harmed))
    assert done.returncode == 1
    assert done.stdout == "1200 messages imported, 0 were here already\n"
    assert "line 701: it is no JSON\nline 702: it has more than" in done.stderr
    assert "2 lines not imported; the last line of the export is missing" in done.stderr
    as_json = carol.pim("--json", "import", str(file))
    assert as_json.returncode == 0
    assert json.loads(as_json.stdout) == {"added": 0, "known": 1200, "bad": 0, "bad_lines": [], "complete": True}
    row = carol.call("messages.history", {"peer_node_id": bob.node_id, "limit": 1})["messages"][0]
    assert (row["body"], row["status"], row["failure_reason"]) == ("number 1199", "failed", "imported")
    assert "[failed, imported]" in carol.pim("inbox", bob.node_id).stdout


def import_and_kill(daemon: Daemon, file: Path, peer: str, at: int) -> None:
    """Kill the daemon when so many messages of an import are there."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(daemon.pim, "import", str(file))
        with daemon.socket() as client:
            newest = -1
            while newest < at:
                page = client.call("messages.history", {"peer_node_id": peer, "limit": 1})["messages"]
                newest = int(page[0]["body"].split()[1]) if page else -1
        daemon.kill()


def all_bodies(daemon: Daemon, peer: str) -> list[str]:
    """Of a conversation, the last one first."""
    bodies: list[str] = []
    params: dict[str, object] = {"peer_node_id": peer, "limit": 500}
    while True:
        page = daemon.call("messages.history", params)
        bodies += [one["body"] for one in page["messages"]]
        if not page["has_more"]:
            return bodies
        params["before_id"] = page["messages"][-1]["id"]


@pytest.mark.system
def test_a_daemon_that_is_killed_while_it_imports_has_each_message_once_in_the_end(
    daemon: MakeDaemon, tmp_path: Path
) -> None:
    alice, bob = daemon("alice").start(), daemon("bob").start()
    alice.call("peers.import_identity", {"node_id": bob.node_id, "x25519_pubkey": bob.call("status")["x25519_pubkey"]})
    for number in range(2000):
        alice.call("messages.send", {"peer_node_id": bob.node_id, "body": f"number {number}"})
    file = tmp_path / "alice.jsonl"
    alice.pim("export", str(file))
    carol = daemon("carol").start()
    for at in (1, 501, 1001):
        import_and_kill(carol, file, bob.node_id, at)
        carol.start()
    assert carol.pim("import", str(file)).returncode == 0
    assert all_bodies(carol, bob.node_id) == [f"number {number}" for number in reversed(range(2000))]


@pytest.mark.system
def test_a_receipt_is_saved_and_verified_anywhere(daemon: MakeDaemon, tmp_path: Path) -> None:
    bob = daemon("bob", GIVES).start()
    alice = daemon("alice").start()
    alice.call("peers.add_static", {"address": f"127.0.0.1:{bob.mesh_port}", "label": "bob"})
    while not any(peer["state"] == "active" for peer in alice.call("status")["peers"]):
        pass
    id_ = sent_id(alice.pim("send", "bob", "signed, please", "--receipt").stdout)
    until(alice, bob.node_id, "receipt", "had")
    file = tmp_path / "receipt.json"
    assert alice.pim("receipt", "save", id_, str(file)).returncode == 0
    assert file.read_text() == alice.pim("receipt", "save", id_).stdout
    assert "receipt had" in alice.pim("inbox", "bob").stdout
    bob_id = bob.node_id
    for one in (alice, bob):
        one.kill()
    verified = alice.pim("receipt", "verify", str(file))
    assert (verified.returncode, verified.stdout.startswith(f"good: {bob_id}")) == (0, True)
    file.write_text(file.read_text().replace("please", "plaese"))
    assert alice.pim("receipt", "verify", str(file)).returncode == 1
    alice.start()
    other = sent_id(alice.pim("send", "bob", "without").stdout)
    refused = alice.pim("receipt", "save", other)
    assert (refused.returncode, "(error -32602)" in refused.stderr) == (1, True)


@pytest.mark.system
def test_another_account_is_a_line_of_the_conversation(daemon: MakeDaemon) -> None:
    bob = daemon("bob").start()
    alice = daemon("alice").start()
    bob.call("peers.add_static", {"address": f"127.0.0.1:{alice.mesh_port}", "label": "alice"})  # its own port changes
    while not any(peer["state"] == "active" for peer in alice.call("status")["peers"]):
        pass
    bob_id = bob.node_id
    alice.pim("send", "bob", "before")
    until(alice, bob_id, "status", "delivered")
    bob.kill()
    for file in bob.data_dir.rglob("messages.db*"):
        file.unlink()
    bob.start()
    alice.pim("send", "bob", "after")
    until(alice, bob_id, "status", "delivered")
    said = alice.pim("inbox", "bob").stdout
    assert "-- secure session restarted: its account is another than before" in said
    page = alice.call("messages.history", {"peer_node_id": bob_id})
    assert {"account_changed"} <= {line["reason"] for line in page["lines"]}
    assert len(page["messages"]) == 2
