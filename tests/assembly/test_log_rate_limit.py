"""Nobody can make a node log without end."""

import logging

import pytest

from pimd.assembly import log_rate_limit
from pimd.assembly.log_rate_limit import LINES, LogRateLimit
from tests.limits import Lower


class Lines(logging.Handler):
    """Keeps what passes the filter."""

    def __init__(self, rate_limit: LogRateLimit) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.addFilter(rate_limit)

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


class Logged:
    """A logger with two handlers that share the filter, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rate_limit = LogRateLimit(lambda: self.now)
        self.lines, self.others = Lines(self.rate_limit), Lines(self.rate_limit)
        self.log = logging.getLogger(f"somebody.{id(self)}")
        self.log.setLevel(logging.DEBUG)
        self.log.propagate = False
        self.log.addHandler(self.lines)
        self.log.addHandler(self.others)


@pytest.fixture
def logged() -> Logged:
    return Logged()


@pytest.mark.limit("lines logged of one kind")
def test_lines_of_one_kind_are_limited_and_the_next_tells_how_many_were_left_out(logged: Logged) -> None:
    for number in [*range(LINES.burst + 50), "100 %s", "nobody"]:
        if number == "100 %s":
            assert logged.lines.texts == [f"linked with {number}" for number in range(LINES.burst)]
            logged.now = LINES.period_s / LINES.value
        logged.log.warning("linked with %s", number)
    assert logged.lines.texts[LINES.burst :] == ["linked with 100 %s (50 such lines before this one were left out)"]


def test_lines_of_another_kind_are_not_left_out(logged: Logged) -> None:
    for number in range(LINES.burst + 50):
        logged.log.info("linked with %s", number)
    logged.log.info("something else")
    assert logged.lines.texts[-1] == "something else"


def test_all_handlers_log_the_same_lines(logged: Logged) -> None:
    for number in range(LINES.burst + 50):
        logged.log.error("broken: %s", number)
    assert logged.lines.texts == logged.others.texts


def test_what_only_a_debugger_sees_is_never_left_out(logged: Logged) -> None:
    for number in range(LINES.burst + 50):
        logged.log.debug("detail %s", number)
    assert len(logged.lines.texts) == LINES.burst + 50


@pytest.mark.limit("kinds of logged lines remembered")
def test_so_many_kinds_are_remembered(logged: Logged, lower: Lower) -> None:
    lower(log_rate_limit.KINDS, 3)
    for line in range(10):
        logged.log.handle(logged.log.makeRecord(logged.log.name, logging.INFO, "made_up.py", line, "x", (), None))
    assert len(logged.rate_limit._kinds) == 3


def test_texts_and_loggers_that_are_made_up_do_not_pass_the_limit(logged: Logged) -> None:
    for number in range(LINES.burst + 50):
        child = logging.getLogger(f"{logged.log.name}.{number}")
        child.info(f"made up {number}")
    assert len(logged.lines.texts) == LINES.burst


def test_a_line_that_cannot_be_written_harms_nobody(logged: Logged) -> None:
    class Evil:
        def __str__(self) -> str:
            raise SystemExit(1)

    logged.log.info("it is %s", Evil())
    logged.log.info("%d", "no number")
    assert logged.lines.texts == [
        "a line that cannot be written (SystemExit: 1): 'it is %s'",
        "a line that cannot be written (TypeError: %d format: a real number is required, not str): '%d'",
    ]
