"""Hypothesis strategies for instants, lengths, calendars, policies and cases: legal ones, and hostile.

A policy is made so that it is legal, not by trial, so that a loader which
refuses too much is found out. Instants crowd around the turns of the clocks of
`ZONES` and around ties to the microsecond.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from casestate import Calendar, Case, Length, Policy, load_policy
from casestate.calendars import WEEKDAYS, Unit


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


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


def turns(zone: str) -> tuple[datetime, ...]:
    """Instants at which the clocks of ``zone`` are turned."""
    return tuple(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in TURNS[zone])


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


@cache
def instants(zone: str | None = None, *, extreme: bool = False) -> st.SearchStrategy[datetime]:
    """Aware instants in UTC: near the turns of ``zone`` (none: of any), some days before them, or anywhere.

    With ``extreme``, also at both ends of time.
    """
    near = turns(zone) if zone is not None else tuple(turn for other in ZONES for turn in turns(other))
    anywhere = st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001 - made aware below
    choices = [anywhere.map(lambda moment: moment.replace(tzinfo=UTC, fold=0))]
    if near:
        minutes = (0, 1, -1, 30, -30, 60, -60, 90, -90, 120, 720, -720, 1439, -1440)
        choices.append(
            st.builds(
                lambda turn, days, minutes, nudge: turn + timedelta(days=days, minutes=minutes) + nudge,
                st.sampled_from(near),
                st.just(0) | st.integers(-35, 3),
                st.sampled_from(minutes),
                nudges(),
            )
        )
    if extreme:
        hours = st.integers(0, 100).map(lambda number: timedelta(hours=number))
        choices += [
            st.builds(lambda wait, nudge: FIRST + wait + abs(nudge), hours, nudges()),
            st.builds(lambda wait, nudge: LAST - wait - abs(nudge), hours, nudges()),
        ]
    return st.one_of(choices)


@cache
def lengths(units: tuple[Unit, ...] = UNITS, *, huge: bool = False) -> st.SearchStrategy[Length]:
    """Lengths of the kinds ``units``: nothing or a day to some weeks; with ``huge``, up to the longest."""
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
    near = [turn.date() for zone in ZONES for turn in turns(zone)]
    return st.builds(
        lambda day, more: day + timedelta(days=more), st.sampled_from(near), st.integers(-3, 10)
    ) | st.dates(date(2010, 1, 1), date(2030, 1, 1))


@st.composite
def calendars(draw: st.DrawFn, *, zone: str | None = None, regions: bool = False) -> Calendar:
    """Calendars of many zones, with any weekend that leaves a business day.

    With ``regions``, some of their holidays are those of regions.
    """
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
def names() -> st.SearchStrategy[str]:
    """Names of statuses, events, timers and roles; some that mean something to Python or to a library."""
    return st.sampled_from((*ODD_NAMES, *PLAIN_NAMES))


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
    found = set()
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


def _length(draw: st.DrawFn, units: Sequence[Unit], *, least: int = 0) -> dict[str, int]:
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
        unit: Unit = next((unit for unit in UNITS if unit in timer["after"]), "elapsed")
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
    found = [_staying_timer(draw, statuses, units) for _ in range(_pick(draw, (2, 1, 3, 5, 0)))]
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


@st.composite
def policy_tables(
    draw: st.DrawFn,
    *,
    units: Sequence[Unit] = UNITS,
    notice: bool = True,
    moves: bool = True,
    zone: str | None = None,
    regions: bool = False,
) -> dict[str, Any]:
    """Legal policies as mappings of the file format, written in all the ways that it allows.

    Their lengths are of the kinds ``units``; ``notice`` and ``moves`` say whether
    they may have notices and timers with a target.
    """
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
        calendar = draw(calendars(zone=zone, regions=regions))
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
    units: Sequence[Unit] = UNITS,
    notice: bool = True,
    moves: bool = True,
    zone: str | None = None,
    regions: bool = False,
) -> st.SearchStrategy[Policy]:
    """Legal policies: see `policy_tables`."""
    return policy_tables(units=units, notice=notice, moves=moves, zone=zone, regions=regions).map(load_policy)


@st.composite
def cases(
    draw: st.DrawFn,
    policy: Policy,
    *,
    state: str | None = None,
    settled: bool = True,
    extreme: bool = False,
) -> Case:
    """Cases that the policy can have, as another system may keep them; most are in states with timers.

    With ``settled``, some have dealt with some of their timers.
    """
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
        id=_pick(draw, ("C-1042", "{0.__class__}", "os.system", "é:1 %s")),
        status=status,
        sub_status=sub_status or None,
        entered_at=entered_at,
        policy=_pick(draw, (policy.name, None)),
        stay=draw(_below(9)) + 1,
        previous=_pick(draw, (None, *others)),
        assignee=_pick(draw, (None, "mira", "os.system")),
        settled=last,
        settled_at=settled_at,
    )


def wall(at: datetime, zone: str) -> datetime:
    """What a clock on the wall shows at an instant."""
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
