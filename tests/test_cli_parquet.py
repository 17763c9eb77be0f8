"""Parquet on the command line: the output that cases get as JSON Lines, and what is wrong with a file."""

from __future__ import annotations

import json
import random
import subprocess
import sys

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl
import pytest
import tomli_w

from hypothesis import HealthCheck, given, settings

from frame_rows import SCHEMA, TWISTS, Row, micros, polars_frame, situations
from test_cli import NOW, run


if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from casestate import Policy

AT: Final = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)


def row(**fields: object) -> Row:
    return {
        **dict.fromkeys(SCHEMA),
        "case_id": "C-1",
        "status": "reopened",
        "entered_at": AT,
        "stay": 1,
        **fields,
    }


def frame(*rows: Row) -> pl.DataFrame:
    return polars_frame([{**given, "mark": None} for given in rows]).drop("mark")


def written(folder: Path, *rows: Row, name: str = "cases") -> tuple[Path, Path]:
    """The same cases as Parquet and as JSON Lines."""
    parquet, lines = folder / f"{name}.parquet", folder / f"{name}.jsonl"
    frame(*rows).write_parquet(parquet)
    lines.write_text(
        "".join(json.dumps(cells, default=datetime.isoformat) + "\n" for cells in rows), encoding="utf-8"
    )
    return parquet, lines


def told(result: Result, file: Path) -> tuple[int, str, str]:
    return result.exit_code, result.stdout, result.stderr.replace(str(file), "FILE")


GOOD: Final = (
    row(case_id="C-1"),
    row(case_id="C-2", status="pending", sub_status="customer_input", stay=3),
    row(case_id="C-3", status="pending_customer", policy="open-resolved", entered_at=AT - timedelta(days=30)),
    row(case_id="C-4", status="new"),
    row(case_id="C-5", status="resolved", policy="open-resolved", settled=None),
    row(case_id="C-6", policy="own"),
)


# --- the same as JSON Lines ------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("due",),
        ("due", "--format", "jsonl"),
        ("due", "--policy", "open-resolved", "--format", "csv"),
        ("forecast",),
        ("explain", "--id", "C-2"),
    ],
)
@pytest.mark.parametrize("rows", [GOOD, (*GOOD, *({**GOOD[1], **twist(GOOD[1])} for twist in TWISTS))])
def test_parquet_says_what_json_lines_say(
    tmp_path: Path, arguments: tuple[str, ...], rows: tuple[Row, ...]
) -> None:
    parquet, lines = written(tmp_path, *rows)
    name, *options = arguments
    results = [told(run(name, file, *options, now=True), file) for file in (parquet, lines)]
    assert results[0] == results[1]
    assert results[0][1]


@given(situation=situations(most=12))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_is_in_it(tmp_path: Path, situation: tuple[Policy, list[Row], datetime]) -> None:
    policy, rows, now = situation
    cells = [{name: value for name, value in given.items() if name != "mark"} for given in rows]
    for number, one in enumerate(cells):
        one["case_id"] = one["case_id"] and f"{one['case_id']}-{number}"
    parquet, lines = written(tmp_path, *cells)
    file = tmp_path / "policy.toml"
    file.write_text(tomli_w.dumps(policy.to_dict()), encoding="utf-8")
    arguments = ("--policy", file, "--now", now.isoformat(), "--format", "jsonl")
    results = [told(run("due", path, *arguments), path) for path in (parquet, lines)]
    assert results[0] == results[1]


def test_whole_numbers_are_microseconds(tmp_path: Path) -> None:
    parquet, lines = written(tmp_path, *GOOD)
    frame(*GOOD).with_columns(pl.col("entered_at", "settled_at").dt.timestamp("us")).write_parquet(parquet)
    assert told(run("due", parquet, now=True), parquet) == told(run("due", lines, now=True), lines)


def test_an_instant_beyond_time_is_a_bad_row(tmp_path: Path) -> None:
    parquet, _ = written(tmp_path, GOOD[0], GOOD[3])
    beyond = frame(GOOD[0], GOOD[3]).with_columns(
        entered_at=pl.Series([micros(AT), 10**18]).cast(pl.Datetime("us", "UTC"))
    )
    beyond.write_parquet(parquet)
    result = run("due", parquet, "--format", "csv", now=True)
    assert result.exit_code == 1
    assert f"{parquet}:2: entered_at: " in result.stderr
    assert result.stdout.splitlines()[1].startswith("C-1,")


def test_a_history_is_read_by_explain(tmp_path: Path) -> None:
    changes = [
        {"at": AT, "event": "remind_customer", "by": "system", "actor": None, "stay": 1}
        | {"from_state": "pending.customer_input", "to_state": "pending.customer_input", "detail": ["x"]}
    ]
    cells = {
        "history": changes,
        **row(status="pending", sub_status="customer_input", settled="remind_customer"),
    }
    cells["settled_at"] = AT
    parquet, lines = tmp_path / "cases.parquet", tmp_path / "cases.jsonl"
    pl.DataFrame([cells], {"history": None, **SCHEMA}).write_parquet(parquet)
    lines.write_text(json.dumps(cells, default=datetime.isoformat), encoding="utf-8")
    results = [told(run("explain", file, "--id", "C-1", now=True), file) for file in (parquet, lines)]
    assert results[0] == results[1]
    assert results[0][0] == 0


def test_other_columns_are_ignored_with_one_note(tmp_path: Path) -> None:
    parquet, _ = written(tmp_path, *GOOD)
    pl.read_parquet(parquet).with_columns(
        colour=pl.lit("red"), number=pl.lit(1), opened_at=pl.lit("whenever")
    ).write_parquet(parquet)
    result = run("due", parquet, "--policy", "open-resolved", now=True)
    assert result.stderr.count("'colour'") == 1
    assert "opened_at" not in result.stderr


def test_it_may_come_on_standard_input(tmp_path: Path) -> None:
    parquet, lines = written(tmp_path, *GOOD)
    piped = run("due", "-", "--format", "csv", now=True, stdin=parquet.read_bytes())
    assert piped.stdout == run("due", lines, "--format", "csv", now=True).stdout


def test_a_path_that_looks_like_a_pattern_is_a_path(tmp_path: Path) -> None:
    parquet, lines = written(tmp_path, *GOOD, name="a[b]*")
    assert run("due", parquet, now=True).stdout == run("due", lines, now=True).stdout


def test_a_file_without_rows_holds_no_cases(tmp_path: Path) -> None:
    parquet, _ = written(tmp_path)
    result = run("due", parquet, now=True)
    assert (result.exit_code, result.stderr) == (0, f"note: {parquet}: no cases\n")


# --- what cannot be read ---------------------------------------------------------


@pytest.mark.parametrize("data", [b"PAR1", b"PAR1 and nothing that follows PAR1", b"PAR1\n"])
def test_what_only_begins_like_parquet_is_told_at_once(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "cases"
    path.write_bytes(data)
    result = run("due", path)
    assert (result.exit_code, result.stdout) == (2, "case_id\n"[:0])
    assert result.stderr.startswith(f"{path}: cannot be read as Parquet: ")
    assert result.stderr.count("\n") == 1


def test_what_is_no_parquet_is_not_read_as_such(tmp_path: Path) -> None:
    parquet, lines = written(tmp_path, *GOOD)
    result = run("due", lines, "--input", "parquet")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be read as Parquet" in result.stderr
    result = run("due", parquet, "--input", "csv")
    assert (result.exit_code, result.stderr) == (2, f"{parquet}: is Parquet, not csv: leave out --input\n")


def test_a_damaged_file_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    parquet, _ = written(tmp_path, *GOOD * 50)
    whole = parquet.read_bytes()
    chance = random.Random(4)
    codes = set()
    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[chance.randrange(4, len(whole))] ^= 1 << chance.randrange(8)
        parquet.write_bytes(damaged)
        result = run("due", parquet, "--format", "jsonl", now=True)
        codes.add(result.exit_code)
        assert all(json.loads(line) for line in result.stdout.splitlines())
    assert 2 in codes
    assert codes <= {0, 1, 2}


def test_columns_of_the_wrong_kind_are_named_all_of_them(tmp_path: Path) -> None:
    parquet, _ = written(tmp_path, *GOOD)
    frame(*GOOD).with_columns(
        pl.col("entered_at").dt.cast_time_unit("ms"),
        stay=pl.lit("1"),
        settled_at=pl.lit("2026-01-01T00:00:00Z"),
    ).rename({"case_id": "ticket"}).write_parquet(parquet)
    result = run("due", parquet)
    assert (result.exit_code, result.stdout) == (2, "")
    lines = result.stderr.splitlines()[:4]
    for line, field in zip(sorted(lines), ("case_id", "entered_at", "settled_at", "stay"), strict=True):
        assert line.startswith(f"{parquet}: {field}: ")


@pytest.mark.parametrize("package", ["narwhals", "polars"])
def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path, package: str) -> None:
    parquet, lines = written(tmp_path, *GOOD)
    program = f"import sys; sys.modules[{package!r}] = None; from casestate.__main__ import main; main()"
    for path, status in ((parquet, 2), (lines, 1)):
        done = subprocess.run(
            [sys.executable, "-c", program, "due", str(path), "--now", NOW, "--policy", "sub-status"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == status
    assert subprocess.run(
        [sys.executable, "-c", program, "due", str(parquet)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    ).stderr == (
        f"{parquet}: reading Parquet needs the frames extra: pip install 'casestate[frames]' "
        f"({package} is not there)\n"
    )
