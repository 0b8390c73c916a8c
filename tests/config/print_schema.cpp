// Prints the JSON Schema of a configuration with the modules of the config tests, so that their files can be validated.
#include <fmt/format.h>

#include "cmd/config_schema.hpp"
#include "fake_modules.hpp"

int main() {
  const auto modules = vital::config::fake_modules();
  const auto action = vital::config::fake_action();
  fmt::print("{}", vital::cmd::config_schema(modules, {&action, 1}));
  return 0;
}
