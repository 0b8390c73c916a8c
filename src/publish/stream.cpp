// The plain socket; see stream.hpp.
#include "publish/stream.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace vital {
namespace {

IoResult of_error() {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {};
  return {IoResult::Status::reset, 0, false};
}

class PlainStream : public Stream {
 public:
  explicit PlainStream(UniqueFd fd) : fd_(std::move(fd)) {}
  IoResult read(char* to, std::size_t size) override {
    const ssize_t n = ::recv(fd_.get(), to, size, 0);
    if (n > 0) return {IoResult::Status::done, static_cast<std::size_t>(n), false};
    if (n == 0) return {IoResult::Status::closed, 0, false};
    return of_error();
  }
  IoResult write(std::string_view bytes, bool is_last) override {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | (is_last ? MSG_MORE : 0));
    if (n >= 0) return {IoResult::Status::done, static_cast<std::size_t>(n), false};
    return of_error();
  }
  void shutdown_write() override { ::shutdown(fd_.get(), SHUT_WR); }

 private:
  UniqueFd fd_;
};

}  // namespace

std::unique_ptr<Stream> plain_stream(UniqueFd fd) { return std::make_unique<PlainStream>(std::move(fd)); }

}  // namespace vital
