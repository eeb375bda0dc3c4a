// Strings as numbers, in the order in which they came.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace kernels {

constexpr std::uint32_t kNone = 0xFFFFFFFF;

// Returns a number that nobody can foresee. Hash functions begin with it, so that no page can be made of strings whose
// hashes are equal. It never shows in a result.
std::uint64_t random_seed();

// Hash table with open addressing. Most strings are found by two reads of memory: their slot, and their entry.
class StringTable {
 public:
  StringTable() : seed_(random_seed()), slots_(kLeastSlots) {}

  std::uint32_t size() const { return static_cast<std::uint32_t>(entries_.size()); }
  std::size_t bytes() const { return bytes_; }

  // A view of a string, until the next one is added.
  std::string_view operator[](std::uint32_t number) const { return entries_[number].view(); }

  // Returns the number of a string, or kNone.
  std::uint32_t find(std::string_view text) const;

  // Returns the number of a string, a new one if the table lacks it.
  std::uint32_t add(std::string_view text);

 private:
  static constexpr std::size_t kLeastSlots = 1024, kBlock = 1 << 16, kInline = 12;

  struct Slot {
    std::uint32_t tag = 0;  // a part of the hash
    std::uint32_t number = kNone;
  };

  // Short strings are in the entry itself, others in a block.
  struct Entry {
    std::uint32_t size;
    std::array<char, kInline> bytes;

    std::string_view view() const;
  };

  std::uint64_t hash_of(std::string_view text) const;
  std::size_t slot_of(std::string_view text, std::uint64_t hash) const;
  Entry entry_of(std::string_view text);
  void grow();

  std::uint64_t seed_;
  std::vector<Slot> slots_;  // the size is a power of two
  std::vector<Entry> entries_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t block_left_ = 0, bytes_ = 0;
  char* block_at_ = nullptr;
};

}  // namespace kernels
