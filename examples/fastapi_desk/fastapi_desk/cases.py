"""Where this desk calls casestate: everything that reads or stores a case. Short enough to copy."""

from __future__ import annotations

import re
import secrets

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from casestate.sql import load, rejects_where, store, sweep, values
from fastapi_desk.letters import letter
from fastapi_desk.models import CaseRow, Entry


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from casestate import Action, Case, Workflow

ID = re.compile(r"C-[2-9a-z]{10}")


def new_id() -> str:
    """An id that nobody can guess: it is all that a customer needs to see a case."""
    return "C-" + "".join(secrets.choice("23456789abcdefghijkmnpqrstuvwxyz") for _ in range(10))


class NoSuchCaseError(LookupError):
    """There is no case with this id."""


class Desk:
    """The cases of one workflow in one database. Threads may share it: it holds no case and no session."""

    def __init__(self, engine: Engine, workflow: Workflow, *, url: str = "http://127.0.0.1:8000") -> None:
        self.engine = engine
        self.workflow = workflow
        self.url = url

    def reading(self) -> Session:
        """A session for pages: it writes nothing, and waits for nobody."""
        return Session(self.engine.execution_options(reads_only=True))

    def find(self, session: Session, case_id: str) -> CaseRow:
        """The row of a case with its history, to be shown. Raises `NoSuchCaseError`."""
        whole = selectinload(CaseRow.history), selectinload(CaseRow.clones)
        row = session.get(CaseRow, case_id, options=whole) if ID.fullmatch(case_id) else None
        if row is None:
            raise NoSuchCaseError(case_id)
        return row

    # --- what people do --------------------------------------------------------

    def open(self, *, email: str, subject: str, text: str) -> str:
        """Begin a case; return its id."""
        case = self.workflow.open(new_id())
        with Session(self.engine) as session, session.begin():
            session.add(CaseRow(**values(CaseRow, case), email=email, subject=subject, text=text))
        return case.id

    def change(
        self,
        case_id: str,
        event: str,
        *,
        by: str,
        revision: int,
        actor: str | None = None,
        text: str | None = None,
        sub_status: str | None = None,
        assignee: str | None = None,
    ) -> str:
        """Apply an event to the case that the caller has seen at ``revision``; return whose page is next.

        Raises `NoSuchCaseError`, `CaseChanged` if the case is not at that revision any more, and
        whatever `Workflow.apply` raises. Nothing has been stored then.
        """
        with Session(self.engine) as session, session.begin():
            known = ID.fullmatch(case_id)
            case = load(session, CaseRow, case_id, lock=True, revision=revision) if known else None
            if case is None:
                raise NoSuchCaseError(case_id)
            at = max(self.workflow.clock(), case.changed_at)  # clocks of two servers differ a little
            clone = None
            if event == "clone" and event in self.workflow.allowed(case, by=by):
                after, clone = self.workflow.clone(case, new_id(), by=by, at=at, actor=actor)
            else:
                after = self.workflow.apply(
                    case, event, by=by, at=at, actor=actor, sub_status=sub_status, assignee=assignee
                )
            store(session, CaseRow, case, after, revision=revision)
            if clone is not None:
                told = session.get_one(CaseRow, case_id)
                about = {"email": told.email, "subject": told.subject, "text": text or told.text}
                session.add(CaseRow(**values(CaseRow, clone), **about))
                session.flush()
            self.add_entry(session, after, text)
        return case_id if clone is None else clone.id

    @staticmethod
    def add_entry(session: Session, case: Case, text: str | None = None) -> None:
        """Store the newest entry of the case's history, and what was written with it."""
        entry = case.history[-1].to_dict() | {"at": case.history[-1].at}
        session.add(Entry(case_id=case.id, **entry, text=text))

    # --- what time does --------------------------------------------------------

    def sweep(
        self,
        *,
        now: datetime | None = None,
        limit: int | None = None,
        on_error: Callable[[object, Exception], object] | None = None,
    ) -> list[Action]:
        """One pass: settle what is due, and write the letters that it asks for."""
        with Session(self.engine) as session:

            def act(case: Case, action: Action) -> None:
                self.add_entry(session, case)
                if action.audience is not None:
                    session.add(letter(session, self.workflow, case, action, self.url))

            return sweep(session, self.workflow, CaseRow, act, now=now, limit=limit, on_error=on_error)

    def rejected(self) -> Sequence[str]:
        """The cases that no sweep finds, because the policy does not know where they stand."""
        unknown = rejects_where(self.workflow, CaseRow) | (CaseRow.policy != self.workflow.policy.name)
        with self.reading() as session:
            return session.scalars(select(CaseRow.id).where(unknown).order_by(CaseRow.id)).all()

    def migrate(self, old: Workflow, states: Mapping[str, str] | None = None) -> None:
        """Bring all cases from an older version of the policy under this one: all of them, or none.

        Raises what `Workflow.migrate` raises.
        """
        with Session(self.engine) as session, session.begin():
            ids = session.scalars(select(CaseRow.id).where(CaseRow.policy == old.policy.name)).all()
            for case in filter(None, (load(session, CaseRow, case_id, lock=True) for case_id in ids)):
                at = max(self.workflow.clock(), case.changed_at)
                after = old.migrate(case, self.workflow, states, at=at)
                store(session, CaseRow, case, after)
                self.add_entry(session, after)
