// ConfigLoader: reads a config on a thread of its own, since that waits for files and for short-lived workers, and
// hands it to the loop. One load at a time. [loop]
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "loop/inherited.hpp"
#include "loop/mailbox.hpp"
#include "publish/front.hpp"

namespace vital {

// A config, and what the front needs for it: certificates are files too.
struct Prepared {
  Loaded loaded;
  FrontOptions front;  // if there is a config
};

class ConfigLoader {
 public:
  explicit ConfigLoader(std::shared_ptr<Mailbox> mail) : mail_(std::move(mail)) {}
  // A load under way is left to itself; `loaded` will not be called.
  ~ConfigLoader();
  ConfigLoader(const ConfigLoader&) = delete;
  ConfigLoader& operator=(const ConfigLoader&) = delete;

  bool is_busy() const { return busy_ != nullptr; }
  // Only while not busy. `loaded` is called on the loop, with a problem line instead of an exception.
  void load(const LoadOptions& options, const std::vector<InheritedSocket>& inherited,
            std::function<void(Prepared)> loaded);

 private:
  struct Busy {
    bool is_wanted = true;  // loop only
  };
  std::shared_ptr<Mailbox> mail_;
  std::shared_ptr<Busy> busy_;
};

}  // namespace vital
