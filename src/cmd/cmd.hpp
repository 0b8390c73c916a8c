// What every subcommand of vitald shares: how its command line is read, where the program finds its worker and its
// modules, and what it says when it is called wrongly. One thread.
//
//   constexpr cmd::Option options[] = {cmd::config_option, {0, "json", "", "as JSON"}};
//   constexpr cmd::Usage usage = {"vitald check-config", "-c FILE", "Finds every mistake in a configuration.",
//                                 "vitald check-config -c /etc/vitald/vitald.yaml", options};
//   int cmd::check_config(int argc, char** argv) {
//     const cmd::Arguments args(usage, argc, argv);
//     if (args.is_done()) return args.exit_code();      // --help, --version, or a mistake, already told
//     const std::string file = args.value("config");
//   }
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vital::cmd {

// What commands end with beside their own codes (sysexits.h where it has a word for it).
constexpr int exit_ok = 0;
constexpr int exit_failed = 1;
constexpr int exit_usage = 64;
constexpr int exit_config = 78;

// Subcommands; argv[0] is the subcommand's own name. A new one is a line here and a line in main.cpp.
int advise(int argc, char** argv);
int check_config(int argc, char** argv);
int doctor(int argc, char** argv);
int explain(int argc, char** argv);
int init(int argc, char** argv);
int modules(int argc, char** argv);
int module_test(int argc, char** argv);
int probe(int argc, char** argv);
int replay(int argc, char** argv);
int run(int argc, char** argv);

// "--name VALUE", "--name=VALUE", and "-l VALUE" where there is a letter. An empty value_name makes it a flag.
struct Option {
  char letter = 0;
  std::string_view name;
  std::string_view value_name;
  std::string_view help;
  std::string_view fallback = {};
};

constexpr Option config_option{'c', "config", "FILE", "the configuration", "/etc/vitald/vitald.yaml"};

struct Usage {
  std::string_view command;   // "vitald check-config"
  std::string_view synopsis;  // "-c FILE [--json]"
  std::string_view about;     // a sentence or two
  std::string_view example;
  std::span<const Option> options;
  std::size_t max_operands = 0;
  int exit_usage = cmd::exit_usage;
};

// The command line, read whole. Prints and is done if there was --help, --version or a mistake.
class Arguments {
 public:
  Arguments(const Usage& usage, int argc, char** argv);

  bool is_done() const { return is_done_; }
  int exit_code() const { return exit_code_; }

  bool has(std::string_view name) const { return values_.find(name) != values_.end(); }
  std::string value(std::string_view name) const;  // the option's fallback if it was not given
  const std::vector<std::string>& operands() const { return operands_; }

 private:
  void read(const Usage& usage, int argc, char** argv);
  void fail(const Usage& usage, const std::string& why);

  std::span<const Option> options_;
  std::map<std::string, std::string, std::less<>> values_;
  std::vector<std::string> operands_;
  bool is_done_ = false;
  int exit_code_ = exit_ok;
};

// Where the parts of this installation are, found from where the program itself lies: in the build tree beside it, else
// where `meson install` puts them.
struct Places {
  std::string worker;                     // vitald-worker
  std::vector<std::string> builtin_path;  // the agent's own modules
  std::vector<std::string> actions_path;  // the kinds of failover action
};
Places find_places();

// Colour, if standard output is a terminal that wants it: NO_COLOR unset or empty, TERM not dumb.
class Paint {
 public:
  Paint();
  explicit Paint(bool is_on) : is_on_(is_on) {}
  std::string bold(std::string_view text) const { return in("1", text); }
  std::string dim(std::string_view text) const { return in("2", text); }
  std::string red(std::string_view text) const { return in("31", text); }
  std::string green(std::string_view text) const { return in("32", text); }
  std::string yellow(std::string_view text) const { return in("33", text); }

 private:
  std::string in(std::string_view code, std::string_view text) const;
  bool is_on_ = false;
};

}  // namespace vital::cmd
