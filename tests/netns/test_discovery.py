"""Whole daemons that find each other on a network, with no configuration at all."""

import base64
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pimd.proto.member_announcement import MemberAnnouncement, open_sealed
from pimd.proto.mesh_secret import derive
from tests.netns.conftest import MakeDaemonIn
from tests.netns.namespaces import NamespaceDaemon, Namespaces, inside
from tests.system.daemon import PROJECT, UnixClient

HERE = Path(__file__).parent
ON = {"PIMD_DISCOVERY__ENABLED": "true"}
MEMBER = """
[mesh]
mode = "private"
passphrase = "{}"
kdf = {{ m_cost_kib = 8, t_cost = 1, p_cost = 1 }}
"""
SHY = "[discovery]\nconnect_relays = false\n"


def script(namespace: str, name: str, *arguments: str, text: str | None = None) -> str:
    """Run one of the programs beside this file."""
    paths = f"PYTHONPATH={PROJECT}:{PROJECT / 'features'}"
    return inside(namespace, "env", paths, sys.executable, str(HERE / name), *arguments, text=text)


def announce(namespace: str, services: list[dict[str, Any]]) -> None:
    script(namespace, "announce.py", text=json.dumps(services))


def txt(entries: Mapping[str, str]) -> str:
    """The bytes of a TXT record, in hexadecimal."""
    items = [f"{key}={value}".encode() for key, value in entries.items()]
    return b"".join(bytes([len(item)]) + item for item in items).hex()


def stranger(number: int, **other: Any) -> dict[str, Any]:
    """One well-formed announcement of a node in an open mesh."""
    text = txt({"id": f"{number:032x}", "v": "2"})
    return {"name": f"stranger{number}", "text": text, "port": 9, "addresses": ["10.77.1.1"], **other}


def opened(text: Mapping[str, str], passphrase: str) -> MemberAnnouncement | None:
    """What a member with this passphrase reads of a TXT record."""
    key = derive(passphrase, None, 8, 1, 1).discovery_key
    return open_sealed(key, base64.urlsafe_b64decode(text["p"]))


def poll(client: UnixClient, method: str, holds: Callable[[Any], bool]) -> Any:
    """Ask until the answer is as wanted; the test's own timeout ends it otherwise."""
    while not holds(answer := client.call(method)):
        pass
    return answer


def until_discovered(client: UnixClient, *node_ids: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = poll(
        client, "peers.discovered", lambda rows: {row["node_id"] for row in rows} >= set(node_ids)
    )
    return found


def until_linked(client: UnixClient, node_id: str) -> None:
    poll(client, "peers.list", lambda rows: any((r["node_id"], r["state"]) == (node_id, "active") for r in rows))


def write_and_wait(sender: NamespaceDaemon, receiver: NamespaceDaemon, body: str) -> None:
    with receiver.socket() as client:
        client.call("messages.subscribe")
        sender.call("messages.send", {"peer_node_id": receiver.node_id, "body": body})
        assert client.wait_for("message_received")["message"]["body"] == body


def linked_pair(namespaces: Namespaces, daemon_in: MakeDaemonIn) -> tuple[NamespaceDaemon, NamespaceDaemon]:
    one, other = namespaces.add("a"), namespaces.add("b")
    namespaces.cable(one, other)
    alice, bob = daemon_in(one, "alice", **ON).start(), daemon_in(other, "bob", **ON).start()
    with alice.socket() as client:
        until_linked(client, bob.node_id)
    return alice, bob


@pytest.mark.system
def test_two_daemons_without_a_configuration_link_by_themselves(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    one, other = namespaces.add("a"), namespaces.add("b")
    namespaces.cable(one, other)
    alice = daemon_in(one, "alice", **ON).start()
    with alice.socket() as client:
        client.call("peers.subscribe")
        bob = daemon_in(other, "bob", **ON).start()
        bob_id = bob.node_id
        until_linked(client, bob_id)
        seen = poll(client, "peers.discovered", bool)[0]
        assert (seen["node_id"], seen["address"], seen["mechanism"]) == (bob_id, "10.77.1.2:9100", "broadcast")
        assert seen["label_announced"] == "bob"
    write_and_wait(alice, bob, "found you")
    write_and_wait(bob, alice, "and I you")


@pytest.mark.system
@pytest.mark.slow
def test_only_members_of_a_private_mesh_see_each_other_there(namespaces: Namespaces, daemon_in: MakeDaemonIn) -> None:
    homes = [namespaces.add(name) for name in ("alice", "bob", "carol", "dave", "erin", "watcher")]
    namespaces.switch(*homes)
    passphrase = "correct horse battery staple"
    members = MEMBER.format(passphrase)
    alice, bob = (
        daemon_in(home, name, members, **ON).start() for home, name in zip(homes[:2], ("alice", "bob"), strict=True)
    )
    carol = daemon_in(homes[2], "carol", MEMBER.format("another passphrase"), **ON).start()
    dave, erin = (daemon_in(home, name, **ON).start() for home, name in zip(homes[3:5], ("dave", "erin"), strict=True))
    watched = json.loads(script(homes[5], "browse.py", "5"))

    with alice.socket() as client:
        until_linked(client, bob.node_id)
        (row,) = until_discovered(client, bob.node_id)
        assert row["address"] == "10.78.1.2:9100"
    with bob.socket() as client:
        assert len(until_discovered(client, alice.node_id)) == 1
    write_and_wait(alice, bob, "among us")

    with dave.socket() as client:  # who is found there at the same time shows that nobody else will be
        until_linked(client, erin.node_id)
        assert [found["node_id"] for found in client.call("peers.discovered")] == [erin.node_id]
    assert carol.call("peers.discovered") == []
    assert carol.call("peers.list", {"all": True}) == []
    for member in (alice, bob, dave, erin):
        assert len(member.call("peers.list", {"all": True})) == 1

    texts = [one["text"] for one in watched]
    assert sorted(text["id"] for text in texts if "id" in text) == sorted([dave.node_id, erin.node_id])
    private = [text for text in texts if "id" not in text]
    assert all(text.keys() == {"p"} for text in private)
    assert len({text["p"] for text in private}) == 3
    read = [announcement for text in private if (announcement := opened(text, passphrase)) is not None]
    assert {str(announcement.node_id) for announcement in read} == {alice.node_id, bob.node_id}
    assert len([text for text in private if opened(text, "another passphrase")]) == 1
    assert all(one["port"] == 9100 for one in watched)
    shown = json.dumps(watched)
    for secret in (passphrase, alice.node_id, bob.node_id, carol.node_id, '"alice', '"bob'):
        assert secret not in shown
    # A short host name stands by chance in what is sealed, so it is looked for among the parts of names.
    parts = {part for one in watched for part in f"{one['name']}.{one['host']}".split(".")}
    assert socket.gethostname() not in parts


@pytest.mark.system
@pytest.mark.slow
def test_who_does_not_dial_relays_lists_them_and_links_when_it_is_asked_to(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    one, other = namespaces.add("a"), namespaces.add("b")
    namespaces.cable(one, other)
    alice, bob = (daemon_in(home, name, SHY, **ON).start() for home, name in ((one, "alice"), (other, "bob")))
    bob_id = bob.node_id
    with alice.socket() as client:
        client.call("peers.subscribe")
        rows = poll(client, "peers.discovered", lambda rows: [row["first_seen_s"] >= 2 for row in rows] == [True])
        assert rows[0]["node_id"] == bob_id
        assert client.call("peers.list", {"all": True}) == []
        paired = client.call("peers.pair", {"node_id": bob_id, "trust": "persist"})
        assert (paired["node_id"], paired["state"], paired["static"]) == (bob_id, "active", True)
        assert client.wait_for("connected")["peer"]["node_id"] == bob_id
    decided = (alice.data_dir / "settings.json").read_text()
    assert "10.77.1.2:9100" in decided
    assert bob_id in decided


@pytest.mark.system
def test_a_pairing_that_fails_is_told(namespaces: Namespaces, daemon_in: MakeDaemonIn) -> None:
    home, other = namespaces.add("a"), namespaces.add("b")
    namespaces.cable(home, other)
    alice = daemon_in(home, "alice", SHY, **ON).start()
    announce(other, [stranger(7, addresses=["10.77.1.2"])])
    nobody = f"{7:032x}"
    with alice.socket() as client:
        until_discovered(client, nobody)
        client.call("peers.subscribe")
        error = alice.ask("peers.pair", {"node_id": nobody, "trust": "once"})["error"]
        assert error["code"] == -32603
        failed = client.wait_for("pair_failed")
        assert failed["peer"]["node_id"] == nobody
        assert failed["reason"] == error["message"]
        assert "10.77.1.2:9" in failed["reason"]


@pytest.mark.system
@pytest.mark.slow
def test_who_says_goodbye_is_gone_at_once_and_comes_back_by_itself(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    alice, bob = linked_pair(namespaces, daemon_in)
    bob_id = bob.node_id
    with alice.socket() as client:
        assert bob.kill(signal.SIGTERM) == 0
        poll(client, "peers.discovered", lambda rows: rows == [])
        assert client.call("peers.list") == []  # nobody configured it
        bob.start()
        until_linked(client, bob_id)


@pytest.mark.system
@pytest.mark.slow
def test_who_was_removed_stays_away_until_it_is_paired(namespaces: Namespaces, daemon_in: MakeDaemonIn) -> None:
    alice, bob = linked_pair(namespaces, daemon_in)
    bob_id = bob.node_id
    with alice.socket() as client:
        client.call("peers.subscribe")
        client.call("peers.remove", {"node_id": bob_id})
        client.wait_for("disconnected")
        # Long enough for either side to dial again, were it not to leave the other alone.
        seen = client.call("peers.discovered")[0]["first_seen_s"]
        poll(client, "peers.discovered", lambda rows: rows[0]["first_seen_s"] >= seen + 4)
        assert client.call("peers.list") == bob.call("peers.list") == []
        assert client.call("peers.pair", {"node_id": bob_id, "trust": "once"})["state"] == "active"


@pytest.mark.system
def test_a_daemon_without_a_network_says_so_and_finds_others_once_there_is_one(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    one, other = namespaces.add("a"), namespaces.add("b")
    alice = daemon_in(one, "alice", **ON).start()
    bob = daemon_in(other, "bob", **ON).start()
    assert alice.call("peers.discovered") == []
    while "no network to find others on" not in alice.log.read_text():
        pass
    assert {row["name"]: row["state"] for row in alice.call("features.list")}["discovery"] == "running"
    here, _ = namespaces.cable(one, other)
    with alice.socket() as client:
        until_linked(client, bob.node_id)
    assert alice.log.read_text().count("no network") == 1
    assert here.interface in alice.log.read_text()


@pytest.mark.system
@pytest.mark.slow
def test_a_second_network_is_looked_at_once_it_is_there_and_who_was_known_stays(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    alice, bob = linked_pair(namespaces, daemon_in)
    third = namespaces.add("c")
    carol = daemon_in(third, "carol", **ON).start()
    carol_id, bob_id = carol.node_id, bob.node_id
    namespaces.cable(alice.namespace, third)
    with alice.socket() as client:
        until_linked(client, carol_id)
        until_discovered(client, carol_id)
        known = poll(client, "peers.discovered", lambda rows: min(row["first_seen_s"] for row in rows) > 10)
        assert {row["node_id"] for row in known} == {bob_id, carol_id}
        until_linked(client, bob_id)
    # The address of IPv6 may come late enough for a line of its own.
    said = [line.partition("nodes on ")[2] for line in alice.log.read_text().splitlines() if "looking for" in line]
    assert [line.count("to") for line in said] in ([1, 2], [1, 2, 2])


@pytest.mark.system
def test_where_another_program_has_the_port_to_itself_the_daemon_says_so_once_and_runs(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    one, other = namespaces.add("a"), namespaces.add("b")
    namespaces.cable(one, other)
    code = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 5353)); print(flush=True); input()"
    command = ["ip", "netns", "exec", one, sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        alice = daemon_in(one, "alice", **ON).start()
        while "cannot be used to find others" not in alice.log.read_text():
            pass
        assert alice.call("peers.discovered") == []
        assert len(alice.log.read_text().splitlines()) == 1
        assert "Address already in use" in alice.log.read_text()
        assert alice.kill(signal.SIGTERM) == 0
        holder.communicate("\n")


@pytest.mark.system
def test_they_find_each_other_over_ipv6_alone(namespaces: Namespaces, daemon_in: MakeDaemonIn) -> None:
    homes = [namespaces.add(name) for name in ("a", "b")]
    plugs = namespaces.switch(*homes, ipv4=False)
    alice, bob = (daemon_in(home, name, **ON).start() for home, name in zip(homes[:2], ("alice", "bob"), strict=True))
    with alice.socket() as client:
        (row,) = until_discovered(client, bob.node_id)
        assert row["address"].startswith("[fe80:")
        assert row["address"].endswith(f"%{plugs[0].interface}]:9100")
        until_linked(client, bob.node_id)
    write_and_wait(bob, alice, "over six")


@pytest.mark.system
def test_a_daemon_that_listens_on_loopback_finds_others_and_is_not_found(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    one, other = namespaces.add("a"), namespaces.add("b")
    namespaces.cable(one, other)
    alice = daemon_in(one, "alice", PIMD_TRANSPORT__LISTEN_HOST="127.0.0.1", **ON).start()
    bob = daemon_in(other, "bob", **ON).start()
    with alice.socket() as client:
        until_linked(client, bob.node_id)
    assert bob.call("peers.discovered") == []


@pytest.mark.system
def test_a_member_is_announced_anew_under_other_names_whatever_the_clocks_say_and_is_gone_when_it_leaves(
    namespaces: Namespaces,
) -> None:
    one, other = namespaces.add("a"), namespaces.add("b")
    namespaces.cable(one, other)
    (before, one_id), (after, same_id) = json.loads(script(one, "renew.py"))
    assert before != after
    assert one_id == same_id == "01" * 16


@pytest.mark.system
def test_a_repeated_announcement_of_a_member_leads_nowhere_else(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    homes = [namespaces.add(name) for name in ("alice", "bob", "thief")]
    namespaces.switch(*homes)
    members = MEMBER.format("correct horse battery staple")
    bob = daemon_in(homes[1], "bob", members, **ON).start()
    (heard,) = json.loads(script(homes[2], "browse.py", "1"))
    alice = daemon_in(homes[0], "alice", members + SHY, **ON).start()
    with alice.socket() as client:
        until_discovered(client, bob.node_id)
        repeated = stranger(1, text=txt(heard["text"]), port=9100, addresses=["10.78.1.3"])
        other_port = stranger(2, text=txt(heard["text"]), port=9101, addresses=["10.78.1.2"])
        announce(homes[2], [repeated, other_port] * 3)
        carol = daemon_in(homes[2], "carol", members, **ON).start()  # who is found later shows that these were read
        rows = until_discovered(client, carol.node_id)
        assert sorted(row["address"] for row in rows) == ["10.78.1.2:9100", "10.78.1.3:9100"]
        assert {row["address"]: row["node_id"] for row in rows}["10.78.1.3:9100"] == carol.node_id


@pytest.mark.system
@pytest.mark.slow
def test_a_node_with_forty_interfaces_is_found_on_the_last_and_says_on_which_it_looks(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    one, other = namespaces.add("a"), namespaces.add("b")
    plugs = [plug for _ in range(20) for plug in namespaces.cable(one, one)]
    plugs.append(namespaces.cable(one, other)[0])
    alice, bob = daemon_in(one, "alice", SHY, **ON).start(), daemon_in(other, "bob", SHY, **ON).start()
    with alice.socket() as client, bob.socket() as far:
        until_discovered(client, bob.node_id)
        (row,) = until_discovered(far, alice.node_id)
        assert row["address"] == f"{plugs[-1].address}:9100"
    (line,) = [line for line in alice.log.read_text().splitlines() if "looking for nodes on" in line]
    assert sorted(line.partition("nodes on ")[2].split(", ")) == sorted(plug.interface for plug in plugs)


@pytest.mark.system
def test_what_is_malformed_is_passed_over(namespaces: Namespaces, daemon_in: MakeDaemonIn) -> None:
    home, other = namespaces.add("a"), namespaces.add("b")
    namespaces.cable(home, other)
    alice = daemon_in(home, "alice", SHY, **ON).start()
    good = txt({"id": "ab" * 16, "v": "2"})
    wrong = [
        stranger(1, addresses=["127.0.0.1"]),
        stranger(2, addresses=["0.0.0.0"]),  # noqa: S104 - nothing is bound
        stranger(3, addresses=["224.0.0.1"]),
        stranger(4, addresses=["fe80::1"]),  # of which network, an answer over IPv4 does not say
        stranger(5, port=0),
        stranger(6, text=txt({"id": alice.node_id, "v": "2"})),
        stranger(7, text=txt({"id": "ab" * 16})),
        stranger(8, text=txt({"id": "ab" * 15, "v": "2"})),
        stranger(9, text=txt({"id": "ab" * 16, "v": "3"})),
        stranger(10, text=txt({"p": "ab" * 44})),
        stranger(11, text=good + txt({"more": "x" * 240})),
        stranger(12, text="ff" * 20),
        stranger(13, text=""),
    ]
    announce(other, [*wrong, stranger(14)])
    with alice.socket() as client:
        rows = until_discovered(client, f"{14:032x}")
    assert [row["node_id"] for row in rows] == [f"{14:032x}"]


@pytest.mark.system
@pytest.mark.slow  # sends a flood of announcements
def test_a_flood_of_announcements_fills_no_memory_and_hides_nobody(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    homes = [namespaces.add(name) for name in ("a", "b", "flooder")]
    namespaces.switch(*homes)
    alice, bob = (daemon_in(home, name, **ON).start() for home, name in zip(homes[:2], ("alice", "bob"), strict=True))
    with alice.socket() as client:
        until_linked(client, bob.node_id)
        before = alice.memory
        rows: list[Any] = []
        while len(rows) < 1000:  # multicast may be lost where the machine is busy
            announce(homes[2], [stranger(number) for number in range(1500)])
            rows = client.call("peers.discovered")
        assert len(rows) <= 1024
        assert rows[0]["node_id"] == bob.node_id
        while "floods it with announcements" not in alice.log.read_text():
            announce(homes[2], [{"name": f"flood{number}"} for number in range(10_000)])
        assert bob.node_id in [row["node_id"] for row in client.call("peers.discovered")]
        assert client.call("peers.list")[0]["state"] == "active"
        assert alice.memory - before < 64 * 2**20
