// See leaving.hpp.
#include "ctl/leaving.hpp"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.hpp"
#include "cmd/json_text.hpp"
#include "core/leaving.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;

std::optional<Duration> milliseconds_at(const Json& json, const char* key) {
  const auto number = cmd::number_at(json, key);
  return number ? std::optional<Duration>(std::chrono::milliseconds(static_cast<long long>(*number))) : std::nullopt;
}

Leavers leavers_of(const Json& status, const Json& consumers) {
  Leavers out;
  for (const Json& output : status.value("outputs", Json::array())) {
    if (cmd::text_at(output, "type") == "file") continue;  // for scripts: it sends nobody anywhere
    const std::string told = cmd::text_at(output, "told");
    out.told.push_back({cmd::text_at(output, "name"), cmd::text_at(output, "service"),
                        (told == "drain" || told == "maintenance") && output.value("is_confirmed", false),
                        cmd::text_at(output, "error"), static_cast<long>(cmd::number_at(output, "users").value_or(0))});
  }
  for (const Json& each : status.value("services", Json::array())) {
    if (const auto reaction = milliseconds_at(each, "reaction_ms"))
      out.declared.push_back({cmd::text_at(each, "name"), *reaction});
  }
  for (const Json& consumer : consumers.value("consumers", Json::array())) {
    if (consumer.value("is_lost", false)) continue;
    const auto believes = consumer.find("believes");
    const bool says_so = believes != consumer.end() && believes->is_object();
    out.observed.push_back({cmd::text_at(consumer, "kind"), cmd::text_at(consumer, "address"),
                            cmd::text_at(consumer, "path"), milliseconds_at(consumer, "interval_ms"),
                            says_so ? cmd::text_at(*believes, "state") : ""});
  }
  return out;
}

}  // namespace

std::vector<std::string> who_is_left(const Json& status, const Json& consumers, const std::string& service,
                                     Duration drained_for) {
  return vital::who_is_left(leavers_of(status, consumers), service, drained_for);
}

}  // namespace vital::ctl
