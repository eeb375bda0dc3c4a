"""Tables in memory, as other libraries have them: dicts of columns, pyarrow tables, pandas and polars data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import pyarrow as pa

from corpus.errors import ConfigError

Table = TypeVar("Table")


def columns_of(table: Any) -> dict[str, Sequence[Any]]:
    """Return the columns of a table as lists, by name. Raises ConfigError for a table of an unknown type."""
    if isinstance(table, pa.Table | pa.RecordBatch):
        return dict(table.to_pydict())
    if isinstance(table, Mapping):
        return {name: list(column) for name, column in table.items()}
    if _library(table) == "pandas":
        return dict(table.to_dict("list"))
    if _library(table) == "polars":
        return dict(table.to_dict(as_series=False))
    what = f"A table of type {type(table).__name__} can't be read."
    raise ConfigError(what, "Give a dict of columns, a pyarrow table, or a data frame of pandas or polars.")


def like(table: Table, columns: dict[str, list[Any]]) -> Table:
    """Return columns as a table of the same type."""
    frame: Any = table
    made: Any = columns
    if isinstance(table, pa.Table | pa.RecordBatch):
        types = {field.name: field.type for field in table.schema}
        made = type(table).from_pydict({name: pa.array(column, types.get(name)) for name, column in columns.items()})
    elif _library(table) == "pandas":
        made = type(frame)(columns)
    elif _library(table) == "polars":
        made = type(frame)(columns, schema_overrides=dict(frame.schema))
    return made  # type: ignore[no-any-return]


def _library(table: object) -> str:
    return type(table).__module__.partition(".")[0]
