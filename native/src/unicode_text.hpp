// Characters of UTF-8, and the runs of characters between whitespace, as Python sees them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "utf8.hpp"

namespace kernels {

// What a character is, as bits: str.isspace, str.isalpha, str.isdecimal, a category that begins with P, whether
// str.splitlines ends a line at it, and \w.
enum CharClass : std::uint8_t {
  kSpaceChar = 1,
  kLetterChar = 2,
  kDigitChar = 4,
  kPunctuationChar = 8,
  kLineEndChar = 16,
  kWordChar = 32,
};

// Returns the bits of CharClass.
std::uint8_t class_of(char32_t code);

struct Char {
  char32_t code;
  std::size_t size;  // in bytes
};

// Reads the character that begins at a byte. Lone surrogates are characters. A byte that begins no whole character is
// one by itself.
inline Char char_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const std::size_t left = text.size() - at;
  const char32_t lead = byte(0);
  if (lead < 0xC2) return {lead, 1};
  if (lead < 0xE0 && left >= 2) return {(lead & 31) << 6 | (byte(1) & 63U), 2};
  if (lead < 0xF0 && left >= 3) return {(lead & 15) << 12 | (byte(1) & 63U) << 6 | (byte(2) & 63U), 3};
  if (left >= 4) return {(lead & 7) << 18 | (byte(1) & 63U) << 12 | (byte(2) & 63U) << 6 | (byte(3) & 63U), 4};
  return {lead, 1};
}

inline std::uint8_t class_at(std::string_view text, std::size_t at) { return class_of(char_at(text, at).code); }

inline std::size_t count_chars(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += begins_character(c) ? 1 : 0;
  return count;
}

inline bool is_ascii(std::string_view text) {
  unsigned char all = 0;
  for (const char c : text) all |= static_cast<unsigned char>(c);
  return all < 0x80;
}

inline bool is_ascii_space(char c) { return (c >= '\t' && c <= '\r') || (c >= '\x1c' && c <= ' '); }

// Returns the bytes of the whitespace that begins at a byte, 0 if there is none.
inline std::size_t space_at(std::string_view text, std::size_t at) {
  if (static_cast<unsigned char>(text[at]) < 0x80) return is_ascii_space(text[at]) ? 1 : 0;
  const Char c = char_at(text, at);
  return (class_of(c.code) & kSpaceChar) != 0 ? c.size : 0;
}

// Calls `found(begin, end)` for each run of characters without whitespace, as str.split finds them.
template <typename Found>
void each_stretch(std::string_view text, Found found) {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t space = space_at(text, at); space != 0) {
      if (at > begin) found(begin, at);
      begin = at += space;
    } else {
      at += static_cast<unsigned char>(text[at]) < 0x80 ? 1 : char_at(text, at).size;
    }
  }
  if (text.size() > begin) found(begin, text.size());
}

inline std::size_t count_stretches(std::string_view text) {
  std::size_t count = 0;
  each_stretch(text, [&](std::size_t, std::size_t) { ++count; });
  return count;
}

// Calls `found(begin, end)` for each line, as str.splitlines finds them.
template <typename Found>
void each_line(std::string_view text, Found found) {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Char c = char_at(text, at);
    const std::size_t end = at;
    at += c.size;
    if ((class_of(c.code) & kLineEndChar) == 0) continue;
    if (c.code == '\r' && at < text.size() && text[at] == '\n') ++at;
    found(begin, end);
    begin = at;
  }
  if (text.size() > begin) found(begin, text.size());
}

// Returns the text without the whitespace at its ends, as str.strip does.
std::string_view stripped(std::string_view text);

}  // namespace kernels
