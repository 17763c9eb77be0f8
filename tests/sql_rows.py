"""A table of very many cases, of which a few are due, and the statement by which a sweep looks for them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from itertools import cycle, islice
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from casestate.sql import sweep


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casestate import Workflow
    from race_worker import Desk

SETTLED: Final = 0.97
"""The share of those for which nothing is left to do, in a desk that has been there for a while."""
YEARS: Final = timedelta(days=1500)


class Row(NamedTuple):
    """What a sweep reads of a case."""

    id: str
    status: str
    sub_status: str | None
    entered_at: datetime
    stay: int
    policy: str
    settled: str | None
    settled_at: datetime | None
    changed_at: datetime
    revision: int


def rows(workflow: Workflow, number: int, *, due: int, now: datetime) -> Iterator[Row]:
    """So many cases in all states of the policy, well mixed; ``due`` of them are due at ``now``."""
    random = Random(number)
    reachable: dict[tuple[str, str | None], tuple[datetime, datetime | None]] = {}
    for cutoff in workflow.cutoffs(now):  # the last of a position is the latest
        state = f"{cutoff.status}.{cutoff.sub_status}" if cutoff.sub_status else cutoff.status
        reachable[state, cutoff.settled] = (cutoff.entered_until, cutoff.settled_until)
    schedules = workflow.policy.schedules.items()
    at = [(state, name) for state, timers in schedules for name in (None, *(timer.name for timer in timers))]
    over = [place for place in at if place not in reachable]
    waiting = [place for place in at if place in reachable and reachable[place][0] < now] or over
    due_places = cycle(reachable)
    dues = set(random.sample(range(number), due))
    for index in range(number):
        if index in dues:
            state, settled = place = next(due_places)
            entered_until, settled_until = reachable[place]
            entered_at = entered_until - timedelta(days=random.random())
            settled_at = min(entered_until, settled_until or entered_until)
            entered_at = min(entered_at, settled_at)
        else:
            state, settled = place = random.choice(over if random.random() < SETTLED else waiting)
            since = reachable[place][0] if place in reachable else now - YEARS
            entered_at = now - random.random() * 0.999 * (now - since)
            settled_at = entered_at
        status, _, sub_status = state.partition(".")
        yield Row(
            id=f"C-{index:07}",
            status=status,
            sub_status=sub_status or None,
            entered_at=entered_at,
            stay=2,
            policy=workflow.policy.name,
            settled=settled,
            settled_at=None if settled is None else settled_at,
            changed_at=entered_at if settled is None else settled_at,
            revision=1,
        )


def fill(desk: Desk, cases: Iterator[Row]) -> None:
    """Make the tables, with these cases, as fast as the database takes them; then let it look at them."""
    desk.metadata.create_all(desk.engine)
    names = ", ".join(Row._fields)
    with desk.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        cursor = driver.cursor()
        if desk.microseconds:
            marks = ", ".join("?" * len(Row._fields))
            while batch := list(islice(cases, 10_000)):
                values = [tuple(map(desk.kept, row)) for row in batch]
                cursor.executemany(f"INSERT INTO cases ({names}) VALUES ({marks})", values)  # noqa: S608 - names
            driver.commit()
            cursor.execute("ANALYZE")
            driver.commit()
        else:
            with cursor.copy(f"COPY cases ({names}) FROM STDIN") as copy:
                for row in cases:
                    copy.write_row(row)
            driver.commit()
            driver.autocommit = True
            cursor.execute("VACUUM ANALYZE cases")
            driver.autocommit = False
        cursor.close()


class Statement(NamedTuple):
    """A statement as the driver is given it."""

    text: str
    parameters: Any


def asked(desk: Desk, ask: Callable[[sa.Connection], object]) -> Statement:
    """The first statement of whatever ``ask`` asks."""
    found: list[Statement] = []

    def listen(_: Any, __: Any, text: str, parameters: Any, *___: Any) -> None:  # noqa: ANN401 - of any driver
        found.append(Statement(text, parameters))

    with desk.engine.connect() as connection:
        sa.event.listen(desk.engine, "before_cursor_execute", listen)
        try:
            ask(connection)
        finally:
            sa.event.remove(desk.engine, "before_cursor_execute", listen)
    return found[0]


class FoundError(Exception):
    """Something is due: that is all that is asked here."""


def candidates(desk: Desk, workflow: Workflow, now: datetime) -> Statement:
    """The statement by which `sweep` looks for what is due."""

    def stop(*_: object) -> None:
        raise FoundError

    def ask(connection: sa.Connection) -> None:
        with suppress(FoundError):
            sweep(connection, workflow, desk.cases, stop, now=now)

    return asked(desk, ask)
