"""The policy's transitions, compiled and checked by ``transitions``: its only importer.

`live` makes a flat `transitions.Machine` for those who want its callbacks on
their own model. `compile_table` reads such a machine back into the frozen table
that events run on, so that the two cannot drift apart.

Nothing of a policy's text is ever handed to ``transitions`` as a callback: the
names of states and events go in as names, everything else as our own guards.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from transitions import Machine

from casestate.case import standing
from casestate.errors import MissingArgument, UnknownStatus, shown
from casestate.policy import PREVIOUS


if TYPE_CHECKING:
    from collections.abc import Mapping

    from transitions import EventData

    from casestate.policy import Policy, Transition

__all__ = ["CONTEXTS", "Step", "Table", "Target", "compile_table", "context", "live", "target"]

Target: TypeAlias = tuple[str, str | None, str, str]
"""Where a row leads: status, sub-status, state, and the `standing` of a case that enters it."""

CONTEXTS: Final = tuple((assigned, previous) for assigned in (False, True) for previous in (False, True))
"""What `context` counts: whether a case is assigned, and has a previous state."""


class Step:
    """What a row does to a case that is in one state; ``row`` is its number in the policy.

    ``to`` is none for an internal transition. Where the target has to be chosen,
    ``choices`` holds the targets by sub-status or by previous state. ``plain``
    says that the target is known and no argument is wanted: nearly every event.
    """

    __slots__ = ("choices", "chosen_by", "event", "needs_assignee", "plain", "row", "to")

    def __init__(
        self,
        row: int,
        event: str,
        to: Target | None,
        chosen_by: Literal["sub_status", "previous"] | None = None,
        choices: Mapping[str, Target] = MappingProxyType({}),
        *,
        needs_assignee: bool = False,
    ) -> None:
        self.row = row
        self.event = event
        self.to = to
        self.chosen_by = chosen_by
        self.choices = choices
        self.needs_assignee = needs_assignee
        self.plain = chosen_by is None and not needs_assignee

    def target(
        self, case_id: str, *, sub_status: str | None, assignee: str | None, previous: str | None
    ) -> Target | None:
        """Where the row leads, given the arguments of the event; none for an internal transition.

        Raises `MissingArgument` if one lacks or is not wanted, `UnknownStatus`
        for a sub-status that the policy does not have.
        """
        needs_sub_status = self.chosen_by == "sub_status"
        if needs_sub_status or sub_status is not None:
            self._check(case_id, "sub_status", sub_status, wanted=needs_sub_status, known=self.choices)
        if self.needs_assignee or assignee is not None:
            self._check(case_id, "assignee", assignee, wanted=self.needs_assignee)
        if self.chosen_by is None:
            return self.to
        choice = cast("str", sub_status if needs_sub_status else previous)
        if choice not in self.choices:
            raise UnknownStatus(choice, tuple(self.choices), f"case {case_id!r}: sub_status")
        return self.choices[choice]

    def _check(
        self,
        case_id: str,
        name: str,
        value: object,
        *,
        wanted: bool,
        known: Mapping[str, Target] | None = None,
    ) -> None:
        if not wanted and value is not None:
            raise MissingArgument(
                case_id, self.event, name, f"takes no {name}= here, but {shown(value)} was given"
            )
        if wanted and (not isinstance(value, str) or not value):
            choices = f" (one of: {', '.join(known)})" if known else ""
            raise MissingArgument(case_id, self.event, name, f"needs {name}={choices}, not {shown(value)}")


class Table:
    """The policy's rows, resolved: one look-up answers what an event does to a case.

    ``steps`` holds, by state, event and role, the step in each of the four
    contexts (see `context`); an absent key or step is a refusal. ``permitted``
    holds, by state and role (none: any role), the events there are in each
    context, sorted.
    """

    __slots__ = ("permitted", "steps")

    def __init__(
        self,
        steps: Mapping[tuple[str, str, str], tuple[Step | None, ...]],
        permitted: Mapping[tuple[str, str | None], tuple[tuple[str, ...], ...]],
    ) -> None:
        self.steps = steps
        self.permitted = permitted


def context(*, assigned: bool, previous: bool) -> int:
    """What of a case, beside its state, decides which row matches, as an index from 0 to 3.

    ``previous`` is whether it has a previous state that a row can lead back to.
    """
    return 2 * assigned + previous


class _Guard:
    """Whether a row matches: what ``transitions`` asks before it fires one."""

    def __init__(
        self, row: Transition, step: Step, choice: str | None = None, refusals: tuple[_Guard, ...] = ()
    ) -> None:
        self.row = row
        self.step = step
        self.choice = choice
        self.refusals = refusals
        self.__name__ = f"by {' or '.join(row.by)}" + (f" when {row.when}" if row.when else "")

    def matches(self, *, by: object, assigned: bool, previous: bool) -> bool:
        return self.row.matches(by=by, assigned=assigned, previous=previous) and not any(
            refusal.matches(by=by, assigned=assigned, previous=previous) for refusal in self.refusals
        )

    def __call__(self, event: EventData) -> bool:
        given = event.kwargs
        previous = given.get("previous")
        if not self.matches(
            by=given.get("by"), assigned=bool(given.get("assigned")), previous=previous in self.step.choices
        ):
            return False
        to = self.step.target(
            repr(event.model),
            sub_status=given.get("sub_status"),
            assignee=given.get("assignee"),
            previous=previous,
        )
        return self.choice is None or to == self.step.choices[self.choice]


def live(policy: Policy, model: object | None = None) -> Machine:
    """A flat ``transitions.Machine`` of the policy, with ``model`` if there is one, else with none.

    Its triggers take ``by=``, ``sub_status=``, ``assignee=``, ``assigned=`` and ``previous=``.
    A model has its state as ``state``, or as ``_state`` if the policy calls an event ``state``.
    """
    machine = Machine(
        model=None,
        states=list(policy.states),
        transitions=[row for event in policy.events for row in _rows(policy, event)],
        initial=policy.initial,
        auto_transitions=False,
        send_event=True,
        name=policy.name,
        model_attribute="_state" if "state" in policy.events else "state",
    )
    if model is not None:  # the machine itself would overlook one that is falsy
        machine.add_model(model)
    return machine


def _rows(policy: Policy, event: str) -> list[dict[str, object]]:
    # The event is there even if no row of it matches any state.
    rows: list[dict[str, object]] = [{"trigger": event, "source": [], "dest": None}]
    refusals: dict[str, tuple[_Guard, ...]] = dict.fromkeys(policy.states, ())
    for number, row in enumerate(policy.transitions):
        if row.event != event:
            continue
        for state in policy.matching(row.from_):
            step = _step(policy, number, state)
            if row.refuse:
                refusals[state] += (_Guard(row, step),)
                continue
            targets: list[tuple[str | None, Target | None]] = [*step.choices.items()] or [(None, step.to)]
            for choice, to in targets:
                guard = _Guard(row, step, choice, refusals[state])
                rows.append({"trigger": event, "source": state, "dest": to and to[2], "conditions": [guard]})
    return rows


def _step(policy: Policy, number: int, state: str) -> Step:
    row = policy.transitions[number]
    needs_assignee = "assignee" in row.needs
    if row.to is None:
        return Step(number, row.event, None, needs_assignee=needs_assignee)
    if row.to == PREVIOUS:
        own = state.partition(".")[0]
        choices = {other: target(policy, other) for other in policy.states if other.partition(".")[0] != own}
        return Step(number, row.event, None, "previous", choices, needs_assignee=needs_assignee)
    if row.to in policy.states:
        return Step(number, row.event, target(policy, row.to), needs_assignee=needs_assignee)
    choices = {sub: target(policy, f"{row.to}.{sub}") for sub in policy.statuses[row.to].sub_statuses}
    return Step(number, row.event, None, "sub_status", choices, needs_assignee=needs_assignee)


def target(policy: Policy, state: str) -> Target:
    """A state of the policy, as a row leads there."""
    status, _, sub_status = state.partition(".")
    return (status, sub_status or None, state, standing(policy.name, state, None))


def compile_table(policy: Policy) -> Table:
    """The frozen table of the policy, read from its live machine."""
    machine = live(policy)
    steps: dict[tuple[str, str, str], tuple[Step | None, ...]] = {}
    permitted: dict[tuple[str, str | None], list[set[str]]] = {
        (state, role): [set() for _ in CONTEXTS] for state in policy.states for role in (None, *policy.roles)
    }
    for event in policy.events:
        for state in policy.states:
            # `.get`: reading the dictionary of a machine's transitions by key would add to it.
            rows = machine.events[event].transitions.get(state, [])
            guards = [cast("_Guard", row.conditions[0].func) for row in rows]
            for role in dict.fromkeys(role for guard in guards for role in guard.row.by):
                found = tuple(
                    _first(guards, role, assigned=assigned, previous=previous)
                    for assigned, previous in CONTEXTS
                )
                steps[state, event, role] = found
                for index, step in enumerate(found):
                    if step is not None:
                        permitted[state, role][index].add(event)
                        permitted[state, None][index].add(event)
    return Table(
        steps, {key: tuple(tuple(sorted(events)) for events in sets) for key, sets in permitted.items()}
    )


def _first(guards: list[_Guard], role: str, *, assigned: bool, previous: bool) -> Step | None:
    return next(
        (guard.step for guard in guards if guard.matches(by=role, assigned=assigned, previous=previous)), None
    )
