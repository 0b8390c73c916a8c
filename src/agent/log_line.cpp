// Lines of the log; see log_line.hpp.
#include "agent/log_line.hpp"

#include <algorithm>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital {
namespace {

constexpr std::size_t max_value = 1024;

// Keys are ours; this only makes sure that none can ever break a line.
std::string safe_key(std::string_view key) {
  std::string out(key.substr(0, 64));
  for (char& c : out) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    if (!is_plain) c = '_';
  }
  return out.empty() ? "_" : out;
}

// Names every line has; a field of an event may not pretend to be one.
std::string field_key(std::string_view key) {
  std::string out = safe_key(key);
  if (out == "ts" || out == "level" || out == "event" || out == "node") out += '_';
  return out;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

bool is_bare(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return c > ' ' && c < 0x7F && c != '"' && c != '\\' && c != '='; });
}

std::string logfmt_value(std::string_view text) {
  std::string line = one_line(text, max_value);
  return is_bare(line) ? line : quoted(line);
}

// The fields that still fit, and how many did not; `reserve` bytes are kept for that and for the end of the line.
template <typename Write>
void write_fields(std::string& out, const Fields& fields, std::size_t reserve, Write write) {
  std::size_t left_out = 0;
  for (const auto& [key, value] : fields) {
    const std::size_t before = out.size();
    write(field_key(key), value);
    if (out.size() + reserve > max_log_line) {
      out.resize(before);
      ++left_out;
    }
  }
  if (left_out > 0) write("fields_left_out", std::to_string(left_out));
}

}  // namespace

std::string_view name(Note::Level level) {
  switch (level) {
    case Note::Level::info:
      return "info";
    case Note::Level::warning:
      return "warning";
    case Note::Level::error:
      return "error";
  }
  return "error";
}

std::string logfmt_line(const Event& event) {
  std::string out =
      "ts=" + format_wall(event.at) + " level=" + std::string(name(event.level)) + " event=" + safe_key(event.event);
  write_fields(out, event.fields, 32,
               [&](const std::string& key, const std::string& value) { out += ' ' + key + '=' + logfmt_value(value); });
  return out + '\n';
}

std::string json_line(const Event& event, std::string_view node) {
  // one_line has left nothing but whole UTF-8 without control characters, so quoting is all JSON needs.
  std::string out = "{\"ts\":\"" + format_wall(event.at) + "\",\"level\":\"" + std::string(name(event.level)) +
                    "\",\"node\":" + quoted(one_line(node, 256)) + ",\"event\":\"" + safe_key(event.event) + '"';
  write_fields(out, event.fields, 32, [&](const std::string& key, const std::string& value) {
    out += ",\"" + key + "\":" + quoted(one_line(value, max_value));
  });
  return out + "}\n";
}

}  // namespace vital
