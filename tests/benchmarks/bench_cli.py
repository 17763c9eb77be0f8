"""``casestate due`` over a million lines of JSON, beside programs that parse them and do nothing else.

``python -m tests.benchmarks.bench_cli`` from the root of the repository.
"""

from __future__ import annotations

import io
import json
import random
import tempfile

from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from casestate import Case, Workflow, policies
from casestate.cli import cli

from .measure import Row, at_most, clocked, for_scale, interleaved


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NOW: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CASES: Final = 1_000_000
DUE: Final = 6_000
BAREST: Final = ("id", "status", "sub_status", "entered_at", "policy", "stay", "settled", "settled_at")

# Where the cases of both workflows stand: state, days in it at most, the timer settled last and when.
STANDING: Final = {
    "sub-status": [
        ("new", 30, None, 0),
        ("in_progress", 30, None, 0),
        ("pending.customer_input", 7, None, 0),
        ("pending.customer_input", 27, "remind_customer", 7),
        ("pending.development", 90, None, 0),
        ("awaiting_customer_confirmation", 13, "notify_awaiting", 0),
        ("closed", 900, "notify_closed", 1),
        ("closed", 900, "notify_closed", 1),
    ],
    "open-resolved": [
        ("new", 30, None, 0),
        ("open", 30, None, 0),
        ("in_progress", 30, None, 0),
        ("pending_customer", 13, "notify_pending", 0),
        ("resolved", 6, None, 0),
        ("closed", 900, None, 0),
    ],
}
OVERDUE: Final = {
    "sub-status": ("pending.customer_input", "remind_customer", 28),
    "open-resolved": ("resolved", None, 7),
}


def some_case(number: int, chance: random.Random, *, overdue: bool) -> Case:
    """A believable case; only an overdue one has anything due."""
    policy = chance.choice(list(STANDING))
    if overdue:
        state, settled, days = OVERDUE[policy]
        waited, settled_after = timedelta(days=days, seconds=chance.randrange(900_000)), 7
    else:
        state, days, settled, settled_after = chance.choice(STANDING[policy])
        least = timedelta(days=settled_after, minutes=1)
        waited = least + (timedelta(days=days) - least) * chance.random()
    status, _, sub_status = state.partition(".")
    entered_at = (NOW - waited).replace(microsecond=0)
    return Case(
        id=f"C-{number}",
        status=status,
        sub_status=sub_status or None,
        entered_at=entered_at,
        policy=policy,
        stay=chance.randrange(1, 7),
        previous="new",
        assignee=chance.choice(("mira", "jonas", "Zoë")),
        settled=settled,
        settled_at=entered_at + timedelta(days=settled_after, seconds=30) if settled else None,
        opened_at=entered_at - timedelta(hours=5),
    )


def write_cases(whole: Path, bare: Path) -> None:
    """A million cases in two files: as `Case.to_dict` writes them, and only the fields that decide."""
    chance = random.Random(20261120)
    step = CASES // DUE
    with whole.open("w", encoding="utf-8") as all_fields, bare.open("w", encoding="utf-8") as few_fields:
        for number in range(CASES):
            overdue = number % step == 0 and number // step < DUE
            row = some_case(number, chance, overdue=overdue).to_dict()
            all_fields.write(as_json(row))
            few_fields.write(as_json({name: row[name] for name in BAREST}))


def as_json(row: Mapping[str, object]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"


class Typed(msgspec.Struct, gc=False):
    """The fields that decide, as narrow as they can be told beforehand."""

    id: str
    status: str
    entered_at: datetime
    sub_status: str | None = None
    policy: str | None = None
    stay: int = 1
    settled: str | None = None
    settled_at: datetime | None = None


def parsing(path: Path, decode: Callable[[bytes], object]) -> Callable[[], None]:
    """Parse each line, and drop what it says."""

    def run() -> None:
        with path.open("rb") as file:
            for line in file:
                decode(line)

    return run


def due(path: Path) -> Callable[[], list[str]]:
    """The command in this process; its lines."""

    def run() -> list[str]:
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with redirect_stdout(out):
            cli(["due", str(path), "--now", NOW.isoformat(), "--format", "jsonl"], standalone_mode=False)
        out.seek(0)
        return out.readlines()

    return run


def objects(path: Path) -> Callable[[], list[str]]:
    """The same without the sieve: every line a `Case`."""
    desks = {policy.name: Workflow(policy) for policy in (policies.SUB_STATUS, policies.OPEN_RESOLVED)}

    def run() -> list[str]:
        found = []
        with path.open("rb") as file:
            for line in file:
                case = Case.from_dict(msgspec.json.decode(line))
                found += [action.key for action in desks[case.policy or ""].due([case], now=NOW)]
        return found

    return run


def measured(what: str, path: Path) -> Iterator[Row]:
    ours = due(path)
    if len(ours()) != DUE:
        raise AssertionError("the file does not hold what is due")
    size = path.stat().st_size / CASES
    seconds = interleaved(
        {
            "due": clocked(ours),
            "msgspec": clocked(parsing(path, msgspec.json.Decoder().decode)),
            "typed": clocked(parsing(path, msgspec.json.Decoder(Typed).decode)),
            "json": clocked(parsing(path, json.loads)),
        },
        rounds=5,
    )
    took = seconds["due"]
    yield for_scale(f"casestate due, 10^6 JSON Lines, {what} ({size:.0f} B each)", f"{took * 1e3:.0f} ms")
    yield at_most("due / parsing alone, msgspec", took / seconds["msgspec"], 1.5)
    yield at_most("due / parsing alone, standard json", took / seconds["json"], 1.5)
    yield for_scale("due / parsing alone into a msgspec.Struct", f"{took / seconds['typed']:.2f} x")


def rows() -> Iterator[Row]:
    """The rows of the table, measured one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        whole, bare = Path(folder) / "whole.jsonl", Path(folder) / "bare.jsonl"
        write_cases(whole, bare)
        yield from measured("the fields that decide", bare)
        yield from measured("whole cases", whole)
        seconds = interleaved({"due": clocked(due(whole)), "objects": clocked(objects(whole))}, rounds=1)
        yield for_scale("every line a Case / due", f"{seconds['objects'] / seconds['due']:.1f} x")


if __name__ == "__main__":
    for row in rows():
        print(f"{row.what:65} {row.measured:>12}  {row.target}", flush=True)
