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

  // step i is node i, and leaves come after the nodes; the depth of a node is known before its children are
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
  std::vector<std::uint16_t> height(steps_.size(), 0);
  for (std::size_t i = nodes.size(); i-- > 0;) {
    height[i] = static_cast<std::uint16_t>(1 + std::max(height[steps_[i].next[0]], height[steps_[i].next[1]]));
  }
  for (const std::int32_t root : roots) trees_.push_back({step_of(root), height[step_of(root)]});
}

std::vector<std::int32_t> BoostedTrees::sums(const std::vector<std::int32_t>& rows,
                                             const std::vector<std::int32_t>& shared) const {
  const std::size_t count = rows.size() / row_features_;
  std::vector<std::int32_t> sums(count, 0);
  // what the shared features decide is decided once
  std::vector<Step> steps = steps_;
  for (Step& step : steps) {
    if (step.feature < row_features_) continue;
    const int side = shared[step.feature - row_features_] <= step.threshold ? 0 : 1;
    step = {INT32_MAX, 0, {step.next[side], step.next[side]}};
  }
  // The walks of several rows do not wait for each other: eight at once take a third of the time.
  constexpr std::size_t kAtOnce = 8;
  for (std::size_t first = 0; first < count; first += kAtOnce) {
    const std::size_t here = std::min(kAtOnce, count - first);
    const std::int32_t* values[kAtOnce];
    for (std::size_t k = 0; k < kAtOnce; ++k) values[k] = rows.data() + (first + std::min(k, here - 1)) * row_features_;
    std::int32_t total[kAtOnce] = {};
    for (const Tree& tree : trees_) {
      std::uint16_t at[kAtOnce];
      std::fill_n(at, kAtOnce, tree.root);
      for (std::uint16_t level = 0; level < tree.depth; ++level) {
        for (std::size_t k = 0; k < kAtOnce; ++k) {
          const Step& step = steps[at[k]];
          at[k] = step.next[values[k][step.feature] > step.threshold];
        }
      }
      for (std::size_t k = 0; k < kAtOnce; ++k) total[k] += values_[at[k]];
    }
    std::copy_n(total, here, sums.begin() + static_cast<std::ptrdiff_t>(first));
  }
  return sums;
}

}  // namespace kernels
