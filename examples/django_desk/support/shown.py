"""What people read of a case: its state, what is asked of the customer, what is to come, what they may do."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from django.utils import timezone
from django.utils.formats import date_format

from casestate import MissingArgument, UnknownStatus
from support.cases import WORKFLOWS, as_case, workflow_of


if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import casestate

    from casestate import Policy
    from support.models import Case


class Shown(NamedTuple):
    """Where a case stands, in words."""

    label: str
    meaning: str
    action_required: str
    closes_at: datetime | None
    """When it closes by itself, if it does."""
    forecast: tuple[str, ...]
    """What comes if nobody does anything, a sentence each."""


class Choice(NamedTuple):
    """An event that is permitted now, and what has to be given with it."""

    event: str
    to: str
    """The label of the state that it leads to; empty if that is to be chosen, or if it leads nowhere."""
    sub_statuses: tuple[tuple[str, str], ...]
    """The names to choose from, with their labels, if it needs one."""
    needs_assignee: bool


def label(policy: Policy, state: str) -> str:
    """A state as people read it: ``Pending: Customer Input``."""
    status = policy.statuses[state.partition(".")[0]]
    described = policy.described(state)
    return status.label if described is status else f"{status.label}: {described.label}"


def labels() -> dict[str, str]:
    """The states of all policies with their labels."""
    policies = [workflow.policy for workflow in WORKFLOWS.values()]
    return {state: label(policy, state) for policy in policies for state in policy.states}


def shown(row: Case, now: datetime) -> Shown:
    """Where a case stands, in words. Raises a `CasestateError` if its row says what cannot be."""
    workflow, case = workflow_of(row), as_case(row)
    coming = list(islice(workflow.forecast(case, now=now), 10))  # a policy may go on for ever
    described = workflow.policy.described(case.state)
    unless = "the customer replies" if described.waiting_on == "customer" else "something happens before"
    said: list[str] = []
    for action in coming:
        when = f"on {instant(action.due_at)}" if action.due_at > now else "with the next sweep"
        whom = "the customer" if action.audience == "customer" else f"{action.audience}".replace("_", " ")
        if action.kind == "close":
            said.append(f"closes {when} unless {unless}")
        elif action.to is not None:
            said.append(f"moves to {label(workflow.policy, action.to)} {when}")
        else:
            said.append(f"{whom} is {'reminded' if action.kind == 'remind' else 'notified'} {when}")
    return Shown(
        label=label(workflow.policy, case.state),
        meaning=described.meaning or "",
        action_required=described.action_required or "",
        closes_at=next((action.due_at for action in coming if action.kind == "close"), None),
        forecast=tuple(said),
    )


def instant(at: datetime) -> str:
    """An instant in the time zone of the page."""
    local = timezone.localtime(at)
    return f"{date_format(local, 'DATETIME_FORMAT')} {local:%Z}"


def choices(row: Case, by: str) -> Iterator[Choice]:
    """What a role may do to a case now, and what has to be given: found by trying, which changes nothing.

    Raises a `CasestateError` if its row says what cannot be.
    """
    workflow, case = workflow_of(row), as_case(row)
    policy = workflow.policy
    names = [name for status in policy.statuses.values() for name in status.sub_statuses]

    def after(event: str, sub_status: str | None, assignee: str | None) -> casestate.Case | None:
        try:
            return workflow.apply(
                case, event, by=by, at=case.changed_at, sub_status=sub_status, assignee=assignee
            )
        except (MissingArgument, UnknownStatus):
            return None

    for event in sorted(workflow.allowed(case, by=by), key=policy.events.index):
        if event == "clone":
            yield Choice(event, "a new case", (), needs_assignee=False)
            continue
        for assignee in (None, "somebody"):
            found = {name: after(event, name, assignee) for name in (None, *names)}
            to = {
                name: label(policy, then.state) if then.stay > case.stay else ""
                for name, then in found.items()
                if then is not None
            }
            if to:
                named = tuple((name, there) for name, there in to.items() if name is not None)
                yield Choice(event, to.get(None, ""), named, needs_assignee=assignee is not None)
                break
