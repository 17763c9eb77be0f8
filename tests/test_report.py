"""The page about a replay: what it says, that it harms nobody, and that it needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from hypothesis import assume, given
from hypothesis import strategies as st

from casestate import ManualClock, Policy, PolicyError, Workflow, load_policy, policies
from casestate.replay import CurvePoint, Move, ReplyCurve, Summary, replay
from casestate.report import report
from casestate.report.charts import COLOURS, thinned
from casestate.report.words import at_moment, counted, grouped, in_month, lasting, on_day, percent
from report_page import Page


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def row(case: str, days: float, state: str) -> tuple[str, datetime, str, str | None]:
    """A row of a status log."""
    status, _, sub_status = state.partition(".")
    return case, NOON + days * DAY, status, sub_status or None


INPUT = "pending.customer_input"
LOG = [
    row("answered", 0, "new"),
    row("answered", 0.5, "in_progress"),
    row("answered", 1, INPUT),
    row("answered", 4, "in_progress"),
    row("answered", 5, "closed"),
    row("silent", 1, INPUT),
    row("silent", 41, "in_progress"),
    row("silent", 41, "in_progress"),
    row("silent", 42, "closed"),
    row("silent", 43, "new"),
    row("waiting", 2, "new"),
    row("waiting", 2.25, INPUT),
    row("done", 3, "awaiting_customer_confirmation"),
    row("done", 30, "closed"),
    row("done", 50, "closed"),
]


def summary_of(
    policy: Policy,
    log: Iterable[object] = LOG,
    lengths: Mapping[str, Iterable[int]] | None = None,
    **more: Any,  # noqa: ANN401 - what `replay` takes
) -> Summary:
    return replay(log, Workflow(policy), lengths=lengths, **more).summary


def page_of(policy: Policy, log: Iterable[object] = LOG, **more: Any) -> Page:  # noqa: ANN401 - likewise
    return Page(report(summary_of(policy, log, **more), policy))


@pytest.fixture(scope="module")
def page() -> Page:
    """What is said of the little log above."""
    return page_of(policies.SUB_STATUS, lengths={"close_pending": [7, 14, 45]})


# --- what it says -------------------------------------------------------------------


def test_the_head_says_in_short_what_was_read_and_what_would_have_been_done(page: Page) -> None:
    head, _, _ = page.text.partition("Contents")
    assert "What sub-status would have done" in head
    assert "A replay of 15 rows about 4 cases, from 2 March 2026 to 21 April 2026, under the policy" in head
    assert "All instants are in UTC." in head
    assert "2 reminders would have been sent and 3 notifications" in head
    assert "3 cases would have been closed 75 % of 4 cases" in head
    assert "1 of these was worked on again 33.3 % of the cases closed" in head
    assert "1 move is not allowed 11.1 % of 9 moves" in head


def test_each_timer_has_a_row_and_each_month_another(page: Page) -> None:
    timers = page.tables["What each timer would have done"]
    assert timers.headings == ["Timer", "In", "What it does", "Times"]
    assert timers.body["close_pending"] == ["Pending - Customer Input", "closes the case after 28 days", "2"]
    assert timers.body["remind_customer"] == [
        "Pending - Customer Input",
        "reminds customer after 7 days",
        "2",
    ]
    assert timers.body["notify_reopened"] == ["Reopened", "notifies support at once", "0"]
    months = page.tables["Actions by month (UTC)"]
    assert months.headings == [
        "Month",
        "notify_awaiting",
        "close_awaiting",
        "remind_customer",
        "close_pending",
        "notify_closed",
    ]
    assert months.body == {"March 2026": ["1", "1", "2", "1", "1"], "April 2026": ["0", "0", "0", "1", "1"]}


def test_what_would_have_gone_another_way_is_said(page: Page) -> None:
    assert "A timer would have moved 3 cases." in page.text
    assert "1 action counted here belongs to stays that began after that." in page.text
    quiet = page_of(policies.SUB_STATUS, [row("A", 0, "new"), row("A", 1, "closed")])
    assert "No timer would have moved a case" in quiet.text


def test_a_curve_says_what_share_had_been_replied_to_and_when_timers_fire(page: Page) -> None:
    assert (
        "3 stays: 2 ended with a reply, 0 otherwise, 1 had not ended. Half would have been replied to"
        in page.text
    )
    assert "By the time close_pending closes (after 28 days), 33.3 % would have been replied to." in page.text
    table = page.tables["Pending - Customer Input: replied to by then"]
    assert table.body["2 days"] == ["0 %", "—", "3"]
    assert table.body["3 days"][0] == "33.3 %"
    assert table.body["7 days (remind_customer)"][0] == "33.3 %"
    assert table.body["28 days (close_pending)"][0] == "33.3 %"
    last = summary_of(policies.SUB_STATUS).replies[0].points[-1]
    assert table.body["40 days"] == [
        "66.7 %",
        f"{percent(last.low)} to {percent(last.high)}".replace("\u00a0", " "),
        "2",
    ]
    chart = page.figures["reply-1"]
    assert [shape["x0"] for shape in chart["layout"]["shapes"]] == [7, 28]
    assert [note["text"] for note in chart["layout"]["annotations"]] == [
        "7 days: 33.3\u00a0&#37;",
        "28 days: 33.3\u00a0&#37;",
    ]
    curve = chart["data"][2]
    assert curve["x"] == [0, 3, 40]
    assert curve["y"] == [0, pytest.approx(33.333), pytest.approx(66.667)]
    assert curve["line"]["shape"] == "hv"
    assert "none of which ended with a reply: there is no curve to draw." in page.text


def test_other_lengths_are_told_beside_the_length_that_is(page: Page) -> None:
    table = page.tables["close_pending with other lengths"]
    assert table.headings == [
        "Length",
        "Cases closed",
        "Seen for 30 days after",
        "Back within 30 days",
        "Share",
        "Reminders",
        "Notifications",
    ]
    assert table.body == {
        "7 days": ["2", "2", "0", "0 %", "2", "0"],
        "14 days": ["2", "2", "1", "50 %", "2", "0"],
        "45 days": ["1", "0", "0", "—", "2", "0"],
    }
    chart = page.figures["what-if-1"]
    assert [shape["x0"] for shape in chart["layout"]["shapes"]] == [28]
    assert "now: 28 days" in [note["text"] for note in chart["layout"]["annotations"]]
    assert chart["data"][0]["y"] == [2, 2, 1]
    assert chart["data"][-1]["y"] == [0, 50, None]
    assert "In this policy close_pending comes after 28 days" in page.text


def test_what_became_of_the_closed_is_counted_in_shares(page: Page) -> None:
    table = page.tables["What became of the cases that a timer would have closed"]
    assert table.headings[2:] == ["Worked on again", "Resolved without more work", "Nothing more"]
    assert table.body == {
        "close_awaiting": ["1", "0 (0 %)", "1 (100 %)", "0 (0 %)"],
        "close_pending": ["2", "1 (50 %)", "0 (0 %)", "1 (50 %)"],
    }
    assert [trace["x"] for trace in page.figures["closures"]["data"]] == [[0, 50], [100, 0], [0, 50]]


def test_moves_are_listed_the_wrong_ones_first(page: Page) -> None:
    assert "Of 9 moves from one state to another, the policy does not allow 1 to anybody." in page.text
    wrong = page.tables["Moves that the policy does not allow, the most frequent first"]
    assert wrong.rows == [["Closed", "New", "1", "100 %", "nobody"]]
    grid = page.tables["How often cases moved from and to"]
    assert grid.headings[:3] == ["From \\ to", "New", "In Progress"]
    assert grid.body["Pending - Customer Input"] == ["", "2", "", "", ""]
    assert grid.body["Closed"] == ["1", "", "", "", ""]
    everything = page.tables["Every move that the log shows"]
    assert everything.rows[0] == ["In Progress", "Closed", "2", "agent"]
    assert ["Awaiting Customer Confirmation", "Closed", "1", "customer, agent, a timer"] in everything.rows
    assert ["Closed", "New", "1", "nobody"] in everything.rows
    assert "wrong" in {value[:5] for tag, name, value in page.attributes if tag == "td" and name == "class"}


def test_a_move_that_only_some_may_make_is_marked_so() -> None:
    log = [row("A", 0, "open"), row("A", 1, "pending_customer"), row("A", 2, "open")]
    log += [row("B", 0, "in_progress"), row("B", 1, "pending_customer"), row("B", 2, "open")]
    page = page_of(policies.OPEN_RESOLVED, log)
    wrong = page.tables["Moves that the policy does not allow, the most frequent first"]
    assert wrong.rows == [
        ["Pending Customer", "Open", "1", "50 %", "agent, customer, for cases with another past"]
    ]
    assert ("td", "class", "mixed3") in page.attributes
    fine = page_of(policies.OPEN_RESOLVED, log[:3])
    assert "The policy allows all of the 2 moves that the log shows." in fine.text


def test_time_in_state_is_told_in_words_with_what_has_not_ended(page: Page) -> None:
    table = page.tables["How long stays lasted"]
    assert table.headings[:4] == ["State", "Stays that ended", "Still there", "10 % ended within"]
    assert table.body["New"] == ["2", "1", "6 hours", "6 hours", "6 hours", "12 hours", "12 hours"]
    assert table.body["Closed"][:2] == ["1", "2"]
    chart = page.figures["times"]
    assert len(chart["data"][2]["x"]) == len([each for each in table.rows if each[1] != "0"])
    assert chart["layout"]["xaxis"]["type"] == "log"


def test_what_was_read_is_told_row_by_row() -> None:
    log = [
        {"case": "A", "at": "2026-10-25T02:30:00", "status": "New!"},
        {"case": "A", "at": "2026-10-25T02:30:00", "status": "New!"},
        {"case": "A", "at": "2026-03-29T02:30:00", "status": "New!"},
        {"case": "A", "at": "2026-11-25T02:30:00", "status": "Work"},
        {"case": "A", "at": "2026-11-26T02:30:00", "status": "Wait", "sub_status": "us"},
        {"case": "A", "at": "?", "status": "Work"},
        {"case": "A", "at": "2026-11-27T02:30:00", "status": "Noise"},
    ]
    mapping = {
        "statuses": {
            "New!": {"first": "new", "later": "ignore"},
            "Work": "in_progress",
            "Wait": "pending.customer_input",
            "Noise": "ignore",
            "Wrok": "in_progress",
        }
    }
    bad: list[object] = []
    page = page_of(
        policies.SUB_STATUS,
        log,
        mapping=mapping,
        zone="Europe/Rome",
        on_error=lambda number, error: bad.append((number, error)),
    )
    assert len(bad) == 1
    rows = page.tables["Rows"].body
    assert {name: cells[0] for name, cells in rows.items()} == {
        "Rows in the log": "7",
        "Bad": "1",
        "Ignored": "1",
        "Repeated": "1",
        "Out of order": "1",
        "Without a time zone": "6",
        "In a repeated hour": "2",
        "In a skipped hour": "1",
    }
    assert rows["Without a time zone"][1] == "read in Europe/Rome"
    values = page.tables["The values of the log, and how they were read"]
    assert values.rows[0] == ["New!", "—", "3", "New while a case has been in no other; then ignored"]
    assert ["Wait", "us", "1", "Pending - Customer Input"] in values.rows
    assert ["Noise", "—", "1", "ignored"] in values.rows
    assert "These entries of the map stand in no row; misspelt, perhaps: “Wrok”." in page.text
    assert "Rows that repeat their status go on with the same stay: 3 stays in all." in page.text


def test_where_cases_begin_is_told(page: Page) -> None:
    assert page.tables["Where the log first shows a case"].body["Pending - Customer Input"] == ["1", "no"]
    assert "the log first shows 2 cases elsewhere." in page.text
    closed = page_of(policies.SUB_STATUS, [row("A", 0, "closed"), row("B", 0, "new")])
    assert closed.tables["Where the log first shows a case"].body == {
        "New": ["1", "yes"],
        "Closed": ["1", "no: closed"],
    }
    right = page_of(policies.SUB_STATUS, [row("B", 0, "new")])
    assert "The log first shows every case where the policy begins it." in right.text


def test_every_row_a_new_stay_is_said_too() -> None:
    log = [row("A", 0, INPUT), row("A", 1, INPUT), row("A", 2, "in_progress")]
    page = page_of(policies.SUB_STATUS, log, restart="touch")
    assert "Every row begins a new stay, also one that repeats its status: 3 stays in all." in page.text
    assert page.tables["How often cases moved from and to"].body["Pending - Customer Input"] == ["1", "1"]


def test_events_are_listed_with_those_that_the_policy_refuses() -> None:
    log = [
        {"case": "A", "at": NOON, "event": "open", "by": "agent"},
        {"case": "A", "at": NOON + HOUR, "event": "confirm", "by": "customer"},
    ]
    page = page_of(policies.OPEN_RESOLVED, log)
    # A state of this policy has the name of an event.
    assert page.tables["The events of the log"].body == {"confirm": ["1"], "open": ["1"]}
    refused = page.tables["Events that the policy refuses, the most frequent first"]
    assert refused.rows == [["confirm", "customer", "New", "1"]]


def test_cases_with_their_histories_are_a_log_too() -> None:
    desk = Workflow(policies.SUB_STATUS, ManualClock(NOON))
    case = desk.apply(desk.open("A"), "respond", by="agent", at=NOON + DAY)
    page = page_of(policies.SUB_STATUS, [case])
    assert page.tables["The values of the log, and how they were read"].body["new"] == ["1", "New"]


def test_a_calendar_s_closings_are_marked_about_where_they_are() -> None:
    policy = policies.SUB_STATUS.override(
        {"timers": {"close_pending": {"after": {"business_days": 10}}, "remind_customer": False}}
    )
    log = [row("A", 0, INPUT), row("A", 20, "in_progress")]
    page = page_of(policy, log, lengths={"close_pending": [5]})
    assert "14 days (close_pending)" in page.tables["Pending - Customer Input: replied to by then"].body
    assert "By the time close_pending closes (after 10 business days), 0 %" in page.text
    assert "now: 10 days" in [note["text"] for note in page.figures["what-if-1"]["layout"]["annotations"]]
    assert page.figures["reply-1"]["layout"]["annotations"][0]["text"] == "10 business days: 0\u00a0&#37;"


def test_a_curve_of_hours_is_told_in_hours() -> None:
    policy = load_policy({"extends": "open-resolved", "timers": {"close_pending": {"after": {"hours": 4}}}})
    log = [row("A", 0, "pending_customer"), row("A", 0.125, "open")]
    chart = page_of(policy, log).figures["reply-1"]
    assert chart["layout"]["xaxis"]["title"]["text"] == "hours in the state"
    assert chart["data"][2]["x"] == [0, 3, 4]
    assert [shape["x0"] for shape in chart["layout"]["shapes"]] == [4]


def test_a_timer_that_moves_is_told_as_a_closing_is() -> None:
    policy = policies.OPEN_RESOLVED.override(
        {"timers": {"close_pending": {"to": "resolved"}, "nudge": _nudges()}},
    )
    log = [row("A", 0, "pending_customer"), row("A", 13, "open"), row("B", 0, "pending_customer")]
    page = page_of(policy, [*log, row("B", 20, "open")], lengths={"close_pending": [13, 20]})
    deeds = page.tables["What each timer would have done"].body
    assert deeds["close_pending"] == ["Pending Customer", "moves the case to Resolved after 14 days", "1"]
    assert deeds["nudge#2"] == ["Pending Customer", "reminds after 2 days", "2"]
    chart = page.figures["reply-1"]
    # All that moves is marked, and of what does not the first few.
    assert [shape["x0"] for shape in chart["layout"]["shapes"]] == [1, 2, 3, 14]
    assert "By the time close_pending moves (after 14 days), 50 %" in page.text
    assert "In this policy close_pending comes after 14 days. No length closes a case." in page.text
    assert page.tables["close_pending with other lengths"].body["20 days"][:2] == ["0", "0"]
    assert "what-if-1" not in page.figures
    assert len({trace["marker"]["color"] for trace in page.figures["actions"]["data"]}) == 7


def _nudges() -> dict[str, object]:
    every = {"days": 1}
    return {
        "in": "pending_customer",
        "kind": "remind",
        "after": every,
        "repeat": {"every": every, "times": 12},
    }


def test_a_few_months_do_not_fill_the_axis_and_many_do() -> None:
    def axis(*days: int) -> dict[str, Any]:
        log = [row(f"C{day}", day, "reopened") for day in days]
        chart: dict[str, Any] = page_of(policies.SUB_STATUS, log).figures["actions"]["layout"]["xaxis"]
        return chart

    assert axis(0)["range"] == ["2026-01-01", "2026-07-01"]
    assert axis(0, 140)["range"] == ["2026-03-01", "2026-09-01"]
    assert axis(0, 150)["range"] == ["2026-03-01", "2026-09-01"]
    assert "range" not in axis(0, 190)


def test_a_count_of_a_few_has_no_half_ticks() -> None:
    def axis(cases: int) -> dict[str, Any]:
        log = [row(f"C{number}", 0, "reopened") for number in range(cases)]
        chart: dict[str, Any] = page_of(policies.SUB_STATUS, log).figures["actions"]["layout"]["yaxis"]
        return chart

    assert axis(4)["dtick"] == 1
    assert axis(5)["nticks"] == 4


# --- what is drawn ----------------------------------------------------------------------


def test_actions_are_stacked_by_month_in_a_panel_for_each_kind(page: Page) -> None:
    figure = page.figures["actions"]
    drawn = [
        (each["name"], each.get("yaxis", "y"), each["x"], each["y"], each["marker"]["color"])
        for each in figure["data"]
    ]
    blue, red, green, _, amber, _, _, grey = COLOURS
    march, april = "2026-03-16", "2026-04-16"
    assert drawn == [
        ("close_awaiting", "y", [march], [1], red),
        ("close_pending", "y", [march, april], [1, 1], blue),
        ("remind_customer", "y2", [march], [2], amber),
        ("notify_awaiting", "y3", [march], [1], grey),
        ("notify_closed", "y3", [march, april], [1, 1], green),
    ]
    layout = figure["layout"]
    assert layout["barmode"] == "stack"
    assert [note["text"] for note in layout["annotations"]] == ["Closings", "Reminders", "Notifications"]
    assert layout["xaxis"]["anchor"] == "y3"
    panels = [layout[name]["domain"] for name in ("yaxis", "yaxis2", "yaxis3")]
    assert 0 == panels[2][0] < panels[2][1] < panels[1][0] < panels[1][1] < panels[0][0] < panels[0][1] < 1
    assert "close_pending: %{y:,}" in figure["data"][1]["hovertemplate"]


def test_a_curve_is_drawn_with_its_limits_and_ends_where_it_is_known(page: Page) -> None:
    low, high, curve = page.figures["reply-1"]["data"]
    points = summary_of(policies.SUB_STATUS).replies[0].points
    assert low["y"] == [0, *(pytest.approx(100 * point.low, abs=0.001) for point in points)]
    assert high["y"] == [0, *(pytest.approx(100 * point.high, abs=0.001) for point in points)]
    assert (low["x"], high["x"]) == (curve["x"], curve["x"])
    assert high["fill"] == "tonexty"
    layout = page.figures["reply-1"]["layout"]
    # Up to the last reply, which is no three times as late as the last timer.
    assert layout["xaxis"]["range"] == [0, pytest.approx(40, rel=0.03)]
    reminder, closing = layout["annotations"]
    assert (reminder["xanchor"], closing["xanchor"]) == ("left", "right")
    assert reminder["yshift"] > closing["yshift"]
    assert [line["line"]["dash"] for line in layout["shapes"]] == ["dot", "solid"]


def test_a_curve_far_longer_than_its_timers_is_cut_and_a_short_one_goes_on_to_them() -> None:
    def chart(days: float) -> dict[str, Any]:
        log = [row("A", 0, INPUT), row("A", days, "in_progress"), row("B", 0, INPUT), row("B", 400, "new")]
        found: dict[str, Any] = page_of(policies.SUB_STATUS, log).figures["reply-1"]
        return found

    assert chart(300)["layout"]["xaxis"]["range"][1] == pytest.approx(3 * 28, rel=0.03)
    short = summary_of(policies.SUB_STATUS, [row("A", 0, INPUT), row("A", 2, "in_progress")])
    figures = Page(report(short, policies.SUB_STATUS)).figures
    assert figures["reply-1"]["layout"]["xaxis"]["range"][1] == pytest.approx(1.15 * 28, rel=0.03)
    assert figures["reply-1"]["data"][2]["x"] == [0, 2, 28]
    assert figures["reply-1"]["data"][2]["y"] == [0, 100, 100]


def test_a_reply_at_once_in_a_state_without_timers_is_drawn_as_well() -> None:
    policy = policies.OPEN_RESOLVED.override({"timers": {"close_pending": False, "notify_pending": False}})
    log = [row("A", 0, "pending_customer"), row("A", 0, "open")]
    chart = page_of(policy, log).figures["reply-1"]
    assert chart["data"][2]["x"] == [0, 0]
    assert chart["layout"]["xaxis"]["range"] == [0, pytest.approx(1, rel=0.03)]


def test_other_lengths_are_the_ticks_as_long_as_they_are_few(page: Page) -> None:
    layout = page.figures["what-if-1"]["layout"]
    assert layout["xaxis"]["tickvals"] == [7, 14, 45]
    assert layout["xaxis"]["range"] == [pytest.approx(4.72), pytest.approx(47.28)]
    assert layout["yaxis2"]["range"] == [0, pytest.approx(55)]
    many = page_of(policies.SUB_STATUS, lengths={"close_pending": range(7, 37)})
    assert "tickvals" not in many.figures["what-if-1"]["layout"]["xaxis"]
    assert len(many.tables["close_pending with other lengths"].rows) == 30


def test_time_in_state_is_drawn_from_the_quantiles(page: Page) -> None:
    wide, half, dots = page.figures["times"]["data"]
    rows = [each for each in summary_of(policies.SUB_STATUS).times if each.ended]
    ends = [[each.quantiles[share].total_seconds() for share in (0.1, 0.9)] for each in rows]
    assert wide["x"] == [x for low, high in ends for x in (low, high, None)]
    assert half["x"][:2] == [rows[0].quantiles[share].total_seconds() for share in (0.25, 0.75)]
    assert dots["x"] == [each.quantiles[0.5].total_seconds() for each in rows]
    assert dots["y"] == [0, -1, -2, -3, -4]
    layout = page.figures["times"]["layout"]
    assert layout["annotations"][0]["text"].startswith("New<br>")
    assert "median 6 hours; 2 ended, 1 not yet" in layout["annotations"][0]["text"]
    assert layout["xaxis"]["ticktext"] == ["1 day", "30 d"]
    at_once = page_of(policies.SUB_STATUS, [row("A", 0, "new"), row("A", 0, "closed")])
    assert at_once.figures["times"]["data"][2]["x"] == [1]


def test_a_long_name_is_cut_in_a_drawing_and_whole_in_a_table() -> None:
    name = "Waiting for something that has a very long name indeed"
    policy = load_policy({"extends": "sub-status", "statuses": {"new": {"label": name}}})
    page = page_of(policy)
    assert page.figures["times"]["layout"]["annotations"][0]["text"].startswith(f"{name[:41]}…<br>")
    assert name in page.tables["How long stays lasted"].body


def test_every_chart_has_a_legend_in_the_page() -> None:
    html = report(summary_of(policies.SUB_STATUS, LOG, {"close_pending": [7]}), policies.SUB_STATUS)
    legends = [
        re.findall("</svg>(.*?)</li>", part.partition("</ul>")[0])
        for part in html.split('<ul class="legend" aria-hidden="true">')[1:]
    ]
    assert legends == [
        ["close_awaiting", "close_pending", "remind_customer", "notify_awaiting", "notify_closed"],
        ["replied to", "95 % limits", "remind_customer", "close_pending"],
        ["cases closed", "of these back within 30 days", "reminders", "share that came back"],
        ["worked on again", "resolved without more work", "nothing more"],
        ["median", "the middle half", "80 of 100"],
    ]
    without = report(
        summary_of(
            policies.OPEN_RESOLVED,
            [row("A", 0, "pending_customer"), row("A", 20, "open")],
            {"close_pending": [7]},
        ),
        policies.OPEN_RESOLVED,
    )
    assert "</svg>cases closed</li>" in without
    assert "</svg>reminders</li>" not in without


# --- what there is nothing to say of ---------------------------------------------------


def test_a_policy_without_timers_has_sentences_in_place_of_charts() -> None:
    policy = load_policy(
        {
            "format": 1,
            "name": "bare",
            "initial": "new",
            "statuses": {"new": {}, "closed": {"closed": True}},
        }
    )
    page = page_of(policy, [row("A", 0, "new"), row("A", 1, "closed")])
    assert "The policy has no timers: it would have done nothing by itself." in page.text
    assert "0 reminders would have been sent the policy has no reminders; 0 notifications" in page.text
    assert "No case of the log was in a state that waits for the customer." in page.text
    assert "No other lengths were asked about." in page.text
    assert "The policy has no timer that closes cases." in page.text
    assert "none was closed" in page.text
    assert "does not allow 1 to anybody" in page.text
    assert set(page.figures) == {"times"}


def test_a_log_in_which_nothing_happens_has_sentences_too() -> None:
    page = page_of(policies.SUB_STATUS, [row("A", 0, "new"), row("B", 0, INPUT)])
    assert "No timer would have fired while the log goes on." in page.text
    assert "1 stay, none of which ended with a reply: there is no curve to draw." in page.text
    assert "No timer would have closed a case." in page.text
    assert "No case of the log moved from one state to another." in page.text
    assert "No stay has ended: there are no lengths to draw." in page.text
    assert page.tables["How long stays lasted"].body["New"] == ["0", "1", "—", "—", "—", "—", "—"]
    assert page.figures == {}


def test_a_log_of_which_all_is_ignored_has_no_stay() -> None:
    page = page_of(policies.SUB_STATUS, [row("A", 0, "noise")], mapping={"statuses": {"noise": "ignore"}})
    assert "The log shows no stay in any state." in page.text
    assert "0 moves are not allowed — of 0 moves" in page.text
    assert "Where the log first shows a case" not in page.tables


def test_a_summary_without_a_readable_row_is_no_crash() -> None:
    nothing = summary_of(policies.SUB_STATUS, [row("A", 0, "new")])
    nothing = attrs.evolve(nothing, first=None, last=None, values=(), beginnings=())
    page = Page(report(nothing, policies.SUB_STATUS))
    assert "no row of which could be read" in page.text
    assert "The rows go from" not in page.text
    assert "Stays without an end were watched until 2 March 2026, 12:00:00 UTC." in page.text


def test_without_pygraphviz_the_page_says_that_the_diagram_is_absent(
    monkeypatch: pytest.MonkeyPatch, page: Page
) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    without = page_of(policies.SUB_STATUS)
    assert "There is no diagram: pygraphviz" in without.text
    assert "polygon" not in without.tags
    assert without.tables["States"].body == page.tables["States"].body


def test_the_diagram_stands_in_the_page(page: Page) -> None:
    pytest.importorskip("pygraphviz", reason="pygraphviz draws, where it is to be had")
    assert "polygon" in page.tags
    assert "There is no diagram" not in page.text
    assert ("div", "aria-label", "Diagram of the policy sub-status; the tables below say the same.") in (
        page.attributes
    )


# --- much of everything -----------------------------------------------------------------


def many_states(count: int) -> Policy:
    """A policy of so many states and of nothing else."""
    statuses: dict[str, object] = {f"s{number}": {} for number in range(count)}
    return load_policy({"format": 1, "name": "many", "initial": "s0", "statuses": statuses})


def test_a_long_table_says_how_much_it_leaves_out_and_all_is_counted() -> None:
    policy = many_states(40)
    log = [row(f"C{number}", at, f"s{(number + at) % 40}") for number in range(40) for at in (0, 3)]
    log += [row(f"D{number}", at, f"s{(number * at) % 40}") for number in range(1, 40) for at in (1, 2)]
    summary = summary_of(policy, log)
    page = Page(report(summary, policy))
    assert len(summary.moves) == 78
    table = page.tables["Moves that the policy does not allow, the most frequent first"]
    assert len(table.rows) == 60
    assert table.more == "and 18 more kinds of moves; all 79 are counted above"
    assert "Of 79 moves from one state to another, the policy does not allow 79" in page.text
    assert "There are too many states for a table of moves from and to." in page.text
    assert "How often cases moved from and to" not in page.tables


def test_a_long_list_of_unused_entries_says_how_many_more_there_are() -> None:
    entries = {"new": "new"} | {f"word {number}": "new" for number in range(100)}
    page = page_of(policies.SUB_STATUS, [row("A", 0, "new")], mapping={"statuses": entries})
    assert "“word 59” and 40 more." in page.text
    assert "word 60" not in page.text


def curve_of(count: int, seed: int) -> list[CurvePoint]:
    """A curve of so many points that rises now in small steps, now in big ones."""
    points: list[CurvePoint] = []
    after, left = timedelta(0), 1.0
    for number in range(count):
        after += timedelta(seconds=1 + (number * seed * 7919) % 90_001)
        left *= 1 - 1 / (count + (number * seed) % 97)
        points.append(
            CurvePoint(after=after, share=1 - left, low=1 - left, high=1 - left, waiting=count - number)
        )
    return points


@given(st.integers(1, 3000), st.integers(1, 50), st.lists(st.floats(0, 1), max_size=5))
def test_a_thinned_curve_is_the_same_to_the_eye(count: int, seed: int, marks: list[float]) -> None:
    points = curve_of(count, seed)
    keep = [points[-1].after * mark for mark in marks]
    found = thinned(points, keep)
    assert len(found) <= 400
    assert (found[0], found[-1]) == (points[0], points[-1])
    assert [point for point in points if point in found] == found
    whole, thin = (
        ReplyCurve(state="x", stays=count, replied=count, points=tuple(each)) for each in (points, found)
    )
    for after in keep:
        assert thin.share(after) == whole.share(after)
    width = (points[-1].after - points[0].after) or HOUR
    height = (points[-1].share - points[0].share) or 1
    for index, (one, other) in enumerate(pairwise(found)):
        across, upwards = (other.after - one.after) / width, (other.share - one.share) / height
        # Apart from a step that is one in the log itself.
        assert min(across, upwards) <= 0.006 or points[points.index(one) + 1] == other, index


def test_a_curve_of_thousands_of_points_stays_light() -> None:
    log = [
        row(f"C{number}", at, state)
        for number in range(1500)
        for at, state in (
            (0, INPUT),
            (1 + number / 100, "in_progress"),
        )
    ]
    page = page_of(policies.SUB_STATUS, log)
    curve = page.figures["reply-1"]["data"][2]
    assert 300 < len(curve["x"]) <= 402
    share = summary_of(policies.SUB_STATUS, log).replies[0].share(7 * DAY)
    at_seven = max(index for index, x in enumerate(curve["x"]) if x <= 7)
    assert curve["y"][at_seven] == pytest.approx(100 * share, abs=0.001)


def test_the_colours_can_be_told_from_either_background(page: Page) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(one: str, other: str) -> float:
        light, dark = sorted((luminance(one), luminance(other)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    [style] = page.styles
    schemes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part)) for part in style.split(":root {")[1:]]
    assert len(schemes) == 3
    for scheme in schemes:
        for words in ("ink", "soft", "accent"):
            for ground in ("page", "card"):
                assert contrast(scheme[words], scheme[ground]) >= 4.5
        for colour in COLOURS:
            assert contrast(colour, scheme["card"]) >= 3


# --- harmless ---------------------------------------------------------------------------

NASTY = "</script><b>x</b><img src=https://example.org/x onerror=alert(1)>{{ 7 * 7 }} %{x} &lt; \u202e"


def nasty_policy() -> Policy:
    """A policy of whose texts each is an attempt at the page."""
    texts = {"label": NASTY, "meaning": NASTY, "action_required": NASTY, "waiting_on": NASTY}
    return load_policy(
        {
            "extends": "sub-status",
            "statuses": {
                "new": texts,
                "in_progress": texts,
                "pending": {"label": NASTY, "sub_statuses": {"customer_input": {"label": NASTY}}},
            },
            "timers": {"remind_customer": {"audience": NASTY}},
        }
    )


def test_texts_of_the_log_and_of_the_policy_are_texts_in_the_page(page: Page) -> None:
    policy = nasty_policy()
    mapping = {
        "statuses": {
            NASTY: "new",
            "work": "in_progress",
            "wait": "pending.customer_input",
            f"{NASTY} unused": "new",
            "closed": "closed",
        }
    }
    log = [("A", NOON, NASTY, None), ("A", NOON + DAY, "work", NASTY), ("A", NOON + 2 * DAY, "wait", None)]
    log += [("A", NOON + 40 * DAY, "work", NASTY), ("A", NOON + 60 * DAY, "closed", None)]
    summary = summary_of(policy, log, mapping=mapping, lengths={"close_pending": [3]})
    html = report(summary, policy, title=NASTY)
    found = Page(html)
    assert html.count("</script") == len(found.scripts) == 3
    assert "img" not in found.tags
    assert sorted(set(found.tags)) == sorted({*page.tags} | {"a", "text"} - {"tfoot"})
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    assert {value for tag, name, value in found.attributes if tag == "a" and name != "href"} <= {"0"}
    assert "49" not in found.text
    seen = NASTY.replace("\u202e", "\\u202e")
    assert found.text.count(seen) > 10
    assert "\u202e" not in html
    assert found.tables["The values of the log, and how they were read"].body[seen] == ["—", "1", seen]


def texts_in(value: object) -> list[str]:
    """Every text of a JSON value."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts_in(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts_in(each)]
    return [value] if isinstance(value, str) else []


def test_plotly_is_handed_no_tag_and_no_template_but_the_report_s_own() -> None:
    policy = nasty_policy()
    log = [row("A", 0, "new"), row("A", 1, INPUT), row("A", 50, "in_progress"), row("A", 90, "closed")]
    figures = page_of(policy, log, lengths={"close_pending": [3]}).figures
    texts = texts_in(figures)
    strange = [text for text in texts if "script" in text]
    assert len(strange) >= 3
    for text in strange:
        assert text.startswith("&lt;/script&gt;&lt;b&gt;x&lt;/b&gt;")
    for text in texts:
        assert not re.search(r"<(?!br>|/?span|extra>|/extra>)", text)
        assert set(re.findall(r"%\{(\w+)", text)) <= {"x", "y", "customdata"}
        assert text.count("%{x}") <= 1


def test_the_page_needs_no_network(page: Page) -> None:
    for tag, name, value in page.attributes:
        if name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href", "formaction"):
            assert value.startswith(("#", "data:")), (tag, name, value)
            assert name != "src"
        if "://" in value:
            # A name, which nobody fetches.
            assert (tag, name, value.partition("/w")[0]) in {
                ("svg", "xmlns", "http:/"),
                ("svg", "xmlns:xlink", "http:/"),
            }
    [style] = page.styles
    assert not re.search(r"@import|url\(|://|@font-face", style)
    figures, library, script = page.scripts
    assert "://" not in figures + script
    assert not re.search(r"fetch|XMLHttp|import|WebSocket", script)
    # Plotly's own texts name servers, of maps for example, that a page without them never asks; and the
    # policy of the page, of which a browser test makes sure, lets it ask nobody.
    assert library.count("plotly.js v") == 1
    [policy] = [value for tag, name, value in page.attributes if tag == "meta" and "default-src" in value]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'"
        for each in (library, script)
    ]
    assert rules == {
        "default-src": "'none'",
        "script-src": " ".join(hashes),
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_can_be_found_through_without_seeing_it(page: Page) -> None:
    assert ("html", "lang", "en") in page.attributes
    assert len(page.ids) == len(set(page.ids))
    links = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert links <= {f"#{name}" for name in page.ids}
    assert page.tags.count("caption") == page.tags.count("table")
    assert page.tags.count("h1") == 1
    labels = [value for tag, name, value in page.attributes if name == "aria-labelledby"]
    assert labels
    assert set(labels) <= set(page.ids)
    alts = [value for _, name, value in page.attributes if name == "aria-label"]
    assert len([alt for alt in alts if alt.endswith("The table below has the figures.")]) == len(page.figures)
    assert set(page.figures) <= set(page.ids)
    assert "The charts of this page are drawn by a script" in page.text


def test_the_same_summary_makes_the_same_page_in_every_process() -> None:
    program = f"""
import hashlib, sys
sys.path.insert(0, {str(__file__).rpartition("/")[0]!r})
from test_report import LOG, summary_of, policies, report
states = {{"pending": "pending_customer", "awaiting_customer_confirmation": "resolved"}}
summary = summary_of(policies.OPEN_RESOLVED, [
    (case, at, states.get(status, status)) for case, at, status, _ in LOG
], {{"close_pending": [7, 14]}})
print(hashlib.sha256(report(summary, policies.OPEN_RESOLVED).encode()).hexdigest())
"""
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
    assert re.fullmatch("[0-9a-f]{64}\n", seen.pop())


def test_a_title_is_the_caller_s(page: Page) -> None:
    summary = summary_of(policies.SUB_STATUS)
    assert "<title>What sub-status would have done</title>" in report(summary, policies.SUB_STATUS)
    assert "<h1>Our 2025</h1>" in report(summary, policies.SUB_STATUS, title="Our 2025")
    assert page.text.startswith("What sub-status would have done")


def test_a_summary_of_another_policy_is_refused() -> None:
    summary = summary_of(policies.SUB_STATUS)
    with pytest.raises(
        PolicyError, match="the summary is one of 'sub-status', not of open-resolved"
    ) as caught:
        report(summary, policies.OPEN_RESOLVED)
    assert [problem.path for problem in caught.value.problems] == ["name", "statuses", "timers"]
    later = load_policy({"extends": "sub-status", "name": "sub-status", "timers": {"close_pending": False}})
    with pytest.raises(PolicyError, match="some that sub-status has not: close_pending"):
        report(summary, later)
    move = Move(from_state="new", to_state="gone", count=1, by=())
    with pytest.raises(PolicyError, match="some that sub-status has not: gone"):
        report(attrs.evolve(summary, moves=(move,)), policies.SUB_STATUS)


# --- words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "under a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (61, "1 minute 1 second"),
        (600, "10 minutes"),
        (629, "10 minutes"),
        (630, "11 minutes"),
        (3_599, "1 hour"),
        (35_999, "10 hours"),
        (86_399, "1 day"),
        (90_000, "1 day 1 hour"),
        (864_000, "10 days"),
        (34_560_000, "400 days"),
    ],
)
def test_a_length_of_time_is_said_in_a_unit_or_two(seconds: int, said: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == said


@given(st.timedeltas(timedelta(0), timedelta(days=4_000_000)))
def test_what_is_said_of_a_length_is_near_it(span: timedelta) -> None:
    sizes = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
    words = lasting(span).replace(",", "").split()
    assume(words[0] != "under")
    said = sum(
        int(count) * sizes[unit.removesuffix("s")]
        for count, unit in zip(words[::2], words[1::2], strict=True)
    )
    assert abs(said - span.total_seconds()) <= max(1, 0.05 * said)


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 10, "0 %"),
        (10, 10, "100 %"),
        (1, 3, "33.3 %"),
        (1, 4, "25 %"),
        (1, 1_000_000, "under 0.1 %"),
        (999_999, 1_000_000, "over 99.9 %"),
        (0, 0, "—"),
    ],
)
def test_a_share_is_never_said_to_be_all_or_nothing_if_it_is_not(part: int, whole: int, said: str) -> None:
    assert percent(part, whole) == said.replace(" %", "\u00a0%")


def test_numbers_and_instants_are_said_as_people_say_them() -> None:
    assert grouped(1_234_567) == "1,234,567"
    assert [counted(count, "case") for count in (0, 1, 1200)] == ["0 cases", "1 case", "1,200 cases"]
    assert on_day(NOON) == "2 March 2026"
    assert at_moment(NOON + HOUR / 2) == "2 March 2026, 12:30:00"
    assert [in_month(text) for text in ("2026-12", "999-01")] == ["December 2026", "January 999"]


# --- any log ----------------------------------------------------------------------------

STATES = ("new", "open", "in_progress", "pending_customer", "resolved", "closed")


@given(
    st.lists(
        st.tuples(st.sampled_from("ABC"), st.floats(0, 60), st.sampled_from(STATES)), min_size=1, max_size=25
    ),
    st.sampled_from([None, [3], [1, 7, 30]]),
    st.sampled_from(["change", "touch"]),
)
def test_the_tables_of_any_log_show_the_numbers_of_its_summary(
    log: list[tuple[str, float, str]], days: list[int] | None, restart: str
) -> None:
    policy = policies.OPEN_RESOLVED
    lengths = {} if days is None else {"close_pending": days}
    summary = summary_of(policy, [row(*each) for each in log], lengths, restart=restart)
    page = Page(report(summary, policy))

    def number(text: str) -> int:
        return int(text.partition(" ")[0].replace(",", ""))

    timers = page.tables["What each timer would have done"].body
    assert {name: number(cells[-1]) for name, cells in timers.items()} == {
        timer.timer: timer.actions for timer in summary.timers
    }
    if "actions" in page.figures:
        drawn = {trace["name"]: sum(trace["y"]) for trace in page.figures["actions"]["data"]}
        assert drawn == {timer.timer: timer.actions for timer in summary.timers if timer.actions}
        months = page.tables["Actions by month (UTC)"]
        assert {
            name: sum(number(cells[place]) for cells in months.body.values())
            for place, name in enumerate(months.headings[1:])
        } == drawn
    else:
        assert not any(timer.actions for timer in summary.timers)
    if summary.moves:
        grid = page.tables["How often cases moved from and to"]
        cells = [cell for cells in grid.body.values() for cell in cells if cell]
        assert sum(map(number, cells)) == sum(move.count for move in summary.moves)
        moves = page.tables["Every move that the log shows"].rows
        assert [number(cells[2]) for cells in moves] == [move.count for move in summary.moves]
        wrong = page.tables.get("Moves that the policy does not allow, the most frequent first")
        assert sum(number(cells[2]) for cells in (wrong.rows if wrong else [])) == sum(
            move.count for move in summary.moves if not move.by
        )
    times = page.tables["How long stays lasted"].rows
    assert [(number(cells[1]), number(cells[2])) for cells in times] == [
        (each.ended, each.still) for each in summary.times
    ]
    closures = page.tables.get("What became of the cases that a timer would have closed")
    if closures is not None:
        assert [list(map(number, cells)) for cells in closures.body.values()] == [
            [each.cases, each.worked_on_again, each.resolved, each.nothing_more] for each in summary.closures
        ]
    else:
        assert not any(each.cases for each in summary.closures)
    if days is not None:
        answers = page.tables["close_pending with other lengths"].body
        assert [[number(cells[place]) for place in (0, 1, 2, 4, 5)] for cells in answers.values()] == [
            [each.closed, each.followed, each.came_back, each.reminders, each.notifications]
            for each in summary.what_ifs
        ]
    rows = page.tables["Rows"].body
    assert number(rows["Rows in the log"][0]) == len(log)
    assert number(rows["Repeated"][0]) == summary.duplicate_rows
    assert number(rows["Out of order"][0]) == summary.out_of_order_rows
    values = page.tables["The values of the log, and how they were read"].rows
    assert sum(number(cells[1]) for cells in values) == len(log)
    for curve in summary.replies:
        assert re.search(rf"{counted(curve.stays, 'stay')}[:,] ", page.text)
    assert json.loads(page.scripts[0]) == page.figures
