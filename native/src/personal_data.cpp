#include "personal_data.hpp"

#include <cstdint>

#include "unicode_text.hpp"

namespace kernels {
namespace {

// Between the digits of a number, or of a number and its extension, stand any number of these characters, and few
// others: at most four marks, or a word such as "extensión" with a mark.
constexpr std::size_t kMostBetween = 16;

bool is_between(char32_t c) {
  return c == ' ' || c == '\t' || c == 0xA0 || c == ',' || c == '(' || c == ')' || c == '.' || c == '-' ||
         c == 0x2013 || c == '/';
}

bool is_ascii_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_capital(char32_t c) { return c >= 'A' && c <= 'Z'; }
bool is_hex(char32_t c) { return is_ascii_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f'); }
bool is_digit(char32_t c) { return (class_of(c) & kDigitChar) != 0; }
bool is_word(char32_t c) { return (class_of(c) & kWordChar) != 0; }

// A text from one of its characters on.
class Rest {
 public:
  Rest(const std::vector<char32_t>& chars, std::size_t at) : chars_(chars), at_(at) {}

  // Passes over characters of a kind, if there are as many.
  template <typename Is>
  bool pass(std::size_t count, Is is) {
    for (std::size_t i = 0; i < count; ++i, ++at_) {
      if (at_ >= chars_.size() || !is(chars_[at_])) return false;
    }
    return true;
  }

  bool pass(char32_t c) {
    return pass(1, [c](char32_t other) { return other == c; });
  }

  // Passes over at most this many characters of a kind, and returns their number.
  template <typename Is>
  std::size_t pass_most(std::size_t most, Is is) {
    std::size_t count = 0;
    while (count < most && at_ < chars_.size() && is(chars_[at_])) ++count, ++at_;
    return count;
  }

  void pass_any(std::string_view marks) {
    if (at_ < chars_.size() && chars_[at_] < 128 &&
        marks.find(static_cast<char>(chars_[at_])) != std::string_view::npos)
      ++at_;
  }

 private:
  const std::vector<char32_t>& chars_;
  std::size_t at_;
};

bool is_ipv4(Rest rest) {
  if (!rest.pass(1, is_ascii_digit) || !rest.pass('.')) return false;
  for (int i = 0; i < 2; ++i) {
    if (rest.pass_most(3, is_ascii_digit) == 0 || !rest.pass('.')) return false;
  }
  return rest.pass(1, is_ascii_digit);
}

bool is_ipv6(Rest rest) {
  if (!rest.pass(':')) return false;
  rest.pass_most(4, is_hex);
  return rest.pass(':');
}

bool is_card(Rest rest) {
  constexpr std::string_view kMarks = "- ";
  if (!rest.pass(4, is_digit)) return false;
  rest.pass_any(kMarks);
  for (const std::size_t second : {3, 4}) {
    for (const std::size_t third : {3, 4}) {
      Rest tried = rest;
      if (!tried.pass(second, is_digit)) continue;
      tried.pass_any(kMarks);
      if (!tried.pass(third, is_digit)) continue;
      tried.pass_any(kMarks);
      if (tried.pass(3, is_digit)) return true;
    }
  }
  return false;
}

bool is_iban(Rest rest) {
  if (!rest.pass(2, is_capital) || !rest.pass(2, is_ascii_digit)) return false;
  rest.pass_any("- ");
  return rest.pass(4, [](char32_t c) { return is_capital(c) || is_ascii_digit(c); });
}

bool is_ssn(Rest rest) {
  if (!rest.pass(3, is_ascii_digit)) return false;
  rest.pass_any("- .");
  if (!rest.pass(2, is_ascii_digit)) return false;
  rest.pass_any("- .");
  return rest.pass(4, is_ascii_digit);
}

// `rest` begins after a 1 or 3. The 1 of bc1 is such a 1.
bool is_crypto(Rest rest) { return rest.pass(25, is_word); }

}  // namespace

PersonalHints hints_of(std::string_view text) {
  PersonalHints hints;
  std::vector<char32_t> chars;
  chars.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Char c = char_at(text, at);
    chars.push_back(c.code);
    at += c.size;
  }
  std::size_t others = 0;  // since the last digit
  for (std::size_t i = 0; i < chars.size(); ++i) {
    const char32_t c = chars[i];
    if (c == ':') hints.ip_address = hints.ip_address || is_ipv6({chars, i});
    if (is_capital(c)) hints.iban = hints.iban || is_iban({chars, i});
    if (!is_digit(c)) {
      others += is_between(c) ? 0 : 1;
      continue;
    }
    if (hints.clusters.empty() || others > kMostBetween) {
      hints.clusters.push_back({i, i + 1, 1});
    } else {
      hints.clusters.back().end = i + 1;
      ++hints.clusters.back().digits;
    }
    others = 0;
    hints.credit_card = hints.credit_card || is_card({chars, i});
    if (!is_ascii_digit(c)) continue;
    hints.ip_address = hints.ip_address || is_ipv4({chars, i});
    hints.us_ssn = hints.us_ssn || is_ssn({chars, i});
    if (c == '1' || c == '3') hints.crypto = hints.crypto || is_crypto({chars, i + 1});
  }
  return hints;
}

}  // namespace kernels
