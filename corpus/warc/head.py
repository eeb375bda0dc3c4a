"""The header of one record, WARC or ARC, parsed as leniently as is safe.

WARC headers may have CRLF or LF, folded lines, names in any case, repeated names (the first counts) and values that are
not UTF-8. An ARC header is one line, `URL IP date type length` in version 1. Version 2 has five more fields before the
length. The URL may contain raw spaces. The fields of an ARC header get the names of their WARC counterparts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD_BYTES = 64 * 1024
"""A longer header counts as damaged. Real headers stay under 2 KiB, except for target URIs of some dozen KiB."""
ARC_LINE_BYTES = 16 * 1024

_VERSION = re.compile(rb"WARC/\d{1,2}\.\d{1,2}[ \t\r]*\n")
_BLANK_LINE = re.compile(rb"\n(\r*)\n")
_ARC_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,30}:")
_ARC_IP = re.compile(r"[0-9A-Fa-f.:]+|-")
_ARC_DATE = re.compile(r"\d{12,20}")
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)

FIRST_LINE = {
    "warc": re.compile(rb"WARC/\d{1,2}\.\d{1,2}[ \t\r]*(?=\n)"),
    "arc": re.compile(
        rb"(?<=\n)[A-Za-z][A-Za-z0-9+.-]{0,30}:[^\n]{0,16000} \d{12,20} (?=[^\n]{0,402}+\n)[^\n]{0,400}\d\r?(?=\n)"
    ),
}
"""The pattern of a header's first line, by flavor. A search with it looks only a little beyond each line's end.

The date of an ARC header must be in the last 402 bytes of its line. The look-ahead checks this before the rest of the
line is tried. In lines of dates that end wrongly, this takes a twentieth of the time.
"""


@dataclass(slots=True)
class Head:
    """One parsed header: the record's type, its fields, its size in bytes, and the length that it declares."""

    flavor: str
    kind: str
    headers: dict[str, str]
    size: int
    length: int | None
    """The declared length of the block, or None if it is missing, negative or not a number."""
    closing: bytes
    """The line breaks that should follow the block: two in a WARC, of the same kind as in the header, and one in an
    ARC.
    """


def parse_head(data: bytes | bytearray, at: int = 0, end: int | None = None) -> Head | None:
    """Parse the header at `data[at]`. Return None if no header begins there, or if the header does not end before
    `end`.

    Only HEAD_BYTES bytes are searched.
    """
    limit = min(len(data), at + HEAD_BYTES)
    if end is not None:
        limit = min(limit, end)
    if data.startswith(b"WARC/", at):
        version = _VERSION.match(data, at, limit)
        blank = _BLANK_LINE.search(data, version.end() - 1, limit) if version else None
        if version is None or blank is None or FIRST_LINE["warc"].search(data, version.end(), blank.start()):
            return None
        headers = _fields(bytes(data[version.end() : blank.start()]))
        kind = headers.get("warc-type", "").lower()
        closing = (blank.group(1) + b"\n") * 2
        return Head("warc", kind, headers, blank.end() - at, _length(headers.get("content-length", "")), closing)
    if _ARC_SCHEME.match(data, at, limit):
        return _parse_arc(data, at, limit)
    return None


def may_be_head(data: bytes | bytearray) -> bool:
    """Return False if a record can't begin with these bytes. True proves nothing."""
    return data.startswith(b"WARC/"[: len(data)]) or _ARC_SCHEME.match(data) is not None


def _fields(text: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for line in _decode(text).split("\n"):
        if line[:1] in (" ", "\t"):  # a folded line continues the previous value
            if name:
                headers[name] = f"{headers[name]} {line.strip()}".strip()
            continue
        key, colon, value = line.partition(":")
        name = key.strip().lower()
        if not colon or name in headers:
            name = ""
        else:
            headers[name] = value.strip()
    return headers


def _decode(text: bytes) -> str:
    """Decode text as UTF-8. Each line that is not UTF-8 is decoded as Latin-1."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        lines = text.split(b"\n")
        return "\n".join(map(_decode, lines)) if len(lines) > 1 else text.decode("latin-1")


def _length(value: str) -> int | None:
    return int(value) if _LENGTH.fullmatch(value) else None


def _parse_arc(data: bytes | bytearray, at: int, limit: int) -> Head | None:
    newline = data.find(b"\n", at, min(limit, at + ARC_LINE_BYTES))
    if newline < 0:
        return None
    words = _decode(bytes(data[at:newline]).rstrip(b"\r")).split(" ")
    # A URL may contain spaces, so the search for address and date starts at the right. After them come type and length
    # in version 1; type, result, checksum, location, offset, file name and length in version 2.
    for i in range(len(words) - 2, max(len(words) - 12, 1), -1):
        if _ARC_DATE.fullmatch(words[i]) and _ARC_IP.fullmatch(words[i - 1]):
            break
    else:
        return None
    url = " ".join(words[: i - 1])
    kind = "warcinfo" if url.startswith("filedesc:") else "response"
    media_type = words[i + 1] if i + 2 < len(words) else ""
    date = words[i][:14].ljust(14, "0")
    headers = {
        "warc-type": kind,
        "warc-target-uri": url,
        "warc-ip-address": words[i - 1],
        "warc-date": f"{date[:4]}-{date[4:6]}-{date[6:8]}T{date[8:10]}:{date[10:12]}:{date[12:]}Z",
        "arc-content-type": media_type,
        # An ARC line gives the type of the payload. A WARC header gives the type of the block: an HTTP message.
        "content-type": "application/http; msgtype=response" if url[:4].lower() == "http" else media_type,
        "content-length": words[-1],
    }
    return Head("arc", kind, headers, newline + 1 - at, _length(words[-1]), b"\n")
