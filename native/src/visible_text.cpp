#include "visible_text.hpp"

#include <algorithm>

#include "html_tokenizer.hpp"
#include "unicode_text.hpp"
#include "utf8.hpp"

namespace kernels {
namespace {

constexpr std::string_view kHidden[] = {"script", "style", "noscript", "template"};

// Whether a name of a tag is at a place, and no letter, digit or underscore of any script after it.
bool is_name(std::string_view html, std::size_t at, std::string_view name) {
  const std::size_t end = at + name.size();
  return is_at(html, at, name) && (end >= html.size() || (class_at(html, end) & kWordChar) == 0);
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
    const std::size_t count = count_chars(piece);
    if (count < least) continue;
    if (size > 0) found.push_back('\n');
    found.append(piece.substr(0, place_after(piece, chars - size)));
    size += std::min(count, chars - size) + 1;
  }
  return found;
}

}  // namespace kernels
