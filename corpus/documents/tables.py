"""Tables in memory, as other libraries have them: dicts of columns, pyarrow tables, pandas and polars data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import pyarrow as pa

from corpus.errors import ConfigError

Table = TypeVar("Table")

_FRAMES = {"pandas": "DataFrame", "polars": "DataFrame"}


def names_of(table: Any) -> list[str]:
    """Return the names of the columns of a table. Raises ConfigError for a table of an unknown type."""
    if isinstance(table, pa.Table | pa.RecordBatch):
        return list(table.schema.names)
    if isinstance(table, Mapping):
        lengths = {name: len(column) for name, column in table.items() if _is_column(column)}
        single = next((name for name in table if name not in lengths), None)
        if single is not None:
            what = f"The column '{single}' is a single {type(table[single]).__name__}."
            raise ConfigError(what, "Give each column as a list. In `datasets`, map needs batched=True.")
        if len(set(lengths.values())) > 1:
            raise ConfigError(f"The columns have different lengths: {lengths}.", "Give as many values in each.")
        return list(table)
    if type(table).__name__ == _FRAMES.get(_library(table)):
        return [str(name) for name in table.columns]
    what = f"A table of type {type(table).__name__} can't be read."
    raise ConfigError(what, "Give a dict of columns, a pyarrow table, or a DataFrame of pandas or polars.")


def column(table: Any, name: str) -> list[Any]:
    """Return the values of a column."""
    values = table[name]
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return list(values.to_pylist())
    return list(values.tolist() if hasattr(values, "tolist") else values)


def with_rows(table: Table, rows: Sequence[int], name: str, values: list[str]) -> Table:
    """Return some rows of a table, with other values in one column, which may be new. All else stays as it is."""
    made: Any = table
    if isinstance(table, pa.Table | pa.RecordBatch):
        made = table.take(pa.array(rows, pa.int64()))
        at = made.schema.get_field_index(name)
        made = made.set_column(at, name, pa.array(values)) if at >= 0 else made.append_column(name, pa.array(values))
    elif isinstance(table, Mapping):
        made = {key: [column(table, key)[row] for row in rows] for key in table} | {name: values}
    elif _library(table) == "pandas":
        made = made.iloc[list(rows)].assign(**{name: values})
    else:
        import polars

        made = made[list(rows)].with_columns(polars.Series(name, values, dtype=polars.String))
    return made  # type: ignore[no-any-return]


def _is_column(values: object) -> bool:
    return not isinstance(values, str | bytes | Mapping) and hasattr(values, "__len__")


def _library(table: object) -> str:
    return type(table).__module__.partition(".")[0]
