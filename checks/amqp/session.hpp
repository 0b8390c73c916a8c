// A session with a broker of AMQP 0-9-1 by a deadline, through librabbitmq: connect, TLS, log in, open the virtual host
// and a channel, ask for a queue, send a message around, say goodbye. [worker]
#pragma once

#include <amqp.h>

#include <memory>
#include <string>

#include "../blocking.hpp"

namespace vital::check::amqp {

struct Place {
  std::string host, vhost, user, password;
  long long port = 0;
  int family = AF_UNSPEC;
  std::string tls = "off";  // off, require, verify
  std::string ca, certificate, key, server_name;
  const std::string& verified_name() const { return server_name.empty() ? host : server_name; }
  bool is_tls() const { return tls != "off"; }
  std::string target() const { return with_port(host, port); }
};

struct Queue {
  double messages = 0, consumers = 0;  // ready to be delivered; who waits for them
};

class Session {
 public:
  // All must outlive it. Connects and logs in; phases go to `watch`, what is known of the broker to `seen`. Throws
  // Stop.
  Session(const Place& place, const Fuse& fuse, Stopwatch& watch, Result& seen);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Asks for a queue, which is not made or changed by that.
  Queue look_at(const std::string& queue);
  // Publishes a message to a queue of our own, waits until the broker has taken it, takes it back and acknowledges it.
  void send_around();
  // Closes in the way the broker expects. Never throws; without it the broker logs a lost client.
  void say_goodbye() noexcept;

 private:
  struct Destroy {
    void operator()(amqp_connection_state_t connection) const { amqp_destroy_connection(connection); }
  };
  using Connection = std::unique_ptr<amqp_connection_state_t_, Destroy>;

  void connect(const Address& address);
  void connect_tls(const Address& address);
  void log_in();
  void describe(Result& seen) const;
  void need(const amqp_rpc_reply_t& reply, const std::string& doing);
  void need(int status, const std::string& doing);
  void wait_for_confirm(const std::string& doing);
  [[noreturn]] void library_failed(int status, const std::string& doing) const;
  [[noreturn]] void blocked(const amqp_frame_t& frame, const std::string& doing) const;
  timeval left() const;

  const Place& place_;
  const Fuse& fuse_;
  Connection connection_;
  bool is_open_ = false;  // there is somebody to say goodbye to
};

}  // namespace vital::check::amqp
