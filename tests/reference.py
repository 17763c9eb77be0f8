"""An evaluator that is naive on purpose, to compare the library's with. It shares nothing with it.

It reads a policy's mapping, finds the turns of a zone's clock by looking at it hour by hour and
then second by second, counts business days one by one, and learns when something comes due by
asking again and again as time goes by. It is slow, and meant to be read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import holidays


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
STEPS = (
    timedelta(days=1),
    timedelta(hours=1),
    timedelta(minutes=1),
    timedelta(seconds=1),
    timedelta(milliseconds=1),
    timedelta(microseconds=1),
)


# --- the clock on the wall ---------------------------------------------------


def shows(zone: str, at: datetime) -> datetime:
    """What an ordinary clock on the wall shows, which runs back in autumn."""
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def ahead(zone: str, at: datetime) -> timedelta:
    """How far that clock is ahead of UTC."""
    return shows(zone, at) - at.replace(tzinfo=None)


@cache
def turns(zone: str, year: int) -> tuple[datetime, ...]:
    """The instants of a year from which the clock is ahead by another amount."""
    found = []
    hour = datetime(year, 1, 1, tzinfo=UTC) - timedelta(hours=1)
    while hour.year <= year:
        following = hour + timedelta(hours=1)
        if ahead(zone, hour) != ahead(zone, following):
            second = hour
            while ahead(zone, second) == ahead(zone, hour):
                second += timedelta(seconds=1)
            found.append(second)
        hour = following
    return tuple(found)


def stretches(zone: str, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The time from ``start`` to ``end``, cut where the clock is turned."""
    cuts = [turn for year in range(start.year, end.year + 1) for turn in turns(zone, year)]
    marks = [start, *(turn for turn in cuts if start < turn < end), end]
    return list(pairwise(marks))


def highest_shown(zone: str, at: datetime) -> datetime:
    """The highest time that the clock has shown, or was about to show when it was turned back."""
    before = stretches(zone, at - timedelta(days=2), at)
    return max(shows(zone, at), *(shows(zone, begin) + (end - begin) for begin, end in before))


def first_shown(zone: str, wall: datetime) -> datetime:
    """The first instant at which the clock shows ``wall``, or more."""
    about = wall.replace(tzinfo=UTC)
    for begin, end in stretches(zone, about - timedelta(days=2), about + timedelta(days=2)):
        if shows(zone, begin) >= wall:
            return begin
        if shows(zone, begin) + (end - begin) > wall:
            return begin + (wall - shows(zone, begin))
    raise AssertionError(wall)


# --- lengths -----------------------------------------------------------------


@cache
def public_holidays(region: str, year: int) -> frozenset[date]:
    country, _, subdivision = region.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year))


def is_off(calendar: Mapping[str, Any], day: date) -> bool:
    if WEEK[day.weekday()] in calendar["weekend"]:
        return True
    return any(
        entry == day.isoformat() or (entry[0].isalpha() and day in public_holidays(entry, day.year))
        for entry in calendar["holidays"]
    )


def add(calendar: Mapping[str, Any], start: datetime, length: Mapping[str, int]) -> datetime:
    """The instant ``length`` after ``start``."""
    if "calendar_days" in length:
        wall = highest_shown(calendar["zone"], start) + timedelta(days=length["calendar_days"])
        return first_shown(calendar["zone"], wall)
    if "business_days" in length:
        wall = highest_shown(calendar["zone"], start)
        while is_off(calendar, wall.date()):
            wall = datetime.combine(wall.date() + timedelta(days=1), time())
        for _ in range(length["business_days"]):
            wall += timedelta(days=1)
            while is_off(calendar, wall.date()):
                wall += timedelta(days=1)
        return first_shown(calendar["zone"], wall)
    return start + timedelta(seconds=sum(SECONDS[unit] * number for unit, number in length.items()))


# --- cases -------------------------------------------------------------------


@dataclass(frozen=True)
class Stay:
    """As much of a case as its timers need."""

    state: str
    entered_at: datetime
    settled: str | None = None
    settled_at: datetime | None = None


@dataclass(frozen=True)
class Due:
    """What is due for a case."""

    timer: str
    at: datetime
    skipped: tuple[str, ...]
    to: str | None


class Reference:
    """The timers of a policy, given as the mapping of its file."""

    def __init__(self, policy: Mapping[str, Any]) -> None:
        self.calendar = policy["calendar"]
        self.statuses = policy["statuses"]
        self.states = [
            f"{status}.{sub}" if sub else status
            for status, table in self.statuses.items()
            for sub in table.get("sub_statuses", {"": {}})
        ]
        self.timers = {state: self._of(state, policy["timers"]) for state in self.states}
        self._sums: dict[tuple[datetime, tuple[tuple[str, int], ...]], datetime] = {}

    def _of(self, state: str, timers: Mapping[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for name, timer in timers.items():
            if not any(self._meant(state, pattern) for pattern in timer["in"]):
                continue
            repeat = timer.get("repeat", {"times": 1, "every": {}})
            for number in range(repeat["times"]):
                after = dict(timer["after"])
                for unit, amount in repeat["every"].items():
                    after[unit] = after.get(unit, 0) + amount * number
                notice = timer.get("notice") if number or "repeat" not in timer else None
                name_of_it = f"{name}#{number + 1}" if number else name
                found.append({"name": name_of_it, "after": after, "notice": notice, "to": timer.get("to")})
        found.sort(key=lambda timer: sum(SECONDS.get(unit, 86_400) * n for unit, n in timer["after"].items()))
        return found

    def _meant(self, state: str, pattern: str) -> bool:
        status = state.split(".", maxsplit=1)[0]
        if pattern == "*open":
            return not self.statuses[status].get("closed", False)
        return pattern in {"*", state, status}

    def add(self, start: datetime, length: Mapping[str, int]) -> datetime:
        key = (start, tuple(length.items()))
        if key not in self._sums:
            self._sums[key] = add(self.calendar, start, length)
        return self._sums[key]

    def due(self, stay: Stay, now: datetime) -> Due | None:
        """What a sweep at ``now`` has to find."""
        timers = self.timers[stay.state]
        names = [timer["name"] for timer in timers]
        position = names.index(stay.settled) + 1 if stay.settled is not None else 0
        found = None
        earliest = stay.entered_at
        for timer in timers[:position]:
            earliest = max(earliest, self.add(stay.entered_at, timer["after"]))
        for number, timer in enumerate(timers[position:]):
            if timer["notice"] is not None and number > 0:
                break
            if timer["notice"] is not None and stay.settled_at is not None:
                earliest = max(earliest, self.add(stay.settled_at, timer["notice"]))
            earliest = max(earliest, self.add(stay.entered_at, timer["after"]))
            if earliest <= now:
                skipped = tuple(names[position : position + number])
                found = Due(timer["name"], earliest, skipped, timer["to"])
        return found

    def after(self, stay: Stay, due: Due, now: datetime) -> Stay:
        """The case when that has been settled at ``now``."""
        if due.to is not None:
            return Stay(due.to, now)
        return replace(stay, settled=due.timer, settled_at=now)

    def first_due(self, stay: Stay, now: datetime, until: datetime) -> datetime | None:
        """The first instant from ``now`` on at which something is due: by steps, ever shorter ones."""
        if self.due(stay, now) is not None:
            return now
        if self.due(stay, until) is None:
            return None
        for step in STEPS:
            while self.due(stay, now + step) is None:
                now += step
        return now + STEPS[-1]

    def future(self, stay: Stay, now: datetime, until: datetime) -> Iterator[tuple[datetime, Due]]:
        """What happens from ``now`` to ``until`` if everything is settled at once and nobody else acts."""
        while (moment := self.first_due(stay, now, until)) is not None and moment <= until:
            now = moment
            due = self.due(stay, now)
            assert due is not None
            yield now, due
            stay = self.after(stay, due, now)
