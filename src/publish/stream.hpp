// Stream: the bytes of one accepted connection, never blocking: a plain socket, or TLS (tls.hpp). Front thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/unique_fd.hpp"
#include "publish/proxy_header.hpp"

namespace vital {

struct IoResult {
  enum class Status : unsigned char {
    done,         // `bytes` of them, at least one
    would_block,  // wait until readable (writable if wants_write)
    closed,       // the peer's FIN: no more bytes will come
    reset,        // the connection is gone
  };
  Status status = Status::would_block;
  std::size_t bytes = 0;
  bool wants_write = false;  // a handshake that waits for the socket to take bytes
};

class Stream {
 public:
  virtual ~Stream() = default;
  // What has to be agreed on before the first byte; called again until it is done. One step costs up to a millisecond.
  virtual IoResult handshake() { return {IoResult::Status::done, 0, false}; }
  virtual IoResult read(char* to, std::size_t size) = 0;
  // `is_last`: shutdown_write() follows at once, so the bytes may leave together with the FIN.
  virtual IoResult write(std::string_view bytes, bool is_last) = 0;
  // Sends what says that we are done writing; reading goes on.
  virtual void shutdown_write() = 0;
  // Proved who it is: a client certificate we asked for. Known once the handshake is done.
  virtual bool is_authorized() const { return false; }
  // The PROXY header that stood before the handshake, or null.
  virtual const ProxyHeader* proxied() const { return nullptr; }
};

// Owns the descriptor.
std::unique_ptr<Stream> plain_stream(UniqueFd fd);

}  // namespace vital
