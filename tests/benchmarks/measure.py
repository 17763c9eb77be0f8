"""How the benchmarks measure: contestants take turns, and the median of their rounds counts."""

from __future__ import annotations

import gc
import time

from statistics import median
from typing import TYPE_CHECKING, NamedTuple


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Row(NamedTuple):
    """A line of the table. ``met`` is none where the figure is there for scale only."""

    what: str
    measured: str
    target: str
    met: bool | None


def clocked(work: Callable[[], object]) -> Callable[[], float]:
    """A contestant: the processor seconds of ``work``, while the collector stands still.

    Not the clock on the wall: a busy machine would interrupt the longer of two.
    """

    def seconds() -> float:
        gc.collect()
        gc.disable()
        start = time.process_time()
        work()
        passed = time.process_time() - start
        gc.enable()
        return passed

    return seconds


def waited_for(work: Callable[[], object]) -> Callable[[], float]:
    """A contestant: the seconds on the wall until ``work``, another process, has come to an end."""

    def seconds() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return seconds


def interleaved(contestants: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, float]:
    """The median seconds of each contestant.

    A round runs each of them once, so that all see the same weather; a first one, not counted, warms caches.
    """
    found = [{name: contestant() for name, contestant in contestants.items()} for _ in range(rounds + 1)]
    return {name: median(seconds[name] for seconds in found[1:]) for name in contestants}


def at_most(what: str, ratio: float, limit: float, unit: str = "x") -> Row:
    """A figure that is to be small."""
    return Row(what, f"{ratio:.2f} {unit}", f"at most {limit:g} {unit}", ratio <= limit)


def at_least(what: str, ratio: float, limit: float, unit: str = "x") -> Row:
    """A figure that is to be great."""
    return Row(what, f"{ratio:.1f} {unit}", f"at least {limit:g} {unit}", ratio >= limit)


def for_scale(what: str, figure: str) -> Row:
    """A figure that helps to read the others."""
    return Row(what, figure, "", None)
