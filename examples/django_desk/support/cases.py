"""Cases are kept and changed here: copy this file and `support.sweeping`.

`support.shown` calls casestate as well: what people read of a case. The rest is ordinary Django.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

import casestate

from casestate import CaseDataError, Problem, Workflow
from support.models import Case, Change


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

WORKFLOWS = {
    policy.name: Workflow(policy, clock=timezone.now)
    for policy in map(casestate.load_policy, settings.CASESTATE_POLICIES)
}
COLUMNS = ["policy", "status", "sub_status", "entered_at", "stay", "settled", "settled_at"]
COLUMNS += ["previous", "assignee", "opened_at"]
ENTRY = ("at", "event", "by", "actor", "from_state", "to_state", "stay", "detail")


class CaseChanged(Exception):
    """Somebody else was faster: look at the case again, and decide anew."""


def workflow_of(row: Case) -> Workflow:
    """The workflow of a case. Raises `CaseDataError` if this desk does not run its policy."""
    if row.policy not in WORKFLOWS:
        message = f"this desk does not run {row.policy!r} (there are: {', '.join(WORKFLOWS)})"
        raise CaseDataError(f"case {row.pk!r}", [Problem("policy", message)])
    return WORKFLOWS[row.policy]


def as_case(row: Case, history: Sequence[casestate.Change] = ()) -> casestate.Case:
    """A row as casestate sees it; without its history that is enough to look at, not to change."""
    fields: dict[str, Any] = {name: getattr(row, name) for name in COLUMNS}
    return casestate.Case(id=row.pk, cloned_from=row.cloned_from_id, history=tuple(history), **fields)


def whole(row: Case) -> casestate.Case:
    """The same with its history."""
    return as_case(
        row, [casestate.Change(**entry) for entry in row.changes.order_by("number").values(*ENTRY)]
    )


def insert(case: casestate.Case, **about: str) -> None:
    """Keep a new case."""
    row = Case(id=case.id, cloned_from_id=case.cloned_from, **_fields(case), **about)
    row.save(force_insert=True)
    _write_history(row, case, 0)


def store(row: Case, before: casestate.Case, after: casestate.Case) -> None:
    """Keep what has happened to a case, unless somebody else has stored something since ``row`` was read."""
    unchanged = Case.objects.filter(pk=row.pk, revision=row.revision)
    if not unchanged.update(**_fields(after), revision=row.revision + 1):
        raise CaseChanged(f"case {row.pk!r} has been changed by somebody else at the same moment")
    _write_history(row, after, len(before.history))


def _fields(case: casestate.Case) -> dict[str, Any]:
    return {name: getattr(case, name) for name in COLUMNS}


def _write_history(row: Case, case: casestate.Case, known: int) -> None:
    for number, entry in enumerate(case.history[known:], known + 1):
        Change.objects.create(case=row, number=number, **{name: getattr(entry, name) for name in ENTRY})


def open_case(case_id: str, *, policy: str, at: datetime | None = None, **about: str) -> None:
    """Begin a case."""
    insert(WORKFLOWS[policy].open(case_id, at=at), **about)


def change(
    case_id: str,
    event: str,
    *,
    by: str,
    actor: str | None = None,
    sub_status: str | None = None,
    assignee: str | None = None,
    revision: int | None = None,
    at: datetime | None = None,
) -> None:
    """Let an event happen to a case; ``revision`` is the one that whoever decided on it has seen.

    Raises `CaseChanged` if that is out of date, and what `Workflow.apply` raises.
    """
    with transaction.atomic():
        row, case, at = _begin(case_id, revision, at)
        after = workflow_of(row).apply(
            case, event, by=by, at=at, actor=actor, sub_status=sub_status, assignee=assignee
        )
        store(row, case, after)


def clone(
    case_id: str,
    new_id: str,
    *,
    by: str,
    actor: str | None = None,
    revision: int | None = None,
    at: datetime | None = None,
) -> None:
    """Go on with a closed case as a new one. Raises as `change` does."""
    with transaction.atomic():
        row, case, at = _begin(case_id, revision, at)
        original, new = workflow_of(row).clone(case, new_id, by=by, at=at, actor=actor)
        store(row, case, original)
        insert(new, subject=row.subject, customer=row.customer)


def migrate(
    case_id: str, to: str, states: Mapping[str, str] | None = None, *, at: datetime | None = None
) -> None:
    """Move a case to the policy ``to``, as `Workflow.migrate` does and with what that raises."""
    with transaction.atomic():
        row, case, at = _begin(case_id, None, at)
        store(row, case, workflow_of(row).migrate(case, WORKFLOWS[to], states, at=at))


def _begin(case_id: str, revision: int | None, at: datetime | None) -> tuple[Case, casestate.Case, datetime]:
    row = Case.objects.select_for_update().get(pk=case_id)
    if revision not in (None, row.revision):
        raise CaseChanged(f"case {case_id!r} has changed since this page was shown: look at it again")
    case = whole(row)
    return row, case, at or max(timezone.now(), case.changed_at)  # the servers' clocks differ by seconds
