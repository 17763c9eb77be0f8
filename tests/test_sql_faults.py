"""What goes wrong in the middle of a sweep, an error, a kill, a lost database: nothing is half done."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import sqlalchemy as sa

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from builders import DAY, case_in
from casestate import Workflow, policies
from casestate.sql import SweepStopped, sweep
from race_worker import BASE, Desk, Job


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casestate import Action, Case
    from postgres import Server

CASES: Final = [f"C-{number}" for number in range(9)]
KEYS: Final = [f"{case_id}:2:remind_customer" for case_id in CASES]
JOB: Final = Job(role="sweeper", name="here", url="", folder="", began=0.0, lasts=1e10)
HEAVY: Final = pytest.mark.heavy


def a_desk(url: str, **options: Any) -> Desk:  # noqa: ANN401 - of the desk
    """Nine customers are to be reminded, C-0 first."""
    desk = Desk(url, **options)
    desk.fill(
        [
            case_in("pending.customer_input", BASE - 20 * DAY + number * DAY, id=case_id, stay=2)
            for number, case_id in enumerate(CASES)
        ]
    )
    return desk


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=HEAVY)])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    if request.param == "postgresql":
        return a_desk(request.getfixturevalue("database_url"))
    return a_desk(f"sqlite:///{tmp_path / 'desk.db'}")


@pytest.fixture
def workflow() -> Workflow:
    return Workflow(policies.SUB_STATUS, clock=lambda: BASE)


def writing(
    desk: Desk, session: sa.Connection | Session, at: str = "", fault: Callable[[], object] = list
) -> Callable[[Case, Action], None]:
    """What is done about an action: an entry, an effect; and, when it is this case's turn, the fault."""

    def act(case: Case, action: Action) -> None:
        connection = session.connection() if isinstance(session, Session) else session
        desk.enter(connection, case, JOB)
        connection.execute(desk.outbox.insert(), {"key": action.key})
        if case.id == at:
            fault()

    return act


def settled(desk: Desk) -> list[str]:
    """The cases that are settled: as their rows, their histories and their effects say alike."""
    cases, changes, outbox = desk.cases.c, desk.changes.c, desk.outbox.c
    with desk.engine.connect() as connection:
        rows = connection.execute(sa.select(cases.id).where(cases.settled.is_not(None)).order_by(cases.id))
        found = list(rows.scalars())
        entered = Counter(connection.execute(sa.select(changes.case_id)).scalars())
        effects = Counter(connection.execute(sa.select(outbox.key)).scalars())
    assert entered == Counter(found)
    assert effects == Counter(f"{case_id}:2:remind_customer" for case_id in found)
    return found


def test_an_error_undoes_its_own_case_and_ends_the_sweep(desk: Desk, workflow: Workflow) -> None:
    def fault() -> None:
        raise RuntimeError("the mailer is full")

    with desk.engine.connect() as connection:
        with pytest.raises(RuntimeError, match="the mailer is full"):
            sweep(connection, workflow, desk.cases, writing(desk, connection, "C-3", fault))
        assert settled(desk) == CASES[:3]
        assert not connection.in_transaction()
        actions = sweep(connection, workflow, desk.cases, writing(desk, connection))
    assert [action.key for action in actions] == KEYS[3:]
    assert settled(desk) == CASES


def test_with_on_error_the_sweep_goes_on_with_the_other_cases(desk: Desk, workflow: Workflow) -> None:
    errors: list[tuple[object, str]] = []

    def fault() -> None:
        raise RuntimeError("the mailer is full")

    with desk.engine.connect() as connection:
        actions = sweep(
            connection,
            workflow,
            desk.cases,
            writing(desk, connection, "C-3", fault),
            on_error=lambda case_id, error: errors.append((case_id, str(error))),
        )
        assert [action.key for action in actions] == KEYS[:3] + KEYS[4:]
        assert errors == [("C-3", "the mailer is full")]
        assert settled(desk) == CASES[:3] + CASES[4:]
        [action] = sweep(connection, workflow, desk.cases, writing(desk, connection))
    assert action.key == KEYS[3]
    assert settled(desk) == CASES


def test_an_error_of_the_database_is_of_one_case_as_any_other(desk: Desk, workflow: Workflow) -> None:
    errors: list[object] = []

    with desk.engine.connect() as connection:
        sweep(
            connection,
            workflow,
            desk.cases,
            writing(desk, connection, "C-3", lambda: connection.execute(sa.text("SELECT * FROM nowhere"))),
            on_error=lambda case_id, _: errors.append(case_id),
        )
    assert errors == ["C-3"]
    assert settled(desk) == CASES[:3] + CASES[4:]


@HEAVY
@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_a_kill_between_the_effect_and_the_commit_leaves_nothing_half_done(
    request: pytest.FixtureRequest, tmp_path: Path, where: str
) -> None:
    path = f"sqlite:///{tmp_path / 'desk.db'}"
    url = request.getfixturevalue("database_url") if where == "postgresql" else path
    desk = a_desk(url)
    job = Job(
        role="sweeper", name="mortal", url=url, folder=str(tmp_path), began=time.time(), lasts=4.0, dies_at=4
    )
    script = Path(__file__).with_name("race_worker.py")
    done = subprocess.run(
        [sys.executable, script, job.text()],
        stdin=subprocess.PIPE,
        capture_output=True,
        timeout=60,
        check=True,
    )
    # Three cases in each life, and then the fourth that it does not live to commit.
    assert json.loads(done.stdout) == {"killed": 2, "failed": 0}
    assert done.stderr == b""
    assert settled(desk) == CASES
    attempts = Counter((tmp_path / "attempts-mortal").read_text().split())
    assert attempts.total() == 4 + 4 + 3
    assert attempts.keys() == set(KEYS)


@pytest.fixture(params=["connection", "session"])
def session(request: pytest.FixtureRequest, database_url: str) -> Iterator[sa.Connection | Session]:
    engine = a_desk(database_url).engine
    with Session(engine) if request.param == "session" else engine.connect() as session:
        yield session


@HEAVY
@pytest.mark.parametrize("how", ["stopped", "terminated"])
def test_a_database_that_goes_away_in_the_middle_stops_the_sweep_and_the_next_one_finds_the_rest(
    postgres: Server, database_url: str, session: sa.Connection | Session, workflow: Workflow, how: str
) -> None:
    desk = Desk(database_url)
    errors: list[object] = []

    def fault() -> None:
        if how == "stopped":
            postgres.stop(immediate=True)
        else:
            postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'desk%'")

    with pytest.raises(SweepStopped, match=r"lost at case 'C-3', after 3 .* nothing is half done") as caught:
        sweep(
            session,
            workflow,
            desk.cases,
            writing(desk, session, "C-3", fault),
            on_error=lambda case_id, _: errors.append(case_id),
        )
    assert [action.key for action in caught.value.settled] == KEYS[:3]
    assert caught.value.case_id == "C-3"
    assert errors == []
    assert not session.in_transaction()
    if how == "stopped":
        postgres.start()
    assert settled(desk) == CASES[:3]
    actions = sweep(session, workflow, desk.cases, writing(desk, session))
    assert [action.key for action in actions] == KEYS[3:]
    assert settled(desk) == CASES


@HEAVY
def test_a_connection_that_is_gone_before_the_first_case_says_so(
    postgres: Server, database_url: str, workflow: Workflow
) -> None:
    desk = a_desk(database_url)
    with desk.engine.connect() as connection:
        postgres.restart(immediate=True)
        with pytest.raises(SweepStopped, match="before the first case, after 0") as caught:
            sweep(connection, workflow, desk.cases, writing(desk, connection))
        assert caught.value.settled == ()
        sweep(connection, workflow, desk.cases, writing(desk, connection))
    assert settled(desk) == CASES


@HEAVY
def test_a_database_that_is_stopped_between_two_cases_stops_a_sweep_that_connects_for_each(
    postgres: Server, database_url: str, workflow: Workflow
) -> None:
    desk = a_desk(database_url)
    errors: list[object] = []
    with Session(desk.engine) as session:

        def stop_after_the_third(_: Session) -> None:
            if len(settled(desk)) == 3:
                postgres.stop()

        sa.event.listen(session, "after_commit", stop_after_the_third)
        with pytest.raises(SweepStopped, match="after 3 cases had been settled") as caught:
            sweep(
                session,
                workflow,
                desk.cases,
                writing(desk, session),
                on_error=lambda case_id, _: errors.append(case_id),
            )
        sa.event.remove(session, "after_commit", stop_after_the_third)
        assert [action.key for action in caught.value.settled] == KEYS[:3]
        assert errors == []
        postgres.start()
        sweep(session, workflow, desk.cases, writing(desk, session))
    assert settled(desk) == CASES


@pytest.mark.parametrize("tells", [True, False])
def test_a_database_that_cannot_be_reached_any_more_stops_the_sweep(
    tmp_path: Path, workflow: Workflow, *, tells: bool
) -> None:
    desk = a_desk(f"sqlite:///{tmp_path / 'desk.db'}")
    reachable = True
    errors: list[object] = []

    @sa.event.listens_for(desk.engine, "do_connect")
    def refuse(*_: object) -> None:
        if not reachable:
            raise sqlite3.OperationalError("unable to open database file")

    def fault() -> None:
        nonlocal reachable
        reachable = False

    with Session(desk.engine) as session:
        with pytest.raises(SweepStopped, match="at case 'C-3', after 3 cases had been settled") as caught:
            sweep(
                session,
                workflow,
                desk.cases,
                writing(desk, session, "C-2", fault),
                on_error=(lambda case_id, _: errors.append(case_id)) if tells else None,
            )
        assert [action.key for action in caught.value.settled] == KEYS[:3]
        assert "unable to open database file" in str(caught.value.__cause__)
        assert errors == []
        with pytest.raises(SweepStopped, match="lost before the first case, after 0 cases") as caught:
            sweep(session, workflow, desk.cases, writing(desk, session))
        assert caught.value.case_id is None
        reachable = True
        sweep(session, workflow, desk.cases, writing(desk, session))
    assert settled(desk) == CASES


def test_a_sqlite_that_another_writer_keeps_locked_is_an_error_and_nothing_is_changed(
    tmp_path: Path, workflow: Workflow
) -> None:
    desk = a_desk(f"sqlite:///{tmp_path / 'desk.db'}", patience=0.0)
    with desk.engine.connect() as connection, desk.engine.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="database is locked"):
            sweep(connection, workflow, desk.cases, writing(desk, connection))
        other.exec_driver_sql("ROLLBACK")
        assert settled(desk) == []
        sweep(connection, workflow, desk.cases, writing(desk, connection))
    assert settled(desk) == CASES
