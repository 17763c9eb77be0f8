"""Strategies live in `casestate.testing`; here is what only these tests want of them."""

from __future__ import annotations

from casestate.testing.strategies import *  # noqa: F403
from casestate.testing.strategies import (  # noqa: F401
    FIRST,
    HOSTILE_TEXTS,
    LAST,
    LONGEST_DAYS,
    ODD_NAMES,
    TICK,
    TURNS,
    days,
    nudges,
    texts,
    turns,
    zones,
)
