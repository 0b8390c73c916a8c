// Where this installation's parts are; see cmd.hpp.
#include <unistd.h>

#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "cmd/cmd.hpp"

namespace vital::cmd {

Places find_places() {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  // An absolute right-hand side replaces the left one: the last candidate is the installation as configured.
  const std::array<std::pair<fs::path, fs::path>, 3> candidates{{
      {here / "vitald-worker", here / ".." / "checks"},
      {here / VITALD_LIBEXEC_FROM_BIN / "vitald-worker", here / VITALD_CHECKS_FROM_BIN},
      {fs::path(VITALD_LIBEXECDIR) / "vitald-worker", fs::path(VITALD_CHECKSDIR)},
  }};
  for (const auto& [worker, checks] : candidates) {
    if (access(worker.c_str(), X_OK) == 0)
      return {worker.lexically_normal().string(), {checks.lexically_normal().string()}};
  }
  return {candidates.back().first.string(), {candidates.back().second.string()}};
}

}  // namespace vital::cmd
