"""``python race_worker.py JOB``: a sweeper that is killed again and again, or a customer; see test_races.py.

A sweeper is a process that is begun anew, from here, whenever it has been killed. An hour of the
story passes in seconds: `Job.now` is the right time, and a sweeper's clock may be wrong by `Job.skew`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback

from collections import deque
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, Self

import sqlalchemy as sa

from sqlalchemy.exc import OperationalError

from casestate import Action, Case, EventRefused, Workflow, policies
from casestate.clock import format_instant
from casestate.sql import CaseChanged, SweepStopped, due_where, load, store, sweep, values


if TYPE_CHECKING:
    from collections.abc import Callable

BASE: Final = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
"""When the story begins."""
HOURS: Final = 4
"""How long it lasts."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker is told."""

    role: str
    """``sweeper``, ``careless`` (one that neither locks nor looks again) or ``customer``."""
    name: str
    url: str
    folder: str
    """Where it keeps its notes: what no rollback and no SIGKILL undoes."""
    began: float
    """When the story began, in seconds since 1970."""
    lasts: float
    """In how many seconds it is told."""
    seed: int = 0
    cases: int = 0
    """How many there are."""
    skew: float = 0.0
    """By how many hours its clock is fast."""
    lives: float = 0.0
    """After how many seconds, about, a sweeper is killed; 0: never."""
    dies_at: int = 0
    """In the course of which action a sweeper kills itself; 0: of none."""
    pause: float = 0.001
    """How long, at most, what it does about an action takes."""

    def now(self) -> datetime:
        """The right time."""
        return BASE + timedelta(hours=HOURS) * ((time.time() - self.began) / self.lasts)

    def clock(self) -> datetime:
        """The time that this worker believes in."""
        return self.now() + timedelta(hours=self.skew)

    @property
    def over(self) -> bool:
        """Whether the story has been told."""
        return time.time() >= self.began + self.lasts

    def text(self) -> str:
        """The job as an argument."""
        return json.dumps(asdict(self))


class Desk:
    """A helpdesk's tables: the cases, their history, and what has been sent.

    No key but the cases' own: a second effect, or a second entry with one number, must be able to happen.
    """

    def __init__(self, url: str, *, patience: float = 60.0) -> None:
        self.microseconds = url.startswith("sqlite")
        waiting = {"timeout": patience} if self.microseconds else {}
        self.engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=waiting)
        if self.microseconds:
            sa.event.listen(self.engine, "connect", _hurry)
        instant: Any = sa.BigInteger if self.microseconds else partial(sa.DateTime, timezone=True)
        metadata = sa.MetaData()
        self.cases = sa.Table(
            "cases",
            metadata,
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("status", sa.Text, nullable=False),
            sa.Column("sub_status", sa.Text),
            sa.Column("entered_at", instant(), nullable=False),
            sa.Column("stay", sa.Integer, nullable=False),
            sa.Column("previous", sa.Text),
            sa.Column("policy", sa.Text),
            sa.Column("settled", sa.Text),
            sa.Column("settled_at", instant()),
            sa.Column("changed_at", instant(), nullable=False),
            sa.Column("revision", sa.Integer, nullable=False),
            sa.Index("sweep", "status", "sub_status", "settled", "entered_at"),
        )
        self.changes = sa.Table(
            "changes",
            metadata,
            sa.Column("case_id", sa.Text, nullable=False, index=True),
            sa.Column("number", sa.Integer, nullable=False),
            sa.Column("at", sa.Text, nullable=False),
            sa.Column("event", sa.Text, nullable=False),
            sa.Column("by", sa.Text, nullable=False),
            sa.Column("from_state", sa.Text, nullable=False),
            sa.Column("to_state", sa.Text, nullable=False),
            sa.Column("stay", sa.Integer, nullable=False),
            sa.Column("worker", sa.Text, nullable=False),
            sa.Column("written_at", sa.Text, nullable=False),
        )
        self.outbox = sa.Table("outbox", metadata, sa.Column("key", sa.Text, nullable=False))
        self.metadata = metadata

    def instant(self, value: Any) -> datetime:  # noqa: ANN401 - what the database keeps
        """An instant as it comes from the database."""
        at = EPOCH + timedelta(microseconds=value) if self.microseconds else value
        assert isinstance(at, datetime)
        return at.astimezone(UTC)

    def fill(self, cases: list[Case]) -> None:
        """Make the tables, with these cases."""
        self.metadata.create_all(self.engine)
        if cases:
            with self.engine.begin() as connection:
                connection.execute(self.cases.insert(), [values(self.cases, case) for case in cases])
        if not self.microseconds:
            with self.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("ANALYZE"))

    def kept(self, value: object) -> object:
        """A value as the database keeps it."""
        if isinstance(value, datetime) and self.microseconds:
            return (value - EPOCH) // timedelta(microseconds=1)
        return value

    def enter(self, connection: sa.Connection, case: Case, job: Job) -> None:
        """Store the last entry of a case's history."""
        change = case.history[-1]
        last = sa.select(sa.func.coalesce(sa.func.max(self.changes.c.number), 0))
        number = last.where(self.changes.c.case_id == case.id).scalar_subquery() + 1
        connection.execute(
            self.changes.insert().values(
                case_id=case.id,
                number=number,
                at=format_instant(change.at),
                event=change.event,
                by=change.by,
                from_state=change.from_state,
                to_state=change.to_state,
                stay=change.stay,
                worker=job.name,
                written_at=format_instant(job.now()),
            )
        )


def _hurry(connection: Any, _: object) -> None:  # noqa: ANN401 - of the driver
    # It is processes that are killed here, not the machine.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")


class Notes:
    """A worker's notes on paper: written at once, outside every transaction."""

    def __init__(self, job: Job, what: str) -> None:
        self.file = (Path(job.folder) / f"{what}-{job.name}").open("ab", buffering=0)

    def __call__(self, *words: str) -> None:
        self.file.write(f"{' '.join(words)}\n".encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


# --- the sweeper --------------------------------------------------------------


def careless_sweep(
    connection: sa.Connection,
    workflow: Workflow,
    table: sa.Table,
    act: Callable[[Case, Action], object],
    *,
    limit: int,
) -> list[Action]:
    """What `sweep` must not be: reads, and writes what it has read, whatever has happened since."""
    found = connection.execute(sa.select(table.c.id).where(due_where(workflow, table)).limit(limit))
    cases = [load(connection, table, case_id) for case_id in found.scalars()]
    connection.rollback()
    actions = []
    for case in cases:
        assert case is not None
        for action in workflow.due([case]):
            after = workflow.settle(case, action, at=max(workflow.clock(), case.changed_at))
            act(after, action)
            row = values(table, after)
            connection.execute(sa.update(table).where(table.c.id == row.pop("id")).values(row))
            connection.commit()
            actions.append(action)
    return actions


def sweeper(job: Job, life: int) -> None:
    """Sweep until the story is over."""
    random = Random(f"{job.seed} {life}")
    desk, workflow = Desk(job.url), Workflow(policies.SUB_STATUS, clock=job.clock)
    sweep_once = careless_sweep if job.role == "careless" else sweep
    acts = count(1)
    with Notes(job, "attempts") as attempted, Notes(job, "stops") as stopped:

        def act(case: Case, action: Action) -> None:
            attempted(action.key)  # as a mailer would that sends at once
            time.sleep(random.uniform(0, job.pause))
            desk.enter(connection, case, job)
            connection.execute(desk.outbox.insert(), {"key": action.key})
            if next(acts) == job.dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

        while not job.over:
            try:
                with desk.engine.connect() as connection:
                    while not job.over:
                        if not sweep_once(connection, workflow, desk.cases, act, limit=200):
                            time.sleep(0.02)
            except (SweepStopped, OperationalError) as error:  # gone, or not yet back
                stopped(type(error).__name__)
                time.sleep(0.1)


def again_and_again(job: Job) -> dict[str, object]:
    """Run a sweeper, kill it at a random moment, run another, until the story is over or nobody listens."""
    random = Random(job.seed)
    killed, failed, life = 0, 0, 0
    listening = True
    while listening and not job.over:
        life += 1
        child = os.fork()
        if child == 0:
            status = 1
            try:
                sweeper(job, life)
                status = 0
            finally:
                if status:
                    traceback.print_exc()
                os._exit(status)
        left = job.began + job.lasts - time.time()
        patience = random.uniform(0.2, 1.8) * job.lives if job.lives else left + 1.0
        if patience < left:
            listening = not select.select([sys.stdin], [], [], patience)[0]
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        failed += os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0
    return {"killed": killed, "failed": failed}


# --- the customer -------------------------------------------------------------


def customer(job: Job) -> dict[str, object]:
    """Comment on cases, those above all that were about to come due; now and then an agent makes a note."""
    random = Random(job.seed)
    desk, workflow = Desk(job.url), Workflow(policies.SUB_STATUS, clock=job.clock)
    counts = dict.fromkeys(["stored", "refused", "overtaken", "lost"], 0)
    some = sa.select(desk.cases.c.id).order_by(sa.func.random()).limit(30)
    seen: deque[str] = deque(maxlen=300)
    with ExitStack() as stack:
        acknowledged = stack.enter_context(Notes(job, "acknowledged"))
        refused = stack.enter_context(Notes(job, "refused"))
        while not job.over:
            try:
                with desk.engine.connect() as connection:
                    while not job.over:
                        case_id = f"C-{random.randrange(job.cases):06}"
                        if random.random() < 0.05:
                            soon = job.now() + random.choice([0, 1, 2]) * timedelta(hours=1)
                            query = some.where(due_where(workflow, desk.cases, now=soon))
                            seen.extend(connection.execute(query).scalars())
                            connection.rollback()
                        if seen and random.random() < 0.7:
                            case_id = random.choice(seen)
                        event, by = ("note", "agent") if random.random() < 0.2 else ("comment", "customer")
                        try:
                            with connection.begin():
                                case = load(connection, desk.cases, case_id, lock=True)
                                assert case is not None
                                at = max(job.now(), case.changed_at)
                                after = workflow.apply(case, event, by=by, at=at)
                                time.sleep(random.uniform(0, job.pause))
                                store(connection, desk.cases, case, after)
                                desk.enter(connection, after, job)
                        except EventRefused:
                            refused(case_id, format_instant(job.now()))
                            counts["refused"] += 1
                        except CaseChanged:
                            counts["overtaken"] += 1
                        else:
                            acknowledged(case_id, format_instant(at), event)
                            counts["stored"] += 1
                        time.sleep(random.uniform(0, 0.01))
            except OperationalError:  # gone, or not yet back
                counts["lost"] += 1
                time.sleep(0.1)
    return {**counts}


def main() -> int:
    """Do the job; say how it went."""
    job = Job(**json.loads(sys.argv[1]))
    print(json.dumps(customer(job) if job.role == "customer" else again_and_again(job)))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
