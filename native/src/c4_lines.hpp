// C4's line cleaning (see filters/c4.py, which says what each rule is).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stretch_table.hpp"

namespace kernels {

struct C4Rules {
  bool terminal_punctuation, javascript_lines, policy_lines, latex;
  std::size_t min_words_per_line, max_word_length;
};

struct C4Lines {
  std::uint64_t lorem_ipsum = 0, curly_bracket = 0, sentences = 0;                          // in lines that count
  std::uint64_t long_word = 0, no_end_mark = 0, few_words = 0, javascript = 0, policy = 0;  // lines removed
  std::uint64_t citations = 0;                                                              // marks removed
  std::string text;                                                                         // of the lines kept
  std::vector<std::uint32_t> numbers;                                                       // their stretches
  std::vector<std::uint32_t> added;  // stretches that are left where a citation was removed
};

// `numbers` are the stretches of the text. If `added` has stretches without tokens at the end, sentences are not whole:
// the caller gives these their tokens, and asks again.
C4Lines clean_lines(StretchTable& table, std::string_view text, const std::vector<std::uint32_t>& numbers,
                    const C4Rules& rules);

}  // namespace kernels
