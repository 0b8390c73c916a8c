#include "agent/log.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "agent/log_line.hpp"

using namespace vital;
using namespace std::chrono_literals;

namespace {

const WallTime noon{std::chrono::milliseconds(1795521600123)};  // 2026-11-24T12:00:00.123Z
const Instant start{1000s};

Event event(Fields fields) { return {noon, Note::Level::warning, "check_state", std::move(fields)}; }

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
    out.reset(ends[0]);
    in.reset(ends[1]);
    fcntl(out.get(), F_SETFL, O_NONBLOCK);
  }
  std::string read_all() const {
    std::string text;
    std::array<char, 65536> part{};
    ssize_t n = 0;
    while ((n = read(out.get(), part.data(), part.size())) > 0) text.append(part.data(), static_cast<std::size_t>(n));
    return text;
  }
  UniqueFd out, in;
};

}  // namespace

TEST_CASE("a line of logfmt has the names first and quotes what needs it") {
  CHECK(logfmt_line(event({{"check", "db"}, {"reason", "no answer in 5s"}, {"empty", ""}})) ==
        "ts=2026-11-24T12:00:00.123Z level=warning event=check_state check=db reason=\"no answer in 5s\" empty=\"\"\n");
}

TEST_CASE("whatever a value holds, a line of logfmt stays one line and one value") {
  const std::string line = logfmt_line(event({{"text", "a\nts=1 level=error event=fake \"x\\ \x1b[31m\xff\xc2\x9b"}}));
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  CHECK(line.find('\x1b') == std::string::npos);
  CHECK(line.find("text=\"a ts=1 level=error event=fake \\\"x\\\\ [31m") != std::string::npos);
  CHECK(logfmt_line(event({{"a", "b=c"}})).find("a=\"b=c\"") != std::string::npos);
}

TEST_CASE("whatever a value holds, a line of JSON parses and says it") {
  const Event e = event({{"text", "a\"b\\c\nd\x01\xff"}, {"ts", "not the time"}, {"Odd Key", "1"}});
  const std::string line = json_line(e, "web-1\"");
  const auto json = nlohmann::json::parse(line);
  CHECK(json.at("node") == "web-1\"");
  CHECK(json.at("ts") == "2026-11-24T12:00:00.123Z");
  CHECK(json.at("level") == "warning");
  CHECK(json.at("event") == "check_state");
  CHECK(json.at("text") == "a\"b\\c d \xEF\xBF\xBD");
  CHECK(json.at("ts_") == "not the time");
  CHECK(json.at("_dd__ey") == "1");
  CHECK(line.find('\n') == line.size() - 1);
}

TEST_CASE("a line is never longer than a pipe takes at once, and says what was left out") {
  Fields many;
  for (int i = 0; i < 100; ++i) many.emplace_back("key" + std::to_string(i), std::string(900, 'x'));
  for (const std::string& line : {logfmt_line(event(many)), json_line(event(many), "n")}) {
    CHECK(line.size() <= max_log_line);
    CHECK(line.find("fields_left_out") != std::string::npos);
    CHECK(line.back() == '\n');
  }
  CHECK(nlohmann::json::accept(json_line(event(many), "n")));
}

TEST_CASE("a log nobody reads costs lines and never a wait") {
  const Pipe pipe;
  Log log(pipe.in.get());
  Instant now = start;
  for (int i = 0; i < 1000; ++i) log.write(event({{"text", std::string(1000, 'x')}}), now += 1s);
  CHECK(log.dropped() > 0);
  const auto dropped = log.dropped();
  pipe.read_all();
  log.write(event({{"check", "db"}}), now);
  const std::string text = pipe.read_all();
  CHECK(text.find("event=log_lines_dropped count=" + std::to_string(dropped)) != std::string::npos);
  CHECK(text.find("check=db") != std::string::npos);
}

TEST_CASE("a storm of lines is cut off and counted") {
  const UniqueFd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  Log log(null.get());
  for (int i = 0; i < 5000; ++i) log.write(event({}), start);
  CHECK(log.dropped() == 4000);
  log.write(event({}), start + 10s);
  CHECK(log.dropped() == 4000);
}

TEST_CASE("on journald's stream each line carries its priority, elsewhere none does") {
  std::array<int, 2> ends{};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const UniqueFd here(ends[0]), there(ends[1]);
  struct stat s {};
  REQUIRE(fstat(here.get(), &s) == 0);
  std::array<char, 4096> text{};
  const auto written = [&] {
    Log log(here.get());
    log.write(event({}), start);
    return std::string(text.data(), static_cast<std::size_t>(read(there.get(), text.data(), text.size())));
  };
  setenv("JOURNAL_STREAM", (std::to_string(s.st_dev) + ":" + std::to_string(s.st_ino)).c_str(), 1);
  CHECK(written().starts_with("<4>ts="));
  setenv("JOURNAL_STREAM", "1:1", 1);
  CHECK(written().starts_with("ts="));
  unsetenv("JOURNAL_STREAM");
}

TEST_CASE("a log file is opened anew when configured again, and one that cannot be opened changes nothing") {
  char folder[] = "/tmp/vitald-log-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/log";
  Log log;
  log.configure({LogConfig::Format::json, path}, "web-1");
  log.write(event({}), start);
  REQUIRE(rename(path.c_str(), (path + ".1").c_str()) == 0);
  CHECK_THROWS_WITH(log.configure({LogConfig::Format::logfmt, std::string(folder) + "/no/log"}, "web-1"),
                    Catch::Contains("/no/log"));
  log.write(event({}), start);
  log.configure({LogConfig::Format::json, path}, "web-1");
  log.write(event({}), start);
  const auto size = [](const std::string& file) {
    struct stat s {};
    return stat(file.c_str(), &s) == 0 ? s.st_size : -1;
  };
  CHECK(size(path + ".1") == 2 * size(path));
  unlink(path.c_str());
  unlink((path + ".1").c_str());
  rmdir(folder);
}
