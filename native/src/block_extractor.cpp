#include "block_extractor.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace kernels {
namespace {

// Leaves out the texts that ask for consent to cookies, if there is more text elsewhere. They are known by the words in
// classes and ids. The model knows those of its training pages, which are nearly all English.
void leave_consent(const Page& page, const std::vector<TextCounts>& counts, std::vector<char>& taken) {
  const auto asks = [&](std::size_t i) {
    return (page.nodes[static_cast<std::size_t>(page.blocks[i].node)].all_categories >> kConsent & 1) != 0;
  };
  std::uint64_t asking = 0, other = 0;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (taken[i]) (asks(i) ? asking : other) += counts[i].words;
  }
  for (std::size_t i = 0; i < taken.size() && other > asking; ++i) taken[i] = taken[i] && !asks(i);
}

// Takes or leaves the blocks of comments.
void set_comments(const Page& page, const std::vector<TextCounts>& counts, Comments comments,
                  std::vector<char>& taken) {
  constexpr std::uint32_t kLeastWords = 4;  // shorter texts are names, dates and buttons
  if (comments == Comments::kAuto) return;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const Block& block = page.blocks[i];
    const Node& node = page.nodes[static_cast<std::size_t>(block.node)];
    if ((node.all_categories >> kCommentCategory & 1) == 0) continue;
    const bool written =
        counts[i].words >= kLeastWords && block.link_chars * 3 < block.chars && !has(node.tag, kHeading);
    taken[i] = comments == Comments::kKeep && (taken[i] || written);
  }
}

}  // namespace

Chance Calibration::operator()(std::int32_t sum) const {
  const auto size = static_cast<std::int64_t>(table.size());
  const std::int64_t place = (std::int64_t{sum} + size / 2 * step) / step;
  return table[static_cast<std::size_t>(std::clamp<std::int64_t>(place, 0, size - 1))];
}

std::vector<Chance> BlockExtractor::chances(const Page& page, const std::vector<TextCounts>& counts,
                                            std::string_view html, std::string_view url) const {
  const Features features = features_of(page, counts, lexicon_, html, url);
  if (features.page.size() != trees_.shared_features() ||
      (!page.blocks.empty() && features.columns != trees_.row_features())) {
    throw std::invalid_argument("the model was made for other features");
  }
  const std::vector<std::int32_t> sums = trees_.sums(features.blocks, features.page);
  std::vector<Chance> chances;
  chances.reserve(sums.size());
  for (const std::int32_t sum : sums) chances.push_back(calibration_(sum));
  return chances;
}

std::vector<char> choose(const std::vector<Chance>& chances, const std::vector<TextCounts>& counts) {
  std::vector<std::size_t> order(chances.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return chances[a] > chances[b]; });
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < chances.size(); ++i) all += std::uint64_t{chances[i]} * counts[i].words;
  // F1 of the first k blocks is 2 * right / (4096 * words + all). It is compared by cross products, which fit 128 bits.
  using Wide = unsigned __int128;
  std::uint64_t right = 0, size = all, best_right = 0, best_size = 1;
  std::size_t best = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    right += std::uint64_t{chances[order[k]]} * counts[order[k]].words;
    size += std::uint64_t{4096} * counts[order[k]].words;
    if (Wide{right} * best_size >= Wide{best_right} * size) best_right = right, best_size = size, best = k + 1;
  }
  std::vector<char> taken(chances.size(), 0);
  for (std::size_t k = 0; k < best; ++k) taken[order[k]] = chances[order[k]] > 0;
  return taken;
}

std::vector<char> take(const Page& page, const std::vector<TextCounts>& counts, const std::vector<Chance>& chances,
                       Comments comments) {
  std::vector<char> taken = choose(chances, counts);
  leave_consent(page, counts, taken);
  set_comments(page, counts, comments, taken);
  return taken;
}

}  // namespace kernels
