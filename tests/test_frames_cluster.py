"""Frames on the engines of clusters: the same answers on Spark, in a session far from UTC, and on Dask."""

from __future__ import annotations

import subprocess
import sys

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pytest

from hypothesis import given, settings

from casestate import Workflow
from equipment import need_java, spark_session
from frame_rows import INSTANTS, SCHEMA, agree, polars_frame, situations, to_dask


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

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
    """A session for all tests here."""
    with spark_session() as session:
        yield session


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


def run(name: str, *arguments: str | Path, now: str = "2026-11-20T12:00:00Z") -> CompletedProcess[str]:
    if name == SPARK:
        need_java()
    command = [sys.executable, str(ROOT / "examples" / name), *map(str, arguments), "--now", now]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def printed(done: CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(done: CompletedProcess[str]) -> str:
    """What an example says of itself, in one line, before it ends with 2."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    problem = done.stderr.splitlines()[-1]
    beginning = f"{Path(done.args[1]).name}: error: "
    assert problem.startswith(beginning)
    return problem.removeprefix(beginning)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


SPARK: Final = "spark_sweep.py"
DASK: Final = "dask_sweep.py"
EXAMPLES: Final = pytest.mark.parametrize("name", [SPARK, DASK])
KEYS: Final = ["C-1:2:close_pending", "C-2:2:notify_reopened"]
WRITTEN: Final = "2 due at 2026-11-20 12:00:00+00:00\n1 rejects\n"


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_the_spark_example_writes_what_is_due(cases: Path, tmp_path: Path, form: str) -> None:
    due = tmp_path / "due"
    assert printed(run(SPARK, cases, due, "--form", form)) == WRITTEN
    assert {folder.name for folder in due.glob("kind=*")} == {"kind=close", "kind=notify"}
    read: Any = {"parquet": pl.read_parquet, "json": pl.read_ndjson}[form]
    found = [read(file) for file in due.glob(f"kind=*/*.{form}")]
    assert sorted(key for frame in found for key in frame["key"]) == KEYS
    if form == "parquet":
        assert {frame.schema["due_at"] for frame in found} == {pl.Datetime("us", "UTC")}


def test_the_dask_example_writes_what_is_due(cases: Path, tmp_path: Path) -> None:
    due = tmp_path / "due"
    assert printed(run(DASK, cases, due)) == WRITTEN
    found = pl.read_parquet(f"{due}/*.parquet")
    assert sorted(found["key"]) == KEYS
    assert found.schema["due_at"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize(
    ("name", "options"), [(SPARK, []), (SPARK, ["--form", "json"]), (DASK, [])], ids=["spark", "json", "dask"]
)
def test_an_example_counts_nothing_where_nothing_is_due(
    cases: Path, tmp_path: Path, name: str, options: list[str]
) -> None:
    done = run(name, cases, tmp_path / "due", *options, now="2020-01-01T00:00:00Z")
    assert printed(done) == "0 due at 2020-01-01 00:00:00+00:00\n1 rejects\n"


@EXAMPLES
@pytest.mark.parametrize("due", ["lake/cases", "lake", "lake/cases/part.parquet"])
def test_an_example_writes_over_nothing_that_is_there(
    cases: Path, tmp_path: Path, name: str, due: str
) -> None:
    folder = tmp_path / "lake" / "cases"
    folder.mkdir(parents=True)
    cases.rename(folder / "part.parquet")
    before = contents(tmp_path)
    assert f"{tmp_path / due} already exists" in refused(run(name, folder, tmp_path / due))
    assert contents(tmp_path) == before


@EXAMPLES
def test_an_example_tells_of_cases_that_are_not_there(tmp_path: Path, name: str) -> None:
    nowhere, due = tmp_path / "nowhere", tmp_path / "due"
    done = run(name, nowhere, due)
    assert str(nowhere) in (problem := refused(done))
    assert "not exist" in problem
    assert "\tat " not in done.stderr  # no trace of Java's either
    assert not due.exists()


@EXAMPLES
def test_an_example_tells_of_a_file_that_is_no_parquet(tmp_path: Path, name: str) -> None:
    path, due = tmp_path / "cases.csv", tmp_path / "due"
    path.write_text("case_id,status\n")
    assert str(path) in refused(run(name, path, due))
    assert not due.exists()


@EXAMPLES
@pytest.mark.parametrize(
    ("options", "now", "problem"),
    [
        ([], "tomorrow", "now: an instant is an aware datetime"),
        ([], "2026-11-20T12:00:00", "now: 2026-11-20 12:00:00 has no time zone"),
        (["--policy", "sub-statu"], "2026-11-20T12:00:00Z", "sub-statu: cannot be read: "),
    ],
)
def test_an_example_tells_of_an_option_that_cannot_be(
    cases: Path, tmp_path: Path, name: str, options: list[str], now: str, problem: str
) -> None:
    done = run(name, cases, tmp_path / "due", *options, now=now)
    assert refused(done).startswith(problem)
    assert done.stderr.count("\n") == 1  # told before an engine starts


@pytest.mark.skipif(find_spec("distributed") is not None, reason="distributed is installed")
def test_the_dask_example_tells_what_a_scheduler_needs(cases: Path, tmp_path: Path) -> None:
    done = run(DASK, cases, tmp_path / "due", "--scheduler", "tcp://127.0.0.1:8786")
    assert refused(done) == "No module named 'distributed'"
    assert done.stderr.count("\n") == 1
