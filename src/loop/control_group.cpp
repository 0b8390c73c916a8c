// Making and ending control groups; see control_group.hpp.
#include "loop/control_group.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <memory>
#include <sstream>
#include <string_view>
#include <utility>

#include "base/unique_fd.hpp"

namespace vital {
namespace {

constexpr std::string_view prefix = "vitald-worker-";

bool put(const std::string& path, std::string_view text) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Where version 2 is mounted: beside version 1 or alone.
std::string mount_point() {
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    const auto dash = line.find(" - cgroup2 ");
    if (dash == std::string::npos) continue;
    std::istringstream fields(line);
    std::string skipped, root, point;
    fields >> skipped >> skipped >> skipped >> root >> point;
    return point;
  }
  return {};
}

std::string own_path() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::")) return line.substr(3);
  }
  return {};
}

// Systemd marks what it delegates; without systemd, a group that belongs to an ordinary user was given to him.
bool is_delegated(const std::string& directory) {
  char mark = 0;
  for (const char* name : {"user.delegate", "trusted.delegate"}) {
    if (getxattr(directory.c_str(), name, &mark, 1) == 1 && mark == '1') return true;
  }
  struct stat seen {};
  return geteuid() != 0 && stat(directory.c_str(), &seen) == 0 && seen.st_uid == geteuid();
}

void remove_leftovers(const std::string& parent) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(parent.c_str()), &closedir);
  while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
    if (std::string_view(entry->d_name).starts_with(prefix)) rmdir((parent + "/" + entry->d_name).c_str());
  }
}

}  // namespace

std::optional<std::string> ControlGroup::delegated() {
  const std::string point = mount_point();
  const std::string path = own_path();
  if (point.empty() || path.empty()) return {};
  const std::string directory = path == "/" ? point : point + path;
  if (!is_delegated(directory) || access((directory + "/cgroup.kill").c_str(), W_OK) != 0) return {};
  remove_leftovers(directory);
  return directory;
}

std::optional<ControlGroup> ControlGroup::make(const std::string& parent, const std::string& name) {
  std::string path = fmt::format("{}/{}{}", parent, prefix, name);
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return {};
  return ControlGroup(std::move(path));
}

ControlGroup::~ControlGroup() { is_gone(); }
ControlGroup::ControlGroup(ControlGroup&& other) noexcept : path_(std::exchange(other.path_, {})) {}
ControlGroup& ControlGroup::operator=(ControlGroup&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

bool ControlGroup::add(pid_t pid) { return put(path_ + "/cgroup.procs", std::to_string(pid)); }
bool ControlGroup::kill() { return !path_.empty() && put(path_ + "/cgroup.kill", "1"); }

bool ControlGroup::is_gone() {
  if (path_.empty()) return true;
  if (rmdir(path_.c_str()) != 0 && errno != ENOENT) return false;
  path_.clear();
  return true;
}

}  // namespace vital
