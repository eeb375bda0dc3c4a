// Character references such as &amp; and &#8217;, as the HTML standard reads them (13.2.5.72).
#pragma once

#include <string>
#include <string_view>

namespace kernels {

// Appends a code point as UTF-8.
void append_utf8(std::string& out, char32_t code);

// Appends the character that the reference at the start of `text` stands for, and returns its length in `text`, which
// begins with '&'. Returns 0 if it is no reference. In an attribute, a name without ';' before '=' or a letter is text.
std::size_t read_reference(std::string_view text, bool in_attribute, std::string& out);

// Returns a text of an attribute or a title with its references replaced.
std::string without_references(std::string_view text, bool in_attribute);

}  // namespace kernels
