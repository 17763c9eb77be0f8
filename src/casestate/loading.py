"""How a policy is written down: TOML files, the names of the built-in ones, and ``extends``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from casestate.errors import PolicyError, Problem, nearest, one_of, shown
from casestate.policy import Policy


if TYPE_CHECKING:
    import os

    from pathlib import Path

__all__ = ["BUILT_IN", "load_policy"]

BUILT_IN = ("sub-status", "open-resolved")
"""The names of the policies that ship with the library."""


def load_policy(source: str | os.PathLike[str] | Mapping[str, object]) -> Policy:
    """Read a policy: a built-in's name, the path of a TOML file, or a mapping of the same shape.

    ``extends`` names a built-in, or a path beside the file (beside the current
    directory for a mapping), over which the policy is laid.

    Raises `PolicyError` with every problem there is, each with its path.
    """
    from pathlib import Path  # noqa: PLC0415 - nothing to do with a policy that is already there

    if isinstance(source, Mapping):
        name = source.get("name")
        return _policy(source, name if isinstance(name, str) and name else "policy", Path(), ())
    if isinstance(source, str) and source in BUILT_IN:
        return _built_in(source)
    try:
        path = Path(source)
    except TypeError:
        message = f"must be a name, a path or a mapping, not {shown(source)}"
        raise PolicyError("policy", [Problem("", message)]) from None
    data = _parsed(_text(path, str(path), str(path), ""), str(path))
    return _policy(data, str(path), path.parent, (_resolved(path),))


def _built_in(name: str) -> Policy:
    from importlib.resources import files  # noqa: PLC0415 - read when first asked for

    text = files("casestate.policies").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return Policy.from_dict(_parsed(text, name), source=name)


def _text(path: Path, name: str, source: str, place: str) -> str:
    """The text of a file that ``source`` calls ``name`` at ``place``."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start}"
        raise PolicyError(str(path), [Problem("", message)]) from None
    except (OSError, ValueError) as error:  # a path can also be no path at all
        reason = error.strerror if isinstance(error, OSError) else error
        hint = f"{nearest(name, BUILT_IN)}; built-in policies: {one_of(BUILT_IN)}"
        named = f"{shown(name)} " if place else ""
        raise PolicyError(source, [Problem(place, f"{named}cannot be read: {reason}{hint}")]) from None


def _resolved(path: Path) -> Path:
    """The file that a path leads to; the path itself if it leads nowhere."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path


def _parsed(text: str, source: str) -> Mapping[str, object]:
    import tomllib  # noqa: PLC0415 - only a file needs it

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of too many digits is a mere ValueError
        raise PolicyError(source, [Problem("", f"is not TOML: {error}")]) from None


def _policy(data: Mapping[str, object], source: str, folder: Path, seen: tuple[Path, ...]) -> Policy:
    if "extends" not in data:
        return Policy.from_dict(data, source=source)
    own = {key: value for key, value in data.items() if key != "extends"}
    return _base(data["extends"], source, folder, seen).override(own, source=source)


def _base(name: object, source: str, folder: Path, seen: tuple[Path, ...]) -> Policy:
    if not isinstance(name, str) or not name:
        message = f"must be the name of a built-in policy ({one_of(BUILT_IN)}) or a path, not {shown(name)}"
        raise PolicyError(source, [Problem("extends", message)])
    if name in BUILT_IN:
        return _built_in(name)
    path = folder / name
    resolved = _resolved(path)
    if resolved in seen:
        message = f"the policy extends itself: {' → '.join(file.name for file in (*seen, path))}"
        raise PolicyError(source, [Problem("extends", message)])
    base = str(path)
    data = _parsed(_text(path, name, source, "extends"), base)
    return _policy(data, base, path.parent, (*seen, resolved))
