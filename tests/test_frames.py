"""Frames: what `Workflow.due` would return, row for row, in every engine; and what a frame may not be."""

from __future__ import annotations

import json

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import attrs
import narwhals.stable.v2 as narwhals
import pandas as pd
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pytest

from hypothesis import given, settings

from casestate import (
    Case,
    CaseDataError,
    NaiveTimeError,
    PolicyError,
    Workflow,
    frames,
    load_policy,
    policies,
)
from frame_rows import (
    ACTION,
    SCHEMA,
    Ducks,
    Row,
    actions_of,
    agree,
    by_objects,
    micros,
    polars_frame,
    row_of,
    rows_of,
    situations,
    to_arrow_pandas,
    to_dask,
    to_pandas,
)


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import duckdb

    from casestate import Policy

ENGINES: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda frame: frame,
    "polars lazy": lambda frame: frame.lazy(),
    "pandas": to_pandas,
    "pandas with objects": lambda frame: to_pandas(frame).astype(
        {name: object for name in frame.columns if str(frame[name].dtype) == "String"}
    ),
    "pandas with pyarrow": to_arrow_pandas,
    "pyarrow": lambda frame: frame.to_arrow(),
}


@pytest.fixture(scope="module")
def ducks() -> Iterator[Ducks]:
    found = Ducks()
    yield found
    found.connection.close()


@pytest.mark.parametrize("engine", ENGINES)
@given(situation=situations())
@settings(max_examples=30)
def test_a_frame_says_what_the_objects_say(
    engine: str, situation: tuple[Policy, list[Row], datetime]
) -> None:
    policy, rows, now = situation
    agree(ENGINES[engine], rows, Workflow(policy), now)


@given(situation=situations())
@settings(max_examples=30)
def test_a_duckdb_relation_says_what_the_objects_say(
    ducks: Ducks, situation: tuple[Policy, list[Row], datetime]
) -> None:
    policy, rows, now = situation
    agree(ducks, rows, Workflow(policy), now)


@given(situation=situations(units=("elapsed",)))
@settings(max_examples=20)
def test_whole_numbers_of_microseconds_say_the_same(situation: tuple[Policy, list[Row], datetime]) -> None:
    policy, rows, now = situation
    for engine in ("polars", "pandas", "pyarrow"):
        agree(ENGINES[engine], rows, Workflow(policy), now, as_micros=True)


@given(situation=situations(most=8))
@settings(max_examples=20)
def test_whole_numbers_of_microseconds_say_the_same_of_calendars(
    ducks: Ducks, situation: tuple[Policy, list[Row], datetime]
) -> None:
    policy, rows, now = situation
    for engine in (ENGINES["polars lazy"], ENGINES["pandas with pyarrow"], ducks):
        agree(engine, rows, Workflow(policy), now, as_micros=True)


@pytest.mark.filterwarnings("ignore:Dask support is moving:FutureWarning")
def test_dask_says_the_same_of_elapsed_lengths_and_of_calendars(desk: Workflow) -> None:
    rows = [row(), row(status="closed", entered_at=AT - timedelta(days=9)), row(case_id="", mark="C-2")]
    for policy in (desk.policy, desk.policy.override(LOCAL)):
        agree(to_dask, rows, Workflow(policy), NOW)


class Spark:
    """What is asked of a Spark frame, written down; the answers are those of test_frames_cluster."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.sparkSession = self

    def selectExpr(self, *columns: str) -> Spark:  # noqa: N802 - its own name
        self.asked.append(columns)
        return self

    def createDataFrame(self, rows: object, schema: str) -> Spark:  # noqa: N802 - its own name
        self.asked.append((rows, schema))
        return self

    def hint(self, name: str) -> Spark:
        self.asked.append(name)
        return self


def test_spark_adds_whole_numbers_and_joins_without_a_shuffle(
    desk: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    source: Any = frames.cases._Source(polars_frame([row()]), None, desk)  # noqa: SLF001 - no JVM is started here
    spark: Any = Spark()
    monkeypatch.setattr(narwhals, "from_native", lambda native: native)
    monkeypatch.setattr(narwhals, "to_native", lambda frame: frame)
    source.engine, source.frame = narwhals.Implementation.PYSPARK, spark
    source.with_micros(spark, {"new": "a `b`"})
    source.made({"a": narwhals.String, "b": narwhals.Int64}, [["x", 1]], small=True)
    source.made({"a": narwhals.String}, [])
    source.handed_back(spark)
    assert spark.asked == [
        ("*", "unix_micros(`a ``b```) AS `new`"),
        ([("x", 1)], "`a` string, `b` bigint"),
        "broadcast",
        ([], "`a` string"),
        tuple("timestamp_micros(due_at) AS due_at" if name == "due_at" else f"`{name}`" for name in ACTION),
    ]


def test_spark_names_the_type_that_it_alone_knows(desk: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    source: Any = frames.cases._Source(polars_frame([row()]), None, desk)  # noqa: SLF001 - no JVM is started here
    monkeypatch.setattr(narwhals, "to_native", lambda frame: frame)
    variant = SimpleNamespace(dataType=SimpleNamespace(simpleString=lambda: "variant"))
    source.engine, source.found = narwhals.Implementation.PYSPARK, SimpleNamespace(schema={"stay": variant})
    source.schema = {"stay": narwhals.Unknown()}
    source._check_type("stay", "stay")  # noqa: SLF001 - likewise
    assert source.problems == ["stay: the column 'stay' is variant, not whole numbers: cast it"]


def test_a_type_of_pandas_that_is_no_text_is_named(desk: Workflow) -> None:
    frame = ENGINES["pandas"](polars_frame([row()]))
    days = frame.assign(status=pd.period_range("2026-11-01", periods=1, freq="D"))
    with pytest.raises(CaseDataError, match=r"status: the column 'status' is period\[D\], not text: cast it"):
        frames.due(days, desk)


def test_spark_refuses_in_its_own_words(desk: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    naive = narwhals.from_native(
        polars_frame([row()]).with_columns(pl.col("entered_at").dt.replace_time_zone(None))
    )
    schema = naive.schema
    found = SimpleNamespace(implementation=narwhals.Implementation.PYSPARK, collect_schema=lambda: schema)
    monkeypatch.setattr(narwhals, "from_native", lambda _: found)
    with pytest.raises(NaiveTimeError, match=r"F\.lit\('Z'\)\)\.cast\('timestamp'\)"):
        frames.due(polars_frame([row()]), desk)


@pytest.mark.filterwarnings("ignore:Dask support is moving:FutureWarning")
def test_dask_refuses_in_its_own_words(desk: Workflow) -> None:
    frame = to_dask(polars_frame([row()]).with_columns(pl.col("entered_at").dt.replace_time_zone(None)))
    with pytest.raises(NaiveTimeError, match=r"dt\.tz_localize"):
        frames.due(frame, desk)


# --- the documented policies -----------------------------------------------------


NOW: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
AT: Final = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)


def example_rows() -> list[Row]:
    """The cases of the examples."""
    lines = (Path(__file__).parents[1] / "examples/cases.jsonl").read_text(encoding="utf-8").splitlines()
    known = {field.name for field in attrs.fields(Case)}
    cases = [
        Case.from_dict({name: value for name, value in cells.items() if name in known})
        for cells in map(json.loads, lines)
    ]
    return [{**row_of(case), "mark": case.id} for case in cases]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["sub-status", "open-resolved"])
def test_the_cases_of_the_examples(engine: str, name: str) -> None:
    rows, desk = example_rows(), Workflow(load_policy(name))
    agree(ENGINES[engine], rows, desk, NOW)
    assert len(by_objects(rows, desk, NOW).actions) > 5


SCHEDULES: Final[Mapping[str, Any]] = {
    "business days": {"close_pending": {"after": {"business_days": 10}}},
    "local days": {"remind_customer": {"after": {"calendar_days": 7}}},
    "notice": {"close_pending": {"notice": {"days": 7}}},
    "notice in business days": {"close_pending": {"notice": {"business_days": 3}}},
    "repeats": {"remind_customer": {"repeat": {"every": {"days": 2}, "times": 9}, "notice": {"days": 2}}},
}


@pytest.mark.parametrize("timers", SCHEDULES)
@pytest.mark.parametrize("engine", ["polars", "polars lazy", "pandas", "pyarrow"])
def test_lengths_notice_and_repeats_over_a_turn_of_the_clocks(engine: str, timers: str) -> None:
    policy = policies.SUB_STATUS.override(
        {"calendar": {"zone": "Europe/Berlin", "holidays": ["2026-10-26"]}, "timers": SCHEDULES[timers]}
    )
    turn = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
    rows = [
        row(
            mark=f"{hours} {settled} {tick}",
            status="pending",
            sub_status="customer_input",
            entered_at=turn + timedelta(hours=hours, microseconds=tick),
            settled=settled,
            settled_at=settled and turn + timedelta(hours=hours + 170, microseconds=tick),
        )
        for hours in range(-20 * 24, 3, 5)
        for settled in (None, "remind_customer")
        for tick in (-1, 0, 1)
    ]
    desk = Workflow(policy)
    for now in (turn, turn + timedelta(days=3, microseconds=1), turn + timedelta(days=13)):
        agree(ENGINES[engine], rows, desk, now)
    assert by_objects(rows, desk, turn + timedelta(days=13)).actions


def test_a_hundred_reminders_in_every_state(ducks: Ducks) -> None:
    reminders = {
        "in": "*",
        "kind": "remind",
        "after": {"hours": 1},
        "repeat": {"every": {"hours": 1}, "times": 100},
    }
    policy = policies.OPEN_RESOLVED.override({"timers": {"remind": reminders}})
    rows = [
        row(
            mark=str(number),
            status="open",
            entered_at=NOW - timedelta(hours=number),
            settled=settled,
            settled_at=at,
        )
        for number in range(110)
        for settled, at in ((None, None), (f"remind#{number % 90 + 2}", NOW - timedelta(minutes=number)))
        if at is None or number
    ]
    for engine in (ENGINES["polars lazy"], ENGINES["pandas"], ENGINES["pyarrow"], ducks):
        agree(engine, rows, Workflow(policy), NOW)


# --- what comes out --------------------------------------------------------------


def row(**fields: object) -> Row:
    """A good row, for which something is due."""
    plain = {"case_id": "C-1", "status": "reopened", "entered_at": AT, "stay": 3, "mark": "C-1"}
    return {**dict.fromkeys(SCHEMA), **plain, **fields}


@pytest.fixture
def desk() -> Workflow:
    return Workflow(policies.SUB_STATUS, lambda: NOW)


DUE: Final = [("C-1", 3, "notify_reopened", "notify", "support", AT, None, "C-1:3:notify_reopened")]


def test_the_clock_is_asked_where_now_is_left_out(desk: Workflow) -> None:
    assert actions_of(frames.due(polars_frame([row()]), desk)) == DUE
    assert actions_of(frames.due(polars_frame([row()]), desk, now=AT - timedelta(microseconds=1))) == []


def test_the_result_is_of_the_callers_engine(desk: Workflow, ducks: Ducks) -> None:
    frame = polars_frame([row()])
    for asked in (frame, frame.lazy(), to_pandas(frame), frame.to_arrow(), ducks(frame)):
        for policy in (desk.policy, desk.policy.override(LOCAL), policies.SUB_STATUS.override(bare())):
            assert type(frames.due(asked, Workflow(policy), now=NOW)) is type(asked)
        assert type(frames.rejects(asked, desk)) is type(asked)


LOCAL: Final = {"timers": {"notify_closed": {"after": {"calendar_days": 1}}}}
"""A policy with a timer that no engine knows."""


def bare() -> dict[str, Any]:
    """What makes of the policy one without timers."""
    return {"timers": dict.fromkeys(policies.SUB_STATUS.timers, False)}


def test_the_columns_and_their_types_are_the_same_whatever_is_due(desk: Workflow, ducks: Ducks) -> None:
    empty = polars_frame([]).schema
    for without_timers in (
        desk,
        Workflow(desk.policy.override(LOCAL)),
        Workflow(desk.policy.override(bare())),
    ):
        for rows in ([], [row()]):
            due = frames.due(polars_frame(rows), without_timers, now=NOW)
            assert dict(due.schema) == {
                **dict.fromkeys(ACTION, pl.String),
                "stay": pl.Int64,
                "due_at": empty["entered_at"],
            }
            due = frames.due(polars_frame(rows, as_micros=True), without_timers, now=NOW)
            assert due.schema["due_at"] == pl.Int64
            assert list(map(str, ducks_due(ducks, rows, without_timers).types)) == [
                "VARCHAR",
                "BIGINT",
                "VARCHAR",
                "VARCHAR",
                "VARCHAR",
                "TIMESTAMP WITH TIME ZONE",
                "VARCHAR",
                "VARCHAR",
            ]


def ducks_due(ducks: Ducks, rows: list[Row], desk: Workflow) -> duckdb.DuckDBPyRelation:
    due: duckdb.DuckDBPyRelation = frames.due(ducks(polars_frame(rows)), desk, now=NOW)
    return due


def test_a_lazy_frame_is_not_run(desk: Workflow) -> None:
    frame = polars_frame([row(), row(case_id=None)])
    runs: list[int] = []

    def run(given: pl.DataFrame) -> pl.DataFrame:
        runs.append(len(given))
        return given

    lazy = frame.lazy().map_batches(run, schema=frame.schema)
    due, rejects = frames.due(lazy, desk), frames.rejects(lazy, desk)
    assert runs == []
    assert actions_of(due) == DUE
    assert len(rows_of(rejects)) == 1


def test_it_is_run_once_where_the_calendar_decides_and_then_stays_lazy(desk: Workflow) -> None:
    frame = polars_frame([row()])
    runs: list[int] = []

    def run(given: pl.DataFrame) -> pl.DataFrame:
        runs.append(len(given))
        return given

    due = frames.due(
        frame.lazy().map_batches(run, schema=frame.schema), Workflow(desk.policy.override(LOCAL)), now=NOW
    )
    assert isinstance(due, pl.LazyFrame)
    assert runs == [1]
    assert actions_of(due) == DUE
    assert runs == [1]


def test_rejects_have_the_callers_own_columns_and_why(desk: Workflow) -> None:
    frame = to_pandas(polars_frame([row(), row(status="reopend", mark="C-2")])).assign(
        casestate_entered_at="mine"
    )
    rejects = frames.rejects(frame, desk)
    assert list(rejects.columns) == [*frame.columns, "why"]
    assert list(rejects.index) == [8]
    (bad,) = rows_of(rejects)
    assert bad["why"].startswith("status: unknown status 'reopend' (there are: new, ")
    assert (bad["mark"], bad["casestate_entered_at"]) == ("C-2", "mine")


WHY: Final[Mapping[str, dict[str, object]]] = {
    "case_id: is missing": {"case_id": None},
    "case_id: must be text, not ''": {"case_id": ""},
    "status: is missing": {"status": None},
    "status: is a whole state": {"status": "pending.customer_input"},
    "sub_status: is missing: pending needs one of customer_input, ": {"status": "pending"},
    "sub_status of pending: unknown status 'x'": {"status": "pending", "sub_status": "x"},
    "sub_status of reopened: unknown status ''": {"sub_status": ""},
    "entered_at: is missing": {"entered_at": None},
    "stay: must be a whole number from 1 on": {"stay": 0},
    "settled: no timer of reopened 'close_pending' (there are: notify_reopened)": {
        "settled": "close_pending",
        "settled_at": AT,
    },
    "settled_at: is missing: settled says": {"settled": "notify_reopened"},
    "settled: is missing: settled_at says": {"settled_at": AT},
    "settled_at: is before the stay began": {
        "settled": "notify_reopened",
        "settled_at": AT - timedelta(microseconds=1),
    },
    "policy: must be text, not ''": {"policy": ""},
}


@pytest.mark.parametrize("why", WHY)
@pytest.mark.parametrize("engine", ["polars", "pandas", "pyarrow"])
def test_why_names_the_field_and_what_is_wrong(engine: str, why: str, desk: Workflow) -> None:
    (bad,) = rows_of(frames.rejects(ENGINES[engine](polars_frame([row(**WHY[why])])), desk))
    assert bad["why"].startswith(why)
    assert "; " not in bad["why"]


def test_why_says_all_that_is_wrong(desk: Workflow) -> None:
    (bad,) = rows_of(frames.rejects(polars_frame([row(case_id="", status="nex", stay=-1)]), desk))
    assert [sentence.partition(":")[0] for sentence in bad["why"].split("; ")] == [
        "case_id",
        "stay",
        "status",
    ]


@pytest.mark.parametrize("engine", [*ENGINES, "duckdb"])
def test_an_instant_beyond_the_years_1_to_9999_is_none(engine: str, desk: Workflow, ducks: Ducks) -> None:
    beyond = pl.Series([10**18, -(10**17), micros(AT)])
    whole = polars_frame([row(), row(), row()]).drop("settled", "settled_at").with_columns(entered_at=beyond)
    for asked in (whole, whole.with_columns(beyond.cast(pl.Datetime("us", "UTC")).alias("entered_at"))):
        frame = ducks(asked) if engine == "duckdb" else arrow_pandas_too(engine, asked)
        due = actions_of(frames.due(frame, desk, now=NOW))
        assert [action[0] for action in due] == ["C-1"]


def arrow_pandas_too(engine: str, frame: pl.DataFrame) -> Any:  # noqa: ANN401 - a frame of any engine
    """The frame, not by way of Python's own instants, which end where ours do."""
    if engine.startswith("pandas"):
        return frame.to_arrow().to_pandas()
    return ENGINES[engine](frame)


def test_duckdb_has_instants_without_end(desk: Workflow, ducks: Ducks) -> None:
    relation = ducks.connection.sql(
        "SELECT 'C-' || n AS id, 'reopened' AS status, NULL AS sub_status, "
        "CASE n WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity' ELSE '2026-11-01 09:00:00+00' END"
        "::TIMESTAMPTZ AS entered_at, CASE n WHEN 3 THEN 'infinity'::TIMESTAMPTZ END AS settled_at, "
        "CASE n WHEN 3 THEN 'notify_reopened' END AS settled FROM range(4) AS r(n)"
    )
    assert [action[0] for action in actions_of(frames.due(relation, desk))] == ["C-0"]
    assert {
        bad["id"]
        for bad in rows_of(
            frames.rejects(
                relation.select(
                    "* EXCLUDE (settled_at, entered_at), "
                    "epoch_us(entered_at) AS entered_at, epoch_us(settled_at) AS settled_at"
                ),
                desk,
            )
        )
    } == {"C-1", "C-2", "C-3"}


# --- the caller's columns --------------------------------------------------------


def test_columns_name_those_of_the_caller(desk: Workflow, ducks: Ducks) -> None:
    names = {name: f"{name} of 'our' \"own\" `desk`" for name in SCHEMA}
    frame = (
        polars_frame([row(), row(status="nex", mark="C-2")])
        .rename(names)
        .with_columns(status=pl.lit("closed"))
    )
    for asked in (frame, frame.lazy(), to_pandas(frame), frame.to_arrow(), ducks(frame)):
        assert actions_of(frames.due(asked, desk, columns=names)) == DUE
        assert [bad["mark"] for bad in rows_of(frames.rejects(asked, desk, columns=names))] == ["C-2"]


def test_case_id_may_be_called_id(desk: Workflow) -> None:
    frame = polars_frame([row()]).rename({"case_id": "id"})
    assert actions_of(frames.due(frame, desk)) == DUE
    assert actions_of(frames.due(frame.rename({"id": "key"}), desk, columns={"id": "key"})) == DUE
    both = frame.with_columns(case_id=pl.lit("C-7"))
    assert actions_of(frames.due(both, desk))[0][0] == "C-7"


@pytest.mark.parametrize("engine", ENGINES)
def test_stay_and_what_has_been_settled_may_be_missing(engine: str, desk: Workflow) -> None:
    rows = [
        row(policy=None),
        row(status="closed", mark="C-2"),
        row(status="pending", sub_status="customer_input"),
    ]
    short = polars_frame(rows).drop("stay", "settled", "settled_at", "policy")
    given = ENGINES[engine](short)
    assert narwhals.from_native(frames.due(given, desk)).collect_schema()["stay"] == narwhals.Int64
    expected = by_objects([{**one, "stay": 1} for one in rows], desk, NOW)
    assert sorted(actions_of(frames.due(given, desk)), key=repr) == sorted(expected.actions, key=repr)
    assert rows_of(frames.rejects(given, desk)) == []


def test_sub_statuses_may_be_missing_where_the_policy_has_none() -> None:
    desk = Workflow(policies.OPEN_RESOLVED)
    rows = [row(status="resolved"), row(status="resolvd", mark="C-2")]
    frame = polars_frame(rows).drop("sub_status")
    assert actions_of(frames.due(frame, desk, now=NOW)) == by_objects(rows, desk, NOW).actions
    assert [bad["mark"] for bad in rows_of(frames.rejects(frame, desk))] == ["C-2"]


def test_one_half_of_what_has_been_settled_is_not_enough(desk: Workflow) -> None:
    settled = row(settled="notify_reopened", settled_at=AT)
    for half in ("settled", "settled_at"):
        frame = polars_frame([row(), settled]).drop(half)
        assert actions_of(frames.due(frame, desk)) == DUE
        (bad,) = rows_of(frames.rejects(frame, desk))
        assert bad["why"].startswith(f"{half}: is missing: ")


@pytest.mark.parametrize("engine", ["polars", "polars lazy", "pandas", "pyarrow"])
def test_a_column_that_holds_nothing_needs_no_type(engine: str, desk: Workflow) -> None:
    frame = polars_frame([row()])
    nothing = ("sub_status", "settled", "settled_at", "policy")
    given = ENGINES[engine](
        frame.with_columns(pl.lit(None).alias(name) for name in nothing) if engine != "pandas" else frame
    )
    if engine == "pandas":
        given = given.assign(**{name: pd.Series([None], index=given.index, dtype=object) for name in nothing})
    assert actions_of(frames.due(given, desk)) == DUE
    assert rows_of(frames.rejects(given, desk)) == []


def test_a_frame_without_rows_needs_no_types(desk: Workflow) -> None:
    frame = pl.DataFrame({name: [] for name in SCHEMA})
    assert rows_of(frames.due(frame.drop("stay"), desk)) == []
    assert rows_of(frames.rejects(frame.drop("stay"), desk)) == []


def test_text_may_be_of_every_type_that_holds_text(desk: Workflow) -> None:
    frame = polars_frame([row(), row(case_id="C-2", status="new", mark="C-2")])
    arrow = frame.to_arrow()
    plain = arrow.set_column(1, "status", arrow["status"].cast("string"))
    coded = arrow.set_column(1, "status", arrow["status"].cast("string").dictionary_encode())
    kinds = pl.Enum(["new", "reopened"])
    for asked in (
        frame.with_columns(pl.col("status").cast(pl.Categorical)),
        frame.with_columns(pl.col("status").cast(kinds)).lazy(),
        to_pandas(frame).astype({"status": "category"}),
        to_pandas(frame).astype({"status": "string", "case_id": "string[python]"}),
        coded.to_pandas(types_mapper=pd.ArrowDtype),
        plain,
        coded,
    ):
        assert actions_of(frames.due(asked, desk)) == DUE
        assert rows_of(frames.rejects(asked, desk)) == []


def test_a_stay_may_be_of_every_whole_type(desk: Workflow) -> None:
    for dtype in (pl.Int8, pl.UInt64):
        assert (
            actions_of(frames.due(polars_frame([row()]).with_columns(pl.col("stay").cast(dtype)), desk))
            == DUE
        )
    beyond = polars_frame([row()]).with_columns(stay=pl.Series([1 << 63], dtype=pl.UInt64))
    assert rows_of(frames.due(beyond, desk)) == []
    assert len(rows_of(frames.rejects(beyond, desk))) == 1


# --- what cannot be read ---------------------------------------------------------


HINTED: Final[Mapping[str, Callable[[pl.DataFrame], pl.DataFrame]]] = {
    "milliseconds": lambda frame: frame.with_columns(pl.col("entered_at").dt.cast_time_unit("ms")),
    "nanoseconds": lambda frame: frame.with_columns(pl.col("entered_at").dt.cast_time_unit("ns")),
    "another zone": lambda frame: frame.with_columns(pl.col("entered_at").dt.convert_time_zone("Asia/Tokyo")),
    "naive": lambda frame: frame.with_columns(pl.col("entered_at").dt.replace_time_zone(None)),
    "naive milliseconds": lambda frame: frame.with_columns(
        pl.col("entered_at").dt.cast_time_unit("ms").dt.replace_time_zone(None)
    ),
    "text": lambda frame: frame.with_columns(pl.lit("2026-11-01T09:00:00Z").alias("entered_at")),
    "a stay as text": lambda frame: frame.with_columns(pl.lit("3").alias("stay")),
    "a stay as a fraction": lambda frame: frame.with_columns(pl.lit(3.0).alias("stay")),
    "an id as a number": lambda frame: frame.with_columns(pl.lit(1).alias("case_id")),
}


@pytest.mark.parametrize(
    ("engine", "problem"),
    [
        *(
            (engine, problem)
            for engine in ("polars", "polars lazy", "pandas", "pyarrow")
            for problem in HINTED
        ),
        *(
            ("duckdb", problem)
            for problem in HINTED
            if problem not in ("milliseconds", "nanoseconds", "another zone")
        ),
    ],
)
def test_a_column_of_another_type_is_refused_and_the_hint_works(
    engine: str, problem: str, desk: Workflow, ducks: Ducks
) -> None:
    frame: Any = HINTED[problem](polars_frame([row()]))
    if engine == "duckdb":
        frame = ducks(frame)
    else:
        frame = frame.to_arrow().to_pandas() if engine == "pandas" else ENGINES[engine](frame)
    with pytest.raises(CaseDataError) as refused:
        frames.due(frame, desk)
    (found,) = refused.value.problems
    name = "case_id" if "id" in problem.split() else "stay" if "stay" in problem else "entered_at"
    assert found.path == name
    assert f"the column {name!r} is " in found.message
    assert isinstance(refused.value, NaiveTimeError) is ("naive" in problem)
    hint = found.message[found.message.index("SELECT" if engine == "duckdb" else "frame.") :]
    if engine == "duckdb":
        cast = frame.query("given", f"{hint} FROM given")
    else:
        cast = eval(hint, {"frame": frame, "pl": pl, "pd": pd, "pa": pa})  # noqa: S307 - it is ours
    assert [action[2] for action in actions_of(frames.due(cast, desk))] == ["notify_reopened"]


def test_all_that_is_wrong_is_said_at_once(desk: Workflow) -> None:
    frame = polars_frame([row()]).select(
        "entered_at",
        "status",
        pl.lit(1.5).alias("stay"),
        pl.lit(7).alias("settled"),
        pl.lit(1).alias("settled_at"),
    )
    columns: Any = {"statsu": "status", "entered_at": "entered", "stay": "stay", "policy": 7}
    with pytest.raises(CaseDataError) as refused:
        frames.due(frame, desk, columns=columns)
    assert [problem.path for problem in refused.value.problems] == [
        "columns.statsu",
        "columns.entered_at",
        "columns.policy",
        "case_id",
        "sub_status",
        "stay",
        "settled",
        "settled_at",
    ]
    message = str(refused.value)
    assert "is not read; did you mean 'status'? (there are: case_id, status, " in message
    assert "the frame has no column 'entered'; did you mean 'entered_at'? (there are: entered_at, " in message
    assert "case_id: the frame has no such column; name yours with columns= " in message


def test_a_type_that_nobody_knows_is_refused_by_its_own_name(desk: Workflow, ducks: Ducks) -> None:
    """Nanoseconds with a zone, of which DuckDB has a type and narwhals has none: they are not nothing."""
    relation = ducks(polars_frame([row(settled="notify_reopened", settled_at=AT)]))
    for column in ("entered_at", "settled_at"):
        asked = relation.select(f"* REPLACE ({column}::TIMESTAMPTZ_NS AS {column})")
        for ask in (frames.due, frames.rejects):
            with pytest.raises(
                CaseDataError, match=f"{column}: the column '{column}' is TIMESTAMPTZ_NS, not an inst"
            ):
                ask(asked, desk)
    asked = relation.select("* REPLACE (CAST(stay AS VARIANT) AS stay, CAST(policy AS VARIANT) AS policy)")
    with pytest.raises(
        CaseDataError, match=r"stay: the column 'stay' is VARIANT, not whole[^$]*policy: .* not text"
    ):
        frames.due(asked, desk)


def test_a_collation_makes_no_case_of_what_is_none(desk: Workflow, ducks: Ducks) -> None:
    relation = ducks(polars_frame([row(status="REOPENED"), row(mark="C-2")]))
    asked = relation.select("* REPLACE (status COLLATE nocase AS status)")
    assert actions_of(frames.due(asked, desk)) == DUE
    assert [bad["status"] for bad in rows_of(frames.rejects(asked, desk))] == ["REOPENED"]


def test_numbers_that_are_no_microseconds_are_not_cast_to_datetimes(desk: Workflow) -> None:
    seconds = polars_frame([row()]).with_columns(entered_at=pl.lit(1_700_000_000.0))
    with pytest.raises(CaseDataError, match=r"'entered_at' is Float64; .* 1970: make such numbers of these$"):
        frames.due(seconds, desk)


def test_other_columns_may_have_any_name(desk: Workflow) -> None:
    frame = polars_frame([row(status="nowhere")])
    odd = frame.with_columns(pl.lit(1).alias("*"), pl.lit(2).alias("^a.*$"), pl.lit(3).alias("Casestate_x"))
    assert [*rows_of(frames.rejects(odd, desk))[0]] == [*odd.columns, "why"]
    numbered = ENGINES["pandas"](frame).assign(x=1).rename(columns={"x": 0})
    assert [*frames.rejects(numbered, desk).columns] == [*numbered.columns, "why"]
    twice = pd.concat([numbered, numbered[[0]]], axis=1)
    with pytest.raises(CaseDataError, match="Expected unique column names"):
        frames.rejects(twice, desk)


def test_an_id_is_named_once(desk: Workflow) -> None:
    with pytest.raises(CaseDataError, match=r"columns.id: is named twice: give case_id or id"):
        frames.due(polars_frame([row()]), desk, columns={"case_id": "case_id", "id": "status"})


@pytest.mark.parametrize("engine", ["polars lazy", "pandas", "pyarrow"])
def test_a_large_policy_is_no_deeper_than_a_small_one(engine: str) -> None:
    timers = {
        f"t{state}_{number}": {"in": f"s{state}", "kind": "remind", "after": {"days": number + 1}}
        for state in range(120)
        for number in range(5)
    }
    statuses: dict[str, dict[str, str]] = {f"s{state}": {} for state in range(120)}
    desk = Workflow(
        load_policy({"format": 1, "name": "large", "initial": "s0", "statuses": statuses, "timers": timers})
    )
    rows = [row(status="s119", policy=None), row(status="s120", policy=None, mark="C-2")]
    agree(ENGINES[engine], rows, desk, NOW)


def test_instants_are_all_of_one_form(desk: Workflow) -> None:
    frame = polars_frame([row()]).with_columns(pl.col("entered_at").dt.timestamp("us"))
    with pytest.raises(CaseDataError, match=r"settled_at: and entered_at are in two forms"):
        frames.due(frame, desk)


def test_rejects_need_the_name_why_for_themselves(desk: Workflow) -> None:
    frame = polars_frame([row()]).with_columns(why=pl.lit("because"))
    assert actions_of(frames.due(frame, desk)) == DUE
    with pytest.raises(CaseDataError, match=r"^frame: why: the frame has a column of this name"):
        frames.rejects(frame, desk)


@pytest.mark.parametrize("frame", [None, [], {"id": ["C-1"]}, pl.Series([1]), 7, "cases"])
def test_what_is_no_frame_is_refused(desk: Workflow, frame: object) -> None:
    with pytest.raises(CaseDataError, match=r"^frame: must be a dataframe "):
        frames.due(frame, desk)


def test_arguments_that_cannot_be_are_refused(desk: Workflow) -> None:
    frame = polars_frame([row()])
    anything: Any = "sub-status"
    with pytest.raises(PolicyError, match=r"must be a Workflow, not 'sub-status'"):
        frames.due(frame, anything)
    with pytest.raises(PolicyError, match="must be a Workflow"):
        frames.rejects(frame, anything)
    with pytest.raises(CaseDataError, match=r"columns: must map the design's names"):
        frames.due(frame, desk, columns=anything)
    with pytest.raises(NaiveTimeError):
        frames.due(frame, desk, now=NOW.replace(tzinfo=None))


def test_an_engine_that_is_not_known_is_named(desk: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(implementation=narwhals.Implementation.IBIS)
    monkeypatch.setattr(narwhals, "from_native", lambda _: found)
    with pytest.raises(
        CaseDataError, match=r"^frame: ibis is not known here: hand over the frame of the engine"
    ):
        frames.due(polars_frame([row()]), desk)


# --- what is worth reading -------------------------------------------------------


@given(situation=situations())
def test_what_is_worth_reading_has_every_row_that_is_due_or_bad(
    situation: tuple[Policy, list[Row], datetime],
) -> None:
    policy, rows, now = situation
    desk = Workflow(policy)
    worth = {
        kept["mark"]
        for kept in rows_of(
            frames.worth_reading(polars_frame(rows), {policy.name: desk, None: desk}, now=now)
        )
    }
    for one in rows:
        expected = by_objects([one], desk, now)
        other = one["policy"] not in (None, "", policy.name)
        if expected.actions or expected.refused or other:
            assert one["mark"] in worth


def test_what_has_been_settled_for_good_is_not_worth_reading(desk: Workflow) -> None:
    closed = row(status="closed", settled="notify_closed", settled_at=AT)
    assert (
        rows_of(frames.worth_reading(polars_frame([closed]), {"sub-status": desk, None: desk}, now=NOW)) == []
    )


def test_what_is_worth_reading_is_little(desk: Workflow) -> None:
    rows = [row(), row(status="new", mark="C-2"), row(status="closed", entered_at=NOW, mark="C-3")]
    kept = rows_of(frames.worth_reading(polars_frame(rows).lazy(), {None: desk}, now=NOW))
    assert [one["mark"] for one in kept] == ["C-1"]
