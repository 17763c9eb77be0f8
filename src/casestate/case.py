"""Where one case stands, and how it came there.

A `Case` is three values and a moment: its state, the last timer settled in this
stay, and when the stay began. Everything else on it is for people and for
bookkeeping. Cases and the entries of their history are frozen; nothing takes
an entry away.
"""

from __future__ import annotations

import sys

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, cast, final

import attrs

from casestate.clock import format_instant, instant, parse_instant
from casestate.errors import (
    CaseDataError,
    InstantError,
    NaiveCaseTimeError,
    NaiveTimeError,
    Problem,
    key_text,
    nearest,
    one_of,
    shown,
)


__all__ = ["Action", "Case", "Change", "standing"]

_T = TypeVar("_T")

_CHANGE_SLOTS = ("at", "event", "by", "actor", "from_state", "to_state", "stay", "detail")
_CASE_SLOTS = (
    "id",
    "status",
    "sub_status",
    "entered_at",
    "policy",
    "stay",
    "previous",
    "assignee",
    "settled",
    "settled_at",
    "opened_at",
    "cloned_from",
    "clones",
    "history",
    "state",
    "standing",
    "changed_at",
)
_FIELDS = _CASE_SLOTS[:-3]


class _Draft:
    """The slots of a frozen record while it is being filled.

    The workflow fills the slots and then makes the draft what it is (its
    ``__class__``): a third of the price of a frozen ``__init__`` that checks
    again what the table has already decided.
    """

    __slots__ = ()


class ChangeDraft(_Draft):
    """A `Change` being filled."""

    __slots__ = _CHANGE_SLOTS


class _Swept(_Draft):
    """The slots that a sweep reads of every case, side by side: one look at memory instead of two."""

    __slots__ = ("entered_at", "standing")


class CaseDraft(_Swept):
    """A `Case` being filled."""

    __slots__ = tuple(slot for slot in _CASE_SLOTS if slot not in _Swept.__slots__)


@attrs.frozen(kw_only=True, weakref_slot=False)
class Change(ChangeDraft):
    """An entry of a case's history: what happened, when, and by whom.

    ``event`` is an event's name, or a timer's for one that was settled;
    ``by`` a role and ``actor`` whoever took it. ``stay`` is the number of the
    stay the case is in since then. ``detail`` is the new assignee, the clone's
    id, or the timers passed over.

    Raises `CaseDataError` or `NaiveTimeError`, as `Case` does.
    """

    at: datetime
    event: str
    by: str
    actor: str | None = None
    from_state: str
    to_state: str
    stay: int
    detail: str | tuple[str, ...] | None = None

    def __attrs_post_init__(self) -> None:
        fields = {name: getattr(self, name) for name in _CHANGE_SLOTS}
        for name, value in _Fields(fields).change().items():
            object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, object]:
        """The entry as a JSON-ready mapping."""
        data = {name: getattr(self, name) for name in _CHANGE_SLOTS}
        detail = self.detail
        return {
            **data,
            "at": format_instant(self.at),
            "detail": list(detail) if isinstance(detail, tuple) else detail,
        }


@final
@attrs.frozen(kw_only=True, weakref_slot=False)
class Case(CaseDraft):
    """Where a case stands. Only ``id``, ``status`` (``sub_status``) and ``entered_at`` are needed.

    Instants are aware datetimes and are kept in UTC. ``settled`` names the last
    timer dealt with in this stay, ``settled_at`` says when; ``stay`` counts the
    visits to states from 1; ``previous`` is the state that the present run of
    stays in this status was entered from.

    Raises `CaseDataError` with a problem for each field that cannot be; if one
    of them is an instant without a time zone, the error is a `NaiveTimeError` as well.
    """

    id: str
    status: str
    sub_status: str | None = None
    entered_at: datetime
    policy: str | None = None
    stay: int = 1
    previous: str | None = None
    assignee: str | None = None
    settled: str | None = None
    settled_at: datetime | None = None
    opened_at: datetime | None = None
    cloned_from: str | None = None
    clones: tuple[str, ...] = ()
    history: tuple[Change, ...] = ()
    state: str = attrs.field(init=False, repr=False, eq=False)
    """``status``, or ``status.sub_status``: the name of the state."""
    changed_at: datetime = attrs.field(init=False, repr=False, eq=False)
    """The last instant that the case knows of: nothing can happen to it before."""
    standing: str = attrs.field(init=False, repr=False, eq=False)
    """Policy, state and settled timer as one interned text: a sweep needs a single look-up."""

    def __attrs_post_init__(self) -> None:
        fields = {name: getattr(self, name) for name in _FIELDS}
        for name, value in _Fields(fields).case().items():
            object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, object]:
        """The case as a JSON-ready mapping; `from_dict` reads it back exactly."""
        data = {name: getattr(self, name) for name in _FIELDS}
        for name in _INSTANTS:
            if data[name] is not None:
                data[name] = format_instant(data[name])
        data["clones"] = list(self.clones)
        data["history"] = [change.to_dict() for change in self.history]
        return data

    @staticmethod
    def from_dict(data: Mapping[str, object]) -> Case:
        """Read a case from a mapping such as `to_dict` writes; instants are ISO 8601 text or datetimes.

        Raises `CaseDataError` with a problem for each field that cannot be; if one
        of them is an instant without a time zone, the error is a `NaiveTimeError` as well.
        """
        if not isinstance(data, Mapping):
            raise CaseDataError("case", [Problem("", f"must be a mapping of fields, not {shown(data)}")])
        return _filled(Case, CaseDraft(), _Fields(data, textual=True).case())


def standing(policy: str | None, state: str, settled: str | None) -> str:
    """The key by which a sweep finds what is due for a case; no two cases share one by chance."""
    return sys.intern(f"{policy or ''}/{state}/{settled or ''}")


_MOST: Final = (1 << 63) - 1
"""The highest whole number that databases and dataframes keep."""
_INSTANTS: Final = ("entered_at", "settled_at", "opened_at")


def _filled(cls: type[_T], draft: _Draft, fields: Mapping[str, object]) -> _T:
    for name, value in fields.items():
        setattr(draft, name, value)
    draft.__class__ = cls  # type: ignore[assignment]  # the same slots, under the class that is frozen
    return cast("_T", draft)


class _Fields:
    """Checks the fields of one case, all of them, and returns what they mean."""

    def __init__(self, data: Mapping[str, object], *, textual: bool = False) -> None:
        self.data = data
        self.textual = textual
        self.problems: list[Problem] = []
        self.naive = False

    def case(self) -> dict[str, object]:
        self.known(_FIELDS, required=("id", "status", "entered_at"))
        fields: dict[str, object] = {
            "id": self.text("id"),
            "status": self.part("status"),
            "sub_status": self.optional("sub_status", self.part),
            "entered_at": self.instant("entered_at"),
            "policy": self.optional("policy", self.word),
            "stay": self.count(self.data.get("stay", 1), "stay"),
            "previous": self.optional("previous", self.word),
            "assignee": self.optional("assignee", self.text),
            "settled": self.optional("settled", self.word),
            "settled_at": self.optional("settled_at", self.instant),
            "opened_at": self.optional("opened_at", self.instant),
            "cloned_from": self.optional("cloned_from", self.text),
            "clones": self.several("clones"),
            "history": self.history(),
        }
        self.settling(fields)
        self.check(f"case {shown(self.data.get('id', '(without an id)'))}")
        sub_status = fields["sub_status"]
        state = fields["status"] if sub_status is None else f"{fields['status']}.{sub_status}"
        fields["state"] = sys.intern(cast("str", state))
        fields["standing"] = standing(
            cast("str | None", fields["policy"]), cast("str", state), cast("str | None", fields["settled"])
        )
        fields["changed_at"] = self.latest(fields)
        return fields

    def settling(self, fields: Mapping[str, object]) -> None:
        """Check that what is said of the last settled timer fits together."""
        bad = {problem.path for problem in self.problems}
        for here, there in (("settled_at", "settled"), ("settled", "settled_at")):
            if fields[here] is None and fields[there] is not None and not {here, there} & bad:
                self.wrong(here, f"is missing: {there} says that a timer of this stay has been settled")
        entered_at, settled_at = fields["entered_at"], fields["settled_at"]
        if isinstance(settled_at, datetime) and isinstance(entered_at, datetime) and settled_at < entered_at:
            self.wrong("settled_at", f"{settled_at} is before the stay began ({entered_at})")

    @staticmethod
    def latest(fields: Mapping[str, object]) -> datetime:
        history = cast("tuple[Change, ...]", fields["history"])
        known = (*(fields[name] for name in _INSTANTS), history[-1].at if history else None)
        return max(moment for moment in known if isinstance(moment, datetime))

    def history(self) -> tuple[Change, ...]:
        changes: list[Change] = []
        for number, entry in enumerate(self.entries(self.data.get("history", ()), "history")):
            path = f"history[{number}]"
            change = entry if isinstance(entry, Change) else self.entry(entry, path)
            if change is None:
                continue
            if changes and change.at < changes[-1].at:
                self.wrong(f"{path}.at", f"{change.at} is before the entry above it ({changes[-1].at})")
            changes.append(change)
        return tuple(changes)

    def entry(self, entry: object, path: str) -> Change | None:
        if not isinstance(entry, Mapping):
            self.wrong(path, f"must be an entry of the history, not {shown(entry)}")
            return None
        inner = _Fields(cast("Mapping[str, object]", entry), textual=True)
        try:
            return _filled(Change, ChangeDraft(), inner.change())
        except CaseDataError as error:
            self.naive = self.naive or inner.naive
            self.problems += [
                Problem(f"{path}.{problem.path}", problem.message) for problem in error.problems
            ]
            return None

    def change(self) -> dict[str, object]:
        self.known(_CHANGE_SLOTS, required=("at", "event", "by", "from_state", "to_state", "stay"))
        read_detail: Callable[[str], object] = (
            self.text if isinstance(self.data.get("detail"), str) else self.several
        )
        fields: dict[str, object] = {
            "at": self.instant("at"),
            "event": self.word("event"),
            "by": self.word("by"),
            "actor": self.optional("actor", self.text),
            "from_state": self.word("from_state"),
            "to_state": self.word("to_state"),
            "stay": self.count(self.data.get("stay", 1), "stay"),
            "detail": self.optional("detail", read_detail),
        }
        self.check("history entry")
        return fields

    def check(self, subject: str) -> None:
        if self.problems:
            raise (NaiveCaseTimeError if self.naive else CaseDataError)(subject, self.problems)

    def wrong(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def known(self, known: Sequence[str], *, required: Sequence[str]) -> None:
        for name in self.data:
            if name not in known:
                self.wrong(
                    key_text(name), f"unknown field{nearest(name, known)} (there are: {one_of(known)})"
                )
        for name in required:
            if self.data.get(name) is None:
                self.wrong(name, "is missing")

    def optional(self, name: str, read: Callable[[str], _T]) -> _T | None:
        return None if self.data.get(name) is None else read(name)

    def text(self, name: str) -> str:
        value = self.data.get(name)
        if value is not None and (not isinstance(value, str) or not value):
            self.wrong(name, f"must be text, not {shown(value)}")
        # A subclass (an enum's member, say) may print and compare by rules of its own.
        return str.__str__(value) if isinstance(value, str) else cast("str", value)

    def word(self, name: str) -> str:
        """Text that many cases share: kept once."""
        value = self.text(name)
        return sys.intern(value) if isinstance(value, str) else value

    def part(self, name: str) -> str:
        """Half of a state: status and sub-status stand apart."""
        value = self.word(name)
        if isinstance(value, str) and "." in value:
            status, _, sub_status = value.partition(".")
            self.wrong(name, f"{value!r} is a whole state: give status={status!r}, sub_status={sub_status!r}")
        return value

    def entries(self, value: object, path: str) -> Sequence[object]:
        if isinstance(value, (list, tuple)):
            return cast("Sequence[object]", value)
        self.wrong(path, f"must be a list, not {shown(value)}")
        return ()

    def several(self, name: str) -> tuple[str, ...]:
        entries = self.entries(self.data.get(name, ()), name)
        for number, entry in enumerate(entries):
            if not isinstance(entry, str) or not entry:
                self.wrong(f"{name}[{number}]", f"must be text, not {shown(entry)}")
        return tuple(str.__str__(entry) for entry in entries if isinstance(entry, str))

    def count(self, value: object, name: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
            self.wrong(name, f"must be a whole number from 1 on, not {shown(value)}")
        return cast("int", value)

    def instant(self, name: str) -> datetime:
        value: Any = self.data.get(name)
        if value is not None:
            try:
                return (parse_instant if self.textual else instant)(value, name)
            except InstantError as error:
                self.naive = self.naive or isinstance(error, NaiveTimeError)
                self.problems.append(Problem(name, str(error).removeprefix(f"{name}: ")))
        return cast("datetime", None)


class ActionDraft(_Draft):
    """An `Action` being filled."""

    __slots__ = ("audience", "case_id", "due_at", "entered_at", "kind", "skipped", "stay", "timer", "to")


@attrs.frozen(kw_only=True, weakref_slot=False)
class Action(ActionDraft):
    """A timer that is due for one case: what the evaluator returns, for the caller to act on.

    ``due_at`` is when it came due; ``skipped`` names the timers passed over;
    ``to`` is the state that settling it moves the case to, none for a reminder
    or a notification.
    """

    case_id: str
    stay: int
    entered_at: datetime
    timer: str
    kind: str
    audience: str | None
    due_at: datetime
    to: str | None
    skipped: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The idempotency key of whatever the caller sends: ``C-1042:3:close_pending``."""
        return f"{self.case_id}:{self.stay}:{self.timer}"

    def to_dict(self) -> dict[str, object]:
        """The action as a JSON-ready mapping, as ``casestate due --format jsonl`` writes it."""
        return {
            "case_id": self.case_id,
            "stay": self.stay,
            "entered_at": format_instant(self.entered_at),
            "timer": self.timer,
            "kind": self.kind,
            "audience": self.audience,
            "due_at": format_instant(self.due_at),
            "to": self.to,
            "skipped": list(self.skipped),
            "key": self.key,
        }
