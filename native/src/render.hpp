// The chosen blocks of a page as text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "page.hpp"

namespace kernels {

// Returns the blocks in the order of the page: a line for a paragraph, a heading or an item of a list ("- "), and one
// for a row of a table of data (cells apart by " | "). Code keeps its lines and their indentation.
std::string render_text(const Page& page, const std::vector<char>& taken);

// Returns the blocks as CommonMark with tables: headings, lists, quotations, code, emphasis, and with `links` links.
// All signs of the text that Markdown would read are escaped. `html` are the bytes of the page, and `url` is its
// address.
std::string render_markdown(const Page& page, const std::vector<char>& taken, bool links, std::string_view html,
                            std::string_view url);

}  // namespace kernels
