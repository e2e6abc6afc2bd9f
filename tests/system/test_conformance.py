"""The cases of tests/conformance over the three listeners of a whole daemon, and the runner itself."""

from pathlib import Path
from typing import Any

import pytest

from pimd.conformance.__main__ import main
from pimd.conformance.cases import NOTHING, Case, Exchange, read
from pimd.conformance.patterns import mismatch
from tests.system.daemon import Daemon

FILES = sorted((Path(__file__).parents[1] / "conformance").glob("*.io"))


def address(daemon: Daemon, listener: str) -> str:
    url = str(daemon.runtime["http_url"])
    return {
        "unix": f"unix:{daemon.runtime['unix_socket']}",
        "http": url,
        "websocket": url.replace("http", "ws").replace("/rpc", "/ws"),
    }[listener]


@pytest.mark.parametrize("listener", ["unix", "http", "websocket"])
def test_a_daemon_passes_all_cases(shared_daemon: Daemon, listener: str, capsys: pytest.CaptureFixture[str]) -> None:
    shared_daemon.call("features.enable", {"name": "mailbox"})
    token = str(shared_daemon.data_dir / "rpc.token")
    code = main(["--token-file", token, address(shared_daemon, listener), *map(str, FILES)])
    assert (code, capsys.readouterr().out.partition(" of ")[0]) == (0, "0")


def test_there_are_hundreds_of_cases() -> None:
    assert sum(len(read(file)) for file in FILES) >= 300


def test_what_differs_is_said(shared_daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.io"
    wrong.write_text(
        '>> {"jsonrpc": "2.0", "id": 1, "method": "rpc.methods"}\n<< {"jsonrpc": "2.0", "id": 1, "result": "<object>"}\n'
    )
    url = address(shared_daemon, "unix")
    assert main([url, str(wrong)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("wrong.io:1: ")
    assert "the answer.result is [" in said
    assert said.endswith(f"and not <object>\n1 of 1 cases failed over {url}\n")


def test_a_case_as_text(tmp_path: Path) -> None:
    file = tmp_path / "a.io"
    file.write_text('// a comment\non unix\n>> {3*ab}{\n<< {"a": 1}\n>>hex 00ff\n\n\n>> x\n')
    assert read(file) == [
        Case("a.io:3", (Exchange(b"ababab{", {"a": 1}), Exchange(b"\x00\xff", NOTHING)), ["unix"]),
        Case("a.io:8", (Exchange(b"x", NOTHING),)),
    ]
    for line, why in (("<< 1", "neither"), (">> 1\n<< {", "a.io:2: the answer is no JSON"), ("what", "neither")):
        file.write_text(line + "\n")
        with pytest.raises(ValueError, match=why):
            read(file)


@pytest.mark.parametrize(
    ("pattern", "value", "differs"),
    [
        (1, 1, None),
        (1, 1.0, "the answer is 1.0, and not 1"),
        (True, 1, "the answer is 1, and not True"),
        ("<any>", None, None),
        ("<integer>", True, "the answer is True, and not <integer>"),
        ("<string or null>", None, None),
        ("<string or null>", 1, "the answer is 1, and not <string or null>"),
        ("<matching ^a+$>", "aaa", None),
        ("<matching ^a+$>", 5, "the answer is 5, and not <matching ^a+$>"),
        ({"a": "<text>"}, {"a": ""}, "the answer.a is '', and not <text>"),
        ({"a": 1}, {}, "the answer lacks a: {}"),
        ({"a": 1}, {"a": 1, "b": 2}, "the answer has b, which is not expected"),
        ({"a": 1, "...": 0}, {"a": 1, "b": 2}, None),
        ({}, [], "the answer is [], and not an object"),
        ([1, 2], [1], "the answer has 1 items, and not 2"),
        ([1], [1, 2], "the answer has 2 items, and not 1"),
        ([1, "..."], [1, 2], None),
        (["<each>", "<integer>"], [1, 2, "x"], "the answer[2] is 'x', and not <integer>"),
        ([], {}, "the answer is {}, and not an array"),
    ],
)
def test_a_pattern(pattern: Any, value: Any, differs: str | None) -> None:
    assert mismatch(pattern, value) == differs


def test_a_pattern_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no such pattern: <hex>"):
        mismatch("<hex>", "ff")
