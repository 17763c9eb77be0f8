"""The Django desk of ``examples/django_desk`` on PostgreSQL: its sweep locks rows and skips locked ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from casestate import Workflow, policies


pytestmark = pytest.mark.heavy
pytest.importorskip("django", reason="Django is not there: pip install 'casestate[examples]'")

DESK = Path(__file__).parents[1] / "examples" / "django_desk"
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NOW = MONDAY + timedelta(days=7)
DUE = 150


class Desk:
    """The project's commands, on one database."""

    def __init__(self, url: str) -> None:
        self.url = url

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "manage.py", *command],
            cwd=DESK,
            env={**os.environ, "DATABASE_URL": self.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str) -> str:
        out, told = (program := self.start(*command)).communicate(timeout=120)
        assert (program.returncode, told) == (0, "")
        return out

    def ask(self, query: str) -> list[Any]:
        """The rows that a query finds."""
        with closing(psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Desk:
    """Cases whose reminder is due, among many that wait for nobody."""
    desk = Desk(database_url)
    desk.run("migrate", "--verbosity", "0")
    workflow = Workflow(policies.SUB_STATUS)
    cases = []
    for number in range(DUE):
        case = workflow.open(f"C-{number}", at=MONDAY)
        case = workflow.apply(case, "pend", by="agent", sub_status="customer_input", at=MONDAY)
        cases.append(json.dumps(case.to_dict()))
    file = tmp_path / "cases.jsonl"
    file.write_text("\n".join(cases), encoding="utf-8")
    assert desk.run("import_cases", str(file)) == f"kept: {DUE}\n"
    desk.ask(
        "INSERT INTO support_case (id, subject, customer, policy, status, entered_at, stay, revision) "
        "SELECT 'D-' || number, '', '', 'sub-status', 'in_progress', timestamptz '2026-01-01 00:00+00', 2, 1 "
        "FROM generate_series(1, 30000) number"
    )
    desk.ask("ANALYZE support_case")
    return desk


def test_the_sweep_is_answered_by_the_index(desk: Desk) -> None:
    plan = desk.run(
        "shell",
        "-c",
        "from datetime import datetime; from support.models import Case; from support.sweeping import due; "
        f"print(Case.objects.filter(due(datetime.fromisoformat('{NOW}'))).explain())",
    )
    assert "Index Scan on support_case_sweep" in plan
    assert "Seq Scan" not in plan


def test_several_sweeps_at_once_settle_each_action_once(desk: Desk) -> None:
    programs = [desk.start("sweep_cases", "--now", NOW.isoformat()) for _ in range(3)]
    told = [program.communicate(timeout=120) for program in programs]
    assert [(program.returncode, errors) for program, (_, errors) in zip(programs, told, strict=True)] == [
        (0, "")
    ] * 3
    settled = [line for out, _ in told for line in out.splitlines() if not line.startswith("settled:")]
    keys = sorted(f"C-{number}:2:remind_customer" for number in range(DUE))
    assert sorted(settled) == keys
    assert sorted(key for (key,) in desk.ask("SELECT key FROM support_outbox")) == keys
    assert desk.ask("SELECT count(*), count(DISTINCT case_id) FROM support_change WHERE by = 'system'") == [
        (DUE, DUE)
    ]


def test_a_case_that_somebody_holds_is_left_for_the_next_sweep(desk: Desk) -> None:
    with closing(psycopg.connect(desk.url.replace("+psycopg", ""))) as connection:
        connection.execute("SELECT 1 FROM support_case WHERE id = 'C-7' FOR UPDATE")
        assert desk.run("sweep_cases", "--now", NOW.isoformat()).endswith(f"settled: {DUE - 1}\n")
        connection.rollback()
    again = desk.run("sweep_cases", "--now", NOW.isoformat())
    assert again == "C-7:2:remind_customer\nsettled: 1\n"
