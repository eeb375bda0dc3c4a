import gc
import gzip
import re
import weakref

import pyarrow.parquet as pq
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import ConfigError
from corpus.text import words
from corpus.text.punctuation import PUNCTUATION, PUNCTUATION_SET, TERMINAL_PUNCTUATION
from corpus.text.shingles import shingles_of
from corpus.text.vocabulary import Words, new_table
from corpus.text.words import SEGMENTED, check_language, check_segmenter, split_words, stretches_of
from tests.growth import assert_linear
from tests.reference.sentences import count_sentences

TEXTS = [
    "Mr. O'Neill can't say whether the U.S. pays $3.50/kg (see http://a.example/b?c=1), does he?",
    "dont gonna Im cannot; ''They said'' it's 5km \u2014 \u201cquite far\u201d\u2026 e.g. 10:30a.m.\u00a0on 1/2/2020",
    "line one\n\n  line\ttwo \r\n :-) <3 \U0001f600\U0001f600 foo.bar@baz.example #tag C++ a/b IS_ALPHA ORTH",
    "Größe naïve Привет мир שלום עולם 日本語テキスト。",
]

MARKS = "a'.,!?…-_()/\\:;@#$%\"“”"


COMMON = re.compile(
    r"""[("“‘\[*$]{0,2}"""
    r"""(?:[A-Za-z]+(?:[-–—][A-Za-z]+){0,3}(?:['’]s)?|[0-9]+(?:[.,:/–-][0-9]+){0,2}(?:-[A-Za-z]+)?)"""
    r"""[.,;:!?)"”…\]*%]{0,4}"""
)


@pytest.fixture(scope="module")
def english():
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    return nlp


def spacy_words(nlp, text):
    return [stripped for token in nlp.tokenizer(text) if (stripped := token.text.strip())]


def spacy_sentences(nlp, text):
    return sum(1 for _ in nlp(text).sents)


@pytest.mark.parametrize("text", TEXTS)
def test_words_are_spacys(english, text):
    assert split_words(text) == spacy_words(english, text)


@pytest.mark.parametrize("step", [pytest.param(80, marks=pytest.mark.slow), 240])
def test_words_and_sentences_are_spacys_on_real_pages(english, shared_data, step):
    texts = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["text"])["text"].to_pylist()
    for text in filter(None, texts[::step]):
        assert split_words(text) == spacy_words(english, text)
        for line in text.splitlines()[:20]:
            assert count_sentences(line) == spacy_sentences(english, line)


@pytest.mark.parametrize("language", ["de", "es", "ru", "ar", "xx"])
def test_words_are_spacys_in_other_languages(shared_data, language):
    with gzip.open(shared_data / "langid" / "sentences.tsv.gz", "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    nlp = spacy.blank(language)
    sentences = [sentence for code, sentence in rows if code in (language, "pl")][:100]
    assert sentences
    for sentence in sentences:
        assert split_words(sentence, language) == spacy_words(nlp, sentence)


@settings(max_examples=300)
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(MARKS), max_size=30))
def test_a_stretch_gives_the_tokens_of_spacy(english, text):
    for stretch in text.split():
        assert split_words(stretch) == spacy_words(english, stretch)


PARTS = [
    *"abzABZ019.,:;!?()[]{}<>_#*&'\"`%=-+|$/\\@^~“”‘’…–—£€°®²³µéÉ½×§¿·«•\ufffd",
    "……", "——", "km", "kg", "mbar", "m/s", "km/h", "US$", "C$", "A$", "..", "...", "--", "---", "://", "http", "www.",
    ".com", "'S", "’s", "ll", "don't", "I'm", ":)", ":-(", ":(", "a.m.", "Mr.", "10", "192.168", "172.16", "223",
    ".1.1", "256", ":80", ":123456", "/x", "?q", "_-",
]  # fmt: skip


@settings(max_examples=2_000)
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=9).map("".join))
def test_the_kernels_rules_for_english_give_the_tokens_of_spacy(english, stretch):
    tokens = new_table(words._table_for("en")._splitter.rules).look_up(stretch)
    assert tokens is None or tokens == spacy_words(english, stretch)


@settings(max_examples=300)
@given(st.from_regex(COMMON, fullmatch=True))
def test_common_stretches_have_the_tokens_of_spacy(english, stretch):
    assert stretches_of(stretch).words.strings == split_words(stretch) == spacy_words(english, stretch)


def test_the_kernels_rules_split_nearly_all_stretches_of_pages(english, shared_data):
    texts = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["text"])["text"].to_pylist()
    table = new_table(words._table_for("en")._splitter.rules)
    stretches = sorted({stretch for text in filter(None, texts[::40]) for stretch in text.split()})
    tokens = {stretch: table.look_up(stretch) for stretch in stretches}
    for stretch in stretches[::3]:
        assert tokens[stretch] is None or tokens[stretch] == spacy_words(english, stretch)
    assert sum(one is None for one in tokens.values()) < 0.1 * len(stretches)


def test_the_kernels_rules_are_those_of_the_installed_spacy(english):
    """If spaCy has changed its rules, change english_rules.cpp, write what `english_cases` returns to
    english_cases.txt, and set the constants."""
    assert spacy.__version__ == words.ENGLISH_SPACY
    assert words.english_cases(english.tokenizer) == words._english_cases()
    assert words.english_digest(english.tokenizer) == words.ENGLISH_RULES


def test_rules_of_another_spacy_are_not_used(monkeypatch, english):
    monkeypatch.setattr(words, "ENGLISH_SPACY", "3.0")
    assert words._english_rules() is not None  # the rules of another version may be the same
    monkeypatch.setattr(words, "ENGLISH_RULES", "0" * 64)
    monkeypatch.setattr(words, "_tables", {})
    assert split_words(TEXTS[0]) == spacy_words(english, TEXTS[0])
    assert stretches_of(TEXTS[0]).words.strings == spacy_words(english, TEXTS[0])
    assert words._table_for("en")._splitter.rules is None


def test_the_rules_respect_every_special_case(english):
    for rule in english.tokenizer.rules:
        if len(rule.split()) == 1 and rule == rule.strip():
            for around in (
                "{}",
                "{},",
                "{}.",
                "{}?",
                "({})",
                "“{}”",
                "{}'s",
                "Anti-{}",
                "{}-like.",
                '"{}..."',
                "*{}*:)",
            ):
                for stretch in (around.format(rule.rstrip(".")), around.format(rule)):
                    assert stretches_of(stretch).words.strings == spacy_words(english, stretch)


@given(st.text(st.characters() | st.sampled_from(MARKS + " \n")))
def test_any_text_can_be_split_and_loses_only_whitespace(text):
    found = split_words(text)
    assert "".join(found) == words._SURROGATE.sub("\ufffd", "".join(text.split()))
    assert all(word and not any(map(str.isspace, word)) for word in found)
    count_sentences(text)


def test_nothing_gives_no_words():
    assert split_words("") == split_words(" \n\t\u00a0\x1c ") == []


@pytest.mark.parametrize("unit", ["x", "()", "'s", "😀", "\x00", "שלום", ":-)", "http://a/", "\ud800"])
def test_a_line_of_a_megabyte_takes_no_quadratic_time(unit):
    found = assert_linear(lambda size: unit * (size // len(unit)), split_words, 1_000_000)
    assert max(map(len, found)) <= words.MAX_STRETCH


@pytest.mark.parametrize("symbols", ["()[]:;'\"😀“”?!", ["'s", "’s", "'S"], ["US$", "(", "C$"]])
def test_symbols_of_no_pattern_take_no_quadratic_time(symbols):
    def made(size):
        return "".join(symbols[(i * i + i // 7) % len(symbols)] for i in range(size))

    assert_linear(made, split_words, 30_000)


def test_long_stretches_are_cut_after_a_thousand_characters_or_64_affixes():
    assert [len(word) for word in split_words("x" * 2_500)] == [1_000, 1_000, 500]
    assert [len(word) for word in split_words("-" * 200)] == [200]
    assert [len(word) for word in split_words("-" * 201)] == [64, 64, 64, 9]
    assert [len(word) for word in split_words("'s" * 101)] == [2] * 101


def test_lone_surrogates_become_replacement_characters():
    assert split_words("a \ud800b, \udfff") == ["a", "\ufffd", "b", ",", "\ufffd"]


def remembered(text):
    return stretches_of(text).words.strings


def test_a_full_table_is_replaced_and_gives_the_same(monkeypatch):
    monkeypatch.setattr(words, "TABLE_LIMIT", 50)
    monkeypatch.setattr(words, "_tables", {})
    text = " ".join(f"word{i}, dont({i})" for i in range(20))
    first = remembered(text)
    table = words._table_for("en")
    more = remembered(" ".join(f"more{i}" for i in range(40)))
    assert more == [f"more{i}" for i in range(40)]
    assert split_words(text) == first == remembered(text)
    new = words._table_for("en")
    assert new is not table
    assert len(new.kernel) == 40
    assert new._splitter is table._splitter
    monkeypatch.setattr(words, "STORE_LIMIT", 0)
    remembered(" ".join([*(f"last{i}" for i in range(40)), "北京"]))  # spaCy is loaded
    assert words._table_for("en")._splitter is not new._splitter  # its string store only grows


def test_a_table_is_bounded_in_bytes_too(monkeypatch):
    monkeypatch.setattr(words, "TABLE_BYTES", 500)
    monkeypatch.setattr(words, "_tables", {})
    for start in range(0, 100, 5):
        text = " ".join(f"word{i}" * 10 for i in range(start, start + 5))
        assert remembered(text) == text.split()
        assert words._tables["en"].kernel.stored_bytes < 1_000
    before = words._tables["en"].kernel.stored_bytes
    assert remembered("x" * 400 + " " + "y" * 400) == ["x" * 400, "y" * 400]
    assert words._tables["en"].kernel.stored_bytes == before


def test_a_text_of_more_stretches_than_a_table_holds_leaves_no_trace(monkeypatch):
    monkeypatch.setattr(words, "TABLE_LIMIT", 50)
    monkeypatch.setattr(words, "_tables", {})
    text = " ".join(f"(word{i})" for i in range(60))
    assert (
        stretches_of(text).words.strings == split_words(text) == [t for i in range(60) for t in ("(", f"word{i}", ")")]
    )
    assert not words._tables


@pytest.mark.parametrize("language", [*sorted(SEGMENTED), "zho", "jpn", "zh_Hant"])
def test_languages_without_spaces_are_refused_without_icu(language, monkeypatch):
    monkeypatch.setattr(words, "SEGMENTER", "no-such-package")
    with pytest.raises(ConfigError, match="ICU is not installed") as error:
        check_language(language)
    assert "corpus[languages]" in error.value.todo
    assert check_segmenter(["de", "ko"]) == {}
    with pytest.raises(ConfigError, match="zh"):
        check_segmenter(None)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh", "我们 今天 去 北京 大学 。 Hello ! 12.5"),
        ("yue", "我们 今天"),
        ("ja", "東京 に 住 んで いる 。"),
        ("th", "ฉัน กำลัง เรียน ภาษา ไทย"),
        ("lo", "ຂ້ອຍ ກຳລັງ ຮຽນ ພາສາ ລາວ"),
        ("km", "ខ្ញុំ កំពុង រៀន"),
        ("my", "မြန်မာ စာ"),
        ("zh", "😀 北京 😀"),
    ],
)
def test_words_without_spaces_are_found_by_icu(language, words):
    pytest.importorskip("icu4py")
    text = words.replace(" ", "")
    assert split_words(text, language) == words.split()
    assert stretches_of(text, language).words.strings == words.split()


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.sampled_from(["zh", "th", "bo"]))
def test_words_found_by_icu_are_the_stretch(text, language):
    pytest.importorskip("icu4py")
    words = split_words(text, language)
    assert "".join(words) == "".join(text.split())
    assert all(words)


@pytest.mark.parametrize("language", ["ko", "vi", "kor", "vie"])
def test_languages_with_spaces_need_no_package(language):
    assert split_words("나는 학교에 간다. Việt Nam!", language) == ["나는", "학교에", "간다", ".", "Việt", "Nam", "!"]


def test_an_empty_table_is_used_again(monkeypatch):
    monkeypatch.setattr(words, "_tables", {})
    assert words._table_for("de") is words._table_for("de")


def test_the_tables_of_many_languages_are_bounded_together(monkeypatch):
    monkeypatch.setattr(words, "TABLES_LIMIT", 50)
    monkeypatch.setattr(words, "_tables", {})
    for language in ("de", "fr", "es", "de", "it"):
        stretches_of(" ".join(f"{language}{number}" for number in range(20)), language)
    assert list(words._tables) == ["es", "de", "it"]


def test_an_unknown_language_is_split_by_the_common_rules():
    text = "Ang kalibotan, usa ka butang (1.5)."
    assert split_words(text, "ceb") == spacy_words(spacy.blank("xx"), text)
    assert split_words("bl.a. dette", "no") == spacy_words(spacy.blank("nb"), "bl.a. dette")


def test_content_words_have_a_character_that_is_no_punctuation():
    words = Words.of(["the", ".", "...", "a.", "•", "$", "--", "€", "1", "１", "\x00", "。"])
    assert [word for word, content in zip(words.strings, words.content, strict=True) if content] == [
        "the", "a.", "•", "€", "1",
    ]  # fmt: skip


def test_the_punctuation_sets_have_the_sizes_of_their_source():
    assert (len(PUNCTUATION), len(TERMINAL_PUNCTUATION), len(PUNCTUATION_SET)) == (129, 159, 281)
    assert not PUNCTUATION & set("\t\n •")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        (" ", 1),
        ("no end", 1),
        ("One. Two! Three?", 3),
        ('He said "Stop." Then he left.', 2),
        ("Dr. Smith paid 3.50.", 1),
        ("Wait... what?! Yes.", 2),
        ("One.\nTwo.", 2),
        ("One.  ", 2),  # the second space is a sentence to spaCy
        ("One. ", 1),
    ],
)
def test_sentences_are_counted_as_spacy_does(english, text, count):
    assert spacy_sentences(english, text) == count
    assert count_sentences(text) == count


PIECES = ["A", "b", ".", "!", "?", "...", '"', ")", "(", " ", "  ", "\n", "\t", "。", "1.5", "Mr.", "-", "€", "x.y"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_sentences_of_any_text_are_counted_as_spacy_does(english, text):
    assert count_sentences(text) == spacy_sentences(english, text)


def test_a_table_of_words_that_was_replaced_twice_is_gone(monkeypatch):
    """A table and its tokenizer refer to each other, and page workers rarely search for such cycles."""
    monkeypatch.setattr(words, "TABLE_LIMIT", 3)
    monkeypatch.setattr(words, "_tables", {})
    texts = iter(" ".join(f"word{number}{letter}" for letter in "abc") for number in range(100))
    stretches = stretches_of(next(texts), "en")
    shingles_of(stretches)  # what is derived from a table refers to it
    first = weakref.ref(stretches.table)
    del stretches
    gc.disable()
    try:
        for _ in range(3):
            stretches_of(next(texts), "en")
        assert first() is None
    finally:
        gc.enable()
