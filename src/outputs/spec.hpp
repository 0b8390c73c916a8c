// OutputSpec: one entry of `outputs:` as the config understood it: who is told, about what, how often it is looked
// after, and what of it stands when the agent leaves. Immutable values; any thread. Holds secrets: never print those.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.hpp"

namespace vital {

// What a consumer can be told of a service or the node. The order is that of the tables below.
enum class Told : std::uint8_t { pass, warn, fail, drain, maintenance };
constexpr std::array<std::string_view, 5> told_names{"pass", "warn", "fail", "drain", "maintenance"};
constexpr std::string_view name(Told t) { return told_names.at(static_cast<std::size_t>(t)); }

// One text for each thing that can be told.
using PerTold = std::array<std::string, told_names.size()>;

// What is left behind when the agent stops: what was told last, a pass, a fail, or nothing (a file, a key or an
// attribute is removed).
enum class OnStop : std::uint8_t { leave, pass, fail, withdraw };

// A file with the last snapshot, for scripts.
struct FileOutput {
  std::string path;
  bool operator==(const FileOutput&) const = default;
};

// A keepalived track_file: one number and a newline.
struct KeepalivedOutput {
  std::string path;
  PerTold values;
  bool operator==(const KeepalivedOutput&) const = default;
};

using OutputTarget = std::variant<FileOutput, KeepalivedOutput>;

struct OutputSpec {
  std::string name;
  std::string service;  // empty = the node
  Duration interval = std::chrono::seconds(5);
  Duration timeout = std::chrono::seconds(2);  // of one look, the writing included
  OnStop on_stop = OnStop::leave;
  OutputTarget target;
  bool operator==(const OutputSpec&) const = default;
};

// "keepalived", as `type:` says it.
std::string_view type_of(const OutputSpec& spec);

}  // namespace vital
