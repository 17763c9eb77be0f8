"""Calendars: how a length is added to an instant, and the latest instant that is due."""

from __future__ import annotations

import time

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hypothesis import given
from hypothesis import strategies as st

import reference

from casestate import Calendar, InstantError, Length, NaiveTimeError, PolicyError
from casestate.calendars import WEEKDAYS, zone
from casestate.holidays import days_off, regions
from casestate.testing.strategies import (
    FIRST,
    LAST,
    LONGEST_DAYS,
    TICK,
    TURNS,
    calendars,
    days,
    instants,
    lengths,
    turns,
    zones,
)


DAY = timedelta(days=1)


def utc(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(at: datetime, zone_name: str) -> datetime:
    """What a clock on the wall shows at an instant."""
    return at.astimezone(ZoneInfo(zone_name)).replace(tzinfo=None)


def elapsed(**units: int) -> Length:
    return Length("elapsed", int(timedelta(**units).total_seconds()))


def calendar_days(number: int) -> Length:
    return Length("calendar_days", number)


def business_days(number: int) -> Length:
    return Length("business_days", number)


# --- lengths -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "written", "read"),
    [
        (elapsed(days=14), {"days": 14}, "14 days"),
        (elapsed(days=1, hours=4), {"days": 1, "hours": 4}, "1 day 4 hours"),
        (
            elapsed(weeks=1, hours=4, minutes=1, seconds=59),
            {"days": 7, "hours": 4, "minutes": 1, "seconds": 59},
            "7 days 4 hours 1 minute 59 seconds",
        ),
        (elapsed(hours=1), {"hours": 1}, "1 hour"),
        (elapsed(minutes=59, seconds=1), {"minutes": 59, "seconds": 1}, "59 minutes 1 second"),
        (elapsed(seconds=0), {"seconds": 0}, "0 seconds"),
        (calendar_days(1), {"calendar_days": 1}, "1 calendar day"),
        (calendar_days(14), {"calendar_days": 14}, "14 calendar days"),
        (business_days(1), {"business_days": 1}, "1 business day"),
        (business_days(5), {"business_days": 5}, "5 business days"),
    ],
)
def test_a_length_is_written_in_the_largest_units_and_reads_as_one_says_it(
    length: Length, written: dict[str, int], read: str
) -> None:
    assert length.to_dict() == written
    assert list(length.to_dict()) == list(written)
    assert str(length) == read


def test_a_calendar_day_and_a_business_day_count_as_24_hours_for_the_order_of_timers() -> None:
    assert elapsed(days=14).nominal == timedelta(days=14)
    assert calendar_days(14).nominal == timedelta(days=14)
    assert business_days(14).nominal == timedelta(days=14)
    assert elapsed(seconds=1).nominal == timedelta(seconds=1)


def test_lengths_of_one_kind_add_up_and_are_equal_by_kind_and_amount() -> None:
    assert calendar_days(2) + calendar_days(3) == calendar_days(5)
    assert (elapsed(days=2) + elapsed(hours=3)).to_dict() == {"days": 2, "hours": 3}
    assert elapsed(days=1) != Length("calendar_days", 86_400)
    assert len({elapsed(hours=24), elapsed(days=1), calendar_days(1)}) == 2
    assert repr(calendar_days(5)) == "Length(unit='calendar_days', amount=5)"


def test_a_length_beyond_what_a_timedelta_holds_cannot_be_made() -> None:
    with pytest.raises(OverflowError):
        Length("calendar_days", 10**30)


# --- the defaults ------------------------------------------------------------


def test_the_default_calendar_is_utc_with_saturday_and_sunday_off_and_no_holidays() -> None:
    calendar = Calendar()
    assert (calendar.zone, calendar.weekend, calendar.holidays) == ("UTC", ("sat", "sun"), ())
    assert WEEKDAYS[date(2026, 3, 2).weekday()] == "mon"


def test_utc_needs_no_time_zone_database_and_an_unknown_zone_is_a_problem() -> None:
    assert zone("UTC") is UTC
    assert str(zone("Europe/Berlin")) == "Europe/Berlin"
    for name in ("Europe/Berln", "../Europe/Berlin", "/etc/passwd", "", "a\0", "Europe", "x" * 5000):
        with pytest.raises(PolicyError) as caught:
            zone(name)
        ((path, message),) = [(problem.path, problem.message) for problem in caught.value.problems]
        assert path == "calendar.zone"
        assert message.startswith(f"no time zone {name[:150]!r}"[:-1])


# --- elapsed time ------------------------------------------------------------


def test_elapsed_days_are_24_hours_each_through_a_turn_of_the_clocks() -> None:
    berlin = Calendar(zone="Europe/Berlin")
    start = utc("2026-03-20T09:00:00.000001")
    assert berlin.add(start, elapsed(days=14)) == utc("2026-04-03T09:00:00.000001")
    assert berlin.add(start, elapsed(weeks=1, hours=4)) == utc("2026-03-27T13:00:00.000001")
    assert berlin.add(start, elapsed(seconds=0)) == start


def test_the_cutoff_of_an_elapsed_length_is_now_less_the_length() -> None:
    now = utc("2026-04-03T09:00:00.000001")
    assert Calendar(zone="Europe/Berlin").cutoff(now, elapsed(days=14)) == utc("2026-03-20T09:00:00.000001")
    assert Calendar().cutoff(now, elapsed(seconds=0)) == now
    assert Calendar().cutoff(FIRST + DAY, elapsed(days=1)) == FIRST
    assert Calendar().cutoff(FIRST + DAY - TICK, elapsed(days=1)) is None


def test_an_instant_of_another_zone_is_as_good_as_one_in_utc() -> None:
    cet = timezone(timedelta(hours=1))
    berlin = Calendar(zone="Europe/Berlin")
    for length in (elapsed(days=14), calendar_days(14), business_days(10)):
        start, now = utc("2026-03-20T09:00"), utc("2026-04-03T09:00")
        assert berlin.add(start.astimezone(cet), length) == berlin.add(start, length)
        assert berlin.cutoff(now.astimezone(cet), length) == berlin.cutoff(now, length)


def test_what_is_no_instant_is_refused() -> None:
    naive: Any = utc("2026-03-20T09:00").replace(tzinfo=None)
    nothing: Any = None
    for ask, what in ((Calendar().add, "start"), (Calendar().cutoff, "now")):
        with pytest.raises(NaiveTimeError, match=f"^{what}: "):
            ask(naive, elapsed(days=1))
        with pytest.raises(InstantError, match=f"^{what}: "):
            ask(nothing, elapsed(days=1))
    with pytest.raises(PolicyError, match=r"^calendar: calendar\.zone: no time zone 'Mars'$"):
        Calendar(zone="Mars").add(utc("2026-03-20T09:00"), calendar_days(1))


# --- calendar days -----------------------------------------------------------


@pytest.mark.parametrize(
    ("zone_name", "start", "number", "due"),
    [
        # The same time on the wall, 14 local days later: 10:00 in winter, 10:00 in summer.
        ("Europe/Berlin", "2026-03-20T09:00", 14, "2026-04-03T08:00"),
        ("America/New_York", "2026-10-25T14:15:16.000017", 14, "2026-11-08T15:15:16.000017"),
        ("UTC", "2026-02-28T23:59:59.999999", 1, "2026-03-01T23:59:59.999999"),
        ("Asia/Kathmandu", "1985-12-31T18:29:59.999999", 1, "1986-01-01T18:14:59.999999"),
        # A time that does not exist becomes the end of the gap: 02:30 was skipped.
        ("Europe/Berlin", "2026-03-15T01:30", 14, "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-28T01:00", 1, "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-28T00:59:59.999999", 1, "2026-03-29T00:59:59.999999"),
        ("Europe/Berlin", "2026-03-28T02:00", 1, "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-28T02:00:00.000001", 1, "2026-03-29T01:00:00.000001"),
        ("America/New_York", "2026-03-07T07:59:59.999999", 1, "2026-03-08T07:00"),
        ("Australia/Lord_Howe", "2026-10-02T15:45", 1, "2026-10-03T15:30"),
        ("Africa/Monrovia", "1972-01-06T01:00", 1, "1972-01-07T00:44:30"),
        # Midnight itself was skipped.
        ("America/Sao_Paulo", "2018-11-03T03:00", 1, "2018-11-04T03:00"),
        ("America/Sao_Paulo", "2018-11-03T03:59:59.999999", 1, "2018-11-04T03:00"),
        ("America/Sao_Paulo", "2018-11-03T02:59:59.999999", 1, "2018-11-04T02:59:59.999999"),
        # A whole day was skipped: 30 December 2011 in Samoa, 21 August 1993 on Kwajalein.
        ("Pacific/Apia", "2011-12-29T22:00", 1, "2011-12-30T10:00"),
        ("Pacific/Apia", "2011-12-29T10:00", 1, "2011-12-30T10:00"),
        ("Pacific/Apia", "2011-12-30T09:59:59.999999", 1, "2011-12-30T10:00"),
        ("Pacific/Apia", "2011-12-30T09:00", 2, "2011-12-31T09:00"),
        ("Pacific/Kwajalein", "1993-08-20T18:30", 1, "1993-08-21T12:00"),
        # An entry in the second pass of a repeated hour counts as the end of that hour.
        ("Europe/Berlin", "2026-10-25T00:30", 1, "2026-10-26T01:30"),
        ("Europe/Berlin", "2026-10-25T00:59:59.999999", 1, "2026-10-26T01:59:59.999999"),
        ("Europe/Berlin", "2026-10-25T01:00", 1, "2026-10-26T02:00"),
        ("Europe/Berlin", "2026-10-25T01:30", 1, "2026-10-26T02:00"),
        ("Europe/Berlin", "2026-10-25T01:59:59.999999", 1, "2026-10-26T02:00"),
        ("Europe/Berlin", "2026-10-25T02:00:00.000001", 1, "2026-10-26T02:00:00.000001"),
        ("Australia/Lord_Howe", "2026-04-04T15:15", 1, "2026-04-05T15:30"),
        ("America/Sao_Paulo", "2018-02-18T02:10:00.5", 1, "2018-02-19T03:00"),
        ("Antarctica/Troll", "2026-10-25T02:59", 1, "2026-10-26T03:00"),
        # A whole day was repeated: 18 October 1867 in Juneau.
        ("America/Juneau", "1867-10-19T12:00", 1, "1867-10-21T00:31:13"),
        # A due time in a repeated hour is its first pass.
        ("Europe/Berlin", "2026-10-24T00:30", 1, "2026-10-25T00:30"),
        ("Europe/Berlin", "2026-10-24T00:59:59.999999", 1, "2026-10-25T00:59:59.999999"),
        ("Europe/Berlin", "2026-10-24T01:00", 1, "2026-10-25T02:00"),
        ("Africa/Casablanca", "2026-02-14T01:30", 1, "2026-02-15T01:30"),
    ],
)
def test_calendar_days_end_at_the_same_time_on_the_wall(
    zone_name: str, start: str, number: int, due: str
) -> None:
    assert Calendar(zone=zone_name).add(utc(start), calendar_days(number)) == utc(due)


def test_the_zone_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    start, due = utc("2026-10-25T01:30"), utc("2026-10-26T02:00")
    for machine in ("America/New_York", "Asia/Kathmandu", "Europe/Berlin"):
        with monkeypatch.context() as patched:
            patched.setenv("TZ", machine)
            time.tzset()
            assert Calendar(zone="Europe/Berlin").add(start, calendar_days(1)) == due
            assert Calendar().add(start, calendar_days(1)) == start + DAY
            assert Calendar(zone="Pacific/Apia").add(utc("2011-12-29T22:00"), calendar_days(1)) == utc(
                "2011-12-30T10:00"
            )
        time.tzset()


def test_the_turns_that_the_tests_crowd_around_are_turns() -> None:
    for name in TURNS:
        for turn in turns(name):
            assert wall(turn, name) - wall(turn - TICK, name) != TICK, (name, turn)


# --- business days -----------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "number", "due"),
    [
        ("2026-03-06T09:00", 1, "2026-03-09T09:00"),  # Friday to Monday
        ("2026-03-06T09:00", 5, "2026-03-13T09:00"),
        ("2026-03-06T09:00", 6, "2026-03-16T09:00"),
        ("2026-03-02T22:59:59.999999", 1, "2026-03-03T22:59:59.999999"),
        ("2026-03-27T09:00", 1, "2026-03-30T08:00"),  # 10:00 on the wall, over the turn
        # A stay that begins on a day off counts from the start of the next business day: Monday 00:00.
        ("2026-03-07T15:00", 1, "2026-03-09T23:00"),
        ("2026-03-08T22:59:59.999999", 1, "2026-03-09T23:00"),
        ("2026-03-08T23:00", 1, "2026-03-09T23:00"),
        ("2026-03-06T22:59:59.999999", 1, "2026-03-09T22:59:59.999999"),
        ("2026-03-06T23:00", 1, "2026-03-09T23:00"),
        # Christmas Eve is a holiday of the file.
        ("2026-12-23T09:00", 1, "2026-12-25T09:00"),
        ("2026-12-24T09:00", 1, "2026-12-27T23:00"),
    ],
)
def test_business_days_count_from_the_wall_clock_and_skip_days_off(start: str, number: int, due: str) -> None:
    berlin = Calendar(zone="Europe/Berlin", holidays=(date(2026, 12, 24),))
    assert berlin.add(utc(start), business_days(number)) == utc(due)


def test_the_weekend_is_what_the_calendar_says() -> None:
    thursday = utc("2026-03-05T09:00")
    assert Calendar(weekend=("fri", "sat")).add(thursday, business_days(1)) == utc("2026-03-08T09:00")
    assert Calendar(weekend=()).add(thursday, business_days(3)) == utc("2026-03-08T09:00")
    six_off = tuple(name for name in WEEKDAYS if name != "wed")
    assert Calendar(weekend=six_off).add(thursday, business_days(1)) == utc("2026-03-18T00:00")


def test_a_region_gives_its_public_holidays() -> None:
    friday = utc("2027-03-05T09:00")  # Monday, 8 March, is International Women's Day in Berlin alone
    assert Calendar().add(friday, business_days(1)) == utc("2027-03-08T09:00")
    assert Calendar(holidays=("DE",)).add(friday, business_days(1)) == utc("2027-03-08T09:00")
    assert Calendar(holidays=("DE-BE",)).add(friday, business_days(1)) == utc("2027-03-09T09:00")
    both = Calendar(holidays=("DE", date(2027, 3, 9), "DE-BE"))
    assert both.add(friday, business_days(1)) == utc("2027-03-10T09:00")


def test_the_regions_are_countries_and_their_subdivisions() -> None:
    assert {"DE", "DE-BE", "IT", "US-CA", "NZ-South Canterbury"} <= set(regions())
    assert "DE-" not in regions()
    assert date(2027, 3, 8) in days_off("DE-BE", 2027)
    assert date(2027, 3, 8) not in days_off("DE", 2027)
    assert date(2026, 12, 25) in days_off("NZ-South Canterbury", 2026)
    assert {day.year for day in days_off("IT", 2026)} == {2026}


# --- the ends of time --------------------------------------------------------


@pytest.mark.parametrize("length", [elapsed(days=1), calendar_days(1), business_days(1)], ids=str)
@pytest.mark.parametrize("zone_name", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_what_would_be_due_beyond_the_year_9999_is_never_due(zone_name: str, length: Length) -> None:
    calendar = Calendar(zone=zone_name, weekend=())
    assert calendar.add(LAST, length) is None
    assert calendar.add(LAST - DAY + TICK, length) is None
    assert calendar.add(LAST - 2 * DAY, length) is not None


def test_the_cutoff_at_the_end_of_time_is_exact_as_ever() -> None:
    for length in (elapsed(days=1), calendar_days(1), business_days(1)):
        assert Calendar(weekend=()).cutoff(LAST, length) == LAST - DAY
    # In Kathmandu the year 9999 is over 5:45 h earlier than in Greenwich.
    kathmandu = Calendar(zone="Asia/Kathmandu", weekend=())
    assert kathmandu.cutoff(LAST, calendar_days(1)) == LAST - DAY - timedelta(hours=5, minutes=45)
    # In New York it is not: what falls into its last hours is due beyond the last instant.
    assert Calendar(zone="America/New_York", weekend=()).cutoff(LAST, business_days(1)) == LAST - DAY


def test_time_goes_on_to_its_very_last_day() -> None:
    every_day = Calendar(weekend=())
    assert every_day.add(LAST - 3 * DAY, business_days(3)) == LAST
    assert every_day.add(LAST - 3 * DAY, business_days(4)) is None
    assert every_day.add(FIRST, calendar_days(LONGEST_DAYS - 1)) == LAST - DAY + TICK
    assert every_day.add(FIRST, calendar_days(LONGEST_DAYS)) is None
    assert every_day.add(FIRST, business_days(10**8)) is None
    assert Calendar().add(utc("9999-12-31T00:00"), business_days(1)) is None


def test_holidays_without_end_are_never_over() -> None:
    off = Calendar(weekend=WEEKDAYS[:6], holidays=(date(9999, 12, 26),))  # the last Sunday there is
    assert off.add(utc("9999-12-20T00:00"), business_days(1)) is None
    assert off.add(utc("9999-12-18T00:00"), business_days(1)) is None


def test_before_the_first_local_day_the_wall_clock_stands_at_its_beginning() -> None:
    new_york = Calendar(zone="America/New_York")  # 4:56:02 behind, before there were time zones
    assert new_york.add(FIRST, calendar_days(1)) == utc("0001-01-02T04:56:02")
    assert new_york.add(FIRST + timedelta(hours=4), calendar_days(1)) == utc("0001-01-02T04:56:02")
    assert new_york.add(FIRST + timedelta(hours=5), calendar_days(1)) == utc("0001-01-02T05:00:00")
    assert Calendar(zone="Asia/Kathmandu").add(FIRST, calendar_days(1)) == utc("0001-01-02T00:00")


def test_there_is_no_cutoff_where_nothing_can_be_due_yet() -> None:
    assert Calendar().cutoff(FIRST, calendar_days(1)) is None
    assert Calendar().cutoff(FIRST + DAY - TICK, calendar_days(1)) is None
    assert Calendar().cutoff(FIRST + DAY, calendar_days(1)) == FIRST
    assert Calendar().cutoff(FIRST + DAY + TICK, calendar_days(1)) == FIRST + TICK
    new_york = Calendar(zone="America/New_York")
    assert new_york.cutoff(utc("0001-01-02T04:56:02"), calendar_days(1)) == utc("0001-01-01T04:56:02")
    assert new_york.cutoff(utc("0001-01-02T04:56:02") - TICK, calendar_days(1)) is None


# --- cutoffs -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "now", "latest"),
    [
        (calendar_days(14), "2026-04-03T08:00", "2026-03-20T09:00"),
        # At the end of the gap all that fell into it is due at once.
        (calendar_days(14), "2026-03-29T01:00", "2026-03-15T02:00"),
        (calendar_days(14), "2026-03-29T00:59:59.999999", "2026-03-15T00:59:59.999999"),
        # The second pass of an hour adds nothing to the first.
        (calendar_days(1), "2026-10-25T00:59:59.999999", "2026-10-24T00:59:59.999999"),
        (calendar_days(1), "2026-10-25T01:00", "2026-10-24T00:59:59.999999"),
        (calendar_days(1), "2026-10-25T01:59:59.999999", "2026-10-24T00:59:59.999999"),
        (calendar_days(1), "2026-10-25T02:00", "2026-10-24T01:00"),
        (calendar_days(1), "2026-10-26T02:00", "2026-10-25T02:00"),
        (calendar_days(1), "2026-10-26T01:59:59.999999", "2026-10-25T00:59:59.999999"),
        # Over the weekend nothing new comes due; on Monday at 00:00 local what began by then on Friday.
        (business_days(1), "2026-03-09T09:00", "2026-03-06T09:00"),
        (business_days(1), "2026-03-08T12:00", "2026-03-05T22:59:59.999999"),
        (business_days(1), "2026-03-09T22:59:59.999999", "2026-03-06T22:59:59.999999"),
        (business_days(1), "2026-03-09T23:00", "2026-03-08T23:00"),
    ],
)
def test_the_cutoff_is_the_latest_entry_that_is_due(length: Length, now: str, latest: str) -> None:
    assert Calendar(zone="Europe/Berlin").cutoff(utc(now), length) == utc(latest)


@pytest.mark.parametrize("length", [calendar_days(14), business_days(250), calendar_days(100_000)], ids=str)
def test_a_cutoff_takes_some_forty_additions(monkeypatch: pytest.MonkeyPatch, length: Length) -> None:
    asked: list[datetime] = []
    off = Calendar._wall  # noqa: SLF001 - what every addition on the wall clock begins with

    def counted(self: Calendar, at: datetime) -> datetime:
        asked.append(at)
        return off(self, at)

    monkeypatch.setattr(Calendar, "_wall", counted)
    assert Calendar(zone="Europe/Berlin").cutoff(utc("2026-03-29T01:00"), length) is not None
    assert 30 <= len(asked) <= 80


# --- properties --------------------------------------------------------------


@given(data=st.data(), calendar=calendars(), length=lengths(huge=True))
def test_a_later_entry_is_never_due_earlier(data: st.DataObject, calendar: Calendar, length: Length) -> None:
    start = data.draw(instants(calendar.zone, extreme=True))
    near = st.sampled_from((TICK, timedelta(minutes=30), timedelta(hours=1), timedelta(hours=23), DAY))
    entries = sorted(
        [start, data.draw(instants(calendar.zone, extreme=True)), _after(start, data.draw(near))]
    )
    due = [calendar.add(entry, length) for entry in entries]
    known = [instant for instant in due if instant is not None]
    assert due[: len(known)] == sorted(known)  # those that are never due come last
    assert all(instant >= entry for entry, instant in zip(entries, known, strict=False))


def _after(start: datetime, wait: timedelta) -> datetime:
    return start + wait if LAST - start >= wait else LAST


@pytest.mark.parametrize("zone_name", [name for name in TURNS if TURNS[name]])
def test_around_every_turn_of_the_clocks_a_later_entry_is_never_due_earlier(zone_name: str) -> None:
    minutes = (-2880, -1500, -1440, -150, -120, -90, -60, -45, -30, -1, 0, 1, 30, 45, 60, 90, 120, 1440, 1500)
    for turn in turns(zone_name):
        entries = [turn + timedelta(minutes=m) + tick for m in minutes for tick in (-TICK, TICK * 0, TICK)]
        for days_before in (0, 1, 2, 14):
            moved = [entry - days_before * DAY for entry in entries]
            for length in (calendar_days(1), calendar_days(14), business_days(1), business_days(2)):
                due = [Calendar(zone=zone_name).add(entry, length) for entry in moved]
                known = [instant for instant in due if instant is not None]
                assert known == sorted(known)
                assert len(known) == len(moved)


@given(calendar=calendars(regions=True), length=lengths(), data=st.data(), holiday=days() | st.just("DE-BE"))
def test_adding_a_holiday_never_makes_anything_due_earlier(
    calendar: Calendar, length: Length, data: st.DataObject, holiday: date | str
) -> None:
    start = data.draw(instants(calendar.zone))
    with_one_more = Calendar(calendar.zone, calendar.weekend, (*calendar.holidays, holiday))
    before, after = calendar.add(start, length), with_one_more.add(start, length)
    assert before is not None
    assert after is not None
    assert after >= before
    if length.unit != "business_days":
        assert after == before


@given(calendar=calendars(), length=lengths(huge=True), data=st.data())
def test_the_cutoff_is_exactly_the_largest_instant_that_is_due(
    calendar: Calendar, length: Length, data: st.DataObject
) -> None:
    now = data.draw(instants(calendar.zone, extreme=True))
    cutoff = calendar.cutoff(now, length)
    if cutoff is None:
        earliest = calendar.add(FIRST, length)
        assert earliest is None or earliest > now
        return
    due = calendar.add(cutoff, length)
    assert due is not None
    assert due <= now
    following = None if cutoff == LAST else calendar.add(cutoff + TICK, length)
    assert following is None or following > now


@given(calendar=calendars(regions=True), length=lengths(), data=st.data())
def test_sums_agree_with_a_clock_that_is_looked_at_hour_by_hour(
    calendar: Calendar, length: Length, data: st.DataObject
) -> None:
    start = data.draw(instants(calendar.zone))
    naive = {
        "zone": calendar.zone,
        "weekend": list(calendar.weekend),
        "holidays": [str(holiday) for holiday in calendar.holidays],
    }
    assert calendar.add(start, length) == reference.add(naive, start, length.to_dict())


@given(zone_name=zones(), data=st.data())
def test_sums_are_in_utc_whatever_the_zone(zone_name: str, data: st.DataObject) -> None:
    due = Calendar(zone=zone_name).add(data.draw(instants(zone_name)), data.draw(lengths()))
    assert due is not None
    assert due.tzinfo is UTC
    assert due.fold == 0
    assert due == due.astimezone(timezone(timedelta(hours=5)))


# --- a time on the wall ----------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "expected", "repeated"),
    [
        ("2026-03-29T01:59:59.999999", "2026-03-29T00:59:59.999999", False),
        ("2026-03-29T02:00", "2026-03-29T01:00", None),
        ("2026-03-29T02:59:59.999999", "2026-03-29T01:00", None),
        ("2026-03-29T03:00", "2026-03-29T01:00", False),
        ("2026-10-25T01:59:59.999999", "2026-10-24T23:59:59.999999", False),
        ("2026-10-25T02:00", "2026-10-25T00:00", True),
        ("2026-10-25T02:59:59.999999", "2026-10-25T00:59:59.999999", True),
        ("2026-10-25T03:00", "2026-10-25T02:00", False),
    ],
)
def test_a_time_on_the_wall_stands_for_the_first_instant_that_shows_it_or_more(
    *, shown: str, expected: str, repeated: bool | None
) -> None:
    berlin, at = Calendar(zone="Europe/Berlin"), datetime.fromisoformat(shown)
    assert berlin.instant_of(at) == utc(expected)
    assert berlin.instant_of(at.replace(fold=1)) == utc(expected)
    assert berlin.is_repeated(at) is repeated
    assert Calendar().instant_of(at) == at.replace(tzinfo=UTC)
    assert Calendar().is_repeated(at) is False


@given(at=instants(), zone_name=zones(), nudge=st.integers(-90, 90))
def test_a_time_on_the_wall_is_found_by_looking_at_the_clock(
    at: datetime, zone_name: str, nudge: int
) -> None:
    calendar = Calendar(zone=zone_name)
    shown = wall(at, zone_name) + timedelta(minutes=nudge)
    found = calendar.instant_of(shown)
    assert found == reference.first_shown(zone_name, shown)
    assert (calendar.is_repeated(shown) is None) == (wall(found, zone_name) != shown)


def test_a_time_on_the_wall_before_time_begins_or_after_it_ends_is_no_instant() -> None:
    for zone_name, at in (("Asia/Tokyo", datetime.min), ("America/New_York", datetime.max)):
        with pytest.raises(InstantError, match="wall: an instant is an aware datetime between the years 1"):
            Calendar(zone=zone_name).instant_of(at)
    with pytest.raises(PolicyError, match="no time zone 'Moon'"):
        Calendar(zone="Moon").instant_of(datetime(2026, 3, 1))  # noqa: DTZ001 - a time on the wall
