// The steps of a scenario, as an operator writes them: one request a step, what its answer must be like, and what to
// keep of it for the steps after. Pure: text in, steps or one complaint out. The format is in docs/checks/scenario.md.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../http/expect.hpp"

namespace vital::scenario {

// Values by name: what was captured, and user, password.
using Values = std::map<std::string, std::string>;

// How a value is written where it is put: as it is, in a URL or a form, in a JSON text.
enum class Encoding { none, url, json };

// "token={{token}}" with its values. Empty if one of them is not there; then its name is in `missing`. [any]
std::optional<std::string> filled(std::string_view text, const Values& values, Encoding encoding, std::string* missing);

// For a form's field or a URL's part, whatever it holds. [any]
std::string url_encoded(const std::string& text);

struct Capture {
  enum class From { between, json, header };
  std::string name;
  From from = From::between;
  std::string a, b;  // between: what stands before and after; json: the pointer; header: its name in lower case
};

struct Step {
  int line = 0;  // of the script, from 1
  std::string method, url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::pair<std::string, std::string>> form;
  std::optional<std::string> body;
  Encoding body_encoding = Encoding::none;
  http::StatusSet status;
  std::string status_text = "200-299";
  std::vector<std::string> contains, lacks;
  std::vector<std::pair<std::string, std::shared_ptr<const net::Pattern>>> matches;  // as written
  std::vector<Capture> captures;
  bool is_always = false;  // also after a step that failed

  std::string name() const { return method + " " + url; }
};

struct Mistake : std::runtime_error {
  Mistake(int at, const std::string& text) : std::runtime_error(text), line(at) {}
  int line;
};

inline constexpr std::size_t max_script = 64 * 1024;
inline constexpr std::size_t max_steps = 50;

// Throws Mistake. `known` are the names that have a value before the first step.
std::vector<Step> read_script(std::string_view text, const std::vector<std::string>& known);

// What a capture finds in an answer. `header` gives a header's value by its name in lower case.
std::optional<std::string> captured(const Capture& capture, const std::string& body,
                                    const std::map<std::string, std::string>& headers);

}  // namespace vital::scenario
