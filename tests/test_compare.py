"""What changed between two versions of a policy; what is said of cases in flight really happens to them."""

from __future__ import annotations

import re

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from casestate import CaseDataError, Policy, PolicyError, Workflow, load_policy
from casestate import policies as built_in
from casestate.compare import CODES, IN_FORCE, compare
from casestate.testing import histories, policies


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from casestate import Case
    from casestate.verify import Finding

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
DAY = timedelta(days=1)

DESK: Mapping[str, Any] = MappingProxyType(
    {
        "format": 1,
        "name": "desk",
        "initial": "new",
        "roles": ["customer", "agent", "boss"],
        "statuses": {
            "new": {},
            "waiting": {"sub_statuses": {"customer": {}, "vendor": {}}},
            "parked": {},
            "closed": {"closed": True},
            "spam": {"closed": True},
        },
        "transitions": [
            {"event": "ask", "by": "agent", "from": "*open", "to": "waiting"},
            {"event": "reply", "by": "customer", "from": "waiting", "to": "@previous"},
            {"event": "reply", "by": "customer", "from": "waiting", "to": "new"},
            {"event": "close", "by": ["agent", "boss"], "from": "*open", "to": "closed"},
            {"event": "note", "by": ["agent", "boss"], "from": "*"},
            {"event": "clone", "by": "customer", "from": "closed"},
        ],
        "timers": {
            "remind": {
                "in": "waiting.customer",
                "kind": "remind",
                "audience": "customer",
                "after": {"days": 7},
            },
            "close_waiting": {"in": "waiting.customer", "after": {"days": 28}, "to": "closed"},
            "park": {"in": "waiting.vendor", "after": {"days": 10}, "to": "parked"},
            "close_parked": {"in": "parked", "after": {"days": 90}, "to": "closed"},
        },
    }
)


@pytest.fixture
def desk() -> Policy:
    return load_policy(DESK)


def timed(desk: Policy, **timers: object) -> Policy:
    """The desk with its timers changed."""
    return desk.override({"timers": timers})


def rows(desk: Policy, *transitions: Mapping[str, object]) -> Policy:
    """The desk with other rows before its own."""
    return desk.override({"transitions": list(transitions)})


def without_rows(desk: Policy, *numbers: int) -> Policy:
    """The desk without some of its rows."""
    left = [row for number, row in enumerate(desk.transitions) if number not in numbers]
    return attrs.evolve(desk, transitions=tuple(left))


def codes(found: Sequence[Finding]) -> list[str]:
    return [finding.code for finding in found]


def the(code: str, found: Sequence[Finding]) -> Finding:
    """The one finding of a code: there has to be exactly one."""
    [finding] = [finding for finding in found if finding.code == code]
    return finding


def closes_at(desk: Workflow, case: Case, now: datetime) -> datetime | None:
    """When timers close a case from ``now`` on, by the forecast of its workflow; none in a circle."""
    entered: set[str] = set()
    for action in desk.forecast(case, now=now):
        now = max(now, action.due_at)
        if action.kind == "close":
            return now
        if action.to in entered:
            return None
        entered.update(filter(None, [action.to]))
    return None


def replayed(old: Policy, new: Policy, finding: Finding) -> tuple[Case, datetime | None]:
    """The case at the end of a finding's witness, and when the old version would have closed it."""
    desk, takes_over = Workflow(old), Workflow(new)
    first, *steps = finding.witness
    case = desk.open("C-1", at=first.at)
    promised: datetime | None = None
    assert first.event == "open"
    for step in steps:
        if step.event == IN_FORCE:
            promised = closes_at(desk, case, step.at)
            desk = takes_over
        elif step.timer:
            [action] = desk.due([case], now=step.at)
            assert action.timer == step.event
            case = desk.settle(case, action, at=step.at)
        else:
            case = desk.apply(
                case, step.event, by=step.by, at=step.at, sub_status=step.sub_status, assignee=step.assignee
            )
    assert desk is takes_over
    return case, promised


# --- the same in other words ---------------------------------------------------


def test_a_policy_has_not_changed_from_itself(desk: Policy) -> None:
    for policy in (desk, built_in.SUB_STATUS, built_in.OPEN_RESOLVED):
        assert compare(policy, policy) == ()


@given(policies())
def test_a_policy_has_not_changed_by_being_written_and_read(policy: Policy) -> None:
    assert compare(policy, policy) == ()
    assert compare(policy, Policy.from_dict(policy.to_dict())) == ()


def written_out(policy: Policy) -> Policy:
    """The same policy, with its patterns written out, a row and a timer for each state, and no repeats.

    A timer's name is part of what it means, so one that is in several states keeps a list of them.
    """
    data: dict[str, Any] = policy.to_dict()
    data["transitions"] = [
        {**row, "from": state, "by": role}
        for row in data["transitions"]
        for state in policy.matching(row["from"])
        for role in row["by"]
        if not ("refuse" in row and not row["refuse"])
    ]
    for timer in data["timers"].values():
        timer["in"] = list(reversed(policy.matching(timer["in"]))) or timer["in"]
    data["roles"].reverse()
    data["calendar"]["weekend"].reverse()
    data["calendar"]["holidays"].reverse()
    return load_policy(data)


@given(policies())
def test_a_policy_has_not_changed_by_being_written_out(policy: Policy) -> None:
    assert compare(policy, written_out(policy)) == ()
    assert compare(written_out(policy), policy) == ()


def test_the_built_in_policies_written_out_have_not_changed() -> None:
    for policy in (built_in.SUB_STATUS, built_in.OPEN_RESOLVED):
        out = written_out(policy)
        assert len(out.transitions) > len(policy.transitions)
        assert compare(policy, out) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"weeks": 2}, {"days": 14}),
        ({"days": 1, "hours": 12}, {"hours": 36}),
        ({"calendar_days": 14}, {"days": 14}),  # in UTC, where every day has 24 hours
    ],
)
def test_lengths_that_are_equal_may_be_written_in_other_units(
    desk: Policy, one: dict[str, int], other: dict[str, int]
) -> None:
    first, second = (
        timed(
            desk,
            close_waiting={"after": {"days": 60}, "notice": length},
            remind={"after": length, "repeat": {"every": length, "times": 2}},
        )
        for length in (one, other)
    )
    assert first.timers != second.timers or one == {"weeks": 2} or "hours" in one
    assert compare(first, second) == ()
    assert compare(second, first) == ()


def test_a_row_may_be_split_in_two(desk: Policy) -> None:
    split = desk.override(
        {
            "transitions": [
                {"event": "close", "by": "boss", "from": "*open", "to": "closed", "when": "assigned"},
                {"event": "close", "by": ["boss"], "from": "*open", "to": "closed", "when": "unassigned"},
                {"event": "close", "by": ["agent"], "from": ["new", "waiting", "parked"], "to": "closed"},
            ]
        }
    )
    assert compare(desk, split) == ()


def test_rows_and_timers_may_change_places_where_that_does_not_matter(desk: Policy) -> None:
    turned = attrs.evolve(
        desk,
        transitions=(*desk.transitions[3:], *desk.transitions[:3]),
        timers=MappingProxyType(dict(reversed([*desk.timers.items()]))),
    )
    assert turned != desk
    assert compare(desk, turned) == ()


def test_a_timer_that_repeats_once_does_not_repeat(desk: Policy) -> None:
    assert compare(desk, timed(desk, remind={"repeat": {"every": {"days": 1}, "times": 1}})) == ()


# --- the name, the states, the roles -------------------------------------------


def test_another_name_asks_for_a_migration(desk: Policy) -> None:
    new = desk.override({"name": "desk-2"})
    finding = the("name-changed", compare(desk, new))
    assert (finding.severity, finding.path) == ("warning", "name")
    assert finding.message == (
        "the policy is called 'desk-2', no longer 'desk': its workflow refuses the cases of the old one"
    )
    case = Workflow(desk).open("C-1", at=MONDAY)
    with pytest.raises(CaseDataError):
        Workflow(new).next_due(case)
    assert Workflow(desk).migrate(case, Workflow(new), at=MONDAY).policy == "desk-2"


def test_another_initial_state_is_noted(desk: Policy) -> None:
    finding = the("initial-changed", compare(desk, desk.override({"initial": "parked"})))
    assert (finding.severity, finding.path) == ("note", "initial")
    assert finding.message == "cases begin in parked, no longer in new"


def test_a_state_that_is_gone_needs_a_migration_map(desk: Policy) -> None:
    new = desk.override(
        {
            "statuses": {"waiting": {"sub_statuses": {"vendor": False}}},
            "timers": {"park": False},
        }
    )
    finding = the("state-gone", compare(desk, new))
    assert (finding.severity, finding.path) == ("warning", "old.statuses.waiting.sub_statuses.vendor")
    assert finding.message == "waiting.vendor is gone: a case that is in it cannot be read any more"
    assert "states={'waiting.vendor': …}" in finding.remedy
    with pytest.raises(PolicyError, match=r"states\.waiting\.vendor: is missing"):
        Workflow(desk).migrate(Workflow(desk).open("C-1", at=MONDAY), Workflow(new), at=MONDAY)
    gained = the("state-gained", compare(new, desk))
    assert (gained.severity, gained.path) == ("note", "statuses.waiting.sub_statuses.vendor")
    assert codes(compare(desk, new)) == ["state-gone"]
    assert codes(compare(new, desk)) == ["state-gained"]


def test_a_state_that_is_closed_now_closes_the_cases_in_it(desk: Policy) -> None:
    new = desk.override({"statuses": {"parked": {"closed": True}}})
    finding = the("state-closed", compare(desk, new))
    assert (finding.severity, finding.path) == ("error", "statuses.parked.closed")
    assert finding.message.startswith("parked is closed now")
    opened = the("state-opened", compare(new, desk))
    assert (opened.severity, opened.path) == ("note", "old.statuses.parked.closed")
    assert opened.message == "parked is open now: the cases that were closed in it are open again"


def test_roles_that_come_and_go_take_their_events_with_them(desk: Policy) -> None:
    data = desk.to_dict()
    data["roles"] = ["customer", "agent"]
    data["transitions"] = [
        {**attrs_of, "by": [role for role in attrs_of["by"] if role != "boss"]}
        for attrs_of in desk.to_dict()["transitions"]  # type: ignore[attr-defined]
    ]
    new = load_policy(data)
    [finding] = compare(desk, new)
    assert (finding.code, finding.severity, finding.path) == ("role-gone", "note", "old.roles")
    assert finding.message == "the role boss is gone, who might close and note"
    [finding] = compare(new, desk)
    assert (finding.code, finding.severity, finding.path) == ("role-gained", "note", "roles")
    assert finding.message == "the role boss is new: it may close and note"
    data["roles"] = ["customer", "agent", "ghost"]
    assert "the role ghost is new: it may do nothing" in [
        found.message for found in compare(new, load_policy(data))
    ]


# --- transitions -----------------------------------------------------------------


def test_a_transition_gained_is_one_finding_however_many_states_it_has(desk: Policy) -> None:
    new = rows(desk, {"event": "hold", "by": ["customer", "agent"], "from": "*open", "to": "parked"})
    [finding] = compare(desk, new)
    assert (finding.code, finding.severity, finding.path) == (
        "transition-gained",
        "note",
        "transitions[0]",
    )
    assert finding.message == "customer and agent may now hold in every open state: it leads to parked"


def test_a_transition_that_one_version_gains_the_other_way_round_is_lost(desk: Policy) -> None:
    new = rows(desk, {"event": "reopen", "by": "customer", "from": "closed", "to": "new"})
    [gained] = compare(desk, new)
    [lost] = compare(new, desk)
    assert gained.message == "customer may now reopen in closed: it leads to new"
    assert (lost.code, lost.severity, lost.path) == ("transition-lost", "note", "old.transitions[0]")
    assert lost.message == "customer may no longer reopen in closed: it led to new"


def test_a_transition_that_a_new_row_refuses_leads_to_that_row(desk: Policy) -> None:
    new = rows(
        desk,
        {"event": "note", "by": "agent", "from": "spam", "refuse": True},
        {"event": "note", "by": "boss", "from": "new", "refuse": True, "when": "assigned"},
    )
    first, second = compare(desk, new)
    assert (first.code, first.path) == ("transition-lost", "transitions[0]")
    assert first.message == "agent may no longer note in spam: it only left an entry in the history"
    assert second.path == "transitions[1]"
    assert (
        second.message == "boss may no longer note in new if assigned: it only left an entry in the history"
    )


def test_a_transition_that_does_something_else_has_changed(desk: Policy) -> None:
    new = rows(
        desk,
        {"event": "close", "by": "boss", "from": "parked", "to": "spam"},
        {"event": "note", "by": "agent", "from": "*", "needs": "assignee"},
        {"event": "ask", "by": "agent", "from": "*open", "to": "waiting.customer", "needs": "assignee"},
        {"event": "clone", "by": "customer", "from": "closed", "to": "spam"},
    )
    found = compare(desk, new)
    assert {(finding.code, finding.severity) for finding in found} == {("transition-changed", "note")}
    assert {finding.path: finding.message for finding in found} == {
        "transitions[0]": "close by boss in parked now leads to spam; before, it led to closed",
        "transitions[1]": "note by agent in every state now only leaves an entry in the history, "
        "with assignee=; before, it only left an entry in the history",
        "transitions[2]": "ask by agent in every open state now leads to waiting.customer, with assignee=; "
        "before, it led to waiting, with sub_status=",
        "transitions[3]": "clone by customer in closed now leads to spam; before, it began a linked case",
    }
    back = [finding.message for finding in compare(new, desk)]
    assert "clone by customer in closed now begins a linked case; before, it led to spam" in back


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"when": "unassigned"}, "every state but spam if unassigned"),
        ({"when": "assigned"}, "every state but spam if assigned"),
    ],
)
def test_what_depends_on_the_assignee_says_so(desk: Policy, row: dict[str, object], said: str) -> None:
    where = ["new", "waiting", "parked", "closed"]
    new = rows(desk, {"event": "nod", "by": "customer", "from": where, **row})
    [finding] = compare(desk, new)
    assert finding.message == f"customer may now nod in {said}: it only leaves an entry in the history"


def test_what_depends_on_the_previous_state_says_so(desk: Policy) -> None:
    without = without_rows(desk, 2)
    deaf, lost = compare(desk, without)
    assert deaf.code == "reply-no-longer-stops"
    assert lost.message == (
        "customer may no longer reply in waiting.customer and waiting.vendor without a previous state: "
        "it led to new"
    )
    assert lost.path == "old.transitions[2]"
    [changed] = compare(desk, without_rows(desk, 1))
    assert changed.message == (
        "reply by customer in waiting.customer and waiting.vendor with a previous state now leads to new; "
        "before, it led to its previous state"
    )
    assert changed.path == "transitions[1]"
    both = rows(without_rows(desk, 1, 2), {"event": "reply", "by": "customer", "from": "waiting"})
    assigned = rows(
        without_rows(desk, 1, 2),
        {"event": "reply", "by": "customer", "from": "waiting", "to": "@previous", "when": "assigned"},
        {"event": "reply", "by": "customer", "from": "waiting"},
    )
    [changed] = compare(both, assigned)
    assert " if assigned and with a previous state now leads to its previous state" in changed.message


def test_states_are_named_as_people_would() -> None:
    table = {
        "format": 1,
        "name": "desk",
        "initial": "a",
        "statuses": {name: {"closed": name > "d"} for name in "abcdefg"},
        "transitions": [],
    }
    old = load_policy(table)
    for where, said in {
        ("*",): "every state",
        ("*open",): "every open state",
        ("a", "b", "c"): "every open state but d",
        ("*open", "e", "f"): "every state but g",
        ("a", "b"): "a and b",
        ("a", "b", "e"): "a, b and e",
    }.items():
        new = old.override({"transitions": [{"event": "nod", "by": "agent", "from": where}]})
        [finding] = compare(old, new)
        assert finding.message == f"agent may now nod in {said}: it only leaves an entry in the history"


# --- timers ------------------------------------------------------------------------


def test_a_timer_gained_and_lost(desk: Policy) -> None:
    nudge = {
        "in": ["new", "parked"],
        "kind": "notify",
        "audience": "agent",
        "after": {"days": 1},
        "repeat": {"every": {"days": 1}, "times": 3},
    }
    new = timed(desk, nudge=nudge)
    [gained] = compare(desk, new)
    assert (gained.code, gained.severity, gained.path) == ("timer-gained", "note", "timers.nudge")
    assert gained.message == "nudge is new in new and parked: notify after 1 day, 3 times, for 'agent'"
    back = compare(new, desk)
    lost = the("timer-lost", back)
    assert (lost.severity, lost.path) == ("note", "old.timers.nudge")
    assert lost.message == "nudge is gone from new and parked: notify after 1 day, 3 times, for 'agent'"
    fewer = timed(new, nudge={"in": "new"})
    assert the("timer-lost", compare(new, fewer)).path == "timers.nudge.in"
    assert the("timer-gained", compare(fewer, new)).path == "timers.nudge.in"
    closing = timed(desk, close_new={"in": "new", "after": {"days": 3}, "to": "spam"})
    assert the("timer-gained", compare(desk, closing)).message == (
        "close_new is new in new: close after 3 days, to spam"
    )


@pytest.mark.parametrize(
    ("timer", "code", "key", "message"),
    [
        (
            {"after": {"days": 5}},
            "deadline-moved",
            "after",
            "comes after 5 days; before, it comes after 7 days",
        ),
        (
            {"repeat": {"every": {"days": 7}, "times": 3}},
            "repeat-changed",
            "repeat",
            "comes 3 times, every 7 days; before, it comes once",
        ),
        (
            {"kind": "notify"},
            "kind-changed",
            "kind",
            "is of the kind notify; before, it is of the kind remind",
        ),
        (
            {"audience": "support"},
            "audience-changed",
            "audience",
            "is for 'support'; before, it is for 'customer'",
        ),
    ],
)
def test_a_timer_that_means_something_else(
    desk: Policy, timer: dict[str, object], code: str, key: str, message: str
) -> None:
    new = timed(desk, remind=timer)
    finding = the(code, compare(desk, new))
    assert (finding.severity, finding.path) == ("note", f"timers.remind.{key}")
    assert finding.message == f"remind in waiting.customer {message}"
    back = the(code, compare(new, desk))
    assert back.path == ("old." if key == "repeat" else "") + f"timers.remind.{key}"
    now, before = message.split("; before, it ")
    assert back.message == f"remind in waiting.customer {before}; before, it {now}"


def test_a_target_that_is_another_one(desk: Policy) -> None:
    new = timed(desk, close_parked={"to": "spam"})
    [finding] = compare(desk, new)
    assert (finding.code, finding.severity, finding.path) == (
        "target-changed",
        "note",
        "timers.close_parked.to",
    )
    assert finding.message == (
        "close_parked in parked moves the case to spam; before, it moves the case to closed"
    )
    still = desk.override({"timers": {"close_parked": {"kind": "notify"}}})
    assert codes(compare(desk, still)) == ["target-changed"]
    [finding] = compare(desk, still)
    assert finding.path == "old.timers.close_parked.to"
    assert finding.message.startswith("close_parked in parked leaves the case where it is; before,")


def test_an_audience_that_is_gone(desk: Policy) -> None:
    data: dict[str, Any] = desk.to_dict()
    del data["timers"]["remind"]["audience"]
    finding = the("audience-changed", compare(desk, load_policy(data)))
    assert finding.path == "old.timers.remind.audience"
    assert finding.message == "remind in waiting.customer is for no audience; before, it is for 'customer'"


def test_a_notice_given_is_no_harm(desk: Policy) -> None:
    new = timed(desk, close_waiting={"notice": {"days": 7}})
    [finding] = compare(desk, new)
    assert (finding.code, finding.severity, finding.path) == (
        "notice-changed",
        "note",
        "timers.close_waiting.notice",
    )
    assert (
        finding.message
        == "close_waiting in waiting.customer has a notice of 7 days; before, it has no notice"
    )


def test_timers_of_one_length_that_change_places_pass_over_others(desk: Policy) -> None:
    twin = {"in": ["waiting.customer", "parked"], "kind": "notify", "after": {"days": 7}}
    old = timed(desk, twin=twin)
    new = attrs.evolve(old, timers=MappingProxyType(dict(reversed([*old.timers.items()]))))
    finding = the("order-changed", compare(old, new))
    assert (finding.severity, finding.path) == ("note", "timers")
    assert finding.message == (
        "in waiting.customer timers of one length come in the order twin, remind; before: remind, twin; "
        "the last of them passes over the others"
    )
    desks = Workflow(old), Workflow(new)
    case = desks[0].apply(
        desks[0].open("C-1", at=MONDAY), "ask", by="agent", sub_status="customer", at=MONDAY
    )
    for workflow, last in zip(desks, ("twin", "remind"), strict=True):
        [action] = workflow.due([case], now=MONDAY + 7 * DAY)
        assert action.timer == last


# --- what has been settled ---------------------------------------------------------


def test_a_settled_timer_that_is_gone_makes_cases_unreadable(desk: Policy) -> None:
    new = timed(desk, remind={"repeat": {"every": {"days": 7}, "times": 3}})
    finding = the("settled-timer-gone", compare(new, desk))
    assert (finding.severity, finding.path) == ("warning", "timers.remind")
    assert finding.message == (
        "cases in waiting.customer may have settled remind#2 and remind#3, "
        "which the new version does not have there: it cannot read them"
    )
    workflow = Workflow(new)
    case = workflow.apply(
        workflow.open("C-1", at=MONDAY), "ask", by="agent", sub_status="customer", at=MONDAY
    )
    for days in (7, 14):
        [action] = workflow.due([case], now=MONDAY + days * DAY)
        case = workflow.settle(case, action, at=MONDAY + days * DAY)
    assert case.settled == "remind#2"
    with pytest.raises(CaseDataError, match="remind#2"):
        Workflow(desk).next_due(case)
    moved = workflow.migrate(case, Workflow(desk), at=MONDAY + 14 * DAY)
    assert Workflow(desk).next_due(moved) == MONDAY + 28 * DAY
    gone = the("settled-timer-gone", compare(desk, timed(desk, remind=False)))
    assert gone.path == "old.timers.remind"
    assert "settled-timer-gone" not in codes(compare(desk, new))


def test_it_is_so_in_closed_states_as_well() -> None:
    old = built_in.SUB_STATUS
    finding = the("settled-timer-gone", compare(old, old.override({"timers": {"notify_closed": False}})))
    assert "cases in closed may have settled notify_closed" in finding.message


def test_a_settled_timer_that_moves_cases_now_never_moves_those(desk: Policy) -> None:
    old = timed(desk, close_parked={"kind": "remind"})
    finding = the("settled-timer-moves", compare(old, desk))
    assert (finding.severity, finding.path) == ("warning", "timers.close_parked")
    assert finding.message == (
        "cases in parked may have settled close_parked, which moves them away now: "
        "it never will, and none comes after it"
    )
    assert codes(compare(desk, old)) == ["target-changed"]


# --- the calendar and the texts ------------------------------------------------------


def test_a_calendar_matters_only_to_timers_that_depend_on_it(desk: Policy) -> None:
    calendar = {"zone": "Europe/Berlin", "weekend": ["fri", "sat"], "holidays": ["2026-12-24"]}
    assert compare(desk, desk.override({"calendar": calendar})) == ()
    days = timed(desk, remind={"after": {"calendar_days": 7}})
    [finding] = compare(days, days.override({"calendar": calendar}))[-1:]
    assert (finding.code, finding.severity, finding.path) == ("calendar-changed", "note", "calendar.zone")
    assert finding.message == "zone: Europe/Berlin; before: UTC; remind depends on it"
    business = timed(
        desk, remind={"after": {"business_days": 5}}, close_parked={"after": {"business_days": 60}}
    )
    found = compare(business, business.override({"calendar": calendar}))
    assert [finding.path for finding in found if finding.code == "calendar-changed"] == [
        "calendar.zone",
        "calendar.weekend",
        "calendar.holidays",
    ]
    messages = [finding.message for finding in found if finding.code == "calendar-changed"]
    assert messages[1:] == [
        "weekend: fri, sat; before: sat, sun; remind and close_parked depend on it",
        "holidays: 2026-12-24; before: none; remind and close_parked depend on it",
    ]


def test_a_holiday_that_is_a_day_off_anyway_changes_nothing(desk: Policy) -> None:
    old = timed(desk, remind={"after": {"business_days": 5}})
    assert compare(old, old.override({"calendar": {"holidays": ["2026-01-03"]}})) == ()
    assert codes(compare(old, old.override({"calendar": {"holidays": ["DE-BE"]}})))[-1] == "calendar-changed"


def test_a_notice_depends_on_the_calendar_too(desk: Policy) -> None:
    old = timed(desk, close_waiting={"notice": {"business_days": 2}})
    found = compare(old, old.override({"calendar": {"weekend": ["sun"]}}))
    assert the("calendar-changed", found).message.endswith("close_waiting depends on it")


def test_texts_that_people_read(desk: Policy) -> None:
    new = desk.override(
        {
            "statuses": {
                "new": {"label": "Fresh"},
                "waiting": {"sub_statuses": {"customer": {"action_required": "Reply."}}},
            }
        }
    )
    first, second = compare(desk, new)
    assert (first.code, first.severity, first.path) == ("text-changed", "note", "statuses.new.label")
    assert first.message == "label of new: 'Fresh'; before: 'New'"
    assert second.path == "statuses.waiting.sub_statuses.customer.action_required"
    assert second.message == "action_required of waiting.customer: 'Reply.'; before: nothing"
    assert compare(new, desk)[1].path == f"old.{second.path}"


# --- cases in flight -------------------------------------------------------------------


def test_a_closure_that_comes_sooner_is_told_with_figures_and_really_comes(desk: Policy) -> None:
    new = timed(desk, close_waiting={"after": {"days": 14}})
    found = compare(desk, new)
    assert codes(found) == ["closes-sooner", "deadline-moved"]
    finding = found[0]
    assert (finding.severity, finding.path) == ("error", "timers.close_waiting.after")
    assert finding.message == (
        "cases in flight in waiting.customer could be closed 14 days sooner than was promised"
    )
    assert finding.story == (
        "a case that entered waiting.customer on Mon 2026-01-05 09:00 UTC was to be closed by close_waiting "
        "on Mon 2026-02-02 09:00 UTC; under the new version, in force from Mon 2026-01-05 09:00 UTC on, "
        "close_waiting closes it on Mon 2026-01-19 09:00 UTC, 14 days sooner"
    )
    case, promised = replayed(desk, new, finding)
    assert (case.state, case.entered_at, promised) == ("closed", MONDAY + 14 * DAY, MONDAY + 28 * DAY)
    assert [change.event for change in case.history] == ["ask", "remind", "close_waiting"]
    assert codes(compare(new, desk)) == ["deadline-moved"]


def test_a_closure_that_was_never_promised(desk: Policy) -> None:
    new = timed(desk, close_new={"in": "new", "after": {"days": 30}, "to": "closed"})
    finding = the("closes-sooner", compare(desk, new))
    assert finding.message == ("cases in flight in new could be closed by a timer, which was never promised")
    assert "was never to be closed by a timer" in finding.story
    assert finding.story.endswith("close_new closes it on Wed 2026-02-04 09:00 UTC")
    case, promised = replayed(desk, new, finding)
    assert (case.state, promised) == ("closed", None)
    assert "closes-sooner" not in codes(compare(new, desk))


def test_a_closure_that_comes_sooner_by_way_of_other_states(desk: Policy) -> None:
    new = timed(desk, close_parked={"after": {"days": 60}})
    found = [finding for finding in compare(desk, new) if finding.code == "closes-sooner"]
    assert [finding.message for finding in found] == [
        "cases in flight in waiting.vendor could be closed 30 days sooner than was promised",
        "cases in flight in parked could be closed 30 days sooner than was promised",
    ]
    assert found[0].path == "timers.park.after"
    case, promised = replayed(desk, new, found[0])
    assert (case.entered_at, promised) == (MONDAY + 70 * DAY, MONDAY + 100 * DAY)
    assert found[1].witness == ()  # no event leads there


def test_states_with_the_same_story_are_one_finding(desk: Policy) -> None:
    base: Mapping[str, Any] = {
        "timers": {
            "remind": False,
            "close_waiting": False,
            "park": False,
            "close_parked": False,
            "stop": {"in": "*open", "after": {"days": 30}, "to": "closed"},
        }
    }
    old = desk.override(base)
    new = timed(old, stop={"after": {"days": 20}})
    assert the("closes-sooner", compare(old, new)).message == (
        "cases in flight in every open state could be closed 10 days sooner than was promised"
    )


def test_under_another_name_it_is_a_warning_for_migration_sees_to_it(desk: Policy) -> None:
    new = timed(desk, close_waiting={"after": {"days": 14}}).override({"name": "desk-2"})
    finding = the("closes-sooner", compare(desk, new))
    assert finding.severity == "warning"
    assert finding.remedy.startswith("move the cases in flight over")
    same = the("closes-sooner", compare(desk, timed(desk, close_waiting={"after": {"days": 14}})))
    assert same.remedy.startswith("give the new version a name of its own")
    workflow = Workflow(desk)
    case = workflow.apply(
        workflow.open("C-1", at=MONDAY), "ask", by="agent", sub_status="customer", at=MONDAY
    )
    moved = workflow.migrate(case, Workflow(new), at=MONDAY + 10 * DAY)
    assert moved.stay == case.stay + 1


def test_a_notice_that_is_dropped_matters_after_an_outage(desk: Policy) -> None:
    old = timed(desk, close_waiting={"notice": {"days": 7}})
    found = compare(old, desk)
    assert codes(found) == ["closes-sooner-after-outage", "notice-changed"]
    finding = found[0]
    assert (finding.severity, finding.path) == ("error", "timers.close_waiting")
    assert finding.message == (
        "cases in flight in waiting.customer could be closed 7 days sooner than was promised after an outage"
    )
    assert finding.story == (
        "a case that entered waiting.customer on Mon 2026-01-05 09:00 UTC, and that no sweep has found since "
        "until Mon 2026-02-02 09:00 UTC, was to be closed by close_waiting on Mon 2026-02-09 09:00 UTC; "
        "under the new version, in force from Mon 2026-02-02 09:00 UTC on, close_waiting closes it on "
        "Mon 2026-02-02 09:00 UTC, 7 days sooner"
    )
    case, promised = replayed(old, desk, finding)
    assert (case.entered_at, promised) == (MONDAY + 28 * DAY, MONDAY + 35 * DAY)
    assert found[1].path == "old.timers.close_waiting.notice"


def test_a_notice_that_is_shortened_matters_after_a_late_reminder(desk: Policy) -> None:
    old = timed(desk, close_waiting={"after": {"days": 14}, "notice": {"days": 7}})
    new = timed(desk, close_waiting={"after": {"days": 16}, "notice": {"days": 2}})
    finding = the("closes-sooner-after-outage", compare(old, new))
    case, promised = replayed(old, new, finding)
    assert promised is not None
    assert case.entered_at < promised
    assert compare(new, old)[0].code == "closes-sooner"  # the other way round nobody needs an outage


def test_a_reminder_that_has_been_sent_late_counts_from_when_it_was_sent(desk: Policy) -> None:
    old = timed(
        desk,
        second={"in": "waiting.customer", "kind": "remind", "after": {"days": 8}, "notice": {"days": 8}},
        close_waiting={"notice": {"days": 1}},
    )
    new = timed(old, second={"notice": {"days": 1}})
    finding = the("closes-sooner-after-outage", compare(old, new))
    assert "settled" in finding.story or "no sweep" in finding.story
    case, promised = replayed(old, new, finding)
    assert promised is not None
    assert case.entered_at < promised


def test_a_reminder_that_comes_later_or_never_is_less_warning(desk: Policy) -> None:
    later = timed(desk, remind={"after": {"days": 21}})
    finding = the("less-warning", compare(desk, later))
    assert (finding.severity, finding.path) == ("error", "timers.remind")
    assert finding.message == (
        "cases in flight in waiting.customer could be closed with less warning: "
        "customer is told 7 days before the closure; so far it was 21 days"
    )
    assert finding.story == (
        "a case that enters waiting.customer on Mon 2026-01-05 09:00 UTC was to be closed on "
        "Mon 2026-02-02 09:00 UTC, and customer to be told on Mon 2026-01-12 09:00 UTC; under the new "
        "version, in force from then on, it is closed on Mon 2026-02-02 09:00 UTC, and customer is told "
        "on Mon 2026-01-26 09:00 UTC"
    )
    case, _ = replayed(desk, later, finding)
    assert [(change.event, change.at) for change in case.history[1:]] == [
        ("remind", MONDAY + 21 * DAY),
        ("close_waiting", MONDAY + 28 * DAY),
    ]
    never = timed(desk, remind=False)
    finding = the("less-warning", compare(desk, never))
    assert finding.path == "old.timers.remind"
    assert finding.message.endswith(
        "customer is not told before the closure any more; so far it was, 21 days before"
    )
    case, _ = replayed(desk, never, finding)
    assert [change.event for change in case.history] == ["ask", "close_waiting"]
    for other in (later, never):
        assert "less-warning" not in codes(compare(other, desk))


def test_fewer_reminders_are_less_warning(desk: Policy) -> None:
    often = timed(desk, remind={"repeat": {"every": {"days": 7}, "times": 3}})
    finding = the("less-warning", compare(often, desk))
    assert finding.message.endswith(
        "customer is told 21 days before the closure; so far it was 21 days, 14 days and 7 days"
    )
    assert finding.path == "timers.remind"


def test_warnings_that_differ_are_findings_of_their_own(desk: Policy) -> None:
    stop = {"in": "*open", "after": {"days": 60}, "to": "closed"}
    base = timed(desk, close_waiting=False, park=False, close_parked=False, stop=stop)
    tell = {"kind": "remind", "audience": "customer", "after": {"days": 7}}
    old = timed(
        base,
        remind={"in": ["new", "waiting.customer"]},
        early={"in": "parked", **tell, "after": {"days": 5}},
        other={"in": "waiting.vendor", **tell},
    )
    new = timed(old, remind=False, early=False, other=False)
    found = [finding for finding in compare(old, new) if finding.code == "less-warning"]
    assert [(finding.path, re.findall(r"in flight in (.*) could", finding.message)) for finding in found] == [
        ("old.timers.remind", ["new and waiting.customer"]),
        ("old.timers.other", ["waiting.vendor"]),
        ("old.timers.early", ["parked"]),
    ]
    assert "so far it was, 53 days before" in found[0].message
    assert "so far it was, 55 days before" in found[2].message


def test_a_reminder_for_somebody_else_does_not_warn_the_customer(desk: Policy) -> None:
    other = timed(desk, remind={"audience": "support"})
    assert (
        "customer is not told before the closure any more"
        in the("less-warning", compare(desk, other)).message
    )
    data: dict[str, Any] = desk.to_dict()
    del data["timers"]["remind"]["audience"]
    nobody = load_policy(data)
    assert (
        "nobody in particular is not told"
        in the("less-warning", compare(nobody, timed(nobody, remind=False))).message
    )


@pytest.mark.parametrize(
    "timers",
    [
        {"remind": {"after": {"days": 14}}, "close_waiting": {"after": {"days": 35}}},  # as long before
        {"remind": {"after": {"days": 3}}},  # longer before
        {
            "second": {
                "in": "waiting.customer",
                "kind": "remind",
                "audience": "customer",
                "after": {"days": 27},
            }
        },
        {"close_waiting": {"after": {"days": 60}}},
        {"remind": False, "close_waiting": False},
    ],
)
def test_a_warning_that_is_no_less(desk: Policy, timers: dict[str, object]) -> None:
    found = codes(compare(desk, timed(desk, **timers)))
    assert "less-warning" not in found
    assert "closes-sooner" not in found


def test_states_that_are_closed_have_no_cases_in_flight() -> None:
    old = built_in.SUB_STATUS
    new = old.override({"timers": {"purge": {"in": "closed", "after": {"days": 2}, "to": "new"}}})
    assert not {"closes-sooner", "less-warning"} & set(codes(compare(old, new)))


def test_timers_that_go_in_a_circle_never_close(desk: Policy) -> None:
    circle = timed(desk, close_parked={"to": "waiting.vendor"})
    assert "closes-sooner" not in codes(compare(desk, circle))
    found = [finding for finding in compare(circle, desk) if finding.code == "closes-sooner"]
    assert [finding.path for finding in found] == ["timers.park.after", "timers.close_parked.after"]
    assert all("never promised" in finding.message for finding in found)
    tighter = timed(circle, park={"after": {"days": 1}})
    assert codes(compare(circle, tighter)) == ["deadline-moved"]


def test_a_length_beyond_the_end_of_time_never_closes(desk: Policy) -> None:
    far = timed(
        desk, close_waiting={"after": {"days": 3_000_000}}, close_parked={"after": {"days": 2_912_470}}
    )
    assert {"closes-sooner", "less-warning"}.isdisjoint(codes(compare(desk, far)))
    never = "could be closed by a timer, which was never promised"
    assert compare(far, desk)[0].message.endswith(never)


def test_business_days_are_compared_over_a_year(desk: Policy) -> None:
    old = timed(desk, close_waiting={"after": {"business_days": 20}})
    berlin = old.override({"calendar": {"holidays": ["2026-12-25"]}})
    finding = the("closes-sooner", compare(berlin, old))
    assert finding.message == (
        "cases in flight in waiting.customer could be closed 3 days sooner than was promised "
        "(the worst of 396 entries compared)"
    )
    case, promised = replayed(berlin, old, finding)
    assert promised is not None
    assert promised - case.entered_at == 3 * DAY
    assert "closes-sooner" not in codes(compare(old, berlin))  # a holiday makes nothing come earlier


def test_a_turn_of_the_clocks_is_found(desk: Policy) -> None:
    berlin = desk.override({"calendar": {"zone": "Europe/Berlin"}})
    old = timed(berlin, close_waiting={"after": {"days": 14}})
    new = timed(berlin, close_waiting={"after": {"calendar_days": 14}})
    finding = the("closes-sooner", compare(old, new))
    assert "could be closed 1 hour sooner" in finding.message
    case, promised = replayed(old, new, finding)
    assert promised is not None
    assert promised - case.entered_at == timedelta(hours=1)


def test_a_holiday_of_another_year_is_looked_at_as_well(desk: Policy) -> None:
    old = timed(desk, close_waiting={"after": {"business_days": 20}})
    holidays = old.override({"calendar": {"holidays": ["2031-06-04", "0001-01-01", "DE-BE"]}})
    finding = the("closes-sooner", compare(holidays, old))
    assert "entries compared" in finding.message


def test_notices_in_business_days_are_followed_through_every_position(desk: Policy) -> None:
    old = timed(desk, close_waiting={"notice": {"business_days": 5}})
    finding = the(
        "closes-sooner-after-outage", compare(old, timed(desk, close_waiting={"notice": {"days": 2}}))
    )
    case, promised = replayed(old, timed(desk, close_waiting={"notice": {"days": 2}}), finding)
    assert promised is not None
    assert case.entered_at < promised


def test_a_story_is_told_to_the_second(desk: Policy) -> None:
    new = timed(desk, close_waiting={"after": {"days": 14, "seconds": 7}})
    finding = the("closes-sooner", compare(desk, new))
    assert "Mon 2026-01-19 09:00:07 UTC" in finding.story


def test_the_witness_gives_what_the_events_ask_for(desk: Policy) -> None:
    old = desk.override(
        {
            "transitions": [
                {"event": "ask", "by": "agent", "from": "new", "refuse": True, "when": "unassigned"},
                {"event": "assign", "by": "boss", "from": "new", "needs": "assignee"},
                {"event": "back", "by": "agent", "from": "waiting", "to": "@previous"},
                {"event": "clone", "by": "customer", "from": "*open"},
            ]
        }
    )
    new = timed(old, close_waiting={"after": {"days": 14}})
    finding = the("closes-sooner", compare(old, new))
    assert [(step.event, step.by, step.sub_status, step.assignee) for step in finding.witness[:3]] == [
        ("open", "system", None, None),
        ("assign", "boss", None, "mira"),
        ("ask", "agent", "customer", None),
    ]
    case, _ = replayed(old, new, finding)
    assert case.state == "closed"


def test_a_notice_that_would_be_over_beyond_the_end_of_time_holds_back_for_ever(desk: Policy) -> None:
    old = timed(desk, close_waiting={"after": {"days": 2_900_000}, "notice": {"days": 365_000}})
    new = timed(old, close_waiting={"after": {"days": 2_900_001}})
    assert codes(compare(old, new)) == ["deadline-moved"]
    assert codes(compare(new, old)) == ["closes-sooner", "deadline-moved"]


# --- properties ---------------------------------------------------------------------


LENGTHS = ({"days": 0}, {"days": 1}, {"days": 3}, {"days": 7}, {"days": 10}, {"days": 14}, {"days": 28})


@st.composite
def schedules_of_three_states(draw: st.DrawFn) -> dict[str, Any]:
    """Timers of three states, with notices and repeats, and a way from one to the other by time."""
    timers: dict[str, Any] = {}
    timer: dict[str, Any]
    for state in ("a", "b", "c"):
        for number in range(draw(st.integers(0, 3))):
            timers[f"tell_{state}{number}"] = timer = {
                "in": state,
                "kind": "remind",
                "audience": "customer",
                "after": draw(st.sampled_from(LENGTHS)),
            }
            if draw(st.booleans()):
                timer["notice"] = draw(st.sampled_from(LENGTHS))
            if draw(st.integers(0, 3)) == 0:
                timer["repeat"] = {"every": {"days": 2}, "times": draw(st.integers(2, 3))}
        if draw(st.integers(0, 5)):
            others = [other for other in ("a", "b", "c") if other != state]
            longest = draw(st.integers(32, 50))
            timers[f"end_{state}"] = timer = {
                "in": state,
                "after": {"days": longest},
                "to": draw(st.sampled_from(("closed", "closed", *others))),
            }
            if draw(st.booleans()):
                timer["notice"] = draw(st.sampled_from(LENGTHS))
    return timers


@st.composite
def three_state_policies(draw: st.DrawFn) -> Policy:
    timers = draw(schedules_of_three_states())
    table: dict[str, Any] = {
        "format": 1,
        "name": "desk",
        "initial": "a",
        "statuses": {"a": {}, "b": {}, "c": {}, "closed": {"closed": True}},
        "transitions": [
            {"event": f"to_{state}", "by": "agent", "from": "*open", "to": state} for state in "abc"
        ],
        "timers": timers,
    }
    try:
        return load_policy(table)
    except PolicyError as error:  # the first timer of a schedule has no notice
        for problem in error.problems:
            timers[problem.path.split(".")[1]].pop("notice", None)
        return load_policy(table)


@settings(max_examples=80)
@given(st.data())
def test_no_case_in_flight_is_closed_sooner_unless_that_is_said(data: st.DataObject) -> None:
    old, new = data.draw(three_state_policies()), data.draw(three_state_policies())
    said = {finding.code for finding in compare(old, new)}
    before, after = Workflow(old), Workflow(new)
    for _ in range(5):
        case = data.draw(histories(old))
        now = case.changed_at + data.draw(st.sampled_from((0, 1, 5, 20, 60))) * DAY
        if old.is_closed(case.state):
            continue
        try:
            then = closes_at(after, case, now)
        except CaseDataError:
            assert "settled-timer-gone" in said
            continue
        promised = closes_at(before, case, now)
        if then is not None and (promised is None or then < promised):
            assert {"closes-sooner", "closes-sooner-after-outage"} & said


@settings(max_examples=80)
@given(three_state_policies(), three_state_policies())
def test_every_case_that_is_said_to_be_closed_sooner_really_is(old: Policy, new: Policy) -> None:
    for finding in compare(old, new):
        if finding.code.startswith("closes-sooner"):
            case, promised = replayed(old, new, finding)
            assert case.state == "closed"
            assert promised is None or case.entered_at < promised
            assert f"closes it on {_day(case.entered_at)}" in finding.story
        elif finding.code == "less-warning":
            case, _ = replayed(old, new, finding)
            assert case.state == "closed"
        else:
            assert (finding.story, finding.witness) == ("", ())


def _day(at: datetime) -> str:
    return f"{('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun')[at.weekday()]} {at:%Y-%m-%d}"


@given(policies(units=("elapsed",)), policies(units=("elapsed",)))
def test_what_one_version_gains_it_loses_the_other_way_round(one: Policy, other: Policy) -> None:
    there, back = compare(one, other), compare(other, one)
    for gained, lost in (
        ("state-gained", "state-gone"),
        ("role-gained", "role-gone"),
        ("transition-gained", "transition-lost"),
        ("timer-gained", "timer-lost"),
        ("state-opened", "state-closed"),
    ):
        assert codes(there).count(gained) == codes(back).count(lost)
        assert codes(there).count(lost) == codes(back).count(gained)
    for code in (
        "name-changed",
        "initial-changed",
        "transition-changed",
        "deadline-moved",
        "repeat-changed",
        "notice-changed",
        "kind-changed",
        "audience-changed",
        "target-changed",
        "order-changed",
        "calendar-changed",
        "text-changed",
    ):
        assert codes(there).count(code) == codes(back).count(code)


@settings(max_examples=30)
@given(policies(), policies())
def test_findings_stand_gravest_first_and_are_whole(one: Policy, other: Policy) -> None:
    found = compare(one, other)
    severities = ("error", "warning", "note")
    places = [(severities.index(finding.severity), list(CODES).index(finding.code)) for finding in found]
    assert places == sorted(places)
    for finding in found:
        renamed = one.name != other.name and finding.code.startswith("closes-sooner")
        assert finding.severity == ("warning" if renamed else CODES[finding.code])
        assert finding.message
        assert bool(finding.remedy) == (finding.severity != "note")
        assert finding.path


def test_a_reply_that_stops_a_closure_no_more_is_an_error_once() -> None:
    deaf_row = {"event": "comment", "by": "customer", "from": "pending_customer"}
    old = built_in.OPEN_RESOLVED
    deaf = old.override({"transitions": [deaf_row]})
    finding = the("reply-no-longer-stops", compare(old, deaf))
    assert (finding.severity, finding.path) == ("error", "timers.close_pending")
    assert "comment by the customer changes nothing" in finding.story
    for before, after in ((deaf, old), (deaf, deaf.override({"name": "deaf"}))):
        assert "reply-no-longer-stops" not in codes(compare(before, after))
    without = deaf.override({"timers": {"close_pending": False}})
    assert "reply-no-longer-stops" not in codes(compare(old, without))


# --- arguments, and the page ----------------------------------------------------------


def test_what_is_no_policy_is_refused(desk: Policy) -> None:
    with pytest.raises(PolicyError) as caught:
        compare({"name": "desk"}, "sub-status")  # type: ignore[arg-type]
    assert [problem.path for problem in caught.value.problems] == ["old", "new"]
    assert "must be a Policy (see load_policy), not {'name': 'desk'}" in str(caught.value)
    with pytest.raises(PolicyError, match="new: must be a Policy"):
        compare(desk, None)  # type: ignore[arg-type]


def test_every_code_is_explained_with_an_example_on_its_page() -> None:
    page = (Path(__file__).parents[1] / "docs/versions.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### `([a-z-]+)`\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(CODES)
    for code, section in sections.items():
        assert re.search(rf"^{CODES[code]} {code} ", section, re.MULTILINE), code
