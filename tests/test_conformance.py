"""docs/conformance.md is the table of what the tests of the two documents quote, and is up to date."""

from __future__ import annotations

import re

import pytest

from conformance import (
    DOCUMENTS,
    HERE,
    OPEN_RESOLVED,
    PAGE,
    SUB_STATUS,
    Document,
    Requirement,
    faults,
    page,
    requirement,
    requirements,
    stands_in,
    table,
    with_table,
)


BOTH = pytest.mark.parametrize("document", [SUB_STATUS, OPEN_RESOLVED], ids=lambda document: document.name)


@BOTH
def test_every_requirement_has_a_test_and_no_number_is_quoted_with_two_sentences(document: Document) -> None:
    assert faults(list(requirements(document)), document.numbers) == []


@BOTH
def test_every_quoted_sentence_stands_in_the_document_word_for_word(document: Document) -> None:
    path = DOCUMENTS / f"{document.name}.txt"
    if not path.exists():
        pytest.skip("the documents are not part of the project: ../shared/workflows is absent")
    text = path.read_text(encoding="utf-8")
    quoted = [sentence for one in requirements(document) for sentence in one.sentences]
    assert len(quoted) >= 18
    assert [sentence for sentence in quoted if not stands_in(sentence, text)] == []


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python tests/conformance.py"


def test_the_page_names_only_tests_that_there_are() -> None:
    named = re.findall(r"`(test_\w+)\.py::(test_\w+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) >= 36
    for module, test in named:
        assert f"\ndef {test}(" in (HERE / f"{module}.py").read_text(encoding="utf-8")


def test_the_page_tells_what_a_long_outage_does_and_what_forbids_it() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert "the closure passes over an unsent reminder or notification too" in text
    assert "`notice = { hours = 0 }` on the closing timer forbids it" in text


def test_what_is_wrong_with_the_numbers_is_found() -> None:
    good = Requirement("Z1", ("One.",), "a.py::one")
    assert faults([good], ["Z1"]) == []
    assert faults([good, Requirement("Z1", ("One.",), "a.py::two")], ["Z1"]) == []
    assert faults([good], ["Z1", "Z2"]) == ["Z2 has no test"]
    assert faults([good, Requirement("Z9", ("Nine.",), "a.py::nine")], ["Z1"]) == [
        "Z9 (a.py::nine) is no requirement"
    ]
    assert faults([good, Requirement("Z1", ("Another.",), "a.py::two")], ["Z1"]) == [
        "Z1 (a.py::two) is quoted twice with different sentences"
    ]
    assert faults([Requirement("Z1", (), "a.py::one")], ["Z1"]) == ["Z1 (a.py::one) quotes nothing"]


def test_a_sentence_is_found_across_bullets_and_lines_but_not_with_another_word() -> None:
    document = "  • New: the\n    first.\n\nScenarioCloses after\nNo reply14 days\n"
    assert stands_in("New: the first.", document)
    assert stands_in("Scenario | Closes after", document)
    assert stands_in("No reply | 14 days", document)
    assert not stands_in("No reply | 15 days", document)
    assert not stands_in("New: the last.", document)
    assert not stands_in("new: the first.", document)


def test_a_test_is_marked_with_its_place_and_its_sentences() -> None:
    @requirement("Z1", "One | two.", "Three.")
    def marked() -> None:
        """Stands for a test."""

    found = marked.__dict__["requirement"]
    assert (found.number, found.sentences) == ("Z1", ("One | two.", "Three."))
    assert found.test.startswith("test_conformance.py::")
    again = found._replace(test="other.py::again")
    assert table([found._replace(test="a.py::b"), again]) == (
        "| requirement | what the document says | test |\n"
        "|---|---|---|\n"
        "| Z1 | “One \\| two.”<br>“Three.” | `a.py::b`<br>`other.py::again` |"
    )


def test_a_table_is_put_between_its_marks_and_nowhere_else() -> None:
    text = "before\n<!-- table of x -->\nold\n<!-- end of x -->\nafter\n"
    assert with_table(text, "x", "new") == "before\n<!-- table of x -->\nnew\n<!-- end of x -->\nafter\n"
    with pytest.raises(LookupError, match="no place for the table of y"):
        with_table(text, "y", "new")
