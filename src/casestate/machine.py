"""The policy's transitions, compiled and checked by ``transitions``: its only importer.

`live` makes a flat `transitions.Machine` for those who want its callbacks on
their own model. `compile_table` reads such a machine back into the frozen table
that events run on, so that the two cannot drift apart.

Nothing of a policy's text is ever handed to ``transitions`` as a callback: the
names of states and events go in as names, everything else as our own guards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from transitions import Machine

from casestate.errors import MissingArgument, UnknownStatus
from casestate.policy import PREVIOUS


if TYPE_CHECKING:
    from transitions import EventData
    from transitions import Transition as LiveTransition

    from casestate.policy import Policy, Transition

__all__ = ["Step", "Table", "Target", "compile_table", "live"]

Target: TypeAlias = tuple[str, str | None, str]
"""Status, sub-status and state of where a row leads."""

_CONTEXTS: Final = tuple((assigned, previous) for assigned in (False, True) for previous in (False, True))


@attrs.frozen
class Step:
    """What a row does to a case that is in one state.

    ``to`` is none for an internal transition. Where the target has to be chosen,
    ``choices`` holds the targets by sub-status or by previous state.
    """

    event: str
    to: Target | None
    chosen_by: Literal["sub_status", "previous"] | None = None
    choices: Mapping[str, Target] = attrs.field(factory=dict)
    needs_assignee: bool = False
    plain: bool = attrs.field(init=False)
    """Whether the target is known and no argument is wanted: nearly every event."""

    @plain.default
    def _plain(self) -> bool:
        return self.chosen_by is None and not self.needs_assignee

    def target(
        self, case_id: str, *, sub_status: str | None, assignee: str | None, previous: str | None
    ) -> Target | None:
        """Where the row leads, given the arguments of the event; none for an internal transition.

        Raises `MissingArgument` if one lacks or is not wanted, `UnknownStatus`
        for a sub-status or previous state that the policy does not have.
        """
        self._check(case_id, "sub_status", sub_status, wanted=self.chosen_by == "sub_status", known=self.choices)
        self._check(case_id, "assignee", assignee, wanted=self.needs_assignee)
        if self.chosen_by is None:
            return self.to
        choice = sub_status if self.chosen_by == "sub_status" else previous
        if choice not in self.choices:
            raise UnknownStatus(str(choice), tuple(self.choices), f"case {case_id!r}: {self.chosen_by}")
        return self.choices[choice]

    def _check(
        self, case_id: str, name: str, value: object, *, wanted: bool, known: Mapping[str, Target] | None = None
    ) -> None:
        if not wanted and value is not None:
            raise MissingArgument(case_id, self.event, name, f"takes no {name}= here, but {value!r} was given")
        if wanted and (not isinstance(value, str) or not value):
            choices = f" (one of: {', '.join(known)})" if known else ""
            raise MissingArgument(case_id, self.event, name, f"needs {name}={choices}, not {value!r}")


@attrs.frozen
class Table:
    """The policy's rows, resolved: one look-up answers what an event does to a case.

    Whether a case is assigned, and whether it has a previous state, is its
    `context`, an index from 0 to 3.
    """

    steps: Mapping[tuple[str, str, str], tuple[Step | None, ...]]
    """By state, event and role: the step in each context. An absent key is a refusal."""
    permitted: Mapping[tuple[str, str | None], tuple[tuple[str, ...], ...]]
    """By state and role (none: any role): the events there are in each context, sorted."""

    @staticmethod
    def context(*, assigned: bool, previous: bool) -> int:
        """The index into a row of the table."""
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
        return (
            by in self.row.by
            and (self.row.when is None or (self.row.when == "assigned") == assigned)
            and (self.row.to != PREVIOUS or previous)
            and not any(refusal.matches(by=by, assigned=assigned, previous=previous) for refusal in self.refusals)
        )

    def __call__(self, event: EventData) -> bool:
        given = event.kwargs
        previous = given.get("previous")
        if not self.matches(by=given.get("by"), assigned=bool(given.get("assigned")), previous=previous is not None):
            return False
        target = self.step.target(
            repr(event.model),
            sub_status=given.get("sub_status"),
            assignee=given.get("assignee"),
            previous=previous,
        )
        return self.choice is None or target == self.step.choices[self.choice]


def live(policy: Policy, model: object | None = None) -> Machine:
    """A flat ``transitions.Machine`` of the policy, with ``model`` if there is one, else with none.

    Its triggers take ``by=``, ``sub_status=``, ``assignee=``, ``assigned=`` and ``previous=``.
    """
    return Machine(
        model=model,
        states=list(policy.states),
        transitions=[row for event in policy.events for row in _rows(policy, event)],
        initial=policy.initial,
        auto_transitions=False,
        send_event=True,
        name=policy.name,
    )


def _rows(policy: Policy, event: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for state in policy.states:
        refusals: list[_Guard] = []
        for row in policy.transitions:
            if row.event != event or state not in policy.matching(row.from_):
                continue
            step = _step(policy, row, state)
            if row.refuse:
                refusals.append(_Guard(row, step))
                continue
            targets: Mapping[str | None, Target | None] = step.choices or {None: step.to}  # type: ignore[assignment]  # keys widen
            rows += [
                {
                    "trigger": event,
                    "source": state,
                    "dest": target and target[2],
                    "conditions": [_Guard(row, step, choice, tuple(refusals))],
                }
                for choice, target in targets.items()
            ]
    return rows


def _step(policy: Policy, row: Transition, state: str) -> Step:
    needs_assignee = "assignee" in row.needs
    if row.to is None:
        return Step(row.event, None, needs_assignee=needs_assignee)
    if row.to == PREVIOUS:
        own = state.partition(".")[0]
        choices = {other: _target(other) for other in policy.states if other.partition(".")[0] != own}
        return Step(row.event, None, "previous", choices, needs_assignee)
    if row.to in policy.states:
        return Step(row.event, _target(row.to), needs_assignee=needs_assignee)
    choices = {sub: _target(f"{row.to}.{sub}") for sub in policy.statuses[row.to].sub_statuses}
    return Step(row.event, None, "sub_status", choices, needs_assignee)


def _target(state: str) -> Target:
    status, _, sub_status = state.partition(".")
    return (status, sub_status or None, state)


def compile_table(policy: Policy) -> Table:
    """The frozen table of the policy, read from its live machine."""
    machine = live(policy)
    steps: dict[tuple[str, str, str], tuple[Step | None, ...]] = {}
    for event in policy.events:
        # `.get`: reading the dictionary of a machine's transitions by key would add to it.
        rows = machine.events[event].transitions
        for state in policy.states:
            for role in policy.roles:
                found = tuple(
                    _first(rows.get(state, ()), role, assigned=assigned, previous=previous)
                    for assigned, previous in _CONTEXTS
                )
                if any(found):
                    steps[state, event, role] = found
    return Table(steps=steps, permitted=_permitted(policy, steps))


def _first(
    rows: list[LiveTransition] | tuple[()], role: str, *, assigned: bool, previous: bool
) -> Step | None:
    for row in rows:
        guard: _Guard = row.conditions[0].func
        if guard.matches(by=role, assigned=assigned, previous=previous):
            return guard.step
    return None


def _permitted(
    policy: Policy, steps: Mapping[tuple[str, str, str], tuple[Step | None, ...]]
) -> dict[tuple[str, str | None], tuple[tuple[str, ...], ...]]:
    def events(state: str, roles: tuple[str, ...], context: int) -> tuple[str, ...]:
        return tuple(
            sorted(
                event
                for event in policy.events
                if any(steps.get((state, event, role), (None,) * 4)[context] for role in roles)
            )
        )

    choices: list[tuple[str | None, tuple[str, ...]]] = [(None, policy.roles), *((role, (role,)) for role in policy.roles)]
    return {
        (state, role): tuple(events(state, roles, context) for context in range(len(_CONTEXTS)))
        for state in policy.states
        for role, roles in choices
    }
