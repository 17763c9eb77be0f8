"""Cases, the entries of their history and actions: what they refuse, and that nothing of them is lost."""

from __future__ import annotations

import copy
import enum
import json
import pickle

from datetime import UTC, date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

from builders import DAY, MONDAY, TICK
from casestate import Action, Case, CaseDataError, Change, NaiveTimeError, Workflow, load_policy
from casestate import policies as documented
from casestate.testing.strategies import cases, instants, policies


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAIVE = MONDAY.replace(tzinfo=None)
NEEDED: Mapping[str, Any] = MappingProxyType({"id": "C-1", "status": "new", "entered_at": MONDAY})
ENTRY: Mapping[str, Any] = MappingProxyType(
    {
        "at": MONDAY,
        "event": "pend",
        "by": "agent",
        "from_state": "new",
        "to_state": "pending.customer_input",
        "stay": 2,
    }
)
NO_INSTANT = "an instant is an aware datetime between the years 1 and 9999 in UTC, not "
IS_NAIVE = "2026-03-02 09:30:15.250000 has no time zone; give one ('2026-03-01T12:00Z', datetime.now(UTC))"


def full() -> Case:
    """A case in which every field says something."""
    return Case(
        id="C-1042",
        status="pending",
        sub_status="customer_input",
        entered_at=MONDAY,
        policy="sub-status",
        stay=2,
        previous="new",
        assignee="mira",
        settled="remind_customer",
        settled_at=MONDAY + 8 * DAY,
        opened_at=MONDAY - DAY,
        cloned_from="C-7",
        clones=("C-1043", "C-1044"),
        history=(
            Change(**{**ENTRY, "actor": "mira"}),
            Change(
                at=MONDAY + 8 * DAY,
                event="remind_customer",
                by="system",
                from_state="pending.customer_input",
                to_state="pending.customer_input",
                stay=2,
                detail=("first_look", "second_look"),
            ),
        ),
    )


FULL_DICT: Mapping[str, object] = MappingProxyType(
    {
        "id": "C-1042",
        "status": "pending",
        "sub_status": "customer_input",
        "entered_at": "2026-03-02T09:30:15.250000Z",
        "policy": "sub-status",
        "stay": 2,
        "previous": "new",
        "assignee": "mira",
        "settled": "remind_customer",
        "settled_at": "2026-03-10T09:30:15.250000Z",
        "opened_at": "2026-03-01T09:30:15.250000Z",
        "cloned_from": "C-7",
        "clones": ["C-1043", "C-1044"],
        "history": [
            {
                "at": "2026-03-02T09:30:15.250000Z",
                "event": "pend",
                "by": "agent",
                "actor": "mira",
                "from_state": "new",
                "to_state": "pending.customer_input",
                "stay": 2,
                "detail": None,
            },
            {
                "at": "2026-03-10T09:30:15.250000Z",
                "event": "remind_customer",
                "by": "system",
                "actor": None,
                "from_state": "pending.customer_input",
                "to_state": "pending.customer_input",
                "stay": 2,
                "detail": ["first_look", "second_look"],
            },
        ],
    }
)


def problems(make: Callable[[], object]) -> list[tuple[str, str]]:
    """What is wrong, by path and message."""
    with pytest.raises(CaseDataError) as refused:
        make()
    return [(problem.path, problem.message) for problem in refused.value.problems]


# --- what a case is ----------------------------------------------------------


def test_a_case_needs_an_id_a_status_and_when_it_was_entered() -> None:
    case = Case(id="C-1", status="new", entered_at=MONDAY)
    assert attrs.asdict(case) == {
        "id": "C-1",
        "status": "new",
        "sub_status": None,
        "entered_at": MONDAY,
        "policy": None,
        "stay": 1,
        "previous": None,
        "assignee": None,
        "settled": None,
        "settled_at": None,
        "opened_at": None,
        "cloned_from": None,
        "clones": (),
        "history": (),
        "state": "new",
        "changed_at": MONDAY,
        "standing": "/new/",
    }
    assert Case.from_dict({"id": "C-1", "status": "new", "entered_at": "2026-03-02T09:30:15.25Z"}) == case


def test_the_state_is_the_status_and_the_sub_status() -> None:
    assert Case(id="C-1", status="new", entered_at=MONDAY).state == "new"
    pending = Case(id="C-1", status="pending", sub_status="customer_input", entered_at=MONDAY)
    assert pending.state == "pending.customer_input"


def test_a_case_knows_the_last_instant_at_which_anything_happened() -> None:
    case = full()
    assert case.changed_at == MONDAY + 8 * DAY
    assert attrs.evolve(case, settled=None, settled_at=None).changed_at == MONDAY + 8 * DAY
    assert attrs.evolve(case, history=()).changed_at == MONDAY + 8 * DAY
    assert attrs.evolve(case, history=(), settled=None, settled_at=None).changed_at == MONDAY
    later = attrs.evolve(case.history[-1], at=MONDAY + 9 * DAY)
    assert attrs.evolve(case, history=(*case.history, later)).changed_at == MONDAY + 9 * DAY
    assert attrs.evolve(case, entered_at=MONDAY + DAY).changed_at == MONDAY + 8 * DAY


def test_what_is_derived_follows_what_is_changed() -> None:
    moved = attrs.evolve(full(), status="new", sub_status=None, settled=None, settled_at=None, policy=None)
    assert (moved.state, moved.standing) == ("new", "/new/")
    assert full().standing == "sub-status/pending.customer_input/remind_customer"


def test_instants_are_kept_in_utc() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    case = Case(
        id="C-1",
        status="new",
        entered_at=MONDAY.astimezone(berlin),
        settled="told",
        settled_at=(MONDAY + DAY).astimezone(berlin),
        opened_at=(MONDAY - DAY).astimezone(timezone(timedelta(hours=-5))),
    )
    for moment in (case.entered_at, case.settled_at, case.opened_at, case.changed_at):
        assert moment is not None
        assert moment.tzinfo is UTC
    assert (case.entered_at, case.changed_at) == (MONDAY, MONDAY + DAY)
    entry = Change(**{**ENTRY, "at": MONDAY.astimezone(berlin)})
    assert entry.at.tzinfo is UTC


def test_lists_become_tuples() -> None:
    case = Case(**{**NEEDED, "clones": ["C-2"], "history": [dict(ENTRY)]})
    assert case.clones == ("C-2",)
    assert case.history == (Change(**ENTRY),)
    assert isinstance(case.history, tuple)
    assert Change(**{**ENTRY, "detail": ["a"]}).detail == ("a",)


def test_texts_that_many_cases_share_are_kept_once() -> None:
    first, second = (Case.from_dict(json.loads(json.dumps(dict(FULL_DICT)))) for _ in range(2))
    for name in ("status", "sub_status", "policy", "previous", "settled", "state", "standing"):
        assert getattr(first, name) is getattr(second, name)
    for name in ("event", "by", "from_state", "to_state"):
        assert getattr(first.history[0], name) is getattr(second.history[0], name)


def test_a_case_is_made_by_keyword_alone() -> None:
    needed: tuple[Any, ...] = tuple(NEEDED.values())
    with pytest.raises(TypeError):
        Case(*needed)  # type: ignore[call-arg]
    entry: tuple[Any, ...] = tuple(ENTRY.values())
    with pytest.raises(TypeError):
        Change(*entry)  # type: ignore[call-arg]


# --- what a case refuses -----------------------------------------------------


def test_every_problem_of_a_case_is_reported_at_once() -> None:
    data = {
        "status": "",
        "entered_at": "yesterday",
        "stay": 0,
        "assigne": "mira",
        "clones": ["C-2", 3],
        "history": [{"at": "2026-03-01", "event": "close", "by": "agent", "stay": True}, "closed"],
    }
    with pytest.raises(CaseDataError) as refused:
        Case.from_dict(data)
    error = refused.value
    assert error.subject == "case '(without an id)'"
    fields = (
        "id, status, sub_status, entered_at, policy, stay, previous, assignee, settled, settled_at, "
        "opened_at, cloned_from, clones, history"
    )
    assert [(problem.path, problem.message) for problem in error.problems] == [
        ("assigne", f"unknown field; did you mean 'assignee'? (there are: {fields})"),
        ("id", "is missing"),
        ("status", "must be text, not ''"),
        ("entered_at", f"{NO_INSTANT}'yesterday'"),
        ("stay", "must be a whole number from 1 on, not 0"),
        ("clones[1]", "must be text, not 3"),
        ("history[0].from_state", "is missing"),
        ("history[0].to_state", "is missing"),
        (
            "history[0].at",
            "2026-03-01 00:00:00 has no time zone; give one ('2026-03-01T12:00Z', datetime.now(UTC))",
        ),
        ("history[0].stay", "must be a whole number from 1 on, not True"),
        ("history[1]", "must be an entry of the history, not 'closed'"),
    ]
    assert isinstance(error, NaiveTimeError)
    assert str(error).startswith("case '(without an id)': 11 problems\n  - assigne: unknown field")


@pytest.mark.parametrize("field", ["id", "status", "entered_at"])
@pytest.mark.parametrize("missing", ["left out", "null"])
def test_a_needed_field_that_lacks_is_named(field: str, missing: str) -> None:
    data: dict[str, object] = {**NEEDED, "entered_at": "2026-03-02T09:30Z"}
    if missing == "null":
        data[field] = None
    else:
        del data[field]
    assert problems(lambda: Case.from_dict(data)) == [(field, "is missing")]


@pytest.mark.parametrize(
    "field",
    ["sub_status", "policy", "previous", "assignee", "settled", "settled_at", "opened_at", "cloned_from"],
)
def test_a_field_that_may_lack_may_be_null(field: str) -> None:
    case = Case.from_dict({**NEEDED, field: None})
    assert getattr(case, field) is None
    assert case == Case(**NEEDED)


TEXTS = ("id", "status", "sub_status", "policy", "previous", "assignee", "settled", "cloned_from")


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize(
    ("value", "shown"), [("", "''"), (3, "3"), (b"x", "b'x'"), (["x"], "['x']"), (False, "False")]
)
def test_a_text_that_is_none_or_empty_is_refused(field: str, value: object, shown: str) -> None:
    expected = [(field, f"must be text, not {shown}")]
    assert problems(lambda: Case.from_dict({**NEEDED, field: value})) == expected
    assert problems(lambda: Case(**{**NEEDED, field: value})) == expected


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1", None])
def test_a_stay_is_a_whole_number_from_1_on(value: object) -> None:
    expected = [("stay", f"must be a whole number from 1 on, not {value!r}")]
    assert problems(lambda: Case.from_dict({**NEEDED, "stay": value})) == expected
    assert Case.from_dict({**NEEDED, "stay": 1}).stay == 1


@pytest.mark.parametrize("field", ["clones", "history"])
@pytest.mark.parametrize("value", ["C-2", {"C-2": 1}, 3, None])
def test_a_list_that_is_none_is_refused(field: str, value: object) -> None:
    expected = [(field, f"must be a list, not {value!r}")]
    assert problems(lambda: Case.from_dict({**NEEDED, field: value})) == expected


@pytest.mark.parametrize("value", ["", None, 3])
def test_a_clone_that_is_no_text_is_named_by_its_place(value: object) -> None:
    assert problems(lambda: Case.from_dict({**NEEDED, "clones": ["C-2", value]})) == [
        ("clones[1]", f"must be text, not {value!r}")
    ]


@pytest.mark.parametrize("field", ["entered_at", "opened_at"])
@pytest.mark.parametrize("value", ["yesterday", 1_772_443_815, date(2026, 3, 2), "2026-03-02T09:30+99:00"])
def test_an_instant_that_is_none_is_refused(field: str, value: object) -> None:
    with pytest.raises(CaseDataError) as refused:
        Case.from_dict({**NEEDED, field: value})
    assert not isinstance(refused.value, NaiveTimeError)
    assert [(problem.path, problem.message) for problem in refused.value.problems] == [
        (field, f"{NO_INSTANT}{value!r}")
    ]


def test_text_is_an_instant_only_where_data_is_read() -> None:
    with pytest.raises(CaseDataError) as refused:
        Case(**{**NEEDED, "entered_at": "2026-03-02T09:30Z"})
    assert [problem.path for problem in refused.value.problems] == ["entered_at"]
    with pytest.raises(CaseDataError) as refused:
        Change(**{**ENTRY, "at": "2026-03-02T09:30Z"})
    assert [problem.path for problem in refused.value.problems] == ["at"]


@pytest.mark.parametrize("field", ["entered_at", "opened_at", "settled_at"])
def test_an_instant_without_a_time_zone_is_a_naive_time_as_well(field: str) -> None:
    data: dict[str, Any] = {**NEEDED, "settled": "told", "settled_at": MONDAY, field: NAIVE}
    made: list[Callable[[], Case]] = [lambda: Case(**data), lambda: Case.from_dict(data)]
    for make in made:
        with pytest.raises(NaiveTimeError) as refused:
            make()
        assert isinstance(refused.value, CaseDataError)
        assert [(problem.path, problem.message) for problem in refused.value.problems] == [(field, IS_NAIVE)]
        assert str(refused.value) == f"case 'C-1': {field}: {IS_NAIVE}"


def test_a_naive_time_in_the_history_is_one_too() -> None:
    for entry in ({**ENTRY, "at": NAIVE}, {**ENTRY, "at": NAIVE.isoformat()}):
        with pytest.raises(NaiveTimeError) as refused:
            Case.from_dict({**NEEDED, "history": [dict(ENTRY), entry]})
        assert isinstance(refused.value, CaseDataError)
        assert [(problem.path, problem.message) for problem in refused.value.problems] == [
            ("history[1].at", IS_NAIVE)
        ]
    with pytest.raises(CaseDataError) as bad:
        Case.from_dict({**NEEDED, "history": [{**ENTRY, "at": "never"}]})
    assert not isinstance(bad.value, NaiveTimeError)


def test_a_naive_time_stays_one_when_a_later_entry_is_bad_otherwise() -> None:
    entries = [{**ENTRY, "at": NAIVE}, {**ENTRY, "stay": 0}]
    with pytest.raises(NaiveTimeError) as refused:
        Case.from_dict({**NEEDED, "history": entries})
    assert isinstance(refused.value, CaseDataError)
    assert [problem.path for problem in refused.value.problems] == ["history[0].at", "history[1].stay"]


def test_a_settled_timer_and_its_instant_come_together() -> None:
    assert problems(lambda: Case(**{**NEEDED, "settled": "told"})) == [
        ("settled_at", "is missing: settled says that a timer of this stay has been settled")
    ]
    assert problems(lambda: Case(**{**NEEDED, "settled_at": MONDAY})) == [
        ("settled", "is missing: settled_at says that a timer of this stay has been settled")
    ]


def test_a_timer_is_not_settled_before_the_stay_began() -> None:
    early = {**NEEDED, "settled": "told", "settled_at": MONDAY - TICK}
    assert problems(lambda: Case(**early)) == [
        (
            "settled_at",
            "2026-03-02 09:30:15.249999+00:00 is before the stay began (2026-03-02 09:30:15.250000+00:00)",
        )
    ]
    at_once = Case(**{**NEEDED, "settled": "told", "settled_at": MONDAY})
    assert at_once.settled_at == MONDAY


def test_a_bad_field_hides_no_other_problem() -> None:
    bad = {**NEEDED, "entered_at": "never", "settled": "told"}
    assert [path for path, _ in problems(lambda: Case.from_dict(bad))] == ["entered_at", "settled_at"]
    bad = {**NEEDED, "settled": "told", "settled_at": "never"}
    assert [path for path, _ in problems(lambda: Case.from_dict(bad))] == ["settled_at"]
    bad = {**NEEDED, "settled": "", "settled_at": MONDAY}
    assert [path for path, _ in problems(lambda: Case.from_dict(bad))] == ["settled"]
    bad = {**NEEDED, "id": "", "settled": "told", "settled_at": MONDAY - DAY}
    assert [path for path, _ in problems(lambda: Case.from_dict(bad))] == ["id", "settled_at"]


def test_the_history_is_in_the_order_of_time() -> None:
    entries = [{**ENTRY, "at": MONDAY + days * DAY} for days in (1, 1, 3, 2)]
    assert problems(lambda: Case.from_dict({**NEEDED, "history": entries})) == [
        (
            "history[3].at",
            (
                "2026-03-04 09:30:15.250000+00:00 is before the entry above it "
                "(2026-03-05 09:30:15.250000+00:00)"
            ),
        )
    ]
    assert len(Case.from_dict({**NEEDED, "history": entries[:3]}).history) == 3


def test_what_stands_after_a_bad_entry_is_checked_all_the_same() -> None:
    entries: list[object] = [
        {**ENTRY, "at": MONDAY + DAY},
        {**ENTRY, "event": ""},
        {**ENTRY, "at": MONDAY},
        7,
    ]
    assert [path for path, _ in problems(lambda: Case.from_dict({**NEEDED, "history": entries}))] == [
        "history[1].event",
        "history[2].at",
        "history[3]",
    ]


@pytest.mark.parametrize("data", [None, [], "C-1", 3, [("id", "C-1")]])
def test_a_case_is_read_from_a_mapping_alone(data: Any) -> None:  # noqa: ANN401 - the wrong ones
    assert problems(lambda: Case.from_dict(data)) == [("", f"must be a mapping of fields, not {data!r}")]
    with pytest.raises(CaseDataError) as refused:
        Case.from_dict(data)
    assert refused.value.subject == "case"


def test_an_unknown_field_is_refused_and_the_nearest_named() -> None:
    for name, hint in (
        ("sub_state", "; did you mean 'sub_status'?"),
        ("zzz", ""),
        ("state", "; did you mean 'status'?"),
    ):
        ((path, message),) = problems(lambda name=name: Case.from_dict({**NEEDED, name: "x"}))  # type: ignore[misc]
        assert path == name
        assert message.startswith(f"unknown field{hint} (there are: id, status, ")
    ((path, message),) = problems(lambda: Case.from_dict({**NEEDED, 3: "x"}))  # type: ignore[dict-item]
    assert path == "3"
    for derived in ("standing", "changed_at"):
        assert problems(lambda derived=derived: Case.from_dict({**NEEDED, derived: "x"}))[0][0] == derived  # type: ignore[misc]


def test_a_value_too_deep_or_too_large_to_show_is_refused_like_any_other() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert problems(lambda: Case.from_dict({**NEEDED, "id": deep})) == [
        ("id", "must be text, not a value too large to show (list)")
    ]
    assert problems(lambda: Case.from_dict({**NEEDED, "assignee": 10**5000})) == [
        ("assignee", "must be text, not a value too large to show (int)")
    ]


# --- an entry of the history -------------------------------------------------


@pytest.mark.parametrize("field", ["at", "event", "by", "from_state", "to_state", "stay"])
def test_an_entry_needs_all_but_the_actor_and_the_detail(field: str) -> None:
    entry = {name: value for name, value in ENTRY.items() if name != field}
    assert problems(lambda: Case.from_dict({**NEEDED, "history": [entry]})) == [
        (f"history[0].{field}", "is missing")
    ]
    assert Case.from_dict({**NEEDED, "history": [dict(ENTRY)]}).history[0].actor is None


@pytest.mark.parametrize(
    ("field", "value", "path", "message"),
    [
        ("event", "", "event", "must be text, not ''"),
        ("by", 3, "by", "must be text, not 3"),
        ("actor", "", "actor", "must be text, not ''"),
        ("from_state", [], "from_state", "must be text, not []"),
        ("to_state", {}, "to_state", "must be text, not {}"),
        ("stay", 0, "stay", "must be a whole number from 1 on, not 0"),
        ("detail", "", "detail", "must be text, not ''"),
        ("detail", 3, "detail", "must be a list, not 3"),
        ("detail", ["a", ""], "detail[1]", "must be text, not ''"),
        ("at", 3, "at", f"{NO_INSTANT}3"),
    ],
)
def test_a_bad_field_of_an_entry_is_named(field: str, value: object, path: str, message: str) -> None:
    entry = {**ENTRY, field: value}
    assert problems(lambda: Case.from_dict({**NEEDED, "history": [entry]})) == [
        (f"history[0].{path}", message)
    ]
    with pytest.raises(CaseDataError) as refused:
        Change(**entry)
    assert refused.value.subject == "history entry"
    assert [(problem.path, problem.message) for problem in refused.value.problems] == [(path, message)]


def test_an_unknown_field_of_an_entry_is_refused() -> None:
    ((path, message),) = problems(lambda: Case.from_dict({**NEEDED, "history": [{**ENTRY, "actr": "mira"}]}))
    assert path == "history[0].actr"
    assert message == (
        "unknown field; did you mean 'actor'? "
        "(there are: at, event, by, actor, from_state, to_state, stay, detail)"
    )


def test_an_entry_with_a_naive_time_is_a_naive_time() -> None:
    with pytest.raises(NaiveTimeError):
        Change(**{**ENTRY, "at": NAIVE})


@pytest.mark.parametrize("detail", [None, "mira", (), ("a",), ("a", "b")])
def test_an_entry_keeps_its_detail(detail: str | tuple[str, ...] | None) -> None:
    entry = Change(**{**ENTRY, "detail": detail})
    assert entry.detail == detail
    assert entry.to_dict()["detail"] == (list(detail) if isinstance(detail, tuple) else detail)
    again = Case.from_dict({**NEEDED, "history": [entry.to_dict()]})
    assert again.history == (entry,)


# --- writing and reading -----------------------------------------------------


def test_a_case_is_written_field_by_field_and_read_back() -> None:
    assert full().to_dict() == FULL_DICT
    assert list(full().to_dict()) == list(FULL_DICT)
    assert json.loads(json.dumps(full().to_dict())) == FULL_DICT
    assert Case.from_dict(FULL_DICT) == full()


def test_a_bare_case_is_written_with_all_its_fields() -> None:
    assert Case(id="C-1", status="new", entered_at=MONDAY.replace(microsecond=0)).to_dict() == {
        "id": "C-1",
        "status": "new",
        "sub_status": None,
        "entered_at": "2026-03-02T09:30:15Z",
        "policy": None,
        "stay": 1,
        "previous": None,
        "assignee": None,
        "settled": None,
        "settled_at": None,
        "opened_at": None,
        "cloned_from": None,
        "clones": [],
        "history": [],
    }


def test_instants_of_other_zones_and_datetimes_are_read_as_well() -> None:
    read = Case.from_dict({**FULL_DICT, "entered_at": "2026-03-02T10:30:15.250000+01:00", "opened_at": None})
    assert read == attrs.evolve(full(), opened_at=None)
    assert Case.from_dict({**FULL_DICT, "entered_at": MONDAY.astimezone(ZoneInfo("Asia/Tokyo"))}) == full()


def test_what_is_written_is_a_copy() -> None:
    case = full()
    written: dict[str, Any] = case.to_dict()
    written["clones"].append("C-9")
    written["history"][0]["by"] = "nobody"
    written["history"].clear()
    assert case == full()
    data = dict(FULL_DICT)
    Case.from_dict(data)
    assert data == FULL_DICT


def texts() -> st.SearchStrategy[str]:
    return st.sampled_from(("mira", "{0.__class__}", "%s", "a/b", "a.b", "é\u202e\x00")) | st.text(min_size=1)


@st.composite
def histories(draw: st.DrawFn, from_: datetime) -> tuple[Change, ...]:
    last = datetime.max.replace(tzinfo=UTC)
    moments = sorted(draw(st.lists(st.integers(0, 10**15), max_size=4)))
    return tuple(
        Change(
            at=min(from_, last - moment * TICK) + moment * TICK,
            event=draw(texts()),
            by=draw(texts()),
            actor=draw(st.none() | texts()),
            from_state=draw(texts()),
            to_state=draw(texts()),
            stay=draw(st.integers(1, 2**63 - 1)),
            detail=draw(st.none() | texts() | st.lists(texts(), max_size=3).map(tuple)),
        )
        for moment in moments
    )


def _is_no_whole_state(text: str) -> bool:
    return "." not in text


@st.composite
def any_cases(draw: st.DrawFn) -> Case:
    """Cases of no policy in particular, with anything in every field."""
    entered_at = draw(instants(extreme=True))
    waited = draw(st.none() | st.integers(0, 10**15))
    room = (datetime.max.replace(tzinfo=UTC) - entered_at) // TICK
    return Case(
        id=draw(texts()),
        status=draw(texts().filter(_is_no_whole_state)),
        sub_status=draw(st.none() | texts().filter(_is_no_whole_state)),
        entered_at=entered_at,
        policy=draw(st.none() | texts()),
        stay=draw(st.integers(1, 2**63 - 1)),
        previous=draw(st.none() | texts()),
        assignee=draw(st.none() | texts()),
        settled=None if waited is None else draw(texts()),
        settled_at=None if waited is None else entered_at + min(waited, room) * TICK,
        opened_at=draw(st.none() | instants(extreme=True)),
        cloned_from=draw(st.none() | texts()),
        clones=tuple(draw(st.lists(texts(), max_size=3))),
        history=draw(histories(entered_at)),
    )


@given(any_cases())
def test_every_case_is_read_back_exactly_as_it_was(case: Case) -> None:
    again = Case.from_dict(json.loads(json.dumps(case.to_dict())))
    assert again == case
    assert hash(again) == hash(case)
    assert (again.state, again.changed_at, again.standing) == (case.state, case.changed_at, case.standing)
    assert again.to_dict() == case.to_dict()
    pickled = pickle.loads(pickle.dumps(case))  # noqa: S301 - our own bytes
    assert pickled == case
    assert pickled.to_dict() == case.to_dict()


@given(policies().flatmap(cases))
def test_a_case_of_any_policy_is_read_back_exactly_as_it_was(case: Case) -> None:
    assert Case.from_dict(json.loads(json.dumps(case.to_dict()))) == case


# --- a record like any other -------------------------------------------------


def applied() -> Case:
    """A case that the workflow made."""
    desk = Workflow(load_policy("sub-status"))
    case = desk.apply(desk.open("C-1", at=MONDAY), "pend", by="agent", sub_status="customer_input", at=MONDAY)
    (action,) = desk.due([case], now=MONDAY + 7 * DAY)
    return desk.settle(case, action, at=MONDAY + 7 * DAY)


WAYS: dict[str, Callable[[], Case]] = {
    "made": full,
    "read": lambda: Case.from_dict(FULL_DICT),
    "applied": applied,
}
EVERY_WAY = pytest.mark.parametrize("make", WAYS.values(), ids=WAYS.keys())


@EVERY_WAY
def test_a_case_is_frozen(make: Callable[[], Case]) -> None:
    case = make()
    for name in (*case.to_dict(), "state", "changed_at", "standing"):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(case, name, getattr(case, name))
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            delattr(case, name)
    with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
        case.extra = 1  # type: ignore[attr-defined]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        case.history[0].event = "other"  # type: ignore[misc]
    assert not hasattr(case, "__dict__")
    assert not hasattr(case.history[0], "__dict__")
    assert isinstance(case.history, tuple)
    assert isinstance(case.clones, tuple)


@EVERY_WAY
def test_a_case_can_be_pickled_and_copied_with_all_it_knows(make: Callable[[], Case]) -> None:
    case = make()
    copies = [pickle.loads(pickle.dumps(case, protocol)) for protocol in range(2, 6)]  # noqa: S301
    for again in (*copies, copy.copy(case), copy.deepcopy(case), attrs.evolve(case)):
        assert type(again) is Case
        assert again == case
        assert hash(again) == hash(case)
        assert repr(again) == repr(case)
        for name in ("state", "changed_at", "standing"):
            assert getattr(again, name) == getattr(case, name)
        assert all(type(entry) is Change for entry in again.history)


@EVERY_WAY
def test_a_case_is_equal_to_one_that_is_read_from_what_it_wrote(make: Callable[[], Case]) -> None:
    case = make()
    assert Case.from_dict(case.to_dict()) == case
    assert len({case, Case.from_dict(case.to_dict()), make()}) == 1
    assert case.__eq__(case.to_dict()) is NotImplemented


OTHER: Mapping[str, Any] = MappingProxyType(
    {
        "id": "C-1",
        "status": "open",
        "sub_status": "development",
        "entered_at": MONDAY - TICK,
        "policy": "open-resolved",
        "stay": 3,
        "previous": "open",
        "assignee": "noor",
        "settled": "close_pending",
        "settled_at": MONDAY + 9 * DAY,
        "opened_at": None,
        "cloned_from": None,
        "clones": (),
        "history": (),
    }
)


@pytest.mark.parametrize("field", OTHER)
def test_cases_that_differ_in_any_field_are_not_equal(field: str) -> None:
    assert attrs.evolve(full(), **{field: OTHER[field]}) != full()
    assert set(OTHER) == set(full().to_dict())


def test_a_case_shows_what_it_was_made_of() -> None:
    shown = repr(Case(id="C-1", status="new", entered_at=MONDAY))
    assert shown.startswith(
        "Case(id='C-1', status='new', sub_status=None, entered_at=datetime.datetime(2026, 3, 2,"
    )
    assert "standing" not in shown
    assert "changed_at" not in shown


# --- actions -----------------------------------------------------------------


def an_action(**fields: Any) -> Action:  # noqa: ANN401 - an action's own fields
    return Action(
        **{
            "case_id": "C-1042",
            "stay": 3,
            "entered_at": MONDAY,
            "timer": "close_pending",
            "kind": "close",
            "audience": None,
            "due_at": MONDAY + 28 * DAY,
            "to": "closed",
            "skipped": ("remind_customer",),
            **fields,
        }
    )


def test_an_action_has_a_key_for_what_the_caller_sends() -> None:
    assert an_action().key == "C-1042:3:close_pending"
    assert an_action(case_id="a:b", stay=12, timer="remind#2").key == "a:b:12:remind#2"


def test_an_action_is_written_as_the_command_line_writes_it() -> None:
    assert an_action().to_dict() == {
        "case_id": "C-1042",
        "stay": 3,
        "entered_at": "2026-03-02T09:30:15.250000Z",
        "timer": "close_pending",
        "kind": "close",
        "audience": None,
        "due_at": "2026-03-30T09:30:15.250000Z",
        "to": "closed",
        "skipped": ["remind_customer"],
        "key": "C-1042:3:close_pending",
    }
    assert list(an_action().to_dict()) == [
        "case_id",
        "stay",
        "entered_at",
        "timer",
        "kind",
        "audience",
        "due_at",
        "to",
        "skipped",
        "key",
    ]


def test_an_action_is_a_frozen_record_like_any_other() -> None:
    action = an_action()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        action.timer = "other"  # type: ignore[misc]
    assert not hasattr(action, "__dict__")
    desk = Workflow(load_policy("sub-status"))
    (found,) = desk.due(
        [Case(id="C-1", status="closed", entered_at=MONDAY, policy="sub-status")], now=MONDAY + DAY
    )
    for one in (action, found):
        copies = [pickle.loads(pickle.dumps(one, protocol)) for protocol in range(2, 6)]  # noqa: S301
        for again in (*copies, copy.copy(one), copy.deepcopy(one)):
            assert (type(again), again, hash(again)) == (Action, one, hash(one))
    assert found == Action(
        case_id="C-1",
        stay=1,
        entered_at=MONDAY,
        timer="notify_closed",
        kind="notify",
        audience="customer",
        due_at=MONDAY + DAY,
        to=None,
    )
    assert an_action() != an_action(skipped=())


# --- what calls itself text, and what calls itself an instant ----------------


class _Member(str, enum.Enum):  # noqa: UP042 - the kind that prints as its own name
    """Members that print as something else than they are."""

    POLICY = "sub-status"
    STATUS = "pending"
    SUB_STATUS = "customer_input"
    SETTLED = "remind_customer"


def test_a_member_of_an_enum_is_the_text_that_it_is() -> None:
    entered_at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    case = Case(
        id=_Member.STATUS,
        status=_Member.STATUS,
        sub_status=_Member.SUB_STATUS,
        entered_at=entered_at,
        policy=_Member.POLICY,
        settled=_Member.SETTLED,
        settled_at=entered_at,
        clones=(_Member.STATUS,),
    )
    desk = Workflow(documented.SUB_STATUS)
    (action,) = desk.due([case], now=entered_at + timedelta(days=28))
    assert action.key == "pending:1:close_pending"
    texts_of = (case.id, case.status, case.sub_status, case.policy, case.settled, case.state, *case.clones)
    assert {type(text) for text in texts_of} == {str}


@pytest.mark.parametrize("field", ["status", "sub_status"])
def test_a_whole_state_is_no_status(field: str) -> None:
    data = {"id": "C-1", "status": "pending", "entered_at": "2026-03-02T09:00:00Z", field: "a.b"}
    with pytest.raises(CaseDataError) as refused:
        Case.from_dict(data)
    assert str(refused.value) == (
        f"case 'C-1': {field}: 'a.b' is a whole state: give status='a', sub_status='b'"
    )


def test_the_opening_is_an_instant_that_the_case_knows_of() -> None:
    start = datetime(2026, 3, 2, 9, tzinfo=UTC)
    later = start + timedelta(days=1)
    assert Case(id="C-1", status="new", entered_at=start, opened_at=later).changed_at == later


@pytest.mark.parametrize("stay", [2**63, 10**5000], ids=["one too many", "too many to show"])
def test_a_stay_is_a_number_that_other_systems_can_keep(stay: int) -> None:
    with pytest.raises(CaseDataError, match="stay: must be a whole number from 1 on, not"):
        Case(id="C-1", status="new", entered_at=datetime(2026, 3, 2, tzinfo=UTC), stay=stay)


class _NoTime(datetime):
    """As some libraries mark a cell that is empty: a datetime that is none."""

    def utcoffset(self) -> timedelta:
        raise ValueError("no time")


def test_a_datetime_that_is_none_is_refused() -> None:
    with pytest.raises(CaseDataError) as refused:
        Case(id="C-1", status="new", entered_at=_NoTime(2026, 3, 2))
    assert [problem.path for problem in refused.value.problems] == ["entered_at"]
    assert not isinstance(refused.value, NaiveTimeError)
