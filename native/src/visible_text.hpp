// The text between the tags of a page, as a quick look at its language needs it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kernels {

// Returns up to `chars` characters of text between tags, in pieces of `least` or more, each on a line of its own,
// without scripts, styles, templates, and what is for browsers without scripts. `html` is UTF-8.
std::string visible_text(std::string_view html, std::size_t chars, std::size_t least);

}  // namespace kernels
