// Ports that speak HTTP: `webhook`, `consul` and `etcd`. [loop]
#pragma once

#include <memory>
#include <string>

#include "loop/loop.hpp"
#include "outputs/port.hpp"

namespace vital {

// `helper` is the path of vitald-deliver; `queue_file` is where messages wait over a restart.
std::unique_ptr<Port> make_webhook_port(Loop& loop, const std::string& helper, const std::string& queue_file,
                                        const OutputSpec& spec, const WebhookOutput& to);
std::unique_ptr<Port> make_consul_port(Loop& loop, const std::string& helper, const OutputSpec& spec,
                                       const ConsulOutput& to);
std::unique_ptr<Port> make_etcd_port(Loop& loop, const std::string& helper, const OutputSpec& spec,
                                     const EtcdOutput& to);

}  // namespace vital
