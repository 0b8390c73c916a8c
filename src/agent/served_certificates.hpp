// ServedCertificates: the certificates our own listeners show, and for how long they are good. Whoever verifies us
// takes the node for dead on the day one expires, so that is said in time: by a metric, in the status, and once a day
// in the log from two weeks before. [loop]
#pragma once

#include <string>
#include <vector>

#include "base/time.hpp"
#include "core/engine.hpp"
#include "publish/front.hpp"
#include "publish/view.hpp"

namespace vital {

class ServedCertificates {
 public:
  // What is served from now on. What has been said of a certificate is not said again because of a reload.
  void adopt(const FrontOptions& options);
  // What is to be said now: a certificate that ends within 14 days, or has ended. Cheap; call it as often as you like.
  std::vector<Note> look(Now now);

  const std::vector<ListenerCertificate>& list() const { return list_; }
  std::string metrics() const;

 private:
  std::vector<ListenerCertificate> list_;
  std::vector<Instant> said_at_;  // as list_; zero = never
};

}  // namespace vital
