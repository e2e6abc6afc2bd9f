"""Where the kernel does not tell of changes it is asked; how it tells is tested in namespaces."""

import asyncio
import errno
import socket

import pytest

from pimd.net import network_watch
from pimd.net.network_watch import watch_network


async def test_without_netlink_the_addresses_are_asked_for_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "not here")

    is_known = network_watch._sources()
    answers = [is_known, is_known, (*is_known, "10.0.0.9"), (*is_known, "10.0.0.9")]
    changes: list[int] = []
    monkeypatch.setattr(network_watch, "_kernel", refuse)
    monkeypatch.setattr(network_watch, "_sources", lambda: answers.pop(0) if len(answers) > 1 else answers[0])
    monkeypatch.setattr(network_watch, "POLL_S", 0)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch_network(lambda: changes.append(len(answers))))
        while len(answers) > 1:
            await asyncio.sleep(0)
        task.cancel()
    assert changes == [1]


def test_the_names_of_the_interfaces_count() -> None:
    assert network_watch._sources()[0] == socket.if_nameindex()
