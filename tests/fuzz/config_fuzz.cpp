// Fuzz target: any text as a configuration. It must be refused or compiled, never crash, hang, or say nothing. Built by
// clang with -Dfuzzers=true; replay.cpp runs it over the corpus in every build, so that it cannot rot.
//
// With PLANTED it dies when somebody nearly writes `interval`: a test sees to it that the fuzzer finds that, and so
// that it is awake.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "../config/fake_modules.hpp"
#include "config/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vital;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // What it includes would be this machine's files: slow, and another thing on the next machine.
  if (size > 64 * 1024 || text.find("include") != std::string_view::npos) return 0;

  static const int file = memfd_create("config", 0);
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
  LoadOptions options;
  options.file = "/proc/self/fd/" + std::to_string(file);
  options.read_secrets = false;
  options.environment = [](const std::string& name) {
    return name == "HOSTNAME" ? std::optional<std::string>("host") : std::nullopt;
  };
  const auto memory = std::make_shared<config::FakeModules::Memory>();
  const Loaded loaded = config::load_with(
      options, [&](const std::vector<std::string>&) { return std::make_unique<config::FakeModules>(memory); });

  if ((loaded.config == nullptr) == loaded.problems.empty()) std::abort();
  for (const Problem& p : loaded.problems) {
    const std::string line = p.format();
    if (p.text.empty() || line.find('\n') != std::string::npos) std::abort();
#ifdef PLANTED
    if (p.text.find("did you mean 'interval'") != std::string::npos) std::abort();
#endif
  }
  if (loaded.config == nullptr) return 0;
  const Plan& plan = *loaded.config->plan;
  if (plan.checks.empty() || plan.services.empty() || loaded.config->specs.size() != plan.checks.size()) std::abort();
  for (const CheckPlan& c : plan.checks) {
    if (c.timeout > c.interval || c.edge_interval > c.interval || c.rise == 0 || c.fall == 0) std::abort();
  }
  return 0;
}
