#include "agent/state_store.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>

using namespace vital;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() {
    char name[] = "/tmp/vitald-state-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  std::string path;
};

SavedState state(const std::string& owner) {
  SavedState s;
  s.saved_at = WallTime(std::chrono::milliseconds(1795521600000));
  Overlay o;
  o.kind = OverlayKind::drain;
  o.owner = owner;
  s.overlays.push_back(o);
  return s;
}

std::string save(StateStore& store, const std::string& owner) {
  std::promise<std::string> said;
  store.save(state(owner), [&](const std::string& trouble) { said.set_value(trouble); });
  auto future = said.get_future();
  REQUIRE(future.wait_for(10s) == std::future_status::ready);
  return future.get();
}

std::string owner_in(const StateStore& store) {
  std::string problem;
  const auto loaded = store.load(&problem);
  CHECK(problem.empty());
  return loaded && !loaded->overlays.empty() ? loaded->overlays[0].owner : "";
}

}  // namespace

TEST_CASE("what was saved last is what is loaded") {
  const Folder folder;
  StateStore store(folder.path);
  CHECK(owner_in(store).empty());
  CHECK(save(store, "alice").empty());
  CHECK(save(store, "bob").empty());
  CHECK(owner_in(StateStore(folder.path)) == "bob");
  CHECK(fs::file_size(folder.path + "/state") > 0);
  CHECK((fs::status(folder.path + "/state").permissions() & fs::perms::others_all) == fs::perms::none);
}

TEST_CASE("a folder that is missing is made, one level") {
  const Folder folder;
  StateStore store(folder.path + "/vitald");
  CHECK(save(store, "alice").empty());
  CHECK(owner_in(store) == "alice");
}

TEST_CASE("a folder that cannot be written is one line, and the store goes on") {
  const Folder folder;
  std::ofstream(folder.path + "/file") << "not a folder";
  StateStore store(folder.path + "/file");
  CHECK(save(store, "alice").find(folder.path + "/file/state") != std::string::npos);
  CHECK_FALSE(save(store, "alice").empty());
}

TEST_CASE("a torn or foreign file is ignored in one line that names it") {
  const Folder folder;
  StateStore store(folder.path);
  REQUIRE(save(store, "alice").empty());
  const std::string path = folder.path + "/state";
  std::ifstream file(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(file)), {});
  std::string turned = whole;
  turned[turned.size() - 3] ^= 1;
  for (const std::string& broken : {whole.substr(0, whole.size() / 2), turned, std::string("hello\n"), std::string()}) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << broken;
    std::string problem;
    CHECK_FALSE(store.load(&problem));
    CHECK(problem.find(path + " is ignored: ") == 0);
    CHECK(problem.find('\n') == std::string::npos);
  }
}

TEST_CASE("a crash while writing leaves the state before it") {
  const Folder folder;
  StateStore store(folder.path);
  REQUIRE(save(store, "alice").empty());
  std::ofstream(folder.path + "/state.new") << "half a fi";
  CHECK(owner_in(store) == "alice");
  CHECK(save(store, "bob").empty());
  CHECK(owner_in(store) == "bob");
}

TEST_CASE("before the end everything is written") {
  const Folder folder;
  {
    StateStore store(folder.path);
    for (int i = 0; i < 50; ++i) store.save(state("owner" + std::to_string(i)), {});
    store.finish(10s);
  }
  CHECK(owner_in(StateStore(folder.path)) == "owner49");
}
