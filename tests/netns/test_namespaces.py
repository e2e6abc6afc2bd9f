"""The networks that the other tests stand on."""

import subprocess

from tests.netns.namespaces import PREFIX, Namespaces, Plug, inside


def carrier(plug: Plug) -> str:
    return inside(plug.namespace, "cat", f"/sys/class/net/{plug.interface}/carrier").strip()


def test_a_cable_is_cut_and_mended_with_its_addresses(namespaces: Namespaces) -> None:
    here, there = namespaces.cable(namespaces.add("a"), namespaces.add("b"))
    assert (carrier(here), carrier(there)) == ("1", "1")
    here.down()
    assert carrier(there) == "0"
    here.up()
    assert (carrier(here), carrier(there)) == ("1", "1")
    for plug in (here, there):
        assert f"inet {plug.address}/30" in inside(plug.namespace, "ip", "addr", "show", plug.interface)


def test_what_a_killed_run_left_behind_goes_with_the_next(namespaces: Namespaces) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = f"{PREFIX}-{ended.pid}-x"
    subprocess.run(["ip", "netns", "add", left], check=True)
    with Namespaces() as other:
        mine = other.add("mine")
        listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
        assert mine in listed
        assert left not in listed
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert mine not in listed
