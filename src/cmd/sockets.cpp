// See sockets.hpp.
#include "cmd/sockets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <system_error>

#include "base/text.hpp"

namespace vital::cmd {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view listening = "0A";

template <typename Number>
std::optional<Number> number(std::string_view text, int base) {
  Number out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return out;
}

// The kernel prints each 32 bits of an address as a number of this host, little-endian here.
std::optional<HostAddress> address_of(std::string_view hex) {
  if (hex.size() != 8 && hex.size() != 32) return {};
  std::uint8_t bytes[16];
  for (std::size_t word = 0; word < hex.size() / 8; ++word) {
    const auto value = number<std::uint32_t>(hex.substr(word * 8, 8), 16);
    if (!value) return {};
    for (std::size_t i = 0; i < 4; ++i) bytes[word * 4 + i] = static_cast<std::uint8_t>(*value >> (8 * i));
  }
  return hex.size() == 8 ? HostAddress::v4(bytes) : HostAddress::v6(bytes);
}

std::string content_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Who holds the sockets with these inodes.
void find_holders(std::vector<ListeningSocket>& sockets) {
  std::map<std::string, std::vector<ListeningSocket*>> by_link;
  for (ListeningSocket& s : sockets) by_link[fmt::format("socket:[{}]", s.inode)].push_back(&s);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const auto pid = number<pid_t>(entry.path().filename().string(), 10);
    if (!pid) continue;
    std::error_code ours;
    for (fs::directory_iterator fd(entry.path() / "fd", ours), end; !ours && fd != end; fd.increment(ours)) {
      std::error_code gone;
      const auto found = by_link.find(fs::read_symlink(fd->path(), gone).string());
      if (gone || found == by_link.end()) continue;
      for (ListeningSocket* s : found->second) {
        // Of a server that forks, the eldest.
        if (s->pid != 0 && s->pid <= *pid) continue;
        s->pid = *pid;
        s->program = one_line(trim(content_of(entry.path() / "comm")), 32);  // anybody may call himself anything
      }
    }
  }
}

}  // namespace

std::string ListeningSocket::text() const {
  if (is_any) return fmt::format("*:{}", port);
  return address.is_v4() ? fmt::format("{}:{}", address.text(), port) : fmt::format("[{}]:{}", address.text(), port);
}

std::vector<ListeningSocket> parse_listening(std::string_view table) {
  std::vector<ListeningSocket> out;
  for (const std::string_view line : split(table, '\n')) {
    std::vector<std::string_view> words;
    for (const std::string_view word : split(line, ' ')) {
      if (!word.empty()) words.push_back(word);
    }
    if (words.size() < 10 || words[3] != listening) continue;
    const std::size_t colon = words[1].find(':');
    if (colon == std::string_view::npos) continue;
    const auto address = address_of(words[1].substr(0, colon));
    const auto port = number<std::uint16_t>(words[1].substr(colon + 1), 16);
    const auto inode = number<std::uint64_t>(words[9], 10);
    if (!address || !port || !inode) continue;
    const std::string_view bytes = words[1].substr(0, colon);
    ListeningSocket s{*address, bytes.find_first_not_of('0') == std::string_view::npos, *port, *inode, 0, {}};
    out.push_back(std::move(s));
  }
  return out;
}

std::vector<ListeningSocket> listening_sockets() {
  std::vector<ListeningSocket> out;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    for (ListeningSocket& s : parse_listening(content_of(table))) out.push_back(std::move(s));
  }
  find_holders(out);
  return out;
}

}  // namespace vital::cmd
