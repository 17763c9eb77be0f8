"""The JSON Schema of the file format: by it editors complete and check what the loader reads."""

from __future__ import annotations

import copy
import json
import re
import tomllib

from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from casestate import PolicyError, load_policy
from casestate.calendars import WEEKDAYS
from casestate.loading import BUILT_IN
from casestate.policy import MOST_REPEATS
from casestate.testing.strategies import policies, policy_tables
from test_policy import WRONG, changed, desk


if TYPE_CHECKING:
    from collections.abc import Iterator

    from casestate import Policy

PATH = Path(__file__).parent.parent / "docs" / "policy.schema.json"

# What no schema can know: names of other parts of the file, of zones and regions, and sums of lengths.
MEANING = (
    "unknown state ",
    "unknown role ",
    "no time zone ",
    "no date ",
    "the holidays package knows no region ",
    "can never come due",
    "can never fire ",
    "it is the first timer ",
    "must be of the kind of 'after'",
    "a row by system ",
    "a timer would restart ",
    "cloning takes no argument",
)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema)


def json_ready(value: object) -> Any:  # noqa: ANN401 - as JSON has it
    """The value as an editor sees it: a date of TOML is a text."""
    if isinstance(value, dict):
        return {key: json_ready(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value


def complaints(validator: Draft202012Validator, table: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(json_ready(table))]


def of_shape(error: PolicyError) -> bool:
    """Whether any of the problems is one of shape, which a schema can see."""
    return any(
        not problem.message.startswith(MEANING) and " is no state by itself" not in problem.message
        for problem in error.problems
    )


# --- the schema itself -------------------------------------------------------


def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


def described(part: Any, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any part of a schema
    """The descriptions of every property, for an editor to show."""
    for name, inner in part.get("properties", {}).items():
        yield f"{path}.{name}", inner.get("description", "")
        yield from described(inner, f"{path}.{name}")


def test_every_key_is_described_for_the_one_who_writes_it(schema: dict[str, Any]) -> None:
    parts = {"": schema, **schema["$defs"]}
    told = {path: text for name, part in parts.items() for path, text in described(part, name)}
    told = {path: text for path, text in told.items() if ".every" not in path or path == "repeat.every"}
    assert len(told) > 30
    assert [path for path, text in told.items() if not re.fullmatch(r"[A-Z].{9,}\.", text)] == []
    assert all("description" in part for part in schema["$defs"].values())


PLACES: dict[str, tuple[str, dict[str, Any]]] = {
    "calendar": ("calendar", {}),
    "status": ("statuses.new", {}),
    "sub_status": ("statuses.pending.sub_statuses.us", {}),
    "transition": ("transitions[0]", {"event": "x", "by": "agent", "from": "*"}),
    "timer": ("timers.remind", {"in": "new", "kind": "remind", "after": {"days": 1}}),
    "repeat": ("timers.remind.repeat", {"every": {"days": 1}, "times": 2}),
    "length": ("timers.remind.after", {"days": 7}),
}


def known_keys(table: dict[str, Any]) -> list[str]:
    """The keys that the loader names when it meets one that it does not know."""
    with pytest.raises(PolicyError) as caught:
        load_policy(table)
    (message,) = [problem.message for problem in caught.value.problems]
    found = re.fullmatch(r"unknown key \(there are: (.*)\)", message)
    assert found is not None
    return found[1].split(", ")


@pytest.mark.parametrize("name", PLACES)
def test_the_schema_has_the_keys_that_the_loader_knows_and_no_other(
    schema: dict[str, Any], name: str
) -> None:
    place, legal = PLACES[name]
    load_policy(changed(place, legal))
    loader = known_keys(changed(place, legal | {"?": 1}))
    assert list(schema["$defs"][name]["properties"]) == loader
    assert schema["$defs"][name]["additionalProperties"] is False


def test_the_schema_has_the_keys_of_the_whole_that_the_loader_knows_and_no_other(
    schema: dict[str, Any],
) -> None:
    assert sorted(schema["properties"]) == sorted([*known_keys(desk() | {"?": 1}), "extends"])
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("name", "place"),
    [("transition", "transitions[0]"), ("repeat", "timers.remind.repeat"), ("timer", "timers.remind")],
)
def test_the_schema_asks_for_the_keys_that_the_loader_asks_for(
    schema: dict[str, Any], name: str, place: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy(changed(place, {}))
    missing = [problem.path for problem in caught.value.problems if problem.message == "is missing"]
    required = schema["$defs"][name].get("required")
    if name == "timer":
        required = schema["else"]["properties"]["timers"]["additionalProperties"]["required"]
    assert [f"{place}.{key}" for key in required] == missing


def test_the_schema_asks_for_the_keys_of_the_whole_that_the_loader_asks_for(schema: dict[str, Any]) -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy({})
    assert schema["else"]["required"] == [problem.path for problem in caught.value.problems]


def test_the_words_that_the_schema_offers_are_those_that_the_loader_takes(schema: dict[str, Any]) -> None:
    parts = schema["$defs"]
    assert parts["calendar"]["properties"]["weekend"]["anyOf"][0]["enum"] == list(WEEKDAYS)
    assert parts["repeat"]["properties"]["times"]["maximum"] == MOST_REPEATS
    for kind in parts["timer"]["properties"]["kind"]["enum"]:
        assert load_policy(changed("timers.remind.kind", kind)).timers["remind"].kind == kind
    for when in parts["transition"]["properties"]["when"]["enum"]:
        assert load_policy(changed("transitions[0].when", when)).transitions[0].when == when
    for name in BUILT_IN:
        assert f"`{name}`" in schema["properties"]["extends"]["description"]


# --- what the loader accepts, it accepts -------------------------------------


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_documented_policies_are_valid(validator: Draft202012Validator, name: str) -> None:
    text = files("casestate.policies").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    assert complaints(validator, tomllib.loads(text)) == []


@given(table=policy_tables(regions=True))
def test_every_policy_that_the_loader_accepts_is_valid(
    validator: Draft202012Validator, table: dict[str, Any]
) -> None:
    policy = load_policy(table)
    assert complaints(validator, table) == []
    assert complaints(validator, policy.to_dict()) == []
    assert complaints(validator, {"extends": "sub-status"} | table) == []


OVERLAYS: list[dict[str, Any]] = [
    {},
    {"name": "own-desk"},
    {"calendar": False},
    {"calendar": {"zone": "Europe/Berlin"}},
    {"timers": False},
    {"timers": {"remind_customer": False}},
    {"timers": {"remind_customer": {"audience": "support"}}},
    {"timers": {"remind_customer": {"after": {"business_days": 5}}}},
    {"timers": {"remind_customer": {"repeat": {"every": {"days": 7}, "times": 3}}}},
    {"timers": {"close_pending": {"notice": {"days": 7}}}},
    {"timers": {"close_pending": {"in": ["pending.customer_input", "pending.development"]}}},
    {"timers": {"ping": {"in": "new", "kind": "notify", "after": {"hours": 1}}}},
    {"timers": {"remind_customer": {"to": "closed"}, "close_pending": False}},
    {"timers": {"close_pending": {"kind": "remind"}}},
    {"statuses": {"pending": {"label": "On hold"}}},
    {"statuses": {"pending": {"sub_statuses": {"development": False, "legal": {"label": "Legal"}}}}},
    {"statuses": {"waiting": {}, "old": {"closed": True}}},
    {"transitions": [{"event": "pend", "by": "agent", "from": "reopened", "refuse": True}]},
    {"roles": ["customer", "agent", "system", "boss"]},
    {"initial": "in_progress"},
]


@pytest.mark.parametrize("top", OVERLAYS, ids=str)
def test_overlays_that_the_loader_accepts_are_valid(
    validator: Draft202012Validator, top: dict[str, Any]
) -> None:
    table = {"extends": "sub-status"} | top
    load_policy(table)
    assert complaints(validator, table) == []
    if top:
        assert complaints(validator, top) != []  # without the base it is no policy


def test_lengths_that_may_be_left_out_can_be_removed(validator: Draft202012Validator) -> None:
    base = changed("timers.close.notice", {"days": 7})
    base["timers"]["remind"]["repeat"] = {"every": {"days": 7}, "times": 3}
    top: dict[str, Any] = {"timers": {"close": {"notice": False}, "remind": {"repeat": False}}}
    load_policy(base).override(top)
    assert complaints(validator, {"extends": "desk.toml"} | top) == []
    top = {"timers": {"close": False, "remind": {"repeat": False, "to": "closed"}}}
    assert load_policy(base).override(top).timers["remind"].kind == "close"
    assert complaints(validator, {"extends": "desk.toml"} | top) == []


@given(policy=policies(), data=st.data())
def test_every_part_of_a_policy_laid_over_it_is_valid(
    validator: Draft202012Validator, policy: Policy, data: st.DataObject
) -> None:
    top: Any = policy.to_dict()
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.sampled_from(list(places(top))))
        if isinstance(place[-1], str) and not (place[0] == "transitions" or place[-2:-1] == ("every",)):
            delete(top, place)
        if not top:
            break
    try:
        policy.override(top)
    except PolicyError:
        return
    assert complaints(validator, {"extends": "base.toml"} | top) == []


# --- what the loader refuses for its shape, it refuses -----------------------


@pytest.mark.parametrize(
    ("place", "value"), [(place, value) for place, value, _ in WRONG], ids=[place for place, *_ in WRONG]
)
def test_what_is_wrong_in_shape_is_not_valid(
    validator: Draft202012Validator, place: str, value: object
) -> None:
    table = changed(place, value)
    with pytest.raises(PolicyError) as caught:
        load_policy(table)
    assert complaints(validator, desk()) == []
    if isinstance(value, str) and value.endswith("\n"):
        return  # to the `$` of this validator a line may end there; to that of JSON Schema it may not
    if of_shape(caught.value):
        assert not validator.is_valid(json_ready(table))


def test_enough_of_what_can_be_wrong_is_of_shape() -> None:
    found = 0
    for place, value, _ in WRONG:
        with pytest.raises(PolicyError) as caught:
            load_policy(changed(place, value))
        found += of_shape(caught.value)
    assert found > 80


@pytest.mark.parametrize(
    "top",
    [
        {"timers": {"x": {"kind": "remind", "to": "closed"}}},
        {"timers": {"x": {"repeat": {"every": {"days": 1}, "times": 2}, "to": "closed"}}},
        {"timers": {"x": {"repeat": {"times": 2}}}},
        {"timers": {"x": {"after": {}}}},
        {"timers": {"x": True}},
        {"timers": {"x": {"in": False}}},
        {"timers": {"x": {"audience": False}}},
        {"statuses": {"x": {"label": False}}},
        {"statuses": {"X": False}},
        {"statuses": {"x": None}},
        {"transitions": False},
        {"transitions": [{"event": "x", "by": "agent"}]},
        {"calendar": True},
        {"roles": False},
        {"extends": ""},
        {"extends": False},
        {"extra": False},
    ],
    ids=str,
)
def test_overlays_that_are_wrong_in_shape_are_not_valid(
    validator: Draft202012Validator, top: dict[str, Any]
) -> None:
    table = {"extends": "sub-status"} | top
    assert complaints(validator, table) != []
    with pytest.raises(PolicyError):
        load_policy(table)


def places(table: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401 - any part
    """The places of everything in a policy file."""
    inner = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    for key, value in inner:
        yield (*way, key)
        yield from places(value, (*way, key))


def at(table: Any, way: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - any part
    for part in way:
        table = table[part]
    return table


def delete(table: Any, place: tuple[str | int, ...]) -> None:  # noqa: ANN401 - any part
    del at(table, place[:-1])[place[-1]]


VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "X y",
    "*",
    "*open",
    "@previous",
    "a.b",
    "a.b.c",
    "2026-12-24",
    "DE",
    "assignee",
    "mon",
    [],
    ["x"],
    ["x", "x"],
    [1],
    {},
    {"x": {}},
    {"X": {}},
    {"days": 1},
    {"days": 0},
    {"calendar_days": 1, "hours": 2},
    {"every": {"hours": 0}, "times": 2},
)
KEYS = (
    "kind",
    "to",
    "repeat",
    "refuse",
    "needs",
    "calendar_days",
    "hours",
    "closed",
    "extra",
    "sub_statuses",
    "notice",
)


@given(table=policy_tables(), data=st.data())
def test_loader_and_schema_agree_on_what_is_changed_at_random(
    validator: Draft202012Validator, table: dict[str, Any], data: st.DataObject
) -> None:
    table = copy.deepcopy(json_ready(table))
    place = data.draw(st.sampled_from(list(places(table))))
    change = data.draw(st.sampled_from(("replace", "replace", "delete", "add", "rename")))
    parent = at(table, place[:-1])
    if change == "delete":
        delete(table, place)
    elif change == "add" and isinstance(at(table, place), dict):
        at(table, place)[data.draw(st.sampled_from(KEYS))] = data.draw(st.sampled_from(VALUES))
    elif change == "rename" and isinstance(parent, dict):
        parent[data.draw(st.sampled_from(("X", "a-b", "", "fine", "a.b", *KEYS)))] = parent.pop(place[-1])
    else:
        parent[place[-1]] = data.draw(st.sampled_from(VALUES))
    found = complaints(validator, table)
    try:
        load_policy(table)
    except PolicyError as error:
        refused, for_its_shape = True, of_shape(error)
    else:
        refused = for_its_shape = False
    if not refused:
        assert found == []
    if for_its_shape:
        assert found != []


def test_a_file_with_a_date_of_toml_is_valid(validator: Draft202012Validator) -> None:
    table = tomllib.loads('extends = "sub-status"\ncalendar.holidays = [2026-12-24, "2026-12-31", "DE-BE"]')
    assert load_policy(table).calendar.holidays == (date(2026, 12, 24), date(2026, 12, 31), "DE-BE")
    assert complaints(validator, table) == []
