// A page as blocks of text: what stands between two places where a reader sees a break.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "html_tags.hpp"

namespace kernels {

// What class and id attributes say about the content of an element, by the words in them.
// clang-format off
enum Category : std::uint8_t {
  kCommentCategory, kNavigation, kHeaderCategory, kFooterCategory, kSidebar, kShare, kRelated, kAdvertisement, kMetadata,
  kTags, kArticleCategory, kContent, kMedia, kFormCategory, kBreadcrumb, kPager, kHidden, kCopyright, kTitleCategory,
  kListCategory, kTeaser, kCookie, kPopup, kAuthor, kBodyText, kWidget, kCategories,
  // two that are no features
  kConsent = 30,      // asks for consent to cookies; a section about cookies does not
  kLineNumbers = 31,  // of code
};
// clang-format on

// An element of the page that may hold blocks. Formatting (b, a, code …) has none.
struct Node {
  std::int32_t parent = -1;
  Tag tag = Tag::kUnknown;
  bool hides = false;  // its text is no part of the page
  std::uint16_t depth = 0;
  std::uint32_t categories = 0;                   // of its own class, id, role and style, a bit for each Category
  std::uint32_t all_categories = 0;               // with those of its ancestors
  std::uint32_t first_token = 0, last_token = 0;  // its part of Page::tokens
};

enum class MarkKind : std::uint8_t { kStrong, kEmphasis, kCode, kLink };

// The place where inline formatting begins or ends.
struct Mark {
  std::uint32_t at;  // in Page::text
  MarkKind kind;
  bool opens;
  std::uint32_t href = 0, href_length = 0;  // of a link that opens, in the page's bytes
};

struct Block {
  std::int32_t node = 0;
  std::uint32_t begin = 0, end = 0;  // its part of Page::text
  std::uint32_t indent = 0;          // spaces and tabs before `begin`, of preformatted text
  std::uint32_t chars = 0;           // bytes without the spaces between words
  std::uint32_t link_chars = 0;      // those of them that are links
  std::uint32_t links = 0, breaks = 0, formats = 0, images = 0;
  std::uint32_t outward_links = 0, inward_links = 0;  // to other hosts, and to places in this page
  bool preformatted = false;
};

// A word in the address, class or rel of a link in a block.
struct LinkWord {
  std::uint32_t block;
  std::uint32_t hash;
};

// What the page says about itself in a meta element, or in an element with itemprop="datePublished".
struct Statement {
  std::string_view name, content;  // as written, with their references
};

struct Page {
  std::vector<Node> nodes;    // the root is first; parents come before their children
  std::vector<Block> blocks;  // in the order of the page
  std::vector<Mark> marks;
  std::vector<LinkWord> link_words;
  std::string text;                   // of all blocks, each ended by a newline
  std::vector<std::uint32_t> tokens;  // hashes of the words in class, id, role and itemprop
  std::string title;
  std::string_view base;  // the address in the first base element
  std::vector<Statement> statements;
  std::vector<std::string_view> times;  // the values of datetime attributes
  std::string og_type;
  std::vector<std::string> descriptions;      // of meta elements
  std::vector<std::string_view> linked_data;  // the content of scripts of JSON-LD, in the page's bytes
  std::vector<std::uint32_t> tag_counts;      // by Tag
  std::vector<std::uint32_t> phrase_counts;   // by place in kPhrases
};

// Reads a page of UTF-8, which came from `url`. The views in the result are of `html`.
Page read_page(std::string_view html, std::string_view url);

}  // namespace kernels
