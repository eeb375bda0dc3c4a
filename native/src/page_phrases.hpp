// Phrases of a page's text, or of its attributes, that tell what kind of page it is.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "phrase_matcher.hpp"

namespace kernels {

// clang-format off
constexpr std::array kPhrases = {
    "$", "€", "£", "add to cart", "add to bag", "add to basket", "reply", "replies", "posted", "quote", "in stock",
    "free shipping", "sku", "comment", "read more", "learn more", "get started", "contact us", "price", "review", "rating", "faq",
    "breadcrumb", "discourse", "phpbb", "vbulletin", "xenforo", "invision", "docusaurus", "sphinx", "mkdocs", "readthedocs",
    "doxygen", "javadoc", "shopify", "woocommerce", "magento", "wp-content", "rel=\"next\"", "itemprop=", "schema.org/product",
    "pagination", "author", "answer", "thread", "topic", "gallery", "sidebar", "related", "cart",
};
// clang-format on

// Finds places in kPhrases.
inline const PhraseMatcher& page_phrases() {
  static const PhraseMatcher matcher = [] {
    std::vector<PhraseMatcher::Phrase> phrases;
    for (std::size_t i = 0; i < kPhrases.size(); ++i) phrases.push_back({kPhrases[i], static_cast<std::uint8_t>(i)});
    return PhraseMatcher(phrases);
  }();
  return matcher;
}

}  // namespace kernels
