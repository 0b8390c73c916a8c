// The table /proc/self/mountinfo, read for what it says about one mount. Pure. [any]
#pragma once

#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace vital::check {

struct Mount {
  unsigned long long id = 0;
  std::string point, type;
  std::string source;         // "nfs1:/srv/app", "/dev/sda1"
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

// The table writes space, tab, newline and backslash as \ooo.
inline std::string without_escapes(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue": id, parent, device, root, point,
// options of the mount, any number of tags, a dash, type, source, options of the filesystem.
inline std::optional<Mount> mount_in(const std::string& line) {
  std::istringstream fields(line);
  std::string parent, device, root, options, tag, super;
  Mount m;
  fields >> m.id >> parent >> device >> root >> m.point >> options;
  while (fields >> tag && tag != "-") {
  }
  if (!(fields >> m.type >> m.source >> super)) return {};
  m.point = without_escapes(m.point);
  m.source = without_escapes(m.source);
  m.is_read_only = has_word(options, "ro");
  m.is_filesystem_read_only = has_word(super, "ro");
  return m;
}

inline std::optional<Mount> find_mount(const std::string& mountinfo, unsigned long long id) {
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    if (std::optional<Mount> m = mount_in(line); m && m->id == id) return m;
  }
  return {};
}

// What is mounted at exactly this path: the last one, where several lie on top of each other.
inline std::optional<Mount> find_mount_at(const std::string& mountinfo, const std::string& point) {
  std::istringstream lines(mountinfo);
  std::optional<Mount> found;
  for (std::string line; std::getline(lines, line);) {
    if (std::optional<Mount> m = mount_in(line); m && m->point == point) found = std::move(m);
  }
  return found;
}

}  // namespace vital::check
