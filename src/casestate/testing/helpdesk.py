"""What a helpdesk has to be for `casestate.testing.conformance` to run it beside the reference."""

from __future__ import annotations

import inspect

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Final, Protocol, TypeAlias, cast

import attrs

from casestate.errors import CasestateError, Problem, shown


__all__ = [
    "OPTIONAL",
    "Factory",
    "Helpdesk",
    "HelpdeskError",
    "Message",
    "Refused",
    "message_parts",
    "wrong_methods",
]


class Refused(Exception):
    """For an adapter to raise where its desk refuses an event, if it has nothing better."""


@attrs.frozen
class Message:
    """A reminder or a notification that a desk has sent: the case, and the policy's name of the timer."""

    case_id: str
    timer: str


class Helpdesk(Protocol):
    """An adapter to a helpdesk: what a story has to do to it, and to see of it.

    Every instant is given, aware and in UTC: a desk under test reads no clock of its
    own. A new desk is empty; one that is a context manager is entered before its story and left after it.

    The four methods below are required. These are not: what is absent is left out of the stories.

    ``outbox()``
        All reminders and notifications sent so far: for each a `Message`, a pair
        ``(case_id, timer)``, such as a row of a table, or anything with these two attributes,
        such as an `Action`.
        Without it states alone are compared.
    ``clone(case_id, new_id, *, by, at)``
        Clone a case, where the policy has the event ``clone``. Refuses as ``handle`` does.
    ``collect(now)`` and ``carry_out(found, now)``
        The two halves of a sweep: find what is due; do what has been found, which is whatever the
        first half returned. Replies arrive between the two.
    ``crash(now)``
        A sweep that acts (sends) and dies before it settles, and returns.
    """

    def open(self, case_id: str, /, *, at: datetime) -> object:
        """Begin a case."""

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
        """An event by a role happens to a case. To refuse it, return ``False`` or raise.

        `Refused` and every `CasestateError` is a refusal. ``sub_status`` and ``assignee`` are
        passed only where they are given, and only under policies that ask for such a thing.
        """

    def state(self, case_id: str, /) -> str:
        """The state of a case as the policy names it: ``pending.customer_input``."""
        ...

    def sweep(self, now: datetime, /) -> object:
        """Do what is due at ``now``, in one pass: at most one action a case."""


Factory: TypeAlias = Callable[[], Helpdesk | AbstractContextManager[Helpdesk]]


class HelpdeskError(CasestateError, TypeError):
    """What was given is no policy, no factory or no helpdesk: everything that is wrong with it."""

    def __init__(self, subject: str, problems: Iterable[Problem]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        """All of them, each a `Problem` with the argument or the method as its ``path``."""
        super().__init__(subject, self.problems)

    def __str__(self) -> str:
        return f"{self.subject}:" + "".join(f"\n  - {problem}" for problem in self.problems)


def message_parts(message: object) -> tuple[str, str] | None:
    """The case and the timer of a message, in any of its forms; nothing if it is none."""
    parts: tuple[object, ...] = (getattr(message, "case_id", None), getattr(message, "timer", None))
    if parts == (None, None) and isinstance(message, Sequence):
        parts = tuple(cast("Sequence[object]", message))
    match parts:
        case (str(case_id), str(timer)):
            return case_id, timer
        case _:
            return None


_REQUIRED: Final = {
    "open": "open(case_id, *, at)",
    "handle": "handle(case_id, event, *, by, at, sub_status=None, assignee=None)",
    "state": "state(case_id)",
    "sweep": "sweep(now)",
}
OPTIONAL: Final = {
    "outbox": "outbox()",
    "clone": "clone(case_id, new_id, *, by, at)",
    "collect": "collect(now)",
    "carry_out": "carry_out(found, now)",
    "crash": "crash(now)",
}


def wrong_methods(desk: object, given: Iterable[str]) -> Iterator[Problem]:
    """What a desk lacks, or cannot be called with; ``given`` are the arguments that its policy asks for."""
    now = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
    calls: dict[str, tuple[tuple[object, ...], dict[str, object]]] = {
        "open": (("C-1",), {"at": now}),
        "handle": (("C-1", "event"), {"by": "role", "at": now, **dict.fromkeys(given, "name")}),
        "state": (("C-1",), {}),
        "sweep": ((now,), {}),
        "outbox": ((), {}),
        "clone": (("C-1", "C-2"), {"by": "role", "at": now}),
        "collect": ((now,), {}),
        "carry_out": ((None, now), {}),
        "crash": ((now,), {}),
    }
    for name, signature in {**_REQUIRED, **OPTIONAL}.items():
        method = getattr(desk, name, None)
        if method is None:
            if name in _REQUIRED:
                yield Problem(name, f"is missing: a helpdesk has {signature}")
        elif not callable(method):
            yield Problem(name, f"must be a method, {signature}, not {shown(method)}")
        elif inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            yield Problem(name, "must not be async: let the adapter run it, with asyncio.run() for example")
        else:
            positional, keywords = calls[name]
            try:
                inspect.signature(method).bind(*positional, **keywords)
            except TypeError as error:
                yield Problem(name, f"must be callable as {signature}: {error}")
            except ValueError:  # it does not tell its signature
                continue
    for here, there in (("collect", "carry_out"), ("carry_out", "collect")):
        if getattr(desk, here, None) is None and getattr(desk, there, None) is not None:
            yield Problem(here, f"is missing: {OPTIONAL[there]} comes with {OPTIONAL[here]}")
