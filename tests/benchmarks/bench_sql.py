"""How long a sweep of a table looks for what is due, and how fast it settles, beside a loop by hand."""

from __future__ import annotations

import sys
import tempfile

from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from casestate import Case, Workflow, policies
from casestate.sql import due_where, sweep

from .measure import Row, at_least, at_most, for_scale, interleaved, waited_for


sys.path.insert(0, str(Path(__file__).parents[1]))  # what the tests share: the server, the desk, its rows

from postgres import Server
from race_worker import BASE, Desk
from sql_rows import candidates, fill
from sql_rows import rows as cases_of


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casestate import Action
    from sql_rows import Statement

SIZES: Final = (10_000, 100_000, 1_000_000)
DUE: Final = 1_000
ROUNDS: Final = 9


# --- finding ------------------------------------------------------------------


INDEX: Final = "by the index"
SCAN: Final = "by reading all"
COVERING: Final = "by an index that holds id and policy too"
WORKERS: Final = ", parallel workers allowed"


def finding(desk: Desk, size: int) -> dict[str, float]:
    """The seconds in which the driver answers a sweep's question, by the advised index and otherwise."""
    workflow = Workflow(policies.SUB_STATUS)
    fill(desk, cases_of(workflow, size, due=DUE, now=BASE))
    statement = candidates(desk, workflow, BASE)
    tables = {INDEX: "cases", SCAN: "bare"}
    with desk.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE bare AS SELECT * FROM cases")
        if desk.microseconds:
            tables[COVERING] = "covered"
            connection.exec_driver_sql("CREATE TABLE covered AS SELECT * FROM cases")
            connection.exec_driver_sql(
                "CREATE INDEX covering ON covered (status, sub_status, settled, entered_at, id, policy)"
            )
        else:
            tables |= {how + WORKERS: table for how, table in tables.items()}
    analyze(desk)
    with ExitStack() as stack:
        contestants = {}
        for name, table in tables.items():
            connection = stack.enter_context(desk.engine.connect())
            driver: Any = connection.connection.driver_connection
            cursor = driver.cursor()
            if not desk.microseconds and WORKERS not in name:
                # It expects many more rows than are due, and would start workers for them.
                cursor.execute("SET max_parallel_workers_per_gather = 0")
            asked = statement._replace(text=statement.text.replace("cases", table))
            contestants[name] = waited_for(partial(ask, cursor, asked))
        return interleaved(contestants, rounds=ROUNDS)


def analyze(desk: Desk) -> None:
    """Let the database look at its tables, as it does by itself now and then."""
    with desk.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
            "ANALYZE" if desk.microseconds else "VACUUM ANALYZE"
        )


def ask(cursor: Any, statement: Statement) -> None:  # noqa: ANN401 - of any driver
    cursor.execute(statement.text, statement.parameters)
    if len(cursor.fetchall()) != DUE:
        raise AssertionError(statement)


# --- settling -----------------------------------------------------------------


def settling(desk: Desk) -> dict[str, float]:
    """The seconds of a sweep of a thousand cases, and of a loop of the same statements."""
    workflow = Workflow(policies.SUB_STATUS)
    fill(desk, cases_of(workflow, SIZES[1], due=DUE, now=BASE))
    with desk.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE before AS SELECT * FROM cases")
    loop = by_hand(desk, workflow)

    insert = desk.outbox.insert()

    def send(connection: sa.Connection, _: Case, action: Action) -> None:
        connection.execute(insert, {"key": action.key})

    def swept(connection: sa.Connection) -> int:
        return len(sweep(connection, workflow, desk.cases, partial(send, connection), now=BASE))

    with desk.engine.connect() as connection:

        def contestant(settle: Callable[[sa.Connection], int]) -> Callable[[], float]:
            def check() -> None:
                if settle(connection) != DUE:
                    raise AssertionError(settle)

            seconds = waited_for(check)

            def run() -> float:
                back(desk, connection)
                return seconds()

            return run

        return interleaved({"sweep": contestant(swept), "loop": contestant(loop)}, rounds=ROUNDS)


def back(desk: Desk, connection: sa.Connection) -> None:
    """Make due again what has been settled."""
    names = ("status", "sub_status", "entered_at", "stay", "previous", "settled", "settled_at", "changed_at")
    before = sa.table("before", *(sa.column(name) for name in ("id", "revision", *names)))
    was = {name: before.c[name] for name in names}
    rewind = sa.update(desk.cases).where(desk.cases.c.id == before.c.id, desk.cases.c.revision > 1)
    connection.execute(rewind.values(revision=1, **was))
    connection.execute(sa.delete(desk.outbox))
    connection.commit()
    analyze(desk)


def by_hand(desk: Desk, workflow: Workflow) -> Callable[[sa.Connection], int]:
    """What one would write without `sweep`, for this table alone: statements made once, values bound."""
    c = desk.cases.c
    now: Any = desk.kept(BASE)
    case_id: sa.BindParameter[str] = sa.bindparam("of")
    names = ("status", "sub_status", "stay", "settled")
    instants = ("entered_at", "settled_at")
    find = sa.select(c.id).where(due_where(workflow, desk.cases, now=BASE)).order_by(c.entered_at, c.id)
    read = sa.select(desk.cases).where(c.id == case_id).with_for_update(skip_locked=True)
    guards = (*names, "entered_at", "changed_at", "revision")
    write = sa.update(desk.cases).where(
        c.id == case_id, *(c[name].is_not_distinct_from(sa.bindparam(f"old_{name}")) for name in guards)
    )
    write = write.values(
        revision=c.revision + 1,
        changed_at=sa.bindparam("now"),
        **{name: sa.bindparam(f"new_{name}") for name in (*names, *instants, "previous")},
    )
    send = desk.outbox.insert()

    def loop(connection: sa.Connection) -> int:
        settled = 0
        found = connection.execute(find).scalars().all()
        connection.rollback()
        for identity in found:
            row = connection.execute(read, {"of": identity}).one()
            case = Case(
                id=row.id,
                entered_at=desk.instant(row.entered_at),
                settled_at=None if row.settled_at is None else desk.instant(row.settled_at),
                **{name: getattr(row, name) for name in (*names, "policy", "previous")},
            )
            for action in workflow.due([case], now=BASE):
                after = workflow.settle(case, action, at=BASE)
                values = {"of": identity, "now": now}
                values |= {f"old_{name}": getattr(row, name) for name in guards}
                values |= {f"new_{name}": getattr(after, name) for name in (*names, "previous")}
                values |= {f"new_{name}": desk.kept(getattr(after, name)) for name in instants}
                settled += connection.execute(write, values).rowcount
                connection.execute(send, {"key": action.key})
            connection.commit()
        return settled

    return loop


# --- the table ----------------------------------------------------------------


@contextmanager
def sqlite() -> Iterator[Desk]:
    with tempfile.TemporaryDirectory() as folder:
        yield Desk(f"sqlite:///{folder}/desk.db")


@contextmanager
def of(server: Server) -> Iterator[Desk]:
    with server.database() as url:
        yield Desk(url)


def measured(name: str, database: Callable[[], Any]) -> Iterator[Row]:
    seconds = {}
    for size in SIZES:
        with database() as desk:
            seconds[size] = finding(desk, size)
        for how, each in seconds[size].items():
            yield for_scale(f"{name}: find {DUE:,} due of {size:,} cases {how}", f"{each * 1e3:.2f} ms")
    first, last = seconds[SIZES[0]], seconds[SIZES[-1]]
    yield at_least(
        f"{name}: find {DUE:,} due of {SIZES[-1]:,} cases {SCAN} / {INDEX}", last[SCAN] / last[INDEX], 50
    )
    flat = COVERING if COVERING in last else INDEX  # what is not in the index is looked up, page by page
    yield at_most(
        f"{name}: find {DUE:,} due of {SIZES[-1]:,} / of {SIZES[0]:,} cases {flat}",
        last[flat] / first[flat],
        3,
    )
    with database() as desk:
        settled = settling(desk)
    yield for_scale(
        f"{name}: settle through `sql.sweep`, and by a loop of the same statements",
        f"{DUE / settled['sweep']:.0f}, {DUE / settled['loop']:.0f} cases/s",
    )
    yield at_least(
        f"{name}: cases settled through `sql.sweep` / by the loop", settled["loop"] / settled["sweep"], 0.8
    )


def rows() -> Iterator[Row]:
    """The rows of the table."""
    yield from measured("SQLite", sqlite)
    with Server() as server:
        yield from measured("PostgreSQL", partial(of, server))
