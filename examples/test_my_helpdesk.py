"""Two honest helpdesks, and nine with a bug that real ones have: each beside the policy that it is to follow.

    python -m pytest examples/test_my_helpdesk.py
    python examples/test_my_helpdesk.py             prints the nine stories

`conformance` takes a policy, and whatever makes a new and empty desk; it returns a test case class. The class
tries random stories on the desk and on casestate, and fails with a shortest one in which the two part.

* `MyDesk` embeds casestate. The few lines of `carry_out` are worth copying.
* `OwnDesk` has nothing of casestate in it: rows, rules, and a job for cron. It passes as well, because what
  counts is what a desk does, not how.
* The gallery: `OwnDesk` again, each time with another mistake.
"""

from __future__ import annotations

import unittest

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from casestate import Action, Calendar, Case, Length, Policy, StaleAction, Workflow, policies
from casestate.testing import Helpdesk, Message, conformance


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SEED = 2026  # any number will do: with a seed, every run tries the same stories
NEVER = datetime.max.replace(tzinfo=UTC)


# --- a desk that embeds casestate -------------------------------------------------------


class MyDesk:
    """Cases in a dictionary, an outbox with a unique key, and casestate for the rest."""

    def __init__(self) -> None:
        self.workflow = Workflow(policies.SUB_STATUS)
        self.cases: dict[str, Case] = {}
        self.sent: dict[str, Action] = {}

    def open(self, case_id: str, *, at: datetime) -> None:
        self.cases[case_id] = self.workflow.open(case_id, at=at)

    def handle(
        self,
        case_id: str,
        event: str,
        *,
        by: str,
        at: datetime,
        sub_status: str | None = None,
        assignee: str | None = None,
    ) -> None:
        case = self.cases[case_id]
        self.cases[case_id] = self.workflow.apply(
            case, event, by=by, at=at, sub_status=sub_status, assignee=assignee
        )

    def clone(self, case_id: str, new_id: str, *, by: str, at: datetime) -> None:
        original, clone = self.workflow.clone(self.cases[case_id], new_id, by=by, at=at)
        self.cases |= {case_id: original, new_id: clone}

    def state(self, case_id: str) -> str:
        return self.cases[case_id].state

    def outbox(self) -> Iterable[Action]:
        return self.sent.values()

    def sweep(self, now: datetime) -> None:
        self.carry_out(self.collect(now), now)

    def collect(self, now: datetime) -> list[Action]:
        return list(self.workflow.due(self.cases.values(), now=now))

    def carry_out(self, found: list[Action], now: datetime) -> None:
        for action in found:
            try:
                settled = self.workflow.settle(self.cases[action.case_id], action, at=now)
            except StaleAction:  # somebody was faster: there is nothing to do any more
                continue
            self.send(action)
            self.cases[action.case_id] = settled

    def crash(self, now: datetime) -> None:
        for action in self.collect(now):
            self.send(action)  # and then there is no power

    def send(self, action: Action) -> None:
        if action.kind != "close":
            self.sent.setdefault(action.key, action)  # INSERT OR IGNORE


TestMyDesk = conformance(policies.SUB_STATUS, MyDesk, seed=SEED)


# --- a desk without casestate -----------------------------------------------------------


@dataclass
class Ticket:
    """A row of the table of tickets."""

    id: str
    status: str
    since: datetime  # when it came into this status, and this sub-status
    updated_at: datetime  # when the row was last written
    sub_status: str | None = None
    told: bool = False  # whether the reminder, or the notification, of this status has gone out


AWAITING = "awaiting_customer_confirmation"
REASONS = ("customer_input", "development", "scheduled_support_service", "third_party_provider")
AT_ONCE = {
    "reopened": "notify_reopened",
    "update_received": "notify_update_received",
    AWAITING: "notify_awaiting",
}


class OwnDesk:
    """Rows, rules, and a job for cron."""

    def __init__(self) -> None:
        self.tickets: dict[str, Ticket] = {}
        self.sent: list[Message] = []

    def open(self, case_id: str, *, at: datetime) -> None:
        self.tickets[case_id] = Ticket(case_id, "new", since=at, updated_at=at)

    def state(self, case_id: str) -> str:
        ticket = self.tickets[case_id]
        return f"{ticket.status}.{ticket.sub_status}" if ticket.sub_status else ticket.status

    def outbox(self) -> Iterable[Message]:
        return self.sent

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
        ticket = self.tickets[case_id]
        if assignee is not None or (sub_status is not None and event != "pend"):
            return False
        match event, by:
            case "note", "agent":
                pass
            case _ if ticket.status == "closed":
                return False
            case "comment", "customer":
                self.add_comment(ticket, at)
            case "start", "agent" if ticket.status != "in_progress":
                self.move(ticket, "in_progress", at)
            case "pend", "agent" if sub_status in REASONS:
                self.pend(ticket, sub_status, at)
            case "respond", "agent" if ticket.status != AWAITING:
                self.move(ticket, AWAITING, at)
            case ("confirm", "customer") if ticket.status == AWAITING:
                self.move(ticket, "closed", at)
            case "close", "agent":
                self.move(ticket, "closed", at)
            case _:
                return False
        return True

    def add_comment(self, ticket: Ticket, at: datetime) -> None:
        if ticket.status == AWAITING:
            self.move(ticket, "reopened", at)
        elif ticket.sub_status == "customer_input":
            self.move(ticket, "update_received", at)

    def pend(self, ticket: Ticket, sub_status: str | None, at: datetime) -> None:
        self.move(ticket, "pending", at, sub_status)

    def move(self, ticket: Ticket, status: str, at: datetime, sub_status: str | None = None) -> None:
        ticket.status, ticket.sub_status = status, sub_status
        ticket.since, ticket.told = at, False
        self.save(ticket, at)
        if status in AT_ONCE:
            self.send(ticket, AT_ONCE[status])

    def save(self, ticket: Ticket, at: datetime) -> None:
        ticket.updated_at = at

    def send(self, ticket: Ticket, timer: str) -> None:
        self.sent.append(Message(ticket.id, timer))

    # The job for cron.

    def sweep(self, now: datetime) -> None:
        self.carry_out(self.collect(now), now)

    def collect(self, now: datetime) -> list[tuple[str, str]]:
        return [(ticket.id, timer) for ticket in self.tickets.values() if (timer := self.due(ticket, now))]

    def carry_out(self, found: list[tuple[str, str]], now: datetime) -> None:
        for case_id, timer in found:
            ticket = self.tickets[case_id]
            if self.due(ticket, now) == timer:  # a reply may have come in since
                self.do(ticket, timer, now)

    def due(self, ticket: Ticket, now: datetime) -> str | None:
        if ticket.sub_status == "customer_input":
            if now >= self.later(ticket, days=28):
                return "close_pending"
            if now >= self.later(ticket, days=7) and not ticket.told:
                return "remind_customer"
        if ticket.status == AWAITING and now >= self.later(ticket, days=14):
            return "close_awaiting"
        if ticket.status == "closed" and now >= self.later(ticket, days=1) and not ticket.told:
            return "notify_closed"
        return None

    def later(self, ticket: Ticket, *, days: int) -> datetime:
        return ticket.since + timedelta(days=days)

    def do(self, ticket: Ticket, timer: str, now: datetime) -> None:
        if timer.startswith("close_"):
            self.move(ticket, "closed", now)
        else:
            self.send(ticket, timer)
            ticket.told = True
            self.save(ticket, now)


TestOwnDesk = conformance(policies.SUB_STATUS, OwnDesk, seed=SEED)


# --- the gallery: what has gone wrong in real desks ---------------------------------------


class CountsFromTheLastUpdate(OwnDesk):
    """The column was there. But every save writes it, the one that notes the reminder too."""

    def later(self, ticket: Ticket, *, days: int) -> datetime:
        return ticket.updated_at + timedelta(days=days)


class RemindsOnEveryPass(OwnDesk):
    """It ran once a week at first. Then somebody wanted the closures to be in time."""

    def due(self, ticket: Ticket, now: datetime) -> str | None:
        ticket.told = ticket.told and ticket.sub_status != "customer_input"
        return super().due(ticket, now)


class MatchesTheExactDay(OwnDesk):
    """It runs every night. Or nearly."""

    def due(self, ticket: Ticket, now: datetime) -> str | None:
        timer = super().due(ticket, now)
        if timer == "remind_customer" and (now - ticket.since).days != 7:
            return None
        return timer


class RemindsAndClosesInOneRun(OwnDesk):
    """Two jobs, one after the other. In a normal week no ticket is of interest to both."""

    def sweep(self, now: datetime) -> None:
        for ticket in self.tickets.values():
            if ticket.sub_status != "customer_input" or ticket.told:
                continue
            if now >= self.later(ticket, days=7):
                self.do(ticket, "remind_customer", now)
        super().sweep(now)


class ClosesWhateverItFound(OwnDesk):
    """SELECT id …; and some minutes later UPDATE … SET status = 'closed' WHERE id IN (…)."""

    def carry_out(self, found: list[tuple[str, str]], now: datetime) -> None:
        for case_id, timer in found:
            if timer.startswith("close_"):
                self.move(self.tickets[case_id], "closed", now)
        super().carry_out(found, now)


class ReopensWithItsOwnMessage(OwnDesk):
    """ "Your case has been closed" goes into the thread, and what comes into the thread reopens the case."""

    def do(self, ticket: Ticket, timer: str, now: datetime) -> None:
        super().do(ticket, timer, now)
        if ticket.status == "closed" and timer != "notify_closed":
            self.add_comment(ticket, now)

    def add_comment(self, ticket: Ticket, at: datetime) -> None:
        if ticket.status == "closed":
            self.move(ticket, "reopened", at)
        else:
            super().add_comment(ticket, at)


class CountsInTheServersZone(OwnDesk):
    """The customers are in Berlin, the server's clock is UTC: it knows of no summer time."""

    policy = policies.SUB_STATUS.override(
        {
            "calendar": {"zone": "Europe/Berlin"},
            "timers": {
                "remind_customer": {"after": {"calendar_days": 7}},
                "close_pending": {"after": {"calendar_days": 28}},
                "close_awaiting": {"after": {"calendar_days": 14}},
                "notify_closed": {"after": {"calendar_days": 1}},
            },
        }
    )


class CountsInTheZoneOfThePolicy(CountsInTheServersZone):
    """The same without the bug, for comparison."""

    def later(self, ticket: Ticket, *, days: int) -> datetime:
        return self.policy.calendar.add(ticket.since, Length("calendar_days", days)) or NEVER


class KeepsTheOldClock(OwnDesk):
    """Pending is pending: the reason is only a column, and whoever corrects it restarts nothing."""

    def pend(self, ticket: Ticket, sub_status: str | None, at: datetime) -> None:
        if ticket.status == "pending" and ticket.sub_status != sub_status:
            ticket.sub_status = sub_status
            self.save(ticket, at)
        else:
            super().pend(ticket, sub_status, at)


class IsNeverDueOnAHoliday(OwnDesk):
    """Counts from Monday to Friday. What then falls on a holiday is done on the working day before."""

    policy = policies.SUB_STATUS.override(
        {
            "calendar": {"holidays": ["2026-04-03", "2026-04-06", "2026-12-25"]},
            "timers": {
                "remind_customer": {"after": {"business_days": 5}},
                "close_pending": {"after": {"business_days": 20}},
                "close_awaiting": {"after": {"business_days": 10}},
            },
        }
    )

    def later(self, ticket: Ticket, *, days: int) -> datetime:
        if ticket.status == "closed":
            return super().later(ticket, days=days)
        due_at = Calendar().add(ticket.since, Length("business_days", days // 7 * 5)) or NEVER
        while due_at.weekday() >= 5 or due_at.date() in self.policy.calendar.holidays:
            due_at -= timedelta(days=1)
        return due_at


class CountsBusinessDays(IsNeverDueOnAHoliday):
    """The same without the bug, for comparison."""

    def later(self, ticket: Ticket, *, days: int) -> datetime:
        if ticket.status == "closed":
            return super().later(ticket, days=days)
        return self.policy.calendar.add(ticket.since, Length("business_days", days // 7 * 5)) or NEVER


TestInBerlin = conformance(CountsInTheServersZone.policy, CountsInTheZoneOfThePolicy, seed=SEED)
TestBusinessDays = conformance(IsNeverDueOnAHoliday.policy, CountsBusinessDays, seed=SEED)


def story(desk: Callable[[], Helpdesk], policy: Policy = policies.SUB_STATUS) -> str:
    """What is told about a desk that does not do what its policy says."""
    test = conformance(policy, desk, examples=200, seed=SEED)("test_it_does_what_the_policy_says")
    try:
        test.debug()
    except AssertionError as told:
        return str(told)
    return "nothing was found in 200 stories"


class TestTheGallery(unittest.TestCase):
    """Each bug is found, and its story says what is wrong."""

    def tells(self, told: str, *lines: str) -> None:
        """Check that a story says all this, in this order."""
        rest = told
        for line in lines:
            _, found, rest = rest.partition(line)
            if not found:
                self.fail(f"{line!r} is not where it belongs in\n{told}")

    def test_timers_counted_from_the_last_update_are_restarted_by_the_desks_own_note(self) -> None:
        self.tells(
            story(CountsFromTheLastUpdate),
            "    C-1, agent: pend(customer_input) → pending.customer_input\n",
            "    sweep: remind_customer of C-1 is due\n",
            "    sweep: close_pending of C-1 is due\n",
            "the policy: C-1 is in closed\n",
            "your desk:  C-1 is in pending.customer_input",
        )

    def test_a_reminder_comes_on_every_pass(self) -> None:
        self.tells(
            story(RemindsOnEveryPass),
            "    sweep: remind_customer of C-1 is due\n",
            "    sweep: nothing is due\n",
            "the policy: remind_customer of C-1 has been dealt with, once in this stay\n",
            "your desk:  has sent remind_customer for C-1 again",
        )

    def test_after_a_missed_night_the_exact_day_never_comes(self) -> None:
        self.tells(
            story(MatchesTheExactDay),
            "    sweep: remind_customer of C-1 is due\n",
            "the policy: remind_customer of C-1 is due since ",
            "(timers.remind_customer: after 7 days in pending.customer_input)\n",
            "your desk:  has not sent remind_customer for C-1",
        )

    def test_after_an_outage_reminder_and_closure_come_in_one_run(self) -> None:
        self.tells(
            story(RemindsAndClosesInOneRun),
            "    sweep: close_pending of C-1 is due\n",
            "the policy: remind_customer of C-1 is passed over: close_pending is due as well",
            "your desk:  has sent remind_customer for C-1",
        )

    def test_a_reply_between_sweep_and_closure_is_lost(self) -> None:
        self.tells(
            story(ClosesWhateverItFound),
            "    sweep, first half: close_",
            "    C-1, customer: comment → ",
            "    sweep, second half: close_",
            "is stale: the case has moved on\n",
            "your desk:  C-1 is in closed",
        )

    def test_the_message_about_a_closure_reopens_the_case(self) -> None:
        self.tells(
            story(ReopensWithItsOwnMessage),
            "the policy: C-1 is in closed\n",
            "your desk:  C-1 is in reopened",
        )

    def test_the_zone_is_the_wrong_one(self) -> None:
        self.tells(
            story(CountsInTheServersZone, CountsInTheServersZone.policy),
            "(times of Europe/Berlin)",
            " calendar day",
        )

    def test_another_sub_status_keeps_the_old_clock(self) -> None:
        self.tells(
            story(KeepsTheOldClock),
            "    C-1, agent: pend(",
            "    C-1, agent: pend(customer_input) → pending.customer_input\n",
            " of C-1 is not due before ",
            " in pending.customer_input)\n",
        )

    def test_business_days_come_earlier_with_a_holiday(self) -> None:
        self.tells(
            story(IsNeverDueOnAHoliday, IsNeverDueOnAHoliday.policy),
            " is not due before ",
            " business days in ",
            "; off: 2026-",
        )


def main() -> None:
    """Print the gallery."""
    for desk in OwnDesk.__subclasses__():
        print(f"--- {desk.__doc__}\n\n{story(desk, getattr(desk, 'policy', policies.SUB_STATUS))}\n")


if __name__ == "__main__":
    main()
