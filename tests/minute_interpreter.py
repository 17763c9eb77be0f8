"""The two documents acted out a minute at a time, by a program that is naive on purpose.

It is written from the documents and from the requirements A1 to A18 and B1 to B18, not from the policy
files, and shares nothing with the library: it has no table, no lengths, no calendar and no cutoffs. Its
clock is a number of minutes. Every minute it looks at every case, adds one to the minutes that the case
has been where it is, and asks whether something comes due now. What has come due lies on a heap until
somebody deals with it or the case goes elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field


HOUR = 60
DAY = 24 * HOUR


class Refused(Exception):
    """Nothing happens, for at least one of these ``reasons``."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = set(reasons)


@dataclass(frozen=True)
class Timer:
    """What comes due in a state, and after how many minutes there."""

    after: int
    name: str
    kind: str
    audience: str | None = None


@dataclass(frozen=True)
class Due:
    """What a sweep finds for a case."""

    case_id: str
    stay: int
    timer: str
    kind: str
    audience: str | None
    to: str | None
    since: int
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """What has happened to a case."""

    minute: int
    event: str
    by: str
    actor: str | None
    from_state: str
    to_state: str
    stay: int
    detail: str | tuple[str, ...] | None


@dataclass
class Case:
    """A case, with its minutes in its present state."""

    id: str
    state: str
    entered: int
    asked_from: str | None = None
    assignee: str | None = None
    stay: int = 1
    cloned_from: str | None = None
    clones: list[str] = field(default_factory=list)
    history: list[Entry] = field(default_factory=list)
    minutes: int = 0
    coming: list[Timer] = field(default_factory=list)
    """What has not come due yet, the next one first."""
    heap: list[Timer] = field(default_factory=list)
    """What has come due, in that order, and nobody has dealt with."""
    alarm: int = -1
    """The minutes at which the next of what is coming comes due; none before the end of time."""

    @property
    def last(self) -> int:
        """The minute of the last thing that is known of the case."""
        return max([self.entered, *(entry.minute for entry in self.history[-1:])])


@dataclass(frozen=True)
class Answer:
    """What a document says of an event: where it leads (none: it is recorded), and what it asks for."""

    to: str | None = None
    needs: str | None = None


RECORDED = Answer()


class Desk:
    """What both documents have in common: cases, a clock, things that come due."""

    states: tuple[str, ...]
    events: tuple[str, ...]
    asks_from: tuple[str | None, ...] = (None,)
    """The states that a case kept elsewhere may have been asked from."""
    roles = ("customer", "agent", "system")
    initial = "new"
    sub_statuses: tuple[str, ...] = ()
    automatic: tuple[str, ...] = ("close_pending",)
    """The timers that close a case."""

    def __init__(self) -> None:
        self.minute = 0
        self.cases: list[Case] = []

    # what the documents say

    def answer(self, case: Case, event: str, by: str) -> Answer | None:
        """What becomes of a case by an event; nothing if it is refused."""
        raise NotImplementedError

    def timers(self, state: str) -> list[Timer]:
        """What comes due in a state, the first one first."""
        raise NotImplementedError

    # time

    def wait(self, minutes: int) -> None:
        """Let time go by, a minute at a time."""
        cases = self.cases
        for _ in range(minutes):
            self.minute += 1
            for case in cases:
                case.minutes += 1
                if case.minutes == case.alarm:
                    self.ring(case)

    def ring(self, case: Case) -> None:
        """Put on the heap what comes due this minute."""
        while case.coming and case.coming[0].after == case.minutes:
            case.heap.append(case.coming.pop(0))
        case.alarm = case.coming[0].after if case.coming else -1

    # cases

    def open(self, case_id: str, state: str | None = None) -> Case:
        """A new case, or one that has been kept elsewhere and stands in ``state`` from now on."""
        case = Case(case_id, state or self.initial, self.minute)
        self.cases.append(case)
        self.begin(case)
        return case

    def case(self, case_id: str) -> Case:
        """The case of that name."""
        (found,) = [case for case in self.cases if case.id == case_id]
        return found

    def begin(self, case: Case) -> None:
        """The case has just entered its state: its clock begins again."""
        case.entered = self.minute
        case.minutes = 0
        case.heap = []
        case.coming = list(self.timers(case.state))
        self.ring(case)

    def move(self, case: Case, state: str) -> None:
        """The case enters a state, perhaps the one that it is in."""
        case.state = state
        case.stay += 1
        self.begin(case)

    def write(
        self,
        case: Case,
        event: str,
        by: str,
        before: str,
        *,
        actor: str | None = None,
        detail: str | tuple[str, ...] | None = None,
    ) -> None:
        """Add an entry to the history, once everything has changed."""
        entry = Entry(self.minute, event, by, actor, before, case.state, case.stay, detail)
        case.history.append(entry)

    # events

    def permitted(self, case: Case, by: str) -> tuple[str, ...]:
        """What a role may do with the case now."""
        return tuple(sorted(event for event in self.events if self.answer(case, event, by) is not None))

    def happen(
        self,
        case: Case,
        event: str,
        by: str,
        *,
        sub_status: str | None = None,
        assignee: str | None = None,
        actor: str | None = None,
        minute: int | None = None,
    ) -> None:
        """Something happens to a case now, or is said to have happened at another ``minute``."""
        reasons = self.objections(case, event, by, self.minute if minute is None else minute)
        answer = self.answer(case, event, by)
        if event == "clone":
            reasons.add("refused")  # it makes two cases: it has a door of its own
        if answer is not None:
            for name, given in (("sub_status", sub_status), ("assignee", assignee)):
                if (answer.needs == name and not given) or (answer.needs != name and given is not None):
                    reasons.add("argument")
            if answer.needs == "sub_status" and sub_status and sub_status not in self.sub_statuses:
                reasons.add("sub-status")
        if reasons or answer is None:
            raise Refused(*reasons)
        before = case.state
        self.remember(case, event)
        if answer.needs == "assignee":
            case.assignee = assignee
        if answer.needs == "sub_status":
            self.move(case, f"{answer.to}.{sub_status}")
        elif answer.to is not None:
            self.move(case, answer.to)
        self.write(case, event, by, before, actor=actor, detail=assignee)

    def objections(self, case: Case, event: str, by: str, minute: int) -> set[str]:
        """What is wrong with an event, whatever its arguments."""
        reasons = set()
        if event not in self.events:
            reasons.add("unknown event")
        elif by not in self.roles:
            reasons.add("unknown role")
        elif self.answer(case, event, by) is None:
            reasons.add("refused")
        if minute < case.last:
            reasons.add("too early")
        return reasons

    def remember(self, case: Case, event: str) -> None:
        """What has to be kept of a case before it goes elsewhere."""

    def clone(self, case: Case, new_id: str, by: str) -> Case:
        """Begin a new case that is linked to a closed one."""
        reasons = self.objections(case, "clone", by, self.minute)
        if new_id == case.id or new_id in case.clones:
            reasons.add("taken")
        if reasons:
            raise Refused(*reasons)
        case.clones.append(new_id)
        self.write(case, "clone", by, case.state, detail=new_id)
        clone = self.open(new_id)
        clone.cloned_from = case.id
        return clone

    # what is due

    def sweep(self) -> list[Due]:
        """At most one thing a case: the last that has come due. The others before it are passed over."""
        return [
            Due(
                case_id=case.id,
                stay=case.stay,
                timer=case.heap[-1].name,
                kind=case.heap[-1].kind,
                audience=case.heap[-1].audience,
                to="closed" if case.heap[-1].name in self.automatic else None,
                since=case.entered + case.heap[-1].after,
                skipped=tuple(timer.name for timer in case.heap[:-1]),
            )
            for case in self.cases
            if case.heap
        ]

    def settle(self, due: Due) -> None:
        """Somebody has done what was due: it leaves the heap, with what had come due before it."""
        case = self.case(due.case_id)
        names = [timer.name for timer in case.heap]
        if case.stay != due.stay or due.timer not in names:
            raise Refused("stale")
        place = names.index(due.timer)
        passed = tuple(names[:place])
        before = case.state
        if due.timer in self.automatic:
            self.move(case, "closed")
        else:
            del case.heap[: place + 1]
        self.write(case, due.timer, "system", before, detail=passed or None)

    def next_due(self, case: Case) -> int | None:
        """The minute at which the next thing comes due, or has come due."""
        waiting = [*case.heap, *case.coming]
        return case.entered + waiting[0].after if waiting else None


class SubStatus(Desk):
    """The document with sub-statuses."""

    events = ("start", "pend", "respond", "comment", "note", "confirm", "close", "clone")
    sub_statuses = ("customer_input", "development", "scheduled_support_service", "third_party_provider")
    automatic = ("close_pending", "close_awaiting")
    states = (
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

    def answer(self, case: Case, event: str, by: str) -> Answer | None:  # noqa: PLR0911 - one for each row
        if event == "note" and by == "agent":
            return RECORDED
        if case.state == "closed":  # final; the way on is a clone
            return RECORDED if event == "clone" and by in {"customer", "agent"} else None
        if by == "customer":
            return self._by_customer(case.state, event)
        if by != "agent":
            return None
        if event == "start" and case.state != "in_progress":
            return Answer("in_progress")
        if event == "pend":
            return Answer("pending", needs="sub_status")
        if event == "respond" and case.state != "awaiting_customer_confirmation":
            return Answer("awaiting_customer_confirmation")
        if event == "close":
            return Answer("closed")
        return None

    @staticmethod
    def _by_customer(state: str, event: str) -> Answer | None:
        if event == "comment":
            if state == "awaiting_customer_confirmation":
                return Answer("reopened")
            if state == "pending.customer_input":
                return Answer("update_received")
            return RECORDED
        if event == "confirm" and state == "awaiting_customer_confirmation":
            return Answer("closed")
        return None

    def timers(self, state: str) -> list[Timer]:
        if state == "reopened":
            return [Timer(0, "notify_reopened", "notify", "support")]
        if state == "update_received":
            return [Timer(0, "notify_update_received", "notify", "support")]
        if state == "awaiting_customer_confirmation":
            return [
                Timer(0, "notify_awaiting", "notify", "customer"),
                Timer(14 * DAY, "close_awaiting", "close"),
            ]
        if state == "pending.customer_input":
            return [
                Timer(7 * DAY, "remind_customer", "remind", "customer"),
                Timer(28 * DAY, "close_pending", "close"),
            ]
        if state == "closed":
            return [Timer(1 * DAY, "notify_closed", "notify", "customer")]
        return []


class OpenResolved(Desk):
    """The document with Open and Resolved."""

    events = (
        "assign",
        "start",
        "release",
        "ask",
        "resume",
        "comment",
        "note",
        "resolve",
        "confirm",
        "reopen",
        "close",
    )
    automatic = ("close_pending", "close_resolved")
    states = ("new", "open", "in_progress", "pending_customer", "resolved", "closed")
    asks_from = (None, "open", "in_progress", "gone")

    def answer(self, case: Case, event: str, by: str) -> Answer | None:
        if event == "reopen" and by in {"customer", "agent"} and case.state in {"resolved", "closed"}:
            return Answer(self._back_to_work(case))
        if event == "resolve" and by in {"customer", "agent"}:
            return Answer("resolved") if case.state not in {"resolved", "closed"} else None
        if by == "customer":
            return self._by_customer(case, event)
        if by == "agent":
            return self._by_agent(case, event)
        return None

    @staticmethod
    def _back_to_work(case: Case) -> str:
        return "new" if case.assignee is None else "open"

    @staticmethod
    def _back_from_asking(case: Case) -> str:
        return case.asked_from or "open"

    def _by_customer(self, case: Case, event: str) -> Answer | None:
        if event == "comment":
            if case.state == "pending_customer":
                return Answer(self._back_from_asking(case))
            if case.state == "resolved":  # an objection
                return Answer(self._back_to_work(case))
            return RECORDED
        if event == "confirm" and case.state == "resolved":
            return Answer("closed")
        if event == "close" and case.state != "closed":
            return Answer("closed")
        return None

    def _by_agent(self, case: Case, event: str) -> Answer | None:  # noqa: PLR0911 - one for each row
        state = case.state
        if event == "note":
            return RECORDED
        if event == "assign" and state != "closed":
            return Answer("open" if state == "new" else None, needs="assignee")
        if event == "start" and state == "open":
            return Answer("in_progress")
        if event == "release" and state == "in_progress":
            return Answer("open")
        if event == "ask" and state in {"open", "in_progress", "pending_customer"}:
            return Answer("pending_customer")
        if event == "resume" and state == "pending_customer":
            return Answer(self._back_from_asking(case))
        return None

    def remember(self, case: Case, event: str) -> None:
        if event == "ask" and case.state != "pending_customer":  # asked again: still where it first came from
            case.asked_from = case.state

    def timers(self, state: str) -> list[Timer]:
        if state == "pending_customer":
            return [
                Timer(0, "notify_pending", "notify", "customer"),
                Timer(14 * DAY, "close_pending", "close"),
            ]
        if state == "resolved":
            return [Timer(7 * DAY, "close_resolved", "close")]
        return []
