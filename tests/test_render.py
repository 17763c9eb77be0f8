"""Drawings, the published page and the tables: what they say, and that no text of a policy breaks them."""

from __future__ import annotations

import html
import os
import re
import tempfile

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import pytest

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from casestate import load_policy, policies, render
from casestate.testing import strategies


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from casestate import Policy

HOSTILE: Final = (
    'a " quote',
    "back\\slash \\N \\G",
    "<b>bold</b>",
    "&amp; &#35; & #35; #quot;",
    "pipe | pipe",
    "two\nlines",
    "```\n# no heading",
    "`tick` *star* _under_ ~~gone~~ $x$",
    "[link](http://example.com) ![image](x)",
    "; semi : colon %% comment {{x}} -- -->",
    "]> </TABLE>>];}",
    "end note",
    "\x1b[31mred\x07\x00",
    "\u202eright to left\u2066",
    "日本語 ünïcødé 😀",
    "<br/>",
    "1. first",
    "2) second",
    "__strong__",
    "-",
    " \n ",
)


def desk(**tables: Any) -> Policy:  # noqa: ANN401 - the tables of a policy file
    """A small policy, with the given tables in place of its own."""
    base = {
        "format": 1,
        "name": "desk",
        "initial": "open",
        "statuses": {"open": {}, "waiting": {}, "closed": {"closed": True}},
    }
    return load_policy({**base, **tables})


def row(event: str, from_: str | list[str], to: str | None = None, **more: object) -> dict[str, object]:
    return {"event": event, "by": "agent", "from": from_, **({} if to is None else {"to": to}), **more}


def arrows(policy: Policy) -> dict[tuple[str, str], list[str]]:
    """The arrows of the mermaid drawing between states, with what they say."""
    pattern = re.compile(r"    (?:s_|p_)(\S+) --> (?:s_|p_)(\S+) : (.*)")
    found: dict[tuple[str, str], list[str]] = {}
    for match in filter(None, map(pattern.fullmatch, render.mermaid(policy).splitlines())):
        source, target, labels = match.groups()
        found.setdefault((source, target), []).extend(labels.split("<br/>"))
    return found


def page(policy: Policy) -> dict[str, list[list[str]]]:
    """The tables of the published page by title, as a reader of Markdown sees them."""
    return dict(tables_of(render.markdown(policy)))


def tables_of(text: str) -> Iterator[tuple[str, list[list[str]]]]:
    title, rows, cells = "", [], []
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "inline":
            assert token.children is not None
            content = "".join(child.content for child in token.children)
            assert {child.type for child in token.children} <= {"text"}, token.content
            if before is not None and before.type == "heading_open":
                title = content
            else:
                cells.append(content)
        elif token.type == "tr_close":
            rows.append(cells)
            cells = []
        elif token.type == "table_close":
            yield title, rows
            rows = []


def drawn(policy: Policy) -> tuple[ET.Element, str]:
    """The picture that Graphviz makes, and what it complained of."""
    pygraphviz = pytest.importorskip("pygraphviz", reason="pygraphviz draws, where it is to be had")
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            svg = pygraphviz.AGraph(string=render.dot(policy)).draw(format="svg", prog="dot")
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        said.seek(0)
        complaints = [line for line in said.read().decode().splitlines() if "Fontconfig" not in line]
    return ET.fromstring(svg), "\n".join(complaints)  # noqa: S314 - Graphviz has just made it


def texts_of(svg: ET.Element) -> str:
    return "\n".join("".join(element.itertext()) for element in svg.iter() if element.tag.endswith("text"))


def one_line(text: str) -> str:
    """What any format shows of a text of the policy."""
    return render.visible(" ".join(text.split())) or "—"


# --- the page ----------------------------------------------------------------


def test_the_page_lists_every_status_with_its_meaning_and_the_action_required() -> None:
    found = page(policies.OPEN_RESOLVED)["Status reference"]
    assert found[0] == ["Status", "Meaning", "Action required?"]
    assert [line[0] for line in found[1:]] == [
        "New",
        "Open",
        "In Progress",
        "Pending Customer",
        "Resolved",
        "Closed",
    ]
    assert found[4] == [
        "Pending Customer",
        "The engineer needs more information from you.",
        "Yes: reply, so that work can go on.",
    ]


def test_sub_statuses_stand_below_their_status() -> None:
    found = page(policies.SUB_STATUS)["Status reference"]
    assert [line[0] for line in found[3:8]] == [
        "Pending",
        "Pending - Customer Input",
        "Pending - Development",
        "Pending - Scheduled Support Service",
        "Pending - Third Party Provider",
    ]
    assert found[3][2] == "—"


def test_the_closure_table_is_that_of_the_document() -> None:
    assert page(policies.OPEN_RESOLVED)["Case closure policy"] == [
        ["Scenario", "Closes after"],
        ["No reply on Pending Customer", "14 days"],
        ["No reply on Resolved", "7 days"],
        ["Confirm by customer in Resolved", "Immediately"],
        ["Close by customer in any open state", "Immediately"],
    ]
    assert page(policies.SUB_STATUS)["Case closure policy"] == [
        ["Scenario", "Closes after"],
        ["No reply on Awaiting Customer Confirmation", "14 days"],
        ["No reply on Pending - Customer Input", "28 days"],
        ["Confirm by customer in Awaiting Customer Confirmation", "Immediately"],
    ]


def test_the_page_says_who_is_reminded_and_notified_of_what() -> None:
    assert page(policies.SUB_STATUS)["Reminders and notifications"] == [
        ["Status", "What", "Who", "When"],
        ["Reopened", "Notification", "support", "at once"],
        ["Update Received", "Notification", "support", "at once"],
        ["Awaiting Customer Confirmation", "Notification", "customer", "at once"],
        ["Pending - Customer Input", "Reminder", "customer", "after 7 days"],
        ["Closed", "Notification", "customer", "after 1 day"],
    ]


def test_a_repeated_reminder_says_how_often_and_whom_nobody_names() -> None:
    policy = desk(
        timers={
            "nag": {
                "in": "waiting",
                "kind": "remind",
                "after": {"business_days": 3},
                "repeat": {"every": {"business_days": 2}, "times": 4},
            }
        }
    )
    assert page(policy)["Reminders and notifications"][1:] == [
        ["Waiting", "Reminder", "—", "after 3 business days, then every 2 business days, 4 times in all"]
    ]


def test_timers_that_move_a_case_have_a_table_of_their_own() -> None:
    policy = desk(timers={"move": {"in": "waiting", "after": {"hours": 36}, "to": "open"}})
    assert page(policy)["Automatic moves"] == [
        ["Scenario", "Moves to", "After"],
        ["No change in Waiting", "Open", "1 day 12 hours"],
    ]
    assert "Case closure policy" not in page(policy)


def test_only_what_a_customer_can_do_from_an_open_state_closes_immediately() -> None:
    rows = [
        {"event": "shut", "by": ["customer", "agent"], "from": ["open", "closed"], "to": "closed"},
        {"event": "finish", "by": "agent", "from": "*open", "to": "closed"},
        {"event": "stay", "by": "customer", "from": "*open"},
        {"event": "back", "by": "customer", "from": "waiting", "to": "@previous"},
    ]
    assert page(desk(transitions=rows))["Case closure policy"][1:] == [
        ["Shut by customer in Open", "Immediately"]
    ]


def test_a_policy_without_timers_has_a_page_without_their_tables() -> None:
    assert list(page(desk())) == ["Status reference"]


def test_the_page_holds_the_mermaid_drawing() -> None:
    text = render.markdown(policies.OPEN_RESOLVED)
    assert f"```mermaid\n{render.mermaid(policies.OPEN_RESOLVED)}```\n" in text
    assert text.startswith("# Case statuses: open-resolved\n")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_on_the_page(text: str) -> None:
    policy = desk(
        statuses={"open": {"label": text, "meaning": text, "action_required": text}},
        timers={"t": {"in": "open", "kind": "remind", "after": {"days": 1}, "audience": text}},
    )
    found = page(policy)
    line = one_line(text)
    assert found["Status reference"][1] == [line, line, line]
    assert found["Reminders and notifications"][1][0] == line


# --- the arrows --------------------------------------------------------------


def test_the_flow_of_open_resolved_is_drawn_as_the_document_draws_it() -> None:
    found = arrows(policies.OPEN_RESOLVED)
    assert found["new", "open"] == ["assign (agent)"]
    assert found["open", "in_progress"] == ["start (agent)"]
    assert found["in_progress", "pending_customer"] == ["ask (agent)"]
    assert found["pending_customer", "open"] == ["resume (agent)", "comment (customer)"]
    assert found["pending_customer", "in_progress"] == ["resume (agent)", "comment (customer)"]
    assert found["pending_customer", "closed"] == ["after 14 days"]
    assert found["resolved", "closed"] == ["confirm (customer)", "after 7 days"]
    assert found["any_open_state", "resolved"] == ["resolve (agent, customer)"]
    assert found["closed", "new"] == ["reopen (customer, agent) if unassigned"]
    assert ("resolved", "resolved") not in found
    assert ("pending_customer", "new") not in found


def test_a_row_from_every_open_state_is_drawn_once() -> None:
    found = arrows(policies.SUB_STATUS)
    assert found["any_open_state", "pending"] == ["pend (agent)"]
    assert found["any_open_state", "closed"] == ["close (agent)"]
    assert {source for source, target in found if target == "pending"} == {"any_open_state"}


def test_the_whole_mermaid_text_of_a_small_policy() -> None:
    policy = desk(
        statuses={
            "open": {"label": "Open: \u00e9"},
            "waiting": {"sub_statuses": {"customer": {}, "supplier": {"label": "The supplier"}}},
            "closed": {"closed": True},
        },
        transitions=[row("wait", "open", "waiting"), row("close_2", "*open", "closed")],
        timers={
            "remind": {"in": "waiting.customer", "kind": "remind", "after": {"days": 2}},
            "close": {"in": "waiting", "after": {"days": 9}, "to": "closed"},
        },
    )
    assert render.mermaid(policy).splitlines() == [
        "stateDiagram-v2",
        '    state "Open#58; \u00e9" as s_open',
        '    state "Waiting" as s_waiting {',
        '        state "Customer" as s_waiting.customer',
        '        state "The supplier" as s_waiting.supplier',
        "    }",
        '    state "Closed" as s_closed',
        '    state "any open state" as p_any_open_state',
        "    s_waiting.customer : remind after 2 days",
        "    [*] --> s_open",
        "    s_open --> s_waiting : wait (agent)",
        "    p_any_open_state --> s_closed : close#95;2 (agent)",
        "    s_waiting --> s_closed : after 9 days",
        "    s_closed --> [*]",
        "    classDef pseudo stroke-dasharray: 4 4",
        "    class p_any_open_state pseudo",
    ]


def test_refused_and_internal_rows_are_not_drawn() -> None:
    rows = [row("go", "open", refuse=True), row("go", ["open", "waiting"], "closed"), row("note", "*")]
    assert arrows(desk(transitions=rows)) == {("waiting", "closed"): ["go (agent)"]}


def test_a_row_that_an_earlier_one_hides_is_not_drawn() -> None:
    rows = [
        row("go", "open", "waiting"),
        row("go", "open", "closed"),
        {"event": "go", "by": ["agent", "customer"], "from": "open", "to": "closed"},
    ]
    assert arrows(desk(transitions=rows)) == {
        ("open", "waiting"): ["go (agent)"],
        ("open", "closed"): ["go (customer)"],
    }


def test_rows_that_an_assignee_decides_between_are_both_drawn() -> None:
    rows = [
        row("go", "open", "waiting", when="assigned"),
        row("go", "open", "closed", when="unassigned"),
        row("go", "open", "open"),
    ]
    assert arrows(desk(transitions=rows)) == {
        ("open", "waiting"): ["go (agent) if assigned"],
        ("open", "closed"): ["go (agent) if unassigned"],
    }


def test_an_arrow_from_every_state_names_those_it_is_not_from() -> None:
    statuses: dict[str, object] = {name: {} for name in "abcde"} | {"closed": {"closed": True}}
    rows = [row("go", ["a", "b"], refuse=True), row("go", "*", "closed"), row("stop", "*open", "closed")]
    assert arrows(desk(initial="a", statuses=statuses, transitions=rows)) == {
        ("any_state", "closed"): ["go (agent), not in A, B"],
        ("any_open_state", "closed"): ["stop (agent)"],
    }


def test_a_state_that_stands_beside_a_pattern_is_drawn_beside_it() -> None:
    policy = desk(
        initial="a",
        statuses={"a": {}, "b": {}, "c": {}, "done": {"closed": True}},
        transitions=[row("go", ["*open", "done"], "a")],
    )
    assert set(arrows(policy)) == {("any_open_state", "a"), ("done", "a")}


def test_a_row_back_from_every_state_leads_to_where_the_case_came_from() -> None:
    policy = desk(initial="a", statuses={"a": {}, "b": {}}, transitions=[row("back", "*", "@previous")])
    assert set(arrows(policy)) == {("any_state", "where_it_came_from")}


def test_a_row_from_every_state_that_holds_in_few_is_drawn_from_those() -> None:
    rows = [row("go", ["open", "closed"], refuse=True), row("go", "*", "open")]
    assert arrows(desk(transitions=rows)) == {("waiting", "open"): ["go (agent)"]}


def test_a_row_back_leads_to_wherever_the_status_can_be_entered_from() -> None:
    rows = [
        row("ask", "open", "waiting"),
        row("reply", "waiting", "@previous"),
        row("back", "open", "@previous"),
    ]
    timers = {"wake": {"in": "closed", "after": {"days": 1}, "to": "waiting"}}
    assert arrows(desk(transitions=rows, timers=timers)) == {
        ("open", "waiting"): ["ask (agent)", "back (agent)"],
        ("waiting", "open"): ["reply (agent)"],
        ("waiting", "closed"): ["reply (agent)"],
        ("closed", "waiting"): ["after 1 day"],
    }


def test_a_row_back_to_many_states_leads_to_where_the_case_came_from() -> None:
    statuses: dict[str, object] = {name: {} for name in ("a", "b", "c", "d", "aside")}
    rows = [row("park", "*", "aside"), row("back", "aside", "@previous"), row("undo", "*", "@previous")]
    found = arrows(desk(initial="a", statuses=statuses, transitions=rows))
    assert found == {
        ("any_state", "aside"): ["park (agent)"],
        ("aside", "where_it_came_from"): ["back (agent)"],
        ("any_state", "where_it_came_from"): ["undo (agent)"],
    }


def test_a_row_back_from_a_state_that_nothing_enters_is_not_drawn() -> None:
    assert arrows(desk(transitions=[row("back", "open", "@previous")])) == {}


def test_an_arrow_between_a_status_and_a_sub_status_of_its_own_is_one_for_each() -> None:
    statuses = {"open": {"sub_statuses": {"a": {}, "b": {}}}, "closed": {"closed": True}}
    rows = [
        row("all", "open", "open.a"),
        row("any", "open.a", "open"),
        row("again", "open", "open"),
        row("end", ["open.a", "open.b"], "closed"),
    ]
    assert arrows(desk(initial="open.a", statuses=statuses, transitions=rows)) == {
        ("open.a", "open.a"): ["all (agent)", "any (agent)"],
        ("open.b", "open.a"): ["all (agent)"],
        ("open.a", "open.b"): ["any (agent)"],
        ("open", "open"): ["again (agent)"],
        ("open", "closed"): ["end (agent)"],
    }


def test_only_closed_states_that_nothing_leaves_are_final() -> None:
    assert "    s_closed --> [*]" in render.mermaid(policies.SUB_STATUS).splitlines()
    assert "--> [*]" not in render.mermaid(policies.OPEN_RESOLVED)
    rows = [row("again", "*", "open")]
    assert "--> [*]" not in render.mermaid(desk(transitions=rows))


# --- the drawings hold whatever a policy says --------------------------------

_TEXT = r"(?:[\w .,'()]|#\d+;|<br/>)*"
_ID = r"(?:s_[a-z0-9_]+(?:\.[a-z0-9_]+)?|p_any_state|p_any_open_state|p_where_it_came_from)"
_MERMAID = re.compile(
    "|".join(
        (
            "stateDiagram-v2",
            rf' {{4,8}}state "{_TEXT}" as {_ID}(?: \{{)?',
            r" {4}\}",
            rf" {{4}}{_ID} : {_TEXT}",
            rf" {{4}}(?:{_ID}|\[\*\]) --> (?:{_ID}|\[\*\])(?: : {_TEXT})?",
            r" {4}classDef pseudo stroke-dasharray: 4 4",
            rf" {{4}}class {_ID}(?:,{_ID})* pseudo",
        )
    )
)


def all_hostile() -> Policy:
    """A policy in which every text that people read is hostile."""
    described = {"label": HOSTILE[0], "meaning": HOSTILE[1], "action_required": HOSTILE[2]}
    names = [f"s{number}" for number in range(len(HOSTILE))]
    return desk(
        initial="end",
        roles=["graph", "node"],
        statuses={
            "end": described,
            "state": {"sub_statuses": {"note": {"label": HOSTILE[10]}, "fork": {"label": HOSTILE[3]}}},
            "class": {"label": HOSTILE[12], "closed": True},
            **{name: {"label": text} for name, text in zip(names, HOSTILE, strict=True)},
        },
        transitions=[
            {"event": "subgraph", "by": ["graph", "node"], "from": ["end", *names], "to": "state"},
            {"event": "digraph", "by": "node", "from": "state", "to": "state.note"},
            {"event": "strict", "by": "node", "from": names[:3], "refuse": True},
            {"event": "strict", "by": "node", "from": "*open", "to": "class"},
            {"event": "back", "by": "node", "from": ["end", "state"], "to": "@previous"},
        ],
        timers={
            "t": {"in": "*", "kind": "notify", "after": {"seconds": 0}, "audience": HOSTILE[4]},
            "u": {"in": "state", "after": {"days": 2}, "to": "class"},
            "v": {"in": "end", "after": {"days": 2}, "to": "state.fork"},
        },
    )


def labels_of(policy: Policy) -> Iterator[str]:
    for status in policy.statuses.values():
        yield status.label
        for sub_status in status.sub_statuses.values():
            yield sub_status.label


def check_mermaid(policy: Policy) -> None:
    lines = render.mermaid(policy).split("\n")
    assert lines.pop() == ""
    for line in lines:
        assert _MERMAID.fullmatch(line), line
    declared = [html.unescape(re.sub(r"#(\d+);", r"&#\1;", line)) for line in lines if "state " in line]
    for label in labels_of(policy):
        assert any(f'state "{one_line(label)}" as s_' in line for line in declared), label


def check_page(policy: Policy) -> None:
    found = page(policy)
    assert [line[0].rpartition(" - ")[2] for line in found["Status reference"][1:]] == [
        one_line(label).rpartition(" - ")[2] for label in labels_of(policy)
    ]
    for rows in found.values():
        assert len({len(line) for line in rows}) == 1


def check_dot(policy: Policy) -> None:
    svg, complaints = drawn(policy)
    assert complaints == ""
    shown = texts_of(svg).replace("\N{NO-BREAK SPACE}", " ")
    for label in labels_of(policy):
        assert one_line(label) in shown


def test_hostile_text_breaks_no_drawing() -> None:
    policy = all_hostile()
    check_mermaid(policy)
    check_page(policy)
    check_dot(policy)


@given(policy=strategies.policies())
def test_any_policy_makes_a_mermaid_text_and_a_page_of_the_right_shape(policy: Policy) -> None:
    check_mermaid(policy)
    check_page(policy)


@settings(max_examples=20)
@given(policy=strategies.policies())
def test_graphviz_draws_any_policy_without_a_complaint(policy: Policy) -> None:
    check_dot(policy)


def test_the_drawings_of_the_built_in_policies_can_be_read() -> None:
    for policy in (policies.SUB_STATUS, policies.OPEN_RESOLVED):
        svg, complaints = drawn(policy)
        assert complaints == ""
        width, height = (float(svg.attrib[side].removesuffix("pt")) for side in ("width", "height"))
        assert 300 < height < width < 1500
        check_dot(policy)


def test_the_dot_text_of_a_small_policy() -> None:
    policy = desk(
        statuses={
            "open": {},
            "start": {"sub_statuses": {"a": {}, "b": {}}},
            "closed": {"closed": True},
        },
        transitions=[
            row("wait", "open", "start"),
            row("shift", "start.a", "start.b"),
            row("home", "start.b", "open"),
            row("undo", "*", "@previous"),
        ],
        timers={
            "move": {"in": "start.a", "after": {"days": 1}, "to": "start.b"},
            "close": {"in": "start.b", "after": {"days": 9}, "to": "closed"},
            "tell": {"in": "start.b", "kind": "notify", "audience": "third_party", "after": {"days": 0}},
        },
    )
    text = render.dot(policy)
    assert '    "@start" -> "open"\n' in text
    assert '    "open" -> "start" [label=" wait (agent) "]\n' in text
    assert '    "open" -> "start":"b" [label=" home (agent) ", dir=back]\n' in text
    assert '    "start":"b" -> "closed" [label=" after 9 days ", style=dashed]\n' in text
    assert '    "*" -> "@previous" [label=" undo (agent) "]\n' in text
    assert "<I>shift (agent) → B</I>" in text
    assert "<I>after 1 day → B</I>" in text
    assert "<I>notify third party at once</I>" in text
    assert '"start":"a" ->' not in text
    assert text.index('"closed" [') > text.index("    }\n")


# --- the tables --------------------------------------------------------------


def test_the_tables_have_a_line_for_every_state_row_and_timer() -> None:
    states, transitions, timers = render.tables(policies.SUB_STATUS)
    assert (states.title, transitions.title, timers.title) == ("States", "Transitions", "Timers")
    assert [line[0] for line in states.rows] == list(policies.SUB_STATUS.states)
    assert states.rows[0] == ("new", "New", "support", "initial")
    assert states.rows[2] == ("pending.customer_input", "Pending - Customer Input", "customer", "")
    assert states.rows[-1] == ("closed", "Closed", "", "closed")
    assert transitions.rows[0] == ("start", "agent", "in_progress", "(refused)", "")
    assert transitions.rows[7] == ("comment", "customer", "*open", "(stays)", "")
    assert timers.rows[3] == (
        "close_awaiting",
        "awaiting_customer_confirmation",
        "close",
        "",
        "after 14 days",
        "closed",
        "",
    )
    for table in (states, transitions, timers):
        assert {len(line) for line in table.rows} == {len(table.columns)}


def test_the_tables_say_under_which_condition_a_row_holds_and_what_notice_a_timer_gives() -> None:
    policy = desk(
        initial="closed",
        transitions=[row("take", ["open", "waiting"], "open", when="unassigned", needs=["assignee"])],
        timers={
            "warn": {"in": "waiting", "kind": "remind", "audience": "customer", "after": {"days": 1}},
            "close": {"in": "waiting", "after": {"days": 2}, "notice": {"hours": 5}, "to": "closed"},
        },
    )
    states, transitions, timers = render.tables(policy)
    assert states.rows[2][3] == "initial and closed"
    assert transitions.rows == (("take", "agent", "open, waiting", "open", "if unassigned, needs assignee"),)
    assert timers.rows[1] == ("close", "waiting", "close", "", "after 2 days", "closed", "5 hours")


# --- text --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本 😀", "plain é 日本 😀"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x7f\x9b", "\\x7f\\x9b"),
        ("\u202eevil\u2069", "\\u202eevil\\u2069"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\ud800", "\\ud800"),
        ("zero\u200cwidth", "zero\u200cwidth"),
    ],
)
def test_characters_that_steer_are_shown_as_escapes(text: str, shown: str) -> None:
    assert render.visible(text) == shown


@given(text=st.text())
@example(text="\x00\x1f\x80\x9f")
def test_nothing_visible_steers_a_terminal(text: str) -> None:
    shown = render.visible(text)
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)
    assert shown.isprintable() or not text.isprintable()


def test_the_module_draws_without_any_optional_library() -> None:
    source = Path(render.__file__).read_text(encoding="utf-8")
    imported: Sequence[str] = re.findall(r"^\s*(?:from|import) (\S+)", source, flags=re.MULTILINE)
    assert {name.partition(".")[0] for name in imported} == {
        "__future__",
        "attrs",
        "casestate",
        "collections",
        "html",
        "re",
        "typing",
    }
