// Bits of attributes' values, and of elements.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "phrase_matcher.hpp"
#include "string_table.hpp"

namespace kernels {

// The bits of a value. Those of `class_or_id` do not count after an attribute class or id of the same element, and
// those of `id_or_style` not after an attribute id or style.
struct ValueBits {
  std::uint32_t own = 0, class_or_id = 0, id_or_style = 0;

  void add(const ValueBits& other) {
    own |= other.own;
    class_or_id |= other.class_or_id;
    id_or_style |= other.id_or_style;
  }
};

// Adds up the bits of an element's attributes, in their order in the source.
class ElementBits {
 public:
  void add(const ValueBits& bits, bool is_class_or_id, bool is_id_or_style) {
    value_ |= bits.own;
    if (class_or_id_counts_) value_ |= bits.class_or_id;
    if (id_or_style_counts_) value_ |= bits.id_or_style;
    class_or_id_counts_ = class_or_id_counts_ && !is_class_or_id;
    id_or_style_counts_ = id_or_style_counts_ && !is_id_or_style;
  }
  std::uint32_t value() const { return value_; }

 private:
  std::uint32_t value_ = 0;
  bool class_or_id_counts_ = true, id_or_style_counts_ = true;
};

// The bits of values that contain phrases.
class PhraseBits {
 public:
  struct Phrase {
    std::string text, unless;  // what must not follow it
    ValueBits bits;
  };

  // Throws std::length_error if there are too many phrases.
  PhraseBits(std::vector<Phrase> phrases, bool any_case);

  // Adds the bits of the phrases in a text.
  void add_to(ValueBits& bits, std::string_view text) const;

 private:
  std::vector<Phrase> phrases_;
  bool any_case_;
  PhraseMatcher matcher_;
};

// The bits of values of one attribute, as far as they are known.
class AttributeBits {
 public:
  using Phrases = std::vector<PhraseBits::Phrase>;

  AttributeBits(ValueBits any, std::unordered_map<std::string, ValueBits> whole, Phrases exact, Phrases any_case);

  // Returns the bits of a value that was looked up before, or null. The pointer holds until the next value is added.
  const ValueBits* find(std::string_view value) const;

  // Returns false if the value has characters that phrases do not tell, beyond ASCII or control characters.
  bool look_up(std::string_view value, ValueBits& bits);

  void add(std::string_view value, const ValueBits& bits);

 private:
  ValueBits any_;
  std::unordered_map<std::string, ValueBits> whole_;
  PhraseBits exact_, any_case_;
  StringTable values_;
  std::vector<ValueBits> bits_;  // by the numbers of values_
  std::string text_;             // the value as phrases see it
};

}  // namespace kernels
