// See exchange.hpp.
#include "outputs/exchange.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <utility>

namespace vital {
namespace {

struct Address {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

// Empty if it is neither a path that fits nor numeric.
std::optional<Address> parse(const std::string& text) {
  Address out;
  if (text.starts_with('/')) {
    sockaddr_un path{};
    if (text.size() >= sizeof path.sun_path) return {};
    path.sun_family = AF_UNIX;
    std::memcpy(path.sun_path, text.c_str(), text.size() + 1);
    std::memcpy(&out.bytes, &path, sizeof path);
    out.size = sizeof path;
    return out;
  }
  const std::size_t colon = text.rfind(':');
  unsigned port = 0;
  if (colon == std::string::npos) return {};
  const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0 || port > 65535) return {};
  std::string host = text.substr(0, colon);
  sockaddr_in v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<std::uint16_t>(port));
    std::memcpy(&out.bytes, &v4, sizeof v4);
    out.size = sizeof v4;
    return out;
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1) return {};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(static_cast<std::uint16_t>(port));
  std::memcpy(&out.bytes, &v6, sizeof v6);
  out.size = sizeof v6;
  return out;
}

std::string words(int error) { return std::generic_category().message(error); }

}  // namespace

Exchange::Exchange(Loop& loop, std::string address, std::string request, std::size_t most_answer, Ended ended)
    : loop_(loop),
      address_(std::move(address)),
      request_(std::move(request)),
      most_answer_(most_answer),
      ended_(std::move(ended)),
      failed_at_once_(loop, [this] { connect_to(); }) {
  failed_at_once_.arm_in(Duration{});  // so that nobody is told from within the constructor
}

void Exchange::connect_to() {
  const auto to = parse(address_);
  if (!to) return end("is no address");
  socket_.reset(socket(to->bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_) return end(words(errno));
  // A Unix socket with a full queue says EAGAIN: there it hangs.
  if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&to->bytes), to->size) != 0 && errno != EINPROGRESS) {
    return end(errno == EAGAIN ? "does not accept connections" : words(errno));
  }
  watch_.emplace(
      loop_, socket_.get(), [this] { readable(); }, [this] { writable(); });
  watch_->want_read(true);
  watch_->want_write(true);
}

void Exchange::writable() {
  while (sent_ < request_.size()) {
    const ssize_t n = send(socket_.get(), request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) return end(words(errno));
    sent_ += static_cast<std::size_t>(n);
  }
  watch_->want_write(false);
}

void Exchange::readable() {
  char part[16384];
  const ssize_t n = recv(socket_.get(), part, sizeof part, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return end(words(errno));
  if (n == 0) return end("");
  answer_.append(part, static_cast<std::size_t>(n));
  if (answer_.size() > most_answer_) end("answered more than " + std::to_string(most_answer_ / 1024) + " KiB");
}

void Exchange::end(std::string trouble) {
  watch_.reset();
  socket_.reset();
  const auto tell = std::exchange(ended_, {});
  if (tell) tell(std::move(answer_), std::move(trouble));
}

}  // namespace vital
