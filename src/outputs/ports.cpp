// Which port a kind of output has, and its name.
#include "outputs/file_ports.hpp"
#include "outputs/haproxy_port.hpp"
#include "outputs/http_ports.hpp"
#include "outputs/outputs.hpp"
#include "outputs/program_ports.hpp"

namespace vital {
namespace {

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

std::string_view type_of(const OutputSpec& spec) {
  return std::visit(
      Overloaded{[](const FileOutput&) { return "file"; }, [](const KeepalivedOutput&) { return "keepalived"; },
                 [](const HaproxyOutput&) { return "haproxy"; }, [](const ExecOutput&) { return "exec"; },
                 [](const WebhookOutput&) { return "webhook"; }, [](const ConsulOutput&) { return "consul"; },
                 [](const EtcdOutput&) { return "etcd"; }, [](const PacemakerOutput&) { return "pacemaker"; },
                 [](const NginxOutput&) { return "nginx"; }, [](const EnvoyOutput&) { return "envoy"; }},
      spec.target);
}

MakePort real_ports(const PortOptions& options) {
  return [options](Loop& loop, const OutputSpec& spec) {
    const auto file = [&](const auto&) { return make_file_port(loop, spec); };
    return std::visit(
        Overloaded{[&](const FileOutput& to) { return file(to); }, [&](const KeepalivedOutput& to) { return file(to); },
                   [&](const EnvoyOutput& to) { return file(to); },
                   [&](const HaproxyOutput& to) { return make_haproxy_port(loop, to); },
                   [&](const ExecOutput& to) { return make_exec_port(loop, spec, to); },
                   [&](const PacemakerOutput& to) { return make_pacemaker_port(loop, to); },
                   [&](const NginxOutput& to) { return make_nginx_port(loop, to); },
                   [&](const WebhookOutput& to) {
                     const std::string queue = options.state_dir + "/output-" + spec.name + ".queue";
                     return make_webhook_port(loop, options.helper, queue, spec, to);
                   },
                   [&](const ConsulOutput& to) { return make_consul_port(loop, options.helper, spec, to); },
                   [&](const EtcdOutput& to) { return make_etcd_port(loop, options.helper, spec, to); }},
        spec.target);
  };
}

}  // namespace vital
