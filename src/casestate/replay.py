"""What a policy would have done to a real past: whom reminded, which cases closed, and who came back.

A log of the past (see `casestate.log`) tells of the stays of each case. `replay` says for every stay what
would have come due before it ended. Nothing is applied: history goes on as it really did, so from the first
timer on that would have moved a case its past is counterfactual; `Replay.departures` says since when.

An action fires if it is due before the stay ends; at the same instant the event wins. A stay
without an end is watched to the horizon, inclusive. The timers of a stay fire one by
one, each settled the moment it is due.

What is counted in a `Tally` is small whatever the size of the log. For that, durations are rounded up by at
most a percent, in steps that divide a day: what took no longer than some days is still counted so.
"""

from __future__ import annotations

import math

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

import attrs

from casestate.calendars import Length
from casestate.clock import FIRST, LAST, format_instant, instant
from casestate.errors import PolicyError, Problem, key_text, nearest, one_of, shown
from casestate.log import Counts, LogMap, OnError, Reading, Restart, Stay, load_map, read, whole_number
from casestate.machine import CONTEXTS, compile_table
from casestate.policy import SYSTEM
from casestate.schedule import Schedule, schedules
from casestate.workflow import expect_workflow


if TYPE_CHECKING:
    import os

    from collections.abc import Iterator

    from casestate.policy import Policy, Timer
    from casestate.workflow import Workflow

__all__ = [
    "Beginning",
    "Closures",
    "CurvePoint",
    "LogMap",
    "LogValue",
    "Move",
    "PastAction",
    "Refusal",
    "Replay",
    "ReplyCurve",
    "Summary",
    "TimeInState",
    "TimerCount",
    "WhatIf",
    "load_map",
    "replay",
    "what_if",
]

Ending: TypeAlias = Literal["replied", "left", "still"]
"""How a stay ended: with work for support, otherwise, or not at all."""
Outcome: TypeAlias = Literal["nothing_more", "worked_on_again", "resolved"]
Lengths: TypeAlias = "Mapping[str, Iterable[int]]"
"""By timer, the numbers of days that are asked about."""

SLACK: Final = timedelta(days=2)
"""By how much less than its nominal length a length can last: clocks have been turned by a whole day."""
WITHIN: Final = timedelta(days=30)
"""How soon after a closure a case has come back if it did."""
OUTCOMES: Final[tuple[Outcome, ...]] = ("nothing_more", "worked_on_again", "resolved")
QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
_SECOND: Final = timedelta(seconds=1)
STEPS: Final = (
    (1_000, 1),
    (10_000, 10),
    (100_000, 60),
    (1_000_000, 600),
    (10_000_000, 3_600),
    (math.inf, 21_600),
)
"""Up to how many seconds durations are rounded up to multiples of how many."""
_TINY: Final = 1e-9
"""What a product of a share and a count may be too large by."""
_SURE: Final = 1.959963984540054
"""How many standard deviations hold 95 of 100."""


# --- what comes out -------------------------------------------------------------


@attrs.frozen(kw_only=True)
class PastAction:
    """A timer that would have fired in a stay. ``left_at`` and ``left_to`` say how the stay really ended."""

    case_id: str
    stay: int
    timer: str
    kind: str
    entered_at: datetime
    due_at: datetime
    left_at: datetime | None
    left_to: str | None

    def to_dict(self) -> dict[str, object]:
        """The action as a JSON-ready mapping."""
        return {
            **attrs.asdict(self),
            "entered_at": format_instant(self.entered_at),
            "due_at": format_instant(self.due_at),
            "left_at": None if self.left_at is None else format_instant(self.left_at),
        }


@attrs.frozen(kw_only=True)
class LogValue:
    """A status and sub-status of the log, or an event, and how many rows have it.

    ``first`` and ``later`` are the states it was read as, none where it was ignored; of an event both are
    none.
    """

    value: str
    sub_value: str | None
    first: str | None
    later: str | None
    rows: int


@attrs.frozen(kw_only=True)
class Beginning:
    """In which state the log first shows a case; ``allowed`` where the policy begins cases there."""

    state: str
    cases: int
    allowed: bool


@attrs.frozen(kw_only=True)
class TimerCount:
    """How often a timer would have fired, in all and by the month (UTC) in which it was due."""

    timer: str
    kind: str
    audience: str | None
    to: str | None
    actions: int
    months: Mapping[str, int]


@attrs.frozen(kw_only=True)
class Closures:
    """The cases that a timer would have been the first to close, and what became of them later.

    ``nothing_more``: the log has no later row of another state. ``worked_on_again``: later the case was
    in an open state in which support has work. ``resolved``: it went on, to an answer or to its end, but
    never to such a state.
    """

    timer: str
    cases: int
    nothing_more: int
    worked_on_again: int
    resolved: int


@attrs.frozen(kw_only=True)
class Move:
    """A move that the log shows, and the roles that the policy allows it to; nobody if there are none.

    ``system`` stands for a timer that leads there.
    """

    from_state: str
    to_state: str
    count: int
    by: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Refusal:
    """An event of an event log that the policy refuses."""

    state: str
    event: str
    by: str
    count: int


@attrs.frozen(kw_only=True)
class TimeInState:
    """How long stays in a state lasted: of ``ended`` stays the `QUANTILES`; ``still`` had not ended."""

    state: str
    ended: int
    still: int
    quantiles: Mapping[float, timedelta]


@attrs.frozen(kw_only=True)
class CurvePoint:
    """``share`` of the stays had been replied to by ``after``; ``waiting`` were under watch right before it.

    ``low`` and ``high`` are the 95 % limits.
    """

    after: timedelta
    share: float
    low: float
    high: float
    waiting: int


@attrs.frozen(kw_only=True)
class ReplyCurve:
    """How soon a reply comes in a state that waits for the customer, those still waiting counted right.

    A reply is seen as a move to an open state in which support has work. A stay that ended otherwise, or
    has not ended, is known to have had no reply until then, and no more: the estimator is that of Kaplan and
    Meier (Nonparametric estimation from incomplete observations, 1958), its limits are Greenwood's on the
    log-log scale.
    """

    state: str
    stays: int
    replied: int
    points: tuple[CurvePoint, ...]

    def share(self, after: timedelta) -> float:
        """The share that has been replied to by ``after``."""
        index = bisect_right(self.points, after, key=lambda point: point.after)
        return self.points[index - 1].share if index else 0.0


@attrs.frozen(kw_only=True)
class WhatIf:
    """What another length of a timer would have done.

    ``closed`` cases would have been closed in a state of this timer, whether or not another timer would have
    been first; ``followed`` of them can be seen for 30 days after that, and ``came_back`` of these were in a
    state in which support has work within the 30 days. ``reminders`` and ``notifications`` are those of the
    same states. Where the timer would move the case before those in ``cut_off``, a policy with this
    length must do without them.
    """

    timer: str
    days: int
    length: str
    closed: int
    followed: int
    came_back: int
    reminders: int
    notifications: int
    cut_off: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Summary:
    """What is to be said of a replay as a whole; every part of it is in the order of the policy.

    ``rows`` to ``skipped_times`` count what was read and what had to be done to it; `Counts` explains each.
    Of ``ignored_cases`` every row was ignored. ``counterfactual_cases`` would have been moved by a timer, and
    ``counterfactual_actions`` are of stays that began after that.
    """

    policy: str
    restart: str
    zone: str | None
    first: datetime | None
    last: datetime | None
    horizon: datetime
    rows: int
    bad_rows: int
    ignored_rows: int
    duplicate_rows: int
    out_of_order_rows: int
    local_times: int
    repeated_times: int
    skipped_times: int
    cases: int
    ignored_cases: int
    stays: int
    counterfactual_cases: int
    counterfactual_actions: int
    values: tuple[LogValue, ...]
    unused: tuple[str, ...]
    beginnings: tuple[Beginning, ...]
    timers: tuple[TimerCount, ...]
    closures: tuple[Closures, ...]
    moves: tuple[Move, ...]
    refusals: tuple[Refusal, ...]
    times: tuple[TimeInState, ...]
    replies: tuple[ReplyCurve, ...]
    what_ifs: tuple[WhatIf, ...]

    def to_dict(self) -> dict[str, object]:
        """The summary as a JSON-ready mapping: instants as text, lengths of time in seconds."""
        return cast("dict[str, object]", _jsonable(attrs.asdict(self)))


def _jsonable(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _jsonable(each) for key, each in cast("dict[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in cast("Sequence[object]", value)]
    if isinstance(value, datetime):
        return format_instant(value)
    return value // _SECOND if isinstance(value, timedelta) else value


@attrs.frozen(kw_only=True)
class Replay:
    """What came out of a replay: the actions, since when each case is counterfactual, and the summary.

    ``actions`` are in the order in which the log first names their cases, by stay and by timer.
    ``departures`` has, by case, the instant at which a timer would first have moved it.
    """

    actions: Sequence[PastAction]
    departures: Mapping[str, datetime]
    summary: Summary


# --- the questions ----------------------------------------------------------------


def replay(
    log: Iterable[object],
    workflow: Workflow,
    *,
    mapping: LogMap | str | os.PathLike[str] | Mapping[str, object] | None = None,
    horizon: datetime | None = None,
    restart: Restart = "change",
    zone: str | None = None,
    lengths: Lengths | None = None,
    on_error: OnError | None = None,
) -> Replay:
    """What the policy of ``workflow`` would have done to the cases of ``log``.

    ``log`` is an iterable of rows: mappings (a status log, or an event log), tuples of (case, at, status,
    sub_status), or `Case` objects with their histories. ``mapping`` says how it is written: a `LogMap`,
    a TOML file's path or a mapping. Stays without an end are watched to ``horizon``, inclusive: the last
    instant of the log, ignored rows included, unless given; rows after it count all the same. With
    ``restart="touch"`` every row that repeats its status begins a new stay. ``zone`` (an IANA name) is
    that of instants without one. ``lengths`` asks besides what other numbers of days would have done, by
    timer, as `what_if` does.

    A row that cannot be read is passed with its number to ``on_error``, and the rest is still read.

    Raises `LogError` with all that is wrong with the log or its map (a `NaiveTimeError` as well where an
    instant has no time zone), `PolicyError` for what is no workflow and for lengths that cannot be,
    `NaiveTimeError` or `InstantError` for ``horizon``.
    """
    reading = Reading(expect_workflow(workflow, "replay").policy, mapping, zone=zone, restart=restart)
    questions = ask(workflow.policy, lengths or {})
    given = None if horizon is None else instant(horizon, "horizon")
    past = read(log, workflow, reading, on_error=on_error)
    watch = Watch(workflow.policy, past.counts, given or cast("datetime", past.counts.last), questions)
    actions: list[PastAction] = []
    departures: dict[str, datetime] = {}
    for case_id, stays in past.stays.items():
        departed = watch.case(case_id, stays, actions.append)
        if departed is not None:
            departures[case_id] = departed
    return Replay(actions=actions, departures=departures, summary=summarize(workflow, reading, watch.tally))


def what_if(
    log: Iterable[object],
    workflow: Workflow,
    *,
    timer: str,
    days: Iterable[int],
    mapping: LogMap | str | os.PathLike[str] | Mapping[str, object] | None = None,
    horizon: datetime | None = None,
    restart: Restart = "change",
    zone: str | None = None,
    on_error: OnError | None = None,
) -> tuple[WhatIf, ...]:
    """What each of several lengths of one timer would have done, from one pass over the log: by length.

    ``days`` are of the kind of the timer's own length: 24 hours each, calendar days or business days.

    Arguments and errors are those of `replay`.
    """
    found = replay(
        log,
        workflow,
        mapping=mapping,
        horizon=horizon,
        restart=restart,
        zone=zone,
        lengths={timer: days},
        on_error=on_error,
    )
    return found.summary.what_ifs


# --- one timer with several lengths -------------------------------------------------


class Question:
    """A timer with several lengths: the schedules that its states would have under each, shortest first."""

    def __init__(self, timer: str, days: Sequence[int], variants: Sequence[Policy]) -> None:
        self.timer = timer
        self.days = days
        self.lengths = [variant.timers[timer].after for variant in variants]
        states = variants[0].matching(variants[0].timers[timer].in_)
        self.closing = frozenset(state for state in states if not variants[0].is_closed(state))
        """The states in which a closing timer closes a case: those in which it is not closed already."""
        self.schedules: dict[str, list[Schedule]] = {
            state: [
                Schedule(state, variant.schedules[state][: _last(variant, state)], variant.calendar)
                for variant in variants
            ]
            for state in states
        }
        self.cut_off = [
            tuple(
                timer.name for state in states for timer in variant.schedules[state][_last(variant, state) :]
            )
            for variant in variants
        ]
        """By length, the timers for which no case is there any more."""


def _last(policy: Policy, state: str) -> int:
    """How many timers of a state there are until one moves the case away."""
    timers = policy.schedules[state]
    return next((number for number, timer in enumerate(timers, 1) if timer.to is not None), len(timers))


def ask(policy: Policy, lengths: Lengths) -> tuple[Question, ...]:
    """The questions about other lengths of the policy's timers; raises `PolicyError` for what cannot be."""
    problems: list[Problem] = []
    if not isinstance(lengths, Mapping):
        message = f"must map timers to numbers of days, not be {shown(lengths)}"
        raise PolicyError("lengths", [Problem("", message)])
    found = tuple(_question(policy, timer, days, problems) for timer, days in lengths.items())
    if problems:
        raise PolicyError("lengths", problems)
    return tuple(question for question in found if question is not None)


def _question(policy: Policy, timer: str, days: object, problems: list[Problem]) -> Question | None:
    path = f"timers.{key_text(timer)}.after"
    before = len(problems)
    if not isinstance(timer, str) or timer not in policy.timers:
        hint = f"{nearest(timer, policy.timers)} (there are: {one_of(policy.timers)})"
        problems.append(Problem(f"timers.{key_text(timer)}", f"no timer of {policy.name}{hint}"))
        return None
    own = policy.timers[timer]
    numbers = [_number(days)]
    if isinstance(days, Iterable) and not isinstance(days, str | bytes):
        numbers = [_number(number) for number in cast("Iterable[object]", days)]
    if not numbers:
        problems.append(Problem(path, "needs a number of days at least"))
    variants: list[Policy] = []
    least = 0 if own.after.unit == "elapsed" else 1
    chosen = sorted({number for number in numbers if type(number) is int})
    problems += [
        Problem(path, f"must be a whole number of days from {least} on, not {shown(number)}")
        for number in numbers
        if type(number) is not int or number < least
    ]
    for number in chosen if len(problems) == before else ():
        try:
            after = Length(own.after.unit, number * 86_400 if own.after.unit == "elapsed" else number)
        except OverflowError:
            problems.append(Problem(path, f"{shown(number)} days are longer than time is"))
            continue
        variant = attrs.evolve(policy, timers={**policy.timers, timer: attrs.evolve(own, after=after)})
        problems += _unwarned(variant, own.in_, f"{path}: {number} days")
        variants.append(variant)
    return Question(timer, chosen, variants) if len(problems) == before else None


def _number(value: object) -> object:
    """A number of days as Python's own, if it is a whole one of numpy."""
    number = whole_number(value)
    return value if number is None else number


def _unwarned(variant: Policy, places: Iterable[str], path: str) -> Iterator[Problem]:
    """Where a timer that has a ``notice`` would come first: there would be nothing to count it from."""
    for state in variant.matching(places):
        first = variant.schedules[state][0]
        if first.notice is not None:
            yield Problem(path, f"{first.name} would stand first in {state}, and has a notice")


# --- what is counted ----------------------------------------------------------------


@attrs.define(kw_only=True)
class Tally:
    """All that a summary is made of. Those of parts of a log can be added up with `add`."""

    counts: Counts
    horizon: datetime
    cases: int = 0
    stays: int = 0
    departed: int = 0
    beyond: int = 0
    """Actions of stays that began after their case would have been moved."""
    beginnings: Counter[str] = attrs.field(factory=Counter[str])
    moves: Counter[tuple[str, str, str | None]] = attrs.field(factory=Counter[tuple[str, str, str | None]])
    """By state, the next one, and `Case.previous` in the first."""
    actions: Counter[tuple[str, str]] = attrs.field(factory=Counter[tuple[str, str]])
    """By timer and month."""
    closures: Counter[tuple[str, Outcome]] = attrs.field(factory=Counter[tuple[str, Outcome]])
    durations: Counter[tuple[str, Ending, int]] = attrs.field(factory=Counter[tuple[str, Ending, int]])
    """By state, ending and rounded seconds."""
    what_ifs: tuple[WhatIfTally, ...] = ()

    def add(self, other: Tally) -> None:
        """Take in what was counted in another part of the same log; its ``counts`` are left to the caller."""
        for name in ("cases", "stays", "departed", "beyond"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("beginnings", "moves", "actions", "closures", "durations"):
            getattr(self, name).update(getattr(other, name))
        for mine, theirs in zip(self.what_ifs, other.what_ifs, strict=True):
            mine.add(theirs)


@attrs.define
class WhatIfTally:
    """What is counted for each length of a `Question`."""

    question: Question
    closed: list[int] = attrs.field(init=False)
    followed: list[int] = attrs.field(init=False)
    came_back: list[int] = attrs.field(init=False)
    kinds: list[Counter[str]] = attrs.field(init=False)
    """How many actions of each kind."""

    def __attrs_post_init__(self) -> None:
        size = len(self.question.lengths)
        self.closed, self.followed, self.came_back = [0] * size, [0] * size, [0] * size
        self.kinds = [Counter() for _ in range(size)]

    def add(self, other: WhatIfTally) -> None:
        for name in ("closed", "followed", "came_back"):
            setattr(self, name, [*map(sum, zip(getattr(self, name), getattr(other, name), strict=True))])
        for mine, theirs in zip(self.kinds, other.kinds, strict=True):
            mine.update(theirs)

    def answers(self) -> Iterator[WhatIf]:
        question = self.question
        for number, days in enumerate(question.days):
            yield WhatIf(
                timer=question.timer,
                days=days,
                length=str(question.lengths[number]),
                closed=self.closed[number],
                followed=self.followed[number],
                came_back=self.came_back[number],
                reminders=self.kinds[number]["remind"],
                notifications=self.kinds[number]["notify"],
                cut_off=question.cut_off[number],
            )


def waits(policy: Policy, state: str) -> bool:
    """Whether an open state waits for the customer: ``waiting_on`` says so; without it a closing timer."""
    if policy.is_closed(state):
        return False
    waiting_on = policy.described(state).waiting_on
    if waiting_on is not None:
        return waiting_on == "customer"
    return any(timer.kind == "close" for timer in policy.schedules[state])


def has_work(policy: Policy, state: str) -> bool:
    """Whether support has work in a state: it is open, and does not wait for the customer."""
    return not policy.is_closed(state) and not waits(policy, state)


def rounded(length: timedelta) -> int:
    """A length of time in seconds, rounded up as `STEPS` says; nothing is shorter than 0."""
    seconds = max(-(-length // _SECOND), 0)
    step = next(step for below, step in STEPS if seconds < below)
    return -(-seconds // step) * step


class Watch:
    """Watches the stays of one case after the other, and counts."""

    def __init__(
        self, policy: Policy, counts: Counts, horizon: datetime, questions: Sequence[Question]
    ) -> None:
        self.policy = policy
        self.horizon = horizon
        self.schedules = schedules(policy)
        self.work = {state: has_work(policy, state) for state in policy.states}
        self.tally = Tally(counts=counts, horizon=horizon, what_ifs=tuple(map(WhatIfTally, questions)))
        self.answers = [_Answer(tally, horizon) for tally in self.tally.what_ifs]

    def case(
        self, case_id: str, stays: Sequence[Stay], found: Callable[[PastAction], object]
    ) -> datetime | None:
        """Hand every action of a case to ``found``; return when a timer would first have moved it."""
        tally = self.tally
        tally.cases += 1
        tally.stays += len(stays)
        tally.beginnings[stays[0].state] += 1
        closed = departed = None
        previous = _other_status(stays[0].came_from, stays[0].state)
        done: list[set[int]] = [set() for _ in self.answers]
        for index, (stay, (later, goes_on)) in enumerate(zip(stays, self._after(stays), strict=True)):
            state, entered_at = stay.state, stay.entered_at
            if index:
                previous = _other_status(stays[index - 1].state, state) or previous
            following = stays[index + 1] if index + 1 < len(stays) else None
            left_at = None if following is None else following.entered_at
            self._count_stay(stay, following, previous)
            schedule = self.schedules[state]
            for timer, due_at in zip(schedule.timers, schedule.firings(entered_at), strict=False):
                if due_at > self.horizon if left_at is None else due_at >= left_at:
                    break
                found(
                    PastAction(
                        case_id=case_id,
                        stay=stay.number,
                        timer=timer.name,
                        kind=timer.kind,
                        entered_at=entered_at,
                        due_at=due_at,
                        left_at=left_at,
                        left_to=None if following is None else following.state,
                    )
                )
                tally.actions[timer.name, f"{due_at.year:04}-{due_at.month:02}"] += 1
                tally.beyond += departed is not None and entered_at > departed
                if timer.to is not None and departed is None:
                    departed = due_at
                if timer.kind == "close" and closed is None and not self.policy.is_closed(state):
                    closed = timer.name, outcome(goes_on, later is not None)
            for number, answer in enumerate(self.answers):
                if state in answer.states:
                    answer.stay(stay, left_at, later, done[number])
        tally.departed += departed is not None
        if closed is not None:
            tally.closures[closed] += 1
        return departed

    def _after(self, stays: Sequence[Stay]) -> list[tuple[datetime | None, bool]]:
        """When after each stay one begins in which support has work, and if one of another state begins."""
        found: list[tuple[datetime | None, bool]] = []
        later, goes_on, following = None, False, stays[-1]
        for stay in reversed(stays):
            goes_on = goes_on or following.state != stay.state
            found.append((later, goes_on))
            if self.work[stay.state]:
                later = stay.entered_at
            following = stay
        return found[::-1]

    def _count_stay(self, stay: Stay, following: Stay | None, previous: str | None) -> None:
        if following is None:
            self.tally.durations[stay.state, "still", rounded(self.horizon - stay.entered_at)] += 1
            return
        ending: Ending = "replied" if self.work[following.state] else "left"
        self.tally.durations[stay.state, ending, rounded(following.entered_at - stay.entered_at)] += 1
        self.tally.moves[stay.state, following.state, previous] += 1


def outcome(goes_on: bool, worked_on: bool) -> Outcome:  # noqa: FBT001 - two plain facts
    """What became of a case after it would have been closed."""
    if not goes_on:
        return "nothing_more"
    return "worked_on_again" if worked_on else "resolved"


def _other_status(state: str | None, than: str) -> str | None:
    """A state, if it is of another status than the other one is."""
    return None if state is None or state.partition(".")[0] == than.partition(".")[0] else state


_Offsets: TypeAlias = "tuple[list[timedelta], list[int], list[timedelta], list[tuple[int, str]]]"
"""When a length closes, in order, and which; when anything fires, in order, and of which length and kind."""


class _Answer:
    """Counts for every length of a `Question` at once.

    The lengths are put in the order in which they close a stay, so that those that do are found by
    bisection, not by trying. It need not be their own: a reminder that comes after the closing timer
    does not hold it back any more.
    """

    def __init__(self, tally: WhatIfTally, horizon: datetime) -> None:
        self.tally = tally
        self.horizon = horizon
        self.states = tally.question.schedules
        self.fixed = {
            state: self._offsets(state, FIRST, LAST - FIRST)
            for state, variants in self.states.items()
            if all(schedule.offsets is not None for schedule in variants)
        }

    def stay(self, stay: Stay, left_at: datetime | None, later: datetime | None, done: set[int]) -> None:
        """Count a stay of a case that the lengths ``done`` have closed; add those that close it now."""
        entered_at, tally = stay.entered_at, self.tally
        fixed = self.fixed.get(stay.state)
        lasted = (self.horizon if left_at is None else left_at) - entered_at
        closing, closers, firing, marks = fixed or self._offsets(stay.state, entered_at, lasted)
        reached = bisect_right if left_at is None else bisect_left
        for length, kind in marks[: reached(firing, lasted)]:
            tally.kinds[length][kind] += 1
        end = reached(closing, lasted)
        back = end if later is None else bisect_left(closing, (later - entered_at) - WITHIN)
        watched = bisect_right(closing, (self.horizon - entered_at) - WITHIN)
        for place, length in enumerate(closers[:end]):
            if length not in done:
                done.add(length)
                tally.closed[length] += 1
                tally.followed[length] += place < watched
                tally.came_back[length] += back <= place < watched

    def _offsets(self, state: str, entered_at: datetime, lasted: timedelta) -> _Offsets:
        """What fires in a stay that lasted so long; what is far from that is not worth asking a calendar."""
        fired = sorted(
            (due_at - entered_at, length, timer.kind)
            for length, schedule in enumerate(self.states[state])
            for timer, due_at in zip(
                takewhile(lambda timer: timer.after.nominal - SLACK <= lasted, schedule.timers),
                schedule.firings(entered_at),
                strict=False,
            )
        )
        closes = "close" if state in self.tally.question.closing else None
        closed = [(after, length) for after, length, kind in fired if kind == closes]
        return (
            [after for after, _ in closed],
            [length for _, length in closed],
            [after for after, *_ in fired],
            [(length, kind) for _, length, kind in fired],
        )


# --- the summary --------------------------------------------------------------------


def summarize(workflow: Workflow, reading: Reading, tally: Tally) -> Summary:
    """What is to be said of what was counted."""
    policy, counts = workflow.policy, tally.counts
    by_state = tuple(_by_state(policy, tally.durations))
    return Summary(
        policy=policy.name,
        restart=reading.restart,
        zone=reading.zone,
        first=counts.first,
        last=counts.last,
        horizon=tally.horizon,
        rows=counts.rows,
        bad_rows=counts.bad,
        ignored_rows=counts.ignored,
        duplicate_rows=counts.duplicates,
        out_of_order_rows=counts.out_of_order,
        local_times=counts.zoned,
        repeated_times=counts.repeated,
        skipped_times=counts.skipped,
        cases=tally.cases,
        ignored_cases=counts.ignored_cases,
        stays=tally.stays,
        counterfactual_cases=tally.departed,
        counterfactual_actions=tally.beyond,
        values=_values(reading, counts),
        unused=reading.unused(counts.values),
        beginnings=tuple(
            Beginning(state=state, cases=tally.beginnings[state], allowed=state == policy.initial)
            for state in policy.states
            if tally.beginnings[state]
        ),
        timers=_timer_counts(policy, tally.actions),
        closures=_closures(policy, tally.closures),
        moves=_moves(policy, tally.moves),
        refusals=tuple(
            Refusal(state=state, event=event, by=by, count=count)
            for (state, event, by), count in counts.refused.most_common()
        ),
        times=tuple(_time_in_state(state, durations) for state, durations in by_state),
        replies=tuple(reply_curve(state, durations) for state, durations in by_state if waits(policy, state)),
        what_ifs=tuple(answer for found in tally.what_ifs for answer in found.answers()),
    )


def _values(reading: Reading, counts: Counts) -> tuple[LogValue, ...]:
    def read_as(value: str, sub_value: str | None, rows: int) -> LogValue:
        meaning = None if counts.of_events else reading.meaning(value, sub_value)
        first, later = meaning or (None, None)
        return LogValue(value=value, sub_value=sub_value, first=first, later=later, rows=rows)

    in_order = sorted(counts.values.items(), key=lambda each: (-each[1], each[0][0], each[0][1] or ""))
    return tuple(read_as(*value, rows) for value, rows in in_order)


def _timer_counts(policy: Policy, actions: Mapping[tuple[str, str], int]) -> tuple[TimerCount, ...]:
    months: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (timer, month), count in sorted(actions.items()):
        months[timer][month] = count
    return tuple(
        TimerCount(
            timer=timer.name,
            kind=timer.kind,
            audience=timer.audience,
            to=timer.to,
            actions=sum(months[timer.name].values()),
            months=months[timer.name],
        )
        for timer in _timers(policy)
    )


def _timers(policy: Policy) -> Iterator[Timer]:
    """Every timer, its repeats as timers of their own."""
    for timer in policy.timers.values():
        yield from timer.repeated()


def _closures(policy: Policy, found: Mapping[tuple[str, Outcome], int]) -> tuple[Closures, ...]:
    return tuple(
        Closures(
            timer=timer.name,
            cases=sum(found.get((timer.name, outcome), 0) for outcome in OUTCOMES),
            **{outcome: found.get((timer.name, outcome), 0) for outcome in OUTCOMES},
        )
        for timer in _timers(policy)
        if timer.kind == "close"
    )


def _moves(policy: Policy, found: Mapping[tuple[str, str, str | None], int]) -> tuple[Move, ...]:
    """The moves by state, with whoever is allowed them, the most frequent first."""
    leads = _Leads(policy)
    moves: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
    for (source, target, previous), count in found.items():
        moves[source, target, leads.by(source, target, previous)] += count
    in_order = sorted(moves.items(), key=lambda each: (-each[1], each[0]))
    return tuple(
        Move(from_state=source, to_state=target, count=count, by=by)
        for (source, target, by), count in in_order
    )


class _Leads:
    """Who may move a case from one state to another, by the policy's table."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.ways: defaultdict[tuple[str, str, bool], set[str]] = defaultdict(set)
        """The roles, by the two states and whether the case has a previous one."""
        self.back: defaultdict[str, set[str]] = defaultdict(set)
        """The roles that may lead a case back to its previous state, by the state that it is in."""
        for (state, _, role), steps in compile_table(policy).steps.items():
            for step, (_, has_previous) in zip(steps, CONTEXTS, strict=True):
                if step is None:
                    continue
                if step.chosen_by == "previous":
                    self.back[state].add(role)
                    continue
                for target in (step.to, *step.choices.values()):
                    if target is not None:
                        self.ways[state, target[2], has_previous].add(role)
        for state, timers in policy.schedules.items():
            for to in [timer.to for timer in timers if timer.to is not None]:
                self.ways[state, to, False].add(SYSTEM)
                self.ways[state, to, True].add(SYSTEM)

    def by(self, source: str, target: str, previous: str | None) -> tuple[str, ...]:
        """The roles in the policy's order. Whether the case was assigned is not known: either is allowed."""
        found = set(self.ways[source, target, previous is not None])
        if target == previous:
            found |= self.back[source]
        return tuple(role for role in dict.fromkeys((*self.policy.roles, SYSTEM)) if role in found)


_Durations: TypeAlias = "Mapping[tuple[Ending, int], int]"
"""How many stays ended in which way after how many seconds."""


def _by_state(
    policy: Policy, durations: Mapping[tuple[str, Ending, int], int]
) -> Iterator[tuple[str, _Durations]]:
    found: dict[str, dict[tuple[Ending, int], int]] = {}
    for (state, ending, seconds), count in durations.items():
        found.setdefault(state, {})[ending, seconds] = count
    return ((state, found[state]) for state in policy.states if state in found)


def _time_in_state(state: str, durations: _Durations) -> TimeInState:
    ended: Counter[int] = Counter()
    for (ending, seconds), count in durations.items():
        if ending != "still":
            ended[seconds] += count
    lengths = sorted(ended)
    up_to = list(accumulate(ended[length] for length in lengths))
    count = up_to[-1] if up_to else 0
    quantiles = {
        share: timedelta(seconds=lengths[bisect_left(up_to, math.ceil(share * count - _TINY))])
        for share in (QUANTILES if count else ())
    }
    return TimeInState(state=state, ended=count, still=sum(durations.values()) - count, quantiles=quantiles)


def reply_curve(state: str, durations: _Durations) -> ReplyCurve:
    """The curve of a state from how its stays ended; see `ReplyCurve`."""
    replied: Counter[int] = Counter()
    ended: Counter[int] = Counter()
    for (ending, seconds), count in durations.items():
        ended[seconds] += count
        if ending == "replied":
            replied[seconds] += count
    stays = waiting = sum(ended.values())
    unanswered, spread = 1.0, 0.0
    points: list[CurvePoint] = []
    for seconds in sorted(ended):
        if seconds in replied:
            unanswered *= 1 - replied[seconds] / waiting
            left = waiting - replied[seconds]
            spread += replied[seconds] / (waiting * left) if left else math.inf
            low, high = _limits(unanswered, spread)
            points.append(
                CurvePoint(
                    after=timedelta(seconds=seconds),
                    share=1 - unanswered,
                    low=1 - high,
                    high=1 - low,
                    waiting=waiting,
                )
            )
        waiting -= ended[seconds]
    return ReplyCurve(state=state, stays=stays, replied=sum(replied.values()), points=tuple(points))


def _limits(unanswered: float, spread: float) -> tuple[float, float]:
    """The limits of a share between 0 and 1; at 0 there is nobody left to tell them by."""
    if not 0 < unanswered < 1:
        return 0.0, 1.0 if unanswered == 0 else unanswered
    wide = _SURE * math.sqrt(spread) / math.log(unanswered)
    return unanswered ** math.exp(-wide), unanswered ** math.exp(wide)
