"""The rows of files of cases: the sieve drops none that matters, and no form of a file hides a row."""

from __future__ import annotations

import csv
import io
import json

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import pytest

from hypothesis import given
from hypothesis import strategies as st

from builders import TICK
from casestate import load_policy, rows
from casestate.rows import CaseFile, Desks, Failure, Sieve
from casestate.testing import strategies


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from casestate import Action

NOW: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
GOOD: Final = '{"id": "C-1", "status": "closed", "entered_at": "2026-11-01T00:00:00Z"}'


class Evaluated:
    """What became of a file of cases."""

    def __init__(self, data: bytes, *, sieve: bool, desks: Desks, now: datetime = NOW) -> None:
        self.said: list[str] = []
        file = CaseFile("cases", io.BytesIO(data))
        with patch.object(file.trouble, "say", self.said.append):
            found = file.rows(None, sieve=Sieve(desks, now) if sieve else None)
            self.actions: list[Action] = list(
                desks.each(found, file.trouble, lambda desk, case: desk.due([case], now=now))
            )
            self.exit_code = file.trouble.finish()
        self.bad = file.trouble.bad
        self.rows = file.trouble.rows

    def all(self) -> tuple[object, ...]:
        return (self.actions, self.said, self.exit_code, self.bad, self.rows)


def evaluated(*lines: str | bytes, **options: Any) -> Evaluated:  # noqa: ANN401 - those of `Evaluated`
    data = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
    return Evaluated(data, **{"sieve": True, "desks": Desks([]), **options})


# --- the sieve ---------------------------------------------------------------


def put_oddly(moment: datetime, form: int) -> str:
    """An instant in one of the ways that somebody may write it, some of them wrong."""
    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds")
    offset = timedelta(hours=5, minutes=30)
    try:
        shifted = (moment.replace(tzinfo=None) + offset).isoformat()
    except OverflowError:
        shifted = text
    return (
        f"{text}Z",
        f"{text}z",
        f"{text.replace('T', 't')}Z",
        f"{text.replace('T', ' ')}Z",
        f"{text}4Z",
        f"{text}5Z",
        f"{text}999Z",
        f"{text}+00:00",
        f"{text}-00:00",
        f"{shifted}+05:30",
        f"{shifted}+0530",
        f"{text}+23:59",
        f"{text}-23:59",
        f"{text}+24:00",
        f"{text}+00:00:30",
        text,
        f"{text[:19]}Z",
        f"{text[:16]}Z",
        f"{text[:10]}",
        f"{text[:19]},5Z",
        text.replace("-", "").replace(":", "") + "Z",
        f"{text} Z",
        "2026-13-01T00:00:00Z",
        "2026-11-01T24:00:00Z",
        "2026-11-01T00:00:60Z",
        "",
        "soon",
    )[form % 27]


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


WAITS: Final = tuple(timedelta(days=days) for days in (0, 1, 7, 14, 28, 3, 90))
ODD_VALUES: Final = (
    "null",
    '""',
    "true",
    "17",
    "1.0",
    "1e2",
    "0",
    "-1",
    "123456789012345678901234567890",
    "1e999",
    "NaN",
    "01",
    "[]",
    "{}",
    '["x"]',
    '"\\ud800"',
    '"\\u0063losed"',
    '"closed "',
    '"\x01"',
    '"\\q"',
)


@st.composite
def instants(draw: st.DrawFn) -> str:
    """Near the instants that decide about a case, and at the ends of time."""
    moment = NOW - draw(st.sampled_from(WAITS)) + TICK * draw(st.integers(-2, 2))
    at_the_end = draw(st.integers(0, 11))
    if at_the_end == 0:
        moment = datetime.min.replace(tzinfo=UTC) + TICK * draw(st.integers(0, 1))
    elif at_the_end == 1:
        moment = datetime.max.replace(tzinfo=UTC) - TICK * draw(st.integers(0, 1))
    form = draw(st.just(0) | st.integers(0, 26))
    return quoted(put_oddly(moment, form))


def values(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from([quoted(text) for text in texts])


USUAL: Final[Mapping[str, st.SearchStrategy[str]]] = {
    "id": values("C-1", "é", "a\nb"),
    "status": values("pending", "closed", "new", "awaiting_customer_confirmation", "resolved", "waiting"),
    "sub_status": st.just("null") | values("customer_input", "development", "phone"),
    "entered_at": instants(),
    "policy": st.just("null") | values("sub-status", "open-resolved", "own", "other"),
    "stay": st.sampled_from(("1", "3")),
    "settled": st.just("null")
    | values("remind_customer", "notify_awaiting", "nag", "nag#2", "close_pending"),
    "settled_at": st.just("null") | instants(),
    "previous": values("new"),
    "clones": st.just("[]"),
    "history": st.sampled_from(("[]", '[{"at": "never"}]', '[[["' + "x" * 30 + '"]]]')),
    "case_id": values("C-2"),
    "subject": values("help", "\ufeff"),
    "st\\u0061y": st.sampled_from(("2", "0")),
}
FIELDS: Final = tuple(USUAL)
NEEDED: Final = ("id", "status", "entered_at")
LIKELY: Final = ("sub_status", "policy", "settled", "settled_at")


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """A row of JSON: most of them are nearly right."""
    names = [name for name in NEEDED if draw(st.integers(0, 19))]
    names += [name for name in LIKELY if draw(st.booleans())]
    names += draw(st.lists(st.sampled_from(FIELDS), max_size=2))
    pairs = []
    for name in names:
        value = draw(USUAL[name] if draw(st.integers(0, 14)) else st.sampled_from(ODD_VALUES))
        pairs.append(f'"{name}": {value}')
    if draw(st.integers(0, 9)) == 0:
        pairs = list(draw(st.permutations(pairs)))
    return ("{" + ", ".join(pairs) + "}").encode()


def spoilt(line: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from(
        (
            line[:-1],
            line + b"}",
            line + line,
            b" " + line + b"\r",
            line.replace(b"C-1", b"\xff"),
            line[:-1] + b', "subject": "\xff"}',
            line[:-1] + b', "subject": ' + b"[" * 5000 + b"]" * 5000 + b"}",
            b"[" + line + b"]",
            b"",
            b"  \t",
            b"null",
        )
    )


ODD_NAMES: Final = ('"', "\\", "\n", "\x00", "", "id", "case_id", "ignored_0", "self", "é", "$", "history")
LINES: Final = st.lists(objects() | objects().flatmap(spoilt), min_size=1, max_size=8)


def own_policy() -> Mapping[str, object]:
    """A desk of its own: repeats, notice, calendar days, and a name for its sub-statuses."""
    return {
        "format": 1,
        "name": "own",
        "initial": "new",
        "calendar": {"zone": "Europe/Berlin"},
        "statuses": {
            "new": {},
            "pending": {"sub_statuses": {"phone": {}, "customer_input": {}}},
            "waiting": {},
            "closed": {"closed": True},
        },
        "timers": {
            "nag": {
                "in": ["waiting", "pending"],
                "kind": "remind",
                "after": {"days": 1},
                "repeat": {"every": {"days": 6}, "times": 2},
                "notice": {"days": 3},
            },
            "close": {
                "in": ["waiting"],
                "after": {"calendar_days": 14},
                "to": "closed",
                "notice": {"days": 1},
            },
        },
    }


@given(lines=LINES, given_=st.sampled_from(((), ("own",))), chunk=st.sampled_from((1, 200, 1 << 17)))
def test_the_sieve_changes_nothing_about_what_is_found(
    lines: list[bytes], given_: tuple[str, ...], chunk: int
) -> None:
    desks = Desks([load_policy({**own_policy(), "name": name}) for name in given_])
    data = b"\n".join([GOOD.encode(), *lines])
    with patch.object(rows, "_CHUNK", chunk):
        sieved, plain = (Evaluated(data, sieve=sieve, desks=desks).all() for sieve in (True, False))
    assert sieved == plain


@given(policy=strategies.policies(), data=st.data())
def test_the_sieve_changes_nothing_for_any_policy_and_its_cases(policy: Any, data: st.DataObject) -> None:  # noqa: ANN401
    desks = Desks([policy])
    cases = data.draw(st.lists(strategies.cases(policy, extreme=True), max_size=5))
    now = data.draw(strategies.instants(policy.calendar.zone, extreme=True))
    lines = b"".join(json.dumps(case.to_dict()).encode() + b"\n" for case in cases)
    sieved, plain = (Evaluated(lines, sieve=sieve, desks=desks, now=now).all() for sieve in (True, False))
    assert sieved == plain
    assert sieved[0] == list(desks.default.due(cases, now=now))


@given(lines=LINES)
def test_the_sieve_changes_nothing_about_rows_of_csv(lines: list[bytes]) -> None:
    text = io.StringIO()
    names = ("id", *LIKELY, "status", "entered_at", "stay", "subject")
    writer = csv.writer(text)
    writer.writerow(names)
    for line in lines:
        try:
            row = json.loads(line)
            writer.writerow([row.get(name) for name in names])
        except (ValueError, AttributeError, RecursionError):
            text.write(line.decode("utf-8", "replace") + "\r\n")
    data = text.getvalue().encode("utf-8", "replace")
    sieved, plain = (Evaluated(data, sieve=sieve, desks=Desks([])).all() for sieve in (True, False))
    assert sieved == plain


def sifted(*lines: str, desks: Desks | None = None, columns: Iterable[str] = ()) -> list[int]:
    """The places of the lines that the sieve lets through, once it knows the ``columns``."""
    sieve = Sieve(desks or Desks([]), NOW)
    sieve.learn(columns)
    return [number for number, _ in sieve.sift(0, [line.encode() for line in lines])]


def test_the_sieve_drops_what_is_not_due() -> None:
    row: dict[str, object] = {"id": "C-1", "status": "new", "entered_at": "2020-01-01T00:00:00Z"}
    waiting = {**row, "status": "pending", "sub_status": "customer_input"}
    fresh = {**waiting, "entered_at": "2026-11-19T00:00:00Z", "assignee": None, "history": [1]}
    late = {**fresh, "entered_at": "2026-11-10T00:00:00Z"}
    reminded = {**late, "settled": "remind_customer", "settled_at": "2026-11-17T00:00:00Z"}
    at_once = {
        **row,
        "status": "reopened",
        "settled": "notify_reopened",
        "settled_at": "2020-01-01T01:00:00+01:00",
    }
    lines = [json.dumps(fields) for fields in (row, fresh, late, reminded, at_once)]
    assert sifted(*lines, columns=reminded) == [2]


IDLE: Final[Mapping[str, object]] = {"id": "C-1", "status": "closed", "entered_at": "2026-11-20T00:00:00Z"}
NOTIFIED: Final = {**IDLE, "settled": "notify_closed", "settled_at": "2026-11-20T00:00:00Z"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**IDLE, "entered_at": "9999-12-31T23:59:59-05:00"}, "entered_at: "),
        ({**IDLE, "entered_at": "0001-01-01T00:00:00+05:00"}, "entered_at: "),
        ({**IDLE, "entered_at": "2026-11-20T00:00:00"}, "entered_at: "),
        ({**IDLE, "settled": "notify_closed"}, "settled_at: is missing"),
        ({**IDLE, "settled_at": "2026-11-20T00:00:00Z"}, "settled: is missing"),
        ({**NOTIFIED, "settled_at": "9999-12-31T23:59:59-05:00"}, "settled_at: "),
        ({**NOTIFIED, "settled_at": "2026-11-19T23:59:59.999999Z"}, "is before the stay began"),
        # Both are one microsecond to msgspec, which rounds; to us, who cut off, the first is none.
        (
            {
                **NOTIFIED,
                "settled_at": "2026-11-20T00:00:00.0000009Z",
                "entered_at": "2026-11-20T00:00:00.000001Z",
            },
            "is before the stay began",
        ),
        ({**IDLE, "stay": 0}, "stay: "),
        ({**IDLE, "stay": 1.0}, "stay: "),
        ({**IDLE, "stay": 1 << 63}, "stay: "),
        ({**IDLE, "stay": 10**30}, "stay: "),
        ({**IDLE, "id": ""}, "id: "),
        ({**IDLE, "policy": ""}, "policy: "),
        ({**IDLE, "sub_status": ""}, "sub_status: "),
        ({**IDLE, "sub_status": "customer_input"}, "sub_status of closed: "),
        ({**IDLE, "settled": "close_pending", "settled_at": "2026-11-20T00:00:00Z"}, "settled: "),
    ],
)
def test_the_sieve_drops_no_row_that_is_bad(row: Mapping[str, object], said: str) -> None:
    found = evaluated(json.dumps(row))
    assert (found.actions, found.exit_code) == ([], 1)
    assert said in found.said[0]


def test_the_sieve_drops_no_row_that_is_due_to_the_last_digit() -> None:
    due, waiting = "2026-11-19T12:00:00.0000009Z", "2026-11-19T12:00:00.000001Z"
    assert len(evaluated(json.dumps({**IDLE, "entered_at": due})).actions) == 1
    assert evaluated(json.dumps({**IDLE, "entered_at": waiting})).actions == []


def test_a_row_nested_beyond_measure_is_a_bad_one_wherever_the_nest_is() -> None:
    for name in ("history", "subject", "stay"):
        line = json.dumps(IDLE)[:-1] + f', "{name}": ' + "[" * 9000 + "]" * 9000 + "}"
        assert evaluated(GOOD, line, GOOD).said == [
            "cases:2: is nested too deeply",
            "cases: 1 of 3 rows are bad",
        ]


def test_the_sieve_lets_rows_with_unknown_columns_through_until_it_knows_them() -> None:
    line = '{"id": "C-1", "status": "new", "entered_at": "2020-01-01T00:00:00Z", "a b": {"x": [1]}}'
    assert sifted(line) == [0]
    assert sifted(line, columns=["a b"]) == []
    alias = line.replace('"id"', '"case_id"')
    assert sifted(alias, columns=["a b"]) == [0]
    assert sifted(alias, columns=["case_id", "a b"]) == []


@given(names=st.lists(st.text(min_size=0, max_size=3).filter(str.isprintable) | st.sampled_from(ODD_NAMES)))
def test_a_column_may_have_any_name(names: list[str]) -> None:
    line = json.dumps({**IDLE, **dict.fromkeys(names, 1)})
    found = evaluated(line, line, GOOD)
    others = [name for name in dict.fromkeys(names) if name not in (*rows.EVALUATED, *rows.KEPT)]
    assert ("ignored" in "".join(found.said)) == bool(others)
    assert found.bad == 0 or not set(names).isdisjoint(rows.EVALUATED)


def test_the_sieve_gives_up_on_names_when_there_are_too_many() -> None:
    names = [f"column_{number}" for number in range(60)]
    line = '{"id": "C-1", "status": "new", "entered_at": "2020-01-01T00:00:00Z", "yet_another": 1}'
    assert sifted(line, columns=names[:59]) == [0]
    assert sifted(line, columns=names) == []


def test_what_is_no_utf8_is_let_through_wherever_that_is() -> None:
    sieve = Sieve(Desks([]), NOW)
    idle = '{"id": "é", "status": "new", "entered_at": "2020-01-01T00:00:00Z"}'.encode()
    broken = idle.replace("é".encode(), b"\xff")
    assert list(sieve.sift(7, [idle, broken, idle])) == [(8, broken)]
    sieve.learn(["subject"])
    ignored = idle[:-1] + b', "subject": "\xff"}'
    assert list(sieve.sift(7, [idle, idle])) == []
    assert (9, ignored) in list(sieve.sift(7, [idle, idle, ignored]))


# --- rows of JSON ------------------------------------------------------------


def test_each_bad_row_is_named_by_line_and_field_and_every_good_one_is_evaluated() -> None:
    found = evaluated(
        GOOD,
        '{"id": "C-2", "status": "closed"}',
        "",
        '{"id": 17, "status": "closed", "entered_at": "2026-11-01T00:00:00"}',
        '{"id": "C-4", "status": "clsed", "entered_at": "2026-11-01T00:00:00Z"}',
        '{"id": "C-5", "status": "pending", "sub_status": "costumer_input", "entered_at": "2026-11-01 00Z"}',
        '{"id": "C-6", "status": "closed", "entered_at": "2026-11-01T00:00:00Z", "settled": "notify_closed"}',
        '{"id": "C-7", "status": "closed", "entered_at": "2026-11-01T00:00:00Z", "policy": "open-resloved"}',
        "{",
        b'{"id": "\xff"}',
        '{"id": "C-10", "status": "closed", "entered_at": "2026-11-01T00:00:00Z", "stay": 1e999}',
        '{"x": ' + "[" * 9000 + "]" * 9000 + "}",
        GOOD.replace("C-1", "C-12"),
        sieve=True,
    )
    assert [action.case_id for action in found.actions] == ["C-1", "C-12"]
    assert found.exit_code == 1
    assert (found.rows, found.bad) == (12, 10)
    places = [text.split(": ", 2)[:2] for text in found.said]
    assert places == [
        ["cases:2", "entered_at"],
        ["cases:4", "id"],
        ["cases:4", "entered_at"],
        ["cases:5", "status"],
        ["cases:6", "sub_status of pending"],
        ["cases:7", "settled_at"],
        ["cases:8", "policy"],
        ["cases:9", "is no JSON object"],
        ["cases:10", "is not UTF-8"],
        ["cases:11", "stay"],
        ["cases:12", "is nested too deeply"],
        ["cases", "10 of 12 rows are bad"],
    ]
    said = "\n".join(found.said)
    assert "has no time zone" in said
    assert "did you mean 'closed'?" in said
    assert "did you mean 'customer_input'?" in said
    assert (
        "did you mean 'open-resolved'? (there are: sub-status, open-resolved; give others with --policy)"
        in said
    )
    assert "is not UTF-8: byte 0xff at column 9" in said


def test_null_is_the_same_as_absent() -> None:
    names = ("sub_status", "policy", "stay", "settled", "settled_at", "previous", "history")
    row = json.loads(GOOD) | dict.fromkeys(names)
    (action,) = evaluated(json.dumps(row)).actions
    assert (action.stay, action.timer) == (1, "notify_closed")
    assert evaluated(json.dumps(row | {"status": None})).said[0] == "cases:1: status: is missing"


def test_case_id_stands_for_id_where_there_is_none() -> None:
    alias = GOOD.replace('"id"', '"case_id"')
    both = alias.replace("{", '{"id": "C-2", ')
    found = evaluated(alias, alias.replace("C-1", "C-3"), both)
    assert [action.case_id for action in found.actions] == ["C-1", "C-3", "C-2"]
    assert found.said == ["note: cases: columns that no case has are ignored: 'case_id'"]


def test_columns_that_no_case_has_are_ignored_with_one_note() -> None:
    line = GOOD[:-1] + ', "priority": 3, "setled_at": null, "assignee": 7, "history": "?"}'
    found = evaluated(line, line, GOOD[:-1] + ', "queue": "x"}')
    assert len(found.actions) == 3
    (note,) = found.said
    assert note == (
        "note: cases: columns that no case has are ignored: 'priority', "
        "'setled_at' (did you mean 'settled_at'?), 'queue'"
    )
    assert found.exit_code == 0


def test_the_note_names_sixty_columns_at_most() -> None:
    lines = [GOOD[:-1] + f', "zq{number}": 1' + "}" for number in range(70)]
    found = evaluated(*lines)
    assert len(found.actions) == 70
    assert "'zq59'" in found.said[0]
    assert "'zq60'" not in found.said[0]


def test_line_numbers_count_every_line_whatever_the_size_of_the_chunks() -> None:
    lines = ["", " \t ", GOOD, "", "{", "", GOOD, "{"]
    for chunk in (1, 100, 1 << 17):
        with patch.object(rows, "_CHUNK", chunk):
            found = evaluated(*lines)
        assert [text.split(": ")[0] for text in found.said[:2]] == ["cases:5", "cases:8"]
        assert found.said[2] == "cases: 2 of 4 rows are bad"
        assert len(found.actions) == 2


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_cases() -> None:
    assert len(evaluated(b"\xef\xbb\xbf" + GOOD.encode() + b"\r", GOOD + "\r").actions) == 2
    table = b"\xef\xbb\xbfid,status,entered_at\r\nC-1,closed,2026-11-01T00:00:00Z\r\n"
    assert len(Evaluated(table, sieve=True, desks=Desks([])).actions) == 1


def test_a_file_without_a_case_is_said_to_be_one() -> None:
    for data in (b"", b"\n \n", b"id,status,entered_at\n", b"\xef\xbb\xbf"):
        found = Evaluated(data, sieve=True, desks=Desks([]))
        assert (found.actions, found.said, found.exit_code) == ([], ["note: cases: no cases"], 0)


def test_a_row_as_long_as_a_book_is_read() -> None:
    line = GOOD[:-1] + ', "history": [' + ",".join(["{}"] * 300_000) + "]}"
    assert len(evaluated(line).actions) == 1


# --- rows of CSV -------------------------------------------------------------

HEADER: Final = "id,status,sub_status,entered_at,stay,settled,settled_at,policy"


def table(*lines: str | bytes, header: str = HEADER, **options: Any) -> Evaluated:  # noqa: ANN401
    return evaluated(header, *lines, **options)


def test_empty_cells_mean_none_and_a_stay_is_a_number() -> None:
    found = table(
        "C-1,closed,,2026-11-01T00:00:00Z,7,,,", "C-2,pending,customer_input,2026-11-01T00:00:00Z,,,,"
    )
    assert [(action.case_id, action.stay, action.timer) for action in found.actions] == [
        ("C-1", 7, "notify_closed"),
        ("C-2", 1, "remind_customer"),
    ]


@pytest.mark.parametrize("stay", ["0", "x", "1.0", "-1", " 3", "1_0", "٣", "9" * 5000])
def test_a_stay_that_is_no_number_is_refused(stay: str) -> None:
    found = table(f"C-1,closed,,2026-11-01T00:00:00Z,{stay},,,")
    assert found.actions == []
    assert found.said[0].startswith("cases:2: stay: must be a whole number from 1 on, not ")


def test_bad_rows_of_csv_are_named_and_the_others_evaluated() -> None:
    good = "{},closed,,2026-11-01T00:00:00Z,,,,"
    found = table(
        good.format("C-1"),
        "C-2,closed",
        good.format("C-3") + ",too much",
        b"C-\xff,closed,,2026-11-01T00:00:00Z,,,,",
        "",
        good.format('"C-6'),
        good.format("C-7"),
        good.format('"C-8\nof two lines"'),
        good.format('"C-10"x'),
        good.format("C-11"),
        "C-12,closed,,2026-11-01,,,,",
        good.format('"C-13'),
    )
    assert [action.case_id for action in found.actions] == ["C-1", "C-7", "C-8\nof two lines", "C-11"]
    assert [text.split(": ")[0] for text in found.said] == [
        *(f"cases:{line}" for line in (3, 4, 5, 7, 11, 13, 14)),
        "cases",
    ]
    assert found.said[0] == "cases:3: has 2 cells where the first line has 8"
    assert found.said[1] == "cases:4: has 9 cells where the first line has 8"
    assert found.said[2] == "cases:5: is not UTF-8"
    assert found.said[3].startswith("cases:7: is not CSV: ")
    assert found.said[5].startswith("cases:13: entered_at: ")
    assert found.said[-1] == "cases: 7 of 11 rows are bad"


def test_an_unclosed_quote_loses_no_row_of_a_long_file() -> None:
    lines = [f"C-{number},closed,,2026-11-01T00:00:00Z,,,," for number in range(6000)]
    lines[10] = f'"{lines[10]}'
    found = table(*lines)
    assert len(found.actions) == 5999
    assert [text.split(": ")[0] for text in found.said] == ["cases:12", "cases"]


def test_a_cell_may_hold_a_whole_correspondence() -> None:
    found = evaluated("id,status,entered_at,thread", f"C-1,closed,2026-11-01T00:00:00Z,{'x' * 900_000}")
    assert len(found.actions) == 1
    found = evaluated("id,status,entered_at,thread", f"C-1,closed,2026-11-01T00:00:00Z,{'x' * 1_100_000}")
    assert found.said[0].startswith("cases:2: is not CSV: field larger than field limit")


def test_columns_may_stand_in_any_order_under_either_name() -> None:
    found = evaluated(" entered_at ,queue,case_id,status", "2026-11-01T00:00:00Z,x,C-1,closed")
    assert [action.case_id for action in found.actions] == ["C-1"]
    assert found.said == ["note: cases: columns that no case has are ignored: 'queue'"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"id,state,entered_at\n", "CSV without the columns status; did you mean 'state'?"),
        (b"a,b\n", "CSV without the columns id, status, entered_at (there are: a, b)"),
        (b"id;status;entered_at\n", "cells are separated by commas, not semicolons"),
        (b"id,status,entered_at,status\n", "the column status is there twice"),
        (b"id,status,entered_at,\xff\n", "is not UTF-8"),
        (b'"id,status', "neither JSON Lines nor CSV: unexpected end of data"),
        (b'{"id"\0}\n', "is not UTF-8 text: its first line has zero bytes"),
        ("id,status".encode("utf-16"), "is UTF-16, not UTF-8"),
        ("id,status".encode("utf-16-be"), "zero bytes"),
        (b"\xfe\xff\0i", "is UTF-16, not UTF-8"),
        (b"PAR1\x15\x04", "cannot be read as Parquet: "),
        (b'[{"id": 1}]', "is one JSON array: convert it to JSON Lines"),
        (b"\x1f\x8b\x08", "is compressed"),
        (b"hello", "CSV without the columns id, status, entered_at (there are: hello)"),
    ],
)
def test_what_is_no_file_of_cases_is_said_at_once(data: bytes, problem: str) -> None:
    with pytest.raises(Failure) as failed:
        Evaluated(data, sieve=True, desks=Desks([]))
    assert failed.value.exit_code == 2
    assert failed.value.message.startswith("cases: ")
    assert problem in failed.value.message


class Breaking(io.BytesIO):
    """A file on a disk that fails after a while."""

    def __init__(self, data: bytes, good: int) -> None:
        super().__init__(data)
        self.good = good

    def fail_soon(self) -> None:
        self.good -= 1
        if self.good < 0:
            raise OSError(5, "Input/output error")

    def readline(self, size: int | None = -1, /) -> bytes:
        self.fail_soon()
        return super().readline(size)

    def readlines(self, size: int | None = -1, /) -> list[bytes]:
        self.fail_soon()
        return super().readlines(size)


@pytest.mark.parametrize("good", [0, 1, 2])
def test_a_disk_that_fails_is_said_to(good: int) -> None:
    with pytest.raises(Failure, match=r"^cases: cannot be read: Input/output error$"):
        list(CaseFile("cases", Breaking(GOOD.encode() * 3, good)).rows(None))


def test_blank_lines_before_the_first_row_are_counted_as_lines() -> None:
    found = CaseFile("cases", io.BytesIO(b"\n \n\n" + GOOD.encode()))
    assert [line for line, _ in found.rows(None)] == [4]


# --- workflows ---------------------------------------------------------------


def due_by(desks: Desks, rows_: Iterable[str]) -> list[tuple[str, str]]:
    found = evaluated(*rows_, desks=desks)
    return [(action.case_id, action.timer) for action in found.actions]


def test_a_row_is_evaluated_by_the_policy_that_it_names() -> None:
    waiting = '{"id": "%s", "status": "pending_customer", "entered_at": "2026-11-01T00:00:00Z", "policy": %s}'
    lines = [
        waiting % ("A", '"open-resolved"'),
        GOOD,
        GOOD.replace("C-1", "B").replace("}", ', "policy": "sub-status"}'),
    ]
    assert due_by(Desks([]), lines) == [
        ("A", "close_pending"),
        ("C-1", "notify_closed"),
        ("B", "notify_closed"),
    ]


def test_the_first_policy_given_serves_rows_that_name_none() -> None:
    own, other = load_policy(own_policy()), load_policy({**own_policy(), "name": "other"})
    line = '{"id": "A", "status": "waiting", "entered_at": "2026-11-19T00:00:00Z"}'
    for given_first in (own, other):
        desks = Desks([given_first, other if given_first is own else own])
        assert desks.default.policy == given_first
        assert due_by(desks, [line, line.replace("}", ', "policy": "own"}')]) == [("A", "nag"), ("A", "nag")]
    assert list(Desks([own]).named) == ["own", "sub-status", "open-resolved"]


def test_a_given_policy_goes_before_the_built_in_one_of_its_name() -> None:
    own = load_policy({**own_policy(), "name": "sub-status"})
    desks = Desks([own])
    assert desks.of("sub-status").policy == own
    assert sorted(desks.named) == ["open-resolved", "sub-status"]
