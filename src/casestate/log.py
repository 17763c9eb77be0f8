"""How a log of the past is read: which column holds what, what its statuses mean, and the stays it tells of.

A log is a sequence of rows. A **status log** has a row for each status that a case was given: case, instant,
status and perhaps sub-status. An **event log** has a row for each event: case, instant, event, role. `Case`
objects are a log too: their histories. A `LogMap` says how a foreign log is written; a `Reading` is that
map in the eyes of one policy.

Rows are put in order by instant, then by the ``order`` column if there is one, then as they came. Equal
consecutive statuses are one stay. Nothing that is read is dropped in silence: what is ignored, repeated,
out of order or taken for a local time is counted in `Counts`.
"""

from __future__ import annotations

import operator
import re
import tomllib

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, cast

import attrs

from casestate.calendars import Calendar
from casestate.case import Case
from casestate.clock import parse_instant
from casestate.errors import (
    CasestateError,
    InstantError,
    LogError,
    MissingArgument,
    NaiveLogTimeError,
    NaiveTimeError,
    PolicyError,
    Problem,
    key_text,
    nearest,
    one_of,
    shown,
)
from casestate.policy import CLONE, SYSTEM


if TYPE_CHECKING:
    import os

    from collections.abc import Callable, Iterator

    from casestate.policy import Policy
    from casestate.workflow import Workflow

__all__ = [
    "BEYOND",
    "LEFT_OUT",
    "MOST",
    "Cells",
    "Counts",
    "LogMap",
    "Meaning",
    "OnError",
    "Past",
    "Reading",
    "Restart",
    "Stay",
    "check_on_error",
    "load_map",
    "of_rows",
    "read",
    "whole_number",
]

OnError: TypeAlias = "Callable[[int, LogError], object]"
Restart: TypeAlias = Literal["change", "touch"]
Meaning: TypeAlias = "tuple[str | None, str | None]"
"""The state that a value stands for: while the case has been in no other, and later; none is ignored."""
Value: TypeAlias = "tuple[str, str | None]"
"""A status and a sub-status as the log writes them."""

IGNORE: Final = "ignore"
SOMEBODY: Final = "somebody"
"""The assignee of an event that needs one, where the log names none."""
OPEN: Final = "open"
"""The event that begins a case; a policy has no row for it."""
STATUS_COLUMNS: Final = ("case", "at", "status", "sub_status", "order")
EVENT_COLUMNS: Final = ("case", "at", "event", "by", "sub_status", "assignee", "order")
COLUMNS: Final = tuple(dict.fromkeys((*STATUS_COLUMNS, *EVENT_COLUMNS)))
LEFT_OUT: Final = ("by", "sub_status", "assignee")
"""What rows of JSON leave out where they have none, perhaps for a long while."""
NEEDED: Final = ("case", "at", "status", "event", "by")
ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "case": ("case", "case_id"),
    "at": ("at", "entered_at"),
}
"""The names that are looked for where the map gives none; the name itself, for those not here."""


_TUPLE: Final = {name: name for name in STATUS_COLUMNS[:4]}
"""The columns of a row that is a tuple."""
_LONG: Final = 100
"""From how many entries on the history of a case is forgotten, which nobody reads here."""
MOST: Final = 1_000
"""How many problems with rows are kept."""
BEYOND: Final = 10**18
"""Whole numbers from here on put nothing in order."""
_LONGEST: Final = 10**40
"""Whole numbers from here on name nothing."""
_WHOLE: Final = re.compile("-?[0-9]{1,18}")


class Stay(NamedTuple):
    """One stay of a case: its number, its state, when it began; and whence, if the log does not show it."""

    number: int
    state: str
    entered_at: datetime
    came_from: str | None = None


@attrs.define(kw_only=True)
class Counts:
    """What was read, and what had to be done to read it."""

    rows: int = 0
    bad: int = 0
    """Rows that could not be read."""
    ignored: int = 0
    """Rows that the map says to ignore."""
    ignored_cases: int = 0
    """Cases of which that was every row."""
    duplicates: int = 0
    """Rows that say what the row right before them says, at the same instant."""
    out_of_order: int = 0
    """Rows that stood, by ``order`` or in the log, before the row that is now right before them."""
    zoned: int = 0
    """Rows whose instant had no time zone, so that it was read in the one given."""
    repeated: int = 0
    """Those of them in an hour that the zone repeats: read as its first pass."""
    skipped: int = 0
    """Those of them at a time that the zone skips: read as the end of the gap."""
    first: datetime | None = None
    last: datetime | None = None
    """The first and the last instant of all rows that could be read."""
    values: Counter[Value] = attrs.field(factory=Counter[Value])
    """How often each status and sub-status, or event, stands in the log."""
    refused: Counter[tuple[str, str, str]] = attrs.field(factory=Counter[tuple[str, str, str]])
    """Events that the policy refuses, by state, event and role."""
    of_events: bool = False
    """Whether it is an event log: its values are events then, and have no meaning as states."""

    def seen(self, at: datetime) -> None:
        """Take an instant into the span of the log."""
        if self.first is None or at < self.first:
            self.first = at
        if self.last is None or at > self.last:
            self.last = at


# --- the map ------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class LogMap:
    """How a log is written: its columns, what its statuses or events mean, the zone of its clock.

    ``statuses`` maps a status of the log, or a status and a sub-status with a dot between them, to a
    state of the policy, to ``"ignore"``, or to ``{"first": …, "later": …}``: the first is meant
    while the case has been in no other state than that. ``events`` maps an event of the
    log to an event of the policy, to ``"open"``, to ``"ignore"``, or to a table of ``event``, ``by`` and
    ``sub_status``. Where neither is there, the log speaks the policy's own words.
    """

    columns: Mapping[str, str] = attrs.field(factory=dict[str, str])
    statuses: Mapping[str, Meaning] | None = None
    events: Mapping[str, Mapping[str, str]] | None = None
    zone: str | None = None

    @classmethod
    def from_dict(cls, data: object, *, source: str = "map") -> LogMap:
        """A map from its tables. Raises `LogError` with all that is wrong with them."""
        return _MapReader(source).map(data)


def load_map(source: str | os.PathLike[str] | Mapping[str, object]) -> LogMap:
    """Read a map: the path of a TOML file, or a mapping of the same shape.

    Raises `LogError` with every problem there is, each with its path.
    """
    if isinstance(source, Mapping):
        return LogMap.from_dict(source)
    try:
        path = Path(source)
    except TypeError:
        problem = Problem("", f"must be a path or a mapping, not {shown(source)}")
        raise LogError("map", [problem]) from None
    try:
        data = tomllib.loads(path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        message = f"is not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start}"
        raise LogError(str(path), [Problem("", message)]) from None
    except OSError as error:
        raise LogError(str(path), [Problem("", f"cannot be read: {error.strerror}")]) from None
    except (ValueError, RecursionError) as error:
        raise LogError(str(path), [Problem("", f"is not TOML: {error}")]) from None
    return LogMap.from_dict(data, source=str(path))


class _MapReader:
    """Reads the tables of a map, and keeps everything that is wrong with them."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def map(self, data: object) -> LogMap:
        tables = self.table("", data, ("columns", "statuses", "events", "zone"))
        columns = {
            name: str(self.text(f"columns.{name}", column))
            for name, column in self.table("columns", tables.get("columns", {}), COLUMNS).items()
        }
        statuses = events = None
        if "statuses" in tables:
            statuses = {
                value: self.meaning(f"statuses.{value}", meant)
                for value, meant in self.table("statuses", tables["statuses"]).items()
            }
        if "events" in tables:
            events = {
                value: self.event(f"events.{value}", meant)
                for value, meant in self.table("events", tables["events"]).items()
            }
        if statuses is not None and (events is not None or "event" in columns):
            self.wrong(
                "statuses", "and events cannot both be there: a log is of the one kind or of the other"
            )
        zone = self.text("zone", tables["zone"]) if "zone" in tables else None
        if self.problems:
            raise LogError(self.source, self.problems)
        return LogMap(columns=columns, statuses=statuses, events=events, zone=zone)

    def wrong(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def table(self, path: str, data: object, known: Sequence[str] = ()) -> dict[str, object]:
        if not isinstance(data, Mapping):
            self.wrong(path, f"must be a table, not {shown(data)}")
            return {}
        found: dict[str, object] = {}
        for key, value in cast("Mapping[object, object]", data).items():
            place = f"{path}.{key_text(key)}".lstrip(".")
            if not isinstance(key, str):
                self.wrong(place, "a key must be text")
            elif known and key not in known:
                self.wrong(place, f"is not known{nearest(key, known)} (there are: {one_of(known)})")
            else:
                found[key] = value
        return found

    def text(self, path: str, value: object) -> str:
        if isinstance(value, str) and value:
            return value
        self.wrong(path, f"must be text, not {shown(value)}")
        return ""

    def meaning(self, path: str, meant: object) -> Meaning:
        if isinstance(meant, str):
            state = _state(self.text(path, meant))
            return state, state
        if not _is_table(meant):
            self.wrong(
                path, f"must be a state, {IGNORE!r}, or a table of first and later, not {shown(meant)}"
            )
            return None, None
        table = self.table(path, meant, ("first", "later"))
        for name in ("first", "later"):
            if name not in table:
                self.wrong(f"{path}.{name}", "is missing: give both first and later")
        first, later = (
            _state(self.text(f"{path}.{name}", table[name])) if name in table else None
            for name in ("first", "later")
        )
        return first, later

    def event(self, path: str, meant: object) -> Mapping[str, str]:
        if isinstance(meant, str):
            return {"event": self.text(path, meant)}
        if not _is_table(meant):
            self.wrong(path, f"must be an event, {IGNORE!r}, or a table of event and by, not {shown(meant)}")
            return {}
        table = self.table(path, meant, ("event", "by", "sub_status"))
        if "event" not in table:
            self.wrong(f"{path}.event", "is missing")
        return {name: self.text(f"{path}.{name}", value) for name, value in table.items()}


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _state(text: str) -> str | None:
    return None if text == IGNORE else text


# --- a map in the eyes of a policy -----------------------------------------------


class Reading:
    """A map in the eyes of one policy: what the values of a log mean.

    Raises `LogError` with every state, event, role and zone of the map that the policy does not know.
    """

    def __init__(
        self,
        policy: Policy,
        mapping: LogMap | str | os.PathLike[str] | Mapping[str, object] | None = None,
        *,
        zone: str | None = None,
        restart: Restart = "change",
    ) -> None:
        self.policy = policy
        self.map = (
            mapping if isinstance(mapping, LogMap) else load_map(mapping) if mapping is not None else LogMap()
        )
        timers = dict.fromkeys(timer.name for schedule in policy.schedules.values() for timer in schedule)
        self.timers = frozenset(timers) - frozenset(policy.events)
        """The names by which an event can only mean a timer."""
        self.events = (*policy.events, OPEN, IGNORE, *timers)
        """What an event of a log may mean; by the name of a timer, that it has fired."""
        self.roles = tuple(dict.fromkeys((*policy.roles, *[SYSTEM] * bool(timers))))
        """Who may have caused it; a timer has nobody else, even if the policy does not name that role."""
        problems = [*self._unknown_statuses(), *self._unknown_events()]
        if restart not in ("change", "touch"):
            problems.append(Problem("restart", f"must be 'change' or 'touch', not {shown(restart)}"))
        self.restart: Restart = restart
        self.zone = self.map.zone if zone is None else zone
        self.calendar: Calendar | None = None
        """The clock of instants without a time zone."""
        if self.zone is not None:
            self.calendar = Calendar(zone=self.zone)
            try:
                self.calendar.instant_of(datetime(2000, 1, 1))  # noqa: DTZ001 - a time on the wall
            except (PolicyError, TypeError):
                problems.append(Problem("zone", f"no time zone {shown(self.zone)}"))
        if problems:
            raise LogError("map", problems)
        self._meanings: dict[Value, Meaning | None] = {}

    def _unknown_statuses(self) -> Iterator[Problem]:
        known = (*self.policy.states, *self.policy.statuses)
        for value, meanings in (self.map.statuses or {}).items():
            for state in dict.fromkeys(meanings):
                if state is not None and state not in known:
                    message = f"no state of {self.policy.name}: {shown(state)}{nearest(state, known)}"
                    yield Problem(
                        f"statuses.{value}", f"{message} (there are: {one_of(self.policy.states)}, {IGNORE})"
                    )

    def _unknown_events(self) -> Iterator[Problem]:
        subs = dict.fromkeys(sub for status in self.policy.statuses.values() for sub in status.sub_statuses)
        known = {"event": self.events, "by": self.roles, "sub_status": tuple(subs)}
        for value, meant in (self.map.events or {}).items():
            for name, names in known.items():
                if name in meant and meant[name] not in names:
                    hint = f"{nearest(meant[name], names)} (there are: {one_of(names)})"
                    yield Problem(
                        f"events.{value}", f"no {name} of {self.policy.name}: {shown(meant[name])}{hint}"
                    )

    def columns(self, there: Iterable[str]) -> dict[str, str]:
        """Which column of those that are ``there`` holds what, by the names of `COLUMNS`.

        Raises `LogError` with all that are missing.
        """
        there = tuple(there)
        given = self.map.columns
        has_events = "event" in given or self.map.events is not None
        if self.map.statuses is None and "status" not in given and "status" not in there:
            has_events = has_events or "event" in there
        wanted = EVENT_COLUMNS if has_events else STATUS_COLUMNS
        found: dict[str, str] = {}
        problems: list[Problem] = []
        for name in given:
            if name not in wanted:
                kind = "events" if has_events else "statuses"
                problems.append(Problem(f"columns.{name}", f"is nothing that a log of {kind} has"))
        for name in wanted:
            names = (given[name],) if name in given else ALIASES.get(name, (name,))
            column = next((column for column in names if column in there), None)
            if column is not None:
                found[name] = column
            elif name in given or (name in NEEDED and not (name == "by" and self._roles_are_known())):
                hint = nearest(names[0], there)
                problems.append(
                    Problem(
                        f"columns.{name}",
                        f"the log has no column {shown(names[0])}{hint} (there are: {one_of(there)}); "
                        "say in the map which one it is",
                    )
                )
        for name, column in found.items():
            other = next(other for other in found if found[other] == column)
            if other != name:
                problems.append(Problem(f"columns.{name}", f"{shown(column)} is the column of {other} too"))
        if problems:
            raise LogError("log", problems)
        return found

    def _roles_are_known(self) -> bool:
        no_role = {IGNORE, OPEN, *self.timers}
        return self.map.events is not None and all(
            "by" in meant or meant.get("event") in no_role for meant in self.map.events.values()
        )

    def meaning(self, status: str, sub_status: str | None) -> Meaning | None:
        """What a status and a sub-status of the log mean; none if nobody has said."""
        value = status, sub_status
        if value not in self._meanings:
            self._meanings[value] = self._resolved(status, sub_status)
        return self._meanings[value]

    def _resolved(self, status: str, sub_status: str | None) -> Meaning | None:
        whole = status if sub_status is None else f"{status}.{sub_status}"
        table = self.map.statuses
        if table is None:
            return (whole, whole) if whole in self.policy.states else None
        found = table.get(whole) or table.get(status)
        if found is None:
            return None
        # A status with sub-statuses is completed by that of the row.
        states = tuple(
            state if state is None or state in self.policy.states else f"{state}.{sub_status}"
            for state in found
        )
        known = all(state is None or state in self.policy.states for state in states)
        return cast("Meaning", states) if known else None

    def unmapped(self, values: Mapping[Value, int]) -> list[Problem]:
        """A problem for each of the ``values`` of a log that has no meaning, the most frequent first."""
        lost = [(count, value) for value, count in values.items() if self.meaning(*value) is None]
        table = self.map.statuses or {}
        problems = [
            Problem(
                f"statuses.{_text(value)}",
                f"needs a sub-status that is not in {_rows(count)}"
                if value[1] is None and value[0] in table
                else f"is not mapped, and stands in {_rows(count)}",
            )
            for count, value in sorted(lost, key=lambda each: (-each[0], _text(each[1])))
        ]
        return [*problems, *_remedy("statuses", "a state", (*self.policy.states, IGNORE), problems)]

    def unmapped_events(self, values: Mapping[Value, int]) -> list[Problem]:
        """The same for the events of a log."""
        known = self.events if self.map.events is None else tuple(self.map.events)
        lost = [(count, event) for (event, _), count in values.items() if event not in known]
        problems = [
            Problem(f"events.{event}", f"is not mapped, and stands in {_rows(count)}")
            for count, event in sorted(lost, key=lambda each: (-each[0], each[1]))
        ]
        return [*problems, *_remedy("events", "an event", self.events, problems)]

    def unused(self, values: Mapping[Value, int]) -> tuple[str, ...]:
        """The statuses or events of the map that the log does not have: misspelt, perhaps."""
        table = self.map.statuses if self.map.statuses is not None else self.map.events or {}
        there = {text for value in values for text in (_text(value), value[0])}
        return tuple(value for value in table if value not in there)


def _text(value: Value) -> str:
    status, sub_status = value
    return status if sub_status is None else f"{status}.{sub_status}"


def _remedy(table: str, what: str, known: Iterable[str], problems: Sequence[Problem]) -> Iterator[Problem]:
    """What to do about the ``problems``, said once for all of them."""
    if problems:
        yield Problem(table, f"map each of these to {what} (there are: {one_of(known)})")


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


# --- rows ---------------------------------------------------------------------


class Past:
    """A log that has been read: the stays of every case, and what was counted on the way."""

    def __init__(self, counts: Counts, stays: Mapping[str, Sequence[Stay]]) -> None:
        self.counts = counts
        self.stays = stays
        """By case, in the order in which the log first names them."""


def read(
    log: Iterable[object],
    workflow: Workflow,
    reading: Reading,
    *,
    on_error: OnError | None = None,
) -> Past:
    """Read a whole log: mappings, tuples of (case, at, status, sub_status), or `Case` objects.

    A row that cannot be read is passed with its number to ``on_error``; without it all such
    rows are raised together.

    Raises `LogError` (a `NaiveTimeError` as well where instants have no time zone) for bad
    rows, missing columns, values that are not mapped, and a log without rows.
    """
    check_on_error(on_error)
    given: object = log
    columns = getattr(given, "columns", None)
    is_frame = columns is not None and not callable(columns)
    if isinstance(log, str | bytes | Mapping) or is_frame or not isinstance(log, Iterable):
        hint = "; a dataframe goes to casestate.frames.replay" if is_frame else ""
        hint = "; open the file: csv.DictReader(…)" if isinstance(log, str) else hint
        what = f"a {type(given).__name__}" if is_frame else shown(given)
        raise LogError("log", [Problem("", f"must be an iterable of rows, not {what}{hint}")])
    reader = _Reader(workflow, reading, on_error)
    for row in log:
        reader.take(row)
    return reader.past()


class _Bad(Exception):
    """What is wrong with a row."""

    def __init__(self, problems: Sequence[Problem], *, naive: bool = False) -> None:
        super().__init__(*problems)
        self.problems = problems
        self.naive = naive


class _Row(NamedTuple):
    """A row as it is put in order: instants, then ``order``, then its number decide."""

    at: datetime
    order: int
    number: int
    says: tuple[str | None, ...]


class _Reader:
    """Takes rows one by one, and puts them in order at the end."""

    def __init__(self, workflow: Workflow, reading: Reading, on_error: OnError | None) -> None:
        self.workflow = workflow
        self.reading = reading
        self.on_error = on_error
        self.counts = Counts()
        self.rows: dict[str, list[_Row]] = {}
        self.stays: dict[str, list[Stay]] = {}
        self.columns: Mapping[str, str] | None = None
        self.kind = ""
        self.problems: list[Problem] = []
        self.naive = False

    def take(self, row: object) -> None:
        self.counts.rows += 1
        number = self.counts.rows
        try:
            self.check_kind(row)
            if isinstance(row, Case):
                self.take_case(row)
            else:
                self.take_row(number, *self.fields(row))
        except _Bad as bad:
            self.counts.bad += 1
            if self.on_error is not None:
                kind = NaiveLogTimeError if bad.naive else LogError
                self.on_error(number, kind(f"row {number}", bad.problems))
                return
            self.naive = self.naive or bad.naive
            if len(self.problems) < MOST:
                self.problems += [Problem(f"row {number}", str(problem)) for problem in bad.problems]

    def check_kind(self, row: object) -> None:
        """See that a row is of the kind that the first one is of."""
        kind = _kind(row)
        self.kind = self.kind or kind
        if kind != self.kind:
            raise _Bad([Problem("", f"is a {kind}, but the log begins with a {self.kind}")])

    def fields(self, row: object) -> tuple[Mapping[str, object], Mapping[str, str]]:
        """A row as a mapping, and its columns: those of the first mapping hold for all."""
        if not isinstance(row, Mapping):
            return dict(zip(STATUS_COLUMNS, cast("Sequence[object]", row), strict=False)), _TUPLE
        fields = cast("Mapping[str, object]", row)
        if self.columns is None:
            columns = self.reading.columns([name for name in fields if isinstance(name, str)])
            for name in LEFT_OUT if "event" in columns else ("sub_status",):
                columns.setdefault(name, name)
            self.columns = columns
        if None in fields:
            over = cast("Mapping[object, object]", fields)[None]  # where csv puts it
            raise _Bad([Problem("", f"has more cells than there are columns: {shown(over)}")])
        return fields, self.columns

    def take_row(self, number: int, fields: Mapping[str, object], columns: Mapping[str, str]) -> None:
        cells = Cells(fields, columns, self.reading)
        case = cells.text("case")
        at = cells.instant()
        order = cells.order()
        if "event" in columns:
            value: tuple[str | None, str | None] = cells.text("event"), None
            says: tuple[str | None, ...] = cells.event(value[0])
        else:
            says = value = cells.text("status"), cells.text("sub_status", needed=False)
        if cells.problems:
            raise _Bad(cells.problems, naive=cells.naive)
        self.counts.values[cast("Value", value)] += 1
        if cells.local is not None:
            repeated = cast("Calendar", self.reading.calendar).is_repeated(cells.local)
            self.counts.zoned += 1
            self.counts.repeated += repeated is True
            self.counts.skipped += repeated is None
        self.counts.seen(cast("datetime", at))
        self.rows.setdefault(cast("str", case), []).append(_Row(cast("datetime", at), order, number, says))

    def take_case(self, case: Case) -> None:
        """The stays that the history of a case tells of; with a map of statuses they are rows like others."""
        reading, stays = self.reading, _stays_of_case(case)
        problems: list[Problem] = []
        if reading.map.statuses is None:
            known = reading.policy.states
            problems += [
                Problem(
                    "history", f"no state of {reading.policy.name}: {shown(state)}{nearest(state, known)}"
                )
                for state in dict.fromkeys(stay.state for stay in stays)
                if state not in known
            ]
        if case.id in self.stays or case.id in self.rows:
            problems.append(Problem("id", f"the case {shown(case.id)} is there twice"))
        if problems:
            raise _Bad(problems)
        self.counts.seen(case.changed_at)
        rows: list[_Row] = []
        for stay in stays:
            self.counts.seen(stay.entered_at)
            status, _, sub_status = stay.state.partition(".")
            value = status, sub_status or None
            self.counts.values[value] += 1
            rows.append(_Row(stay.entered_at, 0, stay.number, value))
        if reading.map.statuses is None:
            self.stays[case.id] = stays
        else:
            self.rows[case.id] = rows

    def past(self) -> Past:
        """What has been read; raises everything that is wrong with it."""
        counts, reading = self.counts, self.reading
        problems = of_rows(counts, self.problems)
        has_events = counts.of_events = self.columns is not None and "event" in self.columns
        if has_events:
            problems += reading.unmapped_events(counts.values)
        elif self.rows:
            problems += reading.unmapped(counts.values)
        if problems:
            raise (NaiveLogTimeError if self.naive else LogError)("log", problems)
        for case, rows in self.rows.items():
            rows.sort()
            self.count_neighbours(rows)
            stays = self.stays_of_events(case, rows) if has_events else self.stays_of_statuses(rows)
            counts.ignored_cases += not stays
            if stays:
                self.stays[case] = stays
        return Past(counts, self.stays)

    def count_neighbours(self, rows: Sequence[_Row]) -> None:
        for before, row in pairwise(rows):
            if (row.order, row.number) < (before.order, before.number):
                self.counts.out_of_order += 1
            if (row.at, row.says) == (before.at, before.says):
                self.counts.duplicates += 1

    def stays_of_statuses(self, rows: Sequence[_Row]) -> list[Stay]:
        meaning, touch = self.reading.meaning, self.reading.restart == "touch"
        stays: list[Stay] = []
        only: str | None = None
        """The state that the case has been in, as long as it has been in no other."""
        moved = False
        for row in rows:
            first, later = cast("Meaning", meaning(*cast("Value", row.says)))
            state = first if not moved and only in (None, first) else later
            if state is None:
                self.counts.ignored += 1
                continue
            if only is None:
                only = state
            elif state != only:
                moved = True
            if touch or not stays or stays[-1].state != state:
                stays.append(Stay(len(stays) + 1, state, row.at))
        return stays

    def stays_of_events(self, case: str, rows: Sequence[_Row]) -> list[Stay]:
        """The events run through the workflow; one that is refused leaves the case as it was."""
        desk, found = self.workflow, None
        stays: list[Stay] = []
        for row in rows:
            event, by, sub_status, assignee = row.says
            if event == IGNORE:
                self.counts.ignored += 1
                continue
            if found is None:
                found = desk.open(case, at=row.at)
                stays.append(Stay(1, found.state, row.at))
                if event == OPEN:
                    continue
            after = self.after(found, cast("str", event), by or "", sub_status, assignee, row.at)
            if after is None:
                self.counts.refused[found.state, cast("str", event), by or ""] += 1
                continue
            if after.stay != found.stay:
                stays.append(Stay(after.stay, after.state, after.entered_at))
            found = after if len(after.history) < _LONG else attrs.evolve(after, history=(), clones=())
        return stays

    def after(
        self, case: Case, event: str, by: str, sub_status: str | None, assignee: str | None, at: datetime
    ) -> Case | None:
        """The case after an event, or after a timer that ``system`` says has fired; none if it is refused.

        An event takes what its row asks for, and no more.
        """
        desk = self.workflow
        fired = [timer for timer in desk.policy.schedules[case.state] if timer.name == event and by == SYSTEM]
        if fired:
            return _moved(case, fired[0].to, at)
        given: dict[str, str] = {}
        while True:
            try:
                if event == CLONE:
                    return desk.clone(case, f"{case.id}#{len(case.clones)}", by=by, at=at)[0]
                return desk.apply(case, event, by=by, at=at, **given)
            except MissingArgument as missing:
                value = sub_status if missing.argument == "sub_status" else assignee or SOMEBODY
                if value is None or missing.argument in given:
                    return None
                given[missing.argument] = value
            except CasestateError:
                return None


def _moved(case: Case, to: str | None, at: datetime) -> Case:
    """The case after a timer has fired, whenever that was: the past need not have gone by this policy."""
    if to is None:
        return case
    status, _, sub_status = to.partition(".")
    return attrs.evolve(
        case,
        status=status,
        sub_status=sub_status or None,
        entered_at=at,
        stay=case.stay + 1,
        previous=case.previous if status == case.status else case.state,
        history=(),
    )


def of_rows(counts: Counts, problems: Sequence[Problem]) -> list[Problem]:
    """The ``problems`` with rows, of which about the first `MOST` are kept, and what they come to."""
    if len(problems) >= MOST:
        return [*problems, Problem("", f"{_rows(counts.bad)} are bad; the first of them stand above")]
    if not problems and counts.rows == counts.bad:
        what = f"none of its {_rows(counts.bad)} can be read" if counts.bad else "has no rows"
        return [Problem("", f"{what}: there is nothing to replay")]
    return [*problems]


def check_on_error(on_error: OnError | None) -> OnError | None:
    """What is told of bad rows. Raises `LogError` for what cannot be called."""
    if on_error is not None and not callable(on_error):
        raise LogError("on_error", [Problem("", f"must be something to call, not {shown(on_error)}")])
    return on_error


def _kind(row: object) -> str:
    """What a row is. Raises `_Bad` for what is none."""
    if isinstance(row, Case):
        return "Case"
    if isinstance(row, Mapping):
        return "mapping"
    given = row
    if (
        isinstance(row, Sequence)
        and not isinstance(row, str | bytes)
        and len(cast("Sequence[object]", row)) in (3, 4)
    ):
        return "tuple"
    message = "must be a mapping, a tuple of case, at, status and sub_status, or a Case"
    raise _Bad([Problem("", f"{message}, not {shown(given)}")])


def _stays_of_case(case: Case) -> list[Stay]:
    """The stays of which a case says when they began: the present one, and those that its history shows."""
    stays: list[Stay] = []
    if case.history:
        first = case.history[0]
        stayed = first.from_state == first.to_state
        if stayed and first.stay == 2:
            # Entered once more, or already so when another system handed the case over.
            stayed = case.entered_at != first.at if case.stay == 2 else case.opened_at is None
        last = first.stay if stayed else first.stay - 1
        if case.opened_at is not None and last == 1:
            stays.append(Stay(1, first.from_state, case.opened_at))
        for change in case.history:
            if change.stay != last:
                came_from = None if stays else change.from_state
                stays.append(Stay(change.stay, change.to_state, change.at, came_from))
            last = change.stay
    if not stays or stays[-1].number != case.stay:
        stays.append(Stay(case.stay, case.state, case.entered_at, None if stays else case.previous))
    return stays


def whole_number(value: object) -> int | None:
    """A whole number, of numpy as well, if it is one."""
    if isinstance(value, bool | str):
        return None
    try:
        return operator.index(cast("Any", value))
    except TypeError:
        return None


def _is_absent(value: object) -> bool:
    """Whether a cell is none, or the NaN that pandas makes of none."""
    return value is None or (isinstance(value, float | datetime) and value != value)  # noqa: PLR0124 - NaN, NaT


class Cells:
    """The cells of one row, and what is wrong with them."""

    __slots__ = ("columns", "fields", "local", "naive", "problems", "reading")

    def __init__(self, fields: Mapping[str, object], columns: Mapping[str, str], reading: Reading) -> None:
        self.fields = fields
        self.columns = columns
        self.reading = reading
        self.problems: list[Problem] = []
        self.naive = False
        self.local: datetime | None = None
        """The time on the wall, if the row gives no more than that."""

    def wrong(self, name: str, message: str) -> None:
        self.problems.append(Problem(self.columns[name], message))

    def text(self, name: str, *, needed: bool = True) -> str | None:
        if name not in self.columns:
            return None
        value = self.fields.get(self.columns[name])
        if isinstance(value, str) and (text := str.__str__(value).strip()):
            return text
        whole = None if isinstance(value, str) else whole_number(value)
        if whole is not None and abs(whole) < _LONGEST:
            return str(whole)
        if not isinstance(value, str) and not _is_absent(value):
            self.wrong(name, f"must be text, not {shown(value)}")
        elif needed:
            self.wrong(name, "is missing")
        return None

    def instant(self) -> datetime | None:
        value = self.fields.get(self.columns["at"])
        if isinstance(value, str):
            value = value.strip()
        if _is_absent(value) or (isinstance(value, str) and not value):
            self.wrong("at", "is missing")
            return None
        try:
            return parse_instant(value, "at")
        except NaiveTimeError as error:
            self.local = cast("datetime", error.value)
        except InstantError:
            self.wrong("at", f"{shown(value)} is no instant such as 2026-03-01T12:00:00Z")
            return None
        if self.reading.calendar is None:
            self.naive = True
            self.wrong("at", f"{self.local} has no time zone: say which one the log is of (zone=, --zone)")
            return None
        try:
            return self.reading.calendar.instant_of(self.local)
        except InstantError as error:
            self.wrong("at", str(error))
            return None

    def order(self) -> int:
        if "order" not in self.columns:
            return 0
        value = self.fields.get(self.columns["order"])
        whole = whole_number(value)
        if whole is not None and abs(whole) < BEYOND:
            return whole
        text = value.strip() if isinstance(value, str) else ""
        if not _WHOLE.fullmatch(text):
            is_missing = value == "" or _is_absent(value)
            self.wrong("order", "is missing" if is_missing else f"must be a whole number, not {shown(value)}")
            return 0
        return int(text)

    def event(self, value: str | None) -> tuple[str | None, str | None, str | None, str | None]:
        """What an event of the log says: event, role, sub-status and assignee, as the policy names them."""
        by, sub_status, assignee = (
            self.text(name, needed=False) for name in ("by", "sub_status", "assignee")
        )
        table = self.reading.map.events
        meant = {"event": value} if table is None else table.get(value or "", {})
        event = meant.get("event")
        by = meant.get("by", by)
        if by is None and event in self.reading.timers:
            by = SYSTEM
        known = self.reading.roles
        if event not in (None, IGNORE, OPEN) and by not in known:
            name = "by" if "by" in self.columns else "event"
            self.wrong(name, f"no role {shown(by)}{nearest(by, known)} (there are: {one_of(known)})")
        return event, by, meant.get("sub_status", sub_status), assignee
