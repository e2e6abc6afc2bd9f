"""Following messages over the death of a daemon."""

import argparse

import pytest

from pimd.cli import inbox
from pimd.cli.connection import Connection, HttpConnection, UnixConnection
from pimd.cli.errors import NoDaemonError


def test_a_follower_waits_for_the_socket_and_takes_nothing_else_for_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "RECONNECT_S", 0)
    another_program, back = HttpConnection.__new__(HttpConnection), UnixConnection.__new__(UnixConnection)
    found = iter([another_program, None, back])

    def connect() -> Connection:
        connection = next(found)
        if connection is None:
            raise NoDaemonError("not yet")
        return connection

    assert inbox._Follower(connect, argparse.Namespace(), None)._wait() is back
