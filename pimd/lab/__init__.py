"""Whole daemons by the dozen in one process, under a virtual clock, replayable from a seed (docs/lab.md)."""

from pimd.lab.lab import Lab
from pimd.lab.run import run

__all__ = ["Lab", "run"]
