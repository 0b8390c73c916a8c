// Ports that run programs: `exec`, `pacemaker` (attrd_updater), and `nginx` (a file, and a reload). Each program is a
// child with a clean environment that is killed with all it started when it takes too long. [loop]
#pragma once

#include <memory>

#include "loop/loop.hpp"
#include "outputs/port.hpp"

namespace vital {

std::unique_ptr<Port> make_exec_port(Loop& loop, const OutputSpec& spec, const ExecOutput& to);
std::unique_ptr<Port> make_pacemaker_port(Loop& loop, const PacemakerOutput& to);
std::unique_ptr<Port> make_nginx_port(Loop& loop, const NginxOutput& to);

// The value of a node in an answer of `attrd_updater -Q`, which may be about others, too; empty if it is not set there.
// Pure.
std::optional<std::string> attribute_value(std::string_view answer, std::string_view node);

}  // namespace vital
