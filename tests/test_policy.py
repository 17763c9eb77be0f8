"""Policies as data: every key of the file format, everything that can be wrong with it, and overlays."""

from __future__ import annotations

import copy
import enum
import json
import os
import pickle
import re
import subprocess
import sys
import tomllib
import zoneinfo

from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest
import tomli_w

from hypothesis import given
from hypothesis import strategies as st

from casestate import Calendar, Length, Policy, PolicyError, Problem, Workflow, load_policy
from casestate import policies as documented
from casestate.policy import MOST_REPEATS, PREVIOUS, Status, Transition
from casestate.testing.strategies import HOSTILE_TEXTS, ODD_NAMES, policies, policy_tables, texts


GONE = object()
HUGE = 10**5000
KEYS = "format, name, initial, roles, calendar, statuses, transitions, timers"
STATES = "new, pending.us, pending.them, closed"
TARGETS = f"{STATES}, pending, @previous"
PATTERNS = "*, *open, new, pending, closed, pending.us, pending.them"
UNITS = "weeks, days, hours, minutes, seconds, calendar_days, business_days"
TIMER_KEYS = "in, kind, audience, after, repeat, notice, to"
WEEK = "mon, tue, wed, thu, fri, sat, sun"
NAME = "must be a name of lower-case letters, digits and underscores, beginning with a letter, not"
POLICY_NAME = (
    "must be a name of lower-case letters, digits and underscores or hyphens, beginning with a letter, not"
)
TOO_LONG = "can never come due: it is longer than time goes on (the year 9999)"
NEITHER = "is neither a date ('2026-12-24') nor a region of the holidays package ('DE-BE')"


def desk() -> dict[str, Any]:
    """A policy with something of everything, as a file has it."""
    return {
        "format": 1,
        "name": "desk",
        "initial": "new",
        "statuses": {
            "new": {},
            "pending": {"sub_statuses": {"us": {}, "them": {}}},
            "closed": {"closed": True},
        },
        "transitions": [
            {"event": "ask", "by": ["agent"], "from": ["*open"], "to": "pending"},
            {"event": "clone", "by": ["customer"], "from": ["closed"]},
        ],
        "timers": {
            "remind": {"in": ["pending.us"], "kind": "remind", "after": {"days": 7}},
            "close": {"in": ["pending.us"], "after": {"days": 28}, "to": "closed"},
        },
    }


def changed(place: str, value: object) -> dict[str, Any]:
    """The same with another value at ``place``, such as ``timers.close.after``; or without it."""
    table: Any = desk()
    *way, last = [int(part) if part.isdigit() else part for part in re.findall(r"\w+", place)]
    here = table
    for part in way:
        here = here[part]
    if value is GONE:
        del here[last]
    elif isinstance(here, list) and last == len(here):
        here.append(value)
    else:
        here[last] = value
    assert isinstance(table, dict)
    return table


def row(**more: object) -> dict[str, object]:
    """A row of the table, for any state."""
    return {"event": "x", "by": ["agent"], "from": ["*"], **more}


def problems_of(table: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - what is wrong can be anything
    with pytest.raises(PolicyError) as caught:
        load_policy(table)
    assert all(isinstance(problem, Problem) for problem in caught.value.problems)
    return [(problem.path, problem.message) for problem in caught.value.problems]


# --- what every key means ----------------------------------------------------


def test_a_policy_says_what_its_file_says() -> None:
    policy = load_policy(
        {
            "format": 1,
            "name": "own-desk",
            "initial": "pending.us",
            "roles": ["customer", "boss", "system"],
            "calendar": {
                "zone": "Europe/Berlin",
                "weekend": ["fri", "sat"],
                "holidays": ["2026-12-24", date(2026, 12, 31), "DE-BE"],
            },
            "statuses": {
                "pending": {
                    "label": "On hold",
                    "meaning": "We wait.",
                    "sub_statuses": {
                        "us": {
                            "label": "For us",
                            "meaning": "Our turn.",
                            "action_required": "None.",
                            "waiting_on": "support",
                        },
                        "third_party": {},
                    },
                },
                "all_done": {"closed": True},
            },
            "transitions": [
                {
                    "event": "take",
                    "by": ["boss", "customer"],
                    "from": ["pending.us", "all_done"],
                    "to": "pending",
                    "when": "unassigned",
                    "needs": ["assignee"],
                },
                {"event": "stop", "by": "system", "from": "*open", "refuse": True},
                {"event": "back", "by": "boss", "from": "*", "to": "@previous", "when": "assigned"},
            ],
            "timers": {
                "nag": {
                    "in": "pending",
                    "kind": "notify",
                    "audience": "third_party",
                    "after": {"weeks": 1, "hours": 4},
                    "repeat": {"every": {"hours": 12}, "times": 2},
                    "notice": {"minutes": 5},
                },
                "shut": {
                    "in": ["pending.us", "pending.third_party"],
                    "after": {"business_days": 20},
                    "notice": {"calendar_days": 2},
                    "to": "all_done",
                    "audience": "customer",
                },
            },
        }
    )
    assert policy.name == "own-desk"
    assert policy.initial == "pending.us"
    assert policy.roles == ("customer", "boss", "system")
    assert policy.calendar == Calendar(
        "Europe/Berlin", ("fri", "sat"), (date(2026, 12, 24), date(2026, 12, 31), "DE-BE")
    )
    assert list(policy.statuses) == ["pending", "all_done"]
    pending, all_done = policy.statuses.values()
    assert (pending.name, pending.label, pending.meaning) == ("pending", "On hold", "We wait.")
    assert (pending.closed, all_done.closed) == (False, True)
    assert pending.sub_statuses == {
        "us": Status(
            name="us",
            label="For us",
            meaning="Our turn.",
            action_required="None.",
            waiting_on="support",
        ),
        "third_party": Status(name="third_party", label="Third Party"),
    }
    assert all_done == Status(name="all_done", label="All Done", closed=True)
    assert policy.transitions == (
        Transition(
            event="take",
            by=("boss", "customer"),
            from_=("pending.us", "all_done"),
            to="pending",
            when="unassigned",
            needs=("assignee",),
        ),
        Transition(event="stop", by=("system",), from_=("*open",), refuse=True),
        Transition(event="back", by=("boss",), from_=("*",), to=PREVIOUS, when="assigned"),
    )
    nag, shut = policy.timers.values()
    assert (nag.name, nag.in_, nag.kind, nag.audience) == ("nag", ("pending",), "notify", "third_party")
    assert nag.after == Length("elapsed", 7 * 86_400 + 4 * 3_600)
    assert nag.repeat is not None
    assert (nag.repeat.every, nag.repeat.times) == (Length("elapsed", 43_200), 2)
    assert nag.notice == Length("elapsed", 300)
    assert nag.to is None
    assert (shut.kind, shut.to, shut.audience, shut.repeat) == ("close", "all_done", "customer", None)
    assert shut.after == Length("business_days", 20)
    assert shut.notice == Length("calendar_days", 2)
    assert shut.in_ == ("pending.us", "pending.third_party")
    assert policy.states == ("pending.us", "pending.third_party", "all_done")
    assert policy.events == ("take", "stop", "back")
    assert policy.described("pending.us") is pending.sub_statuses["us"]
    assert policy.described("all_done") is all_done
    assert policy.is_closed("all_done")
    assert not policy.is_closed("pending.us")


def test_what_may_be_left_out_has_these_values() -> None:
    policy = load_policy({"format": 1, "name": "a", "initial": "only_one", "statuses": {"only_one": {}}})
    assert policy.roles == ("customer", "agent", "system")
    assert policy.calendar == Calendar("UTC", ("sat", "sun"), ())
    assert policy.transitions == ()
    assert policy.timers == {}
    status = policy.statuses["only_one"]
    assert (status.label, status.meaning, status.action_required, status.waiting_on) == (
        "Only One",
        None,
        None,
        None,
    )
    assert (status.closed, status.sub_statuses) == (False, {})
    assert policy.schedules == {"only_one": ()}


def test_a_timer_with_a_target_closes_or_moves_by_what_the_target_is() -> None:
    table = changed("timers.move", {"in": "new", "after": {"days": 1}, "to": "pending.us"})
    timers = load_policy(table).timers
    assert {name: timer.kind for name, timer in timers.items()} == {
        "remind": "remind",
        "close": "close",
        "move": "move",
    }


def test_patterns_stand_for_states_in_the_order_of_the_policy() -> None:
    policy = load_policy(desk())
    assert policy.matching(["closed", "new"]) == ("new", "closed")
    assert policy.matching(["pending"]) == ("pending.us", "pending.them")
    assert policy.matching(["*open"]) == ("new", "pending.us", "pending.them")
    assert policy.matching(["*open", "closed"]) == policy.matching(["*"]) == policy.states
    assert policy.matching(["pending.them", "*open"]) == ("new", "pending.us", "pending.them")
    assert policy.matching(["us"]) == ()
    assert policy.matching([]) == ()


def test_events_stand_once_each_in_the_order_of_the_file() -> None:
    table = desk()
    table["transitions"] += [row(event="beg"), row(event="ask")]
    assert load_policy(table).events == ("ask", "clone", "beg")


def test_one_name_may_stand_where_a_list_can() -> None:
    table = desk()
    table["roles"] = "agent"
    table["calendar"] = {"weekend": "sun"}
    table["transitions"] = [{"event": "take", "by": "agent", "from": "new", "needs": "assignee"}]
    policy = load_policy(table)
    assert policy.roles == ("agent",)
    assert policy.calendar.weekend == ("sun",)
    assert policy.transitions == (
        Transition(event="take", by=("agent",), from_=("new",), needs=("assignee",)),
    )
    assert load_policy(changed("calendar", {"weekend": []})).calendar.weekend == ()
    assert load_policy(changed("transitions[0].needs", [])).transitions[0].needs == ()


def test_a_policy_is_frozen_in_all_its_parts() -> None:
    policy: Any = load_policy(desk())
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        policy.name = "other"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        policy.timers["close"].to = "new"
    for table in (policy.statuses, policy.timers, policy.statuses["pending"].sub_statuses):
        with pytest.raises(TypeError, match="does not support item"):
            table["x"] = None


@pytest.mark.parametrize("number", [1, 2, 100])
def test_a_repeat_can_be_as_many_as_this(number: int) -> None:
    table = changed("timers.remind.repeat", {"every": {"seconds": 1}, "times": number})
    assert len(load_policy(table).schedules["pending.us"]) == number + 1
    assert MOST_REPEATS == 100


@pytest.mark.parametrize(
    ("after", "amount"),
    [
        ({"seconds": 0}, Length("elapsed", 0)),
        ({"days": 0, "hours": 0}, Length("elapsed", 0)),
        ({"weeks": 2, "days": 1, "hours": 3, "minutes": 4, "seconds": 5}, Length("elapsed", 1_307_045)),
        ({"calendar_days": 1}, Length("calendar_days", 1)),
        ({"business_days": 28}, Length("business_days", 28)),
        ({"days": 3_652_059}, Length("elapsed", 3_652_059 * 86_400)),
        ({"seconds": 3_652_060 * 86_400 - 1}, Length("elapsed", 3_652_060 * 86_400 - 1)),
        ({"calendar_days": 3_652_059}, Length("calendar_days", 3_652_059)),
    ],
)
def test_lengths_add_their_units_up(after: dict[str, int], amount: Length) -> None:
    timer = {"in": "new", "kind": "remind", "after": after}
    assert load_policy(changed("timers.long", timer)).timers["long"].after == amount


# --- what can be wrong -------------------------------------------------------

WRONG: list[tuple[str, object, list[tuple[str, str]]]] = [
    ("format", GONE, [("format", "is missing")]),
    ("format", 2, [("format", "this version reads format 1, not 2")]),
    ("format", "1", [("format", "this version reads format 1, not '1'")]),
    ("format", True, [("format", "this version reads format 1, not True")]),
    ("name", GONE, [("name", "is missing")]),
    ("name", "", [("name", f"{POLICY_NAME} ''")]),
    ("name", "Desk", [("name", f"{POLICY_NAME} 'Desk'")]),
    ("name", 3, [("name", f"{POLICY_NAME} 3")]),
    ("name", "a b", [("name", f"{POLICY_NAME} 'a b'")]),
    ("name", "a\n", [("name", f"{POLICY_NAME} 'a\\n'")]),
    ("name", "-a", [("name", f"{POLICY_NAME} '-a'")]),
    ("initial", GONE, [("initial", "is missing")]),
    ("initial", "", [("initial", "must be text, not ''")]),
    ("initial", 1, [("initial", "must be text, not 1")]),
    (
        "initial",
        "nwe",
        [("initial", f"unknown state 'nwe'; did you mean 'new'? (there are: {STATES})")],
    ),
    (
        "initial",
        "pending",
        [("initial", f"'pending' has sub-statuses and is no state by itself (there are: {STATES})")],
    ),
    ("initial", "@previous", [("initial", f"unknown state '@previous' (there are: {STATES})")]),
    (
        "timer",
        {},
        [
            (
                "timer",
                f"unknown key; did you mean 'timers'? (there are: {KEYS})",
            )
        ],
    ),
    # roles
    ("roles", [], [("roles", "must name at least one")]),
    ("roles", 3, [("roles", "must be a list, not 3")]),
    ("roles", ["agent", "agent", "customer"], [("roles[1]", "'agent' stands there twice")]),
    ("roles", ["agent", ""], [("roles[1]", "must be a name, not ''")]),
    (
        "roles",
        [4, "Agent"],
        [("roles[0]", "must be a name, not 4"), ("roles[1]", f"{NAME} 'Agent'")],
    ),
    ("roles", "Agent", [("roles", f"{NAME} 'Agent'")]),
    (
        "roles",
        ["agnt", "customer"],
        [
            (
                "transitions[0].by",
                "unknown role 'agent'; did you mean 'agnt'? (there are: agnt, customer)",
            )
        ],
    ),
    # calendar
    ("calendar", [], [("calendar", "must be a table, not []")]),
    (
        "calendar",
        {"zoen": "UTC"},
        [("calendar.zoen", "unknown key; did you mean 'zone'? (there are: zone, weekend, holidays)")],
    ),
    (
        "calendar",
        {"zone": "Europe/Berln"},
        [("calendar.zone", "no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?")],
    ),
    (
        "calendar",
        {"zone": "nowhere"},
        [("calendar.zone", "no time zone 'nowhere'; give an IANA name such as 'Europe/Berlin'")],
    ),
    (
        "calendar",
        {"zone": "../../etc/passwd"},
        [("calendar.zone", "no time zone '../../etc/passwd'; give an IANA name such as 'Europe/Berlin'")],
    ),
    ("calendar", {"zone": ""}, [("calendar.zone", "must be text, not ''")]),
    ("calendar", {"zone": 3}, [("calendar.zone", "must be text, not 3")]),
    ("calendar", {"weekend": 3}, [("calendar.weekend", "must be a list, not 3")]),
    (
        "calendar",
        {"weekend": ["sat", "sunday"]},
        [("calendar.weekend[1]", f"unknown name 'sunday'; did you mean 'sun'? (there are: {WEEK})")],
    ),
    ("calendar", {"weekend": ["sat", "sat"]}, [("calendar.weekend[1]", "'sat' stands there twice")]),
    (
        "calendar",
        {"weekend": WEEK.split(", ")},
        [("calendar.weekend", "a week without a business day")],
    ),
    ("calendar", {"holidays": "DE"}, [("calendar.holidays", "must be a list, not 'DE'")]),
    (
        "calendar",
        {"holidays": ["2026-02-30"]},
        [("calendar.holidays[0]", "no date '2026-02-30': day is out of range for month")],
    ),
    ("calendar", {"holidays": ["20261224"]}, [("calendar.holidays[0]", f"'20261224' {NEITHER}")]),
    (
        "calendar",
        {"holidays": ["2026-12-24", 20261224, "de"]},
        [("calendar.holidays[1]", f"20261224 {NEITHER}"), ("calendar.holidays[2]", f"'de' {NEITHER}")],
    ),
    (
        "calendar",
        {"holidays": [datetime(2026, 12, 24, tzinfo=UTC)]},
        [
            (
                "calendar.holidays[0]",
                f"datetime.datetime(2026, 12, 24, 0, 0, tzinfo=datetime.timezone.utc) {NEITHER}",
            )
        ],
    ),
    (
        "calendar",
        {"holidays": ["DE-BEE"]},
        [("calendar.holidays[0]", "the holidays package knows no region 'DE-BEE'; did you mean 'DE-BE'?")],
    ),
    (
        "calendar",
        {"holidays": ["XXXX"]},
        [
            (
                "calendar.holidays[0]",
                "the holidays package knows no region 'XXXX'; regions are written like 'DE' or 'DE-BE'",
            )
        ],
    ),
    # statuses
    ("statuses", GONE, [("statuses", "is missing")]),
    ("statuses", [], [("statuses", "must be a table of named tables, not []")]),
    ("statuses", {}, [("statuses", "must name at least one")]),
    ("statuses.new", 3, [("statuses.new", "must be a table, not 3")]),
    ("statuses.New", {}, [("statuses.New", f"{NAME} 'New'")]),
    ("statuses.new.label", "", [("statuses.new.label", "must be text, not ''")]),
    ("statuses.new.meaning", [], [("statuses.new.meaning", "must be text, not []")]),
    ("statuses.new.action_required", 3, [("statuses.new.action_required", "must be text, not 3")]),
    ("statuses.new.waiting_on", False, [("statuses.new.waiting_on", "must be text, not False")]),
    (
        "statuses.new.colour",
        "red",
        [
            (
                "statuses.new.colour",
                "unknown key (there are: label, meaning, action_required, waiting_on, closed, sub_statuses)",
            )
        ],
    ),
    ("statuses.new.closed", "yes", [("statuses.new.closed", "must be true or false, not 'yes'")]),
    ("statuses.new.closed", 1, [("statuses.new.closed", "must be true or false, not 1")]),
    (
        "statuses.pending.sub_statuses",
        [],
        [("statuses.pending.sub_statuses", "must be a table of named tables, not []")],
    ),
    (
        "statuses.pending.sub_statuses.us",
        3,
        [("statuses.pending.sub_statuses.us", "must be a table, not 3")],
    ),
    (
        "statuses.pending.sub_statuses.us.closed",
        True,
        [
            (
                "statuses.pending.sub_statuses.us.closed",
                "unknown key (there are: label, meaning, action_required, waiting_on)",
            )
        ],
    ),
    ("statuses.pending.sub_statuses.Us", {}, [("statuses.pending.sub_statuses.Us", f"{NAME} 'Us'")]),
    (
        "statuses.pending.sub_statuses.us.label",
        0,
        [("statuses.pending.sub_statuses.us.label", "must be text, not 0")],
    ),
    # transitions
    ("transitions", {}, [("transitions", "must be a list, not {}")]),
    ("transitions", [3], [("transitions[0]", "must be a table, not 3")]),
    (
        "transitions[0]",
        {},
        [
            ("transitions[0].event", "is missing"),
            ("transitions[0].by", "is missing"),
            ("transitions[0].from", "is missing"),
        ],
    ),
    ("transitions[0].event", "Ask", [("transitions[0].event", f"{NAME} 'Ask'")]),
    ("transitions[0].by", [], [("transitions[0].by", "must name at least one")]),
    ("transitions[0].by", [3], [("transitions[0].by[0]", "must be a name, not 3")]),
    (
        "transitions[0].by",
        "agnet",
        [
            (
                "transitions[0].by",
                "unknown role 'agnet'; did you mean 'agent'? (there are: customer, agent, system)",
            )
        ],
    ),
    (
        "transitions[0].by",
        ["agent", "custmer"],
        [
            (
                "transitions[0].by[1]",
                "unknown role 'custmer'; did you mean 'customer'? (there are: customer, agent, system)",
            )
        ],
    ),
    ("transitions[0].from", [], [("transitions[0].from", "must name at least one")]),
    (
        "transitions[0].from",
        ["new", "close"],
        [
            (
                "transitions[0].from[1]",
                f"unknown state 'close'; did you mean 'closed'? (there are: {PATTERNS})",
            )
        ],
    ),
    (
        "transitions[0].from",
        ["*opn"],
        [("transitions[0].from", f"unknown state '*opn'; did you mean '*open'? (there are: {PATTERNS})")],
    ),
    (
        "transitions[0].from",
        "@previous",
        [("transitions[0].from", f"unknown state '@previous' (there are: {PATTERNS})")],
    ),
    (
        "transitions[0].to",
        "pendng",
        [
            (
                "transitions[0].to",
                f"unknown state 'pendng'; did you mean 'pending'? (there are: {TARGETS})",
            )
        ],
    ),
    (
        "transitions[0].to",
        "pending.you",
        [
            (
                "transitions[0].to",
                f"unknown state 'pending.you'; did you mean 'pending.us'? (there are: {TARGETS})",
            )
        ],
    ),
    ("transitions[0].to", "", [("transitions[0].to", "must be text, not ''")]),
    (
        "transitions[0].when",
        "asigned",
        [
            (
                "transitions[0].when",
                "'asigned' is none of them; did you mean 'assigned'? (there are: assigned, unassigned)",
            )
        ],
    ),
    (
        "transitions[0].when",
        [3],
        [("transitions[0].when", "[3] is none of them (there are: assigned, unassigned)")],
    ),
    (
        "transitions[0].needs",
        ["sub_status"],
        [("transitions[0].needs[0]", "unknown name 'sub_status' (there are: assignee)")],
    ),
    ("transitions[0].needs", 3, [("transitions[0].needs", "must be a list, not 3")]),
    ("transitions[0].refuse", "yes", [("transitions[0].refuse", "must be true or false, not 'yes'")]),
    (
        "transitions[0].then",
        "x",
        [
            (
                "transitions[0].then",
                "unknown key; did you mean 'when'? (there are: event, by, from, to, when, needs, refuse)",
            )
        ],
    ),
    (
        "transitions[0].refuse",
        True,
        [("transitions[0]", "a row that refuses has no 'to' and no 'needs'")],
    ),
    (
        "transitions[2]",
        row(refuse=True, needs=["assignee"]),
        [("transitions[2]", "a row that refuses has no 'to' and no 'needs'")],
    ),
    (
        "transitions[1].to",
        "pending",
        [("transitions[1]", "cloning takes no argument: no 'needs', and a 'to' that is a state")],
    ),
    (
        "transitions[1].needs",
        ["assignee"],
        [("transitions[1]", "cloning takes no argument: no 'needs', and a 'to' that is a state")],
    ),
    (
        "transitions[2]",
        row(by=["system"], to="pending"),
        [("transitions[2].to", "a row by system would restart the timers of the state it is in")],
    ),
    (
        "transitions[2]",
        {"event": "x", "by": ["agent", "system"], "from": ["closed"], "to": "closed"},
        [("transitions[2].to", "a row by system would restart the timers of the state it is in")],
    ),
    # timers
    ("timers", [], [("timers", "must be a table of named tables, not []")]),
    ("timers.remind", 3, [("timers.remind", "must be a table, not 3")]),
    (
        "timers.Remind",
        {"in": "new", "kind": "remind", "after": {"days": 1}},
        [("timers.Remind", f"{NAME} 'Remind'")],
    ),
    (
        "timers.remind",
        {},
        [
            ("timers.remind.in", "is missing"),
            ("timers.remind.after", "is missing"),
            ("timers.remind", "needs a kind ('remind' or 'notify'), or a 'to'"),
        ],
    ),
    ("timers.remind.in", [], [("timers.remind.in", "must name at least one")]),
    (
        "timers.remind.in",
        "pendin.us",
        [
            (
                "timers.remind.in",
                f"unknown state 'pendin.us'; did you mean 'pending.us'? (there are: {PATTERNS})",
            )
        ],
    ),
    (
        "timers.remind.kind",
        "reminder",
        [
            (
                "timers.remind.kind",
                "'reminder' is none of them; did you mean 'remind'? (there are: remind, notify)",
            )
        ],
    ),
    (
        "timers.remind.kind",
        "close",
        [("timers.remind.kind", "'close' is none of them (there are: remind, notify)")],
    ),
    ("timers.remind.kind", GONE, [("timers.remind", "needs a kind ('remind' or 'notify'), or a 'to'")]),
    (
        "timers.close.kind",
        "remind",
        [("timers.close.kind", "a timer with a 'to' has no kind of its own: leave it out")],
    ),
    ("timers.remind.audience", "", [("timers.remind.audience", "must be text, not ''")]),
    ("timers.remind.colour", 3, [("timers.remind.colour", f"unknown key (there are: {TIMER_KEYS})")]),
    ("timers.remind.after", 7, [("timers.remind.after", "must be a table, not 7")]),
    (
        "timers.remind.after",
        {},
        [("timers.remind.after", f"needs a length, such as {{days = 14}}; the units are {UNITS}")],
    ),
    (
        "timers.remind.after",
        {"day": 7},
        [("timers.remind.after.day", f"unknown key; did you mean 'days'? (there are: {UNITS})")],
    ),
    ("timers.remind.after", {"days": -1}, [("timers.remind.after.days", "at least 0, not -1")]),
    ("timers.remind.after", {"days": 1.5}, [("timers.remind.after.days", "a whole number, not 1.5")]),
    ("timers.remind.after", {"days": True}, [("timers.remind.after.days", "a whole number, not True")]),
    ("timers.remind.after", {"days": "7"}, [("timers.remind.after.days", "a whole number, not '7'")]),
    (
        "timers.remind.after",
        {"calendar_days": 0},
        [("timers.remind.after.calendar_days", "at least 1, not 0")],
    ),
    (
        "timers.remind.after",
        {"business_days": 0},
        [("timers.remind.after.business_days", "at least 1, not 0")],
    ),
    (
        "timers.remind.after",
        {"hours": 1, "calendar_days": 1, "days": 2},
        [("timers.remind.after", "calendar_days stands alone, without hours, days")],
    ),
    (
        "timers.remind.after",
        {"business_days": 1, "calendar_days": 1},
        [("timers.remind.after", "calendar_days stands alone, without business_days")],
    ),
    ("timers.remind.after", {"days": 10**30}, [("timers.remind.after", TOO_LONG)]),
    ("timers.remind.after", {"days": 3_652_059, "hours": 24}, [("timers.remind.after", TOO_LONG)]),
    ("timers.remind.after", {"calendar_days": 3_652_060}, [("timers.remind.after", TOO_LONG)]),
    ("timers.remind.after", {"business_days": 3_652_060}, [("timers.remind.after", TOO_LONG)]),
    ("timers.remind.repeat", 3, [("timers.remind.repeat", "must be a table, not 3")]),
    (
        "timers.remind.repeat",
        {},
        [("timers.remind.repeat.every", "is missing"), ("timers.remind.repeat.times", "is missing")],
    ),
    (
        "timers.remind.repeat",
        {"every": {"days": 1}, "times": 0},
        [("timers.remind.repeat.times", "a whole number from 1 to 100, not 0")],
    ),
    (
        "timers.remind.repeat",
        {"every": {"days": 1}, "times": 10**9},
        [("timers.remind.repeat.times", "a whole number from 1 to 100, not 1000000000")],
    ),
    (
        "timers.remind.repeat",
        {"every": {"seconds": 1}, "times": 101},
        [("timers.remind.repeat.times", "a whole number from 1 to 100, not 101")],
    ),
    (
        "timers.remind.repeat",
        {"every": {"days": 1}, "times": 2.5},
        [("timers.remind.repeat.times", "a whole number from 1 to 100, not 2.5")],
    ),
    (
        "timers.remind.repeat",
        {"every": {"days": 1}, "times": True},
        [("timers.remind.repeat.times", "a whole number from 1 to 100, not True")],
    ),
    (
        "timers.remind.repeat",
        {"every": {"days": 0}, "times": 2},
        [("timers.remind.repeat.every", "must be longer than nothing")],
    ),
    (
        "timers.remind.repeat",
        {"every": {"calendar_days": 1}, "times": 2},
        [("timers.remind.repeat.every", "must be of the kind of 'after' (7 days), not 1 calendar day")],
    ),
    (
        "timers.remind.repeat",
        {"every": {"days": 50_000}, "times": 100},
        [("timers.remind.repeat", TOO_LONG)],
    ),
    (
        "timers.remind.repeat",
        {"every": {"days": 3_652_059}, "times": 100},
        [("timers.remind.repeat", TOO_LONG)],
    ),
    (
        "timers.remind.repeat",
        {"every": 3, "times": 2, "until": 3},
        [
            ("timers.remind.repeat.until", "unknown key (there are: every, times)"),
            ("timers.remind.repeat.every", "must be a table, not 3"),
        ],
    ),
    (
        "timers.close.repeat",
        {"every": {"days": 1}, "times": 2},
        [("timers.close.repeat", "a timer with a 'to' moves the case away: it cannot repeat")],
    ),
    (
        "timers.close.notice",
        {"dais": 1},
        [("timers.close.notice.dais", f"unknown key; did you mean 'days'? (there are: {UNITS})")],
    ),
    (
        "timers.remind.notice",
        {"days": 1},
        [
            (
                "timers.remind.notice",
                "it is the first timer of pending.us: no timer before it could have been settled",
            )
        ],
    ),
    (
        "timers.close.to",
        "clsed",
        [("timers.close.to", f"unknown state 'clsed'; did you mean 'closed'? (there are: {STATES})")],
    ),
    (
        "timers.close.to",
        "pending",
        [("timers.close.to", f"'pending' has sub-statuses and is no state by itself (there are: {STATES})")],
    ),
    (
        "timers.close.to",
        "@previous",
        [("timers.close.to", f"unknown state '@previous' (there are: {STATES})")],
    ),
    ("timers.close.to", "", [("timers.close.to", "must be text, not ''")]),
    ("timers.close.to", "pending.us", [("timers.close.to", "a timer would restart the state it is in")]),
    ("timers.close.in", ["new", "*"], [("timers.close.to", "a timer would restart the state it is in")]),
    (
        "timers.late",
        {"in": "*open", "kind": "remind", "after": {"days": 29}},
        [("timers.late.after", "can never fire in pending.us: 'close' moves the case away before")],
    ),
    (
        "timers.late",
        {"in": "pending.us", "after": {"days": 28}, "to": "new"},
        [("timers.late.after", "can never fire in pending.us: 'close' moves the case away before")],
    ),
    (
        "timers.remind.repeat",
        {"every": {"days": 10}, "times": 4},
        [("timers.remind.after", "can never fire in pending.us: 'close' moves the case away before")],
    ),
    ("initial", "x" * 300, [("initial", f"unknown state '{'x' * 199}… (there are: {STATES})")]),
]

# Hostile to those who show them.
TOO_LARGE: list[tuple[str, object, list[tuple[str, str]]]] = [
    ("format", HUGE, [("format", "this version reads format 1, not a value too large to show (int)")]),
    (
        "timers.remind.after",
        {"days": -HUGE},
        [("timers.remind.after.days", "at least 0, not a value too large to show (int)")],
    ),
    ("timers.remind.after", {"days": HUGE}, [("timers.remind.after", TOO_LONG)]),
    (
        "timers.remind.kind",
        HUGE,
        [
            (
                "timers.remind.kind",
                "a value too large to show (int) is none of them (there are: remind, notify)",
            )
        ],
    ),
]


@pytest.mark.parametrize(
    ("place", "value", "problems"),
    [*WRONG, *TOO_LARGE],
    ids=[f"{number}-{place}" for number, (place, *_) in enumerate([*WRONG, *TOO_LARGE])],
)
def test_what_is_wrong_is_named_by_its_place(
    place: str, value: object, problems: list[tuple[str, str]]
) -> None:
    load_policy(desk())
    assert problems_of(changed(place, value)) == problems


def nested(depth: int) -> object:
    deep: object = []
    for _ in range(depth):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    "place",
    [
        "format",
        "name",
        "initial",
        "roles",
        "calendar",
        "statuses",
        "statuses.new.label",
        "transitions",
        "transitions[0].event",
        "transitions[0].needs",
        "timers.remind.after",
        "timers.remind.kind",
        "timers.remind.repeat",
    ],
)
def test_a_value_nested_too_deep_is_refused_like_any_other(place: str) -> None:
    ((path, message),) = problems_of(changed(place, nested(100_000)))[:1]
    assert path.startswith(place)
    assert "a value too large to show (list)" in message


def test_a_number_with_a_point_is_no_whole_number() -> None:
    assert problems_of(changed("timers.remind.after", {"days": 7.0})) == [
        ("timers.remind.after.days", "a whole number, not 7.0")
    ]
    assert problems_of(changed("timers.remind.repeat", {"every": {"days": 1}, "times": 2.0})) == [
        ("timers.remind.repeat.times", "a whole number from 1 to 100, not 2.0")
    ]


def test_all_problems_are_reported_at_once() -> None:
    table = {
        "format": 2,
        "name": "A",
        "initial": "nwe",
        "roles": ["agent"],
        "calendar": {"zone": "Mars", "weekend": ["x"]},
        "statuses": {"new": {"label": 3}, "done": {"closed": True}},
        "transitions": [{"event": "x", "by": ["agnt"], "from": ["nwe"], "to": "dnoe"}, {"event": "Y"}],
        "timers": {
            "a": {"in": "nwe", "kind": "tell", "after": {"days": -1}},
            "b": {"in": "new", "after": {"days": 1}, "to": "dnoe"},
        },
        "extra": 1,
    }
    assert [path for path, _ in problems_of(table)] == [
        "extra",
        "format",
        "statuses.new.label",
        "name",
        "calendar.zone",
        "calendar.weekend[0]",
        "transitions[1].by",
        "transitions[1].from",
        "transitions[1].event",
        "timers.a.kind",
        "timers.a.after.days",
        "initial",
        "transitions[0].by",
        "transitions[0].from",
        "transitions[0].to",
        "timers.a.in",
        "timers.b.to",
    ]


def test_what_depends_on_statuses_that_cannot_be_read_is_not_reported_too() -> None:
    for place, value in [
        ("statuses.new", 3),
        ("statuses.pending.sub_statuses", 3),
        ("statuses.pending.sub_statuses.us", 3),
        ("statuses.pending.closed", 3),
        ("statuses.pending.sub_status", {}),
    ]:
        table = changed(place, value)
        table["initial"] = "nowhere"
        table["timers"]["remind"]["in"] = "nowhere"
        assert [path for path, _ in problems_of(table)] == [place]
    # What people read of a status has no such effect.
    for text in ("label", "meaning", "action_required", "waiting_on"):
        table = changed(f"statuses.pending.sub_statuses.us.{text}", 3)
        table["initial"] = "nowhere"
        assert [path for path, _ in problems_of(table)] == [
            f"statuses.pending.sub_statuses.us.{text}",
            "initial",
        ]


def test_parts_that_cannot_be_read_are_passed_over_by_the_checks_of_the_whole() -> None:
    table = changed("timers.close.after", {"dais": 1})
    table["timers"]["remind"]["notice"] = {"days": 1}  # perhaps the first timer, perhaps not
    assert [path for path, _ in problems_of(table)] == ["timers.close.after.dais"]
    table = changed("timers.close.after", {"dais": 1})
    table["timers"]["late"] = {"in": "pending.us", "kind": "remind", "after": {"days": 99}}
    assert [path for path, _ in problems_of(table)] == ["timers.close.after.dais"]
    table = changed("roles", 3)
    table["transitions"][0]["by"] = "nobody"
    assert [path for path, _ in problems_of(table)] == ["roles"]
    table = changed("transitions[0].to", 3)
    table["transitions"][0]["by"] = ["system"]
    assert [path for path, _ in problems_of(table)] == ["transitions[0].to"]
    # A timer whose name begins like that of a broken one is sound.
    table = changed("timers.close.after", {"dais": 1})
    table["timers"]["close_2"] = {"in": "nowhere", "kind": "remind", "after": {"days": 1}}
    assert [path for path, _ in problems_of(table)] == ["timers.close.after.dais", "timers.close_2.in"]


def test_the_kind_of_a_repeat_is_not_compared_with_a_length_that_cannot_be_read() -> None:
    table = changed("timers.remind.repeat", {"every": {"calendar_days": 1}, "times": 2})
    table["timers"]["remind"]["after"] = {"days": -1}
    assert [path for path, _ in problems_of(table)] == ["timers.remind.after.days"]
    table["timers"]["remind"]["after"] = {"seconds": 1}
    assert [path for path, _ in problems_of(table)] == ["timers.remind.repeat.every"]


def test_a_timer_that_is_first_in_some_states_and_late_in_others_names_them_all() -> None:
    table = desk()
    table["timers"] = {
        "wide": {"in": "*open", "kind": "remind", "after": {"days": 3}, "notice": {"days": 1}},
        "early": {"in": "pending.us", "kind": "remind", "after": {"days": 2}},
        "move": {"in": ["pending.them"], "after": {"days": 1}, "to": "closed"},
        "move_2": {"in": ["closed"], "after": {"days": 1}, "to": "new"},
        "nag": {
            "in": "closed",
            "kind": "remind",
            "after": {"hours": 1},
            "repeat": {"every": {"days": 1}, "times": 3},
        },
    }
    assert problems_of(table) == [
        (
            "timers.wide.notice",
            "it is the first timer of new: no timer before it could have been settled",
        ),
        (
            "timers.wide.after",
            "can never fire in pending.them: 'move' moves the case away before",
        ),
        ("timers.nag.after", "can never fire in closed: 'move_2' moves the case away before"),
    ]
    table["timers"]["wide"]["in"] = ["new", "closed"]
    del table["timers"]["nag"], table["timers"]["move_2"]
    assert problems_of(table) == [
        (
            "timers.wide.notice",
            "it is the first timer of new, closed: no timer before it could have been settled",
        )
    ]


def test_the_longest_repeat_ends_with_time() -> None:
    every = {"days": 3_652_059 - 7}
    table = changed("timers", {"remind": {"in": "new", "kind": "remind", "after": {"days": 7}}})
    table["timers"]["remind"]["repeat"] = {"every": every, "times": 2}
    assert len(load_policy(table).schedules["new"]) == 2
    every["seconds"] = 86_400
    assert problems_of(table) == [("timers.remind.repeat", TOO_LONG)]


def test_problems_read_as_sentences_with_their_place() -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy(changed("timers.close.to", "clsed"))
    assert str(caught.value) == (
        f"desk: timers.close.to: unknown state 'clsed'; did you mean 'closed'? (there are: {STATES})"
    )
    assert caught.value.subject == "desk"
    assert isinstance(caught.value, ValueError)
    with pytest.raises(PolicyError) as caught:
        load_policy({"format": 1, "name": 3, "initial": "a"})
    assert str(caught.value) == f"policy: 2 problems\n  - statuses: is missing\n  - name: {POLICY_NAME} 3"
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems  # noqa: S301 - our own


def test_a_row_of_the_system_may_stand_below_one_that_refuses_what_it_would_restart() -> None:
    stay = {"event": "x", "by": ["system"], "from": ["closed"], "refuse": True}
    table = desk()
    table["transitions"] = [stay, row(by=["system"], to="closed")]
    assert load_policy(table).events == ("x",)
    restarts = [("transitions[1].to", "a row by system would restart the timers of the state it is in")]
    for change in ({"when": "assigned"}, {"by": ["agent"]}, {"event": "y"}, {"from": ["new"]}):
        table["transitions"] = [stay | change, row(by=["system"], to="closed")]
        assert problems_of(table) == restarts
    table["transitions"] = [row(by=["system"], to="closed"), stay]
    assert [path for path, _ in problems_of(table)] == ["transitions[0].to"]


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_what_is_no_mapping_is_no_policy(value: Any) -> None:  # noqa: ANN401 - the wrong ones
    with pytest.raises(PolicyError) as caught:
        Policy.from_dict(value, source="here")
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [
        ("", f"must be a table, not {value!r}")
    ]
    assert caught.value.subject == "here"


def test_keys_that_are_no_text_are_unknown_keys() -> None:
    keys: Any = {3: {}, None: 1}
    assert [path for path, _ in problems_of(desk() | keys)] == ["3", "None"]
    assert [path for path, _ in problems_of(changed("timers", {3: False}))] == ["timers.3", "timers.3"]


# --- the extras and the zones of the machine ---------------------------------


def test_a_region_without_the_extra_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "casestate.holidays", raising=False)
    monkeypatch.setitem(sys.modules, "holidays", None)
    message = (
        "the region 'DE-BE' needs the holidays extra (pip install 'casestate[holidays]'); "
        "or list the dates themselves"
    )
    table = changed("calendar", {"holidays": ["2026-12-24", "DE-BE"]})
    assert problems_of(table) == [("calendar.holidays[1]", message)]
    listed = load_policy(changed("calendar", {"holidays": ["2026-12-24"]}))
    assert listed.calendar.holidays == (date(2026, 12, 24),)


def test_a_machine_without_time_zones_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    assert problems_of(changed("calendar", {"zone": "Europe/Atlantis"})) == [
        (
            "calendar.zone",
            "no time zone 'Europe/Atlantis'; this machine has no time zone database: pip install tzdata",
        )
    ]


# --- overlays ----------------------------------------------------------------


def test_tables_merge_and_what_is_not_named_stays() -> None:
    base = load_policy(desk())
    policy = base.override(
        {
            "name": "other",
            "statuses": {"pending": {"label": "On hold", "sub_statuses": {"us": {"meaning": "Ours."}}}},
            "calendar": {"zone": "Europe/Berlin"},
            "timers": {"remind": {"after": {"days": 3}}},
        }
    )
    expected = desk()
    expected["name"] = "other"
    expected["calendar"] = {"zone": "Europe/Berlin"}
    expected["statuses"]["pending"]["label"] = "On hold"
    expected["statuses"]["pending"]["sub_statuses"]["us"]["meaning"] = "Ours."
    expected["timers"]["remind"]["after"] = {"days": 3}
    assert policy == load_policy(expected)
    assert base == load_policy(desk())


def test_a_table_may_be_called_like_a_length_and_merges_all_the_same() -> None:
    for name in ("after", "notice", "repeat", "every", "transitions"):
        table = changed(f"statuses.{name}", {"label": "One", "meaning": "Two."})
        policy = load_policy(table).override({"statuses": {name: {"label": "Three"}}})
        assert (policy.statuses[name].label, policy.statuses[name].meaning) == ("Three", "Two.")
        timer = {"in": "new", "kind": "remind", "after": {"days": 1}}
        policy = load_policy(changed(f"timers.{name}", timer)).override(
            {"timers": {name: {"kind": "notify"}}}
        )
        assert policy.timers[name].kind == "notify"


def test_new_tables_stand_after_those_that_are_there() -> None:
    policy = load_policy(desk()).override(
        {
            "statuses": {"late": {}, "new": {"label": "First"}, "pending": {"sub_statuses": {"all": {}}}},
            "timers": {"aaa": {"in": "late", "kind": "notify", "after": {"days": 0}}},
        }
    )
    assert policy.states == ("new", "pending.us", "pending.them", "pending.all", "closed", "late")
    assert list(policy.timers) == ["remind", "close", "aaa"]


@pytest.mark.parametrize(
    ("table", "length"),
    [
        ({"after": {"hours": 5}}, Length("elapsed", 18_000)),
        ({"after": {"business_days": 5}}, Length("business_days", 5)),
    ],
)
def test_a_length_is_replaced_whole(table: dict[str, Any], length: Length) -> None:
    policy = load_policy(changed("timers.remind.after", {"days": 7, "hours": 1}))
    assert policy.override({"timers": {"remind": table}}).timers["remind"].after == length


def test_a_repeat_a_notice_and_every_list_are_replaced_whole() -> None:
    table = desk()
    table["roles"] = ["agent", "customer", "system"]
    table["calendar"] = {"weekend": ["sat", "sun"], "holidays": ["2026-12-24"]}
    table["timers"]["remind"]["repeat"] = {"every": {"days": 7}, "times": 3}
    table["timers"]["close"]["notice"] = {"days": 7}
    base = load_policy(table)
    with pytest.raises(PolicyError, match=r"timers.remind.repeat.every: is missing"):
        base.override({"timers": {"remind": {"repeat": {"times": 2}}}})
    policy = base.override(
        {
            "roles": ["customer", "agent"],
            "calendar": {"holidays": ["2026-12-31"], "weekend": []},
            "timers": {
                "remind": {"repeat": {"every": {"hours": 1}, "times": 2}, "in": ["pending.us", "new"]},
                "close": {"notice": {"business_days": 1}},
            },
        }
    )
    assert policy.roles == ("customer", "agent")
    assert policy.calendar == Calendar("UTC", (), (date(2026, 12, 31),))
    assert policy.timers["remind"].in_ == ("pending.us", "new")
    repeat = policy.timers["remind"].repeat
    assert repeat is not None
    assert (repeat.every, repeat.times) == (Length("elapsed", 3_600), 2)
    assert policy.timers["close"].notice == Length("business_days", 1)


@pytest.mark.parametrize("rows", [list, tuple])
def test_transitions_of_the_overlay_stand_before_those_of_the_base(rows: type) -> None:
    policy = load_policy(desk()).override(
        {"transitions": rows([row(event="ask", refuse=True), row(event="beg")])}
    )
    assert [(transition.event, transition.refuse) for transition in policy.transitions] == [
        ("ask", True),
        ("beg", False),
        ("ask", False),
        ("clone", False),
    ]
    assert load_policy(desk()).override({"transitions": []}) == load_policy(desk())


def test_a_row_that_refuses_takes_what_it_matches_from_the_rows_below_it() -> None:
    base = load_policy(desk())
    when_assigned = {"event": "ask", "by": "agent", "from": "new", "when": "assigned", "refuse": True}
    workflow = Workflow(base.override({"transitions": [when_assigned]}))
    case = workflow.open("C-1", at=datetime(2026, 3, 2, tzinfo=UTC))
    assert workflow.allowed(case) == ("ask",)
    assert workflow.allowed(attrs.evolve(case, assignee="mira")) == ()
    pending = attrs.evolve(case, status="pending", sub_status="us", assignee="mira")
    assert workflow.allowed(pending, by="agent") == ("ask",)


def test_false_removes_a_named_table() -> None:
    base = load_policy(desk())
    policy = base.override(
        {"timers": {"remind": False}, "statuses": {"pending": {"sub_statuses": {"them": False}}}}
    )
    assert list(policy.timers) == ["close"]
    assert policy.states == ("new", "pending.us", "closed")
    assert base.override({"timers": False}).timers == {}
    assert base.override({"calendar": False}) == base
    without = load_policy(changed("transitions", [])).override(
        {"statuses": {"pending": False}, "timers": False}
    )
    assert without.states == ("new", "closed")


def test_false_removes_a_length_that_may_be_left_out() -> None:
    table = changed("timers.close.notice", {"days": 7})
    table["timers"]["remind"]["repeat"] = {"every": {"days": 7}, "times": 3}
    policy = load_policy(table).override(
        {"timers": {"close": {"notice": False}, "remind": {"repeat": False}}}
    )
    assert policy == load_policy(desk())
    with pytest.raises(PolicyError, match=r"timers\.close\.after: is missing"):
        policy.override({"timers": {"close": {"after": False}}})


def test_a_target_takes_the_place_of_the_kind_below_it_and_the_reverse() -> None:
    base = load_policy(desk())
    moved = base.override({"timers": {"close": False, "remind": {"to": "new"}}})
    assert (moved.timers["remind"].kind, moved.timers["remind"].to) == ("move", "new")
    told = base.override({"timers": {"close": {"kind": "notify"}}})
    assert (told.timers["close"].kind, told.timers["close"].to) == ("notify", None)
    with pytest.raises(PolicyError, match=r"timers\.remind\.kind: a timer with a 'to' has no kind"):
        base.override({"timers": {"remind": {"to": "new", "kind": "notify"}}})


def test_what_an_overlay_breaks_in_the_rows_of_its_base_is_named_as_the_bases() -> None:
    base = load_policy(desk())
    with pytest.raises(PolicyError) as caught:
        base.override(
            {
                "statuses": {"pending": False},
                "timers": False,
                "transitions": [row(to="pending"), row(to="closed"), row(by="nobody")],
            }
        )
    there = "there are: new, closed, @previous"
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [
        ("transitions[0].to", f"unknown state 'pending' ({there})"),
        ("transitions[2].by", "unknown role 'nobody' (there are: customer, agent, system)"),
        ("base.transitions[0].to", f"unknown state 'pending' ({there})"),
    ]
    with pytest.raises(PolicyError) as caught:
        base.override({"roles": ["boss"]})
    assert [problem.path for problem in caught.value.problems] == [
        "base.transitions[0].by",
        "base.transitions[1].by",
    ]


def test_there_must_be_something_to_remove() -> None:
    base = load_policy(desk())
    with pytest.raises(PolicyError) as caught:
        base.override(
            {
                "timers": {"remnd": False, "close": {"to": "clsed"}},
                "statuses": {"old": False, "pending": {"sub_statuses": {"thm": False}}},
            }
        )
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [
        ("timers.remnd", "nothing to remove; did you mean 'remind'? (there are: remind, close)"),
        ("statuses.old", "nothing to remove (there are: new, pending, closed)"),
        (
            "statuses.pending.sub_statuses.thm",
            "nothing to remove; did you mean 'them'? (there are: us, them)",
        ),
        ("timers.close.to", f"unknown state 'clsed'; did you mean 'closed'? (there are: {STATES})"),
    ]
    assert caught.value.subject == "desk"
    with pytest.raises(PolicyError, match=r"^there: timers.remnd: nothing"):
        base.override({"timers": {"remnd": False}}, source="there")


@pytest.mark.parametrize(
    ("top", "problem"),
    [
        ({"transitions": False}, "transitions: must be a list, not False"),
        ({"timers": {"remind": {"in": False}}}, "timers.remind.in: must be a list, not False"),
        ({"timers": {"close": {"notice": False}}}, "timers.close.notice: must be a table, not False"),
        ({"statuses": {"new": {"label": False}}}, "statuses.new.label: must be text, not False"),
        ({"statuses": False}, "statuses: is missing"),
        ({"timers": 3}, "timers: must be a table of named tables, not 3"),
        ({"extends": "sub-status"}, "extends: unknown key"),
        ({"timers": {"new_one": {"after": {"days": 1}}}}, "timers.new_one.in: is missing"),
    ],
)
def test_other_values_are_no_removal(top: dict[str, Any], problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy(desk()).override(top)
    assert any(str(found).startswith(problem) for found in caught.value.problems)


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_what_is_no_mapping_is_no_overlay(value: Any) -> None:  # noqa: ANN401 - the wrong ones
    with pytest.raises(PolicyError, match=f"^desk: must be a table, not {re.escape(repr(value))}$"):
        load_policy(desk()).override(value)


@given(policy=policies())
def test_an_overlay_of_nothing_or_of_itself_changes_nothing_but_doubles_the_rows(policy: Policy) -> None:
    assert policy.override({}) == policy
    again = policy.override(policy.to_dict())
    assert attrs.evolve(again, transitions=policy.transitions) == policy
    assert again.transitions == policy.transitions * 2


# --- written and read back ---------------------------------------------------


@given(table=policy_tables(regions=True))
def test_a_policy_is_written_as_it_was_read(table: dict[str, Any]) -> None:
    before = copy.deepcopy(table)
    policy = load_policy(table)
    assert table == before  # what is read is not changed
    written = policy.to_dict()
    again = Policy.from_dict(written)
    assert again == policy
    assert hash(again) == hash(policy)
    assert again.to_dict() == written
    assert list(again.statuses) == list(policy.statuses) == list(table["statuses"])
    assert list(again.timers) == list(policy.timers)
    assert again.schedules == policy.schedules
    assert policy.name == table["name"]
    for name, timer in table.get("timers", {}).items():
        assert policy.timers[name].in_ == (
            (timer["in"],) if isinstance(timer["in"], str) else tuple(timer["in"])
        )


@given(policy=policies(regions=True))
def test_a_policy_survives_toml_text_pickling_and_copying(policy: Policy) -> None:
    text = tomli_w.dumps(policy.to_dict())
    again = load_policy(tomllib.loads(text))
    assert again == policy
    assert list(again.statuses) == list(policy.statuses)
    assert list(again.timers) == list(policy.timers)
    assert pickle.loads(pickle.dumps(policy)) == policy  # noqa: S301 - our own
    assert copy.deepcopy(policy) == policy
    assert copy.copy(policy) == policy


@pytest.mark.parametrize("name", ["SUB_STATUS", "OPEN_RESOLVED"])
def test_the_documented_policies_survive_too(name: str) -> None:
    policy: Policy = getattr(documented, name)
    assert load_policy(policy.to_dict()) == policy
    assert load_policy(tomllib.loads(tomli_w.dumps(policy.to_dict()))) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy  # noqa: S301 - our own
    assert copy.deepcopy(policy) is not policy


def test_what_is_written_is_a_copy_in_the_order_of_the_format() -> None:
    policy = load_policy(desk())
    written: Any = policy.to_dict()
    assert list(written) == [
        "format",
        "name",
        "initial",
        "roles",
        "calendar",
        "statuses",
        "transitions",
        "timers",
    ]
    assert written["calendar"] == {"zone": "UTC", "weekend": ["sat", "sun"], "holidays": []}
    assert written["statuses"] == {
        "new": {"label": "New"},
        "pending": {
            "label": "Pending",
            "sub_statuses": {"us": {"label": "Us"}, "them": {"label": "Them"}},
        },
        "closed": {"label": "Closed", "closed": True},
    }
    assert written["transitions"] == [
        {"event": "ask", "by": ["agent"], "from": ["*open"], "to": "pending"},
        {"event": "clone", "by": ["customer"], "from": ["closed"]},
    ]
    assert written["timers"] == {
        "remind": {"in": ["pending.us"], "kind": "remind", "after": {"days": 7}},
        "close": {"in": ["pending.us"], "after": {"days": 28}, "to": "closed"},
    }
    written["timers"]["remind"]["in"].clear()
    written["statuses"].clear()
    assert policy == load_policy(desk())


def test_policies_that_differ_in_the_order_of_their_tables_are_not_equal() -> None:
    policy = load_policy(desk())
    for place in ("statuses", "statuses.pending.sub_statuses", "timers"):
        table: Any = desk()
        for part in place.split("."):
            table = table[part]
        turned = load_policy(changed(place, dict(reversed(table.items()))))
        assert turned != policy
        assert {name: turned.timers[name] for name in policy.timers} == dict(policy.timers)


def test_a_text_that_is_more_than_text_is_kept_as_text() -> None:
    class Word(enum.StrEnum):
        REMIND = "remind"
        NEW = "new"
        AGENT = "agent"

        def __str__(self) -> str:
            return self.name

    table = desk()
    table["initial"] = Word.NEW
    table["statuses"] = {Word.NEW: {"label": Word.NEW}, "pending": table["statuses"]["pending"], "closed": {}}
    table["transitions"][0]["by"] = [Word.AGENT]
    table["timers"] = {Word.REMIND: {"in": Word.NEW, "kind": Word.REMIND, "after": {"days": 1}}}
    policy = load_policy(table)
    kept = (
        policy.initial,
        *policy.statuses,
        policy.statuses["new"].label,
        *policy.transitions[0].by,
        *policy.timers,
        *policy.timers["remind"].in_,
        policy.timers["remind"].kind,
    )
    assert {type(text) for text in kept} == {str}
    assert kept[0] == "new"


def test_policies_that_differ_in_any_part_are_not_equal() -> None:
    policy = load_policy(desk())
    for place, value in [
        ("name", "other"),
        ("initial", "closed"),
        ("roles", ["agent", "customer"]),
        ("calendar", {"zone": "Europe/Berlin"}),
        ("statuses.new.label", "Fresh"),
        ("transitions[0].when", "assigned"),
        ("timers.close.after", {"days": 29}),
    ]:
        assert load_policy(changed(place, value)) != policy
    names = [load_policy(changed("name", name)) for name in ("a", "b", "c")]
    assert len({hash(one) for one in names}) == 3
    as_read: object = desk()
    assert policy != as_read


# --- text is text ------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_text_of_a_policy_or_a_case_is_never_more_than_text(text: str) -> None:
    described = {"label": text, "meaning": text, "action_required": text, "waiting_on": text}
    table = desk()
    table["statuses"]["new"] = dict(described)
    table["statuses"]["pending"]["sub_statuses"]["us"] = dict(described)
    table["timers"]["remind"]["audience"] = text
    table["timers"]["close"]["audience"] = text
    table["transitions"].append(row(event="take", **{"from": "*open"}, needs=["assignee"]))
    policy = load_policy(table)
    assert policy.statuses["new"].meaning == text
    workflow = Workflow(policy)
    at = datetime(2026, 3, 2, tzinfo=UTC)
    case = workflow.open(text, at=at)
    case = workflow.apply(case, "ask", by="agent", actor=text, sub_status="us", at=at)
    case = workflow.apply(case, "take", by="agent", assignee=text, at=at)
    assert (case.id, case.assignee, case.history[0].actor) == (text, text, text)
    month = datetime(2026, 4, 2, tzinfo=UTC)
    (action,) = workflow.due([case], now=month)
    assert action.audience == text
    assert all("close" in str(said) or "remind" in str(said) for said in workflow.explain(case, now=month))
    closed = workflow.settle(case, action, at=month)
    original, clone = workflow.clone(closed, text + "2", by="customer", at=month)
    assert original.clones == (clone.id,)
    machine = workflow.machine()
    assert machine.before_state_change == machine.after_state_change == machine.prepare_event == []
    for event in machine.events.values():
        for transitions in event.transitions.values():
            for transition in transitions:
                assert transition.prepare == transition.before == transition.after == []
                assert all(callable(condition.func) for condition in transition.conditions)
    for state in machine.states.values():
        assert state.on_enter == state.on_exit == []


@given(
    text=texts(),
    place=st.sampled_from(
        [place for place, value, _ in WRONG if isinstance(value, str) and place != "roles"]
    ),
)
def test_text_in_the_wrong_place_is_shown_and_no_more(text: str, place: str) -> None:
    try:
        policy = load_policy(changed(place, text))
    except PolicyError as error:
        found, shown = {problem.path for problem in error.problems}, str(error)
    else:
        found, shown = {place}, repr(policy)
    assert found == {place}
    assert shown


AUDITED = """
import json, sys
from datetime import UTC, datetime
from casestate import Workflow, load_policy

table, texts = json.load(sys.stdin)
at, later = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC)


def run(text):
    table["statuses"]["new"] = {"label": text, "meaning": text, "action_required": text, "waiting_on": text}
    for timer in table["timers"].values():
        timer["audience"] = text
    desk = Workflow(load_policy(table))
    case = desk.apply(desk.open(text, at=at), "ask", by="agent", actor=text, sub_status="us", at=at)
    (action,) = desk.due([case], now=later)
    assert action.audience == text
    desk.clone(desk.settle(case, action, at=later), text + "2", by="customer", at=later)
    [str(explanation) for explanation in desk.explain(case, now=later)]
    model = Model()
    desk.machine(model)
    assert model.ask(by="agent", sub_status="us") and model.state == "pending.us"
    for place in ("initial", "roles", "timers", text):
        try:
            desk.policy.override({place: text})
        except ValueError as error:
            str(error)


class Model:
    pass


def audit(event, arguments):
    if event in ("compile", "exec", "import", "open") or event.startswith(("os.", "subprocess.")):
        raise SystemExit(f"{event} {arguments}")


run("what is imported late is imported now")
sys.addaudithook(audit)
for text in texts:
    run(text)
print("done")
"""


def test_no_text_is_ever_evaluated_imported_opened_or_run() -> None:
    # A measurement of coverage would open files of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", AUDITED],
        env=environment,
        input=json.dumps([desk(), HOSTILE_TEXTS]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_legal_name_means_nothing_to_python_or_to_transitions(name: str) -> None:
    table = {
        "format": 1,
        "name": name,
        "initial": name,
        "roles": [name, "agent"],
        "statuses": {name: {}, f"{name}2": {"sub_statuses": {name: {}}}, f"{name}_": {"closed": True}},
        "transitions": [
            {"event": name, "by": [name], "from": [name], "to": f"{name}2.{name}"},
            {"event": f"{name}_x", "by": ["agent"], "from": ["*"], "to": "@previous"},
        ],
        "timers": {name: {"in": [f"{name}2"], "after": {"days": 1}, "to": f"{name}_"}},
    }
    workflow = Workflow(load_policy(table))
    at = datetime(2026, 3, 2, tzinfo=UTC)
    case = workflow.apply(workflow.open("C-1", at=at), name, by=name, at=at)
    assert case.state == f"{name}2.{name}"
    assert workflow.apply(case, f"{name}_x", by="agent", at=at).state == name
    (action,) = workflow.due([case], now=datetime(2026, 3, 3, tzinfo=UTC))
    assert action.to == f"{name}_"


def test_dunder_names_are_no_names() -> None:
    for name in ("__class__", "_x", "os.system", "a.b", "{0}", "a-b", "A", "é", "a b", ""):
        table = changed("statuses", {"new": {}, "closed": {"closed": True}, "pending": {}})
        table["timers"] = {}
        table["statuses"][name] = {}
        assert problems_of(table) == [(f"statuses.{name}", f"{NAME} {name!r}")]
        assert problems_of(changed("transitions[1].event", name)) == [
            ("transitions[1].event", f"{NAME} {name!r}")
        ]
        timer = {"in": "new", "kind": "remind", "after": {"days": 1}}
        assert problems_of(changed("timers", {name: timer})) == [(f"timers.{name}", f"{NAME} {name!r}")]
