"""Cases and logs as they stand in files: the rows, and which of them are worth reading.

Lines are read as a stream: a million cases need no more memory than a thousand.
A row is understood in one place only: that of a case in `Case.from_dict`, that of a log of the past in
`casestate.log`. Before that a `Sieve` drops the cases for which nothing can be due, at hardly more than
the price of parsing them; what it does not fully understand it lets through.
"""

from __future__ import annotations

import csv
import os
import re
import sys

from collections import deque
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from shutil import copyfileobj
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final, Literal, TypeAlias, TypeVar, cast

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
from casestate.log import LogMap
from casestate.render import visible
from casestate.schedule import Sweep, schedules
from casestate.workflow import Workflow


if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from casestate.log import Reading
    from casestate.policy import Policy

__all__ = [
    "DEFAULT_POLICY",
    "EVALUATED",
    "CaseFile",
    "Desks",
    "Failure",
    "LogFile",
    "Sieve",
    "Trouble",
    "Unfulfilled",
    "of_case",
    "opened",
    "replacing",
]

_T = TypeVar("_T")
_F = TypeVar("_F", bound="RowFile")
_Row: TypeAlias = "tuple[int, dict[str, object]]"
"""The number of a row's line, and the fields of its case."""
_LogRow: TypeAlias = "tuple[int, dict[str, object] | Case | BadRow]"
"""The same of a log, whose rows may be whole cases, or not to be read."""

DEFAULT_POLICY: Final = "sub-status"
EVALUATED: Final = ("id", "status", "sub_status", "entered_at", "policy", "stay", "settled", "settled_at")
"""The fields of a case that name it, or decide what is due."""
KEPT: Final = ("previous", "assignee", "opened_at", "cloned_from", "clones", "history")
"""The other fields of a case: they may be there, and are not read."""
REQUIRED: Final = ("id", "status", "entered_at")
ID_ALIAS: Final = "case_id"

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
        self.naive += 1
        if self.naive <= _MOST_NAIVE:
            self.row(line, [problem])
        else:
            self.bad += 1

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
            self.say(
                f"{self.file}: {more:,} more rows have an instant without a time zone: --zone says which"
            )
        if self.bad:
            self.say(f"{self.file}: {self.bad:,} of {self.rows:,} rows are bad")
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

    Raises `Failure` if it cannot be written.
    """
    place = Path(os.path.realpath(path))
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(place)
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


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
        file = kind("<stdin>" if path == "-" else path, lines, None if path == "-" else path)
        size = None if path == "-" else os.fstat(lines.fileno()).st_size
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
        return b"".join(self._read(1))

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
    """A file of a log of the past; see `casestate.log`."""

    def __init__(self, name: str, stream: BinaryIO, path: str | None = None) -> None:
        super().__init__(name, stream, path)
        self.at = 0
        """The line of the row that was read last."""
        self.unread: BadRow | None = None
        """Why that row could not even be read."""

    def rows(self, form: str | None, reading: Reading) -> Iterator[object]:
        """The rows, as `casestate.replay.replay` takes them: one that cannot be read is none.

        Raises `LogError` for missing columns.
        """
        form = self.form(form)
        read = self._json_rows if form == "jsonl" else self._csv_rows
        for line, row in read(reading):
            self.at, self.unread = line, row if isinstance(row, BadRow) else None
            yield None if isinstance(row, BadRow) else row

    def bad_row(self, number: int, error: LogError) -> None:  # noqa: ARG002 - a line says more than a number
        """Name the row that was read last, and what is wrong with it."""
        if self.unread is not None:
            self.trouble.row(self.at, self.unread.problems)
        elif isinstance(error, NaiveLogTimeError) and len(error.problems) == 1:
            self.trouble.naive_row(self.at, error.problems[0])
        else:
            self.trouble.row(self.at, error.problems)

    def _json_rows(self, reading: Reading) -> Iterator[_LogRow]:
        blank: dict[str, object] = {}
        chunks = self._chunks()
        beginning = list(islice(chunks, 2))  # rows may leave out what they have none of
        names = _json_names(text for _, lines in beginning for text in lines)
        as_cases = "history" in names and reading.map == LogMap()
        for first, lines in chain(beginning, chunks):
            for line, text in enumerate(lines, first):
                if text.isspace():
                    continue
                self.trouble.rows += 1
                try:
                    values = _json_object(text)
                    if as_cases:
                        yield line, self._case(values)
                        continue
                    if not blank:
                        blank = dict.fromkeys(reading.columns(dict.fromkeys((*names, *values))).values())
                    columns = {name: name for name in blank if name in values}
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
        blank = dict.fromkeys(wanted)
        for line, cells in rows:
            try:
                yield line, {**blank, **_csv_fields(columns, cells)}
            except BadRow as bad:
                yield line, bad


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
