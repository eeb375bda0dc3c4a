// The chosen blocks of a page as text.
#pragma once

#include <string>
#include <vector>

#include "page.hpp"

namespace kernels {

// Returns the blocks in the order of the page: a line for a paragraph, a heading or an item of a list ("- "), and one for
// a row of a table of data (cells apart by " | "). Code keeps its lines and their indentation.
std::string render_text(const Page& page, const std::vector<char>& taken);

}  // namespace kernels
