// Every key the agent itself understands: name, type, range, default, why. One table, from which configs are validated
// and the reference page is printed; what a key means for the plan is in the file that reads its section. Constant.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vital::config {

enum class Kind : std::uint8_t {
  text,
  texts,  // a list, or one scalar
  duration,
  integer,
  size,  // 64KiB
  number,
  boolean,
  choice,
  labels,   // a map of words
  section,  // a map whose keys are another section here
  special   // read by hand
};

struct Key {
  std::string_view section;  // "" = top level, "listen.health", "check", "service", ...
  std::string_view name;
  Kind kind = Kind::text;
  std::string_view form;      // choices as "a | b"; for others the type in words, if the kind does not say it all
  std::string_view fallback;  // in words
  std::string_view help;
  double min = 0;  // seconds for durations
  double max = 0;  // 0 and 0 = no range
};

std::span<const Key> all_keys();
// "defaults" is "check" without the keys that only make sense for one check; "output.TYPE" holds what every output has.
std::vector<const Key*> keys_of(std::string_view section);
bool is_of_one_check(std::string_view key);
std::vector<std::string> choices_of(const Key& key);

// Markdown tables, one a section.
std::string reference();

}  // namespace vital::config
