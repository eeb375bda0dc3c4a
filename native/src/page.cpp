#include "page.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "html_references.hpp"
#include "html_tokenizer.hpp"
#include "page_phrases.hpp"
#include "phrase_matcher.hpp"

namespace kernels {
namespace {

constexpr std::size_t kMostDepth = 400;  // browsers stop at 512
constexpr std::size_t kMostNodes = 2'000'000;
constexpr std::size_t kMostWords = 12;  // of one class or id attribute
constexpr std::size_t kMostWordBytes = 60;
constexpr std::size_t kMostSearched = 400'000;  // bytes of a page that are searched for phrases
constexpr std::size_t kMostStatements = 256;

// Parts of words in class and id attributes, after the lists of readability and trafilatura.
// clang-format off
const PhraseMatcher& category_words() {
  static const PhraseMatcher matcher({
      {"comment", kCommentCategory}, {"disqus", kCommentCategory}, {"respon", kCommentCategory}, {"reply", kCommentCategory},
      {"discuss", kCommentCategory}, {"remark", kCommentCategory}, {"nav", kNavigation}, {"menu", kNavigation},
      {"header", kHeaderCategory}, {"masthead", kHeaderCategory}, {"banner", kHeaderCategory}, {"logo", kHeaderCategory},
      {"foot", kFooterCategory}, {"bottom", kFooterCategory}, {"sidebar", kSidebar}, {"aside", kSidebar}, {"rail", kSidebar},
      {"right", kSidebar}, {"left", kSidebar}, {"share", kShare}, {"sharing", kShare}, {"social", kShare}, {"tweet", kShare},
      {"twitter", kShare}, {"facebook", kShare}, {"bookmark", kShare}, {"email", kShare}, {"print", kShare},
      {"related", kRelated}, {"recommend", kRelated}, {"popular", kRelated}, {"latest", kRelated}, {"recent", kRelated},
      {"more", kRelated}, {"outbrain", kRelated}, {"taboola", kRelated}, {"also", kRelated}, {"archive", kRelated},
      {"advert", kAdvertisement}, {"sponsor", kAdvertisement}, {"promo", kAdvertisement}, {"-ad", kAdvertisement},
      {"ad-", kAdvertisement}, {"ads", kAdvertisement}, {"meta", kMetadata}, {"date", kMetadata}, {"time", kMetadata},
      {"info", kMetadata}, {"byline", kAuthor}, {"author", kAuthor}, {"bio", kAuthor}, {"profile", kAuthor}, {"user", kAuthor},
      {"tag", kTags}, {"categor", kTags}, {"topic", kTags}, {"label", kTags}, {"keyword", kTags}, {"article", kArticleCategory},
      {"entry", kArticleCategory}, {"post", kArticleCategory}, {"story", kArticleCategory}, {"blog", kArticleCategory},
      {"news", kArticleCategory}, {"content", kContent}, {"main", kContent}, {"page", kContent}, {"column", kContent},
      {"center", kContent}, {"body", kBodyText}, {"text", kBodyText}, {"paragraph", kBodyText}, {"copy", kBodyText},
      {"caption", kMedia}, {"image", kMedia}, {"img", kMedia}, {"photo", kMedia}, {"media", kMedia}, {"gallery", kMedia},
      {"video", kMedia}, {"credit", kMedia}, {"thumb", kMedia}, {"form", kFormCategory}, {"login", kFormCategory},
      {"search", kFormCategory}, {"subscri", kFormCategory}, {"newsletter", kFormCategory}, {"signup", kFormCategory},
      {"register", kFormCategory}, {"poll", kFormCategory}, {"rating", kFormCategory}, {"crumb", kBreadcrumb},
      {"path", kBreadcrumb}, {"pagina", kPager}, {"pager", kPager}, {"prev", kPager}, {"next", kPager}, {"hidden", kHidden},
      {"sr-only", kHidden}, {"screen-reader", kHidden}, {"copyright", kCopyright}, {"legal", kCopyright},
      {"disclaim", kCopyright}, {"terms", kCopyright}, {"title", kTitleCategory}, {"headline", kTitleCategory},
      {"heading", kTitleCategory}, {"list", kListCategory}, {"item", kListCategory}, {"index", kListCategory},
      {"grid", kListCategory}, {"teaser", kTeaser}, {"summary", kTeaser}, {"excerpt", kTeaser}, {"intro", kTeaser},
      {"lead", kTeaser}, {"desc", kTeaser}, {"cookie", kCookie}, {"consent", kCookie}, {"gdpr", kCookie}, {"popup", kPopup},
      {"modal", kPopup}, {"overlay", kPopup}, {"tooltip", kPopup}, {"widget", kWidget}, {"module", kWidget}, {"block", kWidget},
      {"box", kWidget}, {"panel", kWidget}, {"portlet", kWidget}, {"tool", kWidget}, {"lineno", kLineNumbers},
      {"line-num", kLineNumbers}, {"linenum", kLineNumbers}, {"line_num", kLineNumbers}, {"ln-num", kLineNumbers},
      {"blob-num", kLineNumbers}, {"gutter", kLineNumbers}, {"cookie-", kConsent},
      {"cookie_", kConsent}, {"-cookie", kConsent}, {"_cookie", kConsent}, {"cookieb", kConsent}, {"cookiec", kConsent},
      {"cookiel", kConsent}, {"cookiem", kConsent}, {"cookien", kConsent}, {"cookiep", kConsent}, {"consent", kConsent},
      {"gdpr", kConsent},
  });
  return matcher;
}
// clang-format on

// What an element says about itself in its attributes.
struct Attributes {
  std::uint32_t categories = 0;
  bool link = false;
  bool hidden = false;
  std::string_view href, type, encoding, alttext, name, property, content, classes, rel, itemprop, datetime;
};

bool displays_none(std::string_view style) {
  const std::size_t at = style.find("display");
  if (at == std::string_view::npos) return false;
  std::string_view value = style.substr(at + 7);
  while (!value.empty() && (is_space(value[0]) || value[0] == ':')) value.remove_prefix(1);
  return equals_ignoring_case(value.substr(0, 4), "none");
}

// The open link. Its words are those of the block in which its text begins.
struct Link {
  std::vector<std::uint32_t> words;
  bool outward = false, inward = false, counted = true;
};

std::string_view host_of(std::string_view url) {
  const std::size_t scheme = url.substr(0, 10).find("//");
  if (scheme == std::string_view::npos) return {};
  const std::string_view rest = url.substr(scheme + 2);
  std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
  if (host.substr(0, 4) == "www.") host.remove_prefix(4);
  return host;
}

// The text of a formula in MathML.
struct Formula {
  std::string latex, characters;
  int annotations = 0;  // open annotation elements
  bool in_latex = false;
};

class Reader {
 public:
  Reader(std::string_view html, std::string_view url) : html_(html), host_(host_of(url)), tokenizer_(html) {
    page_.tag_counts.assign(static_cast<std::size_t>(Tag::kCount), 0);
    page_.phrase_counts.assign(kPhrases.size(), 0);
    page_.text.reserve(html.size() / 4);
    push(Tag::kHtml, {}, false);
  }

  Page read() {
    for (Token token = tokenizer_.next(); token.kind != TokenKind::kEnd; token = tokenizer_.next()) {
      count_phrases(token);
      if (formula_ && in_formula(token)) continue;
      if (token.kind == TokenKind::kText) {
        if (hiding_ == 0) text(token);
      } else if (token.kind == TokenKind::kStartTag) {
        start_tag(token);
      } else {
        end_tag(token.tag);
      }
    }
    end_formula();
    end_block();
    return std::move(page_);
  }

 private:
  enum class Break : std::uint8_t { kNone, kSpace, kLine };

  void count_phrases(const Token& token) {
    if (tokenizer_.position() > kMostSearched || token.kind == TokenKind::kEndTag) return;
    const auto count = [&](std::uint8_t phrase, std::size_t) { ++page_.phrase_counts[phrase]; };
    if (token.kind == TokenKind::kText) return page_phrases().each(token.text, count);
    for (const Attribute& attribute : *token.attributes) page_phrases().each(attribute.value.substr(0, 200), count);
  }

  // --- text

  void text(const Token& token) {
    if (!token.has_references) return add(token.text);
    std::string_view rest = token.text;
    while (!rest.empty()) {
      const std::size_t ampersand = std::min(rest.find('&'), rest.size());
      add(rest.substr(0, ampersand));
      rest.remove_prefix(ampersand);
      if (rest.empty()) break;
      scratch_.clear();
      const std::size_t used = read_reference(rest, false, scratch_);
      if (used == 0) scratch_ = "&";
      add(scratch_);
      rest.remove_prefix(std::max<std::size_t>(used, 1));
    }
  }

  // Adds text to the block. Spaces become one, and marks that nobody sees go.
  void add(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
      std::size_t end = at;
      while (end < text.size() && is_plain(text[end])) ++end;
      if (end > at) put(text.substr(at, end - at));
      at = end;
      if (at < text.size()) at += add_special(text.substr(at));
    }
  }

  static bool is_plain(char c) {
    static const auto plain = [] {
      std::array<bool, 256> table{};
      for (int byte = 0x21; byte < 256; ++byte) table[static_cast<std::size_t>(byte)] = true;
      for (const int byte : {0x7F, 0xC2, 0xE1, 0xE2, 0xE3, 0xEF}) table[static_cast<std::size_t>(byte)] = false;
      return table;
    }();
    return plain[static_cast<unsigned char>(c)];
  }

  // Adds the character at the start of `text`, which may be a space or invisible. Returns its length.
  std::size_t add_special(std::string_view text) {
    const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const unsigned c = byte(0);
    if (c <= 0x20 || c == 0x7F) {
      if (is_space(text[0])) space(text[0]);
      return 1;
    }
    if (c == 0xC2) {
      if (byte(1) == 0xA0)
        space(' ');
      else if (byte(1) != 0xAD)
        put(text.substr(0, 2));  // soft hyphen
      return 2;
    }
    const unsigned point = (c & 15) << 12 | (byte(1) & 63) << 6 | (byte(2) & 63);
    const bool wide = (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 || point == 0x202F ||
                      point == 0x205F || point == 0x3000 || point == 0x1680;
    // zero width, and marks of direction; but not the joiners, which words of some languages need
    const bool unseen = point == 0x200B || point == 0x200E || point == 0x200F || (point >= 0x202A && point <= 0x202E) ||
                        (point >= 0x2060 && point <= 0x2069) || point == 0xFEFF || point == 0x180E || point == 0x061C;
    if (wide)
      space(' ');
    else if (!unseen)
      put(text.substr(0, 3));
    return 3;
  }

  void space(char c) {
    if (preformatted_ > 0) {
      if (c == '\n' && block_ < 0)
        indent_.clear();
      else if (c == '\n' || c == ' ' || c == '\t')
        (block_ < 0 ? indent_ : page_.text).push_back(c);
      return;
    }
    if (break_ == Break::kNone) break_ = Break::kSpace;
  }

  void put(std::string_view word) {
    if (block_ < 0) begin_block();
    Block& block = page_.blocks.back();
    if (break_ != Break::kNone && page_.text.size() > block.begin)
      page_.text.push_back(break_ == Break::kLine ? '\n' : ' ');
    break_ = Break::kNone;
    breaks_in_a_row_ = 0;
    page_.text.append(word);
    block.chars += static_cast<std::uint32_t>(word.size());
    if (!in_link_) return;
    block.link_chars += static_cast<std::uint32_t>(word.size());
    if (link_.counted) return;
    link_.counted = true;
    block.outward_links += link_.outward ? 1 : 0;
    block.inward_links += link_.inward ? 1 : 0;
    for (const std::uint32_t hash : link_.words) page_.link_words.push_back({static_cast<std::uint32_t>(block_), hash});
  }

  void begin_block() {
    Block block;
    block.node = stack_.back();
    page_.text += indent_;
    block.begin = static_cast<std::uint32_t>(page_.text.size());
    block.indent = static_cast<std::uint32_t>(indent_.size());
    indent_.clear();
    block.links = in_link_ ? 1 : 0;
    block.preformatted = preformatted_ > 0;
    page_.blocks.push_back(block);
    block_ = static_cast<int>(page_.blocks.size()) - 1;
    break_ = Break::kNone;
  }

  void end_block() {
    if (block_ >= 0) {
      std::string& text = page_.text;
      while (is_space(text.back())) text.pop_back();  // of preformatted text
      Block& block = page_.blocks.back();
      block.end = static_cast<std::uint32_t>(text.size());
      if (numbers_lines(block)) {
        text.resize(block.begin - block.indent);
        page_.blocks.pop_back();
        while (!page_.link_words.empty() && page_.link_words.back().block == page_.blocks.size())
          page_.link_words.pop_back();
        cut_marks();
      } else {
        cut_marks();
        text.push_back('\n');
      }
      block_ = -1;
    }
    indent_.clear();
    break_ = Break::kNone;
    breaks_in_a_row_ = 0;
  }

  // Formatting may begin or end in text that was taken away.
  void cut_marks() {
    const auto end = static_cast<std::uint32_t>(page_.text.size());
    for (auto mark = page_.marks.rbegin(); mark != page_.marks.rend() && mark->at > end; ++mark) mark->at = end;
  }

  // Whether a block has nothing but the numbers of lines of code.
  bool numbers_lines(const Block& block) const {
    const Node& node = page_.nodes[static_cast<std::size_t>(block.node)];
    if ((node.all_categories >> kLineNumbers & 1) == 0) return false;
    const auto is_number = [](char c) { return is_space(c) || (c >= '0' && c <= '9'); };
    return std::all_of(page_.text.begin() + block.begin, page_.text.begin() + block.end, is_number);
  }

  // --- tags

  void start_tag(const Token& token) {
    const Tag tag = token.tag;
    ++page_.tag_counts[static_cast<std::size_t>(tag)];
    const std::size_t first_token = page_.tokens.size();
    const Attributes attributes = read_attributes(token);
    add_statement(attributes);
    if (tag == Tag::kMath) return begin_formula(attributes);
    while (drawings_ > 0 && ends_drawing(tag)) pop();
    if (drawings_ == 0 && has(tag, kRaw | kEscapable)) return raw_element(token, attributes);
    if (hiding_ > 0) {
      if (!has(tag, kVoid | kFormatting) && !token.self_closing) push(tag, {}, false);
      return;
    }
    if (tag == Tag::kBr) return line_break();
    if (tag == Tag::kMeta) return meta(attributes);
    if (tag == Tag::kBase && page_.base.empty()) page_.base = attributes.href;
    if (tag == Tag::kImg && block_ >= 0) ++page_.blocks.back().images;
    if (has(tag, kBlock)) end_block();
    if (tag == Tag::kPlaintext) return add(token.text);
    if (has(tag, kVoid)) return;
    if (has(tag, kFormatting)) return formatting(tag, attributes);
    close_implied(tag);
    if (tag == Tag::kBody || tag == Tag::kHead || tag == Tag::kHtml) {
      push(tag, attributes, false);  // what the root says about itself holds for the whole page, and so says nothing
      page_.nodes.back().all_categories = 0;
    } else if (!(has(tag, kHiddenContent) && token.self_closing)) {
      const bool number = preformatted_ > 0 && (attributes.categories >> kLineNumbers & 1) != 0;
      const bool unseen = (attributes.hidden && !has(tag, kBlock)) || (number && tag == Tag::kSpan);
      push(tag, attributes, has(tag, kHiddenContent) || unseen);
    }
    if (!page_.nodes.empty() && stack_.back() == static_cast<std::int32_t>(page_.nodes.size()) - 1) {
      page_.nodes.back().first_token = static_cast<std::uint32_t>(first_token);
      page_.nodes.back().last_token = static_cast<std::uint32_t>(page_.tokens.size());
    }
  }

  // HTML ends a drawing that was left open (13.2.6.5).
  static bool ends_drawing(Tag tag) {
    constexpr std::array kEnding = {Tag::kBlockquote, Tag::kBody,  Tag::kCenter, Tag::kDd,   Tag::kDiv, Tag::kDl,
                                    Tag::kDt,         Tag::kH1,    Tag::kH2,     Tag::kH3,   Tag::kH4,  Tag::kH5,
                                    Tag::kH6,         Tag::kHr,    Tag::kLi,     Tag::kMenu, Tag::kOl,  Tag::kP,
                                    Tag::kPre,        Tag::kTable, Tag::kUl};
    return std::find(kEnding.begin(), kEnding.end(), tag) != kEnding.end();
  }

  void add_statement(const Attributes& attributes) {
    if (!attributes.datetime.empty() && page_.times.size() < kMostStatements)
      page_.times.push_back(attributes.datetime);
    for (const std::string_view name : {attributes.property, attributes.name, attributes.itemprop}) {
      const std::string_view content = attributes.content.empty() ? attributes.datetime : attributes.content;
      if (!name.empty() && !content.empty() && page_.statements.size() < kMostStatements)
        page_.statements.push_back({name, content});
    }
  }

  Attributes read_attributes(const Token& token) {
    Attributes found;
    const bool makes_node = !has(token.tag, kFormatting | kVoid) && hiding_ == 0;
    for (const Attribute& attribute : *token.attributes) {
      const auto is = [&](std::string_view name) { return equals_ignoring_case(attribute.name, name); };
      if (is("itemprop")) found.itemprop = attribute.value;
      if (makes_node && (is("class") || is("id") || is("role") || is("itemprop"))) {
        found.categories |= read_words(attribute.value, is("id"));
      } else if (is("style")) {
        found.hidden |= displays_none(attribute.value);
      } else if (is("hidden") || (is("aria-hidden") && equals_ignoring_case(attribute.value, "true"))) {
        found.hidden = true;
      } else if (is("class")) {
        found.classes = attribute.value;
      } else if (is("rel")) {
        found.rel = attribute.value;
      } else if (is("href")) {
        found.link = true, found.href = attribute.value;
      } else if (is("type")) {
        found.type = attribute.value;
      } else if (is("encoding")) {
        found.encoding = attribute.value;
      } else if (is("alttext")) {
        found.alttext = attribute.value;
      } else if (is("name")) {
        found.name = attribute.value;
      } else if (is("property")) {
        found.property = attribute.value;
      } else if (is("content")) {
        found.content = attribute.value;
      } else if (is("datetime")) {
        found.datetime = attribute.value;
      }
    }
    if (found.hidden) found.categories |= 1U << kHidden;
    return found;
  }

  // Reads the words of a class or id. In a word, all numbers count as 0.
  std::uint32_t read_words(std::string_view value, bool is_id) {
    std::uint32_t categories = 0;
    each_word(value, is_space, is_id ? 1 : 0, [&](std::string_view word, std::uint32_t hash) {
      categories |= category_words().mask(word);
      page_.tokens.push_back(hash);
    });
    return categories;
  }

  template <typename Ends, typename Found>
  static void each_word(std::string_view value, Ends ends, std::uint64_t kind, Found found) {
    std::array<char, kMostWordBytes> word;
    for (std::size_t at = 0, count = 0; at < value.size() && count < kMostWords; ++count) {
      while (at < value.size() && ends(value[at])) ++at;
      std::size_t length = 0;
      std::uint64_t hash = 1469598103934665603ULL ^ kind;
      bool after_digit = false;
      for (; at < value.size() && !ends(value[at]); ++at) {
        char c = value[at];
        const bool digit = c >= '0' && c <= '9';
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 32);
        if ((digit && after_digit) || length == word.size()) continue;
        after_digit = digit;
        word[length++] = digit ? '0' : c;
        hash = (hash ^ static_cast<unsigned char>(word[length - 1])) * 1099511628211ULL;
      }
      if (length > 0) found({word.data(), length}, static_cast<std::uint32_t>(hash ^ hash >> 32));
    }
  }

  // Reads what a link says about itself: the parts of its address, its classes and its rel.
  void open_link(const Attributes& attributes) {
    link_.words.clear();
    link_.counted = false;
    const auto add = [&](std::string_view, std::uint32_t hash) { link_.words.push_back(hash); };
    each_word(attributes.classes, is_space, 2, add);
    each_word(attributes.rel, is_space, 3, add);
    const std::string_view host = host_of(attributes.href);
    link_.inward = attributes.href.substr(0, 1) == "#";
    link_.outward = !host.empty() && host != host_;
    const auto is_part = [](char c) { return c == '/' || c == '?' || c == '&' || c == '='; };
    std::string_view path = attributes.href.substr(0, 200);
    if (!host.empty() && !link_.outward) path.remove_prefix(std::min(path.size(), path.find(host) + host.size()));
    each_word(path, is_part, 4, add);
  }

  void raw_element(const Token& token, const Attributes& attributes) {
    if (has(token.tag, kBlock)) end_block();
    if (token.tag == Tag::kTitle && page_.title.empty() && hiding_ == 0)
      page_.title = without_references(token.text, false);
    if (token.tag == Tag::kXmp && hiding_ == 0) add(token.text);
    if (token.tag != Tag::kScript) return;
    if (equals_ignoring_case(attributes.type, "application/ld+json")) page_.linked_data.push_back(token.text);
    if (attributes.type.substr(0, 8) == "math/tex" && hiding_ == 0) add(token.text);
  }

  void meta(const Attributes& attributes) {
    if (equals_ignoring_case(attributes.property, "og:type") && page_.og_type.empty()) {
      page_.og_type = without_references(attributes.content, true);
    }
    if (equals_ignoring_case(attributes.property, "og:description") ||
        equals_ignoring_case(attributes.name, "description")) {
      if (page_.descriptions.size() < 4) page_.descriptions.push_back(without_references(attributes.content, true));
    }
  }

  void line_break() {
    if (block_ < 0) return;
    ++page_.blocks.back().breaks;
    if (preformatted_ > 0) {
      page_.text.push_back('\n');
    } else if (++breaks_in_a_row_ >= 2) {
      end_block();
    } else {
      break_ = Break::kLine;
    }
  }

  void formatting(Tag tag, const Attributes& attributes) {
    if (tag == Tag::kA) {
      if (in_link_) mark(MarkKind::kLink, false);
      in_link_ = attributes.link;
      if (!in_link_) return;
      if (block_ >= 0) ++page_.blocks.back().links;
      open_link(attributes);
      mark(MarkKind::kLink, true);
      page_.marks.back().href = static_cast<std::uint32_t>(attributes.href.data() - html_.data());
      page_.marks.back().href_length = static_cast<std::uint32_t>(attributes.href.size());
      return;
    }
    if (block_ >= 0) ++page_.blocks.back().formats;
    if (tag == Tag::kQ) add("“");
    if (const auto kind = mark_of(tag)) mark(*kind, true);
  }

  static std::optional<MarkKind> mark_of(Tag tag) {
    switch (tag) {
      case Tag::kB:
      case Tag::kStrong: return MarkKind::kStrong;
      case Tag::kI:
      case Tag::kEm: return MarkKind::kEmphasis;
      case Tag::kCode:
      case Tag::kTt:
      case Tag::kSamp:
      case Tag::kKbd: return MarkKind::kCode;
      default: return std::nullopt;
    }
  }

  void mark(MarkKind kind, bool opens) {
    page_.marks.push_back({static_cast<std::uint32_t>(page_.text.size()), kind, opens});
  }

  void end_tag(Tag tag) {
    if (hiding_ > 0) return end_within_hidden(tag);
    if (tag == Tag::kA) {
      if (in_link_) mark(MarkKind::kLink, false);
      in_link_ = false;
      return;
    }
    if (has(tag, kFormatting)) {
      if (tag == Tag::kQ && block_ >= 0) page_.text.append("”");
      if (const auto kind = mark_of(tag)) mark(*kind, false);
      return;
    }
    if (tag == Tag::kBody || tag == Tag::kHtml || tag == Tag::kBr) return;
    if (has(tag, kBlock)) end_block();
    if (tag == Tag::kP) return close_to(Tag::kP, Tag::kP, is_paragraph_scope);
    close(tag);
  }

  // --- the stack of open elements

  void push(Tag tag, const Attributes& attributes, bool hides) {
    if (stack_.size() >= kMostDepth || page_.nodes.size() >= kMostNodes) return;
    Node node;
    node.parent = stack_.empty() ? -1 : stack_.back();
    node.tag = tag;
    node.hides = hides;
    node.depth = static_cast<std::uint16_t>(stack_.size());
    node.categories = attributes.categories;
    node.all_categories =
        node.categories | (stack_.empty() ? 0 : page_.nodes[static_cast<std::size_t>(stack_.back())].all_categories);
    hiding_ += hides ? 1 : 0;
    drawings_ += tag == Tag::kSvg ? 1 : 0;
    tokenizer_.set_foreign(drawings_ > 0);
    preformatted_ += tag == Tag::kPre ? 1 : 0;
    stack_.push_back(static_cast<std::int32_t>(page_.nodes.size()));
    page_.nodes.push_back(node);
  }

  void pop() {
    const Node& node = open(stack_.size() - 1);
    hiding_ -= node.hides ? 1 : 0;
    drawings_ -= node.tag == Tag::kSvg ? 1 : 0;
    tokenizer_.set_foreign(drawings_ > 0);
    preformatted_ -= node.tag == Tag::kPre ? 1 : 0;
    stack_.pop_back();
  }

  const Node& open(std::size_t place) const { return page_.nodes[static_cast<std::size_t>(stack_[place])]; }

  void pop_to(std::size_t place) {
    while (stack_.size() > place) pop();
  }

  static bool is_paragraph_scope(Tag tag) {
    return is_cell(tag) || tag == Tag::kTable || tag == Tag::kCaption || tag == Tag::kButton || tag == Tag::kSelect;
  }
  static bool is_list_scope(Tag tag) {
    return is_list(tag) || is_cell(tag) || tag == Tag::kTable || tag == Tag::kCaption;
  }
  static bool is_description_scope(Tag tag) { return tag == Tag::kDl || is_cell(tag) || tag == Tag::kTable; }
  static bool is_table(Tag tag) { return tag == Tag::kTable; }
  static bool is_select(Tag tag) { return tag == Tag::kSelect; }

  // Closes the innermost open element with one of two tags, unless an element of its scope is between.
  void close_to(Tag one, Tag other, bool (*is_scope)(Tag)) {
    for (std::size_t place = stack_.size(); place-- > 1;) {
      const Tag tag = open(place).tag;
      if (tag == one || tag == other) return pop_to(place);
      if (is_scope(tag)) return;
    }
  }

  // Ends the elements that a start tag ends without saying so.
  void close_implied(Tag tag) {
    if (has(tag, kClosesP)) close_to(Tag::kP, Tag::kP, is_paragraph_scope);
    if (has(tag, kHeading) && has(open(stack_.size() - 1).tag, kHeading) && stack_.size() > 1) pop();
    if (tag == Tag::kLi) close_to(Tag::kLi, Tag::kLi, is_list_scope);
    if (tag == Tag::kDt || tag == Tag::kDd) close_to(Tag::kDt, Tag::kDd, is_description_scope);
    if (is_cell(tag)) close_to(Tag::kTd, Tag::kTh, is_table);
    if (tag == Tag::kTr) close_to(Tag::kTr, Tag::kTr, is_table);
    if (is_row_group(tag)) {
      close_to(Tag::kTbody, Tag::kThead, is_table);
      close_to(Tag::kTfoot, Tag::kTfoot, is_table);
    }
    if (tag == Tag::kOption || tag == Tag::kOptgroup) close_to(Tag::kOption, Tag::kOption, is_select);
  }

  // Closes the element of an end tag, and all elements in it.
  void close(Tag tag) {
    for (std::size_t place = stack_.size(); place-- > 1;) {
      const Tag other = open(place).tag;
      if (other == tag || (has(tag, kHeading) && has(other, kHeading))) return pop_to(place);
      const bool part_of_table = is_cell(tag) || tag == Tag::kTr || is_row_group(tag) || tag == Tag::kTable;
      if (!has(tag, kBlock) && has(other, kBlock)) return;
      if (other == Tag::kTable || (has(other, kScope) && !part_of_table)) return;
    }
  }

  void end_within_hidden(Tag tag) {
    for (std::size_t place = stack_.size(); place-- > 1;) {
      const Node& node = open(place);
      if (node.tag == tag) return pop_to(place);
      if (node.hides) return;  // what hides is ended by its own tag alone
    }
  }

  // --- formulas

  void begin_formula(const Attributes& attributes) {
    formula_.emplace();
    formula_->latex = without_references(attributes.alttext, true);
  }

  // Takes a token of a formula. Returns false if the formula is over and the token is the page's.
  bool in_formula(const Token& token) {
    Formula& formula = *formula_;
    if (token.kind == TokenKind::kText) {
      std::string& into = formula.in_latex ? formula.latex : formula.characters;
      if (formula.in_latex || formula.annotations == 0) into += without_references(token.text, false);
    } else if (token.tag == Tag::kAnnotation) {
      const bool opens = token.kind == TokenKind::kStartTag;
      formula.annotations += opens ? 1 : -1;
      formula.in_latex =
          opens && formula.latex.empty() && read_attributes(token).encoding.find("tex") != std::string_view::npos;
    } else if (token.tag == Tag::kMath) {
      if (token.kind == TokenKind::kEndTag) end_formula();
    } else if (formula.annotations <= 0 && has(token.tag, kBlock)) {  // HTML ends a formula that was left open
      end_formula();
      return false;
    }
    return true;
  }

  void end_formula() {
    if (!formula_) return;
    const Formula formula = *std::move(formula_);
    formula_.reset();
    std::string_view latex = formula.latex;
    constexpr std::string_view kStyle = "{\\displaystyle ";
    if (latex.substr(0, kStyle.size()) == kStyle && latex.back() == '}') {
      latex.remove_prefix(kStyle.size()), latex.remove_suffix(1);
    }
    add(latex.empty() ? std::string_view(formula.characters) : latex);
  }

  std::string_view html_, host_;
  Tokenizer tokenizer_;
  Page page_;
  std::vector<std::int32_t> stack_;
  std::optional<Formula> formula_;
  std::string scratch_;
  std::string indent_;  // of preformatted text whose block has not begun
  Link link_;
  int block_ = -1;  // the block under way
  int hiding_ = 0, preformatted_ = 0, drawings_ = 0;
  int breaks_in_a_row_ = 0;
  bool in_link_ = false;
  Break break_ = Break::kNone;
};

}  // namespace

Page read_page(std::string_view html, std::string_view url) { return Reader(html, url).read(); }

}  // namespace kernels
