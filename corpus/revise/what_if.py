"""What other limits would change in a finished run: `Run.retune` and `corpus tune` give it, as tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.digests import differences
from corpus.outcome import KEPT
from corpus.revise.judge import Columns, Ends, Judge, Tally, combined
from corpus.revise.limits import Rule, document_limit, rules_of, with_limits
from corpus.settings import Settings

if TYPE_CHECKING:
    from corpus.tables.run_files import RunFiles

_THREADS = 4
"""Row groups at a time: one takes some 30 MB."""


@dataclass(frozen=True)
class Retuned:
    """Counts under other limits, with the recipe that has them.

    `kept` is (least, most), equal where `exact`: what passes every rule is known of each document but the open ones,
    and which of those that pass repeat another is known as long as the same documents are compared. Where others are,
    the least takes each of them to replace at most one page that was kept; where lines are compared, it is 0.
    """

    recipe: dict[str, Any]
    changes: list[str]
    """One line for each changed bound."""
    before: int
    """Pages kept in the run."""
    kept: tuple[int, int]
    passing: tuple[int, int]
    """Pages that pass every rule on single documents: (certain, with the open ones)."""
    repeats: str
    """Why what is compared is not known, if it is not; else empty."""
    rules: pa.Table
    """The changed rules: what each gains and loses."""
    moves: pa.Table
    """Documents by old and new end."""
    together: pa.Table
    """Documents by the changed rules that they break together: now if lost, before if gained."""
    examples: pa.Table

    @property
    def exact(self) -> bool:
        return self.kept[0] == self.kept[1]

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        tables = {name: getattr(self, name).to_pylist() for name in ("rules", "moves", "together", "examples")}
        counts = {"before": self.before, "least": self.kept[0], "most": self.kept[1]}
        passing = {"certain": self.passing[0], "most": self.passing[1]}
        facts = {"changes": self.changes, "exact": self.exact, "kept": counts, "passing": passing}
        return {**facts, "repeats": self.repeats, **tables}


def retune(run: RunFiles, settings: Settings) -> Retuned:
    """Judge the ledger of a run under other limits. Raises ConfigError for what is no limit of its recipe."""
    info = run.info
    recipe = with_limits(info, settings)
    rules = rules_of(info, recipe)
    changes = differences(info["recipe"], recipe)
    judge = Judge(rules, info["columns"], list(info["compared"]), document_limit(info, recipe))
    groups = _row_groups(run)

    def tally(number: int) -> Tally:
        path, inside, first = groups[number]
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return judge.tally(reader(file, inside), number, first)

    found = Tally(judge.ends)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for part in pool.map(tally, range(len(groups))):
            found.add(part)
    ends = judge.ends
    certain = int(found.moves[:, [ends.kept, ends.repeated]].sum())
    kept, repeats = _kept(info, recipe, found)
    return Retuned(
        recipe=recipe,
        changes=changes,
        before=int(found.moves[ends.kept].sum()),
        kept=kept,
        passing=(certain, certain + int(found.moves[:, ends.open].sum())),
        repeats=repeats,
        rules=_rules(found),
        moves=_moves(found),
        together=_together(found),
        examples=_examples(found, groups),
    )


def reader(file: pq.ParquetFile, group: int) -> Columns:
    """Reads columns of one row group, each once."""
    held: dict[str, pa.ChunkedArray] = {}

    def read(names: Sequence[str]) -> pa.Table:
        missing = [name for name in dict.fromkeys(names) if name not in held]
        if missing:
            table = file.read_row_group(group, columns=missing, use_threads=False)
            held.update({name: table[name] for name in missing})
        return pa.table({name: held[name] for name in names})

    return read


def _row_groups(run: RunFiles) -> list[tuple[str, int, int]]:
    """The row groups of the ledger: file, number in it, first row."""
    found = []
    row = 0
    for path in run.paths("ledger"):
        metadata = pq.read_metadata(path)
        for group in range(metadata.num_row_groups):
            found.append((str(path), group, row))
            row += metadata.row_group(group).num_rows
    return found


def _kept(info: dict[str, Any], recipe: dict[str, Any], found: Tally) -> tuple[tuple[int, int], str]:
    """The least and the most documents that would be kept, and why that is not one number."""
    ends, moves = found.ends, found.moves
    before, now = document_limit(info, info["recipe"]), document_limit(info, recipe)
    stayed, repeated = int(moves[ends.kept, ends.kept]), int(moves[ends.repeated, ends.repeated])
    gained = int(moves[: ends.kept, ends.kept].sum())
    opened = int(moves[:, ends.open].sum())
    # only one stage that compares documents, and leaves evidence about all of them, bounds what others may take
    others = len(info["compared"]) > 1 or not (now and now.cluster_size and now.exact)
    if not info["compared"] or (now and now.below is None and not others):
        return (stayed + repeated + gained, stayed + repeated + gained + opened), ""
    compared = {table["name"]: table for table in recipe["stages"] if table["name"] in info["compared"]}
    moved = [
        table for table in info["recipe"]["stages"] if table["name"] in compared and table != compared[table["name"]]
    ]
    lost = found.lost_candidates if not others else int(moves[ends.kept :, : ends.kept].sum())
    if not (gained or opened or lost or moved):
        return (stayed, stayed), ""
    below = now.below if now and now.below is not None else 2.0
    certain = max(found.copies - found.lost_keepers, 0) if below <= 1 and before and before.below is not None else 0
    least = stayed
    if others:  # lines that are new, or gone, can take from any page
        least = 0
    elif moved:  # whatever shares a key with another might go; if none was looked for, anything
        least = stayed - found.candidates if before and before.below is not None else min(stayed, 1)
    names = " and ".join(sorted(compared))
    because = "its limit is another one" if moved else "other documents are compared than before"
    return (least, stayed + repeated - certain + gained + opened), f"{names}: {because}"


def _rules(found: Tally) -> pa.Table:
    """One row per changed rule."""
    ends, moves = found.ends, found.moves
    rows = []
    for place, rule in enumerate(ends.rules):
        if not rule.changed:
            continue
        alone = [found.combinations.get((kind, 1 << _bit(ends, rule)), [0, 0])[0] for kind in ("lost", "gained")]
        rows.append(
            {
                "rule": rule.column,
                "before": shown(rule.old.bounds),
                "now": shown(rule.new.bounds),
                "dropped_before": int(moves[place].sum()),
                "dropped_now": int(moves[:, place].sum()),
                "lost": int(moves[ends.kept, place]),
                "lost_bytes": int(found.bytes[ends.kept, place]),
                "lost_by_it_alone": alone[0],
                "gained": int(moves[place, ends.kept]),
                "gained_bytes": int(found.bytes[place, ends.kept]),
                "gained_by_it_alone": alone[1],
                "open": int(moves[place, ends.open]),
                "held_by_others": int(moves[place, : ends.kept].sum() - moves[place, place]),
                "unsized": int(found.unsized[place, ends.kept] + found.unsized[ends.kept, place]),
            }
        )
    return pa.Table.from_pylist(rows, schema=_RULES_SCHEMA)


_RULES_SCHEMA = pa.schema(
    [
        pa.field("rule", pa.string()),
        pa.field("before", pa.string()),
        pa.field("now", pa.string()),
        pa.field("dropped_before", pa.int64()),
        pa.field("dropped_now", pa.int64(), metadata={"is": "without the open ones"}),
        pa.field("lost", pa.int64(), metadata={"is": "pages that were kept and now end here"}),
        pa.field("lost_bytes", pa.int64(), metadata={"is": "of text"}),
        pa.field("lost_by_it_alone", pa.int64(), metadata={"is": "of those that break no other changed rule"}),
        pa.field("gained", pa.int64(), metadata={"is": "pages that ended here and now pass every rule"}),
        pa.field("gained_bytes", pa.int64(), metadata={"is": "of text"}),
        pa.field("gained_by_it_alone", pa.int64(), metadata={"is": "of those that broke no other changed rule"}),
        pa.field("open", pa.int64(), metadata={"is": "ended here, and were never measured by what comes after"}),
        pa.field("held_by_others", pa.int64(), metadata={"is": "ended here, and now end at another rule"}),
        pa.field("unsized", pa.int64(), metadata={"is": "gained or lost, with unknown bytes"}),
    ]
)


def _moves(found: Tally) -> pa.Table:
    ends = found.ends
    names = [rule.column for rule in ends.rules] + [KEPT, "repeated", "fixed", "open"]
    rows: list[dict[str, Any]] = []
    for old, new in np.argwhere(found.moves).tolist():
        if old != new:
            size = None if found.unsized[old, new] else int(found.bytes[old, new])
            rows.append({"from": names[old], "to": names[new], "documents": int(found.moves[old, new]), "bytes": size})
    rows.sort(key=lambda row: -row["documents"])
    return pa.Table.from_pylist(rows, schema=_MOVES_SCHEMA)


_MOVES_SCHEMA = pa.schema(
    [
        pa.field("from", pa.string(), metadata={"is": "a rule, kept, repeated (removed when compared), or fixed"}),
        pa.field("to", pa.string(), metadata={"is": "as `from`; kept stands for what passes every rule; or open"}),
        pa.field("documents", pa.int64()),
        pa.field("bytes", pa.int64(), metadata={"is": "of text; null where not known of all"}),
    ]
)


def _together(found: Tally) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {"kind": kind, "rules": list(combined(mask, found.ends.rules)), "documents": count[0], "bytes": count[1]}
        for (kind, mask), count in found.combinations.items()
    ]
    rows.sort(key=lambda row: (row["kind"], -row["documents"], row["rules"]))
    return pa.Table.from_pylist(rows, schema=_TOGETHER_SCHEMA)


_TOGETHER_SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string(), metadata={"is": "lost, gained or open"}),
        pa.field("rules", pa.list_(pa.string())),
        pa.field("documents", pa.int64()),
        pa.field("bytes", pa.int64()),
    ]
)


def _examples(found: Tally, groups: Sequence[tuple[str, int, int]]) -> pa.Table:
    """The drawn rows, with their URL and value."""
    wanted: dict[int, list[tuple[str, int, int]]] = {}
    for (kind, place), drawn in found.drawn.items():
        for _, group, row in drawn:
            wanted.setdefault(group, []).append((kind, place, row))
    rows = []
    for group, drawn_here in sorted(wanted.items()):
        path, inside, _ = groups[group]
        columns = {found.ends.rules[place].column for _, place, _ in drawn_here}
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = reader(file, inside)(["id", "url", *sorted(columns)])
        for kind, place, row in drawn_here:
            here = table.slice(row, 1).to_pylist()[0]
            column = found.ends.rules[place].column
            value = here[column]
            shown_value = f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
            rows.append({"kind": kind, "rule": column, "id": here["id"], "url": here["url"], "value": shown_value})
    rows.sort(key=lambda row: (row["kind"], row["rule"], row["id"]))
    return pa.Table.from_pylist(rows, schema=_EXAMPLES_SCHEMA)


_EXAMPLES_SCHEMA = pa.schema([pa.field(name, pa.string()) for name in ("kind", "rule", "id", "url", "value")])


def shown(bounds: dict[str, Any]) -> str:
    """Bounds for people: `min 30 max 100000`, or off."""
    parts = (f"{name} {', '.join(b) if isinstance(b, list) else f'{b:g}'}" for name, b in bounds.items())
    return " ".join(parts) or "off"


def _bit(ends: Ends, rule: Rule) -> int:
    return [one for one in ends.rules if one.changed].index(rule)
