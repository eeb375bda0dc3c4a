#include "fasttext.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "fixed_math.hpp"

namespace kernels {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

float log_of(float probability) { return static_cast<float>(log_double(probability + 1e-5)); }

// fastText has a table of this function.
float logistic(float x) {
  constexpr int kSize = 512, kEdge = 8;
  if (!(x >= -kEdge)) return 0;
  if (x > kEdge) return 1;
  const auto place = static_cast<int>((x + kEdge) * kSize / kEdge / 2);
  return static_cast<float>(1.0 / (1.0 + exp_float(-(static_cast<float>(place * 2 * kEdge) / kSize - kEdge))));
}

}  // namespace

FastText::FastText(std::string_view file) : file_(file), words_(file_) {
  if (file_.loss == Loss::kHierarchicalSoftmax) build_tree();
}

// Joins the two rarest nodes until one is left (Huffman 1952). The labels' counts fall, and their sum fits.
void FastText::build_tree() {
  tree_.resize(2 * labels() - 1);
  std::vector<std::int64_t> counts = file_.label_counts;
  std::size_t leaf = labels(), node = labels();
  for (std::size_t parent = labels(); parent < tree_.size(); ++parent) {
    std::size_t child[2];
    for (std::size_t& one : child) {
      one = leaf > 0 && (node == parent || counts[leaf - 1] < counts[node]) ? --leaf : node++;
      tree_[one].parent = static_cast<std::int32_t>(parent);
    }
    tree_[parent].left = static_cast<std::int32_t>(child[0]);
    tree_[parent].right = static_cast<std::int32_t>(child[1]);
    counts.push_back(counts[child[0]] + counts[child[1]]);
  }
}

Prediction FastText::predict(std::string_view text, const std::vector<std::size_t>& asked) const {
  for (const std::size_t label : asked) {
    if (label >= labels()) throw std::out_of_range("the model has no such label");
  }
  Prediction found;
  found.asked.resize(asked.size());
  RowSum rows(file_.input, file_.columns);
  words_.take_rows(text, rows);
  const std::vector<float> vector = rows.average();
  if (vector.empty()) return found;
  if (!tree_.empty()) {
    predict_by_tree(vector, found);
    for (std::size_t i = 0; i < asked.size(); ++i) found.asked[i] = probability_by_tree(vector, asked[i]);
    return found;
  }
  const std::vector<float> all = scores(vector);
  for (std::size_t i = 0; i < asked.size(); ++i) found.asked[i] = exp_float(all[asked[i]]);
  const auto best = std::max_element(all.rbegin(), all.rend());
  if (*best == kNever) return found;
  found.label = static_cast<std::int32_t>(all.rend() - best - 1);
  found.probability = exp_float(*best);
  return found;
}

// Returns the logarithms of the probabilities of all labels, for a model that is no tree.
std::vector<float> FastText::scores(const std::vector<float>& vector) const {
  std::vector<float> found(labels());
  for (std::size_t label = 0; label < found.size(); ++label) found[label] = file_.output.dot(label, vector);
  if (file_.loss == Loss::kSoftmax) {
    const float highest = *std::max_element(found.begin(), found.end());
    float sum = 0;
    for (float& value : found) {
      value = static_cast<float>(exp_double(value - highest));
      sum += value;
    }
    for (float& value : found) value /= sum;
  } else {
    for (float& value : found) value = logistic(value);
  }
  for (float& value : found) value = value >= 0 ? log_of(value) : kNever;
  return found;
}

FastText::Steps FastText::steps(const std::vector<float>& vector, std::size_t node) const {
  const float dot = file_.output.dot(node - labels(), vector);
  const auto right = static_cast<float>(1.0 / (1 + exp_float(-dot)));
  if (!(right >= 0)) return {kNever, kNever};
  return {log_of(static_cast<float>(1.0 - right)), log_of(right)};
}

void FastText::predict_by_tree(const std::vector<float>& vector, Prediction& found) const {
  float best = log_of(0);
  std::vector<std::pair<std::size_t, float>> ways{{tree_.size() - 1, 0.0F}};
  while (!ways.empty()) {
    const auto [node, score] = ways.back();
    ways.pop_back();
    if (!(score >= best)) continue;
    if (node < labels()) {
      best = score;
      found.label = static_cast<std::int32_t>(node);
      found.probability = exp_float(score);
      continue;
    }
    const Steps step = steps(vector, node);
    ways.emplace_back(tree_[node].right, score + step.right);
    ways.emplace_back(tree_[node].left, score + step.left);
  }
}

float FastText::probability_by_tree(const std::vector<float>& vector, std::size_t label) const {
  std::vector<std::size_t> path{label};
  while (path.back() + 1 < tree_.size()) path.push_back(static_cast<std::size_t>(tree_[path.back()].parent));
  float score = 0;
  for (std::size_t i = path.size() - 1; i > 0; --i) {
    const Steps step = steps(vector, path[i]);
    score += static_cast<std::size_t>(tree_[path[i]].left) == path[i - 1] ? step.left : step.right;
    if (!(score >= log_of(0))) return 0;
  }
  return exp_float(score);
}

}  // namespace kernels
