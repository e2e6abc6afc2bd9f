"""What went wrong for users of comparable systems, each as one test of whole daemons; the reports are named beside them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cases.machine import Machine
from tests.netns.conftest import daemon_in, namespaces
from tests.netns.namespaces import Namespaces
from tests.system.conftest import daemons_in, pair_of_module, shared_pair

__all__ = ["daemon_in", "namespaces", "pair_of_module", "shared_pair"]

MakeMachine = Callable[..., Machine]
MakeMachineIn = Callable[..., Machine]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[MakeMachine]:
    """Make daemons, each with a wall clock of its own."""
    with daemons_in(tmp_path, Machine) as make:
        yield make


@pytest.fixture
def machine_in(namespaces: Namespaces, machine: MakeMachine) -> MakeMachineIn:
    """Make daemons in namespaces, each with a wall clock of its own."""

    def make(namespace: str, name: str, config: str = "", **environ: str) -> Machine:
        own = {"PIMD_TRANSPORT__LISTEN_HOST": "::", "PIMD_TRANSPORT__LISTEN_PORT": "9100"}
        made = machine(name, config, **{**own, **environ})
        made.prefix = ["ip", "netns", "exec", namespace]
        return made

    return make
