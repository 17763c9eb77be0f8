"""Frames on the engines of clusters: the same answers on Spark, in a session far from UTC, and on Dask."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pytest

from hypothesis import given, settings

from casestate import Workflow
from equipment import absent
from frame_rows import INSTANTS, SCHEMA, agree, polars_frame, situations, to_dask


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import DataFrame, SparkSession

    from casestate import Policy
    from frame_rows import Row

ROOT: Final = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore:Dask support is moving:FutureWarning"),
]


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    """A session of two threads, whose clocks are turned in March and November."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        absent("Java", "install a JRE, such as Debian's openjdk-17-jre-headless")
    from pyspark.sql import SparkSession  # noqa: PLC0415 - it starts a JVM

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "America/New_York")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def into(spark: SparkSession) -> Callable[[pl.DataFrame], DataFrame]:
    """What makes Spark frames of those of Polars."""
    types = {"String": "string", "Int64": "bigint"}

    def to_spark(frame: pl.DataFrame) -> DataFrame:
        schema = ", ".join(
            f"{name} {types.get(str(dtype), 'bigint')}" for name, dtype in frame.schema.items()
        )
        rows = frame.with_columns(
            frame[name].to_physical() for name in INSTANTS if name in frame.columns
        ).rows()
        made = spark.createDataFrame(rows, schema)
        instants = [name for name in INSTANTS if str(frame.schema.get(name)).startswith("Datetime")]
        columns = [
            f"timestamp_micros({name}) AS {name}" if name in instants else name for name in frame.columns
        ]
        return made.selectExpr(*columns)

    return to_spark


@given(situation=situations(most=60))
@settings(max_examples=8)
def test_a_spark_frame_says_what_the_objects_say(
    spark: SparkSession, situation: tuple[Policy, list[Row], datetime]
) -> None:
    policy, rows, now = situation
    agree(into(spark), rows, Workflow(policy), now)


@given(situation=situations(most=60))
@settings(max_examples=8)
def test_a_dask_frame_says_what_the_objects_say(situation: tuple[Policy, list[Row], datetime]) -> None:
    policy, rows, now = situation
    agree(to_dask, rows, Workflow(policy), now)


# --- the examples ----------------------------------------------------------------


NOW: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """A Parquet file of good cases and a bad one."""
    entered_at = NOW - timedelta(days=30)
    plain = {**dict.fromkeys(SCHEMA), "entered_at": entered_at, "stay": 2}
    rows = [
        {**plain, "case_id": "C-1", "status": "pending", "sub_status": "customer_input", "mark": "a"},
        {**plain, "case_id": "C-2", "status": "reopened", "mark": "b"},
        {**plain, "case_id": "C-3", "status": "new", "mark": "c"},
        {**plain, "case_id": "C-4", "status": "nex", "mark": "d"},
    ]
    path = tmp_path / "cases.parquet"
    polars_frame(rows).write_parquet(path)
    return path


def example(name: str, *arguments: str | Path) -> str:
    """What an example prints."""
    script = ROOT / "examples" / name
    command = [sys.executable, str(script), *map(str, arguments), "--now", "2026-11-20T12:00:00Z"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


WRITTEN: Final = "2 due at 2026-11-20 12:00:00+00:00\n1 rejects\n"


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_the_spark_example_writes_what_is_due(cases: Path, tmp_path: Path, form: str) -> None:
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        absent("Java", "install a JRE, such as Debian's openjdk-17-jre-headless")
    due = tmp_path / "due"
    assert example("spark_sweep.py", cases, due, "--form", form) == WRITTEN
    assert {folder.name for folder in due.glob("kind=*")} == {"kind=close", "kind=notify"}
    read: Any = {"parquet": pl.read_parquet, "json": pl.read_ndjson}[form]
    keys = [key for file in due.glob(f"kind=*/*.{form}") for key in read(file)["key"]]
    assert sorted(keys) == ["C-1:2:close_pending", "C-2:2:notify_reopened"]


def test_the_dask_example_writes_what_is_due(cases: Path, tmp_path: Path) -> None:
    due = tmp_path / "due"
    assert example("dask_sweep.py", cases, due) == WRITTEN
    assert sorted(pl.read_parquet(f"{due}/*.parquet")["key"]) == [
        "C-1:2:close_pending",
        "C-2:2:notify_reopened",
    ]
