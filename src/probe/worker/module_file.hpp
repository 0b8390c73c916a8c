// ModuleFile: one .so, loaded, looked over and never unloaded (libraries with thread-local destructors do not survive
// dlclose). Everything a foreign binary may get wrong in its table is found here, before any of its functions is
// called, and costs one clear line. The only room that calls dlopen, and only inside a worker. [control]
#pragma once

#include <vitald/module.h>

#include <memory>
#include <string>

#include "modules/option.hpp"

namespace vital::worker {

class ModuleFile {
 public:
  // Null and one line in *why if it cannot be loaded or its table is wrong.
  static std::unique_ptr<ModuleFile> load(const std::string& path, std::string* why);

  const vital_module& table() const { return table_; }
  const ModuleInfo& info() const { return info_; }
  bool is_async() const { return info_.lane == Lane::async; }

 private:
  vital_module table_{};  // our copy: only what lies within the size the module declared
  ModuleInfo info_;
};

}  // namespace vital::worker
