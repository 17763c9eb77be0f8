"""What a page or a letter says of a case, in words for people. Nothing here stores anything."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from casestate import CasestateError, EventRefused, MissingArgument, UnknownEvent, UnknownStatus
from casestate.sql import CaseChanged


if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from casestate import Action, Case, Change, Policy, Workflow

WORDS = {
    ("customer", "comment"): "Send the comment",
    ("customer", "confirm"): "Yes, it is solved",
    ("customer", "resolve"): "I have solved it",
    ("customer", "reopen"): "Reopen the case",
    ("customer", "close"): "Close the case",
    ("customer", "clone"): "Open a follow-up case (clone)",
    ("agent", "note"): "Internal note",
    ("agent", "ask"): "Ask the customer",
    ("agent", "pend"): "Set to pending",
    ("agent", "respond"): "Answer",
    ("agent", "start"): "Start work",
    ("agent", "release"): "Stop work",
    ("agent", "resume"): "Go on without a reply",
    ("agent", "clone"): "Open a follow-up case (clone)",
}
"""What the events of the two documented policies are called; others are called by their names."""
SPOKEN = ("comment", "note")
"""Events that are nothing without a text."""
PRIVATE = ("note",)
"""Events whose text customers do not see."""
MOST_FORESEEN = 20


def name_of(event: str, by: str) -> str:
    """What an event is called."""
    return WORDS.get((by, event), event.replace("_", " ").capitalize())


def label(policy: Policy, state: str) -> str:
    """What a state is called: “Pending: Customer Input”."""
    if state not in policy.states:
        return state
    status, own = policy.statuses[state.partition(".")[0]], policy.described(state)
    return own.label if own is status else f"{status.label}: {own.label}"


def people(word: str) -> str:
    """What a policy's word for somebody reads like within a sentence."""
    return {"customer": "the customer", "third_party": "a third party"}.get(word, word.replace("_", " "))


def told(policy: Policy, at: datetime) -> str:
    """An instant as people of the policy's zone write it."""
    local = at.astimezone(ZoneInfo(policy.calendar.zone))
    return f"{local.day} {local:%B %Y, %H:%M %Z}"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An event that is possible now, what it asks for, and where it leads."""

    event: str
    label: str
    leads_to: str | None
    sub_statuses: tuple[tuple[str, str], ...] = ()
    asks_assignee: bool = False


def choices(workflow: Workflow, case: Case, by: str) -> Iterator[Choice]:
    """What the role may do now. The workflow says what it asks for: cases are frozen, so trying is free."""
    policy = workflow.policy
    for event in sorted(workflow.allowed(case, by=by), key=policy.events.index):
        if event == "clone":
            yield Choice(event=event, label=name_of(event, by), leads_to=None)
            continue
        given: dict[str, str] = {}
        sub_statuses: tuple[str, ...] = ()
        while True:
            try:
                after = workflow.apply(case, event, by=by, at=case.changed_at, **given)
            except MissingArgument as missing:
                given[missing.argument] = "?"
            except UnknownStatus as unknown:
                sub_statuses = unknown.known
                given["sub_status"] = sub_statuses[0]
            else:
                break
        moves = after.stay != case.stay and not sub_statuses
        labels = policy.statuses[after.status].sub_statuses
        yield Choice(
            event=event,
            label=name_of(event, by),
            leads_to=label(policy, after.state) if moves else None,
            sub_statuses=tuple((name, labels[name].label) for name in sub_statuses),
            asks_assignee="assignee" in given,
        )


@dataclass(frozen=True, kw_only=True)
class Closing:
    """When a case closes by itself, and whether a reply of the customer prevents it."""

    at: datetime
    overdue: bool
    unless_reply: bool


def closing(workflow: Workflow, case: Case) -> Closing | None:
    """When the case closes if nobody does anything; none if it does not."""
    now = workflow.clock()
    foreseen = islice(workflow.forecast(case, now=now), MOST_FORESEEN)
    at = next((action.due_at for action in foreseen if action.kind == "close"), None)
    if at is None:
        return None
    reply = next(
        (choice for choice in choices(workflow, case, "customer") if choice.event == "comment"), None
    )
    return Closing(at=at, overdue=at <= now, unless_reply=reply is not None and reply.leads_to is not None)


def foreseen(workflow: Workflow, case: Case) -> list[tuple[Action, str]]:
    """What happens if nobody does anything, each with a sentence."""
    policy = workflow.policy
    return [(action, _sentence(policy, action)) for action in islice(workflow.forecast(case), MOST_FORESEEN)]


def _sentence(policy: Policy, action: Action) -> str:
    if action.to is not None:
        return "the case closes" if action.kind == "close" else f"now {label(policy, action.to)}"
    what = "a reminder" if action.kind == "remind" else "a message"
    return f"{what} to {people(action.audience or 'nobody in particular')}"


def happened(policy: Policy, entry: Change) -> str:
    """What an entry of the history says, in a few words."""
    what = (
        f"{entry.event.replace('_', ' ')} (timer)" if entry.by == "system" else name_of(entry.event, entry.by)
    )
    if entry.from_state != entry.to_state:
        what += f": {label(policy, entry.from_state)} → {label(policy, entry.to_state)}"
    if isinstance(entry.detail, str):
        what += f" ({entry.detail})"
    return what


def why_not(policy: Policy, error: CasestateError) -> str:
    """Why an event has been refused, and what to do about it."""
    match error:
        case CaseChanged():
            return (
                "The case has changed since you opened this page. Look at it as it is now, "
                "and send this once more if it still fits."
            )
        case EventRefused():
            event = name_of(error.event, error.by)
            return f"“{event}” is not possible while the case is “{label(policy, error.state)}”."
        case UnknownEvent():
            return "There is no such action."
        case MissingArgument(argument="assignee"):
            return "Say who the case is assigned to, for an assignment and only there."
        case MissingArgument() | UnknownStatus():
            return "Choose what the case waits for, from the list that stands beside that action."
        case _:
            return str(error)
