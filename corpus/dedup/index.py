"""The index of a run. The index lets later runs compare their documents with this run's kept documents, without the
texts.

    index/index.json      the parameters of the signatures, the number of documents, and the parts
    index/keys-00000      the band keys of kept documents, a box for each band and range
    index/texts-00000     the text hashes of all compared documents, each with its keeper
    index/docs-00000      positions, keeper rule's values and signatures of kept documents, a box for each 4,096 numbers

Part k covers documents kN … (k+1)N, as the run numbered them before it removed any. So the files do not depend on how
the run was divided. A later run reads all keys once. In the other files, it reads only boxes with candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from corpus.dedup.contract import DocumentComparison
from corpus.digests import digest
from corpus.errors import ConfigError, InputError, IntegrityError
from corpus.json_data import check_shape, parse_json
from corpus.runs.run_files import RunFiles
from corpus.storage.commits import Part, part_of
from corpus.storage.store import Location, Store, open_store

BITS = 6
"""The keys of a band, and the text hashes, are divided into 2^6 ranges.

With this number, a later run of some hundred million documents reads each box only once, and a box of a part still has
16,000 keys.
"""

ROWS_PER_BOX = 1 << 12

TEXTS_SCHEMA = pa.schema(
    [
        ("high", pa.uint64()),
        ("low", pa.uint64()),
        pa.field("doc", pa.int64(), metadata={"is": "the kept document"}),
        pa.field("similarity", pa.float64(), metadata={"is": "how similar the text is to that of the kept document"}),
        ("exact", pa.bool_()),
    ]
)

INDEX_FILE = "index/index.json"
_INDEX_JSON = {
    "stage": str,
    "comparable": {str: object},
    "documents": int,
    "archives": [str],
    "parts": [{"first": int, "end": int, "keys": dict, "texts": dict, "docs": dict}],
}


def docs_schema(stage: DocumentComparison) -> pa.Schema:
    return pa.schema(
        [
            ("doc", pa.int64()),
            ("archive", pa.int32()),
            ("offset", pa.int64()),
            ("inner", pa.int32()),
            ("preference", pa.float64()),
            ("signature", pa.binary(stage.signature_bytes)),
            *stage.shingle_fields(),
        ]
    )


@dataclass(frozen=True)
class IndexPart:
    """Some documents of an earlier run, from number `first` to before `end`.

    The numbers are those of the earlier run.
    """

    first: int
    end: int
    keys: Part
    texts: Part
    docs: Part


@dataclass(frozen=True)
class EarlierRun:
    """The index of an earlier run.

    This run adds `shift` to the numbers of the earlier run's documents, and `archive` to the numbers of its archives.
    """

    store: Store
    digest: str
    parts: tuple[IndexPart, ...]
    stage: str
    comparable: dict[str, Any]
    documents: int
    archives: list[str]
    prefer: str | None = None
    """The keeper rule of the earlier run."""
    shift: int = 0
    archive: int = 0


def open_index(folder: Location) -> EarlierRun:
    """Open the index in the folder of a run. Raises InputError if there is none."""
    store = open_store(folder)
    data = store.get(INDEX_FILE)
    if data is None:
        compared = RunFiles.open(folder).info["compared"].values() if store.size("run.json") is not None else ()
        if any(one["compares"] == "lines" for one in compared):
            raise InputError(
                f"{folder} has no index, because that run removes repeated lines after signing.",
                "Give a run whose recipe has no such stage.",
            )
        raise InputError(
            f"{folder} has no index.", "Give the folder of a finished run whose recipe compares documents."
        )
    try:
        content = parse_json(data)
        check_shape(content, _INDEX_JSON)
        parts = tuple(
            IndexPart(entry["first"], entry["end"], *(part_of(entry[kind]) for kind in ("keys", "texts", "docs")))
            for entry in content["parts"]
        )
        facts = {name: content[name] for name in ("stage", "comparable", "documents", "archives")}
        return EarlierRun(store, digest(content), parts, **facts, prefer=content.get("prefer"))
    except ValueError:
        raise IntegrityError(f"{store.where(INDEX_FILE)} is damaged.", "Restore it, or build that run again.") from None


def check_comparable(stage: DocumentComparison, earlier: EarlierRun) -> None:
    """Raise ConfigError if the signatures of an earlier run were made with other parameters."""
    wanted = stage.comparable()
    if earlier.stage != stage.name or any(earlier.comparable.get(name) != value for name, value in wanted.items()):
        made = f"The index of {earlier.store.where()} was made with {earlier.comparable}"
        raise ConfigError(f"{made}, but this recipe compares with {wanted}.", "Use the recipe of that run.")


def shifted(found: Sequence[EarlierRun], documents: int, archives: int) -> list[EarlierRun]:
    """Return earlier runs with their `shift` and `archive`, for a run with `documents` and `archives` of its own."""
    placed = []
    for run in found:
        placed.append(replace(run, shift=documents, archive=archives))
        documents += run.documents
        archives += len(run.archives)
    return placed
