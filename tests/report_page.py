"""The report's page as a reader of HTML sees it: its tables, its texts, its scripts, what it would load."""

from __future__ import annotations

import json

from html.parser import HTMLParser
from typing import Any

import attrs


VOID = {"meta", "link", "br"}
SVG_VOID = {"path", "rect", "circle"}


@attrs.define
class Table:
    """A table of the page: under its caption, its headings and its rows, each with the row's own heading."""

    headings: list[str] = attrs.field(factory=list[str])
    rows: list[list[str]] = attrs.field(factory=list[list[str]])
    more: str = ""

    @property
    def body(self) -> dict[str, list[str]]:
        """The cells of each row by its heading; a later row of the same heading wins."""
        return {row[0]: row[1:] for row in self.rows}


class Page(HTMLParser):
    """Reads a page, and fails where its tags do not close."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: dict[str, Table] = {}
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self._table: Table | None = None
        self._words = ""
        self.feed(html)
        self.close()
        assert self._open == []
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id" and value is not None]
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("caption", "th", "td"):
            self._words = ""
        if tag == "table":
            self._table = Table()
        if tag == "tr" and self._table is not None:
            self._table.rows.append([])
        if tag == "script":
            self.scripts.append("")
        if tag == "style":
            self.styles.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_VOID | {"polygon", "ellipse"}
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        table, words = self._table, " ".join(self._words.split())
        if table is None:
            return
        if tag == "caption":
            assert words not in self.tables
            self.tables[words] = table
        if tag in ("th", "td"):
            table.rows[-1].append(words)
        if tag == "thead":
            [table.headings] = table.rows
            table.rows = []
        if tag == "tfoot":
            [table.more] = table.rows.pop()
        if tag == "table":
            self._table = None

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts[-1] += data
        elif "style" in self._open:
            self.styles[-1] += data
        else:
            self.text += data + " "
            self._words += data

    @property
    def figures(self) -> dict[str, Any]:
        """What the charts are drawn from, by their ids."""
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found
