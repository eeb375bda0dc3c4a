// Quick tests for personal data: what every finding of a kind must contain (see filters/pii/findings.py).
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace kernels {

// Digits, each near the next one: a phone number never reaches from one cluster to another.
struct DigitCluster {
  std::size_t begin, end;  // in characters
  std::size_t digits;
};

struct PersonalHints {
  std::vector<DigitCluster> clusters;
  bool ip_address = false;   // [0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|:[0-9A-Fa-f]{0,4}:
  bool credit_card = false;  // \d{4}[- ]?\d{3,4}[- ]?\d{3,4}[- ]?\d{3}
  bool iban = false;         // [A-Z]{2}[0-9]{2}[ -]?[A-Z0-9]{4}
  bool us_ssn = false;       // [0-9]{3}[- .]?[0-9]{2}[- .]?[0-9]{4}
  bool crypto = false;       // (?:[bB][cC]1|[13])\w{25}
};

PersonalHints hints_of(std::string_view text);

}  // namespace kernels
