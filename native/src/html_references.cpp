#include "html_references.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace kernels {
namespace {

struct Named {
  std::string_view name;  // without '&', with ';' where the standard asks for it
  std::string_view text;
};

constexpr Named kNamed[] = {
#include "html_named_references.inc"
};

constexpr std::size_t kLongest = 32;  // "CounterClockwiseContourIntegral;"

// What browsers show for numbers of control characters: the characters of windows-1252.
constexpr std::array<char16_t, 32> kWindows1252 = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178,
};

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

int digit_of(char c, bool hex) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 32);
  return hex && lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::size_t read_number(std::string_view text, std::string& out) {
  std::size_t at = 2;
  const bool hex = at < text.size() && (text[at] | 32) == 'x';
  if (hex) ++at;
  const std::size_t first = at;
  std::uint32_t code = 0;
  for (; at < text.size(); ++at) {
    const int digit = digit_of(text[at], hex);
    if (digit < 0) break;
    code = std::min<std::uint32_t>(code * (hex ? 16 : 10) + static_cast<std::uint32_t>(digit), 0x110000);
  }
  if (at == first) return 0;
  if (at < text.size() && text[at] == ';') ++at;
  if (code >= 0x80 && code < 0xA0) code = kWindows1252[code - 0x80];
  if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
  append_utf8(out, code);
  return at;
}

}  // namespace

void append_utf8(std::string& out, char32_t code) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6), put(0x80 | (code & 63));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12), put(0x80 | ((code >> 6) & 63)), put(0x80 | (code & 63));
  } else {
    put(0xF0 | code >> 18), put(0x80 | ((code >> 12) & 63)), put(0x80 | ((code >> 6) & 63)), put(0x80 | (code & 63));
  }
}

std::size_t read_reference(std::string_view text, bool in_attribute, std::string& out) {
  if (text.size() < 2) return 0;
  if (text[1] == '#') return read_number(text, out);
  std::size_t length = 0;
  const std::string_view rest = text.substr(1, kLongest);
  while (length < rest.size() && is_alphanumeric(rest[length])) ++length;
  if (length < rest.size() && rest[length] == ';') ++length;
  for (; length >= 2; --length) {  // the longest name wins
    const std::string_view name = rest.substr(0, length);
    const auto* found = std::lower_bound(std::begin(kNamed), std::end(kNamed), name,
                                         [](const Named& one, std::string_view other) { return one.name < other; });
    if (found == std::end(kNamed) || found->name != name) continue;
    if (in_attribute && name.back() != ';' && length + 1 < text.size()) {
      const char next = text[length + 1];
      if (next == '=' || is_alphanumeric(next)) return 0;
    }
    out.append(found->text);
    return length + 1;
  }
  return 0;
}

std::string without_references(std::string_view text, bool in_attribute) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t ampersand = std::min(text.find('&'), text.size());
    out.append(text.substr(0, ampersand));
    text.remove_prefix(ampersand);
    if (text.empty()) break;
    const std::size_t used = read_reference(text, in_attribute, out);
    if (used == 0) out.push_back('&');
    text.remove_prefix(std::max<std::size_t>(used, 1));
  }
  return out;
}

}  // namespace kernels
