// Text for people: what a peer sent, made safe to print; escapes as a config writes them; durations in words. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace vital::net {

// What a stranger sent, in quotes, at most `limit` bytes of it, with nothing a terminal or a log could stumble over.
inline std::string quoted(std::string_view raw, size_t limit = 80) {
  std::string out = "\"";
  for (const char c : raw.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\r') {
      out += "\\r";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned>(byte));
      out += hex;
    } else {
      out += c;
    }
  }
  out += raw.size() > limit ? "\"..." : "\"";
  return out;
}

// \r \n \t \0 \\ \xHH, and \ before any other sign is that sign. Empty if the text ends within an escape.
inline std::optional<std::string> unescape(std::string_view text) {
  const auto hex = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (++i == text.size()) return {};
    switch (text[i]) {
      case 'r':
        out += '\r';
        break;
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case '0':
        out += '\0';
        break;
      case 'x': {
        if (i + 2 >= text.size() || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0) return {};
        out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
        i += 2;
        break;
      }
      default:
        out += text[i];
    }
  }
  return out;
}

// "0.4 ms", "37 ms", "2.1 s".
inline std::string in_words(std::chrono::nanoseconds d) {
  const double ms = static_cast<double>(d.count()) / 1e6;
  char out[32];
  if (ms < 10) {
    std::snprintf(out, sizeof out, "%.1f ms", ms);
  } else if (ms < 1000) {
    std::snprintf(out, sizeof out, "%.0f ms", ms);
  } else {
    std::snprintf(out, sizeof out, "%.1f s", ms / 1000);
  }
  return out;
}

}  // namespace vital::net
