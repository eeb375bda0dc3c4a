// The tags and texts of a page, as the HTML standard's tokenizer finds them (13.2.5). One pass over the bytes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "html_tags.hpp"

namespace kernels {

struct Attribute {
  std::string_view name;   // as written
  std::string_view value;  // as written, with its references
};

enum class TokenKind : std::uint8_t { kText, kStartTag, kEndTag, kEnd };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Tag tag = Tag::kUnknown;
  bool self_closing = false;
  bool has_references = false;                         // a text with character references
  std::string_view text;                               // of a text; of a raw element, its content
  const std::vector<Attribute>* attributes = nullptr;  // of a start tag, until the next token
};

// Reads UTF-8. Comments, declarations and processing instructions are passed over. A raw element (script, style, title
// …) is one start tag whose `text` is the element's content; it has no end tag.
class Tokenizer {
 public:
  explicit Tokenizer(std::string_view page) : page_(page) {}

  Token next();

  // In drawings and formulas, no element is raw: a <title> there may be left open.
  void set_foreign(bool foreign) { foreign_ = foreign; }

  // The number of bytes that were read.
  std::size_t position() const { return at_; }

 private:
  Token text_token(std::size_t end);
  bool read_tag(Token& token);
  void read_attributes(Token& token);
  void pass_comment();
  void pass_until(char end);
  std::string_view raw_content(std::string_view name);
  std::size_t end_of_script(std::size_t from) const;
  std::size_t find_end_tag(std::string_view name, std::size_t from) const;
  bool at_end_tag(std::string_view name, std::size_t at) const;

  std::string_view page_;
  std::size_t at_ = 0;
  bool foreign_ = false;
  std::vector<Attribute> attributes_;
};

// Compares with a name in lower case, whatever the case of `text`.
bool equals_ignoring_case(std::string_view text, std::string_view lower);

// Whether a name in lower case stands at a place, in any case.
inline bool is_at(std::string_view text, std::size_t place, std::string_view lower) {
  return place <= text.size() && equals_ignoring_case(text.substr(place, lower.size()), lower);
}

// The spaces of HTML.
inline bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f'; }

// What `\s` means in a pattern of bytes.
constexpr bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

inline bool is_letter(char c) { return static_cast<unsigned char>((c | 32) - 'a') < 26; }

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace kernels
