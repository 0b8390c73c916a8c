// Finding modules and asking what they declare; see registry.hpp.
#include "modules/registry.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <variant>

#include "base/text.hpp"
#include "modules/one_shot.hpp"
#include "modules/wire.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

// Empty if nobody but root and us can change it: a module is code that sees the secrets of its checks.
std::string why_unsafe(const std::string& path) {
  struct stat seen {};
  if (stat(path.c_str(), &seen) != 0) return fmt::format("{}: {}", path, std::strerror(errno));
  if (seen.st_uid != 0 && seen.st_uid != geteuid()) {
    return fmt::format("{} belongs to user {}: make root its owner", path, seen.st_uid);
  }
  if ((seen.st_mode & S_IWOTH) != 0) return fmt::format("{} is writable by everybody: chmod o-w it", path);
  if ((seen.st_mode & S_IWGRP) != 0 && seen.st_gid != 0 && seen.st_gid != getegid()) {
    return fmt::format("{} is writable by group {}: chmod g-w it", path, seen.st_gid);
  }
  return {};
}

std::vector<std::string> modules_in(const std::string& directory, std::string* problem) {
  std::vector<std::string> out;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(directory, error); !error && it != std::filesystem::end(it);
       it.increment(error)) {
    if (it->path().extension() == ".so") out.push_back(it->path().string());
  }
  if (error) *problem = fmt::format("{}: {}", directory, error.message());
  std::ranges::sort(out);
  return out;
}

}  // namespace

Registry::Registry(RegistryOptions options) : options_(std::move(options)) {
  if (options_.patience <= Duration::zero()) options_.patience = 5s;
  const auto scan = [this](const std::string& directory, bool is_builtin) {
    std::string problem = why_unsafe(directory);
    std::vector<std::string> files;
    if (problem.empty()) files = modules_in(directory, &problem);
    for (const std::string& path : files) {
      const std::string type = std::filesystem::path(path).stem().string();
      const auto [at, is_new] = found_.emplace(type, Found{path, is_builtin, nullptr, {}});
      if (is_new) {
        at->second.failure = why_unsafe(path);
      } else if (at->second.path != path) {
        problems_.push_back(
            fmt::format("{}: there is a module of this type already, {}: remove or rename one", path, at->second.path));
      }
    }
    if (!problem.empty()) problems_.push_back(problem);
  };
  for (const std::string& directory : options_.builtin_path) scan(directory, true);
  for (const std::string& directory : options_.module_path) scan(directory, false);
}

std::vector<std::string> Registry::types() const {
  std::vector<std::string> out;
  for (const auto& [type, found] : found_) out.push_back(type);
  return out;
}

std::shared_ptr<const ModuleInfo> Registry::describe(std::string_view type, std::string* why) {
  const auto at = found_.find(type);
  if (at == found_.end()) {
    const auto near = nearest(type, types());
    *why = fmt::format("there is no check type '{}'{}", one_line(type, 64),
                       near ? fmt::format(": did you mean '{}'?", *near) : "; vitald modules lists them");
    return nullptr;
  }
  Found& found = at->second;
  if (found.info != nullptr) return found.info;
  if (found.failure.empty()) ask(found);
  if (found.info == nullptr) *why = found.failure;
  return found.info;
}

void Registry::ask(Found& found) {
  try {
    OneShot worker(options_.worker, "describe");
    std::string how;
    const auto answer = worker.ask(wire::Describe{found.path}, options_.patience, &how);
    const auto* described = answer ? std::get_if<wire::Described>(&*answer) : nullptr;
    if (described == nullptr) {
      found.failure = fmt::format("{} {} while it was loaded", found.path, how);
    } else if (!described->problem.empty()) {
      found.failure = described->problem;
    } else {
      auto info = std::make_shared<ModuleInfo>(described->info);
      info->path = found.path;
      info->is_builtin = found.is_builtin;
      found.info = std::move(info);
    }
  } catch (const std::system_error& e) {
    found.failure = fmt::format("cannot ask {}: {}", found.path, e.what());
  }
}

std::vector<SpecProblem> Registry::validate(std::span<const std::shared_ptr<const CheckSpec>> specs) {
  std::vector<SpecProblem> problems;
  std::unique_ptr<OneShot> worker;  // a new one after each that a module took with it
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const CheckSpec& spec = *specs[i];
    const auto number = static_cast<std::uint32_t>(i + 1);
    try {
      if (worker == nullptr) worker = std::make_unique<OneShot>(options_.worker, "validate");
      if (!worker->tell(wire::Prepare{number, spec.check, spec.module.path, spec.values})) {
        problems.push_back({i, "", "the options are too long: all of a check's together may have 256 KiB"});
        continue;
      }
      std::string how;
      const auto answer = worker->ask(wire::Create{number}, options_.patience, &how);
      const auto* created = answer ? std::get_if<wire::Created>(&*answer) : nullptr;
      if (created == nullptr || created->instance != number) {
        problems.push_back({i, "",
                            fmt::format("the module {} {} while it was set up with these options", spec.module.path,
                                        created == nullptr ? how : "lost its way")});
        worker.reset();
        continue;
      }
      if (!created->is_ok) problems.push_back({i, created->option, created->text});
      // Its destroy() is part of the trial; if it crashes, the next question finds out whom to blame.
      if (const std::string trouble = try_to_end(*worker, number); !trouble.empty()) {
        problems.push_back({i, "", fmt::format("the module {} {} while it was torn down", spec.module.path, trouble)});
        worker.reset();
      }
    } catch (const std::system_error& e) {
      problems.push_back({i, "", fmt::format("cannot be tried: {}", e.what())});
      return problems;  // it would be the same for all of them
    }
  }
  return problems;
}

std::string Registry::try_to_end(OneShot& worker, std::uint32_t number) const {
  std::string how;
  worker.tell(wire::Forget{number});
  const auto answer = worker.ask(wire::Ping{number}, options_.patience, &how);
  return answer ? std::string() : how;
}

}  // namespace vital
