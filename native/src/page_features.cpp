#include "page_features.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "html_tokenizer.hpp"
#include "page_phrases.hpp"

namespace kernels {
namespace {

using Found = std::vector<std::pair<const char*, std::int64_t>>;

// clang-format off
constexpr std::array kTypes = {
    "Product", "Offer", "Review", "NewsArticle", "Article", "BlogPosting", "ItemList", "CollectionPage", "FAQPage", "QAPage",
    "DiscussionForumPosting", "Organization", "BreadcrumbList", "Recipe", "WebSite", "WebPage", "LocalBusiness", "Person",
    "TechArticle", "ListItem", "Event", "JobPosting", "SoftwareApplication", "VideoObject",
};
// clang-format on

// clang-format off
constexpr std::array kTagsCounted = {Tag::kArticle, Tag::kForm, Tag::kImg, Tag::kLi, Tag::kTable, Tag::kPre, Tag::kCode, Tag::kH1,
                                     Tag::kH2, Tag::kH3, Tag::kP, Tag::kA, Tag::kButton, Tag::kScript, Tag::kTd, Tag::kBr,
                                     Tag::kDd, Tag::kTime, Tag::kSection, Tag::kInput, Tag::kIframe, Tag::kDetails};
// clang-format on

// clang-format off
constexpr std::array<std::pair<const char*, std::array<std::string_view, 10>>, 7> kPaths = {{
    {"url.product", {"product", "/p/", "/dp/", "shop", "store", "item"}},
    {"url.forum", {"forum", "thread", "topic", "viewtopic", "/t/", "question", "discussion", "community"}},
    {"url.docs", {"docs.", "docs/", "documentation", "reference", "manual", "guide", "api", "help", "wiki"}},
    {"url.listing", {"categor", "collection", "/tag", "/c/", "browse", "archive", "topics", "search", "list"}},
    {"url.article", {"blog", "news", "article", "story", "post"}},
    {"url.service", {"about", "service", "solution", "pricing", "feature", "contact"}},
    {"url.page", {"page=", "/page/", "?p=", "id="}},
}};
// clang-format on

std::array<std::int64_t, kTypes.size()> count_types(const Page& page) {
  std::array<std::int64_t, kTypes.size()> counts{};
  constexpr std::string_view kKey = "\"@type\"";
  for (const std::string_view data : page.linked_data) {
    for (std::size_t at = data.find(kKey); at != std::string_view::npos; at = data.find(kKey, at + kKey.size())) {
      std::size_t begin = at + kKey.size();
      while (begin < data.size() && (is_space(data[begin]) || data[begin] == ':' || data[begin] == '[')) ++begin;
      if (begin >= data.size() || data[begin] != '"') continue;
      const std::string_view type =
          data.substr(begin + 1, std::min(data.find('"', begin + 1), data.size()) - begin - 1);
      const auto known = std::find(kTypes.begin(), kTypes.end(), type);
      if (known != kTypes.end()) ++counts[static_cast<std::size_t>(known - kTypes.begin())];
    }
  }
  return counts;
}

bool og_type_has(const Page& page, std::string_view type) { return page.og_type.find(type) != std::string::npos; }

void add_types(const Page& page, Found& found) {
  const auto counts = count_types(page);
  for (std::size_t i = 0; i < kTypes.size(); ++i) found.emplace_back(kTypes[i], std::min<std::int64_t>(counts[i], 5));
  found.emplace_back("og:type", og_type_has(page, "article")   ? 1
                                : og_type_has(page, "product") ? 2
                                : og_type_has(page, "website") ? 3
                                : page.og_type.empty()         ? 0
                                                               : 4);
}

void add_url(std::string_view url, Found& found) {
  std::string lower(url.substr(0, 2000));
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c;
  const std::size_t scheme = lower.find("://");
  std::string_view rest = lower;
  if (scheme != std::string::npos) rest.remove_prefix(scheme + 3);
  const std::string_view path = rest.substr(std::min(rest.find('/'), rest.size()));
  const std::size_t query = std::min(path.find('?'), path.size());
  const std::string_view folders = path.substr(0, query);
  std::string_view last = folders;
  while (!last.empty() && last.back() == '/') last.remove_suffix(1);
  last.remove_prefix(std::min(last.rfind('/') + 1, last.size()));
  std::int64_t segments = 0;
  for (std::size_t i = 0; i < folders.size(); ++i)
    segments += folders[i] != '/' && (i == 0 || folders[i - 1] == '/') ? 1 : 0;
  found.emplace_back("url.segments", segments);
  found.emplace_back("url.last", static_cast<std::int64_t>(last.size()));
  found.emplace_back("url.dashes",
                     std::count(last.begin(), last.end(), '-') + std::count(last.begin(), last.end(), '_'));
  found.emplace_back("url.digits",
                     std::count_if(last.begin(), last.end(), [](char c) { return c >= '0' && c <= '9'; }));
  found.emplace_back("url.query", query + 1 < path.size());
  found.emplace_back("url.extension", last.find('.') != std::string_view::npos);
  bool year = false;
  for (std::size_t at = path.find('/'); at != std::string_view::npos; at = path.find('/', at + 1)) {
    const std::string_view part = path.substr(at, 6);
    year |= part.size() == 6 && (part.substr(1, 2) == "20" || part.substr(1, 2) == "19") && part[5] == '/';
  }
  found.emplace_back("url.year", year);
  for (const auto& [name, words] : kPaths) {
    const bool any = std::any_of(words.begin(), words.end(), [&](std::string_view word) {
      return !word.empty() && rest.find(word) != std::string_view::npos;
    });
    found.emplace_back(name, any);
  }
}

}  // namespace

const char* declared_type(const Page& page) {
  // what a page is made for comes before what it also has, such as the list of other products on a product's page
  // clang-format off
  static constexpr std::array<std::pair<const char*, const char*>, 12> kMeanings = {{
      {"DiscussionForumPosting", "forum"}, {"QAPage", "forum"}, {"TechArticle", "documentation"}, {"JobPosting", "job"},
      {"Recipe", "recipe"}, {"Event", "event"}, {"Product", "product"}, {"NewsArticle", "article"}, {"BlogPosting", "article"},
      {"Article", "article"}, {"CollectionPage", "collection"}, {"ItemList", "collection"},
  }};
  // clang-format on
  const auto counts = count_types(page);
  for (const auto& [type, meaning] : kMeanings) {
    const auto known = std::find(kTypes.begin(), kTypes.end(), std::string_view(type));
    if (counts[static_cast<std::size_t>(known - kTypes.begin())] > 0) return meaning;
  }
  return og_type_has(page, "article") ? "article" : og_type_has(page, "product") ? "product" : nullptr;
}

Found page_features_of(const Page& page, std::size_t bytes, std::string_view url) {
  Found found;
  add_types(page, found);
  for (const Tag tag : kTagsCounted)
    found.emplace_back(name_of(tag).data(), page.tag_counts[static_cast<std::size_t>(tag)]);
  for (std::size_t i = 0; i < kPhrases.size(); ++i) found.emplace_back(kPhrases[i], page.phrase_counts[i]);
  add_url(url, found);
  found.emplace_back("bytes", static_cast<std::int64_t>(bytes));
  return found;
}

}  // namespace kernels
