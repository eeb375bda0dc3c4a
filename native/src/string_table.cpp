#include "string_table.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>

namespace kernels {
namespace {

constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

std::uint64_t random_seed() {
  std::random_device device;
  return static_cast<std::uint64_t>(device()) << 32 | device();
}

std::uint64_t StringTable::hash_of(std::string_view text) const {
  std::uint64_t hash = seed_ ^ text.size() * kOdd;
  while (!text.empty()) {
    std::uint64_t part = 0;
    const std::size_t size = std::min<std::size_t>(text.size(), 8);
    std::memcpy(&part, text.data(), size);
    hash = mix(hash ^ part, kOdd);
    text.remove_prefix(size);
  }
  return mix(hash, seed_ | 1);
}

std::size_t StringTable::slot_of(std::string_view text, std::uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash & mask;
  for (; slots_[slot] != kNone; slot = (slot + 1) & mask) {
    if (hashes_[slots_[slot]] == hash && strings_[slots_[slot]] == text) break;
  }
  return slot;
}

std::uint32_t StringTable::find(std::string_view text) const { return slots_[slot_of(text, hash_of(text))]; }

std::uint32_t StringTable::add(std::string_view text) {
  const std::uint64_t hash = hash_of(text);
  std::size_t slot = slot_of(text, hash);
  if (slots_[slot] != kNone) return slots_[slot];
  if (size() + 1 >= kNone / 2) throw std::length_error("a table holds at most 2^31 strings");
  if (2 * (strings_.size() + 1) > slots_.size()) {
    grow();
    slot = slot_of(text, hash);
  }
  slots_[slot] = size();
  strings_.push_back(keep(text));
  hashes_.push_back(hash);
  bytes_ += text.size();
  return size() - 1;
}

std::string_view StringTable::keep(std::string_view text) {
  if (text.size() > block_left_) {
    block_left_ = std::max(text.size(), kBlock);
    blocks_.push_back(std::make_unique<char[]>(block_left_));
    block_at_ = blocks_.back().get();
  }
  char* kept = block_at_;
  std::memcpy(kept, text.data(), text.size());
  block_at_ += text.size();
  block_left_ -= text.size();
  return {kept, text.size()};
}

void StringTable::grow() {
  slots_.assign(2 * slots_.size(), kNone);
  const std::size_t mask = slots_.size() - 1;
  for (std::uint32_t number = 0; number < size(); ++number) {
    std::size_t slot = hashes_[number] & mask;
    while (slots_[slot] != kNone) slot = (slot + 1) & mask;
    slots_[slot] = number;
  }
}

}  // namespace kernels
