"""The parts of run.json that this program reads. A run folder may come from a stranger, so they are checked."""

from __future__ import annotations

from typing import Any

from corpus.documents.columns import PARTS
from corpus.json_data import Maybe, check_shape
from corpus.tables.ledger import MEASURE_TYPES

_FORMER_COMPARISONS = {
    "signatures": {
        "compares": "documents",
        "kind": "signatures",
        "measures": {name: name for name in ("similarity", "exact", "cluster_size", "preferred")},
    },
    "lines": {"compares": "lines", "kind": "lines", "measures": {}},
}

_PLACE = {"warc": str, "start": int, "end": int}
_COUNTS = {str: int}
_FACTS = {
    "compared": int,
    "removed": _COUNTS,
    "unverified": Maybe(int),
    "largest": [{"id": str, "documents": int}],
    "archives": [{"warc": str, "compared": int, "removed": int, "rate": (int, float)}],
    "domains": {"number": int, "most_removed": [{"domain": str}]},
}
_RUN_JSON = {
    "complete": bool,
    "recipe": {"name": str, "description": str, "measures": str, "stages": [{"name": str, "stage": str}]},
    "resources": {str: object},
    "versions": {str: str},
    "fingerprint": str,
    "inputs": [{"name": str, "bytes": int, "identity": str}],
    "against": [str],
    "removed": str,
    "records": {"in": int, "kept": int, "dropped": {str: _COUNTS}, "failed": _COUNTS, "skipped": _COUNTS},
    "other_records": _COUNTS,
    "columns": {str: str},
    "language": Maybe(str),
    "compared": {str: {"compares": str, "kind": str, "measures": {str: str}}},
    "dedup": Maybe(_FACTS),
    "lines": Maybe({str: object}),
    "comparisons": Maybe({str: object}),
    "exceptions": [{"id": str, "stopped_by": str}],
    "quarantined": [{**_PLACE, "record": Maybe(str), "attempts": _COUNTS, "reason": str}],
    "index": Maybe(str),
    "hidden": Maybe(bool),
    "documents": Maybe({str: (str, list)}),
    "checked": Maybe({str: {"index": str, "benchmarks": [{"name": str, "items": int, "left_out": int}]}}),
}


def language_label(info: dict[str, Any]) -> str:
    """Return the ledger column with the language of a page, or "" if the run has none. It is the column that chooses
    limits, or else the label of the stage `language`."""
    labels = [f"{table['name']}.label" for table in info["recipe"]["stages"] if table["stage"] == "language"]
    return info.get("language") or next((name for name in labels if name in info["columns"]), "")


def check_run_json(info: Any) -> None:
    """Raise ValueError unless `info` is the content of a run.json.

    The content of an older run is brought into the present form.
    """
    if isinstance(info, dict) and isinstance(info.get("compared"), dict):
        for name, kind in info["compared"].items():
            if isinstance(kind, str) and kind in _FORMER_COMPARISONS:  # the form of runs until 2026-11
                info["compared"][name] = _FORMER_COMPARISONS[kind]
    check_shape(info, _RUN_JSON)
    documents = dict(info.get("documents") or {})
    check_shape(documents.pop("keep", []), [str], "documents.keep")
    check_shape(documents, {str: str}, "documents")
    if strange := set(documents) - set(PARTS):
        raise ValueError(f"`documents` has {min(strange)[:100]!a}, which is no part of a document")
    stages = {table["name"]: table for table in info["recipe"]["stages"]}
    for column, kind in info["columns"].items():
        stage, _, measure = column.partition(".")
        if kind not in MEASURE_TYPES or not isinstance(stages.get(stage, {}).get(measure), dict):
            raise ValueError(f"`columns` has {column[:100]!a}, which is no measure of the recipe")
    chosen = [name for name, table in stages.items() if table.get("by_language")]
    for name in chosen:
        check_shape(stages[name]["by_language"], {str: {str: object}}, f"{name}.by_language")
        for changes in stages[name]["by_language"].values():
            limits = {key: one for key, one in changes.items() if f"{name}.{key}" in info["columns"]}
            check_shape(limits, {str: {str: object}}, f"{name}.by_language")
    if (chosen or info.get("language")) and info["columns"].get(info.get("language", "")) != "str":
        raise ValueError("`language` is no column with the language of a page, but a limit depends on the language")
    for name in info["compared"]:
        if name not in stages:
            raise ValueError(f"`compared` has {name[:100]!a}, which is no stage of the recipe")
