"""Golden files: cases and policies as a version wrote them, which every later version has to read.

A file in ``tests/golden`` is never changed and never removed. When the way of
writing changes, the new way is added beside the old ones, from the root of the
repository:

    python tests/golden_files.py

That makes the next numbered folder; say in ``test_golden_files.py`` what its files mean.
"""

from __future__ import annotations

import json

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import tomli_w

from casestate import Case, Workflow, load_policy


if TYPE_CHECKING:
    from collections.abc import Mapping

    from casestate import Policy

FOLDER = Path(__file__).parent / "golden"
START = datetime(2026, 3, 2, 9, 30, 15, 250_000, tzinfo=UTC)
DAY = timedelta(days=1)

EVERYTHING: Mapping[str, object] = MappingProxyType(
    {
        "format": 1,
        "name": "every-thing",
        "initial": "new",
        "roles": ["customer", "agent", "system", "boss"],
        "calendar": {
            "zone": "Europe/Berlin",
            "weekend": ["fri", "sat"],
            "holidays": ["2026-12-24", "DE-BE"],
        },
        "statuses": {
            "new": {"label": "Brand new", "meaning": "Just came in."},
            "waiting": {
                "action_required": "See the sub-status.",
                "sub_statuses": {
                    "customer": {"label": "You", "waiting_on": "customer"},
                    "vendor": {"meaning": "A vendor has to answer.", "action_required": "None."},
                },
            },
            "done": {"closed": True},
        },
        "transitions": [
            {"event": "wait", "by": ["boss"], "from": ["waiting.vendor"], "refuse": True},
            {
                "event": "wait",
                "by": ["agent", "boss"],
                "from": ["*open"],
                "to": "waiting",
                "needs": ["assignee"],
            },
            {
                "event": "reply",
                "by": ["customer"],
                "from": ["waiting"],
                "to": "@previous",
                "when": "assigned",
            },
            {"event": "reply", "by": ["customer"], "from": ["waiting"], "to": "new", "when": "unassigned"},
            {"event": "note", "by": ["agent"], "from": ["*"]},
        ],
        "timers": {
            "told": {
                "in": ["waiting.customer"],
                "kind": "notify",
                "audience": "customer",
                "after": {"seconds": 0},
            },
            "nag": {
                "in": ["waiting.customer"],
                "kind": "remind",
                "audience": "customer",
                "after": {"calendar_days": 2},
                "repeat": {"every": {"calendar_days": 3}, "times": 3},
                "notice": {"hours": 12},
            },
            "chase": {"in": ["waiting.vendor"], "kind": "remind", "after": {"weeks": 1, "hours": 4}},
            "shut": {
                "in": ["waiting.customer"],
                "after": {"business_days": 20},
                "notice": {"business_days": 2},
                "to": "done",
            },
            "pass_on": {
                "in": ["new"],
                "audience": "support",
                "after": {"minutes": 90},
                "to": "waiting.vendor",
            },
        },
    }
)

EXTENDING = """\
extends = "sub-status"
name = "house-rules"

[calendar]
zone = "America/New_York"

[statuses.pending.sub_statuses.legal]
label = "Legal"

[[transitions]]
event = "start"
by = "agent"
from = "pending.legal"
refuse = true

[timers]
notify_closed = false

[timers.close_awaiting]
after = { business_days = 10 }
notice = { hours = 0 }

[timers.remind_customer]
repeat = { every = { days = 7 }, times = 3 }
"""


def policies() -> dict[str, Policy]:
    """A policy of each kind."""
    return {
        "sub-status": load_policy("sub-status"),
        "open-resolved": load_policy("open-resolved"),
        "every-thing": load_policy(EVERYTHING),
    }


def cases() -> dict[str, Case]:
    """A case of each kind: bare, closed by a timer and cloned, a clone, and one that waits."""
    desk = Workflow(load_policy("sub-status"))
    case = desk.apply(desk.open("C-1", at=START), "start", by="agent", actor="mira", at=START + DAY)
    case = desk.apply(case, "pend", by="agent", actor="mira", sub_status="customer_input", at=START + 2 * DAY)
    case = swept(desk, case, START + 60 * DAY)
    closed, clone = desk.clone(case, "C-2", by="customer", actor="ada", at=START + 61 * DAY)

    other = Workflow(load_policy("open-resolved"))
    waits = other.apply(
        other.open("Fall Nr. 3: ü", at=START), "assign", by="agent", assignee="noor", at=START
    )
    waits = other.apply(waits, "ask", by="agent", at=START + timedelta(microseconds=1))
    waits = swept(other, waits, START + DAY)
    return {
        "bare": Case(id="C-0", status="new", entered_at=START.replace(microsecond=0)),
        "closed": closed,
        "clone": clone,
        "waits": waits,
    }


def swept(desk: Workflow, case: Case, now: datetime) -> Case:
    (action,) = desk.due([case], now=now)
    return desk.settle(case, action, at=now)


def written() -> dict[str, str]:
    """The golden files as this version writes them, by name."""
    files = {"policy-extending.toml": EXTENDING}
    for name, policy in policies().items():
        files[f"policy-{name}.toml"] = tomli_w.dumps(policy.to_dict())
        files[f"policy-{name}.json"] = as_json(policy.to_dict())
    for name, case in cases().items():
        files[f"case-{name}.json"] = as_json(case.to_dict())
    return files


def as_json(data: Mapping[str, object]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def folders() -> list[Path]:
    """The folders of golden files, oldest first."""
    return sorted((path for path in FOLDER.iterdir() if path.is_dir()), key=lambda path: int(path.name))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    folder = FOLDER / str(len(folders()) + 1)
    folder.mkdir()
    for name, text in written().items():
        (folder / name).write_text(text, encoding="utf-8")
