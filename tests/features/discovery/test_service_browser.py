"""What the look-out holds of instances that did not say everything."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from pimd.addresses import Endpoint
from pimd.clock import ManualClock
from pimd.contract import CancellationToken
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd_features.discovery.announcement import Announcements
from pimd_features.discovery.service_browser import QUESTIONS, ServiceBrowser
from pimd_features.discovery.sightings import Sightings


@pytest.mark.limit("instances waiting to be asked for what they did not say")
def test_only_so_many_instances_wait_to_be_asked() -> None:
    clock = ManualClock()
    ctx: Any = SimpleNamespace(clock=clock, log=logging.getLogger("test"), cancel=CancellationToken(), bites=Bites())
    mesh: Any = SimpleNamespace(listen_endpoints=[Endpoint.tcp("::", 9100)])
    announcements = Announcements(NodeId(bytes(16)), lambda _: None, clock.unix_ms)
    browser = ServiceBrowser(ctx, mesh, announcements, Sightings(clock.now, ctx.bites))
    for number in range(QUESTIONS.value + 100):
        browser.appeared(f"{number}._pim._tcp.local.")
    assert browser._questions.qsize() == QUESTIONS.value
