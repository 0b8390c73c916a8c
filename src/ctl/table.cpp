// Aligning columns; see table.hpp.
#include "ctl/table.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace vital::ctl {
namespace {

bool is_start(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }

// Characters, not bytes. Wide ones are counted as one: names are rarely written in them.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is_start));
}

std::string cut(const std::string& text, std::size_t width) {
  if (width_of(text) <= width) return text;
  if (width <= 3) return std::string(width, '.');
  std::string out;
  std::size_t used = 0;
  for (const char c : text) {
    if (is_start(c) && ++used > width - 3) break;
    out += c;
  }
  return out + "...";
}

}  // namespace

std::string painted(const cmd::Paint& paint, Ink ink, const std::string& text) {
  switch (ink) {
    case Ink::plain:
      return text;
    case Ink::dim:
      return paint.dim(text);
    case Ink::bold:
      return paint.bold(text);
    case Ink::red:
      return paint.red(text);
    case Ink::green:
      return paint.green(text);
    case Ink::yellow:
      return paint.yellow(text);
  }
  return text;
}

std::string Table::text(const cmd::Paint& paint, std::size_t width) const {
  std::vector<std::size_t> widths;
  for (const std::string& h : head_) widths.push_back(width_of(h));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < std::min(row.size(), widths.size()); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i].text));
    }
  }
  std::string out;
  const auto line = [&](const std::vector<Cell>& row) {
    std::size_t used = 0;
    std::string text;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool is_last = i + 1 == row.size();
      std::string shown = row[i].text;
      if (is_last && width > 0) shown = cut(shown, width > used ? width - used : 0);
      text += painted(paint, row[i].ink, shown);
      if (is_last) break;
      text.append(widths[i] - width_of(shown) + 2, ' ');
      used += widths[i] + 2;
    }
    // What an empty last column leaves behind.
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  std::vector<Cell> head;
  for (const std::string& h : head_) head.push_back({h, Ink::dim});
  line(head);
  for (const auto& row : rows_) line(row);
  return out;
}

std::size_t terminal_width() {
  winsize size{};
  if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

}  // namespace vital::ctl
