"""A sweep on Spark: reads cases from Parquet, writes what is due, and counts the rows that are no cases.

On this machine, with two threads (`pip install 'casestate[frames]' pyspark`, and Java):

    python examples/spark_sweep.py cases.parquet due --now 2026-11-20T12:00:00Z

and on a cluster, unchanged: ``spark-submit spark_sweep.py hdfs:///cases hdfs:///due``. What is due
stands in one folder for each kind of action (``due/kind=close``), as Parquet or, with ``--form json``,
as JSON Lines. Send, close and settle from there; ``key`` is the idempotency key. Nothing is overwritten:
give each sweep a folder of its own.
"""

from __future__ import annotations

import argparse
import os

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it has no types
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from casestate import CasestateError, Workflow, frames, load_policy, utc_now
from casestate.clock import parse_instant


def sweep(options: argparse.Namespace) -> None:
    desk = Workflow(load_policy(options.policy))
    now = utc_now() if options.now is None else parse_instant(options.now, "now")

    # Left to itself Spark writes timestamps that others read without their zone.
    builder = SparkSession.builder.appName("casestate").config(
        "spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS"
    )
    if "SPARK_ENV_LOADED" not in os.environ:  # spark-submit sets it, and says where the cluster is
        builder = builder.master("local[2]").config("spark.log.level", "ERROR")
    spark = builder.getOrCreate()

    cases = spark.read.parquet(options.cases)
    due = frames.due(cases, desk, now=now)
    due.write.mode("errorifexists").partitionBy("kind").format(options.form).save(options.due)
    # With the schema, for where nothing is due there is no file that has it.
    written = spark.read.schema(due.schema).format(options.form).load(options.due)
    print(f"{written.count()} due at {now}")
    print(f"{frames.rejects(cases, desk).count()} rejects")
    spark.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="Write what is due among the cases of a Parquet file.")
    parser.add_argument("cases")
    parser.add_argument("due", help="a folder that does not exist yet")
    parser.add_argument("--policy", default="sub-status")
    parser.add_argument("--now", default=None, help="such as 2026-11-20T12:00:00Z; the clock if left out")
    parser.add_argument("--form", choices=["parquet", "json"], default="parquet")
    try:
        sweep(parser.parse_args())
    except CasestateError as error:
        problem = str(error)
    except PySparkException as error:
        problem = str(error).partition(". ")[0]  # what follows is advice, such as to overwrite
    except Py4JJavaError as error:  # what Spark finds out while it runs, such as a file that is no Parquet
        problem = str(error.java_exception.getMessage()).partition(". ")[0]
    else:
        return
    parser.exit(2, f"{parser.prog}: error: {' '.join(problem.split())}\n")


if __name__ == "__main__":
    main()
