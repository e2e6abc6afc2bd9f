"""A data directory was copied, and both machines run."""

import json
import shutil

import pytest

from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon
from tests.system.test_other_key import received, until

pytestmark = pytest.mark.system
WORDS = "two machines use the same key"


def copied(daemon: MakeDaemon) -> tuple[Daemon, Daemon, Daemon]:
    """A hub, a friend linked with it, and a stopped copy of the friend."""
    hub, one = daemon("hub").start(), daemon("one").start()
    one.call("peers.add_static", {"address": f"127.0.0.1:{hub.mesh_port}"})
    until(lambda: hub.call("peers.list"))
    one.kill()
    two = daemon("two", one.config.read_text())
    shutil.copytree(one.data_dir, two.data_dir, ignore=shutil.ignore_patterns("daemon.json"))
    one.start()
    until(lambda: any(peer["state"] == "active" for peer in hub.call("peers.list")))
    return hub, one, two


def told(daemon: Daemon, kind: str = "same_key") -> list[str]:
    return [one["text"] for one in daemon.call("status")["warnings"] if one["kind"] == kind]


def test_the_copy_waits_for_a_person_and_all_three_say_why(daemon: MakeDaemon) -> None:
    hub, one, two = copied(daemon)
    with hub.socket() as events:
        events.call("peers.subscribe")
        two.start()
        seen = events.wait_for("same_key")
    assert (seen["node_id"], seen["own"], len(seen["addresses"])) == (one.node_id, False, 2)
    until(lambda: two.call("identity.show")["waits"])
    for each in (hub, one, two):
        until(lambda each=each: told(each))  # type: ignore[misc]
        (text,) = told(each)
        assert all(f"127.0.0.1:{port}" in text for port in (one.mesh_port, two.mesh_port))
        assert each.log.read_text().count(WORDS) == 1
        assert WORDS in each.pim("status").stdout
        doctor = each.pim("doctor")
        assert (doctor.returncode, WORDS in doctor.stdout) == (1, True)
    assert hub.log.read_text().count("linked with") == 2  # when one began, and began again
    hub.call("messages.send", {"peer_node_id": one.node_id, "body": "to one of them"})
    until(lambda: received(one, hub) == ["to one of them"])
    assert received(two, hub) == []
    two.kill()
    two.start()  # it waits on, whatever a restart might have it forget
    assert two.call("identity.show")["waits"]
    one.kill()
    two.pim("identity", "keep")
    until(lambda: any(peer["state"] == "active" for peer in two.call("peers.list")))
    assert not two.call("identity.show")["waits"]


def test_the_copy_gets_a_key_of_its_own(daemon: MakeDaemon) -> None:
    hub, one, two = copied(daemon)
    two.start()
    until(lambda: two.call("identity.show")["waits"])
    old = two.node_id
    assert two.pim("identity", "new").returncode == 1  # nobody is there to answer the question
    made = json.loads(two.pim("--json", "identity", "new", "--yes").stdout)
    assert made["node_id"] in two.pim("identity").stdout
    two.kill()
    two.start()
    assert two.node_id == made["node_id"] != old
    until(lambda: len([peer for peer in hub.call("peers.list") if peer["state"] == "active"]) == 2)
    assert told(two) == []
    assert one.node_id == old
    assert (two.data_dir / "node.key.old").read_bytes() == (one.data_dir / "node.key").read_bytes()


def test_two_that_link_with_each_other_see_it_at_once(daemon: MakeDaemon) -> None:
    _, one, two = copied(daemon)
    two.environ["PIMD_TRANSPORT__LISTEN_PORT"] = "0"
    one.call("peers.remove", {"config_entry_id": one.call("peers.configured")[0]["config_entry_id"]})
    two.config.write_text(f'[[peers]]\nmechanism = "tcp"\naddress = "127.0.0.1:{one.mesh_port}"\n')
    two.start()
    for each in (one, two):
        until(lambda each=each: told(each))  # type: ignore[misc]


def test_a_restart_is_no_copy(daemon: MakeDaemon) -> None:
    hub, one, _ = copied(daemon)
    for _ in range(3):
        one.kill()
        one.start()
        until(lambda: any(peer["state"] == "active" for peer in one.call("peers.list")))
    assert WORDS not in hub.log.read_text() + one.log.read_text()
    assert one.pim("doctor").returncode == 0
