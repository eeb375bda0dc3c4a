"""A collective stage of one's own: pages whose address differs only in its query, or in a leading `www.`.

    corpus build crawl.warc.gz -o out --allow-module examples/url_variants.py --recipe examples/url_variants.toml

A collective stage says what it signs of a document, which of two documents it prefers, and what its measures are
called. The comparison, the ledger, `explain`, `tune` and the report are the same as for MinHash.
"""

import hashlib
from typing import ClassVar

from corpus import Document, Limit
from corpus.dedup.contract import DocumentComparison, Signed
from corpus.url_identity import split_url, url_key


class UrlVariants(DocumentComparison):
    """Pages at variants of one address, of which the one with the shortest address stays."""

    name = "url_variants"
    source = "our own"
    kind = "url_keys"

    same_address = Limit(below=1.0, share=True)
    """1 where the two addresses are variants of one."""
    variants = Limit(of=int)
    """Pages for which the kept one stands, itself included."""

    evidence: ClassVar[dict[str, str]] = {"same_address": "similarity", "variants": "cluster_size"}

    def sign(self, doc: Document) -> Signed:
        site = split_url(doc.url)[0].removeprefix("www.")
        address = url_key(doc.url).removeprefix("www.").partition("?")[0].rstrip("/")
        key = hashlib.blake2b(address.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return Signed(key, preference=len(doc.url), site=site)
