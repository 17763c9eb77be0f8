"""Clocks and instants: where now comes from, and what is refused at the door."""

from __future__ import annotations

import copy
import inspect
import pickle
import time

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from hypothesis import given

from casestate import (
    InstantError,
    ManualClock,
    NaiveTimeError,
    TimeOrderError,
    Workflow,
    load_policy,
    utc_now,
)
from casestate.clock import FIRST, LAST, format_instant, from_micros, instant, parse_instant, to_micros
from casestate.testing import strategies


if TYPE_CHECKING:
    from collections.abc import Callable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAIVE = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - naive is the point


class Stamp(datetime):
    """A datetime of another library, as pandas and frozen clocks have them."""


class Nowhere(tzinfo):
    """A zone that knows no offset: as good as none."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


class Stopped(datetime):
    """The system's clock, stopped at noon."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Stopped:
        return cls(2026, 3, 1, 12, tzinfo=tz)


def test_the_systems_clock_is_asked_for_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    assert utc_now().tzinfo is UTC
    assert type(utc_now()) is datetime
    monkeypatch.setattr("casestate.clock.datetime", Stopped)
    assert utc_now() == NOON


def test_an_instant_in_utc_is_taken_as_it_is() -> None:
    assert instant(NOON, "at") is NOON


@pytest.mark.parametrize(
    "given",
    [
        datetime(2026, 3, 1, 13, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 3, 1, 7, tzinfo=timezone(timedelta(hours=-5))),
        datetime(2026, 3, 1, 12, tzinfo=ZoneInfo("UTC")),
        Stamp(2026, 3, 1, 12, tzinfo=UTC),
        Stamp(2026, 3, 1, 13, tzinfo=ZoneInfo("Europe/Berlin")),
    ],
)
def test_an_instant_of_another_zone_or_type_becomes_a_plain_one_in_utc(given: datetime) -> None:
    moment = instant(given, "at")
    assert moment == NOON
    assert type(moment) is datetime
    assert moment.tzinfo is UTC


def test_the_zone_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert instant(datetime(2026, 3, 1, 13, tzinfo=ZoneInfo("Europe/Berlin")), "at") == NOON
    finally:
        monkeypatch.undo()
        time.tzset()


def test_microseconds_and_folds_are_kept() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 2, 30, 0, 7, tzinfo=berlin)
    assert instant(first, "at") == datetime(2026, 10, 25, 0, 30, 0, 7, tzinfo=UTC)
    assert instant(first.replace(fold=1), "at") == datetime(2026, 10, 25, 1, 30, 0, 7, tzinfo=UTC)


@pytest.mark.parametrize("naive", [NAIVE, Stamp(2026, 3, 1, 12), NAIVE.replace(tzinfo=Nowhere())])
def test_a_naive_datetime_is_refused(naive: datetime) -> None:
    with pytest.raises(NaiveTimeError) as refused:
        instant(naive, "at")
    assert (refused.value.what, refused.value.value) == ("at", naive)


@pytest.mark.parametrize("value", [None, 3, 1.5, "2026-03-01T12:00Z", date(2026, 3, 1), NOON.time()])
def test_what_is_no_datetime_is_refused(value: object) -> None:
    with pytest.raises(InstantError) as refused:
        instant(value, "now")
    assert type(refused.value) is InstantError
    assert (refused.value.what, refused.value.value) == ("now", value)


def test_an_instant_outside_the_years_1_to_9999_in_utc_is_refused() -> None:
    first = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    last = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))
    for outside in (first, last):
        with pytest.raises(InstantError) as refused:
            instant(outside, "at")
        assert type(refused.value) is InstantError
        assert (refused.value.what, refused.value.value) == ("at", outside)
        assert refused.value.__suppress_context__
    assert instant(datetime.min.replace(tzinfo=UTC), "at").year == 1
    assert instant(datetime.max.replace(tzinfo=UTC), "at").year == 9999


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00Z",
        "2026-03-01 12:00:00+00:00",
        "2026-03-01T13:00:00+01:00",
        "20260301T120000Z",
        "2026-03-01T12:00:00.0000009Z",
    ],
)
def test_iso_text_with_an_offset_is_read(text: str) -> None:
    moment = parse_instant(text, "at")
    assert moment == NOON
    assert moment.tzinfo is UTC


def test_digits_beyond_the_microsecond_are_cut_off() -> None:
    assert parse_instant("2026-03-01T12:00:00.1234569Z", "at") == NOON.replace(microsecond=123_456)


def test_a_datetime_is_read_as_itself() -> None:
    assert parse_instant(NOON, "at") is NOON
    with pytest.raises(NaiveTimeError):
        parse_instant(NAIVE, "at")


@pytest.mark.parametrize("text", ["", "yesterday", "12:00Z", "2026-02-30T12:00Z", "1772366400", "2026-W"])
def test_text_that_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(InstantError) as refused:
        parse_instant(text, "entered_at")
    assert (refused.value.what, refused.value.value) == ("entered_at", text)
    assert type(refused.value) is InstantError
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03-01T12:00:00"])
def test_text_without_an_offset_is_naive(text: str) -> None:
    with pytest.raises(NaiveTimeError) as refused:
        parse_instant(text, "entered_at")
    assert refused.value.what == "entered_at"


@pytest.mark.parametrize("value", [None, 3, date(2026, 3, 1)])
def test_what_is_neither_text_nor_an_instant_is_refused(value: object) -> None:
    with pytest.raises(InstantError) as refused:
        parse_instant(value, "entered_at")
    assert refused.value.what == "entered_at"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOON, "2026-03-01T12:00:00Z"),
        (NOON.replace(microsecond=7), "2026-03-01T12:00:00.000007Z"),
        (NOON.replace(microsecond=250_000), "2026-03-01T12:00:00.250000Z"),
        (datetime.min.replace(tzinfo=UTC), "0001-01-01T00:00:00Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_an_instant_is_written_in_utc_and_read_back(moment: datetime, text: str) -> None:
    assert format_instant(moment) == text
    assert parse_instant(text, "at") == moment


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(NOON)
    assert clock() == clock() == NOON
    assert clock.advance(days=7) == datetime(2026, 3, 8, 12, tzinfo=UTC) == clock()
    assert clock.advance(hours=1, microseconds=2) == datetime(2026, 3, 8, 13, 0, 0, 2, tzinfo=UTC)
    assert clock.advance(timedelta(minutes=5)) == datetime(2026, 3, 8, 13, 5, 0, 2, tzinfo=UTC)
    assert clock.advance(timedelta(minutes=5), minutes=5) == datetime(2026, 3, 8, 13, 15, 0, 2, tzinfo=UTC)
    assert clock.advance() == clock()
    assert clock.set(datetime(2027, 1, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))) == clock()
    assert clock() == datetime(2027, 1, 1, tzinfo=UTC)
    assert clock().tzinfo is UTC
    assert clock.set(clock()) == clock()


def test_a_manual_clock_begins_in_utc_whatever_it_is_given() -> None:
    clock = ManualClock(datetime(2026, 3, 1, 13, tzinfo=ZoneInfo("Europe/Berlin")))
    assert clock().tzinfo is UTC
    assert clock() == NOON
    assert repr(clock) == f"ManualClock({NOON!r})"


def test_a_manual_clock_goes_only_forward() -> None:
    clock = ManualClock(NOON)
    tick = timedelta(microseconds=1)
    backwards: list[Callable[[], datetime]] = [
        lambda: clock.advance(microseconds=-1),
        lambda: clock.advance(-tick),
        lambda: clock.set(NOON - tick),
    ]
    for back in backwards:
        with pytest.raises(TimeOrderError) as refused:
            back()
        assert (refused.value.value, refused.value.earliest) == (NOON - tick, NOON)
        assert refused.value.what == "ManualClock"
        assert refused.value.hint == ""
        assert clock() == NOON


def test_a_manual_clock_refuses_what_is_no_instant() -> None:
    with pytest.raises(NaiveTimeError) as refused:
        ManualClock(NAIVE)
    assert refused.value.what == "start"
    clock = ManualClock(NOON)
    with pytest.raises(NaiveTimeError) as refused:
        clock.set(NAIVE)
    assert refused.value.what == "ManualClock"
    assert clock() == NOON


@pytest.mark.parametrize("days", [3_000_000, 1e12, 1e300])
def test_a_manual_clock_ends_with_the_year_9999(days: float) -> None:
    clock = ManualClock(NOON)
    with pytest.raises(InstantError) as refused:
        clock.advance(days=days)
    assert refused.value.what == "ManualClock.advance"
    assert refused.value.value == f"2026-03-01 12:00:00+00:00 + {{'days': {days}}}"
    assert refused.value.__suppress_context__
    with pytest.raises(InstantError) as refused:
        clock.advance(timedelta(days=3_000_000))
    assert "2026-03-01 12:00:00+00:00 + 3000000 days" in str(refused.value)
    assert clock() == NOON


def test_a_manual_clock_can_be_copied_and_pickled_and_the_copy_moves_alone() -> None:
    clock = ManualClock(NOON)
    for again in (copy.copy(clock), copy.deepcopy(clock), pickle.loads(pickle.dumps(clock))):  # noqa: S301
        assert again() == NOON
        again.advance(days=1)
        assert clock() == NOON


def test_a_workflow_asks_its_clock_wherever_no_instant_is_given() -> None:
    clock = ManualClock(NOON)
    desk = Workflow(load_policy("sub-status"), clock=clock)
    case = desk.open("C-1")
    assert case.entered_at == NOON
    clock.advance(days=1)
    case = desk.apply(case, "respond", by="agent")
    assert case.entered_at == NOON + timedelta(days=1)
    clock.advance(days=14)
    (action,) = desk.due([case])
    assert action.timer == "close_awaiting"
    assert desk.settle(case, action).entered_at == NOON + timedelta(days=15)


def test_a_workflow_refuses_what_its_clock_says_if_that_is_no_instant() -> None:
    desk = Workflow(load_policy("sub-status"), clock=lambda: NAIVE)
    with pytest.raises(NaiveTimeError) as refused:
        desk.open("C-1")
    assert refused.value.what == "at"
    with pytest.raises(NaiveTimeError) as refused:
        desk.due([])
    assert refused.value.what == "now"


def test_a_workflow_without_a_clock_asks_the_systems() -> None:
    assert inspect.signature(Workflow).parameters["clock"].default is utc_now
    assert Workflow(load_policy("sub-status")).open("C-1").entered_at.tzinfo is UTC


@given(strategies.instants(extreme=True))
def test_an_instant_is_a_number_of_microseconds_and_the_reverse(at: datetime) -> None:
    assert from_micros(to_micros(at), "at") == at


def test_numbers_beyond_the_ends_of_time_are_no_instants() -> None:
    assert from_micros(1, "at") == datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    for number in (to_micros(FIRST) - 1, to_micros(LAST) + 1, 1 << 80):
        with pytest.raises(InstantError, match=f"entered_at: .* not {number}"):
            from_micros(number, "entered_at")
