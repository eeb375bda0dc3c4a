// What of a page's bytes needs care before libxml2 parses them.
#pragma once

#include <string_view>

namespace kernels {

struct ParserHazards {
  bool controls = false;       // control characters, other than tab and line ends
  bool noncharacters = false;  // U+FFFE or U+FFFF
  bool references = false;     // numeric references to such characters, which lxml reads but does not write
};

ParserHazards parser_hazards(std::string_view html);

}  // namespace kernels
