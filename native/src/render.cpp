#include "render.hpp"

#include <algorithm>

namespace kernels {
namespace {

std::size_t at(std::int32_t place) { return static_cast<std::size_t>(place); }

// The elements around a block that decide how it is written. -1: none.
struct Around {
  std::int32_t item = -1, row = -1, cell = -1, table = -1;
};

Around around(const Page& page, std::int32_t place) {
  Around found;
  for (; place >= 0; place = page.nodes[at(place)].parent) {
    const Tag tag = page.nodes[at(place)].tag;
    if (tag == Tag::kLi && found.item < 0 && found.table < 0) found.item = place;
    if (is_cell(tag) && found.cell < 0) found.cell = place;
    if (tag == Tag::kTr && found.row < 0) found.row = place;
    if (tag == Tag::kTable && found.table < 0) found.table = place;
  }
  return found;
}

// What a table holds. Tables of data have rows of short cells; other tables lay out the page.
struct Table {
  std::uint32_t cells = 0, rows = 0, blocks = 0, longest = 0;
  bool nested = false;
  bool is_data() const { return rows >= 2 && cells >= 2 * rows && !nested && longest <= 400 && blocks <= 2 * cells; }
};

std::vector<Table> tables_of(const Page& page) {
  std::vector<Table> tables(page.nodes.size());
  std::vector<std::int32_t> table(page.nodes.size(), -1);
  for (std::size_t j = 1; j < page.nodes.size(); ++j) {
    const Node& node = page.nodes[j];
    const std::int32_t outer = table[at(node.parent)];
    table[j] = node.tag == Tag::kTable ? static_cast<std::int32_t>(j) : outer;
    if (outer < 0) continue;
    if (node.tag == Tag::kTable) tables[at(outer)].nested = true;
    if (node.tag == Tag::kTr) ++tables[at(outer)].rows;
    if (is_cell(node.tag)) ++tables[at(outer)].cells;
  }
  for (const Block& block : page.blocks) {
    if (table[at(block.node)] < 0) continue;
    Table& its = tables[at(table[at(block.node)])];
    ++its.blocks, its.longest = std::max(its.longest, block.chars);
  }
  return tables;
}

}  // namespace

std::string render_text(const Page& page, const std::vector<char>& taken) {
  const std::vector<Table> tables = tables_of(page);
  std::string out;
  Around before;
  for (std::size_t i = 0; i < page.blocks.size(); ++i) {
    if (!taken[i]) continue;
    const Block& block = page.blocks[i];
    const Around here = around(page, block.node);
    const bool in_row = here.table >= 0 && tables[at(here.table)].is_data() && here.row >= 0 && here.row == before.row;
    if (!out.empty()) out += in_row ? (here.cell == before.cell ? " " : " | ") : "\n";
    if (here.item >= 0 && here.item != before.item) out += "- ";
    out.append(page.text, block.begin, block.end - block.begin);
    before = here;
  }
  return out;
}

}  // namespace kernels
