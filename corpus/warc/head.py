"""The header of one record, WARC or ARC, parsed as leniently as is safe.

WARC headers: CRLF or LF, folded lines, any case, repeated names (the first counts), values that are not UTF-8.
ARC headers are one line, `URL IP date type length` (version 1) or with five more fields before the length
(version 2); URLs with raw spaces occur. They are shown under the names of their WARC counterparts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD_BYTES = 64 * 1024
"""A longer header is damage. Real ones stay under 2 KiB, but for target URIs of some dozen KiB."""
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
"""What the first line of a header looks like: to be searched for, without looking far beyond each line's end. A date
must stand in the last 402 bytes of an ARC header's line, which is looked at before what is behind it is tried: in lines
of dates that end wrongly that takes a twentieth of the time."""


@dataclass(slots=True)
class Head:
    """One parsed header: the record's kind, its fields, the bytes it takes, and the length it declares."""

    flavour: str
    kind: str
    headers: dict[str, str]
    size: int
    length: int | None
    """The declared length of the block; None where it is missing, negative or not a number."""
    closing: bytes
    """The line breaks that should follow the block: two of the header's own sort in a WARC, one in an ARC."""


def parse_head(data: bytes | bytearray, at: int = 0, end: int | None = None) -> Head | None:
    """Parse the header that starts at `data[at]`; None where there is none, or it does not end before `end`.

    At most HEAD_BYTES are looked at.
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
    """Whether these first bytes of something could be the start of a record; wrong only in favour."""
    return data.startswith(b"WARC/"[: len(data)]) or _ARC_SCHEME.match(data) is not None


def _fields(text: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for line in _decode(text).split("\n"):
        if line[:1] in (" ", "\t"):  # a folded line goes on with the value before it
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
    try:
        return text.decode()
    except UnicodeDecodeError:
        return "\n".join(_decode_line(line) for line in text.split(b"\n"))


def _decode_line(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _length(value: str) -> int | None:
    return int(value) if _LENGTH.fullmatch(value) else None


def _parse_arc(data: bytes | bytearray, at: int, limit: int) -> Head | None:
    newline = data.find(b"\n", at, min(limit, at + ARC_LINE_BYTES))
    if newline < 0:
        return None
    words = _decode_line(bytes(data[at:newline]).rstrip(b"\r")).split(" ")
    # A URL may hold spaces, so the address and date are looked for from the right: type and length follow them,
    # or in version 2 type, result, checksum, location, offset, file name and length.
    for i in range(len(words) - 2, max(len(words) - 12, 1), -1):
        if _ARC_DATE.fullmatch(words[i]) and _ARC_IP.fullmatch(words[i - 1]):
            break
    else:
        return None
    url = " ".join(words[: i - 1])
    kind = "warcinfo" if url.startswith("filedesc:") else "response"
    media_type = words[i + 1] if i + 2 < len(words) else ""
    headers = {
        "warc-type": kind,
        "warc-target-uri": url,
        "warc-ip-address": words[i - 1],
        "warc-date": _arc_date(words[i]),
        "arc-content-type": media_type,
        # An ARC line gives the payload's type, a WARC header the block's: an HTTP message for a web page.
        "content-type": "application/http; msgtype=response" if url[:4].lower() == "http" else media_type,
        "content-length": words[-1],
    }
    return Head("arc", kind, headers, newline + 1 - at, _length(words[-1]), b"\n")


def _arc_date(digits: str) -> str:
    d = digits[:14].ljust(14, "0")
    return f"{d[:4]}-{d[4:6]}-{d[6:8]}T{d[8:10]}:{d[10:12]}:{d[12:14]}Z"
