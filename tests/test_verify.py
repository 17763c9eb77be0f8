"""`verify`: every finding both ways, every witness walked again, nothing found that it rules out."""

from __future__ import annotations

import json
import re
import tomllib

from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from builders import MONDAY
from casestate import (
    Case,
    Change,
    EventRefused,
    MissingArgument,
    Policy,
    PolicyError,
    UnknownEvent,
    UnknownStatus,
    Workflow,
    load_policy,
    policies,
)
from casestate.cli import cli
from casestate.testing import policies as any_policies
from casestate.verify import CODES, Finding, Occurrence, Report, retrace, verify


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PAGE: Final = Path(__file__).parents[1] / "docs" / "checks.md"
CONFORMANCE: Final = PAGE.parent / "conformance.md"


def example(name: str) -> dict[str, Any]:
    """A policy file of docs/checks.md."""
    found = re.search(
        rf"^```toml {re.escape(name)}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found, name
    return tomllib.loads(found[1])


def desk(*overlays: Mapping[str, Any]) -> Policy:
    """The policy of docs/checks.md of which nothing is to be said, and what is laid over it in turn."""
    policy = Policy.from_dict(example("desk.toml"))
    for overlay in overlays:
        policy = policy.override({key: value for key, value in overlay.items() if key != "extends"})
    return policy


def codes(policy: Policy) -> list[str]:
    return [finding.code for finding in verify(policy)]


def the(code: str, policy: Policy) -> Finding:
    """The only finding of a code."""
    (finding,) = [finding for finding in verify(policy) if finding.code == code]
    return finding


def row(event: str, by: str, from_: str, to: str | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - what a row holds
    return {"event": event, "by": [by], "from": [from_], **({} if to is None else {"to": to}), **more}


# --- the page and the table ------------------------------------------------------


def sections() -> dict[str, str]:
    parts = re.split(
        r"^### (.+)\n", PAGE.read_text("utf-8").partition("## A policy that")[0], flags=re.MULTILINE
    )
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_page_explains_every_code_there_is_and_no_other() -> None:
    assert sections().keys() == CODES.keys()
    assert list(CODES) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_the_page_says_how_severe_a_code_is_and_shows_it(code: str) -> None:
    section = sections()[code]
    assert section.lstrip().startswith({"error": "An error: ", "warning": "A warning: "}[CODES[code]])
    assert f"{CODES[code]}[{code}] " in section


def test_nothing_is_to_be_said_of_the_desk_of_the_page() -> None:
    report = verify(desk())
    assert (len(report), report.errors, report.warnings, list(report)) == (0, (), (), [])


def shown() -> dict[str, str]:
    """What the page says that ``check`` prints, by the name of the file."""
    return dict(
        re.findall(
            r"^\$ casestate check (\w+\.toml)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
    )


@pytest.mark.parametrize("name", shown())
def test_the_page_shows_what_check_prints(name: str, tmp_path: Path) -> None:
    for file in ("desk.toml", name):
        found = re.search(
            rf"^```toml {re.escape(file)}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
        if found:
            (tmp_path / file).write_text(found[1], encoding="utf-8")
    if name == "typo.toml":  # the page makes it with a command
        (tmp_path / name).write_text(
            'extends = "desk.toml"\n[timers.remind]\nin = ["wating"]\n', encoding="utf-8"
        )
    result = CliRunner().invoke(cli, ["check", str(tmp_path / name)], catch_exceptions=False)
    assert result.output.replace(f"{tmp_path}/", "") == shown()[name]


MENDED: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "action-unsaid": ("mute.toml", {"statuses": {"waiting": {"action_required": "Send the log."}}}),
    "closed-case-moves": ("undead.toml", {"timers": {"wake": {"to": "closed", "in": ["new"]}}}),
    "closes-while-not-waiting": ("impatient.toml", {"statuses": {"waiting": {"waiting_on": "customer"}}}),
    "closure-unannounced": (
        "silent.toml",
        {"timers": {"tell": {"in": ["waiting"], "kind": "notify", "after": {"hours": 0}}}},
    ),
    "closure-unwarned-by-outage": ("outage.toml", {"timers": {"close_waiting": {"notice": {"hours": 0}}}}),
    "closure-without-reminder": ("once.toml", {"timers": {"remind": {"kind": "remind"}}}),
    "comment-refused": ("refused.toml", {"transitions": [row("comment", "customer", "new")]}),
    "comment-stops-no-closure": (
        "deaf.toml",
        {"transitions": [row("comment", "customer", "waiting", "new")]},
    ),
    "initial-closed": ("stillborn.toml", {"initial": "new"}),
    "no-way-back": ("final.toml", {"transitions": [row("clone", "customer", "closed")]}),
    "no-way-to-close": ("trap.toml", {"transitions": [row("calm", "agent", "escalated", "new")]}),
    "only-time-leads-on": ("parked.toml", {"transitions": [row("unpark", "agent", "parked", "new")]}),
    "previous-nowhere": ("nowhere.toml", {"transitions": [row("withdraw", "agent", "new", "draft")]}),
    "previous-without-fallback": (
        "back.toml",
        {"transitions": [row("back", "agent", "new", "@previous"), row("back", "agent", "new", "waiting")]},
    ),
    "promise-not-kept": ("promise.toml", {"transitions": [row("clone", "customer", "closed")]}),
    "reminder-sometimes-too-late": (
        "weekends.toml",
        {"timers": {"close_waiting": {"notice": {"days": 1}}}},
    ),
    "reminder-too-late": ("late.toml", {"timers": {"close_waiting": {"notice": {"days": 0}}}}),
    "role-unused": ("supervisor.toml", {"transitions": [row("audit", "supervisor", "*")]}),
    "row-unreachable": (
        "unreachable.toml",
        {"transitions": [row("take", "agent", "new", needs=["assignee"])]},
    ),
    "row-without-effect": ("twice.toml", {"transitions": [row("ask", "agent", "*", refuse=True)]}),
    "state-unreachable": ("island.toml", {"transitions": [row("hold", "agent", "new", "on_hold")]}),
    "timer-cycle": ("circle.toml", {"timers": {"unpark": {"to": "closed"}}}),
    "timer-never-fires": ("tie.toml", {"timers": {"tell_manager": {"after": {"days": 3, "seconds": 1}}}}),
    "timer-rarely-fires": ("calendar.toml", {"timers": {"tell_lead": {"after": {"business_days": 4}}}}),
    "waiting-on-unsaid": ("unsaid.toml", {"statuses": {"parked": {"waiting_on": "customer"}}}),
    "waits-for-ever": (
        "forgotten.toml",
        {"timers": {"nudge": {"in": ["parked"], "kind": "remind", "after": {"days": 7}}}},
    ),
    "zone-not-portable": ("local.toml", {"calendar": {"zone": "Europe/Berlin"}}),
}


def test_every_code_is_seen_both_ways() -> None:
    assert {*MENDED, "no-customer"} == CODES.keys()


@pytest.mark.parametrize("code", MENDED)
def test_a_finding_is_gone_when_what_it_says_is_mended(code: str) -> None:
    name, mended = MENDED[code]
    broken = desk(example(name))
    finding = the(code, broken)
    assert finding.severity == CODES[code]
    assert finding.message
    assert finding.remedy
    assert bool(finding.story) == bool(finding.witness)
    assert code not in codes(desk(example(name), mended))


def test_without_a_customer_nothing_is_said_of_customers() -> None:
    policy = Policy.from_dict(example("clients.toml"))
    assert codes(policy) == ["no-customer"]
    idle = Policy.from_dict({**example("clients.toml"), "roles": ["client", "agent", "customer", "system"]})
    assert [(finding.code, finding.path) for finding in verify(idle)] == [("no-customer", "transitions")]


# --- the built-in policies ---------------------------------------------------------


@pytest.mark.parametrize("name", ["sub-status", "open-resolved"])
def test_a_built_in_policy_has_no_errors_and_the_warnings_that_the_page_tells_with_why(name: str) -> None:
    report = verify(load_policy(name))
    told = re.findall(
        rf"^\| `{name}` \| `([a-z-]+)` \| `([a-z_.]+)` \| \S.+ \|$",
        CONFORMANCE.read_text("utf-8"),
        re.MULTILINE,
    )
    assert report.errors == ()
    assert [(finding.code, finding.path) for finding in report.warnings] == told


def test_an_outage_closes_a_pending_case_unwarned_and_the_story_tells_it() -> None:
    (finding,) = [
        finding
        for finding in verify(policies.SUB_STATUS)
        if (finding.code, finding.path) == ("closure-unwarned-by-outage", "timers.close_pending")
    ]
    assert finding.story == (
        "open → pend(customer_input) → 28 days pass unseen → "
        "closed by close_pending, remind_customer never sent"
    )
    opened, pended, closed = retrace(Workflow(policies.SUB_STATUS), finding.witness)
    assert [case.state for case in (opened, pended, closed)] == ["new", "pending.customer_input", "closed"]
    assert closed.entered_at - pended.entered_at == timedelta(days=28)
    assert closed.history[-1].detail == ("remind_customer",)


@pytest.mark.parametrize("timer", ["close_awaiting", "close_pending"])
def test_one_line_of_notice_answers_the_outage(timer: str) -> None:
    policy = policies.SUB_STATUS.override({"timers": {timer: {"notice": {"days": 7}}}})
    left = [finding.path for finding in verify(policy) if finding.code == "closure-unwarned-by-outage"]
    assert left == [f"timers.{name}" for name in ("close_awaiting", "close_pending") if name != timer]


def test_the_report_counts_what_was_looked_at() -> None:
    report = verify(policies.SUB_STATUS)
    # Ten states, and one more position for each of the five timers that is settled and stays.
    assert report.configurations == 10 + 5
    assert report.to_dict() == {
        "policy": "sub-status",
        "errors": 0,
        "warnings": 3,
        "configurations": 15,
        "changes": report.changes,
        "findings": [finding.to_dict() for finding in report],
    }
    assert isinstance(report, Report)
    assert report.findings[0].to_dict()["witness"] == [step.to_dict() for step in report.findings[0].witness]
    assert Policy.from_dict(example("clients.toml")).name == "clients"
    # Two states; close by two roles, and nothing after it.
    clients = verify(Policy.from_dict(example("clients.toml")))
    assert (clients.configurations, clients.changes) == (2, 2)


@pytest.mark.parametrize("wrong", [None, "sub-status", {}, Workflow])
def test_what_is_no_policy_is_refused_with_what_to_give(wrong: object) -> None:
    with pytest.raises(PolicyError, match="must be a Policy") as caught:
        verify(wrong)  # type: ignore[arg-type]
    assert [problem.path for problem in caught.value.problems] == ["policy"]
    assert str(caught.value).startswith("verify: ")
    assert repr(wrong)[:100] in str(caught.value)


def test_findings_stand_in_the_order_of_the_file_and_errors_first() -> None:
    policy = desk(
        example("deaf.toml"), example("tie.toml"), example("island.toml"), example("supervisor.toml")
    )
    assert [(finding.severity, finding.path) for finding in verify(policy)] == [
        ("error", "timers.close_waiting"),
        ("error", "timers.tell_lead.after"),
        ("warning", "roles"),
        ("warning", "statuses.on_hold"),
        ("warning", "transitions[2]"),
    ]


# --- closures ------------------------------------------------------------------------


def chained(**notice: Any) -> Policy:  # noqa: ANN401 - a timer's own keys
    """A desk whose waiting cases are moved to a last call before they are closed."""
    return desk(
        {
            "statuses": {"last_call": {"waiting_on": "customer", "action_required": "Reply."}},
            "transitions": [row("comment", "customer", "last_call", "new")],
            "timers": {
                "close_waiting": False,
                "move_on": {"in": ["waiting"], "after": {"days": 14}, "to": "last_call"},
                "close_last": {"in": ["last_call"], "after": {"days": 7}, "to": "closed", **notice},
            },
        }
    )


def test_a_reminder_counts_across_timers_that_move_the_case_on() -> None:
    (finding,) = verify(chained())
    assert (finding.code, finding.path) == ("closure-unwarned-by-outage", "timers.close_last")
    assert finding.story == (
        "open → ask → 14 days pass unseen → last_call by move_on, remind never sent → 7 days pass → "
        "closed by close_last"
    )
    assert finding.remedy.startswith("let a reminder to the customer be the timer just before close_last")
    noticed = chained().override({"timers": {"move_on": {"notice": {"days": 1}}}})
    assert codes(noticed) == []


def test_a_closure_is_unannounced_where_somebody_can_bring_a_case_straight_to_it() -> None:
    policy = chained().override({"transitions": [row("hurry", "agent", "new", "last_call")]})
    assert codes(policy) == ["closure-unannounced", "closure-unwarned-by-outage"]
    assert the("closure-unannounced", policy).story == "open → hurry → 7 days pass → closed by close_last"


def test_a_message_to_support_is_no_warning_to_the_customer_even_just_before_the_closure() -> None:
    support = {"in": ["waiting"], "kind": "notify", "audience": "support", "after": {"days": 13}}
    policy = desk({"timers": {"tell_support": support}})
    finding = the("closure-unwarned-by-outage", policy)
    # The notice makes sure of the message to support only, which passes over the reminder.
    assert finding.story == (
        "open → ask → 13 days pass unseen → tell_support, remind never sent → 7 days pass → "
        "closed by close_waiting"
    )
    assert finding.remedy.startswith("let a reminder to the customer be the timer just before close_waiting")


def test_a_closure_that_nobody_is_told_of_may_be_warned_of_by_a_timer_without_an_audience() -> None:
    assert codes(desk({"timers": {"remind": {"audience": "support"}}})) == ["closure-unannounced"]
    assert (
        codes(
            desk(
                {
                    "timers": {
                        "remind": False,
                        "plain": {"in": ["waiting"], "kind": "remind", "after": {"days": 1}},
                    }
                }
            )
        )
        == []
    )


def test_what_is_said_in_a_closed_state_is_no_warning_of_a_later_closure() -> None:
    policy = desk(
        {
            "statuses": {"asleep": {"closed": True}},
            "initial": "asleep",
            "timers": {
                "tell": {"in": ["asleep"], "kind": "notify", "audience": "customer", "after": {"days": 2}},
                "wake": {"in": ["asleep"], "after": {"days": 3}, "to": "waiting"},
                "remind": False,
                "close_waiting": {"notice": False},
            },
        }
    )
    assert [code for code in codes(policy) if code.startswith("closure-")] == ["closure-unannounced"]


def test_a_closure_inside_closed_statuses_is_none() -> None:
    policy = desk(
        {
            "statuses": {"archived": {"closed": True}},
            "transitions": [row("reopen", "customer", "archived", "new")],
            "timers": {"archive": {"in": ["closed"], "after": {"days": 90}, "to": "archived"}},
        }
    )
    assert codes(policy) == []


def test_timers_that_lead_from_a_closed_case_to_a_closure_warn_of_nothing() -> None:
    policy = desk(
        example("undead.toml"), {"timers": {"lapse": {"in": ["new"], "after": {"days": 1}, "to": "closed"}}}
    )
    assert "timer-cycle" in codes(policy)
    assert "closed-case-moves" in codes(policy)


def test_a_reply_must_stop_the_closure_whoever_the_case_is_with() -> None:
    policy = desk(
        {
            "transitions": [
                row("take", "agent", "new", needs=["assignee"]),
                row("comment", "customer", "waiting", when="assigned"),
            ]
        }
    )
    finding = the("comment-stops-no-closure", policy)
    assert "closes waiting with an assignee in spite of a reply" in finding.message
    assert finding.story.startswith("open → take → ask → comment by the customer changes nothing → ")


def test_a_reply_must_stop_what_timers_alone_lead_on_to() -> None:
    deaf = chained().override({"transitions": [row("comment", "customer", "waiting")]})
    finding = the("comment-stops-no-closure", deaf)
    assert finding.message == (
        "close_last closes last_call in spite of a reply in waiting: a comment begins no new stay there"
    )
    assert finding.story == (
        "open → ask → comment by the customer changes nothing → 14 days pass unseen → last_call by move_on, "
        "remind never sent → 7 days pass → closed by close_last"
    )
    assert retrace(Workflow(deaf), finding.witness)[-1].state == "closed"
    for state in ("waiting", "last_call"):  # meanwhile it is the turn of others, who have read it
        others = deaf.override({"statuses": {state: {"waiting_on": "support"}}})
        assert not any("in spite of a reply in" in finding.message for finding in verify(others))
    closing = deaf.override({"transitions": [row("comment", "customer", "waiting", "closed")]})
    assert "comment-stops-no-closure" not in codes(closing)


def test_a_role_that_rows_only_refuse_is_unused() -> None:
    bar = {"event": "ask", "by": ["agent", "boss"], "from": ["new"], "refuse": True}
    rows = {"roles": ["customer", "agent", "boss"], "transitions": [bar]}
    finding = the("role-unused", desk(rows))
    assert finding.message == "no row permits the role 'boss': whatever it does is refused"
    assert finding.remedy == "give it rows, or leave 'boss' out of roles and rows"


def test_a_comment_that_closes_the_case_stops_no_closure_either() -> None:
    policy = desk({"transitions": [row("comment", "customer", "waiting", "closed")]})
    assert the("comment-stops-no-closure", policy).story == "open → ask → comment by the customer"


def test_a_refused_comment_stops_no_closure() -> None:
    policy = desk({"transitions": [row("comment", "customer", "waiting", refuse=True)]})
    finding = the("comment-stops-no-closure", policy)
    assert finding.witness[2] == Occurrence(
        at=finding.witness[1].at, event="comment", by="customer", refused=True
    )
    assert "comment by the customer is refused → " in finding.story
    assert retrace(Workflow(policy), finding.witness)[-1].state == "closed"


def test_where_a_policy_has_no_comment_any_event_of_the_customer_is_a_reply() -> None:
    silent: dict[str, Any] = {
        "format": 1,
        "name": "letters",
        "initial": "asked",
        "statuses": {
            "asked": {"waiting_on": "customer", "action_required": "Write."},
            "read": {"waiting_on": "support"},
            "closed": {"closed": True},
        },
        "transitions": [
            row("letter", "customer", "asked", "read"),
            row("answer", "agent", "read", "asked"),
            row("letter", "customer", "closed", "read"),
        ],
        "timers": {
            "remind": {"in": ["asked"], "kind": "remind", "after": {"days": 3}},
            "close": {"in": ["asked"], "after": {"days": 9}, "to": "closed", "notice": {"days": 3}},
        },
    }
    assert codes(Policy.from_dict(silent)) == []
    deaf = Policy.from_dict({**silent, "transitions": silent["transitions"][1:]})
    finding = the("comment-stops-no-closure", deaf)
    assert finding.story == "open → 3 days pass → remind → 6 days pass → closed by close"
    assert "whatever a customer may do begins no new stay there" in finding.message


def test_two_states_that_a_timer_closes_in_vain_are_told_of_at_once() -> None:
    policy = desk(example("unsaid.toml"), {"transitions": [row("comment", "customer", "*open")]})
    assert the("comment-stops-no-closure", policy).message.startswith(
        "close_waiting closes waiting, parked in"
    )


def test_a_remedy_names_every_state_that_is_meant() -> None:
    policy = desk(example("unsaid.toml"), {"transitions": [row("comment", "customer", "*open")]})
    assert "leads from waiting, parked to where" in the("comment-stops-no-closure", policy).remedy


def test_a_customer_by_another_word_is_not_taken_for_somebody_else() -> None:
    data = desk().to_dict()
    text = json.dumps({**data, "roles": ["customer", "agent", "system"]}).replace('"customer"', '"client"')
    (finding,) = verify(Policy.from_dict(json.loads(text)))
    assert finding.code == "no-customer"
    assert finding.message.endswith("has not been looked at, nor who is waited on and told")
    vendor = desk(
        {"timers": {"remind": {"audience": "client"}}, "statuses": {"new": {"waiting_on": "vendor"}}}
    )
    assert codes(vendor) == ["closure-unannounced"]


def test_without_rows_by_the_customer_rows_are_asked_for_not_another_name() -> None:
    rows = [row("close", "agent", "new", "closed")]
    policy = Policy.from_dict({**desk().to_dict(), "transitions": rows})
    finding = the("no-customer", policy)
    assert (finding.path, finding.remedy) == ("transitions", "add rows by 'customer'")


def test_several_states_wait_and_one_waits() -> None:
    policy = desk(
        example("unsaid.toml"),
        {"statuses": {"waiting": {"waiting_on": "support"}, "parked": {"waiting_on": "support"}}},
    )
    assert "closes waiting, parked, which wait on support" in the("closes-while-not-waiting", policy).message


def test_a_closure_without_a_pause_is_to_wait_before_it_can_be_reminded_of() -> None:
    policy = desk({"timers": {"remind": False, "close_waiting": {"after": {"days": 0}, "notice": False}}})
    assert the("closure-unannounced", policy).remedy == (
        "let close_waiting wait a while, and remind 'customer' in waiting before"
    )


def test_a_notice_is_advised_only_where_every_state_can_have_it() -> None:
    without = {"timers": {"close_waiting": {"in": ["waiting", "parked"], "notice": False}}}
    policy = desk({**example("unsaid.toml"), "timers": {}}, without)
    remedy = the("closure-unwarned-by-outage", policy).remedy
    assert remedy == (
        "let a reminder to the customer be the timer just before close_waiting in parked, "
        "and give close_waiting a notice"
    )
    with pytest.raises(PolicyError):
        policy.override({"timers": {"close_waiting": {"notice": {"days": 7}}}})
    both = {"remind": {"in": ["waiting", "parked"]}, "close_waiting": {"notice": {"days": 7}}}
    assert "closure-unwarned-by-outage" not in codes(policy.override({"timers": both}))


# --- timers ----------------------------------------------------------------------------


def told(**timers: Mapping[str, Any]) -> Policy:
    """The desk with messages to support in ``new``."""
    message = {"in": ["new"], "kind": "notify", "audience": "support"}
    return desk({"timers": {name: {**message, **timer} for name, timer in timers.items()}})


WEEK: Final = {"after": {"days": 7}}


def test_a_timer_is_passed_over_by_all_that_meet_it_and_the_remedy_names_them() -> None:
    policy = told(one=WEEK, two=WEEK, three=WEEK)
    first, second = (finding.remedy for finding in verify(policy))
    assert first == (
        "make one shorter, or two and three longer; or give two and three a notice: "
        "then one has to come first"
    )
    assert second == "make two shorter, or three longer; or give three a notice: then two has to come first"
    for name in ("two", "three"):
        policy = policy.override({"timers": {name: {"notice": {"hours": 0}}}})
    assert codes(policy) == []


def test_no_notice_is_advised_that_would_not_bind_or_be_refused() -> None:
    repeat = {"repeat": {"every": {"days": 7}, "times": 2}}
    assert the("timer-never-fires", told(one=WEEK, two={**WEEK, **repeat})).remedy == (
        "make one shorter, or two longer"
    )
    fortnight = {"after": {"days": 14}}
    assert the("timer-never-fires", told(one={**WEEK, **repeat}, two=fortnight)).remedy.endswith(
        "or give two a notice: then one#2 has to come first"
    )
    assert the("timer-never-fires", told(one=fortnight, two={**WEEK, **repeat})).remedy.endswith(
        "or give two#2 a notice: then one has to come first"
    )
    first = told(one=WEEK, two={**WEEK, "in": ["new", "closed"]})
    assert the("timer-never-fires", first).remedy == "make one shorter, or two longer"
    with pytest.raises(PolicyError):
        first.override({"timers": {"two": {"notice": {"days": 1}}}})


def test_where_a_notice_holds_a_timer_back_the_remedy_is_about_the_notice() -> None:
    policy = told(one=WEEK, two={"after": {"days": 8}, "notice": {"days": 7}}, three={"after": {"days": 14}})
    assert the("timer-never-fires", policy).remedy.startswith(
        "make the notice of two shorter, or three longer"
    )
    assert codes(policy.override({"timers": {"two": {"notice": {"days": 6}}}})) == []


def test_a_message_that_waits_longer_than_time_goes_on_is_never_returned() -> None:
    policy = told(one=WEEK, two={"after": {"days": 8}, "notice": {"days": 3_000_000}})
    assert (
        the("timer-never-fires", policy).message == "two never fires in new: time does not go on for so long"
    )


def test_a_message_to_others_may_be_passed_over_on_some_days() -> None:
    late = desk(example("weekends.toml"))
    finding = the("reminder-sometimes-too-late", late)
    opened, asked, closed = finding.witness
    assert asked.at == opened.at
    assert closed.event == "close_waiting"
    assert f"{opened.at:%A}" == "Wednesday"
    support = late.override({"timers": {"remind": {"audience": "support"}}})
    assert "reminder-sometimes-too-late" not in codes(support)
    moved = late.override({"timers": {"close_waiting": {"to": "new"}}})
    assert "reminder-sometimes-too-late" not in codes(moved)


def test_a_notice_can_make_the_timer_that_has_it_be_passed_over_for_ever() -> None:
    # At the earliest 7 days after the reminder, the 14th day, when the message of day 10 is due as well.
    policy = desk(
        {
            "timers": {
                "second": {
                    "in": ["waiting"], "kind": "remind", "after": {"days": 8}, "notice": {"days": 7},
                },
                "third": {"in": ["waiting"], "kind": "remind", "after": {"days": 10}},
            }
        }
    )  # fmt: skip
    finding = the("timer-never-fires", policy)
    assert finding.message == "second never fires in waiting: third comes due no later, and passes it over"
    assert codes(policy.override({"timers": {"second": {"notice": {"hours": 1}}}})) == []


def test_a_timer_longer_than_time_goes_on_never_fires() -> None:
    policy = desk({"timers": {"jubilee": {"in": ["new"], "kind": "notify", "after": {"days": 3_000_000}}}})
    finding = the("timer-never-fires", policy)
    assert finding.message == "jubilee never fires in new: time does not go on for so long"
    assert (finding.path, finding.remedy) == ("timers.jubilee.after", "make it shorter")
    assert finding.witness == ()


def test_a_story_that_time_does_not_go_on_for_is_not_told() -> None:
    ages = {f"age_{number}": {"waiting_on": "support"} for number in range(3)}
    policy = desk(
        {
            "statuses": ages,
            "transitions": [row("close", "agent", state, refuse=True) for state in ages]
            + [row("wait", "agent", "new", "age_0")],
            "timers": {
                "first": {"in": ["age_0"], "after": {"days": 2_000_000}, "to": "age_1"},
                "second": {"in": ["age_1"], "after": {"days": 2_000_000}, "to": "age_2"},
            },
        }
    )
    trapped = [finding for finding in verify(policy) if finding.code == "no-way-to-close"]
    assert [(finding.path, bool(finding.story)) for finding in trapped] == [
        ("statuses.age_0", True),
        ("statuses.age_1", True),
        ("statuses.age_2", False),
    ]


def test_a_repeated_reminder_that_meets_the_closure_is_found_by_its_own_name() -> None:
    policy = desk(
        {
            "timers": {
                "remind": {"repeat": {"every": {"days": 7}, "times": 2}},
                "close_waiting": {"notice": False},
            }
        }
    )
    finding = the("reminder-too-late", policy)
    assert finding.path == "timers.remind.after"
    assert finding.message.startswith("remind#2 never fires in waiting: close_waiting comes due no later")


def test_equal_calendar_lengths_meet_at_every_instant() -> None:
    both = {"in": ["new"], "kind": "notify", "audience": "support", "after": {"business_days": 3}}
    policy = desk({"calendar": {"zone": "Europe/Berlin"}, "timers": {"one": both, "two": both}})
    assert the("timer-never-fires", policy).path == "timers.one.after"


def test_a_circle_is_told_from_where_a_case_comes_into_it_and_once() -> None:
    finding = the("timer-cycle", desk(example("circle.toml"), {"initial": "waiting"}))
    assert (
        finding.story
        == "open → comment by the customer → 30 days pass → parked by park → 60 days pass → new by unpark"
    )
    at_once = {"timers": {"park": {"after": {"days": 0}}, "unpark": {"after": {"hours": 0}}}}
    finding = the("timer-cycle", desk(example("circle.toml"), at_once))
    assert "for ever, without a pause: new, parked, new" in finding.message
    assert finding.story == "open → parked by park → new by unpark"


def test_a_notice_longer_than_time_goes_on_is_to_blame_for_what_it_holds_back() -> None:
    remind = {"in": ["waiting"], "kind": "remind"}
    policy = desk(
        {
            "timers": {
                "second": {**remind, "after": {"days": 8}, "notice": {"days": 3_000_000}},
                "third": {**remind, "after": {"days": 9}},
            }
        }
    )
    lost = [finding for finding in verify(policy) if finding.code == "timer-never-fires"]
    assert {(finding.path, finding.remedy) for finding in lost} == {
        ("timers.second.notice", "make the notice of second shorter")
    }
    assert [finding.message.split()[0] for finding in lost] == ["second", "third", "close_waiting"]


# --- states and rows ---------------------------------------------------------------------


def test_a_policy_in_which_nothing_is_closed_is_told_so_once() -> None:
    policy = Policy.from_dict({"format": 1, "name": "open", "initial": "a", "statuses": {"a": {}, "b": {}}})
    finding = the("no-way-to-close", policy)
    assert finding.path == "statuses"
    assert finding.message == "no status is closed, so that no case ever ends"
    assert finding.remedy == "say closed = true of the status in which a case has ended"


def test_a_status_none_of_whose_sub_statuses_is_reached_is_told_of_once() -> None:
    holds: dict[str, Any] = {"hold": {"sub_statuses": {"long": {}, "short": {}}}}
    assert the("state-unreachable", desk({"statuses": holds})).path == "statuses.hold"
    one = desk({"statuses": holds, "transitions": [row("hold", "agent", "new", "hold.short")]})
    assert the("state-unreachable", one).path == "statuses.hold.sub_statuses.long"


def test_a_sub_status_says_what_its_status_says_unless_it_says_otherwise() -> None:
    parked = {
        "waiting_on": "customer",
        "action_required": "Clone it.",
        "sub_statuses": {"a": {}, "b": {"waiting_on": "support", "action_required": "None."}},
    }
    policy = desk({"statuses": {"parked": parked}, "transitions": [row("park", "agent", "new", "parked")]})
    assert the("waits-for-ever", policy).path == "statuses.parked.waiting_on"
    assert the("promise-not-kept", policy).path == "statuses.parked.action_required"
    assert the("waits-for-ever", policy).story == "open → park(a)"


def test_a_refusal_of_what_nothing_permits_has_no_effect() -> None:
    both = {**row("close", "customer", "new", refuse=True), "by": ["customer", "system"]}
    finding = the("row-without-effect", desk({"transitions": [both]}))
    assert finding.message.startswith("'close' by customer or system is refused here")
    assert finding.remedy == "leave it out, or move it above the row that it is to refuse"
    useless = row("close", "customer", "new", refuse=True)
    assert the("row-without-effect", desk({"transitions": [useless]})).message == (
        "'close' by customer is refused here, but no row below would permit it"
    )
    for row_below in (
        row("close", "agent", "new", "closed"),
        row("ask", "customer", "new"),
        row("close", "customer", "waiting"),
        row("close", "customer", "new", refuse=True),
        row("close", "customer", "new", when="unassigned"),
    ):
        policy = desk({"transitions": [{**useless, "when": "assigned"}, row_below]})
        assert "transitions[0]" in [
            finding.path for finding in verify(policy) if finding.code == "row-without-effect"
        ]
    assert "row-without-effect" not in codes(
        desk({"transitions": [useless, row("close", "customer", "new", "closed")]})
    )


def test_a_row_that_is_refused_as_a_whole_has_been_taken_away_on_purpose() -> None:
    assert "row-without-effect" not in codes(desk({"transitions": [row("ask", "agent", "*", refuse=True)]}))


def test_a_refusal_below_what_permits_it_never_matches() -> None:
    policy = desk(
        {"transitions": [row("ask", "agent", "new", "waiting"), row("ask", "agent", "new", refuse=True)]}
    )
    finding = the("row-without-effect", policy)
    assert finding.path == "transitions[1]"
    assert "wherever it would, transitions[0] does, which comes first" in finding.message


def test_a_row_that_others_take_and_refuse_is_told_of_all_of_them() -> None:
    rows = [
        row("ask", "agent", "new", refuse=True),
        row("ask", "agent", "waiting", "waiting"),
        row("ask", "agent", "*open", "waiting"),
    ]
    found = [finding for finding in verify(desk({"transitions": rows})) if finding.path == "transitions[2]"]
    assert len(found) == 1
    assert found[0].message == (
        "'ask' by agent never matches here: wherever it would, transitions[0] and transitions[1] do, "
        "which come first"
    )
    assert found[0].remedy == "move it above, narrow the others, or leave it out"


def looking_back(*rows: Mapping[str, Any], initial: str = "new") -> Policy:
    """The desk with a state ``aside``, which rows lead to and back from."""
    aside = row("aside", "agent", "new", "aside")
    return desk(
        {"initial": initial, "statuses": {"aside": {"waiting_on": "support"}}, "transitions": [*rows, aside]}
    )


def test_a_row_to_previous_that_asks_for_what_no_case_is_has_somewhere_to_go() -> None:
    policy = looking_back(row("back", "agent", "aside", "@previous", when="assigned"))
    assert codes(policy) == ["row-unreachable"]


def test_where_a_row_above_looks_back_first_the_one_below_is_not_told_of_cases_that_do_not_come() -> None:
    back = {"event": "back", "by": ["agent"], "from": ["aside", "draft"], "to": "@previous"}
    policy = looking_back(row("back", "agent", "aside", "new")).override(
        {
            "initial": "draft",
            "statuses": {"draft": {"waiting_on": "support"}},
            "transitions": [row("submit", "agent", "draft", "new")],
        }
    )
    data: dict[str, Any] = policy.to_dict()
    policy = Policy.from_dict({**data, "transitions": [*data["transitions"], back]})
    assert the("previous-nowhere", policy).message.endswith("no case comes to draft from another status")


def test_a_case_that_is_never_assigned_needs_no_fallback_for_assigned_ones() -> None:
    rows = [
        row("back", "agent", "aside", "@previous"),
        row("back", "agent", "aside", "new", when="unassigned"),
    ]
    assert codes(looking_back(*rows)) == []
    assert codes(looking_back(rows[0])) == ["previous-without-fallback"]


def test_a_row_that_is_partly_taken_by_others_still_has_an_effect() -> None:
    rows = [
        row("ask", "agent", "new", "waiting", when="assigned"),
        row("take", "agent", "new", needs=["assignee"]),
    ]
    assert codes(desk({"transitions": rows})) == []
    whole = [*rows, row("ask", "agent", "new", "waiting", when="assigned")]
    assert the("row-without-effect", desk({"transitions": whole})).path == "transitions[2]"


def test_rows_for_cases_whose_previous_state_is_not_known_are_no_mistake() -> None:
    assert "row-unreachable" not in codes(policies.OPEN_RESOLVED)
    data: dict[str, Any] = policies.OPEN_RESOLVED.to_dict()
    rows = [row for row in data["transitions"] if (row["event"], row.get("to")) != ("resume", "open")]
    policy = Policy.from_dict({**data, "transitions": rows})
    finding = the("previous-without-fallback", policy)
    assert (
        finding.message
        == "'resume' is refused in pending_customer for a case whose previous state is not known"
    )
    assert finding.witness == ()


# --- texts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("Please clone the case.", "clone"),
        ("Confirm it", "confirm"),
        ("Confirm it, then close the case", "confirm"),
        ("None. Later, reopen it", "reopen"),
        ("Reply!", "reply"),
        ("Yes: respond soon", "reply"),
        ("Or add a comment", "reply"),
        ("Re-open it", "reopen"),
        ("Go on by replying", "reply"),
    ],
)
def test_a_text_that_asks_for_what_may_not_be_done_is_found(text: str, wish: str) -> None:
    nothing = [row(event, "customer", "closed", refuse=True) for event in ("comment", "reopen")]
    policy = desk({"statuses": {"closed": {"action_required": text}}, "transitions": nothing})
    assert f"asks the customer to {wish}" in next(
        finding.message for finding in verify(policy) if finding.code == "promise-not-kept"
    )


@pytest.mark.parametrize(
    "text",
    [
        "None: wait for support",
        "Do not reply",
        "There's no need to confirm",
        "You don't have to clone it",
        "You cannot reopen it",
        "The cloned case goes on",
        "We have replied",
        "We keep it close",
        "",
    ],
)
def test_a_text_that_asks_for_nothing_promises_nothing(text: str) -> None:
    nothing = [row(event, "customer", "closed", refuse=True) for event in ("comment", "reopen")]
    closed = {"action_required": text} if text else {}
    policy = desk({"statuses": {"closed": closed}, "transitions": nothing})
    assert "promise-not-kept" not in codes(policy)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Confirm it.", row("agree", "customer", "waiting", "closed")),
        ("Confirm it.", row("confirm", "customer", "waiting", "new")),
        ("Close the case.", row("finish", "customer", "waiting", "closed")),
        ("Reopen it.", row("restart", "customer", "waiting", "new")),
        ("Reply.", row("comment", "customer", "waiting")),
        ("Clone it.", row("clone", "customer", "waiting")),
    ],
)
def test_a_promise_is_kept_by_what_the_event_does_or_by_its_name(text: str, kept: Mapping[str, Any]) -> None:
    asked = {"statuses": {"waiting": {"action_required": text}}}
    deaf = desk(asked, {"transitions": [row("comment", "customer", "waiting", refuse=True)]})
    assert "promise-not-kept" in codes(deaf)
    assert "promise-not-kept" not in codes(deaf.override({"transitions": [kept]}))


TAKE: Final = {"event": "take", "by": ["agent"], "from": ["*open"], "needs": ["assignee"]}


def test_a_finding_says_of_which_cases_it_is_only_if_it_is_not_of_all() -> None:
    refused = {"event": "comment", "by": ["customer"], "from": ["new"], "refuse": True}
    every = the("comment-refused", desk({"transitions": [TAKE, refused]}))
    assert every.message == "a customer's comment is refused in new, and lost"
    some = the("comment-refused", desk({"transitions": [TAKE, {**refused, "when": "assigned"}]}))
    assert some.message == "a customer's comment is refused in new with an assignee, and lost"
    stuck = the("only-time-leads-on", lonely())
    assert stuck.message.startswith("nobody can move a case on from aside entered from no other status: only")
    stuck = the("only-time-leads-on", lonely(TAKE, row("on", "agent", "aside", "new", when="assigned")))
    assert stuck.message.startswith(
        "nobody can move a case on from aside without an assignee and entered from no other status: only"
    )


def lonely(*rows: Mapping[str, Any]) -> Policy:
    """Cases begin in ``aside`` or come there; only those that come there can go back."""
    policy = looking_back(
        *rows,
        row("back", "agent", "aside", "@previous"),
        row("close", "agent", "aside", refuse=True),
        initial="aside",
    )
    return policy.override({"timers": {"on_time": {"in": ["aside"], "after": {"days": 1}, "to": "new"}}})


def test_a_promise_is_to_be_kept_whoever_has_the_case() -> None:
    policy = desk(
        {
            "statuses": {"closed": {"action_required": "Reopen the case."}},
            "transitions": [
                row("take", "agent", "new", needs=["assignee"]),
                row("reopen", "customer", "closed", when="assigned", refuse=True),
            ],
        }
    )
    assert the("promise-not-kept", policy).message.endswith("does that in closed with an assignee")
    assert the("no-way-back", policy).story == "open → take → close"


def test_a_waiting_state_is_not_forgotten_where_a_timer_reminds_or_moves_on() -> None:
    def waiting(**timers: Any) -> Policy:  # noqa: ANN401 - tables of timers
        return desk({"timers": {"close_waiting": False, "remind": False, **timers}})

    told = {"in": ["waiting"], "kind": "notify", "audience": "customer", "after": {"days": 0}}
    for forgotten in (
        {},
        {"tell": told},
        {"nudge": {**told, "kind": "remind", "audience": "support"}},
    ):
        assert codes(waiting(**forgotten)) == ["waits-for-ever"]
    for kept in (
        {"nudge": {**told, "kind": "remind"}},
        {"leave": {"in": ["waiting"], "after": {"days": 9}, "to": "new"}},
    ):
        assert codes(waiting(**kept)) == []


def test_the_customer_may_be_written_with_a_capital() -> None:
    policy = desk(
        {"statuses": {"waiting": {"waiting_on": "Customer"}}, "timers": {"remind": {"audience": "CUSTOMER"}}}
    )
    assert codes(policy) == []


def test_a_finding_is_json_ready() -> None:
    finding = the("no-way-back", desk(example("final.toml")))
    assert finding.to_dict() == {
        "code": "no-way-back",
        "severity": "warning",
        "path": "statuses.closed",
        "message": finding.message,
        "remedy": finding.remedy,
        "story": "open → close",
        "witness": [step.to_dict() for step in finding.witness],
    }


def test_another_event_of_the_customer_is_no_comment() -> None:
    policy = desk(
        {
            "transitions": [
                row("comment", "customer", "waiting"),
                row("agree", "customer", "waiting", "new"),
                row("comment", "customer", "new", refuse=True),
                row("nudge", "customer", "new"),
            ]
        }
    )
    finding = the("comment-stops-no-closure", policy)
    assert [step.event for step in finding.witness] == ["open", "ask", "comment", "remind", "close_waiting"]
    assert the("comment-refused", policy).path == "statuses.new"


def test_findings_of_one_table_stand_as_it_goes() -> None:
    same = row("ask", "agent", "new", "waiting")
    policy = desk(
        {
            "transitions": [same] * 12,
            "statuses": {"zoo": {}, "ark": {}},
            "roles": ["customer", "agent", "system", "x"],
        }
    )
    assert [finding.path for finding in verify(policy)] == [
        "roles",
        "statuses.zoo",
        "statuses.ark",
        *(f"transitions[{number}]" for number in range(1, 12)),
    ]


def test_the_story_of_a_closure_without_a_reminder_has_all_that_the_customer_is_told() -> None:
    told = {"in": ["waiting"], "kind": "notify", "audience": "customer"}
    policy = desk(
        {"timers": {"remind": {**told, "after": {"days": 0}}, "again": {**told, "after": {"days": 3}}}}
    )
    assert the("closure-without-reminder", policy).story == (
        "open → ask → remind → 3 days pass → again → 11 days pass → closed by close_waiting"
    )
    quick = policy.override({"timers": {"close_waiting": {"notice": False}}})
    assert the("closure-unwarned-by-outage", quick).story == (
        "open → ask → 14 days pass unseen → closed by close_waiting, remind and again never sent"
    )


def test_the_notice_of_a_closure_is_for_whatever_stands_before_it_in_each_state() -> None:
    nudge = {"in": ["parked"], "kind": "remind", "after": {"days": 3}}
    policy = desk(
        example("unsaid.toml"),
        {
            "statuses": {"parked": {"waiting_on": "customer"}},
            "timers": {"nudge": nudge, "remind": {"in": ["waiting"]}, "close_waiting": {"notice": False}},
        },
    )
    assert the("closure-unwarned-by-outage", policy).remedy.endswith(
        "then remind or nudge has to be settled first, and so long before"
    )


def test_each_promise_of_a_text_is_looked_at_and_told_of_once() -> None:
    parked = {
        "action_required": "Confirm it, then close the case; confirm it!",
        "sub_statuses": {"a": {}, "b": {}},
    }
    policy = desk({"statuses": {"parked": parked}, "transitions": [row("park", "agent", "new", "parked")]})
    promises = [finding.message for finding in verify(policy) if finding.code == "promise-not-kept"]
    assert [message.partition(",")[0] for message in promises] == [
        "it asks the customer to confirm",
        "it asks the customer to close",
    ]


def test_an_event_that_begins_the_same_state_again_reopens_nothing() -> None:
    policy = desk(
        {
            "statuses": {"waiting": {"action_required": "Reopen it."}},
            "transitions": [
                row("comment", "customer", "waiting", refuse=True),
                row("again", "customer", "waiting", "waiting"),
            ],
        }
    )
    assert "promise-not-kept" in codes(policy)


def test_a_refusal_is_of_use_where_a_row_below_permits_some_of_it() -> None:
    rows = [
        row("take", "agent", "new", needs=["assignee"]),
        row("audit", "agent", "new", refuse=True),
        row("audit", "agent", "new", when="assigned"),
        row("audit", "agent", "waiting"),
    ]
    assert [finding.path for finding in verify(desk({"transitions": rows}))] == []


def test_two_rows_that_ask_for_the_contrary_leave_nothing_to_a_third() -> None:
    rows = [
        row("take", "agent", "new", needs=["assignee"]),
        row("ask", "agent", "waiting", "waiting", when="assigned"),
        row("ask", "agent", "waiting", "waiting", when="unassigned"),
        row("ask", "agent", "waiting", "waiting"),
    ]
    finding = the("row-without-effect", desk({"transitions": rows}))
    assert finding.path == "transitions[3]"
    assert "transitions[1] and transitions[2] do, which come first" in finding.message
    assert codes(desk({"transitions": [rows[0], rows[1], rows[3]]})) == []


# --- what is shown is so -------------------------------------------------------------------


def told_customer(policy: Policy, case: Case) -> bool:
    return any(
        (timer := policy.timers.get(change.event.partition("#")[0])) is not None
        and timer.to is None
        and timer.audience in (None, "customer")
        and change.by == "system"
        and change.from_state == change.to_state
        for change in case.history
    )


def is_closed(policy: Policy, case: Case) -> bool:
    return policy.is_closed(case.state)


class End:
    """Where a witness comes to."""

    def __init__(self, policy: Policy, finding: Finding, cases: tuple[Case, ...]) -> None:
        self.case, self.step = cases[-1], finding.witness[-1]
        self.closed = is_closed(policy, self.case)
        self.was_closed = len(cases) > 1 and is_closed(policy, cases[-2])
        self.here = finding.path == place(self.case.state)
        self.left = len(cases) > 1 and finding.path == place(cases[-2].state)
        self.about_status = finding.path.startswith(f"statuses.{self.case.status}.")
        self.returned = self.case.state in {case.state for case in cases[:-1]}
        self.told = told_customer(policy, self.case)
        change = self.case.history[-1] if self.case.history else None
        name = f"{finding.path}.".split(".")[1]
        self.by_timer = self.closed and change is not None and change.event == name
        passed_over = change.detail if change is not None and isinstance(change.detail, tuple) else ()
        self.passed_over = name in {timer.partition("#")[0] for timer in passed_over}


CLAIMS: Final[Mapping[str, Callable[[End], bool]]] = {
    "closed-case-moves": lambda end: end.was_closed and not end.closed,
    "closes-while-not-waiting": lambda end: end.by_timer,
    "closure-unannounced": lambda end: end.by_timer,
    "closure-unwarned-by-outage": lambda end: end.by_timer,
    "closure-without-reminder": lambda end: end.by_timer and end.told,
    "comment-refused": lambda end: end.step.refused and not end.closed,
    "comment-stops-no-closure": lambda end: end.closed,
    "no-way-back": lambda end: end.closed and end.here,
    "no-way-to-close": lambda end: end.here,
    "only-time-leads-on": lambda end: end.step.timer and end.left,
    "previous-without-fallback": lambda end: end.step.refused,
    "promise-not-kept": lambda end: end.about_status,
    "reminder-too-late": lambda end: end.passed_over,
    "timer-cycle": lambda end: end.returned,
    "timer-never-fires": lambda end: end.passed_over,
    "timer-rarely-fires": lambda end: end.passed_over,
    "waits-for-ever": lambda end: end.about_status,
}


def place(state: str) -> str:
    status, _, sub_status = state.partition(".")
    return f"statuses.{status}.sub_statuses.{sub_status}" if sub_status else f"statuses.{status}"


@given(any_policies())
def test_every_witness_comes_to_what_it_claims(policy: Policy) -> None:
    workflow = Workflow(policy)
    for finding in verify(policy):
        assert finding.severity == CODES[finding.code]
        if finding.witness:
            cases = retrace(workflow, finding.witness)
            assert CLAIMS[finding.code](End(policy, finding, cases)), finding


# --- what a search finds has been said, and what has been said to be impossible is not found ----


class Search:
    """Cases led at random through a policy, and held to what `verify` says of it."""

    def __init__(self, policy: Policy, random: Random) -> None:
        self.policy = policy
        self.random = random
        self.workflow = Workflow(policy)
        self.found: dict[str, set[str]] = {code: set() for code in CODES}
        self.never: set[tuple[str, str]] = set()
        self.trapped: set[str] = set()
        self.seen: set[str] = set()
        for finding in verify(policy):
            self.found[finding.code].add(finding.path)
            if silent := re.fullmatch(r"(\S+) never fires in (.+): .+", finding.message):
                self.never |= {(silent[1], state) for state in silent[2].split(", ")}
            if trapped := re.fullmatch(r"a case in (\S+) can never be closed: .+", finding.message):
                self.trapped.add(trapped[1])

    def run(self, steps: int) -> None:
        case = self.workflow.open("C-1", at=MONDAY)
        trapped = "statuses" in self.found["no-way-to-close"]
        for _ in range(steps):
            assert not {place(case.state), f"statuses.{case.status}"} & self.found["state-unreachable"]
            trapped |= case.state in self.trapped
            assert not (trapped and is_closed(self.policy, case))
            case = self.sweep(case) if self.random.random() < 0.5 else self.event(case)

    def run_often(self, times: int) -> None:
        for _ in range(times):
            self.run(12)

    def sweep(self, case: Case) -> Case:
        due = self.workflow.next_due(case)
        wait = timedelta(days=self.random.choice([0, 1, 5, 30, 300]))
        late = due is None or self.random.random() < 0.4
        now = case.changed_at + wait if late else max(case.changed_at, due or MONDAY)
        action = next(self.workflow.due([case], now=now), None)
        if action is None:
            return case
        self.seen.add(action.kind)
        assert (action.timer, case.state) not in self.never
        if action.kind == "close" and not is_closed(self.policy, case):
            self.closes(case, action.timer)
        return self.workflow.settle(case, action, at=now)

    def closes(self, case: Case, timer: str) -> None:
        """A timer closes an open case: was the customer told in time, or has written in vain?"""
        path = f"timers.{timer}"
        begun = max(
            (
                change.stay
                for change in case.history
                if change.by != "system" or change.event not in self.timers
            ),
            default=1,
        )
        recent = [change for change in case.history if change.stay >= begun]
        # Without a customer by that name, nobody knows who is told.
        if not self.found["no-customer"] and not any(self.tells(change) for change in recent):
            assert path in self.found["closure-unannounced"] | self.found["closure-unwarned-by-outage"]
        written = any(
            change.event == "comment" and change.by == "customer" and change.stay == case.stay
            for change in recent
        )
        if written and case.history[-1].stay == case.stay and not self.began_by_comment(case):
            assert path in self.found["comment-stops-no-closure"]

    @property
    def timers(self) -> set[str]:
        return {timer.name for schedule in self.policy.schedules.values() for timer in schedule}

    def tells(self, change: Change) -> bool:
        timer = self.policy.timers.get(change.event.partition("#")[0])
        return (
            timer is not None
            and change.by == "system"
            and timer.to is None
            and change.from_state == change.to_state
            and timer.audience in (None, "customer")
        )

    @staticmethod
    def began_by_comment(case: Case) -> bool:
        """Whether all comments of this stay are the one that began it."""
        own = [change for change in case.history if change.stay == case.stay]
        return all(change.event != "comment" for change in own[1:]) and len(case.history) > 0

    def event(self, case: Case) -> Case:
        event, by = self.random.choice(self.policy.events or ("none",)), self.random.choice(self.policy.roles)
        arguments: dict[str, str] = {}
        while True:
            try:
                if event == "clone":
                    return self.workflow.clone(
                        case, f"{case.id}-{len(case.clones)}", by=by, at=case.changed_at
                    )[0]
                after = self.workflow.apply(case, event, by=by, at=case.changed_at, **arguments)
            except (EventRefused, UnknownEvent):
                if (event, by) == ("comment", "customer") and not is_closed(self.policy, case):
                    assert (
                        place(case.state) in self.found["comment-refused"]
                        or self.found["no-customer"]
                        or not self.has_comment
                    )
                return case
            except MissingArgument as error:
                subs = [sub for status in self.policy.statuses.values() for sub in status.sub_statuses]
                arguments[error.argument] = (
                    "mira" if error.argument == "assignee" else self.random.choice(subs)
                )
            except UnknownStatus:
                return case
            else:
                self.seen.add("event")
                matched = f"transitions[{self.first_row(case, event, by)}]"
                for code in ("row-unreachable", "row-without-effect"):
                    assert matched not in self.found[code]
                assert f"{matched}.to" not in self.found["previous-nowhere"]
                return after

    @property
    def has_comment(self) -> bool:
        return any(
            row.event == "comment" and "customer" in row.by and not row.refuse
            for row in self.policy.transitions
        )

    def first_row(self, case: Case, event: str, by: str) -> int:
        """The first row that matches, looked for from the top."""
        for number, row in enumerate(self.policy.transitions):
            if (
                row.event == event
                and by in row.by
                and case.state in self.policy.matching(row.from_)
                and row.when in (None, "assigned" if case.assignee else "unassigned")
                and (row.to != "@previous" or case.previous is not None)
            ):
                return number
        raise AssertionError(event)


@given(any_policies(), st.integers(0, 1 << 32))
def test_a_search_finds_nothing_that_is_impossible_and_nothing_that_was_not_said(
    policy: Policy, seed: int
) -> None:
    search = Search(policy, Random(seed))
    search.run_often(8)


def test_the_search_gets_about() -> None:
    search = Search(policies.SUB_STATUS, Random(1))
    search.run_often(60)
    assert search.seen == {"event", "remind", "notify", "close"}


@pytest.mark.parametrize(
    "break_it",
    [
        lambda search: search.found["state-unreachable"].add("statuses.pending.sub_statuses.development"),
        lambda search: search.never.add(("remind_customer", "pending.customer_input")),
        lambda search: search.trapped.add("in_progress"),
        lambda search: search.found["closure-unwarned-by-outage"].clear(),
        lambda search: search.found["row-unreachable"].add("transitions[5]"),
    ],
)
def test_the_search_finds_out_what_is_not_so(break_it: Callable[[Search], None]) -> None:
    search = Search(policies.SUB_STATUS, Random(1))
    break_it(search)
    with pytest.raises(AssertionError):
        search.run_often(200)


def test_the_search_finds_out_a_comment_that_was_written_in_vain() -> None:
    search = Search(desk(example("deaf.toml")), Random(1))
    search.found["comment-stops-no-closure"].clear()
    with pytest.raises(AssertionError):
        search.run_often(200)
