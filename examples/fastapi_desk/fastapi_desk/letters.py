"""What is written to whom when a timer asks for it, and how it is sent."""

from __future__ import annotations

import os

from email.message import EmailMessage
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fastapi_desk.models import CaseRow, Entry, Letter
from fastapi_desk.views import PRIVATE, closing, label, told


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

    from casestate import Action, Case, Workflow

DOMAIN = "desk.example"


def letter(session: Session, workflow: Workflow, case: Case, action: Action, url: str) -> Letter:
    """The letter that an action asks for. ``case`` is the settled one."""
    policy = workflow.policy
    row = session.get_one(CaseRow, case.id)
    to_customer = action.audience == "customer"
    described = policy.described(case.state)
    lines = [f"Case {case.id}, “{row.subject}”: {label(policy, case.state)}"]
    if described.meaning:
        lines.append(described.meaning)
    written = session.scalar(
        select(Entry.text)
        .where(
            Entry.case_id == case.id,
            Entry.stay == case.stay,
            Entry.text.is_not(None),
            Entry.event.not_in(PRIVATE),
            Entry.by != ("customer" if to_customer else "agent"),
        )
        .order_by(Entry.number.desc())
        .limit(1)
    )
    if written:
        lines.append("\n".join(f"> {line}" for line in written.splitlines()))
    if to_customer and described.action_required:
        lines.append(described.action_required)
    end = closing(workflow, case)
    if end is not None:
        unless = " unless you reply" if to_customer and end.unless_reply else ""
        lines.append(f"The case closes on {told(policy, end.at)}{unless}.")
    lines.append(f"{url}/{'cases' if to_customer else 'agent/cases'}/{case.id}")
    return Letter(
        key=action.key,
        case_id=case.id,
        timer=action.timer,
        recipient=row.email if to_customer else f"{action.audience}@{DOMAIN}",
        subject=f"{'Reminder: ' if action.kind == 'remind' else ''}{row.subject} [{case.id}]",
        text="\n\n".join(lines) + "\n",
        written_at=case.changed_at,
    )


def deliver(engine: Engine, workflow: Workflow, send: Callable[[Letter], object]) -> list[str]:
    """Send what stands in the outbox, oldest first, and mark it; return the keys.

    No transaction waits for a mail server. After a crash between the two the letter is sent again,
    under the same key, and so it is where two do this at once: whoever sends drops a key they have seen.
    """
    waiting = select(Letter).where(Letter.sent_at.is_(None)).order_by(Letter.written_at, Letter.key)
    with Session(engine) as session:
        letters = session.scalars(waiting).all()
        session.expunge_all()
    for found in letters:
        send(found)
        with Session(engine) as session, session.begin():
            session.execute(update(Letter).where(Letter.key == found.key).values(sent_at=workflow.clock()))
    return [found.key for found in letters]


class Folder:
    """A mail provider that is a directory: a file for each key, however often it is sent."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def send(self, found: Letter) -> None:
        """Write the letter as a file that mail programs open."""
        message = EmailMessage()
        message["From"] = f"support@{DOMAIN}"
        message["To"] = found.recipient
        message["Subject"] = found.subject
        message["Message-ID"] = f"<{found.key.replace(':', '.')}@{DOMAIN}>"  # which may have no colon
        message.set_content(found.text)
        target = self.path / f"{found.key.replace(':', '_')}.eml"
        unfinished = target.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(message.as_bytes())
        unfinished.replace(target)
