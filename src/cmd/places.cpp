// Where this installation's parts are; see cmd.hpp.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "cmd/cmd.hpp"

namespace vital::cmd {

Places find_places() {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  // An absolute right-hand side replaces the left one: the last candidate is the installation as configured.
  struct Candidate {
    fs::path worker, checks, actions;
  };
  const fs::path from_bin = here / VITALD_CHECKS_FROM_BIN, installed = VITALD_CHECKSDIR;
  const std::array<Candidate, 3> candidates{{
      {here / "vitald-worker", here / ".." / "checks", here / "failover" / "actions"},
      {here / VITALD_LIBEXEC_FROM_BIN / "vitald-worker", from_bin, from_bin / ".." / "actions"},
      {fs::path(VITALD_LIBEXECDIR) / "vitald-worker", installed, installed / ".." / "actions"},
  }};
  const auto plain = [](const fs::path& path) { return path.lexically_normal().string(); };
  const auto found = std::find_if(candidates.begin(), candidates.end() - 1,
                                  [](const Candidate& c) { return access(c.worker.c_str(), X_OK) == 0; });
  return {plain(found->worker), {plain(found->checks)}, {plain(found->actions)}};
}

}  // namespace vital::cmd
