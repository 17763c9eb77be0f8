"""Hypothesis strategies for policies, cases, histories and what they are made of: legal ones, and hostile.

What they draw is made so that it is legal, not by trial, so that a reader which
refuses too much is found out. Instants crowd around the turns of the clocks and
around ties to the microsecond; texts and names try to be taken for something
else. A wrong argument raises where the strategy is made, not where it is drawn.
"""

from __future__ import annotations

import importlib.util

from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast
from zoneinfo import ZoneInfo

import attrs

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from casestate.calendars import WEEKDAYS, Calendar, Length, Unit
from casestate.calendars import zone as zone_named
from casestate.case import Action, Case
from casestate.clock import format_instant, instant
from casestate.errors import MissingArgument, UnknownStatus, one_of, shown
from casestate.loading import load_policy
from casestate.log import ALIASES, IGNORE
from casestate.policy import CLONE, Policy
from casestate.schedule import Schedule, schedules
from casestate.workflow import Workflow


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "actions",
    "calendars",
    "cases",
    "histories",
    "instants",
    "lengths",
    "policies",
    "policy_tables",
    "status_logs",
]

_T = TypeVar("_T")

TICK: Final = timedelta(microseconds=1)
FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)
UNITS: Final[tuple[Unit, ...]] = ("elapsed", "calendar_days", "business_days")
SECONDS: Final = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
LONGEST_DAYS: Final = 3_652_059

# The instants at which the clocks of a zone are turned, and by how much.
TURNS: Final[Mapping[str, tuple[str, ...]]] = {
    "UTC": (),
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00", "1893-03-31T23:06:32"),  # on, back, +6:32
    "Europe/Dublin": ("2026-03-29T01:00", "2026-10-25T01:00"),  # its winter time is the one saved
    "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00"),
    "America/Sao_Paulo": ("2018-11-04T03:00", "2018-02-18T02:00"),  # midnight is skipped, repeated
    "Africa/Cairo": ("2026-04-23T22:00", "2026-10-29T21:00"),  # likewise
    "Africa/Casablanca": ("2026-02-15T02:00", "2026-03-22T02:00"),  # back for Ramadan
    "Africa/Monrovia": ("1972-01-07T00:44:30",),  # +44:30
    "Antarctica/Troll": ("2026-03-29T01:00", "2026-10-25T01:00"),  # two hours
    "Asia/Kathmandu": ("1985-12-31T18:30",),  # +15 minutes
    "Asia/Manila": ("1844-12-31T15:56:08",),  # +24 hours: a day is skipped
    "Asia/Pyongyang": ("2015-08-14T15:00", "2018-05-04T15:00"),  # half an hour back, and on
    "America/Juneau": ("1867-10-19T00:31:13",),  # -24 hours: a day is repeated
    "Australia/Lord_Howe": ("2026-10-03T15:30", "2026-04-04T15:00"),  # half an hour
    "Pacific/Apia": ("2011-12-30T10:00", "2012-03-31T14:00"),  # +24 hours: a day is skipped; back
    "Pacific/Kwajalein": ("1969-09-30T13:00", "1993-08-21T12:00"),  # -23 hours, +24 hours
}
ZONES: Final = tuple(TURNS)

HOSTILE_TEXTS: Final = (
    "os.system",
    "builtins.exec",
    "{0.__class__}",
    "{} %s %(name)s $x",
    "__import__('os').abort()",
    "__class__",
    "lambda: 1/0",
    "*",
    "*open",
    "@previous",
    "false",
    '"""',
    "[a]\nb = 1\r\n",
    "é\u202e\U0001f600\x7f",
    "-",
)
ODD_NAMES: Final = (
    "a",
    "b1",
    "pending",
    "pending_customer",
    "pending_customer_2",
    "closed",
    "state",
    "trigger",
    "initial",
    "initial_state",
    "models",
    "model",
    "events",
    "name",
    "to_closed",
    "is_pending",
    "may_trigger",
    "on_enter_a",
    "before_state_change",
    "x__y",
    "class",
    "label",
    "kind",
)
PLAIN_NAMES: Final = ("new", "waiting", "done", "idle", "x", "y", "z", "q_", "q__9", "r2d2")


@cache
def turns(zone: str) -> tuple[datetime, ...]:
    """Instants at which the clocks of ``zone`` are turned: those we know, or those of a few years of it."""
    if zone in TURNS:
        return tuple(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in TURNS[zone])
    here = ZoneInfo(zone)
    hours = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(3 * 365 * 24)]
    days = hours[::24]
    turned = [
        number
        for number, (day, other) in enumerate(pairwise(days))
        if day.astimezone(here).utcoffset() != other.astimezone(here).utcoffset()
    ]
    return tuple(
        next(
            later
            for hour, later in pairwise(hours[number * 24 : number * 24 + 25])
            if hour.astimezone(here).utcoffset() != later.astimezone(here).utcoffset()
        )
        for number in turned
    )


# --- arguments, checked where the strategy is made ------------------------------


def _flags(**flags: object) -> None:
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise InvalidArgument(f"{name} is True or False, not {shown(value)}")


def _whole(*, least: int = 0, **numbers: object) -> None:
    for name, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InvalidArgument(f"{name} is a whole number from {least} on, not {shown(value)}")


def _a_policy(policy: object) -> None:
    if not isinstance(policy, Policy):
        raise InvalidArgument(f"policy must be a Policy (see load_policy), not {shown(policy)}")


def _a_zone(zone: object) -> None:
    if zone is not None:
        if not isinstance(zone, str):
            raise InvalidArgument(f"zone is an IANA name such as 'Europe/Berlin', not {shown(zone)}")
        zone_named(zone)


def _the_units(units: object) -> tuple[Unit, ...]:
    given = (units,) if isinstance(units, str) else units
    found = tuple(cast("Sequence[object]", given)) if isinstance(given, (tuple, list)) else ()
    if not found or any(unit not in UNITS for unit in found):
        raise InvalidArgument(f"units are one or more of {one_of(UNITS)}, not {shown(units)}")
    return cast("tuple[Unit, ...]", found)


def _regions(regions: object) -> None:
    if regions and importlib.util.find_spec("holidays") is None:
        raise InvalidArgument("regions=True needs the holidays extra: pip install 'casestate[holidays]'")


# --- choices, made of few and kept strategies: most of the time would go into making them ---


@cache
def _below(number: int) -> st.SearchStrategy[int]:
    return st.integers(0, number - 1)


def _pick(draw: st.DrawFn, values: Sequence[_T]) -> _T:
    return values[draw(_below(len(values)))]


def _some(draw: st.DrawFn, values: Iterable[_T], *, least: int = 1, most: int = 3) -> list[_T]:
    """Different ones of ``values``, ``least`` to ``most`` of them if there are as many."""
    left = list(values)
    number = min(least + draw(_below(most - least + 1)), len(left))
    return [left.pop(draw(_below(len(left)))) for _ in range(number)]


def _maybe(draw: st.DrawFn) -> bool:
    return draw(_below(2)) == 1


def _rarely(draw: st.DrawFn) -> bool:
    return draw(_below(4)) == 3


def _one_or_list(draw: st.DrawFn, values: list[str]) -> str | list[str]:
    """A list of names, or the one name in its place."""
    return values[0] if len(values) == 1 and _maybe(draw) else values


# --- instants, lengths and calendars -----------------------------------------


@cache
def zones() -> st.SearchStrategy[str]:
    """Names of time zones, each with a turn of its own kind."""
    return st.sampled_from(ZONES)


@cache
def nudges() -> st.SearchStrategy[timedelta]:
    """Nothing, or a microsecond to either side: what turns a tie."""
    return st.sampled_from((timedelta(0), TICK, -TICK))


def instants(
    zone: str | None = None,
    *,
    min_value: datetime | None = None,
    max_value: datetime | None = None,
    extreme: bool = False,
) -> st.SearchStrategy[datetime]:
    """Aware instants in UTC: for ``at=``, ``now=`` and whatever a clock may show.

    Near the turns of the clocks of ``zone`` (none: of many), some days before them
    (where a stay begins that ends in the turn), or anywhere from 2010 to 2029; many
    of them a microsecond off. With ``extreme``, also at both ends of time, the years 1 and 9999.
    ``min_value`` and ``max_value`` bound them; the bounds themselves are drawn as well.

    Shrinks towards the beginning of 2010.

    Raises `InvalidArgument`, `PolicyError` for a zone that does not exist, `NaiveTimeError` or
    `InstantError`.
    """
    _flags(extreme=extreme)
    _a_zone(zone)
    low = FIRST if min_value is None else instant(min_value, "min_value")
    high = LAST if max_value is None else instant(max_value, "max_value")
    if low > high:
        raise InvalidArgument(f"min_value ({low}) is after max_value ({high})")
    return _instants(zone, low, high, extreme=extreme)


def _shifted(turn: datetime, days: int, minutes: int, nudge: timedelta) -> datetime:
    return turn + timedelta(days=days, minutes=minutes) + nudge


def _after_first(wait: timedelta, nudge: timedelta) -> datetime:
    return FIRST + wait + abs(nudge)


def _before_last(wait: timedelta, nudge: timedelta) -> datetime:
    return LAST - wait - abs(nudge)


@lru_cache
def _instants(
    zone: str | None, low: datetime, high: datetime, *, extreme: bool
) -> st.SearchStrategy[datetime]:
    bounded = (low, high) != (FIRST, LAST)
    some_days = timedelta(days=35)
    near = turns(zone) if zone is not None else tuple(turn for other in ZONES for turn in turns(other))
    near = tuple(turn for turn in near if turn + some_days >= low and turn - some_days <= high)
    from_, to = max(low, datetime(2010, 1, 1, tzinfo=UTC)), min(high, datetime(2030, 1, 1, tzinfo=UTC))
    if from_ > to:
        from_, to = low, high
    anywhere = st.datetimes(from_.replace(tzinfo=None), to.replace(tzinfo=None))
    choices = [anywhere.map(lambda moment: moment.replace(tzinfo=UTC, fold=0))]
    if near:
        minutes = (0, 1, -1, 30, -30, 60, -60, 90, -90, 120, 720, -720, 1439, -1440)
        choices.append(
            st.builds(
                _shifted,
                st.sampled_from(near),
                st.just(0) | st.integers(-35, 3),
                st.sampled_from(minutes),
                nudges(),
            )
        )
    if extreme:
        hours = st.integers(0, 100).map(lambda number: timedelta(hours=number))
        choices += [
            st.builds(_after_first, hours, nudges()),
            st.builds(_before_last, hours, nudges()),
        ]
    found = st.one_of(choices)
    return found.map(lambda moment: min(max(moment, low), high)) if bounded else found


def lengths(units: Sequence[Unit] | Unit = UNITS, *, huge: bool = False) -> st.SearchStrategy[Length]:
    """Lengths of the kinds ``units`` (``elapsed``, ``calendar_days``, ``business_days``).

    Nothing (elapsed time only) or a day to some weeks; with ``huge``, up to the
    longest that a policy may name, which is never over. Shrinks towards no time, or one day.

    Raises `InvalidArgument`.
    """
    _flags(huge=huge)
    return _lengths(_the_units(units), huge=huge)


@cache
def _lengths(units: tuple[Unit, ...], *, huge: bool) -> st.SearchStrategy[Length]:
    amounts: dict[Unit, st.SearchStrategy[int]] = {
        "elapsed": st.sampled_from((0, 1, 3_600, 86_400, 7 * 86_400)) | st.integers(0, 45 * 86_400),
        "calendar_days": st.integers(1, 45),
        "business_days": st.integers(1, 30),
    }
    if huge:
        amounts["elapsed"] |= st.integers(0, LONGEST_DAYS * 86_400)
        amounts["calendar_days"] |= st.integers(1, LONGEST_DAYS)
        amounts["business_days"] |= st.integers(1, 3_000)
    return st.one_of([st.builds(Length, st.just(unit), amounts[unit]) for unit in units])


@cache
def days() -> st.SearchStrategy[date]:
    """Dates at and around the turns of the clocks, and in the years of most instants."""
    near = st.sampled_from([turn.date() for zone in ZONES for turn in turns(zone)])
    return st.builds(_days_later, near, st.integers(-3, 10)) | st.dates(date(2010, 1, 1), date(2030, 1, 1))


def _days_later(day: date, more: int) -> date:
    return day + timedelta(days=more)


def calendars(*, zone: str | None = None, regions: bool = False) -> st.SearchStrategy[Calendar]:
    """Calendars: zones whose clocks are turned in every way there is, weekends, holidays.

    They are of ``zone``, or of one of sixteen: turns by half an hour, by two, at
    midnight, by a whole day; none at all. The weekend is any that leaves a
    business day; the holidays lie near the turns. With ``regions``, some are
    those of regions of the ``holidays`` package. Shrinks towards UTC without a day off.

    Raises `InvalidArgument`, and `PolicyError` for a zone that does not exist.
    """
    _flags(regions=regions)
    _a_zone(zone)
    _regions(regions)
    return _calendars(zone=zone, regions=regions)


@st.composite
def _calendars(draw: st.DrawFn, *, zone: str | None, regions: bool) -> Calendar:
    holidays: list[date | str] = [draw(days()) for _ in range(draw(_below(5)))]
    if regions:
        holidays += _some(draw, ("DE-BE", "IT", "US", "JP"), least=0, most=2)
    return Calendar(
        zone=zone or draw(zones()),
        weekend=tuple(_some(draw, WEEKDAYS, least=0, most=6)),
        holidays=tuple(dict.fromkeys(holidays)),
    )


# --- policies ----------------------------------------------------------------


@cache
def texts() -> st.SearchStrategy[str]:
    """Texts that people read; some that would do harm if they were anything else than text."""
    odd = st.text("aZ09 .,:;_-#*@/=+[](){}<>%$&|!?`'\"\\\n\t\0\x7fé\u202e\U0001f600", min_size=1, max_size=12)
    return st.sampled_from(HOSTILE_TEXTS) | odd


def _names(draw: st.DrawFn, *, least: int, most: int, also: Sequence[str] = ()) -> list[str]:
    return _some(draw, (*PLAIN_NAMES, *also, *ODD_NAMES), least=least, most=most)


def _described(draw: st.DrawFn) -> dict[str, Any]:
    keys = _some(draw, ("label", "meaning", "action_required", "waiting_on"), least=0, most=2)
    return {key: draw(texts()) for key in keys}


def _statuses(draw: st.DrawFn) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for name in _names(draw, least=1, most=5):
        tables[name] = _described(draw)
        closed = _pick(draw, (None, False, True))
        if closed is not None:
            tables[name]["closed"] = closed
        if _rarely(draw):
            tables[name]["sub_statuses"] = {sub: _described(draw) for sub in _names(draw, least=1, most=3)}
    return tables


def states_of(statuses: Mapping[str, Any]) -> tuple[str, ...]:
    """The states of a policy file's statuses."""
    return tuple(
        state
        for name, table in statuses.items()
        for state in [f"{name}.{sub}" for sub in table.get("sub_statuses", ())] or [name]
    )


def matching(statuses: Mapping[str, Any], patterns: Iterable[str]) -> set[str]:
    """The states that patterns of a policy file stand for."""
    patterns = set(patterns)
    found: set[str] = set()
    for state in states_of(statuses):
        status = state.split(".")[0]
        is_open = not statuses[status].get("closed", False)
        if patterns & {"*", state, status} or ("*open" in patterns and is_open):
            found.add(state)
    return found


def _patterns(draw: st.DrawFn, statuses: Mapping[str, Any]) -> list[str]:
    # A status without sub-statuses is a state as well: it would stand there twice.
    return _some(draw, dict.fromkeys(("*", "*open", *statuses, *states_of(statuses))))


def _transition(
    draw: st.DrawFn, statuses: Mapping[str, Any], events: Sequence[str], roles: Sequence[str]
) -> dict[str, Any]:
    asking = [name for name, table in statuses.items() if table.get("sub_statuses")]
    event = _pick(draw, events)
    by, from_ = _some(draw, roles), _patterns(draw, statuses)
    row: dict[str, Any] = {
        "event": event,
        "by": _one_or_list(draw, by),
        "from": _one_or_list(draw, from_),
    }
    if _maybe(draw):
        row["when"] = _pick(draw, ("assigned", "unassigned"))
    if _rarely(draw):
        row["refuse"] = _maybe(draw)
        if row["refuse"]:
            return row
    if event != "clone" and _rarely(draw):
        row["needs"] = _pick(draw, ("assignee", ["assignee"], []))
    targets = (None, "@previous", *states_of(statuses), *(asking if event != "clone" else ()))
    to = _pick(draw, targets)
    restarts = "system" in by and to is not None and matching(statuses, [to]) & matching(statuses, from_)
    if to is not None and not restarts:
        row["to"] = to
    return row


def _length(draw: st.DrawFn, units: Sequence[str], *, least: int = 0) -> dict[str, int]:
    """A length as a policy file may write it: several units in one, and zeros."""
    unit = _pick(draw, units)
    if unit != "elapsed":
        return {unit: draw(_below(30)) + 1}
    parts = {part: draw(_below(30)) for part in _some(draw, ("days", "hours", "weeks", "minutes", "seconds"))}
    if _nominal(parts) < least:
        parts["seconds"] = least
    return parts


def _nominal(table: Mapping[str, int]) -> int:
    """The seconds of a length as a policy file writes it; any day has 24 hours."""
    return sum(SECONDS.get(unit, 86_400) * number for unit, number in table.items())


def _last_nominal(timer: Mapping[str, Any]) -> int:
    repeat = timer.get("repeat")
    more = _nominal(repeat["every"]) * (repeat["times"] - 1) if repeat else 0
    return _nominal(timer["after"]) + more


def _staying_timer(draw: st.DrawFn, statuses: Mapping[str, Any], units: Sequence[Unit]) -> dict[str, Any]:
    timer: dict[str, Any] = {
        "in": _patterns(draw, statuses),
        "kind": _pick(draw, ("remind", "notify")),
        "after": _length(draw, units),
    }
    if _rarely(draw):
        timer["audience"] = draw(texts())
    if _rarely(draw):
        unit = next((known for known in UNITS if known in timer["after"]), UNITS[0])
        timer["repeat"] = {"every": _length(draw, [unit], least=1), "times": draw(_below(4)) + 1}
    return timer


def _moving_timer(
    draw: st.DrawFn,
    statuses: Mapping[str, Any],
    units: Sequence[Unit],
    staying: Iterable[Mapping[str, Any]],
    free: Iterable[str],
) -> dict[str, Any] | None:
    """A timer with a target, not shorter than those that would come after it."""
    to = _pick(draw, states_of(statuses))
    in_ = _some(draw, [state for state in free if state != to])
    if not in_:
        return None
    here = matching(statuses, in_)
    if here == matching(statuses, ["*open"]) and _maybe(draw):
        in_ = ["*open"]
    seconds = max(
        (_last_nominal(timer) for timer in staying if matching(statuses, timer["in"]) & here), default=0
    )
    unit, more = _pick(draw, units), draw(_below(30))
    after = (
        {"seconds": seconds + _pick(draw, (0, 1, 86_400)) * more}
        if unit == "elapsed"
        else {unit: max(1, -(-seconds // 86_400)) + more}
    )
    return {"in": in_, "after": after, "to": to, **({"audience": draw(texts())} if _rarely(draw) else {})}


def _timers(
    draw: st.DrawFn, statuses: Mapping[str, Any], units: Sequence[Unit], *, notice: bool, moves: bool
) -> dict[str, Any]:
    found = [_staying_timer(draw, statuses, units) for _ in range(_pick(draw, (0, 1, 2, 3, 5)))]
    free = list(states_of(statuses))
    for mover in [
        _moving_timer(draw, statuses, units, tuple(found), free) for _ in range(draw(_below(4)) * moves)
    ]:
        # Two movers of one state would be one that never fires.
        if mover is not None and matching(statuses, mover["in"]) <= set(free):
            free = [state for state in free if state not in matching(statuses, mover["in"])]
            found.append(mover)
    order = sorted(range(len(found)), key=lambda number: _nominal(found[number]["after"]))
    here = [
        [number for number in order if state in matching(statuses, found[number]["in"])]
        for state in states_of(statuses)
    ]
    first = {numbers[0] for numbers in here if numbers}
    for number, timer in enumerate(found):
        # The first timer of a schedule has no notice, unless it is the first of several.
        if notice and (number not in first or "repeat" in timer) and _maybe(draw):
            timer["notice"] = _length(draw, units)
        timer["in"] = _one_or_list(draw, timer["in"])
    return dict(zip(_names(draw, least=len(found), most=len(found)), found, strict=True))


def policy_tables(
    *,
    units: Sequence[Unit] | Unit = UNITS,
    notice: bool = True,
    moves: bool = True,
    zone: str | None = None,
    regions: bool = False,
) -> st.SearchStrategy[dict[str, Any]]:
    """Legal policies as mappings of the file format, written in all the ways that it allows.

    For whatever reads, writes or edits policy files. The arguments are those of `policies`.

    Raises `InvalidArgument`, and `PolicyError` for a zone that does not exist.
    """
    _flags(notice=notice, moves=moves, regions=regions)
    _a_zone(zone)
    _regions(regions)
    return _policy_tables(units=_the_units(units), notice=notice, moves=moves, zone=zone, regions=regions)


@st.composite
def _policy_tables(
    draw: st.DrawFn, *, units: Sequence[Unit], notice: bool, moves: bool, zone: str | None, regions: bool
) -> dict[str, Any]:
    statuses = _statuses(draw)
    table: dict[str, Any] = {
        "format": 1,
        "name": _pick(draw, ("desk", "sub-status", "a", "own_-2", "os-system", "class")),
        "initial": _pick(draw, states_of(statuses)),
        "statuses": statuses,
    }
    roles: Sequence[str] = ("customer", "agent", "system")
    if _maybe(draw):
        roles = _some(draw, (*roles, "boss", "class"), most=5)
        table["roles"] = roles
    if zone is not None or _maybe(draw):
        calendar = draw(_calendars(zone=zone, regions=regions))
        table["calendar"] = {
            "zone": calendar.zone,
            "weekend": list(calendar.weekend),
            "holidays": [_pick(draw, (str(day), day)) for day in calendar.holidays],
        }
    events = _names(draw, least=1, most=4, also=["clone"])
    table["transitions"] = [_transition(draw, statuses, events, roles) for _ in range(draw(_below(9)))]
    table["timers"] = _timers(draw, statuses, units, notice=notice, moves=moves)
    for key in ("transitions", "timers"):
        if not table[key] and _maybe(draw):
            del table[key]
    return table


def policies(
    *,
    units: Sequence[Unit] | Unit = UNITS,
    notice: bool = True,
    moves: bool = True,
    zone: str | None = None,
    regions: bool = False,
) -> st.SearchStrategy[Policy]:
    """Legal policies, of one to five statuses: for code that must work with whatever policy it is given.

    Their lengths are of the kinds ``units``; ``notice`` says whether timers may
    have one, ``moves`` whether timers may close or move a case. The calendar is
    of ``zone``, or any; with ``regions`` as in `calendars`. Hostile about them: names that mean
    something to Python or to a library, texts that would do harm if they were
    anything but text, ties between timers, rows that no event reaches, states that
    nothing leaves. Shrinks towards one status without events or timers.

    Raises `InvalidArgument`, and `PolicyError` for a zone that does not exist.
    """
    tables = policy_tables(units=units, notice=notice, moves=moves, zone=zone, regions=regions)
    return tables.map(load_policy)


# --- cases -------------------------------------------------------------------


def cases(
    policy: Policy,
    *,
    state: str | None = None,
    settled: bool = True,
    extreme: bool = False,
    hostile: bool = False,
) -> st.SearchStrategy[Case]:
    """Cases that ``policy`` can have, as another system keeps them: where they stand, without a history.

    They are in states that have timers if there are any, or all in ``state``. With
    ``settled``, some have dealt with some of their timers. Their stays began at
    `instants` of the policy's zone, ``extreme`` ones if so wished; a case may name
    its policy or leave it out. Ids and assignees may look like code.

    With ``hostile``, every other case is one that the policy *cannot* have: with an
    unknown status or sub-status, without the sub-status that it needs, with a timer
    of another state or of none, of another policy. A `Workflow` refuses each of
    these with an `UnknownStatus` or a `CaseDataError`; so should whatever
    stands in its place.

    Raises `InvalidArgument`, and `UnknownStatus` for a state that the policy does not have.
    """
    _a_policy(policy)
    _flags(settled=settled, extreme=extreme, hostile=hostile)
    if state is not None and state not in policy.states:
        raise UnknownStatus(state, policy.states, "state")
    found = _cases(policy, state=state, settled=settled, extreme=extreme)
    return found | found.flatmap(lambda case: _twisted(policy, case)) if hostile else found


@st.composite
def _cases(draw: st.DrawFn, policy: Policy, *, state: str | None, settled: bool, extreme: bool) -> Case:
    busy = [state for state in policy.states if policy.schedules[state]]
    state = state or _pick(draw, busy or policy.states)
    status, _, sub_status = state.partition(".")
    entered_at = draw(instants(policy.calendar.zone, extreme=extreme))
    dealt_with = [timer.name for timer in policy.schedules[state] if timer.to is None] if settled else []
    last = _pick(draw, (None, *dealt_with))
    settled_at = None
    if last is not None:
        waited = _pick(draw, (0, 1, 10**6)) * draw(_below(60 * 86_400))
        settled_at = entered_at + min(waited, (LAST - entered_at) // TICK) * TICK
    others = [other for other in policy.states if other.partition(".")[0] != status]
    return Case(
        id=_pick(draw, _IDS),
        status=status,
        sub_status=sub_status or None,
        entered_at=entered_at,
        policy=_pick(draw, (policy.name, None)),
        stay=draw(_below(9)) + 1,
        previous=_pick(draw, (None, *others)),
        assignee=_pick(draw, (None, *_PEOPLE)),
        settled=last,
        settled_at=settled_at,
    )


_IDS: Final = ("C-1042", "{0.__class__}", "os.system", "é:1 %s")
_PEOPLE: Final = ("mira", "os.system")


def _absent(known: Iterable[str]) -> str:
    """A name that is none of ``known``."""
    taken = set(known)
    name = "unknown"
    while name in taken:
        name += "_x"
    return name


def _twisted(policy: Policy, case: Case) -> st.SearchStrategy[Case]:
    """The case with one thing changed so that it cannot be of this policy."""
    status = policy.statuses[case.status]
    here = {timer.name for timer in policy.schedules[case.state]}
    elsewhere = {timer.name for timers in policy.schedules.values() for timer in timers} - here
    at = case.settled_at or case.entered_at
    twists: list[dict[str, Any]] = [
        {"status": _absent(policy.statuses), "sub_status": None},
        {"sub_status": _absent(status.sub_statuses)},
        {"settled": _absent(here), "settled_at": at},
        {"policy": _absent([policy.name])},
        *({"settled": timer, "settled_at": at} for timer in sorted(elsewhere)),
    ]
    if status.sub_statuses:
        twists.append({"sub_status": None})
    return st.sampled_from(twists).map(lambda twist: attrs.evolve(case, **twist))


# --- what happens to cases ------------------------------------------------------


def histories(policy: Policy, *, max_changes: int = 12) -> st.SearchStrategy[Case]:
    """Cases to which things have happened under ``policy``: a `Case` whose ``history`` is the history.

    Each is opened, and lives through up to ``max_changes`` changes: events of every
    role that the policy permits in that moment, with the sub-status or the assignee
    that they need; and timers, settled by a sweep that comes to the microsecond,
    late, after an outage of months, or never. Every entry is legal (see
    `assert_history_is_legal`). Hostile about them: times that tie, a reply just
    before a closure is due or just after it, reminders passed over. Some
    cases are clones, and some have clones. Shrinks towards a case that
    has just been opened, and towards few changes, all at one instant.

    Raises `InvalidArgument`.
    """
    _a_policy(policy)
    _whole(max_changes=max_changes)
    return _histories(policy, max_changes)


@lru_cache
def _workflow(policy: Policy) -> Workflow:
    return Workflow(policy, lambda: FIRST)


@lru_cache
def _lively(policy: Policy) -> frozenset[str]:
    """The events that move a case and do not close it: most histories would soon be over otherwise."""
    moving = {row.event for row in policy.transitions if row.to is not None}
    return frozenset(
        moving
        - {row.event for row in policy.transitions if row.to in policy.states and policy.is_closed(row.to)}
    )


@st.composite
def _histories(draw: st.DrawFn, policy: Policy, max_changes: int) -> Case:
    workflow = _workflow(policy)
    now = draw(instants(policy.calendar.zone))
    case = workflow.open(_pick(draw, _IDS), at=now)
    if CLONE in policy.events and _rarely(draw):
        case = attrs.evolve(case, cloned_from="C-1041")
    for _ in range(max_changes):
        step = draw(_steps(workflow, case, now))
        if step is None:
            break
        case, now = step
    return case


@st.composite
def _steps(draw: st.DrawFn, workflow: Workflow, case: Case, now: datetime) -> tuple[Case, datetime] | None:
    """Some time passes, and then a sweep, an event or nothing; none at the end of the history.

    It is a draw of its own, so that shrinking can take a step away as a whole.
    """
    if not draw(_below(16)):
        return None
    due_at = workflow.next_due(case)
    now = _later(draw, now, due_at)
    events = [(event, role) for role in workflow.policy.roles for event in workflow.allowed(case, by=role)]
    if due_at is not None and due_at <= now and not (events and _rarely(draw)):
        action = next(workflow.forecast(case, now=now))
        now = _later(draw, now, None)
        return workflow.settle(case, action, at=now), now
    if not events:
        return case, now
    lively = _lively(workflow.policy)
    event, role = _pick(draw, [*events, *[pair for pair in events if pair[0] in lively] * 2])
    return _changed(draw, workflow, case, event, role, now), now


def _later(draw: st.DrawFn, now: datetime, due_at: datetime | None) -> datetime:
    """The same instant or a later one: soon, about when the next timer comes due, or after an outage."""
    waits = ["none", "soon", "outage"]
    if due_at is not None and due_at > now:
        waits += ["due", "due", "outage"]
    wait = _pick(draw, waits)
    if wait == "due":
        until = cast("datetime", due_at)
        return until + min(draw(nudges()), LAST - until)
    if wait == "none":
        return now
    length = (
        timedelta(days=draw(_below(400))) if wait == "outage" else timedelta(seconds=draw(_below(259_200)))
    )
    return now + min(length, LAST - now)


def _changed(draw: st.DrawFn, workflow: Workflow, case: Case, event: str, by: str, at: datetime) -> Case:
    """The case after a permitted event; the workflow itself says which arguments that needs."""
    actor = _pick(draw, (None, *_PEOPLE))
    if event == CLONE:
        number = len(case.clones) + 1
        return workflow.clone(case, f"{case.id}/{number}", by=by, at=at, actor=actor)[0]
    given: dict[str, str] = {}
    while True:
        try:
            return workflow.apply(case, event, by=by, at=at, actor=actor, **given)
        except MissingArgument as missing:
            given[missing.argument] = _pick(draw, _PEOPLE) if missing.argument == "assignee" else "?"
        except UnknownStatus as unknown:
            given["sub_status"] = _pick(draw, _busy_more_often(workflow.policy, unknown.known))


def _busy_more_often(policy: Policy, sub_statuses: Sequence[str]) -> list[str]:
    """All of ``sub_statuses``, and those again in which a timer may come due."""
    busy = {state.partition(".")[2] for state in policy.states if policy.schedules[state]}
    return [*sub_statuses, *[name for name in sub_statuses if name in busy] * 3]


# --- logs of the past ---------------------------------------------------------


def status_logs(
    policy: Policy, *, max_rows: int = 20, text: bool = False, local: bool = False
) -> st.SearchStrategy[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Status logs that ``policy`` can be replayed on: the rows, and the mapping that they are read by.

    A log has one row or up to ``max_rows``, of one to three cases, all with the same columns: case, instant
    and status, some with a sub-status, some with an order. It speaks the policy's words, under the names that
    are looked for, or words and names of its own: then the mapping has them all, and some that the
    log never says, some to ignore, some with a meaning at first and another later. Instants are aware
    datetimes in UTC; with ``text``, ISO 8601 in the ways it can be written. With ``local`` they show what
    a clock on the wall does, without a zone, repeated and skipped hours among them (of texts, some have an
    offset all the same); the mapping names the zone.

    Hostile about them: several rows at one instant, rows repeated, out of order or tied by their order,
    any case in any state at any time (closed from the beginning, moved where no event leads), the next row
    to the microsecond when a timer is due or a clock is turned. Shrinks towards one row.

    Raises `InvalidArgument`.
    """
    _a_policy(policy)
    _flags(text=text, local=local)
    _whole(max_rows=max_rows, least=1)
    return _status_logs(policy, max_rows, text=text, local=local)


class _Word(NamedTuple):
    """A status and a sub-status of a log, and the state they mean; none if they are ignored."""

    status: str
    sub_status: str | None
    state: str | None


_LOG_NAMES: Final = {
    "case": ("case", "case_id", "id", "Ticket #", "@case"),
    "at": ("at", "entered_at", "ts", "date/time", "case"),
    "status": ("status", "raw", "state", "at"),
    "sub_status": ("sub_status", "why", "status"),
    "order": ("order", "seq", "index"),
}
"""What the columns of a log may be called."""


@lru_cache
def _schedules(policy: Policy) -> Mapping[str, Schedule]:
    return schedules(policy)


@st.composite
def _status_logs(
    draw: st.DrawFn, policy: Policy, max_rows: int, *, text: bool, local: bool
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    words, table = _words(draw, policy)
    zone = policy.calendar.zone if _maybe(draw) else draw(zones())
    names, columns = _columns(draw, words)
    mapping: dict[str, Any] = {"columns": columns} if columns or _maybe(draw) else {}
    if table is not None:
        mapping["statuses"] = table
    if local:
        mapping["zone"] = zone
    rows: list[dict[str, Any]] = []
    told: list[tuple[str, datetime, _Word]] = []
    for case in _some(draw, (*_IDS, "7"), most=3):
        near = zone if _rarely(draw) else policy.calendar.zone
        told += draw(_tales(policy, near, words, case, max_rows - len(told)))
    told = _shuffled(draw, told, max_rows)
    orders_are_text = _maybe(draw)
    for case, at, word in told:
        row: dict[str, Any] = {names["case"]: case, names["status"]: word.status}
        row[names["at"]] = _written(draw, at, zone, text=text, local=local)
        if "sub_status" in names:
            row[names["sub_status"]] = word.sub_status
        if "order" in names:
            number = draw(_below(5)) - 1
            row[names["order"]] = str(number) if orders_are_text else number
        rows.append(row)
    return rows, mapping


def _columns(draw: st.DrawFn, words: Sequence[_Word]) -> tuple[dict[str, str], dict[str, str]]:
    """What the columns of a log are called, and what a mapping says of that."""
    names: dict[str, str] = {}
    for name, choices in _LOG_NAMES.items():
        needed = name != "order" and (name != "sub_status" or any(word.sub_status for word in words))
        if needed or _maybe(draw):
            names[name] = _pick(draw, [own for own in choices if own not in names.values()])
    found = {
        name: next((known for known in ALIASES.get(name, (name,)) if known in names.values()), None)
        for name in names
    }
    return names, {name: own for name, own in names.items() if own != found[name] or _rarely(draw)}


def _words(draw: st.DrawFn, policy: Policy) -> tuple[list[_Word], dict[str, Any] | None]:
    """What a log may say, and how a mapping says what that means; none if it is the policy's own words."""
    split = [(state, *state.partition(".")[::2]) for state in policy.states]
    if _rarely(draw):
        return [_Word(status, sub_status or None, state) for state, status, sub_status in split], None
    # Cells are stripped, and so are words.
    raw = list(dict.fromkeys(text.strip() for text in (*HOSTILE_TEXTS, *ODD_NAMES, "Wait", "a.b", IGNORE)))
    words: list[_Word] = []
    table: dict[str, Any] = {}
    for status in _some(draw, raw, least=len(policy.states), most=len(policy.states) + 4):
        state, own, own_sub = _pick(draw, split)
        sub_status = _pick(draw, (None, None, "x", own_sub or None))
        # A status is enough where the row has the sub-status.
        meant: Any = own if sub_status and sub_status == own_sub and _maybe(draw) else state
        way = _pick(draw, ("plain", "plain", "first", "later", IGNORE))
        if way == "first":
            meant = {"first": meant, "later": _pick(draw, (IGNORE, IGNORE, *policy.states))}
        elif way == "later":
            meant = {"first": IGNORE, "later": meant}
        elif way == IGNORE:
            meant = IGNORE
        by_both = sub_status is not None and _rarely(draw)
        table[f"{status}.{sub_status}" if by_both else status] = meant
        words.append(_Word(status, sub_status, None if meant == IGNORE else state))
    return words, table


@st.composite
def _tales(
    draw: st.DrawFn, policy: Policy, zone: str, words: Sequence[_Word], case: str, most: int
) -> list[tuple[str, datetime, _Word]]:
    """What is told of one case, in the order of time."""
    now = entered_at = draw(instants(zone))
    state: str | None = None
    told: list[tuple[str, datetime, _Word]] = []
    while len(told) < most and (not told or draw(_below(6))):
        word = told[-1][2] if told and _rarely(draw) else _pick(draw, words)
        told.append((case, now, word))
        if word.state is not None and word.state != state:
            state, entered_at = word.state, now
        due = () if state is None else tuple(_schedules(policy)[state].firings(entered_at))
        turned = [turn for turn in turns(zone) if turn > now]
        waits = ["none", "tick", "soon", *(["due"] * 3 if due else ()), *(["turn"] if turned else ())]
        wait = _pick(draw, waits)
        if wait == "due":
            now = max(now, _nudged(draw, _pick(draw, due)))
        elif wait == "turn":
            now = max(now, _nudged(draw, turned[0]) + timedelta(minutes=_pick(draw, (0, 0, 29, -30, -30))))
        elif wait != "none":
            length = TICK if wait == "tick" else timedelta(seconds=draw(_below(30 * 86_400)))
            now += min(length, LAST - now)
    return told


def _nudged(draw: st.DrawFn, at: datetime) -> datetime:
    return at + min(draw(nudges()), LAST - at)


def _shuffled(draw: st.DrawFn, rows: list[_T], most: int) -> list[_T]:
    """The rows, some of them twice, in any order."""
    more = min(draw(_below(3)) * _maybe(draw), most - len(rows))
    rows = [*rows, *(rows[draw(_below(len(rows)))] for _ in range(more))]
    return draw(st.permutations(rows)) if _maybe(draw) else rows


def _written(draw: st.DrawFn, at: datetime, zone: str, *, text: bool, local: bool) -> datetime | str:
    """An instant as a log has it."""
    if local and not (text and _rarely(draw)):
        # Half an hour more than the clock shows is, before a turn, a time that it skips.
        wall = at.astimezone(zone_named(zone)).replace(tzinfo=None, fold=0)
        wall += timedelta(minutes=_pick(draw, (0, 0, 30)))
        return wall.isoformat(sep=_pick(draw, "T ")) if text else wall
    if not text:
        return at
    offset = timezone(timedelta(minutes=_pick(draw, (0, 60, -300, 345, 840))))
    written = at.astimezone(offset).isoformat(sep=_pick(draw, "Tt "))
    return _pick(draw, (format_instant(at), format_instant(at), written))


def actions(policy: Policy) -> st.SearchStrategy[Action]:
    """Actions as a sweep returns them: for the code that sends the e-mails and closes the cases.

    Every timer of ``policy`` comes up, due just now or for months; with others passed over, and for a case
    that has dealt with some. Shrinks towards the first timer of the first state that has one, just due.

    Raises `InvalidArgument` for a policy without timers: it has no actions.
    """
    _a_policy(policy)
    if not policy.timers:
        raise InvalidArgument(f"the policy {policy.name!r} has no timers, so there are no actions")
    return _actions(policy)


@st.composite
def _actions(draw: st.DrawFn, policy: Policy) -> Action:
    workflow = _workflow(policy)
    case = draw(_cases(policy, state=None, settled=True, extreme=False))
    due_at = workflow.next_due(case)
    assume(due_at is not None)
    now = _later(draw, cast("datetime", due_at), None)
    return next(workflow.forecast(case, now=now))
