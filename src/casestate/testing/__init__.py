"""For the tests of those who build a helpdesk on casestate (extra ``testing``).

Hypothesis strategies that draw policies, cases, histories and the values that
they are made of, legal ones and hostile; and invariants that any helpdesk's own
history and actions can be held to.
"""

from __future__ import annotations


try:
    import hypothesis as _hypothesis  # noqa: F401 - only whether it is there
except ModuleNotFoundError as error:
    if error.name != "hypothesis":
        raise
    raise ModuleNotFoundError(
        "casestate.testing needs hypothesis: pip install 'casestate[testing]'", name="hypothesis"
    ) from None

from casestate.testing.strategies import (
    calendars,
    cases,
    instants,
    lengths,
    policies,
    policy_tables,
)


__all__ = [
    "calendars",
    "cases",
    "instants",
    "lengths",
    "policies",
    "policy_tables",
]
