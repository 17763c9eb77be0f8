"""The tables: cases, what happened to them, and the letters that are to go out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Engine,
    ForeignKey,
    Index,
    String,
    Text,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from casestate import Case


ONE_AT_A_TIME = 5_278_000
"""The lock of whoever makes the tables: a number that nobody else uses."""


class Instant(TypeDecorator[datetime]):
    """An instant, aware and in UTC whatever the database makes of it: SQLite drops the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - as it is called
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - likewise
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The desk's tables."""

    type_annotation_map = {datetime: Instant, str: String(200)}  # noqa: RUF012 - as SQLAlchemy wants it


class CaseRow(Base):
    """Where a case stands, in the words of casestate, and what the customer has said it is about."""

    __tablename__ = "cases"
    __table_args__ = (Index("sweep", "status", "sub_status", "settled", "entered_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    policy: Mapped[str]
    status: Mapped[str]
    sub_status: Mapped[str | None]
    entered_at: Mapped[datetime]
    stay: Mapped[int]
    previous: Mapped[str | None]
    assignee: Mapped[str | None]
    settled: Mapped[str | None]
    settled_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    cloned_from: Mapped[str | None] = mapped_column(ForeignKey("cases.id"), index=True)
    revision: Mapped[int]

    email: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str]
    text: Mapped[str] = mapped_column(Text)

    history: Mapped[list[Entry]] = relationship(order_by="Entry.number", lazy="raise")
    clones: Mapped[list[CaseRow]] = relationship(order_by="CaseRow.opened_at", lazy="raise")

    def case(self, *, history: bool = False) -> Case:
        """The row as a `Case`, for pages; what is to be changed is loaded by `casestate.sql.load`."""
        names = ("id", "policy", "status", "sub_status", "entered_at", "stay", "previous", "assignee")
        more = ("settled", "settled_at", "opened_at", "cloned_from")
        fields: dict[str, object] = {name: getattr(self, name) for name in names + more}
        if history:
            fields["history"] = [entry.change() for entry in self.history]
            fields["clones"] = [clone.id for clone in self.clones]
        return Case.from_dict(fields)


class Entry(Base):
    """An entry of a case's history, and what was written with it. Entries are added, and nothing else."""

    __tablename__ = "history"

    number: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    at: Mapped[datetime]
    event: Mapped[str]
    by: Mapped[str]
    actor: Mapped[str | None]
    from_state: Mapped[str]
    to_state: Mapped[str]
    stay: Mapped[int]
    detail: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    text: Mapped[str | None] = mapped_column(Text)

    def change(self) -> dict[str, object]:
        """The entry as `Case.from_dict` reads it."""
        names = ("at", "event", "by", "actor", "from_state", "to_state", "stay", "detail")
        return {name: getattr(self, name) for name in names}


class Letter(Base):
    """A row of the outbox: written in the transaction that settles the action, under the action's key."""

    __tablename__ = "outbox"

    key: Mapped[str] = mapped_column(primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    timer: Mapped[str]
    recipient: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(300))
    text: Mapped[str] = mapped_column(Text)
    written_at: Mapped[datetime]
    sent_at: Mapped[datetime | None] = mapped_column(index=True)


class HistoryOnlyGrowsError(TypeError):
    """Somebody wanted to change or to delete what has happened."""


@event.listens_for(Entry, "before_update")
@event.listens_for(Entry, "before_delete")
def _refuse(mapper: object, connection: object, entry: Entry) -> None:  # noqa: ARG001 - as it is called
    raise HistoryOnlyGrowsError(f"entry {entry.number} of case {entry.case_id} stays as it is")


def connect(url: str, **options: Any) -> Engine:  # noqa: ANN401 - whatever create_engine takes
    """The database at ``url``, with its tables; SQLite is told to lock when a transaction begins.

    Otherwise two that have both read would both want to write, and one of them were refused at once
    instead of waiting. Transactions of ``engine.execution_options(reads_only=True)`` wait for nobody.
    """
    engine = create_engine(url, **options)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def connected(connection: Any, record: object) -> None:  # noqa: ANN401, ARG001 - the driver's own
            connection.isolation_level = None  # so that the driver begins nothing by itself
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")

        @event.listens_for(engine, "begin")
        def begun(connection: Any) -> None:  # noqa: ANN401 - a Connection
            reads_only = connection.get_execution_options().get("reads_only")
            connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # pages and sweeper may be started at once
            connection.execute(select(func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
        Base.metadata.create_all(connection)
    return engine
