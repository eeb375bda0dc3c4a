"""Identify the language of a text with fastText's lid.176 (Joulin et al. 2016, arXiv:1607.01759)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from corpus.document import Document, storable
from corpus.errors import ConfigError, did_you_mean
from corpus.stage import Limit, Measured, Stage
from filters.fasttext_file import digest_of_model, open_fasttext
from filters.language.labels import code_of, code_of_iso

LID_176_FTZ = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
"""The sha256 of lid.176.ftz (938,013 bytes, 176 languages). It is fastText's own file, under CC-BY-SA 3.0, from
https://fasttext.cc/docs/en/language-identification.html."""

BUNDLED = Path(__file__).with_name("lid.176.ftz")

ENGINES = ("fasttext", "heliport")

_TODO = "Reinstall corpus, which contains lid.176.ftz, or correct the parameters model and sha256."


class FastTextStage(Stage):
    """A stage that uses a fastText model."""

    def __init__(self, *, model: str = "", sha256: str = "") -> None:
        self.model = model
        """The path of a fastText model. If empty, lid.176.ftz is used."""
        self.sha256 = sha256
        """The digest that `model` must have. If empty, any digest is allowed."""

    def prepare(self) -> None:
        self.predictor_ = Predictor(self.model, self.sha256)

    def resources(self) -> dict[str, str]:
        path, digest = checked_model(self.model, self.sha256)
        return {path.name: digest}


class Language(FastTextStage):
    """The most likely language and its probability. Keeps English above 0.65, as FineWeb does.

    For other languages set `label.one_of = ["en", "de"]`, and `screen.wanted` to the same if the recipe has a screen.
    For any language use `--set language.label=off --set screen.wanted_score=off`. datatrove (0.10.1) keeps a document
    if *any* of its languages scores above 0.65, and keeps every language by default. Scores add up to 1, so only the
    most likely language can score that much, and one prediction decides both. The model reads the whole text, with
    newlines as spaces. The stage sets `doc.language` and `doc.language_score`.

    Another model of fastText is used by its path, such as GlotLID's `model.bin`. Its labels become the codes of lid.176
    (`deu_Latn` becomes `de`). With `engine = "heliport"` the package of this name finds the language: install it
    yourself, because its licence is the GPL. It gives no probability, so `score` is null, and it says "und" if it is
    unsure.
    """

    name = "language"
    source = "arXiv:2406.17557 (FineWeb); lid.176 of fastText; datatrove 0.10.1 language_filter.py"
    reads = ("text",)
    sets = ("language",)
    gate = True

    label = Limit(one_of=("en",), of=str)
    """The most likely language, as an ISO 639 code."""
    score = Limit(above=0.65, share=True)
    """The probability of that language. Null with heliport."""

    def __init__(self, *, model: str = "", sha256: str = "", engine: str = "fasttext", given: bool = False) -> None:
        if engine not in ENGINES:
            raise ConfigError(f"language.engine = {engine!r} is unknown.", did_you_mean(engine, ENGINES))
        super().__init__(model=model, sha256=sha256)
        self.engine = engine
        """"fasttext" for `model`, or "heliport" for the package of this name, which you install yourself."""
        self.given = given
        """If true, a document whose file names its language has this language, and `score` is null."""

    def prepare(self) -> None:
        if self.engine == "fasttext":
            super().prepare()
        else:
            self.identify_ = _heliport()

    def resources(self) -> dict[str, str]:
        if self.engine == "fasttext":
            return super().resources()
        _heliport()
        return {"heliport": hashlib.sha256(metadata.version("heliport").encode()).hexdigest()}

    def apply(self, doc: Document) -> Iterator[Measured]:
        if self.given and doc.language:
            said = storable(doc.language)
            doc.language = code_of(said) if "_" in said else code_of_iso(said)
        elif self.engine == "fasttext":
            doc.language, probability = self.predictor_.best(doc.text)
            doc.language_score = round(probability, 6)
        else:
            text = doc.text.replace("\n", " ").encode("utf-8", "replace").decode()
            doc.language, doc.language_score = code_of_iso(self.identify_(text)), None
        yield "label", doc.language
        yield "score", doc.language_score


@lru_cache(maxsize=1)
def _heliport() -> Callable[[str], str]:
    """Return heliport's function from a text to a code of ISO 639-3, or "und" if it is unsure."""
    try:
        import heliport
    except ImportError:
        todo = "Install it with `pip install heliport`. Its licence is the GPL."
        raise ConfigError("The package heliport is not installed.", todo) from None
    identify: Callable[[str], str] = heliport.Identifier().identify
    return identify


class Predictor:
    """The predictions of a fastText model. An empty path means lid.176.ftz. Newlines in a text count as spaces."""

    def __init__(self, model: str = "", sha256: str = "") -> None:
        self._model = open_fasttext(*checked_model(model, sha256), _TODO)
        self._known: dict[tuple[str, ...], list[int]] = {}

    def best(self, text: str) -> tuple[str, float]:
        """Return the most likely language code and its probability, or ("", 0) if there is none."""
        label, probability, _ = self._model.predict(text)
        return code_of(label or ""), probability

    def of(self, text: str, languages: Sequence[str]) -> float:
        """Return the probability that a text is in one of these languages."""
        _, _, found = self._model.predict(text, self._labels_of(tuple(languages)))
        return min(sum(found, 0.0), 1.0)

    def _labels_of(self, languages: tuple[str, ...]) -> list[int]:
        """Return the numbers of the labels for some languages."""
        if languages not in self._known:
            labels = enumerate(self._model.labels)
            self._known[languages] = [number for number, label in labels if code_of(label) in languages]
        return self._known[languages]


def checked_model(model: str = "", sha256: str = "") -> tuple[Path, str]:
    """Return the path and sha256 of a model. Raises ConfigError if it can't be read, or is another one."""
    path, expected = (Path(model), sha256) if model else (BUNDLED, LID_176_FTZ)
    digest = digest_of_model(path, _TODO)
    if expected and digest != expected:
        raise ConfigError(f"The language model {path} has sha256 {digest}, not {expected}.", _TODO)
    return path, digest
