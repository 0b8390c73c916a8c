// vitald modules: the check types found, or with --actions the kinds of failover action, or one of them with its
// options, types, defaults and help. What is printed is what
// each module declares of itself; a module that cannot be loaded is listed with the reason.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cmd/cmd.hpp"
#include "cmd/module_text.hpp"
#include "failover/kind.hpp"
#include "modules/registry.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::ordered_json;

constexpr Option options[] = {
    {0, "json", "", "as JSON"},
    {0, "markdown", "", "the table of one type's options, as its page in docs/checks/ holds it"},
    {0, "actions", "", "the kinds of failover action instead"},
    {0, "module-path", "DIRECTORY", "look there too"},
};
constexpr Usage usage{"vitald modules",
                      "[TYPE] [--json | --markdown] [--actions]",
                      "Lists the check types found, or one type with its options.",
                      "vitald modules http",
                      options,
                      1};

}  // namespace

int modules(int argc, char** argv) {
  const Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const Places places = find_places();
  RegistryOptions where{places.builtin_path, {}, places.worker, {}};
  const bool is_of_actions = args.has("actions");
  if (is_of_actions) {
    where.builtin_path = places.actions_path;
  }
  const auto shown = [&](const ModuleInfo& info) { return is_of_actions ? without_step(info) : info; };
  if (args.has("module-path")) where.module_path.push_back(args.value("module-path"));
  Registry registry(where);
  const Paint paint;
  for (const std::string& problem : registry.problems()) fmt::print(stderr, "vitald modules: {}\n", problem);

  if (!args.operands().empty()) {
    std::string why;
    const std::string& type = args.operands().front();
    const std::vector<std::string> known = registry.types();
    if (is_of_actions && std::find(known.begin(), known.end(), type) == known.end()) {
      const auto near = nearest(type, known);
      fmt::print(stderr, "vitald modules: there is no kind of action '{}'{}\n", one_line(type, 64),
                 near ? fmt::format(": did you mean '{}'?", *near) : "; vitald modules --actions lists them");
      return exit_failed;
    }
    const auto info = registry.describe(type, &why);
    if (info == nullptr) {
      fmt::print(stderr, "vitald modules: {}\n", why);
      return exit_failed;
    }
    if (args.has("json")) {
      fmt::print("{}\n", module_json(shown(*info)));
    } else if (args.has("markdown")) {
      fmt::print("{}", module_markdown(shown(*info)));
    } else {
      fmt::print("{}", module_text(shown(*info), paint));
    }
    return exit_ok;
  }
  if (args.has("markdown")) {
    fmt::print(stderr, "vitald modules: --markdown needs a TYPE, as in vitald modules http --markdown\n");
    return exit_usage;
  }

  Json all = Json::array();
  constexpr std::size_t narrow = 12;
  constexpr std::size_t wide = 18;
  const std::size_t width = is_of_actions ? wide : narrow;
  for (const std::string& type : registry.types()) {
    std::string why;
    const auto info = registry.describe(type, &why);
    if (args.has("json")) {
      all.push_back(info != nullptr ? Json::parse(module_json(shown(*info))) : Json{{"type", type}, {"error", why}});
    } else if (info != nullptr) {
      fmt::print("{}  {}\n", paint.bold(fmt::format("{:<{}}", type, width)), info->summary);
    } else {
      fmt::print("{}  {}\n", paint.bold(fmt::format("{:<{}}", type, width)), paint.red("cannot be used: " + why));
    }
  }
  if (args.has("json")) fmt::print("{}\n", Json{{"modules", std::move(all)}}.dump(2));
  return exit_ok;
}

}  // namespace vital::cmd
