#include "parser_hazards.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "html_tokenizer.hpp"

namespace kernels {
namespace {

bool has_controls(std::string_view html) {
  constexpr std::size_t kBlock = 64;
  const auto is_control = [](char c) -> unsigned char {
    const auto code = static_cast<unsigned char>(c);
    return static_cast<unsigned char>((code < ' ') & (code != '\t') & (code != '\n') & (code != '\r'));
  };
  std::size_t at = 0;
  for (; at + kBlock <= html.size(); at += kBlock) {
    unsigned char any = 0;
    for (std::size_t i = 0; i < kBlock; ++i) any = static_cast<unsigned char>(any | is_control(html[at + i]));
    if (any != 0) return true;
  }
  return std::any_of(html.begin() + static_cast<std::ptrdiff_t>(at), html.end(), is_control);
}

bool has_noncharacters(std::string_view html) {
  for (std::size_t at = html.find('\xEF'); at != std::string_view::npos; at = html.find('\xEF', at + 1)) {
    const std::string_view found = html.substr(at, 3);
    if (found == "\xEF\xBF\xBE" || found == "\xEF\xBF\xBF") return true;
  }
  return false;
}

// Returns the digit's value, or -1.
int digit_of(char c, bool is_hex) {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 32);
  return is_hex && lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Returns true if the text after "&#" is the number of a character that can't be written.
bool is_unwritable(std::string_view text) {
  const bool is_hex = !text.empty() && (text[0] | 32) == 'x';
  constexpr std::uint32_t kLast = 0xFFFF;
  std::uint32_t code = 0;
  for (std::size_t at = is_hex ? 1 : 0; at < text.size() && digit_of(text[at], is_hex) >= 0; ++at) {
    code = code * (is_hex ? 16 : 10) + static_cast<std::uint32_t>(digit_of(text[at], is_hex));
    if (code > kLast) return false;
  }
  return (code != 0 && code < ' ' && code != '\t' && code != '\n' && code != '\r') || code >= kLast - 1;
}

bool has_unwritable_references(std::string_view html) {
  for (std::size_t at = html.find('&'); at != std::string_view::npos; at = html.find('&', at + 1)) {
    if (html.substr(at + 1, 1) == "#" && is_unwritable(html.substr(at + 2))) return true;
  }
  return false;
}

}  // namespace

ParserHazards parser_hazards(std::string_view html) {
  return {has_controls(html), has_noncharacters(html), has_unwritable_references(html)};
}

}  // namespace kernels
