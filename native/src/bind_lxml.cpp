// Kernels that read lxml's trees.

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <deque>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "bind.hpp"
#include "html_tokenizer.hpp"
#include "lxml_tree.hpp"
#include "parser_hazards.hpp"
#include "tree_flags.hpp"
#include "unicode_text.hpp"

namespace nb = nanobind;

namespace kernels {
namespace {

nb::object lxml() { return nb::module_::import_("lxml.etree"); }

// Returns a function of lxml's C interface. Throws if it has other types.
template <typename Function>
Function* function_of(const char* name, const char* types) {
  nb::object capsule = lxml().attr("__pyx_capi__")[name];
  void* found = PyCapsule_GetPointer(capsule.ptr(), types);
  if (found == nullptr) throw nb::python_error();
  return reinterpret_cast<Function*>(found);
}

// The type of lxml's elements. Throws if they have another form than `LxmlElement`.
class ElementType {
 public:
  ElementType() : type_(lxml().attr("_Element")) {
    const auto size = nb::cast<std::size_t>(type_.attr("__basicsize__"));
    if (size != sizeof(LxmlElement)) throw nb::import_error("This version of lxml has elements of another form.");
  }

  XmlNode* node_of(nb::handle element) const {
    XmlNode* node = nb::isinstance(element, type_) ? reinterpret_cast<LxmlElement*>(element.ptr())->node : nullptr;
    if (node == nullptr || node->type != kXmlElement) throw nb::type_error("this is no element of lxml");
    return node;
  }

 private:
  nb::object type_;
};

// Counts the characters of texts in trees.
class TreeTexts {
 public:
  // Returns the number of characters of the text below an element, with blanks collapsed as in " ".join(text.split()).
  std::size_t length(nb::handle element) const { return length_of<true>(type_.node_of(element)); }

  // Does the same for the blanks of XML only, as XPath's normalize-space() does.
  std::size_t xml_length(nb::handle element) const { return length_of<false>(type_.node_of(element)); }

 private:
  template <bool kUnicode>
  static std::size_t length_of(XmlNode* root) {
    std::size_t length = 0;
    bool after_blank = false;
    for (XmlNode* node = next_node(root, root); node != nullptr; node = next_node(root, node)) {
      if ((node->type != kXmlText && node->type != kXmlSection) || node->content == nullptr) continue;
      const std::string_view text(node->content);
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t space = kUnicode ? space_at(text, at) : is_xml_blank(text[at]) ? 1 : 0;
        after_blank = after_blank || space != 0;
        if (space != 0) {
          at += space;
          continue;
        }
        length += after_blank && length != 0 ? 2 : 1;
        after_blank = false;
        at += static_cast<unsigned char>(text[at]) < 0x80 ? 1 : char_at(text, at).size;
      }
    }
    return length;
  }

  static bool is_xml_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

  ElementType type_;
};

using Divided = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>;

ValueBits bits_from(const Divided& given) { return {std::get<0>(given), std::get<1>(given), std::get<2>(given)}; }

// An attribute. A function of Python gives the bits of values beyond ASCII.
class FlaggedAttribute {
 public:
  using Phrases = std::vector<std::tuple<std::string, std::string, Divided>>;
  using Given =
      std::tuple<std::string, Divided, std::unordered_map<std::string, Divided>, Phrases, Phrases, nb::object>;

  explicit FlaggedAttribute(const Given& given)
      : name_(std::get<0>(given)),
        is_class_or_id_(name_ == "class" || name_ == "id"),
        is_id_or_style_(name_ == "id" || name_ == "style"),
        known_(bits_from(std::get<1>(given)), whole_from(std::get<2>(given)), phrases_from(std::get<3>(given)),
               phrases_from(std::get<4>(given))),
        find_(std::get<5>(given)) {}

  bool has_name(const char* name) const { return name_ == name; }

  void add_to(ElementBits& bits, std::string_view value) { bits.add(bits_of(value), is_class_or_id_, is_id_or_style_); }

 private:
  static std::unordered_map<std::string, ValueBits> whole_from(const std::unordered_map<std::string, Divided>& given) {
    std::unordered_map<std::string, ValueBits> whole;
    for (const auto& [value, bits] : given) whole.emplace(value, bits_from(bits));
    return whole;
  }

  static AttributeBits::Phrases phrases_from(const Phrases& given) {
    AttributeBits::Phrases phrases;
    for (const auto& [text, unless, bits] : given) phrases.push_back({text, unless, bits_from(bits)});
    return phrases;
  }

  ValueBits bits_of(std::string_view value) {
    if (const ValueBits* known = known_.find(value)) return *known;
    ValueBits bits;
    if (!known_.look_up(value, bits)) bits = bits_from(nb::cast<Divided>(find_(nb::str(value.data(), value.size()))));
    known_.add(value, bits);
    return bits;
  }

  std::string name_;
  bool is_class_or_id_, is_id_or_style_;
  AttributeBits known_;
  nb::object find_;
};

bool is_one_of(const char* name, const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Finds elements by the bits of their attributes.
class TreeFlags {
 public:
  using Tags = std::unordered_map<std::string, std::uint32_t>;

  TreeFlags(const std::vector<FlaggedAttribute::Given>& attributes,
            const std::vector<std::pair<std::string, std::uint32_t>>& tags, std::uint32_t any_tag)
      : any_tag_(any_tag), tags_(tags.begin(), tags.end()) {
    for (const FlaggedAttribute::Given& one : attributes) attributes_.emplace_back(one);
    make_element_ = function_of<LxmlElement*(PyObject*, XmlNode*)>(
        "elementFactory", "struct LxmlElement *(struct LxmlDocument *, xmlNode *)");
    value_of_ = function_of<PyObject*(XmlNode*, XmlAttribute*)>("attributeValue", "PyObject *(xmlNode *, xmlAttr *)");
  }
  TreeFlags(const TreeFlags&) = delete;
  TreeFlags& operator=(const TreeFlags&) = delete;

  // Returns the bits of an element.
  std::uint32_t flags(nb::handle element) { return flags_of(type_.node_of(element)); }

  // Returns the elements below a root that have any of these bits, each with all its bits. Without tags, elements of
  // all tags count. Those with a tag in `always` need no bit.
  nb::list flagged(nb::handle root, std::uint32_t bits, const std::vector<std::string>& tags,
                   const std::vector<std::string>& always) {
    XmlNode* top = type_.node_of(root);
    PyObject* document = reinterpret_cast<LxmlElement*>(root.ptr())->document;
    nb::list found;
    for (XmlNode* node = next_element(top, top); node != nullptr; node = next_element(top, node)) {
      const std::uint32_t flags = flags_of(node);
      const bool counts = (flags & bits) != 0 && (tags.empty() || is_one_of(node->name, tags));
      if (!counts && (always.empty() || !is_one_of(node->name, always))) continue;
      PyObject* element = reinterpret_cast<PyObject*>(make_element_(document, node));
      if (element == nullptr) throw nb::python_error();
      found.append(nb::make_tuple(nb::steal(element), flags));
    }
    return found;
  }

 private:
  std::uint32_t flags_of(XmlNode* node) {
    ElementBits bits;
    for (XmlAttribute* one = node->attributes; one != nullptr; one = one->next) {
      if (one->space != nullptr) continue;
      const auto attribute = std::find_if(attributes_.begin(), attributes_.end(),
                                          [one](const FlaggedAttribute& each) { return each.has_name(one->name); });
      if (attribute != attributes_.end()) add_value(*attribute, bits, node, one);
    }
    if (bits.value() == 0) return 0;
    const auto tag = node->space == nullptr ? tags_.find(node->name) : tags_.end();
    return bits.value() & (tag == tags_.end() ? any_tag_ : tag->second);
  }

  void add_value(FlaggedAttribute& attribute, ElementBits& bits, XmlNode* node, XmlAttribute* one) {
    const XmlNode* text = one->children;
    if (text == nullptr) return attribute.add_to(bits, {});
    if (text->next == nullptr && text->type == kXmlText && text->content != nullptr) {
      return attribute.add_to(bits, text->content);
    }
    const nb::object value = nb::steal(value_of_(node, one));
    if (!value.is_valid()) throw nb::python_error();
    attribute.add_to(bits, nb::cast<std::string>(value));
  }

  std::deque<FlaggedAttribute> attributes_;
  std::uint32_t any_tag_;
  Tags tags_;
  ElementType type_;
  LxmlElement* (*make_element_)(PyObject*, XmlNode*) = nullptr;
  PyObject* (*value_of_)(XmlNode*, XmlAttribute*) = nullptr;
};

}  // namespace

void bind_lxml(nb::module_& m) {
  nb::class_<TreeTexts>(m, "TreeTexts")
      .def(nb::init<>())
      .def("length", &TreeTexts::length, nb::arg("element"))
      .def("xml_length", &TreeTexts::xml_length, nb::arg("element"));
  nb::class_<TreeFlags>(m, "TreeFlags")
      .def(nb::init<const std::vector<FlaggedAttribute::Given>&,
                    const std::vector<std::pair<std::string, std::uint32_t>>&, std::uint32_t>(),
           nb::arg("attributes"), nb::arg("tags"), nb::arg("any_tag"))
      .def("flags", &TreeFlags::flags, nb::arg("element"))
      .def("flagged", &TreeFlags::flagged, nb::arg("root"), nb::arg("bits"), nb::arg("tags"), nb::arg("always"));
  m.def(
      "parser_hazards",
      [](nb::bytes html) {
        const std::string_view bytes = view(html);
        nb::gil_scoped_release release;
        const ParserHazards found = parser_hazards(bytes);
        return std::make_tuple(found.controls, found.noncharacters, found.references);
      },
      nb::arg("html"));
}

}  // namespace kernels
