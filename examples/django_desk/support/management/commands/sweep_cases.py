"""`python manage.py sweep_cases`: for cron, every minute or every night."""

from __future__ import annotations

import argparse

from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.utils import timezone

from support.sweeping import rejected, sweep


if TYPE_CHECKING:
    from django.core.management.base import CommandParser


def instant(text: str) -> datetime:
    """An instant of the command line; the parser turns the error into its message."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no instant; write 2026-03-01T12:00Z") from None
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no time zone; write {text}Z if it is UTC")
    return at


def count(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


class Command(BaseCommand):
    """Settles every action that is due, each in a transaction of its own."""

    help = (
        "Do what is due: close cases, write reminders and notifications to the outbox. May be run as often "
        "as you like, and by several at once. The exit status is 1 if a case could not be swept; the others "
        "are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--now", type=instant, help="the instant to sweep at (default: the clock)")
        parser.add_argument(
            "--due-only",
            action="store_true",
            help="do not look for cases that no sweep can find: that reads every case, once a day is enough",
        )
        parser.add_argument("--limit", type=count, help="how many actions at most, the longest waiting first")

    def handle(self, *_: Any, **options: Any) -> None:  # noqa: ANN401 - Django's own
        bad = done = 0

        def trouble(case_id: str, error: Exception) -> None:
            nonlocal bad
            bad += 1
            self.stderr.write(f"{case_id}: {error}")

        try:
            for action in islice(sweep(options["now"] or timezone.now(), trouble), options["limit"]):
                done += 1
                self.stdout.write(f"{action.key}{f' -> {action.to}' if action.to else ''}")
            for case_id, error in () if options["due_only"] else rejected():
                trouble(case_id, error)
        except OperationalError as error:
            raise CommandError(f"the database: {error}; settled until then: {done}") from error
        self.stdout.write(f"settled: {done}")
        if bad:
            raise CommandError(f"cases that could not be swept: {bad}")
