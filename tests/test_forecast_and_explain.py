"""What comes next: `next_due`, `forecast`, `explain` and `cutoffs`, on examples worked out by hand."""

from __future__ import annotations

import itertools
import pickle

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from builders import DAY, MONDAY, TICK, case_in, due, the_due
from casestate import Action, Change, Cutoff, Explanation, ManualClock, Workflow, load_policy


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LAST = datetime.max.replace(tzinfo=UTC)

# Three reminders a week apart, and a closure that keeps five days' distance from the last of them.
REMINDERS: Mapping[str, object] = MappingProxyType(
    {
        "format": 1,
        "name": "reminders",
        "initial": "waiting",
        "statuses": {"waiting": {}, "closed": {"closed": True}},
        "transitions": [{"event": "note", "by": "agent", "from": "*"}],
        "timers": {
            "remind": {
                "in": "waiting",
                "kind": "remind",
                "audience": "customer",
                "after": {"days": 7},
                "repeat": {"every": {"days": 7}, "times": 3},
                "notice": {"days": 2},
            },
            "close": {"in": "waiting", "after": {"days": 30}, "notice": {"days": 5}, "to": "closed"},
        },
    }
)
# A desk that passes a case on and on.
CIRCLE: Mapping[str, object] = MappingProxyType(
    {
        "format": 1,
        "name": "circle",
        "initial": "red",
        "statuses": {"red": {}, "green": {}},
        "transitions": [],
        "timers": {
            "go": {"in": "red", "after": {"hours": 2}, "to": "green"},
            "stop": {"in": "green", "after": {"hours": 3}, "to": "red"},
        },
    }
)


@pytest.fixture
def desk() -> Workflow:
    return Workflow(load_policy("sub-status"), clock=lambda: MONDAY)


@pytest.fixture
def reminders() -> Workflow:
    return Workflow(load_policy(REMINDERS), clock=lambda: MONDAY)


def outline(actions: Iterable[Action]) -> list[tuple[str, datetime, tuple[str, ...]]]:
    return [(action.timer, action.due_at, action.skipped) for action in actions]


# --- next_due ----------------------------------------------------------------


def test_the_next_timer_is_the_one_after_the_last_settled(desk: Workflow) -> None:
    case = case_in("pending.customer_input")
    assert desk.next_due(case) == MONDAY + 7 * DAY
    reminded = attrs.evolve(case, settled="remind_customer", settled_at=MONDAY + 20 * DAY)
    assert desk.next_due(reminded) == MONDAY + 28 * DAY
    assert desk.next_due(case_in("in_progress")) is None


def test_the_next_timer_may_be_overdue(desk: Workflow) -> None:
    reminded = case_in("pending.customer_input", settled="remind_customer", settled_at=MONDAY + 50 * DAY)
    assert desk.next_due(reminded) == MONDAY + 28 * DAY


def test_nothing_is_next_after_the_last_timer(desk: Workflow) -> None:
    told = case_in("closed", settled="notify_closed", settled_at=MONDAY + DAY)
    assert desk.next_due(told) is None
    assert due(desk, told, LAST) is None


def test_notice_puts_the_next_timer_off(reminders: Workflow) -> None:
    case = case_in("waiting", settled="remind", settled_at=MONDAY + 7 * DAY)
    assert reminders.next_due(case) == MONDAY + 14 * DAY
    late = attrs.evolve(case, settled_at=MONDAY + 13 * DAY)
    assert reminders.next_due(late) == MONDAY + 15 * DAY
    last = case_in("waiting", settled="remind#3", settled_at=MONDAY + 21 * DAY)
    assert reminders.next_due(last) == MONDAY + 30 * DAY
    last = attrs.evolve(last, settled_at=MONDAY + 26 * DAY)
    assert reminders.next_due(last) == MONDAY + 31 * DAY


def test_the_first_of_several_has_no_notice(reminders: Workflow) -> None:
    assert reminders.next_due(case_in("waiting")) == MONDAY + 7 * DAY
    assert [timer.notice is None for timer in reminders.policy.schedules["waiting"]] == [
        True,
        False,
        False,
        False,
    ]


def test_what_is_beyond_the_year_9999_is_never_next(desk: Workflow) -> None:
    edge = LAST - 7 * DAY
    assert desk.next_due(case_in("pending.customer_input", edge)) == LAST
    assert desk.next_due(case_in("pending.customer_input", edge + TICK)) is None
    assert due(desk, case_in("pending.customer_input", edge), LAST) is not None
    assert due(desk, case_in("pending.customer_input", edge + TICK), LAST) is None


# --- forecast ----------------------------------------------------------------


def test_a_forecast_follows_a_case_to_its_end(desk: Workflow) -> None:
    case = desk.apply(desk.open("C-1"), "pend", by="agent", sub_status="customer_input")
    closed_at = MONDAY + 28 * DAY
    assert list(desk.forecast(case)) == [
        Action(
            case_id="C-1",
            stay=2,
            entered_at=MONDAY,
            timer="remind_customer",
            kind="remind",
            audience="customer",
            due_at=MONDAY + 7 * DAY,
            to=None,
        ),
        Action(
            case_id="C-1",
            stay=2,
            entered_at=MONDAY,
            timer="close_pending",
            kind="close",
            audience=None,
            due_at=closed_at,
            to="closed",
        ),
        Action(
            case_id="C-1",
            stay=3,
            entered_at=closed_at,
            timer="notify_closed",
            kind="notify",
            audience="customer",
            due_at=closed_at + DAY,
            to=None,
        ),
    ]


def test_what_is_overdue_is_taken_as_settled_now(desk: Workflow) -> None:
    now = MONDAY + 100 * DAY
    case = case_in("pending.customer_input")
    assert outline(desk.forecast(case, now=now)) == [
        ("close_pending", MONDAY + 28 * DAY, ("remind_customer",)),
        ("notify_closed", now + DAY, ()),
    ]
    assert [action.entered_at for action in desk.forecast(case, now=now)] == [MONDAY, now]


def test_a_forecast_is_what_sweeps_at_those_instants_return(reminders: Workflow) -> None:
    case, now = case_in("waiting"), MONDAY + 16 * DAY
    found = []
    for action in reminders.forecast(case, now=now):
        if action.due_at > now:
            assert due(reminders, case, action.due_at - TICK) is None
        now = max(now, action.due_at)
        assert the_due(reminders, case, now) == action
        case = reminders.settle(case, action, at=now)
        found.append(action.timer)
    assert found == ["remind", "remind#2", "remind#3", "close"]


def test_notice_keeps_late_reminders_at_a_distance(reminders: Workflow) -> None:
    case = case_in("waiting")
    assert outline(reminders.forecast(case)) == [
        ("remind", MONDAY + 7 * DAY, ()),
        ("remind#2", MONDAY + 14 * DAY, ()),
        ("remind#3", MONDAY + 21 * DAY, ()),
        ("close", MONDAY + 30 * DAY, ()),
    ]
    late = MONDAY + 60 * DAY
    assert outline(reminders.forecast(case, now=late)) == [
        ("remind", MONDAY + 7 * DAY, ()),
        ("remind#2", late + 2 * DAY, ()),
        ("remind#3", late + 4 * DAY, ()),
        ("close", late + 9 * DAY, ()),
    ]


def test_a_forecast_is_empty_where_nothing_is_left(desk: Workflow) -> None:
    assert list(desk.forecast(case_in("new"))) == []
    told = case_in("closed", settled="notify_closed", settled_at=MONDAY)
    assert list(desk.forecast(told)) == []


def test_a_forecast_of_a_circle_is_endless_and_lazy() -> None:
    desk = Workflow(load_policy(CIRCLE), clock=lambda: MONDAY)
    actions = list(itertools.islice(desk.forecast(case_in("red")), 1000))
    assert [action.timer for action in actions[:3]] == ["go", "stop", "go"]
    assert [action.kind for action in actions[:2]] == ["move", "move"]
    assert actions[-1].due_at == MONDAY + timedelta(hours=5 * 500)
    assert actions[-1].stay == 1000


def test_a_forecast_ends_with_time_itself(desk: Workflow) -> None:
    circle = Workflow(load_policy(CIRCLE))
    edge = LAST - timedelta(hours=7)
    assert outline(circle.forecast(case_in("red", edge), now=edge)) == [
        ("go", edge + timedelta(hours=2), ()),
        ("stop", edge + timedelta(hours=5), ()),
        ("go", LAST, ()),
    ]
    assert outline(
        desk.forecast(case_in("pending.customer_input", LAST - 28 * DAY), now=LAST - 28 * DAY)
    ) == [
        ("remind_customer", LAST - 21 * DAY, ()),
        ("close_pending", LAST, ()),
    ]


def test_a_forecast_changes_no_case(desk: Workflow) -> None:
    case = case_in("pending.customer_input")
    before = case.to_dict()
    list(desk.forecast(case, now=MONDAY + 100 * DAY))
    assert case.to_dict() == before


def test_a_forecast_asks_the_clock_if_it_is_not_told_from_when() -> None:
    clock = ManualClock(MONDAY)
    desk = Workflow(load_policy("sub-status"), clock=clock)
    clock.advance(days=100)
    actions = desk.forecast(case_in("pending.customer_input"))
    clock.advance(days=100)
    assert outline(actions)[-1] == ("notify_closed", MONDAY + 101 * DAY, ())


# --- explain -----------------------------------------------------------------


def explained(desk: Workflow, case: Any, now: datetime) -> list[tuple[str, str, datetime | None, str]]:  # noqa: ANN401
    return [(one.timer, one.verdict, one.due_at, one.sentence) for one in desk.explain(case, now=now)]


def test_each_timer_of_the_state_is_explained(desk: Workflow) -> None:
    assert desk.explain(case_in("pending.customer_input")) == (
        Explanation(
            timer="remind_customer",
            kind="remind",
            verdict="waiting",
            due_at=MONDAY + 7 * DAY,
            sentence="remind_customer waits until 2026-03-09T09:30:15.250000Z.",
        ),
        Explanation(
            timer="close_pending",
            kind="close",
            verdict="waiting",
            due_at=MONDAY + 28 * DAY,
            sentence=("close_pending waits until 2026-03-30T09:30:15.250000Z, and moves the case to closed."),
        ),
    )
    assert desk.explain(case_in("in_progress")) == ()


def test_an_explanation_reads_as_its_sentence_and_can_be_pickled(desk: Workflow) -> None:
    first, _ = desk.explain(case_in("pending.customer_input"))
    assert str(first) == first.sentence == f"{first}"
    assert pickle.loads(pickle.dumps(first)) == first  # noqa: S301 - our own bytes
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.verdict = "due"  # type: ignore[misc]


def test_a_timer_is_due_from_its_instant_on(desk: Workflow) -> None:
    case, end = case_in("pending.customer_input"), MONDAY + 7 * DAY
    assert [one.verdict for one in desk.explain(case, now=end - TICK)] == ["waiting", "waiting"]
    assert explained(desk, case, end) == [
        ("remind_customer", "due", end, "remind_customer is due since 2026-03-09T09:30:15.250000Z."),
        (
            "close_pending",
            "waiting",
            MONDAY + 28 * DAY,
            "close_pending waits until 2026-03-30T09:30:15.250000Z, and moves the case to closed.",
        ),
    ]


def test_what_a_further_action_passes_over_is_said(desk: Workflow) -> None:
    assert explained(desk, case_in("pending.customer_input"), MONDAY + 30 * DAY) == [
        (
            "remind_customer",
            "passed_over",
            MONDAY + 7 * DAY,
            "remind_customer is passed over: close_pending is due as well, and further on.",
        ),
        (
            "close_pending",
            "due",
            MONDAY + 28 * DAY,
            "close_pending is due since 2026-03-30T09:30:15.250000Z, and moves the case to closed.",
        ),
    ]


def test_what_has_been_settled_is_said_with_its_instant(desk: Workflow) -> None:
    case = case_in("pending.customer_input")
    at = MONDAY + 8 * DAY
    reminded = desk.settle(case, the_due(desk, case, at), at=at)
    assert explained(desk, reminded, at)[0] == (
        "remind_customer",
        "settled",
        MONDAY + 7 * DAY,
        "remind_customer has been settled at 2026-03-10T09:30:15.250000Z.",
    )
    closed = case_in("closed", settled="notify_closed", settled_at=at)
    assert explained(desk, closed, at) == [
        (
            "notify_closed",
            "settled",
            MONDAY + DAY,
            "notify_closed has been settled at 2026-03-10T09:30:15.250000Z.",
        )
    ]


def test_what_was_passed_over_in_this_stay_is_known_from_the_history() -> None:
    desk = Workflow(load_policy(REMINDERS).override({"timers": {"remind": {"notice": False}}}))
    at = MONDAY + 22 * DAY
    case = case_in("waiting")
    case = desk.settle(case, the_due(desk, case, at), at=at)
    assert case.history[-1].detail == ("remind", "remind#2")
    assert [(one.timer, one.verdict, one.sentence) for one in desk.explain(case, now=at)][:3] == [
        ("remind", "passed_over", "remind was passed over for remind#3."),
        ("remind#2", "passed_over", "remind#2 was passed over for remind#3."),
        ("remind#3", "settled", "remind#3 has been settled at 2026-03-24T09:30:15.250000Z."),
    ]
    kept_elsewhere = attrs.evolve(case, history=())
    assert [one.verdict for one in desk.explain(kept_elsewhere, now=at)][:3] == ["settled"] * 3
    assert desk.explain(kept_elsewhere, now=at)[0].sentence == "remind has been settled."


def test_what_was_passed_over_in_another_stay_or_by_somebody_else_does_not_count() -> None:
    desk = Workflow(load_policy(REMINDERS))
    passed = Change(
        at=MONDAY,
        event="remind#3",
        by="system",
        from_state="waiting",
        to_state="waiting",
        stay=3,
        detail=("remind", "remind#2"),
    )
    case = case_in("waiting", stay=3, settled="remind#3", settled_at=MONDAY, history=(passed,))
    assert [one.verdict for one in desk.explain(case)][:3] == ["passed_over", "passed_over", "settled"]
    for change in (
        attrs.evolve(passed, stay=2),
        attrs.evolve(passed, by="agent"),
        attrs.evolve(passed, detail="remind, remind#2"),
    ):
        other = attrs.evolve(case, history=(change,))
        assert [one.verdict for one in desk.explain(other)][:3] == ["settled"] * 3


def test_what_notice_holds_back_is_said_with_what_it_waits_for(reminders: Workflow) -> None:
    assert explained(reminders, case_in("waiting"), MONDAY + 60 * DAY) == [
        ("remind", "due", MONDAY + 7 * DAY, "remind is due since 2026-03-09T09:30:15.250000Z."),
        (
            "remind#2",
            "held_back",
            None,
            "remind#2 is held back: remind#2 comes at the earliest 2 days after remind has been settled.",
        ),
        (
            "remind#3",
            "held_back",
            None,
            "remind#3 is held back: remind#2 comes at the earliest 2 days after remind has been settled.",
        ),
        (
            "close",
            "held_back",
            None,
            "close is held back: remind#2 comes at the earliest 2 days after remind has been settled.",
        ),
    ]


def test_what_is_held_back_names_the_notice_that_is_next_on_its_way(reminders: Workflow) -> None:
    case = case_in("waiting", settled="remind", settled_at=MONDAY + 7 * DAY)
    held = "is held back: remind#3 comes at the earliest 2 days after remind#2 has been settled."
    assert [(one.verdict, one.sentence) for one in reminders.explain(case, now=MONDAY + 60 * DAY)][1:] == [
        ("due", "remind#2 is due since 2026-03-16T09:30:15.250000Z."),
        ("held_back", f"remind#3 {held}"),
        ("held_back", f"close {held}"),
    ]


def test_what_notice_holds_back_from_a_settled_timer_has_an_instant(reminders: Workflow) -> None:
    settled_at = MONDAY + 59 * DAY
    case = case_in("waiting", settled="remind#3", settled_at=settled_at)
    until = settled_at + 5 * DAY
    assert explained(reminders, case, until - TICK)[3] == (
        "close",
        "held_back",
        until,
        "close is held back until 2026-05-05T09:30:15.250000Z, 5 days after remind#3 was settled.",
    )
    assert explained(reminders, case, until)[3] == (
        "close",
        "due",
        until,
        "close is due since 2026-05-05T09:30:15.250000Z, and moves the case to closed.",
    )


def test_a_timer_waits_rather_than_is_held_back_until_it_is_due_by_the_entry(reminders: Workflow) -> None:
    case = case_in("waiting", settled="remind", settled_at=MONDAY + 13 * DAY)
    entry = MONDAY + 14 * DAY
    assert [one.verdict for one in reminders.explain(case, now=entry - TICK)][1] == "waiting"
    assert [one.verdict for one in reminders.explain(case, now=entry)][1] == "held_back"
    assert [one.verdict for one in reminders.explain(case, now=entry + DAY)][1] == "due"


def test_a_timer_beyond_the_year_9999_never_comes_due(desk: Workflow) -> None:
    edge = LAST - 10 * DAY
    assert explained(desk, case_in("pending.customer_input", edge), LAST) == [
        (
            "remind_customer",
            "due",
            edge + 7 * DAY,
            "remind_customer is due since 9999-12-28T23:59:59.999999Z.",
        ),
        (
            "close_pending",
            "waiting",
            None,
            "close_pending never comes due: that would be beyond the year 9999.",
        ),
    ]


def test_notice_beyond_the_year_9999_holds_back_for_ever(reminders: Workflow) -> None:
    settled_at = LAST - 4 * DAY
    case = case_in("waiting", settled="remind#3", settled_at=settled_at)
    assert reminders.next_due(case) is None
    assert due(reminders, case, LAST) is None
    assert explained(reminders, case, LAST)[3][1:] == (
        "waiting",
        None,
        "close never comes due: that would be beyond the year 9999.",
    )
    assert list(reminders.forecast(case, now=LAST)) == []


def test_explaining_asks_the_clock_if_it_is_not_told_when() -> None:
    clock = ManualClock(MONDAY + 7 * DAY)
    desk = Workflow(load_policy("sub-status"), clock=clock)
    case = case_in("pending.customer_input")
    assert desk.explain(case)[0].verdict == "due"
    clock.advance(days=21)
    assert [one.verdict for one in desk.explain(case)] == ["passed_over", "due"]


# --- cutoffs -----------------------------------------------------------------


def test_the_cutoffs_of_a_document_are_a_short_table() -> None:
    desk = Workflow(load_policy("open-resolved"))

    def row(status: str, settled: str | None, timer: str, until: datetime, **more: str | None) -> Cutoff:
        kind, audience, to = (
            ("close", None, "closed") if timer.startswith("close") else ("notify", "customer", None)
        )
        return Cutoff(
            status=status,
            sub_status=None,
            settled=settled,
            timer=timer,
            kind=kind,
            audience=audience,
            to=to,
            entered_until=until,
            **more,  # type: ignore[arg-type]
        )

    assert desk.cutoffs(MONDAY) == (
        row("pending_customer", None, "close_pending", MONDAY - 14 * DAY),
        row("pending_customer", None, "notify_pending", MONDAY),
        row("pending_customer", "notify_pending", "close_pending", MONDAY - 14 * DAY),
        row("resolved", None, "close_resolved", MONDAY - 7 * DAY),
    )
    assert Workflow(load_policy("open-resolved"), clock=lambda: MONDAY).cutoffs() == desk.cutoffs(MONDAY)


def test_the_cutoffs_name_the_sub_status_and_what_is_to_be_sent(desk: Workflow) -> None:
    rows = [row for row in desk.cutoffs(MONDAY) if row.status == "pending"]
    assert [
        (row.sub_status, row.settled, row.timer, row.kind, row.audience, row.to, row.entered_until)
        for row in rows
    ] == [
        ("customer_input", None, "close_pending", "close", None, "closed", MONDAY - 28 * DAY),
        ("customer_input", None, "remind_customer", "remind", "customer", None, MONDAY - 7 * DAY),
        ("customer_input", "remind_customer", "close_pending", "close", None, "closed", MONDAY - 28 * DAY),
    ]
    assert [row.settled_until for row in rows] == [None] * 3


def test_notice_is_a_second_cutoff_and_ends_what_can_be_reached(reminders: Workflow) -> None:
    assert [
        (row.settled, row.timer, row.entered_until, row.settled_until) for row in reminders.cutoffs(MONDAY)
    ] == [
        (None, "remind", MONDAY - 7 * DAY, None),
        ("remind", "remind#2", MONDAY - 14 * DAY, MONDAY - 2 * DAY),
        ("remind#2", "remind#3", MONDAY - 21 * DAY, MONDAY - 2 * DAY),
        ("remind#3", "close", MONDAY - 30 * DAY, MONDAY - 5 * DAY),
    ]


def test_cutoffs_before_the_year_1_are_left_out(desk: Workflow, reminders: Workflow) -> None:
    early = datetime(1, 1, 3, tzinfo=UTC)
    assert {(row.timer, row.entered_until) for row in desk.cutoffs(early)} == {
        ("notify_reopened", early),
        ("notify_update_received", early),
        ("notify_awaiting", early),
        ("notify_closed", early - DAY),
    }
    assert reminders.cutoffs(early) == ()
