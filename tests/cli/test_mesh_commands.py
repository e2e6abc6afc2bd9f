"""Whom `pim pair` takes for whom, and what strangers can do about it."""

import argparse
import json
from typing import Any

import pytest

from pimd.cli import mesh_commands
from pimd.cli.commands import peers, status
from pimd.cli.errors import PimError

A, B, C = ("a" * 32, "ab" * 4 + "b" * 24, "ab" * 4 + "c" * 24)


def nearby(node_id: str | None, address: str, name: str | None = None) -> dict[str, Any]:
    return {"node_id": node_id, "address": address, "label_announced": name, "last_seen_s": 3}


def known(node_id: str, label: str | None = None) -> dict[str, Any]:
    return {"node_id": node_id, "label": label, "x25519_pubkey": "0" * 64}


class Answers:
    """A daemon with answers of the test; what is not among them is no method."""

    def __init__(self, **results: Any) -> None:
        self.results = {"peers.list": [], "peers.discovered": []} | {
            name.replace("__", "."): result for name, result in results.items()
        }
        self.names: dict[str, str] = {}
        self.paired: dict[str, Any] | None = None
        self.removed: dict[str, Any] | None = None

    def exchange(self, message: Any) -> Any:
        if isinstance(message, list):
            return [self.exchange(one) for one in message]
        method, params, id_ = message["method"], message.get("params") or {}, message["id"]
        if method == "peers.export_identity":
            result: Any = {"name": self.names.get(params["node_id"], "")}
        elif method == "peers.pair":
            self.paired = params
            result = known(params.get("node_id", A), params.get("label"))
        elif method == "peers.remove":
            self.removed, result = params, None
        elif method in self.results:
            result = self.results[method]
        else:
            return {"jsonrpc": "2.0", "id": id_, "error": {"code": -32601, "message": f"there is no method {method}"}}
        return {"jsonrpc": "2.0", "id": id_, "result": result}

    def close(self) -> None:
        pass


def options(who: str = "", **more: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"json": False, "who": who, "label": None, "once": False} | more)


def paired(daemon: Answers, who: str, **more: Any) -> dict[str, Any] | None:
    mesh_commands.pair(daemon, options(who, **more))
    return daemon.paired


@pytest.mark.parametrize(
    ("who", "whom"),
    [
        (A.upper(), {"node_id": A}),
        ("0" * 32, {"node_id": "0" * 32}),
        ("ababababB", {"node_id": B}),
        ("bob", {"node_id": B}),
        ("carol", {"node_id": C}),
        ("Ann", {"node_id": A}),
        ("192.168.1.7", {"address": "192.168.1.7:9100"}),
        ("nas:9100", {"address": "nas:9100"}),
        ("fe80::1", {"address": "[fe80::1]:9100"}),
    ],
)
def test_who_is_paired_with(who: str, whom: dict[str, str]) -> None:
    daemon = Answers(
        peers__discovered=[nearby(A, "10.0.0.1:1"), nearby(B, "10.0.0.2:1", "bob"), nearby(C, "10.0.0.3:1", "mallory")],
        peers__list=[known(A, "Ann"), known(C)],
    )
    daemon.names = {C: "carol"}
    assert paired(daemon, who) == {"trust": "persist", **whom}


@pytest.mark.parametrize(
    ("who", "shown"),
    [
        ("bob", ["10.0.0.2:1", B, "10.0.0.3:1", C]),
        ("abababab", [B, C]),
        ("mallory", ["nobody nearby is called 'mallory'", "pim discover"]),
        ("aaaaaaa", ["nobody nearby"]),
        ("x\x1b[2J", ["nobody nearby"]),
    ],
)
def test_what_is_not_exactly_one_pairs_with_nobody(who: str, shown: list[str]) -> None:
    daemon = Answers(
        peers__discovered=[nearby(A, "10.0.0.1:1"), nearby(B, "10.0.0.2:1", "bob"), nearby(C, "10.0.0.3:1", "bob")],
    )
    with pytest.raises(PimError) as caught:
        paired(daemon, who)
    assert daemon.paired is None
    assert "\x1b" not in str(caught.value)
    for words in shown:
        assert words in str(caught.value)


@pytest.mark.parametrize("address", ["nas.local", "192.168.1.7", "nas:9100"])
def test_a_stranger_that_calls_itself_like_an_address_is_not_taken_for_it(address: str) -> None:
    daemon = Answers(peers__discovered=[nearby(B, "10.6.6.6:1", address)])
    assert "node_id" not in (paired(daemon, address) or {})


def test_a_label_of_ours_beats_what_strangers_announce() -> None:
    daemon = Answers(peers__discovered=[nearby(B, "10.6.6.6:1", "bob")], peers__list=[known(A, "bob")])
    assert paired(daemon, "bob", label="Bobby", once=True) == {"trust": "once", "node_id": A, "label": "Bobby"}


def test_a_stranger_that_calls_itself_like_a_known_node_that_is_away_is_not_taken_for_it() -> None:
    daemon = Answers(peers__discovered=[nearby(B, "10.6.6.6:1", "carol")], peers__list=[known(C)])
    daemon.names = {C: "carol"}
    with pytest.raises(PimError, match=f"{B}  10.6.6.6:1\n  {C}  not nearby"):
        paired(daemon, "carol")
    assert daemon.paired is None


def test_one_node_at_two_addresses_is_one_node() -> None:
    daemon = Answers(peers__discovered=[nearby(B, "10.0.0.2:1", "bob"), nearby(B, "[fe80::2]:1", "bob")])
    assert paired(daemon, "bob") == {"trust": "persist", "node_id": B}


def test_discovered_nodes_are_listed_with_what_is_known_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        nearby(A, "10.0.0.1:1"),
        nearby(B, "10.0.0.2:1", "evil\x1b[2J"),
        nearby(None, "10.0.0.3:1"),
        nearby(None, "10.0.0.4:1", "shy"),
        nearby(C, "10.0.0.5:1", "mallory"),
    ]
    daemon = Answers(peers__discovered=rows, peers__list=[known(A, "Ann"), known(C)])
    daemon.names = {C: "carol"}
    mesh_commands.discover(daemon, options())
    assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()] == [
        ["ADDRESS", "ID", "NAME"],
        ["10.0.0.1:1", A, "Ann"],
        ["10.0.0.2:1", B, '"evil\\x1b[2J"'],
        ["10.0.0.3:1", "anonymous", "-"],
        ["10.0.0.4:1", "anonymous", '"shy"'],
        ["10.0.0.5:1", C, '"carol"'],
    ]
    mesh_commands.discover(daemon, options(json=True))
    assert json.loads(capsys.readouterr().out) == rows


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ([{"name": "discovery", "state": "running", "reason": "present"}], "nobody announces itself nearby"),
        ([], "nobody announces itself nearby"),
        (
            [{"name": "discovery", "state": "disabled", "reason": "[discovery] enabled = false"}],
            "discovery is off ([discovery] enabled = false); "
            """`pim call features.enable '{"name": "discovery"}'` turns it on""",
        ),
        (
            [{"name": "discovery", "state": "not_built", "reason": "made without"}],
            "discovery is off (made without); build or install one",
        ),
    ],
)
def test_where_nobody_is_discovered_it_says_why(
    features: list[dict[str, str]], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh_commands.discover(Answers(features__list=features), options())
    assert capsys.readouterr().out.startswith(words)


def test_a_trace_that_was_not_reached_shows_its_hops_and_fails_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hops = [
        {"hop": 1, "node_id": A, "label": "Ann", "name": "x", "next_hop": B, "time_ms": 1.5, "state": "answered"},
        {"hop": 2, "node_id": B, "label": None, "name": "b\x1b", "next_hop": None, "time_ms": 2.5, "state": "no_route"},
    ]
    daemon = Answers(route__trace={"reached": False, "hops": hops, "note": f"{B} has no route to {C}"})
    with pytest.raises(PimError, match=f"{C} was not reached: {B} has no route to {C}") as caught:
        mesh_commands.trace(daemon, options(C))
    assert caught.value.for_programs() is None
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["1", "Ann", A, B[:8], "1.5", "ms"],
        ["2", '"b\\x1b"', B, "-", "2.5", "ms"],
    ]


def test_routes_without_the_peers_feature_have_no_names(capsys: pytest.CaptureFixture[str]) -> None:
    daemon = Answers(route__table={"routes": [{"destination": B, "via": A, "hops": 2, "age_s": 61}], "gateways": []})
    del daemon.results["peers.list"]
    mesh_commands.routes(daemon, options())
    assert capsys.readouterr().out.splitlines()[1].split() == [B, "-", A[:8], "2", "1", "min"]
    daemon.results["route.table"] = {"routes": [], "gateways": []}
    mesh_commands.routes(daemon, options())
    assert capsys.readouterr().out.startswith("no routes")


@pytest.mark.parametrize(
    ("mesh", "line"),
    [
        ({"mode": "open", "mesh_id": None, "fingerprint": None}, "open mesh"),
        ({"mode": "open", "mesh_id": "lab", "fingerprint": None}, "open mesh lab"),
        ({"mode": "private", "mesh_id": None, "fingerprint": "0" * 16}, f"private mesh, fingerprint {'0' * 16}"),
    ],
)
def test_status_has_a_line_of_the_mesh(mesh: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        "node": "me",
        "node_id": A,
        "uptime_s": 1,
        "transport": {"tcp": {"port": 1}, "endpoints": ["tcp:[::]:1", "unix:/run/mesh.sock"]},
        "peers": [],
        "routes": {"active": 0},
        "stats": {"rate_in": 1234.0, "rate_out": 0.0, "bytes_in": 5_600_000, "bytes_out": 7},
    }
    status(Answers(status=found, mesh__status=mesh), options())
    lines = capsys.readouterr().out.splitlines()
    assert line in lines
    assert "up 1 s, peers reach it on tcp port 1 and unix:/run/mesh.sock" in lines
    assert "links carry 1.2 kB/s in, 0 B/s out; 5.6 MB and 7 B since the start" in lines


def kept(
    address: str, node_id: str | None = None, label: str | None = None, error: str | None = None
) -> dict[str, Any]:
    entry = {"config_entry_id": f"tcp:{address}", "address": address, "node_id": node_id, "label": label}
    return entry | {"last_error": error}


def test_addresses_where_nobody_was_met_yet_are_listed_below_the_peers(capsys: pytest.CaptureFixture[str]) -> None:
    configured = [kept("10.0.0.1:1", A), kept("10.0.0.2:1", label="nas", error="refused\x1b"), kept("10.0.0.3:1")]
    row = {"state": "active", "route_hops": 1, "latency_ms": 1, "last_seen_s": 1}
    peers(Answers(peers__list=[known(A, "Ann") | row], peers__configured=configured), options(verbose=False))
    above, below = capsys.readouterr().out.split("\n\n")
    assert "Ann" in above
    assert [line.split(maxsplit=2) for line in below.splitlines()[1:]] == [
        ["10.0.0.2:1", "nas", "refused\\x1b"],
        ["10.0.0.3:1", "-", "the first attempt is under way"],
    ]
    peers(Answers(peers__configured=configured), options(verbose=False))
    assert "nobody yet" not in capsys.readouterr().out


def test_what_each_link_carries_is_listed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    row = known(A, "Ann") | {
        "state": "active",
        "route_hops": 1,
        "latency_ms": 1,
        "last_seen_s": 1,
        "node_id_short": A[:8],
    }
    classes = {name: {"dropped": 1, "refused": 2} for name in ("messages", "datagrams", "streams")}
    link = {"cost": 256, "rtt_ms": 1.26, "bytes_in": 999, "bytes_out": 1e9, "rate_in": 0.0, "rate_out": 2e6}
    answers = Answers(
        peers__list=[row | {"endpoint": "unix:/x", "link": link | {"traffic": classes}}, known(B, "Bob") | row],
        peers__configured=[],
    )
    peers(answers, options(verbose=True))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.split() == [
        A[:8],
        "unix:/x",
        "256",
        "1.3",
        "ms",
        "999",
        "B",
        "1.0",
        "GB",
        "0",
        "B/s",
        "2.0",
        "MB/s",
        "3",
        "6",
    ]
    peers(answers, options(verbose=False))
    assert "ROUND TRIP" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("who", "params", "words"),
    [
        ("Ann", {"node_id": A}, "no longer configured, dialled or linked: 10.0.0.1:9100, 10.0.0.2:1"),
        ("nas", {"node_id": B}, f"hung up on {B}, which the configuration did not name"),
        (
            "10.0.0.1",
            {"config_entry_id": "tcp:10.0.0.1:9100"},
            "no longer configured, dialled or linked: 10.0.0.1:9100\n",
        ),
        ("nas:9100", {"config_entry_id": "tcp:nas:9100"}, "no longer configured, dialled or linked: nas:9100\n"),
        ("box", {"config_entry_id": "tcp:10.0.0.4:1"}, "no longer configured, dialled or linked: 10.0.0.4:1\n"),
        ("carol", {"node_id": C}, f"hung up on {C}"),
        (C.upper(), {"node_id": C}, f"hung up on {C}"),
    ],
)
def test_who_is_removed(who: str, params: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    configured = [
        kept("10.0.0.1:9100", A),
        kept("10.0.0.2:1", A),
        kept("nas:9100", label="box of old"),
        kept("10.0.0.4:1", label="box"),
    ]
    daemon = Answers(peers__list=[known(A, "Ann"), known(B, "nas"), known(C)], peers__configured=configured)
    daemon.names = {C: "carol"}
    mesh_commands.remove(daemon, options(who))
    assert daemon.removed == params
    assert words in capsys.readouterr().out


def test_a_label_of_two_addresses_removes_neither() -> None:
    daemon = Answers(peers__configured=[kept("10.0.0.1:1", label="box"), kept("10.0.0.2:1", label="box")])
    with pytest.raises(PimError, match=r"several addresses; give one of them:\n  10\.0\.0\.1:1\n  10\.0\.0\.2:1"):
        mesh_commands.remove(daemon, options("box"))
    assert daemon.removed is None
