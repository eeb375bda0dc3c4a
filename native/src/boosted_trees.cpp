#include "boosted_trees.hpp"

#include <algorithm>
#include <stdexcept>

namespace kernels {

BoostedTrees::BoostedTrees(const std::vector<TreeNode>& nodes, const std::vector<std::int16_t>& leaves,
                           const std::vector<std::int32_t>& roots, std::size_t row_features,
                           std::size_t shared_features)
    : row_features_(row_features), shared_features_(shared_features) {
  const auto known = [&](std::int32_t place, std::int32_t after) {
    if (place >= 0) return place > after && static_cast<std::size_t>(place) < nodes.size();
    return static_cast<std::size_t>(~place) < leaves.size();
  };
  const std::size_t features = row_features + shared_features;
  bool whole = nodes.size() + leaves.size() <= UINT16_MAX && features <= UINT16_MAX && row_features > 0;
  for (const std::int32_t root : roots) whole &= known(root, -1);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const TreeNode& node = nodes[i];
    const auto here = static_cast<std::int32_t>(i);
    whole &= known(node.left, here) && known(node.right, here);
    whole &= node.feature >= 0 && static_cast<std::size_t>(node.feature) < features;
  }
  if (!whole) throw std::invalid_argument("the trees of the model do not fit together");

  // step i is node i, and leaves come after the nodes
  const auto step_of = [&](std::int32_t place) {
    return static_cast<std::uint16_t>(place >= 0 ? static_cast<std::size_t>(place)
                                                 : nodes.size() + static_cast<std::size_t>(~place));
  };
  for (const TreeNode& node : nodes) {
    steps_.push_back(
        {node.threshold, static_cast<std::uint16_t>(node.feature), {step_of(node.left), step_of(node.right)}});
  }
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const auto self = static_cast<std::uint16_t>(nodes.size() + i);
    steps_.push_back({INT32_MAX, 0, {self, self}});
  }
  values_.assign(nodes.size(), 0);
  values_.insert(values_.end(), leaves.begin(), leaves.end());
  for (const std::int32_t root : roots) roots_.push_back(step_of(root));
  nodes_ = nodes.size();
}

void BoostedTrees::prune(const std::vector<Range>& ranges, Pruned& pruned) const {
  pruned.steps = steps_;
  pruned.target.resize(steps_.size());
  pruned.height.assign(steps_.size(), 0);
  for (std::size_t i = nodes_; i < steps_.size(); ++i) pruned.target[i] = static_cast<std::uint16_t>(i);
  for (std::size_t i = nodes_; i-- > 0;) {  // children come after their parents
    Step& step = pruned.steps[i];
    const Range& range = ranges[step.feature];
    const std::uint16_t left = pruned.target[step.next[0]], right = pruned.target[step.next[1]];
    step.next[0] = left;
    step.next[1] = right;
    pruned.height[i] = static_cast<std::uint16_t>(1 + std::max(pruned.height[left], pruned.height[right]));
    pruned.target[i] = range.most <= step.threshold   ? left
                       : range.least > step.threshold ? right
                                                      : static_cast<std::uint16_t>(i);
  }
}

std::vector<std::int32_t> BoostedTrees::sums(const std::vector<std::int32_t>& rows,
                                             const std::vector<std::int32_t>& shared) const {
  // Neighboring rows agree in most decisions. These are made once for so many rows.
  constexpr std::size_t kTogether = 256;
  // The walks of several rows do not wait for each other: eight at once take a third of the time.
  constexpr std::size_t kAtOnce = 8;
  const std::size_t count = rows.size() / row_features_;
  std::vector<std::int32_t> sums(count, 0);
  std::vector<Range> ranges(row_features_ + shared_features_);
  for (std::size_t i = 0; i < shared_features_; ++i) ranges[row_features_ + i] = {shared[i], shared[i]};
  Pruned pruned;
  for (std::size_t first = 0; first < count; first += kTogether) {
    const std::size_t end = std::min(first + kTogether, count);
    const auto row = [&](std::size_t i) { return rows.data() + i * row_features_; };
    for (std::size_t feature = 0; feature < row_features_; ++feature)
      ranges[feature] = {row(first)[feature], row(first)[feature]};
    for (std::size_t i = first + 1; i < end; ++i) {
      for (std::size_t feature = 0; feature < row_features_; ++feature) {
        ranges[feature].least = std::min(ranges[feature].least, row(i)[feature]);
        ranges[feature].most = std::max(ranges[feature].most, row(i)[feature]);
      }
    }
    prune(ranges, pruned);
    for (std::size_t group = first; group < end; group += kAtOnce) {
      const std::int32_t* values[kAtOnce];
      for (std::size_t k = 0; k < kAtOnce; ++k) values[k] = row(std::min(group + k, end - 1));
      std::int32_t total[kAtOnce] = {};
      for (const std::uint16_t whole : roots_) {
        const std::uint16_t root = pruned.target[whole];
        std::uint16_t at[kAtOnce];
        std::fill_n(at, kAtOnce, root);
        for (std::uint16_t level = 0; level < pruned.height[root]; ++level) {
          for (std::size_t k = 0; k < kAtOnce; ++k) {
            const Step& step = pruned.steps[at[k]];
            at[k] = step.next[values[k][step.feature] > step.threshold];
          }
        }
        for (std::size_t k = 0; k < kAtOnce; ++k) total[k] += values_[at[k]];
      }
      for (std::size_t k = 0; k < kAtOnce && group + k < end; ++k) sums[group + k] = total[k];
    }
  }
  return sums;
}

}  // namespace kernels
