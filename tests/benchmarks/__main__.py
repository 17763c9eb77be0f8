"""``python -m tests.benchmarks [PART ...]`` from the root of the repository; needs the extra ``bench``."""

from __future__ import annotations

import platform
import sys

from importlib import import_module


PARTS = ("core", "import", "cli", "proof", "frames", "replay", "sql")


def main() -> int:
    """Print the table, a row as soon as it is measured; 1 if a target is missed."""
    parts = sys.argv[1:] or PARTS
    if unknown := set(parts) - set(PARTS):
        print(f"unknown: {', '.join(unknown)} (there are: {', '.join(PARTS)})", file=sys.stderr)
        return 2
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}", end="\n\n")
    print("| what | measured | target | met |\n|---|---|---|---|")
    missed = False
    for part in parts:
        for row in import_module(f"{__package__}.bench_{part}").rows():
            met = "" if row.met is None else "yes" if row.met else "**no**"
            missed = missed or row.met is False
            print(f"| {row.what} | {row.measured} | {row.target} | {met} |", flush=True)
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
