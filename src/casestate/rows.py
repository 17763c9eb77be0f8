"""Cases and logs as they stand in files: the rows, and which of them are worth reading.

Lines are read as a stream: a million cases need no more memory than a thousand.
A row is understood in one place only: that of a case in `Case.from_dict`, that of a log of the past in
`casestate.log`. Before that a `Sieve` drops the cases for which nothing can be due, at hardly more than
the price of parsing them; what it does not fully understand it lets through.
"""

from __future__ import annotations

import csv
import io
import os
import re
import stat
import sys

from collections import deque
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from shutil import copyfileobj
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final, Literal, TypeAlias, TypeVar, cast

import attrs
import click
import msgspec

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from casestate.case import Case, standing
from casestate.clock import LAST
from casestate.errors import (
    CaseDataError,
    CasestateError,
    LogError,
    NaiveLogTimeError,
    Problem,
    nearest,
    one_of,
)
from casestate.loading import BUILT_IN, load_policy
from casestate.log import LEFT_OUT, MOST, LogMap
from casestate.render import visible
from casestate.replay import PastAction, replay
from casestate.schedule import Sweep, schedules
from casestate.workflow import Workflow


if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence

    from casestate.log import Reading
    from casestate.policy import Policy
    from casestate.replay import Lengths, Summary

__all__ = [
    "DEFAULT_POLICY",
    "EVALUATED",
    "ActionFile",
    "CaseFile",
    "Desks",
    "Failure",
    "LogFile",
    "Sieve",
    "Trouble",
    "Unfulfilled",
    "action_file",
    "of_case",
    "opened",
    "replacing",
]

_T = TypeVar("_T")
_F = TypeVar("_F", bound="RowFile")
_Row: TypeAlias = "tuple[int, dict[str, object]]"
"""The number of a row's line, and the fields of its case."""
_LogRow: TypeAlias = "tuple[int, Mapping[str, object] | Case | BadRow]"
"""The same of a log, whose rows may be whole cases, or not to be read."""

DEFAULT_POLICY: Final = "sub-status"
EVALUATED: Final = ("id", "status", "sub_status", "entered_at", "policy", "stay", "settled", "settled_at")
"""The fields of a case that name it, or decide what is due."""
KEPT: Final = ("previous", "assignee", "opened_at", "cloned_from", "clones", "history")
"""The other fields of a case: they may be there, and are not read."""
REQUIRED: Final = ("id", "status", "entered_at")
ID_ALIAS: Final = "case_id"

_BATCH: Final = 5_000
"""How many actions are written at a time."""
_CHUNK: Final = 1 << 17
"""How many bytes of lines are read at a time."""
_LONGEST_CELL: Final = 1 << 20
"""The longest cell of CSV, such as a whole correspondence that is not read."""
_MOST_NAMES: Final = 60
"""How many columns are remembered by name."""
_MOST_NAIVE: Final = 3
"""How many rows that lack nothing but a time zone are named."""
_TICK: Final = timedelta(microseconds=1)
_WHOLE: Final = re.compile("[0-9]{1,18}")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
"""A name of JSON without escapes: msgspec expects no other. Rows that have one always pass the sieve."""
_BOM: Final = b"\xef\xbb\xbf"
_PARQUET: Final = b"PAR1"
"""How a Parquet file begins."""
_UTF_16: Final = "is UTF-16, not UTF-8: convert it (iconv -f UTF-16 -t UTF-8)"
_MISTAKEN: Final = {
    b"PARE": "is encrypted Parquet: it cannot be read",
    b"[": "is one JSON array: convert it to JSON Lines, an object a line (jq -c '.[]')",
    b"\x1f\x8b": "is compressed: unpack it first (gzip -dc FILE | casestate … -)",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
}
"""How files begin that are easily mistaken for one that can be read here."""


class Failure(click.ClickException):
    """The command cannot go on; each of ``lines`` says why."""

    exit_code = 2

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature
        for line in self.lines:
            click.echo(visible(line), err=True)


class Unfulfilled(Failure):
    """The command ran, and what it was asked for is not so."""

    exit_code = 1


class BadRow(Exception):
    """What is wrong with a row: sentences that begin with the field."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems


# --- standard error ----------------------------------------------------------


class Trouble:
    """Says what is wrong with a file, row by row, and shows how far the reading has come."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.rows = 0
        self.bad = 0
        self.unknown: dict[str, None] = {}
        """Columns that are no field of a case, as far as they are remembered."""
        self.last_names: tuple[str, ...] = ()
        self.last_fields: Mapping[str, str] = {}
        self.bar: Progress | None = None
        self.naive = 0
        """Bad rows that lack nothing but a time zone."""

    def say(self, text: str) -> None:
        with self.aside():
            click.echo(visible(text), err=True)

    def row(self, line: int, problems: Iterable[str]) -> None:
        self.bad += 1
        for problem in problems:
            self.say(f"{self.file}:{line}: {problem}")

    def naive_row(self, line: int, problem: str) -> None:
        """A row that lacks nothing but a time zone: the first are named, for one option mends them all."""
        if self.naive < _MOST_NAIVE:
            self.naive += 1
            self.row(line, [problem])
        else:
            self.naive_rows(1)

    def naive_rows(self, count: int) -> None:
        """More rows of that kind."""
        self.naive += count
        self.bad += count

    def columns(self, names: Iterable[str]) -> Mapping[str, str]:
        """Which column holds which field of a case; the others are remembered for the note."""
        names = tuple(names)
        if names == self.last_names:  # nearly always: the rows of a file are alike
            return self.last_fields
        fields = {name: name for name in names if name in EVALUATED or name in KEPT}
        if "id" not in fields and ID_ALIAS in names:
            fields[ID_ALIAS] = "id"
        for name in names:
            if name not in fields and len(self.unknown) < _MOST_NAMES:
                self.unknown[name] = None
        self.last_names, self.last_fields = names, fields
        return fields

    def finish(self) -> int:
        """Say what is left to say; return the exit code."""
        if self.unknown:
            names = ", ".join(map(_hinted, self.unknown))
            self.say(f"note: {self.file}: columns that no case has are ignored: {names}")
        if not self.rows:
            self.say(f"note: {self.file}: no cases")
        if self.naive > _MOST_NAIVE:
            more = self.naive - _MOST_NAIVE
            self.say(f"{self.file}: {more} more rows have an instant without a time zone: --zone says which")
        if self.bad:
            self.say(f"{self.file}: {self.bad} of {self.rows} rows are bad")
        return 1 if self.bad else 0

    @contextmanager
    def progress(self, size: int | None) -> Generator[None]:
        """Show a bar on standard error while rows are read, if that is a terminal."""
        if not sys.stderr.isatty():
            yield
            return
        bar = Progress(
            TextColumn("{task.fields[rows]:,} rows"),
            BarColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        bar.add_task("", total=size, rows=0)
        with bar:
            self.bar = bar
            yield
        self.bar = None

    def advance(self, lines: Sequence[bytes]) -> None:
        if self.bar is not None:
            (task,) = self.bar.task_ids
            self.bar.update(task, advance=sum(map(len, lines)), rows=self.rows, refresh=True)

    def show(self, done: int, every: int | None) -> None:
        """Show how many rows have been read, of how many if that is known."""
        if self.bar is not None:
            (task,) = self.bar.task_ids
            self.bar.update(task, total=every, completed=done, rows=done, refresh=True)

    @contextmanager
    def aside(self) -> Generator[None]:
        """Take the bar away while something else is written: both may be on one terminal."""
        if self.bar is not None:
            self.bar.stop()
        yield
        if self.bar is not None:
            self.bar.start()


def _hinted(column: str) -> str:
    hint = nearest(column, (*EVALUATED, *KEPT)).removeprefix("; ")
    return f"{column!r} ({hint})" if hint else repr(column)


# --- writing -----------------------------------------------------------------


@contextmanager
def replacing(path: str) -> Generator[BinaryIO]:
    """A new file that takes the place of the one at ``path`` when all of it is there, and not before.

    What is no file of its own, such as a device or a pipe, is written to as it is. Raises `Failure` if it
    cannot be written.
    """
    place = Path(os.path.realpath(path))
    is_file = not place.exists() or place.is_file()
    written = place.with_name(f"{place.name}.{os.getpid()}.part") if is_file else place
    try:
        with written.open("xb" if is_file else "wb") as file:
            yield file
        if is_file:
            written.replace(place)
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        if is_file:
            written.unlink(missing_ok=True)


_FIELDS: Final = tuple(field.name for field in attrs.fields(PastAction))


class ActionFile:
    """Where all actions of a replay are written: JSON Lines, CSV or Parquet, by the suffix."""

    def __init__(self, suffix: str, file: BinaryIO, parquet: Callable[[Any], None] | None) -> None:
        self.file = file
        self.parquet = parquet
        self.encoder = msgspec.json.Encoder() if suffix == ".jsonl" else None
        if suffix == ".csv":
            self._write([_FIELDS])

    def add(self, actions: Sequence[PastAction]) -> None:
        """Write some actions more."""
        if self.parquet is not None:
            self.parquet(actions)
        else:
            self._write(tuple(action.to_dict().values()) for action in actions)

    def add_frame(self, actions: Any) -> None:  # noqa: ANN401 - a frame of Polars, which is an extra
        """Write some actions more, the rows of a frame."""
        if self.parquet is not None:
            self.parquet(actions)
        else:
            from casestate.frames.actions import as_texts  # noqa: PLC0415 - there are frames only with the extra

            self._write(as_texts(actions))

    def _write(self, rows: Iterable[Sequence[object]]) -> None:
        rest = iter(rows)
        while batch := list(islice(rest, _BATCH)):
            if self.encoder is not None:
                records = [dict(zip(_FIELDS, row, strict=True)) for row in batch]
                self.file.write(self.encoder.encode_lines(records))
            else:
                text = io.StringIO()
                csv.writer(text, lineterminator="\n").writerows(batch)
                self.file.write(text.getvalue().encode())


@contextmanager
def action_file(path: str) -> Generator[ActionFile]:
    """A file for all actions, which takes the place of an old one when all of them are there.

    Raises `Failure` if it cannot be written, or needs an extra that is not there.
    """
    suffix = Path(path).suffix
    with ExitStack() as stack:
        parquet = None
        file = stack.enter_context(replacing(path))
        if suffix == ".parquet":
            try:
                from casestate.frames.actions import parquet_actions  # noqa: PLC0415 - an extra
            except ImportError as error:
                hint = "writing Parquet needs the frames extra: pip install 'casestate[frames]'"
                raise Failure(f"{path}: {hint} ({error.name} is not there)") from None
            parquet = stack.enter_context(parquet_actions(file.name))
        yield ActionFile(suffix, file, parquet)


# --- reading -----------------------------------------------------------------


@contextmanager
def opened(path: str, kind: type[_F]) -> Generator[_F]:
    """The file at ``path``, or standard input for ``-``, with a progress bar while it is read.

    Raises `Failure` for what is no file of its ``kind``.
    """
    try:
        stream = nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror}") from None
    with stream as lines:
        status = None if path == "-" else os.fstat(lines.fileno())
        is_file = status is not None and stat.S_ISREG(status.st_mode)
        file = kind("<stdin>" if path == "-" else path, lines, path if is_file else None)
        size = status.st_size if status is not None else None
        with file.trouble.progress(size or None):
            yield file


class RowFile:
    """A file of rows, read as a stream of lines; a Parquet file, some rows at a time."""

    def __init__(self, name: str, stream: BinaryIO, path: str | None = None) -> None:
        """Look at the first line; raises `Failure` for what is no file of rows.

        ``path`` is where the stream comes from, if that is a file.
        """
        self.name = name
        self.stream = stream
        self.path = path
        self.trouble = Trouble(name)
        self.line = 1
        self.head = self._beginning()
        if self.head == _PARQUET:
            return
        while self.head.isspace():
            self.line += 1
            self.head = self._line()
        for begin, problem in _MISTAKEN.items():
            if self.head.startswith(begin):
                raise self._failure(problem)
        if b"\0" in self.head:
            raise self._failure("is not UTF-8 text: its first line has zero bytes")

    def _beginning(self) -> bytes:
        """The first line; of Parquet, which has no lines, what it begins with."""
        begin = self._asked(self.stream.readline, len(_PARQUET))
        if begin == _PARQUET or begin.endswith(b"\n"):
            return begin
        return (begin + self._line()).removeprefix(_BOM)

    def _line(self) -> bytes:
        return self._asked(self.stream.readline, -1)

    def _read(self, size: int) -> list[bytes]:
        """The next lines, about so many bytes of them, one at least; none at the end."""
        return self._asked(self.stream.readlines, size)

    def _asked(self, read: Callable[[int], _T], size: int) -> _T:
        try:
            return read(size)
        except OSError as error:
            raise self._failure(f"cannot be read: {error.strerror}") from None

    def _failure(self, problem: str) -> Failure:
        return Failure(f"{self.name}: {problem}")

    def form(self, given: str | None) -> str:
        """How the file is written: as its first bytes say, unless that is ``given``."""
        if given == "parquet" or (given is None and self.head == _PARQUET):
            return "parquet"
        if self.head == _PARQUET:
            raise self._failure(f"is Parquet, not {given}: leave out --input")
        return given or ("jsonl" if self.head.lstrip().startswith(b"{") else "csv")

    def _chunks(self) -> Iterator[tuple[int, list[bytes]]]:
        """The lines, many at a time, with the number of the first of them."""
        line, lines = self.line, [self.head] if self.head else []
        while lines:
            yield line, lines
            self.trouble.advance(lines)
            line += len(lines)
            lines = self._read(_CHUNK)

    @contextmanager
    def _on_disk(self, suffix: str) -> Generator[str]:
        """The path of the file; standard input is written to one first, for it is read more than once."""
        if self.path is not None:
            yield self.path
            return
        with NamedTemporaryFile(suffix=suffix) as file:
            file.write(b"\n" * (self.line - 1))  # so that lines keep their numbers
            file.write(self.head)
            copyfileobj(self.stream, file)
            file.flush()
            yield file.name

    def _csv(self) -> tuple[list[str], Iterator[tuple[int, list[str] | BadRow]]]:
        """The header of CSV, and then the cells of each row, or why it has none, with its line."""
        csv.field_size_limit(_LONGEST_CELL)
        lines = _Lines(self.line, (line for _, chunk in self._chunks() for line in chunk))
        reader = csv.reader(lines, strict=True)
        try:
            header = [name.strip() for name in next(reader)]
            "".join(header).encode()
        except csv.Error as error:
            raise self._failure(f"neither JSON Lines nor CSV: {error}") from None
        except UnicodeEncodeError:
            raise self._failure("is not UTF-8: its first line is not") from None
        return header, self._csv_rows_of(reader, lines)

    def _csv_rows_of(
        self, reader: Iterator[list[str]], lines: _Lines
    ) -> Iterator[tuple[int, list[str] | BadRow]]:
        while True:
            line = lines.begin_row()
            try:
                cells: list[str] | BadRow | None = next(reader, None)
            except csv.Error as error:
                lines.read_again()
                cells = BadRow(f"is not CSV: {error}")
            if cells is None:
                return
            if cells:
                self.trouble.rows += 1
                yield line, cells

    def _only_once(self, header: Sequence[str], names: Iterable[str]) -> None:
        """Raise `Failure` if a column of the ``names`` is there twice: nobody knows which is meant."""
        twice = [name for name in dict.fromkeys(names) if header.count(name) > 1]
        if twice:
            raise self._failure(f"the column {one_of(twice)} is there twice")


class CaseFile(RowFile):
    """A file of cases."""

    def rows(
        self, form: str | None, wanted: Sequence[str] = EVALUATED, sieve: Sieve | None = None
    ) -> Iterator[_Row]:
        """The ``wanted`` fields of each row; those that cannot be read are reported.

        With a ``sieve``, rows for which nothing is due may be left out. CSV holds
        the fields that are evaluated, no lists.
        """
        form = self.form(form)
        if form == "parquet":
            return self._parquet_rows(wanted, sieve)
        return self._json_rows(wanted, sieve) if form == "jsonl" else self._csv_rows(sieve)

    def _json_rows(self, wanted: Sequence[str], sieve: Sieve | None) -> Iterator[_Row]:
        for first, lines in self._chunks():
            self.trouble.rows += len(lines)
            for line, text in enumerate(lines, first) if sieve is None else sieve.sift(first, lines):
                if text.isspace():
                    self.trouble.rows -= 1
                    continue
                try:
                    values = _json_object(text)
                    columns = self.trouble.columns(values)
                    if sieve is not None:
                        sieve.learn(values)
                    yield line, _json_fields(values, columns, wanted)
                except BadRow as bad:
                    self.trouble.row(line, bad.problems)

    def _parquet_rows(self, wanted: Sequence[str], sieve: Sieve | None) -> Iterator[_Row]:
        with self._on_disk(".parquet") as path:
            try:
                from casestate import frames  # noqa: PLC0415 - an extra, for those who have such files

                cases = frames.ParquetCases(path)
                self.trouble.rows = cases.count()
                columns = self.trouble.columns(cases.columns)
                fields = {column: field for column, field in columns.items() if field in wanted}
                desks: dict[str | None, Workflow] = {}
                if sieve is not None:
                    desks[None] = sieve.desks.default
                    desks.update(sieve.desks.named)
                yield from cases.rows(fields, desks, None if sieve is None else sieve.now)
            except ImportError as error:
                hint = "reading Parquet needs the frames extra: pip install 'casestate[frames]'"
                raise self._failure(f"{hint} ({error.name} is not there)") from None
            except CaseDataError as error:
                raise Failure(*(f"{self.name}: {problem}" for problem in error.problems)) from None

    def _csv_rows(self, sieve: Sieve | None) -> Iterator[_Row]:
        if not self.head:
            return
        header, rows = self._csv()
        self._expect_columns(header)
        fields_of = self.trouble.columns(header)
        columns = [fields_of[name] if fields_of.get(name) in EVALUATED else None for name in header]
        for line, cells in rows:
            try:
                fields = _csv_fields(columns, cells)
                stay = fields.get("stay")
                if isinstance(stay, str) and _WHOLE.fullmatch(stay):
                    fields["stay"] = int(stay)
                if sieve is None or sieve.lets_through(fields):
                    yield line, fields
            except BadRow as bad:
                self.trouble.row(line, bad.problems)

    def _expect_columns(self, header: Sequence[str]) -> None:
        self._only_once(header, header)
        missing = [name for name in REQUIRED if name not in header]
        if ID_ALIAS in header and "id" in missing:
            missing.remove("id")
        if missing:
            hints = ", ".join(f"{name}{nearest(name, header)}" for name in missing)
            raise self._failure(
                f"CSV without the columns {hints}{_semicolons(header)} (there are: {one_of(header)[:200]})"
            )


def _semicolons(header: Sequence[str]) -> str:
    return "; cells are separated by commas, not semicolons" if ";" in header[0] else ""


class LogFile(RowFile):
    """A file of a log of the past; see `casestate.log`.

    Where the extra ``frames`` is there it is read as a dataframe, which is fast and needs little memory;
    what a dataframe would read otherwise, or not at all, is read row by row. Both give the same.
    """

    def __init__(self, name: str, stream: BinaryIO, path: str | None = None) -> None:
        super().__init__(name, stream, path)
        self.at = 0
        """The line of the row that was read last."""
        self.unread: BadRow | None = None
        """Why that row could not even be read."""

    def replay(
        self,
        form: str | None,
        desk: Workflow,
        reading: Reading,
        *,
        horizon: datetime | None = None,
        lengths: Lengths | None = None,
        keep: ActionFile | None = None,
    ) -> Summary:
        """What the policy would have done; bad rows are reported, and actions kept in a file.

        Raises `LogError` as `casestate.replay.replay` does, and `Failure` where Parquet cannot be read.
        """
        form = self.form(form)
        asked = _Asked(desk, reading, horizon, lengths or {}, keep)
        try:
            from casestate import frames  # noqa: PLC0415 - an extra, for those who have it

            as_frame = frames.replay, frames.scan_log
        except ImportError as error:
            if form == "parquet":
                hint = "reading Parquet needs the frames extra: pip install 'casestate[frames]'"
                raise self._failure(f"{hint} ({error.name} is not there)") from None
            return self.replay_rows(form, asked)
        with self._on_disk(f".{form}") as path:
            if form != "jsonl" or not self._is_of_cases(path, reading):
                try:
                    return self._as_frame(path, form, asked, *as_frame)
                except _NotAsFrame:
                    self.trouble.rows = 0
                    self.trouble.show(0, None)
            with self._again(path, self.trouble) as again:
                return again.replay_rows(form, asked)

    @contextmanager
    def _again(self, path: str, trouble: Trouble) -> Generator[LogFile]:
        """The same file from its beginning."""
        with Path(path).open("rb") as stream:
            again = LogFile(self.name, stream, path)
            again.trouble = trouble
            yield again

    def _as_frame(
        self,
        path: str,
        form: str,
        asked: _Asked,
        replay_frame: Callable[..., Any],
        scan_log: Callable[..., Any],
    ) -> Summary:
        """The same, of the file as a whole. Raises `_NotAsFrame` where that is not the way."""
        bad: list[tuple[int, LogError]] = []
        naive = 0

        def take_bad(number: int, error: LogError) -> None:
            nonlocal naive
            naive += _lacks_a_zone(error)
            if naive <= _MOST_NAIVE or not _lacks_a_zone(error):  # the others are only counted
                bad.append((number, error))
            if len(bad) > MOST:  # row by row none of them has to be kept
                raise _NotAsFrame

        def progress(done: int, every: int | None) -> None:
            self.trouble.rows = done
            self.trouble.show(done, every)

        try:
            found = replay_frame(
                scan_log(path, form),
                asked.desk,
                **asked.options(),
                on_error=take_bad,
                sink=_nowhere if asked.keep is None else asked.keep.add_frame,
                progress=progress,
            )
        except LogError as error:
            if not all(problem.path.partition(".")[0] == "statuses" for problem in error.problems):
                raise _NotAsFrame from None
            self._name(bad, path, form, naive)
            raise
        self._name(bad, path, form, naive)
        return cast("Summary", found.summary)

    def _name(self, bad: Sequence[tuple[int, LogError]], path: str, form: str, naive: int) -> None:
        """Name bad rows; of ``naive`` ones that lack a zone only the first are there."""
        lines = self._lines_of(path, form, [number for number, _ in bad])
        for number, error in bad:
            self.at = lines[number]
            self.bad_row(number, error)
        self.trouble.naive_rows(naive - min(naive, _MOST_NAIVE))

    def _lines_of(self, path: str, form: str, numbers: Sequence[int]) -> Mapping[int, int]:
        """The line on which each of some rows begins; a row of Parquet is named by its number."""
        if form == "parquet" or not numbers:
            return {number: number for number in numbers}
        wanted = frozenset(numbers)
        with self._again(path, Trouble(self.name)) as again:
            lines = enumerate(again.lines(form), 1)
            return {number: line for number, line in islice(lines, max(wanted)) if number in wanted}

    def lines(self, form: str) -> Iterator[int]:
        """The line on which each row begins."""
        rows = self._csv()[1] if form == "csv" else self._json_lines()
        return (line for line, _ in rows)

    def replay_rows(self, form: str, asked: _Asked) -> Summary:
        """The same, row by row."""
        found = replay(self.rows(form, asked.reading), asked.desk, **asked.options(), on_error=self.bad_row)
        if asked.keep is not None:
            asked.keep.add(found.actions)
        return found.summary

    def rows(self, form: str, reading: Reading) -> Iterator[object]:
        """The rows, as `casestate.replay.replay` takes them: one that cannot be read is none.

        Raises `LogError` for missing columns.
        """
        read = {"jsonl": self._json_rows, "csv": self._csv_rows, "parquet": self._parquet_rows}[form]
        for line, row in read(reading):
            self.at, self.unread = line, row if isinstance(row, BadRow) else None
            yield None if isinstance(row, BadRow) else row

    def bad_row(self, number: int, error: LogError) -> None:  # noqa: ARG002 - a line says more than a number
        """Name the row that was read last, and what is wrong with it."""
        if self.unread is not None:
            self.trouble.row(self.at, self.unread.problems)
        elif _lacks_a_zone(error):
            self.trouble.naive_row(self.at, error.problems[0])
        else:
            self.trouble.row(self.at, error.problems)

    def _is_of_cases(self, path: str, reading: Reading) -> bool:
        with Path(path).open("rb") as file:
            return _holds_cases(_json_names(file.readlines(_CHUNK)), reading)

    def _json_lines(
        self, chunks: Iterable[tuple[int, list[bytes]]] | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """The lines that are not blank, with their numbers."""
        for first, lines in self._chunks() if chunks is None else chunks:
            for line, text in enumerate(lines, first):
                if not text.isspace():
                    self.trouble.rows += 1
                    yield line, text

    def _json_rows(self, reading: Reading) -> Iterator[_LogRow]:
        blank: Mapping[str, object] = {}
        chunks = self._chunks()
        beginning = list(islice(chunks, 2))  # rows may leave out what they have none of
        names = _json_names(text for _, lines in beginning for text in lines)
        as_cases = _holds_cases(names, reading)
        for line, text in self._json_lines(chain(beginning, chunks)):
            try:
                values = _json_object(text)
                if as_cases:
                    yield line, self._case(values)
                    continue
                if not blank:
                    blank = dict.fromkeys(reading.columns(dict.fromkeys((*names, *values))).values())
                columns = {name: name for name in (*blank, *LEFT_OUT) if name in values}
                yield line, {**blank, **_json_fields(values, columns, tuple(columns))}
            except BadRow as bad:
                yield line, bad

    def _case(self, values: Mapping[str, msgspec.Raw]) -> Case:
        """A case with its history, which is a log too."""
        try:
            return Case.from_dict(_json_fields(values, self.trouble.columns(values), (*EVALUATED, *KEPT)))
        except CaseDataError as error:
            raise BadRow(*error.problems) from None

    def _csv_rows(self, reading: Reading) -> Iterator[_LogRow]:
        if not self.head:
            return
        header, rows = self._csv()
        try:
            wanted = reading.columns(header).values()
        except LogError as error:
            first, *others = error.problems
            hinted = Problem(first.path, f"{first.message}{_semicolons(header)}")
            raise LogError("log", [hinted, *others]) from None
        self._only_once(header, wanted)
        columns = [name if name in wanted else None for name in header]
        blank: Mapping[str, object] = dict.fromkeys(wanted)
        for line, cells in rows:
            try:
                yield line, {**blank, **_csv_fields(columns, cells)}
            except BadRow as bad:
                yield line, bad

    def _parquet_rows(self, reading: Reading) -> Iterator[_LogRow]:
        from casestate import frames  # noqa: PLC0415 - it is there: Parquet is read with nothing else

        frame = frames.scan_log(cast("str", self.path), "parquet")
        frame = frame.select(reading.columns(frame.collect_schema().names()).values())
        rows = (row for batch in frame.collect_batches() for row in batch.iter_rows(named=True))
        for self.trouble.rows, row in enumerate(rows, 1):
            yield self.trouble.rows, row


class _NotAsFrame(Exception):
    """A file is not to be read as a dataframe, or says more if it is read row by row."""


@attrs.frozen
class _Asked:
    """What is asked of a log."""

    desk: Workflow
    reading: Reading
    horizon: datetime | None
    lengths: Lengths
    keep: ActionFile | None

    def options(self) -> dict[str, Any]:
        """The arguments of a replay that say it."""
        return {
            "mapping": self.reading.map,
            "horizon": self.horizon,
            "restart": self.reading.restart,
            "zone": self.reading.zone,
            "lengths": self.lengths,
        }


def _lacks_a_zone(error: LogError) -> bool:
    """Whether a bad row lacks nothing but a time zone."""
    return isinstance(error, NaiveLogTimeError) and len(error.problems) == 1


def _nowhere(actions: object) -> None:
    """Where actions go that nobody wants."""


def _holds_cases(names: Container[str], reading: Reading) -> bool:
    """Whether rows with these names are cases with their histories: if no map says what they are."""
    return "history" in names and reading.map == LogMap()


def _json_names(lines: Iterable[bytes]) -> dict[str, None]:
    """The names that objects have, in the order in which they come."""
    names: dict[str, None] = {}
    for text in lines:
        with suppress(BadRow):
            names.update(dict.fromkeys(_json_object(text)))
    return names


class _Lines:
    """The lines of a CSV file. What follows a line that begins no row, as it turned out, is read again.

    So a quote that is not closed costs its own line only.
    """

    def __init__(self, number: int, lines: Iterator[bytes]) -> None:
        self.number = number
        self.lines = lines
        self.row: list[str] = []
        self.again: deque[str] = deque()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.again.popleft() if self.again else next(self.lines).decode("utf-8", "surrogateescape")
        self.row.append(line)
        self.number += 1
        return line

    def begin_row(self) -> int:
        """The number of the line that comes next."""
        self.row.clear()
        return self.number

    def read_again(self) -> None:
        """Go back to the second line of the row."""
        self.number -= len(self.row) - 1
        self.again.extendleft(reversed(self.row[1:]))


_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VALUE: Final = msgspec.json.Decoder()


def _json_object(text: bytes) -> Mapping[str, msgspec.Raw]:
    """A line of JSON as the text of its values: what is not wanted is not looked into."""
    try:
        text.decode()
        return _OBJECT.decode(text)
    except UnicodeDecodeError as error:
        raise BadRow(f"is not UTF-8: byte {text[error.start]:#04x} at column {error.start + 1}") from None
    except msgspec.DecodeError as error:
        raise BadRow(f"is no JSON object: {error}") from None
    except RecursionError:
        raise BadRow("is nested too deeply") from None


def _json_fields(
    values: Mapping[str, msgspec.Raw], columns: Mapping[str, str], wanted: Sequence[str]
) -> dict[str, object]:
    """The wanted fields; null is the same as absent."""
    fields: dict[str, object] = {}
    for column, field in columns.items():
        if field in wanted:
            try:
                value = _VALUE.decode(values[column])
            except msgspec.DecodeError as error:
                raise BadRow(f"{column}: {error}") from None
            if value is not None:
                fields[field] = value
    return fields


def _csv_fields(columns: Sequence[str | None], cells: list[str] | BadRow) -> dict[str, object]:
    """The cells of the columns that are read, by field; an empty cell is the same as none."""
    if isinstance(cells, BadRow):
        raise cells
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        raise BadRow("is not UTF-8") from None
    if len(cells) != len(columns):
        raise BadRow(f"has {len(cells)} cells where the first line has {len(columns)}")
    return {field: cell for field, cell in zip(columns, cells, strict=True) if cell and field}


class Sieve:
    """Tells the lines of JSON for which nothing can be due from those worth reading.

    Parsing into a typed row is cheap, and one look-up of the latest entry for
    which anything is due says that nearly every case can be dropped. What is
    unusual in any way passes: a wrong type, an unknown name, a field missing, an
    instant of another shape. So its rules may be narrower than those of
    `Case.from_dict`, and must never be wider.
    """

    def __init__(self, desks: Desks, now: datetime) -> None:
        self.desks = desks
        self.now = now
        self.latest: dict[tuple[str | None, str, str | None, str | None], datetime] = {}
        for name, desk in [(None, desks.default), *desks.named.items()]:
            table = schedules(desk.policy)
            sweep = Sweep(desk.policy.name, table.values(), now)
            for state, schedule in table.items():
                status, _, sub_status = state.partition(".")
                for settled in schedule.positions:
                    latest = sweep.latest[standing(desk.policy.name, state, settled)]
                    # A tick later, because msgspec rounds to the microsecond what we cut off.
                    key = (name, status, sub_status or None, settled)
                    self.latest[key] = min(latest, LAST - _TICK) + _TICK
        self.columns: dict[str, None] = {}
        """Those seen so far, in order: what parses fastest."""
        self.ignores = False
        self.decoder = self._decoder()

    def sift(self, first: int, lines: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        """The numbered ``lines`` that are worth reading; ``first`` is the number of the first."""
        if self.ignores and not _is_utf8(b"".join(lines)):  # what is ignored is not looked into
            yield from enumerate(lines, first)
            return
        decode, latest = self.decoder.decode, self.latest
        for number, line in enumerate(lines, first):
            try:
                row = decode(line)
                entered_at, settled, settled_at = row.entered_at, row.settled, row.settled_at
                if (
                    latest[row.policy, row.status, row.sub_status, settled] < entered_at <= LAST
                    and (settled is None) is (settled_at is None)
                    and (
                        settled is None
                        or entered_at < settled_at <= LAST
                        or (entered_at == settled_at and b"." not in line)  # equal to the last digit
                    )
                ):
                    continue
            except (msgspec.DecodeError, LookupError, TypeError, ValueError, RecursionError):
                pass
            yield number, line

    def lets_through(self, fields: Mapping[str, object]) -> bool:
        """Whether a row that is no line of JSON is worth reading: it is made one, so that one rule holds."""
        return any(True for _ in self.sift(0, [msgspec.json.encode(fields)]))

    def learn(self, columns: Iterable[str]) -> None:
        """From now on, let no row through only because it has the ``columns`` of one that has passed."""
        before = len(self.columns)
        for name in columns:
            if name not in self.columns and len(self.columns) < _MOST_NAMES and _PLAIN.fullmatch(name):
                self.columns[name] = None
        if len(self.columns) > before:
            self.decoder = self._decoder()

    def _decoder(self) -> msgspec.json.Decoder[Any]:
        """A decoder of what decides about a case, that refuses all columns not yet seen."""
        column = ID_ALIAS if ID_ALIAS in self.columns and "id" not in self.columns else "id"
        policies, statuses, sub_statuses, timers = map(_one_of, zip(*self.latest, strict=True))
        instant: Any = Annotated[datetime, msgspec.Meta(tz=True)]
        count: Any = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
        types: dict[str, tuple[Any, ...]] = {
            column: (Annotated[str, msgspec.Meta(min_length=1)],),
            "status": (statuses,),
            "sub_status": (sub_statuses, None),
            "entered_at": (instant,),
            "policy": (policies, None),
            "stay": (count | None, None),
            "settled": (timers, None),
            "settled_at": (instant | None, None),
        }
        names = dict.fromkeys([*self.columns, *types])
        self.ignores = len(names) > len(types)
        # A column may have any name, a field of a class may not.
        fields = {name if name in types else f"ignored_{number}": name for number, name in enumerate(names)}
        row = msgspec.defstruct(
            "Row",
            [(field, *types.get(name, (msgspec.Raw, msgspec.Raw()))) for field, name in fields.items()],
            rename=fields,
            forbid_unknown_fields=len(self.columns) < _MOST_NAMES,
            kw_only=True,
            gc=False,
        )
        return msgspec.json.Decoder(row)


def _one_of(names: Iterable[str | None]) -> Any:  # noqa: ANN401 - a type made at run time
    return cast("Any", Literal)[(*sorted({name for name in names if name is not None}), None)]


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


# --- evaluating --------------------------------------------------------------


class Desks:
    """The workflows that rows may name: those given and the built-in ones.

    The first one given serves rows that name none.
    """

    def __init__(self, given: Sequence[Policy]) -> None:
        names = [policy.name for policy in given]
        for name in names:
            if names.count(name) > 1:
                raise click.UsageError(f"two policies with the name {name!r} were given")
        found = {name: load_policy(name) for name in BUILT_IN if name not in names}
        self.named = {policy.name: Workflow(policy) for policy in (*given, *found.values())}
        self.default = self.named[names[0] if names else DEFAULT_POLICY]

    def of(self, name: str | None) -> Workflow:
        if name is None:
            return self.default
        if name not in self.named:
            raise BadRow(
                f"policy: unknown policy {name!r}{nearest(name, self.named)} "
                f"(there are: {one_of(self.named)}; give others with --policy)"
            )
        return self.named[name]

    def each(
        self, rows: Iterable[_Row], trouble: Trouble, answer: Callable[[Workflow, Case], Iterable[_T]]
    ) -> Iterator[_T]:
        """What ``answer`` makes of each case, in order; the rows that are bad are reported."""
        for line, fields in rows:
            try:
                case = Case.from_dict(fields)
                answers = list(answer(self.of(case.policy), case))
            except CaseDataError as error:
                trouble.row(line, error.problems)
            except CasestateError as error:
                trouble.row(line, [str(error).removeprefix(f"case {fields['id']!r}: ")])
            except BadRow as bad:
                trouble.row(line, bad.problems)
            else:
                yield from answers


def of_case(rows: Iterable[_Row], case_id: str | None, file: str) -> Iterator[_Row]:
    """The rows of one case, if one is asked for."""
    found = case_id is None
    for line, fields in rows:
        if case_id is None or fields.get("id") == case_id:
            found = True
            yield line, fields
    if not found:
        raise Unfulfilled(f"{file}: no case has the id {case_id!r}")
