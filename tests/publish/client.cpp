// See client.hpp.
#include "tests/publish/client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <system_error>

#include "loop/loop.hpp"
#include "publish/address.hpp"

namespace vital::test {
namespace {

// Bytes the first answer has, 0 while that is not known.
std::size_t answer_length(const std::string& bytes) {
  const std::size_t head = bytes.find("\r\n\r\n");
  if (head == std::string::npos) return 0;
  std::size_t body = 0;
  if (const std::size_t at = bytes.find("Content-Length: "); at < head) {
    std::from_chars(bytes.data() + at + 16, bytes.data() + head, body);
  }
  return head + 4 + body;
}

}  // namespace

int Received::code() const {
  int out = 0;
  if (bytes.size() > 12 && bytes.starts_with("HTTP/1.")) std::from_chars(bytes.data() + 9, bytes.data() + 12, out);
  return out;
}

std::string Received::body() const {
  const std::size_t head = bytes.find("\r\n\r\n");
  return head == std::string::npos ? "" : bytes.substr(head + 4);
}

Client::Client(const std::string& address) {
  if (address.starts_with('/')) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::copy(address.begin(), address.end(), std::begin(to.sun_path));
    fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd_.get(), static_cast<const sockaddr*>(static_cast<const void*>(&to)), sizeof to) != 0) {
      throw std::system_error(errno, std::generic_category(), "connect " + address);
    }
    return;
  }
  const SocketAddress to = SocketAddress::parse(address);
  fd_.reset(::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd_.get(), to.raw(), to.length) != 0) {
    throw std::system_error(errno, std::generic_category(), "connect " + address);
  }
}

void Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;  // the other end had enough: receive() says how it ended
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void Client::end_sending() { ::shutdown(fd_.get(), SHUT_WR); }

void Client::reset() {
  const linger hard{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  fd_.reset();
}

Received Client::receive(Duration limit, std::size_t enough) {
  Received out;
  out.bytes.swap(rest_);
  const Instant until = Loop::now() + limit;
  while (out.bytes.size() < enough) {
    const auto left = std::max<long long>(0, milliseconds(until - Loop::now()));
    pollfd wait{fd_.get(), POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(left)) <= 0) return out;
    char buffer[16384];
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n == 0) out.end = End::fin;
    if (n < 0) out.end = End::reset;
    if (n <= 0) return out;
    out.bytes.append(buffer, static_cast<std::size_t>(n));
  }
  return out;
}

Received Client::receive_answer(Duration limit) {
  Received out;
  out.bytes.swap(rest_);
  const Instant until = Loop::now() + limit;
  while (Loop::now() < until) {
    const std::size_t whole = answer_length(out.bytes);
    if (whole != 0 && out.bytes.size() >= whole) {
      rest_ = out.bytes.substr(whole);
      out.bytes.resize(whole);
      return out;
    }
    rest_ = std::move(out.bytes);
    out = receive(until - Loop::now(), rest_.size() + 1);
    if (out.end != End::still_open) return out;
  }
  return out;
}

Received ask(const std::string& address, std::string_view bytes) {
  Client client(address);
  client.send(bytes);
  return client.receive();
}

}  // namespace vital::test
