"""Errors: what they derive from, what they carry, what they say is possible, and that they travel."""

from __future__ import annotations

import copy
import pickle

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

import casestate

from casestate import (
    CaseDataError,
    CasestateError,
    EventRefused,
    InstantError,
    LogError,
    MissingArgument,
    NaiveTimeError,
    NotDue,
    PolicyError,
    Problem,
    StaleAction,
    TimeOrderError,
    UnknownEvent,
    UnknownRole,
    UnknownStatus,
)
from casestate.errors import NaiveCaseTimeError, NaiveLogTimeError, nearest, one_of, shown


if TYPE_CHECKING:
    from collections.abc import Callable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=1)

EXAMPLES: dict[str, Callable[[], CasestateError]] = {
    "EventRefused": lambda: EventRefused("C-1", "close", "new", "customer", ("comment", "note")),
    "EventRefused with a hint": lambda: EventRefused(
        "C-1", "clone", "closed", "agent", ("clone",), "call Workflow.clone(case, new_id, by=…)"
    ),
    "UnknownEvent": lambda: UnknownEvent("colse", ["close", "comment"], "case 'C-1'"),
    "UnknownRole": lambda: UnknownRole("robot", ("customer", "agent")),
    "UnknownStatus": lambda: UnknownStatus("pnding", ("new", "pending"), "case 'C-1': status"),
    "MissingArgument": lambda: MissingArgument("C-1", "assign", "assignee", "needs assignee=, not None"),
    "PolicyError": lambda: PolicyError("desk.toml", [Problem("timers.a.after", "is missing")]),
    "LogError": lambda: LogError("log", [Problem("row 2", "at: is missing"), Problem("", "has no end")]),
    "NaiveLogTimeError": lambda: NaiveLogTimeError("log", [Problem("row 2", "at: is naive")]),
    "CaseDataError": lambda: CaseDataError("case 'C-1'", [Problem("id", "a"), Problem("", "b")]),
    "NaiveCaseTimeError": lambda: NaiveCaseTimeError("case 'C-1'", [Problem("entered_at", "is naive")]),
    "InstantError": lambda: InstantError("at", 3),
    "NaiveTimeError": lambda: NaiveTimeError("at", NOON.replace(tzinfo=None)),
    "TimeOrderError": lambda: TimeOrderError("at", NOON, LATER, "wait"),
    "StaleAction": lambda: StaleAction("C-1", "close_pending", "the case is open"),
    "NotDue": lambda: NotDue("C-1", "close_pending", NOON, LATER, "close_pending waits."),
    "NotDue, nobody knows when": lambda: NotDue("C-1", "close_pending", NOON, None, "It is held back."),
}

EVERY_ERROR = pytest.mark.parametrize("make", EXAMPLES.values(), ids=EXAMPLES.keys())


def test_every_public_error_has_an_example_here() -> None:
    public = {
        name
        for name in casestate.__all__
        if isinstance(value := getattr(casestate, name), type) and issubclass(value, Exception)
    }
    assert public - {"CasestateError"} == {type(make()).__name__ for make in EXAMPLES.values()} - {
        "NaiveCaseTimeError",
        "NaiveLogTimeError",
    }


@EVERY_ERROR
def test_an_error_is_caught_by_the_base_and_by_the_builtin_one_would_name(
    make: Callable[[], CasestateError],
) -> None:
    error = make()
    builtin = LookupError if isinstance(error, (UnknownEvent, UnknownRole, UnknownStatus)) else ValueError
    with pytest.raises(CasestateError) as by_base:
        raise error
    assert by_base.value is error
    with pytest.raises(builtin) as by_builtin:
        raise error
    assert by_builtin.value is error


def test_an_instant_error_stands_for_those_that_know_more() -> None:
    assert issubclass(NaiveTimeError, InstantError)
    assert issubclass(TimeOrderError, InstantError)
    assert not issubclass(NaiveTimeError, TimeOrderError)
    assert issubclass(NaiveCaseTimeError, NaiveTimeError)
    assert issubclass(NaiveCaseTimeError, CaseDataError)
    assert issubclass(NaiveLogTimeError, NaiveTimeError)
    assert issubclass(NaiveLogTimeError, LogError)


@EVERY_ERROR
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_pickling_with_its_message_and_attributes(
    make: Callable[[], CasestateError], protocol: int
) -> None:
    error = make()
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own bytes
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.args == error.args
    assert public(again) == public(error)


@EVERY_ERROR
def test_an_error_can_be_copied(make: Callable[[], CasestateError]) -> None:
    error = make()
    for again in (copy.copy(error), copy.deepcopy(error)):
        assert (type(again), str(again), public(again)) == (type(error), str(error), public(error))


def test_an_error_shows_what_it_was_made_of() -> None:
    assert {name: make().args for name, make in EXAMPLES.items()} == {
        "EventRefused": ("C-1", "close", "new", "customer", ("comment", "note")),
        "EventRefused with a hint": (
            "C-1",
            "clone",
            "closed",
            "agent",
            ("clone",),
            "call Workflow.clone(case, new_id, by=…)",
        ),
        "UnknownEvent": ("colse", ("close", "comment"), "case 'C-1'"),
        "UnknownRole": ("robot", ("customer", "agent"), ""),
        "UnknownStatus": ("pnding", ("new", "pending"), "case 'C-1': status"),
        "MissingArgument": ("C-1", "assign", "assignee", "needs assignee=, not None"),
        "PolicyError": ("desk.toml", ("timers.a.after: is missing",)),
        "LogError": ("log", ("row 2: at: is missing", "has no end")),
        "NaiveLogTimeError": ("log", ("row 2: at: is naive",)),
        "CaseDataError": ("case 'C-1'", ("id: a", "b")),
        "NaiveCaseTimeError": ("case 'C-1'", ("entered_at: is naive",)),
        "InstantError": ("at", 3),
        "NaiveTimeError": ("at", NOON.replace(tzinfo=None)),
        "TimeOrderError": ("at", NOON, LATER, "wait"),
        "StaleAction": ("C-1", "close_pending", "the case is open"),
        "NotDue": ("C-1", "close_pending", NOON, LATER, "close_pending waits."),
        "NotDue, nobody knows when": ("C-1", "close_pending", NOON, None, "It is held back."),
    }


def public(error: CasestateError) -> dict[str, Any]:
    return {
        name: value
        for name in dir(error)
        if not name.startswith("_") and not callable(value := getattr(error, name))
    }


def test_a_refused_event_says_what_was_refused_and_what_is_permitted() -> None:
    error = EventRefused("C-1", "close", "new", "customer", ("comment", "note"))
    assert (error.case_id, error.event, error.state, error.by) == ("C-1", "close", "new", "customer")
    assert error.permitted == ("comment", "note")
    assert error.hint == ""
    assert str(error) == "case 'C-1': 'close' by customer is refused in new; permitted: comment, note"


def test_a_refused_event_may_hint_at_what_to_call() -> None:
    error = EventRefused("C-1", "clone", "closed", "agent", (), "call Workflow.clone")
    assert error.hint == "call Workflow.clone"
    assert str(error) == (
        "case 'C-1': 'clone' by agent is refused in closed; call Workflow.clone; permitted: none"
    )


def test_an_unknown_name_says_which_there_are_and_which_is_near() -> None:
    error = UnknownStatus("pnding", ["new", "pending"], "case 'C-1': status")
    assert (error.name, error.known, error.where) == ("pnding", ("new", "pending"), "case 'C-1': status")
    assert str(error) == (
        "case 'C-1': status: unknown status 'pnding'; did you mean 'pending'? (there are: new, pending)"
    )
    assert str(UnknownEvent("x", ("close",))) == "unknown event 'x' (there are: close)"
    assert str(UnknownRole("x", ())) == "unknown role 'x' (there are: none)"
    assert UnknownRole("x", ()).where == ""


def test_a_missing_argument_names_the_event_and_the_argument() -> None:
    error = MissingArgument("C-1", "assign", "assignee", "needs assignee=, not None")
    assert (error.case_id, error.event, error.argument) == ("C-1", "assign", "assignee")
    assert error.problem == "needs assignee=, not None"
    assert str(error) == "case 'C-1': 'assign' needs assignee=, not None"


def test_one_problem_stands_in_the_sentence_and_several_in_a_list() -> None:
    one = PolicyError("desk.toml", [Problem("timers.a.after", "is missing")])
    assert str(one) == "desk.toml: timers.a.after: is missing"
    assert (one.subject, one.problems) == ("desk.toml", (Problem("timers.a.after", "is missing"),))
    two = CaseDataError("case 'C-1'", iter([Problem("id", "is missing"), Problem("", "is odd")]))
    assert str(two) == "case 'C-1': 2 problems\n  - id: is missing\n  - is odd"
    assert [problem.path for problem in two.problems] == ["id", ""]


def test_naive_case_data_is_a_naive_time_too() -> None:
    error = NaiveCaseTimeError("case 'C-1'", [Problem("entered_at", "is naive")])
    assert str(error) == "case 'C-1': entered_at: is naive"
    assert (error.what, error.value) == ("case 'C-1'", error.problems)
    assert error.subject == "case 'C-1'"


def test_a_naive_log_is_a_naive_time_too() -> None:
    error = NaiveLogTimeError("log", [Problem("row 2", "at: is naive")])
    assert str(error) == "log: row 2: at: is naive"
    assert (error.what, error.value) == ("log", error.problems)


def test_what_is_no_instant_is_told_what_one_is() -> None:
    error = InstantError("at", "yesterday")
    assert (error.what, error.value) == ("at", "yesterday")
    assert str(error) == (
        "at: an instant is an aware datetime between the years 1 and 9999 in UTC, not 'yesterday'"
    )


def test_a_naive_time_is_told_how_to_make_an_aware_one() -> None:
    error = NaiveTimeError("now", NOON.replace(tzinfo=None))
    assert (error.what, error.value) == ("now", datetime(2026, 3, 1, 12))  # noqa: DTZ001 - naive is the point
    assert str(error) == (
        "now: 2026-03-01 12:00:00 has no time zone; give one ('2026-03-01T12:00Z', datetime.now(UTC))"
    )


def test_an_instant_out_of_order_is_told_the_earliest_possible() -> None:
    error = TimeOrderError("case 'C-1': at", NOON, LATER)
    assert (error.what, error.value, error.earliest, error.hint) == ("case 'C-1': at", NOON, LATER, "")
    assert str(error) == (
        "case 'C-1': at: 2026-03-01 12:00:00+00:00 is before 2026-03-02 12:00:00+00:00, "
        "the last instant known"
    )
    assert str(TimeOrderError("at", NOON, LATER, "wait")).endswith("the last instant known; wait")


def test_a_stale_action_says_why_and_what_to_do() -> None:
    error = StaleAction("C-1", "close_pending", "the case is open")
    assert (error.case_id, error.timer, error.reason) == ("C-1", "close_pending", "the case is open")
    assert str(error) == ("case 'C-1': 'close_pending' is stale: the case is open; drop it and sweep again")


def test_what_is_not_due_says_when_it_will_be() -> None:
    error = NotDue("C-1", "close_pending", NOON, LATER, "close_pending waits.")
    assert (error.case_id, error.timer, error.at, error.due_at) == ("C-1", "close_pending", NOON, LATER)
    assert error.reason == "close_pending waits."
    assert str(error) == (
        "case 'C-1': 'close_pending' is not due at 2026-03-01 12:00:00+00:00: close_pending waits."
    )


def test_a_problem_is_its_own_sentence_with_a_path_and_a_message() -> None:
    problem = Problem("timers.close.after", "is missing")
    assert problem == "timers.close.after: is missing"
    assert isinstance(problem, str)
    assert (problem.path, problem.message) == ("timers.close.after", "is missing")
    assert Problem("", "is missing") == "is missing"
    assert f"{problem}!" == "timers.close.after: is missing!"


@pytest.mark.parametrize("problem", [("a.b", "is odd"), ("", "is odd"), ("a: b", "c: d")])
def test_a_problem_survives_pickling_and_copying(problem: tuple[str, str]) -> None:
    made = Problem(*problem)
    for again in (
        *(pickle.loads(pickle.dumps(made, protocol)) for protocol in (2, 3, 4, 5)),  # noqa: S301
        copy.copy(made),
        copy.deepcopy(made),
    ):
        assert type(again) is Problem
        assert (again, again.path, again.message) == (str(made), *problem)


def test_the_nearest_name_is_hinted_at_only_if_one_is_near() -> None:
    assert nearest("clsoe", ["comment", "close"]) == "; did you mean 'close'?"
    assert nearest("clsoe", iter(["closed", "close", "clone"])) == "; did you mean 'close'?"
    assert nearest("no", ["note"]) == "; did you mean 'note'?"
    assert nearest("zzz", ["comment", "close"]) == ""
    assert nearest("close", []) == ""
    assert nearest(12, ["'12'", "12"]) == "; did you mean '12'?"


def test_names_are_listed_and_none_is_said() -> None:
    assert one_of(["a", "b"]) == "a, b"
    assert one_of(iter(["a"])) == "a"
    assert one_of(()) == "none"


def test_a_value_is_shown_however_long_or_deep_it_is() -> None:
    assert shown("new") == "'new'"
    assert shown("x" * 198) == repr("x" * 198)
    assert shown("x" * 199) == "'" + "x" * 199 + "…"
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "a value too large to show (list)"
    assert shown(10**5000) == "a value too large to show (int)"
    assert "a value too large to show (list)" in str(InstantError("at", deep))


def test_an_instant_of_another_zone_is_shown_as_it_was_given() -> None:
    late = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))
    assert repr(late) in str(InstantError("at", late))
