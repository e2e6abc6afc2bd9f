"""Tests of the client beside a whole daemon."""

from tests.system.conftest import shared_daemon

__all__ = ["shared_daemon"]
