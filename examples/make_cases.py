"""Write ``cases.jsonl`` beside this file: some sixty cases of two desks as they stand on a Friday at noon.

    python examples/make_cases.py

Both desks run their sweep at 06:00 every morning, and the job that does it has been down since
Monday. So the file holds cases that are overdue beside reminded, replied, closed and quiet ones.
It is always the same file: read it with ``--now 2026-11-20T12:00:00Z``.
"""

from __future__ import annotations

import json

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from casestate import Case, Workflow, policies


if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LAST_SWEEP = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)

AGENTS = ("mira", "jonas", "aylin", "pavel")
CUSTOMERS = ("dana@northwind.example", "luis@brightside.example", "kim@harbour.example", "ola@fjord.example")


class Step(NamedTuple):
    """What somebody does to a case, so many hours after the step before."""

    hours: float
    event: str
    by: str
    sub_status: str | None = None


class Story(NamedTuple):
    """A course that cases take, and how many days before `NOW` each of them was opened."""

    steps: tuple[Step, ...]
    opened: tuple[float, ...]


START = Step(2.5, "start", "agent")
ASK = Step(5, "pend", "agent", "customer_input")
REPLY = Step(49.25, "comment", "customer")
ANSWER = Step(20, "respond", "agent")

SUB_STATUS = (
    Story((), (0.1, 0.4)),
    Story((START,), (0.9, 5.7)),
    Story((START, ASK), (1.4, 6.8, 8.3, 10.1, 12.6, 17.3, 29.6, 31.4)),
    Story((START, ASK, Step(30, "note", "agent")), (9.2, 20.4)),
    Story((START, ASK, REPLY), (2.5, 2.9, 4.1)),
    Story((START, ASK, REPLY, Step(1, "start", "agent"), ANSWER), (6.3, 15.2, 19.9)),
    Story((START, Step(8, "pend", "agent", "development")), (13.5, 44.0)),
    Story((START, Step(8, "pend", "agent", "third_party_provider")), (21.7,)),
    Story((START, Step(30, "pend", "agent", "scheduled_support_service")), (3.6,)),
    Story((START, ANSWER), (0.97, 5.1, 9.9, 16.2)),
    Story((START, ANSWER, Step(26, "comment", "customer")), (2.15, 3.4)),
    Story((START, ANSWER, Step(40, "confirm", "customer")), (3.0, 4.3, 12.8)),
    Story((START, Step(3, "close", "agent")), (0.6, 25.3)),
    Story((START, ANSWER, Step(18, "confirm", "customer"), Step(200, "clone", "customer")), (18.2,)),
)

ASSIGN = Step(1.5, "assign", "agent")
BEGIN = Step(3, "start", "agent")
QUESTION = Step(6, "ask", "agent")
RESOLVE = Step(22, "resolve", "agent")

OPEN_RESOLVED = (
    Story((), (0.05, 0.3)),
    Story((ASSIGN,), (0.7, 3.8)),
    Story((ASSIGN, BEGIN), (1.2, 6.1)),
    Story((ASSIGN, QUESTION), (0.5, 2.6, 14.9, 17.7)),
    Story((ASSIGN, BEGIN, QUESTION), (5.3, 16.9)),
    Story((ASSIGN, BEGIN, QUESTION, Step(31, "comment", "customer")), (2.4, 8.8)),
    Story((ASSIGN, QUESTION, Step(100, "ask", "agent")), (10.4, 20.6)),
    Story((ASSIGN, BEGIN, RESOLVE), (1.9, 6.6, 9.4, 10.7)),
    Story((ASSIGN, BEGIN, RESOLVE, Step(12, "comment", "customer")), (2.7, 5.9)),
    Story((Step(4, "resolve", "customer"),), (3.1, 8.2)),
    Story((ASSIGN, BEGIN, RESOLVE, Step(5, "confirm", "customer")), (4.6, 26.0)),
    Story((ASSIGN, Step(9, "close", "customer")), (7.4,)),
    Story((ASSIGN, BEGIN, RESOLVE, Step(5, "confirm", "customer"), Step(300, "reopen", "customer")), (15.0,)),
)


def sweeps(after: datetime, until: datetime) -> Iterator[datetime]:
    """The instants at which the desk swept: 06:00 every morning, until the job went down."""
    sweep = after.replace(hour=6, minute=0, second=0)
    while (sweep := sweep + timedelta(days=1)) <= min(until, LAST_SWEEP):
        yield sweep


def swept(desk: Workflow, case: Case, after: datetime, until: datetime) -> Case:
    """The case after the sweeps that fall between two instants, everything due acted on and settled."""
    for now in sweeps(after, until):
        for action in desk.due([case], now=now):
            case = desk.settle(case, action, at=now + timedelta(minutes=1))
    return case


def played(desk: Workflow, case_id: str, story: Story, opened: datetime, number: int) -> list[Case]:
    """The case that took this course, as it stands at `NOW`; and its clone, if it has one."""
    clones: list[Case] = []
    agent, customer = AGENTS[number % len(AGENTS)], CUSTOMERS[number % len(CUSTOMERS)]
    case, at = desk.open(case_id, at=opened), opened
    for step in story.steps:
        later = at + timedelta(hours=step.hours)
        case, at = swept(desk, case, at, later), later
        actor = agent if step.by == "agent" else customer
        if step.event == "clone":
            case, clone = desk.clone(case, f"{case_id}-2", by=step.by, actor=actor, at=at)
            clones.append(swept(desk, clone, at, NOW))
        else:
            assignee = agent if step.event == "assign" else None
            case = desk.apply(
                case,
                step.event,
                by=step.by,
                actor=actor,
                at=at,
                sub_status=step.sub_status,
                assignee=assignee,
            )
    return [swept(desk, case, at, NOW), *clones]


def cases() -> list[Case]:
    """Every case of both desks, in the order of their ids."""
    found: list[Case] = []
    desks = (
        ("S", Workflow(policies.SUB_STATUS), SUB_STATUS),
        ("H", Workflow(policies.OPEN_RESOLVED), OPEN_RESOLVED),
    )
    for letter, desk, stories in desks:
        courses = sorted(((days, story) for story in stories for days in story.opened), reverse=True)
        for number, (days, story) in enumerate(courses):
            # A few minutes off, so that nothing in the file looks rounded.
            opened = NOW - timedelta(days=days, minutes=number * 7 % 53, seconds=number * 17 % 60)
            found += played(
                desk, f"{letter}-{1000 + 3 * number}", story, opened.replace(microsecond=0), number
            )
    return found


def line(case: Case) -> str:
    """A case as a line of the file. Fields that say nothing are left out."""
    return json.dumps(
        {
            **_filled(case.to_dict()),
            "history": [_filled(change.to_dict()) for change in case.history],
        }
    )


def _filled(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value not in (None, [])}


def text() -> str:
    """The whole file."""
    return "".join(f"{line(case)}\n" for case in cases())


if __name__ == "__main__":
    Path(__file__).with_name("cases.jsonl").write_text(text(), encoding="utf-8")
