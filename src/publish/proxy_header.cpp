// The PROXY protocol; see proxy_header.hpp. After the specification of 2020: version 1 is a line of at most 107 bytes,
// version 2 a signature, 4 bytes and at most 64 KiB, of which more than 512 bytes (addresses and a few TLVs) is
// refused.
#include "publish/proxy_header.hpp"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "base/text.hpp"

namespace vital {
namespace {

constexpr std::string_view signature_v1 = "PROXY ";
constexpr std::string_view signature_v2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t longest_v1 = 107;
constexpr std::size_t longest_v2_payload = 512;

using Status = ProxyHeader::Status;

bool is_port(std::string_view word) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), port);
  return error == std::errc() && end == word.data() + word.size() && port <= 65535;
}

ProxyHeader read_v1(std::string_view bytes) {
  const std::size_t end = bytes.substr(0, longest_v1).find("\r\n");
  if (end == std::string_view::npos) return {bytes.size() < longest_v1 ? Status::need_more : Status::malformed, 0, {}};
  const std::vector<std::string_view> words = split(bytes.substr(0, end), ' ');
  ProxyHeader out{Status::present, end + 2, {}};
  if (words.size() >= 2 && words[1] == "UNKNOWN") return out;
  if (words.size() != 6 || !is_port(words[4]) || !is_port(words[5])) return {Status::malformed, 0, {}};
  std::array<std::uint8_t, 16> raw{};
  const std::string source(words[2]);
  if (words[1] == "TCP4" && inet_pton(AF_INET, source.c_str(), raw.data()) == 1) {
    out.source = HostAddress::v4(raw.data());
    return out;
  }
  if (words[1] == "TCP6" && inet_pton(AF_INET6, source.c_str(), raw.data()) == 1) {
    out.source = HostAddress::v6(raw.data());
    return out;
  }
  return {Status::malformed, 0, {}};
}

ProxyHeader read_v2(std::string_view bytes) {
  if (bytes.size() < 16) return {Status::need_more, 0, {}};
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  const unsigned version = at(12) >> 4U;
  const unsigned command = at(12) & 0x0FU;
  const std::size_t payload = (static_cast<std::size_t>(at(14)) << 8U) | at(15);
  if (version != 2 || command > 1 || payload > longest_v2_payload) return {Status::malformed, 0, {}};
  if (bytes.size() < 16 + payload) return {Status::need_more, 0, {}};
  ProxyHeader out{Status::present, 16 + payload, {}};
  if (command == 0) return out;  // LOCAL: the proxy's own health check
  std::array<std::uint8_t, 16> raw{};
  const unsigned family = at(13) >> 4U;
  const std::size_t wanted = family == 1 ? 4 : family == 2 ? 16 : 0;
  if (wanted == 0) return out;
  if (payload < (family == 1 ? 12U : 36U)) return {Status::malformed, 0, {}};
  for (std::size_t i = 0; i < wanted; ++i) raw[i] = at(16 + i);
  out.source = family == 1 ? HostAddress::v4(raw.data()) : HostAddress::v6(raw.data());
  return out;
}

}  // namespace

ProxyHeader read_proxy_header(std::string_view bytes) {
  for (const std::string_view signature : {signature_v1, signature_v2}) {
    const std::size_t known = std::min(bytes.size(), signature.size());
    if (bytes.substr(0, known) != signature.substr(0, known)) continue;
    // "P" may still become POST and CRLF an empty line before a request; only the whole signature decides.
    if (known < signature.size()) return {Status::need_more, 0, {}};
    return signature == signature_v1 ? read_v1(bytes) : read_v2(bytes);
  }
  return {};
}

}  // namespace vital
