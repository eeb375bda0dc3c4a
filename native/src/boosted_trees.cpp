#include "boosted_trees.hpp"

#include <stdexcept>

namespace kernels {

BoostedTrees::BoostedTrees(std::vector<TreeNode> nodes, std::vector<std::int16_t> leaves, std::vector<std::int32_t> roots,
                           std::size_t features)
    : nodes_(std::move(nodes)), leaves_(std::move(leaves)), roots_(std::move(roots)) {
  const auto known = [&](std::int32_t place, std::int32_t after) {
    if (place >= 0) return place > after && static_cast<std::size_t>(place) < nodes_.size();
    return static_cast<std::size_t>(~place) < leaves_.size();
  };
  bool whole = true;
  for (const std::int32_t root : roots_) whole &= known(root, -1);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const TreeNode& node = nodes_[i];
    const auto here = static_cast<std::int32_t>(i);
    whole &= known(node.left, here) && known(node.right, here);
    whole &= node.feature >= 0 && static_cast<std::size_t>(node.feature) < features;
  }
  if (!whole) throw std::invalid_argument("the trees of the model do not fit together");
}

}  // namespace kernels
