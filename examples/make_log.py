"""Write ``past.csv`` beside this file: what the statuses of 280 made-up tickets were in 2025.

    python examples/make_log.py

The desk closed nothing by itself: tickets were tidied away by hand, on Fridays. Most customers reply
within days, some after weeks, a few never. ``past_sub_status.toml`` and ``past_open_resolved.toml`` say how
the log is read. It is always the same file.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, TypeAlias


if TYPE_CHECKING:
    from collections.abc import Iterator

TICKETS: Final = 280
BEGIN: Final = datetime(2025, 1, 6, 8, 0, tzinfo=UTC)
END: Final = datetime(2025, 12, 31, 18, 0, tzinfo=UTC)


Course: TypeAlias = "Iterator[tuple[str, float]]"
"""The statuses of a ticket, and how many days each of them comes after the one before."""


def course(chance: Random) -> Course:
    """What happens to a ticket."""
    begin = chance.random()
    if begin < 0.02:
        yield "Done", 0  # taken over from the system before
        if begin < 0.01:
            yield "Working", 20 + soon(chance, 60)
            yield "Done", soon(chance, 8)
        return
    yield "Created", 0
    if begin < 0.05:
        yield "Spam", soon(chance, 1)
        return
    if begin < 0.2:
        yield "Created", soon(chance, 0.2)  # saved once more
    if begin < 0.95:
        yield "Working", soon(chance, 3)
    while chance.random() < 0.4:
        yield "Asked", soon(chance, 4)
        if chance.random() < 0.12:
            yield "Asked", 7 + soon(chance, 3)  # asked again
        reply = chance.random()
        if reply < 0.12:
            return  # no reply until now
        yield "Working", soon(chance, 9 if reply < 0.72 else 25) + (12 + soon(chance, 50)) * (reply > 0.9)
    if chance.random() < 0.1:
        yield "Developers", soon(chance, 2)
        yield "Working", 2 + soon(chance, 40)
    yield from end(chance)


def end(chance: Random) -> Course:
    """The answer, what the customer says of it, and the Friday on which the ticket is done."""
    yield "Answered", soon(chance, 5)
    if chance.random() < 0.16:
        yield "Working", soon(chance, 30)
        yield "Answered", soon(chance, 4)
    yield "Done", 7 + soon(chance, 60)
    again = chance.random()
    if again < 0.06:
        yield ("Working" if again < 0.04 else "Answered"), soon(chance, 30)


def soon(chance: Random, days: float) -> float:
    """Within so many days, rather sooner than later."""
    return days * chance.random() * chance.random()


def rows() -> Iterator[str]:
    """The lines of the log."""
    chance = Random(2025)  # noqa: S311 - made up is what they are to be
    yield "case,seq,ts,raw"
    for number in range(TICKETS):
        at = BEGIN + (END - BEGIN) * (number / TICKETS) + timedelta(hours=9 * chance.random())
        for seq, (raw, days) in enumerate(course(chance)):
            at += timedelta(seconds=round(days * 86_400))
            if raw == "Done" and days:
                at += timedelta(days=(4 - at.weekday()) % 7)
            if at > END:
                break
            yield f"T-{1001 + number},{seq},{at:%Y-%m-%dT%H:%M:%S}Z,{raw}"


if __name__ == "__main__":
    Path(__file__).with_name("past.csv").write_text("\n".join(rows()) + "\n", encoding="utf-8", newline="\n")
