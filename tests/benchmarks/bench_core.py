"""Events, sweeps, memory and building a workflow, each beside a named peer that does the same work."""

from __future__ import annotations

import gc
import sys
import tracemalloc

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from statemachine import State, StateMachine
from transitions import Machine

from casestate import Case, EventRefused, Workflow, policies

from .measure import Row, at_least, at_most, clocked, for_scale, interleaved


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CASES = 1_000_000
DUE = 6_000


class Peer(StateMachine):
    """The loop of `events`, in python-statemachine."""

    opened = State(initial=True)
    pending = State()
    ask = opened.to(pending)
    comment = pending.to(opened)


class Model:
    """What a `transitions.Machine` hangs its state on."""


PAIRS = 20_000
"""Two events, there and back, so many times in a round."""


def bare() -> None:
    """The least that an event can be."""
    table = {("open", "ask"): "pending_customer", ("pending_customer", "comment"): "open"}
    state = "open"
    for _ in range(PAIRS):
        state = table[state, "ask"]
        state = table[state, "comment"]


def ours(desk: Workflow) -> tuple[Callable[[], None], Callable[[], None], Callable[[], None]]:
    """Two events whose target is fixed, two that lead back to where the case came from, two refused."""
    opened = desk.apply(desk.open("C-1", at=NOW), "assign", by="agent", assignee="mira", at=NOW)
    begun = desk.apply(opened, "start", by="agent", at=NOW)
    pending = desk.apply(opened, "ask", by="agent", at=NOW)
    apply = desk.apply

    def legal() -> None:
        for _ in range(PAIRS):
            apply(opened, "start", by="agent", at=NOW)
            apply(begun, "release", by="agent", at=NOW)

    def back() -> None:
        for _ in range(PAIRS):
            apply(pending, "comment", by="customer", at=NOW)
            apply(pending, "comment", by="customer", at=NOW)

    def refused() -> None:
        for _ in range(PAIRS):
            try:  # noqa: SIM105 - `suppress` would cost as much as what is measured
                apply(opened, "release", by="agent", at=NOW)
            except EventRefused:
                pass
            try:  # noqa: SIM105
                apply(pending, "confirm", by="customer", at=NOW)
            except EventRefused:
                pass

    return legal, back, refused


def of_transitions() -> Callable[[], None]:
    """The same on a machine that knows nothing but these two rows."""
    model: Any = Model()
    Machine(
        model,
        states=["opened", "pending"],
        transitions=[["ask", "opened", "pending"], ["comment", "pending", "opened"]],
        initial="opened",
        auto_transitions=False,
    )

    def run() -> None:
        for _ in range(PAIRS // 10):
            model.ask()
            model.comment()

    return run


def of_live_machine(desk: Workflow) -> Callable[[], None]:
    """The same on the policy's own machine, guards and all."""
    model: Any = Model()
    desk.machine(model)
    model.assign(by="agent", assignee="mira")

    def run() -> None:
        for _ in range(PAIRS // 10):
            model.ask(by="agent", assigned=True)
            model.comment(by="customer", assigned=True, previous="open")

    return run


def of_statemachine() -> Callable[[], None]:
    """The same in python-statemachine."""
    peer: Any = Peer()

    def run() -> None:
        for _ in range(PAIRS // 50):
            peer.ask()
            peer.comment()

    return run


def events() -> Iterator[Row]:
    """What an event costs, beside those who do less."""
    desk = Workflow(policies.OPEN_RESOLVED)
    legal, back, refused = ours(desk)
    seconds = interleaved(
        {
            "bare": clocked(bare),
            "legal": clocked(legal),
            "back": clocked(back),
            "refused": clocked(refused),
            "transitions": clocked(of_transitions()),
            "live": clocked(of_live_machine(desk)),
            "statemachine": clocked(of_statemachine()),
        },
        rounds=15,
    )
    event = seconds["legal"]
    yield for_scale("a legal event, history included", f"{event / PAIRS / 2 * 1e6:.2f} us")
    yield at_most("a legal event / a bare dict[(state, event)] step", event / seconds["bare"], 20)
    yield at_most(
        "a reply that leads back to where the case came from / a bare step",
        seconds["back"] / seconds["bare"],
        20,
    )
    yield at_least(
        "transitions, two rows without guards / a legal event", seconds["transitions"] * 10 / event, 4
    )
    yield at_least(
        "transitions, Workflow.machine on a model / a legal event", seconds["live"] * 10 / event, 4
    )
    yield at_least("python-statemachine / a legal event", seconds["statemachine"] * 50 / event, 40)
    yield at_most("a refusal / a legal event", seconds["refused"] / event, 1.5)


def a_million_cases() -> list[Case]:
    """Cases in every state of the workflow, of which `DUE` are due at `NOW`."""
    fresh = [
        ("open", None),
        ("in_progress", None),
        ("resolved", None),
        ("pending_customer", "notify_pending"),
    ]
    old = [("resolved", None, 7), ("pending_customer", "notify_pending", 14)]
    step = CASES // DUE
    cases = []
    for number in range(CASES):
        if number % step == 0 and number // step < DUE:
            status, settled, days = old[number // step % 2]
            entered_at = NOW - timedelta(days=days, seconds=number % 86_400)
        else:
            status, settled = fresh[number % 4]
            entered_at = NOW - timedelta(days=number % 6, seconds=number % 86_400 + 1)
        cases.append(
            Case(
                id=f"C-{number}",
                status=status,
                entered_at=entered_at,
                policy="open-resolved",
                settled=settled,
                settled_at=entered_at if settled else None,
            )
        )
    return cases


def sweep() -> Iterator[Row]:
    """Everything that is due among a million cases, against loops over the same objects."""
    desk = Workflow(policies.OPEN_RESOLVED)
    cases = a_million_cases()
    delay = timedelta(days=7)
    delays = {"resolved": delay, "pending_customer": timedelta(days=14)}

    def due() -> int:
        return sum(1 for _ in desk.due(cases, now=NOW))

    def naive() -> list[Case]:
        found = []
        for case in cases:
            if case.entered_at + delay <= NOW:
                found.append(case)  # noqa: PERF401 - a loop is what it is measured against
        return found

    def naive_by_state() -> list[Case]:
        found = []
        for case in cases:
            wait = delays.get(case.state)
            if wait is not None and case.entered_at + wait <= NOW:
                found.append(case)
        return found

    if not due() == len(naive_by_state()) == DUE:
        raise AssertionError("the loops do not do the same work")
    gc.collect()
    gc.freeze()
    seconds = interleaved(
        {"due": clocked(due), "naive": clocked(naive), "by state": clocked(naive_by_state)}, rounds=9
    )
    gc.unfreeze()
    yield for_scale("due over 10^6 cases, 0.6 % due", f"{seconds['due'] * 1e3:.0f} ms")
    yield at_most("due / the loop entered_at + delay <= now", seconds["due"] / seconds["naive"], 1.0)
    yield at_most("due / that loop with the delay of each state", seconds["due"] / seconds["by state"], 1.0)


def memory() -> Iterator[Row]:
    """What a case takes beyond the strings and instants it refers to."""
    count = 100_000
    ids = [f"C-{number}" for number in range(count)]
    instants = [NOW - timedelta(seconds=number) for number in range(count)]
    cases: list[Case | None] = [None] * count
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number, (case_id, entered_at) in enumerate(zip(ids, instants, strict=True)):
        cases[number] = Case(id=case_id, status="open", entered_at=entered_at, policy="open-resolved")
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    models = [Model() for _ in range(200)]
    machine = Workflow(policies.OPEN_RESOLVED).machine()
    tracemalloc.start()
    bare, _ = tracemalloc.get_traced_memory()
    machine.add_model(models)
    hung, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    yield at_most("a case without history, tracemalloc", (after - before) / count, 250, "B")
    yield for_scale("the same, sys.getsizeof", f"{sys.getsizeof(cases[0])} B")
    yield for_scale("a model of Workflow.machine (transitions)", f"{(hung - bare) / len(models):.0f} B")


def building() -> Iterator[Row]:
    """What a program pays once for each workflow."""
    seconds = interleaved(
        {
            policy.name: clocked(partial(Workflow, policy))
            for policy in (policies.SUB_STATUS, policies.OPEN_RESOLVED)
        },
        rounds=51,
    )
    for name, passed in seconds.items():
        yield at_most(f"building a Workflow of {name}", passed * 1e3, 2, "ms")


def rows() -> Iterator[Row]:
    """The rows of the table, measured one after the other."""
    yield from events()
    yield from sweep()
    yield from memory()
    yield from building()
