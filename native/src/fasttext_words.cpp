#include "fasttext_words.hpp"

#include <algorithm>
#include <stdexcept>

#include "utf8.hpp"

namespace kernels {
namespace {

constexpr std::string_view kEnd = "</s>", kLabel = "__label__";
constexpr std::size_t kMostSteps = 1 << 12;  // in the table of words: a model that needs more was made to be slow
constexpr std::uint32_t kNoHash = 2166136261;

bool parts_tokens(char character) {
  return character == ' ' || character == '\0' || (character >= '\t' && character <= '\r');
}

// A step of FNV-1a. fastText's characters have a sign.
std::uint32_t extended(std::uint32_t hash, char character) {
  return (hash ^ static_cast<std::uint32_t>(static_cast<signed char>(character))) * 16777619;
}

std::uint32_t hash_of(std::string_view token) {
  std::uint32_t hash = kNoHash;
  for (const char character : token) hash = extended(hash, character);
  return hash;
}

std::uint64_t ones(std::uint64_t bits) {
  bits -= bits >> 1 & 0x5555555555555555;
  bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
  return ((bits + (bits >> 4)) & 0x0F0F0F0F0F0F0F0F) * 0x0101010101010101 >> 56;
}

}  // namespace

NgramRows::NgramRows(const FastTextFile& file)
    : all_(file.all_ngrams),
      words_(static_cast<std::uint32_t>(file.words)),
      buckets_(file.buckets),
      inverse_(file.buckets > 0 ? UINT64_MAX / file.buckets + 1 : 0) {
  if (all_) return;
  kept_.resize(buckets_ / 64 + 1);
  for (const auto& [bucket, row] : file.ngrams) kept_[bucket / 64] |= std::uint64_t{1} << (bucket % 64);
  std::uint64_t count = 0;
  for (const std::uint64_t bits : kept_) {
    before_.push_back(static_cast<std::uint32_t>(count));
    count += ones(bits);
  }
  rows_.resize(count);
  for (const auto& [bucket, row] : file.ngrams) rows_[place(bucket)] = row;
}

// Returns what is left of a hash divided by the number of buckets (Lemire et al. 2019, arXiv:1902.01961).
std::uint32_t NgramRows::bucket_of(std::uint32_t hash) const {
  const std::uint64_t fraction = inverse_ * hash;
  const std::uint64_t low = (fraction & UINT32_MAX) * buckets_ >> 32;
  return static_cast<std::uint32_t>(((fraction >> 32) * buckets_ + low) >> 32);
}

// Returns the place in `rows_` of a bucket that was kept.
std::size_t NgramRows::place(std::uint64_t bucket) const {
  const std::uint64_t below = kept_[bucket / 64] & ((std::uint64_t{1} << (bucket % 64)) - 1);
  return before_[bucket / 64] + ones(below);
}

void NgramRows::take(TextItems& items, RowSum& rows) const {
  auto& found = items.items_;
  std::size_t count = 0;
  for (std::size_t i = 0; i < items.size_; ++i) {
    const std::uint64_t item = found[i], is_row = item >> 32;
    const std::uint64_t bucket = bucket_of(static_cast<std::uint32_t>(item));
    found[count] = is_row != 0 ? item : bucket;
    // most buckets have no row, and a branch would often be foretold wrongly
    count += all_ ? 1 : is_row | (kept_[bucket / 64] >> (bucket % 64) & 1);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = static_cast<std::uint32_t>(found[i]);
    rows.take(found[i] >> 32 != 0 ? value : all_ ? words_ + value : rows_[place(value)]);
  }
  items.size_ = 0;
}

FastTextWords::FastTextWords(const FastTextFile& file) : file_(file), ngrams_(file) {
  std::size_t size = 1;
  while (size < 2 * file.entries.size()) size *= 2;
  entries_.resize(size);
  for (std::size_t i = 0; i < file.entries.size(); ++i) {
    const std::uint32_t hash = hash_of(file.entries[i]);
    const Entry* entry = search(file.entries[i], hash);
    if (entry == nullptr) throw std::invalid_argument("it is damaged");
    entries_[static_cast<std::size_t>(entry - entries_.data())] = {hash, static_cast<std::uint32_t>(i + 1)};
  }
}

// Returns the entry of a token, or a free one where it would be, or nullptr if both are far from the place of its hash.
const FastTextWords::Entry* FastTextWords::search(std::string_view token, std::uint32_t hash) const {
  for (std::size_t step = 0; step < kMostSteps; ++step) {
    const Entry& entry = entries_[(hash + step) & (entries_.size() - 1)];
    if (entry.number == 0 || (entry.hash == hash && file_.entries[entry.number - 1] == token)) return &entry;
  }
  return nullptr;
}

void FastTextWords::take_rows(std::string_view text, RowSum& rows) const {
  TextItems items;
  std::vector<std::uint32_t> words;  // their hashes
  std::string characters;
  std::string_view token;
  for (std::size_t at = 0; token != kEnd;) {  // fastText stops there within a text, too
    while (at < text.size() && parts_tokens(text[at])) ++at;
    const std::size_t start = at;
    std::uint32_t hash = kNoHash;
    for (; at < text.size() && !parts_tokens(text[at]); ++at) hash = extended(hash, text[at]);
    token = text.substr(start, at - start);
    if (token.empty()) {
      token = kEnd;
      hash = hash_of(kEnd);
    }
    const Entry* const entry = search(token, hash);
    const std::size_t number = entry == nullptr ? 0 : entry->number;
    if (number > 0 ? number > file_.words : token.substr(0, kLabel.size()) == kLabel) continue;  // a label
    if (file_.word_ngrams > 1) words.push_back(hash);
    if (!items.has_space(1)) ngrams_.take(items, rows);
    if (number > 0) items.add_row(number - 1);
    if (file_.longest == 0 || token == kEnd) continue;
    characters.assign(1, '<').append(token).append(1, '>');
    take_ngrams(characters, items, rows);
  }
  take_ngrams(words, items, rows);
  ngrams_.take(items, rows);
}

// Takes n-grams of characters by the character at which they begin, short ones first.
void FastTextWords::take_ngrams(const std::string& characters, TextItems& items, RowSum& rows) const {
  auto left = static_cast<std::size_t>(std::count_if(characters.begin(), characters.end(), begins_character));
  for (const char* start = characters.c_str(); left > 0; --left) {  // a NUL follows the last character
    if (!items.has_space(file_.longest)) ngrams_.take(items, rows);
    const bool bracket = left == 1 || start == characters.c_str();  // on its own it is no n-gram
    const std::size_t shortest = std::max<std::size_t>(file_.shortest, bracket ? 2 : 1);
    const std::size_t longest = std::min(file_.longest, left);
    std::uint32_t hash = kNoHash;
    const char* at = start;
    for (std::size_t n = 1; n <= longest; ++n) {
      do hash = extended(hash, *at++);
      while (!begins_character(*at));
      if (n >= shortest) items.add_hash(hash);
    }
    do ++start;
    while (!begins_character(*start));
  }
}

// Takes n-grams of words by the word at which they begin. fastText extends the sign of a hash.
void FastTextWords::take_ngrams(const std::vector<std::uint32_t>& words, TextItems& items, RowSum& rows) const {
  const auto wide = [](std::uint32_t hash) { return static_cast<std::uint64_t>(static_cast<std::int32_t>(hash)); };
  for (std::size_t start = 0; start < words.size(); ++start) {
    if (!items.has_space(file_.word_ngrams)) ngrams_.take(items, rows);
    std::uint64_t hash = wide(words[start]);
    const std::size_t end = std::min(words.size(), start + file_.word_ngrams);
    for (std::size_t word = start + 1; word < end; ++word) {
      hash = hash * 116049371 + wide(words[word]);
      items.add_hash(static_cast<std::uint32_t>(hash % file_.buckets));
    }
  }
}

}  // namespace kernels
