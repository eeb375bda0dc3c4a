#include "html_tokenizer.hpp"

#include <algorithm>
#include <array>

namespace kernels {

constexpr std::size_t kMostAttributes = 64;  // of one element; a page may write millions

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 32) : a) == b;
         });
}

Token Tokenizer::next() {
  while (at_ < page_.size()) {
    if (page_[at_] != '<') return text_token(std::min(page_.find('<', at_), page_.size()));
    const char mark = at_ + 1 < page_.size() ? page_[at_ + 1] : '\0';
    if (is_letter(mark) || (mark == '/' && at_ + 2 < page_.size() && is_letter(page_[at_ + 2]))) {
      Token token;
      if (read_tag(token)) return token;
    } else if (mark == '!') {
      pass_comment();
    } else if (mark == '?' || mark == '/') {
      pass_until('>');
    } else {  // a "<" that begins nothing is text
      return text_token(std::min(page_.find('<', at_ + 1), page_.size()));
    }
  }
  return {};
}

Token Tokenizer::text_token(std::size_t end) {
  Token token;
  token.kind = TokenKind::kText;
  token.text = page_.substr(at_, end - at_);
  token.has_references = token.text.find('&') != std::string_view::npos;
  at_ = end;
  return token;
}

void Tokenizer::pass_until(char end) {
  const std::size_t found = page_.find(end, at_);
  at_ = found == std::string_view::npos ? page_.size() : found + 1;
}

void Tokenizer::pass_comment() {
  if (page_.substr(at_, 4) != "<!--") return pass_until('>');
  std::size_t at = at_ + 4;
  if (page_.substr(at, 1) == ">" || page_.substr(at, 2) == "->") return pass_until('>');
  for (;;) {
    at = page_.find("--", at);
    if (at == std::string_view::npos) {
      at_ = page_.size();
      return;
    }
    std::size_t after = at + 2;
    if (after < page_.size() && page_[after] == '!') ++after;
    if (after < page_.size() && page_[after] == '>') {
      at_ = after + 1;
      return;
    }
    ++at;
  }
}

// Reads a start tag or an end tag. Returns false at the end of the page, where a tag without ">" is dropped.
bool Tokenizer::read_tag(Token& token) {
  token.kind = page_[at_ + 1] == '/' ? TokenKind::kEndTag : TokenKind::kStartTag;
  at_ += token.kind == TokenKind::kEndTag ? 2 : 1;
  std::array<char, 16> lower;  // longer names are unknown
  std::size_t length = 0;
  for (; at_ < page_.size(); ++at_, ++length) {
    const char c = page_[at_];
    if (is_space(c) || c == '/' || c == '>') break;
    if (length < lower.size()) lower[length] = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c;
  }
  const std::string_view name(lower.data(), std::min(length, lower.size()));
  token.tag = length > lower.size() ? Tag::kUnknown : tag_of(name);
  attributes_.clear();
  read_attributes(token);
  if (at_ >= page_.size()) return false;
  ++at_;  // ">"
  token.attributes = &attributes_;
  if (token.kind == TokenKind::kStartTag && has(token.tag, kRaw | kEscapable) && !foreign_)
    token.text = raw_content(name);
  if (token.kind == TokenKind::kStartTag && token.tag == Tag::kPlaintext) {
    token.text = page_.substr(at_);
    at_ = page_.size();
  }
  return true;
}

void Tokenizer::read_attributes(Token& token) {
  while (at_ < page_.size() && page_[at_] != '>') {
    if (is_space(page_[at_]) || page_[at_] == '/') {
      token.self_closing = page_[at_] == '/' && at_ + 1 < page_.size() && page_[at_ + 1] == '>';
      ++at_;
      continue;
    }
    const std::size_t name = at_++;  // a "=" at the start belongs to the name
    while (at_ < page_.size() && page_[at_] != '=' && page_[at_] != '>' && page_[at_] != '/' && !is_space(page_[at_]))
      ++at_;
    Attribute attribute{page_.substr(name, at_ - name), {}};
    std::size_t after = at_;
    while (after < page_.size() && is_space(page_[after])) ++after;
    if (after < page_.size() && page_[after] == '=') {
      at_ = after + 1;
      while (at_ < page_.size() && is_space(page_[at_])) ++at_;
      if (at_ < page_.size() && (page_[at_] == '"' || page_[at_] == '\'')) {
        const std::size_t value = at_ + 1;
        at_ = std::min(page_.find(page_[at_], value), page_.size());
        attribute.value = page_.substr(value, at_ - value);
        if (at_ < page_.size()) ++at_;
      } else {
        const std::size_t value = at_;
        while (at_ < page_.size() && page_[at_] != '>' && !is_space(page_[at_])) ++at_;
        attribute.value = page_.substr(value, at_ - value);
      }
    }
    if (attributes_.size() < kMostAttributes) attributes_.push_back(attribute);
  }
}

bool Tokenizer::at_end_tag(std::string_view name, std::size_t at) const {
  const std::size_t end = at + 2 + name.size();
  if (end > page_.size() || !equals_ignoring_case(page_.substr(at + 2, name.size()), name)) return false;
  return end == page_.size() || is_space(page_[end]) || page_[end] == '/' || page_[end] == '>';
}

std::size_t Tokenizer::find_end_tag(std::string_view name, std::size_t from) const {
  for (std::size_t at = page_.find("</", from); at != std::string_view::npos; at = page_.find("</", at + 2)) {
    if (at_end_tag(name, at)) return at;
  }
  return page_.size();
}

// Within "<!--" … "-->", a script may hold another script with its end tag (13.2.5.20 to 31).
std::size_t Tokenizer::end_of_script(std::size_t from) const {
  const std::size_t first = find_end_tag("script", from);
  if (page_.substr(from, first - from).find("<!--") == std::string_view::npos) return first;
  enum { kData, kEscaped, kDoubleEscaped } state = kData;
  for (std::size_t at = page_.find_first_of("<-", from); at < page_.size(); at = page_.find_first_of("<-", at + 1)) {
    if (page_[at] == '-') {
      if (page_.substr(at, 3) == "-->") state = kData;
    } else if (page_.substr(at, 4) == "<!--") {
      if (state == kData) state = kEscaped;
      ++at;  // the dashes of "<!-->" may end the comment
    } else if (page_.substr(at, 2) == "</") {
      if (!at_end_tag("script", at)) continue;
      if (state != kDoubleEscaped) return at;
      state = kEscaped;
    } else if (state == kEscaped && equals_ignoring_case(page_.substr(at + 1, 6), "script")) {
      state = kDoubleEscaped;
    }
  }
  return page_.size();
}

std::string_view Tokenizer::raw_content(std::string_view name) {
  const std::size_t start = at_;
  const std::size_t end = name == "script" ? end_of_script(start) : find_end_tag(name, start);
  at_ = end;
  pass_until('>');
  return page_.substr(start, end - start);
}

}  // namespace kernels
