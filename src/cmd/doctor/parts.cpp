// The configuration, the worker, the modules and the state on disk; see finding.hpp.
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/text.hpp"
#include "cmd/doctor/finding.hpp"
#include "modules/registry.hpp"

namespace vital::doctor {
namespace {

constexpr std::size_t most_lines = 8;
constexpr std::uint64_t spare_bytes = 64ULL << 20U;  // beside the journal: the state file, and what shares the disk
constexpr unsigned others_write = S_IWOTH;

std::string because(int error) { return std::generic_category().message(error); }

std::string size_text(std::uint64_t bytes) {
  return bytes >= (1ULL << 30U) ? fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1ULL << 30U))
                                : fmt::format("{} MiB", bytes >> 20U);
}

// Who can write there can have the agent run what he likes.
bool is_open_to_others(const std::string& path, const char* subject, Findings& out) {
  struct stat seen {};
  if (stat(path.c_str(), &seen) != 0) return false;
  if ((seen.st_mode & others_write) != 0 && (seen.st_mode & S_ISVTX) == 0) {
    out.push_back({Level::problem, subject, path + " is writable by everybody", "chmod o-w " + path});
    return true;
  }
  if (seen.st_uid != 0 && seen.st_uid != geteuid()) {
    out.push_back({Level::warning, subject, fmt::format("{} belongs to user {}", path, seen.st_uid),
                   "chown root " + path + ", unless that user may decide what the agent does"});
    return true;
  }
  return false;
}

}  // namespace

void look_at_config(const Patient& patient, Findings& out) {
  const Loaded& loaded = patient.loaded;
  for (std::size_t i = 0; i < std::min(loaded.problems.size(), most_lines); ++i) {
    out.push_back({Level::problem, "config", loaded.problems[i].format(),
                   "correct it; vitald check-config -c " + patient.config_file + " shows all of them"});
  }
  if (loaded.problems.size() > most_lines) {
    out.push_back({Level::problem, "config", fmt::format("and {} mistakes more", loaded.problems.size() - most_lines),
                   "vitald check-config -c " + patient.config_file});
  }
  for (std::size_t i = 0; i < std::min(loaded.warnings.size(), most_lines); ++i) {
    // A warning says itself what to do; what it says after the last semicolon is that.
    const std::string line = loaded.warnings[i].format();
    const std::size_t at = line.rfind("; ");
    const bool is_secret = line.find("can be read by everybody") != std::string::npos;
    out.push_back({is_secret ? Level::problem : Level::warning, is_secret ? "secrets" : "config", line.substr(0, at),
                   at == std::string::npos ? "vitald check-config -c " + patient.config_file : line.substr(at + 2)});
  }
  if (loaded.config == nullptr) return;
  bool is_open = false;
  for (const std::string& file : loaded.config->files) is_open = is_open_to_others(file, "config", out) || is_open;
  if (!is_open) {
    out.push_back({Level::ok,
                   "config",
                   fmt::format("{}: {} checks, {} services", patient.config_file, loaded.config->plan->checks.size(),
                               loaded.config->plan->services.size()),
                   {}});
  }
}

void look_at_worker(const Patient& patient, Findings& out) {
  if (access(patient.worker.c_str(), X_OK) == 0) {
    out.push_back({Level::ok, "worker", patient.worker, {}});
  } else {
    out.push_back({Level::problem, "worker", patient.worker + ": " + because(errno) + "; without it nothing is probed",
                   "install vitald again, whole"});
  }
}

void look_at_modules(const Patient& patient, Findings& out) {
  if (access(patient.worker.c_str(), X_OK) != 0) return;  // who would load them
  RegistryOptions where{patient.builtin_path, {}, patient.worker, {}};
  // Known also where the configuration has mistakes: a module that cannot be loaded is one.
  if (patient.loaded.registry != nullptr) where.module_path = patient.loaded.registry->options().module_path;
  const std::size_t before = out.size();
  for (const auto& path : {where.builtin_path, where.module_path}) {
    for (const std::string& directory : path) {
      if (access(directory.c_str(), R_OK | X_OK) != 0) {
        out.push_back({Level::problem, "modules", directory + ": " + because(errno),
                       "install vitald again, or correct module_path"});
        continue;
      }
      is_open_to_others(directory, "modules", out);
      std::error_code error;
      for (const auto& file : std::filesystem::directory_iterator(directory, error)) {
        if (file.path().extension() == ".so") is_open_to_others(file.path().string(), "modules", out);
      }
    }
  }
  const bool are_open = out.size() > before;
  Registry registry(where);
  for (const std::string& problem : registry.problems()) {
    if (!are_open) out.push_back({Level::problem, "modules", problem, "give it to root, and to nobody else to write"});
  }
  const auto types = registry.types();
  for (const std::string& type : types) {
    std::string why;
    if (registry.describe(type, &why) == nullptr) {
      out.push_back(
          {Level::problem, "modules", type + ": " + why, "build it for this version, or take it out of its directory"});
    }
  }
  if (types.empty()) {
    out.push_back({Level::problem, "modules", "there are none in " + join(where.builtin_path, ", "),
                   "install vitald again, whole"});
  }
  if (out.size() == before) {
    out.push_back({Level::ok, "modules", fmt::format("{} types can be loaded", types.size()), {}});
  }
}

void look_at_state(const Patient& patient, Findings& out) {
  if (patient.loaded.config == nullptr) return;
  const Config& config = *patient.loaded.config;
  const std::string& path = config.state_dir;
  struct stat seen {};
  if (stat(path.c_str(), &seen) != 0) {
    const int error = errno;
    const bool is_coming =
        error == ENOENT && access(std::filesystem::path(path).parent_path().c_str(), W_OK | X_OK) == 0;
    if (is_coming) {
      out.push_back({Level::ok, "state", path + " is not there yet: the agent makes it when it starts", {}});
    } else {
      out.push_back({Level::problem, "state", path + ": " + because(error),
                     "make it, and give it to the user the agent runs as, or write another state_dir"});
    }
    return;
  }
  const std::size_t before = out.size();
  if (!S_ISDIR(seen.st_mode)) {
    out.push_back({Level::problem, "state", path + " is no directory", "write a directory as state_dir"});
    return;
  }
  is_open_to_others(path, "state", out);
  if (access(path.c_str(), W_OK | X_OK) != 0 && errno != EROFS && geteuid() == seen.st_uid) {
    out.push_back({Level::problem, "state", path + " cannot be written: " + because(errno), "chmod u+rwx " + path});
  }
  struct statvfs disk {};
  if (statvfs(path.c_str(), &disk) == 0) {
    struct stat journal {};
    const std::string file = path + "/journal.db";
    const std::uint64_t used = stat(file.c_str(), &journal) == 0 ? static_cast<std::uint64_t>(journal.st_size) : 0;
    const std::uint64_t grows =
        config.journal.is_enabled ? config.journal.max_bytes - std::min(config.journal.max_bytes, used) : 0;
    const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
    if ((disk.f_flag & ST_RDONLY) != 0) {
      out.push_back({Level::problem, "state", path + " is on a file system that is mounted read-only",
                     "mount it writable, or write another state_dir"});
    } else if (free < spare_bytes) {
      out.push_back({Level::problem, "state", fmt::format("{} has {} left", path, size_text(free)),
                     "make room, or write another state_dir"});
    } else if (free < grows + spare_bytes) {
      out.push_back(
          {Level::warning, "state",
           fmt::format("{} has {} left, and the journal may grow by {}", path, size_text(free), size_text(grows)),
           "make room, or write a smaller journal.max_size"});
    }
    if (out.size() == before)
      out.push_back({Level::ok, "state", fmt::format("{}, {} left", path, size_text(free)), {}});
  }
}

}  // namespace vital::doctor
