"""Adding and removing of configured peers, also when who asked is gone, or the file was changed by hand."""

# ruff: noqa: ASYNC240 - a test may block its own loop for a look at a file

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from pimd.addresses import Endpoint
from pimd.contract import CONFIG, KEYSTORE, MESH, ConfigSaveRejected, DialInfo, PeerEntry, PeerNotFound
from pimd.ids import NodeId
from pimd.settings import load
from pimd.store.config_file import ConfigFile
from pimd_features.peers.linking import add_static, remove
from pimd_features.peers.models import AddStaticParams, RemoveParams

TEXT = '[node]\nname = "x"\n'


class Dials:
    """Stands for the mesh: what is dialled, and nothing else."""

    def __init__(self) -> None:
        self.entries: dict[str, bool] = {}

    def dials(self) -> list[DialInfo]:
        return [
            DialInfo(PeerEntry(Endpoint.parse(address)), None, "waiting", kept, None)
            for address, kept in self.entries.items()
        ]

    def keep_dialling(self, entry: PeerEntry, *, configured: bool) -> None:
        self.entries[entry.endpoint.text] = configured

    def stop_dialling(self, endpoint: Endpoint) -> bool:
        return self.entries.pop(endpoint.text, None) is not None


class Pins:
    """Stands for the keystore: nobody was met yet."""

    def pinned(self, endpoint: Endpoint) -> NodeId | None:
        del endpoint
        return None

    async def unpin(self, *, endpoint: Endpoint) -> None:
        del endpoint


class Context:
    """What the two methods reach."""

    def __init__(self, path: Path) -> None:
        path.write_text(TEXT)
        self.mesh = Dials()
        config = ConfigFile(path, path, load(TEXT, path, {}).settings, "x", {})
        self.services: dict[Any, Any] = {CONFIG: config, MESH: self.mesh, KEYSTORE: Pins()}

    async def add(self, address: str) -> None:
        await add_static(self, AddStaticParams(address=address))  # type: ignore[arg-type]

    async def remove(self, entry_id: str) -> None:
        await remove(self, RemoveParams(config_entry_id=entry_id))  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pim.toml"


async def test_what_is_written_is_dialled_also_when_who_asked_is_gone(path: Path) -> None:
    context = Context(path)
    path.unlink()
    os.mkfifo(path)
    async with asyncio.TaskGroup() as clients:
        gone = clients.create_task(context.add("a:1"))
        with await asyncio.to_thread(path.open, "w") as file:  # open once the edit reads it
            gone.cancel()
            await asyncio.wait([gone])
            whole = path.with_name("whole")
            whole.write_text(TEXT)
            whole.replace(path)
            file.write(TEXT)
        clients.create_task(context.services[CONFIG].remove_peer(Endpoint.tcp("none", 1)))  # comes after the edit
    assert 'address = "a:1"' in path.read_text()
    assert context.mesh.entries == {"a:1": True}


@pytest.mark.parametrize("before", [{}, {"a:1": False}])
async def test_what_cannot_be_written_is_dialled_as_before(path: Path, before: dict[str, bool]) -> None:
    context = Context(path)
    context.mesh.entries = dict(before)
    path.write_text("not TOML")
    with pytest.raises(ConfigSaveRejected):
        await context.add("a:1")
    assert context.mesh.entries == before


async def test_a_peer_written_by_hand_can_be_added_and_removed(path: Path) -> None:
    context = Context(path)
    path.write_text(TEXT + '\n[[peers]]\nmechanism = "tcp"\naddress = "a:1"\n')
    await context.add("a:1")
    assert context.mesh.entries == {"a:1": True}
    context.mesh.entries.clear()
    await context.remove("tcp:a:1")
    assert path.read_text() == TEXT + "\n"
    with pytest.raises(PeerNotFound):
        await context.remove("tcp:a:1")
