"""The sweeper: settles what is due, and sends the letters.

python -m fastapi_desk.sweeper --every 60 --mail-to outbox
python -m fastapi_desk.sweeper --once --now 2026-12-01T09:00:00Z
"""

from __future__ import annotations

import argparse
import signal
import sys

from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from casestate import CasestateError, InstantError
from casestate.clock import parse_instant, utc_now
from casestate.sql import SweepStopped
from fastapi_desk import settings
from fastapi_desk.letters import Folder, deliver


if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fastapi_desk.cases import Desk


MOST_SECONDS = 86_400


def moment(text: str) -> datetime:
    """An instant of the command line."""
    try:
        return parse_instant(text, "--now")
    except InstantError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def seconds(text: str) -> float:
    """A pause of the command line."""
    value = float(text)
    if not 0 < value <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"must be more than 0 and at most {MOST_SECONDS}, not {text}")
    return value


def count(text: str) -> int:
    """How many, of the command line."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return value


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m fastapi_desk.sweeper", description=__doc__.partition("\n")[0]
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--once", action="store_true", help="one pass, and out")
    how.add_argument(
        "--every", type=seconds, metavar="SECONDS", help="a pass, a pause, a pass, until it is told to end"
    )
    parser.add_argument("--now", type=moment, metavar="INSTANT", help="with --once: what is due then")
    parser.add_argument("--limit", type=count, metavar="N", help="settle at most N cases in one pass")
    parser.add_argument(
        "--mail-to", type=Path, metavar="FOLDER", help="send the letters: into files of this folder"
    )
    options = parser.parse_args(given)
    if options.now is not None and not options.once:
        parser.error("--now stands with --once: time goes on")
    return options


def one_pass(desk: Desk, options: argparse.Namespace) -> bool:
    """Sweep, then send; whether all went well. A case in trouble does not keep the others waiting."""
    troubles: list[object] = []

    def trouble(case_id: object, error: Exception) -> None:
        troubles.append(case_id)
        print(f"case {case_id}: {error}", file=sys.stderr, flush=True)

    for action in desk.sweep(now=options.now, limit=options.limit, on_error=trouble):
        print(f"settled: {action.key}", flush=True)
    if options.mail_to is not None:
        for key in deliver(desk.engine, desk.workflow, Folder(options.mail_to).send):
            print(f"sent: {key}", flush=True)
    return not troubles


def main(given: Sequence[str] | None = None) -> int:
    """Run until told to end; 1 if the last pass met trouble, 2 if it could not begin."""
    options = arguments(given)
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())  # the pass at hand is finished first
    try:
        desk = settings.desk(utc_now if options.now is None else lambda: options.now)
    except (CasestateError, DBAPIError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        for case_id in desk.rejected():
            print(f"case {case_id}: the policy does not know where it stands", file=sys.stderr, flush=True)
        while True:
            try:
                well = one_pass(desk, options)
            except (SweepStopped, DBAPIError) as error:  # the next pass finds what is left
                print(error, file=sys.stderr, flush=True)
                well = False
            if options.once or ended.wait(options.every):
                return 0 if well else 1
    finally:
        desk.engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
