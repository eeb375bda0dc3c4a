// Splits common English stretches into tokens by their shape, as spaCy's rules do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "string_table.hpp"

namespace kernels {

// Longer stretches, in bytes, are not split here.
constexpr std::size_t kLongStretch = 200;

using Tokens = std::vector<std::string_view>;

// A common stretch is letters or a number, perhaps hyphenated, between common marks. spaCy splits it like any other
// stretch of the same shape, unless a part of it is a special case.
class EnglishShapes {
 public:
  explicit EnglishShapes(const std::vector<std::string>& special_cases);

  enum class Split { kNo, kYes, kUnknownShape };

  // Splits a stretch. If its shape is unknown, `shape` is set.
  Split split(std::string_view stretch, Tokens& tokens, std::vector<std::string>& shape) const;

  // Learns which parts (start, end) make up each token of a shape. Nothing is learned if spaCy splits a part.
  void learn(const std::vector<std::string>& shape, const std::vector<std::pair<std::uint32_t, std::uint32_t>>& splits);

 private:
  bool is_special(std::string_view text) const { return special_cases_.find(text) != kNone; }
  bool has_special(const std::vector<std::string_view>& parts) const;

  StringTable special_cases_;
  std::size_t longest_case_ = 0;
  std::unordered_map<std::string, std::vector<std::pair<std::uint32_t, std::uint32_t>>> splits_;  // by joined shape
};

}  // namespace kernels
