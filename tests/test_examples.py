"""The scripts in ``examples/``: they run, and do what they say."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
import subprocess
import sys

from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from sqlite3 import IntegrityError
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from casestate import Case, ManualClock, StaleAction, Workflow, load_policy, policies
from casestate.replay import replay


if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

Desk: TypeAlias = Any  # the example's own class: a script cannot be imported

EXAMPLES = Path(__file__).parents[1] / "examples"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found  # its annotations are looked up there
    spec.loader.exec_module(found)
    return found


class TestCases:
    @pytest.fixture
    def cases(self) -> list[Case]:
        lines = (EXAMPLES / "cases.jsonl").read_text(encoding="utf-8").splitlines()
        return [Case.from_dict(json.loads(line)) for line in lines]

    @pytest.fixture
    def desks(self) -> dict[str | None, Workflow]:
        return {
            policy.name: Workflow(policy, clock=ManualClock(NOON))
            for policy in (policies.SUB_STATUS, policies.OPEN_RESOLVED)
        }

    def test_the_generator_writes_the_file_that_is_there(self, tmp_path: Path) -> None:
        script = shutil.copy(EXAMPLES / "make_cases.py", tmp_path)
        done = run(Path(script))
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / "cases.jsonl").read_bytes() == (EXAMPLES / "cases.jsonl").read_bytes()

    def test_it_holds_some_sixty_cases_of_both_workflows(self, cases: list[Case]) -> None:
        assert 55 <= len(cases) <= 69
        assert len({case.id for case in cases}) == len(cases)
        assert min(Counter(case.policy for case in cases).values()) > 20
        assert {case.policy for case in cases} == {"sub-status", "open-resolved"}

    @pytest.mark.parametrize("policy", ["sub-status", "open-resolved"])
    def test_it_holds_overdue_settled_replied_and_closed_cases(
        self, cases: list[Case], desks: dict[str | None, Workflow], policy: str
    ) -> None:
        own = [case for case in cases if case.policy == policy]
        overdue = [action for action in desks[policy].due(own) if NOON - action.due_at > timedelta(days=1)]
        assert len(overdue) > 5
        assert {"close", "notify"} <= {action.kind for action in overdue}
        assert any(case.settled for case in own)
        assert any(
            change.by == "customer" and change.event == "comment" for case in own for change in case.history
        )
        assert any(case.status == "closed" for case in own)

    def test_some_cases_were_reminded_some_await_it_and_one_was_cloned(
        self, cases: list[Case], desks: dict[str | None, Workflow]
    ) -> None:
        own = [case for case in cases if case.policy == "sub-status"]
        assert "remind_customer" in {case.settled for case in own}
        assert "remind_customer" in {action.timer for action in desks["sub-status"].due(own)}
        links = {clone: case.id for case in own for clone in case.clones}
        assert links == {case.id: case.cloned_from for case in own if case.cloned_from}
        assert links

    def test_nothing_in_it_is_later_than_noon(self, cases: list[Case]) -> None:
        assert max(case.changed_at for case in cases) <= NOON


class TestPast:
    @pytest.fixture
    def rows(self) -> list[dict[str, str]]:
        with (EXAMPLES / "past.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def test_the_generator_writes_the_file_that_is_there(self, tmp_path: Path) -> None:
        script = shutil.copy(EXAMPLES / "make_log.py", tmp_path)
        done = run(Path(script))
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / "past.csv").read_bytes() == (EXAMPLES / "past.csv").read_bytes()
        assert len((tmp_path / "past.csv").read_bytes()) < 60_000

    def test_it_holds_some_three_hundred_cases_in_order(self, rows: list[dict[str, str]]) -> None:
        assert 250 < len({row["case"] for row in rows}) < 350
        for before, row in pairwise(rows):
            assert (row["seq"] == "0") == (row["case"] != before["case"])
            assert row["seq"] == "0" or row["ts"] >= before["ts"]

    @pytest.mark.parametrize("policy", ["sub-status", "open-resolved"])
    def test_it_has_something_to_tell_under_either_policy(
        self, rows: list[dict[str, str]], policy: str
    ) -> None:
        mapping = EXAMPLES / f"past_{policy.replace('-', '_')}.toml"
        summary = replay(rows, Workflow(load_policy(policy)), mapping=mapping).summary
        assert (summary.bad_rows, summary.unused) == (0, ())
        assert all(closures.worked_on_again > 5 for closures in summary.closures)
        assert 3 < sum(move.count for move in summary.moves if not move.by) < 40
        assert [begun.state for begun in summary.beginnings if not begun.allowed] == ["closed"]
        assert summary.ignored_rows > 0
        assert all(curve.replied for curve in summary.replies)


STORY = """\
02 Mar  three customers are asked for their logs
09 Mar  settled: remind_customer of C-1
09 Mar  settled: remind_customer of C-2
09 Mar  settled: remind_customer of C-3
09 Mar  mailed: C-1:2:remind_customer
09 Mar  mailed: C-2:2:remind_customer
09 Mar  mailed: C-3:2:remind_customer
11 Mar  the customer of C-1 replies
11 Mar  settled: notify_update_received of C-1
11 Mar  mailed: C-1:3:notify_update_received
30 Mar  an agent opens the page of C-3, at revision 3
30 Mar  due: close_pending of C-2
30 Mar  due: close_pending of C-3
30 Mar  the customer of C-2 replies before that is carried out
30 Mar  dropped: close_pending of C-2, which has moved on
30 Mar  settled: close_pending of C-3
30 Mar  refused: the agent's page of C-3 is out of date
31 Mar  settled: notify_update_received of C-2
31 Mar  settled: notify_closed of C-3
31 Mar  mailed: C-2:3:notify_update_received
31 Mar  mailed: C-3:3:notify_closed
"""


class TestEmbedding:
    @pytest.fixture
    def example(self) -> Iterator[ModuleType]:
        yield module("embed_sqlite")
        del sys.modules["embed_sqlite"]

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))

    @pytest.fixture
    def path(self, tmp_path: Path) -> str:
        return str(tmp_path / "desk.sqlite")

    @pytest.fixture
    def desk(self, example: ModuleType, clock: ManualClock, path: str) -> Iterator[Desk]:
        with closing(example.Desk(path, Workflow(policies.SUB_STATUS, clock=clock))) as desk:
            yield desk

    @pytest.fixture
    def asked(self, desk: Desk, clock: ManualClock) -> Desk:
        """A desk with one case, whose reminder is due now."""
        desk.open("C-1")
        desk.change("C-1", "pend", by="agent", sub_status="customer_input")
        clock.advance(days=7)
        return desk

    def test_it_tells_its_story(self) -> None:
        done = run(EXAMPLES / "embed_sqlite.py")
        assert (done.returncode, done.stderr, done.stdout) == (0, "", STORY)

    @staticmethod
    def fill(desk: Desk, example: ModuleType, count: int) -> list[Case]:
        """Cases in every state, at every position, at ages around every timer; the seed is fixed."""
        random = Random(2026)
        workflow = desk.workflow
        cases = []
        for number in range(count):
            state = random.choice(workflow.policy.states)
            status, _, sub_status = state.partition(".")
            age = timedelta(days=random.choice([0, 1, 7, 14, 28]), microseconds=random.randint(-2, 2))
            timers = [None, *(timer.name for timer in workflow.policy.schedules[state])]
            settled = random.choice(timers)
            cases.append(
                Case(
                    id=f"C-{number}",
                    status=status,
                    sub_status=sub_status or None,
                    policy=workflow.policy.name,
                    entered_at=NOON - age - timedelta(days=random.choice([0, 0, 3])),
                    settled=settled,
                    settled_at=settled and NOON - age + timedelta(seconds=1),
                )
            )
        with desk.transaction():
            desk.connection.executemany(example.INSERT, [desk.values(case) for case in cases])
        return cases

    @pytest.fixture(params=["as documented", "never close unwarned"])
    def large(
        self, request: pytest.FixtureRequest, example: ModuleType, path: str, clock: ManualClock
    ) -> Iterator[tuple[Desk, list[Case]]]:
        policy = load_policy("sub-status")
        if request.param == "never close unwarned":
            policy = policy.override({"timers": {"close_pending": {"notice": {"days": 7}}}})
        with closing(example.Desk(path, Workflow(policy, clock=clock))) as desk:
            yield desk, self.fill(desk, example, 3000)

    def test_the_database_finds_what_a_sweep_of_all_cases_finds(self, large: tuple[Desk, list[Case]]) -> None:
        desk, cases = large
        expected = {action.case_id: action for action in desk.workflow.due(cases, now=NOON)}
        assert len(expected) > 500
        assert {action.case_id: action for action in desk.due(NOON)} == expected
        assert sorted(desk.due_ids(NOON)) == sorted(expected)

    def test_the_sweep_is_answered_by_the_index(self, large: tuple[Desk, list[Case]]) -> None:
        desk, _ = large
        query, values = desk.sweep_query(NOON)
        plan = [row["detail"] for row in desk.connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
        searches = [step for step in plan if step.startswith("SEARCH")]
        assert len(searches) == len(desk.workflow.cutoffs(NOON))
        for search in searches:
            assert "INDEX sweep (status=? AND sub_status=? AND settled=? AND entered_at<?)" in search
        assert not [step for step in plan if step.startswith("SCAN")]

    def test_a_policy_without_timers_finds_nothing(self, example: ModuleType, path: str) -> None:
        quiet = load_policy({"format": 1, "name": "quiet", "initial": "new", "statuses": {"new": {}}})
        with closing(example.Desk(path, Workflow(quiet, clock=ManualClock(NOON)))) as desk:
            desk.open("C-1")
            assert desk.due(NOON) == []

    def test_a_case_comes_back_from_the_database_as_it_was(self, asked: Desk) -> None:
        asked.sweep(asked.workflow.next_due(asked.load("C-1")[0]))
        after = asked.change("C-1", "comment", by="customer")
        assert asked.load("C-1") == (after, 4)
        assert [change.event for change in after.history] == ["pend", "remind_customer", "comment"]

    def test_a_crash_between_sweep_and_settle_loses_nothing(
        self, asked: Desk, example: ModuleType, clock: ManualClock, path: str
    ) -> None:
        (action,) = asked.due(clock())
        asked.close()
        with closing(example.Desk(path, asked.workflow)) as again:
            assert again.due(clock()) == [action]
            again.carry_out(action)
            assert again.due(clock()) == []

    def test_a_crash_before_the_outbox_row_is_written_settles_nothing(
        self, asked: Desk, clock: ManualClock
    ) -> None:
        (action,) = asked.due(clock())
        before = asked.load("C-1")
        asked.connection.execute(
            "CREATE TRIGGER crash BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'no power'); END"
        )
        with pytest.raises(IntegrityError, match="no power"):
            asked.carry_out(action)
        assert asked.load("C-1") == before
        asked.connection.execute("DROP TRIGGER crash")
        assert asked.sweep(clock()) == [action]
        assert asked.unsent() == ["C-1:2:remind_customer"]

    def test_a_crash_after_that_sends_it_later_and_once(
        self, asked: Desk, example: ModuleType, clock: ManualClock, path: str
    ) -> None:
        asked.sweep(clock())
        asked.close()
        with closing(example.Desk(path, asked.workflow)) as again:
            assert again.sweep(clock()) == []
            assert again.unsent() == ["C-1:2:remind_customer"]
            again.sent("C-1:2:remind_customer", clock())
            assert again.unsent() == []

    def test_an_action_is_carried_out_once(self, asked: Desk, clock: ManualClock) -> None:
        (action,) = asked.due(clock())
        asked.carry_out(action)
        with pytest.raises(StaleAction):
            asked.carry_out(action)
        assert asked.unsent() == [action.key]

    def test_a_reply_between_sweep_and_settle_wins(self, asked: Desk, clock: ManualClock) -> None:
        clock.advance(days=21)
        (action,) = asked.due(clock())
        assert (action.timer, action.to) == ("close_pending", "closed")
        replied = asked.change("C-1", "comment", by="customer")
        with pytest.raises(StaleAction):
            asked.carry_out(action)
        assert asked.load("C-1")[0] == replied
        assert replied.status == "update_received"

    def test_a_sweep_passes_over_what_has_moved_on(
        self, asked: Desk, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = asked.due(clock())
        asked.change("C-1", "comment", by="customer")
        monkeypatch.setattr(asked, "due", lambda _: found)
        assert asked.sweep(clock()) == []

    def test_a_change_made_on_an_old_page_is_refused(self, asked: Desk, example: ModuleType) -> None:
        _, revision = asked.load("C-1")
        asked.change("C-1", "note", by="agent", revision=revision)
        with pytest.raises(example.ConflictError, match="C-1"):
            asked.change("C-1", "note", by="agent", revision=revision)

    def test_of_two_programs_that_read_the_same_case_the_second_to_write_is_refused(
        self, asked: Desk, example: ModuleType, path: str
    ) -> None:
        with closing(example.Desk(path, asked.workflow)) as other:
            case, revision = other.load("C-1")
            asked.change("C-1", "comment", by="customer")
            late = other.workflow.apply(case, "start", by="agent")
            with pytest.raises(example.ConflictError), other.transaction():
                other.store(late, revision)
            assert other.load("C-1")[0].status == "update_received"

    def test_an_unknown_case_is_a_lookup_error(self, desk: Desk) -> None:
        with pytest.raises(LookupError, match="C-404"):
            desk.load("C-404")


class TestSweepScript:
    script = EXAMPLES / "sweep_script.py"
    cases = str(EXAMPLES / "cases.jsonl")

    def test_it_fails_when_something_is_overdue_by_more_than_a_day(self) -> None:
        done = run(self.script, self.cases, "--now", "2026-11-20T12:00:00Z")
        lines = done.stdout.splitlines()
        late = [line for line in lines if line.startswith("LATE")]
        assert (done.returncode, done.stderr) == (1, "")
        assert lines[-1] == f"{len(late)} overdue by more than a day"
        assert "LATE  S-1003   close_pending            due 2026-11-17 09:46 UTC" in late
        assert len(lines) - len(late) - 1 > 3

    def test_a_day_late_to_the_second_is_still_in_time(self, tmp_path: Path) -> None:
        file = tmp_path / "cases.jsonl"
        case = {"id": "C-1", "status": "closed", "entered_at": "2026-11-18T12:00:00Z", "policy": "sub-status"}
        file.write_text(json.dumps(case) + "\n", encoding="utf-8")
        in_time = run(self.script, str(file), "--now", "2026-11-20T12:00:00Z")
        late = run(self.script, str(file), "--now", "2026-11-20T12:00:01Z")
        assert (in_time.returncode, late.returncode) == (0, 1)
        assert in_time.stdout.endswith("nothing is overdue by more than a day\n")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "holds no case"),
            (b'{"id": "C-1"\n', ":1: Expecting"),
            (b"[1]\n", ":1: case: must be a mapping of fields, not [1]"),
            (b"\xe9t\xe9\n", ":1: 'utf-8' codec can't decode byte 0xe9"),
            (b'{"id": "C-1", "status": "new"}\n', ":1: case 'C-1': entered_at: is missing"),
            (
                b'{"id": "C-1", "status": "new", "entered_at": "2026-11-18T12:00:00"}\n',
                "2026-11-18 12:00:00 has no time zone",
            ),
            (
                b'{"id": "C-1", "status": "new", "entered_at": "2026-11-18T12:00:00Z"}\n',
                "case C-1: no desk runs None (there are: sub-status, open-resolved)",
            ),
            (
                b'{"id": "C1", "status": "opn", "policy": "open-resolved", "entered_at": "2026-11-18T12Z"}\n',
                "unknown status 'opn'; did you mean 'open'?",
            ),
        ],
    )
    def test_it_says_what_is_wrong_with_a_file_and_where(
        self, tmp_path: Path, content: bytes, message: str
    ) -> None:
        file = tmp_path / "cases.jsonl"
        file.write_bytes(content)
        done = run(self.script, str(file), "--now", "2026-11-20T12:00:00Z")
        assert done.returncode == 2
        assert done.stderr.startswith("sweep_script: ")
        assert message in done.stderr

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        done = run(self.script, str(tmp_path / "nowhere.jsonl"))
        assert done.returncode == 2
        assert "nowhere.jsonl" in done.stderr

    @pytest.mark.parametrize(
        ("now", "message"), [("2026-11-20T12:00:00", "has no time zone"), ("noon", "invalid instant value")]
    )
    def test_a_now_that_is_no_instant_is_wrong_usage(self, now: str, message: str) -> None:
        done = run(self.script, self.cases, "--now", now)
        assert done.returncode == 2
        assert message in done.stderr
