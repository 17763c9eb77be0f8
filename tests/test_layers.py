"""Which module may import which: the order of the design's table, and who knows which package."""

from __future__ import annotations

import ast
import sys

from pathlib import Path

import pytest

import casestate


PACKAGE = Path(casestate.__file__).parent

# Each module imports only those above it. Some of them are still to be written.
ORDER = (
    "errors",
    "clock",
    "holidays",
    "calendars",
    "policy",
    "loading",
    "policies",
    "case",
    "machine",
    "schedule",
    "workflow",
    "explore",
    "verify",
    "compare",
    "render",
    "drawing",
    "log",
    "replay",
    "report.words",
    "report.charts",
    "report",
    "frames.cases",
    "frames.log",
    "frames.actions",
    "frames",
    "sql",
    "rows",
    "testing.strategies",
    "testing.invariants",
    "testing.helpdesk",
    "testing.reference",
    "testing.telling",
    "testing.stories",
    "testing.conformance",
    "testing",
    "registration",
    "cli",
    "__main__",
)
# Of an extra each, and imported by nobody but who stands here.
OPTIONAL = {
    "holidays": {"calendars", "policy"},
    "rows": {"cli"},
    "drawing": {"cli", "report"},
    "report.words": {"report.charts", "report"},
    "report.charts": {"report"},
    "report": {"cli"},
    "frames.cases": {"frames"},
    "frames.log": {"frames"},
    "frames.actions": {"rows"},
    "frames": {"rows"},
    "sql": set[str](),
    "testing.strategies": {"testing", "testing.stories"},
    "testing.invariants": {"testing"},
    "testing.helpdesk": {"testing", "testing.telling", "testing.stories", "testing.conformance"},
    "testing.reference": {"testing.telling", "testing.stories", "testing.conformance"},
    "testing.telling": {"testing.stories", "testing.conformance"},
    "testing.stories": {"testing.conformance"},
    "testing.conformance": {"testing"},
    "testing": {"registration"},
    "registration": set[str](),
    "cli": {"__main__"},
    "__main__": set[str](),
}
# Who knows which package that is not of the standard library, beside attrs, which all may use.
PACKAGES = {
    "holidays": {"holidays"},
    "transitions": {"machine"},
    "click": {"cli", "rows"},
    "rich": {"cli", "rows"},
    "msgspec": {"cli", "rows"},
    "tomli_w": {"cli"},
    "pygraphviz": {"drawing"},
    "plotly": {"report.charts"},
    "jinja2": {"report"},
    "narwhals": {"frames.cases", "frames.log"},
    "polars": {"frames.log", "frames.actions"},
    "sqlalchemy": {"sql"},
    "hypothesis": {"testing.strategies", "testing.stories", "testing.conformance", "registration"},
}


def modules() -> dict[str, Path]:
    """The modules of the package, by name."""
    found = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")
    }
    return {name.removesuffix(".__init__"): path for name, path in found.items()}


def imported(source: str) -> set[tuple[str, bool]]:
    """Everything that a module imports, wherever it does, and whether that is for types only."""
    found: set[tuple[str, bool]] = set()

    def visit(node: ast.AST, *, types: bool) -> None:
        if isinstance(node, ast.Import):
            found.update((alias.name, types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found.update(
                (f"{module}.{alias.name}" if module == "casestate" else module, types) for alias in node.names
            )
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            visit(child, types=types or for_types)

    visit(ast.parse(source), types=False)
    return found


def imports(name: str) -> set[tuple[str, bool]]:
    return imported(modules()[name].read_text(encoding="utf-8"))


def own(names: set[tuple[str, bool]]) -> set[str]:
    """Those that are modules of ours, by their own name."""
    return {name.removeprefix("casestate.") for name, _ in names if name.startswith("casestate.")}


NAMES = sorted(modules())


def test_the_parser_of_imports_sees_them_all() -> None:
    source = """
import os, a.b as c
from casestate import render, Policy
from casestate.case import Case
from . import sibling
from ..up import there
if TYPE_CHECKING:
    from transitions import Machine
    def typed():
        import typed_inside
def late():
    from difflib import get_close_matches
    class Inner:
        import inner
try:
    import tried
except ImportError:
    import fallback
"""
    assert imported(source) == {
        ("os", False),
        ("a.b", False),
        ("casestate.render", False),
        ("casestate.Policy", False),
        ("casestate.case", False),
        (".", False),
        ("..up", False),
        ("transitions", True),
        ("typed_inside", True),
        ("difflib", False),
        ("inner", False),
        ("tried", False),
        ("fallback", False),
    }


def test_every_module_has_its_place_in_the_order() -> None:
    assert set(NAMES) <= {*ORDER, "__init__"}
    assert {"errors", "policy", "workflow", "policies", "holidays"} <= set(NAMES)
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {"frames", "policies", "report", "testing"}
    assert {name for name in NAMES if "." in name} == {name for name in ORDER if "." in name}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__init__"])
def test_a_module_imports_only_those_above_it(name: str) -> None:
    found = own(imports(name))
    assert found <= set(ORDER[: ORDER.index(name)])
    assert not any(module == "casestate" or module.startswith(".") for module, _ in imports(name))


def test_the_package_itself_imports_none_that_is_optional() -> None:
    found = own(imports("__init__"))
    assert "workflow" in found
    assert found & set(OPTIONAL) == set()


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_is_optional_is_imported_by_nobody_else(name: str) -> None:
    importers = {module for module in NAMES if name in own(imports(module))}
    assert importers <= OPTIONAL[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_package_is_known_to_those_only_whose_it_is(name: str) -> None:
    for module, for_types in imports(name):
        package = module.split(".")[0]
        if package in sys.stdlib_module_names or package in ("casestate", "attrs"):
            continue
        assert package in PACKAGES, f"{name} imports {module}"
        assert name in PACKAGES[package] or (package == "transitions" and for_types)


def test_the_core_knows_attrs_and_transitions_alone() -> None:
    optional = {*OPTIONAL, "explore", "verify", "compare", "log", "replay", "render"}
    core = [name for name in NAMES if name not in optional]
    packages = {module.split(".")[0] for name in core for module, _ in imports(name)}
    assert packages - set(sys.stdlib_module_names) == {"attrs", "casestate", "transitions"}
