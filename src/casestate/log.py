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

import re
import tomllib

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, cast

import attrs

from casestate.calendars import Calendar
from casestate.case import Case
from casestate.clock import parse_instant
from casestate.errors import (
    CasestateError,
    InstantError,
    LogError,
    NaiveLogTimeError,
    NaiveTimeError,
    PolicyError,
    Problem,
    key_text,
    nearest,
    one_of,
    shown,
)
from casestate.policy import CLONE


if TYPE_CHECKING:
    import os

    from collections.abc import Callable, Iterator

    from casestate.policy import Policy
    from casestate.workflow import Workflow

__all__ = [
    "Cells",
    "Counts",
    "LogMap",
    "Meaning",
    "Past",
    "Reading",
    "Restart",
    "Stay",
    "load_map",
    "nothing_read",
    "read",
]

Restart: TypeAlias = Literal["change", "touch"]
Meaning: TypeAlias = "tuple[str | None, str | None]"
"""The state that a value stands for: while the case has been in no other, and later; none is ignored."""
Value: TypeAlias = "tuple[str, str | None]"
"""A status and a sub-status as the log writes them."""

IGNORE: Final = "ignore"
OPEN: Final = "open"
"""The event that begins a case; a policy has no row for it."""
STATUS_COLUMNS: Final = ("case", "at", "status", "sub_status", "order")
EVENT_COLUMNS: Final = ("case", "at", "event", "by", "sub_status", "assignee", "order")
COLUMNS: Final = tuple(dict.fromkeys((*STATUS_COLUMNS, *EVENT_COLUMNS)))
NEEDED: Final = ("case", "at", "status", "event", "by")
ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "case": ("case", "case_id", "id"),
    "at": ("at", "entered_at"),
}
"""The names that are looked for where the map gives none; the name itself, for those not here."""


_TUPLE: Final = {name: name for name in STATUS_COLUMNS[:4]}
"""The columns of a row that is a tuple."""
_WHOLE: Final = re.compile("-?[0-9]{1,18}")


class Stay(NamedTuple):
    """One stay of a case: its number, its state, and when it began."""

    number: int
    state: str
    entered_at: datetime


@attrs.define(kw_only=True)
class Counts:
    """What was read, and what had to be done to read it."""

    rows: int = 0
    bad: int = 0
    """Rows that could not be read."""
    ignored: int = 0
    """Rows that the map says to ignore."""
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
        table = self.table(path, meant, ("first", "later"))
        for name in ("first", "later"):
            if isinstance(meant, Mapping) and name not in table:
                self.wrong(f"{path}.{name}", "is missing: give both first and later")
        first, later = (
            _state(self.text(f"{path}.{name}", table[name])) if name in table else None
            for name in ("first", "later")
        )
        return first, later

    def event(self, path: str, meant: object) -> Mapping[str, str]:
        if isinstance(meant, str):
            return {"event": self.text(path, meant)}
        table = self.table(path, meant, ("event", "by", "sub_status"))
        if isinstance(meant, Mapping) and "event" not in table:
            self.wrong(f"{path}.event", "is missing")
        return {name: self.text(f"{path}.{name}", value) for name, value in table.items()}


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
            except PolicyError:
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
        events = (*self.policy.events, OPEN, IGNORE)
        for value, meant in (self.map.events or {}).items():
            for name, known in (("event", events), ("by", self.policy.roles)):
                if name in meant and meant[name] not in known:
                    hint = f"{nearest(meant[name], known)} (there are: {one_of(known)})"
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
        if problems:
            raise LogError("log", problems)
        return found

    def _roles_are_known(self) -> bool:
        return self.map.events is not None and all(
            "by" in meant or meant.get("event") in (IGNORE, OPEN) for meant in self.map.events.values()
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
        return [
            Problem(
                f"statuses.{_text(value)}",
                f"is not mapped, and stands in {_rows(count)}; map it to a state "
                f"(there are: {one_of(self.policy.states)}) or to {IGNORE!r}",
            )
            for count, value in sorted(lost, key=lambda each: (-each[0], _text(each[1])))
        ]

    def unmapped_events(self, values: Mapping[Value, int]) -> list[Problem]:
        """The same for the events of a log."""
        events = (*self.policy.events, OPEN, IGNORE)
        known = events if self.map.events is None else tuple(self.map.events)
        lost = [(count, event) for (event, _), count in values.items() if event not in known]
        return [
            Problem(
                f"events.{event}",
                f"is not mapped, and stands in {_rows(count)}; map it to an event "
                f"(there are: {one_of(events)})",
            )
            for count, event in sorted(lost, key=lambda each: (-each[0], each[1]))
        ]

    def unused(self, values: Mapping[Value, int]) -> tuple[str, ...]:
        """The statuses or events of the map that the log does not have: misspelt, perhaps."""
        table = self.map.statuses if self.map.statuses is not None else self.map.events or {}
        there = {text for value in values for text in (_text(value), value[0])}
        return tuple(value for value in table if value not in there)


def _text(value: Value) -> str:
    status, sub_status = value
    return status if sub_status is None else f"{status}.{sub_status}"


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
    on_error: Callable[[int, LogError], object] | None = None,
) -> Past:
    """Read a whole log: mappings, tuples of (case, at, status, sub_status), or `Case` objects.

    A row that cannot be read is passed with its number to ``on_error``; without it all such
    rows are raised together.

    Raises `LogError` (a `NaiveTimeError` as well where instants have no time zone) for bad
    rows, missing columns, values that are not mapped, and a log without rows.
    """
    given: object = log
    columns = getattr(given, "columns", None)
    is_frame = columns is not None and not callable(columns)
    if isinstance(given, str | bytes | Mapping) or is_frame or not isinstance(given, Iterable):
        hint = "; a dataframe goes to casestate.frames.replay" if is_frame else ""
        hint = "; open the file: csv.DictReader(…)" if isinstance(given, str) else hint
        raise LogError(
            "log", [Problem("", f"must be an iterable of rows, not {shown(cast('object', given))}{hint}")]
        )
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

    def __init__(
        self, workflow: Workflow, reading: Reading, on_error: Callable[[int, LogError], object] | None
    ) -> None:
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
            # What is over in a row of CSV stands under None.
            columns = self.reading.columns([name for name in fields if isinstance(name, str)])
            if "status" in columns:  # rows of JSON leave out what they have none of
                columns.setdefault("sub_status", "sub_status")
            self.columns = columns
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
        """The stays that the history of a case tells of."""
        known = self.reading.policy.states
        stays: list[Stay] = []
        if case.opened_at is not None or not case.history:
            stays.append(_first_stay(case))
        for change in case.history:
            if not stays or change.stay != stays[-1].number:
                stays.append(Stay(change.stay, change.to_state, change.at))
        lost = dict.fromkeys(stay.state for stay in stays if stay.state not in known)
        problems = [
            Problem(
                "history", f"no state of {self.reading.policy.name}: {shown(state)}{nearest(state, known)}"
            )
            for state in lost
        ]
        if case.id in self.stays:
            problems.append(Problem("id", f"the case {shown(case.id)} is there twice"))
        if problems:
            raise _Bad(problems)
        for stay in stays:
            self.counts.seen(stay.entered_at)
            status, _, sub_status = stay.state.partition(".")
            self.counts.values[status, sub_status or None] += 1
        self.counts.seen(case.changed_at)
        self.stays[case.id] = stays

    def past(self) -> Past:
        """What has been read; raises everything that is wrong with it."""
        counts, reading = self.counts, self.reading
        if not self.problems and counts.rows == counts.bad:
            self.problems.append(nothing_read(counts))
        has_events = counts.of_events = self.columns is not None and "event" in self.columns
        if has_events:
            self.problems += reading.unmapped_events(counts.values)
        elif self.rows:
            self.problems += reading.unmapped(counts.values)
        if self.problems:
            raise (NaiveLogTimeError if self.naive else LogError)("log", self.problems)
        find = self.stays_of_events if has_events else self.stays_of_statuses
        for case, rows in self.rows.items():
            rows.sort()
            self.count_neighbours(rows)
            stays = find(case, rows)
            if stays:
                self.stays[case] = stays
        return Past(counts, self.stays)

    def count_neighbours(self, rows: Sequence[_Row]) -> None:
        for before, row in pairwise(rows):
            if (row.order, row.number) < (before.order, before.number):
                self.counts.out_of_order += 1
            if (row.at, row.order, row.says) == (before.at, before.order, before.says):
                self.counts.duplicates += 1

    def stays_of_statuses(self, case: str, rows: Sequence[_Row]) -> list[Stay]:
        del case
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
            before = found
            try:
                if event == CLONE:
                    found, _ = desk.clone(found, f"{case}'", by=cast("str", by), at=row.at)
                else:
                    found = desk.apply(
                        found,
                        cast("str", event),
                        by=cast("str", by),
                        at=row.at,
                        sub_status=sub_status,
                        assignee=assignee,
                    )
            except CasestateError:
                self.counts.refused[before.state, cast("str", event), by or ""] += 1
            if found.stay != before.stay:
                stays.append(Stay(found.stay, found.state, found.entered_at))
            found = attrs.evolve(found, history=(), clones=())  # nobody reads them here
        return stays


def nothing_read(counts: Counts) -> Problem:
    """What is wrong with a log of which no row could be read."""
    what = f"none of its {_rows(counts.bad)} can be read" if counts.bad else "has no rows"
    return Problem("", f"{what}: there is nothing to replay")


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


def _first_stay(case: Case) -> Stay:
    """The stay that a case began with; the one that it is in, if it keeps no history."""
    if not case.history or case.opened_at is None:
        return Stay(case.stay, case.state, case.entered_at)
    return Stay(1, case.history[0].from_state, case.opened_at)


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
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None and not isinstance(value, str):
            self.wrong(name, f"must be text, not {shown(value)}")
        elif needed:
            self.wrong(name, "is missing")
        return None

    def instant(self) -> datetime | None:
        value = self.fields.get(self.columns["at"])
        if isinstance(value, str):
            value = value.strip()
        if value is None or value == "":
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
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        text = value.strip() if isinstance(value, str) else ""
        if not _WHOLE.fullmatch(text):
            self.wrong("order", f"must be a whole number, not {shown(value)}")
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
        if event not in (None, IGNORE, OPEN) and by not in self.reading.policy.roles:
            known = self.reading.policy.roles
            name = "by" if "by" in self.columns else "event"
            self.wrong(name, f"no role {shown(by)}{nearest(by, known)} (there are: {one_of(known)})")
        return event, by, meant.get("sub_status", sub_status), assignee
