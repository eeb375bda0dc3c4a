// Finds rare words in long texts.
#pragma once

#include <cstddef>
#include <string_view>

namespace kernels {

// Three letters of a word, with their distances from its beginning. They match in any case.
struct Signs {
  std::size_t first_at, second_at, third_at;
  char first, second, third;  // in lower case; other characters than letters match themselves
};

// Returns the next place of the three signs, or npos. 64 places are looked at together, which compilers turn into
// vector instructions. So this is several times as fast as a search for a word whose first letter is frequent.
template <const Signs& kSigns>
std::size_t find_signs(std::string_view text, std::size_t from) {
  constexpr std::size_t kBlock = 64, kReach = kSigns.third_at;
  static_assert(kSigns.first_at <= kReach && kSigns.second_at <= kReach);
  const char* bytes = text.data();
  const auto is_sign = [](char c, char sign) -> unsigned char {
    return (c | (sign >= 'a' && sign <= 'z' ? 32 : 0)) == sign;
  };
  const auto matches = [&](std::size_t at) {
    return is_sign(bytes[at + kSigns.first_at], kSigns.first) & is_sign(bytes[at + kSigns.second_at], kSigns.second) &
           is_sign(bytes[at + kSigns.third_at], kSigns.third);
  };
  std::size_t at = from;
  for (; at + kBlock + kReach <= text.size(); at += kBlock) {
    unsigned char any = 0;
    for (std::size_t i = 0; i < kBlock; ++i) any = static_cast<unsigned char>(any | matches(at + i));
    if (any == 0) continue;
    for (std::size_t i = 0; i < kBlock; ++i) {
      if (matches(at + i)) return at + i;
    }
  }
  for (; at + kReach < text.size(); ++at) {
    if (matches(at)) return at;
  }
  return std::string_view::npos;
}

}  // namespace kernels
