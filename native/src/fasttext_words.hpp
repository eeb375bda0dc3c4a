// The rows of a fastText model that a text is made of: those of its words, and of n-grams of characters and of words.
//
// Sources: fastText 0.9.2, dictionary.cc; Bojanowski et al. 2017, arXiv:1607.04606.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fasttext_file.hpp"

namespace kernels {

// Items of a text in their order: rows of words, and hashes of n-grams.
class TextItems {
 public:
  static constexpr std::size_t kMost = 1 << 10;

  bool has_space(std::size_t items) const { return size_ + items <= kMost; }
  void add_row(std::size_t row) { items_[size_++] = kIsRow | row; }
  void add_hash(std::uint32_t hash) { items_[size_++] = hash; }

 private:
  friend class NgramRows;
  static constexpr std::uint64_t kIsRow = std::uint64_t{1} << 32;

  std::array<std::uint64_t, kMost> items_;
  std::size_t size_ = 0;
};

// The rows of n-grams: of all buckets, or of those that a model kept.
class NgramRows {
 public:
  explicit NgramRows(const FastTextFile& file);

  // Takes the rows of all items, and removes the items.
  void take(TextItems& items, RowSum& rows) const;

 private:
  std::uint32_t bucket_of(std::uint32_t hash) const;
  std::size_t place(std::uint64_t bucket) const;

  bool all_;
  std::uint32_t words_, buckets_;
  std::uint64_t inverse_;              // of the number of buckets, to divide by it
  std::vector<std::uint64_t> kept_;    // a bit for each bucket
  std::vector<std::uint32_t> before_;  // for each 64 bits, the number of buckets before them that were kept
  std::vector<std::uint32_t> rows_;    // of the buckets that were kept
};

class FastTextWords {
 public:
  // `file` must outlive this object. Throws std::invalid_argument if its words were chosen to be found slowly.
  explicit FastTextWords(const FastTextFile& file);

  // Takes the rows of a text, in fastText's order.
  void take_rows(std::string_view text, RowSum& rows) const;

 private:
  struct Entry {
    std::uint32_t hash = 0;
    std::uint32_t number = 0;  // of a word or label, plus one; 0: free
  };

  const Entry* search(std::string_view token, std::uint32_t hash) const;
  void take_ngrams(const std::string& characters, TextItems& items, RowSum& rows) const;
  void take_ngrams(const std::vector<std::uint32_t>& words, TextItems& items, RowSum& rows) const;

  const FastTextFile& file_;
  NgramRows ngrams_;
  std::vector<Entry> entries_;  // a table; its size is a power of two
};

}  // namespace kernels
