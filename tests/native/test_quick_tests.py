"""The quick tests for personal data and declarations say what the regular expressions of tests/reference say."""

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from filters.pii.personal_data import PHONE_REGIONS
from filters.pii.phone_evidence import may_be_proven, phones
from filters.pii.phone_numbers import PhoneFinder, own_span
from native import kernels
from tests.reference.personal_hints import clusters_of, kinds_of
from tests.reference.rights_tags import may_license, may_opt_out

NAMES = (b"robots", b"tdm-", b"gptbot")
DIGITS = [*"0123456789", "12", "345", "2020", "4111", "555", "٣", "１"]
MARKS = [
    *" .-:/,()+[]xX#~\t\n\u00a0\u2013\ud800é",
    "...",
    "ext. ",
    "AB12",
    "bc1",
    "::",
    "abc",
    " tel ",
    " phone: ",
    "int",
]
PIECES = st.sampled_from([*DIGITS, *MARKS, "1" * 25, "q" * 9, " word word word "])
FINDER = PhoneFinder(PHONE_REGIONS, 7)

TAGS = [
    "<", ">", "<meta ", "<META ", "name", "property", "http-equiv", "=", " = ", '"', "'", "robots", "GPTBot", "tdm-",
    "noai", "NoIndex", "none", "&#", "&#114;", "rel", "itemprop", "license", "License", "icense", '"license"',
    "creativecommons.org/", " ", "\t\v", ":", "x" * 30, "y" * 61, "licenses/by", "</meta", "a",
]  # fmt: skip


@settings(max_examples=1_000)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_hints_are_those_of_the_patterns(text):
    assert kernels.personal_hints(text) == (clusters_of(text), kinds_of(text))


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_phone_numbers_in_clusters_are_those_of_the_whole_text(text):
    clusters, _ = kernels.personal_hints(text)
    valid, unsearched = FINDER.find(text)
    assert FINDER.find(text, clusters=clusters) == (valid, unsearched)
    whole = [(0, len(text), len(text))]
    assert phones(text, valid, FINDER.is_grouped, clusters) == phones(text, valid, FINDER.is_grouped, whole)


WORDS = st.sampled_from([
    "tel", "Phone: ", "Phone2 ", "24telefon: ", "fax", "ISBN ", "电话", "mobile", "office: ", "call us ", " ext. 12",
    "+", "+49 30 123456", "(212) 555-0143", "020 7946 0018", "40750383", "2012-01-07", "1975–1976", "(2009156",
])  # fmt: skip


@settings(max_examples=1_000)
@given(st.lists(PIECES | WORDS, max_size=20).map("".join))
def test_skipped_candidates_have_no_proof(text):
    clusters, _ = kernels.personal_hints(text)

    def proven(may_count):
        valid, unsearched = FINDER.find(text, clusters=clusters, may_count=may_count)
        return phones(text, [own_span(text, *span) for span in valid], FINDER.is_grouped, clusters), unsearched

    assert proven(may_be_proven) == proven(None)


@pytest.mark.parametrize("most", [1, 5, 50])
def test_a_search_that_may_have_stopped_is_done_again_with_all_candidates(most):
    text = "; ".join(f"{number * 7919}" for number in range(1_000, 1_020))
    clusters, _ = kernels.personal_hints(text)
    plain = FINDER.find(text, most, clusters)
    assert plain[1] > 0 or most > 20
    assert FINDER.find(text, most, clusters, lambda *_: False) == plain


@settings(max_examples=2_000)
@given(st.lists(st.sampled_from(TAGS), max_size=20).map("".join))
def test_declarations_are_found_as_by_the_patterns(markup):
    page = markup.encode()
    assert kernels.may_opt_out(page, NAMES) == may_opt_out(page, NAMES)
    assert kernels.may_license(page) == may_license(page)


def test_real_pages_give_the_same(shared_data):
    table = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["text"])
    for text in filter(None, table["text"].to_pylist()[::10]):
        clusters, kinds = kernels.personal_hints(text)
        assert (clusters, kinds) == (clusters_of(text), kinds_of(text))
        assert FINDER.find(text, clusters=clusters) == FINDER.find(text)
    spoke = 0
    for record in list(read_warc(shared_data / "warc" / "mixed-00000.warc.gz"))[::10]:
        if isinstance(record, Record):
            page = record.block
            spoke += kernels.may_opt_out(page, NAMES)
            assert kernels.may_opt_out(page, NAMES) == may_opt_out(page, NAMES)
            assert kernels.may_license(page) == may_license(page)
    assert spoke
