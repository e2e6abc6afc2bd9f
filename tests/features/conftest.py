"""Features that are tested through whole daemons take the same fixtures."""

from tests.system.conftest import daemon, pair

__all__ = ["daemon", "pair"]
