"""The rules of sites for their use: robots.txt and /.well-known/tdmrep.json, from archives of a crawl.

Common Crawl publishes the answers to its requests for robots.txt beside the pages of each crawl (`robotstxt/`). An
index of such archives is a folder with the newest file of each site. Workers map it, so they share its memory.

    files = SiteFiles()
    for record in read_warc("robotstxt.warc.gz"):
        files.add(record)
    files.write(Path("index"))
    RobotsIndex(Path("index")).disallowed("https://a.example/x", ["GPTBot", "*"])     # ['GPTBot']

If a site is not in the index, nothing is known about it. If the server said that there is no robots.txt (4xx), nothing
is disallowed (RFC 9309, 2.3.1.3). Other failures (5xx) are left out.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pyarrow as pa

from corpus.errors import ConfigError
from corpus.json_data import check_shape, parse_json
from corpus.storage.replacing import replacing
from corpus.url_identity import split_url
from corpus.warc.http_message import decode_body, parse_http
from corpus.warc.record import Record

FILE, FACTS = "sites.arrow", "index.json"
VERSION = 1
MOST_BYTES = 500 << 10
"""The bytes of a file that count: as many as a crawler must read (RFC 9309, 2.5)."""
_MOST_REDIRECTS = 5
"""RFC 9309, 2.3.1.2."""
_SITES_REMEMBERED = 1024
_PATHS = {"/robots.txt": "robots", "/.well-known/tdmrep.json": "tdmrep"}
_SHAPE = {"version": int, "sites": int, "bytes": int, "sha256": str}
_MAKE = "Make one with `corpus robots index FILES -o DIR`."

_GONE, _REDIRECT = 1, 0
_FOUND = 2
_Answer = tuple[int, str, bytes]
"""The kind of an answer (found, gone, or a redirect), its date, and the file or the site that it leads to. The largest
answer of a site counts, so the order of the archives does not matter."""


class SiteFiles:
    """The newest robots.txt and tdmrep.json of each site. All of them are in memory, equal ones once."""

    def __init__(self) -> None:
        self._answers: dict[str, dict[str, _Answer]] = {kind: {} for kind in _PATHS.values()}
        self._texts: dict[bytes, bytes] = {}

    def add(self, record: Record) -> None:
        """Take the answer of a server, if it is about one of the two files."""
        site, kind = _place(record.url)
        if not kind or record.kind != "response" or not record.is_http:
            return
        message = parse_http(record.block)
        status = message.status or 0
        if 200 <= status < 300:
            body = decode_body(message, MOST_BYTES)[0]
            found: _Answer = _FOUND, record.date, self._texts.setdefault(body, body)
        elif 300 <= status < 400 and message.headers.get("location"):
            other, same = _place(urljoin(record.url, message.headers["location"]))
            if same != kind or other == site:
                return
            found = _REDIRECT, record.date, other.encode("utf-8", "replace")
        elif 400 <= status < 500:
            found = _GONE, record.date, b""
        else:
            return
        answers = self._answers[kind]
        answers[site] = max(found, answers.get(site, found))

    def write(self, folder: Path) -> dict[str, Any]:
        """Write the index into a folder, and return its facts, which belong into its file `index.json`."""
        files = {kind: {site: self._file(kind, site) for site in found} for kind, found in self._answers.items()}
        sites = sorted({site for found in files.values() for site, file in found.items() if file is not None})
        columns = {"site": pa.array(sites, pa.large_string())}
        columns |= {kind: _shared([found.get(site) for site in sites]) for kind, found in files.items()}
        table = pa.table(columns).combine_chunks()
        with replacing(folder / FILE) as scratch, pa.ipc.new_file(str(scratch), table.schema) as writer:
            writer.write_table(table)
        data = (folder / FILE).open("rb")
        with data:
            sha256 = hashlib.file_digest(data, "sha256").hexdigest()
        size = (folder / FILE).stat().st_size
        return {"version": VERSION, "sites": len(sites), "bytes": size, "sha256": sha256}

    def _file(self, kind: str, site: str) -> bytes | None:
        """Return the file of a site, or that of the site to which it redirects."""
        for _ in range(_MOST_REDIRECTS + 1):
            how, _, text = self._answers[kind].get(site, (_REDIRECT, "", b""))
            if how != _REDIRECT:
                return text
            site = text.decode()
        return None


class RobotsIndex:
    """An open index. `digest` identifies its content."""

    def __init__(self, folder: Path) -> None:
        try:
            facts = parse_json((folder / FACTS).read_bytes())
            check_shape(facts, _SHAPE)
            size = (folder / FILE).stat().st_size
        except (OSError, ValueError):
            raise ConfigError(f"{folder} holds no index of robots.txt.", _MAKE) from None
        if facts["version"] != VERSION:
            raise ConfigError(f"The index in {folder} is in the format of another version of corpus.", _MAKE)
        if size != facts["bytes"]:
            raise ConfigError(f"The index in {folder} is damaged.", "Make it again, or copy it again.")
        self.digest: str = facts["sha256"]
        with pa.memory_map(str(folder / FILE)) as file:
            table = pa.ipc.open_file(file).read_all().combine_chunks()
        self._columns = {name: table[name].chunk(0) if len(table) else [] for name in table.schema.names}
        self._rules = lru_cache(_SITES_REMEMBERED)(self._read_rules)
        self._reservations = lru_cache(_SITES_REMEMBERED)(self._read_reservations)

    def disallowed(self, url: str, agents: Iterable[str]) -> list[str] | None:
        """Return the robots that may not fetch a URL, or None if nothing is known about its site."""
        rules = self._rules(site_of(url))
        return None if rules is None else [agent for agent in agents if not rules.can_fetch(url, agent)]

    def reservation(self, url: str) -> int | None:
        """Return the tdm-reservation that the site's tdmrep.json has for a URL: that of the first rule for it."""
        for rule, value in self._reservations(site_of(url)):
            if not rule.can_fetch(url, "*"):
                return value
        return None

    def _text(self, kind: str, site: str) -> str | None:
        sites = self._columns["site"]
        at = bisect_left(range(len(sites)), site, key=lambda row: str(sites[row]))
        file = self._columns[kind][at].as_py() if at < len(sites) and str(sites[at]) == site else None
        return None if file is None else file.decode("utf-8", "replace").removeprefix("\ufeff")

    def _read_rules(self, site: str) -> Any:
        from protego import Protego

        text = self._text("robots", site)
        return None if text is None else Protego.parse(text)

    def _read_reservations(self, site: str) -> list[tuple[Any, int]]:
        """Return the rules of tdmrep.json, in order. Their patterns are those of robots.txt, as the specification says,
        so each rule becomes a robots.txt that disallows what the rule is about."""
        from protego import Protego

        try:
            rules = parse_json(self._text("tdmrep", site) or "[]")
        except ValueError:
            return []
        found = []
        for rule in rules if isinstance(rules, list) else [rules]:
            value = str(rule.get("tdm-reservation")) if isinstance(rule, dict) else ""
            if value in ("0", "1") and isinstance(rule.get("location"), str):
                pattern = " ".join(rule["location"].split()).partition("#")[0]
                found.append((Protego.parse(f"User-agent: *\nDisallow: {pattern}"), int(value)))
        return found


def site_of(url: str) -> str:
    """Return the host of a URL, with its port if that is not the usual one."""
    host, port, _ = split_url(url)
    return host + port


def _place(url: str) -> tuple[str, str]:
    """Return the site of a URL, and the kind of its file: robots, tdmrep, or ""."""
    host, port, path = split_url(url)
    return host + port, _PATHS.get(path.partition("?")[0], "")


def _shared(files: Sequence[bytes | None]) -> pa.Array:
    """Return a column in which equal files are stored once."""
    return pa.array(files, pa.large_binary()).dictionary_encode()
