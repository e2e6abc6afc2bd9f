"""Features that are tested through whole daemons take the same fixtures."""

from tests.system.conftest import daemon, pair, pair_of_module, shared_daemon, shared_pair

__all__ = ["daemon", "pair", "pair_of_module", "shared_daemon", "shared_pair"]
