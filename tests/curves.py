"""A curve of Kaplan and Meier beside that of scipy."""

from __future__ import annotations

import math
import warnings

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from scipy.stats import CensoredData, ecdf  # type: ignore[import-untyped] # it has no types


if TYPE_CHECKING:
    from collections.abc import Mapping

    from casestate.replay import ReplyCurve

SECOND = timedelta(seconds=1)


def check_with_scipy(found: ReplyCurve, durations: Mapping[tuple[Any, int], int]) -> None:
    """Its shares and limits are those of scipy, which knows no limits where all have replied."""
    times = [seconds for (_, seconds), count in durations.items() for _ in range(count)]
    censored = [ending != "replied" for (ending, _), count in durations.items() for _ in range(count)]
    curve = ecdf(CensoredData.right_censored(times, censored))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where nobody or everybody has replied
        limits = curve.sf.confidence_interval(0.95, method="log-log")
    known = {
        float(after): (share, 1 - high, 1 - low)
        for after, share, low, high in zip(
            curve.cdf.quantiles,
            curve.cdf.probabilities,
            limits.low.probabilities,
            limits.high.probabilities,
            strict=True,
        )
    }
    replied = sorted(
        seconds for (ending, seconds), count in durations.items() if ending == "replied" and count
    )
    assert [point.after // SECOND for point in found.points] == replied
    for point in found.points:
        share, low, high = known[point.after / SECOND]
        assert point.share == pytest.approx(share, abs=1e-9)
        if point.share < 1:
            assert (point.low, point.high) == pytest.approx((low, high), abs=1e-9)
        else:
            assert math.isnan(low)
            assert (point.low, point.high) == (0.0, 1.0)
        assert point.low <= point.share <= point.high
        assert point.waiting == sum(each >= point.after / SECOND for each in times)


def rough(length: timedelta) -> int:
    """The seconds of a length as a tally has them: rounded up by at most a hundredth, from 1,000 on."""
    seconds = -(-length // SECOND)
    step = 1
    for below, coarser in ((1_000, 10), (10_000, 60), (100_000, 600), (1_000_000, 3_600), (10**7, 21_600)):
        if seconds >= below:
            step = coarser
    while seconds % step:
        seconds += 1
    return seconds
