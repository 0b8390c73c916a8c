// JsonText: writes JSON straight into a string. The documents list a thousand checks and more, and a tree of values
// that is thrown away again cost ten times as much (42 ms instead of 4 for /api/v1/checks, during which nobody else is
// answered). Strings with anything unusual in them go through nlohmann-json, which knows the rules. Pure.
//
//   JsonText out;
//   out.begin_object();
//   out.field("name", "db");
//   out.begin_array("causes"); out.value("app"); out.end_array();
//   out.end_object();
//   return out.take();
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace vital {

class JsonText {
 public:
  void begin_object() { open('{'); }
  void begin_object(std::string_view key);
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void begin_array(std::string_view key);
  void end_array() { close(']'); }

  void value(std::string_view text);
  void value(const char* text) { value(std::string_view(text)); }
  void value(bool is_true);
  void value(double number);  // null unless finite
  void value(std::integral auto number) { integer(static_cast<long long>(number)); }
  void value(std::nullptr_t);
  template <typename T>
  void value(const std::optional<T>& maybe) {
    if (maybe) {
      value(*maybe);
    } else {
      value(nullptr);
    }
  }

  template <typename T>
  void field(std::string_view key, const T& of) {
    name(key);
    value(of);
  }

  std::size_t size() const { return text_.size(); }
  // The document and a newline.
  std::string take();

 private:
  void open(char bracket);
  void close(char bracket);
  void separate();
  void name(std::string_view key);
  void integer(long long number);
  void quote(std::string_view text);

  std::string text_;
  bool is_first_ = true;  // in its object or array: no comma before it
};

// An empty text as null.
inline std::optional<std::string> or_null(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace vital
