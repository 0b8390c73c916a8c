// KEY=VALUE words to module values; see values.hpp.
#include "probe/worker/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital::worker {
namespace {

template <typename Number>
bool is_number(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

std::optional<std::string> normalise(const OptionSpec& option, const std::string& text) {
  switch (option.type) {
    case OptionType::string:
    case OptionType::list:
    case OptionType::map:
      return text;
    case OptionType::integer:
      return is_number<long long>(text) ? std::optional(text) : std::nullopt;
    case OptionType::number:
      return is_number<double>(text) ? std::optional(text) : std::nullopt;
    case OptionType::boolean:
      return text == "true" || text == "false" ? std::optional(text) : std::nullopt;
    case OptionType::choice:
      return std::ranges::count(option.choices, text) > 0 ? std::optional(text) : std::nullopt;
    case OptionType::duration:
      if (const auto d = parse_duration(text)) return std::to_string(d->count());
      return {};
    case OptionType::size_or_percent:
      if (text.ends_with('%') && is_number<double>(text.substr(0, text.size() - 1))) return text;
      [[fallthrough]];
    case OptionType::size:
      if (const auto size = parse_size(text)) return std::to_string(*size);
      return {};
  }
  return {};
}

std::vector<std::string>& slot(Values& values, const std::string& name) {
  const auto found = std::ranges::find(values, name, &Values::value_type::first);
  return found != values.end() ? found->second : values.emplace_back(name, std::vector<std::string>{}).second;
}

// A list may have a default of several items, written as YAML's flow style: [a, b].
std::vector<std::string> items_of(const OptionSpec& option, std::string_view text) {
  if (option.type != OptionType::list && option.type != OptionType::map) return {std::string(text)};
  text = trim(text);
  if (text.starts_with('[') || text.starts_with('{')) text = text.substr(1, text.size() - 2);
  std::vector<std::string> out;
  if (trim(text).empty()) return out;
  for (const std::string_view item : split(text, ',')) {
    if (option.type == OptionType::list) {
      out.emplace_back(trim(item));
      continue;
    }
    const auto colon = item.find(':');
    out.emplace_back(trim(item.substr(0, colon)));
    out.emplace_back(colon == std::string_view::npos ? "" : trim(item.substr(colon + 1)));
  }
  return out;
}

// Empty if all is well.
std::string read_word(const ModuleInfo& module, const std::string& word, Values& out) {
  const auto equals = word.find('=');
  if (equals == std::string::npos) return fmt::format("'{}': write KEY=VALUE", word);
  const std::string key = word.substr(0, equals);
  std::string value = word.substr(equals + 1);

  const OptionSpec* option = module.find(key);
  if (option != nullptr && option->is_secret) {
    return fmt::format("{}: a secret must not stand in a command line: write {}_file=PATH", key, key);
  }
  if (option == nullptr && key.ends_with("_file")) {
    option = module.find(key.substr(0, key.size() - 5));
    if (option != nullptr && !option->is_secret) option = nullptr;
    if (option != nullptr) {
      std::ifstream file(value, std::ios::binary);
      if (!file) return fmt::format("{}: cannot read {}", key, value);
      value.assign(std::istreambuf_iterator<char>(file), {});
      if (value.ends_with('\n')) value.pop_back();
    }
  }
  if (option == nullptr) {
    // The longest map whose name begins the key: headers.Name=value.
    const auto dot = key.rfind('.');
    const OptionSpec* map = dot == std::string::npos ? nullptr : module.find(key.substr(0, dot));
    if (map == nullptr || map->type != OptionType::map) {
      std::vector<std::string> known;
      for (const OptionSpec& o : module.options) known.push_back(o.name);
      const auto near = nearest(key, known);
      return fmt::format("{}: {} has no such option{}", key, module.type, near ? ": did you mean " + *near + "?" : "");
    }
    auto& items = slot(out, map->name);
    items.push_back(key.substr(dot + 1));
    items.push_back(value);
    return {};
  }
  const auto normal = normalise(*option, value);
  if (!normal) {
    // The default shows how it is written.
    return fmt::format("{}: '{}' is not right here{}", key, value,
                       option->fallback ? ": write it like " + *option->fallback : std::string());
  }
  auto& items = slot(out, option->name);
  if (option->type != OptionType::list) items.clear();
  items.push_back(*normal);
  return {};
}

}  // namespace

std::vector<std::string> read_values(const ModuleInfo& module, const std::vector<std::string>& words, Values& out) {
  std::vector<std::string> problems;
  for (const std::string& word : words) {
    if (const std::string problem = read_word(module, word, out); !problem.empty()) problems.push_back(problem);
  }
  for (const OptionSpec& option : module.options) {
    if (std::ranges::count(out, option.name, &Values::value_type::first) > 0) continue;
    if (!option.fallback) {
      if (option.is_required) problems.push_back(option.name + ": is needed");
      continue;
    }
    std::vector<std::string> items;
    for (const std::string& item : items_of(option, *option.fallback)) {
      items.push_back(normalise(option, item).value_or(item));
    }
    out.emplace_back(option.name, std::move(items));
  }
  return problems;
}

}  // namespace vital::worker
