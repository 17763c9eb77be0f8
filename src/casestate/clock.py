"""Where "now" comes from, and what counts as an instant.

The library reads no clock but the one it was given. Every instant it keeps is
an aware `datetime` in UTC; one without a time zone is refused at the door.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from casestate.errors import InstantError, NaiveTimeError, TimeOrderError, shown


__all__ = [
    "EPOCH",
    "FIRST",
    "LAST",
    "Clock",
    "ManualClock",
    "format_instant",
    "from_micros",
    "instant",
    "parse_instant",
    "to_micros",
    "utc_now",
]

FIRST: Final = datetime.min.replace(tzinfo=UTC)
"""The first instant that there is."""
LAST: Final = datetime.max.replace(tzinfo=UTC)
"""The last instant that there is."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The instant from which other systems count."""
_MICROSECOND: Final = timedelta(microseconds=1)

Clock = Callable[[], datetime]
"""Anything that returns an aware datetime when called."""


def utc_now() -> datetime:
    """The system's clock, in UTC: what a `Workflow` asks unless it is given another."""
    return datetime.now(UTC)


def instant(value: object, what: str) -> datetime:
    """Return ``value`` as a plain `datetime` in UTC.

    ``what`` names the argument or field in the error.

    Raises `NaiveTimeError` for a datetime without a time zone, `InstantError`
    for anything else that is no instant of the years 1 to 9999.
    """
    if type(value) is datetime and value.tzinfo is UTC and not value.fold:
        return value
    if not isinstance(value, datetime):
        raise InstantError(what, value)
    try:
        naive = value.utcoffset() is None
        utc = value if naive else value.astimezone(UTC)
        # A subclass (a pandas Timestamp, a frozen clock's datetime) may compare by rules of its own,
        # and no hour is repeated in UTC.
        plain = datetime.combine(utc.date(), utc.time(), UTC).replace(fold=0)
    except Exception:  # noqa: BLE001 - a tzinfo, and what calls itself a datetime, is anybody's code
        raise InstantError(what, value) from None
    if naive:
        raise NaiveTimeError(what, value)
    return plain


def parse_instant(text: object, what: str) -> datetime:
    """Read an instant: ISO 8601 text with an offset or ``Z``, or an aware `datetime`.

    Digits beyond the microsecond are cut off. Raises as `instant` does.
    """
    if not isinstance(text, str):
        return instant(text, what)
    try:
        value = datetime.fromisoformat(text.upper())  # RFC 3339 allows a small t and z
    except ValueError:
        raise InstantError(what, text) from None
    return instant(value, what)


def format_instant(value: datetime) -> str:
    """Write an instant in UTC as ISO 8601 with a ``Z``, microseconds only if there are any."""
    return value.isoformat().replace("+00:00", "Z")


def to_micros(value: datetime) -> int:
    """An instant as microseconds since 1970."""
    return (value - EPOCH) // _MICROSECOND


def from_micros(number: int, what: str) -> datetime:
    """The instant that is so many microseconds after 1970 began; ``what`` names the field.

    Raises `InstantError` beyond the years 1 to 9999.
    """
    try:
        return EPOCH + number * _MICROSECOND
    except OverflowError:
        raise InstantError(what, number) from None


class ManualClock:
    """A clock that stands still until it is moved, and moves only forward: for tests and replays.

    >>> clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    >>> clock.advance(days=7)
    datetime.datetime(2026, 3, 8, 0, 0, tzinfo=datetime.timezone.utc)

    Raises `NaiveTimeError` or `InstantError` if ``start`` is no instant.
    """

    __slots__ = ("_now",)

    def __init__(self, start: datetime) -> None:
        self._now = instant(start, "start")

    def __call__(self) -> datetime:
        """The instant at which the clock stands."""
        return self._now

    def __repr__(self) -> str:
        return f"ManualClock({self._now!r})"

    def advance(self, delta: timedelta = timedelta(0), **units: float) -> datetime:
        """Move the clock on by a `timedelta`, or by its keywords (``days=7``); return the new now.

        Raises `TimeOrderError` if that goes back, `InstantError` beyond the year 9999
        and for what is no length.
        """
        try:
            later = self._now + delta + timedelta(**units)
        except (OverflowError, TypeError, ValueError):
            added = shown(units or delta) if units or not isinstance(delta, timedelta) else delta
            raise InstantError("ManualClock.advance", f"{self._now} + {added}") from None
        return self.set(later)

    def set(self, now: datetime) -> datetime:
        """Put the clock at ``now``, an aware datetime not before the present one; return it.

        Raises `TimeOrderError`, `NaiveTimeError` or `InstantError`.
        """
        later = instant(now, "ManualClock")
        if later < self._now:
            raise TimeOrderError("ManualClock", later, self._now)
        self._now = later
        return later
