"""Events and settling: what they do to a case, what they write in its history, and what is refused."""

from __future__ import annotations

import itertools
import pickle

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from builders import DAY, MONDAY, TICK, case_in, due, settled_all, the_due
from casestate import (
    Action,
    Case,
    CaseDataError,
    CasestateError,
    Change,
    EventRefused,
    InstantError,
    ManualClock,
    MissingArgument,
    NaiveTimeError,
    NotDue,
    PolicyError,
    StaleAction,
    TimeOrderError,
    UnknownEvent,
    UnknownRole,
    UnknownStatus,
    Workflow,
    load_policy,
    policies,
    utc_now,
)
from casestate.testing.strategies import cases as cases_of
from casestate.testing.strategies import policies as any_policies


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NAIVE = MONDAY.replace(tzinfo=None)

# A policy with what the documents do not have: sub-statuses to come back from, a clone that archives.
BRANCHES: Mapping[str, object] = MappingProxyType(
    {
        "format": 1,
        "name": "branches",
        "initial": "work.first",
        "statuses": {
            "work": {"sub_statuses": {"first": {}, "second": {}}},
            "wait": {"sub_statuses": {"short": {}, "long": {}}},
            "done": {"closed": True},
            "archived": {"closed": True},
        },
        "transitions": [
            {"event": "wait", "by": "agent", "from": "*open", "to": "wait"},
            {"event": "back", "by": "agent", "from": ["wait", "done"], "to": "@previous"},
            {"event": "take", "by": "agent", "from": "work", "to": "work", "needs": "assignee"},
            {"event": "finish", "by": "agent", "from": "*open", "to": "done"},
            {"event": "clone", "by": "agent", "from": "done", "to": "archived"},
        ],
        "timers": {
            "first_look": {"in": "wait", "kind": "notify", "after": {"days": 1}},
            "second_look": {"in": "wait", "kind": "notify", "after": {"days": 2}},
            "last_look": {"in": "wait", "kind": "notify", "after": {"days": 3}},
            "give_up": {"in": "wait", "after": {"days": 10}, "notice": {"days": 5}, "to": "done"},
        },
    }
)


@pytest.fixture
def desk() -> Workflow:
    return Workflow(load_policy("open-resolved"), clock=lambda: MONDAY)


@pytest.fixture
def sub_desk() -> Workflow:
    return Workflow(load_policy("sub-status"), clock=lambda: MONDAY)


@pytest.fixture
def branches() -> Workflow:
    return Workflow(load_policy(BRANCHES), clock=lambda: MONDAY)


# --- a workflow --------------------------------------------------------------


def test_a_workflow_is_made_of_a_policy() -> None:
    policy = load_policy("sub-status")
    desk = Workflow(policy)
    assert desk.policy is policy
    assert repr(desk) == "<Workflow 'sub-status'>"
    with pytest.raises(AttributeError):
        desk.policy = policy  # type: ignore[misc]


@pytest.mark.parametrize("wrong", ["sub-status", None, {"format": 1}])
def test_a_workflow_of_anything_else_is_refused(wrong: Any) -> None:  # noqa: ANN401 - the wrong ones
    with pytest.raises(PolicyError) as refused:
        Workflow(wrong)
    assert str(refused.value) == (
        f"Workflow: policy: a Workflow takes a Policy (see load_policy), not {wrong!r}"
    )
    assert [problem.path for problem in refused.value.problems] == ["policy"]


def test_a_workflow_can_be_pickled_with_its_policy_and_clock() -> None:
    desk = Workflow(policies.OPEN_RESOLVED, clock=ManualClock(MONDAY))
    again = pickle.loads(pickle.dumps(desk))  # noqa: S301 - our own bytes
    assert again.policy == desk.policy
    assert again.open("C-1") == desk.open("C-1")
    plain = pickle.loads(pickle.dumps(Workflow(policies.SUB_STATUS)))  # noqa: S301
    assert plain.policy == policies.SUB_STATUS
    assert plain.__reduce__()[1][1] is utc_now


# --- open --------------------------------------------------------------------


def test_a_case_is_opened_in_the_initial_state_without_an_entry_in_its_history(desk: Workflow) -> None:
    assert desk.open("C-1") == Case(
        id="C-1", status="new", entered_at=MONDAY, opened_at=MONDAY, policy="open-resolved"
    )
    later = desk.open("C-2", at=MONDAY + DAY)
    assert (later.entered_at, later.opened_at, later.changed_at) == (MONDAY + DAY,) * 3
    assert (later.history, later.stay, later.previous) == ((), 1, None)


def test_an_initial_state_may_have_a_sub_status(branches: Workflow) -> None:
    case = branches.open("C-1")
    assert (case.status, case.sub_status, case.state) == ("work", "first", "work.first")


@pytest.mark.parametrize("wrong", ["", None, 7])
def test_an_id_that_is_none_is_refused(desk: Workflow, wrong: Any) -> None:  # noqa: ANN401 - the wrong ones
    with pytest.raises(CaseDataError) as refused:
        desk.open(wrong)
    assert [problem.path for problem in refused.value.problems] == ["id"]


def test_an_instant_that_is_none_is_refused_wherever_one_is_taken(sub_desk: Workflow) -> None:
    case = sub_desk.apply(sub_desk.open("C-1"), "close", by="agent")
    action = the_due(sub_desk, case, MONDAY + DAY)
    takes_at: list[Callable[[Any], object]] = [
        lambda at: sub_desk.open("C-2", at=at),
        lambda at: sub_desk.apply(case, "note", by="agent", at=at),
        lambda at: sub_desk.clone(case, "C-2", by="agent", at=at),
        lambda at: sub_desk.settle(case, action, at=at),
        lambda at: sub_desk.migrate(case, sub_desk, at=at),
    ]
    takes_now: list[Callable[[Any], object]] = [
        lambda now: sub_desk.due([case], now=now),
        lambda now: sub_desk.forecast(case, now=now),
        lambda now: sub_desk.explain(case, now=now),
        sub_desk.cutoffs,
    ]
    for what, calls in (("at", takes_at), ("now", takes_now)):
        for call in calls:
            with pytest.raises(NaiveTimeError) as naive:
                call(NAIVE)
            assert (naive.value.what, naive.value.value) == (what, NAIVE)
            with pytest.raises(InstantError) as none:
                call("2026-03-02T09:30Z")
            assert none.value.what == what


# --- apply -------------------------------------------------------------------


def test_an_event_returns_a_new_case_and_leaves_the_old_one_as_it_was(desk: Workflow) -> None:
    case = desk.open("C-1")
    before = case.to_dict()
    after = desk.apply(case, "resolve", by="customer")
    assert after is not case
    assert case.to_dict() == before
    assert after.state == "resolved"


def test_every_event_writes_one_entry_in_the_history(desk: Workflow) -> None:
    case = desk.open("C-1")
    case = desk.apply(case, "assign", by="agent", actor="lead", assignee="mira", at=MONDAY + DAY)
    case = desk.apply(case, "note", by="agent", at=MONDAY + 2 * DAY)
    case = desk.apply(case, "assign", by="agent", assignee="noor", at=MONDAY + 2 * DAY)
    case = desk.apply(case, "ask", by="agent", actor="noor", at=MONDAY + 3 * DAY)
    assert case == Case(
        id="C-1",
        status="pending_customer",
        entered_at=MONDAY + 3 * DAY,
        policy="open-resolved",
        stay=3,
        previous="open",
        assignee="noor",
        opened_at=MONDAY,
        history=(
            Change(
                at=MONDAY + DAY,
                event="assign",
                by="agent",
                actor="lead",
                from_state="new",
                to_state="open",
                stay=2,
                detail="mira",
            ),
            Change(at=MONDAY + 2 * DAY, event="note", by="agent", from_state="open", to_state="open", stay=2),
            Change(
                at=MONDAY + 2 * DAY,
                event="assign",
                by="agent",
                from_state="open",
                to_state="open",
                stay=2,
                detail="noor",
            ),
            Change(
                at=MONDAY + 3 * DAY,
                event="ask",
                by="agent",
                actor="noor",
                from_state="open",
                to_state="pending_customer",
                stay=3,
            ),
        ),
    )
    assert case.changed_at == MONDAY + 3 * DAY


def test_an_internal_event_restarts_nothing_and_a_re_entry_restarts_all(desk: Workflow) -> None:
    asked = desk.apply(case_in("open"), "ask", by="agent", at=MONDAY)
    told = desk.settle(asked, the_due(desk, asked, MONDAY), at=MONDAY + TICK)
    noted = desk.apply(told, "note", by="agent", at=MONDAY + DAY)
    assert (noted.entered_at, noted.stay, noted.settled, noted.settled_at) == (
        MONDAY,
        2,
        "notify_pending",
        MONDAY + TICK,
    )
    assert noted.changed_at == MONDAY + DAY
    assert desk.next_due(noted) == MONDAY + 14 * DAY

    again = desk.apply(noted, "ask", by="agent", at=MONDAY + 2 * DAY)
    assert (again.entered_at, again.stay, again.settled, again.settled_at) == (
        MONDAY + 2 * DAY,
        3,
        None,
        None,
    )
    assert desk.next_due(again) == MONDAY + 2 * DAY


def test_what_a_case_is_and_came_from_stays_with_it(sub_desk: Workflow) -> None:
    case = case_in("pending.customer_input", cloned_from="C-7", clones=("C-8",), opened_at=MONDAY - DAY)
    noted = sub_desk.apply(case, "note", by="agent", at=MONDAY)
    answered = sub_desk.apply(noted, "comment", by="customer", at=MONDAY)
    reminded = sub_desk.settle(noted, the_due(sub_desk, noted, MONDAY + 7 * DAY), at=MONDAY + 7 * DAY)
    for after in (noted, answered, reminded):
        assert (after.cloned_from, after.clones, after.opened_at) == ("C-7", ("C-8",), MONDAY - DAY)
    assert (noted.state, noted.standing) == (case.state, case.standing)


def test_an_unknown_event_is_named_with_the_nearest_one(desk: Workflow) -> None:
    with pytest.raises(UnknownEvent) as refused:
        desk.apply(desk.open("C-1"), "asign", by="agent")
    assert (refused.value.name, refused.value.known) == ("asign", desk.policy.events)
    assert str(refused.value).startswith(
        "case 'C-1': unknown event 'asign'; did you mean 'assign'? (there are:"
    )


def test_an_unknown_role_is_named_with_the_nearest_one(desk: Workflow) -> None:
    case = desk.open("C-1")
    with pytest.raises(UnknownRole) as refused:
        desk.apply(case, "close", by="costumer")
    assert str(refused.value) == (
        "case 'C-1': unknown role 'costumer'; did you mean 'customer'? (there are: customer, agent, system)"
    )
    with pytest.raises(UnknownRole) as refused:
        desk.allowed(case, by="costumer")
    assert (refused.value.name, refused.value.known) == ("costumer", ("customer", "agent", "system"))


def test_of_several_mistakes_the_case_is_named_first_then_the_event_then_the_role(desk: Workflow) -> None:
    with pytest.raises(CaseDataError):
        desk.apply(case_in("new", policy="sub-status"), "x", by="y")
    with pytest.raises(UnknownEvent):
        desk.apply(case_in("new"), "x", by="y")
    with pytest.raises(UnknownRole):
        desk.apply(case_in("new"), "reopen", by="y")
    with pytest.raises(EventRefused):
        desk.apply(case_in("new"), "reopen", by="agent", at=NAIVE, assignee="mira")


def test_a_refusal_carries_what_is_permitted(desk: Workflow) -> None:
    with pytest.raises(EventRefused) as refused:
        desk.apply(case_in("resolved"), "ask", by="customer")
    error = refused.value
    assert (error.case_id, error.event, error.state, error.by) == ("C-1042", "ask", "resolved", "customer")
    assert error.permitted == ("close", "comment", "confirm", "reopen")
    assert error.permitted == desk.allowed(case_in("resolved"), by="customer")
    assert error.hint == ""
    assert str(error) == (
        "case 'C-1042': 'ask' by customer is refused in resolved; permitted: close, comment, confirm, reopen"
    )


@given(st.data())
def test_every_refusal_carries_what_is_allowed_and_nothing_that_is_allowed_is_refused(
    data: st.DataObject,
) -> None:
    policy = data.draw(any_policies())
    desk = Workflow(policy)
    case = data.draw(cases_of(policy))
    anybody: set[str] = set()
    for by in policy.roles:
        allowed = desk.allowed(case, by=by)
        assert list(allowed) == sorted(set(allowed))
        anybody.update(allowed)
        for event in policy.events:
            if event in allowed:
                tried(desk, case, event, by, case.changed_at)
                continue
            with pytest.raises(EventRefused) as refused:
                tried(desk, case, event, by, case.changed_at)
            error = refused.value
            assert error.permitted == allowed
            assert (error.case_id, error.event, error.state, error.by) == (case.id, event, case.state, by)
    assert desk.allowed(case) == tuple(sorted(anybody))


def tried(desk: Workflow, case: Case, event: str, by: str, at: datetime) -> Case:
    """The case after an event, with whatever arguments its row asks for."""
    if event == "clone":
        return desk.clone(case, f"{case.id}-{len(case.clones)}", by=by, at=at)[0]
    sub_statuses = {sub for status in desk.policy.statuses.values() for sub in status.sub_statuses}
    for assignee, sub_status in itertools.product((None, "noor"), (None, *sorted(sub_statuses))):
        try:
            return desk.apply(case, event, by=by, at=at, assignee=assignee, sub_status=sub_status)
        except (MissingArgument, UnknownStatus):
            continue
    raise AssertionError(event)


def test_an_argument_that_lacks_is_asked_for(desk: Workflow, sub_desk: Workflow) -> None:
    with pytest.raises(MissingArgument) as refused:
        desk.apply(desk.open("C-1"), "assign", by="agent")
    assert (refused.value.case_id, refused.value.event, refused.value.argument) == (
        "C-1",
        "assign",
        "assignee",
    )
    assert str(refused.value) == "case 'C-1': 'assign' needs assignee=, not None"
    with pytest.raises(MissingArgument) as refused:
        desk.apply(desk.open("C-1"), "assign", by="agent", assignee="")
    assert str(refused.value) == "case 'C-1': 'assign' needs assignee=, not ''"
    with pytest.raises(MissingArgument) as refused:
        sub_desk.apply(sub_desk.open("C-1"), "pend", by="agent")
    assert refused.value.argument == "sub_status"
    assert str(refused.value) == (
        "case 'C-1': 'pend' needs sub_status= (one of: customer_input, development, "
        "scheduled_support_service, third_party_provider), not None"
    )


@pytest.mark.parametrize("event", ["note", "resolve", "ask"])
@pytest.mark.parametrize("argument", ["assignee", "sub_status"])
@pytest.mark.parametrize("value", ["mira", ""])
def test_an_argument_that_is_not_wanted_is_refused(
    desk: Workflow, event: str, argument: str, value: str
) -> None:
    given_too: dict[str, Any] = {argument: value}
    with pytest.raises(MissingArgument) as refused:
        desk.apply(case_in("open"), event, by="agent", **given_too)
    assert refused.value.argument == argument
    assert str(refused.value) == (
        f"case 'C-1042': {event!r} takes no {argument}= here, but {value!r} was given"
    )


def test_an_unknown_sub_status_is_named_with_the_nearest_one(sub_desk: Workflow) -> None:
    with pytest.raises(UnknownStatus) as refused:
        sub_desk.apply(sub_desk.open("C-1"), "pend", by="agent", sub_status="costumer_input")
    assert refused.value.known == (
        "customer_input",
        "development",
        "scheduled_support_service",
        "third_party_provider",
    )
    assert str(refused.value).startswith(
        "case 'C-1': sub_status: unknown status 'costumer_input'; did you mean 'customer_input'?"
    )


def test_a_row_may_want_two_arguments(branches: Workflow) -> None:
    case = branches.open("C-1")
    taken = branches.apply(case, "take", by="agent", sub_status="second", assignee="mira")
    assert (taken.state, taken.assignee, taken.history[-1].detail) == ("work.second", "mira", "mira")
    with pytest.raises(MissingArgument) as refused:
        branches.apply(case, "take", by="agent", sub_status="second")
    assert refused.value.argument == "assignee"
    with pytest.raises(MissingArgument) as refused:
        branches.apply(case, "take", by="agent", assignee="mira")
    assert refused.value.argument == "sub_status"


@pytest.mark.parametrize("actor", ["", 7, ["mira"]])
def test_an_actor_that_is_no_text_is_refused(sub_desk: Workflow, actor: Any) -> None:  # noqa: ANN401 - the wrong ones
    closed = case_in("closed")
    calls: list[Callable[[], object]] = [
        lambda: sub_desk.apply(closed, "note", by="agent", actor=actor),
        lambda: sub_desk.clone(closed, "C-2", by="agent", actor=actor),
    ]
    for call in calls:
        with pytest.raises(CaseDataError) as refused:
            call()
        assert str(refused.value) == f"case 'C-1042': actor: must be text, not {actor!r}"


def test_time_goes_forward_only(desk: Workflow) -> None:
    case = desk.apply(case_in("open"), "ask", by="agent", at=MONDAY + DAY)
    with pytest.raises(TimeOrderError) as refused:
        desk.apply(case, "comment", by="customer", at=MONDAY + DAY - TICK)
    error = refused.value
    assert (error.what, error.value, error.earliest) == (
        "case 'C-1042': at",
        MONDAY + DAY - TICK,
        MONDAY + DAY,
    )
    assert error.hint == "where clocks differ by seconds, pass at=max(now, case.changed_at)"
    assert desk.apply(case, "comment", by="customer", at=MONDAY + DAY).state == "open"


def test_no_event_is_before_what_has_been_settled_or_noted(desk: Workflow, sub_desk: Workflow) -> None:
    kept = case_in("pending_customer", settled="notify_pending", settled_at=MONDAY + 2 * DAY)
    noted = desk.apply(case_in("pending_customer"), "note", by="agent", at=MONDAY + 2 * DAY)
    for case in (kept, noted):
        with pytest.raises(TimeOrderError) as refused:
            desk.apply(case, "comment", by="customer", at=MONDAY + 2 * DAY - TICK)
        assert refused.value.earliest == MONDAY + 2 * DAY
        assert desk.apply(case, "comment", by="customer", at=MONDAY + 2 * DAY).state == "open"
    closed = sub_desk.apply(case_in("new"), "close", by="agent", at=MONDAY + DAY)
    with pytest.raises(TimeOrderError):
        sub_desk.clone(closed, "C-2", by="customer", at=MONDAY)


def test_instants_of_other_zones_are_compared_as_instants(desk: Workflow) -> None:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - this test alone

    case = desk.open("C-1", at=MONDAY)
    later = (MONDAY + timedelta(minutes=1)).astimezone(ZoneInfo("America/New_York"))
    after = desk.apply(case, "close", by="customer", at=later)
    assert after.entered_at.tzinfo is UTC
    assert after.entered_at == MONDAY + timedelta(minutes=1)


# --- the previous state ------------------------------------------------------


def test_the_previous_state_is_where_the_run_of_stays_in_this_status_came_from(desk: Workflow) -> None:
    case = desk.apply(desk.open("C-1"), "assign", by="agent", assignee="mira")
    assert case.previous == "new"
    case = desk.apply(case, "start", by="agent")
    assert case.previous == "open"
    for _ in range(3):
        case = desk.apply(case, "ask", by="agent")
        assert (case.state, case.previous) == ("pending_customer", "in_progress")
    case = desk.apply(case, "comment", by="customer")
    assert (case.state, case.previous) == ("in_progress", "pending_customer")


def test_a_case_whose_previous_state_is_unknown_keeps_not_knowing_it(desk: Workflow) -> None:
    case = case_in("pending_customer")
    again = desk.apply(case, "ask", by="agent")
    assert (again.previous, again.stay) == (None, 2)
    assert desk.apply(again, "comment", by="customer").state == "open"


def test_another_sub_status_is_the_same_run(branches: Workflow) -> None:
    case = branches.apply(branches.open("C-1"), "take", by="agent", sub_status="second", assignee="mira")
    assert case.previous is None
    case = branches.apply(case, "wait", by="agent", sub_status="short")
    assert case.previous == "work.second"
    case = branches.apply(case, "wait", by="agent", sub_status="long")
    assert (case.state, case.previous, case.stay) == ("wait.long", "work.second", 4)
    case = branches.apply(case, "back", by="agent")
    assert (case.state, case.sub_status, case.previous) == ("work.second", "second", "wait.long")


def test_a_row_to_the_previous_state_does_not_match_a_case_that_has_none(branches: Workflow) -> None:
    case = case_in("wait.short")
    assert branches.allowed(case, by="agent") == ("finish", "wait")
    with pytest.raises(EventRefused):
        branches.apply(case, "back", by="agent")
    known = case_in("wait.short", previous="work.first")
    assert branches.allowed(known, by="agent") == ("back", "finish", "wait")
    assert branches.apply(known, "back", by="agent").state == "work.first"


@pytest.mark.parametrize("previous", ["work", "work.third", "wait.long", "elsewhere"])
def test_a_previous_state_that_cannot_be_gone_back_to_is_none(branches: Workflow, previous: str) -> None:
    case = case_in("wait.short", previous=previous)
    assert branches.allowed(case, by="agent") == ("finish", "wait")
    with pytest.raises(EventRefused) as refused:
        branches.apply(case, "back", by="agent")
    assert refused.value.permitted == ("finish", "wait")


@pytest.mark.parametrize("previous", ["escalated", "pending_customer", "Open"])
def test_a_reply_is_never_refused_for_what_stands_in_previous(desk: Workflow, previous: str) -> None:
    case = case_in("pending_customer", previous=previous)
    assert desk.apply(case, "comment", by="customer").state == "open"


# --- the assignee ------------------------------------------------------------


@pytest.mark.parametrize("state", ["open", "in_progress", "pending_customer", "resolved"])
def test_a_new_assignee_changes_nothing_else(desk: Workflow, state: str) -> None:
    case = case_in(state, stay=4, assignee="mira", previous="new")
    after = desk.apply(case, "assign", by="agent", assignee="noor", at=MONDAY + DAY)
    entry = Change(
        at=MONDAY + DAY,
        event="assign",
        by="agent",
        from_state=state,
        to_state=state,
        stay=4,
        detail="noor",
    )
    assert after == attrs.evolve(case, assignee="noor", history=(entry,))


def test_whether_a_case_is_assigned_decides_where_it_reopens(desk: Workflow) -> None:
    for event in ("reopen", "comment"):
        assert desk.apply(case_in("resolved", assignee="mira"), event, by="customer").state == "open"
        assert desk.apply(case_in("resolved"), event, by="customer").state == "new"


def test_what_is_allowed_depends_on_the_assignee_too(branches: Workflow) -> None:
    row = {"event": "hand_over", "by": "agent", "from": "*open", "when": "assigned"}
    desk = Workflow(branches.policy.override({"transitions": [row]}))
    assert "hand_over" in desk.allowed(case_in("work.first", assignee="mira"), by="agent")
    assert "hand_over" not in desk.allowed(case_in("work.first"), by="agent")
    with pytest.raises(EventRefused) as refused:
        desk.apply(case_in("work.first"), "hand_over", by="agent")
    assert refused.value.permitted == ("finish", "take", "wait")


# --- clone -------------------------------------------------------------------


def test_a_clone_and_its_original_are_linked_both_ways(sub_desk: Workflow) -> None:
    closed = sub_desk.apply(
        sub_desk.open("C-1", at=MONDAY - DAY), "close", by="agent", actor="mira", at=MONDAY - DAY
    )
    closed = attrs.evolve(closed, assignee="mira")
    original, clone = sub_desk.clone(closed, "C-2", by="customer", actor="ada")
    entry = Change(
        at=MONDAY,
        event="clone",
        by="customer",
        actor="ada",
        from_state="closed",
        to_state="closed",
        stay=2,
        detail="C-2",
    )
    assert original == attrs.evolve(closed, clones=("C-2",), history=(*closed.history, entry))
    assert clone == Case(
        id="C-2",
        status="new",
        entered_at=MONDAY,
        opened_at=MONDAY,
        policy="sub-status",
        cloned_from="C-1",
    )


def test_a_case_may_be_cloned_more_than_once(sub_desk: Workflow) -> None:
    case = case_in("closed")
    for number in range(3):
        case, _ = sub_desk.clone(case, f"C-{number}", by="agent")
    assert case.clones == ("C-0", "C-1", "C-2")
    assert [entry.detail for entry in case.history] == ["C-0", "C-1", "C-2"]


def test_cloning_cancels_no_timer_of_the_original(sub_desk: Workflow) -> None:
    original, clone = sub_desk.clone(case_in("closed"), "C-2", by="customer", at=MONDAY)
    assert the_due(sub_desk, original, MONDAY + DAY).timer == "notify_closed"
    assert due(sub_desk, clone, MONDAY + 3650 * DAY) is None


def test_a_clone_row_may_move_the_original(branches: Workflow) -> None:
    original, clone = branches.clone(case_in("done", stay=3), "C-2", by="agent", at=MONDAY + DAY)
    assert (original.state, original.stay, original.entered_at) == ("archived", 4, MONDAY + DAY)
    assert (original.previous, original.clones) == ("done", ("C-2",))
    assert (clone.state, clone.stay, clone.previous) == ("work.first", 1, None)


def test_a_clone_row_may_lead_the_original_back(branches: Workflow) -> None:
    back = {"event": "clone", "by": "agent", "from": "archived", "to": "@previous"}
    desk = Workflow(branches.policy.override({"transitions": [back]}), clock=lambda: MONDAY)
    original, _ = desk.clone(case_in("archived", previous="work.second"), "C-2", by="agent")
    assert (original.state, original.previous) == ("work.second", "archived")
    with pytest.raises(EventRefused):
        desk.clone(case_in("archived", previous="gone"), "C-2", by="agent")


@pytest.mark.parametrize("taken", ["C-1042", "C-2"])
def test_an_id_that_is_taken_is_refused(sub_desk: Workflow, taken: str) -> None:
    with pytest.raises(CaseDataError) as refused:
        sub_desk.clone(case_in("closed", clones=("C-2",)), taken, by="agent")
    assert str(refused.value) == f"case 'C-1042': clones: the id {taken!r} is taken"


def test_a_clone_needs_an_id(sub_desk: Workflow) -> None:
    with pytest.raises(CaseDataError) as refused:
        sub_desk.clone(case_in("closed"), "", by="agent")
    assert [problem.path for problem in refused.value.problems] == ["id"]


def test_cloning_is_refused_where_the_policy_has_no_row_for_it(sub_desk: Workflow, desk: Workflow) -> None:
    with pytest.raises(EventRefused) as refused:
        sub_desk.clone(case_in("new"), "C-2", by="customer")
    assert (refused.value.event, refused.value.permitted, refused.value.hint) == ("clone", ("comment",), "")
    with pytest.raises(UnknownRole):
        sub_desk.clone(case_in("closed"), "C-2", by="nobody")
    with pytest.raises(UnknownEvent):
        desk.clone(case_in("closed"), "C-2", by="customer")


def test_cloning_through_apply_is_refused_and_points_to_clone(sub_desk: Workflow) -> None:
    with pytest.raises(EventRefused) as refused:
        sub_desk.apply(case_in("closed"), "clone", by="customer")
    assert refused.value.permitted == ("clone",)
    assert refused.value.hint == "call Workflow.clone(case, new_id, by=…)"
    assert str(refused.value) == (
        "case 'C-1042': 'clone' by customer is refused in closed; "
        "call Workflow.clone(case, new_id, by=…); permitted: clone"
    )
    with pytest.raises(EventRefused) as refused:
        sub_desk.apply(case_in("closed"), "clone", by="system")
    assert (refused.value.permitted, refused.value.hint) == ((), "")


# --- cases that do not belong ------------------------------------------------


def everything(desk: Workflow, case: Any) -> Iterator[Callable[[], object]]:  # noqa: ANN401 - wrong ones as well
    """Every call that takes a case."""
    action = Action(
        case_id="C-1042",
        stay=1,
        entered_at=MONDAY,
        timer="close_pending",
        kind="close",
        audience=None,
        due_at=MONDAY,
        to="closed",
    )
    yield lambda: desk.apply(case, "note", by="agent")
    yield lambda: desk.apply(case, "comment", by="customer")
    yield lambda: desk.allowed(case)
    yield lambda: desk.allowed(case, by="customer")
    yield lambda: desk.clone(case, "C-2", by="agent")
    yield lambda: list(desk.due([case]))
    yield lambda: desk.next_due(case)
    yield lambda: desk.forecast(case)
    yield lambda: desk.explain(case)
    yield lambda: desk.settle(case, action)
    yield lambda: desk.migrate(case, desk)


def test_a_case_of_another_policy_is_refused_everywhere(sub_desk: Workflow) -> None:
    for call in everything(sub_desk, case_in("new", policy="open-resolved")):
        with pytest.raises(CaseDataError) as refused:
            call()
        assert str(refused.value) == (
            "case 'C-1042': policy: the case is of 'open-resolved', this workflow of 'sub-status'; "
            "see Workflow.migrate"
        )
        assert [problem.path for problem in refused.value.problems] == ["policy"]


def test_a_case_of_an_unknown_status_is_refused_everywhere(sub_desk: Workflow) -> None:
    for call in everything(sub_desk, case_in("closd")):
        with pytest.raises(UnknownStatus) as refused:
            call()
        assert (refused.value.name, refused.value.where) == ("closd", "case 'C-1042': status")
        assert refused.value.known == tuple(sub_desk.policy.statuses)


def test_a_case_of_an_unknown_sub_status_is_refused_everywhere(sub_desk: Workflow) -> None:
    for state, name in (
        ("pending.custmer_input", "custmer_input"),
        ("new.development", "development"),
    ):
        for call in everything(sub_desk, case_in(state)):
            with pytest.raises(UnknownStatus) as refused:
                call()
            assert refused.value.name == name
            status = state.partition(".")[0]
            assert refused.value.where == f"case 'C-1042': sub_status of {status}"
            assert refused.value.known == tuple(sub_desk.policy.statuses[status].sub_statuses)


def test_a_case_without_the_sub_status_it_needs_is_refused_everywhere(sub_desk: Workflow) -> None:
    for call in everything(sub_desk, case_in("pending")):
        with pytest.raises(CaseDataError) as refused:
            call()
        assert str(refused.value) == (
            "case 'C-1042': sub_status: is missing: pending needs one of customer_input, development, "
            "scheduled_support_service, third_party_provider"
        )


def test_a_case_with_a_settled_timer_that_its_state_has_not_is_refused_where_timers_matter(
    sub_desk: Workflow,
) -> None:
    case = case_in("pending.customer_input", settled="remind_custmer", settled_at=MONDAY)
    calls = everything(sub_desk, case)
    for call in itertools.islice(calls, 2, None):
        with pytest.raises(CaseDataError) as refused:
            call()
        assert str(refused.value) == (
            "case 'C-1042': settled: 'remind_custmer' is no timer of pending.customer_input; "
            "did you mean 'remind_customer'? (there are: remind_customer, close_pending)"
        )
    nothing = case_in("new", settled="remind_customer", settled_at=MONDAY)
    with pytest.raises(CaseDataError) as none:
        sub_desk.next_due(nothing)
    assert str(none.value).endswith("'remind_customer' is no timer of new (there are: none)")


@pytest.mark.parametrize("wrong", [None, 3, {"id": "C-1"}, ("C-1", "new")])
def test_what_is_no_case_is_refused_everywhere(sub_desk: Workflow, wrong: object) -> None:
    for call in everything(sub_desk, wrong):
        with pytest.raises(CaseDataError) as refused:
            call()
        assert str(refused.value) == f"cases: must be Case objects, not {wrong!r}"


def test_a_case_without_a_policys_name_keeps_none_and_is_evaluated_all_the_same(desk: Workflow) -> None:
    case = desk.apply(case_in("open"), "ask", by="agent", at=MONDAY)
    assert case.policy is None
    case = desk.settle(case, the_due(desk, case, MONDAY), at=MONDAY)
    case = desk.settle(case, the_due(desk, case, MONDAY + 14 * DAY), at=MONDAY + 14 * DAY)
    assert (case.state, case.policy, case.standing) == ("closed", None, "/closed/")
    named = desk.apply(case_in("open", policy="open-resolved"), "ask", by="agent", at=MONDAY)
    assert (named.policy, named.standing) == ("open-resolved", "open-resolved/pending_customer/")


# --- sweeps ------------------------------------------------------------------


def test_a_sweep_is_lazy_and_in_the_order_of_the_input(desk: Workflow) -> None:
    def endless() -> Iterator[Case]:
        for number in itertools.count():
            yield case_in(("pending_customer", "open", "resolved")[number % 3], id=f"C-{number}")

    found = list(itertools.islice(desk.due(endless(), now=MONDAY + 7 * DAY), 4))
    assert [(action.case_id, action.timer) for action in found] == [
        ("C-0", "notify_pending"),
        ("C-2", "close_resolved"),
        ("C-3", "notify_pending"),
        ("C-5", "close_resolved"),
    ]


def test_a_sweep_takes_an_iterable_of_cases(desk: Workflow) -> None:
    with pytest.raises(CaseDataError) as refused:
        desk.due(case_in("open"))  # type: ignore[arg-type]
    assert str(refused.value).startswith("cases: must be an iterable of Case objects, not Case(id='C-1042'")
    assert [problem.path for problem in refused.value.problems] == [""]
    by_id = {"C-1": case_in("open")}
    with pytest.raises(CaseDataError) as refused:
        list(desk.due(by_id))  # type: ignore[arg-type]
    assert str(refused.value) == "cases: must be Case objects, not 'C-1'; give the mapping's values()"
    assert [problem.path for problem in refused.value.problems] == [""]
    assert list(desk.due(by_id.values(), now=MONDAY)) == []
    assert list(desk.due([])) == []


def test_a_sweep_stops_at_a_case_that_it_cannot_read(desk: Workflow) -> None:
    sweep = desk.due([case_in("resolved"), case_in("rslved"), case_in("resolved")], now=MONDAY + 7 * DAY)
    assert next(sweep).timer == "close_resolved"
    with pytest.raises(UnknownStatus) as refused:
        next(sweep)
    assert refused.value.__suppress_context__


def test_a_sweep_goes_on_if_it_is_told_what_to_do_with_errors(desk: Workflow) -> None:
    seen: list[tuple[object, CasestateError]] = []
    bad: list[Any] = [case_in("rslved"), "C-7", case_in("open", policy="sub-status"), None]
    good = case_in("resolved", id="C-1")
    found = list(
        desk.due(
            [bad[0], good, *bad[1:], good],
            now=MONDAY + 7 * DAY,
            on_error=lambda case, error: seen.append((case, error)),
        )
    )
    assert [action.case_id for action in found] == ["C-1", "C-1"]
    assert [case for case, _ in seen] == bad
    assert [type(error) for _, error in seen] == [UnknownStatus, CaseDataError, CaseDataError, CaseDataError]


def test_what_the_caller_does_with_an_error_may_end_the_sweep(desk: Workflow) -> None:
    def stop(case: Case, error: CasestateError) -> None:
        raise KeyError(case.id) from error

    with pytest.raises(KeyError, match="C-1042"):
        list(desk.due([case_in("rslved")], on_error=stop))


def test_sweeps_at_different_instants_do_not_mix(desk: Workflow) -> None:
    case = case_in("resolved")
    early, late = desk.due([case], now=MONDAY), desk.due([case], now=MONDAY + 7 * DAY)
    assert list(early) == []
    assert [action.timer for action in late] == ["close_resolved"]
    assert list(desk.due([case], now=MONDAY + 7 * DAY - TICK)) == []


# --- settling ----------------------------------------------------------------


def test_settling_a_notification_remembers_it_and_writes_one_entry(desk: Workflow) -> None:
    case = case_in("pending_customer", stay=4, assignee="mira", policy="open-resolved")
    after = desk.settle(case, the_due(desk, case, MONDAY), at=MONDAY + DAY)
    entry = Change(
        at=MONDAY + DAY,
        event="notify_pending",
        by="system",
        from_state="pending_customer",
        to_state="pending_customer",
        stay=4,
    )
    assert after == attrs.evolve(case, settled="notify_pending", settled_at=MONDAY + DAY, history=(entry,))
    assert (after.changed_at, after.standing) == (
        MONDAY + DAY,
        "open-resolved/pending_customer/notify_pending",
    )


def test_settling_a_closure_moves_the_case_and_writes_one_entry(desk: Workflow) -> None:
    case = case_in("resolved", stay=4, assignee="mira", previous="in_progress")
    late = MONDAY + 8 * DAY
    after = desk.settle(case, the_due(desk, case, late), at=late)
    entry = Change(
        at=late,
        event="close_resolved",
        by="system",
        from_state="resolved",
        to_state="closed",
        stay=5,
    )
    assert after == attrs.evolve(
        case, status="closed", entered_at=late, stay=5, previous="resolved", history=(entry,)
    )


def test_after_an_outage_there_is_one_action_and_the_rest_is_passed_over(branches: Workflow) -> None:
    case = case_in("wait.long")
    action = the_due(branches, case, MONDAY + 20 * DAY)
    assert (action.timer, action.due_at, action.to) == ("last_look", MONDAY + 3 * DAY, None)
    assert action.skipped == ("first_look", "second_look")
    after = branches.settle(case, action, at=MONDAY + 20 * DAY)
    assert (after.settled, after.history[-1].detail) == ("last_look", ("first_look", "second_look"))
    assert due(branches, after, MONDAY + 20 * DAY) is None
    for passed in ("first_look", "second_look"):
        with pytest.raises(StaleAction):
            branches.settle(after, attrs.evolve(action, timer=passed), at=MONDAY + 20 * DAY)
    closing = the_due(branches, after, MONDAY + 25 * DAY)
    assert (closing.timer, closing.due_at, closing.skipped) == ("give_up", MONDAY + 25 * DAY, ())
    assert branches.settle(after, closing, at=MONDAY + 25 * DAY).history[-1].detail is None


def test_a_closure_tells_what_it_passed_over(sub_desk: Workflow) -> None:
    case = case_in("pending.customer_input")
    late = MONDAY + 60 * DAY
    closed = sub_desk.settle(case, the_due(sub_desk, case, late), at=late)
    (entry,) = closed.history
    assert (entry.event, entry.by, entry.actor) == ("close_pending", "system", None)
    assert entry.detail == ("remind_customer",)


def test_an_action_of_an_earlier_sweep_may_be_settled_late(sub_desk: Workflow) -> None:
    case = case_in("pending.customer_input")
    reminder = the_due(sub_desk, case, MONDAY + 7 * DAY)
    late = MONDAY + 40 * DAY
    after = sub_desk.settle(case, reminder, at=late)
    assert (after.state, after.settled, after.settled_at) == (
        "pending.customer_input",
        "remind_customer",
        late,
    )
    assert after.history[-1].detail is None
    assert the_due(sub_desk, after, late).timer == "close_pending"


def test_settling_twice_does_nothing_twice(sub_desk: Workflow) -> None:
    case = case_in("pending.customer_input")
    reminder = the_due(sub_desk, case, MONDAY + 7 * DAY)
    after = sub_desk.settle(case, reminder, at=MONDAY + 7 * DAY)
    with pytest.raises(StaleAction) as refused:
        sub_desk.settle(after, reminder, at=MONDAY + 7 * DAY)
    assert (refused.value.case_id, refused.value.timer) == ("C-1042", "remind_customer")
    assert refused.value.reason == ("'remind_customer' has been settled at 2026-03-09 09:30:15.250000+00:00")
    closing = the_due(sub_desk, after, MONDAY + 28 * DAY)
    closed = sub_desk.settle(after, closing, at=MONDAY + 28 * DAY)
    with pytest.raises(StaleAction) as refused:
        sub_desk.settle(closed, closing, at=MONDAY + 28 * DAY)
    assert refused.value.reason == (
        "it is of stay 1, entered at 2026-03-02 09:30:15.250000+00:00; the case is in stay 2, "
        "in closed since 2026-03-30 09:30:15.250000+00:00"
    )


def test_a_reply_wins_up_to_the_very_instant_and_after_the_sweep(sub_desk: Workflow) -> None:
    case = case_in("pending.customer_input", settled="remind_customer", settled_at=MONDAY + 7 * DAY)
    end = MONDAY + 28 * DAY
    for replied_at, settled_at in ((end - TICK, end), (end, end), (end + DAY, end + 2 * DAY)):
        action = the_due(sub_desk, case, end)
        replied = sub_desk.apply(case, "comment", by="customer", at=replied_at)
        with pytest.raises(StaleAction):
            sub_desk.settle(replied, action, at=settled_at)
        assert replied.state == "update_received"


def test_asking_again_makes_the_actions_of_the_stay_before_stale(desk: Workflow) -> None:
    asked = desk.apply(case_in("open"), "ask", by="agent", at=MONDAY)
    action = the_due(desk, asked, MONDAY + 14 * DAY)
    again = desk.apply(asked, "ask", by="agent", at=MONDAY + 13 * DAY)
    with pytest.raises(StaleAction):
        desk.settle(again, action, at=MONDAY + 14 * DAY)
    assert due(desk, settled_all(desk, again, MONDAY + 13 * DAY), MONDAY + 14 * DAY) is None


def test_an_action_of_another_case_stay_entry_or_state_is_stale(desk: Workflow) -> None:
    case = case_in("resolved", stay=2)
    action = the_due(desk, case, MONDAY + 7 * DAY)
    for change, reason in (
        ({"case_id": "C-7"}, "it is of case 'C-7'"),
        (
            {"stay": 1},
            (
                "it is of stay 1, entered at 2026-03-02 09:30:15.250000+00:00; the case is in stay 2, "
                "in resolved since 2026-03-02 09:30:15.250000+00:00"
            ),
        ),
        (
            {"entered_at": MONDAY - TICK},
            (
                "it is of stay 2, entered at 2026-03-02 09:30:15.249999+00:00; the case is in stay 2, "
                "in resolved since 2026-03-02 09:30:15.250000+00:00"
            ),
        ),
        ({"timer": "close_pending"}, "resolved has no such timer"),
        ({"timer": None}, "resolved has no such timer"),
    ):
        fields: dict[str, Any] = dict(change)
        with pytest.raises(StaleAction) as refused:
            desk.settle(case, attrs.evolve(action, **fields), at=MONDAY + 7 * DAY)
        assert refused.value.reason == reason


def test_a_desk_that_keeps_no_stay_is_told_by_the_entry(desk: Workflow) -> None:
    before = case_in("resolved", MONDAY)
    action = the_due(desk, before, MONDAY + 7 * DAY)
    reopened_and_resolved = case_in("resolved", MONDAY + DAY)
    with pytest.raises(StaleAction):
        desk.settle(reopened_and_resolved, action, at=MONDAY + 9 * DAY)


def test_settling_before_it_is_due_is_refused(desk: Workflow) -> None:
    case = case_in("resolved")
    end = MONDAY + 7 * DAY
    action = the_due(desk, case, end)
    with pytest.raises(NotDue) as refused:
        desk.settle(case, action, at=end - TICK)
    error = refused.value
    assert (error.case_id, error.timer, error.at, error.due_at) == (
        "C-1042",
        "close_resolved",
        end - TICK,
        end,
    )
    assert error.reason == (
        "close_resolved waits until 2026-03-09T09:30:15.250000Z, and moves the case to closed."
    )
    assert desk.settle(case, action, at=end).state == "closed"


def test_the_due_instant_is_found_afresh_whatever_the_action_says(desk: Workflow) -> None:
    case = case_in("resolved")
    honest = the_due(desk, case, MONDAY + 7 * DAY)
    forged = attrs.evolve(honest, due_at=MONDAY, to="new", kind="remind", skipped=("x",))
    with pytest.raises(NotDue):
        desk.settle(case, forged, at=MONDAY)
    closed = desk.settle(case, forged, at=MONDAY + 7 * DAY)
    assert (closed.state, closed.history[-1].detail) == ("closed", None)


def test_settling_what_notice_holds_back_is_refused(branches: Workflow) -> None:
    case = case_in("wait.long")
    forged = Action(
        case_id="C-1042",
        stay=1,
        entered_at=MONDAY,
        timer="give_up",
        kind="close",
        audience=None,
        due_at=MONDAY + 10 * DAY,
        to="done",
    )
    with pytest.raises(NotDue) as refused:
        branches.settle(case, forged, at=MONDAY + 400 * DAY)
    assert refused.value.due_at is None
    assert refused.value.reason == (
        "give_up is held back: give_up comes at the earliest 5 days after last_look has been settled."
    )
    warned = attrs.evolve(case, settled="last_look", settled_at=MONDAY + 9 * DAY)
    with pytest.raises(NotDue) as refused:
        branches.settle(warned, forged, at=MONDAY + 14 * DAY - TICK)
    assert refused.value.due_at == MONDAY + 14 * DAY
    assert refused.value.reason == (
        "give_up is held back until 2026-03-16T09:30:15.250000Z, 5 days after last_look was settled."
    )
    assert branches.settle(warned, forged, at=MONDAY + 14 * DAY).state == "done"


def test_what_would_come_due_beyond_the_year_9999_is_never_due(desk: Workflow) -> None:
    late = datetime(9999, 12, 30, tzinfo=UTC)
    case = case_in("resolved", late)
    assert desk.next_due(case) is None
    action = attrs.evolve(the_due(desk, case_in("resolved"), MONDAY + 7 * DAY), entered_at=late)
    with pytest.raises(NotDue) as refused:
        desk.settle(case, action, at=datetime.max.replace(tzinfo=UTC))
    assert refused.value.due_at is None
    assert refused.value.reason == "close_resolved never comes due: that would be beyond the year 9999."


def test_settling_goes_forward_in_time_only(desk: Workflow) -> None:
    case = case_in("resolved")
    action = the_due(desk, case, MONDAY + 7 * DAY)
    noted = desk.apply(case, "note", by="agent", at=MONDAY + 9 * DAY)
    with pytest.raises(TimeOrderError) as refused:
        desk.settle(noted, action, at=MONDAY + 8 * DAY)
    assert refused.value.earliest == MONDAY + 9 * DAY
    assert desk.settle(noted, action, at=MONDAY + 9 * DAY).state == "closed"


def test_what_is_stale_is_stale_before_it_is_too_early(desk: Workflow) -> None:
    case = case_in("resolved")
    action = the_due(desk, case, MONDAY + 7 * DAY)
    with pytest.raises(StaleAction):
        desk.settle(case, attrs.evolve(action, stay=9), at=MONDAY - DAY)


def test_settling_asks_the_clock_if_it_is_not_told_when() -> None:
    clock = ManualClock(MONDAY)
    desk = Workflow(load_policy("open-resolved"), clock=clock)
    case = desk.apply(desk.open("C-1"), "resolve", by="customer")
    clock.advance(days=7)
    (action,) = desk.due([case])
    clock.advance(minutes=3)
    assert desk.settle(case, action).entered_at == MONDAY + timedelta(days=7, minutes=3)


# --- the history only grows --------------------------------------------------


@given(st.data())
def test_whatever_happens_the_history_grows_by_one_and_loses_nothing(data: st.DataObject) -> None:
    policy = data.draw(any_policies())
    desk = Workflow(policy)
    case = data.draw(cases_of(policy))
    for _ in range(data.draw(st.integers(1, 8))):
        at = case.changed_at + data.draw(st.integers(0, 40 * 86_400)) * timedelta(seconds=1)
        action = due(desk, case, at)
        if action is not None and data.draw(st.booleans()):
            after, event, by = desk.settle(case, action, at=at), action.timer, "system"
        else:
            by = data.draw(st.sampled_from(policy.roles))
            allowed = desk.allowed(case, by=by)
            if not allowed:
                break
            event = data.draw(st.sampled_from(allowed))
            after = tried(desk, case, event, by, at)
        assert after.history[:-1] == case.history
        entry = after.history[-1]
        assert (entry.at, entry.event, entry.by, entry.from_state, entry.to_state, entry.stay) == (
            at,
            event,
            by,
            case.state,
            after.state,
            after.stay,
        )
        assert (after.id, after.policy, after.opened_at, after.cloned_from) == (
            case.id,
            case.policy,
            case.opened_at,
            case.cloned_from,
        )
        assert after.clones[: len(case.clones)] == case.clones
        assert after.changed_at == at
        if after.stay == case.stay:
            assert (after.state, after.entered_at) == (case.state, case.entered_at)
        else:
            assert (after.stay, after.entered_at, after.settled) == (case.stay + 1, at, None)
        again = Case.from_dict(after.to_dict())
        assert again == after
        assert (again.state, again.changed_at, again.standing) == (
            after.state,
            after.changed_at,
            after.standing,
        )
        case = after


# --- what is not what it should be -------------------------------------------


def test_a_clock_is_something_to_call() -> None:
    with pytest.raises(PolicyError) as refused:
        Workflow(policies.SUB_STATUS, clock="now")  # type: ignore[arg-type]
    assert str(refused.value) == "Workflow: clock: must be something to call, such as utc_now, not 'now'"


@pytest.mark.parametrize("action", ["notify_pending", None, 3])
def test_only_an_action_can_be_settled(desk: Workflow, action: Any) -> None:  # noqa: ANN401 - the wrong ones
    with pytest.raises(CaseDataError) as refused:
        desk.settle(case_in("pending_customer"), action)
    assert str(refused.value) == f"action: must be an Action, not {action!r}"


def test_an_event_and_a_role_that_are_no_names_are_unknown(desk: Workflow) -> None:
    events: Any = ["note"]
    with pytest.raises(UnknownEvent):
        desk.apply(case_in("open"), events, by="agent")
    with pytest.raises(UnknownRole):
        desk.apply(case_in("open"), "note", by=events)


@pytest.mark.parametrize(
    ("to_workflow", "states", "problem"),
    [
        (None, {}, "to_workflow: must be a Workflow, not None"),
        ("sub-status", {}, "to_workflow: must be a Workflow, not 'sub-status'"),
        (Workflow, ["new"], "states: must map old states to new ones, not be ['new']"),
    ],
)
def test_a_case_migrates_to_a_workflow_by_a_map(to_workflow: Any, states: Any, problem: str) -> None:  # noqa: ANN401 - the wrong ones
    desk = Workflow(policies.OPEN_RESOLVED)
    other = desk if to_workflow is Workflow else to_workflow
    with pytest.raises(PolicyError) as refused:
        desk.migrate(case_in("open"), other, states)
    assert str(refused.value) == f"migrate: {problem}"
