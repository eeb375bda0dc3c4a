// What Python sees of the kernels. The signatures are in native/kernels.pyi.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "bind.hpp"
#include "block_extractor.hpp"
#include "block_features.hpp"
#include "html_references.hpp"
#include "page.hpp"
#include "page_features.hpp"
#include "render.hpp"

namespace nb = nanobind;
using namespace kernels;

namespace {

Comments comments_of(std::string_view name) {
  if (name == "auto") return Comments::kAuto;
  if (name == "keep") return Comments::kKeep;
  if (name == "drop") return Comments::kDrop;
  throw nb::value_error("comments is \"auto\", \"keep\" or \"drop\"");
}

std::string render_page(const Page& page, const std::vector<char>& taken, bool markdown, bool links,
                        std::string_view html, std::string_view url) {
  return markdown ? render_markdown(page, taken, links, html, url) : render_text(page, taken);
}

// A page that was read, for training and for people who look at its blocks.
class ReadPage {
 public:
  ReadPage(nb::bytes html, std::string url)
      : html_(view(html)), url_(std::move(url)), page_(read_page(html_, url_)), counts_(count_texts(page_)) {}

  std::vector<std::string> texts() const {
    std::vector<std::string> texts;
    for (const Block& block : page_.blocks) texts.push_back(page_.text.substr(block.begin, block.end - block.begin));
    return texts;
  }

  nb::tuple features(const Lexicon& lexicon) const {
    Features features = features_of(page_, counts_, lexicon, html_, url_);
    const std::size_t columns = features.columns;
    const std::size_t page_columns = features.page.size();
    return nb::make_tuple(as_array(std::move(features.blocks), page_.blocks.size(), columns),
                          as_array(std::move(features.page), page_columns));
  }

  std::vector<std::string> feature_names() const {
    std::vector<std::string> names;
    features_of(page_, counts_, Lexicon(), html_, url_, &names);
    return names;
  }

  nb::list words() const {
    PageWords words = words_of(page_, counts_);
    nb::list kinds;
    for (std::size_t kind = 0; kind < kWordKinds; ++kind) {
      const std::size_t size = words.rows[kind].size();
      kinds.append(
          nb::make_tuple(as_array(std::move(words.rows[kind]), size), as_array(std::move(words.keys[kind]), size)));
    }
    return kinds;
  }

  Array<std::int32_t> parents() const {
    std::vector<std::int32_t> parents;
    for (const Node& node : page_.nodes) parents.push_back(node.parent);
    return as_array(std::move(parents), page_.nodes.size());
  }

  Array<std::int32_t> block_nodes() const {
    std::vector<std::int32_t> nodes;
    for (const Block& block : page_.blocks) nodes.push_back(block.node);
    return as_array(std::move(nodes), page_.blocks.size());
  }

  std::string title() const { return page_.title; }

  std::vector<std::pair<std::string, std::string>> statements() const {
    std::vector<std::pair<std::string, std::string>> found;
    for (const Statement& one : page_.statements) found.emplace_back(one.name, without_references(one.content, true));
    return found;
  }

  std::vector<std::string> times() const { return {page_.times.begin(), page_.times.end()}; }

  std::vector<std::string> linked_data() const { return {page_.linked_data.begin(), page_.linked_data.end()}; }

  std::vector<std::pair<int, std::string>> headings() const {
    std::vector<std::pair<int, std::string>> found;
    for (const Block& block : page_.blocks) {
      const int level =
          static_cast<int>(page_.nodes[static_cast<std::size_t>(block.node)].tag) - static_cast<int>(Tag::kH1) + 1;
      if (level >= 1 && level <= 6) found.emplace_back(level, page_.text.substr(block.begin, block.end - block.begin));
    }
    return found;
  }

  std::string render(const std::vector<bool>& taken, bool markdown, bool links) const {
    if (taken.size() != page_.blocks.size()) throw nb::value_error("one truth value for each block is needed");
    return render_page(page_, {taken.begin(), taken.end()}, markdown, links, html_, url_);
  }

 private:
  std::string html_, url_;
  Page page_;
  std::vector<TextCounts> counts_;
};

}  // namespace

NB_MODULE(kernels, m) {
  // A model is kept to the end of the process. A line on stderr about it would help nobody.
  nb::set_leak_warnings(false);
  m.attr("SOURCE_DIGEST") =
#include "source_digest.inc"
      ;
  bind_text(m);

  nb::class_<Lexicon>(m, "Lexicon")
      .def(nb::init<>())
      .def("fill", [](Lexicon& lexicon, int kind, const std::vector<std::uint32_t>& keys,
                      const std::vector<std::int8_t>& values) {
        if (kind < 0 || kind >= static_cast<int>(kWordKinds)) throw nb::value_error("the kind of words is unknown");
        lexicon.fill(static_cast<WordKind>(kind), keys, values);
      });

  nb::class_<ReadPage>(m, "Page")
      .def(nb::init<nb::bytes, std::string>(), nb::arg("html"), nb::arg("url"))
      .def("texts", &ReadPage::texts)
      .def("features", &ReadPage::features, nb::arg("lexicon"))
      .def("feature_names", &ReadPage::feature_names)
      .def("words", &ReadPage::words)
      .def("parents", &ReadPage::parents)
      .def("block_nodes", &ReadPage::block_nodes)
      .def("render", &ReadPage::render, nb::arg("taken"), nb::arg("markdown") = false, nb::arg("links") = false)
      .def("title", &ReadPage::title)
      .def("statements", &ReadPage::statements)
      .def("times", &ReadPage::times)
      .def("linked_data", &ReadPage::linked_data)
      .def("headings", &ReadPage::headings);

  nb::class_<BlockExtractor>(m, "BlockExtractor")
      .def(
          "__init__",
          [](BlockExtractor* self, const std::vector<std::vector<std::int32_t>>& nodes,
             const std::vector<std::int16_t>& leaves, const std::vector<std::int32_t>& roots,
             const std::vector<std::uint16_t>& table, std::int32_t step, const Lexicon& lexicon,
             std::size_t block_features, std::size_t page_features) {
            std::vector<TreeNode> trees;
            for (const auto& node : nodes) {
              if (node.size() != 4) throw nb::value_error("a node of a tree has four numbers");
              trees.push_back({node[0], node[1], node[2], node[3]});
            }
            if (table.empty() || step < 1) throw nb::value_error("the table of chances is empty");
            new (self) BlockExtractor(BoostedTrees(trees, leaves, roots, block_features, page_features),
                                      Calibration{table, step}, lexicon);
          },
          nb::arg("nodes"), nb::arg("leaves"), nb::arg("roots"), nb::arg("table"), nb::arg("step"), nb::arg("lexicon"),
          nb::arg("block_features"), nb::arg("page_features"))
      .def(
          "extract",
          [](const BlockExtractor& self, nb::bytes html, std::string_view url, std::string_view comments, bool markdown,
             bool links) {
            const std::string_view bytes = view(html);
            const Comments wanted = comments_of(comments);
            nb::gil_scoped_release release;
            const Page page = read_page(bytes, url);
            const auto counts = count_texts(page);
            const auto taken = take(page, counts, self.chances(page, counts, bytes, url), wanted);
            std::uint64_t chars = 0, taken_chars = 0;
            for (std::size_t i = 0; i < taken.size(); ++i)
              chars += page.blocks[i].chars, taken_chars += taken[i] ? page.blocks[i].chars : 0;
            return std::make_tuple(render_page(page, taken, markdown, links, bytes, url), taken_chars, chars,
                                   declared_type(page));
          },
          nb::arg("html"), nb::arg("url"), nb::arg("comments") = "auto", nb::arg("markdown") = false,
          nb::arg("links") = false)
      .def(
          "blocks",
          [](const BlockExtractor& self, nb::bytes html, std::string_view url, std::string_view comments) {
            const std::string_view bytes = view(html);
            const Page page = read_page(bytes, url);
            const auto counts = count_texts(page);
            const auto chances = self.chances(page, counts, bytes, url);
            const auto taken = take(page, counts, chances, comments_of(comments));
            nb::list rows;
            for (std::size_t i = 0; i < chances.size(); ++i) {
              const Block& block = page.blocks[i];
              const std::string text = page.text.substr(block.begin, block.end - block.begin);
              rows.append(nb::make_tuple(text, name_of(page.nodes[static_cast<std::size_t>(block.node)].tag),
                                         chances[i], taken[i] != 0));
            }
            return rows;
          },
          nb::arg("html"), nb::arg("url"), nb::arg("comments") = "auto");

  m.def("choose", [](const std::vector<std::uint16_t>& chances, const std::vector<std::uint32_t>& words) {
    if (chances.size() != words.size()) throw nb::value_error("each block needs a chance and a number of words");
    std::vector<TextCounts> counts(words.size());
    for (std::size_t i = 0; i < words.size(); ++i) counts[i].words = words[i];
    const auto taken = choose(chances, counts);
    return std::vector<bool>(taken.begin(), taken.end());
  });

  bind_fasttext(m);
  bind_lxml(m);
  bind_markup(m);
}
