"""Small archives made on the spot."""

import gzip
from pathlib import Path

WORDS = (
    "The river that runs through the old town has been the reason for most of its bridges, and each of them is "
    "known by the name of the family that once collected the toll there. Visitors who walk along the water in the "
    "morning often meet the same three fishermen, who have little to say about fish but much about the weather. "
    "In the market hall the bakers sell bread with caraway, and the cheese comes from farms that you can see from "
    "the church tower when the sky is clear. Nobody could tell us why the clock on the town hall is four minutes slow. "
    "The baker says that it was his grandfather who set it so, because he wanted to have the loaves out in time. "
    "We bought two of them, ate one on the bridge, and gave the rest to the ducks that were waiting for it. "
)


def page(title: str = "A town", body: str = WORDS) -> bytes:
    text = (
        f"<html><head><title>{title}</title></head><body><article><h1>{title}</h1><p>{body}</p></article></body></html>"
    )
    return text.encode()


def http(body: bytes, content_type: str = "text/html; charset=utf-8", status: str = "200 OK", extra: str = "") -> bytes:
    """An HTTP response message."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{extra}\r\n".encode() + body


def record(kind: str, url: str, block: bytes, number: int = 0, content_type: str = "") -> bytes:
    """One WARC record, not compressed."""
    kinds = {"request": "application/http; msgtype=request", "response": "application/http; msgtype=response"}
    headers = {
        "WARC-Type": kind,
        "WARC-Target-URI": url,
        "WARC-Date": "2026-01-02T03:04:05Z",
        "WARC-Record-ID": f"<urn:uuid:{number:032d}>",
        "Content-Type": content_type or kinds.get(kind, "text/plain"),
        "Content-Length": str(len(block)),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"WARC/1.1\r\n{lines}\r\n".encode() + block + b"\r\n\r\n"


def write_warc(path: Path, pages: dict[str, bytes], *, compressed: bool = True) -> Path:
    """A WARC with a request and a response per URL."""
    with open(path, "wb") as out:
        for number, (url, body) in enumerate(pages.items()):
            for kind, block in (("request", b"GET / HTTP/1.1\r\n\r\n"), ("response", http(body))):
                raw = record(kind, url, block, number)
                out.write(gzip.compress(raw, mtime=0) if compressed else raw)
    return path
