// Plugin: one lasting child that answers requests in JSON lines, many in flight, shared by the checks that name the
// same command. It is started with the first request, killed when it hangs or speaks garbage, restarted with a growing
// pause, and ended with the last check that uses it. [loop]
//
//   auto plugin = Plugin::shared(host, command, key);   // the same for the same key
//   plugin->ask(*this, line);                            // this->answered(result) or this->lost(why), once
//   plugin->withdraw(id);                                // its time is over
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include <vitald/check.hpp>

#include "../command.hpp"
#include "../net/loop.hpp"

namespace vital::lines {

// Who waits for an answer. Either call may destroy it.
class Asker {
 public:
  virtual ~Asker() = default;
  virtual void answered(check::Result result) = 0;
  virtual void lost(const check::Result& why) = 0;  // the child died, or could not be spoken to
};

class Plugin {
 public:
  struct Counters {
    uint64_t late = 0;      // answers to what had been given up
    uint64_t restarts = 0;  // starts after the first
  };

  // The child of this command, if some check has it already; else a new one, not started yet. `host` must stay until
  // leave(host).
  static std::shared_ptr<Plugin> shared(const check::Host& host, const check::Command& command, const std::string& key);
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  uint64_t next_id() { return next_id_++; }
  // Empty if the request is on its way, else why not.
  std::optional<check::Result> ask(uint64_t id, Asker& asker, const std::string& line);
  // Nobody waits for it any more. If the child has said nothing at all since it was asked, it hangs, and is killed.
  void withdraw(uint64_t id, bool is_overdue);
  void join(const check::Host& host);
  // Its watches move to the host of another check, if there is one.
  void leave(const check::Host& host);

  const Counters& counters() const { return counters_; }
  const std::string& name() const { return command_.argv[0]; }
  void trouble(const char* what) noexcept;  // something threw in a callback

 private:
  struct Asked {
    Asker* asker;
    check::Duration at;
  };
  // What hangs on one host: watches of the child's pipes, and the moment it is given to end by itself.
  struct Wiring {
    explicit Wiring(const check::Host& on) : host(on), out(on), error(on), in(on), closed(on) {}
    check::Host host;
    net::Watch out, error, in;
    net::Timer closed;
  };

  Plugin(check::Command command, std::string key);
  bool start(std::string& why);
  void wire();
  void read_output(int, uint32_t);
  void read_errors(int, uint32_t);
  void write_more(int, uint32_t);
  void closed();
  void take_lines();
  void end(const std::string& why, bool is_crash);
  void reap();
  void tidy(check::Duration now);
  void log(const std::string& text);

  const check::Command command_;
  const std::string key_;
  std::vector<check::Host> hosts_;
  std::optional<Wiring> wiring_;
  pid_t pid_ = -1;
  std::vector<pid_t> dying_;  // killed, not reaped yet
  check::Duration killed_at_{}, tidied_at_{};
  check::Fd in_, out_, error_;
  std::string to_send_, received_, complaint_;
  std::map<uint64_t, Asked> asked_;
  uint64_t next_id_ = 1;
  check::Duration started_at_{}, heard_at_{}, may_start_at_{};
  unsigned failures_ = 0;
  std::string last_failure_;
  Counters counters_;
};

}  // namespace vital::lines
