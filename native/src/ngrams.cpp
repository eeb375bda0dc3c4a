#include "ngrams.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "stretch_table.hpp"

namespace kernels {
namespace {

constexpr std::uint64_t kPrime = (std::uint64_t{1} << 61) - 1;

// a * b + c mod 2^61 - 1, of numbers below it
std::uint64_t multiply_add(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  std::uint64_t sum = (static_cast<std::uint64_t>(product) & kPrime) + static_cast<std::uint64_t>(product >> 61);
  sum = sum >= kPrime ? sum - kPrime : sum;
  sum += c;
  return sum >= kPrime ? sum - kPrime : sum;
}

// The number of slots for some keys, as bits: at most half of the slots are used.
int bits_for(std::size_t keys) {
  int bits = 4;
  while (std::size_t{1} << bits < 2 * keys) ++bits;
  return bits;
}

// Gives equal keys the same number, in the order in which they came, and counts them.
class KeyNumbers {
 public:
  explicit KeyNumbers(std::uint64_t odd) : odd_(odd) {}

  void reset(std::size_t keys) {
    bits_ = bits_for(keys);
    slots_.assign(std::size_t{1} << bits_, kNone);
    keys_.clear();
    counts_.clear();
    firsts_.clear();
  }

  std::uint32_t add(std::uint64_t key, std::size_t place) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = (key * odd_) >> (64 - bits_);
    for (; slots_[slot] != kNone; slot = (slot + 1) & mask) {
      if (keys_[slots_[slot]] != key) continue;
      ++counts_[slots_[slot]];
      return slots_[slot];
    }
    slots_[slot] = static_cast<std::uint32_t>(keys_.size());
    keys_.push_back(key);
    counts_.push_back(1);
    firsts_.push_back(place);
    return slots_[slot];
  }

  const std::vector<std::uint32_t>& counts() const { return counts_; }
  std::size_t first(std::size_t number) const { return firsts_[number]; }

 private:
  std::uint64_t odd_;  // the keys of a page can't be made to meet in a slot, because nobody knows this factor
  int bits_ = 0;
  std::vector<std::uint32_t> slots_;
  std::vector<std::uint64_t> keys_;
  std::vector<std::uint32_t> counts_;
  std::vector<std::size_t> firsts_;
};

template <typename Length>
std::vector<std::uint64_t> ends_of(const std::vector<std::uint32_t>& words, Length length) {
  std::vector<std::uint64_t> ends(words.size() + 1, 0);
  for (std::size_t i = 0; i < words.size(); ++i) ends[i + 1] = ends[i] + length(words[i]);
  return ends;
}

void check(const StretchTable::Vocabulary& vocabulary, const std::vector<std::uint32_t>& words) {
  for (const std::uint32_t word : words) {
    if (word >= vocabulary.chars.size()) throw std::out_of_range("the table has no word of this number");
  }
}

}  // namespace

std::uint64_t random_base() { return random_seed() % (kPrime - 512) + 256; }

HashedWord hash_word(std::string_view word, std::uint64_t base) {
  HashedWord hashed{0, 1};
  for (const char c : word) {
    hashed.hash = multiply_add(hashed.hash, base, static_cast<unsigned char>(c) + std::uint64_t{1});
    hashed.weight = multiply_add(hashed.weight, base, 0);
  }
  return hashed;
}

std::vector<std::uint64_t> top_ngram_chars(const StretchTable& table, const std::vector<std::uint32_t>& words,
                                           const std::vector<std::size_t>& sizes) {
  const auto held = table.lock();
  const auto& vocabulary = table.vocabulary();
  check(vocabulary, words);
  const auto ends = ends_of(words, [&](std::uint32_t word) { return vocabulary.chars[word]; });
  std::vector<std::uint64_t> tops(sizes.size(), 0);
  const std::size_t most = sizes.empty() ? 0 : *std::max_element(sizes.begin(), sizes.end());
  std::vector<std::uint32_t> grams(words.size(), 0);  // of the size before, by number
  KeyNumbers numbers(table.secret() | 1);
  for (std::size_t size = 1; size <= std::min(most, words.size()); ++size) {
    numbers.reset(words.size() - size + 1);
    for (std::size_t i = 0; i + size <= words.size(); ++i)
      grams[i] = numbers.add(static_cast<std::uint64_t>(grams[i]) << 32 | words[i + size - 1], i);
    const auto top = std::max_element(numbers.counts().begin(), numbers.counts().end());
    const std::size_t first = numbers.first(static_cast<std::size_t>(top - numbers.counts().begin()));
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] == size) tops[i] = (ends[first + size] - ends[first] + size - 1) * *top;
    }
  }
  return tops;
}

std::vector<std::uint64_t> duplicate_ngram_chars(const StretchTable& table, const std::vector<std::uint32_t>& words,
                                                 const std::vector<std::size_t>& sizes) {
  const auto held = table.lock();
  const auto& vocabulary = table.vocabulary();
  check(vocabulary, words);
  const auto ends = ends_of(words, [&](std::uint32_t word) { return vocabulary.chars[word]; });
  const auto byte_ends = ends_of(words, [&](std::uint32_t word) { return vocabulary.strings[word].size(); });
  std::string joined;
  joined.reserve(byte_ends.back());
  for (const std::uint32_t word : words) joined += vocabulary.strings[word];

  std::vector<std::uint64_t> repeated(sizes.size(), 0);
  const std::size_t most = sizes.empty() ? 0 : *std::max_element(sizes.begin(), sizes.end());
  std::vector<std::uint64_t> hashes(words.size(), 0);
  std::vector<std::uint32_t> slots;
  const auto gram = [&](std::size_t at, std::size_t size) {
    return std::string_view(joined).substr(byte_ends[at], byte_ends[at + size] - byte_ends[at]);
  };
  for (std::size_t size = 1; size <= std::min(most, words.size()); ++size) {
    const std::size_t count = words.size() - size + 1;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t last = words[i + size - 1];
      hashes[i] = multiply_add(hashes[i], vocabulary.weights[last], vocabulary.hashes[last]);
    }
    const auto wanted = std::find(sizes.begin(), sizes.end(), size);
    if (wanted == sizes.end()) continue;
    slots.assign(std::size_t{1} << bits_for(count), kNone);  // places of sequences
    const std::size_t mask = slots.size() - 1;
    std::uint64_t chars = 0;
    for (std::size_t i = 0; i < count;) {
      std::size_t slot = hashes[i] & mask;
      while (slots[slot] != kNone && (hashes[slots[slot]] != hashes[i] || gram(slots[slot], size) != gram(i, size)))
        slot = (slot + 1) & mask;
      if (slots[slot] == kNone) {
        slots[slot] = static_cast<std::uint32_t>(i++);
      } else {
        chars += ends[i + size] - ends[i];
        i += size;
      }
    }
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] == size) repeated[i] = chars;
    }
  }
  return repeated;
}

}  // namespace kernels
