"""Hostile input, a few thousand times, always the same: `fuzz` itself tries as many as there is time for."""

from __future__ import annotations

import enum
import time

from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from casestate import (
    Calendar,
    Case,
    CaseDataError,
    InstantError,
    Length,
    ManualClock,
    Policy,
    PolicyError,
    StaleAction,
    UnknownRole,
    Workflow,
    load_policy,
)
from casestate import policies as documented
from fuzz import TARGETS, Agreeable, Hang, Mischief, Tally, attempt, deep, main, patience, rude


if TYPE_CHECKING:
    from collections.abc import Callable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HUGE = 10**5_000
LONG = "X" * 1_000


@pytest.mark.parametrize("name", TARGETS)
def test_of_hostile_input_comes_a_result_or_an_error_of_the_library(name: str) -> None:
    outcome = attempt(TARGETS[name], range(250))
    assert not outcome.defects, "\n".join(trace for _, trace in outcome.defects.values())
    assert outcome.inputs == 250
    assert outcome.tally["accepted"] >= 10  # something else than the first door is tried
    assert outcome.tally.total() - outcome.tally["accepted"] >= 50


# --- the search can fail -----------------------------------------------------


def test_any_other_error_is_a_defect_and_can_be_seen_again() -> None:
    def one_in_many(chance: Random, tally: Tally) -> None:
        if chance.randrange(50) == 0:
            tally.tried({}.__getitem__, "absent")

    outcome = attempt(one_in_many, range(500))
    ((kind, (number, trace)),) = outcome.defects.items()
    assert kind.startswith("KeyError in fuzz.py:")
    assert "KeyError: 'absent'" in trace
    assert attempt(one_in_many, [number]).defects.keys() == {kind}


def test_what_takes_too_long_is_a_defect() -> None:
    def endless(_chance: Random, _tally: Tally) -> None:
        while True:
            pass

    began = time.monotonic()
    assert [kind.partition(" ")[0] for kind in attempt(endless, [0], wait=0.05).defects] == ["Hang"]
    assert time.monotonic() - began < 5
    with patience(60):
        pass
    with pytest.raises(Hang), patience(0.01):
        time.sleep(5)


def test_what_a_method_of_an_object_raises_comes_through() -> None:
    tally = Tally()

    def raising() -> None:
        raise Mischief

    assert tally.tried(raising) is None
    assert tally == {"Mischief": 1}
    assert tally.tried(load_policy, "nowhere") is None
    assert tally == {"Mischief": 1, "PolicyError": 1}


def test_the_search_tells_what_it_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["instants", "--inputs", "20", "--seed", "1"]) == 0
    assert capsys.readouterr().out.startswith("instants: 20 inputs in ")
    with pytest.raises(SystemExit):
        main(["sorcery"])
    assert "no target sorcery (there are: policy_bytes, " in capsys.readouterr().err


def test_the_search_ends_when_its_time_is_up() -> None:
    assert attempt(TARGETS["instants"], range(10), until=time.monotonic()).inputs == 0


def test_objects_are_rude_in_many_ways() -> None:
    made = [rude(Random(number)) for number in range(300)]
    assert len({type(value).__mro__[1] for value in made}) > 5


# --- what it has found, and what reading with its eyes has --------------------

KEYS: list[tuple[object, str]] = [
    (HUGE, "a value too large to show (int)"),
    (deep(5_000, lambda value: (value,)), "a value too large to show (tuple)"),
    (LONG, "X" * 200 + "…"),
    (None, "None"),
]


@pytest.mark.parametrize(("key", "shown"), KEYS, ids=["huge", "deep", "long", "none"])
def test_a_key_is_shown_in_a_path_however_large_it_is(key: str, shown: str) -> None:
    tree: dict[str, Any] = documented.SUB_STATUS.to_dict()
    for top, path in (
        ({**tree, key: 1}, shown),
        ({**tree, "statuses": {**tree["statuses"], key: {}}}, f"statuses.{shown}"),
        ({**tree, "calendar": {key: {}}}, f"calendar.{shown}"),
    ):
        with pytest.raises(PolicyError) as refused:
            Policy.from_dict(top)
        assert refused.value.problems[0].path == path
    with pytest.raises(PolicyError) as refused:
        documented.SUB_STATUS.override({"timers": {key: False}})
    assert refused.value.problems[0].path == f"timers.{shown}"
    with pytest.raises(CaseDataError) as bad:
        Case.from_dict({"id": "C-1", "status": "new", "entered_at": NOON, key: 1})
    assert bad.value.problems[0].path == shown
    desk = Workflow(documented.SUB_STATUS)
    with pytest.raises(PolicyError) as refused:
        desk.migrate(desk.open("C-1", at=NOON), desk, {key: "new"}, at=NOON)
    assert refused.value.problems[0].path == f"states.{shown}"


@pytest.mark.parametrize("length", [HUGE, deep(5_000, lambda value: [value])], ids=["huge", "deep"])
def test_a_clock_says_that_no_length_is_one_however_large_it_is(length: float) -> None:
    clock = ManualClock(NOON)
    with pytest.raises(InstantError, match="a value too large to show"):
        clock.advance(days=length)
    with pytest.raises(InstantError, match="a value too large to show"):
        clock.advance(length)  # type: ignore[arg-type]  # that is the question
    assert clock() == NOON


def test_who_equals_every_role_is_none() -> None:
    desk = Workflow(documented.SUB_STATUS)
    case = desk.open("C-1", at=NOON)
    anybody: Any = Agreeable()
    calls: list[Callable[[], object]] = [
        lambda: desk.apply(case, "close", by=anybody, at=NOON),
        lambda: desk.allowed(case, by=anybody),
        lambda: desk.allowed(case, by=[]),  # type: ignore[arg-type]  # that is the question
    ]
    for call in calls:
        with pytest.raises(UnknownRole):
            call()


@pytest.mark.parametrize(
    "value", [HUGE, deep(5_000, lambda value: [value]), None], ids=["huge", "deep", "none"]
)
def test_an_action_of_anything_is_stale(value: object) -> None:
    desk = Workflow(documented.SUB_STATUS)
    case = desk.apply(desk.open("C-1", at=NOON), "respond", by="agent", at=NOON)
    (action,) = desk.due([case], now=NOON)
    for name in ("case_id", "stay", "entered_at", "timer"):
        odd: dict[str, Any] = {name: value}
        with pytest.raises(StaleAction, match="drop it and sweep again"):
            desk.settle(case, attrs.evolve(action, **odd), at=NOON)


class Word(enum.StrEnum):
    """Names that print as something else."""

    ASSIGN = "assign"
    AGENT = "agent"
    MIRA = "mira"
    CLONE = "C-2"

    def __str__(self) -> str:
        return "a word"


def test_an_enum_leaves_plain_text_in_the_history() -> None:
    desk = Workflow(documented.OPEN_RESOLVED)
    case = desk.open("C-1", at=NOON)
    case = desk.apply(case, Word.ASSIGN, by=Word.AGENT, actor=Word.MIRA, assignee=Word.MIRA, at=NOON)
    (change,) = case.history
    texts = [change.event, change.by, change.actor, change.detail, case.assignee]
    desk = Workflow(documented.SUB_STATUS)
    closed = desk.apply(desk.open("C-1", at=NOON), "close", by="agent", at=NOON)
    original, clone = desk.clone(closed, Word.CLONE, by=Word.AGENT, actor=Word.MIRA, at=NOON)
    change = original.history[-1]
    texts += [change.by, change.actor, change.detail, clone.id, *original.clones]
    assert texts == ["assign", "agent", "mira", "mira", "mira", "agent", "mira", "C-2", "C-2", "C-2"]
    assert {type(text) for text in texts} == {str}


def test_a_case_does_not_migrate_to_what_equals_every_state() -> None:
    desk = Workflow(documented.SUB_STATUS)
    anywhere: Any = {"new": Agreeable()}
    with pytest.raises(PolicyError, match="no state to go to"):
        desk.migrate(desk.open("C-1", at=NOON), desk, anywhere, at=NOON)


def test_what_equals_every_kind_or_key_is_none() -> None:
    with pytest.raises(PolicyError) as refused:
        documented.SUB_STATUS.override({"timers": {"remind_customer": {"kind": Agreeable()}}})
    assert [problem.path for problem in refused.value.problems] == ["timers.remind_customer.kind"]
    anything: dict[Any, Any] = {Agreeable(): []}
    assert documented.SUB_STATUS.override(anything) == documented.SUB_STATUS  # it adds no rows


def test_a_length_of_thousands_of_years_of_business_days_takes_no_time() -> None:
    calendar = Calendar("Europe/Berlin", holidays=(NOON.date(), datetime.max.date()))
    began = time.process_time()
    weeks = timedelta(weeks=400_000)  # from the Monday on, in summer time
    late = datetime(2026, 3, 2, tzinfo=UTC) + weeks - timedelta(hours=2)
    assert calendar.add(NOON, Length("business_days", 2_000_000)) == late
    assert calendar.cutoff(datetime.max.replace(tzinfo=UTC), Length("business_days", 2_000_000)) is not None
    assert calendar.add(NOON, Length("business_days", 2_900_000)) is None
    assert time.process_time() - began < 1


def test_thousands_of_bad_rows_are_told_in_no_time() -> None:
    began = time.process_time()
    with pytest.raises(PolicyError) as refused:
        documented.SUB_STATUS.override({"transitions": ["new"] * 3_000})
    assert len(refused.value.problems) == 3_000
    assert time.process_time() - began < 10


def test_what_another_stay_passed_over_counts_for_that_stay_only() -> None:
    desk = Workflow(
        load_policy(
            {
                "format": 1,
                "name": "desk",
                "initial": "waiting",
                "statuses": {"waiting": {}, "parked": {}, "closed": {"closed": True}},
                "timers": {
                    "nudge": {"in": ["waiting", "parked"], "kind": "remind", "after": {"days": 1}},
                    "park": {"in": "waiting", "after": {"days": 2}, "to": "parked"},
                    "close": {"in": "parked", "after": {"days": 9}, "to": "closed"},
                },
            }
        )
    )
    case = desk.open("C-1", at=NOON)
    for days in (3, 5):  # the first sweep passes the nudge over, the second settles the one of the next stay
        (action,) = desk.due([case], now=NOON + timedelta(days=days))
        case = desk.settle(case, action, at=NOON + timedelta(days=days))
    assert [(change.event, change.detail) for change in case.history] == [
        ("park", ("nudge",)),
        ("nudge", None),
    ]
    now = NOON + timedelta(days=6)
    assert [found.verdict for found in desk.explain(case, now=now)] == ["settled", "waiting"]
    assert desk.migrate(case, desk, at=now).settled == "nudge"


def test_a_clone_cannot_have_the_id_of_what_the_case_was_cloned_from() -> None:
    desk = Workflow(documented.SUB_STATUS)
    closed = desk.apply(desk.open("C-1", at=NOON), "close", by="agent", at=NOON)
    _, clone = desk.clone(closed, "C-2", by="agent", at=NOON)
    clone = desk.apply(clone, "close", by="agent", at=NOON)
    with pytest.raises(CaseDataError, match="'C-1' is taken"):
        desk.clone(clone, "C-1", by="agent", at=NOON)
