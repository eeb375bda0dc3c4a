// The stretches of texts (runs of characters without whitespace) and their words, as numbers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "english_rules.hpp"
#include "string_table.hpp"

namespace kernels {

// The characters of a text, to ask whether it has one.
class CharSet {
 public:
  explicit CharSet(std::string_view chars);
  bool has(char32_t code) const;

 private:
  std::vector<char32_t> codes_;  // in order
  std::array<bool, 128> ascii_{};
};

struct WordMarks {
  CharSet punctuation;    // a word of these alone is no content
  CharSet sentence_ends;  // a word that is one of these ends a sentence
};

// What a stretch means for the number of sentences in its line.
enum class Role : std::uint8_t {
  kPlain = 'w',  // no sentence ends here
  kEnd = 'e',    // a sentence ends with the stretch
  kMarks = 'p',  // punctuation without an end
  kOther = 'x',  // an end inside of the stretch, or alone
};

// Normalized words, by the way of normalizing: for shingles; the same with unchanged numbers; for benchmark items.
enum class HashKind : std::uint8_t { kPlain, kNumbered, kItems };
constexpr std::size_t kHashKinds = 3;

// The words of a text are found once for each stretch. Whoever uses a table splits the stretches that it can't split
// itself: these wait for their tokens. The table before this one may be kept, so that its stretches are not split
// again. All members are safe to call from several threads.
class StretchTable {
 public:
  struct Vocabulary {
    StringTable strings;
    std::vector<std::uint32_t> chars;
    std::vector<std::uint8_t> flags;     // of WordFlag
    std::vector<std::uint64_t> hashes;   // see ngrams.hpp
    std::vector<std::uint64_t> weights;  // the base to the power of the word's bytes
  };
  enum WordFlag : std::uint8_t { kContent = 1, kLetters = 2, kSentenceEnd = 4, kPunctuation = 8 };

  // Without rules, the table splits no stretch itself.
  StretchTable(WordMarks marks, std::shared_ptr<const EnglishRules> rules, std::shared_ptr<StretchTable> previous);

  // Numbers the stretches of a text.
  std::vector<std::uint32_t> read(std::string_view text);
  // The numbers without tokens, in order.
  std::vector<std::uint32_t> waiting(std::vector<std::uint32_t> numbers) const;
  void set_tokens(std::uint32_t number, const std::vector<std::string>& tokens);
  void drop_previous();

  std::uint32_t size() const;
  std::size_t bytes() const;
  std::string stretch(std::uint32_t number) const;
  // The tokens of a stretch that the table may lack, which is not added.
  std::optional<std::vector<std::string>> look_up(std::string_view stretch) const;

  std::uint32_t number_word(std::string_view word);
  std::vector<std::uint32_t> words(const std::uint32_t* numbers, std::size_t count) const;

  // Hashes of the normalized words of stretches. `waiting` gets the stretches whose hashes are unknown.
  std::vector<std::uint64_t> hashes(HashKind kind, const std::uint32_t* numbers, std::size_t count,
                                    std::vector<std::uint32_t>& waiting);
  void set_hashes(HashKind kind, std::uint32_t number, const std::vector<std::uint64_t>& hashes);
  std::vector<std::uint32_t> hash_counts(HashKind kind, const std::uint32_t* numbers, std::size_t count) const;

  std::string roles(const std::uint32_t* numbers, std::size_t count) const;

  // A number that nobody can foresee: a base of hashes.
  std::uint64_t secret() const { return base_; }

  // For functions that read many values: the table must not change while one has the lock.
  std::unique_lock<std::mutex> lock() const { return std::unique_lock(mutex_); }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  struct Run {
    const std::uint32_t* begin;
    std::size_t size;
  };
  Run words_of(std::uint32_t number) const;
  Role role_of(std::uint32_t number) const { return static_cast<Role>(roles_[number]); }
  void check(const std::uint32_t* numbers, std::size_t count) const;  // throws for a number that is unknown

 private:
  struct Place {
    std::uint32_t first = kNone;  // kNone: unknown
    std::uint32_t count = 0;
  };
  struct Hashes {
    std::vector<Place> places;  // of stretches
    std::vector<std::uint64_t> pool;
  };

  std::uint32_t add_word(std::string_view word);
  void add_tokens(std::uint32_t number, const Tokens& tokens);
  void split(std::uint32_t number);
  bool copy_tokens(std::uint32_t number);
  bool copy_hashes(HashKind kind, std::uint32_t number);
  bool make_hashes(HashKind kind, std::uint32_t number);
  bool tokens_of_normal(std::string_view piece, Tokens& tokens) const;
  void add_hashes(HashKind kind, std::uint32_t number, const std::vector<std::uint64_t>& hashes);
  Role role_of_words(Run words) const;

  mutable std::mutex mutex_;
  WordMarks marks_;
  std::shared_ptr<const EnglishRules> rules_;
  std::shared_ptr<StretchTable> previous_;
  std::uint64_t base_;
  StringTable strings_;
  std::vector<Place> places_;
  std::vector<std::uint32_t> pool_;  // words
  std::string roles_;
  Vocabulary vocabulary_;
  std::array<Hashes, kHashKinds> hashes_;
};

}  // namespace kernels
