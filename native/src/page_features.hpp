// What a page says about its own kind: article, forum, product, listing and so on.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "page.hpp"

namespace kernels {

// Returns names and values for a page of so many bytes. The names are the same for every page.
std::vector<std::pair<const char*, std::int64_t>> page_features_of(const Page& page, std::size_t bytes,
                                                                   std::string_view url);

// Returns the kind of page that the page says it is, in JSON-LD or by og:type, or null.
const char* declared_type(const Page& page);

}  // namespace kernels
