"""Limits: what they do, and that code, tests and document agree about them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from pimd import limits
from pimd.limits import Bites, Budget, Limit, Rate, RecentMap, RecentSet, TokenBucket, declare
from pimd.mesh.counters import CounterName
from scripts import limits as document

ROOT = Path(__file__).parents[1]
FOUR = Limit("four things", 4, "things", "the oldest goes")


def trees(folder: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in (ROOT / folder).rglob("*.py"):
        yield path, ast.parse(path.read_text())


def strings_given_to(function: str, folder: str) -> set[str]:
    return {
        argument.value
        for _, tree in trees(folder)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(function)
        for argument in ast.walk(call)
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


# --- what they do


def test_the_oldest_goes_and_what_is_put_or_used_is_the_newest() -> None:
    bites = Bites()
    recent: RecentMap[str, int] = RecentMap(FOUR, bites)
    assert [recent.put(key, number) for number, key in enumerate("abcd")] == [None] * 4
    recent.put("a", 9)
    assert (recent.use("b"), recent.use("x")) == (1, None)
    assert recent.put("e", 4) == ("c", 2)
    assert list(recent.items()) == [("d", 3), ("a", 9), ("b", 1), ("e", 4)]
    assert bites[FOUR] == 1


def test_a_set_of_the_recent_forgets_the_oldest() -> None:
    recent: RecentSet[str] = RecentSet(FOUR, Bites())
    for key in "abcade":
        recent.add(key)
    recent.discard("d")
    recent.discard("nobody")
    assert list(recent) == ["c", "a", "e"]


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bites, rate = Bites(), Rate("things", 30, "things", "dropped", burst=5, period_s=60)
    bucket = TokenBucket(rate, 0.0, bites)
    assert sum(bucket.take(0.0) for _ in range(8)) == 5
    assert [bucket.take(now) for now in (1.9, 2.0, 2.1, 4.0)] == [False, True, False, True]
    assert sum(bucket.take(1000.0) for _ in range(8)) == 5
    assert bites[rate] == 3 + 2 + 3


def test_a_budget_takes_nothing_beyond_what_there_is() -> None:
    bites = Bites()
    budget = Budget(FOUR, bites)
    assert [budget.take(3), budget.take(2), budget.take(1, leaving=1), budget.take(1)] == [True, False, False, True]
    assert (budget.held, bites[FOUR]) == (4, 2)
    budget.give_back(2)
    assert budget.take(2)


def test_each_daemon_counts_for_itself() -> None:
    one, other = Bites(), Bites()
    one.count(FOUR)
    assert (one.snapshot(), other.snapshot()) == ({"limit_four_things": 1}, {})


def test_a_name_is_declared_once() -> None:
    taken = next(iter(document.limits()))
    with pytest.raises(ValueError, match="already"):
        declare(taken, 1, "things", "dropped")


def test_a_module_that_is_loaded_anew_declares_its_limits_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in ("_declared", "_modules"):
        monkeypatch.setattr(limits, registry, dict(getattr(limits, registry)))
    for _ in range(2):
        names: dict[str, object] = {"__name__": "a_feature", "declare": declare}
        exec("LIMIT = declare('things of a feature', 4, 'things', '')", names)  # noqa: S102 - what an import does
        assert limits.all_limits()[-1] is names["LIMIT"]


@pytest.mark.parametrize(
    ("limit", "shown"),
    [
        (Limit("x", 1 << 20, "bytes", ""), "1 MiB"),
        (Limit("x", 3 << 19, "bytes", ""), "1536 KiB"),
        (Limit("x", 1000, "bytes", ""), "1000 bytes"),
        (Limit("x", 20_000, "ids", ""), "20 000 ids"),
        (Rate("x", 10, "lines", "", burst=100, period_s=60), "10 lines a minute, 100 at once"),
    ],
)
def test_a_limit_is_shown_with_its_unit(limit: Limit, shown: str) -> None:
    assert str(limit) == shown


# --- code, tests and document


def test_every_limit_is_reached_by_a_test_that_says_so_and_no_test_names_another() -> None:
    assert strings_given_to("pytest.mark.limit", "tests") ^ document.limits().keys() == set()


def test_the_document_has_a_row_for_each_limit_with_its_value_and_effect() -> None:
    text = document.TARGET.read_text()
    assert document.written(text, document.limits()) == text


def test_a_row_that_is_missing_is_added_and_one_without_a_limit_goes() -> None:
    table = f"# x\n{document.HEADING}\n| what | limit | beyond it |\n|---|---|---|\n| gone | 1 | x |\n\nend\n"
    assert document.written(table, {FOUR.name: FOUR}) == table.replace(
        "| gone | 1 | x |", "| four things | 4 things | the oldest goes |"
    )


def test_every_limit_makes_a_plain_name_of_a_counter() -> None:
    bites = Bites()
    for limit in document.limits().values():
        bites.count(limit)
    names = bites.snapshot()
    assert [name for name in names if not re.fullmatch(r"limit_[a-z0-9_]+", name)] == []
    assert len(names) == len(document.limits())


def test_every_counter_is_moved_somewhere() -> None:
    counted = strings_given_to(".count", "pimd")
    kept_by_links = {
        key.value
        for _, tree in trees("pimd")
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        and ast.unparse(function.returns or function) == "dict[CounterName, int]"
        for literal in ast.walk(function)
        if isinstance(literal, ast.Dict)
        for key in literal.keys
        if isinstance(key, ast.Constant)
    }
    assert set(get_args(CounterName)) - counted - kept_by_links == set()
