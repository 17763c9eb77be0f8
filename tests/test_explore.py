"""Everything that could happen to a case, beside a search that tries everything on real cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from builders import MONDAY
from casestate import (
    Calendar,
    CaseDataError,
    EventRefused,
    InstantError,
    MissingArgument,
    Policy,
    PolicyError,
    UnknownEvent,
    Workflow,
    policies,
)
from casestate.explore import START, Configuration, Exploration, Firing, Occurrence, retrace
from casestate.machine import compile_table
from casestate.schedule import Schedule, schedules
from casestate.testing import policies as any_policies


if TYPE_CHECKING:
    from collections.abc import Iterator

    from casestate import Case


def firing(timers: dict[str, Any], **calendar: Any) -> Firing:  # noqa: ANN401 - a calendar's own fields
    """How the timers of one state fire; each is a length, and perhaps a notice."""
    table = {
        name: {
            "in": ["a"],
            **({"to": "b"} if name.startswith("to_b") else {"kind": "notify"}),
            **({"after": timer} if "after" not in timer else timer),
        }
        for name, timer in timers.items()
    }
    policy = Policy.from_dict(
        {
            "format": 1,
            "name": "p",
            "initial": "a",
            "calendar": calendar,
            "statuses": {"a": {}, "b": {}},
            "timers": table,
        }
    )
    return Firing(schedules(policy)["a"])


# --- which timers can be returned ------------------------------------------------


def test_a_sweep_can_return_any_timer_and_pass_over_those_before_it() -> None:
    found = firing({"one": {"days": 1}, "two": {"days": 2}, "to_b": {"days": 3}})
    assert found.jumps == {0: (0, 1, 2), 1: (1, 2), 2: (2,)}
    assert (found.mover, found.tried) == (2, 1)
    assert found.leading_to(2) == (2,)
    assert found.leading_to(2, fewest=False) == (0, 1, 2)
    assert found.leading_to(2, but={1}, fewest=False) == (0, 2)
    assert not any(found.is_never(index) or found.is_rare(index) for index in range(3))


def test_a_notice_is_waited_for() -> None:
    found = firing({"one": {"days": 1}, "to_b": {"after": {"days": 3}, "notice": {"days": 1}}})
    assert found.jumps == {0: (0,), 1: (1,)}
    assert found.leading_to(1) == (0, 1)
    assert found.leading_to(1, but={0}) == ()


def test_of_two_timers_that_meet_only_the_later_is_returned() -> None:
    found = firing({"one": {"days": 1}, "two": {"hours": 24}})
    assert found.jumps == {0: (1,), 2: ()}
    assert (found.is_never(0), found.is_never(1), found.overtaking(0), found.overtaking(1)) == (
        True, False, 1, None,
    )  # fmt: skip
    assert found.mover is None


def test_a_timer_that_a_notice_makes_meet_the_next_is_never_returned() -> None:
    timers = {
        "one": {"days": 7},
        "two": {"after": {"days": 8}, "notice": {"days": 7}},
        "three": {"days": 14},
    }
    assert [firing(timers).is_never(index) for index in range(3)] == [False, True, False]
    timers["three"] = {"days": 14, "seconds": 1}
    assert [firing(timers).is_never(index) for index in range(3)] == [False, False, False]


def test_the_earliest_way_to_a_position_decides_what_a_notice_holds_back() -> None:
    # Settled on day 2 at the earliest: held back until day 5, before "four" is due.
    timers = {
        "one": {"days": 1},
        "two": {"days": 2},
        "three": {"after": {"days": 3}, "notice": {"days": 3}},
        "four": {"days": 6},
    }
    assert firing(timers).jumps == {0: (0, 1), 1: (1,), 2: (2, 3), 3: (3,), 4: ()}


def test_lengths_of_different_kinds_are_compared_on_the_days_of_a_year() -> None:
    never = firing({"one": {"business_days": 5}, "two": {"days": 7}})
    assert (never.tried, never.fired, never.is_rare(0), never.is_never(0)) == (
        365,
        {0: 0, 1: 365},
        True,
        False,
    )
    often = firing({"one": {"business_days": 5}, "two": {"days": 8}})
    # Those that begin on a Saturday come due on the second Monday at midnight, more than eight days later.
    assert (often.tried, often.fired[0], often.is_rare(0)) == (365, 313, False)
    spring = firing({"one": {"calendar_days": 7}, "two": {"days": 7}}, zone="Europe/Berlin")
    assert (spring.tried, spring.fired[0], spring.is_rare(0)) == (365, 7, True)


def test_equal_lengths_of_one_kind_meet_whatever_the_calendar() -> None:
    found = firing({"one": {"calendar_days": 7}, "two": {"calendar_days": 7}}, zone="Europe/Berlin")
    assert (found.is_never(0), found.is_rare(0)) == (True, False)
    held = firing(
        {"one": {"calendar_days": 7}, "two": {"after": {"calendar_days": 7}, "notice": {"calendar_days": 1}}}
    )
    assert (held.is_never(0), held.is_rare(0)) == (False, False)


@pytest.mark.parametrize("unit", ["days", "calendar_days"])
def test_what_is_beyond_the_end_of_time_is_never_returned(unit: str) -> None:
    found = firing({"one": {"days": 1}, "to_b": {unit: 3_000_000}})
    assert (found.is_never(0), found.is_never(1), found.mover) == (False, True, None)
    assert found.overtaking(1) is None


@given(any_policies(), st.data())
def test_no_sweep_returns_what_cannot_be_returned(policy: Policy, data: st.DataObject) -> None:
    workflow = Workflow(policy)
    for state, schedule in schedules(policy).items():
        found = Firing(schedule)
        status, _, sub_status = state.partition(".")
        case = attrs.evolve(
            workflow.open("C-1", at=START + timedelta(days=data.draw(st.integers(0, 364)))),
            status=status,
            sub_status=sub_status or None,
        )
        for _ in range(5):
            due = workflow.next_due(case)
            if due is None:
                break
            now = max(due, case.changed_at) + timedelta(hours=data.draw(st.sampled_from((0, 0, 1, 24, 999))))
            (action,) = workflow.due([case], now=now)
            index = schedule.positions[action.timer] - 1
            assert not found.is_never(index)
            if found.tried == 1:
                assert index in found.jumps[schedule.positions[case.settled]]
            if action.to is not None:
                break
            case = workflow.settle(case, action, at=now)


# --- where a case can be ---------------------------------------------------------------


def tried(workflow: Workflow, case: Case) -> Iterator[Case]:
    """Every case that any event by anyone, or a timer, makes of one."""
    policy = workflow.policy
    subs = {sub for status in policy.statuses.values() for sub in status.sub_statuses}
    for event in policy.events:
        for by in policy.roles:
            for sub_status in (None, *subs):
                for assignee in (None, "mira"):
                    try:
                        yield workflow.apply(
                            case, event, by=by, at=MONDAY, sub_status=sub_status, assignee=assignee
                        )
                    except EventRefused as refused:
                        if event == "clone" and "clone" in refused.permitted:
                            yield attrs.evolve(
                                workflow.clone(attrs.evolve(case, clones=()), "C-2", by=by, at=MONDAY)[0],
                                clones=(),
                            )
                    except (MissingArgument, LookupError):
                        pass


def moved(workflow: Workflow, case: Case) -> Iterator[Case]:
    """The case after the timer that moves it, as if all before it had been settled."""
    schedule = schedules(workflow.policy)[case.state]
    timer = schedule.timers[-1] if schedule.timers else None
    if timer is not None and timer.to is not None:
        status, _, sub_status = timer.to.partition(".")
        previous = case.previous if status == case.status else case.state
        yield attrs.evolve(
            case, status=status, sub_status=sub_status or None, previous=previous, settled=None
        )


def stripped(policy: Policy, case: Case) -> Configuration:
    """What the exploration keeps of a case."""
    back = any(
        step is not None and step.chosen_by == "previous"
        for (state, *_), steps in compile_table(policy).steps.items()
        for step in steps
        if state.partition(".")[0] == case.status
    )
    return Configuration(case.state, case.assignee is not None, case.previous if back else None)


@given(any_policies())
def test_the_exploration_finds_exactly_what_trying_everything_on_real_cases_finds(policy: Policy) -> None:
    workflow = Workflow(policy)
    first = workflow.open("C-1", at=MONDAY)
    ahead, found = [first], {stripped(policy, first)}
    while ahead:
        case = ahead.pop()
        for after in (*tried(workflow, case), *moved(workflow, case)):
            plain = attrs.evolve(after, history=(), entered_at=MONDAY, opened_at=MONDAY, stay=1)
            if (here := stripped(policy, plain)) not in found:
                found.add(here)
                ahead.append(plain)
    assert set(Exploration(policy).configurations) == found


@given(any_policies())
def test_every_configuration_is_reached_by_the_way_that_is_told(policy: Policy) -> None:
    explored, workflow = Exploration(policy), Workflow(policy)
    nearest = -1
    for here in explored.configurations:
        story, witness = explored.tell(here)
        assert story.startswith("open")
        cases = retrace(workflow, witness)
        assert cases[-1].state == here.state
        assert (cases[-1].assignee is not None) == here.assigned
        assert here.previous in (None, cases[-1].previous)
        assert len(witness) >= nearest
        nearest = len(witness)
        assert [step.at for step in witness] == sorted(step.at for step in witness)


# --- walking a witness again -------------------------------------------------------------


def test_a_witness_is_walked_step_by_step() -> None:
    workflow = Workflow(policies.SUB_STATUS)
    pended = Occurrence(at=START, event="pend", by="agent", sub_status="customer_input")
    begun = (Occurrence(at=START, event="open", by="system"), pended)
    reminded = Occurrence(at=START + timedelta(days=7), event="remind_customer", by="system", timer=True)
    cases = retrace(workflow, (*begun, reminded))
    assert [case.settled for case in cases] == [None, None, "remind_customer"]
    assert retrace(workflow, ()) == ()
    refused = Occurrence(at=START, event="confirm", by="customer", refused=True)
    assert retrace(workflow, (*begun, refused))[-1] == cases[1]


OPENED = Occurrence(at=START, event="open", by="system")


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([OPENED, None], r"\[1\]: must be an Occurrence, not None"),
        (
            [Occurrence(at=START, event="start", by="agent")],
            r"\[0\]: a witness begins with 'open', not with 'start'",
        ),
        ([attrs.evolve(OPENED, timer=True)], r"\[0\]: a witness begins with 'open'"),
        (
            [OPENED, Occurrence(at=START, event="remind_customer", by="system", timer=True)],
            r"\[1\]: a sweep at 2026-01-05 09:00:00\+00:00 returns nothing, not 'remind_customer'",
        ),
        (
            [
                OPENED,
                Occurrence(at=START, event="respond", by="agent"),
                Occurrence(at=START, event="close_awaiting", by="system", timer=True),
            ],
            r"\[2\]: a sweep at .* returns 'notify_awaiting', not 'close_awaiting'",
        ),
        (
            [OPENED, Occurrence(at=START, event="start", by="agent", refused=True)],
            r"\[1\]: 'start' by agent is not refused in new",
        ),
    ],
)
def test_a_witness_that_is_none_is_told_where(steps: list[Any], problem: str) -> None:
    with pytest.raises(CaseDataError, match=problem):
        retrace(Workflow(policies.SUB_STATUS), steps)


def test_an_event_that_is_refused_or_unknown_says_so_as_apply_does() -> None:
    workflow = Workflow(policies.SUB_STATUS)
    with pytest.raises(EventRefused, match="'confirm' by customer is refused in new"):
        retrace(workflow, [OPENED, Occurrence(at=START, event="confirm", by="customer")])
    with pytest.raises(UnknownEvent):
        retrace(workflow, [OPENED, Occurrence(at=START, event="paint", by="customer", refused=True)])


@pytest.mark.parametrize("witness", [None, 5])
def test_what_is_no_witness_says_so(witness: Any) -> None:  # noqa: ANN401 - anything
    with pytest.raises(CaseDataError, match="witness: must be an iterable of Occurrence objects"):
        retrace(Workflow(policies.SUB_STATUS), witness)


def test_a_witness_is_walked_through_a_workflow() -> None:
    workflow: Any = policies.SUB_STATUS
    with pytest.raises(PolicyError, match="retrace: workflow: must be a Workflow, not "):
        retrace(workflow, [OPENED])


def test_a_step_stands_at_an_instant_and_asks_no_clock() -> None:
    nowhen: Any = None
    steps = [OPENED, Occurrence(at=nowhen, event="start", by="agent")]
    with pytest.raises(InstantError, match=r"witness: \[1\]: at"):
        retrace(Workflow(policies.SUB_STATUS), steps)


def test_a_step_is_json_ready() -> None:
    assert attrs.evolve(OPENED, sub_status="x").to_dict() == {
        "at": "2026-01-05T09:00:00Z",
        "event": "open",
        "by": "system",
        "sub_status": "x",
        "assignee": None,
        "timer": False,
        "refused": False,
    }


def test_a_story_counts_from_what_happened_last() -> None:
    explored = Exploration(policies.SUB_STATUS)
    here = Configuration("pending.customer_input", assigned=False, previous=None)

    def all_of_it(life: Any) -> None:  # noqa: ANN401 - a Life
        life.settles(0)
        life.settles(1)

    story, witness = explored.tell(here, all_of_it)
    assert story == (
        "open → pend(customer_input) → 7 days pass → remind_customer → 21 days pass → closed by close_pending"
    )
    assert [step.at - START for step in witness] == [timedelta(days=days) for days in (0, 0, 7, 28)]


def test_a_state_without_timers_has_nothing_that_fires() -> None:
    assert Firing(Schedule("a", (), Calendar())).jumps == {0: ()}
    assert Firing(Schedule("a", (), Calendar())).mover is None


def test_one_of_anything_passes() -> None:
    explored = Exploration(policies.SUB_STATUS)
    here = Configuration("closed", assigned=False, previous=None)
    assert (
        explored.tell(here, lambda life: life.settles(0))[0] == "open → close → 1 day passes → notify_closed"
    )


def test_one_of_a_unit_among_others_pass() -> None:
    timers = {"one": {"in": ["closed"], "kind": "notify", "after": {"days": 1, "hours": 1}}}
    explored = Exploration(policies.SUB_STATUS.override({"timers": timers}))
    here = Configuration("closed", assigned=False, previous=None)
    story, _ = explored.tell(here, lambda life: life.settles(1))
    assert story == "open → close → 1 day 1 hour pass unseen → one, notify_closed never sent"


def test_a_story_tells_how_long_it_takes_where_a_timer_waits_for_those_before_it() -> None:
    # Five business days are over after seven, and no timer comes due before those above it.
    timers = {
        "remind_customer": {"after": {"business_days": 5}},
        "close_pending": {"after": {"days": 6}},
    }
    explored = Exploration(policies.SUB_STATUS.override({"timers": timers}))
    here = Configuration("pending.customer_input", assigned=False, previous=None)
    story, witness = explored.tell(here, lambda life: life.settles(1))
    assert story.endswith("→ 7 days pass unseen → closed by close_pending, remind_customer never sent")
    assert witness[-1].at - witness[-2].at == timedelta(days=7)


def test_states_with_the_same_timers_are_looked_at_once() -> None:
    firings = Exploration(policies.SUB_STATUS).firings
    assert firings["new"] is firings["in_progress"]
    assert firings["new"] is not firings["reopened"]


def test_a_calendar_that_forbids_a_story_on_one_day_is_tried_on_others() -> None:
    # A calendar day is shorter than 24 hours on the one day that clocks are put forward.
    policy = Policy.from_dict(
        {
            "format": 1,
            "name": "p",
            "initial": "a",
            "calendar": {"zone": "Europe/Berlin"},
            "statuses": {"a": {}},
            "timers": {
                "one": {"in": ["a"], "kind": "notify", "after": {"calendar_days": 1}},
                "two": {"in": ["a"], "kind": "notify", "after": {"days": 1}},
            },
        }
    )
    story, witness = Exploration(policy).tell(
        Configuration("a", assigned=False, previous=None), lambda life: life.settles(0)
    )
    assert story == "open → 1 calendar day passes → one"
    assert [step.at for step in witness] == [
        datetime(2026, 3, 28, 9, tzinfo=UTC),
        datetime(2026, 3, 29, 8, tzinfo=UTC),
    ]


def test_the_way_that_is_told_has_the_fewest_steps_those_of_timers_counted() -> None:
    policy = Policy.from_dict(
        {
            "format": 1,
            "name": "p",
            "initial": "a",
            "statuses": {"a": {}, "b": {}, "c": {}, "d": {}},
            "transitions": [
                {"event": "on", "by": ["agent"], "from": ["a"], "to": "c"},
                {"event": "on", "by": ["agent"], "from": ["c"], "to": "b"},
                {"event": "on", "by": ["agent"], "from": ["b"], "to": "d"},
            ],
            "timers": {
                "one": {"in": ["a"], "kind": "notify", "after": {"days": 1}},
                "two": {"in": ["a"], "kind": "notify", "after": {"days": 2}, "notice": {"days": 1}},
                "three": {"in": ["a"], "after": {"days": 3}, "to": "b", "notice": {"days": 1}},
            },
        }
    )
    explored = Exploration(policy)
    assert [explored.tell(here)[0] for here in explored.configurations] == [
        "open",
        "open → on",
        "open → on → on",
        "open → on → on → on",
    ]


def test_a_witness_is_the_life_of_one_case_whose_clones_are_counted() -> None:
    cloned = Occurrence(at=START, event="clone", by="customer")
    closed = Occurrence(at=START, event="close", by="agent")
    cases = retrace(Workflow(policies.SUB_STATUS), (OPENED, closed, cloned, cloned))
    assert {case.id for case in cases} == {"witness"}
    assert cases[-1].clones == ("witness-1", "witness-2")


def test_what_is_no_step_is_shown() -> None:
    with pytest.raises(CaseDataError, match=r"^witness: \[0\]: must be an Occurrence, not 'open'$"):
        retrace(Workflow(policies.SUB_STATUS), ["open"])  # type: ignore[list-item]


def test_only_a_row_back_leads_to_where_a_case_came_from() -> None:
    explored = Exploration(policies.OPEN_RESOLVED)
    here = Configuration("pending_customer", assigned=True, previous="in_progress")
    ways = {(edge.event, edge.by, edge.to, there.state) for edge, there in explored.ways_on(here)}
    assert ways == {
        ("assign", "agent", None, "pending_customer"),
        ("ask", "agent", "pending_customer", "pending_customer"),
        ("resume", "agent", "in_progress", "in_progress"),
        ("comment", "customer", "in_progress", "in_progress"),
        ("note", "agent", None, "pending_customer"),
        ("resolve", "agent", "resolved", "resolved"),
        ("resolve", "customer", "resolved", "resolved"),
        ("close", "customer", "closed", "closed"),
        ("close_pending", "system", "closed", "closed"),
    }


def test_what_comes_by_itself_is_done_by_the_system() -> None:
    explored = Exploration(policies.SUB_STATUS)
    _, witness = explored.tell(
        Configuration("closed", assigned=False, previous=None), lambda life: life.settles(0)
    )
    assert [(step.event, step.by, step.timer) for step in witness] == [
        ("open", "system", False),
        ("close", "agent", False),
        ("notify_closed", "system", True),
    ]


def test_what_fires_on_some_days_only_counts_as_firing() -> None:
    found = firing({"one": {"business_days": 8}, "to_b": {"days": 11}})
    assert found.jumps == {0: (0, 1), 1: (1,)}
    assert (found.fired, found.tried) == ({0: 157, 1: 365}, 365)


def test_of_three_timers_of_one_kind_the_second_may_meet_the_third() -> None:
    found = firing({"one": {"calendar_days": 3}, "two": {"calendar_days": 5}, "three": {"calendar_days": 5}})
    assert [found.is_never(index) for index in range(3)] == [False, True, False]
