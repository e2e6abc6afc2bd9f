"""Whole daemons by the dozen in one process, under a virtual clock, replayable from a seed (docs/lab.md)."""

from pimd.lab.daemon import DaemonDied, LabDaemon
from pimd.lab.judge import Judge
from pimd.lab.lab import Lab, NotInTime
from pimd.lab.run import run

__all__ = ["DaemonDied", "Judge", "Lab", "LabDaemon", "NotInTime", "run"]
