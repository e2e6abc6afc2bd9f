"""A sample of scripts/campaign: killed at a write or sync, a daemon loses nothing, doubles nothing and says nothing untrue."""

from pathlib import Path

import pytest

from scripts.campaign import kill_at_random
from scripts.campaign_boundaries import built, kill_at
from scripts.campaign_judge import Judge
from tests.system.daemon import Daemon


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("campaign"))


@pytest.mark.slow  # six daemons are started in each
@pytest.mark.parametrize(("victim", "number"), [("alice", 450), ("bob", 350), ("box", 100)])
def test_a_kill_at_a_boundary_costs_nobody_a_message(shim: Path, victim: str, number: int) -> None:
    verdict = kill_at(shim, victim, number)
    assert verdict.problems == ()
    assert len(verdict.restarts) == 1, "it was not killed"


@pytest.mark.slow  # ten daemons are started
def test_kills_at_random_cost_nobody_a_message() -> None:
    verdict = kill_at_random(seed=3, messages=60, kills=6)
    assert verdict.problems == ()
    assert len(verdict.restarts) == 6


class Told(Daemon):
    """Answers with pages that are given to it."""

    def __init__(self, *messages: tuple[str, str, str, str]) -> None:
        self.messages = messages

    def call(self, method: str, params: object = None) -> dict[str, object]:
        keys = ("id", "direction", "body", "status")
        return {"messages": [dict(zip(keys, one, strict=True)) for one in reversed(self.messages)], "has_more": False}


def judged(alice: Told, bob: Told, accepted: list[str]) -> list[str]:
    judge = Judge({"alice": alice, "bob": bob}, {"alice": "a", "bob": "b"})
    judge.accepted["alice"] = accepted
    judge.finish()
    judge.after_restart("alice")
    judge.after_restart("bob")
    return judge.problems


SENT = ("1", "sent", "one", "delivered")
GOT = ("1", "received", "one", "delivered")


def test_the_judge_finds_nothing_wrong_with_what_is_right() -> None:
    assert judged(Told(SENT), Told(GOT), ["one"]) == []


@pytest.mark.parametrize(
    ("alice", "bob", "accepted", "said"),
    [
        ([SENT], [], ["one"], "bob never got 'one' of alice"),
        ([SENT], [], ["one"], "'one' counts as delivered at alice, and bob does not have it"),
        ([SENT], [GOT, ("2", "received", "one", "delivered")], ["one"], "bob sees 'one' 2 times"),
        ([], [GOT], ["one"], "alice lost 'one', which was accepted"),
        ([], [GOT], [], "bob got 'one', which alice never wrote"),
        ([("1", "sent", "one", "read")], [GOT], ["one"], "'one' counts as read, and bob did not read it"),
        (
            [SENT, ("2", "sent", "two", "delivered")],
            [("2", "received", "two", "delivered"), GOT],
            ["one", "two"],
            "bob sees messages of alice in another order: ['two', 'one']",
        ),
    ],
)
def test_the_judge_finds(
    alice: list[tuple[str, str, str, str]], bob: list[tuple[str, str, str, str]], accepted: list[str], said: str
) -> None:
    assert said in judged(Told(*alice), Told(*bob), accepted)
