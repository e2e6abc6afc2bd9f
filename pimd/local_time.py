"""Moments in local time, that do not run backwards when daylight saving ends."""

import datetime


def local_time(unix_s: float) -> str:
    """Return date and time to the second; with the offset from UTC in an hour that the clocks show twice.

    Raises ValueError, OverflowError or OSError for a moment that has no date.
    """
    moment = datetime.datetime.fromtimestamp(unix_s).astimezone()
    shown = moment.strftime("%Y-%m-%d %H:%M:%S")
    return f"{shown} {_offset(moment)}" if _is_ambiguous(moment) else shown


def _is_ambiguous(moment: datetime.datetime) -> bool:
    """Tell whether the same date and time of the clock names another moment, too (PEP 495)."""
    clock = moment.replace(tzinfo=None)
    first, second = (clock.replace(fold=fold).astimezone().utcoffset() for fold in (0, 1))
    return first != second


def _offset(moment: datetime.datetime) -> str:
    digits = moment.strftime("%z")
    return f"{digits[:3]}:{digits[3:5]}"
