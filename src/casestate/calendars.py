"""How a length is added to an instant, and the cutoff of it.

Lengths come in three kinds. Elapsed time is counted in UTC. Calendar days and
business days are counted on the wall clock of the calendar's zone; only the
result becomes an instant again.

For all of them *a later entry is never due earlier*, to the microsecond. What
makes that true is one idea: **a wall clock that never runs back**. It shows, at
each instant, the highest local time seen so far; and a local time stands for
the first instant at which that clock shows it, or more. So a local time that
is skipped becomes the end of the gap, an entry in the second pass of a repeated
hour counts as the end of that hour, and a due time in a repeated hour is its
first pass. No rule of its own is needed for any of them.

Because `Calendar.add` is monotone, `Calendar.cutoff` needs no inverse of any
calendar: it finds the largest instant by bisection on `add`.
"""

from __future__ import annotations

from bisect import bisect
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import attrs

from casestate.clock import FIRST, LAST, from_micros, instant, to_micros
from casestate.errors import InstantError, PolicyError, Problem, shown


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["CELL", "WEEKDAYS", "Calendar", "Length", "Piece", "Seen", "Unit", "pieces", "zone"]

Unit: TypeAlias = Literal["elapsed", "calendar_days", "business_days"]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

CELL: Final = 12 * 3_600 * 1_000_000
"""The microseconds of a cell of `pieces`: shorter than any day off, so that none fits into one."""

_STEPS: Final = (3_600_000_000, 900_000_000, 60_000_000, 1_000_000, 1)
_TICK = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


def zone(name: str) -> tzinfo:
    """The time zone of an IANA name; raises `PolicyError` if there is none."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - a policy in UTC needs no time zone database

    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError) as error:
        raise PolicyError("calendar", [Problem("calendar.zone", f"no time zone {shown(name)}")]) from error


@attrs.frozen
class Length:
    """A length of time: ``amount`` seconds if ``unit`` is ``elapsed``, else that many days."""

    unit: Unit
    amount: int
    nominal: timedelta = attrs.field(
        init=False,
        repr=False,
        eq=False,
        default=attrs.Factory(
            lambda self: timedelta(**{"seconds" if self.unit == "elapsed" else "days": self.amount}),
            takes_self=True,
        ),
    )
    """The length for putting timers in order: a calendar or business day counts as 24 hours.

    Making a `Length` beyond what a `timedelta` holds raises `OverflowError`.
    """

    def __add__(self, other: Length) -> Length:
        """Both after each other; they are of one kind."""
        return Length(self.unit, self.amount + other.amount)

    def to_dict(self) -> dict[str, int]:
        """The length as a policy file writes it, in the largest units: ``{"days": 14}``."""
        if self.unit != "elapsed":
            return {self.unit: self.amount}
        minutes, seconds = divmod(self.amount, 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        parts = {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        return {unit: amount for unit, amount in parts.items() if amount} or {"seconds": 0}

    def __str__(self) -> str:
        """The length as one reads it: ``14 days``, ``1 day 4 hours``, ``5 business days``, ``0 seconds``."""
        return " ".join(
            f"{amount} {unit.replace('_', ' ').removesuffix('s' if amount == 1 else '')}"
            for unit, amount in self.to_dict().items()
        )


@attrs.frozen(slots=False)  # what is computed once lives in its dictionary
class Calendar:
    """Where and when a desk works: its zone, its weekend and its holidays.

    ``zone`` is an IANA name, ``weekend`` a tuple of `WEEKDAYS`, ``holidays`` a
    tuple of dates and of regions (``"DE-BE"``) of the ``holidays`` package. They
    matter to calendar days and business days only.
    """

    zone: str = "UTC"
    weekend: tuple[str, ...] = ("sat", "sun")
    holidays: tuple[date | str, ...] = ()

    @cached_property
    def _tz(self) -> tzinfo:
        return zone(self.zone)

    @cached_property
    def _weekend(self) -> frozenset[int]:
        return frozenset(map(WEEKDAYS.index, self.weekend))

    @cached_property
    def _dates(self) -> frozenset[date]:
        return frozenset(day for day in self.holidays if isinstance(day, date))

    @cached_property
    def _days_off(self) -> tuple[date, ...]:
        """The holidays that are no weekend, in order."""
        return tuple(sorted(day for day in self._dates if day.weekday() not in self._weekend))

    @cached_property
    def _regions(self) -> tuple[str, ...]:
        return tuple(region for region in self.holidays if isinstance(region, str))

    def add(self, start: datetime, length: Length) -> datetime | None:
        """The instant ``length`` after the instant ``start``; none beyond the year 9999.

        A stay that begins on a day off counts its business days from the start
        of the next business day.

        Raises `NaiveTimeError` or `InstantError` for a ``start`` that is none, and
        `PolicyError` for a zone that does not exist.
        """
        return self._add(instant(start, "start"), length)

    def _add(self, start: datetime, length: Length) -> datetime | None:
        try:
            if length.unit == "elapsed":
                return start + length.nominal
            wall = self._wall(start)
            if length.unit == "calendar_days":
                return self._instant(wall + length.nominal)
            return self._instant(self._after_business_days(wall, length.amount))
        except OverflowError:
            return None

    def cutoff(self, now: datetime, length: Length) -> datetime | None:
        """The latest ``start`` for which ``add(start, length) <= now``; none if there is none.

        Exact to the microsecond. Raises as `add` does. A calendar cutoff costs about forty calls of `add`.
        """
        now = instant(now, "now")
        if length.unit == "elapsed":
            try:
                return now - length.nominal
            except OverflowError:
                return None

        def is_due(start: datetime) -> bool:
            due = self._add(start, length)
            return due is not None and due <= now

        late = now  # a calendar length is a day at least: what begins now is never due now
        step = _DAY * 2
        early = now
        while not is_due(early):
            if early == FIRST:
                return None
            late = early
            early = early - step if early - FIRST > step else FIRST
            step *= 2
        ticks = (late - early) // _TICK
        low, high = 0, ticks
        while high - low > 1:
            middle = (low + high) // 2
            if is_due(early + middle * _TICK):
                low = middle
            else:
                high = middle
        return early + low * _TICK

    def instant_of(self, wall: datetime) -> datetime:
        """The first instant at which the zone's wall clock shows the naive ``wall`` or more.

        So a local time that is skipped is the end of the gap, and one that is repeated its first pass.

        Raises `InstantError` beyond the years 1 to 9999, `PolicyError` for a zone that does not exist.
        """
        try:
            # A subclass may have rules and digits of its own; and there is one answer to a time shown twice.
            return self._instant(datetime.combine(wall.date(), wall.time()).replace(fold=0))
        except OverflowError:
            raise InstantError("wall", wall) from None

    def seen(self, result: datetime, way: Iterable[datetime]) -> Seen:
        """The instants on a ``way`` for `pieces`, in the eyes of this calendar's zone."""
        instants = tuple(way)
        return Seen(to_micros(result), tuple(map(to_micros, instants)), tuple(map(self._utcoffset, instants)))

    def _utcoffset(self, at: datetime) -> timedelta | None:
        try:
            return at.astimezone(self._tz).utcoffset()
        except OverflowError:
            return None

    def instants_of(self, cells: Iterable[int]) -> Iterator[Piece]:
        """`instant_of` as `pieces`: ``first`` and ``last`` are local times, counted as if they were UTC."""

        def look(wall: datetime) -> Seen | None:
            try:
                at = self._instant(wall.replace(tzinfo=None))
            except OverflowError:
                return None
            return self.seen(at, (at,))

        return pieces(cells, look)

    def is_repeated(self, wall: datetime) -> bool | None:
        """Whether the zone's clock shows the naive ``wall`` twice; none if it skips it."""
        first, second = (wall.replace(tzinfo=self._tz, fold=fold).utcoffset() for fold in (0, 1))
        if first == second or first is None or second is None:
            return False
        return True if first > second else None

    def _wall(self, at: datetime) -> datetime:
        """The highest local time that the zone's wall clock has shown by ``at``, naive."""
        try:
            local = at.astimezone(self._tz)
        except OverflowError:
            return datetime.min if at.year == 1 else datetime.max
        if not local.fold:
            return local.replace(tzinfo=None)
        first_pass = local.replace(fold=0).astimezone(UTC)
        turn = self._offset_change(first_pass, at)
        return turn.replace(tzinfo=None) + _offset(first_pass.astimezone(self._tz))

    def _instant(self, wall: datetime) -> datetime:
        """The first instant at which the wall clock shows ``wall`` or more."""
        at = wall.replace(tzinfo=self._tz).astimezone(UTC)
        if at.astimezone(self._tz).replace(tzinfo=None) == wall:
            return at
        # A skipped time: read with the offset after the gap it lies before the gap, and the reverse.
        return self._offset_change(wall.replace(tzinfo=self._tz, fold=1).astimezone(UTC), at)

    def _offset_change(self, early: datetime, late: datetime) -> datetime:
        """The instant after ``early``, not after ``late``, from which the offset is another.

        Zones change on whole seconds.
        """
        low, high = early.replace(microsecond=0), late.replace(microsecond=0)
        before = _offset(low.astimezone(self._tz))
        while high - low > _SECOND:
            middle = low + (high - low) // _SECOND // 2 * _SECOND
            if _offset(middle.astimezone(self._tz)) == before:
                low = middle
            else:
                high = middle
        return high

    def _after_business_days(self, wall: datetime, days: int) -> datetime:
        if self._is_off(wall.date()):
            wall = datetime.combine(self._next_business_day(wall.date()), time.min)
        day = wall.date()
        if days > (date.max - day).days:
            raise OverflowError
        if not self._regions:
            day, days = self._after_weeks(day, days)
        for _ in range(days):
            day = self._next_business_day(day)
        return datetime.combine(day, wall.time())

    def _after_weeks(self, day: date, days: int) -> tuple[date, int]:
        """The day some whole weeks after ``day``, and how many of its business ``days`` are left then.

        Counted week by week a length of thousands of years takes no longer than one of days.
        """
        in_week = len(WEEKDAYS) - len(self._weekend)
        while (weeks := days // in_week - 1) > 0:
            later = day + weeks * len(WEEKDAYS) * _DAY
            days -= weeks * in_week - (bisect(self._days_off, later) - bisect(self._days_off, day))
            day = later
        return day, days

    def _next_business_day(self, day: date) -> date:
        day += _DAY
        while self._is_off(day):
            day += _DAY
        return day

    def _is_off(self, day: date) -> bool:
        if day.weekday() in self._weekend or day in self._dates:
            return True
        if not self._regions:
            return False
        from casestate.holidays import days_off  # noqa: PLC0415 - an extra, for those who name a region

        return any(day in days_off(region, day.year) for region in self._regions)


def _offset(local: datetime) -> timedelta:
    return local.replace(tzinfo=None) - local.astimezone(UTC).replace(tzinfo=None)


# --- the same for many instants at once ---------------------------------------------


class Piece(NamedTuple):
    """Where an instant from ``first`` to ``last`` leads, all in microseconds since 1970.

    It leads to ``result`` if ``slope`` is 0, to as long after ``result`` as it is after ``first`` if it is 1.
    ``cell`` is the number of the `CELL` that both are in.
    """

    cell: int
    first: int
    last: int
    result: int
    slope: int


class Seen(NamedTuple):
    """What a function makes of an instant: where it leads, all the instants on the way, and their offsets."""

    result: int
    way: tuple[int, ...]
    offsets: tuple[timedelta | None, ...]


def pieces(cells: Iterable[int], look: Callable[[datetime], Seen | None]) -> Iterator[Piece]:
    """A function of instants that is made of additions of lengths, as exact pieces, cell by cell.

    A later instant never leads to an earlier one; beyond the year 9999 it leads nowhere, and there is no
    piece. Where no part of the way crosses a change of the zone's offset, nothing jumps by less than a day:
    so if every part rises as far as the cell is long, or not at all, nothing happens in between. Other
    cells are halved until they are like that.
    """
    for cell in cells:
        first, last = max(cell * CELL, to_micros(FIRST)), min((cell + 1) * CELL - 1, to_micros(LAST))
        left = [(first, look(from_micros(first, "first")), last, look(from_micros(last, "last")))]
        found: list[Piece] = []
        while left:
            first, early, last, late = left.pop()
            if early is None and late is None:
                continue
            if early is not None and late is not None and late.result == early.result:
                _take(found, Piece(cell, first, last, early.result, 0))
            elif early is not None and late is not None and _is_straight(early, late, last - first):
                _take(found, Piece(cell, first, last, early.result, 1))
            else:
                middle = _round_middle(first, last)
                before = look(from_micros(middle - 1, "middle"))
                after = look(from_micros(middle, "middle"))
                left += [(middle, after, last, late), (first, early, middle - 1, before)]
        yield from found


def _round_middle(first: int, last: int) -> int:
    """An instant near the middle, as round as can be: clocks and days mostly change on the hour."""
    step = next(step for step in _STEPS if last - first >= 2 * step or step == 1)
    return (first + last + 1) // 2 // step * step


def _take(found: list[Piece], piece: Piece) -> None:
    """Add a piece, or make the one before it longer where it goes on as that does."""
    if found:
        before = found[-1]
        goes_on = before.result + before.slope * (piece.first - before.first) == piece.result
        if before.slope == piece.slope and goes_on and before.last + 1 == piece.first:
            found[-1] = before._replace(last=piece.last)
            return
    found.append(piece)


def _is_straight(early: Seen, late: Seen, length: int) -> bool:
    rises = {there - here for here, there in zip(early.way, late.way, strict=True)}
    return late.result - early.result == length and early.offsets == late.offsets and rises <= {0, length}
