"""Daemons that meet over real networks of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.netns.namespaces import NamespaceDaemon, Namespaces, missing

MakeDaemonIn = Callable[..., NamespaceDaemon]
MISSING = missing()


@pytest.fixture
def namespaces() -> Iterator[Namespaces]:
    if MISSING is not None:
        pytest.skip(MISSING)
    with Namespaces() as made:
        yield made


@pytest.fixture
def daemon_in(namespaces: Namespaces, tmp_path: Path) -> Iterator[MakeDaemonIn]:
    """Make daemons in namespaces, killed at the end; their logs are shown when a test fails."""
    made: list[NamespaceDaemon] = []

    def make(namespace: str, name: str = "alice", config: str = "", **environ: str) -> NamespaceDaemon:
        made.append(NamespaceDaemon(tmp_path, name, namespace, config, environ))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None:
            one.kill()
        if one.log.exists():
            print(f"--- {one.name}\n{one.log.read_text()}")  # noqa: T201
