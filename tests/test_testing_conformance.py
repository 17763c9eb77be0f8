"""`conformance`: honest desks pass, those with a mistake fail with a story, what is no desk is told why."""

from __future__ import annotations

import pickle
import subprocess
import sys
import unittest

from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import hypothesis
import pytest

from hypothesis import given
from hypothesis import strategies as st

from casestate import (
    Action,
    Case,
    CasestateError,
    EventRefused,
    Policy,
    StaleAction,
    Workflow,
    load_policy,
    policies,
)
from casestate import testing as kit
from casestate.testing import Helpdesk, HelpdeskError, Message, Refused, conformance
from casestate.testing.helpdesk import OPTIONAL
from casestate.testing.reference import BEGINNING, Reference
from casestate.testing.stories import stories
from casestate.testing.telling import Telling


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from casestate.testing.helpdesk import Factory

TEST = "test_it_does_what_the_policy_says"
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
Given: TypeAlias = Any  # the arguments of an event, or of a test
Found: TypeAlias = Any  # what a desk likes to find
ANY: Any = conformance
"""The kit for those who give it what its types forbid."""


class Desk:
    """An honest desk for any policy; the tests derive from it."""

    def __init__(self, policy: Policy) -> None:
        self.workflow = Workflow(policy)
        self.cases: dict[str, Case] = {}
        self.sent: dict[str, Action] = {}

    def open(self, case_id: str, /, *, at: datetime) -> object:
        self.cases[case_id] = self.workflow.open(case_id, at=at)
        return None

    def handle(
        self,
        case_id: str,
        event: str,
        /,
        *,
        by: str,
        at: datetime,
        sub_status: str | None = None,
        assignee: str | None = None,
    ) -> object:
        self.cases[case_id] = self.workflow.apply(
            self.cases[case_id], event, by=by, at=at, sub_status=sub_status, assignee=assignee
        )
        return None

    def state(self, case_id: str, /) -> str:
        return self.cases[case_id].state

    def sweep(self, now: datetime, /) -> object:
        return self.carry_out(self.collect(now), now)

    def outbox(self) -> Iterable[object]:
        return self.sent.values()

    def clone(self, case_id: str, new_id: str, *, by: str, at: datetime) -> object:
        original, clone = self.workflow.clone(self.cases[case_id], new_id, by=by, at=at)
        self.cases |= {case_id: original, new_id: clone}
        return None

    def collect(self, now: datetime) -> Found:
        return list(self.workflow.due(self.cases.values(), now=now))

    def carry_out(self, found: Found, now: datetime) -> object:
        for action in found:
            try:
                settled = self.workflow.settle(self.cases[action.case_id], action, at=now)
            except StaleAction:
                continue
            self.send(action)
            self.cases[action.case_id] = settled
        return None

    def crash(self, now: datetime) -> object:
        for action in self.workflow.due(self.cases.values(), now=now):
            self.send(action)
        return None

    def send(self, action: Action) -> None:
        self.sent.setdefault(action.key, action)


def run(policy: Policy, desk: Callable[[Policy], Helpdesk], **options: Given) -> None:
    """Run a desk beside a policy; raises the story in which they part."""

    def factory() -> Helpdesk:
        return desk(policy)

    factory.__name__ = getattr(desk, "__name__", "")
    options = {"seed": 1, "examples": 200, **options}
    conformance(policy, factory, **options)(TEST).debug()


def story(policy: Policy, desk: Callable[[Policy], Helpdesk], **options: Given) -> str:
    """The story that is told of a desk which is not honest."""
    with pytest.raises(AssertionError) as caught:
        run(policy, desk, **options)
    return str(caught.value)


@pytest.fixture
def sub_status() -> Policy:
    return policies.SUB_STATUS


@pytest.fixture
def open_resolved() -> Policy:
    return policies.OPEN_RESOLVED


@pytest.fixture
def warning() -> Policy:
    """A policy that never closes unwarned, and reminds three times."""
    return policies.SUB_STATUS.override(
        {
            "timers": {
                "remind_customer": {"repeat": {"every": {"days": 7}, "times": 3}},
                "close_pending": {"notice": {"days": 7}},
            }
        }
    )


@pytest.fixture
def hasty() -> Policy:
    """A policy whose reminder comes first, however little before the closure."""
    return policies.SUB_STATUS.override({"timers": {"close_pending": {"notice": {"hours": 0}}}})


@pytest.fixture
def berlin() -> Policy:
    """A policy that counts calendar days and business days in Berlin."""
    return policies.OPEN_RESOLVED.override(
        {
            "calendar": {"zone": "Europe/Berlin", "holidays": ["2026-04-03", "2026-12-25", "DE-BE"]},
            "timers": {
                "close_pending": {"after": {"business_days": 10}},
                "close_resolved": {"after": {"calendar_days": 7}},
            },
        }
    )


POLICIES = ("sub_status", "open_resolved", "warning", "berlin")


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> Policy:
    found: Policy = request.getfixturevalue(request.param)
    return found


# --- honest desks ------------------------------------------------------------------------


class LooksAfresh(Desk):
    """Collects the ids of cases, and looks afresh at what is due for each."""

    def collect(self, now: datetime) -> Found:
        return [action.case_id for action in super().collect(now)]

    def carry_out(self, found: Found, now: datetime) -> object:
        return super().carry_out(self.workflow.due([self.cases[case_id] for case_id in found], now=now), now)


class IsLazy(Desk):
    """Collects nothing before it is carried out."""

    def sweep(self, now: datetime, /) -> object:
        return super().carry_out(list(self.collect(now)), now)

    def collect(self, now: datetime) -> Found:
        return self.workflow.due(list(self.cases.values()), now=now)


class LeavesWhatWasTouched(Desk):
    """Leaves a case that has been written since the sweep to the next one: its revision is another."""

    def collect(self, now: datetime) -> Found:
        return [(action, len(self.cases[action.case_id].history)) for action in super().collect(now)]

    def carry_out(self, found: Found, now: datetime) -> object:
        same = [action for action, number in found if number == len(self.cases[action.case_id].history)]
        return super().carry_out(same, now)


class SendsAtOnce(Desk):
    """Sends what is due at the beginning of a stay when the stay begins."""

    def open(self, case_id: str, /, *, at: datetime) -> object:
        super().open(case_id, at=at)
        return self.at_once(case_id, at)

    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        stay = self.cases[case_id].stay
        super().handle(case_id, event, by=by, at=at, **given)
        return self.at_once(case_id, at) if self.cases[case_id].stay > stay else None

    def carry_out(self, found: Found, now: datetime) -> object:
        before = dict(self.cases)
        super().carry_out(found, now)
        for case_id, case in before.items():
            if self.cases[case_id].stay > case.stay:
                self.at_once(case_id, now)
        return None

    def at_once(self, case_id: str, at: datetime) -> object:
        actions = self.workflow.due([self.cases[case_id]], now=at)
        return super().carry_out([action for action in actions if action.to is None], at)


class DiesBeforeItSends(Desk):
    def crash(self, now: datetime) -> object:
        return self.collect(now)


class DiesWhenAllIsDone(Desk):
    def crash(self, now: datetime) -> object:
        return self.sweep(now)


class RefusesWithFalse(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        try:
            return super().handle(case_id, event, by=by, at=at, **given)
        except CasestateError:
            return False


class RefusesInItsOwnWords(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        try:
            return super().handle(case_id, event, by=by, at=at, **given)
        except CasestateError as error:
            raise Refused from error


class SendsPairs(Desk):
    def outbox(self) -> Iterable[object]:
        return [(action.case_id, action.timer) for action in self.sent.values()]


class SendsRows(Desk):
    """As a cursor may return them."""

    def outbox(self) -> Iterable[object]:
        return [[action.case_id, action.timer] for action in self.sent.values()]


class SendsMessages(Desk):
    def outbox(self) -> Iterable[object]:
        return (Message(action.case_id, action.timer) for action in self.sent.values())


class Bare:
    """What is required, and nothing else."""

    def __init__(self, policy: Policy) -> None:
        self.desk = Desk(policy)
        self.open, self.handle = self.desk.open, self.desk.handle
        self.state, self.sweep = self.desk.state, self.desk.sweep


HONEST = (
    Desk,
    LooksAfresh,
    IsLazy,
    LeavesWhatWasTouched,
    SendsAtOnce,
    DiesBeforeItSends,
    DiesWhenAllIsDone,
    RefusesWithFalse,
    RefusesInItsOwnWords,
    SendsPairs,
    SendsRows,
    SendsMessages,
    Bare,
)


@pytest.mark.parametrize("desk", HONEST)
def test_an_honest_desk_passes(policy: Policy, desk: Callable[[Policy], Helpdesk]) -> None:
    run(policy, desk, examples=20)


@pytest.mark.parametrize("policy", ["sub_status"], indirect=True)
def test_another_seed_tells_other_stories_of_which_an_honest_desk_passes_all(policy: Policy) -> None:
    for seed in range(5):
        run(policy, Desk, seed=seed, examples=40)


@given(st.data())
def test_an_honest_desk_passes_under_any_policy(data: st.DataObject) -> None:
    policy = data.draw(kit.policies())
    reference = Reference(policy)
    drawn = stories(reference)
    for desk in (LooksAfresh, SendsAtOnce):
        told = Telling(reference, desk(policy), OPTIONAL, "Desk", TICK)
        told.tell(data.draw(drawn))
        assert all(told.cases.values())


def test_a_desk_that_is_a_context_manager_is_entered_and_left(sub_status: Policy) -> None:
    events: list[str] = []

    @contextmanager
    def factory() -> Iterator[Helpdesk]:
        events.append("entered")
        yield Desk(sub_status)
        events.append("left")

    conformance(sub_status, factory, examples=5)(TEST).debug()
    assert events == ["entered", "left"] * 6  # once to look at its methods


class KeepsWholeSeconds(Desk):
    """Its columns have no fractions of a second."""

    def open(self, case_id: str, /, *, at: datetime) -> object:
        return super().open(case_id, at=at.replace(microsecond=0))

    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        return super().handle(case_id, event, by=by, at=at.replace(microsecond=0), **given)

    def carry_out(self, found: Found, now: datetime) -> object:
        return super().carry_out(found, now.replace(microsecond=0))


def test_instants_are_no_finer_than_the_resolution(berlin: Policy) -> None:
    assert "microsecond" in story(berlin, KeepsWholeSeconds)
    run(berlin, KeepsWholeSeconds, resolution=timedelta(seconds=1), examples=60)


# --- desks with a mistake ------------------------------------------------------------------


class AcceptsEverything(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        try:
            return super().handle(case_id, event, by=by, at=at, **given)
        except EventRefused:
            return None


class RefusesNotes(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        return False if event == "note" else super().handle(case_id, event, by=by, at=at, **given)


class RefusesNotesInItsOwnWords(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        if event == "note":
            raise Refused("no notes")
        return super().handle(case_id, event, by=by, at=at, **given)


class ForgetsTheAssignee(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        super().handle(case_id, event, by=by, at=at, **given)
        self.cases[case_id] = attrs.evolve(self.cases[case_id], assignee=None)
        return None


class ForgetsWhereItCameFrom(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        super().handle(case_id, event, by=by, at=at, **given)
        self.cases[case_id] = attrs.evolve(self.cases[case_id], previous=None)
        return None


class ForgetsTheClone(Desk):
    def clone(self, case_id: str, new_id: str, *, by: str, at: datetime) -> object:
        super().clone(case_id, new_id, by=by, at=at)
        self.cases[new_id] = self.cases[case_id]
        return None


class ClonesWhatIsOpen(Desk):
    def clone(self, case_id: str, new_id: str, *, by: str, at: datetime) -> object:  # noqa: ARG002 - its mistake
        self.cases[new_id] = self.workflow.open(new_id, at=at)
        return None


class SweepsUntilNothingIsDue(Desk):
    def sweep(self, now: datetime, /) -> object:
        while found := self.collect(now):
            self.carry_out(found, now)
        return None


class SendsOnceMoreAfterACrash(Desk):
    def send(self, action: Action) -> None:
        self.sent[f"{action.key}:{len(self.sent)}"] = action


class SettlesBeforeItSends(Desk):
    def crash(self, now: datetime) -> object:
        for action in self.collect(now):
            case = self.cases[action.case_id]
            self.cases[action.case_id] = self.workflow.settle(case, action, at=now)
        return None


class SendsTwice(Desk):
    def outbox(self) -> Iterable[object]:
        return [action for action in self.sent.values() for _ in range(2)]


class SendsThrice(Desk):
    def outbox(self) -> Iterable[object]:
        return [action for action in self.sent.values() for _ in range(3)]


class SendsAnUnknownTimer(Desk):
    def outbox(self) -> Iterable[object]:
        return [Message(action.case_id, "remind_customers") for action in self.sent.values()]


class SendsForAnUnknownCase(Desk):
    def outbox(self) -> Iterable[object]:
        return [Message("C-404", action.timer) for action in self.sent.values()]


class SendsNothingThatIsAMessage(Desk):
    def outbox(self) -> Iterable[object]:
        return list(self.sent)


class SendsATriple(Desk):
    def outbox(self) -> Iterable[object]:
        return [(action.case_id, action.timer, 1) for action in self.sent.values()]


class SendsTexts(Desk):
    def outbox(self) -> Iterable[object]:
        return self.sent


class RefusesInWords(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        try:
            return super().handle(case_id, event, by=by, at=at, **given)
        except CasestateError:
            return "refused"


class RefusesAsItLikes(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        try:
            return super().handle(case_id, event, by=by, at=at, **given)
        except CasestateError as error:
            raise LookupError from error


class CountsFromTheLastNote(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        super().handle(case_id, event, by=by, at=at, **given)
        if event == "note":
            self.cases[case_id] = attrs.evolve(self.cases[case_id], entered_at=at)
        return None


class LosesALateReply(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        due = [action.to for action in self.workflow.due([self.cases[case_id]], now=at)]
        if event == "comment" and by == "customer" and "closed" in due:
            return None
        return super().handle(case_id, event, by=by, at=at, **given)


class ClosesWhatNoTimerCloses(Desk):
    def sweep(self, now: datetime, /) -> object:
        super().sweep(now)
        for case_id, case in self.cases.items():
            if case.state == "pending.development" and now - case.entered_at > 14 * DAY:
                self.cases[case_id] = self.workflow.apply(case, "close", by="agent", at=now)
        return None


class LetsAgentsClose(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        by = "customer" if event == "close" else by
        return super().handle(case_id, event, by=by, at=at, **given)


class SaysNothingOfTheState(Desk):
    def state(self, case_id: str, /) -> Found:
        return None if self.cases[case_id].status == "pending" else super().state(case_id)


class ClosesADayEarly(Desk):
    def sweep(self, now: datetime, /) -> object:
        return self.carry_out(self.collect(now + DAY), now + DAY)


class NotifiesOfTheOldState(Desk):
    def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
        super().handle(case_id, event, by=by, at=at, **given)
        if event == "comment" and self.cases[case_id].state == "update_received":
            old = Message(case_id, "remind_customer")
            self.sent[case_id] = old  # type: ignore[assignment]  # anything with a case and a timer
        return None


class DropsWhatItFound(Desk):
    def carry_out(self, found: Found, now: datetime) -> object:  # noqa: ARG002 - its mistake
        return None


class ActsWhenItCollects(Desk):
    def collect(self, now: datetime) -> Found:
        found = super().collect(now)
        self.carry_out(found, now)
        return found


@pytest.mark.parametrize(
    ("name", "desk", "said"),
    [
        (
            "sub_status",
            AcceptsEverything,
            "\nyour desk:  accepted it",
        ),
        (
            "sub_status",
            RefusesNotes,
            """
Mon 2026-01-05 09:00 UTC
    C-1 is opened: new
    C-1, agent: note

the policy: permits this: C-1 is in new then
your desk:  refused it (returned False)""",
        ),
        ("sub_status", RefusesNotesInItsOwnWords, "\nyour desk:  refused it (raised Refused: no notes)"),
        (
            "open_resolved",
            ForgetsTheAssignee,
            "    C-1, agent: assign(assignee=mira)",
        ),
        ("open_resolved", ForgetsTheAssignee, "\nthe policy: C-1 is in open\nyour desk:  C-1 is in new"),
        (
            "open_resolved",
            ForgetsWhereItCameFrom,
            "\nthe policy: C-1 is in in_progress\nyour desk:  C-1 is in open",
        ),
        (
            "sub_status",
            ForgetsTheClone,
            "clone as C-2\n\nthe policy: C-2 is in new\nyour desk:  C-2 is in closed",
        ),
        ("sub_status", ClonesWhatIsOpen, "clone as C-2, which is not permitted\n"),
        (
            "sub_status",
            ClonesWhatIsOpen,
            "\nthe policy: refuses this: case 'C-1': 'clone' by ",
        ),
        (
            "warning",
            SendsOnceMoreAfterACrash,
            """
the policy: notify_awaiting of C-1 has been sent by the sweep that died
your desk:  has sent notify_awaiting for C-1 again""",
        ),
        (
            "sub_status",
            SettlesBeforeItSends,
            """
    sweep, which dies before it settles: notify_awaiting of C-1 is due
    sweep: notify_awaiting of C-1 is due

the policy: notify_awaiting of C-1 is due since Mon 2026-01-05 09:00 UTC (timers.notify_awaiting: \
after 0 seconds in awaiting_customer_confirmation)
your desk:  has not sent notify_awaiting for C-1""",
        ),
        ("sub_status", SendsTwice, "your desk:  has sent notify_awaiting for C-1 again"),
        ("sub_status", SendsThrice, "your desk:  has sent notify_awaiting for C-1 again, 2 times"),
        (
            "sub_status",
            SendsAnUnknownTimer,
            "\nthe policy: there is no timer 'remind_customers'; did you mean 'remind_customer'? (there ",
        ),
        (
            "sub_status",
            SendsForAnUnknownCase,
            """
the policy: there is no case 'C-404' (there are: C-1)
your desk:  has sent 'notify_awaiting' for 'C-404'""",
        ),
        ("sub_status", SendsNothingThatIsAMessage, "your desk:  has 'C-1:2:notify_awaiting' in its outbox"),
        ("sub_status", SendsATriple, "your desk:  has ('C-1', 'notify_awaiting', 1) in its outbox"),
        ("sub_status", SaysNothingOfTheState, "your desk:  C-1 is in None"),
        ("sub_status", ClosesADayEarly, " is not due before "),
        (
            "sub_status",
            NotifiesOfTheOldState,
            """
the policy: update_received, the state of C-1, has no such timer
your desk:  has sent remind_customer for C-1""",
        ),
        ("sub_status", DropsWhatItFound, "\nyour desk:  has not sent notify_awaiting for C-1"),
        ("sub_status", ActsWhenItCollects, "\n    sweep, first half: notify_awaiting of C-1 is due\n\n"),
        (
            "hasty",
            SweepsUntilNothingIsDue,
            """
            close_pending of C-1 is held back: close_pending comes at the earliest 0 seconds after \
remind_customer has been settled
your desk:  C-1 is in closed""",
        ),
        (
            "sub_status",
            SendsTexts,
            """
the policy: a message is a Message, a pair (case_id, timer), or has these two attributes
your desk:  has 'C-1:2:notify_awaiting' in its outbox""",
        ),
        (
            "sub_status",
            RefusesInWords,
            "\nyour desk:  accepted it (returned 'refused'; a desk that refuses returns False, or raises ",
        ),
        (
            "sub_status",
            RefusesAsItLikes,
            "\nyour desk:  raised LookupError (a desk that refuses returns False, or raises Refused)",
        ),
        (
            "open_resolved",
            CountsFromTheLastNote,
            """
    C-1, agent: note
    sweep: close_resolved of C-1 is due

the policy: C-1 is in closed
""",
        ),
        (
            "open_resolved",
            LosesALateReply,
            """, when close_resolved of C-1 comes due
    C-1, customer: comment → new

the policy: C-1 is in new
""",
        ),
        (
            "sub_status",
            ClosesWhatNoTimerCloses,
            """
    sweep: nothing is due

the policy: C-1 is in pending.development
your desk:  C-1 is in closed""",
        ),
        (
            "open_resolved",
            LetsAgentsClose,
            """
    C-1 is opened: new
    C-1, agent: close, which is not permitted
""",
        ),
    ],
)
def test_a_desk_with_a_mistake_fails_with_a_story(
    request: pytest.FixtureRequest, name: str, desk: type[Desk], said: str
) -> None:
    told = story(request.getfixturevalue(name), desk)
    assert told.startswith(f"{desk.__name__} does not do what the policy ")
    assert said in told


class Fails(Desk):
    """Raises in one of its methods."""

    where = "sweep"

    def sweep(self, now: datetime, /) -> object:
        return Desk.carry_out(self, Desk.collect(self, now), now)

    def __getattribute__(self, name: str) -> Found:
        if name != object.__getattribute__(self, "where"):
            return object.__getattribute__(self, name)

        def fails(*_: object, **__: object) -> object:
            raise ZeroDivisionError("no desk")

        return fails


class FailsAtOnce(Fails):
    where = "open"


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("open", "    C-1 is opened: new\n\nthe policy: C-1 is in new\n"),
        (
            "handle",
            "    C-1, customer: comment\n\nthe policy: permits this: C-1 is in new then\n",
        ),
        ("state", "    C-1 is opened: new\n\nthe policy: C-1 is in new\n"),
        ("sweep", "    sweep: nothing is due\n\nthe policy: nothing is due\n"),
        ("outbox", "\nthe policy: there is an outbox to look into\n"),
        ("clone", "\nthe policy: "),
        ("collect", "    sweep, first half: nothing is due\n\nthe policy: nothing is due\n"),
        ("carry_out", "    sweep, second half: nothing was found\n\nthe policy: nothing was found\n"),
        ("crash", "    sweep, which dies before it settles: nothing is due\n\nthe policy: nothing is due\n"),
    ],
)
def test_what_a_desk_raises_is_part_of_the_story_and_its_cause(
    sub_status: Policy, where: str, line: str
) -> None:
    desk = type("FailsThere", (Fails,), {"where": where})
    with pytest.raises(AssertionError) as caught:
        run(sub_status, desk)
    assert line in str(caught.value)
    assert "\nyour desk:  raised ZeroDivisionError: no desk" in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_refusal_of_what_is_permitted_is_the_cause(sub_status: Policy) -> None:
    with pytest.raises(AssertionError) as caught:
        run(sub_status, RefusesNotesInItsOwnWords)
    assert isinstance(caught.value.__cause__, Refused)
    with pytest.raises(AssertionError) as caught:
        run(sub_status, RefusesNotes)
    assert caught.value.__cause__ is None


def test_a_desk_that_does_not_do_the_same_twice_is_told_so(sub_status: Policy) -> None:
    made: list[Desk] = []

    def factory() -> Helpdesk:
        made.append(FailsAtOnce(sub_status) if len(made) == 1 else Desk(sub_status))
        return made[-1]

    with pytest.raises(
        AssertionError, match="factory did something else when the same story was told"
    ) as caught:
        conformance(sub_status, factory, seed=1)(TEST).debug()
    assert isinstance(caught.value.__cause__, hypothesis.errors.Flaky)


# --- stories, told ---------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left out of a story that fails."""
    monkeypatch.setattr(sys.modules["casestate.testing.conformance"], "MOST_TRIES", 0)


@pytest.mark.usefixtures("impatient")
def test_a_story_is_told_as_it_stands_if_there_is_no_time_to_make_it_shorter(sub_status: Policy) -> None:
    told = story(sub_status, SendsTwice)
    assert "\nyour desk:  has sent " in told
    assert len(told.splitlines()) > len(GOOD.splitlines())


GOOD = """\
SendsTwice does not do what the policy 'sub-status' says:

Mon 2026-01-05 09:00 UTC
    C-1 is opened: new
    C-1, agent: respond → awaiting_customer_confirmation
    sweep: notify_awaiting of C-1 is due

the policy: notify_awaiting of C-1 is due since Mon 2026-01-05 09:00 UTC \
(timers.notify_awaiting: after 0 seconds in awaiting_customer_confirmation)
your desk:  has sent notify_awaiting for C-1 again"""


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_found_becomes_the_same_short_story(sub_status: Policy, seed: int) -> None:
    assert story(sub_status, SendsTwice, seed=seed) == GOOD


def test_a_story_of_several_cases_becomes_that_of_the_one_it_is_about(open_resolved: Policy) -> None:
    class LosesTheThirdCase(Desk):
        def sweep(self, now: datetime, /) -> object:
            return self.carry_out([found for found in self.collect(now) if found.case_id != "C-3"], now)

    told = story(open_resolved, LosesTheThirdCase)
    assert "    C-3 is opened: new\n" in told
    assert "C-2, " not in told
    assert "C-1, " not in told


def test_a_story_that_takes_two_cases_keeps_both(sub_status: Policy) -> None:
    class MixesUp(Desk):
        """A reply to the second case ends up with the first."""

        def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
            wrong = "C-1" if event == "comment" and self.cases[case_id].state.endswith("_input") else case_id
            return super().handle(wrong, event, by=by, at=at, **given)

    assert (
        story(sub_status, MixesUp)
        == """\
MixesUp does not do what the policy 'sub-status' says:

Mon 2026-01-05 09:00 UTC
    C-1 is opened: new
    C-2 is opened: new
    C-2, agent: pend(customer_input) → pending.customer_input
    C-2, customer: comment → update_received

the policy: C-2 is in update_received
your desk:  C-2 is in pending.customer_input"""
    )


def test_no_story_goes_on_for_ever() -> None:
    policy = load_policy(
        {
            "format": 1,
            "name": "slow",
            "initial": "new",
            "statuses": {"new": {}, "closed": {"closed": True}},
            "timers": {
                "soon": {"in": "new", "kind": "remind", "after": {"days": 1}},
                "late": {"in": "new", "to": "closed", "after": {"days": 2_900_000}},
                "never": {"in": "closed", "kind": "notify", "after": {"days": 3_000_000}},
            },
        }
    )
    run(policy, Desk, examples=100)


def test_a_policy_without_events_and_timers_has_stories_too() -> None:
    policy = load_policy({"format": 1, "name": "quiet", "initial": "new", "statuses": {"new": {}}})
    run(policy, Desk, examples=20)


def test_sub_statuses_that_are_none_are_tried_under_every_policy() -> None:
    table: dict[str, Any] = {
        "format": 1,
        "name": "odd",
        "initial": "a.nowhere",
        "statuses": {"a": {"sub_statuses": {"nowhere": {}, "b": {}}}},
        "transitions": [{"event": "go", "by": "agent", "from": "*", "to": "a"}],
    }
    reference = Reference(load_policy(table))
    assert dict(reference.arguments) == {"sub_status": ("nowhere", "b", "nowhere_x")}
    assert {move.by for move in reference.moves} == {"customer", "agent", "system"}


def test_the_events_that_move_a_case_lead_to_each_state_as_often(open_resolved: Policy) -> None:
    reference = Reference(open_resolved)
    case = reference.workflow.open("C-1", at=BEGINNING)
    choices = reference.choices(case)
    assert [str(move) for move in choices["moving"]] == [
        "resolve",
        "assign(assignee=mira)",
        "resolve",
        "assign(assignee=mira)",
    ]
    assert {move.by for move in choices["moving"] if move.event == "resolve"} == {"customer", "agent"}
    assert [str(move) for move in choices["waiting"]] == ["resolve", "resolve"]
    assert {move.event for move in choices["permitted"]} == set(reference.workflow.allowed(case))
    assert choices["any"] == reference.moves
    assert {move.event for move in choices["staying"]} == {"comment", "note"}
    assert {(move.event, move.by) for move in choices["others"]} == {
        *(("assign", by) for by in ("customer", "system")),
        *(("close", by) for by in ("agent", "system")),
        *(("comment", by) for by in ("agent", "system")),
        *(("note", by) for by in ("customer", "system")),
        ("resolve", "system"),
    }
    assert choices["fresh"] == choices["moving"]
    resolved = reference.workflow.apply(case, "resolve", by="customer", at=BEGINNING)
    back = reference.workflow.apply(resolved, "comment", by="customer", at=BEGINNING)
    assert [str(move) for move in reference.choices(back)["fresh"]] == ["assign(assignee=mira)"]


def test_clones_are_not_drawn_where_there_are_none(open_resolved: Policy, sub_status: Policy) -> None:
    class Counts(Desk):
        cloned = 0

        def clone(self, case_id: str, new_id: str, *, by: str, at: datetime) -> object:
            type(self).cloned += 1
            return super().clone(case_id, new_id, by=by, at=at)

    run(open_resolved, Counts, examples=40)
    assert Counts.cloned == 0
    run(sub_status, Counts, examples=100)
    assert Counts.cloned > 10


# --- the class, and what it is given -----------------------------------------------------------


def test_what_is_returned_is_a_plain_test_case_named_after_the_policy(sub_status: Policy) -> None:
    made = conformance(sub_status, lambda: Desk(sub_status))
    assert type(made) is type
    assert issubclass(made, unittest.TestCase)
    assert made.__bases__ == (unittest.TestCase,)
    assert made.__name__ == "SubStatusConformance"
    assert made.__module__ == __name__
    assert made.__doc__ == "the desk does what the policy 'sub-status' says."
    assert unittest.defaultTestLoader.getTestCaseNames(made) == [TEST]


def test_a_factory_may_be_any_callable(sub_status: Policy) -> None:
    class Makes:
        def __call__(self) -> Helpdesk:
            return Desk(sub_status)

    makes = Makes()
    vars(makes)["__module__"] = None
    made = conformance(sub_status, makes, examples=3)
    assert made.__module__ == "casestate.testing.conformance"
    made(TEST).debug()


MODULE = """
import sys
sys.path.insert(0, {examples!r})
from casestate import policies
from casestate.testing import conformance
from test_my_helpdesk import KeepsTheOldClock, MyDesk

TestGood = conformance(policies.SUB_STATUS, MyDesk, seed=1, examples=10)
TestBad = conformance(policies.SUB_STATUS, KeepsTheOldClock, seed=1, examples=200)
"""


@pytest.mark.parametrize("runner", [("pytest", "-q", "-p", "no:cacheprovider"), ("unittest",)])
def test_pytest_and_unittest_find_the_class_and_show_the_story(
    tmp_path: Path, runner: tuple[str, ...]
) -> None:
    examples = Path(__file__).parents[1] / "examples"
    (tmp_path / "test_desks.py").write_text(MODULE.format(examples=str(examples)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", *runner, "test_desks.py"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        timeout=120,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 1
    assert "1 failed, 1 passed" in printed or "Ran 2 tests" in printed
    assert "KeepsTheOldClock does not do what the policy 'sub-status' says:" in printed
    assert "your desk:  " in printed
    assert "Falsifying example" not in printed
    assert "conformance.py" not in printed.replace("conformance.py:", "", 1)  # our own frames are not shown


def test_a_seed_tells_the_same_stories_in_every_run(sub_status: Policy) -> None:
    told: list[list[object]] = []

    class Listens(Desk):
        def open(self, case_id: str, /, *, at: datetime) -> object:
            told[-1].append((case_id, at))
            return super().open(case_id, at=at)

        def handle(self, case_id: str, event: str, /, *, by: str, at: datetime, **given: Given) -> object:
            told[-1].append((case_id, event, by, at, given))
            return super().handle(case_id, event, by=by, at=at, **given)

    for seed in (1, 1, 2):
        told.append([])
        run(sub_status, Listens, seed=seed, examples=20)
    assert told[0] == told[1] != told[2]
    assert len(told[0]) > 50


def test_the_number_of_stories_is_what_is_asked_for(sub_status: Policy) -> None:
    def number(**options: Given) -> int:
        made: list[Desk] = []

        def factory() -> Helpdesk:
            made.append(Desk(sub_status))
            return made[-1]

        conformance(sub_status, factory, **options)(TEST).debug()
        return len(made) - 1  # one is looked at before

    few = hypothesis.settings(max_examples=7, database=None)
    assert number() == 100
    assert number(examples=3) == 3
    assert number(settings=few) == 7
    assert number(settings=few, examples=4, seed=1) == 4


def test_everything_that_is_wrong_with_the_arguments_is_told_at_once() -> None:
    with pytest.raises(HelpdeskError) as caught:
        ANY("sub-status", None, examples=0, seed="1", settings={}, resolution=1)
    assert [problem.path for problem in caught.value.problems] == [
        "policy",
        "factory",
        "examples",
        "seed",
        "settings",
        "resolution",
    ]
    assert str(caught.value).splitlines() == [
        "conformance:",
        "  - policy: must be a Policy (see load_policy), not 'sub-status'",
        "  - factory: must be something to call that returns a new helpdesk, not None",
        "  - examples: must be a whole number from 1 on, not 0",
        "  - seed: must be a whole number, not '1'",
        "  - settings: must be hypothesis.settings, not {}",
        "  - resolution: must be a timedelta from a microsecond to a day, not 1",
    ]
    assert isinstance(caught.value, CasestateError)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    "wrong",
    [
        {"examples": True},
        {"examples": 1.5},
        {"seed": False},
        {"resolution": timedelta(0)},
        {"resolution": timedelta(days=1, microseconds=1)},
    ],
)
def test_each_of_them_is_told(sub_status: Policy, wrong: dict[str, object]) -> None:
    with pytest.raises(HelpdeskError, match=next(iter(wrong))):
        ANY(sub_status, lambda: Desk(sub_status), **wrong)


def test_an_error_survives_pickling() -> None:
    with pytest.raises(HelpdeskError) as caught:
        ANY(None, None)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert (str(again), again.problems, again.subject) == (
        str(caught.value),
        caught.value.problems,
        "conformance",
    )


def problems(policy: Policy, factory: Factory) -> list[str]:
    """What the test of a desk says of its methods."""
    with pytest.raises(HelpdeskError) as caught:
        conformance(policy, factory)(TEST).debug()
    return [str(problem) for problem in caught.value.problems]


HANDLE = "handle(case_id, event, *, by, at, sub_status=None, assignee=None)"


class Nothing:
    pass


def test_an_adapter_that_lacks_methods_is_told_which(sub_status: Policy) -> None:
    factory: Any = Nothing
    assert problems(sub_status, factory) == [
        "open: is missing: a helpdesk has open(case_id, *, at)",
        f"handle: is missing: a helpdesk has {HANDLE}",
        "state: is missing: a helpdesk has state(case_id)",
        "sweep: is missing: a helpdesk has sweep(now)",
    ]


def test_an_adapter_with_methods_that_cannot_be_called_is_told_how_they_are(open_resolved: Policy) -> None:
    class Odd(Nothing):
        state = "open"
        outbox = print
        crash = min  # which does not tell its signature

        def open(self, case_id: str) -> None:
            pass

        def handle(self, case_id: str, event: str, *, by: str, at: datetime) -> None:
            pass

        def sweep(self) -> None:
            pass

        def collect(self, now: datetime) -> None:
            pass

    factory: Any = Odd
    assert problems(open_resolved, factory) == [
        "open: must be callable as open(case_id, *, at): got an unexpected keyword argument 'at'",
        f"handle: must be callable as {HANDLE}: got an unexpected keyword argument 'assignee'",
        "state: must be a method, state(case_id), not 'open'",
        "sweep: must be callable as sweep(now): too many positional arguments",
        "carry_out: is missing: collect(now) comes with carry_out(found, now)",
    ]


def test_an_adapter_with_async_methods_is_told_that_it_has_to_run_them(sub_status: Policy) -> None:
    class Asynchronous(Desk):
        async def sweep(self, now: datetime, /) -> object:
            raise NotImplementedError

        async def outbox(self) -> AsyncIterator[object]:  # type: ignore[override]  # its mistake
            yield self

    factory: Any = Asynchronous
    assert problems(sub_status, lambda: factory(sub_status)) == [
        f"{name}: must not be async: let the adapter run it, with asyncio.run() for example"
        for name in ("sweep", "outbox")
    ]


def test_an_argument_that_the_policy_never_asks_for_need_not_be_taken(sub_status: Policy) -> None:
    class Narrow(Desk):
        def handle(  # type: ignore[override]
            self, case_id: str, event: str, *, by: str, at: datetime, sub_status: str | None = None
        ) -> object:
            return super().handle(case_id, event, by=by, at=at, sub_status=sub_status)

    factory: Any = lambda: Narrow(sub_status)  # noqa: E731 - which is no Helpdesk to a type checker
    conformance(sub_status, factory, examples=20)(TEST).debug()


def test_the_kit_offers_what_an_adapter_needs() -> None:
    assert {"Helpdesk", "HelpdeskError", "Message", "Refused", "conformance"} <= set(kit.__all__)
    assert Message("C-1", "remind_customer") == Message("C-1", "remind_customer")
