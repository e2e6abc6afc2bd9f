"""What a feature leaves behind when it was turned off: tasks, timers, threads, files, objects, memory."""

import asyncio
import functools
import gc
import inspect
import os
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

from pimd.contract import Feature
from pimd.events import Subscription
from pimd.testing.checks.check import Broken, check
from pimd.testing.checks.faults import Faults, stop
from pimd.testing.checks.subject import Subject
from pimd.testing.checks.work import small_work

CYCLES = 4
WARM = 1
"""First cycles, in which caches of libraries fill."""
GROWTH = 8192
"""Bytes a cycle, of those that code of the feature allocated, that count as a leak.

A connection of SQLite keeps 80 bytes for each cursor until it made 200, and that of a simulated disk stays open.
"""
LATER_S = 3600.0
"""Virtual seconds after which the daemon's own timers have let go of what they would have called."""
FILES = "/proc/self/fd"


@check(
    "`shutdown` gives back what the feature took, and nothing of it is left when it is off: no task, timer, thread, open "
    "file, subscription or plugin object, and no memory that grows from start to start",
    "use ctx.spawn and ctx.clock, close files and subscriptions in `shutdown`, keep no state in modules or classes",
)
async def leaks(subject: Subject) -> None:
    """Turn it on, let it work and turn it off, several times; compare what there is when it is off."""
    async with subject.alone() as alone:
        faults = Faults(alone)
        await small_work(alone)
        sources = sources_of(alone.feature)
        plugins: list[weakref.ref[Any]] = []
        left: list[Left] = []
        tracemalloc.start()
        try:
            for _ in range(CYCLES):
                plugins.append(weakref.ref(alone.plugin))
                await stop(alone, faults, "turning it off after work")
                left.append(Left())
                await alone.sleep(LATER_S)
                alone.forget_records()
                left[-1].weigh(sources)
                await alone.enable()
                await small_work(alone)
        finally:
            tracemalloc.stop()
        faults.refuse("working between two stops")
        _compare(left)
        gc.collect()
        if any(plugin() is not None for plugin in plugins[:-1]):
            raise Broken(f"{_holders(plugins)} still holds the plugin object of an earlier start")


class Left:
    """What exists at one moment."""

    def __init__(self) -> None:
        loop: Any = asyncio.get_running_loop()
        self.tasks = sorted(task.get_name() for task in asyncio.all_tasks())
        self.timers = sorted(_name(timer._callback) for timer in loop._scheduled if _is_foreign(timer))  # noqa: SLF001
        self.threads = sorted(thread.name for thread in threading.enumerate())
        self.files = _files()
        self.subscriptions = self.memory = 0

    def weigh(self, sources: tuple[str, ...]) -> None:
        """Count what is held when everything that is due has come."""
        gc.collect()
        self.subscriptions = sum(isinstance(one, Subscription) for one in gc.get_objects())
        traces = tracemalloc.take_snapshot().traces
        self.memory = sum(trace.size for trace in traces if trace.traceback[0].filename.startswith(sources))


def sources_of(feature: Feature) -> tuple[str, ...]:
    """Return the folders and files that hold the feature's code."""
    found: dict[str, None] = {}
    for declared in (feature.plugin, *feature.methods):
        parts = getattr(declared, "__module__", "?").split(".")
        package = ".".join(parts[:2]) if parts[0] == "pimd_features" else parts[0]
        for folder in getattr(sys.modules.get(package), "__path__", ()):
            found[f"{folder}/"] = None
    for function in feature.marked_functions() + ((feature.plugin.start,) if feature.plugin is not None else ()):
        found[inspect.unwrap(function).__code__.co_filename] = None
    return tuple(found)


def _compare(left: list[Left]) -> None:
    first, last = left[WARM - 1], left[-1]
    for what in ("tasks", "timers", "threads", "files"):
        before, after = getattr(left[0], what), getattr(last, what)
        more = list(after)
        for one in before:
            if one in more:
                more.remove(one)
        if len(after) > len(before):
            raise Broken(f"{what} were left behind: {', '.join(map(str, more[:5]))}")
    if last.subscriptions - first.subscriptions >= CYCLES - WARM:
        raise Broken("a subscription is left behind at every stop: close it, or use it in a `with` block")
    growth = sorted(after.memory - before.memory for before, after in zip(left[WARM - 1 :], left[WARM:], strict=False))
    if growth[len(growth) // 2] > GROWTH:
        raise Broken(f"memory grows by {growth[len(growth) // 2] // 1024} KiB from each start to the next")


def _files() -> list[str]:
    found = []
    for name in os.listdir(FILES) if os.path.isdir(FILES) else ():  # noqa: PTH112, PTH208 - names are all that is needed
        try:
            found.append(os.readlink(f"{FILES}/{name}"))  # noqa: PTH115 - what it points at need not exist
        except OSError:
            continue  # the listing's own
    return sorted(found)


def _is_foreign(timer: Any) -> bool:
    """Tell whether a timer that waits was set neither by the daemon nor by asyncio itself."""
    if timer.cancelled():
        return False
    top = str(getattr(_unwrapped(timer._callback), "__module__", "")).partition(".")[0]  # noqa: SLF001
    return top not in {"asyncio", "pimd"}


def _unwrapped(callback: Callable[..., Any]) -> Any:
    while isinstance(callback, functools.partial):
        callback = callback.func
    return callback


def _name(callback: Callable[..., Any]) -> str:
    return str(getattr(_unwrapped(callback), "__qualname__", callback))


def _holders(plugins: list[weakref.ref[Any]]) -> str:
    held = next(plugin() for plugin in plugins if plugin() is not None)
    kinds = {type(one).__name__ for one in gc.get_referrers(held)} - {"frame", "list_iterator"}
    return f"something ({', '.join(sorted(kinds))})"
