// What can be said about the blocks of a page without knowing which of them are its main text. All features are
// integers, so that they are the same on every machine: counts, and shares in 1024ths.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lexicon.hpp"
#include "page.hpp"

namespace kernels {

// The text of a block in numbers.
struct TextCounts {
  std::uint32_t words = 0, upper = 0, digits = 0, commas = 0, sentence_ends = 0;
  std::uint32_t lower_words = 0, capital_words = 0, long_words = 0;
  std::uint32_t title_words = 0;      // words that the page's title has too
  std::uint32_t described_pairs = 0;  // pairs of words that the page's descriptions of itself have too
  std::uint32_t hash = 0;
};

// The hashes of words by which the lexicon knows a page, for training.
struct PageWords {
  std::vector<std::uint32_t> rows[kWordKinds];  // the node of a token, or the block
  std::vector<std::uint32_t> keys[kWordKinds];
};

struct Features {
  std::size_t columns = 0;           // of a block
  std::vector<std::int32_t> blocks;  // [block][column]
  std::vector<std::int32_t> page;    // the same for all blocks
};

std::vector<TextCounts> count_texts(const Page& page);

PageWords words_of(const Page& page, const std::vector<TextCounts>& counts);

// With `names`, the names of the columns of a block and of the page are appended to it.
Features features_of(const Page& page, const std::vector<TextCounts>& counts, const Lexicon& lexicon,
                     std::string_view html, std::string_view url, std::vector<std::string>* names = nullptr);

}  // namespace kernels
