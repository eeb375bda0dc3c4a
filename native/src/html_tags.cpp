#include "html_tags.hpp"

#include <algorithm>
#include <array>

namespace kernels {
namespace {

struct Element {
  std::string_view name;
  Tag tag;
  std::uint16_t traits;
};

// In the order of their names, for binary search.
constexpr std::array kElements = {
    Element{"a", Tag::kA, kFormatting},
    Element{"abbr", Tag::kAbbr, kFormatting},
    Element{"acronym", Tag::kAbbr, kFormatting},
    Element{"address", Tag::kAddress, kBlock | kClosesP},
    Element{"annotation", Tag::kAnnotation, 0},
    Element{"annotation-xml", Tag::kAnnotation, 0},
    Element{"applet", Tag::kObject, kScope},
    Element{"area", Tag::kArea, kVoid},
    Element{"article", Tag::kArticle, kBlock | kClosesP},
    Element{"aside", Tag::kAside, kBlock | kClosesP},
    Element{"audio", Tag::kAudio, 0},
    Element{"b", Tag::kB, kFormatting},
    Element{"base", Tag::kBase, kVoid},
    Element{"big", Tag::kBig, kFormatting},
    Element{"blockquote", Tag::kBlockquote, kBlock | kClosesP},
    Element{"body", Tag::kBody, kBlock},
    Element{"br", Tag::kBr, kVoid},
    Element{"button", Tag::kButton, kBlock | kScope},
    Element{"caption", Tag::kCaption, kBlock | kScope},
    Element{"center", Tag::kCenter, kBlock | kClosesP},
    Element{"cite", Tag::kCite, kFormatting},
    Element{"code", Tag::kCode, kFormatting},
    Element{"col", Tag::kCol, kVoid},
    Element{"dd", Tag::kDd, kBlock | kClosesP},
    Element{"del", Tag::kDel, kFormatting},
    Element{"details", Tag::kDetails, kBlock | kClosesP},
    Element{"dfn", Tag::kDfn, kFormatting},
    Element{"dialog", Tag::kDialog, kBlock | kClosesP},
    Element{"dir", Tag::kUl, kBlock | kClosesP},
    Element{"div", Tag::kDiv, kBlock | kClosesP},
    Element{"dl", Tag::kDl, kBlock | kClosesP},
    Element{"dt", Tag::kDt, kBlock | kClosesP},
    Element{"em", Tag::kEm, kFormatting},
    Element{"embed", Tag::kEmbed, kVoid},
    Element{"fieldset", Tag::kFieldset, kBlock | kClosesP},
    Element{"figcaption", Tag::kFigcaption, kBlock | kClosesP},
    Element{"figure", Tag::kFigure, kBlock | kClosesP},
    Element{"font", Tag::kFont, kFormatting},
    Element{"footer", Tag::kFooter, kBlock | kClosesP},
    Element{"form", Tag::kForm, kBlock | kClosesP},
    Element{"frame", Tag::kFrame, kVoid},
    Element{"frameset", Tag::kFrameset, kBlock},
    Element{"h1", Tag::kH1, kBlock | kClosesP | kHeading},
    Element{"h2", Tag::kH2, kBlock | kClosesP | kHeading},
    Element{"h3", Tag::kH3, kBlock | kClosesP | kHeading},
    Element{"h4", Tag::kH4, kBlock | kClosesP | kHeading},
    Element{"h5", Tag::kH5, kBlock | kClosesP | kHeading},
    Element{"h6", Tag::kH6, kBlock | kClosesP | kHeading},
    Element{"head", Tag::kHead, kBlock},
    Element{"header", Tag::kHeader, kBlock | kClosesP},
    Element{"hgroup", Tag::kHgroup, kBlock | kClosesP},
    Element{"hr", Tag::kHr, kBlock | kVoid | kClosesP},
    Element{"html", Tag::kHtml, kBlock},
    Element{"i", Tag::kI, kFormatting},
    Element{"iframe", Tag::kIframe, kBlock | kRaw},
    Element{"image", Tag::kImg, kVoid},
    Element{"img", Tag::kImg, kVoid},
    Element{"input", Tag::kInput, kVoid},
    Element{"ins", Tag::kIns, kFormatting},
    Element{"kbd", Tag::kKbd, kFormatting},
    Element{"label", Tag::kLabel, 0},
    Element{"legend", Tag::kLegend, kBlock},
    Element{"li", Tag::kLi, kBlock | kClosesP},
    Element{"link", Tag::kLink, kVoid},
    Element{"listing", Tag::kPre, kBlock | kClosesP},
    Element{"main", Tag::kMain, kBlock | kClosesP},
    Element{"mark", Tag::kMark, kFormatting},
    Element{"marquee", Tag::kObject, kScope},
    Element{"math", Tag::kMath, 0},
    Element{"menu", Tag::kMenu, kBlock | kClosesP},
    Element{"meta", Tag::kMeta, kVoid},
    Element{"nav", Tag::kNav, kBlock | kClosesP},
    Element{"nobr", Tag::kNobr, kFormatting},
    Element{"noembed", Tag::kNoembed, kRaw},
    Element{"noframes", Tag::kNoframes, kRaw},
    Element{"noscript", Tag::kNoscript, kBlock},
    Element{"object", Tag::kObject, kScope},
    Element{"ol", Tag::kOl, kBlock | kClosesP},
    Element{"optgroup", Tag::kOptgroup, kBlock},
    Element{"option", Tag::kOption, kBlock},
    Element{"p", Tag::kP, kBlock | kClosesP},
    Element{"param", Tag::kParam, kVoid},
    Element{"plaintext", Tag::kPlaintext, kBlock | kClosesP},
    Element{"pre", Tag::kPre, kBlock | kClosesP},
    Element{"q", Tag::kQ, kFormatting},
    Element{"s", Tag::kS, kFormatting},
    Element{"samp", Tag::kSamp, kFormatting},
    Element{"script", Tag::kScript, kRaw},
    Element{"search", Tag::kSection, kBlock | kClosesP},
    Element{"section", Tag::kSection, kBlock | kClosesP},
    Element{"select", Tag::kSelect, kBlock | kScope},
    Element{"small", Tag::kSmall, kFormatting},
    Element{"source", Tag::kSource, kVoid},
    Element{"span", Tag::kSpan, 0},
    Element{"strike", Tag::kStrike, kFormatting},
    Element{"strong", Tag::kStrong, kFormatting},
    Element{"style", Tag::kStyle, kRaw},
    Element{"sub", Tag::kSub, kFormatting},
    Element{"summary", Tag::kSummary, kBlock | kClosesP},
    Element{"sup", Tag::kSup, kFormatting},
    Element{"svg", Tag::kSvg, kHiddenContent},
    Element{"table", Tag::kTable, kBlock | kScope},
    Element{"tbody", Tag::kTbody, kBlock},
    Element{"td", Tag::kTd, kBlock | kScope},
    Element{"template", Tag::kTemplate, kHiddenContent | kBlock | kScope},
    Element{"textarea", Tag::kTextarea, kBlock | kEscapable},
    Element{"tfoot", Tag::kTfoot, kBlock},
    Element{"th", Tag::kTh, kBlock | kScope},
    Element{"thead", Tag::kThead, kBlock},
    Element{"time", Tag::kTime, 0},
    Element{"title", Tag::kTitle, kEscapable},
    Element{"tr", Tag::kTr, kBlock},
    Element{"track", Tag::kTrack, kVoid},
    Element{"tt", Tag::kTt, kFormatting},
    Element{"u", Tag::kU, kFormatting},
    Element{"ul", Tag::kUl, kBlock | kClosesP},
    Element{"var", Tag::kVar, kFormatting},
    Element{"video", Tag::kVideo, 0},
    Element{"wbr", Tag::kWbr, kVoid},
    Element{"xmp", Tag::kXmp, kBlock | kClosesP | kRaw},
};

constexpr std::size_t kTags = static_cast<std::size_t>(Tag::kCount);

// For each tag, its element. A tag with several names, such as dir and ul, has the last.
constexpr auto by_tag() {
  std::array<std::uint8_t, kTags> places{};
  for (std::size_t i = 0; i < kElements.size(); ++i) {
    places[static_cast<std::size_t>(kElements[i].tag)] = static_cast<std::uint8_t>(i);
  }
  return places;
}

constexpr auto kByTag = by_tag();

// The first element by the first letter of its name, so that a search looks at few names.
constexpr auto by_letter() {
  std::array<std::uint8_t, 27> starts{};
  std::size_t at = 0;
  for (int letter = 0; letter <= 26; ++letter) {
    while (at < kElements.size() && kElements[at].name[0] < 'a' + letter) ++at;
    starts[static_cast<std::size_t>(letter)] = static_cast<std::uint8_t>(at);
  }
  return starts;
}

constexpr auto kByLetter = by_letter();

}  // namespace

Tag tag_of(std::string_view name) {
  if (name.empty() || name[0] < 'a' || name[0] > 'z') return Tag::kUnknown;
  const auto letter = static_cast<std::size_t>(name[0] - 'a');
  const auto first = kElements.begin() + kByLetter[letter], last = kElements.begin() + kByLetter[letter + 1];
  const auto found = std::find_if(first, last, [&](const Element& element) { return element.name == name; });
  return found == last ? Tag::kUnknown : found->tag;
}

std::uint16_t traits_of(Tag tag) {
  return tag == Tag::kUnknown ? 0 : kElements[kByTag[static_cast<std::size_t>(tag)]].traits;
}

std::string_view name_of(Tag tag) {
  return tag == Tag::kUnknown ? "?" : kElements[kByTag[static_cast<std::size_t>(tag)]].name;
}

}  // namespace kernels
