"""Waits for a daemon that is gone."""

import time
from collections.abc import Callable

from pimd.cli.connection import Connection, UnixConnection
from pimd.cli.errors import NoDaemonError

Connect = Callable[[], Connection]


def wait_for_socket(connect: Connect, pause_s: float) -> UnixConnection:
    """Try until the daemon's Unix socket answers; another program may answer at the port of the dead daemon."""
    while True:
        time.sleep(pause_s)
        try:
            connection = connect()
        except NoDaemonError:
            continue
        if isinstance(connection, UnixConnection):
            return connection
        connection.close()
