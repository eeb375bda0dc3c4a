// Values of words that were learned: how much more often what has the word is main text than other text has it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace kernels {

// Words of a class or id, of a block, of a heading; a whole text; words of the address, class or rel of a link.
enum class WordKind : std::uint8_t { kToken, kWord, kHeading, kText, kLink };
constexpr std::size_t kWordKinds = 5;

// Maps hashes of words to small integers, 16 times the log-odds. A word that is unknown has 0.
class Lexicon {
 public:
  Lexicon() { tables_.fill(Table(1)); }

  // Replaces the words of one kind.
  void fill(WordKind kind, const std::vector<std::uint32_t>& keys, const std::vector<std::int8_t>& values);

  int operator()(WordKind kind, std::uint32_t key) const {
    const Table& table = tables_[static_cast<std::size_t>(kind)];
    for (std::size_t at = slot(key, table.size());; at = at + 1 == table.size() ? 0 : at + 1) {
      if (table[at].value == 0) return 0;
      if (table[at].key == key) return table[at].value;
    }
  }

 private:
  struct Entry {
    std::uint32_t key = 0;
    std::int8_t value = 0;  // 0: free
  };
  using Table = std::vector<Entry>;

  static std::size_t slot(std::uint32_t key, std::size_t size) {
    return static_cast<std::size_t>((static_cast<std::uint64_t>(key) * size) >> 32);
  }

  std::array<Table, kWordKinds> tables_;
};

}  // namespace kernels
