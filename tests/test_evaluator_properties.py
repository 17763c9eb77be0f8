"""Properties of the evaluator, on random policies and cases: one definition of due, and what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count, islice, takewhile
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from hypothesis import assume, given
from hypothesis import strategies as st

from casestate import (
    Action,
    Case,
    CaseDataError,
    Cutoff,
    MissingArgument,
    NaiveTimeError,
    NotDue,
    Policy,
    StaleAction,
    UnknownStatus,
    Workflow,
)
from casestate import policies as documented
from casestate.testing.strategies import LAST, TICK, cases, instants, nudges, policies
from reference import Due, Reference, Stay


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from casestate.errors import CasestateError

DAY = timedelta(days=1)
YEARS = timedelta(days=3000)
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def reference(policy: Policy) -> Reference:
    mapping: Any = policy.to_dict()
    return Reference(mapping)


def stay_of(case: Case) -> Stay:
    return Stay(case.state, case.entered_at, case.settled, case.settled_at)


def swept(desk: Workflow, case: Case, now: datetime) -> Action | None:
    """What a sweep returns for one case."""
    actions = list(desk.due([case], now=now))
    assert len(actions) <= 1
    return actions[0] if actions else None


def seen(action: Action | None) -> Due | None:
    """An action, as the reference says it."""
    return None if action is None else Due(action.timer, action.due_at, action.skipped, action.to)


def by_hand(rows: Iterable[Cutoff], case: Case) -> Cutoff | None:
    """The row of the cutoff table that says what is due, as any engine would find it."""
    for row in rows:
        if (row.status, row.sub_status, row.settled) != (case.status, case.sub_status, case.settled):
            continue
        if case.entered_at > row.entered_until:
            continue
        if row.settled_until is None or (
            case.settled_at is not None and case.settled_at <= row.settled_until
        ):
            return row
    return None


def moments(policy: Policy, case: Case) -> list[datetime]:
    """Instants at which something may come due."""
    naive = reference(policy)
    found = [case.entered_at]
    for timer in naive.timers[case.state]:
        found.append(naive.add(case.entered_at, timer["after"]))
        if case.settled_at is not None and timer["notice"] is not None:
            found.append(naive.add(case.settled_at, timer["notice"]))
    return found


@st.composite
def situations(draw: st.DrawFn, /, **options: Any) -> tuple[Policy, Case, datetime]:  # noqa: ANN401 - of `policies`
    """A policy, a case of it, and an instant to sweep at: near one of its own, or after a long outage."""
    policy = draw(policies(**options))
    case = draw(cases(policy))
    outage = case.entered_at + 20_000 * DAY
    instant = st.sampled_from([*moments(policy, case), outage]) | instants(policy.calendar.zone)
    return policy, case, draw(instant) + draw(nudges())


@st.composite
def due_situations(draw: st.DrawFn, /, **options: Any) -> tuple[Policy, Case, datetime]:  # noqa: ANN401 - of `policies`
    """The same, with something due that has not been settled yet."""
    policy = draw(policies(**options))
    case = draw(cases(policy))
    instants = [moment for moment in sorted(moments(policy, case)) if moment >= case.changed_at]
    outage = case.changed_at + 20_000 * DAY
    now = draw(st.sampled_from([*instants, outage])) + abs(draw(nudges()))
    desk = Workflow(policy)
    assume(desk.next_due(case) is not None)
    if swept(desk, case, now) is None:
        now = outage
    assume(swept(desk, case, now) is not None)
    return policy, case, now


def the_swept(desk: Workflow, case: Case, now: datetime) -> Action:
    """What a sweep returns for one case for which something is due."""
    action = swept(desk, case, now)
    assert action is not None
    return action


# --- one definition of due ---------------------------------------------------


@given(situation=situations())
def test_a_sweep_finds_what_the_naive_evaluator_finds(situation: tuple[Policy, Case, datetime]) -> None:
    policy, case, now = situation
    action = swept(Workflow(policy), case, now)
    assert seen(action) == reference(policy).due(stay_of(case), now)
    if action is not None:
        timer = next(timer for timer in policy.schedules[case.state] if timer.name == action.timer)
        assert (action.kind, action.audience, action.to) == (timer.kind, timer.audience, timer.to)
        assert (action.case_id, action.stay, action.entered_at) == (case.id, case.stay, case.entered_at)
        assert action.key == f"{case.id}:{case.stay}:{action.timer}"


@given(situation=situations(units=("elapsed",), notice=False))
def test_of_elapsed_lengths_the_last_that_is_over_is_due(situation: tuple[Policy, Case, datetime]) -> None:
    policy, case, now = situation
    timers = policy.schedules[case.state]
    left = timers[[None, *(timer.name for timer in timers)].index(case.settled) :]
    over = [timer.name for timer in left if case.entered_at + timer.after.nominal <= now]
    action = swept(Workflow(policy), case, now)
    assert (action.timer if action else None) == (over[-1] if over else None)


@given(situation=situations())
def test_the_cutoff_table_applied_by_hand_says_what_a_sweep_returns(
    situation: tuple[Policy, Case, datetime],
) -> None:
    policy, case, now = situation
    desk = Workflow(policy)
    row, action = by_hand(desk.cutoffs(now), case), swept(desk, case, now)
    assert (row and (row.timer, row.kind, row.audience, row.to)) == (
        action and (action.timer, action.kind, action.audience, action.to)
    )


@given(situation=situations())
def test_the_rows_of_one_position_stand_furthest_first_and_ask_for_ever_later_entries(
    situation: tuple[Policy, Case, datetime],
) -> None:
    policy, _, now = situation
    rows = Workflow(policy).cutoffs(now)
    for state, timers in policy.schedules.items():
        names = [timer.name for timer in timers]
        for position, settled in enumerate([None, *names]):
            here = [
                row
                for row in rows
                if (row.status, row.sub_status) == _status_of(state) and row.settled == settled
            ]
            indices = [names.index(row.timer) for row in here]
            assert indices == sorted(indices, reverse=True)
            assert all(index >= position for index in indices)
            until = [row.entered_until for row in here]
            assert until == sorted(until)
            assert all(instant <= now for instant in until)
            assert len({row.settled_until for row in here}) <= 1


def _status_of(state: str) -> tuple[str, str | None]:
    status, _, sub_status = state.partition(".")
    return status, sub_status or None


@given(situation=situations())
def test_what_comes_next_is_the_first_that_a_sweep_can_return(
    situation: tuple[Policy, Case, datetime],
) -> None:
    policy, case, _ = situation
    naive = reference(policy)
    next_due = Workflow(policy).next_due(case)
    since = max(case.entered_at, case.settled_at or case.entered_at)
    first = naive.first_due(stay_of(case), since, since + YEARS)
    assert (next_due and max(next_due, since)) == first


@given(situation=situations())
def test_a_forecast_is_what_comes_of_stepping_through_time(situation: tuple[Policy, Case, datetime]) -> None:
    policy, case, now = situation
    assume(case.settled_at is None or case.settled_at <= now)
    naive = reference(policy)
    expected = [due for _, due in islice(naive.future(stay_of(case), now, now + YEARS), 5)]
    actions = takewhile(lambda action: action.due_at <= now + YEARS, Workflow(policy).forecast(case, now=now))
    assert [seen(action) for action in islice(actions, 5)] == expected


@given(situation=situations())
def test_a_forecast_is_what_sweeps_settled_when_they_come_due_return(
    situation: tuple[Policy, Case, datetime],
) -> None:
    policy, case, now = situation
    assume(case.changed_at <= now)
    desk = Workflow(policy)
    for action in islice(desk.forecast(case, now=now), 6):
        now = max(now, action.due_at)
        assert swept(desk, case, now) == action
        if now > action.due_at:
            assert now == situation[2]  # overdue at the beginning, or by what was settled then
        case = desk.settle(case, action, at=now)


@given(situation=situations())
def test_an_explanation_says_of_each_timer_what_a_sweep_does_with_it(
    situation: tuple[Policy, Case, datetime],
) -> None:
    policy, case, now = situation
    desk = Workflow(policy)
    action = swept(desk, case, now)
    explanations = desk.explain(case, now=now)
    timers = policy.schedules[case.state]
    assert [explanation.timer for explanation in explanations] == [timer.name for timer in timers]
    position = [None, *(timer.name for timer in timers)].index(case.settled)
    naive = reference(policy)
    for index, (explanation, timer) in enumerate(zip(explanations, timers, strict=True)):
        assert str(explanation) == explanation.sentence
        assert explanation.sentence.startswith(f"{timer.name} ")
        assert explanation.kind == timer.kind
        by_entry = max(naive.add(case.entered_at, above.after.to_dict()) for above in timers[: index + 1])
        warnings = [above for above in timers[position + 1 : index + 1] if above.notice is not None]
        if index < position:
            verdict = "settled"
        elif action is not None and timer.name == action.timer:
            verdict = "due"
            assert explanation.due_at == action.due_at
        elif action is not None and timer.name in action.skipped:
            verdict = "passed_over"
        elif warnings:
            verdict = "held_back"
            assert explanation.due_at is None
        else:
            verdict = "held_back" if by_entry <= now else "waiting"
            assert explanation.due_at is not None
            assert explanation.due_at > now
        assert explanation.verdict == verdict
    assert (action is None) == all(explanation.verdict != "due" for explanation in explanations)


@given(situation=situations())
def test_an_hour_is_never_repeated_in_utc(situation: tuple[Policy, Case, datetime]) -> None:
    policy, case, now = situation
    settled_at = case.settled_at and case.settled_at.replace(fold=1)
    again = attrs.evolve(case, entered_at=case.entered_at.replace(fold=1), settled_at=settled_at)
    desk = Workflow(policy)
    assert swept(desk, again, now.replace(fold=1)) == swept(desk, case, now)
    assert desk.next_due(again) == desk.next_due(case)


@given(policy=policies(), data=st.data())
def test_instants_beyond_the_year_9999_are_never_due(policy: Policy, data: st.DataObject) -> None:
    case = data.draw(cases(policy, extreme=True))
    desk = Workflow(policy)
    action = swept(desk, case, LAST)
    next_due = desk.next_due(case)
    assert (action is None) == (next_due is None)
    if action is not None and next_due is not None:
        assert next_due <= action.due_at <= LAST
    assert len(list(islice(desk.forecast(case, now=LAST), 3))) in (0, 1, 2, 3)
    explained = desk.explain(case, now=LAST)
    assert [explanation.timer for explanation in explained if explanation.verdict == "due"] == (
        [action.timer] if action else []
    )


# --- one action a case -------------------------------------------------------


@given(policy=policies(), data=st.data())
def test_a_sweep_returns_at_most_one_action_a_case_in_the_order_of_the_input(
    policy: Policy, data: st.DataObject
) -> None:
    found = data.draw(st.lists(cases(policy), max_size=6))
    numbered = [attrs.evolve(case, id=f"{number}-{case.id}") for number, case in enumerate(found)]
    now = data.draw(instants(policy.calendar.zone))
    desk = Workflow(policy)
    alone = [action for case in numbered if (action := swept(desk, case, now)) is not None]
    assert list(desk.due(numbered, now=now)) == alone
    assert list(desk.due(iter(numbered), now=now)) == alone
    assert list(desk.due({case.id: case for case in numbered}.values(), now=now)) == alone


@given(situation=due_situations())
def test_the_action_is_the_furthest_that_can_be_reached_and_names_those_it_passes_over(
    situation: tuple[Policy, Case, datetime],
) -> None:
    policy, case, now = situation
    action = the_swept(Workflow(policy), case, now)
    names = [timer.name for timer in policy.schedules[case.state]]
    position = [None, *names].index(case.settled)
    index = names.index(action.timer)
    assert action.skipped == tuple(names[position:index])
    assert case.entered_at <= action.due_at <= now
    # All that it passes over was due as well.
    naive = reference(policy)
    for timer in policy.schedules[case.state][position:index]:
        assert naive.add(case.entered_at, timer.after.to_dict()) <= action.due_at


@given(situation=due_situations(notice=False))
def test_after_settling_what_does_not_move_the_case_nothing_is_due_at_that_instant(
    situation: tuple[Policy, Case, datetime],
) -> None:
    policy, case, now = situation
    desk = Workflow(policy)
    action = the_swept(desk, case, now)
    after = desk.settle(case, action, at=now)
    if action.to is None:
        assert swept(desk, after, now) is None
        assert (after.settled, after.settled_at, after.stay) == (action.timer, now, case.stay)
    else:
        assert (after.state, after.entered_at, after.stay) == (action.to, now, case.stay + 1)
        assert (after.settled, after.settled_at) == (None, None)


@given(situation=situations())
def test_what_is_due_is_returned_until_it_is_settled(situation: tuple[Policy, Case, datetime]) -> None:
    policy, case, now = situation
    desk = Workflow(policy)
    action = swept(desk, case, now)
    assert swept(desk, case, now) == action
    later = swept(desk, case, now + YEARS)
    if action is not None:
        assert later is not None
        names = [timer.name for timer in policy.schedules[case.state]]
        assert names.index(later.timer) >= names.index(action.timer)


@given(situation=situations())
def test_a_case_that_names_no_policy_is_evaluated_like_one_that_does(
    situation: tuple[Policy, Case, datetime],
) -> None:
    policy, case, now = situation
    desk = Workflow(policy)
    named, bare = attrs.evolve(case, policy=policy.name), attrs.evolve(case, policy=None)
    assert swept(desk, named, now) == swept(desk, bare, now)
    assert desk.next_due(named) == desk.next_due(bare)
    assert desk.explain(named, now=now) == desk.explain(bare, now=now)


# --- settling ----------------------------------------------------------------


def run(desk: Workflow, case: Case, sweeps: Sequence[datetime]) -> tuple[Case, list[Action]]:
    """Sweep at each of the instants and settle what is due; the actions in order."""
    actions = []
    for now in sweeps:
        action = swept(desk, case, now)
        if action is not None:
            case = desk.settle(case, action, at=now)
            actions.append(action)
    return case, actions


@st.composite
def gaps(draw: st.DrawFn, policy: Policy, case: Case) -> tuple[list[datetime], list[datetime]]:
    """One gap, split into sweeps in two ways; both end with the same sweep."""
    naive = reference(policy)
    since = case.changed_at
    known = [naive.add(case.entered_at, timer["after"]) for timer in naive.timers[case.state]]
    moments = st.sampled_from([moment for moment in (*known, since) if moment >= since])
    some = st.builds(
        lambda moment, wait, nudge: max(since, moment + wait * DAY + nudge),
        moments,
        st.integers(0, 9),
        nudges(),
    )
    end = draw(st.sampled_from([*known, since + 400 * DAY]))
    splits = [sorted(moment for moment in draw(st.lists(some, max_size=8)) if moment < end) for _ in range(2)]
    return [*splits[0], max(end, since)], [*splits[1], max(end, since)]


@given(policy=policies(), data=st.data())
def test_however_a_gap_is_split_no_timer_is_settled_twice_in_a_stay_and_all_in_schedule_order(
    policy: Policy, data: st.DataObject
) -> None:
    desk = Workflow(policy)
    case = data.draw(cases(policy))
    for sweeps in data.draw(gaps(policy, case)):
        _, actions = run(desk, case, sweeps)
        assert len({action.key for action in actions}) == len(actions)
        states = {case.stay: case.state}
        reached: dict[int, int] = {}
        if case.settled is not None:
            reached[case.stay] = desk.policy.schedules[case.state].index(
                _timer(policy, case.state, case.settled)
            )
        for action in actions:
            state = states[action.stay]
            index = policy.schedules[state].index(_timer(policy, state, action.timer))
            before = reached.get(action.stay, -1)
            assert index > before
            # What lies between was passed over, and never comes after all.
            assert len(action.skipped) == index - before - 1
            reached[action.stay] = index
            if action.to is not None:
                states[action.stay + 1] = action.to


def _timer(policy: Policy, state: str, name: str) -> Any:  # noqa: ANN401 - a timer of its schedule
    return next(timer for timer in policy.schedules[state] if timer.name == name)


@given(policy=policies(notice=False), data=st.data())
def test_without_notice_the_stay_ends_by_the_same_timer_however_the_gap_is_split(
    policy: Policy, data: st.DataObject
) -> None:
    desk = Workflow(policy)
    case = data.draw(cases(policy))

    def ending(actions: Iterable[Action]) -> tuple[str, datetime, str] | None:
        return next(
            ((action.timer, action.due_at, action.to) for action in actions if action.to is not None), None
        )

    one, other = (run(desk, case, sweeps) for sweeps in data.draw(gaps(policy, case)))
    assert ending(one[1]) == ending(other[1])
    if ending(one[1]) is None:
        assert one[0].settled == other[0].settled
        assert one[0].state == other[0].state


@given(situation=due_situations())
def test_an_action_that_has_been_settled_never_returns(situation: tuple[Policy, Case, datetime]) -> None:
    policy, case, now = situation
    desk = Workflow(policy)
    action = the_swept(desk, case, now)
    after = desk.settle(case, action, at=now)
    with pytest.raises(StaleAction):
        desk.settle(after, action, at=now + DAY)
    for wait in (timedelta(0), TICK, 30 * DAY, YEARS):
        later = swept(desk, after, now + wait)
        assert later is None or later.key != action.key
        assert (
            later is None
            or not {action.timer, *action.skipped} & {later.timer, *later.skipped}
            or (later.stay > action.stay)
        )
    assert all(later.key != action.key for later in islice(desk.forecast(after, now=now), 4))


@given(situation=due_situations())
def test_nothing_is_settled_before_it_is_due(situation: tuple[Policy, Case, datetime]) -> None:
    policy, case, now = situation
    desk = Workflow(policy)
    action = the_swept(desk, case, now)
    assume(action.due_at > case.changed_at)
    with pytest.raises(NotDue) as caught:
        desk.settle(case, action, at=action.due_at - TICK)
    assert caught.value.due_at == action.due_at
    assert desk.settle(case, action, at=action.due_at).history[-1].at == action.due_at


@given(situation=due_situations())
def test_a_closure_with_notice_comes_only_after_the_timer_before_it_was_settled_that_long_ago(
    situation: tuple[Policy, Case, datetime],
) -> None:
    policy, case, now = situation
    action = the_swept(Workflow(policy), case, now)
    timers = policy.schedules[case.state]
    index = timers.index(_timer(policy, case.state, action.timer))
    notice = timers[index].notice
    if notice is not None:
        assert case.settled == timers[index - 1].name
        assert case.settled_at is not None
        assert reference(policy).add(case.settled_at, notice.to_dict()) <= action.due_at <= now


@given(policy=policies(), data=st.data())
def test_over_many_sweeps_no_notice_is_ever_cut_short(policy: Policy, data: st.DataObject) -> None:
    desk = Workflow(policy)
    case = data.draw(cases(policy, settled=False))
    naive = reference(policy)
    for now in data.draw(gaps(policy, case))[0]:
        action = swept(desk, case, now)
        if action is None:
            continue
        notice = _timer(policy, case.state, action.timer).notice
        if notice is not None:
            names = [timer.name for timer in policy.schedules[case.state]]
            warned = case.history[-1]
            assert warned.event == names[names.index(action.timer) - 1]
            assert warned.stay == case.stay
            assert naive.add(warned.at, notice.to_dict()) <= now
        case = desk.settle(case, action, at=now)


# --- events ------------------------------------------------------------------


def fired(desk: Workflow, case: Case, event: str, by: str, at: datetime) -> Iterator[Case]:
    """The case after an event, for each of the arguments that it may be given; none if it is refused."""
    arguments: dict[str, str] = {}
    try:
        yield desk.apply(case, event, by=by, at=at)
    except MissingArgument as error:
        arguments = {error.argument: "mira"}
    except UnknownStatus:
        return
    if not arguments:
        return
    subs = [sub for status in desk.policy.statuses.values() for sub in status.sub_statuses]
    for sub_status in ["mira", *dict.fromkeys(subs)] if "sub_status" in arguments else [None]:
        for assignee in (None, "mira"):
            try:
                yield desk.apply(case, event, by=by, at=at, sub_status=sub_status, assignee=assignee)
            except (MissingArgument, UnknownStatus):
                continue


def futures(desk: Workflow, case: Case, at: datetime) -> list[Case]:
    """Every case that an event can make of this one."""
    return [
        after
        for role in desk.policy.roles
        for event in desk.allowed(case, by=role)
        if event != "clone"
        for after in fired(desk, case, event, role, at)
    ]


@given(situation=due_situations())
def test_a_reply_always_wins(situation: tuple[Policy, Case, datetime]) -> None:
    policy, case, now = situation
    desk = Workflow(policy)
    action = the_swept(desk, case, now)
    for at in (
        max(case.changed_at, action.due_at),
        now,
        now + DAY,
    ):  # at the very instant it comes due as well
        for after in futures(desk, case, at):
            if after.stay == case.stay:  # an internal event restarts nothing
                assert swept(desk, after, now) == action
                assert desk.settle(after, action, at=max(at, now)).history[-1].event == action.timer
            else:
                with pytest.raises(StaleAction, match=f"it is of stay {case.stay}"):
                    desk.settle(after, action, at=at + YEARS)
                renewed = swept(desk, after, at)
                assert renewed is None or renewed.key != action.key


@given(policy=policies(), data=st.data())
def test_history_only_grows(policy: Policy, data: st.DataObject) -> None:
    desk = Workflow(policy)
    now = data.draw(instants(policy.calendar.zone))
    case = desk.open("C-1042", at=now)
    assert case.history == ()
    for _ in range(data.draw(st.integers(1, 12))):
        now += data.draw(st.sampled_from((timedelta(0), TICK, DAY, 7 * DAY, 40 * DAY)))
        nexts = futures(desk, case, now)
        action = swept(desk, case, now)
        if action is not None:
            nexts.append(desk.settle(case, action, at=now))
        if not nexts:
            continue
        after = data.draw(st.sampled_from(nexts))
        assert after.history[:-1] == case.history
        change = after.history[-1]
        assert (change.at, change.from_state, change.to_state) == (now, case.state, after.state)
        assert change.stay == after.stay
        assert after.stay - case.stay in (0, 1)
        assert after.changed_at == now
        assert (after.entered_at == now) if after.stay > case.stay else (after.entered_at == case.entered_at)
        assert (after.id, after.opened_at, after.policy) == (case.id, case.opened_at, case.policy)
        if after.stay > case.stay:
            assert after.settled is None
            own = after.status == case.status
            assert after.previous == (case.previous if own else case.state)
        else:
            assert after.previous == case.previous
        assert Case.from_dict(after.to_dict()) == after
        case = after


# --- what is swept -----------------------------------------------------------


@pytest.fixture
def desk() -> Workflow:
    return Workflow(documented.SUB_STATUS, clock=lambda: NOW)


def overdue(number: int) -> Case:
    return Case(id=f"C-{number}", status="closed", entered_at=NOW - DAY)


def test_a_sweep_takes_one_case_at_a_time_and_no_more_than_it_is_asked_for(desk: Workflow) -> None:
    taken: list[int] = []

    def endless() -> Iterator[Case]:
        for number in count():
            taken.append(number)
            yield overdue(number)

    actions = desk.due(endless())
    assert taken == []
    assert next(actions).case_id == "C-0"
    assert taken == [0]
    assert [action.case_id for action in islice(actions, 2)] == ["C-1", "C-2"]
    assert taken == [0, 1, 2]


def test_a_sweep_keeps_the_instant_at_which_it_was_asked_for() -> None:
    clock = iter([NOW - TICK, NOW])
    desk = Workflow(documented.SUB_STATUS, clock=lambda: next(clock))
    first = desk.due([overdue(1)])
    second = desk.due([overdue(1)])
    assert list(first) == []
    assert [action.timer for action in second] == ["notify_closed"]


def test_a_bad_instant_is_refused_before_any_case_is_taken(desk: Workflow) -> None:
    def none_may_be_taken() -> Iterator[Case]:
        raise AssertionError
        yield

    with pytest.raises(NaiveTimeError):
        desk.due(none_may_be_taken(), now=NOW.replace(tzinfo=None))


def bad_cases() -> list[Any]:
    return [
        Case(id="C-8", status="clsoed", entered_at=NOW),
        Case(id="C-9", status="pending", entered_at=NOW),
        Case(id="C-10", status="pending", sub_status="custmer_input", entered_at=NOW),
        Case(id="C-11", status="new", sub_status="old", entered_at=NOW),
        Case(id="C-12", status="closed", entered_at=NOW, policy="open-resolved"),
        Case(id="C-13", status="closed", entered_at=NOW, settled="notify_clsoed", settled_at=NOW),
        Case(id="C-14", status="new", entered_at=NOW, settled="notify_closed", settled_at=NOW),
        "C-15",
        None,
        {"id": "C-16"},
        17,
    ]


MESSAGES = [
    "case 'C-8': status: unknown status 'clsoed'; did you mean 'closed'?",
    "case 'C-9': sub_status: is missing: pending needs one of customer_input, development, ",
    "case 'C-10': sub_status of pending: unknown status 'custmer_input'; did you mean 'customer_input'?",
    "case 'C-11': sub_status of new: unknown status 'old' (there are: none)",
    "case 'C-12': policy: the case is of 'open-resolved', this workflow of 'sub-status'; see Workflow.",
    "case 'C-13': settled: 'notify_clsoed' is no timer of closed; did you mean 'notify_closed'?",
    "case 'C-14': settled: 'notify_closed' is no timer of new (there are: none)",
    "cases: must be Case objects, not 'C-15'; give the mapping's values()",
    "cases: must be Case objects, not None",
    "cases: must be Case objects, not {'id': 'C-16'}",
    "cases: must be Case objects, not 17",
]


def test_with_on_error_a_sweep_goes_on_behind_every_case_it_cannot_read(desk: Workflow) -> None:
    bad = bad_cases()
    mixed = [item for number, case in enumerate(bad) for item in (overdue(number), case)]
    refused: list[tuple[object, CasestateError]] = []
    actions = list(desk.due(mixed, on_error=lambda case, error: refused.append((case, error))))
    assert [action.case_id for action in actions] == [f"C-{number}" for number in range(len(bad))]
    assert [case for case, _ in refused] == bad
    for (_, error), message in zip(refused, MESSAGES, strict=True):
        assert str(error).startswith(message)
        assert isinstance(error, UnknownStatus if "unknown status" in message else CaseDataError)


@pytest.mark.parametrize("number", range(len(MESSAGES)))
def test_without_on_error_a_sweep_stops_at_a_case_it_cannot_read(desk: Workflow, number: int) -> None:
    actions = desk.due([overdue(1), bad_cases()[number], overdue(2)])
    assert next(actions).case_id == "C-1"
    with pytest.raises((CaseDataError, UnknownStatus)) as caught:
        next(actions)
    assert str(caught.value).startswith(MESSAGES[number])
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_what_on_error_raises_ends_the_sweep(desk: Workflow) -> None:
    def give_up(case: Case, error: CasestateError) -> None:
        raise KeyboardInterrupt(case.id) from error

    actions = desk.due([bad_cases()[0], overdue(1)], on_error=give_up)
    with pytest.raises(KeyboardInterrupt, match="C-8"):
        next(actions)


def test_a_mapping_or_a_single_case_is_no_iterable_of_cases(desk: Workflow) -> None:
    cases: Any = {"C-1": overdue(1)}
    with pytest.raises(
        CaseDataError, match=r"must be Case objects, not 'C-1'; give the mapping's values\(\)"
    ):
        list(desk.due(cases))
    single: Any = overdue(1)
    with pytest.raises(CaseDataError, match="must be an iterable of Case objects, not Case"):
        desk.due(single)
    nothing: Any = 17
    with pytest.raises(CaseDataError, match="must be an iterable of Case objects, not 17"):
        desk.due(nothing)


@pytest.mark.parametrize("number", range(len(MESSAGES)))
def test_next_due_forecast_and_explain_refuse_the_same_cases_at_once(desk: Workflow, number: int) -> None:
    for ask in (desk.next_due, desk.forecast, desk.explain):
        with pytest.raises((CaseDataError, UnknownStatus)) as caught:
            ask(bad_cases()[number])
        assert str(caught.value).startswith(MESSAGES[number])
