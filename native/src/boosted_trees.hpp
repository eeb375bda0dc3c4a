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
  // A leaf leads to itself, so that the walks of several rows may take the same number of steps.
  struct Step {
    std::int32_t threshold;
    std::uint16_t feature;
    std::uint16_t next[2];
  };
  struct Range {
    std::int32_t least, most;
  };
  // The trees without the decisions that are the same for all values within some ranges.
  struct Pruned {
    std::vector<Step> steps;
    std::vector<std::uint16_t> target;  // the step at which a step ends up
    std::vector<std::uint16_t> height;
  };

  void prune(const std::vector<Range>& ranges, Pruned& pruned) const;

  std::vector<Step> steps_;
  std::vector<std::int16_t> values_;  // of the leaf at each step
  std::vector<std::uint16_t> roots_;
  std::size_t nodes_ = 0;
  std::size_t row_features_, shared_features_;
};

}  // namespace kernels
