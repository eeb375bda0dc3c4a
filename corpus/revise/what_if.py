"""A what-if: a finished run judged under other limits, from its ledger alone.

print(open_run("out").tune({"gopher_quality.words.min": 30}).rules)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from corpus.digests import differences
from corpus.outcome import DROPPED, KEPT
from corpus.revise.judge import LedgerJudge
from corpus.revise.limits import Limits, similarity_limit, with_limits
from corpus.revise.what_if_counts import EXAMPLES, Evidence, WhatIfCounts, count_rows
from corpus.runs.row_groups import Columns, Rows, map_row_groups
from corpus.runs.run_json import language_label
from corpus.settings import Settings
from corpus.tables.ledger import Counts, add_outcome

if TYPE_CHECKING:
    from corpus.runs.run_files import RunFiles

OPEN = "open pages"
"""The stage and the rule of open pages in counts. No stage can have this name."""

_TABLES = ("rules", "moves", "together", "languages", "examples")
_THREADS = 4
"""The number of row groups in memory at the same time. Each takes about 30 MB."""


@dataclass(frozen=True, repr=False)
class WhatIf:
    """The counts of a run under other limits, and the recipe with these limits.

    `kept` is (least, most). If the result is `exact`, both are equal. The counts say exactly which documents pass every
    rule, except for open documents. They say which documents repeat another one only if the same documents are compared
    as before. Otherwise, the least assumes that each newly compared document replaces one kept page. The least is 0 if
    several stages compare documents, or if a stage leaves no evidence about single documents.
    """

    recipe: dict[str, Any]
    compared: tuple[str, ...]
    """The names of the stages that compare documents."""
    changes: list[str]
    """One line for each changed bound."""
    before: int
    """The number of pages kept in the run."""
    kept: tuple[int, int]
    passing: tuple[int, int]
    """The number of pages that pass every rule on single documents: (without open pages, with open pages)."""
    repeats: str
    """The reason why the result of the comparison is unknown, or empty if the result is known."""
    rules: pa.Table
    """The changed rules, with the documents that each gains and loses."""
    moves: pa.Table
    """The number of documents by old and new verdict."""
    together: pa.Table
    """The number of documents by the changed rules that they break together.

    Lost documents break these rules now, the others broke them before.
    """
    languages: pa.Table
    """The kept pages by language before, and now if no comparison removes them."""
    text: tuple[int, int]
    """The bytes of text of the pages kept before, and of those that are kept now if no comparison removes them."""
    examples: pa.Table

    def counts(self, before: Counts) -> Counts:
        """Return the counts of the run's records under the new limits, as in run.json. `before` are those of the run.

        Open pages are dropped at the stage OPEN. A page that passes every rule counts as kept. Pages that move from or
        to a comparison are counted at the first one.
        """
        now = copy.deepcopy(before)
        compared = next(iter(self.compared), "")
        rule = next(iter(before["dropped"].get(compared, {})), "")
        places = {"repeated": f"{compared}.{rule}", "open": f"{OPEN}.{OPEN}"}
        for row in self.moves.to_pylist():
            for name, number in ((row["from"], -row["documents"]), (row["to"], row["documents"])):
                stage, _, measure = places.get(name, name).partition(".")
                add_outcome(now, DROPPED if measure else stage, stage, measure, number)
        return now

    @property
    def exact(self) -> bool:
        return self.kept[0] == self.kept[1]

    def __repr__(self) -> str:
        least, most = self.kept
        kept = f"{least:,}" if self.exact else f"{least:,} to {most:,}"
        return f"<WhatIf: {self.before:,} kept before, now {kept}>"

    def as_dict(self) -> dict[str, Any]:
        """Return the what-if as plain data."""
        tables = {name: getattr(self, name).to_pylist() for name in _TABLES}
        counts = {"before": self.before, "least": self.kept[0], "most": self.kept[1]}
        passing = {"certain": self.passing[0], "most": self.passing[1]}
        facts = {"changes": self.changes, "exact": self.exact, "kept": counts, "passing": passing}
        facts["text"] = dict(zip(("before", "now"), self.text, strict=True))
        return {**facts, "repeats": self.repeats, **tables}


def what_if(run: RunFiles, settings: Settings, examples: int = EXAMPLES) -> WhatIf:
    """Judge the ledger of a run under other limits, such as {"gopher_quality.words.min": 30}. `examples` is the most
    example URLs per rule and kind.

    Raises ConfigError for a setting that names no limit of the recipe.
    """
    info = run.info
    recipe = with_limits(info, settings)
    judge = LedgerJudge(info, recipe)
    evidence = Evidence(similarity_limit(info, recipe), language_label(info))
    groups = run.groups("ledger")
    codes, counts = judge.codes, WhatIfCounts(judge.codes, examples)

    def count(group: Rows, read: Columns) -> WhatIfCounts:
        return count_rows(judge, evidence, read, group.first, examples)

    for part in map_row_groups(count, groups, _THREADS):
        counts.add(part)
    certain = int(counts.moves[:, [codes.kept, codes.repeated]].sum())
    kept, repeats = _kept(info, recipe, counts)
    return WhatIf(
        recipe=recipe,
        compared=tuple(info["compared"]),
        changes=differences(info["recipe"], recipe),
        before=int(counts.moves[codes.kept].sum()),
        kept=kept,
        passing=(certain, certain + int(counts.moves[:, codes.open].sum())),
        repeats=repeats,
        rules=_rules(counts),
        moves=_moves(counts),
        together=_together(counts),
        languages=_languages(counts),
        text=(int(counts.bytes[codes.kept].sum()), int(counts.bytes[:, codes.kept].sum())),
        examples=_examples(counts, groups),
    )


def _kept(info: dict[str, Any], recipe: dict[str, Any], counts: WhatIfCounts) -> tuple[tuple[int, int], str]:
    """Return the least and the most documents that would be kept, and why the two differ."""
    codes, moves = counts.codes, counts.moves
    before, now = similarity_limit(info, info["recipe"]), similarity_limit(info, recipe)
    stayed, repeated = int(moves[codes.kept, codes.kept]), int(moves[codes.repeated, codes.repeated])
    gained = int(moves[: codes.kept, codes.kept].sum())
    opened = int(moves[:, codes.open].sum())
    # bounds are known only if a single stage compares documents and leaves evidence about each of them
    known = len(info["compared"]) == 1 and now and now.cluster_size and now.exact
    if not info["compared"] or (known and now and now.below is None):
        return (stayed + repeated + gained, stayed + repeated + gained + opened), ""
    compared = {table["name"]: table for table in recipe["stages"] if table["name"] in info["compared"]}
    changed = any(compared.get(table["name"], table) != table for table in info["recipe"]["stages"])
    lost = counts.lost_candidates if known else int(moves[codes.kept :, : codes.kept].sum())
    if not (gained or opened or lost or changed):
        return (stayed, stayed), ""
    had_limit = before is not None and before.below is not None
    removes_copies = now is not None and now.below is not None and now.below <= 1
    certain = max(counts.copies - counts.lost_keepers, 0) if removes_copies and had_limit else 0
    least = stayed
    if not known:  # a comparison of lines, for example, can remove any page if there are more or fewer documents
        least = 0
    # any page that shares a key may be removed; without a similarity limit in the run, any page may be removed
    elif changed:
        least = stayed - counts.candidates if had_limit else min(stayed, 1)
    why = "the limit has changed" if changed else "other pages are compared than before"
    return (least, stayed + repeated - certain + gained + opened), f"{' and '.join(sorted(compared))}: {why}"


def _rules(counts: WhatIfCounts) -> pa.Table:
    """Return one row per changed rule."""
    codes, moves = counts.codes, counts.moves
    rows = []
    changed = [(index, rule) for index, rule in enumerate(codes.rules) if rule.changed]
    for bit, (index, rule) in enumerate(changed):
        alone = [counts.combinations.get((kind, 1 << bit), [0, 0])[0] for kind in ("lost", "gained")]
        rows.append(
            {
                "rule": rule.column,
                "before": _limits(rule.limits, rule.new),
                "now": _limits(rule.new, rule.limits),
                "dropped_before": int(moves[index].sum()),
                "dropped_now": int(moves[:, index].sum()),
                "lost": int(moves[codes.kept, index]),
                "lost_bytes": int(counts.bytes[codes.kept, index]),
                "lost_by_it_alone": alone[0],
                "gained": int(moves[index, codes.kept]),
                "gained_bytes": int(counts.bytes[index, codes.kept]),
                "gained_by_it_alone": alone[1],
                "open": int(moves[index, codes.open]),
                "held_by_others": int(moves[index, : codes.kept].sum() - moves[index, index]),
                "unsized": int(counts.unsized[index, codes.kept] + counts.unsized[codes.kept, index]),
            }
        )
    return pa.Table.from_pylist(rows, schema=_RULES_SCHEMA)


_RULES_SCHEMA = pa.schema(
    [
        ("rule", pa.string()),
        ("before", pa.string()),
        ("now", pa.string()),
        ("dropped_before", pa.int64()),
        pa.field("dropped_now", pa.int64(), metadata={"is": "pages dropped here now, without the open ones"}),
        pa.field("lost", pa.int64(), metadata={"is": "kept pages that are dropped here now"}),
        pa.field("lost_bytes", pa.int64(), metadata={"is": "their bytes of text"}),
        pa.field("lost_by_it_alone", pa.int64(), metadata={"is": "lost pages that break no other changed rule"}),
        pa.field("gained", pa.int64(), metadata={"is": "pages that were dropped here and pass every rule now"}),
        pa.field("gained_bytes", pa.int64(), metadata={"is": "their bytes of text"}),
        pa.field("gained_by_it_alone", pa.int64(), metadata={"is": "gained pages that broke no other changed rule"}),
        pa.field(
            "open", pa.int64(), metadata={"is": "pages that were dropped here and that later stages never measured"}
        ),
        pa.field(
            "held_by_others",
            pa.int64(),
            metadata={"is": "pages that were dropped here and that another rule drops now"},
        ),
        pa.field("unsized", pa.int64(), metadata={"is": "gained and lost pages with unknown bytes of text"}),
    ]
)


def _moves(counts: WhatIfCounts) -> pa.Table:
    names = [rule.column for rule in counts.codes.rules] + [KEPT, "repeated", "fixed", "open"]
    rows: list[dict[str, Any]] = []
    for old, new in np.argwhere(counts.moves).tolist():
        if old != new:
            size = None if counts.unsized[old, new] else int(counts.bytes[old, new])
            row = {"from": names[old], "to": names[new], "documents": int(counts.moves[old, new]), "bytes": size}
            rows.append(row)
    rows.sort(key=lambda row: -row["documents"])
    return pa.Table.from_pylist(rows, schema=_MOVES_SCHEMA)


_MOVES_SCHEMA = pa.schema(
    [
        pa.field("from", pa.string(), metadata={"is": "a rule, kept, repeated (removed by a comparison), or fixed"}),
        pa.field("to", pa.string(), metadata={"is": "the same, or open; kept means: passes every rule"}),
        ("documents", pa.int64()),
        pa.field("bytes", pa.int64(), metadata={"is": "bytes of text; null if unknown for some documents"}),
    ]
)


def _together(counts: WhatIfCounts) -> pa.Table:
    changed = [rule.column for rule in counts.codes.rules if rule.changed]
    rows: list[dict[str, Any]] = []
    for (kind, mask), (documents, size) in counts.combinations.items():
        rules = [column for bit, column in enumerate(changed) if mask >> bit & 1]
        rows.append({"kind": kind, "rules": rules, "documents": documents, "bytes": size})
    rows.sort(key=lambda row: (row["kind"], -row["documents"], row["rules"]))
    return pa.Table.from_pylist(rows, schema=_TOGETHER_SCHEMA)


_TOGETHER_SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string(), metadata={"is": "lost, gained or open"}),
        ("rules", pa.list_(pa.string())),
        ("documents", pa.int64()),
        ("bytes", pa.int64()),
    ]
)


def _languages(counts: WhatIfCounts) -> pa.Table:
    rows = [dict(zip(_LANGUAGES_SCHEMA.names, (name, *row.tolist()), strict=True))
            for name, row in counts.languages.items()]  # fmt: skip
    rows.sort(key=lambda row: (-row["before"], -row["now"], row["language"]))
    return pa.Table.from_pylist(rows, schema=_LANGUAGES_SCHEMA)


_LANGUAGES_SCHEMA = pa.schema(
    [
        pa.field("language", pa.string(), metadata={"is": "the label of the page, or empty if it has none"}),
        ("before", pa.int64()),
        ("bytes_before", pa.int64()),
        ("now", pa.int64()),
        ("bytes_now", pa.int64()),
    ]
)


def _examples(counts: WhatIfCounts, groups: Sequence[Rows]) -> pa.Table:
    """Return the drawn rows, with their URL and value."""
    rules = counts.codes.rules
    drawn = [(kind, rules[rule].column, row) for (kind, rule), rows in counts.examples.items() for _, row in rows]
    rows = []
    for group in groups:
        here = [one for one in drawn if group.first <= one[2] < group.first + group.rows]
        if not here:
            continue
        with group.open() as read:
            table = read(["id", "url", *{column for _, column, _ in here}])
        for kind, column, row in here:
            found = table.slice(row - group.first, 1).to_pylist()[0]
            value = found[column]
            text = f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
            rows.append({"kind": kind, "rule": column, "id": found["id"], "url": found["url"], "value": text})
    rows.sort(key=lambda row: (row["kind"], row["rule"], row["id"]))
    return pa.Table.from_pylist(rows, schema=_EXAMPLES_SCHEMA)


_EXAMPLES_SCHEMA = pa.schema([pa.field(name, pa.string()) for name in ("kind", "rule", "id", "url", "value")])


def _limits(limits: Limits, other: Limits) -> str:
    """Write limits for people. Of the languages with limits of their own, only those that differ in `other` are
    named."""
    differ = [code for code in {**limits.own, **other.own} if limits.of_language(code) != other.of_language(code)]
    base = [_bounds(limits.base.bounds)] if limits.base != other.base or not differ else []
    return "; ".join([*base, *(f"{code}: {_bounds(limits.of_language(code).bounds)}" for code in sorted(differ))])


def _bounds(bounds: dict[str, Any]) -> str:
    """Write bounds for people: `min 30 max 100000`, or off."""
    parts = (f"{name} {', '.join(b) if isinstance(b, list) else f'{b:g}'}" for name, b in bounds.items())
    return " ".join(parts) or "off"
