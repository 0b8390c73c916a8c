// Instance: one check's instance of a module inside a worker, with the host struct the module sees and everything it
// registered with us, so that what a careless module forgets is taken back when the instance ends. [loop]
#pragma once

#include <vitald/ext/loop.h>
#include <vitald/ext/resolve.h>
#include <vitald/ext/spawn.h>
#include <vitald/module.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

namespace vital::worker {

class Host;
class ModuleFile;
struct InstanceSpec;
struct Refusal;

class Instance {
 public:
  Instance(Host& host, std::uint32_t number, InstanceSpec spec);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // The instance behind the pointer a module hands us.
  static Instance& of(const vital_host* abi) { return *reinterpret_cast<const Face*>(abi)->instance; }

  Host& host() const { return host_; }
  std::uint32_t number() const { return number_; }
  const std::string& check() const;
  const InstanceSpec& spec() const { return *spec_; }
  const ModuleFile& module() const { return *module_; }
  bool is_created() const { return is_created_; }
  void* handle() const { return handle_; }
  const vital_host* face() const { return &face_.abi; }

  // Calls the module's create().
  bool create(const ModuleFile& module, Refusal& refusal);

  // What the module holds of ours; freed at the latest with the instance.
  std::unordered_map<vital_watch*, std::unique_ptr<vital_watch>> watches;
  std::unordered_map<vital_timer*, std::unique_ptr<vital_timer>> timers;
  std::unordered_map<vital_query*, std::unique_ptr<vital_query>> queries;
  std::unordered_map<vital_child*, std::unique_ptr<vital_child>> children;

 private:
  struct Face {
    vital_host abi;  // first: a module's pointer to it is a pointer to us
    Instance* instance;
  };
  Host& host_;
  std::uint32_t number_;
  std::unique_ptr<InstanceSpec> spec_;
  const ModuleFile* module_ = nullptr;
  Face face_;
  void* handle_ = nullptr;
  bool is_created_ = false;
};

// The services by name; null for one we do not have, or that a blocking module cannot use.
const void* find_service(const char* name, bool is_async);

}  // namespace vital::worker
