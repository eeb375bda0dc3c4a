"""What other limits would change in a finished run: `Run.retune` and `corpus tune` give it, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from corpus.digests import differences
from corpus.outcome import KEPT
from corpus.revise.judge import Ends, Judge, Tally, combined
from corpus.revise.limits import Rule, compared_limit, rules_of, with_limits
from corpus.settings import Settings
from corpus.tables.row_groups import RowGroup, map_row_groups, row_groups

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
    dedup = compared_limit(info, recipe)
    judge = Judge(rules, info["columns"], list(info["compared"]), dedup[0] if dedup else "")
    groups = row_groups(run.paths("ledger"))
    found = Tally(judge.ends)
    for part in map_row_groups(lambda group, read: judge.tally(read, group.first), groups, _THREADS):
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


def _kept(info: dict[str, Any], recipe: dict[str, Any], found: Tally) -> tuple[tuple[int, int], str]:
    """The least and the most documents that would be kept, and why that is not one number."""
    ends, moves = found.ends, found.moves
    before, now = compared_limit(info, info["recipe"]), compared_limit(info, recipe)
    stayed, repeated = int(moves[ends.kept, ends.kept]), int(moves[ends.repeated, ends.repeated])
    gained = int(moves[: ends.kept, ends.kept].sum())
    opened = int(moves[:, ends.open].sum())
    others = any(kind != "signatures" for kind in info["compared"].values())
    if not info["compared"] or (now and now[1] is None and not others):
        return (stayed + repeated + gained, stayed + repeated + gained + opened), ""
    compared = {table["name"]: table for table in recipe["stages"] if table["name"] in info["compared"]}
    moved = [
        table for table in info["recipe"]["stages"] if table["name"] in compared and table != compared[table["name"]]
    ]
    lost = found.lost_candidates if not others else int(moves[ends.kept :, : ends.kept].sum())
    if not (gained or opened or lost or moved):
        return (stayed, stayed), ""
    below = now[1] if now and now[1] is not None else 2.0
    certain = max(found.copies - found.lost_keepers, 0) if below <= 1 and before and before[1] is not None else 0
    least = stayed
    if others:  # lines that are new, or gone, can take from any page
        least = 0
    elif moved:  # whatever shares a key with another might go; if none was looked for, anything
        least = stayed - found.candidates if before and before[1] is not None else min(stayed, 1)
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


def _examples(found: Tally, groups: Sequence[RowGroup]) -> pa.Table:
    """The drawn rows, with their URL and value."""
    wanted = [(kind, place, row) for (kind, place), drawn in found.drawn.items() for _, row in drawn]
    rows = []
    for group in groups:
        drawn_here = [one for one in wanted if group.first <= one[2] < group.first + group.rows]
        if not drawn_here:
            continue
        columns = {found.ends.rules[place].column for _, place, _ in drawn_here}
        with group.open() as read:
            table = read(["id", "url", *sorted(columns)])
        for kind, place, row in drawn_here:
            here = table.slice(row - group.first, 1).to_pylist()[0]
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
