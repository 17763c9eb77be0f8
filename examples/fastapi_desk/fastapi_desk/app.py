"""The pages: one for the customer, one for the agent. `create_app` makes them for any desk.

Who may see which page is the business of whoever puts a login in front; there is none here.
"""

import logging
import re

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.exc import OperationalError, TimeoutError  # noqa: A004 - the pool's
from starlette.exceptions import HTTPException

from casestate import CaseDataError, CasestateError
from casestate.clock import format_instant
from casestate.sql import CaseChanged
from fastapi_desk import settings
from fastapi_desk.cases import Desk, NoSuchCaseError
from fastapi_desk.models import CaseRow
from fastapi_desk.views import (
    PRIVATE,
    SPOKEN,
    choices,
    closing,
    foreseen,
    happened,
    label,
    people,
    told,
    why_not,
)


HERE = Path(__file__).parent
LOG = logging.getLogger(__name__)
ROLES = {"cases": "customer", "agent/cases": "agent"}
"""Whose page stands where."""
MOST_TEXT = 20_000
MOST_LINE = 200
MOST_LISTED = 200
ADDRESS = re.compile(r"[^@\s\"(),:;<>\[\\\]]+@[^@\s\"(),:;<>\[\\\]]+")


class BadFormError(ValueError):
    """What is wrong with what was filled in."""


def need(truth: object, otherwise: str) -> None:
    """Refuse the form unless this is so."""
    if not truth:
        raise BadFormError(otherwise)


class Form:
    """What was sent, as text: whatever is absent or no text is empty."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self.fields = {name: value for name, value in fields.items() if isinstance(value, str)}

    def text(self, name: str) -> str:
        """Text of many lines. Databases keep no NUL."""
        text = self.fields.get(name, "").replace("\0", "").replace("\r\n", "\n").strip()
        need(len(text) <= MOST_TEXT, f"The text is too long: at most {MOST_TEXT} characters.")
        return text

    def line(self, name: str, what: str) -> str:
        """Text of one line."""
        line = " ".join(self.text(name).split())
        need(len(line) <= MOST_LINE, f"{what} is too long: at most {MOST_LINE} characters.")
        return line


async def form_of(request: Request) -> Form:
    """What a form has sent."""
    return Form(dict(await request.form()))


def desk_of(request: Request) -> Desk:
    """The desk of this app."""
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(desk_of)]
TheForm = Annotated[Form, Depends(form_of)]
router = APIRouter()


def plain(name: str) -> str:
    """A name that a cookie can hold."""
    return re.sub(r"[^a-z0-9._-]", "", name.lower())[:40]


def agent_of(request: Request) -> str | None:
    """Who says that they are at the desk: no login, a name for the history."""
    return plain(request.cookies.get("agent", "")) or None


def page(request: Request, template: str, status: int = 200, **context: object) -> Response:
    """A page of a template."""
    templates: Jinja2Templates = request.app.state.templates
    context["agent"] = agent_of(request)
    return templates.TemplateResponse(request, template, context, status_code=status)


# --- a new case ----------------------------------------------------------------


@router.get("/")
def home(request: Request) -> Response:
    """Where customers begin."""
    return page(request, "home.html", form={})


@router.post("/cases")
def open_case(request: Request, desk: TheDesk, form: TheForm) -> Response:
    """Begin a case."""
    try:
        email, subject = form.line("email", "The address"), form.line("subject", "The subject")
        text = form.text("text")
        need(
            ADDRESS.fullmatch(email),
            "Give an e-mail address, such as name@example.org, so that we can answer.",
        )
        need(subject and text, "Say what it is about: a subject, and what has happened.")
    except BadFormError as error:
        return page(request, "home.html", 422, form=form.fields, problem=str(error))
    case_id = desk.open(email=email, subject=subject, text=text)
    return RedirectResponse(f"/cases/{case_id}", 303)


# --- a case --------------------------------------------------------------------


def case_page(
    request: Request,
    desk: Desk,
    case_id: str,
    role: str,
    *,
    status: int = 200,
    problem: str = "",
    form: Form | None = None,
) -> Response:
    """The page of a case, for one role; after a refusal with what had been written."""
    workflow = desk.workflow
    with desk.reading() as session:
        row = desk.find(session, case_id)
        case = row.case(history=True)
        warning = ""
        try:
            possible, ends, ahead = (
                list(choices(workflow, case, role)),
                closing(workflow, case),
                foreseen(workflow, case),
            )
        except CasestateError as error:  # a state of another policy, or of none
            possible, ends, ahead = [], None, []
            warning = f"Nothing can be done with this case for now: {error}"
        known = case.state in workflow.policy.states
        shown = [
            (entry, change)
            for entry, change in zip(row.history, case.history, strict=True)
            if role == "agent"
            or (entry.event not in PRIVATE and (entry.text or change.from_state != change.to_state))
        ]
        return page(
            request,
            f"{role}.html",
            status,
            row=row,
            case=case,
            described=workflow.policy.described(case.state) if known else None,
            label=label(workflow.policy, case.state),
            choices=possible,
            closing=ends,
            foreseen=ahead,
            history=shown,
            problem=problem,
            warning=warning,
            form=form.fields if form else {},
        )


def change(request: Request, desk: Desk, form: Form, case_id: str, role: str) -> Response:
    """Apply what a form says; or say why not, and what is possible."""
    event = form.fields.get("event", "")
    try:
        text = form.text("text") or None
        need(event, "Choose what is to happen.")
        need(text or event not in SPOKEN, "Write something first.")
        revision = form.fields.get("revision", "")
        need(re.fullmatch(r"[0-9]{1,9}", revision), "The form is incomplete: load the page again.")
        to = desk.change(
            case_id,
            event,
            by=role,
            revision=int(revision),
            actor=agent_of(request) if role == "agent" else None,
            text=text,
            sub_status=form.line(f"{event}.sub_status", "The sub-status") or None,
            assignee=form.line(f"{event}.assignee", "The name") or None,
        )
    except (BadFormError, CasestateError) as error:
        status = 409 if isinstance(error, CaseChanged) else 422
        problem = why_not(desk.workflow.policy, error) if isinstance(error, CasestateError) else str(error)
        return case_page(request, desk, case_id, role, status=status, problem=problem, form=form)
    path = next(path for path, name in ROLES.items() if name == role)
    return RedirectResponse(f"/{path}/{to}", 303)


@router.get("/cases/{case_id}")
def customer_page(request: Request, desk: TheDesk, case_id: str) -> Response:
    """The customer's page of a case."""
    return case_page(request, desk, case_id, "customer")


@router.post("/cases/{case_id}")
def customer_acts(request: Request, desk: TheDesk, form: TheForm, case_id: str) -> Response:
    """The customer does something."""
    return change(request, desk, form, case_id, "customer")


@router.get("/agent/cases/{case_id}")
def agent_page(request: Request, desk: TheDesk, case_id: str) -> Response:
    """The agent's page of a case."""
    return case_page(request, desk, case_id, "agent")


@router.post("/agent/cases/{case_id}")
def agent_acts(request: Request, desk: TheDesk, form: TheForm, case_id: str) -> Response:
    """The agent does something."""
    return change(request, desk, form, case_id, "agent")


# --- the agent's list ------------------------------------------------------------


@router.get("/agent")
def agent_list(request: Request, desk: TheDesk, closed: bool = False) -> Response:  # noqa: FBT001, FBT002 - a query
    """The cases by whom they wait for, the longest waiting first."""
    policy = desk.workflow.policy
    names = [name for name, status in policy.statuses.items() if status.closed]
    among = CaseRow.status.in_(names) if closed else CaseRow.status.not_in(names)
    order = CaseRow.entered_at.desc() if closed else CaseRow.entered_at
    groups: dict[str, list[dict[str, object]]] = {}
    with desk.reading() as session:
        rows = session.scalars(
            select(CaseRow).where(among).order_by(order, CaseRow.id).limit(MOST_LISTED + 1)
        ).all()
        for row in rows[:MOST_LISTED]:
            try:
                case = row.case()
                ends, state = closing(desk.workflow, case), label(policy, case.state)
                waiting_on = policy.described(case.state).waiting_on or "nobody"
            except CasestateError:  # one that nobody can read is in nobody's way
                ends, state, waiting_on = None, row.status, "a policy that knows where it stands"
            group = "Closed" if closed else f"Waiting for {people(waiting_on)}"
            shown = {"row": row, "label": state, "closing": ends}
            groups.setdefault(group, []).append(shown)
        ordered = sorted(groups.items(), key=lambda group: (group[0] != "Waiting for support", group[0]))
        return page(request, "list.html", groups=ordered, closed=closed, more=len(rows) > MOST_LISTED)


@router.post("/agent/name")
def agent_name(form: TheForm) -> Response:
    """Remember who is at the desk, for the history."""
    response = RedirectResponse("/agent", 303)
    name = plain(form.fields.get("name", ""))
    if name:
        response.set_cookie("agent", name, httponly=True, samesite="strict")
    else:
        response.delete_cookie("agent")
    return response


# --- what goes wrong ---------------------------------------------------------------


def not_found(request: Request, error: Exception) -> Response:
    """There is no such page."""
    case = isinstance(error, NoSuchCaseError)
    title, text = "Not found", "There is no such case." if case else "There is no such page."
    return page(request, "message.html", 404, title=title, text=f"{text} The address may be mistyped.")


def http_error(request: Request, error: Exception) -> Response:
    """What the framework refuses, as a page."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    if status == 404:
        return not_found(request, error)
    return page(request, "message.html", status, title="Not possible", text="Nothing has been stored.")


def unreadable(request: Request, error: Exception) -> Response:
    """A row that is no case: somebody has to look at it."""
    LOG.error("%s", error)
    text = f"This case cannot be read, and nothing can be done with it until that is put right. {error}"
    return page(request, "message.html", 500, title="Out of order", text=text)


def database_away(request: Request, error: Exception) -> Response:
    """The database is away, or busy for too long."""
    LOG.error("%s", error)
    text = "The desk's database does not answer just now. Nothing has been stored; try again in a moment."
    return page(request, "message.html", 503, title="One moment", text=text)


# --- the app -----------------------------------------------------------------------


def create_app(desk: Desk) -> FastAPI:
    """The pages of a desk. Its engine stays the caller's to dispose of."""
    policy = desk.workflow.policy
    lacking = set(ROLES.values()).difference(policy.roles)
    if lacking:
        raise ValueError(
            f"there are pages for the customer and the agent: {policy.name} lacks {', '.join(lacking)}"
        )
    templates = Jinja2Templates(HERE / "templates")

    def when(at: datetime) -> Markup:
        """An instant as HTML."""
        return Markup('<time datetime="{}">{}</time>').format(format_instant(at), told(policy, at))

    templates.env.trim_blocks = templates.env.lstrip_blocks = True
    templates.env.filters["when"] = when
    templates.env.globals.update(
        happened=lambda change: happened(policy, change), name_of_state=lambda state: label(policy, state)
    )
    app = FastAPI(title="Help desk", openapi_url=None)
    app.state.desk, app.state.templates = desk, templates
    app.mount("/static", StaticFiles(directory=HERE / "static"), "static")
    app.include_router(router)
    app.add_exception_handler(NoSuchCaseError, not_found)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(CaseDataError, unreadable)
    app.add_exception_handler(OperationalError, database_away)
    app.add_exception_handler(TimeoutError, database_away)

    @app.middleware("http")
    async def headers(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call(request)
        response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        if not request.url.path.startswith("/static/"):
            response.headers["Cache-Control"] = "no-store"  # the way back shows the case as it is
        return response

    return app


def from_environment() -> FastAPI:
    """The app for ``uvicorn --factory fastapi_desk.app:from_environment``."""
    desk = settings.desk()
    app = create_app(desk)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.engine.dispose()

    app.router.lifespan_context = lifespan
    return app
