#include "bind_markup.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <tuple>

#include "html_structure.hpp"
#include "utf8.hpp"
#include "visible_text.hpp"

namespace nb = nanobind;

namespace kernels {

void bind_markup(nb::module_& m) {
  m.def(
      "structure_of",
      [](nb::bytes html, std::size_t sure_depth) {
        const std::string_view bytes(html.c_str(), html.size());
        nb::gil_scoped_release release;
        const HtmlStructure found = structure_of(bytes, sure_depth);
        return std::make_tuple(found.tags, found.attributes, found.depth);
      },
      nb::arg("html"), nb::arg("sure_depth"));
  m.def(
      "beyond_ascii",
      [](nb::bytes data) {
        const std::string_view bytes(data.c_str(), data.size());
        nb::gil_scoped_release release;
        return beyond_ascii(bytes);
      },
      nb::arg("data"));
  m.def(
      "visible_text",
      [](nb::bytes html, std::size_t chars, std::size_t least) {
        const std::string_view bytes(html.c_str(), html.size());
        nb::gil_scoped_release release;
        return visible_text(bytes, chars, least);
      },
      nb::arg("html"), nb::arg("chars"), nb::arg("least"));
}

}  // namespace kernels
