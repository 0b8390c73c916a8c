// Reading a plugin's answers and writing requests; see answer.hpp.
#include "answer.hpp"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

namespace vital::lines {
namespace {

using check::Cause;
using check::Verdict;
using Json = nlohmann::json;

constexpr size_t most_members = 64;
constexpr size_t longest_text = 1024;
constexpr std::array verdicts{"pass", "warn", "fail", "unknown"};
constexpr std::array causes{"none",     "timeout", "refused", "unreachable", "dns",    "tls",  "auth",
                            "protocol", "content", "role",    "latency",     "config", "agent"};

template <typename Enum, size_t N>
std::optional<Enum> named(const Json& value, const std::array<const char*, N>& names) {
  if (!value.is_string()) return {};
  for (size_t i = 0; i < N; ++i) {
    if (value.get_ref<const std::string&>() == names[i]) return static_cast<Enum>(i);
  }
  return {};
}

std::string text_of(const Json& value) { return value.get<std::string>().substr(0, longest_text); }

bool read_measures(const Json& measures, check::Result& result) {
  if (!measures.is_object() || measures.size() > most_members) return false;
  for (const auto& [name, value] : measures.items()) {
    const auto number = [&](const char* key, double otherwise) {
      const auto at = value.find(key);
      return at != value.end() && at->is_number() ? at->get<double>() : otherwise;
    };
    if (value.is_number()) {
      result.measure(name, value.get<double>());
    } else if (value.is_object() && value.contains("value") && value["value"].is_number()) {
      const bool has_unit = value.contains("unit") && value["unit"].is_string();
      result.measure(name, number("value", 0), has_unit ? text_of(value["unit"]) : "",
                     number("warn", check::no_threshold), number("fail", check::no_threshold));
    } else {
      return false;
    }
  }
  return true;
}

bool read_facts(const Json& facts, check::Result& result) {
  if (!facts.is_object() || facts.size() > most_members) return false;
  for (const auto& [name, value] : facts.items()) {
    if (!value.is_string()) return false;
    result.fact(name, text_of(value));
  }
  return true;
}

}  // namespace

std::optional<Answer> parse_answer(std::string_view line, std::string& problem) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return problem = "a line that is no JSON object", std::nullopt;
  const auto id = json.find("id");
  if (id == json.end() || !id->is_number_unsigned()) return problem = "an answer without an id", std::nullopt;
  Answer out;
  out.id = id->get<uint64_t>();
  const auto verdict = json.contains("verdict") ? named<Verdict>(json["verdict"], verdicts) : std::nullopt;
  if (!verdict) return problem = "an answer without verdict pass, warn, fail or unknown", std::nullopt;
  out.result.verdict = *verdict;
  out.result.cause = *verdict == Verdict::pass      ? Cause::none
                     : *verdict == Verdict::unknown ? Cause::agent
                                                    : Cause::content;
  if (json.contains("cause") && *verdict != Verdict::pass) {
    const auto cause = named<Cause>(json["cause"], causes);
    if (!cause) return problem = "an answer with a cause nobody knows", std::nullopt;
    out.result.cause = *cause;
  }
  if (json.contains("text")) {
    if (!json["text"].is_string()) return problem = "an answer whose text is no string", std::nullopt;
    out.result.text = text_of(json["text"]);
  }
  if (json.contains("measures") && !read_measures(json["measures"], out.result))
    return problem = "an answer whose measures are no object of at most 64 numbers", std::nullopt;
  if (json.contains("facts") && !read_facts(json["facts"], out.result))
    return problem = "an answer whose facts are no object of at most 64 strings", std::nullopt;
  return out;
}

std::string request_line(uint64_t id, check::Duration time_left, uint32_t attempt,
                         const std::vector<std::pair<std::string, std::string>>& arguments) {
  Json args = Json::object();
  for (const auto& [name, value] : arguments) args[name] = value;
  const Json request{{"id", id},
                     {"deadline_ms", std::chrono::duration_cast<std::chrono::milliseconds>(time_left).count()},
                     {"attempt", attempt},
                     {"arguments", std::move(args)}};
  return request.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace vital::lines
