"""What tells one file from another without reading it in full."""

import random

import pytest

from corpus.warc.source import digest_of_range, digest_of_samples


class Counting:
    """A file in memory that notes what is read of it."""

    name = "counting"

    def __init__(self, content):
        self.content, self.size, self.reads = content, len(content), []

    def read(self, offset, length):
        self.reads.append((offset, length))
        return bytes(self.content[offset : offset + length])


SIZE = 1 << 21
CONTENT = random.Random(1).randbytes(SIZE)


def changed(start, length, size=SIZE):
    """The content with other bytes in a stretch."""
    content = bytearray(CONTENT[:size])
    content[start : start + length] = bytes(byte ^ 1 for byte in content[start : start + length])
    return digest_of_samples(Counting(content)) != digest_of_samples(Counting(CONTENT[:size]))


@pytest.mark.parametrize("size", [1, 70_000, 640 << 10])
def test_a_small_file_is_its_own_sample(size):
    assert all(changed(at, 1, size) for at in range(0, size, max(1, size // 50)))
    assert len({digest_of_samples(Counting(bytes(length))) for length in (0, 1, size, size + 1)}) == len(
        {0, 1, size, size + 1}
    )


def test_little_of_a_large_file_is_read_and_never_beyond_it():
    source = Counting(CONTENT)
    digest_of_samples(source)
    assert source.reads == sorted(source.reads)
    assert len(source.reads) == 10
    assert all(length == 64 << 10 and 0 <= at <= source.size - length for at, length in source.reads)
    shorter = Counting(CONTENT[:-1])
    digest_of_samples(shorter)
    assert [at for at, _ in shorter.reads[1:-1]] != [at for at, _ in source.reads[1:-1]]


def test_a_changed_end_or_quarter_is_always_seen_and_a_changed_byte_sometimes():
    quarter = SIZE // 4
    assert all(changed(at, quarter) for at in range(0, 3 * quarter + 1, quarter // 8))
    assert changed(0, 1)
    assert changed(SIZE - 1, 1)
    seen = [changed(at, 1) for at in range(1 << 16, SIZE - (1 << 16), 1 << 14)]
    assert 0.1 < sum(seen) / len(seen) < 0.5


def test_the_digest_of_a_range_covers_each_byte_of_it_and_no_other():
    whole = Counting(CONTENT)
    start, end = 1_000, 1_500_000
    for at, counts in ((start - 1, False), (start, True), (1 << 20, True), (end - 1, True), (end, False)):
        other = bytearray(CONTENT)
        other[at] ^= 1
        assert (digest_of_range(Counting(other), start, end) != digest_of_range(whole, start, end)) == counts
