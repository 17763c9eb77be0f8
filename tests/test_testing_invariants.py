"""The invariants of `casestate.testing`: legal histories have them; what breaks one is told as a story."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from hypothesis import assume, given
from hypothesis import strategies as st

from casestate import (
    Case,
    CaseDataError,
    Change,
    Length,
    Policy,
    PolicyError,
    UnknownRole,
    UnknownStatus,
    Workflow,
    load_policy,
    policies,
    testing,
)
from casestate.testing import (
    assert_history_is_legal,
    assert_history_only_grows,
    assert_never_closed_unwarned,
    assert_no_duplicates,
    assert_one_action_a_case,
    assert_reply_wins,
    assert_stays_count_up,
)
from casestate.testing.strategies import LAST, TICK


if TYPE_CHECKING:
    from collections.abc import Callable

DAY = timedelta(days=1)
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KIT: Any = testing
"""The kit for those who give it what its types forbid."""


def day(number: float) -> datetime:
    return START + number * DAY


def settled(workflow: Workflow, case: Case, at: datetime) -> Case:
    """The case after a sweep at ``at``, which finds something due."""
    return workflow.settle(case, next(iter(workflow.due([case], now=at))), at=at)


@pytest.fixture
def desk() -> Workflow:
    return Workflow(policies.SUB_STATUS, lambda: START)


@pytest.fixture
def asked(desk: Workflow) -> Case:
    """A case that waits for the customer since the beginning."""
    case = desk.open("C-1")
    return desk.apply(case, "pend", by="agent", sub_status="customer_input")


@pytest.fixture
def warned(desk: Workflow, asked: Case) -> Case:
    """One that was reminded after 7 days and closed after 28."""
    return settled(desk, settled(desk, asked, day(7)), day(28))


@pytest.fixture
def unwarned(desk: Workflow, asked: Case) -> Case:
    """One that nobody looked at for 28 days."""
    return settled(desk, asked, day(28))


@pytest.fixture
def replied(desk: Workflow, asked: Case) -> Case:
    """One whose customer answered after 27 days."""
    return desk.apply(asked, "comment", by="customer", actor="ann", at=day(27))


def with_entry(case: Case, **fields: object) -> Case:
    """The case with one more entry, as a desk with a bug might write it."""
    change = Change(**{"by": "system", "from_state": case.state, "stay": case.stay, **fields})  # type: ignore[arg-type]
    return attrs.evolve(case, history=(*case.history, change))


def without(case: Case, number: int) -> Case:
    """The case without one of its entries."""
    return attrs.evolve(case, history=case.history[:number] + case.history[number + 1 :])


def changed(case: Case, number: int, **fields: Any) -> Case:  # noqa: ANN401 - of any field
    """The case with one of its entries changed."""
    history = list(case.history)
    history[number] = attrs.evolve(history[number], **fields)
    return attrs.evolve(case, history=tuple(history))


def story(check: Callable[..., None], *arguments: object, **options: object) -> str:
    """What the invariant tells: it has to fail."""
    with pytest.raises(AssertionError) as raised:
        check(*arguments, **options)
    return str(raised.value)


def any_policy() -> st.SearchStrategy[Policy]:
    return st.sampled_from([policies.SUB_STATUS, policies.OPEN_RESOLVED]) | testing.policies()


@st.composite
def lives(draw: st.DrawFn) -> tuple[Policy, Case]:
    policy = draw(any_policy(), label="policy")
    return policy, draw(testing.histories(policy), label="case")


# --- never closed unwarned -------------------------------------------------------


def careful(name: str) -> Policy:
    """A built-in policy with a message before every closure and two days of notice."""
    notice = {"notice": {"days": 2}}
    if name == "sub-status":
        return load_policy("sub-status").override(
            {"timers": {"close_pending": notice, "close_awaiting": notice}}
        )
    remind = {"in": "resolved", "kind": "remind", "audience": "customer", "after": {"days": 3}}
    timers = {"close_pending": notice, "close_resolved": notice, "remind_resolved": remind}
    return load_policy("open-resolved").override({"timers": timers})


@given(data=st.data(), name=st.sampled_from(["sub-status", "open-resolved"]))
def test_with_a_notice_nobody_is_ever_closed_unwarned(name: str, data: st.DataObject) -> None:
    policy = careful(name)
    case = data.draw(testing.histories(policy, max_changes=20))
    for at_least in (None, 2 * DAY, Length("elapsed", 2 * 86_400)):
        assert_never_closed_unwarned(case, policy=policy, at_least=at_least)
        assert_never_closed_unwarned(case.history, policy=policy, at_least=at_least)


def test_a_case_that_was_reminded_was_warned(warned: Case) -> None:
    for at_least in (timedelta(0), 21 * DAY, Length("calendar_days", 21)):
        assert_never_closed_unwarned(warned, policy=policies.SUB_STATUS, at_least=at_least)


def test_a_closure_after_an_outage_is_told_as_one_without_a_warning(unwarned: Case) -> None:
    assert story(assert_never_closed_unwarned, unwarned, policy=policies.SUB_STATUS) == (
        "case 'C-1' was closed by close_pending unwarned\n"
        "    2026-03-02T09:00:00Z  pend by agent: new -> pending.customer_input, stay 2\n"
        "  > 2026-03-30T09:00:00Z  close_pending by system: pending.customer_input -> closed, stay 3, "
        "passing over remind_customer\n"
        "Nothing had been sent to 'customer' in stay 2, which began at 2026-03-02T09:00:00Z; "
        "remind_customer passed over."
    )


def test_a_reminder_that_was_dropped_from_a_history_warned_nobody(warned: Case) -> None:
    told = story(assert_never_closed_unwarned, without(warned, 1).history, policy=policies.SUB_STATUS)
    assert told.startswith("the case was closed by close_pending unwarned\n")
    assert told.endswith("in stay 2, which began at 2026-03-02T09:00:00Z.")


def test_a_warning_of_an_earlier_stay_does_not_count(desk: Workflow, asked: Case) -> None:
    case = settled(desk, asked, day(7))
    case = desk.apply(case, "pend", by="agent", sub_status="customer_input", at=day(8))
    case = settled(desk, case, day(40))
    told = story(assert_never_closed_unwarned, case, policy=policies.SUB_STATUS)
    assert "in stay 3, which began at 2026-03-10T09:00:00Z" in told


def test_a_closure_right_after_its_warning_is_too_soon_for_those_who_ask_for_more(warned: Case) -> None:
    late = changed(warned, 1, at=day(28) - DAY + TICK)
    assert_never_closed_unwarned(late, policy=policies.SUB_STATUS)
    for at_least in (DAY, Length("elapsed", 86_400)):
        told = story(assert_never_closed_unwarned, late, policy=policies.SUB_STATUS, at_least=at_least)
        assert told.startswith("case 'C-1' was closed by close_pending too soon after its warning\n")
        assert told.endswith(
            "The first message to 'customer' in stay 2 was remind_customer, at 2026-03-29T09:00:00.000001Z; "
            "closing it takes 1 day of warning, until 2026-03-30T09:00:00.000001Z."
        )


@pytest.mark.parametrize("at_least", [timedelta.max, Length("calendar_days", 3_000_000)])
def test_more_warning_than_time_goes_on_is_never_given(warned: Case, at_least: timedelta | Length) -> None:
    told = story(assert_never_closed_unwarned, warned, policy=policies.SUB_STATUS, at_least=at_least)
    assert told.endswith(" of warning.")


def test_it_is_a_message_to_whom_it_is_for(warned: Case) -> None:
    assert_never_closed_unwarned(warned, policy=policies.SUB_STATUS, audience=None)
    told = story(assert_never_closed_unwarned, warned, policy=policies.SUB_STATUS, audience="support")
    assert told.endswith("what pending.customer_input sends is for customer (see audience=).")


def test_nothing_that_is_sent_to_nobody_warns_anybody(unwarned: Case) -> None:
    told = story(assert_never_closed_unwarned, unwarned, policy=policies.SUB_STATUS, audience=None)
    assert "Nothing had been sent to anybody in stay 2" in told


def test_a_message_for_nobody_by_name_warns_no_customer(warned: Case) -> None:
    plain = policies.SUB_STATUS.to_dict()
    timers: Any = plain["timers"]
    del timers["remind_customer"]["audience"]
    told = story(assert_never_closed_unwarned, warned, policy=load_policy(plain))
    assert told.endswith("what pending.customer_input sends is for nobody by name (see audience=).")


@pytest.mark.parametrize("event", ["close", "confirm"])
def test_people_may_close_a_case_unwarned(desk: Workflow, event: str) -> None:
    case = desk.apply(desk.open("C-1"), "respond", by="agent")
    case = desk.apply(case, event, by="agent" if event == "close" else "customer")
    assert_never_closed_unwarned(case, policy=policies.SUB_STATUS)


def test_the_first_stay_may_be_one_of_which_nobody_knows_the_beginning(unwarned: Case) -> None:
    told = story(assert_never_closed_unwarned, unwarned.history[1:], policy=policies.SUB_STATUS)
    assert told.endswith("Nothing had been sent to 'customer' in stay 2; remind_customer passed over.")


@pytest.fixture
def robotic() -> Policy:
    """A policy in which the system causes an event that has the name of a timer elsewhere."""
    return load_policy(
        {
            "format": 1,
            "name": "robotic",
            "initial": "a",
            "statuses": {"a": {}, "b": {}, "done": {"closed": True}},
            "transitions": [
                {"event": "end", "by": ["system", "customer"], "from": ["a", "b"], "to": "done"},
                {"event": "migrate", "by": ["system"], "from": "*"},
                {"event": "again", "by": ["customer"], "from": ["a", "done"], "to": "a"},
                {"event": "move", "by": ["customer"], "from": "a", "to": "b"},
            ],
            "timers": {
                "nag": {"in": "b", "kind": "remind", "after": {"days": 1}},
                "end": {"in": "b", "after": {"days": 3}, "to": "done"},
            },
        }
    )


def test_an_event_by_the_system_is_no_timer_unless_one_of_the_state_has_its_name(robotic: Policy) -> None:
    desk = Workflow(robotic, lambda: START)
    case = desk.apply(desk.open("C-1"), "end", by="system")
    assert_never_closed_unwarned(case, policy=robotic)
    assert_history_is_legal(case, policy=robotic)
    case = desk.apply(desk.open("C-1"), "move", by="customer")
    assert_history_is_legal(desk.apply(case, "end", by="system"), policy=robotic)
    case = settled(desk, case, day(3))
    assert_history_is_legal(case, policy=robotic)
    assert "unwarned" in story(assert_never_closed_unwarned, case, policy=robotic)


# --- a reply wins ------------------------------------------------------------------


@given(life=lives())
def test_a_reply_wins_in_every_legal_history(life: tuple[Policy, Case]) -> None:
    policy, case = life
    for role in policy.roles:
        if role != "system":
            assert_reply_wins(case, policy=policy, role=role)
            assert_reply_wins(case.history, policy=policy, role=role)


def test_a_closure_of_the_stay_that_a_reply_ended_is_told(replied: Case) -> None:
    case = with_entry(replied, at=day(28), event="close_pending", to_state="closed", stay=4)
    assert story(assert_reply_wins, case, policy=policies.SUB_STATUS) == (
        "case 'C-1': close_pending was settled in spite of comment by customer at 2026-03-29T09:00:00Z\n"
        "    2026-03-02T09:00:00Z  pend by agent: new -> pending.customer_input, stay 2\n"
        "    2026-03-29T09:00:00Z  comment by customer (ann): pending.customer_input -> update_received, "
        "stay 3\n"
        "  > 2026-03-30T09:00:00Z  close_pending by system: update_received -> closed, stay 4\n"
        "close_pending is a timer of pending.customer_input, but the case was in update_received by then, "
        "and what belonged to stay 2 was over."
    )


def test_a_closure_that_counts_from_before_the_reply_is_told(desk: Workflow, replied: Case) -> None:
    case = desk.apply(replied, "pend", by="agent", sub_status="customer_input", at=day(27))
    early = with_entry(case, at=day(30), event="close_pending", to_state="closed", stay=5)
    told = story(assert_reply_wins, early.history, policy=policies.SUB_STATUS)
    assert told.endswith(
        "close_pending comes 28 days after a stay began: since the reply, not before 2026-04-26T09:00:00Z."
    )
    on_time = with_entry(case, at=day(27 + 28), event="close_pending", to_state="closed", stay=5)
    assert_reply_wins(on_time, policy=policies.SUB_STATUS)


def test_a_reminder_that_counts_from_before_the_reply_is_told_too(desk: Workflow, replied: Case) -> None:
    case = desk.apply(replied, "pend", by="agent", sub_status="customer_input", at=day(27))
    case = with_entry(case, at=day(34) - TICK, event="remind_customer", to_state=case.state)
    assert "remind_customer comes 7 days after" in story(assert_reply_wins, case, policy=policies.SUB_STATUS)


def test_a_timer_that_never_comes_due_after_a_reply_is_told() -> None:
    policy = load_policy("sub-status").override({"timers": {"close_pending": {"after": {"days": 3_652_000}}}})
    desk = Workflow(policy, lambda: START)
    case = desk.apply(desk.open("C-1"), "respond", by="agent")
    case = desk.apply(case, "comment", by="customer")
    case = desk.apply(case, "pend", by="agent", sub_status="customer_input")
    case = with_entry(case, at=LAST, event="close_pending", to_state="closed", stay=5)
    assert story(assert_reply_wins, case, policy=policy).endswith("after a stay began: since the reply.")


def test_a_comment_that_ends_no_stay_stops_no_timer(desk: Workflow) -> None:
    case = desk.apply(desk.open("C-1"), "comment", by="customer")
    case = desk.apply(case, "pend", by="agent", sub_status="customer_input")
    case = with_entry(case, at=day(1), event="close_pending", to_state="closed", stay=3)
    assert_reply_wins(case, policy=policies.SUB_STATUS)
    assert "not due" in story(assert_history_is_legal, case, policy=policies.SUB_STATUS)


def test_the_first_entry_of_a_case_may_be_the_reply(robotic: Policy) -> None:
    case = Workflow(robotic, lambda: START).open("C-1")
    case = with_entry(case, at=START, by="customer", event="again", to_state="a", stay=2)
    late = with_entry(case, at=day(9), event="end", to_state="done", stay=3)
    assert_reply_wins(late, policy=robotic)  # an event of the system
    case = with_entry(case, at=START, by="customer", event="move", to_state="b", stay=3)
    case = attrs.evolve(case, status="b", stay=3)
    early = with_entry(case, at=day(0.5), event="nag", to_state="b")
    assert "in spite of move by customer" in story(assert_reply_wins, early, policy=robotic)


def test_what_may_be_an_event_or_a_timer_is_followed_as_both(robotic: Policy) -> None:
    policy = robotic.override(
        {"transitions": [{"event": "nag", "by": ["system"], "from": "b"}], "initial": "b"}
    )
    desk = Workflow(policy, lambda: START)
    for number in range(3):  # the timer, the event before it, the event after it
        case = desk.open("C-1")
        for step in range(3):
            at = day(1 + step / 10)
            case = settled(desk, case, at) if step == number else desk.apply(case, "nag", by="system", at=at)
        assert_history_is_legal(case, policy=policy)
    early = changed(settled(desk, desk.open("C-1"), day(1)), 0, at=day(0.5))
    assert "Its settled is None by the policy, not 'nag'" in story(
        assert_history_is_legal, early, policy=policy
    )


def test_whose_reply_wins_may_be_chosen(replied: Case) -> None:
    case = with_entry(replied, at=day(28), event="close_pending", to_state="closed", stay=4)
    assert "in spite of pend by agent" in story(
        assert_reply_wins, case, policy=policies.SUB_STATUS, role="agent"
    )
    with pytest.raises(UnknownRole, match="role: unknown role 'custmer'; did you mean 'customer'"):
        assert_reply_wins(case, policy=policies.SUB_STATUS, role="custmer")


# --- actions -----------------------------------------------------------------------


@given(data=st.data(), policy=any_policy())
def test_what_a_workflow_returns_has_no_duplicates(data: st.DataObject, policy: Policy) -> None:
    case = data.draw(testing.cases(policy))
    workflow = Workflow(policy)
    now = data.draw(testing.instants(min_value=case.entered_at))
    taken = []
    for wait in (0, 1, 400):
        for action in workflow.due([case], now=now + wait * DAY):
            taken.append(action)
            moment = max(now + wait * DAY, case.changed_at)
            case = workflow.settle(case, action, at=moment)
    assert_no_duplicates(taken)
    assert_no_duplicates(action.key for action in taken)


def test_an_action_taken_twice_is_told_with_its_places(desk: Workflow, asked: Case) -> None:
    (remind,) = desk.due([asked], now=day(7))
    (close,) = desk.due([asked], now=day(28))
    for actions in ([remind, close, remind], ["C-1:2:remind_customer", close, remind], (remind.key,) * 2):
        told = story(assert_no_duplicates, actions)
        assert told.startswith("the same action was taken more than once\n  C-1:2:remind_customer: 2 times, ")
    assert story(assert_no_duplicates, [remind, close, remind]).endswith("as number 0, 2")


def test_one_sweep_takes_one_action_a_case(desk: Workflow, asked: Case) -> None:
    other = attrs.evolve(asked, id="C-2")
    assert_one_action_a_case(desk.due([asked, other], now=day(28)))
    both = [*desk.due([asked], now=day(7)), *desk.due([asked, other], now=day(28))]
    assert story(assert_one_action_a_case, both) == (
        "one sweep took more than one action on a case\n"
        "  case 'C-1': remind_customer (due 2026-03-09T09:00:00Z), close_pending (due 2026-03-30T09:00:00Z)\n"
        "Only the furthest timer that is due counts; the others are passed over."
    )


# --- histories by themselves -----------------------------------------------------------


@given(life=lives())
def test_legal_histories_only_grow_and_count_their_stays(life: tuple[Policy, Case]) -> None:
    _, case = life
    assert_stays_count_up(case)
    for number in range(len(case.history) + 1):
        assert_history_only_grows(case.history[:number], case)
        assert_stays_count_up(case.history[number:])
    assert_history_only_grows(case, case)


def test_an_entry_that_is_gone_is_told(warned: Case) -> None:
    assert story(assert_history_only_grows, warned, without(warned, 1)).endswith(
        "  > 2026-03-09T09:00:00Z  remind_customer by system: pending.customer_input, stay 2\n"
        "Entry 1 of 3 is gone: in its place stands 2026-03-30T09:00:00Z  close_pending by system: "
        "pending.customer_input -> closed, stay 3."
    )
    assert story(assert_history_only_grows, warned.history, without(warned, 2).history) == (
        "the case has lost an entry of its history\n"
        "    2026-03-02T09:00:00Z  pend by agent: new -> pending.customer_input, stay 2\n"
        "    2026-03-09T09:00:00Z  remind_customer by system: pending.customer_input, stay 2\n"
        "  > 2026-03-30T09:00:00Z  close_pending by system: pending.customer_input -> closed, stay 3\n"
        "Entry 2 of 3 is gone: the history ends there."
    )


def test_an_entry_that_was_changed_is_gone(warned: Case) -> None:
    assert "Entry 0 of 3 is gone" in story(
        assert_history_only_grows, warned, changed(warned, 0, actor="mira")
    )


def test_a_long_story_is_told_from_near_its_end(desk: Workflow, asked: Case) -> None:
    case = asked
    for number in range(20):
        case = desk.apply(case, "note", by="agent", at=day(number))
    told = story(assert_history_only_grows, case, without(case, 20)).splitlines()
    assert told[1] == "    (8 more)"
    assert len(told) == 1 + 1 + 12 + 1 + 1


def test_links_between_cases_are_never_lost(desk: Workflow, unwarned: Case) -> None:
    original, clone = desk.clone(unwarned, "C-2", by="agent", at=day(30))
    assert_history_only_grows(unwarned, original)
    assert "its clones were C-2 and are now none; none is ever lost" in story(
        assert_history_only_grows, original, attrs.evolve(original, clones=())
    )
    assert "cloned_from was C-1 and is now None" in story(
        assert_history_only_grows, clone, attrs.evolve(clone, cloned_from=None)
    )
    assert "opened_at was 2026" in story(
        assert_history_only_grows, clone, attrs.evolve(clone, opened_at=START)
    )
    with pytest.raises(CaseDataError, match="after: id: must be the same case, 'C-1', not 'C-2'"):
        assert_history_only_grows(original, clone)


@pytest.mark.parametrize(
    ("number", "fields", "words"),
    [
        (0, {"stay": 3}, "Stay 3 does not follow stay 1."),
        (0, {"stay": 1}, "It changes the state, so it begins stay 2."),
        (0, {"at": day(-1)}, "It is before 2026-03-02T09:00:00Z, the instant of what precedes it."),
        (1, {"from_state": "new"}, "It begins in new, but the case was in pending.customer_input."),
        (1, {"stay": 1}, "Stay 1 does not follow stay 2."),
        (2, {"stay": 2}, "It changes the state, so it begins stay 3."),
        (2, {"stay": 4}, "Stay 4 does not follow stay 2."),
    ],
)
def test_a_break_in_a_history_is_told(
    warned: Case, number: int, fields: dict[str, object], words: str
) -> None:
    told = story(assert_stays_count_up, changed(warned, number, **fields))
    assert told.startswith("case 'C-1': its history has a break\n")
    assert told.endswith(words)


def test_the_entries_alone_may_be_out_of_order(warned: Case) -> None:
    entries = (warned.history[0], attrs.evolve(warned.history[1], at=day(-1)))
    assert "It is before 2026-03-02T09:00:00Z" in story(assert_stays_count_up, entries)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"stay": 4}, "By its history its stay is 3, not 4."),
        ({"status": "new"}, "By its history its state is closed, not new."),
        (
            {"entered_at": day(27)},
            "By its history its entered_at is 2026-03-30 09:00:00+00:00, not 2026-03-29",
        ),
    ],
)
def test_a_case_stands_where_its_history_led(warned: Case, fields: dict[str, Any], words: str) -> None:
    told = story(assert_stays_count_up, attrs.evolve(warned, **fields))
    assert told.startswith("case 'C-1' is not where its history led\n")
    assert words in told


def test_a_case_in_its_first_stay_was_entered_whenever_it_says(desk: Workflow) -> None:
    assert_stays_count_up(desk.apply(desk.open("C-1"), "note", by="agent", at=day(3)))
    assert_stays_count_up(Case(id="C-1", status="new", entered_at=START, stay=7))


# --- legal by the policy -----------------------------------------------------------------


@given(life=lives())
def test_what_a_workflow_does_is_legal(life: tuple[Policy, Case]) -> None:
    policy, case = life
    assert_history_is_legal(case, policy=policy)
    assert_history_is_legal(attrs.evolve(case, policy=None), policy=policy)
    assert_history_is_legal(attrs.evolve(case, opened_at=None), policy=policy)


@given(data=st.data(), life=lives())
def test_a_legal_history_from_which_an_entry_that_led_on_is_taken_is_none(
    data: st.DataObject, life: tuple[Policy, Case]
) -> None:
    policy, case = life
    moves = [
        number
        for number, (stay, change) in enumerate(
            zip((1, *(change.stay for change in case.history)), case.history, strict=False)
        )
        if change.stay != stay
    ]
    assume(moves)
    broken = without(case, data.draw(st.sampled_from(moves)))
    assert "is not legal by the policy" in story(assert_history_is_legal, broken, policy=policy)


@given(data=st.data(), life=lives())
def test_no_timer_is_settled_before_it_is_due(data: st.DataObject, life: tuple[Policy, Case]) -> None:
    policy, case = life
    workflow = Workflow(policy)
    due_at = workflow.next_due(case)
    assume(due_at is not None and due_at > case.changed_at)
    assert due_at is not None
    action = next(workflow.forecast(case, now=due_at))
    after = workflow.settle(case, action, at=due_at)
    assert_history_is_legal(after, policy=policy)
    at = data.draw(st.datetimes(case.changed_at.replace(tzinfo=None), due_at.replace(tzinfo=None) - TICK))
    early = changed(after, -1, at=at.replace(tzinfo=UTC))
    assert "is not due at" in story(assert_history_is_legal, early, policy=policy)


def test_a_closure_before_its_time_is_told(warned: Case) -> None:
    early = changed(warned, 2, at=day(28) - TICK)
    assert story(assert_history_is_legal, early, policy=policies.SUB_STATUS) == (
        "case 'C-1': its history is not legal by the policy 'sub-status'\n"
        "    2026-03-02T09:00:00Z  pend by agent: new -> pending.customer_input, stay 2\n"
        "    2026-03-09T09:00:00Z  remind_customer by system: pending.customer_input, stay 2\n"
        "  > 2026-03-30T08:59:59.999999Z  close_pending by system: pending.customer_input -> closed, stay 3\n"
        "Case 'C-1': 'close_pending' is not due at 2026-03-30 08:59:59.999999+00:00: close_pending waits "
        "until 2026-03-30T09:00:00Z, and moves the case to closed."
    )


@pytest.mark.parametrize(
    ("number", "fields", "words"),
    [
        (0, {"event": "plead"}, "unknown event 'plead'"),
        (0, {"by": "nobody"}, "unknown role 'nobody'"),
        (0, {"by": "customer"}, "'pend' by customer is refused in new"),
        (0, {"to_state": "pending.nothing"}, "unknown status 'nothing'"),
        (0, {"to_state": "pending"}, "'pend' needs sub_status="),
        (0, {"to_state": "pending.development"}, "has no timer 'remind_customer' (there are: none)"),
        (0, {"detail": "mira"}, "Its detail is None by the policy, not 'mira'"),
        (0, {"at": day(-1)}, "is before 2026-03-02 09:00:00+00:00"),
        (1, {"at": day(6)}, "'remind_customer' is not due at"),
        (1, {"to_state": "new"}, "Its to_state is 'pending.customer_input' by the policy, not 'new'"),
        (1, {"event": "close_awaiting"}, "has no timer 'close_awaiting' (there are: remind_customer, close"),
        (1, {"event": "clone", "by": "agent"}, "'clone' by agent is refused in pending.customer_input"),
        (2, {"stay": 9}, "Its stay is 3 by the policy, not 9"),
        (2, {"detail": ("remind_customer",)}, "Its detail is None by the policy, not ('remind_customer',)"),
    ],
)
def test_an_entry_that_the_policy_does_not_permit_is_told(
    warned: Case, number: int, fields: dict[str, object], words: str
) -> None:
    told = story(assert_history_is_legal, changed(warned, number, **fields), policy=policies.SUB_STATUS)
    assert words in told
    assert told.startswith("case 'C-1': its history is not legal by the policy 'sub-status'\n")


def test_a_reminder_on_every_pass_is_not_legal(desk: Workflow, asked: Case) -> None:
    case = settled(desk, asked, day(7))
    case = with_entry(case, at=day(8), event="remind_customer", to_state=case.state)
    assert "has been settled at" in story(assert_history_is_legal, case, policy=policies.SUB_STATUS)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": "new"}, "Its state is 'closed' by the policy, not 'new'"),
        ({"entered_at": day(27)}, "Its entered_at is 2026-03-30T09:00:00Z by the policy, not 2026-03-29T09"),
        ({"assignee": "mira"}, "Its assignee is None by the policy, not 'mira'"),
        ({"clones": ("C-2",)}, "Its clones is () by the policy, not ('C-2',)"),
    ],
)
def test_a_case_that_is_not_where_its_history_leads_is_not_legal(
    warned: Case, fields: dict[str, Any], words: str
) -> None:
    told = story(assert_history_is_legal, attrs.evolve(warned, **fields), policy=policies.SUB_STATUS)
    assert words in told
    assert "  > " not in told


def test_assignees_and_clones_are_lived_through_again(desk: Workflow, unwarned: Case) -> None:
    for case in desk.clone(unwarned, "C-2", by="customer", at=day(30)):
        assert_history_is_legal(case, policy=policies.SUB_STATUS)
    other = Workflow(policies.OPEN_RESOLVED, lambda: START)
    case = other.apply(other.open("C-1"), "assign", by="agent", assignee="mira")
    assert_history_is_legal(case, policy=policies.OPEN_RESOLVED)
    assert "'assign' needs assignee=" in story(
        assert_history_is_legal, changed(case, 0, detail=None), policy=policies.OPEN_RESOLVED
    )


def test_when_a_case_was_opened_is_believed_if_nobody_knows() -> None:
    desk = Workflow(policies.SUB_STATUS.override({"initial": "pending.customer_input"}), lambda: START)
    case = settled(desk, desk.open("C-1"), day(28))
    later = attrs.evolve(case, opened_at=day(2))
    assert "is not due at" in story(assert_history_is_legal, later, policy=desk.policy)
    assert_history_is_legal(attrs.evolve(case, opened_at=None), policy=desk.policy)


# --- migrated cases --------------------------------------------------------------------


@pytest.fixture
def renamed() -> Workflow:
    """Another version of the policy, in which two statuses have other names and one timer is sooner."""
    plain = policies.OPEN_RESOLVED.to_dict()
    statuses: Any = plain["statuses"]
    names = {"open": "opened", "in_progress": "working"}
    plain["statuses"] = {names.get(name, name): table for name, table in statuses.items()}
    rows: Any = plain["transitions"]
    for row in rows:
        row["from"] = [names.get(name, name) for name in row["from"]]
        if row.get("to") in names:
            row["to"] = names[row["to"]]
    timers: Any = plain["timers"]
    timers["close_pending"]["after"] = {"days": 3}
    return Workflow(load_policy(plain), lambda: START)


@pytest.fixture
def moved(renamed: Workflow) -> Case:
    """A case that was worked on under the old version, and asked its customer before the new one came."""
    old = Workflow(policies.OPEN_RESOLVED, lambda: START)
    case = old.apply(old.open("C-1"), "assign", by="agent", assignee="mira")
    case = old.apply(case, "start", by="agent")
    case = old.apply(case, "ask", by="agent")
    case = settled(old, case, START)
    return old.migrate(case, renamed, {"open": "opened", "in_progress": "working"}, at=day(1))


def test_a_migrated_case_is_judged_from_its_next_stay_on(renamed: Workflow, moved: Case) -> None:
    policy = renamed.policy
    case = renamed.apply(moved, "comment", by="customer", at=day(2))
    assert case.state == "working"
    for other in (
        moved,
        case,
        renamed.apply(case, "ask", by="agent", at=day(2)),
        settled(renamed, settled(renamed, moved, day(1)), day(9)),
    ):
        assert_history_is_legal(other, policy=policy)
        assert_never_closed_unwarned(other, policy=policy)
        assert_reply_wins(other, policy=policy)
        assert_stays_count_up(other)


def test_what_comes_after_a_migration_has_to_be_legal(renamed: Workflow, moved: Case) -> None:
    case = settled(renamed, settled(renamed, moved, day(1)), day(9))
    early = changed(case, -1, at=day(3))
    assert "'close_pending' is not due at" in story(assert_history_is_legal, early, policy=renamed.policy)
    told = story(assert_never_closed_unwarned, without(case, len(case.history) - 2), policy=renamed.policy)
    assert "in stay 5, which began at 2026-03-03T09:00:00Z" in told


def test_a_stay_that_began_under_another_policy_is_not_judged(desk: Workflow, asked: Case) -> None:
    later = Workflow(
        policies.SUB_STATUS.override({"timers": {"close_pending": {"after": {"days": 90}}}}), lambda: START
    )
    case = desk.migrate(asked, later, at=day(1))
    assert case.stay == asked.stay
    closed = with_entry(case, at=day(2), event="close_pending", to_state="closed", stay=3)
    closed = attrs.evolve(closed, status="closed", sub_status=None)
    for check in (assert_history_is_legal, assert_never_closed_unwarned, assert_reply_wins):
        check(case, policy=later.policy)
    assert_never_closed_unwarned(closed, policy=later.policy)


def test_a_migration_may_be_the_first_thing_that_happens(desk: Workflow) -> None:
    later = Workflow(policies.SUB_STATUS.override({"statuses": {"idle": {}}}), lambda: START)
    case = desk.migrate(desk.open("C-1"), later, {"new": "idle"}, at=day(1))
    assert case.stay == 1 + (case.state != "new")
    assert_history_is_legal(case, policy=later.policy)
    again = later.apply(case, "start", by="agent", at=day(2))
    assert_history_is_legal(again, policy=later.policy)
    cloned, _ = later.clone(later.apply(again, "close", by="agent", at=day(3)), "C-2", by="agent", at=day(4))
    assert_history_is_legal(cloned, policy=later.policy)


def test_an_event_may_be_called_migrate(robotic: Policy) -> None:
    desk = Workflow(robotic, lambda: START)
    case = desk.apply(desk.open("C-1"), "migrate", by="system")
    case = settled(desk, desk.apply(case, "move", by="customer"), day(3))
    assert_history_is_legal(case, policy=robotic)
    assert "unwarned" in story(assert_never_closed_unwarned, case, policy=robotic)


# --- wrong arguments -----------------------------------------------------------------------


@pytest.mark.parametrize("check", ["assert_never_closed_unwarned", "assert_reply_wins"])
@pytest.mark.parametrize(
    ("history", "words"),
    [
        (None, "history: must be an iterable of Change entries, or a Case, not None"),
        ("C-1", "not 'C-1'"),
        ({"C-1": ()}, "not {'C-1': ()}"),
        ([1, "x"], "history: 2 problems\n  - [0]: must be a Change, not 1"),
    ],
)
def test_what_is_no_history_is_named(check: str, history: object, words: str) -> None:
    with pytest.raises(CaseDataError) as raised:
        getattr(KIT, check)(history, policy=policies.SUB_STATUS)
    assert words in str(raised.value)
    with pytest.raises(CaseDataError) as raised:
        KIT.assert_stays_count_up(history)
    assert words in str(raised.value)
    with pytest.raises(CaseDataError, match="before: "):
        KIT.assert_history_only_grows(history, [])
    with pytest.raises(CaseDataError, match="after: "):
        KIT.assert_history_only_grows([], history)


@pytest.mark.parametrize(
    "check", ["assert_never_closed_unwarned", "assert_reply_wins", "assert_history_is_legal"]
)
def test_what_is_no_policy_is_named(warned: Case, check: str) -> None:
    with pytest.raises(PolicyError, match=r"policy: must be a Policy \(see load_policy\), not 'sub-status'"):
        getattr(KIT, check)(warned, policy="sub-status")


@pytest.mark.parametrize("check", ["assert_never_closed_unwarned", "assert_reply_wins"])
def test_a_history_of_another_policy_is_named_with_every_word_that_is_unknown(
    warned: Case, check: str
) -> None:
    with pytest.raises(CaseDataError) as raised:
        getattr(KIT, check)(warned, policy=policies.OPEN_RESOLVED)
    paths = [problem.path for problem in raised.value.problems]
    assert paths == ["[0].to_state", "[1].from_state", "[1].to_state", "[1].event", "[2].from_state"]
    assert "'remind_customer' is no timer of 'open-resolved'" in str(raised.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"at_least": "7 days"}, "arguments: at_least: must be a timedelta or a Length, not '7 days'"),
        ({"at_least": -DAY}, "arguments: at_least: must not be negative"),
        ({"audience": 7}, "arguments: audience: must be text or None, not 7"),
    ],
)
def test_wrong_options_are_named(warned: Case, options: dict[str, object], words: str) -> None:
    with pytest.raises(CaseDataError) as raised:
        KIT.assert_never_closed_unwarned(warned, policy=policies.SUB_STATUS, **options)
    assert words in str(raised.value)


def test_only_a_case_of_the_policy_has_a_history_that_is_legal(warned: Case) -> None:
    with pytest.raises(CaseDataError, match="case: must be a Case, not "):
        KIT.assert_history_is_legal(warned.history, policy=policies.SUB_STATUS)
    with pytest.raises(CaseDataError, match="the case is of 'sub-status'"):
        assert_history_is_legal(warned, policy=policies.OPEN_RESOLVED)
    with pytest.raises(UnknownStatus):
        assert_history_is_legal(attrs.evolve(warned, status="shut"), policy=policies.SUB_STATUS)


@pytest.mark.parametrize("actions", [None, "C-1:2:close", {"C-1:2:close": 1}, [None]])
def test_what_are_no_actions_is_named(actions: object) -> None:
    for check in (KIT.assert_no_duplicates, KIT.assert_one_action_a_case):
        with pytest.raises(CaseDataError, match=r"actions: .*must be .*Action"):
            check(actions)
    with pytest.raises(CaseDataError, match="must be an Action, not 'C-1:2:close'"):
        KIT.assert_one_action_a_case(["C-1:2:close"])
