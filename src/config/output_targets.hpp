// How each type of output is read: its own keys, and what on_stop can mean for it. Private to config/. [control]
#pragma once

#include <map>
#include <set>
#include <string_view>

#include "config/draft.hpp"
#include "outputs/spec.hpp"

namespace vital::config {

struct OutputType {
  std::string_view section;  // in the key table
  OutputTarget (*read)(const Section&, const Plan&, const Context&);
  std::set<std::string_view> on_stop;
  Duration interval{};  // the default
  Duration timeout{};
};

// By the word of `type:`.
const std::map<std::string_view, OutputType>& output_types();

// The service a key names; says so if there is none of that name. Empty if it is not written.
std::string read_service_name(const Section& s, const Plan& plan, std::string_view key);

}  // namespace vital::config
