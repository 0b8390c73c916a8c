// What a document of the agent says under a name, for people: one line each, or nothing where it says something else.
// `Json` is any of nlohmann's. Any thread.
#pragma once

#include <optional>
#include <string>

#include "base/text.hpp"

namespace vital::cmd {

template <class Json>
std::string text_at(const Json& json, const char* key, std::size_t most = 1024) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? one_line(found->template get<std::string>(), most) : std::string();
}

template <class Json>
std::optional<double> number_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? std::optional(found->template get<double>()) : std::nullopt;
}

}  // namespace vital::cmd
