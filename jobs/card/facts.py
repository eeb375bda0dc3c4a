"""Facts that the corpus of a run gives: sizes by language, licence and domain, and the dates of the pages.

Texts are measured and not looked at. DuckDB sums up the domains, which may be too many for memory.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from corpus.run import Run
from corpus.runs.row_groups import read_batches, schema_of
from corpus.url_identity import split_url
from filters.url.public_suffixes import registered_domains

_ROWS = 1024
_MEMORY = "256MB"
_HOSTS_REMEMBERED = 65_536
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])")
_DOMAIN = re.compile(r"[\w-]+(?:\.[\w-]+)+|\[[0-9a-f:.]+\]")
"""The names that are shown. Others, such as names with spaces, can't be real."""
_WAITING = 100_000
"""The most domains that wait in memory for DuckDB."""

Size = tuple[int, int]
"""Documents, and bytes of text."""


@dataclass(frozen=True)
class Domain:
    name: str
    documents: int
    bytes: int


@dataclass
class CorpusFacts:
    """The sizes of a corpus. `languages` and `licenses` map each value to its size; "" is an unknown one."""

    documents: int = 0
    bytes: int = 0
    languages: dict[str, Size] = field(default_factory=dict)
    licenses: dict[str, Size] = field(default_factory=dict)
    first: str = ""
    """The month of the oldest page, such as 2026-01, or "" if no page has a date."""
    last: str = ""
    domains: int = 0
    without_domain: int = 0
    """The documents without a URL, or whose URL has no host name."""


class DomainSizes:
    """The documents and bytes by registered domain, or by address if a host has no domain."""

    def __init__(self, scratch: str) -> None:
        self._database = duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": scratch, "threads": 1})
        self._database.execute("SET autoinstall_known_extensions = false")
        self._database.execute("CREATE TABLE seen (name VARCHAR, documents BIGINT, bytes BIGINT)")
        registered = registered_domains()
        self._domain_of = lru_cache(_HOSTS_REMEMBERED)(lambda host: registered(host) or host)
        self._waiting: dict[str, list[int]] = {}

    def add(self, url: str | None, size: int) -> bool:
        """Count a document. Return False if its URL has no host name."""
        name = self._domain_of(split_url(url or "")[0])
        if not _DOMAIN.fullmatch(name):
            return False
        sums = self._waiting.setdefault(name, [0, 0])
        sums[0] += 1
        sums[1] += size
        if len(self._waiting) >= _WAITING:
            self._write()
        return True

    def _write(self) -> None:
        names, sums = list(self._waiting), list(self._waiting.values())
        counted = pa.table({"name": names, "documents": [one[0] for one in sums], "bytes": [one[1] for one in sums]})
        self._database.register("counted", counted)
        self._database.execute("INSERT INTO seen SELECT name, documents, bytes FROM counted")
        self._database.unregister("counted")
        self._waiting.clear()

    def finish(self) -> int:
        """Sum up the domains, and return their number."""
        if self._waiting:
            self._write()
        sums = "SELECT name, sum(documents)::BIGINT AS documents, sum(bytes)::BIGINT AS bytes FROM seen GROUP BY name"
        self._database.execute(f"CREATE TABLE summed AS {sums}")
        found = self._database.execute("SELECT count(*) FROM summed").fetchone()
        assert found is not None
        return int(found[0])

    def largest(self, most: int) -> Iterator[Domain]:
        """Yield the domains with the most bytes, the largest first."""
        query = "SELECT name, documents, bytes FROM summed ORDER BY bytes DESC, name LIMIT ?"
        rows = self._database.execute(query, [most])
        while some := rows.fetchmany(_ROWS):
            yield from (Domain(*row) for row in some)

    def close(self) -> None:
        self._database.close()


@contextmanager
def read_facts(run: Run) -> Iterator[tuple[CorpusFacts, DomainSizes]]:
    """Read the corpus of a run, about a thousand rows at a time. The domains can be asked for until the end."""
    facts, paths = CorpusFacts(), run.paths("corpus")
    wanted = ["url", "date", "language", "text", *({"license"} & set(schema_of(paths[0]).names))]
    with tempfile.TemporaryDirectory(prefix="corpus-card-") as scratch:
        domains = DomainSizes(scratch)
        try:
            for batch in read_batches(paths, wanted, _ROWS):
                _add(facts, domains, batch)
            facts.domains = domains.finish()
            yield facts, domains
        finally:
            domains.close()


def _add(facts: CorpusFacts, domains: DomainSizes, batch: pa.RecordBatch) -> None:
    sizes = pc.fill_null(pc.binary_length(batch["text"].cast(pa.binary())), 0).to_pylist()
    facts.documents += len(sizes)
    facts.bytes += sum(sizes)
    for name, sums in (("language", facts.languages), ("license", facts.licenses)):
        values = batch[name].to_pylist() if name in batch.schema.names else [None] * len(sizes)
        for value, size in zip(values, sizes, strict=True):
            before = sums.get(value or "", (0, 0))
            sums[value or ""] = before[0] + 1, before[1] + size
    months = [found[0] for date in batch["date"].to_pylist() if (found := _MONTH.match(date or ""))]
    if months:
        facts.first = min([*months, *filter(None, [facts.first])])
        facts.last = max([*months, facts.last])
    for url, size in zip(batch["url"].to_pylist(), sizes, strict=True):
        facts.without_domain += not domains.add(url, size)
