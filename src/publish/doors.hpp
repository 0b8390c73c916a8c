// Doors: the listening sockets a set of options asks for, each with what holds for its connections; and how one set
// becomes the next at a reload: what stays is not touched, what overlaps is shared for a moment, and nothing changes
// unless all of it can be had. Control thread.
#pragma once

#include <memory>
#include <vector>

#include "publish/front.hpp"
#include "publish/listener.hpp"

namespace vital {

struct OpenDoor {
  std::shared_ptr<ListeningSocket> socket;
  std::shared_ptr<const DoorPolicy> policy;
};
using OpenDoors = std::vector<OpenDoor>;

// Takes over from `have` what is the same, then what was inherited, and binds the rest. Throws FrontError.
OpenDoors open_doors(const FrontOptions& asked, const OpenDoors& have);

}  // namespace vital
