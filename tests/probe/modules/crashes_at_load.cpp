// A module that crashes before anybody called anything of it. The agent's environment never reaches a worker, so a
// file beside the module decides: with FILE.calm it loads.
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vitald/check.hpp>

namespace {

struct Crash {
  Crash() {
    Dl_info where{};
    dladdr(&anchor, &where);
    if (access((std::string(where.dli_fname) + ".calm").c_str(), F_OK) != 0) raise(SIGSEGV);
  }
  static int anchor;
} crash;
int Crash::anchor = 0;

class Calm final : public vital::check::Blocking {
 public:
  explicit Calm(const vital::check::Options&) {}
  vital::check::Result probe(const vital::check::Attempt&) override { return vital::check::pass("calm"); }
};

constexpr vital::check::OptionRow options[] = {{"x", vital::check::Type::string, "", "nothing"}};

}  // namespace

VITAL_BLOCKING_MODULE(Calm, "crashes_at_load", "1.0", "crashes at load", options)
