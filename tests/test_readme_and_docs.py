"""The README and the pages in ``docs/`` say what is so: their blocks are run, their links followed.

The words after a block's language say what it is for. ``toml NAME`` is a file that later blocks read,
``toml fragment`` is read by nobody. ``text output`` is what the Python block above it prints. ``console`` is
run, and what it prints compared; ``console setup`` and ``sh`` install things: that is left to the reader.
"""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import jsonschema
import pytest

import casestate

from casestate import (
    CasestateError,
    Workflow,
    compare,
    frames,
    load_policy,
    policies,
    replay,
    report,
    sql,
    testing,
    verify,
)
from casestate.render import mermaid


if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
)
FENCE = re.compile(
    r"^```(?P<language>\w+)(?: (?P<label>[^\n]+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


RUN = ("python", "pycon", "toml", "text", "console")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    label: str
    text: str
    line: int


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> Iterator[Block]:
    text = read(page)
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(found["language"], found["label"] or "", found["text"], line)


class Reader:
    """Runs the blocks of one page, in order, as a reader would: one session, one folder."""

    def __init__(self, page: str) -> None:
        self.page = page
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""
        self.status = 0

    def python(self, block: Block) -> None:
        code = compile("\n" * block.line + block.text, str(ROOT / self.page), "exec", dont_inherit=True)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, self.names)  # noqa: S102 - the page's own code
        self.printed = printed.getvalue()

    def pycon(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(
            block.text, {}, self.page, str(ROOT / self.page), block.line
        )
        test.globs = self.names
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.REPORT_NDIFF)
        runner.run(test, out=report.append, clear_globs=False)
        assert test.examples, "a session without a prompt"
        assert not runner.failures, "".join(report)

    def toml(self, block: Block) -> None:
        if block.label != "fragment":
            Path(block.label).write_text(block.text, encoding="utf-8")
            load_policy(block.label)
            jsonschema.validate(tomllib.loads(block.text), json.loads(read("docs/policy.schema.json")))

    def text(self, block: Block) -> None:
        if block.label == "output":
            assert block.text == self.printed

    def console(self, block: Block) -> None:
        for command, expected in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
            assert self.run(command.replace("$?", str(self.status))) == expected, command

    def run(self, command: str) -> str:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "COLUMNS": "110", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        self.status = done.returncode
        return done.stdout

    def run_all(self) -> int:
        count = 0
        for block in blocks(self.page):
            if block.language not in RUN or block.label == "setup":
                continue
            try:
                getattr(self, block.language)(block)
            except Exception as error:
                error.add_note(f"in the block at {self.page}:{block.line}")
                raise
            count += 1
        return count


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader sits: a folder with the examples in it."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_every_page_do_what_it_says(page: str) -> None:
    runnable = [block for block in blocks(page) if block.language in RUN and block.label != "setup"]
    assert Reader(page).run_all() == len(runnable)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_has_a_language_that_is_run_or_looked_at(page: str) -> None:
    fences = [line for line in read(page).splitlines() if line.startswith("```")]
    assert len(fences) == 2 * len(list(blocks(page)))
    assert {block.language for block in blocks(page)} <= {*RUN, "sh", "mermaid"}


def anchors(page: Path) -> set[str]:
    headings = re.findall(
        r"^#+ (.+)$",
        re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL),
        re.MULTILINE,
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_project_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


# --- the API reference ---------------------------------------------------------


def sections() -> dict[str, str]:
    """The text below each heading of the reference, headings below it included, white space made even."""
    text = read("docs/api.md")
    headings = list(re.finditer(r"^(#+) ([\w.]+)$", text, re.MULTILINE))
    found = {}
    for number, heading in enumerate(headings):
        ends = (other.start() for other in headings[number + 1 :] if len(other[1]) <= len(heading[1]))
        found[heading[2]] = " ".join(text[heading.end() : next(ends, len(text))].split())
    return found


def written(name: str, called: Any) -> str:  # noqa: ANN401 - functions and classes
    """A signature as the reference writes it."""
    signature = inspect.signature(called)
    plain = [
        parameter.replace(annotation=parameter.empty)
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    text = str(signature.replace(parameters=plain, return_annotation=signature.empty))
    text = re.sub(r"<function (\w+) at \w+>", r"\1", text)
    text = re.sub(r"mappingproxy\((.*?)\)", r"\1", text)
    text = text.replace("datetime.timedelta(", "timedelta(").replace("columns=NOTHING", "columns={}")
    text = text.replace("=NOTHING", "=Calendar()")
    return f"`{name}{text}`"


def members(cls: type) -> Iterator[str]:
    """The public members of a class that are its own, not those of the builtins it derives from."""
    for name in dir(cls):
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if not name.startswith("_") and owner.__module__.startswith("casestate"):
            yield name


def test_every_public_name_has_a_section() -> None:
    assert not set(casestate.__all__) - set(sections())


@pytest.mark.parametrize(
    "name",
    sorted(name for name in casestate.__all__ if inspect.isfunction(getattr(casestate, name))),
)
def test_the_reference_has_the_signature_of_every_function(name: str) -> None:
    assert written(name, getattr(casestate, name)) in sections()[name]


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name in casestate.__all__
        if inspect.isclass(getattr(casestate, name))
        and not issubclass(getattr(casestate, name), BaseException)
    ),
)
def test_the_reference_has_the_signature_and_every_member_of_every_class(name: str) -> None:
    cls, section = getattr(casestate, name), sections()[name]
    assert written(name, cls) in section
    for member in members(cls):
        value = getattr(cls, member)
        if callable(value):
            assert written(member, value) in section
        else:
            assert f"`{member}`" in section
    fields = {field.name for field in attrs.fields(cls)} if attrs.has(cls) else set()
    assert {f"`{field}`" for field in fields if f"`{field}`" not in section} == set()


ROOMS = {
    "verify": verify,
    "compare": compare,
    "replay": replay,
    "frames": frames,
    "report": report,
    "sql": sql,
    "testing": testing,
}
"""The modules whose names are not those of the package itself, too."""


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_of_a_room_has_a_section(room: str) -> None:
    told = {name for name in sections() if name.startswith(f"{room}.")}
    assert told == {f"{room}.{name}" for name in ROOMS[room].__all__}


@pytest.mark.parametrize(
    "name", [f"{room}.{name}" for room, module in ROOMS.items() for name in module.__all__]
)
def test_the_reference_has_what_a_room_offers(name: str) -> None:
    room, _, own = name.partition(".")
    offered, section = getattr(ROOMS[room], own), sections()[name]
    if inspect.isfunction(offered) or (inspect.isclass(offered) and attrs.has(offered)):
        assert written(own, offered) in section
    if inspect.isclass(offered):
        for member in members(offered):
            value = getattr(offered, member)
            told = written(member, value) if attrs.has(offered) and callable(value) else f"`{member}`"
            assert told in section
    assert section


def errors() -> Iterator[type[CasestateError]]:
    for name in casestate.__all__:
        value = getattr(casestate, name)
        if inspect.isclass(value) and issubclass(value, CasestateError):
            yield value


@pytest.mark.parametrize("error", tuple(errors()))
def test_the_reference_says_what_every_error_is_and_carries(error: type[CasestateError]) -> None:
    section = sections()[error.__name__]
    for member in members(error):
        assert f"`{member}`" in section
    builtin = next((base for base in (ValueError, LookupError) if issubclass(error, base)), None)
    assert builtin is None or any(
        f"`{base.__name__}`" in section for base in (builtin, casestate.InstantError)
    )


def test_the_attributes_that_errors_get_when_they_are_raised_are_in_the_reference() -> None:
    desk = Workflow(policies.SUB_STATUS)
    case = desk.open("C-1")
    raised: list[CasestateError] = []
    for call in (
        lambda: desk.apply(case, "confrim", by="agent"),
        lambda: desk.apply(case, "pend", by="agent"),
        lambda: load_policy({}),
        lambda: desk.next_due(attrs.evolve(case, settled="never", settled_at=case.entered_at)),
        lambda: desk.open("C-1", at=case.entered_at.replace(tzinfo=None)),
        lambda: desk.apply(case, "note", by="agent", at=case.entered_at.replace(year=2000)),
    ):
        with pytest.raises(CasestateError) as caught:
            call()
        raised.append(caught.value)
    assert len({type(error) for error in raised}) == len(raised)
    for error in raised:
        around = " ".join(
            sections()[cls.__name__] for cls in type(error).__mro__ if cls.__name__ in sections()
        )
        for name in vars(error):
            assert name.startswith("__") or f"`{name}`" in around, (type(error).__name__, name)


# --- the README ------------------------------------------------------------------


def command(marker: str) -> str:
    """The block below a marker in the README: a command to copy."""
    found = re.search(
        rf"^<!-- command: {marker} -->\n```sh\n(.*?)^```$", read("README.md"), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return found[1]


def test_the_first_45_lines_of_the_readme_have_a_block_that_runs_and_its_output() -> None:
    first, second = list(blocks("README.md"))[:2]
    assert (first.language, second.language, second.label) == ("python", "text", "output")
    assert second.line + second.text.count("\n") + 1 <= 45


def test_the_first_command_is_one_line_that_makes_an_environment_installs_and_shows_what_is_due() -> None:
    make, install, show = command("quickstart").split(" && ")
    assert make == "python3 -m venv .venv"
    assert install == ".venv/bin/pip install -q '.[cli]'"
    assert show == ".venv/bin/casestate due examples/cases.jsonl --now 2026-11-20T12:00:00Z\n"


@pytest.mark.usefixtures("folder")
def test_it_prints_what_the_readme_shows() -> None:
    shown = next(block for block in blocks("README.md") if block.label == "of the first command")
    show = command("quickstart").split(" && ")[-1].removeprefix(".venv/bin/")
    beginning, end = shown.text.split(" …\n")
    printed = Reader("README.md").run(show)
    assert printed.startswith(beginning)
    assert printed.endswith(end)


def test_the_second_command_is_one_line_that_runs_the_tests() -> None:
    assert command("tests") == ".venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest -q\n"


def test_the_drawings_in_the_readme_are_those_of_the_policies() -> None:
    drawn = [block.text for block in blocks("README.md") if block.language == "mermaid"]
    assert drawn == [mermaid(policy) for policy in (policies.SUB_STATUS, policies.OPEN_RESOLVED)]


def test_the_readme_counts_the_cases_right() -> None:
    lines = (ROOT / "examples/cases.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 65
    assert "sixty-five cases" in read("README.md")


def test_the_changelog_has_what_is_unreleased_and_nothing_else() -> None:
    assert re.findall(r"^## (.+)$", read("CHANGELOG.md"), re.MULTILINE) == ["[Unreleased]"]


def test_the_built_in_policies_are_offered_for_completion() -> None:
    assert {"SUB_STATUS", "OPEN_RESOLVED"} <= set(dir(policies))
