// Bytes that may be UTF-8.
#pragma once

#include <optional>
#include <string_view>

namespace kernels {

// Returns the number of bytes beyond ASCII, or nothing if the bytes are not UTF-8, or if a byte of them is zero.
std::optional<std::size_t> beyond_ascii(std::string_view bytes);

}  // namespace kernels
