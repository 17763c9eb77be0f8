"""The command line: what is due in a file of cases; a policy checked, explained, drawn, and tried on a past.

Data goes to standard output, in UTF-8 and as it is found; progress, notes and
everything that is wrong go to standard error.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import sys
import textwrap

from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar, cast

import attrs
import click
import msgspec
import tomli_w

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from casestate import drawing, render
from casestate.case import Action, Case
from casestate.clock import format_instant, parse_instant, utc_now
from casestate.compare import compare
from casestate.errors import InstantError, LogError, NaiveTimeError, PolicyError, one_of
from casestate.loading import load_policy
from casestate.log import LogMap, Reading, load_map
from casestate.replay import OUTCOMES, ask
from casestate.rows import (
    DEFAULT_POLICY,
    EVALUATED,
    CaseFile,
    Desks,
    Failure,
    LogFile,
    Sieve,
    Trouble,
    Unfulfilled,
    action_file,
    of_case,
    opened,
    replacing,
)
from casestate.verify import Finding, Report, verify
from casestate.workflow import Explanation, Workflow


if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from casestate.log import Restart
    from casestate.policy import Policy
    from casestate.replay import LogValue, Move, Summary, WhatIf

__all__ = ["cli"]

_T = TypeVar("_T")

_BATCH: Final = 500
"""How many results are written at a time."""
_WIDE: Final = 60
"""How wide a column stays because it was wide before."""
_UNBROKEN: Final = ("kind", "due", "due since", "overdue", "from now", "in it since", "verdict")
"""Columns of short words and instants, which no line break makes easier to read."""
_ROOM: Final = 80
"""How wide a terminal is that has room for them."""
_WIDEST: Final = 1 << 16
"""The width of a table that no terminal limits."""


# --- writing -----------------------------------------------------------------


@attrs.frozen(kw_only=True)
class _Layout(Generic[_T]):
    """How results of one kind are written: as records, and as a table for people."""

    columns: tuple[str, ...]
    record: Callable[[_T], Mapping[str, object]]
    headings: tuple[str, ...]
    cells: Callable[[_T], tuple[str, ...]]


def _write(results: Iterator[_T], layout: _Layout[_T], form: str, trouble: Trouble) -> int:
    """Write the results as they come; return how many there were."""
    write = _WRITERS[form](layout)
    stdout = sys.stdout.buffer
    count = 0
    while True:
        batch = list(islice(results, _BATCH))
        with trouble.aside():
            stdout.write(write(batch))
            stdout.flush()
        count += len(batch)
        if len(batch) < _BATCH:
            return count


def _json_writer(layout: _Layout[_T]) -> Callable[[Sequence[_T]], bytes]:
    encoder = msgspec.json.Encoder()
    return lambda batch: encoder.encode_lines(map(layout.record, batch))


def _csv_writer(layout: _Layout[_T]) -> Callable[[Sequence[_T]], bytes]:
    text = io.StringIO()
    writer = csv.DictWriter(text, layout.columns, lineterminator="\n")
    writer.writeheader()

    def write(batch: Sequence[_T]) -> bytes:
        for result in batch:
            writer.writerow({name: _cell(value) for name, value in layout.record(result).items()})
        written = text.getvalue().encode()
        text.seek(0)
        text.truncate()
        return written

    return write


def _cell(value: object) -> object:
    return " ".join(cast("list[str]", value)) if isinstance(value, list) else value


def _table_writer(layout: _Layout[_T]) -> Callable[[Sequence[_T]], bytes]:
    widths: list[int] = []

    def write(batch: Sequence[_T]) -> bytes:
        rows = [tuple(map(render.visible, layout.cells(result))) for result in batch]
        text = _table(layout.headings, rows, widths) if rows else ""
        if rows and not widths:
            widths.extend(max(map(cell_len, column)) for column in zip(layout.headings, *rows, strict=True))
        return text.encode()

    return write


_WRITERS: Final[Mapping[str, Callable[[Any], Callable[[Sequence[Any]], bytes]]]] = {
    "table": _table_writer,
    "jsonl": _json_writer,
    "csv": _csv_writer,
}


def _table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    widths: Sequence[int] = (),
    numbers: Sequence[str] = (),
) -> str:
    """A table for people: as wide as the terminal, or as its cells where there is none.

    With ``widths`` it goes on from one that has been written: columns as wide as there, no headings.
    The columns of ``numbers`` stand on the right.
    """
    on_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if on_terminal else _WIDEST
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), show_header=not widths)
    for heading, least in zip(headings, widths or (0,) * len(headings), strict=True):
        whole = (heading in _UNBROKEN or heading in numbers) and width >= _ROOM
        table.add_column(
            heading,
            min_width=min(least, _WIDE),
            no_wrap=whole,
            overflow="fold",
            justify="right" if heading in numbers else "left",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(file=io.StringIO(), force_terminal=on_terminal, width=width)
    with console.capture() as captured:
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().split("\n")[:-1])


_ACTION_COLUMNS: Final = (
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
)


def _action_layout(due: str, distance: str, away: Callable[[datetime], str]) -> _Layout[Action]:
    return _Layout(
        columns=_ACTION_COLUMNS,
        record=Action.to_dict,
        headings=("case", "timer", "kind", "audience", due, distance, "to"),
        cells=lambda action: (
            action.case_id,
            action.timer,
            action.kind,
            action.audience or "",
            format_instant(action.due_at),
            away(action.due_at),
            action.to or "",
        ),
    )


def _span(length: timedelta) -> str:
    """About how long: ``3 days``."""
    seconds = length // timedelta(seconds=1)
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}{'s' if seconds >= 2 * size else ''}"
    return "moments"


def _explanations(desk: Workflow, case: Case, now: datetime) -> Iterator[tuple[Case, Explanation]]:
    for explanation in desk.explain(case, now=now):
        yield case, explanation
    if not desk.policy.schedules[case.state]:
        sentence = f"Nothing comes due: {case.state} has no timers."
        yield case, Explanation(timer="", kind="", verdict="no_timers", due_at=None, sentence=sentence)


def _explanation_record(explained: tuple[Case, Explanation]) -> dict[str, object]:
    case, explanation = explained
    return {
        "case_id": case.id,
        "state": case.state,
        "entered_at": format_instant(case.entered_at),
        "timer": explanation.timer or None,
        "kind": explanation.kind or None,
        "verdict": explanation.verdict,
        "due_at": None if explanation.due_at is None else format_instant(explanation.due_at),
        "sentence": explanation.sentence,
    }


_EXPLANATIONS: Final[_Layout[tuple[Case, Explanation]]] = _Layout(
    columns=("case_id", "state", "entered_at", "timer", "kind", "verdict", "due_at", "sentence"),
    record=_explanation_record,
    headings=("case", "state", "in it since", "verdict", "sentence"),
    cells=lambda explained: (
        explained[0].id,
        explained[0].state,
        format_instant(explained[0].entered_at),
        explained[1].verdict.replace("_", " "),
        explained[1].sentence,
    ),
)


# --- the commands ------------------------------------------------------------


def _instant(ctx: click.Context, param: click.Parameter, value: object) -> datetime | None:
    """An option's text as an instant."""
    if value is None:
        return None
    try:
        return parse_instant(value, "instant")
    except NaiveTimeError:
        hint = f"{value} has no time zone: add Z for UTC, or an offset such as +02:00"
    except InstantError:
        hint = f"{value!r} is no instant such as 2026-03-01T12:00:00Z"
    raise click.BadParameter(hint, ctx, param)


def _policy(ctx: click.Context, param: click.Parameter, value: str) -> Policy:  # noqa: ARG001 - click's signature
    return _load(value)


def _policies(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> Sequence[Policy]:  # noqa: ARG001 - click's signature
    return [_load(source) for source in value]


def _load(source: str) -> Policy:
    """The policy of a name or a file; raises everything that is wrong with it."""
    try:
        return load_policy(source)
    except PolicyError as error:
        raise _failure(source, error) from None


def _failure(source: str, error: PolicyError, faulty: type[Failure] = Failure) -> Failure:
    """What to end with: ``faulty`` for a policy that is wrong, another for one that cannot be read."""
    failure = faulty if _is_readable(source) else Failure
    return failure(*(f"{error.subject}: {problem}" for problem in error.problems))


def _is_readable(source: str) -> bool:
    try:
        Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return True


def _on_cases(command: Callable[..., None]) -> Callable[..., None]:
    """The argument and the options of every command that reads cases."""
    for option in (
        click.option(
            "--input",
            "input_form",
            type=click.Choice(["jsonl", "csv", "parquet"]),
            help="How CASES is written; told by its first bytes if left out.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(list(_WRITERS)),
            default="table",
            show_default=True,
            help="How to write the result.",
        ),
        click.option(
            "--now",
            callback=_instant,
            default=utc_now,
            help="The instant to ask about, such as 2026-03-01T12:00:00Z; the system's clock if left out.",
        ),
        click.option(
            "--policy",
            "policies",
            callback=_policies,
            multiple=True,
            metavar="NAME|FILE",
            help="A policy that rows may name; may be given again. The first one serves rows that name "
            f"none; {DEFAULT_POLICY} does if there is none.",
        ),
        click.argument("cases", metavar="CASES"),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="casestate")
def cli() -> None:
    """What is due in a file of support cases, by policies written as data.

    CASES and LOG are JSON Lines, CSV or Parquet, or - for standard input. POLICY is the
    name of a built-in policy (sub-status, open-resolved) or a TOML file.

    Exit codes: 0 done; 1 a row was bad, or a check failed; 2 wrong usage, or a
    file that cannot be read.
    """


@cli.command()
@_on_cases
@click.pass_context
def due(
    ctx: click.Context,
    cases: str,
    policies: Sequence[Policy],
    now: datetime,
    form: str,
    input_form: str | None,
) -> None:
    """Print what is due: at most one action a case."""
    desks = Desks(policies)
    with opened(cases, CaseFile) as file:
        rows = file.rows(input_form, sieve=Sieve(desks, now))
        actions = desks.each(rows, file.trouble, lambda desk, case: desk.due([case], now=now))
        layout = _action_layout("due since", "overdue", lambda due_at: _span(now - due_at))
        count = _write(actions, layout, form, file.trouble)
    if form == "table":
        click.echo(f"{count} due of {file.trouble.rows} cases at {format_instant(now)}")
    ctx.exit(file.trouble.finish())


@cli.command()
@_on_cases
@click.option("--id", "case_id", metavar="ID", help="Only this case.")
@click.option("--until", callback=_instant, help="Nothing that comes due after this instant.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many actions a case at most: the timers of a policy may go round for ever.",
)
@click.pass_context
def forecast(
    ctx: click.Context,
    cases: str,
    policies: Sequence[Policy],
    now: datetime,
    form: str,
    input_form: str | None,
    case_id: str | None,
    until: datetime | None,
    limit: int,
) -> None:
    """Print what will come due if nobody does anything else."""
    desks = Desks(policies)
    cut: list[str] = []

    def ahead(desk: Workflow, case: Case) -> Iterator[Action]:
        for number, action in enumerate(desk.forecast(case, now=now)):
            if until is not None and action.due_at > until:
                return
            if number == limit:
                cut.append(case.id)
                return
            yield action

    with opened(cases, CaseFile) as file:
        rows = of_case(file.rows(input_form), case_id, file.name)
        layout = _action_layout("due", "from now", lambda due_at: _from_now(due_at - now))
        _write(desks.each(rows, file.trouble, ahead), layout, form, file.trouble)
    if cut:
        file.trouble.say(
            f"note: {file.name}: {len(cut)} cases have more to come than --limit {limit}, {cut[0]!r} for one"
        )
    ctx.exit(file.trouble.finish())


def _from_now(length: timedelta) -> str:
    return f"in {_span(length)}" if length > timedelta(0) else f"{_span(-length)} ago"


@cli.command()
@_on_cases
@click.option("--id", "case_id", metavar="ID", required=True, help="The case to explain.")
@click.pass_context
def explain(
    ctx: click.Context,
    cases: str,
    policies: Sequence[Policy],
    now: datetime,
    form: str,
    input_form: str | None,
    case_id: str,
) -> None:
    """Print what is to be said of each timer of a case's state: due, settled, waiting, held back."""
    desks = Desks(policies)
    with opened(cases, CaseFile) as file:
        rows = of_case(file.rows(input_form, (*EVALUATED, "history")), case_id, file.name)
        explained = desks.each(rows, file.trouble, lambda desk, case: _explanations(desk, case, now))
        _write(explained, _EXPLANATIONS, form, file.trouble)
    ctx.exit(file.trouble.finish())


@cli.command()
@click.argument("source", metavar="POLICY")
@click.option(
    "--against",
    metavar="OLD",
    help="Print instead what POLICY changes in the meaning of OLD, and what that does to cases in flight.",
)
@click.option("--strict", is_flag=True, help="Let warnings fail the check too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to write what was found: for people, or for machines.",
)
@click.pass_context
def check(ctx: click.Context, source: str, against: str | None, form: str, *, strict: bool) -> None:
    """Follow everything that could happen to a case under a policy, and print what is wrong.

    Every finding has a code, a place in the policy file, and where something can
    happen, the shortest story of it. docs/checks.md explains the codes,
    docs/versions.md those of --against.
    """
    policies: list[Policy] = []
    for name in (source,) if against is None else (against, source):
        try:
            policies.append(load_policy(name))
        except PolicyError as error:
            if form == "text" or not _is_readable(name):
                raise _failure(name, error, Unfulfilled) from None
            _write_json(_invalid(error))
            ctx.exit(1)
    if against is None:
        report = verify(*policies)
        findings, record = report.findings, report.to_dict()
        looked_at = f"{report.configurations} configurations, {report.changes} changes"
        summary = f"{report.policy}: {{}} ({looked_at} looked at)"
    else:
        old, new = policies
        findings = compare(old, new)
        record = _comparison(old, new, findings)
        summary = f"from {old.name} to {new.name}: {{}}"
    if form == "json":
        _write_json(record)
    else:
        _write_findings(findings, summary)
    fatal = ("error", "warning") if strict else ("error",)
    ctx.exit(int(any(finding.severity in fatal for finding in findings)))


def _comparison(old: Policy, new: Policy, findings: Sequence[Finding]) -> dict[str, object]:
    severities = [finding.severity for finding in findings]
    return {
        "old": old.name,
        "new": new.name,
        "errors": severities.count("error"),
        "warnings": severities.count("warning"),
        "notes": severities.count("note"),
        "findings": [finding.to_dict() for finding in findings],
    }


def _invalid(error: PolicyError) -> dict[str, object]:
    """What is said of a policy that cannot be read, in the shape of a report."""
    findings = [
        Finding(
            code="invalid-policy", severity="error", path=problem.path, message=problem.message, remedy=""
        )
        for problem in error.problems
    ]
    report = Report(policy=error.subject, findings=tuple(findings), configurations=0, changes=0)
    return report.to_dict()


def _write_json(data: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2))


_COLOURS: Final = {"error": "red", "warning": "yellow", "note": "cyan"}


def _write_findings(findings: Iterable[Finding], summary: str) -> None:
    """Write the findings as a compiler does, and a last line with how many there are."""
    counts = dict.fromkeys(_COLOURS, 0)
    for finding in findings:
        counts[finding.severity] += 1
        code = click.style(f"{finding.severity}[{finding.code}]", fg=_COLOURS[finding.severity], bold=True)
        click.echo(f"{code} {click.style(finding.path, bold=True)}")
        for heading, text in (("", finding.message), ("so: ", finding.story), ("help: ", finding.remedy)):
            if text:
                click.echo(f"    {heading}{render.visible(text)}")
        click.echo()
    found = [f"{count} {severity}{'s' * (count != 1)}" for severity, count in counts.items() if count]
    click.echo(summary.format(", ".join(found) or "nothing found"))


@cli.command()
@click.argument("policy", metavar="POLICY", callback=_policy)
@click.option(
    "--as",
    "form",
    type=click.Choice(["table", "mermaid", "markdown", "toml", "svg"]),
    default="table",
    show_default=True,
    help="What to make of it: mermaid and svg are drawings, markdown is a page to publish.",
)
@click.option("--output", default="-", metavar="FILE", help="Where to write it; standard output if left out.")
def show(policy: Policy, form: str, output: str) -> None:
    """Print a policy as tables, a drawing, a page or a policy file."""
    made = _VIEWS[form](policy)
    with click.open_file(output, "wb") as file:
        file.write(made if isinstance(made, bytes) else made.encode())


def _tables(policy: Policy) -> str:
    return "\n".join(
        f"{table.title}\n\n{_table(table.columns, [list(map(render.visible, row)) for row in table.rows])}"
        for table in render.tables(policy)
        if table.rows
    )


def _toml(policy: Policy) -> str:
    return tomli_w.dumps(policy.to_dict())


def _svg(policy: Policy) -> bytes:
    try:
        return drawing.svg(policy)
    except ImportError:
        raise Failure(
            "drawing needs pygraphviz, which this machine lacks: pip install 'casestate[cli]', "
            "or take --as mermaid"
        ) from None


_VIEWS: Final[Mapping[str, Callable[[Policy], str | bytes]]] = {
    "table": _tables,
    "mermaid": render.mermaid,
    "markdown": render.markdown,
    "toml": _toml,
    "svg": _svg,
}


# --- the past ----------------------------------------------------------------

_ACTION_SUFFIXES: Final = (".jsonl", ".csv", ".parquet")
_MOST_MOVES: Final = 10
"""How many moves that are not allowed are shown."""
_REPLIED_AFTER: Final = (1, 3, 7, 14, 28)
"""After how many days it is said how many had replied."""
_DAYS: Final = re.compile(r"([0-9]{1,7})(?:-([0-9]{1,7}))?")
_MOST_DAYS: Final = 1_000
"""How many lengths are asked about at a time."""


def _lengths(
    ctx: click.Context, param: click.Parameter, values: Sequence[str]
) -> Mapping[str, Sequence[int]]:
    """``timer=7,14,21-28`` as the numbers of days that are asked about, by timer."""
    found: dict[str, list[int]] = {}
    for value in values:
        timer, _, listed = value.partition("=")
        days: list[int] = []
        for text in listed.split(","):
            numbers = _DAYS.fullmatch(text.strip())
            if not timer.strip() or numbers is None:
                message = f"{value!r} is no timer with numbers of days, such as close_pending=7,14,21-28"
                raise click.BadParameter(message, ctx, param)
            first, last = numbers[1], numbers[2] or numbers[1]
            days += range(int(first), min(int(last), int(first) + _MOST_DAYS) + 1)
        if len(days) > _MOST_DAYS:
            raise click.BadParameter(f"more than {_MOST_DAYS} lengths of {timer.strip()}", ctx, param)
        found.setdefault(timer.strip(), []).extend(days)
    return found


def _actions_file(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and Path(value).suffix not in _ACTION_SUFFIXES:
        raise click.BadParameter(f"{value!r} must end in {', '.join(_ACTION_SUFFIXES)}", ctx, param)
    return value


@cli.command("replay")
@click.argument("log", metavar="LOG")
@click.option(
    "--policy",
    callback=_policy,
    required=True,
    metavar="NAME|FILE",
    help="The policy to try: a built-in one, or a TOML file.",
)
@click.option(
    "--map",
    "map_file",
    metavar="MAP",
    help="A TOML file that says which columns LOG has, and what its statuses mean. Left out, LOG speaks "
    "the policy's own words.",
)
@click.option(
    "--what-if",
    "lengths",
    callback=_lengths,
    multiple=True,
    metavar="TIMER=DAYS,…",
    help="Ask what other lengths of a timer would have done: close_pending=7,14,21-28. May be given again.",
)
@click.option(
    "--horizon",
    callback=_instant,
    help="Up to when stays without an end are watched; the last instant of LOG if left out.",
)
@click.option("--zone", metavar="ZONE", help="The time zone of instants that name none: Europe/Rome.")
@click.option(
    "--restart",
    type=click.Choice(["change", "touch"]),
    default="change",
    show_default=True,
    help="What begins a new stay: a change of status, or every row.",
)
@click.option(
    "--actions",
    "actions_file",
    callback=_actions_file,
    metavar="FILE",
    help="Write every action there: .jsonl, .csv or .parquet.",
)
@click.option("--report", "report_file", metavar="FILE", help="Write a report for people there, as HTML.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to write the summary.",
)
@click.option(
    "--input",
    "input_form",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    help="How LOG is written; told by its first bytes if left out.",
)
@click.pass_context
def replay_command(
    ctx: click.Context,
    log: str,
    policy: Policy,
    map_file: str | None,
    lengths: Mapping[str, Sequence[int]],
    horizon: datetime | None,
    zone: str | None,
    restart: Restart,
    actions_file: str | None,
    report_file: str | None,
    form: str,
    input_form: str | None,
) -> None:
    """Print what a policy would have done to a past.

    LOG has a row for each status that a case was given: case, instant, status and perhaps sub-status; or
    for each event; or it has cases with their histories. Nothing is applied: history goes on as it really
    did. docs/replay.md explains every table.
    """
    _keep_apart({"LOG": log, "--map": map_file}, {"--actions": actions_file, "--report": report_file})
    reading = _reading(policy, map_file, zone, restart)
    try:
        ask(policy, lengths)
    except PolicyError as error:
        raise Failure(*(f"--what-if: {problem}" for problem in error.problems)) from None
    with ExitStack() as files:
        keep = None if actions_file is None else files.enter_context(action_file(actions_file))
        write_report = None if report_file is None else files.enter_context(_report_file(report_file))
        with opened(log, LogFile) as file:
            try:
                summary = file.replay(
                    input_form, Workflow(policy), reading, horizon=horizon, lengths=lengths, keep=keep
                )
            except LogError as error:
                if file.trouble.rows:
                    file.trouble.finish()
                hint = () if map_file else (f"{file.name}: --map FILE says how a log is written",)
                raise Failure(*(f"{file.name}: {problem}" for problem in error.problems), *hint) from None
        exit_code = file.trouble.finish()
        if summary.last is not None and summary.horizon < summary.last:
            file.trouble.say(
                f"note: --horizon is before the last instant of {file.name}, {format_instant(summary.last)}: "
                "only stays without an end are watched up to it, and later rows count all the same"
            )
        if summary.unused:
            unused = ", ".join(map(repr, summary.unused))
            file.trouble.say(f"note: {map_file}: the log does not have {unused}")
        if write_report is not None:
            write_report(summary, policy, Path(file.name).name)
    if form == "json":
        _write_json(summary.to_dict())
    else:
        _write_summary(summary, file.name)
    ctx.exit(exit_code)


def _keep_apart(read: Mapping[str, str | None], written: Mapping[str, str | None]) -> None:
    """See that nothing that is written takes the place of what is read, or of another."""
    taken = {Path(path).resolve(): name for name, path in read.items() if path not in (None, "-")}
    for name, path in written.items():
        if path is None:
            continue
        place = Path(path).resolve()
        if place in taken and (place.is_file() or not place.exists()):
            raise click.UsageError(f"{name} {path} is the same file as {taken[place]}")
        taken[place] = name


def _reading(policy: Policy, map_file: str | None, zone: str | None, restart: Restart) -> Reading:
    try:
        log_map = LogMap() if map_file is None else load_map(map_file)
        return Reading(policy, log_map, zone=zone, restart=restart)
    except LogError as error:
        raise Failure(
            *(
                f"--zone: {problem.message}"
                if problem.path == "zone" and zone is not None
                else f"{map_file}: {problem}"
                for problem in error.problems
            )
        ) from None


@contextmanager
def _report_file(path: str) -> Generator[Callable[[Summary, Policy, str], None]]:
    """A file for the report, which takes the place of an old one when it is written."""
    try:
        from casestate import report  # noqa: PLC0415 - an extra, for those who want one
    except ImportError as error:
        hint = "--report needs the report extra: pip install 'casestate[report]'"
        raise Failure(f"{hint} ({error.name} is not there)") from None
    with replacing(path) as file:

        def write(summary: Summary, policy: Policy, name: str) -> None:
            title = f"What {policy.name} would have done to {name}"
            file.write(report.report(summary, policy, title=title).encode())

        yield write


class _Part(NamedTuple):
    """A part of the summary: a table, and what is to be said of it."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    remarks: Sequence[str] = ()


_WORDS: Final = frozenset(
    ("what", "value", "read as", "timer", "kind", "audience", "to", "length", "from", "state", "event", "by")
)
"""The columns of the summary that hold words; all others hold numbers."""


def _write_summary(summary: Summary, log: str) -> None:
    first, last, horizon = (
        "never" if moment is None else format_instant(moment)
        for moment in (summary.first, summary.last, summary.horizon)
    )
    click.echo(render.visible(f"What {summary.policy} would have done to {log}"))
    click.echo(f"{first} to {last}, watched to {horizon}")
    for part in _parts(summary):
        click.echo(f"\n{part.title}\n")
        if part.rows:
            rows = [tuple(map(render.visible, row)) for row in part.rows]
            numbers = [name for name in part.headings if name not in _WORDS]
            click.echo(_table(part.headings, rows, numbers=numbers), nl=False)
            click.echo("\n" * bool(part.remarks), nl=False)
        for remark in part.remarks:
            click.echo(_wrapped(remark))


def _wrapped(text: str) -> str:
    """A sentence, in lines as wide as the terminal if there is one."""
    if not sys.stdout.isatty():
        return text
    return textwrap.fill(text, shutil.get_terminal_size().columns)


def _parts(summary: Summary) -> Iterator[_Part]:
    yield _what_was_read(summary)
    yield _values(summary)
    yield _Part(
        "What would have come due",
        ("timer", "kind", "audience", "to", "actions"),
        [
            (count.timer, count.kind, count.audience or "", count.to or "", f"{count.actions:,}")
            for count in summary.timers
        ],
    )
    yield _closed(summary)
    for timer, answers in groupby(summary.what_ifs, lambda each: each.timer):
        yield _other_lengths(timer, tuple(answers))
    yield _moves(summary.moves)
    if summary.refusals:
        yield _Part(
            "Events that the policy refuses",
            ("state", "event", "by", "rows"),
            [(each.state, each.event, each.by, f"{each.count:,}") for each in summary.refusals],
        )
    yield _Part(
        "Time in state, of the stays that ended",
        ("state", "ended", "10 %", "25 %", "half", "75 %", "90 %", "still in it"),
        [
            (
                time.state,
                f"{time.ended:,}",
                *(_length(time.quantiles.get(share)) for share in (0.1, 0.25, 0.5, 0.75, 0.9)),
                f"{time.still:,}",
            )
            for time in summary.times
        ],
    )
    if summary.replies:
        yield _replies(summary)


def _what_was_read(summary: Summary) -> _Part:
    zone = summary.zone or ""
    counts = (
        ("rows", summary.rows, True),
        ("bad rows, left out", summary.bad_rows, True),
        ("ignored rows, as the map says", summary.ignored_rows, True),
        ("duplicate rows", summary.duplicate_rows, False),
        ("rows that stood out of order", summary.out_of_order_rows, False),
        (f"instants without a zone, read in {zone}", summary.local_times, False),
        ("of them in an hour that comes twice, read as its first pass", summary.repeated_times, False),
        ("of them at a time that is skipped, read as the end of the gap", summary.skipped_times, False),
        ("cases", summary.cases, True),
        ("cases all of whose rows are ignored", summary.ignored_cases, False),
        *(
            (f"cases first seen in {begun.state}: not allowed", begun.cases, False)
            for begun in summary.beginnings
            if not begun.allowed
        ),
        ("stays", summary.stays, True),
    )
    rows = [(name, f"{count:,}") for name, count, always in counts if count or always]
    return _Part("What was read", ("what", "count"), rows)


def _values(summary: Summary) -> _Part:
    meant = any(value.first or value.later for value in summary.values)
    title = "How its statuses were read" if meant else "What it tells of"
    headings = ("value", "read as", "rows") if meant else ("value", "rows")
    rows = [
        (_value(value), *([_meaning(value)] if meant else []), f"{value.rows:,}") for value in summary.values
    ]
    return _Part(title, headings, rows)


def _value(value: LogValue) -> str:
    return value.value if value.sub_value is None else f"{value.value}.{value.sub_value}"


def _meaning(value: LogValue) -> str:
    first, later = value.first or "ignored", value.later or "ignored"
    return first if first == later else f"{first}, later {later}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def _nearly(part: int, whole: int) -> str:
    """The share of nearly all, which is all only if it is."""
    return f" ({10_000 * part // whole / 100:.2f} %)" if whole else ""


def _closed(summary: Summary) -> _Part:
    names = [outcome.replace("_", " ") for outcome in OUTCOMES]
    rows = [
        (each.timer, f"{each.cases:,}", *(f"{getattr(each, outcome):,}" for outcome in OUTCOMES))
        for each in summary.closures
    ]
    remark = f"A timer would have moved {_counted(summary.counterfactual_cases, 'case')}."
    if summary.counterfactual_actions:
        beyond = _counted(summary.counterfactual_actions, "action")
        remark += (
            f" {beyond} of those above belong to stays that began after that: "
            "there the case would have gone another way."
        )
    return _Part(
        "Cases that would have closed, and what became of them later",
        ("timer", "cases", *names),
        rows,
        [remark] if summary.counterfactual_cases else (),
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _other_lengths(timer: str, answers: Sequence[WhatIf]) -> _Part:
    cut_off = {answer.cut_off: answer.length for answer in answers if answer.cut_off}
    return _Part(
        f"What other lengths of {timer} would have done",
        ("length", "closed", "seen for 30 d", "came back", "share", "reminders", "notifications"),
        [
            (
                each.length,
                f"{each.closed:,}",
                f"{each.followed:,}",
                f"{each.came_back:,}",
                _share(each.came_back, each.followed),
                f"{each.reminders:,}",
                f"{each.notifications:,}",
            )
            for each in answers
        ],
        [
            "Came back: support had work within 30 days, of those that can be seen so long.",
            *(
                f"Up to {length}, {timer} moves a case before {one_of(names)}: the policy must do without."
                for names, length in cut_off.items()
            ),
        ],
    )


def _moves(moves: Sequence[Move]) -> _Part:
    refused = [move for move in moves if not move.by]
    total, wrong = (sum(move.count for move in some) for some in (moves, refused))
    remarks = [
        f"The policy allows {total - wrong:,} of {_counted(total, 'move')}{_nearly(total - wrong, total)}."
    ]
    if len(refused) > _MOST_MOVES:
        rest = _counted(sum(move.count for move in refused[_MOST_MOVES:]), "move")
        remarks.append(f"{len(refused) - _MOST_MOVES} more pairs that it does not allow: {rest}.")
    return _Part(
        "Moves that the policy does not allow, the most frequent first",
        ("from", "to", "moves"),
        [(move.from_state, move.to_state, f"{move.count:,}") for move in refused[:_MOST_MOVES]],
        remarks,
    )


def _replies(summary: Summary) -> _Part:
    return _Part(
        "How many had a reply after so many days, those still waiting counted right",
        ("state", "stays", "replied", *(f"{days} d" for days in _REPLIED_AFTER)),
        [
            (
                curve.state,
                f"{curve.stays:,}",
                f"{curve.replied:,}",
                *(f"{100 * curve.share(timedelta(days=days)):.1f} %" for days in _REPLIED_AFTER),
            )
            for curve in summary.replies
        ],
    )


def _length(length: timedelta | None) -> str:
    """A length of time in its largest unit: ``3.2 d``."""
    if length is None:
        return ""
    seconds = length / timedelta(seconds=1)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
