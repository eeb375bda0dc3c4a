#include "bind.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "fasttext.hpp"

namespace nb = nanobind;

namespace kernels {
namespace {

// A model with the file that it reads.
class OpenModel {
 public:
  using File = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

  explicit OpenModel(File file)
      : file_(std::move(file)), model_({reinterpret_cast<const char*>(file_.data()), file_.size()}) {}

  std::vector<std::string> labels() const {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < model_.labels(); ++i) names.emplace_back(model_.label(i));
    return names;
  }

  std::tuple<std::int32_t, float, std::vector<float>> predict(nb::bytes text,
                                                              const std::vector<std::size_t>& asked) const {
    const std::string_view bytes = view(text);
    nb::gil_scoped_release release;
    Prediction found = model_.predict(bytes, asked);
    return {found.label, found.probability, std::move(found.asked)};
  }

 private:
  File file_;
  FastText model_;
};

}  // namespace

void bind_fasttext(nb::module_& m) {
  nb::class_<OpenModel>(m, "FastText")
      .def(nb::init<OpenModel::File>(), nb::arg("file"))
      .def("labels", &OpenModel::labels)
      .def("predict", &OpenModel::predict, nb::arg("text"), nb::arg("asked"));
}

}  // namespace kernels
