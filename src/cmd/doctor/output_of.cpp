// See output_of.hpp.
#include "cmd/doctor/output_of.hpp"

#include <unistd.h>

#include <cstdlib>
#include <system_error>
#include <utility>

#include "base/text.hpp"
#include "loop/loop.hpp"
#include "outputs/program_run.hpp"

namespace vital::doctor {
namespace {

std::string find(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (const std::string_view directory : split(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    std::string candidate = std::string(directory) + "/" + program;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

}  // namespace

std::optional<std::string> output_of(const std::string& program, const std::vector<std::string>& arguments,
                                     Duration patience) {
  Program what{{find(program)}, {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, {}};
  if (what.argv.front().empty()) return {};
  what.argv.insert(what.argv.end(), arguments.begin(), arguments.end());
  std::optional<std::string> out;
  try {
    Loop loop;
    ProgramRun run(loop, std::move(what), [&](Ran ran) {
      if (ran.is_good) out = std::move(ran.output);
      loop.stop();
    });
    loop.run_for(patience);
  } catch (const std::system_error&) {
    return {};
  }
  return out;
}

}  // namespace vital::doctor
