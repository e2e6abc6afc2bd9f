"""Which files of ours something goes through, and which ones docs/architecture.md says."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tests.system.daemon import PROJECT

NOT_COUNTED = {"ids.py", "clock.py", "limits.py", "mesh/counters.py"}
"""Names, time and counters: everything goes through them."""
MOST = 16


@contextmanager
def traced(found: set[str]) -> Iterator[None]:
    """Note the files of pimd in which a function is called meanwhile."""

    def note(frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(f"{PROJECT}/pimd/"):
            found.add(name.removeprefix(f"{PROJECT}/pimd/"))

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
    found -= NOT_COUNTED


def documented(heading: str) -> set[str]:
    """The files that a section of docs/architecture.md names."""
    text = (PROJECT / "docs" / "architecture.md").read_text()
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"`([a-z_/]+\.py)`", section))
