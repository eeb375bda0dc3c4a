#include "stretch_table.hpp"

#include <algorithm>
#include <stdexcept>

#include "html_tokenizer.hpp"
#include "ngrams.hpp"
#include "short_xxh3.hpp"
#include "unicode_text.hpp"

namespace kernels {
namespace {

bool is_alnum(char c) { return is_letter(c) || is_digit(c); }

// Every printable character of ASCII other than letters and digits is punctuation. So what is left of a normalized
// stretch of ASCII are runs of letters and digits. Numbers with a decimal separator become 0, unless they stay.
std::vector<std::string> normal_pieces(std::string_view stretch, bool numbers) {
  std::vector<std::string> pieces;
  std::string piece;
  for (std::size_t at = 0; at < stretch.size();) {
    if (!numbers && is_digit(stretch[at])) {
      while (at < stretch.size() && is_digit(stretch[at])) ++at;
      if (at + 1 < stretch.size() && (stretch[at] == '.' || stretch[at] == ',') && is_digit(stretch[at + 1])) {
        ++at;
        while (at < stretch.size() && is_digit(stretch[at])) ++at;
      }
      piece += '0';
      continue;
    }
    const char c = stretch[at++];
    if (is_alnum(c)) {
      piece += static_cast<char>(is_letter(c) ? c | 32 : c);
    } else if (!piece.empty()) {
      pieces.push_back(std::move(piece));
      piece.clear();
    }
  }
  if (!piece.empty()) pieces.push_back(std::move(piece));
  return pieces;
}

// Runs of letters and digits of a stretch of ASCII in lower case, after its apostrophes were dropped.
std::vector<std::string> item_words(std::string_view stretch) {
  std::string text;
  for (const char c : stretch) {
    if (c != '\'') text += c;
  }
  return normal_pieces(text, true);
}

}  // namespace

CharSet::CharSet(std::string_view chars) {
  for (std::size_t at = 0; at < chars.size();) {
    const Char c = char_at(chars, at);
    codes_.push_back(c.code);
    if (c.code < ascii_.size()) ascii_[c.code] = true;
    at += c.size;
  }
  std::sort(codes_.begin(), codes_.end());
}

bool CharSet::has(char32_t code) const {
  return code < ascii_.size() ? ascii_[code] : std::binary_search(codes_.begin(), codes_.end(), code);
}

StretchTable::StretchTable(WordMarks marks, std::shared_ptr<const EnglishRules> rules,
                           std::shared_ptr<StretchTable> previous)
    : marks_(std::move(marks)), rules_(std::move(rules)), previous_(std::move(previous)), base_(random_base()) {}

std::vector<std::uint32_t> StretchTable::read(std::string_view text) {
  std::vector<std::uint32_t> numbers;
  const auto held = lock();
  each_stretch(text, [&](std::size_t begin, std::size_t end) {
    const std::uint32_t number = strings_.add(text.substr(begin, end - begin));
    numbers.push_back(number);
    if (number < places_.size()) return;
    places_.emplace_back();
    roles_.push_back(static_cast<char>(Role::kPlain));
    if (!copy_tokens(number)) split(number);
  });
  return numbers;
}

std::vector<std::uint32_t> StretchTable::waiting(std::vector<std::uint32_t> numbers) const {
  const auto held = lock();
  const auto has_tokens = [this](std::uint32_t number) { return places_[number].first != kNone; };
  numbers.erase(std::remove_if(numbers.begin(), numbers.end(), has_tokens), numbers.end());
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

void StretchTable::set_tokens(std::uint32_t number, const std::vector<std::string>& tokens) {
  const auto held = lock();
  check(&number, 1);
  if (places_[number].first == kNone) add_tokens(number, {tokens.begin(), tokens.end()});
}

void StretchTable::drop_previous() {
  const auto held = lock();
  previous_.reset();
}

std::uint32_t StretchTable::size() const {
  const auto held = lock();
  return strings_.size();
}

std::size_t StretchTable::bytes() const {
  const auto held = lock();
  return strings_.bytes();
}

std::string StretchTable::stretch(std::uint32_t number) const {
  const auto held = lock();
  check(&number, 1);
  return std::string(strings_[number]);
}

std::optional<std::vector<std::string>> StretchTable::look_up(std::string_view stretch) const {
  const auto held = lock();
  const std::uint32_t number = strings_.find(stretch);
  Tokens tokens;
  if (number != kNone && places_[number].first != kNone) {
    const Run run = words_of(number);
    for (std::size_t i = 0; i < run.size; ++i) tokens.push_back(vocabulary_.strings[run.begin[i]]);
  } else if (rules_ == nullptr || !rules_->split(stretch, tokens)) {
    return std::nullopt;
  }
  return std::vector<std::string>(tokens.begin(), tokens.end());
}

std::uint32_t StretchTable::number_word(std::string_view word) {
  const auto held = lock();
  return add_word(word);
}

std::vector<std::uint32_t> StretchTable::words(const std::uint32_t* numbers, std::size_t count) const {
  const auto held = lock();
  check(numbers, count);
  std::vector<std::uint32_t> words;
  words.reserve(count + count / 2);
  for (std::size_t i = 0; i < count; ++i) {
    const Run run = words_of(numbers[i]);
    words.insert(words.end(), run.begin, run.begin + run.size);
  }
  return words;
}

std::vector<std::uint64_t> StretchTable::hashes(HashKind kind, const std::uint32_t* numbers, std::size_t count,
                                                std::vector<std::uint32_t>& waiting) {
  const auto held = lock();
  check(numbers, count);
  Hashes& known = hashes_[static_cast<std::size_t>(kind)];
  known.places.resize(strings_.size());
  std::vector<std::uint64_t> found;
  found.reserve(count + count / 4);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t number = numbers[i];
    if (known.places[number].first == kNone && !copy_hashes(kind, number) && !make_hashes(kind, number)) {
      waiting.push_back(number);
      continue;
    }
    const Place place = known.places[number];
    const auto begin = known.pool.begin() + place.first;
    found.insert(found.end(), begin, begin + place.count);
  }
  std::sort(waiting.begin(), waiting.end());
  waiting.erase(std::unique(waiting.begin(), waiting.end()), waiting.end());
  return found;
}

void StretchTable::set_hashes(HashKind kind, std::uint32_t number, const std::vector<std::uint64_t>& hashes) {
  const auto held = lock();
  check(&number, 1);
  hashes_[static_cast<std::size_t>(kind)].places.resize(strings_.size());
  if (hashes_[static_cast<std::size_t>(kind)].places[number].first == kNone) add_hashes(kind, number, hashes);
}

std::vector<std::uint32_t> StretchTable::hash_counts(HashKind kind, const std::uint32_t* numbers,
                                                     std::size_t count) const {
  const auto held = lock();
  check(numbers, count);
  const Hashes& known = hashes_[static_cast<std::size_t>(kind)];
  std::vector<std::uint32_t> counts(count, 0);
  for (std::size_t i = 0; i < count; ++i) {
    if (numbers[i] < known.places.size()) counts[i] = known.places[numbers[i]].count;
  }
  return counts;
}

std::string StretchTable::roles(const std::uint32_t* numbers, std::size_t count) const {
  const auto held = lock();
  check(numbers, count);
  std::string roles;
  for (std::size_t i = 0; i < count; ++i) roles.push_back(roles_[numbers[i]]);
  return roles;
}

StretchTable::Run StretchTable::words_of(std::uint32_t number) const {
  const Place place = places_[number];
  return place.first == kNone ? Run{nullptr, 0} : Run{pool_.data() + place.first, place.count};
}

void StretchTable::check(const std::uint32_t* numbers, std::size_t count) const {
  for (std::size_t i = 0; i < count; ++i) {
    if (numbers[i] >= places_.size()) throw std::out_of_range("the table has no stretch of this number");
  }
}

std::uint32_t StretchTable::add_word(std::string_view word) {
  const std::uint32_t number = vocabulary_.strings.add(word);
  if (number < vocabulary_.flags.size()) return number;
  std::uint8_t flags = 0;
  std::uint32_t chars = 0;
  bool letters = true, punctuation = true;
  for (std::size_t at = 0; at < word.size(); ++chars) {
    const Char c = char_at(word, at);
    const std::uint8_t kind = class_of(c.code);
    if ((kind & kLetterChar) != 0) flags |= kLetters;
    letters = letters && (kind & kLetterChar) != 0;
    punctuation = punctuation && (kind & kPunctuationChar) != 0;
    if (!marks_.punctuation.has(c.code)) flags |= kContent;
    if (c.size == word.size() && marks_.sentence_ends.has(c.code)) flags |= kSentenceEnd;
    at += c.size;
  }
  if (letters && chars != 0) flags |= kContent;
  if (punctuation) flags |= kPunctuation;
  vocabulary_.chars.push_back(chars);
  vocabulary_.flags.push_back(flags);
  const HashedWord hashed = hash_word(word, base_);
  vocabulary_.hashes.push_back(hashed.hash);
  vocabulary_.weights.push_back(hashed.weight);
  return number;
}

void StretchTable::add_tokens(std::uint32_t number, const Tokens& tokens) {
  const auto first = static_cast<std::uint32_t>(pool_.size());
  for (const std::string_view token : tokens) pool_.push_back(add_word(token));
  places_[number] = {first, static_cast<std::uint32_t>(tokens.size())};
  roles_[number] = static_cast<char>(role_of_words(words_of(number)));
}

void StretchTable::split(std::uint32_t number) {
  Tokens tokens;
  if (rules_ != nullptr && rules_->split(strings_[number], tokens)) add_tokens(number, tokens);
}

bool StretchTable::copy_tokens(std::uint32_t number) {
  if (previous_ == nullptr) return false;
  const auto held = previous_->lock();
  const std::uint32_t old = previous_->strings_.find(strings_[number]);
  if (old == kNone || previous_->places_[old].first == kNone) return false;
  Tokens tokens;
  const Run run = previous_->words_of(old);
  for (std::size_t i = 0; i < run.size; ++i) tokens.push_back(previous_->vocabulary_.strings[run.begin[i]]);
  add_tokens(number, tokens);
  return true;
}

bool StretchTable::copy_hashes(HashKind kind, std::uint32_t number) {
  if (previous_ == nullptr) return false;
  const auto held = previous_->lock();
  const std::uint32_t old = previous_->strings_.find(strings_[number]);
  const Hashes& known = previous_->hashes_[static_cast<std::size_t>(kind)];
  if (old == kNone || old >= known.places.size() || known.places[old].first == kNone) return false;
  const Place place = known.places[old];
  add_hashes(kind, number, {known.pool.begin() + place.first, known.pool.begin() + place.first + place.count});
  return true;
}

bool StretchTable::make_hashes(HashKind kind, std::uint32_t number) {
  const std::string_view stretch = strings_[number];
  if (!is_ascii(stretch) || stretch.size() > kLongStretch) return false;
  std::vector<std::uint64_t> hashes;
  Tokens tokens;
  const bool items = kind == HashKind::kItems;
  for (const std::string& piece : items ? item_words(stretch) : normal_pieces(stretch, kind == HashKind::kNumbered)) {
    tokens.assign(1, piece);
    if (!items && !tokens_of_normal(piece, tokens)) return false;
    for (const std::string_view token : tokens) {
      if (token.size() > kMostOfShortXxh3) return false;
      hashes.push_back(short_xxh3(token));
    }
  }
  add_hashes(kind, number, hashes);
  return true;
}

// Finds the tokens of a run of small letters and digits.
bool StretchTable::tokens_of_normal(std::string_view piece, Tokens& tokens) const {
  tokens.clear();
  const std::uint32_t number = strings_.find(piece);
  if (number != kNone && places_[number].first != kNone) {
    const Run run = words_of(number);
    for (std::size_t i = 0; i < run.size; ++i) tokens.push_back(vocabulary_.strings[run.begin[i]]);
    return true;
  }
  return rules_ != nullptr && rules_->split(piece, tokens);
}

void StretchTable::add_hashes(HashKind kind, std::uint32_t number, const std::vector<std::uint64_t>& hashes) {
  Hashes& known = hashes_[static_cast<std::size_t>(kind)];
  known.places[number] = {static_cast<std::uint32_t>(known.pool.size()), static_cast<std::uint32_t>(hashes.size())};
  known.pool.insert(known.pool.end(), hashes.begin(), hashes.end());
}

Role StretchTable::role_of_words(Run words) const {
  std::size_t first_end = words.size, last_word = words.size;
  for (std::size_t i = 0; i < words.size; ++i) {
    const std::uint8_t flags = vocabulary_.flags[words.begin[i]];
    if ((flags & kSentenceEnd) != 0) first_end = std::min(first_end, i);
    if ((flags & kPunctuation) == 0) last_word = i;
  }
  const bool has_words = last_word < words.size;
  if (first_end == words.size) return has_words ? Role::kPlain : Role::kMarks;
  return has_words && last_word < first_end ? Role::kEnd : Role::kOther;
}

}  // namespace kernels
