// The elements of HTML that matter for text, and how each affects blocks and implied end tags.
#pragma once

#include <cstdint>
#include <string_view>

namespace kernels {

// clang-format off
enum class Tag : std::uint8_t {
  kUnknown, kA, kAbbr, kAddress, kAnnotation, kArea, kArticle, kAside, kAudio, kB, kBase, kBig, kBlockquote, kBody, kBr,
  kButton, kCaption, kCenter, kCite, kCode, kCol, kDd, kDel, kDetails, kDfn, kDialog, kDiv, kDl, kDt, kEm, kEmbed,
  kFieldset, kFigcaption, kFigure, kFont, kFooter, kForm, kFrame, kFrameset, kH1, kH2, kH3, kH4, kH5, kH6, kHead,
  kHeader, kHgroup, kHr, kHtml, kI, kIframe, kImg, kInput, kIns, kKbd, kLabel, kLegend, kLi, kLink, kMain, kMark, kMath,
  kMenu, kMeta, kNav, kNobr, kNoembed, kNoframes, kNoscript, kObject, kOl, kOptgroup, kOption, kP, kParam, kPlaintext,
  kPre, kQ, kS, kSamp, kScript, kSection, kSelect, kSmall, kSource, kSpan, kStrike, kStrong, kStyle, kSub, kSummary, kSup,
  kSvg, kTable, kTbody, kTd, kTemplate, kTextarea, kTfoot, kTh, kThead, kTime, kTitle, kTr, kTrack, kTt, kU, kUl, kVar,
  kVideo, kWbr, kXmp, kCount,
};
// clang-format on

// What an element does. The flags of a tag are combined with |.
enum Trait : std::uint16_t {
  kBlock = 1,       // its text is apart from the text around it
  kVoid = 2,        // it has no content and no end tag
  kFormatting = 4,  // it marks words within a text and makes no node
  kRaw = 8,         // its content is text up to its end tag
  kEscapable = 16,  // like kRaw, but with character references
  kClosesP = 32,    // its start tag ends an open paragraph
  kHeading = 64,
  kScope = 128,          // implied end tags stop at it
  kHiddenContent = 256,  // no text of the page is in it
};

// Returns the tag of a name in lower case.
Tag tag_of(std::string_view name);

std::uint16_t traits_of(Tag tag);

std::string_view name_of(Tag tag);

inline bool has(Tag tag, std::uint16_t traits) { return (traits_of(tag) & traits) != 0; }

inline bool is_list(Tag tag) { return tag == Tag::kUl || tag == Tag::kOl || tag == Tag::kMenu; }

inline bool is_cell(Tag tag) { return tag == Tag::kTd || tag == Tag::kTh; }

inline bool is_row_group(Tag tag) { return tag == Tag::kTbody || tag == Tag::kThead || tag == Tag::kTfoot; }

}  // namespace kernels
