"""The cutoffs as an SQL ``WHERE``, and the whole recipe of a sweep over a table, with SQLAlchemy.

The database compares and finds; it never adds a length to an instant. What it finds is
evaluated again by the `Workflow`, on the locked row, so there is one definition of due.

``columns`` says everywhere which column holds what: a mapped class or a `Table` whose columns
have the names below, a collection of such columns, or a mapping from these names to columns
of any name.

===============================  ==========================================================
``case_id`` (or ``id``)          text, a number or a UUID
``status, sub_status, settled``  what the cutoffs compare: text, or an `Enum` with these values
``entered_at, settled_at``       instants
``stay, previous, assignee``     these and ``policy``, ``opened_at`` and ``cloned_from`` are the
                                 other fields of a `Case`; they may be missing
``changed_at``                   the last instant the case knows of; may be missing
``revision``                     a number that every `store` counts up; may be missing
===============================  ==========================================================

An instant is a ``DateTime(timezone=True)``; a ``DateTime`` that holds UTC, bound without a zone
(a database would else read it in the zone of its session); or an `Integer` of microseconds
since 1970 (a plain ``Integer`` is too small for that in most databases). A `TypeDecorator` is given
aware datetimes and may return them. A table without sub-statuses says so in a mapping:
``"sub_status": null()``. Cases are written to one table; what is only asked may be any expression.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast


if find_spec("sqlalchemy") is None:
    raise ModuleNotFoundError(
        "casestate.sql needs SQLAlchemy: pip install 'casestate[sql]'", name="sqlalchemy"
    )

import sqlalchemy as sa

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapper, QueryableAttribute, Session
from sqlalchemy.orm.util import AliasedInsp

from casestate.case import Case
from casestate.clock import from_micros, instant, to_micros
from casestate.errors import (
    CaseDataError,
    CasestateError,
    Problem,
    key_text,
    nearest,
    one_of,
    shown,
)
from casestate.workflow import expect_workflow


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import ColumnElement, Connection

    from casestate.case import Action
    from casestate.workflow import Workflow

__all__ = [
    "CaseChanged",
    "SweepStopped",
    "due_where",
    "load",
    "rejects_where",
    "store",
    "sweep",
    "values",
]

Columns: TypeAlias = (
    "type[Any] | sa.FromClause | sa.ColumnCollection[Any, Any] | Mapping[str, sa.SQLColumnExpression[Any]]"
)
"""What says which column holds what: see the module."""

_INSTANTS: Final = ("entered_at", "settled_at", "opened_at", "changed_at")
_FIELDS: Final = (
    "case_id",
    "status",
    "sub_status",
    "entered_at",
    "stay",
    "settled",
    "settled_at",
    "previous",
    "assignee",
    "policy",
    "opened_at",
    "cloned_from",
)
"""The fields of a case that a column can hold."""
_NAMES: Final = (*_FIELDS, "changed_at", "revision")
_NEEDED: Final = ("status", "sub_status", "settled", "entered_at")
"""The advised index, in this order."""
_HOLD_INSTANTS: Final = (sa.DateTime, sa.Integer, sa.types.TypeDecorator)
_HOLD_IDS: Final = (sa.String, sa.Integer, sa.Uuid, sa.types.TypeDecorator)
_PEOPLE: Final = ("case_id", "assignee", "cloned_from")
"""What is text to a case, and may be a number or a UUID in a table."""
_FIXED: Final = ("case_id", "opened_at", "cloned_from")
"""What stays as it is when a case changes."""
_GUARDED: Final = ("status", "sub_status", "stay", "settled", "previous", "assignee", "policy")
"""What has to be as it was where a case is stored."""
_ENTITIES: Final[Any] = (Mapper, AliasedInsp)
_ATTRIBUTE: Final[Any] = QueryableAttribute
_ID: Final = "casestate_id"
_WAS: Final = "casestate_was_"
_BECOMES: Final = "casestate_becomes_"
"""How values are called in statements: as no column is, where SQLAlchemy would take them for new values."""
_OVERTAKEN: Final = ("40001", "40P01")
"""What databases call it when two transactions were at the same rows: serialization failure, deadlock."""


class CaseChanged(CasestateError, ValueError):
    """A case was to be stored, and is not any more what it was when it was read: somebody else was faster."""

    def __init__(self, case_id: str) -> None:
        super().__init__(case_id)
        self.case_id = case_id

    def __str__(self) -> str:
        return f"case {self.case_id!r} has changed since it was read: read it again and decide anew"


class SweepStopped(CasestateError, ConnectionError):
    """The connection to the database was lost in the middle of a sweep.

    What had been settled is committed. The next sweep finds the rest.
    """

    def __init__(self, settled: Iterable[Action], case_id: object) -> None:
        self.settled = tuple(settled)
        """The actions that had been settled."""
        self.case_id = case_id
        """The case that it was about; whether its transaction was still committed, nobody knows."""
        super().__init__(case_id)

    def __reduce__(self) -> tuple[type[SweepStopped], tuple[tuple[Action, ...], object]]:
        return (SweepStopped, (self.settled, self.case_id))

    def __str__(self) -> str:
        place = "before the first case" if self.case_id is None else f"at case {self.case_id!r}"
        return (
            f"the connection was lost {place}, after {len(self.settled)} cases had been "
            "settled; nothing is half done: sweep again"
        )


# --- what to ask --------------------------------------------------------------


def due_where(workflow: Workflow, columns: Columns, *, now: datetime | None = None) -> ColumnElement[bool]:
    """The predicate of the rows for which something is due at ``now``; left out, the clock is asked.

    It is exact, and every branch of it is three equalities and a range: the index
    ``(status, sub_status, settled, entered_at)`` finds what is due at the price of what is due.
    Where a ``policy`` column is given, only rows of this policy (or of none) are meant.

    Raises `CaseDataError` with every column that is missing or of a type that holds no such
    thing, `NaiveTimeError` or `InstantError`.
    """
    expect_workflow(workflow, "sql")
    needed = (*_NEEDED, "settled_at") if _has_notice(workflow) else _NEEDED
    return _Columns(columns, needed).due(workflow, now)


def rejects_where(workflow: Workflow, columns: Columns) -> ColumnElement[bool]:
    """The predicate of the rows whose state, settled timer, stay or instants the workflow refuses.

    No sweep finds a row whose state or settled timer the policy does not know, after a typing
    error or a policy that has lost a state. Ask for them once a day, and after a policy has
    changed: that reads the whole table. Rows of a policy that nobody runs are nobody's: look for
    them by ``policy NOT IN``.

    Raises `CaseDataError` as `due_where` does.
    """
    expect_workflow(workflow, "sql")
    return _Columns(columns, _NEEDED).rejects(workflow)


# --- one case -----------------------------------------------------------------


def values(columns: Columns, case: Case) -> dict[str, Any]:
    """A case as the values of a new row, by the keys of its columns (a mapped class: its attributes).

    So ``Ticket(title=title, **values(Ticket, case))`` and ``insert(table).values(**values(table.c, case))``
    begin a case. Its ``revision`` is 1.

    Raises `CaseDataError` for columns as `due_where` does.
    """
    found = _Columns.of_table(columns)
    row = found.row(case)
    if "revision" in found.keys:
        row["revision"] = 1
    return {found.keys[name]: value for name, value in row.items()}


def load(
    session: Session | Connection,
    columns: Columns,
    case_id: object,
    *,
    lock: bool = False,
    skip_locked: bool = False,
    revision: int | None = None,
) -> Case | None:
    """The case with this id, without its history and its clones; none if there is none.

    With ``lock`` the row stays locked until the transaction ends, where the database can;
    with ``skip_locked`` a row that somebody else has locked counts as none. ``revision`` is the
    one that whoever decides has seen.

    Raises `CaseChanged` if the row is at another revision, `CaseDataError` for a row that is no
    case, and for columns as `due_where` does.
    """
    found = _Columns.of_table(columns, revision)
    row = found.read(session, case_id, lock=lock or skip_locked, skip_locked=skip_locked)
    if row is None:
        return None
    if revision not in (None, row.get("revision")):
        raise CaseChanged(str(case_id))
    return found.case(row)


def store(
    session: Session | Connection,
    columns: Columns,
    before: Case,
    after: Case,
    *,
    revision: int | None = None,
) -> None:
    """Write ``after`` where ``before`` was loaded from, in the transaction that is under way.

    The row must still be as it was: in the same state and stay, with the same settled timer,
    previous state, assignee and policy, at this ``revision``, if one is given (the one that whoever
    decided has seen), and without a later ``changed_at``. The history is yours to store:
    ``after.history`` has the new entries.

    Raises `CaseChanged` if somebody else was faster (load the case again and decide anew),
    `CaseDataError` for a value that has no column, another case, and columns as `due_where` does.
    """
    _Columns.of_table(columns, revision).store(session, before, after, revision)


# --- the sweep ----------------------------------------------------------------


def sweep(
    session: Session | Connection,
    workflow: Workflow,
    columns: Columns,
    act: Callable[[Case, Action], object],
    *,
    now: datetime | None = None,
    limit: int | None = None,
    on_error: Callable[[object, Exception], object] | None = None,
) -> list[Action]:
    """Act on everything that is due at ``now`` and settle it, oldest first, each case in its own transaction.

    For each candidate the row is locked (one that somebody else has locked is left to them),
    its action is evaluated again and settled, the row is stored, and ``act(case, action)`` is
    called within the same transaction: ``case`` is the settled one, ``case.history[-1]`` the entry
    to store, ``action.key`` the idempotency key of what is sent. Then it is committed. Where a
    database has no such lock, the row is stored only if it is still as it was read. So several
    sweeps may run at once, a reply always wins, and a crash undoes one case, which the next
    sweep finds again.

    At most ``limit`` cases are settled. If a row is no case, or ``act`` raises, that case is
    rolled back and the error raised; with ``on_error(case_id, error)`` the sweep goes on. What
    ``on_error`` writes with this session is rolled back as well.

    Returns the actions that were settled. Raises `CaseDataError` for columns, a ``limit`` or a
    session that cannot be, `NaiveTimeError` or `InstantError` for ``now``; `SweepStopped` if the
    connection is lost, with what had been settled.
    """
    found = _Columns.of_table(columns)
    expect_workflow(workflow, "sql")
    _check_sweep(session, act, limit)
    moment = instant(workflow.clock() if now is None else now, "now")
    settled: list[Action] = []
    case_id: object = None
    try:
        for case_id in found.candidates(session, workflow, moment, limit):
            try:
                action = found.carry_out(session, workflow, case_id, moment, act)
                session.commit()
            except Exception as error:
                session.rollback()
                if _is_overtaken(error):  # the next sweep finds whatever it is now
                    continue
                if on_error is None or found.is_lost(session, error):
                    raise
                on_error(case_id, error)
                session.rollback()
            else:
                settled += [action] if action else []
            if len(settled) == limit:
                break
    except DBAPIError as error:
        if not found.is_lost(session, error):
            raise
        raise SweepStopped(settled, case_id) from error
    finally:
        session.rollback()
    return settled


def _check_sweep(session: Session | Connection, act: object, limit: object) -> None:
    problems: list[Problem] = []
    if not callable(act):
        problems.append(
            Problem("act", f"must be something to call with a case and an action, not {shown(act)}")
        )
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        problems.append(Problem("limit", f"must be a whole number from 1 on, not {shown(limit)}"))
    if not isinstance(session, (sa.Connection, Session)):
        message = f"must be a Session or a Connection, not {shown(session)}; an AsyncSession has run_sync"
        problems.append(Problem("session", message))
    elif session.in_transaction() or _is_within(session):
        message = "has a transaction under way; a sweep commits case by case: give it one that has none"
        problems.append(Problem("session", message))
    if problems:
        raise CaseDataError("sweep", problems)


def _is_within(session: Session | Connection) -> bool:
    """Whether what the session commits and rolls back is part of a transaction around it."""
    if isinstance(session, sa.Connection) or session.join_transaction_mode == "create_savepoint":
        return False
    return isinstance(session.bind, sa.Connection) and session.bind.in_transaction()


def _is_overtaken(error: Exception) -> bool:
    """Whether somebody else's transaction was at the same rows, and was faster."""
    orig: Any = getattr(error, "orig", None)
    return getattr(orig, "sqlstate", getattr(orig, "pgcode", None)) in _OVERTAKEN


def _has_notice(workflow: Workflow) -> bool:
    return any(timer.notice is not None for timer in workflow.policy.timers.values())


class _Columns:
    """The caller's columns by the design's names, and how values go into them and come back."""

    def __init__(self, columns: Columns, needed: Iterable[str], *, of_table: bool = False) -> None:
        """Find them. Raises `CaseDataError` with all that is missing or of another type."""
        given, keys, self.mapper = _given(columns)
        if "case_id" not in given and "id" in given:
            given["case_id"], keys["case_id"] = given["id"], keys["id"]
        self.by_name: dict[str, ColumnElement[Any]] = {name: given[name] for name in _NAMES if name in given}
        self.keys: dict[str, str] = {
            name: keys[name] for name, column in self.by_name.items() if isinstance(column, sa.Column)
        }
        problems = [
            Problem(name, f"no such column{nearest(name, given)} (there are: {one_of(given)})")
            for name in needed
            if name not in given
        ]
        problems += [
            Problem(name, f"must be a DateTime or an Integer of microseconds since 1970, not {column.type!r}")
            for name, column in self.by_name.items()
            if name in _INSTANTS
            and not isinstance(column, sa.Null)
            and not isinstance(column.type, _HOLD_INSTANTS)
        ]
        if of_table:
            problems += self.no_table()
        if problems:
            raise CaseDataError("columns", problems)
        self.plain = {
            name
            for name, column in self.by_name.items()
            if isinstance(column.type, sa.Integer if name in ("stay", "revision") else sa.String)
            and not isinstance(column.type, sa.Enum)
        }
        """Those that hold what a case holds, as it is."""
        self.unkept = [name for name in self.by_name if name not in self.keys and name != "revision"]
        """Those that have no column to keep them, only null()."""
        self.statements: dict[object, Any] = {}
        """What a sweep executes for each case, made once: to make it costs more than to execute it."""

    @classmethod
    def of_table(cls, columns: Columns, revision: int | None = None) -> _Columns:
        """Those of one table, to which cases are written."""
        needed = ("case_id", *_NEEDED, "settled_at")
        return cls(columns, needed if revision is None else (*needed, "revision"), of_table=True)

    def no_table(self) -> Iterator[Problem]:
        """Why no cases can be written to these columns."""
        tables: dict[str, None] = {}
        for name, column in self.by_name.items():
            if isinstance(column, sa.Column) and isinstance(column.table, sa.Table):
                tables[str(column.table)] = None
            elif name == "case_id" or not isinstance(column, sa.Null):
                yield Problem(
                    name, f"must be a column of a table, to be written to, not {shown(str(column))}"
                )
        if len(tables) > 1:
            yield Problem("", f"must be of one table, not of {' and '.join(tables)}")
        case_id = self.by_name.get("case_id")
        if case_id is not None and not isinstance(case_id.type, _HOLD_IDS):
            yield Problem("case_id", f"must be text, an Integer or a Uuid, not {case_id.type!r}")

    @property
    def table(self) -> Any:  # noqa: ANN401 - a table, as `no_table` has seen
        return cast("sa.Column[Any]", self.by_name["case_id"]).table

    # --- predicates ---------------------------------------------------------------

    def due(self, workflow: Workflow, now: datetime | None) -> ColumnElement[bool]:
        latest: dict[tuple[str, str | None, str | None], tuple[datetime, datetime | None]] = {}
        for row in workflow.cutoffs(now):
            # The last row of a position is its first timer: whatever is due is due by that one as well.
            latest[row.status, row.sub_status, row.settled] = (row.entered_until, row.settled_until)
        branches: list[ColumnElement[bool]] = []
        for (status, sub_status, settled), (entered_until, settled_until) in latest.items():
            terms = [
                self.equal("status", status),
                self.equal("sub_status", sub_status),
                self.equal("settled", settled),
                self.by_name["entered_at"] <= self.bound("entered_at", entered_until),
            ]
            if settled_until is not None:
                terms.append(self.by_name["settled_at"] <= self.bound("settled_at", settled_until))
            branches.append(sa.and_(*terms))
        return sa.and_(self.ours(workflow), sa.or_(sa.false(), *branches))

    def rejects(self, workflow: Workflow) -> ColumnElement[bool]:
        entered_at, settled = self.by_name["entered_at"], self.by_name["settled"]
        known: list[ColumnElement[bool]] = []
        for state, schedule in workflow.policy.schedules.items():
            status, _, sub_status = state.partition(".")
            timers = [self.bound("settled", timer.name) for timer in schedule]
            known.append(
                sa.and_(
                    self.equal("status", status),
                    self.equal("sub_status", sub_status or None),
                    sa.or_(settled.is_(None), settled.in_(timers)),
                )
            )
        terms = [sa.or_(*known), entered_at.is_not(None)]
        if "settled_at" in self.by_name:
            settled_at = self.by_name["settled_at"]
            terms.append(sa.or_(sa.and_(settled.is_(None), settled_at.is_(None)), settled_at >= entered_at))
            terms.append(sa.or_(settled.is_not(None), settled_at.is_(None)))
        if "stay" in self.by_name:
            terms.append(sa.func.coalesce(self.by_name["stay"], 1) >= 1)
        # What compares with NULL is neither right nor wrong, and has to be refused.
        return sa.and_(self.ours(workflow), sa.case((sa.and_(*terms), 0), else_=1) == 1)

    def ours(self, workflow: Workflow) -> ColumnElement[bool]:
        if "policy" not in self.by_name:
            return sa.true()
        return sa.or_(self.equal("policy", workflow.policy.name), self.equal("policy", None))

    def equal(self, name: str, value: object) -> ColumnElement[bool]:
        """Whether the column holds this value, or none. ``IS NULL`` is what every index understands."""
        column = self.by_name[name]
        return column.is_(None) if value is None else column == self.bound(name, value)

    # --- values -------------------------------------------------------------------

    def bound(self, name: str, value: object) -> object:
        """A value as its column takes it."""
        if value is None or name in self.plain:
            return value
        kind = self.by_name[name].type
        if isinstance(value, datetime):
            if isinstance(kind, sa.Integer):
                return to_micros(value)
            return (
                value.replace(tzinfo=None) if isinstance(kind, sa.DateTime) and not kind.timezone else value
            )
        if isinstance(kind, sa.Enum) and kind.enum_class is not None:
            return _member(cast("Iterable[Enum]", kind.enum_class), name, value)
        if name in _PEOPLE and isinstance(value, str) and isinstance(kind, (sa.Integer, sa.Uuid)):
            try:
                return kind.python_type(value)
            except ValueError:
                problem = Problem(name, f"the column holds {kind!r}, not {shown(value)}")
                raise CaseDataError("columns", [problem]) from None
        return value

    def row(self, case: Case, but: Container[str] = ()) -> dict[str, object]:
        """A case as what its columns take, by the design's names, ``but`` some."""
        lost = [
            Problem(name, f"there is no column for it, only null(): {shown(getattr(case, name))}")
            for name in self.unkept
            if getattr(case, name) is not None
        ]
        if lost:
            raise CaseDataError(f"case {case.id!r}", lost)
        return {
            name: self.bound(name, case.id if name == "case_id" else getattr(case, name))
            for name in self.keys
            if name != "revision" and name not in but
        }

    def case(self, row: Mapping[str, object]) -> Case:
        """The case that a row holds. Raises `CaseDataError` if it holds none."""
        fields = {name: row[name] for name in _FIELDS if row.get(name) is not None}
        case = Case.from_dict({"id": fields.pop("case_id", None), **fields})
        changed_at = row.get("changed_at")
        if isinstance(changed_at, datetime) and changed_at > case.changed_at:
            # Otherwise its history says so, which is stored elsewhere.
            object.__setattr__(case, "changed_at", changed_at)
        return case

    # --- statements ---------------------------------------------------------------

    def candidates(
        self, session: Session | Connection, workflow: Workflow, now: datetime, limit: int | None
    ) -> Iterator[object]:
        """The ids of the rows for which something is due, oldest first.

        All of them only if the first so many did not do: some may be locked, or no cases.
        """
        self.refuse_autocommit(session)
        case_id = self.by_name["case_id"]
        statement = sa.select(case_id).where(self.due(workflow, now))
        statement = statement.order_by(self.by_name["entered_at"], case_id)
        tried: list[object] = [*session.execute(statement.limit(limit)).scalars()]
        session.rollback()
        yield from tried
        if len(tried) == limit:
            known, rest = set(tried), [*session.execute(statement).scalars()]
            session.rollback()
            yield from (another for another in rest if another not in known)

    def carry_out(
        self,
        session: Session | Connection,
        workflow: Workflow,
        case_id: object,
        now: datetime,
        act: Callable[[Case, Action], object],
    ) -> Action | None:
        """Settle what is due for one case; none if somebody else is at it, or nothing is due any more."""
        row = self.read(session, case_id, lock=True, skip_locked=True)
        if row is None:
            return None
        before = self.case(row)
        action = next(workflow.due([before], now=now), None)
        if action is None:
            return None
        after = workflow.settle(before, action, at=max(now, before.changed_at))
        try:
            self.store(session, before, after, cast("int | None", row.get("revision")))
        except CaseChanged:
            session.rollback()
            if self.read(session, case_id, lock=False, skip_locked=False) != row:
                return None  # a reply has won: the next sweep finds whatever it is now
            message = "the database does not find the row by what it has just read from it"
            raise CaseDataError(f"case {before.id!r}", [Problem("columns", message)]) from None
        transaction = session.get_transaction()
        act(after, action)
        if transaction is None or not transaction.is_active or session.get_transaction() is not transaction:
            message = (
                "has ended the transaction of its case; what may fail belongs into session.begin_nested()"
            )
            raise CaseDataError(f"case {before.id!r}", [Problem("act", message)])
        return action

    def is_lost(self, session: Session | Connection, error: Exception) -> bool:
        """Whether the database is gone, and not only this one case in trouble."""
        if not isinstance(error, DBAPIError):
            return False
        if error.connection_invalidated:
            return True
        # A session connects anew for each case; where it cannot, no connection has become invalid.
        session.rollback()
        try:
            self.connection(session).execute(sa.select(1))
        except DBAPIError:
            return True
        session.rollback()
        return False

    def connection(self, session: Session | Connection) -> Connection:
        """The connection in which the session speaks of this table."""
        if isinstance(session, sa.Connection):
            return session
        return session.connection(bind_arguments={"clause": self.table})

    def refuse_autocommit(self, session: Session | Connection) -> None:
        """Raise `CaseDataError` where settling and acting would not be one transaction."""
        connection: Any = self.connection(session)
        if connection._is_autocommit_isolation():  # noqa: SLF001 - SQLAlchemy has no other word for it
            session.rollback()
            message = "commits each statement by itself (AUTOCOMMIT): give it one with transactions"
            raise CaseDataError("sweep", [Problem("session", message)])

    def read(
        self, session: Session | Connection, case_id: object, *, lock: bool, skip_locked: bool
    ) -> Mapping[str, object] | None:
        statement = self.statements.get((lock, skip_locked))
        if statement is None:
            statement = sa.select(*self.by_name.values()).where(self.by_name["case_id"] == sa.bindparam(_ID))
            if lock:
                statement = statement.with_for_update(skip_locked=skip_locked)
            self.statements[lock, skip_locked] = statement
        _flush(session)
        try:
            known = self.bound("case_id", case_id)
        except CaseDataError:
            return None
        rows = session.execute(statement, {_ID: known}).all()
        if len(rows) > 1:
            raise CaseDataError(f"case {str(case_id)!r}", [Problem("case_id", f"stands in {len(rows)} rows")])
        return (
            None
            if not rows
            else {
                name: value if name in self.plain else _read(name, value)
                for name, value in zip(self.by_name, rows[0], strict=True)
            }
        )

    def store(self, session: Session | Connection, before: Case, after: Case, revision: int | None) -> None:
        if before.id != after.id:
            raise CaseDataError(f"case {before.id!r}", [Problem("after", f"is another case: {after.id!r}")])
        guards: dict[str, object] = {name: getattr(before, name) for name in _GUARDED if name in self.keys}
        if revision is not None:
            guards["revision"] = revision
        else:
            # Instants come last: text that means the same one may look different.
            guards |= {"changed_at": before.changed_at} if "changed_at" in self.keys else {}
            guards |= {} if "stay" in self.keys else {"entered_at": before.entered_at}
        values = {
            f"{_WAS}{name}": self.bound(name, value) for name, value in guards.items() if value is not None
        }
        values[_ID] = self.bound("case_id", before.id)
        values |= {f"{_BECOMES}{name}": value for name, value in self.row(after, _FIXED).items()}
        shape = (*values,)
        statement = self.statements.get(shape)
        if statement is None:
            statement = self.statements[shape] = self.update(guards)
        _flush(session)
        if cast("sa.CursorResult[Any]", session.execute(statement, values)).rowcount != 1:
            raise CaseChanged(before.id)
        self.expire(session, before.id)

    def expire(self, session: Session | Connection, case_id: str) -> None:
        """An object of this row that the session knows is to be read again: it was written past it."""
        if self.has_identity() and not isinstance(session, sa.Connection):
            key = self.mapper.identity_key_from_primary_key((self.bound("case_id", case_id),))
            known = session.identity_map.get(key)
            if known is not None:
                session.expire(known)

    def has_identity(self) -> bool:
        """Whether rows are objects, known by the id of their case."""
        return self.mapper is not None and [column.name for column in self.mapper.primary_key] == [
            cast("sa.Column[Any]", self.by_name["case_id"]).name
        ]

    def update(self, guards: Mapping[str, object]) -> sa.Update:
        """The statement that stores a case, if it still stands where the guards say."""
        terms: list[ColumnElement[bool]] = [self.by_name["case_id"] == sa.bindparam(_ID)]
        for name, value in guards.items():
            column = self.by_name[name]
            was: sa.BindParameter[Any] = sa.bindparam(f"{_WAS}{name}")
            if value is None:
                terms.append(column.is_(None))
            elif name == "stay":
                terms.append(sa.func.coalesce(column, 1) == was)
            elif name == "entered_at":
                terms.append(column <= was)  # whoever enters later is somebody else
            elif name == "changed_at":
                terms.append(sa.or_(column.is_(None), column <= was))
            else:
                terms.append(column == was)
        changes: dict[ColumnElement[Any], object] = {
            self.by_name[name]: sa.bindparam(f"{_BECOMES}{name}", type_=self.by_name[name].type)
            for name in self.keys
            if name not in (*_FIXED, "revision")
        }
        if "revision" in self.keys:
            changes[self.by_name["revision"]] = sa.func.coalesce(self.by_name["revision"], 0) + 1
        return sa.update(self.table).where(*terms).values(changes)


def _flush(session: Session | Connection) -> None:
    """What the session has not written yet belongs to what is read and compared."""
    if not isinstance(session, sa.Connection):
        session.flush()


def _read(name: str, value: object) -> object:
    """What a column holds, as a case takes it."""
    if name in _INSTANTS:
        if isinstance(value, int):
            return from_micros(value, name)
        if isinstance(value, datetime):
            return instant(value if value.tzinfo else value.replace(tzinfo=UTC), name)
    if name in _PEOPLE and value is not None:
        return str(value)
    return value.value if isinstance(value, Enum) else value


def _member(members: Iterable[Enum], name: str, value: object) -> Enum:
    by_value = {member.value: member for member in members}
    if value not in by_value:
        there_are = one_of(map(str, by_value))
        message = f"the column's Enum has no member with the value {shown(value)} (there are: {there_are})"
        raise CaseDataError("columns", [Problem(name, message)])
    return by_value[value]


def _given(
    columns: Columns,
) -> tuple[dict[str, ColumnElement[Any]], dict[str, str], Any]:
    """The columns by name, the keys by which a new row is given their values, and what they are mapped to."""
    entity: Any = None if isinstance(columns, Mapping) else sa.inspect(columns, raiseerr=False)
    found: Mapping[str, Any]
    if isinstance(columns, Mapping):
        found = columns
    elif isinstance(columns, sa.FromClause):
        found = dict(columns.c.items())
    elif isinstance(columns, sa.ColumnCollection):
        found = dict(columns.items())
    elif isinstance(entity, _ENTITIES):
        found = {key: getattr(columns, key) for key, _ in entity.mapper.columns.items()}
    else:
        message = f"must be a mapped class, a Table, or a mapping from names to columns, not {shown(columns)}"
        raise CaseDataError("columns", [Problem("", message)])
    problems: list[Problem] = []
    mapper: Any = None
    given: dict[str, ColumnElement[Any]] = {}
    keys: dict[str, str] = {}
    for name, column in found.items():
        if isinstance(columns, Mapping) and name not in (*_NAMES, "id"):
            message = f"unknown name{nearest(name, _NAMES)} (there are: {one_of(_NAMES)})"
            problems.append(Problem(key_text(name), message))
            continue
        element: Any = column
        if isinstance(column, _ATTRIBUTE):
            element, mapper = column.expression, column.parent.mapper
        if not isinstance(element, sa.ColumnElement):
            problems.append(Problem(name, f"must be a column, not {shown(column)}"))
            continue
        given[name] = element
        keys[name] = cast("str", getattr(column, "key", name)) if isinstance(columns, Mapping) else name
    if problems:
        raise CaseDataError("columns", problems)
    return given, keys, mapper
