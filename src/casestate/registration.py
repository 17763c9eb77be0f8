"""Tells Hypothesis how to draw our types, so that ``st.from_type(Case)`` works.

Hypothesis calls `register` when it is imported, wherever casestate is installed
(entry point ``hypothesis``). `casestate.testing` is imported when somebody draws one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from casestate import policies
from casestate.calendars import Calendar, Length
from casestate.case import Action, Case, Change
from casestate.policy import Policy


if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["register"]


def register() -> None:
    """Register a strategy for `Action`, `Calendar`, `Case`, `Change`, `Length` and `Policy`."""
    st.register_type_strategy(Action, _actions)
    st.register_type_strategy(Calendar, _calendars)
    st.register_type_strategy(Case, _cases)
    st.register_type_strategy(Change, _changes)
    st.register_type_strategy(Length, _lengths)
    st.register_type_strategy(Policy, _policies)


def _policies(_: type[Policy] = Policy) -> SearchStrategy[Policy]:
    from casestate import testing  # noqa: PLC0415 - nobody may ever ask for it

    return st.sampled_from([policies.SUB_STATUS, policies.OPEN_RESOLVED]) | testing.policies()


def _cases(_: type[Case]) -> SearchStrategy[Case]:
    from casestate import testing  # noqa: PLC0415 - likewise

    return _policies().flatmap(lambda policy: testing.cases(policy) | testing.histories(policy))


def _changes(_: type[Change]) -> SearchStrategy[Change]:
    from casestate import testing  # noqa: PLC0415 - likewise

    lived = _policies().flatmap(testing.histories).filter(lambda case: case.history)
    return lived.flatmap(lambda case: st.sampled_from(case.history))


def _actions(_: type[Action]) -> SearchStrategy[Action]:
    from casestate import testing  # noqa: PLC0415 - likewise

    return _policies().filter(lambda policy: policy.timers).flatmap(testing.actions)


def _calendars(_: type[Calendar]) -> SearchStrategy[Calendar]:
    from casestate import testing  # noqa: PLC0415 - likewise

    return testing.calendars()


def _lengths(_: type[Length]) -> SearchStrategy[Length]:
    from casestate import testing  # noqa: PLC0415 - likewise

    return testing.lengths()
