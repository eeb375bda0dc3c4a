#include "english_rules.hpp"

#include <algorithm>
#include <array>

#include "html_tokenizer.hpp"
#include "unicode_text.hpp"

namespace kernels {
namespace {

enum Kind : std::uint16_t {
  kLower = 1,
  kUpper = 2,
  kDigit = 4,
  kPrefix = 8,       // a token of its own at the beginning
  kSuffix = 16,      // a token of its own at the end
  kInfix = 32,       // a token of its own anywhere
  kQuote = 64,       // a full stop between it and a letter is a token
  kBeforeDot = 128,  // a full stop after it at the end is a token
  kCurrency = 256,   // a token at the end after a digit
  kUnknown = 512,
  kLetter = kLower | kUpper,
  kMark = kPrefix | kSuffix | kBeforeDot,
};

constexpr bool is_one_of(char32_t code, std::u32string_view codes) {
  return codes.find(code) != std::u32string_view::npos;
}

constexpr std::uint16_t kind_of_ascii(char32_t code) {
  if (code >= 'a' && code <= 'z') return kLower | kBeforeDot;
  if (code >= 'A' && code <= 'Z') return kUpper;
  if (code >= '0' && code <= '9') return kDigit | kBeforeDot;
  if (is_one_of(code, U"'\"`,")) return kMark | kQuote;
  if (is_one_of(code, U":;!?()[]{}<>_#*&")) return kMark;
  if (is_one_of(code, U"-+|")) return kBeforeDot;
  if (code == '%') return kPrefix | kBeforeDot;
  if (code == '$') return kPrefix | kCurrency;
  return code == '=' ? kPrefix : 0;
}

std::uint16_t kind_of_wide(char32_t code) {
  if (code >= 0xC0 && code <= 0xFF && code != U'×' && code != U'÷') {
    return code < 0xDF ? kUpper : kLower | kBeforeDot;
  }
  if (is_one_of(code, U"“”‘’‚„´«»")) return kMark | kQuote;
  if (is_one_of(code, U"°¦©®™\uFFFD")) return kPrefix | kSuffix | kInfix;
  if (is_one_of(code, U"£€¥")) return kPrefix | kCurrency;
  if (is_one_of(code, U"–—")) return kPrefix | kSuffix;
  if (is_one_of(code, U"¡¿·")) return kMark;
  if (code == U'…') return kMark | kInfix;
  if (code == U'§') return kPrefix;
  if (code == U'²') return kBeforeDot;
  return (code >= 0x80 && code <= 0xFF) || is_one_of(code, U"•′″−") ? 0 : kUnknown;
}

constexpr auto kAscii = [] {
  std::array<std::uint16_t, 128> kinds{};
  for (char32_t code = 0; code < kinds.size(); ++code) kinds[code] = kind_of_ascii(code);
  return kinds;
}();

// Units of measure in order, which are tokens at the end after a digit.
constexpr std::array<std::string_view, 48> kUnits = {
    "%",  "G",    "GB", "K",   "KB",  "M",   "MB",  "Pa", "T",  "TB",   "cm",  "cm²", "cm³", "dm", "dm²", "dm³",
    "ft", "g",    "gb", "hPa", "ha",  "in",  "kb",  "kg", "km", "km/h", "kmh", "km²", "km³", "lb", "m",   "m/s",
    "mb", "mbar", "mg", "mm",  "mm²", "mm³", "mph", "m²", "m³", "nm",   "oz",  "t",   "tb",  "yd", "µg",  "µm"};

// The characters of a stretch.
struct Characters {
  std::string_view text;
  std::array<char32_t, kLongStretch> codes;
  std::array<std::uint16_t, kLongStretch> kinds;
  std::array<std::size_t, kLongStretch + 1> places;  // in bytes, with the end
  std::size_t size = 0;

  // Returns false if the stretch is too long, or if it has a character without a kind.
  bool read(std::string_view stretch) {
    if (stretch.size() > kLongStretch) return false;
    text = stretch;
    for (std::size_t at = 0; at < text.size(); ++size) {
      const Char c = char_at(text, at);
      codes[size] = c.code;
      kinds[size] = c.code < kAscii.size() ? kAscii[c.code] : kind_of_wide(c.code);
      places[size] = at;
      if (kinds[size] == kUnknown) return false;
      at += c.size;
    }
    places[size] = text.size();
    // what precedes "://" are word characters, of which Latin-1 has some that are no letters
    return size == text.size() || text.find("://") == std::string_view::npos;
  }

  std::string_view part(std::size_t begin, std::size_t end) const {
    return text.substr(places[begin], places[end] - places[begin]);
  }

  std::size_t dots_at(std::size_t at, std::size_t end) const {
    std::size_t dots = 0;
    while (at + dots < end && codes[at + dots] == '.') ++dots;
    return dots;
  }
};

// Returns the number of characters that are split off at the beginning.
std::size_t prefix_of(const Characters& c, std::size_t begin, std::size_t end) {
  const char32_t first = c.codes[begin];
  if (first == '+') return begin + 1 == end || (c.kinds[begin + 1] & kDigit) == 0 ? 1 : 0;
  if (first == '.') {
    const std::size_t dots = c.dots_at(begin, end);
    return dots > 1 ? dots : 0;
  }
  if ((c.kinds[begin] & kPrefix) != 0) return 1;
  const std::string_view text = c.part(begin, std::min(begin + 3, end));
  if (text == "US$") return 3;
  return text.substr(0, 2) == "C$" || text.substr(0, 2) == "A$" ? 2 : 0;
}

// Returns the number of characters of a full stop, or of several, that are split off at the end.
std::size_t dots_before(const Characters& c, std::size_t begin, std::size_t end) {
  std::size_t first = end - 1;
  while (first > begin && c.codes[first - 1] == '.') --first;
  if (end - first > 1) return end - first;
  if (first == begin) return 0;
  const std::uint16_t before = c.kinds[first - 1];
  if ((before & kBeforeDot) != 0) return 1;
  if (first - begin < 2) return 0;
  if ((before & c.kinds[first - 2] & kUpper) != 0) return 1;
  return c.codes[first - 2] == U'°' && is_one_of(c.codes[first - 1], U"FCK") ? 1 : 0;
}

// Returns the number of characters of a unit or a currency after a digit at the end.
std::size_t quantity_before(const Characters& c, std::size_t begin, std::size_t end) {
  std::size_t first = end;
  while (first > begin && end - first < 5 && (c.kinds[first - 1] & kDigit) == 0) --first;
  if (first == begin || first == end || (c.kinds[first - 1] & kDigit) == 0) return 0;
  const std::string_view text = c.part(first, end);
  const bool is_currency = (end - first == 1 && (c.kinds[first] & kCurrency) != 0) || text == "US$" || text == "C$" ||
                           text == "A$" || text == "+";
  return is_currency || std::binary_search(kUnits.begin(), kUnits.end(), text) ? end - first : 0;
}

// Returns the number of characters that are split off at the end: the most that a rule gives.
std::size_t suffix_of(const Characters& c, std::size_t begin, std::size_t end) {
  if (begin == end) return 0;
  const char32_t last = c.codes[end - 1], before = end - begin > 1 ? c.codes[end - 2] : 0;
  if (last == '.') return dots_before(c, begin, end);
  if (last == U'…' && before == U'…') return 2;
  if ((last == 's' || last == 'S') && (before == '\'' || before == U'’')) return 2;
  if ((c.kinds[end - 1] & kSuffix) != 0) return 1;
  return quantity_before(c, begin, end);
}

// Returns the number of characters of a token that begins inside of a stretch, between other tokens.
std::size_t infix_at(const Characters& c, std::size_t begin, std::size_t at, std::size_t end) {
  const char32_t code = c.codes[at];
  const std::size_t dots = c.dots_at(at, end);
  if (dots > 1) return dots;
  if ((c.kinds[at] & kInfix) != 0) return 1;
  if (at == begin || at + 1 == end) return 0;
  const std::uint16_t before = c.kinds[at - 1], after = c.kinds[at + 1];
  if (is_one_of(code, U"+-*^") && (before & kDigit) != 0 && ((after & kDigit) != 0 || c.codes[at + 1] == '-')) return 1;
  if (dots == 1) return (before & (kLower | kQuote)) != 0 && (after & (kUpper | kQuote)) != 0 ? 1 : 0;
  if (code == ',') return (before & kLetter) != 0 && (after & kLetter) != 0 ? 1 : 0;
  if ((before & (kLetter | kDigit)) == 0) return 0;
  if (is_one_of(code, U":<>=/~–—-") && (after & kLetter) != 0) return 1;
  std::size_t hyphens = 0;
  while (at + hyphens < end && c.codes[at + hyphens] == code) ++hyphens;
  const bool is_dash = (code == '-' && (hyphens == 2 || hyphens == 3)) || (code == U'—' && hyphens == 2);
  return is_dash && at + hyphens < end && (c.kinds[at + hyphens] & kLetter) != 0 ? hyphens : 0;
}

// Returns the ends of texts that follow each other, in bytes.
template <typename Texts>
std::vector<std::size_t> ends_of(const Texts& texts) {
  std::vector<std::size_t> ends;
  std::size_t end = 0;
  for (const std::string_view text : texts) ends.push_back(end += text.size());
  return ends;
}

// Adds the parts of a text that end at these bytes.
void add_parts(std::string_view text, const std::vector<std::size_t>& ends, Tokens& tokens) {
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    tokens.push_back(text.substr(begin, end - begin));
    begin = end;
  }
}

bool is_label_end(char32_t code) {
  return code < 0x80 ? is_letter(static_cast<char>(code)) || is_digit(static_cast<char>(code)) : code >= 0xA1;
}

// Returns the ends of the parts between full stops.
std::vector<std::size_t> ends_of_labels(const Characters& c, std::size_t begin, std::size_t end) {
  std::vector<std::size_t> ends;
  for (std::size_t at = begin; at < end; ++at) {
    if (c.codes[at] == '.') ends.push_back(at);
  }
  ends.push_back(end);
  return ends;
}

bool is_domain(const Characters& c, std::size_t begin, const std::vector<std::size_t>& ends) {
  constexpr std::size_t kMostOfLabel = 64, kMostOfLast = 63;
  if (ends.size() < 2) return false;
  for (const std::size_t end : ends) {
    const bool is_last = end == ends.back();
    const std::size_t size = end - begin;
    if (size < (is_last ? 2 : 1) || size > (is_last ? kMostOfLast : kMostOfLabel)) return false;
    for (std::size_t at = begin; at < end; ++at) {
      const bool inside = at > begin && at + 1 < end && (c.codes[at] == '_' || c.codes[at] == '-');
      if (is_last ? (c.kinds[at] & kLower) == 0 : !inside && !is_label_end(c.codes[at])) return false;
    }
    begin = end + 1;
  }
  return true;
}

// Returns true for a public address in four numbers.
bool is_ip_address(const Characters& c, std::size_t begin, const std::vector<std::size_t>& ends) {
  if (ends.size() != 4) return false;
  std::array<int, 4> numbers{};
  for (std::size_t i = 0; i < 4; ++i) {
    const std::string_view digits = c.part(begin, ends[i]);
    if (digits.empty() || digits.size() > 3 || !std::all_of(digits.begin(), digits.end(), is_digit)) return false;
    for (const char digit : digits) numbers[i] = 10 * numbers[i] + (digit - '0');
    const bool outer = i == 0 || i == 3;
    if (digits[0] == '0' && (outer || digits.size() == 3)) return false;
    begin = ends[i] + 1;
  }
  const auto [first, second, third, last] = numbers;
  if (first > 223 || second > 255 || third > 255 || last > 254) return false;
  return first != 10 && first != 127 && !(first == 169 && second == 254) && !(first == 192 && second == 168) &&
         !(first == 172 && second >= 16 && second <= 31);
}

// Returns true if a host with a domain or an address begins here, perhaps with a port and a path, up to the end.
bool is_host(const Characters& c, std::size_t begin, std::size_t end) {
  std::size_t at = begin;
  while (at < end && !is_one_of(c.codes[at], U":/?#")) ++at;
  if (at < end && c.codes[at] == ':') {
    std::size_t digits = 0;
    while (at + 1 + digits < end && (c.kinds[at + 1 + digits] & kDigit) != 0) ++digits;
    const std::size_t after = at + 1 + digits;
    if (digits < 2 || digits > 5 || (after < end && !is_one_of(c.codes[after], U"/?#"))) return false;
  }
  const std::vector<std::size_t> ends = ends_of_labels(c, begin, at);
  return is_domain(c, begin, ends) || is_ip_address(c, begin, ends);
}

bool is_url(const Characters& c, std::size_t begin, std::size_t end) {
  if (c.part(begin, end).find('.') == std::string_view::npos) return false;
  if (is_host(c, begin, end)) return true;
  const auto is_scheme = [&](char32_t code) { return is_one_of(code, U"_+-.") || (code < 0x80 && is_label_end(code)); };
  std::size_t at = begin;
  while (at < end && is_scheme(c.codes[at])) ++at;
  if (at - begin >= 2 && at + 3 < end && c.part(at, at + 3) == "://" && is_host(c, at + 3, end)) return true;
  for (at = begin + 1; at < end; ++at) {
    if (c.codes[at] == '@' && is_host(c, at + 1, end)) return true;
  }
  return false;
}

}  // namespace

// Finds the tokens of one stretch.
class EnglishRules::Splitter {
 public:
  Splitter(const EnglishRules& rules, const Characters& chars, bool with_specials, Tokens& tokens)
      : rules_(rules), chars_(chars), with_specials_(with_specials), tokens_(tokens) {}

  void split() {
    std::size_t begin = 0, end = chars_.size;
    std::vector<std::pair<std::size_t, std::size_t>> suffixes;
    split_affixes(begin, end, suffixes);
    if (begin < end) split_rest(begin, end);
    for (auto one = suffixes.rbegin(); one != suffixes.rend(); ++one) add(one->first, one->second);
  }

 private:
  const Special* special(std::size_t begin, std::size_t end) const {
    return with_specials_ ? rules_.special(chars_.part(begin, end)) : nullptr;
  }

  void add(std::size_t begin, std::size_t end) { tokens_.push_back(chars_.part(begin, end)); }

  // Takes tokens off both ends, until nothing is left to take, or a special case is.
  void split_affixes(std::size_t& begin, std::size_t& end, std::vector<std::pair<std::size_t, std::size_t>>& suffixes) {
    while (begin < end && special(begin, end) == nullptr) {
      const std::size_t prefix = prefix_of(chars_, begin, end);
      const std::size_t after = begin + prefix;
      if (prefix != 0 && after < end && special(after, end) != nullptr) {
        add(begin, after);
        begin = after;
        return;
      }
      const std::size_t suffix = suffix_of(chars_, after, end);
      if (suffix != 0 && begin < end - suffix && special(begin, end - suffix) != nullptr) {
        suffixes.emplace_back(end - suffix, end);
        end -= suffix;
        return;
      }
      if (prefix == 0 && suffix == 0) return;
      if (prefix != 0) add(begin, after);
      if (suffix != 0) suffixes.emplace_back(end - suffix, end);
      begin = after;
      end -= suffix;
    }
  }

  void split_rest(std::size_t begin, std::size_t end) {
    if (const Special* found = special(begin, end)) return add_parts(chars_.part(begin, end), found->ends, tokens_);
    std::size_t from = begin;
    if (!is_url(chars_, begin, end)) {
      for (std::size_t at = begin; at < end;) {
        const std::size_t size = infix_at(chars_, begin, at, end);
        if (size != 0 && at != begin) {
          if (from < at) add(from, at);
          add(at, at + size);
          from = at + size;
        }
        at += std::max<std::size_t>(size, 1);
      }
    }
    if (from < end) add(from, end);
  }

  const EnglishRules& rules_;
  const Characters& chars_;
  const bool with_specials_;
  Tokens& tokens_;
};

EnglishRules::EnglishRules(const std::vector<SpecialCase>& special_cases) {
  for (const auto& [text, tokens] : special_cases) {
    Characters chars;
    if (!chars.read(text) || text.empty()) continue;
    if (special_cases_.add(text) != specials_.size()) continue;
    Tokens plain;
    Splitter(*this, chars, false, plain).split();
    Special made{ends_of(tokens), ends_of(plain)};
    made.is_merged = prefix_of(chars, 0, chars.size) != 0 || suffix_of(chars, 0, chars.size) != 0;
    for (std::size_t at = 0; at < chars.size; ++at) {
      made.is_merged = made.is_merged || infix_at(chars, 0, at, chars.size) != 0;
    }
    specials_.push_back(std::move(made));
    longest_case_ = std::max(longest_case_, text.size());
  }
}

const EnglishRules::Special* EnglishRules::special(std::string_view text) const {
  const std::uint32_t number = text.size() > longest_case_ ? kNone : special_cases_.find(text);
  return number == kNone ? nullptr : &specials_[number];
}

bool EnglishRules::split(std::string_view stretch, Tokens& tokens) const {
  // half of all stretches are letters with a small one at the end, and perhaps a mark
  std::size_t letters = 0;
  while (letters < stretch.size() && is_letter(stretch[letters])) ++letters;
  const bool has_mark = letters + 1 == stretch.size() && std::string_view(",.!?;:").find(stretch[letters]) < 6;
  if (letters != 0 && (stretch[letters - 1] | 32) == stretch[letters - 1] && letters + has_mark == stretch.size() &&
      letters <= kLongStretch && special(stretch.substr(0, letters)) == nullptr && special(stretch) == nullptr) {
    tokens.push_back(stretch.substr(0, letters));
    if (has_mark) tokens.push_back(stretch.substr(letters));
    return true;
  }
  Characters chars;
  if (!chars.read(stretch)) return false;
  const std::size_t first = tokens.size();
  Splitter(*this, chars, true, tokens).split();
  merge_specials(tokens, first);
  return true;
}

// Replaces tokens that are the plain tokens of a special case. Of several that share tokens, the longest counts, and of
// these the first. One that touches a longer one at its ends is left out, even if that one was left out itself.
void EnglishRules::merge_specials(Tokens& tokens, std::size_t first) const {
  struct Match {
    std::size_t begin, end;
    const Special* special;
    std::string_view text;
  };
  std::vector<Match> matches;
  for (std::size_t begin = first; begin < tokens.size(); ++begin) {
    std::vector<std::size_t> ends;
    std::size_t size = 0;
    for (std::size_t end = begin; end < tokens.size() && size + tokens[end].size() <= longest_case_; ++end) {
      ends.push_back(size += tokens[end].size());
      const std::string_view text(tokens[begin].data(), size);
      const Special* found = special(text);
      if (found != nullptr && found->is_merged && found->plain_ends == ends) {
        matches.push_back({begin, end + 1, found, text});
      }
    }
  }
  if (matches.empty()) return;
  std::stable_sort(matches.begin(), matches.end(),
                   [](const Match& a, const Match& b) { return a.end - a.begin > b.end - b.begin; });
  std::vector<const Match*> chosen(tokens.size(), nullptr);
  std::vector<bool> seen(tokens.size(), false);
  for (const Match& one : matches) {
    if (!seen[one.begin] && !seen[one.end - 1]) chosen[one.begin] = &one;
    for (std::size_t at = one.begin; at < one.end; ++at) seen[at] = true;
  }
  Tokens merged(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(first));
  for (std::size_t at = first; at < tokens.size();) {
    const Match* one = chosen[at];
    if (one == nullptr) {
      merged.push_back(tokens[at++]);
      continue;
    }
    add_parts(one->text, one->special->ends, merged);
    at = one->end;
  }
  tokens = std::move(merged);
}

}  // namespace kernels
