"""Stories: what they are made of, how they are drawn, and what tells less."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain, combinations
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

import attrs

from hypothesis import strategies as st

from casestate.policy import CLONE
from casestate.testing.helpdesk import OPTIONAL
from casestate.testing.reference import BEGINNING
from casestate.testing.strategies import turns
from casestate.testing.telling import MOST_CASES, TICK, Step, Story


if TYPE_CHECKING:
    from casestate.policy import Policy
    from casestate.testing.reference import Move, Reference, Scope
    from casestate.testing.telling import Telling, Told

__all__ = ["simpler", "stories"]

_T = TypeVar("_T")

SERVERS: Final = ("Europe/Berlin", "America/New_York")
"""Zones in which a server may stand whose desk does not count in the policy's own."""
OTHERS: Final = 12
"""How many other events are tried in the place of one."""


# --- what happens in a story ---------------------------------------------------


@attrs.frozen
class _Event:
    """An event happens to a case: one of those that do so much to it then, or any that there is."""

    scope: Scope
    case: int
    pick: int

    def happen(self, telling: Telling) -> None:
        telling.event(self.scope, self.case, self.pick)


@attrs.frozen
class _Exactly:
    """This very event happens to this case, if it is there."""

    case_id: str
    move: Move

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


# --- drawing stories -----------------------------------------------------------


class _Digits:
    """A whole number taken apart. One draw stands for many: it is drawing that takes the time.

    Hypothesis prefers small numbers, so they are spread first, and nothing stays nothing.
    """

    def __init__(self, number: int) -> None:
        spread = number * _ODD % (1 << 64)
        self.number = spread ^ spread >> 32

    def below(self, most: int) -> int:
        self.number, digit = divmod(self.number, most)
        return digit

    def one_of(self, values: Sequence[_T]) -> _T:
        return values[self.below(len(values))]


_Maker: TypeAlias = Callable[[_Digits, int], Step]
"""Makes a step of what is left of a number, for the case that a bit is about."""


class _Bits:
    """Makes the bits of stories: some steps that belong together, because a bug hides at the end of them."""

    def __init__(self, reference: Reference, offers: Iterable[str]) -> None:
        policy = reference.policy
        nominal = {timer.after.nominal for timer in reference.timers.values()}
        lengths = sorted(length for length in nominal if timedelta(0) < length < _LONG)
        self.waits = [_DAY, *lengths, *(length + _DAY for length in lengths)]
        self.waits += [timedelta(hours=1), timedelta(minutes=1), TICK]
        self.near = tuple(_near(policy))
        by_days = any(timer.after.unit != "elapsed" for timer in policy.timers.values())
        self.longest = 90 if by_days else 400  # an outage leads away from the holidays
        self.beginnings = (BEGINNING, None, *[self.hostile] * (4 if by_days else 1))
        waiting, moving, permitted = (self.event(scope, 24) for scope in ("waiting", "moving", "permitted"))
        fresh, staying, others = (self.event(scope, 24) for scope in ("fresh", "staying", "others"))
        anything = self.event("any", max(1, len(reference.moves)))
        until, wrong_clock, wait, sweep = self.until, self.wrong_clock, self.wait, self.sweep
        bits: list[tuple[int, tuple[_Maker, ...]]] = [
            (1, ()),
            (9, (waiting,)),
            (4, (moving,)),
            (5, (fresh, fresh, fresh, moving)),
            (6, (moving, wait, waiting, wrong_clock, sweep)),
            (4, (fresh, fresh, fresh, staying, moving)),
            (4, (waiting, wait, staying, until, sweep)),
            (4, (waiting, until, sweep, staying, sweep)),
            (4, (waiting, until, self.reply)),
            (5, (permitted,)),
            (3, (others,)),
            (3, (anything,)),
            (6, (until, sweep)),
            (3, (self.just_before, sweep, until, sweep)),
            (4, (wrong_clock, sweep)),
            (4, (wait, sweep)),
            (3, (moving, self.outage, sweep)),
            (4, (sweep,)),
            (1, (until,)),
            (2, (wait,)),
            (1, (self.open,)),
        ]
        if by_days:
            bits.append((9, (self.at, waiting, self.just_before, sweep, until, sweep)))
        if "collect" in offers:
            bits += [(9, (waiting, until, self.collect, self.reply, self.carry_out))]
            bits += [(1, (self.collect,)), (1, (self.carry_out,))]
        if "crash" in offers:
            bits += [(2, (until, self.crash)), (4, (until, self.crash, sweep))]
        if "clone" in offers and CLONE in policy.events:
            self.roles = len(policy.roles)
            bits.append((3, (self.clone,)))
        self.kinds = [bit for weight, bit in bits for _ in range(weight)]

    def story(self, beginning: int, bits: Iterable[int]) -> Story:
        """The story that numbers stand for."""
        return Story(self.beginning(beginning), tuple(chain.from_iterable(map(self.bit, bits))))

    def bit(self, number: int) -> tuple[Step, ...]:
        """The steps that a number stands for."""
        digits = _Digits(number)
        kind, case = digits.one_of(self.kinds), digits.below(MOST_CASES)
        return tuple(make(digits, case) for make in kind)

    def beginning(self, number: int) -> datetime:
        """A Monday morning, any hour of that year, or a hostile instant."""
        digits = _Digits(number)
        kind = digits.one_of(self.beginnings)
        if callable(kind):
            return kind(digits)
        return kind or BEGINNING + timedelta(hours=digits.below(366 * 24))

    def hostile(self, digits: _Digits) -> datetime:
        """About a holiday or a turn of the clocks, or some days before it."""
        turn = digits.one_of(self.near)
        return turn - timedelta(days=digits.one_of(_DAYS), minutes=digits.one_of(_MINUTES))

    @staticmethod
    def event(scope: Scope, most: int) -> _Maker:
        return lambda digits, case: _Event(scope, case, digits.below(most))

    def reply(self, digits: _Digits, case: int) -> Step:
        return _Event(digits.one_of(("moving", "permitted")), case, digits.below(24))

    def wait(self, digits: _Digits, _: int) -> Step:
        return _Wait(digits.one_of(self.waits))

    def until(self, digits: _Digits, _: int) -> Step:
        return _Until(digits.one_of(_WHICH), digits.one_of(_NUDGES))

    def just_before(self, digits: _Digits, _: int) -> Step:
        return _Until(digits.one_of(_WHICH), -1)

    def wrong_clock(self, digits: _Digits, _: int) -> Step:
        return _WrongClock(digits.one_of(_WHICH), digits.one_of(_NUDGES))

    def outage(self, digits: _Digits, _: int) -> Step:
        return _Outage(1 + digits.below(self.longest))

    def at(self, digits: _Digits, _: int) -> Step:
        return _At(self.hostile(digits))

    def clone(self, digits: _Digits, case: int) -> Step:
        return _Clone(case, digits.below(self.roles))

    def sweep(self, _digits: _Digits, _case: int) -> Step:
        return _Sweep()

    def collect(self, _digits: _Digits, _case: int) -> Step:
        return _Collect()

    def carry_out(self, _digits: _Digits, _case: int) -> Step:
        return _CarryOut()

    def crash(self, _digits: _Digits, _case: int) -> Step:
        return _Crash()

    def open(self, _digits: _Digits, _case: int) -> Step:
        return _Open()


_ODD: Final = 0x9E3779B97F4A7C15
_DAY: Final = timedelta(days=1)
_LONG: Final = timedelta(days=3650)
_WHICH: Final = (0, 0, 0, 0, 1, 2, 3, 5)
_NUDGES: Final = (0, 0, 0, -1, -1, 1)
_DAYS: Final = (*range(8), *range(-1, 36))
_MINUTES: Final = (0, -1, 1, -30, 30, -60, 60, -90, 90, -600, 600, -1439, 1439)


def _near(policy: Policy) -> Iterator[datetime]:
    """The holidays of a policy and the turns of its clocks; without either, turns that a server may see."""
    calendar = policy.calendar
    zone = ZoneInfo(calendar.zone)
    dates = [day for day in calendar.holidays if isinstance(day, date)]
    found = [datetime.combine(day, time(), zone).astimezone(UTC) for day in dates]
    found += _turns(calendar.zone)
    yield from found or [turn for name in SERVERS for turn in _turns(name)]


def _turns(zone: str) -> list[datetime]:
    """The turns of the clocks of a zone in this century: no desk is older."""
    return [turn for turn in turns(zone) if turn.year > 2000]


def stories(reference: Reference, offers: Iterable[str] = OPTIONAL) -> st.SearchStrategy[Story]:
    """Stories for desks that have the optional methods ``offers``."""
    bits = _Bits(reference, set(offers))
    numbers = st.integers(0, (1 << 32) - 1)
    return st.builds(bits.story, numbers, st.lists(numbers, min_size=10, max_size=20))


# --- telling less --------------------------------------------------------------


def simpler(beginning: datetime, done: Sequence[Told]) -> Iterator[Story]:
    """Stories that tell less than the one that began at ``beginning`` and was told so far.

    They begin later, leave out steps, also two that stand apart, or put one thing in the
    place of another that is harder to follow. A step stays what it is, or it becomes
    exactly what it came to mean, whatever now stands before it.
    """
    ways = tuple(told.step for told in done), tuple(map(_exactly, done))
    yield from _of_one_case(beginning, done)
    for steps in ways:
        for place in range(len(steps) - 1, 0, -1):
            yield Story(done[place].began, steps[place:])
        for plain in (BEGINNING, beginning.replace(hour=9, minute=0, second=0, microsecond=0)):
            if beginning != plain:
                yield Story(plain, steps)
        for gone in range(len(steps)):
            yield Story(beginning, _without(steps, gone))
    for steps in ways:
        for pair in combinations(range(len(steps)), 2):
            yield Story(beginning, _without(steps, *pair))
    for place, told in enumerate(done):
        for changed in _instead(ways[0], place, told):
            yield Story(beginning, changed)


_REPLY: Final = _Event("permitted", 0, 0)
"""What the first role, mostly the customer, may do: the plainest thing that can happen."""


def _exactly(told: Told, case_id: str = "") -> Step:
    """A step that does what another has come to mean, or does it to another case."""
    if told.meant is not None:
        its_own, move = told.meant
        return _Open() if move is None else _Exactly(case_id or its_own, move)
    return _Wait(told.ended - told.began) if told.ended > told.began else told.step


def _of_one_case(beginning: datetime, done: Sequence[Told]) -> Iterator[Story]:
    """The story of each case, from its opening on, as if there were no other."""
    opened = {"C-1": (beginning, 0)}
    for place, told in enumerate(done, 1):
        if told.meant is not None and told.meant[1] is None:
            opened[told.meant[0]] = (told.began, place)
    if len(opened) > 1:
        for case_id, (began, place) in opened.items():
            own = [told for told in done[place:] if told.meant is None or told.meant[0] == case_id]
            steps = (_exactly(told, "C-1") for told in own)
            yield Story(began, tuple(steps))


def _instead(steps: tuple[Step, ...], place: int, told: Told) -> Iterator[tuple[Step, ...]]:
    """The steps with another one in the place of one that was told."""
    step = told.step
    if told.meant is not None:
        case_id, move = told.meant
        if move is not None and move.given:
            yield _with(steps, place, _Exactly(case_id, attrs.evolve(move, given=())))
    others = [other for other in range(len(steps)) if other != place]
    if isinstance(step, _CarryOut):
        swept = _with(steps, place, _Sweep())
        yield from (_without(swept, other) for other in others if isinstance(steps[other], _Collect))
    if isinstance(step, _Crash):
        yield _with(steps, place, _Sweep())
    plain = isinstance(step, _Until) and not step.nudge
    if isinstance(step, _Wait | _At | _Until | _WrongClock | _Outage) and not plain:
        yield from (_with(steps, place, _Until(which, 0)) for which in (0, 1))
        length = told.ended - told.began
        whole = length // _DAY * _DAY
        if timedelta(0) < whole < length:
            yield _with(steps, place, _Wait(whole))
    if isinstance(step, _Event | _Exactly):
        if step != _REPLY:
            yield _with(steps, place, _REPLY)
        for pick in range(OTHERS):
            changed = _with(steps, place, _Event("permitted", 0, pick))
            yield from (_without(changed, other) for other in others)


def _with(steps: tuple[Step, ...], place: int, step: Step) -> tuple[Step, ...]:
    return (*steps[:place], step, *steps[place + 1 :])


def _without(steps: tuple[Step, ...], *gone: int) -> tuple[Step, ...]:
    return tuple(step for place, step in enumerate(steps) if place not in gone)
