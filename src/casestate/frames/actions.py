"""The actions of a replay as they are written to files: many at a time, from frames of Polars."""

from __future__ import annotations

import errno

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import attrs
import polars as pl

from casestate.replay import PastAction


if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

__all__ = ["as_texts", "parquet_actions"]

_INSTANT: Final = pl.Datetime("us", "UTC")
_SCHEMA: Final[dict[str, Any]] = {
    field.name: _INSTANT if field.name.endswith("_at") else pl.Int64 if field.name == "stay" else pl.String
    for field in attrs.fields(PastAction)
}


def as_texts(actions: pl.DataFrame) -> Iterator[tuple[object, ...]]:
    """The values of `PastAction.to_dict` for each row."""
    instants = [name for name in actions.columns if name.endswith("_at")]
    return actions.with_columns(_text(pl.col(name)).alias(name) for name in instants).iter_rows()


def _text(instant: pl.Expr) -> pl.Expr:
    is_whole = instant.dt.microsecond() == 0
    written = pl.when(is_whole).then(instant.dt.to_string("%Y-%m-%dT%H:%M:%S"))
    return written.otherwise(instant.dt.to_string("%Y-%m-%dT%H:%M:%S%.6f")) + "Z"


@contextmanager
def parquet_actions(path: str) -> Generator[Callable[[pl.DataFrame | Sequence[PastAction]], None]]:
    """Writes actions to a Parquet file, some at a time: to parts, which are joined at the end.

    Raises `OSError` where that cannot be.
    """
    with TemporaryDirectory(prefix="casestate-") as folder:
        parts: list[Path] = []

        def add(actions: pl.DataFrame | Sequence[PastAction]) -> None:
            if not isinstance(actions, pl.DataFrame):
                rows = [attrs.astuple(action) for action in actions]
                actions = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
            parts.append(Path(folder, f"{len(parts)}.parquet"))
            found = actions.select(pl.col(name).cast(dtype) for name, dtype in _SCHEMA.items())
            with _writing():
                found.write_parquet(parts[-1])

        yield add
        add([])  # one part there is
        with _writing():
            pl.scan_parquet(parts).sink_parquet(path)


@contextmanager
def _writing() -> Generator[None]:
    """A disk that is full is an `OSError` in Python, and not always one in Polars."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        raise OSError(errno.EIO, str(error).partition("\n")[0]) from None
