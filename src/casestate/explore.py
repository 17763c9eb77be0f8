"""Everything that could happen to a case under a policy, and the shortest way to each of it.

Where a case stands, as far as the policy can tell cases apart, is its state,
the last timer settled, whether it has an assignee, and the state it came from.
Events lead from one such configuration to another at any time, timers when
a sweep finds them due. `Exploration` follows all of them from the opening of a
case on. A `Life` leads a real case along a way, through a `Workflow`, and
keeps what it did as a witness that `retrace` walks again.
"""

from __future__ import annotations

import heapq

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from casestate.calendars import Length
from casestate.clock import format_instant, instant
from casestate.errors import CaseDataError, EventRefused, Problem, shown
from casestate.machine import compile_table, context
from casestate.policy import CLONE, PREVIOUS, SYSTEM
from casestate.schedule import schedules
from casestate.workflow import Workflow, expect_workflow


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from casestate.case import Case
    from casestate.machine import Step
    from casestate.policy import Policy, Timer
    from casestate.schedule import Schedule

__all__ = ["START", "Configuration", "Edge", "Exploration", "Firing", "Life", "Occurrence", "retrace"]

START: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""A Monday morning, on which every witness begins if it can."""
ASSIGNEE: Final = "mira"
OPEN: Final = "open"
SAMPLES: Final = tuple(START + timedelta(days=day) for day in range(365))
"""Where stays begin on which lengths of different kinds are compared: on every day of a year."""


@attrs.frozen(kw_only=True)
class Occurrence:
    """One step of a witness: a case is opened, an event happens, or a sweep finds a timer due and settles it.

    ``event`` is ``open``, the event's name, or the timer's; ``timer`` says that it
    is a timer, which the role ``system`` settles at the instant ``at``. ``refused`` says that the event is
    refused, so that the case stays as it was.
    """

    at: datetime
    event: str
    by: str
    sub_status: str | None = None
    assignee: str | None = None
    timer: bool = False
    refused: bool = False

    def to_dict(self) -> dict[str, object]:
        """The step as a JSON-ready mapping."""
        return {**attrs.asdict(self), "at": format_instant(self.at)}


def retrace(workflow: Workflow, witness: Iterable[Occurrence]) -> tuple[Case, ...]:
    """Walk a witness through a workflow: the case after each step of it.

    Raises `CaseDataError`, naming the step, where the workflow does not do what
    the witness says: an event is permitted that should be refused, or a sweep
    returns another timer. An event that is refused raises what `Workflow.apply` raises.
    Raises `PolicyError` for a workflow that is none, `NaiveTimeError` or
    `InstantError` for a step ``at`` no instant.
    """
    expect_workflow(workflow, "retrace")
    if not isinstance(witness, Iterable):
        message = f"must be an iterable of Occurrence objects, not {shown(witness)}"
        raise CaseDataError("witness", [Problem("", message)])
    cases: list[Case] = []
    for number, step in enumerate(witness):
        if not isinstance(step, Occurrence):
            raise _no_step(number, f"must be an Occurrence, not {shown(step)}")
        instant(step.at, f"witness: [{number}]: at")
        if cases:
            cases.append(_retraced(workflow, cases[-1], number, step))
        elif step.event == OPEN and not step.timer:
            cases.append(workflow.open("witness", at=step.at))
        else:
            raise _no_step(number, f"a witness begins with {OPEN!r}, not with {step.event!r}")
    return tuple(cases)


def _retraced(workflow: Workflow, case: Case, number: int, step: Occurrence) -> Case:
    if step.timer:
        action = next(workflow.due([case], now=step.at), None)
        if action is None or action.timer != step.event:
            found = "nothing" if action is None else repr(action.timer)
            raise _no_step(number, f"a sweep at {step.at} returns {found}, not {step.event!r}")
        return workflow.settle(case, action, at=step.at)
    try:
        after = _happen(workflow, case, step)
    except EventRefused:
        if step.refused:
            return case
        raise
    if step.refused:
        raise _no_step(number, f"{step.event!r} by {step.by} is not refused in {case.state}")
    return after


def _no_step(number: int, message: str) -> CaseDataError:
    return CaseDataError("witness", [Problem(f"[{number}]", message)])


def _happen(workflow: Workflow, case: Case, step: Occurrence) -> Case:
    if step.event == CLONE:
        return workflow.clone(case, f"{case.id}-{len(case.clones) + 1}", by=step.by, at=step.at)[0]
    return workflow.apply(
        case, step.event, by=step.by, at=step.at, sub_status=step.sub_status, assignee=step.assignee
    )


# --- which timers can be returned --------------------------------------------


class Firing:
    """Which timers of a schedule a sweep can return, and after which others.

    ``jumps`` holds, for each position that a case can have, the indices of the
    timers that a sweep can return there: those that can be reached, come due while
    time goes on, and are not passed over by the next one whenever a sweep
    comes. Elapsed lengths are decided once for all. Where calendars take part, stays are tried
    that begin on the days of a year.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        units = {length.unit for timer in schedule.timers for length in (timer.after, timer.notice) if length}
        self._mixed = not units <= {"elapsed"}
        jumps: set[tuple[int, int]] = set()
        self.fired: dict[int, int] = dict.fromkeys(range(len(schedule.timers)), 0)
        """For each timer, on how many of the stays tried a sweep can return it."""
        self.tried = 0
        """How many stays were tried."""
        for entered_at in SAMPLES if self._mixed else SAMPLES[:1]:
            self.tried += 1
            found = set(self.jumps_of(entered_at))
            jumps |= found
            for index in {index for _, index in found}:
                self.fired[index] += 1
            if len(units) == 1 and all(self.fired.values()):
                break
        self.jumps: dict[int, tuple[int, ...]] = {
            position: tuple(sorted(index for begin, index in jumps if begin == position))
            for position in sorted(
                {0, *(index + 1 for _, index in jumps if schedule.timers[index].to is None)}
            )
        }

    def jumps_of(self, entered_at: datetime) -> Iterator[tuple[int, int]]:
        """The jumps in a stay that begins at ``entered_at``: positions, and the timers returned there.

        The earlier a timer is settled, the less a notice holds back: the earliest
        instant is all that has to be known of a position.
        """
        schedule = self.schedule
        # Not `Schedule.due_at`: with a hundred timers it would add the same lengths five thousand times.
        alone = [schedule.calendar.add(entered_at, timer.after) for timer in schedule.timers]
        counted = [*accumulate(alone, lambda due, own: None if due is None or own is None else max(due, own))]
        earliest: dict[int, datetime] = {0: entered_at}
        for position in range(len(schedule.timers)):
            if position not in earliest:
                continue
            notice, held_until = schedule.notice(position), earliest[position]
            if notice is not None:
                warned = schedule.calendar.add(held_until, notice)
                if warned is None:
                    continue
                held_until = warned
            reachable = schedule.reachable(position)
            dues = [None if due is None else max(due, held_until) for due in counted[: reachable.stop]]
            for index in reachable:
                due = dues[index]
                after = dues[index + 1] if index + 1 < reachable.stop else None
                if due is None or (after is not None and after <= due):
                    continue
                earliest[index + 1] = min(earliest.get(index + 1, due), due)
                yield position, index

    def is_never(self, index: int) -> bool:
        """Whether it is proved that no sweep ever returns the timer at ``index``."""
        lengths = [timer.after for timer in self.schedule.timers]
        return not self.fired[index] and (
            not self._mixed
            or self.schedule.counted_from_entry(index, START) is None
            or (index + 1 in self.schedule.reachable(index) and lengths[index + 1] in lengths[: index + 1])
        )

    def is_rare(self, index: int) -> bool:
        """Whether the timer is returned on less than a tenth of the stays tried, and may be on others."""
        return self.fired[index] * 10 < self.tried and not self.is_never(index)

    def is_sometimes_late(self, index: int) -> bool:
        """Whether on some of the stays tried the mover right after the timer at ``index`` passes it over."""
        return 0 < self.fired[index] < self.tried and self.overtaking(index) == self.mover == index + 1

    def overtaking(self, index: int) -> int | None:
        """The timer that passes over the one at ``index``: the next that can be returned, if there is one."""
        return next((later for later in range(index + 1, len(self.fired)) if self.fired[later]), None)

    @property
    def mover(self) -> int | None:
        """The timer that moves the case away, if it ever comes due."""
        last = len(self.schedule.timers) - 1
        return last if self.fired.get(last) and self.schedule.timers[last].to is not None else None

    def leading_to(self, index: int, *, fewest: bool = True, but: Collection[int] = ()) -> tuple[int, ...]:
        """The timers to be settled until the one at ``index`` is, which stands last: the fewest, or the most.

        There are none if that cannot be ``but`` with some of those named.
        """
        ways: dict[int, tuple[int, ...]] = {0: ()}
        for position in self.jumps:
            for one in self.jumps[position] if position in ways else ():
                way, known = (*ways[position], one), ways.get(one + 1)
                if one not in but and (known is None or (len(way) < len(known)) is fewest):
                    ways[one + 1] = way
        return ways.get(index + 1, ())

    def leading_away(self, *, fewest: bool = True, but: Collection[int] = ()) -> tuple[int, ...]:
        """The timers to be settled until the last one is, where that moves the case away; as `leading_to`."""
        return self.leading_to(len(self.schedule.timers) - 1, fewest=fewest, but=but)


# --- where a case can be -----------------------------------------------------


class Configuration(NamedTuple):
    """Where a case can stand: what a policy can tell apart, beside the last timer settled.

    ``previous`` is kept only where a row can lead back to it.
    """

    state: str
    assigned: bool
    previous: str | None

    @property
    def context(self) -> int:
        """Which context of the policy's table the case is in."""
        return context(assigned=self.assigned, previous=self.previous is not None)


class Edge(NamedTuple):
    """What leads from one configuration to the next: an event by a role, or a timer that moves the case.

    ``to`` is none for an internal transition; ``row`` is the number of the event's row.
    """

    event: str
    by: str
    to: str | None
    sub_status: str | None = None
    assigns: bool = False
    row: int | None = None


class Exploration:
    """All configurations that a case can come to from its opening on, and a shortest way to each."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.desk = Workflow(policy)
        self.table = compile_table(policy)
        self.firings: dict[str, Firing] = {}
        """How the timers of each state fire; states with the same timers share it."""
        alike: dict[tuple[Timer, ...], Firing] = {}
        for state, schedule in schedules(policy).items():
            if schedule.timers not in alike:
                alike[schedule.timers] = Firing(schedule)
            self.firings[state] = alike[schedule.timers]
        self._steps: defaultdict[str, list[tuple[str, str, tuple[Step | None, ...]]]] = defaultdict(list)
        self._looking_back: set[str] = set()
        for (state, event, role), steps in self.table.steps.items():
            self._steps[state].append((event, role, steps))
            if any(step is not None and step.chosen_by == "previous" for step in steps):
                self._looking_back.add(state.partition(".")[0])
        self._known: dict[tuple[str, int], tuple[Edge, ...]] = {}
        self._came: dict[Configuration, tuple[Configuration, Edge] | None] = {}
        self._explore()

    @property
    def configurations(self) -> Iterable[Configuration]:
        """Every one that a case can come to, those that are nearest first."""
        return self._came

    def _explore(self) -> None:
        begin = Configuration(self.policy.initial, assigned=False, previous=None)
        ahead: list[tuple[int, int, Configuration, tuple[Configuration, Edge] | None]] = [(0, 0, begin, None)]
        nearest: dict[Configuration, int] = {begin: 0}
        number = 0
        while ahead:
            steps, _, here, came = heapq.heappop(ahead)
            if here in self._came:
                continue
            self._came[here] = came
            for edge, there in self.ways_on(here):
                cost = steps + 1
                if edge.row is None:
                    cost = steps + len(self.firings[here.state].leading_away())
                if cost < nearest.get(there, cost + 1):
                    nearest[there] = cost
                    number += 1
                    heapq.heappush(ahead, (cost, number, there, (here, edge)))

    def ways_on(self, here: Configuration) -> Iterator[tuple[Edge, Configuration]]:
        """What can happen to a case that stands ``here``, and where it leads; internal transitions too."""
        for edge in self._edges(here):
            yield edge, self._after(here, edge)

    def _edges(self, here: Configuration) -> Iterable[Edge]:
        key = (here.state, here.context)
        if key not in self._known:
            self._known[key] = tuple(self._found(here))
        if here.previous is None:
            return self._known[key]
        return [edge._replace(to=here.previous) if edge.to == PREVIOUS else edge for edge in self._known[key]]

    def _found(self, here: Configuration) -> Iterator[Edge]:
        for event, role, steps in self._steps[here.state]:
            step = steps[here.context]
            if step is None:
                continue
            edge = Edge(event, role, step.to and step.to[2], None, step.needs_assignee, step.row)
            if step.chosen_by == "sub_status":
                for sub_status, target in step.choices.items():
                    yield edge._replace(to=target[2], sub_status=sub_status)
            elif step.chosen_by == "previous":
                yield edge._replace(to=PREVIOUS)
            else:
                yield edge
        firing = self.firings[here.state]
        if firing.mover is not None:
            timer = firing.schedule.timers[firing.mover]
            yield Edge(timer.name, SYSTEM, timer.to)

    def _after(self, here: Configuration, edge: Edge) -> Configuration:
        state = edge.to or here.state
        assigned = here.assigned or edge.assigns
        status = state.partition(".")[0]
        if status not in self._looking_back:
            return Configuration(state, assigned, None)
        same = status == here.state.partition(".")[0]
        return Configuration(state, assigned, here.previous if same else here.state)

    # --- the way there -------------------------------------------------------

    def way(self, to: Configuration) -> tuple[Edge, ...]:
        """A shortest way there from the opening of a case."""
        edges: list[Edge] = []
        while (came := self._came[to]) is not None:
            to, edge = came
            edges.append(edge)
        return tuple(reversed(edges))

    def tell(
        self, to: Configuration, then: Callable[[Life], object] = lambda life: life
    ) -> tuple[str, tuple[Occurrence, ...]]:
        """Story and witness of a case that comes ``to`` a configuration, and of what happens ``then``.

        Both are empty if time does not go on for so long, or calendars forbid it on every day of a year.
        """
        edges = self.way(to)
        for start in SAMPLES:
            life = Life(self, start)
            try:
                for edge in edges:
                    life.goes(edge)
                then(life)
            except _ImpossibleError:
                continue
            return " \N{RIGHTWARDS ARROW} ".join(life.words), tuple(life.steps)
        return "", ()


class _ImpossibleError(Exception):
    """A sweep does not return the timer that a life waits for."""


class Life:
    """The life of one case, led step by step: ``steps`` is its witness, ``words`` tell its story."""

    def __init__(self, exploration: Exploration, start: datetime) -> None:
        self._exploration = exploration
        self._desk = exploration.desk
        self.case = self._desk.open("witness", at=start)
        self.steps = [Occurrence(at=start, event=OPEN, by=SYSTEM)]
        self.words = [OPEN]

    def goes(self, edge: Edge) -> None:
        """Let happen what leads on: an event, or a timer that moves the case."""
        if edge.row is None:
            self.moves()
            return
        step = Occurrence(
            at=self.case.changed_at,
            event=edge.event,
            by=edge.by,
            sub_status=edge.sub_status,
            assignee=ASSIGNEE if edge.assigns else None,
        )
        self.case = _happen(self._desk, self.case, step)
        self.steps.append(step)
        words = f"{_event(edge.event, edge.by)}{f'({edge.sub_status})' if edge.sub_status else ''}"
        self.words.append(words if edge.to is not None or edge.assigns else f"{words} changes nothing")

    def moves(self) -> None:
        """Settle the fewest timers up to the one that moves the case."""
        for index in self._exploration.firings[self.case.state].leading_away():
            self.settles(index)

    def cannot_return(self, index: int) -> None:
        """Go on only in a stay in which no sweep returns the timer at ``index``."""
        firing = self._exploration.firings[self.case.state]
        if any(found == index for _, found in firing.jumps_of(self.case.entered_at)):
            raise _ImpossibleError

    def is_refused(self, event: str, by: str) -> None:
        """Let somebody try what is refused."""
        self.steps.append(Occurrence(at=self.case.changed_at, event=event, by=by, refused=True))
        self.words.append(f"{_event(event, by)} is refused")

    def settles(self, index: int) -> None:
        """Wait until a sweep returns the timer at ``index``, and settle it."""
        case, desk = self.case, self._desk
        schedule = self._exploration.firings[case.state].schedule
        timer = schedule.timers[index]
        due = schedule.due_at(index, schedule.positions[case.settled], case.entered_at, case.settled_at)
        if due is None:
            raise _ImpossibleError
        now = max(due, case.changed_at)
        action = next(desk.forecast(case, now=now))  # what a sweep returns, without a table of all states
        if action.timer != timer.name:
            raise _ImpossibleError
        passed = now - case.changed_at
        if passed:
            length = Length("elapsed", passed // timedelta(seconds=1))
            whole = case.changed_at == case.entered_at and case.settled is None
            if whole and schedule.calendar.add(case.entered_at, timer.after) == now:
                length = timer.after
            verb = "passes" if sum(length.to_dict().values()) == 1 else "pass"
            self.words.append(f"{length} {verb}{' unseen' if action.skipped else ''}")
        missed = f", {' and '.join(action.skipped)} never sent" if action.skipped else ""
        self.words.append(f"{timer.to} by {timer.name}{missed}" if timer.to else f"{timer.name}{missed}")
        self.case = desk.settle(case, action, at=now)
        self.steps.append(Occurrence(at=now, event=timer.name, by=SYSTEM, timer=True))


def _event(event: str, by: str) -> str:
    return event if by == "agent" else f"{event} by the {by}"
