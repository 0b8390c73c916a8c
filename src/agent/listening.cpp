// From a config to the front's options; see listening.hpp.
#include "agent/listening.hpp"

#include <algorithm>
#include <utility>

#include "loop/loop.hpp"
#include "publish/tls.hpp"

namespace vital {
namespace {

ShowDetails show_details(Details d) {
  switch (d) {
    case Details::loopback:
      return ShowDetails::loopback;
    case Details::always:
      return ShowDetails::always;
    case Details::never:
      return ShowDetails::never;
    case Details::authorized:
      return ShowDetails::authorized;
  }
  return ShowDetails::never;
}

HaproxyFarewell farewell_of(Farewell farewell) {
  switch (farewell) {
    case Farewell::drain:
      return HaproxyFarewell::drain;
    case Farewell::ready:
      return HaproxyFarewell::ready;
    case Farewell::down:
      return HaproxyFarewell::down;
    case Farewell::maint:
      return HaproxyFarewell::maint;
  }
  return HaproxyFarewell::drain;
}

TlsSettings settings_of(const TlsFiles& files, bool speaks_h2) {
  return {files.certificate, files.key, files.client_ca, files.is_client_required, speaks_h2};
}

std::shared_ptr<const TlsContext> context_of(const std::optional<TlsFiles>& files, const char* path, bool speaks_h2) {
  if (!files) return {};
  std::vector<TlsFinding> findings;
  auto context = TlsContext::load(settings_of(*files, speaks_h2), Loop::both().wall, findings);
  if (context) return context;
  const auto first = std::find_if(findings.begin(), findings.end(), [](const TlsFinding& f) { return !f.is_warning; });
  throw FrontError(std::string(path) + ": " + (first == findings.end() ? "cannot be used" : first->text));
}

const char* key_of(TlsFinding::File file) {
  switch (file) {
    case TlsFinding::File::certificate:
      return "certificate";
    case TlsFinding::File::key:
      return "key";
    case TlsFinding::File::client_ca:
      return "client_ca";
  }
  return "certificate";
}

void add_files(const std::optional<TlsFiles>& files, std::vector<std::string>& out) {
  if (!files) return;
  for (const std::string& file : {files->certificate, files->key, files->client_ca}) {
    if (!file.empty() && std::find(out.begin(), out.end(), file) == out.end()) out.push_back(file);
  }
}

}  // namespace

FrontOptions front_options(const Config& config, const std::vector<InheritedSocket>& inherited) {
  FrontOptions out;
  for (const HealthListener& listener : config.health) {
    Doorway door;
    door.details = show_details(listener.details);
    door.proxy_protocol = listener.proxy_protocol;
    door.tls = context_of(listener.tls, "listen.health.tls", false);
    door.token = listener.token;
    door.mode = listener.mode;
    door.group = listener.group;
    for (const std::string& address : listener.addresses) {
      door.address = address;
      out.health.push_back(door);
    }
  }
  if (config.haproxy) {
    out.haproxy = config.haproxy->addresses;
    out.farewell = farewell_of(config.haproxy->farewell);
  }
  if (config.grpc) {
    Doorway door;
    door.tls = context_of(config.grpc->tls, "listen.grpc.tls", true);
    for (const std::string& address : config.grpc->addresses) {
      door.address = address;
      out.grpc.push_back(door);
    }
  }
  out.admin = AdminSocket{config.admin.socket, config.admin.mode, config.admin.group};
  out.inherited = inherited;
  for (std::size_t i = 0; i < config.plan->checks.size(); ++i) {
    if (!config.plan->checks[i].is_passive || !config.specs[i]) continue;
    for (const auto& [option, items] : config.specs[i]->values) {
      if (option == "token" && !items.empty()) out.report_tokens.emplace_back(config.plan->checks[i].name, items[0]);
    }
  }
  return out;
}

std::vector<TlsRemark> inspect_tls(const TlsFiles& files) {
  std::vector<TlsFinding> findings;
  TlsContext::load(settings_of(files, false), Loop::both().wall, findings);
  std::vector<TlsRemark> out;
  for (TlsFinding& f : findings) out.push_back({key_of(f.file), std::move(f.text), f.is_warning});
  return out;
}

std::vector<std::string> tls_files_of(const Config& config) {
  std::vector<std::string> out;
  for (const HealthListener& listener : config.health) add_files(listener.tls, out);
  if (config.grpc) add_files(config.grpc->tls, out);
  return out;
}

}  // namespace vital
