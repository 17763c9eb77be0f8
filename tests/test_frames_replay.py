"""Frames of a past: the actions, departures and summary of `casestate.replay.replay`, whatever the engine."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from casestate import LogError, PolicyError, Workflow, frames
from casestate.frames import log as frames_log
from casestate.log import Reading
from casestate.replay import replay
from casestate.testing.strategies import policies, status_logs


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
    return found.actions.rows(), found.departures.rows(), found.summary


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
