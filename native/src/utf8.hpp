// Bytes that may be UTF-8.
#pragma once

#include <optional>
#include <string_view>

namespace kernels {

// Whether a byte of UTF-8 begins a character.
inline bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

// Returns the number of bytes beyond ASCII, or nothing if the bytes are not UTF-8, or if a byte of them is zero.
std::optional<std::size_t> beyond_ascii(std::string_view bytes);

}  // namespace kernels
