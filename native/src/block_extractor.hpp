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

// Leaves out the texts that ask for consent to cookies, if there is more text elsewhere. They are known by the words in
// classes and ids. The model knows those of its training pages, which are nearly all English.
void leave_consent(const Page& page, const std::vector<TextCounts>& counts, std::vector<char>& taken);

// Takes or leaves the blocks of comments.
void set_comments(const Page& page, const std::vector<TextCounts>& counts, Comments comments, std::vector<char>& taken);

// Returns the blocks with the highest expected F1 over words: those above half of the F1 that can be reached.
std::vector<char> choose(const std::vector<Chance>& chances, const std::vector<TextCounts>& counts);

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
