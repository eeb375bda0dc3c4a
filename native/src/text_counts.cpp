#include <algorithm>

#include "block_features.hpp"
#include "html_tokenizer.hpp"

namespace kernels {
namespace {

constexpr std::uint32_t kSeed = 2166136261U;
constexpr std::uint32_t kPrime = 16777619U;

// Signs of 3 bytes that end a sentence, or part one, in scripts other than Latin, Greek and Cyrillic.
bool ends_sentence(std::string_view sign) {
  return sign == "。" || sign == "！" || sign == "？" || sign == "।" || sign == "။" || sign == "។" || sign == "።";
}

bool parts_sentence(std::string_view sign) { return sign == "、" || sign == "，" || sign == "፣"; }

// Calls `word(text, hash)` for each word. Two characters of Chinese or Japanese count as one word, as their words are
// not apart. `other(at)` is called for each byte of ASCII that is in no word.
template <typename Word, typename Sign, typename Other>
void each_word(std::string_view text, Word word, Sign sign, Other other) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = at;
    std::uint32_t hash = kSeed;
    while (at < text.size()) {
      const char c = text[at];
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0xE0 && byte <= 0xEF && at + 3 <= text.size()) {
        const std::string_view character = text.substr(at, 3);
        if (byte == 0xE2 || byte == 0xEF || (byte == 0xE3 && static_cast<unsigned char>(text[at + 1]) == 0x80) ||
            ends_sentence(character) || parts_sentence(character)) {
          break;  // punctuation
        }
        if (byte >= 0xE3 && byte <= 0xE9 && at > begin) {
          const auto before = static_cast<unsigned char>(text[begin]);
          if (before < 0xE3 || before > 0xE9 || at - begin >= 6) break;
        }
        for (const char b : character) hash = (hash ^ static_cast<unsigned char>(b)) * kPrime;
        at += 3;
        continue;
      }
      if (!is_letter(c) && !is_digit(c) && byte < 128) break;
      hash = (hash ^ static_cast<unsigned char>(c >= 'A' && c <= 'Z' ? c | 32 : c)) * kPrime;
      ++at;
    }
    if (at > begin) {
      word(text.substr(begin, at - begin), hash);
    } else if (static_cast<unsigned char>(text[at]) >= 0xE0 && at + 3 <= text.size()) {
      sign(text.substr(at, 3));
      at += 3;
    } else {
      other(at++);
    }
  }
}

std::uint32_t pair_of(std::uint32_t before, std::uint32_t hash) { return (before ^ hash >> 15) * kPrime ^ hash; }

// Hashes that can be found fast. Most that are not in it are known by one bit.
class HashSet {
 public:
  void add(std::uint32_t hash) { hashes_.push_back(hash); }

  void sort() {
    std::sort(hashes_.begin(), hashes_.end());
    hashes_.erase(std::unique(hashes_.begin(), hashes_.end()), hashes_.end());
    bits_.assign(hashes_.empty() ? 0 : kBits / 64, 0);
    for (const std::uint32_t hash : hashes_) bits_[hash % kBits / 64] |= std::uint64_t{1} << hash % 64;
  }

  bool empty() const { return hashes_.empty(); }

  bool has(std::uint32_t hash) const {
    return !bits_.empty() && (bits_[hash % kBits / 64] >> hash % 64 & 1) != 0 &&
           std::binary_search(hashes_.begin(), hashes_.end(), hash);
  }

 private:
  static constexpr std::uint32_t kBits = 1 << 14;
  std::vector<std::uint32_t> hashes_;
  std::vector<std::uint64_t> bits_;
};

// Calls `pair(hash)` for each two neighboring words.
template <typename Pair>
void each_pair(std::string_view text, Pair pair) {
  std::uint32_t before = 0;
  const auto ignore = [](auto) {};
  each_word(
      text,
      [&](std::string_view, std::uint32_t hash) {
        if (before != 0) pair(pair_of(before, hash));
        before = hash;
      },
      ignore, ignore);
}

// Returns the pairs of words of the texts in which the page describes itself to programs: the texts of JSON-LD
// with at least 60 bytes, and descriptions of meta elements.
HashSet pairs_of_descriptions(const Page& page) {
  constexpr std::size_t kLeastBytes = 60;
  HashSet pairs;
  const auto add = [&](std::uint32_t pair) { pairs.add(pair); };
  for (const std::string& description : page.descriptions) each_pair(description, add);
  for (const std::string_view data : page.linked_data) {
    for (std::size_t at = data.find('"'); at < data.size(); at = data.find('"', at + 1)) {
      std::size_t end = at + 1;
      while (end < data.size() && data[end] != '"') end += data[end] == '\\' ? 2 : 1;
      end = std::min(end, data.size());
      if (end - at > kLeastBytes) each_pair(data.substr(at + 1, end - at - 1), add);
      at = end;
    }
  }
  pairs.sort();
  return pairs;
}

TextCounts count_text(std::string_view text, const HashSet& title, const HashSet& described) {
  TextCounts counts;
  std::uint32_t before = 0;
  counts.hash = kSeed;
  for (const char c : text) {
    counts.hash = (counts.hash ^ static_cast<unsigned char>(c)) * kPrime;
    counts.upper += c >= 'A' && c <= 'Z' ? 1 : 0;
    counts.digits += is_digit(c) ? 1 : 0;
  }
  each_word(
      text,
      [&](std::string_view word, std::uint32_t hash) {
        ++counts.words;
        const auto first = static_cast<unsigned char>(word[0]);
        counts.lower_words += (first >= 'a' && first <= 'z') || first >= 128 ? 1 : 0;
        counts.capital_words += first >= 'A' && first <= 'Z' ? 1 : 0;
        counts.long_words += word.size() >= 7 ? 1 : 0;
        counts.title_words += title.has(hash) ? 1 : 0;
        counts.described_pairs += before != 0 && described.has(pair_of(before, hash)) ? 1 : 0;
        before = hash;
      },
      [&](std::string_view sign) {
        counts.sentence_ends += ends_sentence(sign) ? 1 : 0;
        counts.commas += parts_sentence(sign) ? 1 : 0;
      },
      [&](std::size_t at) {
        const char c = text[at];
        if (c == ',') ++counts.commas;
        const bool end = at + 1 >= text.size() || is_space(text[at + 1]) || text[at + 1] == '"';
        if ((c == '.' || c == '!' || c == '?') && end) ++counts.sentence_ends;
      });
  return counts;
}

}  // namespace

std::vector<TextCounts> count_texts(const Page& page) {
  HashSet title;
  const auto ignore = [](auto) {};
  each_word(page.title, [&](std::string_view, std::uint32_t hash) { title.add(hash); }, ignore, ignore);
  title.sort();
  const HashSet described = pairs_of_descriptions(page);
  std::vector<TextCounts> counts;
  counts.reserve(page.blocks.size());
  for (const Block& block : page.blocks) {
    counts.push_back(
        count_text(std::string_view(page.text).substr(block.begin, block.end - block.begin), title, described));
  }
  return counts;
}

PageWords words_of(const Page& page, const std::vector<TextCounts>& counts) {
  constexpr std::uint32_t kMostWords = 30, kMostOfText = 6;  // of a block
  constexpr std::size_t kMostOfHeading = 8, kReach = 60;     // words, and blocks below the heading
  PageWords found;
  const auto add = [&](WordKind kind, std::size_t row, std::uint32_t key) {
    found.rows[static_cast<std::size_t>(kind)].push_back(static_cast<std::uint32_t>(row));
    found.keys[static_cast<std::size_t>(kind)].push_back(key);
  };
  for (std::size_t node = 0; node < page.nodes.size(); ++node) {
    for (std::uint32_t i = page.nodes[node].first_token; i < page.nodes[node].last_token; ++i)
      add(WordKind::kToken, node, page.tokens[i]);
  }
  for (const LinkWord& word : page.link_words) add(WordKind::kLink, word.block, word.hash);
  const auto ignore = [](auto) {};
  std::vector<std::uint32_t> heading, words;
  std::size_t below = 0;
  for (std::size_t i = 0; i < page.blocks.size(); ++i) {
    const Block& block = page.blocks[i];
    for (const std::uint32_t key : heading) {
      if (below <= kReach) add(WordKind::kHeading, i, key);
    }
    ++below;
    const bool is_heading = has(page.nodes[static_cast<std::size_t>(block.node)].tag, kHeading);
    if (counts[i].words == 0 || (counts[i].words > kMostWords && !is_heading)) continue;
    const std::string_view text = std::string_view(page.text).substr(block.begin, block.end - block.begin);
    words.clear();
    std::uint32_t whole = kSeed;
    each_word(
        text,
        [&](std::string_view word, std::uint32_t hash) {
          const bool number = std::all_of(word.begin(), word.end(), is_digit);
          whole = (whole ^ (number ? 0 : hash)) * kPrime;
          if (!number && std::find(words.begin(), words.end(), hash) == words.end() && words.size() < kMostWords)
            words.push_back(hash);
        },
        ignore, ignore);
    if (counts[i].words <= kMostWords) {
      for (const std::uint32_t key : words) add(WordKind::kWord, i, key);
    }
    if (counts[i].words <= kMostOfText) add(WordKind::kText, i, whole);
    if (is_heading) {
      heading.assign(words.begin(),
                     words.begin() + static_cast<std::ptrdiff_t>(std::min(words.size(), kMostOfHeading)));
      below = 1;
    }
  }
  return found;
}

}  // namespace kernels
