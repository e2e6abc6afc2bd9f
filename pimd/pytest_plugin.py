"""The pytest plugin that comes with the daemon; its fixtures import the daemon when a test first asks for one.

Nothing of the daemon imports it: pytest finds it by its entry point, and is no dependency.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pimd.testing import Alone, DaemonMesh


@pytest.fixture
def pimd_plugin() -> "Callable[..., Alone]":
    """Run one feature in a daemon of its own, as `pimd.testing.Alone`.

    `async with pimd_plugin(FEATURE) as alone:`
    """
    from pimd.testing import Alone  # noqa: PLC0415 - other tests need not import a daemon

    return Alone


@pytest.fixture
def pimd_mesh() -> "Callable[..., DaemonMesh]":
    """Run whole daemons in memory, as `pimd.testing.DaemonMesh`.

    `async with pimd_mesh([FEATURE], nodes=2) as mesh:`
    """
    from pimd.testing import DaemonMesh  # noqa: PLC0415 - as above

    return DaemonMesh
