// What Python sees of fastText's models.
#pragma once

#include <nanobind/nanobind.h>

namespace kernels {

void bind_fasttext(nanobind::module_& m);

}  // namespace kernels
