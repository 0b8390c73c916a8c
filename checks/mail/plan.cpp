// From options to a plan; see plan.hpp.
#include "plan.hpp"

namespace vital::mail {

using check::Invalid;

std::string line_option(const check::Options& options, const char* name) {
  const std::string text = options.text_or(name, "");
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      throw Invalid(name, "holds a line end or a control character");
  }
  if (text.size() > 400) throw Invalid(name, "is longer than 400 bytes");
  return text;
}

Plan read_plan(const check::Options& options) {
  Plan plan;
  plan.does_starttls = options.boolean("starttls");
  plan.peer = net::read_peer(options, plan.does_starttls);
  plan.user = line_option(options, "user");
  plan.password = line_option(options, "password");
  if (plan.user.empty() != plan.password.empty()) {
    throw Invalid(plan.user.empty() ? "user" : "password", "is needed too; write user and password_file");
  }
  plan.peer.is_tls_first = !plan.does_starttls;
  const std::string& host = plan.peer.target.host;
  const bool is_here = host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0 || host.front() == '/';
  if (!plan.password.empty() && !plan.peer.tls.is_on() && !is_here) {
    throw Invalid("password", "would travel in clear; write starttls: true, or tls: {mode: verify}");
  }
  return plan;
}

}  // namespace vital::mail
