// Finds many short phrases in one pass over a text (Aho and Corasick 1975).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace kernels {

// Phrases are in lower case; letters of the text count as their lower case.
class PhraseMatcher {
 public:
  struct Phrase {
    std::string_view text;
    std::uint8_t id;  // several phrases may share an id
  };

  explicit PhraseMatcher(const std::vector<Phrase>& phrases);

  // Calls `found(id, end)` for each place where a phrase ends.
  template <typename Found>
  void each(std::string_view text, Found found) const {
    std::uint32_t row = 0;  // of the state, in next_
    for (std::size_t i = 0; i < text.size(); ++i) {
      const std::uint32_t next = next_[row + class_of_[static_cast<unsigned char>(text[i])]];
      row = next & kRow;
      if (next == row) continue;  // no phrase ends here
      const std::uint32_t state = row / classes_;
      for (std::uint32_t at = first_[state]; at < first_[state + 1]; ++at) found(ids_[at], i + 1);
    }
  }

  // Returns the ids that are found, as bits. Ids are below 32.
  std::uint32_t mask(std::string_view text) const {
    std::uint32_t bits = 0;
    each(text, [&](std::uint8_t id, std::size_t) { bits |= 1U << id; });
    return bits;
  }

 private:
  static constexpr std::uint16_t kEnds = 0x8000, kRow = 0x7FFF;

  std::array<std::uint8_t, 256> class_of_{};  // the bytes that no phrase has are class 0
  std::uint32_t classes_ = 1;
  // [state * classes + class]: the row of the next state, and kEnds if a phrase ends there
  std::vector<std::uint16_t> next_;
  std::vector<std::uint32_t> first_;  // for each state, the place of its ids
  std::vector<std::uint8_t> ids_;
};

// Counts phrases in a text. Occurrences of the same phrase do not overlap.
class PhraseCounter {
 public:
  // Throws std::invalid_argument if a phrase is empty or not in lower case, or if there are too many.
  explicit PhraseCounter(const std::vector<std::string_view>& phrases);

  std::vector<std::size_t> counts(std::string_view text) const;

 private:
  std::vector<std::size_t> sizes_;
  PhraseMatcher matcher_;
};

}  // namespace kernels
