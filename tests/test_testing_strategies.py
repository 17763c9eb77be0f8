"""The strategies of `casestate.testing`: what they draw is what they say, hostile where they say so."""

from __future__ import annotations

import json
import subprocess
import sys

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

import casestate

from casestate import (
    Action,
    Calendar,
    Case,
    CaseDataError,
    Change,
    InstantError,
    Length,
    NaiveTimeError,
    Policy,
    PolicyError,
    UnknownStatus,
    Workflow,
    load_policy,
    policies,
    testing,
)
from casestate.log import Past, Reading, read
from casestate.registration import register
from casestate.schedule import schedules
from casestate.testing import assert_history_is_legal
from casestate.testing.strategies import FIRST, LAST, TICK, ZONES, turns


if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BERLIN = "Europe/Berlin"
KIT: Any = testing
"""The kit for those who give it what its types forbid."""


def once(*phases: Phase) -> settings:
    return settings(
        max_examples=2000,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=phases,
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def some(strategy: st.SearchStrategy[T], condition: Callable[[T], object]) -> T:
    """A value of the strategy for which the condition holds; raises if none is drawn."""
    return find(strategy, lambda value: bool(condition(value)), settings=once(Phase.generate))


def smallest(strategy: st.SearchStrategy[T], condition: Callable[[T], object] = lambda _: True) -> T:
    """The value for which the condition holds to which Hypothesis shrinks."""
    shrinking = once(Phase.generate, Phase.shrink)
    return find(strategy, lambda value: bool(condition(value)), settings=shrinking)


@pytest.fixture(params=["sub-status", "open-resolved"])
def built_in(request: pytest.FixtureRequest) -> Policy:
    return load_policy(str(request.param))


@pytest.fixture
def silent() -> Policy:
    """A policy in which nothing can happen."""
    return load_policy({"format": 1, "name": "silent", "initial": "here", "statuses": {"here": {}}})


@pytest.fixture
def endless() -> Policy:
    """A policy of which one timer comes as late as time goes on."""
    return load_policy(
        {
            "format": 1,
            "name": "endless",
            "initial": "here",
            "statuses": {"here": {}, "there": {}},
            "timers": {
                "soon": {"in": "here", "kind": "remind", "after": {"days": 1}},
                "late": {"in": "here", "kind": "remind", "after": {"days": 3_652_000}},
            },
        }
    )


# --- instants ----------------------------------------------------------------


@given(at=testing.instants() | testing.instants(extreme=True) | testing.instants(BERLIN))
def test_instants_are_aware_and_in_utc(at: datetime) -> None:
    assert at.tzinfo is UTC
    assert at.fold == 0


@pytest.mark.parametrize("zone", [None, BERLIN, "Asia/Manila"])
@pytest.mark.parametrize("nudge", [timedelta(0), TICK, -TICK])
def test_instants_come_to_the_microsecond_of_a_turn_of_the_clocks(zone: str | None, nudge: timedelta) -> None:
    known = {turn for name in ([zone] if zone else ZONES) for turn in turns(name)}
    assert some(testing.instants(zone), lambda at: at - nudge in known)


def test_the_turns_of_a_zone_that_nobody_listed_are_found() -> None:
    assert turns("Europe/Paris") == tuple(
        utc(text)
        for text in (
            "2025-03-30T01:00",
            "2025-10-26T01:00",
            "2026-03-29T01:00",
            "2026-10-25T01:00",
            "2027-03-28T01:00",
            "2027-10-31T01:00",
        )
    )
    assert turns("Asia/Kolkata") == ()


@given(at=testing.instants("Asia/Kolkata"))
def test_a_zone_without_turns_has_instants_as_well(at: datetime) -> None:
    assert 2010 <= at.year <= 2030


def test_only_extreme_instants_are_at_the_ends_of_time() -> None:
    assert some(testing.instants(extreme=True), lambda at: at == FIRST) == FIRST
    assert some(testing.instants(extreme=True), lambda at: at == LAST) == LAST


@given(at=testing.instants())
def test_other_instants_are_not_at_the_ends_of_time(at: datetime) -> None:
    assert 1844 <= at.year <= 2030


@given(data=st.data(), one=testing.instants(extreme=True), other=testing.instants(extreme=True))
def test_bounds_hold_for_every_instant(data: st.DataObject, one: datetime, other: datetime) -> None:
    low, high = sorted((one, other))
    for zone in (None, BERLIN):
        assert low <= data.draw(testing.instants(zone, min_value=low))
        assert data.draw(testing.instants(zone, max_value=high)) <= high
        assert low <= data.draw(testing.instants(zone, min_value=low, max_value=high)) <= high


def test_the_bounds_themselves_are_some() -> None:
    low, high = utc("2026-03-28T12:00:00.000001"), utc("2026-03-30T12:00")
    between = testing.instants(BERLIN, min_value=low, max_value=high)
    assert some(between, lambda at: at == low) == low
    assert some(between, lambda at: at == high) == high
    assert some(between, lambda at: at == turns(BERLIN)[0]) == turns(BERLIN)[0]


# --- lengths and calendars -----------------------------------------------------


@given(length=testing.lengths())
def test_lengths_are_what_a_policy_may_name(length: Length) -> None:
    assert length.amount >= (length.unit != "elapsed")
    assert length.nominal <= timedelta(days=45)


@given(length=testing.lengths("business_days"), other=testing.lengths(["elapsed", "calendar_days"]))
def test_lengths_are_of_the_kinds_that_were_asked_for(length: Length, other: Length) -> None:
    assert length.unit == "business_days"
    assert other.unit in ("elapsed", "calendar_days")


def test_huge_lengths_are_longer_than_time_goes_on() -> None:
    calendar = Calendar()
    huge = some(testing.lengths(huge=True), lambda length: calendar.add(utc("2026-01-01"), length) is None)
    assert huge.nominal > timedelta(days=365 * 7000)


def test_lengths_shrink_towards_nothing_or_one_day() -> None:
    assert smallest(testing.lengths("elapsed")) == Length("elapsed", 0)
    assert smallest(testing.lengths("business_days")) == Length("business_days", 1)
    assert smallest(
        testing.lengths(), lambda length: length.amount > 9 and length.unit == "calendar_days"
    ) == (Length("calendar_days", 10))


@given(calendar=testing.calendars())
def test_calendars_leave_a_business_day(calendar: Calendar) -> None:
    assert len(set(calendar.weekend)) < 7
    assert len(set(calendar.holidays)) == len(calendar.holidays)
    assert not any(isinstance(holiday, str) for holiday in calendar.holidays)
    assert calendar.add(utc("2026-01-01"), Length("business_days", 1)) is not None


def test_calendars_may_be_of_one_zone_and_have_the_holidays_of_regions() -> None:
    calendar = smallest(
        testing.calendars(zone="Asia/Tokyo", regions=True), lambda calendar: "IT" in calendar.holidays
    )
    assert calendar == Calendar(zone="Asia/Tokyo", weekend=(), holidays=("IT",))
    assert smallest(testing.calendars()) == Calendar(zone="UTC", weekend=())


# --- policies ----------------------------------------------------------------


@given(table=testing.policy_tables(), policy=testing.policies())
def test_policies_are_legal_and_read_back(table: dict[str, Any], policy: Policy) -> None:
    assert isinstance(load_policy(table), Policy)
    assert Policy.from_dict(policy.to_dict()) == policy


@given(
    policy=testing.policies(units="elapsed", notice=False, moves=False, zone=BERLIN),
)
def test_policies_are_as_simple_as_was_asked_for(policy: Policy) -> None:
    assert policy.calendar.zone == BERLIN
    for timer in policy.timers.values():
        assert timer.after.unit == "elapsed"
        assert timer.notice is None
        assert timer.to is None


def test_the_smallest_policy_is_one_status() -> None:
    policy = smallest(testing.policies())
    assert (policy.states, policy.transitions, dict(policy.timers)) == (("new",), (), {})


def test_the_smallest_policy_that_closes_cases_is_readable() -> None:
    policy = smallest(
        testing.policies(units="elapsed"),
        lambda policy: any(timer.kind == "close" for timer in policy.timers.values()),
    )
    (timer,) = policy.timers.values()
    assert timer.after == Length("elapsed", 0)
    assert policy.is_closed(str(timer.to))
    assert policy.transitions == ()
    assert len(policy.states) <= 5


# --- cases -------------------------------------------------------------------


@given(data=st.data(), policy=testing.policies())
def test_a_workflow_takes_every_case(data: st.DataObject, policy: Policy) -> None:
    workflow = Workflow(policy)
    case = data.draw(testing.cases(policy, extreme=True))
    assert workflow.explain(case, now=case.entered_at) is not None
    assert any(policy.schedules.values()) == bool(policy.schedules[case.state])
    assert data.draw(testing.cases(policy, settled=False)).settled is None
    state = data.draw(st.sampled_from(policy.states))
    assert data.draw(testing.cases(policy, state=state)).state == state


def test_cases_have_no_history_and_may_be_of_any_time_and_settled(built_in: Policy) -> None:
    assert some(testing.cases(built_in), lambda case: case.settled is not None).settled_at is not None
    assert some(testing.cases(built_in, extreme=True), lambda case: case.entered_at == LAST).history == ()


def refusal(workflow: Workflow, case: Case) -> str:
    """What a workflow has against a case; nothing if it takes it."""
    try:
        workflow.allowed(case)
    except (UnknownStatus, CaseDataError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize(
    "words",
    [
        "UnknownStatus: case 'C-1042': status: unknown status 'unknown'",
        "UnknownStatus: case 'C-1042': sub_status of pending: unknown status 'unknown'",
        "CaseDataError: case 'C-1042': sub_status: is missing",
        "CaseDataError: case 'C-1042': settled: 'unknown' is no timer",
        "CaseDataError: case 'C-1042': settled: 'close_awaiting' is no timer of pending.customer_input",
        "CaseDataError: case 'C-1042': policy: the case is of 'unknown'",
    ],
)
def test_hostile_cases_are_wrong_in_every_way_that_there_is(words: str) -> None:
    workflow = Workflow(policies.SUB_STATUS)
    hostile = testing.cases(policies.SUB_STATUS, hostile=True)
    some(hostile, lambda case: refusal(workflow, case).replace(repr(case.id), "'C-1042'").startswith(words))


def test_about_half_of_the_hostile_cases_are_refused(built_in: Policy) -> None:
    workflow = Workflow(built_in)
    refused: list[bool] = []

    @settings(max_examples=200, database=None, derandomize=True)
    @given(case=testing.cases(built_in, hostile=True))
    def count(case: Case) -> None:
        refused.append(bool(refusal(workflow, case)))

    count()
    assert 50 < sum(refused) < 150


@given(data=st.data(), policy=testing.policies())
def test_no_policy_takes_a_case_that_was_twisted(data: st.DataObject, policy: Policy) -> None:
    from casestate.testing.strategies import _twisted  # noqa: PLC0415 - that half of the strategy

    case = data.draw(testing.cases(policy).flatmap(lambda case: _twisted(policy, case)))
    assert refusal(Workflow(policy), case)


def test_an_unknown_name_is_none_of_the_known_ones() -> None:
    table = {
        "format": 1,
        "name": "unknown",
        "initial": "unknown",
        "statuses": {"unknown": {}, "unknown_x": {}},
        "timers": {"unknown": {"in": "*", "kind": "remind", "after": {"days": 1}}},
    }
    policy = load_policy(table)
    names = some(testing.cases(policy, hostile=True), lambda case: case.status == "unknown_x_x")
    assert refusal(Workflow(policy), names)


# --- histories -----------------------------------------------------------------


def timers_of(case: Case) -> list[Change]:
    return [change for change in case.history if change.by == "system"]


@given(data=st.data())
def test_every_history_is_legal_and_every_case_opened(data: st.DataObject) -> None:
    policy = data.draw(
        st.sampled_from([policies.SUB_STATUS, policies.OPEN_RESOLVED]) | testing.policies(), label="policy"
    )
    case = data.draw(testing.histories(policy))
    assert_history_is_legal(case, policy=policy)
    assert case.opened_at is not None
    assert case.policy == policy.name
    assert len(case.history) <= 12


def test_a_history_has_every_event_and_every_timer(built_in: Policy) -> None:
    seen: set[str] = set()

    @settings(max_examples=400, database=None, derandomize=True)
    @given(case=testing.histories(built_in, max_changes=30))
    def look(case: Case) -> None:
        seen.update(change.event for change in case.history)

    look()
    timers = {timer.name for timers in built_in.schedules.values() for timer in timers}
    assert seen == {*built_in.events, *timers}


@pytest.mark.parametrize(
    "condition",
    [
        lambda case: case.cloned_from,
        lambda case: len(case.clones) == 2,
        lambda case: any(change.detail == ("remind_customer",) for change in case.history),
        lambda case: any(
            change.event == "remind_customer" and change.at - case.opened_at > timedelta(days=100)
            for change in case.history
        ),
        lambda case: any(
            change.event == "close_pending" and change.at.microsecond for change in case.history
        ),
        lambda case: any(
            later.event == "comment" and later.at - change.at == timedelta(days=7) - TICK
            for change, later in pairwise(case.history)
        ),
        lambda case: case.state == "pending.customer_input" and not case.settled and case.history[-1].actor,
    ],
    ids=["a clone", "cloned twice", "passed over", "late", "tick", "just before", "never"],
)
def test_histories_are_hostile(condition: Callable[[Case], object]) -> None:
    assert some(testing.histories(policies.SUB_STATUS), condition).opened_at


def test_the_smallest_history_is_empty_and_the_next_one_event(built_in: Policy) -> None:
    assert smallest(testing.histories(built_in)).history == ()
    case = smallest(testing.histories(built_in), lambda case: case.stay == 2)
    (change,) = case.history
    assert change.at == case.opened_at
    assert (case.id, change.actor) == ("C-1042", None)


def test_the_smallest_unwarned_closure_is_two_entries() -> None:
    case = smallest(
        testing.histories(policies.SUB_STATUS),
        lambda case: any(change.event == "close_pending" for change in case.history),
    )
    assert [change.event for change in case.history][-1] == "close_pending"
    assert 2 <= len(case.history) <= 3
    assert case.history[-1].at - case.history[0].at == timedelta(days=28)


def test_a_case_to_which_nothing_can_happen_has_an_empty_history(silent: Policy) -> None:
    cases: list[Case] = []

    @given(case=testing.histories(silent))
    def look(case: Case) -> None:
        cases.append(case)

    look()
    assert {case.history for case in cases} == {()}


@given(data=st.data())
def test_no_history_goes_beyond_its_number_of_changes_or_the_end_of_time(data: st.DataObject) -> None:
    policy = policies.OPEN_RESOLVED
    assert data.draw(testing.histories(policy, max_changes=0)).history == ()
    assert len(data.draw(testing.histories(policy, max_changes=2)).history) <= 2


# --- actions -----------------------------------------------------------------


@given(data=st.data())
def test_actions_are_what_a_sweep_returns(data: st.DataObject) -> None:
    policy = data.draw(
        st.sampled_from([policies.SUB_STATUS, policies.OPEN_RESOLVED])
        | testing.policies().filter(lambda policy: policy.timers)
    )
    action = data.draw(testing.actions(policy))
    assert action.due_at >= action.entered_at
    schedules = [
        [timer.name for timer in schedule]
        for schedule in policy.schedules.values()
        if (action.kind, action.audience, action.to)
        in [(timer.kind, timer.audience, timer.to) for timer in schedule if timer.name == action.timer]
    ]
    passed = len(action.skipped)
    assert any(
        tuple(schedule[schedule.index(action.timer) - passed : schedule.index(action.timer)])
        == action.skipped
        for schedule in schedules
        if schedule.index(action.timer) >= passed
    )


def is_of(timer: str, action: Action) -> bool:
    return action.timer == timer


def test_every_timer_comes_up_as_an_action_with_others_passed_over(built_in: Policy) -> None:
    for timers in built_in.schedules.values():
        for timer in timers:
            assert some(testing.actions(built_in), partial(is_of, timer.name))
    assert some(testing.actions(policies.SUB_STATUS), lambda action: action.skipped).skipped == (
        "remind_customer",
    )


def test_a_timer_beyond_the_end_of_time_is_no_action(endless: Policy) -> None:
    names: set[str] = set()

    @settings(max_examples=100, database=None, derandomize=True)
    @given(action=testing.actions(endless))
    def look(action: Action) -> None:
        names.add(action.timer)

    look()
    assert names == {"soon"}


# --- wrong arguments -------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: KIT.instants(5), InvalidArgument, "an IANA name such as 'Europe/Berlin', not 5"),
        (lambda: KIT.instants("Moon"), PolicyError, "no time zone 'Moon'"),
        (lambda: KIT.instants(extreme=1), InvalidArgument, "extreme is True or False, not 1"),
        (lambda: KIT.instants(min_value=datetime(2026, 1, 1)), NaiveTimeError, "min_value"),  # noqa: DTZ001
        (lambda: KIT.instants(max_value="tomorrow"), InstantError, "max_value"),
        (lambda: KIT.instants(min_value=LAST, max_value=FIRST), InvalidArgument, "is after max_value"),
        (lambda: KIT.lengths("weeks"), InvalidArgument, "one or more of elapsed, calendar_days"),
        (lambda: KIT.lengths(()), InvalidArgument, "one or more of elapsed"),
        (lambda: KIT.lengths(7), InvalidArgument, "one or more of elapsed"),
        (lambda: KIT.lengths(huge=None), InvalidArgument, "huge is True or False"),
        (lambda: KIT.calendars(zone="Moon"), PolicyError, "no time zone 'Moon'"),
        (lambda: KIT.calendars(regions="DE"), InvalidArgument, "regions is True or False, not 'DE'"),
        (lambda: KIT.policies(units=["years"]), InvalidArgument, "not ['years']"),
        (lambda: KIT.policies(zone=7), InvalidArgument, "zone is an IANA name"),
        (lambda: KIT.policy_tables(moves="no"), InvalidArgument, "moves is True or False"),
        (
            lambda: KIT.cases("sub-status"),
            InvalidArgument,
            "a Policy (see load_policy), not 'sub-status'",
        ),
        (lambda: KIT.cases(policies.SUB_STATUS, state="opne"), UnknownStatus, "unknown status 'opne'"),
        (lambda: KIT.cases(policies.SUB_STATUS, hostile=2), InvalidArgument, "hostile is True or False"),
        (lambda: KIT.histories(None), InvalidArgument, "a Policy (see load_policy), not None"),
        (
            lambda: KIT.histories(policies.SUB_STATUS, max_changes=-1),
            InvalidArgument,
            "a whole number from 0 on, not -1",
        ),
        (
            lambda: KIT.histories(policies.SUB_STATUS, max_changes=True),
            InvalidArgument,
            "a whole number from 0 on, not True",
        ),
        (
            lambda: KIT.histories(policies.SUB_STATUS, max_changes="3"),
            InvalidArgument,
            "a whole number from 0 on, not '3'",
        ),
        (lambda: KIT.status_logs("sub-status"), InvalidArgument, "a Policy (see load_policy)"),
        (
            lambda: KIT.status_logs(policies.SUB_STATUS, max_rows=0),
            InvalidArgument,
            "max_rows is a whole number from 1 on, not 0",
        ),
        (lambda: KIT.status_logs(policies.SUB_STATUS, local=1), InvalidArgument, "local is True or False"),
        (lambda: KIT.actions({}), InvalidArgument, "a Policy (see load_policy), not {}"),
    ],
)
def test_a_wrong_argument_raises_where_the_strategy_is_made(
    make: Callable[[], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as raised:
        make()
    assert words in str(raised.value)


def test_a_policy_without_timers_has_no_actions(silent: Policy) -> None:
    with pytest.raises(InvalidArgument, match="'silent' has no timers"):
        testing.actions(silent)


def test_regions_need_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    for make in (testing.calendars, testing.policies):
        with pytest.raises(InvalidArgument, match=r"pip install 'casestate\[holidays\]'"):
            make(regions=True)
    assert isinstance(testing.calendars(regions=False), st.SearchStrategy)


# --- logs of the past --------------------------------------------------------------


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("local", [False, True])
@given(data=st.data())
def test_a_status_log_is_read_by_its_mapping(*, data: st.DataObject, text: bool, local: bool) -> None:
    policy = data.draw(testing.policies())
    rows, mapping = data.draw(testing.status_logs(policy, max_rows=9, text=text, local=local))
    reading = Reading(policy, mapping)
    found = read(rows, Workflow(policy), reading)
    assert found.counts.rows == len(rows) <= 9
    assert found.counts.bad == 0
    assert all(row.keys() == rows[0].keys() for row in rows)
    instants = [row[reading.columns(rows[0])["at"]] for row in rows]
    assert {type(at) for at in instants} == {str if text else datetime}
    assert local or found.counts.zoned == 0
    assert text or found.counts.zoned == len(rows) * local


def _logs(policy: Policy, **how: bool) -> st.SearchStrategy[Past]:
    """What is read from status logs."""

    def past(drawn: tuple[list[dict[str, Any]], dict[str, Any]]) -> Past:
        return read(drawn[0], Workflow(policy), Reading(policy, drawn[1]))

    return testing.status_logs(policy, **how).map(past)


@pytest.mark.parametrize("count", ["ignored", "duplicates", "out_of_order"])
def test_a_status_log_has_all_that_is_hostile(built_in: Policy, count: str) -> None:
    assert some(_logs(built_in), lambda past: getattr(past.counts, count) > 1)


@pytest.mark.parametrize("count", ["zoned", "repeated", "skipped"])
def test_a_local_status_log_has_hours_that_are_not_or_twice(built_in: Policy, count: str) -> None:
    assert some(_logs(built_in, local=True, text=True), lambda past: getattr(past.counts, count))


def test_a_status_log_has_cases_that_begin_closed_and_stays_left_when_a_timer_is_due(
    built_in: Policy,
) -> None:
    table = schedules(built_in)

    def is_left(past: Past, late: timedelta) -> bool:
        """Whether a stay was left so much later than a timer of it was due."""
        return any(
            later.entered_at == due_at + late
            for stays in past.stays.values()
            for stay, later in pairwise(stays)
            for due_at in table[stay.state].firings(stay.entered_at)
            if due_at != stay.entered_at
        )

    for late in (timedelta(0), TICK, -TICK):
        assert some(_logs(built_in), partial(is_left, late=late))
    assert some(
        _logs(built_in),
        lambda past: any(built_in.is_closed(stays[0].state) for stays in past.stays.values()),
    )


def test_status_logs_shrink_towards_one_row(built_in: Policy) -> None:
    rows, _ = smallest(testing.status_logs(built_in))
    assert len(rows) == 1


# --- how it is found ---------------------------------------------------------------


@pytest.mark.parametrize("cls", [Action, Calendar, Case, Change, Length, Policy, Workflow])
def test_hypothesis_knows_our_types_by_themselves(cls: type) -> None:
    register()  # the entry point has done so already; once more does no harm
    values: list[object] = []

    @settings(max_examples=20, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(value=st.from_type(cls))
    def look(value: object) -> None:
        values.append(value)

    look()
    assert len(values) >= 10
    assert {type(value) for value in values} == {cls}


def test_a_case_drawn_by_its_type_is_of_any_policy_with_or_without_a_history() -> None:
    names = {policies.SUB_STATUS.name, policies.OPEN_RESOLVED.name}
    assert some(st.from_type(Case), lambda case: case.policy in names).history == ()
    assert some(st.from_type(Case), lambda case: case.policy == "own_-2")
    assert some(st.from_type(Case), lambda case: len(case.history) > 1)


def run(program: str) -> Any:  # noqa: ANN401 - what the program prints as JSON
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_importing_hypothesis_registers_our_types_and_imports_no_strategy() -> None:
    program = """
import json, sys
import hypothesis
import hypothesis.strategies as st
before = [name for name in sys.modules if name.startswith("casestate.testing")]
from casestate import Case
found = hypothesis.find(st.from_type(Case), lambda case: True)
print(json.dumps([before, type(found).__name__]))
"""
    assert run(program) == [[], "Case"]


def test_the_kit_may_be_imported_before_hypothesis() -> None:
    program = "import json, casestate.testing as kit; print(json.dumps(sorted(kit.__all__)))"
    assert run(program) == sorted(testing.__all__)


def test_importing_the_library_leaves_hypothesis_alone() -> None:
    program = "import json, sys, casestate; print(json.dumps('hypothesis' in sys.modules))"
    assert run(program) is False


def test_what_the_kit_offers_is_there_in_order() -> None:
    assert testing.__all__ == sorted(testing.__all__, key=lambda name: (name[0].islower(), name))
    for name in testing.__all__:
        assert getattr(testing, name).__doc__
    assert casestate.testing is testing
