"""Whole daemons."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.system.daemon import Daemon

D = TypeVar("D", bound=Daemon)
MakeDaemon = Callable[..., Daemon]
Pair = tuple[Daemon, Daemon]


@contextmanager
def daemons_in(home: Path, kind: type[D]) -> Iterator[Callable[..., D]]:
    """Make daemons that are killed at the end; their logs are shown when a test fails."""
    made: list[D] = []

    def make(name: str = "alice", config: str = "", **environ: str) -> D:
        made.append(kind(home, name, config, environ))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None:
            one.kill()
        if one.log.exists():
            print(f"--- {one.name}\n{one.log.read_text()}")  # noqa: T201


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[MakeDaemon]:
    """Make daemons for one test."""
    with daemons_in(tmp_path, Daemon) as make:
        yield make


@pytest.fixture
def pair(daemon: MakeDaemon) -> Pair:
    """Alice and bob, linked; alice dials."""
    return linked(daemon)


def linked(daemon: MakeDaemon) -> Pair:
    """Start alice and bob; return when alice, who has bob in her configuration, is linked with him."""
    bob = daemon("bob").start()
    alice = daemon("alice").start()
    with alice.socket() as client:
        client.call("peers.subscribe")
        client.call("peers.add_static", {"address": f"127.0.0.1:{bob.mesh_port}"})
        client.wait_for("connected")
    return alice, bob


@pytest.fixture(scope="module")
def pair_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with daemons_in(tmp_path_factory.mktemp("shared"), Daemon) as make:
        yield linked(make)


@pytest.fixture
def shared_pair(pair_of_module: Pair) -> Pair:
    """Alice and bob for all tests of a module, linked and without messages at the beginning of each.

    For tests that neither end them nor configure them otherwise.
    """
    alice, bob = pair_of_module
    alice.call("peers.pair", {"trust": "persist", "address": f"127.0.0.1:{bob.mesh_port}"})
    for one, other in ((alice, bob), (bob, alice)):
        while not has_card(one, other.node_id):  # one that was forgotten comes back with its card, behind the link
            pass
        one.call("messages.delete_all")
    return pair_of_module


def has_card(daemon: Daemon, node_id: str) -> bool:
    answer = daemon.ask("peers.export_identity", {"node_id": node_id})
    return bool(answer.get("result", {}).get("card"))


@pytest.fixture(scope="module")
def shared_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all tests of a module, for those that leave it as it was."""
    with daemons_in(tmp_path_factory.mktemp("shared"), Daemon) as make:
        yield make().start()
