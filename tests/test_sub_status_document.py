"""The sub-status document: what it asks for, sentence by sentence, and the tables read from it.

Nothing here is taken from the policy file: states, rows and timers are written out by hand.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from builders import DAY, MONDAY, TICK, case_in, due, settled_all, the_due
from casestate import (
    Action,
    Case,
    CaseDataError,
    EventRefused,
    MissingArgument,
    UnknownStatus,
    Workflow,
    load_policy,
)
from conformance import requirement


if TYPE_CHECKING:
    from collections.abc import Iterator

STATUSES: Final = (
    "new",
    "in_progress",
    "pending",
    "awaiting_customer_confirmation",
    "reopened",
    "update_received",
    "closed",
)
SUB_STATUSES: Final = (
    "customer_input",
    "development",
    "scheduled_support_service",
    "third_party_provider",
)
OPEN: Final = (
    "new",
    "in_progress",
    "pending.customer_input",
    "pending.development",
    "pending.scheduled_support_service",
    "pending.third_party_provider",
    "awaiting_customer_confirmation",
    "reopened",
    "update_received",
)
STATES: Final = (*OPEN, "closed")
ROLES: Final = ("customer", "agent", "system")

INTERNAL: Final = "internal"
ASKED: Final = "the sub-status that is asked for"


class Row(NamedTuple):
    """A row of the event table: who may do what, where, and where that leads."""

    event: str
    by: tuple[str, ...]
    from_: tuple[str, ...]
    to: str


ROWS: Final = (
    Row(
        "start",
        ("agent",),
        (
            "new",
            "pending.customer_input",
            "pending.development",
            "pending.scheduled_support_service",
            "pending.third_party_provider",
            "awaiting_customer_confirmation",
            "reopened",
            "update_received",
        ),
        "in_progress",
    ),
    Row("pend", ("agent",), OPEN, ASKED),
    Row(
        "respond",
        ("agent",),
        (
            "new",
            "in_progress",
            "pending.customer_input",
            "pending.development",
            "pending.scheduled_support_service",
            "pending.third_party_provider",
            "reopened",
            "update_received",
        ),
        "awaiting_customer_confirmation",
    ),
    Row("comment", ("customer",), ("awaiting_customer_confirmation",), "reopened"),
    Row("comment", ("customer",), ("pending.customer_input",), "update_received"),
    Row(
        "comment",
        ("customer",),
        (
            "new",
            "in_progress",
            "pending.development",
            "pending.scheduled_support_service",
            "pending.third_party_provider",
            "reopened",
            "update_received",
        ),
        INTERNAL,
    ),
    Row("note", ("agent",), STATES, INTERNAL),
    Row("confirm", ("customer",), ("awaiting_customer_confirmation",), "closed"),
    Row("close", ("agent",), OPEN, "closed"),
    Row("clone", ("customer", "agent"), ("closed",), INTERNAL),
)
EVENTS: Final = ("start", "pend", "respond", "comment", "note", "confirm", "close", "clone")


class Timed(NamedTuple):
    """A timer: in which state, and what is due how long after the stay began."""

    state: str
    timer: str
    kind: str
    audience: str | None
    after: timedelta
    to: str | None


TIMERS: Final = (
    Timed("reopened", "notify_reopened", "notify", "support", timedelta(0), None),
    Timed("update_received", "notify_update_received", "notify", "support", timedelta(0), None),
    Timed("awaiting_customer_confirmation", "notify_awaiting", "notify", "customer", timedelta(0), None),
    Timed("awaiting_customer_confirmation", "close_awaiting", "close", None, timedelta(days=14), "closed"),
    Timed("pending.customer_input", "remind_customer", "remind", "customer", timedelta(days=7), None),
    Timed("pending.customer_input", "close_pending", "close", None, timedelta(days=28), "closed"),
    Timed("closed", "notify_closed", "notify", "customer", timedelta(days=1), None),
)
WITHOUT_TIMERS: Final = (
    "new",
    "in_progress",
    "pending.development",
    "pending.scheduled_support_service",
    "pending.third_party_provider",
)


@pytest.fixture
def desk() -> Workflow:
    return Workflow(load_policy("sub-status"), clock=lambda: MONDAY)


# --- the requirements, in the order of the document --------------------------


@requirement("A1", "New: Initial status for all new cases.")
def test_new_is_the_initial_status_of_every_case(desk: Workflow) -> None:
    assert desk.open("C-1").state == "new"
    _, clone = desk.clone(case_in("closed"), "C-2", by="customer")
    assert clone.state == "new"


@requirement(
    "A2",
    "New: Initial status for all new cases.",
    "In Progress: Our Support teams are investigating the case.",
    "Pending: Waiting for external input or actions.",
    "Awaiting Customer Confirmation: Support has provided a response to the Case that we believe "
    "answers your questions or addresses a problem that you reported.",
    "Reopened: If a customer adds a comment to a Case that was in Awaiting Customer Confirmation, this "
    "status notifies support to continue the investigation.",
    "Update Received: When customers respond to a request for additional information, this Status "
    "notifies Support that you are waiting for us to process the new information and continue our "
    "investigation..",
    "Closed: Your Case has been closed.",
)
def test_there_are_seven_statuses(desk: Workflow) -> None:
    assert tuple(desk.policy.statuses) == STATUSES
    assert [status.label for status in desk.policy.statuses.values()] == [
        "New",
        "In Progress",
        "Pending",
        "Awaiting Customer Confirmation",
        "Reopened",
        "Update Received",
        "Closed",
    ]
    assert [name for name, status in desk.policy.statuses.items() if status.closed] == ["closed"]


@requirement("A3", "In Progress: Our Support teams are investigating the case.")
def test_in_progress_is_where_support_investigates(desk: Workflow) -> None:
    case = desk.apply(desk.open("C-1"), "start", by="agent", actor="mira")
    assert case.state == "in_progress"
    assert desk.policy.statuses["in_progress"].waiting_on == "support"
    with pytest.raises(EventRefused):
        desk.apply(desk.open("C-2"), "start", by="customer")


@requirement("A4", "Pending: Waiting for external input or actions.")
def test_pending_waits_until_somebody_acts(desk: Workflow) -> None:
    for sub_status in ("development", "scheduled_support_service", "third_party_provider"):
        case = desk.apply(desk.open("C-1"), "pend", by="agent", sub_status=sub_status)
        assert case.status == "pending"
        assert settled_all(desk, case, MONDAY + 3650 * DAY) == case
        assert desk.apply(case, "start", by="agent").state == "in_progress"
    waits_on = {name: sub.waiting_on for name, sub in desk.policy.statuses["pending"].sub_statuses.items()}
    assert waits_on["customer_input"] == "customer"
    assert waits_on["development"] == "development"
    assert waits_on["third_party_provider"] == "third_party"


@requirement("A5", "When a case is set to Pending, a sub-status must be selected to specify the reason:")
def test_pending_without_a_sub_status_is_refused(desk: Workflow) -> None:
    for state in OPEN:
        with pytest.raises(MissingArgument) as refused:
            desk.apply(case_in(state), "pend", by="agent")
        assert refused.value.argument == "sub_status"
        assert all(sub_status in str(refused.value) for sub_status in SUB_STATUSES)
    without = case_in("pending")
    for ask in (desk.next_due, desk.allowed, desk.explain, lambda case: list(desk.due([case]))):
        with pytest.raises(CaseDataError, match="sub_status: is missing: pending needs one of"):
            ask(without)


@requirement(
    "A6",
    "Common sub-statuses include Customer Input, Development, Scheduled Support Service and "
    "Third Party Provider.",
)
def test_four_sub_statuses_say_why_and_more_can_be_added(desk: Workflow) -> None:
    assert tuple(desk.policy.statuses["pending"].sub_statuses) == SUB_STATUSES
    assert [sub.label for sub in desk.policy.statuses["pending"].sub_statuses.values()] == [
        "Customer Input",
        "Development",
        "Scheduled Support Service",
        "Third Party Provider",
    ]
    with pytest.raises(UnknownStatus):
        desk.apply(desk.open("C-1"), "pend", by="agent", sub_status="security_review")

    added = {"statuses": {"pending": {"sub_statuses": {"security_review": {"waiting_on": "legal"}}}}}
    more = Workflow(desk.policy.override(added), clock=lambda: MONDAY)
    case = more.apply(more.open("C-1"), "pend", by="agent", sub_status="security_review")
    assert case.state == "pending.security_review"
    assert more.next_due(case) is None
    assert more.apply(case, "comment", by="customer").state == "pending.security_review"
    assert more.apply(case, "start", by="agent").state == "in_progress"
    assert tuple(more.policy.statuses["pending"].sub_statuses) == (*SUB_STATUSES, "security_review")


@requirement(
    "A7",
    "Customer Input: Support has requested additional information to investigate the Case. Further "
    "work on the case is pending a response from the customer.",
)
def test_customer_input_is_entered_when_support_asks_for_information(desk: Workflow) -> None:
    for state in OPEN:
        case = desk.apply(case_in(state), "pend", by="agent", sub_status="customer_input")
        assert case.state == "pending.customer_input"
        assert case.entered_at == MONDAY
    assert desk.policy.described("pending.customer_input").waiting_on == "customer"
    with pytest.raises(EventRefused):
        desk.apply(desk.open("C-1"), "pend", by="customer", sub_status="customer_input")


@requirement(
    "A8",
    "Awaiting Customer Confirmation: Support has provided a response to the Case that we believe "
    "answers your questions or addresses a problem that you reported.",
)
def test_awaiting_confirmation_is_entered_when_support_has_answered(desk: Workflow) -> None:
    case = desk.apply(desk.open("C-1"), "respond", by="agent")
    assert case.state == "awaiting_customer_confirmation"
    assert desk.policy.described(case.state).waiting_on == "customer"
    with pytest.raises(EventRefused):
        desk.apply(desk.open("C-2"), "respond", by="customer")


@requirement(
    "A9",
    "Reopened: If a customer adds a comment to a Case that was in Awaiting Customer Confirmation, this "
    "status notifies support to continue the investigation.",
)
def test_a_comment_on_an_answer_reopens_the_case_and_notifies_support(desk: Workflow) -> None:
    case = desk.apply(case_in("awaiting_customer_confirmation"), "comment", by="customer", at=MONDAY)
    assert case.state == "reopened"
    assert due(desk, case, MONDAY) == Action(
        case_id="C-1042",
        stay=2,
        entered_at=MONDAY,
        timer="notify_reopened",
        kind="notify",
        audience="support",
        due_at=MONDAY,
        to=None,
    )


@requirement(
    "A10",
    "Update Received: When customers respond to a request for additional information, this Status "
    "notifies Support that you are waiting for us to process the new information and continue our "
    "investigation..",
)
def test_a_response_to_a_request_is_an_update_and_notifies_support(desk: Workflow) -> None:
    case = desk.apply(case_in("pending.customer_input"), "comment", by="customer", at=MONDAY)
    assert case.state == "update_received"
    assert due(desk, case, MONDAY) == Action(
        case_id="C-1042",
        stay=2,
        entered_at=MONDAY,
        timer="notify_update_received",
        kind="notify",
        audience="support",
        due_at=MONDAY,
        to=None,
    )


@requirement(
    "A11",
    "Closed: Your Case has been closed. If you are still experiencing the problem described in the Case "
    'or it has reoccurred, please use the "Clone Case" button to report any required work.',
)
def test_closed_is_final_and_the_way_on_is_a_clone(desk: Workflow) -> None:
    closed = case_in("closed", assignee="mira", history=())
    assert desk.allowed(closed, by="customer") == ("clone",)
    assert desk.allowed(closed, by="agent") == ("clone", "note")
    assert desk.apply(closed, "note", by="agent").state == "closed"
    assert settled_all(desk, closed, MONDAY + 3650 * DAY).state == "closed"

    original, clone = desk.clone(closed, "C-2", by="customer", at=MONDAY + DAY)
    assert (original.state, original.entered_at, original.stay) == ("closed", MONDAY, 1)
    assert original.clones == ("C-2",)
    assert clone == Case(
        id="C-2",
        status="new",
        entered_at=MONDAY + DAY,
        opened_at=MONDAY + DAY,
        policy="sub-status",
        cloned_from="C-1042",
    )


@requirement(
    "A12",
    "Auto-Close: Cases in Awaiting Customer Confirmation auto-close after 14 days; cases in Pending - "
    "Customer Input auto-close after 28 days.",
)
def test_an_answer_that_nobody_confirms_closes_after_14_days(desk: Workflow) -> None:
    answered = desk.apply(desk.open("C-1"), "respond", by="agent")
    told = desk.settle(answered, the_due(desk, answered, MONDAY), at=MONDAY)
    end = MONDAY + timedelta(days=14)
    assert due(desk, told, end - TICK) is None
    action = the_due(desk, told, end)
    assert (action.timer, action.due_at, action.to) == ("close_awaiting", end, "closed")
    assert desk.settle(told, action, at=end).state == "closed"


@requirement(
    "A13",
    "Auto-Close: Cases in Awaiting Customer Confirmation auto-close after 14 days; cases in Pending - "
    "Customer Input auto-close after 28 days.",
)
def test_a_question_that_nobody_answers_closes_after_28_days(desk: Workflow) -> None:
    asked = desk.apply(desk.open("C-1"), "pend", by="agent", sub_status="customer_input")
    asked = settled_all(desk, asked, MONDAY + timedelta(days=7))
    end = MONDAY + timedelta(days=28)
    assert due(desk, asked, end - TICK) is None
    action = the_due(desk, asked, end)
    assert (action.timer, action.due_at, action.to) == ("close_pending", end, "closed")
    assert desk.settle(asked, action, at=end).state == "closed"


@requirement(
    "A14",
    "Reminders: A reminder is sent to the customer after 7 days if a case is in Pending - Customer Input.",
)
def test_the_customer_is_reminded_once_after_7_days(desk: Workflow) -> None:
    asked = desk.apply(desk.open("C-1"), "pend", by="agent", sub_status="customer_input")
    after = MONDAY + timedelta(days=7)
    assert due(desk, asked, after - TICK) is None
    action = the_due(desk, asked, after)
    assert (action.timer, action.kind, action.audience) == ("remind_customer", "remind", "customer")
    assert (action.due_at, action.to) == (after, None)
    reminded = desk.settle(asked, action, at=after)
    assert [one.timer for one in desk.forecast(reminded, now=after)] == [
        "close_pending",
        "notify_closed",
    ]


@requirement(
    "A15",
    "Notifications: Customers receive immediate notifications for Awaiting Customer Confirmation and a "
    "notification one day after a case is Closed.",
)
def test_the_customer_is_notified_at_once_of_an_answer(desk: Workflow) -> None:
    answered = desk.apply(desk.open("C-1"), "respond", by="agent")
    action = the_due(desk, answered, MONDAY)
    assert (action.timer, action.kind, action.audience) == ("notify_awaiting", "notify", "customer")
    assert (action.due_at, action.to) == (MONDAY, None)


@requirement(
    "A16",
    "Notifications: Customers receive immediate notifications for Awaiting Customer Confirmation and a "
    "notification one day after a case is Closed.",
)
def test_the_customer_is_notified_one_day_after_the_case_was_closed(desk: Workflow) -> None:
    by_agent = desk.apply(desk.open("C-1"), "close", by="agent")
    confirmed = desk.apply(case_in("awaiting_customer_confirmation"), "confirm", by="customer")
    by_timer = settled_all(desk, case_in("pending.customer_input", MONDAY - 28 * DAY), MONDAY)
    for closed in (by_agent, confirmed, by_timer):
        assert (closed.state, closed.entered_at) == ("closed", MONDAY)
        assert due(desk, closed, MONDAY + DAY - TICK) is None
        action = the_due(desk, closed, MONDAY + DAY)
        assert (action.timer, action.kind, action.audience) == ("notify_closed", "notify", "customer")
        assert (action.due_at, action.to) == (MONDAY + DAY, None)


@requirement(
    "A17",
    "Automation and Notifications",
    "Auto-Close: Cases in Awaiting Customer Confirmation auto-close after 14 days; cases in Pending - "
    "Customer Input auto-close after 28 days.",
    "Reminders: A reminder is sent to the customer after 7 days if a case is in Pending - Customer Input.",
    "Notifications: Customers receive immediate notifications for Awaiting Customer Confirmation and a "
    "notification one day after a case is Closed.",
)
def test_nothing_else_has_a_timer(desk: Workflow) -> None:
    assert [
        Timed(state, timer.name, timer.kind, timer.audience, timer.after.nominal, timer.to)
        for state, schedule in desk.policy.schedules.items()
        for timer in schedule
    ] == sorted(TIMERS, key=lambda timed: (STATES.index(timed.state), timed.after))
    for state in WITHOUT_TIMERS:
        case = case_in(state)
        century = case.entered_at.replace(year=case.entered_at.year + 100)
        assert due(desk, case, century) is None
        assert desk.next_due(case) is None
        assert list(desk.forecast(case, now=century)) == []
        assert desk.explain(case, now=century) == ()
    assert {row.status for row in desk.cutoffs()} == {
        "pending",
        "awaiting_customer_confirmation",
        "reopened",
        "update_received",
        "closed",
    }


@requirement(
    "A18",
    "The Status field allows us to give customers (and staff) a quick indication of where the case "
    "stands at any particular moment.",
)
def test_every_status_carries_the_label_and_meaning_that_people_read(desk: Workflow) -> None:
    described = [
        *desk.policy.statuses.values(),
        *desk.policy.statuses["pending"].sub_statuses.values(),
    ]
    assert len(described) == 11
    for one in described:
        assert one.label == one.name.replace("_", " ").title()
        assert one.meaning is not None
        assert one.meaning.endswith(".")
    assert len({one.meaning for one in described}) == 11
    assert {state: desk.policy.described(state).waiting_on for state in STATES} == {
        "new": "support",
        "in_progress": "support",
        "pending.customer_input": "customer",
        "pending.development": "development",
        "pending.scheduled_support_service": "support",
        "pending.third_party_provider": "third_party",
        "awaiting_customer_confirmation": "customer",
        "reopened": "support",
        "update_received": "support",
        "closed": None,
    }


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


def stayed(state: str) -> Case:
    """A case in the middle of a stay, with a timer settled where there is one to settle."""
    timers = [timed.timer for timed in TIMERS if timed.state == state]
    settled: dict[str, Any] = {"settled": timers[0], "settled_at": MONDAY + DAY} if timers else {}
    return case_in(state, policy="sub-status", stay=5, assignee="mira", previous="new", **settled)


def test_the_hand_written_table_is_about_every_state_event_and_role(desk: Workflow) -> None:
    assert desk.policy.states == STATES
    assert sorted(desk.policy.events) == sorted(EVENTS)
    assert desk.policy.roles == ROLES
    found = list(outcomes())
    assert len(found) == 10 * 8 * 3
    assert sum(to is not None for *_, to in found) == sum(len(row.by) * len(row.from_) for row in ROWS) == 56


@pytest.mark.parametrize("state", STATES)
def test_every_row_does_what_the_table_says_and_all_else_is_refused(desk: Workflow, state: str) -> None:
    at = MONDAY + 2 * DAY
    for here, event, role, to in outcomes():
        if here != state:
            continue
        case = stayed(state)
        if to is None:
            with pytest.raises(EventRefused) as caught:
                desk.apply(case, event, by=role, at=at)
            refused = caught.value
            assert (refused.case_id, refused.event, refused.state, refused.by) == (
                "C-1042",
                event,
                state,
                role,
            )
            assert refused.permitted == permitted(state, role) == desk.allowed(case, by=role)
        elif event == "clone":
            original, _ = desk.clone(case, "C-2", by=role, at=at)
            stays_as_it_was(case, original, at)
        elif to == INTERNAL:
            stays_as_it_was(case, desk.apply(case, event, by=role, at=at), at)
        elif to == ASKED:
            for sub_status in SUB_STATUSES:
                after = desk.apply(case, event, by=role, at=at, sub_status=sub_status)
                begins_anew(case, after, f"pending.{sub_status}", at)
        else:
            begins_anew(case, desk.apply(case, event, by=role, at=at), to, at)


@pytest.mark.parametrize("state", STATES)
def test_what_is_allowed_is_what_the_table_says(desk: Workflow, state: str) -> None:
    case = stayed(state)
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
    assert after.assignee == "mira"
    (entry,) = after.history
    assert (entry.at, entry.from_state, entry.to_state, entry.stay) == (at, before.state, before.state, 5)


def begins_anew(before: Case, after: Case, to: str, at: datetime) -> None:
    """A new stay: number, clock and timers begin afresh."""
    assert (after.state, after.stay, after.entered_at) == (to, 6, at)
    assert (after.settled, after.settled_at) == (None, None)
    assert after.assignee == "mira"
    (entry,) = after.history
    assert (entry.at, entry.from_state, entry.to_state, entry.stay) == (at, before.state, to, 6)


def test_a_sub_status_is_taken_by_pend_alone(desk: Workflow) -> None:
    for state, event, role, to in outcomes():
        if to is not None and event not in ("pend", "clone"):
            with pytest.raises(MissingArgument):
                desk.apply(case_in(state), event, by=role, sub_status="development")


# --- every timer, to the microsecond -----------------------------------------


@pytest.mark.parametrize("timed", TIMERS, ids=lambda timed: timed.timer)
def test_a_timer_is_due_at_its_instant_and_not_a_microsecond_before(desk: Workflow, timed: Timed) -> None:
    before = [one.timer for one in TIMERS if one.state == timed.state and one.after < timed.after]
    settled: dict[str, Any] = (
        {"settled": before[-1], "settled_at": MONDAY + timed.after - 3 * TICK} if before else {}
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
    before = [one.timer for one in TIMERS if one.state == timed.state and one.after < timed.after]
    settled: dict[str, Any] = {"settled": before[-1], "settled_at": MONDAY} if before else {}
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
        assert [one.timer for one in desk.forecast(after, now=at)] == ["notify_closed"]


@pytest.mark.parametrize(
    "timed", [timed for timed in TIMERS if timed.state != "closed"], ids=lambda timed: timed.timer
)
def test_leaving_a_state_cancels_its_timers(desk: Workflow, timed: Timed) -> None:
    left = desk.apply(case_in(timed.state), "start", by="agent", at=MONDAY + timed.after)
    assert due(desk, left, MONDAY + 36_500 * DAY) is None


# --- what docs/conformance.md says of a long outage --------------------------


@pytest.mark.parametrize(
    ("state", "unsent", "closing"),
    [
        ("pending.customer_input", "remind_customer", "close_pending"),
        ("awaiting_customer_confirmation", "notify_awaiting", "close_awaiting"),
    ],
)
def test_after_an_outage_a_closure_passes_over_what_is_unsent_unless_notice_forbids_it(
    desk: Workflow, state: str, unsent: str, closing: str
) -> None:
    case = case_in(state)
    late = MONDAY + 60 * DAY
    action = the_due(desk, case, late)
    assert (action.timer, action.skipped) == (closing, (unsent,))

    warned = Workflow(desk.policy.override({"timers": {closing: {"notice": {"hours": 0}}}}))
    first = the_due(warned, case, late)
    assert (first.timer, first.skipped, first.to) == (unsent, (), None)
    told = warned.settle(case, first, at=late)
    assert the_due(warned, told, late).timer == closing
    assert [one.timer for one in warned.forecast(case, now=late)] == [unsent, closing, "notify_closed"]
