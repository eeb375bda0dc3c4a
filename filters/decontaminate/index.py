"""The index of benchmark items: a folder of arrays, which the workers of a machine map and share.

    index.json     the format, the benchmarks with their numbers of items, and the length and sha256 of each array
    *.bin          the arrays, little-endian

A *text* is what is looked for in pages: the question of an item, or one of its answers if the question is too short to
be looked for. Most texts prove their item alone. For the others, `links` names a *partner* that must stand near: an
answer, or the question. The index has no words, only hashes of words, so it can't leak a benchmark into a corpus.

    words          32 bits of the hash of each word of all texts, one text after another; bit 0: the word counts
    text_starts    where each text begins in `words`, and at last their number
    text_needed    the number of hits without which a text is not looked at
    text_misses    the most words of each text that may differ; 255: all, because the overlap decides
    text_links     where the links of each text begin
    links          pairs of an item and a partner + 1, or of an item and 0
    partner_starts, partners     the words of each partner
    keys, places   the n-grams of the texts, in the order of their hashes: 16 bits of the hash, and the place in `words`
    buckets        where the n-grams with the same first bits begin
    filter         a bit for the first bits of each n-gram

The index of a stranger may hold anything, so every number that leads into another array is checked when it is opened.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.digests import digest
from corpus.errors import ConfigError, OutputError
from corpus.json_data import check_shape, parse_json
from corpus.storage.replacing import write_whole
from corpus.text.shingles import fold
from corpus.text.vocabulary import Hashes, Ints, runs

FORMAT = 1
GRAM = 4
"""The words of an n-gram. If 5% of the words of a text are changed, 81% of its 4-grams are left, but only half of its
13-grams."""

LEAST_GRAM = 3
"""A text of 3 words has one n-gram: the whole text."""

MOST_WORDS = 1_000
"""The most words of a text. Of a longer text, only the last ones are looked for: there the question stands."""

ANY = 255
"""In `text_misses`: the overlap alone decides."""

COMMON = 30
"""An n-gram in more questions is common, and does not count."""

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""The name of a benchmark."""

_TYPES = {
    "words": "<u4",
    "text_starts": "<u4",
    "text_needed": "<u2",
    "text_misses": "u1",
    "text_links": "<u4",
    "links": "<u4",
    "partner_starts": "<u4",
    "partners": "<u4",
    "keys": "<u2",
    "places": "<u4",
    "buckets": "<u4",
    "filter": "u1",
}
_SHAPE = {
    "format": int,
    "benchmarks": [{"name": str, "items": int, "left_out": int}],
    "arrays": {name: {"values": int, "sha256": str} for name in _TYPES},
}
_THREE, _SEVEN = np.uint64(3), np.uint64(7)
_MOST_VALUES = 1 << 31
_MOST_IN_BUCKET = 1 << 12
_FILTER_BITS = (10, 32)
_BUCKET_BITS = (4, 24)
_INDEX = "index.json"
_BUILD = "Make one with `corpus evals index FILES -o DIR`."


@dataclass(frozen=True)
class Benchmark:
    """A benchmark, with the numbers of its items and of those that can't be looked for."""

    name: str
    items: int
    left_out: int


@dataclass(frozen=True)
class EvalIndex:
    """An open index. The arrays are those of the folder."""

    arrays: Mapping[str, NDArray[Any]]
    benchmarks: tuple[Benchmark, ...]
    digest: str

    @classmethod
    def open(cls, folder: Path, verify: bool = False) -> EvalIndex:
        """Map an index. With `verify`, all of it is read and compared with its digests. Raises ConfigError."""
        try:
            content = parse_json((folder / _INDEX).read_bytes())
            check_shape(content, _SHAPE)
            arrays = {name: _mapped(folder / f"{name}.bin", name, content["arrays"][name]) for name in _TYPES}
            if verify and any(_sha256(arrays[name]) != content["arrays"][name]["sha256"] for name in _TYPES):
                raise ValueError("an array has changed")
            benchmarks = tuple(Benchmark(one["name"], one["items"], one["left_out"]) for one in content["benchmarks"])
            _check(arrays, benchmarks, content["format"])
        except OSError as error:
            raise ConfigError(f"The index '{folder}' can't be opened ({error.strerror}).", _BUILD) from None
        except ValueError as error:
            raise ConfigError(f"'{folder}' is no index of benchmark items, or is damaged: {error}.", _BUILD) from None
        return cls(arrays, benchmarks, digest(content))

    def grams(self, words: Hashes) -> tuple[Ints, Ints]:
        """Return the hits of a text: the word of the text at which an n-gram of the index begins, and its place in
        `words`."""
        sizes = (GRAM, LEAST_GRAM) if self._has_least else (GRAM,)
        grams = [grams_of(words, size) for size in sizes]
        hashes = np.concatenate(grams)
        slots = hashes >> self._filter_shift
        passed = self.arrays["filter"][slots >> _THREE] >> (slots & _SEVEN).astype(np.uint8) & 1
        at = passed.nonzero()[0]
        hashes = hashes[at]
        at[at >= len(grams[0])] -= len(grams[0])
        numbers = (hashes >> self._bucket_shift).astype(np.int64)
        first = self.arrays["buckets"][numbers].astype(np.int64)
        counts = self.arrays["buckets"][numbers + 1] - first
        entries = runs(first, counts)
        same = (self.arrays["keys"][entries] == np.repeat(_key(hashes), counts)).nonzero()[0]
        return np.repeat(at, counts)[same], self.arrays["places"][entries[same]].astype(np.int64)

    @cached_property
    def _has_least(self) -> bool:
        return bool((self.arrays["text_starts"][1:] - self.arrays["text_starts"][:-1] == LEAST_GRAM).any())

    @cached_property
    def _filter_shift(self) -> np.uint64:
        return np.uint64(64 - _bits(8 * len(self.arrays["filter"])))

    @cached_property
    def _bucket_shift(self) -> np.uint64:
        return np.uint64(64 - _bits(len(self.arrays["buckets"]) - 1))

    @property
    def bytes(self) -> int:
        """The size of the arrays, which is the memory that they take at most."""
        return sum(array.nbytes for array in self.arrays.values())

    def name_of(self, item: int) -> tuple[str, int]:
        """Return the benchmark of an item, and the number of the item in its benchmark."""
        for one in self.benchmarks:
            if item < one.items:
                return one.name, item
            item -= one.items
        raise IndexError(item)


def grams_of(words: Hashes, size: int) -> Hashes:
    """Return the hash of each n-gram of `size` words."""
    count = len(words) - size + 1
    return fold([words[i : i + count] for i in range(size)]) if count > 0 else np.zeros(0, np.uint64)


def write_index(
    folder: Path, arrays: Mapping[str, NDArray[Any]], grams: tuple[Hashes, Ints], benchmarks: Sequence[Benchmark]
) -> EvalIndex:
    """Write an index and open it. `grams` are the hashes of the n-grams and their places, in any order.

    index.json comes last, so an interrupted index can't be opened. Raises OutputError.
    """
    made = {**arrays, **_tables(*grams)}
    content: dict[str, Any] = {"format": FORMAT, "benchmarks": [vars(one) for one in benchmarks], "arrays": {}}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _INDEX).unlink(missing_ok=True)
        for name, kind in _TYPES.items():
            array = np.ascontiguousarray(made[name], kind)
            write_whole(folder / f"{name}.bin", array.tobytes())
            content["arrays"][name] = {"values": len(array), "sha256": _sha256(array)}
        write_whole(folder / _INDEX, json.dumps(content, indent=1).encode())
    except OSError as error:
        raise OutputError(f"The index '{folder}' can't be written ({error.strerror}).", "Give another -o.") from None
    return EvalIndex.open(folder)


def _tables(hashes: Hashes, places: Ints) -> dict[str, NDArray[Any]]:
    """Return the n-grams in the order of their hashes, and the tables that lead to them."""
    order = np.lexsort((places, hashes))
    hashes = hashes[order]
    bucket_bits = min(max(_bits(len(hashes)) - 2, _BUCKET_BITS[0]), _BUCKET_BITS[1])
    firsts = np.arange((1 << bucket_bits) + 1, dtype=np.uint64)
    numbers = hashes >> np.uint64(64 - bucket_bits)
    filter_bits = min(max(_bits(8 * len(hashes)), _FILTER_BITS[0]), _FILTER_BITS[1])
    flags = np.zeros(1 << filter_bits, np.bool_)
    flags[hashes >> np.uint64(64 - filter_bits)] = True
    return {
        "keys": _key(hashes),
        "places": places[order],
        "buckets": np.searchsorted(numbers, firsts),
        "filter": np.packbits(flags, bitorder="little"),
    }


def _key(hashes: Hashes) -> NDArray[np.uint16]:
    """Return 16 bits of each hash, which the buckets do not use. A false hit is rare, and words are compared later."""
    return hashes.astype(np.uint16)


def _bits(count: int) -> int:
    """Return the number of bits of the numbers below `count`."""
    return max(count - 1, 1).bit_length()


def _mapped(path: Path, name: str, about: Mapping[str, Any]) -> NDArray[Any]:
    kind = np.dtype(_TYPES[name])
    if about["values"] > _MOST_VALUES or path.stat().st_size != about["values"] * kind.itemsize:
        raise ValueError(f"{name}.bin has another size")
    if not about["values"]:
        return np.zeros(0, kind)
    # a plain array over the map, because the class `memmap` makes each indexing slower
    return np.asarray(np.memmap(path, kind, "r"))


def _sha256(array: NDArray[Any]) -> str:
    return hashlib.sha256(array.data).hexdigest()


def _check(arrays: Mapping[str, NDArray[Any]], benchmarks: Sequence[Benchmark], format: int) -> None:
    """Raise ValueError if a number leads out of its array, or makes a search slow."""
    if format != FORMAT:
        raise ValueError("it was made by another version")
    names = [one.name for one in benchmarks]
    if not all(map(NAME.fullmatch, names)) or len(set(names)) != len(names):
        raise ValueError("the name of a benchmark is not valid")
    texts, partners = len(arrays["text_misses"]), len(arrays["partner_starts"]) - 1
    links = arrays["links"]
    right = (
        _cuts(arrays["text_starts"], texts, len(arrays["words"]), 1, MOST_WORDS),
        _cuts(arrays["text_links"], texts, len(links) // 2, 1, len(links)),
        _cuts(arrays["partner_starts"], partners, len(arrays["partners"]), 1, MOST_WORDS),
        _cuts(arrays["buckets"], len(arrays["buckets"]) - 1, len(arrays["keys"]), 0, _MOST_IN_BUCKET),
        _is_power(len(arrays["buckets"]) - 1, _BUCKET_BITS),
        _is_power(8 * len(arrays["filter"]), _FILTER_BITS),
        len(arrays["text_needed"]) == texts and bool((arrays["text_needed"] > 0).all()),
        len(links) % 2 == 0 and _below(links[::2], sum(one.items for one in benchmarks)),
        _below(links[1::2], partners + 1),
        len(arrays["places"]) == len(arrays["keys"]) and _below(arrays["places"], len(arrays["words"])),
    )
    if not all(right):
        raise ValueError("its arrays do not fit together")


def _cuts(starts: NDArray[Any], count: int, end: int, least: int, most: int) -> bool:
    """Return True if `starts` cuts `end` values into `count` pieces of `least` to `most` values."""
    if len(starts) != count + 1 or starts[0] != 0 or starts[-1] != end:
        return False
    sizes = np.diff(starts.astype(np.int64))
    return bool(((least <= sizes) & (sizes <= most)).all())


def _below(values: NDArray[Any], end: int) -> bool:
    return not len(values) or int(values.max()) < end


def _is_power(count: int, bits: tuple[int, int]) -> bool:
    return count > 0 and count & (count - 1) == 0 and bits[0] <= _bits(count) <= bits[1]


def starts_of(sizes: Sequence[int]) -> NDArray[np.uint32]:
    """Return where each of several pieces begins, and their end."""
    return np.fromiter(accumulate(sizes, initial=0), np.uint32, len(sizes) + 1)
