"""`casestate due` on the log of a real help desk, against a calculation that knows nothing of the library.

The log stands beside the repository, not in it; see its SOURCE.txt. It says when each case entered which
status; what a policy makes due at an instant is calculated here with plain comparisons: timers in a table,
Italian summer time by its rule.
"""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LOG = Path(__file__).parents[1] / "../shared/data/helpdesk.csv.gz"

pytestmark = pytest.mark.skipif(not LOG.exists(), reason="the help desk log is not beside the repository")

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

ITALIAN = """
extends = "open-resolved"
name = "italian"

[calendar]
zone = "Europe/Rome"

[timers.close_resolved]
after = { calendar_days = 15 }
"""

NOON = datetime(2012, 11, 15, 12, tzinfo=UTC)
# The second at which Case 1, resolved in summer time, is 15 calendar days old in winter time. It was
# 15 x 24 h old an hour before.
HOSTILE = datetime(2012, 11, 9, 12, 54, 26, tzinfo=UTC)
INSTANTS = {
    "noon": NOON,
    "due this second": HOSTILE,
    "due in a microsecond": HOSTILE - timedelta(microseconds=1),
    "in the hour that Italy repeats": datetime(2012, 10, 28, 1, 0, tzinfo=UTC),
}

# How many were due, by timer, when nobody had settled anything.
DUE = {
    ("sub-status", "noon"): {
        "notify_closed": 3808,
        "notify_awaiting": 26,
        "remind_customer": 3,
        "close_awaiting": 2,
    },
    ("open-resolved", "noon"): {"close_resolved": 14, "notify_pending": 3, "close_pending": 1},
    ("italian", "noon"): {"notify_pending": 3, "close_resolved": 2, "close_pending": 1},
    ("sub-status", "due this second"): {
        "notify_closed": 3802,
        "notify_awaiting": 18,
        "close_awaiting": 5,
        "remind_customer": 4,
    },
    ("open-resolved", "due this second"): {"close_resolved": 9, "notify_pending": 4, "close_pending": 4},
    ("italian", "due this second"): {"notify_pending": 4, "close_resolved": 4, "close_pending": 4},
    ("sub-status", "due in a microsecond"): {
        "notify_closed": 3802,
        "notify_awaiting": 18,
        "close_awaiting": 5,
        "remind_customer": 4,
    },
    ("open-resolved", "due in a microsecond"): {"close_resolved": 9, "notify_pending": 4, "close_pending": 4},
    ("italian", "due in a microsecond"): {"notify_pending": 4, "close_resolved": 3, "close_pending": 4},
    ("sub-status", "in the hour that Italy repeats"): {
        "notify_closed": 3781,
        "notify_awaiting": 14,
        "remind_customer": 5,
        "close_awaiting": 2,
    },
    ("open-resolved", "in the hour that Italy repeats"): {
        "notify_pending": 8,
        "close_resolved": 7,
        "close_pending": 1,
    },
    ("italian", "in the hour that Italy repeats"): {
        "notify_pending": 8,
        "close_resolved": 2,
        "close_pending": 1,
    },
}


class Event(NamedTuple):
    """A line of the log."""

    at: datetime
    raw: str


Row = dict[str, object]


# --- the calculation ---------------------------------------------------------


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


def text(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat() + "Z"


def what_is_due(rows: Sequence[Row], timers: dict[str, list[Timer]], now: datetime) -> Iterator[Row]:
    """One action for each case that has one: the furthest timer that is due and not settled."""
    for row in rows:
        status, sub_status = row["status"], row.get("sub_status")
        entered_at = datetime.fromisoformat(str(row["entered_at"]))
        schedule = timers.get(f"{status}.{sub_status}" if sub_status else str(status), [])
        names = [timer.name for timer in schedule]
        left = schedule[names.index(str(row["settled"])) + 1 :] if row.get("settled") else schedule
        due = [timer for timer in left if due_at(timer, entered_at) <= now]
        if due:
            yield {
                "case_id": row["id"],
                "stay": row["stay"],
                "entered_at": row["entered_at"],
                "timer": due[-1].name,
                "kind": due[-1].kind,
                "audience": due[-1].audience,
                "due_at": text(due_at(due[-1], entered_at)),
                "to": due[-1].to,
                "skipped": [timer.name for timer in due[:-1]],
                "key": f"{row['id']}:{row['stay']}:{due[-1].name}",
            }


# --- the snapshots -----------------------------------------------------------


@pytest.fixture(scope="module")
def log() -> dict[str, list[Event]]:
    """The events of every case, in order."""
    cases: dict[str, list[tuple[int, Event]]] = {}
    with gzip.open(LOG, "rt", encoding="utf-8", newline="") as lines:
        for line in csv.DictReader(lines):
            event = Event(datetime.fromisoformat(line["ts"]), line["raw"])
            cases.setdefault(line["case"], []).append((int(line["seq"]), event))
    return {case: [event for _, event in sorted(events)] for case, events in cases.items()}


def snapshot(log: dict[str, list[Event]], reading: dict[str, str], now: datetime) -> Iterator[Row]:
    """Every case as it stood at ``now``."""
    for case, events in log.items():
        stays: list[tuple[str, datetime]] = []
        for event in events:
            if event.at > now or event.raw in IGNORED or (event.raw in BEGINNINGS and stays):
                continue
            state = "new" if event.raw in BEGINNINGS else reading[event.raw]
            if not stays or stays[-1][0] != state:
                stays.append((state, event.at))
        if stays:
            state, entered_at = stays[-1]
            status, _, sub_status = state.partition(".")
            row: Row = {
                "id": case,
                "status": status,
                "sub_status": sub_status or None,
                "entered_at": text(entered_at),
                "stay": len(stays),
            }
            yield row


def untouched(rows: list[Row], timers: dict[str, list[Timer]], now: datetime) -> None:
    """Nobody has settled anything."""


def swept(rows: list[Row], timers: dict[str, list[Timer]], now: datetime) -> None:
    """Three days before, somebody sent the reminders and notifications that were due."""
    before = now - timedelta(days=3)
    for row in rows:
        entered_at = datetime.fromisoformat(str(row["entered_at"]))
        state = f"{row['status']}.{row['sub_status']}" if row["sub_status"] else str(row["status"])
        sent = [
            timer for timer in timers.get(state, []) if not timer.to and due_at(timer, entered_at) <= before
        ]
        if sent:
            row["settled"], row["settled_at"] = sent[-1].name, text(before)


def as_json_lines(rows: list[Row], policy: str, path: Path) -> list[str]:
    """The rows do not say whose they are; the command line does."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return ["--policy", policy]


def as_csv(rows: list[Row], policy: str, path: Path) -> list[str]:
    """Each row says which policy it is of; the command line names one only if it is in a file."""
    name = Path(policy).stem
    names = ["id", "policy", "status", "sub_status", "entered_at", "stay", "settled", "settled_at"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows({**row, "policy": name} for row in rows)
    return ["--policy", policy] if policy != name else []


def casestate_due(path: Path, now: datetime, options: Sequence[str]) -> list[Row]:
    command = [sys.executable, "-m", "casestate", "due", str(path), "--now", text(now), "--format", "jsonl"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("write", [as_json_lines, as_csv])
@pytest.mark.parametrize("policy", ["sub-status", "open-resolved", "italian"])
@pytest.mark.parametrize("desk", [untouched, swept])
@pytest.mark.parametrize("instant", INSTANTS)
def test_every_row_that_is_due_is_the_one_that_plain_comparisons_find(
    log: dict[str, list[Event]],
    tmp_path: Path,
    policy: str,
    desk: Callable[[list[Row], dict[str, list[Timer]], datetime], None],
    instant: str,
    write: Callable[[list[Row], str, Path], list[str]],
) -> None:
    now, timers = INSTANTS[instant], TIMERS[policy]
    rows = list(snapshot(log, READINGS[policy], now))
    desk(rows, timers, now)
    source = policy
    if policy == "italian":
        source = str(tmp_path / "italian.toml")
        Path(source).write_text(ITALIAN, encoding="utf-8")
    options = write(rows, source, tmp_path / "cases")
    expected = list(what_is_due(rows, timers, now))
    assert casestate_due(tmp_path / "cases", now, options) == expected
    if desk is untouched:
        assert Counter(str(row["timer"]) for row in expected) == DUE[policy, instant]


def test_one_second_decides_about_the_first_case(log: dict[str, list[Event]]) -> None:
    def closures(now: datetime) -> set[str]:
        rows = list(snapshot(log, READINGS["italian"], now))
        return {str(row["case_id"]) for row in what_is_due(rows, TIMERS["italian"], now) if row["to"]}

    assert closures(HOSTILE) - closures(HOSTILE - timedelta(microseconds=1)) == {"Case 1"}
