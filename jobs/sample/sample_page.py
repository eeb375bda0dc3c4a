"""One page of the sample crawl: the server's answer, and the expected outcome."""

from __future__ import annotations

from dataclasses import dataclass, fields

HTML = "text/html; charset=utf-8"
KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected outcome of one page or one damaged stretch.

    `intent` is one of:
      "kept";
      "damaged", with an empty `url` if no page is hit;
      "skipped", for a record without an HTTP message;
      "stage.measure", the rule that drops the page, as the recipe "fineweb" names it;
      "duplicate_of:URL". Only the cluster is certain: a policy may keep another of its pages.

    `notes` name special features, such as "pii:email", "charset:utf-16" or "c4:line_policy" (a line that C4 removes).
    The extracted text must hold `contains` and must not hold `absent`. A corpus without personal data must not hold
    `secrets`.
    """

    url: str
    intent: str
    language: str = "en"
    notes: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SamplePage(Expected):
    """A URL, the answer to it, and its expected outcome. Pages of one `cluster` are duplicates of each other."""

    body: bytes = b""
    cluster: str = ""
    status: str = "200 OK"
    content_type: str = HTML
    media_type: str = "text/html"
    """The media type that the crawler identified."""
    headers: tuple[tuple[str, str], ...] = ()

    def expected(self) -> Expected:
        """Return only the expected outcome."""
        return Expected(*(getattr(self, field.name) for field in fields(Expected)))
