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
  // A row has `row_features` features of its own, and all rows share `shared_features` more, which are numbered after
  // them. Children come after their parents. Throws std::invalid_argument if the trees do not fit together.
  BoostedTrees(const std::vector<TreeNode>& nodes, const std::vector<std::int16_t>& leaves,
               const std::vector<std::int32_t>& roots, std::size_t row_features, std::size_t shared_features);

  // Returns the sum of the leaves of each row. `rows` is [row][feature].
  std::vector<std::int32_t> sums(const std::vector<std::int32_t>& rows, const std::vector<std::int32_t>& shared) const;

  std::size_t row_features() const { return row_features_; }
  std::size_t shared_features() const { return shared_features_; }

 private:
  // The smallest and the largest value of each feature in some rows.
  struct Ranges {
    std::vector<std::int32_t> least, most;
  };
  // The decisions on which some rows differ, tree by tree. Children come after their parents, and their places count
  // from the first node of the tree.
  struct Pruned {
    std::vector<TreeNode> nodes;
    std::vector<std::size_t> ends;  // where the nodes of a tree end
    std::int32_t sum = 0;           // of the leaves of all other trees
  };
  class Columns;

  std::int32_t decided(std::int32_t place, const Ranges& ranges) const;
  void prune(const Ranges& ranges, Pruned& pruned) const;

  std::vector<TreeNode> nodes_;
  std::vector<std::int16_t> leaves_;
  std::vector<std::int32_t> roots_;
  std::size_t row_features_, shared_features_;
};

}  // namespace kernels
