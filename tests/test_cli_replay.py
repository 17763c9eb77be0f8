"""`casestate replay`: what is printed of a past, what is written, and what is said of a log that is bad."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
import threading

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import pandas as pd
import polars as pl
import pytest
import tomli_w

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import casestate

from casestate import Workflow, load_policy, policies
from casestate.replay import replay
from casestate.rows import LogFile
from test_cli import on_a_terminal, run


if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.testing import Result

    from casestate.replay import Summary

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
PAST: Final = EXAMPLES / "past.csv"
MAP: Final = EXAMPLES / "past_sub_status.toml"

COLUMNS: Final = {"case": "case", "at": "ts", "status": "raw"}
STATUSES: Final[Mapping[str, object]] = {
    "Created": {"first": "new", "later": "ignore"},
    "Asked": "pending.customer_input",
    "Working": "in_progress",
    "Done": "closed",
}


def without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Make a module of ours one whose extra is not installed."""
    monkeypatch.delattr(casestate, module, raising=False)
    for name in (f"casestate.{module}", "casestate.frames.actions"):
        if name.startswith(f"casestate.{module}"):
            monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture(autouse=True, params=["as a frame", "by row"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test is run with the extra ``frames`` and without: nobody sees a difference."""
    if request.param == "by row":
        without(monkeypatch, "frames")
    return str(request.param)


@pytest.fixture
def own_map(tmp_path: Path) -> Path:
    path = tmp_path / "map.toml"
    path.write_text(tomli_w.dumps({"columns": COLUMNS, "statuses": STATUSES}), encoding="utf-8")
    return path


class Log:
    """Runs the command on a log of a few lines, as ``log.csv`` or under another name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.map = folder / "map.toml"

    def write(self, *lines: str | bytes, name: str = "log.csv") -> Path:
        path = self.folder / name
        path.write_bytes(
            b"".join((each.encode() if isinstance(each, str) else each) + b"\n" for each in lines)
        )
        return path

    def run(self, *lines: str | bytes, options: tuple[str | Path, ...] = (), name: str = "log.csv") -> Result:
        path = self.write(*lines, name=name)
        return self.on(path, *options)

    def on(self, path: Path, *options: str | Path) -> Result:
        return run("replay", path, "--policy", "sub-status", "--map", self.map, *options)

    def said(self, result: Result) -> list[str]:
        """The lines on standard error, without the folder."""
        return result.stderr.replace(f"{self.folder}/", "").splitlines()


@pytest.fixture
def log(tmp_path: Path, own_map: Path) -> Log:
    assert own_map.parent == tmp_path
    return Log(tmp_path)


HEAD: Final = "case,ts,raw"
GOOD: Final = (
    "A,2026-01-01T09:00:00Z,Created",
    "A,2026-01-02T09:00:00Z,Asked",
    "A,2026-02-12T09:00:00Z,Working",
    "B,2026-01-03T09:00:00Z,Asked",
    "B,2026-03-01T09:00:00.5Z,Done",
)


# --- what is printed -----------------------------------------------------------

PRINTED: Final = """\
What sub-status would have done to log.csv
2026-01-01T09:00:00Z to 2026-03-01T09:00:00.500000Z, watched to 2026-03-01T09:00:00.500000Z

What was read

what                                                     count
───────────────────────────────────────────────────────────────
rows                                                         7
bad rows, left out                                           1
ignored rows, as the map says                                0
duplicate rows                                               1
cases                                                        2
cases first seen in pending.customer_input: not allowed      1
stays                                                        5

How its statuses were read

value    read as                 rows
──────────────────────────────────────
Asked    pending.customer_input     2
Done     closed                     2
Created  new, later ignored         1
Working  in_progress                1

What would have come due

timer                   kind    audience  to      actions
──────────────────────────────────────────────────────────
notify_reopened         notify  support                 0
notify_update_received  notify  support                 0
notify_awaiting         notify  customer                0
close_awaiting          close             closed        0
remind_customer         remind  customer                2
close_pending           close             closed        2
notify_closed           notify  customer                0

Cases that would have closed, and what became of them later

timer           cases  nothing more  worked on again  resolved
───────────────────────────────────────────────────────────────
close_awaiting      0             0                0         0
close_pending       2             0                1         1

A timer would have moved 2 cases.

What other lengths of close_pending would have done

length   closed  seen for 30 d  came back    share  reminders  notifications
─────────────────────────────────────────────────────────────────────────────
7 days        2              2          0    0.0 %          2              0
28 days       2              1          1  100.0 %          2              0
90 days       0              0          0                   2              0

Came back: support had work within 30 days, of those that can be seen so long.

Moves that the policy does not allow, the most frequent first

The policy allows 3 of 3 moves (100.00 %).

Time in state, of the stays that ended

state                   ended    10 %    25 %    half    75 %    90 %  still in it
───────────────────────────────────────────────────────────────────────────────────
new                         1   1.0 d   1.0 d   1.0 d   1.0 d   1.0 d            0
in_progress                 0                                                    1
pending.customer_input      2  41.0 d  41.0 d  41.0 d  57.0 d  57.0 d            0
closed                      0                                                    1

How many had a reply after so many days, those still waiting counted right

state                   stays  replied    1 d    3 d    7 d   14 d   28 d
──────────────────────────────────────────────────────────────────────────
pending.customer_input      2        1  0.0 %  0.0 %  0.0 %  0.0 %  0.0 %
"""


def test_the_summary_is_tables_for_people(log: Log) -> None:
    result = log.run(HEAD, *GOOD, GOOD[4], "C", options=("--what-if", "close_pending=7,28,90"))
    assert result.stdout.replace(f"{log.folder}/", "") == PRINTED
    assert log.said(result) == [
        "log.csv:8: has 1 cells where the first line has 3",
        "log.csv: 1 of 7 rows are bad",
    ]
    assert result.exit_code == 1


@pytest.mark.parametrize("policy", ["sub-status", "open-resolved"])
def test_the_summary_as_json_is_that_of_the_library(policy: str) -> None:
    mapping = EXAMPLES / f"past_{policy.replace('-', '_')}.toml"
    options = ("--what-if", "close_pending=7, 14", "--what-if", "close_pending=20-22", "--format", "json")
    result = run("replay", PAST, "--policy", policy, "--map", mapping, *options)
    with PAST.open(encoding="utf-8", newline="") as file:
        found = replay(
            csv.DictReader(file),
            Workflow(load_policy(policy)),
            mapping=mapping,
            lengths={"close_pending": [7, 14, 20, 21, 22]},
        )
    assert json.loads(result.stdout) == json.loads(json.dumps(found.summary.to_dict()))
    assert (result.exit_code, result.stderr) == (0, "")


def test_the_horizon_and_what_restarts_a_stay_are_options(log: Log) -> None:
    options = ("--horizon", "2026-05-01T00:00:00Z", "--restart", "touch", "--format", "json")
    summary = json.loads(log.run(HEAD, *GOOD, "B,2026-01-20T09:00:00Z,Asked", options=options).stdout)
    assert (summary["horizon"], summary["restart"]) == ("2026-05-01T00:00:00Z", "touch")
    assert (summary["stays"], summary["out_of_order_rows"]) == (6, 1)
    assert {timer["timer"]: timer["actions"] for timer in summary["timers"]}["notify_closed"] == 1


def test_a_log_of_events_is_told_with_what_the_policy_refuses(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    rows = [
        {"case": "A", "at": "2026-01-01T00:00:00Z", "event": "open"},
        {"case": "A", "at": "2026-01-02T00:00:00Z", "event": "start", "by": "agent"},
        {"case": "A", "at": "2026-01-03T00:00:00Z", "event": "confirm", "by": "customer"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = run("replay", path, "--policy", "sub-status")
    assert "What it tells of\n\nvalue    rows\n" in result.stdout
    assert (
        "Events that the policy refuses\n\nstate        event    by        rows\n"
        "─────────────────────────────────────\nin_progress  confirm  customer     1\n"
    ) in result.stdout
    assert (result.exit_code, result.stderr) == (0, "")


def test_cases_with_their_histories_are_a_log_too(tmp_path: Path) -> None:
    desk = Workflow(policies.SUB_STATUS)
    case = desk.open("C-1", at=datetime.fromisoformat("2026-01-01T00:00:00Z"))
    case = desk.apply(
        case,
        "pend",
        by="agent",
        sub_status="customer_input",
        at=datetime.fromisoformat("2026-01-02T00:00:00Z"),
    )
    case = desk.apply(case, "comment", by="customer", at=datetime.fromisoformat("2026-01-20T00:00:00Z"))
    kept = case.to_dict()
    kept["case_id"] = kept.pop("id")
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps(kept) + "\n" + json.dumps({**kept, "history": 3}) + "\n", encoding="utf-8")
    result = run("replay", path, "--policy", "sub-status", "--format", "json")
    assert json.loads(result.stdout)["stays"] == 3
    assert result.stderr.splitlines() == [
        f"{path}:2: history: must be a list, not 3",
        f"{path}: 1 of 2 rows are bad",
    ]
    status_log = tmp_path / "map.toml"
    status_log.write_text("[columns]\nstatus = 'status'\n", encoding="utf-8")
    result = run("replay", path, "--policy", "sub-status", "--map", status_log, "--format", "json")
    assert json.loads(result.stdout)["stays"] == 1
    assert result.exit_code == 0


# --- the files that are written ------------------------------------------------


def expected_actions() -> list[dict[str, object]]:
    with PAST.open(encoding="utf-8", newline="") as file:
        found = replay(csv.DictReader(file), Workflow(policies.SUB_STATUS), mapping=MAP)
    return [action.to_dict() for action in found.actions]


def test_every_action_is_written_as_json_lines_or_csv(tmp_path: Path) -> None:
    expected = expected_actions()
    assert len(expected) > 700
    lines, table = tmp_path / "actions.jsonl", tmp_path / "actions.csv"
    for path in (lines, table):
        result = run("replay", PAST, "--policy", "sub-status", "--map", MAP, "--actions", path)
        assert (result.exit_code, result.stderr) == (0, "")
    assert [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()] == expected
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {name: "" if value is None else str(value) for name, value in action.items()} for action in expected
    ]


def test_a_file_of_actions_with_another_suffix_is_wrong_usage(tmp_path: Path) -> None:
    result = run("replay", tmp_path / "nowhere.csv", "--policy", "sub-status", "--actions", "actions.txt")
    assert result.exit_code == 2
    assert "'actions.txt' must end in .jsonl, .csv, .parquet" in result.stderr
    assert "nowhere" not in result.stderr


def test_a_run_that_fails_leaves_what_was_written_before(log: Log) -> None:
    kept = log.write("kept", name="actions.csv")
    result = log.run(HEAD, "A,2026-01-01T09:00:00Z,Lost", options=("--actions", kept))
    assert result.exit_code == 2
    assert kept.read_text(encoding="utf-8") == "kept\n"
    assert sorted(path.name for path in log.folder.iterdir()) == ["actions.csv", "log.csv", "map.toml"]
    link = log.folder / "link.csv"
    link.symlink_to(kept)
    assert log.run(HEAD, *GOOD, options=("--actions", link)).exit_code == 0
    assert link.is_symlink()
    assert kept.read_text(encoding="utf-8").startswith("case_id,stay,timer,kind,")


def test_a_place_that_cannot_be_written_to_is_told_before_the_log_is_read(log: Log) -> None:
    result = log.on(log.folder / "nowhere.csv", "--actions", log.folder / "no" / "actions.csv")
    assert log.said(result) == ["no/actions.csv: cannot be written: No such file or directory"]
    assert result.exit_code == 2


def test_what_is_no_file_is_written_to_and_not_replaced(log: Log) -> None:
    pipe = log.folder / "actions.csv"
    os.mkfifo(pipe)
    told: list[str] = []
    reader = threading.Thread(target=lambda: told.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    assert log.run(HEAD, *GOOD, options=("--actions", pipe)).exit_code == 0
    reader.join(10)
    assert pipe.is_fifo()
    assert [len(text.splitlines()) for text in told] == [5]
    folder = log.folder / "folder.csv"
    folder.mkdir()
    result = log.run(HEAD, *GOOD, options=("--actions", folder))
    assert log.said(result) == ["folder.csv: cannot be written: Is a directory"]
    assert result.exit_code == 2


def test_without_the_extra_a_report_is_refused_before_the_log_is_read(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "report")
    result = log.on(log.folder / "nowhere.csv", "--report", log.folder / "report.html")
    assert log.said(result) == [
        "--report needs the report extra: pip install 'casestate[report]' (casestate.report is not there)"
    ]
    assert result.exit_code == 2


# --- bad rows --------------------------------------------------------------------


def test_bad_rows_are_named_by_line_and_column_and_every_good_one_counts(log: Log) -> None:
    result = log.run(
        "case,ts,raw,note",
        'A,2026-01-01T09:00:00Z,Created,"two',
        'lines"',
        "",
        "A,2026-02-30T09:00:00Z,Asked,",
        "A,2026-01-02T09:00:00Z,Asked",
        ",soon,,",
        'A,2026-01-02T09:00:00Z,Asked,"not closed',
        b"A,2026-01-02T09:00:00Z,Asked,\xff",
        "A,2026-01-03T09:00:00Z,Asked,",
        options=("--format", "json"),
    )
    assert log.said(result) == [
        "log.csv:5: ts: '2026-02-30T09:00:00Z' is no instant such as 2026-03-01T12:00:00Z",
        "log.csv:6: has 3 cells where the first line has 4",
        "log.csv:7: case: is missing",
        "log.csv:7: ts: 'soon' is no instant such as 2026-03-01T12:00:00Z",
        "log.csv:7: raw: is missing",
        "log.csv:8: is not CSV: unexpected end of data",
        "log.csv:9: is not UTF-8",
        "log.csv: 5 of 7 rows are bad",
        "note: map.toml: the log does not have 'Working', 'Done'",
    ]
    summary = json.loads(result.stdout)
    assert (summary["rows"], summary["bad_rows"], summary["cases"], summary["stays"]) == (7, 5, 1, 2)
    assert result.exit_code == 1


def test_lines_of_json_that_are_bad_are_named_too(log: Log) -> None:
    result = log.run(
        '{"case": "A", "ts": "2026-01-01T09:00:00Z", "raw": "Created", "other": {"deep": []}}',
        "",
        '{"case": "A", "ts": "2026-01-02T09:00:00Z"',
        "[]",
        '{"case": "A", "ts": "2026-01-02T09:00:00Z"}',
        '{"case": "A", "ts": 5, "raw": 1e999}',
        '{"case": "A", "ts": "2026-01-03T09:00:00Z", "raw": "Asked"}',
        name="log.jsonl",
        options=("--format", "json"),
    )
    said = log.said(result)
    assert said[0].startswith("log.jsonl:3: is no JSON object: ")
    assert said[1].startswith("log.jsonl:4: is no JSON object: ")
    assert said[2] == "log.jsonl:5: raw: is missing"
    assert said[3].startswith("log.jsonl:6: ")
    assert said[-2:] == [
        "log.jsonl: 4 of 6 rows are bad",
        "note: map.toml: the log does not have 'Working', 'Done'",
    ]
    assert json.loads(result.stdout)["stays"] == 2


def test_a_row_of_json_may_leave_out_what_another_has(log: Log) -> None:
    log.map.write_text(
        tomli_w.dumps({"columns": {**COLUMNS, "sub_status": "why", "order": "n"}, "statuses": STATUSES}),
        encoding="utf-8",
    )
    result = log.run(
        "not JSON",
        '{"case": "A", "ts": "2026-01-01T09:00:00Z", "raw": "Created", "n": 1}',
        '{"case": "A", "ts": "2026-01-01T09:00:00Z", "raw": "Asked", "why": "x", "n": 2}',
        name="log.jsonl",
        options=("--input", "jsonl", "--format", "json"),
    )
    assert json.loads(result.stdout)["stays"] == 2
    assert result.exit_code == 1


def test_a_log_none_of_whose_rows_can_be_read_is_refused(log: Log) -> None:
    result = log.run(HEAD, "A,soon,Asked")
    assert log.said(result) == [
        "log.csv:2: ts: 'soon' is no instant such as 2026-03-01T12:00:00Z",
        "log.csv: 1 of 1 rows are bad",
        "log.csv: none of its 1 row can be read: there is nothing to replay",
    ]
    assert (result.exit_code, result.stdout) == (2, "")
    result = log.run("{", "{}}", name="log.jsonl")
    assert log.said(result)[-1] == "log.jsonl: none of its 2 rows can be read: there is nothing to replay"


# --- instants without a zone -----------------------------------------------------


def test_a_few_rows_without_a_zone_are_named(log: Log) -> None:
    result = log.run(HEAD, *GOOD, "C,2026-01-01 09:00,Asked", ",2026-01-01 09:00,Asked")
    naive = "ts: 2026-01-01 09:00:00 has no time zone: say which one the log is of (zone=, --zone)"
    assert log.said(result) == [
        f"log.csv:7: {naive}",
        "log.csv:8: case: is missing",
        f"log.csv:8: {naive}",
        "log.csv: 2 of 7 rows are bad",
    ]
    assert result.exit_code == 1


def test_of_many_rows_without_a_zone_the_first_are_named_and_the_rest_counted(log: Log) -> None:
    result = log.run(HEAD, *[f"C,2026-01-01 09:{minute}:00,Asked" for minute in range(10, 60)])
    assert [line.split(": ")[0] for line in log.said(result)] == [
        *("log.csv:2", "log.csv:3", "log.csv:4"),
        *("log.csv", "log.csv", "log.csv"),
    ]
    assert (
        log.said(result)[3] == "log.csv: 47 more rows have an instant without a time zone: --zone says which"
    )
    assert result.exit_code == 2


def test_a_zone_reads_them(log: Log) -> None:
    naive = [row.replace("Z", "") for row in GOOD]
    result = log.run(HEAD, *naive, "B,2026-03-29 02:30,Done", options=("--zone", "Europe/Rome"))
    counts = [re.split(" {2,}", line) for line in result.stdout.splitlines()]
    assert ["instants without a zone, read in Europe/Rome", "6"] in counts
    assert ["of them at a time that is skipped, read as the end of the gap", "1"] in counts
    assert "of them in an hour that comes twice" not in result.stdout
    assert "watched to 2026-03-29T01:00:00Z" in result.stdout
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_zone_that_is_none_is_told_where_it_was_given(log: Log) -> None:
    result = log.run(HEAD, *GOOD, options=("--zone", "Mars"))
    assert log.said(result) == ["--zone: no time zone 'Mars'"]
    assert result.exit_code == 2
    log.map.write_text("zone = 'Mars'\n", encoding="utf-8")
    assert log.said(log.run(HEAD, *GOOD)) == ["map.toml: zone: no time zone 'Mars'"]


# --- a log, a map or an option that is wrong ---------------------------------------


def test_values_that_are_not_mapped_are_all_listed_with_their_counts(log: Log) -> None:
    result = log.run(HEAD, *GOOD, *["A,2026-02-12T09:00:00Z,Lost"] * 2, "A,2026-02-12T09:00:00Z,Found")
    said = log.said(result)
    assert said[:2] == [
        "log.csv: statuses.Lost: is not mapped, and stands in 2 rows",
        "log.csv: statuses.Found: is not mapped, and stands in 1 row",
    ]
    assert said[2].startswith(
        "log.csv: statuses: map each of these to a state (there are: new, in_progress, "
    )
    assert (len(said), result.exit_code, result.stdout) == (3, 2, "")


def test_values_that_are_not_mapped_do_not_hide_bad_rows(log: Log) -> None:
    said = log.said(log.run(HEAD, *GOOD, "A,soon,Done", "A,2026-02-12T09:00:00Z,Lost"))
    assert [line.split(": ")[0] for line in said] == ["log.csv:7", *["log.csv"] * 3]
    assert said[1] == "log.csv: 1 of 7 rows are bad"


def test_columns_that_are_missing_are_all_named(log: Log) -> None:
    there = "(there are: case, time, raw); say in the map which one it is"
    result = log.run("case,time,raw", options=("--input", "csv"))
    assert log.said(result) == [f"log.csv: columns.at: the log has no column 'ts' {there}"]
    path = log.write("case,time,raw")
    result = run("replay", path, "--policy", "sub-status")
    assert log.said(result) == [
        f"log.csv: columns.at: the log has no column 'at' {there}",
        f"log.csv: columns.status: the log has no column 'status' {there}",
        "log.csv: --map FILE says how a log is written",
    ]
    assert result.exit_code == 2
    result = log.run('{"case": "A"}', name="log.jsonl")
    assert log.said(result)[0].startswith(
        "log.jsonl: columns.at: the log has no column 'ts' (there are: case)"
    )
    assert result.exit_code == 2


def test_semicolons_between_cells_are_told(log: Log) -> None:
    said = log.said(log.run("case;ts;raw"))
    assert said[0].endswith("; cells are separated by commas, not semicolons")
    assert [line.count("semicolons") for line in said] == [1, 0, 0]


def test_a_column_that_is_read_and_there_twice_is_refused_and_no_other(log: Log) -> None:
    result = log.run("case,ts,raw,raw")
    assert log.said(result) == ["log.csv: the column raw is there twice"]
    assert result.exit_code == 2
    result = log.run("case,ts,raw,note,note", *(f"{row},," for row in GOOD))
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize("content", [(), (HEAD,), ("", "")])
def test_an_empty_log_is_refused(log: Log, content: tuple[str, ...]) -> None:
    result = log.run(*content)
    assert log.said(result) == ["log.csv: has no rows: there is nothing to replay"]
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_compressed_log_is_told(log: Log) -> None:
    result = log.run(b"\x1f\x8b\x08\x00", name="log.csv.gz")
    assert log.said(result) == ["log.csv.gz: is compressed: unpack it first (gzip -dc FILE | casestate … -)"]
    assert result.exit_code == 2


def test_a_map_that_is_wrong_is_told_with_its_name(log: Log) -> None:
    log.map.write_text("[statuses]\nAsked = 'pendin'\n[colums]\n", encoding="utf-8")
    result = log.run(HEAD, *GOOD)
    assert log.said(result) == [
        "map.toml: colums: is not known; did you mean 'columns'? (there are: columns, statuses, events, zone)"
    ]
    log.map.write_text("[statuses]\nAsked = 'pendin'\nDone = 'new'\nCreated = 'newer'\n", encoding="utf-8")
    said = log.said(log.run(HEAD, *GOOD))
    assert [line.split(":")[:2] for line in said] == [
        ["map.toml", " statuses.Asked"],
        ["map.toml", " statuses.Created"],
    ]
    log.map.unlink()
    result = log.run(HEAD, *GOOD)
    assert log.said(result) == ["map.toml: cannot be read: No such file or directory"]
    assert result.exit_code == 2


@pytest.mark.parametrize(
    "value", ["close_pending", "close_pending=", "=7", "close_pending=7;14", "close_pending=-7", "x=seven"]
)
def test_lengths_that_are_none_are_wrong_usage(value: str) -> None:
    result = run("replay", "nowhere.csv", "--policy", "sub-status", "--what-if", value)
    assert result.exit_code == 2
    assert f"{value!r} is no timer with numbers of days, such as close_pending=7,14,21-28" in result.stderr


def test_lengths_are_not_without_number() -> None:
    for value in ("close_pending=1-1001", "close_pending=1-1000,7", "close_pending=1-9999999"):
        result = run("replay", "nowhere.csv", "--policy", "sub-status", "--what-if", value)
        assert result.exit_code == 2
        assert "more than 1000 lengths of close_pending" in result.stderr


def test_lengths_that_cannot_be_are_told_before_the_log_is_read() -> None:
    result = run("replay", "nowhere.csv", "--policy", "sub-status", "--what-if", "close=7")
    assert result.stderr.startswith("--what-if: timers.close: no timer of sub-status")
    assert result.exit_code == 2


def test_a_log_that_is_not_there_is_told() -> None:
    result = run("replay", "nowhere.csv", "--policy", "sub-status")
    assert (result.exit_code, result.stderr) == (
        2,
        "nowhere.csv: cannot be read: No such file or directory\n",
    )


# --- how much is shown ---------------------------------------------------------------


def test_what_a_length_leaves_no_time_for_is_told(log: Log) -> None:
    printed = log.run(HEAD, *GOOD, options=("--what-if", "close_pending=3,5,7,28")).stdout
    assert (
        "\nUp to 5 days, close_pending moves a case before remind_customer: the policy must do without.\n"
    ) in printed
    assert printed.count("must do without") == 1


def test_cases_of_which_nothing_is_left_are_counted(log: Log) -> None:
    log.map.write_text(tomli_w.dumps({"columns": COLUMNS, "statuses": {**STATUSES, "Spam": "ignore"}}))
    printed = log.run(HEAD, *GOOD, "S,2026-01-01T00:00:00Z,Spam").stdout
    assert "\ncases                                                        2\n" in printed
    assert "\ncases all of whose rows are ignored                          1\n" in printed


def test_of_many_moves_that_are_not_allowed_the_most_frequent_are_shown(tmp_path: Path) -> None:
    states = [state for state in policies.SUB_STATUS.states if state != "closed"]
    rows = [
        line
        for number, state in enumerate(states[:8] + states[:3])
        for line in (
            {"case": str(number), "at": "2026-01-01T00:00:00Z", "status": "closed"},
            {"case": str(number), "at": f"2026-01-02T00:00:{number:02}Z", "status": state},
        )
    ]
    assert len(states) == 9
    rows += [
        {"case": "x", "at": f"2026-01-0{day}T00:00:00Z", "status": state}
        for day, state in enumerate(
            ("reopened", "update_received", "reopened", "new", "update_received", "new"), 1
        )
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    printed = run("replay", path, "--policy", "sub-status").stdout
    part = printed.partition("Moves that the policy")[2].partition("Time in state")[0].splitlines()
    assert len(part) == 4 + 10 + 1 + 2 + 1
    assert [int(line.split()[-1]) for line in part[4:14]] == [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]
    assert part[-3:-1] == [
        "The policy allows 0 of 16 moves (0.00 %).",
        "3 more pairs that it does not allow: 3 moves.",
    ]


def test_a_log_without_a_move_or_a_known_instant_is_told_as_it_is(log: Log) -> None:
    log.map.write_text(tomli_w.dumps({"columns": COLUMNS, "statuses": {"Spam": "ignore"}}), encoding="utf-8")
    printed = log.run(HEAD, "A,2026-01-01T00:00:00Z,Spam").stdout
    assert "The policy allows 0 of 0 moves.\n" in printed
    assert "What it tells of\n\nvalue  rows\n" in printed
    assert "How many had a reply" not in printed
    assert "A timer would have moved" not in printed


def test_on_a_terminal_sentences_are_broken_between_words_and_a_bar_is_shown(log: Log) -> None:
    path = log.write(HEAD, *GOOD, "A", *["A,2026-03-12T09:00:00Z,Working"] * 9)
    seen = on_a_terminal("replay", path, "--policy", "sub-status", "--map", log.map, columns=60).decode()
    assert " rows " in seen
    assert "A timer would have moved 2 cases." in seen
    assert "A timer would have moved 2 cases. 1 action of those above\r\nbelong" in seen


# --- Parquet ---------------------------------------------------------------------


def parquet_of(folder: Path, **changed: pl.Expr) -> Path:
    path = folder / "past.parquet"
    pl.read_csv(PAST).with_columns(**changed).write_parquet(path)
    return path


def printed(result: Result) -> str:
    return result.stdout.partition("\n")[2]


def test_a_log_in_parquet_is_the_same_log(tmp_path: Path, way: str) -> None:
    path = parquet_of(tmp_path, ts=pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC"))
    result = run("replay", path, "--policy", "sub-status", "--map", MAP)
    if way == "by row":
        assert result.exit_code == 2
        assert result.stderr == (
            f"{path}: reading Parquet needs the frames extra: pip install 'casestate[frames]' "
            "(casestate.frames is not there)\n"
        )
        return
    assert printed(result) == printed(run("replay", PAST, "--policy", "sub-status", "--map", MAP))
    again = run("replay", "-", "--policy", "sub-status", "--map", MAP, stdin=path.read_bytes())
    assert printed(again) == printed(result)


def test_a_row_of_parquet_is_named_by_its_number(tmp_path: Path, way: str) -> None:
    if way == "by row":
        return
    path = parquet_of(tmp_path, ts=pl.when(pl.col("case") == "T-1003").then(None).otherwise("ts"))
    result = run("replay", path, "--policy", "sub-status", "--map", MAP)
    lines = PAST.read_text(encoding="utf-8").splitlines()[1:]
    numbers = [number for number, line in enumerate(lines, 1) if line.startswith("T-1003,")]
    assert result.stderr.splitlines()[:-1] == [f"{path}:{number}: ts: is missing" for number in numbers]
    assert result.exit_code == 1


def test_events_in_parquet_are_read_row_by_row(tmp_path: Path, way: str) -> None:
    if way == "by row":
        return
    path = tmp_path / "events.parquet"
    events = ["open", "start", "confirm", "respond"]
    at = [f"2026-01-0{day}T00:00:00Z" for day in (1, 2, 3)] + ["soon"]
    pl.DataFrame({"case": ["A"] * 4, "at": at, "event": events, "by": ["agent"] * 4}).write_parquet(path)
    result = run("replay", path, "--policy", "sub-status")
    assert "Events that the policy refuses" in result.stdout
    assert result.stderr.splitlines() == [
        f"{path}:4: at: 'soon' is no instant such as 2026-03-01T12:00:00Z",
        f"{path}: 1 of 4 rows are bad",
    ]


def test_what_is_no_parquet_or_lacks_a_column_is_told(tmp_path: Path, way: str) -> None:
    if way == "by row":
        return
    path = tmp_path / "log.parquet"
    path.write_bytes(b"PAR1 and nothing more")
    result = run("replay", path, "--policy", "sub-status", "--map", MAP)
    assert result.stderr.startswith(f"{path}: cannot be read: ")
    assert result.exit_code == 2
    path = parquet_of(tmp_path)
    result = run("replay", path, "--policy", "sub-status")
    assert "the log has no column 'at'" in result.stderr
    assert result.exit_code == 2
    assert run("replay", path, "--policy", "sub-status", "--input", "csv").exit_code == 2


def test_every_action_is_written_as_parquet(tmp_path: Path, way: str) -> None:
    path = tmp_path / "actions.parquet"
    result = run("replay", PAST, "--policy", "sub-status", "--map", MAP, "--actions", path)
    if way == "by row":
        assert result.stderr == (
            f"{path}: writing Parquet needs the frames extra: pip install 'casestate[frames]' "
            "(casestate.frames.actions is not there)\n"
        )
        assert result.exit_code == 2
        assert list(tmp_path.iterdir()) == []
        return
    assert result.exit_code == 0
    with PAST.open(encoding="utf-8", newline="") as file:
        found = replay(csv.DictReader(file), Workflow(policies.SUB_STATUS), mapping=MAP)
    assert pl.read_parquet(path).to_dicts() == [attrs.asdict(action) for action in found.actions]
    quoted = tmp_path / "quoted.csv"
    quoted.write_text(PAST.read_text(encoding="utf-8") + "\n", encoding="utf-8")  # a blank line: row by row
    result = run("replay", quoted, "--policy", "sub-status", "--map", MAP, "--actions", path)
    assert pl.read_parquet(path).to_dicts() == [attrs.asdict(action) for action in found.actions]


def test_a_disk_that_is_full_is_told_of_parquet_too(
    log: Log, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "by row":
        return

    def full(*_: object, **__: object) -> None:
        raise pl.exceptions.ComputeError("parquet: No space left on device\nand more")

    monkeypatch.setattr(pl.LazyFrame, "sink_parquet", full)
    result = log.run(HEAD, *GOOD, options=("--actions", log.folder / "actions.parquet"))
    assert log.said(result) == ["actions.parquet: cannot be written: parquet: No space left on device"]
    assert (result.exit_code, result.stdout) == (2, "")
    assert sorted(path.name for path in log.folder.iterdir()) == ["log.csv", "map.toml"]


# --- with the extra and without -----------------------------------------------------

CELLS: Final = st.sampled_from(
    [
        *("A", "B", " A ", "", "Asked", "Working", "Done", "Created", "Lost", "7", "-3", "1.5"),
        *(
            "2026-01-01T09:00:00Z",
            "2026-02-03T09:00:00.25+01:00",
            "2026-03-04 09:00",
            "20260305T0900Z",
            "soon",
        ),
        *('"A"', '"two\nlines"', '"say ""so"""', 'mid"dle', '"not closed', '""', "ä", "\u00a0", "null"),
    ]
)
KINDS: Final = (
    st.sampled_from(["A", "B", "C"]),
    st.sampled_from(["2026-01-01T09:00:00Z", "2026-02-03T09:00:00.25+01:00", "2026-03-04 09:00"]),
    st.sampled_from(["Asked", "Working", "Done", "Created"]),
    st.sampled_from(["1", "2", "3"]),
)
ROWS: Final = st.one_of(
    st.tuples(*KINDS),
    st.tuples(*KINDS),
    st.tuples(*(st.one_of(kind, kind, CELLS) for kind in KINDS)),
    st.lists(CELLS, max_size=5).map(tuple),
)
ENDS: Final = st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n", ""])
"""How a file may end its lines; none after the last, in the last case."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROWS, max_size=8), end=ENDS, zone=st.booleans(), form=st.sampled_from(["csv", "jsonl"]))
def test_both_ways_give_the_same_of_any_log(
    log: Log, way: str, rows: list[tuple[str, ...]], end: str, form: str, *, zone: bool
) -> None:
    if way == "by row":
        return
    names = ("case", "ts", "raw", "seq")
    lines = (
        [",".join(names), *map(",".join, rows)]
        if form == "csv"
        else [json.dumps(dict(zip(names, row, strict=False))).replace('"null"', "null") for row in rows]
    )
    path = log.folder / f"log.{form}"
    path.write_bytes(((end or "\n").join(lines) + end).encode())
    mapping = {"columns": {**COLUMNS, "order": "seq"}, "statuses": STATUSES}
    log.map.write_text(tomli_w.dumps(mapping), encoding="utf-8")
    options: list[str | Path] = ["--what-if", "close_pending=7,28", "--actions", log.folder / "actions.csv"]
    options += ["--input", form, *(["--zone", "Europe/Rome"] if zone else [])]

    def outcome() -> tuple[object, ...]:
        result = log.on(path, *options)
        kept = log.folder / "actions.csv"
        actions = sorted(kept.read_text(encoding="utf-8").splitlines()) if kept.exists() else []
        kept.unlink(missing_ok=True)
        return result.exit_code, result.stdout, result.stderr, actions

    as_frame = outcome()
    with pytest.MonkeyPatch.context() as patch:
        without(patch, "frames")
        assert outcome() == as_frame


@pytest.mark.parametrize("form", ["plain.csv", "quoted.csv", "lines.jsonl"])
def test_a_file_that_is_as_it_should_be_is_read_as_a_frame(
    log: Log, way: str, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    read: list[str] = []
    by_row = LogFile.replay_rows

    def replay_rows(file: LogFile, *asked: Any) -> Summary:  # noqa: ANN401 - handed on
        read.append(file.name)
        return by_row(file, *asked)

    monkeypatch.setattr(LogFile, "replay_rows", replay_rows)
    cells = [row.split(",") for row in GOOD]
    lines = {
        "plain.csv": [HEAD, *GOOD],
        "quoted.csv": [HEAD, *(f'{case},{at},"{raw}"' for case, at, raw in cells)],
        "lines.jsonl": [json.dumps(dict(zip(HEAD.split(","), row, strict=True))) for row in cells],
    }[form]
    assert log.run(*lines, name=form).exit_code == 0
    assert len(read) == (way == "by row")


# --- the report ------------------------------------------------------------------


def test_a_report_is_written_of_what_was_printed(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    result = run("replay", PAST, "--policy", "sub-status", "--map", MAP, "--report", path)
    assert (result.exit_code, result.stderr) == (0, "")
    page = path.read_text(encoding="utf-8")
    assert page.lstrip().startswith("<!DOCTYPE html>")
    assert "<title>What sub-status would have done to past.csv</title>" in page


@pytest.mark.parametrize("option", ["--actions", "--report"])
def test_what_is_read_is_never_written_over(log: Log, option: str) -> None:
    path = log.write(HEAD, *GOOD)
    before = path.read_bytes(), log.map.read_bytes()
    link = log.folder / "link.csv"
    link.symlink_to(path)
    for place, name in ((path, "LOG"), (link, "LOG"), (log.map, "--map")):
        if option == "--actions" and place == log.map:
            continue  # its suffix is refused already
        result = log.on(path, option, place)
        assert result.exit_code == 2
        assert f"{option} {place} is the same file as {name}" in result.stderr
    assert (path.read_bytes(), log.map.read_bytes()) == before


def test_two_outputs_need_two_files(log: Log) -> None:
    out = log.folder / "out.csv"
    result = log.run(HEAD, *GOOD, options=("--actions", out, "--report", out))
    assert result.exit_code == 2
    assert f"--report {out} is the same file as --actions" in result.stderr
    assert not out.exists()


def test_a_device_may_take_both_outputs(log: Log) -> None:
    result = log.run(HEAD, *GOOD, options=("--report", os.devnull))
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_horizon_before_the_end_of_the_log_is_noted(log: Log) -> None:
    result = log.run(HEAD, *GOOD, options=("--horizon", "2026-01-01T10:00:00Z"))
    assert result.exit_code == 0
    (note,) = log.said(result)
    assert note.startswith("note: --horizon is before the last instant of log.csv, 2026-")


def test_lines_of_standard_input_keep_their_numbers_after_blank_ones(log: Log) -> None:
    result = run(
        "replay", "-", "--policy", "sub-status", "--map", log.map, stdin="\n\ncase,ts,raw\nA,noon,Created\n"
    )
    assert result.stderr.startswith("<stdin>:4: ts: 'noon' is no instant")


def test_thousands_of_bad_rows_are_all_named(log: Log) -> None:
    result = log.run(HEAD, *GOOD, *[f"B{number},noon,Created" for number in range(1_200)])
    assert result.exit_code == 1
    said = log.said(result)
    assert len(said) == 1_201
    assert said[-1] == f"log.csv: 1200 of {1_200 + len(GOOD)} rows are bad"


def test_a_parquet_file_that_polars_cannot_read_is_said_to_be_one(log: Log, way: str) -> None:
    if way == "by row":
        return  # without the extra no Parquet is read at all
    path = log.folder / "zones.parquet"
    at = pd.to_datetime(["2026-01-01T00:00:00+05:30"])
    pd.DataFrame({"case": ["A"], "ts": at, "raw": ["Created"]}).to_parquet(path)
    result = log.on(path)
    assert result.exit_code == 2
    assert "zones.parquet: cannot be read: " in result.stderr
