"""Small archives made on the spot."""

import io
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

WORDS = (
    "The river that runs through the old town has been the reason for most of its bridges, and each of them is "
    "known by the name of the family that once collected the toll there. Visitors who walk along the water in the "
    "morning often meet the same three fishermen, who have little to say about fish but much about the weather. "
    "In the market hall the bakers sell bread with caraway, and the cheese comes from farms that you can see from "
    "the church tower when the sky is clear. Nobody could tell us why the clock on the town hall is four minutes slow. "
)


def page(title: str = "A town", body: str = WORDS) -> bytes:
    text = f"<html><head><title>{title}</title></head><body><article><h1>{title}</h1><p>{body}</p></article></body></html>"
    return text.encode()


def response(body: bytes, content_type: str = "text/html; charset=utf-8", status: str = "200 OK") -> StatusAndHeaders:
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    return StatusAndHeaders(status, headers, protocol="HTTP/1.1")


def write_warc(path: Path, pages: dict[str, bytes], *, gzip: bool = True, between: bytes = b"") -> Path:
    """A WARC with a request and a response per URL; `between` is put after each response."""
    with open(path, "wb") as out:
        writer = WARCWriter(out, gzip=gzip, warc_version="1.1")
        for number, (url, body) in enumerate(pages.items()):
            fixed = {"WARC-Date": "2026-01-02T03:04:05Z", "WARC-Record-ID": f"<urn:uuid:{number:032d}>"}
            request = StatusAndHeaders("GET / HTTP/1.1", [("Host", "x")], is_http_request=True)
            for kind, http, content in (("request", request, b""), ("response", response(body), body)):
                record = writer.create_warc_record(
                    url, kind, payload=io.BytesIO(content), http_headers=http, warc_headers_dict=dict(fixed)
                )
                writer.write_record(record)
            out.write(between)
    return path
