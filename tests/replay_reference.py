"""A replay that is naive on purpose, to compare the library's with. It shares nothing with it.

It is written from what a replay is said to be, and reads a policy's mapping. It looks at every row with
everything it knows of the case before it, and adds lengths with `reference`, which counts days one by one.
"""

from __future__ import annotations

import itertools

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from reference import Reference, first_shown, shows, stretches


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MONTH = timedelta(days=30)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Stay:
    """One stay of a case, and what came after it."""

    case: str
    number: int
    state: str
    begin: datetime
    end: datetime | None
    to: str | None


@dataclass(frozen=True)
class Act:
    """A timer that would have fired."""

    case: str
    stay: int
    timer: str
    kind: str
    entered_at: datetime
    due_at: datetime
    left_at: datetime | None
    left_to: str | None


@dataclass
class Past:
    """A log that has been read."""

    stays: dict[str, list[Stay]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    last: datetime = LONG_AGO


# --- reading -------------------------------------------------------------------


def column(row: Mapping[str, Any], mapping: Mapping[str, Any], name: str, *names: str) -> Any:  # noqa: ANN401 - a cell
    """What a row has where the mapping says it is, or under the names that are looked for."""
    columns = mapping.get("columns", {})
    if name in columns:
        return row[columns[name]]
    return next((row[known] for known in (name, *names) if known in row), None)


def moment(cell: str | datetime, zone: str | None, counts: Counter[str]) -> datetime:
    at = datetime.fromisoformat(cell.upper()) if isinstance(cell, str) else cell
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    assert zone is not None
    counts["local"] += 1
    about = at.replace(tzinfo=UTC)
    days = timedelta(days=2)
    times = sum(
        shows(zone, begin) <= at < shows(zone, begin) + (end - begin)
        for begin, end in stretches(zone, about - days, about + days)
    )
    counts["skipped"] += times == 0
    counts["repeated"] += times > 1
    return first_shown(zone, at)


def meant(
    mapping: Mapping[str, Any], status: str, sub_status: str | None, states: Sequence[str]
) -> list[str]:
    """What a status of the log means at first, and later."""
    both = f"{status}.{sub_status}" if sub_status is not None else status
    if "statuses" not in mapping:
        return [both, both]
    table = mapping["statuses"]
    entry = table[both] if both in table else table[status]
    pair = [entry, entry] if isinstance(entry, str) else [entry["first"], entry["later"]]
    return [each if each in (*states, "ignore") else f"{each}.{sub_status}" for each in pair]


def read(
    rows: Sequence[Mapping[str, Any]], mapping: Mapping[str, Any], states: Sequence[str], *, touch: bool
) -> Past:
    past = Past()
    cases: dict[str, list[tuple[datetime, int, int, tuple[str, str | None]]]] = {}
    for number, row in enumerate(rows):
        at = moment(column(row, mapping, "at", "entered_at"), mapping.get("zone"), past.counts)
        past.last = max(past.last, at)
        order = int(column(row, mapping, "order") or 0)
        value = (column(row, mapping, "status"), column(row, mapping, "sub_status"))
        case = column(row, mapping, "case", "case_id", "id")
        cases.setdefault(case, []).append((at, order, number, value))
    for case, told in cases.items():
        told.sort(key=lambda each: each[:3])
        stays = list(stays_of(told, mapping, states, past.counts, touch=touch))
        for (at, order, number, value), following in itertools.pairwise(told):
            past.counts["out of order"] += following[1:3] < (order, number)
            past.counts["duplicates"] += (at, value) == (following[0], following[3])
        if stays:
            past.stays[case] = [
                Stay(
                    case,
                    number,
                    state,
                    begin,
                    *(stays[number][::-1] if number < len(stays) else (None, None)),
                )
                for number, (state, begin) in enumerate(stays, 1)
            ]
    return past


def stays_of(
    told: Sequence[tuple[datetime, int, int, tuple[str, str | None]]],
    mapping: Mapping[str, Any],
    states: Sequence[str],
    counts: Counter[str],
    *,
    touch: bool,
) -> Iterator[tuple[str, datetime]]:
    been: list[str] = []
    for at, _, _, value in told:
        first, later = meant(mapping, *value, states)
        state = first if set(been) <= {first} else later
        if state == "ignore":
            counts["ignored"] += 1
            continue
        if touch or not been or been[-1] != state:
            yield state, at
        been.append(state)


# --- what would have come due ------------------------------------------------------


class Desk(Reference):
    """A policy, given as the mapping of its file, and what it would have done."""

    def __init__(self, policy: Mapping[str, Any]) -> None:
        super().__init__(policy)
        self.kinds = {
            name: timer.get("kind") or ("close" if self.is_closed(timer["to"]) else "move")
            for name, timer in policy["timers"].items()
        }

    def is_closed(self, state: str) -> bool:
        return bool(self.statuses[state.split(".", maxsplit=1)[0]].get("closed", False))

    def fired(self, stay: Stay, horizon: datetime) -> Iterator[Act]:
        """The timers of a stay one by one, each settled the moment it is due."""
        settled_at = None
        counted = stay.begin
        for timer in self.timers[stay.state]:
            counted = max(counted, self.add(stay.begin, timer["after"]))
            due_at = counted
            if settled_at is not None:
                warned = self.add(settled_at, timer["notice"]) if timer["notice"] else settled_at
                due_at = max(due_at, warned)
            if due_at > horizon if stay.end is None else due_at >= stay.end:
                return
            kind = self.kinds[timer["name"].split("#", maxsplit=1)[0]]
            yield Act(stay.case, stay.number, timer["name"], kind, stay.begin, due_at, stay.end, stay.to)
            settled_at = due_at

    def actions(self, past: Past, horizon: datetime) -> list[Act]:
        return [act for stays in past.stays.values() for stay in stays for act in self.fired(stay, horizon)]

    def is_work(self, state: str) -> bool:
        """Whether support has work in a state: it is open, and does not wait for the customer."""
        status, _, sub_status = state.partition(".")
        table = self.statuses[status]
        if sub_status:
            table = table["sub_statuses"][sub_status]
        waits = any(timer["to"] and self.is_closed(timer["to"]) for timer in self.timers[state])
        if "waiting_on" in table:
            waits = table["waiting_on"] == "customer"
        return not (self.is_closed(state) or waits)

    def moved(self, past: Past, horizon: datetime) -> dict[str, datetime]:
        """By case, when a timer would first have moved it."""
        found: dict[str, datetime] = {}
        for act in self.actions(past, horizon):
            if act.kind in ("close", "move"):
                found.setdefault(act.case, act.due_at)
        return found

    def closures(self, past: Past, horizon: datetime) -> Counter[tuple[str, str]]:
        """By timer and what became of them later, the cases that it would have been the first to close."""
        found: Counter[tuple[str, str]] = Counter()
        for stays in past.stays.values():
            acts = [
                act
                for stay in stays
                if not self.is_closed(stay.state)  # what is closed already is not closed once more
                for act in self.fired(stay, horizon)
                if act.kind == "close"
            ]
            if not acts:
                continue
            after = stays[acts[0].stay :]
            outcome = "nothing_more" if not after else "resolved"
            if any(self.is_work(stay.state) for stay in after):
                outcome = "worked_on_again"
            found[acts[0].timer, outcome] += 1
        return found


def what_if(
    policy: Mapping[str, Any], timer: str, days: int, past: Past, horizon: datetime
) -> tuple[int, int, int, int, int]:
    """With another length of a timer: how many cases are closed, followed, back; reminders, notifications."""
    own = policy["timers"][timer]
    unit = next((unit for unit in own["after"] if unit.endswith("_days")), "days")
    desk = Desk({**policy, "timers": {**policy["timers"], timer: {**own, "after": {unit: days}}}})
    here = [state for state in desk.states if any(each["name"] == timer for each in desk.timers[state])]
    kinds: Counter[str] = Counter()
    closed = followed = came_back = 0
    for stays in past.stays.values():
        closings: list[Act] = []
        for stay in stays:
            if stay.state not in here:
                continue
            for act in desk.fired(stay, horizon):
                kinds[act.kind] += 1
                if act.kind == "close" and not desk.is_closed(stay.state):
                    closings.append(act)
                if act.kind in ("close", "move"):
                    break  # the case is gone, whatever stands below
        if closings:
            end = closings[0].due_at + MONTH
            back = any(desk.is_work(stay.state) and stay.begin <= end for stay in stays[closings[0].stay :])
            closed += 1
            came_back += back and end <= horizon
            followed += end <= horizon
    return closed, followed, came_back, kinds["remind"], kinds["notify"]
