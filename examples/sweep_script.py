"""Is anything overdue by more than a day? For a nightly job that watches the desk's own sweep.

    python examples/sweep_script.py examples/cases.jsonl --now 2026-11-20T12:00:00Z

Reads a file of cases (JSON Lines, as `Case.to_dict` writes them) and prints what is due and how late it is.
Exit status: 0 if nothing is late by more than a day, 1 if something is, 2 if the file cannot be evaluated.
"""

from __future__ import annotations

import argparse
import json
import sys

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from casestate import Case, CasestateError, Workflow, policies, utc_now


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from casestate import Action

PATIENCE = timedelta(days=1)


def instant(text: str) -> datetime:
    """An instant of the command line; argparse turns the error into its message."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no time zone; write {text}Z if it is UTC")
    return at


def read(path: Path) -> Iterator[Case]:
    """The cases of a file. Raises `ValueError` with the line that is none, or if there is none at all."""
    number = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield Case.from_dict(json.loads(line))
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from error
    if not number:
        raise ValueError(f"{path}: holds no case")


def sweep(cases: Iterator[Case], desks: Mapping[str, Workflow], now: datetime) -> Iterator[Action]:
    """What is due among cases of several policies. Another policy's case raises `ValueError`."""
    for case in cases:
        if case.policy is None or case.policy not in desks:
            raise ValueError(f"case {case.id}: no desk runs {case.policy!r} (there are: {', '.join(desks)})")
        yield from desks[case.policy].due([case], now=now)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; return its exit status."""
    parser = argparse.ArgumentParser(description="Tell what is due in a file of cases, and how late it is.")
    parser.add_argument("cases", type=Path, help="a file of cases, JSON Lines")
    parser.add_argument("--now", type=instant, help="the instant to evaluate at (default: the clock)")
    options = parser.parse_args(arguments)
    now = options.now or utc_now()
    desks = {desk.policy.name: desk for desk in map(Workflow, (policies.SUB_STATUS, policies.OPEN_RESOLVED))}
    late = 0
    try:
        for action in sweep(read(options.cases), desks, now):
            overdue = now - action.due_at
            late += overdue > PATIENCE
            mark = "LATE" if overdue > PATIENCE else "    "
            print(f"{mark}  {action.case_id:<8} {action.timer:<24} due {action.due_at:%Y-%m-%d %H:%M} UTC")
    except (OSError, ValueError, CasestateError) as error:
        print(f"sweep_script: {error}", file=sys.stderr)
        return 2
    print(f"{late} overdue by more than a day" if late else "nothing is overdue by more than a day")
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())
