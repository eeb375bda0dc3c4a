#include "urls.hpp"

#include <algorithm>

#include "html_tokenizer.hpp"

namespace kernels {
namespace {

// Returns the scheme with its colon, or "".
std::string_view scheme_of(std::string_view url) {
  const std::size_t colon = url.find_first_of(":/?#");
  if (colon == std::string_view::npos || url[colon] != ':' || colon == 0 || !is_letter(url[0])) return {};
  return url.substr(0, colon + 1);
}

// Returns a path without its "." and ".." segments.
std::string without_dots(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(0, end);
    path.remove_prefix(end);
    const bool up = segment == "/..", stay = segment == "/.";
    if (up) out.resize(out.rfind('/') == std::string::npos ? 0 : out.rfind('/'));
    if ((up || stay) && path.empty()) out += '/';
    if (!up && !stay) out += segment;
  }
  return out;
}

bool opens(std::string_view scheme) {
  return equals_ignoring_case(scheme, "http:") || equals_ignoring_case(scheme, "https:") ||
         equals_ignoring_case(scheme, "mailto:");
}

}  // namespace

std::string resolve(std::string_view base, std::string_view reference) {
  while (!reference.empty() && static_cast<unsigned char>(reference.front()) <= ' ') reference.remove_prefix(1);
  while (!reference.empty() && static_cast<unsigned char>(reference.back()) <= ' ') reference.remove_suffix(1);
  if (const std::string_view scheme = scheme_of(reference); !scheme.empty())
    return opens(scheme) ? std::string(reference) : "";
  const std::string_view scheme = scheme_of(base);
  if (!opens(scheme) || base.substr(scheme.size(), 2) != "//") return "";
  if (reference.substr(0, 2) == "//") return std::string(scheme).append(reference);
  const std::size_t host_end = std::min(base.find_first_of("/?#", scheme.size() + 2), base.size());
  const std::string_view path = base.substr(host_end);
  const std::string_view folders = path.substr(0, path.find_first_of("?#"));
  std::string out(base.substr(0, host_end));
  if (reference.empty() || reference[0] == '#') return out.append(path.substr(0, path.find('#'))).append(reference);
  if (reference[0] == '?') return out.append(folders).append(reference);
  const std::size_t tail = std::min(reference.find_first_of("?#"), reference.size());
  std::string target(reference.substr(0, tail));
  if (target[0] != '/') target.insert(0, folders.empty() ? "/" : folders.substr(0, folders.rfind('/') + 1));
  return out.append(without_dots(target)).append(reference.substr(tail));
}

}  // namespace kernels
