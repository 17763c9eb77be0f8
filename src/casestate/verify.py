"""What can be proved of a policy: what no case can come to, and what it should not come to.

A policy is small and finite, so everything that could happen to a case under
it can be followed (`casestate.explore`). `verify` looks at all of it and tells what
its author would want to know: timers that never fire, closures that come without a
warning or in spite of a reply, states that nothing leads to or out of.
Every finding has a code of `CODES`, and where something can happen, a shortest
witness that it does.
"""

from __future__ import annotations

import re

from collections import defaultdict
from functools import cached_property, partial
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

import attrs

from casestate.errors import PolicyError, Problem, one_of, shown
from casestate.explore import START, Configuration, Edge, Exploration, Life, Occurrence, retrace
from casestate.machine import CONTEXTS, context
from casestate.policy import CLONE, PREVIOUS, SYSTEM, Policy, base_name, state_path


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from casestate.explore import Firing
    from casestate.policy import Timer

__all__ = ["CODES", "Finding", "Occurrence", "Report", "Severity", "retrace", "verify"]

Severity: TypeAlias = Literal["error", "warning", "note"]

CODES: Final[Mapping[str, Severity]] = MappingProxyType(
    {
        "action-unsaid": "warning",
        "closed-case-moves": "warning",
        "closes-while-not-waiting": "error",
        "closure-unannounced": "warning",
        "closure-unwarned-by-outage": "warning",
        "closure-without-reminder": "warning",
        "comment-refused": "warning",
        "comment-stops-no-closure": "error",
        "initial-closed": "error",
        "no-customer": "warning",
        "no-way-back": "warning",
        "no-way-to-close": "error",
        "only-time-leads-on": "warning",
        "previous-nowhere": "error",
        "previous-without-fallback": "warning",
        "promise-not-kept": "warning",
        "reminder-sometimes-too-late": "warning",
        "reminder-too-late": "error",
        "role-unused": "warning",
        "row-unreachable": "warning",
        "row-without-effect": "warning",
        "state-unreachable": "warning",
        "timer-cycle": "error",
        "timer-never-fires": "error",
        "timer-rarely-fires": "warning",
        "waiting-on-unsaid": "warning",
        "waits-for-ever": "warning",
        "zone-not-portable": "warning",
    }
)
"""Every code that `verify` knows, and how severe it is; docs/checks.md explains each."""

CUSTOMER: Final = "customer"
"""The role, the audience and the one waited on that is the customer."""
COMMENT: Final = "comment"
"""The event by which customers reply, where a policy has it."""
_NOT_CUSTOMERS: Final = frozenset({"support", "agent", SYSTEM, "third_party", None})
_MACHINE_ZONES: Final = ("localtime", "posixrules", "Factory")
_NEGATED: Final = re.compile(
    r"\b(?:no|not|none|never|cannot|nothing|without)\b|n['\N{RIGHT SINGLE QUOTATION MARK}]t\b", re.IGNORECASE
)
_NOTHING: Final = re.compile(r"\s*(?:none|no|nothing)\b", re.IGNORECASE)
_CLAUSE: Final = re.compile(r"[^.;:!?,\n]+")


@attrs.frozen(kw_only=True)
class Finding:
    """Something that is to be said of a policy.

    ``code`` is stable: tools may rely on it. ``path`` is the place in the policy
    file, ``message`` what is found there in a sentence, ``remedy`` what to do
    about it. ``witness`` is a shortest way to see it happen from the opening of a
    case on, which `retrace` walks again; ``story`` tells it in the policy's
    words. Both are empty where the finding is that something never happens.
    """

    code: str
    severity: Severity
    path: str
    message: str
    remedy: str
    story: str = ""
    witness: tuple[Occurrence, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The finding as a JSON-ready mapping."""
        return {
            "code": self.code,
            "severity": self.severity,
            "path": self.path,
            "message": self.message,
            "remedy": self.remedy,
            "story": self.story,
            "witness": [occurrence.to_dict() for occurrence in self.witness],
        }


@attrs.frozen(kw_only=True)
class Report:
    """What `verify` found; iterate it for the findings: errors first, then in the order of the policy file.

    A report without findings is empty, and so it is false.

    ``configurations`` counts where a case can stand (state, last timer settled,
    assigned or not, where it came from) and ``changes`` what can happen there.
    """

    policy: str
    findings: tuple[Finding, ...]
    configurations: int
    changes: int

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What is certainly wrong."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What may be meant so, and may not."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    def to_dict(self) -> dict[str, object]:
        """The report as a JSON-ready mapping."""
        return {
            "policy": self.policy,
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "configurations": self.configurations,
            "changes": self.changes,
            "findings": [finding.to_dict() for finding in self.findings],
        }


def verify(policy: Policy) -> Report:
    """Follow everything that could happen to a case under ``policy``, and tell what is wrong.

    Raises `PolicyError` for what is no policy.
    """
    if not isinstance(policy, Policy):
        raise PolicyError(
            "verify", [Problem("policy", f"must be a Policy (see load_policy), not {shown(policy)}")]
        )
    return _Verifier(policy).report()


class _Verifier:
    """Everything that is to be said of one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.all = Exploration(policy)
        self.firings = self.all.firings
        self.ways = {here: tuple(self.all.ways_on(here)) for here in self.all.configurations}
        self.at: defaultdict[str, list[Configuration]] = defaultdict(list)
        """The configurations of each state that a case can come to, those that are nearest first."""
        self.begun: dict[str, tuple[Configuration, Edge | None]] = {}
        """How a stay in each state can begin by what somebody does: the nearest way."""
        for here, ways in self.ways.items():
            self.at[here.state].append(here)
            for edge, _ in ways:
                if edge.row is not None and edge.to is not None:
                    self.begun.setdefault(edge.to, (here, edge))
        begin = next(iter(self.ways))
        self.begun[begin.state] = (begin, None)
        self.has_customer = any(CUSTOMER in row.by for row in policy.transitions if not row.refuse)
        self.has_comment = any(
            CUSTOMER in row.by and row.event == COMMENT for row in policy.transitions if not row.refuse
        )
        said = {timer.audience for timer in policy.timers.values()}
        said.update(self.said(state, "waiting_on")[0] for state in policy.states)
        self.names_customer = self.has_customer or any(map(_is_customer, said)) or said <= _NOT_CUSTOMERS
        """Whether the customer is called so: where another word stands for it, nobody knows which."""

    def report(self) -> Report:
        found = [
            *self.beginnings(),
            *self.ends(),
            *self.rows(),
            *self.looking_back(),
            *self.timers(),
            *self.circles(),
            *self.reopened(),
            *self.waiting(),
        ]
        if self.names_customer:
            found += self.closures()
        if self.has_customer:
            found += [*self.replies(), *self.ways_back(), *self.promises()]
        positions = {state: firing.jumps for state, firing in self.firings.items()}
        return Report(
            policy=self.policy.name,
            findings=tuple(sorted(found, key=self.rank)),
            configurations=sum(len(positions[here.state]) for here in self.ways),
            changes=sum(
                sum(edge.row is not None for edge, _ in ways) * len(positions[here.state])
                + sum(map(len, positions[here.state].values()))
                for here, ways in self.ways.items()
            ),
        )

    def rank(self, finding: Finding) -> tuple[bool, int, int, str]:
        """Errors first; then as the policy file goes."""
        section, name = (*re.split(r"[.\[\]]+", finding.path), "")[:2]
        sections = ("initial", "roles", "calendar", "statuses", "transitions", "timers")
        named = {"statuses": [*self.policy.statuses], "timers": [*self.policy.timers]}.get(section, [])
        number = named.index(name) if name in named else int(f"0{name}" if name.isdigit() else -1)
        return finding.severity != "error", sections.index(section), number, finding.path

    def found(
        self,
        code: str,
        path: str,
        message: str,
        remedy: str,
        story: tuple[str, tuple[Occurrence, ...]] | None = None,
    ) -> Finding:
        words, witness = story or ("", ())
        return Finding(
            code=code,
            severity=CODES[code],
            path=path,
            message=message,
            remedy=remedy,
            story=words,
            witness=witness,
        )

    def is_open(self, state: str) -> bool:
        return not self.policy.is_closed(state)

    def said(self, state: str, text: str) -> tuple[str | None, str]:
        """What a sub-status says, or else its status; and where that stands."""
        own: str | None = getattr(self.policy.described(state), text)
        status = state.partition(".")[0]
        if own is not None or "." not in state:
            return own, f"{state_path(state)}.{text}"
        return getattr(self.policy.statuses[status], text), f"{state_path(status)}.{text}"

    def closing(self) -> Iterator[tuple[str, Timer]]:
        """The open states that a case can come to and a timer closes, in the order of the policy's timers."""
        found: defaultdict[str, list[tuple[str, Timer]]] = defaultdict(list)
        for state in self.policy.states:
            mover = self.firings[state].mover
            if mover is not None and state in self.at and self.is_open(state):
                timer = self.firings[state].schedule.timers[mover]
                if timer.kind == "close":
                    found[timer.name].append((state, timer))
        for name in self.policy.timers:
            yield from found[name]

    # --- where cases begin and end -------------------------------------------

    def beginnings(self) -> Iterator[Finding]:
        if not self.is_open(self.policy.initial):
            yield self.found(
                "initial-closed",
                "initial",
                f"every case begins in {self.policy.initial}, which is closed",
                "begin in a state that is open",
            )
        if self.policy.calendar.zone in _MACHINE_ZONES:
            yield self.found(
                "zone-not-portable",
                "calendar.zone",
                f"{self.policy.calendar.zone!r} is another zone on another machine, where cases come due at "
                "other times",
                "name the zone itself, such as 'Europe/Berlin'",
            )
        if not self.has_customer:
            known = CUSTOMER in self.policy.roles
            yield self.found(
                "no-customer",
                "transitions" if known else "roles",
                f"no row is by {CUSTOMER!r}: what a customer may and may not do has not been looked at"
                f"{'' if self.names_customer else ', nor who is waited on and told'}",
                f"add rows by {CUSTOMER!r}" if known else f"call the role of the customer {CUSTOMER!r}",
            )
        used = {role for row in self.policy.transitions if not row.refuse for role in row.by}
        refused = {role for row in self.policy.transitions for role in row.by} - used
        for role in self.policy.roles:
            if role not in used and role not in (SYSTEM, CUSTOMER):
                is_by, places = ("permits", "roles and rows") if role in refused else ("is by", "roles")
                yield self.found(
                    "role-unused",
                    "roles",
                    f"no row {is_by} the role {role!r}: whatever it does is refused",
                    f"give it rows, or leave {role!r} out of {places}",
                )
        yield from self.unreachable()

    def unreachable(self) -> Iterator[Finding]:
        for name, status in self.policy.statuses.items():
            states = [f"{name}.{sub}" for sub in status.sub_statuses] or [name]
            lost = [state for state in states if state not in self.at]
            for place in (name,) if lost == states else lost:
                yield self.found(
                    "state-unreachable",
                    state_path(place),
                    f"no case can come to {place}: nothing leads there from {self.policy.initial}",
                    "let a row or a timer lead there, or leave it out",
                )

    def ends(self) -> Iterator[Finding]:
        if not any(status.closed for status in self.policy.statuses.values()):
            yield self.found(
                "no-way-to-close",
                "statuses",
                "no status is closed, so that no case ever ends",
                "say closed = true of the status in which a case has ended",
            )
            return
        leading: defaultdict[Configuration, list[Configuration]] = defaultdict(list)
        for here, ways in self.ways.items():
            for _, there in ways:
                leading[there].append(here)
        ahead = [here for here in self.ways if not self.is_open(here.state)]
        closable = set(ahead)
        while ahead:
            new = [here for here in leading[ahead.pop()] if here not in closable]
            closable.update(new)
            ahead += new
        for state, here, which in self.nearest(lambda here: here not in closable):
            yield self.found(
                "no-way-to-close",
                state_path(state),
                f"a case in {state}{which} can never be closed: whatever happens to it, it stays open",
                "let an event or a timer lead on to a closed status",
                self.all.tell(here),
            )
        for state, here, which in self.nearest(self.waits_for_time):
            mover = self.firings[state].schedule.timers[-1]
            yield self.found(
                "only-time-leads-on",
                state_path(state),
                f"nobody can move a case on from {state}{which}: only {mover.name} does, after {mover.after}",
                "let an event of an agent or of the customer lead on as well",
                self.all.tell(here, Life.moves),
            )

    def nearest(self, holds: Callable[[Configuration], bool]) -> Iterator[tuple[str, Configuration, str]]:
        """The open states in which ``holds`` for a configuration, the nearest one, and which they are."""
        for state in self.policy.states:
            heres = self.at.get(state, ())
            those = [*filter(holds, heres)]
            if those and self.is_open(state):
                yield state, those[0], _standing(those, heres)

    def waits_for_time(self, here: Configuration) -> bool:
        moves = {edge.row is None for edge, there in self.ways[here] if there.state != here.state}
        return moves == {True}

    # --- rows ----------------------------------------------------------------

    def rows(self) -> Iterator[Finding]:
        used = self.used | self.fallbacks
        for number, row in enumerate(self.policy.transitions):
            path, by = f"transitions[{number}]", f"{row.event!r} by {' or '.join(row.by)}"
            states, above = self.reached(row.from_), self.above(number, self.policy.matching(row.from_))
            back = [state for state in states if row.to == PREVIOUS and None in self.above(number, [state])]
            permits = any(other is not None and not self.policy.transitions[other].refuse for other in above)
            if row.refuse and not self.permits_below(number):
                yield self.found(
                    "row-without-effect",
                    path,
                    f"{by} is refused here, but no row below would permit it",
                    "leave it out, or move it above the row that it is to refuse",
                )
            elif None not in above and permits:
                rows = " and ".join(f"transitions[{other}]" for other in sorted(cast("set[int]", above)))
                others, does = ("the other", "does, which comes")
                if len(above) > 1:
                    others, does = ("the others", "do, which come")
                yield self.found(
                    "row-without-effect",
                    path,
                    f"{by} never matches here: wherever it would, {rows} {does} first",
                    f"move it above, narrow {others}, or leave it out",
                )
            elif row.refuse or None not in above or number in used or not states:
                continue
            elif back and not any(here.previous for state in back for here in self.at[state]):
                yield self.found(
                    "previous-nowhere",
                    f"{path}.to",
                    f"{by} has nowhere to go: no case comes to {one_of(back)} from another status",
                    "name the state to go to",
                )
            else:
                yield self.found(
                    "row-unreachable",
                    path,
                    f"{by}: no case in {one_of(states)} is as this row asks, or rows above it come first",
                    "see which cases come there, and whether its 'when' and theirs are meant so",
                )

    @cached_property
    def used(self) -> set[int | None]:
        """The rows that match for a case that can come about."""
        return {edge.row for ways in self.ways.values() for edge, _ in ways}

    @cached_property
    def fallbacks(self) -> set[int]:
        """The rows that match for cases whose previous state is not known: other systems keep some."""
        return {
            step.row
            for (state, *_), steps in self.all.table.steps.items()
            for assigned in {here.assigned for here in self.at.get(state, ())}
            if (step := steps[context(assigned=assigned, previous=False)])
        }

    def reached(self, patterns: Iterable[str]) -> list[str]:
        """The states that patterns stand for and a case can come to."""
        return [state for state in self.policy.matching(patterns) if state in self.at]

    def permits_below(self, number: int) -> bool:
        """Whether a row that refuses is followed by one that would permit what it refuses."""
        row = self.policy.transitions[number]
        states = set(self.policy.matching(row.from_))
        return any(
            row.event == other.event
            and not other.refuse
            and not set(row.by).isdisjoint(other.by)
            and (row.when is None or other.when in (None, row.when))
            and not states.isdisjoint(self.policy.matching(other.from_))
            for other in self.policy.transitions[number + 1 :]
        )

    def above(self, number: int, states: Iterable[str]) -> set[int | None]:
        """The rows above this one that match where it would; none is among them if somewhere none does."""
        rows, found = self.policy.transitions, set[int | None]()
        row = rows[number]
        for state in states:
            others = [other for other in self.numbers[row.event, state] if other < number]
            for role, (assigned, previous) in product(row.by, CONTEXTS):
                if row.matches(by=role, assigned=assigned, previous=previous):
                    matching = (
                        other
                        for other in others
                        if rows[other].matches(by=role, assigned=assigned, previous=previous)
                    )
                    found.add(next(matching, None))
        return found

    @cached_property
    def numbers(self) -> Mapping[tuple[str, str], Sequence[int]]:
        """The rows of each event in each state, in order."""
        found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for number, row in enumerate(self.policy.transitions):
            for state in self.policy.matching(row.from_):
                found[row.event, state].append(number)
        return found

    def looking_back(self) -> Iterator[Finding]:
        lost: defaultdict[int, list[tuple[str, str, bool]]] = defaultdict(list)
        for (state, _, role), steps in self.all.table.steps.items():
            for assigned in sorted({here.assigned for here in self.at.get(state, ())}):
                back, on = (steps[context(assigned=assigned, previous=known)] for known in (True, False))
                if back and back.row in self.used and on is None:
                    lost[back.row].append((state, role, assigned))
        for number, places in lost.items():
            event = self.policy.transitions[number].event
            begun = [
                (here, role)
                for state, role, assigned in places
                if (here := Configuration(state, assigned, None)) in self.ways
            ]
            which, story = "whose previous state is not known", None
            if begun:
                here, role = begun[0]
                which = "that has come from no other status"
                story = self.all.tell(here, partial(Life.is_refused, event=event, by=role))
            states = [here.state for here, _ in begun] or [state for state, *_ in places]
            where = one_of(dict.fromkeys(states))
            yield self.found(
                "previous-without-fallback",
                f"transitions[{number}].to",
                f"{event!r} is refused in {where} for a case {which}",
                f"add a row below it for {event!r}, with the state to go to in place of {PREVIOUS}",
                story,
            )

    # --- timers --------------------------------------------------------------

    def timers(self) -> Iterator[Finding]:
        lost: defaultdict[tuple[str, str, str, int], list[str]] = defaultdict(list)
        for state in self.policy.states:
            firing = self.firings[state]
            for index, timer in enumerate(firing.schedule.timers if state in self.at else ()):
                if code := self.failing(firing, index):
                    overtaking = firing.overtaking(index)
                    by = "" if overtaking is None else firing.schedule.timers[overtaking].name
                    lost[code, timer.name, by, index].append(state)
        for (code, name, by, index), states in lost.items():
            firing, where = self.firings[states[0]], one_of(states)
            path = f"timers.{base_name(name)}.after"
            if not by:
                remedy = "make it shorter"
                if firing.schedule.counted_from_entry(index, START) is not None:
                    lasting = (
                        base_name(timer.name)
                        for number, timer in enumerate(firing.schedule.timers)
                        if timer.notice is not None and firing.is_never(number)
                    )
                    holding = next(lasting)
                    path, remedy = f"timers.{holding}.notice", f"make the notice of {holding} shorter"
                never = f"{name} never fires in {where}: time does not go on for so long"
                yield self.found(code, path, never, remedy)
                continue
            often, then = f"never fires in {where}:", f"{by} comes due no later, and passes it over"
            if code in ("timer-rarely-fires", "reminder-sometimes-too-late"):
                often = f"fires in {where} on {firing.fired[index]} of {firing.tried} days of a year:"
            if code == "reminder-sometimes-too-late":
                often += " on the others"
            overtaking = cast("int", firing.overtaking(index))
            yield self.found(
                code,
                path,
                f"{name} {often} {then}",
                self.apart(firing, index, overtaking),
                self.all.tell(
                    self.at[states[0]][0],
                    partial(_pass_over, index=index, steps=firing.leading_to(overtaking)),
                ),
            )

    @staticmethod
    def failing(firing: Firing, index: int) -> str | None:
        """The code of what is wrong with how a timer fires."""
        timers, overtaking = firing.schedule.timers, firing.overtaking(index)
        closes = overtaking is not None and timers[overtaking].kind == "close"
        if firing.is_rare(index):
            return "timer-rarely-fires"
        if firing.is_never(index):
            return "reminder-too-late" if closes else "timer-never-fires"
        late = closes and firing.is_sometimes_late(index) and _to_customer(timers[index])
        return "reminder-sometimes-too-late" if late else None

    def apart(self, firing: Firing, index: int, overtaking: int) -> str:
        """What keeps the timer at ``index`` from being passed over by those up to ``overtaking``."""
        timers = firing.schedule.timers
        timer, later = timers[index], timers[index + 1 : overtaking + 1]
        others = " and ".join(other.name for other in later)
        holding = [base_name(one.name) for one in timers[: index + 1] if one.notice is not None]
        longer = timer.after.unit == later[0].after.unit and timer.after.amount < later[0].after.amount
        shorter = f"the notice of {holding[-1]}" if longer and holding else timer.name
        remedy = f"make {shorter} shorter, or {others} longer"
        if not all(map(self.may_have_notice, later)):
            return remedy
        notice = f"give {others} a notice: then {timer.name} has to come first"
        return f"{remedy}; or {notice}"

    def may_have_notice(self, timer: Timer) -> bool:
        """Whether a timer may be given a notice, and it binds: another stands before it wherever it is."""
        name, _, number = timer.name.partition("#")
        if self.policy.timers[name].repeat is not None:
            return bool(number)
        return not any(timers and timers[0].name == name for timers in self.policy.schedules.values())

    def circles(self) -> Iterator[Finding]:
        """Timers that move a case in a circle for ever, if nobody does anything."""
        order = {here: number for number, here in enumerate(self.ways)}
        seen: set[str] = set()
        for head in self.at:
            walk: list[str] = []
            state: str | None = head
            while state is not None and state not in seen:
                seen.add(state)
                walk.append(state)
                state = self.moved(state)
            if state not in walk:
                continue
            circle = walk[walk.index(state) :]
            here = min((self.at[state][0] for state in circle), key=order.__getitem__)
            turn = circle.index(here.state)
            circle = [*circle[turn:], *circle[:turn]]
            movers = [self.firings[state].schedule.timers[-1] for state in circle]
            at_once = "" if any(timer.after.amount for timer in movers) else ", without a pause"
            yield self.found(
                "timer-cycle",
                f"timers.{movers[0].name}.to",
                f"timers alone move a case round for ever{at_once}: {', '.join([*circle, circle[0]])}",
                "let one of them lead out of the circle, or close the case",
                self.all.tell(here, partial(_move, times=len(circle))),
            )

    def reopened(self) -> Iterator[Finding]:
        for state in self.policy.states:
            to = self.moved(state)
            if state in self.at and not self.is_open(state) and to is not None and self.is_open(to):
                name = self.firings[state].schedule.timers[-1].name
                yield self.found(
                    "closed-case-moves",
                    f"timers.{name}.to",
                    f"{name} moves a case from {state}, which is closed, to {to}, without anybody's doing",
                    "let an event reopen the case",
                    self.all.tell(self.at[state][0], Life.moves),
                )

    def moved(self, state: str) -> str | None:
        """Where a timer moves a case from a state."""
        mover = self.firings[state].mover
        return None if mover is None else self.firings[state].schedule.timers[mover].to

    def chain(self, head: str) -> tuple[str, ...]:
        """The states that a case goes through from ``head`` until timers close it; none if they do not."""
        states: list[str] = []
        state: str | None = head
        while state is not None and (self.is_open(state) or not states):
            if state in states:
                return ()
            states.append(state)
            state = self.moved(state)
        return tuple(states) if state is not None and self.is_open(states[-1]) else ()

    def closures(self) -> Iterator[Finding]:
        """Closures that come without a warning: always, or after an outage."""
        found: defaultdict[tuple[str, str], list[tuple[str, ...]]] = defaultdict(list)
        for head in self.begun:
            chain = self.chain(head)
            if not chain:
                continue
            opened = [state for state in chain if self.is_open(state)]
            told = {timer.kind for state in opened for timer in self.messages(state)}
            name = self.firings[chain[-1]].schedule.timers[-1].name
            if not told:
                found["closure-unannounced", name].append(chain)
            if told == {"notify"}:
                found["closure-without-reminder", name].append(chain)
            if told and all(self.unwarned(state) for state in opened):
                found["closure-unwarned-by-outage", name].append(chain)
        for (code, name), chains in found.items():
            after = self.policy.timers[name].after
            closed = one_of(dict.fromkeys(chain[-1] for chain in chains))
            remind = f"add a timer of kind 'remind' for {CUSTOMER!r} to {closed}, shorter than {after}"
            if not after.amount:
                remind = f"let {name} wait a while, and remind {CUSTOMER!r} in {closed} before"
            said, remedy = {
                "closure-unannounced": ("without a word to the customer before", remind),
                "closure-without-reminder": (
                    "without a reminder: the customer is told, but not again",
                    remind,
                ),
                "closure-unwarned-by-outage": (
                    "unwarned, if no sweep comes for so long",
                    self.noticed(name),
                ),
            }[code]
            yield self.found(
                code,
                f"timers.{name}",
                f"{name} closes {closed} after {after} {said}",
                remedy,
                self.unwarned_story(chains[0], outage=code == "closure-unwarned-by-outage"),
            )

    def noticed(self, name: str) -> str:
        """What keeps an outage from letting a timer close a case unwarned."""
        before = {
            state: ([None, *timers][-2])
            for state, timers in self.policy.schedules.items()
            if timers and timers[-1].name == name
        }
        lacking = [state for state, timer in before.items() if timer is None or not _to_customer(timer)]
        if lacking:
            reminder = f"let a reminder to the customer be the timer just before {name} in {one_of(lacking)}"
            return f"{reminder}, and give {name} a notice"
        names = list(dict.fromkeys(timer.name for timer in before.values() if timer))
        settled = f"{' or '.join(names)} has to be settled first, and so long before"
        return f"give timers.{name} a notice, such as notice = {{ days = 7 }}: then {settled}"

    def messages(self, state: str) -> list[Timer]:
        """The timers of a state that tell the customer something before a timer moves the case."""
        firing = self.firings[state]
        timers = firing.schedule.timers
        return [timers[index] for index in firing.leading_away(fewest=False) if _to_customer(timers[index])]

    def unwarned(self, state: str) -> tuple[int, ...]:
        """The timers settled until one moves the case away, where none of them tells the customer."""
        firing = self.firings[state]
        telling = [index for index, timer in enumerate(firing.schedule.timers) if _to_customer(timer)]
        return firing.leading_away(but=telling)

    def unwarned_story(self, chain: Sequence[str], *, outage: bool) -> tuple[str, tuple[Occurrence, ...]]:
        begin, edge = self.begun[chain[0]]

        def then(life: Life) -> None:
            if edge is not None:
                life.goes(edge)
            for state in chain:
                regular = self.firings[state].leading_away(fewest=False)
                _settle(life, self.unwarned(state) if outage else regular)

        return self.all.tell(begin, then)

    # --- the customer --------------------------------------------------------

    def waiting(self) -> Iterator[Finding]:
        """Closures of states that do not say that they wait on the customer, and the reverse."""
        wrong: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for state, timer in self.closing():
            waits_on, path = self.said(state, "waiting_on")
            if waits_on is None:
                yield self.found(
                    "waiting-on-unsaid",
                    path,
                    f"{timer.name} closes {state} by itself, but nothing says that it waits on the customer",
                    f"say waiting_on = {CUSTOMER!r}, or take {state} out of timers.{timer.name}.in",
                )
            elif not _is_customer(waits_on) and self.names_customer:
                wrong[timer.name, waits_on].append(state)
            action, path = self.said(state, "action_required")
            if _is_customer(waits_on) and (action is None or _NOTHING.match(action)):
                yield self.found(
                    "action-unsaid",
                    path,
                    f"{state} is closed if the customer does nothing, but no action is said to be required",
                    "say in action_required what the customer has to do",
                )
        for (name, waits_on), states in wrong.items():
            here, wait = self.at[states[0]][0], "waits" if len(states) == 1 else "wait"
            yield self.found(
                "closes-while-not-waiting",
                f"timers.{name}.in",
                f"{name} closes {one_of(states)}, which {wait} on {waits_on}, not on the customer",
                "let it close states alone in which it is the customer's turn",
                self.all.tell(here, Life.moves),
            )
        for state in self.policy.states:
            waits_on, path = self.said(state, "waiting_on")
            reminded = any(
                timer.kind == "remind" and _to_customer(timer) for timer in self.policy.schedules[state]
            )
            if (
                _is_customer(waits_on)
                and state in self.at
                and self.is_open(state)
                and self.moved(state) is None
                and not reminded
            ):
                yield self.found(
                    "waits-for-ever",
                    path,
                    f"{state} waits on the customer, and no timer reminds or moves on: it can be forgotten",
                    "add a timer that reminds the customer, and one that closes the case",
                    self.all.tell(self.at[state][0]),
                )

    def by_customer(self, here: Configuration, event: str | None = None) -> list[tuple[Edge, Configuration]]:
        """What a customer can do, or only by an ``event``; in the state ``here``."""
        return [
            (edge, there)
            for edge, there in self.ways[here]
            if edge.row is not None and edge.by == CUSTOMER and event in (None, edge.event)
        ]

    def heading(self) -> Iterator[tuple[str, str, str]]:
        """The states in which a reply is to stop a closure, with its timer.

        They are those that it closes, and those that timers move on to one of them, which is
        the third then, while it is the customer's turn all along.
        """
        for state, timer in self.closing():
            yield state, timer.name, ""
        for state in self.reached(("*open",)):
            chain = self.chain(state)
            if len(chain) > 1 and all(_is_customer(self.said(one, "waiting_on")[0]) for one in chain):
                yield state, self.firings[chain[-1]].schedule.timers[-1].name, chain[-1]

    def replies(self) -> Iterator[Finding]:
        reply, what = (COMMENT, f"a {COMMENT}") if self.has_comment else (None, "whatever a customer may do")
        add = (
            f"add a row for {COMMENT} by {CUSTOMER!r}, above others,"
            if reply
            else f"add a row by {CUSTOMER!r}"
        )
        unstopped: defaultdict[tuple[str, str], dict[str, list[Configuration]]] = defaultdict(dict)
        for state, name, last in self.heading():
            for here in self.at[state]:
                targets = [edge.to for edge, _ in self.by_customer(here, reply) if edge.to is not None]
                if not any(map(self.is_open, targets)) and not (last and targets):
                    unstopped[name, last].setdefault(state, []).append(here)
        for (name, last), states in unstopped.items():
            here = next(iter(states.values()))[0]
            where = one_of(f"{state}{_standing(those, self.at[state])}" for state, those in states.items())
            closes = f"{last} in spite of a reply in {where}" if last else f"{where} in spite of a reply"
            then = partial(
                _reply_in_vain,
                ways=self.by_customer(here, reply),
                event=reply,
                times=len(self.chain(here.state)),
            )
            yield self.found(
                "comment-stops-no-closure",
                f"timers.{name}",
                f"{name} closes {closes}: {what} begins no new stay there",
                f"{add} that leads from {one_of(states)} to where support reads the reply",
                self.all.tell(here, then),
            )
        if not self.has_comment:
            return
        for state, here, which in self.nearest(lambda here: not self.by_customer(here, COMMENT)):
            yield self.found(
                "comment-refused",
                state_path(state),
                f"a customer's {COMMENT} is refused in {state}{which}, and lost",
                f"add a row for {COMMENT} by {CUSTOMER!r} from {state}, an internal one at least",
                self.all.tell(here, lambda life: life.is_refused(COMMENT, CUSTOMER)),
            )

    def ways_back(self) -> Iterator[Finding]:
        def is_stuck(here: Configuration) -> bool:
            ways = self.by_customer(here)
            return not any(edge.event == CLONE or self.is_open(there.state) for edge, there in ways)

        for state, heres in self.at.items():
            those = [*filter(is_stuck, heres)]
            if those and not self.is_open(state):
                yield self.found(
                    "no-way-back",
                    state_path(state),
                    f"a customer has no way back from {state}{_standing(those, heres)}: no event leads to "
                    f"an open state, and {CLONE!r} is refused",
                    f"add a row by {CUSTOMER!r} that leads back to an open state, or one for {CLONE!r}",
                    self.all.tell(those[0]),
                )

    def promises(self) -> Iterator[Finding]:
        """Texts that ask for what the customer may not do, as far as English words tell."""
        told: set[tuple[str, str]] = set()
        for state, heres in self.at.items():
            text, path = self.said(state, "action_required")
            for wish in _wishes(text or ""):
                keeps = _KEPT[wish]
                those = [
                    here
                    for here in heres
                    if not any(keeps(self, state, edge) for edge, _ in self.by_customer(here))
                ]
                if those and (path, wish) not in told:
                    told.add((path, wish))
                    yield self.found(
                        "promise-not-kept",
                        path,
                        f"it asks the customer to {wish}, but no event by {CUSTOMER!r} does that in "
                        f"{state}{_standing(those, heres)}",
                        f"add the row that it promises, or leave {wish!r} out of the text",
                        self.all.tell(those[0]),
                    )


def _standing(those: Sequence[Configuration], heres: Sequence[Configuration]) -> str:
    """Which cases of a state ``those`` are, if not all: what they have in common, or else the nearest."""
    if len(those) == len(heres):
        return ""
    first = those[0]
    assigned = " with an assignee" if first.assigned else " without an assignee"
    came = f" entered from {first.previous or 'no other status'}"
    for words, what in ((assigned, "assigned"), (came, "previous")):
        if [*those] == [here for here in heres if getattr(here, what) == getattr(first, what)]:
            return words
    return f"{assigned} and{came}"


def _to_customer(timer: Timer) -> bool:
    return timer.to is None and (timer.audience is None or _is_customer(timer.audience))


def _is_customer(word: str | None) -> bool:
    """Whether a free word of the policy means the customer."""
    return word is not None and word.casefold() == CUSTOMER


# --- what a witness goes on with ----------------------------------------------


def _settle(life: Life, steps: Iterable[int]) -> None:
    for index in steps:
        life.settles(index)


def _pass_over(life: Life, index: int, steps: Iterable[int]) -> None:
    life.cannot_return(index)
    _settle(life, steps)


def _move(life: Life, times: int) -> None:
    for _ in range(times):
        life.moves()


def _reply_in_vain(
    life: Life, ways: Sequence[tuple[Edge, Configuration]], event: str | None, times: int
) -> None:
    """The customer replies, if there is an event for it; the closure comes all the same."""
    if event is not None and not ways:
        life.is_refused(event, CUSTOMER)
    elif event is not None:
        edge, _ = ways[0]
        life.goes(edge)
        if edge.to is not None:  # it has closed the case itself
            return
    _move(life, times)


# --- what a text promises -----------------------------------------------------

_WISHES: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "reply": re.compile(
            r"\b(?:reply(?:ing)?|respond(?:ing)?|(?:add|leave|post|write) a comment|comment on)\b",
            re.IGNORECASE,
        ),
        "reopen": re.compile(r"\bre-?open(?:ing)?\b", re.IGNORECASE),
        "clone": re.compile(r"\bclon(?:e|ing)\b", re.IGNORECASE),
        "confirm": re.compile(r"\bconfirm\b", re.IGNORECASE),
        "close": re.compile(r"\bclose (?:it|the case|this case|your case)\b", re.IGNORECASE),
    }
)
_KEPT: Final[Mapping[str, Callable[[_Verifier, str, Edge], bool]]] = MappingProxyType(
    {
        "reply": lambda seen, _, edge: edge.event == COMMENT or not seen.has_comment,
        "reopen": lambda seen, state, edge: (
            edge.to is not None and edge.to != state and seen.is_open(edge.to)
        ),
        "clone": lambda _, __, edge: edge.event == CLONE,
        "confirm": lambda seen, _, edge: (
            edge.event == "confirm" or (edge.to is not None and not seen.is_open(edge.to))
        ),
        "close": lambda seen, _, edge: edge.to is not None and not seen.is_open(edge.to),
    }
)
"""Which event of a customer keeps a promise."""


def _wishes(text: str) -> Iterator[str]:
    """What a text asks the customer to do, in the order of `_WISHES`."""
    for wish, pattern in _WISHES.items():
        for clause in _CLAUSE.findall(text):
            asked = pattern.search(clause)
            if asked and not _NEGATED.search(clause[: asked.start()]):
                yield wish
                break
