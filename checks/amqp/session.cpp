#include "session.hpp"

#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "verdict.hpp"

namespace vital::check::amqp {
namespace {

constexpr amqp_channel_t channel = 1;
constexpr int frame_max = 131072;

amqp_bytes_t bytes(const std::string& text) {
  return {text.size(), const_cast<char*>(text.data())};  // librabbitmq's type has no const; it only reads
}

std::string text_of(const amqp_bytes_t& bytes) {
  return bytes.len == 0 ? "" : std::string(static_cast<const char*>(bytes.bytes), bytes.len);
}

// Why the last certificate was not trusted; a blocking worker has one probe at a time.
std::string& not_trusted() {
  static std::string why;
  return why;
}

int note_why(int is_good, X509_STORE_CTX* store) {
  if (is_good != 1) not_trusted() = X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
  return is_good;
}

void verify(SSL_CTX* context, const std::string& name) {
  not_trusted().clear();
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, note_why);
  X509_VERIFY_PARAM* wanted = SSL_CTX_get0_param(context);
  if (X509_VERIFY_PARAM_set1_ip_asc(wanted, name.c_str()) != 1) X509_VERIFY_PARAM_set1_host(wanted, name.c_str(), 0);
}

std::string this_host() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

Session::Session(const Place& place, const Fuse& fuse, Stopwatch& watch, Result& seen) : place_(place), fuse_(fuse) {
  const std::vector<Address> addresses = resolve(place_.host, place_.port, fuse_.at(), place_.family);
  watch.lap(Phase::resolve);
  for (std::size_t i = 0;; ++i) {
    seen.facts = {{"address", addresses[i].numeric}};
    connection_.reset(amqp_new_connection());
    if (connection_ == nullptr) throw Stop(unknown(Cause::agent, "librabbitmq has no memory"));
    try {
      place_.is_tls() ? connect_tls(addresses[i]) : connect(addresses[i]);
      break;
    } catch (const Stop& stop) {
      const Cause cause = stop.result.cause;
      if ((cause != Cause::refused && cause != Cause::unreachable) || i + 1 == addresses.size()) throw;
    }
  }
  watch.lap(place_.is_tls() ? Phase::tls : Phase::connect);
  log_in();
  describe(seen);
  watch.lap(Phase::auth);
}

Session::~Session() = default;

timeval Session::left() const {
  const Duration now = monotonic_now();
  const Duration d = std::max<Duration>(fuse_.at() - now, std::chrono::milliseconds(1));
  return {std::chrono::duration_cast<std::chrono::seconds>(d).count(),
          std::chrono::duration_cast<std::chrono::microseconds>(d % std::chrono::seconds(1)).count()};
}

void Session::connect(const Address& address) {
  const int fd =
      connect_to(reinterpret_cast<const sockaddr*>(&address.storage), address.length, fuse_.at(), place_.target());
  amqp_socket_t* socket = amqp_tcp_socket_new(connection_.get());
  if (socket == nullptr) {
    close(fd);
    throw Stop(unknown(Cause::agent, "librabbitmq has no memory"));
  }
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  amqp_tcp_socket_set_sockfd(socket, fd);
}

void Session::connect_tls(const Address& address) {
  amqp_socket_t* socket = amqp_ssl_socket_new(connection_.get());
  if (socket == nullptr) throw Stop(unknown(Cause::agent, "librabbitmq has no memory"));
  const bool verifies = place_.tls == "verify";
  amqp_ssl_socket_set_verify_peer(socket, verifies ? 1 : 0);
  amqp_ssl_socket_set_verify_hostname(socket, 0);  // it knows no addresses: OpenSSL is asked itself
  if (verifies) verify(static_cast<SSL_CTX*>(amqp_ssl_socket_get_context(socket)), place_.verified_name());
  amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
  if (verifies && amqp_ssl_socket_set_cacert(socket, place_.ca.c_str()) != AMQP_STATUS_OK)
    throw Stop(unknown(Cause::config, "tls.ca: " + place_.ca + " holds no authorities"));
  if (!place_.certificate.empty() &&
      amqp_ssl_socket_set_key(socket, place_.certificate.c_str(), place_.key.c_str()) != AMQP_STATUS_OK)
    throw Stop(unknown(Cause::config, "tls.certificate and tls.key are no PEM files that belong together"));
  const timeval patience = left();
  const int status =
      amqp_socket_open_noblock(socket, address.numeric.c_str(), static_cast<int>(place_.port), &patience);
  if (status == AMQP_STATUS_OK) return;
  if (fuse_.has_blown())
    throw Stop(fail(Cause::timeout, "TLS handshake with " + place_.target() + ": no end of it in time"));
  // Why a connection failed the library does not say: the kernel is asked once more.
  close(connect_to(reinterpret_cast<const sockaddr*>(&address.storage), address.length, fuse_.at(), place_.target()));
  const std::string why = verifies && !not_trusted().empty() ? not_trusted() : amqp_error_string2(status);
  throw Stop(fail(Cause::tls, "TLS handshake with " + place_.target() + ": " + why));
}

void Session::log_in() {
  const std::string login = "login as " + place_.user + " to " + place_.target();
  const timeval patience = left();
  amqp_set_handshake_timeout(connection_.get(), &patience);
  amqp_set_rpc_timeout(connection_.get(), &patience);
  const std::string name = "vitald " + this_host();
  amqp_table_entry_t can[] = {{amqp_cstring_bytes("connection.blocked"), {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}}};
  amqp_table_entry_t about[] = {
      {amqp_cstring_bytes("capabilities"), {AMQP_FIELD_KIND_TABLE, {.table = {1, can}}}},
      {amqp_cstring_bytes("connection_name"), {AMQP_FIELD_KIND_UTF8, {.bytes = bytes(name)}}},
  };
  const amqp_table_t properties{2, about};
  need(amqp_login_with_properties(connection_.get(), place_.vhost.c_str(), 0, frame_max, 0, &properties,
                                  AMQP_SASL_METHOD_PLAIN, place_.user.c_str(), place_.password.c_str()),
       login + ", virtual host " + place_.vhost);
  is_open_ = true;
  amqp_channel_open(connection_.get(), channel);
  need(amqp_get_rpc_reply(connection_.get()), "opening a channel on " + place_.target());
}

void Session::describe(Result& seen) const {
  const amqp_table_t* properties = amqp_get_server_properties(connection_.get());
  for (int i = 0; properties != nullptr && i < properties->num_entries; ++i) {
    const amqp_table_entry_t& entry = properties->entries[i];
    const std::string key = text_of(entry.key);
    if (entry.value.kind != AMQP_FIELD_KIND_UTF8) continue;
    if (key == "product" || key == "version" || key == "cluster_name")
      seen.fact(key, tidy(text_of(entry.value.value.bytes), 100));
  }
}

void Session::library_failed(int status, const std::string& doing) const {
  if (fuse_.has_blown() || status == AMQP_STATUS_TIMEOUT)
    throw Stop(fail(Cause::timeout, doing + ": no answer in time"));
  if (status == AMQP_STATUS_NO_MEMORY) throw Stop(unknown(Cause::agent, doing + ": no memory"));
  if (status == AMQP_STATUS_BROKER_UNSUPPORTED_SASL_METHOD)
    throw Stop(unknown(Cause::auth, doing + ": the broker does not let in by a password (PLAIN)"));
  throw Stop(fail(Cause::protocol, doing + ": " + amqp_error_string2(status)));
}

void Session::need(int status, const std::string& doing) {
  if (status != AMQP_STATUS_OK) library_failed(status, doing);
}

void Session::need(const amqp_rpc_reply_t& reply, const std::string& doing) {
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) library_failed(reply.library_error, doing);
  if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION) library_failed(AMQP_STATUS_CONNECTION_CLOSED, doing);
  int code = 0;
  std::string text;
  if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
    const auto* closed = static_cast<const amqp_connection_close_t*>(reply.reply.decoded);
    code = closed->reply_code;
    text = text_of(closed->reply_text);
    amqp_connection_close_ok_t ok{};
    amqp_send_method(connection_.get(), 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
    is_open_ = false;
  } else if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto* closed = static_cast<const amqp_channel_close_t*>(reply.reply.decoded);
    code = closed->reply_code;
    text = text_of(closed->reply_text);
    amqp_channel_close_ok_t ok{};
    amqp_send_method(connection_.get(), channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
  }
  const Meaning m = meaning_of(code, text);
  throw Stop(make_result(m.verdict, m.cause, doing + ": " + tidy(text) + " (" + std::to_string(code) + ")"));
}

Queue Session::look_at(const std::string& queue) {
  const amqp_queue_declare_ok_t* ok =
      amqp_queue_declare(connection_.get(), channel, bytes(queue), 1, 0, 0, 0, amqp_empty_table);
  need(amqp_get_rpc_reply(connection_.get()), "looking at the queue " + queue);
  return {static_cast<double>(ok->message_count), static_cast<double>(ok->consumer_count)};
}

void Session::blocked(const amqp_frame_t& frame, const std::string& doing) const {
  const auto* why = static_cast<const amqp_connection_blocked_t*>(frame.payload.method.decoded);
  throw Stop(
      fail(Cause::content, doing + ": the broker takes no messages from anybody: " + tidy(text_of(why->reason), 100)));
}

void Session::wait_for_confirm(const std::string& doing) {
  for (;;) {
    amqp_frame_t frame;
    const timeval patience = left();
    need(amqp_simple_wait_frame_noblock(connection_.get(), &frame, &patience), doing);
    if (frame.frame_type != AMQP_FRAME_METHOD) continue;
    switch (frame.payload.method.id) {
      case AMQP_BASIC_ACK_METHOD:
        return;
      case AMQP_BASIC_NACK_METHOD:
        throw Stop(fail(Cause::content, doing + ": the broker did not take the message"));
      case AMQP_BASIC_RETURN_METHOD:
        throw Stop(fail(Cause::content, doing + ": the broker could not deliver the message"));
      case AMQP_CONNECTION_BLOCKED_METHOD:
        is_open_ = false;  // it hears nothing from us any more
        blocked(frame, doing);
      case AMQP_CHANNEL_CLOSE_METHOD:
      case AMQP_CONNECTION_CLOSE_METHOD: {
        amqp_rpc_reply_t reply{};
        reply.reply_type = AMQP_RESPONSE_SERVER_EXCEPTION;
        reply.reply = frame.payload.method;
        need(reply, doing);
        break;
      }
      default:
        break;
    }
  }
}

void Session::send_around() {
  static unsigned count = 0;
  const std::string queue = "vitald." + this_host() + "." + std::to_string(getpid()) + "." + std::to_string(++count);
  const std::string doing = "a message by way of the queue " + queue;
  amqp_connection_state_t c = connection_.get();
  amqp_queue_declare(c, channel, bytes(queue), 0, 0, 1, 1, amqp_empty_table);
  need(amqp_get_rpc_reply(c), "making the queue " + queue);
  amqp_confirm_select(c, channel);
  need(amqp_get_rpc_reply(c), "asking for confirms");
  need(amqp_basic_publish(c, channel, amqp_empty_bytes, bytes(queue), 1, 0, nullptr, bytes(queue)), doing);
  wait_for_confirm(doing);
  const amqp_rpc_reply_t got = amqp_basic_get(c, channel, bytes(queue), 0);
  need(got, doing);
  if (got.reply.id != AMQP_BASIC_GET_OK_METHOD)
    throw Stop(fail(Cause::content, doing + ": it was taken, and is not there"));
  const uint64_t tag = static_cast<const amqp_basic_get_ok_t*>(got.reply.decoded)->delivery_tag;
  amqp_message_t message{};
  need(amqp_read_message(c, channel, &message, 0), doing);
  const std::string body = text_of(message.body);
  amqp_destroy_message(&message);
  if (body != queue) throw Stop(fail(Cause::content, doing + ": another one came back, " + shown(body)));
  need(amqp_basic_ack(c, channel, tag, 0), doing);
}

void Session::say_goodbye() noexcept {
  if (!is_open_) return;
  is_open_ = false;
  const timeval patience = left();
  amqp_set_rpc_timeout(connection_.get(), &patience);
  amqp_connection_close(connection_.get(), AMQP_REPLY_SUCCESS);
}

}  // namespace vital::check::amqp
