#include "phrase_matcher.hpp"

#include <algorithm>
#include <queue>
#include <stdexcept>

namespace kernels {

PhraseMatcher::PhraseMatcher(const std::vector<Phrase>& phrases) {
  for (const Phrase& phrase : phrases) {
    for (const char c : phrase.text) {
      auto& known = class_of_[static_cast<unsigned char>(c)];
      if (known == 0) known = static_cast<std::uint8_t>(classes_++);
    }
  }
  for (int c = 'a'; c <= 'z'; ++c) class_of_[static_cast<std::size_t>(c - 32)] = class_of_[static_cast<std::size_t>(c)];

  std::vector<std::uint32_t> next(classes_, 0);  // [state * classes + class]: the next state
  std::vector<std::vector<std::uint8_t>> ends(1);
  for (const Phrase& phrase : phrases) {
    std::uint32_t state = 0;
    for (const char c : phrase.text) {
      const std::size_t edge = state * classes_ + class_of_[static_cast<unsigned char>(c)];
      if (next[edge] == 0) {
        next[edge] = static_cast<std::uint32_t>(ends.size());
        next.insert(next.end(), classes_, 0);
        ends.emplace_back();
      }
      state = next[edge];
    }
    ends[state].push_back(phrase.id);
  }

  // Each state takes the missing edges, and the phrases, of the longest suffix that is a state too.
  std::vector<std::uint32_t> suffix(ends.size(), 0);
  std::queue<std::uint32_t> states;
  states.push(0);
  while (!states.empty()) {
    const std::uint32_t state = states.front();
    states.pop();
    for (std::uint32_t c = 0; c < classes_; ++c) {
      std::uint32_t& to = next[state * classes_ + c];
      const std::uint32_t other = state == 0 ? 0 : next[suffix[state] * classes_ + c];
      if (to == 0) {
        to = other;
        continue;
      }
      suffix[to] = other;
      ends[to].insert(ends[to].end(), ends[other].begin(), ends[other].end());
      states.push(to);
    }
  }

  for (const auto& found : ends) {
    first_.push_back(static_cast<std::uint32_t>(ids_.size()));
    ids_.insert(ids_.end(), found.begin(), found.end());
  }
  first_.push_back(static_cast<std::uint32_t>(ids_.size()));
  if (next.size() > kRow) throw std::length_error("too many phrases");
  for (const std::uint32_t state : next) {
    next_.push_back(static_cast<std::uint16_t>(state * classes_ | (ends[state].empty() ? 0U : kEnds)));
  }
}

namespace {

std::vector<PhraseMatcher::Phrase> numbered(const std::vector<std::string_view>& phrases) {
  if (phrases.size() > UINT8_MAX) throw std::invalid_argument("too many phrases");
  std::vector<PhraseMatcher::Phrase> found;
  for (const std::string_view phrase : phrases) {
    const bool upper = std::any_of(phrase.begin(), phrase.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    if (phrase.empty() || upper) throw std::invalid_argument("a phrase is empty or not in lower case");
    found.push_back({phrase, static_cast<std::uint8_t>(found.size())});
  }
  return found;
}

}  // namespace

PhraseCounter::PhraseCounter(const std::vector<std::string_view>& phrases) : matcher_(numbered(phrases)) {
  for (const std::string_view phrase : phrases) sizes_.push_back(phrase.size());
}

std::vector<std::size_t> PhraseCounter::counts(std::string_view text) const {
  std::vector<std::size_t> counts(sizes_.size()), ends(sizes_.size());
  matcher_.each(text, [&](std::uint8_t id, std::size_t end) {
    if (end - sizes_[id] < ends[id]) return;
    ++counts[id];
    ends[id] = end;
  });
  return counts;
}

}  // namespace kernels
