"""What scripts/check leaves out is what .ci/run runs after it."""

import itertools
import re

from tests.system.daemon import PROJECT


def chosen(script: str) -> str:
    """The expression of markers that a script hands to pytest."""
    found = re.search(r'-m "(.+?)"', (PROJECT / script).read_text())
    assert found is not None
    return found[1]


def test_every_test_is_in_the_gate_or_in_the_run_after_it_and_none_in_both() -> None:
    gate, rest = chosen("scripts/check"), chosen(".ci/run")
    for slow, system in itertools.product((False, True), repeat=2):
        markers = {"slow": slow, "system": system}
        assert eval(gate, {}, markers) != eval(rest, {}, markers), markers  # noqa: S307
