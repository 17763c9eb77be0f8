"""The one object that users hold: a policy, compiled, with a clock.

A `Workflow` answers what an event does to a case and which actions are due. It
keeps nothing about cases: it takes frozen ones and returns new ones. It sends
nothing, closes nothing and never waits; the caller acts, then settles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import attrs

from casestate.case import Action, ActionDraft, Case, CaseDraft, Change, ChangeDraft, standing
from casestate.clock import Clock, format_instant, instant, utc_now
from casestate.errors import (
    CaseDataError,
    CasestateError,
    EventRefused,
    NotDue,
    PolicyError,
    Problem,
    StaleAction,
    TimeOrderError,
    UnknownEvent,
    UnknownRole,
    UnknownStatus,
    key_text,
    nearest,
    one_of,
    shown,
)
from casestate.machine import Step, Table, Target, compile_table, context, live, target
from casestate.policy import CLONE, SYSTEM, Policy
from casestate.schedule import Cutoff, Reach, Schedule, Sweep, schedules


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from transitions import Machine

__all__ = ["Explanation", "Workflow"]

MIGRATE = "migrate"
_SKEW = "where clocks differ by seconds, pass at=max(now, case.changed_at)"


@attrs.frozen(kw_only=True)
class Explanation:
    """What is to be said of one timer of a case's state.

    ``verdict`` is ``settled``, ``due``, ``passed_over``, ``waiting`` or
    ``held_back`` (by a ``notice``); ``due_at`` is when it comes or came due, as
    far as that is known.
    """

    timer: str
    kind: str
    verdict: str
    due_at: datetime | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence


class Workflow:
    """A policy, compiled, with a clock.

    ``clock`` is asked for the instant wherever ``at=`` or ``now=`` is left out.
    A workflow holds no cases; it may be shared between threads.
    """

    __slots__ = ("_clock", "_policy", "_schedules", "_states", "_steps", "_sweep", "_table")

    def __init__(self, policy: Policy, clock: Clock = utc_now) -> None:
        if not isinstance(policy, Policy):
            message = f"a Workflow takes a Policy (see load_policy), not {shown(policy)}"
            raise PolicyError("Workflow", [Problem("policy", message)])
        if not callable(clock):
            message = f"must be something to call, such as utc_now, not {shown(clock)}"
            raise PolicyError("Workflow", [Problem("clock", message)])
        self._policy = policy
        self._clock = clock
        self._table: Table = compile_table(policy)
        # Cloning makes two cases, so it is `clone`'s alone.
        self._steps = {key: steps for key, steps in self._table.steps.items() if key[1] != CLONE}
        self._schedules = schedules(policy)
        self._states: dict[str, Target] = {state: target(policy, state) for state in policy.states}
        self._sweep: Sweep | None = None

    def __repr__(self) -> str:
        return f"<Workflow {self._policy.name!r}>"

    def __reduce__(self) -> tuple[type[Workflow], tuple[Policy, Clock]]:
        return (Workflow, (self._policy, self._clock))

    @property
    def policy(self) -> Policy:
        """The policy that this workflow runs."""
        return self._policy

    @property
    def clock(self) -> Clock:
        """The clock that is asked wherever no instant is given."""
        return self._clock

    # --- events --------------------------------------------------------------

    def open(self, case_id: str, *, at: datetime | None = None) -> Case:
        """Begin a case in the policy's initial state, at ``at``.

        Raises `CaseDataError` for an id that is none, `NaiveTimeError` or
        `InstantError` for an ``at`` that is no instant.
        """
        status, sub_status, *_ = self._states[self._policy.initial]
        moment = self._moment(at, "at")
        return Case(
            id=case_id,
            status=status,
            sub_status=sub_status,
            entered_at=moment,
            opened_at=moment,
            policy=self._policy.name,
        )

    def apply(
        self,
        case: Case,
        event: str,
        *,
        by: str,
        at: datetime | None = None,
        actor: str | None = None,
        sub_status: str | None = None,
        assignee: str | None = None,
    ) -> Case:
        """The case after ``event`` by the role ``by``: a new one, with an entry in its history.

        ``actor`` is whoever took the role; ``sub_status`` and ``assignee`` are
        given where the row asks for them, and only there.

        Raises `EventRefused` (with what is permitted), `UnknownEvent`,
        `UnknownRole`, `MissingArgument`, `UnknownStatus`, `CaseDataError`,
        `TimeOrderError`, `NaiveTimeError` or `InstantError`.
        """
        step = self._step(self._steps, case, event, by)
        moment = self._not_before(case, at, actor)
        if step.plain and sub_status is None and assignee is None:
            to = step.to
        else:
            to = step.target(case.id, sub_status=sub_status, assignee=assignee, previous=case.previous)
            assignee = assignee and str.__str__(assignee)
        if type(by) is not str:
            by = self._role(by)
        return _moved(case, to, moment, step.event, by, actor and str.__str__(actor), assignee, assignee)

    def clone(
        self, case: Case, new_id: str, *, by: str, at: datetime | None = None, actor: str | None = None
    ) -> tuple[Case, Case]:
        """Fire the ``clone`` row, and begin a new case linked to this one: ``(original, clone)``.

        The clone is in the initial state and has no assignee.

        Raises what `apply` raises, and `CaseDataError` for an id that is none or taken.
        """
        step = self._step(self._table.steps, case, CLONE, by)
        if new_id in (case.id, *case.clones, case.cloned_from or case.id):
            raise CaseDataError(f"case {case.id!r}", [Problem("clones", f"the id {new_id!r} is taken")])
        moment = self._not_before(case, at, actor)
        clone = attrs.evolve(self.open(new_id, at=moment), cloned_from=case.id)
        to = step.target(case.id, sub_status=None, assignee=None, previous=case.previous)
        original = _moved(case, to, moment, CLONE, self._role(by), actor and str.__str__(actor), clone.id)
        return attrs.evolve(original, clones=(*case.clones, clone.id)), clone

    def allowed(self, case: Case, *, by: str | None = None) -> tuple[str, ...]:
        """The events that the role ``by`` (none: any role) may cause in this case now, sorted.

        Raises `UnknownRole`, `UnknownStatus` or `CaseDataError`.
        """
        self._belongs(case)
        permitted = self._permitted(case, by)
        if permitted is None:
            raise UnknownRole(cast("str", by), self._policy.roles)
        return permitted

    def _permitted(self, case: Case, by: str | None) -> tuple[str, ...] | None:
        """The events that ``by`` may cause (none: any role); none at all if there is no such role."""
        index = context(assigned=case.assignee is not None, previous=self._can_go_back(case))
        try:
            return self._table.permitted[case.state, by][index]
        except (LookupError, TypeError):
            return None

    def _can_go_back(self, case: Case) -> bool:
        """Whether the case has a previous state: one of this policy, and not of its own status."""
        previous = self._states.get(case.previous or "")
        return previous is not None and previous[0] != case.status

    def _step(
        self, steps: Mapping[tuple[str, str, str], tuple[Step | None, ...]], case: Case, event: str, by: str
    ) -> Step:
        """What the event does to the case; raises why it does nothing."""
        try:
            found = steps.get((case.state, event, by))
        except (AttributeError, TypeError):
            raise self._refusal(case, event, by) from None
        if found and (case.policy is None or case.policy == self._policy.name):
            step = found[2 * (case.assignee is not None) + (case.previous is not None)]  # `context`, inline
            if step is not None and step.chosen_by == "previous" and case.previous not in step.choices:
                step = found[context(assigned=case.assignee is not None, previous=False)]
            if step is not None:
                return step
        raise self._refusal(case, event, by)

    def _refusal(self, case: Case, event: str, by: str) -> CasestateError:
        """Why the table has no step: what the case, the event or the role lacks."""
        try:
            self._belongs(case)
        except CasestateError as error:
            return error
        if event not in self._policy.events:
            return UnknownEvent(event, self._policy.events, f"case {case.id!r}")
        permitted = self._permitted(case, by) if isinstance(by, str) else None
        if permitted is None:
            return UnknownRole(by, self._policy.roles, f"case {case.id!r}")
        if event == CLONE and event in permitted:
            return EventRefused(
                case.id, event, case.state, by, permitted, "call Workflow.clone(case, new_id, by=…)"
            )
        return EventRefused(case.id, event, case.state, by, permitted)

    def _role(self, by: str) -> str:
        """The role as the policy names it: an enum's member may print and compare as something else."""
        return self._policy.roles[self._policy.roles.index(by)]

    def _not_before(self, case: Case, at: datetime | None, actor: str | None = None) -> datetime:
        """The instant of a change, which is not before the last one; and whoever makes it has a name."""
        if actor is not None and (not isinstance(actor, str) or not actor):
            raise CaseDataError(f"case {case.id!r}", [Problem("actor", f"must be text, not {shown(actor)}")])
        moment = self._moment(at, "at")
        if moment < case.changed_at:
            raise TimeOrderError(f"case {case.id!r}: at", moment, case.changed_at, _SKEW)
        return moment

    # --- the evaluator -------------------------------------------------------

    def due(
        self,
        cases: Iterable[Case],
        *,
        now: datetime | None = None,
        on_error: Callable[[Case, CasestateError], object] | None = None,
    ) -> Iterator[Action]:
        """What is due at ``now``: at most one action a case, lazily, in the order of ``cases``.

        A case that cannot be evaluated raises its error; with ``on_error`` that
        is called with the case and the error instead, and the sweep goes on.

        Raises `NaiveTimeError` or `InstantError` at once; while it runs
        `UnknownStatus` or `CaseDataError`.
        """
        if not isinstance(cases, Iterable):
            message = f"must be an iterable of Case objects, not {shown(cases)}"
            raise CaseDataError("cases", [Problem("", message)])
        return self._due(cases, self._sweep_at(now), on_error)

    def _due(
        self,
        cases: Iterable[Case],
        sweep: Sweep,
        on_error: Callable[[Case, CasestateError], object] | None,
    ) -> Iterator[Action]:
        latest, reaches = sweep.latest, sweep.reaches
        for case in cases:
            try:
                if case.entered_at > latest[case.standing]:
                    continue
                found = reaches[case.standing]
            except (LookupError, AttributeError):
                try:
                    self._belongs(case)
                except CasestateError as error:
                    if on_error is None:
                        raise error from None
                    on_error(case, error)
                continue
            action = self._first(case, found)
            if action is not None:
                yield action

    @staticmethod
    def _first(case: Case, reaches: Iterable[Reach]) -> Action | None:
        """The action of the first row of the cutoff table that holds for the case."""
        settled_at = case.settled_at
        for cutoff, schedule, position, index in reaches:
            if case.entered_at <= cutoff.entered_until and (
                cutoff.settled_until is None
                or (settled_at is not None and settled_at <= cutoff.settled_until)
            ):
                return _action(case, schedule, position, index)
        return None

    def _sweep_at(self, now: datetime | None) -> Sweep:
        # The last one is kept: a caller settles between two looks at the same instant.
        moment = self._moment(now, "now")
        sweep = self._sweep
        if sweep is None or sweep.now != moment:
            sweep = self._sweep = Sweep(self._policy.name, self._schedules.values(), moment)
        return sweep

    def cutoffs(self, now: datetime | None = None) -> tuple[Cutoff, ...]:
        """The cutoff table at ``now``: all that another engine must know to find what is due.

        Raises `NaiveTimeError` or `InstantError`.
        """
        moment = self._moment(now, "now")
        return tuple(row for schedule in self._schedules.values() for row in schedule.cutoffs(moment))

    def next_due(self, case: Case) -> datetime | None:
        """When the case's next timer comes due; in the past if it is overdue, none if nothing is left.

        Raises `UnknownStatus` or `CaseDataError`.
        """
        schedule, position = self._position(case)
        if position == len(schedule.timers):
            return None
        return schedule.due_at(position, position, case.entered_at, case.settled_at)

    def forecast(self, case: Case, *, now: datetime | None = None) -> Iterator[Action]:
        """What sweeps at every instant from ``now`` on would return if nobody did anything else.

        Overdue actions are taken as settled at ``now``, the others when they come
        due. Lazy, and endless for a policy whose timers move a case in a circle.

        Raises at once what `next_due` raises, `NaiveTimeError` or `InstantError`.
        """
        moment = self._moment(now, "now")
        self._position(case)
        return self._forecast(case, moment)

    def _forecast(self, case: Case, now: datetime) -> Iterator[Action]:
        while (due_at := self.next_due(case)) is not None:
            now = max(now, due_at)
            action = cast("Action", self._evaluate(case, now))  # the next timer is due by now
            yield action
            case = self._settled(case, action.timer, now)

    def _evaluate(self, case: Case, now: datetime) -> Action | None:
        """What is due for one case, by the due instants themselves: no table is worth making for one."""
        schedule, position = self._position(case)
        index = schedule.furthest_due(position, case.entered_at, case.settled_at, now)
        return None if index is None else _action(case, schedule, position, index)

    def explain(self, case: Case, *, now: datetime | None = None) -> tuple[Explanation, ...]:
        """Why each timer of the case's state is, or is not, what a sweep at ``now`` returns.

        Raises `UnknownStatus`, `CaseDataError`, `NaiveTimeError` or `InstantError`.
        """
        moment = self._moment(now, "now")
        schedule, position = self._position(case)
        action = self._evaluate(case, moment)
        return tuple(
            self._explanation(case, schedule, position, index, action, moment)
            for index in range(len(schedule.timers))
        )

    def _explanation(
        self, case: Case, schedule: Schedule, position: int, index: int, action: Action | None, now: datetime
    ) -> Explanation:
        timer = schedule.timers[index]
        due_at = schedule.due_at(index, position, case.entered_at, case.settled_at)
        if index < position:
            due_at = schedule.counted_from_entry(index, case.entered_at)
            passed = timer.name in _passed_over(case)
            verdict = "passed_over" if passed else "settled"
            settled_at = (
                f" at {format_instant(cast('datetime', case.settled_at))}"
                if timer.name == case.settled
                else ""
            )
            said = f"was passed over for {case.settled}" if passed else f"has been settled{settled_at}"
        elif action is not None and timer.name == action.timer:
            verdict, said = "due", f"is due since {format_instant(action.due_at)}"
        elif action is not None and timer.name in action.skipped:
            verdict, said = "passed_over", f"is passed over: {action.timer} is due as well, and further on"
        elif index not in schedule.reachable(position):
            before = next(
                number
                for number in range(position + 1, index + 1)
                if schedule.timers[number].notice is not None
            )
            holder, warning = schedule.timers[before], schedule.timers[before - 1]
            verdict = "held_back"
            due_at = None
            said = (
                f"is held back: {holder.name} comes at the earliest {holder.notice} "
                f"after {warning.name} has been settled"
            )
        elif due_at is None:
            verdict, said = "waiting", "never comes due: that would be beyond the year 9999"
        else:
            by_entry = schedule.counted_from_entry(index, case.entered_at)
            held = by_entry is not None and by_entry <= now
            verdict = "held_back" if held else "waiting"
            said = f"waits until {format_instant(due_at)}"
            if held:
                notice = schedule.notice(position)
                said = (
                    f"is held back until {format_instant(due_at)}, {notice} after {case.settled} was settled"
                )
        effect = (
            f", and moves the case to {timer.to}"
            if timer.to is not None and due_at is not None and verdict in ("due", "waiting")
            else ""
        )
        return Explanation(
            timer=timer.name,
            kind=timer.kind,
            verdict=verdict,
            due_at=due_at,
            sentence=f"{timer.name} {said}{effect}.",
        )

    # --- settling ------------------------------------------------------------

    def settle(self, case: Case, action: Action, *, at: datetime | None = None) -> Case:
        """The case after ``action`` has been dealt with, at ``at``.

        A timer with a target moves the case (a new stay, entered at ``at``); any
        other is remembered as the last one settled. Either is in the history.

        Raises `StaleAction` if the action is of another case or stay, or has been
        settled; `NotDue` if it is too early; `UnknownStatus`, `CaseDataError`,
        `TimeOrderError`, `NaiveTimeError` or `InstantError`.
        """
        schedule, position = self._position(case)
        if not isinstance(action, Action):
            raise CaseDataError("action", [Problem("", f"must be an Action, not {shown(action)}")])
        index = schedule.positions.get(action.timer, 0) - 1 if isinstance(action.timer, str) else -1
        reason = _stale(case, action, index, position)
        if reason:
            raise StaleAction(case.id, action.timer, reason)
        moment = self._not_before(case, at)
        due_at = schedule.due_at(index, position, case.entered_at, case.settled_at)
        if index not in schedule.reachable(position) or due_at is None or due_at > moment:
            explanation = self._explanation(case, schedule, position, index, None, moment)
            raise NotDue(case.id, action.timer, moment, explanation.due_at, explanation.sentence)
        return self._settled(case, action.timer, moment)

    def _settled(self, case: Case, timer_name: str, at: datetime) -> Case:
        schedule = self._schedules[case.state]
        position, index = schedule.positions[case.settled], schedule.positions[timer_name] - 1
        passed = schedule.passed_over(position, index)
        timer = schedule.timers[index]
        if timer.to is None:
            return _moved(case, None, at, timer_name, SYSTEM, None, passed or None, settled=timer_name)
        return _moved(case, self._states[timer.to], at, timer_name, SYSTEM, None, passed or None)

    # --- another policy, another machine -------------------------------------

    def migrate(
        self,
        case: Case,
        to_workflow: Workflow,
        states: Mapping[str, str] | None = None,
        *,
        at: datetime | None = None,
    ) -> Case:
        """The case under another version of its policy, as of ``at``, with an entry in its history.

        ``states`` maps states of this policy to states of the other; it must
        cover every state that is gone. A case that is moved to another state begins a
        new stay. One whose state stays keeps its stay and what has been settled of
        it, except where it would then be closed sooner than under the old policy,
        or with less warning left than a longer ``notice`` of the new one
        promises: there a new stay begins at ``at``.

        Raises `PolicyError` with every state that either policy does not have or
        the map does not cover, and what `apply` raises for the case and the instant.
        """
        mapping = self._state_map(to_workflow, {} if states is None else states)
        self._position(case)
        moment = self._not_before(case, at)
        new = to_workflow._policy
        to = to_workflow._states[mapping.get(case.state, case.state)]
        previous = None if case.previous is None else mapping.get(case.previous, case.previous)
        if previous is not None and previous.partition(".")[0] == to[0]:
            previous = None  # where the run of stays in this status came from has become part of it
        change = Change(
            at=moment,
            event=MIGRATE,
            by=SYSTEM,
            from_state=case.state,
            to_state=to[2],
            stay=case.stay,
            detail=new.name,
        )
        moved = attrs.evolve(
            case,
            status=to[0],
            sub_status=to[1],
            previous=previous,
            policy=new.name,
            history=(*case.history, change),
        )
        if to[2] == case.state:
            settled = self._settled_under(to_workflow, case)
            moved = attrs.evolve(moved, settled=settled, settled_at=case.settled_at if settled else None)
            if not self._closes_sooner(case, to_workflow, moved, moment):
                return moved
        return attrs.evolve(
            moved,
            entered_at=moment,
            stay=case.stay + 1,
            settled=None,
            settled_at=None,
            history=(*case.history, attrs.evolve(change, stay=case.stay + 1)),
        )

    def _state_map(self, to_workflow: Workflow, states: Mapping[str, str]) -> Mapping[str, str]:
        if not isinstance(to_workflow, Workflow):
            message = f"must be a Workflow, not {shown(to_workflow)}"
            raise PolicyError("migrate", [Problem("to_workflow", message)])
        if not isinstance(states, Mapping):
            message = f"must map old states to new ones, not be {shown(states)}"
            raise PolicyError("migrate", [Problem("states", message)])
        old, new = self._policy.states, to_workflow._policy.states
        problems = [
            Problem(
                f"states.{key_text(source)}",
                f"no state of this policy{nearest(source, old)} (there are: {one_of(old)})",
            )
            for source in states
            if source not in old
        ]
        problems += [
            Problem(
                f"states.{key_text(source)}",
                f"no state to go to: {shown(target)}{nearest(target, new)} (there are: {one_of(new)})",
            )
            for source, target in states.items()
            if not isinstance(target, str) or target not in new
        ]
        problems += [
            Problem(f"states.{state}", f"is missing: the state is gone; map it to one of {one_of(new)}")
            for state in old
            if state not in new and state not in states
        ]
        if problems:
            raise PolicyError("migrate", problems)
        return states

    def _settled_under(self, to_workflow: Workflow, case: Case) -> str | None:
        """The last timer of the other schedule that this stay has dealt with.

        It is sought before the first one that is still to come here; one that was
        passed over because of another has not been dealt with by itself.
        """
        schedule, position = self._position(case)
        to_come = {timer.name for timer in schedule.timers[position:]}
        dealt_with = {timer.name for timer in schedule.timers[:position]} - _passed_over(case)
        settled = None
        for timer in to_workflow._schedules[case.state].timers:
            if timer.to is not None or timer.name in to_come:
                break
            if timer.name in dealt_with:
                settled = timer.name
        return settled

    def _closes_sooner(self, case: Case, to_workflow: Workflow, moved: Case, at: datetime) -> bool:
        if self._policy.is_closed(case.state):
            return False  # it is closed
        old, old_notice = self._closes_at(case, at)
        new, new_notice = to_workflow._closes_at(moved, at)
        if new is None:
            return False
        if old is None or new < old:
            return True
        return new_notice is not None and new < new_notice and (old_notice is None or old_notice < new_notice)

    def _closes_at(self, case: Case, at: datetime) -> tuple[datetime | None, datetime | None]:
        """When timers would close the case, from ``at`` on, and when a notice given at ``at`` is over."""
        entered: set[str] = set()
        for action in self._forecast(case, at):
            if action.kind == "close":
                notice = None
                if not entered:  # beyond this stay every warning is still to come
                    schedule = self._schedules[case.state]
                    notice = schedule.timers[schedule.positions[action.timer] - 1].notice
                over = None if notice is None else self._policy.calendar.add(at, notice)
                return max(at, action.due_at), over
            if action.to in entered:  # a circle
                break
            if action.to is not None:
                entered.add(action.to)
        return None, None

    def machine(self, model: object | None = None) -> Machine:
        """A live ``transitions.Machine`` of the policy, for its callbacks and diagrams on your own model.

        Without a ``model`` it has none. Its triggers take ``by=``, ``sub_status=``,
        ``assignee=``, ``assigned=`` and ``previous=``; they return ``False`` or
        raise ``MachineError`` where `apply` raises `EventRefused`, and raise
        `MissingArgument` and `UnknownStatus` as it does.
        """
        return live(self._policy, model)

    # --- what a case is ------------------------------------------------------

    def _moment(self, given: datetime | None, what: str) -> datetime:
        return instant(self._clock() if given is None else given, what)

    def _position(self, case: Case) -> tuple[Schedule, int]:
        self._belongs(case)
        schedule = self._schedules[case.state]
        return schedule, schedule.positions[case.settled]

    def _belongs(self, case: Case) -> None:
        """Raise what is wrong with a case in the eyes of this policy."""
        if not isinstance(case, Case):
            hint = "; give the mapping's values()" if isinstance(case, str) else ""
            raise CaseDataError("cases", [Problem("", f"must be Case objects, not {shown(case)}{hint}")])
        subject = f"case {case.id!r}"
        policy = self._policy
        if case.policy is not None and case.policy != policy.name:
            message = (
                f"the case is of {case.policy!r}, this workflow of {policy.name!r}; see Workflow.migrate"
            )
            raise CaseDataError(subject, [Problem("policy", message)])
        if case.state not in self._states:
            status = policy.statuses.get(case.status)
            if status is None:
                raise UnknownStatus(case.status, tuple(policy.statuses), f"{subject}: status")
            if case.sub_status is None:
                message = f"is missing: {case.status} needs one of {one_of(status.sub_statuses)}"
                raise CaseDataError(subject, [Problem("sub_status", message)])
            where = f"{subject}: sub_status of {case.status}"
            raise UnknownStatus(case.sub_status, tuple(status.sub_statuses), where)
        positions = self._schedules[case.state].positions
        if case.settled not in positions:
            timers = [timer for timer in positions if timer is not None]
            hint = f"{nearest(case.settled, timers)} (there are: {one_of(timers)})"
            message = f"{case.settled!r} is no timer of {case.state}{hint}"
            raise CaseDataError(subject, [Problem("settled", message)])


def expect_workflow(value: object, subject: str) -> Workflow:
    """The workflow that was passed to ``subject``. Raises `PolicyError` for anything else."""
    if not isinstance(value, Workflow):
        raise PolicyError(subject, [Problem("workflow", f"must be a Workflow, not {shown(value)}")])
    return value


def _passed_over(case: Case) -> set[str]:
    """The timers that this stay has passed over, as its history tells.

    Those that were passed over when a timer moved the case are of the stay before.
    """
    return {
        name
        for change in case.history
        if change.stay == case.stay
        and change.by == SYSTEM
        and change.from_state == change.to_state
        and isinstance(change.detail, tuple)
        for name in change.detail
    }


def _action(case: Case, schedule: Schedule, position: int, index: int) -> Action:
    timer = schedule.timers[index]
    action: Any = ActionDraft()
    action.case_id = case.id
    action.stay = case.stay
    action.entered_at = case.entered_at
    action.timer = timer.name
    action.kind = timer.kind
    action.audience = timer.audience
    action.due_at = schedule.due_at(index, position, case.entered_at, case.settled_at)
    action.to = timer.to
    action.skipped = schedule.passed_over(position, index)
    action.__class__ = Action
    return cast("Action", action)


def _stale(case: Case, action: Action, index: int, position: int) -> str:
    """Why an action is stale; nothing if it is not."""
    if action.case_id != case.id:
        return f"it is of case {shown(action.case_id)}"
    if action.stay != case.stay or action.entered_at != case.entered_at:
        entered_at = (
            action.entered_at if isinstance(action.entered_at, datetime) else shown(action.entered_at)
        )
        return (
            f"it is of stay {shown(action.stay)}, entered at {entered_at}; the case is in stay "
            f"{case.stay}, in {case.state} since {case.entered_at}"
        )
    if index < 0:
        return f"{case.state} has no such timer"
    if index < position:
        return f"{case.settled!r} has been settled at {case.settled_at}"
    return ""


def _moved(
    case: Case,
    to: Target | None,
    at: datetime,
    event: str,
    by: str,
    actor: str | None,
    detail: str | tuple[str, ...] | None = None,
    assignee: str | None = None,
    settled: str | None = None,
) -> Case:
    """The case after a change; without a target it stays where it is, clock untouched."""
    change: Any = ChangeDraft()
    change.at = at
    change.event = event
    change.by = by
    change.actor = actor
    change.from_state = case.state
    change.detail = detail
    after: Any = CaseDraft()
    after.id = case.id
    after.policy = case.policy
    after.opened_at = case.opened_at
    after.changed_at = at
    after.cloned_from = case.cloned_from
    after.assignee = assignee or case.assignee
    after.clones = case.clones
    if to is None:
        after.status = case.status
        after.sub_status = case.sub_status
        after.state = change.to_state = case.state
        after.entered_at = case.entered_at
        after.stay = change.stay = case.stay
        after.previous = case.previous
        if settled is None:
            after.settled = case.settled
            after.settled_at = case.settled_at
            after.standing = case.standing
        else:
            after.settled = settled
            after.settled_at = at
            after.standing = standing(case.policy, case.state, settled)
    else:
        after.status, after.sub_status, after.state, after.standing = to
        change.to_state = after.state
        after.entered_at = at
        after.stay = change.stay = case.stay + 1
        after.previous = case.previous if after.status == case.status else case.state
        after.settled = None
        after.settled_at = None
        if case.policy is None:
            after.standing = standing(None, after.state, None)
    change.__class__ = Change
    after.history = (*case.history, change)
    after.__class__ = Case
    moved: Case = after
    return moved
