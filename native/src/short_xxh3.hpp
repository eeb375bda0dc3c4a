// XXH3 (64 bits, without a seed) of at most 16 bytes, as the package xxhash computes it.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace kernels {

constexpr std::size_t kMostOfShortXxh3 = 16;

namespace xxh3 {

// Differences of two places of the algorithm's secret.
constexpr std::uint64_t kFlip3 = 0x396CFEB8 ^ 0xBE4BA423;
constexpr std::uint64_t kFlip8 = 0x1CAD21F72C81017C ^ 0xDB979083E96DD4DE;
constexpr std::uint64_t kFlip16Low = 0x1F67B3B7A4A44072 ^ 0x78E5C0CC4EE679CB;
constexpr std::uint64_t kFlip16High = 0x2172FFCC7DD05A82 ^ 0x8E2443F7744608B8;
constexpr std::uint64_t kFlip0 = 0x4C263A81E69035E0 ^ 0xCB00C391BB52283C;
constexpr std::uint64_t kPrime2 = 0xC2B2AE3D27D4EB4F, kPrime3 = 0x165667B19E3779F9, kPrimeMix = 0x9FB21C651E98DF25,
                        kPrimeAvalanche = 0x165667919E3779F9;

inline std::uint64_t read(const char* bytes, std::size_t size) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes, size);  // little-endian, as all machines are that the kernels are built for
  return value;
}

inline std::uint64_t rotated(std::uint64_t value, int bits) { return value << bits | value >> (64 - bits); }

inline std::uint64_t avalanche64(std::uint64_t hash) {
  hash = (hash ^ hash >> 33) * kPrime2;
  hash = (hash ^ hash >> 29) * kPrime3;
  return hash ^ hash >> 32;
}

}  // namespace xxh3

// `text` has at most 16 bytes.
inline std::uint64_t short_xxh3(std::string_view text) {
  const std::size_t size = text.size();
  const char* bytes = text.data();
  if (size > 8) {
    const std::uint64_t low = xxh3::read(bytes, 8) ^ xxh3::kFlip16Low;
    const std::uint64_t high = xxh3::read(bytes + size - 8, 8) ^ xxh3::kFlip16High;
    const auto product = static_cast<unsigned __int128>(low) * high;
    std::uint64_t hash = size + __builtin_bswap64(low) + high +
                         (static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64));
    hash = (hash ^ hash >> 37) * xxh3::kPrimeAvalanche;
    return hash ^ hash >> 32;
  }
  if (size > 3) {
    std::uint64_t hash = (xxh3::read(bytes + size - 4, 4) + (xxh3::read(bytes, 4) << 32)) ^ xxh3::kFlip8;
    hash ^= xxh3::rotated(hash, 49) ^ xxh3::rotated(hash, 24);
    hash *= xxh3::kPrimeMix;
    hash = (hash ^ ((hash >> 35) + size)) * xxh3::kPrimeMix;
    return hash ^ hash >> 28;
  }
  if (size == 0) return xxh3::avalanche64(xxh3::kFlip0);
  const auto byte = [&](std::size_t at) { return static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at])); };
  return xxh3::avalanche64((byte(0) << 16 | byte(size / 2) << 24 | byte(size - 1) | size << 8) ^ xxh3::kFlip3);
}

}  // namespace kernels
