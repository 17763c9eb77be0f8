"""Replay: what would have come due, what became of the cases, other lengths, and who may do what happened."""

from __future__ import annotations

import json

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from hypothesis import assume, given
from hypothesis import strategies as st

import replay_reference as naive

from builders import DAY, MONDAY, TICK, case_in, due
from casestate import (
    CasestateError,
    InstantError,
    LogError,
    NaiveTimeError,
    Policy,
    PolicyError,
    Workflow,
    load_policy,
    testing,
)
from casestate.log import Reading, read
from casestate.replay import (
    Beginning,
    Closures,
    LogValue,
    Move,
    PastAction,
    Refusal,
    Replay,
    TimeInState,
    Watch,
    WhatIf,
    ask,
    replay,
    reply_curve,
    rounded,
    summarize,
    what_if,
)
from casestate.schedule import schedules
from curves import check_with_scipy, rough


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from casestate.log import Restart

ANY: Any = replay
"""`replay` for those who give it what its types forbid."""
Row = tuple[str, datetime, str]


@pytest.fixture
def desk() -> Workflow:
    return Workflow(load_policy("sub-status"))


@pytest.fixture
def other() -> Workflow:
    return Workflow(load_policy("open-resolved"))


@pytest.fixture
def warned() -> Workflow:
    """A desk that reminds after a week and closes after 28 days, a week after the reminder at least."""
    return Workflow(
        load_policy(
            {
                "format": 1,
                "name": "warned",
                "initial": "waiting",
                "statuses": {"waiting": {}, "working": {}, "closed": {"closed": True}},
                "timers": {
                    "hello": {"in": "waiting", "kind": "notify", "after": {"days": 0}},
                    "remind": {"in": "waiting", "kind": "remind", "after": {"days": 7}},
                    "close": {"in": "waiting", "after": {"days": 28}, "notice": {"days": 7}, "to": "closed"},
                },
            }
        )
    )


def log(*told: str, case: str = "1") -> list[Row]:
    """Rows of a case, each told by the days since Monday and a state: ``"1.5 pending.customer_input"``."""
    return [(case, MONDAY + float(each.split()[0]) * DAY, each.split()[1]) for each in told]


def fired(found: Replay) -> list[str]:
    """The actions, each by its stay, its timer and the days since Monday at which it was due."""
    return [f"{act.stay} {act.timer} {(act.due_at - MONDAY) / DAY:g}" for act in found.actions]


# --- actions -----------------------------------------------------------------------------


def test_an_action_says_what_was_due_and_how_its_stay_really_ended(desk: Workflow) -> None:
    found = replay(log("0 new", "1 pending.customer_input", "9 update_received", case="C-1"), desk)
    assert found.actions == [
        PastAction(
            case_id="C-1",
            stay=2,
            timer="remind_customer",
            kind="remind",
            entered_at=MONDAY + DAY,
            due_at=MONDAY + 8 * DAY,
            left_at=MONDAY + 9 * DAY,
            left_to="update_received",
        ),
        PastAction(
            case_id="C-1",
            stay=3,
            timer="notify_update_received",
            kind="notify",
            entered_at=MONDAY + 9 * DAY,
            due_at=MONDAY + 9 * DAY,
            left_at=None,
            left_to=None,
        ),
    ]
    assert found.actions[0].to_dict() == {
        "case_id": "C-1",
        "stay": 2,
        "timer": "remind_customer",
        "kind": "remind",
        "entered_at": "2026-03-03T09:30:15.250000Z",
        "due_at": "2026-03-10T09:30:15.250000Z",
        "left_at": "2026-03-11T09:30:15.250000Z",
        "left_to": "update_received",
    }
    assert found.actions[1].to_dict()["left_at"] is None


@pytest.mark.parametrize(("late", "closes"), [(-TICK, False), (timedelta(0), False), (TICK, True)])
def test_at_the_same_instant_the_event_wins(desk: Workflow, late: timedelta, closes: bool) -> None:  # noqa: FBT001 - a parameter
    entered = MONDAY
    left = entered + 14 * DAY + late
    rows = [("1", entered, "awaiting_customer_confirmation"), ("1", left, "reopened")]
    timers = [act.timer for act in replay(rows, desk).actions]
    assert timers == ["notify_awaiting", *["close_awaiting"] * closes, "notify_reopened"]


def test_what_is_due_at_once_does_not_fire_in_a_stay_that_ends_at_once(desk: Workflow) -> None:
    rows = log("0 awaiting_customer_confirmation", "0 reopened", "0 in_progress", "1 new")
    assert fired(replay(rows, desk)) == []
    rows = log("0 awaiting_customer_confirmation", "0 reopened")
    assert fired(replay(rows, desk)) == ["2 notify_reopened 0"]


@pytest.mark.parametrize(("early", "closes"), [(TICK, False), (timedelta(0), True), (-TICK, True)])
def test_a_stay_without_an_end_is_watched_to_the_horizon_inclusive(
    desk: Workflow,
    early: timedelta,
    closes: bool,  # noqa: FBT001 - a parameter
) -> None:
    horizon = MONDAY + 28 * DAY - early
    rows = log("0 pending.customer_input")
    timers = [act.timer for act in replay(rows, desk, horizon=horizon).actions]
    assert timers == ["remind_customer", *["close_pending"] * closes]
    # Of another case, the last row of the log does the same; so does one that is ignored.
    mapping = {"statuses": {"x": "ignore", "pending.customer_input": "pending.customer_input"}}
    for case in ("1", "2"):
        found = replay([*rows, (case, horizon, "x")], desk, mapping=mapping)
        assert (found.summary.horizon, [act.timer for act in found.actions]) == (horizon, timers)


def test_rows_after_the_horizon_count_all_the_same(desk: Workflow) -> None:
    rows = log("0 pending.customer_input", "8 update_received", "20 awaiting_customer_confirmation")
    found = replay(rows, desk, horizon=MONDAY + 5 * DAY)
    assert fired(found) == ["1 remind_customer 7", "2 notify_update_received 8"]
    assert (found.summary.horizon, found.summary.last) == (MONDAY + 5 * DAY, MONDAY + 20 * DAY)


def test_a_row_that_cannot_be_read_does_not_move_the_horizon(desk: Workflow) -> None:
    rows: list[object] = [*log("0 pending.customer_input", "6 new"), ("1", MONDAY + 99 * DAY, None)]
    found = replay(rows, desk, on_error=lambda *_: None)
    assert found.summary.horizon == MONDAY + 6 * DAY
    assert (found.summary.rows, found.summary.bad_rows) == (3, 1)


def test_the_timers_of_a_stay_fire_one_by_one(warned: Workflow) -> None:
    found = replay(log("0 waiting", "40 working"), warned)
    assert fired(found) == ["1 hello 0", "1 remind 7", "1 close 28"]
    late = Workflow(warned.policy.override({"timers": {"remind": {"after": {"days": 25}}}}))
    assert fired(replay(log("0 waiting", "40 working"), late)) == ["1 hello 0", "1 remind 25", "1 close 32"]
    assert fired(replay(log("0 waiting", "32 working"), late)) == ["1 hello 0", "1 remind 25"]


def test_a_timer_in_a_closed_state_fires_too(desk: Workflow) -> None:
    assert fired(replay(log("0 closed", "2 reopened"), desk)) == ["1 notify_closed 1", "2 notify_reopened 2"]


def test_a_case_that_begins_closed_is_replayed_as_it_is(desk: Workflow) -> None:
    found = replay(log("0 closed", "0.5 in_progress"), desk)
    assert fired(found) == []
    assert found.summary.beginnings == (Beginning(state="closed", cases=1, allowed=False),)


def test_with_touch_every_repeated_row_starts_the_timers_again(desk: Workflow) -> None:
    rows = log("0 pending.customer_input", "6 pending.customer_input", "14 new")
    assert fired(replay(rows, desk)) == ["1 remind_customer 7"]
    assert fired(replay(rows, desk, restart="touch")) == ["2 remind_customer 13"]


def test_nothing_is_applied_and_the_result_says_since_when_it_is_counterfactual(desk: Workflow) -> None:
    rows = log(
        "0 pending.customer_input",
        "30 awaiting_customer_confirmation",
        "50 reopened",
    )
    found = replay(rows, desk, horizon=MONDAY + 50 * DAY)
    assert fired(found) == [
        "1 remind_customer 7",
        "1 close_pending 28",
        "2 notify_awaiting 30",
        "2 close_awaiting 44",
        "3 notify_reopened 50",
    ]
    assert found.departures == {"1": MONDAY + 28 * DAY}
    assert found.summary.counterfactual_cases == 1
    assert found.summary.counterfactual_actions == 3


def test_a_timer_that_moves_a_case_without_closing_it_makes_its_past_counterfactual_too() -> None:
    desk = Workflow(
        load_policy(
            {
                "format": 1,
                "name": "desk",
                "initial": "new",
                "statuses": {"new": {}, "stale": {}},
                "timers": {"age": {"in": "new", "after": {"days": 3}, "to": "stale"}},
            }
        )
    )
    found = replay(log("0 new", "5 stale", "6 new", "9.5 stale"), desk)
    assert fired(found) == ["1 age 3", "3 age 9"]
    assert {act.kind for act in found.actions} == {"move"}
    assert found.departures == {"1": MONDAY + 3 * DAY}
    assert (found.summary.counterfactual_cases, found.summary.counterfactual_actions) == (1, 1)
    assert found.summary.closures == ()


def test_actions_stand_by_case_as_the_log_names_them_by_stay_and_by_timer(desk: Workflow) -> None:
    rows = [
        *log("5 reopened", case="b"),
        *log("0 pending.customer_input", "40 reopened", case="a"),
        *log("1 reopened", "2 closed", "4 new", case="b"),
    ]
    assert [(act.case_id, act.stay, act.timer) for act in replay(rows, desk).actions] == [
        ("b", 1, "notify_reopened"),
        ("b", 2, "notify_closed"),
        ("b", 4, "notify_reopened"),
        ("a", 1, "remind_customer"),
        ("a", 1, "close_pending"),
        ("a", 2, "notify_reopened"),
    ]


def test_calendar_days_are_those_of_the_policy_not_of_the_log(other: Workflow) -> None:
    policy = other.policy.override(
        {"calendar": {"zone": "Europe/Rome"}, "timers": {"close_resolved": {"after": {"calendar_days": 15}}}}
    )
    rows = [("1", "2012-10-25T12:54:26", "resolved"), ("1", "2012-11-20T00:00", "closed")]
    (act,) = replay(rows, Workflow(policy), zone="UTC").actions
    assert act.due_at == datetime(2012, 11, 9, 13, 54, 26, tzinfo=UTC)


# --- against others ----------------------------------------------------------------------


@given(data=st.data())
def test_the_actions_are_those_of_a_naive_replay(data: st.DataObject) -> None:
    policy = data.draw(testing.policies() | st.sampled_from([load_policy("sub-status")]))
    restart: Restart = data.draw(st.sampled_from(["change", "touch"]))
    rows, mapping = data.draw(testing.status_logs(policy, text=data.draw(st.booleans())))
    past = naive.read(rows, mapping, policy.states, touch=restart == "touch")
    late = data.draw(st.sampled_from([None, timedelta(0), TICK, -TICK, -9 * DAY, 90 * DAY]))
    horizon = past.last + (late or timedelta(0))
    found = replay(
        rows, Workflow(policy), mapping=mapping, restart=restart, horizon=None if late is None else horizon
    )
    reference = naive.Desk(policy.to_dict())
    assert [attrs.astuple(act) for act in found.actions] == [
        tuple(vars(act).values()) for act in reference.actions(past, horizon)
    ]
    assert found.departures == reference.moved(past, horizon)
    assert found.summary.horizon == horizon
    assert {
        (closures.timer, outcome): getattr(closures, outcome)
        for closures in found.summary.closures
        for outcome in ("nothing_more", "worked_on_again", "resolved")
        if getattr(closures, outcome)
    } == reference.closures(past, horizon)


def driven(
    desk: Workflow, state: str, entered_at: datetime, left_at: datetime | None, horizon: datetime
) -> Iterator[tuple[str, datetime]]:
    """What sweeps at every due instant return for a case in a stay, each settled at once."""
    case = case_in(state, entered_at)
    now = entered_at
    while (next_due := desk.next_due(case)) is not None:
        now = max(now, next_due)
        if now > horizon if left_at is None else now >= left_at:
            return
        action = due(desk, case, now)
        assert action is not None
        yield from ((timer, now) for timer in (*action.skipped, action.timer))
        case = desk.settle(case, action, at=now)
        if action.to is not None:
            return


@given(data=st.data())
def test_the_actions_of_a_stay_are_those_of_a_workflow_that_is_really_driven(data: st.DataObject) -> None:
    """What ties is passed over by a sweep, and stands among the actions all the same."""
    policy = data.draw(testing.policies())
    desk = Workflow(policy)
    rows, mapping = data.draw(testing.status_logs(policy))
    horizon = max(row[Reading(policy, mapping).columns(rows[0])["at"]] for row in rows)
    horizon += data.draw(st.sampled_from([timedelta(0), 20 * DAY]))
    reading = Reading(policy, mapping)
    found = replay(rows, desk, mapping=mapping, horizon=horizon)
    expected: list[tuple[str, int, str, datetime]] = []
    for case, stays in read(rows, desk, reading).stays.items():
        ends = [stay.entered_at for stay in stays[1:]]
        for stay, left_at in zip(stays, [*ends, None], strict=True):
            expected += [
                (case, stay.number, *each)
                for each in driven(desk, stay.state, stay.entered_at, left_at, horizon)
            ]
    assert [(act.case_id, act.stay, act.timer, act.due_at) for act in found.actions] == expected


@given(data=st.data())
def test_what_a_desk_has_really_settled_would_have_fired(data: st.DataObject) -> None:
    """All of it but what fell on the very instant at which the stay was left: then the event wins."""
    policy = data.draw(testing.policies() | st.sampled_from([load_policy("sub-status")]))
    case = data.draw(testing.histories(policy))
    found = replay([case], Workflow(policy))
    acts = {(act.stay, act.timer): act for act in found.actions}
    table = schedules(policy)
    (stays,) = read([case], Workflow(policy), Reading(policy)).stays.values()
    left_at = {stay.number: later.entered_at for stay, later in pairwise(stays)}
    began = {stay.number: stay for stay in stays}
    for change in case.history:
        number = change.stay - (change.from_state != change.to_state)
        timers = [timer.name for timer in table[change.from_state].timers]
        if change.by != "system" or change.event not in timers or change.event in policy.events:
            continue
        due_at = list(table[change.from_state].firings(began[number].entered_at))[timers.index(change.event)]
        assert due_at <= change.at
        assert ((number, change.event) in acts) == (number not in left_at or due_at < left_at[number])


@given(data=st.data())
def test_cases_replay_as_the_status_log_of_their_lives(data: st.DataObject) -> None:
    policy = data.draw(testing.policies() | st.sampled_from([load_policy("open-resolved")]))
    desk = Workflow(policy)
    cases = [
        attrs.evolve(case, id=f"C-{number}")
        for number, case in enumerate(data.draw(st.lists(testing.histories(policy), min_size=1, max_size=3)))
    ]
    from_cases = replay(cases, desk)
    past = read(cases, desk, Reading(policy)).stays
    rows = [(case, stay.entered_at, stay.state) for case, stays in past.items() for stay in stays]
    from_rows = replay(rows, desk, restart="touch", horizon=from_cases.summary.horizon)
    assert from_rows.actions == from_cases.actions
    assert from_rows.departures == from_cases.departures
    same = ("cases", "stays", "timers", "closures", "moves", "times", "replies", "beginnings")
    for name in same:
        assert getattr(from_rows.summary, name) == getattr(from_cases.summary, name)
    assert from_cases.summary.horizon == max(case.changed_at for case in cases)


# --- what became of them -----------------------------------------------------------------


def test_what_became_of_the_cases_that_a_timer_would_have_been_the_first_to_close(desk: Workflow) -> None:
    waiting = "0 pending.customer_input"
    rows = [
        *log(waiting, case="nothing more, still there"),
        *log(waiting, "28 closed", case="closed at that very instant: an event"),
        *log(waiting, "29 closed", case="resolved without more work"),
        *log(waiting, "29 awaiting_customer_confirmation", "60 closed", case="resolved, closed twice"),
        *log(waiting, "29 in_progress", case="worked on"),
        *log(waiting, "29 closed", "80 reopened", case="worked on, years later"),
        *log("0 awaiting_customer_confirmation", "15 in_progress", "16 pending.customer_input", case="once"),
        *log("0 in_progress", "99 closed", case="never closed"),
    ]
    found = replay(rows, desk)
    assert found.summary.closures == (
        Closures(timer="close_awaiting", cases=1, nothing_more=0, worked_on_again=1, resolved=0),
        Closures(timer="close_pending", cases=5, nothing_more=1, worked_on_again=2, resolved=2),
    )
    assert len(found.departures) == 6


def test_time_in_state_is_told_by_quantiles_of_the_stays_that_ended(desk: Workflow) -> None:
    rows = [row for number in range(1, 11) for row in log("0 new", f"{number} in_progress", case=str(number))]
    found = replay(rows, desk)
    new, in_progress = found.summary.times
    assert new == TimeInState(
        state="new",
        ended=10,
        still=0,
        quantiles={0.1: 1 * DAY, 0.25: 3 * DAY, 0.5: 5 * DAY, 0.75: 8 * DAY, 0.9: 9 * DAY},
    )
    assert in_progress == TimeInState(state="in_progress", ended=0, still=10, quantiles={})


@given(seconds=st.lists(st.integers(0, 10**9), min_size=1, max_size=40))
def test_quantiles_are_those_of_a_sorted_list(seconds: list[int]) -> None:
    desk = Workflow(load_policy("sub-status"))
    rows = [
        row
        for number, each in enumerate(seconds)
        for row in (
            (str(number), MONDAY, "new"),
            (str(number), MONDAY + timedelta(seconds=each), "in_progress"),
        )
    ]
    new = replay(rows, desk).summary.times[0]
    ordered = sorted(rough(timedelta(seconds=each)) for each in seconds)
    tenths = {0.1: (1, 10), 0.25: (1, 4), 0.5: (1, 2), 0.75: (3, 4), 0.9: (9, 10)}
    assert new.ended == len(seconds)
    assert new.quantiles == {
        # The least length that at least such a share of the stays did not outlast.
        share: timedelta(
            seconds=next(x for x in ordered if below * sum(y <= x for y in ordered) >= above * len(ordered))
        )
        for share, (above, below) in tenths.items()
    }


@pytest.mark.parametrize(
    ("length", "seconds"),
    [
        (timedelta(0), 0),
        (TICK, 1),
        (timedelta(seconds=999), 999),
        (timedelta(seconds=999) + TICK, 1_000),
        (timedelta(seconds=1_001), 1_010),
        (timedelta(seconds=10_001), 10_020),
        (timedelta(seconds=100_001), 100_200),
        (timedelta(seconds=1_000_001), 1_000_800),
        (timedelta(seconds=10_000_001), 10_000_800),
        (timedelta(days=400), 400 * 86_400),
        (timedelta(days=-3), 0),
    ],
)
def test_durations_are_rounded_up(length: timedelta, seconds: int) -> None:
    assert rounded(length) == seconds


@given(micros=st.integers(0, 10**17))
def test_durations_are_rounded_up_by_at_most_a_hundredth(micros: int) -> None:
    length = micros * TICK
    assert rounded(length) == rough(length)
    assert length <= timedelta(seconds=rounded(length)) <= max(length * 1.01, length + timedelta(seconds=1))


# --- the summary ---------------------------------------------------------------------------


@given(data=st.data())
def test_the_counts_of_a_summary_add_up(data: st.DataObject) -> None:
    policy = data.draw(testing.policies() | st.sampled_from([load_policy("sub-status")]))
    rows, mapping = data.draw(testing.status_logs(policy))
    bad: list[object] = data.draw(st.lists(st.sampled_from([None, "x", ()]), max_size=2))
    found = replay([*bad, *rows], Workflow(policy), mapping=mapping, on_error=lambda *_: None)
    summary = found.summary
    assert summary.rows == len(rows) + len(bad)
    assert summary.bad_rows == len(bad)
    assert sum(value.rows for value in summary.values) == len(rows)
    assert sum(timer.actions for timer in summary.timers) == len(found.actions)
    for timer in summary.timers:
        acts = [act for act in found.actions if act.timer == timer.timer]
        assert timer.months == Counter(f"{act.due_at:%Y-%m}" for act in acts)
        assert {act.kind for act in acts} <= {timer.kind}
        assert list(timer.months) == sorted(timer.months)
    assert sum(time.ended + time.still for time in summary.times) == summary.stays
    assert sum(time.still for time in summary.times) == summary.cases
    assert sum(move.count for move in summary.moves) == summary.stays - summary.cases
    assert sum(beginning.cases for beginning in summary.beginnings) == summary.cases
    for closures in summary.closures:
        assert closures.cases == closures.nothing_more + closures.worked_on_again + closures.resolved
    assert sum(closures.cases for closures in summary.closures) <= summary.counterfactual_cases
    assert summary.counterfactual_cases == len(found.departures) <= summary.cases
    assert summary.counterfactual_actions == sum(
        act.case_id in found.departures and act.entered_at > found.departures[act.case_id]
        for act in found.actions
    )
    for curve in summary.replies:
        assert curve.stays == sum(
            time.ended + time.still for time in summary.times if time.state == curve.state
        )
    assert json.loads(json.dumps(summary.to_dict())) == summary.to_dict()


def test_a_summary_says_how_the_log_was_read(desk: Workflow) -> None:
    mapping = {
        "columns": {"status": "raw"},
        "zone": "Europe/Rome",
        "statuses": {
            "Insert": {"first": "new", "later": "ignore"},
            "Work": "in_progress",
            "OK": "ignore",
            "Misspelt": "closed",
        },
    }
    rows = [
        {"case": "1", "at": "2026-03-02T10:00", "raw": "Insert"},
        {"case": "1", "at": "2026-03-29T02:30", "raw": "Work"},
        {"case": "1", "at": "2026-03-02T11:00", "raw": "Insert"},
        {"case": "1", "at": "2026-10-25T02:30", "raw": "OK"},
        {"case": "1", "at": "2026-03-29T01:00Z", "raw": "Work"},
    ]
    summary = replay(rows, desk, mapping=mapping, restart="touch").summary
    assert (summary.policy, summary.restart, summary.zone) == ("sub-status", "touch", "Europe/Rome")
    assert summary.first == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert summary.last == summary.horizon == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert (summary.rows, summary.bad_rows, summary.ignored_rows) == (5, 0, 1)
    assert (summary.duplicate_rows, summary.out_of_order_rows) == (1, 2)
    assert (summary.local_times, summary.repeated_times, summary.skipped_times) == (4, 1, 1)
    assert summary.values == (
        LogValue(value="Insert", sub_value=None, first="new", later=None, rows=2),
        LogValue(value="Work", sub_value=None, first="in_progress", later="in_progress", rows=2),
        LogValue(value="OK", sub_value=None, first=None, later=None, rows=1),
    )
    assert summary.unused == ("Misspelt",)
    assert (summary.cases, summary.stays) == (1, 4)
    told = summary.to_dict()
    assert told["first"] == "2026-03-02T09:00:00Z"
    assert told["times"] == [
        {
            "state": "new",
            "ended": 2,
            "still": 0,
            "quantiles": dict.fromkeys(("0.1", "0.25", "0.5"), 3_600)
            | dict.fromkeys(("0.75", "0.9"), 2_300_400),
        },
        {
            "state": "in_progress",
            "ended": 1,
            "still": 1,
            "quantiles": dict.fromkeys(("0.1", "0.25", "0.5", "0.75", "0.9"), 0),
        },
    ]


def test_a_summary_of_events_tells_what_was_refused(desk: Workflow) -> None:
    def event(day: int, name: str, by: str) -> dict[str, object]:
        return {"case": "1", "at": MONDAY + day * DAY, "event": name, "by": by}

    rows = [
        event(0, "open", "agent"),
        event(1, "confirm", "customer"),
        event(2, "start", "agent"),
        event(3, "start", "agent"),
        event(4, "start", "agent"),
    ]
    summary = replay(rows, desk).summary
    assert summary.refusals == (
        Refusal(state="in_progress", event="start", by="agent", count=2),
        Refusal(state="new", event="confirm", by="customer", count=1),
    )
    assert summary.values[0] == LogValue(value="start", sub_value=None, first=None, later=None, rows=3)
    assert summary.moves == (Move(from_state="new", to_state="in_progress", count=1, by=("agent",)),)


@given(data=st.data())
def test_the_tallies_of_the_parts_of_a_log_add_up_to_that_of_the_whole(data: st.DataObject) -> None:
    policy = data.draw(testing.policies() | st.sampled_from([load_policy("open-resolved")]))
    desk = Workflow(policy)
    rows, mapping = data.draw(testing.status_logs(policy))
    lengths = {name: [1, 9, 30] for name, timer in policy.timers.items() if timer.kind == "close"}
    try:
        questions = ask(policy, lengths)
    except PolicyError:
        questions = ()
    reading = Reading(policy, mapping)
    past = read(rows, desk, reading)
    assert past.counts.last is not None
    whole, *parts = (Watch(policy, past.counts, past.counts.last, questions) for _ in range(3))
    for number, (case, stays) in enumerate(past.stays.items()):
        whole.case(case, stays, lambda _: None)
        parts[number % 2].case(case, stays, lambda _: None)
    parts[0].tally.add(parts[1].tally)
    assert summarize(desk, reading, parts[0].tally) == summarize(desk, reading, whole.tally)


# --- who may do what happened ------------------------------------------------------------------


def moves(*told: str, desk: Workflow) -> list[tuple[str, str, int, tuple[str, ...]]]:
    return [attrs.astuple(move) for move in replay(log(*told), desk, restart="touch").summary.moves]


def test_a_move_is_allowed_to_those_whose_event_or_timer_leads_there(desk: Workflow) -> None:
    assert moves("0 new", "1 in_progress", "2 awaiting_customer_confirmation", "3 closed", desk=desk) == [
        ("awaiting_customer_confirmation", "closed", 1, ("customer", "agent", "system")),
        ("in_progress", "awaiting_customer_confirmation", 1, ("agent",)),
        ("new", "in_progress", 1, ("agent",)),
    ]


def test_a_move_that_no_event_and_no_timer_makes_is_allowed_to_nobody(desk: Workflow) -> None:
    assert moves("0 closed", "1 reopened", "2 update_received", desk=desk) == [
        ("closed", "reopened", 1, ()),
        ("reopened", "update_received", 1, ()),
    ]
    # Asked again is a new stay, answered again is none.
    state = "pending.customer_input"
    assert moves(f"0 {state}", f"1 {state}", desk=desk) == [(state, state, 1, ("agent",))]
    state = "awaiting_customer_confirmation"
    assert moves(f"0 {state}", f"1 {state}", desk=desk) == [(state, state, 1, ())]


def test_moves_stand_by_their_number_the_most_frequent_first(desk: Workflow) -> None:
    rows = [
        row
        for number in range(5)
        for row in log("0 new", "1 closed" if number < 3 else "1 reopened", case=str(number))
    ]
    assert replay(rows, desk).summary.moves == (
        Move(from_state="new", to_state="closed", count=3, by=("agent",)),
        Move(from_state="new", to_state="reopened", count=2, by=()),
    )


def test_whether_a_case_was_assigned_is_not_known_so_either_is_allowed(other: Workflow) -> None:
    for target in ("open", "new"):
        assert ("closed", target, 1, ("customer", "agent")) in moves("0 closed", f"1 {target}", desk=other)


def test_the_way_back_leads_to_the_previous_state_and_to_no_other(other: Workflow) -> None:
    def back(*told: str) -> tuple[str, ...]:
        rows = log(*told)
        found = replay(rows, other, restart="touch").summary.moves
        return next(move.by for move in found if (move.from_state, move.to_state) == told_last(rows))

    assert back("0 in_progress", "1 pending_customer", "2 in_progress") == ("customer", "agent")
    assert back("0 open", "1 pending_customer", "2 open") == ("customer", "agent")
    assert back("0 open", "1 pending_customer", "2 in_progress") == ()
    assert back("0 in_progress", "1 pending_customer", "2 open") == ()
    # Nobody knows the previous state: then it is open.
    assert back("0 pending_customer", "1 open") == ("customer", "agent")
    assert back("0 pending_customer", "1 in_progress") == ()
    # Asked again, the case goes back to where it was first asked from.
    again = ("0 in_progress", "1 pending_customer", "2 pending_customer")
    assert back(*again, "3 in_progress") == ("customer", "agent")


def told_last(rows: Sequence[Row]) -> tuple[str, str]:
    return rows[-2][2], rows[-1][2]


def test_where_a_case_may_begin_is_what_the_policy_says(other: Workflow) -> None:
    rows = [*log("0 open", case="1"), *log("0 new", case="2"), *log("1 open", case="3")]
    assert replay(rows, other).summary.beginnings == (
        Beginning(state="new", cases=1, allowed=True),
        Beginning(state="open", cases=2, allowed=False),
    )


def walked(desk: Workflow, source: str, target: str, previous: str | None) -> tuple[str, ...]:
    """Who can really move a case so: every event is tried, with whatever it may ask for, and every timer."""
    policy = desk.policy
    found: set[str] = set()
    subs = {sub for status in policy.statuses.values() for sub in status.sub_statuses}
    for assigned in (None, "mira"):
        case = case_in(source, previous=previous, assignee=assigned)
        for role in policy.roles:
            for event in desk.allowed(case, by=role):
                for sub_status in (None, *subs):
                    for assignee in (None, "mira"):
                        try:
                            if event == "clone":
                                later, _ = desk.clone(case, "C-2", by=role, at=MONDAY)
                            else:
                                later = desk.apply(
                                    case, event, by=role, at=MONDAY, sub_status=sub_status, assignee=assignee
                                )
                        except CasestateError:
                            continue
                        if later.stay > case.stay and later.state == target:
                            found.add(role)
    if any(timer.to == target for timer in policy.schedules[source]):
        found.add("system")
    return tuple(role for role in dict.fromkeys((*policy.roles, "system")) if role in found)


@given(data=st.data())
def test_a_move_is_judged_legal_if_and_only_if_somebody_can_make_it(data: st.DataObject) -> None:
    policy = data.draw(
        testing.policies() | st.builds(load_policy, st.sampled_from(["open-resolved", "sub-status"]))
    )
    desk = Workflow(policy)
    states = data.draw(st.lists(st.sampled_from(policy.states), min_size=2, max_size=4))
    rows = [("1", MONDAY + number * DAY, state) for number, state in enumerate(states)]
    expected: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
    previous = None
    for before, source, target in zip([None, *states], states, states[1:], strict=False):
        if before is not None and before.partition(".")[0] != source.partition(".")[0]:
            previous = before
        expected[source, target, walked(desk, source, target, previous)] += 1
    found = replay(rows, desk, restart="touch").summary.moves
    assert {(move.from_state, move.to_state, move.by): move.count for move in found} == expected
    assert [move.count for move in found] == sorted((move.count for move in found), reverse=True)


@given(data=st.data())
def test_nothing_that_happens_in_a_workflow_is_judged_illegal(data: st.DataObject) -> None:
    policy = data.draw(
        testing.policies() | st.sampled_from([load_policy("sub-status"), load_policy("open-resolved")])
    )
    case = data.draw(testing.histories(policy))
    summary = replay([case], Workflow(policy)).summary
    assert all(move.by for move in summary.moves)
    assert all(beginning.allowed for beginning in summary.beginnings)
    roles = {change.by for change in case.history}
    assert {role for move in summary.moves for role in move.by} <= {*policy.roles, "system"}
    if summary.stays == 2:
        assert roles & set(summary.moves[0].by)


# --- other lengths -------------------------------------------------------------------------------


def test_other_lengths_close_other_cases_and_the_curve_says_how_many_come_back(desk: Workflow) -> None:
    waiting = "0 pending.customer_input"
    rows = [
        *log(waiting, case="still waiting"),
        *log(waiting, "20 update_received", case="answers after 20 days"),
        *log(waiting, "10 closed", "40 reopened", case="closed, and reopened after 40"),
        *log("99 new", case="the end"),
    ]
    assert what_if(rows, desk, timer="close_pending", days=[28, 7, 14, 14, 9, 100]) == (
        WhatIf(
            timer="close_pending",
            days=7,
            length="7 days",
            closed=3,
            followed=3,
            came_back=1,
            reminders=3,
            notifications=0,
            cut_off=(),
        ),
        WhatIf(
            timer="close_pending",
            days=9,
            length="9 days",
            closed=3,
            followed=3,
            came_back=1,
            reminders=3,
            notifications=0,
            cut_off=(),
        ),
        WhatIf(
            timer="close_pending",
            days=14,
            length="14 days",
            closed=2,
            followed=2,
            came_back=1,
            reminders=3,
            notifications=0,
            cut_off=(),
        ),
        WhatIf(
            timer="close_pending",
            days=28,
            length="28 days",
            closed=1,
            followed=1,
            came_back=0,
            reminders=3,
            notifications=0,
            cut_off=(),
        ),
        WhatIf(
            timer="close_pending",
            days=100,
            length="100 days",
            closed=0,
            followed=0,
            came_back=0,
            reminders=3,
            notifications=0,
            cut_off=(),
        ),
    )


@pytest.mark.parametrize(
    ("back", "end", "followed", "came_back"),
    [
        (37 * DAY, 99 * DAY, 1, 1),  # 30 days after the 7th
        (37 * DAY + TICK, 99 * DAY, 1, 0),
        (None, 37 * DAY, 1, 0),
        (None, 37 * DAY - TICK, 0, 0),
        (10 * DAY, 11 * DAY, 0, 0),  # those that did not come back so soon are not followed either
        (37 * DAY, 37 * DAY - TICK, 0, 0),
    ],
)
def test_coming_back_is_seen_within_30_days_to_the_microsecond(
    desk: Workflow, back: timedelta | None, end: timedelta, followed: int, came_back: int
) -> None:
    rows = [("1", MONDAY, "pending.customer_input"), ("1", MONDAY + 8 * DAY, "closed")]
    rows += [("1", MONDAY + back, "in_progress")] if back is not None else []
    (found,) = what_if(rows, desk, timer="close_pending", days=[7], horizon=MONDAY + end)
    assert (found.closed, found.followed, found.came_back) == (1, followed, came_back)


def test_a_case_that_a_length_closes_twice_counts_once_with_its_first_closure(desk: Workflow) -> None:
    state = "pending.customer_input"
    rows = log(
        f"0 {state}", "10 awaiting_customer_confirmation", f"50 {state}", "70 update_received", "99 closed"
    )
    found = what_if(rows, desk, timer="close_pending", days=[7, 14, 30])
    assert [(each.closed, each.followed, each.came_back) for each in found] == [
        (1, 1, 0),
        (1, 1, 1),
        (0, 0, 0),
    ]
    assert [each.reminders for each in found] == [2, 2, 2]


def test_a_length_stands_for_itself_whatever_others_are_asked_about(warned: Workflow) -> None:
    """A reminder after the closing timer does not hold it back any more: the longer length closes earlier."""
    rows = log("0 waiting", "31 working")

    def closed(*days: int) -> list[int]:
        return [each.closed for each in what_if(rows, warned, timer="remind", days=days)]

    assert closed(7, 21, 27, 29) == [1, 1, 0, 1]
    assert [*closed(7), *closed(21), *closed(27), *closed(29)] == [1, 1, 0, 1]
    assert [each.reminders for each in what_if(rows, warned, timer="remind", days=[27, 29])] == [1, 0]
    found = what_if(rows, warned, timer="remind", days=[7, 29])
    assert [each.cut_off for each in found] == [(), ("remind",)]


def test_the_length_of_a_question_is_of_the_kind_of_the_timer(other: Workflow) -> None:
    policy = other.policy.override({"timers": {"close_resolved": {"after": {"business_days": 5}}}})
    (found,) = what_if(log("0 resolved", "7.5 open"), Workflow(policy), timer="close_resolved", days=[5])
    assert (found.length, found.closed) == ("5 business days", 1)
    (found,) = what_if(log("0 resolved", "7 open"), Workflow(policy), timer="close_resolved", days=[5])
    assert found.closed == 0
    (found,) = what_if(log("0 resolved", "0 open"), other, timer="close_resolved", days=[0])
    assert (found.length, found.closed) == ("0 seconds", 0)


def test_a_repeated_timer_is_asked_about_as_a_whole() -> None:
    policy = load_policy("sub-status").override(
        {"timers": {"remind_customer": {"repeat": {"every": {"days": 3}, "times": 3}}}}
    )
    rows = log("0 pending.customer_input", "12 closed")
    found = what_if(rows, Workflow(policy), timer="remind_customer", days=[1, 7, 10, 12])
    assert [each.reminders for each in found] == [3, 2, 1, 0]


def asked(data: st.DataObject, *kinds: str) -> tuple[Policy, list[dict[str, Any]], dict[str, Any], str]:
    """A policy, a log of it, and one of its timers, of one of the ``kinds`` if there are any."""
    drawn = data.draw(testing.policies())
    for policy in (drawn, load_policy("sub-status")):
        timers = [name for name, timer in policy.timers.items() if not kinds or timer.kind in kinds]
        if timers and (policy is not drawn or data.draw(st.booleans())):
            break
    rows, mapping = data.draw(testing.status_logs(policy))
    return policy, rows, mapping, data.draw(st.sampled_from(sorted(timers)))


def answers(
    rows: Sequence[object], policy: Policy, mapping: dict[str, Any], timer: str, days: Iterable[int]
) -> tuple[WhatIf, ...]:
    """What the lengths would have done; none where a policy cannot have them."""
    try:
        return what_if(rows, Workflow(policy), mapping=mapping, timer=timer, days=days)
    except PolicyError as error:
        if all("and has a notice" in problem.message for problem in error.problems):
            return ()
        raise


DAYS = st.lists(st.integers(1, 60), min_size=1, max_size=5)


@given(data=st.data(), days=DAYS)
def test_each_length_does_what_a_naive_replay_of_it_does(data: st.DataObject, days: list[int]) -> None:
    policy, rows, mapping, timer = asked(data)
    past = naive.read(rows, mapping, policy.states, touch=False)
    found = answers(rows, policy, mapping, timer, days)
    assert [each.days for each in found] == (sorted(set(days)) if found else [])
    for each in found:
        assert (
            each.closed,
            each.followed,
            each.came_back,
            each.reminders,
            each.notifications,
        ) == naive.what_if(policy.to_dict(), timer, each.days, past, past.last)
        assert 0 <= each.came_back <= each.followed <= each.closed


@given(data=st.data(), days=DAYS)
def test_more_days_never_close_more_cases(data: st.DataObject, days: list[int]) -> None:
    policy, rows, mapping, timer = asked(data, "close")
    closed = [each.closed for each in answers(rows, policy, mapping, timer, days)]
    assert closed == sorted(closed, reverse=True)


@given(data=st.data())
def test_the_own_length_of_a_timer_closes_what_the_replay_closes_in_its_states(data: st.DataObject) -> None:
    policy, rows, mapping, timer = asked(data)
    own = policy.timers[timer].after
    amount, rest = divmod(own.amount, 86_400 if own.unit == "elapsed" else 1)
    assume(not rest)
    (found,) = what_if(rows, Workflow(policy), mapping=mapping, timer=timer, days=[amount])
    here = policy.matching(policy.timers[timer].in_)
    states = {
        (case, stay.number): stay.state
        for case, stays in read(rows, Workflow(policy), Reading(policy, mapping)).stays.items()
        for stay in stays
    }
    acts = [
        act
        for act in replay(rows, Workflow(policy), mapping=mapping).actions
        if states[act.case_id, act.stay] in here
    ]
    closings = [act for act in acts if act.kind == "close"]
    assert found.closed == len(
        {act.case_id for act in closings if not policy.is_closed(states[act.case_id, act.stay])}
    )
    assert found.reminders == sum(act.kind == "remind" for act in acts)
    assert found.notifications == sum(act.kind == "notify" for act in acts)


@given(data=st.data(), days=DAYS)
def test_what_if_is_what_a_replay_says_of_the_same_lengths(data: st.DataObject, days: list[int]) -> None:
    policy, rows, mapping, timer = asked(data)
    found = answers(rows, policy, mapping, timer, days)
    assume(found)
    summary = replay(rows, Workflow(policy), mapping=mapping, lengths={timer: days}).summary
    assert summary.what_ifs == found
    plain = replay(rows, Workflow(policy), mapping=mapping).summary
    assert attrs.evolve(summary, what_ifs=()) == plain


def test_several_timers_may_be_asked_about_at_once(desk: Workflow) -> None:
    rows = log("0 pending.customer_input", "40 awaiting_customer_confirmation", "90 new")
    lengths = {"close_pending": [7, 50], "close_awaiting": (14,)}
    found = replay(rows, desk, lengths=lengths).summary.what_ifs
    assert [(each.timer, each.days, each.closed) for each in found] == [
        ("close_pending", 7, 1),
        ("close_pending", 50, 0),
        ("close_awaiting", 14, 1),
    ]


@pytest.mark.parametrize(
    ("lengths", "messages"),
    [
        (
            {"close_pendin": [7]},
            ["timers.close_pendin: no timer of sub-status; did you mean 'close_pending'? (there are: "],
        ),
        ({7: [7]}, ["timers.7: no timer of sub-status (there are: "]),
        ({"close_pending": []}, ["timers.close_pending.after: needs a number of days at least"]),
        (
            {"close_pending": [7, -1, 1.5, True, "7"]},
            [
                f"timers.close_pending.after: must be a whole number of days from 0 on, not {shown}"
                for shown in ("-1", "1.5", "True", "'7'")
            ],
        ),
        (
            {"close_pending": 7.5},
            ["timers.close_pending.after: must be a whole number of days from 0 on, not 7.5"],
        ),
        (
            {"close_pending": [10**10]},
            ["timers.close_pending.after: 10000000000 days are longer than time is"],
        ),
        (
            {"a": [1], "close_pending": [None]},
            [
                "timers.a: no timer",
                "timers.close_pending.after: must be a whole number of days from 0 on, not None",
            ],
        ),
        ([("close_pending", 7)], ["must map timers to numbers of days, not be [('close_pending', 7)]"]),
    ],
)
def test_lengths_that_cannot_be_are_all_named(desk: Workflow, lengths: object, messages: list[str]) -> None:
    with pytest.raises(PolicyError) as raised:
        ANY(log("0 new"), desk, lengths=lengths)
    assert raised.value.subject == "lengths"
    assert len(raised.value.problems) == len(messages)
    for problem, message in zip(raised.value.problems, messages, strict=True):
        assert str(problem).startswith(message)


def test_a_number_of_days_may_stand_alone(desk: Workflow) -> None:
    assert [each.days for each in ANY(log("0 new"), desk, lengths={"close_pending": 7}).summary.what_ifs] == [
        7
    ]


def test_no_length_of_calendar_days_is_nothing(other: Workflow) -> None:
    policy = other.policy.override({"timers": {"close_resolved": {"after": {"calendar_days": 5}}}})
    with pytest.raises(PolicyError, match="must be a whole number of days from 1 on, not 0"):
        what_if(log("0 new"), Workflow(policy), timer="close_resolved", days=[0])


def test_a_length_may_not_put_a_timer_with_notice_first(warned: Workflow) -> None:
    policy = warned.policy.override({"timers": {"hello": False}})
    with pytest.raises(PolicyError) as raised:
        what_if(log("0 new"), Workflow(policy), timer="remind", days=[7, 29, 30])
    assert [str(problem) for problem in raised.value.problems] == [
        f"timers.remind.after: {days} days: close would stand first in waiting, and has a notice"
        for days in (29, 30)
    ]


# --- how soon a reply comes -------------------------------------------------------------------------


def curve(*told: tuple[int, bool]) -> list[tuple[float, float, int]]:
    """The points of a curve of stays, each told by how long it lasted, and whether a reply ended it."""
    durations: Counter[tuple[Any, int]] = Counter(
        ("replied" if replied else "left", seconds) for seconds, replied in told
    )
    found = reply_curve("x", durations)
    assert (found.state, found.stays, found.replied) == ("x", len(told), sum(replied for _, replied in told))
    return [
        (point.after / timedelta(seconds=1), round(point.share, 6), point.waiting) for point in found.points
    ]


def test_those_still_waiting_count_as_long_as_they_were_watched() -> None:
    assert curve((1, True), (2, False), (3, True), (4, False)) == [(1, 0.25, 4), (3, 0.625, 2)]
    assert curve((1, True), (2, True)) == [(1, 0.5, 2), (2, 1.0, 1)]
    assert curve((5, False)) == []
    # A reply and a leave at once: the one who left was still under watch.
    assert curve((5, False), (5, True)) == [(5, 0.5, 2)]


def test_a_curve_is_read_at_any_time() -> None:
    found = reply_curve("x", {("replied", 10): 1, ("left", 15): 2, ("replied", 20): 1})
    seconds = [timedelta(seconds=each) for each in (0, 9, 10, 19, 20, 99)]
    assert [found.share(after) for after in seconds] == [0.0, 0.0, 0.25, 0.25, 1.0, 1.0]
    assert [(point.low, point.high) for point in found.points[1:]] == [(0.0, 1.0)]


def test_a_reply_is_a_move_to_where_support_has_work(desk: Workflow, other: Workflow) -> None:
    state = "pending.customer_input"
    rows = [
        *log(f"0 {state}", "3 update_received", case="replied"),
        *log(f"0 {state}", "4 awaiting_customer_confirmation", case="waits elsewhere"),
        *log(f"0 {state}", "5 closed", case="closed"),
        *log(f"0 {state}", case="still waiting"),
        *log("0 new", "1 in_progress", "6 closed", case="is not waited for"),
    ]
    (pending, awaiting) = replay(rows, desk).summary.replies
    assert (pending.state, pending.stays, pending.replied) == (state, 4, 1)
    assert [(point.after, point.share, point.waiting) for point in pending.points] == [(3 * DAY, 0.25, 4)]
    assert (awaiting.state, awaiting.stays, awaiting.replied, awaiting.points) == (
        "awaiting_customer_confirmation",
        1,
        0,
        (),
    )
    summary = replay(log("0 new", "1 pending_customer", "2 resolved", "3 closed"), other).summary
    assert [found.state for found in summary.replies] == ["pending_customer", "resolved"]


def test_a_state_waits_for_the_customer_where_the_policy_says_so_or_a_timer_closes_it() -> None:
    policy = load_policy(
        {
            "format": 1,
            "name": "desk",
            "initial": "asked",
            "statuses": {
                "asked": {"waiting_on": "customer"},
                "ours": {"waiting_on": "support"},
                "silent": {},
                "idle": {},
                "gone": {"closed": True, "waiting_on": "customer"},
            },
            "timers": {
                "close": {"in": ["silent", "ours"], "after": {"days": 9}, "to": "gone"},
                "age": {"in": "idle", "after": {"days": 9}, "to": "ours"},
            },
        }
    )
    rows = [
        row
        for state in policy.states
        for target in ("ours", "silent", "idle", "gone")
        for row in log(f"0 {state}", f"1 {target}", case=f"{state} to {target}")
    ]
    found = replay(rows, Workflow(policy), restart="touch").summary.replies
    # Those who came to where support has work: "ours", though a timer closes it, and "idle".
    assert [(each.state, each.stays - 4, each.replied) for each in found] == [
        ("asked", 0, 2),
        ("silent", 5, 2),
    ]


@given(
    durations=st.dictionaries(
        st.tuples(st.sampled_from(["replied", "left", "still"]), st.integers(0, 30) | st.integers(0, 10**8)),
        st.integers(1, 5),
        min_size=1,
        max_size=30,
    )
)
def test_the_curve_is_that_of_scipy(durations: dict[tuple[Any, int], int]) -> None:
    check_with_scipy(reply_curve("x", durations), durations)


# --- what is refused -----------------------------------------------------------------------------------


def test_what_is_no_workflow_is_refused(desk: Workflow) -> None:
    with pytest.raises(PolicyError, match="replay"):
        ANY(log("0 new"), desk.policy)


def test_the_horizon_is_an_aware_instant(desk: Workflow) -> None:
    with pytest.raises(NaiveTimeError, match="horizon"):
        replay(log("0 new"), desk, horizon=MONDAY.replace(tzinfo=None))
    with pytest.raises(InstantError, match="horizon"):
        ANY(log("0 new"), desk, horizon="tomorrow")


def test_a_log_is_not_read_before_all_else_is_right(desk: Workflow) -> None:
    def never() -> Iterator[object]:
        raise AssertionError
        yield

    with pytest.raises(PolicyError):
        replay(never(), desk, lengths={"x": [1]})
    with pytest.raises(LogError):
        replay(never(), desk, mapping={"statuses": {"x": "y"}})
    with pytest.raises(InstantError):
        replay(never(), desk, horizon=MONDAY.replace(tzinfo=None))


def test_bad_rows_are_raised_together_or_told(desk: Workflow) -> None:
    rows: list[object] = [("1", "x", "new"), *log("0 new"), None]
    with pytest.raises(LogError) as raised:
        replay(rows, desk)
    assert [str(problem).partition(":")[0] for problem in raised.value.problems] == ["row 1", "row 3"]
    told: list[int] = []
    found = what_if(
        rows, desk, timer="close_pending", days=[7], on_error=lambda number, _: told.append(number)
    )
    assert told == [1, 3]
    assert [each.closed for each in found] == [0]
