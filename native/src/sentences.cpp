#include "sentences.hpp"

#include "unicode_text.hpp"

namespace kernels {
namespace {

bool ends_in_space(std::string_view text) { return stripped(text).end() != text.end(); }

// After a token that ends a sentence, the next token other than punctuation starts a new one. Whitespace other than a
// single space between two words is a token too.
std::size_t count_by_tokens(const StretchTable& table, std::string_view text,
                            const std::vector<std::uint32_t>& numbers) {
  if (text.empty()) return 0;
  std::size_t sentences = 1, next = 0, space_begin = 0;
  bool ended = false;
  const auto pass_space = [&](std::size_t begin, std::size_t end) {
    if (end > begin && text.substr(begin, end - begin) != " " && ended) ++sentences, ended = false;
  };
  each_stretch(text, [&](std::size_t begin, std::size_t end) {
    pass_space(space_begin, begin);
    space_begin = end;
    if (next >= numbers.size()) return;
    const StretchTable::Run words = table.words_of(numbers[next++]);
    for (std::size_t i = 0; i < words.size; ++i) {
      const std::uint8_t flags = table.vocabulary().flags[words.begin[i]];
      if ((flags & StretchTable::kSentenceEnd) != 0) {
        ended = true;
      } else if (ended && (flags & StretchTable::kPunctuation) == 0) {
        ++sentences;
        ended = false;
      }
    }
  });
  pass_space(space_begin, text.size());
  return sentences;
}

}  // namespace

// The roles of stretches tell the number of sentences, or that it must be counted token by token.
std::size_t count_sentences(const StretchTable& table, std::string_view text,
                            const std::vector<std::uint32_t>& numbers) {
  const auto held = table.lock();
  table.check(numbers.data(), numbers.size());
  // spaCy may count whitespace at the end as a sentence
  bool by_tokens = numbers.empty() || ends_in_space(text) || table.role_of(numbers.back()) == Role::kMarks;
  std::size_t ends = 0;
  for (const std::uint32_t number : numbers) {
    by_tokens = by_tokens || table.role_of(number) == Role::kOther;
    ends += table.role_of(number) == Role::kEnd ? 1 : 0;
  }
  if (by_tokens) return count_by_tokens(table, text, numbers);
  return 1 + ends - (table.role_of(numbers.back()) == Role::kEnd ? 1 : 0);
}

}  // namespace kernels
