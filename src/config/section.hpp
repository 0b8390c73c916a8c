// Section: a strict view of one map. It complains about everything in it that the key table does not know and about
// keys without a value; its accessors read by the table's type and range.
//
//   Section log(problems, node, "log", "log");
//   if (const auto format = log.choice("format")) ...
//
// [control]
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "config/keys.hpp"
#include "config/problems.hpp"
#include "config/tree.hpp"
#include "config/values.hpp"

namespace vital::config {

class Section {
 public:
  enum class Unknown : std::uint8_t { refused, collected };

  // An empty section, in which nothing is written.
  Section(Problems& problems, std::string path) : problems_(problems), path_(std::move(path)) {}
  Section(Problems& problems, const Node& node, std::string path, std::string_view section,
          Unknown unknown = Unknown::refused);

  bool is_map() const { return node_ != nullptr; }
  const std::string& path() const { return path_; }
  std::string path_of(std::string_view key) const;
  Mark mark() const { return node_ != nullptr ? node_->mark : Mark{}; }
  Problems& problems() const { return problems_; }

  // Null if it is not written, or written without a usable value.
  const Node* get(std::string_view key) const;
  const Entry* entry(std::string_view key) const;  // null if the table does not know the key, too
  bool has(std::string_view key) const { return entry(key) != nullptr; }
  // What the table does not know, if it is collected.
  const std::vector<const Entry*>& rest() const { return rest_; }

  std::optional<std::string> text(std::string_view key) const;
  std::optional<std::vector<std::string>> texts(std::string_view key) const;
  std::optional<Duration> duration(std::string_view key) const;
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<std::uint64_t> size(std::string_view key) const;  // bytes
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string> choice(std::string_view key) const;
  std::optional<std::vector<std::pair<std::string, std::string>>> labels(std::string_view key) const;
  Section section(std::string_view key, std::string_view name) const;

  void complain(std::string_view key, std::string text) const;

 private:
  const Key& row(std::string_view key, Kind kind) const;
  Range range(const Key& key) const;

  Problems& problems_;
  std::string path_;
  std::string_view name_;
  const Node* node_ = nullptr;
  std::vector<const Key*> keys_;
  std::vector<const Entry*> rest_;
};

}  // namespace vital::config
