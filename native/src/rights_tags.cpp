#include "rights_tags.hpp"

#include <algorithm>

#include "byte_search.hpp"
#include "html_tokenizer.hpp"

namespace kernels {
namespace {

constexpr std::size_t kMostOfValue = 60;  // bytes of an attribute's value before a part that tells

bool ends_value(char c) { return c == '"' || c == '\'' || c == '<' || c == '>'; }
bool is_word(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// Returns where the value of an attribute begins whose name ends at a byte, or npos.
std::size_t value_after(std::string_view text, std::size_t at) {
  const auto pass_spaces = [&] {
    while (at < text.size() && is_blank(text[at])) ++at;
  };
  pass_spaces();
  if (at >= text.size() || text[at] != '=') return std::string_view::npos;
  ++at;
  pass_spaces();
  if (at < text.size() && (text[at] == '"' || text[at] == '\'')) ++at;
  return at;
}

// Returns true if a name in a tag of lower case has numbers for characters. It may be any name.
bool has_coded_name(std::string_view tag) {
  if (!has(tag, "&#")) return false;
  for (const std::string_view name : {"name", "equiv", "property"}) {
    for (std::size_t at = tag.find(name); at != std::string_view::npos; at = tag.find(name, at + 1)) {
      std::size_t value = value_after(tag, at + name.size());
      for (std::size_t i = 0; i <= kMostOfValue && value < tag.size(); ++i, ++value) {
        if (tag.substr(value, 2) == "&#") return true;
        if (ends_value(tag[value])) break;
      }
    }
  }
  return false;
}

// Returns true if the byte before `at` is an l that begins the value of an attribute for licences, or nearly so, or
// the path of a deed of Creative Commons.
bool declares(std::string_view markup, std::size_t at) {
  constexpr std::size_t kLookBack = 100;
  constexpr std::string_view kDeeds = "creativecommons.org/";
  if (at == 0 || (markup[at - 1] | 32) != 'l') return false;
  const std::size_t end = at - 1, from = at - std::min(at, kLookBack);
  if (end >= from + kDeeds.size() && is_at(markup, end - kDeeds.size(), kDeeds)) return true;
  for (std::size_t start = from; start < end; ++start) {
    if (start > 0 && is_word(markup[start - 1])) continue;
    for (const std::string_view name : {"rel", "itemprop", "property", "name"}) {
      if (!is_at(markup, start, name)) continue;
      const std::size_t value = value_after(markup.substr(0, end), start + name.size());
      if (value == std::string_view::npos || end - value > kMostOfValue) continue;
      const std::string_view before = markup.substr(value, end - value);
      if (std::none_of(before.begin(), before.end(), ends_value)) return true;
    }
  }
  return false;
}

// "license" as a key of JSON, whose second letter is at a byte
bool is_key(std::string_view markup, std::size_t at) {
  constexpr std::string_view kKey = "\"license\"";
  if (at < 2 || markup.substr(at - 2, kKey.size()) != kKey) return false;
  std::size_t end = at - 2 + kKey.size();
  for (int i = 0; i < 9 && end < markup.size() && is_blank(markup[end]); ++i) ++end;
  return end < markup.size() && markup[end] == ':';
}

}  // namespace

bool may_opt_out(std::string_view markup, const std::vector<std::string>& names) {
  static constexpr Signs kMeta = {0, 1, 4, '<', 'm', 'a'};
  std::string tag;
  for (std::size_t at = 0; (at = find_signs<kMeta>(markup, at)) != std::string_view::npos; ++at) {
    if (!is_at(markup, at + 1, "meta")) continue;
    tag = markup.substr(at + 1, std::min(markup.find('<', at + 1), markup.size()) - at - 1);
    for (char& c : tag) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 32 : c);
    const bool named = std::any_of(names.begin(), names.end(), [&](const std::string& name) { return has(tag, name); });
    if (!named && !has_coded_name(tag)) continue;
    for (const std::string_view value : {"noai", "noml", "noimageai", "noindex", "none", "tdm-", "&#"}) {
      if (has(tag, value)) return true;
    }
  }
  return false;
}

bool may_license(std::string_view markup) {
  constexpr std::string_view kRest = "icense";
  static constexpr Signs kLicense = {1, 3, 4, 'c', 'n', 's'};
  for (std::size_t at = 0; (at = find_signs<kLicense>(markup, at)) != std::string_view::npos; ++at) {
    if (markup.substr(at, kRest.size()) == kRest && (declares(markup, at) || is_key(markup, at))) return true;
  }
  return false;
}

}  // namespace kernels
