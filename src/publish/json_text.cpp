// Writing JSON; see json_text.hpp.
#include "publish/json_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

namespace vital {

void JsonText::separate() {
  if (!is_first_) text_ += ',';
  is_first_ = false;
}

void JsonText::open(char bracket) {
  separate();
  text_ += bracket;
  is_first_ = true;
}

void JsonText::close(char bracket) {
  text_ += bracket;
  is_first_ = false;
}

void JsonText::begin_object(std::string_view key) {
  name(key);
  open('{');
}

void JsonText::begin_array(std::string_view key) {
  name(key);
  open('[');
}

void JsonText::name(std::string_view key) {
  separate();
  quote(key);
  text_ += ':';
  is_first_ = true;  // its value follows without a comma
}

void JsonText::value(std::string_view text) {
  separate();
  quote(text);
}

void JsonText::value(bool is_true) {
  separate();
  text_ += is_true ? "true" : "false";
}

void JsonText::value(double number) {
  if (!std::isfinite(number)) return value(nullptr);
  separate();
  fmt::format_to(std::back_inserter(text_), "{}", number);
}

void JsonText::value(std::nullptr_t) {
  separate();
  text_ += "null";
}

void JsonText::integer(long long number) {
  separate();
  fmt::format_to(std::back_inserter(text_), "{}", number);
}

void JsonText::quote(std::string_view text) {
  const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; };
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    text_ += '"';
    text_ += text;
    text_ += '"';
    return;
  }
  // Bytes that are not UTF-8 become U+FFFD.
  text_ += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string JsonText::take() {
  text_ += '\n';
  return std::move(text_);
}

}  // namespace vital
