// Reading a subcommand's command line; see cmd.hpp. By hand, since getopt_long() accepts abbreviations, and a flag
// added later would then change what an old script means.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "base/text.hpp"
#include "cmd/cmd.hpp"

namespace vital::cmd {
namespace {

void print_help(const Usage& usage) {
  fmt::print("{}\n\nusage: {}{}{}\n\n", usage.about, usage.command, usage.synopsis.empty() ? "" : " ", usage.synopsis);
  const auto row = [](std::string_view left, std::string_view help) { fmt::print("  {:<22} {}\n", left, help); };
  for (const Option& o : usage.options) {
    std::string left = o.letter != 0 ? fmt::format("-{}, --{}", o.letter, o.name) : fmt::format("    --{}", o.name);
    if (!o.value_name.empty()) left += fmt::format(" {}", o.value_name);
    row(left, o.fallback.empty() ? std::string(o.help) : fmt::format("{} (default {})", o.help, o.fallback));
  }
  row("-h, --help", "this text");
  row("    --version", "the version");
  fmt::print("\nexample: {}\n", usage.example);
}

}  // namespace

Arguments::Arguments(const Usage& usage, int argc, char** argv) : options_(usage.options) { read(usage, argc, argv); }

void Arguments::fail(const Usage& usage, const std::string& why) {
  fmt::print(stderr, "{}: {}; {} --help shows how\n", usage.command, why, usage.command);
  is_done_ = true;
  exit_code_ = usage.exit_usage;
}

void Arguments::read(const Usage& usage, int argc, char** argv) {
  bool only_operands = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (only_operands || word.size() < 2 || word[0] != '-') {
      operands_.emplace_back(word);
      if (operands_.size() > usage.max_operands)
        return fail(usage, fmt::format("'{}' is one argument too many", one_line(word, 80)));
      continue;
    }
    if (word == "--") {
      only_operands = true;
      continue;
    }
    if (word == "--help" || word == "-h") {
      print_help(usage);
      is_done_ = true;
      return;
    }
    if (word == "--version") {
      fmt::print("{} {}\n", usage.command.substr(0, usage.command.find(' ')), VITALD_VERSION);
      is_done_ = true;
      return;
    }
    const bool is_long = word[1] == '-';
    const std::size_t equals = is_long ? word.find('=') : std::string_view::npos;
    const std::string_view name = is_long ? word.substr(2, equals == std::string_view::npos ? equals : equals - 2) : "";
    const auto option = std::find_if(options_.begin(), options_.end(), [&](const Option& o) {
      return is_long ? o.name == name : (o.letter != 0 && o.letter == word[1]);
    });
    if (option == options_.end()) {
      std::vector<std::string> known{"help", "version"};
      for (const Option& o : options_) known.emplace_back(o.name);
      const auto near = is_long ? nearest(name, known) : std::nullopt;
      return fail(usage, fmt::format("unknown option '{}'{}", one_line(word, 80),
                                     near ? fmt::format(", did you mean --{}?", *near) : ""));
    }
    std::optional<std::string> value;
    if (equals != std::string_view::npos) value = std::string(word.substr(equals + 1));
    if (!is_long && word.size() > 2) value = std::string(word.substr(2));
    if (option->value_name.empty()) {
      if (value) return fail(usage, fmt::format("--{} takes no value", option->name));
      value = "";
    } else if (!value) {
      if (i + 1 >= argc) return fail(usage, fmt::format("--{} needs a {}", option->name, option->value_name));
      value = argv[++i];
    }
    values_.insert_or_assign(std::string(option->name), std::move(*value));
  }
}

std::string Arguments::value(std::string_view name) const {
  if (const auto at = values_.find(name); at != values_.end()) return at->second;
  for (const Option& o : options_) {
    if (o.name == name) return std::string(o.fallback);
  }
  return {};
}

}  // namespace vital::cmd
