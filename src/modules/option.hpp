// What a module declares of itself, as data: its type, its lane, its options. Read once by a short-lived worker and
// used for validation, `vitald modules` and the reference pages. Plain values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vital {

// The numbers are those of the module ABI (VITAL_TYPE_*), which also says how each is normalised.
enum class OptionType : std::uint8_t {
  string,
  integer,
  number,
  boolean,
  duration,
  size,
  size_or_percent,
  choice,
  list,
  map
};

struct OptionSpec {
  std::string name;  // may be dotted: "tls.mode"
  OptionType type = OptionType::string;
  bool is_required = false;
  bool is_secret = false;               // written NAME_file: PATH
  std::optional<std::string> fallback;  // as a config would write it
  std::vector<std::string> choices;
  std::optional<std::pair<double, double>> range;  // seconds for durations, bytes for sizes
  std::string help;
  std::string example;
};

// async: many probes share one worker's loop. blocking: one probe a worker.
enum class Lane : std::uint8_t { blocking = 0, async = 1 };

struct ModuleInfo {
  std::string type;
  std::string version;
  std::string summary;
  std::string path;  // of the .so
  Lane lane = Lane::blocking;
  bool is_builtin = false;  // found beside the agent's own: shares the built-in async worker
  std::vector<OptionSpec> options;

  const OptionSpec* find(std::string_view option) const {
    for (const OptionSpec& o : options) {
      if (o.name == option) return &o;
    }
    return nullptr;
  }
};

// One check's way of probing: which module, with which normalised values. Immutable, shared by config, agent and
// probe/. Holds secrets: never print the values of options in `secrets`, and never pass one by argv or environment.
struct CheckSpec {
  std::string check;  // its name
  ModuleInfo module;
  std::vector<std::pair<std::string, std::vector<std::string>>> values;
  std::vector<std::string> secrets;  // names of the values that are secret
};

}  // namespace vital
