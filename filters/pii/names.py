"""Find names of people and places with a spaCy model that the user supplies."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from presidio_analyzer.nlp_engine import NerModelConfiguration

from corpus.errors import ConfigError
from filters.pii.findings import Finding

NAME_KINDS = {"person": "PERSON", "location": "LOCATION", "organization": "ORGANIZATION", "nrp": "NRP"}
"""Our kinds, with presidio's names. NRP means nationality, religious or political group."""

CHUNK = 50_000
"""The number of characters that the model reads at once. spaCy needs some 10 kB of memory per character."""

OVERLAP = 1_000

_SPACE = re.compile("[ \n]")
_SURROGATE = re.compile("[\ud800-\udfff]")  # spaCy rejects lone surrogates


class NameFinder:
    """A search for names with the model in a folder.

    The score of each name is presidio's score for spaCy's entities.
    """

    def __init__(self, folder: str, kinds: Sequence[str]) -> None:
        import spacy

        try:
            self._model = spacy.load(Path(folder))
        except (OSError, ValueError, ImportError) as error:
            raise ConfigError(
                f"The language model {folder} can't be loaded ({type(error).__name__}).",
                "Give the folder of a spaCy model with named entities. It has a config.cfg.",
            ) from None
        presidio = NerModelConfiguration()
        self._score = presidio.default_score
        wanted = {entity: kind for kind, entity in NAME_KINDS.items() if kind in kinds}
        self._kinds = {
            label: wanted[entity]
            for label, entity in presidio.model_to_presidio_entity_mapping.items()
            if entity in wanted
        }

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names in `text`. Some names come twice, because the model reads overlapping chunks."""
        for start, end in _chunks(text):
            with self._model.memory_zone():
                for entity in self._model(_SURROGATE.sub("\ufffd", text[start:end])).ents:
                    if entity.label_ in self._kinds:
                        kind = self._kinds[entity.label_]
                        yield Finding(start + entity.start_char, start + entity.end_char, kind, self._score)


def model_digest(folder: str) -> str:
    """Return the sha256 of all files of a model. Raises ConfigError if the folder has no model."""
    root = Path(folder)
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    if not files:
        raise ConfigError(f"There is no language model at {folder}.", "Give the folder of a spaCy model.")
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _chunks(text: str) -> Iterator[tuple[int, int]]:
    """Yield overlapping spans that begin and end at spaces if possible, so that at least one span holds each name
    whole.
    """
    start = 0
    while True:
        end = start + CHUNK
        if end >= len(text):
            yield start, len(text)
            return
        end = _space_before(text, end, start + CHUNK // 2)
        yield start, end
        start = _space_before(text, end - OVERLAP, start + CHUNK // 4)


def _space_before(text: str, end: int, begin: int) -> int:
    """Return the index of the last space or newline from `begin` to `end`, or `end`."""
    return max(text.rfind(" ", begin, end), text.rfind("\n", begin, end)) if _SPACE.search(text, begin, end) else end
