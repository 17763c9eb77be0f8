"""A sweep on Spark: reads cases from Parquet, writes what is due, and counts the rows that are no cases.

On this machine, with two threads (`pip install 'casestate[frames]' pyspark`, and Java):

    python examples/spark_sweep.py cases.parquet due --now 2026-11-20T12:00:00Z

and on a cluster, unchanged: ``spark-submit spark_sweep.py hdfs:///cases hdfs:///due``. What is due
stands in one folder for each kind of action (``due/kind=close``), as Parquet or, with ``--form json``,
as JSON Lines. Send, close and settle from there; ``key`` is the idempotency key.
"""

from __future__ import annotations

import argparse
import os

from pyspark.sql import SparkSession

from casestate import Workflow, frames, load_policy, utc_now
from casestate.clock import parse_instant


def main() -> None:
    parser = argparse.ArgumentParser(description="Write what is due among the cases of a Parquet file.")
    parser.add_argument("cases")
    parser.add_argument("due")
    parser.add_argument("--policy", default="sub-status")
    parser.add_argument("--now", default=None, help="such as 2026-11-20T12:00:00Z; the clock if left out")
    parser.add_argument("--form", choices=["parquet", "json"], default="parquet")
    options = parser.parse_args()

    builder = SparkSession.builder.appName("casestate")
    if "SPARK_ENV_LOADED" not in os.environ:  # spark-submit sets it, and says where the cluster is
        builder = builder.master("local[2]")
    spark = builder.getOrCreate()

    desk = Workflow(load_policy(options.policy))
    now = utc_now() if options.now is None else parse_instant(options.now, "now")
    cases = spark.read.parquet(options.cases)
    due = frames.due(cases, desk, now=now)
    due.write.mode("overwrite").partitionBy("kind").format(options.form).save(options.due)
    print(f"{spark.read.format(options.form).load(options.due).count()} due at {now}")
    print(f"{frames.rejects(cases, desk).count()} rejects")
    spark.stop()


if __name__ == "__main__":
    main()
