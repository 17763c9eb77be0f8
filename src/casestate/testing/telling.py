"""A story as it happens to a helpdesk, what the policy says of it, and how the two part."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeVar, cast
from zoneinfo import ZoneInfo

import attrs

from casestate.calendars import WEEKDAYS, Length
from casestate.clock import EPOCH
from casestate.errors import CasestateError, nearest, one_of, shown
from casestate.policy import CLONE
from casestate.testing.helpdesk import Refused, message_parts
from casestate.testing.reference import BEGINNING, END, World


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from casestate.case import Case
    from casestate.testing.helpdesk import Helpdesk
    from casestate.testing.reference import Move, Reference, Scope
    from casestate.workflow import Explanation

__all__ = ["MOST_CASES", "TICK", "Parted", "Step", "Story", "Telling", "Told"]

_T = TypeVar("_T")

TICK: Final = timedelta(microseconds=1)
MOST_CASES: Final = 4
_HOW_TO_REFUSE: Final = "a desk that refuses returns False, or raises Refused"


class Step(Protocol):
    """Something that happens in a story. What it means is decided when it happens."""

    def happen(self, telling: Telling, /) -> None:
        """Let it happen."""


@attrs.frozen
class Story:
    """What happens: the first case is opened at ``beginning``, then come the steps."""

    beginning: datetime
    steps: tuple[Step, ...]


@attrs.frozen
class Told:
    """A step of a story that was told, when it began and ended, and what it came to mean.

    That is a case and an event, or a case that was opened.
    """

    step: Step
    began: datetime
    ended: datetime
    meant: tuple[str, Move | None] | None


class Parted(Exception):
    """The desk and the policy have parted: how, in words; and the steps until then."""

    beginning: datetime
    done: Sequence[Told]


class Telling:
    """A story as it happens to one desk, and what the policy says of it."""

    def __init__(
        self, reference: Reference, desk: Helpdesk, offers: Iterable[str], name: str, resolution: timedelta
    ) -> None:
        self.reference = reference
        self.desk: Any = desk
        self.offers = frozenset(offers)
        self.name = name
        self.resolution = resolution
        self.zone = ZoneInfo(reference.policy.calendar.zone)
        self.now = BEGINNING
        self.cases: dict[str, list[World]] = {}
        self.halfway = False
        self.found: object = None
        self.told: list[tuple[datetime, str, list[Case]]] = []
        self.meant: tuple[str, Move | None] | None = None

    def tell(self, story: Story) -> None:
        """Let it all happen. Raises `Parted` where the desk and the policy part."""
        done: list[Told] = []
        self.wait_until(story.beginning)
        try:
            self.open()
            for step in story.steps:
                began, self.meant = self.now, None
                try:
                    step.happen(self)
                finally:
                    done.append(Told(step, began, self.now, self.meant))
        except Parted as parted:
            parted.beginning = story.beginning
            parted.done = done
            raise

    # --- time ------------------------------------------------------------------

    def wait_until(self, moment: datetime) -> None:
        moment -= (moment - EPOCH) % self.resolution
        if not self.cases or self.now < moment < END:
            self.now = moment

    def wait_until_due(self, which: int, nudge: int) -> None:
        coming = self.coming()
        if coming:
            self.wait_until(coming[which % len(coming)] + nudge * self.resolution)

    def wait_for_a_wrong_clock(self, which: int, nudge: int) -> None:
        clocks = {
            since + timer.after.nominal
            for worlds in self.cases.values()
            for case in [worlds[0].case]
            for since in {cast("datetime", case.opened_at), *(change.at for change in case.history[-3:])}
            for timer in self.reference.policy.schedules[case.state]
            if timer.after.nominal < END - since
        }
        later = sorted(moment for moment in clocks if moment > self.now)
        if later:
            self.wait_until(later[which % len(later)] + nudge * self.resolution)

    def coming(self) -> list[datetime]:
        """When something comes due from now on, if nothing happens."""
        return sorted(
            told.due_at
            for worlds in self.cases.values()
            for told in self.reference.workflow.explain(worlds[0].case, now=self.now)
            if told.due_at is not None and self.now < told.due_at < END
        )

    # --- what happens ------------------------------------------------------------

    def open(self) -> None:
        if len(self.cases) == MOST_CASES:
            return
        case_id = self.new_id()
        self.meant = case_id, None
        case = self.reference.workflow.open(case_id, at=self.now)
        self.line(f"{case_id} is opened: {case.state}")
        self.asked(f"{case_id} is in {case.state}", lambda: self.desk.open(case_id, at=self.now))
        self.look({case_id: list(self.reference.entered(World(case)))})

    def event(self, scope: Scope, number: int, pick: int) -> None:
        case_id, moves = self.choice(scope, number)
        if moves:
            self.move(case_id, moves[pick % len(moves)])
        else:
            self.open()

    def move(self, case_id: str, move: Move) -> None:
        worlds = self.cases[case_id]
        case = worlds[0].case
        after = self.reference.after(case, move, self.now)
        self.meant = case_id, move
        self.line(f"{case_id}, {move.by}: {move}{_outcome(case, after)}")
        given = dict(move.given)
        self.answered(
            case_id, after, lambda: self.desk.handle(case_id, move.event, by=move.by, at=self.now, **given)
        )
        if isinstance(after, CasestateError):
            self.look({})
        else:
            self.look({case_id: [new for world in worlds for new in self.happened(world, move)]})

    def choice(self, scope: Scope, number: int) -> tuple[str, Sequence[Move]]:
        """The case that an event happens to, one that has such events if there is any; and these."""
        first = self.case_id(number)
        for case_id in (first, *reversed(self.cases)):
            moves = self.reference.choices(self.cases[case_id][0].case)[scope]
            if moves:
                return case_id, moves
        return first, ()

    def happened(self, world: World, move: Move) -> Iterator[World]:
        # Worlds of one case differ in what has been sent and settled, which no event looks at.
        after = cast("Case", self.reference.after(world.case, move, self.now))
        return self.changed(world, after)

    def changed(self, world: World, after: Case) -> Iterator[World]:
        new = attrs.evolve(world, case=after, touched=True)
        return self.reference.entered(new) if after.stay > world.case.stay else iter((new,))

    def clone(self, number: int, pick: int) -> None:
        if len(self.cases) == MOST_CASES:
            return
        by, new_id = self.reference.policy.roles[pick], self.new_id()
        allowed = self.reference.workflow.allowed
        permitted = (
            case_id for case_id in self.cases if CLONE in allowed(self.cases[case_id][0].case, by=by)
        )
        case_id = next(permitted, self.case_id(number))
        worlds = self.cases[case_id]
        cloned = [self.reference.cloned(world, new_id, by, self.now) for world in worlds]
        after = cloned[0] if isinstance(cloned[0], CasestateError) else cloned[0][0]
        self.line(f"{case_id}, {by}: clone as {new_id}{_outcome(worlds[0].case, after)}")
        self.answered(case_id, after, lambda: self.desk.clone(case_id, new_id, by=by, at=self.now))
        candidates: dict[str, list[World]] = {}
        for world, found in zip(worlds, cloned, strict=True):
            if not isinstance(found, CasestateError):
                original, clone = found
                candidates.setdefault(case_id, []).extend(self.changed(world, original))
                candidates[new_id] = list(self.reference.entered(World(clone)))
        self.look(candidates)

    def sweep(self) -> None:
        says = self.due()
        self.line(f"sweep: {says}")
        self.asked(says, lambda: self.desk.sweep(self.now))
        self.look(self.each(lambda world: self.reference.swept(world, self.now)), swept=True)

    def crashing_sweep(self) -> None:
        says = self.due()
        self.line(f"sweep, which dies before it settles: {says}")
        self.asked(says, lambda: self.desk.crash(self.now))
        self.look(self.each(lambda world: self.reference.crashed(world, self.now)), swept=True)

    def collect(self) -> None:
        if self.halfway:
            return
        says = self.due()
        self.line(f"sweep, first half: {says}")
        self.found = self.asked(says, lambda: self.desk.collect(self.now))
        self.halfway = True
        self.look(self.each(lambda world: (self.reference.collected(world, self.now),)), swept=True)

    def carry_out(self) -> None:
        if not self.halfway:
            return
        self.halfway = False
        says = self.left()
        self.line(f"sweep, second half: {says}")
        self.asked(says, lambda: self.desk.carry_out(self.found, self.now))
        self.look(self.each(lambda world: self.reference.finished(world, self.now)), swept=True)

    def left(self) -> str:
        """What is left of what the first half of a sweep has found, in a sentence."""
        said: list[str] = []
        for worlds in self.cases.values():
            action, case = worlds[0].found, worlds[0].case
            if action is not None:
                name = f"{action.timer} of {case.id}"
                stale = self.reference.is_stale(case, action)
                said.append(f"{name} is {'stale: the case has moved on' if stale else 'due'}")
        return ", ".join(said) or "nothing was found"

    def due(self) -> str:
        """What is due, in a sentence."""
        actions = (self.reference.due(worlds[0].case, self.now) for worlds in self.cases.values())
        names = [f"{action.timer} of {action.case_id}" for action in actions if action is not None]
        return f"{', '.join(names) or 'nothing'} {'are' if len(names) > 1 else 'is'} due"

    def each(self, outcomes: Callable[[World], Iterable[World]]) -> dict[str, list[World]]:
        """The worlds of all cases after a step."""
        return {
            case_id: [new for world in worlds for new in outcomes(world)]
            for case_id, worlds in self.cases.items()
        }

    def case_id(self, number: int) -> str:
        ids = list(self.cases)
        return ids[number % len(ids)]

    def new_id(self) -> str:
        return f"C-{len(self.cases) + 1}"

    # --- asking the desk, and looking at it ----------------------------------------

    def asked(self, says: str, call: Callable[[], _T]) -> _T:
        """What the desk returns; that it raises is not what the policy says."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - a desk may raise anything
            self.part([says], [_raised(error)], error)

    def answered(self, case_id: str, after: Case | CasestateError, call: Callable[[], object]) -> None:
        """Let the desk answer an event: it accepts exactly what is permitted."""
        permitted = not isinstance(after, CasestateError)
        says = f"refuses this: {after}"
        if not isinstance(after, CasestateError):
            says = f"permits this: {case_id} is in {after.state} then"
        cause: Exception | None = None
        try:
            returned = call()
            accepted = returned is not False
            answer = "accepted it" if accepted else "refused it (returned False)"
            if accepted and returned is not None and returned is not True:
                answer += f" (returned {shown(returned)}; {_HOW_TO_REFUSE})"
        except (CasestateError, Refused) as error:
            accepted, answer, cause = False, f"refused it ({_raised(error)})", error
        except Exception as error:  # noqa: BLE001 - a desk may raise anything
            hint = "" if permitted else f" ({_HOW_TO_REFUSE})"
            self.part([says], [f"{_raised(error)}{hint}"], error)
        if accepted != permitted:
            self.part([says], [answer], cause)

    def look(self, candidates: Mapping[str, list[World]], *, swept: bool = False) -> None:
        """Look at every case and keep the worlds that may be so; ``candidates`` are those after this step."""
        worlds = {**self.cases, **candidates}
        sent = self.sent(worlds)
        seen: dict[str, list[World]] = {}
        policy: list[str] = []
        desk: list[str] = []
        for case_id, possible in worlds.items():
            state = self.state(case_id, possible[0])
            left = {
                world.key: world
                for world in possible
                if world.case.state == state and (sent is None or Counter(world.sent) == sent[case_id])
            }
            seen[case_id] = list(left.values())
            if not left:
                self.compare(
                    possible[0], state, None if sent is None else sent[case_id], policy, desk, swept=swept
                )
        if policy:
            self.part(policy, desk)
        self.cases = seen

    def state(self, case_id: str, expected: World) -> object:
        return self.asked(f"{case_id} is in {expected.case.state}", lambda: self.desk.state(case_id))

    def sent(self, known: Iterable[str]) -> dict[str, Counter[str]] | None:
        """The messages of each case so far, if the desk has an outbox."""
        if "outbox" not in self.offers:
            return None
        timers = self.reference.timers
        sent: dict[str, Counter[str]] = {case_id: Counter() for case_id in known}
        for message in self.asked("there is an outbox to look into", lambda: list(self.desk.outbox())):
            parts = message_parts(message)
            if parts is None:
                wanted = "a message is a Message, a pair (case_id, timer), or has these two attributes"
                self.part([wanted], [f"has {shown(message)} in its outbox"])
            case_id, timer = parts
            says = ""
            if case_id not in sent:
                says = f"there is no case {shown(case_id)} (there are: {one_of(sent)})"
            elif timer not in timers:
                hint = nearest(timer, timers)
                says = f"there is no timer {shown(timer)}{hint} (there are: {one_of(timers)})"
            if says:
                self.part([says], [f"has sent {shown(timer)} for {shown(case_id)}"])
            # Whether a closure is told in a message of its own is not for the policy to say.
            if timers[timer].to is None:
                sent[case_id][timer] += 1
        return sent

    # --- telling -----------------------------------------------------------------------

    def compare(
        self,
        expected: World,
        state: object,
        sent: Counter[str] | None,
        policy: list[str],
        desk: list[str],
        *,
        swept: bool,
    ) -> None:
        """Add what the policy says of a case, and how it is with the desk."""
        case = expected.case
        before = self.cases[case.id][0] if swept else expected
        due = Counter(expected.sent)
        missing, extra = (Counter[str](), Counter[str]()) if sent is None else (due - sent, sent - due)
        timers = dict.fromkeys([*missing, *extra])
        if state != case.state:
            policy.append(f"{case.id} is in {case.state}")
            desk.append(f"{case.id} is in {state if isinstance(state, str) else shown(state)}")
            done = [change.event for change in case.history[len(before.case.history) :]]
            schedule = self.reference.policy.schedules[before.case.state]
            timers |= dict.fromkeys([*done, *(timer.name for timer in schedule if timer.to == state)])
        reasons = [self.reason(before, case, timer) for timer in timers]
        policy += [reason for reason in reasons if reason is not None]
        if not policy:
            policy.append(f"{case.state}, the state of {case.id}, has no such timer")
        desk += [f"has not sent {timer} for {case.id}" for timer in missing]
        for timer, number in extra.items():
            again = " again" if timer in expected.sent else ""
            desk.append(f"has sent {timer} for {case.id}{again}{f', {number} times' if number > 1 else ''}")

    def reason(self, before: World, after: Case, timer: str) -> str | None:
        """Why a timer is, or is not, due for a case; nothing if its state has no such timer."""
        for case in (before.case, after):
            for told in self.reference.workflow.explain(case, now=self.now):
                if told.timer == timer:
                    if before.acted == f"{case.id}:{case.stay}:{timer}":
                        return f"{timer} of {case.id} has been sent by the sweep that died"
                    return self.sentence(case, told)
        return None

    def sentence(self, case: Case, told: Explanation) -> str:
        """What is to be said of a timer, with its rule in the policy."""
        due_at, timer = told.due_at, self.reference.timers[told.timer]
        what = f"{timer.name} of {case.id}"
        if due_at is not None and told.verdict in ("due", "waiting"):
            is_due = "is due since" if told.verdict == "due" else "is not due before"
            holidays = [
                str(day)
                for day in self.reference.policy.calendar.holidays
                if isinstance(day, date) and case.entered_at.date() <= day <= due_at.date()
            ]
            off = ""
            if timer.after.unit == "business_days" and holidays:
                off = f"; off: {', '.join(holidays)}"
            rule = f"timers.{timer.name.partition('#')[0]}: after {timer.after} in {case.state}{off}"
            return f"{what} {is_due} {self.instant(due_at)} ({rule})"
        if told.verdict == "settled":
            return f"{what} has been dealt with, once in this stay"
        return f"{what}{told.sentence.removeprefix(timer.name).removesuffix('.')}"

    def line(self, text: str) -> None:
        """Keep what happens next, with all that is known before it: only a story that fails is told."""
        self.told.append((self.now, text, [worlds[0].case for worlds in self.cases.values()]))

    def lines(self) -> Iterator[str]:
        """The story. An instant stands above what happens then."""
        before: datetime | None = None
        for now, text, cases in self.told:
            if before is None:
                yield self.instant(now)
            elif now != before:
                yield f"{_span(now - before)} later, {self.instant(now)}{self.hint(now, cases)}"
            before = now
            yield f"    {text}"

    def hint(self, now: datetime, cases: Iterable[Case]) -> str:
        """What comes due now, or next to now."""
        span = _span(self.resolution)
        for beside, after in (("when", 0), (f"{span} before", -1), (f"{span} after", 1)):
            for case in cases:
                for told in self.reference.workflow.explain(case, now=now):
                    due_at = told.due_at
                    if due_at is not None and now - due_at == after * self.resolution:
                        return f", {beside} {told.timer} of {case.id} comes due"
        return ""

    def instant(self, at: datetime) -> str:
        local = at.astimezone(self.zone)
        text = local.isoformat(" ", "auto" if local.second or local.microsecond else "minutes")
        text = text.removesuffix("+00:00") + " UTC" if self.zone.key == "UTC" else f"{text[:-6]} {text[-6:]}"
        return f"{WEEKDAYS[local.weekday()].capitalize()} {text}"

    def part(self, policy: Iterable[str], desk: Iterable[str], cause: Exception | None = None) -> NoReturn:
        zone = "" if self.zone.key == "UTC" else f" (times of {self.zone.key})"
        title = f"{self.name} does not do what the policy {self.reference.policy.name!r} says{zone}:"
        ends = [f"the policy: {_below(policy)}", f"your desk:  {_below(desk)}"]
        raise Parted("\n".join([title, "", *self.lines(), "", *ends])) from cause


def _below(lines: Iterable[str]) -> str:
    """Lines below each other, to the right of a word."""
    return "\n            ".join(lines)


def _raised(error: Exception) -> str:
    return f"raised {type(error).__name__}: {error}".rstrip(": ")


def _outcome(case: Case, after: Case | CasestateError) -> str:
    if isinstance(after, CasestateError):
        return ", which is not permitted"
    return f" → {after.state}" if after.stay > case.stay else ""


def _span(length: timedelta) -> str:
    """A length of time as one reads it: ``7 days``, ``7 days less 1 microsecond``."""
    seconds, rest = divmod(length + timedelta(milliseconds=500), timedelta(seconds=1))
    rest -= timedelta(milliseconds=500)
    ticks = abs(rest) // TICK
    odd = f"{ticks} microsecond{'s' if ticks > 1 else ''}"
    if not ticks:
        return str(Length("elapsed", seconds))
    return (
        f"{Length('elapsed', seconds)} {'and' if rest > timedelta(0) else 'less'} {odd}" if seconds else odd
    )
