// The check around probes that share nothing but what is made of its options. Every probe is an AsyncProbe with
// begin(). [loop]
//
//   using Pop3 = net::CheckOf<Pop3Probe, read_plan>;
//   VITAL_ASYNC_MODULE(Pop3, "pop3", "1.0", "...", options.rows)
#pragma once

#include <memory>
#include <type_traits>
#include <vitald/check.hpp>

#include "sigpipe.hpp"

namespace vital::net {

// Refuses a host that offers no loop or no resolver: throws check::Invalid.
inline void need_services(const check::Host& host) {
  if (host.loop != nullptr && host.resolve != nullptr) return;
  throw check::Invalid("", "this vitald offers neither " VITAL_SERVICE_LOOP " nor " VITAL_SERVICE_RESOLVE);
}

template <class Probe, auto read>
class CheckOf final : public check::Async {
 public:
  CheckOf(const check::Host& host, const check::Options& given) : host_(host), plan_(read(given)) {
    need_services(host);
    survive_hangups();
  }
  std::unique_ptr<check::AsyncProbe> start(const check::Attempt& attempt, check::Finisher finisher) override {
    auto probe = std::make_unique<Probe>(host_, plan_, attempt, finisher);
    probe->begin();
    return probe;
  }

 private:
  const check::Host host_;
  const std::invoke_result_t<decltype(read), const check::Options&> plan_;
};

}  // namespace vital::net
