// vitald modules: the check types found, or one with its options, types, defaults and help. What is printed is what
// each module declares of itself; a module that cannot be loaded is listed with the reason.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cmd/cmd.hpp"
#include "modules/registry.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::ordered_json;

constexpr Option options[] = {
    {0, "json", "", "as JSON"},
    {0, "module-path", "DIRECTORY", "look there too"},
};
constexpr Usage usage{
    "vitald modules",      "[TYPE] [--json]", "Lists the check types found, or one type with its options.",
    "vitald modules http", options,           1};

std::string_view name(OptionType type) {
  switch (type) {
    case OptionType::string:
      return "text";
    case OptionType::integer:
      return "whole number";
    case OptionType::number:
      return "number";
    case OptionType::boolean:
      return "true or false";
    case OptionType::duration:
      return "duration";
    case OptionType::size:
      return "size";
    case OptionType::size_or_percent:
      return "size or percent";
    case OptionType::choice:
      return "choice";
    case OptionType::list:
      return "list";
    case OptionType::map:
      return "map";
  }
  return "text";
}

// As it is written in a config.
std::string written_name(const OptionSpec& o) { return o.is_secret ? o.name + "_file" : o.name; }

std::string written_type(const OptionSpec& o) {
  if (o.is_secret) return "path of a file";
  if (o.type == OptionType::choice) return join(o.choices, " | ");
  std::string out(name(o.type));
  if (o.range) {
    const std::string_view unit = o.type == OptionType::duration ? "s" : o.type == OptionType::size ? "B" : "";
    out += fmt::format(" {:.15g}{} to {:.15g}{}", o.range->first, unit, o.range->second, unit);
  }
  return out;
}

Json to_json(const ModuleInfo& info) {
  Json list = Json::array();
  for (const OptionSpec& o : info.options) {
    Json one{
        {"name", written_name(o)}, {"type", o.is_secret ? "file" : name(o.type)},        {"required", o.is_required},
        {"secret", o.is_secret},   {"default", o.fallback ? Json(*o.fallback) : Json()}, {"help", o.help}};
    if (!o.choices.empty()) one["choices"] = o.choices;
    if (o.range) one["range"] = {o.range->first, o.range->second};
    if (!o.example.empty()) one["example"] = o.example;
    list.push_back(std::move(one));
  }
  return {{"type", info.type},         {"version", info.version},
          {"summary", info.summary},   {"lane", info.lane == Lane::async ? "async" : "blocking"},
          {"path", info.path},         {"builtin", info.is_builtin},
          {"options", std::move(list)}};
}

void print_one(const ModuleInfo& info, const Paint& paint) {
  fmt::print("{}  {}\n", paint.bold(info.type), info.summary);
  fmt::print("{}\n\n",
             paint.dim(fmt::format("version {}, {}, {}", info.version,
                                   info.lane == Lane::async ? "async" : "blocking: one worker a probe", info.path)));
  for (const OptionSpec& o : info.options) {
    std::string facts = written_type(o);
    if (o.is_required) facts += ", required";
    if (o.fallback) facts += fmt::format(", default {}", o.fallback->empty() ? "\"\"" : *o.fallback);
    fmt::print("  {}  {}\n      {}\n", paint.bold(written_name(o)), paint.dim(facts), o.help);
    if (!o.example.empty()) fmt::print("      {}\n", paint.dim(fmt::format("e.g. {}: {}", written_name(o), o.example)));
  }
  fmt::print("\nand what every check has: docs/configuration.md, or vitald check-config --reference\n");
}

}  // namespace

int modules(int argc, char** argv) {
  const Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const Places places = find_places();
  RegistryOptions where{places.builtin_path, {}, places.worker, {}};
  if (args.has("module-path")) where.module_path.push_back(args.value("module-path"));
  Registry registry(where);
  const Paint paint;
  for (const std::string& problem : registry.problems()) fmt::print(stderr, "vitald modules: {}\n", problem);

  if (!args.operands().empty()) {
    std::string why;
    const auto info = registry.describe(args.operands().front(), &why);
    if (info == nullptr) {
      fmt::print(stderr, "vitald modules: {}\n", why);
      return exit_failed;
    }
    if (args.has("json")) {
      fmt::print("{}\n", to_json(*info).dump(2));
    } else {
      print_one(*info, paint);
    }
    return exit_ok;
  }

  Json all = Json::array();
  for (const std::string& type : registry.types()) {
    std::string why;
    const auto info = registry.describe(type, &why);
    if (args.has("json")) {
      all.push_back(info != nullptr ? to_json(*info) : Json{{"type", type}, {"error", why}});
    } else if (info != nullptr) {
      fmt::print("{}  {}\n", paint.bold(fmt::format("{:<12}", type)), info->summary);
    } else {
      fmt::print("{}  {}\n", paint.bold(fmt::format("{:<12}", type)), paint.red("cannot be used: " + why));
    }
  }
  if (args.has("json")) fmt::print("{}\n", Json{{"modules", std::move(all)}}.dump(2));
  return exit_ok;
}

}  // namespace vital::cmd
