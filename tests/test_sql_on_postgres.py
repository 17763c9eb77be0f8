"""The room of SQL in PostgreSQL, in a session of another time zone: exact, and never waiting for a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
import sqlalchemy as sa

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import DAY, MONDAY, case_in
from casestate import Action, Case, Policy, Workflow, policies
from casestate.sql import due_where, load, rejects_where, sweep, values
from casestate.testing import strategies
from test_sql import numbered, policy_and_cases, table_of


if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

pytestmark = pytest.mark.heavy
ASKED = "pending.customer_input"
KINDS = {"naive": sa.DateTime(), "aware": sa.DateTime(timezone=True), "number": sa.BigInteger()}


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(database_url, connect_args={"options": "-c timezone=Asia/Kathmandu"})
    yield engine
    engine.dispose()


@pytest.fixture(params=KINDS)
def table(request: pytest.FixtureRequest, engine: sa.Engine) -> sa.Table:
    table = table_of(KINDS[request.param])
    table.metadata.create_all(engine)
    return table


def fill(connection: sa.Connection, table: sa.Table, cases: list[Case]) -> None:
    connection.execute(sa.delete(table))
    if cases:
        connection.execute(sa.insert(table), [values(table, case) for case in cases])
    connection.commit()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(given_cases=policy_and_cases(hostile=True), now=strategies.instants())
def test_what_is_due_what_is_rejected_and_what_a_sweep_leaves_are_as_the_workflow_says(
    engine: sa.Engine, table: sa.Table, given_cases: tuple[Policy, list[Case]], now: datetime
) -> None:
    policy, cases = given_cases
    desk = Workflow(policy)
    ours = [case for case in cases if case.policy in (None, policy.name)]
    refused: list[str] = []
    expected = list(desk.due(ours, now=now, on_error=lambda case, _: refused.append(case.id)))
    with engine.connect() as connection:
        fill(connection, table, cases)
        ids = sa.select(table.c.case_id).order_by(table.c.case_id)
        assert connection.scalars(ids.where(due_where(desk, table, now=now))).all() == [
            action.case_id for action in expected
        ]
        assert connection.scalars(ids.where(rejects_where(desk, table))).all() == refused
        connection.rollback()
        done = sweep(connection, desk, table, lambda *_: None, now=now)
        assert sorted(done, key=lambda action: action.case_id) == expected
        for action in expected:
            [case] = (case for case in cases if case.id == action.case_id)
            settled = desk.settle(case, action, at=max(now, case.changed_at))
            assert load(connection, table, case.id) == attrs.evolve(settled, history=())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_a_case_comes_back_as_it_was(engine: sa.Engine, table: sa.Table, data: st.DataObject) -> None:
    case = data.draw(strategies.histories(data.draw(strategies.policies())))
    with engine.connect() as connection:
        fill(connection, table, [case])
        found = load(connection, table, case.id)
    assert found == attrs.evolve(case, history=(), clones=())
    assert found.changed_at == case.changed_at


def test_a_row_that_somebody_has_locked_is_left_to_them_and_not_waited_for(
    engine: sa.Engine, table: sa.Table
) -> None:
    desk, now = Workflow(policies.SUB_STATUS), MONDAY + 7 * DAY
    acted: list[Any] = []

    def act(_: Case, action: Action) -> None:
        acted.append(action.case_id)

    with engine.connect() as customer, engine.connect() as sweeper:
        fill(customer, table, numbered([case_in(ASKED), case_in(ASKED)]))
        sweeper.execute(sa.text("SET lock_timeout = '5s'"))
        sweeper.commit()
        assert load(customer, table, "C-0000", lock=True) is not None
        sweep(sweeper, desk, table, act, now=now)
        assert acted == ["C-0001"]
        assert load(sweeper, table, "C-0000", skip_locked=True) is None
        sweeper.rollback()
        customer.rollback()
        sweep(sweeper, desk, table, act, now=now)
        assert acted == ["C-0001", "C-0000"]
