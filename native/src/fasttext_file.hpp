// A model file of fastText, which may come from a stranger: every number that leads somewhere is checked.
//
// Source: fastText 0.9.2, fasttext.cc, dictionary.cc, densematrix.cc, quantmatrix.cc, productquantizer.cc.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

namespace kernels {

// Reads the values of a file, one after the other. Throws std::invalid_argument where the file ends too soon.
class ModelReader {
 public:
  explicit ModelReader(std::string_view data) : rest_(data) {}

  template <typename T>
  T value();
  bool flag() { return value<std::uint8_t>() != 0; }
  std::string_view string();
  std::string_view bytes(std::uint64_t count, std::uint64_t size = 1);
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

// Rows of floats, or of codes by a product quantizer: each code stands for the floats of a part of a row.
class ModelMatrix {
 public:
  ModelMatrix() = default;
  ModelMatrix(ModelReader& file, std::size_t columns, bool quantized);

  std::size_t rows() const { return rows_; }

  // Keeps the floats of all rows, if they are codes and there are not many. Adding them is then five times as fast.
  void decode_rows();

  // Adds rows to `sum`, one after the other. Their numbers are below rows().
  void add(const std::vector<std::uint32_t>& rows, std::vector<float>& sum) const;

  // Returns the sum of the products with `vector`, from the first column to the last.
  float dot(std::size_t row, const std::vector<float>& vector) const;

 private:
  struct Quantizer {
    std::string_view centroids;
    std::size_t parts = 0, width = 0;  // the last part may have fewer columns
  };

  static Quantizer quantizer(ModelReader& file, std::size_t columns);
  float norm(std::size_t row) const;
  template <typename Take>
  void decode(std::size_t row, Take take) const;

  std::size_t rows_ = 0, columns_ = 0;
  std::string_view floats_, codes_, norm_codes_;
  Quantizer quantizer_, norms_;
  std::vector<char> decoded_;
};

// The sum of rows of a matrix, in the order in which they are taken. Their numbers are below its number of rows.
class RowSum {
 public:
  RowSum(const ModelMatrix& matrix, std::size_t columns) : matrix_(matrix), sum_(columns) {}

  void take(std::uint32_t row) {
    rows_.push_back(row);
    if (rows_.size() == kAtOnce) add();
  }

  // Returns the average, or nothing if no row was taken.
  std::vector<float> average();

 private:
  static constexpr std::size_t kAtOnce = 1 << 10;

  void add();

  const ModelMatrix& matrix_;
  std::vector<float> sum_;
  std::vector<std::uint32_t> rows_;
  std::uint64_t count_ = 0;
};

enum class Loss : std::uint8_t { kHierarchicalSoftmax = 1, kNegativeSampling = 2, kSoftmax = 3, kOneVersusAll = 4 };

// A model that tells labels. Throws std::invalid_argument, which says what the file is, if it is something else.
struct FastTextFile {
  explicit FastTextFile(std::string_view data);

  std::size_t columns = 0;
  Loss loss = Loss::kSoftmax;
  std::size_t word_ngrams = 0, shortest = 0, longest = 0;  // n-grams of words, and of characters
  std::uint32_t buckets = 0;
  std::vector<std::string_view> entries;  // words, then labels
  std::size_t words = 0;
  std::vector<std::int64_t> label_counts;
  bool all_ngrams = false;                                      // each bucket has a row
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ngrams;  // else, the buckets that have one, with their rows
  ModelMatrix input, output;
};

}  // namespace kernels
