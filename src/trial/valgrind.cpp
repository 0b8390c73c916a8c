// See valgrind.hpp.
#include "trial/valgrind.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

#include "base/text.hpp"
#include "loop/child.hpp"
#include "loop/loop.hpp"

namespace vital::trial {
namespace {

using namespace std::chrono_literals;

constexpr Duration longest = 60s;
constexpr const char* places[] = {"/usr/bin/valgrind", "/usr/local/bin/valgrind"};

std::string between(const std::string& text, std::string_view begin, std::string_view end) {
  const auto from = text.find(begin);
  if (from == std::string::npos) return {};
  const auto to = text.find(end, from + begin.size());
  return to == std::string::npos ? std::string() : text.substr(from + begin.size(), to - from - begin.size());
}

// "Invalid read of size 4 in probe (spool.cpp:31)", each once.
std::vector<std::string> errors_of(const std::string& xml, const std::string& module) {
  std::vector<std::string> out;
  const std::string object = "<obj>" + module + "</obj>";
  for (std::size_t at = 0; (at = xml.find("<error>", at)) != std::string::npos;) {
    const std::size_t end = xml.find("</error>", at);
    if (end == std::string::npos) break;
    const std::string error = xml.substr(at, end - at);
    at = end;
    const std::size_t frame_object = error.find(object);
    if (frame_object == std::string::npos) continue;
    std::string what = between(error, "<what>", "</what>");
    if (what.empty()) what = between(error, "<text>", "</text>");
    const std::string frame = error.substr(frame_object);
    const std::string function = between(frame, "<fn>", "</fn>");
    std::string line = one_line(fmt::format("{}{}", what, function.empty() ? "" : " in " + function), 200);
    if (std::find(out.begin(), out.end(), line) == out.end()) out.push_back(std::move(line));
  }
  return out;
}

}  // namespace

Line run_valgrind(const TrialOptions& options, unsigned rounds) {
  Line line{"valgrind", Outcome::skipped, "valgrind is not installed", {}};
  if (!options.with_valgrind) return {"valgrind", Outcome::skipped, "not wanted", {}};
  std::string program;
  for (const char* place : places) {
    if (access(place, X_OK) == 0) program = place;
  }
  if (program.empty()) return line;

  std::string log = (std::filesystem::temp_directory_path() / "vitald-valgrind-XXXXXX").string();
  const int made = mkstemp(log.data());
  if (made < 0) return line;
  close(made);
  const std::string module = std::filesystem::absolute(options.module).lexically_normal().string();
  ChildOptions child;
  child.argv = {program,
                "--quiet",
                "--leak-check=full",
                "--show-leak-kinds=definite",
                "--child-silent-after-fork=yes",
                "--xml=yes",
                "--xml-file=" + log,
                options.worker,
                "--probe",
                module,
                "--timeout",
                "20s",
                "--repeat",
                std::to_string(rounds)};
  child.argv.insert(child.argv.end(), options.words.begin(), options.words.end());
  child.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"};
  Loop loop;
  bool is_over = false;
  const auto running = Child::start(loop, child, [&](int) {
    is_over = true;
    loop.stop();
  });
  const Instant until = Loop::now() + longest;
  while (!is_over && Loop::now() < until) loop.run_for(until - Loop::now());
  if (!is_over) {
    running->kill_group(SIGKILL);
    loop.run_for(1s);
    line.text = "did not come to an end within a minute";
  } else {
    std::ifstream file(log, std::ios::binary);
    const std::string xml{std::istreambuf_iterator<char>(file), {}};
    const std::vector<std::string> errors = errors_of(xml, module);
    if (xml.find("</valgrindoutput>") == std::string::npos) {
      line.text = "valgrind did not finish its report";
    } else if (errors.empty()) {
      line = {"valgrind", Outcome::pass, fmt::format("{} probes, nothing lost and nothing touched", rounds), {}};
    } else {
      line = {
          "valgrind", Outcome::fail,
          join({errors.begin(), errors.begin() + std::min<long>(3, std::ssize(errors))}, "; "),
          fmt::format("run it yourself: valgrind --leak-check=full {} --probe {} ...", options.worker, options.module)};
    }
  }
  std::error_code ignored;
  std::filesystem::remove(log, ignored);
  return line;
}

}  // namespace vital::trial
