// Bytes as base64 (RFC 4648, section 4) and back. Pure. [any]
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vital::check {

namespace detail {
inline constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}  // namespace detail

inline std::string base64(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      three = three << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k <= bytes.size() ? detail::base64_alphabet[three >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

// Nothing if it is not base64.
inline std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return {};
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t value = detail::base64_alphabet.find(c);
    if (value == std::string_view::npos) return {};
    bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xffffff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xff);
  }
  return out;
}

}  // namespace vital::check
