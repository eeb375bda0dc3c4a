// The size and depth of a page's markup, estimated from its bytes before a parser sees them.
#pragma once

#include <cstddef>
#include <string_view>

namespace kernels {

struct HtmlStructure {
  std::size_t tags = 0;        // the number of "<"
  std::size_t attributes = 0;  // the most in one tag of 1,000 bytes or more
  std::size_t depth = 0;       // the most start tags minus end tags, of elements that hold others
};

// `sure_depth` is the depth from which on scripts, styles and comments are left out, because scripts can write tags.
HtmlStructure structure_of(std::string_view html, std::size_t sure_depth);

}  // namespace kernels
