"""The conformance kit: what the contract forbids, tried on one feature, each promise in a test of its own."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from pimd.contract import Feature
from pimd.faults import text_of
from pimd.lab.run import run
from pimd.lab.virtual_loop import NothingWillHappen, TimeStandsStill
from pimd.testing.alone import NotRunning
from pimd.testing.checks import CHECKS
from pimd.testing.checks.check import Broken, Check, NotMeant
from pimd.testing.checks.subject import Refused, Subject
from pimd.testing.virtual import SEED


def conformance(
    feature: Feature | Callable[[], object],
    *,
    settings: BaseModel | Mapping[str, Any] | None = None,
    beside: Sequence[Feature] = (),
    name: str | None = None,
) -> Callable[..., None]:
    """Return a test with one case for each check; assign it to a name that begins with `test_`.

    `settings` is what the feature runs with, an instance of its model or its table. `beside` are features that it requires
    and that the environment does not bring. In place of the feature a function may stand that imports it, with `name`.
    """
    subject = Subject(feature, settings, beside, name)

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
    def test_conformance(check: Check) -> None:
        try:
            found = verdict(check, subject)
        except NotMeant as why:
            pytest.skip(str(why))
        if found is not None:
            pytest.fail(found, pytrace=False)

    return test_conformance


def verdict(check: Check, subject: Subject) -> str | None:
    """Try one check; return what is wrong in words, or None. `NotMeant` when there is nothing to try."""
    try:
        if check.needs_feature:
            subject.feature()  # outside of the loop, as an import is
        run(lambda: _finished(check.run(subject)), seed=SEED)
    except Refused as error:
        if check.needs_feature:
            raise NotMeant("the feature cannot be assembled; see the check declaration") from None
        return check.explained(str(error))
    except (Broken, NotRunning, TimeStandsStill, NothingWillHappen) as error:
        return check.explained(str(error))
    except (NotMeant, KeyboardInterrupt, pytest.exit.Exception):
        raise
    # The seam: what leaves the loop in spite of all guards came from code of the feature, or is a fault of the kit.
    except BaseException as error:
        if not subject.is_to_blame(error):
            raise
        return check.explained(f"{text_of(error)} was raised outside of every call that the daemon guards")
    return None


async def _finished(trial: Any) -> None:
    await trial
    await asyncio.sleep(0)
