"""The entry of ``casestate`` and of ``python -m casestate``."""

from __future__ import annotations

import os
import sys

from pathlib import Path


_EXTRA = ("click", "msgspec", "rich", "tomli_w")
"""What the command line needs beyond the library, all of it in the extra ``cli``."""


def main() -> None:
    """Run the command line; without its extra, say how to get it."""
    try:
        from casestate.cli import cli  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing not in _EXTRA:
            raise
        sys.stderr.write(f"casestate: the command line needs {missing}: pip install 'casestate[cli]'\n")
        raise SystemExit(2) from None
    streams: tuple[object, ...] = (sys.stdout, sys.stderr)  # none, where they are closed
    if streams[1] is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the program runs
    if streams[0] is None:
        sys.stderr.write("casestate: standard output is closed\n")
        raise SystemExit(2)
    try:
        cli(prog_name="casestate")
    except OSError as error:
        what = error.filename or "standard output"
        sys.stderr.write(f"casestate: {what} cannot be written: {error.strerror}\n")
        # What is still in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
