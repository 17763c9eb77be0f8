"""The drawing of a policy as a picture: what `casestate.render.dot` says, laid out by Graphviz."""

from __future__ import annotations

import os
import sys

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from casestate.render import dot


if TYPE_CHECKING:
    from collections.abc import Generator

    from casestate.policy import Policy

__all__ = ["svg"]


def svg(policy: Policy) -> bytes:
    """The statechart of the policy as SVG. Raises `ImportError` where there is no pygraphviz."""
    import pygraphviz  # type: ignore[import-untyped]  # noqa: PLC0415 - not to be had on every machine

    with _hushed():
        graph: Any = cast("Any", pygraphviz).AGraph(string=dot(policy))
        return cast("bytes", graph.draw(format="svg", prog="dot"))


@contextmanager
def _hushed() -> Generator[None]:
    """Without what Graphviz and its font library say on standard error, past Python."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
