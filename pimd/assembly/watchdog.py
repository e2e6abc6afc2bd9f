"""Logs which code blocks the event loop; in-process code that does not yield cannot be stopped."""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Self

from pimd.calls import BLOCKED_S, running

log = logging.getLogger("pimd.watchdog")

BEAT_S = 0.2


class Watchdog:
    """A thread that checks the event loop's heartbeat; use as a context manager inside the running loop."""

    def __init__(self, feature_of_module: Callable[[str], str | None]) -> None:
        self._feature_of_module = feature_of_module
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._beat_at = 0.0
        self._watched = 0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._watched = threading.get_ident()
        self._beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._stop.set()
        self._thread.join()
        running.no_longer_watched()

    def _beat(self) -> None:
        self._beat_at = time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(BEAT_S, self._beat)

    def _watch(self) -> None:
        told = 0.0
        while not self._stop.wait(BEAT_S):
            beat_at = self._beat_at
            if running.look() and time.monotonic() - beat_at > BLOCKED_S and told != beat_at:
                told = beat_at
                self._tell(beat_at)

    def _tell(self, beat_at: float) -> None:
        owner, blocker = running.owner, running.blocker
        if blocker is not None and blocker[1] >= beat_at:
            owner = blocker[0]  # its step kept this thread from running, and is over
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001 - the documented way to see another thread's stack
        if frame is None:
            return
        who = owner or self._culprit(frame)
        stack = " <- ".join(
            f"{entry.name} ({entry.filename}:{entry.lineno})"
            for entry in reversed(traceback.extract_stack(frame)[-12:])
        )
        log.error("the event loop is blocked by %s: %s", who, stack)

    def _culprit(self, frame: FrameType | None) -> str:
        while frame is not None:
            feature = self._feature_of_module(frame.f_globals.get("__name__", ""))
            if feature is not None:
                return f"feature {feature}"
            frame = frame.f_back
        return "the daemon itself"
