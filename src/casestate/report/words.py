"""How the report says numbers, shares, lengths of time and instants."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final


if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["at_moment", "counted", "grouped", "in_month", "lasting", "on_day", "percent"]

_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_PERCENT: Final = "\N{NO-BREAK SPACE}%"
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_TWO_UNITS: Final = 10
"""From so many of a unit on, the smaller one below it says nothing."""


def grouped(count: int) -> str:
    """``12,345``."""
    return f"{count:,}"


def counted(count: int, what: str, many: str = "") -> str:
    """``1 case``, ``12,345 cases``."""
    return f"{count:,} {what if count == 1 else many or what + 's'}"


def percent(part: float, whole: float = 1) -> str:
    """``12.3 %``; never 0 or 100 for what is only close to it, a dash of nothing."""
    if not whole:
        return "—"
    percent = 100 * part / whole
    if 0 < percent < 0.05:
        return f"under 0.1{_PERCENT}"
    if 99.95 < percent < 100:
        return f"over 99.9{_PERCENT}"
    return f"{percent:.1f}".removesuffix(".0") + _PERCENT


def lasting(span: timedelta) -> str:
    """About how long, in one unit or two: ``3 days 4 hours``, ``15 days``, ``under a second``."""
    seconds = span // timedelta(seconds=1)
    for (unit, size), (smaller, part) in pairwise(_UNITS):
        if seconds >= size:
            step = part if seconds < _TWO_UNITS * size else size
            near = (seconds + step // 2) // step * step
            if near != seconds:
                return lasting(timedelta(seconds=near))  # which may be a whole one of the unit above
            whole, rest = divmod(seconds, size)
            return (
                f"{counted(whole, unit)} {counted(rest // part, smaller)}" if rest else counted(whole, unit)
            )
    return counted(seconds, "second") if seconds else "under a second"


def on_day(instant: datetime) -> str:
    """``1 March 2026``, in UTC."""
    return f"{instant.day} {_MONTHS[instant.month - 1]} {instant.year}"


def at_moment(instant: datetime) -> str:
    """``1 March 2026, 12:00:05``, in UTC."""
    return f"{on_day(instant)}, {instant.hour:02}:{instant.minute:02}:{instant.second:02}"


def in_month(text: str) -> str:
    """``2026-03`` as ``March 2026``."""
    year, _, number_ = text.partition("-")
    return f"{_MONTHS[int(number_) - 1]} {int(year)}"
