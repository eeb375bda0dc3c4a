"""Croissant metadata of a corpus (https://docs.mlcommons.org/croissant/docs/croissant-spec.html)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from corpus.run import Run
from corpus.runs.row_groups import schema_of
from jobs.card.questions import Answers

_OWN_KEYS = (
    "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format",
    "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
    "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
)  # fmt: skip
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{key: f"cr:{key}" for key in _OWN_KEYS},
}
"""The context of version 1.0, as the specification gives it."""

_FORMAT = "application/x-parquet"
_ANSWERS = {
    "license": "license",
    "url": "url",
    "version": "version",
    "datePublished": "date_published",
    "citeAs": "cite_as",
}


def croissant(run: Run, name: str, description: str, languages: list[str], answers: Answers) -> dict[str, Any]:
    """Return the content of croissant.json. Paths in it are relative to the folder that holds `corpus/`."""
    files = [
        {
            "@type": "cr:FileObject",
            "@id": part.key,
            "name": part.key,
            "contentUrl": part.key,
            "contentSize": f"{part.bytes} B",
            "encodingFormat": _FORMAT,
            "sha256": part.sha256,
        }
        for part in run.parts("corpus")
    ]
    whole = {"@type": "cr:FileSet", "@id": "corpus", "name": "corpus", "encodingFormat": _FORMAT}
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"documents/{column.name}",
            "name": column.name,
            "dataType": _data_type(column.type),
            "source": {"fileSet": {"@id": "corpus"}, "extract": {"column": column.name}},
        }
        for column in schema_of(run.paths("corpus")[0])
    ]
    given = {key: answers[question] for key, question in _ANSWERS.items() if question in answers}
    given |= {"creator": {"@type": "sc:Organization", "name": answers["creator"]}} if "creator" in answers else {}
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        "inLanguage": languages,
        **given,
        "distribution": [*files, {**whole, "includes": "corpus/*.parquet"}],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "documents", "name": "documents", "field": fields}],
    }


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
