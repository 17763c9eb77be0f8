"""A sweep on Dask: reads cases from Parquet, writes what is due, and counts the rows that are no cases.

    pip install 'casestate[frames]' 'dask[dataframe]' pyarrow
    python examples/dask_sweep.py cases.parquet due --now 2026-11-20T12:00:00Z

With ``--scheduler tcp://…`` (and ``pip install distributed``) it runs on that cluster. Nothing is
overwritten: give each sweep a folder of its own.
"""

from __future__ import annotations

import argparse

from importlib import import_module

import dask.dataframe as dd

from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # it has no types

from casestate import CasestateError, Workflow, frames, load_policy, utc_now
from casestate.clock import parse_instant


def there(path: str) -> bool:
    """Whether a path, or a pattern, leads to anything in whatever file system it names."""
    files, place = url_to_fs(path)
    return bool(files.exists(place) or files.glob(place))


def sweep(options: argparse.Namespace) -> None:
    desk = Workflow(load_policy(options.policy))
    now = utc_now() if options.now is None else parse_instant(options.now, "now")
    if options.scheduler is not None:
        import_module("distributed").Client(options.scheduler)  # from now on everything runs there

    if not there(options.cases):
        raise FileNotFoundError(f"{options.cases} does not exist")
    if there(options.due):
        raise FileExistsError(f"{options.due} already exists: give each sweep a folder of its own")
    cases = dd.read_parquet(options.cases)
    due = frames.due(cases, desk, now=now)
    due.to_parquet(options.due)
    print(f"{len(dd.read_parquet(options.due))} due at {now}")
    print(f"{len(frames.rejects(cases, desk))} rejects")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write what is due among the cases of a Parquet file.")
    parser.add_argument("cases")
    parser.add_argument("due", help="a folder that does not exist yet")
    parser.add_argument("--policy", default="sub-status")
    parser.add_argument("--now", default=None, help="such as 2026-11-20T12:00:00Z; the clock if left out")
    parser.add_argument(
        "--scheduler",
        default=None,
        help="the address of a cluster, with distributed; threads of this machine if left out",
    )
    try:
        sweep(parser.parse_args())
    except (CasestateError, ImportError, OSError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: error: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()
