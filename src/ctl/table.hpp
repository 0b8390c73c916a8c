// Table: rows of cells as aligned columns. Colour is put on after the widths are known, and the last column is cut at
// the terminal's edge. Pure but for the width.
//
//   Table table({"CHECK", "STATE"});
//   table.add({{"db"}, {"fail", Ink::red}});
//   fmt::print("{}", table.text(paint, terminal_width()));
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cmd/cmd.hpp"

namespace vital::ctl {

enum class Ink : std::uint8_t { plain, dim, bold, red, green, yellow };

struct Cell {
  std::string text;
  Ink ink = Ink::plain;
};

class Table {
 public:
  explicit Table(std::vector<std::string> head) : head_(std::move(head)) {}
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  bool is_empty() const { return rows_.empty(); }
  // A width of 0 cuts nothing.
  std::string text(const cmd::Paint& paint, std::size_t width) const;

 private:
  std::vector<std::string> head_;
  std::vector<std::vector<Cell>> rows_;
};

std::string painted(const cmd::Paint& paint, Ink ink, const std::string& text);

// Columns of the terminal on standard output, 0 if it is none.
std::size_t terminal_width();

}  // namespace vital::ctl
