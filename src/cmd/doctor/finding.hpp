// What `vitalctl doctor` looks at, one function a subject, each in a file of its room. Every function waits only as
// long as its own bounds say, and none of them changes anything. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace vital::doctor {

enum class Level : std::uint8_t { ok, warning, problem };

struct Finding {
  Level level = Level::ok;
  std::string subject;  // "config"
  std::string text;     // what is so: one line
  std::string mend;     // what to do about it; empty where it is well
};
using Findings = std::vector<Finding>;

// What every function may know.
struct Patient {
  std::string config_file;
  std::string worker;                     // path of vitald-worker
  std::vector<std::string> builtin_path;  // the agent's own modules
  std::string socket;                     // the admin socket, where it was named; else the configuration's
  Loaded loaded;                          // of config_file; `config` is null if it is not valid

  // What the running agent says of itself.
  bool is_running = false;
  pid_t agent = 0;  // 0 = not known
};

// parts.cpp: what is installed and written.
void look_at_config(const Patient& patient, Findings& out);
void look_at_worker(const Patient& patient, Findings& out);
void look_at_modules(const Patient& patient, Findings& out);
void look_at_state(const Patient& patient, Findings& out);

// running.cpp: the agent, its unit and its ports. look_at_agent() comes first, since it finds out who runs.
void look_at_agent(Patient& patient, Findings& out);
void look_at_unit(Findings& out);
void look_at_ports(const Patient& patient, Findings& out);
void look_at_limits(const Patient& patient, Findings& out);

// around.cpp: what a host gives its programs.
void look_at_clock(Findings& out);
void look_at_resolver(Findings& out);

// targets.cpp: each check of the configuration, probed once.
void look_at_targets(const Patient& patient, Findings& out);

}  // namespace vital::doctor
