"""A sweep on Dask: reads cases from Parquet, writes what is due, and counts the rows that are no cases.

    pip install 'casestate[frames]' 'dask[dataframe]' pyarrow
    python examples/dask_sweep.py cases.parquet due --now 2026-11-20T12:00:00Z

With ``--scheduler tcp://…`` (and ``pip install distributed``) it runs on that cluster.
"""

from __future__ import annotations

import argparse

from importlib import import_module

import dask.dataframe as dd

from casestate import Workflow, frames, load_policy, utc_now
from casestate.clock import parse_instant


def main() -> None:
    parser = argparse.ArgumentParser(description="Write what is due among the cases of a Parquet file.")
    parser.add_argument("cases")
    parser.add_argument("due")
    parser.add_argument("--policy", default="sub-status")
    parser.add_argument("--now", default=None, help="such as 2026-11-20T12:00:00Z; the clock if left out")
    parser.add_argument(
        "--scheduler", default=None, help="the address of a cluster; threads of this machine if left out"
    )
    options = parser.parse_args()
    if options.scheduler is not None:
        import_module("distributed").Client(options.scheduler)  # from now on everything runs there

    desk = Workflow(load_policy(options.policy))
    now = utc_now() if options.now is None else parse_instant(options.now, "now")
    cases = dd.read_parquet(options.cases)
    due = frames.due(cases, desk, now=now)
    due.to_parquet(options.due, overwrite=True)
    print(f"{len(dd.read_parquet(options.due))} due at {now}")
    print(f"{len(frames.rejects(cases, desk))} rejects")


if __name__ == "__main__":
    main()
