"""Pieces: where every instant of half a day leads, without adding a length to each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from hypothesis import given
from hypothesis import strategies as st

from casestate import Calendar, Length, load_policy
from casestate.calendars import CELL
from casestate.clock import FIRST, LAST, from_micros, to_micros
from casestate.schedule import schedules
from casestate.testing.strategies import calendars, instants, policies, turns


if TYPE_CHECKING:
    from collections.abc import Sequence

    from casestate import Policy
    from casestate.calendars import Piece
    from casestate.schedule import Schedule


def cells_around(at: datetime) -> list[int]:
    return [cell for cell in range(to_micros(at) // CELL - 1, to_micros(at) // CELL + 2) if inside(cell)]


def inside(cell: int) -> bool:
    return to_micros(FIRST) // CELL <= cell <= to_micros(LAST) // CELL


def led_to(pieces: Sequence[Piece], micros: int) -> int | None:
    """Where the pieces say that an instant leads."""
    found = [piece for piece in pieces if piece.first <= micros <= piece.last]
    assert len(found) <= 1
    return found[0].result + found[0].slope * (micros - found[0].first) if found else None


def probes(pieces: Sequence[Piece], cells: Sequence[int]) -> list[int]:
    """The ends of every piece, and what is beside them; some instants in between."""
    edges = {edge for piece in pieces for edge in (piece.first, piece.last)}
    beside = {edge + step for edge in edges for step in (-1, 0, 1, 977_000_001)}
    spread = {cell * CELL + part * CELL // 7 for cell in cells for part in range(7)}
    first, last = max(cells[0] * CELL, to_micros(FIRST)), min((cells[-1] + 1) * CELL - 1, to_micros(LAST))
    return sorted(micros for micros in beside | spread | {first, last} if first <= micros <= last)


@given(st.data())
def test_pieces_lead_every_entry_to_the_instant_at_which_the_timer_fires(data: st.DataObject) -> None:
    policy = data.draw(policies())
    schedule = data.draw(
        st.sampled_from(
            [found for found in schedules(policy).values() if found.timers]
            or [schedules(policy)[policy.initial]]
        )
    )
    at = data.draw(instants(policy.calendar.zone))
    for index in range(len(schedule.timers)):
        assert_exact(schedule, index, cells_around(at))


def assert_exact(schedule: Schedule, index: int, cells: Sequence[int]) -> None:
    pieces = list(schedule.pieces(index, cells))
    for micros in probes(pieces, cells):
        fired = list(schedule.firings(from_micros(micros, "entry")))
        assert led_to(pieces, micros) == (to_micros(fired[index]) if index < len(fired) else None)


@given(calendars(), st.data())
def test_pieces_lead_every_local_time_to_its_instant(calendar: Calendar, data: st.DataObject) -> None:
    turn = data.draw(st.sampled_from(turns(calendar.zone) or (datetime(2026, 3, 29, 1, tzinfo=UTC),)))
    cells = cells_around(turn)
    pieces = list(calendar.instants_of(cells))
    for micros in probes(pieces, cells):
        wall = from_micros(micros, "wall").replace(tzinfo=None)
        assert led_to(pieces, micros) == to_micros(calendar.instant_of(wall))


def test_a_cell_in_which_nothing_happens_is_one_piece() -> None:
    schedule = schedule_of(Calendar(zone="Europe/Rome"), Length("calendar_days", 15))
    (piece,) = schedule.pieces(0, [to_micros(datetime(2026, 7, 1, tzinfo=UTC)) // CELL])
    assert (piece.slope, piece.result - piece.first) == (1, timedelta(days=15) // timedelta(microseconds=1))


def test_a_day_off_is_a_piece_that_leads_to_one_instant() -> None:
    schedule = schedule_of(Calendar(), Length("business_days", 1))
    saturday = datetime(2026, 7, 4, tzinfo=UTC)
    (piece,) = schedule.pieces(0, [to_micros(saturday) // CELL])
    assert (piece.slope, from_micros(piece.result, "result")) == (0, datetime(2026, 7, 7, tzinfo=UTC))


def test_the_pieces_of_a_cell_hang_together_where_the_clock_changes() -> None:
    schedule = schedule_of(Calendar(zone="Europe/Rome"), Length("calendar_days", 15))
    cells = cells_around(datetime(2026, 10, 25, 1, tzinfo=UTC))
    pieces = list(schedule.pieces(0, cells))
    assert all(before.last + 1 == after.first for before, after in pairwise(pieces))
    assert {piece.slope for piece in pieces} == {0, 1}
    assert len(pieces) < 10 * len(cells)


def test_what_would_fire_beyond_the_year_9999_has_no_piece() -> None:
    schedule = schedule_of(Calendar(), Length("calendar_days", 15))
    cells = [to_micros(LAST - timedelta(days=15)) // CELL, to_micros(LAST) // CELL]
    pieces = list(schedule.pieces(0, cells))
    assert from_micros(max(piece.last for piece in pieces), "last") == LAST - timedelta(days=15)


def test_the_first_and_the_last_cell_are_cut_where_time_is() -> None:
    calendar = Calendar(zone="Asia/Tokyo")
    first, last = to_micros(FIRST) // CELL, to_micros(LAST) // CELL
    pieces = list(calendar.instants_of([first, last]))
    assert max(piece.last for piece in pieces) == to_micros(LAST)
    assert min(piece.first for piece in pieces) == to_micros(datetime(1, 1, 1, 9, 18, 59, tzinfo=UTC))


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_pieces_are_exact_where_the_zone_has_no_local_time_any_more(zone: str) -> None:
    schedule = schedule_of(Calendar(zone=zone), Length("calendar_days", 1))
    for end in (FIRST, LAST - timedelta(days=1)):
        assert_exact(schedule, 0, cells_around(end))


def schedule_of(calendar: Calendar, after: Length) -> Schedule:
    return schedules(policy_of(calendar, after))["waiting"]


def policy_of(calendar: Calendar, after: Length) -> Policy:
    return load_policy(
        {
            "format": 1,
            "name": "desk",
            "initial": "waiting",
            "calendar": {"zone": calendar.zone},
            "statuses": {"waiting": {}, "closed": {"closed": True}},
            "timers": {"close": {"in": "waiting", "after": after.to_dict(), "to": "closed"}},
        }
    )
