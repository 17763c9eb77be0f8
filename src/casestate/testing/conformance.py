"""A helpdesk of one's own beside the reference: the same stories happen to both, and are compared.

`conformance` makes a test case class. It draws stories: events by every role,
permitted or not; time that passes; sweeps that come late, come twice, crash, or meet
a reply. Each happens to the desk and to a `Workflow`. Where the two part, the
story is shrunk and told.

What a desk may do is a set. Each case has the *worlds* that it may be in, and every look at
the desk rules out those that are not so. There is more than one only where a desk is
free: a sweep that crashed may have sent or not, and what is due at the very beginning of a
stay may be sent at once or by the next sweep. When no world is left, the desk is wrong.
"""

from __future__ import annotations

import inspect

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, Protocol, TypeAlias, TypeVar, cast
from unittest import TestCase
from zoneinfo import ZoneInfo

import attrs
import hypothesis

from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from casestate.calendars import WEEKDAYS, Length
from casestate.errors import CasestateError, Problem, StaleAction, nearest, one_of, shown
from casestate.policy import CLONE, Policy
from casestate.testing.strategies import turns
from casestate.workflow import Workflow


if TYPE_CHECKING:
    from casestate.case import Action, Case
    from casestate.workflow import Explanation

_T = TypeVar("_T")

__all__ = ["Helpdesk", "HelpdeskError", "Message", "Refused", "conformance"]

__unittest = True
"""Keeps our frames out of the tracebacks that unittest prints."""

TICK: Final = timedelta(microseconds=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
BEGINNING: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""Where stories shrink to: a Monday morning."""
END: Final = datetime(2400, 1, 1, tzinfo=UTC)
"""No story goes on for longer."""
EXAMPLES: Final = 100
MOST_CASES: Final = 4
MOST_TRIES: Final = 1000
"""How often a story is told again to see what can be left out of it."""
OTHERS: Final = 12
"""How many other events are tried in the place of one."""
SERVERS: Final = ("Europe/Berlin", "America/New_York")
"""Zones in which a server may stand whose desk does not count in the policy's own."""
PEOPLE: Final = ("mira", "noor")


# --- what a user writes --------------------------------------------------------


class Refused(Exception):
    """For an adapter to raise where its desk refuses an event, if it has nothing better."""


@attrs.frozen
class Message:
    """A reminder or a notification that a desk has sent: the case, and the policy's name of the timer."""

    case_id: str
    timer: str


class Helpdesk(Protocol):
    """An adapter to a helpdesk: what a story has to do to it, and to see of it.

    Every instant is given, aware and in UTC: a desk under test reads no clock of its
    own. A new desk is empty; one that is a context manager is entered before its story and left after it.

    The four methods below are required. These are not: what is absent is left out of the stories.

    ``outbox()``
        All reminders and notifications sent so far: for each a `Message`, a pair
        ``(case_id, timer)`` or anything with these two attributes, such as an `Action`.
        Without it states alone are compared.
    ``clone(case_id, new_id, *, by, at)``
        Clone a case, where the policy has the event ``clone``. Refuses as ``handle`` does.
    ``collect(now)`` and ``carry_out(found, now)``
        The two halves of a sweep: find what is due; do what has been found, which is whatever the
        first half returned. Replies arrive between the two.
    ``crash(now)``
        A sweep that acts (sends) and dies before it settles, and returns.
    """

    def open(self, case_id: str, /, *, at: datetime) -> object:
        """Begin a case."""

    def handle(
        self,
        case_id: str,
        event: str,
        /,
        *,
        by: str,
        at: datetime,
        sub_status: str | None = None,
        assignee: str | None = None,
    ) -> object:
        """An event by a role happens to a case. To refuse it, return ``False`` or raise.

        `Refused` and every `CasestateError` is a refusal. ``sub_status`` and ``assignee`` are
        passed only where they are given, and only under policies that ask for such a thing.
        """

    def state(self, case_id: str, /) -> str:
        """The state of a case as the policy names it: ``pending.customer_input``."""

    def sweep(self, now: datetime, /) -> object:
        """Do what is due at ``now``, in one pass: at most one action a case."""


Factory: TypeAlias = Callable[[], Helpdesk | AbstractContextManager[Helpdesk]]


class HelpdeskError(CasestateError, TypeError):
    """What was given is no policy, no factory or no helpdesk: everything that is wrong with it."""

    def __init__(self, subject: str, problems: Iterable[Problem]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        """All of them, each a `Problem` with the argument or the method as its ``path``."""
        super().__init__(subject, self.problems)

    def __str__(self) -> str:
        return f"{self.subject}:" + "".join(f"\n  - {problem}" for problem in self.problems)


def conformance(
    policy: Policy,
    factory: Factory,
    *,
    examples: int | None = None,
    seed: int | None = None,
    settings: hypothesis.settings | None = None,
    resolution: timedelta = TICK,
) -> type[TestCase]:
    """A test case class that runs a helpdesk of your own beside the reference, through random stories.

    ``factory()`` returns a new, empty desk: see `Helpdesk`. Give the class a name in a test
    module, where pytest and unittest find it::

        TestMyDesk = conformance(policies.SUB_STATUS, MyDesk)

    A desk that parts from the policy fails with a shortest story of how. What the desk
    raises, refusals aside, is part of the story, and the ``__cause__`` of the failure.

    ``examples`` is how many stories are tried (100, or what ``settings`` say). With a ``seed`` they are
    the same in every run; without one, that is for ``settings`` or the profile in force to say.
    ``resolution`` is the shortest time that the desk's clock and columns tell apart, a
    microsecond or, say, ``timedelta(seconds=1)``.

    Raises `HelpdeskError` with everything that is wrong with the arguments. A desk that lacks a
    method, or has one that cannot be called as it has to be, fails its test with the same error.
    """
    problems = [*_wrong_arguments(policy, factory, examples, seed, settings, resolution)]
    if problems:
        raise HelpdeskError("conformance", problems)
    name = getattr(factory, "__name__", "")
    name = name if name.isidentifier() else "the desk"

    def test_it_does_what_the_policy_says(self: TestCase) -> None:  # noqa: ARG001 - a method of the class below
        __tracebackhide__ = True
        _Conformance(policy, factory, name, resolution).check(examples, seed, settings)

    words = policy.name.replace("-", "_").split("_")
    made = type(
        f"{''.join(word.capitalize() for word in words)}Conformance",
        (TestCase,),
        {
            "__doc__": f"{name} does what the policy {policy.name!r} says.",
            "__module__": getattr(factory, "__module__", None) or __name__,
            "test_it_does_what_the_policy_says": test_it_does_what_the_policy_says,
        },
    )
    return cast("type[TestCase]", made)


def _wrong_arguments(
    policy: object, factory: object, examples: object, seed: object, settings: object, resolution: object
) -> Iterator[Problem]:
    if not isinstance(policy, Policy):
        yield Problem("policy", f"must be a Policy (see load_policy), not {shown(policy)}")
    if not callable(factory):
        yield Problem(
            "factory", f"must be something to call that returns a new helpdesk, not {shown(factory)}"
        )
    if examples is not None and (not _is_whole(examples) or cast("int", examples) < 1):
        yield Problem("examples", f"must be a whole number from 1 on, not {shown(examples)}")
    if seed is not None and not _is_whole(seed):
        yield Problem("seed", f"must be a whole number, not {shown(seed)}")
    if settings is not None and not isinstance(settings, hypothesis.settings):
        yield Problem("settings", f"must be hypothesis.settings, not {shown(settings)}")
    if not isinstance(resolution, timedelta) or not TICK <= resolution <= timedelta(days=1):
        yield Problem(
            "resolution", f"must be a timedelta from a microsecond to a day, not {shown(resolution)}"
        )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_REQUIRED: Final = {
    "open": "open(case_id, *, at)",
    "handle": "handle(case_id, event, *, by, at, sub_status=None, assignee=None)",
    "state": "state(case_id)",
    "sweep": "sweep(now)",
}
_OPTIONAL: Final = {
    "outbox": "outbox()",
    "clone": "clone(case_id, new_id, *, by, at)",
    "collect": "collect(now)",
    "carry_out": "carry_out(found, now)",
    "crash": "crash(now)",
}


def _wrong_methods(desk: object, given: Iterable[str]) -> Iterator[Problem]:
    """What a desk lacks, or cannot be called with; ``given`` are the arguments that its policy asks for."""
    now = BEGINNING
    calls: dict[str, tuple[tuple[object, ...], dict[str, object]]] = {
        "open": (("C-1",), {"at": now}),
        "handle": (("C-1", "event"), {"by": "role", "at": now, **dict.fromkeys(given, "name")}),
        "state": (("C-1",), {}),
        "sweep": ((now,), {}),
        "outbox": ((), {}),
        "clone": (("C-1", "C-2"), {"by": "role", "at": now}),
        "collect": ((now,), {}),
        "carry_out": ((None, now), {}),
        "crash": ((now,), {}),
    }
    for name, signature in {**_REQUIRED, **_OPTIONAL}.items():
        method = getattr(desk, name, None)
        if method is None:
            if name in _REQUIRED:
                yield Problem(name, f"is missing: a helpdesk has {signature}")
        elif not callable(method):
            yield Problem(name, f"must be a method, {signature}, not {shown(method)}")
        else:
            positional, keywords = calls[name]
            try:
                inspect.signature(method).bind(*positional, **keywords)
            except TypeError as error:
                yield Problem(name, f"must be callable as {signature}: {error}")
            except ValueError:  # it does not tell its signature
                continue
    for here, there in (("collect", "carry_out"), ("carry_out", "collect")):
        if getattr(desk, here, None) is None and getattr(desk, there, None) is not None:
            yield Problem(here, f"is missing: {_OPTIONAL[there]} comes with {_OPTIONAL[here]}")


# --- what happens in a story ---------------------------------------------------


Scope: TypeAlias = Literal["waiting", "moving", "permitted", "any"]
"""Events that begin a stay in an open state with timers; in any open state; that are permitted; all."""


class _Step(Protocol):
    """Something that happens in a story. What it means is decided when it happens."""

    def happen(self, telling: Telling, /) -> None:
        """Let it happen."""


@attrs.frozen
class _Event:
    """An event happens to a case: one of those that do so much to it then, or any that there is."""

    scope: Scope
    case: int
    pick: int

    def happen(self, telling: Telling) -> None:
        telling.event(self)


@attrs.frozen
class _Exactly:
    """This very event happens to this case, if it is there."""

    case_id: str
    move: _Move

    def happen(self, telling: Telling) -> None:
        if self.case_id in telling.cases:
            telling.move(self.case_id, self.move)


@attrs.frozen
class _Wait:
    """Time passes."""

    length: timedelta

    def happen(self, telling: Telling) -> None:
        telling.wait_until(telling.now + self.length)


@attrs.frozen
class _At:
    """Time passes until an instant, unless it is over."""

    instant: datetime

    def happen(self, telling: Telling) -> None:
        telling.wait_until(self.instant)


@attrs.frozen
class _Until:
    """Time passes until something comes due, or to an instant beside that."""

    which: int
    nudge: int

    def happen(self, telling: Telling) -> None:
        telling.wait_until_due(self.which, self.nudge)


@attrs.frozen
class _WrongClock:
    """Time passes until something would come due for a desk that counts from the wrong instant."""

    which: int
    nudge: int

    def happen(self, telling: Telling) -> None:
        telling.wait_for_a_wrong_clock(self.which, self.nudge)


@attrs.frozen
class _Outage:
    """Time passes until everything is due, and for some days more."""

    days: int

    def happen(self, telling: Telling) -> None:
        telling.wait_until(max(telling.coming(), default=telling.now) + timedelta(days=self.days))


@attrs.frozen
class _Sweep:
    """A sweep, as it should be."""

    def happen(self, telling: Telling) -> None:
        telling.sweep()


@attrs.frozen
class _Collect:
    """The first half of a sweep. What happens before the second half happens in between."""

    def happen(self, telling: Telling) -> None:
        telling.collect()


@attrs.frozen
class _CarryOut:
    """The second half of a sweep."""

    def happen(self, telling: Telling) -> None:
        telling.carry_out()


@attrs.frozen
class _Crash:
    """A sweep that dies before it settles."""

    def happen(self, telling: Telling) -> None:
        telling.crashing_sweep()


@attrs.frozen
class _Open:
    """One more case is opened."""

    def happen(self, telling: Telling) -> None:
        telling.open()


@attrs.frozen
class _Clone:
    """A case is cloned."""

    case: int
    pick: int

    def happen(self, telling: Telling) -> None:
        telling.clone(self.case, self.pick)


@attrs.frozen
class Story:
    """What happens: the first case is opened at ``beginning``, then come the steps."""

    beginning: datetime
    steps: tuple[_Step, ...]


def stories(reference: Reference, offers: Iterable[str] = _OPTIONAL) -> st.SearchStrategy[Story]:
    """Stories for desks that have the optional methods ``offers``.

    Made of bits of one to four steps, because a bug hides at the end of a few steps that belong together.
    """
    policy, offers = reference.policy, set(offers)
    cases = st.integers(0, MOST_CASES - 1)
    scopes: tuple[tuple[Scope, int], ...] = (
        ("waiting", 60),
        ("moving", 60),
        ("permitted", 60),
        ("any", max(1, len(reference.moves))),
    )
    waiting, moving, permitted, anything = (
        st.builds(_Event, st.just(scope), cases, st.integers(0, most - 1)) for scope, most in scopes
    )
    lengths = {timer.after.nominal for timer in reference.timers.values()}
    day = timedelta(days=1)
    waits = [day, *sorted(lengths - {timedelta(0), day}), *sorted(length + day for length in lengths)]
    waits += [timedelta(hours=1), timedelta(minutes=1), TICK]
    which, nudge = st.just(0) | st.integers(0, 7), st.sampled_from((0, 0, 0, -1, 1))
    until, wrong_clock = st.builds(_Until, which, nudge), st.builds(_WrongClock, which, nudge)
    wait = st.sampled_from(waits).map(_Wait)
    outage, sweep = st.builds(_Outage, st.integers(1, 90)), st.just(_Sweep())
    bits: list[tuple[int, tuple[st.SearchStrategy[_Step], ...]]] = [
        (1, ()),
        (9, (waiting,)),
        (5, (moving,)),
        (4, (moving, wait, waiting, wrong_clock, sweep)),
        (2, (permitted,)),
        (3, (anything,)),
        (9, (until, sweep)),
        (4, (wrong_clock, sweep)),
        (4, (wait, sweep)),
        (2, (outage, sweep)),
        (4, (sweep,)),
        (1, (until,)),
        (2, (wait,)),
        (1, (st.just(_Open()),)),
    ]
    if _counts_days(policy):
        bits += [(4, (_hostile(policy).map(_At), waiting, until, sweep))]
    if "collect" in offers:
        collect, carry_out = st.just(_Collect()), st.just(_CarryOut())
        reply = moving | permitted
        bits += [(4, (until, collect, reply, carry_out)), (1, (collect,)), (1, (carry_out,))]
    if "crash" in offers:
        bits += [(2, (until, st.just(_Crash())))]
    if "clone" in offers and CLONE in policy.events:
        bits += [(1, (st.builds(_Clone, cases, st.integers(0, len(policy.roles) - 1)),))]
    kinds = [st.tuples(*bit) for weight, bit in bits for _ in range(weight)]
    told = st.lists(st.sampled_from(kinds).flatmap(_itself), min_size=10, max_size=20)
    return st.builds(Story, _beginnings(policy), told.map(lambda bits: tuple(chain.from_iterable(bits))))


def _itself(strategy: st.SearchStrategy[_T]) -> st.SearchStrategy[_T]:
    return strategy


def _beginnings(policy: Policy) -> st.SearchStrategy[datetime]:
    """A Monday morning, any hour of that year, or a hostile instant."""
    hours = st.integers(0, 366 * 24).map(lambda hour: BEGINNING + timedelta(hours=hour))
    kinds = [st.just(BEGINNING), hours, *[_hostile(policy)] * (4 if _counts_days(policy) else 1)]
    return st.sampled_from(kinds).flatmap(_itself)


def _counts_days(policy: Policy) -> bool:
    """Whether some timer goes by a calendar."""
    return any(timer.after.unit != "elapsed" for timer in policy.timers.values())


def _hostile(policy: Policy) -> st.SearchStrategy[datetime]:
    """Instants about the holidays and the turns of the clocks, and some days before them."""
    calendar = policy.calendar
    zone = ZoneInfo(calendar.zone)
    holidays = [day for day in calendar.holidays if isinstance(day, date)]
    near = [datetime.combine(day, time(), zone).astimezone(UTC) for day in holidays]
    near += [turn for turn in turns(calendar.zone) if turn.year > 2000]
    near = near or [turn for name in SERVERS for turn in turns(name) if turn.year > 2000]
    return st.builds(
        lambda instant, days, minutes: instant - timedelta(days=days, minutes=minutes),
        st.sampled_from(near),
        st.integers(0, 8) | st.integers(-1, 35),
        st.sampled_from((0, -1, 1, -30, 30, -60, 60, -90, 90, -600, 600, -1439, 1439)),
    )


@attrs.frozen
class Told:
    """A story as far as it was told: with the instant of each step, and what the step came to mean."""

    story: Story
    instants: tuple[datetime, ...]
    exactly: tuple[_Step, ...]


def simpler(told: Told) -> Iterator[Story]:
    """Stories that tell less.

    Hypothesis shrinks bit by bit and does not know what the bits mean. Here a story
    begins later, steps that stand apart go together, and one event takes the place of two.
    """
    beginning = told.story.beginning
    ways = (told.story.steps, told.exactly)
    for steps in ways:
        for place in range(len(steps) - 1, 0, -1):
            yield Story(told.instants[place], steps[place:])
        if beginning != BEGINNING:
            yield Story(BEGINNING, steps)
        for gone in range(len(steps)):
            yield Story(beginning, _without(steps, gone))
    for steps in ways:
        for pair in combinations(range(len(steps)), 2):
            yield Story(beginning, _without(steps, *pair))
    for place, step in enumerate(told.story.steps):
        for changed in _instead(told.story.steps, place, step):
            yield Story(beginning, changed)


def _instead(steps: tuple[_Step, ...], place: int, step: _Step) -> Iterator[tuple[_Step, ...]]:
    """The steps with another one in the place of ``step``."""
    others = [other for other in range(len(steps)) if other != place]
    if isinstance(step, _CarryOut):
        swept = _with(steps, place, _Sweep())
        yield from (_without(swept, other) for other in others if isinstance(steps[other], _Collect))
    if isinstance(step, _Until | _WrongClock) and step.nudge:
        for until in (attrs.evolve(step, nudge=0), _Until(0, 0), _Until(1, 0)):
            yield _with(steps, place, until)
    if isinstance(step, _Event | _Exactly):
        for pick in range(OTHERS):
            changed = _with(steps, place, _Event("permitted", 0, pick))
            yield from (_without(changed, other) for other in others)


def _with(steps: tuple[_Step, ...], place: int, step: _Step) -> tuple[_Step, ...]:
    return (*steps[:place], step, *steps[place + 1 :])


def _without(steps: tuple[_Step, ...], *gone: int) -> tuple[_Step, ...]:
    return tuple(step for place, step in enumerate(steps) if place not in gone)


# --- the reference -------------------------------------------------------------


@attrs.frozen
class _Move:
    """An event by a role, with the arguments that are given."""

    event: str
    by: str
    given: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        given = ", ".join(value if name == "sub_status" else f"{name}={value}" for name, value in self.given)
        return f"{self.event}({given})" if given else self.event


@attrs.frozen
class _World:
    """What may be so of one case.

    ``sent`` holds the timers whose messages have been sent, ``acted`` the key of an action
    that has been acted on and not settled; ``found`` what a sweep has found and
    not carried out yet, ``touched`` whether anything has happened since.
    """

    case: Case
    sent: tuple[str, ...] = ()
    acted: str | None = None
    found: Action | None = None
    touched: bool = False

    @property
    def key(self) -> object:
        """What tells worlds apart."""
        case = self.case
        stay = (case.state, case.stay, case.entered_at, case.settled, case.settled_at)
        return (*stay, case.previous, case.assignee, self.sent, self.acted, self.found, self.touched)


class Reference:
    """What the policy says of any step, in every world that may be."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.workflow = Workflow(policy, clock=lambda: BEGINNING)  # which is never asked
        self.timers = {timer.name: timer for timers in policy.schedules.values() for timer in timers}
        self.arguments = tuple(self._arguments())
        """The arguments that some row asks for."""
        self.moves = tuple(self._moves())
        self._choices: dict[object, Mapping[Scope, Sequence[_Move]]] = {}

    def _arguments(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        policy = self.policy
        asking = dict.fromkeys(
            row.to for row in policy.transitions if row.to in policy.statuses and row.to not in policy.states
        )
        subs = dict.fromkeys(sub for to in asking for sub in policy.statuses[cast("str", to)].sub_statuses)
        if subs:
            unknown = "nowhere"
            while unknown in subs:
                unknown += "_x"
            yield "sub_status", (*subs, unknown)
        if any("assignee" in row.needs for row in policy.transitions):
            yield "assignee", PEOPLE

    def _moves(self) -> Iterator[_Move]:
        given: list[tuple[tuple[str, str], ...]] = [()]
        for name, values in self.arguments:
            given += [(*before, (name, value)) for before in given for value in values]
        for by in self.policy.roles:
            for event in self.policy.events:
                if event != CLONE:
                    yield from (_Move(event, by, arguments) for arguments in given)

    def choices(self, case: Case) -> Mapping[Scope, Sequence[_Move]]:
        """The events of each scope for a case."""
        key = (case.state, case.assignee is None, case.previous)
        if key not in self._choices:
            waiting: list[_Move] = []
            moving: list[_Move] = []
            permitted: list[_Move] = []
            for move in self.moves:
                after = self.after(case, move, case.changed_at)
                if isinstance(after, CasestateError):
                    continue
                permitted.append(move)
                if after.stay > case.stay and not self.policy.is_closed(after.state):
                    moving.append(move)
                    if self.policy.schedules[after.state]:
                        waiting.append(move)
            self._choices[key] = {
                "waiting": waiting,
                "moving": moving,
                "permitted": permitted,
                "any": self.moves,
            }
        return self._choices[key]

    def after(self, case: Case, move: _Move, at: datetime) -> Case | CasestateError:
        """The case after an event, or why it is refused."""
        try:
            return self.workflow.apply(case, move.event, by=move.by, at=at, **dict(move.given))
        except CasestateError as error:
            return error

    def due(self, case: Case, now: datetime) -> Action | None:
        """What a sweep finds for one case."""
        due_at = self.workflow.next_due(case)
        return None if due_at is None or due_at > now else next(self.workflow.forecast(case, now=now))

    def entered(self, world: _World) -> Iterator[_World]:
        """A world in which a stay has just begun; what is due at once may be sent at once."""
        yield world
        action = self.due(world.case, world.case.entered_at)
        if action is not None and action.to is None:
            yield self._acted(world, action, world.case.entered_at)

    def _acted(self, world: _World, action: Action, now: datetime) -> _World:
        sent = world.sent
        if action.to is None and world.acted != action.key:
            sent = (*sent, action.timer)
        case = self.workflow.settle(world.case, action, at=now)
        return attrs.evolve(world, case=case, sent=sent, acted=None)

    def carried_out(self, world: _World, action: Action, now: datetime) -> Iterator[_World]:
        """A world in which an action has been carried out."""
        after = self._acted(world, action, now)
        return iter((after,)) if action.to is None else self.entered(after)

    def swept(self, world: _World, now: datetime) -> Iterator[_World]:
        """After a sweep: exactly what is due has been carried out."""
        action = self.due(world.case, now)
        return iter((world,)) if action is None else self.carried_out(world, action, now)

    def crashed(self, world: _World, now: datetime) -> Iterator[_World]:
        """After a sweep that died: it has done nothing, has acted without settling, or was done."""
        yield world
        action = self.due(world.case, now)
        if action is not None:
            if action.to is None:
                sent = world.sent if world.acted == action.key else (*world.sent, action.timer)
                yield attrs.evolve(world, sent=sent, acted=action.key)
            yield from self.carried_out(world, action, now)

    def collected(self, world: _World, now: datetime) -> _World:
        """After the first half of a sweep."""
        return attrs.evolve(world, found=self.due(world.case, now), touched=False)

    def finished(self, world: _World, now: datetime) -> Iterator[_World]:
        """After the second half: what was found has been carried out, unless it has become stale.

        A desk may also look afresh at the cases that it found, and may leave one to
        which anything has happened since for the next sweep.
        """
        found, afresh = world.found, self.due(world.case, now)
        plain = attrs.evolve(world, found=None, touched=False)
        done = found is not None and not self.is_stale(world.case, found)
        if done and found is not None:
            yield from self.carried_out(plain, found, now)
        if world.touched or not done or afresh != found:
            yield plain
        if afresh is not None and afresh != found and (world.touched or found is not None):
            yield from self.carried_out(plain, afresh, now)

    def is_stale(self, case: Case, action: Action) -> bool:
        """Whether a case has moved on since an action was found."""
        try:
            self.workflow.settle(case, action, at=END)
        except StaleAction:
            return True
        return False

    def cloned(self, world: _World, new_id: str, by: str, at: datetime) -> tuple[Case, Case] | CasestateError:
        """The case and its clone, or why it is refused."""
        try:
            return self.workflow.clone(world.case, new_id, by=by, at=at)
        except CasestateError as error:
            return error


# --- a story, as it happens ----------------------------------------------------


class _Parted(Exception):
    """The desk and the policy have parted: how, in words."""

    told: Told


class _Conformance:
    """One desk beside one policy."""

    def __init__(self, policy: Policy, factory: Factory, name: str, resolution: timedelta) -> None:
        self.reference = Reference(policy)
        self.factory = factory
        self.name = name
        self.resolution = resolution

    def check(self, examples: int | None, seed: int | None, settings: hypothesis.settings | None) -> None:
        """Try stories until one fails; raise it, as short as it can be."""
        __tracebackhide__ = True
        base = settings or cast("hypothesis.settings", hypothesis.settings.default)
        if examples is None:
            examples = EXAMPLES if settings is None else settings.max_examples
        with ExitStack() as stack:
            offers = self.checked(self.desk(stack))

        def tell(story: Story) -> None:
            self.tell(story, offers)

        # Part of the key of Hypothesis' database, and of its seed where that is derived.
        tell.__annotations__["story"] = f"{self.reference.policy.name} {self.name}"
        test = hypothesis.given(stories(self.reference, offers))(tell)
        if seed is not None:
            test = hypothesis.seed(seed)(test)
            base = hypothesis.settings(base, derandomize=False, database=None)
        test = hypothesis.settings(
            base,
            max_examples=examples,
            deadline=None,
            report_multiple_bugs=False,
            phases=[phase for phase in base.phases if phase is not Phase.explain],
            suppress_health_check=[*base.suppress_health_check, HealthCheck.too_slow],
        )(test)
        try:
            test()
        except _Parted as parted:
            told = self.shortest(parted, offers)
            raise AssertionError(str(told)) from told.__cause__
        except Flaky as flaky:
            raise AssertionError(
                f"{self.name} did something else when the same story was told to it again: a factory "
                "returns a new, empty desk every time, and a desk goes by the instants that it is given"
            ) from flaky

    def tell(self, story: Story, offers: Iterable[str]) -> None:
        """Tell a story to a new desk. Raises `_Parted`."""
        with ExitStack() as stack:
            telling = Telling(self, self.desk(stack), offers)
            try:
                telling.tell(story)
            except _Parted as parted:
                parted.told = telling.as_told(story)
                raise

    def shortest(self, parted: _Parted, offers: Iterable[str]) -> _Parted:
        """What is left of a story if everything is left out that can be."""
        tries = simpler(parted.told)
        for _ in range(MOST_TRIES):
            story = next(tries, None)
            if story is None:
                break
            try:
                self.tell(story, offers)
            except _Parted as shorter:
                parted = shorter
                tries = simpler(parted.told)
        return parted

    def desk(self, stack: ExitStack) -> Helpdesk:
        """A new desk, to be left with ``stack``."""
        made = self.factory()
        return stack.enter_context(made) if isinstance(made, AbstractContextManager) else made

    def checked(self, desk: Helpdesk) -> set[str]:
        """The optional methods that a desk has. Raises everything that is wrong with its methods."""
        problems = [*_wrong_methods(desk, dict(self.reference.arguments))]
        if problems:
            raise HelpdeskError(f"{self.name} is no helpdesk as `conformance` needs it", problems)
        return {name for name in _OPTIONAL if getattr(desk, name, None) is not None}


class Telling:
    """A story as it happens to one desk, and what the policy says of it."""

    def __init__(self, scene: _Conformance, desk: Helpdesk, offers: Iterable[str]) -> None:
        self.reference = scene.reference
        self.name = scene.name
        self.resolution = scene.resolution
        self.desk: Any = desk
        self.offers = frozenset(offers)
        self.zone = ZoneInfo(self.reference.policy.calendar.zone)
        self.now = BEGINNING
        self.steps: list[tuple[datetime, _Step]] = []
        self.exact: _Step | None = None
        self.cases: dict[str, list[_World]] = {}
        self.told: list[tuple[datetime, str, list[Case]]] = []
        self.halfway = False
        self.found: object = None

    def tell(self, story: Story) -> None:
        """Let it all happen. Raises `_Parted` where the desk and the policy part."""
        self.wait_until(story.beginning)
        self.open()
        for step in story.steps:
            self.steps.append((self.now, step))
            self.exact = None
            step.happen(self)
            self.keep()

    def keep(self) -> None:
        """Keep what the last step has come to mean."""
        began, step = self.steps[-1]
        self.steps[-1] = (began, self.exact or (_Wait(self.now - began) if self.now > began else step))

    def as_told(self, story: Story) -> Told:
        """The story as far as it was told."""
        if self.steps:
            self.keep()
        told = attrs.evolve(story, steps=story.steps[: len(self.steps)])
        return Told(told, tuple(began for began, _ in self.steps), tuple(step for _, step in self.steps))

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
            if told.due_at is not None and told.due_at > self.now
        )

    # --- what happens ------------------------------------------------------------

    def open(self) -> None:
        if len(self.cases) == MOST_CASES:
            return
        case_id = self.new_id()
        case = self.reference.workflow.open(case_id, at=self.now)
        self.line(f"{case_id} is opened: {case.state}")
        self.asked(f"{case_id} is in {case.state}", lambda: self.desk.open(case_id, at=self.now))
        self.look({case_id: list(self.reference.entered(_World(case)))})

    def event(self, step: _Event) -> None:
        case_id, moves = self.choice(step)
        if moves:
            self.move(case_id, moves[step.pick % len(moves)])
        else:
            self.open()

    def move(self, case_id: str, move: _Move) -> None:
        worlds = self.cases[case_id]
        case = worlds[0].case
        after = self.reference.after(case, move, self.now)
        self.exact = _Exactly(case_id, move)
        self.line(f"{case_id}, {move.by}: {move}{_outcome(case, after)}")
        given = dict(move.given)
        self.answered(
            case_id, after, lambda: self.desk.handle(case_id, move.event, by=move.by, at=self.now, **given)
        )
        if isinstance(after, CasestateError):
            self.look({})
        else:
            self.look({case_id: [new for world in worlds for new in self.happened(world, move)]})

    def choice(self, step: _Event) -> tuple[str, Sequence[_Move]]:
        """The case that an event happens to, one that has such events if there is any; and these."""
        first = self.case_id(step.case)
        for case_id in (first, *reversed(self.cases)):
            moves = self.reference.choices(self.cases[case_id][0].case)[step.scope]
            if moves:
                return case_id, moves
        return first, ()

    def happened(self, world: _World, move: _Move) -> Iterator[_World]:
        # Worlds of one case differ in what has been sent and settled, which no event looks at.
        after = cast("Case", self.reference.after(world.case, move, self.now))
        return self.changed(world, after)

    def changed(self, world: _World, after: Case) -> Iterator[_World]:
        new = attrs.evolve(world, case=after, touched=True)
        return self.reference.entered(new) if after.stay > world.case.stay else iter((new,))

    def clone(self, number: int, pick: int) -> None:
        if len(self.cases) == MOST_CASES:
            return
        case_id, new_id = self.case_id(number), self.new_id()
        by = self.reference.policy.roles[pick]
        worlds = self.cases[case_id]
        cloned = [self.reference.cloned(world, new_id, by, self.now) for world in worlds]
        after = cloned[0] if isinstance(cloned[0], CasestateError) else cloned[0][0]
        self.line(f"{case_id}, {by}: clone as {new_id}{_outcome(worlds[0].case, after)}")
        self.answered(case_id, after, lambda: self.desk.clone(case_id, new_id, by=by, at=self.now))
        candidates: dict[str, list[_World]] = {}
        for world, found in zip(worlds, cloned, strict=True):
            if not isinstance(found, CasestateError):
                original, clone = found
                candidates.setdefault(case_id, []).extend(self.changed(world, original))
                candidates[new_id] = list(self.reference.entered(_World(clone)))
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

    def each(self, outcomes: Callable[[_World], Iterable[_World]]) -> dict[str, list[_World]]:
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
            accepted = call() is not False
            answer = "accepted it" if accepted else "refused it (returned False)"
        except (CasestateError, Refused) as error:
            accepted, answer, cause = False, f"refused it ({_raised(error)})", error
        except Exception as error:  # noqa: BLE001 - a desk may raise anything
            self.part([says], [_raised(error)], error)
        if accepted != permitted:
            self.part([says], [answer], cause)

    def look(self, candidates: Mapping[str, list[_World]], *, swept: bool = False) -> None:
        """Look at every case and keep the worlds that may be so; ``candidates`` are those after this step."""
        worlds = {**self.cases, **candidates}
        sent = self.sent(worlds)
        seen: dict[str, list[_World]] = {}
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

    def state(self, case_id: str, expected: _World) -> object:
        return self.asked(f"{case_id} is in {expected.case.state}", lambda: self.desk.state(case_id))

    def sent(self, known: Iterable[str]) -> dict[str, Counter[str]] | None:
        """The messages of each case so far, if the desk has an outbox."""
        if "outbox" not in self.offers:
            return None
        timers = self.reference.timers
        sent: dict[str, Counter[str]] = {case_id: Counter() for case_id in known}
        for message in self.asked("there is an outbox to look into", lambda: list(self.desk.outbox())):
            case_id, timer = _message(message)
            if case_id is None:
                self.part(["a message is of a case and a timer"], [f"has {shown(message)} in its outbox"])
            if case_id not in sent:
                says = f"there is no case {shown(case_id)} (there are: {one_of(sent)})"
                self.part([says], [f"has sent {shown(timer)} for {shown(case_id)}"])
            if timer not in timers:
                says = (
                    f"there is no timer {shown(timer)}{nearest(timer, timers)} (there are: {one_of(timers)})"
                )
                self.part([says], [f"has sent {shown(timer)} for {case_id}"])
            # Whether a closure is told in a message of its own is not for the policy to say.
            if timers[timer].to is None:
                sent[case_id][timer] += 1
        return sent

    # --- telling -----------------------------------------------------------------------

    def compare(
        self,
        expected: _World,
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
            timers |= dict.fromkeys(done or [timer.name for timer in schedule if timer.to == state])
        reasons = [self.reason(before, case, timer) for timer in timers]
        policy += [reason for reason in reasons if reason is not None]
        if not policy:
            policy.append(f"{case.state}, the state of {case.id}, has no such timer")
        desk += [f"has not sent {timer} for {case.id}" for timer in missing]
        for timer, number in extra.items():
            again = " again" if timer in expected.sent else ""
            desk.append(f"has sent {timer} for {case.id}{again}{f', {number} times' if number > 1 else ''}")

    def reason(self, before: _World, after: Case, timer: str) -> str | None:
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
        raise _Parted("\n".join([title, "", *self.lines(), "", *ends])) from cause


def _below(lines: Iterable[str]) -> str:
    """Lines below each other, to the right of a word."""
    return "\n            ".join(lines)


def _raised(error: Exception) -> str:
    return f"raised {type(error).__name__}: {error}".rstrip(": ")


def _outcome(case: Case, after: Case | CasestateError) -> str:
    if isinstance(after, CasestateError):
        return ", which is not permitted"
    return f" → {after.state}" if after.stay > case.stay else ""


def _message(message: Any) -> tuple[Any, Any]:  # noqa: ANN401 - a desk keeps what it likes
    """The case and the timer of a message, in any of the forms that it may have."""
    if isinstance(message, tuple) and not hasattr(message, "case_id"):
        return message if len(message) == 2 else (None, None)
    return getattr(message, "case_id", None), getattr(message, "timer", None)


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
