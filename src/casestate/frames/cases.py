"""What is due in a dataframe of cases: the cutoffs as expressions, in the engine that the frame is of.

Polars, pandas, PyArrow, DuckDB, Dask and PySpark, through narwhals. A cheap comparison with the latest
cutoffs leaves few rows; these are joined with the cutoff table, a small frame made in the same engine.
What an engine is asked for is to compare, to join, and to add whole numbers: calendars, zones and durations
stay in Python, so there is one definition of due.

``columns`` says everywhere which column of the frame holds what, where its name is not the design's:

===========================  ======================================================================
``case_id`` (or ``id``)      text
``status``                   text
``sub_status``               text; may be missing if no status of the policy has sub-statuses
``entered_at``               an instant
``stay``                     a whole number; may be missing, as may all below
``settled, settled_at``      text, an instant
``policy``                   text; if it is there, only rows of this policy or of none are meant
===========================  ======================================================================

Instants are ``Datetime("us", "UTC")``, or ``Int64`` microseconds since 1970, all of them in one form. On
DuckDB and Spark a ``TIMESTAMP WITH TIME ZONE`` is an instant whatever the zone of the session.
"""

from __future__ import annotations

import json

from collections.abc import Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs

from casestate.clock import EPOCH, FIRST, LAST, from_micros, to_micros
from casestate.errors import (
    CaseDataError,
    NaiveCaseTimeError,
    Problem,
    key_text,
    nearest,
    one_of,
    shown,
)
from casestate.schedule import schedules
from casestate.workflow import expect_workflow


try:
    import narwhals.stable.v2 as nw
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "casestate.frames needs narwhals: pip install 'casestate[frames]'", name="narwhals"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from datetime import datetime

    from casestate.schedule import Cutoff, Schedule
    from casestate.workflow import Workflow

__all__ = ["due", "rejects"]

_Frame: TypeAlias = "nw.LazyFrame[Any]"
"""A frame, eager or lazy: what is used here both have."""

_TEXTS: Final = ("case_id", "status", "sub_status", "settled", "policy")
_INSTANTS: Final = ("entered_at", "settled_at")
_NAMES: Final = ("case_id", "status", "sub_status", "entered_at", "stay", "settled", "settled_at", "policy")
_NEEDED: Final = ("case_id", "status", "entered_at")
_ID_ALIAS: Final = "id"

_SECOND: Final = 1_000_000
_EARLIEST: Final = to_micros(FIRST)
_LATEST: Final = to_micros(LAST)
_NEVER: Final = -(10**18)
"""Microseconds that, added to any instant, are before every other."""
_MOST: Final = (1 << 63) - 1
_AT_ONCE: Final = 40
"""How many texts are put together at once: some engines go down one step for each."""
_NULLS: Final = ("Null", "null", '"NULL"', "void")
"""What engines call the type of a column that holds nothing."""

_ACTIONS: Final[Mapping[str, Any]] = {
    "case_id": nw.String,
    "stay": nw.Int64,
    "timer": nw.String,
    "kind": nw.String,
    "audience": nw.String,
    "due_at": nw.Int64,
    "to": nw.String,
    "key": nw.String,
}
"""The columns of what is due; instants are numbers until the end."""
_REACHES: Final[Mapping[str, Any]] = {
    "position": nw.String,
    "entered_from": nw.Int64,
    "entered_until": nw.Int64,
    "settled_until": nw.Int64,
    "after": nw.Int64,
    "notice": nw.Int64,
    "timer": nw.String,
    "kind": nw.String,
    "audience": nw.String,
    "to": nw.String,
    "number": nw.Int64,
}
"""The columns of the small table that the frame is joined with."""


def due(
    frame: Any,  # noqa: ANN401 - whatever narwhals knows
    workflow: Workflow,
    *,
    now: datetime | None = None,
    columns: Mapping[str, str] | None = None,
) -> Any:  # noqa: ANN401 - a frame of the same engine
    """What is due at ``now`` (left out, the clock is asked), as a frame of the caller's own engine.

    It has the columns ``case_id, stay, timer, kind, audience, due_at, to, key``: a row for each action that
    `Workflow.due` would return for these cases, to the microsecond. ``due_at`` is in the form of
    ``entered_at``. The order of the rows is not promised. Rows that are no cases of this workflow are
    left out; `rejects` finds them. Where there is no ``stay`` it counts as 1, so make the key of case, entry
    and timer.

    A lazy frame stays lazy: nothing is run. There is one exception, a policy in which a timer that may be due
    has calendar days or business days. No engine knows those, so the rows that are due, and no
    others, are collected here, completed in Python and handed back in the caller's engine.

    Raises `CaseDataError` with all that is wrong with the frame or ``columns`` (a `NaiveTimeError` as
    well where an instant has no time zone), `PolicyError` for what is no workflow, `NaiveTimeError` or
    `InstantError` for ``now``.
    """
    source = _Source(frame, columns, expect_workflow(workflow, "frames"))
    table = _Cutoffs(workflow, now)
    if not table.rows:
        return source.handed_back(source.made(_ACTIONS, []))
    found = _reached(source, table)
    if table.has_calendar:
        return source.handed_back(source.made(_ACTIONS, list(_completed(found, table))))
    by_entry = nw.col("entered_at") + nw.col("after")
    warned = nw.col("settled_at") + nw.col("notice")
    due_at = nw.when(warned > by_entry).then(warned).otherwise(by_entry)
    key = nw.concat_str("case_id", nw.lit(":"), nw.col("stay").cast(nw.String), nw.lit(":"), "timer")
    return source.handed_back(found.with_columns(due_at=due_at, key=key).select(*_ACTIONS))


def rejects(
    frame: Any,  # noqa: ANN401 - whatever narwhals knows
    workflow: Workflow,
    *,
    columns: Mapping[str, str] | None = None,
) -> Any:  # noqa: ANN401 - a frame of the same engine
    """The rows that are no cases of this workflow, and why, as a frame of the caller's own engine.

    They are exactly those for which `Case` or `Workflow.due` would raise: a state or a settled timer that
    the policy does not know, something missing, a ``settled_at`` before the stay began. To the caller's own
    columns comes ``why``, which names each field and what is wrong with it. Rows of another policy are
    not looked at. Lazy stays lazy, and the whole frame is read.

    Raises as `due` does, and `CaseDataError` for a frame that has a column ``why`` of its own.
    """
    source = _Source(frame, columns, expect_workflow(workflow, "frames"))
    if "why" in source.schema:
        problem = Problem("why", "the frame has a column of this name: rename it, for it is made here")
        raise CaseDataError("frame", [problem])
    found, fields = source.whole()
    problems = [*_of_case(fields), *_of_state(fields, workflow)]
    bad = fields.ours(workflow, cast("nw.Expr", _any(*(wrong for wrong, _ in problems))))
    sentences = [nw.when(wrong).then(sentence) for wrong, sentence in problems]
    parts = [_listed(sentences[first : first + _AT_ONCE]) for first in range(0, len(sentences), _AT_ONCE)]
    why = _listed([nw.when(part != "").then(part) for part in parts])
    found = found.filter(bad).with_columns(why=why).drop(*source.made_beside)
    return source.handed_back(found, instants=False)


def worth_reading(
    frame: Any,  # noqa: ANN401 - whatever narwhals knows
    workflows: Mapping[str | None, Workflow],
    *,
    now: datetime,
    columns: Mapping[str, str] | None = None,
) -> Any:  # noqa: ANN401 - a frame of the same engine
    """The rows, whole, that a sweep of `Case` objects has to look at; the others are good and not due.

    ``workflows`` are found by the policy that a row names; by none for rows without one.
    """
    source = _Source(frame, columns)
    found, fields = source.whole()
    of_case = [wrong for wrong, _ in _of_case(fields)]
    idle: list[_Condition] = []
    for name, workflow in workflows.items():
        bounds = _bounds(workflow.cutoffs(now), in_micros=source.in_micros)
        bad = _any(*of_case, *(wrong for wrong, _ in _of_state(fields, workflow)))
        mine = fields.is_missing("policy") if name is None else fields.is_one_of("policy", [name])
        possible = _any(*_possible(fields, workflow, bounds))
        idle.append(_all(mine, _not(bad), True if possible is False else ~_sure(cast("nw.Expr", possible))))
    found = found.filter(cast("nw.Expr", _not(_any(*idle)))).drop(*source.made_beside)
    return source.handed_back(found, instants=False)


class ParquetCases:
    """A Parquet file of cases, read with Polars, some rows at a time.

    Raises `ImportError` where Polars is not installed, `CaseDataError` for a file that it cannot read.
    """

    def __init__(self, path: str) -> None:
        self.number = "number"
        with _reading():
            names = nw.scan_parquet(path, backend="polars", glob=False).collect_schema()
            while self.number in names:
                self.number += "_"
            self.columns = tuple(names)
            self.frame = nw.scan_parquet(
                path, backend="polars", glob=False, row_index_name=self.number, row_index_offset=1
            )

    def count(self) -> int:
        """How many rows there are."""
        with _reading():
            return int(self.frame.select(nw.len()).collect().item())

    def rows(
        self, fields: Mapping[str, str], workflows: Mapping[str | None, Workflow], now: datetime | None
    ) -> Iterator[tuple[int, dict[str, object]]]:
        """The ``fields`` (by column) of each row, with its number; with ``now``, only what is worth reading.

        Raises `CaseDataError` as `due` does.
        """
        columns = {
            "case_id" if field == "id" else field: column
            for column, field in fields.items()
            if field == "id" or field in _NAMES
        }
        source = _Source(nw.to_native(self.frame), columns)
        native = source.handed_back(source.frame, instants=False)
        if now is not None:
            native = worth_reading(native, workflows, now=now, columns=columns)
        in_datetimes = [source.names[name] for name in source.instants if not source.in_micros]
        wanted = [
            # As numbers, for Polars knows years that Python does not.
            nw.col(column).dt.timestamp("us") if column in in_datetimes else nw.col(column)
            for column in fields
        ]
        instants = {source.names[name] for name in source.instants}
        found = nw.from_native(native).select(nw.col(self.number), *wanted)
        with _reading():
            batches = nw.to_native(found).collect_batches()
        while (batch := _next(batches)) is not None:
            for number, *cells in batch.iter_rows():
                row: dict[str, object] = {}
                for column, cell in zip(fields, cells, strict=True):
                    if cell is not None:
                        row[fields[column]] = _moment(cell) if column in instants else cell
                yield number, row


def _next(batches: Iterator[Any]) -> Any:  # noqa: ANN401 - a frame of Polars
    with _reading():
        return next(batches, None)


@contextmanager
def _reading() -> Generator[None]:
    """What Polars says of a file that it cannot read, as an error of ours."""
    try:
        yield
    except ImportError:
        raise
    except Exception as error:  # Polars is not imported here, so its errors have no name
        message = f"cannot be read as Parquet: {str(error).partition(chr(10))[0]}"
        raise CaseDataError("file", [Problem("", message)]) from error


def _moment(micros: int) -> object:
    """The instant of a number; the number itself where Python has none."""
    return from_micros(micros, "instant") if _EARLIEST <= micros <= _LATEST else micros


# --- the caller's frame -------------------------------------------------------


class _Source:
    """A caller's frame: its engine, and which of its columns holds what.

    Raises `CaseDataError` with all that is wrong with it.
    """

    def __init__(
        self, frame: object, columns: Mapping[str, str] | None, workflow: Workflow | None = None
    ) -> None:
        self.problems: list[Problem] = []
        self.naive = False
        try:
            found: _Frame = nw.from_native(nw.to_native(cast("Any", frame), pass_through=True))
        except TypeError:
            message = (
                f"must be a dataframe (Polars, pandas, PyArrow, DuckDB, Dask or Spark), not {shown(frame)}"
            )
            raise CaseDataError("frame", [Problem("", message)]) from None
        except nw.exceptions.DuplicateError as error:
            raise CaseDataError("frame", [Problem("", str(error))]) from None
        self.engine = cast("nw.Implementation", found.implementation)
        self.eager = isinstance(found, nw.DataFrame)
        if self.engine in (nw.Implementation.IBIS, nw.Implementation.SQLFRAME):
            message = f"{self.engine.value} is not known here: hand over the frame of the engine below it"
            raise CaseDataError("frame", [Problem("", message)])
        self.schema = found.collect_schema()
        self.found = found
        self.made_beside: tuple[str, ...] = ()
        """The columns that stand beside the caller's."""
        self.names = self._names(columns)
        self._check_names(workflow)
        for name in [name for name in self.names if self._is_empty(found, name)]:
            del self.names[name]
        for name, column in self.names.items():
            self._check_type(name, column)
        # Polars looks at all expressions of a lazy frame before it copies anything.
        self.frame: _Frame = found.lazy() if self.engine.is_polars() else self._exact(found)
        self.instants = tuple(name for name in _INSTANTS if name in self.names)
        self.in_micros = self.schema.get(self.names.get("entered_at", "")) == nw.Int64
        forms = {self.schema[self.names[name]] == nw.Int64 for name in self.instants}
        if len(forms) > 1 and not self.problems:
            self._wrong(
                "settled_at", "and entered_at are in two forms: give both as Datetime or both as Int64"
            )
        if self.problems:
            raise (NaiveCaseTimeError if self.naive else CaseDataError)("frame", self.problems)

    def _wrong(self, name: str, message: str) -> None:
        self.problems.append(Problem(name, message))

    def _names(self, columns: Mapping[str, str] | None) -> dict[str, str]:
        """The column of each of the design's names that is there."""
        there = tuple(str(column) for column in self.schema)
        given: dict[str, str] = {}
        if not isinstance(columns, Mapping | None):
            message = f"must map the design's names to the frame's columns, not be {shown(columns)}"
            raise CaseDataError("frame", [Problem("columns", message)])
        for key, column in (columns or {}).items():
            name = "case_id" if key == _ID_ALIAS else key
            if name in given:
                self._wrong(f"columns.{key_text(key)}", "is named twice: give case_id or id")
            elif name not in _NAMES:
                self._wrong(
                    f"columns.{key_text(key)}",
                    f"is not read{nearest(key, _NAMES)} (there are: {one_of(_NAMES)})",
                )
            elif not isinstance(column, str) or column not in there:
                self._wrong(
                    f"columns.{key_text(key)}",
                    f"the frame has no column {shown(column)}{nearest(column, there)} "
                    f"(there are: {one_of(there)})",
                )
            else:
                given[name] = str.__str__(column)
        found: dict[str, str] = {}
        found.update({name: given.get(name, name) for name in _NAMES if name in given or name in there})
        if "case_id" not in found and _ID_ALIAS in there:
            found["case_id"] = _ID_ALIAS
        return found

    def _check_names(self, workflow: Workflow | None) -> None:
        """See that nothing is missing; a ``workflow`` may have sub-statuses."""
        there = tuple(str(column) for column in self.schema)
        statuses = workflow.policy.statuses.values() if workflow else ()
        for name in (*_NEEDED, "sub_status") if any(status.sub_statuses for status in statuses) else _NEEDED:
            if name not in self.names and not any(
                problem.path == f"columns.{name}" for problem in self.problems
            ):
                self._wrong(
                    name,
                    f"the frame has no such column{nearest(name, there)}; name yours with columns= "
                    f"(there are: {one_of(there)})",
                )

    def _native_type(self, column: str) -> str:
        """The type of a column in the words of its engine, where narwhals has none."""
        native = nw.to_native(cast("Any", self.found))
        if self.engine.is_polars():
            return str(native.collect_schema()[column])
        if self.engine.is_pyarrow():
            return str(native.schema.field(column).type)
        if self.engine.is_duckdb():
            return str(native.types[native.columns.index(column)])
        if self.engine.is_spark_like():
            return str(native.schema[column].dataType.simpleString())
        return str(native.dtypes[column])

    def _is_null(self, column: str) -> bool:
        """Whether a column is of the type that holds nothing."""
        return self.schema[column] == nw.Unknown and self._native_type(column) in _NULLS

    def _exact(self, frame: _Frame) -> _Frame:
        """The frame with its text compared letter by letter, whatever the collation of a DuckDB column."""
        texts = [self.names[name] for name in _TEXTS if name in self.names]
        made = [
            f'{_quoted(column)} COLLATE "binary" AS {_quoted(column)}'
            for column in dict.fromkeys(texts)
            if self.schema[column] == nw.String
        ]
        if not made or not self.engine.is_duckdb():
            return frame
        return _frame(nw.to_native(cast("Any", frame)).project(f"* REPLACE ({', '.join(made)})"))

    def _is_empty(self, frame: _Frame, name: str) -> bool:
        """Whether a column that may be missing holds nothing at all, not even a type."""
        column, dtype = self.names[name], self.schema[self.names[name]]
        if name in _NEEDED or _holds(name, dtype):
            return False
        if dtype == nw.Unknown:
            return self._is_null(column)
        if name == "stay":
            return False
        # What pandas makes of a column of None is anybody's guess.
        is_guess = isinstance(frame, nw.DataFrame) and self.engine.is_pandas_like()
        return is_guess and not isinstance(dtype, nw.Datetime) and bool(frame[column].is_null().all())

    def _check_type(self, name: str, column: str) -> None:
        dtype = self.schema[column]
        if _holds(name, dtype) or (self.engine.is_polars() and self._is_null(column)):
            return
        if dtype == nw.Unknown:
            what = "an instant" if name in _INSTANTS else "whole numbers" if name == "stay" else "text"
            self._wrong(name, f"the column {column!r} is {self._native_type(column)}, not {what}: cast it")
        elif name not in _INSTANTS:
            what = "whole numbers" if name == "stay" else "text"
            self._wrong(
                name,
                f"the column {column!r} is {_type(dtype)}, not {what}: {_cast(self.engine, name, column)}",
            )
        elif not self._is_instant(dtype):
            self.naive = self.naive or (isinstance(dtype, nw.Datetime) and dtype.time_zone is None)
            self._wrong(
                name,
                f"the column {column!r} is {_type(dtype)}; an instant is Datetime('us', 'UTC') or Int64 "
                "microseconds since 1970: "
                + (
                    "make such numbers of these"
                    if dtype.is_numeric()
                    else _cast(self.engine, name, column, dtype)
                ),
            )

    def _is_instant(self, dtype: Any) -> bool:  # noqa: ANN401 - narwhals' types
        """Whether a column holds instants as datetimes: the zone of DuckDB and Spark is the session's."""
        if not isinstance(dtype, nw.Datetime) or dtype.time_unit != "us":
            return False
        return dtype.time_zone == "UTC" or (dtype.time_zone is not None and self.has_session)

    @property
    def has_session(self) -> bool:
        return self.engine.is_duckdb() or self.engine.is_spark_like()

    def column(self, name: str) -> nw.Expr:
        """What the name says, as an expression on the caller's columns."""
        column = nw.col(self.names[name])
        dtype = self.schema[self.names[name]]
        if name in _TEXTS and dtype != nw.String:
            return column.cast(nw.String)
        if name in _INSTANTS and dtype == nw.Unknown:
            return column.cast(nw.Datetime("us", "UTC"))
        return column

    def whole(self) -> tuple[_Frame, _Fields]:
        """The whole frame, with its instants as numbers beside them, and what to ask of it."""
        stem = "casestate"
        while any(str(column).lower().startswith(stem) for column in self.schema):
            stem += "_"
        micros = {name: f"{stem}_{name}" for name in self.instants}
        self.made_beside = tuple(micros.values())
        found = self.with_micros(self.frame, {new: self.names[name] for name, new in micros.items()})
        columns = {name: self.column(name) for name in self.names}
        return found, _Fields(columns, {name: nw.col(column) for name, column in micros.items()})

    # --- what narwhals has no words for ---

    def with_micros(self, frame: _Frame, instants: Mapping[str, str]) -> _Frame:
        """The frame with the ``instants`` (old by new column) as microseconds since 1970."""
        if self.in_micros:
            return frame.with_columns(**{new: nw.col(old) for new, old in instants.items()})
        native = nw.to_native(cast("Any", frame))
        if self.engine.is_duckdb():
            made = (f"epoch_us({_quoted(old)}) AS {_quoted(new)}" for new, old in instants.items())
            return _frame(native.project(", ".join(["*", *made])))
        if self.engine.is_spark_like():
            made = (f"unix_micros({_ticked(old)}) AS {_ticked(new)}" for new, old in instants.items())
            return _frame(native.selectExpr("*", *made))
        return frame.with_columns(
            # Without the fill pandas makes floats of them, which are not exact.
            **{
                new: nw.coalesce(nw.col(old), nw.lit(EPOCH)).dt.timestamp("us")
                for new, old in instants.items()
            }
        )

    def handed_back(self, frame: _Frame, *, instants: bool = True) -> Any:  # noqa: ANN401 - a native frame
        """A frame in the caller's engine, eager if theirs was; ``due_at`` an instant if theirs are."""
        if instants and not self.in_micros:
            frame = self._with_instants(frame)
        if self.engine.is_polars() and self.eager:
            return nw.to_native(frame.lazy().collect())
        return nw.to_native(cast("Any", frame))

    def _with_instants(self, frame: _Frame) -> _Frame:
        if self.engine.is_duckdb():
            return _frame(
                nw.to_native(cast("Any", frame)).project("* REPLACE (make_timestamptz(due_at) AS due_at)")
            )
        if self.engine.is_spark_like():
            made = {
                **{name: _ticked(name) for name in _ACTIONS},
                "due_at": "timestamp_micros(due_at) AS due_at",
            }
            return _frame(nw.to_native(cast("Any", frame)).selectExpr(*made.values()))
        if self.engine.is_dask():  # its cast forgets the zone
            return frame.with_columns(nw.col("due_at").cast(nw.Datetime("us")).dt.replace_time_zone("UTC"))
        return frame.with_columns(nw.col("due_at").cast(nw.Datetime("us", "UTC")))

    def made(
        self, schema: Mapping[str, Any], rows: Sequence[Sequence[object]], *, small: bool = False
    ) -> _Frame:
        """A frame of these rows in the caller's engine, and in the same connection or session."""
        native = nw.to_native(cast("Any", self.frame))
        if self.engine.is_duckdb():
            # As a VALUES list that takes minutes.
            kinds = {name: "BIGINT" if dtype == nw.Int64 else "VARCHAR" for name, dtype in schema.items()}
            records = [dict(zip(schema, row, strict=True)) for row in rows]
            return _frame(
                native.query(
                    "casestate_frame",
                    f"SELECT unnest(from_json({_text(json.dumps(records))}, {_text(json.dumps([kinds]))}), "
                    "recursive := true)",
                )
            )
        if self.engine.is_spark_like():
            types = ", ".join(
                f"{_ticked(name)} {'bigint' if dtype == nw.Int64 else 'string'}"
                for name, dtype in schema.items()
            )
            made = native.sparkSession.createDataFrame([tuple(row) for row in rows], types)
            return _frame(made.hint("broadcast") if small else made)
        data = {name: [row[number] for row in rows] for number, name in enumerate(schema)}
        backend: Any = "pandas" if self.engine.is_dask() else self.engine
        found = nw.from_dict(data, schema=dict(schema), backend=backend)
        if self.engine.is_dask():
            return found.lazy("dask")
        return cast("_Frame", found.lazy() if self.engine.is_polars() else found)


def _frame(native: object) -> _Frame:
    return cast("_Frame", nw.from_native(cast("Any", native)))


def _holds(name: str, dtype: Any) -> bool:  # noqa: ANN401 - narwhals' types
    """Whether a column of this type may hold what the name says, without a look at datetimes."""
    if name in _INSTANTS:
        return bool(dtype == nw.Int64)
    if name == "stay":
        return bool(dtype.is_integer())
    return dtype in (nw.String, nw.Categorical, nw.Enum)


def _type(dtype: Any) -> str:  # noqa: ANN401 - narwhals' types
    if isinstance(dtype, nw.Datetime):
        return f"Datetime({dtype.time_unit!r}, {dtype.time_zone!r})"
    return str(dtype)


def _cast(engine: nw.Implementation, name: str, column: str, dtype: Any = None) -> str:  # noqa: ANN401
    """How to make of a column what it should be, in the words of its engine."""
    kind = "stay" if name == "stay" else "text" if dtype is None else "instant"
    naive = isinstance(dtype, nw.Datetime) and dtype.time_zone is None
    if naive:
        kind = "naive"
    elif dtype == nw.String:
        kind = "string"
    words = _CASTS[
        "polars"
        if engine.is_polars()
        else "pyarrow"
        if engine.is_pyarrow()
        else "duckdb"
        if engine.is_duckdb()
        else "dask"
        if engine.is_dask()
        else "spark"
        if engine.is_spark_like()
        else "pandas"
    ]
    quoted = _quoted(column) if engine.is_duckdb() else shown(column)
    hint = "cast it" if kind != "naive" else "if it holds UTC, say so"
    return f"{hint}: {words.get(kind, words['instant']).format(quoted)}"


_CASTS: Final[Mapping[str, Mapping[str, str]]] = {
    "polars": {
        "text": "frame.with_columns(pl.col({0}).cast(pl.String))",
        "stay": "frame.with_columns(pl.col({0}).cast(pl.Int64))",
        "instant": "frame.with_columns(pl.col({0}).cast(pl.Datetime('us', 'UTC')))",
        "naive": "frame.with_columns(pl.col({0}).dt.cast_time_unit('us').dt.replace_time_zone('UTC'))",
        "string": "frame.with_columns(pl.col({0}).str.to_datetime(time_unit='us', time_zone='UTC'))",
    },
    "pandas": {
        "text": "frame.astype({{{0}: 'str'}})",
        "stay": "frame.astype({{{0}: 'Int64'}})",
        "instant": "frame.assign(**{{{0}: "
        "pd.to_datetime(frame[{0}], utc=True).astype('datetime64[us, UTC]')}})",
    },
    "dask": {
        "text": "frame.astype({{{0}: 'string'}})",
        "stay": "frame.astype({{{0}: 'Int64'}})",
        "instant": "frame.assign(**{{{0}: frame[{0}].astype('datetime64[us, UTC]')}})",
        "naive": "frame.assign(**{{{0}: frame[{0}].dt.tz_localize('UTC').astype('datetime64[us, UTC]')}})",
        "string": "frame.assign(**{{{0}: "
        "dd.to_datetime(frame[{0}], utc=True).astype('datetime64[us, UTC]')}})",
    },
    "pyarrow": {
        "text": "frame.set_column(frame.column_names.index({0}), {0}, frame[{0}].cast('string'))",
        "stay": "frame.set_column(frame.column_names.index({0}), {0}, frame[{0}].cast('int64'))",
        "instant": "frame.set_column(frame.column_names.index({0}), {0}, "
        "frame[{0}].cast(pa.timestamp('us', 'UTC'), safe=False))",
    },
    "duckdb": {
        "text": "SELECT * REPLACE (CAST({0} AS VARCHAR) AS {0})",
        "stay": "SELECT * REPLACE (CAST({0} AS BIGINT) AS {0})",
        "instant": "SELECT * REPLACE (CAST({0} AS TIMESTAMPTZ) AS {0})",
        "naive": "SELECT * REPLACE (CAST({0} AS TIMESTAMP) AT TIME ZONE 'UTC' AS {0})",
    },
    "spark": {
        "text": "frame.withColumn({0}, F.col({0}).cast('string'))",
        "stay": "frame.withColumn({0}, F.col({0}).cast('bigint'))",
        "instant": "frame.withColumn({0}, F.col({0}).cast('timestamp'))",
        "naive": "frame.withColumn({0}, F.concat(F.col({0}).cast('string'), F.lit('Z')).cast('timestamp'))",
    },
}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _ticked(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


# --- the cutoff table ---------------------------------------------------------


@attrs.frozen
class _Reach:
    """A timer that a case in one position can reach: what its due instant is made of."""

    schedule: Schedule
    position: int
    index: int

    def is_elapsed(self) -> bool:
        """Whether only elapsed lengths decide when it is due."""
        lengths = [timer.after for timer in self.schedule.timers[: self.index + 1]]
        notice = self.schedule.notice(self.position)
        return all(length.unit == "elapsed" for length in [*lengths, *([notice] if notice else [])])


class _Cutoffs:
    """The cutoff table at one instant, as rows that exclude each other.

    A case meets one of them at most: the entries of a position's next timer begin where those of
    the timer further on end. So nothing has to be grouped.
    """

    def __init__(self, workflow: Workflow, now: datetime | None) -> None:
        table = schedules(workflow.policy)
        self.workflow = workflow
        self.cutoffs = workflow.cutoffs(now)
        self.reaches: list[_Reach] = []
        self.rows: list[tuple[object, ...]] = []
        for (status, sub_status, settled), rows in groupby(self.cutoffs, key=_position):
            schedule = table[status if sub_status is None else f"{status}.{sub_status}"]
            position = schedule.positions[settled]
            notice = schedule.notice(position)
            entered_from = _EARLIEST
            for row in rows:
                reach = _Reach(schedule, position, schedule.positions[row.timer] - 1)
                until = to_micros(row.entered_until)
                self.rows.append(
                    (
                        _key(status, sub_status, settled),
                        entered_from,
                        until,
                        _LATEST if row.settled_until is None else to_micros(row.settled_until),
                        schedule.timers[reach.index].after.amount * _SECOND,
                        _NEVER if notice is None else notice.amount * _SECOND,
                        row.timer,
                        row.kind,
                        row.audience,
                        row.to,
                        len(self.reaches),
                    )
                )
                self.reaches.append(reach)
                entered_from = until + 1
        self.has_calendar = not all(reach.is_elapsed() for reach in self.reaches)


def _position(cutoff: Cutoff) -> tuple[str, str | None, str | None]:
    return cutoff.status, cutoff.sub_status, cutoff.settled


def _key(status: str, sub_status: str | None, settled: str | None) -> str:
    """A position as one text; no two positions have the same, and nothing else has one of them."""
    return "/".join([status, *("" if part is None else f"={part}" for part in (sub_status, settled))])


# --- what a row may be asked --------------------------------------------------


_Condition: TypeAlias = "nw.Expr | bool"
"""An expression, true or false and mostly never null; or what is so for every row."""


def _sure(condition: nw.Expr) -> nw.Expr:
    """A condition that is false where it would be null."""
    return condition.fill_null(value=False)


def _both(one: _Condition, other: _Condition) -> _Condition:
    return one & other


def _either(one: _Condition, other: _Condition) -> _Condition:
    return one | other


def _joined(join: Callable[[_Condition, _Condition], _Condition], parts: Sequence[_Condition]) -> _Condition:
    """All parts in one expression, as flat as can be: engines go down into it step by step."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return join(_joined(join, parts[:half]), _joined(join, parts[half:]))


def _all(*conditions: _Condition) -> _Condition:
    if any(condition is False for condition in conditions):
        return False
    left: list[_Condition] = [condition for condition in conditions if condition is not True]
    return _joined(_both, left) if left else True


def _any(*conditions: _Condition) -> _Condition:
    left: list[_Condition] = [condition for condition in conditions if condition is not False]
    return _joined(_either, left) if left else False


def _not(condition: _Condition) -> _Condition:
    return not condition if isinstance(condition, bool) else ~condition


@attrs.frozen
class _Fields:
    """The fields of a row as expressions: those that are there, and the instants among them as numbers."""

    columns: Mapping[str, nw.Expr]
    micros: Mapping[str, nw.Expr]

    def is_missing(self, name: str) -> _Condition:
        return self.columns[name].is_null() if name in self.columns else True

    def is_one_of(self, name: str, values: Sequence[str]) -> _Condition:
        found = self.may_be(name, values)
        return found if isinstance(found, bool) else _sure(found)

    def may_be(self, name: str, values: Sequence[str]) -> _Condition:
        """The same, but null where the field is: a plain comparison, which a scan of Parquet understands."""
        if name not in self.columns or not values:
            return False
        column = self.columns[name]
        return column == values[0] if len(values) == 1 else column.is_in(list(values))

    def is_other_than(self, name: str, values: Sequence[str]) -> _Condition:
        """Whether it is there, and none of ``values``."""
        return _all(_not(self.is_missing(name)), _not(self.is_one_of(name, values)))

    def is_beyond_time(self, name: str) -> _Condition:
        if name not in self.micros:
            return False
        micros = self.micros[name]
        inside = _sure((micros >= _EARLIEST) & (micros <= _LATEST))
        return _all(_not(self.is_missing(name)), ~inside)

    def is_state(self, status: str, sub_statuses: Sequence[str]) -> _Condition:
        """Whether the row is in one of these sub-statuses; without any, in the status itself."""
        within = self.is_one_of("sub_status", sub_statuses) if sub_statuses else self.is_missing("sub_status")
        return _all(self.is_one_of("status", [status]), within)

    def ours(self, workflow: Workflow, condition: nw.Expr) -> nw.Expr:
        """The condition for rows of the workflow's policy or of none; an empty name is looked at too."""
        if "policy" not in self.columns:
            return condition
        named = _sure(self.columns["policy"].is_in([workflow.policy.name, ""]))
        return condition & (self.columns["policy"].is_null() | named)


def _of_case(fields: _Fields) -> Iterator[tuple[nw.Expr, nw.Expr]]:
    """What `Case` refuses of a row, but for its status and settled timer; and the sentences."""
    texts = [name for name in ("case_id", "policy") if name in fields.columns]
    found: list[tuple[_Condition, str]] = [
        *((fields.is_missing(name), f"{name}: is missing") for name in ("case_id", "entered_at")),
        *((fields.is_one_of(name, [""]), f"{name}: must be text, not ''") for name in texts),
        *(
            (fields.is_beyond_time(name), f"{name}: is not between the years 1 and 9999")
            for name in _INSTANTS
        ),
    ]
    if "stay" in fields.columns:
        stay = fields.columns["stay"]
        whole = _sure((stay >= 1) & (stay <= _MOST))
        found.append((~whole, "stay: must be a whole number from 1 on"))
    for here, there in (("settled_at", "settled"), ("settled", "settled_at")):
        message = f"{here}: is missing: {there} says that a timer of this stay has been settled"
        found.append((_all(fields.is_missing(here), _not(fields.is_missing(there))), message))
    if "settled_at" in fields.columns:
        backwards = _all(
            _not(fields.is_missing("settled_at")),
            _not(fields.is_missing("entered_at")),
            _sure(fields.micros["settled_at"] < fields.micros["entered_at"]),
        )
        found.append((backwards, "settled_at: is before the stay began"))
    for wrong, message in found:
        if not isinstance(wrong, bool):
            yield wrong, nw.lit(message)


def _of_state(fields: _Fields, workflow: Workflow) -> Iterator[tuple[nw.Expr, nw.Expr]]:
    """What is wrong with the status, the sub-status and the settled timer; and the sentences."""
    policy = workflow.policy
    status = fields.columns["status"]
    yield status.is_null(), nw.lit("status: is missing")
    whole = _all(
        fields.is_other_than("status", [*policy.statuses]), _sure(status.str.contains(".", literal=True))
    )
    yield cast("nw.Expr", whole), nw.lit("status: is a whole state: give status and sub_status apart")
    unknown = _all(fields.is_other_than("status", [*policy.statuses]), _not(whole))
    yield cast("nw.Expr", unknown), _sentence("status: unknown status", status, policy.statuses)
    for name, described in policy.statuses.items():
        subs = [*described.sub_statuses]
        here = fields.is_one_of("status", [name])
        wrong = _all(here, fields.is_other_than("sub_status", subs))
        yield from _told(wrong, fields, "sub_status", f"sub_status of {name}: unknown status", subs)
        if subs:
            message = f"sub_status: is missing: {name} needs one of {one_of(subs)}"
            yield cast("nw.Expr", _all(here, fields.is_missing("sub_status"))), nw.lit(message)
    for state, timers in policy.schedules.items():
        name, _, sub_status = state.partition(".")
        names = [timer.name for timer in timers]
        here = fields.is_state(name, [sub_status] if sub_status else [])
        wrong = _all(here, fields.is_other_than("settled", names))
        yield from _told(wrong, fields, "settled", f"settled: no timer of {state}", names)


def _listed(sentences: Sequence[Any]) -> nw.Expr:
    """The sentences of a row that are not null."""
    return nw.concat_str(*sentences, separator="; ", ignore_nulls=True)


def _told(
    wrong: _Condition, fields: _Fields, name: str, beginning: str, known: Iterable[str]
) -> Iterator[tuple[nw.Expr, nw.Expr]]:
    if not isinstance(wrong, bool):
        yield wrong, _sentence(beginning, fields.columns[name], known)


def _sentence(beginning: str, value: nw.Expr, known: Iterable[str]) -> nw.Expr:
    return nw.concat_str(nw.lit(f"{beginning} '"), value, nw.lit(f"' (there are: {one_of(known)})"))


# --- what is due --------------------------------------------------------------


def _reached(source: _Source, table: _Cutoffs) -> _Frame:
    """The rows that are due, joined with what they have reached; all instants as numbers."""
    found = source.frame.select(*(source.column(name).alias(name) for name in source.names))
    columns = {name: nw.col(name) for name in source.names}
    bounds = _bounds(table.cutoffs, in_micros=source.in_micros)
    possible = _any(*_possible(_Fields(columns, {}), table.workflow, bounds))
    found = found.filter(cast("nw.Expr", possible))
    micros = {name: f"{name}_micros" for name in source.instants}
    found = source.with_micros(found, {new: name for name, new in micros.items()})
    fields = _Fields(columns, {name: nw.col(new) for name, new in micros.items()})
    parts = (
        nw.concat_str(nw.lit("="), columns[name]).fill_null("") if name in columns else nw.lit("")
        for name in ("sub_status", "settled")
    )
    # The cast makes one type of the several that Arrow has for text.
    found = found.with_columns(position=nw.concat_str("status", *parts, separator="/").cast(nw.String))
    joined = found.join(source.made(_REACHES, table.rows, small=True), on="position", how="inner")
    entered_at = nw.col("entered_at_micros")
    settled_at = nw.col("settled_at_micros").fill_null(0) if "settled_at" in micros else nw.lit(0)
    is_due = [
        entered_at >= nw.col("entered_from"),
        entered_at <= nw.col("entered_until"),
        settled_at <= nw.col("settled_until"),
        *(~wrong for wrong, _ in _of_case(fields)),
    ]
    joined = joined.filter(fields.ours(table.workflow, cast("nw.Expr", _all(*is_due))))
    return joined.with_columns(
        entered_at=entered_at,
        settled_at=settled_at,
        stay=nw.col("stay").cast(nw.Int64) if "stay" in columns else nw.lit(1).cast(nw.Int64),
    )


_Bounds: TypeAlias = "dict[tuple[str, str | None], tuple[datetime | int | None, datetime | int | None]]"
"""By state, the latest entry for which anything is due: to a case that has settled nothing, and to others."""


def _bounds(cutoffs: Iterable[Cutoff], *, in_micros: bool) -> _Bounds:
    bounds: _Bounds = {}
    for cutoff in cutoffs:
        # How engines read a literal of long ago is their own affair; later is only less cheap.
        until: Any = to_micros(cutoff.entered_until) if in_micros else max(cutoff.entered_until, EPOCH)
        state = (cutoff.status, cutoff.sub_status)
        unsettled, settled = cast("Any", bounds.get(state, (None, None)))
        if cutoff.settled is None:
            unsettled = until if unsettled is None else max(unsettled, until)
        else:
            settled = until if settled is None else max(settled, until)
        bounds[state] = (unsettled, settled)
    return bounds


def _possible(fields: _Fields, workflow: Workflow, bounds: _Bounds) -> Iterator[_Condition]:
    """Where something may be due, in as few comparisons as there are bounds; false or null elsewhere."""
    groups: dict[tuple[Any, Any], list[str]] = {}
    apart: dict[tuple[str, Any, Any], list[str]] = {}
    for name, described in workflow.policy.statuses.items():
        states: list[tuple[str, str | None]] = [(name, sub) for sub in described.sub_statuses]
        states = states or [(name, None)]
        of_states = {bounds.get(state, (None, None)) for state in states}
        if len(of_states) == 1:
            groups.setdefault(of_states.pop(), []).append(name)
            continue
        for state in states:
            apart.setdefault((name, *bounds.get(state, (None, None))), []).append(cast("str", state[1]))
    for (unsettled, settled), statuses in groups.items():
        yield _all(fields.may_be("status", statuses), _by_entry(fields, unsettled, settled))
    for (name, unsettled, settled), subs in apart.items():
        here = _all(fields.may_be("status", [name]), fields.may_be("sub_status", subs))
        yield _all(here, _by_entry(fields, unsettled, settled))


def _by_entry(fields: _Fields, unsettled: Any, settled: Any) -> _Condition:  # noqa: ANN401 - instants
    entered_at: Any = fields.columns["entered_at"]
    if unsettled is None and settled is None:
        return False
    if "settled" not in fields.columns or unsettled == settled:
        return cast("nw.Expr", entered_at <= (settled if unsettled is None else unsettled))
    kept = fields.columns["settled"].is_null()
    if settled is None:
        return cast("nw.Expr", kept & (entered_at <= unsettled))
    later = kept if unsettled > settled else ~kept
    early, late = entered_at <= min(unsettled, settled), entered_at <= max(unsettled, settled)
    return cast("nw.Expr", early | (later & late))


def _completed(found: _Frame, table: _Cutoffs) -> Iterator[tuple[object, ...]]:
    """The rows that are due, in Python: when they came due, by the calendar."""
    rows = found.select("case_id", "stay", "entered_at", "settled_at", "number")
    collected = rows.collect() if isinstance(rows, nw.LazyFrame) else rows
    columns: Any = [collected[name].to_list() for name in collected.columns]
    for cells in zip(*columns, strict=True):
        case_id, stay, entered_at, settled_at, number = cast("tuple[str, int, int, int, int]", cells)
        reach: _Reach = table.reaches[number]
        timer = reach.schedule.timers[reach.index]
        due_at = reach.schedule.due_at(
            reach.index,
            reach.position,
            from_micros(entered_at, "entered_at"),
            from_micros(settled_at, "settled_at") if reach.position else None,
        )
        yield (
            case_id,
            stay,
            timer.name,
            timer.kind,
            timer.audience,
            to_micros(cast("datetime", due_at)),  # it is due, so it has a date
            timer.to,
            f"{case_id}:{stay}:{timer.name}",
        )
