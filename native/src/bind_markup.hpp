// What Python sees of the looks at a page's bytes before they are parsed.
#pragma once

#include <nanobind/nanobind.h>

namespace kernels {

void bind_markup(nanobind::module_& m);

}  // namespace kernels
