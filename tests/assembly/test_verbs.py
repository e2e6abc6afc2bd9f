"""Terminal commands of features: what fits is described, what does not makes the feature `failed` with a sentence."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from pimd import terminal
from pimd.assembly.declaration import check_declaration
from pimd.assembly.declared import DeclarationError
from pimd.contract import Arg, Feature, Line, NodeIdHex, NoParams, Pairs, Params, Result, Table, Verb, rpc
from tests.assembly.conftest import Assemble


class Colour(StrEnum):
    RED = "red"


class SendParams(Params):
    node_id: NodeIdHex
    path: str
    copies: int = 1
    speed: float | None = None
    wait: bool = True
    quiet: bool
    how: Literal["now", "later"] = "now"
    colour: Colour = Colour.RED
    tags: list[str] = Field(default=[])
    more: dict[str, int] = Field(default={})
    either: int | str = 1


class Peer(Result):
    name: str | None


class Row(Result):
    id: int
    peer: Peer | None


class Sent(Result):
    id: Annotated[int, Field(description="Of the file.")]
    rows: list[Row]
    extra: dict[str, Any]


@rpc("file.send")
async def send(_: object, params: SendParams) -> Sent:
    """Send."""
    raise AssertionError(params)


@rpc("file.list")
async def list_(_: object, params: NoParams) -> list[Row]:
    """List."""
    return []


@rpc("file.any")
async def any_(_: object, params: NoParams) -> Any:
    """Anything."""


NEEDED = (Arg("node_id", kind="peer"), Arg("path", kind="path"), Arg("quiet", option="--quiet"))
AS_IT_IS = Pairs()


def feature(*verbs: Any, name: str = "file") -> Feature:
    return Feature(name, "Files.", ("file",), methods=(send, list_, any_), verbs=verbs)


def sending(*args: Any, show: Any = AS_IT_IS, **more: Any) -> Feature:
    return feature(
        Verb(**{"words": ("file", "send"), "summary": "s", "method": "file.send", "args": args, "show": show} | more)
    )


async def test_what_fits_is_described_while_the_feature_runs(assemble: Assemble) -> None:
    args = (
        *NEEDED,
        Arg("copies"),
        Arg("speed", "of the line", "--speed"),
        Arg("wait", option="--no-wait"),
        Arg("how", option="--how"),
        Arg("colour", option="--colour"),
        Arg("tags"),
    )
    show = Table((("ID", "{id}"), ("NAME", "{peer.name:name}")), rows="rows")
    all_ = await assemble(sending(*args, show=show))
    described = (await all_.call("rpc.discover"))["result"]["x-verbs"]
    assert [{key: one[key] for key in ("words", "method", "x-feature", "show")} for one in described] == [
        {
            "words": ["file", "send"],
            "method": "file.send",
            "x-feature": "file",
            "show": {
                "kind": "table",
                "columns": [["ID", "{id}"], ["NAME", "{peer.name:name}"]],
                "rows": "rows",
                "empty": "nothing to show",
            },
        }
    ]
    facts = ("field", "type", "list", "required", "default", "choices", "kind")
    assert [tuple(arg[key] for key in facts) for arg in described[0]["args"]] == [
        ("node_id", "string", False, True, None, None, "peer"),
        ("path", "string", False, True, None, None, "path"),
        ("quiet", "boolean", False, True, False, None, "value"),
        ("copies", "integer", False, False, None, None, "value"),
        ("speed", "number", False, False, None, None, "value"),
        ("wait", "boolean", False, False, True, None, "value"),
        ("how", "string", False, False, None, ["now", "later"], "value"),
        ("colour", "string", False, False, None, ["red"], "value"),
        ("tags", "string", True, False, None, None, "value"),
    ]
    await all_.call("features.disable", {"name": "file"})
    await all_.assembly.disable("file")
    assert (await all_.call("rpc.discover"))["result"]["x-verbs"] == []


@pytest.mark.parametrize(
    ("method", "show"),
    [
        ("file.send", Line("sent {id}, {rows}, {extra.whatever.it.is:size}")),
        ("file.send", Pairs((("id", "{id}"),))),
        ("file.list", Table((("ID", "{id}"),))),
        ("file.any", Table((("ID", "{id}"),), rows="somewhere.deep")),
        ("file.any", Line("{x} {y.z:moment}")),
    ],
)
def test_ways_to_show_an_answer_that_fit_it(method: str, show: Any) -> None:
    args = NEEDED if method == "file.send" else ()
    check_declaration(sending(*args, show=show, method=method), "file")


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (feature("file send"), "'file send' in verbs is no Verb; write: verbs=(Verb((\"file\",), ...),)"),
        (feature(*[Verb(("file", f"x{n}"), "", "file.list") for n in range(65)]), "brings 65 terminal commands; write at most 64"),
        (feature(Verb("file", "", "file.list")), "'file' are no terminal command"),  # type: ignore[arg-type]
        (feature(Verb((), "", "file.list")), "no terminal command"),
        (feature(Verb(("a", "b", "c", "d"), "", "file.list")), "one to 3 words"),
        (feature(Verb(("File",), "", "file.list")), "lowercase letters"),
        (feature(Verb(("--json",), "", "file.list")), "lowercase letters"),
        (feature(Verb(("x\x1b[2J",), "", "file.list")), r"'x\x1b[2J'"),
        (feature(Verb(("x" * 10**6,), "", "file.list")), "..."),
        (feature(Verb(("file",), "", "file.list"), Verb(("file", "x"), "", "file.any")), "`file` and `file x` cannot be told"),
        (feature(Verb(("file",), "x" * 10**6, "file.list")), "has a summary of 1000000 characters; write at most 200"),
        (feature(Verb(("file",), None, "file.list")), "has a summary that is no text: None"),  # type: ignore[arg-type]
        (feature(Verb(("file",), "", "file.sned")), "calls 'file.sned', which is no method of this feature; there are: file.send"),
        (feature(Verb(("file",), "", [])), "calls [], which is no method"),  # type: ignore[arg-type]
        (feature(Verb(("file",), "", "status")), "calls 'status', which is no method of this feature"),
        (sending(), 'leaves out node_id, which file.send needs; add to args: Arg("node_id")'),
        (sending(*NEEDED, args=[]), 'args must be a tuple of at most 16; write: args=(Arg("text"),)'),
        (sending(*NEEDED, "copies"), "has 'copies' in args, which is no Arg"),
        (sending(*NEEDED, Arg("copy")), "has the arg 'copy', which is no field of file.send; there are: node_id, path"),
        (sending(*NEEDED, Arg("copies"), Arg("copies")), "has copies twice"),
        (sending(*NEEDED, Arg("copies", option="--a"), Arg("how", option="--a")), "has --a twice"),
        (sending(*NEEDED, Arg("copies", option="-c")), "has the option '-c'; write: option=\"--copies\""),
        (sending(*NEEDED, Arg("copies", option="--json")), "has the option --json, which every command of pim has"),
        (sending(*NEEDED, Arg("copies", 7)), "has a help of copies that is no text: 7"),  # type: ignore[arg-type]
        (sending(*NEEDED, Arg("copies", kind="peer")), 'of the kind "peer", whose field takes no text'),
        (sending(*NEEDED, Arg("copies", kind="pear")), "of the kind 'pear'; write: kind=\"peer\""),  # type: ignore[arg-type]
        (sending(*NEEDED, Arg("wait")), 'has the arg wait, a bool; write: Arg("wait", option="--wait")'),
        (sending(*NEEDED, Arg("more")), "has the arg more, whose type no terminal argument can be"),
        (sending(*NEEDED, Arg("either")), "has the arg either, whose type no terminal argument can be"),
        (sending(Arg("copies"), *NEEDED), "has args that cannot be told apart: first those that are needed"),
        (sending(*NEEDED, Arg("tags"), Arg("copies")), "has args that cannot be told apart"),
        (sending(*NEEDED, show="{id}"), "is shown as '{id}'; write: show=Line(...), Pairs(...) or Table(...)"),
        (sending(*NEEDED, show=Line("{size}")), "shows {size}, which the answer of file.send does not have"),
        (sending(*NEEDED, show=Line("{rows.id}")), "shows {rows.id}, which the answer"),
        (sending(*NEEDED, show=Line("{id:>9}")), "braces stand only around a member of the answer"),
        (sending(*NEEDED, show=Line("{id:bytes}")), "shows {id:bytes}; formats are: moment, name, size, span"),
        (sending(*NEEDED, show=Line("x" * 201)), "of 201 characters"),
        (sending(*NEEDED, show=Line(b"x")), "has a text in show that is no text"),  # type: ignore[arg-type]
        (sending(*NEEDED, show=Table((("ID", "{id}"),))), "is shown as a table, but the answer of file.send is no list"),
        (sending(*NEEDED, show=Table((("ID", "{id}"),), rows="id")), "but the member id of the answer of file.send is no list"),
        (sending(*NEEDED, show=Table((), rows="rows")), "is shown as a table without columns"),
        (sending(*NEEDED, show=Table((("X", "{size}"),), rows="rows")), "shows {size}, which"),
        (sending(*NEEDED, show=Table(("ID",), rows="rows")), "has columns that are no tuple of at most 16 pairs"),  # type: ignore[arg-type]
        (sending(*NEEDED, show=Pairs((("a", "{id}"),) * 17)), "has pairs that are no tuple of at most 16"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_a_sentence(declared: Feature, said: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        check_declaration(declared, "file")
    assert said in str(raised.value)
    assert len(str(raised.value)) < 1000


def test_verbs_are_a_tuple() -> None:
    with pytest.raises(ValueError, match=r"is no tuple; write: verbs=\(\.\.\.,\)"):
        Feature("file", "Files.", ("file",), verbs=[])  # type: ignore[arg-type]


@rpc("other.do")
async def do(_: object, params: NoParams) -> None:
    """Do."""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status",), "`status` cannot be told from `status` of pim itself, which comes first; give it other words"),
        (("mesh", "paint"), "`mesh paint` cannot be told from `mesh` of pim itself"),
        (("file", "send"), "`file send` cannot be told from `file send` of file"),
        (("file",), "`file` cannot be told from `file send` of file"),
        (("file", "send", "all"), "`file send all` cannot be told from `file send` of file"),
    ],
)
async def test_of_two_that_clash_the_later_fails_whatever_was_there_first(
    words: tuple[str, ...], said: str, assemble: Assemble
) -> None:
    other = Feature("other", "Other.", ("other",), methods=(do,), verbs=(Verb(words, "", "other.do"),))
    file = sending(*NEEDED)
    all_ = await assemble(file, other)
    for _ in range(2):
        assert all_.row("file").state == "running"
        assert (all_.row("other").state, said in all_.row("other").reason) == ("failed", True)
        assert {one["x-feature"] for one in (await all_.call("rpc.discover"))["result"]["x-verbs"]} == {"file"}
        await all_.assembly.disable("file")
        if words[0] == "file":  # nobody has the words now
            assert (await all_.assembly.enable("other")).state == "running"
        await all_.assembly.enable("file")


async def test_two_features_share_a_first_word(assemble: Assemble) -> None:
    other = Feature("other", "Other.", ("other",), methods=(do,), verbs=(Verb(("file", "do"), "", "other.do"),))
    all_ = await assemble(sending(*NEEDED), other)
    assert [all_.row(name).state for name in ("file", "other")] == ["running", "running"]


def test_the_words_of_pim_can_be_those_of_no_feature() -> None:
    assert all(map(terminal.WORD.fullmatch, terminal.COMMANDS))
