"""The log of a real help desk, and what plain comparisons make of it: nothing here knows the library.

The log stands beside the repository, not in it; see its SOURCE.txt. The readings of its words and the timers
of the documents stand in tables; Italian summer time goes by its rule.
"""

from __future__ import annotations

import csv
import gzip

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest


LOG = Path(__file__).parents[1] / "../shared/data/helpdesk.csv.gz"

needs_the_log = pytest.mark.skipif(not LOG.exists(), reason="the help desk log is not beside the repository")

IGNORED = ("VERIFIED", "RESOLVED", "INVALID", "DUPLICATE")
BEGINNINGS = ("Insert ticket", "Assign seriousness")

READINGS = {
    "sub-status": {
        "Take in charge ticket": "in_progress",
        "Resolve SW anomaly": "in_progress",
        "Wait": "pending.customer_input",
        "Require upgrade": "pending.development",
        "Create SW anomaly": "pending.development",
        "Schedule intervention": "pending.scheduled_support_service",
        "Resolve ticket": "awaiting_customer_confirmation",
        "Closed": "closed",
    },
    "open-resolved": {
        "Take in charge ticket": "open",
        "Wait": "pending_customer",
        "Require upgrade": "in_progress",
        "Create SW anomaly": "in_progress",
        "Resolve SW anomaly": "in_progress",
        "Schedule intervention": "in_progress",
        "Resolve ticket": "resolved",
        "Closed": "closed",
    },
}


class Timer(NamedTuple):
    """A timer of a state, as the documents say it. ``days`` are 24 hours, or Italian calendar days."""

    name: str
    kind: str
    audience: str | None
    days: int
    to: str | None = None
    italian: bool = False


TIMERS = {
    "sub-status": {
        "pending.customer_input": [
            Timer("remind_customer", "remind", "customer", 7),
            Timer("close_pending", "close", None, 28, "closed"),
        ],
        "awaiting_customer_confirmation": [
            Timer("notify_awaiting", "notify", "customer", 0),
            Timer("close_awaiting", "close", None, 14, "closed"),
        ],
        "closed": [Timer("notify_closed", "notify", "customer", 1)],
    },
    "open-resolved": {
        "pending_customer": [
            Timer("notify_pending", "notify", "customer", 0),
            Timer("close_pending", "close", None, 14, "closed"),
        ],
        "resolved": [Timer("close_resolved", "close", None, 7, "closed")],
    },
}
# What the desk's own engine did from 2012-10 on.
TIMERS["italian"] = {
    **TIMERS["open-resolved"],
    "resolved": [Timer("close_resolved", "close", None, 15, "closed", italian=True)],
}
READINGS["italian"] = READINGS["open-resolved"]


class Event(NamedTuple):
    """A line of the log."""

    at: datetime
    raw: str
    actor: str


# --- Italian time ---------------------------------------------------------------


def last_sunday(year: int, month: int) -> datetime:
    """01:00 UTC on the last Sunday of a month of 31 days: when summer time begins and ends."""
    day = date(year, month, 31)
    return datetime(year, month, 31 - (day.weekday() + 1) % 7, 1, tzinfo=UTC)


def italian_offset(at: datetime) -> timedelta:
    summer = last_sunday(at.year, 3) <= at < last_sunday(at.year, 10)
    return timedelta(hours=2 if summer else 1)


def calendar_days_later(at: datetime, days: int) -> datetime:
    """The same wall-clock time in Italy, so many days later."""
    back = last_sunday(at.year, 10)
    if back <= at < back + timedelta(hours=1):
        at = back + timedelta(hours=1)  # the second pass of the repeated hour counts as its end
    wall = at + italian_offset(at) + timedelta(days=days)
    forward = last_sunday(wall.year, 3)
    if forward <= wall - timedelta(hours=1) < forward + timedelta(hours=1):
        return forward  # a time that is skipped becomes the end of the gap
    in_summer = wall - timedelta(hours=2)
    # In the hour that repeats both readings are right: the first pass is the earlier one.
    return in_summer if italian_offset(in_summer) == timedelta(hours=2) else wall - timedelta(hours=1)


def due_at(timer: Timer, entered_at: datetime) -> datetime:
    if timer.italian:
        return calendar_days_later(entered_at, timer.days)
    return entered_at + timedelta(days=timer.days)


def rows() -> list[dict[str, str]]:
    """The lines of the log as they are."""
    with gzip.open(LOG, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def mapping(policy: str) -> dict[str, Any]:
    """The mapping that SOURCE.txt suggests."""
    return {
        "columns": {"case": "case", "at": "ts", "status": "raw", "order": "seq"},
        "statuses": {
            **READINGS[policy],
            **{raw: {"first": "new", "later": "ignore"} for raw in BEGINNINGS},
            **dict.fromkeys(IGNORED, "ignore"),
        },
    }


def events() -> dict[str, list[Event]]:
    """The events of every case, in order."""
    cases: dict[str, list[tuple[int, Event]]] = {}
    for line in rows():
        event = Event(datetime.fromisoformat(line["ts"]), line["raw"], line["actor"])
        cases.setdefault(line["case"], []).append((int(line["seq"]), event))
    return {case: [event for _, event in sorted(events)] for case, events in cases.items()}


def stays_of(
    told: list[Event], reading: dict[str, str], now: datetime, *, touch: bool = False
) -> list[tuple[str, datetime]]:
    """The states that a case had entered by ``now``, and when."""
    stays: list[tuple[str, datetime]] = []
    for event in told:
        if event.at > now or event.raw in IGNORED:
            continue
        if event.raw in BEGINNINGS and {state for state, _ in stays} - {"new"}:
            continue
        state = "new" if event.raw in BEGINNINGS else reading[event.raw]
        if touch or not stays or stays[-1][0] != state:
            stays.append((state, event.at))
    return stays
