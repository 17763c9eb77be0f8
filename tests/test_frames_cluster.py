"""Frames on the engines that clusters run: the same answers on Spark, in a session far from UTC, and on Dask."""

from __future__ import annotations

import os
import shutil

from typing import TYPE_CHECKING, Any

import pytest

from hypothesis import given, settings

from casestate import Workflow
from equipment import absent
from frame_rows import INSTANTS, agree, situations, to_dask


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import polars as pl

    from pyspark.sql import DataFrame, SparkSession

    from casestate import Policy
    from frame_rows import Row

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
