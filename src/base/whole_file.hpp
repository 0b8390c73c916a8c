// A small file of our own, read whole. Never waits for a writer, should somebody have put a pipe there. Any thread.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"

namespace vital {

// Nothing if it cannot be read, with errno in `error`: ENOENT where there is none. Of a file that is longer than `most`
// bytes, a little more than that.
inline std::optional<std::string> whole_file(const std::string& path, std::size_t most, int* error) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string text;
  char part[65536];
  ssize_t n = file ? 0 : -1;
  while (file && (n = read(file.get(), part, sizeof part)) > 0 && text.size() <= most) {
    text.append(part, static_cast<std::size_t>(n));
  }
  *error = n < 0 ? errno : 0;
  if (n < 0) return {};
  return text;
}

}  // namespace vital
