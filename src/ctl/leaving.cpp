// See leaving.hpp.
#include "ctl/leaving.hpp"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.hpp"
#include "core/leaving.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;

std::string text_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? one_line(found->get<std::string>(), 256) : std::string();
}

std::optional<long long> number_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? std::optional(found->get<long long>()) : std::nullopt;
}

std::optional<Duration> milliseconds_at(const Json& json, const char* key) {
  const auto number = number_at(json, key);
  return number ? std::optional<Duration>(std::chrono::milliseconds(*number)) : std::nullopt;
}

Leavers leavers_of(const Json& status, const Json& consumers) {
  Leavers out;
  for (const Json& output : status.value("outputs", Json::array())) {
    if (text_at(output, "type") == "file") continue;  // for scripts: it sends nobody anywhere
    const std::string told = text_at(output, "told");
    out.told.push_back({text_at(output, "name"), text_at(output, "service"),
                        (told == "drain" || told == "maintenance") && output.value("is_confirmed", false),
                        text_at(output, "error"), static_cast<long>(number_at(output, "users").value_or(0))});
  }
  for (const Json& each : status.value("services", Json::array())) {
    if (const auto reaction = milliseconds_at(each, "reaction_ms"))
      out.declared.push_back({text_at(each, "name"), *reaction});
  }
  for (const Json& consumer : consumers.value("consumers", Json::array())) {
    if (consumer.value("is_lost", false)) continue;
    const auto believes = consumer.find("believes");
    const bool says_so = believes != consumer.end() && believes->is_object();
    out.observed.push_back({text_at(consumer, "kind"), text_at(consumer, "address"), text_at(consumer, "path"),
                            milliseconds_at(consumer, "interval_ms"), says_so ? text_at(*believes, "state") : ""});
  }
  return out;
}

}  // namespace

std::vector<std::string> who_is_left(const Json& status, const Json& consumers, const std::string& service,
                                     Duration drained_for) {
  return vital::who_is_left(leavers_of(status, consumers), service, drained_for);
}

}  // namespace vital::ctl
