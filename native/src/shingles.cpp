#include "shingles.hpp"

#include <algorithm>
#include <array>

// With wide registers, the loops over the permutations take a quarter of the time. Integers are the same on all of
// them.
#if defined(__x86_64__) && defined(__gnu_linux__)
#define FOR_EACH_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_WIDTH
#endif

namespace kernels {
namespace {

constexpr std::size_t kLanes = 16;

// The finalizer of MurmurHash3. datasketch spreads tokens with it once before it permutes them.
std::uint32_t fmix32(std::uint32_t token) {
  token = (token ^ token >> 16) * 0x85EBCA6B;
  token = (token ^ token >> 13) * 0xC2B2AE35;
  return token ^ token >> 16;
}

FOR_EACH_WIDTH void lower(const std::uint32_t* tokens, std::size_t count, const std::uint32_t* factors,
                          const std::uint32_t* summands, std::uint32_t* least) {
  std::array<std::uint32_t, kLanes> lowest;
  lowest.fill(0xFFFFFFFF);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::uint32_t value = tokens[i] * factors[lane] + summands[lane];
      lowest[lane] = value < lowest[lane] ? value : lowest[lane];
    }
  }
  for (std::size_t lane = 0; lane < kLanes; ++lane) least[lane] = lowest[lane];
}

}  // namespace

std::vector<std::uint64_t> shingles(const std::vector<std::uint64_t>& hashes, std::size_t size) {
  std::vector<std::uint64_t> found;
  if (size == 0 || hashes.size() < size) return found;
  found.reserve(hashes.size() - size + 1);
  for (std::size_t i = 0; i + size <= hashes.size(); ++i) {
    std::uint64_t hash = hashes[i];
    for (std::size_t j = 1; j < size; ++j) hash = hash * 0x9E3779B97F4A7C15 + hashes[i + j];
    hash = (hash ^ hash >> 33) * 0xFF51AFD7ED558CCD;
    hash = (hash ^ hash >> 33) * 0xC4CEB9FE1A85EC53;
    found.push_back(hash ^ hash >> 33);
  }
  return found;
}

std::vector<std::uint32_t> least_values(const std::uint64_t* hashes, std::size_t count,
                                        std::vector<std::uint32_t> factors, std::vector<std::uint32_t> summands) {
  const std::size_t values = factors.size();
  const std::size_t lanes = (values + kLanes - 1) / kLanes * kLanes;
  factors.resize(lanes);
  summands.resize(lanes);
  std::vector<std::uint32_t> tokens(count), least(lanes);
  for (std::size_t i = 0; i < count; ++i) tokens[i] = fmix32(static_cast<std::uint32_t>(hashes[i]));
  for (std::size_t lane = 0; lane < lanes; lane += kLanes)
    lower(tokens.data(), count, factors.data() + lane, summands.data() + lane, least.data() + lane);
  least.resize(values);
  return least;
}

}  // namespace kernels
