"""The live machine and the frozen table are one: and what `transitions` would do if it were let."""

from __future__ import annotations

import logging

from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st
from transitions import Machine, MachineError

from casestate import (
    Case,
    EventRefused,
    MissingArgument,
    Policy,
    PolicyError,
    UnknownRole,
    UnknownStatus,
    Workflow,
    load_policy,
)
from casestate import machine as module
from casestate import policies as documented
from casestate.machine import Step, compile_table, context, live, target
from casestate.testing.strategies import ODD_NAMES, policies


if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 3, 2, tzinfo=UTC)


class Model:
    """Something of the user's own."""


def case_in(state: str, *, assigned: bool = False, previous: str | None = None) -> Case:
    status, _, sub_status = state.partition(".")
    return Case(
        id="C-1",
        status=status,
        sub_status=sub_status or None,
        entered_at=NOW,
        assignee="mira" if assigned else None,
        previous=previous,
    )


Answer = tuple[str, ...]


def answer(ask: Callable[[], str]) -> Answer:
    """A target state, or why there is none."""
    try:
        return ("to", ask())
    except (EventRefused, MachineError, UnknownRole):
        return ("refused",)
    except MissingArgument as error:
        return ("missing", error.event, error.argument, error.problem)
    except UnknownStatus as error:
        return ("unknown", error.name, *error.known)


def by_table(desk: Workflow, case: Case, event: str, by: str, **arguments: str | None) -> Answer:
    def ask() -> str:
        if event == "clone":
            return desk.clone(case, "C-2", by=by, at=NOW)[0].state
        return desk.apply(case, event, by=by, at=NOW, **arguments).state

    return answer(ask)


def by_machine(machine: Machine, case: Case, event: str, by: str, **arguments: str | None) -> Answer:
    model = Model()
    machine.add_model(model, initial=case.state)

    def ask() -> str:
        given: dict[str, Any] = {"assigned": case.assignee is not None, "previous": case.previous}
        if not machine.events[event].trigger(model, by=by, **given, **arguments):
            raise MachineError(event)
        return machine.get_model_state(model).name

    found = answer(ask)
    machine.remove_model(model)
    return found


# --- one answer --------------------------------------------------------------


@given(policy=policies(), data=st.data())
def test_the_live_machine_and_the_table_give_the_same_answers(policy: Policy, data: st.DataObject) -> None:
    desk = Workflow(policy)
    machine = desk.machine()
    subs = [sub for status in policy.statuses.values() for sub in status.sub_statuses]
    others = [None, "nowhere", data.draw(st.sampled_from(policy.states))]
    given_subs = [None, "nowhere", *([data.draw(st.sampled_from(subs))] if subs else [])]
    for state, assigned, previous in product(policy.states, (False, True), others):
        case = case_in(state, assigned=assigned, previous=previous)
        possible: dict[str, set[str]] = {}
        for event, by in product(policy.events, (*policy.roles, "nobody")):
            arguments = product(given_subs, (None, "mira")) if event != "clone" else [(None, None)]
            for sub_status, assignee in arguments:
                given: dict[str, str | None] = {"sub_status": sub_status, "assignee": assignee}
                frozen = by_table(desk, case, event, by, **given)
                assert frozen == by_machine(machine, case, event, by, **given)
                if frozen != ("refused",):
                    possible.setdefault(by, set()).add(event)
        for by in policy.roles:
            assert desk.allowed(case, by=by) == tuple(sorted(possible.get(by, ())))
        assert desk.allowed(case) == tuple(sorted(set().union(*possible.values())))
    assert machine.models == []


@pytest.mark.parametrize("name", ["SUB_STATUS", "OPEN_RESOLVED"])
def test_so_they_do_for_the_documented_policies(name: str) -> None:
    policy: Policy = getattr(documented, name)
    desk = Workflow(policy)
    machine = desk.machine()
    answers = set()
    for state, assigned, previous in product(policy.states, (False, True), (None, *policy.states)):
        case = case_in(state, assigned=assigned, previous=previous)
        for event, by in product(policy.events, policy.roles):
            for sub_status, assignee in [(None, None), ("development", None), (None, "mira")]:
                given = {"sub_status": sub_status, "assignee": assignee}
                if event == "clone" and (sub_status or assignee):
                    continue
                frozen = by_table(desk, case, event, by, **given)
                assert frozen == by_machine(machine, case, event, by, **given)
                answers.add(frozen[0])
    assert answers == {"to", "refused", "missing"}


# --- the table ---------------------------------------------------------------


@pytest.fixture
def policy() -> Policy:
    """A small policy with a row of every kind."""
    return load_policy(
        {
            "format": 1,
            "name": "desk",
            "initial": "new",
            "statuses": {
                "new": {},
                "pending": {"sub_statuses": {"us": {}, "them": {}}},
                "pending_us": {},
                "closed": {"closed": True},
            },
            "transitions": [
                {"event": "stop", "by": "boss", "from": "new", "refuse": True},
                {"event": "stop", "by": ["agent", "boss"], "from": "*open", "to": "closed"},
                {"event": "ask", "by": "agent", "from": "*open", "to": "pending"},
                {"event": "take", "by": "agent", "from": "*", "needs": "assignee"},
                {"event": "back", "by": "agent", "from": "pending", "to": "@previous", "when": "assigned"},
                {"event": "back", "by": "agent", "from": "pending", "to": "new"},
                {"event": "note", "by": "agent", "from": ["closed", "new"], "when": "unassigned"},
            ],
            "roles": ["agent", "boss"],
        }
    )


@pytest.fixture
def desk(policy: Policy) -> Workflow:
    return Workflow(policy)


def test_a_target_is_the_status_the_sub_status_the_state_and_the_standing_of_a_case_there(
    policy: Policy,
) -> None:
    assert target(policy, "pending.us") == ("pending", "us", "pending.us", "desk/pending.us/")
    assert target(policy, "closed") == ("closed", None, "closed", "desk/closed/")


def test_what_decides_beside_the_state_is_an_index() -> None:
    seen = [
        context(assigned=assigned, previous=previous)
        for assigned in (False, True)
        for previous in (False, True)
    ]
    assert seen == [0, 1, 2, 3]


def test_the_table_has_a_key_for_every_state_event_and_role_of_a_row(policy: Policy) -> None:
    table = compile_table(policy)
    assert {key for key in table.steps if key[1] == "stop"} == {
        (state, "stop", role)
        for state in ("new", "pending.us", "pending.them", "pending_us")
        for role in ("agent", "boss")
    }
    assert ("closed", "ask", "agent") not in table.steps
    assert table.steps["new", "stop", "boss"] == (None, None, None, None)
    assert table.permitted["new", "agent"] == (
        ("ask", "note", "stop", "take"),
        ("ask", "note", "stop", "take"),
        ("ask", "stop", "take"),
        ("ask", "stop", "take"),
    )
    assert table.permitted["new", "boss"] == ((), (), (), ())
    assert table.permitted["pending.us", "boss"] == (("stop",),) * 4
    assert table.permitted["closed", None] == (("note", "take"), ("note", "take"), ("take",), ("take",))
    assert set(table.permitted) == set(product(policy.states, (None, "agent", "boss")))


def test_a_step_says_whether_its_target_is_known_and_no_argument_wanted(policy: Policy) -> None:
    steps = compile_table(policy).steps

    def step(state: str, event: str, index: int = 0) -> Step:
        found = steps[state, event, "agent"][index]
        assert found is not None
        return found

    assert (step("new", "stop").plain, step("new", "stop").to) == (True, target(policy, "closed"))
    assert (step("new", "ask").plain, step("new", "ask").chosen_by) == (False, "sub_status")
    assert dict(step("new", "ask").choices) == {
        "us": target(policy, "pending.us"),
        "them": target(policy, "pending.them"),
    }
    assert (step("new", "take").plain, step("new", "take").to, step("new", "take").needs_assignee) == (
        False,
        None,
        True,
    )
    assert (step("new", "note").plain, step("new", "note").to) == (True, None)
    # With an assignee and a state to go back to the first row holds, else the second.
    assert [step("pending.us", "back", index).chosen_by for index in range(4)] == [
        None,
        None,
        None,
        "previous",
    ]
    assert list(step("pending.us", "back", 3).choices) == ["new", "pending_us", "closed"]


@pytest.mark.parametrize(
    ("event", "arguments", "argument", "message"),
    [
        ("ask", {}, "sub_status", "'ask' needs sub_status= (one of: us, them), not None"),
        ("ask", {"sub_status": ""}, "sub_status", "'ask' needs sub_status= (one of: us, them), not ''"),
        ("ask", {"sub_status": 3}, "sub_status", "'ask' needs sub_status= (one of: us, them), not 3"),
        (
            "ask",
            {"sub_status": "us", "assignee": "mira"},
            "assignee",
            "'ask' takes no assignee= here, but 'mira' was given",
        ),
        ("take", {}, "assignee", "'take' needs assignee=, not None"),
        ("take", {"assignee": ""}, "assignee", "'take' needs assignee=, not ''"),
        ("stop", {"sub_status": "us"}, "sub_status", "'stop' takes no sub_status= here, but 'us' was given"),
        ("note", {"assignee": ""}, "assignee", "'note' takes no assignee= here, but '' was given"),
    ],
)
def test_an_argument_that_lacks_or_is_not_wanted_is_named(
    desk: Workflow, event: str, arguments: dict[str, Any], argument: str, message: str
) -> None:
    with pytest.raises(MissingArgument) as caught:
        desk.apply(case_in("new"), event, by="agent", at=NOW, **arguments)
    assert str(caught.value) == f"case 'C-1': {message}"
    assert (caught.value.case_id, caught.value.event, caught.value.argument) == ("C-1", event, argument)


def test_a_sub_status_that_is_not_there_is_unknown_and_a_previous_state_is_none(desk: Workflow) -> None:
    with pytest.raises(UnknownStatus) as caught:
        desk.apply(case_in("new"), "ask", by="agent", at=NOW, sub_status="thm")
    assert str(caught.value) == (
        "case 'C-1': sub_status: unknown status 'thm'; did you mean 'them'? (there are: us, them)"
    )
    lost = case_in("pending.us", assigned=True, previous="nowhere")
    assert desk.apply(lost, "back", by="agent", at=NOW).state == "new"


def test_of_several_rows_the_first_that_matches_wins() -> None:
    table = documented.OPEN_RESOLVED.to_dict()
    rows: Any = table["transitions"]
    again = {"event": "start", "by": ["agent"], "from": ["open"], "to": "resolved"}
    for transitions, state in [([*rows, again], "in_progress"), ([again, *rows], "resolved")]:
        desk = Workflow(load_policy(table | {"transitions": transitions}))
        assert desk.apply(case_in("open"), "start", by="agent", at=NOW).state == state
        assert by_machine(desk.machine(), case_in("open"), "start", "agent") == ("to", state)


def test_a_row_that_refuses_refuses_only_what_it_matches_and_stands_above(desk: Workflow) -> None:
    assert desk.apply(case_in("new"), "stop", by="agent", at=NOW).state == "closed"
    assert desk.apply(case_in("pending.us"), "stop", by="boss", at=NOW).state == "closed"
    with pytest.raises(EventRefused):
        desk.apply(case_in("new"), "stop", by="boss", at=NOW)
    below = desk.policy.to_dict()
    rows: Any = below["transitions"]
    turned = Workflow(load_policy(below | {"transitions": [*rows[1:], rows[0]]}))
    assert turned.apply(case_in("new"), "stop", by="boss", at=NOW).state == "closed"


# --- what transitions would do if it were let --------------------------------


def test_the_machine_is_flat_and_has_no_model_and_no_transitions_of_its_own(policy: Policy) -> None:
    machine = live(policy)
    assert type(machine) is Machine
    assert machine.models == []
    assert tuple(machine.states) == policy.states  # dots and underscores split nothing
    assert tuple(machine.events) == policy.events  # no to_new(), to_closed()
    assert machine.initial == "new"
    assert machine.name == "desk: "
    assert (machine.auto_transitions, machine.send_event, machine.has_queue) == (False, True, False)
    assert machine.ignore_invalid_triggers is None


def test_each_event_has_rows_for_the_states_that_it_names_and_no_others(policy: Policy) -> None:
    machine = live(policy)
    assert {name: list(event.transitions) for name, event in machine.events.items()} == {
        "stop": ["new", "pending.us", "pending.them", "pending_us"],
        "ask": ["new", "pending.us", "pending.them", "pending_us"],
        "take": list(policy.states),
        "back": ["pending.us", "pending.them"],
        "note": ["new", "closed"],
    }
    destinations = [row.dest for row in machine.events["back"].transitions["pending.us"]]
    assert destinations == ["new", "pending_us", "closed", "new"]
    assert [row.dest for row in machine.events["ask"].transitions["new"]] == ["pending.us", "pending.them"]
    assert [row.dest for row in machine.events["take"].transitions["new"]] == [None]


def test_reading_the_machine_adds_no_key_to_it(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Machine] = []

    def kept(policy: Policy) -> Machine:
        made.append(live(policy))
        return made[-1]

    monkeypatch.setattr(module, "live", kept)
    compile_table(policy)
    (machine,) = made
    for name, event in machine.events.items():
        assert list(event.transitions) == list(live(policy).events[name].transitions)
    assert machine.models == []


def test_events_run_on_the_table_alone(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Workflow(policy)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError

    for name in ("add_model", "add_transition", "get_state", "set_state", "callbacks"):
        monkeypatch.setattr(Machine, name, forbidden)
    case = desk.apply(desk.open("C-1", at=NOW), "ask", by="agent", sub_status="us", at=NOW)
    assert case.state == "pending.us"
    assert desk.allowed(case, by="agent") == ("ask", "back", "stop", "take")
    with pytest.raises(EventRefused):
        desk.apply(case, "note", by="agent", at=NOW)


def test_nothing_is_logged_when_events_run(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk = Workflow(documented.SUB_STATUS, clock=lambda: NOW)
    case = desk.apply(desk.open("C-1"), "pend", by="agent", sub_status="customer_input")
    case = desk.apply(case, "comment", by="customer")
    (action,) = desk.due([case])
    desk.settle(case, action)
    with pytest.raises(EventRefused):
        desk.apply(case, "confirm", by="customer")
    assert caplog.records == []
    # The live machine does: two lines of INFO for each state that is left and entered.
    model: Any = Model()
    desk.machine(model)
    model.start(by="agent")
    assert len([record for record in caplog.records if record.levelno == logging.INFO]) == 2


def test_a_callable_of_our_own_is_all_that_decides(policy: Policy) -> None:
    told = []
    for event in live(policy).events.values():
        for rows in event.transitions.values():
            for row in rows:
                assert row.before == row.after == row.prepare == []
                (condition,) = row.conditions
                assert not isinstance(condition.func, str)
                assert condition.target is True
                told.append(condition.func.__name__)
    assert set(told) == {"by agent", "by agent or boss", "by agent when assigned", "by agent when unassigned"}


def test_a_misspelt_target_or_initial_state_never_reaches_it() -> None:
    # A machine would take the one as it is, and add the other as a state.
    for place in (
        {"initial": "nwe"},
        {"transitions": [{"event": "x", "by": "agent", "from": "*", "to": "clsed"}]},
    ):
        with pytest.raises(PolicyError, match="did you mean"):
            documented.SUB_STATUS.override(place)


# --- a model of the user's own -----------------------------------------------


def test_a_model_is_the_users_to_ask_for(desk: Workflow) -> None:
    model: Any = Model()
    machine = desk.machine(model)
    assert machine.models == [model]
    assert model.state == "new"
    assert model.may_take(by="agent", assignee="mira")
    assert model.ask(by="agent", sub_status="them")
    assert model.state == "pending.them"
    assert not model.back(by="boss")
    assert model.back(by="agent", assigned=True, previous="pending_us")
    assert model.state == "pending_us"
    assert model.take(by="agent", assignee="mira")
    assert model.stop(by="boss")
    with pytest.raises(MachineError, match="Can't trigger event ask from state closed"):
        model.ask(by="agent", sub_status="us")
    with pytest.raises(MissingArgument, match="needs assignee=") as caught:
        model.take(by="agent")
    assert caught.value.case_id == repr(model)
    assert desk.machine() is not machine
    assert desk.machine().models == []


def test_callbacks_of_the_model_run() -> None:
    class Watched:
        entered: list[str]

        def __init__(self) -> None:
            self.entered = []

        def on_enter_in_progress(self, event: Any) -> None:  # noqa: ANN401 - an EventData of transitions
            self.entered.append(event.kwargs["by"])

    model: Any = Watched()
    Workflow(documented.SUB_STATUS).machine(model)
    model.start(by="agent")
    assert model.entered == ["agent"]


def test_a_falsy_model_and_several_models_are_added_as_they_are(desk: Workflow) -> None:
    class Falsy(Model):
        def __bool__(self) -> bool:
            return False

    model = Falsy()
    assert desk.machine(model).models == [model]
    several = [Model(), Falsy()]
    assert desk.machine(several).models == several


def test_an_event_that_matches_no_state_is_refused_like_any_other() -> None:
    table = {
        "format": 1,
        "name": "a",
        "initial": "only",
        "statuses": {"only": {"closed": True}},
        "transitions": [
            {"event": "x", "by": "agent", "from": "*open"},
            {"event": "y", "by": "agent", "from": "*", "refuse": True},
        ],
    }
    desk = Workflow(load_policy(table))
    for event in ("x", "y"):
        with pytest.raises(EventRefused) as caught:
            desk.apply(case_in("only"), event, by="agent", at=NOW)
        assert caught.value.permitted == ()
        assert by_machine(desk.machine(), case_in("only"), event, "agent") == ("refused",)
    model: Any = Model()
    desk.machine(model)
    with pytest.raises(MachineError, match="Can't trigger event x from state only"):
        model.x(by="agent")


def test_going_back_where_there_is_nowhere_else_is_refused() -> None:
    table = {
        "format": 1,
        "name": "a",
        "initial": "only",
        "statuses": {"only": {}},
        "transitions": [{"event": "back", "by": "agent", "from": "only", "to": "@previous"}],
    }
    desk = Workflow(load_policy(table))
    with pytest.raises(EventRefused):
        desk.apply(case_in("only"), "back", by="agent", at=NOW)
    lost = case_in("only", previous="gone")
    with pytest.raises(EventRefused):
        desk.apply(lost, "back", by="agent", at=NOW)
    assert by_machine(desk.machine(), lost, "back", "agent") == ("refused",)


ODD_EVENTS = (*ODD_NAMES, "get_triggers", "add_model", "on_exception", "to_new", "send_event", "states")


@pytest.mark.parametrize("event", ODD_EVENTS)
def test_an_event_may_be_called_like_anything(event: str) -> None:
    table = {
        "format": 1,
        "name": "a",
        "initial": "new",
        "statuses": {"new": {}, "old": {}},
        "transitions": [{"event": event, "by": "agent", "from": "new", "to": "old"}],
    }
    desk = Workflow(load_policy(table))
    assert desk.apply(case_in("new"), event, by="agent", at=NOW).state == "old"
    assert desk.allowed(case_in("new")) == (event,)
    model: Any = Model()
    machine = desk.machine(model)
    assert machine.get_model_state(model).name == "new"
    assert machine.events[event].trigger(model, by="agent")
    assert machine.get_model_state(model).name == "old"
    assert machine.model_attribute == ("_state" if event == "state" else "state")


def test_models_that_are_frozen_need_not_be_added_to_be_moved() -> None:
    @attrs.frozen
    class Frozen:
        state: str

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Workflow(documented.SUB_STATUS).machine(Frozen("new"))
    assert Workflow(documented.SUB_STATUS).open("C-1", at=NOW).state == "new"
