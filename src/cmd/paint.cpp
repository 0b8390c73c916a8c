// Whether to use colour, and how; see cmd.hpp.
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "cmd/cmd.hpp"

namespace vital::cmd {

Paint::Paint() {
  const char* unwanted = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  is_on_ = (unwanted == nullptr || *unwanted == '\0') && terminal != nullptr && std::string_view(terminal) != "dumb" &&
           isatty(STDOUT_FILENO) == 1;
}

std::string Paint::in(std::string_view code, std::string_view text) const {
  if (!is_on_ || text.empty()) return std::string(text);
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

}  // namespace vital::cmd
