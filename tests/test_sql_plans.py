"""How the databases find what is due: by the advised index alone, and never by reading the whole table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import sqlalchemy as sa

from casestate import Policy, Workflow, policies
from casestate.sql import due_where
from race_worker import BASE, Desk
from sql_rows import Statement, asked, candidates, fill, rows


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from postgres import Server

ROWS: Final = 100_000
DUE: Final = 1_000
INDEX: Final = ("status", "sub_status", "settled", "entered_at")


def policy_of(name: str) -> Policy:
    if name == "with notice":
        return policies.SUB_STATUS.override({"timers": {"close_pending": {"notice": {"days": 7}}}})
    return {"sub-status": policies.SUB_STATUS, "open-resolved": policies.OPEN_RESOLVED}[name]


@pytest.fixture(scope="module", params=["sub-status", "open-resolved", "with notice"])
def workflow(request: pytest.FixtureRequest) -> Workflow:
    return Workflow(policy_of(request.param))


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.heavy)])
def desk(
    request: pytest.FixtureRequest, workflow: Workflow, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    """A hundred thousand cases, a thousand of them due."""
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("plans")
        desk = Desk(f"sqlite:///{folder / 'desk.db'}")
        fill(desk, rows(workflow, ROWS, due=DUE, now=BASE))
        yield desk
        return
    postgres: Server = request.getfixturevalue("postgres")
    with postgres.database() as url:
        desk = Desk(url)
        fill(desk, rows(workflow, ROWS, due=DUE, now=BASE))
        yield desk


def steps(desk: Desk, statement: Statement, *, without_the_index: bool = False) -> list[str]:
    """How the database would read the table, step by step."""
    explain = "EXPLAIN QUERY PLAN " if desk.microseconds else "EXPLAIN (FORMAT JSON, COSTS OFF) "
    with desk.engine.connect() as connection:
        if without_the_index:
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql("DROP INDEX sweep")
        found = connection.exec_driver_sql(explain + statement.text, statement.parameters).all()
        connection.rollback()
    if desk.microseconds:
        return [row.detail for row in found if row.detail.startswith(("SCAN", "SEARCH"))]
    return list(leaves(found[0][0][0]["Plan"]))


def leaves(plan: dict[str, Any]) -> Iterator[str]:
    """The steps of a plan of PostgreSQL that read something."""
    if not plan["Node Type"].startswith("Bitmap Heap") and plan["Node Type"].endswith("Scan"):
        yield f"{plan['Node Type']} {plan.get('Index Name', '')} {plan.get('Index Cond', '')}".strip()
    for part in plan.get("Plans", ()):
        yield from leaves(part)


def is_by_the_index(desk: Desk, step: str) -> bool:
    """Whether a step looks for all four columns in the index: three that are equal, and a range."""
    if desk.microseconds:
        expected = "(status=? AND sub_status=? AND settled=? AND entered_at<?)"
        return step == f"SEARCH cases USING INDEX sweep {expected}"
    return step.startswith(("Bitmap Index Scan sweep", "Index Scan sweep")) and all(
        f"({name} " in step for name in INDEX
    )


def is_found_by_the_index(desk: Desk, workflow: Workflow, found: list[str]) -> bool:
    """Whether every position at which something can be due is one look into the index, and that is all."""
    positions = {(row.status, row.sub_status, row.settled) for row in workflow.cutoffs(BASE)}
    return len(found) == len(positions) and all(is_by_the_index(desk, step) for step in found)


def of_a_sweep(desk: Desk, workflow: Workflow) -> Statement:
    return candidates(desk, workflow, BASE)


def of_the_predicate(desk: Desk, workflow: Workflow) -> Statement:
    query = sa.select(desk.cases.c.id).where(due_where(workflow, desk.cases, now=BASE))
    return asked(desk, lambda connection: connection.execute(query))


def of_the_predicate_of_a_table_without_policy(desk: Desk, workflow: Workflow) -> Statement:
    columns = {name: desk.cases.c[name] for name in (*INDEX, "settled_at")}
    query = sa.select(desk.cases.c.id).where(due_where(workflow, columns, now=BASE))
    return asked(desk, lambda connection: connection.execute(query))


STATEMENTS: Final = (of_a_sweep, of_the_predicate, of_the_predicate_of_a_table_without_policy)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_whatever_is_due_is_found_by_the_index(
    desk: Desk, workflow: Workflow, statement: Callable[[Desk, Workflow], Statement]
) -> None:
    found = steps(desk, statement(desk, workflow))
    assert is_found_by_the_index(desk, workflow, found), found


@pytest.mark.parametrize("statement", STATEMENTS)
def test_without_the_index_the_table_is_read(
    desk: Desk, workflow: Workflow, statement: Callable[[Desk, Workflow], Statement]
) -> None:
    found = steps(desk, statement(desk, workflow), without_the_index=True)
    assert not is_found_by_the_index(desk, workflow, found)
    assert found == ["SCAN cases" if desk.microseconds else "Seq Scan"]


def test_a_thousand_of_a_hundred_thousand_are_due(desk: Desk, workflow: Workflow) -> None:
    query = sa.select(sa.func.count()).where(due_where(workflow, desk.cases, now=BASE))
    with desk.engine.connect() as connection:
        assert connection.scalar(query) == DUE
        assert connection.scalar(sa.select(sa.func.count()).select_from(desk.cases)) == ROWS
