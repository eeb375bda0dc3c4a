// Characters of repeated sequences of words, by the definitions of datatrove (see corpus/text/ngrams.py).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace kernels {

class StretchTable;

// A polynomial mod 2^61 - 1 over the bytes, and the base to the power of their number. The hash of joined words follows
// from those of the words.
struct HashedWord {
  std::uint64_t hash, weight;
};

// Returns a base that nobody can foresee.
std::uint64_t random_base();
HashedWord hash_word(std::string_view word, std::uint64_t base);

// For each size, the characters of the most frequent sequence of words, joined by spaces, times its count.
std::vector<std::uint64_t> top_ngram_chars(const StretchTable& table, const std::vector<std::uint32_t>& words,
                                           const std::vector<std::size_t>& sizes);

// For each size, the characters of sequences seen before, joined without spaces. Each is counted once.
std::vector<std::uint64_t> duplicate_ngram_chars(const StretchTable& table, const std::vector<std::uint32_t>& words,
                                                 const std::vector<std::size_t>& sizes);

}  // namespace kernels
