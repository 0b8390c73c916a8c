// See problems.hpp.
#include "config/problems.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <tuple>
#include <utility>

#include "base/text.hpp"

namespace vital {

std::string Problem::format() const {
  std::string out = file;
  if (line > 0) out += fmt::format(":{}:{}", line, column);
  out += ": ";
  if (!path.empty()) out += path + ": ";
  return one_line(out + text, 2048);
}

}  // namespace vital

namespace vital::config {
namespace {

constexpr std::size_t most_problems = 1000;

}  // namespace

std::uint32_t Problems::add_file(std::string name) {
  files_.push_back(std::move(name));
  return static_cast<std::uint32_t>(files_.size() - 1);
}

std::string Problems::directory_of(Mark at) const {
  const auto parent = std::filesystem::path(files_.at(at.file)).parent_path();
  return parent.empty() ? "." : parent.string();
}

void Problems::keep(std::vector<Item>& list, Mark at, std::string path, std::string text) {
  for (const Item& i : list) {
    if (i.at.file == at.file && i.at.line == at.line && i.at.column == at.column && i.path == path && i.text == text)
      return;
  }
  if (list.size() >= most_problems) {
    ++dropped_;
    return;
  }
  list.push_back({at, std::move(path), std::move(text)});
}

void Problems::add(Mark at, std::string path, std::string text) {
  keep(problems_, at, std::move(path), std::move(text));
}

void Problems::warn(Mark at, std::string path, std::string text) {
  keep(warnings_, at, std::move(path), std::move(text));
}

std::vector<Problem> Problems::listed(std::vector<Item> list) const {
  std::stable_sort(list.begin(), list.end(), [](const Item& a, const Item& b) {
    return std::tuple(a.at.file, a.at.line, a.at.column) < std::tuple(b.at.file, b.at.line, b.at.column);
  });
  std::vector<Problem> out;
  for (Item& i : list) {
    out.push_back({i.at.file < files_.size() ? files_[i.at.file] : std::string(), i.at.line, i.at.column,
                   std::move(i.path), std::move(i.text)});
  }
  return out;
}

std::vector<Problem> Problems::problems() const {
  auto out = listed(problems_);
  if (dropped_ > 0) {
    Problem more;
    more.file = files_.empty() ? std::string() : files_.front();
    more.text = fmt::format("and {} more; correct these first", dropped_);
    out.push_back(std::move(more));
  }
  return out;
}

std::vector<Problem> Problems::warnings() const { return listed(warnings_); }

std::string Problems::place(Mark at) const {
  if (at.line == 0) return files_.at(at.file);
  return fmt::format("{}:{}:{}", files_.at(at.file), at.line, at.column);
}

std::string some_of(const std::vector<std::string>& names, std::size_t most) {
  if (names.size() <= most) return join(names, ", ");
  return fmt::format("{} and {} more", join({names.begin(), names.begin() + static_cast<std::ptrdiff_t>(most)}, ", "),
                     names.size() - most);
}

std::string suggestion(std::string_view word, const std::vector<std::string>& known) {
  if (known.empty()) return {};
  // Any letter is one change away from any other: of a single one nothing can be guessed.
  const auto near = word.size() > 1 ? nearest(word, known) : std::nullopt;
  if (near) return fmt::format(": did you mean '{}'?", *near);
  return fmt::format("; known here: {}", some_of(known, 40));
}

}  // namespace vital::config
