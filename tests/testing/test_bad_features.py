"""The kit fails every bad feature that the contract forbids, by the check that is meant for it."""

from collections.abc import Mapping

import pytest

from pimd.contract import DaemonPlugin, Feature
from pimd.testing.checks import CHECKS
from pimd.testing.checks import subject as kit_subject
from pimd.testing.checks.check import NotMeant
from pimd.testing.checks.subject import Subject
from pimd.testing.conformance import verdict
from tests.assembly.bad_at_work import BAD, METHODS, PAYLOADS, TASKS
from tests.assembly.bad_features import DECLARATIONS, IMPORTS, PARTS, STARTS, Bad
from tests.assembly.bad_tricks import TRICKS

GOOD = Feature(
    "good",
    "Is there first.",
    ("good",),
    type("Good", (DaemonPlugin,), {"name": "good", "payload_kinds": ("good.x",)}),
)
BY_NAME = {check.name: check for check in CHECKS}
ALLOWED: Mapping[str, str] = {
    "wrong key in its table": "the table is the user's, and the declaration is right",
    "task that ignores its handle": "it is cancelled before its first step, so nothing of it ever runs",
    "namespace that cannot be hashed": "it is read once, as plain text",
    "flag that leaves": "it is read once, as a plain flag",
    "plugin that cannot be compared": "nobody has to compare it",
    "method that cancels its task at the end": "the call is answered, and nothing else is touched",
}
"""Bad features that the contract does not forbid, and why."""
UNTRIED: Mapping[str, str] = {
    "feature that changes later": "it spoils the very object that the kit reads; a daemon has a copy",
}
SPECIAL: Mapping[str, str] = {
    "metaclass that leaves when it is called": "lifecycle",
    "class that makes something else": "lifecycle",
    "kinds that cannot be hashed": "payloads",
    "requirement that cannot be hashed": "lifecycle",
    "feature that lies later": "stopping",
    "model that is described once": "lifecycle",
    "plugin whose functions cannot be had": "payloads",
    "error whose text leaves": "methods",
    "service that answers something else": "services",
    "nodes that are none": "services",
    "nodes that hold something else": "services",
    "settings that leave": "settings",
    "settings that fail without a text": "settings",
    "payload that keeps and cancels its task": "methods",
    "task that swallows its cancellation": "stopping",
    "periodic function that ignores its end": "stopping",
    "timer after the stop": "methods",
    "filter that raises": "streams",
    "memory that leaves": "streams",
    "publishes what it did not declare": "methods",
    "receiver that leaves": "datagrams",
    "receiver that is async": "datagrams",
    "service that is not there": "services",
    "use of a core service with other types": "methods",
    "counts what is no limit": "methods",
    "service that is not async": "services",
    "service that counts without end": "services",
    "service that leaves": "services",
    "service that swallows": "services",
    "line that cannot be written": "methods",
}


def meant_for(bad: Bad) -> str:
    """The check that is to fail."""
    if bad.what in SPECIAL:
        return SPECIAL[bad.what]
    if bad in IMPORTS or bad in DECLARATIONS or bad in TRICKS:
        return "declaration"
    if bad in STARTS or bad.what.startswith("shutdown"):
        return "lifecycle"
    if bad in PAYLOADS:
        return "payloads"
    if bad.what.startswith("forgetting"):
        return "forgetting"
    assert bad in TASKS or bad in METHODS, bad.what
    return "methods"


WORDS: Mapping[str, str] = {
    "kinds that cannot be hashed": "SystemExit: 4 was raised outside of every call",
    "requirement that cannot be hashed": "SystemExit: 4 was raised outside of every call",
    "feature that lies later": "SystemExit: 3 was raised outside of every call",
    "model that is described once": "it cannot be constructed: SystemExit: 3",
    "start that hangs": "it did not return within 30 s",
    "start that swallows its cancellation": "it did not return within 30 s",
    "import that hangs": "its import did not end within",
    "settings whose default hangs": "its import did not end within",
    "import calls sys.exit": "it cannot be imported: SystemExit: 3; repair or uninstall",
    "method that hangs": "did not answer within 0.05 s",
    "periodic function that ignores its end": "its timer stubborn (bad_feature.py:",
    "timer after the stop": "Evil: (its text",
}
"""Where the daemon says less at the time that the other test looks."""


def words_of(bad: Bad) -> str:
    """What the message tells of the fault."""
    return WORDS.get(bad.what) or bad.line or bad.reason


FORBIDDEN = [bad for bad in BAD if bad.what not in (*ALLOWED, *UNTRIED)]


def subject_of(bad: Bad) -> Subject:
    return Subject(bad.load, beside=[GOOD], name="bad")


def one_a_check(bad: list[Bad]) -> list[object]:
    """Leave all but the first that a check is meant for to the slow tests."""
    first = {meant_for(one): one for one in reversed(bad)}
    return [
        pytest.param(one, id=one.what, marks=[pytest.mark.slow] * (first[meant_for(one)] is not one)) for one in bad
    ]


@pytest.mark.parametrize("bad", one_a_check(FORBIDDEN))
def test_it_fails_its_check(bad: Bad, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit_subject, "IMPORT_S", 0.2 if "hangs" in bad.what else 30)
    check = BY_NAME[meant_for(bad)]
    said = verdict(check, subject_of(bad))
    assert said is not None
    assert said.startswith(f"{check.name}: ")
    assert check.forbids in said
    assert "what to do: " in said
    assert words_of(bad)
    assert words_of(bad) in said


@pytest.mark.slow  # each goes through every check
@pytest.mark.parametrize("bad", [bad for bad in BAD if bad.what in ALLOWED], ids=lambda bad: bad.what)
def test_what_is_allowed_passes_every_check(bad: Bad) -> None:
    assert_passes(subject_of(bad))


@pytest.mark.slow
def test_a_good_one_passes_every_check() -> None:
    assert_passes(subject_of(Bad("good after all", {})))


def test_all_that_is_allowed_is_among_the_bad() -> None:
    assert ALLOWED.keys() | SPECIAL.keys() <= {bad.what for bad in BAD}
    assert PARTS


def assert_passes(subject: Subject) -> None:
    for check in CHECKS:
        try:
            assert verdict(check, subject) is None
        except NotMeant:
            continue
