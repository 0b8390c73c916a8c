// vitald init, which vitalctl init runs: a first configuration, from what listens on this host. What it writes is
// valid; an existing file is only replaced when that was asked for.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "cmd/cmd.hpp"
#include "cmd/init/proposal.hpp"
#include "cmd/loading.hpp"
#include "cmd/sockets.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::ordered_json;

constexpr Option options[] = {
    {'c', "config", "FILE", "where to write it", "/etc/vitald/vitald.yaml"},
    {0, "force", "", "replace a file that is there"},
    {0, "print", "", "write nothing, print it"},
    {0, "json", "", "what was found and written, as JSON"},
};
constexpr Usage usage{
    "vitalctl init", "[-c FILE] [--force] [--print] [--json]",
    "Writes a first configuration with a check for each server it finds listening on this host, commented, ready to\n"
    "be completed. Passwords are not asked for: the file says where each belongs. On a terminal it shows what it\n"
    "found and asks before it writes. Ends with 0, or 1 if nothing was written.",
    "vitalctl init -c /etc/vitald/vitald.yaml", options};

int fail(const std::string& why) {
  fmt::print(stderr, "vitalctl init: {}\n", why);
  return exit_failed;
}

std::string because(int error) { return std::generic_category().message(error); }

// Yes is the answer of who only presses return.
bool agrees(const std::string& question) {
  fmt::print(stderr, "{} [Y/n] ", question);
  std::array<char, 64> answer{};
  if (std::fgets(answer.data(), static_cast<int>(answer.size()), stdin) == nullptr) return false;
  const std::string_view word = trim(answer.data());
  return word.empty() || word == "y" || word == "Y" || word == "yes";
}

// Empty if it is there now, whole.
std::string write_new(const std::string& file, const std::string& text) {
  const UniqueFd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  if (!fd) return because(errno);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t n = write(fd.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return because(errno);
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  return fsync(fd.get()) == 0 ? std::string() : because(errno);
}

Json to_json(const init::Proposal& proposal, const std::string& file, bool is_written) {
  Json checks = Json::array();
  for (const init::ProposedCheck& c : proposal.checks)
    checks.push_back({{"name", c.name}, {"type", c.type}, {"because", c.because}});
  return {{"file", file}, {"is_written", is_written}, {"checks", std::move(checks)}, {"others", proposal.others}};
}

}  // namespace

int init(int argc, char** argv) {
  const Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  namespace fs = std::filesystem;
  const std::string file = args.value("config");
  const init::Proposal proposal = init::propose(listening_sockets());
  const std::string text = init::to_yaml(proposal, file);
  if (args.has("print")) {
    if (args.has("json")) {
      fmt::print("{}\n", to_json(proposal, file, false).dump(2));
    } else {
      fmt::print("{}", text);
    }
    return exit_ok;
  }

  std::error_code error;
  const bool is_there = fs::exists(fs::symlink_status(file, error));
  if (is_there && !args.has("force"))
    return fail(file + " is there already: --force replaces it, -c names another, --print shows it");
  if (isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1) {
    for (const init::ProposedCheck& c : proposal.checks)
      fmt::print(stderr, "  {:<16} {:<10} {}\n", c.name, c.type, c.because);
    const std::string question =
        is_there ? fmt::format("replace {} by a new one?", file) : fmt::format("write {}?", file);
    if (!agrees(question)) return fail("nothing was written");
  }
  if (const fs::path folder = fs::path(file).parent_path(); !folder.empty()) {
    fs::create_directories(folder, error);
    if (error) return fail(folder.string() + ": " + error.message());
  }
  // Looked at before it takes the place of anything.
  const std::string draft = fmt::format("{}.new-{}", file, getpid());
  const auto give_up = [&](const std::string& why) {
    unlink(draft.c_str());
    return fail(why);
  };
  if (const std::string why = write_new(draft, text); !why.empty()) return give_up(draft + ": " + why);
  const Loaded loaded = load_config(loading(draft));
  if (loaded.config == nullptr) {
    print_problems(loaded);
    return give_up("what it would write is not valid: please report this");
  }
  // Without --force somebody may have been quicker; link() does not replace.
  const int done = args.has("force") ? rename(draft.c_str(), file.c_str()) : link(draft.c_str(), file.c_str());
  if (done != 0) return give_up(file + ": " + because(errno));
  unlink(draft.c_str());
  if (args.has("json")) {
    fmt::print("{}\n", to_json(proposal, file, true).dump(2));
    return exit_ok;
  }
  fmt::print("{}: {} checks of this host and {} of servers found on it\n", file, 2, proposal.checks.size());
  fmt::print(
      "next: complete it, then vitald check-config -c {0}, vitalctl doctor -c {0}, systemctl enable --now vitald\n",
      file);
  return exit_ok;
}

}  // namespace vital::cmd
