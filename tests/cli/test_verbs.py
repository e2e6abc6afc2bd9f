"""Commands that a daemon describes: learned, parsed, called and shown, whatever the daemon says."""

import json
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimd import terminal
from pimd.cli import help_page, program
from pimd.cli.errors import NoDaemonError
from pimd.cli.parser import make_parser
from pimd.cli.show import shown
from pimd.cli.verbs import MOST, learned, listed

ID = "ab" * 16


def arg(field: str, **more: Any) -> dict[str, Any]:
    return {
        "field": field,
        "help": "",
        "option": "",
        "kind": "value",
        "type": "string",
        "list": False,
        "choices": None,
        "required": True,
        "default": None,
    } | more


def verb(*words: str, **more: Any) -> dict[str, Any]:
    plain = {"summary": "do it", "method": "x.do", "args": [], "show": {"kind": "pairs", "pairs": []}, "x-feature": "x"}
    return {"words": list(words), **plain, **more}


SEND = verb(
    "file",
    "send",
    args=[
        arg("node_id", kind="peer"),
        arg("path", kind="path"),
        arg("copies", type="integer", required=False),
        arg("speed", type="number", option="--speed", required=False),
        arg("quiet", type="boolean", option="--quiet", default=False),
        arg("wait", type="boolean", option="--no-wait", default=True, required=False),
        arg("how", option="--how", choices=["now", "later"], required=False, help="100% or %(prog)s"),
        arg("tags", list=True, option="--tag", required=False),
    ],
)


class Daemon:
    """Describes what it is given, and notes what is called."""

    def __init__(self, described: Any = (SEND,), answer: Any = None) -> None:
        self.described = list(described) if isinstance(described, tuple) else described
        self.answer = answer
        self.called: list[Any] = []

    def exchange(self, message: Any) -> Any:
        method, params = message["method"], message.get("params")
        if method == "rpc.discover":
            return {"id": message["id"], "result": {"x-verbs": self.described}}
        if method == "peers.resolve":
            return {"id": message["id"], "result": {"node_id": f"id of {params['name']}"}}
        self.called.append((method, params))
        return {"id": message["id"], "result": self.answer}

    def close(self) -> None:
        pass


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """What `pim` is connected with."""
    found = Daemon()
    monkeypatch.setattr(program, "connection_of", lambda _: found)
    monkeypatch.setattr(help_page, "connection_of", lambda _: found)
    return found


@pytest.fixture
def no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise NoDaemonError("no daemon answers; start one with `pimd`")

    monkeypatch.setattr(program, "connection_of", fail)
    monkeypatch.setattr(help_page, "connection_of", fail)


@pytest.mark.parametrize(
    ("line", "params"),
    [
        ("bob /a", {"node_id": "id of bob", "path": "/a", "quiet": False}),
        ("bob /a 3 --quiet --no-wait", {"node_id": "id of bob", "path": "/a", "copies": 3, "quiet": True, "wait": False}),
        ("--speed 1.5 bob /a/../b", {"node_id": "id of bob", "path": "/b", "speed": 1.5, "quiet": False}),
        ("--json --tag x bob --tag y /a --how later",
         {"node_id": "id of bob", "path": "/a", "tags": ["x", "y"], "how": "later", "quiet": False}),
    ],
)  # fmt: skip
def test_arguments_become_params(daemon: Daemon, line: str, params: dict[str, Any]) -> None:
    assert program.main(["file", "send", *line.split()]) == 0
    assert daemon.called == [("x.do", params)]


@pytest.mark.parametrize("required", [True, False])
def test_a_list_takes_the_rest(daemon: Daemon, required: bool, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: FBT001
    whom = arg("whom", list=True, kind="peer", required=required)
    daemon.described = [verb("say", args=[arg("text"), whom])]
    assert program.main(["say", "hello", "bob", "eve"]) == 0
    assert program.main(["say", "hello"]) == (2 if required else 0)
    assert daemon.called[0] == ("x.do", {"text": "hello", "whom": ["id of bob", "id of eve"]})
    assert daemon.called[1:] == ([] if required else [("x.do", {"text": "hello"})])
    assert ("usage: pim say" in capsys.readouterr().err) == required


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("file", "required: COMMAND"),
        ("file sned", "invalid choice: 'sned'"),
        ("file send bob", "required: PATH"),
        ("file send bob /a x", "'x' is no whole number"),
        ("file send bob /a --speed nan", "'nan' is no number"),
        ("file send bob /a --how never", "invalid choice: 'never' (choose from 'now', 'later')"),
        ("file send bob /a --nope", "unrecognized arguments: --nope"),
        ("flie send bob /a", "invalid choice: 'flie'"),
        ("flie", "`pim features` says whether the feature that brings it is off"),
        ("help flie", "invalid choice: 'flie'"),
    ],
)
@pytest.mark.usefixtures("daemon")
def test_wrong_arguments_are_answered_with_the_usage(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(line.split()) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.startswith("usage: pim")


@pytest.mark.parametrize("line", ["file send bob /a", "file --help", "help file", "help file send"])
@pytest.mark.usefixtures("no_daemon")
def test_without_a_daemon_the_commands_of_pim_are_listed(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(line.split()) == 3
    told = capsys.readouterr().err
    assert "start one with `pimd`" in told
    assert f"pim has: {', '.join(sorted(terminal.COMMANDS))}" in told
    assert program.main([*line.split(), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == 3


@pytest.mark.parametrize("line", ["--help", "-h", "help", "--json help"])
def test_the_help_lists_them(daemon: Daemon, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(line.split()) == 0
    told = capsys.readouterr().out
    if "--json" in line:
        rows = {tuple(row["words"]): row for row in json.loads(told)}
        assert rows["file", "send"] == {"words": ["file", "send"], "summary": "do it", "feature": "x", "method": "x.do"}
        assert rows["status",]["feature"] is None
    else:
        assert "    status  " in told
        assert (
            "  file send NAME-OR-ID PATH [COPIES] [--speed SPEED] [--quiet] [--no-wait] [--how HOW] [--tag TAGS]  do it"
            in told
        )
    assert daemon.called == []


@pytest.mark.usefixtures("no_daemon")
def test_the_help_is_of_use_without_a_daemon(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("--help", "help", "help status", "help mesh status"):
        assert program.main(line.split()) == 0
        assert "usage: pim" in capsys.readouterr().out
    assert program.main(["help"]) == 0
    assert "commands of features are not listed: no daemon answers" in capsys.readouterr().out


def test_the_help_waits_for_no_daemon_that_hangs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    over = threading.Event()
    monkeypatch.setattr(help_page, "PATIENCE_S", 0.01)

    def hang(_: object) -> None:
        over.wait()
        raise NoDaemonError("too late")

    monkeypatch.setattr(help_page, "connection_of", hang)
    assert program.main(["help"]) == 0
    over.set()
    assert "the daemon did not answer within 0.01 s" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["help file send", "file send --help", "--json file send -h"])
@pytest.mark.usefixtures("daemon")
def test_one_is_explained(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert program.main(line.split()) == 0
    except SystemExit as ended:
        assert ended.code == 0  # noqa: PT017 - argparse's own way
    told = " ".join(capsys.readouterr().out.split())
    assert "usage: pim file send" in told
    assert "do it" in told
    assert "NAME-OR-ID a peer" in told
    assert "--how HOW 100% or %(prog)s; one of now, later" in told


def test_own_commands_need_no_daemon_to_be_known_and_cannot_be_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Daemon((verb("status"), verb("mesh", "status"), verb("help")), {"node_id": ID, "fingerprint": "f"})
    monkeypatch.setattr(program, "connection_of", lambda _: found)
    assert learned(found) == []
    assert program.main(["call", "x.y"]) == 0
    assert found.called == [("x.y", None)]
    assert program.main(["mesh"]) == 2
    assert "usage: pim mesh" in capsys.readouterr().err


def test_the_words_that_pim_reserves_are_those_that_it_has() -> None:
    assert {name for name, _ in make_parser().summaries} == terminal.COMMANDS


# --- the answer


@pytest.mark.parametrize(
    ("show", "answer", "text"),
    [
        ({"kind": "pairs", "pairs": []}, None, "done"),
        ({"kind": "pairs", "pairs": []}, [], "nothing to show"),
        ({"kind": "pairs", "pairs": []}, ["a", {"b": 1}], 'a\n{"b": 1}'),
        ({"kind": "pairs", "pairs": []}, {"a": 1, "long": True, "none": None}, "a     1\nlong  yes\nnone  -"),
        ({"kind": "pairs", "pairs": []}, {"a": "\x1b[2J\u202e", "\x07": 1}, "a     \\x1b[2J\\u202e\n\\x07  1"),
        ({"kind": "pairs", "pairs": [["who", "{a.b:name}"], ["at", "{at:moment}"]]}, {"a": {"b": "x\n"}}, 'who  "x\\n"\nat   -'),
        ({"kind": "line", "text": "{a} of {b:size} in {c:span}\x1b"}, {"a": 1, "b": 2048, "c": 90}, "1 of 2.0 kB in 1 min\\x1b"),
        ({"kind": "line", "text": "{b:size} {c:span} {d:moment}"}, {"b": 10**400, "c": True, "d": "x"}, f"{10**400} 1 s x"),
        ({"kind": "line", "text": "{a} {a.b.c}"}, [1], "- -"),
        ({"kind": "table", "columns": [["ID", "{id}"]], "rows": "rows", "empty": "nobody"}, {"rows": []}, "nobody"),
        ({"kind": "table", "columns": [["ID", "{id}"]], "rows": "", "empty": "nobody\x07"}, {"x": 1}, "nobody\\x07"),
        ({"kind": "table", "columns": [["ID", "{id}"], ["B", "{b}"]], "rows": "", "empty": ""},
         [{"id": 1, "b": 2}, 7, {"id": "x" * 10**6}], f"ID{' ' * 203}B\n1{' ' * 204}2\n-{' ' * 204}-\n{'x' * 200}...  -"),
    ],
)  # fmt: skip
def test_an_answer_is_shown(show: dict[str, Any], answer: Any, text: str) -> None:
    assert shown(show, answer) == text


def test_with_json_the_answer_is_printed_as_it_is(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answer = {"a": ["\x1b"]}
    assert program.main(["file", "send", "bob", "/a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == daemon.answer


# --- what a daemon may say


def test_texts_are_escaped_cut_and_counted(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    bad = "\x1b[2J\u202e%(prog)s\n" + "x" * 10**6
    loud = verb("loud", summary=bad, **{"x-feature": bad}, args=[arg("a", help=bad, choices=[bad])])
    daemon.described = [loud, *(verb("x", f"n{n}", summary=bad) for n in range(10_000))]
    verbs = learned(daemon)
    assert len(verbs) == MOST
    assert len(listed(verbs)) < MOST * 1000
    for line in (["help"], ["help", "loud"], ["loud"], ["x", "nope"]):
        program.main(line)
        told = capsys.readouterr()
        assert "\x1b" not in told.out + told.err
        assert "\u202e" not in told.out + told.err
        assert len(told.out + told.err) < 500_000
    assert r"\x1b[2J\u202e%(prog)s" in listed(verbs)


@pytest.mark.parametrize(
    "described",
    [
        None,
        7,
        {},
        [7, None, {}, []],
        [verb()],
        [verb("a", "b", "c", "d")],
        [verb("--help")],
        [verb("\x1b")],
        [verb(7)],  # type: ignore[arg-type]
        [verb("x", summary=7)],
        [verb("x", method=None)],
        [verb("x", show={"kind": "film"})],
        [verb("x", show={"kind": "table", "columns": [], "rows": "", "empty": ""})],
        [verb("x", show={"kind": "line", "text": 7})],
        [verb("x", args=[arg("\x1b")])],
        [verb("x", args=[arg("a", type="file")])],
        [verb("x", args=[arg("a", type=[])])],
        [verb("x", args=[arg("a", type="boolean")])],
        [verb("x", args=[arg("a", option="--json")])],
        [verb("x", args=[arg("a", option="-a")])],
        [verb("x", args=[arg("a"), arg("a")])],
        [verb("x", args=[arg("a", option="--x"), arg("b", option="--x")])],
        [verb("x", args=[arg("a", kind="peer", type="integer")])],
    ],
)
def test_what_cannot_be_read_is_left_out(described: Any) -> None:
    assert learned(Daemon(described)) == []
    if isinstance(described, list):
        assert [one.words for one in learned(Daemon([*described, verb("good")]))] == [("good",)]


def test_of_two_that_cannot_be_told_apart_the_first_counts() -> None:
    found = learned(Daemon((verb("a", "b"), verb("a"), verb("a", "b"), verb("a", "c"))))
    assert [one.words for one in found] == [("a", "b"), ("a", "c")]
    make_parser(found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
ARG = st.fixed_dictionaries(
    {
        "field": st.sampled_from(["a", "b", "json"]) | JSON,
        "help": st.text() | JSON,
        "option": st.sampled_from(["", "--a", "--b"]) | JSON,
        "kind": st.sampled_from(["value", "peer", "path"]),
        "type": st.sampled_from(["string", "integer", "number", "boolean"]) | JSON,
        "list": st.booleans(),
        "choices": st.none() | st.lists(JSON, max_size=3),
        "required": st.booleans(),
        "default": JSON,
    }
)
TEMPLATE = st.text() | st.sampled_from(["{a}", "{a.b:size}", "{a:span} {b:name}", "{c:moment}"])
SHOW = st.one_of(
    JSON,
    st.fixed_dictionaries({"kind": st.just("line"), "text": TEMPLATE}),
    st.fixed_dictionaries({"kind": st.just("pairs"), "pairs": st.lists(st.tuples(st.text(), TEMPLATE), max_size=3)}),
    st.fixed_dictionaries(
        {
            "kind": st.just("table"),
            "columns": st.lists(st.tuples(st.text(), TEMPLATE), max_size=3),
            "rows": st.just("") | st.just("a"),
            "empty": st.text(),
        }
    ),
)
VERB = st.fixed_dictionaries(
    {
        "words": st.lists(st.sampled_from(["a", "b", "c"]), max_size=3) | JSON,
        "summary": st.text() | JSON,
        "method": st.just("x.do") | JSON,
        "args": st.lists(ARG, max_size=3),
        "show": SHOW,
        "x-feature": st.just("x"),
    }
)


@settings(max_examples=50)
@given(st.lists(VERB | JSON, max_size=4), JSON)
def test_nothing_that_a_daemon_describes_breaks_pim(described: list[Any], answer: Any) -> None:
    found = learned(Daemon(described))
    parser = make_parser(found)
    listing = listed(found)
    for one in found:
        with pytest.raises(SystemExit):
            parser.parse_args([*one.words, "--help"])
        text = shown(one.show, answer)
        assert not set(text + listing) & set("\x1b\x07\u202e\x00")
