// What every vitalctl command shares: its place in the table, the socket it speaks to, the codes it ends with.
#pragma once

#include <string>

#include "base/time.hpp"
#include "cmd/cmd.hpp"
#include "ctl/client.hpp"
#include "ctl/table.hpp"

namespace vital::ctl {

// As Nagios plugins end. Commands that do not look at a state end with 0 or 1.
constexpr int exit_pass = 0;
constexpr int exit_warn = 1;
constexpr int exit_fail = 2;
constexpr int exit_unknown = 3;

// Commands; argv[0] is the command's own name. Each may throw CtlError.
int status(int argc, char** argv);
int check(int argc, char** argv);
int drain(int argc, char** argv);
int maintenance(int argc, char** argv);
int resume(int argc, char** argv);
int events(int argc, char** argv);
int history(int argc, char** argv);
int failover(int argc, char** argv);
int availability(int argc, char** argv);
int replay(int argc, char** argv);
int advise(int argc, char** argv);
int doctor(int argc, char** argv);
int init(int argc, char** argv);
int reload(int argc, char** argv);
int lint_command(int argc, char** argv);
int report(int argc, char** argv);
int names(int argc, char** argv);

constexpr cmd::Option socket_option{0, "socket", "PATH", "the agent's admin socket, or $VITALD_SOCKET",
                                    "/run/vitald/admin.sock"};
// --socket, else $VITALD_SOCKET, else the default.
std::string socket_path(const cmd::Arguments& args);

// How long ago a time of the API was, for people: "2h 3m"; "-" for null.
std::string ago(const std::string& rfc3339, WallTime now);
// Milliseconds of the API for people.
std::string friendly_ms(double ms);

Ink ink_of(const std::string& state);
int code_of(const std::string& state);

}  // namespace vital::ctl
