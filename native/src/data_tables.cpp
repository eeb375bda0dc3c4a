#include "data_tables.hpp"

#include <algorithm>

namespace kernels {
namespace {

std::size_t at(std::int32_t place) { return static_cast<std::size_t>(place); }

}  // namespace

DataTables::DataTables(const Page& page) : page_(page) {
  if (page.tag_counts[static_cast<std::size_t>(Tag::kTable)] == 0) return;
  tables_.resize(page.nodes.size());
  table_.assign(page.nodes.size(), -1);
  for (std::size_t j = 1; j < page.nodes.size(); ++j) {
    const Node& node = page.nodes[j];
    const std::int32_t outer = table_[at(node.parent)];
    table_[j] = node.tag == Tag::kTable ? static_cast<std::int32_t>(j) : outer;
    if (outer < 0) continue;
    if (node.tag == Tag::kTable) tables_[at(outer)].nested = true;
    if (node.tag == Tag::kTr) ++tables_[at(outer)].rows;
    if (is_cell(node.tag)) ++tables_[at(outer)].cells;
  }
  for (const Block& block : page.blocks) {
    if (table_[at(block.node)] < 0) continue;
    Table& its = tables_[at(table_[at(block.node)])];
    ++its.blocks, its.longest = std::max(its.longest, block.chars);
  }
}

Cell DataTables::cell_of(std::int32_t node) const {
  Cell found;
  if (table_.empty() || table_[at(node)] < 0 || !tables_[at(table_[at(node)])].holds_data()) return found;
  found.table = table_[at(node)];
  for (std::int32_t place = node; place != found.table; place = page_.nodes[at(place)].parent) {
    const Tag tag = page_.nodes[at(place)].tag;
    if (is_cell(tag) && found.cell < 0) found.cell = place;
    if (tag == Tag::kTr) found.row = place;
  }
  return found;
}

}  // namespace kernels
