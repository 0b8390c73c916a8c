// Registry: which check types exist and what each declares. The agent never loads a module: a short-lived
// `vitald-worker` loads it, tells us its tables, and exits, so that even a module that crashes while it is loaded costs
// nothing but a line. [control]: these calls wait (bounded) for that worker; never call them on the agent's loop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "modules/option.hpp"

namespace vital {

class OneShot;

struct RegistryOptions {
  std::vector<std::string> builtin_path;  // the agent's own modules
  std::vector<std::string> module_path;  // operators' modules; must be owned by root (or us) and not writable by others
  std::string worker;                    // path of vitald-worker
  Duration patience{};                   // for one module to load and describe itself; default 5 s if zero
};

// What create() said of one check's options: `option` may be empty.
struct SpecProblem {
  std::size_t index = 0;  // into the span given to validate()
  std::string option;
  std::string text;
};

class Registry {
 public:
  // Lists the files; loads nothing yet. Two files of one type, or a directory others may write to, make a problem line
  // and are left out.
  explicit Registry(RegistryOptions options);

  // Every type found, sorted. The type is the file's stem: postgres.so declares "postgres".
  std::vector<std::string> types() const;

  // The declaration of one type, loaded on first use and kept. Null if there is none, and *why says why in one line
  // (unknown type; wrong magic; foreign ABI with both versions named; crashed or hung while loading; wrong owner or
  // mode).
  std::shared_ptr<const ModuleInfo> describe(std::string_view type, std::string* why);

  // Lets each module check its own options (a regular expression that does not compile, two options that exclude each
  // other) by create() and destroy() in short-lived workers. No I/O to any target.
  std::vector<SpecProblem> validate(std::span<const std::shared_ptr<const CheckSpec>> specs);

  // What was wrong with the directories themselves.
  const std::vector<std::string>& problems() const { return problems_; }
  const RegistryOptions& options() const { return options_; }

 private:
  struct Found {
    std::string path;
    bool is_builtin = false;
    std::shared_ptr<const ModuleInfo> info;
    std::string failure;  // once it failed, it is not tried again
  };
  void ask(Found& found);
  std::string try_to_end(OneShot& worker, std::uint32_t number) const;  // empty if it went well

  RegistryOptions options_;
  std::map<std::string, Found, std::less<>> found_;
  std::vector<std::string> problems_;
};

}  // namespace vital
