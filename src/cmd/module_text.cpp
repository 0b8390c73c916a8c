// See module_text.hpp.
#include "cmd/module_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::ordered_json;

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

std::string bound(const OptionSpec& o, double value) {
  if (o.type == OptionType::duration) return format_duration(Duration(std::llround(std::min(value, 9e9) * 1e9)));
  if (o.type != OptionType::size && o.type != OptionType::size_or_percent) return fmt::format("{:.15g}", value);
  static constexpr std::pair<std::string_view, double> units[] = {
      {"GiB", 1073741824.0}, {"MiB", 1048576.0}, {"KiB", 1024.0}};
  for (const auto& [unit, factor] : units) {
    if (value >= factor && std::fmod(value, factor) == 0) return fmt::format("{:.15g}{}", value / factor, unit);
  }
  return fmt::format("{:.15g}B", value);
}

std::string written_range(const OptionSpec& o) {
  return o.range ? fmt::format(" {} to {}", bound(o, o.range->first), bound(o, o.range->second)) : std::string();
}

std::string written_type(const OptionSpec& o) {
  if (o.is_secret) return "path of a file";
  if (o.type == OptionType::choice) return join(o.choices, " | ");
  return std::string(name(o.type)) + written_range(o);
}

// What stands in a cell must not end it.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string code(std::string_view text) {
  // A backtick within needs longer ones around it.
  const std::string_view quote = text.find('`') == std::string_view::npos ? "`" : "``";
  return fmt::format("{}{}{}", quote, cell(text.empty() ? "\"\"" : text), quote);
}

std::string markdown_type(const OptionSpec& o) {
  if (o.is_secret || o.type != OptionType::choice) return written_type(o);
  std::string out;
  for (const std::string& choice : o.choices) out += (out.empty() ? "" : ", ") + code(choice);
  return out;
}

}  // namespace

std::string written_name(const OptionSpec& o) { return o.is_secret ? o.name + "_file" : o.name; }

std::string module_json(const ModuleInfo& info) {
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
  const Json all{{"type", info.type},         {"version", info.version},
                 {"summary", info.summary},   {"lane", info.lane == Lane::async ? "async" : "blocking"},
                 {"path", info.path},         {"builtin", info.is_builtin},
                 {"options", std::move(list)}};
  return all.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string module_text(const ModuleInfo& info, const Paint& paint) {
  std::string out = fmt::format("{}  {}\n", paint.bold(info.type), info.summary);
  out += paint.dim(fmt::format("version {}, {}, {}", info.version,
                               info.lane == Lane::async ? "async" : "blocking: one worker a probe", info.path)) +
         "\n\n";
  for (const OptionSpec& o : info.options) {
    std::string facts = written_type(o);
    if (o.is_required) facts += ", required";
    if (o.fallback) facts += fmt::format(", default {}", o.fallback->empty() ? "\"\"" : *o.fallback);
    out += fmt::format("  {}  {}\n      {}\n", paint.bold(written_name(o)), paint.dim(facts), o.help);
    if (!o.example.empty())
      out += fmt::format("      {}\n", paint.dim(fmt::format("e.g. {}: {}", written_name(o), o.example)));
  }
  return out + "\nand what every check has: docs/configuration.md, or vitald check-config --reference\n";
}

std::string module_markdown(const ModuleInfo& info) {
  if (info.options.empty()) return "It has no options but those every check has.\n";
  std::string out = "| option | type | default | what it is |\n|---|---|---|---|\n";
  for (const OptionSpec& o : info.options) {
    const std::string fallback = o.is_required ? "required" : o.fallback ? code(*o.fallback) : "";
    const std::string_view joint = o.help.ends_with('.') ? " E.g. " : "; e.g. ";
    const std::string example = o.example.empty() ? "" : fmt::format("{}{}", joint, code(o.example));
    out += fmt::format("| {} | {} | {} | {}{} |\n", code(written_name(o)), markdown_type(o), fallback, cell(o.help),
                       example);
  }
  return out;
}

}  // namespace vital::cmd
