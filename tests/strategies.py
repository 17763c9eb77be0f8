"""Hypothesis strategies for instants, lengths, calendars, policies and cases: legal ones, and hostile.

A policy is made so that it is legal, not by trial, so that a loader which
refuses too much is found out. Instants crowd around the turns of the clocks of
`ZONES` and around ties to the microsecond.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from casestate import Calendar, Case, Length, Policy, load_policy
from casestate.calendars import WEEKDAYS, Unit


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


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


def turns(zone: str) -> tuple[datetime, ...]:
    """Instants at which the clocks of ``zone`` are turned."""
    return tuple(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in TURNS[zone])


def zones() -> st.SearchStrategy[str]:
    """Names of time zones, each with a turn of its own kind."""
    return st.sampled_from(ZONES)


def instants(zone: str | None = None, *, extreme: bool = False) -> st.SearchStrategy[datetime]:
    """Aware instants in UTC: near the turns of ``zone`` (none: of any), some days before them, or anywhere.

    With ``extreme``, also at both ends of time.
    """
    near = turns(zone) if zone is not None else tuple(turn for other in ZONES for turn in turns(other))
    choices = [
        st.builds(
            lambda moment, nudge: moment.replace(tzinfo=UTC) + nudge,
            st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - made aware above
            nudges(),
        )
    ]
    if near:
        choices.append(
            st.builds(
                lambda turn, days, minutes, nudge: turn + timedelta(days=days, minutes=minutes) + nudge,
                st.sampled_from(near),
                st.integers(-35, 3) | st.just(0),
                st.sampled_from((0, 1, -1, 30, -30, 60, -60, 90, -90, 120, 720, -720, 1439, -1440)),
                nudges(),
            )
        )
    if extreme:
        choices += [
            st.builds(lambda hours, nudge: FIRST + timedelta(hours=hours) + abs(nudge), hours(), nudges()),
            st.builds(lambda hours, nudge: LAST - timedelta(hours=hours) - abs(nudge), hours(), nudges()),
        ]
    return st.one_of(choices)


def hours() -> st.SearchStrategy[int]:
    """Up to a few days of hours."""
    return st.integers(0, 100)


def nudges() -> st.SearchStrategy[timedelta]:
    """Nothing, or a microsecond to either side: what turns a tie."""
    return st.sampled_from((timedelta(0), TICK, -TICK))


def lengths(
    units: Sequence[Unit] = UNITS, *, least: int = 0, huge: bool = False
) -> st.SearchStrategy[Length]:
    """Lengths of the kinds ``units``: from ``least`` seconds, or one day, to some weeks.

    With ``huge``, also up to the longest that a policy may have.
    """
    seconds = st.sampled_from((0, 1, 3_600, 86_400, 7 * 86_400, 14 * 86_400, 28 * 86_400)) | st.integers(
        0, 45 * 86_400
    )
    amounts: dict[Unit, st.SearchStrategy[int]] = {
        "elapsed": seconds.map(lambda amount: max(amount, least)),
        "calendar_days": st.integers(1, 45),
        "business_days": st.integers(1, 30),
    }
    if huge:
        amounts["elapsed"] |= st.integers(0, LONGEST_DAYS * 86_400)
        amounts["calendar_days"] |= st.integers(1, LONGEST_DAYS)
        amounts["business_days"] |= st.integers(1, 3_000)
    return st.sampled_from(units).flatmap(lambda unit: st.builds(Length, st.just(unit), amounts[unit]))


@st.composite
def length_tables(draw: st.DrawFn, units: Sequence[Unit] = UNITS, *, least: int = 0) -> dict[str, int]:
    """Lengths as a policy file may write them: several units in one, and zeros."""
    unit = draw(st.sampled_from(units))
    if unit != "elapsed":
        return {unit: draw(st.integers(1, 30))}
    parts = draw(st.dictionaries(st.sampled_from(tuple(SECONDS)), st.integers(0, 30), min_size=1, max_size=3))
    if sum(SECONDS[part] * number for part, number in parts.items()) < least:
        parts["seconds"] = least
    return parts


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
    holidays: st.SearchStrategy[Any] = days()
    if regions:
        holidays |= st.sampled_from(("DE-BE", "IT", "US", "JP"))
    return Calendar(
        zone=zone or draw(zones()),
        weekend=tuple(draw(st.lists(st.sampled_from(WEEKDAYS), max_size=6, unique=True))),
        holidays=tuple(draw(st.lists(holidays, max_size=6, unique=True))),
    )


def names() -> st.SearchStrategy[str]:
    """Names of statuses, events, timers and roles; some that mean something to Python or to a library."""
    return st.sampled_from(
        (*ODD_NAMES, *(f"{letter}{tail}" for letter in "cdwxyz" for tail in ("", "_", "_9")))
    )


def texts() -> st.SearchStrategy[str]:
    """Texts that people read; some that would do harm if they were anything else than text."""
    return st.sampled_from(HOSTILE_TEXTS) | st.text(min_size=1, max_size=20)


def _some(values: Sequence[str], *, most: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)


@st.composite
def _one_or_list(draw: st.DrawFn, values: list[str]) -> str | list[str]:
    """A list of names, or the one name in its place."""
    return values[0] if len(values) == 1 and draw(st.booleans()) else values


@st.composite
def _described(draw: st.DrawFn) -> dict[str, Any]:
    keys = ("label", "meaning", "action_required", "waiting_on")
    return draw(st.just({}) | st.dictionaries(st.sampled_from(keys), texts(), max_size=2)).copy()


@st.composite
def _statuses(draw: st.DrawFn) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    least = draw(st.sampled_from((1, 2, 3)))
    for name in draw(st.lists(names(), min_size=least, max_size=5, unique=True)):
        tables[name] = draw(_described())
        closed = draw(st.sampled_from((None, False, True)))
        if closed is not None:
            tables[name]["closed"] = closed
        if draw(st.integers(0, 2)) == 0:
            subs = draw(st.lists(names(), min_size=1, max_size=3, unique=True))
            tables[name]["sub_statuses"] = {sub: draw(_described()) for sub in subs}
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


@st.composite
def _transition(
    draw: st.DrawFn, statuses: Mapping[str, Any], events: Sequence[str], roles: Sequence[str]
) -> dict[str, Any]:
    states = states_of(statuses)
    asking = [name for name, table in statuses.items() if table.get("sub_statuses")]
    event = draw(st.sampled_from(events))
    by = draw(_some(roles))
    from_ = draw(_some(("*", "*open", *statuses, *states)))
    row: dict[str, Any] = {
        "event": event,
        "by": draw(_one_or_list(by)),
        "from": draw(_one_or_list(from_)),
    }
    if draw(st.booleans()):
        row["when"] = draw(st.sampled_from(("assigned", "unassigned")))
    target = draw(st.sampled_from(("internal", "state", "state", "previous", "refuse", "status")))
    if target == "refuse":
        return {**row, "refuse": True}
    if event != "clone" and draw(st.integers(0, 3)) == 0:
        row["needs"] = draw(st.sampled_from(("assignee", ["assignee"], [])))
    to = {
        "internal": None,
        "previous": "@previous",
        "state": draw(st.sampled_from(states)),
        "status": draw(st.sampled_from(asking)) if asking and event != "clone" else None,
    }[target]
    restarts = "system" in by and to is not None and matching(statuses, [to]) & matching(statuses, from_)
    if to is not None and not restarts:
        row["to"] = to
    if draw(st.integers(0, 5)) == 0:
        row["refuse"] = False
    return row


def _nominal(table: Mapping[str, int]) -> int:
    """The seconds of a length as a policy file writes it; any day has 24 hours."""
    return sum(SECONDS.get(unit, 86_400) * number for unit, number in table.items())


def _last_nominal(timer: Mapping[str, Any]) -> int:
    repeat = timer.get("repeat")
    more = _nominal(repeat["every"]) * (repeat["times"] - 1) if repeat else 0
    return _nominal(timer["after"]) + more


@st.composite
def _staying_timer(draw: st.DrawFn, statuses: Mapping[str, Any], units: Sequence[Unit]) -> dict[str, Any]:
    timer: dict[str, Any] = {
        "in": draw(_some(("*", "*open", *statuses, *states_of(statuses)))),
        "kind": draw(st.sampled_from(("remind", "notify"))),
        "after": draw(length_tables(units)),
    }
    if draw(st.booleans()):
        timer["audience"] = draw(texts())
    if draw(st.integers(0, 2)) == 0:
        unit: Unit = next((unit for unit in UNITS if unit in timer["after"]), "elapsed")
        every = draw(length_tables([unit], least=1))
        timer["repeat"] = {"every": every, "times": draw(st.integers(1, 4))}
    return timer


@st.composite
def _moving_timer(
    draw: st.DrawFn,
    statuses: Mapping[str, Any],
    units: Sequence[Unit],
    staying: Sequence[Mapping[str, Any]],
    taken: set[str],
) -> dict[str, Any] | None:
    """A timer with a target, not shorter than those that would come after it."""
    states = states_of(statuses)
    to = draw(st.sampled_from(states))
    free = [state for state in states if state not in taken and state != to]
    if not free:
        return None
    in_ = draw(_some(free))
    if (
        to not in (wide := matching(statuses, ["*open"]))
        and wide
        and not wide & taken
        and draw(st.booleans())
    ):
        in_ = ["*open"]
    here = matching(statuses, in_)
    others = [_last_nominal(timer) for timer in staying if matching(statuses, timer["in"]) & here]
    seconds = max(others, default=0)
    unit = draw(st.sampled_from(units))
    after = (
        {"seconds": seconds + draw(st.sampled_from((0, 1, 86_400)) | st.integers(0, 30 * 86_400))}
        if unit == "elapsed"
        else {unit: max(1, -(-seconds // 86_400)) + draw(st.integers(0, 20))}
    )
    taken |= here
    timer: dict[str, Any] = {"in": in_, "after": after, "to": to}
    if draw(st.booleans()):
        timer["audience"] = draw(texts())
    return timer


@st.composite
def _timers(
    draw: st.DrawFn, statuses: Mapping[str, Any], units: Sequence[Unit], *, notice: bool, moves: bool
) -> dict[str, Any]:
    least = draw(st.sampled_from((0, 1, 2)))
    found = draw(st.lists(_staying_timer(statuses, units), min_size=least, max_size=5))
    if moves:
        taken: set[str] = set()
        staying = tuple(found)
        number = draw(st.sampled_from((0, 1, 2, 3)))
        movers = [draw(_moving_timer(statuses, units, staying, taken)) for _ in range(number)]
        found += [timer for timer in movers if timer is not None]
    order = sorted(range(len(found)), key=lambda number: _nominal(found[number]["after"]))
    for state in states_of(statuses) if notice else ():
        here = [number for number in order if state in matching(statuses, found[number]["in"])]
        for number in here[:1]:
            found[number].setdefault("notice", None)
    for timer in found if notice else ():
        # The first timer of a schedule has no notice, unless it is the first of several.
        first = "notice" in timer
        timer.pop("notice", None)
        if (not first or "repeat" in timer) and draw(st.booleans()):
            timer["notice"] = draw(length_tables(units))
    for timer in found:
        timer["in"] = draw(_one_or_list(timer["in"]))
    keys = draw(st.lists(names(), min_size=len(found), max_size=len(found), unique=True))
    return dict(zip(keys, found, strict=True))


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
    statuses = draw(_statuses())
    table: dict[str, Any] = {
        "format": 1,
        "name": draw(st.sampled_from(("sub-status", "a", "own_-2", "os-system", "class"))),
        "initial": draw(st.sampled_from(states_of(statuses))),
        "statuses": statuses,
    }
    roles: Sequence[str] = ("customer", "agent", "system")
    if draw(st.booleans()):
        roles = draw(
            st.lists(
                st.sampled_from(("customer", "agent", "system", "boss", "class")), min_size=1, unique=True
            )
        )
        table["roles"] = roles
    if zone is not None or draw(st.booleans()):
        calendar = draw(calendars(zone=zone, regions=regions))
        table["calendar"] = {
            "zone": calendar.zone,
            "weekend": list(calendar.weekend),
            "holidays": [draw(st.sampled_from((day, str(day)))) for day in calendar.holidays],
        }
    events = draw(st.lists(names() | st.just("clone"), min_size=1, max_size=4, unique=True))
    table["transitions"] = draw(st.lists(_transition(statuses, events, roles), max_size=10))
    table["timers"] = draw(_timers(statuses, units, notice=notice, moves=moves))
    for key in ("transitions", "timers"):
        if not table[key] and draw(st.booleans()):
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
    state = state or draw(st.sampled_from(busy or policy.states))
    status, _, sub_status = state.partition(".")
    entered_at = draw(instants(policy.calendar.zone, extreme=extreme))
    positions: list[str | None] = [None]
    if settled:
        positions += [timer.name for timer in policy.schedules[state] if timer.to is None]
    last = draw(st.sampled_from(positions))
    settled_at = None
    if last is not None:
        room = (LAST - entered_at) // TICK
        waited = draw(st.sampled_from((0, 1)) | st.integers(0, 60 * 86_400 * 10**6))
        settled_at = entered_at + min(waited, room) * TICK
    others = [other for other in policy.states if other.partition(".")[0] != status]
    return Case(
        id=draw(st.sampled_from(("C-1042", "{0.__class__}", "os.system")) | st.text(min_size=1, max_size=8)),
        status=status,
        sub_status=sub_status or None,
        entered_at=entered_at,
        policy=draw(st.sampled_from((policy.name, None))),
        stay=draw(st.integers(1, 9)),
        previous=draw(st.sampled_from((None, *others))),
        assignee=draw(st.sampled_from((None, "mira", "os.system"))),
        settled=last,
        settled_at=settled_at,
    )


def wall(at: datetime, zone: str) -> datetime:
    """What a clock on the wall shows at an instant."""
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
