"""Rows of frames, good and bad, what the object path says of them, and the engines that they are put into."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import attrs
import dask
import dask.dataframe as dd
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from hypothesis import strategies as st

from casestate import Case, CasestateError, Workflow, frames
from casestate.clock import instant
from casestate.testing.strategies import LAST, cases, instants, nudges, policies


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from casestate import Policy

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
TICK: Final = timedelta(microseconds=1)
INSTANTS: Final = ("entered_at", "settled_at")
SCHEMA: Final[Mapping[str, Any]] = {
    "case_id": pl.String,
    "status": pl.String,
    "sub_status": pl.String,
    "entered_at": pl.Datetime("us", "UTC"),
    "stay": pl.Int64,
    "settled": pl.String,
    "settled_at": pl.Datetime("us", "UTC"),
    "policy": pl.String,
}
ACTION: Final = ("case_id", "stay", "timer", "kind", "audience", "due_at", "to", "key")

Row = dict[str, Any]
"""The cells of a row by the design's names."""


def micros(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - EPOCH) // TICK


def row_of(case: Case) -> Row:
    fields = attrs.asdict(case, recurse=False)
    return {name: fields["id" if name == "case_id" else name] for name in SCHEMA}


class Expected(NamedTuple):
    """What the object path says of rows: the actions, and which rows it refuses."""

    actions: list[tuple[Any, ...]]
    refused: list[str]


def by_objects(rows: Iterable[Row], desk: Workflow, now: datetime) -> Expected:
    """Each row made a `Case` and given to `Workflow.due`; those of another policy are nobody's business."""
    found = Expected([], [])
    for row in rows:
        if row["policy"] not in (None, "", desk.policy.name):
            continue
        fields = {"id" if name == "case_id" else name: value for name, value in row.items() if name in SCHEMA}
        try:
            actions = list(desk.due([Case(**fields)], now=now))
        except CasestateError:
            found.refused.append(row["mark"])
        else:
            found.actions.extend(tuple(getattr(action, name) for name in ACTION) for action in actions)
    return found


# --- engines -------------------------------------------------------------------


def polars_frame(
    rows: Sequence[Row], *, as_micros: bool = False, without: Sequence[str] = ()
) -> pl.DataFrame:
    schema = {name: dtype for name, dtype in SCHEMA.items() if name not in without}
    frame = pl.DataFrame(
        [{name: row[name] for name in [*schema, "mark"]} for row in rows], {**schema, "mark": pl.String}
    )
    return frame.with_columns(pl.col(*INSTANTS).dt.timestamp("us")) if as_micros else frame


def to_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """The frame as pandas users have it: numpy, but for whole numbers that may be absent."""
    found = pd.DataFrame(
        {name: pd.Series(frame[name].to_list(), dtype=_pandas_type(frame[name])) for name in frame.columns}
    )
    return found.set_index(pd.Index(range(7, 7 + len(found))))


def _pandas_type(column: pl.Series) -> str:
    if column.dtype == pl.String:
        return "str"
    if column.dtype == pl.Int64:
        return "Int64" if column.has_nulls() else "int64"
    return "datetime64[us, UTC]" if column.dtype == pl.Datetime("us", "UTC") else "datetime64[us]"


def to_arrow_pandas(frame: pl.DataFrame) -> Any:  # noqa: ANN401 - PyArrow has no types
    return frame.to_arrow().to_pandas(types_mapper=pd.ArrowDtype)


def to_dask(frame: pl.DataFrame) -> Any:  # noqa: ANN401 - Dask has no types
    from_pandas: Any = dd.from_pandas
    return from_pandas(to_pandas(frame).reset_index(drop=True), npartitions=2, sort=False)


class Ducks:
    """A DuckDB connection that is not the default one, in a session far from UTC."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'America/New_York'")

    def __call__(self, frame: pl.DataFrame) -> duckdb.DuckDBPyRelation:
        self.connection.register("given", frame.to_arrow())
        self.connection.execute("CREATE OR REPLACE TABLE cases AS FROM given")
        return self.connection.table("cases")


def rows_of(frame: Any) -> list[Row]:  # noqa: ANN401 - a frame of any engine
    """The rows of a result; the instants in them as `datetime` in UTC."""
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect(engine="streaming")
    elif isinstance(frame, duckdb.DuckDBPyRelation):
        frame = frame.to_arrow_table()
    elif isinstance(frame, dd.DataFrame):
        frame = cast("Any", frame).compute(scheduler="synchronous")
    elif hasattr(frame, "toArrow"):
        frame = frame.toArrow()
    if isinstance(frame, pd.DataFrame):
        records = frame.to_dict("records")
    elif isinstance(frame, pa.Table):
        records = frame.to_pylist()
    else:
        records = frame.to_dicts()
    return [{str(name): _cell(value) for name, value in record.items()} for record in records]


def _cell(value: Any) -> Any:  # noqa: ANN401 - of any engine
    if value is pd.NaT or value is pd.NA or value != value:  # noqa: PLR0124 - what is not a number is not itself
        return None
    return instant(value, "cell") if isinstance(value, datetime) else value


def actions_of(frame: Any) -> list[tuple[object, ...]]:  # noqa: ANN401 - a frame of any engine
    rows = rows_of(frame)
    assert all(tuple(row) == ACTION for row in rows)
    return [tuple(row.values()) for row in rows]


def agree(
    engine: Callable[[pl.DataFrame], Any],
    rows: Sequence[Row],
    desk: Workflow,
    now: datetime,
    **options: Any,  # noqa: ANN401
) -> None:
    """The frame's answers are those of the object path, row for row."""
    given = engine(polars_frame(rows, **options))
    expected = by_objects(rows, desk, now)
    due = actions_of(frames.due(given, desk, now=now))
    if options.get("as_micros"):
        expected = Expected(
            [(*row[:5], micros(row[5]), *row[6:]) for row in expected.actions], expected.refused
        )
    assert sorted(due, key=repr) == sorted(expected.actions, key=repr)
    refused = rows_of(frames.rejects(given, desk))
    assert sorted(row["mark"] for row in refused) == sorted(expected.refused)
    assert all(row["why"] for row in refused)


# --- rows ----------------------------------------------------------------------


@st.composite
def situations(
    draw: st.DrawFn,
    /,
    *,
    most: int = 25,
    bad: bool = True,
    **options: Any,  # noqa: ANN401 - of `policies`
) -> tuple[Policy, list[Row], datetime]:
    """A policy, rows of a frame, and an instant to sweep at: near one at which one of them comes due."""
    policy = draw(policies(**options))
    desk = Workflow(policy, lambda: EPOCH)
    found = draw(st.lists(cases(policy, extreme=True), min_size=1, max_size=most))
    rows = [row_of(case) for case in found]
    if bad:
        hostile = draw(st.lists(cases(policy, hostile=True), max_size=most // 3))
        twisted = draw(st.lists(st.tuples(cases(policy), st.sampled_from(TWISTS)), max_size=most // 3))
        rows += [row_of(case) for case in hostile]
        rows += [{**row, **twist(row)} for row, twist in ((row_of(case), twist) for case, twist in twisted)]
    rows = [{**row, "mark": f"row {number}"} for number, row in enumerate(rows)]
    moments = [due_at for case in found for due_at in _moments(desk, case)]
    now = draw(st.sampled_from([*moments, LAST]) | instants(policy.calendar.zone, extreme=True))
    nudge = draw(nudges())
    return policy, rows, now + nudge if EPOCH < now < LAST else now


def _moments(desk: Workflow, case: Case) -> Iterable[datetime]:
    due_at = desk.next_due(case)
    if due_at is not None:
        yield due_at
        yield min(due_at, LAST - timedelta(days=400)) + timedelta(days=400)


TWISTS: Final[Sequence[Callable[[Row], Row]]] = (
    lambda _: {"case_id": None},
    lambda _: {"case_id": ""},
    lambda _: {"status": None},
    lambda _: {"status": ""},
    lambda row: {"status": f"{row['status']}.{row['sub_status'] or 'x'}", "sub_status": None},
    lambda row: {"status": f"{row['status']}/", "sub_status": None},
    lambda row: {"status": row["status"].upper()},
    lambda row: {"status": f"{row['status']} "},
    lambda _: {"sub_status": ""},
    lambda _: {"sub_status": "=x"},
    lambda row: {"sub_status": row["settled"], "settled": row["sub_status"]},
    lambda _: {"entered_at": None},
    lambda _: {"stay": None},
    lambda _: {"stay": 0},
    lambda _: {"stay": -3},
    lambda row: {"settled": "", "settled_at": row["entered_at"]},
    lambda _: {"settled": None, "settled_at": LAST},
    lambda _: {"settled_at": None},
    lambda row: {"settled_at": row["entered_at"] - TICK},
    lambda _: {"policy": ""},
    lambda _: {"policy": "another"},
)
"""What goes wrong with a row in somebody's table; some of it is no fault of every row."""

dask.config.set(scheduler="synchronous")
