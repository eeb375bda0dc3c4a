#include "fixed_math.hpp"

#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>

namespace kernels {
namespace {

constexpr double kRounding = 0x1.8p52;  // after this is added, the low bits are the nearest integer

std::uint64_t bits_of(double value) {
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

double from_bits(std::uint64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// 2^(i / 32), less i << 47, so that the exponent is added to the bits
constexpr std::uint64_t kPowers[32] = {0x3ff0000000000000, 0x3fefd9b0d3158574, 0x3fefb5586cf9890f, 0x3fef9301d0125b51,
                                       0x3fef72b83c7d517b, 0x3fef54873168b9aa, 0x3fef387a6e756238, 0x3fef1e9df51fdee1,
                                       0x3fef06fe0a31b715, 0x3feef1a7373aa9cb, 0x3feedea64c123422, 0x3feece086061892d,
                                       0x3feebfdad5362a27, 0x3feeb42b569d4f82, 0x3feeab07dd485429, 0x3feea47eb03a5585,
                                       0x3feea09e667f3bcd, 0x3fee9f75e8ec5f74, 0x3feea11473eb0187, 0x3feea589994cce13,
                                       0x3feeace5422aa0db, 0x3feeb737b0cdc5e5, 0x3feec49182a3f090, 0x3feed503b23e255d,
                                       0x3feee89f995ad3ad, 0x3feeff76f2fb5e47, 0x3fef199bdd85529c, 0x3fef3720dcef9069,
                                       0x3fef5818dcfba487, 0x3fef7c97337b9b5f, 0x3fefa4afa2a490da, 0x3fefd0765b6e4540};

// from 1 / 13! to 1 / 0!
constexpr double kInverseFactorials[] = {
    1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
    1.0 / 720,        1.0 / 120,       1.0 / 24,       1.0 / 6,       1.0 / 2,      1.0,         1.0};

}  // namespace

// Source: expf.c of ARM's optimized routines (MIT), which glibc has. x = (k + r) ln(2) / 32, and |r| <= .5.
float exp_float(float x) {
  if (!(x <= 0x1.62e42ep6f)) return x > 0 ? std::numeric_limits<float>::infinity() : x;
  if (x < -0x1.9fe368p6f) return 0;
  const double scaled = 0x1.71547652b82fep5 * static_cast<double>(x);
  const double shifted = scaled + kRounding;
  const std::uint64_t k = bits_of(shifted);
  const double r = scaled - (shifted - kRounding);
  const double scale = from_bits(kPowers[k % 32] + (k << 47));
  const double high = 0x1.c6af84b912394p-20 * r + 0x1.ebfce50fac4f3p-13;
  const double low = 0x1.62e42ff0c52d6p-6 * r + 1;
  return static_cast<float>((high * (r * r) + low) * scale);
}

// x = k ln(2) + r, and the series of e^r.
double exp_double(double x) {
  if (!(x < 709)) return x > 0 ? std::numeric_limits<double>::infinity() : x;
  if (x < -708) return 0;
  const double shifted = x * 0x1.71547652b82fep0 + kRounding;
  const double k = shifted - kRounding;
  const double r = x - k * 0x1.62e42feep-1 - k * 0x1.a39ef35793c76p-33;
  double sum = kInverseFactorials[0];
  for (std::size_t n = 1; n < std::size(kInverseFactorials); ++n) sum = sum * r + kInverseFactorials[n];
  return sum * from_bits((bits_of(shifted) + 1023) << 52);
}

// x = m 2^k, and log(m) = 2 artanh(s), with s = (m - 1) / (m + 1) and |s| < .172.
double log_double(double x) {
  std::uint64_t bits = bits_of(x) - 0x3fe6a09e00000000;  // m is between the roots of 1/2 and 2
  const auto k = static_cast<double>(static_cast<std::int64_t>(bits) >> 52);
  const double m = from_bits((bits & 0x000fffffffffffff) + 0x3fe6a09e00000000);
  const double s = (m - 1) / (m + 1), square = s * s;
  double sum = 0;
  for (int n = 21; n > 1; n -= 2) sum = (sum + 1.0 / n) * square;
  return k * 0x1.62e42fefa39efp-1 + 2 * (s + s * sum);
}

}  // namespace kernels
