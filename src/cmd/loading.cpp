// See loading.hpp.
#include "cmd/loading.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "agent/listening.hpp"
#include "cmd/cmd.hpp"

namespace vital::cmd {

LoadOptions loading(const std::string& file) {
  Places places = find_places();
  LoadOptions out;
  out.file = file;
  out.worker = std::move(places.worker);
  out.builtin_path = std::move(places.builtin_path);
  out.actions_path = std::move(places.actions_path);
  out.inspect_tls = inspect_tls;
  return out;
}

void print_problems(const Loaded& loaded) {
  for (const Problem& p : loaded.problems) fmt::print(stderr, "{}\n", p.format());
  for (const Problem& p : loaded.warnings) {
    Problem said = p;
    said.text = "warning: " + said.text;
    fmt::print(stderr, "{}\n", said.format());
  }
}

}  // namespace vital::cmd
