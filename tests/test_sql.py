"""The cutoffs in a database: the predicate is exact, and a sweep settles each case in its own transaction."""

from __future__ import annotations

import enum
import pickle
import sqlite3
import uuid

from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import sqlalchemy as sa

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    mapped_column,
)
from sqlalchemy.pool import StaticPool

from builders import DAY, MONDAY, TICK, case_in
from casestate import (
    Action,
    Case,
    CaseDataError,
    CasestateError,
    ManualClock,
    NaiveTimeError,
    Policy,
    Workflow,
    load_policy,
    policies,
)
from casestate.sql import CaseChanged, SweepStopped, due_where, load, rejects_where, store, sweep, values
from casestate.testing import strategies


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

LATER = MONDAY + 7 * DAY
ASKED = "pending.customer_input"


def table_of(instants: Any = sa.DateTime, *, without: Iterable[str] = ()) -> sa.Table:  # noqa: ANN401 - a type or its class
    """A table with a column for all that the room knows, ``instants`` of the type given."""
    texts = ("status", "sub_status", "settled", "previous", "assignee", "policy", "cloned_from")
    moments = ("entered_at", "settled_at", "opened_at", "changed_at")
    columns: list[sa.Column[Any]] = [
        sa.Column("case_id", sa.String, primary_key=True),
        sa.Column("stay", sa.BigInteger),
        sa.Column("revision", sa.Integer),
        *(sa.Column(name, sa.String) for name in texts),
        *(sa.Column(name, instants) for name in moments),
    ]
    return sa.Table("cases", sa.MetaData(), *(column for column in columns if column.name not in without))


@contextmanager
def database(
    table: sa.Table, cases: Iterable[Case] = (), *, url: str = "sqlite://", **options: str
) -> Iterator[sa.Engine]:
    """An SQLite database, in memory if nothing else is said, that holds the cases."""
    engine = sa.create_engine(url, poolclass=StaticPool if url == "sqlite://" else None, **options)
    try:
        table.metadata.create_all(engine)
        with engine.begin() as connection:
            for case in cases:
                connection.execute(sa.insert(table).values(**values(table, case)))
        yield engine
    finally:
        engine.dispose()


def numbered(cases: Iterable[Case]) -> list[Case]:
    """The cases, with ids of their own."""
    return [attrs.evolve(case, id=f"C-{number:04}") for number, case in enumerate(cases)]


def ids(engine: sa.Engine, table: sa.Table, where: sa.ColumnElement[bool]) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(sa.select(table.c.case_id).where(where)))


def rows(engine: sa.Engine, table: sa.Table) -> dict[str, Mapping[str, Any]]:
    with engine.connect() as connection:
        return {row["case_id"]: dict(row) for row in connection.execute(sa.select(table)).mappings()}


def desk_of(overlay: Mapping[str, Any] | None = None, base: Policy | None = None) -> Workflow:
    policy = policies.SUB_STATUS if base is None else base
    return Workflow(policy.override(overlay) if overlay else policy, clock=ManualClock(LATER))


def nothing(case: Case, action: Action) -> None:
    """Do nothing about an action."""


@st.composite
def policy_and_cases(draw: st.DrawFn, *, hostile: bool = False) -> tuple[Policy, list[Case]]:
    policy = draw(strategies.policies())
    return policy, numbered(draw(st.lists(strategies.cases(policy, hostile=hostile), max_size=12)))


# --- the predicate ---------------------------------------------------------------


@pytest.mark.parametrize("instants", [sa.DateTime, sa.DateTime(timezone=True), sa.BigInteger])
@given(given_cases=policy_and_cases(), now=strategies.instants())
def test_the_predicate_finds_the_cases_that_the_workflow_finds_due(
    instants: Any,  # noqa: ANN401 - a column type, or its class
    given_cases: tuple[Policy, list[Case]],
    now: datetime,
) -> None:
    policy, cases = given_cases
    desk, table = Workflow(policy), table_of(instants)
    with database(table, cases) as engine:
        found = ids(engine, table, due_where(desk, table, now=now))
    assert found == {action.case_id for action in desk.due(cases, now=now)}


@given(given_cases=policy_and_cases(), shift=st.sampled_from([-TICK, timedelta(0), TICK]), data=st.data())
def test_the_predicate_is_exact_to_the_microsecond(
    given_cases: tuple[Policy, list[Case]], shift: timedelta, data: st.DataObject
) -> None:
    policy, cases = given_cases
    desk, table = Workflow(policy), table_of()
    moments = [due for case in cases if (due := desk.next_due(case)) is not None]
    now = data.draw(st.sampled_from(moments or [MONDAY])) + shift
    with database(table, cases) as engine:
        found = ids(engine, table, due_where(desk, table, now=now))
    assert found == {action.case_id for action in desk.due(cases, now=now)}


@given(given_cases=policy_and_cases(hostile=True))
def test_the_rows_that_are_rejected_are_those_that_the_workflow_refuses(
    given_cases: tuple[Policy, list[Case]],
) -> None:
    policy, cases = given_cases
    desk, table = Workflow(policy), table_of()
    ours = [case for case in cases if case.policy in (None, policy.name)]
    refused: set[str] = set()
    list(desk.due(ours, now=MONDAY, on_error=lambda case, _: refused.add(case.id)))
    with database(table, cases) as engine:
        assert ids(engine, table, rejects_where(desk, table)) == refused


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": None},
        {"entered_at": None},
        {"stay": 0},
        {"settled": "remind_customer"},
        {"settled_at": MONDAY},
        {"settled": "remind_customer", "settled_at": MONDAY - TICK},
    ],
)
def test_a_row_that_is_no_case_is_rejected(wrong: Mapping[str, Any]) -> None:
    desk, table = desk_of(), table_of()
    naive = {
        name: value.replace(tzinfo=None) if isinstance(value, datetime) else value
        for name, value in wrong.items()
    }
    with database(table, [case_in(ASKED)]) as engine:
        assert ids(engine, table, rejects_where(desk, table)) == set()
        with engine.begin() as connection:
            connection.execute(sa.update(table).values(**naive))
        assert ids(engine, table, rejects_where(desk, table)) == {"C-1042"}
        bare = {name: table.c[name] for name in ("status", "sub_status", "settled", "entered_at")}
        seen = ids(engine, table, rejects_where(desk, bare))
    assert seen == ({"C-1042"} if {"status", "entered_at"} & set(wrong) else set())


def test_without_a_timer_nothing_is_due() -> None:
    desk, table = (
        Workflow(load_policy({"format": 1, "name": "a", "initial": "new", "statuses": {"new": {}}})),
        table_of(),
    )
    with database(table, [case_in("new")]) as engine:
        assert ids(engine, table, due_where(desk, table, now=LATER)) == set()


def test_without_now_the_clock_of_the_workflow_is_asked() -> None:
    desk, table = desk_of(), table_of()
    with database(table, [case_in(ASKED)]) as engine:
        assert ids(engine, table, due_where(desk, table)) == {"C-1042"}


def test_rows_of_another_policy_are_neither_due_nor_rejected() -> None:
    desk, table = desk_of(), table_of()
    cases = numbered([case_in(ASKED, policy=name) for name in (None, "sub-status", "open-resolved")])
    with database(table, [*cases, case_in("nowhere", policy="open-resolved")]) as engine:
        assert ids(engine, table, due_where(desk, table)) == {"C-0000", "C-0001"}
        assert ids(engine, table, rejects_where(desk, table)) == set()


def test_a_column_without_a_zone_is_bound_without_one() -> None:
    desk = desk_of()
    for instants, zone in ((sa.DateTime, None), (sa.DateTime(timezone=True), UTC)):
        bound = due_where(desk, table_of(instants)).compile().params.values()
        moments = [value for value in bound if isinstance(value, datetime)]
        assert moments
        assert {moment.tzinfo for moment in moments} == {zone}


# --- columns ------------------------------------------------------------------------


class Base(DeclarativeBase):
    """The models of these tests."""


class Aware(sa.types.TypeDecorator[datetime]):
    """A column type as many projects have one: aware datetimes in Python, text in the database."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 - its signature
        return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:  # noqa: ANN401, ARG002 - likewise
        return None if value is None else datetime.fromisoformat(value)


class Status(enum.Enum):
    """The statuses of `open-resolved`, as an application has them."""

    NEW = "new"
    OPEN = "open"
    IN_PROGRESS = "in_progress"
    PENDING_CUSTOMER = "pending_customer"
    RESOLVED = "resolved"
    CLOSED = "closed"


class Ticket(Base):
    """A model with names and types of its own."""

    __tablename__ = "tickets"
    number: Mapped[uuid.UUID] = mapped_column("ticket_no", primary_key=True)
    title: Mapped[str]
    stage: Mapped[Status]
    since: Mapped[datetime] = mapped_column(Aware)
    visit: Mapped[int]
    last_timer: Mapped[str | None]
    last_timer_at: Mapped[datetime | None] = mapped_column(Aware)
    owner: Mapped[str | None]


class Plain(Base):
    """A model with the design's names."""

    __tablename__ = "plain"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]
    sub_status: Mapped[str | None]
    state_since: Mapped[datetime | None]
    entered_at: Mapped[datetime]
    settled: Mapped[str | None]
    settled_at: Mapped[datetime | None]


TICKET = {
    "case_id": Ticket.number,
    "status": Ticket.stage,
    "sub_status": sa.null(),
    "entered_at": Ticket.since,
    "stay": Ticket.visit,
    "settled": Ticket.last_timer,
    "settled_at": Ticket.last_timer_at,
    "assignee": Ticket.owner,
}


@pytest.fixture
def session() -> Iterator[Session]:
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    try:
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()


def test_a_model_with_names_and_types_of_its_own_is_swept_by_a_mapping(session: Session) -> None:
    desk = desk_of(base=policies.OPEN_RESOLVED)
    number = uuid.uuid4()
    case = case_in("pending_customer", id=str(number), stay=3, assignee="mira")
    session.add(Ticket(title="It hums", **values(TICKET, case)))
    session.commit()
    [action] = sweep(session, desk, TICKET, nothing)
    assert action.key == f"{number}:3:notify_pending"
    ticket = session.get_one(Ticket, number)
    assert (ticket.stage, ticket.last_timer, ticket.last_timer_at) == (
        Status.PENDING_CUSTOMER,
        "notify_pending",
        LATER,
    )
    session.rollback()
    [action] = sweep(session, desk, TICKET, nothing, now=MONDAY + 14 * DAY)
    ticket = session.get_one(Ticket, number)
    assert (ticket.stage, ticket.visit, ticket.since, ticket.last_timer, ticket.owner, ticket.title) == (
        Status.CLOSED,
        4,
        MONDAY + 14 * DAY,
        None,
        "mira",
        "It hums",
    )


def test_a_mapped_class_its_alias_its_table_and_its_columns_say_the_same(session: Session) -> None:
    desk = desk_of()
    session.add(Plain(**values(Plain, case_in(ASKED, id="7"))))
    session.flush()
    other = aliased(Plain)
    for columns in (Plain, Plain.__table__, Plain.__table__.c):
        assert session.scalars(sa.select(Plain.id).where(due_where(desk, columns))).all() == [7]
    assert session.scalars(sa.select(other.id).where(due_where(desk, other))).all() == [7]
    assert session.scalars(sa.select(Plain).where(~due_where(desk, Plain))).all() == []


def test_a_case_is_read_after_what_the_session_has_not_written_yet(session: Session) -> None:
    session.add(Plain(**values(Plain, case_in(ASKED, id="7"))))
    case = load(session, Plain, "7")
    assert case == case_in(ASKED, id="7")


def test_an_id_of_no_row_is_no_case(session: Session) -> None:
    assert load(session, Plain, 8) is None


def test_an_enum_without_a_status_of_the_policy_is_refused() -> None:
    with pytest.raises(
        CaseDataError, match=r"status: the column's Enum has no member with the value 'pending'"
    ):
        due_where(desk_of(), TICKET)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, r"4 problems.*\n  - status: no such column"),
        ({"stats": sa.column("status")}, r"stats: unknown name; did you mean 'status'\?"),
        ({"status": "status"}, r"status: must be a column, not 'status'"),
        (object(), r"must be a mapped class, a Table, or a mapping from names to columns"),
        (
            table_of(sa.String),
            r"entered_at: must be a DateTime or an Integer of microseconds since 1970, not String",
        ),
        (table_of(without=["settled"]), r"settled: no such column; did you mean 'settled_at'\?"),
    ],
)
def test_columns_that_cannot_be_are_refused_with_all_that_is_wrong(columns: Any, message: str) -> None:  # noqa: ANN401 - whatever it is
    for ask in (due_where, rejects_where):
        with pytest.raises(CaseDataError, match=message):
            ask(desk_of(), columns)


def test_a_policy_with_a_notice_needs_to_know_when_a_timer_was_settled() -> None:
    table = table_of(without=["settled_at"])
    due_where(desk_of(), table)
    with pytest.raises(CaseDataError, match="settled_at: no such column"):
        due_where(desk_of({"timers": {"close_pending": {"notice": {"days": 7}}}}), table)


def test_a_naive_now_is_refused() -> None:
    with pytest.raises(NaiveTimeError, match="now"):
        due_where(desk_of(), table_of(), now=datetime(2026, 3, 2))  # noqa: DTZ001 - that is the point


# --- one case --------------------------------------------------------------------------


@pytest.mark.parametrize("instants", [sa.DateTime, sa.DateTime(timezone=True), sa.BigInteger])
@given(data=st.data())
def test_a_case_comes_back_as_it_was_but_for_its_history(instants: Any, data: st.DataObject) -> None:  # noqa: ANN401 - a type
    case = data.draw(strategies.histories(data.draw(strategies.policies())))
    table = table_of(instants)
    with database(table, [case]) as engine, engine.connect() as connection:
        found = load(connection, table, case.id, lock=True)
    assert found == attrs.evolve(case, history=(), clones=())
    assert found.changed_at == case.changed_at


def test_what_is_stored_is_what_has_changed() -> None:
    desk, table = desk_of(), table_of()
    with database(table, [case_in(ASKED)]) as engine:
        with engine.begin() as connection:
            before = load(connection, table, "C-1042")
            assert before is not None
            after = desk.apply(before, "comment", by="customer", at=LATER)
            store(connection, table, before, after, revision=1)
        row = rows(engine, table)["C-1042"]
    assert (row["status"], row["sub_status"], row["stay"]) == ("update_received", None, 2)
    assert (row["entered_at"], row["changed_at"]) == (LATER.replace(tzinfo=None),) * 2
    assert (row["previous"], row["revision"]) == (ASKED, 2)


@pytest.mark.parametrize(
    "rival",
    [
        {"status": "closed", "sub_status": None},
        {"sub_status": "development"},
        {"settled": "remind_customer"},
        {"stay": 2},
        {"assignee": "noor"},
        {"previous": "new"},
        {"policy": "sub-status-2"},
        {"changed_at": (MONDAY + TICK).replace(tzinfo=None)},
        {"case_id": "C-1"},
    ],
)
def test_a_case_that_somebody_else_has_changed_is_not_stored(rival: Mapping[str, Any]) -> None:
    desk, table = desk_of(), table_of()
    with database(table, [case_in(ASKED)]) as engine:
        with engine.begin() as connection:
            before = load(connection, table, "C-1042")
            assert before is not None
            connection.execute(sa.update(table).values(**rival))
        stored = rows(engine, table)
        with engine.begin() as connection, pytest.raises(CaseChanged, match="read it again"):
            store(connection, table, before, desk.apply(before, "comment", by="customer", at=LATER))
        assert rows(engine, table) == stored


def test_a_revision_that_is_not_the_present_one_is_not_stored_over() -> None:
    desk, table = desk_of(), table_of()
    before = case_in(ASKED)
    after = desk.apply(before, "note", by="agent", at=LATER)
    with database(table, [before]) as engine:
        with engine.begin() as connection:
            store(connection, table, before, after, revision=1)
        with engine.begin() as connection, pytest.raises(CaseChanged):
            store(connection, table, after, desk.apply(after, "note", by="agent", at=LATER), revision=1)
        with engine.connect() as connection:
            assert load(connection, table, "C-1042", revision=2) == attrs.evolve(after, history=())
            with pytest.raises(CaseChanged, match="C-1042"):
                load(connection, table, "C-1042", revision=1)
        assert rows(engine, table)["C-1042"]["revision"] == 2


def test_without_a_revision_column_there_is_no_revision_to_compare() -> None:
    table = table_of(without=["revision"])
    with database(table, [case_in(ASKED)]) as engine, engine.connect() as connection:
        with pytest.raises(CaseDataError, match="revision: no such column"):
            load(connection, table, "C-1042", revision=1)
        with pytest.raises(CaseDataError, match="revision: no such column"):
            store(connection, table, case_in(ASKED), case_in(ASKED), revision=1)


def test_a_case_that_is_brought_under_another_policy_is_stored_under_it() -> None:
    old, new = desk_of(), Workflow(load_policy({**policies.SUB_STATUS.to_dict(), "name": "two"}))
    table = table_of()
    with database(table, [case_in(ASKED, policy="sub-status")]) as engine, engine.begin() as connection:
        before = load(connection, table, "C-1042")
        assert before is not None
        store(connection, table, before, old.migrate(before, new, at=LATER))
        moved = load(connection, table, "C-1042")
    assert moved is not None
    assert moved.policy == "two"


def test_text_that_means_the_same_instant_is_the_same_case() -> None:
    """Another program may have written the instant without its microseconds."""
    desk, table = desk_of(), table_of(without=["stay", "revision"])
    midnight = MONDAY.replace(hour=0, minute=0, second=0, microsecond=0)
    with database(table, [case_in(ASKED, midnight)]) as engine:
        with engine.begin() as connection:
            connection.execute(
                sa.text("UPDATE cases SET entered_at = '2026-03-02 00:00:00', changed_at = NULL")
            )
        with engine.connect() as connection:
            assert len(sweep(connection, desk, table, nothing)) == 1


# --- the sweep ---------------------------------------------------------------------------


@given(given_cases=policy_and_cases(), now=strategies.instants())
def test_a_sweep_does_what_settling_every_due_action_does(
    given_cases: tuple[Policy, list[Case]], now: datetime
) -> None:
    policy, cases = given_cases
    desk, table = Workflow(policy), table_of()
    seen: list[tuple[Case, Action]] = []
    with database(table, cases) as engine, engine.connect() as connection:
        done = sweep(connection, desk, table, lambda case, action: seen.append((case, action)), now=now)
        kept = {case.id: load(connection, table, case.id) for case in cases}
    expected = {case.id: case for case in cases}
    for action in desk.due(cases, now=now):
        case = expected[action.case_id]
        expected[case.id] = desk.settle(case, action, at=max(now, case.changed_at))
    assert sorted(done, key=lambda action: action.case_id) == list(desk.due(cases, now=now))
    assert [action for _, action in seen] == done
    assert {case.id: case for case, _ in seen} == {
        action.case_id: expected[action.case_id] for action in done
    }
    assert kept == {case.id: attrs.evolve(case, history=()) for case in expected.values()}


def test_the_oldest_come_first_and_no_more_than_the_limit() -> None:
    desk, table = desk_of(), table_of()
    cases = numbered(case_in(ASKED, MONDAY - days * DAY) for days in (3, 5, 4, 5, 1))
    with database(table, cases) as engine, engine.connect() as connection:
        assert [action.case_id for action in sweep(connection, desk, table, nothing, limit=3)] == [
            "C-0001",
            "C-0003",
            "C-0002",
        ]
        assert [action.case_id for action in sweep(connection, desk, table, nothing, limit=3)] == [
            "C-0000",
            "C-0004",
        ]
        assert sweep(connection, desk, table, nothing) == []


def test_a_case_that_fails_is_undone_and_does_not_keep_the_others_waiting() -> None:
    desk, table = desk_of(), table_of()
    cases = numbered(case_in(ASKED, MONDAY - days * DAY) for days in (3, 2, 1))
    failed: list[tuple[object, str]] = []

    def act(_: Case, action: Action) -> None:
        if action.case_id == "C-0000":
            raise RuntimeError("the printer is on fire")

    with database(table, cases) as engine:
        with engine.connect() as connection:
            done = sweep(
                connection,
                desk,
                table,
                act,
                limit=1,
                on_error=lambda case_id, error: failed.append((case_id, str(error))),
            )
        kept = rows(engine, table)
        assert [action.case_id for action in done] == ["C-0001"]
        assert failed == [("C-0000", "the printer is on fire")]
        assert [kept[case.id]["settled"] for case in cases] == [None, "remind_customer", None]
        with engine.connect() as connection:
            with pytest.raises(RuntimeError, match="on fire"):
                sweep(connection, desk, table, act)
            assert not connection.in_transaction()


def test_what_the_caller_writes_is_committed_with_the_case_or_not_at_all() -> None:
    desk, table = desk_of(), table_of()
    outbox = sa.Table("outbox", table.metadata, sa.Column("key", sa.String, primary_key=True))
    with database(table, numbered([case_in(ASKED), case_in(ASKED)])) as engine, Session(engine) as session:
        session.execute(sa.insert(outbox).values(key="C-0000:1:remind_customer"))
        session.commit()

        def act(_: Case, action: Action) -> None:
            session.execute(sa.insert(outbox).values(key=action.key))

        failed: list[object] = []
        done = sweep(session, desk, table, act, on_error=lambda case_id, _: failed.append(case_id))
        keys = session.scalars(sa.select(outbox.c.key)).all()
        session.rollback()
    assert failed == ["C-0000"]
    assert [action.key for action in done] == ["C-0001:1:remind_customer"]
    assert keys == ["C-0000:1:remind_customer", "C-0001:1:remind_customer"]


def test_a_row_that_is_no_case_is_said_and_left_alone() -> None:
    desk, table = desk_of(), table_of()
    with database(table, [case_in(ASKED)]) as engine:
        with engine.begin() as connection:
            connection.execute(sa.update(table).values(stay=0))
        with (
            engine.connect() as connection,
            pytest.raises(CaseDataError, match=r"case 'C-1042': stay: must be"),
        ):
            sweep(connection, desk, table, nothing)
        assert rows(engine, table)["C-1042"]["settled"] is None


@pytest.mark.parametrize("rival", [{"status": "in_progress", "sub_status": None}, {"case_id": "C-1"}])
def test_a_reply_that_comes_after_the_candidates_were_read_wins(rival: Mapping[str, Any]) -> None:
    desk, table = desk_of(), table_of()
    acted: list[Action] = []
    cases = numbered(case_in(ASKED, MONDAY - days * DAY) for days in (2, 1))

    def act(_: Case, action: Action) -> None:
        acted.append(action)
        connection.execute(sa.update(table).where(table.c.case_id == "C-0001").values(**rival))

    with database(table, cases) as engine, engine.connect() as connection:
        assert sweep(connection, desk, table, act) == acted
    assert [action.case_id for action in acted] == ["C-0000"]


def test_a_reply_that_comes_after_the_row_was_read_wins(tmp_path: Path) -> None:
    """Where the database has no locks, the row is stored only if it is still as it was."""
    desk, table = desk_of(), table_of()
    acted: list[Action] = []
    with database(table, [case_in(ASKED)], url=f"sqlite:///{tmp_path / 'desk.db'}") as engine:

        @sa.event.listens_for(engine, "before_cursor_execute")
        def reply(_: object, __: object, statement: str, *___: object) -> None:
            if statement.startswith("UPDATE cases SET"):
                with closing(sqlite3.connect(tmp_path / "desk.db")) as rival, rival:
                    rival.execute("UPDATE cases SET revision = 2")

        with engine.connect() as connection:
            assert sweep(connection, desk, table, lambda _, action: acted.append(action)) == []
        sa.event.remove(engine, "before_cursor_execute", reply)
        assert rows(engine, table)["C-1042"]["settled"] is None
    assert acted == []


def test_a_case_that_knows_a_later_instant_is_settled_at_that_one() -> None:
    desk, table = desk_of(), table_of()
    seconds = timedelta(seconds=3)
    with database(table, [case_in(ASKED)]) as engine:
        with engine.begin() as connection:
            connection.execute(sa.update(table).values(changed_at=(LATER + seconds).replace(tzinfo=None)))
        with engine.connect() as connection:
            sweep(connection, desk, table, nothing)
        assert rows(engine, table)["C-1042"]["settled_at"] == (LATER + seconds).replace(tzinfo=None)


def test_a_sweep_refuses_a_transaction_that_is_under_way_and_a_limit_that_is_none() -> None:
    desk, table = desk_of(), table_of()
    with database(table) as engine, engine.begin() as connection:
        for limit in (0, True, "1"):
            with pytest.raises(
                CaseDataError, match=r"limit: must be a whole number[^$]*transaction under way"
            ):
                sweep(connection, desk, table, nothing, limit=limit)  # type: ignore[arg-type]  # that is the point


def test_a_connection_that_is_lost_stops_the_sweep_and_says_what_was_settled() -> None:
    desk, table = desk_of(), table_of()
    failed: list[object] = []

    def act(_: Case, action: Action) -> None:
        if action.case_id == "C-0001":
            connection.connection.dbapi_connection.close()  # type: ignore[union-attr]  # it is there
            connection.execute(sa.select(1))

    cases = numbered(case_in(ASKED, MONDAY - days * DAY) for days in (3, 2, 1))
    with database(table, cases) as engine, engine.connect() as connection:
        with pytest.raises(
            SweepStopped, match=r"lost at case 'C-0001', after 1 cases had been settled"
        ) as stopped:
            sweep(connection, desk, table, act, on_error=lambda *error: failed.append(error))
        assert [action.case_id for action in stopped.value.settled] == ["C-0000"]
        assert failed == []
        assert isinstance(stopped.value, CasestateError)


# --- what must never be silent ----------------------------------------------------


def test_a_row_that_the_database_cannot_find_again_is_an_error_and_keeps_nobody_waiting() -> None:
    """Instants in another format, in a table that counts no stays: nothing else would ever say so."""
    desk, table = desk_of(), table_of(without=["stay", "revision", "changed_at"])
    cases = numbered(case_in(ASKED, MONDAY - days * DAY) for days in (2, 1))
    failed: list[str] = []
    with database(table, cases) as engine:
        with engine.begin() as connection:
            connection.execute(
                sa.text("UPDATE cases SET entered_at = '2026-02-01T09:00:00' WHERE case_id = 'C-0000'")
            )
        with engine.connect() as connection:
            done = sweep(
                connection, desk, table, nothing, limit=1, on_error=lambda _, error: failed.append(str(error))
            )
    assert [action.case_id for action in done] == ["C-0001"]
    assert failed == [
        "case 'C-0000': columns: the database does not find the row by what it has just read from it"
    ]


def test_where_stays_are_counted_instants_may_be_written_in_any_format() -> None:
    desk, table = desk_of(), table_of(without=["changed_at"])
    with database(table, [case_in(ASKED)]) as engine:
        with engine.begin() as connection:
            connection.execute(
                sa.text("UPDATE cases SET entered_at = '2026-02-01T09:00:00', stay = NULL, revision = NULL")
            )
        assert ids(engine, table, rejects_where(desk, table)) == set()
        with engine.connect() as connection:
            assert [action.stay for action in sweep(connection, desk, table, nothing)] == [1]
        assert rows(engine, table)["C-1042"]["revision"] == 1


def test_an_instant_that_cannot_be_read_fails_its_own_case_only() -> None:
    desk, table = desk_of(), table_of()
    cases = numbered(case_in(ASKED, MONDAY - days * DAY) for days in (2, 1))
    failed: list[object] = []
    with database(table, cases) as engine:
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE cases SET entered_at = '' WHERE case_id = 'C-0000'"))
        with engine.connect() as connection:
            done = sweep(connection, desk, table, nothing, on_error=lambda case_id, _: failed.append(case_id))
    assert (failed, [action.case_id for action in done]) == (["C-0000"], ["C-0001"])


def test_where_everybody_in_front_fails_those_behind_come_all_the_same() -> None:
    desk, table = desk_of(), table_of()
    cases = numbered(case_in(ASKED, MONDAY - (9 - number) * DAY) for number in range(9))
    failed: list[object] = []

    def act(_: Case, action: Action) -> None:
        if action.case_id < "C-0005":
            raise LookupError(action.case_id)

    with database(table, cases) as engine, engine.connect() as connection:
        done = sweep(
            connection, desk, table, act, limit=2, on_error=lambda case_id, _: failed.append(case_id)
        )
    assert failed == [f"C-000{number}" for number in range(5)]
    assert [action.case_id for action in done] == ["C-0005", "C-0006"]


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
def test_an_act_that_ends_the_transaction_is_told_so(end: str) -> None:
    desk, table = desk_of(), table_of()
    with database(table, [case_in(ASKED)]) as engine, Session(engine) as session:
        with pytest.raises(CaseDataError, match=r"act: has ended the transaction[^$]*begin_nested\(\)"):
            sweep(session, desk, table, lambda *_: getattr(session, end)())
        settled = rows(engine, table)["C-1042"]["settled"]
        assert settled == ("remind_customer" if end == "commit" else None)


def test_an_act_may_have_savepoints_of_its_own() -> None:
    desk, table = desk_of(), table_of()
    with database(table, [case_in(ASKED)]) as engine, Session(engine) as mine:

        def act(_: Case, __: Action) -> None:
            nested = mine.begin_nested()
            mine.execute(sa.update(table).values(assignee="nobody"))
            nested.rollback()

        assert len(sweep(mine, desk, table, act)) == 1
        mine.rollback()
        assert rows(engine, table)["C-1042"]["assignee"] is None


def test_a_case_that_changed_in_the_hands_of_act_is_an_error_of_act() -> None:
    desk, table = desk_of(), table_of()
    failed: list[Exception] = []

    def act(case: Case, _: Action) -> None:
        raise CaseChanged(case.id)

    with database(table, [case_in(ASKED)]) as engine, engine.connect() as connection:
        sweep(connection, desk, table, act, on_error=lambda _, error: failed.append(error))
    assert [type(error) for error in failed] == [CaseChanged]


@pytest.mark.parametrize("how", ["engine", "options"])
@pytest.mark.parametrize("make", [sa.Engine.connect, Session])
def test_a_session_that_commits_each_statement_is_refused(
    how: str, make: Callable[[sa.Engine], sa.Connection | Session]
) -> None:
    desk, table = desk_of(), table_of()
    options = {"isolation_level": "AUTOCOMMIT"}
    with database(table, [case_in(ASKED)], **(options if how == "engine" else {})) as engine:
        with make(engine.execution_options(**({} if how == "engine" else options))) as session:
            with pytest.raises(CaseDataError, match="session: commits each statement by itself"):
                sweep(session, desk, table, nothing)
            assert not session.in_transaction()
        assert rows(engine, table)["C-1042"]["settled"] is None


def test_a_session_within_a_transaction_is_refused_unless_it_keeps_to_savepoints() -> None:
    desk, table = desk_of(), table_of()
    with database(table, [case_in(ASKED)]) as engine, engine.connect() as outer:
        transaction = outer.begin()
        with (
            Session(outer) as session,
            pytest.raises(CaseDataError, match="session: has a transaction under way"),
        ):
            sweep(session, desk, table, nothing)
        with Session(outer, join_transaction_mode="create_savepoint") as session:
            assert len(sweep(session, desk, table, nothing)) == 1
        transaction.rollback()
        assert rows(engine, table)["C-1042"]["settled"] is None


def test_whoever_was_overtaken_by_another_transaction_comes_next_time() -> None:
    desk, table = desk_of(), table_of()

    class SerializationError(Exception):
        sqlstate = "40001"

    def act(_: Case, __: Action) -> None:
        raise sa.exc.OperationalError("COMMIT", {}, SerializationError())

    with database(table, [case_in(ASKED)]) as engine, engine.connect() as connection:
        assert sweep(connection, desk, table, act) == []
        assert len(sweep(connection, desk, table, nothing)) == 1


def test_what_on_error_writes_with_the_same_session_is_not_kept_by_chance() -> None:
    desk, table = desk_of(), table_of()

    def act(_: Case, action: Action) -> None:
        if action.case_id == "C-0000":
            raise LookupError

    def on_error(*_: object) -> None:
        connection.execute(sa.update(table).values(assignee="somebody"))

    cases = numbered(case_in(ASKED, MONDAY - days * DAY) for days in (2, 1))
    with database(table, cases) as engine:
        with engine.connect() as connection:
            sweep(connection, desk, table, act, on_error=on_error)
        assert {row["assignee"] for row in rows(engine, table).values()} == {None}


# --- tables of other shapes -----------------------------------------------------------


def test_columns_that_cannot_be_written_to_are_good_for_asking_only() -> None:
    desk, table = desk_of(), table_of()
    expression: sa.ColumnElement[Any]
    for expression in (table.c.status.label("status"), sa.func.lower(table.c.status), sa.column("status")):
        columns: dict[str, sa.ColumnElement[Any]] = {**table.c, "status": expression}
        with database(table, [case_in(ASKED)]) as engine, engine.connect() as connection:
            assert ids(engine, table, due_where(desk, {**columns, "status": table.c.status})) == {"C-1042"}
            with pytest.raises(CaseDataError, match="status: must be a column of a table, to be written to"):
                sweep(connection, desk, columns, nothing)


def test_cases_are_written_to_one_table_under_ids_that_are_text_or_numbers() -> None:
    table, other = table_of(), sa.Table("people", sa.MetaData(), sa.Column("assignee", sa.String))
    with pytest.raises(CaseDataError, match="must be of one table, not of cases and people"):
        values({**table.c, "assignee": other.c.assignee}, case_in(ASKED))
    binary = sa.Table("binary", sa.MetaData(), sa.Column("id", sa.LargeBinary))
    with pytest.raises(CaseDataError, match=r"case_id: must be text, an Integer or a Uuid, not LargeBinary"):
        values({**table.c, "case_id": binary.c.id}, case_in(ASKED))


def test_what_has_no_column_is_not_lost_in_silence() -> None:
    table = table_of()
    with pytest.raises(
        CaseDataError, match=r"sub_status: there is no column for it, only null\(\): 'customer_input'"
    ):
        values({**table.c, "sub_status": sa.null()}, case_in(ASKED))
    with pytest.raises(CaseDataError, match="settled_at: no such column"):
        values(table_of(without=["settled_at"]), case_in(ASKED))


def test_ids_of_people_and_of_other_cases_may_be_numbers_too() -> None:
    numbers = sa.Table(
        "numbers", sa.MetaData(), *(sa.Column(name, sa.Integer) for name in ("no", "owner", "origin"))
    )
    texts = table_of()
    columns = {
        **{name: texts.c[name] for name in ("status", "sub_status", "settled", "entered_at", "settled_at")}
    }
    table = sa.Table(
        "mixed",
        sa.MetaData(),
        *(sa.Column(column.name, column.type) for column in columns.values()),
        *(sa.Column(column.name, column.type) for column in numbers.c),
    )
    mapping = {
        **{name: table.c[name] for name in columns},
        "case_id": table.c.no,
        "assignee": table.c.owner,
        "cloned_from": table.c.origin,
    }
    case = case_in(ASKED, id="7", assignee="12", cloned_from="3")
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    table.create(engine)
    with engine.connect() as connection:
        connection.execute(sa.insert(table).values(**values(mapping, case)))
        assert load(connection, mapping, "7") == case
        assert load(connection, mapping, "C-7") is None
        with pytest.raises(CaseDataError, match=r"assignee: the column holds Integer\(\), not 'mira'"):
            values(mapping, attrs.evolve(case, assignee="mira"))
        connection.execute(sa.insert(table).values(**values(mapping, case)))
        with pytest.raises(CaseDataError, match="case '7': case_id: stands in 2 rows"):
            load(connection, mapping, "7")
    engine.dispose()


def test_objects_that_the_session_knows_are_read_again_after_they_were_written_past(session: Session) -> None:
    session.add(Plain(**values(Plain, case_in(ASKED, id="7"))))
    session.commit()
    known = session.get_one(Plain, 7)
    assert known.status == "pending"
    for columns in (Plain, {name: getattr(Plain, name) for name in NAMES}):
        before = load(session, columns, 7)
        assert before is not None
        store(
            session,
            columns,
            before,
            desk_of().apply(before, "start" if columns is Plain else "close", by="agent"),
        )
        assert known.status == ("in_progress" if columns is Plain else "closed")


NAMES = ("id", "status", "sub_status", "entered_at", "settled", "settled_at")


def test_one_case_is_not_stored_over_another() -> None:
    table = table_of()
    with (
        database(table, [case_in(ASKED)]) as engine,
        engine.connect() as connection,
        pytest.raises(CaseDataError, match="after: is another case: 'C-1'"),
    ):
        store(connection, table, case_in(ASKED), case_in(ASKED, id="C-1"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workflow": policies.SUB_STATUS}, "workflow: must be a Workflow, not Policy"),
        ({"session": "sqlite://"}, "session: must be a Session or a Connection, not 'sqlite://'"),
        ({"act": None}, "act: must be something to call with a case and an action, not None"),
    ],
)
def test_what_is_no_argument_of_a_sweep_is_refused(wrong: Mapping[str, Any], message: str) -> None:
    table = table_of()
    with database(table) as engine, engine.connect() as connection:
        given = {"session": connection, "workflow": desk_of(), "columns": table, "act": nothing, **wrong}
        with pytest.raises(CasestateError, match=message):
            sweep(**given)


def test_the_errors_of_the_room_survive_pickling() -> None:
    action = next(desk_of().due([case_in(ASKED)]))
    for error in (CaseChanged("C-1"), SweepStopped([action], "C-1")):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_another_trouble_of_the_database_is_raised_as_it_is() -> None:
    desk, table = desk_of(), table_of()
    with (
        database(table) as engine,
        engine.connect() as connection,
        pytest.raises(sa.exc.OperationalError, match="no such table"),
    ):
        sweep(connection, desk, table.to_metadata(sa.MetaData(), name="nowhere"), nothing)
