// Quick tests for what a page's tags declare (see filters/rights/markup.py).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kernels {

// Returns false if no meta tag can be an opt-out. `names` has a part, in lower case, of each name that such a tag may
// have.
bool may_opt_out(std::string_view markup, const std::vector<std::string>& names);

// Returns false if no tag can declare a licence.
bool may_license(std::string_view markup);

}  // namespace kernels
