// What the files that bind kernels to Python share.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <string_view>
#include <utility>
#include <vector>

namespace kernels {

inline std::string_view view(const nanobind::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }

template <typename T>
using Array = nanobind::ndarray<nanobind::numpy, T, nanobind::c_contig>;

// Gives a vector to Python as an array of a shape, without a copy.
template <typename T, typename... Shape>
Array<T> as_array(std::vector<T> values, Shape... shape) {
  auto* kept = new std::vector<T>(std::move(values));
  nanobind::capsule owner(kept, [](void* vector) noexcept { delete static_cast<std::vector<T>*>(vector); });
  return Array<T>(kept->data(), {static_cast<std::size_t>(shape)...}, owner);
}

void bind_fasttext(nanobind::module_& m);
void bind_lxml(nanobind::module_& m);
void bind_markup(nanobind::module_& m);
void bind_text(nanobind::module_& m);

}  // namespace kernels
