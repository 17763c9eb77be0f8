"""Several sweepers and customers at once, killed and restarted, on a real database; then all is counted.

The count shares nothing with the library: it follows the stored history of every case from the
row that it began with, and asks the naive evaluator of `reference` what had to happen.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import pytest
import sqlalchemy as sa

from builders import DAY, TICK, case_in
from casestate import Workflow, policies
from casestate.sql import sweep
from race_worker import BASE, HOURS, Desk, Job
from reference import Due, Reference, Stay


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from casestate import Action, Case
    from postgres import Server

ROOT: Final = Path(__file__).parents[1]
HOUR: Final = timedelta(hours=1)
END: Final = BASE + HOURS * HOUR
SCRIPT: Final = Path(__file__).with_name("race_worker.py")
CUSTOMERS: Final = 2
PATIENCE: Final = 60.0


# --- the story ----------------------------------------------------------------


def cases_of(number: int, *, due: float, seed: int) -> list[Case]:
    """So many cases; this share of them comes due in the four hours of the story, or just before."""
    random = Random(seed)
    return [one_case(f"C-{index:06}", random, comes_due=random.random() < due) for index in range(number)]


def one_case(case_id: str, random: Random, *, comes_due: bool) -> Case:
    at = BASE + random.uniform(-2, HOURS) * HOUR if comes_due else END + random.uniform(2, 100) * HOUR
    kind = random.randrange(5)
    common: dict[str, Any] = {"id": case_id, "stay": 2, "previous": "in_progress"}
    if not comes_due and kind == 4:
        return case_in(random.choice(["new", "in_progress", "pending.development"]), BASE - DAY, **common)
    if kind == 0:
        return case_in("pending.customer_input", at - 7 * DAY, **common)
    if kind == 1:  # the reminder has been passed over, or will be
        entered_at = at - 28 * DAY
        if not comes_due or random.random() < 0.5:
            common |= {"settled": "remind_customer", "settled_at": entered_at + 7 * DAY}
        return case_in("pending.customer_input", entered_at, **common)
    if kind == 2:
        entered_at = at - 14 * DAY
        common |= {"settled": "notify_awaiting", "settled_at": entered_at}
        return case_in("awaiting_customer_confirmation", entered_at, **common)
    if kind == 3 or not comes_due:
        return case_in("closed", at - DAY, **common)
    return case_in(random.choice(["reopened", "update_received"]), min(at, BASE), **common)


def sweep_up(desk: Desk, now: datetime) -> None:
    """Settle what is still due, in peace."""
    workflow = Workflow(policies.SUB_STATUS, clock=lambda: now)
    job = Job(role="sweeper", name="last", url="", folder="", began=time.time() - 1.0, lasts=1.0)
    with desk.engine.connect() as connection:

        def act(case: Case, action: Action) -> None:
            desk.enter(connection, case, job)
            connection.execute(desk.outbox.insert(), {"key": action.key})

        while sweep(connection, workflow, desk.cases, act):
            pass


@dataclass(kw_only=True)
class Story:
    """What is run: how many cases, whose clocks, who is killed how often."""

    cases: int
    lasts: float
    sweepers: Sequence[float] = (0.0, 0.0, 0.0)
    """By how many hours the clock of each is fast."""
    due: float = 0.1
    lives: float = 1.5
    careless: bool = False
    pause: float = 0.001
    seed: int = 4
    midway: Callable[[], None] | None = None
    """What happens in the middle of it."""

    def run(self, url: str, folder: Path) -> Tally:
        """Let them loose, sweep up what is left by the end, and count."""
        begun = cases_of(self.cases, due=self.due, seed=self.seed)
        desk = Desk(url)
        desk.fill(begun)
        reports = self._race(url, folder)
        # By then even a clock that was fast is right.
        sweep_up(desk, END + 2 * HOUR)
        tally = Count(desk, END + 2 * HOUR).of(begun, folder)
        tally.killed = sum(report.get("killed", 0) for report in reports)
        tally.overtaken = sum(report.get("overtaken", 0) for report in reports)
        return tally

    def _race(self, url: str, folder: Path) -> list[dict[str, int]]:
        common: dict[str, Any] = {
            "url": url,
            "folder": str(folder),
            "began": time.time() + 1.0,
            "lasts": self.lasts,
            "cases": self.cases,
            "pause": self.pause,
        }
        role = "careless" if self.careless else "sweeper"
        jobs = [
            Job(role=role, name=f"{role}{n}", seed=self.seed + n, skew=skew, lives=self.lives, **common)
            for n, skew in enumerate(self.sweepers)
        ]
        jobs += [
            Job(role="customer", name=f"customer{n}", seed=100 + self.seed + n, **common)
            for n in range(CUSTOMERS)
        ]
        with ExitStack() as stack:
            workers = [stack.enter_context(Worker(job)) for job in jobs]
            if self.midway is not None:
                time.sleep(jobs[0].began + self.lasts / 2 - time.time())
                self.midway()
            return [worker.report(self.lasts + PATIENCE) for worker in workers]


class Worker:
    """A process that does a job; it ends with whoever has started it."""

    def __init__(self, job: Job) -> None:
        self.said = Path(job.folder) / f"said-{job.name}"
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, SCRIPT, job.text()],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
            )

    def report(self, patience: float) -> dict[str, int]:
        """What it says in the end."""
        status = self.process.wait(patience)
        said = self.said.read_text()
        assert status == 0, said
        *trouble, last = said.splitlines()
        assert not trouble, said
        report: dict[str, int] = json.loads(last)
        return report

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# --- the count ----------------------------------------------------------------


class Entry(NamedTuple):
    """A row of the stored history."""

    case_id: str
    number: int
    at: str
    event: str
    by: str
    from_state: str
    to_state: str
    stay: int
    worker: str
    written_at: str


@dataclass
class Tally:
    """What is found afterwards. The first six have to be zero, whatever was killed."""

    lost: int = 0
    """Cases for which something is still due, or was settled that was not due."""
    contested: int = 0
    """Stays that a timer and a person have both ended: closures of a case whose customer had replied."""
    doubled: int = 0
    """Keys with more than one effect."""
    missing: int = 0
    """Entries of a timer without their effect, or effects without their entry."""
    gaps: int = 0
    """Entries that do not follow from the one before, and rows that are not as their history says."""
    forgotten: int = 0
    """Replies that were acknowledged and are not in the history."""

    settled: int = 0
    closed: int = 0
    replied_first: int = 0
    """Cases that were to come due, and whose customer was faster."""
    replies: int = 0
    notes: int = 0
    attempts: int = 0
    attempted_again: int = 0
    """Keys whose effect was attempted more than once."""
    attempted_in_vain: int = 0
    """Keys whose effect was attempted, and whose case then went another way."""
    killed: int = 0
    stopped: int = 0
    """How often a sweeper found the database gone."""
    overtaken: int = 0
    early: dict[str, int] = field(default_factory=dict)
    """Actions settled before they were due by the right clock, by the worker that did."""
    closed_early: int = 0
    turned_away: int = 0
    """Replies that were in time by the right clock and found the case closed."""
    least_delay: dict[str, timedelta] = field(default_factory=dict)
    """How late each worker settled by the right clock, at least; less than nothing: how early, at most."""

    @property
    def faults(self) -> dict[str, int]:
        """What must not be."""
        names = ("lost", "contested", "doubled", "missing", "gaps", "forgotten")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    def tell(self) -> None:
        """Print it, for ``pytest -rP``."""
        print(", ".join(f"{name} {value}" for name, value in asdict(self).items()))  # noqa: T201


class Count:
    """Follows every case from its first row through its history, and compares with all that is stored."""

    def __init__(self, desk: Desk, end: datetime) -> None:
        mapping: Any = policies.SUB_STATUS.to_dict()
        self.reference = Reference(mapping)
        self.desk = desk
        self.end = end
        self.tally = Tally()
        self.keys: Counter[str] = Counter()
        self.closures: dict[str, datetime] = {}
        """When those that a timer closed were to be closed, by the right clock."""
        with desk.engine.connect() as connection:
            self.rows = {row.id: row for row in connection.execute(sa.select(desk.cases))}
            order = (desk.changes.c.case_id, desk.changes.c.number)
            entries = [Entry(*row) for row in connection.execute(sa.select(desk.changes).order_by(*order))]
            self.effects = Counter(connection.execute(sa.select(desk.outbox.c.key)).scalars())
        self.histories = {
            case_id: list(group) for case_id, group in groupby(entries, lambda entry: entry.case_id)
        }

    def of(self, begun: Sequence[Case], folder: Path) -> Tally:
        """The count of the cases that were begun so, by workers that kept their notes in ``folder``."""
        tally = self.tally
        for case in begun:
            self._follow(case, self.histories.get(case.id, []))
        known = {case.id for case in begun}
        tally.gaps += len(self.rows.keys() ^ known) + len(self.histories.keys() - known)
        tally.doubled = sum(times > 1 for times in self.effects.values())
        tally.missing = len(self.keys.keys() ^ self.effects.keys())
        tally.missing += sum(times > 1 for times in self.keys.values())
        self._compare_with_notes(folder)
        return tally

    def _follow(self, case: Case, history: Sequence[Entry]) -> None:
        tally = self.tally
        stay = Stay(case.state, case.entered_at, case.settled, case.settled_at)
        number, last = case.stay, case.changed_at
        comes_due = self.reference.due(stay, self.end) is not None
        for position, entry in enumerate(history, 1):
            at = datetime.fromisoformat(entry.at)
            moves = entry.from_state != entry.to_state
            follows = (entry.number, entry.from_state) == (position, stay.state) and at >= last
            tally.gaps += not (follows and entry.stay == number + moves)
            if entry.by == "system":
                due = self._what_was_due(stay, entry, at, last)
                if due is None or due.to != (entry.to_state if moves else None):
                    tally.lost += 1
                    break
                self._settled(case.id, number, entry, due)
                stay = self.reference.after(stay, due, at)
            else:
                tally.replies += entry.event == "comment"
                tally.notes += entry.event == "note"
                tally.replied_first += moves and comes_due and number == case.stay
                if moves:
                    stay = Stay(entry.to_state, at)
            number += moves
            last = at
        ended = Counter(entry.stay for entry in history if entry.from_state != entry.to_state)
        tally.contested += sum(times > 1 for times in ended.values())
        self._compare_with_row(case.id, stay, number, last)

    def _what_was_due(self, stay: Stay, entry: Entry, at: datetime, last: datetime) -> Due | None:
        due = self.reference.due(stay, at)
        # What changed the case during the sweep sets the entry later than the sweep: it knew less.
        while at == last and due is not None and due.timer != entry.event:
            due = self.reference.due(stay, due.at - TICK)
        return due if due is not None and due.timer == entry.event else None

    def _settled(self, case_id: str, number: int, entry: Entry, due: Due) -> None:
        tally, worker = self.tally, entry.worker
        self.keys[f"{case_id}:{number}:{entry.event}"] += 1
        tally.settled += 1
        if due.to is not None:
            tally.closed += 1
            self.closures[case_id] = due.at
        delay = datetime.fromisoformat(entry.written_at) - due.at
        tally.least_delay[worker] = min(delay, tally.least_delay.get(worker, delay))
        if delay < timedelta(0):
            tally.early[worker] = tally.early.get(worker, 0) + 1
            tally.closed_early += due.to is not None

    def _compare_with_row(self, case_id: str, stay: Stay, number: int, last: datetime) -> None:
        row = self.rows.get(case_id)
        if row is None:
            return
        settled_at = None if row.settled_at is None else self.desk.instant(row.settled_at)
        state = row.status if row.sub_status is None else f"{row.status}.{row.sub_status}"
        stored = Stay(state, self.desk.instant(row.entered_at), row.settled, settled_at)
        self.tally.gaps += (stored, row.stay, self.desk.instant(row.changed_at)) != (stay, number, last)
        self.tally.lost += self.reference.due(stored, self.end) is not None

    def _compare_with_notes(self, folder: Path) -> None:
        tally = self.tally
        attempts = Counter(lines(folder, "attempts"))
        tally.attempts = attempts.total()
        tally.attempted_again = sum(times > 1 for times in attempts.values())
        tally.attempted_in_vain = len(attempts.keys() - self.effects.keys())
        tally.stopped = len(lines(folder, "stops"))
        stored = {
            (entry.case_id, entry.at, entry.event) for history in self.histories.values() for entry in history
        }
        tally.forgotten = len({tuple(line.split()) for line in lines(folder, "acknowledged")} - stored)
        for line in lines(folder, "refused"):
            case_id, at = line.split()
            was_to_close = self.closures.get(case_id)
            tally.turned_away += was_to_close is not None and datetime.fromisoformat(at) < was_to_close


def lines(folder: Path, what: str) -> list[str]:
    """What all workers noted. Whoever was killed has written whole lines: each is one write."""
    return [line for file in sorted(folder.glob(f"{what}-*")) for line in file.read_text().splitlines()]


# --- races --------------------------------------------------------------------


def on_sqlite(folder: Path) -> str:
    """A SQLite database of its own."""
    return f"sqlite:///{folder / 'desk.db'}"


@pytest.mark.heavy
def test_nothing_is_lost_on_postgresql_whoever_is_killed(
    tmp_path: Path, postgres: Server, database_url: str
) -> None:
    story = Story(cases=100_000, lasts=35, midway=lambda: postgres.restart(immediate=True))
    tally = story.run(database_url, tmp_path)
    tally.tell()
    assert tally.faults == {}
    assert not tally.early
    assert not tally.turned_away
    # It has been tried: by the kills, by the restart, and by replies.
    assert tally.killed > 20
    assert tally.stopped
    assert tally.attempted_again
    assert tally.replied_first > 100
    assert tally.closed > 500


@pytest.mark.heavy
def test_nothing_is_lost_on_sqlite_whoever_is_killed(tmp_path: Path) -> None:
    tally = Story(cases=10_000, lasts=15, due=0.15).run(on_sqlite(tmp_path), tmp_path)
    tally.tell()
    assert tally.faults == {}
    assert not tally.early
    assert not tally.turned_away
    assert tally.killed > 10

    assert tally.replied_first > 50
    assert tally.closed > 50


@pytest.mark.heavy
def test_a_sweeper_whose_clock_is_an_hour_fast_settles_an_hour_early_and_does_nothing_else(
    tmp_path: Path, database_url: str
) -> None:
    tally = Story(cases=5_000, lasts=12, due=0.2, sweepers=(0, 0, 1)).run(database_url, tmp_path)
    tally.tell()
    assert tally.faults == {}
    assert set(tally.early) == {"sweeper2"}
    assert tally.closed_early
    assert tally.least_delay["sweeper2"] >= -HOUR
    assert tally.turned_away


@pytest.mark.heavy
def test_a_sweeper_whose_clock_is_an_hour_slow_settles_an_hour_late_and_does_nothing_else(
    tmp_path: Path, database_url: str
) -> None:
    tally = Story(cases=5_000, lasts=12, due=0.2, sweepers=(0, 0, -1)).run(database_url, tmp_path)
    tally.tell()
    assert tally.faults == {}
    assert not tally.early
    assert not tally.turned_away
    assert tally.least_delay["sweeper2"] >= HOUR


# --- a count that can fail ----------------------------------------------------


@pytest.mark.heavy
@pytest.mark.parametrize("where", ["postgresql", "sqlite"])
def test_a_sweep_that_neither_locks_nor_looks_again_is_found_out(
    tmp_path: Path, request: pytest.FixtureRequest, where: str
) -> None:
    url = request.getfixturevalue("database_url") if where == "postgresql" else on_sqlite(tmp_path)
    tally = Story(cases=1_000, lasts=6, due=0.5, lives=0, careless=True, pause=0.005).run(url, tmp_path)
    tally.tell()
    assert {"contested", "doubled", "gaps"} <= tally.faults.keys()


TAMPERED = {
    "an effect is gone": ("missing", "DELETE FROM outbox WHERE key LIKE :case || ':%'"),
    "an effect is there twice": (
        "doubled",
        "INSERT INTO outbox SELECT key FROM outbox WHERE key LIKE :case || ':%'",
    ),
    "an effect has no entry": ("missing", "INSERT INTO outbox VALUES (:case || ':9:close_pending')"),
    "a history is gone": ("gaps", "DELETE FROM changes WHERE case_id = :case"),
    "a history begins with its second entry": ("gaps", "UPDATE changes SET number = 2 WHERE case_id = :case"),
    "an entry is there twice": ("gaps", "INSERT INTO changes SELECT * FROM changes WHERE case_id = :case"),
    "an entry is from elsewhere": ("gaps", "UPDATE changes SET from_state = 'new' WHERE case_id = :case"),
    "an entry is of another stay": ("gaps", "UPDATE changes SET stay = 7 WHERE case_id = :case"),
    "an entry is of another timer": ("lost", "UPDATE changes SET event = 'notify' WHERE case_id = :case"),
    "an entry is from before it was due": (
        "lost",
        "UPDATE changes SET at = '2026-11-20T05:00:00Z' WHERE case_id = :case",
    ),
    "a case is as it was": (
        "lost",
        "UPDATE cases SET settled = NULL, settled_at = NULL, changed_at = entered_at WHERE id = :case",
    ),
    "a case is in another stay": ("gaps", "UPDATE cases SET stay = stay + 1 WHERE id = :case"),
    "a case is gone": ("gaps", "DELETE FROM cases WHERE id = :case"),
    "a case is new": ("gaps", "UPDATE cases SET id = 'C-1' WHERE id = :case"),
    "a closed case was replied to": (
        "contested",
        """INSERT INTO changes SELECT case_id, 2, at, 'comment', 'customer', from_state, 'update_received',
        stay, worker, written_at FROM changes WHERE case_id = :closed""",
    ),
}


@pytest.mark.parametrize("tampered", TAMPERED)
def test_the_count_finds_whatever_is_wrong(tmp_path: Path, tampered: str) -> None:
    fault, statement = TAMPERED[tampered]
    begun = cases_of(120, due=0.5, seed=1)
    desk = Desk(on_sqlite(tmp_path))
    desk.fill(begun)
    sweep_up(desk, END)
    assert Count(desk, END).of(begun, tmp_path).faults == {}
    changes = desk.changes
    first = sa.select(sa.func.min(changes.c.case_id))
    names = [name for name in ("case", "closed") if f":{name}" in statement]
    with desk.engine.begin() as connection:
        found = {
            "case": connection.scalar(first.where(changes.c.event == "remind_customer")),
            "closed": connection.scalar(first.where(changes.c.event == "close_pending")),
        }
        connection.execute(sa.text(statement), {name: found[name] for name in names})
    assert fault in Count(desk, END).of(begun, tmp_path).faults


def test_the_count_finds_a_reply_that_was_acknowledged_and_is_gone(tmp_path: Path) -> None:
    desk = Desk(on_sqlite(tmp_path))
    desk.fill([])
    (tmp_path / "acknowledged-customer0").write_text("C-000001 2026-11-20T09:00:00Z comment\n")
    assert Count(desk, END).of([], tmp_path).faults == {"forgotten": 1}
