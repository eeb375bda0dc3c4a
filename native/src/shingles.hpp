// Hashes of runs of words, and MinHash signatures (see corpus/text/shingles.py and corpus/dedup/signatures.py).
#pragma once

#include <cstdint>
#include <vector>

namespace kernels {

// Hashes each run of `size` hashes.
std::vector<std::uint64_t> shingles(const std::vector<std::uint64_t>& hashes, std::size_t size);

// The least value of each permutation x → factor · x + summand mod 2^32, over the finalized low halves of the hashes.
// There are as many summands as factors.
std::vector<std::uint32_t> least_values(const std::uint64_t* hashes, std::size_t count,
                                        std::vector<std::uint32_t> factors, std::vector<std::uint32_t> summands);

}  // namespace kernels
