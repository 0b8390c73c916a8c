// One node read as one type: the words for what is wrong are the same for the agent's own keys and for modules'
// options. Each function reports and gives nothing if the node is something else. [control]
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "config/problems.hpp"
#include "config/tree.hpp"
#include "modules/option.hpp"

namespace vital::config {

using Range = std::optional<std::pair<double, double>>;  // seconds for durations, bytes for sizes

struct Reader {
  Problems& problems;
  const Node& node;
  const std::string& path;

  std::optional<std::string> text() const;
  std::optional<Duration> duration(const Range& range) const;
  std::optional<std::int64_t> integer(const Range& range) const;
  std::optional<std::string> number(const Range& range) const;  // decimal text
  std::optional<bool> boolean() const;
  std::optional<std::uint64_t> size(const Range& range) const;
  std::optional<std::string> size_or_percent(const Range& range) const;  // bytes, or "10%"
  std::optional<std::string> choice(const std::vector<std::string>& choices) const;
  std::optional<std::vector<std::string>> texts() const;  // a list, or one scalar
  std::optional<std::vector<std::pair<std::string, std::string>>> pairs() const;

  // The scalar as it may be shown in a text: quoted, cut, and beside it what was written if that was a variable.
  std::string shown() const;
  void complain(const std::string& text) const { problems.add(node.mark, path, text); }

 private:
  bool is_scalar(std::string_view wanted) const;
};

std::string_view kind_name(const Node& node);  // "a list"

// The normalised values of an option, see VITAL_TYPE_*; `spec` is not a secret.
std::optional<std::vector<std::string>> normalised(const Reader& reader, const OptionSpec& spec);

}  // namespace vital::config
