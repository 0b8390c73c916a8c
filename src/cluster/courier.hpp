// Courier: HTTP calls through the helper program vitald-cluster, so that the agent maps no libcurl and a name service
// or a TLS handshake that hangs hangs there. The helper is started when first needed, restarted when it dies or says
// nothing for too long, and trusted with nothing: the end of a lease is counted here, from before a call was handed
// over. [loop]
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "cluster/etcd_store.hpp"
#include "loop/child.hpp"
#include "loop/loop.hpp"

namespace vital {

class Courier {
 public:
  using Answered = std::function<void(std::uint64_t id, const etcd::Reply& reply)>;
  // `helper` is the path of vitald-cluster; empty in a build without it: then every call is lost, and says so.
  Courier(Loop& loop, std::string helper, const ClusterPlan& plan, Answered answered);
  ~Courier();
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;

  // Answered later, never from within; or not at all, if the helper dies: whoever calls has a deadline of its own.
  void send(const EtcdStore::Call& call);
  // Whether the helper has what it was sent; false if some of it still waits here.
  bool is_flushed() const { return out_.empty(); }

  std::uint64_t restarts() const { return restarts_; }

 private:
  void start();
  void flush();
  void readable();
  void take(std::string_view line);
  void drop(const std::string& why);

  Loop& loop_;
  std::string helper_;
  std::string greeting_;  // holds the names of files, no secret
  Answered answered_;
  std::unique_ptr<Child> child_;
  UniqueFd socket_;
  std::optional<FdWatch> watch_;
  std::string in_, out_;
  Instant not_before_{};        // of the next start
  std::optional<Instant> due_;  // the helper must have said something by then
  std::uint64_t last_sent_ = 0;
  std::uint64_t restarts_ = 0;
  std::shared_ptr<int> life_ = std::make_shared<int>(0);
};

}  // namespace vital
