"""The two documented workflows, as policies: read when they are first asked for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from casestate.loading import BUILT_IN, load_policy


if TYPE_CHECKING:
    from casestate.policy import Policy

__all__ = ["OPEN_RESOLVED", "SUB_STATUS"]

SUB_STATUS: Policy
"""Pending with sub-statuses, Awaiting Customer Confirmation, closed for good."""
OPEN_RESOLVED: Policy
"""New, Open, In Progress, Pending Customer, Resolved, and a Closed that can be reopened."""

_NAMES = {name.replace("-", "_").upper(): name for name in BUILT_IN}
_load = cache(load_policy)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attributes can be anything
    if name in _NAMES:
        return _load(_NAMES[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
