"""What holds of every helpdesk that keeps its promises, for ordinary tests to call.

Each takes what any desk has: a `Case`, its history as `Change` entries, or the
actions of its sweeps. It raises an `AssertionError` that tells what happened,
when, and by which rule it should not have; and a `CasestateError` for an
argument that it cannot use.

Stays that began before a case was last migrated are not judged: another policy ruled them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NoReturn, cast

import attrs

from casestate.calendars import Length
from casestate.case import Action, Case, Change
from casestate.clock import FIRST, format_instant
from casestate.errors import (
    CaseDataError,
    CasestateError,
    MissingArgument,
    PolicyError,
    Problem,
    UnknownRole,
    nearest,
    one_of,
    shown,
)
from casestate.policy import CLONE, SYSTEM, Policy, Timer
from casestate.schedule import Schedule, schedules
from casestate.workflow import MIGRATE, Workflow


__all__ = [
    "assert_history_is_legal",
    "assert_history_only_grows",
    "assert_never_closed_unwarned",
    "assert_no_duplicates",
    "assert_one_action_a_case",
    "assert_reply_wins",
    "assert_stays_count_up",
]

_MOST_TOLD: Final = 12
"""The entries that a story tells before the one that it is about."""
_ONE: Final[Mapping[type, str]] = MappingProxyType({Action: "an Action", Change: "a Change", str: "a key"})


# --- stories -----------------------------------------------------------------


def _line(change: Change) -> str:
    moved = (
        change.from_state
        if change.to_state == change.from_state
        else f"{change.from_state} -> {change.to_state}"
    )
    by = change.by if change.actor is None else f"{change.by} ({change.actor})"
    detail = change.detail
    if detail:
        detail = f", {detail}" if isinstance(detail, str) else f", passing over {', '.join(detail)}"
    return f"{format_instant(change.at)}  {change.event} by {by}: {moved}, stay {change.stay}{detail or ''}"


def _fail(headline: str, changes: tuple[Change, ...], number: int, reason: str) -> NoReturn:
    """Raise the story of a history up to the entry ``number``, which is the one that is wrong."""
    first = max(0, number - _MOST_TOLD)
    told = [f"    ({first} more)"] if first else []
    told += [f"    {_line(change)}" for change in changes[first:number]]
    told += [f"  > {_line(change)}" for change in changes[number : number + 1]]
    raise AssertionError("\n".join((headline, *told, reason)))


def _subject(history: object) -> str:
    return f"case {history.id!r}" if isinstance(history, Case) else "the case"


# --- arguments ---------------------------------------------------------------


def _wrong(what: str, path: str, message: str) -> CaseDataError:
    return CaseDataError(what, [Problem(path, message)])


def _changes(history: object, what: str = "history") -> tuple[Change, ...]:
    """The entries of a case, or those given as they are."""
    if isinstance(history, Case):
        return history.history
    return cast("tuple[Change, ...]", _each(history, what, (Change,), "Change entries, or a Case"))


def _is_iterable(values: object) -> bool:
    """Whether it holds several things: a text does not, nor does a mapping of cases by their ids."""
    return isinstance(values, Iterable) and not isinstance(values, (str, Mapping))


def _each(values: object, what: str, kinds: tuple[type, ...], wanted: str) -> tuple[object, ...]:
    """What an iterable holds; raises all that is of none of ``kinds``."""
    if not _is_iterable(values):
        raise _wrong(what, "", f"must be an iterable of {wanted}, not {shown(values)}")
    entries = tuple(cast("Iterable[object]", values))
    names = " or ".join(_ONE[kind] for kind in kinds)
    problems = [
        Problem(f"[{number}]", f"must be {names}, not {shown(entry)}")
        for number, entry in enumerate(entries)
        if not isinstance(entry, kinds)
    ]
    if problems:
        raise CaseDataError(what, problems)
    return entries


def _a_policy(policy: object) -> None:
    if not isinstance(policy, Policy):
        raise PolicyError("policy", [Problem("", f"must be a Policy (see load_policy), not {shown(policy)}")])


def _judged_from(changes: tuple[Change, ...], policy: Policy) -> int:
    """The number of the first entry to be judged: the one after that which began a stay under this policy."""
    migrations = [
        number
        for number, change in enumerate(changes)
        if change.event == MIGRATE and change.by == SYSTEM and MIGRATE not in policy.events
    ]
    if not migrations:
        return 0
    stay = changes[migrations[-1] - 1].stay if migrations[-1] else 1
    begun = (number for number in range(migrations[-1], len(changes)) if changes[number].stay != stay)
    return next(begun, len(changes)) + 1


@attrs.frozen
class _Stay:
    """What is known of the stay that an entry found the case in."""

    number: int
    state: str
    entered_at: datetime | None
    """None of the first stay of a case that does not say when it was opened."""
    changes: tuple[Change, ...]
    """What happened in it before."""


def _walk(
    history: object, changes: tuple[Change, ...], policy: Policy
) -> Iterator[tuple[int, Change, _Stay]]:
    """The entries to be judged, each with the stay that it found the case in."""
    first = _judged_from(changes, policy)
    _known(changes, policy, first)
    if first >= len(changes):
        return
    if first:
        stay = _begun(changes[first - 1])
    else:
        entered_at = history.opened_at if isinstance(history, Case) else None
        opened = isinstance(history, Case) and changes[0].stay == 2
        number = changes[0].stay - (opened or changes[0].from_state != changes[0].to_state)
        stay = _Stay(number, changes[0].from_state, entered_at, ())
    for number, change in enumerate(changes[first:], first):
        yield number, change, stay
        if change.stay == stay.number:
            stay = attrs.evolve(stay, changes=(*stay.changes, change))
        else:
            stay = _begun(change)


def _begun(change: Change) -> _Stay:
    return _Stay(change.stay, change.to_state, change.at, ())


def _known(changes: tuple[Change, ...], policy: Policy, first: int) -> None:
    """Raise what the policy does not know of the entries to be judged."""
    timers = {timer.name for timers in policy.schedules.values() for timer in timers}
    names = (*timers, *policy.events)
    problems: list[Problem] = []
    for number, change in enumerate(changes[first:], first):
        for field in ("from_state", "to_state"):
            state = getattr(change, field)
            if state not in policy.states:
                hint = f"{nearest(state, policy.states)} (there are: {one_of(policy.states)})"
                problems.append(
                    Problem(f"[{number}].{field}", f"{state!r} is no state of {policy.name!r}{hint}")
                )
        if change.by == SYSTEM and change.event not in names:
            hint = f"{nearest(change.event, names)} (the timers are: {one_of(sorted(timers))})"
            problems.append(
                Problem(f"[{number}].event", f"{change.event!r} is no timer of {policy.name!r}{hint}")
            )
    if problems:
        raise CaseDataError("history", problems)


def _timer(policy: Policy, state: str, name: str) -> Timer | None:
    return next((timer for timer in policy.schedules[state] if timer.name == name), None)


def _by_a_row(policy: Policy, change: Change) -> bool:
    """Whether the entry may be an event that the system caused, not a timer."""
    return any(row.event == change.event and SYSTEM in row.by for row in policy.transitions)


# --- warned before it is closed --------------------------------------------------


def assert_never_closed_unwarned(
    history: Case | Iterable[Change],
    *,
    policy: Policy,
    at_least: timedelta | Length | None = None,
    audience: str | None = "customer",
) -> None:
    """No timer closes a case to whose ``audience`` nothing has been sent in the same stay.

    A message is a reminder or a notification of ``policy`` that has been settled; one
    that was passed over was not sent. ``at_least`` asks for that much time between the
    first message and the closure, a `Length` in the policy's calendar. With ``audience=None``, a
    message to anybody counts.

    The built-in policies allow such closures, as their documents do: after an outage,
    and of ``resolved``. A `notice` on the closing timer forbids them.

    Raises `AssertionError`, and `CaseDataError` or `PolicyError` for arguments that are none.
    """
    __tracebackhide__ = True
    _a_policy(policy)
    _a_notice(at_least)
    if audience is not None and not isinstance(audience, str):
        raise _wrong("arguments", "audience", f"must be text or None, not {shown(audience)}")
    changes = _changes(history)
    whom = "anybody" if audience is None else repr(audience)
    for number, change, stay in _walk(history, changes, policy):
        if not (
            change.by == SYSTEM
            and (_timer(policy, stay.state, change.event) is not None or not _by_a_row(policy, change))
            and policy.is_closed(change.to_state)
            and not policy.is_closed(change.from_state)
        ):
            continue
        sent = [entry for entry in stay.changes if _is_message(policy, stay.state, entry, audience)]
        headline = f"{_subject(history)} was closed by {change.event}"
        since = "" if stay.entered_at is None else f", which began at {format_instant(stay.entered_at)}"
        if not sent:
            reason = f"Nothing had been sent to {whom} in stay {stay.number}{since}"
            passed = f"; {one_of(change.detail)} passed over" if isinstance(change.detail, tuple) else ""
            _fail(
                f"{headline} unwarned",
                changes,
                number,
                f"{reason}{passed}{_others(policy, stay.state, audience)}.",
            )
        if at_least is not None:
            over = _add(policy, sent[0].at, at_least)
            if over is None or over > change.at:
                reason = (
                    f"The first message to {whom} in stay {stay.number} was {sent[0].event}, at "
                    f"{format_instant(sent[0].at)}; closing it takes {_span(at_least)} of warning"
                    f"{'' if over is None else f', until {format_instant(over)}'}."
                )
                _fail(f"{headline} too soon after its warning", changes, number, reason)


def _a_notice(at_least: object) -> None:
    if at_least is not None and not isinstance(at_least, (timedelta, Length)):
        raise _wrong("arguments", "at_least", f"must be a timedelta or a Length, not {shown(at_least)}")
    if isinstance(at_least, timedelta) and at_least < timedelta(0):
        raise _wrong("arguments", "at_least", f"must not be negative, not {at_least}")


def _span(length: timedelta | Length) -> str:
    return str(Length("elapsed", length // timedelta(seconds=1)) if isinstance(length, timedelta) else length)


def _add(policy: Policy, at: datetime, length: timedelta | Length) -> datetime | None:
    if isinstance(length, Length):
        return policy.calendar.add(at, length)
    try:
        return at + length
    except OverflowError:
        return None


def _is_message(policy: Policy, state: str, change: Change, audience: str | None) -> bool:
    timer = _timer(policy, state, change.event) if change.by == SYSTEM else None
    return timer is not None and timer.to is None and audience in (None, timer.audience)


def _others(policy: Policy, state: str, audience: str | None) -> str:
    """A hint if the messages of the state are for somebody else."""
    audiences = {timer.audience or "nobody by name" for timer in policy.schedules[state] if timer.to is None}
    if audience is None or not audiences or audience in audiences:
        return ""
    return f"; what {state} sends is for {one_of(sorted(audiences))} (see audience=)"


# --- a reply wins ----------------------------------------------------------------


def assert_reply_wins(history: Case | Iterable[Change], *, policy: Policy, role: str = "customer") -> None:
    """Once an event by ``role`` has ended a stay, no timer of that stay, or of one before it, does anything.

    So every timer settled after a reply is one of the state that the case is in by
    then, and has had its full time since the reply. Comments that end no stay do
    not count as a reply here: they stop no timer.

    Raises `AssertionError`; `UnknownRole` for a role that the policy does not have, and
    `CaseDataError` or `PolicyError` for arguments that are none.
    """
    __tracebackhide__ = True
    _a_policy(policy)
    if role not in policy.roles:
        raise UnknownRole(role, policy.roles, "role")
    changes = _changes(history)
    table = _schedules(policy)
    reply: Change | None = None
    for number, change, stay in _walk(history, changes, policy):
        if change.by == role and change.stay != stay.number:
            reply = change
        elif reply is not None and change.by == SYSTEM and not _by_a_row(policy, change):
            answered = f"{reply.event} by {role} at {format_instant(reply.at)}"
            headline = f"{_subject(history)}: {change.event} was settled in spite of {answered}"
            schedule = table[stay.state]
            index = schedule.positions.get(change.event, 0) - 1
            if index < 0:
                states = [state for state in policy.states if _timer(policy, state, change.event)]
                reason = (
                    f"{change.event} is a timer of {one_of(states)}, but the case was in {stay.state} by "
                    f"then, and what belonged to stay {reply.stay - 1} was over."
                )
                _fail(headline, changes, number, reason)
            due_at = schedule.counted_from_entry(index, reply.at)
            if due_at is None or due_at > change.at:
                after = schedule.timers[index].after
                until = "" if due_at is None else f", not before {format_instant(due_at)}"
                reason = f"{change.event} comes {after} after a stay began: since the reply{until}."
                _fail(headline, changes, number, reason)


@lru_cache(maxsize=16)
def _schedules(policy: Policy) -> Mapping[str, Schedule]:
    return schedules(policy)


# --- actions ---------------------------------------------------------------------


def assert_no_duplicates(actions: Iterable[Action | str]) -> None:
    """No two of ``actions`` are the same one: all that a desk has acted upon, ever.

    They are compared by their idempotency `key`; a desk that kept only the keys gives those.

    Raises `AssertionError`, and `CaseDataError` for what is neither.
    """
    __tracebackhide__ = True
    seen: dict[str, list[int]] = {}
    found = _each(actions, "actions", (Action, str), "Action objects or their keys")
    for number, action in enumerate(found):
        key = action if isinstance(action, str) else cast("Action", action).key
        seen.setdefault(key, []).append(number)
    lines = [
        f"  {key}: {len(numbers)} times, as number {', '.join(map(str, numbers))}"
        for key, numbers in seen.items()
        if len(numbers) > 1
    ]
    if lines:
        raise AssertionError("\n".join(("the same action was taken more than once", *lines)))


def assert_one_action_a_case(actions: Iterable[Action]) -> None:
    """Of ``actions``, what *one* sweep returned, at most one is of the same case.

    So nobody gets three reminders after an outage, and no case is reminded and closed in one breath.

    Raises `AssertionError`, and `CaseDataError` for what are no actions.
    """
    __tracebackhide__ = True
    cases: dict[str, list[Action]] = {}
    for action in _each(actions, "actions", (Action,), "Action objects"):
        taken = cast("Action", action)
        cases.setdefault(taken.case_id, []).append(taken)
    lines = [
        f"  case {case_id!r}: "
        + ", ".join(f"{action.timer} (due {format_instant(action.due_at)})" for action in found)
        for case_id, found in cases.items()
        if len(found) > 1
    ]
    if lines:
        reason = "Only the furthest timer that is due counts; the others are passed over."
        raise AssertionError("\n".join(("one sweep took more than one action on a case", *lines, reason)))


# --- histories by themselves -----------------------------------------------------


def assert_history_only_grows(before: Case | Iterable[Change], after: Case | Iterable[Change]) -> None:
    """Every entry of ``before`` stands in ``after`` where it stood; what is new comes behind them.

    Of two states of one `Case`, neither its opening, the case it was cloned from nor any clone is
    lost either.

    Raises `AssertionError`, and `CaseDataError` for what is no history or two cases with different ids.
    """
    __tracebackhide__ = True
    old, new = _changes(before, "before"), _changes(after, "after")
    subject = _subject(after)
    if isinstance(before, Case) and isinstance(after, Case):
        if before.id != after.id:
            raise _wrong("after", "id", f"must be the same case, {before.id!r}, not {after.id!r}")
        for field in ("opened_at", "cloned_from"):
            was, now = getattr(before, field), getattr(after, field)
            if was != now:
                raise AssertionError(f"{subject}: {field} was {was} and is now {now}; nothing changes it")
        if after.clones[: len(before.clones)] != before.clones:
            raise AssertionError(
                f"{subject}: its clones were {one_of(before.clones)} and are now {one_of(after.clones)}; "
                "none is ever lost"
            )
    for number, change in enumerate(old):
        if new[number : number + 1] != (change,):
            place = (
                f"in its place stands {_line(new[number])}" if number < len(new) else "the history ends there"
            )
            reason = f"Entry {number} of {len(old)} is gone: {place}."
            _fail(f"{subject} has lost an entry of its history", old, number, reason)


def assert_stays_count_up(history: Case | Iterable[Change]) -> None:
    """Each entry goes on from the one before it, and stays are counted without a gap.

    An entry begins in the state in which the one before it ended, and not before
    it. It is in the same stay, or begins the next one; one that changes the
    state always does. A `Case` is in the stay and the state that its last entry led
    to, since the instant at which that stay began.

    Raises `AssertionError`, and `CaseDataError` for what is no history.
    """
    __tracebackhide__ = True
    changes = _changes(history)
    subject = _subject(history)
    before: Change | None = None
    for number, change in enumerate(changes):
        reason = _break(history, before, change)
        if reason:
            _fail(f"{subject}: its history has a break", changes, number, reason)
        before = change
    if isinstance(history, Case) and before is not None:
        began = next((change for change in changes if change.stay == before.stay), before)
        entered_at = began.at if before.stay > 1 else history.entered_at
        for field, value in (("state", before.to_state), ("stay", before.stay), ("entered_at", entered_at)):
            if getattr(history, field) != value:
                reason = f"By its history its {field} is {value}, not {getattr(history, field)}."
                _fail(f"{subject} is not where its history led", changes, len(changes) - 1, reason)


def _break(history: object, before: Change | None, change: Change) -> str:
    """What breaks between an entry and the one before it; nothing if nothing does."""
    moved = change.to_state != change.from_state
    if before is None:
        if not isinstance(history, Case):
            return ""
        stay, at = 1, history.opened_at or change.at
    else:
        stay, at = before.stay, before.at
        if change.from_state != before.to_state:
            return f"It begins in {change.from_state}, but the case was in {before.to_state}."
    if change.at < at:
        return f"It is before {format_instant(at)}, the instant of what precedes it."
    if change.stay not in (stay, stay + 1):
        return f"Stay {change.stay} does not follow stay {stay}."
    if moved and change.stay == stay:
        return f"It changes the state, so it begins stay {stay + 1}."
    return ""


# --- legal by a policy -----------------------------------------------------------


def assert_history_is_legal(case: Case, *, policy: Policy) -> None:
    """Everything that happened to ``case`` could happen under ``policy``, and the case stands where it led.

    The history is lived through again: each event is one that the policy permits to
    that role in that moment, and leads where its row says; each timer was due when it
    was settled, had not been settled or passed over before, and no `notice` held it
    back. What is not known is believed: of a case that does not say when it was
    opened, that its first stay had lasted long enough.

    Raises `AssertionError`; `UnknownStatus`, `CaseDataError` or `PolicyError` for a case that is none or of
    another policy.
    """
    __tracebackhide__ = True
    _a_policy(policy)
    if not isinstance(case, Case):
        raise _wrong("case", "", f"must be a Case, not {shown(case)}")
    workflow = _workflow(policy)
    workflow.allowed(case)  # raises what makes it a case of another policy
    first = _judged_from(case.history, policy)
    if first > len(case.history):
        return  # the stay that another policy began is not over
    furthest = (-1, "")
    for start in _starts(workflow, case, first):
        number, reason = _relived(workflow, start, case, first)
        if not reason:
            return
        furthest = max(furthest, (number, reason), key=lambda ending: ending[0])
    headline = f"case {case.id!r}: its history is not legal by the policy {policy.name!r}"
    number, reason = furthest
    _fail(headline, case.history, number, f"{reason[0].upper()}{reason[1:].removesuffix('.')}.")


@lru_cache(maxsize=16)
def _workflow(policy: Policy) -> Workflow:
    return Workflow(policy, lambda: FIRST)


def _starts(workflow: Workflow, case: Case, first: int) -> Iterator[Case]:
    """Where the part of the history to be judged may have begun.

    After a migration it is not known who the case was assigned to, nor where it came from by the new
    policy's names: whatever explains the rest will do.
    """
    policy = workflow.policy
    if not first:
        known = case.opened_at or FIRST  # entered so long ago that every timer may be due
        opened = workflow.open(case.id, at=known)
        yield attrs.evolve(opened, opened_at=case.opened_at, cloned_from=case.cloned_from)
        return
    began = case.history[first - 1]
    status, _, sub_status = began.to_state.partition(".")
    later = {change.detail for change in case.history[first:] if change.event == CLONE}
    for assignee in dict.fromkeys((case.assignee, None)):
        for previous in (None, *policy.states):
            yield Case(
                id=case.id,
                status=status,
                sub_status=sub_status or None,
                entered_at=began.at,
                policy=policy.name,
                stay=began.stay,
                previous=previous,
                assignee=assignee,
                opened_at=case.opened_at,
                cloned_from=case.cloned_from,
                clones=tuple(clone for clone in case.clones if clone not in later),
            )


def _relived(workflow: Workflow, start: Case, case: Case, first: int) -> tuple[int, str]:
    """The entry at which living through the history again fails, and why; no reason if it does not.

    An entry by the system may be an event or a timer of the same name: both are followed.
    """
    lives = [start]
    for number, change in enumerate(case.history[first:], first):
        reasons: list[str] = []
        lives = [after for life in lives for after in _afters(workflow, life, change, reasons)]
        if not lives:
            return number, reasons[0]
    differences = [_difference(life, case, _STANDING) for life in lives]
    return len(case.history), "" if "" in differences else differences[0]


def _afters(workflow: Workflow, case: Case, change: Change, reasons: list[str]) -> Iterator[Case]:
    """The case after an entry, for each thing that it may have been; adds why it cannot be the others."""
    policy = workflow.policy
    ways = [_applied]
    if change.by == SYSTEM and _timer(policy, case.state, change.event) is not None:
        ways = [_settled, _applied] if _by_a_row(policy, change) else [_settled]
    elif change.by == SYSTEM and not _by_a_row(policy, change):
        timers = one_of(timer.name for timer in policy.schedules[case.state])
        reasons.append(f"{case.state} has no timer {change.event!r} (there are: {timers})")
        return
    for way in ways:
        try:
            after = way(workflow, case, change)
        except CasestateError as error:
            reasons.append(str(error))
            continue
        difference = _difference(after.history[-1], change, _SAID)
        if difference:
            reasons.append(difference)
        else:
            yield after


_SAID: Final = ("from_state", "to_state", "stay", "detail")
_STANDING: Final = (
    "state",
    "entered_at",
    "stay",
    "previous",
    "assignee",
    "settled",
    "settled_at",
    "clones",
)


def _difference(should: Case | Change, found: Case | Change, fields: tuple[str, ...]) -> str:
    """What is not as it should be; nothing if all is."""
    wrong: list[str] = []
    for field in fields:
        value, other = getattr(should, field), getattr(found, field)
        if value not in (other, FIRST):  # FIRST stands for an instant that nobody knows
            wrong.append(f"its {field} is {_said(value)} by the policy, not {_said(other)}")
    return "; ".join(wrong)


def _said(value: object) -> str:
    return format_instant(value) if isinstance(value, datetime) else shown(value)


def _settled(workflow: Workflow, case: Case, change: Change) -> Case:
    timer = cast("Timer", _timer(workflow.policy, case.state, change.event))
    action = Action(
        case_id=case.id,
        stay=case.stay,
        entered_at=case.entered_at,
        timer=timer.name,
        kind=timer.kind,
        audience=timer.audience,
        due_at=change.at,
        to=timer.to,
    )
    return workflow.settle(case, action, at=change.at)


def _applied(workflow: Workflow, case: Case, change: Change) -> Case:
    """The case after the event of an entry; the workflow itself says which arguments it needs."""
    if change.event == CLONE:
        return workflow.clone(case, cast("str", change.detail), by=change.by, at=change.at)[0]
    given: dict[str, Any] = {}
    while True:
        try:
            return workflow.apply(case, change.event, by=change.by, at=change.at, **given)
        except MissingArgument as missing:
            if missing.argument in given:
                raise
            sub_status = change.to_state.partition(".")[2]
            given[missing.argument] = sub_status if missing.argument == "sub_status" else change.detail
