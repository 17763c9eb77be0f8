"""The desk, over HTTP and through its sweeper.

In SQLite, unless ``DESK_TEST_DATABASE`` is the address of another database.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email import policy as mail_policy
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from fastapi.testclient import TestClient
from fastapi_desk import app
from fastapi_desk.app import create_app, from_environment
from fastapi_desk.cases import ID, Desk, new_id
from fastapi_desk.letters import Folder, deliver
from fastapi_desk.models import Base, CaseRow, Entry, HistoryOnlyGrowsError, Letter, connect
from over_http import PATHS, OverHttp
from sqlalchemy import Engine, create_engine, delete, func, select, text, update
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from casestate import ManualClock, Policy, Workflow, load_policy
from casestate.sql import due_where
from casestate.testing import assert_history_is_legal, conformance


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from unittest import TestCase

    from fastapi import FastAPI
    from httpx2 import Response

HERE = Path(__file__).parent
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


# --- what a page shows ------------------------------------------------------------


class Page(HTMLParser):
    """What a browser makes of a page: its words, its buttons, what can be filled in."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.pieces: list[str] = []
        self.options: dict[str, list[str]] = {}
        self.feed(answer.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag not in ("a", "b", "span", "strong", "time"):
            self.pieces.append(" ")
        self.tags.append((tag, attributes))
        if tag == "select":
            self.options[attributes["name"]] = []
        elif tag == "option" and attributes["value"]:
            self.options[list(self.options)[-1]].append(attributes["value"])

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [
            found
            for name, found in self.tags
            if name == tag and all(found.get(key) == value for key, value in attributes.items())
        ]

    @property
    def events(self) -> set[str]:
        """The events that the page offers."""
        return {each["value"] for tag in ("button", "input") for each in self.all(tag, name="event")}

    @property
    def state(self) -> str:
        return next(each["data-state"] for each in self.all("section") if "data-state" in each)

    @property
    def revision(self) -> str:
        return self.all("input", name="revision")[0]["value"]


@dataclass
class People:
    """A customer and an agent, each with a browser."""

    desk: Desk
    clock: ManualClock
    pages: FastAPI
    client: TestClient

    def opens(self, subject: str = "The export stops", words: str = "After 10,000 rows.") -> str:
        form = {"email": "ada@example.org", "subject": subject, "text": words}
        answer = self.client.post("/cases", data=form)
        assert answer.status_code == 303
        return answer.headers["location"].rpartition("/")[2]

    def sees(self, role: str, case_id: str) -> Page:
        answer = self.client.get(f"/{PATHS[role]}/{case_id}")
        assert answer.status_code == 200
        return Page(answer)

    def sends(self, role: str, case_id: str, event: str, **given: str) -> Response:
        """What the form of a page that is open now sends."""
        form = {"event": event, "revision": self.sees(role, case_id).revision}
        form |= {
            f"{event}.{name}" if name in ("sub_status", "assignee") else name: each
            for name, each in given.items()
        }
        return self.client.post(f"/{PATHS[role]}/{case_id}", data=form)

    def does(self, role: str, case_id: str, event: str, **given: str) -> str:
        """The same, and it is accepted; where that leads."""
        answer = self.sends(role, case_id, event, **given)
        assert answer.status_code == 303, Page(answer).text
        location: str = answer.headers["location"]
        return location

    def outbox(self) -> list[Letter]:
        with Session(self.desk.engine) as session:
            letters = list(session.scalars(select(Letter).order_by(Letter.written_at)))
            session.expunge_all()
        return letters

    def stored(self) -> dict[str, list[tuple[object, ...]]]:
        """Everything that the database holds."""
        with self.desk.engine.connect() as connection:
            return {
                table.name: [
                    tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))
                ]
                for table in Base.metadata.sorted_tables
            }


def empty() -> Engine:
    """An empty database for one desk: in memory, or a schema where ``DESK_TEST_DATABASE`` says."""
    url = os.environ.get("DESK_TEST_DATABASE")
    if url is None:
        return connect("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    schema = f"desk_{uuid4().hex}"
    outside = create_engine(url)
    with outside.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    outside.dispose()
    return connect(url, connect_args={"options": f"-c search_path={schema}"})


@pytest.fixture
def people_of() -> Iterator[Callable[..., People]]:
    """Makes a desk for a policy, and people at it."""
    made: list[People] = []

    def make(policy: str | Policy, engine: Engine | None = None) -> People:
        clock = ManualClock(MONDAY)
        loaded = load_policy(policy) if isinstance(policy, str) else policy
        desk = Desk(engine or empty(), Workflow(loaded, clock), url="https://desk.example")
        pages = create_app(desk)
        client = TestClient(pages, follow_redirects=False)
        client.__enter__()
        made.append(People(desk, clock, pages, client))
        return made[-1]

    yield make
    for each in made:
        each.client.__exit__()
        each.desk.engine.dispose()


@pytest.fixture
def people(people_of: Callable[..., People]) -> People:
    """People at a desk that goes by open-resolved."""
    return people_of("open-resolved")


@pytest.fixture
def waiting(people_of: Callable[..., People]) -> People:
    """People at a desk that goes by sub-status."""
    return people_of("sub-status")


# --- conformance ------------------------------------------------------------------


def story_of(policy: str, examples: int) -> type[TestCase]:
    loaded = load_policy(policy)
    return conformance(loaded, lambda: OverHttp(empty(), loaded), examples=examples, seed=2026)


@pytest.mark.parametrize(
    "examples", [pytest.param(8, id="few"), pytest.param(100, id="many", marks=pytest.mark.heavy)]
)
@pytest.mark.parametrize("policy", ["open-resolved", "sub-status"])
def test_the_desk_does_what_the_policy_says(policy: str, examples: int) -> None:
    story_of(policy, examples)("test_it_does_what_the_policy_says").debug()


def test_a_desk_whose_mail_provider_knows_no_keys_is_found_out() -> None:
    class SendsTwice(OverHttp):
        def receive(self, letter: Letter) -> None:
            self.mailbox[f"{len(self.mailbox)}"] = (letter.case_id, letter.timer)

    loaded = load_policy("sub-status")
    test = conformance(loaded, lambda: SendsTwice(empty(), loaded), examples=60, seed=2026)
    with pytest.raises(AssertionError, match=r"your desk:  has sent .*, 2 times"):
        test("test_it_does_what_the_policy_says").debug()


# --- the customer -----------------------------------------------------------------


def test_a_new_case_says_its_status_its_meaning_and_what_is_asked_of_the_customer(people: People) -> None:
    page = people.sees("customer", people.opens())
    assert page.state == "new"
    assert "The case has been received and is not yet assigned." in page.text
    assert "Action required: None: wait for the assignment." in page.text
    assert "closes" not in page.text


def test_a_case_that_waits_for_the_customer_says_when_it_closes(people: People) -> None:
    case_id = people.opens()
    people.does("agent", case_id, "assign", assignee="mira")
    people.does("agent", case_id, "ask", text="Which version?")
    page = people.sees("customer", case_id)
    assert "This case closes on 16 March 2026, 09:00 UTC unless you reply." in page.text
    assert "Which version?" in page.text
    assert (
        "This case closes on 16 March 2026, 09:00 UTC unless the customer replies."
        in people.sees("agent", case_id).text
    )


def test_a_closure_whose_time_is_up_is_said_to_be_near(people: People) -> None:
    case_id = people.opens()
    people.does("customer", case_id, "resolve")
    people.clock.advance(days=7)
    page = people.sees("customer", case_id)
    assert (
        "about to be closed: its time was up on 9 March 2026, 09:00 UTC. Reply now to keep it open."
        in page.text
    )


def test_a_reply_that_would_change_nothing_is_not_said_to_keep_a_case_open(
    people_of: Callable[..., People],
) -> None:
    stubborn = load_policy("open-resolved").override(
        {"timers": {"close_new": {"in": ["new"], "after": {"days": 3}, "to": "closed"}}}
    )
    people = people_of(stubborn)
    page = people.sees("customer", people.opens())
    assert "This case closes on 5 March 2026, 09:00 UTC." in page.text


def test_instants_are_told_in_the_zone_of_the_policy(people_of: Callable[..., People]) -> None:
    people = people_of(load_policy("open-resolved").override({"calendar": {"zone": "Asia/Kolkata"}}))
    assert "opened on 2 March 2026, 14:30 IST" in people.sees("customer", people.opens()).text


def test_a_reply_leads_back_to_where_the_question_came_from(people: People) -> None:
    case_id = people.opens()
    people.does("agent", case_id, "assign", assignee="mira")
    people.does("agent", case_id, "start")
    people.does("agent", case_id, "ask", text="Which version?")
    people.does("customer", case_id, "comment", text="7.1")
    page = people.sees("agent", case_id)
    assert page.state == "in_progress"
    assert "7.1" in page.text


def test_a_closed_case_is_reopened_where_the_policy_says_so(people: People) -> None:
    case_id = people.opens()
    people.does("customer", case_id, "close", text="Found it.")
    assert people.sees("customer", case_id).events == {"comment", "reopen"}
    people.does("customer", case_id, "reopen", text="Not so.")
    page = people.sees("customer", case_id)
    assert page.state == "new"
    assert "Found it." in page.text


def test_a_case_that_is_closed_for_good_offers_a_linked_one(waiting: People) -> None:
    case_id = waiting.opens(words="The first time.")
    waiting.does("agent", case_id, "close")
    assert waiting.sees("customer", case_id).events == {"clone"}
    location = waiting.does("customer", case_id, "clone", text="It is back.")
    clone_id = location.rpartition("/")[2]
    assert location == f"/cases/{clone_id}"
    clone, original = waiting.sees("customer", clone_id), waiting.sees("customer", case_id)
    assert clone.state == "new"
    assert "It is back." in clone.text
    assert clone.all("a", href=f"/cases/{case_id}")
    assert original.all("a", href=f"/cases/{clone_id}")
    assert original.state == "closed"
    third = waiting.does("agent", case_id, "clone")
    assert third.startswith("/agent/cases/")
    assert "The first time." in waiting.sees("agent", third.rpartition("/")[2]).text


def test_customers_do_not_see_internal_notes(people: People) -> None:
    case_id = people.opens()
    people.does("agent", case_id, "note", text="He has asked this before.")
    assert "He has asked" in people.sees("agent", case_id).text
    assert "He has asked" not in people.sees("customer", case_id).text


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"email": "nobody"}, "Give an e-mail address"),
        ({"email": "a@b\nBcc: x@y"}, "Give an e-mail address"),
        ({"subject": " \n "}, "a subject"),
        ({"text": "\0"}, "what has happened"),
        ({"text": "x" * 20_001}, "too long: at most 20000"),
        ({"subject": "x" * 201}, "The subject is too long"),
    ],
)
def test_a_case_that_lacks_something_is_not_opened_and_nothing_typed_is_lost(
    people: People, given: dict[str, str], problem: str
) -> None:
    before = people.stored()
    form = {"email": "ada@example.org", "subject": "Kept", "text": "This as well."} | given
    answer = people.client.post("/cases", data=form)
    page = Page(answer)
    assert answer.status_code == 422
    assert problem in page.text
    assert people.stored() == before
    if "subject" not in given:
        assert page.all("input", name="subject", value="Kept")
    if "text" not in given:
        assert "This as well." in page.text


# --- what is possible -----------------------------------------------------------------


def test_pages_offer_what_the_workflow_allows_and_nothing_else(people: People, waiting: People) -> None:
    opened = people.opens()
    steps: list[tuple[str, str, dict[str, str]]] = [
        ("agent", "assign", {"assignee": "mira"}),
        ("agent", "start", {}),
        ("agent", "ask", {"text": "Which?"}),
        ("agent", "resume", {}),
        ("agent", "resolve", {}),
        ("customer", "confirm", {}),
        ("agent", "reopen", {}),
    ]
    other = waiting.opens()
    further: list[tuple[str, str, dict[str, str]]] = [
        ("agent", "pend", {"sub_status": "development"}),
        ("agent", "pend", {"sub_status": "customer_input"}),
        ("customer", "comment", {"text": "7.1"}),
        ("agent", "respond", {}),
        ("customer", "comment", {"text": "No."}),
        ("agent", "start", {}),
        ("agent", "close", {}),
    ]
    seen = set()
    for desk, case_id, story in ((people, opened, steps), (waiting, other, further)):
        for role, event, given in story:
            desk.does(role, case_id, event, **given)
            with desk.desk.reading() as session:
                case = desk.desk.find(session, case_id).case(history=True)
            for looker in ("customer", "agent"):
                page = desk.sees(looker, case_id)
                assert page.events == set(desk.desk.workflow.allowed(case, by=looker))
                assert page.state == case.state
            seen.add((case.policy, case.state))
    assert len(seen) == 5 + 7


def test_a_sub_status_is_chosen_where_the_row_needs_one(waiting: People) -> None:
    case_id = waiting.opens()
    assert waiting.sees("agent", case_id).options == {
        "pend.sub_status": list(waiting.desk.workflow.policy.statuses["pending"].sub_statuses)
    }
    assert "→ Pending" not in waiting.sees("agent", case_id).text  # where to is not known yet
    assert "Start work → In Progress" in waiting.sees("agent", case_id).text
    waiting.does("agent", case_id, "pend", sub_status="third_party_provider")
    page = waiting.sees("customer", case_id)
    assert page.state == "pending.third_party_provider"
    assert "Pending: Third Party Provider" in page.text
    assert page.options == {}


def test_an_assignee_is_asked_for_where_the_row_needs_one(people: People) -> None:
    case_id = people.opens()
    assert people.client.post("/agent/name", data={"name": "Mira S."}).status_code == 303
    assert people.sees("agent", case_id).all("input", name="assign.assignee", value="miras.")
    people.does("agent", case_id, "assign", assignee="  Jo \n March ")
    page = people.sees("agent", case_id)
    assert "assigned to Jo March" in page.text
    assert "Agent, miras. on 2 March 2026, 09:00 UTC: Assign: New → Open (Jo March)" in page.text
    people.client.post("/agent/name", data={"name": "?"})
    assert "agent" not in people.client.cookies


@pytest.mark.parametrize(
    ("role", "event", "given", "problem"),
    [
        ("customer", "confirm", {}, "“Yes, it is solved” is not possible while the case is “New”."),
        ("customer", "assign", {"assignee": "me"}, "“Assign” is not possible"),
        ("agent", "close", {}, "“Close” is not possible"),
        ("agent", "assign", {}, "Say who the case is assigned to"),
        ("agent", "resolve", {"assignee": "mira"}, "only there"),
        ("agent", "resolve", {"sub_status": "later"}, "Choose what the case waits for"),
        ("agent", "explode", {}, "There is no such action."),
        ("agent", "clone", {}, "There is no such action."),
        ("agent", "", {}, "Choose what is to happen."),
        ("agent", "note", {"text": " \0 "}, "Write something first."),
        ("customer", "comment", {}, "Write something first."),
        ("customer", "comment", {"text": "x" * 20_001}, "too long"),
        ("agent", "assign", {"assignee": "x" * 201}, "The name is too long"),
        ("agent", "resolve", {"revision": ""}, "load the page again"),
        ("agent", "resolve", {"revision": "\N{FULLWIDTH DIGIT ONE}"}, "load the page again"),
    ],
)
def test_what_is_not_possible_is_refused_with_what_is(
    people: People, role: str, event: str, given: dict[str, str], problem: str
) -> None:
    case_id = people.opens()
    before = people.stored()
    answer = people.sends(
        role, case_id, event, **{"text": "Kept.", **given} if event in ("confirm", "close") else given
    )
    page = Page(answer)
    assert answer.status_code == 422
    assert "Nothing has been stored." in page.text
    assert problem in page.text
    assert "Possible now: " in page.text
    assert page.events == people.sees(role, case_id).events
    assert people.stored() == before
    if event in ("confirm", "close"):
        assert "Kept." in page.text


def test_a_sub_status_that_the_policy_does_not_have_is_refused(waiting: People) -> None:
    case_id = waiting.opens()
    before = waiting.stored()
    for given in ({"sub_status": "nowhere"}, {}):
        answer = waiting.sends("agent", case_id, "pend", **given)
        assert answer.status_code == 422
        assert "Choose what the case waits for" in Page(answer).text
    assert waiting.stored() == before


def test_a_page_that_is_out_of_date_is_refused_and_what_was_typed_is_kept(people: People) -> None:
    case_id = people.opens()
    stale = people.sees("customer", case_id).revision
    people.does("agent", case_id, "assign", assignee="mira")
    before = people.stored()
    form = {"event": "comment", "revision": stale, "text": "One thing more."}
    answer = people.client.post(f"/cases/{case_id}", data=form)
    page = Page(answer)
    assert answer.status_code == 409
    assert "The case has changed since you opened this page." in page.text
    assert people.stored() == before
    assert page.state == "open"
    assert "One thing more." in page.text
    again = people.client.post(f"/cases/{case_id}", data=form | {"revision": page.revision})
    assert again.status_code == 303


def test_a_page_is_called_out_of_date_also_if_what_it_offered_is_not_possible_any_more(
    people: People,
) -> None:
    case_id = people.opens()
    people.does("customer", case_id, "resolve")
    form = {"event": "confirm", "revision": people.sees("customer", case_id).revision}
    people.clock.advance(days=7)
    people.desk.sweep()
    answer = people.client.post(f"/cases/{case_id}", data=form)
    assert answer.status_code == 409
    assert Page(answer).events == {"comment", "reopen"}


def test_of_several_who_press_at_once_one_is_first(people_of: Callable[..., People], tmp_path: Path) -> None:
    file = None if "DESK_TEST_DATABASE" in os.environ else connect(f"sqlite:///{tmp_path / 'desk.sqlite3'}")
    people = people_of("open-resolved", file)
    case_id = people.opens()
    form = {"event": "comment", "revision": "1", "text": "Me first."}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: people.client.post(f"/cases/{case_id}", data=form), range(8)))
    assert sorted(answer.status_code for answer in answers) == [303, *[409] * 7]
    with Session(people.desk.engine) as session:
        assert session.scalar(select(func.count()).select_from(Entry)) == 1


@pytest.mark.parametrize(
    "case_id", ["C-2222222222", "C-1%00", "%ff", "..%2f..%2fetc%2fpasswd", "C-" + "x" * 5000]
)
def test_an_id_that_nobody_has_is_not_found(people: People, case_id: str) -> None:
    for path in ("/cases/", "/agent/cases/"):
        form = {"event": "comment", "text": "Hello?", "revision": "1"}
        for answer in (people.client.get(path + case_id), people.client.post(path + case_id, data=form)):
            assert answer.status_code == 404
            assert Page(answer).all("html", lang="en")
    assert people.client.get("/nothing/here").status_code == 404


def test_what_the_framework_refuses_is_a_page_as_well(people: People) -> None:
    answers = (
        people.client.put("/cases"),
        people.client.post("/cases", content=b"x", headers={"content-type": "multipart/form-data"}),
    )
    assert [answer.status_code for answer in answers] == [405, 400]
    assert all("Nothing has been stored." in Page(answer).text for answer in answers)


def test_what_people_write_is_text_and_nothing_else(people: People) -> None:
    bad = '<script>alert(1)</script> & "quotes" \' {{ 7 * 7 }}'
    case_id = people.opens(subject=bad, words=bad)
    people.does("agent", case_id, "assign", assignee=bad)
    people.does("agent", case_id, "note", text="</textarea>" + bad)
    refused = people.sends("agent", case_id, "close", text="</textarea>" + bad)
    pages = [
        Page(people.client.get("/agent")),
        *(people.sees(role, case_id) for role in PATHS),
        Page(refused),
    ]
    for page in pages:
        assert not page.all("script")
        assert bad in page.text
    answer = people.client.get(f"/cases/{case_id}")
    assert answer.headers["content-security-policy"] == "default-src 'self'; frame-ancestors 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_every_page_can_be_read_and_filled_in_without_seeing_it(people: People, waiting: People) -> None:
    case_id = people.opens()
    other = waiting.opens()
    waiting.does("agent", other, "pend", sub_status="customer_input")
    pages = [Page(people.client.get(path)) for path in ("/", "/agent", "/agent?closed=true", "/nothing")]
    pages += [desk.sees(role, each) for desk, each in ((people, case_id), (waiting, other)) for role in PATHS]
    for page in pages:
        assert page.all("html", lang="en")
        assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        labelled = {each["for"] for each in page.all("label")}
        fields = [each for tag in ("input", "textarea", "select") for each in page.all(tag)]
        assert labelled == {each["id"] for each in fields if each.get("type") != "hidden"}
        named = {each["aria-labelledby"] for each in page.all("section")}
        assert named <= set(ids)
        assert not page.all("script")
        assert not any(
            name.startswith("on") or name == "style" for _, attributes in page.tags for name in attributes
        )


# --- the agent ------------------------------------------------------------------------


def test_the_list_stands_in_order_of_who_is_waited_for(people: People) -> None:
    asked, closed, new = people.opens("Asked"), people.opens("Done"), people.opens("Fresh")
    people.does("agent", asked, "assign", assignee="mira")
    people.does("agent", asked, "ask", text="Which?")
    people.does("customer", closed, "close")
    text = Page(people.client.get("/agent")).text
    support, customer = text.index("Waiting for support (1)"), text.index("Waiting for the customer (1)")
    assert support < text.index(new) < customer < text.index(asked)
    assert "closes on 16 March 2026, 09:00 UTC" in text
    assert closed not in text
    shut = Page(people.client.get("/agent?closed=true")).text
    assert closed in shut
    assert asked not in shut


def test_a_long_list_says_that_there_is_more(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MOST_LISTED", 2)
    for number, more in ((1, False), (2, False), (3, True)):
        people.opens()
        page = Page(people.client.get("/agent"))
        assert len([each for each in page.all("a") if "/cases/" in each["href"]]) == min(number, 2)
        assert ("There are more; these are the first." in page.text) == more


def test_the_agent_sees_what_happens_if_nobody_does_anything(waiting: People) -> None:
    case_id = waiting.opens()
    assert "Nothing happens by itself." in waiting.sees("agent", case_id).text
    waiting.does("agent", case_id, "pend", sub_status="customer_input")
    assert (
        "9 March 2026, 09:00 UTC: a reminder to the customer (remind_customer) "
        "30 March 2026, 09:00 UTC: the case closes (close_pending) "
        "31 March 2026, 09:00 UTC: a message to the customer (notify_closed)"
    ) in waiting.sees("agent", case_id).text


# --- time ---------------------------------------------------------------------------------


def test_a_letter_says_what_is_asked_and_until_when(people: People) -> None:
    case_id = people.opens()
    people.does("agent", case_id, "assign", assignee="mira")
    people.does("agent", case_id, "ask", text="Which version?\nAnd since when?")
    people.does("agent", case_id, "note", text="Secret.")
    [action] = people.desk.sweep()
    assert people.desk.sweep() == []
    [letter] = people.outbox()
    assert (letter.key, letter.recipient) == (action.key, "ada@example.org")
    assert letter.subject == f"The export stops [{case_id}]"
    assert letter.text == (
        f"Case {case_id}, “The export stops”: Pending Customer\n\n"
        "The engineer needs more information from you.\n\n"
        "> Which version?\n> And since when?\n\n"
        "Yes: reply, so that work can go on.\n\n"
        "The case closes on 16 March 2026, 09:00 UTC unless you reply.\n\n"
        f"https://desk.example/cases/{case_id}\n"
    )


def test_support_is_written_to_as_well(waiting: People) -> None:
    case_id = waiting.opens()
    waiting.does("agent", case_id, "pend", sub_status="customer_input", text="Which version?")
    waiting.clock.advance(days=7)
    waiting.desk.sweep()
    waiting.does("customer", case_id, "comment", text="7.1")
    waiting.desk.sweep()
    reminder, news = waiting.outbox()
    assert reminder.subject.startswith("Reminder: ")
    assert "> Which version?" in reminder.text
    assert news.recipient == "support@desk.example"
    assert "> 7.1" in news.text
    assert news.text.endswith(f"https://desk.example/agent/cases/{case_id}\n")
    with waiting.desk.reading() as session:
        case = waiting.desk.find(session, case_id).case(history=True)
    assert [change.event for change in case.history] == [
        "pend",
        "remind_customer",
        "comment",
        "notify_update_received",
    ]
    assert_history_is_legal(case, policy=waiting.desk.workflow.policy)


def test_a_reply_keeps_a_case_open_and_silence_closes_it(people: People) -> None:
    replied, silent = people.opens(), people.opens()
    for case_id in (replied, silent):
        people.does("agent", case_id, "assign", assignee="mira")
        people.does("agent", case_id, "ask", text="Which version?")
    people.desk.sweep()
    people.clock.advance(days=14)
    people.does("customer", replied, "comment", text="7.1")
    assert [action.timer for action in people.desk.sweep()] == ["close_pending"]
    assert people.sees("customer", replied).state == "open"
    assert people.sees("customer", silent).state == "closed"
    assert "By itself on 16 March 2026, 09:00 UTC: now Closed" in people.sees("customer", silent).text


def test_what_a_sweep_settles_is_stored_whole_or_not_at_all(people: People) -> None:
    case_id = people.opens()
    people.does("agent", case_id, "assign", assignee="mira")
    people.does("agent", case_id, "ask", text="Which version?")
    key = f"{case_id}:3:notify_pending"
    with Session(people.desk.engine) as session, session.begin():  # so the letter cannot be written
        session.add(
            Letter(key=key, case_id=case_id, timer="", recipient="", subject="", text="", written_at=MONDAY)
        )
    before = people.stored()
    errors: list[tuple[object, Exception]] = []
    assert people.desk.sweep(on_error=lambda case_id, error: errors.append((case_id, error))) == []
    assert people.stored() == before
    assert [case for case, _ in errors] == [case_id]
    with people.desk.engine.begin() as connection:
        connection.execute(delete(Letter))
    assert [action.timer for action in people.desk.sweep()] == ["notify_pending"]


def test_at_most_so_many_cases_are_settled_in_a_pass(people: People) -> None:
    for _ in range(3):
        people.does("customer", people.opens(), "resolve")
    people.clock.advance(days=7)
    assert [len(people.desk.sweep(limit=2)) for _ in range(3)] == [2, 1, 0]


def test_a_clock_that_is_behind_makes_nothing_impossible(people: People) -> None:
    case_id = people.opens()
    people.clock.advance(seconds=2)
    people.does("customer", case_id, "resolve")
    behind = Desk(people.desk.engine, Workflow(people.desk.workflow.policy, ManualClock(MONDAY)))
    behind.change(case_id, "comment", by="customer", revision=2, text="It is back.")
    with behind.reading() as session:
        case = behind.find(session, case_id).case(history=True)
    assert case.changed_at == MONDAY + timedelta(seconds=2)


def test_the_sweep_is_a_search_of_the_index(people: People) -> None:
    statement = select(CaseRow.id).where(due_where(people.desk.workflow, CaseRow, now=MONDAY))
    compiled = statement.compile(people.desk.engine, compile_kwargs={"literal_binds": True})
    with people.desk.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]
        else:
            connection.exec_driver_sql("SET enable_seqscan = off")  # the table is empty
            plan = [line for (line,) in connection.exec_driver_sql(f"EXPLAIN {compiled}")]
    told = "\n".join(plan)
    assert re.search("settled.*entered_at ?<", told)
    assert re.search("INDEX sweep|on sweep|using sweep", told)
    assert not re.search("SCAN cases|Seq Scan", told)


def test_letters_are_files_one_for_each_key_however_often_they_are_sent(
    people: People, tmp_path: Path
) -> None:
    case_id = people.opens(subject="Größe <7> falsch")
    people.does("agent", case_id, "assign", assignee="mira")
    people.does("agent", case_id, "ask", text="Welche Größe?")
    people.desk.sweep()
    folder = Folder(tmp_path / "outbox")

    def dies(letter: Letter) -> None:
        folder.send(letter)
        raise ConnectionError("no power")

    engine, workflow = people.desk.engine, people.desk.workflow
    with pytest.raises(ConnectionError):
        deliver(engine, workflow, dies)
    [file] = folder.path.iterdir()
    first = file.read_bytes()
    assert deliver(engine, workflow, folder.send) == [f"{case_id}:3:notify_pending"]
    assert deliver(engine, workflow, folder.send) == []
    assert [each.read_bytes() for each in folder.path.iterdir()] == [first]
    message = message_from_bytes(first, policy=mail_policy.default)
    assert message["Subject"] == f"Größe <7> falsch [{case_id}]"
    assert message["To"] == "ada@example.org"
    assert message["Message-ID"] == f"<{case_id}.3.notify_pending@desk.example>"
    assert "> Welche Größe?" in message.get_content()
    assert people.outbox()[0].sent_at == MONDAY


# --- what should not happen ------------------------------------------------------------


def test_the_history_only_grows(people: People) -> None:
    case_id = people.opens()
    people.does("agent", case_id, "note", text="It was so.")
    with Session(people.desk.engine) as session:
        entry = session.scalars(select(Entry)).one()
        entry.text = "It was not so."
        with pytest.raises(HistoryOnlyGrowsError, match="stays as it is"):
            session.flush()
        session.rollback()
        session.delete(entry)
        with pytest.raises(HistoryOnlyGrowsError, match="stays as it is"):
            session.flush()


def test_a_case_that_the_policy_does_not_know_is_shown_and_reported_and_in_nobodys_way(
    people: People,
) -> None:
    lost, foreign, due = (people.opens() for _ in range(3))
    people.does("customer", due, "resolve")
    with people.desk.engine.begin() as connection:
        connection.execute(update(CaseRow).where(CaseRow.id == lost).values(status="opne"))
        connection.execute(update(CaseRow).where(CaseRow.id == foreign).values(policy="sub-status"))
    people.clock.advance(days=7)
    assert sorted(people.desk.rejected()) == sorted([lost, foreign])
    assert [action.case_id for action in people.desk.sweep()] == [due]
    assert "a policy that knows where it stands (2)" in Page(people.client.get("/agent")).text
    for case_id in (lost, foreign):
        for role in PATHS:
            page = people.sees(role, case_id)
            assert page.events == set()
            assert "Nothing can be done with this case for now" in page.text
        form = {"event": "resolve", "revision": "1"}
        assert people.client.post(f"/cases/{case_id}", data=form).status_code == 422


def test_cases_are_brought_under_a_new_policy_all_of_them_or_none(people: People) -> None:
    kept, moved = people.opens(), people.opens()
    people.does("customer", kept, "resolve")
    people.does("agent", moved, "assign", assignee="mira")
    people.does("agent", moved, "ask", text="Which?")
    table = people.desk.workflow.policy.to_dict() | {"name": "open-resolved-2"}
    shorter = Policy.from_dict(table).override({"timers": {"close_resolved": {"after": {"days": 2}}}})
    new = Desk(people.desk.engine, Workflow(shorter, people.clock))
    people.clock.advance(days=1)
    new.migrate(people.desk.workflow)
    assert new.rejected() == []
    with new.reading() as session:
        cases = {case_id: new.find(session, case_id).case(history=True) for case_id in (kept, moved)}
    assert {case.policy for case in cases.values()} == {"open-resolved-2"}
    assert cases[kept].entered_at == MONDAY + timedelta(days=1)  # not sooner than two days from now
    assert cases[moved].entered_at == MONDAY
    assert all(case.history[-1].event == "migrate" for case in cases.values())
    before = people.stored()
    with Session(new.engine) as session, session.begin():
        session.execute(update(CaseRow).where(CaseRow.id == moved).values(status="opne"))
    after = people.stored()
    with pytest.raises(LookupError):
        people.desk.migrate(new.workflow)
    assert people.stored() == after != before


def test_a_row_that_is_no_case_is_named_and_in_nobodys_way(people: People) -> None:
    bad, good = people.opens("Bad"), people.opens("Good")
    with people.desk.engine.begin() as connection:
        connection.execute(update(CaseRow).where(CaseRow.id == bad).values(stay=0))
    listed = Page(people.client.get("/agent")).text
    assert "Waiting for support (1) Good" in listed
    assert "a policy that knows where it stands (1) Bad" in listed
    before = people.stored()
    form = {"event": "note", "text": "x", "revision": "1"}
    for answer in (
        people.client.get(f"/agent/cases/{bad}"),
        people.client.post(f"/agent/cases/{bad}", data=form),
    ):
        assert answer.status_code == 500
        assert f"case '{bad}': stay: must be a whole number from 1 on, not 0" in Page(answer).text
    assert people.stored() == before
    assert people.sees("customer", good).state == "new"


def test_a_database_that_is_away_is_said_to_be_away(people: People, tmp_path: Path) -> None:
    case_id = people.opens()
    away = create_engine(f"sqlite:///{tmp_path / 'nowhere' / 'desk.sqlite3'}")
    people.pages.state.desk = Desk(away, people.desk.workflow)
    form = {"event": "comment", "text": "Hello?", "revision": "1"}
    answers = [people.client.get(path) for path in ("/agent", f"/cases/{case_id}")]
    answers.append(people.client.post(f"/cases/{case_id}", data=form))
    away.dispose()
    for answer in answers:
        assert answer.status_code == 503
        assert "Nothing has been stored; try again" in Page(answer).text


def test_pages_need_the_two_roles_that_they_are_for() -> None:
    table = load_policy("open-resolved").to_dict()
    renamed = Policy.from_dict(
        table
        | {
            "roles": ["customer", "engineer", "system"],
            "transitions": [{"event": "close", "by": ["customer"], "from": ["*open"], "to": "closed"}],
        }
    )
    engine = empty()
    with pytest.raises(ValueError, match="open-resolved lacks agent"):
        create_app(Desk(engine, Workflow(renamed)))
    engine.dispose()


def test_ids_are_not_to_be_guessed() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(ID.fullmatch(each) for each in ids)


# --- as programs --------------------------------------------------------------------------


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return os.environ | {"DESK_DATABASE": f"sqlite:///{tmp_path / 'desk.sqlite3'}"} | more


def sweeper(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fastapi_desk.sweeper", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=HERE, env=env)


def test_the_app_of_the_environment_is_a_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(tmp_path, DESK_POLICY="sub-status").items():
        monkeypatch.setenv(name, value)
    with TestClient(from_environment()) as client:
        case_id = str(
            client.post("/cases", data={"email": "a@b.example", "subject": "x", "text": "y"}).url
        ).rpartition("/")[2]
        assert "nobody has begun to work on it" in client.get(f"/cases/{case_id}").text
        linked = [each["href"] for each in Page(client.get("/")).all("link")]
        assert [client.get(path).status_code for path in linked] == [200, 200]


def test_the_sweeper_settles_and_sends_in_one_pass(tmp_path: Path) -> None:
    env = environment(tmp_path)
    engine = connect(env["DESK_DATABASE"])
    desk = Desk(engine, Workflow(load_policy("open-resolved"), ManualClock(MONDAY)))
    first, second = (desk.open(email="ada@example.org", subject="x", text="y") for _ in range(2))
    desk.change(first, "resolve", by="customer", revision=1)
    desk.change(second, "assign", by="agent", assignee="mira", revision=1)
    desk.change(second, "ask", by="agent", revision=2, text="Which?")
    engine.dispose()
    pass_ = sweeper("--once", "--now", "2026-03-09T09:00:00Z", "--mail-to", str(tmp_path / "outbox"), env=env)
    assert pass_.returncode == 0, pass_.stderr
    assert sorted(pass_.stdout.splitlines()) == sorted(
        [
            f"settled: {second}:3:notify_pending",
            f"settled: {first}:2:close_resolved",
            f"sent: {second}:3:notify_pending",
        ]
    )
    assert [file.name for file in (tmp_path / "outbox").iterdir()] == [f"{second}_3_notify_pending.eml"]
    again = sweeper("--once", "--now", "2026-03-09T09:00:00Z", "--mail-to", str(tmp_path / "outbox"), env=env)
    assert (again.returncode, again.stdout) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "env", "problem"),
    [
        (["--once", "--now", "yesterday"], {}, "--now"),
        (["--every", "60", "--now", "2026-03-09T09:00:00Z"], {}, "--now stands with --once"),
        (["--every", "0"], {}, "more than 0"),
        (["--once", "--limit", "0"], {}, "at least 1"),
        (["--once"], {"DESK_DATABASE": "sqlite:////nowhere/at/all"}, "unable to open database file"),
        (["--once"], {"DESK_POLICY": "sub-statsu"}, "did you mean 'sub-status'?"),
        ([], {}, "required"),
    ],
)
def test_a_sweeper_that_cannot_begin_says_why(
    tmp_path: Path, arguments: list[str], env: dict[str, str], problem: str
) -> None:
    done = sweeper(*arguments, env=environment(tmp_path, **env))
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sweeper_names_what_it_could_not_settle(tmp_path: Path) -> None:
    env = environment(tmp_path)
    engine = connect(env["DESK_DATABASE"])
    desk = Desk(engine, Workflow(load_policy("open-resolved"), ManualClock(MONDAY)))
    bad, lost = (desk.open(email="ada@example.org", subject="x", text="y") for _ in range(2))
    desk.change(bad, "resolve", by="customer", revision=1)
    with engine.begin() as connection:
        connection.execute(update(CaseRow).where(CaseRow.id == bad).values(stay=0))
        connection.execute(update(CaseRow).where(CaseRow.id == lost).values(status="opne"))
    engine.dispose()
    done = sweeper("--once", "--now", "2026-03-09T09:00:00Z", env=env)
    assert done.returncode == 1
    assert f"case {bad}: case '{bad}': stay: must be a whole number from 1 on" in done.stderr
    assert f"case {lost}: the policy does not know where it stands" in done.stderr


def test_a_sweeper_ends_when_it_is_told_to(tmp_path: Path) -> None:
    env = environment(tmp_path)
    engine = connect(env["DESK_DATABASE"])
    desk = Desk(engine, Workflow(load_policy("open-resolved"), ManualClock(MONDAY)))
    case_id = desk.open(email="ada@example.org", subject="x", text="y")
    desk.change(case_id, "resolve", by="customer", revision=1)
    engine.dispose()
    command = [sys.executable, "-m", "fastapi_desk.sweeper", "--every", "3600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE, env=env) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == f"settled: {case_id}:2:close_resolved\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=30) == 0
