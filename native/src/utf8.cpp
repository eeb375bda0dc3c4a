#include "utf8.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace kernels {
namespace {

constexpr std::uint64_t kHigh = 0x8080808080808080, kOnes = 0x0101010101010101;

// Returns the size of the character that begins with a byte beyond ASCII, or 0 if it is invalid. A surrogate is, and
// so is a character that has a shorter form.
std::size_t character_at(std::string_view bytes, std::size_t at) {
  const auto byte = [&](std::size_t ahead) {
    return at + ahead < bytes.size() ? static_cast<unsigned char>(bytes[at + ahead]) : 0U;
  };
  const auto within = [&](std::size_t ahead, unsigned least, unsigned most) {
    return byte(ahead) >= least && byte(ahead) <= most;
  };
  const unsigned first = byte(0);
  if (first >= 0xC2 && first <= 0xDF) return within(1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool second = within(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF);
    return second && within(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool second = within(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF);
    return second && within(2, 0x80, 0xBF) && within(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::optional<std::size_t> beyond_ascii(std::string_view bytes) {
  std::size_t at = 0, count = 0;
  while (at < bytes.size()) {
    std::uint64_t eight;
    while (bytes.size() - at >= sizeof eight) {
      std::memcpy(&eight, bytes.data() + at, sizeof eight);
      if (((eight | (eight - kOnes)) & kHigh) != 0) break;  // a byte is beyond ASCII, or zero
      at += sizeof eight;
    }
    for (const std::size_t end = std::min(bytes.size(), at + sizeof eight); at < end;) {
      if (static_cast<signed char>(bytes[at]) > 0) {
        ++at;
        continue;
      }
      const std::size_t size = character_at(bytes, at);
      if (size == 0) return std::nullopt;
      at += size;
      count += size;
    }
  }
  return count;
}

}  // namespace kernels
