import io
import json
import os
import re
from collections import Counter, defaultdict
from functools import cache
from hashlib import sha256
from itertools import combinations
from urllib.parse import urlsplit

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from warcio.archiveiterator import ArchiveIterator

from corpus.errors import ConfigError, OutputError
from corpus.pipeline import Pipeline
from corpus.warc.reader import read_warc
from corpus.warc.record import Damage
from filters.c4 import C4
from filters.extract import Extract
from filters.fineweb import FineWebQuality
from filters.gopher import GopherQuality, GopherRepetition
from filters.language import Language
from filters.url import Url
from jobs.sample.crawl import expected_outcomes, write_sample
from jobs.sample.response_cases import SECRETS

RULES = {
    "url.domain", "url.hard_words", "url.soft_words", "url.subwords",
    "extract.http_status", "extract.media_type", "extract.body_bytes", "extract.tags", "extract.attributes",
    "extract.depth", "extract.chars", "language.label", "language.score",
    "gopher_repetition.dup_line_frac", "gopher_repetition.dup_line_char_frac", "gopher_repetition.top_2_gram",
    "gopher_repetition.top_3_gram", "gopher_repetition.top_4_gram", "gopher_repetition.dup_5_gram",
    "gopher_repetition.dup_10_gram", "gopher_quality.words", "gopher_quality.mean_word_length",
    "gopher_quality.hash_ratio", "gopher_quality.ellipsis_ratio", "gopher_quality.bullet_line_ratio",
    "gopher_quality.ellipsis_line_ratio", "gopher_quality.alpha_ratio", "gopher_quality.stop_words",
    "c4.lorem_ipsum", "c4.curly_bracket", "c4.sentences", "fineweb.line_punct_ratio", "fineweb.short_line_ratio",
    "fineweb.char_dup_ratio", "fineweb.newline_ratio",
}  # fmt: skip


plan = cache(expected_outcomes)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "sample.warc.gz"
    return path, write_sample(path)


@pytest.fixture(scope="module")
def outcomes(sample):
    """The outcomes of the records of each URL, by the stages that judge pages one by one."""
    stages = [
        Url(), Extract(engine="trafilatura"), Language(), GopherRepetition(), GopherQuality(),
        C4(terminal_punctuation=False), FineWebQuality(),
    ]  # fmt: skip
    found = defaultdict(list)
    for outcome in Pipeline.of(stages).run(read_warc(sample[0])):
        found[outcome.doc.url].append(outcome)
    return found


def test_same_arguments_give_the_same_bytes(sample, tmp_path):
    again = tmp_path / "sample.warc.gz"
    assert write_sample(again) == sample[1]
    assert sha256(again.read_bytes()).digest() == sha256(sample[0].read_bytes()).digest()


def test_another_seed_gives_other_pages(tmp_path):
    first, second = tmp_path / "1.warc.gz", tmp_path / "2.warc.gz"
    write_sample(first, pages=40, seed=1)
    write_sample(second, pages=40, seed=2)
    assert first.read_bytes() != second.read_bytes()
    urls = [{e.url for e in plan(40, seed)} for seed in (1, 2)]
    assert len(urls[0] & urls[1]) == 3  # the stored archive, the DNS answer, and "" for the junk


def test_size_and_summary(sample):
    path, summary = sample
    assert summary.bytes == path.stat().st_size < 3_000_000
    assert summary.pages == 400
    assert summary.records["response"] == summary.records["request"] + 2  # DNS, and the truncated last one
    assert summary.intents == Counter(e.intent.partition(":")[0] for e in plan())


def test_no_time_is_written(sample):
    starts = [m.start() for m in re.finditer(rb"\x1f\x8b\x08", sample[0].read_bytes())]
    times = Counter(sample[0].read_bytes()[start + 4 : start + 8] for start in starts)
    assert times[b"\0\0\0\0"] > 1200
    assert len(times) < 5  # the others are compressed bytes that look like a header


@pytest.mark.parametrize("pages", [20, 50, 137])
def test_any_number_of_pages(tmp_path, pages):
    summary = write_sample(tmp_path / "s.warc.gz", pages)
    assert summary.records["response"] == pages + 7
    assert len(plan(pages)) == pages + 8  # one row for the junk, none for the revisit and the resource


def test_every_rule_drops_several_pages():
    intents = Counter(e.intent.partition(":")[0] for e in plan())
    assert set(intents) == RULES | {"kept", "duplicate_of", "damaged", "skipped"}
    assert min(intents[rule] for rule in RULES) >= 2
    assert intents["kept"] > 100 and intents["language.label"] > 80 and intents["duplicate_of"] > 8


def test_special_pages_of_every_kind():
    notes = Counter(note.partition(":")[0] for e in plan() for note in e.notes)
    assert set(notes) >= {
        "c4",
        "charset",
        "damage",
        "duplicate",
        "encoding",
        "hostile",
        "markup",
        "media",
        "pii",
        "url",
    }
    languages = Counter(e.language for e in plan())
    assert set(languages) == {"en", "de", "fr", "es", "it", "pt", "ru", "ja", "zh"}


def test_every_page_meets_its_fate(outcomes):
    wrong = []
    for expected in plan():
        if expected.intent == "damaged":
            continue
        wanted = "kept" if expected.intent.startswith("duplicate_of:") else expected.intent
        (outcome,) = outcomes[expected.url]
        if (f"{outcome.stage}.{outcome.rule}" if outcome.outcome == "dropped" else outcome.outcome) != wanted:
            wrong.append((expected.url, wanted, outcome.reason))
    assert not wrong


def test_texts_hold_what_they_should(outcomes):
    checked = 0
    for expected in plan():
        for outcome in outcomes[expected.url]:
            if outcome.kept and not any(note.startswith("c4:") for note in expected.notes):
                checked += 1
                assert all(part in outcome.text for part in expected.contains), expected
                assert not any(part in outcome.text for part in expected.absent), expected
    assert checked > 100


def test_c4_takes_out_what_it_should(outcomes):
    measures = Counter()
    for expected in plan():
        for note in expected.notes:
            if note.startswith("c4:"):
                (outcome,) = outcomes[expected.url]
                measures[note] += outcome.measures[note.replace(":", ".")]
    assert all(
        measures[f"c4:{rule}"] >= 2 for rule in ("line_javascript", "line_policy", "citations", "line_long_word")
    )


def test_damage_is_found_and_names_its_pages(sample):
    damage = [item for item in read_warc(sample[0]) if isinstance(item, Damage)]
    assert sorted(item.kind for item in damage) == ["gzip", "gzip", "header", "truncated"]
    damaged = [e for e in plan() if e.intent == "damaged"]
    assert [item.url for item in damage] == [e.url for e in damaged]
    assert damage[-1].offset + damage[-1].length == sample[1].bytes


def test_other_readers_agree_up_to_the_first_damage(sample):
    ours = []
    for item in read_warc(sample[0]):
        if isinstance(item, Damage):
            break
        ours.append((item.kind, item.url))
    whole = sample[0].read_bytes()[: item.offset]
    headers = [record.rec_headers for record in ArchiveIterator(io.BytesIO(whole))]
    assert [(h["WARC-Type"], h["WARC-Target-URI"] or "") for h in headers] == ours
    fast = [record.headers for record in FastIterator(io.BytesIO(whole), parse_http=False)]
    assert [(h["WARC-Type"], h.get("WARC-Target-URI", "")) for h in fast] == ours
    assert len(ours) > 100


def test_digests_are_right(sample):
    start = io.BytesIO(sample[0].read_bytes()[:300_000])
    for checked, record in enumerate(ArchiveIterator(start, check_digests="raise"), 1):
        record.content_stream().read()
        if checked == 60:
            return
    pytest.fail("less than 60 records")


def test_hosts_are_reserved_names():
    for expected in plan():
        host = urlsplit(expected.url).hostname or ""
        assert re.fullmatch(r"|.*\.(example|test)|.*\bexample\.(com|net|org)", host), expected.url
    assert len({e.url for e in plan()}) == len(plan())


def shingles(text):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def test_only_duplicates_are_alike(outcomes):
    texts = {
        e: shingles(outcomes[e.url][0].text)
        for e in plan()
        if e.intent == "kept" or e.intent.startswith("duplicate_of:")
    }
    clusters = Counter()
    for (a, words), (b, others) in combinations(texts.items(), 2):
        alike = len(words & others) / len(words | others)
        same = (a.intent.partition(":")[2] or a.url) == (b.intent.partition(":")[2] or b.url)
        assert alike > 0.75 if same else alike < 0.5, (a.url, b.url, alike)
        clusters[same] += 1
    assert clusters[True] > 8


def test_secrets_have_valid_checksums():
    for card in SECRETS["card"]:
        digits = [int(c) for c in card if c.isdigit()][::-1]
        assert (sum(digits[::2]) + sum(sum(divmod(2 * d, 10)) for d in digits[1::2])) % 10 == 0
    for iban in SECRETS["iban"]:
        turned = iban.replace(" ", "")[4:] + iban[:4]
        assert int("".join(str(int(c, 36)) for c in turned)) % 97 == 1
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    address = SECRETS["btc"][0]
    number = 0
    for c in address:
        number = 58 * number + alphabet.index(c)
    raw = number.to_bytes(25, "big")
    assert sha256(sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def test_secrets_are_in_the_pages(outcomes):
    kinds = set()
    for expected in plan():
        for note in expected.notes:
            if note.startswith("pii:"):
                kinds.add(note)
                assert all(secret in outcomes[expected.url][0].text for secret in expected.secrets)
    assert len(kinds) == len(SECRETS)


def test_expectations_as_json_lines(tmp_path):
    write_sample(tmp_path / "s.warc.gz", 20, expected=tmp_path / "expected.jsonl")
    lines = (tmp_path / "expected.jsonl").read_text().splitlines()
    assert [json.loads(line)["url"] for line in lines] == [e.url for e in plan(20)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["expected.jsonl", "s.warc.gz"]


def test_errors(tmp_path):
    with pytest.raises(OutputError, match="can't be written"):
        write_sample(tmp_path / "no" / "s.warc.gz", 20)
    with pytest.raises(ConfigError, match="too small"):
        write_sample(tmp_path / "s.warc.gz", 5)
    assert not list(tmp_path.iterdir())


def test_nothing_but_a_file_is_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="is not a file"):
        write_sample(tmp_path / "pipe", pages=50)
    assert not (tmp_path / "pipe").is_file()
