"""The features of this tree keep the contract."""

from pimd.testing import conformance
from pimd_features.config import FEATURE as CONFIG
from pimd_features.logs import FEATURE as LOGS
from pimd_features.messaging import FEATURE as MESSAGING
from pimd_features.peers import FEATURE as PEERS
from pimd_features.routes import FEATURE as ROUTES
from pimd_features.status import FEATURE as STATUS

test_config = conformance(CONFIG)
test_logs = conformance(LOGS)
test_messaging = conformance(MESSAGING)
test_peers = conformance(PEERS)
test_routes = conformance(ROUTES)
test_status = conformance(STATUS)
