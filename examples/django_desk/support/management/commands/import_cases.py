"""`python manage.py import_cases ../cases.jsonl`: cases of another desk, as `Case.to_dict` writes them."""

from __future__ import annotations

import json

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, transaction

from casestate import Case
from support.cases import insert


if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    """Keeps cases as they stand, with their history."""

    help = "Keep the cases of a file (JSON Lines), all of them or none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *_: Any, file: Path, **__: Any) -> None:  # noqa: ANN401 - Django's own
        number = 0
        try:
            with file.open("rb") as lines, transaction.atomic():
                for line in lines:
                    number += 1
                    insert(Case.from_dict(json.loads(line)))
        except (OSError, ValueError, DatabaseError) as error:
            raise CommandError(f"{file}:{number}: {error}; nothing has been kept") from error
        self.stdout.write(f"kept: {number}")
