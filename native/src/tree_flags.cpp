#include "tree_flags.hpp"

#include <stdexcept>
#include <utility>

#include "html_tokenizer.hpp"
#include "unicode_text.hpp"

namespace kernels {
namespace {

// Returns matches for phrases, in lower case. `lowered` keeps their texts.
PhraseMatcher matcher_of(const std::vector<PhraseBits::Phrase>& phrases) {
  if (phrases.size() > UINT8_MAX + 1) throw std::length_error("too many phrases");
  std::vector<std::string> lowered;
  for (const PhraseBits::Phrase& one : phrases) {
    std::string& text = lowered.emplace_back(one.text);
    for (char& c : text) c = is_letter(c) ? static_cast<char>(c | 32) : c;
  }
  std::vector<PhraseMatcher::Phrase> found;
  for (const std::string& text : lowered) found.push_back({text, static_cast<std::uint8_t>(found.size())});
  return PhraseMatcher(found);
}

}  // namespace

PhraseBits::PhraseBits(std::vector<Phrase> phrases, bool any_case)
    : phrases_(std::move(phrases)), any_case_(any_case), matcher_(matcher_of(phrases_)) {}

void PhraseBits::add_to(ValueBits& bits, std::string_view text) const {
  matcher_.each(text, [&](std::uint8_t id, std::size_t end) {
    const Phrase& phrase = phrases_[id];
    const std::size_t size = phrase.text.size();
    if (!any_case_ && text.substr(end - size, size) != phrase.text) return;
    if (!phrase.unless.empty() && text.substr(end, phrase.unless.size()) == phrase.unless) return;
    bits.add(phrase.bits);
  });
}

AttributeBits::AttributeBits(ValueBits any, std::unordered_map<std::string, ValueBits> whole, Phrases exact,
                             Phrases any_case)
    : any_(any), whole_(std::move(whole)), exact_(std::move(exact), false), any_case_(std::move(any_case), true) {}

const ValueBits* AttributeBits::find(std::string_view value) const {
  const std::uint32_t number = values_.find(value);
  return number == kNone ? nullptr : &bits_[number];
}

bool AttributeBits::look_up(std::string_view value, ValueBits& bits) {
  constexpr char kBegin = 2, kEnd = 3;
  text_ = kBegin;
  for (const char c : value) {
    const auto code = static_cast<unsigned char>(c);
    const bool is_blank = c != ' ' && is_ascii_space(c);
    if (!is_blank && (code < ' ' || code >= 0x80)) return false;
    text_ += is_blank ? '\t' : c;
  }
  text_ += kEnd;
  bits = any_;
  if (const auto whole = whole_.find(std::string(value)); whole != whole_.end()) bits.add(whole->second);
  exact_.add_to(bits, text_);
  any_case_.add_to(bits, text_);
  return true;
}

void AttributeBits::add(std::string_view value, const ValueBits& bits) {
  constexpr std::size_t kLongest = 200, kMost = 50'000;  // bytes, and values: 10 MB
  if (value.size() > kLongest) return;
  if (bits_.size() >= kMost) {
    values_ = StringTable();
    bits_.clear();
  }
  if (values_.add(value) == bits_.size()) bits_.push_back(bits);
}

}  // namespace kernels
