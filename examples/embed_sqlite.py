"""A help desk in one file: casestate on the standard library's sqlite3.

    python examples/embed_sqlite.py

The database keeps the cases; casestate says what an event does to one and which of them are due.
Four things are worth copying:

* `Desk.due_ids` is the sweep. Its ``WHERE`` is made from `Workflow.cutoffs`, and the index
  ``(status, sub_status, settled, entered_at)`` answers it: a sweep costs what is due, not what is stored.
* `Desk.carry_out` settles an action and writes the e-mail's outbox row in one transaction. A crash before
  it loses nothing, because the next sweep returns the action again; a crash after it loses nothing either,
  because the row is there. The row's primary key is the action's key, so no e-mail is ever written twice.
* A reply between the sweep and that transaction wins: `Workflow.settle` raises `StaleAction`.
* ``revision`` is the optimistic lock of whoever showed a case to a person before they changed it.

Instants are whole microseconds since 1970. As text they would sort wrongly: "12:00:00Z" is greater than
"12:00:00.5Z".
"""

from __future__ import annotations

import json
import sqlite3

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from casestate import Action, Case, ManualClock, StaleAction, Workflow, policies


if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = """
CREATE TABLE IF NOT EXISTS cases (
    id TEXT PRIMARY KEY,
    policy TEXT NOT NULL,
    status TEXT NOT NULL,
    sub_status TEXT,
    entered_at INTEGER NOT NULL,
    stay INTEGER NOT NULL,
    previous TEXT,
    assignee TEXT,
    settled TEXT,
    settled_at INTEGER,
    opened_at INTEGER,
    cloned_from TEXT REFERENCES cases (id),
    revision INTEGER NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS sweep ON cases (status, sub_status, settled, entered_at);

CREATE TABLE IF NOT EXISTS changes (
    case_id TEXT NOT NULL REFERENCES cases (id),
    number INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (case_id, number)
) STRICT;

CREATE TABLE IF NOT EXISTS outbox (
    key TEXT PRIMARY KEY,
    case_id TEXT NOT NULL REFERENCES cases (id),
    timer TEXT NOT NULL,
    audience TEXT,
    written_at INTEGER NOT NULL,
    sent_at INTEGER
) STRICT;
"""

COLUMNS = (
    "id",
    "policy",
    "status",
    "sub_status",
    "entered_at",
    "stay",
    "previous",
    "assignee",
    "settled",
    "settled_at",
    "opened_at",
    "cloned_from",
)
NAMES, MARKS = ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))
INSERT = f"INSERT INTO cases VALUES ({MARKS}, 1)"  # noqa: S608 - question marks
UPDATE = f"UPDATE cases SET ({NAMES}, revision) = ({MARKS}, revision + 1) WHERE id = ? AND revision = ?"  # noqa: S608 - names
INSTANTS = ("entered_at", "settled_at", "opened_at")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class ConflictError(Exception):
    """Somebody else has changed the case since it was read: read it again and decide anew."""


def to_number(at: datetime | None) -> int | None:
    """An instant as a column holds it."""
    return None if at is None else (at - EPOCH) // MICROSECOND


def from_number(number: int | None) -> datetime | None:
    """An instant from its column."""
    return None if number is None else EPOCH + number * MICROSECOND


class Desk:
    """The cases of one workflow in one SQLite database."""

    def __init__(self, path: str, workflow: Workflow) -> None:
        self.workflow = workflow
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.connection.executescript(SCHEMA)

    def close(self) -> None:
        """Close the database."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it, or nothing."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    # --- one case --------------------------------------------------------------

    def open(self, case_id: str) -> Case:
        """Begin a case and keep it."""
        case = self.workflow.open(case_id)
        with self.transaction():
            self.connection.execute(INSERT, self.values(case))
        return case

    def load(self, case_id: str) -> tuple[Case, int]:
        """A case with its history, and its revision. Raises `LookupError` if there is none."""
        row = self.connection.execute("SELECT * FROM cases WHERE id = ?", [case_id]).fetchone()
        if row is None:
            raise LookupError(case_id)
        entries = self.connection.execute(
            "SELECT entry FROM changes WHERE case_id = ? ORDER BY number", [case_id]
        )
        fields = {name: from_number(row[name]) if name in INSTANTS else row[name] for name in COLUMNS}
        history = [json.loads(entry) for (entry,) in entries]
        return Case.from_dict({**fields, "history": history}), row["revision"]

    def change(
        self, case_id: str, event: str, *, by: str, revision: int | None = None, sub_status: str | None = None
    ) -> Case:
        """Apply an event; ``revision`` is the one that whoever decided on it has seen.

        Raises `ConflictError` if that is not the present one, and whatever `Workflow.apply` raises.
        """
        case, present = self.load(case_id)
        if revision not in (None, present):
            raise ConflictError(case_id)
        after = self.workflow.apply(case, event, by=by, sub_status=sub_status)
        with self.transaction():
            self.store(after, present)
        return after

    def store(self, case: Case, revision: int) -> None:
        """Keep a case after one change, in a transaction, if it still is at ``revision``."""
        stored = self.connection.execute(UPDATE, [*self.values(case), case.id, revision])
        if not stored.rowcount:
            raise ConflictError(case.id)
        entry = json.dumps(case.history[-1].to_dict())
        self.connection.execute("INSERT INTO changes VALUES (?, ?, ?)", [case.id, len(case.history), entry])

    @staticmethod
    def values(case: Case) -> list[object]:
        """A case as its row, without the revision."""
        return [
            to_number(getattr(case, name)) if name in INSTANTS else getattr(case, name) for name in COLUMNS
        ]

    # --- the sweep ---------------------------------------------------------------

    def sweep_query(self, now: datetime) -> tuple[str, list[object]]:
        """The statement that finds what is due: each row of `Workflow.cutoffs` is one search of the index.

        ``IS`` and not ``=``, because a case without a sub-status, or without a settled timer, has NULL there.
        """
        terms: list[str] = []
        values: list[object] = []
        for row in self.workflow.cutoffs(now):
            term = "status IS ? AND sub_status IS ? AND settled IS ? AND entered_at <= ?"
            values += [row.status, row.sub_status, row.settled, to_number(row.entered_until)]
            if row.settled_until is not None:
                term += " AND settled_at <= ?"
                values.append(to_number(row.settled_until))
            terms.append(f"({term})")
        where = " OR ".join(terms) or "FALSE"
        return f"SELECT id FROM cases WHERE {where}", values  # noqa: S608 - question marks

    def due_ids(self, now: datetime) -> list[str]:
        """The ids of the cases that something is due for."""
        query, values = self.sweep_query(now)
        return [case_id for (case_id,) in self.connection.execute(query, values)]

    def due(self, now: datetime) -> list[Action]:
        """What is due: the database finds the cases, the workflow says what it is."""
        return list(self.workflow.due((self.load(case_id)[0] for case_id in self.due_ids(now)), now=now))

    def carry_out(self, action: Action) -> Case:
        """Settle an action and write the e-mail that it asks for, both or neither.

        Raises `StaleAction` if the case has moved on since the sweep: then there is nothing to do.
        """
        with self.transaction():
            case, revision = self.load(action.case_id)
            after = self.workflow.settle(case, action)
            self.store(after, revision)
            if action.audience is not None:
                self.connection.execute(
                    "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, NULL)",
                    [action.key, case.id, action.timer, action.audience, to_number(after.changed_at)],
                )
        return after

    def sweep(self, now: datetime) -> list[Action]:
        """Carry out everything that is due; return what has been done."""
        done = []
        for action in self.due(now):
            try:
                self.carry_out(action)
            except (StaleAction, ConflictError):
                continue  # it has moved on: the next sweep finds whatever it is now
            done.append(action)
        return done

    # --- the mailer, a program of its own ------------------------------------------

    def unsent(self) -> list[str]:
        """The keys of the e-mails that wait. Hand the key to the mail provider: it drops what it has seen."""
        return [key for (key,) in self.connection.execute("SELECT key FROM outbox WHERE sent_at IS NULL")]

    def sent(self, key: str, at: datetime) -> None:
        """Remember that an e-mail has gone out."""
        self.connection.execute("UPDATE outbox SET sent_at = ? WHERE key = ?", [to_number(at), key])


def story(desk: Desk, clock: ManualClock) -> Iterator[str]:
    """Four weeks at a small desk, told line by line."""

    def told(line: str) -> str:
        return f"{clock():%d %b}  {line}"

    def swept() -> Iterator[str]:
        for action in desk.sweep(clock()):
            yield told(f"settled: {action.timer} of {action.case_id}")
        for key in desk.unsent():
            desk.sent(key, clock())
            yield told(f"mailed: {key}")

    for case_id in ("C-1", "C-2", "C-3"):
        desk.open(case_id)
        desk.change(case_id, "pend", by="agent", sub_status="customer_input")
    yield told("three customers are asked for their logs")

    clock.advance(days=7)
    yield from swept()

    clock.advance(days=2)
    desk.change("C-1", "comment", by="customer")
    yield told("the customer of C-1 replies")
    yield from swept()

    clock.advance(days=19)
    _, revision = desk.load("C-3")
    yield told(f"an agent opens the page of C-3, at revision {revision}")
    found = desk.due(clock())
    yield from (told(f"due: {action.timer} of {action.case_id}") for action in found)
    desk.change("C-2", "comment", by="customer")
    yield told("the customer of C-2 replies before that is carried out")
    for action in found:
        try:
            desk.carry_out(action)
        except StaleAction:
            yield told(f"dropped: {action.timer} of {action.case_id}, which has moved on")
        else:
            yield told(f"settled: {action.timer} of {action.case_id}")
    try:
        desk.change("C-3", "note", by="agent", revision=revision)
    except ConflictError:
        yield told("refused: the agent's page of C-3 is out of date")

    clock.advance(days=1)
    yield from swept()


def main() -> None:
    """Play the story in a database in memory."""
    clock = ManualClock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
    desk = Desk(":memory:", Workflow(policies.SUB_STATUS, clock=clock))
    try:
        for line in story(desk, clock):
            print(line)
    finally:
        desk.close()


if __name__ == "__main__":
    main()
