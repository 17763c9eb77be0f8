"""Short ways to the cases and instants that many tests begin with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from casestate import Case


if TYPE_CHECKING:
    from casestate import Action, Workflow

MONDAY: Final = datetime(2026, 3, 2, 9, 30, 15, 250_000, tzinfo=UTC)
TICK: Final = timedelta(microseconds=1)
DAY: Final = timedelta(days=1)


def case_in(state: str, entered_at: datetime = MONDAY, **fields: Any) -> Case:  # noqa: ANN401 - a case's own fields
    """A case in a state, as another system would keep it."""
    status, _, sub_status = state.partition(".")
    fields = {"id": "C-1042", **fields}
    return Case(status=status, sub_status=sub_status or None, entered_at=entered_at, **fields)


def due(desk: Workflow, case: Case, now: datetime) -> Action | None:
    """What a sweep at ``now`` returns for one case."""
    actions = list(desk.due([case], now=now))
    assert len(actions) <= 1
    return actions[0] if actions else None


def the_due(desk: Workflow, case: Case, now: datetime) -> Action:
    """The action that a sweep at ``now`` returns for one case: there has to be one."""
    action = due(desk, case, now)
    assert action is not None
    return action


def settled_all(desk: Workflow, case: Case, now: datetime) -> Case:
    """The case after sweeps at ``now``, each settled, until nothing is due any more."""
    while (action := due(desk, case, now)) is not None:
        case = desk.settle(case, action, at=now)
    return case
