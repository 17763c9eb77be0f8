"""What a workflow says: statuses, transitions, timers and a calendar, as frozen data.

A policy is the single table that everything else reads: events, checks,
drawings and documents. This module knows its shape, how it is read from a
mapping and written back, how one mapping is laid over another, and which
policies cannot be. Files and names are `casestate.loading`'s.
"""

from __future__ import annotations

import re

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Final, TypeVar, cast

import attrs

from casestate.calendars import WEEKDAYS, Calendar, Length, Unit, zone
from casestate.errors import PolicyError, Problem, key_text, nearest, one_of, shown


__all__ = [
    "PREVIOUS",
    "Policy",
    "Status",
    "Timer",
    "Transition",
]

FORMAT: Final = 1
PREVIOUS: Final = "@previous"
"""The target of a row that leads back to where the present run of stays came from."""
SYSTEM: Final = "system"
"""The role that settles timers."""
CLONE: Final = "clone"
"""The event that begins a new, linked case."""
ROLES: Final = ("customer", "agent", SYSTEM)
MOST_REPEATS: Final = 100

_T = TypeVar("_T")
_NAME: Final = r"[a-z][a-z0-9_]*"
_POLICY_NAME: Final = r"[a-z][a-z0-9_-]*"
_REGION: Final = r"[A-Z]{2,4}(-.+)?"
_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_SECONDS: Final = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_CALENDAR_UNITS: Final[tuple[Unit, ...]] = ("calendar_days", "business_days")
_LONGEST_DAYS: Final = date.max.toordinal()
TEXTS: Final = ("label", "meaning", "action_required", "waiting_on")
"""What a status says to people."""
_ANY_LENGTH: Final = Length("elapsed", 1)
"""Stands for a length that could not be read and has been reported."""
_TOO_LONG: Final = "can never come due: it is longer than time goes on (the year 9999)"
_VALUES: Final = ("after", "notice", "repeat")


def base_name(timer: str) -> str:
    """The name that a timer has in the policy file: that of a repeated one without its number."""
    return timer.partition("#")[0]


def state_path(state: str) -> str:
    """The place of a state in the policy file: also that of a status with sub-statuses."""
    status, _, sub_status = state.partition(".")
    return f"statuses.{status}.sub_statuses.{sub_status}" if sub_status else f"statuses.{status}"


def _in_order(table: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    """Tables that differ in their order only say different things: it breaks ties between timers."""
    return tuple(table.items())


@attrs.frozen(kw_only=True)
class Status:
    """A status or a sub-status, and what people read about it.

    A status with sub-statuses is never a state by itself; a sub-status has none,
    and does not say whether it is closed: its status does.
    """

    name: str
    label: str
    meaning: str | None = None
    action_required: str | None = None
    waiting_on: str | None = None
    closed: bool = False
    sub_statuses: Mapping[str, Status] = attrs.field(default=MappingProxyType({}), eq=_in_order)


@attrs.frozen(kw_only=True)
class Transition:
    """A row of the table: what an event does. The first row that matches wins.

    ``from_`` holds states and patterns as they were written; see `Policy.matching`.
    ``to`` is a state, a status whose sub-status the event names, `PREVIOUS`, or
    none for an internal transition.
    """

    event: str
    by: tuple[str, ...]
    from_: tuple[str, ...]
    to: str | None = None
    when: str | None = None
    needs: tuple[str, ...] = ()
    refuse: bool = False

    def matches(self, *, by: object, assigned: bool, previous: bool) -> bool:
        """Whether it matches in its states: for a role, and for what else of a case decides.

        ``previous`` is whether the case has a previous state that a row can lead back to.
        """
        return (
            by in self.by
            and (self.when is None or (self.when == "assigned") == assigned)
            and (self.to != PREVIOUS or previous)
        )


@attrs.frozen(kw_only=True)
class Repeat:
    """``times`` timers, the first included, ``every`` so long after each other."""

    every: Length
    times: int


@attrs.frozen(kw_only=True)
class Timer:
    """Something that becomes due a while after a stay began.

    ``kind`` is ``remind`` or ``notify``; with a ``to`` it is ``close`` or ``move``.
    """

    name: str
    in_: tuple[str, ...]
    kind: str
    after: Length
    audience: str | None = None
    repeat: Repeat | None = None
    notice: Length | None = None
    to: str | None = None

    def repeated(self) -> Iterator[Timer]:
        """The timers that this one stands for: ``name``, ``name#2``, …, in order.

        The ``notice`` of a repeated timer binds from the second on.
        """
        if self.repeat is None:
            yield self
            return
        after = self.after
        for number in range(1, self.repeat.times + 1):
            first = number == 1
            yield attrs.evolve(
                self,
                name=self.name if first else f"{self.name}#{number}",
                after=after,
                notice=None if first else self.notice,
                repeat=None,
            )
            after += self.repeat.every


@attrs.frozen(kw_only=True, slots=False)  # what is computed once lives in its dictionary
class Policy:
    """A workflow as data. Make one with `casestate.load_policy` or `Policy.from_dict`."""

    name: str
    initial: str
    roles: tuple[str, ...] = ROLES
    calendar: Calendar = attrs.field(factory=Calendar)
    statuses: Mapping[str, Status] = attrs.field(eq=_in_order)
    transitions: tuple[Transition, ...] = ()
    timers: Mapping[str, Timer] = attrs.field(default=MappingProxyType({}), eq=_in_order)

    @classmethod
    def from_dict(cls, data: Mapping[str, object], *, source: str = "policy") -> Policy:
        """Read a policy from a mapping of the file format's shape.

        ``source`` names it in errors. Raises `PolicyError` with every problem there is.
        """
        return _Reader(source).policy(data)

    def to_dict(self) -> dict[str, object]:
        """The policy as a JSON-ready mapping of the file format; `from_dict` reads it back."""
        return {
            "format": FORMAT,
            "name": self.name,
            "initial": self.initial,
            "roles": list(self.roles),
            "calendar": {
                "zone": self.calendar.zone,
                "weekend": list(self.calendar.weekend),
                "holidays": [str(holiday) for holiday in self.calendar.holidays],
            },
            "statuses": {name: _status_dict(status) for name, status in self.statuses.items()},
            "transitions": [_transition_dict(row) for row in self.transitions],
            "timers": {name: _timer_dict(timer) for name, timer in self.timers.items()},
        }

    def override(self, data: Mapping[str, object], *, source: str = "") -> Policy:
        """This policy with ``data``, a mapping of the file format's shape, laid over it.

        Tables merge; lengths, ``repeat`` and lists are replaced whole; ``False``
        removes a named table; transitions stand before those that are there.
        ``source`` names the result in errors, the policy's own name if it is left out.

        Raises `PolicyError` with every problem there is.
        """
        problems: list[Problem] = []
        rows: object = None
        if isinstance(data, Mapping):
            rows = data.get("transitions")
            data = _overlay(self.to_dict(), data, (), problems)
        try:
            return _Reader(source or self.name).policy(data, problems)
        except PolicyError as error:
            own_rows = len(cast("Sequence[object]", rows)) if isinstance(rows, (list, tuple)) else 0
            found = [_where_written(problem, own_rows) for problem in error.problems]
            raise PolicyError(error.subject, found) from None

    def __reduce__(self) -> tuple[Callable[..., Policy], tuple[dict[str, object]]]:
        return (Policy.from_dict, (self.to_dict(),))

    def __hash__(self) -> int:
        return hash((self.name, self.initial, self.transitions))

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Every state, in the order of the file."""
        return tuple(
            state
            for name, status in self.statuses.items()
            for state in ([f"{name}.{sub}" for sub in status.sub_statuses] or [name])
        )

    @cached_property
    def events(self) -> tuple[str, ...]:
        """Every event, in the order of the file."""
        return tuple(dict.fromkeys(row.event for row in self.transitions))

    def is_closed(self, state: str) -> bool:
        """Whether ``state`` is of a closed status."""
        return self.statuses[state.partition(".")[0]].closed

    def described(self, state: str) -> Status:
        """What people read about ``state``: its sub-status, or its status if it has none."""
        status, _, sub_status = state.partition(".")
        return self.statuses[status].sub_statuses[sub_status] if sub_status else self.statuses[status]

    def matching(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """The states that ``patterns`` stand for, in the policy's order.

        A pattern is a state, a status (all of its sub-statuses), ``*`` (every
        state) or ``*open`` (every state that is not closed).
        """
        wanted = set(patterns)
        if "*" in wanted:
            return self.states
        return tuple(
            state
            for state in self.states
            if state in wanted
            or (status := state.partition(".")[0]) in wanted
            or ("*open" in wanted and not self.statuses[status].closed)
        )

    @cached_property
    def schedules(self) -> Mapping[str, tuple[Timer, ...]]:
        """The timers of every state, repeats written out, in order of nominal length."""
        timers: dict[str, list[Timer]] = {state: [] for state in self.states}
        for timer in self.timers.values():
            for state in self.matching(timer.in_):
                timers[state] += timer.repeated()
        return {
            state: tuple(sorted(found, key=lambda timer: timer.after.nominal))
            for state, found in timers.items()
        }


def _with_kinds(timers: Mapping[str, Timer], statuses: Mapping[str, Status]) -> Mapping[str, Timer]:
    """A timer with a target takes its kind from it."""

    def kind(timer: Timer) -> str:
        if timer.to is None:
            return timer.kind
        status = statuses.get(timer.to.partition(".")[0])
        return "close" if status is not None and status.closed else "move"

    return MappingProxyType({name: attrs.evolve(timer, kind=kind(timer)) for name, timer in timers.items()})


# --- writing -----------------------------------------------------------------


def _status_dict(status: Status) -> dict[str, object]:
    data: dict[str, object] = {text: value for text in TEXTS if (value := getattr(status, text)) is not None}
    if status.closed:
        data["closed"] = True
    if status.sub_statuses:
        data["sub_statuses"] = {
            name: _status_dict(sub_status) for name, sub_status in status.sub_statuses.items()
        }
    return data


def _transition_dict(row: Transition) -> dict[str, object]:
    data: dict[str, object] = {"event": row.event, "by": list(row.by), "from": list(row.from_)}
    if row.to is not None:
        data["to"] = row.to
    if row.when is not None:
        data["when"] = row.when
    if row.needs:
        data["needs"] = list(row.needs)
    if row.refuse:
        data["refuse"] = True
    return data


def _timer_dict(timer: Timer) -> dict[str, object]:
    data: dict[str, object] = {"in": list(timer.in_)}
    if timer.to is None:
        data["kind"] = timer.kind
    if timer.audience is not None:
        data["audience"] = timer.audience
    data["after"] = timer.after.to_dict()
    if timer.repeat is not None:
        data["repeat"] = {"every": timer.repeat.every.to_dict(), "times": timer.repeat.times}
    if timer.notice is not None:
        data["notice"] = timer.notice.to_dict()
    if timer.to is not None:
        data["to"] = timer.to
    return data


# --- laying one mapping over another -----------------------------------------


def _overlay(
    base: Mapping[str, object],
    top: Mapping[str, object],
    place: tuple[str, ...],
    problems: list[Problem],
) -> dict[str, object]:
    """``top`` laid over ``base``; neither is changed. Adds a problem where there is nothing to remove."""
    merged = dict(base)
    holds_named_tables = place in (("statuses",), ("timers",)) or place[2:] == ("sub_statuses",)
    is_timer = len(place) == 2 and place[0] == "timers"
    for key, value in top.items():
        old = base.get(key)
        if value is False and isinstance(old, Mapping):
            del merged[key]
        elif value is False and holds_named_tables:
            path = ".".join((*place, key_text(key)))
            problems.append(Problem(path, f"nothing to remove{_hint(key, base)}"))
        elif key == "transitions" and isinstance(key, str) and not place and isinstance(value, (list, tuple)):
            merged[key] = [*value, *cast("list[object]", base["transitions"])]
        elif isinstance(value, Mapping) and isinstance(old, Mapping) and not (is_timer and key in _VALUES):
            below, above = cast("Mapping[str, object]", old), cast("Mapping[str, object]", value)
            merged[key] = _overlay(below, above, (*place, key), problems)
        else:
            merged[key] = value
    if is_timer:  # a target given takes the place of the kind below it, and the reverse
        for given, gone in (("to", "kind"), ("kind", "to")):
            if given in top and gone not in top:
                merged.pop(gone, None)
    return merged


def _where_written(problem: Problem, own_rows: int) -> Problem:
    """A problem of a merged policy: the rows of the base stand after the overlay's ``own_rows``."""
    row = re.match(r"transitions\[([0-9]+)\]", problem.path)
    if row is None or int(row[1]) < own_rows:
        return problem
    rest = problem.path[row.end() :]
    return Problem(f"base.transitions[{int(row[1]) - own_rows}]{rest}", problem.message)


def _hint(name: object, known: Iterable[str]) -> str:
    known = list(known)
    return f"{nearest(name, known)} (there are: {one_of(known)})"


def _days(unit: Unit, amount: int) -> int:
    """The whole days of a length that a `Length` may be too small for."""
    return amount // _SECONDS["days"] if unit == "elapsed" else amount


def _places(path: str) -> Iterator[str]:
    """A path, and all that it is in: ``timers.remind.after``, ``timers.remind``, ``timers``."""
    yield path
    yield from (path[: step.start()] for step in re.finditer(r"[.\[]", path))


# --- what a policy cannot say ------------------------------------------------


class _Checks:
    """What is wrong with a policy as a whole, beside what is wrong with its shape.

    Parts whose shape is wrong are passed over: they have been reported.
    """

    def __init__(self, policy: Policy, known: Iterable[Problem]) -> None:
        self.policy = policy
        self.broken = [problem.path for problem in known]
        self.unsound = {place for path in self.broken for place in _places(path)}

    def problems(self) -> Iterator[Problem]:
        if not self.states_are_known():
            return
        if not self.policy.statuses:
            yield Problem("statuses", "must name at least one")
            return
        if self.sound("initial"):
            yield from self.target("initial", self.policy.initial)
        for number, row in enumerate(self.policy.transitions):
            yield from self.row(number, row)
        for name, timer in self.policy.timers.items():
            yield from self.timer(f"timers.{name}", timer)
        yield from self.schedules()

    def states_are_known(self) -> bool:
        """Whether what is wrong with the statuses, if anything, is in their texts only."""
        return all(
            path and (path.partition(".")[0] != "statuses" or path.rpartition(".")[2] in TEXTS)
            for path in self.broken
        )

    def sound(self, path: str) -> bool:
        return path not in self.unsound

    def row(self, number: int, row: Transition) -> Iterator[Problem]:
        path = f"transitions[{number}]"
        if self.sound(f"{path}.by") and self.sound("roles"):
            for place, role in enumerate(row.by):
                if role not in self.policy.roles:
                    here = f"{path}.by[{place}]" if len(row.by) > 1 else f"{path}.by"
                    yield Problem(here, f"unknown role {shown(role)}{_hint(role, self.policy.roles)}")
        yield from self.patterns(f"{path}.from", row.from_)
        if row.refuse and (row.to is not None or row.needs):
            yield Problem(path, "a row that refuses has no 'to' and no 'needs'")
        asking = [name for name, status in self.policy.statuses.items() if status.sub_statuses]
        if row.event == CLONE and (row.to in asking or row.needs):
            yield Problem(path, "cloning takes no argument: no 'needs', and a 'to' that is a state")
        if row.to is None or not self.sound(f"{path}.to"):
            return
        yield from self.target(f"{path}.to", row.to, also=(*asking, PREVIOUS))
        refused = {
            state
            for earlier in self.policy.transitions[:number]
            if earlier.refuse and earlier.event == row.event and SYSTEM in earlier.by and earlier.when is None
            for state in self.policy.matching(earlier.from_)
        }
        sources = set(self.policy.matching(row.from_)) - refused
        if SYSTEM in row.by and not sources.isdisjoint(self.policy.matching([row.to])):
            yield Problem(f"{path}.to", f"a row by {SYSTEM} would restart the timers of the state it is in")

    def timer(self, path: str, timer: Timer) -> Iterator[Problem]:
        yield from self.patterns(f"{path}.in", timer.in_)
        if timer.to is not None and self.sound(f"{path}.to"):
            yield from self.target(f"{path}.to", timer.to)
            if timer.to in self.policy.matching(timer.in_):
                yield Problem(f"{path}.to", "a timer would restart the state it is in")

    def schedules(self) -> Iterator[Problem]:
        """A timer after one that moves the case away never fires; a first one has no warning before it."""
        timers = {name: timer for name, timer in self.policy.timers.items() if self.sound(f"timers.{name}")}
        policy = attrs.evolve(self.policy, timers=timers)
        late: dict[tuple[str, str], list[str]] = {}
        first: dict[str, list[str]] = {}
        for state, schedule in policy.schedules.items():
            if schedule and schedule[0].notice is not None and len(timers) == len(self.policy.timers):
                first.setdefault(schedule[0].name, []).append(state)
            mover = next((timer for timer in schedule if timer.to is not None), None)
            if mover is not None:
                for after in schedule[schedule.index(mover) + 1 :]:
                    late.setdefault((base_name(after.name), mover.name), []).append(state)
        for name, states in first.items():
            yield Problem(
                f"timers.{name}.notice",
                f"it is the first timer of {one_of(states)}: no timer before it could have been settled",
            )
        for (name, earlier), states in late.items():
            yield Problem(
                f"timers.{name}.after",
                f"can never fire in {one_of(dict.fromkeys(states))}: {earlier!r} moves the case away before",
            )

    def patterns(self, path: str, patterns: Sequence[str]) -> Iterator[Problem]:
        if not self.sound(path):
            return
        known = ("*", "*open", *self.policy.statuses, *self.policy.states)
        for number, pattern in enumerate(patterns):
            if pattern not in known:
                here = f"{path}[{number}]" if len(patterns) > 1 else path
                yield Problem(here, f"unknown state {shown(pattern)}{_hint(pattern, dict.fromkeys(known))}")

    def target(self, path: str, state: str, *, also: Sequence[str] = ()) -> Iterator[Problem]:
        known = (*self.policy.states, *also)
        if state in self.policy.statuses and state not in known:
            yield Problem(
                path, f"{state!r} has sub-statuses and is no state by itself (there are: {one_of(known)})"
            )
        elif state not in known:
            yield Problem(path, f"unknown state {shown(state)}{_hint(state, known)}")


# --- reading -----------------------------------------------------------------


class _Reader:
    """Reads a mapping into a policy, and collects everything that is wrong with it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def policy(self, data: object, known: Iterable[Problem] = ()) -> Policy:
        """The policy that ``data`` is; raises all problems, after those that are ``known``."""
        keys = ("format", "name", "initial", "roles", "calendar", "statuses", "transitions", "timers")
        top = self.table(data, "", keys, required=("format", "name", "initial", "statuses"))
        if "format" in top and (top["format"] != FORMAT or isinstance(top["format"], bool)):
            self.wrong("format", f"this version reads format {FORMAT}, not {shown(top['format'])}")
        statuses = self.named(top.get("statuses", {}), "statuses", self.status)
        policy = Policy(
            name=self.name(top["name"], "name", _POLICY_NAME) if "name" in top else "",
            initial=self.text(top["initial"], "initial") if "initial" in top else "",
            roles=self.roles(top.get("roles", ROLES)),
            calendar=self.calendar(top.get("calendar", {})),
            statuses=statuses,
            transitions=tuple(
                self.transition(row, f"transitions[{number}]")
                for number, row in enumerate(self.array(top.get("transitions", []), "transitions"))
            ),
            timers=_with_kinds(self.named(top.get("timers", {}), "timers", self.timer), statuses),
        )
        self.problems.extend(_Checks(policy, self.problems).problems())
        if problems := [*known, *self.problems]:
            raise PolicyError(self.source, problems)
        return policy

    def roles(self, value: object) -> tuple[str, ...]:
        return self.names(value, "roles", new=True)

    def calendar(self, data: object) -> Calendar:
        table = self.table(data, "calendar", ("zone", "weekend", "holidays"))
        calendar = Calendar()
        if "zone" in table:
            calendar = attrs.evolve(calendar, zone=self.zone(table["zone"]))
        if "weekend" in table:
            weekend = self.names(table["weekend"], "calendar.weekend", known=WEEKDAYS, empty=True)
            if set(weekend) == set(WEEKDAYS):
                self.wrong("calendar.weekend", "a week without a business day")
            calendar = attrs.evolve(calendar, weekend=weekend)
        if "holidays" in table:
            entries = self.array(table["holidays"], "calendar.holidays")
            holidays = (
                self.holiday(entry, f"calendar.holidays[{number}]") for number, entry in enumerate(entries)
            )
            calendar = attrs.evolve(
                calendar, holidays=tuple(holiday for holiday in holidays if holiday is not None)
            )
        return calendar

    def zone(self, value: object) -> str:
        name = self.text(value, "calendar.zone") or "UTC"
        try:
            zone(name)
        except ValueError:
            from zoneinfo import available_timezones  # noqa: PLC0415 - only a message needs it

            zones = available_timezones()
            hint = nearest(name, zones) or "; give an IANA name such as 'Europe/Berlin'"
            if not zones:
                hint = "; this machine has no time zone database: pip install tzdata"
            self.wrong("calendar.zone", f"no time zone {shown(name)}{hint}")
            return "UTC"
        return name

    def holiday(self, value: object, path: str) -> date | str | None:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if isinstance(value, str) and re.fullmatch(_REGION, value):
            return self.region(value, path)
        if isinstance(value, str) and re.fullmatch(_DATE, value):
            try:
                return date.fromisoformat(value)
            except ValueError as error:
                self.wrong(path, f"no date {shown(value)}: {error}")
                return None
        neither = "is neither a date ('2026-12-24') nor a region of the holidays package ('DE-BE')"
        self.wrong(path, f"{shown(value)} {neither}")
        return None

    def region(self, value: str, path: str) -> str:
        try:
            from casestate.holidays import regions  # noqa: PLC0415 - an extra
        except ModuleNotFoundError:
            self.wrong(
                path,
                f"the region {shown(value)} needs the holidays extra (pip install 'casestate[holidays]'); "
                "or list the dates themselves",
            )
            return value
        if value not in (known := regions()):
            hint = nearest(value, known) or "; regions are written like 'DE' or 'DE-BE'"
            self.wrong(path, f"the holidays package knows no region {shown(value)}{hint}")
        return value

    def status(self, name: str, data: object, path: str) -> Status:
        return self.described(name, self.table(data, path, (*TEXTS, "closed", "sub_statuses")), path)

    def sub_status(self, name: str, data: object, path: str) -> Status:
        return self.described(name, self.table(data, path, TEXTS), path)

    def described(self, name: str, table: Mapping[str, object], path: str) -> Status:
        label = self.optional(table, "label", path, self.text)
        return Status(
            name=name,
            label=label or name.replace("_", " ").title(),
            meaning=self.optional(table, "meaning", path, self.text),
            action_required=self.optional(table, "action_required", path, self.text),
            waiting_on=self.optional(table, "waiting_on", path, self.text),
            closed=self.flag(table.get("closed", False), f"{path}.closed"),
            sub_statuses=self.named(table.get("sub_statuses", {}), f"{path}.sub_statuses", self.sub_status),
        )

    def transition(self, data: object, path: str) -> Transition:
        keys = ("event", "by", "from", "to", "when", "needs", "refuse")
        row = self.table(data, path, keys, required=("event", "by", "from"))
        return Transition(
            event=self.name(row["event"], f"{path}.event") if "event" in row else "",
            by=self.names(row["by"], f"{path}.by") if "by" in row else (),
            from_=self.names(row["from"], f"{path}.from") if "from" in row else (),
            to=self.optional(row, "to", path, self.text),
            when=self.optional(row, "when", path, self.when),
            needs=self.names(row["needs"], f"{path}.needs", known=("assignee",), empty=True)
            if "needs" in row
            else (),
            refuse=self.flag(row.get("refuse", False), f"{path}.refuse"),
        )

    def when(self, value: object, path: str) -> str:
        return self.choice(value, path, ("assigned", "unassigned"))

    def timer(self, name: str, data: object, path: str) -> Timer:
        keys = ("in", "kind", "audience", "after", "repeat", "notice", "to")
        table = self.table(data, path, keys, required=("in", "after"))
        to = self.optional(table, "to", path, self.text)
        kind = self.optional(table, "kind", path, self.kind)
        if to is not None and "kind" in table:
            self.wrong(f"{path}.kind", "a timer with a 'to' has no kind of its own: leave it out")
        if to is None and "kind" not in table and isinstance(data, Mapping):
            self.wrong(path, "needs a kind ('remind' or 'notify'), or a 'to'")
        after = self.length(table["after"], f"{path}.after") if "after" in table else _ANY_LENGTH
        repeat = self.optional(table, "repeat", path, self.repeat)
        if repeat is not None:
            self.repeatable(after, repeat, to, f"{path}.repeat")
        return Timer(
            name=name,
            in_=self.names(table["in"], f"{path}.in") if "in" in table else (),
            kind=kind or "",
            after=after,
            audience=self.optional(table, "audience", path, self.text),
            repeat=repeat,
            notice=self.optional(table, "notice", path, self.length),
            to=to,
        )

    def repeatable(self, after: Length, repeat: Repeat, to: str | None, path: str) -> None:
        if to is not None:
            self.wrong(path, "a timer with a 'to' moves the case away: it cannot repeat")
        if after is _ANY_LENGTH or repeat.every is _ANY_LENGTH:
            return
        if repeat.every.unit != after.unit:
            self.wrong(f"{path}.every", f"must be of the kind of 'after' ({after}), not {repeat.every}")
        elif _days(after.unit, after.amount + repeat.every.amount * (repeat.times - 1)) > _LONGEST_DAYS:
            self.wrong(path, _TOO_LONG)

    def kind(self, value: object, path: str) -> str:
        return self.choice(value, path, ("remind", "notify"))

    def repeat(self, data: object, path: str) -> Repeat:
        table = self.table(data, path, ("every", "times"), required=("every", "times"))
        times = table.get("times", 1)
        every = self.length(table["every"], f"{path}.every") if "every" in table else _ANY_LENGTH
        if not self.whole(times) or not 1 <= cast("int", times) <= MOST_REPEATS:
            self.wrong(f"{path}.times", f"a whole number from 1 to {MOST_REPEATS}, not {shown(times)}")
            times = 1
        if not every.amount:
            self.wrong(f"{path}.every", "must be longer than nothing")
        return Repeat(every=every, times=cast("int", times))

    def length(self, data: object, path: str) -> Length:
        before = len(self.problems)
        table = self.table(data, path, (*_SECONDS, *_CALENDAR_UNITS))
        if len(self.problems) == before and not table:
            self.wrong(
                path,
                "needs a length, such as {days = 14}; the units are "
                f"{one_of((*_SECONDS, *_CALENDAR_UNITS))}",
            )
        for unit, amount in table.items():
            if not self.whole(amount):
                self.wrong(f"{path}.{unit}", f"a whole number, not {shown(amount)}")
            elif cast("int", amount) < (least := int(unit in _CALENDAR_UNITS)):
                self.wrong(f"{path}.{unit}", f"at least {least}, not {shown(amount)}")
        calendar_unit: Unit | None = next((unit for unit in _CALENDAR_UNITS if unit in table), None)
        if calendar_unit and len(table) > 1:
            others = one_of(unit for unit in table if unit != calendar_unit)
            self.wrong(path, f"{calendar_unit} stands alone, without {others}")
        if len(self.problems) > before:
            return _ANY_LENGTH
        amounts = cast("Mapping[str, int]", table)
        kind: Unit = calendar_unit or "elapsed"
        amount = sum(_SECONDS.get(unit, 1) * number for unit, number in amounts.items())
        if _days(kind, amount) > _LONGEST_DAYS:
            self.wrong(path, _TOO_LONG)
            return _ANY_LENGTH
        return Length(kind, amount)

    # the shapes that a value can have

    def wrong(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def table(
        self, data: object, path: str, known: Sequence[str], *, required: Sequence[str] = ()
    ) -> Mapping[str, object]:
        if not isinstance(data, Mapping):
            self.wrong(path, f"must be a table, not {shown(data)}")
            return {}
        data = cast("Mapping[str, object]", data)
        for key in data:
            if key not in known:
                here = key_text(key)
                self.wrong(f"{path}.{here}" if path else here, f"unknown key{_hint(key, known)}")
        for key in required:
            if key not in data:
                self.wrong(f"{path}.{key}" if path else key, "is missing")
        return {key: value for key, value in data.items() if key in known}

    def named(self, data: object, path: str, read: Callable[[str, object, str], _T]) -> Mapping[str, _T]:
        if not isinstance(data, Mapping):
            self.wrong(path, f"must be a table of named tables, not {shown(data)}")
            return MappingProxyType({})
        named = {
            self.name(key, f"{path}.{key_text(key)}") or key_text(key): value
            for key, value in cast("Mapping[str, object]", data).items()
        }
        return MappingProxyType({name: read(name, value, f"{path}.{name}") for name, value in named.items()})

    def optional(
        self, table: Mapping[str, object], key: str, path: str, read: Callable[[object, str], _T]
    ) -> _T | None:
        return read(table[key], f"{path}.{key}") if key in table else None

    def array(self, value: object, path: str) -> Sequence[object]:
        if isinstance(value, (list, tuple)):
            return cast("Sequence[object]", value)
        self.wrong(path, f"must be a list, not {shown(value)}")
        return ()

    def names(
        self, value: object, path: str, *, known: Sequence[str] = (), new: bool = False, empty: bool = False
    ) -> tuple[str, ...]:
        """A list of names, or one in its place: of ``known`` ones, or ``new`` ones of the policy's own."""
        before = len(self.problems)
        seen: set[str] = set()
        entries = (value,) if isinstance(value, str) else self.array(value, path)
        for number, entry in enumerate(entries):
            here = path if isinstance(value, str) else f"{path}[{number}]"
            if not isinstance(entry, str) or not entry:
                self.wrong(here, f"must be a name, not {shown(entry)}")
            elif known and entry not in known:
                self.wrong(here, f"unknown name {shown(entry)}{_hint(entry, known)}")
            elif new and not re.fullmatch(_NAME, entry):
                self.name(entry, here)
            elif entry in seen:
                self.wrong(here, f"{shown(entry)} stands there twice")
            else:
                seen.add(entry)
        if not entries and not empty and len(self.problems) == before:
            self.wrong(path, "must name at least one")
        return tuple(str.__str__(entry) for entry in entries if isinstance(entry, str))

    def name(self, value: object, path: str, pattern: str = _NAME) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            hyphens = " or hyphens" if pattern is _POLICY_NAME else ""
            self.wrong(
                path,
                f"must be a name of lower-case letters, digits and underscores{hyphens}, "
                f"beginning with a letter, not {shown(value)}",
            )
            return ""
        return str.__str__(value)  # an enum's member would print as something else

    def text(self, value: object, path: str) -> str:
        if not isinstance(value, str) or not value:
            self.wrong(path, f"must be text, not {shown(value)}")
            return ""
        return str.__str__(value)

    def flag(self, value: object, path: str) -> bool:
        if not isinstance(value, bool):
            self.wrong(path, f"must be true or false, not {shown(value)}")
        return value is True

    def choice(self, value: object, path: str, known: Sequence[str]) -> str:
        if not isinstance(value, str) or value not in known:
            self.wrong(path, f"{shown(value)} is none of them{_hint(value, known)}")
            return known[0]
        return str.__str__(value)

    @staticmethod
    def whole(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)
