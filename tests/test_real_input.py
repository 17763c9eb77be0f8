"""`casestate due` on the log of a real help desk, against a calculation that knows nothing of the library.

The log stands beside the repository, not in it; see its SOURCE.txt. It says when each case entered which
status; what a policy makes due at an instant is calculated with plain comparisons: timers in a table, Italian
summer time by its rule.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from real_log import READINGS, TIMERS, Event, Timer, due_at, events, needs_the_log, stays_of


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = needs_the_log

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


Row = dict[str, object]


# --- the calculation ---------------------------------------------------------


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
    return events()


def snapshot(log: dict[str, list[Event]], reading: dict[str, str], now: datetime) -> Iterator[Row]:
    """Every case as it stood at ``now``."""
    for case, told in log.items():
        stays = stays_of(told, reading, now)
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
