// Splits English stretches into tokens, as spaCy's tokenizer does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "string_table.hpp"

namespace kernels {

// Longer stretches, in bytes, are not split here.
constexpr std::size_t kLongStretch = 200;

using Tokens = std::vector<std::string_view>;

// The algorithm is that of spaCy 3 (spacy/tokenizer.pyx), with its rules for English (spacy/lang/en/punctuation.py and
// spacy/lang/punctuation.py). It knows the characters of ASCII and Latin-1 and a few marks.
class EnglishRules {
 public:
  // A stretch that is split like no other, and its tokens.
  using SpecialCase = std::pair<std::string, std::vector<std::string>>;

  explicit EnglishRules(const std::vector<SpecialCase>& special_cases);
  EnglishRules(const EnglishRules&) = delete;
  EnglishRules& operator=(const EnglishRules&) = delete;

  // Adds the tokens of a stretch, which are views of it. Returns false if the stretch is too long, or if it has a
  // character whose rules are not known here.
  bool split(std::string_view stretch, Tokens& tokens) const;

 private:
  // The ends of the tokens of a special case, in bytes.
  struct Special {
    std::vector<std::size_t> ends;
    std::vector<std::size_t> plain_ends;  // by the rules alone
    bool is_merged = false;               // plain tokens that are these are replaced wherever they stand in a row
  };
  class Splitter;

  const Special* special(std::string_view text) const;
  void merge_specials(Tokens& tokens, std::size_t first) const;

  StringTable special_cases_;
  std::vector<Special> specials_;  // by the numbers of special_cases_
  std::size_t longest_case_ = 0;
};

}  // namespace kernels
