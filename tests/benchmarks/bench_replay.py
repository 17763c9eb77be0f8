"""A log of a million rows: beside reading it into a dataframe, pandas by hand for one timer, and objects.

Polars uses every core; processor seconds count what all of them did.
"""

from __future__ import annotations

import csv
import gc
import json
import subprocess
import sys
import tempfile

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import polars as pl

from casestate import Workflow, frames, load_policy
from casestate.replay import replay

from .measure import Row, at_most, clocked, for_scale, interleaved


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROWS: Final = 1_000_000
STREAMED: Final = 10_000_000
OBJECTS: Final = 100_000
ROUNDS: Final = 5
DAY: Final = 86_400
BEGINNING: Final = datetime(2018, 1, 1, tzinfo=UTC)
YEARS: Final = 6 * 365 * DAY
LONGEST: Final = 13.8
"""The logarithm of the longest wait in seconds: eleven days and a half."""
WORDS: Final = (
    "Insert",
    "Take in charge",
    "Wait",
    "Take in charge",
    "Resolve",
    "Closed",
    "Upgrade",
    "VERIFIED",
)
MAP: Final[Mapping[str, Any]] = {
    "statuses": {
        "Insert": {"first": "new", "later": "ignore"},
        "Take in charge": "in_progress",
        "Wait": "pending.customer_input",
        "Resolve": "awaiting_customer_confirmation",
        "Closed": "closed",
        "Upgrade": "pending.development",
        "VERIFIED": "ignore",
    }
}


def some_log(count: int) -> pl.DataFrame:
    """A log of five rows a case, in the order of time: waits of seconds to weeks, statuses that look real."""
    number, step = pl.col("number"), pl.col("number") % 5
    share = number.hash(9) % 1_000_003 / 1_000_003
    wait = pl.when(step == 0).then(0).otherwise((share * LONGEST).exp().cast(pl.Int64) + 1)
    chance = number.hash(5) % 1_000
    word = (
        pl.when(step == 0)
        .then(0)
        .when(chance < 800)
        .then(step)
        .when(chance < 900)
        .then(2)
        .otherwise(6 + chance % 2)
    )
    case = number // 5
    seconds = wait.cum_sum().over(case) + case * (YEARS // (count // 5))
    return (
        pl.select(number=pl.int_range(count, dtype=pl.Int64))
        .select(
            case=pl.format("HD-{}", case),
            at=pl.lit(BEGINNING).cast(pl.Datetime("us", "UTC")) + pl.duration(seconds=seconds),
            status=pl.lit(pl.Series(WORDS)).gather(word.cast(pl.UInt32)),
        )
        .sort("at", maintain_order=True)
    )


def by_hand(file: Path) -> tuple[pd.DataFrame, int]:
    """The pandas script for one timer: what would have closed after 14 days of waiting for a confirmation."""
    log = pd.read_csv(file, parse_dates=["at"])
    log = log[log["status"] != "VERIFIED"]
    log = log.sort_values(["case", "at"], kind="stable")
    log = log[(log["case"] != log["case"].shift()) | (log["status"] != log["status"].shift())]
    stays = log.assign(left_at=log.groupby("case")["at"].shift(-1))
    due = stays["at"] + pd.Timedelta(days=14)
    horizon = log["at"].max()
    fired = (stays["status"] == "Resolve") & (
        (due < stays["left_at"]) | (stays["left_at"].isna() & (due <= horizon))
    )
    return stays[fired].assign(due_at=due[fired]), len(stays)


def on_files(folder: Path) -> Iterator[Row]:
    """The whole of a replay of a file, beside those who only read it."""
    desk = Workflow(load_policy("sub-status"))
    log = some_log(ROWS)
    texts, file, small = folder / "log.csv", folder / "log.parquet", folder / "small.csv"
    for frame, path in ((log, texts), (log.head(OBJECTS), small)):
        frame.with_columns(pl.col("at").dt.to_string("%Y-%m-%dT%H:%M:%SZ")).write_csv(path)
    log.write_parquet(file)
    days = range(1, 31)

    def of_objects() -> object:
        with small.open(encoding="utf-8", newline="") as lines:
            return replay(csv.DictReader(lines), desk, mapping=MAP)

    found = frames.replay(pl.read_parquet(file), desk, mapping=MAP)
    closed = found.actions.filter(pl.col("timer") == "close_awaiting").height
    if closed != len(by_hand(texts)[0]) or not closed:
        raise AssertionError("they do not find the same")
    seconds = interleaved(
        {
            "polars": clocked(lambda: pl.read_csv(texts, try_parse_dates=True)),
            "pandas": clocked(lambda: pd.read_csv(texts, parse_dates=["at"])),
            "hand": clocked(lambda: by_hand(texts)),
            "csv": clocked(lambda: frames.replay(frames.scan_log(texts, "csv"), desk, mapping=MAP)),
            "parquet": clocked(lambda: frames.replay(pl.scan_parquet(file), desk, mapping=MAP)),
            "one": clocked(
                lambda: frames.what_if(
                    pl.scan_parquet(file), desk, mapping=MAP, timer="close_pending", days=[28]
                )
            ),
            "thirty": clocked(
                lambda: frames.what_if(
                    pl.scan_parquet(file), desk, mapping=MAP, timer="close_pending", days=days
                )
            ),
            "small": clocked(lambda: frames.replay(frames.scan_log(small, "csv"), desk, mapping=MAP)),
            "objects": clocked(of_objects),
        },
        rounds=ROUNDS,
    )
    yield for_scale("frames.replay of 10^6 rows of CSV, everything", f"{seconds['csv'] * 1e3:.0f} ms")
    yield at_most("the same / polars.read_csv with dates", seconds["csv"] / seconds["polars"], 3)
    yield at_most("the same / pandas.read_csv with dates", seconds["csv"] / seconds["pandas"], 3)
    yield for_scale("the same / the pandas script for one timer", f"{seconds['csv'] / seconds['hand']:.2f} x")
    yield for_scale("frames.replay of 10^6 rows of Parquet", f"{seconds['parquet'] * 1e3:.0f} ms")
    yield at_most("what_if of 30 lengths / of one", seconds["thirty"] / seconds["one"], 2)
    yield for_scale(
        "replay of objects / frames.replay, 10^5 rows of CSV",
        f"{seconds['objects'] / seconds['small']:.1f} x",
    )


def peak(path: str) -> float:
    """Megabytes that a process has held at most, when it has streamed a file to a sink."""
    seen = 0

    def sink(actions: pl.DataFrame) -> None:
        nonlocal seen
        seen += actions.height

    form: Any = Path(path).suffix[1:]
    frames.replay(frames.scan_log(path, form), Workflow(load_policy("sub-status")), mapping=MAP, sink=sink)
    if not seen:
        raise AssertionError("nothing would have been done")
    status = Path("/proc/self/status").read_text(
        encoding="ascii"
    )  # what getrusage says begins with the parent's
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def memory(folder: Path) -> Iterator[Row]:
    log = some_log(STREAMED)
    log.write_parquet(folder / "long.parquet")
    log.with_columns(pl.col("at").dt.to_string("%Y-%m-%dT%H:%M:%SZ")).write_csv(folder / "long.csv")
    del log
    gc.collect()
    for form in ("csv", "parquet"):
        short, long = (in_a_process(folder / f"{name}.{form}") for name in ("log", "long"))
        yield for_scale(
            f"peak memory with a sink, 10^6 and 10^7 rows of {form}", f"{short:.0f} and {long:.0f} MB"
        )
        yield at_most("10^7 / 10^6 rows", long / short, 2)


def in_a_process(path: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_replay", str(path)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=1200,
    )
    return float(json.loads(done.stdout))


def rows() -> Iterator[Row]:
    """The rows of the table, measured one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        yield from on_files(Path(folder))
        yield from memory(Path(folder))


if __name__ == "__main__":
    print(json.dumps(peak(sys.argv[1])))
