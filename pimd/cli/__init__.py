"""`pim`: talks to the daemon from a terminal."""

from pimd.cli.program import main

__all__ = ["main"]
