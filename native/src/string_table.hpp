// Strings as numbers, in the order in which they came.
#pragma once

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

// Hash table with open addressing. The strings stay where they are.
class StringTable {
 public:
  StringTable() : seed_(random_seed()), slots_(kLeastSlots, kNone) {}

  std::uint32_t size() const { return static_cast<std::uint32_t>(strings_.size()); }
  std::size_t bytes() const { return bytes_; }
  std::string_view operator[](std::uint32_t number) const { return strings_[number]; }

  // Returns the number of a string, or kNone.
  std::uint32_t find(std::string_view text) const;

  // Returns the number of a string, a new one if the table lacks it.
  std::uint32_t add(std::string_view text);

 private:
  static constexpr std::size_t kLeastSlots = 1024, kBlock = 1 << 16;

  std::uint64_t hash_of(std::string_view text) const;
  std::size_t slot_of(std::string_view text, std::uint64_t hash) const;
  std::string_view keep(std::string_view text);
  void grow();

  std::uint64_t seed_;
  std::vector<std::uint32_t> slots_;  // numbers; the size is a power of two
  std::vector<std::string_view> strings_;
  std::vector<std::uint64_t> hashes_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t block_left_ = 0, bytes_ = 0;
  char* block_at_ = nullptr;
};

}  // namespace kernels
