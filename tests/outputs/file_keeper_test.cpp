#include "outputs/file_keeper.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "given.hpp"

using namespace vital;
using namespace vital::given;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() {
    std::string name = fs::temp_directory_path() / "vitald-outputs-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
  std::string file() const { return (path / "f").string(); }
};

std::string content(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

FileJob job(std::string text) {
  return {[text = std::move(text)] { return text; }, false};
}

}  // namespace

TEST_CASE("a file that is missing is written, and then left alone") {
  Folder folder;
  CHECK(keep_file(folder.file(), job("1\n")).how == Synced::How::written);
  CHECK(content(folder.file()) == "1\n");
  struct stat before {};
  struct stat after {};
  stat(folder.file().c_str(), &before);
  CHECK(keep_file(folder.file(), job("1\n")).how == Synced::How::kept);
  stat(folder.file().c_str(), &after);
  CHECK(before.st_ino == after.st_ino);
  CHECK((after.st_mode & 0777U) == 0644);
}

TEST_CASE("a file that was edited is set right, and what it held is said") {
  Folder folder;
  keep_file(folder.file(), job("1\n"));
  std::ofstream(folder.file()) << "0 by hand\n";
  const Synced synced = keep_file(folder.file(), job("1\n"));
  CHECK(synced.how == Synced::How::written);
  CHECK(synced.held.starts_with("0 by hand"));
  CHECK(content(folder.file()) == "1\n");
}

TEST_CASE("a file that is not wanted is removed") {
  Folder folder;
  keep_file(folder.file(), job("1\n"));
  CHECK(keep_file(folder.file(), {{}, true}).how == Synced::How::written);
  CHECK_FALSE(fs::exists(folder.file()));
  CHECK(keep_file(folder.file(), {{}, true}).how == Synced::How::kept);
}

TEST_CASE("a file is replaced and never truncated, so that who has it open keeps the old text whole") {
  Folder folder;
  keep_file(folder.file(), job("old and long\n"));
  std::ifstream reader(folder.file());
  keep_file(folder.file(), job("new\n"));
  CHECK(std::string{std::istreambuf_iterator<char>(reader), {}} == "old and long\n");
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE("what stands in the way is named") {
  Folder folder;
  fs::create_directory(folder.file());
  Synced synced = keep_file(folder.file(), job("1\n"));
  CHECK(synced.how == Synced::How::failed);
  CHECK(synced.error.find(folder.file()) != std::string::npos);
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
  synced = keep_file((folder.path / "no" / "f").string(), job("1\n"));
  CHECK(synced.error.find("No such file or directory") != std::string::npos);
}

TEST_CASE("a pipe in the place of the file holds up nobody and is replaced") {
  Folder folder;
  REQUIRE(mkfifo(folder.file().c_str(), 0600) == 0);
  CHECK(keep_file(folder.file(), job("1\n")).how == Synced::How::written);
  CHECK(fs::is_regular_file(folder.file()));
}

TEST_CASE("a keeper works on its own thread and answers on the loop") {
  Folder folder;
  Loop loop;
  FileKeeper keeper(loop, folder.file());
  std::optional<Synced> seen;
  keeper.sync(job("1\n"), [&](const Synced& s) { seen = s; });
  const Instant end = Loop::now() + 10s;
  while (!seen && Loop::now() < end) loop.run_for(2ms);
  REQUIRE(seen);
  CHECK(seen->how == Synced::How::written);
  CHECK_FALSE(keeper.is_busy());
}

TEST_CASE("a keeper may go while its thread is at work") {
  Folder folder;
  Loop loop;
  unsigned told = 0;
  for (int i = 0; i < 50; ++i) {
    FileKeeper keeper(loop, folder.file());
    keeper.sync(job(std::to_string(i)), [&](const Synced&) { ++told; });
  }
  // Those that had ended by then were told; the others must not be, and none may touch what is gone.
  loop.run_for(20ms);
  CHECK(told <= 50);
}
