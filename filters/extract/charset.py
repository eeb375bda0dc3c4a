"""The text of a page from its bytes, the charset, and the evidence for that charset.

    decode_html(body, http_charset) -> (text, charset, how)
    evidence_for_utf8(body, http_charset) -> how

`how` is the evidence for the charset: a byte order mark ("bom"), the HTTP header ("http"), a meta tag or XML
declaration ("meta"), bytes that are valid UTF-8 ("utf-8"), or detection ("detected"). If it is "replaced", some bytes
are invalid in the charset. Such bytes became U+FFFD. Two surrogates in UTF-8 (CESU-8) became the character that they
encode.

Labels mean what they mean in browsers (https://encoding.spec.whatwg.org/#names-and-labels: latin1 is windows-1252).
A browser trusts the label. This module trusts the bytes if they are valid UTF-8 beyond ASCII: no text in another
charset is valid UTF-8 by chance, and pages saved, proxied or embedded as UTF-8 often keep an old label.
"""

from __future__ import annotations

import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from native import kernels

PRESCAN_BYTES = 8192
"""The number of bytes in which a meta charset is searched for.

The standard says 1,024, but browsers search to the end of the head.
"""

_CHARACTER_BYTES = 4
"""The size of the longest character. If a crawler cuts a page, a part of a character may be left."""

_CODECS = {
    # Python's codecs of these names have fewer characters than those of browsers
    "shift_jis": "cp932", "euc_kr": "cp949", "gbk": "gb18030", "big5": "big5hkscs", "iso8859-11": "cp874",
}  # fmt: skip
_MISSING = {"x-mac-cyrillic": "mac_cyrillic", "x-mac-ukrainian": "mac_cyrillic", "x-user-defined": "cp1252",
            "cp949": "cp949", "shift-jis": "cp932", "utf": "utf-8"}  # fmt: skip
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_WIDE = {"cp932", "cp949", "gb18030", "big5hkscs", "euc_jp", "iso2022_jp", "utf-16-le", "utf-16-be"}
_LATIN = {"cp1250", "cp1254", "cp1257", "cp1258", "iso8859-2", "iso8859-3", "iso8859-4", "iso8859-10", "iso8859-13",
          "iso8859-14", "iso8859-15", "iso8859-16"}  # fmt: skip
_HIGH = bytes(range(128, 256))
_LOOK_BYTES = 2048
"""The number of bytes of a page that are searched for signs of UTF-16.

These bytes include the first tags, which are ASCII in any language.
"""
_UTF16_TAG = re.compile(rb"<\0[A-Za-z!/?]\0")
_SURROGATES = re.compile(rb"(\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf])|\xed[\xa0-\xbf][\x80-\xbf]")
_QUOTES = re.compile(rb"\xe2\x80[\x93\x94\x98\x99\x9c\x9d\xa6]")
"""The dashes, curly quotes and ellipsis of English texts in UTF-8.

Texts in other charsets hardly ever contain these bytes.
"""
_REPLACEMENT = "\ufffd".encode()
_NAMES = {"cp932": "shift_jis", "cp949": "euc-kr", "big5hkscs": "big5", "euc_jp": "euc-jp", "iso2022_jp": "iso-2022-jp",
          "cp866": "ibm866", "mac-roman": "macintosh", "mac_cyrillic": "x-mac-cyrillic",
          "utf-16-le": "utf-16le", "utf-16-be": "utf-16be"}  # fmt: skip

_ATTRIBUTE = re.compile(rb"""[\s/]*+(?P<end>>)?([^\s/>=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>]*+)))?""")
_META = re.compile(rb"<!--|<meta[\s/]", re.IGNORECASE)
_XML = re.compile(rb"""<\?xml\s[^>]{0,200}?\bencoding\s*=\s*["']([^"'>]{1,40})["']""")
_CHARSET = re.compile(rb"""charset\s*+=\s*+["']?\s*+([^\s"';,>]++)""", re.IGNORECASE)


def decode_html(body: bytes, http_charset: str | None = None) -> tuple[str, str, str]:
    """Return the text of a page, the WHATWG name of its charset, and the evidence for it. Never raises.

    The text has no byte order mark, no NUL and no surrogate, so it can be written as UTF-8.
    """
    text, codec, how = _decode(body, http_charset)
    if text.startswith("\ufeff"):
        text = text.lstrip("\ufeff")  # a page that was glued together may have several marks
    # Only a zero byte gives a NUL. Searching `text` is slow, because beyond Latin-1 each character contains a zero
    # byte.
    if b"\0" in body:
        # HTML drops NULs too; this also rescues ASCII text saved as UTF-16 without a mark
        text = text.replace("\0", "")
    return text, charset_name(codec), how


def evidence_for_utf8(body: bytes, http_charset: str | None = None) -> str | None:
    """Return the evidence for UTF-8 if the text of a page is its bytes, as of nine pages in ten. Return None if only
    `decode_html` can say what the text is. Nothing is decoded, which takes most of the time of `decode_html`."""
    beyond_ascii = kernels.beyond_ascii(body)
    if beyond_ascii is None or body.startswith(_BOMS[0][0]):
        return None
    for codec, how in _declared(body, http_charset):
        if codec == "utf-8":
            return how
        if beyond_ascii == 0 or codec in _WIDE:
            return None
    return "utf-8"


def _decode(body: bytes, http_charset: str | None) -> tuple[str, str, str]:
    for mark, codec in _BOMS:
        if body.startswith(mark):
            text = _strict(body, codec)
            return (text, codec, "bom") if text is not None else (_replaced(body, codec), codec, "replaced")

    utf16 = _utf16(body)
    if utf16 is not None:
        text = _strict(body, utf16)
        if text is None:
            return _replaced(body, utf16), utf16, "replaced"
        told = (codec_of(http_charset or "") or "").startswith("utf-16")
        return text, utf16, "http" if told else "detected"

    declared = _declared(body, http_charset)
    text = _strict(body, "utf-8")
    if text is not None:
        beyond_ascii = len(body) > len(text)
        for codec, how in declared:
            if codec == "utf-8":
                return text, codec, how
            if beyond_ascii and (codec not in _WIDE or _hardly_double_byte(text, len(body) - len(text))):
                continue
            legacy = _strict(body, codec)
            if legacy is not None:
                return legacy, codec, how
        return text, "utf-8", "utf-8"

    text = _nearly_utf8(body, [codec for codec, _how in declared])
    if text is not None:
        return text, "utf-8", "replaced"
    for codec, how in declared:
        text = _strict(body, codec)
        if text is not None:
            return text, codec, how
    for codec, _how in declared:
        text = _nearly(body, codec)
        if text is not None:
            return text, codec, "replaced"
    codec = _detected(body)
    text = _strict(body, codec)
    if text is not None:
        return text, codec, "detected"
    codec = declared[0][0] if declared else codec
    return _replaced(body, codec), codec, "replaced"


def _utf16(body: bytes) -> str | None:
    """Return the codec of a page in UTF-16 without a byte order mark, or None.

    The bytes decide: the first tag shows the byte order, and at least a tenth of the characters are ASCII. Labels are
    ignored, because a label may name the wrong byte order, or belong to a page in another charset.
    """
    head = body[:_LOOK_BYTES]
    tag = _UTF16_TAG.search(head)
    if tag is None or head.count(0) * 20 < len(head):
        return None
    return "utf-16-be" if tag.start() % 2 else "utf-16-le"


def _hardly_double_byte(text: str, continuation_bytes: int) -> bool:
    """Return True if a text that is valid UTF-8 is very unlikely to be a text in a double-byte charset.

    15% of the Chinese characters in GBK read as a character of UTF-8, and .7% as a character of Latin-1. All characters
    do so in 2% of texts of two characters, and in .04% of texts of four. A character of three bytes appears in less
    than .02% of texts.
    """
    return continuation_bytes >= 4 or not "\xff" < max(text) < "\u0800"


def codec_of(label: str) -> str | None:
    """Return Python's codec for a charset label as browsers read it, or None for an unknown label."""
    label = label.strip().strip("\"'").lower()
    codec = map_encoding_to_html5(label, fallback_utf8=False) if label.isascii() else None
    return _CODECS.get(codec, codec) if codec else _MISSING.get(label)


def charset_name(codec: str) -> str:
    """Return the WHATWG name of a codec, in lower case."""
    if codec in _NAMES:
        return _NAMES[codec]
    return codec.replace("iso8859-", "iso-8859-") if codec[:2] != "cp" else f"windows-{codec[2:]}"


def meta_charset(body: bytes) -> str | None:
    """Return the charset label in a page's meta tags or XML declaration, or None.

    Follows https://html.spec.whatwg.org/#prescan-a-byte-stream-to-determine-its-encoding.
    """
    head = body[:PRESCAN_BYTES]
    at = 0
    while found := _META.search(head, at):
        at = found.end()
        if found[0] == b"<!--":
            at = head.find(b"-->", at - 2)  # <!--> is a whole comment
            if at < 0:
                break
            continue
        charset, content, is_pragma = b"", b"", False
        while (attribute := _ATTRIBUTE.match(head, at)) and not attribute["end"]:
            at = attribute.end()
            name = attribute[2].lower()
            value = attribute[3] or attribute[4] or attribute[5] or b""
            if name == b"charset":
                charset = charset or value
            elif name == b"content":
                in_content = _CHARSET.search(value)
                content = content or (in_content[1] if in_content else b"")
            elif name == b"http-equiv":
                is_pragma = is_pragma or value.strip().lower() == b"content-type"
        label = charset or (content if is_pragma else b"")
        if label:
            return label.decode("latin-1")
    xml = _XML.match(head)
    return xml[1].decode("latin-1") if xml else None


def http_charset(content_type: str) -> str | None:
    """Return the charset parameter of a Content-Type header, or None."""
    found = _CHARSET.search(content_type.encode("latin-1", "replace"))
    return found[1].decode("latin-1") if found else None


def _declared(body: bytes, http_charset: str | None) -> list[tuple[str, str]]:
    """Return the declared codecs that are known, the most trusted first.

    Each comes with its source: "http" or "meta".
    """
    found = []
    http = codec_of(http_charset) if http_charset else None
    # almost any bytes are valid UTF-16, so `_utf16` has looked for tags instead
    if http and not http.startswith("utf-16"):
        found.append((http, "http"))
    label = meta_charset(body)
    meta = codec_of(label) if label else None
    if meta:
        # the tag was read as ASCII, so it can't be UTF-16 (WHATWG, in the same section)
        found.append(("utf-8" if meta.startswith("utf-16") else meta, "meta"))
    return found


def _strict(body: bytes, codec: str) -> str | None:
    """Return the text if all bytes are valid, else None.

    The last character may be incomplete, because crawlers cut pages.
    """
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        if error.start < len(body) - _CHARACTER_BYTES or error.start == 0:
            return None
        if error.end < len(body) or (codec not in _WIDE and codec != "utf-8"):
            return None
        try:
            return body[: error.start].decode(codec)
        except UnicodeDecodeError:
            return None


def _detected(body: bytes) -> str:
    """Return the detected codec. The codec is windows-1252 if none is found, or if there is little evidence for another
    Latin codec.

    The detector named another Latin charset for 24 real pages and was right once. The other pages contained a few
    quotes, pound signs or no-break spaces.
    """
    codec = codec_of(detect_encoding(body) or "")
    if codec is None or codec == "utf-8":
        return "cp1252"
    western = _strict(body, "cp1252") if codec in _LATIN else None
    text = _strict(body, codec) if western is not None else None
    if western is None or text is None:
        return codec
    differing = sum(map(str.__ne__, text, western))
    return codec if differing >= max(10, _beyond_ascii(body) // 20) else "cp1252"


def _nearly_utf8(body: bytes, declared: list[str]) -> str | None:
    """Return the text as UTF-8 with replacements, or None if it has fewer than two continuation bytes per replacement.

    Such pages mix sources or cut strings by bytes. A page in another charset has hardly any valid characters. If UTF-8
    is declared, a surrogate on its own does not count as a replacement, because its three bytes have the form of UTF-8.
    If a double-byte charset is declared, each curly quote allows four more replacements, because in that charset stray
    bytes would swallow the letters after them.
    """
    mended = _mended(body)
    text = mended.decode("utf-8", "replace")
    replaced = text.count("\ufffd")
    bad = replaced - (mended if "utf-8" in declared else body).count(_REPLACEMENT)
    good = len(text.encode()) - len(text) - 2 * replaced
    if not _WIDE.isdisjoint(declared):
        bad -= 4 * len(_QUOTES.findall(body))
    return text if bad <= good // 2 else None


def _mended(body: bytes) -> bytes:
    """Return UTF-8 in which each pair of surrogates became the character that it means, and each single surrogate
    U+FFFD.
    """
    if b"\xed" not in body:
        return body
    return _SURROGATES.sub(lambda found: _joined(found[1]) if found[1] else _REPLACEMENT, body)


def _joined(pair: bytes) -> bytes:
    return pair.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass").decode("utf-16").encode()


def _replaced(body: bytes, codec: str) -> str:
    """Return the text with U+FFFD for invalid bytes."""
    return (_mended(body) if codec == "utf-8" else body).decode(codec, "replace")


def _nearly(body: bytes, codec: str) -> str | None:
    """Return the text in a declared charset with replacements, or None if more than one in fifty bytes beyond ASCII is
    invalid.
    """
    text = body.decode(codec, "replace")
    return text if text.count("\ufffd") * 50 <= _beyond_ascii(body) else None


def _beyond_ascii(body: bytes) -> int:
    return len(body) - len(body.translate(None, _HIGH))
