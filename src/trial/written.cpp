// See written.hpp.
#include "trial/written.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/text.hpp"
#include "config/source.hpp"

namespace vital::trial {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view prefix = "checks.trial.";

// The one module there is. What its create() says is asked elsewhere, in a worker under trial.
class OneModule final : public config::ModuleSource {
 public:
  explicit OneModule(const ModuleInfo& module) : module_(std::make_shared<const ModuleInfo>(module)) {}
  std::shared_ptr<const ModuleInfo> describe(std::string_view, std::string*) override { return module_; }
  std::vector<SpecProblem> validate(std::span<const std::shared_ptr<const CheckSpec>>) override { return {}; }
  std::vector<std::string> problems() const override { return {}; }

 private:
  std::shared_ptr<const ModuleInfo> module_;
};

// A number as the option would be written with it.
std::string as_written(const OptionSpec& o, double value) {
  const std::string number = fmt::format("{:.15g}", value);
  return o.type == OptionType::duration ? number + "s" : number;
}

}  // namespace

Written::Written(ModuleInfo module) : module_(std::move(module)) {
  std::string name = (std::filesystem::temp_directory_path() / "vitald-trial-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "making " + name);
  directory_ = name;
}

Written::~Written() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Words Written::parse(const std::vector<std::string>& words, std::string* why) {
  Words out;
  for (const std::string& word : words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      *why = fmt::format("'{}': write KEY=VALUE", one_line(word, 80));
      return {};
    }
    out.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return out;
}

std::string Written::key_of(const OptionSpec& option) { return option.is_secret ? option.name + "_file" : option.name; }

Words Written::without(const Words& words, const std::string& key) {
  Words out = words;
  std::erase_if(out, [&](const auto& w) { return w.first == key || w.first.starts_with(key + "."); });
  return out;
}

Words Written::with(const Words& words, const std::string& key, const std::string& value) {
  Words out = without(words, key);
  out.emplace_back(key, value);
  return out;
}

std::vector<std::string> Written::wrong_values(const OptionSpec& o) {
  if (o.is_secret) return {};
  std::vector<std::string> out;
  switch (o.type) {
    case OptionType::string:
    case OptionType::list:
    case OptionType::map:
      return {};
    case OptionType::integer:
    case OptionType::number:
    case OptionType::boolean:
    case OptionType::duration:
    case OptionType::size:
    case OptionType::size_or_percent:
    case OptionType::choice:
      out = {"no such value", ""};
      break;
  }
  if (o.type == OptionType::duration) out.emplace_back("5");
  if (!o.range || std::abs(o.range->first) > 1e15 || std::abs(o.range->second) > 1e15) return out;
  const bool may_be_negative = o.type == OptionType::integer || o.type == OptionType::number;
  if (o.range->first >= 1 || may_be_negative) out.push_back(as_written(o, o.range->first - 1));
  out.push_back(as_written(o, o.range->second + 1));
  return out;
}

std::vector<std::string> Written::edge_values(const OptionSpec& o) {
  if (o.is_secret) return {};
  if (o.type == OptionType::choice) return o.choices;
  if (o.type == OptionType::boolean) return {"true", "false"};
  if (!o.range || std::abs(o.range->first) > 1e15 || std::abs(o.range->second) > 1e15) return {};
  return {as_written(o, o.range->first), as_written(o, o.range->second)};
}

std::string Written::absolute(const std::string& key, const std::string& value) const {
  const bool is_file = key == "tls.ca" || key == "tls.certificate" || key == "tls.key" ||
                       std::any_of(module_.options.begin(), module_.options.end(),
                                   [&](const OptionSpec& o) { return o.is_secret && key == key_of(o); });
  // The configuration lies in a folder of ours; the author means the one he is in.
  return is_file && !value.empty() ? std::filesystem::absolute(value).string() : value;
}

Reading Written::read(const Words& words) const {
  Json check{{"type", module_.type}};
  for (const auto& [key, value] : words) {
    std::vector<std::string> path;
    for (const OptionSpec& o : module_.options) {
      if (o.type != OptionType::map || !key.starts_with(o.name + ".")) continue;
      for (const auto part : split(o.name, '.')) path.emplace_back(part);
      path.push_back(key.substr(o.name.size() + 1));
      break;
    }
    if (path.empty()) {
      for (const auto part : split(key, '.')) path.emplace_back(part);
    }
    Json* at = &check;
    for (const std::string& part : path) {
      if (!at->is_object()) *at = Json::object();
      at = &(*at)[part];
    }
    const std::string text = absolute(key, value);
    if (at->is_null()) {
      *at = text;
    } else if (at->is_array()) {
      at->push_back(text);
    } else {
      *at = Json::array({*at, text});
    }
  }
  const std::string file = directory_ + "/vitald.yaml";
  std::ofstream(file) << Json{{"checks", {{"trial", check}}}}.dump(-1, ' ', true, Json::error_handler_t::replace);
  LoadOptions options;
  options.file = file;
  const Loaded loaded = config::load_with(
      options, [this](const std::vector<std::string>&) { return std::make_unique<OneModule>(module_); });
  Reading out;
  for (const Problem& p : loaded.problems) {
    const std::string path = p.path.starts_with(prefix) ? p.path.substr(prefix.size()) : "";
    out.problems.push_back(path.empty() ? p.text : path + ": " + p.text);
  }
  if (loaded.config != nullptr && !loaded.config->specs.empty()) out.spec = loaded.config->specs.front();
  return out;
}

}  // namespace vital::trial
