#include "bind.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <tuple>

#include "html_structure.hpp"
#include "phrase_matcher.hpp"
#include "rights_tags.hpp"
#include "utf8.hpp"
#include "visible_text.hpp"

namespace nb = nanobind;

namespace kernels {

void bind_markup(nb::module_& m) {
  nb::class_<PhraseCounter>(m, "PhraseCounter")
      .def(nb::init<const std::vector<std::string_view>&>(), nb::arg("phrases"))
      .def(
          "counts",
          [](const PhraseCounter& self, nb::bytes text) {
            const std::string_view bytes = view(text);
            nb::gil_scoped_release release;
            return self.counts(bytes);
          },
          nb::arg("text"));
  m.def(
      "structure_of",
      [](nb::bytes html, std::size_t sure_depth) {
        const std::string_view bytes = view(html);
        nb::gil_scoped_release release;
        const HtmlStructure found = structure_of(bytes, sure_depth);
        return std::make_tuple(found.tags, found.attributes, found.depth);
      },
      nb::arg("html"), nb::arg("sure_depth"));
  m.def(
      "beyond_ascii",
      [](nb::bytes data) {
        const std::string_view bytes = view(data);
        nb::gil_scoped_release release;
        return beyond_ascii(bytes);
      },
      nb::arg("data"));
  m.def(
      "visible_text",
      [](nb::bytes html, std::size_t chars, std::size_t least) {
        const std::string_view bytes = view(html);
        nb::gil_scoped_release release;
        return visible_text(bytes, chars, least);
      },
      nb::arg("html"), nb::arg("chars"), nb::arg("least"));
  m.def("may_opt_out", [](const nb::bytes& markup, const std::vector<nb::bytes>& names) {
    std::vector<std::string> parts;
    for (const nb::bytes& name : names) parts.emplace_back(view(name));
    nb::gil_scoped_release release;
    return may_opt_out(view(markup), parts);
  });
  m.def("may_license", [](const nb::bytes& markup) {
    nb::gil_scoped_release release;
    return may_license(view(markup));
  });
}

}  // namespace kernels
