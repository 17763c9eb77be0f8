"""How a log is read: its columns, its words, its order, its clock, and the stays it tells of."""

from __future__ import annotations

import copy
import csv
import io
import json
import pickle

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pandas as pd
import pytest

from hypothesis import assume, given
from hypothesis import strategies as st

import replay_reference as naive

from builders import DAY, MONDAY, case_in
from casestate import Case, LogError, NaiveTimeError, Workflow, load_policy, testing
from casestate.errors import NaiveLogTimeError
from casestate.log import Cells, LogMap, Past, Reading, Stay, load_map, read


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

BERLIN = "Europe/Berlin"
ANY: Any = read
"""`read` for those who give it what its types forbid."""


@pytest.fixture
def desk() -> Workflow:
    return Workflow(load_policy("sub-status"))


@pytest.fixture
def other() -> Workflow:
    return Workflow(load_policy("open-resolved"))


def past(
    log: Iterable[object],
    desk: Workflow,
    mapping: Mapping[str, object] | None = None,
    **how: Any,  # noqa: ANN401 - the options of a reading
) -> Past:
    return read(log, desk, Reading(desk.policy, mapping, **how))


def stays(found: Past, case: str = "1") -> list[str]:
    """The states of a case, and the days since Monday at which it entered them."""
    assert [stay.number for stay in found.stays[case]] == list(range(1, len(found.stays[case]) + 1))
    return [f"{stay.state} {(stay.entered_at - MONDAY) / DAY:g}" for stay in found.stays[case]]


def row(day: float, status: str, sub_status: str | None = None, case: str = "1") -> tuple[object, ...]:
    return case, MONDAY + day * DAY, status, sub_status


def problems(log: Iterable[object], desk: Workflow, mapping: Any = None, **how: Any) -> list[str]:  # noqa: ANN401 - whatever is wrong
    """All that is wrong with a log."""
    with pytest.raises(LogError) as raised:
        past(log, desk, mapping, **how)
    return [str(problem) for problem in raised.value.problems]


def map_problems(mapping: object, desk: Workflow, **how: Any) -> list[str]:  # noqa: ANN401 - whatever is wrong
    with pytest.raises(LogError) as raised:
        Reading(desk.policy, mapping, **how)  # type: ignore[arg-type]
    return [str(problem) for problem in raised.value.problems]


# --- stays -----------------------------------------------------------------------


def test_equal_consecutive_statuses_are_one_stay(desk: Workflow) -> None:
    log = [row(0, "new"), row(1, "in_progress"), row(2, "in_progress"), row(3, "new"), row(4, "new")]
    found = past(log, desk)
    assert stays(found) == ["new 0", "in_progress 1", "new 3"]
    assert found.counts.duplicates == 0


def test_with_touch_every_repeated_row_is_a_new_stay(desk: Workflow) -> None:
    log = [row(0, "new"), row(1, "in_progress"), row(2, "in_progress"), row(2, "in_progress")]
    assert stays(past(log, desk, restart="touch")) == [
        "new 0",
        "in_progress 1",
        "in_progress 2",
        "in_progress 2",
    ]


def test_the_same_status_with_another_sub_status_is_another_stay(desk: Workflow) -> None:
    log = [row(0, "pending", "development"), row(1, "pending", "customer_input")]
    assert stays(past(log, desk)) == ["pending.development 0", "pending.customer_input 1"]


def test_what_is_ignored_does_not_part_a_stay(desk: Workflow) -> None:
    log = [row(0, "new"), row(1, "VERIFIED"), row(2, "new"), row(3, "closed")]
    mapping = {"statuses": {"new": "new", "VERIFIED": "ignore", "closed": "closed"}}
    found = past(log, desk, mapping)
    assert stays(found) == ["new 0", "closed 3"]
    assert found.counts.ignored == 1
    assert stays(past(log, desk, mapping, restart="touch")) == ["new 0", "new 2", "closed 3"]


def test_a_case_may_begin_in_any_state_closed_ones_too(desk: Workflow) -> None:
    assert stays(past([row(0, "closed"), row(1, "reopened")], desk)) == ["closed 0", "reopened 1"]


def test_a_case_of_which_everything_is_ignored_has_no_stay(desk: Workflow) -> None:
    found = past([row(0, "x"), row(1, "new", case="2")], desk, {"statuses": {"x": "ignore", "new": "new"}})
    assert list(found.stays) == ["2"]
    assert found.counts.ignored_cases == 1
    assert (found.counts.rows, found.counts.ignored) == (2, 1)


def test_cases_stand_in_the_order_in_which_the_log_names_them(desk: Workflow) -> None:
    log = [row(5, "new", case="b"), row(0, "new", case="a"), row(6, "closed", case="b")]
    assert list(past(log, desk).stays) == ["b", "a"]


# --- first and later -----------------------------------------------------------------

FIRST_LATER = {
    "statuses": {
        "Assign": {"first": "new", "later": "ignore"},
        "Insert": {"first": "new", "later": "reopened"},
        "Begin": {"first": "ignore", "later": "in_progress"},
        "Work": "in_progress",
        "Back": "new",
        "Nothing": "ignore",
    }
}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Assign Work Assign", ["new 0", "in_progress 1"]),
        ("Assign Insert Assign Work", ["new 0", "in_progress 3"]),
        ("Assign Nothing Insert Work Insert", ["new 0", "in_progress 3", "reopened 4"]),
        # A case that has only been in that state is there for the first time, however it came to be.
        ("Insert Work Assign Insert", ["new 0", "in_progress 1", "reopened 3"]),
        ("Work Assign Insert", ["in_progress 0", "reopened 2"]),
        ("Work Work Insert Assign", ["in_progress 0", "reopened 2"]),
        ("Insert Work Back Insert Assign", ["new 0", "in_progress 1", "new 2", "reopened 3"]),
        ("Begin Insert Begin Begin", ["new 1", "in_progress 2"]),
        ("Nothing Begin Begin Assign", ["new 3"]),
    ],
)
def test_first_is_meant_while_the_case_has_been_in_no_other_state(
    desk: Workflow, words: str, expected: list[str]
) -> None:
    log = [row(number, word) for number, word in enumerate(words.split())]
    assert stays(past(log, desk, FIRST_LATER)) == expected


# --- order -------------------------------------------------------------------------


def test_rows_out_of_order_are_put_in_order(desk: Workflow) -> None:
    log = [row(4, "closed"), row(0, "new"), row(2, "in_progress")]
    found = past(log, desk)
    assert stays(found) == ["new 0", "in_progress 2", "closed 4"]
    assert found.counts.out_of_order == 1


def test_rows_of_one_instant_keep_the_order_of_the_file(desk: Workflow) -> None:
    log = [row(0, "new"), row(1, "reopened"), row(1, "in_progress"), row(1, "closed")]
    found = past(log, desk)
    assert stays(found) == ["new 0", "reopened 1", "in_progress 1", "closed 1"]
    assert found.counts.out_of_order == 0


def test_the_order_column_breaks_ties_and_only_ties(desk: Workflow) -> None:
    log = [
        {"case": "1", "at": MONDAY + DAY, "status": "closed", "order": 3},
        {"case": "1", "at": MONDAY + DAY, "status": "in_progress", "order": "2"},
        {"case": "1", "at": MONDAY + DAY, "status": "reopened", "order": 2},
        {"case": "1", "at": MONDAY, "status": "new", "order": "10"},
    ]
    found = past(log, desk)
    assert stays(found) == ["new 0", "in_progress 1", "reopened 1", "closed 1"]
    # The first row has the order 10, so the next one goes back, whatever the file did.
    assert found.counts.out_of_order == 1


def test_a_clock_that_goes_back_is_counted(desk: Workflow) -> None:
    def log(*days: float) -> list[dict[str, object]]:
        return [
            {"case": "1", "at": MONDAY + day * DAY, "status": "new", "order": number}
            for number, day in enumerate(days)
        ]

    assert past(log(0, 1, 2), desk).counts.out_of_order == 0
    assert past(log(0, 2, 1), desk).counts.out_of_order == 1
    assert past(log(2, 1, 0), desk).counts.out_of_order == 2
    assert past(log(0, 1, 2)[::-1], desk).counts.out_of_order == 0  # the order column knows better


def test_a_row_that_is_there_twice_is_counted_and_begins_no_stay(desk: Workflow) -> None:
    log = [row(0, "new"), row(1, "closed"), row(1, "closed"), row(1, "closed", case="2"), row(2, "closed")]
    found = past(log, desk)
    assert found.counts.duplicates == 1
    assert stays(found) == ["new 0", "closed 1"]


def test_rows_of_one_instant_that_say_the_same_are_duplicates_whatever_their_order(desk: Workflow) -> None:
    log = [
        {"case": "1", "at": MONDAY, "status": status, "order": order}
        for status, order in [("new", 1), ("new", 2), ("closed", 2), ("closed", 2), ("new", 3)]
    ]
    assert past(log, desk).counts.duplicates == 2
    log = [
        {"case": "1", "at": MONDAY, "status": "pending", "sub_status": sub_status}
        for sub_status in ("development", "customer_input")
    ]
    assert past(log, desk).counts.duplicates == 0


# --- columns -------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["case", "case_id"])
@pytest.mark.parametrize("at", ["at", "entered_at"])
def test_columns_are_looked_for_under_their_own_names(desk: Workflow, case: str, at: str) -> None:
    assert stays(past([{case: "1", at: MONDAY, "status": "new", "more": object()}], desk)) == ["new 0"]


def test_the_map_says_what_a_log_calls_its_columns(desk: Workflow) -> None:
    log = [
        {
            "case": "no",
            "Ticket": 1,
            "at": "no",
            "ts": MONDAY,
            "status": "no",
            "raw": "pending",
            "why": "development",
        }
    ]
    columns = {"case": "Ticket", "at": "ts", "status": "raw", "sub_status": "why"}
    assert stays(past(log, desk, {"columns": columns})) == ["pending.development 0"]


def test_rows_of_json_lines_may_leave_out_what_they_have_none_of(desk: Workflow) -> None:
    text = """{"case": "1", "at": "2026-03-02T09:30:15.25Z", "status": "new"}
    {"case": "1", "at": "2026-03-03T09:30:15.25Z", "status": "pending", "sub_status": "development"}"""
    log = [json.loads(line) for line in text.splitlines()]
    assert stays(past(log, desk)) == ["new 0", "pending.development 1"]


def test_rows_of_csv_are_read_as_they_come(desk: Workflow) -> None:
    text = """case,at,status,sub_status,order
1,2026-03-02T09:30:15.250Z,new,,1
1, 2026-03-03T10:30:15.25+01:00 ,pending, development ,2
"""
    found = past(csv.DictReader(io.StringIO(text)), desk)
    assert stays(found) == ["new 0", "pending.development 1"]
    over = csv.DictReader(io.StringIO(text.rstrip() + ",what is over\n"))
    assert problems(over, desk) == ["row 2: has more cells than there are columns: ['what is over']"]


def test_rows_may_be_tuples_or_lists_of_three_or_four(desk: Workflow) -> None:
    log = [
        ("1", MONDAY, "new"),
        ["1", MONDAY + DAY, "pending", "development"],
        (1, MONDAY + 2 * DAY, "new", ""),
    ]
    assert stays(past(log, desk)) == ["new 0", "pending.development 1", "new 2"]


def test_a_row_of_another_kind_than_the_first_is_a_bad_row(desk: Workflow) -> None:
    kinds: list[object] = [row(0, "new"), good(1), desk.open("2", at=MONDAY)]
    names = ["tuple", "mapping", "Case"]
    firsts = [row(0, "new"), good(1), desk.open("1", at=MONDAY)]
    for first, name in zip(firsts, names, strict=True):
        assert problems([first, *kinds], desk) == [
            f"row {number}: is a {other}, but the log begins with a {name}"
            for number, other in enumerate(names, 2)
            if other != name
        ]


def test_all_columns_that_are_missing_are_named_with_what_is_near(desk: Workflow) -> None:
    there = "(there are: cse, when, Status); say in the map which one it is"
    assert problems([{"cse": 1, "when": 2, "Status": 3}], desk) == [
        f"columns.case: the log has no column 'case'; did you mean 'cse'? {there}",
        f"columns.at: the log has no column 'at' {there}",
        f"columns.status: the log has no column 'status'; did you mean 'Status'? {there}",
    ]


def test_a_column_that_the_map_names_has_to_be_there(desk: Workflow) -> None:
    log = [{"case": "1", "at": MONDAY, "status": "new"}]
    mapping = {"columns": {"sub_status": "why", "order": "seq"}}
    assert problems(log, desk, mapping) == [
        f"columns.{name}: the log has no column {own!r} (there are: case, at, status); "
        "say in the map which one it is"
        for name, own in (("sub_status", "why"), ("order", "seq"))
    ]


# --- words ---------------------------------------------------------------------------


def test_without_a_map_a_log_speaks_the_words_of_the_policy(desk: Workflow) -> None:
    log = [
        ("1", MONDAY, "pending.customer_input"),
        ("1", MONDAY + DAY, "pending", "development"),
    ]
    assert stays(past(log, desk)) == ["pending.customer_input 0", "pending.development 1"]


def test_a_status_and_a_sub_status_together_come_before_the_status_alone(desk: Workflow) -> None:
    mapping = {"statuses": {"Hold": "in_progress", "Hold.us": "pending.development", "Wait": "pending"}}
    log = [
        row(0, "Hold", "us"),
        row(1, "Hold", "them"),
        row(2, "Hold"),
        row(3, "Hold.us"),
        row(4, "Wait", "customer_input"),
    ]
    assert stays(past(log, desk, mapping)) == [
        "pending.development 0",
        "in_progress 1",
        "pending.development 3",
        "pending.customer_input 4",
    ]


def test_every_value_without_a_meaning_is_named_with_its_count_the_most_frequent_first(
    desk: Workflow,
) -> None:
    log = [
        row(0, "pending", "nowhere"),
        *[row(1, "Wiat")] * 3,
        row(2, "new"),
        row(3, "pending"),
        *[row(4, "B")] * 1200,
    ]
    states = ", ".join(desk.policy.states)
    assert problems(log, desk) == [
        "statuses.B: is not mapped, and stands in 1,200 rows",
        "statuses.Wiat: is not mapped, and stands in 3 rows",
        "statuses.pending: is not mapped, and stands in 1 row",
        "statuses.pending.nowhere: is not mapped, and stands in 1 row",
        f"statuses: map each of these to a state (there are: {states}, ignore)",
    ]


def test_a_value_that_the_map_does_not_have_or_does_not_complete_is_named_too(desk: Workflow) -> None:
    mapping = {"statuses": {"Wait": "pending", "Go": {"first": "new", "later": "pending"}, "In": "new"}}
    log = [row(0, "In"), row(1, "Wait"), row(2, "Wait", "nowhere"), row(3, "Go"), row(4, "Lost", "x")]
    *found, _ = problems(log, desk, mapping)
    assert found == [
        "statuses.Go: needs a sub-status that is not in 1 row",
        "statuses.Lost.x: is not mapped, and stands in 1 row",
        "statuses.Wait: needs a sub-status that is not in 1 row",
        "statuses.Wait.nowhere: is not mapped, and stands in 1 row",
    ]
    log = [row(0, "Go", "development"), row(1, "Wait", "customer_input"), row(2, "Go", "development")]
    assert stays(past(log, desk, mapping)) == ["new 0", "pending.customer_input 1", "pending.development 2"]


def test_a_status_that_appears_once_in_many_rows_is_found(desk: Workflow) -> None:
    log = [row(number / 1000, "new", case=str(number % 7)) for number in range(20_000)]
    log.insert(12_345, row(3, "Lost"))
    problem, _ = problems(log, desk)
    assert problem == "statuses.Lost: is not mapped, and stands in 1 row"


def test_words_of_the_map_that_the_log_does_not_have_are_told(desk: Workflow) -> None:
    reading = Reading(desk.policy, {"statuses": {"a": "new", "a.b": "closed", "c": "new", "d": "ignore"}})
    counts = read([row(0, "a", "b"), row(1, "d")], desk, reading).counts
    assert reading.unused(dict(counts.values)) == ("c",)
    assert counts.values == {("a", "b"): 1, ("d", None): 1}  # noqa: PD011 - a counter
    reading = Reading(desk.policy, {"events": {"x": "ignore", "y": {"event": "note", "by": "agent"}}})
    counts = read([{"case": 1, "at": MONDAY, "event": "x"}], desk, reading).counts
    assert reading.unused(dict(counts.values)) == ("y",)
    assert Reading(desk.policy).unused({}) == ()


# --- instants ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "at",
    [
        "2026-03-02T09:30:15.250Z",
        "2026-03-02t09:30:15.25z",
        "2026-03-02 10:30:15.250+01:00",
        " 20260302T093015.25Z ",
        MONDAY,
        MONDAY.astimezone(timezone(timedelta(hours=-5))),
        pd.Timestamp(MONDAY),
    ],
)
def test_an_instant_is_read_however_it_is_written(desk: Workflow, at: object) -> None:
    found = past([("1", at, "new"), row(1, "closed")], desk)
    assert found.stays["1"] == [Stay(1, "new", MONDAY), Stay(2, "closed", MONDAY + DAY)]
    assert type(found.stays["1"][0].entered_at) is datetime
    assert found.counts.zoned == 0


def test_a_log_may_write_its_instants_in_several_ways(desk: Workflow) -> None:
    log = [("1", "2026-03-02T09:30:15.25", "new"), ("1", "2026-03-03 09:30:15.25Z", "closed"), row(2, "new")]
    found = past(log, desk, zone="UTC")
    assert stays(found) == ["new 0", "closed 1", "new 2"]
    assert found.counts.zoned == 1


@pytest.mark.parametrize("at", [MONDAY.replace(tzinfo=None), "2026-03-02T09:30", "2026-03-02"])
def test_an_instant_without_a_zone_needs_one(desk: Workflow, at: object) -> None:
    with pytest.raises(NaiveTimeError) as raised:
        past([row(0, "new"), ("1", at, "closed")], desk)
    assert isinstance(raised.value, LogError)
    assert isinstance(raised.value, NaiveLogTimeError)
    assert "row 2: at: 2026-03-02 " in str(raised.value)
    assert "has no time zone: say which one the log is of (zone=, --zone)" in str(raised.value)


def test_the_map_or_the_caller_says_the_zone_and_the_caller_wins(desk: Workflow) -> None:
    log = [("1", "2026-07-02T09:30", "new")]

    def entered(**how: Any) -> datetime:  # noqa: ANN401 - the options of a reading
        return past(log, desk, **how).stays["1"][0].entered_at

    assert entered(mapping={"zone": BERLIN}) == datetime(2026, 7, 2, 7, 30, tzinfo=UTC)
    assert entered(zone="America/New_York") == datetime(2026, 7, 2, 13, 30, tzinfo=UTC)
    assert entered(mapping={"zone": BERLIN}, zone="UTC") == datetime(2026, 7, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wall", "expected", "repeated", "skipped"),
    [
        ("2026-10-25T01:59:59.999999", "2026-10-24T23:59:59.999999", 0, 0),
        ("2026-10-25T02:00", "2026-10-25T00:00", 1, 0),
        ("2026-10-25T02:59:59.999999", "2026-10-25T00:59:59.999999", 1, 0),
        ("2026-10-25T03:00", "2026-10-25T02:00", 0, 0),
        ("2026-03-29T01:59:59.999999", "2026-03-29T00:59:59.999999", 0, 0),
        ("2026-03-29T02:00", "2026-03-29T01:00", 0, 1),
        ("2026-03-29T02:59:59.999999", "2026-03-29T01:00", 0, 1),
        ("2026-03-29T03:00", "2026-03-29T01:00", 0, 0),
    ],
)
def test_hours_that_a_clock_repeats_or_skips_are_read_by_rule_and_counted(
    desk: Workflow, wall: str, expected: str, repeated: int, skipped: int
) -> None:
    found = past([("1", wall, "new")], desk, zone=BERLIN)
    assert found.stays["1"] == [Stay(1, "new", datetime.fromisoformat(expected).replace(tzinfo=UTC))]
    counts = found.counts
    assert (counts.zoned, counts.repeated, counts.skipped) == (1, repeated, skipped)


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 10, 25, 2, 30, 0, 250_000),  # noqa: DTZ001 - a time on the wall
        datetime(2026, 10, 25, 2, 30, 0, 250_000, fold=1),  # noqa: DTZ001 - a time on the wall
        pd.Timestamp("2026-10-25T02:30:00.250000999"),
        "2026-10-25T02:30:00.250000999",
    ],
)
def test_a_time_on_the_wall_is_plain_whatever_has_it(desk: Workflow, at: object) -> None:
    found = past([("1", at, "new")], desk, zone=BERLIN)
    (stay,) = found.stays["1"]
    assert stay.entered_at == datetime(2026, 10, 25, 0, 30, 0, 250_000, tzinfo=UTC)
    assert type(stay.entered_at) is datetime
    assert found.counts.repeated == 1


def test_the_span_of_a_log_counts_every_row_that_can_be_read(desk: Workflow) -> None:
    log = [row(3, "x"), row(1, "new"), row(9, "x"), row(2, "closed")]
    counts = past(log, desk, {"statuses": {"x": "ignore", "new": "new", "closed": "closed"}}).counts
    assert (counts.first, counts.last) == (MONDAY + DAY, MONDAY + 9 * DAY)


# --- rows that cannot be read ------------------------------------------------------------

BAD: list[tuple[object, list[str]]] = [
    ({"case": None, "at": MONDAY, "status": "new"}, ["case: is missing"]),
    ({"case": " ", "at": "", "status": ""}, ["case: is missing", "at: is missing", "status: is missing"]),
    ({"case": True, "at": MONDAY, "status": "new"}, ["case: must be text, not True"]),
    (
        {"case": 1.0, "at": MONDAY, "status": ["new"]},
        ["case: must be text, not 1.0", "status: must be text, not ['new']"],
    ),
    ({"case": 1, "at": None, "status": "new"}, ["at: is missing"]),
    ({"case": 1, "at": "  ", "status": "new"}, ["at: is missing"]),
    (
        {"case": 1, "at": "02.03.2026", "status": "new"},
        ["at: '02.03.2026' is no instant such as 2026-03-01T12:00:00Z"],
    ),
    (
        {"case": 1, "at": 1772443815, "status": "new"},
        ["at: 1772443815 is no instant such as 2026-03-01T12:00:00Z"],
    ),
    ({"case": 1, "at": pd.NaT, "status": "new"}, ["at: is missing"]),
    ({"case": 1, "at": MONDAY, "status": "new", "sub_status": 0.5}, ["sub_status: must be text, not 0.5"]),
    (
        {"case": 1, "at": MONDAY, "status": "new", "order": "1.5"},
        ["order: must be a whole number, not '1.5'"],
    ),
    ({"case": 1, "at": MONDAY, "status": "new", "order": None}, ["order: is missing"]),
    ({"case": 1, "at": MONDAY, "status": "new", "order": True}, ["order: must be a whole number, not True"]),
    (
        {"case": 1, "at": MONDAY, "status": "new", "order": "9" * 19},
        [f"order: must be a whole number, not '{'9' * 19}'"],
    ),
    (
        ("1", MONDAY),
        ["must be a mapping, a tuple of case, at, status and sub_status, or a Case, not ('1', "],
    ),
    (
        "1,2026-03-02,new",
        ["must be a mapping, a tuple of case, at, status and sub_status, or a Case, not '1,"],
    ),
    (7, ["must be a mapping, a tuple of case, at, status and sub_status, or a Case, not 7"]),
]


def good(order: int) -> dict[str, object]:
    return {"case": "1", "at": MONDAY, "status": "new", "sub_status": None, "order": order}


@pytest.mark.parametrize(("bad", "expected"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_a_row_that_cannot_be_read_is_named_with_all_that_is_wrong_with_it(
    desk: Workflow, bad: object, expected: list[str]
) -> None:
    if isinstance(bad, dict):
        bad = {**good(1), **bad}
    found = problems([good(0), bad], desk)
    assert len(found) == len(expected)
    for problem, message in zip(found, expected, strict=True):
        assert problem.startswith(f"row 2: {message}")


@pytest.mark.parametrize(("bad", "expected"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_with_on_error_the_other_rows_are_still_read(
    desk: Workflow, bad: object, expected: list[str]
) -> None:
    if isinstance(bad, dict):
        bad = {**good(1), **bad}
    told: list[tuple[int, LogError]] = []
    reading = Reading(desk.policy)
    found = read([good(0), bad, good(2)], desk, reading, on_error=lambda *each: told.append(each))
    ((number, error),) = told
    assert (number, error.subject) == (2, "row 2")
    for problem, message in zip(error.problems, expected, strict=True):
        assert str(problem).startswith(message)
    assert (found.counts.rows, found.counts.bad) == (3, 1)
    assert sum(found.counts.values.values()) == 2  # noqa: PD011 - a counter
    assert found.stays == {"1": [Stay(1, "new", MONDAY)]}


def test_all_that_is_wrong_is_raised_at_once(desk: Workflow) -> None:
    log = [("1", MONDAY, "Lost"), ("1", "nonsense", "new"), (None, "2026-03-02T09:30", "new"), 5]
    found = problems(log, desk)
    assert [problem.partition(":")[0] for problem in found] == [
        "row 2",
        "row 3",
        "row 3",
        "row 4",
        "statuses.Lost",
        "statuses",
    ]
    with pytest.raises(NaiveTimeError):
        past(log, desk)


def test_a_naive_instant_is_told_as_one_to_on_error_too(desk: Workflow) -> None:
    told: list[LogError] = []
    log = [("1", "2026-03-02T09:30", "new"), ("1", "x", "new"), row(0, "new")]
    read(log, desk, Reading(desk.policy), on_error=lambda _, error: told.append(error))
    assert [isinstance(error, NaiveTimeError) for error in told] == [True, False]


def test_a_local_time_before_time_begins_is_a_bad_row(desk: Workflow) -> None:
    log = [("1", "0001-01-01T00:00", "new"), row(0, "new")]
    assert problems(log, desk, zone="Asia/Tokyo") == [
        (
            "row 1: at: wall: an instant is an aware datetime between the years 1 and 9999 in UTC, "
            "not datetime.datetime(1, 1, 1, 0, 0)"
        )
    ]


def test_an_empty_log_is_said_to_be_empty(desk: Workflow) -> None:
    assert problems([], desk) == ["has no rows: there is nothing to replay"]
    assert problems(iter(()), desk, {"statuses": {}}) == ["has no rows: there is nothing to replay"]


def test_a_cell_of_a_column_that_is_not_there_is_none(desk: Workflow) -> None:
    cells = Cells({"case": "1"}, {"case": "case"}, Reading(desk.policy))
    assert (cells.text("case"), cells.text("sub_status", needed=False), cells.order()) == ("1", None, 0)
    assert cells.problems == []


def test_a_log_of_which_no_row_can_be_read_is_said_to_be_that(desk: Workflow) -> None:
    told: list[int] = []
    with pytest.raises(LogError, match="none of its 2 rows can be read: there is nothing to replay"):
        read([1, 2], desk, Reading(desk.policy), on_error=lambda number, _: told.append(number))
    assert told == [1, 2]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("log.csv", "must be an iterable of rows, not 'log.csv'; open the file: csv.DictReader(…)"),
        (b"log.csv", "must be an iterable of rows, not b'log.csv'"),
        ({"case": ["1"]}, "must be an iterable of rows, not {'case': ['1']}"),
        (7, "must be an iterable of rows, not 7"),
        (None, "must be an iterable of rows, not None"),
        (pd.DataFrame({"case": ["1"]}), "a dataframe goes to casestate.frames.replay"),
    ],
    ids=["str", "bytes", "dict", "int", "none", "frame"],
)
def test_what_is_no_log_is_refused_with_a_hint(desk: Workflow, log: object, words: str) -> None:
    with pytest.raises(LogError) as raised:
        ANY(log, desk, Reading(desk.policy))
    assert words in str(raised.value)


def test_an_error_of_a_log_can_be_pickled_and_copied(desk: Workflow) -> None:
    with pytest.raises(LogError) as plain:
        past([], desk)
    with pytest.raises(LogError) as naive_time:
        past([("1", "2026-03-02", "new"), (None, "", "")], desk)
    for error in (plain.value, naive_time.value):
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 - our own
            assert (type(again), str(again), again.problems) == (type(error), str(error), error.problems)


# --- maps ----------------------------------------------------------------------------------

TOML = """
zone = "Europe/Rome"

[columns]
case = "case"
at = "ts"
status = "raw"
order = "seq"

[statuses]
"Take in charge ticket" = "in_progress"
"Assign seriousness" = { first = "new", later = "ignore" }
"VERIFIED" = "ignore"
"""


def test_a_map_is_read_from_a_file_and_from_a_mapping(tmp_path: Path) -> None:
    file = tmp_path / "map.toml"
    file.write_text(TOML, encoding="utf-8")
    found = load_map(file)
    assert found == load_map(str(file))
    assert found == LogMap(
        columns={"case": "case", "at": "ts", "status": "raw", "order": "seq"},
        statuses={
            "Take in charge ticket": ("in_progress", "in_progress"),
            "Assign seriousness": ("new", None),
            "VERIFIED": (None, None),
        },
        zone="Europe/Rome",
    )
    assert load_map({}) == LogMap()
    assert load_map({"events": {"Go": "start", "Call": {"event": "comment", "by": "customer"}}}).events == {
        "Go": {"event": "start"},
        "Call": {"event": "comment", "by": "customer"},
    }


def test_a_reading_takes_a_map_a_path_or_a_mapping(desk: Workflow, tmp_path: Path) -> None:
    file = tmp_path / "map.toml"
    file.write_text(TOML, encoding="utf-8")
    log = [{"case": "1", "ts": "2026-03-02T10:30:15.25", "raw": "Take in charge ticket", "seq": "1"}]
    for mapping in (file, str(file), load_map(file)):
        assert stays(read(log, desk, Reading(desk.policy, mapping))) == ["in_progress 0"]


def test_every_mistake_of_a_map_is_named_with_its_path(desk: Workflow) -> None:
    mapping = {
        "column": {},
        "columns": {"case": "", "att": "ts", "status": 7},
        "statuses": {
            "a": "",
            "b": {"first": "new"},
            "c": {"later": "new", "firts": "new"},
            "d": ["new"],
            "e": {"first": "new", "later": None},
            5: "new",
        },
        "events": {"f": {"by": "agent"}, "g": 5, "h": {"event": "", "to": "x"}},
        "zone": 1,
    }
    assert map_problems(mapping, desk) == [
        "column: is not known; did you mean 'columns'? (there are: columns, statuses, events, zone)",
        (
            "columns.att: is not known; did you mean 'at'? "
            "(there are: case, at, status, sub_status, order, event, by, assignee)"
        ),
        "columns.case: must be text, not ''",
        "columns.status: must be text, not 7",
        "statuses.5: a key must be text",
        "statuses.a: must be text, not ''",
        "statuses.b.later: is missing: give both first and later",
        "statuses.c.firts: is not known; did you mean 'first'? (there are: first, later)",
        "statuses.c.first: is missing: give both first and later",
        "statuses.d: must be a state, 'ignore', or a table of first and later, not ['new']",
        "statuses.e.later: must be text, not None",
        "events.f.event: is missing",
        "events.g: must be an event, 'ignore', or a table of event and by, not 5",
        "events.h.to: is not known (there are: event, by, sub_status)",
        "events.h.event: must be text, not ''",
        "statuses: and events cannot both be there: a log is of the one kind or of the other",
        "zone: must be text, not 1",
    ]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"statuses": []}, "statuses: must be a table, not []"),
        ({"columns": 3}, "columns: must be a table, not 3"),
        (
            {"statuses": {"a": "new"}, "columns": {"event": "what"}},
            "statuses: and events cannot both be there: a log is of the one kind or of the other",
        ),
    ],
)
def test_a_map_of_another_shape_is_refused(desk: Workflow, mapping: object, message: str) -> None:
    assert map_problems(mapping, desk) == [message]


def test_every_word_of_a_map_that_the_policy_does_not_know_is_named(desk: Workflow) -> None:
    mapping = {
        "statuses": {"a": "in_progres", "b": {"first": "nwe", "later": "open"}, "c": "pending"},
        "zone": "Moon",
    }
    there = f"(there are: {', '.join(desk.policy.states)}, ignore)"
    assert map_problems(mapping, desk, restart="both") == [
        f"statuses.a: no state of sub-status: 'in_progres'; did you mean 'in_progress'? {there}",
        f"statuses.b: no state of sub-status: 'nwe'; did you mean 'new'? {there}",
        f"statuses.b: no state of sub-status: 'open'; did you mean 'reopened'? {there}",
        "restart: must be 'change' or 'touch', not 'both'",
        "zone: no time zone 'Moon'",
    ]
    timers = dict.fromkeys(timer.name for timers in desk.policy.schedules.values() for timer in timers)
    there = f"(there are: {', '.join([*desk.policy.events, 'open', 'ignore', *timers])})"
    subs = ", ".join(desk.policy.statuses["pending"].sub_statuses)
    events = {"a": "colse", "b": {"event": "note", "by": "agnet"}, "c": {"event": "pend", "sub_status": "us"}}
    assert map_problems({"events": events}, desk) == [
        f"events.a: no event of sub-status: 'colse'; did you mean 'close'? {there}",
        "events.b: no by of sub-status: 'agnet'; did you mean 'agent'? (there are: customer, agent, system)",
        f"events.c: no sub_status of sub-status: 'us' (there are: {subs})",
    ]


def test_a_file_that_is_no_map_is_refused_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "map.toml"
    for content, message in (
        (b"[columns\n", "is not TOML: "),
        (b"\xff", "is not UTF-8: byte 0xff at offset 0"),
        (b"colums = 1\n", "colums: is not known; did you mean 'columns'?"),
    ):
        file.write_bytes(content)
        with pytest.raises(LogError) as raised:
            load_map(file)
        assert str(raised.value).startswith(f"{file}: {message}")
    with pytest.raises(LogError, match=r"none\.toml: cannot be read: No such file"):
        load_map(tmp_path / "none.toml")
    for odd in (7, None, ["a"]):
        with pytest.raises(LogError, match="map: must be a path or a mapping, not "):
            load_map(odd)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"event": "status", "status": "status"}, "columns.status: is nothing that a log of events has"),
        ({"by": "who"}, "columns.by: is nothing that a log of statuses has"),
        ({"at": "case"}, "columns.at: 'case' is the column of case too"),
    ],
)
def test_a_column_that_would_not_be_read_or_be_read_twice_is_refused(
    desk: Workflow, columns: dict[str, str], problem: str
) -> None:
    log = [{"case": "1", "at": MONDAY, "status": "new", "by": "agent"}]
    assert problem in problems(log, desk, {"columns": columns})


def test_nothing_but_a_function_is_told_of_bad_rows(desk: Workflow) -> None:
    with pytest.raises(LogError, match="on_error: must be something to call, not 5"):
        read([], desk, Reading(desk.policy), on_error=5)  # type: ignore[arg-type]


def test_of_very_many_bad_rows_the_first_are_named_and_all_are_counted(desk: Workflow) -> None:
    found = problems([("1", "noon", "new")] * 2_000, desk)
    assert len(found) == 1_001
    assert found[-1] == "2,000 rows are bad; the first of them stand above"


def test_what_pandas_makes_of_nothing_is_nothing(desk: Workflow) -> None:
    nan = float("nan")
    log = [{"case": "1", "at": MONDAY, "status": "new", "sub_status": nan}]
    assert stays(past(log, desk)) == ["new 0"]
    assert problems([{**log[0], "case": nan, "at": nan}], desk) == [
        "row 1: case: is missing",
        "row 1: at: is missing",
    ]


def test_whole_numbers_may_be_of_any_kind_but_not_of_any_size(desk: Workflow) -> None:
    log = [{"case": np.int64(7), "at": MONDAY, "status": "new", "order": np.int32(1)}]
    assert list(past(log, desk).stays) == ["7"]
    assert len(problems([{**log[0], "case": 10**5000, "order": 10**18}], desk)) == 2


# --- events ----------------------------------------------------------------------------------


def event(day: float, name: str, by: str | None = "agent", **more: object) -> dict[str, object]:
    return {"case": "1", "at": MONDAY + day * DAY, "event": name, "by": by, **more}


def test_an_event_log_runs_through_the_workflow(desk: Workflow) -> None:
    log = [
        event(0, "open", None),
        event(1, "start"),
        event(2, "pend", sub_status="customer_input"),
        event(3, "note"),
        event(4, "pend", sub_status="customer_input"),
        event(5, "comment", "customer"),
        event(6, "close"),
    ]
    for each in log:
        each.setdefault("sub_status", "")
    found = past(log, desk)
    assert stays(found) == [
        "new 0",
        "in_progress 1",
        "pending.customer_input 2",
        "pending.customer_input 4",
        "update_received 5",
        "closed 6",
    ]
    assert found.counts.refused == {}
    assert found.counts.values["pend", None] == 2  # noqa: PD011 - a counter


def test_the_first_event_of_a_case_opens_it(desk: Workflow) -> None:
    assert stays(past([event(1, "start"), event(2, "open", None), event(3, "close")], desk)) == [
        "new 1",
        "in_progress 1",
        "closed 3",
    ]


def test_an_event_that_is_refused_is_counted_and_leaves_the_case_as_it_was(desk: Workflow) -> None:
    log = [event(0, "open", None), event(1, "confirm", "customer"), event(2, "pend"), event(3, "start")]
    found = past(log, desk)
    assert stays(found) == ["new 0", "in_progress 3"]
    assert found.counts.refused == {("new", "confirm", "customer"): 1, ("new", "pend", "agent"): 1}


def test_a_case_that_is_opened_twice_is_a_refusal(desk: Workflow) -> None:
    found = past([event(0, "open", None), event(1, "open", None), event(2, "start")], desk)
    assert stays(found) == ["new 0", "in_progress 2"]
    assert found.counts.refused == {("new", "open", ""): 1}


def test_a_clone_changes_nothing_for_the_case_it_is_of(desk: Workflow) -> None:
    log = [event(0, "close"), event(1, "clone", "customer"), event(2, "clone", "system")]
    found = past(log, desk)
    assert stays(found) == ["new 0", "closed 0"]
    assert found.counts.refused == {("closed", "clone", "system"): 1}


def test_a_clone_that_moves_the_case_it_is_of_does_so() -> None:
    policy = load_policy(
        {
            "format": 1,
            "name": "desk",
            "initial": "new",
            "statuses": {"new": {}, "closed": {"closed": True}},
            "transitions": [{"event": "clone", "by": "agent", "from": "*", "to": "closed"}],
        }
    )
    log = [event(0, "open", None), event(1, "clone"), event(2, "clone")]
    assert stays(past(log, Workflow(policy))) == ["new 0", "closed 1", "closed 2"]


def test_an_assignee_is_taken_from_its_column(other: Workflow) -> None:
    log = [
        event(0, "open", None, assignee=None),
        event(1, "assign", assignee="mira"),
        event(2, "close", "customer", assignee=""),
        event(3, "reopen", "customer", assignee=""),
    ]
    assert stays(past(log, other)) == ["new 0", "open 1", "closed 2", "open 3"]


def test_an_event_that_needs_an_assignee_has_one_where_the_log_names_none(other: Workflow) -> None:
    log = [
        event(0, "open", None),
        event(1, "assign"),
        event(2, "close", "customer"),
        event(3, "reopen", "agent"),
    ]
    found = past(log, other)
    assert stays(found) == ["new 0", "open 1", "closed 2", "open 3"]
    assert found.counts.refused == {}


def test_an_event_takes_what_its_row_asks_for_and_no_more(desk: Workflow) -> None:
    log = [
        event(0, "start", assignee="mira", sub_status="development"),
        event(1, "pend", assignee="mira", sub_status="development"),
        event(2, "pend", assignee="mira", sub_status=""),
    ]
    found = past(log, desk)
    assert stays(found) == ["new 0", "in_progress 0", "pending.development 1"]
    assert found.counts.refused == {("pending.development", "pend", "agent"): 1}


def test_a_timer_that_the_log_says_has_fired_does_what_it_does_whenever_that_was(desk: Workflow) -> None:
    log = [
        event(0, "pend", sub_status="customer_input"),
        event(1, "remind_customer", "system"),
        event(2, "close_pending", "system"),
        event(3, "close_pending", "system"),
        event(4, "notify_closed", "agent"),
    ]
    found = past(log, desk)
    assert stays(found) == ["new 0", "pending.customer_input 0", "closed 2"]
    assert found.counts.refused == {
        ("closed", "close_pending", "system"): 1,
        ("closed", "notify_closed", "agent"): 1,
    }


def test_a_timer_fires_by_the_system_even_if_the_policy_does_not_name_that_role() -> None:
    def desk(**timers: object) -> Workflow:
        policy = {
            "format": 1,
            "name": "desk",
            "initial": "new",
            "roles": ["agent"],
            "statuses": {"new": {}, "old": {}},
            "transitions": [{"event": "note", "by": "agent", "from": "*"}],
            "timers": timers,
        }
        return Workflow(load_policy(policy))

    age = {"in": "new", "after": {"days": 9}, "to": "old"}
    log = [event(0, "note"), event(3, "age", "system"), event(4, "note", "system")]
    found = past(log, desk(age=age))
    assert stays(found) == ["new 0", "old 3"]
    assert found.counts.refused == {("old", "note", "system"): 1}
    assert problems([event(0, "note", "system")], desk()) == [
        "row 1: by: no role 'system' (there are: agent)"
    ]
    assert Reading(desk(age=age).policy, {"events": {"x": {"event": "age", "by": "system"}}}).roles == (
        "agent",
        "system",
    )


def test_a_map_says_what_the_events_of_a_log_are(desk: Workflow) -> None:
    mapping = {
        "columns": {"event": "what", "at": "ts"},
        "events": {
            "born": "open",
            "taken": {"event": "start", "by": "agent"},
            "asked": {"event": "pend", "by": "agent", "sub_status": "customer_input"},
            "mail": {"event": "comment", "by": "customer"},
            "viewed": "ignore",
        },
    }
    words = ["born", "viewed", "taken", "asked", "viewed", "mail"]
    log = [{"case": "1", "ts": MONDAY + day * DAY, "what": word} for day, word in enumerate(words)]
    found = past(log, desk, mapping)
    assert stays(found) == ["new 0", "in_progress 2", "pending.customer_input 3", "update_received 5"]
    assert found.counts.ignored == 2
    assert found.counts.last == MONDAY + 5 * DAY


def test_a_timer_of_the_map_needs_no_role(desk: Workflow) -> None:
    mapping = {
        "events": {"born": "open", "waits": {"event": "respond", "by": "agent"}, "auto": "close_awaiting"}
    }
    log = [
        {"case": "1", "at": MONDAY + day * DAY, "event": word} for day, word in enumerate(mapping["events"])
    ]
    assert stays(past(log, desk, mapping)) == ["new 0", "awaiting_customer_confirmation 1", "closed 2"]


def test_without_a_by_column_every_event_of_the_map_needs_a_role(desk: Workflow) -> None:
    log = [{"case": "1", "at": MONDAY, "event": "born"}]
    mapping = {"events": {"born": "open", "taken": "start"}}
    assert problems(log, desk, mapping) == [
        "columns.by: the log has no column 'by' (there are: case, at, event); say in the map which one it is"
    ]


def test_events_that_nobody_knows_are_named_with_their_counts(desk: Workflow) -> None:
    log = [event(0, "open", None), event(1, "x"), event(1, "x"), event(2, "statr")]
    timers = dict.fromkeys(timer.name for timers in desk.policy.schedules.values() for timer in timers)
    known = ", ".join([*desk.policy.events, "open", "ignore", *timers])
    say = f"events: map each of these to an event (there are: {known})"
    assert problems(log, desk) == [
        "events.x: is not mapped, and stands in 2 rows",
        "events.statr: is not mapped, and stands in 1 row",
        say,
    ]
    mapping = {"events": {"open": "open", "x": {"event": "note", "by": "agent"}}}
    assert problems(log, desk, mapping) == ["events.statr: is not mapped, and stands in 1 row", say]


def test_a_role_that_the_policy_does_not_have_is_a_bad_row(desk: Workflow) -> None:
    log = [event(0, "start", "agnet"), event(1, "start", None), event(2, "open", "who")]
    roles = "(there are: customer, agent, system)"
    assert problems(log, desk) == [
        f"row 1: by: no role 'agnet'; did you mean 'agent'? {roles}",
        f"row 2: by: no role None {roles}",
    ]


def test_a_log_with_a_status_column_is_a_status_log(desk: Workflow) -> None:
    log = [{"case": "1", "at": MONDAY, "status": "new", "event": "x"}]
    assert stays(past(log, desk)) == ["new 0"]
    log = [{"case": "1", "at": MONDAY, "status": "x", "event": "open", "by": "agent"}]
    assert stays(past(log, desk, {"events": {"open": "open"}})) == ["new 0"]
    assert stays(past(log, desk, {"columns": {"event": "event"}})) == ["new 0"]


# --- cases -----------------------------------------------------------------------------------


def test_the_history_of_a_case_is_its_log(desk: Workflow) -> None:
    case = desk.open("1", at=MONDAY)
    case = desk.apply(case, "pend", by="agent", sub_status="customer_input", at=MONDAY + DAY)
    case = desk.apply(case, "note", by="agent", at=MONDAY + 2 * DAY)
    for action in desk.due([case], now=MONDAY + 9 * DAY):
        case = desk.settle(case, action, at=MONDAY + 9 * DAY)
    case = desk.apply(case, "pend", by="agent", sub_status="customer_input", at=MONDAY + 10 * DAY)
    case = desk.apply(case, "note", by="agent", at=MONDAY + 11 * DAY)
    found = past([case], desk)
    assert stays(found) == ["new 0", "pending.customer_input 1", "pending.customer_input 10"]
    assert found.counts.last == MONDAY + 11 * DAY
    assert (found.counts.rows, found.counts.ignored) == (1, 0)


def test_a_case_without_a_history_has_the_stay_that_it_is_in(desk: Workflow) -> None:
    case = Case(id="1", status="closed", entered_at=MONDAY, stay=4)
    found = past([case], desk)
    assert found.stays == {"1": [Stay(4, "closed", MONDAY)]}


def test_a_case_that_was_not_opened_here_has_the_stays_that_its_history_knows(desk: Workflow) -> None:
    case = Case(id="1", status="new", entered_at=MONDAY, stay=4)
    case = desk.apply(case, "start", by="agent", at=MONDAY + DAY)
    assert past([case], desk).stays == {"1": [Stay(5, "in_progress", MONDAY + DAY, "new")]}


@pytest.mark.parametrize("stay", [1, 2, 3])
@pytest.mark.parametrize("opened_at", [None, MONDAY - 50 * DAY])
def test_a_stay_that_another_system_began_begins_where_the_case_says(
    desk: Workflow, stay: int, opened_at: datetime | None
) -> None:
    began = MONDAY - 50 * DAY if stay == 1 and opened_at else MONDAY
    case = case_in("pending.customer_input", began, id="1", stay=stay, opened_at=opened_at)
    expected = [Stay(stay, "pending.customer_input", began)]
    assert past([case], desk).stays == {"1": expected}
    noted = desk.apply(case, "note", by="agent", at=MONDAY + 20 * DAY)
    assert past([noted], desk).stays == {"1": expected}
    if stay == 2 and opened_at:
        return  # what has been left looks like one that was opened here and entered once more
    left = desk.apply(noted, "start", by="agent", at=MONDAY + 21 * DAY)
    known = expected if stay == 1 and opened_at else []
    came_from = None if known else "pending.customer_input"
    assert past([left], desk).stays == {
        "1": [*known, Stay(stay + 1, "in_progress", MONDAY + 21 * DAY, came_from)]
    }


def test_a_case_opened_here_that_enters_its_first_state_once_more_has_two_stays() -> None:
    policy = load_policy(
        {
            "format": 1,
            "name": "desk",
            "initial": "new",
            "statuses": {"new": {}},
            "transitions": [{"event": "again", "by": "agent", "from": "new", "to": "new"}],
        }
    )
    desk = Workflow(policy)
    case = desk.apply(desk.open("1", at=MONDAY), "again", by="agent", at=MONDAY + DAY)
    assert stays(past([case], desk)) == ["new 0", "new 1"]


def test_the_state_that_a_case_came_from_is_known_from_the_case_or_its_history(other: Workflow) -> None:
    case = Case(id="1", status="in_progress", entered_at=MONDAY)
    asked = other.apply(case, "ask", by="agent", at=MONDAY + DAY)
    answered = other.apply(asked, "comment", by="customer", at=MONDAY + 2 * DAY)
    for known in (answered, attrs.evolve(asked, history=())):
        (first, *_) = past([known], other).stays["1"]
        assert first.came_from == "in_progress"


def test_a_map_of_statuses_holds_for_histories_too(desk: Workflow, other: Workflow) -> None:
    case = other.open("1", at=MONDAY)
    case = other.apply(case, "assign", by="agent", assignee="mira", at=MONDAY + DAY)
    case = other.apply(case, "start", by="agent", at=MONDAY + 2 * DAY)
    case = other.apply(case, "resolve", by="agent", at=MONDAY + 3 * DAY)
    mapping = {
        "statuses": {
            "new": "new",
            "open": "in_progress",
            "in_progress": "in_progress",
            "resolved": "awaiting_customer_confirmation",
        }
    }
    found = past([case], desk, mapping)
    assert stays(found) == ["new 0", "in_progress 1", "awaiting_customer_confirmation 3"]
    del mapping["statuses"]["open"]
    assert problems([case], desk, mapping)[0] == "statuses.open: is not mapped, and stands in 1 row"
    assert problems([case, case], desk, mapping)[0] == "row 2: id: the case '1' is there twice"


def test_a_case_of_another_policy_is_a_bad_row(desk: Workflow, other: Workflow) -> None:
    case = other.open("1", at=MONDAY)
    case = other.apply(case, "assign", by="agent", assignee="mira", at=MONDAY)
    (problem,) = problems([case], desk)
    assert problem == "row 1: history: no state of sub-status: 'open'; did you mean 'reopened'?"


def test_a_case_that_is_there_twice_is_a_bad_row(desk: Workflow) -> None:
    case = desk.open("1", at=MONDAY)
    assert problems([case, case], desk) == ["row 2: id: the case '1' is there twice"]


@given(data=st.data())
def test_the_rows_of_a_case_tell_the_same_as_the_case(data: st.DataObject) -> None:
    policy = data.draw(testing.policies())
    desk = Workflow(policy)
    case = data.draw(testing.histories(policy))
    told = past([case], desk)
    (known,) = told.stays.values()
    log = [(case.id, stay.entered_at, stay.state) for stay in known]
    assert list(past(log, desk, restart="touch").stays.values()) == [known]
    if all(stay.state != later.state for stay, later in pairwise(known)):
        assert list(past(log, desk).stays.values()) == [known]
    assert told.counts.last == case.changed_at


@given(data=st.data())
def test_the_events_of_a_case_tell_the_same_as_the_case(data: st.DataObject) -> None:
    """Its timers among them, by the role that the policy may not even name."""
    policy = data.draw(testing.policies() | st.sampled_from([load_policy("sub-status")]))
    desk = Workflow(policy)
    case = data.draw(testing.histories(policy))
    rows: list[dict[str, object]] = [
        {"case": case.id, "at": case.opened_at, "event": "open", "by": None, "order": 0}
    ]
    for number, change in enumerate(case.history, 1):
        timers = [timer.name for timer in policy.schedules[change.from_state]]
        # An event by "system" that is called as a timer is: nobody can tell them apart.
        assume(change.event not in policy.events or change.event not in timers)
        rows.append(
            {
                "case": case.id,
                "at": change.at,
                "event": change.event,
                "by": change.by,
                "sub_status": change.to_state.partition(".")[2],
                # A clone's id is no assignee, nor are timers that were passed over.
                "assignee": change.detail if change.event not in ("clone", *timers) else None,
                "order": number,
            }
        )
    found = past(rows, desk)
    assert found.counts.refused == {}
    assert found.stays == past([case], desk).stays


# --- the naive reading ---------------------------------------------------------------------------


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("local", [False, True])
@given(data=st.data())
def test_stays_and_counts_are_those_of_a_naive_reading(
    *, data: st.DataObject, text: bool, local: bool
) -> None:
    policy = data.draw(testing.policies() | st.sampled_from([load_policy("sub-status")]))
    touch = data.draw(st.booleans())
    rows, mapping = data.draw(testing.status_logs(policy, text=text, local=local))
    found = past(rows, Workflow(policy), mapping, restart="touch" if touch else "change")
    expected = naive.read(rows, mapping, policy.states, touch=touch)
    assert {case: [attrs_of(stay) for stay in known] for case, known in found.stays.items()} == {
        case: [(stay.number, stay.state, stay.begin) for stay in known]
        for case, known in expected.stays.items()
    }
    assert list(found.stays) == list(expected.stays)
    counts = found.counts
    assert counts.last == expected.last
    assert {
        "ignored": counts.ignored,
        "duplicates": counts.duplicates,
        "out of order": counts.out_of_order,
        "local": counts.zoned,
        "repeated": counts.repeated,
        "skipped": counts.skipped,
    } == {
        name: expected.counts[name]
        for name in ("ignored", "duplicates", "out of order", "local", "repeated", "skipped")
    }


def attrs_of(stay: Stay) -> tuple[int, str, datetime]:
    return stay.number, stay.state, stay.entered_at
