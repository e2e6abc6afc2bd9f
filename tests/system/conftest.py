"""Whole daemons."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.daemon import Daemon

MakeDaemon = Callable[..., Daemon]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[MakeDaemon]:
    """Make daemons that are killed at the end; their logs are shown when a test fails."""
    made: list[Daemon] = []

    def make(name: str = "alice", config: str = "", **environ: str) -> Daemon:
        made.append(Daemon(tmp_path, name, config, environ))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None:
            one.kill()
        if one.log.exists():
            print(f"--- {one.name}\n{one.log.read_text()}")  # noqa: T201


@pytest.fixture
def pair(daemon: MakeDaemon) -> tuple[Daemon, Daemon]:
    """Alice and bob, linked; alice dials."""
    bob = daemon("bob").start()
    alice = daemon("alice").start()
    with alice.socket() as client:
        client.call("peers.subscribe")
        client.call("peers.add_static", {"address": f"127.0.0.1:{bob.mesh_port}"})
        client.wait_for("connected")
    return alice, bob
