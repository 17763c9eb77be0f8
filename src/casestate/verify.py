"""What can be proved of a policy: everything that could happen to a case is explored, and what is wrong is told.

A policy is small and finite. Where a case stands is its state, the last timer
settled, whether it is assigned and where it came from; events, roles and timers
lead from one such configuration to another. `verify` follows all of them, and
for each finding shows a shortest way there: its witness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from casestate.clock import format_instant


if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Finding", "Occurrence", "Severity"]

Severity: TypeAlias = Literal["error", "warning", "note"]


@attrs.frozen(kw_only=True)
class Occurrence:
    """One step of a witness: the case is opened, an event happens, or a sweep finds a timer due and settles it.

    ``event`` is ``open``, the event's name, or the timer's; ``timer`` says that it is a
    timer, which ``by`` the role ``system`` is settled ``at`` that instant.
    ``refused`` says that the event is refused, and the case stays as it was.
    """

    at: datetime
    event: str
    by: str
    sub_status: str | None = None
    assignee: str | None = None
    timer: bool = False
    refused: bool = False

    def to_dict(self) -> dict[str, object]:
        """The step as a JSON-ready mapping."""
        return {**attrs.asdict(self), "at": format_instant(self.at)}


@attrs.frozen(kw_only=True)
class Finding:
    """Something that is to be said of a policy.

    ``code`` is stable (see docs/checks.md), ``path`` the place in the policy
    file, ``message`` says what is found in a sentence and ``remedy`` what to do about it. ``witness`` is a
    shortest way to see it happen, from the opening of a case on, and ``story`` tells it in the policy's words.
    """

    code: str
    severity: Severity
    path: str
    message: str
    remedy: str
    story: str = ""
    witness: tuple[Occurrence, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The finding as a JSON-ready mapping."""
        return {
            "code": self.code,
            "severity": self.severity,
            "path": self.path,
            "message": self.message,
            "remedy": self.remedy,
            "story": self.story,
            "witness": [occurrence.to_dict() for occurrence in self.witness],
        }
