// See table.hpp.
#include "trial/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "config/keys.hpp"

namespace vital::trial {
namespace {

bool sounds_secret(const std::string& name) {
  static constexpr std::string_view endings[] = {"password", "passwd", "secret", "token"};
  return std::any_of(std::begin(endings), std::end(endings), [&](std::string_view e) { return name.ends_with(e); });
}

void look_at(const ModuleInfo& module, const OptionSpec& o, std::vector<std::string>& out) {
  const auto say = [&](std::string_view what) { out.push_back(fmt::format("option '{}' {}", o.name, what)); };
  const std::string first = o.name.substr(0, o.name.find('.'));
  const auto common = config::keys_of("check");
  if (std::any_of(common.begin(), common.end(), [&](const config::Key* k) { return k->name == first; }))
    say("has a name that every check has: call it something else");
  if (o.help.empty()) say("has no help: write a sentence");
  if (o.is_required && o.fallback) say("is required and has a default: it can only be one of them");
  if (o.is_secret && o.type != OptionType::string) say("is a secret of another type than text");
  if (o.is_secret && o.fallback) say("is a secret with a default, which everybody can read");
  if (!o.is_secret && o.type == OptionType::string && sounds_secret(o.name))
    say("sounds like a secret: mark it VITAL_OPTION_SECRET, so that it is never shown");
  if (o.is_secret && module.find(o.name + "_file") != nullptr)
    say(fmt::format("is written {}_file, which is another option's name", o.name));
  if (!o.choices.empty() && o.type != OptionType::choice) say("has choices but is no choice");
}

}  // namespace

std::vector<std::string> table_remarks(const ModuleInfo& module) {
  std::vector<std::string> out;
  if (module.version.empty()) out.emplace_back("it has no version");
  if (module.summary.empty()) out.emplace_back("it has no summary: write one line for vitald modules");
  for (const OptionSpec& o : module.options) look_at(module, o, out);
  return out;
}

}  // namespace vital::trial
