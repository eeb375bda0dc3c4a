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

std::string_view StringTable::Entry::view() const {
  const char* begin = bytes.data();
  if (size > kInline) std::memcpy(&begin, bytes.data(), sizeof begin);
  return {begin, size};
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
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  std::size_t slot = hash & mask;
  for (; slots_[slot].number != kNone; slot = (slot + 1) & mask) {
    if (slots_[slot].tag == tag && entries_[slots_[slot].number].view() == text) break;
  }
  return slot;
}

std::uint32_t StringTable::find(std::string_view text) const { return slots_[slot_of(text, hash_of(text))].number; }

std::uint32_t StringTable::add(std::string_view text) {
  const std::uint64_t hash = hash_of(text);
  std::size_t slot = slot_of(text, hash);
  if (slots_[slot].number != kNone) return slots_[slot].number;
  if (size() >= kNone / 2 || text.size() >= kNone) throw std::length_error("a table holds at most 2^31 short strings");
  if (2 * (entries_.size() + 1) > slots_.size()) {
    grow();
    slot = slot_of(text, hash);
  }
  slots_[slot] = {static_cast<std::uint32_t>(hash >> 32), size()};
  entries_.push_back(entry_of(text));
  bytes_ += text.size();
  return size() - 1;
}

StringTable::Entry StringTable::entry_of(std::string_view text) {
  Entry entry{static_cast<std::uint32_t>(text.size()), {}};
  if (text.size() <= kInline) {
    std::copy(text.begin(), text.end(), entry.bytes.begin());
    return entry;
  }
  if (text.size() > block_left_) {
    block_left_ = std::max(text.size(), kBlock);
    blocks_.push_back(std::make_unique<char[]>(block_left_));
    block_at_ = blocks_.back().get();
  }
  std::copy(text.begin(), text.end(), block_at_);
  std::memcpy(entry.bytes.data(), &block_at_, sizeof block_at_);
  block_at_ += text.size();
  block_left_ -= text.size();
  return entry;
}

void StringTable::grow() {
  slots_.assign(2 * slots_.size(), Slot());
  const std::size_t mask = slots_.size() - 1;
  for (std::uint32_t number = 0; number < size(); ++number) {
    const std::uint64_t hash = hash_of(entries_[number].view());
    std::size_t slot = hash & mask;
    while (slots_[slot].number != kNone) slot = (slot + 1) & mask;
    slots_[slot] = {static_cast<std::uint32_t>(hash >> 32), number};
  }
}

}  // namespace kernels
