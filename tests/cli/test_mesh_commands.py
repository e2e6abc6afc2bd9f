"""What the commands about the mesh show."""

import argparse
import json
from typing import Any

import pytest

from pimd.cli import mesh_commands
from pimd.cli.commands import peers, status
from pimd.cli.errors import PimError

A, B, C = ("a" * 32, "ab" * 4 + "b" * 24, "ab" * 4 + "c" * 24)


def nearby(node_id: str | None, address: str, name: str | None = None) -> dict[str, Any]:
    return {"node_id": node_id, "address": address, "label_announced": name, "label": None, "last_seen_s": 3}


def known(node_id: str, label: str | None = None) -> dict[str, Any]:
    return {"node_id": node_id, "label": label, "name": None}


class Answers:
    """A daemon with answers of the test; what is not among them is no method."""

    def __init__(self, **results: Any) -> None:
        self.results = {"peers.list": [], "peers.discovered": []} | {
            name.replace("__", "."): result for name, result in results.items()
        }
        self.asked: list[dict[str, Any]] = []
        self.paired: dict[str, Any] | None = None
        self.removed: dict[str, Any] | None = None

    def exchange(self, message: Any) -> Any:
        if isinstance(message, list):
            return [self.exchange(one) for one in message]
        method, params, id_ = message["method"], message.get("params") or {}, message["id"]
        if method == "peers.resolve":
            self.asked.append(params)
        result: Any
        if method == "peers.pair":
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


MEANT = {"node_id": None, "label": None, "name": None, "address": None, "config_entry_id": None}


@pytest.mark.parametrize(
    ("meant", "whom"),
    [
        ({"node_id": A, "label": "bob"}, {"node_id": A}),
        ({"address": "bob:9100"}, {"address": "bob:9100"}),
        ({"address": "10.0.0.4:1", "config_entry_id": "tcp:10.0.0.4:1", "label": "bob"}, {"address": "10.0.0.4:1"}),
    ],
)
def test_whom_the_daemon_means_is_paired_with(meant: dict[str, str], whom: dict[str, str]) -> None:
    daemon = Answers(peers__resolve=MEANT | meant)
    assert paired(daemon, "bob", label="Bobby", once=True) == {"trust": "once", "label": "Bobby", **whom}
    assert daemon.asked == [{"name": "bob", "scope": "nearby", "address": "bob:9100"}]


def test_where_the_daemon_means_nobody_nobody_is_paired_with() -> None:
    daemon = Answers()
    with pytest.raises(PimError):
        paired(daemon, "bob")
    assert daemon.paired is None


def test_discovered_nodes_are_listed_with_what_is_known_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        nearby(A, "10.0.0.1:1"),
        nearby(B, "10.0.0.2:1", "evil\x1b[2J"),
        nearby(None, "10.0.0.3:1"),
        nearby(None, "10.0.0.4:1", "shy"),
        nearby(C, "10.0.0.5:1", "carol\u200b"),
    ]
    rows[0]["label"] = "Ann"
    daemon = Answers(peers__discovered=rows)
    mesh_commands.discover(daemon, options())
    assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()] == [
        ["ADDRESS", "ID", "NAME"],
        ["10.0.0.1:1", A, "Ann"],
        ["10.0.0.2:1", B, '"evil\\x1b[2J"'],
        ["10.0.0.3:1", "anonymous", "-"],
        ["10.0.0.4:1", "anonymous", '"shy"'],
        ["10.0.0.5:1", C, '"carol\\u200b"'],
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


PEERS: dict[str, Any] = {"verbose": False, "limit": None, "after": None}


def kept(
    address: str, node_id: str | None = None, label: str | None = None, error: str | None = None
) -> dict[str, Any]:
    entry = {"config_entry_id": f"tcp:{address}", "address": address, "node_id": node_id, "label": label}
    return entry | {"last_error": error}


def test_addresses_where_nobody_was_met_yet_are_listed_below_the_peers(capsys: pytest.CaptureFixture[str]) -> None:
    configured = [kept("10.0.0.1:1", A), kept("10.0.0.2:1", label="nas", error="refused\x1b"), kept("10.0.0.3:1")]
    row = {"state": "active", "route_hops": 1, "latency_ms": 1, "last_seen_s": 1}
    peers(Answers(peers__list=[known(A, "Ann") | row], peers__configured=configured), options(**PEERS))
    above, below = capsys.readouterr().out.split("\n\n")
    assert "Ann" in above
    assert [line.split(maxsplit=2) for line in below.splitlines()[1:]] == [
        ["10.0.0.2:1", "nas", "refused\\x1b"],
        ["10.0.0.3:1", "-", "the first attempt is under way"],
    ]
    peers(Answers(peers__configured=configured), options(**PEERS))
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
    peers(answers, options(**PEERS | {"verbose": True}))
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
    peers(answers, options(**PEERS))
    assert "ROUND TRIP" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("meant", "params", "words"),
    [
        ({"node_id": A}, {"node_id": A}, "no longer configured, dialled or linked: 10.0.0.1:9100, 10.0.0.2:1"),
        ({"node_id": B}, {"node_id": B}, f"hung up on {B}, which the configuration did not name"),
        (
            {"address": "nas:9100", "config_entry_id": "tcp:nas:9100"},
            {"config_entry_id": "tcp:nas:9100"},
            "no longer configured, dialled or linked: nas:9100\n",
        ),
    ],
)
def test_whom_the_daemon_means_is_removed(
    meant: dict[str, str], params: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configured = [kept("10.0.0.1:9100", A), kept("10.0.0.2:1", A), kept("nas:9100", label="box of old")]
    daemon = Answers(peers__resolve=MEANT | meant, peers__configured=configured)
    mesh_commands.remove(daemon, options("nas"))
    assert daemon.removed == params
    assert daemon.asked == [{"name": "nas", "scope": "configured", "address": "nas:9100"}]
    assert words in capsys.readouterr().out


def test_a_page_of_peers_says_how_many_are_known_and_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"state": "failed", "route_hops": 0, "latency_ms": None, "last_seen_s": 1, "x25519_pubkey": "0" * 64}
    daemon = Answers(peers__list=[known(A) | row, known(B) | row], peers__count={"identities": 100_000})
    peers(daemon, options(**PEERS | {"limit": 2}))
    assert capsys.readouterr().out.endswith(f"\n\n99998 more are known: pim peers --after {B}\n")
    daemon.results["peers.count"] = {"identities": 2}
    peers(daemon, options(**PEERS | {"limit": 2}))
    assert "more" not in capsys.readouterr().out
    peers(daemon, options(**PEERS | {"limit": 3}))
    assert "--after" not in capsys.readouterr().out


def test_a_forgotten_peer_that_is_still_linked_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"state": "active", "route_hops": 1, "latency_ms": 1, "last_seen_s": 1, "forgotten": True}
    peers(Answers(peers__list=[known(A) | row]), options(**PEERS))
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == [A, "forgotten", "active"]
