#include "fasttext_file.hpp"

#include <algorithm>
#include <cstring>

namespace kernels {
namespace {

constexpr std::int32_t kMagic = 793712314, kSupervised = 3;
constexpr std::int64_t kMostCounted = 1'000'000'000'000'000;  // from here on, fastText takes a node for absent
constexpr std::int32_t kLongestNgram = 100;                   // so that time grows with a text, not with its square
constexpr std::int32_t kMostPruned = 1 << 27;                 // buckets, for each of which a bit is kept
constexpr std::size_t kCentroids = 256;
constexpr std::size_t kMostDecoded = 16 << 20;  // bytes

void require(bool holds) {
  if (!holds) throw std::invalid_argument("it is damaged");
}

float float_at(const char* floats, std::size_t place) {
  float value;
  std::memcpy(&value, floats + place * sizeof value, sizeof value);
  return value;
}

// Adds columns of rows, `Width` at a time, from column `from` on. Returns the first column that is left.
template <std::size_t Width>
std::size_t add_columns(const char* floats, const std::vector<std::uint32_t>& rows, std::vector<float>& sum,
                        std::size_t from) {
  for (; from + Width <= sum.size(); from += Width) {
    float part[Width];
    std::copy_n(sum.begin() + static_cast<std::ptrdiff_t>(from), Width, part);
    for (const std::uint32_t row : rows) {
      const char* const here = floats + (row * sum.size() + from) * sizeof(float);
      for (std::size_t i = 0; i < Width; ++i) part[i] += float_at(here, i);
    }
    std::copy_n(part, Width, sum.begin() + static_cast<std::ptrdiff_t>(from));
  }
  return from;
}

}  // namespace

template <typename T>
T ModelReader::value() {
  T found;
  std::memcpy(&found, bytes(sizeof found).data(), sizeof found);
  return found;
}

std::string_view ModelReader::bytes(std::uint64_t count, std::uint64_t size) {
  require(count <= rest_.size() / size);
  const std::string_view found = rest_.substr(0, count * size);
  rest_.remove_prefix(found.size());
  return found;
}

std::string_view ModelReader::string() {
  const std::size_t end = rest_.find('\0');
  require(end != std::string_view::npos);
  const std::string_view found = rest_.substr(0, end);
  rest_.remove_prefix(end + 1);
  return found;
}

ModelMatrix::ModelMatrix(ModelReader& file, std::size_t columns, bool quantized) : columns_(columns) {
  const bool with_norms = quantized && file.flag();
  const auto rows = file.value<std::int64_t>();
  require(rows >= 0 && file.value<std::int64_t>() == static_cast<std::int64_t>(columns));
  rows_ = static_cast<std::size_t>(rows);
  if (!quantized) {
    floats_ = file.bytes(rows_, columns * sizeof(float));
    return;
  }
  const auto size = file.value<std::int32_t>();
  require(size >= 0);
  codes_ = file.bytes(static_cast<std::uint64_t>(size));
  quantizer_ = quantizer(file, columns);
  require(codes_.size() % quantizer_.parts == 0 && codes_.size() / quantizer_.parts == rows_);
  if (with_norms) {
    norm_codes_ = file.bytes(rows_);
    norms_ = quantizer(file, 1);
  }
}

void ModelMatrix::decode_rows() {
  if (codes_.empty() || rows_ > kMostDecoded / sizeof(float) / columns_) return;
  decoded_.resize(rows_ * columns_ * sizeof(float));
  for (std::size_t row = 0; row < rows_; ++row) {
    const float length = norm(row);
    decode(row, [&](std::size_t column, float value) {
      const float product = length * value;
      std::memcpy(&decoded_[(row * columns_ + column) * sizeof product], &product, sizeof product);
    });
  }
}

ModelMatrix::Quantizer ModelMatrix::quantizer(ModelReader& file, std::size_t columns) {
  std::size_t sizes[4];
  for (std::size_t& size : sizes) {
    const auto value = file.value<std::int32_t>();
    require(value > 0);
    size = static_cast<std::size_t>(value);
  }
  const auto [all, parts, width, last] = sizes;
  require(all == columns && last <= width && (parts - 1) * width + last == columns);
  return {file.bytes(columns, kCentroids * sizeof(float)), parts, width};
}

float ModelMatrix::norm(std::size_t row) const {
  if (norm_codes_.empty()) return 1;
  return float_at(norms_.centroids.data(), static_cast<unsigned char>(norm_codes_[row]));
}

// Calls `take` with each column of a row, and its value before it is multiplied by the norm.
template <typename Take>
void ModelMatrix::decode(std::size_t row, Take take) const {
  const auto [centroids, parts, width] = quantizer_;
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t first = part * width, size = std::min(width, columns_ - first);
    const std::size_t code = static_cast<unsigned char>(codes_[row * parts + part]);
    for (std::size_t i = 0; i < size; ++i) {
      take(first + i, float_at(centroids.data(), first * kCentroids + code * size + i));
    }
  }
}

void ModelMatrix::add(const std::vector<std::uint32_t>& rows, std::vector<float>& sum) const {
  if (codes_.empty() || !decoded_.empty()) {
    const char* const floats = codes_.empty() ? floats_.data() : decoded_.data();
    std::size_t from = add_columns<16>(floats, rows, sum, 0);
    from = add_columns<4>(floats, rows, sum, from);
    add_columns<1>(floats, rows, sum, from);
    return;
  }
  for (const std::uint32_t row : rows) {
    const float length = norm(row);
    decode(row, [&](std::size_t column, float value) { sum[column] += length * value; });
  }
}

float ModelMatrix::dot(std::size_t row, const std::vector<float>& vector) const {
  float sum = 0;
  if (!codes_.empty()) {
    decode(row, [&](std::size_t column, float value) { sum += vector[column] * value; });
    return sum * norm(row);
  }
  const char* const here = floats_.data() + row * columns_ * sizeof(float);
  for (std::size_t column = 0; column < columns_; ++column) sum += float_at(here, column) * vector[column];
  return sum;
}

void RowSum::add() {
  matrix_.add(rows_, sum_);
  count_ += rows_.size();
  rows_.clear();
}

std::vector<float> RowSum::average() {
  add();
  if (count_ == 0) return {};
  const auto share = static_cast<float>(1.0 / static_cast<double>(count_));
  for (float& value : sum_) value *= share;
  return sum_;
}

FastTextFile::FastTextFile(std::string_view data) {
  ModelReader file(data);
  require(file.value<std::int32_t>() == kMagic);
  const auto version = file.value<std::int32_t>();
  std::int32_t settings[12];
  for (std::int32_t& setting : settings) setting = file.value<std::int32_t>();
  const auto [dim, window, epochs, least, negatives, of_words, loss_number, kind, bucket, minn, maxn, rate] = settings;
  file.value<double>();
  if (kind != kSupervised) throw std::invalid_argument("it is not a classifier");
  require((version == 11 || version == 12) && dim > 0 && loss_number >= 1 && loss_number <= 4);
  require(of_words >= 0 && of_words <= kLongestNgram && minn >= 0 && maxn >= 0 && maxn <= kLongestNgram);
  columns = static_cast<std::size_t>(dim);
  loss = static_cast<Loss>(loss_number);
  word_ngrams = static_cast<std::size_t>(of_words);
  shortest = static_cast<std::size_t>(minn);
  longest = version == 11 ? 0 : static_cast<std::size_t>(maxn);
  require(bucket > 0 || (bucket == 0 && longest == 0 && word_ngrams < 2));
  buckets = static_cast<std::uint32_t>(bucket);

  const auto size = file.value<std::int32_t>(), word_count = file.value<std::int32_t>();
  const auto label_count = file.value<std::int32_t>();
  file.value<std::int64_t>();
  const auto pruned = file.value<std::int64_t>();
  require(label_count > 0 && word_count >= 0 && size >= label_count && size - label_count == word_count);
  words = static_cast<std::size_t>(word_count);
  std::int64_t counted = 0;
  for (std::int32_t i = 0; i < size; ++i) {
    entries.push_back(file.string());
    const auto count = file.value<std::int64_t>();
    require((file.value<std::int8_t>() != 0) == (i >= word_count));
    if (i < word_count) continue;
    require(count >= 0 && count < kMostCounted - counted);
    counted += count;
    label_counts.push_back(count);
  }
  std::uint64_t rows = words;
  all_ngrams = pruned < 0;
  require(all_ngrams || bucket <= kMostPruned);
  if (all_ngrams) {
    rows += buckets;
  } else {
    ModelReader pairs(file.bytes(static_cast<std::uint64_t>(pruned), 2 * sizeof(std::int32_t)));
    while (!pairs.at_end()) {
      const auto from = pairs.value<std::int32_t>(), to = pairs.value<std::int32_t>();
      require(from >= 0 && from < bucket && to >= 0);
      ngrams.emplace_back(static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(words + to));
      rows = std::max<std::uint64_t>(rows, ngrams.back().second + 1);
    }
  }
  const bool quantized = file.flag();
  require(quantized || all_ngrams);
  input = ModelMatrix(file, columns, quantized);
  input.decode_rows();
  const bool output_too = file.flag();
  output = ModelMatrix(file, columns, quantized && output_too);
  require(file.at_end() && rows <= input.rows() && output.rows() == label_counts.size());
}

}  // namespace kernels
