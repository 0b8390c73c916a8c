// The port to HAProxy's runtime sockets: each is asked, told what differs, and asked again. All at the same time: one
// that hangs holds up no other. [loop]
#pragma once

#include <memory>

#include "loop/loop.hpp"
#include "outputs/port.hpp"

namespace vital {

std::unique_ptr<Port> make_haproxy_port(Loop& loop, const HaproxyOutput& to);

}  // namespace vital
