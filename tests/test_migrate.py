"""Moving cases to another version of their policy: nobody is closed sooner, or with less warning."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from builders import DAY, MONDAY, TICK, case_in, due, settled_all, the_due
from casestate import (
    Case,
    CaseDataError,
    Change,
    EventRefused,
    ManualClock,
    NaiveTimeError,
    PolicyError,
    TimeOrderError,
    Workflow,
    load_policy,
)


if TYPE_CHECKING:
    from collections.abc import Mapping

DESK: Mapping[str, Any] = MappingProxyType(
    {
        "format": 1,
        "name": "desk",
        "initial": "open",
        "statuses": {
            "open": {},
            "waiting": {"sub_statuses": {"customer": {}, "vendor": {}}},
            "parked": {},
            "closed": {"closed": True},
        },
        "transitions": [
            {"event": "ask", "by": "agent", "from": "*open", "to": "waiting"},
            {"event": "reply", "by": "customer", "from": "waiting", "to": "@previous"},
            {"event": "reply", "by": "customer", "from": "waiting", "to": "open"},
        ],
        "timers": {
            "tell": {"in": "waiting.customer", "kind": "notify", "after": {"days": 0}},
            "remind": {"in": "waiting.customer", "kind": "remind", "after": {"days": 7}},
            "close": {"in": "waiting.customer", "after": {"days": 14}, "to": "closed"},
        },
    }
)
NOW = MONDAY + 10 * DAY


@pytest.fixture
def desk() -> Workflow:
    return Workflow(load_policy(DESK), clock=lambda: NOW)


def version_2(**timers: object) -> Workflow:
    """The desk's next version: other timers, all else the same."""
    return Workflow(load_policy(DESK).override({"name": "desk-2", "timers": timers}))


def waiting(**fields: Any) -> Case:  # noqa: ANN401 - a case's own fields
    """A case that has waited ten days for its customer, who has been reminded."""
    fields = {
        "policy": "desk",
        "stay": 3,
        "previous": "open",
        "assignee": "mira",
        "settled": "remind",
        "settled_at": MONDAY + 7 * DAY,
        **fields,
    }
    return case_in("waiting.customer", **fields)


# --- what stays --------------------------------------------------------------


def test_a_state_that_stays_keeps_its_stay_and_what_has_been_settled(desk: Workflow) -> None:
    case = waiting(opened_at=MONDAY - DAY, clones=("C-2",), cloned_from="C-0")
    moved = desk.migrate(case, version_2())
    entry = Change(
        at=NOW,
        event="migrate",
        by="system",
        from_state="waiting.customer",
        to_state="waiting.customer",
        stay=3,
        detail="desk-2",
    )
    assert moved == attrs.evolve(case, policy="desk-2", history=(entry,))
    assert (moved.changed_at, moved.standing) == (NOW, "desk-2/waiting.customer/remind")
    assert version_2().next_due(moved) == MONDAY + 14 * DAY


def test_the_history_keeps_all_that_it_had(desk: Workflow) -> None:
    case = desk.apply(case_in("open"), "ask", by="agent", sub_status="customer", at=MONDAY)
    case = settled_all(desk, case, MONDAY + 7 * DAY)
    moved = desk.migrate(case, version_2())
    assert moved.history[:-1] == case.history
    assert len(moved.history) == 3


def test_a_case_without_a_policys_name_gets_the_new_one(desk: Workflow) -> None:
    moved = desk.migrate(case_in("open"), version_2())
    assert (moved.policy, moved.state, moved.stay, moved.entered_at) == ("desk-2", "open", 1, MONDAY)


def test_the_same_policy_may_be_migrated_to_as_well(desk: Workflow) -> None:
    moved = desk.migrate(waiting(), desk, at=NOW)
    assert moved == attrs.evolve(waiting(), history=moved.history)
    assert moved.history[-1].detail == "desk"


def test_a_state_may_be_mapped_to_itself(desk: Workflow) -> None:
    moved = desk.migrate(waiting(), version_2(), {"waiting.customer": "waiting.customer"})
    assert (moved.stay, moved.entered_at, moved.settled) == (3, MONDAY, "remind")


# --- the map -----------------------------------------------------------------


def test_a_case_whose_state_is_mapped_begins_a_new_stay(desk: Workflow) -> None:
    new = Workflow(
        load_policy(DESK).override(
            {"name": "desk-2", "statuses": {"parked": False, "waiting": {"sub_statuses": {"bench": {}}}}}
        )
    )
    case = case_in("parked", policy="desk", stay=5, previous="open", assignee="mira")
    moved = desk.migrate(case, new, {"parked": "waiting.bench"})
    entry = Change(
        at=NOW,
        event="migrate",
        by="system",
        from_state="parked",
        to_state="waiting.bench",
        stay=6,
        detail="desk-2",
    )
    assert moved == attrs.evolve(
        case,
        status="waiting",
        sub_status="bench",
        entered_at=NOW,
        policy="desk-2",
        stay=6,
        history=(entry,),
    )
    assert moved.state == "waiting.bench"


def test_what_was_settled_does_not_come_along_into_a_mapped_state(desk: Workflow) -> None:
    moved = desk.migrate(waiting(), version_2(), {"waiting.customer": "waiting.vendor"})
    assert (moved.state, moved.settled, moved.settled_at) == ("waiting.vendor", None, None)
    assert (moved.stay, moved.entered_at, moved.previous) == (4, NOW, "open")


def test_a_state_without_sub_statuses_takes_the_place_of_one_with_them(desk: Workflow) -> None:
    moved = desk.migrate(waiting(), version_2(), {"waiting.customer": "parked"})
    assert (moved.status, moved.sub_status, moved.state) == ("parked", None, "parked")


def test_the_map_speaks_of_the_previous_state_too(desk: Workflow) -> None:
    new = Workflow(load_policy(DESK).override({"name": "desk-2", "statuses": {"work": {}}}))
    moved = desk.migrate(waiting(), new, {"open": "work"})
    assert (moved.previous, moved.stay) == ("work", 3)
    assert new.apply(moved, "reply", by="customer", at=NOW).state == "work"
    assert desk.migrate(waiting(previous=None), new, {"open": "work"}).previous is None
    assert desk.migrate(waiting(previous="parked"), new, {"open": "work"}).previous == "parked"


def test_a_previous_state_that_becomes_part_of_the_same_status_is_forgotten(desk: Workflow) -> None:
    for mapping in ({"open": "waiting.vendor"}, {"open": "waiting.customer"}):
        moved = desk.migrate(waiting(), version_2(), mapping)
        assert (moved.state, moved.previous, moved.stay) == ("waiting.customer", None, 3)
        assert version_2().apply(moved, "reply", by="customer", at=NOW).state == "open"


def test_that_holds_for_a_status_without_sub_statuses_too(desk: Workflow) -> None:
    moved = desk.migrate(case_in("parked", previous="open"), version_2(), {"open": "parked"})
    assert (moved.state, moved.previous) == ("parked", None)


def test_every_problem_of_the_map_is_reported_at_once(desk: Workflow) -> None:
    new = Workflow(
        load_policy(DESK).override(
            {"name": "desk-2", "statuses": {"parked": False, "waiting": {"sub_statuses": {"vendor": False}}}}
        )
    )
    with pytest.raises(PolicyError) as refused:
        desk.migrate(waiting(), new, {"parkd": "open", "open": "opn", "waiting": "open"})
    assert refused.value.subject == "migrate"
    old = "(there are: open, waiting.customer, waiting.vendor, parked, closed)"
    assert [(problem.path, problem.message) for problem in refused.value.problems] == [
        ("states.parkd", f"no state of this policy; did you mean 'parked'? {old}"),
        ("states.waiting", f"no state of this policy; did you mean 'waiting.vendor'? {old}"),
        (
            "states.open",
            "no state to go to: 'opn'; did you mean 'open'? (there are: open, waiting.customer, closed)",
        ),
        (
            "states.waiting.vendor",
            "is missing: the state is gone; map it to one of open, waiting.customer, closed",
        ),
        ("states.parked", "is missing: the state is gone; map it to one of open, waiting.customer, closed"),
    ]


def test_a_state_that_is_gone_has_to_be_mapped_whoever_is_in_it(desk: Workflow) -> None:
    new = Workflow(load_policy(DESK).override({"name": "desk-2", "statuses": {"parked": False}}))
    with pytest.raises(PolicyError):
        desk.migrate(case_in("open"), new)
    assert desk.migrate(case_in("open"), new, {"parked": "open"}).state == "open"


# --- what has been settled, under the other schedule -------------------------


@pytest.mark.parametrize(
    ("timers", "settled"),
    [
        ({}, "remind"),
        ({"remind": False}, "tell"),
        ({"remind": False, "tell": False}, None),
        ({"early": {"in": "waiting.customer", "kind": "notify", "after": {"days": 3}}}, "remind"),
        ({"late": {"in": "waiting.customer", "kind": "notify", "after": {"days": 9}}}, "remind"),
        ({"tell": {"after": {"days": 8}}}, "tell"),
        ({"remind": {"in": "parked"}}, "tell"),
    ],
)
def test_the_furthest_timer_that_was_dealt_with_counts_as_settled(
    desk: Workflow, timers: dict[str, object], settled: str | None
) -> None:
    moved = desk.migrate(waiting(), version_2(**timers))
    assert (moved.settled, moved.stay, moved.entered_at) == (settled, 3, MONDAY)
    assert moved.settled_at == (MONDAY + 7 * DAY if settled else None)


def test_a_timer_that_was_passed_over_has_not_been_dealt_with(desk: Workflow) -> None:
    case = case_in("waiting.customer")
    case = desk.settle(case, the_due(desk, case, NOW), at=NOW)
    assert case.history[-1].detail == ("tell",)
    assert desk.migrate(case, desk).settled == "remind"
    after = version_2(remind=False)
    moved = desk.migrate(case, after)
    assert (moved.settled, moved.settled_at) == (None, None)
    assert the_due(after, moved, NOW).timer == "tell"


def test_a_timer_that_is_still_to_come_comes_also_where_it_now_stands_first(desk: Workflow) -> None:
    case = case_in("waiting.customer")
    case = desk.settle(case, the_due(desk, case, MONDAY + 5 * DAY), at=MONDAY + 5 * DAY)
    assert case.settled == "tell"
    after = version_2(remind={"after": {"days": 6}}, tell={"after": {"days": 9}})
    moved = desk.migrate(case, after, at=MONDAY + 5 * DAY)
    assert moved.settled is None
    assert [action.timer for action in after.forecast(moved, now=MONDAY + 5 * DAY)] == [
        "remind",
        "tell",
        "close",
    ]


def test_a_closed_case_is_not_closed_sooner() -> None:
    old = load_policy(DESK)
    new = old.override(
        {
            "statuses": {"archived": {"closed": True}},
            "timers": {"archive": {"in": "closed", "after": {"days": 365}, "to": "archived"}},
        }
    )
    case = case_in("closed", entered_at=MONDAY)
    moved = Workflow(old).migrate(case, Workflow(new), at=MONDAY + 200 * DAY)
    assert (moved.stay, moved.entered_at) == (case.stay, MONDAY)


def test_a_timer_that_closes_now_has_not_been_dealt_with_because_it_once_told() -> None:
    old = load_policy(DESK).override({"timers": {"close": False}})
    closing = {"in": "waiting.customer", "after": {"days": 20}, "to": "closed"}
    new = old.override({"timers": {"remind": False}}).override({"timers": {"remind": closing}})
    after = Workflow(new)
    moved = Workflow(old).migrate(waiting(), after, at=NOW)
    assert (moved.stay, moved.entered_at, moved.settled) == (4, NOW, None)
    assert the_due(after, settled_all(after, moved, NOW), NOW + 20 * DAY).to == "closed"


# --- never sooner ------------------------------------------------------------


def closes_after(**length: int) -> Workflow:
    return version_2(close={"after": length})


@pytest.mark.parametrize(
    ("length", "keeps"),
    [
        ({"days": 14}, True),
        ({"days": 14, "seconds": 1}, True),
        ({"days": 40}, True),
        ({"days": 13, "hours": 23, "minutes": 59, "seconds": 59}, False),
        ({"days": 8}, False),
    ],
)
def test_where_the_closure_would_come_sooner_a_new_stay_begins(
    desk: Workflow,
    length: dict[str, int],
    keeps: bool,  # noqa: FBT001 - a column of the table
) -> None:
    new = closes_after(**length)
    moved = desk.migrate(waiting(), new)
    entry = moved.history[-1]
    assert entry.from_state == entry.to_state == "waiting.customer"
    assert entry.stay == moved.stay
    if keeps:
        assert (moved.stay, moved.entered_at, moved.settled) == (3, MONDAY, "remind")
        return
    assert (moved.stay, moved.entered_at, moved.settled, moved.settled_at) == (4, NOW, None, None)
    assert (moved.previous, moved.assignee) == ("open", "mira")
    assert the_due(new, moved, NOW).timer == "tell"


def test_what_is_overdue_under_both_stays_overdue(desk: Workflow) -> None:
    late = MONDAY + 20 * DAY
    moved = desk.migrate(waiting(), closes_after(days=8), at=late)
    assert (moved.stay, moved.entered_at) == (3, MONDAY)
    assert the_due(closes_after(days=8), moved, late).timer == "close"


def test_what_is_overdue_only_under_the_new_one_begins_anew(desk: Workflow) -> None:
    just_before = MONDAY + 14 * DAY - TICK
    assert desk.migrate(waiting(), closes_after(days=8), at=just_before).stay == 4
    assert desk.migrate(waiting(), closes_after(days=8), at=just_before + TICK).stay == 3


def test_a_closure_where_there_was_none_begins_anew(desk: Workflow) -> None:
    new = version_2(shut={"in": "parked", "after": {"days": 365}, "to": "closed"})
    moved = desk.migrate(case_in("parked", policy="desk"), new)
    assert (moved.stay, moved.entered_at) == (2, NOW)


def test_a_closure_that_is_gone_and_a_reminder_that_is_new_keep_the_stay(desk: Workflow) -> None:
    assert desk.migrate(waiting(), version_2(close=False)).stay == 3
    nag = {"in": "parked", "kind": "remind", "after": {"days": 1}}
    moved = desk.migrate(case_in("parked", policy="desk"), version_2(nag=nag))
    assert (moved.stay, moved.entered_at) == (1, MONDAY)
    assert the_due(version_2(nag=nag), moved, NOW).timer == "nag"


# --- never with less warning -------------------------------------------------


def test_a_closure_inside_a_new_notice_begins_anew(desk: Workflow) -> None:
    new = version_2(close={"after": {"days": 15}, "notice": {"days": 6}})
    moved = desk.migrate(waiting(), new)
    assert (moved.stay, moved.entered_at, moved.settled) == (4, NOW, None)


def test_a_closure_after_the_new_notice_is_over_keeps_the_stay(desk: Workflow) -> None:
    new = version_2(close={"after": {"days": 15}, "notice": {"days": 5}})
    moved = desk.migrate(waiting(), new)
    assert (moved.stay, moved.settled, moved.settled_at) == (3, "remind", MONDAY + 7 * DAY)


@pytest.mark.parametrize(("old", "stay"), [(6, 3), (7, 3), (5, 4), (0, 4)])
def test_a_notice_that_was_as_long_before_changes_nothing(old: int, stay: int) -> None:
    before = Workflow(load_policy(DESK).override({"timers": {"close": {"notice": {"days": old}}}}))
    new = version_2(close={"notice": {"days": 6}})
    assert before.migrate(waiting(), new, at=NOW).stay == stay


def test_an_unsent_warning_is_still_to_come_and_so_is_the_notice(desk: Workflow) -> None:
    new = version_2(close={"after": {"days": 15}, "notice": {"days": 6}})
    unwarned = waiting(settled=None, settled_at=None)
    moved = desk.migrate(unwarned, new)
    assert (moved.stay, moved.entered_at, moved.settled) == (3, MONDAY, None)
    assert [(one.timer, one.due_at) for one in new.forecast(moved, now=NOW)] == [
        ("remind", MONDAY + 7 * DAY),
        ("close", NOW + 6 * DAY),
    ]


def test_a_notice_that_ends_beyond_the_year_9999_begins_nothing() -> None:
    before = Workflow(load_policy(DESK).override({"timers": {"close": {"notice": {"days": 1}}}}))
    new = version_2(close={"notice": {"days": 3_000_000}})
    assert before.migrate(waiting(), new, at=NOW).stay == 3


# --- timers that move --------------------------------------------------------

ESCALATING: Mapping[str, Any] = MappingProxyType(
    {
        "format": 1,
        "name": "desk",
        "initial": "first",
        "statuses": {"first": {}, "second": {}, "closed": {"closed": True}},
        "timers": {
            "up": {"in": "first", "after": {"days": 20}, "to": "second"},
            "shut": {"in": "second", "after": {"days": 5}, "to": "closed"},
        },
    }
)


def escalating(**timers: object) -> Workflow:
    return Workflow(load_policy(ESCALATING).override({"timers": timers}))


def test_a_case_that_only_moves_sooner_keeps_its_stay() -> None:
    before, after = escalating(shut=False), escalating(shut=False, up={"after": {"days": 3}})
    moved = before.migrate(case_in("first"), after, at=NOW)
    assert (moved.stay, moved.entered_at) == (1, MONDAY)
    assert the_due(after, moved, NOW).timer == "up"


def test_a_closure_that_comes_sooner_by_way_of_other_states_begins_anew() -> None:
    before = escalating()
    for timers, stay in (
        ({}, 1),
        ({"up": {"after": {"days": 21}}}, 1),
        ({"up": {"after": {"days": 19}}}, 2),
        ({"shut": {"after": {"days": 4}}}, 2),
        ({"shut": {"after": {"days": 4}}, "up": {"after": {"days": 21}}}, 1),
        ({"shut": False}, 1),
    ):
        changes: dict[str, Any] = dict(timers)
        moved = before.migrate(case_in("first"), escalating(**changes), at=NOW)
        assert moved.stay == stay


def test_a_warning_in_a_state_still_to_come_is_in_time() -> None:
    warned = {
        "warn": {"in": "second", "kind": "notify", "after": {"days": 0}},
        "shut": {"notice": {"days": 30}},
    }
    assert escalating().migrate(case_in("first"), escalating(**warned), at=NOW).stay == 1


def test_a_case_that_goes_round_and_round_is_never_closed() -> None:
    down = {"in": "second", "after": {"days": 1}, "to": "first"}
    before = escalating(shut=False)
    circle = escalating(shut=False, down=down)
    assert before.migrate(case_in("first"), circle, at=NOW).stay == 1
    assert circle.migrate(case_in("first"), before, at=NOW).stay == 1
    assert circle.migrate(case_in("first"), escalating(), at=NOW).stay == 2


# --- the case, the instant and the documents ---------------------------------


def test_migrating_goes_forward_in_time_only(desk: Workflow) -> None:
    with pytest.raises(TimeOrderError) as refused:
        desk.migrate(waiting(), version_2(), at=MONDAY + 7 * DAY - TICK)
    assert refused.value.earliest == MONDAY + 7 * DAY
    with pytest.raises(NaiveTimeError):
        desk.migrate(waiting(), version_2(), at=NOW.replace(tzinfo=None))
    assert desk.migrate(waiting(), version_2(), at=MONDAY + 7 * DAY).changed_at == MONDAY + 7 * DAY


def test_the_clock_of_the_old_desk_says_when() -> None:
    clock = ManualClock(NOW)
    before = Workflow(load_policy(DESK), clock=clock)
    after = Workflow(load_policy(DESK).override({"name": "desk-2"}), clock=lambda: NOW - 100 * DAY)
    assert before.migrate(waiting(), after).changed_at == NOW


def test_a_migrated_case_is_refused_by_the_old_desk_and_taken_by_the_new(desk: Workflow) -> None:
    moved = desk.migrate(waiting(), version_2())
    with pytest.raises(CaseDataError):
        desk.next_due(moved)
    assert version_2().allowed(moved, by="customer") == ("reply",)
    with pytest.raises(EventRefused):
        version_2().apply(moved, "ask", by="customer", at=NOW)


def test_a_case_can_go_from_one_document_to_the_other() -> None:
    before = Workflow(load_policy("sub-status"))
    after = Workflow(load_policy("open-resolved"))
    states = {
        "pending.customer_input": "pending_customer",
        "pending.development": "in_progress",
        "pending.scheduled_support_service": "in_progress",
        "pending.third_party_provider": "in_progress",
        "awaiting_customer_confirmation": "resolved",
        "reopened": "open",
        "update_received": "open",
    }
    case = case_in("awaiting_customer_confirmation", previous="reopened", policy="sub-status")
    moved = before.migrate(case, after, states, at=NOW)
    assert (moved.state, moved.policy, moved.previous, moved.entered_at) == (
        "resolved",
        "open-resolved",
        "open",
        NOW,
    )
    assert due(after, moved, NOW + 7 * DAY - TICK) is None
    assert the_due(after, moved, NOW + 7 * DAY).timer == "close_resolved"
    closed = before.migrate(case_in("closed", policy="sub-status"), after, states, at=NOW)
    assert (closed.state, closed.entered_at, closed.stay) == ("closed", MONDAY, 1)
