// heartbeat: a check nobody probes: somebody must report in time. This file declares its options, so that they are
// validated, listed and documented as any module's are; reports, silence and the token are the agent's own business
// (src/agent, src/publish), and the agent never asks a worker for a heartbeat.
#include <algorithm>
#include <vitald/check.hpp>

namespace {

using namespace vital::check;

constexpr size_t least_token = 16;
constexpr size_t most_token = 512;

constexpr OptionRow options[] = {
    {"token", Type::string, nullptr,
     "who shows it as `Authorization: Bearer TOKEN` may report through the health listener too; 16 to 512 visible "
     "ASCII characters. Without one, reports come through the admin socket only",
     nullptr, VITAL_OPTION_SECRET},
};

class Heartbeat final : public Blocking {
 public:
  explicit Heartbeat(const Options& o) {
    if (!o.has("token")) return;
    const std::string token = o.text("token");
    const bool is_visible = std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (token.size() < least_token || token.size() > most_token || !is_visible) {
      throw Invalid("token", "must be 16 to 512 visible ASCII characters; make one with: openssl rand -hex 32");
    }
  }

  Result probe(const Attempt&) override {
    return unknown(Cause::config, "a heartbeat is never probed, somebody must report it: vitalctl report --help");
  }
};

}  // namespace

VITAL_BLOCKING_MODULE(Heartbeat, "heartbeat", "1.0", "somebody must report in time; silence is a failure", options)
