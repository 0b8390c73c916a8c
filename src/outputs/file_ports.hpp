// Ports of the outputs that are one file: `file`, `keepalived` and `envoy`. [loop]
#pragma once

#include <memory>

#include "loop/loop.hpp"
#include "outputs/port.hpp"

namespace vital {

// `spec.target` must be one of those kinds.
std::unique_ptr<Port> make_file_port(Loop& loop, const OutputSpec& spec);

}  // namespace vital
