"""Ways through a mesh of daemons, as `pim` shows them."""

import json

import pytest

from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon
from tests.system.test_three_daemons import until_state

pytestmark = pytest.mark.system


def line(daemon: MakeDaemon, *names: str, config: str = "") -> list[Daemon]:
    """Start one after another, each linked with the one before; return when the ends see each other."""
    made: list[Daemon] = []
    for name in names:
        entry = f'[[peers]]\nmechanism = "tcp"\naddress = "127.0.0.1:{made[-1].mesh_port}"\n' if made else ""
        made.append(daemon(name, config + entry).start())
    for end, other in ((made[0], made[-1]), (made[-1], made[0])):
        with end.socket() as client:
            client.call("peers.subscribe")
            until_state(client, other.node_id, "relayed")
    return made


def words(text: str) -> list[list[str]]:
    return [row.split() for row in text.splitlines()]


def test_a_trace_over_three_hops_shows_who_they_are(daemon: MakeDaemon) -> None:
    alice, *_ = nodes = line(daemon, "alice", "bob", "carol", "dave")
    ids = [one.node_id for one in nodes]
    done = alice.pim("trace", ids[3][:8])
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = words(done.stdout)
    assert head == ["HOP", "NAME", "ID", "NEXT", "HOP", "TIME"]
    assert [row[:4] for row in rows] == [
        ["1", '"bob"', ids[1], ids[2][:8]],
        ["2", '"carol"', ids[2], ids[3][:8]],
        ["3", '"dave"', ids[3], "itself"],
    ]
    assert all(float(row[4]) >= 0 and row[5] == "ms" for row in rows)

    head, *rows = words(alice.pim("routes").stdout)
    assert head == ["DESTINATION", "NAME", "VIA", "HOPS", "AGE"]
    assert [row[:4] for row in rows] == [
        [ids[hops], f'"{name}"', ids[1][:8], str(hops)] for hops, name in ((1, "bob"), (2, "carol"), (3, "dave"))
    ]
    assert json.loads(alice.pim("--json", "routes").stdout)["routes"][0]["via"] == ids[1]


@pytest.mark.slow
def test_a_relay_without_the_feature_is_shown_as_silent_and_what_lies_behind_it_is_asked(daemon: MakeDaemon) -> None:
    alice, bob, carol, dave = nodes = line(daemon, "alice", "bob", "carol", "dave")
    ids = [one.node_id for one in nodes]
    carol.call("features.disable", {"name": "routes"})
    found = json.loads(alice.pim("--json", "trace", ids[3][:8]).stdout)
    assert [(hop["hop"], hop["node_id"], hop["name"], hop["state"]) for hop in found["hops"]] == [
        (1, ids[1], "bob", "answered"),
        (2, ids[2], "carol", "silent"),
        (3, ids[3], "dave", "answered"),
    ]
    bob.call("features.disable", {"name": "routes"})
    shown = alice.pim("trace", ids[3][:8])
    assert (shown.returncode, shown.stderr) == (0, "")
    _, first, last, *note = words(shown.stdout)
    assert first == ["1", '"bob"', ids[1], "-", "silent"]
    assert last[:4] == ["3", '"dave"', ids[3], "itself"]
    assert note[0][:3] == [ids[1], "is", "silent:"]
    dave.call("features.disable", {"name": "routes"})
    failed = alice.pim("trace", ids[3][:8])
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"pim: {ids[3]} was not reached: ")
    assert failed.stdout.count("silent") == 2


def test_without_the_feature_pim_says_what_is_missing_and_status_works(daemon: MakeDaemon) -> None:
    alice = daemon(config='[features]\ndisabled = ["routes"]\n').start()
    for command in (["routes"], ["trace", "ab" * 16], ["mesh", "status"]):
        done = alice.pim(*command)
        assert (done.returncode, done.stdout) == (1, "")
        assert "belongs to the feature routes, which is off" in done.stderr
    status = alice.pim("status")
    assert (status.returncode, status.stderr) == (0, "")
    assert "mesh" not in status.stdout
    assert json.loads(alice.pim("--json", "status").stdout)["mesh"] is None


def test_members_of_a_private_mesh_show_one_fingerprint(daemon: MakeDaemon) -> None:
    mesh = (
        '[mesh]\nmode = "private"\npassphrase = "correct horse battery staple"\nmesh_id = "home"\n'
        "kdf = { m_cost_kib = 64, t_cost = 1, p_cost = 1 }\n"
    )
    alice, bob = daemon("alice", mesh).start(), daemon("bob", mesh).start()
    other = daemon("other", mesh.replace("horse", "house")).start()
    found = [json.loads(one.pim("mesh", "status", "--json").stdout) for one in (alice, bob, other)]
    assert (found[0]["mode"], found[0]["mesh_id"], len(found[0]["fingerprint"])) == ("private", "home", 16)
    assert found[0] == found[1]
    assert found[0]["fingerprint"] != found[2]["fingerprint"]
    fingerprint = found[0]["fingerprint"]
    assert f"{fingerprint}  (compare this fingerprint with the other machine's)" in alice.pim("mesh", "status").stdout
    assert f"private mesh home, fingerprint {fingerprint}\n" in alice.pim("status").stdout
    assert "correct" not in alice.pim("mesh", "status").stdout + alice.pim("--json", "status").stdout


def test_pairing_links_at_an_address_and_keeps_it_unless_told_not_to(daemon: MakeDaemon) -> None:
    alice, bob, carol = daemon("alice").start(), daemon("bob").start(), daemon("carol").start()
    bob_at, carol_at = (f"127.0.0.1:{one.mesh_port}" for one in (bob, carol))
    done = alice.pim("pair", bob_at, "--label", "Bobby")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"linked with {bob.node_id} Bobby now and after every restart\n"
    once = json.loads(alice.pim("--json", "pair", carol_at, "--once").stdout)
    assert (once["node_id"], once["state"], once["static"]) == (carol.node_id, "active", False)
    assert bob_at in alice.config.read_text()
    assert carol_at not in alice.config.read_text()
