// Prediction with models of fastText: what fastText gives, to the last bit.
//
// Sources: fastText 0.9.2, fasttext.cc, loss.cc; Joulin et al. 2016, arXiv:1607.01759 and arXiv:1612.03651.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "fasttext_file.hpp"
#include "fasttext_words.hpp"

namespace kernels {

struct Prediction {
  std::int32_t label = -1;  // the most likely one, by its number; -1 if the model knows nothing of the text
  float probability = 0;
  std::vector<float> asked;  // the probabilities of some labels
};

class FastText {
 public:
  // `file` must outlive this object. Throws std::invalid_argument, which says what it is, if it is no such model.
  explicit FastText(std::string_view file);
  FastText(const FastText&) = delete;
  FastText& operator=(const FastText&) = delete;

  std::size_t labels() const { return file_.label_counts.size(); }
  std::string_view label(std::size_t number) const { return file_.entries[file_.words + number]; }

  // Returns the most likely label, or the last of those, and the probabilities of the labels with some numbers. Throws
  // std::out_of_range if there is no such label. In a tree of labels, a probability below 1e-5 is 0.
  Prediction predict(std::string_view text, const std::vector<std::size_t>& asked) const;

 private:
  struct Node {
    std::int32_t left = -1, right = -1, parent = -1;
  };
  // The logarithms of the probabilities with which a node leads to its children.
  struct Steps {
    float left, right;
  };

  void build_tree();
  Steps steps(const std::vector<float>& vector, std::size_t node) const;
  void predict_by_tree(const std::vector<float>& vector, Prediction& found) const;
  float probability_by_tree(const std::vector<float>& vector, std::size_t label) const;
  std::vector<float> scores(const std::vector<float>& vector) const;

  FastTextFile file_;
  FastTextWords words_;
  std::vector<Node> tree_;  // a leaf for each label, then the nodes above them; the root is last
};

}  // namespace kernels
