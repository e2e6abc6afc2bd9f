"""What the look-out holds of instances that did not say everything."""

import logging
from types import SimpleNamespace
from typing import Any

from pimd.addresses import Endpoint
from pimd.clock import ManualClock
from pimd.contract import CancellationToken
from pimd.ids import NodeId
from pimd_features.discovery.announcement import Announcements
from pimd_features.discovery.service_browser import QUESTION_LIMIT, ServiceBrowser
from pimd_features.discovery.sightings import Sightings


def test_only_so_many_instances_wait_to_be_asked() -> None:
    clock = ManualClock()
    ctx: Any = SimpleNamespace(clock=clock, log=logging.getLogger("test"), cancel=CancellationToken())
    mesh: Any = SimpleNamespace(listen_endpoints=[Endpoint.tcp("::", 9100)])
    announcements = Announcements(NodeId(bytes(16)), lambda _: None, clock.unix_ms)
    browser = ServiceBrowser(ctx, mesh, announcements, Sightings(clock.now))
    for number in range(QUESTION_LIMIT + 100):
        browser.appeared(f"{number}._pim._tcp.local.")
    assert browser._questions.qsize() == QUESTION_LIMIT
