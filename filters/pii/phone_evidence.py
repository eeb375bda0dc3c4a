"""Rules that decide which numbers are phone numbers, by their form and by the text next to them.

presidio accepts each number that is valid in some country's plan. German numbers may have four digits, so presidio also
accepts years, prices and ISBNs. Here a phone number has 7 to 15 digits and one of these proofs:

    announced    a word such as "tel", "call" or "fax" stands directly before it, or as a label after it
    near         it is valid, and such a word stands on its line, at most 40 characters before it
    abroad       it is valid, and begins with a plus
    grouped      it is valid, has 9 digits, and is grouped as in its country: (212) 555-0147, 020 7946 0018

Dates, years, versions, fractions, round amounts, and numbers that another word announces ("ISBN", "order no.") do not
count. A rule looks at a few characters around a number, so the time is linear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import regex

from filters.pii.phone_numbers import LONGEST_CODE, Cluster
from native import kernels

Span = tuple[int, int]

AROUND = 40
"""The number of characters before a number in which words count."""

PHONE_DIGITS = range(7, 16)
"""The numbers of digits that a phone number may have. The maximum is that of the international plan, E.164."""

LEAST_GROUPED = 9
"""The number of digits that a number needs if only its groups are a proof. "3000-4000" is grouped as in Brazil."""


def any_of(words: str) -> str:
    """Return a pattern for any of the words. A star stands for letters."""
    return "|".join(word.replace("*", r"\w*") for word in words.split())


_ANNOUNCING_WORDS = """
    phone* telephon* tel fax* mobile cell cellphone* cellular landline voicemail sms whatsapp viber tty tdd hotline*
    helpline* freephone toll[-\\s]free call calling dial ring text contact reach reached
    *telefon* telefax* *hotline mobil fon handy rufnummer* durchwahl anrufen rufen\\ssie\\suns\\san kontakt*
    téléphon* tél télécopi* portable appel* teléfon* tfno móvil celular* llame llamar cellulare chiama* ligue
    telefoon* bellen tlf tfn puhelin* puh faks* zadzwoń ph mob gsm telepon
    телефон* тел моб мобильный факс звоните позвоните τηλέφων* τηλ κινητό κιν φαξ טלפון טל נייד פקס هاتف تلفن جوال فاكس
    """
_ANNOUNCING = any_of(_ANNOUNCING_WORDS)
_ANNOUNCING_UNSPACED = any_of("电话 電話 手机 手機 行動 携帯 传真 傳真 热线 熱線 ファックス 전화 휴대폰 팩스 โทร")
_LABEL_WORDS = "office desk home work direct voice"
_LABELS = any_of(_LABEL_WORDS)
_BETWEEN = any_of(
    """
    no nr num number numbers nummer numero número numéro номер us me him her them now at on to or and is the our free
    und oder unter ist au et ou al el y o il e ao по или
    """
)
_ANNOUNCING_OTHERS = any_of(
    """
    isbn isbn-1[03] issn doi arxiv pmid bug ticket issue order invoice item part model serial sku upc ean gtin ref
    reference patent case docket account acct konto kto iban vat tax ein zip id uid zoom meeting section page pages pp
    vol version
    """
)
_WORD = (
    rf"(?:(?<![\w-])(?:(?:{_ANNOUNCING})(?!\w)|(?:{_LABELS})(?=\s?:))|{_ANNOUNCING_UNSPACED})"
    r"(?!\s+(?:aviv|sign|no\b|number))"
)
_ANNOUNCED = regex.compile(rf"{_WORD}(?P<gap>(?:[^\w<>]++|(?<!\w)(?:{_BETWEEN})(?!\w))*+)\Z", regex.I)
_NEAR = regex.compile(rf'{_WORD}[^\d\n<>"={{}}]*+\Z', regex.I)
_LABEL_AFTER = regex.compile(
    rf"[-–\s,(|/]{{0,3}}(?:fax|phone|tel|mobile?|cell|{_LABELS})\b\.?(?=\)?\s*(?:\Z|[\n|,;/\\]))", regex.I
)
_BEGINNINGS = [regex.split(r"[*\\\[]", word.strip("*"))[0] for word in f"{_ANNOUNCING_WORDS} {_LABEL_WORDS}".split()]
_QUICK = kernels.PhraseCounter([*filter(str.isascii, dict.fromkeys(_BEGINNINGS))])
"""What a text of ASCII has if it has an announcing word or a label. It takes a tenth of the time of the patterns."""
_ANY_WORD = regex.compile(_WORD, regex.I)
_ANY_LABEL = regex.compile(rf"fax|phone|tel|mobile?|cell|{_LABELS}", regex.I)
_AFTER_DIGITS, _LONGEST_LABEL = 5, 12
"""The most characters of a candidate after its last digit, and of a label after a number, with the marks before it."""
_OTHER_ANNOUNCED = regex.compile(
    rf"(?<!\w)(?:{_ANNOUNCING_OTHERS})(?!\w)(?:\W*(?:no|nr|num|number|code|id)(?!\w))?\W{{0,3}}\Z|[$€£¥₹₩§]\s?\Z",
    regex.I,
)

_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_FRACTION = r"(?:0|[1-9]\d{0,2})\.\d+"
_NO_PHONE = regex.compile(
    rf"""
    (?<![\d./-])(?:{_DAY}([./-]){_DAY}\1(?:\d\d)?\d\d|(?:1\d|20)\d\d([./-]){_DAY}\2{_DAY})(?![./-]?\d)  # a date
    |^(?:1\d|20)\d\d\s?[-–/]\s?(?:1\d|20)\d\d$                                              # years
    |^(?!1(?:\.\d{{3}}){{2}}\.\d{{4}}$|(?:\d\d\.){{3,4}}\d\d$)\d{{1,2}}(?:\.\d+){{2,}}$     # a version
    |^\d{{1,3}}(?:\.\d{{1,3}}){{3}}$                                                        # an IP address
    |^{_FRACTION}(?:[ ]+-?{_FRACTION})*$                                                    # fractions
    |^(?:\d{{1,2}}(?:[ .]\d{{3}})+|\d{{3}}(?:[ .]\d{{3}})*[ .]000)$(?<=[ .]000)             # a round amount
    """,
    regex.X,
)
_NOT_ALONE = regex.compile(r"^0[-. /]|^\d{5}-\d{4}$")
"""The form of ISBNs and US postal codes. A phone number of this form needs a word that announces it."""

_NOT_GROUPED = regex.compile(r"^\d+$|[-./ \xa0–]{2}")
_ATTACHED_BEFORE = regex.compile(r"[^\W\d][/_=&+]\Z|[\w=#_@&]\Z|\d[.,:]\Z")
_ATTACHED_AFTER = regex.compile(r"[\w@=]|[-._](?=\w)|/(?=[^\W\d])")
_ROW_BEFORE, _ROW_AFTER = regex.compile(r"\d[ \t]++\Z"), regex.compile(r"[ \t]++\d")
_EXTENSION = regex.compile(r"[\s,;]*+(?:x|ext|#)\D*+\d*+\Z", regex.I)
_DIGITS = regex.compile(r"(?:[(+]{1,2}[ ]?)?\d[\d ().\-–/\xa0]{5,}\d(?:[ ,]{0,2}(?:x|ext\.?)[ ]?\d{1,6})?")
"""A stretch that may contain a number of seven digits. This quick test saves a closer look at years and prices."""
_BEFORE_DIGITS = 3  # the characters of such a stretch before its first digit

_GROUP = r"(?:\(\+?\d++\)|\d++)"
_NUMBER = regex.compile(
    rf"""
    (?:\+[ ]?)?+ {_GROUP}
    (?: (?: [ ]?[-–.][ ]? | [ \xa0/](?=\(|\d\d) | (?<=\)) | (?=\() ) {_GROUP} )*+
    (?: [ ,]{{0,2}}(?:x|ext\.?)[ ]?\d{{1,6}} )?+       # an extension
    """,
    regex.X,
)


def may_be_proven(text: str, start: int, end: int) -> bool:
    """Return False if no number in a candidate of presidio can have a proof.

    The words of a proof stand before the candidate or after it. Only digits and marks stand between numbers in it.
    """
    candidate, before = text[start:end], max(0, start - LONGEST_CODE)
    if "+" in text[before:end] or (not candidate.isdigit() and _digits(candidate) >= LEAST_GROUPED):
        return True
    first, last = max(0, before - AROUND), end + _LONGEST_LABEL
    around = text[first:last]
    if around.isascii() and not any(_QUICK.counts(around.encode())):
        return False
    return bool(_ANY_LABEL.search(text, max(0, end - _AFTER_DIGITS), last) or _ANY_WORD.search(text, first, start))


def phones(
    text: str, valid: Iterable[Span], is_grouped: Callable[[str], bool], clusters: Sequence[Cluster]
) -> list[Span]:
    """Return the spans of the phone numbers: valid numbers that have a proof, and other announced numbers.

    `is_grouped` tells whether the groups of a valid number are those of its country. `clusters` are the digits of the
    text, as the kernel `personal_hints` finds them.
    """
    proven = sorted(span for span in valid if _is_proven(text, *span, is_grouped))
    others = []
    position = 0
    rich = [(max(0, begin - _BEFORE_DIGITS), end) for begin, end, digits in clusters if digits >= PHONE_DIGITS.start]
    for digits in chain.from_iterable(_DIGITS.finditer(text, *span) for span in rich):
        for match in _NUMBER.finditer(text, *digits.span()):
            start, end = match.span()
            while position < len(proven) and proven[position][1] <= start:
                position += 1
            overlaps = position < len(proven) and proven[position][0] < end
            if not overlaps and _may_be_phone(_EXTENSION.sub("", match.group())) and _is_announced(text, start, end):
                others.append((start, end))
    return proven + others


def _is_proven(text: str, start: int, end: int, is_grouped: Callable[[str], bool]) -> bool:
    """Return True if a valid number has a proof."""
    number = _EXTENSION.sub("", text[start:end])
    window = max(0, start - AROUND)
    if not _may_be_phone(number) or _OTHER_ANNOUNCED.search(text, window, start):
        return False
    if _is_announced(text, start, end):
        return True
    if _ATTACHED_BEFORE.search(text, max(0, start - 2), start) or _ATTACHED_AFTER.match(text, end):
        return False
    if "+" in number:
        return True
    if _NOT_ALONE.search(number):
        return False
    if _NEAR.search(text, window, start):
        return True
    grouped = _digits(number) >= LEAST_GROUPED and not _NOT_GROUPED.search(number) and is_grouped(number)
    return grouped and not _in_a_row(text, start, end)


def _may_be_phone(number: str) -> bool:
    return _digits(number) in PHONE_DIGITS and not _NO_PHONE.search(number)


def _digits(number: str) -> int:
    return sum(map(str.isdigit, number))


def _is_announced(text: str, start: int, end: int) -> bool:
    """Return True if a word stands directly before the number, or as a label after it."""
    if _LABEL_AFTER.match(text, end):
        return True
    announced = _ANNOUNCED.search(text, max(0, start - AROUND), start)
    if not announced or _ATTACHED_AFTER.match(text, end):
        return False
    # a heading "Contact" says little about digits on the next line
    return "\n" not in announced["gap"] or ":" in announced["gap"] or not text[start:end].isdigit()


def _in_a_row(text: str, start: int, end: int) -> bool:
    """Return True if only spaces separate the groups, and more groups come before or after, as in a table of
    numbers.
    """
    if not text[start:end].replace(" ", "").isdigit():
        return False
    return bool(_ROW_BEFORE.search(text, max(0, start - AROUND), start) or _ROW_AFTER.match(text, end))
