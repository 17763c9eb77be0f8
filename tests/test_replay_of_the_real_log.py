"""Replay of the log of a real help desk, beside plain comparisons that know nothing of the library.

The log stands beside the repository, not in it; see its SOURCE.txt. `real_log` reads it once more on its own,
with the documents' timers in a table. Every action is found in both ways; what became of the cases, who
may do what happened and what other lengths would have done is counted in both ways; the counts are pinned.
"""

from __future__ import annotations

import random

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import pytest

import real_log

from casestate import Workflow, load_policy
from casestate.replay import Closures, PastAction, Replay, replay, what_if
from curves import check_with_scipy, rough
from real_log import (
    READINGS,
    TIMERS,
    Event,
    due_at,
    events,
    needs_the_log,
    stays_of,
)


if TYPE_CHECKING:
    from collections.abc import Iterator

    from casestate.log import Restart

pytestmark = needs_the_log

DAY = timedelta(days=1)
LAST = datetime(2014, 1, 3, 13, 20, 58, tzinfo=UTC)
OCTOBER = datetime(2012, 10, 1, tzinfo=UTC)
BOTH = pytest.mark.parametrize("policy", ["sub-status", "open-resolved"])

# --- what was found ------------------------------------------------------------------

ACTIONS = {
    "sub-status": {
        "notify_reopened": 0,
        "notify_update_received": 0,
        "notify_awaiting": 4729,
        "close_awaiting": 4570,
        "remind_customer": 708,
        "close_pending": 99,
        "notify_closed": 4552,
    },
    "open-resolved": {"notify_pending": 1350, "close_pending": 427, "close_resolved": 4597},
}
CLOSURES = {
    "sub-status": (
        Closures(timer="close_awaiting", cases=4462, nothing_more=3, worked_on_again=19, resolved=4440),
        Closures(timer="close_pending", cases=99, nothing_more=7, worked_on_again=30, resolved=62),
    ),
    "open-resolved": (
        Closures(timer="close_pending", cases=422, nothing_more=8, worked_on_again=128, resolved=286),
        Closures(timer="close_resolved", cases=4150, nothing_more=10, worked_on_again=36, resolved=4104),
    ),
}
STAYS = {"sub-status": 20_266, "open-resolved": 20_256}
COUNTERFACTUAL = {"sub-status": (4561, 4764), "open-resolved": (4572, 472)}
NOT_ALLOWED = {
    "sub-status": {("closed", "in_progress"): 2},
    "open-resolved": {
        ("new", "pending_customer"): 72,
        ("pending_customer", "open"): 41,  # asked from elsewhere
        ("new", "in_progress"): 12,
        ("pending_customer", "in_progress"): 9,
        ("resolved", "pending_customer"): 3,
        ("resolved", "in_progress"): 1,
    },
}
# By timer and days: closed, followed for 30 days, of these back within them.
WHAT_IF = {
    ("sub-status", "close_pending"): {
        7: (690, 681, 225),
        14: (425, 415, 131),
        21: (223, 213, 68),
        28: (99, 95, 30),
    },
    ("sub-status", "close_awaiting"): {7: (4563, 4505, 34), 14: (4553, 4495, 18), 28: (2703, 2703, 2)},
    ("open-resolved", "close_pending"): {7: (690, 681, 225), 14: (425, 415, 131), 28: (99, 95, 30)},
    ("open-resolved", "close_resolved"): {7: (4563, 4505, 34), 15: (4496, 4436, 13), 30: (2435, 2435, 2)},
}
REPLIED = {
    "sub-status": {"pending.customer_input": (1350, 569), "awaiting_customer_confirmation": (4729, 156)},
    "open-resolved": {"pending_customer": (1350, 569), "resolved": (4729, 156)},
}


# --- the calculation ----------------------------------------------------------------

CLOSING = ("close_pending", "close_awaiting", "close_resolved")
WAITING = ("pending.customer_input", "awaiting_customer_confirmation", "pending_customer", "resolved")


class Stay(NamedTuple):
    """A stay of a case, and what came after it."""

    number: int
    state: str
    begin: datetime
    end: datetime | None
    to: str | None

    def goes_on_after(self, at: datetime) -> bool:
        """Whether the case was still there: at the end of a stay it was not, at the end of the log it was."""
        return at <= LAST if self.end is None else at < self.end


def past_of(told: list[Event], policy: str) -> list[Stay]:
    stays = stays_of(told, READINGS[policy], LAST)
    ends: list[tuple[str | None, datetime | None]] = [*stays[1:], (None, None)]
    return [
        Stay(number, state, begin, end, to)
        for number, ((state, begin), (to, end)) in enumerate(zip(stays, ends, strict=True), 1)
    ]


def actions_of(case: str, stays: list[Stay], policy: str) -> Iterator[PastAction]:
    for stay in stays:
        for timer in TIMERS[policy].get(stay.state, []):
            due = due_at(timer, stay.begin)
            if stay.goes_on_after(due):
                yield PastAction(
                    case_id=case,
                    stay=stay.number,
                    timer=timer.name,
                    kind=timer.kind,
                    entered_at=stay.begin,
                    due_at=due,
                    left_at=stay.end,
                    left_to=stay.to,
                )


def is_work(state: str) -> bool:
    return state != "closed" and state not in WAITING


def may(policy: str, source: str, target: str, asked_from: str | None) -> bool:
    """Whether anybody or any timer may move a case so, by the tables of the two documents."""
    if policy == "sub-status":
        if source == "closed":
            return False
        asked_again = source.startswith("pending.")
        plain = {"in_progress", "awaiting_customer_confirmation", "closed"} - {source}
        answered = {"awaiting_customer_confirmation": "reopened", "pending.customer_input": "update_received"}
        return (
            target in plain
            or (target.startswith("pending.") and (target != source or asked_again))
            or answered.get(source) == target
        )
    if target in ("resolved", "closed") and source != "closed":
        return source != target
    back = asked_from or "open"
    return target in {
        "new": ["open"],
        "open": ["in_progress", "pending_customer"],
        "in_progress": ["open", "pending_customer"],
        "pending_customer": ["pending_customer", back],
        "resolved": ["open", "new"],
        "closed": ["open", "new"],
    }.get(source, [])


@pytest.fixture(scope="module")
def log() -> dict[str, list[Event]]:
    return events()


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return real_log.rows()


@pytest.fixture(scope="module")
def found(rows: list[dict[str, str]]) -> dict[str, Replay]:
    return {
        policy: replay(rows, Workflow(load_policy(policy)), mapping=real_log.mapping(policy))
        for policy in ACTIONS
    }


# --- both ways -------------------------------------------------------------------------


@BOTH
def test_every_action_is_one_that_plain_comparisons_find_and_the_counts_are_known(
    log: dict[str, list[Event]], found: dict[str, Replay], policy: str
) -> None:
    expected: list[PastAction] = []
    for case, told in log.items():
        expected += actions_of(case, past_of(told, policy), policy)
    assert list(found[policy].actions) == expected
    assert {timer.timer: timer.actions for timer in found[policy].summary.timers} == ACTIONS[policy]
    assert len(expected) == sum(ACTIONS[policy].values())


@BOTH
def test_each_timer_of_a_few_cases_is_looked_at_by_itself(
    log: dict[str, list[Event]], found: dict[str, Replay], policy: str
) -> None:
    """The other way round: a timer that is not among the actions had not come due when its stay ended."""
    acts = {(act.case_id, act.stay, act.timer): act for act in found[policy].actions}
    chosen = random.Random(5).sample(sorted(log), 400)
    looked_at = 0
    for case in chosen:
        for stay in past_of(log[case], policy):
            for timer in TIMERS[policy].get(stay.state, []):
                looked_at += 1
                act = acts.get((case, stay.number, timer.name))
                assert stay.goes_on_after(stay.begin + timer.days * DAY) == (act is not None)
    assert looked_at > 500


@BOTH
def test_cases_stays_and_rows_are_all_accounted_for(
    log: dict[str, list[Event]], found: dict[str, Replay], policy: str
) -> None:
    summary = found[policy].summary
    assert (summary.rows, summary.bad_rows, summary.ignored_rows) == (21_348, 0, 14)
    assert (summary.duplicate_rows, summary.out_of_order_rows, summary.local_times) == (127, 0, 0)
    assert summary.duplicate_rows == sum(
        (event.at, event.raw) == (later.at, later.raw)
        for told in log.values()
        for event, later in pairwise(told)
    )
    assert (summary.first, summary.last, summary.horizon) == (
        min(event.at for told in log.values() for event in told),
        LAST,
        LAST,
    )
    assert (summary.cases, summary.stays) == (4580, STAYS[policy])
    assert summary.stays == sum(len(past_of(told, policy)) for told in log.values())
    assert (summary.counterfactual_cases, summary.counterfactual_actions) == COUNTERFACTUAL[policy]
    assert {value.value: value.rows for value in summary.values} == Counter(
        event.raw for told in log.values() for event in told
    )
    assert summary.unused == ()


@BOTH
def test_what_became_of_the_cases_that_would_have_closed(
    log: dict[str, list[Event]], found: dict[str, Replay], policy: str
) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for case, told in log.items():
        stays = past_of(told, policy)
        closings = [act for act in actions_of(case, stays, policy) if act.timer in CLOSING]
        if closings:
            after = stays[closings[0].stay :]
            worked_on = any(is_work(stay.state) for stay in after)
            outcome = "worked_on_again" if worked_on else "resolved" if after else "nothing_more"
            expected[closings[0].timer, outcome] += 1
    closures = found[policy].summary.closures
    assert closures == CLOSURES[policy]
    assert {
        (each.timer, outcome): getattr(each, outcome)
        for each in closures
        for outcome in ("nothing_more", "worked_on_again", "resolved")
    } == expected


@BOTH
def test_what_the_desk_did_is_allowed_but_for_a_few_moves(
    log: dict[str, list[Event]], found: dict[str, Replay], policy: str
) -> None:
    not_allowed: Counter[tuple[str, str]] = Counter()
    for told in log.values():
        asked_from = None
        for stay in past_of(told, policy):
            if stay.to is not None and not may(policy, stay.state, stay.to, asked_from):
                not_allowed[stay.state, stay.to] += 1
            asked_from = stay.state
    moves = found[policy].summary.moves
    assert {(move.from_state, move.to_state): move.count for move in moves if not move.by} == not_allowed
    assert not_allowed == NOT_ALLOWED[policy]
    assert sum(move.count for move in moves) == STAYS[policy] - 4580


@pytest.mark.parametrize(("policy", "timer"), WHAT_IF)
def test_other_lengths_would_have_closed_other_numbers_of_cases(
    log: dict[str, list[Event]], rows: list[dict[str, str]], policy: str, timer: str
) -> None:
    lengths = WHAT_IF[policy, timer]
    desk = Workflow(load_policy(policy))
    answers = what_if(rows, desk, timer=timer, days=lengths, mapping=real_log.mapping(policy))
    assert {each.days: (each.closed, each.followed, each.came_back) for each in answers} == lengths
    (state,) = [state for state, timers in TIMERS[policy].items() if timer in [each.name for each in timers]]
    for days, expected in lengths.items():
        closed = followed = came_back = 0
        for told in log.values():
            stays = past_of(told, policy)
            closing = next(
                (
                    stay
                    for stay in stays
                    if stay.state == state and stay.goes_on_after(stay.begin + days * DAY)
                ),
                None,
            )
            if closing is None:
                continue
            until = closing.begin + (days + 30) * DAY
            back = any(is_work(stay.state) and stay.begin <= until for stay in stays[closing.number :])
            closed += 1
            came_back += back
            followed += back or until <= LAST
        assert (closed, followed, came_back) == expected


@BOTH
def test_how_soon_a_reply_comes_is_what_scipy_says_of_the_same_stays(
    log: dict[str, list[Event]], found: dict[str, Replay], policy: str
) -> None:
    durations: dict[str, Counter[tuple[str, int]]] = {}
    for told in log.values():
        for stay in past_of(told, policy):
            ending = "still" if stay.to is None else "replied" if is_work(stay.to) else "left"
            lasted = rough((stay.end or LAST) - stay.begin)
            durations.setdefault(stay.state, Counter())[ending, lasted] += 1
    replies = found[policy].summary.replies
    assert {each.state: (each.stays, each.replied) for each in replies} == REPLIED[policy]
    for curve in replies:
        check_with_scipy(curve, durations[curve.state])


# --- the desk's own rule --------------------------------------------------------------------


def engine_closings(log: dict[str, list[Event]]) -> dict[tuple[str, datetime], datetime]:
    """The closings by the desk's own engine of what was resolved in October 2012 or later.

    Since that month one actor has closed every case, and no other has closed any: that is the engine.
    Its closings are those that ended a stay in "resolved" which had begun on 1 October 2012 UTC or later:
    787, two of them of one case. It closed 13 more since then that had been resolved in September. By case
    and instant, the beginning of that stay: the first row that said "Resolve ticket".
    """
    return {
        (case, stay.end): stay.begin
        for case, told in log.items()
        for stay in past_of(told, "open-resolved")
        if stay.state == "resolved" and stay.to == "closed" and stay.end and stay.begin >= OCTOBER
    }


def resolved_again(log: dict[str, list[Event]], case: str, closed_at: datetime) -> datetime:
    """The last row that said "Resolve ticket" before a closing."""
    return max(event.at for event in log[case] if event.raw == "Resolve ticket" and event.at <= closed_at)


@pytest.fixture(scope="module")
def closings(log: dict[str, list[Event]]) -> dict[tuple[str, datetime], datetime]:
    return engine_closings(log)


def closing_actions(
    rows: list[dict[str, str]],
    closings: dict[tuple[str, datetime], datetime],
    after: dict[str, int],
    restart: Restart,
) -> list[PastAction]:
    """The actions of `close_resolved` in the stays that the engine closed: due before it did so."""
    policy = load_policy("open-resolved").override(
        {"calendar": {"zone": "Europe/Rome"}, "timers": {"close_resolved": {"after": after}}}
    )
    found = replay(rows, Workflow(policy), mapping=real_log.mapping("open-resolved"), restart=restart)
    return [
        act
        for act in found.actions
        if act.timer == "close_resolved"
        and act.left_to == "closed"
        and (act.case_id, act.left_at) in closings
    ]


def late(act: PastAction) -> timedelta:
    assert act.left_at is not None
    return act.left_at - act.due_at


def test_one_actor_has_closed_every_case_since_october_2012(
    log: dict[str, list[Event]], closings: dict[tuple[str, datetime], datetime]
) -> None:
    closed = [
        (case, event)
        for case, told in log.items()
        for event in told
        if event.raw == "Closed" and event.at >= OCTOBER
    ]
    assert {event.actor for _, event in closed} == {"Value 3"}
    assert len(closed) == 800
    assert len(closings) == 787
    assert closings.keys() <= {(case, event.at) for case, event in closed}


@pytest.mark.parametrize(
    ("after", "restart", "expected"),
    [
        # Counted from the last of the rows that resolve a ticket.
        ({"calendar_days": 15}, "touch", 783),
        ({"days": 15}, "touch", 710),
        # Counted from the first: the four tickets that were resolved twice in a row are explained as well.
        ({"calendar_days": 15}, "change", 787),
        ({"days": 15}, "change", 714),
    ],
)
def test_fifteen_calendar_days_in_rome_explain_what_the_engine_closed(
    log: dict[str, list[Event]],
    rows: list[dict[str, str]],
    closings: dict[tuple[str, datetime], datetime],
    after: dict[str, int],
    restart: Restart,
    expected: int,
) -> None:
    minutes = timedelta(seconds=120)
    acts = closing_actions(rows, closings, after, restart)
    assert sum(late(act) <= minutes for act in acts) == expected
    if "calendar_days" in after:
        assert len(acts) == expected  # none of them is later
    # And without the library: the same time on the wall 15 days later, by the rule of Italian summer time.
    (timer,) = TIMERS["italian"]["resolved"]
    timer = timer._replace(italian="calendar_days" in after)
    waits = [
        at - due_at(timer, begin if restart == "change" else resolved_again(log, case, at))
        for (case, at), begin in closings.items()
    ]
    assert sum(timedelta(0) < wait <= minutes for wait in waits) == expected


def test_the_engine_counts_from_the_first_of_the_rows_that_resolve_a_ticket(
    log: dict[str, list[Event]], rows: list[dict[str, str]], closings: dict[tuple[str, datetime], datetime]
) -> None:
    def closed(restart: Restart) -> set[tuple[str, datetime | None]]:
        acts = closing_actions(rows, closings, {"calendar_days": 15}, restart)
        return {(act.case_id, act.left_at) for act in acts}

    apart = closed("change") - closed("touch")
    assert len(apart) == 4
    for case, at in apart:
        assert at is not None
        assert resolved_again(log, case, at) > closings[case, at]
