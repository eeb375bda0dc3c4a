"""The labels of language models, as the codes that recipes and ledgers use.

A code is the label that lid.176 gives: ISO 639-1 where there is one (`de`), otherwise ISO 639-3 (`ceb`). GlotLID and
similar models give language and script (`deu_Latn`), and heliport gives ISO 639-3 (`deu`). CLDR, as babel has it, says
which codes are the same language, and which script is the usual one of a language.
"""

from __future__ import annotations

from functools import lru_cache

from babel.core import get_global

_OURS = {"nb": "no", "fil": "tl"}
"""lid.176's codes where CLDR prefers others."""

_SAME_SCRIPT = {("Hani", "Hans"), ("Hani", "Hant"), ("Hang", "Kore")}


@lru_cache(1 << 12)
def code_of(label: str) -> str:
    """Return the code of a model's label. A label without a script stays as it is, because it may be lid.176's: its
    `als` is Alemannic, while `als` in ISO 639-3 is Tosk Albanian.

    The script is part of the code only if it is not the usual one: `srp_Cyrl` is `sr`, and `srp_Latn` is `sr_Latn`.
    """
    language, separator, script = label.partition("_")
    if not separator:
        return label
    usual = get_global("likely_subtags").get(_preferred(language), "").split("_")
    code = code_of_iso(language)
    return code if len(usual) > 1 and (script == usual[1] or (script, usual[1]) in _SAME_SCRIPT) else f"{code}_{script}"


def code_of_iso(language: str) -> str:
    """Return the code of a language in ISO 639-3."""
    found = _preferred(language)
    return _OURS.get(found, found)


def _preferred(language: str) -> str:
    """Return CLDR's code of a language. A code of another script or region (`hbs` is `sr_Latn`) is not used."""
    found: str = get_global("language_aliases").get(language, language)
    return language if "_" in found else found
