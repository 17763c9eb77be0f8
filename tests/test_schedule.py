"""Schedules: the order of a state's timers, when each comes due, and the cutoff table."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from casestate import Calendar, Cutoff, Length, Policy, Workflow, load_policy, policies
from casestate.case import standing
from casestate.schedule import Schedule, Sweep, schedules
from casestate.testing.strategies import FIRST, LAST, TICK


DAY = timedelta(days=1)
NOW = datetime(2026, 3, 31, 12, 0, 0, 1, tzinfo=UTC)
FRIDAY = datetime(2026, 3, 6, 9, tzinfo=UTC)


def policy_with(timers: dict[str, Any], **calendar: object) -> Policy:
    """A policy of two open states, one of them with sub-statuses, and a closed one."""
    return load_policy(
        {
            "format": 1,
            "name": "desk",
            "initial": "waiting",
            "calendar": calendar,
            "statuses": {
                "waiting": {},
                "pending": {"sub_statuses": {"us": {}, "them": {}}},
                "closed": {"closed": True},
            },
            "timers": timers,
        }
    )


def schedule_of(policy: Policy, state: str = "waiting") -> Schedule:
    return schedules(policy)[state]


def remind(in_: str | list[str] = "waiting", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - as a file has it
    return {"in": in_, "kind": "remind", **more}


@pytest.fixture
def warned() -> Policy:
    """Notified at once, reminded after 7, 14 and 21 days, closed after 28, a week after the last reminder."""
    return policy_with(
        {
            "close": {"in": "waiting", "after": {"days": 28}, "notice": {"days": 7}, "to": "closed"},
            "remind": remind(
                audience="customer", after={"days": 7}, repeat={"every": {"days": 7}, "times": 3}
            ),
            "hello": {"in": "waiting", "kind": "notify", "audience": "support", "after": {"days": 0}},
        }
    )


def names(schedule: Schedule) -> list[str]:
    return [timer.name for timer in schedule.timers]


# --- order -------------------------------------------------------------------


def test_timers_stand_in_the_order_of_nominal_length_and_ties_in_the_order_of_the_file() -> None:
    policy = policy_with(
        {
            "c": remind(after={"hours": 25}),
            "b": remind(after={"calendar_days": 1}),
            "a": remind(after={"business_days": 1}),
            "d": remind(after={"hours": 24}),
            "e": remind(after={"hours": 23, "minutes": 59, "seconds": 59}),
        }
    )
    assert names(schedule_of(policy)) == ["e", "b", "a", "d", "c"]


def test_a_repeat_is_several_timers_of_which_times_counts_the_first(warned: Policy) -> None:
    schedule = schedule_of(warned)
    assert names(schedule) == ["hello", "remind", "remind#2", "remind#3", "close"]
    assert [timer.after for timer in schedule.timers] == [
        Length("elapsed", days * 86_400) for days in (0, 7, 14, 21, 28)
    ]
    assert all(timer.repeat is None for timer in schedule.timers)
    assert schedule.timers[2].audience == "customer"


def test_repeats_and_other_timers_are_put_in_one_order() -> None:
    policy = policy_with(
        {
            "nag": remind(after={"days": 1}, repeat={"every": {"days": 2}, "times": 3}, notice={"days": 2}),
            "tell": remind(after={"days": 3}),
        }
    )
    schedule = schedule_of(policy)
    assert names(schedule) == ["nag", "nag#2", "tell", "nag#3"]
    # The notice of a repeated timer binds from the second on.
    assert [timer.notice for timer in schedule.timers] == [
        None,
        Length("elapsed", 172_800),
        None,
        Length("elapsed", 172_800),
    ]


def test_a_repeat_of_one_is_one_timer_without_notice() -> None:
    policy = policy_with(
        {"nag": remind(after={"days": 1}, repeat={"every": {"days": 2}, "times": 1}, notice={"days": 2})}
    )
    (timer,) = schedule_of(policy).timers
    assert (timer.name, timer.notice) == ("nag", None)


def test_every_state_has_a_schedule_of_the_timers_whose_patterns_mean_it() -> None:
    policy = policy_with(
        {
            "everywhere": remind("*", after={"days": 1}),
            "open_": remind("*open", after={"days": 2}),
            "pending": remind("pending", after={"days": 3}),
            "us": remind(["pending.us", "closed"], after={"days": 4}),
        }
    )
    assert {state: names(schedule) for state, schedule in schedules(policy).items()} == {
        "waiting": ["everywhere", "open_"],
        "pending.us": ["everywhere", "open_", "pending", "us"],
        "pending.them": ["everywhere", "open_", "pending"],
        "closed": ["everywhere", "us"],
    }
    assert schedule_of(policy, "pending.us").state == "pending.us"
    assert schedule_of(policy).calendar == Calendar()


# --- positions ---------------------------------------------------------------


def test_the_position_of_a_case_is_that_of_its_last_settled_timer(warned: Policy) -> None:
    assert schedule_of(warned).positions == {
        None: 0,
        "hello": 1,
        "remind": 2,
        "remind#2": 3,
        "remind#3": 4,
        "close": 5,
    }
    assert schedule_of(warned, "closed").positions == {None: 0}


def test_a_timer_with_notice_and_all_after_it_cannot_be_reached_until_the_one_before_it_is_settled(
    warned: Policy,
) -> None:
    schedule = schedule_of(warned)
    assert [schedule.reachable(position) for position in range(6)] == [
        range(4),
        range(1, 4),
        range(2, 4),
        range(3, 4),
        range(4, 5),
        range(5, 5),
    ]


def test_two_notices_hold_a_case_back_one_after_the_other() -> None:
    policy = policy_with(
        {
            "a": remind(after={"days": 1}),
            "b": remind(after={"days": 2}, notice={"days": 1}),
            "c": remind(after={"days": 3}),
            "d": remind(after={"days": 4}, notice={"days": 3}),
            "e": remind(after={"days": 5}),
        }
    )
    schedule = schedule_of(policy)
    assert [list(schedule.reachable(position)) for position in range(6)] == [
        [0],
        [1, 2],
        [2],
        [3, 4],
        [4],
        [],
    ]
    assert [schedule.notice(position) for position in range(6)] == [
        None,
        Length("elapsed", 86_400),
        None,
        Length("elapsed", 3 * 86_400),
        None,
        None,
    ]


def test_the_timers_passed_over_lie_between_the_position_and_the_one_that_is_settled(warned: Policy) -> None:
    schedule = schedule_of(warned)
    assert schedule.passed_over(0, 0) == ()
    assert schedule.passed_over(0, 3) == ("hello", "remind", "remind#2")
    assert schedule.passed_over(2, 3) == ("remind#2",)
    assert schedule.passed_over(3, 3) == ()


# --- when a timer comes due --------------------------------------------------


def test_a_timer_is_due_its_length_after_the_entry(warned: Policy) -> None:
    schedule = schedule_of(warned)
    due = [schedule.counted_from_entry(index, FRIDAY) for index in range(5)]
    assert due == [FRIDAY + days * DAY for days in (0, 7, 14, 21, 28)]
    assert schedule.due_at(1, 0, FRIDAY, None) == FRIDAY + 7 * DAY


def test_a_timer_is_never_due_before_those_above_it() -> None:
    policy = policy_with(
        {
            "business": remind(after={"business_days": 5}),  # nominally 5 days, in truth a week
            "elapsed": remind(after={"days": 6}),
            "calendar": remind(after={"calendar_days": 6}),
            "late": remind(after={"days": 7, "seconds": 1}),
        }
    )
    schedule = schedule_of(policy)
    assert names(schedule) == ["business", "elapsed", "calendar", "late"]
    due = [schedule.counted_from_entry(index, FRIDAY) for index in range(4)]
    week = FRIDAY + 7 * DAY
    assert due == [week, week, week, week + timedelta(seconds=1)]


def test_of_several_lengths_of_one_kind_the_longest_decides() -> None:
    policy = policy_with(
        {
            "a": remind(after={"calendar_days": 1}),
            "b": remind(after={"days": 2}),
            "c": remind(after={"calendar_days": 3}),
            "d": remind(after={"days": 3, "hours": 1}),
        },
        zone="Europe/Berlin",
    )
    schedule = schedule_of(policy)
    # The clocks go forward on Sunday, so three local days are an hour shorter.
    start = datetime(2026, 3, 27, 9, tzinfo=UTC)
    due = [schedule.counted_from_entry(index, start) for index in range(4)]
    assert due == [start + timedelta(hours=hours) for hours in (24, 48, 71, 73)]


def test_the_notice_of_the_next_timer_holds_a_case_back_after_it_has_been_settled(warned: Policy) -> None:
    schedule = schedule_of(warned)
    on_time, late = FRIDAY + 21 * DAY, FRIDAY + 40 * DAY
    assert schedule.due_at(4, 4, FRIDAY, on_time) == FRIDAY + 28 * DAY
    assert schedule.due_at(4, 4, FRIDAY, on_time + TICK) == FRIDAY + 28 * DAY + TICK
    assert schedule.due_at(4, 4, FRIDAY, late) == FRIDAY + 47 * DAY
    # The notice of a timer that is not the next one, or has been settled, does not count.
    assert schedule.due_at(3, 3, FRIDAY, late) == FRIDAY + 21 * DAY
    assert schedule.due_at(4, 3, FRIDAY, late) == FRIDAY + 28 * DAY
    assert schedule.due_at(4, 5, FRIDAY, late) == FRIDAY + 28 * DAY


def test_a_notice_counts_by_the_calendar_as_any_length_does() -> None:
    policy = policy_with(
        {
            "warn": remind(after={"days": 1}),
            "close": {"in": "waiting", "after": {"days": 2}, "notice": {"business_days": 1}, "to": "closed"},
        },
        zone="Europe/Berlin",
        holidays=[date(2026, 3, 9)],
    )
    # Settled on Friday; Monday is a holiday.
    assert schedule_of(policy).due_at(1, 1, FRIDAY - DAY, FRIDAY) == FRIDAY + 4 * DAY


def test_what_would_come_due_beyond_the_year_9999_never_does(warned: Policy) -> None:
    schedule = schedule_of(warned)
    assert schedule.counted_from_entry(0, LAST) == LAST
    assert schedule.counted_from_entry(1, LAST) is None
    assert schedule.due_at(1, 0, LAST - 7 * DAY, None) == LAST
    assert schedule.due_at(1, 0, LAST - 7 * DAY + TICK, None) is None
    assert schedule.due_at(4, 4, FRIDAY, LAST - 7 * DAY) == LAST
    assert schedule.due_at(4, 4, FRIDAY, LAST - 7 * DAY + TICK) is None
    assert schedule.due_at(4, 4, LAST, FRIDAY) is None


# --- cutoffs -----------------------------------------------------------------


def test_the_cutoff_table_of_a_documented_state_is_this() -> None:
    rows = [row for row in Workflow(policies.SUB_STATUS).cutoffs(NOW) if row.sub_status == "customer_input"]
    remind: dict[str, Any] = {
        "timer": "remind_customer",
        "kind": "remind",
        "audience": "customer",
        "to": None,
    }
    close: dict[str, Any] = {"timer": "close_pending", "kind": "close", "audience": None, "to": "closed"}
    here: dict[str, Any] = {"status": "pending", "sub_status": "customer_input"}
    assert rows == [
        Cutoff(**here, **close, settled=None, entered_until=NOW - 28 * DAY),
        Cutoff(**here, **remind, settled=None, entered_until=NOW - 7 * DAY),
        Cutoff(**here, **close, settled="remind_customer", entered_until=NOW - 28 * DAY),
    ]
    assert all(row.settled_until is None for row in rows)


def test_the_table_has_a_row_for_each_position_and_timer_that_can_be_reached(warned: Policy) -> None:
    rows = Workflow(warned).cutoffs(NOW)
    assert [(row.settled, row.timer) for row in rows] == [
        (None, "remind#3"),
        (None, "remind#2"),
        (None, "remind"),
        (None, "hello"),
        ("hello", "remind#3"),
        ("hello", "remind#2"),
        ("hello", "remind"),
        ("remind", "remind#3"),
        ("remind", "remind#2"),
        ("remind#2", "remind#3"),
        ("remind#3", "close"),
    ]
    assert {row.status for row in rows} == {"waiting"}
    assert {row.sub_status for row in rows} == {None}
    assert [row.entered_until for row in rows[:4]] == [NOW - days * DAY for days in (21, 14, 7, 0)]
    assert [row.settled_until for row in rows] == [*[None] * 10, NOW - 7 * DAY]
    assert rows[-1].entered_until == NOW - 28 * DAY
    assert rows[-1].to == "closed"
    assert rows[-1].kind == "close"


def test_a_cutoff_is_the_least_of_the_timers_own_and_of_those_before_it() -> None:
    policy = policy_with(
        {"business": remind(after={"business_days": 5}), "elapsed": remind(after={"days": 6})}
    )
    monday = datetime(2026, 3, 16, 9, tzinfo=UTC)
    rows = list(schedule_of(policy).cutoffs(monday))
    assert [(row.timer, row.settled, row.entered_until) for row in rows] == [
        ("elapsed", None, monday - 7 * DAY),
        ("business", None, monday - 7 * DAY),
        ("elapsed", "business", monday - 7 * DAY),
    ]
    saturday = datetime(2026, 3, 14, 9, tzinfo=UTC)
    rows = list(schedule_of(policy).cutoffs(saturday))
    friday_is_over = datetime(2026, 3, 7, tzinfo=UTC) - TICK
    assert [(row.timer, row.entered_until) for row in rows[:2]] == [
        ("elapsed", friday_is_over),
        ("business", friday_is_over),
    ]


def test_a_timer_that_no_entry_can_be_due_for_has_no_row(warned: Policy) -> None:
    schedule = schedule_of(warned)
    assert [row.timer for row in schedule.cutoffs(FIRST)] == ["hello"]
    assert [row.entered_until for row in schedule.cutoffs(FIRST)] == [FIRST]
    assert [(row.settled, row.timer) for row in schedule.cutoffs(FIRST + 7 * DAY)] == [
        (None, "remind"),
        (None, "hello"),
        ("hello", "remind"),
    ]
    # Nor has one whose notice no settling can have met.
    short = policy_with(
        {
            "warn": remind(after={"days": 1}),
            "close": {"in": "waiting", "after": {"days": 2}, "notice": {"days": 9}, "to": "closed"},
        }
    )
    rows = [(row.settled, row.timer) for row in schedule_of(short).cutoffs(FIRST + 9 * DAY - TICK)]
    assert rows == [(None, "warn")]
    rows = [(row.settled, row.timer) for row in schedule_of(short).cutoffs(FIRST + 9 * DAY)]
    assert rows == [(None, "warn"), ("warn", "close")]


def test_a_notice_that_none_can_have_met_hides_no_shorter_one_below_it() -> None:
    policy = policy_with(
        {
            "a": remind(after={"days": 1}),
            "b": remind(after={"days": 2}, notice={"days": 30}),
            "c": remind(after={"days": 3}, notice={"days": 1}),
        }
    )
    rows = [(row.settled, row.timer) for row in schedule_of(policy).cutoffs(FIRST + 9 * DAY)]
    assert rows == [(None, "a"), ("b", "c")]


def test_the_furthest_timer_that_is_due_can_be_reached_and_has_had_its_notice(warned: Policy) -> None:
    schedule = schedule_of(warned)

    def furthest(position: int, days: int, settled: int | None = None) -> int | None:
        settled_at = None if settled is None else FRIDAY + settled * DAY
        return schedule.furthest_due(position, FRIDAY, settled_at, FRIDAY + days * DAY)

    assert [furthest(0, days) for days in (-1, 0, 6, 7, 14, 21, 99)] == [None, 0, 0, 1, 2, 3, 3]
    assert [furthest(2, days, 7) for days in (13, 14, 21, 28)] == [None, 2, 3, 3]
    assert [furthest(4, days, 21) for days in (27, 28)] == [None, 4]
    assert [furthest(4, days, 40) for days in (28, 46, 47)] == [None, None, 4]
    assert furthest(5, 99, 47) is None
    assert schedule.furthest_due(1, LAST, LAST, LAST) is None


def test_a_state_without_timers_has_no_rows(warned: Policy) -> None:
    assert list(schedule_of(warned, "closed").cutoffs(NOW)) == []


# --- a sweep -----------------------------------------------------------------


def test_a_sweep_knows_for_every_standing_the_latest_entry_that_can_be_due(warned: Policy) -> None:
    sweep = Sweep("desk", schedules(warned).values(), NOW)
    assert sweep.now == NOW
    for name in ("desk", None):
        assert sweep.latest[standing(name, "waiting", None)] == NOW
        assert sweep.latest[standing(name, "waiting", "hello")] == NOW - 7 * DAY
        assert sweep.latest[standing(name, "waiting", "remind#3")] == NOW - 28 * DAY
        assert sweep.latest[standing(name, "waiting", "close")] == FIRST
        assert sweep.latest[standing(name, "pending.us", None)] == FIRST
    assert len(sweep.latest) == 2 * (6 + 3)
    assert sweep.latest.keys() == sweep.reaches.keys()
    assert standing("other", "waiting", None) not in sweep.latest


def test_a_sweep_knows_the_timers_that_a_standing_can_reach_furthest_first(warned: Policy) -> None:
    table = schedules(warned)
    sweep = Sweep("desk", table.values(), NOW)
    reaches = sweep.reaches[standing("desk", "waiting", "hello")]
    assert [(cutoff.timer, position, index) for cutoff, _, position, index in reaches] == [
        ("remind#3", 1, 3),
        ("remind#2", 1, 2),
        ("remind", 1, 1),
    ]
    assert all(schedule is table["waiting"] for _, schedule, *_ in reaches)
    assert sweep.reaches[standing(None, "waiting", "hello")] == reaches
    assert sweep.reaches[standing("desk", "closed", None)] == ()


# --- one by one, each settled the moment it is due ---------------------------------


def test_the_timers_of_a_stay_fire_in_turn(warned: Policy) -> None:
    schedule = schedule_of(warned)
    days = (0, 7, 14, 21, 28)
    assert schedule.offsets == tuple(day * DAY for day in days)
    assert list(schedule.firings(NOW)) == [NOW + day * DAY for day in days]


def test_a_timer_never_fires_before_the_one_above_it_that_a_notice_holds_back() -> None:
    schedule = schedule_of(
        policy_with(
            {
                "a": remind(after={"days": 7}),
                "b": remind(after={"days": 8}, notice={"days": 5}),
                "c": remind(after={"days": 10}),
                "d": remind(after={"days": 13}),
            }
        )
    )
    assert [offset // DAY for offset in schedule.offsets or ()] == [7, 12, 12, 13]


def test_a_calendar_decides_when_each_timer_fires() -> None:
    schedule = schedule_of(
        policy_with(
            {
                "a": remind(after={"business_days": 1}),
                "b": remind(after={"days": 2}, notice={"calendar_days": 3}),
            },
            zone="Europe/Berlin",
        )
    )
    assert schedule.offsets is None
    monday = FRIDAY + 3 * DAY
    assert list(schedule.firings(FRIDAY)) == [monday, monday + 3 * DAY]
    assert list(schedule.firings(FRIDAY + DAY)) == [
        datetime(2026, 3, 9, 23, tzinfo=UTC),
        datetime(2026, 3, 12, 23, tzinfo=UTC),
    ]


@pytest.mark.parametrize("unit", ["days", "calendar_days"])
def test_what_is_due_after_the_end_of_time_never_fires(unit: str) -> None:
    schedule = schedule_of(
        policy_with({"a": remind(after={"days": 1}), "b": remind(after={unit: 2})}, zone="Europe/Berlin")
    )
    assert list(schedule.firings(LAST - 2 * DAY))[:1] == [LAST - DAY]
    assert list(schedule.firings(LAST - DAY)) == [LAST]
    assert list(schedule.firings(LAST - DAY + TICK)) == []


def test_a_state_without_timers_has_nothing_that_fires(warned: Policy) -> None:
    schedule = schedule_of(warned, "closed")
    assert schedule.offsets == ()
    assert list(schedule.firings(NOW)) == []
