#include "block_features.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "page_features.hpp"
#include "phrase_matcher.hpp"

namespace kernels {
namespace {

using Number = std::int64_t;

Number share(Number part, Number whole) { return whole > 0 ? part * 1024 / whole : 0; }

std::size_t at(std::int32_t place) { return static_cast<std::size_t>(place); }

// Words at the start of a short block that say what the block is.
// clang-format off
const PhraseMatcher& cue_words() {
  static const PhraseMatcher matcher({{"comment", 0}, {"repl", 1}, {"respon", 2}, {"posted", 3}, {"share", 4}, {"copyright", 5},
                                      {"rights reserved", 6}, {"subscri", 7}, {"cookie", 8}, {"more", 9}, {"click", 10},
                                      {"sign", 11}, {"photo", 12}, {"by ", 13}, {"says", 14}, {"related", 15}, {"tag", 16}});
  return matcher;
}
// clang-format on
constexpr int kCues = 17;
constexpr std::uint32_t kCommentCues = 0b111;

// What an element holds.
struct Sums {
  Number chars = 0, link_chars = 0, blocks = 0, prose_chars = 0;
  Number score = 0;
  int first_block = -1, last_block = -1;
  int siblings = 1, order = 0;  // among the children of its parent with its tag and first class
};

// The names of columns are written once, beside their values.
class Row {
 public:
  Row(std::vector<std::int32_t>& values, std::vector<std::string>* names) : values_(values), names_(names) {}

  void add(const char* name, Number value, int place = -1) {
    values_.push_back(static_cast<std::int32_t>(std::clamp<Number>(value, INT32_MIN, INT32_MAX)));
    if (names_ != nullptr) names_->push_back(place < 0 ? name : name + std::to_string(place));
  }

 private:
  std::vector<std::int32_t>& values_;
  std::vector<std::string>* names_;
};

class Measures {
 public:
  Measures(const Page& page, const std::vector<TextCounts>& counts, const Lexicon& lexicon)
      : page_(page), counts_(counts), lexicon_(lexicon), sums_(page.nodes.size()) {
    look_at_blocks();
    sum_up();
    find_best_container();
    count_siblings();
    look_up_words();
  }

  void add_row(std::size_t i, Row& row) const {
    text(i, row);
    ancestors(i, row);
    containers(i, row);
    neighbors(i, row);
    prose_around(i, row);
    place_in_page(i, row);
    best_container(i, row);
    repetition(i, row);
    cues(i, row);
    learned_words(i, row);
  }

  void add_page(Row& row) const {
    row.add("page.chars", total_);
    row.add("page.link_share", share(total_links_, total_));
    row.add("page.blocks", static_cast<Number>(blocks().size()));
    row.add("page.prose_blocks", prose_blocks_);
    row.add("page.prose_share", share(prose_total_, total_));
    Number described = 0;
    for (const TextCounts& counts : counts_) described += counts.described_pairs;
    row.add("page.described", described);
    row.add("page.longest_prose", blocks().empty() ? 0 : blocks()[longest_prose_].chars);
  }

 private:
  const std::vector<Block>& blocks() const { return page_.blocks; }
  const Node& node(std::int32_t place) const { return page_.nodes[at(place)]; }
  Number link_share(std::size_t i) const { return share(blocks()[i].link_chars, blocks()[i].chars); }
  Number chars_between(std::size_t from, std::size_t to) const { return chars_before_[to] - chars_before_[from]; }
  Number prose_between(std::size_t from, std::size_t to) const { return prose_before_[to] - prose_before_[from]; }

  // --- once for a page

  // Prose is a block of at least 15 words, most of them in lower case and few of them links.
  void look_at_blocks() {
    const std::size_t count = blocks().size();
    is_prose_.resize(count), previous_prose_.assign(count, -1), next_prose_.assign(count, -1);
    chars_before_.assign(count + 1, 0), prose_before_.assign(count + 1, 0);
    cues_.resize(count), since_comment_cue_.assign(count, 99);
    int last = -1, last_cue = -1;
    for (std::size_t i = 0; i < count; ++i) {
      const Block& block = blocks()[i];
      is_prose_[i] = counts_[i].words >= 15 && link_share(i) < 348 && counts_[i].lower_words * 2 > counts_[i].words;
      previous_prose_[i] = last;
      if (is_prose_[i]) {
        last = static_cast<int>(i), ++prose_blocks_;
        if (!is_prose_[longest_prose_] || block.chars > blocks()[longest_prose_].chars) longest_prose_ = i;
      }
      chars_before_[i + 1] = chars_before_[i] + block.chars;
      prose_before_[i + 1] = prose_before_[i] + (is_prose_[i] ? block.chars : 0);
      total_links_ += block.link_chars;
      ++same_text_[counts_[i].hash];
      if (first_h1_ < 0 && node(block.node).tag == Tag::kH1) first_h1_ = static_cast<int>(i);
      if (counts_[i].words <= 40)
        cues_[i] =
            cue_words().mask(std::string_view(page_.text).substr(block.begin, std::min(block.end - block.begin, 250U)));
      if (last_cue >= 0) since_comment_cue_[i] = std::min(static_cast<int>(i) - last_cue, 98);
      if (counts_[i].words <= 8 && (cues_[i] & kCommentCues) != 0) last_cue = static_cast<int>(i);
    }
    last = -1;
    for (std::size_t i = count; i-- > 0;) {
      next_prose_[i] = last;
      if (is_prose_[i]) last = static_cast<int>(i);
    }
    total_ = chars_before_[count], prose_total_ = prose_before_[count];
  }

  void sum_up() {
    for (std::size_t i = 0; i < blocks().size(); ++i) {
      const Block& block = blocks()[i];
      Sums& sums = sums_[at(block.node)];
      sums.chars += block.chars, sums.link_chars += block.link_chars, ++sums.blocks;
      sums.prose_chars += is_prose_[i] ? block.chars : 0;
      if (sums.first_block < 0) sums.first_block = static_cast<int>(i);
      sums.last_block = static_cast<int>(i);
      if (is_prose_[i]) score_containers(i);
    }
    for (std::size_t j = sums_.size(); j-- > 1;) {
      const Sums& child = sums_[j];
      Sums& parent = sums_[at(page_.nodes[j].parent)];
      parent.chars += child.chars, parent.link_chars += child.link_chars, parent.blocks += child.blocks;
      parent.prose_chars += child.prose_chars;
      if (child.first_block < 0) continue;
      if (parent.first_block < 0 || child.first_block < parent.first_block) parent.first_block = child.first_block;
      parent.last_block = std::max(parent.last_block, child.last_block);
    }
  }

  // As readability does: a paragraph speaks for its parent, for half as much for the next, for a sixth for the third.
  void score_containers(std::size_t i) {
    const Block& block = blocks()[i];
    const Number score = (1 + counts_[i].commas + std::min<Number>(block.chars / 100, 3)) * (1024 - link_share(i));
    std::int32_t place = block.node;
    if (node(place).tag == Tag::kP || node(place).tag == Tag::kSpan) place = node(place).parent;
    for (const Number weight : {6, 3, 1}) {
      if (place < 0) return;
      sums_[at(place)].score += score * weight;
      place = node(place).parent;
    }
  }

  void find_best_container() {
    Number best = -1;
    for (std::size_t j = 0; j < sums_.size(); ++j) {
      const Number score =
          sums_[j].chars > 0 ? sums_[j].score * (1024 - share(sums_[j].link_chars, sums_[j].chars)) : 0;
      if (score > best) best = score, best_ = static_cast<std::int32_t>(j);
    }
    in_best_.assign(sums_.size(), false), above_best_.assign(sums_.size(), -1);
    for (std::size_t j = 0; j < sums_.size(); ++j) {
      const std::int32_t parent = page_.nodes[j].parent;
      in_best_[j] = static_cast<std::int32_t>(j) == best_ || (parent >= 0 && in_best_[at(parent)]);
    }
    int distance = 0;
    for (std::int32_t place = best_; place >= 0; place = node(place).parent) above_best_[at(place)] = distance++;
  }

  void count_siblings() {
    std::unordered_map<std::uint64_t, int> seen;
    seen.reserve(sums_.size());
    std::vector<std::uint64_t> shapes(sums_.size());
    for (std::size_t j = 0; j < sums_.size(); ++j) {
      const Node& one = page_.nodes[j];
      const std::uint64_t first_class = one.last_token > one.first_token ? page_.tokens[one.first_token] : 0;
      shapes[j] = static_cast<std::uint64_t>(one.parent + 1) * 0x9E3779B97F4A7C15ULL ^
                  static_cast<std::uint64_t>(one.tag) * 0xFF51AFD7ED558CCDULL ^ first_class * 31;
      sums_[j].order = seen[shapes[j]]++;
    }
    for (std::size_t j = 0; j < sums_.size(); ++j) sums_[j].siblings = seen[shapes[j]];
  }

  // Sums up what the lexicon says of the words of each block and each element.
  void look_up_words() {
    node_values_.assign(sums_.size(), {}), block_values_.assign(blocks().size(), {});
    const PageWords words = words_of(page_, counts_);
    for (std::size_t kind = 0; kind < kWordKinds; ++kind) {
      for (std::size_t i = 0; i < words.keys[kind].size(); ++i) {
        const int value = lexicon_(static_cast<WordKind>(kind), words.keys[kind][i]);
        if (value == 0) continue;
        const std::size_t row = words.rows[kind][i];
        (kind == 0 ? node_values_[row] : block_values_[row][kind - 1]).add(value);
      }
    }
  }

  struct Learned {
    int sum = 0, count = 0, least = 0, most = 0;
    void add(int value) {
      sum += value, ++count;
      least = std::min(least, value), most = std::max(most, value);
    }
    Number mean() const { return count > 0 ? Number{sum} * 16 / count : 0; }
  };

  // --- for each block

  void text(std::size_t i, Row& row) const {
    const Block& block = blocks()[i];
    const TextCounts& counts = counts_[i];
    const Number words = std::max(counts.words, 1U);
    row.add("chars", block.chars);
    row.add("words", counts.words);
    row.add("link_share", link_share(i));
    row.add("links", block.links);
    row.add("chars_a_word", share(block.chars, words));
    row.add("upper_share", share(counts.upper, block.chars));
    row.add("digit_share", share(counts.digits, block.chars));
    row.add("comma_share", share(counts.commas, words));
    row.add("sentence_ends", counts.sentence_ends);
    row.add("sentence_share", share(counts.sentence_ends, words));
    row.add("lower_share", share(counts.lower_words, words));
    row.add("capital_share", share(counts.capital_words, words));
    row.add("long_share", share(counts.long_words, words));
    row.add("breaks", block.breaks);
    row.add("formats", block.formats);
    row.add("images", block.images);
    row.add("last", kind_of_last(page_.text[block.end - 1]));
    row.add("first", kind_of_first(page_.text[block.begin]));
    row.add("same_text", same_text_.at(counts.hash));
    row.add("title_share", share(counts.title_words, words));
    row.add("described", counts.described_pairs);
    row.add("described_share", share(counts.described_pairs, words));
    row.add("outward_share", share(block.outward_links, std::max(block.links, 1U)));
    row.add("inward_links", block.inward_links);
    row.add("all_capital", counts.capital_words == counts.words);
    row.add("tag", static_cast<Number>(node(block.node).tag));
    row.add("preformatted", block.preformatted);
  }

  static int kind_of_last(char c) {
    if (c == '.' || c == '!' || c == '?') return 3;
    if (c == '"' || c == ')' || static_cast<unsigned char>(c) >= 128) return 2;
    return c == ':' ? 1 : c == ',' ? -1 : 0;
  }

  static int kind_of_first(char c) {
    if (static_cast<unsigned char>(c) >= 128) return 3;
    if (c >= 'A' && c <= 'Z') return 2;
    if (c >= 'a' && c <= 'z') return 1;
    return c >= '0' && c <= '9' ? -1 : 0;
  }

  // The kinds of elements that are counted among the ancestors.
  static int group_of(Tag tag) {
    switch (tag) {
      case Tag::kUl:
      case Tag::kOl:
      case Tag::kMenu: return 0;
      case Tag::kLi: return 1;
      case Tag::kTable: return 2;
      case Tag::kTd:
      case Tag::kTh: return 3;
      case Tag::kNav: return 4;
      case Tag::kHeader: return 5;
      case Tag::kFooter: return 6;
      case Tag::kAside: return 7;
      case Tag::kArticle: return 8;
      case Tag::kMain: return 9;
      case Tag::kSection: return 10;
      case Tag::kForm: return 11;
      case Tag::kFigure:
      case Tag::kFigcaption:
      case Tag::kCaption: return 12;
      case Tag::kBlockquote:
      case Tag::kPre: return 13;
      case Tag::kP: return 14;
      case Tag::kDl: return 15;
      case Tag::kSelect:
      case Tag::kOption:
      case Tag::kButton:
      case Tag::kLabel: return 16;
      case Tag::kNoscript: return 17;
      case Tag::kDetails:
      case Tag::kSummary: return 18;
      default: return -1;
    }
  }
  static constexpr int kGroups = 19;

  void ancestors(std::size_t i, Row& row) const {
    std::array<int, kGroups> groups{};
    std::uint32_t near = 0, middle = 0;
    int level = 0;
    for (std::int32_t place = blocks()[i].node; place >= 0; place = node(place).parent, ++level) {
      const int group = group_of(node(place).tag);
      if (group >= 0) ++groups[static_cast<std::size_t>(group)];
      if (level < 2) near |= node(place).categories;
      if (level < 5) middle |= node(place).categories;
    }
    const std::uint32_t all = node(blocks()[i].node).all_categories;
    row.add("depth", level - 1);
    for (int group = 0; group < kGroups; ++group) row.add("ancestors.", groups[static_cast<std::size_t>(group)], group);
    for (int category = 0; category < kCategories; ++category) {
      const auto in = [&](std::uint32_t bits) { return (bits >> category & 1) != 0; };
      row.add("category.", in(near) ? 3 : in(middle) ? 2 : in(all) ? 1 : 0, category);
    }
  }

  void containers(std::size_t i, Row& row) const {
    std::int32_t place = blocks()[i].node;
    if ((node(place).tag == Tag::kSpan || node(place).tag == Tag::kP) && node(place).parent >= 0)
      place = node(place).parent;
    for (int level = 0; level < 4; ++level) {
      const bool none = place < 0;
      const Sums sums = none ? Sums{} : sums_[at(place)];
      row.add("container.chars.", none ? -1 : sums.chars, level);
      row.add("container.link_share.", none ? -1 : share(sums.link_chars, sums.chars), level);
      row.add("container.blocks.", none ? -1 : sums.blocks, level);
      row.add("container.prose_share.", none ? -1 : share(sums.prose_chars, sums.chars), level);
      row.add("container.of_page.", none ? -1 : share(sums.chars, total_), level);
      row.add("container.of_prose.", none ? -1 : share(sums.prose_chars, prose_total_), level);
      row.add("container.part.", none ? -1 : share(blocks()[i].chars, sums.chars), level);
      if (none) continue;
      place = node(place).parent;  // an element around the same text says nothing new
      while (place >= 0 && sums_[at(place)].chars == sums.chars && node(place).parent >= 0) place = node(place).parent;
    }
  }

  void neighbors(std::size_t i, Row& row) const {
    for (const int offset : {-3, -2, -1, 1, 2, 3}) {
      const auto other = static_cast<std::ptrdiff_t>(i) + offset;
      const bool none = other < 0 || other >= static_cast<std::ptrdiff_t>(blocks().size());
      const std::size_t j = none ? i : static_cast<std::size_t>(other);
      const TextCounts& counts = counts_[j];
      const Node& its = node(blocks()[j].node);
      const int kinship = has(its.tag, kHeading) ? 2 : its.parent == node(blocks()[i].node).parent ? 1 : 0;
      row.add("near.words.", none ? -1 : counts.words, offset + 3);
      row.add("near.link_share.", none ? -1 : link_share(j), offset + 3);
      row.add("near.lower_share.", none ? -1 : share(counts.lower_words, counts.words), offset + 3);
      row.add("near.sentence_ends.", none ? -1 : counts.sentence_ends, offset + 3);
      row.add("near.kinship.", none ? -1 : kinship, offset + 3);
    }
  }

  void prose_around(std::size_t i, Row& row) const {
    const std::size_t from = i < 5 ? 0 : i - 5, to = std::min(blocks().size(), i + 6);
    const int previous = previous_prose_[i], next = next_prose_[i];
    const int here = static_cast<int>(i);
    row.add("prose.before", prose_between(from, i));
    row.add("prose.after", prose_between(i + 1, to));
    row.add("prose.share", share(prose_between(from, to), chars_between(from, to)));
    row.add("prose.since", previous < 0 ? 50 : std::min(here - previous, 50));
    row.add("prose.until", next < 0 ? 50 : std::min(next - here, 50));
    row.add("prose.previous", previous < 0 ? -1 : blocks()[at(previous)].chars);
    row.add("prose.next", next < 0 ? -1 : blocks()[at(next)].chars);
    row.add("prose.chars_since", previous < 0 ? total_ : chars_between(at(previous) + 1, i));
    row.add("prose.chars_until", next < 0 ? total_ : chars_between(i + 1, at(next)));
    row.add("prose.is", is_prose_[i]);
  }

  void place_in_page(std::size_t i, Row& row) const {
    const Number count = static_cast<Number>(blocks().size()), here = static_cast<Number>(i);
    row.add("place.block", share(here, count));
    row.add("place.chars", share(chars_before_[i], total_));
    row.add("place.prose", prose_total_ > 0 ? share(prose_before_[i], prose_total_) : -1);
    row.add("place.prose_left", prose_total_ > 0 ? share(prose_total_ - prose_before_[i + 1], prose_total_) : -1);
    row.add("place.from_start", std::min<Number>(here, 100));
    row.add("place.from_end", std::min<Number>(count - here, 100));
    row.add("place.from_h1", first_h1_ < 0 ? -60 : std::clamp<Number>(here - first_h1_, -50, 50));
    row.add("place.from_longest", std::clamp<Number>(here - static_cast<Number>(longest_prose_), -50, 50));
  }

  void best_container(std::size_t i, Row& row) const {
    const Sums& best = sums_[at(best_)];
    std::int32_t place = blocks()[i].node;
    int up = 0;
    for (; place >= 0 && above_best_[at(place)] < 0; place = node(place).parent) ++up;
    const int here = static_cast<int>(i);
    row.add("best.in", in_best_[at(blocks()[i].node)]);
    row.add("best.distance", place < 0 ? -1 : above_best_[at(place)]);
    row.add("best.up", up);
    row.add("best.prose", prose_total_ > 0 ? share(best.prose_chars, prose_total_) : -1);
    row.add("best.since", best.first_block < 0 ? -31 : std::clamp(here - best.first_block, -30, 30));
    row.add("best.until", best.last_block < 0 ? -31 : std::clamp(best.last_block - here, -30, 30));
    row.add("best.link_share", share(best.link_chars, best.chars));
  }

  // The repeated element around the block with most siblings: a post, a product, a row of a list.
  void repetition(std::size_t i, Row& row) const {
    std::int32_t place = blocks()[i].node, unit = -1;
    int most = 1, unit_level = -1;
    for (int level = 0; place >= 0 && level < 8; ++level, place = node(place).parent) {
      const Node& one = node(place);
      const bool plain = one.tag == Tag::kP || one.tag == Tag::kBody || one.tag == Tag::kTd || one.tag == Tag::kSpan ||
                         has(one.tag, kHeading) || (one.tag == Tag::kDiv && one.last_token == one.first_token);
      if (plain || sums_[at(place)].siblings < 3 || sums_[at(place)].siblings <= most) continue;
      most = sums_[at(place)].siblings, unit = place, unit_level = level;
    }
    const Number unit_chars = unit < 0 ? -1 : sums_[at(unit)].chars;
    const std::int32_t parent = unit < 0 ? -1 : node(unit).parent;
    row.add("unit.siblings", most);
    row.add("unit.level", unit_level);
    row.add("unit.order", unit < 0 ? 0 : sums_[at(unit)].order);
    row.add("unit.chars", unit_chars);
    row.add("unit.of_parent", parent < 0 ? -1 : share(unit_chars, sums_[at(parent)].chars));
    row.add("unit.parent_of_page", parent < 0 ? -1 : share(sums_[at(parent)].chars, total_));
    row.add("unit.own_siblings", sums_[at(blocks()[i].node)].siblings);
    row.add("unit.prose_share", unit < 0 ? -1 : share(sums_[at(unit)].prose_chars, unit_chars));
    row.add("unit.link_share", unit < 0 ? -1 : share(sums_[at(unit)].link_chars, unit_chars));
    row.add("unit.parent_prose", parent < 0 ? -1 : share(sums_[at(parent)].prose_chars, prose_total_));
  }

  void cues(std::size_t i, Row& row) const {
    for (int cue = 0; cue < kCues; ++cue) row.add("cue.", cues_[i] >> cue & 1, cue);
    row.add("since_comment_cue", since_comment_cue_[i]);
  }

  void learned_words(std::size_t i, Row& row) const {
    Number sum = 0, least = 0, most = 0;
    std::array<Number, 3> nearest{};
    std::size_t found = 0;
    int level = 0;
    for (std::int32_t place = blocks()[i].node; place >= 0 && level < 40; place = node(place).parent, ++level) {
      const Learned& its = node_values_[at(place)];
      if (its.count == 0) continue;
      sum += Number{its.sum} * 640 / (10 + 3 * level);  // the nearer an element, the more it says
      least = std::min<Number>(least, its.least), most = std::max<Number>(most, its.most);
      if (its.sum != 0 && found < nearest.size()) nearest[found++] = its.sum;
    }
    row.add("tokens.sum", sum);
    row.add("tokens.least", least);
    row.add("tokens.most", most);
    for (int place = 0; place < 3; ++place) row.add("tokens.nearest.", nearest[static_cast<std::size_t>(place)], place);
    const auto& [words, heading, whole, links] = block_values_[i];
    row.add("words.sum", words.sum);
    row.add("words.mean", words.mean());
    row.add("words.least", words.least);
    row.add("words.most", words.most);
    row.add("heading.mean", heading.mean());
    row.add("heading.least", heading.least);
    row.add("heading.most", heading.most);
    row.add("text.value", whole.sum);
    row.add("link_words.sum", links.sum);
    row.add("link_words.mean", links.mean());
    row.add("link_words.least", links.least);
    row.add("link_words.most", links.most);
    int before = 0, after = 0;  // what the links around say
    for (std::size_t j = i < 4 ? 0 : i - 4; j < i; ++j) before += block_values_[j][3].sum;
    for (std::size_t j = i + 1; j < std::min(i + 5, blocks().size()); ++j) after += block_values_[j][3].sum;
    row.add("link_words.before", before);
    row.add("link_words.after", after);
    row.add("described.before", i > 0 ? counts_[i - 1].described_pairs : 0);
    row.add("described.after", i + 1 < blocks().size() ? counts_[i + 1].described_pairs : 0);
  }

  const Page& page_;
  const std::vector<TextCounts>& counts_;
  const Lexicon& lexicon_;
  std::vector<Sums> sums_;
  std::vector<Learned> node_values_;
  std::vector<std::array<Learned, kWordKinds - 1>> block_values_;
  std::vector<char> is_prose_, in_best_;
  std::vector<int> previous_prose_, next_prose_, above_best_, since_comment_cue_;
  std::vector<Number> chars_before_, prose_before_;
  std::vector<std::uint32_t> cues_;
  std::unordered_map<std::uint32_t, int> same_text_;
  Number total_ = 0, total_links_ = 0, prose_total_ = 0, prose_blocks_ = 0;
  std::size_t longest_prose_ = 0;
  int first_h1_ = -1;
  std::int32_t best_ = 0;
};

}  // namespace

Features features_of(const Page& page, const std::vector<TextCounts>& counts, const Lexicon& lexicon,
                     std::string_view html, std::string_view url, std::vector<std::string>* names) {
  Features features;
  const Measures measures(page, counts, lexicon);
  for (std::size_t i = 0; i < page.blocks.size(); ++i) {
    Row row(features.blocks, i == 0 ? names : nullptr);
    measures.add_row(i, row);
    if (i == 0)
      features.columns = features.blocks.size(), features.blocks.reserve(features.columns * page.blocks.size());
  }
  Row row(features.page, names);
  measures.add_page(row);
  for (const auto& [name, value] : page_features_of(page, html.size(), url)) row.add(name, value);
  return features;
}

}  // namespace kernels
