#include "script.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace vital::scenario {
namespace {

constexpr std::size_t max_value = 16 * 1024;  // of what is captured

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string encoded(const std::string& value, Encoding encoding) {
  if (encoding == Encoding::none) return value;
  if (encoding == Encoding::json) {
    const std::string quoted = nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return quoted.substr(1, quoted.size() - 2);
  }
  static constexpr char hex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                          c == '_' || c == '.' || c == '~';
    if (is_plain) {
      out += c;
    } else {
      out += '%';
      out += hex[byte >> 4];
      out += hex[byte & 15];
    }
  }
  return out;
}

// Calls `with` for the literal pieces and the names between {{ and }}. False if a name does not end.
template <typename Literal, typename Name>
bool pieces(std::string_view text, Literal literal, Name name) {
  while (true) {
    const auto open = text.find("{{");
    literal(text.substr(0, open));
    if (open == std::string_view::npos) return true;
    const auto close = text.find("}}", open);
    if (close == std::string_view::npos) return false;
    name(std::string(trimmed(text.substr(open + 2, close - open - 2))));
    text.remove_prefix(close + 2);
  }
}

class Reader {
 public:
  Reader(std::string_view text, const std::vector<std::string>& known) : text_(text), known_(known) {}

  std::vector<Step> run() {
    if (text_.size() > max_script) fail("is longer than 64 KiB");
    while (!text_.empty()) {
      std::string_view line = text_.substr(0, text_.find('\n'));
      text_.remove_prefix(std::min(text_.size(), line.size() + 1));
      ++number_;
      const bool is_indented = !line.empty() && (line.front() == ' ' || line.front() == '\t');
      line = trimmed(line);
      if (line.empty() || line.front() == '#') continue;
      if (line.find('\0') != std::string_view::npos) fail("holds a NUL");
      if (is_indented) {
        directive(line);
      } else {
        end_step();
        begin_step(line);
      }
    }
    end_step();
    if (steps_.empty()) fail("has no step; write one a line, such as GET /login");
    return std::move(steps_);
  }

 private:
  [[noreturn]] void fail(const std::string& text) const { throw Mistake(number_, text); }

  void begin_step(std::string_view line) {
    if (steps_.size() == max_steps) fail("has more than 50 steps; split it");
    const auto space = line.find(' ');
    Step step;
    step.line = number_;
    step.method = std::string(line.substr(0, space));
    static constexpr std::string_view methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"};
    if (std::find(std::begin(methods), std::end(methods), step.method) == std::end(methods)) {
      fail("begins with " + shown(step.method) +
           ", which is no method; a step is GET /path, and what belongs to it is indented");
    }
    const std::string_view url = space == std::string_view::npos ? "" : trimmed(line.substr(space));
    if (url.empty() || url.find(' ') != std::string_view::npos) fail("a step is METHOD and URL, such as GET /login");
    if (url.front() != '/' && url.substr(0, 2) != "{{")
      fail("the URL should begin with /, since steps stay with the one site of url");
    step.url = std::string(url);
    use(step.url);
    steps_.push_back(std::move(step));
  }

  // What a step captures is there for those after it, whatever the order of its lines.
  void end_step() {
    if (steps_.empty()) return;
    Step& step = steps_.back();
    if (step.status_text == "200-299") step.status.add(step.status_text);
    if (step.body && !step.form.empty()) fail("the step above has a body and form fields; leave out one");
    for (const Capture& c : step.captures) known_.push_back(c.name);
  }

  void directive(std::string_view line) {
    if (steps_.empty()) fail("is indented, but there is no step above it");
    Step& step = steps_.back();
    if (line == "always") {
      step.is_always = true;
      return;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) fail(shown(line) + " has no colon; write expect: 200, for example");
    const std::string_view what = trimmed(line.substr(0, colon));
    const std::string value(trimmed(line.substr(colon + 1)));
    const auto space = what.find(' ');
    const std::string_view word = what.substr(0, space);
    const std::string name(space == std::string_view::npos ? "" : trimmed(what.substr(space)));
    const auto needs_name = [&](const char* example) {
      if (name.empty()) fail(std::string(word) + " needs a name: write " + example);
    };
    if (word != "header" && word != "form" && word != "capture" && !name.empty()) {
      fail(shown(what) +
           " is not known; write header, form, body, json, expect, contains, lacks, matches, capture or always");
    }
    if (word == "header") {
      needs_name("header Accept: text/html");
      if (name.find_first_of("{}\r\n") != std::string::npos) fail("a header's name has no values in it");
      step.headers.emplace_back(name, use(value));
    } else if (word == "form") {
      needs_name("form user: {{user}}");
      step.form.emplace_back(name, use(value));
    } else if (word == "body" || word == "json") {
      if (step.body) fail("there is a body already; leave out one");
      step.body = use(value);
      step.body_encoding = word == "json" ? Encoding::json : Encoding::none;
    } else if (word == "expect") {
      step.status_text = value;
      step.status = {};
      if (!step.status.add(value)) fail(shown(value) + " is no status; write 200, 2xx or 200-204,302");
      if (value == "200-299") step.status = {};  // as by default: set at the end
    } else if (word == "contains") {
      step.contains.push_back(use(needed(value)));
    } else if (word == "lacks") {
      step.lacks.push_back(use(needed(value)));
    } else if (word == "matches") {
      try {
        step.matches.emplace_back(value, std::make_shared<const net::Pattern>(needed(value)));
      } catch (const net::Pattern::Error& e) {
        fail(std::string("matches: ") + e.what());
      }
    } else if (word == "capture") {
      needs_name("capture token: json /token");
      capture(step, name, value);
    } else {
      fail(shown(what) +
           " is not known; write header, form, body, json, expect, contains, lacks, matches, capture or always");
    }
  }

  std::string needed(const std::string& value) const {
    if (value.empty()) fail("nothing stands behind the colon");
    return value;
  }

  void capture(Step& step, const std::string& name, const std::string& value) {
    if (!is_name(name)) fail(shown(name) + " is no name for a value; write letters, digits and _");
    Capture c;
    c.name = name;
    const auto space = value.find(' ');
    const std::string from = value.substr(0, space);
    const std::string rest(space == std::string::npos ? ""
                                                      : std::string(trimmed(std::string_view(value).substr(space))));
    if (from == "json") {
      c.from = Capture::From::json;
      c.a = rest;
      if (const std::string complaint = http::pointer_complaint(rest); !complaint.empty())
        fail(shown(rest) + " " + complaint);
    } else if (from == "header") {
      c.from = Capture::From::header;
      c.a = lower(rest);
      if (rest.empty()) fail("which header? write capture next: header Location");
    } else if (from == "between") {
      // TEXT ... TEXT, with three dots for what is captured.
      const auto dots = rest.find("...");
      if (dots == std::string::npos)
        fail("write what stands before and after it: capture csrf: between name=\"csrf\" value=\"...\"");
      c.a = rest.substr(0, dots);
      c.b = rest.substr(dots + 3);
      if (c.a.empty() || c.b.empty()) fail("something must stand before and after the three dots");
    } else {
      fail(shown(from) + " is not known; write capture NAME: json /pointer, header NAME, or between TEXT...TEXT");
    }
    step.captures.push_back(std::move(c));
  }

  // The text, of whose values each must have been captured before.
  const std::string& use(const std::string& text) const {
    const bool ends = pieces(
        text, [](std::string_view) {},
        [&](const std::string& name) {
          if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
            fail("no step before this one captures {{" + name.substr(0, 64) + "}}");
          }
        });
    if (!ends) fail("{{ without }}");
    return text;
  }

  static std::string shown(std::string_view text) { return "\"" + std::string(text.substr(0, 60)) + "\""; }

  std::string_view text_;
  std::vector<std::string> known_;
  std::vector<Step> steps_;
  int number_ = 0;
};

}  // namespace

std::optional<std::string> filled(std::string_view text, const Values& values, Encoding encoding,
                                  std::string* missing) {
  std::string out;
  bool is_whole = true;
  pieces(
      text, [&](std::string_view literal) { out += literal; },
      [&](const std::string& name) {
        const auto at = values.find(name);
        if (at == values.end()) {
          is_whole = false;
          if (missing != nullptr) *missing = name;
        } else {
          out += encoded(at->second, encoding);
        }
      });
  return is_whole ? std::optional(std::move(out)) : std::nullopt;
}

std::string url_encoded(const std::string& text) { return encoded(text, Encoding::url); }

std::vector<Step> read_script(std::string_view text, const std::vector<std::string>& known) {
  return Reader(text, known).run();
}

std::optional<std::string> captured(const Capture& capture, const std::string& body,
                                    const std::map<std::string, std::string>& headers) {
  const auto bounded = [](std::string value) {
    const bool is_good =
        value.size() <= max_value && value.find_first_of(std::string("\r\n\0", 3)) == std::string::npos;
    return is_good ? std::optional(std::move(value)) : std::nullopt;
  };
  switch (capture.from) {
    case Capture::From::header: {
      const auto at = headers.find(capture.a);
      return at == headers.end() ? std::nullopt : bounded(at->second);
    }
    case Capture::From::between: {
      const auto begin = body.find(capture.a);
      if (begin == std::string::npos) return {};
      const auto from = begin + capture.a.size();
      const auto end = body.find(capture.b, from);
      return end == std::string::npos ? std::nullopt : bounded(body.substr(from, end - from));
    }
    case Capture::From::json:
      break;
  }
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (json.is_discarded()) return {};
  const nlohmann::json::json_pointer pointer(capture.a);
  if (!json.contains(pointer)) return {};
  const auto& value = json.at(pointer);
  if (value.is_string()) return bounded(value.get<std::string>());
  if (value.is_number() || value.is_boolean()) return bounded(value.dump());
  return {};
}

}  // namespace vital::scenario
