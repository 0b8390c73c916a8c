// What a stranger's JSON says under a name, or nothing where it says something else. Pure. [any]
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace vital::check {

inline std::string text_at(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

inline double number_at(const nlohmann::json& object, const char* name, double fallback = 0) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<double>() : fallback;
}

inline bool flag_at(const nlohmann::json& object, const char* name, bool fallback = false) {
  const auto found = object.find(name);
  return found != object.end() && found->is_boolean() ? found->get<bool>() : fallback;
}

}  // namespace vital::check
