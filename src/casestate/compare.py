"""What changed in meaning between two versions of a policy, and whether cases in flight are closed sooner.

Meaning is compared, not writing: transitions as the compiled table has them,
timers as each state's schedule has them. A policy has changed in nothing if it
was only written in another way.

A policy that keeps its name is in force at once, also for cases that wait
already. So the two are run side by side, for every position that such a case
can have, to see which of them closes it first.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import attrs

from casestate.calendars import WEEKDAYS, Calendar, Length
from casestate.errors import PolicyError, Problem, one_of, shown
from casestate.explore import START, Exploration
from casestate.machine import CONTEXTS, compile_table
from casestate.policy import CLONE, SYSTEM, TEXTS, Policy, base_name, state_path
from casestate.schedule import Schedule
from casestate.verify import COMMENT, CUSTOMER, Finding, Occurrence, Severity, verify


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from casestate.machine import Step
    from casestate.policy import Status, Timer

__all__ = ["CODES", "IN_FORCE", "compare"]

CODES: Final[Mapping[str, Severity]] = MappingProxyType(
    {
        "closes-sooner": "error",
        "closes-sooner-after-outage": "error",
        "less-warning": "error",
        "reply-no-longer-stops": "error",
        "state-closed": "error",
        "name-changed": "warning",
        "state-gone": "warning",
        "settled-timer-gone": "warning",
        "settled-timer-moves": "warning",
        "initial-changed": "note",
        "state-gained": "note",
        "state-opened": "note",
        "role-gained": "note",
        "role-gone": "note",
        "transition-gained": "note",
        "transition-lost": "note",
        "transition-changed": "note",
        "timer-gained": "note",
        "timer-lost": "note",
        "deadline-moved": "note",
        "repeat-changed": "note",
        "notice-changed": "note",
        "kind-changed": "note",
        "audience-changed": "note",
        "target-changed": "note",
        "order-changed": "note",
        "calendar-changed": "note",
        "text-changed": "note",
    }
)
"""Every code that `compare` can find, with its severity, in the order of the findings.

Where the new version has another name, cases that could be closed sooner are
but a warning: its workflow refuses them until `Workflow.migrate` has seen to them.
"""
IN_FORCE: Final = "in-force"
"""The step of a witness at which the new version takes over; no event can be called so."""

_DEAF: Final = "comment-stops-no-closure"
"""What `verify` says of a closure that a reply does not stop."""
_OLD: Final = "old."
"""What a path begins with that leads into the old version."""
_WHEN: Final[Mapping[tuple[int, ...], str]] = MappingProxyType(
    {
        (0, 1, 2, 3): "",
        (0, 1): " if unassigned",
        (2, 3): " if assigned",
        (0, 2): " without a previous state",
        (1, 3): " with a previous state",
    }
)
_LATER: Final = tuple(timedelta(hours=hours) for hours in (0, 8, 13, 15))
"""One day after the other: 09:00, 17:00, 22:00, and midnight."""
_DAYS: Final = 366
_AROUND: Final = 30
"""The days before a holiday on which a case may have begun to wait for it."""
_FEWER: Final = 3
"""Only every third entry is sampled where the positions of a case have to be told apart."""
_MOST_TIMERS: Final = 12
"""A schedule longer than that is sampled more seldom."""
_NEVER: Final = timedelta.max
_DAY: Final = timedelta(days=1)

_RENAME: Final = "give the new version a name of its own, else it is in force at once"
_MIGRATE: Final = (
    "move the cases in flight over with Workflow.migrate: "
    "it begins a new stay where a closure would come sooner"
)

_Steps: TypeAlias = "Mapping[tuple[str, str, str], tuple[Step | None, ...]]"
_Change: TypeAlias = tuple[str, str | None, str | None]
"""An event, what it did, and what it does; none for a refusal."""


def compare(old: Policy, new: Policy) -> tuple[Finding, ...]:
    """What has changed in meaning from ``old`` to ``new``, the gravest first; nothing if they mean the same.

    An ``error`` says that cases in flight could be closed sooner than was promised, or
    with less warning; a ``warning`` that the change needs something of you; a ``note`` is any other change.
    See docs/versions.md for the codes. Paths lead into the new version; one that begins with
    ``old.`` leads into the old one, to what is gone.

    Raises `PolicyError` for what is no policy.
    """
    problems = [
        Problem(what, f"must be a Policy (see load_policy), not {shown(policy)}")
        for what, policy in (("old", old), ("new", new))
        if not isinstance(policy, Policy)
    ]
    if problems:
        raise PolicyError("compare", problems)
    codes, severities = list(CODES), list(dict.fromkeys(CODES.values()))
    return tuple(
        sorted(
            _Versions(old, new).findings(),
            key=lambda found: (severities.index(found.severity), codes.index(found.code)),
        )
    )


def _finding(
    code: str,
    path: str,
    message: str,
    remedy: str = "",
    *,
    story: str = "",
    witness: tuple[Occurrence, ...] = (),
    severity: Severity | None = None,
) -> Finding:
    return Finding(
        code=code,
        severity=severity or CODES[code],
        path=path,
        message=message,
        remedy=remedy,
        story=story,
        witness=witness,
    )


def _and(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _moment(at: datetime) -> str:
    """An instant as a story tells it, with its day of the week."""
    seconds = f"{at:%S}" if at.second else ""
    return f"{WEEKDAYS[at.weekday()].title()} {at:%Y-%m-%d %H:%M}{seconds and ':' + seconds} UTC"


def _told(wait: timedelta) -> str:
    """A length of time as a story tells it."""
    return str(Length("elapsed", int(wait.total_seconds()))) if wait >= timedelta(seconds=1) else f"{wait}"


class _Fact(NamedTuple):
    """What a timer, with its repeats, means in one state."""

    after: Length
    repeat: tuple[Length, int] | None
    notice: Length | None
    kind: str
    audience: str | None
    to: str | None


class _Versions:
    """Two versions of a policy, side by side."""

    def __init__(self, old: Policy, new: Policy) -> None:
        self.old = old
        self.new = new
        self.both = tuple(state for state in new.states if state in old.states)

    def findings(self) -> Iterator[Finding]:
        yield from self.heads()
        yield from self.states()
        yield from self.roles()
        yield from self.transitions()
        yield from self.timers()
        yield from self.settled_timers()
        yield from self.calendars()
        yield from self.texts()
        yield from self.replies()
        yield from _Flights(self).findings()

    def replies(self) -> Iterator[Finding]:
        """Closures that a customer's reply has stopped, and stops no more."""
        lost: dict[str, list[str]] = {}
        for state in self.both:
            timers = self.new.schedules[state]
            closes = timers and timers[-1].kind == "close" and not self.new.is_closed(state)
            if closes and self.stopping(0, state) - self.stopping(1, state):
                lost.setdefault(timers[-1].name, []).append(state)
        told = {found.path: found.story for found in verify(self.new) if found.code == _DEAF} if lost else {}
        for name, states in lost.items():
            yield _finding(
                "reply-no-longer-stops",
                f"timers.{name}",
                f"{name} closes {_and(states)} in spite of a reply, which began a new stay before",
                "let a reply lead on from there, to where support reads it",
                story=told.get(f"timers.{name}", ""),
            )

    def stopping(self, version: int, state: str) -> set[int]:
        """The contexts in which a customer's reply leads from a state to a new stay in an open one."""
        policy = (self.old, self.new)[version]
        replies = {row.event for row in policy.transitions if CUSTOMER in row.by and not row.refuse}
        return {
            index
            for event in ({COMMENT} if COMMENT in replies else replies)
            for index, step in enumerate(self.tables[version].get((state, event, CUSTOMER), ()))
            if step is not None
            and any(not policy.is_closed(to[2]) for to in (step.to, *step.choices.values()) if to is not None)
        }

    @cached_property
    def tables(self) -> tuple[_Steps, _Steps]:
        """What events do under either version."""
        return compile_table(self.old).steps, compile_table(self.new).steps

    def said(self, states: Sequence[str]) -> str:
        """Some of the states that both versions have, as a sentence says them."""
        groups = {
            "every state": self.both,
            "every open state": tuple(state for state in self.both if not self.new.is_closed(state)),
        }
        for name, group in groups.items():
            if len(group) > 1 and set(states) == set(group):
                return name
        for name, group in groups.items():
            left = [state for state in group if state not in states]
            if len(group) > 3 and len(left) == 1 and set(states) < set(group):
                return f"{name} but {left[0]}"
        return _and(states)

    # --- names, states, roles ------------------------------------------------

    def heads(self) -> Iterator[Finding]:
        old, new = self.old, self.new
        if old.name != new.name:
            yield _finding(
                "name-changed",
                "name",
                f"the policy is called {new.name!r}, no longer {old.name!r}: "
                "its workflow refuses the cases of the old one",
                "move the cases in flight over: Workflow(old).migrate(case, Workflow(new))",
            )
        if old.initial != new.initial:
            yield _finding(
                "initial-changed", "initial", f"cases begin in {new.initial}, no longer in {old.initial}"
            )

    def states(self) -> Iterator[Finding]:
        old, new = self.old, self.new
        for state in new.states:
            if state not in old.states:
                yield _finding(
                    "state-gained", state_path(state), f"{state} is new, with its transitions and timers"
                )
        for state in old.states:
            if state not in new.states:
                yield _finding(
                    "state-gone",
                    _OLD + state_path(state),
                    f"{state} is gone: a case that is in it cannot be read any more",
                    "move the cases that are in it to another state: "
                    f"Workflow(old).migrate(case, Workflow(new), states={{{state!r}: …}})",
                )
        for state in self.both:
            if old.is_closed(state) == new.is_closed(state):
                continue
            path = f"statuses.{state.partition('.')[0]}.closed"
            if new.is_closed(state):
                yield _finding(
                    "state-closed",
                    path,
                    f"{state} is closed now: the cases that are in it are closed by the change itself",
                    "add a new status for closed cases, and leave this one open",
                )
            else:
                yield _finding(
                    "state-opened",
                    path if new.statuses[state.partition(".")[0]].closed else _OLD + path,
                    f"{state} is open now: the cases that were closed in it are open again",
                )

    def roles(self) -> Iterator[Finding]:
        for code, path, verb, policy, other in (
            ("role-gained", "roles", "is new: it may", self.new, self.old),
            ("role-gone", f"{_OLD}roles", "is gone, who might", self.old, self.new),
        ):
            for role in policy.roles:
                if role not in other.roles:
                    events = dict.fromkeys(row.event for row in policy.transitions if role in row.by)
                    yield _finding(
                        code, path, f"the role {role} {verb} {_and(events) if events else 'do nothing'}"
                    )

    # --- transitions ---------------------------------------------------------

    def transitions(self) -> Iterator[Finding]:
        groups: dict[tuple[_Change, tuple[int, ...], tuple[str, ...]], list[str]] = {}
        for change, contexts, role, states in self.changes():
            groups.setdefault((change, contexts, states), []).append(role)
        for (change, contexts, states), roles in groups.items():
            event, before, after = change
            where = f"in {self.said(states)}{_when(contexts)}"
            who = _and(roles)
            key = states[0], event, roles[0], contexts[0]
            path = _row_path(self.new, *key) or _OLD + _row_path(self.old, *key)
            if before is None:
                message = f"{who} may now {event} {where}: it {_effect(event, after)[0]}"
                yield _finding("transition-gained", path, message)
            elif after is None:
                message = f"{who} may no longer {event} {where}: it {_effect(event, before)[1]}"
                yield _finding("transition-lost", path, message)
            else:
                does, did = _effect(event, after)[0], _effect(event, before)[1]
                message = f"{event} by {who} {where} now {does}; before, it {did}"
                yield _finding("transition-changed", path, message)

    def changes(self) -> Iterator[tuple[_Change, tuple[int, ...], str, tuple[str, ...]]]:
        """What an event does otherwise: in which contexts, by which role, in which states."""
        tables = self.tables
        refused = (None,) * len(CONTEXTS)
        for event in dict.fromkeys((*self.new.events, *self.old.events)):
            for role in (role for role in self.new.roles if role in self.old.roles):
                found: dict[tuple[_Change, tuple[int, ...]], list[str]] = {}
                for state in self.both:
                    before, after = (table.get((state, event, role), refused) for table in tables)
                    contexts: dict[_Change, list[int]] = {}
                    for index in range(len(CONTEXTS)):
                        change = event, _meaning(before[index]), _meaning(after[index])
                        contexts.setdefault(change, []).append(index)
                    for change, indices in contexts.items():
                        if change[1] != change[2]:
                            found.setdefault((change, tuple(indices)), []).append(state)
                for (change, same), states in found.items():
                    yield change, same, role, tuple(states)

    # --- timers --------------------------------------------------------------

    def facts(self, policy: Policy, state: str) -> dict[str, _Fact]:
        """What each timer means in a state."""
        found: dict[str, list[Timer]] = {}
        for timer in policy.schedules[state]:
            found.setdefault(base_name(timer.name), []).append(timer)
        return {name: self.fact(timers) for name, timers in found.items()}

    def fact(self, timers: Sequence[Timer]) -> _Fact:
        first, last = timers[0], timers[-1]
        repeat = None
        if len(timers) > 1:
            every = Length(first.after.unit, timers[1].after.amount - first.after.amount)
            repeat = self.length(every), len(timers)
        return _Fact(
            after=self.length(first.after),
            repeat=repeat,
            notice=None if last.notice is None else self.length(last.notice),
            kind=first.kind,
            audience=first.audience,
            to=first.to,
        )

    def length(self, length: Length) -> Length:
        """A length as what it means: a calendar day in UTC is nothing else than 24 hours."""
        in_utc = self.old.calendar.zone == self.new.calendar.zone == "UTC"
        if in_utc and length.unit == "calendar_days":
            return Length("elapsed", int(length.nominal.total_seconds()))
        return length

    def timers(self) -> Iterator[Finding]:
        groups: dict[tuple[str, str, str, str], list[str]] = {}
        for state in self.both:
            for change in self.timer_changes(state):
                groups.setdefault(change, []).append(state)
        for (code, name, begin, end), states in groups.items():
            yield _finding(code, self.timer_path(code, name), f"{begin} {self.said(states)}{end}")

    def timer_changes(self, state: str) -> Iterator[tuple[str, str, str, str]]:
        """How the timers of a state have changed: a code, a timer, and a sentence around the state."""
        before, after = self.facts(self.old, state), self.facts(self.new, state)
        for name, fact in after.items():
            if name not in before:
                yield "timer-gained", name, f"{name} is new in", f": {_timer_said(fact)}"
                continue
            for code, old_said, new_said in _differences(before[name], fact):
                yield code, name, f"{name} in", f" {new_said}; before, it {old_said}"
        for name, fact in before.items():
            if name not in after:
                yield "timer-lost", name, f"{name} is gone from", f": {_timer_said(fact)}"
        old_order, new_order = self.orders(state)
        if old_order != new_order:
            said = f"timers of one length come in the order {new_order}; before: {old_order}"
            yield "order-changed", "", "in", f" {said}; the last of them passes over the others"

    def timer_path(self, code: str, name: str) -> str:
        here = f"timers.{name}"
        if code == "timer-gained":
            return f"{here}.in" if name in self.old.timers else here
        if code == "timer-lost":
            return f"{here}.in" if name in self.new.timers else _OLD + here
        if code == "order-changed":
            return "timers"
        key = _KEYS[code]
        return f"{'' if getattr(self.new.timers[name], key) else _OLD}{here}.{key}"

    def orders(self, state: str) -> tuple[str, str]:
        """Timers of a state that are as long as before, in the old and the new order, but those in place."""
        before, after = (
            {timer.name: self.length(timer.after) for timer in policy.schedules[state]}
            for policy in (self.old, self.new)
        )
        first = [name for name, length in before.items() if after.get(name) == length]
        second = [name for name, length in after.items() if before.get(name) == length]
        pairs = [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]]
        return one_of(old for old, _ in pairs), one_of(new for _, new in pairs)

    def settled_timers(self) -> Iterator[Finding]:
        """Timers that cases may have settled, and that the new version does not have, or moves by."""
        groups: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
        for state in self.both:
            now = {timer.name: timer for timer in self.new.schedules[state]}
            gone: dict[tuple[str, str], list[str]] = {}
            for timer in self.old.schedules[state]:
                base = base_name(timer.name)
                if timer.to is not None:
                    continue
                if timer.name not in now:
                    gone.setdefault(("settled-timer-gone", base), []).append(timer.name)
                elif now[timer.name].to is not None:
                    gone.setdefault(("settled-timer-moves", base), []).append(timer.name)
            for (code, base), names in gone.items():
                groups.setdefault((code, base, tuple(names)), []).append(state)
        for (code, base, timers), states in groups.items():
            path = f"timers.{base}" if base in self.new.timers else f"{_OLD}timers.{base}"
            what = f"cases in {self.said(states)} may have settled {_and(timers)}, which"
            if code == "settled-timer-gone":
                message = f"{what} the new version does not have there: it cannot read them"
            else:
                message = f"{what} moves them away now: it never will, and none comes after it"
            yield _finding(
                code,
                path,
                message,
                "move such cases over: Workflow(old).migrate(case, Workflow(new)) knows what they settled",
            )

    # --- calendar and texts --------------------------------------------------

    def calendars(self) -> Iterator[Finding]:
        old, new = self.old.calendar, self.new.calendar
        days, business_days = self.dependent("calendar_days"), self.dependent("business_days")
        both = tuple(dict.fromkeys((*days, *business_days)))
        for key, before, after, timers in (
            ("zone", old.zone, new.zone, both),
            ("weekend", *(_weekend(calendar.weekend) for calendar in (old, new)), business_days),
            ("holidays", _holidays(self.old), _holidays(self.new), business_days),
        ):
            if before != after and timers:
                verb = "depends" if len(timers) == 1 else "depend"
                yield _finding(
                    "calendar-changed",
                    f"calendar.{key}",
                    f"{key}: {after}; before: {before}; {_and(timers)} {verb} on it",
                )

    def dependent(self, unit: str) -> tuple[str, ...]:
        """The timers with a length of a kind, in states that both versions have."""
        return tuple(
            dict.fromkeys(
                name
                for policy in (self.new, self.old)
                for state in self.both
                for name, fact in self.facts(policy, state).items()
                if unit in (fact.after.unit, fact.notice and fact.notice.unit)
            )
        )

    def texts(self) -> Iterator[Finding]:
        for name, status in self.new.statuses.items():
            if name not in self.old.statuses:
                continue
            before = self.old.statuses[name]
            yield from _texts(f"statuses.{name}", name, before, status)
            for sub, sub_status in status.sub_statuses.items():
                if sub in before.sub_statuses:
                    path = f"statuses.{name}.sub_statuses.{sub}"
                    yield from _texts(path, f"{name}.{sub}", before.sub_statuses[sub], sub_status)


def _texts(path: str, name: str, before: Status, after: Status) -> Iterator[Finding]:
    for key in TEXTS:
        old_text, new_text = getattr(before, key), getattr(after, key)
        if old_text != new_text:
            here = f"{path}.{key}"
            yield _finding(
                "text-changed",
                here if new_text is not None else _OLD + here,
                f"{key} of {name}: {_text(new_text)}; before: {_text(old_text)}",
            )


def _text(text: str | None) -> str:
    return "nothing" if text is None else shown(text)


def _weekend(weekend: Iterable[str]) -> str:
    return one_of(day for day in WEEKDAYS if day in weekend)


def _holidays(policy: Policy) -> str:
    """The holidays that are no day off without them."""
    calendar = policy.calendar
    return one_of(
        sorted(
            {
                str(holiday)
                for holiday in calendar.holidays
                if not isinstance(holiday, date) or WEEKDAYS[holiday.weekday()] not in calendar.weekend
            }
        )
    )


# --- what an event does ------------------------------------------------------


def _meaning(step: Step | None) -> str | None:
    """What a step does, in words: two of the same words do the same. None for a refusal."""
    if step is None:
        return None
    needs = ", with assignee=" if step.needs_assignee else ""
    if step.chosen_by == "previous":
        return f"its previous state{needs}"
    if step.chosen_by == "sub_status":
        return f"{next(iter(step.choices.values()))[0]}, with sub_status={needs}"
    return f"{step.to[2] if step.to else ''}{needs}"


def _effect(event: str, meaning: str | None) -> tuple[str, str]:
    """What an event does, and what it did."""
    meaning = meaning or ""
    if meaning and not meaning.startswith(","):
        return f"leads to {meaning}", f"led to {meaning}"
    if event == CLONE:
        return "begins a linked case", "began a linked case"
    entry = f"only {{}} an entry in the history{meaning}"
    return entry.format("leaves"), entry.format("left")


def _when(contexts: tuple[int, ...]) -> str:
    if contexts in _WHEN:
        return _WHEN[contexts]
    return " or".join(
        f"{_WHEN[2, 3] if assigned else _WHEN[0, 1]} and{_WHEN[1, 3] if previous else _WHEN[0, 2]}"
        for assigned, previous in (CONTEXTS[index] for index in contexts)
    )


def _row_path(policy: Policy, state: str, event: str, role: str, index: int) -> str:
    """The path of the row that decides about an event; nothing if no row does."""
    assigned, previous = CONTEXTS[index]
    return next(
        (
            f"transitions[{number}]"
            for number, row in enumerate(policy.transitions)
            if row.event == event
            and row.matches(by=role, assigned=assigned, previous=previous)
            and state in policy.matching(row.from_)
        ),
        "",
    )


# --- what a timer means ------------------------------------------------------

_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "deadline-moved": "after",
        "repeat-changed": "repeat",
        "notice-changed": "notice",
        "kind-changed": "kind",
        "audience-changed": "audience",
        "target-changed": "to",
    }
)


def _said(fact: _Fact) -> dict[str, str]:
    """What a timer does, by the code of the finding that this has changed."""
    repeat = fact.repeat
    return {
        "deadline-moved": f"comes after {fact.after}",
        "repeat-changed": f"comes {repeat[1]} times, every {repeat[0]}" if repeat else "comes once",
        "notice-changed": f"has a notice of {fact.notice}" if fact.notice else "has no notice",
        "kind-changed": f"is of the kind {fact.kind}",
        "audience-changed": f"is for {shown(fact.audience)}" if fact.audience else "is for no audience",
        "target-changed": f"moves the case to {fact.to}" if fact.to else "leaves the case where it is",
    }


def _differences(before: _Fact, after: _Fact) -> Iterator[tuple[str, str, str]]:
    old_said, new_said = _said(before), _said(after)
    for code, key in _KEYS.items():
        if key == "kind" and (before.to is not None or after.to is not None):
            continue  # its target says it
        if getattr(before, key) != getattr(after, key):
            yield code, old_said[code], new_said[code]


def _timer_said(fact: _Fact) -> str:
    """A timer in a few words: ``remind after 7 days, 3 times, for 'customer'``."""
    said = f"{fact.kind} after {fact.after}"
    if fact.repeat:
        said += f", {fact.repeat[1]} times"
    if fact.audience:
        said += f", for {shown(fact.audience)}"
    return said + (f", to {fact.to}" if fact.to else "")


# --- cases in flight ---------------------------------------------------------

_Signature: TypeAlias = tuple[object, ...]


@attrs.frozen
class _Stay:
    """Where a case stands in the eyes of a clock."""

    state: str
    position: int
    entered_at: datetime
    settled_at: datetime | None


class _Remembering(Calendar):
    """A calendar that counts the days of a length only once."""

    @cached_property
    def _known(self) -> dict[tuple[datetime, Length], datetime | None]:
        return {}

    def add(self, start: datetime, length: Length) -> datetime | None:
        if length.unit == "elapsed":
            return super().add(start, length)
        if (start, length) not in self._known:
            self._known[start, length] = super().add(start, length)
        return self._known[start, length]


class _Clockwork:
    """The timers of one version, and what they do to a case if nobody does anything else."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        calendar = _Remembering(policy.calendar.zone, policy.calendar.weekend, policy.calendar.holidays)
        self.schedules = {
            state: Schedule(state, timers, calendar) for state, timers in policy.schedules.items()
        }

    def closes_at(self, stay: _Stay, now: datetime) -> datetime | None:
        """When timers close the case, from ``now`` on; none if they never do.

        What stands between a notice and the next one is as good as settled with
        the last of it: the others come before, and hold nothing back.
        """
        entered: set[str] = set()
        while True:
            schedule = self.schedules[stay.state]
            reachable = schedule.reachable(stay.position)
            if not reachable:
                return None
            due_at = schedule.due_at(reachable[-1], stay.position, stay.entered_at, stay.settled_at)
            if due_at is None:
                return None
            now = max(now, due_at)
            timer = schedule.timers[reachable[-1]]
            if timer.kind == "close":
                return now
            if timer.to is None:
                stay = attrs.evolve(stay, position=reachable[-1] + 1, settled_at=now)
            elif timer.to in entered:  # a circle
                return None
            else:
                entered.add(timer.to)
                stay = _Stay(timer.to, 0, now, None)

    def settled(self, stay: _Stay, now: datetime) -> Iterator[tuple[datetime, Timer, _Stay]]:
        """What sweeps at every instant from ``now`` on settle, until a closure; and the stay after it."""
        entered: set[str] = set()
        while True:
            schedule = self.schedules[stay.state]
            due = [
                (index, due_at)
                for index in schedule.reachable(stay.position)
                if (due_at := schedule.due_at(index, stay.position, stay.entered_at, stay.settled_at))
            ]
            if not due:
                return
            now = max(now, due[0][1])
            index = max(index for index, due_at in due if due_at <= now)
            timer = schedule.timers[index]
            if timer.to is None:
                stay = attrs.evolve(stay, position=index + 1, settled_at=now)
            else:
                stay = _Stay(timer.to, 0, now, None)
            yield now, timer, stay
            if timer.kind == "close" or timer.to in entered:
                return
            if timer.to is not None:
                entered.add(timer.to)

    def chain(self, state: str) -> tuple[str, ...]:
        """A state, and the open ones that timers lead to from there."""
        found = [state]
        for here in found:  # which grows
            moves = [timer.to for timer in self.schedules[here].timers if timer.kind == "move"]
            found += [to for to in moves if to and to not in found]
        return tuple(found)

    def signature(self, state: str) -> _Signature:
        """All that decides when timers close a case in ``state``."""
        chain = self.chain(state)
        parts: list[object] = []
        for here in chain:
            timers = (attrs.evolve(timer, in_=()) for timer in self.schedules[here].timers)
            parts += [here if parts else "", self.policy.is_closed(here), *timers]
        calendar = self.policy.calendar
        if not self.is_elapsed(state):
            parts += [calendar.zone, frozenset(calendar.weekend), frozenset(calendar.holidays)]
        return tuple(parts)

    def is_elapsed(self, state: str) -> bool:
        """Whether all that decides about ``state`` is elapsed time: then one entry speaks for all."""
        lengths = (
            length
            for here in self.chain(state)
            for timer in self.schedules[here].timers
            for length in (timer.after, timer.notice)
        )
        return all(length is None or length.unit == "elapsed" for length in lengths)

    def has_notice(self, state: str) -> bool:
        return any(timer.notice is not None for timer in self.schedules[state].timers)

    def moves(self, state: str) -> bool:
        return any(timer.kind == "move" for timer in self.schedules[state].timers)


@attrs.frozen(kw_only=True)
class _Sooner:
    """A case in flight that is closed sooner: how it stands at ``now``, when the new version takes over."""

    by: timedelta
    stay: _Stay
    now: datetime
    old_at: datetime | None
    new_at: datetime


_Warnings: TypeAlias = tuple[tuple[datetime, str], ...]
"""Whenever somebody is told of a case before it is closed, and by which timer."""


@attrs.frozen(kw_only=True)
class _Warned:
    """A case that enters its state, and is closed with less warning."""

    by: timedelta
    stay: _Stay
    audience: str | None
    before: _Warnings
    after: _Warnings
    old_at: datetime
    new_at: datetime


class _Flights:
    """Cases in flight under the old version, seen with the clockwork of both."""

    def __init__(self, versions: _Versions) -> None:
        self.versions = versions
        self.old = _Clockwork(versions.old)
        self.new = _Clockwork(versions.new)
        self.known: dict[tuple[_Signature, _Signature], Mapping[str, _Sooner | _Warned]] = {}

    @cached_property
    def openings(self) -> Mapping[str, tuple[Occurrence, ...]]:
        """How a case comes to each state that events alone lead to, in the fewest steps."""
        explored = Exploration(self.old.policy)
        found: dict[str, tuple[Occurrence, ...]] = {}
        for here in explored.configurations:
            if here.state not in found and all(edge.row is not None for edge in explored.way(here)):
                found[here.state] = explored.tell(here)[1]
        return found

    def findings(self) -> Iterator[Finding]:
        groups: dict[tuple[object, ...], list[str]] = {}
        first: dict[tuple[object, ...], tuple[str, _Sooner | _Warned]] = {}
        for state in self.versions.both:
            if self.old.policy.is_closed(state) or self.new.policy.is_closed(state):
                continue
            movers = (clockwork.schedules[state].timers[-1:] for clockwork in (self.old, self.new))
            names = tuple(timer.name for timers in movers for timer in timers)
            for code, worst in self.worst(state).items():
                told = () if isinstance(worst, _Sooner) else (worst.audience, worst.before, worst.after)
                key = (code, worst.by, self.exact(state), names, told)
                groups.setdefault(key, []).append(state)
                first.setdefault(key, (code, worst))
        for group, states in groups.items():
            code, worst = first[group]
            if isinstance(worst, _Sooner):
                yield self.sooner(code, states, worst)
            else:
                yield self.warned(code, states, worst)

    # --- looking for them ----------------------------------------------------

    def exact(self, state: str) -> bool:
        return self.old.is_elapsed(state) and self.new.is_elapsed(state)

    def worst(self, state: str) -> Mapping[str, _Sooner | _Warned]:
        """The worst case of each code, in a state."""
        key = self.old.signature(state), self.new.signature(state)
        if key[0] == key[1]:
            return {}
        if key not in self.known:
            found: dict[str, _Sooner | _Warned] = {}
            for entered_at in self.entries(state):
                for code, case in self.cases(state, entered_at):
                    if code not in found or case.by > found[code].by:
                        found[code] = case
            in_time, late = (found.get(code) for code in ("closes-sooner", "closes-sooner-after-outage"))
            if in_time is not None and late is not None and in_time.by >= late.by:
                del found["closes-sooner-after-outage"]  # it says no more
            self.known[key] = found
        return {
            code: attrs.evolve(case, stay=attrs.evolve(case.stay, state=state))
            for code, case in self.known[key].items()
        }

    def entries(self, state: str) -> Sequence[datetime]:
        """The instants at which cases begin to wait: one is enough where only elapsed time is counted."""
        if self.exact(state):
            return [START]
        entries = [START + day * _DAY + _LATER[day % len(_LATER)] for day in range(_DAYS)]
        old, new = (set(clockwork.policy.calendar.holidays) for clockwork in (self.old, self.new))
        for holiday in sorted(old ^ new, key=str):
            if isinstance(holiday, date) and holiday.toordinal() > _AROUND:
                at = datetime.combine(holiday, START.time(), UTC)
                entries += [at - days * _DAY for days in range(_AROUND)]
        length = max(len(clockwork.schedules[state].timers) for clockwork in (self.old, self.new))
        return entries[:: (_FEWER if self.several(state) else 1) * (1 + 2 * (length // _MOST_TIMERS) ** 2)]

    def cases(self, state: str, entered_at: datetime) -> Iterator[tuple[str, _Sooner | _Warned]]:
        """The cases of one entry that the new version closes sooner, or warns less."""
        start = _Stay(state, 0, entered_at, None)
        warned = self.less_warned(start)
        if warned is not None:
            yield "less-warning", warned
        for stay in self.positions(start):
            if self.settled(stay) in self.new.schedules[state].positions:  # else it cannot be read
                yield from self.sooner_from(stay)

    def positions(self, start: _Stay) -> Iterator[_Stay]:
        """The positions in which a case may be in flight; without a notice, all are closed alike."""
        yield start
        if self.several(start.state):
            for _, timer, stay in self.old.settled(start, start.entered_at):
                if timer.to is not None:
                    return
                yield stay

    def several(self, state: str) -> bool:
        """Whether it matters how far a case has come: a notice counts from what has been settled."""
        return self.old.has_notice(state) or self.new.has_notice(state)

    def settled(self, stay: _Stay) -> str | None:
        """The last timer that a case of the old version has settled."""
        return self.old.schedules[stay.state].timers[stay.position - 1].name if stay.position else None

    def sooner_from(self, stay: _Stay) -> Iterator[tuple[str, _Sooner]]:
        """The cases in one position that are closed sooner, whenever they came there and the policy changes.

        For elapsed time no more is needed to find the worst of them: from a
        position on, a closure comes at the later of a fixed instant and a fixed while after
        now, or after the last settling; so it is furthest from another one of
        that kind at the first instant, at the last, or where either begins to move.
        """
        state = stay.state
        schedule = self.old.schedules[state]
        begun = stay.settled_at or stay.entered_at
        next_due: datetime | None = None
        flights = [(stay, begun)]
        if self.several(state) or self.old.moves(state) or self.new.moves(state):
            flights += [(stay, now) for now in _extremes(begun, lambda now: self.closures(stay, now))]
            if stay.position < len(schedule.timers):
                next_due = schedule.due_at(stay.position, stay.position, stay.entered_at, stay.settled_at)
        if next_due is not None:
            flights.append((stay, next_due))
        if schedule.notice(stay.position) is not None:  # then it counts when the last one was settled

            def late(at: datetime) -> _Stay:
                return attrs.evolve(stay, settled_at=at)

            flights += [(late(at), at) for at in _extremes(begun, lambda at: self.closures(late(at), at))]
        for flight, now in flights:
            old_at, new_at = self.closures(flight, now)
            if new_at is not None and (old_at is None or new_at < old_at):
                in_time = flight is stay and (next_due is None or now <= next_due)
                yield (
                    "closes-sooner" if in_time else "closes-sooner-after-outage",
                    _Sooner(
                        by=_NEVER if old_at is None else old_at - new_at,
                        stay=flight,
                        now=now,
                        old_at=old_at,
                        new_at=new_at,
                    ),
                )

    def closures(self, stay: _Stay, now: datetime) -> tuple[datetime | None, datetime | None]:
        """When either version closes a case in flight, from ``now`` on."""
        return self.old.closes_at(stay, now), self.new.closes_at(self.under_new(stay), now)

    def under_new(self, stay: _Stay) -> _Stay:
        """The case as the new version reads it: by the timer that it has settled."""
        return attrs.evolve(stay, position=self.new.schedules[stay.state].positions[self.settled(stay)])

    def less_warned(self, stay: _Stay) -> _Warned | None:
        """The case, if one of those who were told before it is closed is told less often, or too late."""
        old, new = _warnings(self.old, stay), _warnings(self.new, stay)
        if old is None or new is None:
            return None
        for audience, before in old[1].items():
            after = new[1].get(audience, ())
            later = [
                new_told - old_told
                for (old_told, _), (new_told, _) in zip(before, after, strict=False)
                if new_told > old_told and new[0] - new_told < old[0] - old_told
            ]
            if later or len(after) < len(before):
                return _Warned(
                    by=_NEVER if len(after) < len(before) else max(later),
                    stay=stay,
                    audience=audience,
                    before=before,
                    after=after,
                    old_at=old[0],
                    new_at=new[0],
                )
        return None

    # --- telling of them -----------------------------------------------------

    def sooner(self, code: str, states: Sequence[str], case: _Sooner) -> Finding:
        stay, now = case.stay, case.now
        schedule = self.new.schedules[stay.state]
        after_outage = code == "closes-sooner-after-outage"
        message = f"cases in flight in {self.versions.said(states)} could be closed"
        if case.old_at is None:
            message += " by a timer, which was never promised"
            promise, sooner = "was never to be closed by a timer", ""
        else:
            *_, (_, closing, _) = self.old.settled(stay, now)
            sooner = f", {_told(case.by)} sooner"
            message += f" {_told(case.by)} sooner than was promised"
            promise = f"was to be closed by {closing.name} on {_moment(case.old_at)}"
        *_, (_, closing, _) = self.new.settled(self.under_new(stay), now)
        settled = f", settled {self.settled(stay)} on {_moment(stay.settled_at)}" if stay.settled_at else ""
        outage = f", and that no sweep has found since until {_moment(now)}," if after_outage else ""
        story = (
            f"a case that entered {stay.state} on {_moment(stay.entered_at)}{settled}{outage} {promise}; "
            f"under the new version, in force from {_moment(now)} on, {closing.name} closes it on "
            f"{_moment(case.new_at)}{sooner}"
        )
        renamed = self.old.policy.name != self.new.policy.name
        return _finding(
            code,
            f"timers.{schedule.timers[-1].name}{'' if after_outage else '.after'}",
            f"{message}{' after an outage' if after_outage else ''}{self.scope(stay.state)}",
            _MIGRATE if renamed else f"{_RENAME}; {_MIGRATE}",
            story=story,
            witness=self.witness(stay, now),
            severity="warning" if renamed else None,
        )

    def warned(self, code: str, states: Sequence[str], case: _Warned) -> Finding:
        stay, who = case.stay, case.audience or "nobody in particular"
        before = _and(_told(case.old_at - at) for at, _ in case.before)
        then = _and(_moment(at) for at, _ in case.before)
        message = (
            f"cases in flight in {self.versions.said(states)} could be closed with less warning: {who} is"
        )
        if case.after:
            after = _and(_told(case.new_at - at) for at, _ in case.after)
            now = f"on {_and(_moment(at) for at, _ in case.after)}"
            message += f" told {after} before the closure; so far it was {before}"
        else:
            now = "not at all"
            message += f" not told before the closure any more; so far it was, {before} before"
        kept = {name for _, name in case.after}
        names = [name for _, name in case.before]
        name = base_name(next((name for name in names if name not in kept), names[0]))
        path = f"timers.{name}"
        return _finding(
            code,
            path if name in self.new.policy.timers else _OLD + path,
            f"{message}{self.scope(stay.state)}",
            f"keep {name}, or tell {who} of the cases in flight yourself: no migration does",
            story=(
                f"a case that enters {stay.state} on {_moment(stay.entered_at)} was to be closed on "
                f"{_moment(case.old_at)}, and {who} to be told on {then}; under the new version, in force "
                f"from then on, it is closed on {_moment(case.new_at)}, and {who} is told {now}"
            ),
            witness=self.witness(stay, stay.entered_at),
        )

    def scope(self, state: str) -> str:
        """What is to be said where not every case has been looked at."""
        return "" if self.exact(state) else f" (the worst of {len(self.entries(state))} entries compared)"

    def witness(self, stay: _Stay, now: datetime) -> tuple[Occurrence, ...]:
        """How a case comes to stand so, and what becomes of it; nothing if no events alone lead there."""
        opening = self.openings.get(stay.state)
        if opening is None:
            return ()
        steps = [attrs.evolve(step, at=stay.entered_at) for step in opening]
        start = _Stay(stay.state, 0, stay.entered_at, None)
        for at, timer, reached in self.old.settled(start, stay.entered_at):
            if reached.position > stay.position or reached.state != stay.state:
                break
            last = reached.position == stay.position and stay.settled_at is not None
            steps.append(_settling(stay.settled_at if last and stay.settled_at else at, timer))
        steps.append(Occurrence(at=now, event=IN_FORCE, by=SYSTEM))
        steps += [_settling(at, timer) for at, timer, _ in self.new.settled(self.under_new(stay), now)]
        return tuple(steps)


def _settling(at: datetime, timer: Timer) -> Occurrence:
    return Occurrence(at=at, event=timer.name, by=SYSTEM, timer=True)


def _extremes(
    first: datetime, closures: Callable[[datetime], tuple[datetime | None, datetime | None]]
) -> Iterator[datetime]:
    """The instants after ``first`` at which two closures can be furthest apart."""
    at_first = [at for at in closures(first) if at is not None]
    if len(at_first) < 2:
        return
    last = max(at_first)
    yield last
    for early, late in zip(at_first, closures(last), strict=True):
        if late is not None:
            yield max(first, early - (late - last))


def _warnings(clockwork: _Clockwork, stay: _Stay) -> tuple[datetime, Mapping[str | None, _Warnings]] | None:
    """When a case is closed, and who is told of it before; none if it never is."""
    told: dict[str | None, _Warnings] = {}
    for at, timer, _ in clockwork.settled(stay, stay.entered_at):
        if timer.kind == "close":
            return at, told
        if timer.to is None:
            told[timer.audience] = (*told.get(timer.audience, ()), (at, timer.name))
    return None
