// The PROXY protocol, versions 1 and 2: a prefix in which a proxy says for whom it connects. Read only from configured
// networks. Pure; any thread.
#pragma once

#include <cstddef>
#include <string_view>

#include "publish/address.hpp"

namespace vital {

struct ProxyHeader {
  enum class Status : std::uint8_t {
    absent,     // these bytes begin something else
    need_more,  // may become one
    present,
    malformed,
  };
  Status status = Status::absent;
  std::size_t length = 0;  // of the whole header, when present
  // Unknown when the proxy speaks for itself (LOCAL, UNKNOWN, unix): the connection's own address holds then.
  HostAddress source;
};

ProxyHeader read_proxy_header(std::string_view bytes);

}  // namespace vital
