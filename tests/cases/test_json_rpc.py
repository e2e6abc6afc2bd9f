"""What clients of other JSON-RPC daemons stumbled over."""

import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cases.machine import until
from tests.system.conftest import Pair
from tests.system.daemon import Daemon, UnixClient

ASK = '{{"jsonrpc":"2.0","id":{},"method":"daemon.info"}}\n'
TEXT_OF_ALL_KINDS = 'nul \u0000, emoji \U0001f680, \u2028, quotes "\\, right to left \u202e'


def over_unix(daemon: Daemon, raw: bytes, *, answers: int = 1, pieces: int = 0, end: bool = False) -> list[Any]:
    """Write bytes after the greeting, and read that many answers."""
    client = UnixClient(Path(daemon.runtime["unix_socket"]))
    try:
        for start in range(0, len(raw), pieces or len(raw)):
            client.send(raw[start : start + (pieces or len(raw))])
        if end:
            client.end_of_requests()
        return [client.receive() for _ in range(answers)]
    finally:
        client.close()


IDS = (
    "9007199254740993", "-1", "0", "1.5", "123456789012345678901234567890", '""', '"\\ud83d\\ude00"',
    '"a\\u0000b"', "null", "1e2", json.dumps("x" * 5000),
)  # fmt: skip


@pytest.mark.parametrize("id_", IDS, ids=range(len(IDS)))
def test_an_id_comes_back_as_it_was(shared_pair: Pair, id_: str) -> None:
    """nanocurrency/nano-node#1671: ids beyond 2**53 lose digits."""
    (answer,) = over_unix(shared_pair[0], ASK.format(id_).encode())
    assert "result" in answer
    assert answer["id"] == json.loads(id_)
    assert type(answer["id"]) is type(json.loads(id_))


@pytest.mark.parametrize("id_", ["true", "{}", "[]"])
def test_an_id_of_a_wrong_kind_is_refused(shared_pair: Pair, id_: str) -> None:
    (answer,) = over_unix(shared_pair[0], ASK.format(id_).encode())
    assert answer["error"]["code"] == -32600
    assert answer["id"] is None


HUGE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("messages.mark_read", {"up_to_ts_ms": 2**63}),
    ("messages.mark_read", {"up_to_ts_ms": 10**40}),
    ("messages.history", {"before_ts_ms": 2**63}),
    ("messages.history", {"limit": 10**40}),
    ("messages.history", {"before_ts_ms": 1e300}),
    ("messages.send", {"body": "x", "expires_s": 10**30}),
    ("peers.set_broadcast_config", {"outgoing_interval_s": 10**30}),
    ("peers.set_broadcast_config", {"min_peer_interval_s": 10**30}),
    ("peers.label", {"label": "x" * 100_000}),
    ("peers.add_static", {"address": "h" * 100_000 + ":1"}),
)


@pytest.mark.parametrize(("method", "params"), HUGE, ids=range(len(HUGE)))
def test_a_huge_value_is_no_internal_error(shared_pair: Pair, method: str, params: dict[str, Any]) -> None:
    alice, bob = shared_pair
    whom = {"messages": {"peer_node_id": bob.node_id}, "peers.label": {"node_id": bob.node_id}}
    answer = alice.ask(method, {**whom.get(method, whom.get(method.split(".", maxsplit=1)[0], {})), **params})
    assert answer.get("error", {}).get("code") != -32603


def test_a_text_with_all_kinds_of_characters_arrives_unchanged(shared_pair: Pair) -> None:
    alice, bob = shared_pair
    alice.call("messages.send", {"peer_node_id": bob.node_id, "body": TEXT_OF_ALL_KINDS})

    def arrived() -> list[str]:
        page = bob.call("messages.history", {"peer_node_id": alice.node_id})["messages"]
        return [message["body"] for message in page]

    until(arrived)
    assert arrived() == [TEXT_OF_ALL_KINDS]


@pytest.mark.parametrize(
    "raw", [ASK.format(1).replace("\n", "\r\n"), "\n\r\n  \n" + ASK.format(1)], ids=["crlf", "blank"]
)
def test_lines_of_other_kinds_are_read(shared_pair: Pair, raw: str) -> None:
    assert "result" in over_unix(shared_pair[0], raw.encode())[0]


def test_requests_cut_anywhere_or_glued_together_are_answered(shared_pair: Pair) -> None:
    daemon = shared_pair[0]
    assert "result" in over_unix(daemon, ASK.format(1).encode(), pieces=1)[0]
    glued = over_unix(daemon, "".join(map(ASK.format, range(50))).encode(), answers=50)
    assert sorted(answer["id"] for answer in glued) == list(range(50))
    assert "result" in over_unix(daemon, ASK.format(1).encode(), end=True)[0]


def test_a_batch_may_use_an_id_twice(shared_pair: Pair) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": 1, "method": "daemon.info"},
        {"jsonrpc": "2.0", "id": 1, "method": "rpc.methods"},
        {"jsonrpc": "2.0", "method": "rpc.methods"},
    ]
    (answer,) = over_unix(shared_pair[0], json.dumps(batch).encode() + b"\n")
    assert [one["id"] for one in answer] == [1, 1]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"]
)
def test_a_content_type_may_be_written_in_many_ways(shared_pair: Pair, kind: str) -> None:
    assert shared_pair[0].post(ASK.format(7).encode(), **{"Content-Type": kind})[0] == 200


def test_a_body_may_come_in_chunks(shared_pair: Pair) -> None:
    def chunks() -> Iterator[bytes]:
        one = ASK.format(7).encode()
        yield one[:10]
        yield one[10:]

    url = urlsplit(shared_pair[0].runtime["http_url"])
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    headers = {
        "Authorization": f"Bearer {shared_pair[0].token}",
        "Content-Type": "application/json",
        "Transfer-Encoding": "chunked",
    }
    connection.request("POST", "/rpc", chunks(), headers, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()


def test_a_body_of_three_megabytes_is_taken(shared_pair: Pair) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "rpc.methods", "params": {"x": "y" * 3_000_000}}
    assert shared_pair[0].post(json.dumps(request).encode())[0] == 200


@pytest.mark.parametrize("arguments", [["--http1.0"], ["-H", "Expect: 100-continue"]], ids=["http1.0", "expect"])
def test_curl_is_answered(shared_pair: Pair, arguments: list[str]) -> None:
    """It waits a second for `100 Continue` before it sends the body all the same."""
    curl = shutil.which("curl")
    assert curl is not None, "needs curl"
    daemon = shared_pair[0]
    done = subprocess.run(
        [
            curl, "-sv", "-m", "20", *arguments, "-H", f"Authorization: Bearer {daemon.token}",
            "-H", "Content-Type: application/json", "--data-binary", "@-", daemon.runtime["http_url"],
        ],
        input=ASK.format(7).encode(),
        capture_output=True,
        check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["id"] == 7
    assert (b"100 Continue" in done.stderr) == ("Expect: 100-continue" in arguments)
