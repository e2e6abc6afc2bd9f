"""For the tests of features: one alone, whole daemons in memory, and the conformance kit (docs/writing-a-feature.md).

It needs pytest, which is no dependency of the daemon; nothing of the daemon imports this package.
"""

from pimd.testing.alone import STRANGER, Alone, NotRunning
from pimd.testing.conformance import conformance
from pimd.testing.mesh import DaemonMesh
from pimd.testing.recording import SentDatagram, SentPayload
from pimd.testing.virtual import virtual_time

__all__ = [
    "STRANGER",
    "Alone",
    "DaemonMesh",
    "NotRunning",
    "SentDatagram",
    "SentPayload",
    "conformance",
    "virtual_time",
]
