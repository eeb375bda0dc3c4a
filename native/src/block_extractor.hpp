// The main text of a page: blocks, their scores, and the choice among them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "block_features.hpp"
#include "boosted_trees.hpp"
#include "lexicon.hpp"

namespace kernels {

// The chance that a block is main text, in 4096ths.
using Chance = std::uint16_t;

// What happens to readers' comments: the model decides, or all of their text is taken, or none.
enum class Comments : std::uint8_t { kAuto, kKeep, kDrop };

// Returns the blocks with the highest expected F1 over words: those above half of the F1 that can be reached.
std::vector<char> choose(const std::vector<Chance>& chances, const std::vector<TextCounts>& counts);

// Returns the blocks that make the text: those with the highest expected F1, without texts that ask for consent, and
// with or without comments.
std::vector<char> take(const Page& page, const std::vector<TextCounts>& counts, const std::vector<Chance>& chances,
                       Comments comments);

// Turns a sum of leaves into a chance. `table[i]` is the chance of the sums from (i - size / 2) * step on.
struct Calibration {
  std::vector<Chance> table;
  std::int32_t step = 1;
  Chance operator()(std::int32_t sum) const;
};

class BlockExtractor {
 public:
  BlockExtractor(BoostedTrees trees, Calibration calibration, Lexicon lexicon)
      : trees_(std::move(trees)), calibration_(std::move(calibration)), lexicon_(std::move(lexicon)) {}

  std::vector<Chance> chances(const Page& page, const std::vector<TextCounts>& counts, std::string_view html,
                              std::string_view url) const;

 private:
  BoostedTrees trees_;
  Calibration calibration_;
  Lexicon lexicon_;
};

}  // namespace kernels
