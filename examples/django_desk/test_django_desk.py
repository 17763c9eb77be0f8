"""The Django desk does what its policies say, in a database of its own.

    python -m pytest examples/django_desk

Django is set up when the first of these tests runs, and only for them: no other test shall notice.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from html import unescape
from importlib import import_module
from io import StringIO
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import pytest

from casestate import (
    Case,
    CaseDataError,
    EventRefused,
    MissingArgument,
    TimeOrderError,
    Workflow,
    load_policy,
    policies,
)
from casestate.testing import conformance


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

pytest.importorskip("django", reason="Django is not there: pip install 'casestate[examples]'")

HERE = Path(__file__).parent
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)


class Desk:
    """The project, set up: its modules are only there when Django is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models: Any = import_module("support.models")
        self.cases: Any = import_module("support.cases")
        self.sweeping: Any = import_module("support.sweeping")
        self.shown: Any = import_module("support.shown")
        self.database: Any = import_module("django.db")
        self.management: Any = import_module("django.core.management")
        self.CommandError: Any = self.management.CommandError
        self.file = folder / "db.sqlite3"

    def point_at(self, file: Path) -> None:
        """Use another database file."""
        self.database.connection.close()
        self.database.connection.settings_dict["NAME"] = str(file)
        self.file = file

    def run(self, *command: object) -> list[str]:
        """Run a command of `manage.py` in this process; what it prints."""
        out = StringIO()
        self.management.call_command(*map(str, command), stdout=out, stderr=out)
        return out.getvalue().splitlines()

    def start(self, *command: object) -> subprocess.Popen[str]:
        """Start a command of `manage.py` as a program of its own."""
        return subprocess.Popen(
            [sys.executable, "-W", "error", "manage.py", *map(str, command)],
            cwd=HERE,
            env={**os.environ, "DATABASE_URL": f"sqlite:///{self.file}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def row(self, case_id: str = "C-1") -> Any:  # noqa: ANN401 - the project's own model
        return self.models.Case.objects.get(pk=case_id)

    def stored(self) -> list[list[tuple[Any, ...]]]:
        """All that the desk has stored."""
        tables = (self.models.Case, self.models.Change, self.models.Outbox)
        return [list(table.objects.order_by("pk").values_list()) for table in tables]

    def events(self, case_id: str = "C-1") -> list[str]:
        """What has happened to a case."""
        return [entry.event for entry in self.row(case_id).changes.all()]

    def keys(self) -> list[str]:
        """The outbox."""
        return list(self.models.Outbox.objects.values_list("key", flat=True))

    def ask(self, case_id: str = "C-1", at: datetime = MONDAY) -> None:
        """A case that waits for its customer since ``at``."""
        self.cases.open_case(case_id, policy="sub-status", at=at)
        self.cases.change(case_id, "pend", by="agent", sub_status="customer_input", at=at)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Django, with the project's settings and a migrated database; put away afterwards."""
    folder = tmp_path_factory.mktemp("django_desk")
    zone = os.environ.get("TZ")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DJANGO_SETTINGS_MODULE", "djangodesk.settings")
        patched.setenv("DATABASE_URL", f"sqlite:///{folder / 'migrated.sqlite3'}")
        import_module("django").setup()
        testing = import_module("django.test.utils")
        testing.setup_test_environment(debug=False)
        desk = Desk(folder)
        # Hashing a password is slow on purpose.
        patched.setattr(
            import_module("django.conf").settings,
            "PASSWORD_HASHERS",
            ["django.contrib.auth.hashers.MD5PasswordHasher"],
        )
        # Nobody turns the machine off: the disk need not have what is stored.
        options = desk.database.connection.settings_dict["OPTIONS"]
        options["init_command"] += "; PRAGMA synchronous = OFF"
        desk.run("migrate", "--verbosity", "0")
        users = import_module("django.contrib.auth").get_user_model().objects
        users.create_superuser("mira", "mira@desk.example", "x")
        desk.database.connection.close()
        yield desk
        desk.database.connection.close()
        testing.teardown_test_environment()
        if zone is None:  # Django has set it
            os.environ.pop("TZ", None)
        else:
            os.environ["TZ"] = zone
        time.tzset()


@pytest.fixture
def desk(project: Desk, tmp_path: Path) -> Iterator[Desk]:
    """The desk with an empty database."""
    file = shutil.copy(project.folder / "migrated.sqlite3", tmp_path / "db.sqlite3")
    project.point_at(Path(file))
    yield project
    project.database.connection.close()


@pytest.fixture
def asked(desk: Desk) -> Desk:
    """The desk with one case, whose reminder is due a week after that Monday."""
    desk.ask()
    return desk


# --- what is stored -----------------------------------------------------------------------


class TestTheModels:
    def test_they_are_what_the_migrations_make(self, desk: Desk) -> None:
        assert desk.run("makemigrations", "--check", "--dry-run") == ["No changes detected"]
        assert desk.run("check", "--fail-level", "WARNING")[-1].startswith(
            "System check identified no issues"
        )

    @pytest.mark.parametrize("column", ["sub_status", "settled", "previous", "assignee"])
    def test_what_is_absent_is_null_and_never_an_empty_text(self, asked: Desk, column: str) -> None:
        with pytest.raises(asked.database.IntegrityError, match=r"absent_is_null|settled_at"):
            asked.models.Case.objects.update(**{column: ""})

    def test_a_settled_timer_has_its_instant(self, asked: Desk) -> None:
        with pytest.raises(asked.database.IntegrityError, match="settled_at"):
            asked.models.Case.objects.update(settled="remind_customer")

    @pytest.mark.parametrize("table", ["Case", "Change", "Outbox"])
    def test_nothing_is_ever_deleted(self, asked: Desk, table: str) -> None:
        asked.run("sweep_cases", "--now", MONDAY + WEEK)
        rows = getattr(asked.models, table).objects
        before = asked.stored()
        for delete in (rows.first().delete, rows.all().delete, rows.filter(pk__isnull=False).delete):
            with pytest.raises(asked.models.KeptError, match="nothing deletes"):
                delete()
        assert asked.stored() == before

    def test_no_entry_of_a_history_is_ever_changed(self, asked: Desk) -> None:
        entry = asked.row().changes.get()
        entry.by = "customer"
        before = asked.stored()
        for change in (
            entry.save,
            lambda: asked.models.Change.objects.update(by="customer"),
            lambda: asked.models.Change.objects.bulk_update([entry], ["by"]),
        ):
            with pytest.raises(asked.models.KeptError, match="nothing changes"):
                change()
        assert asked.stored() == before

    def test_the_database_is_one_of_two_kinds(self, desk: Desk) -> None:  # noqa: ARG002 - settings are read with it
        database = import_module("djangodesk.settings").database
        there = database("postgresql+psycopg://mira:s%40fe@127.0.0.1:5433/desk")
        assert there == {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "desk",
            "USER": "mira",
            "PASSWORD": "s@fe",
            "HOST": "127.0.0.1",
            "PORT": 5433,
        }
        assert database("sqlite:////srv/desk.sqlite3")["NAME"] == "/srv/desk.sqlite3"

    def test_a_case_comes_back_as_it_was(self, asked: Desk) -> None:
        workflow = asked.cases.WORKFLOWS["sub-status"]
        case = workflow.open("C-1", at=MONDAY)
        case = workflow.apply(case, "pend", by="agent", sub_status="customer_input", at=MONDAY)
        assert asked.cases.whole(asked.row()) == case
        asked.cases.change("C-1", "comment", by="customer", actor="kim", at=MONDAY + WEEK)
        case = workflow.apply(case, "comment", by="customer", actor="kim", at=MONDAY + WEEK)
        assert asked.cases.whole(asked.row()) == case
        assert asked.row().revision == 3

    def test_cases_of_another_desk_are_imported_as_they_are(self, desk: Desk) -> None:
        file = HERE.parent / "cases.jsonl"
        assert desk.run("import_cases", file) == ["kept: 65"]
        for line in file.read_text(encoding="utf-8").splitlines():
            case = Case.from_dict({**json.loads(line), "clones": []})
            assert desk.cases.whole(desk.row(case.id)) == case

    def test_a_file_with_a_bad_line_is_not_imported_at_all(self, desk: Desk, tmp_path: Path) -> None:
        file = tmp_path / "cases.jsonl"
        case = {"id": "C-1", "policy": "sub-status", "status": "new", "entered_at": "2026-03-02T09:00:00Z"}
        for second, wrong in (
            ({**case, "id": "C-2", "entered_at": "2026-03-02T09:00:00"}, "has no time zone"),
            (case, "UNIQUE"),
        ):
            file.write_text(f"{json.dumps(case)}\n{json.dumps(second)}\n", encoding="utf-8")
            with pytest.raises(desk.CommandError, match=f"cases.jsonl:2: .*{wrong}.*nothing has been kept"):
                desk.run("import_cases", file)
            assert not desk.models.Case.objects.exists()
        with pytest.raises(desk.CommandError, match=r"nowhere\.jsonl"):
            desk.run("import_cases", tmp_path / "nowhere.jsonl")


# --- events ---------------------------------------------------------------------------------


class TestAnEvent:
    def test_what_the_policy_refuses_is_not_stored(self, asked: Desk) -> None:
        before = asked.stored()
        with pytest.raises(EventRefused, match="'confirm' by customer is refused"):
            asked.cases.change("C-1", "confirm", by="customer", at=MONDAY)
        with pytest.raises(MissingArgument, match="needs sub_status="):
            asked.cases.change("C-1", "pend", by="agent", at=MONDAY)
        with pytest.raises(TimeOrderError):
            asked.cases.change("C-1", "note", by="agent", at=MONDAY - WEEK)
        assert asked.stored() == before

    def test_one_on_a_page_that_is_out_of_date_is_refused(self, asked: Desk) -> None:
        shown = asked.row().revision
        asked.cases.change("C-1", "comment", by="customer", at=MONDAY)
        before = asked.stored()
        with pytest.raises(asked.cases.CaseChanged, match="C-1"):
            asked.cases.change("C-1", "close", by="agent", revision=shown)
        assert asked.stored() == before

    def test_of_two_that_read_the_same_row_the_second_to_store_is_refused(self, asked: Desk) -> None:
        row = asked.row()
        case = asked.cases.whole(row)
        late = asked.cases.workflow_of(row).apply(case, "close", by="agent", at=MONDAY)
        asked.cases.change("C-1", "comment", by="customer", at=MONDAY)
        before = asked.stored()
        with pytest.raises(asked.cases.CaseChanged, match="C-1"):
            asked.cases.store(row, case, late)
        assert asked.stored() == before

    def test_a_clock_that_is_behind_does_not_matter(self, desk: Desk) -> None:
        ahead = datetime.now(UTC) + timedelta(seconds=90)
        desk.cases.open_case("C-1", policy="sub-status", at=ahead)
        desk.cases.change("C-1", "start", by="agent")
        assert desk.row().entered_at == ahead

    def test_a_closed_case_goes_on_as_a_clone(self, asked: Desk) -> None:
        asked.models.Case.objects.update(subject="It does not print", customer="kim@harbour.example")
        asked.cases.change("C-1", "close", by="agent", at=MONDAY)
        asked.cases.clone("C-1", "C-2", by="customer", at=MONDAY)
        clone = asked.row("C-2")
        assert (clone.status, clone.cloned_from, clone.subject) == ("new", asked.row(), "It does not print")
        assert asked.row().changes.last().detail == "C-2"
        with pytest.raises(asked.database.IntegrityError):
            asked.cases.clone("C-1", "C-2", by="customer", at=MONDAY)
        assert asked.events() == ["pend", "close", "clone"]

    def test_a_case_moves_to_another_policy_with_all_that_is_known_of_it(self, asked: Desk) -> None:
        renamed = policies.SUB_STATUS.to_dict()
        renamed["name"] = "sub-status-2"
        second = Workflow(
            load_policy(renamed).override({"timers": {"close_pending": {"after": {"days": 10}}}})
        )
        with patch.dict(asked.cases.WORKFLOWS, {"sub-status-2": second}):
            asked.cases.migrate("C-1", "sub-status-2", at=MONDAY + WEEK)
            row = asked.row()
            assert (row.policy, row.status, row.sub_status) == ("sub-status-2", "pending", "customer_input")
            assert (row.stay, row.entered_at, row.revision) == (3, MONDAY + WEEK, 3)
            assert asked.events() == ["pend", "migrate"]
            assert asked.sweeping.due_ids(MONDAY + WEEK + timedelta(days=10)) == ["C-1"]

    def test_a_case_of_a_policy_that_is_not_run_here_is_named(self, asked: Desk) -> None:
        asked.models.Case.objects.update(policy="sub-state")
        with pytest.raises(CaseDataError, match=r"C-1.*'sub-state' \(there are: sub-status, open-resolved\)"):
            asked.cases.change("C-1", "note", by="agent")


# --- the sweep --------------------------------------------------------------------------------


NEVER_UNWARNED = {"timers": {"close_pending": {"notice": {"days": 7}}}}


class TestTheSweep:
    @pytest.fixture(params=["as documented", "never close unwarned"])
    def large(self, request: pytest.FixtureRequest, desk: Desk) -> Iterator[tuple[Desk, list[Case]]]:
        """Cases of both policies, in every state, at every position, at ages around every timer."""
        workflows = {name: Workflow(load_policy(name)) for name in ("sub-status", "open-resolved")}
        if request.param == "never close unwarned":
            workflows["sub-status"] = Workflow(policies.SUB_STATUS.override(NEVER_UNWARNED))
        random = Random(2026)  # noqa: S311 - any cases will do, if they are the same every time
        found = []
        for number in range(2000):
            workflow = random.choice(list(workflows.values()))
            state = random.choice(workflow.policy.states)
            status, _, sub_status = state.partition(".")
            age = timedelta(days=random.choice([0, 1, 7, 14, 28]), microseconds=random.randint(-2, 2))
            entered_at = MONDAY - age - timedelta(days=random.choice([0, 0, 3]))
            settled = random.choice([None, *(timer.name for timer in workflow.policy.schedules[state])])
            case = Case(
                id=f"C-{number:04}",
                status=status,
                sub_status=sub_status or None,
                policy=workflow.policy.name,
                entered_at=entered_at,
                settled=settled,
                settled_at=entered_at + timedelta(days=random.choice([0, 7, 21, 25])) if settled else None,
                opened_at=MONDAY - timedelta(days=100),
            )
            found.append(case)
        with patch.dict(desk.cases.WORKFLOWS, workflows), import_module("django.db.transaction").atomic():
            for case in found:
                desk.cases.insert(case)
            yield desk, found

    def test_it_finds_what_is_due_the_longest_waiting_first(self, large: tuple[Desk, list[Case]]) -> None:
        desk, found = large
        by_entry = sorted(found, key=lambda case: (case.entered_at, case.id))
        expected = [
            case.id
            for case in by_entry
            for workflow in [desk.cases.WORKFLOWS[case.policy]]
            if list(workflow.due([case], now=MONDAY))
        ]
        assert len(expected) > 250
        assert desk.sweeping.due_ids(MONDAY) == expected

    def test_it_is_answered_by_the_index(self, large: tuple[Desk, list[Case]]) -> None:
        desk, _ = large
        rows = desk.models.Case.objects
        for search in (
            rows.filter(desk.sweeping.due(MONDAY)),
            rows.filter(desk.sweeping.due(MONDAY)).order_by(),
        ):
            plan = search.explain().splitlines()
            searches = [step for step in plan if "SEARCH" in step]
            cutoffs = [row for workflow in desk.cases.WORKFLOWS.values() for row in workflow.cutoffs(MONDAY)]
            assert len(searches) == len(cutoffs)
            for step in searches:
                assert (
                    "INDEX support_case_sweep (status=? AND sub_status=? AND settled=? AND entered_at<?)"
                    in step
                )
            assert not [step for step in plan if "SCAN" in step]

    def test_a_late_reminder_holds_back_the_closure_where_the_policy_says_so(self, asked: Desk) -> None:
        reminded = MONDAY + timedelta(days=25)
        asked.run("sweep_cases", "--now", reminded)
        strict = Workflow(policies.SUB_STATUS.override(NEVER_UNWARNED))
        with patch.dict(asked.cases.WORKFLOWS, {"sub-status": strict}):
            assert asked.sweeping.due_ids(reminded + WEEK - timedelta(microseconds=1)) == []
            assert asked.sweeping.due_ids(reminded + WEEK) == ["C-1"]

    def test_where_no_policy_has_a_timer_nothing_is_due(self, asked: Desk) -> None:
        quiet = load_policy({"format": 1, "name": "quiet", "initial": "new", "statuses": {"new": {}}})
        with patch.dict(asked.cases.WORKFLOWS, {"quiet": Workflow(quiet)}, clear=True):
            assert asked.sweeping.due_ids(MONDAY + 9 * WEEK) == []

    def test_a_policy_that_has_changed_is_in_force_at_once(self, asked: Desk) -> None:
        shorter = Workflow(
            policies.SUB_STATUS.override({"timers": {"remind_customer": {"after": {"days": 3}}}})
        )
        now = MONDAY + timedelta(days=3)
        assert asked.sweeping.due_ids(now) == []
        with patch.dict(asked.cases.WORKFLOWS, {"sub-status": shorter}):
            assert asked.sweeping.due_ids(now) == ["C-1"]

    def test_it_settles_each_action_once(self, asked: Desk) -> None:
        now = MONDAY + WEEK
        assert asked.run("sweep_cases", "--now", now - timedelta(microseconds=1)) == ["settled: 0"]
        assert asked.run("sweep_cases", "--now", now.isoformat()) == ["C-1:2:remind_customer", "settled: 1"]
        assert asked.run("sweep_cases", "--now", now.isoformat()) == ["settled: 0"]
        row = asked.row()
        assert (row.settled, row.settled_at, row.revision, row.stay) == ("remind_customer", now, 3, 2)
        message = asked.models.Outbox.objects.get()
        assert (message.key, message.audience, message.written_at) == (
            "C-1:2:remind_customer",
            "customer",
            now,
        )
        assert asked.run("sweep_cases", "--now", "2026-03-30T09:00:00Z") == [
            "C-1:2:close_pending -> closed",
            "settled: 1",
        ]
        assert asked.row().status == "closed"
        assert asked.events() == ["pend", "remind_customer", "close_pending"]

    def test_without_an_instant_it_asks_the_clock(self, desk: Desk) -> None:
        desk.ask(at=datetime.now(UTC) - WEEK)
        assert desk.run("sweep_cases") == ["C-1:2:remind_customer", "settled: 1"]

    def test_a_case_that_knows_of_a_later_instant_is_settled_then(self, asked: Desk) -> None:
        later = MONDAY + 2 * WEEK
        asked.cases.change("C-1", "note", by="agent", at=later)
        asked.run("sweep_cases", "--now", MONDAY + WEEK)
        assert asked.row().settled_at == later

    def test_the_limit_is_filled_with_those_that_have_waited_longest(self, desk: Desk) -> None:
        for number in (3, 1, 2, 4):
            desk.ask(f"C-{number}", MONDAY + timedelta(minutes=number))
        desk.models.Case.objects.filter(pk="C-1").update(stay=0)
        with pytest.raises(desk.CommandError, match="could not be swept: 1"):
            desk.run("sweep_cases", "--now", MONDAY + 2 * WEEK, "--limit", 2)
        assert desk.keys() == ["C-2:2:remind_customer", "C-3:2:remind_customer"]

    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            ({"stay": 0}, "stay: must be a whole number from 1 on, not 0"),
            ({"opened_at": MONDAY + 3 * WEEK, "policy": "sub-stat"}, "this desk does not run 'sub-stat'"),
            ({"status": "pendig"}, "unknown status 'pendig'; did you mean 'pending'?"),
            ({"sub_status": None}, "sub_status: is missing: pending needs one of"),
            ({"sub_status": "nowhere"}, "unknown status 'nowhere'"),
            ({"settled": "close_resolved", "settled_at": MONDAY}, "'close_resolved' is no timer of pending"),
        ],
    )
    def test_a_bad_row_is_named_and_stays_as_it_is_and_the_others_are_swept(
        self, desk: Desk, wrong: dict[str, object], why: str
    ) -> None:
        for number in (1, 2, 3):
            desk.ask(f"C-{number}")
        desk.models.Case.objects.filter(pk="C-2").update(**wrong)
        before = list(desk.models.Case.objects.filter(pk="C-2").values())
        program = desk.start("sweep_cases", "--now", MONDAY + WEEK)
        out, told = program.communicate(timeout=60)
        assert program.returncode == 1
        assert out.splitlines() == ["C-1:2:remind_customer", "C-3:2:remind_customer", "settled: 2"]
        assert [line for line in told.splitlines() if line.startswith("C-2: ") and why in line]
        assert told.endswith("CommandError: cases that could not be swept: 1\n")
        assert list(desk.models.Case.objects.filter(pk="C-2").values()) == before
        assert desk.events("C-2") == ["pend"]

    def test_rows_that_no_sweep_finds_are_looked_for_unless_one_says_otherwise(self, asked: Desk) -> None:
        asked.models.Case.objects.update(status="pendig")
        with pytest.raises(asked.CommandError, match="could not be swept: 1"):
            asked.run("sweep_cases", "--now", MONDAY + WEEK)
        assert asked.run("sweep_cases", "--now", MONDAY + WEEK, "--due-only") == ["settled: 0"]

    @pytest.mark.parametrize(
        ("option", "value", "why"),
        [
            ("--now", "2026-03-02T09:00:00", "has no time zone; write 2026-03-02T09:00:00Z if it is UTC"),
            ("--now", "monday", "'monday' is no instant; write 2026-03-01T12:00Z"),
            ("--now", "", "'' is no instant"),
            ("--limit", "0", "'0' is no whole number from 1 on"),
            ("--limit", "ten", "'ten' is no whole number from 1 on"),
        ],
    )
    def test_an_argument_that_is_none_is_wrong_usage(
        self, asked: Desk, option: str, value: str, why: str
    ) -> None:
        before = asked.stored()
        with pytest.raises(asked.CommandError, match=f"argument {option}: .*{re.escape(why)}"):
            asked.run("sweep_cases", f"{option}={value}")
        assert asked.stored() == before

    def test_wrong_usage_ends_with_status_2(self, asked: Desk) -> None:
        program = asked.start("sweep_cases", "--now", "2026-03-02T09:00:00")
        out, told = program.communicate(timeout=60)
        assert (program.returncode, out) == (2, "")
        assert "has no time zone" in told
        assert "Traceback" not in told

    def test_a_crash_before_the_message_is_written_settles_nothing(self, asked: Desk) -> None:
        before = asked.stored()
        with asked.database.connection.cursor() as cursor:
            cursor.execute(
                "CREATE TRIGGER crash BEFORE INSERT ON support_outbox "
                "BEGIN SELECT RAISE(ABORT, 'no power'); END"
            )
        with pytest.raises(asked.CommandError, match="could not be swept: 1"):
            asked.run("sweep_cases", "--now", MONDAY + WEEK)
        assert asked.stored() == before
        with asked.database.connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER crash")
        asked.run("sweep_cases", "--now", MONDAY + WEEK)
        assert asked.keys() == ["C-1:2:remind_customer"]

    def test_a_database_that_fails_ends_the_sweep_with_one_line(self, asked: Desk) -> None:
        with asked.database.connection.cursor() as cursor:
            cursor.execute("DROP TABLE support_outbox")
        with pytest.raises(asked.CommandError, match=r"the database: no such table.*settled until then: 0"):
            asked.run("sweep_cases", "--now", MONDAY + WEEK)
        assert (asked.row().settled, asked.events()) == (None, ["pend"])

    def test_a_reply_between_finding_and_closing_wins(self, asked: Desk) -> None:
        now = MONDAY + 4 * WEEK
        assert asked.sweeping.due_ids(now) == ["C-1"]
        asked.cases.change("C-1", "comment", by="customer", at=now)
        before = asked.stored()
        with patch.object(asked.sweeping, "due_ids", lambda _: ["C-1", "C-404"]):
            asked.cases.change("C-1", "start", by="agent", at=now)
            assert asked.run("sweep_cases", "--now", now) == ["settled: 0"]
        assert (asked.row().status, len(before[1])) == ("in_progress", 2)

    def test_a_case_that_changes_while_it_is_settled_is_left_for_the_next_sweep(self, asked: Desk) -> None:
        """As on a database that neither locks rows nor writes one at a time."""

        def store(row: object, before: Case, after: Case) -> None:
            asked.models.Case.objects.update(revision=99)
            asked.cases.store(row, before, after)

        before = asked.stored()
        with patch.object(asked.sweeping, "store", store):
            assert asked.run("sweep_cases", "--now", MONDAY + WEEK) == ["settled: 0"]
        assert asked.stored() == before

    def test_several_at_once_settle_each_action_once(self, desk: Desk) -> None:
        many = 120
        with import_module("django.db.transaction").atomic():
            for number in range(many):
                desk.ask(f"C-{number}")
        desk.database.connection.close()
        programs = [desk.start("sweep_cases", "--now", MONDAY + WEEK) for _ in range(3)]
        told = [program.communicate(timeout=120) for program in programs]
        assert [(program.returncode, err) for program, (_, err) in zip(programs, told, strict=True)] == [
            (0, "")
        ] * 3
        settled = [line for out, _ in told for line in out.splitlines() if "settled" not in line]
        assert sorted(settled) == sorted(f"C-{number}:2:remind_customer" for number in range(many))
        assert sorted(desk.keys()) == sorted(settled)
        events = desk.models.Change.objects.filter(event="remind_customer")
        assert events.count() == events.values("case").distinct().count() == many


class TestTheMailer:
    @pytest.fixture
    def outbox(self) -> list[Any]:
        """What has been mailed."""
        found: list[Any] = import_module("django.core.mail").outbox
        found.clear()
        return found

    def test_it_sends_each_message_once(self, asked: Desk, outbox: list[Any]) -> None:
        asked.models.Case.objects.update(subject="It does not print", customer="kim@harbour.example")
        asked.run("sweep_cases", "--now", MONDAY + WEEK)
        asked.cases.change("C-1", "comment", by="customer", at=MONDAY + WEEK)
        asked.run("sweep_cases", "--now", MONDAY + WEEK)
        asked.run("send_messages")
        asked.run("send_messages")
        assert [(mail.to, mail.subject) for mail in outbox] == [
            (["kim@harbour.example"], "C-1 It does not print: Update Received"),
            (["support@desk.example"], "C-1 It does not print: Update Received"),
        ]
        assert not asked.models.Outbox.objects.filter(sent_at=None).exists()

    def test_after_a_crash_it_sends_it_again_under_the_same_id(self, asked: Desk, outbox: list[Any]) -> None:
        asked.models.Case.objects.update(customer="kim@harbour.example")
        asked.run("sweep_cases", "--now", MONDAY + WEEK)
        asked.run("send_messages")
        asked.models.Outbox.objects.update(sent_at=None)
        asked.run("send_messages")
        first, second = (mail.extra_headers["Message-ID"] for mail in outbox)
        assert first == second

    def test_a_message_that_cannot_be_sent_waits_and_the_others_are_sent(
        self, asked: Desk, outbox: list[Any]
    ) -> None:
        asked.ask("C-2")
        asked.ask("C-3")
        asked.models.Case.objects.update(customer="kim@harbour.example")
        asked.run("sweep_cases", "--now", MONDAY + WEEK)
        asked.models.Case.objects.filter(pk="C-1").update(customer="")
        asked.models.Case.objects.filter(pk="C-2").update(status="pendig")
        with pytest.raises(asked.CommandError, match="could not be sent: 2"):
            asked.run("send_messages")
        assert [mail.subject for mail in outbox] == ["C-3: Pending: Customer Input"]
        assert asked.models.Outbox.objects.filter(sent_at=None).count() == 2


# --- the admin --------------------------------------------------------------------------------


class Browser:
    """What an agent sees and presses."""

    def __init__(self, username: str = "mira") -> None:
        self.client: Any = import_module("django.test").Client()
        users = import_module("django.contrib.auth").get_user_model().objects
        self.client.force_login(users.get(username=username))

    def get(self, path: str, status: int = 200) -> str:
        """A page of the admin, its white space made even."""
        return self.text(self.client.get(f"/admin/{path}", follow=True), status)

    def post(self, path: str, data: Mapping[str, object], status: int = 200) -> str:
        """The page that comes when a form has been sent."""
        return self.text(self.client.post(f"/admin/{path}", data, follow=True), status)

    @staticmethod
    def text(response: Any, status: int) -> str:  # noqa: ANN401 - Django's own
        assert response.status_code == status
        return unescape(re.sub(r"\s+", " ", response.content.decode()))

    def page(self, case_id: str = "C-1") -> str:
        """The page of a case."""
        return self.get(f"support/case/{case_id}/change/")

    def press(self, event: str, *, by: str = "agent", **given: object) -> str:
        """Press a button on the page of C-1; what is shown then."""
        data = {"event": event, "by": by, **given}
        if "revision" not in data:
            found = re.search(r'name="revision" value="(\d+)"', self.page())
            assert found is not None
            data["revision"] = found[1]
        return self.post("support/case/C-1/event/", data)

    def buttons(self, by: str) -> list[str]:
        """The events that the page of C-1 offers."""
        forms = re.findall(r"<form method.*?</form>", self.page())
        own = [form for form in forms if f'name="by" value="{by}"' in form]
        return [found for form in own for found in re.findall(r'name="event" value="(\w+)"', form)]


NO_ROWS = {
    f"{table}-{number}_FORMS": 0 for table in ("changes", "messages") for number in ("TOTAL", "INITIAL")
}


class TestTheAdmin:
    @pytest.fixture
    def browser(self, desk: Desk) -> Browser:  # noqa: ARG002 - its database
        return Browser()

    @pytest.fixture
    def waiting(self, desk: Desk) -> datetime:
        """Since when C-1 has been waiting for its customer."""
        since = datetime.now(UTC) - WEEK + timedelta(hours=1)
        desk.ask(at=since)
        return since

    def test_it_shows_the_state_what_is_asked_and_what_is_to_come(
        self, browser: Browser, waiting: datetime
    ) -> None:
        page = browser.page()
        assert ">Pending: Customer Input</h2>" in page
        assert "Add a comment with the information that support asked for." in page

        def on(at: datetime) -> str:
            return f"on {at.day} {at:%b %Y, %H:%M} UTC"

        reminded, closed = waiting + WEEK, waiting + 4 * WEEK
        assert f"The customer is reminded {on(reminded)}<br>" in page
        assert f"Closes {on(closed)} unless the customer replies<br>" in page
        assert f"The customer is notified {on(closed + timedelta(days=1))}<br>" in page
        assert f'<td class="field-closes nowrap">{closed.day} {closed:%b %Y, %H:%M}</td>' in browser.get(
            "support/case/"
        )

    def test_what_is_overdue_comes_with_the_next_sweep(self, browser: Browser, desk: Desk) -> None:
        desk.ask()
        assert "Closes with the next sweep unless the customer replies<br>" in browser.page()

    def test_a_case_that_waits_for_nobody_says_so(self, browser: Browser, desk: Desk) -> None:
        desk.cases.open_case("C-1", policy="open-resolved", at=MONDAY)
        assert "Nothing comes by itself." in browser.page()

    @pytest.mark.usefixtures("waiting")
    def test_it_offers_the_events_that_are_permitted(self, browser: Browser) -> None:
        assert browser.buttons("agent") == ["start", "pend", "respond", "note", "close"]
        assert browser.buttons("customer") == ["comment"]
        page = browser.page()
        assert 'value="start">Start → In Progress</button>' in page
        assert '<option value="third_party_provider">Pending: Third Party Provider</option>' in page

    @pytest.mark.usefixtures("waiting")
    def test_a_button_lets_its_event_happen(self, browser: Browser, desk: Desk) -> None:
        page = browser.press("comment", by="customer")
        assert "Comment by customer has been stored." in page
        assert ">Update Received</h2>" in page
        entry = desk.row().changes.last()
        assert (entry.event, entry.by, entry.actor) == ("comment", "customer", "mira")
        assert desk.row().revision == 3

    @pytest.mark.usefixtures("waiting")
    def test_pending_again_takes_a_sub_status(self, browser: Browser, desk: Desk) -> None:
        browser.press("pend", sub_status="development")
        assert (desk.row().status, desk.row().sub_status) == ("pending", "development")
        browser.press("start")
        assert (desk.row().status, desk.row().sub_status) == ("in_progress", None)

    def test_assigning_takes_an_agent(self, browser: Browser, desk: Desk) -> None:
        desk.cases.open_case("C-1", policy="open-resolved", at=MONDAY)
        assert "<option>mira</option>" in browser.page()
        page = browser.press("assign", assignee="mira")
        assert '<td class="field-details"> <p>mira</p> </td>' in page
        assert (desk.row().status, desk.row().assignee) == ("open", "mira")

    @pytest.mark.usefixtures("waiting")
    @pytest.mark.parametrize(
        ("pressed", "why"),
        [
            ({"event": "confirm", "by": "customer"}, "'confirm' by customer is refused in pending"),
            ({"event": "clone"}, "'clone' by agent is refused in pending.customer_input; permitted: close,"),
            ({"event": "remind"}, "unknown event 'remind'"),
            ({"event": "pend"}, "'pend' needs sub_status= (one of: customer_input, development"),
            ({"event": "pend", "sub_status": "nowhere"}, "unknown status 'nowhere'"),
            ({"event": "start", "sub_status": "development"}, "'start' takes no sub_status= here"),
            ({"event": "start", "assignee": "mira"}, "'start' takes no assignee= here"),
            ({"event": "close", "by": "system"}, "Select a valid choice. system is not one of"),
            ({"event": ""}, "event * This field is required."),
            ({"event": "start", "revision": "two"}, "revision * Enter a whole number."),
            ({"event": "start", "revision": "1"}, "has changed since this page was shown"),
        ],
    )
    def test_what_is_not_permitted_is_refused_and_nothing_is_stored(
        self, browser: Browser, desk: Desk, pressed: dict[str, str], why: str
    ) -> None:
        before = desk.stored()
        page = browser.press(**pressed)
        assert '<li class="error">Nothing has been stored: ' in page
        assert why in page
        assert ">Pending: Customer Input</h2>" in page
        assert desk.stored() == before

    @pytest.mark.usefixtures("waiting")
    def test_a_page_that_is_out_of_date_is_refused_and_shown_afresh(
        self, browser: Browser, desk: Desk
    ) -> None:
        revision = desk.row().revision
        desk.cases.change("C-1", "comment", by="customer")
        before = desk.stored()
        page = browser.press("close", revision=revision)
        assert "case 'C-1' has changed since this page was shown" in page
        assert ">Update Received</h2>" in page
        assert desk.stored() == before

    @pytest.mark.usefixtures("waiting")
    def test_nothing_can_be_deleted(self, browser: Browser, desk: Desk) -> None:
        desk.run("sweep_cases", "--now", MONDAY + 99 * WEEK)
        desk.run("sweep_cases", "--now", MONDAY + 100 * WEEK)
        message = desk.models.Outbox.objects.get()
        before = desk.stored()
        for page in (browser.page(), browser.get("support/case/"), browser.get("support/outbox/")):
            assert not re.search(r'/delete/|class="deletelink|delete_selected|-DELETE"', page)
        for path in ("case/C-1", f"outbox/{message.pk}"):
            browser.get(f"support/{path}/delete/", status=403)
            browser.post(f"support/{path}/delete/", {"post": "yes"}, status=403)
        chosen = {"action": "delete_selected", "_selected_action": "C-1", "post": "yes"}
        browser.post("support/case/", chosen)
        browser.post("support/outbox/", {**chosen, "_selected_action": message.pk})
        assert desk.stored() == before

    @pytest.mark.usefixtures("waiting")
    def test_the_history_can_be_read_and_nothing_else(self, browser: Browser, desk: Desk) -> None:
        entry = desk.row().changes.get()
        page = browser.page()
        assert '<td class="field-event"> <p>pend</p> </td>' in page
        assert not re.findall(r'name="changes-\d+-(?!id|case)\w+"', page)
        before = desk.stored()
        browser.post(
            "support/case/C-1/change/",
            {
                "subject": "",
                "customer": "",
                "status": "closed",
                **NO_ROWS,
                "changes-TOTAL_FORMS": 2,
                "changes-INITIAL_FORMS": 1,
                "changes-0-id": entry.pk,
                "changes-0-case": "C-1",
                "changes-0-by": "customer",
                "changes-0-DELETE": "on",
                "changes-1-case": "C-1",
                "changes-1-event": "close",
            },
        )
        assert desk.stored() == before

    def test_a_case_is_opened_with_an_id_of_its_own(self, browser: Browser, desk: Desk) -> None:
        found = re.search(r'name="id" value="(C-\w{8})"', browser.get("support/case/add/"))
        assert found is not None
        case = {"id": found[1], "policy": "open-resolved", "subject": "It does not print", "customer": ""}
        browser.post("support/case/add/", case)
        row = desk.row(found[1])
        assert (row.policy, row.status, row.subject) == ("open-resolved", "new", "It does not print")
        assert row.opened_at == row.entered_at
        assert abs(row.opened_at - datetime.now(UTC)) < timedelta(minutes=1)
        page = browser.post("support/case/add/", {**case, "subject": "Another one"})
        assert "Case with this Id already exists." in page
        page = browser.post("support/case/add/", {**case, "id": "C-2", "policy": "nothing"})
        assert "Select a valid choice" in page
        assert desk.models.Case.objects.count() == 1

    @pytest.mark.usefixtures("waiting")
    def test_editing_what_a_case_is_about_leaves_alone_where_it_stands(
        self, browser: Browser, desk: Desk
    ) -> None:
        admin: Any = import_module("support.admin")
        save = admin.CaseAdmin.save_model

        def late(*given: Any) -> None:  # noqa: ANN401 - Django's own
            desk.cases.change("C-1", "comment", by="customer")  # while the page is being saved
            save(*given)

        about = {"subject": "It does not print", "customer": "kim@harbour.example"}
        with patch.object(admin.CaseAdmin, "save_model", late):
            browser.post("support/case/C-1/change/", {**about, **NO_ROWS})
        row = desk.row()
        assert (row.subject, row.customer) == ("It does not print", "kim@harbour.example")
        assert (row.status, row.sub_status, row.revision) == ("update_received", None, 3)

    def test_a_closed_case_is_cloned_with_one_button(self, browser: Browser, desk: Desk) -> None:
        desk.cases.open_case("C-1", policy="sub-status", at=MONDAY, subject="It does not print")
        browser.press("close")
        assert browser.buttons("customer") == ["clone"]
        page = browser.press("clone", by="customer")
        clone = desk.models.Case.objects.exclude(pk="C-1").get()
        assert clone.cloned_from_id == "C-1"
        assert f"{clone.pk} It does not print" in page
        assert '<a href="/admin/support/case/C-1/change/">C-1 It does not print</a>' in page

    @pytest.mark.usefixtures("waiting")
    def test_a_row_that_cannot_be_is_shown_with_what_is_wrong(self, browser: Browser, desk: Desk) -> None:
        desk.models.Case.objects.update(status="pendig", sub_status=None)
        for page in (browser.page(), browser.get("support/case/")):
            assert "unknown status 'pendig'; did you mean 'pending'?" in page
        assert browser.buttons("agent") == []
        before = desk.stored()
        assert "unknown status 'pendig'" in browser.press("close", revision=desk.row().revision)
        assert desk.stored() == before

    def test_a_case_that_is_not_there_is_named(self, browser: Browser) -> None:
        data = {"event": "close", "by": "agent", "revision": 1}
        assert "There is no case C-404." in browser.post("support/case/C-404/event/", data)
        assert "Perhaps it was deleted?" in browser.page("C-404")

    def test_an_id_may_be_any_text(self, browser: Browser, desk: Desk) -> None:
        quote = import_module("django.contrib.admin.utils").quote
        desk.cases.open_case("a/b?c_<d>%", policy="sub-status", at=MONDAY)
        path = f"support/case/{quote('a/b?c_<d>%')}"
        assert f'action="/admin/{path}/event/"' in browser.get(f"{path}/change/")
        browser.post(f"{path}/event/", {"event": "close", "by": "agent", "revision": 1})
        assert desk.row("a/b?c_<d>%").status == "closed"

    @pytest.mark.usefixtures("waiting")
    def test_the_list_can_be_narrowed_to_a_state(self, browser: Browser, desk: Desk) -> None:
        desk.cases.open_case("C-2", policy="sub-status", at=MONDAY)
        desk.ask("C-3")
        desk.cases.change("C-3", "pend", by="agent", sub_status="development", at=MONDAY)

        def listed(query: str) -> list[str]:
            return sorted(re.findall(r">(C-\d)</a></th>", browser.get(f"support/case/?{query}")))

        assert listed("") == ["C-1", "C-2", "C-3"]
        assert listed("state=pending.customer_input") == ["C-1"]
        assert listed("state=new") == ["C-2"]

    @pytest.mark.usefixtures("waiting")
    def test_only_those_who_may_change_cases_let_events_happen(self, browser: Browser, desk: Desk) -> None:
        auth = import_module("django.contrib.auth.models")
        reader = auth.User.objects.create_user("jonas", is_staff=True)
        reader.user_permissions.add(auth.Permission.objects.get(codename="view_case"))
        before = desk.stored()
        assert browser.client.get("/admin/support/case/C-1/event/").status_code == 405
        reading = Browser("jonas")
        assert "Closes on" in reading.page()
        assert reading.buttons("agent") == reading.buttons("customer") == []
        data = {"event": "close", "by": "agent", "revision": 2}
        reading.post("support/case/C-1/event/", data, status=403)
        reading.client.logout()
        assert "Log in" in reading.post("support/case/C-1/event/", data)
        assert desk.stored() == before


# --- the same as its policies -------------------------------------------------------------------


class PowerCut(BaseException):
    """And then there is no power."""


class Adapter:
    """The project as `conformance` drives it: the functions that the admin calls, and the sweep's command."""

    policy: str

    def __init__(self) -> None:
        self.desk = Desk(HERE)

    def __enter__(self) -> Self:
        with self.desk.database.connection.cursor() as cursor:
            for table in ("outbox", "change", "case"):
                cursor.execute(f"DELETE FROM support_{table}")  # noqa: S608 - ours
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the file to the fixture."""

    def open(self, case_id: str, *, at: datetime) -> None:
        self.desk.cases.open_case(case_id, policy=self.policy, at=at)

    def handle(
        self,
        case_id: str,
        event: str,
        *,
        by: str,
        at: datetime,
        sub_status: str | None = None,
        assignee: str | None = None,
    ) -> None:
        self.desk.cases.change(case_id, event, by=by, at=at, sub_status=sub_status, assignee=assignee)

    def clone(self, case_id: str, new_id: str, *, by: str, at: datetime) -> None:
        self.desk.cases.clone(case_id, new_id, by=by, at=at)

    def state(self, case_id: str) -> str:
        row = self.desk.row(case_id)
        return f"{row.status}.{row.sub_status}" if row.sub_status else str(row.status)

    def outbox(self) -> Iterable[tuple[str, str]]:
        return list(self.desk.models.Outbox.objects.values_list("case_id", "timer"))

    def sweep(self, now: datetime) -> None:
        self.desk.run("sweep_cases", "--now", now)

    def collect(self, now: datetime) -> list[str]:
        found: list[str] = self.desk.sweeping.due_ids(now)
        return found

    def carry_out(self, found: list[str], now: datetime) -> None:
        for case_id in found:
            self.desk.sweeping.carry_out(case_id, now)

    def crash(self, now: datetime) -> None:
        with suppress(PowerCut), patch.object(self.desk.models.Outbox, "save", side_effect=PowerCut):
            self.desk.run("sweep_cases", "--now", now)


class SubStatusDesk(Adapter):
    policy = "sub-status"


class OpenResolvedDesk(Adapter):
    policy = "open-resolved"


@pytest.mark.usefixtures("desk")
class TestSubStatus(conformance(policies.SUB_STATUS, SubStatusDesk, examples=20, seed=2026)):  # type: ignore[misc]
    """The document's cases, at this desk."""


@pytest.mark.usefixtures("desk")
class TestOpenResolved(conformance(policies.OPEN_RESOLVED, OpenResolvedDesk, examples=20, seed=2026)):  # type: ignore[misc]
    """Likewise."""
