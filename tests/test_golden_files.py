"""What an earlier version wrote is read for ever, and means what it meant.

A golden file is never changed; a new way of writing is added beside the old
ones (see ``golden_files.py``), and what its files mean is added here.
"""

from __future__ import annotations

import json
import tomllib

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from builders import case_in
from casestate import Calendar, Case, Change, Length, Policy, Workflow, load_policy
from casestate.policy import Repeat, Status, Timer, Transition
from golden_files import EXTENDING, FOLDER, folders, written


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALL = sorted(path for folder in folders() for path in folder.iterdir())
NEWEST = folders()[-1]


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def loaded(path: Path) -> Case | Policy:
    if path.name.startswith("case-"):
        return Case.from_dict(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".json":
        return load_policy(json.loads(path.read_text(encoding="utf-8")))
    return load_policy(path)


@pytest.mark.parametrize("path", ALL, ids=named)
def test_a_golden_file_means_what_it_meant(path: Path) -> None:
    MEANINGS[named(path)](loaded(path))


def test_every_golden_file_has_a_meaning_and_none_is_gone() -> None:
    assert {named(path) for path in ALL} == set(MEANINGS)


@pytest.mark.parametrize("path", [path for path in ALL if path.parent == NEWEST], ids=named)
def test_this_version_writes_like_the_newest_files(path: Path) -> None:
    if path.name == "policy-extending.toml":
        assert path.read_text(encoding="utf-8") == EXTENDING  # by people, not by the library
        return
    text = path.read_text(encoding="utf-8")
    data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    again = loaded(path).to_dict()
    assert again == data
    if path.suffix == ".json":
        assert json.dumps(again) == json.dumps(data), "the order of the keys is another"


def test_the_newest_files_are_those_that_a_new_folder_would_hold() -> None:
    assert sorted(written()) == sorted(path.name for path in NEWEST.iterdir())
    assert [path.name for path in folders()] == [str(number) for number in range(1, len(folders()) + 1)]
    assert [path.name for path in FOLDER.iterdir() if not path.is_dir()] == []


# --- cases -------------------------------------------------------------------

START = datetime(2026, 3, 2, 9, 30, 15, 250_000, tzinfo=UTC)
DAY = timedelta(days=1)


def bare(case: Case | Policy) -> None:
    assert case == Case(id="C-0", status="new", entered_at=START.replace(microsecond=0))


def closed(case: Case | Policy) -> None:
    assert isinstance(case, Case)
    assert case == Case(
        id="C-1",
        status="closed",
        entered_at=START + 60 * DAY,
        policy="sub-status",
        stay=4,
        previous="pending.customer_input",
        opened_at=START,
        clones=("C-2",),
        history=(
            Change(
                at=START + DAY,
                event="start",
                by="agent",
                actor="mira",
                from_state="new",
                to_state="in_progress",
                stay=2,
            ),
            Change(
                at=START + 2 * DAY,
                event="pend",
                by="agent",
                actor="mira",
                from_state="in_progress",
                to_state="pending.customer_input",
                stay=3,
            ),
            Change(
                at=START + 60 * DAY,
                event="close_pending",
                by="system",
                from_state="pending.customer_input",
                to_state="closed",
                stay=4,
                detail=("remind_customer",),
            ),
            Change(
                at=START + 61 * DAY,
                event="clone",
                by="customer",
                actor="ada",
                from_state="closed",
                to_state="closed",
                stay=4,
                detail="C-2",
            ),
        ),
    )
    assert case.changed_at == START + 61 * DAY


def clone(case: Case | Policy) -> None:
    assert case == Case(
        id="C-2",
        status="new",
        entered_at=START + 61 * DAY,
        policy="sub-status",
        opened_at=START + 61 * DAY,
        cloned_from="C-1",
    )


def waits(case: Case | Policy) -> None:
    assert isinstance(case, Case)
    asked_at = START + timedelta(microseconds=1)
    assert case == Case(
        id="Fall Nr. 3: ü",
        status="pending_customer",
        entered_at=asked_at,
        policy="open-resolved",
        stay=3,
        previous="open",
        assignee="noor",
        settled="notify_pending",
        settled_at=START + DAY,
        opened_at=START,
        history=(
            Change(
                at=START,
                event="assign",
                by="agent",
                from_state="new",
                to_state="open",
                stay=2,
                detail="noor",
            ),
            Change(
                at=asked_at,
                event="ask",
                by="agent",
                from_state="open",
                to_state="pending_customer",
                stay=3,
            ),
            Change(
                at=START + DAY,
                event="notify_pending",
                by="system",
                from_state="pending_customer",
                to_state="pending_customer",
                stay=3,
            ),
        ),
    )
    desk = Workflow(load_policy("open-resolved"))
    assert desk.next_due(case) == asked_at + 14 * DAY
    assert desk.apply(case, "comment", by="customer", at=START + DAY).state == "open"


# --- policies ----------------------------------------------------------------


def rows(policy: Policy) -> list[str]:
    """The transitions in short."""
    return [
        f"{row.event}: {'/'.join(row.by)} in {'/'.join(row.from_)} -> {row.to or 'stay'}"
        + (f" when {row.when}" if row.when else "")
        + "".join(f" needs {need}" for need in row.needs)
        + (" refused" if row.refuse else "")
        for row in policy.transitions
    ]


def timers(policy: Policy) -> list[str]:
    """The timers in short."""
    return [
        f"{timer.name}: {timer.kind} {timer.audience} in {'/'.join(timer.in_)} after {timer.after}"
        + (f" -> {timer.to}" if timer.to else "")
        for timer in policy.timers.values()
    ]


def is_plain(policy: Policy) -> None:
    assert policy.roles == ("customer", "agent", "system")
    assert policy.calendar == Calendar("UTC", ("sat", "sun"), ())
    assert policy.initial == "new"
    assert [state for state in policy.states if policy.is_closed(state)] == ["closed"]
    assert not any(timer.notice or timer.repeat for timer in policy.timers.values())


def sub_status(policy: Case | Policy) -> None:
    assert isinstance(policy, Policy)
    is_plain(policy)
    assert policy.name == "sub-status"
    assert policy.states == (
        "new",
        "in_progress",
        "pending.customer_input",
        "pending.development",
        "pending.scheduled_support_service",
        "pending.third_party_provider",
        "awaiting_customer_confirmation",
        "reopened",
        "update_received",
        "closed",
    )
    assert rows(policy) == [
        "start: agent in in_progress -> stay refused",
        "start: agent in *open -> in_progress",
        "pend: agent in *open -> pending",
        "respond: agent in awaiting_customer_confirmation -> stay refused",
        "respond: agent in *open -> awaiting_customer_confirmation",
        "comment: customer in awaiting_customer_confirmation -> reopened",
        "comment: customer in pending.customer_input -> update_received",
        "comment: customer in *open -> stay",
        "note: agent in * -> stay",
        "confirm: customer in awaiting_customer_confirmation -> closed",
        "close: agent in *open -> closed",
        "clone: customer/agent in closed -> stay",
    ]
    assert timers(policy) == [
        "notify_reopened: notify support in reopened after 0 seconds",
        "notify_update_received: notify support in update_received after 0 seconds",
        "notify_awaiting: notify customer in awaiting_customer_confirmation after 0 seconds",
        "close_awaiting: close None in awaiting_customer_confirmation after 14 days -> closed",
        "remind_customer: remind customer in pending.customer_input after 7 days",
        "close_pending: close None in pending.customer_input after 28 days -> closed",
        "notify_closed: notify customer in closed after 1 day",
    ]
    assert policy.described("pending.third_party_provider") == Status(
        name="third_party_provider",
        label="Third Party Provider",
        meaning="An external provider has to answer first.",
        waiting_on="third_party",
    )


def open_resolved(policy: Case | Policy) -> None:
    assert isinstance(policy, Policy)
    is_plain(policy)
    assert policy.name == "open-resolved"
    assert policy.states == ("new", "open", "in_progress", "pending_customer", "resolved", "closed")
    assert rows(policy) == [
        "assign: agent in new -> open needs assignee",
        "assign: agent in *open -> stay needs assignee",
        "start: agent in open -> in_progress",
        "release: agent in in_progress -> open",
        "ask: agent in open/in_progress/pending_customer -> pending_customer",
        "resume: agent in pending_customer -> @previous",
        "resume: agent in pending_customer -> open",
        "comment: customer in pending_customer -> @previous",
        "comment: customer in pending_customer -> open",
        "comment: customer in resolved -> open when assigned",
        "comment: customer in resolved -> new when unassigned",
        "comment: customer in * -> stay",
        "note: agent in * -> stay",
        "resolve: agent/customer in resolved -> stay refused",
        "resolve: agent/customer in *open -> resolved",
        "confirm: customer in resolved -> closed",
        "reopen: customer/agent in resolved/closed -> open when assigned",
        "reopen: customer/agent in resolved/closed -> new when unassigned",
        "close: customer in *open -> closed",
    ]
    assert timers(policy) == [
        "notify_pending: notify customer in pending_customer after 0 seconds",
        "close_pending: close None in pending_customer after 14 days -> closed",
        "close_resolved: close None in resolved after 7 days -> closed",
    ]
    assert policy.statuses["resolved"] == Status(
        name="resolved",
        label="Resolved",
        meaning="The issue has been fixed or answered.",
        action_required="Confirm that it works, or reopen the case.",
        waiting_on="customer",
    )


def every_thing(policy: Case | Policy) -> None:
    assert policy == Policy(
        name="every-thing",
        initial="new",
        roles=("customer", "agent", "system", "boss"),
        calendar=Calendar("Europe/Berlin", ("fri", "sat"), (date(2026, 12, 24), "DE-BE")),
        statuses={
            "new": Status(name="new", label="Brand new", meaning="Just came in."),
            "waiting": Status(
                name="waiting",
                label="Waiting",
                action_required="See the sub-status.",
                sub_statuses={
                    "customer": Status(name="customer", label="You", waiting_on="customer"),
                    "vendor": Status(
                        name="vendor",
                        label="Vendor",
                        meaning="A vendor has to answer.",
                        action_required="None.",
                    ),
                },
            ),
            "done": Status(name="done", label="Done", closed=True),
        },
        transitions=(
            Transition(event="wait", by=("boss",), from_=("waiting.vendor",), refuse=True),
            Transition(
                event="wait", by=("agent", "boss"), from_=("*open",), to="waiting", needs=("assignee",)
            ),
            Transition(event="reply", by=("customer",), from_=("waiting",), to="@previous", when="assigned"),
            Transition(event="reply", by=("customer",), from_=("waiting",), to="new", when="unassigned"),
            Transition(event="note", by=("agent",), from_=("*",)),
        ),
        timers={
            "told": Timer(
                name="told",
                in_=("waiting.customer",),
                kind="notify",
                audience="customer",
                after=Length("elapsed", 0),
            ),
            "nag": Timer(
                name="nag",
                in_=("waiting.customer",),
                kind="remind",
                audience="customer",
                after=Length("calendar_days", 2),
                repeat=Repeat(every=Length("calendar_days", 3), times=3),
                notice=Length("elapsed", 12 * 3600),
            ),
            "chase": Timer(
                name="chase",
                in_=("waiting.vendor",),
                kind="remind",
                after=Length("elapsed", (7 * 24 + 4) * 3600),
            ),
            "shut": Timer(
                name="shut",
                in_=("waiting.customer",),
                kind="close",
                after=Length("business_days", 20),
                notice=Length("business_days", 2),
                to="done",
            ),
            "pass_on": Timer(
                name="pass_on",
                in_=("new",),
                kind="move",
                audience="support",
                after=Length("elapsed", 90 * 60),
                to="waiting.vendor",
            ),
        },
    )
    assert isinstance(policy, Policy)
    assert policy.states == ("new", "waiting.customer", "waiting.vendor", "done")
    assert [timer.name for timer in policy.schedules["waiting.customer"]] == [
        "told",
        "nag",
        "nag#2",
        "nag#3",
        "shut",
    ]


def extending(policy: Case | Policy) -> None:
    assert isinstance(policy, Policy)
    assert (policy.name, policy.initial, policy.calendar.zone) == ("house-rules", "new", "America/New_York")
    assert policy.states[6] == "pending.legal"
    assert "notify_closed" not in policy.timers
    assert policy.timers["close_awaiting"].after == Length("business_days", 10)
    assert policy.timers["close_awaiting"].notice == Length("elapsed", 0)
    assert policy.timers["close_awaiting"].to == "closed"
    assert policy.timers["remind_customer"].after == Length("elapsed", 7 * 86_400)
    assert policy.timers["remind_customer"].repeat == Repeat(every=Length("elapsed", 7 * 86_400), times=3)
    desk = Workflow(policy)
    assert "start" not in desk.allowed(case_in("pending.legal"), by="agent")
    assert "start" in desk.allowed(case_in("pending.development"), by="agent")


MEANINGS: dict[str, Callable[[Any], None]] = {
    "1/case-bare.json": bare,
    "1/case-closed.json": closed,
    "1/case-clone.json": clone,
    "1/case-waits.json": waits,
    "1/policy-every-thing.json": every_thing,
    "1/policy-every-thing.toml": every_thing,
    "1/policy-extending.toml": extending,
    "1/policy-open-resolved.json": open_resolved,
    "1/policy-open-resolved.toml": open_resolved,
    "1/policy-sub-status.json": sub_status,
    "1/policy-sub-status.toml": sub_status,
}
