"""A replay as a page that one would show: an HTML file that needs no network and no other file.

The page says in words and tables whatever its charts show. All texts of the log and of the policy are
strangers: the template escapes them, `casestate.report.charts` does for the drawings, and the page's own
Content Security Policy runs no script but the two that are known here by their hashes, and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from importlib import resources
from statistics import median
from typing import TYPE_CHECKING, Final

import attrs

from casestate import drawing, render
from casestate.errors import PolicyError, Problem, one_of, shown
from casestate.render import visible
from casestate.report.charts import (
    OUTCOMES,
    Mark,
    draw_actions,
    draw_closures,
    draw_replies,
    draw_times,
    draw_what_ifs,
    plotly_js,
)
from casestate.report.words import at_moment, counted, grouped, in_month, lasting, on_day, percent
from casestate.schedule import Schedule, schedules


try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "casestate.report needs Jinja2: pip install 'casestate[report]'", name="jinja2"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from casestate.policy import Policy, Timer
    from casestate.replay import LogValue, Move, ReplyCurve, Summary, WhatIf
    from casestate.report.charts import Chart

__all__ = ["report"]

_MOST_ROWS: Final = 60
"""How many rows a table of what the log happens to hold has; it says how many more there are."""
_WIDEST_GRID: Final = 16
"""How many states a table of moves from and to can have and still be read."""
_ROUND: Final = tuple(
    timedelta(days=days) for days in (0.25, 1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 60, 90, 180, 365, 730)
)
"""Where the table of a curve tells its height."""
_ACTS: Final = {"close": "closes", "move": "moves", "remind": "reminds", "notify": "notifies"}
_QUANTILES: Final = {
    0.1: "10 % ended within",
    0.25: "25 %",
    0.5: "half of them",
    0.75: "75 %",
    0.9: "90 %",
}


@attrs.frozen(kw_only=True)
class _Column:
    """A column of a table; numbers stand to the right."""

    heading: str
    numeric: bool


@attrs.frozen(kw_only=True)
class _Table:
    """Rows of text under a caption. The first cell of a row is its heading."""

    caption: str
    columns: tuple[_Column, ...]
    rows: tuple[tuple[str, ...], ...]
    more: str = ""


def _table(
    caption: str, *headings: str, rows: Iterable[Sequence[str]], most: int = 0, of: str = ""
) -> _Table:
    """A table; ``#`` before a heading says that numbers stand below it.

    It has ``most`` rows, if that is not 0, and says how many more there are ``of`` what.
    """
    found = [tuple(map(_said, row)) for row in rows]
    left = len(found) - most if most else 0
    return _Table(
        caption=visible(caption),
        columns=tuple(
            _Column(heading=_said(heading.removeprefix("#")), numeric=heading.startswith("#"))
            for heading in headings
        ),
        rows=tuple(found[:most] if left > 0 else found),
        more=f"and {grouped(left)} more {of}" if left > 0 else "",
    )


def _said(text: str) -> str:
    """A text that can be seen: nothing that steers the direction of writing, nothing blank."""
    return visible(text) if text.strip() else "(blank)"


def report(summary: Summary, policy: Policy, *, title: str | None = None) -> str:
    """The page about a replay: what ``policy`` would have done to the past that ``summary`` sums up.

    It needs no network and no other file, and is the same for the same summary and policy. The diagram
    needs pygraphviz; where that is absent the page says so.

    Raises `PolicyError` if the summary is not of this policy.
    """
    _expect_same(summary, policy)
    page = _Page(summary, policy)
    script = _file("page.js")
    library = plotly_js()
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=visible(title) if title is not None else f"What {policy.name} would have done",
            page=page,
            at_moment=at_moment,
            counted=counted,
            grouped=grouped,
            style=_file("page.css"),
            library=library,
            script=script,
            hashes=[_hash(library), _hash(script)],
        )
    )


def _expect_same(summary: Summary, policy: Policy) -> None:
    problems: list[Problem] = []
    if summary.policy != policy.name:
        message = f"the summary is one of {shown(summary.policy)}, not of {policy.name}"
        problems.append(Problem("name", message))
    states = {state for move in summary.moves for state in (move.from_state, move.to_state)}
    states |= {row.state for row in summary.times} | {row.state for row in summary.refusals}
    timers = {timer.timer for timer in summary.timers}
    for path, lost in (("statuses", states - {*policy.states}), ("timers", timers - {*_names(policy)})):
        if lost:
            message = f"the summary has some that {policy.name} has not: {one_of(sorted(lost))}"
            problems.append(Problem(path, message))
    if problems:
        raise PolicyError("report", problems)


def _names(policy: Policy) -> dict[str, Timer]:
    """Every timer by its name, repeats as timers of their own."""
    return {timer.name: timer for one in policy.timers.values() for timer in one.repeated()}


@cache
def _environment() -> Environment:
    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader("casestate", "report"),
    )


def _file(name: str) -> str:
    return (resources.files("casestate.report") / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """The hash by which the page's policy lets a script run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


# --- what the page says -----------------------------------------------------------


@attrs.frozen(kw_only=True)
class _Tile:
    """A figure that matters, and what it is."""

    figure: str
    what: str
    more: str


@attrs.frozen(kw_only=True)
class _Panel:
    """A part of a section: what it is about, what is to be said, and the chart with its tables."""

    heading: str
    sentence: str
    chart: Chart | None
    tables: tuple[_Table, ...]


@attrs.frozen(kw_only=True)
class _Cell:
    """A cell of the table of moves."""

    text: str
    verdict: str
    weight: int


class _Page:
    """What the template asks for, in the words of the policy."""

    def __init__(self, summary: Summary, policy: Policy) -> None:
        self.summary = summary
        self.policy = policy
        self.schedules: Mapping[str, Schedule] = schedules(policy)
        self.timers = _names(policy)
        self.all_moves = sum(move.count for move in summary.moves)
        self.wrong_moves = sum(move.count for move in summary.moves if not move.by)
        self.closed = sum(each.cases for each in summary.closures)
        self.back = sum(each.worked_on_again for each in summary.closures)
        self.actions = {
            kind: sum(timer.actions for timer in summary.timers if timer.kind == kind) for kind in _ACTS
        }
        self.is_events = summary.stays > 0 and all(
            value.first is None and value.later is None for value in summary.values
        )

    def label(self, state: str) -> str:
        return visible(render.state_label(self.policy, state))

    # in short

    @property
    def span(self) -> str:
        first, last = self.summary.first, self.summary.last
        if first is None or last is None:
            return "no row of which could be read"
        return f"from {on_day(first)} to {on_day(last)}"

    @property
    def days_of(self) -> str:
        """Of which zone the days of the policy's timers are, if they are of any."""
        lengths = (timer.after for timers in self.policy.schedules.values() for timer in timers)
        is_local = any(length.unit != "elapsed" for length in lengths)
        return (
            f"; calendar days and business days are those of {self.policy.calendar.zone}" if is_local else ""
        )

    @property
    def tiles(self) -> Iterator[_Tile]:
        policy, summary = self.policy, self.summary
        kinds = {timer.kind for timer in policy.timers.values()}
        yield _Tile(
            figure=grouped(self.actions["remind"]),
            what=_one(self.actions["remind"], "reminder", "reminders") + " would have been sent",
            more=("and" if "remind" in kinds else "the policy has no reminders;")
            + f" {counted(self.actions['notify'], 'notification')}",
        )
        yield _Tile(
            figure=grouped(self.closed),
            what=_one(self.closed, "case", "cases") + " would have been closed",
            more=f"{percent(self.closed, summary.cases)} of {counted(summary.cases, 'case')}",
        )
        yield _Tile(
            figure=grouped(self.back),
            what=f"of these {_one(self.back, 'was', 'were')} worked on again",
            more=f"{percent(self.back, self.closed)} of the cases closed"
            if self.closed
            else "none was closed",
        )
        yield _Tile(
            figure=grouped(self.wrong_moves),
            what=_one(self.wrong_moves, "move is", "moves are") + " not allowed",
            more=f"{percent(self.wrong_moves, self.all_moves)} of {counted(self.all_moves, 'move')}",
        )

    # the policy

    @property
    def diagram(self) -> str | None:
        """The drawing, to be put into the page as it is; none where it cannot be made."""
        try:
            svg = drawing.svg(self.policy).decode()
        except ImportError:
            return None
        return svg[svg.index("<svg") :]

    @staticmethod
    def least_width(svg: str) -> int:
        """How narrow the drawing can be and still be read, in pixels."""
        width, *_ = re.findall('width="([0-9]+)', f'{svg} width="0"')
        return round(0.65 * int(width))

    @property
    def policy_tables(self) -> list[_Table]:
        return [
            _table(table.title, *(name.capitalize() for name in table.columns), rows=map(_dashed, table.rows))
            for table in render.tables(self.policy)
            if table.rows
        ]

    # actions

    @property
    def timer_table(self) -> _Table:
        return _table(
            "What each timer would have done",
            "Timer",
            "In",
            "What it does",
            "#Times",
            rows=(
                (
                    timer.timer,
                    ", ".join(map(self.label, self.policy.matching(self.timers[timer.timer].in_))),
                    self.deed(self.timers[timer.timer]),
                    grouped(timer.actions),
                )
                for timer in self.summary.timers
            ),
        )

    def deed(self, timer: Timer) -> str:
        when = f"after {timer.after}" if timer.after.amount else "at once"
        if timer.to is not None:
            act = "closes the case" if timer.kind == "close" else f"moves the case to {self.label(timer.to)}"
        else:
            act = f"{_ACTS[timer.kind]} {timer.audience or ''}".rstrip().replace("_", " ")
        return f"{act} {when}"

    @cached_property
    def actions_chart(self) -> Chart | None:
        return draw_actions(self.summary.timers) if any(self.actions.values()) else None

    @property
    def months_table(self) -> _Table:
        active = [timer for timer in self.summary.timers if timer.actions]
        months = sorted({month for timer in active for month in timer.months})
        return _table(
            "Actions by month (UTC)",
            "Month",
            *(f"#{timer.timer}" for timer in active),
            rows=(
                (in_month(month), *(grouped(timer.months.get(month, 0)) for timer in active))
                for month in months
            ),
        )

    # replies

    @cached_property
    def replies(self) -> list[_Panel]:
        return list(self._replies())

    def _replies(self) -> Iterator[_Panel]:
        for place, curve in enumerate(self.summary.replies, 1):
            label = self.label(curve.state)
            marks = self.marks(curve)
            still = next(time.still for time in self.summary.times if time.state == curve.state)
            otherwise = grouped(curve.stays - curve.replied - still)
            said = (
                f"{counted(curve.stays, 'stay')}: {grouped(curve.replied)} ended with a reply, {otherwise} "
                f"otherwise, {grouped(still)} had not ended"
            )
            if not curve.points:
                yield _Panel(
                    heading=label,
                    sentence=f"{counted(curve.stays, 'stay')}, none of which ended with a reply: "
                    "there is no curve to draw.",
                    chart=None,
                    tables=(),
                )
                continue
            middle = next((point.after for point in curve.points if point.share >= 0.5), None)
            half = (
                "Less than half would have been replied to while they were watched."
                if middle is None
                else f"Half would have been replied to within {lasting(middle)}."
            )
            by_then = "".join(
                f" By the time {mark.timer} {_ACTS[mark.kind]} (after {mark.text}), "
                f"{percent(mark.share)} would have been replied to."
                for mark in marks
                if mark.kind in ("close", "move")
            )
            yield _Panel(
                heading=label,
                sentence=f"{said}. {half}{by_then}",
                chart=draw_replies(f"reply-{place}", label, curve, marks),
                tables=(self.curve_table(label, curve, marks),),
            )

    def marks(self, curve: ReplyCurve) -> list[Mark]:
        """The timers of a state that take a while."""
        schedule = self.schedules[curve.state]
        return [
            Mark(
                timer=timer.name,
                kind=timer.kind,
                text=str(timer.after),
                after=after,
                share=curve.share(after),
            )
            for timer, after in zip(schedule.timers, self.offsets(schedule), strict=False)
            if after
        ]

    def offsets(self, schedule: Schedule) -> Sequence[timedelta]:
        """How long after an entry each timer fires: in the middle of a year where a calendar decides."""
        if schedule.offsets is not None:
            return schedule.offsets
        noon = datetime(self.summary.horizon.year, 1, 1, 12, tzinfo=UTC)
        entries = [noon + timedelta(days=days) for days in range(365)]
        fired = [[due - entry for due in schedule.firings(entry)] for entry in entries]
        return [median(each) for each in zip(*fired, strict=False)]

    def curve_table(self, label: str, curve: ReplyCurve, marks: Sequence[Mark]) -> _Table:
        last = curve.points[-1].after
        named = {mark.after: f"{lasting(mark.after)} ({mark.timer})" for mark in marks}
        round_ = {span: lasting(span) for span in (*_ROUND, last) if span <= last}

        def rows() -> Iterator[tuple[str, ...]]:
            for span, text in sorted((round_ | named).items()):
                before = [point for point in curve.points if point.after <= span]
                if before:
                    point = before[-1]
                    # Once all have been replied to, nobody is left to tell limits by.
                    limits = f"{percent(point.low)} to {percent(point.high)}" if point.share < 1 else "—"
                    yield text, percent(point.share), limits, grouped(point.waiting)
                else:
                    yield text, percent(0), "—", grouped(curve.stays)

        return _table(
            f"{label}: replied to by then",
            "Time since the stay began",
            "#Replied to",
            "#95 % limits",
            "#Under watch at the last reply before",
            rows=rows(),
        )

    # other lengths

    @cached_property
    def what_ifs(self) -> list[_Panel]:
        return list(self._what_ifs())

    def _what_ifs(self) -> Iterator[_Panel]:
        answers: dict[str, list[WhatIf]] = {}
        for answer in self.summary.what_ifs:
            answers.setdefault(answer.timer, []).append(answer)
        for place, (timer, found) in enumerate(answers.items(), 1):
            after = self.policy.timers[timer].after
            said = f"In this policy {timer} comes after {after}"
            closes = any(answer.closed for answer in found)
            yield _Panel(
                heading=timer,
                sentence=f"{said}; the dashed line marks it."
                if closes
                else f"{said}. No length closes a case.",
                chart=draw_what_ifs(f"what-if-{place}", found, after.nominal) if closes else None,
                tables=(self.what_if_table(timer, found),),
            )

    @staticmethod
    def what_if_table(timer: str, answers: Iterable[WhatIf]) -> _Table:
        return _table(
            f"{timer} with other lengths",
            "Length",
            "#Cases closed",
            "#Seen for 30 days after",
            "#Back within 30 days",
            "#Share",
            "#Reminders",
            "#Notifications",
            rows=(
                (
                    answer.length,
                    grouped(answer.closed),
                    grouped(answer.followed),
                    grouped(answer.came_back),
                    percent(answer.came_back, answer.followed),
                    grouped(answer.reminders),
                    grouped(answer.notifications),
                )
                for answer in answers
            ),
        )

    # closures

    @cached_property
    def closures_chart(self) -> Chart | None:
        return draw_closures(self.summary.closures) if self.closed else None

    @property
    def closures_table(self) -> _Table:
        return _table(
            "What became of the cases that a timer would have closed",
            "Timer",
            "#Cases closed",
            *(f"#{text.capitalize()}" for text, _ in OUTCOMES.values()),
            rows=(
                (
                    each.timer,
                    grouped(each.cases),
                    *(
                        f"{grouped(count)} ({percent(count, each.cases)})" if each.cases else "0"
                        for count in (each.worked_on_again, each.resolved, each.nothing_more)
                    ),
                )
                for each in self.summary.closures
            ),
        )

    # moves

    @property
    def move_states(self) -> list[str]:
        """The states of the table of moves; none if there are too many for one."""
        seen = {state for move in self.summary.moves for state in (move.from_state, move.to_state)}
        return [state for state in self.policy.states if state in seen] if len(seen) <= _WIDEST_GRID else []

    @property
    def move_grid(self) -> Iterator[tuple[str, list[_Cell]]]:
        """For each state that is left, a cell for each that is entered."""
        states = self.move_states
        counts: Counter[tuple[str, str]] = Counter()
        wrong: Counter[tuple[str, str]] = Counter()
        for move in self.summary.moves:
            counts[move.from_state, move.to_state] += move.count
            wrong[move.from_state, move.to_state] += 0 if move.by else move.count
        steps = max(counts.values()).bit_length() + 1
        for source in states:
            cells: list[_Cell] = []
            for way in ((source, target) for target in states):
                count = counts[way]
                cells.append(
                    _Cell(
                        text=grouped(count) if count else "",
                        verdict="mixed" if 0 < wrong[way] < count else "wrong" if wrong[way] else "fine",
                        # Steps of shade by powers of two: a few moves can be seen beside thousands.
                        weight=count.bit_length() * 5 // steps,
                    )
                )
            yield self.label(source), cells

    @property
    def wrong_table(self) -> _Table:
        allowed: dict[tuple[str, str], set[str]] = {}
        for move in self.summary.moves:
            allowed.setdefault((move.from_state, move.to_state), set()).update(move.by)
        wrong = [move for move in self.summary.moves if not move.by]
        left: Counter[str] = Counter()
        for move in self.summary.moves:
            left[move.from_state] += move.count
        return _table(
            "Moves that the policy does not allow, the most frequent first",
            "From",
            "To",
            "#Times",
            "#Of all moves from there",
            "The policy allows it to",
            rows=(
                (
                    self.label(move.from_state),
                    self.label(move.to_state),
                    grouped(move.count),
                    percent(move.count, left[move.from_state]),
                    f"{self.roles(sorted(others))}, for cases with another past"
                    if (others := allowed[move.from_state, move.to_state])
                    else "nobody",
                )
                for move in wrong
            ),
            most=_MOST_ROWS,
            of=f"kinds of moves; all {grouped(self.wrong_moves)} are counted above",
        )

    @property
    def moves_table(self) -> _Table:
        return _table(
            "Every move that the log shows",
            "From",
            "To",
            "#Times",
            "Allowed to",
            rows=(self.move_row(move) for move in self.summary.moves),
            most=_MOST_ROWS,
            of=f"kinds of moves; all {grouped(self.all_moves)} are counted above",
        )

    def move_row(self, move: Move) -> tuple[str, ...]:
        return (
            self.label(move.from_state),
            self.label(move.to_state),
            grouped(move.count),
            self.roles(move.by) if move.by else "nobody",
        )

    def roles(self, by: Iterable[str]) -> str:
        return ", ".join("a timer" if role == "system" else role.replace("_", " ") for role in by)

    @property
    def refusals_table(self) -> _Table:
        return _table(
            "Events that the policy refuses, the most frequent first",
            "Event",
            "By",
            "In",
            "#Times",
            rows=(
                (each.event, each.by, self.label(each.state), grouped(each.count))
                for each in self.summary.refusals
            ),
            most=_MOST_ROWS,
            of="kinds of refused events",
        )

    # time in state

    @cached_property
    def times_chart(self) -> Chart | None:
        rows = [(self.label(row.state), row) for row in self.summary.times if row.ended]
        return draw_times(rows) if rows else None

    @property
    def times_table(self) -> _Table:
        return _table(
            "How long stays lasted",
            "State",
            "#Stays that ended",
            "#Still there",
            *(f"#{heading}" for heading in _QUANTILES.values()),
            rows=(
                (
                    self.label(row.state),
                    grouped(row.ended),
                    grouped(row.still),
                    *(
                        lasting(row.quantiles[share]) if share in row.quantiles else "—"
                        for share in _QUANTILES
                    ),
                )
                for row in self.summary.times
            ),
        )

    # what was read

    @property
    def reading_table(self) -> _Table:
        summary = self.summary
        zone = f"read in {summary.zone}" if summary.zone else "none was expected"
        counts = (
            ("Rows in the log", summary.rows, "all that follows is about these"),
            ("Bad", summary.bad_rows, "could not be read, and are left out"),
            ("Ignored", summary.ignored_rows, "the map says to ignore them"),
            ("Repeated", summary.duplicate_rows, "say what the row before them says, at the same instant"),
            ("Out of order", summary.out_of_order_rows, "put in the order of their instants"),
            ("Without a time zone", summary.local_times, zone),
            ("In a repeated hour", summary.repeated_times, "clocks go back: read as its first pass"),
            ("In a skipped hour", summary.skipped_times, "clocks go forward: read as the end of the gap"),
        )
        return _table(
            "Rows",
            "Rows",
            "#How many",
            "What that means",
            rows=((what, grouped(count), meaning) for what, count, meaning in counts),
        )

    @property
    def values_table(self) -> _Table:
        values = self.summary.values
        with_sub = any(value.sub_value is not None for value in values)
        sub_status = ["Sub-status"] if with_sub else []

        def rows() -> Iterator[tuple[str, ...]]:
            for value in values:
                sub_value = [_or_dash(value.sub_value)] if with_sub else []
                meaning = [] if self.is_events else [self.meaning(value)]
                yield value.value, *sub_value, grouped(value.rows), *meaning

        if self.is_events:
            caption, headings = "The events of the log", ("Event", *sub_status, "#Rows")
        else:
            caption = "The values of the log, and how they were read"
            headings = ("Status in the log", *sub_status, "#Rows", "Read as")
        return _table(caption, *headings, rows=rows(), most=_MOST_ROWS, of="values")

    def meaning(self, value: LogValue) -> str:
        first, later = (
            "ignored" if state is None else self.label(state) for state in (value.first, value.later)
        )
        if value.first == value.later:
            return first
        return f"{first} while a case has been in no other; then {later}"

    @property
    def unused(self) -> str:
        """The entries of the map that no row has, in a line."""
        found = [f"“{_said(value)}”" for value in self.summary.unused]
        left = len(found) - _MOST_ROWS
        return ", ".join(found[:_MOST_ROWS]) + (f" and {grouped(left)} more" if left > 0 else "")

    @property
    def beginnings_table(self) -> _Table:
        return _table(
            "Where the log first shows a case",
            "State",
            "#Cases",
            "The policy begins cases there",
            rows=(
                (
                    self.label(each.state),
                    grouped(each.cases),
                    "yes" if each.allowed else "no: closed" if self.policy.is_closed(each.state) else "no",
                )
                for each in self.summary.beginnings
            ),
        )

    @property
    def elsewhere(self) -> int:
        """How many cases begin where the policy begins none."""
        return sum(each.cases for each in self.summary.beginnings if not each.allowed)

    # the drawings

    @property
    def figures(self) -> dict[str, object]:
        """What is drawn, by the id of the chart."""
        panels = [panel.chart for panel in (*self.replies, *self.what_ifs)]
        found = [self.actions_chart, *panels, self.closures_chart, self.times_chart]
        return {chart.id: chart.figure for chart in found if chart is not None}


def _one(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _dashed(row: Iterable[str]) -> list[str]:
    return [cell or "—" for cell in row]


def _or_dash(text: str | None) -> str:
    return "—" if text is None else text
