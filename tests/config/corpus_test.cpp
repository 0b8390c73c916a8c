// The corpus in tests/data/config: every file in bad/ gets exactly the lines beside it, every file in good/ none. To
// write the lines anew after changing a message, run this program with VITALD_UPDATE_EXPECTED=1 and read the
// difference.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <sstream>

#include "base/text.hpp"
#include "config/keys.hpp"
#include "room.hpp"

namespace vital::config {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<fs::path> files_in(const std::string& folder) {
  std::vector<fs::path> out;
  for (const auto& e : fs::directory_iterator(fs::path(TEST_DATA) / folder)) {
    if (e.path().extension() == ".yaml") out.push_back(e.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// What an operator would see, with the path of the corpus taken out.
std::string told(const Room& room, const fs::path& file) {
  const Loaded loaded = room.load_file(file.string());
  std::string out;
  const auto add = [&](const Problem& p, const char* what) {
    Problem said = p;
    said.text = what + said.text;
    out += said.format() + "\n";
  };
  for (const Problem& p : loaded.problems) add(p, "");
  for (const Problem& p : loaded.warnings) add(p, "warning: ");
  const std::string folder = std::string(TEST_DATA) + "/";
  for (std::size_t at; (at = out.find(folder)) != std::string::npos;) out.erase(at, folder.size());
  CHECK((loaded.config == nullptr) == !loaded.problems.empty());
  return out;
}

TEST_CASE("each bad config gets exactly the lines written beside it") {
  Room room;
  room.environment["INTERVAL"] = "10";
  const auto files = files_in("bad");
  REQUIRE(files.size() > 40);
  for (const fs::path& file : files) {
    INFO(file.filename().string());
    const std::string lines = told(room, file);
    fs::path expected = file;
    expected.replace_extension(".expected");
    if (std::getenv("VITALD_UPDATE_EXPECTED") != nullptr) std::ofstream(expected, std::ios::binary) << lines;
    CHECK(lines == read(expected));
    CHECK(lines.find(": ") != std::string::npos);
    CHECK(lines.find("warning: ") != 0);
  }
}

TEST_CASE("a config with ten mistakes gets ten lines") {
  const Room room;
  const std::string lines = told(room, fs::path(TEST_DATA) / "bad/ten-mistakes.yaml");
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 10);
}

TEST_CASE("no secret written into a config by mistake is repeated in what it gets") {
  const Room room;
  for (const char* name : {"bad/secrets.yaml", "bad/ten-mistakes.yaml"}) {
    const std::string lines = told(room, fs::path(TEST_DATA) / name);
    CHECK(lines.find("hunter2") == std::string::npos);
    CHECK(lines.find("geheim") == std::string::npos);
  }
}

TEST_CASE("good configs get not a word") {
  Room room;
  room.environment["APP_HOST"] = "10.0.0.7";
  room.environment["CREDENTIALS_DIRECTORY"] = std::string(TEST_DATA) + "/good/credentials";
  std::error_code ignored;  // a tree that cannot be written to is as good where the file is private already
  fs::permissions(fs::path(TEST_DATA) / "good/credentials/db.password", fs::perms::owner_read | fs::perms::owner_write,
                  ignored);
  const auto files = files_in("good");
  REQUIRE(files.size() >= 5);
  for (const fs::path& file : files) {
    INFO(file.filename().string());
    CHECK(told(room, file) == "");
  }
}

TEST_CASE("docs/configuration.md holds the reference as the program prints it") {
  const std::string page = read(TEST_DOCS "/configuration.md");
  REQUIRE_FALSE(page.empty());
  CHECK(page.ends_with("\n\n" + reference()));
}

TEST_CASE("every key the agent knows has its place in the reference, and says what it is for") {
  const std::string all = reference();
  for (const Key& k : all_keys()) {
    INFO(k.section << "." << k.name);
    CHECK(all.find(fmt::format("| `{}` | ", k.name)) != std::string::npos);
    CHECK_FALSE(k.help.empty());
    if (!k.section.empty()) {
      // Each section is the value of a key.
      const std::size_t dot = k.section.rfind('.');
      CHECK((dot != std::string_view::npos || k.section == "check" || k.section == "service" || k.section == "output" ||
             k.section == "topology" || k.section == "action" ||
             all.find(fmt::format("| `{}` | map", k.section)) != std::string::npos));
    }
  }
}

TEST_CASE("the places in the lines are where an editor finds the word") {
  const Room room;
  for (const fs::path& file : files_in("bad")) {
    const Loaded loaded = room.load_file(file.string());
    for (const Problem& p : loaded.problems) {
      INFO(p.format());
      const std::string text = read(p.file);
      const auto lines = split(text, '\n');
      REQUIRE(p.line >= 0);
      REQUIRE(static_cast<std::size_t>(p.line) <= lines.size());
      if (p.line > 0)
        CHECK(static_cast<std::size_t>(p.column) <= lines[static_cast<std::size_t>(p.line - 1)].size() + 1);
    }
  }
}

}  // namespace
}  // namespace vital::config
