"""What importing the library costs and needs: its two dependencies, and nothing read ahead."""

from __future__ import annotations

import json
import subprocess
import sys

from typing import Any

import pytest


OPTIONAL = (
    "click",
    "rich",
    "msgspec",
    "tomli_w",
    "pygraphviz",
    "holidays",
    "hypothesis",
    "jinja2",
    "narwhals",
    "plotly",
    "polars",
    "pyspark",
    "sqlalchemy",
    "pandas",
    "pyarrow",
    "duckdb",
    "dask",
    "django",
)


def run(program: str) -> Any:  # noqa: ANN401 - what the program prints as JSON
    """Run a program in an interpreter of its own, in which a file without its encoding is an error."""
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return json.loads(done.stdout)


BLOCKED = f"""
import json, sys
sys.modules.update(dict.fromkeys({OPTIONAL!r}))  # importing what is None raises ModuleNotFoundError
"""

USE = """
from datetime import UTC, datetime, timedelta
from casestate import ManualClock, PolicyError, Workflow, load_policy, policies

clock = ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
desk = Workflow(policies.OPEN_RESOLVED, clock)
case = desk.apply(desk.open("C-1042"), "assign", by="agent", assignee="mira")
case = desk.apply(case, "ask", by="agent", actor="mira")
told = [desk.allowed(case, by="customer")]
for days in (0, 14):
    clock.advance(days=days)
    for action in desk.due([case]):
        told.append((action.key, action.kind, action.due_at.isoformat()))
        case = desk.settle(case, action)
told.append(case.state)
business = desk.policy.override(
    {"calendar": {"zone": "Europe/Berlin", "holidays": ["2026-12-24"]},
     "timers": {"close_pending": {"after": {"business_days": 10}}}}
)
told.append(business.timers["close_pending"].after.to_dict())
try:
    load_policy({"extends": "sub-status", "calendar": {"holidays": ["DE-BE"]}})
except PolicyError as error:
    told.append("pip install" in str(error))
print(json.dumps(told))
"""


def test_the_library_works_with_its_two_dependencies_alone() -> None:
    assert run(BLOCKED + USE) == [
        ["close", "comment", "resolve"],
        ["C-1042:3:notify_pending", "notify", "2026-03-02T09:00:00+00:00"],
        ["C-1042:3:close_pending", "close", "2026-03-16T09:00:00+00:00"],
        "closed",
        {"business_days": 10},
        True,
    ]


@pytest.mark.parametrize(
    ("room", "package", "said"),
    [
        ("frames", "narwhals", "narwhals"),
        ("report", "plotly", "plotly"),
        ("report", "jinja2", "Jinja2"),
        ("sql", "sqlalchemy", "SQLAlchemy"),
        ("testing", "hypothesis", "hypothesis"),
    ],
)
def test_a_room_without_its_extra_says_what_to_install(room: str, package: str, said: str) -> None:
    program = f"""
import json, sys
sys.modules[{package!r}] = None
try:
    import casestate.{room}
except ModuleNotFoundError as error:
    print(json.dumps([error.name, str(error)]))
"""
    assert run(program) == [package, f"casestate.{room} needs {said}: pip install 'casestate[{room}]'"]


LOADED = """
import json, sys
before = set(sys.modules)
import casestate
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that `import casestate` loads."""
    return set(run(LOADED))


def test_importing_the_library_imports_nothing_optional(loaded: set[str]) -> None:
    packages = {name.split(".")[0] for name in loaded}
    assert {"casestate", "attrs", "transitions"} <= packages
    assert packages.isdisjoint(OPTIONAL)
    assert {name for name in loaded if name.startswith("casestate.")} == {
        f"casestate.{name}"
        for name in (
            "calendars",
            "case",
            "clock",
            "errors",
            "loading",
            "machine",
            "policies",
            "policy",
            "schedule",
            "workflow",
        )
    }


@pytest.mark.parametrize("name", ["tomllib", "zoneinfo", "difflib", "importlib.resources", "json"])
def test_what_only_some_need_is_imported_when_they_need_it(loaded: set[str], name: str) -> None:
    assert name not in loaded


READ = """
import json, os, sys
opened = []


def audit(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".toml"):
        opened.append(os.path.basename(arguments[0]))


sys.addaudithook(audit)
from casestate import *
import casestate.policies as policies
told = [list(opened)]
for name in ("SUB_STATUS", "OPEN_RESOLVED", "SUB_STATUS", "OPEN_RESOLVED"):
    getattr(policies, name)
    told.append(list(opened))
print(json.dumps(told))
"""


def test_a_policy_file_is_read_when_it_is_first_asked_for() -> None:
    both = ["sub-status.toml", "open-resolved.toml"]
    assert run(READ) == [[], both[:1], both, both, both]


def test_what_the_library_offers_is_there() -> None:
    import casestate  # noqa: PLC0415 - the import itself is what is tested here

    assert casestate.__all__ == sorted(casestate.__all__, key=lambda name: (name[0].islower(), name))
    for name in casestate.__all__:
        assert getattr(casestate, name) is not None
    assert casestate.policies.__all__ == ["OPEN_RESOLVED", "SUB_STATUS"]
    assert casestate.__doc__
