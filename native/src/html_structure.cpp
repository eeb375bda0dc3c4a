#include "html_structure.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>

#include "html_tokenizer.hpp"

namespace kernels {
namespace {

constexpr std::size_t kLongTag = 1000;  // attributes are counted in tags of this many bytes or more

// Five bits: letters without case, one value for digits, one for signs in names, 0 for the rest.
constexpr std::uint32_t letter(char byte) {
  if (byte >= 'a' && byte <= 'z') return static_cast<std::uint32_t>(byte - 'a' + 1);
  if (byte >= 'A' && byte <= 'Z') return static_cast<std::uint32_t>(byte - 'A' + 1);
  if (byte >= '0' && byte <= '9') return 27;
  return byte == '-' || byte == ':' || byte == '_' ? 28 : 0;
}

// The first three letters of a name. No letter follows a byte that is none.
constexpr std::uint32_t start_of(char first, char second, char third) {
  return letter(first) << 10 | letter(second) << 5 | (letter(second) != 0 ? letter(third) : 0);
}

// Elements that hold no others, end by themselves, or are written <path/>.
constexpr const char* kFlat[] = {"area",   "base", "br",    "col",     "embed",   "hr",    "img",   "input",
                                 "link",   "meta", "param", "source",  "track",   "wbr",   "p",     "li",
                                 "dt",     "dd",   "tr",    "td",      "th",      "thead", "tbody", "tfoot",
                                 "option", "rp",   "rt",    "script",  "style",   "title", "path",  "circle",
                                 "rect",   "use",  "line",  "polygon", "ellipse", "stop"};

// Whether the elements whose names start so nest: all but those, and names that begin with no letter.
constexpr auto kNests = [] {
  std::array<bool, 1 << 15> nests{};
  for (std::size_t i = 1 << 10; i < (27 << 10); ++i) nests[i] = true;
  for (const char* name : kFlat) nests[start_of(name[0], name[1], name[1] == '\0' ? '\0' : name[2])] = false;
  return nests;
}();

// Counts the attributes in a tag that begins with its name: what follows spaces or slashes.
std::size_t attributes_in(std::string_view tag) {
  std::size_t count = 0, at = 0;
  const auto skip = [&](auto&& some) {
    const std::size_t start = at;
    while (at < tag.size() && some(tag[at])) ++at;
    return at > start;
  };
  while (at < tag.size()) {
    skip([](char byte) { return !is_blank(byte) && byte != '/'; });
    skip([](char byte) { return is_blank(byte) || byte == '/'; });
    if (!skip([](char byte) { return !is_blank(byte) && byte != '/' && byte != '='; })) continue;
    ++count;
    const std::size_t name_end = at;
    skip(is_blank);
    if (at == tag.size() || tag[at] != '=') {
      at = name_end;
      continue;
    }
    ++at;
    skip(is_blank);
    if (at == tag.size()) {
      at = name_end;
      continue;
    }
    const char quote = tag[at];
    if (quote == '"' || quote == '\'') {
      ++at;
      skip([&](char byte) { return byte != quote; });
      at += at < tag.size();
    } else {
      skip([](char byte) { return !is_blank(byte) && byte != '"' && byte != '\''; });
    }
  }
  return count;
}

std::size_t find_tag(std::string_view html, std::string_view tag, std::size_t from) {
  std::size_t at = html.find('<', from);
  while (at != std::string_view::npos && !is_at(html, at, tag)) at = html.find('<', at + 1);
  return at;
}

// Returns the page without scripts, styles and comments, up to the first that is not closed.
std::string without_scripts(std::string_view html) {
  std::string rest;
  std::size_t from = 0;
  for (std::size_t at = html.find('<'); at != std::string_view::npos; at = html.find('<', at + 1)) {
    const std::string_view tag = is_at(html, at, "<script") ? "<script" : is_at(html, at, "<style") ? "<style" : "<!--";
    if (!is_at(html, at, tag)) continue;
    rest.append(html.substr(from, at - from));
    const std::size_t inside = at + tag.size();
    from = tag == "<!--" ? html.find("-->", inside) : find_tag(html, std::string("</").append(tag.substr(1)), inside);
    if (from == std::string_view::npos) return rest;
    at = std::max(inside, from) - 1;
  }
  return rest.append(html.substr(from));
}

void add_tag(std::string_view html, std::size_t start, std::size_t& level, std::size_t& deepest) {
  const auto byte = [&](std::size_t place) { return place < html.size() ? html[place] : '\0'; };
  const bool ends = byte(start + 1) == '/';
  const std::size_t name = start + (ends ? 2 : 1);
  if (!kNests[start_of(byte(name), byte(name + 1), byte(name + 2))]) return;
  if (!ends)
    deepest = std::max(deepest, ++level);
  else if (level > 0)
    --level;  // an end tag without a start tag must not lower the level
}

}  // namespace

HtmlStructure structure_of(std::string_view html, std::size_t sure_depth) {
  HtmlStructure found;
  std::size_t level = 0;
  for (std::size_t start = html.find('<'); start != std::string_view::npos;) {
    const std::size_t next = html.find('<', start + 1), end = std::min(next, html.size());
    ++found.tags;
    add_tag(html, start, level, found.depth);
    const std::string_view tag = html.substr(start + 1, end - start - 1);
    const std::size_t size = tag.size() + 1 < kLongTag ? 0 : std::min(tag.find('>'), tag.size());
    if (size + 1 >= kLongTag && is_letter(tag[0])) {
      found.attributes = std::max(found.attributes, attributes_in(tag.substr(0, size)));
    }
    start = next;
  }
  if (found.depth <= sure_depth) return found;
  // 38 real pages were above 125, and all of them had 66 or less without their scripts
  const std::string rest = without_scripts(html);
  found.depth = level = 0;
  for (std::size_t at = rest.find('<'); at != std::string::npos; at = rest.find('<', at + 1)) {
    add_tag(rest, at, level, found.depth);
  }
  return found;
}

}  // namespace kernels
