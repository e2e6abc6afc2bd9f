"""Which features run, in what order, and what is said of the others."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pimd.assembly.absent import explain_absent
from pimd.assembly.choice import AssemblyError, Candidate, installed_candidates
from pimd.assembly.imports import FeatureChoice
from pimd.assembly.known import KnownFeature
from pimd.assembly.plan import Plan, levels
from pimd.contract import Feature, FeatureSettings
from tests.assembly.conftest import Assemble


def candidate(feature: Feature, origin: str = "built-in") -> Candidate:
    return Candidate(feature.name, "1", origin, lambda: feature)


def known(name: str, *, built: bool = True, namespaces: tuple[str, ...] = ()) -> dict[str, KnownFeature]:
    return {name: KnownFeature(name, "x", namespaces, (), built)}


def plan(*features: Feature, table: Mapping[str, KnownFeature] | None = None, **choice: object) -> Plan:
    return Plan(FeatureChoice(**choice), table or {}, [candidate(one) for one in features])  # type: ignore[arg-type]


A = Feature("a", "x", ("a",))
B = Feature("b", "x", ("b",), requires=("a",))
C = Feature("c", "x", ("c",), requires=("b",))


def test_levels_say_what_must_be_up_before() -> None:
    features = {one.name: one for one in (C, B, A, Feature("z", "x"))}
    assert levels(features) == [["a", "z"], ["b"], ["c"]]


@pytest.mark.parametrize(
    ("features", "faults"),
    [
        ((B,), {"b": "b -> a: b cannot run without a"}),
        ((C, B), {"c": "c -> b -> a: c cannot", "b": "b -> a: b cannot"}),
        (
            (Feature("a", "x", requires=("b",)), Feature("b", "x", requires=("a",))),
            {"a": "circle: a -> b -> a", "b": "circle: b -> a -> b"},
        ),
        ((Feature("a", "x", ("n",)), Feature("b", "x", ("n",))), {"b": "namespace n belongs to a"}),
        ((Feature("a", "x", ("rpc",)),), {"a": "namespace rpc belongs to the daemon"}),
        ((A, Feature("b", "x", ("a",)), Feature("c", "x", requires=("b",))), {"b": "belongs to a", "c": "c -> b: "}),
    ],
)
def test_what_cannot_run_is_told_with_the_chain(features: tuple[Feature, ...], faults: dict[str, str]) -> None:
    found = plan(*features).faults
    assert found.keys() == faults.keys()
    for name, words in faults.items():
        assert words in found[name]


def test_the_reason_of_an_absent_requirement_is_told() -> None:
    assert "b -> a: b cannot run without a (disabled: because)" in plan(A, B, disabled={"a": "because"}).faults["b"]


def test_what_the_configuration_requires_ends_the_start_with_the_same_sentence() -> None:
    reason = plan(A, B, disabled={"a": "because"}).faults["b"]
    with pytest.raises(AssemblyError, match=rf"feature b, .*: {re.escape(reason)}"):
        plan(A, B, required=["b"], disabled={"a": "because"})
    with pytest.raises(AssemblyError, match=r"required names, failed: not installed"):
        plan(A, required=["zzz"])
    with pytest.raises(AssemblyError, match=r"required names, failed: disabled: off by default"):
        plan(Feature("shy", "x", default_enabled=False), required=["shy"])


def test_what_is_disabled_is_not_even_loaded() -> None:
    def load() -> Feature:
        raise AssertionError("loaded")

    made = Plan(FeatureChoice(disabled={"a": "no"}), {}, [Candidate("a", "1", "x", load)])
    assert [(one.name, one.state, one.reason) for one in made.choices] == [("a", "disabled", "no")]
    made = Plan(FeatureChoice(enabled=[]), {}, [Candidate("a", "1", "x", load)])
    assert made.choices[0].state == "disabled"


def test_disabled_is_taken_off_last() -> None:
    made = plan(A, B, enabled=["a", "b"], disabled={"b": "no"})
    assert list(made.features) == ["a"]


def test_a_feature_off_by_default_runs_when_it_is_listed() -> None:
    shy = Feature("shy", "x", default_enabled=False)
    assert plan(shy).features == {}
    assert plan(shy).choices[0].state == "disabled"
    assert list(plan(shy, enabled=["shy"]).features) == ["shy"]


def test_enabling_what_nobody_has_is_a_failed_row() -> None:
    made = plan(Feature("alpha", "x"), enabled=["alpha", "alhpa"])
    assert "not installed: " in made.faults["alhpa"]
    assert "did you mean alpha?" in made.faults["alhpa"]
    assert list(made.features) == ["alpha"]
    made = plan(B, table=known("a", built=False), enabled=["a"])
    assert (made.choices[0].state, made.choices[0].reason) == (
        "not_built",
        "listed in [features] enabled, but this build was made without it",
    )


def test_two_that_bring_one_name_are_named_and_the_first_is_used(caplog: pytest.LogCaptureFixture) -> None:
    first, second = Feature("a", "first"), Feature("a", "second")
    made = Plan(FeatureChoice(), {}, [candidate(first), candidate(second, "other")])
    assert [feature.summary for feature in made.features.values()] == [first.summary]
    assert "a is brought by built-in and by other" in caplog.text


class Table(FeatureSettings):
    """Settings of a feature."""

    size: int = 3


def test_a_features_table_is_checked_when_it_is_planned() -> None:
    sized = Feature("sized", "x", settings=Table)
    made = plan(sized, tables={"sized": {"size": 5, "enabled": True}})
    assert made.imports["sized"].settings == Table(size=5)
    for table, word in (({"size": "many"}, "size"), ({"sise": 1}, "sise")):
        with pytest.raises(AssemblyError, match=rf"^features\.sized\.{word}: "):
            plan(sized, tables={"sized": table})
        installed = Plan(FeatureChoice(tables={"sized": table}), {}, [candidate(sized, "other")])
        assert installed.faults["sized"].startswith(f"features.sized.{word}: ")
    with pytest.raises(AssemblyError, match=r"^features\.sized\.size: .+; features\.sized\.sise: ") as caught:
        plan(sized, tables={"sized": {"size": "many", "sise": 1}})  # each wrong key is named
    assert caught.value.key == ("features", "sized", "size")


async def test_methods_that_are_not_there_say_why(assemble: Assemble) -> None:
    table = {**known("gone", built=False, namespaces=("gone", "went")), **known("off", namespaces=("off",))}
    all_ = await assemble(Feature("off", "x", ("off",)), known=table, disabled={"off": "because"})
    for method, feature, state, words in (
        ("gone.x", "gone", "not_built", "PIMD_FEATURES"),
        ("went", "gone", "not_built", "PIMD_FEATURES"),
        ("off.y", "off", "disabled", "because"),
        ("rpc.helo", None, "unknown", "did you mean rpc.hello"),
        ("x" * 100_000, None, "unknown", "rpc.methods"),
    ):
        data = (await all_.call(method))["error"]["data"]
        assert (data["feature"], data["state"]) == (feature, state)
        assert words in data["hint"]
        assert len(data["hint"]) < 300


def test_a_method_name_cannot_write_to_the_terminal() -> None:
    hint = explain_absent("\x1b[2J", {}, {}, [], list)["hint"]
    assert hint.isprintable()


async def test_enabling_and_disabling_follow_the_requirements(assemble: Assemble) -> None:
    all_ = await assemble(A, B)
    with pytest.raises(AssemblyError, match="b -> a"):
        await all_.assembly.disable("a")
    changes = all_.assembly.subscribe()
    await all_.assembly.disable("b")
    await all_.assembly.disable("a")
    with pytest.raises(AssemblyError, match="b needs a"):
        await all_.assembly.enable("b")
    await all_.assembly.enable("a")
    assert (await all_.assembly.enable("b")).state == "running"
    with pytest.raises(AssemblyError, match="there is no feature 'zzz'"):
        await all_.assembly.enable("zzz")
    seen = []
    while (row := changes.next_waiting()) is not None:
        seen.append((getattr(row, "name", None), getattr(row, "state", None)))
    assert [one for one in seen if one[1] in ("disabled", "running")] == [
        ("b", "disabled"),
        ("a", "disabled"),
        ("a", "running"),
        ("b", "running"),
    ]
    assert seen[:2] == [("b", "stopping"), ("b", "disabled")]


async def test_one_that_is_off_is_loaded_anew_as_others_are(assemble: Assemble) -> None:
    all_ = await assemble(Feature(name="low", summary="x"), disabled={"low": "off"})
    for _ in range(2):
        assert (await all_.assembly.enable("low", reload=True)).state == "running"
    await all_.assembly.disable("low")
    assert (await all_.assembly.enable("low", reload=True)).state == "running"


ENTRY = b"[pimd.features]\nodd = odd_feature:FEATURE\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"entry_points.txt": ENTRY, "METADATA": b"Name: an-odd\nVersion: 2\n"}, ("odd", "2", "an-odd")),
        ({"entry_points.txt": ENTRY}, ("odd", "?", "odd_dist")),
        ({"entry_points.txt": ENTRY, "METADATA": b"Metadata-Version: 2.1\n"}, ("odd", "?", "odd_dist")),
        ({"entry_points.txt": ENTRY, "METADATA": bytes(range(128, 256))}, ("odd", "?", "odd_dist")),
        ({"entry_points.txt": b"[other]\nodd\n= =\n"}, None),
        ({"entry_points.txt": b"[pimd.features]\nodd\n"}, "the entry points of the distribution odd_dist cannot be"),
        (
            {"entry_points.txt": b"\xff" + ENTRY},
            "the entry points of the distribution odd_dist cannot be read: Unicode",
        ),
        ({}, None),
    ],
    ids=["good", "no metadata", "no name", "binary metadata", "another's", "no entry", "binary", "nothing"],
)
def test_a_distribution_whose_files_cannot_be_read_costs_a_line(
    files: Mapping[str, bytes],
    expected: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An installation that was interrupted leaves one."""
    info = tmp_path / "odd_dist-1.0.dist-info"
    info.mkdir()
    for name, content in files.items():
        (info / name).write_bytes(content)
    before = {one.name for one in installed_candidates()}
    monkeypatch.syspath_prepend(tmp_path)
    found = [(one.name, one.version, one.origin) for one in installed_candidates() if one.name not in before]
    assert found == ([expected] if isinstance(expected, tuple) else [])
    assert (expected if isinstance(expected, str) else "") in caplog.text
    assert bool(caplog.text) == isinstance(expected, str)


@pytest.mark.parametrize("name", ["core", "enabled", "required"])
async def test_names_that_the_daemon_needs_are_refused(assemble: Assemble, name: str) -> None:
    all_ = await assemble(Feature(name, "x"))
    methods = (await all_.call("rpc.methods"))["result"]
    assert (all_.row(name).state, all_.row(name).reason) == (
        "failed",
        f"no feature can be called {name}; write: Feature(name='my_{name}', ...)",
    )
    await all_.assembly.disable(name)
    assert (await all_.call("rpc.methods"))["result"] == methods
