// Addresses in a page (RFC 3986).
#pragma once

#include <string>
#include <string_view>

namespace kernels {

// Returns the absolute address of a reference on the page of `base`, or "" if it is of no page that a reader can open.
std::string resolve(std::string_view base, std::string_view reference);

}  // namespace kernels
