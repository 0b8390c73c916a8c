// Log: where lines go: stderr (for journald with the priority it understands) or a file. Writing never waits: a reader
// that does not read costs lines, which are counted, and never the loop. A storm is cut off the same way.
//
//   Log log;
//   log.configure({LogConfig::Format::json, "/var/log/vitald.log"}, "web-1");   // throws, and stays as it was
//   log.write(event);
//
// Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "agent/log_line.hpp"
#include "base/time.hpp"
#include "base/unique_fd.hpp"
#include "config/config.hpp"

namespace vital {

// A token bucket over the monotonic time it is given. Pure.
class RateBound {
 public:
  RateBound(double per_second, double burst) : per_second_(per_second), burst_(burst), tokens_(burst) {}
  bool take(Instant now);

 private:
  double per_second_;
  double burst_;
  double tokens_;
  Instant as_of_{};
};

class Log {
 public:
  // To stderr until configured.
  explicit Log(int stderr_fd = 2);

  // Opens the file (append, 0640) if one is named; throws std::system_error that names it, and changes nothing. The
  // same file is opened anew, so that log rotation needs no more than a SIGHUP.
  void configure(const LogConfig& config, const std::string& node);

  void write(const Event& event, Instant now);

  // Lines not written: the bound was reached, or nobody took them.
  std::uint64_t dropped() const;

 private:
  bool put(const std::string& line);

  mutable std::mutex m_;
  // All guarded by m_.
  int stderr_fd_;
  UniqueFd file_;
  bool is_socket_ = false;
  bool is_file_ = false;
  bool is_journal_ = false;
  LogConfig::Format format_ = LogConfig::Format::logfmt;
  std::string node_;
  RateBound bound_;
  std::uint64_t dropped_ = 0;
  std::uint64_t dropped_said_ = 0;  // as far as the log itself told
};

}  // namespace vital
