"""Dataframes: what is due in a frame of cases, and what a policy would have done to a frame of the past.

`due` and `rejects` are asked of cases (see `casestate.frames.cases`), `replay` and `what_if` of logs (see
`casestate.frames.log`, which needs Polars whatever the engine of the log is).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from casestate.frames.cases import ParquetCases as ParquetCases
from casestate.frames.cases import due, rejects
from casestate.frames.cases import worth_reading as worth_reading


if TYPE_CHECKING:
    from casestate.frames.log import FrameReplay, replay, scan_log, what_if

__all__ = ["FrameReplay", "due", "rejects", "replay", "scan_log", "what_if"]


def __getattr__(name: str) -> object:
    """What needs Polars is imported when first asked for: engines other than that do without."""
    if name not in ("FrameReplay", "replay", "scan_log", "what_if"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from casestate.frames.log import FrameReplay, replay, scan_log, what_if  # noqa: PLC0415 - an extra

    return {"FrameReplay": FrameReplay, "replay": replay, "scan_log": scan_log, "what_if": what_if}[name]
