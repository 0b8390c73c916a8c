// See config_schema.hpp. YAML gives a plain 1 or true as a number or a boolean, while for us each scalar is a text; and
// any of them may be a ${VARIABLE}. So each type below allows what a text of that type could look like.
#include "cmd/config_schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "base/text.hpp"
#include "config/keys.hpp"
#include "failover/kind.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::ordered_json;
using config::Key;
using config::Kind;

constexpr std::string_view lasting = "exec_lines";  // also written type: exec, protocol: lines
constexpr std::string_view variable = "\\$\\{";
constexpr std::string_view duration_pattern = "^[0-9]+(\\.[0-9]+)?(us|ms|s|m|h|d)$";
constexpr std::string_view size_pattern = "^[0-9]+(\\.[0-9]+)? *(|B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$";
constexpr std::string_view share_pattern = "^[0-9]+(\\.[0-9]+)? *%$";

Json defined(std::string_view name) { return {{"$ref", fmt::format("#/definitions/{}", name)}}; }
Json pattern(std::string_view a) { return {{"type", "string"}, {"pattern", fmt::format("{}|{}", a, variable)}}; }

Json text() { return {{"type", {"string", "number", "boolean"}}}; }
Json texts() { return {{"anyOf", {{{"type", "array"}, {"items", text()}}, text()}}}; }
Json words() { return {{"type", "object"}, {"additionalProperties", text()}}; }
Json duration() { return pattern(duration_pattern); }
Json size() { return {{"anyOf", {{{"type", "integer"}, {"minimum", 0}}, pattern(size_pattern)}}}; }
Json size_or_share() {
  return {
      {"anyOf", {{{"type", "integer"}, {"minimum", 0}}, pattern(fmt::format("{}|{}", size_pattern, share_pattern))}}};
}

Json number_json(double value) {
  const auto whole = static_cast<std::int64_t>(value);
  return static_cast<double>(whole) == value ? Json(whole) : Json(value);
}

Json number(std::string_view type, std::optional<std::pair<double, double>> range) {
  Json plain{{"type", type}};
  if (range) {
    plain["minimum"] = number_json(range->first);
    plain["maximum"] = number_json(range->second);
  }
  return {{"anyOf", {plain, pattern(type == "integer" ? "^-?[0-9]+$" : "^-?[0-9]+(\\.[0-9]+)?$")}}};
}

Json boolean() { return {{"anyOf", {{{"type", "boolean"}}, pattern("^(true|false)$")}}}; }

// A word like 4, 1.1 or off comes as something else than a text if nobody quotes it.
Json choice(const std::vector<std::string>& choices) {
  Json plain = Json::array();
  for (const std::string& c : choices) plain.push_back(c);
  for (const std::string& c : choices) {
    double value = 0;
    const auto [end, error] = std::from_chars(c.data(), c.data() + c.size(), value);
    if (error == std::errc{} && end == c.data() + c.size()) plain.push_back(number_json(value));
    if (c == "on" || c == "yes" || c == "true") plain.push_back(true);
    if (c == "off" || c == "no" || c == "false") plain.push_back(false);
  }
  return {{"anyOf", {{{"enum", plain}}, {{"type", "string"}, {"pattern", variable}}}}};
}

Json object(Json properties, std::vector<std::string> required = {}) {
  Json out{{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) out["required"] = std::move(required);
  return out;
}

// A name that is taken once as it is: what a module's default looks like in JSON.
Json typed(const OptionSpec& o, const std::string& value) {
  if (o.type == OptionType::boolean && (value == "true" || value == "false")) return value == "true";
  if (o.type == OptionType::integer) {
    std::int64_t out = 0;
    if (std::from_chars(value.data(), value.data() + value.size(), out).ec == std::errc{}) return out;
  }
  return value;
}

// ---- options of modules
// ----------------------------------------------------------------------------------------------

Json value_of(const OptionSpec& o) {
  if (o.is_secret) return {{"type", "string"}, {"minLength", 1}};
  switch (o.type) {
    case OptionType::string:
      return text();
    case OptionType::integer:
      return number("integer", o.range);
    case OptionType::number:
      return number("number", o.range);
    case OptionType::boolean:
      return boolean();
    case OptionType::duration:
      return duration();
    case OptionType::size:
      return size();
    case OptionType::size_or_percent:
      return size_or_share();
    case OptionType::choice:
      return choice(o.choices);
    case OptionType::list:
      return texts();
    case OptionType::map:
      return words();
  }
  return text();
}

Json described(Json schema, const OptionSpec& o) {
  std::string help = o.help;
  if (o.is_secret) help += (help.empty() ? "" : " ") + std::string("(the path of a file that holds it)");
  if (!help.empty()) schema["description"] = std::move(help);
  if (o.fallback) schema["default"] = typed(o, *o.fallback);
  if (!o.example.empty()) schema["examples"] = Json::array({typed(o, o.example)});
  return schema;
}

// "tls.mode" and "tls.ca" are written below tls.
struct Branch {
  std::string name;
  const OptionSpec* option = nullptr;
  std::vector<Branch> members;  // in the order declared

  Branch& member(std::string_view wanted) {
    for (Branch& known : members) {
      if (known.name == wanted) return known;
    }
    members.push_back({std::string(wanted), nullptr, {}});
    return members.back();
  }
  bool is_required() const {
    return (option != nullptr && option->is_required) ||
           std::any_of(members.begin(), members.end(), [](const Branch& m) { return m.is_required(); });
  }
};

Json schema_of(const Branch& branch);

void add_members(const Branch& branch, Json& properties, std::vector<std::string>& required) {
  for (const Branch& member : branch.members) {
    const bool is_secret = member.option != nullptr && member.option->is_secret;
    const std::string written = is_secret ? member.name + "_file" : member.name;
    properties[written] = schema_of(member);
    if (member.is_required()) required.push_back(written);
  }
}

Json schema_of(const Branch& branch) {
  if (branch.members.empty()) return described(value_of(*branch.option), *branch.option);
  Json properties = Json::object();
  std::vector<std::string> required;
  add_members(branch, properties, required);
  Json group = object(std::move(properties), std::move(required));
  if (branch.option == nullptr) return group;
  return described({{"anyOf", {value_of(*branch.option), group}}}, *branch.option);
}

// One check or action of a type: the options of its module beside the keys each has.
Json one_of(const ModuleInfo& module, const std::string& name_of_all) {
  Branch all;
  for (const OptionSpec& o : module.options) {
    Branch* at = &all;
    for (const std::string_view part : split(o.name, '.')) at = &at->member(part);
    at->option = &o;
  }
  Json properties = Json::object();
  std::vector<std::string> required;
  add_members(all, properties, required);
  for (const Key* k : config::keys_of(name_of_all)) {
    const std::string name(k->name);
    if (name == "type") {
      properties[name] = {{"const", module.type}, {"description", module.summary}};
      if (module.type == lasting) properties[name] = {{"enum", {lasting, "exec"}}, {"description", module.summary}};
    } else {
      properties[name] = {{"$ref", fmt::format("#/definitions/{}/properties/{}", name_of_all, name)}};
    }
  }
  return object(std::move(properties), std::move(required));
}

// ---- the agent's own keys
// --------------------------------------------------------------------------------------------

std::optional<std::pair<double, double>> range_of(const Key& k) {
  if (k.min == 0 && k.max == 0) return {};
  return std::pair(k.min, k.max);
}

// Sections that are shared are called after what they have in common: listen.health.tls is listen.tls.
std::string section_of(const Key& k) {
  const std::string own = k.section.empty() ? std::string(k.name) : fmt::format("{}.{}", k.section, k.name);
  const std::string shared = fmt::format("{}.{}", k.section.substr(0, k.section.find('.')), k.name);
  return config::keys_of(own).empty() && !config::keys_of(shared).empty() ? shared : own;
}

Json section(std::string_view name);
Json properties_of(std::string_view name);

Json value_of(const Key& k) {
  switch (k.kind) {
    case Kind::text:
      return text();
    case Kind::texts:
      return texts();
    case Kind::duration:
      return duration();
    case Kind::integer:
      return number("integer", range_of(k));
    case Kind::size:
      return size();
    case Kind::number:
      return number("number", range_of(k));
    case Kind::boolean:
      return boolean();
    case Kind::choice:
      return choice(config::choices_of(k));
    case Kind::labels:
      return words();
    case Kind::section: {
      Json one = section(section_of(k));
      if (k.form.find("list of maps") == std::string_view::npos) return one;
      Json list{{"type", "array"}, {"items", one}};
      return {{"anyOf", {std::move(one), std::move(list)}}};
    }
    case Kind::special:
      break;
  }
  const std::string path = fmt::format("{}.{}", k.section, k.name);
  if (path == "check.fall") return {{"anyOf", {number("integer", range_of(k)), section("check.fall")}}};
  if (path == "service.all" || path == "service.any" || path == "service.of") return defined("members");
  if (path == "service.quorum" || path == "service.pass" || path == "service.warn") return number("integer", {});
  if (path == "service.weighted") return {{"type", "object"}, {"additionalProperties", number("integer", {})}};
  if (path == ".checks") return {{"type", {"object", "null"}}, {"additionalProperties", defined("check")}};
  if (path == ".services") return {{"type", {"object", "null"}}, {"additionalProperties", defined("service")}};
  if (path == "failover.topologies") return {{"type", "object"}, {"additionalProperties", section("topology")}};
  if (path == "failover.actions") {
    return {{"type", "object"}, {"additionalProperties", defined("action")}};
  }
  if (k.section == "topology" && (k.name == "fence" || k.name == "promote" || k.name == "move" || k.name == "demote")) {
    Json step{{"anyOf", {text(), section("topology.step")}}};
    return {{"anyOf", {{{"type", "array"}, {"items", std::move(step)}}, text()}}};
  }
  if (path == "topology.members") return {{"anyOf", {texts(), words()}}};
  if (path == ".outputs") return {{"type", "array"}, {"items", defined("output")}};
  return Json::object();  // read by hand, and nothing a schema could say about it
}

Json described(Json schema, const Key& k) {
  if (schema.contains("$ref"))
    schema = Json{{"allOf", Json::array({std::move(schema)})}};  // words beside a $ref are not read
  std::string help(k.help);
  if (!k.fallback.empty()) help += fmt::format(" (default: {})", k.fallback);
  schema["description"] = std::move(help);
  return schema;
}

Json properties_of(std::string_view name) {
  Json out = Json::object();
  for (const Key* k : config::keys_of(name)) out[std::string(k->name)] = described(value_of(*k), *k);
  return out;
}

Json section(std::string_view name) {
  std::vector<std::string> required;
  for (const Key* k : config::keys_of(name)) {
    if (k->fallback == "required") required.emplace_back(k->name);
  }
  return object(properties_of(name), std::move(required));
}

// One map that `type` tells what else may stand in it.
Json chosen_by_type(std::string_view name, const std::vector<std::pair<std::string, Json>>& types, Json properties) {
  Json names = Json::array();
  Json rules = Json::array();
  for (const auto& [type, schema] : types) {
    names.push_back(type);
    rules.push_back({{"if", {{"properties", {{"type", {{"const", type}}}}}, {"required", {"type"}}}},
                     {"then", defined(fmt::format("{}-{}", name, type))}});
  }
  properties["type"]["enum"] = std::move(names);
  properties["type"].erase("type");
  return {
      {"type", "object"}, {"required", {"type"}}, {"properties", std::move(properties)}, {"allOf", std::move(rules)}};
}

Json member_rule() {
  Json properties{{"all", defined("members")},
                  {"any", defined("members")},
                  {"of", defined("members")},
                  {"quorum", number("integer", {})},
                  {"pass", number("integer", {})},
                  {"warn", number("integer", {})},
                  {"weighted", {{"type", "object"}, {"additionalProperties", number("integer", {})}}},
                  {"check", text()},
                  {"service", text()}};
  Json out = object(std::move(properties));
  out["minProperties"] = 1;
  return {{"anyOf", {text(), defined("members"), std::move(out)}}};
}

Json service() {
  Json map = section("service");
  map.erase("required");
  map["oneOf"] = {{{"required", {"all"}}},
                  {{"required", {"any"}}},
                  {{"required", {"quorum", "of"}}},
                  {{"required", {"weighted", "pass"}}}};
  return {{"anyOf", {std::move(map), defined("members"), text()}}};
}

std::vector<std::pair<std::string, Json>> outputs() {
  std::vector<std::pair<std::string, Json>> out;
  std::set<std::string> seen;
  for (const Key& k : config::all_keys()) {
    if (!k.section.starts_with("output.")) continue;
    std::string type(k.section.substr(7));
    if (type.find('.') != std::string::npos || !seen.insert(type).second) continue;
    Json one = section(fmt::format("output.{}", type));
    const Json common = properties_of("output");
    for (const auto& [name, schema] : common.items()) {
      if (name == "type") {
        one["properties"][name] = {{"const", type}};
      } else if (!one["properties"].contains(name)) {
        one["properties"][name] = schema;
      }
    }
    out.emplace_back(std::move(type), std::move(one));
  }
  return out;
}

}  // namespace

std::string config_schema(std::span<const ModuleInfo> modules, std::span<const ModuleInfo> actions) {
  std::vector<std::pair<std::string, Json>> checks, kinds;
  for (const ModuleInfo& m : modules) checks.emplace_back(m.type, one_of(m, "check"));
  for (const ModuleInfo& m : actions) kinds.emplace_back(m.type, one_of(without_step(m), "action"));
  const auto output_types = outputs();
  const bool has_lines = std::any_of(modules.begin(), modules.end(), [](const auto& m) { return m.type == lasting; });

  Json definitions = Json::object();
  definitions["check"] = chosen_by_type("check", checks, properties_of("check"));
  if (has_lines) {
    // One type, two modules: config/checks.cpp chooses between them by the same word.
    for (Json& rule : definitions["check"]["allOf"]) {
      if (rule["if"]["properties"]["type"]["const"] != "exec") continue;
      rule["then"] = {
          {"if", {{"properties", {{"protocol", {{"const", "lines"}}}}}, {"required", Json::array({"protocol"})}}},
          {"then", defined(fmt::format("check-{}", lasting))},
          {"else", defined("check-exec")}};
    }
  }
  definitions["output"] = chosen_by_type("output", output_types, properties_of("output"));
  definitions["action"] = chosen_by_type("action", kinds, properties_of("action"));
  definitions["service"] = service();
  definitions["members"] = {{"type", "array"}, {"minItems", 1}, {"items", defined("member")}};
  definitions["member"] = member_rule();
  for (const auto& [type, schema] : checks) definitions["check-" + type] = schema;
  for (const auto& [type, schema] : kinds) definitions["action-" + type] = schema;
  for (const auto& [type, schema] : output_types) definitions["output-" + type] = schema;

  Json top = object(properties_of(""));
  const std::string_view names = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$";
  for (const char* map : {"checks", "services"}) top["properties"][map]["propertyNames"] = {{"pattern", names}};
  Json out{{"$schema", "http://json-schema.org/draft-07/schema#"},
           {"title", "vitald " VITALD_VERSION},
           {"description", "The configuration of the health-check agent vitald."}};
  out.update(top);
  out["definitions"] = std::move(definitions);
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace vital::cmd
