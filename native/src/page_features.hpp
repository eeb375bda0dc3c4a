// What a page says about its own kind: article, forum, product, listing and so on.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "page.hpp"

namespace kernels {

// Names and values, the same names for every page.
std::vector<std::pair<const char*, std::int64_t>> page_features_of(const Page& page, std::string_view html, std::string_view url);

}  // namespace kernels
