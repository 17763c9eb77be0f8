"""The open-resolved document: what it asks for, sentence by sentence, and the tables read from it.

Nothing here is taken from the policy file: states, rows and timers are written out by hand.
"""

from __future__ import annotations

import inspect

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from builders import DAY, MONDAY, TICK, case_in, due, settled_all, the_due
from casestate import (
    Action,
    Case,
    EventRefused,
    MissingArgument,
    PolicyError,
    Workflow,
    load_policy,
)
from conformance import requirement


if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

OPEN: Final = ("new", "open", "in_progress", "pending_customer", "resolved")
STATES: Final = (*OPEN, "closed")
ROLES: Final = ("customer", "agent", "system")

INTERNAL: Final = "internal"
BACK: Final = "the previous state, or open if that is unknown"
TO_WORK: Final = "open if the case is assigned, else new"


class Row(NamedTuple):
    """A row of the event table: who may do what, where, and where that leads."""

    event: str
    by: tuple[str, ...]
    from_: tuple[str, ...]
    to: str


ROWS: Final = (
    Row("assign", ("agent",), ("new",), "open"),
    Row("assign", ("agent",), ("open", "in_progress", "pending_customer", "resolved"), INTERNAL),
    Row("start", ("agent",), ("open",), "in_progress"),
    Row("release", ("agent",), ("in_progress",), "open"),
    Row("ask", ("agent",), ("open", "in_progress", "pending_customer"), "pending_customer"),
    Row("resume", ("agent",), ("pending_customer",), BACK),
    Row("comment", ("customer",), ("pending_customer",), BACK),
    Row("comment", ("customer",), ("resolved",), TO_WORK),
    Row("comment", ("customer",), ("new", "open", "in_progress", "closed"), INTERNAL),
    Row("note", ("agent",), STATES, INTERNAL),
    Row(
        "resolve",
        ("agent", "customer"),
        ("new", "open", "in_progress", "pending_customer"),
        "resolved",
    ),
    Row("confirm", ("customer",), ("resolved",), "closed"),
    Row("reopen", ("customer", "agent"), ("resolved", "closed"), TO_WORK),
    Row("close", ("customer",), OPEN, "closed"),
)
EVENTS: Final = (
    "assign",
    "start",
    "release",
    "ask",
    "resume",
    "comment",
    "note",
    "resolve",
    "confirm",
    "reopen",
    "close",
)


class Timed(NamedTuple):
    """A timer: in which state, and what is due how long after the stay began."""

    state: str
    timer: str
    kind: str
    audience: str | None
    after: timedelta
    to: str | None


TIMERS: Final = (
    Timed("pending_customer", "notify_pending", "notify", "customer", timedelta(0), None),
    Timed("pending_customer", "close_pending", "close", None, timedelta(days=14), "closed"),
    Timed("resolved", "close_resolved", "close", None, timedelta(days=7), "closed"),
)
WITHOUT_TIMERS: Final = ("new", "open", "in_progress", "closed")


@pytest.fixture
def desk() -> Workflow:
    return Workflow(load_policy("open-resolved"), clock=lambda: MONDAY)


# --- the requirements, in the order of the document --------------------------


@requirement(
    "B1",
    "New | Case received, not yet assigned",
    "Open | Assigned to an engineer, actively being worked",
    "In Progress | Engineer is actively working on a fix or investigation",
    "Pending Customer | Engineer needs more information from you",
    "Resolved | Issue has been fixed or answered",
    "Closed | Case archived after resolution",
)
def test_there_are_six_statuses(desk: Workflow) -> None:
    assert tuple(desk.policy.statuses) == STATES == desk.policy.states
    assert [status.label for status in desk.policy.statuses.values()] == [
        "New",
        "Open",
        "In Progress",
        "Pending Customer",
        "Resolved",
        "Closed",
    ]
    assert [name for name, status in desk.policy.statuses.items() if status.closed] == ["closed"]


@requirement("B2", "New | Case received, not yet assigned")
def test_a_new_case_is_not_yet_assigned(desk: Workflow) -> None:
    case = desk.open("C-1")
    assert (case.state, case.assignee) == ("new", None)


@requirement("B3", "Open | Assigned to an engineer, actively being worked")
def test_an_assigned_case_is_open(desk: Workflow) -> None:
    case = desk.apply(desk.open("C-1"), "assign", by="agent", assignee="mira")
    assert (case.state, case.assignee) == ("open", "mira")
    with pytest.raises(MissingArgument) as refused:
        desk.apply(desk.open("C-2"), "assign", by="agent")
    assert refused.value.argument == "assignee"


@requirement("B4", "In Progress | Engineer is actively working on a fix or investigation")
def test_in_progress_is_where_the_engineer_works(desk: Workflow) -> None:
    case = desk.apply(case_in("open", assignee="mira"), "start", by="agent", actor="mira")
    assert (case.state, case.assignee) == ("in_progress", "mira")
    assert desk.policy.statuses["in_progress"].waiting_on == "support"
    assert desk.apply(case, "release", by="agent").state == "open"
    with pytest.raises(EventRefused):
        desk.apply(case_in("new"), "start", by="agent")


@requirement(
    "B5",
    "Status | Meaning | Action required?",
    "New | Case received, not yet assigned | None — wait for assignment",
    "Open | Assigned to an engineer, actively being worked | None — engineer is investigating",
    "In Progress | Engineer is actively working on a fix or investigation | None — updates coming",
    "Pending Customer | Engineer needs more information from you | Yes — reply to unblock",
    "Resolved | Issue has been fixed or answered | Confirm if it worked, or reopen",
    "Closed | Case archived after resolution | Reopen if issue recurs",
)
def test_every_status_carries_its_meaning_and_the_action_required(desk: Workflow) -> None:
    statuses = desk.policy.statuses
    assert len({status.meaning for status in statuses.values()}) == 6
    assert all(status.meaning is not None and status.meaning.endswith(".") for status in statuses.values())
    begins = {name: str(status.action_required).split()[0] for name, status in statuses.items()}
    assert begins == {
        "new": "None:",
        "open": "None:",
        "in_progress": "None:",
        "pending_customer": "Yes:",
        "resolved": "Confirm",
        "closed": "Reopen",
    }
    assert {name: status.waiting_on for name, status in statuses.items()} == {
        "new": "support",
        "open": "support",
        "in_progress": "support",
        "pending_customer": "customer",
        "resolved": "customer",
        "closed": None,
    }


@requirement(
    "B6",
    "New → Open → In Progress → Pending Customer → Open (loop) ↓ Resolved → Closed",
)
def test_the_flow_is_as_drawn_and_loops_as_often_as_need_be(desk: Workflow) -> None:
    case = desk.apply(desk.open("C-1"), "assign", by="agent", assignee="mira")
    for _ in range(25):
        case = desk.apply(case, "ask", by="agent")
        assert case.state == "pending_customer"
        case = desk.apply(case, "comment", by="customer")
        assert case.state == "open"
    case = desk.apply(case, "start", by="agent")
    case = desk.apply(case, "ask", by="agent")
    case = desk.apply(case, "resolve", by="agent")
    assert case.state == "resolved"
    case = desk.apply(case, "confirm", by="customer")
    assert (case.state, case.stay) == ("closed", 56)


@requirement("B7", "Most cases move through: New → Open → In Progress → Resolved → Closed.")
def test_the_common_path_leads_through_resolved_to_closed(desk: Workflow) -> None:
    case = desk.open("C-1")
    seen = [case.state]
    for event, by, assignee in (
        ("assign", "agent", "mira"),
        ("start", "agent", None),
        ("resolve", "agent", None),
        ("confirm", "customer", None),
    ):
        case = desk.apply(case, event, by=by, assignee=assignee)
        seen.append(case.state)
    assert seen == ["new", "open", "in_progress", "resolved", "closed"]


@requirement(
    "B8",
    "Cases that require your input cycle back to Pending Customer until you reply, at which point they "
    "return to Open or In Progress.",
)
def test_a_reply_returns_the_case_to_where_it_came_from(desk: Workflow) -> None:
    for came_from in ("open", "in_progress"):
        asked = desk.apply(case_in(came_from, assignee="mira"), "ask", by="agent")
        asked_again = desk.apply(asked, "ask", by="agent")
        for case in (asked, asked_again):
            assert desk.apply(case, "comment", by="customer").state == came_from
            assert desk.apply(case, "resume", by="agent").state == came_from
    for event, by in (("comment", "customer"), ("resume", "agent")):
        assert desk.apply(case_in("pending_customer"), event, by=by).state == "open"


@requirement("B9", "When a case reaches Pending Customer, you will receive an email notification.")
def test_the_customer_is_notified_at_once_of_a_question(desk: Workflow) -> None:
    asked = desk.apply(case_in("open"), "ask", by="agent", at=MONDAY)
    assert due(desk, asked, MONDAY) == Action(
        case_id="C-1042",
        stay=2,
        entered_at=MONDAY,
        timer="notify_pending",
        kind="notify",
        audience="customer",
        due_at=MONDAY,
        to=None,
    )
    again = desk.apply(asked, "ask", by="agent", at=MONDAY + DAY)
    assert the_due(desk, again, MONDAY + DAY).timer == "notify_pending"


@requirement(
    "B10",
    "Cases in Pending Customer status that receive no reply within 14 days are automatically closed.",
)
def test_a_question_without_a_reply_closes_after_14_days(desk: Workflow) -> None:
    asked = settled_all(desk, desk.apply(case_in("open"), "ask", by="agent"), MONDAY)
    end = MONDAY + timedelta(days=14)
    assert due(desk, asked, end - TICK) is None
    action = the_due(desk, asked, end)
    assert (action.timer, action.kind, action.due_at, action.to) == ("close_pending", "close", end, "closed")
    assert desk.settle(asked, action, at=end).state == "closed"

    replied = desk.apply(asked, "comment", by="customer", at=end)
    assert due(desk, replied, end + 3650 * DAY) is None


@requirement("B11", "You can reopen a closed case at any time.")
def test_a_closed_case_can_be_reopened_at_any_time(desk: Workflow) -> None:
    closed = case_in("closed", assignee="mira")
    for by in ("customer", "agent"):
        for later in (timedelta(0), TICK, 36_500 * DAY):
            reopened = desk.apply(closed, "reopen", by=by, at=MONDAY + later)
            assert (reopened.state, reopened.entered_at) == ("open", MONDAY + later)


@requirement(
    "B12",
    "You can mark a case resolved yourself from the My Cases tab if the issue is fixed before an engineer "
    "does so.",
)
def test_the_customer_may_mark_a_case_resolved(desk: Workflow) -> None:
    for state in ("new", "open", "in_progress", "pending_customer"):
        assert desk.apply(case_in(state), "resolve", by="customer").state == "resolved"
    with pytest.raises(EventRefused):
        desk.apply(case_in("resolved"), "resolve", by="customer")


@requirement(
    "B13",
    "If the same issue recurs after a case is closed, use the Reopen Case button rather than opening a new "
    "case — this preserves the full history and routes you back to the original engineer where possible.",
)
def test_reopening_keeps_the_case_and_its_whole_history(desk: Workflow) -> None:
    case = desk.apply(desk.open("C-1"), "assign", by="agent", assignee="mira")
    case = desk.apply(case, "close", by="customer")
    reopened = desk.apply(case, "reopen", by="customer")
    assert (reopened.id, reopened.opened_at) == ("C-1", MONDAY)
    assert reopened.history[:-1] == case.history
    assert [entry.event for entry in reopened.history] == ["assign", "close", "reopen"]
    assert (reopened.clones, reopened.cloned_from) == ((), None)


@requirement(
    "B14",
    "If the same issue recurs after a case is closed, use the Reopen Case button rather than opening a new "
    "case — this preserves the full history and routes you back to the original engineer where possible.",
)
def test_reopening_leads_back_to_the_engineer_or_else_to_new(desk: Workflow) -> None:
    for by in ("customer", "agent"):
        for state in ("resolved", "closed"):
            back = desk.apply(case_in(state, assignee="mira"), "reopen", by=by)
            assert (back.state, back.assignee) == ("open", "mira")
            nobody = desk.apply(case_in(state), "reopen", by=by)
            assert (nobody.state, nobody.assignee) == ("new", None)


@requirement("B15", "Resolved with no objection | 7 days")
def test_resolved_without_an_objection_closes_after_7_days(desk: Workflow) -> None:
    case = desk.apply(case_in("in_progress", assignee="mira"), "resolve", by="agent")
    end = MONDAY + timedelta(days=7)
    assert due(desk, case, end - TICK) is None
    action = the_due(desk, case, end)
    assert (action.timer, action.kind, action.due_at, action.to) == ("close_resolved", "close", end, "closed")
    assert desk.settle(case, action, at=end).state == "closed"

    objected = desk.apply(case, "comment", by="customer", at=end)
    assert (objected.state, objected.assignee) == ("open", "mira")
    assert due(desk, objected, end + 3650 * DAY) is None


@requirement("B16", "Manual close by customer | Immediately")
def test_a_close_by_the_customer_is_immediate(desk: Workflow) -> None:
    for state in OPEN:
        closed = desk.apply(case_in(state), "close", by="customer", at=MONDAY)
        assert (closed.state, closed.entered_at) == ("closed", MONDAY)
        with pytest.raises(EventRefused):
            desk.apply(case_in(state), "close", by="agent")


@requirement(
    "B17",
    "Closed cases are never deleted — they remain in your case history for audit and reference purposes.",
)
def test_nothing_removes_a_case_or_an_entry_of_its_history(desk: Workflow) -> None:
    case = desk.apply(desk.open("C-1"), "assign", by="agent", assignee="mira")
    case = desk.apply(case, "close", by="customer")
    before = case.history
    for event, by in (("comment", "customer"), ("note", "agent"), ("reopen", "customer")):
        after = desk.apply(case, event, by=by)
        assert after.history[:-1] == before
        assert after.id == case.id
    assert settled_all(desk, case, MONDAY + 36_500 * DAY) == case
    # A mutation run adds names of its own, which are not ASCII.
    public = [name for name, _ in inspect.getmembers(Workflow) if name.isascii() and not name.startswith("_")]
    assert public == [
        "allowed",
        "apply",
        "clock",
        "clone",
        "cutoffs",
        "due",
        "explain",
        "forecast",
        "machine",
        "migrate",
        "next_due",
        "open",
        "policy",
        "settle",
    ]


@requirement(
    "B18",
    "Scenario | Closes after",
    "No reply on Pending Customer | 14 days",
    "Resolved with no objection | 7 days",
    "Manual close by customer | Immediately",
)
def test_nothing_else_has_a_timer(desk: Workflow) -> None:
    assert [
        Timed(state, timer.name, timer.kind, timer.audience, timer.after.nominal, timer.to)
        for state, schedule in desk.policy.schedules.items()
        for timer in schedule
    ] == list(TIMERS)
    for state in WITHOUT_TIMERS:
        case = case_in(state, assignee="mira")
        century = case.entered_at.replace(year=case.entered_at.year + 100)
        assert due(desk, case, century) is None
        assert desk.next_due(case) is None
        assert list(desk.forecast(case, now=century)) == []
        assert desk.explain(case, now=century) == ()
    assert {row.status for row in desk.cutoffs()} == {"pending_customer", "resolved"}


# --- the whole event table, and its complement -------------------------------


def outcomes() -> Iterator[tuple[str, str, str, str | None]]:
    """Every (state, event, role), and where the table says it leads: none for a refusal."""
    for state in STATES:
        for event in EVENTS:
            for role in ROLES:
                rows = [row for row in ROWS if row.event == event and role in row.by and state in row.from_]
                assert len(rows) <= 1
                yield state, event, role, rows[0].to if rows else None


def permitted(state: str, role: str) -> tuple[str, ...]:
    return tuple(sorted({row.event for row in ROWS if role in row.by and state in row.from_}))


def stayed(state: str, assignee: str | None, previous: str | None) -> Case:
    """A case in the middle of a stay, with a timer settled where there is one to settle."""
    settled: dict[str, Any] = (
        {"settled": "notify_pending", "settled_at": MONDAY + DAY} if state == "pending_customer" else {}
    )
    return case_in(state, policy="open-resolved", stay=5, assignee=assignee, previous=previous, **settled)


def test_the_hand_written_table_is_about_every_state_event_and_role(desk: Workflow) -> None:
    assert desk.policy.states == STATES
    assert sorted(desk.policy.events) == sorted(EVENTS)
    assert desk.policy.roles == ROLES
    found = list(outcomes())
    assert len(found) == 6 * 11 * 3
    assert sum(to is not None for *_, to in found) == sum(len(row.by) * len(row.from_) for row in ROWS) == 41


@pytest.mark.parametrize("assignee", ["mira", None])
@pytest.mark.parametrize("previous", ["open", "in_progress", None])
@pytest.mark.parametrize("state", STATES)
def test_every_row_does_what_the_table_says_and_all_else_is_refused(
    desk: Workflow, state: str, previous: str | None, assignee: str | None
) -> None:
    at = MONDAY + 2 * DAY
    for here, event, role, to in outcomes():
        if here != state:
            continue
        case = stayed(state, assignee, previous)
        wanted = "noor" if event == "assign" and to is not None else None
        if to is None:
            with pytest.raises(EventRefused) as caught:
                desk.apply(case, event, by=role, at=at)
            refused = caught.value
            assert (refused.case_id, refused.event) == ("C-1042", event)
            assert (refused.state, refused.by) == (state, role)
            assert refused.permitted == permitted(state, role) == desk.allowed(case, by=role)
            continue
        after = desk.apply(case, event, by=role, at=at, assignee=wanted)
        assert after.assignee == (wanted or assignee)
        if to == INTERNAL:
            stays_as_it_was(case, after, at)
        elif to == BACK:
            begins_anew(case, after, previous or "open", at)
        elif to == TO_WORK:
            begins_anew(case, after, "open" if assignee else "new", at)
        else:
            begins_anew(case, after, to, at)


@pytest.mark.parametrize("assignee", ["mira", None])
@pytest.mark.parametrize("previous", ["open", None])
@pytest.mark.parametrize("state", STATES)
def test_what_is_allowed_is_what_the_table_says(
    desk: Workflow, state: str, previous: str | None, assignee: str | None
) -> None:
    case = stayed(state, assignee, previous)
    assert {role: desk.allowed(case, by=role) for role in ROLES} == {
        role: permitted(state, role) for role in ROLES
    }
    assert desk.allowed(case) == tuple(sorted({event for role in ROLES for event in permitted(state, role)}))
    assert desk.allowed(case, by="system") == ()


def stays_as_it_was(before: Case, after: Case, at: datetime) -> None:
    """An internal transition restarts nothing, and is recorded."""
    assert (after.state, after.stay, after.entered_at) == (before.state, before.stay, before.entered_at)
    assert (after.settled, after.settled_at) == (before.settled, before.settled_at)
    assert after.previous == before.previous
    (entry,) = after.history
    assert (entry.at, entry.from_state, entry.to_state, entry.stay) == (at, before.state, before.state, 5)


def begins_anew(before: Case, after: Case, to: str, at: datetime) -> None:
    """A new stay: number, clock and timers begin afresh."""
    assert (after.state, after.stay, after.entered_at) == (to, 6, at)
    assert (after.settled, after.settled_at) == (None, None)
    (entry,) = after.history
    assert (entry.at, entry.from_state, entry.to_state, entry.stay) == (at, before.state, to, 6)


def test_an_assignee_is_asked_for_by_assign_and_taken_by_nothing_else(desk: Workflow) -> None:
    for state, event, role, to in outcomes():
        if to is None:
            continue
        assignee = None if event == "assign" else "noor"
        with pytest.raises(MissingArgument) as refused:
            desk.apply(case_in(state), event, by=role, assignee=assignee)
        assert refused.value.argument == "assignee"
        with pytest.raises(MissingArgument) as refused:
            desk.apply(
                case_in(state),
                event,
                by=role,
                sub_status="development",
                assignee="noor" if not assignee else None,
            )
        assert refused.value.argument == "sub_status"


# --- every timer, to the microsecond -----------------------------------------


@pytest.mark.parametrize("timed", TIMERS, ids=lambda timed: timed.timer)
def test_a_timer_is_due_at_its_instant_and_not_a_microsecond_before(desk: Workflow, timed: Timed) -> None:
    settled: dict[str, Any] = (
        {"settled": "notify_pending", "settled_at": MONDAY} if timed.timer == "close_pending" else {}
    )
    case = case_in(timed.state, stay=7, **settled)
    due_at = MONDAY + timed.after
    assert due(desk, case, due_at - TICK) is None
    assert due(desk, case, due_at) == Action(
        case_id="C-1042",
        stay=7,
        entered_at=MONDAY,
        timer=timed.timer,
        kind=timed.kind,
        audience=timed.audience,
        due_at=due_at,
        to=timed.to,
        skipped=(),
    )
    assert desk.next_due(case) == due_at


@pytest.mark.parametrize("timed", TIMERS, ids=lambda timed: timed.timer)
def test_a_timer_is_settled_once_and_leads_where_the_table_says(desk: Workflow, timed: Timed) -> None:
    settled: dict[str, Any] = (
        {"settled": "notify_pending", "settled_at": MONDAY} if timed.timer == "close_pending" else {}
    )
    case = case_in(timed.state, stay=7, **settled)
    at = MONDAY + timed.after
    after = desk.settle(case, the_due(desk, case, at), at=at)
    if timed.to is None:
        assert (after.state, after.stay, after.entered_at) == (timed.state, 7, MONDAY)
        assert (after.settled, after.settled_at) == (timed.timer, at)
        assert due(desk, after, at) is None
    else:
        assert (after.state, after.stay, after.entered_at) == (timed.to, 8, at)
        assert (after.settled, after.settled_at) == (None, None)
        assert list(desk.forecast(after, now=at)) == []


@pytest.mark.parametrize("timed", TIMERS, ids=lambda timed: timed.timer)
def test_leaving_a_state_cancels_its_timers(desk: Workflow, timed: Timed) -> None:
    left = desk.apply(case_in(timed.state), "comment", by="customer", at=MONDAY + timed.after)
    assert due(desk, left, MONDAY + 36_500 * DAY) is None


# --- what docs/conformance.md says of a long outage --------------------------


def test_after_an_outage_a_closure_passes_over_what_is_unsent_unless_notice_forbids_it(
    desk: Workflow,
) -> None:
    case = case_in("pending_customer")
    late = MONDAY + 60 * DAY
    action = the_due(desk, case, late)
    assert (action.timer, action.skipped) == ("close_pending", ("notify_pending",))

    warned = Workflow(desk.policy.override({"timers": {"close_pending": {"notice": {"hours": 0}}}}))
    first = the_due(warned, case, late)
    assert (first.timer, first.skipped, first.to) == ("notify_pending", (), None)
    told = warned.settle(case, first, at=late)
    assert the_due(warned, told, late).timer == "close_pending"
    assert [one.timer for one in warned.forecast(case, now=late)] == ["notify_pending", "close_pending"]


def test_the_closure_of_a_resolved_case_has_nothing_to_pass_over_and_so_takes_no_notice(
    desk: Workflow,
) -> None:
    action = the_due(desk, case_in("resolved"), MONDAY + 60 * DAY)
    assert (action.timer, action.skipped) == ("close_resolved", ())
    with pytest.raises(PolicyError) as refused:
        desk.policy.override({"timers": {"close_resolved": {"notice": {"hours": 0}}}})
    assert [problem.path for problem in refused.value.problems] == ["timers.close_resolved.notice"]
