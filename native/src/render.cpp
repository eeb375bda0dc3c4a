#include "render.hpp"

#include "data_tables.hpp"

namespace kernels {
namespace {

// The item of a list that a block is in, unless a table is between. -1: none.
std::int32_t item_of(const Page& page, std::int32_t place) {
  for (; place >= 0; place = page.nodes[static_cast<std::size_t>(place)].parent) {
    const Tag tag = page.nodes[static_cast<std::size_t>(place)].tag;
    if (tag == Tag::kLi) return place;
    if (tag == Tag::kTable) break;
  }
  return -1;
}

}  // namespace

std::string render_text(const Page& page, const std::vector<char>& taken) {
  const DataTables tables(page);
  std::string out;
  Cell cell_before;
  std::int32_t item_before = -1;
  for (std::size_t i = 0; i < page.blocks.size(); ++i) {
    if (!taken[i]) continue;
    const Block& block = page.blocks[i];
    const Cell cell = tables.cell_of(block.node);
    const std::int32_t item = item_of(page, block.node);
    const bool in_row = cell.row >= 0 && cell.row == cell_before.row;
    if (!out.empty()) out += in_row ? (cell.cell == cell_before.cell ? " " : " | ") : "\n";
    if (item >= 0 && item != item_before) out += "- ";
    const std::uint32_t begin = block.begin - (in_row ? 0 : block.indent);
    out.append(page.text, begin, block.end - begin);
    cell_before = cell, item_before = item;
  }
  return out;
}

}  // namespace kernels
