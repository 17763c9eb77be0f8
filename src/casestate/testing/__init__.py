"""For the tests of those who build a helpdesk on casestate (extra ``testing``).

Hypothesis strategies that draw policies, cases, histories and the values that
they are made of, legal ones and hostile; and invariants that any helpdesk's own
history and actions can be held to.
"""

from __future__ import annotations

from importlib.util import find_spec


if find_spec("hypothesis") is None:
    raise ModuleNotFoundError(
        "casestate.testing needs hypothesis: pip install 'casestate[testing]'", name="hypothesis"
    )

from casestate.testing.conformance import conformance
from casestate.testing.helpdesk import Helpdesk, HelpdeskError, Message, Refused
from casestate.testing.invariants import (
    assert_history_is_legal,
    assert_history_only_grows,
    assert_never_closed_unwarned,
    assert_no_duplicates,
    assert_one_action_a_case,
    assert_reply_wins,
    assert_stays_count_up,
)
from casestate.testing.strategies import (
    actions,
    calendars,
    cases,
    histories,
    instants,
    lengths,
    policies,
    policy_tables,
    status_logs,
)


__all__ = [
    "Helpdesk",
    "HelpdeskError",
    "Message",
    "Refused",
    "actions",
    "assert_history_is_legal",
    "assert_history_only_grows",
    "assert_never_closed_unwarned",
    "assert_no_duplicates",
    "assert_one_action_a_case",
    "assert_reply_wins",
    "assert_stays_count_up",
    "calendars",
    "cases",
    "conformance",
    "histories",
    "instants",
    "lengths",
    "policies",
    "policy_tables",
    "status_logs",
]
