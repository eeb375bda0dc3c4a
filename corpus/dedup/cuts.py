"""The last phase of dedup by lines: which lines each unit's documents lose, which of them are dropped, and evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.dedup.clusters import Ints
from corpus.dedup.group_lines import Group, read_group
from corpus.dedup.repeats import FACTS, LOSERS_SCHEMA, PLACES_SCHEMA, REPEATED_SCHEMA, LineLayout, Own, measures_of
from corpus.storage.boxes import Outbox, read_boxes
from corpus.storage.commits import Part
from corpus.storage.store import Store
from corpus.tables.verdict_columns import CUTS_SCHEMA, record_ids


def cuts(
    store: Store,
    layout: LineLayout,
    number: int,
    own: Own,
    losers: Part,
    repeated: Sequence[Part],
    keepers: Sequence[Part] | None,
    archives: Sequence[str],
) -> tuple[list[Part], dict[str, Any]]:
    """`cuts`, a box for each unit of the group; and what each loses. `keepers` is None where no document keeps a
    repeated line; `archives` are the names of all archives."""
    group = read_group(store, layout.groups[number], own.units, own.told)
    if keepers is None:
        places = read_boxes(store, repeated, number, REPEATED_SCHEMA)
    else:
        places = read_boxes(store, keepers, number, PLACES_SCHEMA)
    places = places.take(pa.array(np.argsort(places["hash"].to_numpy())))
    at = group.find(places["hash"].to_numpy())
    keeper = np.full(places.num_rows + 1, -1) if keepers is None else np.append(places["doc"].to_numpy(), -1)
    goes = (at >= 0) & (keeper[at] != group.doc + group.first)

    out = read_boxes(store, [losers], 0, LOSERS_SCHEMA)
    gone = out["doc"].to_numpy() - group.first
    facts = group.losses(goes)
    for name in FACTS:  # a dropped one lost this before it made others lose less
        facts[name][gone] = out[name].to_numpy()
    removed = np.zeros(len(group.alive), dtype=np.bool_)
    removed[gone] = True
    docs = np.flatnonzero(removed | (facts["removed"] > 0))
    told = _told(group, docs, removed, goes, facts, own.archives, archives)
    told |= {name: _laid_over(docs, gone, out[name]) for name in ("rule", "value", "limit")}
    told["kept_in"] = _kept_in(group, goes, at, keeper, docs, places, archives)
    batch = pa.RecordBatch.from_arrays([told[name] for name in CUTS_SCHEMA.names], schema=CUTS_SCHEMA)
    unit = group.unit_of(docs)
    with Outbox(store, "cuts", len(own.units)) as cuts_out:
        cuts_out.put_sorted(unit, batch)
        parts = [cuts_out.finish()]
    return parts, {"units": _counts(group, facts, docs[~removed[docs]], gone, out["rule"])}


def _told(
    group: Group,
    docs: Ints,
    removed: np.ndarray,
    goes: np.ndarray,
    facts: dict[str, Ints],
    numbers: Sequence[int],
    archives: Sequence[str],
) -> dict[str, pa.Array]:
    """The columns that are known of the group alone."""
    places = {"archive": group.archive(numbers)[docs], "offset": group.offset[docs], "inner": group.inner[docs]}
    cut = np.flatnonzero(goes & ~removed[group.doc])
    ends = np.searchsorted(group.doc[cut], docs, side="right")
    measures = measures_of({name: values[docs] for name, values in facts.items()})
    return {
        "corpus_row": pa.array(docs - np.append(0, group.ends)[group.unit_of(docs)]),
        "id": record_ids(pa.array(archives, pa.string()), pa.RecordBatch.from_pydict(places)),
        "removed": pa.array(removed[docs]),
        "cut": pa.ListArray.from_arrays(
            pa.array(np.append(0, ends), pa.int32()), pa.array(group.line[cut].astype(np.uint32))
        ),
        "lines_compared": pa.array(measures["compared"]),
        "lines_removed": pa.array(measures["removed"]),
        "removed_ratio": pa.array(measures["removed_ratio"]),
        "chars_left": pa.array(measures["chars_left"]),
    }


def _laid_over(docs: Ints, some: Ints, values: pa.Array) -> pa.Array:
    """Values of some of the documents, null for the others."""
    at = np.searchsorted(some, docs)
    known = np.isin(docs, some)
    return values.take(pa.array(np.where(known, at, 0), mask=~known))


def _kept_in(
    group: Group,
    goes: np.ndarray,
    at: Ints,
    keeper: Ints,
    docs: Ints,
    places: pa.RecordBatch,
    archives: Sequence[str],
) -> pa.Array:
    """For each of `docs` the id of the one that keeps most of what it loses, by characters; of equals the first."""
    lines = np.flatnonzero(goes & (keeper[at] >= 0))
    if not len(lines):
        return pa.nulls(len(docs), pa.string())
    order = lines[np.lexsort((keeper[at[lines]], group.doc[lines]))]
    doc, kept = group.doc[order], keeper[at[order]]
    starts = np.flatnonzero(np.append(True, (doc[1:] != doc[:-1]) | (kept[1:] != kept[:-1])))
    held = np.add.reduceat(group.chars[order], starts)
    best = np.lexsort((kept[starts], -held, doc[starts]))
    first = np.append(True, np.diff(doc[starts][best]) != 0)
    chosen = order[starts[best[first]]]
    ids = record_ids(pa.array(archives, pa.string()), places.take(pa.array(at[chosen])))
    return _laid_over(docs, group.doc[chosen], ids)


def _counts(group: Group, facts: dict[str, Ints], kept: Ints, gone: Ints, rules: pa.Array) -> list[dict[str, Any]]:
    """Of each unit: documents dropped, by rule, kept ones that lose lines, and the lines and characters they lose."""
    units, of = len(group.ends), group.unit_of(kept)
    columns = {
        "changed": np.bincount(of, minlength=units),
        "lines": np.bincount(of, facts["removed"][kept], minlength=units),
        "chars": np.bincount(of, facts["chars_removed"][kept], minlength=units),
    }
    counts: list[dict[str, Any]] = [
        {"dropped": {}, **{name: int(values[place]) for name, values in columns.items()}} for place in range(units)
    ]
    for place, rule in zip(group.unit_of(gone).tolist(), rules.to_pylist(), strict=True):
        dropped = counts[place]["dropped"]
        dropped[rule] = dropped.get(rule, 0) + 1
    return counts
