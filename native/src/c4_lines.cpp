#include "c4_lines.hpp"

#include <algorithm>

#include "html_tokenizer.hpp"
#include "phrase_matcher.hpp"
#include "sentences.hpp"
#include "unicode_text.hpp"

namespace kernels {
namespace {

enum Phrase : std::uint8_t { kLoremIpsum, kJavascript, kPolicy };
constexpr std::uint32_t bit(Phrase phrase) { return 1U << phrase; }

PhraseMatcher phrases() {
  return PhraseMatcher({{"lorem ipsum", kLoremIpsum},
                        {"javascript", kJavascript},
                        {"terms of use", kPolicy},
                        {"privacy policy", kPolicy},
                        {"cookie policy", kPolicy},
                        {"uses cookies", kPolicy},
                        {"use of cookies", kPolicy},
                        {"use cookies", kPolicy}});
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool has_end_mark(std::string_view line) {
  return !line.empty() && std::string_view(".?!\"'").find(line.back()) != std::string_view::npos &&
         !ends_with(line, "...");
}

// Returns the bytes of a mark such as [12], [edit] or [citation needed] at a byte.
std::size_t citation_at(std::string_view line, std::size_t at) {
  for (const std::string_view mark : {"[edit]", "[citation needed]"}) {
    if (line.substr(at, mark.size()) == mark) return mark.size();
  }
  std::size_t end = at + 1;
  while (end < line.size() && (class_at(line, end) & kDigitChar) != 0) end += char_at(line, end).size;
  return end < line.size() && line[end] == ']' ? end + 1 - at : 0;
}

std::string without_citations(std::string_view line, std::uint64_t& citations) {
  std::string left;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t mark = line[at] == '[' ? citation_at(line, at) : 0;
    citations += mark != 0 ? 1 : 0;
    if (mark == 0) left += line[at];
    at += std::max<std::size_t>(mark, 1);
  }
  return left;
}

// Passes over at most 40 characters other than some.
std::size_t pass(std::string_view line, std::size_t at, std::string_view but) {
  for (int i = 0; i < 40 && at < line.size() && but.find(line[at]) == std::string_view::npos; ++i)
    at += char_at(line, at).size;
  return at;
}

bool letters_at(std::string_view line, std::size_t at, std::size_t count) {
  if (at + count > line.size()) return false;
  return std::all_of(line.begin() + static_cast<std::ptrdiff_t>(at),
                     line.begin() + static_cast<std::ptrdiff_t>(at + count), is_letter);
}

// A curly bracket of LaTeX follows a command (\frac{), "^", "_" or a backslash, or it contains a command
// ({\displaystyle). Returns the bytes up to and with it, or 0.
std::size_t latex_bracket_at(std::string_view line, std::size_t at) {
  const char c = line[at];
  if (c == '\\' && letters_at(line, at + 1, 2)) {
    std::size_t end = at + 3;
    while (end < line.size() && is_letter(line[end])) ++end;
    if (end < line.size() && line[end] == '*') ++end;
    if (end < line.size() && line[end] == '[') {
      const std::size_t close = pass(line, end + 1, "[]{}");
      if (close < line.size() && line[close] == ']') end = close + 1;
    }
    if (end < line.size() && line[end] == '{') return end + 1 - at;
  }
  if ((c == '^' || c == '_' || c == '\\') && at + 1 < line.size() && line[at + 1] == '{') return 2;
  if (c == '{') {
    const std::size_t reach = pass(line, at + 1, "{}");
    for (std::size_t i = at + 1; i <= reach && i < line.size(); ++i) {
      if (line[i] == '\\' && letters_at(line, i + 1, 2)) return 1;
    }
  }
  return 0;
}

// Returns true if every curly bracket of a line is in a LaTeX formula.
bool is_latex(std::string_view line) {
  std::size_t depth = 0;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t latex = latex_bracket_at(line, at);
    if (latex != 0) {
      ++depth;
      at += latex;
    } else if (line[at] == '}' && at + 1 < line.size() && line[at + 1] == '{') {
      if (depth == 0) return false;  // "}{" ends one argument and begins another
      at += 2;
    } else if (line[at] == '}') {
      depth -= depth > 0 ? 1 : 0;
      ++at;
    } else if (line[at] == '{') {
      if (depth++ == 0) return false;
      ++at;
    } else {
      ++at;
    }
  }
  return true;
}

bool has_word_above(std::string_view line, std::size_t chars) {
  std::size_t longest = 0;
  each_stretch(line, [&](std::size_t begin, std::size_t end) {
    longest = std::max(longest, count_chars(line.substr(begin, end - begin)));
  });
  return longest > chars;
}

}  // namespace

C4Lines clean_lines(StretchTable& table, std::string_view text, const std::vector<std::uint32_t>& numbers,
                    const C4Rules& rules) {
  static const PhraseMatcher matcher = phrases();
  C4Lines lines;
  std::string left, folded;
  std::vector<std::uint32_t> of_line;
  bool first = true;
  std::size_t end = 0;  // of the stretches of the lines so far
  each_line(text, [&](std::size_t from, std::size_t to) {
    std::string_view line = stripped(text.substr(from, to - from));
    const std::size_t words = count_stretches(line);
    const std::size_t start = end;
    end = std::min(end + words, numbers.size());
    if (line.size() > rules.max_word_length && has_word_above(line, rules.max_word_length)) {
      ++lines.long_word;
      return;
    }
    std::uint64_t found = 0;
    if (line.find('[') != std::string_view::npos) {
      left = without_citations(line, found);
      line = left;
      lines.citations += found;
    }
    if (rules.terminal_punctuation && !has_end_mark(line)) {
      ++lines.no_end_mark;
      return;
    }
    if (words < rules.min_words_per_line) {
      ++lines.few_words;
      return;
    }
    std::string_view searched = line;
    constexpr std::string_view kKelvin = "\u212A";  // the only other character whose small form is a letter of ASCII
    if (line.find(kKelvin) != std::string_view::npos) {
      folded = line;
      for (std::size_t at = folded.find(kKelvin); at != std::string::npos; at = folded.find(kKelvin, at))
        folded.replace(at, kKelvin.size(), "k");
      searched = folded;
    }
    const std::uint32_t has = matcher.mask(searched);
    lines.lorem_ipsum += (has & bit(kLoremIpsum)) != 0 ? 1 : 0;
    if (!rules.javascript_lines && (has & bit(kJavascript)) != 0) {
      ++lines.javascript;
      return;
    }
    lines.curly_bracket += line.find('{') != std::string_view::npos && !(rules.latex && is_latex(line)) ? 1 : 0;
    if (!rules.policy_lines && (has & bit(kPolicy)) != 0) {
      ++lines.policy;
      return;
    }
    // stripped below, because a removed citation may leave a space at an end, and the space is not a sentence
    if (found != 0) {
      of_line = table.read(line);
      lines.added.insert(lines.added.end(), of_line.begin(), of_line.end());
    } else {
      of_line.assign(numbers.begin() + static_cast<std::ptrdiff_t>(start),
                     numbers.begin() + static_cast<std::ptrdiff_t>(end));
    }
    lines.sentences += count_sentences(table, stripped(line), of_line);
    lines.numbers.insert(lines.numbers.end(), of_line.begin(), of_line.end());
    if (!first) lines.text += '\n';
    lines.text += line;
    first = false;
  });
  const std::string_view cleaned = stripped(lines.text);
  lines.text = std::string(cleaned);
  return lines;
}

}  // namespace kernels
