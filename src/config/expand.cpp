// See expand.hpp.
#include "config/expand.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/text.hpp"

namespace vital::config {
namespace {

constexpr std::size_t longest_value = 64 * 1024;

bool is_name(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; };
  return !text.empty() && is_letter(text[0]) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

// Empty and one line in *why if it cannot be expanded.
std::optional<std::string> expanded(std::string_view text, const Environment& environment, std::string* why) {
  std::string out;
  while (true) {
    const std::size_t at = text.find("${");
    if (at == std::string_view::npos) return out + std::string(text);
    if (at > 0 && text[at - 1] == '$') {
      out += std::string(text.substr(0, at - 1)) + "${";
      text.remove_prefix(at + 2);
      continue;
    }
    out += text.substr(0, at);
    text.remove_prefix(at + 2);
    const std::size_t end = text.find('}');
    if (end == std::string_view::npos) {
      *why = "'${' without its '}'; write ${NAME}, or $${ for a literal ${";
      return {};
    }
    const std::string_view inner = text.substr(0, end);
    text.remove_prefix(end + 1);
    const std::size_t colon = inner.find(":-");
    const std::string name(inner.substr(0, colon));
    if (!is_name(name) || inner.find('$') != std::string_view::npos) {
      *why =
          fmt::format("'${{{}}}' is not a variable; write ${{NAME}} or ${{NAME:-default}}, or $${{ for a literal ${{",
                      one_line(inner, 60));
      return {};
    }
    const auto value = environment(name);
    if (colon != std::string_view::npos && (!value || value->empty())) {
      out += inner.substr(colon + 2);
    } else if (value) {
      out += *value;
    } else {
      *why = fmt::format("the environment has no variable {}; set it, or write ${{{}:-default}}", name, name);
      return {};
    }
    if (out.size() > longest_value) {
      *why = fmt::format("is longer than {} KiB once expanded", longest_value / 1024);
      return {};
    }
  }
}

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const bool is_hostname = name == "HOSTNAME";
  const char* value = std::getenv(name.c_str());
  if (value != nullptr && !(is_hostname && *value == '\0')) return std::string(value);
  if (!is_hostname) return {};
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) return {};
  return std::string(host.data());
}

void expand(Node& node, const std::string& path, const Environment& environment, Problems& problems) {
  if (node.is_scalar() && node.text.find("${") != std::string::npos) {
    std::string why;
    if (auto text = expanded(node.text, environment, &why)) {
      node.written = std::exchange(node.text, std::move(*text));
    } else {
      problems.add(node.mark, path, why);
      node.is_bad = true;
    }
  }
  for (Node& item : node.items) expand(item, path, environment, problems);
  for (Entry& e : node.entries) expand(e.value, path.empty() ? e.key : path + "." + e.key, environment, problems);
}

}  // namespace vital::config
