#include "lexicon.hpp"

#include <stdexcept>

namespace kernels {

void Lexicon::fill(WordKind kind, const std::vector<std::uint32_t>& keys, const std::vector<std::int8_t>& values) {
  if (keys.size() != values.size()) throw std::invalid_argument("each word needs one value");
  Table table(keys.size() * 2 + 1);  // at most half full, so that a search ends soon
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (values[i] == 0) continue;
    std::size_t at = slot(keys[i], table.size());
    while (table[at].value != 0 && table[at].key != keys[i]) at = at + 1 == table.size() ? 0 : at + 1;
    table[at] = {keys[i], values[i]};
  }
  tables_[static_cast<std::size_t>(kind)] = std::move(table);
}

}  // namespace kernels
