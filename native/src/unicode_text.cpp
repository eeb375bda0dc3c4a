#include "unicode_text.hpp"

namespace kernels {
namespace {

#include "unicode_classes.inc"

}  // namespace

std::uint8_t class_of(char32_t code) { return code < 0x110000 ? kClasses[kBlockOf[code >> 8]][code & 255] : 0; }

std::string_view stripped(std::string_view text) {
  while (!text.empty()) {
    const std::size_t space = space_at(text, 0);
    if (space == 0) break;
    text.remove_prefix(space);
  }
  while (!text.empty()) {
    std::size_t last = text.size() - 1;
    while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0) == 0x80) --last;
    if (space_at(text, last) != text.size() - last) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

}  // namespace kernels
