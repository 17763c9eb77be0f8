"""The command line: what each command prints, and where, and how it ends."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
import tomli_w

from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings

from casestate import load_policy, policies, render
from casestate.cli import cli
from casestate.compare import compare
from casestate.testing import strategies
from casestate.verify import verify


if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.testing import Result

    from casestate import Policy

NOW: Final = "2026-11-20T12:00:00Z"


def run(*args: str | Path, stdin: str | bytes | None = None, now: bool = False) -> Result:
    """The command as it runs in this process; ``now``: with the instant of these tests."""
    command = [*map(str, args), *(["--now", NOW] if now else [])]
    return CliRunner().invoke(cli, command, input=stdin, catch_exceptions=False)


def case(case_id: str, status: str, entered_at: str, **fields: object) -> dict[str, object]:
    return {"id": case_id, "status": status, "entered_at": entered_at, **fields}


def some_cases() -> list[dict[str, object]]:
    """A fresh case, and one of each kind of action."""
    return [
        case("C-1", "new", "2026-11-01T00:00:00Z"),
        case("C-2", "pending", "2026-11-10T12:00:00.5Z", sub_status="customer_input", stay=3),
        case("C-3", "awaiting_customer_confirmation", "2026-11-01T09:00:00+01:00", stay=2),
        case("C-4", "pending_customer", "2026-11-20T11:59:30Z", policy="open-resolved"),
    ]


def lines(*rows: Mapping[str, object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def cells_of(result: Result) -> list[list[str]]:
    """The cells of a printed table that are not empty."""
    return [re.split(" {2,}", line.strip()) for line in result.stdout.splitlines()]


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.jsonl"
    path.write_text(lines(*some_cases()), encoding="utf-8")
    return path


def command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "casestate", *map(str, args)]


def in_a_shell(*args: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:  # noqa: ANN401
    return subprocess.run(command(*args), capture_output=True, check=False, timeout=120, **options)


# --- due ---------------------------------------------------------------------


def test_due_prints_a_table_for_people(cases: Path) -> None:
    result = run("due", cases, now=True)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "case  timer            kind    audience  due since                    overdue  to",
        "─" * 86,
        "C-2   remind_customer  remind  customer  2026-11-17T12:00:00.500000Z  2 days",
        "C-3   close_awaiting   close             2026-11-15T08:00:00Z         5 days   closed",
        "C-4   notify_pending   notify  customer  2026-11-20T11:59:30Z         moments",
        "3 due of 4 cases at 2026-11-20T12:00:00Z",
    ]


def test_due_writes_an_object_for_each_action(cases: Path) -> None:
    result = run("due", cases, "--format", "jsonl", now=True)
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {
            "case_id": "C-2",
            "stay": 3,
            "entered_at": "2026-11-10T12:00:00.500000Z",
            "timer": "remind_customer",
            "kind": "remind",
            "audience": "customer",
            "due_at": "2026-11-17T12:00:00.500000Z",
            "to": None,
            "skipped": [],
            "key": "C-2:3:remind_customer",
        },
        {
            "case_id": "C-3",
            "stay": 2,
            "entered_at": "2026-11-01T08:00:00Z",
            "timer": "close_awaiting",
            "kind": "close",
            "audience": None,
            "due_at": "2026-11-15T08:00:00Z",
            "to": "closed",
            "skipped": ["notify_awaiting"],
            "key": "C-3:2:close_awaiting",
        },
        {
            "case_id": "C-4",
            "stay": 1,
            "entered_at": "2026-11-20T11:59:30Z",
            "timer": "notify_pending",
            "kind": "notify",
            "audience": "customer",
            "due_at": "2026-11-20T11:59:30Z",
            "to": None,
            "skipped": [],
            "key": "C-4:1:notify_pending",
        },
    ]


def test_due_writes_the_same_columns_as_csv(cases: Path) -> None:
    result = run("due", cases, "--format", "csv", now=True)
    printed = result.stdout.splitlines()
    assert printed[0] == "case_id,stay,entered_at,timer,kind,audience,due_at,to,skipped,key"
    objects = run("due", cases, "--format", "jsonl", now=True).stdout.splitlines()
    for row, line in zip(csv.DictReader(printed), objects, strict=True):
        data = json.loads(line)
        assert row == {
            name: " ".join(value) if isinstance(value, list) else "" if value is None else str(value)
            for name, value in data.items()
        }


def test_timers_passed_over_stand_in_one_cell(tmp_path: Path) -> None:
    policy = {
        "format": 1,
        "name": "nag",
        "initial": "open",
        "statuses": {"open": {}},
        "timers": {
            "nag": {
                "in": "open",
                "kind": "remind",
                "after": {"days": 1},
                "repeat": {"every": {"days": 1}, "times": 3},
            }
        },
    }
    path = tmp_path / "nag.toml"
    path.write_text(toml(load_policy(policy)), encoding="utf-8")
    stdin = lines(case("C-1", "open", "2026-11-01T00:00:00Z"))
    result = run("due", "-", "--policy", path, "--format", "csv", stdin=stdin, now=True)
    (row,) = csv.DictReader(result.stdout.splitlines())
    assert (row["timer"], row["skipped"]) == ("nag#3", "nag nag#2")


def toml(policy: Policy) -> str:
    return tomli_w.dumps(policy.to_dict())


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_due_reads_standard_input_and_tells_its_form_by_itself(form: str) -> None:
    rows = some_cases()
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = [",".join(names), *(",".join(str(row.get(name, "")) for name in names) for row in rows)]
    stdin = "\n" + (lines(*rows) if form == "jsonl" else "\n".join(table))
    found = run("due", "-", "--format", "jsonl", stdin=stdin, now=True)
    again = run("due", "-", "--format", "jsonl", "--input", form, stdin=stdin, now=True)
    assert found.stdout == again.stdout
    assert [json.loads(line)["case_id"] for line in found.stdout.splitlines()] == ["C-2", "C-3", "C-4"]


def test_a_form_that_is_named_wrongly_finds_no_cases(cases: Path) -> None:
    assert run("due", cases, "--input", "csv").exit_code == 2
    stdin = "id,status,entered_at\nC-1,new,2026-11-01T00:00:00Z\n"
    assert run("due", "-", "--input", "jsonl", stdin=stdin, now=True).exit_code == 1


def test_without_now_the_clock_of_the_system_is_asked(cases: Path) -> None:
    result = run("due", cases, "--format", "jsonl")
    assert result.exit_code == 0
    assert "C-3" in result.stdout


def test_one_bad_row_in_a_large_file_is_named_and_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    good = lines(case("C-{}", "closed", "2026-11-01T00:00:00Z"), case("D-{}", "new", "2026-11-01T00:00:00Z"))
    with path.open("w", encoding="utf-8") as file:
        for number in range(20_000):
            file.write(good.replace("{}", str(number)))
            if number == 12_344:
                file.write('{"id": "bad", "status": "clsed", "entered_at": "2026-11-01T00:00:00Z"}\n')
    result = run("due", path, "--format", "jsonl", now=True)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 20_000
    bad, summary = result.stderr.splitlines()
    assert bad.startswith(
        f"{path}:24691: status: unknown status 'clsed'; did you mean 'closed'? (there are: "
    )
    assert summary == f"{path}: 1 of 40001 rows are bad"


def test_a_long_table_is_one_table(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    rows = [case(f"C-{number}", "closed", "2026-11-01T00:00:00Z") for number in range(1_100)]
    path.write_text(lines(*rows, case("long" * 30, "closed", "2026-11-01T00:00:00Z")), encoding="utf-8")
    printed = run("due", path, now=True).stdout.splitlines()
    assert len(printed) == 2 + 1_101 + 1
    assert {line.index("notify_closed") for line in printed[2:502]} == {printed[0].index("timer")}
    assert {line.index("notify_closed") for line in printed[502:1002]} == {printed[0].index("timer")}
    assert "long" * 30 in printed[-2]
    assert printed[-1] == f"1101 due of 1101 cases at {NOW}"


def test_a_table_that_goes_nowhere_near_a_terminal_is_not_cut() -> None:
    case_id = "x" * 500
    result = run("due", "-", stdin=lines(case(case_id, "closed", "2026-11-01T00:00:00Z")), now=True)
    assert case_id in result.stdout


def test_text_of_a_case_steers_no_terminal_and_is_no_markup() -> None:
    case_id = "[red]\x1b[31m[/red]:smile:\x07\u202e\n"
    row = case(case_id, "closed", "2026-11-01T00:00:00Z")
    result = run("due", "-", stdin=lines(row), now=True)
    assert "[red]\\x1b[31m[/red]:smile:\\x07\\u202e\\n " in result.stdout
    bad = run("due", "-", stdin=lines({**row, "policy": case_id, "\x1b]0;title\x07": 1}), now=True)
    assert "\x1b" not in bad.stderr
    assert "\x07" not in bad.stderr
    assert "policy: unknown policy '[red]" in bad.stderr
    written = run("due", "-", "--format", "jsonl", stdin=lines(row), now=True)
    assert json.loads(written.stdout)["case_id"] == case_id


def test_nothing_due_is_said_in_every_form() -> None:
    stdin = lines(case("C-1", "new", "2026-11-01T00:00:00Z"))
    assert run("due", "-", stdin=stdin, now=True).stdout == f"0 due of 1 cases at {NOW}\n"
    assert run("due", "-", "--format", "jsonl", stdin=stdin, now=True).stdout == ""
    header = run("due", "-", "--format", "csv", stdin=stdin, now=True).stdout
    assert header == "case_id,stay,entered_at,timer,kind,audience,due_at,to,skipped,key\n"


def test_an_empty_file_is_no_cases_and_no_mistake() -> None:
    result = run("due", "-", stdin="", now=True)
    assert (result.exit_code, result.stderr) == (0, "note: <stdin>: no cases\n")


# --- policies and options ----------------------------------------------------

DESK: Final = """
format = 1
name = "{name}"
initial = "open"
[statuses.open]
[statuses.done]
closed = true
[timers.{timer}]
in = "open"
after = {{ hours = 1 }}
to = "done"
"""


def write_desk(path: Path, name: str = "desk", timer: str = "finish") -> Path:
    path.write_text(DESK.format(name=name, timer=timer), encoding="utf-8")
    return path


def test_rows_may_name_a_policy_that_is_given_and_the_first_serves_the_others(tmp_path: Path) -> None:
    first, second = write_desk(tmp_path / "a.toml", "a", "one"), write_desk(tmp_path / "b.toml", "b", "two")
    stdin = lines(
        case("A", "open", "2026-11-01T00:00:00Z"),
        case("B", "open", "2026-11-01T00:00:00Z", policy="b"),
        case("C", "closed", "2026-11-01T00:00:00Z", policy="sub-status"),
    )
    result = run(
        "due", "-", "--policy", first, "--policy", second, "--format", "jsonl", stdin=stdin, now=True
    )
    assert [json.loads(line)["timer"] for line in result.stdout.splitlines()] == [
        "one",
        "two",
        "notify_closed",
    ]


def test_a_built_in_policy_may_serve_rows_that_name_none() -> None:
    stdin = lines(case("A", "resolved", "2026-11-01T00:00:00Z"))
    result = run("due", "-", "--policy", "open-resolved", "--format", "jsonl", stdin=stdin, now=True)
    assert json.loads(result.stdout)["timer"] == "close_resolved"


def test_two_policies_of_one_name_are_wrong_usage(tmp_path: Path, cases: Path) -> None:
    first, second = write_desk(tmp_path / "a.toml"), write_desk(tmp_path / "b.toml")
    result = run("due", cases, "--policy", first, "--policy", second)
    assert result.exit_code == 2
    assert "two policies with the name 'desk' were given" in result.stderr


def test_a_policy_that_cannot_be_read_is_told_with_all_its_problems(tmp_path: Path, cases: Path) -> None:
    path = tmp_path / "desk.toml"
    path.write_text("format = 2\nname = 'Desk'\ninitial = 'x'\n[statuses.open]\n", encoding="utf-8")
    result = run("due", cases, "--policy", path)
    assert result.exit_code == 2
    assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
        [str(path), "format"],
        [str(path), "name"],
        [str(path), "initial"],
    ]
    missing = run("due", cases, "--policy", "sub-stauts")
    assert missing.exit_code == 2
    assert "did you mean 'sub-status'?" in missing.stderr


@pytest.mark.parametrize(
    ("now", "hint"),
    [
        ("2026-11-20T12:00:00", "2026-11-20T12:00:00 has no time zone: add Z for UTC, or an offset"),
        ("2026-11-20", "2026-11-20 has no time zone"),
        ("soon", "'soon' is no instant such as 2026-03-01T12:00:00Z"),
        ("0001-01-01T00:00:00+01:00", "is no instant"),
    ],
)
def test_an_instant_that_is_none_is_wrong_usage(cases: Path, now: str, hint: str) -> None:
    result = run("due", cases, "--now", now)
    assert result.exit_code == 2
    assert "Invalid value for '--now'" in result.stderr
    assert hint in " ".join(result.stderr.split())


def test_a_file_that_is_not_there_or_is_a_folder_is_named(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.jsonl", "No such file or directory"), (tmp_path, "Is a directory")):
        for name in ("due", "forecast"):
            result = run(name, path)
            assert (result.exit_code, result.stdout) == (2, "")
            assert result.stderr == f"{path}: cannot be read: {why}\n"


def test_the_version_and_the_help_are_printed() -> None:
    assert run("--version").stdout.endswith(", version 0.1.0\n")
    for args in (
        ["-h"],
        ["due", "--help"],
        ["forecast", "-h"],
        ["explain", "-h"],
        ["show", "-h"],
        ["check", "-h"],
    ):
        result = run(*args)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith("Usage: ")
    assert run("dew").exit_code == 2


# --- forecast ----------------------------------------------------------------


def test_forecast_tells_what_comes_due_if_nobody_does_anything(cases: Path) -> None:
    result = run("forecast", cases, now=True)
    assert (result.exit_code, result.stderr) == (0, "")
    headings, _, *rows = cells_of(result)
    assert headings == ["case", "timer", "kind", "audience", "due", "from now", "to"]
    assert [[row[0], row[1], *row[-2:]] for row in rows] == [
        ["C-2", "remind_customer", "2026-11-17T12:00:00.500000Z", "2 days ago"],
        ["C-2", "close_pending", "in 18 days", "closed"],
        ["C-2", "notify_closed", "2026-12-09T12:00:00.500000Z", "in 19 days"],
        ["C-3", "close_awaiting", "5 days ago", "closed"],
        ["C-3", "notify_closed", "2026-11-21T12:00:00Z", "in 1 day"],
        ["C-4", "notify_pending", "2026-11-20T11:59:30Z", "moments ago"],
        ["C-4", "close_pending", "in 13 days", "closed"],
    ]


def test_forecast_ends_at_an_instant_or_after_so_many_actions(cases: Path) -> None:
    until = run("forecast", cases, "--until", "2026-12-04T11:59:30Z", "--format", "jsonl", now=True)
    assert [json.loads(line)["timer"] for line in until.stdout.splitlines()] == [
        "remind_customer",
        "close_awaiting",
        "notify_closed",
        "notify_pending",
        "close_pending",
    ]
    one = run("forecast", cases, "--limit", "1", "--id", "C-2", "--format", "csv", now=True)
    assert len(one.stdout.splitlines()) == 2
    assert one.stderr == f"note: {cases}: 1 cases have more to come than --limit 1, 'C-2' for one\n"
    exact = run("forecast", cases, "--limit", "3", "--id", "C-2", now=True)
    assert exact.stderr == ""


def test_forecast_of_timers_that_go_round_comes_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "circle.toml"
    path.write_text(
        'format = 1\nname = "circle"\ninitial = "a"\n[statuses.a]\n[statuses.b]\n'
        '[timers.go]\nin = "a"\nafter = { hours = 0 }\nto = "b"\n'
        '[timers.back]\nin = "b"\nafter = { hours = 0 }\nto = "a"\n',
        encoding="utf-8",
    )
    stdin = lines(case("C-1", "a", NOW), case("C-2", "b", NOW))
    result = run("forecast", "-", "--policy", path, "--format", "jsonl", stdin=stdin, now=True)
    assert [json.loads(line)["case_id"] for line in result.stdout.splitlines()] == ["C-1"] * 20 + ["C-2"] * 20
    assert result.stderr == "note: <stdin>: 2 cases have more to come than --limit 20, 'C-1' for one\n"
    assert result.exit_code == 0


def test_an_id_that_no_case_has_is_not_found(cases: Path) -> None:
    for name in ("forecast", "explain"):
        result = run(name, cases, "--id", "C-9", now=True)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == f"{cases}: no case has the id 'C-9'\n"


def test_a_bad_row_ends_a_forecast_with_1() -> None:
    stdin = lines(case("C-1", "nwe", NOW), case("C-2", "closed", NOW))
    result = run("forecast", "-", "--format", "csv", stdin=stdin, now=True)
    assert result.exit_code == 1
    assert "<stdin>:1: status: unknown status 'nwe'; did you mean 'new'?" in result.stderr
    assert "C-2,1,2026-11-20T12:00:00Z,notify_closed" in result.stdout


# --- explain -----------------------------------------------------------------


def test_explain_says_for_each_timer_where_it_stands(cases: Path) -> None:
    result = run("explain", cases, "--id", "C-3", now=True)
    assert result.exit_code == 0
    printed = cells_of(result)
    assert printed[0] == ["case", "state", "in it since", "verdict", "sentence"]
    assert printed[2:] == [
        [
            "C-3",
            "awaiting_customer_confirmation",
            "2026-11-01T08:00:00Z",
            "passed over",
            "notify_awaiting is passed over: close_awaiting is due as well, and further on.",
        ],
        [
            "C-3",
            "awaiting_customer_confirmation",
            "2026-11-01T08:00:00Z",
            "due",
            "close_awaiting is due since 2026-11-15T08:00:00Z, and moves the case to closed.",
        ],
    ]


def test_explain_writes_its_verdicts_as_data(cases: Path) -> None:
    found = run("explain", cases, "--id", "C-4", "--format", "jsonl", now=True).stdout.splitlines()
    assert json.loads(found[1]) == {
        "case_id": "C-4",
        "state": "pending_customer",
        "entered_at": "2026-11-20T11:59:30Z",
        "timer": "close_pending",
        "kind": "close",
        "verdict": "waiting",
        "due_at": "2026-12-04T11:59:30Z",
        "sentence": "close_pending waits until 2026-12-04T11:59:30Z, and moves the case to closed.",
    }
    table = run("explain", cases, "--id", "C-4", "--format", "csv", now=True).stdout.splitlines()
    assert table[0] == "case_id,state,entered_at,timer,kind,verdict,due_at,sentence"
    assert table[1].startswith("C-4,pending_customer,2026-11-20T11:59:30Z,notify_pending,notify,due,")


def test_explain_says_that_a_state_has_no_timers(cases: Path) -> None:
    result = run("explain", cases, "--id", "C-1", "--format", "jsonl", now=True)
    assert json.loads(result.stdout) == {
        "case_id": "C-1",
        "state": "new",
        "entered_at": "2026-11-01T00:00:00Z",
        "timer": None,
        "kind": None,
        "verdict": "no_timers",
        "due_at": None,
        "sentence": "Nothing comes due: new has no timers.",
    }


def test_explain_reads_the_history_for_timers_that_were_passed_over() -> None:
    passed = {
        "at": "2026-11-10T00:00:00Z",
        "event": "close_awaiting",
        "by": "system",
        "from_state": "pending.customer_input",
        "to_state": "pending.customer_input",
        "stay": 1,
        "detail": ["nag"],
    }
    row = case(
        "C-1",
        "pending",
        "2026-11-01T00:00:00Z",
        sub_status="customer_input",
        settled="remind_customer",
        settled_at="2026-11-10T00:00:00Z",
        history=[passed],
    )
    assert "settled" in run("explain", "-", "--id", "C-1", stdin=lines(row), now=True).stdout
    bad = {**row, "history": [{**passed, "at": "never"}]}
    result = run("explain", "-", "--id", "C-1", stdin=lines(bad), now=True)
    assert result.exit_code == 1
    assert "<stdin>:1: history[0].at: " in result.stderr
    assert run("due", "-", stdin=lines(bad), now=True).exit_code == 0


def test_explain_takes_no_history_from_a_table() -> None:
    stdin = "id,status,entered_at,history\nC-1,closed,2026-11-01T00:00:00Z,[]\n"
    result = run("explain", "-", "--id", "C-1", "--format", "csv", stdin=stdin, now=True)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "notify_closed is due since" in result.stdout


def test_explain_shows_every_row_of_an_id(cases: Path) -> None:
    rows = [*some_cases(), case("C-2", "closed", "2026-11-20T00:00:00Z")]
    result = run("explain", "-", "--id", "C-2", "--format", "jsonl", stdin=lines(*rows), now=True)
    assert [json.loads(line)["state"] for line in result.stdout.splitlines()] == [
        "pending.customer_input",
        "pending.customer_input",
        "closed",
    ]
    assert run("explain", cases).exit_code == 2


# --- check and show ----------------------------------------------------------


CLEAN = """
format = 1
name = "clean"
initial = "new"
[statuses.new]
waiting_on = "support"
[statuses.closed]
closed = true
[[transitions]]
event = "comment"
by = ["customer"]
from = ["*open"]
[[transitions]]
event = "close"
by = ["customer", "agent"]
from = ["*open"]
to = "closed"
[[transitions]]
event = "reopen"
by = ["customer"]
from = ["closed"]
to = "new"
"""


def written(path: Path, *parts: str) -> Path:
    path.write_text("".join(parts), encoding="utf-8")
    return path


def test_check_says_when_nothing_is_to_be_said_of_a_policy(tmp_path: Path) -> None:
    result = run("check", written(tmp_path / "clean.toml", CLEAN))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "clean: nothing found (2 configurations, 4 changes looked at)\n"


def test_check_prints_each_finding_with_its_place_its_story_and_a_remedy() -> None:
    result = run("check", "open-resolved")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-6:] == [
        "warning[closure-unannounced] timers.close_resolved",
        "    close_resolved closes resolved after 7 days without a word to the customer before",
        "    so: open → resolve → 7 days pass → closed by close_resolved",
        "    help: add a timer of kind 'remind' for 'customer' to resolved, shorter than 7 days",
        "",
        "open-resolved: 3 warnings (11 configurations, 84 changes looked at)",
    ]


def test_check_ends_with_1_for_errors_and_for_warnings_only_if_strict(tmp_path: Path) -> None:
    assert run("check", "sub-status").exit_code == 0
    assert run("check", "--strict", "sub-status").exit_code == 1
    assert run("check", "--strict", written(tmp_path / "clean.toml", CLEAN)).exit_code == 0
    stillborn = written(tmp_path / "bad.toml", CLEAN.replace('initial = "new"', 'initial = "closed"'))
    result = run("check", stillborn)
    assert result.exit_code == 1
    assert result.stdout.startswith("error[initial-closed] initial\n")
    assert result.stdout.endswith("clean: 1 error (2 configurations, 4 changes looked at)\n")


def test_check_writes_all_of_it_for_machines() -> None:
    result = run("check", "--format", "json", "sub-status")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == verify(policies.SUB_STATUS).to_dict()


def test_check_writes_for_machines_what_is_wrong_with_a_file_too(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.toml", CLEAN.replace('"new"', '"nwe"'))
    result = run("check", "--format", "json", path)
    assert (result.exit_code, result.stderr) == (1, "")
    report = json.loads(result.stdout)
    assert (report["policy"], report["errors"], report["configurations"]) == (str(path), 2, 0)
    assert [(one["code"], one["severity"], one["path"]) for one in report["findings"]] == [
        ("invalid-policy", "error", "initial"),
        ("invalid-policy", "error", "transitions[2].to"),
    ]
    assert run("check", "--format", "json", tmp_path / "none.toml").exit_code == 2


def test_check_against_tells_what_has_changed_and_fails_if_cases_close_sooner(tmp_path: Path) -> None:
    new = written(
        tmp_path / "new.toml", 'extends = "sub-status"\n[timers.close_pending]\nafter = { days = 14 }\n'
    )
    result = run("check", "--against", "sub-status", new)
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.startswith("error[closes-sooner] timers.close_pending.after\n")
    assert result.stdout.endswith("\nfrom sub-status to sub-status: 1 error, 1 note\n")
    longer = run("check", "--against", new, "sub-status", "--strict")
    assert longer.exit_code == 0
    assert longer.stdout.endswith("\nfrom sub-status to sub-status: 1 note\n")
    same = run("check", "--against", "sub-status", "sub-status")
    assert (same.exit_code, same.stdout) == (0, "from sub-status to sub-status: nothing found\n")


def test_check_against_writes_for_machines(tmp_path: Path) -> None:
    result = run("check", "--against", "sub-status", "--format", "json", "open-resolved")
    record = json.loads(result.stdout)
    assert (record["old"], record["new"]) == ("sub-status", "open-resolved")
    found = compare(policies.SUB_STATUS, policies.OPEN_RESOLVED)
    assert record["findings"] == [finding.to_dict() for finding in found]
    for severity in ("error", "warning", "note"):
        assert record[f"{severity}s"] == sum(finding.severity == severity for finding in found)
    assert result.exit_code == int(record["errors"] > 0)
    bad = written(tmp_path / "bad.toml", CLEAN.replace('"new"', '"nwe"'))
    assert run("check", "--against", bad, "sub-status").exit_code == 1
    assert json.loads(run("check", "--against", bad, "--format", "json", "sub-status").stdout)[
        "policy"
    ] == str(bad)
    assert run("check", "--against", tmp_path / "none.toml", "sub-status").exit_code == 2


def test_findings_steer_no_terminal(tmp_path: Path) -> None:
    hostile = CLEAN.replace(
        "[statuses.closed]", '[statuses.w]\nwaiting_on = "\\u001b[31m\\n"\n[statuses.closed]'
    )
    timer = '[[transitions]]\nevent = "wait"\nby = ["agent"]\nfrom = ["new"]\nto = "w"\n'
    timer += '[timers.t]\nin = ["w"]\nafter = { days = 1 }\nto = "closed"\n'
    result = run("check", written(tmp_path / "hostile.toml", hostile, timer))
    assert "closes w, which waits on" in result.stdout
    assert "\x1b" not in result.stdout


def test_check_prints_every_problem_and_ends_with_1(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    path.write_text(
        DESK.format(name="desk", timer="finish").replace("open]", "opne]").replace("hours = 1", "hours = -1"),
        encoding="utf-8",
    )
    result = run("check", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
        [str(path), "timers.finish.after.hours"],
        [str(path), "initial"],
        [str(path), "timers.finish.in"],
    ]


def test_check_ends_with_1_for_what_is_no_toml_and_with_2_for_what_cannot_be_read(tmp_path: Path) -> None:
    broken, latin = tmp_path / "broken.toml", tmp_path / "latin.toml"
    broken.write_text("name = ", encoding="utf-8")
    latin.write_bytes("name = 'é'".encode("latin-1"))
    assert run("check", broken).exit_code == 1
    for path in (latin, tmp_path, tmp_path / "none.toml"):
        result = run("check", path)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"{path}: ")


def test_problems_of_a_policy_steer_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    path.write_text('format = 1\nname = "\\u001b[31m"\ninitial = "\\n"\n[statuses.a]\n', encoding="utf-8")
    result = run("check", path)
    assert "\x1b" not in result.stderr
    assert len(result.stderr.splitlines()) == 2


def test_show_prints_the_tables_of_a_policy() -> None:
    result = run("show", "open-resolved")
    assert (result.exit_code, result.stderr) == (0, "")
    printed = result.stdout.splitlines()
    assert printed[:6] == [
        "States",
        "",
        "state             label             waiting on  is",
        "────────────────────────────────────────────────────────",
        "new               New               support     initial",
        "open              Open              support",
    ]
    assert "close_resolved  resolved          close             after 7 days   closed" in printed


def test_show_leaves_out_tables_without_rows(tmp_path: Path) -> None:
    printed = run("show", write_desk(tmp_path / "desk.toml")).stdout
    assert "Timers" in printed
    assert "Transitions" not in printed


def test_show_writes_what_render_makes() -> None:
    assert run("show", "sub-status", "--as", "mermaid").stdout == render.mermaid(policies.SUB_STATUS)
    assert run("show", "sub-status", "--as", "markdown").stdout == render.markdown(policies.SUB_STATUS)


def test_show_writes_a_policy_file_that_loads_again() -> None:
    for policy in (policies.SUB_STATUS, policies.OPEN_RESOLVED):
        text = run("show", policy.name, "--as", "toml").stdout
        assert load_policy(tomllib.loads(text)) == policy


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(policy=strategies.policies(regions=True))
def test_any_policy_comes_back_from_its_policy_file(tmp_path: Path, policy: Policy) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(toml(policy), encoding="utf-8")
    shown = run("show", path, "--as", "toml").stdout_bytes.decode()
    assert load_policy(tomllib.loads(shown)) == policy


def test_show_draws_a_picture_and_graphviz_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pygraphviz", reason="pygraphviz draws, where it is to be had")
    result = run("show", "sub-status", "--as", "svg")
    assert result.exit_code == 0
    assert result.stdout.startswith("<?xml")
    assert "Awaiting Customer Confirmation" in result.stdout.replace("&#160;", " ")
    assert capfd.readouterr() == ("", "")


def test_without_pygraphviz_show_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    result = run("show", "sub-status", "--as", "svg")
    assert result.exit_code == 2
    assert "pip install 'casestate[cli]'" in result.stderr
    assert "--as mermaid" in result.stderr


def test_show_writes_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    result = run("show", "open-resolved", "--as", "markdown", "--output", path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert path.read_text(encoding="utf-8") == render.markdown(policies.OPEN_RESOLVED)
    assert run("show", "none.toml").exit_code == 2


# --- the process -------------------------------------------------------------


def test_the_module_and_the_command_are_the_same(cases: Path) -> None:
    result = in_a_shell("due", cases, "--now", NOW)
    assert result.returncode == 0
    assert result.stdout.decode() == run("due", cases, now=True).stdout
    assert in_a_shell("due").returncode == 2


def without(module: str) -> subprocess.CompletedProcess[bytes]:
    """The command where a module is missing."""
    script = f"import sys; sys.modules[{module!r}] = None; from casestate.__main__ import main; main()"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize("name", ["click", "msgspec", "rich", "tomli_w"])
def test_without_its_extra_the_command_says_how_to_get_it(name: str) -> None:
    result = without(name)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode() == (
        f"casestate: the command line needs {name}: pip install 'casestate[cli]'\n"
    )


def test_another_module_that_is_missing_is_a_mistake_of_ours() -> None:
    assert b"ModuleNotFoundError" in without("casestate.render").stderr


def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(
            lines(case(f"C-{number}", "closed", "2026-11-01T00:00:00Z")) for number in range(20_000)
        )
    for form in ("table", "jsonl", "csv"):
        with subprocess.Popen(
            command("due", path, "--now", NOW, "--format", form),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(60) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_an_interrupt_ends_it_without_a_traceback() -> None:
    with subprocess.Popen(
        command("due", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b'{"id": "C-1"}\n' + lines(case("C-2", "new", NOW)).encode() * 10_000)
        process.stdin.flush()
        assert process.stderr.readline().startswith(b"<stdin>:1: status: is missing")
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        said = process.stderr.read()
        assert process.wait(60) == 1
    assert b"Traceback" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_full_disk_is_told_in_a_line(cases: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            command("due", cases), stdout=full, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert result.returncode == 2
    assert result.stderr == b"casestate: standard output cannot be written: No space left on device\n"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "page.md"
    result = in_a_shell("show", "sub-status", "--output", path)
    assert result.returncode == 2
    assert result.stderr.decode() == f"casestate: {path} cannot be written: No such file or directory\n"


MEASURED: Final = """
import resource, sys
from casestate.cli import cli
try:
    cli(prog_name="casestate")
finally:
    sys.stderr.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def peak_memory(tmp_path: Path, count: int, form: str) -> int:
    """The most kilobytes that a sweep of standard input has taken; every hundredth case is due."""
    pytest.importorskip("resource", reason="this system does not say how much memory a process took")
    idle = lines(case("C-1", "new", "2026-11-01T00:00:00Z", subject="x" * 100)).encode()
    due = lines(case("C-1", "closed", "2026-11-01T00:00:00Z")).encode()
    with (
        (tmp_path / "out").open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-c", MEASURED, "due", "-", "--now", NOW, "--format", form],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stderr is not None
        for _ in range(count // 100):
            process.stdin.write(idle * 99 + due)
        process.stdin.close()
        *_, peak = process.stderr.read().splitlines()
        assert process.wait(60) == 0
    return int(peak)


@pytest.mark.parametrize("form", ["jsonl", "table"])
def test_ten_times_the_cases_need_no_more_memory(tmp_path: Path, form: str) -> None:
    few, many = peak_memory(tmp_path, 20_000, form), peak_memory(tmp_path, 200_000, form)
    assert many < few + 5_000


# --- a terminal --------------------------------------------------------------


def on_a_terminal(*args: str | Path, stdout: Path | None = None, columns: int = 100) -> bytes:
    """What the command prints on a terminal, standard output included unless it goes to a file."""
    pty = pytest.importorskip("pty", reason="this system has no terminals of this kind")
    ours, theirs = pty.openpty()
    with ExitStack() as stack:
        out = theirs if stdout is None else stack.enter_context(stdout.open("wb"))
        process = subprocess.Popen(
            command(*args),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns)},
        )
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # how Linux says that the other end is closed
            while part := os.read(ours, 1 << 16):
                seen += part
        os.close(ours)
        assert process.wait(60) == 1
    return seen


@pytest.fixture
def many(tmp_path: Path) -> Path:
    path = tmp_path / "many.jsonl"
    row = case("C-1", "closed", "2026-11-01T00:00:00Z")
    path.write_text(lines(*([row] * 1_000), {}, *([row] * 1_000)), encoding="utf-8")
    return path


def test_a_terminal_sees_a_bar_and_the_data_goes_elsewhere_whole(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "due.jsonl"
    seen = on_a_terminal("due", many, "--now", NOW, "--format", "jsonl", stdout=out)
    assert b" rows " in seen
    assert b"many.jsonl:1001: id: is missing" in seen
    found = [msgspec.json.decode(line)["case_id"] for line in out.read_bytes().splitlines()]
    assert found == ["C-1"] * 2_000


def test_a_terminal_that_sees_both_gets_every_row_on_a_line_of_its_own(many: Path) -> None:
    seen = on_a_terminal("due", many, "--now", NOW, "--format", "jsonl")
    assert seen.count(b'"key":"C-1:1:notify_closed"}\r\n') == 2_000
    assert b"2000 due" not in seen


def test_a_terminal_of_eighty_columns_breaks_no_instant(many: Path) -> None:
    seen = on_a_terminal("due", many, "--now", NOW, columns=80)
    assert seen.count(b" 2026-11-02T00:00:00Z ") == 2_000
    seen = on_a_terminal("due", many, "--now", NOW, columns=30)
    assert b" 2026-11-02T00:00:00Z " not in seen


def test_a_table_on_a_terminal_is_as_wide_as_that_and_loses_nothing(many: Path) -> None:
    seen = on_a_terminal("due", many, "--now", NOW)
    assert b"2000 due of 2001 cases" in seen
    assert seen.count(b"C-1") == 2_000


def test_a_standard_output_that_is_closed_is_said_and_a_standard_error_is_done_without() -> None:
    def through_a_shell(closed: str) -> subprocess.CompletedProcess[bytes]:
        words = " ".join(map(shlex.quote, command("show", "sub-status")))
        return subprocess.run(
            ["/bin/sh", "-c", f"{words} {closed}"], capture_output=True, check=False, timeout=60
        )

    done = through_a_shell(">&-")
    assert (done.returncode, done.stderr) == (2, b"casestate: standard output is closed\n")
    done = through_a_shell("2>&-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"remind_customer" in done.stdout
    assert through_a_shell(">&- 2>&-").returncode == 2
