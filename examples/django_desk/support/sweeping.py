"""The sweep: what is due is found by the index, settled case by case, and written to the outbox.

Copy this file with `support.cases`.
"""

from __future__ import annotations

import operator

from functools import reduce
from typing import TYPE_CHECKING, TypeAlias

from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import Q

from casestate import CasestateError
from support.cases import WORKFLOWS, CaseChanged, as_case, store, whole, workflow_of
from support.models import Case, Outbox


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from casestate import Action

Report: TypeAlias = "Callable[[str, Exception], object]"


def due(now: datetime) -> Q:
    """What is due: each row of `Workflow.cutoffs` is one search of the index."""
    terms = [Q(pk__in=[])]  # nothing, where no policy has a timer
    for name, workflow in WORKFLOWS.items():
        for row in workflow.cutoffs(now):
            term = Q(policy=name, status=row.status, sub_status=row.sub_status, settled=row.settled)
            term &= Q(entered_at__lte=row.entered_until)
            if row.settled_until is not None:
                term &= Q(settled_at__lte=row.settled_until)
            terms.append(term)
    return reduce(operator.or_, terms)


def due_ids(now: datetime) -> list[str]:
    """The cases that something is due for, the longest waiting first."""
    return list(Case.objects.filter(due(now)).order_by("entered_at", "pk").values_list("pk", flat=True))


def carry_out(case_id: str, now: datetime) -> Action | None:
    """Settle what is due for one case and write its message, both or neither; none if it has moved on."""
    skip = connection.features.has_select_for_update_skip_locked
    with transaction.atomic(durable=True):
        row = Case.objects.select_for_update(skip_locked=skip).filter(pk=case_id).first()
        if row is None:
            return None  # another sweep has it
        workflow, case = workflow_of(row), whole(row)
        action = next(workflow.due([case], now=now), None)
        if action is not None:
            settled = workflow.settle(case, action, at=max(now, case.changed_at))
            store(row, case, settled)
            if action.audience is not None:
                Outbox.objects.create(
                    key=action.key, case=row, timer=action.timer, audience=action.audience, written_at=now
                )
        return action


def sweep(now: datetime, on_error: Report) -> Iterator[Action]:
    """Carry out what is due, lazily; ``on_error`` hears of each case where that fails: it stays as it was."""
    for case_id in due_ids(now):
        try:
            action = carry_out(case_id, now)
        except CaseChanged:
            continue
        except OperationalError:  # the database, not the case: what has been done is done
            raise
        except (CasestateError, DatabaseError) as error:
            on_error(case_id, error)
        else:
            if action is not None:
                yield action


def rejected() -> Iterator[tuple[str, CasestateError]]:
    """The cases that no sweep can find, because no policy knows where they stand."""
    known = {
        (name, status, sub_status or None, settled)
        for name, workflow in WORKFLOWS.items()
        for state, timers in workflow.policy.schedules.items()
        for status, _, sub_status in [state.partition(".")]
        for settled in (None, *(timer.name for timer in timers))
    }
    standings = Case.objects.order_by().values("policy", "status", "sub_status", "settled").distinct()
    for standing in standings:
        if tuple(standing.values()) not in known:
            for row in Case.objects.filter(**standing):
                try:
                    workflow_of(row).next_due(as_case(row))
                except CasestateError as error:
                    yield row.pk, error
