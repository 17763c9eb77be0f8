"""One policy, five readers: the loader refuses it with a path, or all of them say the same of it.

The explored configurations, the `Workflow`, its cutoffs, the live machine of
``transitions`` and the arrows of the drawing are each asked what can happen to
a case, and have to agree.
"""

from __future__ import annotations

import re

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import attrs

from hypothesis import given
from hypothesis import strategies as st

from builders import MONDAY
from casestate import Case, Policy, PolicyError, Problem, Workflow, policies, render
from casestate.explore import Configuration, Edge, Exploration
from casestate.testing import policies as any_policies


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from transitions import Machine

ASSIGNEE: Final = "mira"


# --- the loader ------------------------------------------------------------------


def nodes(data: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of a nested mapping, its own excluded."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from nodes(value, (*path, key))


def at(data: Any, path: tuple[Any, ...]) -> Any:  # noqa: ANN401 - whatever is there
    for key in path:
        data = data[key]
    return data


@st.composite
def garbled(draw: st.DrawFn) -> dict[str, Any]:
    """A policy file in which something may have been left out, or taken from elsewhere in it."""
    data: dict[str, Any] = draw(any_policies()).to_dict()
    for _ in range(draw(st.integers(0, 2))):
        places = list(nodes(data))
        place, other = draw(st.sampled_from(places)), draw(st.sampled_from(places))
        table, value = at(data, place[:-1]), at(data, other)
        if draw(st.booleans()):
            del table[place[-1]]
        elif place != other[: len(place)] and other != place[: len(other)]:
            table[place[-1]] = value
    return data


def loaded(data: dict[str, Any]) -> tuple[Policy | None, tuple[Problem, ...]]:
    try:
        return Policy.from_dict(data), ()
    except PolicyError as error:
        return None, tuple(error.problems)


@given(garbled())
def test_a_policy_is_refused_with_a_path_or_everybody_agrees_about_it(data: dict[str, Any]) -> None:
    policy, problems = loaded(data)
    if policy is not None:
        agree(policy)
    else:
        assert problems
        assert all(problem.path and problem.message for problem in problems)


@given(any_policies())
def test_everybody_agrees_about_a_policy_that_is_made_to_be_legal(policy: Policy) -> None:
    agree(policy)


def test_everybody_agrees_about_the_documented_policies() -> None:
    agree(policies.SUB_STATUS)
    agree(policies.OPEN_RESOLVED)


# --- what can happen ---------------------------------------------------------------


class Move(NamedTuple):
    """A way from one state to another by an event."""

    source: str
    event: str
    by: str
    to: str


def agree(policy: Policy) -> None:
    explored, workflow = Exploration(policy), Workflow(policy)
    machine = workflow.machine()
    drawn = arrows(policy)
    moves: set[Move] = set()
    for here in explored.configurations:
        case = case_at(here)
        permitted: dict[str, set[str]] = {role: set() for role in policy.roles}
        for edge, there in explored.ways_on(here):
            if edge.row is None:
                schedule = policy.schedules[here.state]
                assert (schedule[-1].name, schedule[-1].to) == (edge.event, there.state)
                assert any(move.event == edge.event for move in drawn[here.state, there.state])
                continue
            permitted[edge.by].add(edge.event)
            after = happened(workflow, case, edge)
            assert after.state == there.state == fired(machine, case, edge)
            assert (after.assignee is not None) == there.assigned
            assert (after.stay == case.stay) == (edge.to is None)
            assert there.previous in (None, after.previous)
            assert policy.transitions[edge.row].event == edge.event
            if edge.to is not None:
                moves.add(Move(here.state, edge.event, edge.by, edge.to))
                assert Move(here.state, edge.event, edge.by, edge.to) in drawn[here.state, edge.to]
        for role, events in permitted.items():
            assert workflow.allowed(case, by=role) == tuple(sorted(events))
    held_to_the_table(policy, explored, drawn)
    held_to_cutoffs(workflow, explored)


def case_at(here: Configuration) -> Case:
    status, _, sub_status = here.state.partition(".")
    return Case(
        id="C-1",
        status=status,
        sub_status=sub_status or None,
        entered_at=MONDAY,
        assignee=ASSIGNEE if here.assigned else None,
        previous=here.previous,
    )


def happened(workflow: Workflow, case: Case, edge: Edge) -> Case:
    if edge.event == "clone":
        return workflow.clone(case, "C-2", by=edge.by, at=MONDAY)[0]
    return workflow.apply(
        case,
        edge.event,
        by=edge.by,
        at=MONDAY,
        sub_status=edge.sub_status,
        assignee=ASSIGNEE if edge.assigns else None,
    )


class Model:
    """Something of the user's own."""


def fired(machine: Machine, case: Case, edge: Edge) -> str:
    model = Model()
    machine.add_model(model, initial=case.state)
    assert machine.events[edge.event].trigger(
        model,
        by=edge.by,
        sub_status=edge.sub_status,
        assignee=ASSIGNEE if edge.assigns else None,
        assigned=case.assignee is not None,
        previous=case.previous,
    )
    state: str = machine.get_model_state(model).name
    machine.remove_model(model)
    return state


def held_to_cutoffs(workflow: Workflow, explored: Exploration) -> None:
    """Whatever a sweep returns is the first row of the cutoff table that holds, and can be returned."""
    now = MONDAY + timedelta(days=30)
    table = workflow.cutoffs(now)
    for state, firing in explored.firings.items():
        status, _, sub_status = state.partition(".")
        for settled, position in firing.schedule.positions.items():
            if position and firing.schedule.timers[position - 1].to is not None:
                continue
            case = Case(
                id="C-1",
                status=status,
                sub_status=sub_status or None,
                entered_at=MONDAY,
                settled=settled,
                settled_at=MONDAY if settled else None,
            )
            rows = [
                row.timer
                for row in table
                if (row.status, row.sub_status, row.settled) == (status, sub_status or None, settled)
                and case.entered_at <= row.entered_until
                and (row.settled_until is None or (case.settled_at or MONDAY) <= row.settled_until)
            ]
            assert [action.timer for action in workflow.due([case], now=now)] == rows[:1]
            assert all(not firing.is_never(firing.schedule.positions[timer] - 1) for timer in rows[:1])


# --- the drawing -----------------------------------------------------------------------

_LINE: Final = re.compile(r"    ([sp]_\S+) --> ([sp]_\S+) : (.*)")
_LABEL: Final = re.compile(r"(\w+) \(([^)]*)\)(?: if \w+)?(?:, not in (.*))?")


def arrows(policy: Policy) -> Mapping[tuple[str, str], set[Move]]:
    """What the drawing says: the moves from each state to each other one, by event and role or by timer."""
    # Every state is labelled by its own name, so that a label says one thing.
    data: dict[str, Any] = policy.to_dict()
    names: dict[str, str] = {}
    for number, state in enumerate(policy.states):
        status, _, sub_status = state.partition(".")
        table = data["statuses"][status]
        table["label"] = f"label {status}"
        names[f"label {status}"] = state
        if sub_status:
            table["sub_statuses"][sub_status]["label"] = f"label {number}"
            names[f"label {status} - label {number}"] = state
    plain = Policy.from_dict(data)
    found: dict[tuple[str, str], set[Move]] = {
        (source, target): set() for source in policy.states for target in policy.states
    }
    for line in render.mermaid(plain).splitlines():
        if match := _LINE.fullmatch(line):
            start, end, labels = match.groups()
            for label in labels.split("<br/>"):
                for source, target, move in read(plain, names, start, end, unescaped(label)):
                    found[source, target].add(move)
    return found


def unescaped(text: str) -> str:
    return re.sub(r"#(\d+);", lambda code: chr(int(code[1])), text)


def read(
    policy: Policy, names: Mapping[str, str], start: str, end: str, label: str
) -> Iterator[tuple[str, str, Move]]:
    """The moves that one label of one arrow stands for."""
    patterns = {"p_any_state": "*", "p_any_open_state": "*open", "p_where_it_came_from": "*"}
    sources, targets = (
        policy.matching([patterns.get(node, node.removeprefix("s_"))]) for node in (start, end)
    )
    event = _LABEL.fullmatch(label)
    if event is None:
        for source in sources:
            mover = policy.schedules[source][-1]
            assert label == (f"after {mover.after}" if mover.after.amount else "at once")
            for target in targets:
                yield source, target, Move(source, mover.name, "system", target)
        return
    name, roles, but = event.groups()
    without = {names[one] for one in but.split(", ")} if but else set()
    for source in sources:
        for target in targets if source not in without else ():
            if end == "p_where_it_came_from" and target.partition(".")[0] == source.partition(".")[0]:
                continue
            for role in roles.split(", "):
                yield source, target, Move(source, name, role, target)


def held_to_the_table(
    policy: Policy, explored: Exploration, drawn: Mapping[tuple[str, str], set[Move]]
) -> None:
    """No arrow leads where the table does not, whoever has the case and wherever it came from."""
    for (source, target), moves in drawn.items():
        for move in moves:
            if source == target:  # an arrow from every state says nothing of the one it leads to
                continue
            if move.event in policy.timers and move.by == "system" and policy.timers[move.event].to == target:
                continue
            steps = explored.table.steps[source, move.event, move.by]
            assert any(
                step is not None
                and (
                    (step.to is not None and step.to[2] == target)
                    or any(choice[2] == target for choice in step.choices.values())
                )
                for step in steps
            ), move


def test_the_reader_of_drawings_reads_them() -> None:
    drawn = arrows(policies.OPEN_RESOLVED)
    assert drawn["resolved", "new"] == {
        Move("resolved", "comment", "customer", "new"),
        Move("resolved", "reopen", "customer", "new"),
        Move("resolved", "reopen", "agent", "new"),
    }
    assert drawn["pending_customer", "closed"] == {
        Move("pending_customer", "close", "customer", "closed"),
        Move("pending_customer", "close_pending", "system", "closed"),
    }
    assert not drawn["closed", "resolved"]
    assert attrs.evolve(policies.OPEN_RESOLVED, transitions=()).transitions == ()
