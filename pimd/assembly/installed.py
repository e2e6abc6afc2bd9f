"""Distributions that come, or change, while the daemon runs."""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import site
import sys
from collections.abc import Iterator
from pathlib import Path

from pimd.assembly.choice import AssemblyError, Candidate, installed_candidates


class InstalledMeanwhile:
    """Finds features of distributions that were installed after the start, editable ones included."""

    def __init__(self) -> None:
        self._read = set(_path_files())

    def find(self, name: str) -> Candidate | None:
        """Return the feature of that name as it is on disk now, or None."""
        for path in _path_files():
            if path not in self._read:  # an editable install: its code is found through this file
                self._read.add(path)
                site.addpackage(str(path.parent), path.name, set())
        importlib.invalidate_caches()
        return next((one for one in installed_candidates() if one.name == name), None)


def _path_files() -> Iterator[Path]:
    for folder in sys.path:
        if folder.endswith(("site-packages", "dist-packages")):
            with contextlib.suppress(OSError):
                yield from sorted(Path(folder).glob("*.pth"))


def drop_modules(candidate: Candidate) -> None:
    """Forget the modules of one distribution, so that its next import reads the disk.

    `AssemblyError` when one is a C extension, of which a process has only one.
    """
    names = [name for name in sys.modules if name.split(".")[0] in _packages(candidate)]
    for name in names:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
            raise AssemblyError(f"{candidate.name} has a C extension, {name}; restart the daemon to load it anew")
    for name in names:
        file = getattr(sys.modules.pop(name), "__file__", None) or ""
        if file.endswith(".py"):
            # A compiled file is taken for fresh when time in seconds and size agree.
            with contextlib.suppress(OSError, ValueError, NotImplementedError):
                Path(importlib.util.cache_from_source(file)).unlink()
    importlib.invalidate_caches()


def _packages(candidate: Candidate) -> set[str]:
    """Return the top-level names that the distribution brings, never those of the daemon or the standard library."""
    entry = candidate.entry
    if entry is None:
        return set()
    names = {entry.module.split(".")[0]}
    files = (entry.dist.files if entry.dist is not None else None) or []
    for file in files:
        if file.suffix == ".py":
            names.add(file.parts[0] if len(file.parts) > 1 else file.stem)
    return names - {"pimd", "pimd_features", "..", "__pycache__"} - set(sys.stdlib_module_names)
