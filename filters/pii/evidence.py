"""Rules that decide which addresses and card numbers are personal data, by their form and by the text next to them.

The rules for phone numbers are in `phone_evidence`.
"""

from __future__ import annotations

import ipaddress

import regex

from filters.pii.phone_evidence import AROUND, any_of

# e-mail addresses

_BEFORE_NAME = regex.compile(
    r"[^@]*(?:[/?](?:[^@]*&)?(?:\w++=(?=[^@]))?+|[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}])"
)
_NO_NAME = regex.compile(r"\W*+@|[^@]*\*@|[^@]*@\dx\.|git@")


def mail_start(text: str, start: int, end: int) -> int | None:
    """Return where the e-mail address in a finding begins, or None if the finding contains no e-mail address.

    The address begins after the path of a URL and after letters of scripts without spaces. These are not e-mail
    addresses: handles ("@ann@social.example"), masked names ("an***@mail.example"), names of images ("icon@2x.zip"),
    and git's remotes.
    """
    if text.endswith("@", 0, start):
        return None
    before = _BEFORE_NAME.match(text, start, text.index("@", start, end))
    start = before.end() if before else start
    return None if _NO_NAME.match(text, start, end) else start


# IP addresses

_VERSION_WORDS = any_of("version versions ver v release releases rel revision build firmware")
_OTHER_WORDS = any_of(
    """
    update updates updated upgrade upgraded driver patch edition section sec chapter article clause rule table figure
    fig appendix step oid
    """
)
_ADDRESS_WORDS = any_of("ip ips ipv4 address* adress* server* host* dns ping* from gateway proxy router at")
_NO_ADDRESS_BEFORE = regex.compile(
    rf"""
    (?<!\w)(?:{_VERSION_WORDS})(?!\w)(?:\W++(?!(?:{_ADDRESS_WORDS})(?!\w))[^\W\d]++){{0,3}}+\W{{0,3}}+\Z
    |(?<!\w)(?:{_OTHER_WORDS})(?!\w)\W{{0,3}}\Z
    |(?<![\w.])n[or]\.\W{{0,3}}\Z
    |(?:§\s?|\d\.)\Z
    """,
    regex.I | regex.X,
)
_NUMBER_AFTER = regex.compile(r"\.\d")
_SMALL = regex.compile(r"(?:\d{1,2}\.){3}\d{1,2}\Z|(?:\d+\.){3}0+\Z")
_PRODUCT_BEFORE = regex.compile(rf"(?<!\w)(?!(?i:{_ADDRESS_WORDS})[ ])\p{{Lu}}\w++[ ]\Z|[^\W\d][-/]\Z")
_LETTER_AFTER = regex.compile(r"[-_]?[^\W\d]")
_IN_USE = ipaddress.ip_network("2000::/3")
_DOCUMENTATION = (ipaddress.ip_network("2001:db8::/32"), ipaddress.ip_network("3fff::/20"))
_LEAST_GROUPS = 3


def is_address(text: str, start: int, end: int) -> bool:
    """Return True if text with the form of an IP address is one, and not a version, a section number or a piece of
    code.

    An IPv6 address needs at least three groups and is in 2000::/3, the only part in use. So "30::", "a::b" and "2012::"
    do not count. An IPv4 address does not count after a word such as "version" or as part of a longer number. Some
    addresses are more doubtful: those whose numbers all have one or two digits (2% of all addresses), or whose last
    number is 0. They also do not count after a product's name ("Opera 9.5.0.1", "nginx/1.9.7.1") and before letters
    ("1.2.3.4-beta").
    """
    address = ipaddress.ip_interface(text[start:end]).ip
    if isinstance(address, ipaddress.IPv6Address):
        groups = len(regex.findall(r"[^:]+", text[start:end]))
        in_use = address in _IN_USE and not any(address in network for network in _DOCUMENTATION)
        return address.ipv4_mapped is not None or (in_use and groups >= _LEAST_GROUPS)
    window = max(0, start - AROUND)
    if _NO_ADDRESS_BEFORE.search(text, window, start) or _NUMBER_AFTER.match(text, end):
        return False
    product = _PRODUCT_BEFORE.search(text, window, start) or _LETTER_AFTER.match(text, end)
    return not (product and _SMALL.match(text, start, end))


# cards

_NETWORKS = regex.compile(
    r"""
    4\d{12}(?:\d{3})?           # Visa
    |5[1-5]\d{14}               # Mastercard
    |3[47]\d{13}                # American Express
    |3(?:0[0-5]|[689]\d)\d{11}  # Diners Club
    |6(?:011|4[4-9]\d|5\d\d|2\d\d)\d{12}      # Discover, UnionPay
    |35\d{14}|(?:2131|1800)\d{11}             # JCB
    |(?:50[1-3]\d|6304|67\d\d)\d{9,15}        # Maestro
    """,
    regex.X,
)
_CARD_GROUPS = regex.compile(r"\d+|\d{4}([- ])(?:\d{4}\1\d{4}\1\d{4}|\d{6}\1\d{4,5})")
_CARD_WORD = regex.compile(
    rf"(?<!\w)(?:{any_of('card* credit visa mastercard amex diners maestro cc *karte* carte* tarjeta* cartão carta')})"
    r"(?!\w)[^\d\n]*+\Z",
    regex.I,
)
_FRACTION_BEFORE, _FRACTION_AFTER = regex.compile(r"\d[.,]\Z"), regex.compile(r"[.,]\d")
_SHORT_CARD = 14


def is_card(text: str, start: int, end: int) -> bool:
    """Return True if a number with Luhn's check digit has the length, prefix and groups of a network's cards.

    A part of a fraction does not count. A number of 13 or 14 digits needs a word such as "card" before it, because many
    codes on goods begin like such a card, and a tenth of all numbers have Luhn's check digit.
    """
    number = text[start:end]
    digits = "".join(filter(str.isdigit, number))
    if not _NETWORKS.fullmatch(digits) or not _CARD_GROUPS.fullmatch(number):
        return False
    if _FRACTION_BEFORE.search(text, max(0, start - 2), start) or _FRACTION_AFTER.match(text, end):
        return False
    return len(digits) > _SHORT_CARD or bool(_CARD_WORD.search(text, max(0, start - AROUND), start))
