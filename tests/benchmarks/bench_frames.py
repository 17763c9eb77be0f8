"""Ten million cases in a frame: beside the predicate by hand, the objects, and one thread of Spark.

Polars and Spark use every core, so here the clock on the wall counts.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import time

from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from casestate import Case, Workflow, frames, policies

from .measure import Row, at_least, at_most, for_scale, interleaved, waited_for


if TYPE_CHECKING:
    from collections.abc import Iterator

NOW: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CASES: Final = 10_000_000
OBJECTS: Final = 1_000_000
DUE: Final = 0.006
DAY: Final = 86_400
SPARK_TIMES: Final = 5
SPARK_ROUNDS: Final = 3
SPARK_TURNS: Final = 3


def some_cases(count: int) -> pl.DataFrame:
    """Cases in every state of open-resolved that lasts, of which a share of `DUE` are due at `NOW`."""
    number = pl.col("number")
    step = round(1 / DUE)
    overdue, odd = number % step == 0, number // step % 2 == 1
    fresh = pl.Series(["open", "in_progress", "resolved", "pending_customer"])
    days = pl.when(overdue).then(pl.when(odd).then(14).otherwise(7)).otherwise(number % 6)
    seconds = days.cast(pl.Int64) * DAY + number % DAY + 1
    return (
        pl.select(number=pl.int_range(count, dtype=pl.Int64))
        .select(
            case_id=pl.format("C-{}", number),
            status=pl.when(overdue & odd)
            .then(pl.lit("pending_customer"))
            .when(overdue)
            .then(pl.lit("resolved"))
            .otherwise(pl.lit(fresh).gather(number % 4)),
            sub_status=pl.lit(None, pl.String),
            entered_at=pl.lit(NOW).cast(pl.Datetime("us", "UTC")) - pl.duration(seconds=seconds),
            stay=number % 7 + 1,
            policy=pl.lit("open-resolved"),
        )
        .with_columns(settled=pl.when(pl.col("status") == "pending_customer").then(pl.lit("notify_pending")))
        .with_columns(settled_at=pl.when(pl.col("settled").is_not_null()).then("entered_at"))
        .rechunk()
    )


def by_hand(cases: pl.LazyFrame) -> pl.LazyFrame:
    """The predicate of open-resolved, as one writes it down."""
    status, settled, entered_at = pl.col("status"), pl.col("settled"), pl.col("entered_at")
    waiting = status == "pending_customer"
    return cases.filter(
        ((status == "resolved") & settled.is_null() & (entered_at <= NOW - timedelta(days=7)))
        | (waiting & settled.is_null() & (entered_at <= NOW))
        | (waiting & (settled == "notify_pending") & (entered_at <= NOW - timedelta(days=14)))
    )


def to_objects(cases: pl.DataFrame) -> list[Case]:
    columns = ("case_id", "status", "entered_at", "policy", "stay", "settled", "settled_at")
    return [
        Case(
            id=case_id,
            status=status,
            entered_at=entered_at,
            policy=policy,
            stay=stay,
            settled=settled,
            settled_at=settled_at,
        )
        for case_id, status, entered_at, policy, stay, settled, settled_at in cases.select(
            columns
        ).iter_rows()
    ]


def on_polars(file: Path) -> Iterator[Row]:
    """A sweep of a frame in memory and of a file, against the predicate by hand and the objects."""
    desk = Workflow(policies.OPEN_RESOLVED)
    cases = pl.read_parquet(file)
    objects = to_objects(cases.head(OBJECTS))
    gc.collect()
    gc.freeze()
    gc.disable()

    def framed() -> int:
        due: pl.DataFrame = frames.due(cases, desk, now=NOW)
        return due.height

    def hand_written() -> int:
        return by_hand(cases.lazy()).collect().height

    def over_objects() -> int:
        return sum(1 for _ in desk.due(objects, now=NOW))

    def streamed() -> int:
        due: pl.LazyFrame = frames.due(pl.scan_parquet(file), desk, now=NOW)
        return due.collect(engine="streaming").height

    def read_and_made() -> int:
        made = to_objects(pl.read_parquet(file, n_rows=OBJECTS))
        return sum(1 for _ in desk.due(made, now=NOW))

    found = framed()
    if not found == hand_written() == streamed() or abs(over_objects() * CASES / OBJECTS / found - 1) > 0.01:
        raise AssertionError("they do not find the same")
    seconds = interleaved(
        {
            "framed": waited_for(framed),
            "hand": waited_for(hand_written),
            "objects": waited_for(over_objects),
            "streamed": waited_for(streamed),
        },
        rounds=9,
    )
    made = interleaved({"made": waited_for(read_and_made)}, rounds=1)["made"]
    gc.enable()
    gc.unfreeze()
    each = {name: passed / CASES for name, passed in seconds.items()}
    each["objects"], each["made"] = seconds["objects"] / OBJECTS, made / OBJECTS
    yield for_scale(
        f"frames.due on Polars, 10^7 rows, {found / CASES:.1%} due", f"{seconds['framed'] * 1e3:.0f} ms"
    )
    yield at_most("the same / the predicate by hand, one OR", each["framed"] / each["hand"], 1.5)
    yield at_least(
        "Workflow.due on objects that exist / the same, per case", each["objects"] / each["framed"], 5
    )
    yield for_scale("the same from Parquet, streaming", f"{seconds['streamed'] * 1e3:.0f} ms")
    yield at_least(
        "Parquet made objects, and Workflow.due / the same from Parquet, per case",
        each["made"] / each["streamed"],
        50,
    )


def in_a_process(*arguments: str) -> Any:  # noqa: ANN401 - what it prints as JSON
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_frames", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=1200,
    )
    return json.loads(done.stdout.splitlines()[-1])


def peak(path: str) -> float:
    """Megabytes that a process has held at most, when it has streamed a file."""
    due: pl.LazyFrame = frames.due(pl.scan_parquet(path), Workflow(policies.OPEN_RESOLVED), now=NOW)
    if not due.collect(engine="streaming").height:
        raise AssertionError("nothing is due")
    status = Path("/proc/self/status").read_text(
        encoding="ascii"
    )  # what getrusage says begins with the parent's
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def memory(file: Path, small: Path) -> Iterator[Row]:
    size = file.stat().st_size / 1e6
    yield for_scale(
        f"peak memory of that, streaming from a file of {size:.0f} MB; the same of 10^5 rows",
        f"{in_a_process('peak', str(file)):.0f} MB; {in_a_process('peak', str(small)):.0f} MB",
    )


def spark_seconds(threads: str, folder: str) -> float:
    """The median seconds of a sweep of the folder, on so many threads."""
    from pyspark.sql import SparkSession  # noqa: PLC0415 - it starts a JVM

    spark = (
        SparkSession.builder.master(f"local[{threads}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    desk = Workflow(policies.OPEN_RESOLVED)

    def seconds() -> float:
        start = time.perf_counter()
        cases = spark.read.parquet(*[folder] * SPARK_TIMES)  # enough for what a job costs by itself
        frames.due(cases, desk, now=NOW).write.mode("overwrite").format("noop").save()
        return time.perf_counter() - start

    for _ in range(SPARK_ROUNDS):  # the JVM compiles what it has seen often enough
        seconds()
    found = median(seconds() for _ in range(SPARK_ROUNDS))
    spark.stop()
    return found


def on_spark(folder: Path) -> Iterator[Row]:
    """A sweep of eight files on one thread, and on two; a JVM each, in turns."""
    turns = [
        [in_a_process("spark", threads, str(folder)) for threads in ("1", "2")] for _ in range(SPARK_TURNS)
    ]
    one, two = (median(turn[number] for turn in turns) for number in (0, 1))
    yield for_scale(f"frames.due on PySpark local[2], {SPARK_TIMES} x 10^7 rows", f"{two * 1e3:.0f} ms")
    yield at_least("PySpark local[1] / local[2]", one / two, 1.6)


def rows() -> Iterator[Row]:
    """The rows of the table, measured one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        file, small, parts = (Path(folder, name) for name in ("cases.parquet", "small.parquet", "parts"))
        cases = some_cases(CASES)
        cases.write_parquet(file)
        cases.head(100_000).write_parquet(small)
        parts.mkdir()
        for number, part in enumerate(cases.iter_slices(CASES // 8)):
            part.write_parquet(parts / f"{number}.parquet")
        del cases
        yield from on_polars(file)
        yield from memory(file, small)
        yield from on_spark(parts)


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    measured: Any = {"peak": peak, "spark": spark_seconds}[what]
    print(json.dumps(measured(*arguments)))
