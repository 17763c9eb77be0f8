"""When a state's timers come due, and the cutoffs that say it for every case at once.

The timers of a state in order are ``T1 … Tn``. A case at position ``p`` has dealt
with ``T1 … Tp``. There is one definition of due, in two directions: `Schedule.due_at`
adds lengths to the instants of a case, `Schedule.cutoffs` subtracts them from
``now``. They agree because adding a length is monotone, and a property test holds them to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import attrs


if TYPE_CHECKING:
    from casestate.calendars import Calendar, Length
    from casestate.policy import Policy, Timer

__all__ = ["Cutoff", "Schedule", "Sweep", "schedules"]


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


@attrs.frozen
class Schedule:
    """The timers of one state, in order."""

    state: str
    timers: tuple[Timer, ...]
    calendar: Calendar

    @cached_property
    def positions(self) -> Mapping[str | None, int]:
        """The position of a case by its last settled timer; 0 by none."""
        names: list[str | None] = [None, *(timer.name for timer in self.timers)]
        return {name: position for position, name in enumerate(names)}

    def reachable(self, position: int) -> range:
        """The indices of the timers that a case at ``position`` can reach.

        A later timer that has a ``notice``, and all after it, cannot be reached
        until the timer before it has been settled.
        """
        end = position + 1
        while end < len(self.timers) and self.timers[end].notice is None:
            end += 1
        return range(position, min(end, len(self.timers)))

    def notice(self, position: int) -> Length | None:
        """The notice that holds back a case at ``position``: that of the timer that comes next."""
        return self.timers[position].notice if position < len(self.timers) else None

    def counted_from_entry(self, index: int, entered_at: datetime) -> datetime | None:
        """When a timer comes due by the entry alone: never before the timers above it."""
        latest = entered_at
        for timer in self.timers[: index + 1]:
            due = self.calendar.add(entered_at, timer.after)
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
        least = now
        for timer in self.timers:
            cutoff = self.calendar.cutoff(now, timer.after)
            if cutoff is None:
                return
            least = min(least, cutoff)
            yield least


def schedules(policy: Policy) -> Mapping[str, Schedule]:
    """The schedule of every state of the policy, those without timers included."""
    return {state: Schedule(state, policy.schedule(state), policy.calendar) for state in policy.states}


class Sweep:
    """The cutoff table at one instant, laid out for look-ups: by state, then by settled timer.

    ``positions[state][settled]`` is a pair: the latest ``entered_at`` for which
    anything at all is due (none: nothing is), and the rows.
    """

    __slots__ = ("now", "positions")

    def __init__(self, table: Mapping[str, Schedule], now: datetime) -> None:
        self.now = now
        self.positions: dict[str, dict[str | None, tuple[datetime | None, tuple[Cutoff, ...]]]] = {}
        for state, schedule in table.items():
            rows: dict[str | None, list[Cutoff]] = {settled: [] for settled in schedule.positions}
            for row in schedule.cutoffs(now):
                rows[row.settled].append(row)
            self.positions[state] = {
                settled: (max((row.entered_until for row in found), default=None), tuple(found))
                for settled, found in rows.items()
            }
