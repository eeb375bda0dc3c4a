#include "visible_text.hpp"

#include <algorithm>

#include "html_tokenizer.hpp"
#include "utf8.hpp"

namespace kernels {
namespace {

constexpr std::string_view kHidden[] = {"script", "style", "noscript", "template"};

// Whether a name of a tag is at a place, and no letter, digit or underscore after it.
bool is_name(std::string_view html, std::size_t at, std::string_view name) {
  if (!equals_ignoring_case(html.substr(at, name.size()), name)) return false;
  const char after = at + name.size() < html.size() ? html[at + name.size()] : '>';
  return !is_letter(after) && !(after >= '0' && after <= '9') && after != '_' && static_cast<signed char>(after) >= 0;
}

// Returns the place after the name of an end tag, or the end of the page.
std::size_t after_end_tag(std::string_view html, std::size_t from, std::string_view name) {
  for (std::size_t at = html.find("</", from); at != std::string_view::npos; at = html.find("</", at + 2)) {
    if (is_name(html, at + 2, name)) return at + 2 + name.size();
  }
  return html.size();
}

// Returns the place after a hidden element that begins at a "<", without the ">" of its end tag, or `at` if none does.
std::size_t after_hidden(std::string_view html, std::size_t at) {
  for (const std::string_view name : kHidden) {
    if (is_name(html, at + 1, name)) return after_end_tag(html, at + 1 + name.size(), name);
  }
  return at;
}

// Returns the size of the space that a text begins with: a character that Python's str.isspace knows, or 0.
std::size_t space_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t ahead) {
    return at + ahead < text.size() ? static_cast<unsigned char>(text[at + ahead]) : 0U;
  };
  const unsigned first = byte(0), second = byte(1), third = byte(2);
  if (first < 0x80) return first == ' ' || (first >= 9 && first <= 13) || (first >= 28 && first <= 31);
  if (first == 0xC2) return second == 0x85 || second == 0xA0 ? 2 : 0;
  if (first == 0xE1) return second == 0x9A && third == 0x80 ? 3 : 0;
  if (first == 0xE3) return second == 0x80 && third == 0x80 ? 3 : 0;
  if (first != 0xE2) return 0;
  const bool in_2000 =
      second == 0x80 && ((third >= 0x80 && third <= 0x8A) || third == 0xA8 || third == 0xA9 || third == 0xAF);
  return in_2000 || (second == 0x81 && third == 0x9F) ? 3 : 0;
}

std::string_view stripped(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = space_at(text, 0);
    if (size == 0) break;
    text.remove_prefix(size);
  }
  while (!text.empty()) {
    std::size_t last = text.size() - 1;
    while (last > 0 && !begins_character(text[last])) --last;
    if (last + space_at(text, last) != text.size()) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

// Returns the place after a number of characters, or the end of the text.
std::size_t place_after(std::string_view text, std::size_t chars) {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    if (begins_character(text[at]) && chars-- == 0) break;
  }
  return at;
}

}  // namespace

std::string visible_text(std::string_view html, std::size_t chars, std::size_t least) {
  std::string found;
  std::size_t size = 0, at = 0;  // `size` counts characters, and a line break after each piece
  while (size < chars && at < html.size()) {
    if (html[at] == '<') {
      const std::size_t after = after_hidden(html, at);
      if (after > at) {
        at = after;
        continue;
      }
    }
    std::string_view piece = html.substr(at, html.find('<', at + 1) - at);
    at += piece.size();
    if (at > piece.size() || piece[0] == '<') {  // else the page begins with text
      piece.remove_prefix(std::min(piece.find('>'), piece.size() - 1) + 1);
    }
    if (piece.size() < least) continue;
    piece = stripped(piece);
    const auto count = static_cast<std::size_t>(std::count_if(piece.begin(), piece.end(), begins_character));
    if (count < least) continue;
    if (size > 0) found.push_back('\n');
    found.append(piece.substr(0, place_after(piece, chars - size)));
    size += std::min(count, chars - size) + 1;
  }
  return found;
}

}  // namespace kernels
