#include "english_shapes.hpp"

#include <algorithm>
#include <stdexcept>

#include "html_tokenizer.hpp"

namespace kernels {
namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

// Returns the bytes of the mark that begins at a byte, if it is one of these. Marks beyond ASCII have three bytes.
std::size_t mark_at(std::string_view text, std::size_t at, std::string_view marks, std::string_view wide_marks) {
  if (at >= text.size()) return 0;
  if (marks.find(text[at]) != std::string_view::npos) return 1;
  const std::string_view wide = text.substr(at, 3);
  if (wide.size() < 3 || static_cast<unsigned char>(wide[0]) != 0xE2) return 0;
  for (std::size_t i = 0; i < wide_marks.size(); i += 3) {
    if (wide_marks.substr(i, 3) == wide) return 3;
  }
  return 0;
}

// "'s" or "’s"
std::size_t possessive_at(std::string_view text, std::size_t at) {
  const std::size_t mark = mark_at(text, at, "'", "’");
  return mark != 0 && at + mark < text.size() && text[at + mark] == 's' ? mark + 1 : 0;
}

template <typename Is>
std::size_t run(std::string_view text, std::size_t at, Is is) {
  std::size_t size = 0;
  while (at + size < text.size() && is(text[at + size])) ++size;
  return size;
}

// Returns true for a stretch like (well-known), 1,000.50 or Ann’s.
bool is_shaped(std::string_view text) {
  std::size_t at = 0;
  for (int i = 0; i < 2; ++i) at += mark_at(text, at, "(\"[*$", "“‘");
  // passes over a mark and a run after it, some times
  const auto pass_joined = [&](int times, std::string_view marks, std::string_view wide_marks, auto is) {
    for (int i = 0; i < times; ++i) {
      const std::size_t mark = mark_at(text, at, marks, wide_marks);
      const std::size_t more = mark != 0 ? run(text, at + mark, is) : 0;
      if (more == 0) break;
      at += mark + more;
    }
  };
  if (const std::size_t letters = run(text, at, is_letter); letters != 0) {
    at += letters;
    pass_joined(3, "-", "–—", is_letter);
    at += possessive_at(text, at);
  } else if (const std::size_t digits = run(text, at, is_digit); digits != 0) {
    at += digits;
    pass_joined(2, ".,:/-", "–", is_digit);
    pass_joined(1, "-", "", is_letter);
  } else {
    return false;
  }
  for (int i = 0; i < 4; ++i) at += mark_at(text, at, ".,;:!?)\"]*%", "”…");
  return at == text.size();
}

// Runs of letters, "'s", and single characters.
std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t size = run(text, at, is_letter);
    if (size == 0) size = possessive_at(text, at);
    if (size == 0) size = static_cast<unsigned char>(text[at]) < 0x80 ? 1 : 3;
    parts.push_back(text.substr(at, size));
    at += size;
  }
  return parts;
}

// Writes letters as q and Q, and of more than four only the first and last two. Marks stay.
std::string shape_of(std::string_view part) {
  if (!is_letter(part[0]) && !is_digit(part[0])) return std::string(part);
  std::string shape(part.size() <= 4 ? part : part.substr(0, 2));
  if (part.size() > 4) shape += part.substr(part.size() - 2);
  for (char& c : shape) c = is_digit(c) ? '0' : is_lower(c) ? 'q' : 'Q';
  return shape;
}

std::string joined(const std::vector<std::string>& shape) {
  std::string key;
  for (const std::string& part : shape) key += part, key += ' ';
  return key;
}

}  // namespace

EnglishShapes::EnglishShapes(const std::vector<std::string>& special_cases) {
  for (const std::string& one : special_cases) {
    special_cases_.add(one);
    longest_case_ = std::max(longest_case_, one.size());
  }
}

bool EnglishShapes::has_special(const std::vector<std::string_view>& parts) const {
  for (std::size_t start = 0; start < parts.size(); ++start) {
    std::size_t size = 0;
    for (std::size_t end = start; end < parts.size(); ++end) {
      size += parts[end].size();
      if (size > longest_case_) break;
      const std::string_view part(parts[start].data(), size);
      if (is_special(part) && part != "'s" && part != "’s") return true;
    }
  }
  return false;
}

EnglishShapes::Split EnglishShapes::split(std::string_view stretch, Tokens& tokens,
                                          std::vector<std::string>& shape) const {
  if (stretch.size() > kLongStretch) return Split::kNo;
  // half of all stretches are letters with a small one at the end, and perhaps a mark
  const std::size_t letters = run(stretch, 0, is_letter);
  const std::size_t mark = mark_at(stretch, letters, ",.!?;:", "");
  if (letters != 0 && is_lower(stretch[letters - 1]) && letters + mark == stretch.size()) {
    const std::string_view core = stretch.substr(0, letters);
    if (is_special(core) || is_special(stretch)) return Split::kNo;
    tokens.push_back(core);
    if (mark != 0) tokens.push_back(stretch.substr(letters));
    return Split::kYes;
  }
  if (!is_shaped(stretch)) return Split::kNo;
  const std::vector<std::string_view> parts = parts_of(stretch);
  if (has_special(parts)) return Split::kNo;
  shape.clear();
  for (const std::string_view part : parts) shape.push_back(shape_of(part));
  const auto known = splits_.find(joined(shape));
  if (known == splits_.end()) return Split::kUnknownShape;
  for (const auto& [start, end] : known->second) {
    const char* begin = parts[start].data();
    const std::string_view last = parts[end - 1];
    tokens.emplace_back(begin, static_cast<std::size_t>(last.data() + last.size() - begin));
  }
  return known->second.empty() ? Split::kNo : Split::kYes;
}

void EnglishShapes::learn(const std::vector<std::string>& shape,
                          const std::vector<std::pair<std::uint32_t, std::uint32_t>>& splits) {
  for (const auto& [start, end] : splits) {
    if (start >= end || end > shape.size()) throw std::out_of_range("a token of a shape has no such parts");
  }
  splits_[joined(shape)] = splits;
}

}  // namespace kernels
