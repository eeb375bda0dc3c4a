// What Python sees of the kernels that read texts.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "bind.hpp"
#include "c4_lines.hpp"
#include "ngrams.hpp"
#include "personal_data.hpp"
#include "sentences.hpp"
#include "shingles.hpp"
#include "stretch_table.hpp"
#include "unicode_text.hpp"

namespace nb = nanobind;

namespace kernels {
namespace {

using Numbers = nb::ndarray<const std::uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Hashes = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// The UTF-8 of a str. Lone surrogates, which UTF-8 does not have, are written like other characters.
class Utf8 {
 public:
  explicit Utf8(const nb::str& text) {
    Py_ssize_t size = 0;
    if (const char* bytes = PyUnicode_AsUTF8AndSize(text.ptr(), &size)) {
      view_ = {bytes, static_cast<std::size_t>(size)};
      return;
    }
    PyErr_Clear();
    bytes_ = nb::steal<nb::object>(PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogatepass"));
    if (!bytes_.is_valid()) throw nb::python_error();
    view_ = {PyBytes_AS_STRING(bytes_.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes_.ptr()))};
  }

  std::string_view view() const { return view_; }

 private:
  nb::object bytes_;
  std::string_view view_;
};

nb::str as_str(std::string_view utf8) {
  PyObject* text = PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(utf8.size()), "surrogatepass");
  if (text == nullptr) throw nb::python_error();
  return nb::steal<nb::str>(text);
}

std::vector<std::string> as_strings(const nb::sequence& texts) {
  std::vector<std::string> strings;
  for (const nb::handle text : texts) strings.emplace_back(Utf8(nb::cast<nb::str>(text)).view());
  return strings;
}

std::vector<std::uint32_t> as_vector(const Numbers& numbers) {
  return {numbers.data(), numbers.data() + numbers.size()};
}

template <typename T>
Array<T> as_row(std::vector<T> values) {
  const std::size_t size = values.size();
  return as_array(std::move(values), size);
}

HashKind kind_of(int kind) {
  if (kind < 0 || kind >= static_cast<int>(kHashKinds)) throw nb::value_error("the kind of hashes is unknown");
  return static_cast<HashKind>(kind);
}

// Returns [number, stretch] for each stretch without tokens.
nb::list waiting_of(const StretchTable& table, const std::vector<std::uint32_t>& numbers) {
  nb::list found;
  for (const std::uint32_t number : table.waiting(numbers)) {
    found.append(nb::make_tuple(number, as_str(table.stretch(number))));
  }
  return found;
}

std::uint8_t flag_of(std::string_view name) {
  if (name == "content") return StretchTable::kContent;
  if (name == "letters") return StretchTable::kLetters;
  throw nb::value_error("a word has no such property");
}

}  // namespace

void bind_text(nb::module_& m) {
  nb::class_<EnglishRules>(m, "EnglishRules")
      .def(
          "__init__",
          [](EnglishRules* self, const nb::dict& special_cases) {
            std::vector<EnglishRules::SpecialCase> cases;
            for (const auto& [text, tokens] : special_cases) {
              cases.emplace_back(std::string(Utf8(nb::cast<nb::str>(text)).view()),
                                 as_strings(nb::cast<nb::sequence>(tokens)));
            }
            new (self) EnglishRules(cases);
          },
          nb::arg("special_cases"));

  using Table = StretchTable;
  nb::class_<Table>(m, "StretchTable")
      .def(
          "__init__",
          [](Table* self, const nb::str& punctuation, const nb::str& sentence_ends,
             const std::shared_ptr<EnglishRules>& rules, const std::shared_ptr<Table>& previous) {
            new (self) Table({CharSet(Utf8(punctuation).view()), CharSet(Utf8(sentence_ends).view())}, rules, previous);
          },
          nb::arg("punctuation"), nb::arg("sentence_ends"), nb::arg("rules").none() = nb::none(),
          nb::arg("previous").none() = nb::none())
      .def("__len__", &Table::size)
      .def_prop_ro("stored_bytes", &Table::bytes)
      .def("drop_previous", &Table::drop_previous)
      .def("read",
           [](Table& self, const nb::str& text) {
             const Utf8 utf8(text);
             std::vector<std::uint32_t> numbers;
             {
               nb::gil_scoped_release release;
               numbers = self.read(utf8.view());
             }
             nb::list waiting = waiting_of(self, numbers);
             return nb::make_tuple(as_row(std::move(numbers)), waiting);
           })
      .def("set_tokens", [](Table& self, std::uint32_t number,
                            const nb::sequence& tokens) { self.set_tokens(number, as_strings(tokens)); })
      .def("look_up",
           [](const Table& self, const nb::str& stretch) -> nb::object {
             const auto tokens = self.look_up(Utf8(stretch).view());
             if (!tokens) return nb::none();
             nb::list found;
             for (const std::string& token : *tokens) found.append(as_str(token));
             return found;
           })
      .def("stretch", [](const Table& self, std::uint32_t number) { return as_str(self.stretch(number)); })
      .def("words",
           [](const Table& self, const Numbers& numbers) { return as_row(self.words(numbers.data(), numbers.size())); })
      .def("number_words",
           [](Table& self, const nb::sequence& words) {
             std::vector<std::uint32_t> numbers;
             for (const std::string& word : as_strings(words)) numbers.push_back(self.number_word(word));
             return as_row(std::move(numbers));
           })
      .def("roles",
           [](const Table& self, const Numbers& numbers) {
             const std::string roles = self.roles(numbers.data(), numbers.size());
             return nb::bytes(roles.data(), roles.size());
           })
      .def("word_strings",
           [](const Table& self, const Numbers& words) {
             const auto held = self.lock();
             nb::list strings;
             for (std::size_t i = 0; i < words.size(); ++i) {
               if (words.data()[i] >= self.vocabulary().strings.size()) throw nb::index_error("unknown word");
               strings.append(as_str(self.vocabulary().strings[words.data()[i]]));
             }
             return strings;
           })
      .def("word_number",
           [](const Table& self, const nb::str& word) {
             const Utf8 utf8(word);
             const auto held = self.lock();
             const std::uint32_t number = self.vocabulary().strings.find(utf8.view());
             return number == kNone ? std::optional<std::uint32_t>() : number;
           })
      .def("word_lengths",
           [](const Table& self, const Numbers& words) {
             const auto held = self.lock();
             std::vector<std::int64_t> lengths;
             for (std::size_t i = 0; i < words.size(); ++i)
               lengths.push_back(self.vocabulary().chars.at(words.data()[i]));
             return as_row(std::move(lengths));
           })
      .def("word_flags",
           [](const Table& self, const Numbers& words, std::string_view name) {
             const auto held = self.lock();
             const std::uint8_t flag = flag_of(name);
             std::vector<std::uint8_t> flags;
             for (std::size_t i = 0; i < words.size(); ++i)
               flags.push_back((self.vocabulary().flags.at(words.data()[i]) & flag) != 0 ? 1 : 0);
             return as_row(std::move(flags));
           })
      .def("count_words",
           [](const Table& self, const Numbers& words) {
             const auto held = self.lock();
             std::uint64_t content = 0, content_chars = 0, letters = 0;
             for (std::size_t i = 0; i < words.size(); ++i) {
               const std::uint8_t flags = self.vocabulary().flags.at(words.data()[i]);
               const bool is_content = (flags & Table::kContent) != 0;
               content += is_content ? 1 : 0;
               content_chars += is_content ? self.vocabulary().chars[words.data()[i]] : 0;
               letters += (flags & Table::kLetters) != 0 ? 1 : 0;
             }
             return std::make_tuple(content, content_chars, letters);
           })
      .def("hashes",
           [](Table& self, int kind, const Numbers& numbers) {
             const HashKind wanted = kind_of(kind);
             std::vector<std::uint32_t> waiting;
             std::vector<std::uint64_t> hashes;
             {
               nb::gil_scoped_release release;
               hashes = self.hashes(wanted, numbers.data(), numbers.size(), waiting);
             }
             return nb::make_tuple(as_row(std::move(hashes)), waiting);
           })
      .def("set_hashes",
           [](Table& self, int kind, std::uint32_t number, const std::vector<std::uint64_t>& hashes) {
             self.set_hashes(kind_of(kind), number, hashes);
           })
      .def("hash_counts",
           [](const Table& self, int kind, const Numbers& numbers) {
             return as_row(self.hash_counts(kind_of(kind), numbers.data(), numbers.size()));
           })
      .def("count_sentences", [](const Table& self, const nb::str& text, const Numbers& numbers) {
        const Utf8 utf8(text);
        return count_sentences(self, utf8.view(), as_vector(numbers));
      });

  m.def("count_stretches", [](const nb::str& text) { return count_stretches(Utf8(text).view()); });
  m.def("top_ngram_chars", [](const Table& table, const Numbers& words, const std::vector<std::size_t>& sizes) {
    const std::vector<std::uint32_t> numbers = as_vector(words);
    nb::gil_scoped_release release;
    return top_ngram_chars(table, numbers, sizes);
  });
  m.def("duplicate_ngram_chars", [](const Table& table, const Numbers& words, const std::vector<std::size_t>& sizes) {
    const std::vector<std::uint32_t> numbers = as_vector(words);
    nb::gil_scoped_release release;
    return duplicate_ngram_chars(table, numbers, sizes);
  });
  m.def("shingles", [](const Hashes& hashes, std::size_t size) {
    std::vector<std::uint64_t> found;
    {
      nb::gil_scoped_release release;
      found = shingles({hashes.data(), hashes.data() + hashes.size()}, size);
    }
    return as_row(std::move(found));
  });
  m.def("least_values", [](const Hashes& hashes, const Numbers& factors, const Numbers& summands) {
    if (factors.size() != summands.size()) throw nb::value_error("a permutation has a factor and a summand");
    std::vector<std::uint32_t> least;
    {
      nb::gil_scoped_release release;
      least = least_values(hashes.data(), hashes.size(), as_vector(factors), as_vector(summands));
    }
    return as_row(std::move(least));
  });
  m.def("personal_hints", [](const nb::str& text) {
    const Utf8 utf8(text);
    PersonalHints hints;
    {
      nb::gil_scoped_release release;
      hints = hints_of(utf8.view());
    }
    std::vector<std::tuple<std::size_t, std::size_t, std::size_t>> clusters;
    for (const DigitCluster& one : hints.clusters) clusters.emplace_back(one.begin, one.end, one.digits);
    nb::set kinds;
    if (hints.ip_address) kinds.add("ip_address");
    if (hints.credit_card) kinds.add("credit_card");
    if (hints.iban) kinds.add("iban");
    if (hints.us_ssn) kinds.add("us_ssn");
    if (hints.crypto) kinds.add("crypto");
    return nb::make_tuple(clusters, kinds);
  });
  m.def(
      "clean_lines",
      [](Table& table, const nb::str& text, const Numbers& numbers, bool terminal_punctuation, bool javascript_lines,
         bool policy_lines, bool latex, std::size_t min_words_per_line, std::size_t max_word_length) {
        const Utf8 utf8(text);
        const C4Rules rules{terminal_punctuation, javascript_lines, policy_lines, latex,
                            min_words_per_line,   max_word_length};
        const std::vector<std::uint32_t> given = as_vector(numbers);
        C4Lines lines;
        {
          nb::gil_scoped_release release;
          lines = clean_lines(table, utf8.view(), given, rules);
        }
        nb::dict counts;
        counts["lorem_ipsum"] = lines.lorem_ipsum;
        counts["curly_bracket"] = lines.curly_bracket;
        counts["sentences"] = lines.sentences;
        counts["line_long_word"] = lines.long_word;
        counts["line_no_end_mark"] = lines.no_end_mark;
        counts["line_few_words"] = lines.few_words;
        counts["line_javascript"] = lines.javascript;
        counts["line_policy"] = lines.policy;
        counts["citations"] = lines.citations;
        nb::object cleaned = nb::none();
        if (lines.text != utf8.view()) cleaned = as_str(lines.text);
        return nb::make_tuple(counts, cleaned, as_row(std::move(lines.numbers)), waiting_of(table, lines.added));
      },
      nb::arg("table"), nb::arg("text"), nb::arg("numbers"), nb::kw_only(), nb::arg("terminal_punctuation"),
      nb::arg("javascript_lines"), nb::arg("policy_lines"), nb::arg("latex"), nb::arg("min_words_per_line"),
      nb::arg("max_word_length"));
}

}  // namespace kernels
