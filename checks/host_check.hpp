// What the checks share that read counters of this host and judge what changed since they last looked: they are async,
// because only the async worker's instances outlive a probe, and because reading a few files of the kernel takes
// microseconds. One object of this kind is one configured check. [loop]
#pragma once

#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vitald/check.hpp>

#include "net/loop.hpp"

namespace vital::check {

// A kernel's file, whole. Empty if it cannot be read.
inline std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The option `cgroup`: a directory, or empty for the whole host.
inline std::string cgroup_option(const Options& o) {
  const std::string path = o.text_or("cgroup", "");
  if (!path.empty() && path.front() != '/') {
    throw Invalid("cgroup",
                  "\"" + path +
                      "\" is no directory; write /sys/fs/cgroup/system.slice/app.service, for example, or leave it "
                      "out for the whole host");
  }
  return path;
}
inline Result no_such_group(const std::string& path, const char* what) {
  return fail(Cause::content, path + ": no such control group, or it has no " + what);
}

class HostCheck : public Async {
 public:
  explicit HostCheck(const Host& host) : host_(host) {
    if (host.loop == nullptr) throw Invalid("", "this vitald offers no " VITAL_SERVICE_LOOP);
  }
  std::unique_ptr<AsyncProbe> start(const Attempt& attempt, Finisher finisher) override {
    return std::make_unique<Look>(*this, attempt, finisher);
  }

 protected:
  // One look at this moment of CLOCK_MONOTONIC. Empty if there is nothing to compare with yet: it is asked again a
  // moment later, within the same probe, and must have an answer then.
  virtual std::optional<Result> look(Duration now) = 0;

 private:
  class Look final : public AsyncProbe {
   public:
    Look(HostCheck& check, const Attempt& attempt, Finisher finisher)
        : check_(check),
          again_in_(std::min<Duration>(std::chrono::seconds(1), attempt.remaining() / 2)),
          finisher_(finisher),
          timer_(check.host_) {
      timer_.arm<&Look::look>(this, Duration::zero());
    }
    void trouble(const char* what) noexcept {
      finisher_.finish(unknown(Cause::agent, std::string("the check threw: ") + what));
    }

   private:
    void look() {
      const std::optional<Result> result = check_.look(monotonic_now());
      if (result) return finisher_.finish(*result);
      if (has_waited_) return finisher_.finish(unknown(Cause::agent, "two looks gave nothing to compare"));
      has_waited_ = true;
      timer_.arm<&Look::look>(this, again_in_);
    }

    HostCheck& check_;
    const Duration again_in_;
    const Finisher finisher_;
    net::Timer timer_;
    bool has_waited_ = false;
  };

  const Host host_;
};

}  // namespace vital::check
