"""What can go wrong, in the words of the one it happens to.

Every error derives from `CasestateError` and from the builtin that one would
catch anyway. Each carries what was refused and what is possible instead as
plain attributes, makes its message only when it is asked for, and survives
pickling, because sweeps run in worker processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

__all__ = [
    "CaseDataError",
    "CasestateError",
    "EventRefused",
    "InstantError",
    "LogError",
    "MissingArgument",
    "NaiveTimeError",
    "NotDue",
    "PolicyError",
    "Problem",
    "StaleAction",
    "TimeOrderError",
    "UnknownEvent",
    "UnknownRole",
    "UnknownStatus",
]


MOST_SHOWN: Final = 200


def shown(value: object) -> str:
    """A value as a message shows it, however long or deep it is."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or a number of too many digits
        return f"a value too large to show ({type(value).__name__})"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def key_text(key: object) -> str:
    """A key of a table as a path shows it, whatever it is."""
    text = str.__str__(key) if isinstance(key, str) else shown(key)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def nearest(name: object, known: Iterable[str]) -> str:
    """A hint such as ``; did you mean 'pending'?``, or nothing if no name is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a message needs it

    text = name if isinstance(name, str) else shown(name)
    matches = get_close_matches(text, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def one_of(known: Iterable[str]) -> str:
    """The names there are, as a sentence says them."""
    return ", ".join(known) or "none"


class Problem(str):
    """One thing that is wrong, and where: ``timers.close_pending.after: …``.

    It is the sentence itself, so that a list of problems prints as it is.
    """

    path: str
    """The place, such as ``timers.close_pending.after`` or ``entered_at``."""
    message: str
    """What is wrong there, and what is possible instead."""

    __slots__ = ("message", "path")

    def __new__(cls, path: str, message: str) -> Problem:  # noqa: PYI034 - nobody derives from it
        problem = super().__new__(cls, f"{path}: {message}" if path else message)
        problem.path = path
        problem.message = message
        return problem

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]  # str's own has one text
        return (self.path, self.message)


class CasestateError(Exception):
    """The base of every error that this library raises."""


class EventRefused(CasestateError, ValueError):
    """The policy has no row for this event, in this state, by this role.

    Made of ``case_id, event, state, by, permitted`` and perhaps a ``hint``, in
    that order. It only keeps them, because a desk that asks by trying is refused
    as often as not.
    """

    @property
    def case_id(self) -> str:
        """The case that stays as it was."""
        return cast("str", self.args[0])

    @property
    def event(self) -> str:
        """The event that was refused."""
        return cast("str", self.args[1])

    @property
    def state(self) -> str:
        """The state that the case is in."""
        return cast("str", self.args[2])

    @property
    def by(self) -> str:
        """The role that is not permitted the event."""
        return cast("str", self.args[3])

    @property
    def permitted(self) -> tuple[str, ...]:
        """The events that this role may cause now: `Workflow.allowed`."""
        return cast("tuple[str, ...]", self.args[4])

    @property
    def hint(self) -> str:
        """What to call instead, if there is such a thing."""
        return "".join(self.args[5:])

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return (
            f"case {self.case_id!r}: {self.event!r} by {self.by} is refused in {self.state}{hint}; "
            f"permitted: {one_of(self.permitted)}"
        )


class _UnknownName(CasestateError, LookupError):
    """A name that the policy does not have."""

    _what = "name"

    def __init__(self, name: str, known: Sequence[str], where: str = "") -> None:
        super().__init__(name, tuple(known), where)
        self.name = name
        self.known = tuple(known)
        """The names that exist, in the policy's order."""
        self.where = where

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        hint = nearest(self.name, self.known)
        return f"{where}unknown {self._what} {shown(self.name)}{hint} (there are: {one_of(self.known)})"


class UnknownEvent(_UnknownName):
    """No row of the policy has this event."""

    _what = "event"


class UnknownRole(_UnknownName):
    """The policy does not name this role."""

    _what = "role"


class UnknownStatus(_UnknownName):
    """The policy has no such status, sub-status or state."""

    _what = "status"


class MissingArgument(CasestateError, ValueError):
    """An event lacks an argument that its row needs, or has one that it does not take."""

    def __init__(self, case_id: str, event: str, argument: str, problem: str) -> None:
        super().__init__(case_id, event, argument, problem)
        self.case_id = case_id
        self.event = event
        self.argument = argument
        """``sub_status`` or ``assignee``."""
        self.problem = problem

    def __str__(self) -> str:
        return f"case {self.case_id!r}: {self.event!r} {self.problem}"


class _Problems(CasestateError, ValueError):
    """Several things that are wrong at once."""

    def __init__(self, subject: str, problems: Iterable[Problem]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        """All of them, each a `Problem` with its ``path``."""
        super().__init__(subject, self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"{self.subject}: {self.problems[0]}"
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        return f"{self.subject}: {len(self.problems)} problems{lines}"


class PolicyError(_Problems):
    """A policy says something that cannot be, or cannot be read."""


class CaseDataError(_Problems):
    """The data of a case cannot be, field by field."""


class LogError(_Problems):
    """A log of the past, or the map that it is read by, says something that cannot be, or cannot be read."""


class InstantError(CasestateError, ValueError):
    """What was given as an instant is none."""

    def __init__(self, what: str, value: object) -> None:
        super().__init__(what, value)
        self.what = what
        """The argument or field."""
        self.value = value

    def __str__(self) -> str:
        return (
            f"{self.what}: an instant is an aware datetime between the years 1 and 9999 in UTC, "
            f"not {shown(self.value)}"
        )


class NaiveTimeError(InstantError):
    """A datetime without a time zone: nobody knows which instant it means."""

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.value!s} has no time zone; give one ('2026-03-01T12:00Z', datetime.now(UTC))"
        )


class _NaiveProblems(_Problems, NaiveTimeError):
    """Several things that are wrong at once, an instant without a time zone among them."""

    def __init__(self, subject: str, problems: Iterable[Problem]) -> None:
        _Problems.__init__(self, subject, problems)
        self.what = subject
        self.value = self.problems

    __str__ = _Problems.__str__


class NaiveCaseTimeError(_NaiveProblems, CaseDataError):
    """Case data of which an instant has no time zone."""


class NaiveLogTimeError(_NaiveProblems, LogError):
    """A log of which an instant has no time zone, and nobody said which it is."""


class TimeOrderError(InstantError):
    """An instant before one that has already been seen: time goes forward only."""

    def __init__(self, what: str, value: datetime, earliest: datetime, hint: str = "") -> None:
        super().__init__(what, value)
        self.args = (what, value, earliest, hint)
        self.earliest = earliest
        """The earliest instant that is possible."""
        self.hint = hint

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.what}: {self.value} is before {self.earliest}, the last instant known{hint}"


class StaleAction(CasestateError, ValueError):
    """The case has moved on since the action was returned: there is nothing to do any more."""

    def __init__(self, case_id: str, timer: str, reason: str) -> None:
        super().__init__(case_id, timer, reason)
        self.case_id = case_id
        self.timer = timer
        self.reason = reason

    def __str__(self) -> str:
        return f"case {self.case_id!r}: {shown(self.timer)} is stale: {self.reason}; drop it and sweep again"


class NotDue(CasestateError, ValueError):
    """A timer cannot be settled yet."""

    def __init__(self, case_id: str, timer: str, at: datetime, due_at: datetime | None, reason: str) -> None:
        super().__init__(case_id, timer, at, due_at, reason)
        self.case_id = case_id
        self.timer = timer
        self.at = at
        self.due_at = due_at
        """When it comes due, as far as that is known."""
        self.reason = reason

    def __str__(self) -> str:
        return f"case {self.case_id!r}: {self.timer!r} is not due at {self.at}: {self.reason}"
