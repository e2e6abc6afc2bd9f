"""`pimd --dev`: an installed feature is loaded anew when its files change."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

from pimd.assembly.assembly import Assembly
from pimd.assembly.choice import AssemblyError, Candidate
from pimd.assembly.installed import source_files

log = logging.getLogger("pimd.features")

POLL_S = 0.5
"""Seconds between two looks at the files."""

Stamps = dict[Path, tuple[int, int]]


async def reload_changed(assembly: Assembly) -> None:
    """Look at the files of installed features until cancelled; one line of the log for each that is loaded anew."""
    seen = {name: _stamps(candidate, {}) for name, candidate in assembly.installed().items()}
    while True:
        await asyncio.sleep(POLL_S)
        for name, candidate in assembly.installed().items():
            before = seen.get(name, {})
            seen[name] = await asyncio.to_thread(_stamps, candidate, before)
            if before and seen[name] != before:
                await _reload(assembly, name)
                seen[name] = _stamps(candidate, seen[name])  # it may have imported more


async def _reload(assembly: Assembly, name: str) -> None:
    try:
        row = await assembly.enable(name, reload=True)
    except AssemblyError as error:
        log.error("feature %s changed on disk and was not loaded anew: %s", name, error)
    else:
        log.info("feature %s changed on disk and was loaded anew: %s", name, row.state)


def _stamps(candidate: Candidate, before: Mapping[Path, object]) -> Stamps:
    """Read time and size of its files, those included that it had once: a module that fails is imported no more."""
    found: Stamps = {}
    for path in {*source_files(candidate), *before}:
        with contextlib.suppress(OSError):
            status = path.stat()
            found[path] = (status.st_mtime_ns, status.st_size)
    return found
