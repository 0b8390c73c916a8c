// A line of /proc/self/mountinfo, read for what it says about one mount. Pure. [any]
#pragma once

#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace vital::check {

struct Mount {
  std::string point, type;
  bool is_read_only = false;  // this mount: also by a sandbox or a bind mount of our own
  bool is_filesystem_read_only =
      false;  // the filesystem itself, for everybody: remounted after an error, or on purpose
};

inline bool has_word(const std::string& list, std::string_view word) {
  std::istringstream words(list);
  for (std::string w; std::getline(words, w, ',');) {
    if (w == word) return true;
  }
  return false;
}

// "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue": id, parent, device, root, point,
// options of the mount, any number of tags, a dash, type, source, options of the filesystem.
inline std::optional<Mount> find_mount(const std::string& mountinfo, unsigned long long id) {
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    unsigned long long line_id = 0;
    std::string parent, device, root, options, tag, source, super;
    Mount m;
    if (!(fields >> line_id) || line_id != id) continue;
    fields >> parent >> device >> root >> m.point >> options;
    while (fields >> tag && tag != "-") {
    }
    if (!(fields >> m.type >> source >> super)) return {};
    m.is_read_only = has_word(options, "ro");
    m.is_filesystem_read_only = has_word(super, "ro");
    return m;
  }
  return {};
}

}  // namespace vital::check
