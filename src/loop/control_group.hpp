// ControlGroup: a cgroup (version 2) of one worker, so that it and all it ever started end by one write, whatever
// sessions or groups they made. Only where somebody delegated a group to us: systemd by Delegate=yes, or whoever owns
// the group we run in. Everywhere else there are none, and who asks falls back to process groups and orphans. [loop]
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace vital {

class ControlGroup {
 public:
  // The directory in which groups may be made: our own group, if it is delegated. Looks, and tidies up what an agent
  // that was killed has left there. Call it once.
  static std::optional<std::string> delegated();

  // Empty if the kernel refuses.
  static std::optional<ControlGroup> make(const std::string& parent, const std::string& name);
  ~ControlGroup();  // removed if it is empty; see is_gone()
  ControlGroup(ControlGroup&& other) noexcept;
  ControlGroup& operator=(ControlGroup&& other) noexcept;
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;

  bool add(pid_t pid);
  // SIGKILL to all that is in it.
  bool kill();
  // Tries to remove it: true if that is done. While something in it waits in the kernel, it stays.
  bool is_gone();

 private:
  explicit ControlGroup(std::string path) : path_(std::move(path)) {}
  std::string path_;  // empty = removed, or moved from
};

}  // namespace vital
