#include <algorithm>
#include <unordered_map>

#include "data_tables.hpp"
#include "html_references.hpp"
#include "html_tokenizer.hpp"
#include "render.hpp"
#include "urls.hpp"

namespace kernels {
namespace {

bool is_word(char c) { return is_letter(c) || is_digit(c); }
bool is_sign(char c) { return c > ' ' && c < 127 && !is_word(c); }

// A part of a block between the places where formatting begins and ends.
struct Span {
  std::uint32_t begin, end;
  const Mark* mark;
};

// An element that stands at the start of lines: a quotation, or an item of a list.
struct Container {
  std::int32_t node, list;  // the list of an item; -1 for a quotation
  bool ordered;
  std::string further;  // what further lines begin with
};

// The text of one block with its formatting.
class Inline {
 public:
  Inline(std::string_view text, const std::vector<Span>& spans, const std::vector<std::string>& urls, bool one_line,
         bool in_cell)
      : text_(text), one_line_(one_line), in_cell_(in_cell) {
    write(0, static_cast<std::uint32_t>(text.size()), spans, urls, 0, spans.size());
  }

  std::string out;

 private:
  // Writes a part of the text, in which the spans from `from` to `to` are. Outer spans are before inner ones.
  void write(std::uint32_t at, std::uint32_t end, const std::vector<Span>& spans, const std::vector<std::string>& urls,
             std::size_t from, std::size_t to) {
    while (from < to) {
      const Span& span = spans[from];
      std::size_t inner = from + 1;
      while (inner < to && spans[inner].begin < span.end) ++inner;
      escape(at, span.begin);
      if (span.mark->kind == MarkKind::kCode) {
        code(text_.substr(span.begin, span.end - span.begin));
      } else {
        const bool link = span.mark->kind == MarkKind::kLink;
        const char* sign = link ? "[" : span.mark->kind == MarkKind::kStrong ? "**" : "*";
        if (link && !out.empty() && out.back() == '!') out.back() = '\\', out += '!';
        links_ += link ? 1 : 0;
        out += sign;
        write(span.begin, span.end, spans, urls, from + 1, inner);
        links_ -= link ? 1 : 0;
        if (link)
          out.append("](").append(urls[from]).append(")");
        else
          out += sign;
      }
      at = span.end, from = inner;
    }
    escape(at, end);
  }

  void code(std::string_view text) {
    std::size_t longest = 0, run = 0;
    for (const char c : text) run = c == '`' ? run + 1 : 0, longest = std::max(longest, run);
    const std::string fence(longest + 1, '`');
    const bool padded = text.front() == '`' || text.back() == '`';
    out.append(fence).append(padded ? " " : "");
    for (const char c : text) {
      if (c == '|' && in_cell_) out += '\\';
      out += c == '\n' ? ' ' : c;
    }
    out.append(padded ? " " : "").append(fence);
  }

  char at(std::size_t place) const { return place < text_.size() ? text_[place] : ' '; }

  // Writes a part of the text without formatting, with a backslash before each sign that Markdown would read.
  void escape(std::uint32_t begin, std::uint32_t end) {
    for (std::uint32_t i = begin; i < end; ++i) {
      const char c = text_[i];
      if (c == '\n') {
        out += one_line_ ? " " : "  \n";
        continue;
      }
      const bool starts_line = i == 0 || (text_[i - 1] == '\n' && !one_line_);
      const bool beside_marker =
          (c == '\\' && i + 1 == end) || ((c == '*' || c == '_') && (i == begin || i + 1 == end));
      if (beside_marker || means_something(i) || (starts_line && starts_something(i))) {
        if (is_digit(c)) {  // "1." would number an item: the sign after the number is escaped
          while (i < end && is_digit(text_[i])) out += text_[i++];
          if (i == end) return;
          out.append("\\").push_back(text_[i]);
          continue;
        }
        out += '\\';
      }
      out += c;
    }
  }

  bool means_something(std::uint32_t i) const {
    const char before = i > 0 ? text_[i - 1] : ' ', after = at(i + 1);
    switch (text_[i]) {
      case '`':
      case '[': return true;
      case ']': return links_ > 0;
      case '*': return !(is_space(before) && is_space(after));
      case '_': return !(is_word(before) && is_word(after));
      case '\\': return is_sign(after) || is_space(after);
      case '<': return is_letter(after) || after == '/' || after == '!' || after == '?';
      case '~': return before == '~' || after == '~';
      case '|': return in_cell_;
      case '#': return one_line_;
      case '&': {
        std::size_t end = i + 1;
        while (is_word(at(end)) || at(end) == '#') ++end;
        return at(end) == ';';
      }
      default: return false;
    }
  }

  bool starts_something(std::uint32_t i) const {
    const char c = text_[i], after = at(i + 1);
    if (c == '>' || c == '|') return true;
    if (c == '-' || c == '+' || c == '*' || c == '=' || c == ':')
      return is_space(after) || after == c || after == '-' || after == ':';
    std::size_t end = i;
    if (c == '#') {
      while (at(end) == '#') ++end;
      return is_space(at(end));
    }
    while (end - i < 10 && is_digit(at(end))) ++end;
    return end > i && (at(end) == '.' || at(end) == ')') && is_space(at(end + 1));
  }

  std::string_view text_;
  bool one_line_, in_cell_;
  int links_ = 0;
};

class Markdown {
 public:
  Markdown(const Page& page, const std::vector<char>& taken, bool links, std::string_view html, std::string_view url)
      : page_(page), taken_(taken), tables_(page), links_(links), html_(html), url_(url) {
    if (!page.base.empty()) url_ = resolve(url, without_references(page.base, true));
    if (url_.empty()) url_ = url;
  }

  std::string render() {
    for (std::size_t i = next(0); i < page_.blocks.size();) {
      const Block& block = page_.blocks[i];
      std::size_t after = next(i + 1);
      if (const Cell cell = tables_.cell_of(block.node); cell.table >= 0) {
        while (after < page_.blocks.size() && tables_.cell_of(page_.blocks[after].node).table == cell.table)
          after = next(after + 1);
        add_table(i, after, cell.table);
      } else if (const std::int32_t pre = pre_of(block); pre >= 0) {
        while (after < page_.blocks.size() && pre_of(page_.blocks[after]) == pre) after = next(after + 1);
        add_code(i, after);
      } else {
        const Tag tag = heading_of(block.node);
        const bool is_heading = tag != Tag::kUnknown;
        const std::string signs(is_heading ? static_cast<std::size_t>(tag) - static_cast<std::size_t>(Tag::kH1) + 1 : 0,
                                '#');
        add(block.node, (is_heading ? signs + " " : "") + inline_text(block, is_heading, false), !is_heading);
      }
      i = after;
    }
    return std::move(out_);
  }

 private:
  const Node& node(std::int32_t place) const { return page_.nodes[static_cast<std::size_t>(place)]; }

  std::size_t next(std::size_t i) const {
    while (i < page_.blocks.size() && !taken_[i]) ++i;
    return i;
  }

  std::int32_t pre_of(const Block& block) const {
    if (!block.preformatted) return -1;
    std::int32_t place = block.node;
    while (place >= 0 && node(place).tag != Tag::kPre) place = node(place).parent;
    return place;
  }

  Tag heading_of(std::int32_t place) const {
    for (int level = 0; place >= 0 && level < 3; ++level, place = node(place).parent) {
      if (has(node(place).tag, kHeading)) return node(place).tag;
      if (has(node(place).tag, kBlock)) break;
    }
    return Tag::kUnknown;
  }

  // --- lines

  std::vector<Container> containers_of(std::int32_t place) const {
    constexpr std::size_t kMost = 8;
    std::vector<Container> found;
    std::int32_t item = -1;
    for (; place >= 0; place = node(place).parent) {
      const Tag tag = node(place).tag;
      if (item >= 0 && (is_list(tag) || tag == Tag::kLi || tag == Tag::kTable)) {
        if (is_list(tag)) found.push_back({item, place, tag == Tag::kOl, ""});
        item = -1;
      }
      if (tag == Tag::kLi) item = place;
      if (tag == Tag::kBlockquote) found.push_back({place, -1, false, ""});
    }
    if (found.size() > kMost) found.erase(found.begin(), found.end() - kMost);
    std::reverse(found.begin(), found.end());
    return found;
  }

  // Adds lines at a place of the page. A paragraph may follow the item before without an empty line.
  void add(std::int32_t place, std::string_view lines, bool paragraph) {
    std::vector<Container> here = containers_of(place);
    std::size_t common = 0;
    while (common < here.size() && common < open_.size() && here[common].node == open_[common].node) ++common;
    std::string further;
    for (std::size_t i = 0; i < common; ++i) here[i].further = open_[i].further, further += here[i].further;
    if (!out_.empty()) {
      const bool items = common < here.size() && here.back().list >= 0 && !open_.empty() && open_.back().list >= 0 &&
                         here.size() > common && here[common].list >= 0 &&
                         (common > 0 || here[0].list == open_[0].list);
      out_ += '\n';
      if (!(items && paragraph && after_paragraph_)) out_.append(without_end(further)).push_back('\n');
    }
    std::string first = further;
    for (std::size_t i = common; i < here.size(); ++i) {
      std::string marker = "> ";
      if (here[i].list >= 0) marker = here[i].ordered ? std::to_string(++numbers_[here[i].list]) + ". " : "- ";
      here[i].further = here[i].list >= 0 ? std::string(marker.size(), ' ') : marker;
      first += marker, further += here[i].further;
    }
    open_ = std::move(here);
    after_paragraph_ = paragraph;
    out_ += first;
    for (std::size_t at = 0;;) {
      const std::size_t end = lines.find('\n', at);
      out_ += lines.substr(at, end - at);
      if (end == std::string_view::npos) break;
      at = end + 1;
      const bool empty = at == lines.size() || lines[at] == '\n';
      out_.append("\n").append(empty ? without_end(further) : further);
    }
  }

  static std::string_view without_end(std::string_view text) {
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
  }

  void add_code(std::size_t from, std::size_t to) {
    std::string code;
    for (std::size_t i = from; i < to; i = next(i + 1)) {
      const Block& block = page_.blocks[i];
      const std::uint32_t begin = block.begin - block.indent;
      code.append(page_.text, begin, block.end - begin).push_back('\n');
    }
    std::size_t longest = 2, run = 0;
    for (const char c : code) run = c == '`' ? run + 1 : 0, longest = std::max(longest, run);
    const std::string fence(longest + 1, '`');
    add(page_.blocks[from].node, fence + "\n" + code + fence, false);
  }

  void add_table(std::size_t from, std::size_t to, std::int32_t table) {
    std::vector<std::vector<std::string>> rows;
    Cell before;
    for (std::size_t i = from; i < to; i = next(i + 1)) {
      const Cell cell = tables_.cell_of(page_.blocks[i].node);
      if (rows.empty() || cell.row != before.row || cell.row < 0)
        rows.emplace_back();
      else if (cell.cell == before.cell) {
        rows.back().back().append(" ").append(inline_text(page_.blocks[i], true, true));
        continue;
      }
      rows.back().push_back(inline_text(page_.blocks[i], true, true));
      before = cell;
    }
    std::size_t columns = 0;
    for (const auto& row : rows) columns = std::max(columns, row.size());
    std::string lines;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      lines += i > 0 ? "\n|" : "|";
      for (std::size_t j = 0; j < columns; ++j)
        lines.append(" ").append(j < rows[i].size() ? rows[i][j] : "").append(" |");
      if (i > 0) continue;
      lines += "\n|";
      for (std::size_t j = 0; j < columns; ++j) lines += " --- |";
    }
    add(table, lines, false);
  }

  // --- formatting within a block

  std::string inline_text(const Block& block, bool one_line, bool in_cell) {
    const std::string_view text = std::string_view(page_.text).substr(block.begin, block.end - block.begin);
    std::vector<Span> spans = spans_of(block, text);
    std::vector<std::string> urls;
    for (const Span& span : spans) urls.push_back(span.mark->kind == MarkKind::kLink ? url_of(*span.mark) : "");
    return Inline(text, spans, urls, one_line, in_cell).out;
  }

  std::string url_of(const Mark& mark) const {
    const std::string url = resolve(url_, without_references(html_.substr(mark.href, mark.href_length), true));
    std::string out;
    for (const char c : url) {
      constexpr std::string_view kDigits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      if (byte <= ' ' || byte == 127 || c == '(' || c == ')' || c == '<' || c == '>' || c == '\\') {
        out.append("%").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
      } else {
        if (c == '&' || c == '|') out += '\\';
        out += c;
      }
    }
    return out;
  }

  // Returns the parts of a block that are formatted, outer ones before inner ones. None crosses another.
  std::vector<Span> spans_of(const Block& block, std::string_view text) {
    while (mark_ > 0 && page_.marks[mark_ - 1].at >= block.begin) --mark_;
    while (mark_ < page_.marks.size() && page_.marks[mark_].at < block.begin) ++mark_;
    std::vector<Span> found;
    std::vector<const Mark*> open;
    for (; mark_ < page_.marks.size() && page_.marks[mark_].at <= block.end; ++mark_) {
      const Mark& mark = page_.marks[mark_];
      if (mark.opens) {
        open.push_back(&mark);
        continue;
      }
      const auto opened =
          std::find_if(open.rbegin(), open.rend(), [&](const Mark* other) { return other->kind == mark.kind; });
      if (opened == open.rend()) continue;
      Span span{(*opened)->at - block.begin, mark.at - block.begin, *opened};
      open.erase(std::next(opened).base());
      while (span.begin < span.end && is_space(text[span.begin])) ++span.begin;
      while (span.begin < span.end && is_space(text[span.end - 1])) --span.end;
      if (span.begin < span.end && is_wanted(span, text)) found.push_back(span);
    }
    std::stable_sort(found.begin(), found.end(), [](const Span& a, const Span& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
    });
    return nested(found, text);
  }

  bool is_wanted(const Span& span, std::string_view text) const {
    if (span.mark->kind != MarkKind::kLink) return true;
    return links_ && span.mark->href_length > 0 && !url_of(*span.mark).empty() &&
           text.substr(span.begin, span.end - span.begin).find('\n') == std::string_view::npos;
  }

  // Leaves out what would not be read as it was meant: spans that cross, that are in code, that touch, or whose signs
  // stand between letters and punctuation.
  static std::vector<Span> nested(const std::vector<Span>& spans, std::string_view text) {
    std::vector<Span> kept, open;
    std::uint32_t last_end = 0;
    for (const Span& span : spans) {
      while (!open.empty() && open.back().end <= span.begin)
        last_end = std::max(last_end, open.back().end), open.pop_back();
      const auto same = [&](const Span& other) { return other.mark->kind == span.mark->kind; };
      const bool crosses = !open.empty() && span.end > open.back().end;
      const bool in_code = !open.empty() && open.back().mark->kind == MarkKind::kCode;
      const bool touches = !kept.empty() && last_end == span.begin && span.begin > 0;
      if (crosses || in_code || touches || std::any_of(open.begin(), open.end(), same)) continue;
      const bool signs = span.mark->kind == MarkKind::kStrong || span.mark->kind == MarkKind::kEmphasis;
      // markers of two kinds that begin or end together stand beside punctuation: each other
      const bool beside = std::any_of(spans.begin(), spans.end(), [&](const Span& other) {
        return other.mark != span.mark && (other.begin == span.begin || other.end == span.end);
      });
      if (signs && !(can_stand(text, span.begin, true, beside) && can_stand(text, span.end, false, beside))) continue;
      kept.push_back(span), open.push_back(span);
    }
    return kept;
  }

  // Whether "*" at a place opens or closes emphasis (CommonMark 6.2): beside a letter it may stand anywhere, beside
  // punctuation only if the other side is a space, punctuation or the end.
  static bool can_stand(std::string_view text, std::size_t place, bool opens, bool beside) {
    const bool at_end = opens ? place == 0 : place == text.size();
    const char inner = opens ? text[place] : text[place - 1];
    const char outer = at_end ? ' ' : opens ? text[place - 1] : text[place];
    const auto byte = static_cast<unsigned char>(inner);
    // bytes of letters of two bytes, and of three but for the punctuation of U+2000 and U+3000
    const bool letter = is_word(inner) || (opens && ((byte >= 0xC3 && byte <= 0xDF) || (byte >= 0xE4 && byte <= 0xED)));
    return (letter && !beside) || is_space(outer);
  }

  const Page& page_;
  const std::vector<char>& taken_;
  DataTables tables_;
  bool links_;
  std::string_view html_;
  std::string url_;
  std::string out_;
  std::vector<Container> open_;
  std::unordered_map<std::int32_t, int> numbers_;  // of the last item of an ordered list
  bool after_paragraph_ = false;
  std::size_t mark_ = 0;
};

}  // namespace

std::string render_markdown(const Page& page, const std::vector<char>& taken, bool links, std::string_view html,
                            std::string_view url) {
  return Markdown(page, taken, links, html, url).render();
}

}  // namespace kernels
