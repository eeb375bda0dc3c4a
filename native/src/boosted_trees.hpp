// Gradient-boosted decision trees over integers. Sums are exact, so the same page has the same scores on every machine.
#pragma once

#include <cstdint>
#include <vector>

namespace kernels {

struct TreeNode {
  std::int32_t threshold;  // the left child is for values up to it
  std::int32_t feature;
  std::int32_t left, right;  // the place of a node, or ~ the place of a leaf
};

class BoostedTrees {
 public:
  // Children come after their parents. Throws std::invalid_argument if a place is out of range.
  BoostedTrees(std::vector<TreeNode> nodes, std::vector<std::int16_t> leaves, std::vector<std::int32_t> roots, std::size_t features);

  // `value(feature)` gives a feature. Returns the sum of the leaves.
  template <typename Value>
  std::int32_t sum(Value value) const {
    std::int32_t total = 0;
    for (std::int32_t place : roots_) {
      while (place >= 0) {
        const TreeNode& node = nodes_[static_cast<std::size_t>(place)];
        place = value(static_cast<std::size_t>(node.feature)) <= node.threshold ? node.left : node.right;
      }
      total += leaves_[static_cast<std::size_t>(~place)];
    }
    return total;
  }

 private:
  std::vector<TreeNode> nodes_;
  std::vector<std::int16_t> leaves_;
  std::vector<std::int32_t> roots_;
};

}  // namespace kernels
