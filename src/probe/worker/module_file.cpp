// Loading and judging a module's file; see module_file.hpp.
#include "probe/worker/module_file.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/text.hpp"
#include "probe/worker/module_table.hpp"

namespace vital::worker {

std::unique_ptr<ModuleFile> ModuleFile::load(const std::string& path, std::string* why) {
  const auto refuse = [&](const std::string& what) {
    *why = one_line(path + " " + what);
    return std::unique_ptr<ModuleFile>();
  };
  struct stat seen {};
  if (stat(path.c_str(), &seen) != 0) return refuse(fmt::format("cannot be read: {}", std::strerror(errno)));
  if (!S_ISREG(seen.st_mode)) return refuse("is not a file");
  if ((seen.st_mode & S_IWOTH) != 0) return refuse("is writable by everybody: chmod o-w it");

  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* error = dlerror();
    std::string text = error == nullptr ? "no reason given" : error;
    if (text.starts_with(path + ": ")) text.erase(0, path.size() + 2);
    return refuse("cannot be loaded: " + text);
  }
  const auto entry = reinterpret_cast<vital_module_entry_fn>(dlsym(handle, "vital_module_entry"));
  if (entry == nullptr) return refuse("is not a vitald module: it exports no vital_module_entry");
  const vital_module* foreign = nullptr;
  try {
    foreign = entry(VITAL_ABI_MAJOR, VITAL_ABI_MINOR);
  } catch (...) {
    return refuse("threw an exception while it described itself");
  }
  if (foreign == nullptr) {
    return refuse(fmt::format("does not work with module ABI {}, which this vitald speaks: get one made for it",
                              abi_version(VITAL_ABI_MAJOR, VITAL_ABI_MINOR)));
  }
  auto module = std::unique_ptr<ModuleFile>(new ModuleFile);
  module->info_.path = path;
  const std::string problem =
      read_table(foreign, std::filesystem::path(path).stem().string(), module->table_, module->info_);
  if (!problem.empty()) return refuse(problem);
  return module;
}

}  // namespace vital::worker
