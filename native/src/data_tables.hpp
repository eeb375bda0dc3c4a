// The tables of a page: those that hold data, in rows of short cells. Other tables lay out the page.
#pragma once

#include <cstdint>
#include <vector>

#include "page.hpp"

namespace kernels {

// The place of a block in a table of data. -1: it is in none.
struct Cell {
  std::int32_t table = -1, row = -1, cell = -1;
};

class DataTables {
 public:
  explicit DataTables(const Page& page);

  Cell cell_of(std::int32_t node) const;

 private:
  struct Table {
    std::uint32_t cells = 0, rows = 0, blocks = 0, longest = 0;
    bool nested = false;
    bool holds_data() const {
      return rows >= 2 && 2 * cells >= 3 * rows && !nested && longest <= 400 && blocks <= 2 * cells;
    }
  };

  const Page& page_;
  std::vector<Table> tables_;        // by node; empty for nodes that are no table
  std::vector<std::int32_t> table_;  // the innermost table around each node, or the node itself
};

}  // namespace kernels
