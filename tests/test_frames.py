"""Frames: what `Workflow.due` would return, row for row, in every engine; and what a frame may not be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hypothesis import given

from casestate import Workflow
from frame_rows import Ducks, agree, situations, to_arrow_pandas, to_pandas


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import polars as pl

    from casestate import Policy
    from frame_rows import Row

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
def test_a_frame_says_what_the_objects_say(
    engine: str, situation: tuple[Policy, list[Row], datetime]
) -> None:
    policy, rows, now = situation
    agree(ENGINES[engine], rows, Workflow(policy), now)


@given(situation=situations())
def test_a_duckdb_relation_says_what_the_objects_say(
    ducks: Ducks, situation: tuple[Policy, list[Row], datetime]
) -> None:
    policy, rows, now = situation
    agree(ducks, rows, Workflow(policy), now)
