"""The public holidays of a region, from the ``holidays`` package (extra ``holidays``)."""

from __future__ import annotations

import warnings

from functools import cache
from typing import TYPE_CHECKING

import holidays as package


if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

__all__ = ["days_off", "regions"]


def regions() -> Sequence[str]:
    """Every region there is: countries (``DE``) and their subdivisions (``DE-BE``)."""
    return [
        name
        for country, subdivisions in package.list_supported_countries().items()
        for name in (country, *(f"{country}-{subdivision}" for subdivision in subdivisions))
    ]


@cache
def days_off(region: str, year: int) -> frozenset[date]:
    """The public holidays of ``region`` in ``year``: a pure function of both, remembered."""
    country, _, subdivision = region.partition("-")
    with warnings.catch_warnings():
        # Some calendars are known up to a certain year only; a sweep is no place to hear of it.
        warnings.simplefilter("ignore")
        return frozenset(package.country_holidays(country, subdiv=subdivision or None, years=year))
