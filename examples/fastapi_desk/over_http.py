"""This desk as `casestate.testing.conformance` drives it: people over HTTP, time through sweep and mail."""

from __future__ import annotations

import re

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from fastapi.testclient import TestClient
from fastapi_desk.app import ROLES, create_app
from fastapi_desk.cases import Desk
from fastapi_desk.letters import deliver

from casestate import Workflow


if TYPE_CHECKING:
    from datetime import datetime

    from fastapi_desk.models import Letter
    from httpx2 import Response
    from sqlalchemy import Engine

    from casestate import Policy

PATHS = {role: path for path, role in ROLES.items()}


class PowerCutError(Exception):
    """Where a sweep dies."""


def expect(answer: Response, *statuses: int) -> None:
    """Anything else is no refusal, and ends the story."""
    if answer.status_code not in statuses:
        raise AssertionError(f"{answer.status_code} {answer.url}: {answer.text}")


class OverHttp:
    """A desk in an empty database, for one story."""

    def __init__(self, engine: Engine, policy: Policy) -> None:
        self.desk = Desk(engine, Workflow(policy, lambda: self.now))
        self.client = TestClient(create_app(self.desk), follow_redirects=False)
        self.now: datetime
        self.ids: dict[str, str] = {}
        self.mailbox: dict[str, tuple[str, str]] = {}

    def __enter__(self) -> Self:
        self.client.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.__exit__()
        self.desk.engine.dispose()

    # --- people ------------------------------------------------------------------

    def open(self, case_id: str, *, at: datetime) -> None:
        self.now = at
        form = {"email": "ada@example.org", "subject": case_id, "text": "It does not work."}
        answer = self.client.post("/cases", data=form)
        expect(answer, 303)
        self.ids[case_id] = answer.headers["location"].rpartition("/")[2]

    def handle(
        self,
        case_id: str,
        event: str,
        *,
        by: str,
        at: datetime,
        sub_status: str | None = None,
        assignee: str | None = None,
    ) -> bool:
        return self.send(case_id, event, by, at, sub_status=sub_status, assignee=assignee) is not None

    def clone(self, case_id: str, new_id: str, *, by: str, at: datetime) -> bool:
        location = self.send(case_id, "clone", by, at)
        if location is None:
            return False
        self.ids[new_id] = location.rpartition("/")[2]
        return True

    def send(self, case_id: str, event: str, by: str, at: datetime, **given: str | None) -> str | None:
        """Send the form of the role's page; return where that leads, or none if it is refused."""
        self.now = at
        if by not in PATHS:  # the system has no page
            return None
        path = f"/{PATHS[by]}/{self.ids[case_id]}"
        form = {f"{event}.{name}": value for name, value in given.items() if value is not None}
        form |= {
            "event": event,
            "revision": self.seen(path, r'name="revision" value="(\d+)"'),
            "text": "So it is.",
        }
        answer = self.client.post(path, data=form)
        expect(answer, 303, 422)
        return answer.headers.get("location")

    def state(self, case_id: str) -> str:
        return self.seen(f"/agent/cases/{self.ids[case_id]}", r'data-state="([^"]*)"')

    def seen(self, path: str, pattern: str) -> str:
        """What a page shows, or nothing."""
        page = self.client.get(path)
        expect(page, 200)
        found = re.search(pattern, page.text)
        return found[1] if found else "0"

    # --- time --------------------------------------------------------------------

    def sweep(self, now: datetime) -> None:
        self.now = now
        self.desk.sweep()
        deliver(self.desk.engine, self.desk.workflow, self.receive)

    def crash(self, now: datetime) -> None:
        """The first letter goes out and is not marked any more; the mailer is started again."""

        def dies(letter: Letter) -> None:
            self.receive(letter)
            raise PowerCutError

        self.now = now
        self.desk.sweep()
        with suppress(PowerCutError):
            deliver(self.desk.engine, self.desk.workflow, dies)
        deliver(self.desk.engine, self.desk.workflow, self.receive)

    def receive(self, letter: Letter) -> None:
        """The mail provider: it drops a key that it has seen."""
        self.mailbox.setdefault(letter.key, (letter.case_id, letter.timer))

    def outbox(self) -> list[tuple[str, str]]:
        names = {own: name for name, own in self.ids.items()}
        return [(names[own], timer) for own, timer in self.mailbox.values()]
