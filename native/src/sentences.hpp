// Counts sentences as spaCy's rule-based sentencizer does.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "stretch_table.hpp"

namespace kernels {

// Counts the sentences of a text. `numbers` are its stretches, all of which have tokens.
std::size_t count_sentences(const StretchTable& table, std::string_view text,
                            const std::vector<std::uint32_t>& numbers);

}  // namespace kernels
