// Prints a digest of what each kernel makes of some pages: `digests MODEL PAGE...`. It needs no Python, so it can be
// built for another processor.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "block_features.hpp"
#include "boosted_trees.hpp"
#include "c4_lines.hpp"
#include "fasttext.hpp"
#include "html_structure.hpp"
#include "ngrams.hpp"
#include "parser_hazards.hpp"
#include "personal_data.hpp"
#include "render.hpp"
#include "rights_tags.hpp"
#include "sentences.hpp"
#include "shingles.hpp"
#include "stretch_table.hpp"
#include "tree_flags.hpp"
#include "utf8.hpp"
#include "visible_text.hpp"

using namespace kernels;

namespace {

class Digest {
 public:
  explicit Digest(const char* name) : name_(name) {}
  ~Digest() { std::printf("%s %016llx\n", name_, static_cast<unsigned long long>(hash_)); }

  void add(std::string_view bytes) {
    for (const char c : bytes) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001B3;
    add(bytes.size());
  }
  void add(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x9E3779B97F4A7C15; }
  template <typename T>
  void add_all(const std::vector<T>& values) {
    for (const T& value : values) add(static_cast<std::uint64_t>(value));
  }

 private:
  const char* name_;
  std::uint64_t hash_ = 0xCBF29CE484222325;
};

std::string bytes_of(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Gives each stretch that waits for tokens two: its first byte of ASCII, and the rest.
void split(StretchTable& table, const std::vector<std::uint32_t>& numbers) {
  for (const std::uint32_t number : table.waiting(numbers)) {
    const std::string stretch = table.stretch(number);
    const bool ascii = stretch.size() > 1 && static_cast<unsigned char>(stretch[0]) < 128;
    table.set_tokens(number, ascii ? std::vector<std::string>{stretch.substr(0, 1), stretch.substr(1)}
                                   : std::vector<std::string>{stretch});
  }
}

}  // namespace

int main(int count, char** paths) {
  if (count < 3) return 2;
  const std::string file = bytes_of(paths[1]);
  const FastText model(file);
  Digest markup("markup"), blocks("blocks"), language("language"), words("words"), lines("lines"), trees("trees");
  const std::vector<EnglishRules::SpecialCase> cases = {{"don't", {"do", "n't"}}, {"Mr.", {"Mr."}}, {":)", {":)"}}};
  StretchTable table({CharSet(".,!?;:()\"'-"), CharSet(".!?")}, std::make_shared<EnglishRules>(cases), nullptr);
  AttributeBits values({}, {{"main", {1, 2, 4}}}, {{"\002nav", "", {8}}, {"Content", "-", {16}}, {" ad ", "", {0, 8}}},
                       {{"foot", "", {32}}, {"menu\x03", "", {64, 0, 1}}});
  std::vector<std::uint32_t> factors, summands;
  for (std::uint32_t i = 0; i < 112; ++i) factors.push_back(2654435761U * i | 1), summands.push_back(40503U * i);
  for (int i = 2; i < count; ++i) {
    const std::string html = bytes_of(paths[i]);
    const HtmlStructure structure = structure_of(html, 80);
    markup.add_all<std::size_t>({structure.tags, structure.attributes, structure.depth});
    markup.add(may_opt_out(html, {"robots", "tdm-"}));
    markup.add(may_license(html));
    markup.add(beyond_ascii(html).value_or(1));
    const ParserHazards hazards = parser_hazards(html);
    markup.add_all<int>({hazards.controls, hazards.noncharacters, hazards.references});
    for (std::size_t begin = 0, end = 0; end < html.size(); begin = end + 1) {
      end = std::min(html.find('"', begin), html.size());
      ValueBits bits;
      markup.add(values.look_up(std::string_view(html).substr(begin, end - begin), bits));
      markup.add_all<std::uint32_t>({bits.own, bits.class_or_id, bits.id_or_style});
    }

    const Page page = read_page(html, "https://site.example/a");
    const auto counts = count_texts(page);
    const Features features = features_of(page, counts, Lexicon(), html, "https://site.example/a");
    blocks.add_all(features.blocks);
    blocks.add_all(features.page);
    const std::vector<char> all(page.blocks.size(), 1);
    blocks.add(render_markdown(page, all, true, html, "https://site.example/a"));
    const std::string text = render_text(page, all);
    if (!page.blocks.empty()) {
      const BoostedTrees made({{10, 0, 1, ~0}, {100, 5, ~1, ~2}}, {3, -5, 7}, {0}, features.columns,
                              features.page.size());
      trees.add_all(made.sums(features.blocks, features.page));
    }

    const Prediction found = model.predict(text, {0, 1, 2});
    language.add(static_cast<std::uint64_t>(found.label));
    for (const float probability : {found.probability, found.asked[0], found.asked[1], found.asked[2]})
      language.add(std::string_view(reinterpret_cast<const char*>(&probability), sizeof probability));
    language.add(visible_text(html, 1000, 16));

    const auto numbers = table.read(text);
    split(table, numbers);
    const auto tokens = table.words(numbers.data(), numbers.size());
    words.add_all(numbers);
    words.add_all(tokens);
    words.add_all(top_ngram_chars(table, tokens, {2, 3, 4}));
    words.add_all(duplicate_ngram_chars(table, tokens, {5, 6, 10}));
    std::vector<std::uint32_t> waiting;
    const auto hashes = table.hashes(HashKind::kNumbered, numbers.data(), numbers.size(), waiting);
    const auto grams = shingles(hashes, 5);
    words.add_all(hashes);
    words.add_all(grams);
    words.add_all(least_values(grams.data(), grams.size(), factors, summands));

    C4Lines kept = clean_lines(table, text, numbers, {false, false, false, true, 3, 1000});
    split(table, kept.added);
    kept = clean_lines(table, text, numbers, {false, false, false, true, 3, 1000});
    lines.add(kept.text);
    lines.add_all<std::uint64_t>({kept.sentences, kept.citations, kept.policy, kept.curly_bracket});
    lines.add(count_sentences(table, text, numbers));
    for (const DigitCluster& one : hints_of(text).clusters)
      lines.add_all<std::size_t>({one.begin, one.end, one.digits});
  }
  return 0;
}
