"""When a state's timers come due, and the cutoffs that say it for every case at once.

The timers of a state in order are ``T1 … Tn``. A case at position ``p`` has dealt
with ``T1 … Tp``. There is one definition of due, in two directions: `Schedule.due_at`
adds lengths to the instants of a case, `Schedule.cutoffs` subtracts them from
``now``. They agree because adding a length is monotone, and a property test holds them to it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, cast

import attrs

from casestate.calendars import pieces
from casestate.case import standing
from casestate.clock import FIRST, LAST


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    from casestate.calendars import Calendar, Length, Piece, Seen
    from casestate.policy import Policy, Timer

__all__ = ["Cutoff", "Reach", "Schedule", "Sweep", "schedules"]


@attrs.frozen(kw_only=True)
class Cutoff:
    """A row of the cutoff table: the latest instants for which a timer is due.

    A case in this state, whose last settled timer is ``settled``, is due iff
    ``entered_at <= entered_until`` and (no ``settled_until``, or
    ``settled_at <= settled_until``). The first row that holds names the action.
    """

    status: str
    sub_status: str | None
    settled: str | None
    timer: str
    kind: str
    audience: str | None
    to: str | None
    entered_until: datetime
    settled_until: datetime | None = None


class Schedule:
    """The timers of one state, in order.

    ``positions`` holds the position of a case by its last settled timer; 0 by none.
    """

    def __init__(self, state: str, timers: tuple[Timer, ...], calendar: Calendar) -> None:
        self.state = state
        self.timers = timers
        self.calendar = calendar
        names: list[str | None] = [None, *(timer.name for timer in timers)]
        self.positions: Mapping[str | None, int] = {name: position for position, name in enumerate(names)}
        self._decisive = tuple(_longest(timers[: index + 1]) for index in range(len(timers)))

    @cached_property
    def offsets(self) -> tuple[timedelta, ...] | None:
        """How long after any entry each timer fires; none if that depends on the calendar."""
        lengths = (length for timer in self.timers for length in (timer.after, timer.notice))
        if any(length is not None and length.unit != "elapsed" for length in lengths):
            return None
        return tuple(fired - FIRST for fired in self._firings(FIRST))

    def reachable(self, position: int) -> range:
        """The indices of the timers that a case at ``position`` can reach.

        A later timer that has a ``notice``, and all after it, cannot be reached
        until the timer before it has been settled.
        """
        end = position + 1
        while end < len(self.timers) and self.timers[end].notice is None:
            end += 1
        return range(position, min(end, len(self.timers)))

    def passed_over(self, position: int, index: int) -> tuple[str, ...]:
        """The timers that a case at ``position`` skips if the one at ``index`` is settled."""
        return tuple(timer.name for timer in self.timers[position:index])

    def notice(self, position: int) -> Length | None:
        """The notice that holds back a case at ``position``: that of the timer that comes next."""
        return self.timers[position].notice if position < len(self.timers) else None

    def counted_from_entry(self, index: int, entered_at: datetime) -> datetime | None:
        """When a timer comes due by the entry alone: never before the timers above it."""
        latest = entered_at
        for length in self._decisive[index]:
            due = self.calendar.add(entered_at, length)
            if due is None:
                return None
            latest = max(latest, due)
        return latest

    def due_at(
        self, index: int, position: int, entered_at: datetime, settled_at: datetime | None
    ) -> datetime | None:
        """When the timer at ``index`` comes due for a case at ``position``; none if never.

        Whether it can be reached from there is `reachable`'s question.
        """
        due = self.counted_from_entry(index, entered_at)
        notice = self.notice(position)
        if due is None or notice is None or settled_at is None:
            return due
        warned = self.calendar.add(settled_at, notice)
        return None if warned is None else max(due, warned)

    def firings(self, entered_at: datetime) -> Iterator[datetime]:
        """When each timer fires in turn if it is settled the moment it is due, until one never does."""
        if self.offsets is None:
            return self._firings(entered_at)
        within = LAST - entered_at
        return (entered_at + offset for offset in self.offsets if offset <= within)

    def _firings(self, entered_at: datetime) -> Iterator[datetime]:
        settled_at = None
        for index in range(len(self.timers)):
            due = self.due_at(index, index, entered_at, settled_at)
            if due is None:
                return
            # A timer that a notice held back is settled later than the next one may be due.
            settled_at = due if settled_at is None else max(due, settled_at)
            yield settled_at

    def pieces(self, index: int, cells: Iterable[int]) -> Iterator[Piece]:
        """When the timer at ``index`` fires after each entry in the ``cells``, as `calendars.pieces`."""
        steps = _Steps(self.calendar)
        schedule = Schedule(self.state, self.timers[: index + 1], cast("Calendar", steps))

        def look(entered_at: datetime) -> Seen | None:
            steps.taken.clear()
            fired = list(schedule._firings(entered_at))
            if len(fired) <= index:
                return None
            way = [entered_at, *cast("Iterable[datetime]", steps.taken.values())]  # none of them is never
            return self.calendar.seen(fired[index], way)

        return pieces(cells, look)

    def furthest_due(
        self, position: int, entered_at: datetime, settled_at: datetime | None, now: datetime
    ) -> int | None:
        """The furthest timer that a case can reach and that is due at ``now``, by its index, if any is."""
        for index in reversed(self.reachable(position)):
            due = self.due_at(index, position, entered_at, settled_at)
            if due is not None and due <= now:
                return index
        return None

    def cutoffs(self, now: datetime) -> Iterator[Cutoff]:
        """The rows of this state at ``now``: by position, furthest timer first."""
        status, _, sub_status = self.state.partition(".")
        entered_until = list(self._entered_until(now))
        for settled, position in self.positions.items():
            notice = self.notice(position)
            settled_until = None if notice is None else self.calendar.cutoff(now, notice)
            if notice is not None and settled_until is None:
                continue
            for index in reversed(self.reachable(position)):
                if index < len(entered_until):
                    timer = self.timers[index]
                    yield Cutoff(
                        status=status,
                        sub_status=sub_status or None,
                        settled=settled,
                        timer=timer.name,
                        kind=timer.kind,
                        audience=timer.audience,
                        to=timer.to,
                        entered_until=entered_until[index],
                        settled_until=settled_until,
                    )

    def _entered_until(self, now: datetime) -> Iterator[datetime]:
        """The least cutoff of each timer and those before it, until one has none."""
        known: dict[Length, datetime | None] = {}
        for lengths in self._decisive:
            least = now
            for length in lengths:
                if length not in known:
                    known[length] = self.calendar.cutoff(now, length)
                cutoff = known[length]
                if cutoff is None:
                    return
                least = min(least, cutoff)
            yield least


class _Steps:
    """A calendar that remembers what it has added, and where that led."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.taken: dict[tuple[datetime, Length], datetime | None] = {}

    def add(self, start: datetime, length: Length) -> datetime | None:
        step = start, length
        if step not in self.taken:
            self.taken[step] = self.calendar.add(start, length)
        return self.taken[step]


def _longest(timers: Iterable[Timer]) -> tuple[Length, ...]:
    """The lengths that decide when the last of ``timers`` comes due: the longest of each kind.

    A longer length of the same kind is never due earlier, and it stands further down.
    """
    return tuple({timer.after.unit: timer.after for timer in timers}.values())


def schedules(policy: Policy) -> Mapping[str, Schedule]:
    """The schedule of every state of the policy, those without timers included."""
    return {state: Schedule(state, timers, policy.calendar) for state, timers in policy.schedules.items()}


Reach: TypeAlias = tuple[Cutoff, Schedule, int, int]
"""A timer that a case can reach: its cutoff and schedule, the position of the case, the timer's index."""


class Sweep:
    """The cutoff table at one instant, laid out for look-ups by the `standing` of a case.

    ``latest`` holds the latest ``entered_at`` for which anything is due at all,
    ``reaches`` the timers it may be, furthest first. A standing that is absent is of no case
    of this policy.
    """

    __slots__ = ("latest", "now", "reaches")

    def __init__(self, policy: str, table: Iterable[Schedule], now: datetime) -> None:
        self.now = now
        self.latest: dict[str, datetime] = {}
        self.reaches: dict[str, tuple[Reach, ...]] = {}
        for schedule in table:
            found: dict[str | None, list[Reach]] = {settled: [] for settled in schedule.positions}
            for cutoff in schedule.cutoffs(now):
                position, index = schedule.positions[cutoff.settled], schedule.positions[cutoff.timer] - 1
                found[cutoff.settled].append((cutoff, schedule, position, index))
            for settled, reaches in found.items():
                latest = max((cutoff.entered_until for cutoff, *_ in reaches), default=FIRST)
                for name in (policy, None):  # a case that another system keeps may name no policy
                    key = standing(name, schedule.state, settled)
                    self.latest[key] = latest
                    self.reaches[key] = tuple(reaches)
