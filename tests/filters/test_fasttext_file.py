"""The kernel for models of fastText gives what fastText gives, to the last bit, and opens no damaged file."""

import random
import struct
from pathlib import Path

import fasttext
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import ConfigError
from filters.classifier.model import MODELS
from filters.fasttext_file import LABEL, FastText, open_fasttext
from filters.language.identification import BUNDLED
from native import kernels
from tests.growth import assert_linear

TRAINED = {
    "softmax": {},
    "tree": {"loss": "hs", "minn": 2, "maxn": 4, "bucket": 5_000},
    "one versus all": {"loss": "ova", "wordNgrams": 3, "bucket": 1_000},
    "negative sampling": {"loss": "ns", "neg": 2},
    "single characters": {"loss": "hs", "minn": 1, "maxn": 3, "bucket": 999, "wordNgrams": 2, "dim": 7},
    "quantized": {"loss": "hs", "minn": 3, "maxn": 5, "bucket": 3_000, "quantize": {"cutoff": 700, "qnorm": True}},
    "all quantized": {"wordNgrams": 2, "bucket": 900, "labels": 300, "quantize": {"qout": True, "dsub": 3}},
}


def trained(folder: Path, labels=5, quantize=None, dim=20, **options) -> Path:
    """Train a model on lines of made words, each with a label that tells its letters."""
    chance = random.Random(1)
    lines = folder / "lines.txt"
    with lines.open("w") as file:
        for number in range(3_000):
            letters = "abcdeäöщ中語"[number % 7 : number % 7 + 4]
            words = ("".join(chance.choices(letters, k=chance.randint(1, 4))) for _ in range(6))
            file.write(f"{LABEL}{number % labels} {' '.join(words)}\n")
    model = fasttext.train_supervised(str(lines), epoch=3, thread=1, verbose=0, lr=0.5, dim=dim, **options)
    if quantize:
        model.quantize(str(lines), thread=1, verbose=0, **quantize)
    path = folder / "model"
    model.save_model(str(path))
    return path


def made(folder: Path) -> Path:
    """Write a quantized model of random numbers, which is so large that its rows are decoded where they are used."""
    rng = np.random.default_rng(1)
    buckets, dim, width, labels = 70_000, 64, 3, 9
    parts = -(-dim // width)
    entries = [(b"</s>", 0), (b"the", 0), *((f"{LABEL}{number}".encode(), 1) for number in range(labels))]
    rows = buckets + len(entries) - labels
    data = struct.pack("<2i12id", 793712314, 12, dim, 5, 1, 1, 5, 2, 1, 3, buckets, 2, 4, 100, 1e-4)
    data += struct.pack("<3i2q", len(entries), len(entries) - labels, labels, 99, -1)
    data += b"".join(
        name + b"\0" + struct.pack("<qb", 99 - number, kind) for number, (name, kind) in enumerate(entries)
    )
    data += struct.pack("<??2qi", True, True, rows, dim, rows * parts) + rng.bytes(rows * parts)
    data += struct.pack("<4i", dim, parts, width, dim - width * (parts - 1))
    data += rng.normal(size=256 * dim).astype("<f4").tobytes() + rng.bytes(rows)
    data += struct.pack("<4i", 1, 1, 1, 1) + rng.random(256).astype("<f4").tobytes()
    data += struct.pack("<?2q", False, labels, dim) + rng.normal(size=labels * dim).astype("<f4").tobytes()
    path = folder / "model"
    path.write_bytes(data)
    return path


class Both:
    """A model as the kernel and as fastText open it."""

    def __init__(self, path: Path) -> None:
        self.path, self.own = path, FastText(path)
        self._predict = fasttext.load_model(str(path)).f.predict
        self._numbers = range(len(self.own.labels))

    def agree(self, text: str) -> None:
        label, probability, chances = self.own.predict(text, self._numbers)
        line = text.replace("\n", " ").encode("utf-8", "replace").decode() + "\n"
        best = [(name, chance) for chance, name in self._predict(line, 1, 0.0, "strict")]
        assert [(f"{LABEL}{label}", probability)] * (label is not None) == best
        all_of_them = {name: chance for chance, name in self._predict(line, -1, 0.0, "strict")}
        assert chances == [all_of_them.get(f"{LABEL}{name}", 0.0) for name in self.own.labels]


SHIPPED = {"lid.176": BUNDLED, "page_type": MODELS / "page_type" / "model.bin"}


@pytest.fixture(scope="module", params=[*SHIPPED, *TRAINED, "made"])
def both(request, tmp_path_factory):
    if request.param in SHIPPED:
        return Both(SHIPPED[request.param])
    folder = tmp_path_factory.mktemp("model")
    return Both(made(folder) if request.param == "made" else trained(folder, **TRAINED[request.param]))


WORDS = st.sampled_from(
    ["the", "der", "и", "ab", "中", "</s>", f"{LABEL}en", f"{LABEL}1", LABEL, "<", ">", "\u00a0", "\x85", "e\u0301"]
)


@settings(max_examples=60)
@given(st.lists(st.text(st.characters()) | st.text("abcdeäöщ中語\n\t\0", max_size=9) | WORDS).map(" ".join))
def test_any_text_gives_the_same_bits(both, text):
    both.agree(text)


@pytest.mark.parametrize(
    "text", ["", " ", "\0", "\n", "\ud800", "ß" * 70_000, "wort " * 30_000, "語" * 30_000 + " " + "a b " * 40_000]
)
def test_odd_and_long_texts_give_the_same_bits(both, text):
    both.agree(text)


@pytest.mark.parametrize("junk", ["a", "語", "a b ", "</s", f"{LABEL}a ", "\0"])
def test_time_grows_with_the_text(junk):
    model = FastText(BUNDLED)
    assert_linear(lambda size: junk * (size // len(junk)), model.predict, 300_000)


@pytest.mark.parametrize("name", SHIPPED)
def test_real_pages_in_all_languages_give_the_same_bits(name, shared_data):
    both = Both(SHIPPED[name])
    texts = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["text"])["text"].to_pylist()
    for text in filter(None, texts[::4]):
        both.agree(text)


def opened(data: bytes) -> kernels.FastText | None:
    try:
        model = kernels.FastText(data)
        model.labels()
    except UnicodeDecodeError:
        return None
    except ValueError as error:
        assert str(error) in ("it is damaged", "it is not a classifier")
        return None
    return model


def test_a_file_that_ends_too_soon_or_too_late_is_damaged(both):
    data = both.path.read_bytes()
    for size in (*range(0, 200, 3), *range(200, len(data), len(data) // 50)):
        assert opened(data[:size]) is None
    assert opened(data + b"\0") is None


@settings(max_examples=60)
@given(st.data())
def test_no_damage_crashes_it(both, data):
    model = bytearray(both.path.read_bytes())
    places = st.integers(0, 200) | st.integers(0, len(model) - 8)
    numbers = st.sampled_from([-(1 << 63), -1, 0, 1, 2, 255, 1 << 31, (1 << 63) - 1]) | st.integers(-9, 1 << 33)
    for place, size in data.draw(st.lists(st.tuples(places, st.sampled_from("bihq")), min_size=1, max_size=3)):
        width = struct.calcsize(size)
        model[place : place + width] = (data.draw(numbers) % (1 << 8 * width)).to_bytes(width, "little")
    model = opened(bytes(model))
    if model is not None:
        numbers = range(min(3, len(model.labels())))
        _, _, others = model.predict("the ab щ中 </s> a".encode(), numbers)
        assert len(others) == len(numbers)


def header(**changes) -> bytes:
    """The beginning of a small model: one word, one label, two columns, no n-grams."""
    facts = {
        "version": 12, "dim": 2, "ngrams": 1, "loss": 3, "model": 3, "bucket": 0, "minn": 0, "maxn": 0, "size": 2,
        "words": 1, "labels": 1, "pruned": -1, "count": 1, "kind": 1, "rows": 1,
    } | changes  # fmt: skip
    order = ("dim", 0, 0, 0, 0, "ngrams", "loss", "model", "bucket", "minn", "maxn", 0)
    data = struct.pack("<2i", 793712314, facts["version"])
    data += struct.pack("<12id", *(facts.get(name, 0) for name in order), 0.0)
    data += struct.pack("<3i2q", facts["size"], facts["words"], facts["labels"], 0, facts["pruned"])
    data += b"word\0" + struct.pack("<qb", 1, 0) + b"__label__a\0" + struct.pack("<qb", facts["count"], facts["kind"])
    data += struct.pack("<?2q2f", False, facts["rows"], 2, 1.0, 2.0)
    return data + struct.pack("<?2q2f", False, 1, 2, 1.0, 2.0)


def test_a_small_model_is_read():
    model = kernels.FastText(header())
    assert model.labels() == ["__label__a"]
    assert model.predict(b"word", [0]) == (0, pytest.approx(1, abs=1e-4), [pytest.approx(1, abs=1e-4)])
    assert model.predict(b"other", [0]) == (-1, 0, [0])
    with pytest.raises(IndexError):
        model.predict(b"word", [1])


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 13}, {"dim": 0}, {"dim": -2}, {"loss": 0}, {"loss": 5}, {"bucket": -1}, {"ngrams": -1},
        {"ngrams": 1 << 30, "bucket": 1}, {"ngrams": 2}, {"maxn": 3}, {"minn": -1}, {"maxn": 1 << 30, "bucket": 1},
        {"size": 3}, {"words": -1, "size": 0}, {"labels": 0, "size": 1}, {"pruned": 1 << 62}, {"pruned": 0},
        {"count": -1}, {"count": 10**15}, {"kind": 0}, {"rows": 0}, {"rows": 1 << 62}, {"rows": -1}, {"bucket": 1},
    ],
    ids=str,
)  # fmt: skip
def test_numbers_that_do_not_fit_are_damage(changes):
    with pytest.raises(ValueError, match=r"^it is damaged$"):
        kernels.FastText(header(**changes))


def fnv(word: bytes) -> int:
    value = 2166136261
    for byte in word:
        value = (value ^ byte) * 16777619 % (1 << 32)
    return value


def test_words_that_are_found_slowly_are_damage():
    """The hashes of these words end in the same 14 bits, so all of them belong to one place of the table."""
    words: list[bytes] = []
    before_last = pow(16777619, -1, 1 << 14)
    for number in range(1 << 15):
        start = b"%d:" % number
        value = fnv(start)
        for byte in range(33, 127):
            last = ((value ^ byte) * 16777619 ^ before_last) % (1 << 14)
            if 33 <= last < 127:
                words.append(start + bytes([byte, last]))
    words = words[:5_000]
    assert {fnv(word) % (1 << 14) for word in words} == {1}
    data = header()
    for few, opens in ((4_000, True), (5_000, False)):
        entries = b"".join(word + b"\0" + struct.pack("<qb", 1, 0) for word in words[:few])
        at = data.index(b"word\0")
        counts = struct.pack("<3i", few + 1, few, 1)
        matrix = struct.pack("<?2q", False, few, 2) + bytes(8 * few) + struct.pack("<?2q2f", False, 1, 2, 1.0, 2.0)
        label = b"__label__a\0" + struct.pack("<qb", 1, 1)
        model = opened(data[: at - 28] + counts + data[at - 16 : at] + entries + label + matrix)
        assert (model is not None) == opens


def test_an_error_names_the_file_and_what_it_is(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(header(model=1))
    with pytest.raises(ConfigError, match=r"model\.bin can't be used: it is not a classifier\. Take another\."):
        open_fasttext(path, "1", "Take another.")
    path.write_bytes(header()[:-1])
    with pytest.raises(ConfigError, match=r"model\.bin can't be used: it is damaged\. Take another\."):
        open_fasttext(path, "2", "Take another.")


@pytest.mark.parametrize("loss", [1, 2, 3, 4])
def test_a_weight_that_is_no_number_gives_no_label_or_an_unlikely_one(loss):
    data = header(loss=loss, labels=2, size=3).replace(
        b"__label__a\0", b"__label__a\0" + struct.pack("<qb", 1, 1) + b"b\0"
    )
    data = data[:-25] + struct.pack("<?2q4f", False, 2, 2, float("nan"), float("inf"), 1.0, 2.0)
    label, probability, others = kernels.FastText(data).predict(b"word", [0, 1])
    assert label in (-1, 1)
    assert all(0 <= one <= 1.001 for one in (probability, *others))
