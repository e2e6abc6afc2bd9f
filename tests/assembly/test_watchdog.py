"""Whoever blocks the event loop is named, with the place."""

import logging
import threading

from pimd.assembly import watchdog
from pimd.assembly.watchdog import Watchdog
from pimd.calls import BLOCKED_S


class Heard(logging.Handler):
    """Sets an event when an error is logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard = threading.Event()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()
        self.heard.set()


async def test_a_feature_that_blocks_is_named_within_a_second() -> None:
    handler = Heard()
    logging.getLogger("pimd.watchdog").addHandler(handler)
    try:
        with Watchdog(lambda module: "culprit" if module == __name__ else None):
            handler.heard.wait(10)  # blocks the loop's thread, on purpose, until it was told on
    finally:
        logging.getLogger("pimd.watchdog").removeHandler(handler)
    assert "blocked by feature culprit" in handler.text
    assert "test_a_feature_that_blocks_is_named_within_a_second" in handler.text
    assert watchdog.BEAT_S + BLOCKED_S < 1.0


async def test_a_loop_that_beats_is_left_alone(caplog: object) -> None:
    handler = Heard()
    logging.getLogger("pimd.watchdog").addHandler(handler)
    try:
        with Watchdog(lambda _: None) as running:
            running._beat()
    finally:
        logging.getLogger("pimd.watchdog").removeHandler(handler)
    assert not handler.heard.is_set()
