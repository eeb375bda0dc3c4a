"""The text of a page from its bytes, the charset, and the evidence for that charset.

    decode_html(body, http_charset) -> (text, charset, how)

`how` is the evidence for the charset: a byte order mark ("bom"), the HTTP header ("http"), a meta tag or XML
declaration ("meta"), bytes that are valid UTF-8 ("utf-8"), or detection ("detected"). If it is "replaced", some bytes
are invalid in the charset and became U+FFFD.

Labels mean what they mean in browsers (https://encoding.spec.whatwg.org/#names-and-labels: latin1 is windows-1252).
A browser trusts the label. This module trusts the bytes if they are valid UTF-8 beyond ASCII: no text in another
charset is valid UTF-8 by chance, and pages saved, proxied or embedded as UTF-8 often keep an old label.
"""

from __future__ import annotations

import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

PRESCAN_BYTES = 8192
"""The bytes in which a meta charset is searched for. The standard says 1,024, but browsers go on to the end of the
head."""

_CHARACTER_BYTES = 4
"""The size of the longest character. A crawler that cuts a page can leave a part of one."""

_CODECS = {
    # Python's codecs of these names are narrower than those of browsers
    "shift_jis": "cp932", "euc_kr": "cp949", "gbk": "gb18030", "big5": "big5hkscs", "iso8859-11": "cp874",
}  # fmt: skip
_MISSING = {"x-mac-cyrillic": "mac_cyrillic", "x-mac-ukrainian": "mac_cyrillic", "x-user-defined": "cp1252",
            "cp949": "cp949", "shift-jis": "cp932", "utf": "utf-8"}  # fmt: skip
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_WIDE = {"cp932", "cp949", "gb18030", "big5hkscs", "euc_jp", "iso2022_jp", "utf-16-le", "utf-16-be"}
_LATIN = {"cp1250", "cp1254", "cp1257", "cp1258", "iso8859-2", "iso8859-3", "iso8859-4", "iso8859-10", "iso8859-13",
          "iso8859-14", "iso8859-15", "iso8859-16"}  # fmt: skip
_HIGH = bytes(range(128, 256))
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
        text = text.lstrip("\ufeff")  # some pages are glued together and have several
    # only a zero byte gives a NUL. A search in `text` is slow: beyond Latin-1 each character holds a zero byte
    if b"\0" in body:
        text = text.replace("\0", "")  # as HTML does; this also rescues ASCII saved as unmarked UTF-16
    return text, charset_name(codec), how


def _decode(body: bytes, http_charset: str | None) -> tuple[str, str, str]:
    for mark, codec in _BOMS:
        if body.startswith(mark):
            text = _strict(body, codec)
            return (text, codec, "bom") if text is not None else (body.decode(codec, "replace"), codec, "replaced")

    declared = _declared(body, http_charset)
    text = _strict(body, "utf-8")
    if text is not None:
        for codec, how in declared:
            if codec == "utf-8":
                return text, codec, how
            # ten bytes, because a few double-byte characters can look like UTF-8 by chance (such as 联通 in GBK)
            if len(body) - len(text) >= (10 if codec in _WIDE else 1):
                continue
            legacy = _strict(body, codec)
            if legacy is not None:
                return legacy, codec, how
        return text, "utf-8", "utf-8"

    text = _nearly_utf8(body)
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
    return body.decode(codec, "replace"), codec, "replaced"


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
    """The declared codecs that are known, in order of trust, each with its source: "http" or "meta"."""
    found = []
    http = codec_of(http_charset) if http_charset else None
    # almost any bytes are valid UTF-16, so there must be tags in it
    if http and (not http.startswith("utf-16") or (b"<\0" if http.endswith("le") else b"\0<") in body):
        found.append((http, "http"))
    label = meta_charset(body)
    meta = codec_of(label) if label else None
    if meta:
        # the tag was read as ASCII, so it can't be UTF-16 (WHATWG, in the same section)
        found.append(("utf-8" if meta.startswith("utf-16") else meta, "meta"))
    return found


def _strict(body: bytes, codec: str) -> str | None:
    """The text if all bytes are valid, else None. The last character may be incomplete, because crawlers cut pages."""
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
    """The detected codec. It is windows-1252 if none is found, or if there is little evidence for another Latin one.

    The detector named another Latin charset for 24 real pages and was right once. The other pages held a few quotes,
    pound signs or no-break spaces.
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


def _nearly_utf8(body: bytes) -> str | None:
    """The text as UTF-8 with replacements, if it has at least two continuation bytes per replacement, else None.

    Such pages mix sources or cut strings by bytes. A page in another charset has hardly any valid characters.
    """
    text = body.decode("utf-8", "replace")
    bad = text.count("\ufffd") - body.count(b"\xef\xbf\xbd")
    good = len(text.encode()) - len(text) - 2 * text.count("\ufffd")
    return text if bad <= good // 2 else None


def _nearly(body: bytes, codec: str) -> str | None:
    """The text in a declared charset with replacements, if at most one per fifty bytes beyond ASCII, else None."""
    text = body.decode(codec, "replace")
    return text if text.count("\ufffd") * 50 <= _beyond_ascii(body) else None


def _beyond_ascii(body: bytes) -> int:
    return len(body) - len(body.translate(None, _HIGH))
