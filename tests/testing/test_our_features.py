"""The features of this tree keep the contract; the quick gate asks the one with the most methods."""

import pytest

from pimd.testing import conformance
from pimd_features.config import FEATURE as CONFIG
from pimd_features.groups import FEATURE as GROUPS
from pimd_features.logs import FEATURE as LOGS
from pimd_features.mailbox import FEATURE as MAILBOX
from pimd_features.messaging import FEATURE as MESSAGING
from pimd_features.peers import FEATURE as PEERS
from pimd_features.routes import FEATURE as ROUTES
from pimd_features.status import FEATURE as STATUS

test_config = pytest.mark.slow(conformance(CONFIG))
test_groups = pytest.mark.slow(conformance(GROUPS))
test_logs = pytest.mark.slow(conformance(LOGS))
test_mailbox = pytest.mark.slow(conformance(MAILBOX))
test_messaging = pytest.mark.slow(conformance(MESSAGING))
test_peers = conformance(PEERS)
test_routes = pytest.mark.slow(conformance(ROUTES))
test_status = pytest.mark.slow(conformance(STATUS))
