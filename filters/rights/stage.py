"""The stage `rights`: what a page, its server and its site say about its use.

The rules are in `page_signals` (opt-outs), `licenses`, and `robots` (the records of a site).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from corpus.document import Document
from corpus.stage import Limit, Measured, Stage
from corpus.warc.record import HTML
from filters.extract.page import page_of
from filters.rights.licenses import license_of
from filters.rights.markup import is_parsable, may_license, may_opt_out, opt_out_metas
from filters.rights.page_signals import EVERYONE, signals_of
from filters.rights.robots import RobotsIndex

AGENTS = ("CCBot", "GPTBot", "Google-Extended", "ClaudeBot", "*")


class Rights(Stage):
    """Opt-outs and licences that a page, its headers or its site declare.

    A directive counts if it is for all robots (`<meta name="robots">`, X-Robots-Tag) or for one of `agents`
    (`<meta name="gptbot">`, `X-Robots-Tag: gptbot: noai`). It counts wherever a browser without scripts finds the tag:
    in the head, in the body, in `noscript`, but not in a comment, a script or a template. If the meta tag, the header
    and the site's file give different values of tdm-reservation, the meta tag counts first, then the header. All
    measures of a document without a page are null, because nothing is known about it.

    An opt-out that a page declares for AI or for mining drops the page. The other measures have no limit by default:
    `noindex` is about search, `noimageai` about pictures, and the crawler of Common Crawl obeys robots.txt itself.
    """

    name = "rights"
    source = (
        "noai and noimageai: https://www.deviantart.com/team/journal/901238948; "
        "robots meta tag, X-Robots-Tag: https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag; "
        "tdm-reservation: https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/; "
        "robots.txt: https://www.rfc-editor.org/rfc/rfc9309; "
        "rel=license: https://html.spec.whatwg.org/#link-type-license; schema.org: https://schema.org/license; "
        "names of licences: https://spdx.org/licenses"
    )
    reads = ("page",)

    noai = Limit(max=0, of=int)
    """1 if the page opts out of AI by the directive `noai` or `noml`. Null if its tags are not read."""
    noimageai = Limit(of=int)
    """1 if the page opts its pictures out of AI by the directive `noimageai`."""
    noindex = Limit(of=int)
    """1 if the page asks search engines to leave it out, by the directive `noindex` or `none`."""
    tdm_reservation = Limit(max=0, of=int)
    """1 if text and data mining is reserved, 0 if it is declared free. Null if nothing is declared."""
    declared = Limit(of=str)
    """The declarations on which the measures before this one rest, each with its place: header, meta, or site. Null if
    there are none."""
    robots = Limit(of=int)
    """The number of `agents` that the site's robots.txt keeps from this page. Null without an index, or if the site is
    not in it."""
    robots_agents = Limit(of=str)
    """The names of these agents."""
    license = Limit(of=str)
    """The licences that the page declares, such as CC-BY-4.0, joined by " AND ". "other" is a licence that we do not
    know. Null if the page declares none."""
    license_source = Limit(of=str)
    """The forms of the declarations: rel (rel=license), meta, schema (schema.org), or link (to Creative Commons)."""

    def __init__(self, *, agents: Sequence[str] = AGENTS, robots_index: str = "") -> None:
        self.agents = agents
        """The robots whose directives and rules count. "*" stands for all others."""
        self.robots_index = robots_index
        """The folder of an index made by `corpus robots index`, or by `corpus build --robots`."""

    def prepare(self) -> None:
        self.index_ = RobotsIndex(Path(self.robots_index)) if self.robots_index else None
        self.agents_ = frozenset(map(str.lower, self.agents))
        self.names_ = (b"robots", b"tdm-", *sorted(agent.encode() for agent in self.agents_ - {EVERYONE}))

    def resources(self) -> dict[str, str]:
        if not self.robots_index:
            return {}
        parser = hashlib.sha256(version("protego").encode()).hexdigest()
        return {"robots": RobotsIndex(Path(self.robots_index)).digest, "robots_parser": parser}

    def apply(self, doc: Document) -> Iterator[Measured]:
        if doc.record is None or doc.record.is_text:
            yield from ((measure, None) for measure in self.limits)
            return
        page, index = page_of(doc), self.index_
        site = index.reservation(doc.url) if index else None
        is_html = page.media_type in HTML and bool(page.body)
        speaks = is_html and may_opt_out(page, self.names_)
        unread = speaks and not is_parsable(page)
        metas = opt_out_metas(page.tree) if speaks and not unread else ()
        signals = signals_of(page.message.headers, metas, self.agents_, site)
        for directive in ("noai", "noimageai", "noindex"):
            yield directive, 1 if directive in signals.directives else None if unread else 0
        yield "tdm_reservation", signals.reservation
        yield "declared", signals.declared or None
        kept_out = index.disallowed(doc.url, self.agents) if index else None
        yield "robots", None if kept_out is None else len(kept_out)
        yield "robots_agents", None if kept_out is None else ", ".join(kept_out)
        licensed = is_html and may_license(page) and is_parsable(page)
        license, source = license_of(page.tree) if licensed else ("", "")
        doc.license = license or None
        yield "license", license or None
        yield "license_source", source or None
