"""Which test stands for which sentence of the two documents: the tables of docs/conformance.md.

A test names its requirement and quotes the sentence with `requirement`. To write
the tables anew after a change, run from the root of the repository:

    python tests/conformance.py
"""

from __future__ import annotations

import importlib
import inspect

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar


HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "conformance.md"
DOCUMENTS = HERE.parent.parent / "shared" / "workflows"

CELL = " | "
"""Between the cells of a table's row, which the documents run together."""

_Test = TypeVar("_Test", bound=Callable[..., object])


class Document(NamedTuple):
    """One of the two documents, and the tests of it."""

    name: str
    module: str
    numbers: tuple[str, ...]


SUB_STATUS = Document(
    "sub-status", "test_sub_status_document", tuple(f"A{number}" for number in range(1, 19))
)
OPEN_RESOLVED = Document(
    "open-resolved", "test_open_resolved_document", tuple(f"B{number}" for number in range(1, 19))
)


class Requirement(NamedTuple):
    """A numbered requirement, the sentences it was read from, and a test that stands for it."""

    number: str
    sentences: tuple[str, ...]
    test: str


def requirement(number: str, *sentences: str) -> Callable[[_Test], _Test]:
    """Say that the test stands for a numbered requirement, in the words of the document.

    The cells of a table's row are quoted with ``CELL`` between them.
    """

    def mark(test: _Test) -> _Test:
        test.__dict__["requirement"] = Requirement(
            number, sentences, f"{test.__module__}.py::{test.__qualname__}"
        )
        return test

    return mark


def requirements(document: Document) -> Iterator[Requirement]:
    """What the tests of a document stand for, in the order of the numbers."""
    module = importlib.import_module(document.module)
    found: list[Requirement] = [
        test.__dict__["requirement"]
        for _, test in inspect.getmembers(module, inspect.isfunction)
        if "requirement" in test.__dict__
    ]
    order = {number: place for place, number in enumerate(document.numbers)}
    yield from sorted(found, key=lambda one: (order.get(one.number, len(order)), one.test))


def faults(found: Sequence[Requirement], numbers: Iterable[str]) -> list[str]:
    """What is wrong with the numbers as a whole: all that lack, are unknown, or say two things."""
    numbers = tuple(numbers)
    quoted: dict[str, tuple[str, ...]] = {}
    wrong = []
    for one in found:
        if one.number not in numbers:
            wrong.append(f"{one.number} ({one.test}) is no requirement")
        if not one.sentences:
            wrong.append(f"{one.number} ({one.test}) quotes nothing")
        if quoted.setdefault(one.number, one.sentences) != one.sentences:
            wrong.append(f"{one.number} ({one.test}) is quoted twice with different sentences")
    return wrong + [f"{number} has no test" for number in numbers if number not in quoted]


def stands_in(sentence: str, document: str) -> bool:
    """Whether a sentence stands in a document word for word, bullets and line breaks apart."""
    return _words(sentence.replace(CELL, "")) in _words(document)


def _words(text: str) -> str:
    return " ".join(text.replace("•", " ").split())


def table(found: Iterable[Requirement]) -> str:
    """The table requirement → sentence → test, as Markdown."""
    rows: dict[str, tuple[str, list[str]]] = {}
    for one in found:
        quote = "<br>".join(f"“{sentence}”" for sentence in one.sentences).replace("|", "\\|")
        rows.setdefault(one.number, (quote, []))[1].append(f"`{one.test}`")
    lines = ["| requirement | what the document says | test |", "|---|---|---|"]
    lines += [f"| {number} | {quote} | {'<br>'.join(tests)} |" for number, (quote, tests) in rows.items()]
    return "\n".join(lines)


def with_table(page: str, name: str, new: str) -> str:
    """The page with the table of one document in its place, between the two marks."""
    begin, end = f"<!-- table of {name} -->", f"<!-- end of {name} -->"
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        message = f"the page has no place for the table of {name}: {begin} … {end}"
        raise LookupError(message)
    return f"{before}{begin}\n{new}\n{end}{after}"


def page() -> str:
    """docs/conformance.md as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    for document in (SUB_STATUS, OPEN_RESOLVED):
        text = with_table(text, document.name, table(requirements(document)))
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
