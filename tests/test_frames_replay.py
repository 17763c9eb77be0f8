"""Frames of a past: the actions, departures and summary of `casestate.replay.replay`, whatever the engine."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import tracemalloc

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, cast

import narwhals.stable.v2 as nw
import pandas as pd
import polars as pl
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import MONDAY
from casestate import LogError, NaiveTimeError, PolicyError, Workflow, frames, load_policy
from casestate.frames import log as frames_log
from casestate.log import Reading
from casestate.replay import replay, what_if
from casestate.testing.strategies import policies, status_logs
from equipment import spark_session
from frame_rows import Ducks, rows_of, to_arrow_pandas, to_dask, to_pandas


if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from casestate import Policy
    from casestate.replay import Replay

Row = dict[str, Any]
Past = tuple["Policy", list[Row], dict[str, Any]]
"""A policy, a log of it, and what is asked of both."""
ACTION: Final = ("case_id", "stay", "timer", "kind", "entered_at", "due_at", "left_at", "left_to")


def frame_of(rows: Sequence[Row]) -> pl.DataFrame:
    """The rows in a frame, with types that hold whatever they have."""
    types: dict[str, Any] = {}
    for name in rows[0]:
        kinds = {type(row.get(name)) for row in rows} - {type(None)}
        types[name] = {str: pl.String, int: pl.Int64, datetime: _datetimes(rows, name)}[
            kinds.pop() if kinds else str
        ]
    return pl.DataFrame([[row.get(name) for name in types] for row in rows], types, orient="row")


def _datetimes(rows: Sequence[Row], name: str) -> pl.Datetime:
    naive = any(isinstance(row.get(name), datetime) and row[name].tzinfo is None for row in rows)
    return pl.Datetime("us", None if naive else "UTC")


def outcome(work: Callable[[], Any]) -> Any:  # noqa: ANN401 - a result or an error
    try:
        return work()
    except (LogError, PolicyError) as error:
        return type(error), error.problems


def told(found: Replay) -> tuple[Any, ...]:
    actions = [tuple(getattr(action, name) for name in ACTION) for action in found.actions]
    return actions, list(found.departures.items()), found.summary


def told_by_frames(found: frames.FrameReplay) -> tuple[Any, ...]:
    actions, departures = (
        [tuple(row.values()) for row in rows_of(frame)] for frame in (found.actions, found.departures)
    )
    return actions, departures, found.summary


def assert_same(rows: Sequence[Row], frame: Any, policy: Policy, **asked: Any) -> None:  # noqa: ANN401
    desk = Workflow(policy)
    errors: list[tuple[int, Any]] = []
    bad: list[tuple[int, Any]] = []
    if asked.pop("collect", False):
        expected = outcome(
            lambda: told(replay(rows, desk, **asked, on_error=lambda *each: errors.append(each)))
        )
        found = outcome(
            lambda: told_by_frames(
                frames.replay(frame, desk, **asked, on_error=lambda *each: bad.append(each))
            )
        )
    else:
        expected = outcome(lambda: told(replay(rows, desk, **asked)))
        found = outcome(lambda: told_by_frames(frames.replay(frame, desk, **asked)))
    assert found == expected
    assert [(number, type(error), error.problems) for number, error in bad] == [
        (number, type(error), error.problems) for number, error in errors
    ]


@contextmanager
def few_at_once() -> Generator[None]:
    """Few rows at once, so that even a short log is dealt out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames_log, "AT_ONCE", 3)
        patch.setattr(frames_log, "BATCH", 2)
        patch.setattr(frames_log, "PARTS", 2)
        yield


@st.composite
def pasts(draw: st.DrawFn) -> Past:
    """A policy, a log of it, and what is asked of both."""
    policy = draw(policies())
    text, local = draw(st.booleans()), draw(st.booleans())
    rows, mapping = draw(status_logs(policy, text=text, local=local))
    asked: dict[str, Any] = {"mapping": mapping, "restart": draw(st.sampled_from(["change", "touch"]))}
    if draw(st.booleans()):
        asked["horizon"] = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(days=draw(st.integers(-4000, 4000)))
    if policy.timers:
        days = st.lists(st.integers(1, 40), min_size=1, max_size=5)
        asked["lengths"] = {draw(st.sampled_from(list(policy.timers))): draw(days)}
    return policy, rows, asked


@st.composite
def spoilt_pasts(draw: st.DrawFn) -> Past:
    """The same with cells that cannot be read, missing cells, space around others."""
    policy, rows, asked = draw(pasts())
    columns = Reading(policy, asked["mapping"]).columns(rows[0])
    rows = [dict(row) for row in rows]
    for _ in range(draw(st.integers(1, 4))):
        row = draw(st.sampled_from(rows))
        name = draw(st.sampled_from([*columns]))
        cell = row[columns[name]]
        spoilt: list[Any] = [None]
        if isinstance(cell, str):
            spoilt += ["", " \x1f", f" {cell}\u2003", f"{cell}x", cell[: len(cell) // 2], "²"]
        row[columns[name]] = draw(st.sampled_from(spoilt))
    return policy, rows, {**asked, "collect": draw(st.booleans())}


@given(pasts())
def test_a_frame_is_replayed_as_its_rows_are(past: Past) -> None:
    policy, rows, asked = past
    assert_same(rows, frame_of(rows), policy, **asked)


@given(pasts())
def test_a_log_that_is_dealt_out_is_replayed_as_its_rows_are(past: Past) -> None:
    policy, rows, asked = past
    with few_at_once():
        assert_same(rows, frame_of(rows).lazy(), policy, **asked)


@given(spoilt_pasts())
def test_rows_that_cannot_be_read_are_told_as_those_of_objects(past: Past) -> None:
    policy, rows, asked = past
    assert_same(rows, frame_of(rows), policy, **asked)
    with few_at_once():
        assert_same(rows, frame_of(rows).lazy(), policy, **asked)


def numbered(past: Past) -> Past:
    """The same log with an order that has no ties, for engines that keep none."""
    policy, rows, asked = past
    mapping = asked["mapping"]
    columns = {**mapping.get("columns", {}), "order": "own order"}
    numbers = sorted(range(len(rows)), key=lambda number: hash((number * 7919) % 101))
    rows = [{**row, "own order": number} for row, number in zip(rows, numbers, strict=True)]
    return policy, rows, {**asked, "mapping": {**mapping, "columns": columns}}


def in_any_order(found: Any) -> Any:  # noqa: ANN401 - a result or an error
    return (sorted(found[0], key=repr), sorted(found[1]), found[2]) if len(found) == 3 else found


def assert_same_in_any_order(past: Past, engine: Callable[[pl.DataFrame], Any]) -> None:
    policy, rows, asked = numbered(past)
    desk = Workflow(policy)
    expected = outcome(lambda: told(replay(rows, desk, **asked)))
    found = outcome(lambda: told_by_frames(frames.replay(engine(frame_of(rows)), desk, **asked)))
    assert in_any_order(found) == in_any_order(expected)


EAGER: Final[dict[str, Callable[[pl.DataFrame], Any]]] = {
    "pandas": to_pandas,
    "pandas on Arrow": to_arrow_pandas,
    "PyArrow": pl.DataFrame.to_arrow,
    "narwhals": nw.from_native,
}


@pytest.mark.parametrize("engine", EAGER)
@settings(max_examples=25)
@given(past=pasts())
def test_every_engine_that_keeps_an_order_tells_the_same(engine: str, past: Past) -> None:
    policy, rows, asked = past
    assert_same(rows, EAGER[engine](frame_of(rows)), policy, **asked)
    with few_at_once():
        assert_same(rows, EAGER[engine](frame_of(rows)), policy, **asked)


@settings(max_examples=25)
@given(pasts())
def test_duckdb_tells_the_same(past: Past) -> None:
    ducks = Ducks()
    with ducks.connection, few_at_once():
        assert_same_in_any_order(past, ducks)


@pytest.mark.filterwarnings("ignore:Dask support is moving:FutureWarning")
@settings(max_examples=15)
@given(pasts())
def test_dask_tells_the_same(past: Past) -> None:
    assert_same_in_any_order(past, to_dask)


class Spark:
    """What is asked of a frame of Spark, without a JVM."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame
        self.asked: list[str] = []

    def count(self) -> int:
        return self.frame.height

    def filter(self, condition: str) -> Spark:
        self.asked.append(condition)
        number = int(condition.split("= ")[1])
        return Spark(self.frame.filter(pl.int_range(pl.len()) % 3 == number))

    def toArrow(self) -> Any:  # noqa: ANN401, N802 - as Spark calls it
        return self.frame.to_arrow()


def test_spark_is_read_in_parts_by_case() -> None:
    spark = Spark(pl.DataFrame({"a `b`": [1, 2, 3, 4, 5, 6, 7]}))
    with few_at_once():
        batches = list(frames_log.of_spark(spark, "a `b`"))
    assert [batch["a `b`"].to_list() for batch in batches] == [[1, 4, 7], [2, 5], [3, 6]]
    assert spark.asked == [f"pmod(xxhash64(`a ``b```), 3) = {number}" for number in range(3)]


@pytest.mark.heavy
def test_spark_tells_the_same() -> None:
    with spark_session() as session:

        @settings(max_examples=5)
        @given(pasts())
        def tells_the_same(past: Past) -> None:
            with few_at_once():
                assert_same_in_any_order(past, lambda frame: session.createDataFrame(frame.to_arrow()))

        tells_the_same()


# --- instants -----------------------------------------------------------------


LOG: Final[list[Row]] = [
    {"case": "A", "at": "2026-03-01T09:00:00Z", "status": "new", "sub_status": None},
    {"case": "A", "at": "2026-03-02T09:00:00Z", "status": "pending", "sub_status": "customer_input"},
    {"case": "B", "at": "2026-03-02T09:00:00Z", "status": "awaiting_customer_confirmation", "sub_status": ""},
    {"case": "B", "at": "2026-05-02T09:00:00Z", "status": "in_progress", "sub_status": None},
]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy("sub-status")


@pytest.fixture(scope="module")
def desk(policy: Policy) -> Workflow:
    return Workflow(policy)


def log(**columns: Any) -> pl.DataFrame:  # noqa: ANN401 - cells or an expression
    return pl.DataFrame(LOG).with_columns(**columns)


AT: Final = pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    "at",
    [
        AT.dt.replace_time_zone("UTC"),
        AT.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Kathmandu"),
        AT.dt.replace_time_zone("UTC").dt.cast_time_unit("ms"),
        AT.dt.replace_time_zone("UTC").dt.cast_time_unit("ns"),
        AT.dt.timestamp("us"),
        AT.dt.to_string("%Y-%m-%d %H:%M:%S.000+00:00"),
        AT.dt.to_string("%Y%m%dT%H%M%SZ"),
        pl.col("at").str.to_lowercase(),
        pl.format(" {} ", "at"),
    ],
)
def test_an_instant_may_be_written_in_many_ways(policy: Policy, at: pl.Expr) -> None:
    assert_same(LOG, log(at=at), policy)


def test_what_is_finer_than_a_microsecond_is_cut_off(policy: Policy) -> None:
    frame = log(at=AT.dt.replace_time_zone("UTC").dt.cast_time_unit("ns") + pl.duration(nanoseconds=999))
    assert_same(LOG, frame, policy)


@pytest.mark.parametrize("zone", ["Europe/Rome", "America/Sao_Paulo", "Pacific/Apia", "UTC"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns", None])
def test_times_on_a_wall_are_read_in_their_zone(policy: Policy, zone: str, unit: Any) -> None:  # noqa: ANN401
    texts = ("2018-02-17T23:30", "2018-11-04T00:30", "2011-12-30T12:00", "2026-03-29T02:30")
    turns = [datetime.fromisoformat(text) for text in texts]
    turns += [turn + timedelta(days=days) for turn in turns for days in (-1, 1, 200)]
    rows = [{"case": "A", "at": turn, "status": "new"} for turn in turns]
    frame = frame_of(rows)
    if unit is None:
        frame = frame.with_columns(pl.col("at").dt.to_string("%Y-%m-%dT%H:%M:%S"))
    else:
        frame = frame.with_columns(pl.col("at").dt.cast_time_unit(unit))
    assert_same(rows, frame, policy, zone=zone, restart="touch")


@given(
    st.one_of(
        st.from_regex(
            r"\A\s?[0-9]{4}-?[01][0-9]-?[0-3][0-9][Tt _][0-2][0-9]:?[0-6][0-9]"
            r"(:?[0-6][0-9]([.,][0-9]{0,7})?)?([Zz]|[+-][0-2][0-9](:?[0-6][0-9](:[0-9]{2})?)?)?\Z"
        ),
        st.datetimes().map(str),
        st.datetimes(timezones=st.timezones()).map(str),
        st.text(max_size=30),
        st.sampled_from(
            [
                "0001-01-01T00:00:00+01:00",
                "9999-12-31T23:59:59-00:01",
                "2026-03-01T24:00:00Z",
                "2026-W10-1T12:00:00Z",
                "\uff12026-03-01T12:00:00Z",
            ]
        ),
    )
)
@settings(max_examples=300)
def test_every_text_is_the_instant_that_it_is_for_objects(text: str) -> None:
    rows = [{"case": "A", "at": text, "status": "new"}]
    assert_same(rows, pl.DataFrame(rows), load_policy("sub-status"), zone="Europe/Rome")


def test_no_zone_is_an_error_that_says_so(policy: Policy) -> None:
    with pytest.raises(NaiveTimeError, match="has no time zone"):
        frames.replay(log(at=AT), Workflow(policy))


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_instants_beyond_time_are_bad_rows(policy: Policy, unit: Any, zone: str | None) -> None:  # noqa: ANN401
    far = pl.Series([1 << 60, 0, None, 0], dtype=pl.Int64)
    bad: list[tuple[int, str]] = []
    at = far.cast(pl.Datetime(unit, zone))
    work = partial(frames.replay, log(at=at), Workflow(policy), zone="Asia/Tokyo")
    found = work(on_error=lambda number, error: bad.append((number, error.problems[0].message)))
    assert bad == ([] if unit == "ns" else [(1, bad[0][1])]) + [(3, "is missing")]
    assert all("is no instant" in message for number, message in bad if number == 1)
    assert found.summary.bad_rows == len(bad)


def test_a_time_on_a_wall_that_is_before_time_is_a_bad_row(policy: Policy) -> None:
    rows = [{"case": "A", "at": datetime(1, 1, 1), "status": "new"}]  # noqa: DTZ001 - on a wall
    assert_same(rows, frame_of(rows), policy, zone="Asia/Tokyo")


def test_parts_that_are_empty_are_no_trouble(policy: Policy) -> None:
    rows = [{**row, "order": number} for number, row in enumerate(LOG)]
    frame = frame_of(rows)
    ducks = Ducks()
    with ducks.connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames_log, "_of_duckdb", lambda _: [frame.clear(), frame, frame.clear()])
        assert_same(rows, ducks(frame), policy)


# --- what a frame may not be ----------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"case": 1.5}, "the column is Float64, not text"),
        ({"status": True}, "the column is Boolean, not text"),
        ({"sub_status": pl.lit([1], pl.List(pl.Int64))}, "the column is List(Int64), not text"),
        ({"at": 1.5}, "the column is Float64; instants are text"),
        ({"at": pl.lit(1, pl.Int128)}, "the column is Int128; instants are text"),
        ({"order": 1.5}, "the column is Float64, not whole numbers"),
    ],
)
def test_a_column_of_another_type_is_an_error(policy: Policy, columns: dict[str, Any], said: str) -> None:
    columns = {
        name: value if isinstance(value, pl.Expr) else pl.lit(value) for name, value in columns.items()
    }
    with pytest.raises(LogError, match=re.escape(said)):
        frames.replay(log(**columns), Workflow(policy))


def test_text_may_be_categories_and_cases_numbers(policy: Policy) -> None:
    rows = [{**row, "case": {"A": 7, "B": -8}[row["case"]]} for row in LOG]
    assert_same(rows, frame_of(rows).with_columns(pl.col("status").cast(pl.Categorical)), policy)
    assert_same(
        rows,
        frame_of(rows).with_columns(pl.col("status").cast(pl.Enum(sorted({row["status"] for row in rows})))),
        policy,
    )


def test_a_column_of_nothing_is_missing_cells(policy: Policy) -> None:
    rows = [{**row, "sub_status": None, "case": None, "order": None, "at": None} for row in LOG]
    frame = pl.DataFrame(rows)
    assert frame.schema["case"] == pl.Null
    assert_same(rows, frame, policy)


def test_an_order_may_be_text_or_any_whole_number(policy: Policy) -> None:
    at = "2026-03-01T09:00:00Z"
    rows = [
        {"case": "A", "at": at, "status": status, "order": order}
        for status, order in [("new", " 10"), ("closed", "9"), ("new", "-1")]
    ]
    assert_same(rows, frame_of(rows), policy)
    whole = pl.col("order").str.strip_chars().cast(pl.Int64)
    assert_same(rows, frame_of(rows).with_columns(whole), policy)
    assert_same(
        [{**row, "order": "+1"} for row in rows], frame_of(rows).with_columns(order=pl.lit("+1")), policy
    )


@pytest.mark.parametrize("given", [LOG, "log.csv", 7, None])
def test_what_is_no_frame_is_sent_to_the_objects(policy: Policy, given: object) -> None:
    with pytest.raises(LogError, match=r"rows and Case objects go to casestate\.replay\.replay"):
        frames.replay(given, Workflow(policy))


def test_a_log_of_events_is_sent_to_the_objects(policy: Policy) -> None:
    with pytest.raises(LogError, match=r"give its rows to casestate\.replay\.replay"):
        frames.replay(
            pl.DataFrame({"case": ["A"], "at": [1], "event": ["start"], "by": ["agent"]}), Workflow(policy)
        )


def test_a_frame_with_a_name_twice_is_an_error(policy: Policy) -> None:
    frame = pd.DataFrame([["A", "B"]], columns=["case", "case"])
    with pytest.raises(LogError, match="case"):
        frames.replay(frame, Workflow(policy))


def test_names_that_are_no_text_are_nobodys(policy: Policy) -> None:
    frame = log().to_pandas()
    frame[7] = 1
    assert_same(LOG, frame, policy)


def test_missing_columns_are_all_named(policy: Policy) -> None:
    with pytest.raises(LogError) as caught:
        frames.replay(log().select("sub_status"), Workflow(policy))
    assert [problem.path for problem in caught.value.problems] == [
        "columns.case",
        "columns.at",
        "columns.status",
    ]


def test_a_frame_without_rows_is_an_error(policy: Policy) -> None:
    with pytest.raises(LogError, match="has no rows"):
        frames.replay(log().clear(), Workflow(policy))
    with pytest.raises(LogError, match="has no rows"):
        frames.replay(log().clear().lazy(), Workflow(policy))


def test_an_engine_without_an_order_of_rows_needs_a_column(policy: Policy) -> None:
    ducks = Ducks()
    with ducks.connection, pytest.raises(LogError, match="the rows of duckdb have no order of their own"):
        frames.replay(ducks(log()), Workflow(policy))


def test_what_an_engine_cannot_do_is_our_error(policy: Policy) -> None:
    broken = log().lazy().with_columns(case=pl.col("case").str.to_integer())
    with pytest.raises(LogError, match="cannot be read: "):
        frames.replay(broken, Workflow(policy))
    with pytest.raises(LogError, match="cannot be read: "):
        frames.replay(log().lazy().select("nothing"), Workflow(policy))


def test_an_import_that_fails_is_no_error_of_the_log(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    def collect(*_: object, **__: object) -> None:
        raise ImportError("no engine")

    monkeypatch.setattr(pl.LazyFrame, "collect_batches", collect)
    with pytest.raises(ImportError, match="no engine"):
        frames.replay(log().lazy(), Workflow(policy))


def test_an_engine_that_has_no_way_of_its_own_is_collected(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    ducks = Ducks()
    monkeypatch.setattr(nw.Implementation, "is_duckdb", lambda _: False)
    rows = [{**row, "order": number} for number, row in enumerate(LOG)]
    with ducks.connection:
        assert_same(rows, ducks(frame_of(rows)), policy)


def test_without_polars_it_says_what_to_install() -> None:
    program = """
import sys
sys.modules["polars"] = None
from casestate import frames
try:
    frames.replay
except ModuleNotFoundError as error:
    print(error.name, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "polars casestate.frames needs Polars for logs: pip install 'casestate[frames]'\n"


# --- sinks, progress, lengths -----------------------------------------------------


def test_a_sink_has_the_actions_and_nothing_is_kept(policy: Policy) -> None:
    found: list[pl.DataFrame] = []
    desk = Workflow(policy)
    whole = frames.replay(log(), desk)
    with few_at_once():
        sunk = frames.replay(log(), desk, sink=found.append)
    assert (sunk.actions, sunk.departures, sunk.summary) == (None, None, whole.summary)
    assert all(frame.height and frame.schema == whole.actions.schema for frame in found)
    assert pl.concat(found).sort(ACTION[:3]).equals(whole.actions.sort(ACTION[:3]))


def test_progress_is_told_of_rows(policy: Policy) -> None:
    told_: list[tuple[int, int | None]] = []

    def progress(done: int, every: int | None) -> None:
        told_.append((done, every))

    frames.replay(log(), Workflow(policy), progress=progress)
    with few_at_once():
        frames.replay(log().lazy(), Workflow(policy), progress=progress)
    assert told_ == [(4, 4), (2, 4), (4, 4)]
    ducks = Ducks()
    told_.clear()
    with ducks.connection:
        frames.replay(ducks(log(order=pl.int_range(4))), Workflow(policy), progress=progress)
    assert told_ == [(4, None)]


@given(pasts(), st.lists(st.integers(1, 40), min_size=1, max_size=4))
@settings(max_examples=30)
def test_what_if_is_that_of_the_objects(past: Past, days: list[int]) -> None:
    policy, rows, asked = past
    asked = {name: value for name, value in asked.items() if name != "lengths"}
    for timer in list(policy.timers)[:2]:
        desk = Workflow(policy)
        expected = outcome(partial(what_if, rows, desk, timer=timer, days=days, **asked))
        assert (
            outcome(partial(frames.what_if, frame_of(rows), desk, timer=timer, days=days, **asked))
            == expected
        )


def test_a_policy_without_timers_does_nothing() -> None:
    policy = load_policy({"format": 1, "name": "desk", "initial": "new", "statuses": {"new": {}}})
    rows = [{"case": "A", "at": "2026-03-01T09:00:00Z", "status": "new"}]
    assert_same(rows, pl.DataFrame(rows), policy)


def test_nothing_else_is_a_name_of_frames() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = frames.nothing


# --- files ----------------------------------------------------------------------


def scanned(path: Path, form: Any) -> list[Row] | None:  # noqa: ANN401
    """What is read of a file; none if it is not read."""
    try:
        return frames.scan_log(path, form).collect().to_dicts()
    except (LogError, pl.exceptions.PolarsError):
        return None


CELLS: Final = st.text(alphabet='ab,"\r\n é\ufeff', max_size=3)


@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=4),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_csv_is_read_as_by_python_or_not_at_all(rows: list[list[str]], end: str, quote: bool) -> None:  # noqa: FBT001
    text = StringIO()
    quoting: Any = csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL
    csv.writer(text, lineterminator=end, quoting=quoting).writerows([["p", "q"], *rows])
    assert_read_alike(text.getvalue())


@given(st.text(alphabet='ab,,"\r\n', max_size=12))
@settings(max_examples=300)
def test_any_text_is_read_as_by_python_or_not_at_all(text: str) -> None:
    assert_read_alike("p,q\n" + text)


def assert_read_alike(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "log.csv")
        path.write_bytes(text.encode())
        found = scanned(path, "csv")
    if found is not None:
        rows = list(csv.DictReader(StringIO(text, newline=""), strict=True))
        assert [{name: cell or None for name, cell in row.items()} for row in found] == [
            {name: cell or None for name, cell in row.items()} for row in rows
        ]
        assert all(len(row) == 2 for row in rows)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "empty"),
        (b"a,a\n1,2\n", "its header is not one line of different names"),
        (b"a, b\n1,2\n", "its header is not one line of different names"),
        (b'"a\nb",c\n1,2\n', "its header is not one line of different names"),
        (b"a,b\n1,2\n\n", "it has rows that are too short or too long"),
        (b"a,b\n1,2\r", "it has one column, or lines that end otherwise"),
        (b"a\n1\n", "it has one column, or lines that end otherwise"),
        (b"a,b\n1\n", "it has rows that are too short or too long"),
        (b'a,b\n1,"2"\n3\n', "it has rows that are too short or too long"),
        (b'a,b\nx"y",2\n', "it has quotes within cells"),
        (b"\xff,b\n1,2\n", "cannot be read"),
    ],
)
def test_csv_that_may_be_read_otherwise_is_refused(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(text)
    with pytest.raises(LogError, match=said):
        frames.scan_log(path, "csv")


def test_an_end_of_line_that_is_cut_in_two_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_log, "READ", 1)
    path = tmp_path / "log.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4")
    assert scanned(path, "csv") == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    path.write_bytes(b"a,b\r\n1,2\r\n\r\n3,4")
    assert scanned(path, "csv") is None


def test_files_of_every_form_tell_the_same(policy: Policy, tmp_path: Path) -> None:
    log().write_csv(tmp_path / "log.csv", quote_style="always")
    log().write_csv(tmp_path / "plain.csv")
    log().write_ndjson(tmp_path / "log.jsonl")
    log().write_parquet(tmp_path / "log.parquet")
    for name, form in [
        ("plain.csv", "csv"),
        ("log.csv", "csv"),
        ("log.jsonl", "jsonl"),
        ("log.parquet", "parquet"),
    ]:
        assert_same(LOG, frames.scan_log(tmp_path / name, cast("Any", form)), policy)


def test_json_lines_may_leave_out_names_and_have_numbers(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"case": 7, "x": null}\n{"case": null, "at": "then"}\n{"x": "y"}', encoding="utf-8")
    rows = [
        {"case": 7, "x": None, "at": None},
        {"case": None, "x": None, "at": "then"},
        {"case": None, "x": "y", "at": None},
    ]
    scan = frames.scan_log(path, "jsonl")
    assert scan.collect().to_dicts() == rows
    assert scan.head(1).collect().to_dicts() == rows[:1]
    assert scan.filter(pl.col("x") == "y").select("x").collect().to_dicts() == [{"x": "y"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n", "a line is not JSON"),
        ("[1]\n", "a line is no object, but [1]"),
        ('{"case": true}', "'case' has cells that are neither"),
        ('{"case": 1}\n{"case": true}', "'case' has cells that are neither"),
        ('{"case": 1}\n{"case": "1"}', "'case' has cells that are neither"),
        ('{"case": 1.5}', "'case' has cells that are neither"),
        (f'{{"case": {1 << 200}}}', "'case' has cells that are neither"),
        ('{"case": "\\ud800"}', "a line is not JSON"),
    ],
)
def test_json_lines_that_may_be_read_otherwise_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LogError, match=re.escape(said)):
        frames.scan_log(path, "jsonl").collect()


def test_a_name_that_comes_late_is_refused(
    policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames_log, "READ", 1)
    path = tmp_path / "log.jsonl"
    log().drop("sub_status").write_ndjson(path)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"case": "A", "sub_status": "x"}')
    with pytest.raises(LogError, match="its first rows have not all of the names"):
        frames.replay(frames.scan_log(path, "jsonl"), Workflow(policy))


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_file_that_is_not_there_is_our_error(tmp_path: Path, form: Any) -> None:  # noqa: ANN401
    with pytest.raises(LogError, match="cannot be read"):
        frames.scan_log(tmp_path / "nothing", form)


def test_json_lines_are_read_as_polars_asks(tmp_path: Path) -> None:
    """Asked here, for Polars asks from a thread of its own."""
    path = tmp_path / "log.jsonl"
    path.write_text('{"case": 7, "at": "then"}\n{"case": 8}\n', encoding="utf-8")
    schema: dict[str, Any] = {"case": pl.Int128, "at": pl.String}
    ask = partial(frames_log.json_batches, path, schema)
    (found,) = ask(None, None, None, None)
    assert found.rows() == [(7, "then"), (8, None)]
    (found,) = ask(["at"], None, 1, None)
    assert found.rows() == [("then",)]
    (found,) = ask(["case"], pl.col("case") > 7, None, None)
    assert found.rows() == [(8,)]
    for other in ({"case": pl.Int128}, {"case": pl.String, "at": pl.String}):
        with pytest.raises(LogError, match="cannot be read as a whole"):
            list(frames_log.json_batches(path, other, None, None, None, None))
    path.write_text('{"case": true}', encoding="utf-8")
    with pytest.raises(LogError, match="cannot be read as a whole"):
        list(frames_log.json_batches(path, {"case": pl.Int128}, None, None, None, None))


def test_a_frame_of_spark_is_read_in_its_parts(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**row, "order": number} for number, row in enumerate(LOG)]
    asked: list[str] = []

    def of_spark(frame: object, case: str) -> list[pl.DataFrame]:
        del frame
        asked.append(case)
        return [frame_of(rows)]

    monkeypatch.setattr(frames_log, "of_spark", of_spark)
    ducks = Ducks()
    with ducks.connection:
        source: Any = frames_log._Source(ducks(frame_of(rows)), Reading(policy))  # noqa: SLF001 - no JVM here
        source.engine = nw.Implementation.PYSPARK
        (batch,) = source.batches(None)
    assert (batch.rows(), asked) == (frame_of(rows).rows(), ["case"])


def test_a_sink_is_not_bothered_with_nothing() -> None:
    table = {"format": 1, "name": "desk", "initial": "new", "statuses": {"new": {}}}
    found: list[pl.DataFrame] = []
    frames.replay(log(status=pl.lit("new"), sub_status=None), Workflow(load_policy(table)), sink=found.append)
    assert found == []


def test_a_timer_that_is_never_due_never_fires() -> None:
    table = {"format": 1, "name": "desk", "initial": "new", "statuses": {"new": {}}}
    timers = {
        "early": {"in": "new", "kind": "remind", "after": {"days": 3_000_000}},
        "late": {"in": "new", "kind": "remind", "after": {"days": 3_000_001}, "notice": {"days": 3_000_000}},
    }
    rows = [{"case": "A", "at": "2026-03-01T09:00:00Z", "status": "new"}]
    policy = load_policy({**table, "timers": timers})
    assert_same(rows, pl.DataFrame(rows), policy)
    assert frames.replay(pl.DataFrame(rows), Workflow(policy)).actions.height == 0


# --- what others' files and frames hold ---------------------------------------


def rows_at(*instants: object) -> list[Row]:
    return [{"case": str(number), "at": at, "status": "new"} for number, at in enumerate(instants)]


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_an_instant_far_beyond_time_is_a_bad_row(desk: Workflow, unit: Any) -> None:  # noqa: ANN401 - a literal
    far = pl.Series([18_446_744_073_709_552, 0, -(2**63)]).cast(pl.Datetime(unit, "UTC"))
    told: list[int] = []
    frame = pl.DataFrame({"case": ["a", "b", "c"], "at": far, "status": ["new"] * 3})
    found = frames.replay(frame, desk, on_error=lambda number, _: told.append(number))
    assert told[-1] == 3
    assert 2 not in told
    assert found.summary.rows - found.summary.bad_rows == 3 - len(told)
    assert found.summary.last is not None
    assert found.summary.last.year in (1970, 2554)


@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_row_that_is_too_long_is_found_beside_one_that_is_too_short(
    desk: Workflow, tmp_path: Path, place: int
) -> None:
    cells = [
        ["case", "at", "status"],
        ["a", "2026-01-01T00:00:00Z", "new"],
        ["b", "2026-01-01T00:00:00Z", "new"],
    ]
    for row, cell in zip(cells, ("x", None, "1,2"), strict=True):
        if cell is not None:
            row.insert(place, cell)
    path = tmp_path / "log.csv"
    path.write_text("".join(",".join(row) + "\n" for row in cells), encoding="utf-8")
    with pytest.raises(LogError, match="cannot be read"):
        frames.replay(frames.scan_log(path, "csv"), desk)


def test_instants_of_zones_that_polars_does_not_know_are_read(desk: Workflow) -> None:
    at = pd.to_datetime(["2026-01-01T00:00:00+05:30"])
    frame = pd.DataFrame({"case": ["a"], "at": at, "status": ["new"]})
    assert frames.replay(frame, desk).summary.first == datetime(2025, 12, 31, 18, 30, tzinfo=UTC)


def test_a_file_at_which_polars_panics_is_a_file_that_cannot_be_read(desk: Workflow, tmp_path: Path) -> None:
    at = pd.to_datetime(["2026-01-01T00:00:00+05:30"])
    path = tmp_path / "log.parquet"
    pd.DataFrame({"case": ["a"], "at": at, "status": ["new"]}).to_parquet(path)
    with pytest.raises(LogError, match="cannot be read"):
        frames.replay(frames.scan_log(path, "parquet"), desk)


def test_whole_numbers_put_rows_in_order_up_to_18_digits_and_name_cases_beyond(desk: Workflow) -> None:
    rows = [
        {**row, "case": 10**18, "order": order}
        for row, order in zip(rows_at(MONDAY, MONDAY), (1, 10**18), strict=True)
    ]
    told: list[tuple[int, str]] = []
    found = frames.replay(
        pl.DataFrame(rows), desk, on_error=lambda number, error: told.append((number, str(error)))
    )
    assert [number for number, _ in told] == [2]
    assert found.summary.cases == 1
    objects: list[tuple[int, str]] = []
    assert (
        replay(rows, desk, on_error=lambda number, error: objects.append((number, str(error)))).summary
        == found.summary
    )
    assert objects == told


def test_of_very_many_bad_rows_the_first_are_named_as_by_the_objects(desk: Workflow) -> None:
    rows = rows_at(*["noon"] * 1_500)
    with pytest.raises(LogError) as framed:
        frames.replay(pl.DataFrame(rows), desk)
    with pytest.raises(LogError) as told:
        replay(rows, desk)
    assert framed.value.problems == told.value.problems
    assert len(told.value.problems) == 1_001


@pytest.mark.parametrize("cell", ['"\\ud800"', "NaN", "Infinity"])
def test_what_is_no_json_is_refused_in_cells_that_nobody_reads(
    desk: Workflow, tmp_path: Path, cell: str
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(
        f'{{"case": "a", "at": "2026-01-01T00:00:00Z", "status": "new", "n": {cell}}}\n', encoding="utf-8"
    )
    with pytest.raises(LogError, match="is not JSON"):
        frames.replay(frames.scan_log(path, "jsonl"), desk)


def test_letters_may_be_written_as_numbers(desk: Workflow, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"case": "\\u00e4", "at": "2026-01-01T00:00:00Z", "status": "new"}\n', encoding="utf-8")
    assert frames.replay(frames.scan_log(path, "jsonl"), desk).summary.cases == 1


def test_without_a_place_for_temporary_files_a_short_log_is_replayed_and_a_long_one_refused(
    desk: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    frame = pl.DataFrame(rows_at(*[MONDAY] * 30))
    assert frames.replay(frame, desk).summary.cases == 30
    with few_at_once(), pytest.raises(LogError, match="temporary files cannot be written"):
        frames.replay(frame, desk)


@pytest.mark.parametrize("lazy", [False, True])
def test_names_of_columns_are_names_and_no_patterns(desk: Workflow, *, lazy: bool) -> None:
    frame = pl.DataFrame(rows_at(MONDAY)).rename({"case": "^.*$"})
    found = frames.replay(frame.lazy() if lazy else frame, desk, mapping={"columns": {"case": "^.*$"}})
    assert found.summary.cases == 1


def test_instants_may_be_categories(desk: Workflow) -> None:
    frame = pl.DataFrame(rows_at("2026-01-01T00:00:00Z")).with_columns(pl.col("at").cast(pl.Categorical))
    assert frames.replay(frame, desk).summary.cases == 1


def test_nothing_but_a_function_is_told_of_bad_rows(desk: Workflow) -> None:
    with pytest.raises(LogError, match="on_error: must be something to call, not 3"):
        frames.replay(pl.DataFrame(rows_at(MONDAY)), desk, on_error=cast("Any", 3))


def test_a_quoted_cell_of_any_length_takes_no_more_memory_than_it_has_letters(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(
        'case,at,status,x\na,2026-01-01T00:00:00Z,new,"' + '""' * 2_000_000 + '"\n', encoding="utf-8"
    )
    tracemalloc.start()
    frames.scan_log(path, "csv")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100_000_000
