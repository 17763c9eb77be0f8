"""Hostile input for every door of the library, and what may come out of it: a `CasestateError`, or a result.

``python tests/fuzz.py [--inputs N] [--seconds S] [--seed S] [--first N] [TARGET ...]`` from the root of the
repository tries many; `test_fuzz.py` a few, always the same. Every input is made by its target, the seed
and its number alone, so that a defect is seen again with ``--first`` and ``--inputs 1``.

Where the border is. *Data* is anything that one can write down without writing a method: numbers of any
size, text with zeros and surrogates, dates, sets, tables that hold themselves. It must never raise anything
else than a `CasestateError`. An *object* may have methods that raise; what such a method raises may come
through as it is (here it is always `Mischief`), for it is the caller's own bug and its traceback is
what helps. An object that lies (it equals everything, its text is not its value) raises nothing itself,
so nothing else than a `CasestateError` may come of it either. On the command line nobody passes objects: its
exit code is 0, 1 or 2 and it never prints a traceback. A call that takes longer than `PATIENCE` hangs.
"""

from __future__ import annotations

import argparse
import atexit
import enum
import io
import itertools
import json
import resource
import signal
import string
import sys
import tempfile
import time
import tomllib
import traceback

from collections import Counter, OrderedDict, UserDict
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock_time
from decimal import Decimal
from fractions import Fraction
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import attrs
import click
import tomli_w

from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as fixed

from casestate import (
    Action,
    Calendar,
    Case,
    CasestateError,
    Change,
    Length,
    ManualClock,
    Policy,
    Workflow,
    load_policy,
    render,
)
from casestate.cli import cli
from casestate.clock import parse_instant
from casestate.rows import CaseFile, Desks, Sieve
from casestate.testing.strategies import policy_tables


if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from casestate.calendars import Unit

Target: TypeAlias = "Callable[[Random, Tally], None]"
"""Makes one input by chance, tries it, and raises if something else than permitted comes out."""

NOW: Final = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)
FIRST: Final = datetime.min.replace(tzinfo=UTC)
PATIENCE: Final = 10.0
"""The seconds after which an input is said to hang."""


class Mischief(Exception):
    """What the methods of hostile objects raise."""


class Hang(BaseException):
    """An input takes too long."""


class Tally(Counter[str]):
    """How often something was accepted, and how often refused and with what."""

    def tried(self, call: Callable[..., Any], *given: object, **named: object) -> Any:  # noqa: ANN401 - anybody's result
        """What a call returns; none if it refuses its arguments in a permitted way."""
        try:
            result = call(*given, **named)
        except Mischief:
            self["Mischief"] += 1
        except CasestateError as error:
            self[type(error).__name__] += 1
            with suppress(Mischief, RecursionError, ValueError):  # repr is Python's own, and has limits
                repr(error)
            with suppress(Mischief):
                str(error)
        else:
            self["accepted"] += 1
            return result
        return None


# --- values that are anything but what is wanted -----------------------------

METHODS: Final = (
    "__repr__", "__str__", "__eq__", "__ne__", "__hash__", "__len__", "__bool__", "__iter__", "__getitem__",
    "__contains__", "__lt__", "__le__", "__gt__", "__format__", "__index__", "__int__", "__add__", "__sub__",
    "__call__", "__fspath__", "get", "items", "keys", "values", "tzinfo", "astimezone", "utcoffset",
)  # fmt: skip


def _raise(*_given: object, **_named: object) -> object:
    raise Mischief


class Agreeable:
    """Equals everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class Colour(enum.StrEnum):
    """Text whose text is another."""

    NEW = "new"
    CLOSED = "closed"

    def __str__(self) -> str:
        return "red"


class Forgetful(UserDict[object, object]):
    """A mapping that does not have what it says it has."""

    def __getitem__(self, key: object) -> object:
        return None


class Crooked(str):
    """Text that is equal to nothing, itself included."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 1


class Whole(int):
    """A whole number of another type."""


class Moment(datetime):
    """A datetime of another type."""


def deep(depth: int, make: Callable[[object], object]) -> object:
    """A value within a value within a value."""
    value: object = 1
    for _ in range(depth):
        value = make(value)
    return value


def holding_itself() -> dict[str, Any]:
    """A table that holds itself, by many keys."""
    table: dict[str, Any] = {}
    table.update(dict.fromkeys(("statuses", "timers", "new", "sub_statuses", "after", "in"), table))
    table["transitions"] = [table]
    return table


def list_holding_itself() -> list[object]:
    """A list that holds itself."""
    entries: list[object] = []
    entries.append(entries)
    return entries


def rude(chance: Random) -> object:
    """An object of which some methods raise `Mischief`."""
    base = chance.choice((object, object, str, int, dict, list, tuple, datetime, UserDict))
    methods: dict[str, object] = dict.fromkeys(chance.sample(METHODS, chance.randint(1, 4)), _raise)
    if "__eq__" in methods:
        methods.setdefault("__hash__", base.__hash__)
    made: Any = type("Rude", (base,), methods)
    try:
        return made(2026, 3, 1) if base is datetime else made()
    except (Mischief, TypeError):
        return made.__new__(made)


MAKERS: Final[Sequence[Callable[[], object]]] = (
    *(
        partial(lambda value: value, value)
        for value in (
            None, True, False, 0, 1, -1, 7, 1 << 63, (1 << 63) - 1, 1 << 64, 10**5_000, -(10**5_000),
            0.0, -0.0, 1.5, 1e308, float("nan"), float("inf"), float("-inf"), 1j, Decimal("NaN"), Decimal(7),
            Fraction(1, 3), "", " ", "\0", "a\0b", "\ud800", "é\ud800", "x" * 100_000, "new", "closed", "*",
            "*open", "@previous", "pending.customer_input", "pending", ".", "a.b.c", "customer", "system",
            "clone", "DE-BE", "US", "XX-YY", "2026-12-24", "2026-13-45", "9999-12-31", "UTC", "Europe/Berlin",
            "../../etc/passwd", "/", "localtime", "posixrules", "sub-status", "open-resolved", "a\nb",
            "\u202e",
            "٣", "{0.__class__}", "%s", b"", b"new", b"\xff", bytearray(b"new"), memoryview(b"new"), (),
            ("new",),
            frozenset(), frozenset({"new"}), range(3), Ellipsis, NotImplemented, object, int, len, NOW, LAST,
            FIRST, datetime(2026, 3, 1), datetime.min, datetime.max,  # noqa: DTZ001 - naive on purpose
            datetime.max.replace(tzinfo=timezone(-timedelta(hours=23, minutes=59))),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=23, minutes=59))),
            datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
            Moment(2026, 3, 1, tzinfo=UTC), date(2026, 3, 1), date.max, clock_time(1, 2), timedelta(days=1),
            timedelta.max, UTC, Colour.NEW, Colour.CLOSED, Crooked("new"), Whole(14), Path("new"),
            "2026-03-01T00:00Z", "2026-03-01T00:00:00.1234567+02:00", "9999-12-31T23:59:59-23:59",
            "0001-01-01T00:00+23:59", "2026-03-01", "2026-W10-1", "20260301T000000Z", "2026-03-01T24:00Z",
        )
    ),
    list, dict, set, Agreeable, list_holding_itself, holding_itself, object,
    lambda: {"days": 14}, lambda: {"days": 10**400}, lambda: {"business_days": 5},
    lambda: {"calendar_days": 1},
    lambda: {"business_days": 3_000_000}, lambda: {"seconds": 0, "weeks": 1}, lambda: {"days": True},
    lambda: {"every": {"days": 1}, "times": 100}, lambda: {"every": {"days": 36_000}, "times": 100},
    lambda: {None: 1, 1: 2, (): 3}, lambda: {10**5_000: 1}, lambda: {"x" * 10_000: {}},
    lambda: {"\ud800": {}},
    lambda: {Colour.NEW: {}, "closed": {"closed": True}}, lambda: {Agreeable(): 1},
    lambda: {float("nan"): {}},
    lambda: OrderedDict(new={}), lambda: MappingProxyType({"new": {}}), lambda: UserDict(new={}),
    lambda: Forgetful(new={}, days=1), lambda: iter(["new"]), lambda: (name for name in ("new",)),
    lambda: deep(50, lambda value: [value]), lambda: deep(5_000, lambda value: [value]),
    lambda: deep(100_000, lambda value: (value,)), lambda: deep(5_000, lambda value: {"new": value}),
    lambda: deep(3_000, lambda value: {"sub_statuses": {"new": value}}),
    lambda: ["new"] * 3_000, lambda: ["new", "new"], lambda: ["new", None, 7, "closed"], lambda: {"new",
    "closed"},
    lambda: {f"s{number}": {} for number in range(200)},
)  # fmt: skip


def hostile(chance: Random) -> object:
    """Something that is probably not wanted."""
    kind = chance.randrange(20)
    if kind == 0:
        return rude(chance)
    if kind == 1:
        return [hostile(chance) for _ in range(chance.randint(1, 3))]
    if kind == 2:
        return table(chance)
    if kind == 3:
        letters = string.printable + "\0é\ud800\U0001f600٣"
        return "".join(chance.choices(letters, k=chance.randint(1, 20)))
    if kind == 4:
        return chance.getrandbits(chance.choice((4, 8, 32, 64, 200))) * chance.choice((1, -1))
    return chance.choice(MAKERS)()


def key(chance: Random) -> Any:  # noqa: ANN401 - keys of every type
    """Something that can be a key of a table."""
    if chance.randrange(3):
        return chance.choice(WORDS)
    value = hostile(chance)
    try:
        hash(value)
    except (Mischief, TypeError, RecursionError):
        return chance.choice((None, 7, float("nan"), (), "", "\ud800", 10**5_000))
    return value


def table(chance: Random) -> dict[Any, object]:
    """A table of anything."""
    made: dict[Any, object] = {}
    for _ in range(chance.randint(1, 3)):
        with suppress(Mischief, RecursionError):  # two keys are compared, and they may be deep
            made[key(chance)] = hostile(chance)
    return made


WORDS: Final = (
    "format", "name", "initial", "roles", "calendar", "statuses", "transitions", "timers", "extends", "zone",
    "weekend", "holidays", "label", "meaning", "action_required", "waiting_on", "closed", "sub_statuses",
    "event", "by", "from", "to", "when", "needs", "refuse", "in", "kind", "audience", "after", "repeat",
    "notice", "every", "times", "days", "weeks", "hours", "calendar_days", "business_days", "new", "pending",
    "customer_input", "id", "case_id", "status", "sub_status", "entered_at", "policy", "stay", "previous",
    "assignee", "settled", "settled_at", "opened_at", "cloned_from", "clones", "history", "at", "actor",
    "from_state", "to_state", "detail", "state", "changed_at", "standing", "__class__", "remind_customer",
    "close_pending", "open", "sat", "assigned", "remind", "notify", "close", "move",
)  # fmt: skip


# --- inputs made of good ones ------------------------------------------------


def copied(tree: object) -> Any:  # noqa: ANN401 - a tree of tables and lists
    """A tree of tables and lists, so that its copy can be changed."""
    if isinstance(tree, dict):
        return {name: copied(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [copied(value) for value in tree]
    return tree


def _places(tree: object, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every place of a tree, as what holds it and the key or the number by which it is held."""
    if isinstance(tree, (dict, list)):
        for name, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            found.append((tree, name))
            _places(value, found)
    return found


def mutated_tree(chance: Random, tree: object) -> Any:  # noqa: ANN401 - a tree that may be anything by now
    """A tree of which some nodes have been replaced, renamed, taken away, moved or added."""
    tree = copied(tree)
    changes = chance.choice((0, 1, 1, 1, 2, 3, 6))
    if not chance.randrange(60):
        return hostile(chance)
    # Listed once: a hostile value may hold itself, and is not gone into.
    places = _places(tree, [])
    for holder, name in chance.sample(places, min(changes, len(places))):
        kind = chance.randrange(8)
        try:
            if kind == 0:
                del holder[name]
            elif kind == 1 and isinstance(holder, dict):
                holder[key(chance)] = holder.pop(name)
            elif kind == 2 and isinstance(holder, dict):
                holder[key(chance)] = hostile(chance)
            elif kind == 3 and isinstance(holder, list):
                holder.insert(name, hostile(chance))
            elif kind == 4:
                other, place = chance.choice(places)
                holder[name] = copied(other[place])
            else:
                holder[name] = hostile(chance)
        except (LookupError, Mischief, RecursionError):  # what was to be changed is gone by now
            continue
    return tree


TOKENS: Final = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b"\r\n", b'"', b'"""', b"'", b"'''", b"\\u0000",
    b"\\ud800",
    b"{", b"}", b"[", b"]", b"[[", b"]]", b"=", b",", b".", b":", b"#", b"null", b"true", b"false", b"nan",
    b"-inf", b"1e400", b"9" * 5_000, b"0x", b"[" * 2_000, b"{a=" * 1_500, b'{"a":' * 3_000,
    b"1979-05-27T07:32:00Z",
    b"2026-12-24", b"07:32:00", b" " * 1_000, b"a." * 3_000, b'"extends" = "sub-status"\n',
    b'extends = "x"\n',
    b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xae", b"format = 1\n", b"-", b"+", b"Z",
    b"\t",
    b"2026-03-01T00:00:00.9999999Z", b"9999-12-31T23:59:59.9999999Z", b"0001-01-01T00:00:00+01:00", b";",
    b"\x1f\x8b", b"PAR1", b"\xff\xfe", b'"stay": 99999999999999999999', b'"id": "\\ud800"', b'"id": ""',
    *(word.encode() for word in WORDS),
)  # fmt: skip


def mutated_bytes(chance: Random, seeds: Sequence[bytes]) -> bytes:
    """Bytes of a good file after some changes; now and then bytes of no file at all."""
    if not chance.randrange(40):
        return chance.randbytes(chance.choice((0, 1, 3, 40, 400)))
    text = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        place = chance.randint(0, len(text))
        end = min(len(text), place + chance.choice((1, 1, 4, 20, 200)))
        kind = chance.randrange(7)
        if kind == 0:
            text[place:place] = chance.choice(TOKENS)
        elif kind == 1:
            text[place:end] = chance.choice(TOKENS)
        elif kind == 2:
            del text[place:end]
        elif kind == 3:
            text[place:place] = text[place:end] * chance.choice((1, 2, 20))
        elif kind == 4:
            other = chance.choice(seeds)
            begin = chance.randint(0, len(other))
            text[place:end] = other[begin : begin + 80]
        elif kind == 5 and place < len(text):
            text[place] ^= 1 << chance.randrange(8)
        else:
            text[place:end] = chance.randbytes(end - place)
    return bytes(text)


SMALL: Final = """
format = 1
name = "desk"
initial = "new"
roles = ["customer", "agent", "system"]
[calendar]
zone = "Europe/Berlin"
weekend = ["sat", "sun"]
holidays = ["2026-12-24"]
[statuses.new]
label = "New"
[statuses.waiting]
waiting_on = "customer"
[statuses.waiting.sub_statuses.customer]
[statuses.waiting.sub_statuses.parts]
[statuses.done]
closed = true
[[transitions]]
event = "ask"
by = "agent"
from = "*open"
to = "waiting"
[[transitions]]
event = "comment"
by = ["customer"]
from = ["waiting", "done"]
to = "@previous"
when = "assigned"
[[transitions]]
event = "assign"
by = "agent"
from = "*"
needs = "assignee"
[[transitions]]
event = "close"
by = ["agent", "system"]
from = "new"
refuse = true
[[transitions]]
event = "clone"
by = "customer"
from = "done"
[timers.remind]
in = "waiting"
kind = "remind"
audience = "customer"
after = { business_days = 3 }
repeat = { every = { business_days = 3 }, times = 3 }
[timers.close]
in = "waiting"
after = { calendar_days = 20 }
notice = { days = 1 }
to = "done"
"""


@cache
def policy_trees() -> Sequence[Mapping[str, object]]:
    """Good policies, as mappings: both documents, one that has everything, and generated ones."""
    folder = files("casestate.policies")
    found = [
        tomllib.loads(folder.joinpath(f"{name}.toml").read_text(encoding="utf-8"))
        for name in ("sub-status", "open-resolved")
    ]
    found += [tomllib.loads(SMALL)] * 4

    @fixed(3)
    @settings(
        max_examples=60,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(policy_tables())
    def generate(tables: dict[str, Any]) -> None:
        found.append(tables)

    generate()
    return found


@cache
def policy_files() -> Sequence[bytes]:
    """Good policies, as files."""
    folder = files("casestate.policies")
    texts = [folder.joinpath(f"{name}.toml").read_bytes() for name in ("sub-status", "open-resolved")]
    return [*texts, *([SMALL.encode()] * 6), *(tomli_w.dumps(tree).encode() for tree in policy_trees())]


@cache
def desks() -> Sequence[Workflow]:
    """Workflows of good policies."""
    return [Workflow(load_policy(tree)) for tree in policy_trees()]


@cache
def documents() -> Desks:
    """The workflows that a file of cases may name."""
    return Desks([])


CASES: Final = (
    {"id": "C-1", "status": "pending", "sub_status": "customer_input", "entered_at": "2026-02-01T00:00:00Z"},
    {"id": "C-2", "status": "closed", "entered_at": "2026-03-28T00:00:00.5Z", "policy": "sub-status",
    "stay": 4},
    {
        "id": "C-3",
        "status": "pending",
        "sub_status": "customer_input",
        "entered_at": "2026-03-20T00:00:00+01:00",
        "settled": "remind_customer",
        "settled_at": "2026-03-28T00:00:00Z",
        "history": [],
    },
    {
        "id": "C-4",
        "status": "resolved",
        "entered_at": "2026-03-01T00:00:00Z",
        "policy": "open-resolved",
        "stay": 3,
        "previous": "in_progress",
        "assignee": "mira",
        "opened_at": "2026-02-01T00:00:00Z",
        "cloned_from": "C-0",
        "clones": ["C-9"],
        "history": [
            {"at": "2026-02-02T00:00:00Z", "event": "assign", "by": "agent", "actor": "mira",
            "from_state": "new",
             "to_state": "open", "stay": 2, "detail": "mira"},
            {"at": "2026-03-01T00:00:00Z", "event": "notify_pending", "by": "system", "from_state": "open",
             "to_state": "resolved", "stay": 3, "detail": ["a", "b"]},
        ],
    },
    {"id": "C-5", "status": "new", "entered_at": "2026-03-01T00:00:00Z", "note": "from elsewhere"},
)  # fmt: skip

COLUMNS: Final = ("id", "status", "sub_status", "entered_at", "policy", "stay", "settled", "settled_at")


@cache
def case_files() -> Sequence[bytes]:
    """Good files of cases: JSON Lines, and CSV."""
    lines = [json.dumps(case) for case in CASES]
    found = ["\n".join(lines), "\n".join(lines[:2]) + "\n\n", lines[0], lines[3], "\r\n".join(lines[2:])]
    rows = [
        ",".join(COLUMNS),
        *(",".join(str(case.get(name, "")) for name in COLUMNS) for case in CASES),
        '"C-6",new,,"2026-03-01T00:00:00Z",,"1",,',
        '"C,""7",pending,customer_input,2026-02-01T00:00Z,sub-status,2,,',
    ]
    found += [
        "\n".join(rows),
        "\r\n".join(rows) + "\r\n",
        "id,status,entered_at\nC-1,closed,2026-03-01T00:00Z\n",
    ]
    found += [
        "case_id,status,entered_at,more\nC-1,resolved,2026-03-01T00:00Z,x\n",
        "\ufeff" + "\n".join(rows[:3]),
    ]
    return [text.encode() for text in found]


# --- what is done with a result ----------------------------------------------


def use_policy(chance: Random, policy: Policy) -> None:
    """A policy that was accepted can be used for everything; nothing is refused any more."""
    assert Policy.from_dict(policy.to_dict()) == policy
    assert load_policy(json.loads(json.dumps(policy.to_dict()))) == policy
    assert policy.override({}) == policy
    for draw in (render.mermaid, render.markdown, render.dot):
        assert draw(policy)
    desk = Workflow(policy)
    now = chance.choice((NOW, LAST, FIRST, datetime(2011, 12, 30, 9, 59, 59, 999_999, tzinfo=UTC)))
    for cutoff in desk.cutoffs(now):
        assert cutoff.entered_until <= now
    for _ in desk.machine().get_triggers(policy.initial):
        pass
    case = desk.open("C-1", at=chance.choice((FIRST, NOW - timedelta(days=40), NOW)))
    for _ in range(5):
        now = max(
            case.changed_at, chance.choice((NOW, case.changed_at + timedelta(days=chance.randrange(60))))
        )
        for action in desk.due([case], now=now):
            case = desk.settle(case, action, at=now)
        desk.next_due(case)
        list(itertools.islice(desk.forecast(case, now=now), 4))
        desk.explain(case, now=now)
        role = chance.choice(policy.roles or ("system",))
        for event in chance.sample(desk.allowed(case, by=role), min(1, len(desk.allowed(case, by=role)))):
            if event == "clone":
                case, _ = desk.clone(case, f"C-{case.stay}-{len(case.history)}", by=role, at=now)
                continue
            case = Tally().tried(desk.apply, case, event, by=role, at=now) or case
        assert Case.from_dict(case.to_dict()) == case


def use_case(tally: Tally, chance: Random, desk: Workflow, case: Case) -> None:
    """A case that was accepted round-trips, and is evaluated or refused."""
    assert Case.from_dict(case.to_dict()) == case
    now = chance.choice((NOW, LAST, FIRST))
    tally.tried(list, desk.due([case], now=now))
    errors: list[CasestateError] = []
    actions = list(desk.due([case], now=now, on_error=lambda _, error: errors.append(error)))
    assert len(actions) + len(errors) <= 1
    tally.tried(desk.next_due, case)
    tally.tried(desk.explain, case, now=now)
    tally.tried(lambda: list(itertools.islice(desk.forecast(case, now=now), 4)))
    tally.tried(desk.allowed, case)
    tally.tried(desk.apply, case, "comment", by="customer", at=max(now, case.changed_at))
    for action in actions:
        tally.tried(desk.settle, case, action, at=max(now, case.changed_at))


# --- the targets -------------------------------------------------------------


@cache
def folder() -> Path:
    """A folder for files that are read again at once; gone when Python ends."""
    made = tempfile.TemporaryDirectory()
    atexit.register(made.cleanup)
    return Path(made.name)


def policy_bytes(chance: Random, tally: Tally) -> None:
    """A policy file of any bytes."""
    path = folder() / "policy.toml"
    path.write_bytes(mutated_bytes(chance, policy_files()))
    policy = tally.tried(load_policy, path)
    if policy is not None:
        use_policy(chance, policy)


def policy_tree(chance: Random, tally: Tally) -> None:
    """A policy of any values."""
    tree = mutated_tree(chance, chance.choice(policy_trees()))
    policy = tally.tried(chance.choice((load_policy, Policy.from_dict)), tree)
    if policy is not None:
        use_policy(chance, policy)


def overlay(chance: Random, tally: Tally) -> None:
    """Anything laid over a policy."""
    policy = chance.choice(desks()).policy
    tree = copied(chance.choice((policy.to_dict(), chance.choice(policy_trees()))))
    for name in chance.sample(sorted(tree), chance.randrange(len(tree))):
        del tree[name]
    for table in (tree, tree.get("statuses", {}), tree.get("timers", {})):
        if table and not chance.randrange(3):
            table[chance.choice(sorted(table))] = False
    policy = tally.tried(policy.override, mutated_tree(chance, tree))
    if policy is not None:
        use_policy(chance, policy)


def extends(chance: Random, tally: Tally) -> None:
    """Files that extend each other, in chains, in circles, and things that are no files."""
    names = ("a.toml", "b.toml", "c.toml", "sub/d.toml")
    odd: tuple[object, ...] = (
        "sub-status", "open-resolved", *names, "../a.toml", "sub/../a.toml", "../" * 3_000, "", ".", "..",
        "sub", "~",
        "\0", "x" * 5_000, "a.toml/b", "\ud800", "nowhere.toml", "./b.toml", "sub/loop", "SUB-STATUS", "a\nb",
    )  # fmt: skip
    (folder() / "sub").mkdir(exist_ok=True)
    loop = folder() / "sub" / "loop"
    if not loop.is_symlink():
        loop.symlink_to("loop")
    for name in names:
        path = folder() / name
        if not chance.randrange(4):
            path.write_bytes(mutated_bytes(chance, policy_files()))
            continue
        text = tomli_w.dumps(
            {"name": "desk", "timers": {"t": {"in": "new", "kind": "notify", "after": {"days": 1}}}}
        )
        base = json.dumps(str(chance.choice(odd)).encode("utf-8", "replace").decode())
        path.write_text(f"extends = {base}\n{text}", encoding="utf-8")
    own = chance.choice(odd)
    source: object = chance.choice(
        (
            folder() / chance.choice(names),
            str(folder() / chance.choice(names)),
            {"extends": str(folder() / str(own)) if chance.randrange(2) else own},
            {"extends": hostile(chance)},
            own,
            folder() / str(own),
            hostile(chance),
        )
    )
    if isinstance(source, int):
        return  # `open` takes a number for a file that is open already: not to be touched
    policy = tally.tried(load_policy, source)
    if policy is not None:
        use_policy(chance, policy)


def case_tree(chance: Random, tally: Tally) -> None:
    """A case of any values."""
    case = tally.tried(Case.from_dict, mutated_tree(chance, chance.choice(CASES)))
    if case is not None:
        use_case(tally, chance, chance.choice(desks()[:2]), case)


def records(chance: Random, tally: Tally) -> None:
    """Cases and entries of their history made in Python, of any values."""
    at = NOW - timedelta(days=chance.randrange(40))
    fields: dict[str, Any] = {
        "id": "C-1",
        "status": "pending",
        "sub_status": "customer_input",
        "entered_at": at,
    }
    entry: dict[str, Any] = {
        "at": at, "event": "pend", "by": "agent", "from_state": "new", "to_state": "pending.customer_input",
        "stay": 2,
    }  # fmt: skip
    optional = ("policy", "stay", "previous", "assignee", "settled", "settled_at", "opened_at", "clones")
    for name in chance.sample((*fields, *optional, "cloned_from", "history"), chance.randrange(4)):
        fields[name] = hostile(chance)
    for name in chance.sample((*entry, "actor", "detail"), chance.randrange(3)):
        entry[name] = hostile(chance)
    change = tally.tried(Change, **entry)
    if change is not None:
        assert json.dumps(change.to_dict())
        if chance.randrange(2):
            fields["history"] = chance.choice(((change,), [change, change.to_dict()], [change] * 3))
    case = tally.tried(Case, **fields)
    if case is not None:
        use_case(tally, chance, chance.choice(desks()[:2]), case)


FIELDS: Final = tuple(field.name for field in attrs.fields(Action))
NO_ACTION: Final = Action(
    case_id="C-1", stay=1, entered_at=NOW, timer="t", kind="notify", audience=None, due_at=NOW, to=None
)


def calls(chance: Random, tally: Tally) -> None:
    """Everything that a workflow takes, some of it anything else."""
    desk = chance.choice(desks()[:8])
    policy = desk.policy

    def maybe(value: object) -> object:
        return hostile(chance) if not chance.randrange(5) else value

    def states() -> object:
        pool = (*policy.states, "new", hostile(chance))
        more = table(chance) if not chance.randrange(4) else {}
        return {state: chance.choice(pool) for state in policy.states if chance.randrange(3)} | more

    def look(case: Case, now: datetime) -> None:
        chance.choice(
            (
                lambda: tally.tried(lambda: list(desk.due(anything([case]), now=anything(now)))),
                lambda: tally.tried(desk.cutoffs, maybe(now)),
                lambda: tally.tried(desk.next_due, maybe(case)),
                lambda: tally.tried(lambda: list(itertools.islice(desk.forecast(anything(case)), 3))),
                lambda: tally.tried(desk.explain, maybe(case), now=maybe(now)),
                lambda: tally.tried(desk.allowed, maybe(case), by=maybe("agent")),
                lambda: tally.tried(desk.open, maybe("C-3"), at=maybe(now)),
                lambda: tally.tried(Workflow, maybe(policy), maybe(ManualClock(NOW))),
            )
        )()

    def anything(value: Any) -> Any:  # noqa: ANN401 - whatever is given
        return maybe(value)

    def step(case: Case) -> Case:
        now = max(NOW, case.changed_at)
        event, role = chance.choice((*policy.events, "x")), chance.choice((*policy.roles, "x"))
        sub_statuses = [state.partition(".")[2] for state in policy.states if "." in state] or [""]
        values = {"sub_status": chance.choice(sub_statuses), "assignee": "mira", "actor": "bo"}
        named: dict[str, Any] = {"by": maybe(role), "at": maybe(now)}
        named |= {name: maybe(value) for name, value in values.items() if not chance.randrange(2)}
        actions = [*desk.due([case], now=now), attrs.evolve(NO_ACTION, entered_at=case.entered_at)]
        action = actions[0]
        if not chance.randrange(3):
            odd: dict[str, Any] = {chance.choice(FIELDS): hostile(chance)}
            action = attrs.evolve(action, **odd)
        after: Any = chance.choice(
            (
                lambda: tally.tried(desk.apply, maybe(case), maybe(event), **named),
                lambda: tally.tried(desk.apply, case, event, **named),
                lambda: tally.tried(desk.settle, maybe(case), maybe(action), at=maybe(now)),
                lambda: tally.tried(desk.migrate, maybe(case), maybe(desk), maybe({}), at=maybe(now)),
                lambda: tally.tried(desk.migrate, case, chance.choice(desks()[:8]), states(), at=maybe(now)),
                lambda: tally.tried(desk.clone, maybe(case), maybe("C-2"), by=maybe(role), at=maybe(now)),
            )
        )()
        if isinstance(after, tuple):
            after = after[0]
        if after is not None:
            assert Case.from_dict(after.to_dict()) == after
            case = after if after.policy == policy.name and after.state in policy.states else case
        look(case, now)
        return case

    case = desk.open("C-1", at=NOW - timedelta(days=30))
    for _ in range(4):
        case = step(case)


def instants(chance: Random, tally: Tally) -> None:
    """Instants and lengths, wherever they are given."""
    text: object = mutated_bytes(chance, (b"2026-03-29T01:30:00.123456+01:00", b"2026-03-01T00:00Z")).decode(
        "utf-8", "surrogateescape"
    )
    moment = tally.tried(parse_instant, text if chance.randrange(2) else hostile(chance), "at")
    given = hostile(chance) if moment is None else moment
    calendar = chance.choice(
        (
            Calendar("Europe/Berlin"),
            Calendar("Pacific/Apia", ("sun",), (date(2011, 12, 31), date(9999, 12, 31))),
            Calendar("America/Juneau", WEEK[1:]),
            Calendar(),
        )
    )
    unit: Unit = chance.choice(("elapsed", "calendar_days", "business_days"))
    length = Length(
        unit, max(unit != "elapsed", chance.choice((0, 1, 7, 1_000, 3_652_059, chance.getrandbits(18))))
    )
    later = tally.tried(calendar.add, given, length)
    assert later is None or moment is None or later >= moment
    if chance.randrange(20) == 0:
        cutoff = tally.tried(calendar.cutoff, given, length)
        assert cutoff is None or calendar.add(cutoff, length) <= given  # type: ignore[operator]  # a cutoff has one
    clock = tally.tried(ManualClock, given)
    if clock is not None:
        tally.tried(clock.advance, hostile(chance))
        tally.tried(clock.advance, **{chance.choice(("days", "hours", "x")): hostile(chance)})
        tally.tried(clock.set, hostile(chance))


WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _read(
    content: bytes, form: str | None, now: datetime, *, sieved: bool
) -> tuple[list[dict[str, object]], list[str]] | None:
    """The actions and the bad rows of a file of cases; none if it is refused whole."""
    said = io.StringIO()
    try:
        file = CaseFile("cases", io.BytesIO(content))
        with redirect_stderr(said):
            rows = file.rows(form, sieve=Sieve(documents(), now) if sieved else None)
            actions = documents().each(rows, file.trouble, lambda desk, case: desk.due([case], now=now))
            found = [action.to_dict() for action in actions]
    except click.ClickException:
        return None
    return found, [*said.getvalue().split("\n"), str(file.trouble.rows), str(file.trouble.bad)]


def case_bytes(chance: Random, tally: Tally) -> None:
    """A file of cases of any bytes; the sieve drops nothing that is due and nothing that is bad."""
    content = mutated_bytes(chance, case_files())
    form = chance.choice((None, None, "jsonl", "csv"))
    now = chance.choice((NOW, NOW, LAST, FIRST, datetime(2026, 2, 8, tzinfo=UTC)))
    whole = _read(content, form, now, sieved=False)
    tally["refused" if whole is None else "accepted"] += 1
    assert _read(content, form, now, sieved=True) == whole


def command_line(chance: Random, tally: Tally) -> None:
    """The command line, with any bytes in its files and any text after its options."""
    paths = [folder() / "cases", folder() / "policy.toml"]
    paths[0].write_bytes(mutated_bytes(chance, case_files()))
    paths[1].write_bytes(mutated_bytes(chance, policy_files()))
    words = (
        *map(str, paths), "-", "", ".", "nowhere", "sub-status", "open-resolved", "C-1", "C-4", "\udcff",
        "a\nb", "é\x1b[1m",
        "2026-03-29T01:30Z", "2026-03-01", "9999-12-31T23:59:59-23:59", "1", "0", "9" * 30, "--", "-h",
        "x" * 3_000,
    )  # fmt: skip
    command = chance.choice(("due", "due", "forecast", "explain", "explain", "check", "show"))
    arguments = [command, str(paths[command in {"check", "show"}])]
    if command in {"due", "forecast", "explain"}:
        arguments += ["--now", "2026-03-29T01:30Z", "--format", chance.choice(("table", "jsonl", "csv"))]
    if command == "explain":
        arguments += ["--id", chance.choice(("C-1", "C-2", "C-4", "C-7"))]
    if command == "show":
        arguments += ["--as", chance.choice(("table", "mermaid", "markdown", "toml"))]
    options = (
        "--now",
        "--policy",
        "--format",
        "--input",
        "--id",
        "--until",
        "--limit",
        "--as",
        "-x",
        "--help",
    )
    for _ in range(chance.choice((0, 0, 1, 2))):
        arguments += [chance.choice(options), chance.choice(words)]
    if not chance.randrange(10):
        arguments[chance.randrange(len(arguments))] = chance.choice(words)
    # A file name without a folder, and an --output, would be written to.
    result = CliRunner().invoke(cli, arguments, input=paths[0].read_bytes() if chance.randrange(2) else b"")
    assert result.exit_code in {0, 1, 2}, (arguments, result.exc_info)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "Traceback" not in result.stderr
    tally["accepted" if result.exit_code == 0 else "refused"] += 1


TARGETS: Final[Mapping[str, Target]] = {
    target.__name__: target
    for target in (
        policy_bytes,
        policy_tree,
        overlay,
        extends,
        case_tree,
        records,
        calls,
        instants,
        case_bytes,
        command_line,
    )
}


# --- trying many -------------------------------------------------------------


@dataclass
class Outcome:
    """What came of trying many inputs."""

    inputs: int = 0
    seconds: float = 0.0
    slowest: tuple[float, int] = (0.0, 0)
    tally: Tally = field(default_factory=Tally)
    defects: dict[str, tuple[int, str]] = field(default_factory=dict)
    """By kind and place of the error: the number of the first input, and the traceback."""


@contextmanager
def patience(seconds: float) -> Generator[None]:
    """Raise `Hang` in the midst of what takes longer."""

    def give_up(_signal: int, _frame: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(
    target: Target,
    numbers: Iterable[int],
    *,
    seed: int = 0,
    until: float = float("inf"),
    wait: float = PATIENCE,
) -> Outcome:
    """Try the inputs of these ``numbers``, until the clock of `time.monotonic` shows ``until``."""
    outcome = Outcome()
    for prepare in (desks, documents, policy_files, case_files):  # once, and not on the time of an input
        prepare()
    start = time.monotonic()
    for number in numbers:
        began = time.monotonic()
        if began > until:
            break
        try:
            with patience(wait):
                target(Random(f"{seed}:{number}"), outcome.tally)
        except (Exception, Hang) as error:  # noqa: BLE001 - that is what is looked for
            outcome.defects.setdefault(
                _kind(error), (number, "".join(traceback.format_exception(error)[-12:]))
            )
        outcome.inputs += 1
        outcome.slowest = max(outcome.slowest, (time.monotonic() - began, number))
    outcome.seconds = time.monotonic() - start
    return outcome


def _kind(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "casestate" in frame.filename or frame.filename == __file__]
    where = ours[-1] if ours else frames[-1]
    return f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno} {where.name}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _report(name: str, outcome: Outcome, seed: int) -> None:
    common = ", ".join(f"{what} {count:,}" for what, count in outcome.tally.most_common(6))
    took, number = outcome.slowest
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    _say(
        f"{name}: {outcome.inputs:,} inputs in {outcome.seconds:.0f} s, {len(outcome.defects)} defects; "
        f"slowest {took:.2f} s (--first {number}); {memory} MiB at most; {common}"
    )
    for kind, (first, trace) in outcome.defects.items():
        again = f"python tests/fuzz.py --seed {seed} --first {first} --inputs 1 {name}"
        _say(f"\n  {kind}\n  {again}\n{trace}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the targets one after another; 1 if there are defects."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--inputs", type=int, default=1_000, help="for each target (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="for each target; no limit if left out"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input (%(default)s)")
    given = parser.parse_args(arguments)
    if unknown := set(given.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))} (there are: {', '.join(TARGETS)})")
    found = 0
    for name in given.targets or TARGETS:
        numbers: Iterator[int] = iter(range(given.first, given.first + given.inputs))
        outcome = attempt(TARGETS[name], numbers, seed=given.seed, until=time.monotonic() + given.seconds)
        _report(name, outcome, given.seed)
        found += len(outcome.defects)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
