#include "boosted_trees.hpp"

#include <algorithm>
#include <stdexcept>

namespace kernels {
namespace {

// Four numbers that one instruction compares.
using Four = std::int32_t __attribute__((vector_size(16)));

Four all(std::int32_t value) { return Four{value, value, value, value}; }

// The values of some rows, of a feature or of a node.
constexpr std::size_t kRows = 64;
struct Values {
  Four at[kRows / 4];
};

}  // namespace

BoostedTrees::BoostedTrees(const std::vector<TreeNode>& nodes, const std::vector<std::int16_t>& leaves,
                           const std::vector<std::int32_t>& roots, std::size_t row_features,
                           std::size_t shared_features)
    : nodes_(nodes), leaves_(leaves), roots_(roots), row_features_(row_features), shared_features_(shared_features) {
  const auto known = [&](std::int32_t place, std::int32_t after) {
    if (place >= 0) return place > after && static_cast<std::size_t>(place) < nodes.size();
    return static_cast<std::size_t>(~place) < leaves.size();
  };
  const std::size_t features = row_features + shared_features;
  bool whole = row_features > 0 && roots.size() <= UINT16_MAX;  // so that no sum of leaves leaves 32 bits
  for (const std::int32_t root : roots) whole &= known(root, -1);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const TreeNode& node = nodes[i];
    const auto here = static_cast<std::int32_t>(i);
    whole &= known(node.left, here) && known(node.right, here);
    whole &= node.feature >= 0 && static_cast<std::size_t>(node.feature) < features;
  }
  if (!whole) throw std::invalid_argument("the trees of the model do not fit together");
}

// Follows the decisions that are the same for all values within the ranges.
std::int32_t BoostedTrees::decided(std::int32_t place, const Ranges& ranges) const {
  while (place >= 0) {
    const TreeNode& node = nodes_[static_cast<std::size_t>(place)];
    const auto feature = static_cast<std::size_t>(node.feature);
    if (ranges.most[feature] <= node.threshold) {
      place = node.left;
    } else if (ranges.least[feature] > node.threshold) {
      place = node.right;
    } else {
      break;
    }
  }
  return place;
}

void BoostedTrees::prune(const Ranges& ranges, Pruned& pruned) const {
  pruned.nodes.clear();
  pruned.ends.clear();
  pruned.sum = 0;
  for (const std::int32_t root : roots_) {
    const std::size_t first = pruned.nodes.size();
    const auto keep = [&](std::int32_t place) {
      place = decided(place, ranges);
      if (place < 0) return place;
      pruned.nodes.push_back(nodes_[static_cast<std::size_t>(place)]);
      return static_cast<std::int32_t>(pruned.nodes.size() - first) - 1;
    };
    const std::int32_t top = keep(root);
    if (top < 0) {
      pruned.sum += leaves_[static_cast<std::size_t>(~top)];
      continue;
    }
    for (std::size_t i = first; i < pruned.nodes.size(); ++i) {
      const std::int32_t left = keep(pruned.nodes[i].left), right = keep(pruned.nodes[i].right);
      pruned.nodes[i].left = left;
      pruned.nodes[i].right = right;
    }
    pruned.ends.push_back(pruned.nodes.size());
  }
}

// Up to kRows rows, which go through the trees side by side.
class BoostedTrees::Columns {
 public:
  explicit Columns(const BoostedTrees& trees) : leaves_(trees.leaves_), features_(trees.row_features_) {}

  // Takes `count` rows. The last one stands for those that a whole Four lacks.
  void fill(const std::int32_t* rows, std::size_t count) {
    fours_ = (count + 3) / 4;
    for (std::size_t i = 0; i < fours_; ++i) {
      const std::int32_t* row[4];
      for (std::size_t k = 0; k < 4; ++k) row[k] = rows + std::min(4 * i + k, count - 1) * features_.size();
      for (std::size_t f = 0; f < features_.size(); ++f)
        features_[f].at[i] = Four{row[0][f], row[1][f], row[2][f], row[3][f]};
    }
  }

  void sum(const Pruned& pruned, std::int32_t* sums, std::size_t count) {
    Values total;
    std::fill_n(total.at, fours_, all(pruned.sum));
    std::size_t first = 0;
    for (const std::size_t end : pruned.ends) {
      if (nodes_.size() < end - first) nodes_.resize(end - first);
      for (std::size_t i = end - first; i-- > 0;) evaluate(pruned.nodes[first + i], nodes_[i]);
      for (std::size_t k = 0; k < fours_; ++k) total.at[k] += nodes_[0].at[k];
      first = end;
    }
    for (std::size_t k = 0; k < count; ++k) sums[k] = total.at[k / 4][k % 4];
  }

 private:
  // Each row takes the value of the left or of the right child. A mask of all bits or none chooses between them.
  void evaluate(const TreeNode& node, Values& made) const {
    const Values& feature = features_[static_cast<std::size_t>(node.feature)];
    const Four threshold = all(node.threshold);
    const auto choose = [&](const auto& left, const auto& right) {
      for (std::size_t k = 0; k < fours_; ++k) {
        const Four one = left(k), other = right(k);
        made.at[k] = one ^ ((feature.at[k] > threshold) & (one ^ other));
      }
    };
    const auto leaf = [&](std::int32_t place) {
      return [value = all(leaves_[static_cast<std::size_t>(~place)])](std::size_t) { return value; };
    };
    const auto child = [&](std::int32_t place) {
      return [values = nodes_[static_cast<std::size_t>(place)].at](std::size_t k) { return values[k]; };
    };
    if (node.left < 0 && node.right < 0) {
      choose(leaf(node.left), leaf(node.right));
    } else if (node.left < 0) {
      choose(leaf(node.left), child(node.right));
    } else if (node.right < 0) {
      choose(child(node.left), leaf(node.right));
    } else {
      choose(child(node.left), child(node.right));
    }
  }

  const std::vector<std::int16_t>& leaves_;
  std::vector<Values> features_, nodes_;
  std::size_t fours_ = 0;
};

std::vector<std::int32_t> BoostedTrees::sums(const std::vector<std::int32_t>& rows,
                                             const std::vector<std::int32_t>& shared) const {
  // Neighboring rows agree in most decisions. These are made once for so many rows.
  constexpr std::size_t kTogether = 256;
  const std::size_t count = rows.size() / row_features_;
  std::vector<std::int32_t> sums(count);
  Columns columns(*this);
  Ranges ranges;
  Pruned pruned;
  const auto row = [&](std::size_t i) { return rows.data() + i * row_features_; };
  for (std::size_t first = 0; first < count; first += kTogether) {
    const std::size_t end = std::min(first + kTogether, count);
    ranges.least.assign(row(first), row(first + 1));
    ranges.most = ranges.least;
    for (std::size_t i = first + 1; i < end; ++i) {
      for (std::size_t feature = 0; feature < row_features_; ++feature) {
        ranges.least[feature] = std::min(ranges.least[feature], row(i)[feature]);
        ranges.most[feature] = std::max(ranges.most[feature], row(i)[feature]);
      }
    }
    ranges.least.insert(ranges.least.end(), shared.begin(), shared.end());
    ranges.most.insert(ranges.most.end(), shared.begin(), shared.end());
    prune(ranges, pruned);
    for (std::size_t group = first; group < end; group += kRows) {
      const std::size_t some = std::min(kRows, end - group);
      columns.fill(row(group), some);
      columns.sum(pruned, sums.data() + group, some);
    }
  }
  return sums;
}

}  // namespace kernels
