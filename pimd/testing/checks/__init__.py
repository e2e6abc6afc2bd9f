"""All checks of the conformance kit, in the order in which they are tried."""

from collections.abc import Sequence

from pimd.testing.checks.blocking import blocking
from pimd.testing.checks.check import Check
from pimd.testing.checks.leaks import leaks
from pimd.testing.checks.life import declaration, failed_start, forgetting, lifecycle, services, settings, stopping
from pimd.testing.checks.rpc import methods, streams
from pimd.testing.checks.traffic import datagrams, payloads

CHECKS: Sequence[Check] = (
    declaration,
    settings,
    lifecycle,
    failed_start,
    payloads,
    datagrams,
    methods,
    streams,
    forgetting,
    services,
    stopping,
    blocking,
    leaks,
)
