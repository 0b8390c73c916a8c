// See lines.hpp.
#include "core/failover/lines.hpp"

#include <charconv>

#include "base/text.hpp"

namespace vital::failover {
namespace {

void encode(std::string& out, std::string_view text) {
  constexpr char digits[] = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == '=' || byte == ',' || byte == '%' || byte == 0x7f) {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += c;
    }
  }
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return out;
}

LineWriter& LineWriter::add(std::string_view key, std::string_view value) {
  if (value.empty()) return *this;
  text_.append(" ").append(key).append("=");
  encode(text_, value);
  return *this;
}

LineWriter& LineWriter::add(std::string_view key, std::int64_t value) {
  text_.append(" ").append(key).append("=").append(std::to_string(value));
  return *this;
}

LineWriter& LineWriter::flag(std::string_view key, bool value) { return value ? add(key, 1) : *this; }

LineWriter& LineWriter::list(std::string_view key, const std::vector<std::string>& parts) {
  text_.append(" ").append(key).append("=");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text_ += ',';
    encode(text_, parts[i]);
  }
  return *this;
}

LineReader::LineReader(std::string_view line) {
  bool is_first = true;
  for (const std::string_view part : split(line, ' ')) {
    if (std::exchange(is_first, false)) {
      word_ = part;
      continue;
    }
    const auto at = part.find('=');
    if (at != std::string_view::npos) fields_.emplace_back(part.substr(0, at), part.substr(at + 1));
  }
}

std::string LineReader::text(std::string_view key) const {
  for (const auto& [name, value] : fields_) {
    if (name == key) return decode(value);
  }
  return {};
}

std::int64_t LineReader::number(std::string_view key, std::int64_t otherwise) const {
  for (const auto& [name, value] : fields_) {
    if (name == key) return number_in(value).value_or(otherwise);
  }
  return otherwise;
}

std::vector<std::vector<std::string>> LineReader::lists(std::string_view key) const {
  std::vector<std::vector<std::string>> out;
  for (const auto& [name, value] : fields_) {
    if (name != key) continue;
    auto& parts = out.emplace_back();
    for (const std::string_view part : split(value, ',')) parts.push_back(decode(part));
  }
  return out;
}

}  // namespace vital::failover
