"""``import casestate`` beside ``import attrs, transitions``, in fresh interpreters with warm caches."""

from __future__ import annotations

import os
import subprocess
import sys

from functools import partial
from typing import TYPE_CHECKING

from .measure import Row, at_most, for_scale, interleaved, waited_for


if TYPE_CHECKING:
    from collections.abc import Iterator

OURS, THEIRS = "import casestate", "import attrs, transitions"
TIMED = "import time; start = time.process_time(); {}; print(time.process_time() - start)"


def fresh(program: str) -> str:
    """The output of a program in an interpreter of its own, which may keep what it compiles."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def alone(statement: str) -> float:
    """The processor seconds of an import, as the interpreter that it runs in counts them."""
    return float(fresh(TIMED.format(statement)))


def rows() -> Iterator[Row]:
    """The rows of the table."""
    seconds = interleaved(
        {
            "nothing": waited_for(partial(fresh, "pass")),
            "ours, process": waited_for(partial(fresh, OURS)),
            "theirs, process": waited_for(partial(fresh, THEIRS)),
            "ours, import": partial(alone, OURS),
            "theirs, import": partial(alone, THEIRS),
        },
        rounds=41,
    )
    ours, theirs = seconds["ours, process"], seconds["theirs, process"]
    yield for_scale("an interpreter that imports nothing", f"{seconds['nothing'] * 1e3:.1f} ms")
    yield for_scale(f"one that runs {THEIRS}", f"{theirs * 1e3:.1f} ms")
    yield at_most(f"{OURS} / {THEIRS}, whole process", ours / theirs, 1.25)
    yield at_most(
        f"{OURS} / {THEIRS}, the import alone", seconds["ours, import"] / seconds["theirs, import"], 1.25
    )
