"""Distributions that come, or change, while the daemon runs."""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import json
import site
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackagePath
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pimd.assembly.choice import AssemblyError, Candidate, installed_candidates

SUFFIXES = tuple(importlib.machinery.EXTENSION_SUFFIXES)


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


def loaded_modules(candidate: Candidate) -> list[str]:
    """Return the names of the imported modules of one distribution.

    `AssemblyError` when one is a C extension, of which a process has only one.
    """
    found = list(_modules(candidate))
    for name, file in found:
        if file.endswith(SUFFIXES):
            raise AssemblyError(f"{candidate.name} has a C extension, {name}; restart the daemon to load it anew")
    return [name for name, _ in found]


def source_files(candidate: Candidate) -> set[Path]:
    """Return the Python files that the distribution lists, and those that its modules were imported from."""
    listed = {Path(str(file.locate())) for file in _files(candidate) if file.suffix == ".py"}
    return listed | {Path(file) for _, file in _modules(candidate) if file.endswith(".py")}


def _modules(candidate: Candidate) -> Iterator[tuple[str, str]]:
    """Yield name and file of its imported modules; the file is empty where there is none."""
    packages, project = _packages(candidate), _project(candidate)
    for name, module in tuple(sys.modules.items()):
        given = getattr(module, "__file__", None)
        file = given if isinstance(given, str) else ""
        if name.split(".")[0] in packages or (project and file and Path(file).is_relative_to(project)):
            yield name, file


def drop_modules(names: Iterable[str]) -> None:
    """Forget modules, so that their next import reads the disk."""
    for name in names:
        file = getattr(sys.modules.pop(name, None), "__file__", None) or ""
        if file.endswith(".py"):
            # A compiled file is taken for fresh when time in seconds and size agree.
            with contextlib.suppress(OSError, ValueError, NotImplementedError):
                Path(importlib.util.cache_from_source(file)).unlink()
    importlib.invalidate_caches()


def _project(candidate: Candidate) -> Path | None:
    """Return the directory of an editable install, whose files its distribution does not list (PEP 610)."""
    entry = candidate.entry
    try:
        told = json.loads((entry.dist.read_text("direct_url.json") if entry and entry.dist else None) or "{}")
        if told["dir_info"]["editable"]:
            return Path(unquote(urlsplit(told["url"]).path))
    # The file is another program's.
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return None


def _files(candidate: Candidate) -> list[PackagePath]:
    """Return what the distribution lists; nothing of a list that cannot be read."""
    entry = candidate.entry
    with contextlib.suppress(Exception):  # the file is another program's, and its parser raises what its parts do
        return (entry.dist.files if entry is not None and entry.dist is not None else None) or []
    return []


def _packages(candidate: Candidate) -> set[str]:
    """Return the top-level names that the distribution brings, never those of the daemon or the standard library."""
    entry = candidate.entry
    if entry is None:
        return set()
    names = {entry.module.split(".")[0]}
    for file in _files(candidate):
        if file.name.endswith((".py", *SUFFIXES)):
            names.add(file.parts[0].split(".")[0])
    return names - {"pimd", "pimd_features", "", "__pycache__"} - set(sys.stdlib_module_names)
