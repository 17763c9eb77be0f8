"""What it costs to prove a policy: the documented ones, and random ones far larger than any desk's."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from casestate import Policy, policies
from casestate.compare import compare
from casestate.verify import verify

from .measure import Row, at_most, clocked, for_scale, interleaved


if TYPE_CHECKING:
    from collections.abc import Iterator

STATES, ROWS, SEEDS = 40, 200, 5


def large(seed: int) -> Policy:
    """A random policy of 40 states and 200 rows, with timers of every kind of length in every third state."""
    random = Random(seed)
    names = [f"state_{number}" for number in range(STATES)]
    statuses = {
        name: {"closed": number % 8 == 7, "waiting_on": random.choice(["customer", "support"])}
        for number, name in enumerate(names)
    }
    transitions = [row(random, names) for _ in range(ROWS)]
    timers: dict[str, Any] = {}
    for number in range(0, STATES, 3):
        here, there = names[number], names[(number + 1) % STATES]
        for name, kind, longest in (("remind", "remind", 20), ("notify", "notify", 40)):
            timers[f"{name}_{number}"] = {
                "in": [here],
                "kind": kind,
                "audience": "customer",
                "after": {
                    random.choice(["days", "calendar_days", "business_days"]): random.randint(1, longest)
                },
            }
        timers[f"move_{number}"] = {"in": [here], "after": {"days": 40 + random.randrange(9)}, "to": there}
    return Policy.from_dict(
        {
            "format": 1,
            "name": f"large-{seed}",
            "initial": names[0],
            "calendar": {"zone": "Europe/Berlin", "holidays": ["2026-12-24"]},
            "statuses": statuses,
            "transitions": transitions,
            "timers": timers,
        }
    )


def row(random: Random, names: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "event": random.choice(["comment", *(f"event_{number}" for number in range(12))]),
        "by": random.sample(["customer", "agent"], random.randint(1, 2)),
        "from": random.choice([["*"], ["*open"], random.sample(names, random.randint(1, 6))]),
    }
    if random.random() < 0.3:
        made["when"] = random.choice(["assigned", "unassigned"])
    if random.random() < 0.05:
        return {**made, "refuse": True}
    if random.random() < 0.1:
        made["needs"] = ["assignee"]
    if to := random.choice([None, "@previous", *names, *names]):
        made["to"] = to
    return made


def rows() -> Iterator[Row]:
    """The rows of the table."""
    both = {"sub-status": policies.SUB_STATUS, "open-resolved": policies.OPEN_RESOLVED}
    crowd = [large(seed) for seed in range(SEEDS)]
    seconds = interleaved(
        {
            **{name: clocked(partial(verify, policy)) for name, policy in both.items()},
            **{policy.name: clocked(partial(verify, policy)) for policy in crowd},
            "compared": clocked(partial(compare, policies.SUB_STATUS, policies.OPEN_RESOLVED)),
        },
        rounds=9,
    )
    for name, policy in both.items():
        yield at_most(f"verify {name}", seconds[name] * 1e3, 100, "ms")
        yield for_scale("configurations and changes explored", explored(policy))
    slowest = max(crowd, key=lambda policy: seconds[policy.name])
    yield at_most(
        f"verify a random policy of {STATES} states and {ROWS} rows, the slowest of {SEEDS}",
        seconds[slowest.name],
        5,
        "s",
    )
    yield for_scale("configurations and changes explored", explored(slowest))
    yield for_scale("compare sub-status with open-resolved", f"{seconds['compared'] * 1e3:.1f} ms")


def explored(policy: Policy) -> str:
    report = verify(policy)
    return f"{report.configurations}, {report.changes}"
