"""What a policy would have done to a past that lies in a dataframe: `casestate.replay` for millions of rows.

A status log may be a frame of any engine that narwhals knows; the numbers are made in Polars. What a log
means is decided in `casestate.log` and `casestate.schedule`: here their answers are asked for once for every
value, day, time of day, offset and half day that there is, and looked up for every row. So both paths give
the same actions, departures and summary.

A log that is longer than fits is dealt out by case to files in a temporary directory, from which one
part after the other is read back: the memory that is needed grows with a small part of the log alone, and
with its longest case.
"""

from __future__ import annotations

import csv
import json
import mmap
import re

from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from itertools import groupby, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, Self, TypeAlias, cast

import attrs
import narwhals.stable.v2 as nw

from casestate.calendars import CELL
from casestate.clock import FIRST, LAST, from_micros, instant, parse_instant, to_micros
from casestate.errors import InstantError, LogError, NaiveLogTimeError, NaiveTimeError, Problem, shown
from casestate.log import BEYOND, MOST, Cells, Counts, Reading, Restart, check_on_error, of_rows
from casestate.replay import (
    SLACK,
    STEPS,
    WITHIN,
    Ending,
    PastAction,
    Tally,
    WhatIfTally,
    ask,
    has_work,
    outcome,
    summarize,
)
from casestate.schedule import Schedule, schedules
from casestate.workflow import expect_workflow


try:
    import polars as pl

    from polars.io.plugins import register_io_source
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "casestate.frames needs Polars for logs: pip install 'casestate[frames]'", name="polars"
    ) from error

if TYPE_CHECKING:
    import os

    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from casestate.calendars import Calendar, Piece
    from casestate.log import LogMap, Meaning, OnError
    from casestate.replay import Lengths, Question, Summary, WhatIf
    from casestate.workflow import Workflow

__all__ = ["FrameReplay", "replay", "scan_log", "what_if"]

Form: TypeAlias = Literal["csv", "jsonl", "parquet"]
Sink: TypeAlias = "Callable[[pl.DataFrame], object]"
Progress: TypeAlias = "Callable[[int, int | None], object]"
_Map: TypeAlias = "LogMap | str | os.PathLike[str] | Mapping[str, object] | None"
_Value: TypeAlias = "tuple[str, str | None]"

AT_ONCE = 2_000_000
"""How many rows are kept in memory."""
BATCH = 1_000_000
"""How many rows are read at a time where there are more."""
PARTS = 64
"""Into how many parts these are dealt out."""

_EARLIEST: Final = to_micros(FIRST)
_LATEST: Final = to_micros(LAST)
_NONE: Final = -(1 << 63)
"""Stands for no instant where null has another meaning."""
_SECOND: Final = 1_000_000
_WITHIN: Final = WITHIN // timedelta(microseconds=1)
_WALL: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - a time on the wall
_TICK: Final = timedelta(microseconds=1)
_AROUND: Final = 3
"""How many cells away a clock may be turned and still show a time twice."""
_SPACE: Final = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
"""What `str.strip` takes away."""
_INSTANT: Final = pl.Datetime("us", "UTC")
_ACTION: Final = tuple(field.name for field in attrs.fields(PastAction))
_ENDINGS: Final[tuple[Ending, ...]] = ("replied", "left", "still")
_DEPARTURE: Final = ("case_id", "at")


# --- the questions ----------------------------------------------------------------


@attrs.frozen(kw_only=True)
class FrameReplay:
    """What came out of a replay of a frame.

    ``actions`` has the columns ``case_id, stay, timer, kind, entered_at, due_at, left_at, left_to`` and a row
    for each `PastAction`, ``departures`` has ``case_id, at``. Both are frames of Polars, pandas or PyArrow,
    as the log is; of Polars for any other. With a ``sink`` they are none. ``summary`` is that of
    `casestate.replay.replay`.
    """

    actions: Any
    departures: Any
    summary: Summary


def replay(
    frame: Any,  # noqa: ANN401 - whatever narwhals knows
    workflow: Workflow,
    *,
    mapping: _Map = None,
    horizon: datetime | None = None,
    restart: Restart = "change",
    zone: str | None = None,
    lengths: Lengths | None = None,
    on_error: OnError | None = None,
    sink: Sink | None = None,
    progress: Progress | None = None,
) -> FrameReplay:
    """What the policy of ``workflow`` would have done to the cases of a status log in a frame.

    It is what `casestate.replay.replay` says of the same rows, and its arguments mean the same. Instants are
    text as there, datetimes of any zone and unit, or whole microseconds since 1970; datetimes without a
    zone need ``zone``. Frames whose engine keeps no order of rows (DuckDB, Dask, Spark) need a column
    ``order``.

    A lazy frame of Polars is streamed. With a ``sink`` the actions are handed to it as frames of Polars, some
    cases at a time, and not kept, so that memory does not grow with them either. ``progress`` is told
    how many rows have been read, and of how many, if that is known.

    Raises `LogError` as there; for a log of events or of `Case` objects, which is replayed there alone; and
    for a frame that cannot be read.
    """
    asked = _Asked(workflow, mapping, horizon, restart, zone, lengths or {}, on_error)
    return asked.of(frame, _Kept(sink), progress)


def what_if(
    frame: Any,  # noqa: ANN401 - whatever narwhals knows
    workflow: Workflow,
    *,
    timer: str,
    days: Iterable[int],
    mapping: _Map = None,
    horizon: datetime | None = None,
    restart: Restart = "change",
    zone: str | None = None,
    on_error: OnError | None = None,
    progress: Progress | None = None,
) -> tuple[WhatIf, ...]:
    """What each of several lengths of one timer would have done: `casestate.replay.what_if` for frames.

    Arguments and errors are those of `replay`.
    """
    asked = _Asked(workflow, mapping, horizon, restart, zone, {timer: days}, on_error)
    return asked.of(frame, None, progress).summary.what_ifs


class _Asked:
    """What is asked of a log."""

    def __init__(
        self,
        workflow: Workflow,
        mapping: _Map,
        horizon: datetime | None,
        restart: Restart,
        zone: str | None,
        lengths: Lengths,
        on_error: OnError | None,
    ) -> None:
        self.workflow = expect_workflow(workflow, "replay")
        self.reading = Reading(workflow.policy, mapping, zone=zone, restart=restart)
        self.questions = ask(workflow.policy, lengths)
        self.horizon = None if horizon is None else instant(horizon, "horizon")
        self.on_error = check_on_error(on_error)

    def of(self, frame: object, kept: _Kept | None, progress: Progress | None) -> FrameReplay:
        source = _Source(frame, self.reading)
        reader = _Reader(self.reading, source.columns, self.on_error)
        with _Rows() as rows:
            for batch in source.batches(progress):
                rows.add(reader.take(batch))
            counts = reader.checked()
            horizon = self.horizon or cast("datetime", counts.last)
            watch = _Watch(self.reading, reader.values, counts, horizon, self.questions)
            for part in rows.parts():
                watch.part(part, kept)
        return FrameReplay(
            actions=None if kept is None else kept.frame(kept.actions, _ACTION, source),
            departures=None if kept is None else kept.frame(kept.departures, _DEPARTURE, source),
            summary=summarize(self.workflow, self.reading, watch.tally),
        )


class _Kept:
    """The actions and departures of every part, unless a sink takes the actions away."""

    def __init__(self, sink: Sink | None) -> None:
        self.sink = sink
        self.actions: list[pl.DataFrame] = []
        self.departures: list[pl.DataFrame] = []

    def add(self, actions: pl.DataFrame, departures: pl.DataFrame) -> None:
        """Take what was found in a part, in order; ``place`` is the first row of the case."""
        if self.sink is None:
            self.actions.append(actions)
            self.departures.append(departures)
        elif actions.height:
            self.sink(actions.drop("place"))

    def frame(self, parts: list[pl.DataFrame], columns: Sequence[str], source: _Source) -> object:
        if self.sink is not None:
            return None
        found = pl.concat(parts) if len(parts) > 1 else parts[0]
        if len(parts) > 1:
            found = found.sort("place", maintain_order=True)
        parts.clear()
        return source.handed_back(found.select(columns))


# --- frames -----------------------------------------------------------------------


class _Source:
    """The caller's frame: which of its columns holds what, and its rows as frames of Polars.

    Raises `LogError` for what is none, and where columns are missing.
    """

    def __init__(self, given: object, reading: Reading) -> None:
        frame = nw.to_native(cast("Any", given), pass_through=True)
        self.lazy: pl.LazyFrame | None = frame if isinstance(frame, pl.LazyFrame) else None
        try:
            self.found: Any = nw.from_native(frame)
            with _reading():
                there = list(self.found.collect_schema().names())
        except (TypeError, nw.exceptions.NarwhalsError) as error:
            hint = "rows and Case objects go to casestate.replay.replay"
            message = (
                f"must be a dataframe (Polars, pandas, PyArrow, DuckDB, Dask or Spark), not {shown(given)}; "
                f"{hint}"
                if isinstance(error, TypeError)
                else str(error)
            )
            raise LogError("log", [Problem("", message)]) from None
        self.engine: nw.Implementation = self.found.implementation
        self.columns = reading.columns([name for name in there if isinstance(name, str)])
        if "event" in self.columns:
            message = "is that of a log of events: give its rows to casestate.replay.replay"
            raise LogError("log", [Problem("columns.event", message)])
        self.is_eager = isinstance(self.found, nw.DataFrame)
        if self.lazy is None and not self.is_eager and "order" not in self.columns:
            message = f"the rows of {self.engine.value} have no order of their own: name a column that has it"
            raise LogError("log", [Problem("columns.order", message)])

    def batches(self, progress: Progress | None) -> Iterator[pl.DataFrame]:
        """The columns of the log, some rows at a time."""
        wanted = list(dict.fromkeys(self.columns.values()))
        with _reading():
            every = self._height() if progress is not None else None
            batches = iter(self._batches(wanted))
        done = 0
        while True:
            with _reading():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch
            done += batch.height
            if progress is not None:
                progress(done, every)

    def _height(self) -> int | None:
        """How many rows there are, where that is quickly said."""
        if self.lazy is not None:
            return int(self.lazy.select(pl.len()).collect().item())
        return len(self.found) if self.is_eager else None

    def _batches(self, wanted: list[str]) -> Iterable[pl.DataFrame]:
        if self.lazy is not None:
            named = pl.selectors.by_name(*wanted)  # not by what Polars takes for patterns
            return self.lazy.select(named).collect_batches(chunk_size=BATCH, maintain_order=True)
        if self.is_eager:
            frame = self._polars(wanted)
            return [frame] if frame.height <= AT_ONCE else frame.iter_slices(BATCH)
        if self.engine.is_duckdb():
            return _of_duckdb(nw.to_native(self.found.select(wanted)))
        if self.engine.is_dask():
            return _of_dask(nw.to_native(self.found.select(wanted)))
        if self.engine.is_pyspark():
            return of_spark(nw.to_native(self.found.select(wanted)), self.columns["case"])
        found: pl.DataFrame = self.found.select(wanted).collect(backend="polars").to_native()
        return [found]

    def _polars(self, wanted: list[str]) -> pl.DataFrame:
        """The columns of an eager frame; instants in UTC, for there are zones that Polars does not know."""
        if self.engine.is_polars():
            own: pl.DataFrame = nw.to_native(self.found)
            return own.select(pl.selectors.by_name(*wanted))
        frame, at = self.found.select(wanted), self.columns["at"]
        dtype = frame.schema[at]
        if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
            frame = frame.with_columns(nw.col(at).dt.convert_time_zone("UTC"))
        found: pl.DataFrame = frame.to_polars()
        return found

    def handed_back(self, found: pl.DataFrame) -> object:
        """A frame in the caller's engine if that is eager and known; of Polars else."""
        if self.engine.is_pandas():
            return found.to_pandas()
        if self.engine.is_pyarrow():
            return cast("object", found.to_arrow(compat_level=pl.CompatLevel.oldest()))
        return found


def _of_duckdb(relation: Any) -> Iterator[pl.DataFrame]:  # noqa: ANN401 - an engine's own frame
    for batch in relation.to_arrow_reader(BATCH):
        yield pl.DataFrame(batch)


def _of_dask(frame: Any) -> Iterator[pl.DataFrame]:  # noqa: ANN401 - an engine's own frame
    for number in range(frame.npartitions):
        yield pl.from_pandas(frame.partitions[number].compute())


def of_spark(frame: Any, case: str) -> Iterator[pl.DataFrame]:  # noqa: ANN401 - an engine's own frame
    quoted = case.replace("`", "``")
    parts = frame.count() // AT_ONCE + 1
    for number in range(parts):
        part = frame.filter(f"pmod(xxhash64(`{quoted}`), {parts}) = {number}")
        yield pl.DataFrame(part.toArrow())


@contextmanager
def _reading() -> Generator[None]:
    """What an engine says of what it cannot read, as an error of ours."""
    try:
        yield
    except (LogError, ImportError, MemoryError):
        raise
    except (Exception, pl.exceptions.PanicException) as error:  # each engine has errors of its own
        message = f"cannot be read: {str(error).partition(chr(10))[0]}"
        raise LogError("log", [Problem("", message)]) from error


# --- rows -------------------------------------------------------------------------


class _Reader:
    """Makes numbers of the cells: of instants, statuses, orders; and finds the rows that cannot be read."""

    def __init__(self, reading: Reading, columns: Mapping[str, str], on_error: OnError | None) -> None:
        self.reading = reading
        self.columns = columns
        self.on_error = on_error
        self.counts = Counts()
        self.walls = None if reading.calendar is None else _Walls(reading.calendar)
        self.values: dict[_Value, int] = {}
        """The number of each status and sub-status."""
        self.problems: list[Problem] = []
        self.naive = False

    def take(self, batch: pl.DataFrame) -> pl.DataFrame:
        """The rows that can be read: ``case, at, value, row``, and ``order`` if there is one."""
        cells = {name: batch[column] for name, column in self.columns.items()}
        case = _text(cells["case"], self.columns["case"]).str.strip_chars(_SPACE)
        status, statuses = _coded(_text(cells["status"], self.columns["status"]))
        at, wall = _instants(cells["at"], self.columns["at"], self.walls)
        found = pl.DataFrame({"case": case, "at": at, "wall": wall, "status": status})
        bad = (
            pl.col("case").is_null()
            | (pl.col("case") == "")
            | pl.any_horizontal(pl.col("at", "status").is_null())
        )
        if "order" in self.columns:
            found = found.with_columns(order=_orders(cells["order"], self.columns["order"]))
            bad |= pl.col("order").is_null()
        subs: list[str] = []
        if "sub_status" in self.columns:
            sub, subs = _coded(_text(cells["sub_status"], self.columns["sub_status"]))
            found = found.with_columns(sub=sub)
        found = found.with_columns(row=pl.int_range(self.counts.rows, self.counts.rows + found.height))
        self.counts.rows += found.height
        refused = found.select(bad).to_series()
        if refused.any():
            self._refuse(refused.arg_true(), cells, found)
            found = found.filter(~refused)
        self._count_instants(found)
        return self._valued(found, statuses, subs)

    def _refuse(self, numbers: pl.Series, cells: Mapping[str, pl.Series], found: pl.DataFrame) -> None:
        """Say what is wrong with rows, as the object path does."""
        fields = {self.columns[name]: _shown(cell.gather(numbers)) for name, cell in cells.items()}
        rows = found["row"].gather(numbers)
        for number, *values in zip(rows.to_list(), *fields.values(), strict=True):
            row = Cells(dict(zip(fields, values, strict=True)), self.columns, self.reading)
            row.text("case")
            row.instant()
            row.order()
            row.text("status")
            self.counts.bad += 1
            if self.on_error is not None:
                kind = NaiveLogTimeError if row.naive else LogError
                self.on_error(number + 1, kind(f"row {number + 1}", row.problems))
                continue
            self.naive = self.naive or row.naive
            if len(self.problems) < MOST:
                self.problems += [Problem(f"row {number + 1}", str(problem)) for problem in row.problems]

    def _count_instants(self, found: pl.DataFrame) -> None:
        if found.height:
            for micros in (found["at"].min(), found["at"].max()):
                self.counts.seen(from_micros(cast("int", micros), "at"))
        local = found["wall"].drop_nulls()
        if local.len():
            repeated, skipped = cast("_Walls", self.walls).turned(local)
            self.counts.zoned += local.len()
            self.counts.repeated += repeated
            self.counts.skipped += skipped

    def _valued(self, found: pl.DataFrame, statuses: list[str], subs: list[str]) -> pl.DataFrame:
        """The rows with a number for what they say, which is counted."""
        size = len(subs) + 1
        sub = pl.col("sub").cast(pl.Int64).fill_null(len(subs)) if subs else pl.lit(0)
        pairs = found.select(pair=pl.col("status").cast(pl.Int64) * size + sub).to_series()
        own: dict[int, int] = {}
        code: int
        count: int
        for code, count in pairs.value_counts().iter_rows():
            status, own_sub = divmod(code, size)
            value = statuses[status], subs[own_sub] if own_sub < len(subs) else None
            own[code] = self.values.setdefault(value, len(self.values))
            self.counts.values[value] += count
        values = pairs.replace_strict(list(own), list(own.values()), return_dtype=pl.UInt32).cast(pl.UInt32)
        return found.drop("status", "sub", "wall", strict=False).with_columns(value=values)

    def checked(self) -> Counts:
        """What was counted; raises everything that is wrong with the log."""
        counts = self.counts
        problems = [*of_rows(counts, self.problems), *self.reading.unmapped(counts.values)]
        if problems:
            raise (NaiveLogTimeError if self.naive else LogError)("log", problems)
        return counts


class _Rows:
    """The rows of a log that can be read; a long one is dealt out to files."""

    def __init__(self) -> None:
        self.folder: TemporaryDirectory[str] | None = None
        self.batches: list[pl.DataFrame] = []
        self.height = 0
        self.dealt = 0
        """How often rows were dealt out."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.folder is not None:
            self.folder.cleanup()

    def add(self, batch: pl.DataFrame) -> None:
        self.batches.append(batch)
        self.height += batch.height
        if self.height > AT_ONCE:
            self._deal()

    def _deal(self) -> None:
        rows = _joined(self.batches).with_columns(part=pl.col("case").hash(0) % PARTS)
        self.batches, self.height = [], 0
        try:
            if self.folder is None:
                self.folder = TemporaryDirectory(prefix="casestate-")
            for (part,), own in rows.partition_by("part", as_dict=True, include_key=False).items():
                own.write_ipc(Path(self.folder.name, f"{part}.{self.dealt:06}"), compression="lz4")
        except OSError as error:
            message = f"is longer than is kept in memory, and temporary files cannot be written: {error}"
            raise LogError("log", [Problem("", message)]) from None
        self.dealt += 1

    def parts(self) -> Iterator[pl.DataFrame]:
        """All rows of some cases, in the order of the log; then those of others."""
        if self.folder is None:
            yield _joined(self.batches)
            return
        if self.batches:
            self._deal()
        for part in range(PARTS):
            files = sorted(Path(self.folder.name).glob(f"{part}.*"))
            if files:
                yield _joined([pl.read_ipc(file) for file in files])


def _joined(batches: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """All rows; whole numbers may be of several sizes."""
    return pl.concat(batches, how="vertical_relaxed")


def _text(cells: pl.Series, column: str) -> pl.Series:
    """A column of text, as text. Raises `LogError` for one that holds anything else."""
    dtype = cells.dtype
    if dtype == pl.String:
        return cells
    if dtype.is_integer() or isinstance(dtype, pl.Null | pl.Categorical | pl.Enum):
        return cells.cast(pl.String)
    raise LogError("log", [Problem(column, f"the column is {dtype}, not text: cast it")])


def _orders(cells: pl.Series, column: str) -> pl.Series:
    """Whole numbers; none for what is none."""
    if cells.dtype.is_integer():
        inside = cells.is_between(-BEYOND, BEYOND, closed="none")
        return pl.select(pl.when(inside).then(cells)).to_series().cast(pl.Int64)
    if not isinstance(cells.dtype, pl.String | pl.Null):
        raise LogError("log", [Problem(column, f"the column is {cells.dtype}, not whole numbers: cast it")])
    text = cells.cast(pl.String).str.strip_chars(_SPACE)
    whole = text.str.contains(r"\A-?[0-9]{1,18}\z")
    return pl.select(pl.when(whole).then(text)).to_series().cast(pl.Int64)


def _coded(texts: pl.Series) -> tuple[pl.Series, list[str]]:
    """Numbers for texts without the space around them, none for nothing; and the texts by number."""
    codes, found = _categories(texts)
    stripped = found.str.strip_chars(_SPACE)
    if found.len() and ((stripped != found) | (stripped == "")).any():
        own, known = _categories(pl.select(pl.when(stripped != "").then(stripped)).to_series())
        return own.gather(codes), known.to_list()
    return codes, found.to_list()


def _categories(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Numbers for texts, and the texts by number."""
    codes = texts.cast(pl.Categorical(pl.Categories.random())).to_physical()
    first = codes.is_first_distinct() & codes.is_not_null()
    order = codes.filter(first).arg_sort()
    return codes, texts.filter(first).gather(order)


def _looked_up(texts: pl.Series, look: Callable[[str], int | None]) -> pl.Series:
    """What ``look`` says of each text, asked once for every text that there is."""
    codes, found = _categories(texts)
    return pl.Series([look(text) for text in found.to_list()], dtype=pl.Int64).gather(codes)


def _shown(cells: pl.Series) -> list[Any]:
    """Cells as Python has them; instants that it does not know stay numbers."""
    if not isinstance(cells.dtype, pl.Datetime):
        return cells.to_list()
    zone = None if cells.dtype.time_zone is None else UTC
    return [
        micros
        if micros is None or not _EARLIEST <= micros <= _LATEST
        else from_micros(micros, "at").replace(tzinfo=zone)
        for micros in _micros(cells).to_list()
    ]


# --- instants ---------------------------------------------------------------------


def _instants(cells: pl.Series, column: str, walls: _Walls | None) -> tuple[pl.Series, pl.Series]:
    """Instants as microseconds since 1970, none for what is none; and those that are times on a wall."""
    dtype = cells.dtype
    nothing = pl.repeat(None, cells.len(), dtype=pl.Int64, eager=True)
    if isinstance(dtype, pl.String | pl.Null | pl.Categorical | pl.Enum):
        at, wall = _of_texts(cells.cast(pl.String))
    elif dtype == pl.Int64:
        at, wall = _within_time(cells), nothing
    elif isinstance(dtype, pl.Datetime):
        micros = _within_time(_micros(cells))
        at, wall = (nothing, micros) if dtype.time_zone is None else (micros, nothing)
    else:
        message = f"the column is {dtype}; instants are text, datetimes, or Int64 microseconds since 1970"
        raise LogError("log", [Problem(column, message)])
    if walls is not None and wall.null_count() < wall.len():
        at = pl.select(pl.coalesce(at, walls.leads.of(wall))).to_series()
    return at, wall


def _within_time(micros: pl.Series) -> pl.Series:
    return pl.select(pl.when(micros.is_between(_EARLIEST, _LATEST)).then(micros)).to_series()


def _micros(cells: pl.Series) -> pl.Series:
    """Datetimes as microseconds since 1970; what is finer is cut off."""
    number = cells.to_physical()
    unit = cast("pl.Datetime", cells.dtype).time_unit
    if unit == "ns":
        return number // 1_000
    # What is far beyond time would not fit.
    return number.clip(_EARLIEST // 1_000 - 1, _LATEST // 1_000 + 1) * 1_000 if unit == "ms" else number


def _of_texts(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """ISO 8601 of the common form by day, time of day, and fraction and offset; others one by one."""
    day = _looked_up(texts.str.slice(0, 10), _day)
    time = _looked_up(texts.str.slice(10, 9), _time)
    rests = texts.str.slice(19)
    codes, found = _categories(rests)
    read = [_rest(text) for text in found.to_list()]
    micros = pl.Series([None if rest is None else rest[0] for rest in read], dtype=pl.Int64).gather(codes)
    is_wall = pl.Series([rest is not None and rest[1] for rest in read], dtype=pl.Boolean).gather(codes)
    at = _within_time(day + time + micros)
    both = pl.select(at=pl.when(~is_wall).then(at), wall=pl.when(is_wall).then(at))
    odd = (at.is_null() & texts.is_not_null()).arg_true()
    if not odd.len():
        return both["at"], both["wall"]
    codes, found = _categories(texts.gather(odd))
    others = [_other(text) for text in found.to_list()]
    return (
        both["at"].scatter(odd, pl.Series([other[0] for other in others], dtype=pl.Int64).gather(codes)),
        both["wall"].scatter(odd, pl.Series([other[1] for other in others], dtype=pl.Int64).gather(codes)),
    )


_DAY_FORM: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME_FORM: Final = re.compile(r"[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})")
_REST_FORM: Final = re.compile(r"([.,][0-9]+)?([Zz]|[+-][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}([.,][0-9]+)?)?)?)?")


@lru_cache(1 << 17)
def _day(text: str) -> int | None:
    match = _DAY_FORM.fullmatch(text)
    try:
        return None if match is None else (datetime.fromisoformat(text) - _WALL) // _TICK
    except ValueError:
        return None


@lru_cache(1 << 17)
def _time(text: str) -> int | None:
    match = _TIME_FORM.fullmatch(text)
    if match is None:
        return None
    hour, minute, second = map(int, match.groups())
    if hour > 23 or minute > 59 or second > 59:
        return None
    return (hour * 3600 + minute * 60 + second) * _SECOND


@lru_cache(1 << 10)
def _rest(text: str) -> tuple[int, bool] | None:
    """What a fraction and an offset add, and whether there is no offset."""
    if _REST_FORM.fullmatch(text) is None:
        return None
    try:
        found = datetime.fromisoformat(f"1970-01-02T00:00:00{text.upper()}")
    except ValueError:
        return None
    is_wall = found.tzinfo is None
    wall = found if is_wall else found.astimezone(UTC).replace(tzinfo=None)
    return (wall - _WALL - timedelta(days=1)) // _TICK, is_wall


def _other(text: str) -> tuple[int | None, int | None]:
    """The instant of a text, or the time on a wall."""
    try:
        return to_micros(parse_instant(text.strip(), "at")), None
    except NaiveTimeError as error:
        return None, (cast("datetime", error.value) - _WALL) // _TICK
    except InstantError:
        return None, None


class _Led:
    """Where instants lead, by the pieces of the half days that there are: see `calendars.pieces`."""

    def __init__(self, pieces: Callable[[Iterable[int]], Iterator[Piece]]) -> None:
        self.pieces = pieces
        self.known: dict[int, list[Piece]] = {}
        self.table = pl.DataFrame(schema=dict.fromkeys(("first", "last", "result", "slope"), pl.Int64))

    def learn(self, cells: Iterable[int]) -> None:
        """Find the pieces of more half days."""
        new = sorted(
            {cell for cell in cells if _EARLIEST // CELL <= cell <= _LATEST // CELL} - self.known.keys()
        )
        if not new:
            return
        self.known.update((cell, []) for cell in new)
        for piece in self.pieces(new):
            self.known[piece.cell].append(piece)
        found = [piece[1:] for cell in sorted(self.known) for piece in self.known[cell]]
        self.table = pl.DataFrame(found, schema=self.table.schema, orient="row")

    def of(self, starts: pl.Series) -> pl.Series:
        """Where each leads; none beyond time."""
        self.learn((starts // CELL).unique().drop_nulls().to_list())
        table = self.table
        if not table.height:
            return pl.repeat(None, starts.len(), dtype=pl.Int64, eager=True)
        place = table["first"].search_sorted(starts, side="right").cast(pl.Int64) - 1
        own = table[place.clip(0)]
        return pl.select(
            pl.when(place >= 0, starts <= own["last"]).then(
                own["result"] + own["slope"] * (starts - own["first"])
            )
        ).to_series()


class _Walls:
    """Times on the wall of a zone, counted as if they were in UTC."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.leads = _Led(calendar.instants_of)
        self.quiet: dict[int, bool] = {}
        """Half days near which no clock is turned."""

    def turned(self, walls: pl.Series) -> tuple[int, int]:
        """How many are shown twice, and how many are skipped."""
        cells = walls // CELL
        new = [cell for cell in cells.unique().to_list() if cell not in self.quiet]
        around = range(-_AROUND, _AROUND + 1)
        self.leads.learn({cell + step for cell in new for step in around})
        for cell in new:
            offsets = {self._offset(cell + step) for step in around}
            self.quiet[cell] = len(offsets) == 1 and None not in offsets
        odd = [cell for cell, quiet in self.quiet.items() if not quiet]
        repeated = skipped = 0
        for wall, count in walls.filter(cells.is_in(odd)).value_counts().iter_rows():
            shown_twice = self.calendar.is_repeated(from_micros(wall, "wall").replace(tzinfo=None))
            repeated += count if shown_twice is True else 0
            skipped += count if shown_twice is None else 0
        return repeated, skipped

    def _offset(self, cell: int) -> int | None:
        """How far the instants of a half day are from its times, if that is the same for all."""
        found = self.leads.known.get(cell, [])
        if len(found) != 1 or found[0].slope != 1 or found[0].last - found[0].first != CELL - 1:
            return None
        return found[0].result - found[0].first


# --- stays ------------------------------------------------------------------------


class _Watch:
    """Finds the stays of the cases of one part after the other, and counts like `casestate.replay.Watch`."""

    def __init__(
        self,
        reading: Reading,
        values: Iterable[_Value],
        counts: Counts,
        horizon: datetime,
        questions: Sequence[Question],
    ) -> None:
        policy = reading.policy
        self.counts = counts
        self.horizon = horizon
        self.questions = questions
        self.states = policy.states
        numbers = {state: number for number, state in enumerate(self.states)}
        statuses = [state.partition(".")[0] for state in self.states]
        self.status_of = pl.Series([statuses.index(status) for status in statuses], dtype=pl.Int64)
        self.work = pl.Series([has_work(policy, state) for state in self.states], dtype=pl.Boolean)
        self.touch = reading.restart == "touch"
        meanings = [cast("Meaning", reading.meaning(*value)) for value in values]
        self.plain = all(first == later for first, later in meanings)
        self.first, self.later = (
            pl.Series([None if state is None else numbers[state] for state in found], dtype=pl.Int64)
            for found in zip(*meanings, strict=True)
        )
        self.timers = [
            (number, _Firings(schedule), index, timer)
            for number, schedule in enumerate(schedules(policy).values())
            for index, timer in enumerate(schedule.timers)
        ]
        self.names = pl.Series([timer.name for *_, timer in self.timers], dtype=pl.String)
        self.kinds = pl.Series([timer.kind for *_, timer in self.timers], dtype=pl.String)
        self.moving = [number for number, (*_, timer) in enumerate(self.timers) if timer.to is not None]
        self.closing = [
            number
            for number, (state, *_, timer) in enumerate(self.timers)
            if timer.kind == "close" and not policy.is_closed(self.states[state])
        ]
        self.tally = self._tally()
        self.answers = [
            _Answer(number, question, numbers, to_micros(horizon))
            for number, question in enumerate(questions)
        ]

    def _tally(self) -> Tally:
        return Tally(
            counts=self.counts, horizon=self.horizon, what_ifs=tuple(map(WhatIfTally, self.questions))
        )

    def part(self, rows: pl.DataFrame, kept: _Kept | None) -> None:
        """Count all rows of some cases, and hand on what would have been done."""
        codes, cases = _categories(rows["case"])
        places = rows["row"].filter(codes.is_first_distinct())
        stays = self._stays(self._in_order(rows.drop("case").with_columns(code=codes)))
        tally = self._tally()
        self._count_stays(stays, tally)
        self.counts.ignored_cases += places.len() - tally.cases
        for answer in self.answers:
            answer.count(stays, tally)
        actions = self._actions(stays)
        departures = self._count_actions(actions, tally)
        self.tally.add(tally)
        if kept is not None:
            of_case = {"place": places.gather(actions["code"]), "case_id": cases.gather(actions["code"])}
            kept.add(
                actions.select(
                    place=of_case["place"],
                    case_id=of_case["case_id"],
                    stay=pl.col("stay"),
                    timer=pl.lit(self.names).gather(pl.col("timer")),
                    kind=pl.lit(self.kinds).gather(pl.col("timer")),
                    entered_at=pl.col("entered").cast(_INSTANT),
                    due_at=pl.col("due").cast(_INSTANT),
                    left_at=pl.col("left").cast(_INSTANT),
                    left_to=pl.lit(pl.Series(self.states, dtype=pl.String)).gather(pl.col("following")),
                ),
                pl.DataFrame(
                    {
                        "place": places.gather(departures["code"]),
                        "case_id": cases.gather(departures["code"]),
                        "at": departures["due"].cast(_INSTANT),
                    }
                ),
            )

    def _in_order(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows by case, instant, order, and as they came; what had to be done for that is counted."""
        by = [name for name in ("order",) if name in rows.columns]
        if not by and rows["at"].is_sorted():
            rows = rows.sort("code", maintain_order=True)
        else:
            rows = rows.sort("code", "at", *by, maintain_order=True)
        same = {name: pl.col(name) == pl.col(name).shift(1) for name in rows.columns}
        late = pl.col("row") < pl.col("row").shift(1)
        again = same["code"] & same["at"] & same["value"]
        for name in by:
            late = (pl.col(name) < pl.col(name).shift(1)) | (same[name] & late)
        found = rows.select(late=(same["code"] & late).sum(), again=again.sum())
        self.counts.out_of_order += found["late"].item()
        self.counts.duplicates += found["again"].item()
        return rows.select(
            "code",
            "at",
            first=pl.lit(self.first).gather(pl.col("value")),
            later=pl.lit(self.later).gather(pl.col("value")),
        )

    def _stays(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The stays of all cases, one after the other."""
        rows = self._with_states(rows)
        read = rows.filter(pl.col("state").is_not_null())
        self.counts.ignored += rows.height - read.height
        new = pl.col("code").ne_missing(pl.col("code").shift(1))
        if not self.touch:
            read = read.filter(new | (pl.col("state") != pl.col("state").shift(1)))
        number = pl.int_range(pl.len())
        found = read.select(
            "code",
            "state",
            entered=pl.col("at"),
            new=new,
            stay=number - pl.when(new).then(number).forward_fill() + 1,
            ends=new.shift(-1).fill_null(value=True),
        ).with_columns(
            following=pl.when(~pl.col("ends")).then(pl.col("state").shift(-1)),
            left=pl.when(~pl.col("ends")).then(pl.col("entered").shift(-1)),
        )
        before = pl.col("state").shift(1)
        status_of = pl.lit(self.status_of)
        after = (
            pl.when("ends")
            .then(pl.lit(_NONE))
            .when(pl.lit(self.work).gather(pl.col("following")))
            .then("left")
            .backward_fill()
        )
        previous = (
            pl.when("new")
            .then(pl.lit(-1))
            .when(status_of.gather(before) != status_of.gather(pl.col("state")))
            .then(before)
            .forward_fill()
        )
        if self.touch:  # one may be followed by others of its own state alone
            moves_on = pl.col("following") != pl.col("state")
            told = pl.when(moves_on).then(statement=True).when("ends").then(statement=False)
            goes_on = told.backward_fill()
        else:
            goes_on = ~pl.col("ends")
        return found.with_columns(
            goes_on=goes_on,
            later=pl.when(after != _NONE).then(after),
            previous=previous,
            until=pl.col("left").fill_null(to_micros(self.horizon) + 1),
        )

    def _with_states(self, rows: pl.DataFrame) -> pl.DataFrame:
        """What each row means in its case: as long as the case has been in no other state, or later."""
        if self.plain:
            return rows.with_columns(state="first")
        new = pl.col("code").ne_missing(pl.col("code").shift(1))
        is_read = pl.col("first").is_not_null()
        # -1 until the case is in any state, then that state.
        only = (
            pl.when(is_read & _is_first(is_read, new)).then("first").when(new).then(pl.lit(-1)).forward_fill()
        )
        rows = rows.with_columns(new=new, only=only)
        is_same = pl.col("first").eq_missing(pl.col("only"))
        moves = ((pl.col("only") >= 0) & ~is_same & (pl.col("later") != pl.col("only"))).fill_null(
            value=False
        )
        rows = rows.with_columns(moves=moves)
        return rows.select(
            "code",
            "at",
            state=pl.when(pl.col("only") < 0)
            .then(None)
            .when(is_same & _is_first(pl.col("moves"), pl.col("new")))
            .then("first")
            .otherwise("later"),
        )

    # --- what would have been done ---

    def _actions(self, stays: pl.DataFrame) -> pl.DataFrame:
        """The timers that would have fired, by case, stay and timer; these by number."""
        of_stay = ("code", "stay", "entered", "left", "following", "goes_on", "later", "until")
        columns = ("number", *of_stay, "due")
        stays = stays.select(*of_stay, "state", number=pl.int_range(pl.len()))
        found: list[pl.DataFrame] = []
        for state, timers in groupby(enumerate(self.timers), key=lambda each: each[1][0]):
            here = stays.filter(pl.col("state") == state)
            for number, (_, firings, index, _) in timers:
                here = firings.fired(index, here)
                found.append(here.select(*columns, timer=pl.lit(number, pl.Int64)))
        if not found:
            return stays.clear().select(*columns[:-1], due="entered", timer="number")
        return pl.concat(found).sort("number", "timer")

    def _count_actions(self, actions: pl.DataFrame, tally: Tally) -> pl.DataFrame:
        """Count what would have been done; return when each case would first have been moved."""
        due = pl.col("due").cast(_INSTANT)
        months = actions.group_by("timer", year=due.dt.year(), month=due.dt.month()).len()
        for timer, year, month, count in months.iter_rows():
            tally.actions[self.names[timer], f"{year:04}-{month:02}"] += count
        is_first = pl.col("code").is_first_distinct()
        departures = actions.filter(pl.col("timer").is_in(self.moving)).filter(is_first).select("code", "due")
        tally.departed = departures.height
        after = actions.join(departures.rename({"due": "departed"}), on="code")
        tally.beyond = after.select((pl.col("entered") > pl.col("departed")).sum()).item()
        closures = actions.filter(pl.col("timer").is_in(self.closing)).filter(is_first)
        outcomes = closures.group_by("timer", "goes_on", worked_on=pl.col("later").is_not_null()).len()
        for timer, goes_on, worked_on, count in outcomes.iter_rows():
            tally.closures[self.names[timer], outcome(goes_on, worked_on)] += count
        return departures

    def _count_stays(self, stays: pl.DataFrame, tally: Tally) -> None:
        tally.stays = stays.height
        begun = stays.filter("new")["state"]
        tally.cases = begun.len()
        for state, count in begun.value_counts().iter_rows():
            tally.beginnings[self.states[state]] += count
        size = len(self.states)
        lasted = pl.col("left").fill_null(to_micros(self.horizon)) - pl.col("entered")
        seconds = ((lasted + _SECOND - 1) // _SECOND).clip(0)
        *steps, (_, step) = STEPS
        per = pl.lit(step)
        for below, step in reversed(steps):
            per = pl.when(seconds < below).then(step).otherwise(per)
        following = pl.col("following")
        ending = (
            pl.when(following.is_null())
            .then(2)
            .when(pl.lit(self.work).gather(following))
            .then(0)
            .otherwise(1)
        )
        keys = stays.select(
            lasted=(((seconds + per - 1) // per * per) * 3 + ending) * size + pl.col("state"),
            move=(pl.col("state") * size + following) * (size + 1) + pl.col("previous") + 1,
        )
        ended = (
            keys["lasted"]
            .value_counts()
            .select(
                pl.lit(pl.Series(self.states)).gather(pl.col("lasted") % size),
                pl.lit(pl.Series(_ENDINGS)).gather(pl.col("lasted") // size % 3).alias("ending"),
                (pl.col("lasted") // size // 3).alias("seconds"),
                "count",
            )
        )
        *parts, counts = (column.to_list() for column in ended)
        tally.durations = Counter(dict(zip(zip(*parts, strict=True), counts, strict=True)))
        key: int
        for key, count in keys["move"].drop_nulls().value_counts().iter_rows():
            rest, previous = divmod(key, size + 1)
            source, target = divmod(rest, size)
            states = self.states[source], self.states[target]
            tally.moves[*states, self.states[previous - 1] if previous else None] += count


def _is_first(happens: pl.Expr, new: pl.Expr) -> pl.Expr:
    """Whether it has not happened in an earlier row of the case; ``new`` is the first row of each."""
    before = happens.cast(pl.Int64).cum_sum() - happens.cast(pl.Int64)
    return before == pl.when(new).then(before).forward_fill()


class _Firings:
    """When the timers of a schedule fire, for many entries at once."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.offsets = None if schedule.offsets is None else [offset // _TICK for offset in schedule.offsets]
        self.leads: dict[int, _Led] = {}

    def fired(self, index: int, stays: pl.DataFrame) -> pl.DataFrame:
        """The stays in which a timer fires before they end, and when it is due."""
        nominal = self.schedule.timers[index].after.nominal
        # What a stay is far too short for is not worth asking a calendar.
        least = min((nominal - SLACK) // _TICK, _LATEST)
        stays = stays.filter(pl.col("until") - pl.col("entered") >= least)
        due = self.of(index, stays["entered"])
        return stays.with_columns(due=due).filter(pl.col("due") < pl.col("until"))

    def of(self, index: int, entered: pl.Series) -> pl.Series:
        """When a timer fires; none, or beyond time, if it never does."""
        if self.offsets is not None:
            if index < len(self.offsets):
                return entered + self.offsets[index]
            return pl.repeat(None, entered.len(), dtype=pl.Int64, eager=True)
        if index not in self.leads:
            self.leads[index] = _Led(lambda cells: self.schedule.pieces(index, cells))
        return self.leads[index].of(entered)


class _Answer:
    """Counts for every length of a question, as `casestate.replay` does for one case after the other."""

    def __init__(self, number: int, question: Question, states: Mapping[str, int], horizon: int) -> None:
        self.number = number
        self.horizon = horizon
        self.timers = [
            (
                states[state],
                length,
                index,
                timer.kind,
                timer.kind == "close" and state in question.closing,
                firings,
            )
            for state, variants in question.schedules.items()
            for length, schedule in enumerate(variants)
            for firings in [_Firings(schedule)]
            for index, timer in enumerate(schedule.timers)
        ]

    def count(self, stays: pl.DataFrame, tally: Tally) -> None:
        """Count the stays in states of the question's timer."""
        mine = tally.what_ifs[self.number]
        stays = stays.select("code", "state", "entered", "until", "later", number=pl.int_range(pl.len()))
        closed: dict[int, list[pl.DataFrame]] = {}
        for state, timers in groupby(self.timers, key=lambda each: each[0]):
            here = stays.filter(pl.col("state") == state)
            for _, length, index, kind, closes, firings in timers:
                fired = firings.fired(index, here)
                mine.kinds[length][kind] += fired.height
                if closes:
                    closed.setdefault(length, []).append(fired)
        for length, parts in closed.items():
            found = pl.concat(parts).sort("number").filter(pl.col("code").is_first_distinct())
            back = (pl.col("later") - _WITHIN <= pl.col("due")).fill_null(value=False)
            seen = pl.col("due") <= self.horizon - _WITHIN
            came_back, followed = found.select((back & seen).sum(), seen.sum().alias("seen")).row(0)
            mine.closed[length] += found.height
            mine.came_back[length] += came_back
            mine.followed[length] += followed


# --- files ------------------------------------------------------------------------


def scan_log(path: str | os.PathLike[str], form: Form) -> pl.LazyFrame:
    """A file of a log as a lazy frame for `replay`: CSV, all of it text; JSON Lines, text and whole numbers;
    Parquet.

    Raises `LogError` for a file that cannot be read, and for one that a reader line by line may read
    otherwise: CSV with empty lines, rows that are too short or too long, quotes within cells, names that are
    there twice; JSON Lines with cells of other types. Some of that `replay` alone finds out.
    """
    with _reading():
        if form == "csv":
            return _csv(Path(path))
        if form == "jsonl":
            return _json_lines(Path(path))
        found = pl.scan_parquet(Path(path), glob=False)
        found.collect_schema()
        return found


def _refused(what: str) -> LogError:
    return LogError("log", [Problem("", f"cannot be read as a whole: {what}")])


def _csv(path: Path) -> pl.LazyFrame:
    found = pl.scan_csv(path, infer_schema=False, glob=False)
    names = found.collect_schema().names()
    with path.open("rb") as file:
        (header,) = csv.reader([file.readline().decode("utf-8-sig")])
    if header != names or names != [name.strip() for name in names]:
        raise _refused("its header is not one line of different names")
    marks = _Marks(path)
    if len(names) == 1 or marks.has_odd_ends:
        raise _refused("it has one column, or lines that end otherwise")
    if marks.quotes:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            marks.without(cell.group() for cell in _QUOTED.finditer(data))
    if marks.quotes:
        raise _refused("it has quotes within cells")
    if marks.commas != marks.lines * (len(names) - 1):
        raise _refused("it has rows that are too short or too long")
    # A row that is too long is found by Polars only if all columns are read.
    return found.map_batches(lambda frame: frame, projection_pushdown=False, streamable=True)


READ: Final = 1 << 20
"""How many bytes are read at a time; the first of JSON Lines say which names and types there are."""
_QUOTED: Final = re.compile(rb'(?:(?<=[,\n])|\A)"(?:[^"]++|"")*+"(?=[,\r\n]|\Z)')


class _Marks:
    """What stands how often in a file of CSV."""

    def __init__(self, path: Path) -> None:
        self.commas = self.quotes = self.lines = returns = ends = 0
        end = b""
        with path.open("rb") as file:
            while data := file.read(READ):
                self.commas += data.count(b",")
                self.quotes += data.count(b'"')
                self.lines += data.count(b"\n")
                if end == b"\r" or b"\r" in data:
                    returns += data.count(b"\r")
                    ends += (end + data).count(b"\r\n")  # one may be cut
                end = data[-1:]
        self.lines += end != b"\n"
        self.has_odd_ends = returns != ends

    def without(self, cells: Iterable[bytes]) -> None:
        """Leave out what stands in these cells."""
        for cell in cells:
            self.commas -= cell.count(b",")
            self.quotes -= cell.count(b'"')
            self.lines -= cell.count(b"\n")


def _json_lines(path: Path) -> pl.LazyFrame:
    sample: dict[str, object] = {}
    for rows in islice(_json_rows(path), 1):
        for row in rows:
            sample |= {name: value for name, value in row.items() if sample.get(name) is None}
    # Whole numbers are of a kind that is not taken for instants.
    schema: dict[str, Any] = {
        name: pl.String if isinstance(value, str | None) else pl.Int128 for name, value in sample.items()
    }

    return register_io_source(partial(json_batches, path, schema), schema=schema)


def json_batches(
    path: Path,
    schema: Mapping[str, Any],
    wanted: list[str] | None,
    predicate: pl.Expr | None,
    n_rows: int | None,
    size: int | None,  # noqa: ARG001 - a hint
) -> Iterator[pl.DataFrame]:
    """The lines of a file as Polars asks for them."""
    for rows in _json_rows(path):
        own = rows if n_rows is None else rows[:n_rows]
        n_rows = None if n_rows is None else n_rows - len(own)
        if any(name not in schema for row in own for name in row):
            raise _refused("its first rows have not all of the names")
        names = schema if wanted is None else wanted
        found = pl.DataFrame({name: _json_cells(own, name, schema[name]) for name in names}, height=len(own))
        yield found if predicate is None else found.filter(predicate)


def _json_rows(path: Path) -> Iterator[list[dict[str, Any]]]:
    with path.open("rb") as file:
        while lines := file.readlines(READ):
            yield [_json_object(line) for line in lines]


def _json_object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.decode(), parse_constant=_no_number)
        if b"\\u" in line:  # half a letter is none
            json.dumps(found, ensure_ascii=False).encode()
    except ValueError as error:
        raise _refused(f"a line is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise _refused(f"a line is no object, but {shown(found)}")
    return cast("dict[str, Any]", found)


def _no_number(name: str) -> NoReturn:
    message = f"{name} is no number"
    raise ValueError(message)


def _json_cells(rows: Sequence[Mapping[str, Any]], name: str, dtype: Any) -> pl.Series:  # noqa: ANN401 - a type
    cells = [row.get(name) for row in rows]
    try:
        found = pl.Series(cells, dtype=dtype, strict=True)
    except (TypeError, OverflowError):
        found = None
    if found is None or any(cell is True or cell is False for cell in cells):
        raise _refused(f"{name!r} has cells that are neither all text nor all whole numbers")
    return found
