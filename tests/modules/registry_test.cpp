// The registry with the real worker and modules of every bad kind.
#include "modules/registry.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "loop/loop.hpp"

using namespace vital;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

const std::string modules_dir = TEST_MODULES;
const std::string worker = TEST_WORKER;

// A directory that is gone when the test is.
struct Directory {
  Directory() {
    std::string name = fs::temp_directory_path() / "vitald-registry-XXXXXX";
    path = mkdtemp(name.data());
  }
  ~Directory() { fs::remove_all(path); }
  void take(const std::string& type) const { fs::copy(modules_dir + "/" + type + ".so", path / (type + ".so")); }
  fs::path path;
};

RegistryOptions options() { return {{modules_dir}, {}, worker, 1s}; }

std::shared_ptr<const CheckSpec> spec(Registry& registry, const std::string& type, const std::string& how) {
  std::string why;
  const auto info = registry.describe(type, &why);
  REQUIRE(info != nullptr);
  auto out = std::make_shared<CheckSpec>();
  out->check = "a-check";
  out->module = *info;
  out->values = {{"how", {how}}, {"time", {"1000000"}}, {"after", {"1000000"}}, {"busy", {"1000000"}}};
  return out;
}

std::size_t descriptors() {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator{}));
}

}  // namespace

TEST_CASE("the registry tells what a module declares") {
  Registry registry(options());
  CHECK(registry.problems().empty());
  std::string why;
  const auto info = registry.describe("answers", &why);
  REQUIRE(info != nullptr);
  CHECK(info->type == "answers");
  CHECK(info->version == "1.0");
  CHECK(info->lane == Lane::blocking);
  CHECK(info->is_builtin);
  CHECK(info->path == modules_dir + "/answers.so");
  REQUIRE(info->options.size() == 5);
  const OptionSpec* want = info->find("want");
  REQUIRE(want != nullptr);
  CHECK(want->type == OptionType::integer);
  CHECK(want->fallback == "42");
  REQUIRE(want->range.has_value());
  CHECK(want->range->second == 100);
  CHECK(info->find("token")->is_secret);
  CHECK_FALSE(info->find("words")->fallback.has_value());
  CHECK(registry.describe("answers", &why) == info);
  CHECK(registry.describe("async_misbehaves", &why)->lane == Lane::async);
}

TEST_CASE("an unknown type is refused with the nearest known one") {
  Registry registry(options());
  std::string why;
  CHECK(registry.describe("anwsers", &why) == nullptr);
  CHECK(why == "there is no check type 'anwsers': did you mean 'answers'?");
}

TEST_CASE("a module that cannot be used costs one clear line") {
  Registry registry(options());
  struct Case {
    const char* type;
    const char* expected;
  };
  const auto c = GENERATE(
      Case{"wrong_magic", "wrong_magic.so is not a vitald module: its magic is 0x464c457f, expected 0x314c5456"},
      Case{"foreign_abi",
           "foreign_abi.so has module ABI 9.7, this vitald speaks 0.1: rebuild the module with this vitald's headers"},
      Case{"misnamed", "misnamed.so declares the type 'another': call the file another.so, or the type 'misnamed'"},
      Case{"too_small", "too_small.so has a broken table: 48 bytes, at least 96"},
      Case{"crashes_at_load", "crashes_at_load.so crashed (signal 11) while it was loaded"},
      Case{"hangs_at_load", "hangs_at_load.so did not come back within 1s while it was loaded"});
  std::string why;
  CHECK(registry.describe(c.type, &why) == nullptr);
  CHECK(why == modules_dir + "/" + c.expected);
}

TEST_CASE("a file that is no library, and one that everybody may write, are refused") {
  const Directory directory;
  directory.take("answers");
  std::ofstream(directory.path / "text.so") << "hello";
  fs::permissions(directory.path / "answers.so", fs::perms::others_write, fs::perm_options::add);
  Registry registry({{}, {directory.path}, worker, 1s});
  std::string why;
  CHECK(registry.describe("text", &why) == nullptr);
  CHECK(why == (directory.path / "text.so").string() + " cannot be loaded: file too short");
  CHECK(registry.describe("answers", &why) == nullptr);
  CHECK(why == (directory.path / "answers.so").string() + " is writable by everybody: chmod o-w it");
}

TEST_CASE("a directory that others may write to is left out, with a line") {
  const Directory directory;
  directory.take("answers");
  fs::permissions(directory.path, fs::perms::all);
  const Registry registry({{}, {directory.path, "/no/such/place"}, worker, 1s});
  CHECK(registry.types().empty());
  REQUIRE(registry.problems().size() == 2);
  CHECK(registry.problems()[0] == directory.path.string() + " is writable by everybody: chmod o-w it");
  CHECK(registry.problems()[1] == "/no/such/place: No such file or directory");
}

TEST_CASE("what belongs to another user, or a group that is not ours may write, is refused") {
  if (geteuid() != 0) return;  // only root can give files away
  const Directory directory;
  directory.take("answers");
  directory.take("misbehaves");
  REQUIRE(chown((directory.path / "answers.so").c_str(), 12345, 0) == 0);
  REQUIRE(chown((directory.path / "misbehaves.so").c_str(), 0, 12345) == 0);
  fs::permissions(directory.path / "misbehaves.so", fs::perms::group_write, fs::perm_options::add);
  Registry registry({{}, {directory.path}, worker, 1s});
  std::string why;
  CHECK(registry.describe("answers", &why) == nullptr);
  CHECK(why == (directory.path / "answers.so").string() + " belongs to user 12345: make root its owner");
  CHECK(registry.describe("misbehaves", &why) == nullptr);
  CHECK(why == (directory.path / "misbehaves.so").string() + " is writable by group 12345: chmod g-w it");
  REQUIRE(chown(directory.path.c_str(), 12345, 0) == 0);
  const Registry elsewhere({{}, {directory.path}, worker, 1s});
  CHECK(elsewhere.types().empty());
  CHECK(elsewhere.problems().front() == directory.path.string() + " belongs to user 12345: make root its owner");
}

TEST_CASE("of two files of one type the first counts, and the second makes a line") {
  const Directory directory;
  directory.take("answers");
  Registry registry({{modules_dir}, {directory.path}, worker, 1s});
  REQUIRE(registry.problems().size() == 1);
  CHECK(registry.problems()[0].starts_with((directory.path / "answers.so").string() +
                                           ": there is a module of this type"));
  std::string why;
  CHECK(registry.describe("answers", &why)->is_builtin);
}

TEST_CASE("an operator's module is not builtin") {
  const Directory directory;
  directory.take("answers");
  Registry registry({{}, {directory.path}, worker, 1s});
  std::string why;
  CHECK_FALSE(registry.describe("answers", &why)->is_builtin);
}

TEST_CASE("modules judge their own options, and one that crashes or hangs there spoils only its own check") {
  Registry registry(options());
  std::string why;
  auto answers = std::make_shared<CheckSpec>();
  answers->check = "unlucky";
  answers->module = *registry.describe("answers", &why);
  answers->values = {{"want", {"13"}}};
  const std::vector<std::shared_ptr<const CheckSpec>> specs{
      spec(registry, "misbehaves", "sleep"),           spec(registry, "misbehaves", "crash at create"),
      spec(registry, "misbehaves", "hang at create"),  answers,
      spec(registry, "misbehaves", "throw at create"), spec(registry, "misbehaves", "crash at destroy"),
      spec(registry, "async_misbehaves", "answer"),
  };
  const auto problems = registry.validate(specs);
  const std::string module = "the module " + modules_dir + "/misbehaves.so ";
  REQUIRE(problems.size() == 5);
  CHECK(problems[0].index == 1);
  CHECK(problems[0].text == module + "crashed (signal 11) while it was set up with these options");
  CHECK(problems[1].index == 2);
  CHECK(problems[1].text == module + "did not come back within 1s while it was set up with these options");
  CHECK(problems[2].index == 3);
  CHECK(problems[2].option == "want");
  CHECK(problems[2].text == "13 brings bad luck: write another number");
  CHECK(problems[3].index == 4);
  CHECK(problems[3].text == "the module threw something unknown while it was set up");
  CHECK(problems[4].index == 5);
  CHECK(problems[4].text == module + "crashed (signal 6) while it was torn down");
}

TEST_CASE("options that do not fit into a message are refused, not sent") {
  Registry registry(options());
  auto big = std::make_shared<CheckSpec>(*spec(registry, "misbehaves", std::string(300'000, 'x')));
  const std::vector<std::shared_ptr<const CheckSpec>> specs{big, spec(registry, "misbehaves", "sleep")};
  const auto problems = registry.validate(specs);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].index == 0);
}

TEST_CASE("without a worker the registry says so") {
  Registry registry({{modules_dir}, {}, "/no/such/worker", 1s});
  std::string why;
  CHECK(registry.describe("answers", &why) == nullptr);
  CHECK(why.find("starting /no/such/worker: No such file or directory") != std::string::npos);
}

TEST_CASE("asking leaves no descriptor and no process behind") {
  const std::size_t before = descriptors();
  for (int round = 0; round < 20; ++round) {
    Registry registry(options());
    std::string why;
    registry.describe("answers", &why);
    registry.describe("crashes_at_load", &why);
  }
  CHECK(descriptors() == before);
  std::ifstream children("/proc/self/task/" + std::to_string(getpid()) + "/children");
  std::string text;
  std::getline(children, text);
  CHECK(text.empty());
}
